// Grades on their way to the server: sent in order, one at a time, again and again until they are stored.
// They lie in localStorage meanwhile, so that neither a lost connection nor a closed page loses one. The same
// client_id sent twice is one row on the server.

import { post } from "./server.js";

const WAITS_MS = [400, 1000, 2000, 4000, 8000];

export class Outbox {
  /** `onChange()` after every change of state, `onSaved(item, answer)`, `onRefused(item, refusal)`. */
  constructor(reader, { onChange, onSaved, onRefused }) {
    this.prefix = `annotator.unsent.${reader}.`;
    this.tell = { onChange, onSaved, onRefused };
    this.items = this.left();
    this.tries = 0;
    this.isSending = false;
    this.isStopped = false;
    window.addEventListener("online", () => this.hurry());
    this.pump();
  }

  left() {
    const found = [];
    for (let i = 0; i < localStorage.length; i += 1) {
      const name = localStorage.key(i);
      if (!name.startsWith(this.prefix)) continue;
      try {
        found.push(JSON.parse(localStorage.getItem(name)));
      } catch {
        localStorage.removeItem(name);
      }
    }
    return found.sort((first, second) => first.made - second.made);
  }

  get isEmpty() {
    return this.items.length === 0;
  }

  get isTrying() {
    return this.tries > 0;
  }

  /** Queue one grade; a newer grade of the same thing takes the place of one that has not left yet. */
  put(grade) {
    const isSame = (item) => ["case", "slot", "dimension"].every((part) => item.grade[part] === grade[part]);
    const waiting = this.items.findIndex((item, at) => isSame(item) && !(at === 0 && this.isSending));
    const item = { made: Date.now(), grade: { ...grade, client_id: newId() } };
    if (waiting >= 0) {
      item.made = this.items[waiting].made;
      this.forget(this.items[waiting]);
      this.items.splice(waiting, 1, item);
    } else {
      this.items.push(item);
    }
    this.keep(item);
    this.tell.onChange();
    this.pump();
  }

  /** Resolve when what an earlier page left has been sent, or cannot be at the moment. */
  async firstTry() {
    while (!this.isEmpty && !this.isTrying && !this.isStopped) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  waitingFor(token) {
    return this.items.filter((item) => item.grade.case === token).map((item) => item.grade);
  }

  hurry() {
    clearTimeout(this.timer);
    this.isStopped = false;
    if (!this.isSending) this.pump();
  }

  async pump() {
    if (this.isSending || this.isStopped || this.isEmpty) return;
    clearTimeout(this.timer);
    const item = this.items[0];
    this.isSending = true;
    this.tell.onChange();
    try {
      const answer = await post("grade", item.grade);
      this.tries = 0;
      this.done(item);
      this.tell.onSaved(item.grade, answer);
    } catch (refusal) {
      this.failed(item, refusal);
    }
    this.isSending = false;
    this.tell.onChange();
    if (this.tries === 0) this.pump();
  }

  failed(item, refusal) {
    if (refusal.passes) {
      this.timer = setTimeout(() => this.pump(), WAITS_MS[Math.min(this.tries, WAITS_MS.length - 1)]);
      this.tries += 1;
      return;
    }
    // Not logged in, or told to wait: the grade stays until it can be sent.
    if (refusal.status === 401 || refusal.status === 429) this.isStopped = true;
    else this.done(item);
    this.tell.onRefused(item.grade, refusal);
  }

  done(item) {
    this.items = this.items.filter((other) => other !== item);
    this.forget(item);
  }

  keep(item) {
    try {
      localStorage.setItem(this.prefix + item.grade.client_id, JSON.stringify(item));
    } catch {
      // Storage is full or forbidden: the grade is still in memory, and the page warns when it is left.
    }
  }

  forget(item) {
    localStorage.removeItem(this.prefix + item.grade.client_id);
  }
}

// crypto.randomUUID is missing where the page came over plain HTTP from another machine.
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
