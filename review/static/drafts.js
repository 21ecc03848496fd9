// What is half done on a case: kept in this browser at once and on the server soon after.

import { post } from "./server.js";

const PREFIX = "annotator.draft.";
const WAIT_MS = 700;
const RETRY_MS = 3000;

export class Drafts {
  constructor(onChange) {
    this.onChange = onChange;
    this.waiting = new Map();
  }

  get isEmpty() {
    return this.waiting.size === 0;
  }

  keep(token, content) {
    const draft = { ...content, at: Date.now() };
    try {
      localStorage.setItem(PREFIX + token, JSON.stringify(draft));
    } catch {
      // No storage in this browser: the server keeps the draft.
    }
    this.waiting.set(token, draft);
    this.later(WAIT_MS);
    this.onChange();
  }

  /** The newer of this browser's and the server's draft of a case; an empty one where there is none. */
  of(token, fromServer) {
    let local = null;
    try {
      local = JSON.parse(localStorage.getItem(PREFIX + token));
    } catch {
      localStorage.removeItem(PREFIX + token);
    }
    const both = [local, fromServer].filter(Boolean).sort((first, second) => (second.at || 0) - (first.at || 0));
    return both[0] || {};
  }

  forget(token) {
    this.waiting.delete(token);
    localStorage.removeItem(PREFIX + token);
    this.onChange();
  }

  forgetAll() {
    const names = Array.from({ length: localStorage.length }, (_, at) => localStorage.key(at));
    for (const name of names.filter((one) => one.startsWith(PREFIX))) localStorage.removeItem(name);
  }

  later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), ms);
  }

  async send() {
    for (const [token, draft] of [...this.waiting]) {
      try {
        await post("draft", { case: token, draft });
      } catch (refusal) {
        if (refusal.passes) {
          this.later(RETRY_MS);
          return;
        }
      }
      if (this.waiting.get(token) === draft) this.waiting.delete(token);
    }
    this.onChange();
  }
}
