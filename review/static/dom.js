// Small helpers to build pages. Data only ever becomes text or an attribute's value, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: attributes, `on` for listeners, and children (nodes or text; null is left out). */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (key === "value" || key === "checked" || key === "disabled") {
      node[key] = value;
    } else {
      node.setAttribute(key, value === true ? "" : String(value));
    }
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function key(text) {
  return el("kbd", { "aria-hidden": "true" }, text);
}

/** A button with its key cap; the key is also told to screen readers. */
export function button(text, cap, onClick, attributes = {}) {
  return el(
    "button",
    { type: "button", "aria-keyshortcuts": cap ? spoken(cap) : null, on: { click: onClick }, ...attributes },
    el("span", {}, text),
    cap ? key(cap) : null,
  );
}

function spoken(cap) {
  return { "⏎": "Enter", "←": "ArrowLeft", "→": "ArrowRight", "−": "-", "Ctrl ⏎": "Control+Enter" }[cap] || cap;
}

let serial = 0;
export function freshId(prefix) {
  serial += 1;
  return `${prefix}-${serial}`;
}

/** A text area that grows with its text. */
export function growing(attributes) {
  const area = el("textarea", { rows: 1, maxlength: 10000, ...attributes });
  const fit = () => {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  };
  area.addEventListener("input", fit);
  new ResizeObserver(fit).observe(area.parentElement || area);
  return area;
}

export function capitalised(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function fieldName(name) {
  return capitalised(name.replaceAll("_", " "));
}
