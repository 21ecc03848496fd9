// The review panel: opens the reader's case, shows it, sends what is decided, and goes on.

import { askChange, ask, showKeys } from "./dialogs.js";
import { button, el } from "./dom.js";
import { Drafts } from "./drafts.js";
import { Guided } from "./guided.js";
import { History } from "./history.js";
import { listenToKeys } from "./keys.js";
import { Marks } from "./marks.js";
import { Outbox } from "./outbox.js";
import { Page } from "./page.js";
import { Reading } from "./reading.js";
import { chooseStudy, finished, message } from "./screens.js";
import { decoded, get, toLogin } from "./server.js";
import { Viewer } from "./viewer.js";

/** Take over the page at `root`. */
export async function boot(root) {
  const panel = new Panel(root);
  window.annotatorPanel = panel;
  await panel.start();
}

class Panel {
  constructor(root) {
    this.root = root;
    this.viewer = new Viewer();
    this.history = new History("");
    this.turn = 0; // counts what is put on the screen: an answer for an earlier one comes too late
    this.page = new Page(root, this.viewer, { onKeys: () => showKeys(root), onLogOut: () => this.logOut() });
    listenToKeys(this);
    document.addEventListener("visibilitychange", () => this.view?.tick());
    window.addEventListener("beforeunload", (event) => this.hasUnsaved && event.preventDefault());
  }

  async start() {
    const state = await this.asked(get("state"));
    if (!state) return;
    this.state = state;
    this.page.introduce(state);
    if (!["reader", "adjudicator"].includes(state.role)) {
      this.show(message("This account does not grade", [`You are logged in as ${state.reader} (${state.role}).`, "Readers and adjudicators grade here. Studies are made and watched from the command line."]));
      return;
    }
    this.outbox = new Outbox(state.reader, {
      onChange: () => this.refreshSaved(),
      onSaved: (grade, answer) => this.onSaved(grade, answer),
      onRefused: (grade, refusal) => this.onRefused(grade, refusal),
    });
    this.drafts = new Drafts(() => this.refreshSaved());
    this.refreshSaved();
    await this.outbox.firstTry();
    const wanted = new URLSearchParams(location.search).get("study");
    const open = state.studies.filter((study) => study.done < study.total);
    const chosen = state.studies.find((study) => study.study === wanted) || (open.length === 1 ? open[0] : null);
    if (chosen || state.studies.length === 1) await this.openStudy((chosen || state.studies[0]).study);
    else this.chooseStudy();
  }

  chooseStudy() {
    if (this.state.studies.length) this.show(chooseStudy(this.state.studies, (study) => this.openStudy(study)));
    else this.show(message("No study yet", [`${this.state.reader} is not a reader of any study. The curator of a study adds readers.`]));
  }

  async openStudy(studyId) {
    this.study = this.state.studies.find((study) => study.study === studyId);
    this.page.title.textContent = this.study.title;
    history.replaceState(null, "", `?study=${encodeURIComponent(studyId)}`);
    this.history = new History(studyId);
    await this.openCase();
  }

  /** Open the reader's first open case, or a finished one. */
  async openCase(token = null) {
    const shown = await this.asked(get("case", { study: this.study.study, case: token }));
    if (shown) await this.present(shown, token);
  }

  /** Show a case's document, or what there is instead of one. */
  async present(shown, wasAsked = null) {
    if (shown.finished) {
      this.showFinished(shown);
      return;
    }
    try {
      this.showCase(shown, await this.image(shown.frame.url));
    } catch {
      const again = button("Try again", null, () => this.openCase(wasAsked));
      this.show(message("The frame could not be loaded", ["The image of this case did not arrive. Nothing is lost."], again));
    }
  }

  async image(url) {
    if (this.ahead?.image && this.ahead.shown.frame?.url === url) return this.ahead.image;
    return decoded(url);
  }

