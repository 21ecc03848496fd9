// The cases that were finished in this window, so that one can go back to them. Their tokens tell nothing.

export class History {
  constructor(study) {
    this.name = `annotator.read.${study}`;
    this.tokens = [];
    try {
      this.tokens = JSON.parse(sessionStorage.getItem(this.name)) || [];
    } catch {
      sessionStorage.removeItem(this.name);
    }
  }

  push(token) {
    if (this.tokens.includes(token)) return;
    this.tokens.push(token);
    sessionStorage.setItem(this.name, JSON.stringify(this.tokens));
  }

  get newest() {
    return this.tokens.at(-1) || null;
  }

  /** The case before one of these, or before one that is not finished yet. */
  before(token) {
    const at = this.tokens.indexOf(token);
    return at >= 0 ? this.tokens[at - 1] || null : this.newest;
  }

  /** The case after one of these; null where that is the open one. */
  after(token) {
    const at = this.tokens.indexOf(token);
    return at >= 0 ? this.tokens[at + 1] || null : null;
  }
}
