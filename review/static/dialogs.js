// Windows over the page: the list of keys, the reason for changing a locked grade, a question before leaving.

import { button, el, freshId, growing } from "./dom.js";
import { GRADES, gradeText } from "./marks.js";

const KEYS = [
  ["Grades", [
    [["1", "2", "3"], "acceptable, minor issues, major errors"],
    [["N"], "not gradable"],
    [["D"], "the other dimension: interpretation or annotation"],
    [["A", "B", "C"], "output A, B, C (from D on with Shift)"],
    [["K"], "checklist of faults; Tab and Space to tick"],
    [["E"], "errors in the fields of the interpretation"],
    [["M"], "comment"],
    [["Esc"], "leave a field: the keys act again"],
  ]],
  ["Cases", [
    [["⏎", "→"], "next: a grade that is missing, or the next case"],
    [["←"], "back to the case before"],
    [["Ctrl ⏎"], "next, from within a field"],
    [["?"], "these keys"],
  ]],
  ["Frame", [
    [["+", "−", "0"], "zoom in, zoom out, fit"],
    [["Shift ← ↑ → ↓"], "move the frame"],
    [["[", "]"], "contrast"],
    [["{", "}"], "brightness"],
    [["O"], "overlay on and off"],
    [["L"], "names on and off"],
  ]],
];
const MOUSE = "Mouse: wheel zooms at the pointer, drag moves, right drag changes contrast and brightness, double click fits.";

function open(title, ...content) {
  const id = freshId("dialog");
  const dialog = el("dialog", { "aria-labelledby": id, class: "dialog" }, el("h2", { id }, title), ...content);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  return dialog;
}

export function showKeys(parent) {
  const part = ([title, rows]) =>
    el(
      "section",
      {},
      el("h3", {}, title),
      el("dl", {}, rows.map(([caps, text]) => el("div", {}, el("dt", {}, caps.map((cap) => el("kbd", {}, cap))), el("dd", {}, text)))),
    );
  const dialog = open("Keys", el("div", { class: "keys" }, KEYS.map(part)), el("p", {}, MOUSE));
  dialog.append(el("div", { class: "row" }, button("Close", "Esc", () => dialog.close(), { class: "primary" })));
  parent.append(dialog);
  dialog.showModal();
}

/** Ask for another grade and why; `onGiven(grade, reason)`. */
export function askChange(parent, mark, onGiven) {
  const name = freshId("changed");
  const choices = GRADES.map(({ grade, text, key }) => {
    const id = freshId("change");
    const radio = el("input", { type: "radio", id, name, value: grade, checked: grade === mark.grade });
    return { grade, radio, row: el("label", { class: "choice", for: id }, radio, el("kbd", { "aria-hidden": "true" }, key), el("span", {}, text)) };
  });
  const id = freshId("reason");
  const reason = growing({ id, rows: 2, required: true });
  const dialog = open(
    `Change the grade of the ${mark.dimension} of ${mark.slot}`,
    el("p", {}, `The grade ${gradeText(mark.grade)} is locked. A change is added beside it, with its reason.`),
    el("fieldset", { class: "choices" }, el("legend", {}, "New grade"), choices.map((one) => one.row)),
    el("label", { for: id }, "Reason"),
    reason,
    el("p", { class: "problem", role: "alert" }),
  );
  const give = () => {
    const chosen = choices.find((one) => one.radio.checked);
    const text = reason.value.trim();
    const problem = !text ? "Please give a reason." : chosen.grade === mark.grade ? "This is the grade as it is." : "";
    dialog.querySelector(".problem").textContent = problem;
    if (problem) return;
    dialog.close();
    onGiven(chosen.grade, text);
  };
  dialog.addEventListener("keydown", (event) => {
    const wanted = choices.find((one) => String(one.grade).charAt(0) === event.key.toUpperCase());
    if (event.key === "Enter" && event.target.tagName !== "BUTTON" && !event.shiftKey) {
      event.preventDefault();
      give();
    } else if (wanted && event.target !== reason) {
      wanted.radio.checked = true;
    }
  });
  const cancel = button("Cancel", "Esc", () => dialog.close());
  dialog.append(el("div", { class: "row" }, cancel, button("Change the grade", "⏎", give, { class: "primary" })));
  parent.append(dialog);
  dialog.showModal();
}

/** Ask a question; `onYes` when it is answered so. */
export function ask(parent, title, text, yes, onYes) {
  const dialog = open(title, el("p", {}, text));
  const go = () => {
    dialog.close();
    onYes();
  };
  dialog.append(el("div", { class: "row" }, button("Cancel", "Esc", () => dialog.close()), button(yes, null, go, { class: "primary" })));
  parent.append(dialog);
  dialog.showModal();
}
