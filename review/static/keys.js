// The keyboard: what a key means on the page, and where it means nothing because somebody types.

import { showKeys } from "./dialogs.js";

/** Answer keys for `panel`, whose open case, if any, is `panel.view`. */
export function listenToKeys(panel) {
  document.addEventListener("keydown", (event) => onKey(panel, event));
}

function onKey(panel, event) {
  if (event.isComposing || event.altKey || event.metaKey || panel.root.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && panel.root.contains(event.target)) panel.rest();
  if (event.key === "Enter" && event.ctrlKey) {
    event.preventDefault();
    if (panel.view && !event.repeat) panel.onEnter();
  } else if (!event.ctrlKey && !isTyping(event) && isFree(event)) {
    // A key held down repeats for the view alone: it must not grade case after case.
    const isMeant = event.repeat ? panel.view && panel.viewer.onKey(event) : act(panel, event);
    if (isMeant) event.preventDefault();
  }
}

function isTyping(event) {
  const { target } = event;
  if (!(target instanceof HTMLElement)) return false;
  if (target.tagName === "INPUT") return !["radio", "checkbox", "range"].includes(target.type);
  return target.isContentEditable || target.tagName === "TEXTAREA" || target.tagName === "SELECT";
}

/** Some keys mean something to the control that has the focus. */
function isFree({ target, key }) {
  if (target.closest?.("button, summary, a") && ["Enter", " "].includes(key)) return false;
  return !(target.matches?.("input[type=radio], input[type=range]") && key.startsWith("Arrow"));
}

function act(panel, event) {
  if (event.key === "?") showKeys(panel.root);
  else if (event.key === "ArrowLeft" && !event.shiftKey) panel.goBack();
  else if (!panel.view) return false;
  else if (event.key === "Enter" || (event.key === "ArrowRight" && !event.shiftKey)) panel.onEnter();
  else return panel.view.onKey(event) || panel.viewer.onKey(event);
  return true;
}
