// Requests to our own routes. What is true is on the server; here are copies.

const API = "/review/api/";

/** The server answered with an error; `status` 0 means that it could not be reached. */
export class Refused extends Error {
  constructor(status, line, body = {}) {
    super(line);
    this.status = status;
    this.body = body;
  }

  /** Worth trying again without anybody's doing: no connection, a server in trouble, or asked to wait. */
  get passes() {
    return this.status === 0 || this.status >= 500;
  }
}

export function get(path, query = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return ask(API + path + (asked ? `?${asked}` : ""), {});
}

export function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-Annotator": "1" };
  return ask(API + path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function ask(url, options) {
  let response;
  let body = {};
  try {
    response = await fetch(url, { ...options, cache: "no-store", signal: AbortSignal.timeout(20000) });
    body = await response.json().catch(() => ({}));
  } catch {
    throw new Refused(0, "The server cannot be reached.");
  }
  if (response.ok) return body;
  throw new Refused(response.status, body.error || `The server answered ${response.status}.`, body);
}

export function toLogin() {
  location.assign(`/login?next=${encodeURIComponent(`/review/${location.search}`)}`);
}

/** Fetch and decode a frame, so that showing it takes no time. */
export async function decoded(url) {
  const image = new Image();
  image.decoding = "sync";
  image.draggable = false;
  image.src = url;
  await image.decode();
  return image;
}
