// The right-hand side of a case: its outputs in slots, each with text and grades.

import { button, el } from "./dom.js";
import { GradeForm } from "./gradeform.js";
import { Interpretation } from "./interpretation.js";
import { gradeText } from "./marks.js";

const LETTERS_IN_USE = ["d", "n", "o", "m", "k", "e", "l"];

export class Reading {
  /** `panel`: viewer, announce(text), askChange(mark), goOn(), goBack(). `slotsShown`: which slots to show. */
  constructor(panel, caseDocument, marks) {
    this.panel = panel;
    this.case = caseDocument;
    this.marks = marks;
    this.slots = caseDocument.slots.map((slot) => this.slotPart(slot));
    this.tabs = el("div", { class: "tabs", role: "tablist", "aria-label": "Outputs" }, this.slots.map((part) => part.tab));
    this.tabs.addEventListener("keydown", (event) => this.onTabKey(event));
    this.next = button("", "⏎", () => panel.goOn(), { class: "primary next" });
    this.back = button("Back", "←", () => panel.goBack(), { class: "back" });
    this.count = el("p", { class: "count" });
    this.element = el(
      "div",
      { class: "reading" },
      this.slots.length > 1 ? this.tabs : null,
      this.slots.map((part) => part.panel),
      el("div", { class: "going" }, this.back, this.count, this.next),
    );
    const first = this.marks.isLocked ? null : this.marks.missing(this.slots[0]?.letter);
    this.select(first?.slot ?? this.slots[0]?.letter, first?.dimension ?? caseDocument.dimensions[0]);
    this.refresh();
  }

  slotPart(slot) {
    const letter = slot.slot;
    const form = new GradeForm(this.marks, slot, {
      onGrade: (mark, grade, how) => this.give(mark, grade, how),
      onDimension: (dimension) => this.setDimension(dimension),
      onChangeAsked: (mark) => this.panel.askChange(mark),
    });
    const text = new Interpretation(this.marks, slot, () => this.setDimension("interpretation"));
    const state = el("span", { class: "given" });
    const tab = el(
      "button",
      { type: "button", role: "tab", id: `tab-${letter}`, "aria-controls": `slot-${letter}`, on: { click: () => this.select(letter) } },
      el("span", { class: "letter" }, letter),
      state,
    );
    const isAlone = this.case.slots.length === 1;
    const role = isAlone ? {} : { role: "tabpanel", "aria-labelledby": `tab-${letter}` };
    const panel = el("div", { class: "slot", id: `slot-${letter}`, hidden: true, ...role }, text.element, form.element);
    return { letter, slot, form, text, tab, state, panel };
  }

  /** Show one slot and its outlines; its first grade that is missing is next. */
  select(letter, dimension = null) {
    const part = this.slots.find((one) => one.letter === letter);
    if (!part) return;
    const hadFocus = this.element.contains(document.activeElement) && !this.tabs.contains(document.activeElement);
    for (const mark of this.marks.all) this.marks.flush(mark);
    for (const one of this.slots) {
      one.panel.hidden = one !== part;
      one.tab.setAttribute("aria-selected", one === part ? "true" : "false");
      one.tab.tabIndex = one === part ? 0 : -1;
    }
    const isOther = this.current !== part;
    this.current = part;
    const missing = this.case.dimensions.find((name) => this.marks.of(letter, name).grade === null);
    this.setDimension(dimension || missing || this.case.dimensions[0]);
    if (isOther) this.panel.viewer.overlay(part.slot.overlay);
    if (isOther && hadFocus) this.panel.rest();
  }

  setDimension(dimension) {
    if (!this.case.dimensions.includes(dimension)) return;
    this.tick();
    this.dimension = dimension;
    this.current.form.setCurrent(dimension);
  }

  get mark() {
    return this.marks.of(this.current.letter, this.dimension);
  }

  /** Count the time that the page is looked at towards what is being graded. */
  tick() {
    const now = performance.now();
    if (this.since && !document.hidden && this.current && this.dimension) this.mark.seconds += Math.min(600, (now - this.since) / 1000);
    this.since = now;
  }

  give(mark, grade, { stays = false } = {}) {
    if (this.marks.isLocked) return;
    this.tick();
    this.marks.give(mark, grade);
    this.panel.announce(`${mark.dimension} of ${mark.slot}: ${gradeText(grade)}`);
    if (!stays) this.moveOn(mark);
    this.refresh();
  }

  /** After a grade: the slot's other dimension, then the next slot that is not complete. */
  moveOn(mark) {
    const missing = this.marks.missing(mark.slot);
    if (missing) this.select(missing.slot, missing.dimension);
  }

  /** Go to a grade that is missing; false where there is none. */
  goToMissing() {
    const missing = this.marks.missing(this.current.letter);
    if (!missing) return false;
    this.select(missing.slot, missing.dimension);
    this.panel.announce(`${missing.dimension} of ${missing.slot} is not graded yet`);
    return true;
  }

  refresh() {
    const { isLocked, isComplete, given, all } = this.marks;
    for (const part of this.slots) {
      part.form.refresh();
      part.text.refresh();
      const grades = this.case.dimensions.map((dimension) => this.marks.of(part.letter, dimension).grade);
      const mark = (grade, at) => el("i", { class: grade === null ? "open" : "done" }, `${this.case.dimensions[at].slice(0, 3)} ${grade ?? "–"}`);
      part.state.replaceChildren(...grades.map(mark));
      const told = this.case.dimensions.map((name, at) => `${name} ${gradeText(grades[at]) || "not graded"}`).join(", ");
      part.tab.setAttribute("aria-label", `Output ${part.letter}: ${told}`);
    }
    this.next.firstChild.textContent = this.panel.nextText(isLocked, isComplete);
    this.next.classList.toggle("ready", isComplete);
    this.back.disabled = !this.panel.hasBefore;
    this.count.textContent = isLocked ? "Finished: grades are locked" : `${given} of ${all.length} graded`;
  }

  onTabKey(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const at = (this.slots.indexOf(this.current) + by + this.slots.length) % this.slots.length;
    this.select(this.slots[at].letter);
    this.current.tab.focus();
    event.preventDefault();
    event.stopPropagation();
  }

  /** Answer a key; true where it was one of ours. */
  onKey(event) {
    const pressed = event.key.toLowerCase();
    const grade = { 1: 1, 2: 2, 3: 3, n: "NG" }[pressed];
    if (grade !== undefined) return this.gradeByKey(grade);
    const letter = pressed.toUpperCase();
    const isLetter = this.slots.some((part) => part.letter === letter);
    if (isLetter && (event.shiftKey || !LETTERS_IN_USE.includes(pressed))) this.select(letter);
    else if (pressed === "d") this.setDimension(this.otherDimension());
    else if (pressed === "k") this.current.form.focusChecklist();
    else if (pressed === "e") this.current.text.focusErrors();
    else if (pressed === "m") this.current.form.focusComment();
    else return false;
    return true;
  }

  gradeByKey(grade) {
    if (this.marks.isLocked) this.panel.announce("This case is finished: use Change, and give a reason");
    else if (this.current.slot.failed && grade !== "NG") this.panel.announce("The only grade for this output is N, not gradable");
    else this.give(this.mark, grade);
    return true;
  }

  otherDimension() {
    const { dimensions } = this.case;
    return dimensions[(dimensions.indexOf(this.dimension) + 1) % dimensions.length];
  }
}