  showCase(shown, image) {
    this.view?.tick();
    this.turn += 1;
    this.case = shown;
    this.ahead = null;
    this.marks = new Marks(shown, {
      send: (grade) => this.outbox.put(grade),
      onChange: () => this.onMarks(),
    });
    const draft = shown.locked ? {} : this.drafts.of(shown.case, shown.draft);
    this.marks.restore(draft.marks || []);
    this.marks.restore(this.outbox.waitingFor(shown.case), true);
    this.page.desk.hidden = false; // its size is needed to fit the frame
    this.viewer.show(shown.frame, image, shown.slots);
    const make = shown.mode === "guided" ? Guided : Reading;
    this.view = new make(this, shown, this.marks, draft);
    this.page.showCase(shown, this.view.element);
    this.refreshSaved();
    if (this.view.settle) this.view.settle();
    else this.rest();
    this.root.dataset.case = shown.case;
    this.prefetch();
  }

  show(content) {
    this.view = null;
    this.case = null;
    this.turn += 1;
    this.page.showScreen(content);
  }

  showFinished(standing) {
    const last = this.history.newest;
    const several = this.state.studies.length > 1;
    this.show(
      finished(standing, {
        onBack: last ? () => this.openCase(last) : null,
        onStudies: several ? () => this.chooseAgain() : null,
        onAgain: () => this.lookAgain(),
      }),
    );
  }

  /** After a wait: first what could not be sent before it. */
  async lookAgain() {
    this.outbox.hurry();
    await this.outbox.firstTry();
    await this.openCase();
  }

  async chooseAgain() {
    const state = await this.asked(get("state"));
    if (!state) return;
    this.state = state;
    this.chooseStudy();
  }

  /** Enter: what is missing first, then the next case. */
  async goOn() {
    if (!this.view) return;
    if (this.case.locked) {
      await this.goForward();
    } else if (!this.view.goToMissing()) {
      this.view.tick();
      this.marks.finish();
      this.drafts.forget(this.case.case);
      this.remember(this.case.case);
      await this.showNext();
    }
  }

  async showNext() {
    const { session } = this.case;
    const isLast = session?.limit && session.graded + 1 >= session.limit;
    const ahead = this.ahead;
    this.turn += 1;
    this.mustVerify = true;
    if (ahead && !ahead.shown.finished && !isLast) {
      this.showCase(ahead.shown, ahead.image);
    } else {
      this.show(message("One moment", ["The next case comes when your grades are saved. Until then they are kept on this computer."]));
    }
    if (this.outbox.isEmpty) await this.verify();
  }

  async goForward() {
    await this.openCase(this.history.after(this.case.case));
  }

  async goBack() {
    const before = this.before;
    if (!before) return;
    this.keepDraft();
    await this.openCase(before);
  }

  get before() {
    return this.case?.previous || this.history.before(this.case?.case);
  }

  get hasBefore() {
    return Boolean(this.before);
  }

  nextText(isLocked, isComplete) {
    if (isLocked) return "Next";
    return isComplete ? "Save and next case" : "Next";
  }

  /** Ask the server which case is open now: it knows of limits and of other windows. */
  async verify() {
    this.mustVerify = false;
    if (this.case?.locked) return;
    const { turn } = this;
    let shown;
    try {
      shown = await get("case", { study: this.study.study });
    } catch (refusal) {
      this.mustVerify = refusal.passes;
      if (!refusal.passes) this.refused(refusal);
      else if (!this.case) setTimeout(() => this.mustVerify && this.verify(), 2000);
      return;
    }
    if (turn !== this.turn) return; // the reader went on meanwhile
    if (this.case && shown.case === this.case.case) {
      this.case.session = shown.session;
      this.page.showStanding(this.case);
      this.prefetch();
    } else {
      await this.present(shown);
    }
  }

