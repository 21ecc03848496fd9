// Pages without a case: what is there to read, what to wait for, what is finished.

import { button, el } from "./dom.js";

const MODES = { autonomous: "autonomous", guided: "guided", adjudication: "adjudication" };

function screen(title, ...content) {
  return el("div", { class: "screen" }, el("div", { class: "card", tabindex: -1 }, el("h1", {}, title), ...content));
}

export function message(title, lines, ...actions) {
  return screen(title, ...lines.filter(Boolean).map((line) => el("p", {}, line)), actions.length ? el("div", { class: "row" }, actions) : null);
}

export function chooseStudy(studies, onChosen) {
  const items = studies.map((study) => {
    const isOpen = !study.blocked && study.done < study.total;
    const standing = study.blocked || (isOpen ? "open" : "finished");
    const caption = el("span", {}, `${study.done} of ${study.total} · ${MODES[study.mode] || study.mode} · ${standing}`);
    return el(
      "li",
      {},
      el(
        "button",
        { type: "button", class: "study", on: { click: () => onChosen(study.study) } },
        el("strong", {}, study.title),
        caption,
        meter(study.done, study.total),
      ),
    );
  });
  return screen("Your reader studies", el("ul", { class: "studies" }, items));
}

export function meter(done, total) {
  const bar = el("span", { class: "bar" });
  bar.style.width = `${total ? (100 * done) / total : 0}%`;
  return el("span", { class: "meter", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": total, "aria-valuenow": done, "aria-label": "Progress" }, bar);
}

/** All cases read, or a wait: what is next, and when. */
export function finished(standing, { onBack, onStudies, onAgain }) {
  const back = onBack && button("Back", "←", onBack);
  const others = onStudies && button("Other studies", null, onStudies);
  const read = `${standing.done} of ${standing.total} cases are finished. Everything is saved.`;
  if (!standing.waiting_until) {
    return message(
      "Finished: thank you",
      [read, "Nothing is left for you to do in this study. You may log out.", "To change a grade go back to its case; a reason is asked for."],
      back,
      others,
    );
  }
  const when = new Date(standing.waiting_until);
  const moment = when.toLocaleString([], { dateStyle: "full", timeStyle: "short" });
  const isWashout = (standing.reason || "").startsWith("washout");
  const why = isWashout
    ? "The second part shows frames again. It opens after a pause, so that you do not remember the first."
    : "You have reached the limit of this session. Tired eyes grade differently: take a break.";
  return message(
    isWashout ? "Pause before the second part" : "Time for a break",
    [read, why, `Go on from ${moment}. Log in then; you begin where you stopped.`],
    back,
    button("Look again", null, onAgain),
    others,
  );
}
