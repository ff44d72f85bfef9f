// Text of the wire made safe to show, numbers in words, and small helpers for lists and names.

/** What shows nothing, moves a cursor or turns text around: the same set as in livews/terminal_text.py. */
export const UNSAFE = new RegExp(
  String.raw`[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff` +
    String.raw`\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]`, "gu");
/** A character as an escape, as Python writes it: \x1b, \u202e, \U000e0041. @param {string} c */
export function escaped(c) {
  const code = c.codePointAt(0) ?? 0, hex = code.toString(16);
  if (code < 0x100) return "\\x" + hex.padStart(2, "0");
  return code < 0x10000 ? "\\u" + hex.padStart(4, "0") : "\\U" + hex.padStart(8, "0");
}
export const visible = (/** @type {unknown} */ text) => String(text).replace(UNSAFE, escaped);
/** @param {string} text @param {number} most */
export const cut = (text, most) => (text.length > most ? text.slice(0, most) + "…" : text);
export const firstSentence = (/** @type {string} */ words) => (/^.*?[.!?](?=\s|$)/s.exec(words) || [words])[0];

export const grouped = (/** @type {number} */ n) => n.toLocaleString("en");
/** @param {number} n @param {string} what */
export const many = (n, what) => `${grouped(n)} ${what}${n === 1 ? "" : "s"}`;
export const seconds = (/** @type {number} */ t) => t.toFixed(3);
/** A duration in words. @param {number} t */
export function span(t) {
  if (t < 60) return `${t.toFixed(t < 10 ? 2 : 1)} s`;
  const h = Math.floor(t / 3600), m = Math.floor((t % 3600) / 60), s = Math.floor(t % 60);
  return `${h ? `${h} h ` : ""}${m} min ${s} s`;
}
/** A timestamp for a reader. @param {string} text */
export const when = (text) => text.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");

/** @param {number} x @param {number} least @param {number} most */
export const clamp = (x, least, most) => Math.min(Math.max(x, least), most);
export const bytes = (/** @type {string} */ base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
/** The first index of a sorted list whose value is greater than `t`.
 * @template T @param {ArrayLike<T>} list @param {number} t @param {(item: T) => number} value */
export function after(list, t, value = Number) {
  let a = 0, b = list.length;
  while (a < b) {
    const m = (a + b) >> 1;
    if (value(list[m]) > t) b = m;
    else a = m + 1;
  }
  return a;
}

export const snake = (/** @type {string} */ name) => name.replace(/[A-Z]/g, (c) => "_" + c.toLowerCase());
export const folded = (/** @type {string} */ name) => name.replace(/_/g, "").toLowerCase();
/** Is a key the name of this member, in either spelling? @param {string} key @param {string} name */
export const isSame = (key, name) => key === name || key === snake(name);
/** The steps of a JSON pointer. @param {string} pointer */
export const steps = (pointer) =>
  pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
/** One step of a JSON pointer. @param {string} key */
export const pointer = (key) => key.replaceAll("~", "~0").replaceAll("/", "~1");
