// A text as JSON: what is wrong with it and where, its places, and the same with line breaks.
import { cut, folded, steps, visible } from "../text.js";
import { CLOSES, Nest, OPENS, Tokens, skip } from "./tokens.js";
/** @import { Fault } from "../types.js" */

const PLAIN = /[^"\\\u0000-\u001f]*/y, HEX = /[0-9a-fA-F]{4}/y;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
/** @type {Record<string, string>} */
const MEANT = { True: "true", False: "false", None: "null", TRUE: "true", FALSE: "false", undefined: "null" };

export function isJson(/** @type {string} */ text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
/** The first place where a text is no JSON, or null. @param {string} text @returns {Fault | null} */
export function faultOf(text) {
  const tokens = new Tokens(text);
  /** @type {string[]} */
  const open = [];
  let need = "value", comma = -1, isEmpty = false;
  const at = (/** @type {string} */ words, start = tokens.start, end = tokens.end) =>
    ({ at: start, end: Math.max(end, start + 1), words });
  const token = () => (tokens.isText ? cut(tokens.source.slice(0, 31), 30) : tokens.kind);
  while (tokens.next()) {
    const { kind, source } = tokens, inside = open.at(-1) ?? "";
    const bad = kind === "string" && faultOfString(tokens);
    if (bad) return bad;
    if (kind === "word" && /^\/[/*]/.test(source)) return at("JSON has no comments");
    if (need === "end") return at(`the message ended before ${token()}`);
    if (tokens.closes) {
      if (comma >= 0) return at(`a comma stands before ${kind}, and nothing after it`, comma, comma + 1);
      if (!inside) return at(`${kind} closes nothing`);
      if (inside !== OPENS[kind]) return at(`${CLOSES[inside]} was expected, to close the ${inside}, and not ${kind}`);
      if (need === "colon" || (need === "value" && !isEmpty)) return at(`a value is missing before ${kind}`);
      open.pop();
      need = open.length ? "comma" : "end";
    } else if (need === "comma") {
      if (kind !== "," && (tokens.isText || tokens.opens)) return at(`a comma is missing before ${token()}`);
      if (kind !== ",") return at(`a comma or ${CLOSES[inside]} was expected, not ${token()}`);
      need = inside === "{" ? "key" : "value";
      comma = tokens.start;
      isEmpty = false;
      continue;
    } else if (need === "key") {
      if (kind === "word") return at(inQuotes(source, "the name of a member"));
      if (kind !== "string") return at(`the name of a member was expected, not ${token()}`);
      need = "colon";
    } else if (need === "colon") {
      if (kind !== ":") return at(`a colon is missing before ${token()}`);
      need = "value";
    } else if (tokens.opens) {
      open.push(kind);
      need = kind === "{" ? "key" : "value";
    } else {
      const words = kind === "word" && faultOfWord(source);
      if (words || !tokens.isText) return at(words || `a value was expected, not ${token()}`);
      need = open.length ? "comma" : "end";
    }
    comma = -1;
    isEmpty = tokens.opens;
  }
  if (need === "end") return null;
  const end = text.trimEnd().length, inside = open.at(-1) ?? "", missing = CLOSES[inside] || "a value";
  const words = need === "value" && !inside ? "there is no message" : `the text ends too early: ${missing} is missing`;
  return { at: Math.max(0, end - 1), end, words };
}
const inQuotes = (/** @type {string} */ word, /** @type {string} */ what) =>
  `${what} stands in double quotes: "${cut(word.replace(/^['‘’“”`]+|['‘’“”`]+$/g, ""), 30)}"`;
/** What is wrong with a word that stands for a value. @param {string} word */
function faultOfWord(word) {
  if (word === "true" || word === "false" || word === "null" || NUMBER.test(word)) return "";
  if (Object.hasOwn(MEANT, word)) return `${word} is written ${MEANT[word]} in JSON`;
  return /^[-+.\d]/.test(word) ? `${cut(word, 30)} is no number of JSON` : inQuotes(word, "a text");
}
/** @param {Tokens} token */
function faultOfString({ text, start, end }) {
  for (let at = start + 1; ;) {
    at = skip(PLAIN, text, at);
    const c = text[at], escape = text[at + 1];
    if (c === '"' && at < end) return null;
    if (at >= end || c === "\n")
      return { at: start, end, words: "this text is not closed: a double quote is missing at its end" };
    if (c !== "\\") {
      const wanted = c === "\t" ? "\\t" : "\\u" + text.charCodeAt(at).toString(16).padStart(4, "0");
      return { at, end: at + 1, words: `a character that JSON wants as an escape: ${wanted}` };
    }
    if (escape === "u" ? !skip(HEX, text, at + 2) : !'"\\/bfnrt'.includes(escape || " "))
      return { at, end: at + 2, words: `\\${visible(escape || "")} is no escape of JSON; a backslash is written \\\\` };
    at += escape === "u" ? 6 : 2;
  }
}
/** Names that an object has twice, ten at most. What parses it keeps the last one only. @param {string} text */
export function doubles(text) {
  const tokens = new Tokens(text), nest = new Nest(), found = [];
  while (tokens.next() && found.length < 10) {
    const name = nest.wantsKey && tokens.kind === "string" ? tokens.value : null;
    if (name !== null && nest.top.keys.has(name)) found.push({ start: tokens.start, end: tokens.end, name });
    nest.take(tokens);
  }
  return found;
}

/** Line and column of a place, from 1. @param {string} text @param {number} at */
export function lineAndColumn(text, at) {
  let line = 1, from = 0;
  for (let next; (next = text.indexOf("\n", from)) >= 0 && next < at; from = next + 1) line++;
  return [line, at - from + 1];
}
/** The same JSON with line breaks, and where `caret` went. Tokens are kept as they are, so no number loses digits and
 * no key its double. @returns {[text: string, caret: number]} */
export function pretty(/** @type {string} */ text, /** @type {number} */ caret) {
  const tokens = new Tokens(text);
  let out = "", depth = 0, isOpened = false, moved = -1;
  const breakLine = () => { out += "\n" + "  ".repeat(Math.min(depth, 100)); };
  while (tokens.next()) {
    const { kind, start, end, opens, closes, source } = tokens;
    if (closes) depth--;
    if (isOpened !== closes) breakLine();
    isOpened = opens;
    if (opens) depth++;
    if (moved < 0 && caret <= end) moved = out.length + Math.max(0, caret - start);
    out += source;
    if (kind === ",") breakLine();
    if (kind === ":") out += " ";
  }
  return [out, moved < 0 ? out.length : moved];
}
/** Where a JSON pointer leads in a text: the value (the name, where the value is an object or a list), or what holds it
 * where it is not there. Both spellings; a bare value stands for a list of one. */
export function locate(/** @type {string} */ text, /** @type {string} */ path) {
  const wanted = steps(path), tokens = new Tokens(text), nest = new Nest();
  let best = { start: 0, end: 0, depth: -1 };
  /** @type {{ start: number, end: number } | null} */
  let name = null;
  const depths = [0]; // how many steps lead to the container, -1: another way
  const isStep = (/** @type {string | undefined} */ step, /** @type {string | number | null} */ key) =>
    step !== undefined && (step === String(key) || (typeof key === "string" && folded(step) === folded(key)));
  while (tokens.next()) {
    const { start, end, opens, isText } = tokens, { top } = nest, from = depths.at(-1) ?? -1;
    if (!opens && (!isText || nest.wantsKey)) {
      if (isText) name = { start, end };
      nest.take(tokens);
      depths.length = nest.stack.length + 1;
      continue;
    }
    if (top.kind === "[" && top.need === "comma") {
      top.index++;
      top.need = "value";
    }
    const key = top.kind === "[" ? top.index : top.key;
    let depth = top.kind ? -1 : 0;
    if (top.kind && from >= 0) {
      if (isStep(wanted[from], key)) depth = from + 1;
      else if (top.kind === "{" && /^\d+$/.test(wanted[from] || "") && isStep(wanted[from + 1], key)) depth = from + 2;
    }
    if (depth >= 0 && depth >= best.depth)
      best = { ...((opens && top.kind === "{" && name) || { start, end: opens ? start + 1 : end }), depth };
    nest.take(tokens);
    if (opens) depths.push(depth);
  }
  return best;
}
