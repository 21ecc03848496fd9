// Steps 1 and 2 of a guided case: what the reader sees, and then what the model wrote, corrected field by field.

import { button, el, fieldName, freshId, growing, key } from "./dom.js";
import { post } from "./server.js";

const NORMALITY = [
  ["normal", "1", "Normal"],
  ["abnormal", "2", "Abnormal"],
  ["unsure", "3", "Unsure"],
];

/** Plane and normality, to choose; `onChange()` after each choice. */
class ViewChoice {
  constructor(views, value, legend, onChange, isDisabled = false) {
    const id = freshId("plane");
    const options = views.map((view) => el("option", { value: view.name }, view.label));
    this.plane = el("select", { id, disabled: isDisabled, on: { change: onChange } }, el("option", { value: "" }, "Choose the plane"), options);
    this.plane.value = value.plane || "";
    const name = freshId("normality");
    this.radios = NORMALITY.map(([normality, cap, text]) => {
      const radioId = freshId("normality");
      const radio = el("input", { type: "radio", id: radioId, name, value: normality, checked: value.normality === normality, disabled: isDisabled, on: { change: onChange } });
      return { normality, cap, radio, row: el("label", { class: "choice", for: radioId }, radio, key(cap), el("span", {}, text)) };
    });
    this.onChange = onChange;
    this.element = el(
      "div",
      { class: "view-choice" },
      el("div", { class: "labelled" }, el("label", { for: id }, legend.plane), this.plane),
      el("fieldset", { class: "grade" }, el("legend", {}, legend.normality), el("div", { class: "choices" }, this.radios.map((one) => one.row))),
    );
  }

  get value() {
    return { plane: this.plane.value, normality: this.radios.find((one) => one.radio.checked)?.normality ?? "" };
  }

  get missing() {
    if (!this.plane.value) return this.plane;
    return this.value.normality ? null : this.radios[0].radio;
  }

  onKey(event) {
    const wanted = this.radios.find((one) => one.cap === event.key);
    if (!wanted || wanted.radio.disabled) return false;
    wanted.radio.checked = true;
    this.onChange();
    return true;
  }
}

class Step {
  constructor(guided) {
    this.guided = guided;
    this.case = guided.case;
    this.problem = el("p", { class: "problem", role: "alert" });
  }

  going(text) {
    this.next = button(text, "Ctrl ⏎", () => this.submit(), { class: "primary next" });
    return el("div", { class: "going" }, el("p", { class: "count" }, this.problem), this.next);
  }

  /** Send a step once, however often Enter is pressed. */
  async send(path, body) {
    if (this.isSending) return null;
    this.isSending = this.next.disabled = true;
    this.problem.textContent = "";
    try {
      return await post(path, { case: this.case.case, seconds: this.guided.seconds, ...body });
    } catch (refusal) {
      if (refusal.status === 401) this.guided.panel.refused(refusal);
      this.problem.textContent = refusal.passes ? `${refusal.message} Nothing is lost: try again.` : refusal.message;
      return null;
    } finally {
      this.isSending = this.next.disabled = false;
    }
  }

  onKey(event) {
    return this.choice.onKey(event);
  }
}

/** Step 1: the reader's own view, before anything of the model is shown. */
export class OwnView extends Step {
  constructor(guided) {
    super(guided);
    const stored = this.case.steps.own_view;
    const value = stored || guided.kept.own || {};
    const legend = { plane: "Plane", normality: "What is shown is" };
    this.choice = new ViewChoice(this.case.views, value, legend, () => this.keep(), Boolean(stored));
    const id = freshId("seen");
    this.seen = growing({ id, rows: 4, value: value.seen || "", readonly: Boolean(stored), placeholder: "Structures, findings, quality" });
    this.seen.addEventListener("input", () => this.keep());
    this.isStored = Boolean(stored);
    this.element = el(
      "div",
      { class: "part" },
      el("div", { class: "body" },
        el("h2", {}, "What do you see?"),
        el("p", { class: "help" }, stored ? "Your own view is stored and stays as it is." : "Say it before the model does. Its text is shown when your view is stored."),
        this.choice.element,
        el("div", { class: "labelled" }, el("label", { for: id }, "What is seen", el("small", {}, " (optional)")), this.seen),
      ),
      this.going(stored ? "Go on" : "Store my view"),
    );
  }

