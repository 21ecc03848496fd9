// Step 3 of a guided case: what to look for, preset by the mapping with its reasons, and the run itself.

import { button, el, fieldName, freshId } from "./dom.js";
import { Step } from "./ownview.js";
import { get, post } from "./server.js";

const POLL_MS = 350;
const GROUP_NAMES = {
  brain: "Brain",
  cardiac: "Heart and thorax",
  nt_nasal: "Nuchal translucency and nose",
  crl: "Crown-rump view",
  abdominal_organs: "Abdominal organs and vessels",
  pelvimetry: "Pelvimetry",
  body: "Body parts",
  calibration: "Scale bar",
  first_trimester_brain: "First-trimester brain",
};

export function groupName(group) {
  return GROUP_NAMES[group] || fieldName(group);
}

export class Structures extends Step {
  constructor(guided) {
    super(guided);
    const { steps } = this.case;
    const chosen = guided.kept.chosen || steps.targets || guided.kept.preset || { detect: [], segment: [] };
    this.chosen = { detect: new Set(chosen.detect), segment: new Set(chosen.segment) };
    this.isFixed = this.case.locked || Boolean(guided.marks.all.find((mark) => mark.dimension === "annotation")?.saved);
    this.reasons = el("div", { class: "reasons" });
    this.groups = el("div", { class: "groups" });
    this.runLine = el("p", { class: "run-line", role: "status" });
    this.bar = el("progress", { max: 1, value: 0, hidden: true, "aria-label": "Run" });
    this.cancelButton = button("Cancel", "X", () => this.cancel(), { hidden: true });
    this.element = el(
      "div",
      { class: "part" },
      el("div", { class: "body" }, el("h2", {}, "What shall be looked for?"), this.reasons, this.groups),
      el("div", { class: "run" }, this.bar, this.runLine, this.cancelButton),
      this.going(this.isFixed ? "To the grades" : "Look for them"),
    );
    this.without = button("Grade without outlines", null, () => this.goWithout(), { class: "plain", hidden: true });
    this.next.before(this.without);
    this.draw();
    const state = steps.run?.state;
    if (["running", "queued"].includes(state)) this.poll();
    else if (["failed", "cancelled"].includes(state)) this.ended(state, "");
    if (!guided.kept.preset && !this.isFixed) this.askPreset();
  }

  /** After a reload on another computer the preset is not here: the text is stored, so it can be asked for again. */
  async askPreset() {
    const { fields, plane, normality } = this.case.steps.interpretation;
    const answer = await this.send("guided/interpretation", { fields: { ...this.guided.slot.interpretation, ...fields }, plane, normality });
    if (!answer) return;
    this.guided.keep("preset", answer.preset);
    if (!this.case.steps.targets) {
      this.chosen = { detect: new Set(answer.preset.detect), segment: new Set(answer.preset.segment) };
    }
    this.draw();
  }

  draw() {
    const { preset } = this.guided.kept;
    const evidence = preset?.evidence ?? [];
    this.reasons.replaceChildren(
      ...(preset
        ? [el("p", { class: "help" }, "Preset by ", el("strong", {}, preset.tier || "the default"), evidence.length ? ", because:" : "."), el("ul", {}, evidence.map((line) => el("li", {}, line)))]
        : [el("p", { class: "help" }, "Choose structures of one group.")]),
    );
    const names = [...new Set(this.case.structures.map((item) => item.group))];
    const isChosen = (group) => this.inGroup(group).some((item) => this.chosen.detect.has(item.name) || this.chosen.segment.has(item.name));
    const sorted = [...names.filter(isChosen), ...names.filter((name) => !isChosen(name))];
    this.groups.replaceChildren(...sorted.map((group) => this.group(group, isChosen(group))));
  }

  inGroup(group) {
    return this.case.structures.filter((item) => item.group === group);
  }

  group(group, isOpen) {
    const count = el("span", { class: "chosen" });
    const tell = () => {
      const found = this.inGroup(group).filter((item) => this.chosen.detect.has(item.name) || this.chosen.segment.has(item.name));
      count.textContent = found.length ? `${found.length} chosen` : "";
    };
    tell();
    const head = el("div", { class: "target head", "aria-hidden": "true" }, el("span", {}, ""), el("span", {}, "Find"), el("span", {}, "Outline"));
    const rows = this.inGroup(group).map((item) => this.row(item, tell));
    return el("details", { class: "group", open: isOpen }, el("summary", {}, groupName(group), count), head, rows);
  }

  row(item, tell) {
    const box = (how, text) => {
      const input = el("input", { type: "checkbox", id: freshId("target"), "aria-label": `${text} ${item.label}`, checked: this.chosen[how].has(item.name), disabled: this.isFixed });
      input.addEventListener("change", () => {
        if (input.checked) this.chosen[how].add(item.name);
        else this.chosen[how].delete(item.name);
        this.guided.keep("chosen", this.content);
        tell();
      });
      return input;
    };
    const find = box("detect", "Find");
    return el(
      "div",
      { class: "target" },
      el("label", { for: find.id }, item.label),
      find,
      item.kinds.includes("mask") ? box("segment", "Outline") : el("span", { "aria-hidden": "true" }, "–"),
    );
  }

  get content() {
    return { detect: [...this.chosen.detect], segment: [...this.chosen.segment] };
  }

  focus() {
    if (!this.isFixed) this.next.focus();
  }

  async submit() {
    if (this.isRunning) return;
    if (this.isFixed) {
      this.guided.open(this.guided.at + 1);
      return;
    }
    const answer = await this.send("guided/targets", this.content);
    if (!answer) return;
    this.guided.withoutOutlines = false;
    this.case.steps.targets = { ...this.content };
    this.case.steps.run = { state: "running" };
    this.poll();
  }

  show(isRunning, run = {}) {
    this.isRunning = isRunning;
    this.bar.hidden = this.cancelButton.hidden = !isRunning;
    this.next.disabled = isRunning;
    if (run.progress > 0) this.bar.value = run.progress;
    else this.bar.removeAttribute("value");
    this.runLine.textContent = isRunning ? run.line || "Looking for the structures…" : this.runLine.textContent;
  }

  async poll() {
    this.without.hidden = true;
    this.show(true);
    for (;;) {
      let run;
      try {
        run = await get("guided/run", { case: this.case.case });
      } catch (refusal) {
        run = refusal.passes ? { state: "running", progress: 0, line: "The server cannot be reached; trying again." } : { state: "failed", line: refusal.message };
      }
      if (this.isStopped) return;
      if (!["queued", "running"].includes(run.state)) {
        this.ended(run.state, run.line, run.overlay);
        return;
      }
      this.show(true, run);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  ended(state, line, overlay) {
    this.show(false);
    if (state === "done") {
      this.guided.slot.overlay = overlay;
      this.guided.stored("run", { state });
      return;
    }
    this.case.steps.run = { state };
    this.runLine.textContent = state === "cancelled" ? "Cancelled. Choose again, or go on." : line || "The run failed. Try again, or grade without outlines.";
    this.without.hidden = false;
  }

  async cancel() {
    await post("guided/cancel", { case: this.case.case }).catch(() => null);
  }

  /** Where nothing could be found the annotation is not gradable; the text can still be graded. */
  goWithout() {
    this.guided.withoutOutlines = true;
    this.guided.open(this.guided.at + 1);
  }

  stop() {
    this.isStopped = true;
  }

  onKey(event) {
    if (event.key.toLowerCase() !== "x" || !this.isRunning) return false;
    this.cancel();
    return true;
  }
}
