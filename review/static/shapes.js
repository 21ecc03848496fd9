// Outlines as SVG in the frame's own pixels. Line widths and markers keep their size on the screen at any zoom.

import { svg } from "./dom.js";

export const DASHES = ["", "9 4", "2 3", "12 3 2 3", "16 5", "5 2 1 2 1 2", "4 4", "1 4"];
const MARKERS = ["circle", "cross", "square", "diamond", "triangle"];
const MARKER_PX = 5;

/** Give every structure of a case a dash pattern and marker, the same in all of its slots. */
export function patternsOf(slots) {
  const names = [...new Set(slots.flatMap((slot) => slot.overlay.map((shape) => shape.structure)))].sort();
  return new Map(names.map((name, at) => [name, { dash: DASHES[at % DASHES.length], marker: MARKERS[at % MARKERS.length] }]));
}

export function boundsOf(shape) {
  if (shape.kind === "keypoints") {
    const xs = shape.points.map((point) => point.x);
    const ys = shape.points.map((point) => point.y);
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  }
  return shape.box_xyxy;
}

/** Big shapes first, so that small ones lie on top and can be pointed at. */
export function byArea(shapes) {
  const area = ([left, top, right, bottom]) => (right - left) * (bottom - top);
  return [...shapes].sort((first, second) => area(boundsOf(second)) - area(boundsOf(first)));
}

export function drawn(shape, pattern) {
  const group = svg("g", { class: `shape ${shape.kind}`, "data-id": shape.id, "data-structure": shape.structure });
  const halo = isDark(shape.colour) ? "#ffffff" : "#000000";
  if (shape.kind === "keypoints") {
    group.append(...points(shape, pattern, halo));
    return group;
  }
  const line = () => outline(shape);
  const fill = shape.kind === "mask" || shape.kind === "ellipse" ? shape.colour : "transparent";
  group.append(
    filledWith(line(), { class: "halo", stroke: halo, fill: "none" }),
    filledWith(line(), { class: "line", stroke: shape.colour, fill, "stroke-dasharray": pattern.dash }),
  );
  return group;
}

function filledWith(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function outline(shape) {
  if (shape.kind === "ellipse") {
    const { cx, cy, rx, ry, angle_deg: angle } = shape.ellipse;
    return svg("ellipse", { cx, cy, rx, ry, transform: `rotate(${angle} ${cx} ${cy})` });
  }
  if (shape.rings) {
    const path = shape.rings.map((ring) => `M${ring.map((point) => point.join(" ")).join("L")}Z`).join("");
    return svg("path", { d: path, "fill-rule": "evenodd" });
  }
  const [left, top, right, bottom] = shape.box_xyxy;
  return svg("rect", { x: left, y: top, width: right - left, height: bottom - top });
}

function points(shape, pattern, halo) {
  const seen = shape.points.filter((point) => point.visibility > 0);
  const parts = [];
  if (seen.length === 2) {
    const [first, second] = seen;
    const ends = { x1: first.x, y1: first.y, x2: second.x, y2: second.y };
    parts.push(svg("line", { ...ends, class: "halo", stroke: halo }));
    parts.push(svg("line", { ...ends, class: "line", stroke: shape.colour, "stroke-dasharray": pattern.dash }));
  }
  for (const point of seen) {
    const at = { class: "marker", "data-x": point.x, "data-y": point.y };
    const mark = () => svg("path", { d: markerPath(pattern.marker, MARKER_PX) });
    parts.push(
      svg(
        "g",
        at,
        filledWith(mark(), { class: "halo", stroke: halo, fill: "none" }),
        filledWith(mark(), { class: "line", stroke: shape.colour, fill: point.visibility > 1 ? shape.colour : "none" }),
      ),
    );
  }
  return parts;
}

function markerPath(marker, size) {
  if (marker === "cross") return `M${-size} 0H${size}M0 ${-size}V${size}`;
  if (marker === "square") return `M${-size} ${-size}H${size}V${size}H${-size}Z`;
  if (marker === "diamond") return `M0 ${-size}L${size} 0L0 ${size}L${-size} 0Z`;
  if (marker === "triangle") return `M0 ${-size}L${size} ${size}H${-size}Z`;
  return `M${-size} 0A${size} ${size} 0 1 1 ${size} 0A${size} ${size} 0 1 1 ${-size} 0Z`;
}

/** Markers are drawn in screen pixels: they are scaled back whenever the zoom changes. */
export function keepMarkers(root, zoom) {
  for (const marker of root.querySelectorAll("g.marker")) {
    marker.setAttribute("transform", `translate(${marker.dataset.x} ${marker.dataset.y}) scale(${1 / zoom})`);
  }
}

/** A sample of a structure's line for the list beside its name. */
export function sample(shape, pattern) {
  const box = svg("svg", { class: "sample", viewBox: "0 0 30 14", width: 30, height: 14, "aria-hidden": "true" });
  if (shape.kind === "keypoints") {
    const mark = filledWith(svg("path", { d: markerPath(pattern.marker, 4.5), transform: "translate(15 7)" }), {
      stroke: shape.colour,
      fill: shape.colour,
      "stroke-width": 1.5,
    });
    box.append(svg("line", { x1: 1, y1: 7, x2: 29, y2: 7, stroke: shape.colour, "stroke-dasharray": pattern.dash }), mark);
  } else {
    const line = { x1: 1, y1: 7, x2: 29, y2: 7, "stroke-width": 3 };
    box.append(svg("line", { ...line, stroke: shape.colour, "stroke-dasharray": pattern.dash }));
    if (isDark(shape.colour)) box.prepend(svg("rect", { width: 30, height: 14, rx: 2, fill: "#c9ced3" }));
  }
  return box;
}

function isDark(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue < 95;
}
