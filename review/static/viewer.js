// The frame, large, with its outlines over it: zoom at the cursor, pan, window, opacity, structures on and off.

import { button, el, freshId, key, svg } from "./dom.js";
import { boundsOf, byArea, drawn, keepMarkers, patternsOf, sample } from "./shapes.js";

const ZOOM_STEP = 1.2;
const LARGEST_ZOOM = 40; // screen pixels for one pixel of the frame
const MARGIN = 10;
const SCALE_MM = [0.5, 1, 2, 5, 10, 20, 50, 100];
const DRAG_PX = 3;

export class Viewer {
  constructor() {
    this.hidden = new Set();
    this.window = { brightness: 100, contrast: 100 };
    this.opacity = 100;
    this.isOverlayOn = true;
    this.areNamesOn = true;
    this.shapes = [];
    this.build();
    new ResizeObserver(() => this.frame && (this.isFitted ? this.fit() : this.place())).observe(this.stage);
  }

  build() {
    this.sheet = el("div", { class: "sheet" });
    this.tags = el("div", { class: "tags", "aria-hidden": "true" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.scale = el("div", { class: "scale", hidden: true });
    this.badge = el("div", { class: "badge", hidden: true }, "Simulated frame");
    this.stage = el(
      "div",
      { class: "stage", tabindex: 0, role: "group", "aria-label": "Frame: plus and minus zoom, zero fits, arrows with Shift move" },
      this.sheet,
      this.tags,
      this.scale,
      this.badge,
      this.tip,
    );
    this.list = el("div", { class: "structures", role: "group", "aria-label": "Structures" });
    this.element = el("section", { class: "viewer", "aria-label": "Frame" }, this.stage, this.list, this.toolbar());
    this.listen();
  }

  toolbar() {
    this.zoomText = el("output", { class: "zoom", "aria-label": "Zoom" });
    this.sliders = {};
    const overlay = el("input", { type: "checkbox", checked: true, id: freshId("overlay"), on: { change: () => this.toggleOverlay() } });
    const names = el("input", { type: "checkbox", checked: true, id: freshId("names"), on: { change: () => this.toggleNames() } });
    this.boxes = { overlay, names };
    return el(
      "div",
      { class: "toolbar", role: "toolbar", "aria-label": "View" },
      el(
        "div",
        { class: "tools" },
        button("Fit", "0", () => this.fit()),
        button("−", null, () => this.zoomBy(1 / ZOOM_STEP), { "aria-label": "Zoom out" }),
        button("+", null, () => this.zoomBy(ZOOM_STEP), { "aria-label": "Zoom in" }),
        this.zoomText,
      ),
      this.slider("brightness", "Brightness", ["{", "}"], 10, 190),
      this.slider("contrast", "Contrast", ["[", "]"], 10, 190),
      el("label", { class: "tick", for: overlay.id }, overlay, "Overlay", key("O")),
      this.slider("opacity", "Opacity of the overlay", null, 10, 100),
      el("label", { class: "tick", for: names.id }, names, "Names", key("L")),
    );
  }

  slider(name, text, caps, least, most) {
    const id = freshId(name);
    const input = el("input", { type: "range", id, min: least, max: most, step: 5, value: 100, on: { input: () => this.set(name, input.valueAsNumber) } });
    input.addEventListener("dblclick", () => this.set(name, 100));
    this.sliders[name] = input;
    const label = caps ? el("label", { for: id }, text, ...caps.map(key)) : el("label", { for: id, class: "spoken" }, text);
    return el("div", { class: "slider", title: text }, label, input);
  }

  listen() {
    this.stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.onDown(event));
    this.stage.addEventListener("pointermove", (event) => this.onMove(event));
    for (const end of ["pointerup", "pointercancel"]) this.stage.addEventListener(end, () => (this.drag = null));
    this.stage.addEventListener("pointerleave", () => this.highlight(null));
    this.stage.addEventListener("dblclick", () => this.fit());
    this.stage.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** Show another frame: the view starts afresh. `image` is decoded already. */
  show(frame, image, slots) {
    const isSame = this.frame && this.frame.url === frame.url;
    this.frame = frame;
    this.patterns = patternsOf(slots);
    if (isSame) return;
    this.hidden.clear();
    image.alt = frame.simulated ? "Simulated ultrasound frame" : "Ultrasound frame";
    this.drawing = svg("svg", { viewBox: `0 0 ${frame.width} ${frame.height}`, "aria-hidden": "true", class: "drawing" });
    this.sheet.replaceChildren(image, this.drawing);
    this.badge.hidden = !frame.simulated;
    this.set("brightness", 100);
    this.set("contrast", 100);
    this.fit();
  }

  /** Draw the outlines of one slot; zoom and window stay, so that slots can be compared. */
  overlay(shapes, slots, without = "Nothing is outlined in this frame.") {
    const isKnown = shapes.every((shape) => this.patterns.has(shape.structure));
    if (slots || !isKnown) this.patterns = patternsOf(slots || [{ overlay: shapes }]);
    this.shapes = byArea(shapes);
    this.drawing.replaceChildren(...this.shapes.map((shape) => drawn(shape, this.patterns.get(shape.structure))));
    this.listStructures(without);
    this.refresh();
    this.place();
  }

  listStructures(without) {
    const chips = [...grouped(this.shapes)].map(([name, shapes]) => this.chip(name, shapes));
    this.list.replaceChildren(...(chips.length ? chips : [el("p", { class: "none" }, without)]));
  }

  chip(name, shapes) {
    const [first] = shapes;
    const measures = shapes.flatMap((shape) => shape.measures).join(" · ");
    const box = el("input", { type: "checkbox", id: freshId("structure"), checked: !this.hidden.has(name) });
    box.addEventListener("change", () => {
      if (box.checked) this.hidden.delete(name);
      else this.hidden.add(name);
      this.refresh();
    });
    const over = () => this.highlight(name);
    const out = () => this.highlight(null);
    return el(
      "label",
      { class: "chip", for: box.id, on: { pointerenter: over, pointerleave: out, focusin: over, focusout: out } },
      box,
      sample(first, this.patterns.get(name)),
      el("span", { class: "name" }, first.label, shapes.length > 1 ? ` × ${shapes.length}` : ""),
      measures ? el("span", { class: "measure" }, measures) : null,
    );
  }

  refresh() {
    if (!this.drawing) return;
    this.drawing.style.opacity = this.isOverlayOn ? this.opacity / 100 : 0;
    this.tags.hidden = !this.isOverlayOn || !this.areNamesOn || this.shapes.length > 30;
    for (const group of this.drawing.children) {
      group.classList.toggle("off", !this.isOverlayOn || this.hidden.has(group.dataset.structure));
    }
    this.nameShapes();
  }

  /** Short names at the outlines' corners, in screen pixels. */
  nameShapes() {
    if (this.tags.hidden) return;
    const seen = this.shapes.filter((shape) => !this.hidden.has(shape.structure));
    this.tags.replaceChildren(
      ...seen.map((shape) => {
        const [left, top, right] = boundsOf(shape);
        const isRound = shape.kind === "ellipse" || shape.kind === "mask";
        const tag = el("span", { class: isRound ? "tag middle" : "tag" }, shape.structure.replaceAll("_", " "));
        tag.style.left = `${this.x + (isRound ? (left + right) / 2 : left) * this.zoom}px`;
        tag.style.top = `${this.y + top * this.zoom}px`;
        tag.style.borderColor = shape.colour;
        return tag;
      }),
    );
  }

  /** Name a structure and stress its outlines; null ends it. */
  highlight(name, at = null) {
    if (!this.drawing) return;
    let first = null;
    for (const group of this.drawing.children) {
      const isMeant = group.dataset.structure === name && !group.classList.contains("off");
      group.classList.toggle("stressed", isMeant);
      if (isMeant) first = this.shapes.find((shape) => shape.id === group.dataset.id);
    }
    this.tip.hidden = !first;
    if (!first) return;
    const measures = this.shapes.filter((shape) => shape.structure === name).flatMap((shape) => shape.measures);
    this.tip.textContent = [first.label, ...measures].join(" · ");
    const [left, , , bottom] = boundsOf(first);
    const x = at ? at.x + 14 : this.x + left * this.zoom;
    const y = at ? at.y + 16 : this.y + bottom * this.zoom + 6;
    const room = { x: this.stage.clientWidth - this.tip.offsetWidth - 4, y: this.stage.clientHeight - this.tip.offsetHeight - 4 };
    this.tip.style.left = `${Math.max(4, Math.min(x, room.x))}px`;
    this.tip.style.top = `${Math.max(4, Math.min(y, room.y))}px`;
  }

  fit() {
    const { clientWidth, clientHeight } = this.stage;
    if (!this.frame || !clientWidth) return;
    this.fitZoom = Math.min((clientWidth - 2 * MARGIN) / this.frame.width, (clientHeight - 2 * MARGIN) / this.frame.height);
    this.zoom = this.fitZoom;
    this.x = (clientWidth - this.frame.width * this.zoom) / 2;
    this.y = (clientHeight - this.frame.height * this.zoom) / 2;
    this.isFitted = true;
    this.place();
  }

  /** Zoom by a factor about a point of the stage; its middle where none is given. */
  zoomBy(factor, at = null) {
    if (!this.frame) return;
    const point = at || { x: this.stage.clientWidth / 2, y: this.stage.clientHeight / 2 };
    const zoom = Math.min(LARGEST_ZOOM, Math.max(this.fitZoom / 2, this.zoom * factor));
    this.x = point.x - ((point.x - this.x) * zoom) / this.zoom;
    this.y = point.y - ((point.y - this.y) * zoom) / this.zoom;
    this.zoom = zoom;
    this.isFitted = false;
    this.place();
  }

  panBy(x, y) {
    this.x += x;
    this.y += y;
    this.isFitted = false;
    this.place();
  }

  place() {
    if (!this.frame || !this.zoom) return;
    const { style } = this.sheet;
    style.width = `${this.frame.width * this.zoom}px`;
    style.height = `${this.frame.height * this.zoom}px`;
    style.transform = `translate(${this.x}px, ${this.y}px)`;
    this.zoomText.textContent = `${Math.round((this.zoom / this.fitZoom) * 100)} %`;
    keepMarkers(this.drawing, this.zoom);
    this.placeScale();
    this.nameShapes();
  }

  placeScale() {
    const spacing = this.frame.pixel_spacing_mm;
    this.scale.hidden = !spacing;
    if (!spacing) return;
    const pxPerMm = this.zoom / spacing[1];
    const length = SCALE_MM.findLast((mm) => mm * pxPerMm < this.stage.clientWidth * 0.22) || SCALE_MM[0];
    this.scale.style.width = `${length * pxPerMm}px`;
    this.scale.textContent = `${length} mm`;
  }

  set(name, value) {
    const input = this.sliders[name];
    input.value = value;
    if (name === "opacity") this.opacity = input.valueAsNumber;
    else this.window[name] = input.valueAsNumber;
    input.setAttribute("aria-valuetext", `${input.value} %`);
    const image = this.sheet.querySelector("img");
    if (image) image.style.filter = `brightness(${this.window.brightness}%) contrast(${this.window.contrast}%)`;
    this.refresh();
  }

  change(name, by) {
    this.set(name, this.sliders[name].valueAsNumber + by);
  }

  toggleOverlay(isOn = this.boxes.overlay.checked) {
    this.isOverlayOn = this.boxes.overlay.checked = isOn;
    this.refresh();
  }

  toggleNames(areOn = this.boxes.names.checked) {
    this.areNamesOn = this.boxes.names.checked = areOn;
    this.refresh();
  }

  onWheel(event) {
    event.preventDefault();
    this.zoomBy(Math.exp(-Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 100) * 0.002), this.point(event));
  }

  onDown(event) {
    if (!this.frame || (event.button !== 0 && event.button !== 2)) return;
    const start = { x: event.clientX, y: event.clientY };
    this.drag = { button: event.button, start, last: start, window: { ...this.window }, hasMoved: false };
    this.stage.setPointerCapture(event.pointerId);
  }

  onMove(event) {
    if (!this.drag) {
      const group = event.target.closest?.("g.shape");
      this.highlight(group ? group.dataset.structure : null, this.point(event));
      return;
    }
    const { start, last, window } = this.drag;
    const far = { x: event.clientX - start.x, y: event.clientY - start.y };
    if (!this.drag.hasMoved && Math.hypot(far.x, far.y) < DRAG_PX) return;
    this.drag.hasMoved = true;
    this.drag.last = { x: event.clientX, y: event.clientY };
    this.highlight(null);
    if (this.drag.button === 0) {
      this.panBy(event.clientX - last.x, event.clientY - last.y);
    } else {
      this.set("contrast", window.contrast + far.x / 3);
      this.set("brightness", window.brightness - far.y / 3);
    }
  }

  point(event) {
    const box = this.stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** Answer a key of the view; true where it was one. */
  onKey(event) {
    const act = {
      "+": () => this.zoomBy(ZOOM_STEP),
      "=": () => this.zoomBy(ZOOM_STEP),
      "-": () => this.zoomBy(1 / ZOOM_STEP),
      0: () => this.fit(),
      "[": () => this.change("contrast", -10),
      "]": () => this.change("contrast", 10),
      "{": () => this.change("brightness", -10),
      "}": () => this.change("brightness", 10),
      o: () => this.toggleOverlay(!this.isOverlayOn),
      l: () => this.toggleNames(!this.areNamesOn),
    }[event.key.toLowerCase()];
    const move = event.shiftKey && { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (move) this.panBy(...move);
    else if (act) act();
    return Boolean(move || act);
  }
}

function grouped(shapes) {
  const groups = new Map();
  for (const shape of shapes) groups.set(shape.structure, [...(groups.get(shape.structure) || []), shape]);
  return groups;
}
