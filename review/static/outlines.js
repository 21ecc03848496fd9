// Step 5 of a guided case, after the grades are locked: accept the outlines, mend them here or in Label Studio.

import { button, el, freshId } from "./dom.js";
import { Step } from "./ownview.js";
import { get } from "./server.js";
import { groupName } from "./structures.js";

const WATCH_MS = 3000;

export class Outlines extends Step {
  constructor(guided) {
    super(guided);
    this.removed = new Set();
    this.relabelled = new Map();
    this.rows = el("div", { class: "outlines" });
    this.told = el("p", { class: "run-line", role: "status" });
    this.accept = button("Accept all", "Y", () => this.fix(true));
    this.inLabelStudio = button("Correct in Label Studio", "G", () => this.openLabelStudio());
    this.element = el(
      "div",
      { class: "part" },
      el("div", { class: "body" },
        el("h2", {}, "The outlines"),
        el("p", { class: "help" }, "The grades are locked. Accept the outlines, remove or rename some, or correct them in Label Studio."),
        this.rows,
        el("div", { class: "row" }, this.accept, this.inLabelStudio),
        this.told,
      ),
      this.going("Next case"),
    );
    if (this.case.steps.geometry) this.tellStored(this.case.steps.geometry);
    this.draw();
  }

  draw() {
    const { overlay } = this.guided.slot;
    this.rows.replaceChildren(...overlay.map((shape) => this.row(shape)));
    this.accept.disabled = false;
    this.refresh();
  }

  row(shape) {
    const { viewer } = this.guided.panel;
    const id = freshId("label");
    const select = el("select", { id, "aria-label": `Name of ${shape.label}` }, this.options(shape));
    select.value = shape.structure;
    select.addEventListener("change", () => {
      if (select.value === shape.structure) this.relabelled.delete(shape.id);
      else this.relabelled.set(shape.id, select.value);
      this.refresh();
    });
    const box = el("input", { type: "checkbox", id: freshId("remove"), "aria-label": `Remove ${shape.label}` });
    const row = el("div", { class: "outline" }, select, el("label", { for: box.id }, box, "Remove"));
    box.addEventListener("change", () => {
      if (box.checked) this.removed.add(shape.id);
      else this.removed.delete(shape.id);
      row.classList.toggle("removed", box.checked);
      select.disabled = box.checked;
      this.refresh();
    });
    for (const event of ["pointerenter", "focusin"]) row.addEventListener(event, () => viewer.highlight(shape.structure));
    for (const event of ["pointerleave", "focusout"]) row.addEventListener(event, () => viewer.highlight(null));
    return row;
  }

  /** All structures, those of the same group first. */
  options(shape) {
    const own = this.case.structures.find((item) => item.name === shape.structure)?.group;
    const groups = [...new Set([own, ...this.case.structures.map((item) => item.group)])];
    return groups.map((group) => {
      const items = this.case.structures.filter((item) => item.group === group);
      return el("optgroup", { label: groupName(group) }, items.map((item) => el("option", { value: item.name }, item.label)));
    });
  }

  get hasChanges() {
    return this.removed.size + this.relabelled.size > 0;
  }

  refresh() {
    this.next.firstChild.textContent = this.hasChanges ? "Apply the changes" : "Next case";
    this.accept.disabled = this.hasChanges;
  }

  focus() {
    this.next.focus();
  }

  async submit() {
    if (this.hasChanges) await this.fix(false);
    else this.guided.goToNextCase();
  }

  async fix(accepted) {
    if (accepted && this.hasChanges) return;
    const relabelled = Object.fromEntries([...this.relabelled].filter(([id]) => !this.removed.has(id)));
    const body = { removed: [...this.removed], relabelled, accepted };
    const answer = await this.send("guided/geometry", body);
    if (!answer) return;
    const counts = { accepted, removed: body.removed.length, relabelled: Object.keys(relabelled).length };
    this.case.steps.geometry = counts;
    this.take(answer.overlay);
    this.tellStored(counts);
    this.focus();
  }

  take(overlay) {
    this.removed.clear();
    this.relabelled.clear();
    this.guided.slot.overlay = overlay;
    this.guided.panel.viewer.overlay(overlay, this.case.slots);
    this.draw();
  }

  tellStored({ accepted, removed, relabelled }) {
    this.told.textContent = accepted ? "Accepted as they are." : `Stored: ${removed} removed, ${relabelled} renamed.`;
  }

  async openLabelStudio() {
    const answer = await this.send("guided/labelstudio", { seconds: undefined });
    if (!answer) return;
    const url = new URL(answer.url, location.href);
    if (!["http:", "https:"].includes(url.protocol)) return;
    window.open(url.href, "_blank", "noopener");
    const link = el("a", { href: url.href, target: "_blank", rel: "noopener" }, "the same frame in Label Studio");
    this.told.replaceChildren("Opened ", link, ". What you submit there comes back here by itself.");
    this.watch();
  }

  async watch() {
    clearTimeout(this.timer);
    if (this.isStopped) return;
    const found = await get("guided/geometry", { case: this.case.case }).catch(() => null);
    if (found?.corrected_in_labelstudio && !this.isStopped) {
      this.take(found.overlay);
      this.told.textContent = "The correction from Label Studio is here.";
      return;
    }
    this.timer = setTimeout(() => this.watch(), WATCH_MS);
  }

  stop() {
    this.isStopped = true;
    clearTimeout(this.timer);
  }

  onKey(event) {
    const pressed = event.key.toLowerCase();
    if (pressed === "y") this.fix(true);
    else if (pressed === "g") this.openLabelStudio();
    else return false;
    return true;
  }
}
