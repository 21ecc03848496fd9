// The eight fields of an interpretation, to read, each with the kinds of error that a reader may mark in it.

import { el, fieldName, freshId } from "./dom.js";

export class Interpretation {
  constructor(marks, slot, onError) {
    this.marks = marks;
    this.slot = slot;
    this.mark = marks.of(slot.slot, "interpretation");
    this.onError = onError;
    this.rows = [];
    this.element = el("section", { class: "interpretation", "aria-label": `Interpretation of ${slot.slot}`, tabindex: 0 }, this.content());
    this.refresh();
  }

  content() {
    const { slot } = this;
    if (slot.failed) return [el("p", { class: "notice" }, slot.failed, " The only grade for it is 'not gradable'.")];
    const plane = el("div", { class: "field plane" }, el("h3", {}, "Plane"), el("p", {}, slot.plane || "not named"));
    if (!slot.interpretation) return [plane, el("p", { class: "notice" }, "No interpretation was written for this frame.")];
    return [plane, ...this.marks.case.rubric.interpretation.fields.map((name) => this.field(name, slot.interpretation[name]))];
  }

  field(name, text) {
    const id = freshId("field");
    const heading = el("h3", { id }, fieldName(name));
    const words = el("p", { class: text ? null : "empty" }, text || "nothing written");
    const corrected = this.slot.corrected?.[name];
    const yours = corrected === undefined ? null : el("p", { class: "corrected" }, "You corrected it to: ", corrected || "nothing");
    const measured = name === "gestational_age" && this.slot.contradiction;
    const other = measured ? el("p", { class: "contradiction" }, "⚠ Contradiction: ", measured) : null;
    return el("div", { class: "field", "data-field": name }, heading, words, other, yours, this.mark ? this.errors(name, id) : null);
  }

  /** The kinds of error are made when they are first asked for: a case has hundreds of them. */
  errors(name, labelledBy) {
    const summary = el("summary", {}, "Errors");
    const group = el("div", { class: "kinds", role: "group", "aria-labelledby": labelledBy });
    const row = { name, summary, boxes: [] };
    summary.addEventListener("click", () => {
      if (row.boxes.length) return;
      row.boxes = this.kinds.map((kind) => this.kind(name, kind));
      group.append(...row.boxes.map((one) => one.row));
      this.refresh();
    });
    this.rows.push(row);
    return el("details", { class: "errors" }, summary, group);
  }

  get kinds() {
    return this.marks.case.rubric.interpretation.error_types;
  }

  kind(name, kind) {
    const id = freshId("error");
    const box = el("input", { type: "checkbox", id, on: { change: () => this.tick(name, kind.id, box.checked) } });
    return { kind, box, row: el("label", { class: "kind", for: id }, box, el("span", {}, kind.text)) };
  }

  tick(name, kind, isTicked) {
    this.marks.tickError(this.mark, name, kind, isTicked);
    this.onError();
    this.refresh();
  }

  refresh() {
    for (const { name, summary, boxes } of this.rows) {
      const marked = this.mark.errors.get(name) || new Set();
      for (const { kind, box } of boxes) {
        box.checked = marked.has(kind.id);
        box.disabled = this.marks.isLocked;
      }
      const texts = this.kinds.filter((kind) => marked.has(kind.id)).map((kind) => kind.text);
      summary.textContent = texts.length ? texts.join(", ") : "Errors";
      summary.classList.toggle("marked", texts.length > 0);
      summary.setAttribute("aria-label", `Errors in ${fieldName(name)}: ${texts.join(", ") || "none"}`);
    }
  }

  focusErrors() {
    this.element.querySelector("summary")?.focus();
  }
}
