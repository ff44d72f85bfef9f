// Where the caret stands in a text that is being written.
import { LIVE, MOST, Nest, Tokens, skip } from "./tokens.js";
/** @import { Step } from "../types.js" */
/** `at`: "key", "value", "colon", "after" (a value, or the whole message); `path`: of the object for a key; `typed`:
 * what stands before the caret of the name or value, which goes from `start` to `end`; `isQuoted`: it is inside a
 * string; `keys`: members the object has besides; `hasColon`: one follows; `lacksComma`: one is missing after `last`;
 * `hasNext`: another member or value follows without a comma; `isInObject`: it is in one.
 * @typedef {{ at: string, path: Step[], typed: string, start: number, end: number, isQuoted: boolean, keys: string[],
 *   hasColon: boolean, hasNext: boolean, lacksComma: boolean, last: number, isInObject: boolean }} Caret */

const NAME_END = /[\w.\/;=+-]*"/y, WORD_END = /[\w.+-]*/y;

/** Null where the text before it is too long to say. @returns {Caret | null} */
export function locateCaret(/** @type {string} */ text, /** @type {number} */ caret) {
  if (caret > MOST) return null;
  const head = text.slice(0, caret), tokens = new Tokens(head), nest = new Nest();
  let isWritten = false, last = 0;
  while (tokens.next()) {
    isWritten = tokens.end === caret && (tokens.kind === "word" || (tokens.kind === "string" && !tokens.closed));
    if (isWritten) break;
    nest.take(tokens);
    last = tokens.end;
  }
  const { top } = nest, lacksComma = top.need === "comma";
  let at = lacksComma ? "after" : top.need;
  if (isWritten && (top.kind || !lacksComma)) at = nest.wantsKey ? "key" : "value";
  const path = at === "value" || at === "colon" ? nest.path : nest.path.slice(0, -1);
  if (at === "value" && top.kind === "[" && lacksComma) path.push(Number(path.pop()) + 1);
  const found = {
    at, path, typed: "", start: caret, end: caret, isQuoted: false, keys: top.kind === "{" ? [...top.keys] : [],
    hasColon: false, hasNext: false, lacksComma, last, isInObject: top.kind === "{",
  };
  if (isWritten) {
    found.start = tokens.start;
    found.isQuoted = tokens.kind === "string";
    found.typed = head.slice(tokens.start + (found.isQuoted ? 1 : 0));
    found.end = skip(found.isQuoted ? NAME_END : WORD_END, text, caret) || caret;
  }
  lookAhead(text.slice(found.end, found.end + LIVE), found);
  return found;
}
/** What follows: a colon, a neighbour, the other keys of the same object. @param {string} tail @param {Caret} found */
function lookAhead(tail, found) {
  const tokens = new Tokens(tail);
  let depth = 0, was = "", name = "", isFirst = true;
  while (tokens.next()) {
    const { kind } = tokens;
    if (isFirst) {
      found.hasColon = kind === ":";
      found.hasNext = tokens.isText || tokens.opens;
      if (!found.isInObject) return;
      isFirst = false;
    }
    if (tokens.opens) depth++;
    else if (tokens.closes && --depth < 0) return;
    else if (depth === 0 && kind === ":" && was === "string") found.keys.push(name);
    else if (depth === 0 && kind === "string") name = tokens.value;
    was = kind;
  }
}
