// The grades of one case as the reader is giving them: no page in here.
//
// A grade goes to the server at once, but the one that would complete the case, and so lock it, is held until the
// reader goes on: a slip of a finger can still be mended. What is held or half done is kept as the case's draft.

export const GRADES = [
  { grade: 1, key: "1", text: "Acceptable" },
  { grade: 2, key: "2", text: "Minor" },
  { grade: 3, key: "3", text: "Major" },
  { grade: "NG", key: "N", text: "Not gradable" },
];

export function gradeText(grade) {
  const found = GRADES.find((one) => one.grade === grade);
  return found ? `${found.key === "N" ? "" : `${found.key} `}${found.text}` : "";
}

/** One grade of one slot in one dimension, with the faults that were ticked. */
class Mark {
  constructor(slot, dimension, saved) {
    this.slot = slot;
    this.dimension = dimension;
    this.seconds = 0;
    this.take(saved);
  }

  take(record) {
    this.saved = record;
    this.grade = record?.grade ?? null;
    this.criteria = new Set(record?.criteria ?? []);
    this.usedChecklist = record?.suggested !== null && record?.suggested !== undefined;
    this.errors = new Map(Object.entries(record?.error_types ?? {}).map(([field, kinds]) => [field, new Set(kinds)]));
    this.comment = record?.comment ?? "";
    this.isHeld = false;
    this.isEdited = false;
    this.isQueued = false;
  }

  /** What the ticked faults suggest; null where the checklist was not used. */
  suggestion(criteria) {
    if (!this.usedChecklist) return null;
    const ticked = criteria.filter((item) => this.criteria.has(item.id));
    if (ticked.some((item) => item.severity === "major")) return 3;
    return ticked.length ? 2 : 1;
  }

  get isInStep() {
    return !this.isHeld && !this.isEdited;
  }

  content() {
    const errors = [...this.errors].filter(([, kinds]) => kinds.size).map(([field, kinds]) => [field, [...kinds]]);
    return {
      grade: this.grade,
      criteria: [...this.criteria],
      error_types: Object.fromEntries(errors),
      comment: this.comment,
      seconds: Math.round(this.seconds * 10) / 10,
    };
  }
}

/** All grades of a case. `send(grade)` queues one, `onChange()` is told after each change. */
export class Marks {
  constructor(caseDocument, { send, onChange }) {
    this.case = caseDocument;
    this.send = send;
    this.onChange = onChange;
    this.isLocked = caseDocument.locked;
    this.all = caseDocument.slots.flatMap((slot) =>
      caseDocument.dimensions.map((dimension) => new Mark(slot.slot, dimension, slot.saved[dimension])),
    );
  }

  of(slot, dimension) {
    return this.all.find((mark) => mark.slot === slot && mark.dimension === dimension);
  }

  get given() {
    return this.all.filter((mark) => mark.grade !== null).length;
  }

  get isComplete() {
    return this.given === this.all.length;
  }

  /** The first grade that is missing, looking from a slot on and round. */
  missing(fromSlot) {
    const start = Math.max(0, this.all.findIndex((mark) => mark.slot === fromSlot));
    return [...this.all.slice(start), ...this.all.slice(0, start)].find((mark) => mark.grade === null);
  }

  criteria(dimension) {
    return this.case.rubric[dimension].criteria;
  }

  give(mark, grade) {
    if (this.isLocked) return;
    mark.grade = grade;
    this.commit(mark);
  }

  tick(mark, criterion, isTicked) {
    if (isTicked) mark.criteria.add(criterion);
    else mark.criteria.delete(criterion);
    mark.usedChecklist = true;
    this.edited(mark);
  }

  tickError(mark, field, kind, isTicked) {
    if (!mark.errors.has(field)) mark.errors.set(field, new Set());
    if (isTicked) mark.errors.get(field).add(kind);
    else mark.errors.get(field).delete(kind);
    this.edited(mark);
  }

  write(mark, comment) {
    mark.comment = comment;
    this.edited(mark);
  }

  edited(mark) {
    mark.isEdited = true;
    clearTimeout(mark.timer);
    mark.timer = setTimeout(() => this.flush(mark), 1200);
    this.onChange();
  }

  /** Send what was added to a grade after it was given. */
  flush(mark) {
    clearTimeout(mark.timer);
    if (mark.isEdited && mark.grade !== null && !mark.isHeld && !this.isLocked) this.commit(mark);
  }

  commit(mark) {
    const others = this.all.filter((other) => other !== mark);
    const isLast = others.every((other) => other.grade !== null && !other.isHeld);
    const wasStored = mark.saved !== null || mark.isQueued;
    if (isLast && !wasStored) mark.isHeld = true;
    else this.queue(mark);
    this.onChange();
  }

  queue(mark) {
    clearTimeout(mark.timer);
    Object.assign(mark, { isHeld: false, isEdited: false, isQueued: true });
    this.send(this.request(mark));
  }

  request(mark) {
    const { slot, dimension } = mark;
    const suggested = mark.suggestion(this.criteria(dimension));
    return { case: this.case.case, slot, dimension, suggested, ...mark.content() };
  }

  /** Let go of what is held: the case is locked when it arrives. */
  finish() {
    for (const mark of this.all.filter((one) => !one.isInStep && !one.isHeld)) this.queue(mark);
    for (const mark of this.all.filter((one) => one.isHeld)) this.queue(mark);
    this.isLocked = true;
    this.onChange();
  }

  /** What the server does not have yet. */
  draft() {
    const open = this.all.filter((mark) => !mark.isInStep);
    return open.map((mark) => ({
      slot: mark.slot,
      dimension: mark.dimension,
      held: mark.isHeld,
      used: mark.usedChecklist,
      ...mark.content(),
    }));
  }

  /** Take up a draft, or grades that have not arrived yet (`isQueued`). */
  restore(entries, isQueued = false) {
    if (this.isLocked) return;
    for (const entry of entries) {
      const mark = this.of(entry.slot, entry.dimension);
      if (!mark) continue;
      const saved = mark.saved;
      mark.take({ ...entry, suggested: entry.used || entry.suggested ? 1 : null });
      Object.assign(mark, { saved, isQueued, isHeld: Boolean(entry.held), isEdited: !isQueued && !entry.held });
      mark.seconds = entry.seconds || 0;
    }
  }
}
