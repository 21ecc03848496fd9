// A guided case, step by step: own view, the model's text, what to look for, the grades, the outlines.
// The server keeps the gate: what a step must not show yet has not been sent.

import { el } from "./dom.js";
import { Outlines } from "./outlines.js";
import { OwnView, ReadText } from "./ownview.js";
import { Reading } from "./reading.js";
import { Structures } from "./structures.js";

const STEPS = ["Own view", "Interpretation", "Structures", "Grades", "Outlines"];
const [OWN_VIEW, READ_TEXT, STRUCTURES, GRADING, OUTLINES] = STEPS.keys();

export class Guided {
  constructor(panel, caseDocument, marks, draft) {
    this.panel = panel;
    this.case = caseDocument;
    this.marks = marks;
    this.kept = { own: draft.own, text: draft.text, preset: draft.preset, chosen: draft.chosen };
    [this.slot] = caseDocument.slots;
    this.items = STEPS.map((name, at) => this.stepItem(name, at));
    this.place = el("div", { class: "step" });
    const stepper = el("nav", { "aria-label": "Steps of this case" }, el("ol", { class: "stepper" }, this.items.map((item) => item.row)));
    this.element = el("div", { class: "guided" }, stepper, this.place);
    this.open(this.reached());
  }

  stepItem(name, at) {
    const go = el("button", { type: "button", on: { click: () => this.open(at) } }, el("b", {}, `${at + 1}`), el("span", {}, name));
    return { go, row: el("li", {}, go) };
  }

  /** The furthest step that may be shown. */
  reached() {
    const { steps, locked } = this.case;
    if (!steps.own_view) return OWN_VIEW;
    if (locked) return steps.run?.state === "done" ? OUTLINES : GRADING;
    if (!this.slot || this.slot.failed) return GRADING;
    if (!steps.interpretation) return READ_TEXT;
    return steps.run?.state === "done" || this.withoutOutlines ? GRADING : STRUCTURES;
  }

  open(at) {
    if (at > this.reached()) return;
    this.tick();
    this.part?.stop?.();
    this.at = at;
    const isBefore = this.case.steps.run?.state !== "done";
    this.panel.viewer.overlay(this.slot?.overlay ?? [], this.case.slots, isBefore ? "Outlines are shown when structures have been looked for." : undefined);
    this.part = this.makePart(at);
    this.place.replaceChildren(this.part.element);
    this.shownAt = performance.now();
    this.items.forEach(({ go }, item) => {
      go.disabled = item > this.reached() || (item === OUTLINES && !this.case.locked);
      go.classList.toggle("done", item < this.reached());
      if (item === at) go.setAttribute("aria-current", "step");
      else go.removeAttribute("aria-current");
    });
    this.panel.announce(`Step ${at + 1}: ${STEPS[at]}`);
    if (this.panel.view === this) this.settle();
  }

  makePart(at) {
    if (at === OWN_VIEW) return new OwnView(this);
    if (at === READ_TEXT) return new ReadText(this);
    if (at === STRUCTURES) return new Structures(this);
    if (at === OUTLINES) return new Outlines(this);
    if (this.slot) this.slot.corrected = this.case.steps.interpretation?.fields;
    return new Reading(this.gradingPanel(), this.case, this.marks);
  }

  /** What the grades' part asks for, answered in the way of a guided case. */
  gradingPanel() {
    const { panel } = this;
    return {
      viewer: panel.viewer,
      announce: (text) => panel.announce(text),
      askChange: (mark) => panel.askChange(mark),
      rest: () => panel.rest(),
      goOn: () => this.onEnter(),
      goBack: () => panel.goBack(),
      nextText: (isLocked, isComplete) => (isLocked ? "To the outlines" : isComplete ? "Lock the grades" : "Next"),
      get hasBefore() {
        return panel.hasBefore;
      },
    };
  }

  /** Put the focus where a step begins. */
  settle() {
    this.panel.rest();
    this.part.focus?.();
  }

  get seconds() {
    return Math.round((performance.now() - this.shownAt) / 100) / 10;
  }

  /** Take over what the server stored for a step, and open the next. */
  stored(name, record) {
    this.case.steps[name] = record;
    this.open(this.reached());
  }

  /** The case as the server shows it after a gate was passed. */
  passed(shown) {
    for (const part of ["steps", "slots", "rubric"]) this.case[part] = shown[part];
    [this.slot] = this.case.slots;
    this.kept.own = undefined;
    this.open(this.reached());
  }

  keep(part, content) {
    this.kept[part] = content;
    this.panel.keepDraft();
  }

  draft() {
    return Object.fromEntries(Object.entries(this.kept).filter(([, content]) => content !== undefined));
  }

  tick() {
    this.part?.tick?.();
  }

  refresh() {
    this.part?.refresh?.();
  }

  goToMissing() {
    return this.part.goToMissing?.() ?? false;
  }

  onEnter() {
    if (this.at !== GRADING) {
      this.part.submit();
    } else if (this.case.locked) {
      if (this.reached() === OUTLINES) this.open(OUTLINES);
      else this.goToNextCase();
    } else if (!this.part.goToMissing()) {
      this.tick();
      this.marks.finish();
      this.panel.remember(this.case.case);
    }
  }

  onSaved(answer) {
    if (!answer.locked || this.at !== GRADING) return;
    if (this.reached() === OUTLINES) this.open(OUTLINES);
    else this.goToNextCase();
  }

  goToNextCase() {
    const isNewest = this.panel.history.newest === this.case.case;
    if (isNewest) this.panel.showNext();
    else this.panel.goForward();
  }

  onKey(event) {
    return this.part.onKey?.(event) ?? false;
  }
}
