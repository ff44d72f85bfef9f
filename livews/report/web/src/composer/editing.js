// What a key changes in a text besides what the browser does: pairs of brackets and quotes, lines, what is chosen.
import { CLOSES, isInString, isWhole } from "./tokens.js";
/** @import { Caret } from "./caret.js" */
/** @import { Guide } from "./completion.js" */
/** @import { Edit, Entry } from "../types.js" */

/** What typing a character does in place of a selection: a pair, a step over what is there already (a number, where the
 * caret goes), or null for what the browser does. @param {string} text @param {number} at @param {number} to
 * @param {string} c @returns {Edit | number | null} */
export function typed(text, at, to, c) {
  if (!'"{}[]'.includes(c)) return null;
  const head = text.slice(0, at), tail = text.slice(to), next = tail[0] ?? "", isInside = isInString(head);
  const isFree = next === "" || /[\s,\]}:]/.test(next), isBefore = next === c && at === to;
  if (c === '"' && isInside) return isBefore && !/(^|[^\\])(\\\\)*\\$/.test(head.slice(-40)) ? at + 1 : null;
  if (isInside || (!isFree && next !== c)) return null;
  const whole = isWhole(head + tail), pair = { from: at, to, text: c + (CLOSES[c] ?? c), caret: at + 1 };
  if (c === '"') return isFree && /(^|[\s{[,:])$/.test(head.slice(-1)) && whole.strings ? pair : null;
  if (!whole.brackets) return null;
  if (Object.hasOwn(CLOSES, c)) return isFree && next !== ":" ? pair : null;
  return isBefore ? at + 1 : null;
}
/** Enter: a line as far in as this one, further after a bracket, whose other half moves down.
 * @param {string} text @param {number} at @param {number} to @returns {Edit | null} */
export function newLine(text, at, to) {
  const head = text.slice(0, at), line = head.slice(head.lastIndexOf("\n") + 1);
  if (isInString(head)) return null;
  const [indent] = /^[ \t]*/.exec(line) ?? [""];
  const opened = /[{[]\s*$/.exec(line)?.[0][0], next = /^[ \t]*([}\]])/.exec(text.slice(to, to + 200));
  const inner = `\n${indent}${opened ? "  " : ""}`, caret = at + inner.length;
  if (!opened || !next || next[1] !== CLOSES[opened]) return { from: at, to, text: inner, caret };
  return { from: at, to: to + next[0].length - 1, text: `${inner}\n${indent}`, caret };
}
/** Backspace: both halves of an empty pair; in "a\"" or {"a""b"} two quotes do not belong together.
 * @param {string} text @param {number} at @param {number} to @returns {Edit | null} */
export function rubOut(text, at, to) {
  const pair = text.slice(at - 1, at + 1);
  if (at !== to || at === 0 || !["{}", "[]", '""'].includes(pair)) return null;
  const isInside = isInString(text.slice(0, at)), isQuotes = pair === '""';
  if (isQuotes && (!isInside || isInString(text.slice(0, at - 1)))) return null;
  if (!isQuotes && (isInside || !isWhole(text).brackets)) return null;
  return { from: at - 1, to: at + 1, text: "", caret: at - 1 };
}
/** An entry is chosen: it is written with its opening, and the commas it needs.
 * @param {string} text @param {Caret} caret @param {Entry} entry @param {Guide} guide @returns {Edit} */
export function accepted(text, { start, end, hasColon, hasNext, lacksComma, last }, { name, insert, member }, guide) {
  const opening = member ? guide.opening(member) : "";
  if (insert === "message") {
    const body = `{\n  ${JSON.stringify(name)}: ${opening}\n}`;
    return { from: start, to: end, text: body, caret: start + body.length - 2 - Math.ceil(opening.length / 2) };
  }
  let piece = insert === "word" || insert === "open" ? name : JSON.stringify(name), from = start, caret = piece.length;
  if (insert === "open") caret = Math.ceil(name.length / 2);
  if (insert === "name" && !hasColon) {
    piece += `: ${opening}`;
    caret = piece.length - Math.floor(opening.length / 2);
  }
  if (hasNext && !hasColon) piece += ",";
  if (lacksComma && last > 0) {
    const gap = text.slice(last, start) || " ";
    piece = `,${gap}${piece}`;
    caret += 1 + gap.length;
    from = last;
  }
  return { from, to: end, text: piece, caret: from + caret };
}
