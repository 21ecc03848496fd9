// Grades of one slot: native radios in a fieldset for each dimension, the checklist and comment of the current one.

import { button, capitalised, el, freshId, growing, key } from "./dom.js";
import { GRADES, gradeText } from "./marks.js";

const SEVERITIES = [
  ["major", "Major: suggests 3"],
  ["minor", "Minor: suggests 2"],
];

export class GradeForm {
  /** `onGrade(mark, grade, {stays})`, `onDimension(dimension)`, `onChangeAsked(mark)`. */
  constructor(marks, slot, { onGrade, onDimension, onChangeAsked }) {
    this.marks = marks;
    this.slot = slot;
    this.tell = { onGrade, onDimension, onChangeAsked };
    this.parts = new Map(marks.case.dimensions.map((dimension) => [dimension, this.dimension(dimension)]));
    const fieldsets = [...this.parts.values()].map((part) => part.fieldset);
    const details = [...this.parts.values()].map((part) => part.details);
    this.element = el("div", { class: "grading" }, el("div", { class: "dimensions" }, fieldsets), details);
    this.refresh();
  }

  dimension(dimension) {
    const mark = this.marks.of(this.slot.slot, dimension);
    const part = { mark, radios: [], isByArrow: false };
    part.suggestion = el("p", { class: "suggestion", role: "status" });
    part.change = button("Change", null, () => this.tell.onChangeAsked(mark), {
      class: "change",
      "aria-label": `Change the grade of the ${dimension} of ${this.slot.slot}`,
    });
    part.fieldset = el(
      "fieldset",
      { class: "grade", "data-dimension": dimension, on: { focusin: () => this.tell.onDimension(dimension) } },
      el("legend", {}, capitalised(dimension), key("D")),
      el("div", { class: "choices" }, GRADES.map((one) => this.choice(part, one)), part.change),
      this.others(dimension),
      part.suggestion,
    );
    part.fieldset.addEventListener("click", () => this.tell.onDimension(dimension));
    // An arrow key moves through native radios: it chooses, but must not carry the reader away.
    part.fieldset.addEventListener("keydown", (event) => (part.isByArrow = event.key.startsWith("Arrow")));
    part.fieldset.addEventListener("pointerdown", () => (part.isByArrow = false));
    part.details = this.details(part, dimension);
    return part;
  }

  choice(part, { grade, key: cap, text }) {
    const { mark } = part;
    const id = freshId("grade");
    const isBarred = this.slot.failed && grade !== "NG";
    const radio = el("input", { type: "radio", id, name: `grade-${mark.slot}-${mark.dimension}`, value: grade, disabled: isBarred });
    radio.addEventListener("change", () => {
      this.tell.onGrade(mark, grade, { stays: part.isByArrow });
      part.isByArrow = false;
    });
    part.radios.push({ radio, grade, isBarred });
    return el("label", { class: "choice", for: id }, radio, key(cap), el("span", {}, text));
  }

  /** What the readers said, where an adjudicator settles between them. */
  others(dimension) {
    const grades = this.slot.grades?.[dimension];
    if (!grades) return null;
    const items = grades.map((one) => el("li", {}, `${one.reader}: `, el("strong", {}, gradeText(one.grade))));
    return el("ul", { class: "others", "aria-label": "What the readers said" }, items);
  }

  details(part, dimension) {
    const { mark } = part;
    part.ticks = this.marks.criteria(dimension).map((item) => {
      const id = freshId("fault");
      const box = el("input", { type: "checkbox", id, on: { change: () => this.marks.tick(mark, item.id, box.checked) } });
      return { box, item, row: el("label", { class: "fault", for: id }, box, el("span", {}, item.text)) };
    });
    const id = freshId("comment");
    part.comment = growing({ id, placeholder: `Comment on the ${dimension}`, "aria-keyshortcuts": "M" });
    part.comment.addEventListener("input", () => this.marks.write(mark, part.comment.value));
    return el(
      "div",
      { class: "details" },
      el(
        "fieldset",
        { class: "checklist" },
        el("legend", {}, "Faults present", key("K")),
        el("div", { class: "faults" }, SEVERITIES.map(([severity, text]) => this.faults(part.ticks, severity, text))),
      ),
      el("div", { class: "comment" }, el("label", { for: id }, "Comment", key("M")), part.comment),
    );
  }

  faults(ticks, severity, text) {
    const id = freshId("severity");
    const rows = ticks.filter((tick) => tick.item.severity === severity).map((tick) => tick.row);
    return rows.length ? el("div", { role: "group", "aria-labelledby": id }, el("h4", { id }, text), el("div", { class: "two" }, rows)) : null;
  }

  /** Show which dimension the keys act on. */
  setCurrent(dimension) {
    for (const [name, part] of this.parts) {
      part.fieldset.classList.toggle("current", name === dimension);
      part.fieldset.setAttribute("aria-current", name === dimension ? "true" : "false");
      part.details.hidden = name !== dimension;
    }
    this.current = this.parts.get(dimension);
  }

  refresh() {
    for (const [dimension, { mark, radios, ticks, comment, change, suggestion, fieldset }] of this.parts) {
      const { isLocked } = this.marks;
      const suggested = mark.suggestion(this.marks.criteria(dimension));
      for (const { radio, grade, isBarred } of radios) {
        radio.checked = mark.grade === grade;
        radio.disabled = isLocked || Boolean(isBarred);
        radio.parentElement.classList.toggle("suggested", grade === suggested && mark.grade === null);
      }
      for (const { box, item } of ticks) {
        box.checked = mark.criteria.has(item.id);
        box.disabled = isLocked;
      }
      if (comment.value !== mark.comment) comment.value = mark.comment;
      comment.readOnly = isLocked;
      change.hidden = !isLocked || !mark.saved;
      fieldset.classList.toggle("given", mark.grade !== null);
      suggestion.textContent = this.suggestionText(mark, suggested);
    }
  }

  suggestionText(mark, suggested) {
    if (mark.saved?.changed && this.marks.isLocked) return `Changed ${mark.saved.changed}×${mark.saved.reason ? `: ${mark.saved.reason}` : ""}`;
    if (suggested === null || mark.grade === suggested) return "";
    return `The checklist suggests ${gradeText(suggested)}${mark.grade === null ? "" : `; you gave ${gradeText(mark.grade)}`}.`;
  }

  focusChecklist() {
    this.current?.ticks[0]?.box.focus();
  }

  focusComment() {
    this.current?.comment.focus();
  }
}