  focus() {
    if (!this.isStored) this.choice.plane.focus();
  }

  keep() {
    this.guided.keep("own", { ...this.choice.value, seen: this.seen.value });
  }

  async submit() {
    if (this.isStored) {
      this.guided.open(this.guided.at + 1);
      return;
    }
    const { missing } = this.choice;
    if (missing) {
      this.problem.textContent = missing === this.choice.plane ? "Choose the plane." : "Say whether it is normal.";
      missing.focus();
      return;
    }
    const answer = await this.send("guided/own_view", { ...this.choice.value, seen: this.seen.value });
    if (answer) this.guided.passed(answer.case);
  }
}

/** Step 2: the model's text, read and corrected. */
export class ReadText extends Step {
  constructor(guided) {
    super(guided);
    const { steps, locked } = this.case;
    this.written = guided.slot.interpretation || {};
    const stored = steps.interpretation;
    const left = guided.kept.text || { fields: stored?.fields, after: stored };
    const after = left.after?.plane ? left.after : steps.own_view;
    const legend = { plane: "After reading: the plane is", normality: "and what is shown is" };
    this.choice = new ViewChoice(this.case.views, after, legend, () => this.keep(), locked);
    this.fields = this.case.rubric.interpretation.fields.map((name) => this.field(name, left.fields?.[name], locked));
    this.isLocked = locked;
    this.element = el(
      "div",
      { class: "part" },
      el("div", { class: "body" },
        el("h2", {}, "What the model wrote"),
        el("p", { class: "help" }, "Correct what is wrong; what you change is marked."),
        guided.slot.plane ? el("p", { class: "help" }, "Plane by its classifier: ", el("strong", {}, guided.slot.plane)) : null,
        this.fields.map((field) => field.element),
        this.choice.element,
      ),
      this.going("Go on to the structures"),
    );
  }

  field(name, corrected, isLocked) {
    const id = freshId("text");
    const before = this.written[name] || "";
    const area = growing({ id, value: corrected ?? before, readonly: isLocked });
    const mark = el("span", { class: "changed" }, "changed");
    const undo = button("Restore", null, () => {
      area.value = before;
      area.dispatchEvent(new Event("input"));
      area.focus();
    }, { class: "plain", "aria-label": `Restore ${fieldName(name)} as the model wrote it` });
    const told = () => (mark.hidden = undo.hidden = area.value === before);
    area.addEventListener("input", () => {
      told();
      this.keep();
    });
    told();
    const element = el("div", { class: "labelled" }, el("div", { class: "caption" }, el("label", { for: id }, fieldName(name)), mark, undo), area);
    return { name, area, element };
  }

  focus() {
    this.fields[0]?.area.focus();
    this.fields[0]?.area.setSelectionRange(0, 0);
  }

  get content() {
    const changed = this.fields.filter(({ name, area }) => area.value !== (this.written[name] || ""));
    return Object.fromEntries(changed.map(({ name, area }) => [name, area.value]));
  }

  keep() {
    this.guided.keep("text", { fields: this.content, after: this.choice.value });
  }

  async submit() {
    if (this.isLocked) {
      this.guided.open(this.guided.at + 1);
      return;
    }
    const fields = Object.fromEntries(this.fields.map(({ name, area }) => [name, area.value]));
    const after = this.choice.value;
    const answer = await this.send("guided/interpretation", { fields, ...after });
    if (!answer) return;
    this.guided.keep("preset", answer.preset);
    this.guided.kept.chosen = undefined;
    this.guided.stored("interpretation", { fields: this.content, ...after });
  }
}

export { Step };