  /** Have the next case and its frame here before they are asked for. */
  async prefetch() {
    const { case: token, study } = this.case;
    if (!this.outbox.isEmpty || this.ahead) return;
    try {
      const shown = await get("next", { study, after: token });
      const image = shown.finished ? null : await decoded(shown.frame.url);
      if (this.case?.case === token) this.ahead = { shown, image };
    } catch {
      // Without it the next case is fetched when it is asked for.
    }
  }

  onSaved(grade, answer) {
    if (this.case?.case === grade.case) {
      const mark = this.marks.of(grade.slot, grade.dimension);
      mark.saved = answer.saved;
      mark.isQueued = false;
      this.case.locked = this.marks.isLocked = answer.locked;
      if (grade.reason) mark.take(answer.saved);
      this.view.refresh();
      this.view.onSaved?.(answer);
    }
    if (answer.case_done) this.drafts.forget(grade.case);
    if (this.outbox.isEmpty && this.mustVerify) this.verify();
  }

  onRefused(grade, refusal) {
    if (this.case?.case === grade.case) {
      const mark = this.marks.of(grade.slot, grade.dimension);
      Object.assign(mark, { isQueued: false, isEdited: true });
    }
    this.refused(refusal);
    if (refusal.status === 409 || refusal.status === 429) this.openCase();
  }

  /** Say what the server refused; to the login where nobody is logged in. */
  refused(refusal) {
    if (refusal.status === 401) {
      this.isLeaving = true;
      toLogin();
      return;
    }
    this.page.alert(refusal.message + (refusal.body?.until ? ` (until ${new Date(refusal.body.until).toLocaleTimeString()})` : ""));
  }

  /** Wait for an answer; null, and said, where there is none. */
  async asked(promise) {
    try {
      return await promise;
    } catch (refusal) {
      if (refusal.status === 409 && refusal.body.current) {
        this.page.alert("This case is not the open one; the open one is shown.");
        return get("case", { study: this.study.study }).catch(() => null);
      }
      this.refused(refusal);
      if (!this.case && refusal.status !== 401) this.show(message("This did not work", [refusal.message], button("Try again", null, () => location.reload())));
      return null;
    }
  }

  onMarks() {
    this.view?.refresh();
    this.keepDraft();
  }

  keepDraft() {
    if (!this.case || this.marks.isLocked) return;
    const marks = this.marks.draft();
    const content = { marks, ...this.view?.draft?.() };
    if (marks.length || Object.keys(content).length > 1 || this.hasDraft === this.case.case) {
      this.hasDraft = this.case.case;
      this.drafts.keep(this.case.case, content);
    }
  }

  askChange(mark) {
    askChange(this.root, mark, (grade, reason) => {
      this.outbox.put({ ...this.marks.request(mark), grade, reason, seconds: null });
      this.rest();
    });
  }

  get hasUnsaved() {
    return !this.isLeaving && this.outbox && !(this.outbox.isEmpty && this.drafts.isEmpty);
  }

  refreshSaved() {
    const isSaving = !this.outbox?.isEmpty || !this.drafts?.isEmpty;
    const isHeld = this.marks && !this.marks.isLocked && this.marks.all.some((mark) => mark.isHeld);
    this.page.showSaved(this.outbox?.isTrying ? "retrying" : isSaving ? "saving" : isHeld ? "draft" : "saved");
  }

  remember(token) {
    this.history.push(token);
  }

  announce(text) {
    this.page.say(text);
  }

  rest() {
    this.page.rest();
  }

  logOut() {
    if (this.outbox && !this.outbox.isEmpty) {
      ask(this.root, "Log out?", "Some grades have not reached the server. They stay on this computer and are sent when you log in here again.", "Log out", () => this.leave());
    } else {
      this.drafts?.forgetAll();
      sessionStorage.clear();
      this.leave();
    }
  }

  leave() {
    this.isLeaving = true;
    const form = el("form", { method: "post", action: "/logout", hidden: true });
    document.body.append(form);
    form.submit();
  }

  onEnter() {
    if (this.view.onEnter) this.view.onEnter();
    else this.goOn();
  }
}

