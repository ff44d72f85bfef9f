// The session that is shown, its messages and its sound. No request leaves here: what is not in the page comes from the
// source that the inspector gives.
import { $ } from "./dom.js";
import { begun, extend } from "./session.js";
import { bytes } from "./text.js";
/** @import { Message, Report, Session, Source } from "./types.js" */

/** @type {Report} */
export const report = JSON.parse($("report").textContent ?? "");

// Messages and sound come after the script: the page is drawn before they have been read.
let isRead = false;
/** @type {Promise<void>} */
const reading = new Promise((resolve) => document.addEventListener("DOMContentLoaded", () => resolve()));
reading.then(() => { isRead = true; });
/** The messages and the sound in this file; only the base64 of what is asked for is decoded. @type {Source} */
const inFile = {
  chunk: (n) => (isRead ? JSON.parse($(`messages-${number}-${n}`).textContent ?? "") : null),
  fetch: (n) => reading.then(() => inFile.chunk(n)),
  async sound(side, at, size) {
    await reading;
    const text = /** @type {Text | null} */ ($(`sound-${number}-${side}`).firstChild);
    const first = Math.floor(at / 3), last = Math.ceil((at + size) / 3), skipped = at - 3 * first;
    return bytes(text ? text.substringData(4 * first, 4 * (last - first)) : "").subarray(skipped, skipped + size);
  },
  ready: reading,
};
export let source = inFile;
/** @type {Session} */
export let session;
let number = 0;
/** @type {Map<number, Message[]>} */
let chunks = new Map();
/** @type {Record<string, string>} */
let drawn = {};

/** Show another session: number `n` of the report. */
export function choose(n = 0, from = inFile) {
  number = n;
  source = from;
  session = report.sessions[n];
  if (typeof session.flags === "string") // it is as it was written
    session = report.sessions[n] = extend(begun(session), { ...session, running: false }, 0);
  chunks = new Map();
  drawn = {};
}
/** Is this another value than the last time it was asked for by that name? */
export function isNew(/** @type {string} */ name, /** @type {unknown} */ value) {
  const text = JSON.stringify(value);
  if (drawn[name] === text) return false;
  drawn[name] = text;
  return true;
}
export const isInFile = () => source === inFile;

/** Seconds since a session that runs began, 0 of one that does not; what came earlier has been drawn. */
export const clock = () =>
  session.running && session.offset !== undefined ? performance.now() / 1000 + session.offset : 0;
export const length = () => Math.max(session.length, clock(), 0.001);
export const last = () => Math.max(session.last, clock());

/** The messages of a chunk, `least` of them at least; null where they have to be fetched.
 * @param {number} n @param {number} least */
export function chunk(n, least) {
  const kept = chunks.get(n);
  if (kept && kept.length >= least) return kept;
  const list = source.chunk(n);
  return list && list.length >= least ? keep(n, list) : null;
}
function keep(/** @type {number} */ n, /** @type {Message[]} */ list) {
  const [oldest] = chunks.keys();
  if (chunks.size > 8) chunks.delete(oldest);
  chunks.set(n, list);
  return list;
}
/** Fetch a chunk, and go on with `then` unless another session is shown by now. */
export function fetched(/** @type {number} */ n, /** @type {() => void} */ then) {
  const mine = chunks;
  source.fetch(n).then((list) => {
    if (mine !== chunks || !list) return;
    keep(n, list);
    then();
  }, () => {});
}
export const message = (/** @type {number} */ row) =>
  chunk(Math.floor(row / session.chunk), (row % session.chunk) + 1)?.[row % session.chunk];
