// Tokens of a text that need not be JSON, and the objects and lists that they stand in.
/** @import { Step } from "../types.js" */

/** Characters of a text that is looked at with every key, and of one that is looked at at all. */
export const LIVE = 200_000, MOST = 4_000_000;
/** What was looked at since the page was opened: a test counts it. */
export const work = { tokens: 0, scanned: 0 };

const SPACE = /[ \t\r\n]*/y, CHARS = /[^"\\\n]*/y, WORD = /[^ \t\r\n"{}[\],:]+/y;
/** The bracket that opens what this one closes. @type {Record<string, string>} */
export const OPENS = { "}": "{", "]": "[" };
/** The bracket that closes what this one opens. @type {Record<string, string>} */
export const CLOSES = { "{": "}", "[": "]" };
/** Where a sticky pattern ends, 0 where it does not fit. */
export function skip(/** @type {RegExp} */ pattern, /** @type {string} */ text, /** @type {number} */ at) {
  pattern.lastIndex = at;
  pattern.test(text);
  return pattern.lastIndex;
}

/** Reads one token after another: `kind` is one of `{ } [ ] , : string word`; a string that is not `closed` ends at the
 * line's end, so that one missing quote does not swallow the rest. */
export class Tokens {
  kind = "";
  start = 0;
  end = 0;
  closed = false;
  constructor(/** @type {string} */ text) {
    this.text = text;
    work.scanned += text.length;
  }
  next() {
    const { text } = this, start = (this.start = skip(SPACE, text, this.end));
    if (start >= text.length) return false;
    work.tokens++;
    const c = text[start];
    if (c === '"') {
      this.kind = "string";
      let at = skip(CHARS, text, start + 1);
      while (text[at] === "\\" && at + 1 < text.length && text[at + 1] !== "\n") at = skip(CHARS, text, at + 2);
      this.closed = text[at] === '"';
      this.end = this.closed ? at + 1 : Math.min(text[at] === "\\" ? at + 1 : at, text.length);
    } else if ("{}[],:".includes(c)) {
      this.kind = c;
      this.end = start + 1;
    } else {
      this.kind = "word";
      this.end = skip(WORD, text, start);
    }
    return true;
  }
  get isText() {
    return this.kind === "string" || this.kind === "word";
  }
  get opens() {
    return Object.hasOwn(CLOSES, this.kind);
  }
  get closes() {
    return Object.hasOwn(OPENS, this.kind);
  }
  /** The token as it is written. */
  get source() {
    return this.text.slice(this.start, this.end);
  }
  /** What a string or word says: the name of a key. */
  get value() {
    const { source, kind, closed } = this;
    if (kind === "word") return source;
    const inner = source.slice(1, closed ? -1 : undefined);
    if (!closed || !inner.includes("\\")) return inner;
    try {
      return String(JSON.parse(source));
    } catch {
      return inner;
    }
  }
}

/** An object or list: what it needs next, and where in it the tokens are. @param {string} kind */
const container = (kind) => ({
  kind, need: kind === "{" ? "key" : "value", key: /** @type {string | null} */ (null), index: 0,
  keys: /** @type {Set<string>} */ (new Set()),
});
/** Follows objects and lists through tokens, as well as can be where they are no JSON. */
export class Nest {
  /** @type {ReturnType<typeof container>[]} */
  stack = [];
  top = container("");

  /** Is the next string or word the name of a member? A comma may have been forgotten, a colon as well. */
  get wantsKey() {
    return this.top.kind === "{" && (this.top.need === "key" || this.top.need === "comma");
  }
  /** @returns {Step[]} */
  get path() {
    return [...this.stack, this.top].slice(1).map((one) => (one.kind === "[" ? one.index : one.key));
  }
  take(/** @type {Tokens} */ token) {
    const { top } = this, { kind } = token;
    if (token.isText && this.wantsKey) {
      if (kind === "string" && !token.closed) return; // given up in mid-name
      top.key = token.value;
      top.keys.add(top.key);
      top.need = "colon";
    } else if (token.isText || token.opens) {
      if (top.kind === "[" && top.need === "comma") top.index++; // a comma was forgotten
      top.need = "comma";
      if (token.isText) return;
      this.stack.push(top);
      this.top = container(kind);
    } else if (kind === ":") {
      if (top.kind === "{") top.need = "value";
    } else if (kind === ",") {
      if (top.kind === "[") top.index++;
      if (top.kind) top.need = top.kind === "{" ? "key" : "value";
    } else {
      let at = this.stack.length;
      for (let one = top; at > 0 && one.kind !== OPENS[kind]; at--) one = this.stack[at - 1];
      if (at === 0) return; // a bracket that closes nothing
      this.top = this.stack[at - 1];
      this.stack.length = at - 1;
    }
  }
}

/** Do all brackets have their other half, and all strings their end? @param {string} text */
export function isWhole(text) {
  /** @type {string[]} */
  const open = [];
  const tokens = new Tokens(text), found = { brackets: true, strings: true };
  while (tokens.next()) {
    if (tokens.kind === "string") found.strings &&= tokens.closed;
    else if (tokens.opens) open.push(tokens.kind);
    else if (tokens.closes && open.pop() !== OPENS[tokens.kind]) found.brackets = false;
  }
  found.brackets &&= open.length === 0 && found.strings;
  return found;
}
/** Does a text end inside a string? @param {string} head */
export function isInString(head) {
  const tokens = new Tokens(head);
  while (tokens.next()) if (tokens.end === head.length && tokens.kind === "string" && !tokens.closed) return true;
  return false;
}
