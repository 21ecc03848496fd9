// The page around a case: top bar, footer, the place for cases or screens, and what is said to the reader.

import { button, capitalised, el } from "./dom.js";
import { meter } from "./screens.js";

export class Page {
  /** `onKeys()` and `onLogOut()` answer the buttons of the top bar. */
  constructor(root, viewer, { onKeys, onLogOut }) {
    this.root = root;
    this.title = el("h1", { class: "study-title" }, "Reader study");
    this.mode = el("span", { class: "mode", hidden: true });
    this.progress = el("div", { class: "progress", hidden: true });
    this.session = el("span", { class: "session" });
    this.saved = el("span", { class: "saved", role: "status", "aria-live": "polite" });
    this.who = el("span", { class: "who" });
    this.live = el("p", { class: "spoken", "aria-live": "polite" });
    this.notice = el("div", { class: "alert", role: "alert", hidden: true });
    const keys = button("Keys", "?", onKeys, { class: "plain" });
    const out = button("Log out", null, onLogOut, { class: "plain" });
    const space = el("span", { class: "space" });
    const bar = el("header", { class: "top" }, this.title, this.mode, this.progress, this.session, space, this.saved, keys, this.who, out);
    this.side = el("aside", { class: "side", "aria-label": "Interpretation and grades", tabindex: -1 });
    this.desk = el("main", { class: "desk", hidden: true }, viewer.element, this.side);
    this.place = el("main", { class: "place" });
    this.foot = el("footer", { class: "foot" }, el("span", {}, "Research software, not for clinical use."));
    root.replaceChildren(bar, this.notice, this.desk, this.place, this.foot, this.live);
    root.classList.add("panel");
  }

  introduce({ reader, version }) {
    this.who.textContent = reader;
    this.foot.append(el("span", {}, `Version ${version}`));
  }

  showCase(caseDocument, element) {
    this.desk.hidden = false;
    this.place.hidden = true;
    this.place.replaceChildren();
    this.side.replaceChildren(element);
    this.showStanding(caseDocument);
    this.say(`Case ${caseDocument.position} of ${caseDocument.total}`);
  }

  /** Show how far the reader is. */
  showStanding({ mode, position, total, session, locked }) {
    this.mode.hidden = this.progress.hidden = false;
    this.mode.textContent = capitalised(mode) + (locked ? " · finished case" : "");
    this.progress.replaceChildren(el("span", {}, `Case ${position} of ${total}`), meter(position - 1, total));
    const minutes = session?.minutes_left ?? null;
    const parts = [
      session?.limit ? `${session.graded} of ${session.limit} in this session` : null,
      minutes === null ? null : `${Math.max(0, Math.round(minutes))} min left`,
    ];
    this.session.textContent = parts.filter(Boolean).join(" · ");
  }

  showScreen(content) {
    this.desk.hidden = true;
    this.place.hidden = false;
    this.mode.hidden = this.progress.hidden = true;
    this.session.textContent = "";
    this.place.replaceChildren(content);
    this.root.dataset.case = "";
    content.querySelector(".card")?.focus();
  }

  showSaved(state) {
    const text = { saved: "Saved", saving: "Saving…", draft: "Saved as draft", retrying: "Not saved, retrying" }[state];
    if (this.saved.dataset.state === state) return;
    this.saved.textContent = text;
    this.saved.dataset.state = state;
  }

  /** Tell a screen reader. */
  say(text) {
    this.live.textContent = text;
  }

  /** Tell everybody, until it is closed. */
  alert(text) {
    const close = button("Close", null, () => (this.notice.hidden = true), { class: "plain" });
    this.notice.replaceChildren(el("span", {}, text), close);
    this.notice.hidden = false;
  }

  /** Put the focus where keys act and a screen reader goes on reading. */
  rest() {
    this.side.focus({ preventScroll: true });
  }
}
