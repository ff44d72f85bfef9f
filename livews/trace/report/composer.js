// The composer's own script: one message of the wire, written by hand. Its rules:
// - What is typed, pasted, told or found becomes text nodes, never markup, a URL, a style or code.
// - Whatever the composer changes in the text can be undone as typing can.
// - A key costs at most a scan of LIVE characters; a longer text is looked at when somebody asks, or at a pause.
// - What is no JSON is never sent by a single press.
// - No request leaves: sending and checking are the page's own functions, and what was sent is kept in memory alone.
"use strict";
(() => {
  const NATIVE_LINES = 60, NATIVE = 100_000; // of a change that the browser makes, and can undo, quickly
  const UNDONE = 30; // larger changes that can be undone
  const LIVE = 200_000; // characters of a text that is looked at with every key
  const MOST = 4_000_000; // ... and of one that is looked at at all
  const PAINTED = 20_000; // ... and of what is seen, to be coloured
  const PAUSE = 250, LONG_PAUSE = 1_000; // ms without a key before the text is checked
  const KEPT = 100; // messages of the history
  const SHOWN = 100; // findings and entries that are listed
  /** What was looked at since the page was opened: a test counts it. */
  const work = { tokens: 0, scanned: 0 };

  // Text

  const UNSAFE =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]|[\u{e0000}-\u{e007f}]/gu;
  const escaped = (c) => {
    const code = c.codePointAt(0);
    return code < 256 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u" + code.toString(16).padStart(4, "0");
  };
  const visible = (text) => String(text).replace(UNSAFE, escaped);
  const cut = (text, most) => (text.length > most ? text.slice(0, most) + "…" : text);
  const el = (tag, className, ...inside) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    for (const one of inside)
      if (one !== null && one !== undefined && one !== "") made.append(typeof one === "object" ? one : visible(one));
    return made;
  };
  /** An element with one text that changes: a new text is no new node, for where a node comes or goes while somebody
   * types, Chromium takes each letter for an undo of its own. */
  const line = (tag, className) => {
    const made = el(tag, className), text = made.appendChild(document.createTextNode(""));
    made.set = (words) => {
      const shown = visible(words);
      if (text.data !== shown) text.data = shown;
    };
    return made;
  };
  const button = (words, title, press) => {
    const made = el("button", "", words);
    made.type = "button";
    made.title = title;
    made.addEventListener("click", press);
    return made;
  };
  const clamp = (x, a, b) => Math.max(a, Math.min(x, b));
  const firstSentence = (words) => (/^.*?[.!?](?=\s|$)/s.exec(words) || [words])[0];
  const snake = (name) => name.replace(/[A-Z]/g, (c) => "_" + c.toLowerCase());
  const folded = (name) => name.replace(/_/g, "").toLowerCase();
  const isSame = (key, name) => key === name || key === snake(name);
  const steps = (path) => path.split("/").slice(1).map((step) => step.replace(/~1/g, "/").replace(/~0/g, "~"));

  // Tokens of a text that need not be JSON

  const SPACE = /[ \t\r\n]*/y, CHARS = /[^"\\\n]*/y, WORD = /[^ \t\r\n"{}[\],:]+/y;
  const CLOSES = { "}": "{", "]": "[" };
  const ENDS = { "{": "}", "[": "]" };

  /** Reads one token after another: `kind` is one of `{ } [ ] , : string word`; a string that is not `closed` ends at
   * the line's end, so that one missing quote does not swallow the rest. */
  class Tokens {
    constructor(text) {
      this.text = text;
      this.end = 0;
      work.scanned += text.length;
    }
    next() {
      const text = this.text;
      SPACE.lastIndex = this.end;
      SPACE.test(text);
      const start = (this.start = SPACE.lastIndex);
      if (start >= text.length) return false;
      work.tokens++;
      const c = text[start];
      if (c === '"') {
        this.kind = "string";
        let at = start + 1;
        for (;;) {
          CHARS.lastIndex = at;
          CHARS.test(text);
          at = CHARS.lastIndex;
          if (text[at] !== "\\" || at + 1 >= text.length || text[at + 1] === "\n") break;
          at += 2;
        }
        this.closed = text[at] === '"';
        this.end = this.closed ? at + 1 : Math.min(text[at] === "\\" ? at + 1 : at, text.length);
      } else if ("{}[],:".includes(c)) {
        this.kind = c;
        this.end = start + 1;
      } else {
        this.kind = "word";
        WORD.lastIndex = start;
        WORD.test(text);
        this.end = WORD.lastIndex;
      }
      return true;
    }
    /** What a string or word says: the name of a key. */
    said() {
      const { text, start, end, kind, closed } = this;
      if (kind === "word") return text.slice(start, end);
      const inner = text.slice(start + 1, closed ? end - 1 : end);
      if (!closed || !inner.includes("\\")) return inner;
      try {
        return JSON.parse(text.slice(start, end));
      } catch {
        return inner;
      }
    }
  }

  /** Follows objects and lists through tokens, as well as can be where they are no JSON. */
  class Nest {
    constructor() {
      this.stack = [];
      this.top = { kind: "", need: "value", key: null, index: 0, keys: new Set() };
    }
    /** Is the next string or word the name of a member? A comma may have been forgotten, a colon as well. */
    get wantsKey() {
      return this.top.kind === "{" && (this.top.need === "key" || this.top.need === "comma");
    }
    get path() {
      return [...this.stack, this.top].slice(1).map((one) => (one.kind === "[" ? one.index : one.key));
    }
    take(token) {
      const top = this.top, kind = token.kind;
      if (kind === "string" || kind === "word") {
        if (this.wantsKey) {
          if (kind === "string" && !token.closed) return; // given up in mid-name
          top.key = token.said();
          top.keys.add(top.key);
          top.need = "colon";
        } else this._value();
      } else if (kind === "{" || kind === "[") {
        this._value();
        this.stack.push(top);
        this.top = { kind, need: kind === "{" ? "key" : "value", key: null, index: 0, keys: new Set() };
      } else if (kind === ":") {
        if (top.kind === "{") top.need = "value";
      } else if (kind === ",") {
        if (top.kind === "[") top.index++;
        if (top.kind) top.need = top.kind === "{" ? "key" : "value";
      } else {
        let at = this.stack.length;
        while (at > 0 && (at === this.stack.length ? top : this.stack[at]).kind !== CLOSES[kind]) at--;
        if (at === 0) return; // a bracket that closes nothing
        this.top = this.stack[at - 1];
        this.stack.length = at - 1;
      }
    }
    _value() {
      const top = this.top;
      if (top.kind === "[" && top.need === "comma") top.index++; // a comma was forgotten
      top.need = "comma";
    }
  }

  const NAME_END = /[\w.\/;=+-]*"/y, WORD_END = /[\w.+-]*/y;

  /** Where the caret stands in a text that is being written, or null where the text is too long to say.
   *
   * `at`: "key", "value", "colon", "after" (a value, or the whole message); `path`: keys and indexes, of the object for
   * a key; `typed`: what stands before the caret of the name or value; `start` and `end` of it; `quoted`: inside a
   * string; `keys`: members the object has besides; `colon`: one follows; `comma`: one is missing, behind `last`;
   * `next`: another member or value follows without a comma; `object`: it is in one. */
  function place(text, caret) {
    if (caret > MOST) return null;
    const head = text.slice(0, caret), tokens = new Tokens(head), nest = new Nest();
    let current = false, last = 0;
    while (tokens.next()) {
      current = tokens.end === caret && (tokens.kind === "word" || (tokens.kind === "string" && !tokens.closed));
      if (current) break;
      nest.take(tokens);
      last = tokens.end;
    }
    const { top } = nest;
    const found = { at: "", path: [], typed: "", start: caret, end: caret, quoted: false, keys: [], colon: false, next: false, comma: false, last, object: top.kind === "{" };
    if (!top.kind && top.need === "comma") found.at = "after";
    else if (current) found.at = nest.wantsKey ? "key" : "value";
    else if (top.need === "comma") found.at = "after";
    else found.at = top.need;
    if (top.need === "comma") found.comma = true;
    if (current) {
      found.start = tokens.start;
      found.quoted = tokens.kind === "string";
      found.typed = head.slice(tokens.start + (found.quoted ? 1 : 0));
      const ends = found.quoted ? NAME_END : WORD_END;
      ends.lastIndex = caret;
      if (ends.test(text)) found.end = ends.lastIndex;
    }
    const isValue = found.at === "value";
    found.path = isValue || found.at === "colon" ? nest.path : nest.path.slice(0, -1);
    if (isValue && top.kind === "[" && top.need === "comma") found.path[found.path.length - 1]++;
    if (top.kind === "{") found.keys = [...top.keys];
    behind(text.slice(found.end, found.end + LIVE), found, top.kind === "{");
    return found;
  }

  /** What follows the caret: a colon, a neighbour, the other keys of the same object. */
  function behind(tail, found, isObject) {
    const tokens = new Tokens(tail);
    let depth = 0, was = "", name = "", first = true;
    while (tokens.next()) {
      const kind = tokens.kind;
      if (first) {
        found.colon = kind === ":";
        found.next = kind === "string" || kind === "word" || kind === "{" || kind === "[";
        if (!isObject) return;
        first = false;
      }
      if (kind === "{" || kind === "[") depth++;
      else if (kind === "}" || kind === "]") {
        if (--depth < 0) return;
      } else if (depth === 0 && kind === ":" && was === "string") found.keys.push(name);
      else if (depth === 0 && kind === "string") name = tokens.said();
      was = kind;
    }
  }

  /** Do all brackets have their other half, and all strings their end? */
  function whole(text) {
    const tokens = new Tokens(text), open = [];
    const found = { brackets: true, strings: true };
    while (tokens.next()) {
      const kind = tokens.kind;
      if (kind === "string") found.strings &&= tokens.closed;
      else if (kind === "{" || kind === "[") open.push(kind);
      else if ((kind === "}" || kind === "]") && open.pop() !== CLOSES[kind]) found.brackets = false;
    }
    found.brackets &&= open.length === 0 && found.strings;
    return found;
  }

  function isInString(head) {
    const tokens = new Tokens(head);
    while (tokens.next()) if (tokens.end === head.length && tokens.kind === "string" && !tokens.closed) return true;
    return false;
  }

  // What is wrong with a text that is no JSON, and where

  const PLAIN = /[^"\\\u0000-\u001f]*/y, HEX = /[0-9a-fA-F]{4}/y;
  const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
  const MEANT = { True: "true", False: "false", None: "null", TRUE: "true", FALSE: "false", undefined: "null" };

  /** The first place where a text is no JSON: {at, end, words}, or null. */
  function fault(text) {
    const tokens = new Tokens(text), open = [];
    let need = "value", comma = -1, fresh = false;
    const at = (words, start = tokens.start, end = tokens.end) => ({ at: start, end: Math.max(end, start + 1), words });
    const done = () => (need = open.length ? "comma" : "end");
    while (tokens.next()) {
      const kind = tokens.kind, isText = kind === "string" || kind === "word";
      if (kind === "string") {
        const bad = inString(text, tokens);
        if (bad) return bad;
      }
      if (kind === "word" && /^\/[/*]/.test(text.slice(tokens.start, tokens.start + 2))) return at("JSON has no comments");
      if (need === "end") return at(`the message ended before ${words(tokens)}`);
      if (kind === "}" || kind === "]") {
        if (comma >= 0) return at(`a comma stands before ${kind}, and nothing after it`, comma, comma + 1);
        if (!open.length) return at(`${kind} closes nothing`);
        if (open.at(-1) !== CLOSES[kind]) return at(`${ENDS[open.at(-1)]} was expected, to close the ${open.at(-1)}, and not ${kind}`);
        if (need === "colon" || (need === "value" && !fresh)) return at(`a value is missing before ${kind}`);
        open.pop();
        fresh = false;
        done();
        continue;
      }
      if (need === "key") {
        if (kind === "word") return at(quotes(text.slice(tokens.start, tokens.end), "the name of a member"));
        if (kind !== "string") return at(`the name of a member was expected, not ${words(tokens)}`);
        need = "colon";
      } else if (need === "colon") {
        if (kind !== ":") return at(`a colon is missing before ${words(tokens)}`);
        need = "value";
      } else if (need === "comma") {
        if (kind !== ",") return at(isText || kind === "{" || kind === "[" ? `a comma is missing before ${words(tokens)}` : `a comma or ${ENDS[open.at(-1)]} was expected, not ${words(tokens)}`);
        need = open.at(-1) === "{" ? "key" : "value";
        comma = tokens.start;
        fresh = false;
        continue;
      } else if (kind === "{" || kind === "[") {
        open.push(kind);
        need = kind === "{" ? "key" : "value";
        fresh = true;
        comma = -1;
        continue;
      } else if (kind === "string") done();
      else if (kind === "word") {
        const said = text.slice(tokens.start, tokens.end);
        if (said !== "true" && said !== "false" && said !== "null" && !NUMBER.test(said)) {
          if (Object.hasOwn(MEANT, said)) return at(`${said} is written ${MEANT[said]} in JSON`);
          if (/^[-+.\d]/.test(said)) return at(`${cut(said, 30)} is no number of JSON`);
          return at(quotes(said, "a text"));
        }
        done();
      } else return at(`a value was expected, not ${words(tokens)}`);
      comma = -1;
      fresh = false;
    }
    if (need === "end") return null;
    const missing = need === "value" && !open.length ? "there is no message" : `the text ends too early: ${ENDS[open.at(-1)] || "a value"} is missing`;
    const last = text.trimEnd().length;
    return { at: Math.max(0, last - 1), end: last, words: missing };

    function words(token) {
      return token.kind === "string" || token.kind === "word" ? cut(text.slice(token.start, Math.min(token.end, token.start + 31)), 30) : token.kind;
    }
    function quotes(said, what) {
      const bare = cut(said.replace(/^['‘’“”`]+|['‘’“”`]+$/g, ""), 30);
      return `${what} stands in double quotes: "${bare}"`;
    }
  }

  function inString(text, token) {
    let at = token.start + 1;
    for (;;) {
      PLAIN.lastIndex = at;
      PLAIN.test(text);
      at = PLAIN.lastIndex;
      if (text[at] === '"' && at < token.end) return null;
      if (at >= token.end || text[at] === "\n") return { at: token.start, end: token.end, words: "this text is not closed: a double quote is missing at its end" };
      if (text[at] !== "\\") return { at, end: at + 1, words: `a character that JSON wants as an escape: ${text[at] === "\t" ? "\\t" : "\\u" + text.charCodeAt(at).toString(16).padStart(4, "0")}` };
      const c = text[at + 1];
      HEX.lastIndex = at + 2;
      if (c === "u" ? !HEX.test(text) : !'"\\/bfnrt'.includes(c || " ")) return { at, end: at + 2, words: `\\${visible(c || "")} is no escape of JSON; a backslash is written \\\\` };
      at += c === "u" ? 6 : 2;
    }
  }

  /** Names that an object has twice: {start, end, name}, ten at most. What parses it keeps the last one alone. */
  function doubles(text) {
    const tokens = new Tokens(text), nest = new Nest(), found = [];
    while (tokens.next() && found.length < 10) {
      const name = nest.wantsKey && tokens.kind === "string" ? tokens.said() : null;
      if (name !== null && nest.top.keys.has(name)) found.push({ start: tokens.start, end: tokens.end, name });
      nest.take(tokens);
    }
    return found;
  }

  /** Line and column of a place, from 1. */
  function lineAndColumn(text, at) {
    let line = 1, from = 0;
    for (let next; (next = text.indexOf("\n", from)) >= 0 && next < at; from = next + 1) line++;
    return [line, at - from + 1];
  }

  /** The same JSON with line breaks: tokens are kept as they are, so no number loses digits and no key its double.
   * Returns the text and where `caret` went. */
  function pretty(text, caret) {
    const tokens = new Tokens(text), out = [];
    const indent = (depth) => "\n" + "  ".repeat(Math.min(depth, 100));
    let depth = 0, fresh = false, length = 0, moved = null;
    const put = (piece) => { out.push(piece); length += piece.length; };
    while (tokens.next()) {
      const { kind, start, end } = tokens;
      const closes = kind === "}" || kind === "]";
      if (closes) depth--;
      if (fresh !== closes && (fresh || closes)) put(indent(depth));
      fresh = kind === "{" || kind === "[";
      if (fresh) depth++;
      if (moved === null && caret <= end) moved = length + Math.max(0, caret - start);
      put(text.slice(start, end));
      if (kind === ",") put(indent(depth));
      if (kind === ":") put(" ");
    }
    return [out.join(""), moved ?? length];
  }

  /** Where a JSON pointer leads in a text: {start, end} of the value (of the name, where the value is an object or a
   * list), or of what holds it where it is not there. Both spellings; a bare value stands for a list of one. */
  function locate(text, path) {
    const wanted = steps(path), tokens = new Tokens(text), nest = new Nest();
    let best = { start: 0, end: 0, depth: -1 }, name = null;
    const depths = [0]; // how many steps lead to the container, -1: another way
    const same = (step, key) => step !== undefined && (step === String(key) || (typeof key === "string" && folded(step) === folded(key)));
    while (tokens.next()) {
      const { kind, start, end } = tokens;
      const isValue = kind === "{" || kind === "[" || ((kind === "string" || kind === "word") && !nest.wantsKey);
      if (!isValue) {
        if (nest.wantsKey && (kind === "string" || kind === "word")) name = [start, end];
        nest.take(tokens);
        depths.length = nest.stack.length + 1;
        continue;
      }
      const { top } = nest, from = depths.at(-1), opens = kind === "{" || kind === "[";
      if (top.kind === "[" && top.need === "comma") top.index++, (top.need = "value");
      let depth = -1;
      if (!top.kind) depth = 0;
      else if (from >= 0) {
        const key = top.kind === "[" ? top.index : top.key;
        if (same(wanted[from], key)) depth = from + 1;
        else if (top.kind === "{" && /^\d+$/.test(wanted[from] || "") && same(wanted[from + 1], key)) depth = from + 2;
      }
      if (depth >= 0 && depth >= best.depth) {
        const [a, b] = opens && top.kind === "{" && name ? name : [start, opens ? start + 1 : end];
        best = { start: a, end: b, depth };
      }
      nest.take(tokens);
      if (opens) depths.push(depth);
    }
    return best;
  }

  // What may stand where, from the table

  class Guide {
    constructor(table) {
      this.table = table;
    }
    words(index) {
      return this.table.words[index] || "";
    }
    type(name) {
      return name && Object.hasOwn(this.table.types, name) ? this.table.types[name] : null;
    }
    members(name) {
      return this.type(name)?.members || {};
    }
    member(of, key) {
      const members = this.members(of);
      if (Object.hasOwn(members, key)) return [key, members[key]];
      return Object.entries(members).find(([name]) => snake(name) === key) || null;
    }
    /** What stands at a path: {name, member, of, shape}, or null inside what nobody knows. */
    at(side, path) {
      let of = this.table.envelope[side], shape = "one", found = null, name = "";
      for (const step of path) {
        if (shape === "map" || (shape === "list" && typeof step === "number")) {
          shape = "one";
          continue;
        }
        found = typeof step === "number" ? null : this.member(of, step);
        if (!found) return null;
        [name, found] = found;
        of = found.type || "";
        shape = found.shape || "one";
      }
      return { name, member: found, of, shape };
    }
    /** The type of a member in words. */
    kind(member) {
      const is = member.type ? this.type(member.type)?.is || "" : member.plain || "string";
      const one = this.type(member.type)?.values ? `enum ${is}` : is;
      return member.shape ? `${member.shape} of ${is}` : one;
    }
    opening(member) {
      const of = this.type(member.type);
      const one = of ? (of.members || of.open ? "{}" : of.values || of.plain === "string" ? '""' : "") : member.plain === "boolean" ? "" : '""';
      return member.shape === "map" ? "{}" : member.shape === "list" ? `[${one}]` : one;
    }
    tags(member) {
      const tags = [];
      const not = member.not || [];
      if (member.required) tags.push("required");
      if (member.old) tags.push("deprecated");
      if (not.includes("v1alpha") && not.includes("v1beta")) tags.push(not.includes("vertex") ? "taken nowhere" : "Vertex only");
      else if (not.length) tags.push("not " + not.map((one) => (one === "vertex" ? "on Vertex" : `in ${one}`)).join(", "));
      return tags;
    }
    isElsewhere(member, surface) {
      const not = member.not || [];
      return ["v1alpha", "v1beta", "vertex"].includes(surface) ? not.includes(surface) : not.includes("v1alpha") && not.includes("v1beta");
    }

    /** Entries that fit at a place, the best first. */
    entries(side, place, surface) {
      if (!place) return [];
      if (place.at === "key" || (place.at === "after" && place.object)) return this._names(side, place, surface);
      return place.at === "value" ? this._values(side, place) : [];
    }
    _names(side, place, surface) {
      const here = this.at(side, place.path);
      if (!here || here.shape === "map") return [];
      const given = Object.entries(this.members(here.of)).filter(([name]) => place.keys.some((key) => isSame(key, name)));
      const has = new Set(given.map(([name]) => name));
      const shut = new Set(given.flatMap(([, member]) => member.without || []));
      const found = [];
      for (const [name, member] of Object.entries(this.members(here.of))) {
        if (has.has(name) || shut.has(name)) continue;
        const late = member.old || this.isElsewhere(member, surface);
        found.push({ name, member, late, kind: this.kind(member), doc: this.words(member.doc), tags: this.tags(member), insert: "name" });
      }
      return best(found, place.typed);
    }
    _values(side, place) {
      if (!place.path.length) return place.quoted ? [] : this._messages(side, place);
      const here = this.at(side, place.path);
      if (!here) return [];
      const { member, of, shape } = here, type = this.type(of);
      const found = [];
      if (shape === "one") {
        for (const [name, words] of Object.entries(type?.values || {}))
          found.push({ name, kind: type.is, doc: this.words(words), late: name.endsWith("UNSPECIFIED"), tags: [], insert: "text" });
        for (const name of member?.values || []) found.push({ name, kind: "a known value", doc: "", late: false, tags: [], insert: "text" });
        if (!of && member?.plain === "boolean" && !place.quoted)
          for (const name of ["true", "false"]) found.push({ name, kind: "boolean", doc: this.words(member.doc), late: false, tags: [], insert: "word" });
      }
      if (!place.quoted && !place.typed) {
        const opening = shape === "one" ? this.opening({ type: of, plain: member?.plain }) : this.opening({ ...member, shape });
        if (opening && opening !== '""') found.push({ name: opening, kind: shape === "one" ? type?.is || "" : this.kind(member), doc: this.words(shape === "one" ? type?.doc : member.doc), late: false, tags: [], insert: "open" });
      }
      return best(found, place.typed);
    }
    /** Whole messages, where there is nothing yet. */
    _messages(side, place) {
      const of = this.table.envelope[side];
      const found = Object.entries(this.members(of)).map(([name, member]) => ({
        name, member, late: member.old, kind: this.kind(member), doc: this.words(member.doc), tags: this.tags(member), insert: "message",
      }));
      return best(found, place.typed.replace(/^[{"]+/, ""));
    }
  }

  /** Entries that fit what was typed: as it begins, as one of its words begins, anywhere, or its letters in their order. */
  function best(entries, typed) {
    const asked = folded(typed);
    const found = [];
    for (const entry of entries) {
      const name = folded(entry.name);
      let rank = 4;
      if (entry.name === typed || snake(entry.name) === typed) rank = -1;
      else if (!asked || name.startsWith(asked)) rank = 0;
      else if (humps(entry.name).some((hump) => hump.startsWith(asked))) rank = 1;
      else if (name.includes(asked)) rank = 2;
      else if (isWithin(asked, name)) rank = 3;
      if (rank < 4) found.push({ ...entry, rank });
    }
    const near = found.some((entry) => entry.rank < 3) ? found.filter((entry) => entry.rank < 3) : found;
    const weight = (entry) => (entry.rank < 0 ? -100 : (entry.late ? 50 : 0) + entry.rank * 4 - (entry.member?.required ? 1 : 0));
    return near.sort((a, b) => weight(a) - weight(b)).slice(0, SHOWN);
  }
  /** What a name is from each of its words on: voiceConfig -> config. */
  const humps = (name) => {
    const from = [];
    for (const found of name.matchAll(/[A-Z][a-z]|_[A-Za-z]|[-./][A-Za-z]/g)) from.push(folded(name.slice(found.index).replace(/^[-./]/, "")));
    return from;
  };
  const isWithin = (asked, name) => {
    let at = -1;
    for (const c of asked) if ((at = name.indexOf(c, at + 1)) < 0) return false;
    return asked.length > 1;
  };

  // The editor

  const SIDES = {
    client: ["to the service", "The service takes it for a message of the client.", "The client does not learn of it."],
    server: ["to the client", "The client takes it for a message of the service.", "The service does not learn of it."],
  };
  const KEYS = [["Ctrl-Space", "completes"], ["↓ ↑ Enter Tab", "choose"], ["Esc", "closes the list"], ["Ctrl-Enter", "sends"], ["Alt-↑ Alt-↓", "what was sent"]];
  let made = 0;
  /** Colours of ranges, where the browser has them. */
  const INKS = window.Highlight && CSS.highlights ? Object.fromEntries(["name", "text", "word"].map((name) => [name, new Highlight()])) : null;
  for (const [name, ranges] of Object.entries(INKS || {})) CSS.highlights.set(`composer-${name}`, ranges);

  function mount(root, options) {
    const id = `composer-${++made}`;
    const guide = new Guide(options.table);
    const sides = options.sides?.length ? options.sides : ["client", "server"];
    let side = sides[0], session = null, enabled = true, why = "", busy = false, armed = false, own = false, sends = "Send";
    let entries = [], picked = -1, here = null, timer = 0, asked = 0, broken = null, frame = 0;
    const sent = { client: [], server: [] }, back = { client: -1, server: -1 }, draft = { client: "", server: "" };

    const area = el("textarea", "composer-text");
    Object.assign(area, { id: `${id}-text`, spellcheck: false, wrap: "off", rows: 12, placeholder: 'Pick a template, or type {  —  Ctrl-Space shows what fits' });
    for (const [name, value] of [["autocomplete", "off"], ["autocapitalize", "off"], ["autocorrect", "off"], ["aria-label", "message, as JSON"],
      ["aria-autocomplete", "list"], ["aria-controls", `${id}-list`], ["aria-describedby", `${id}-where`]]) area.setAttribute(name, value);
    const gutter = line("pre", "composer-lines"), mark = el("i", "composer-mark"), marks = el("div", "composer-marks", mark);
    const paper = line("pre", "composer-paper");
    for (const one of [gutter, paper]) one.setAttribute("aria-hidden", "true");
    mark.hidden = true;
    const aboutName = line("b", ""), aboutKind = line("span", "composer-kind"), aboutDoc = line("p", ""), aboutMore = line("p", "composer-more");
    const list = el("ul", "composer-list"), about = el("div", "composer-about", el("p", "", aboutName, " ", aboutKind), aboutDoc, aboutMore), popup = el("div", "composer-popup", list, about);
    list.id = `${id}-list`;
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "what fits here");
    popup.hidden = true;
    const wherePath = line("code", ""), whereWords = line("span", ""), where = el("p", "composer-where", wherePath, " ", whereWords), findings = el("ul", "composer-findings"), told = el("output", "composer-told");
    where.id = `${id}-where`;
    findings.setAttribute("aria-label", "what is wrong with it");
    const aloud = line("span", "composer-aloud"), reason = line("span", "composer-why"), rows = [];
    reason.setAttribute("role", "status");
    aloud.setAttribute("aria-live", "polite");
    const explain = el("p", "composer-explain"), templates = el("select", "composer-templates");
    templates.setAttribute("aria-label", "template");
    const send = button(sends, "Ctrl-Enter", () => deliver());
    send.classList.add("composer-send");
    const switcher = el("div", "composer-sides");
    switcher.setAttribute("role", "radiogroup");
    switcher.setAttribute("aria-label", "who gets it");
    for (const one of sides) {
      const radio = el("input", "");
      Object.assign(radio, { type: "radio", name: `${id}-side`, value: one, checked: one === side });
      radio.addEventListener("change", () => turn(one));
      switcher.append(el("label", "", radio, SIDES[one][0]));
    }
    switcher.hidden = sides.length < 2;
    const earlier = button("↑", "What was sent before (Alt-↑)", () => recall(1)), later = button("↓", "What was sent after it (Alt-↓)", () => recall(-1));
    earlier.setAttribute("aria-label", "what was sent before");
    later.setAttribute("aria-label", "what was sent after it");
    const box = el("div", "composer",
      el("div", "composer-bar", switcher, templates, el("span", "composer-group",
        button("Complete", "What fits at the caret (Ctrl-Space)", () => { area.focus(); open(true); }), button("Format", "Line breaks and indentation", format), earlier, later)),
      explain,
      el("div", "composer-edit", el("div", "composer-gutter", gutter), el("div", "composer-marks", paper), area, marks, popup), where,
      el("div", "composer-bar", send, ...(options.beside || []), reason, told), findings, aloud,
      el("p", "composer-keys", KEYS.map(([key, does]) => `${key} ${does}`).join(" · ")));
    root.replaceChildren(box);

    // The text

    /** Puts `text` in place of a range, as if it had been typed: undo takes it back. */
    function replace(from, to, text, caret = from + text.length, end = caret) {
      area.focus({ preventScroll: true });
      const isLarge = (changed) => changed.length > NATIVE || changed.split("\n", NATIVE_LINES + 1).length > NATIVE_LINES;
      own = true;
      if (isLarge(text) || (to - from > 0 && isLarge(area.value.slice(from, to)))) {
        const before = area.value, at = area.selectionStart;
        area.setRangeText(text, from, to, "end");
        undone.length = 0;
        done.push({ before, at, after: area.value, caret });
        if (done.length > UNDONE) done.shift();
      } else {
        area.setSelectionRange(from, to);
        const isDone = text ? document.execCommand("insertText", false, text) : from === to || document.execCommand("delete");
        if (!isDone) area.setRangeText(text, from, to, "end");
      }
      own = false;
      area.setSelectionRange(caret, end);
      changed();
    }
    // The browser takes seconds to type a hundred lines. So a large change is set at once, which its undo knows nothing
    // of, and is taken back here: the browser first undoes what came after, until the text is what the change left.
    const done = [], undone = [];
    function undo(isRedo) {
      const [from, to] = isRedo ? [undone, done] : [done, undone];
      const change = from.at(-1);
      if (!change || area.value !== (isRedo ? change.before : change.after)) return false;
      to.push(from.pop());
      own = true;
      area.value = isRedo ? change.after : change.before;
      own = false;
      const at = isRedo ? change.caret : change.at;
      area.setSelectionRange(at, at);
      close();
      changed();
      return true;
    }
    const isLong = () => area.textLength > LIVE;

    function changed() {
      disarm();
      broken = null;
      mark.hidden = true;
      asked++;
      clearTimeout(timer);
      timer = setTimeout(pause, isLong() ? LONG_PAUSE : PAUSE);
      if (isLong()) scrolled();
      else lines();
      look();
    }
    function disarm() {
      if (!armed) return;
      armed = false;
      send.textContent = sends;
      send.classList.remove("armed");
    }

    // Numbers of lines, and the place that is marked

    let counted = 1, rowHeight = 20, pad = 8, pen = null;
    function measure() {
      const style = getComputedStyle(area);
      rowHeight = parseFloat(style.lineHeight) || 20;
      pad = parseFloat(style.paddingTop) || 0;
      pen ??= document.createElement("canvas").getContext("2d");
      pen.font = `${style.fontSize} ${style.fontFamily}`;
    }
    function lines() {
      counted = 1;
      const text = area.value;
      work.scanned += text.length;
      for (let at = -1; (at = text.indexOf("\n", at + 1)) >= 0; ) counted++;
      scrolled();
    }
    function scrolled() {
      measure();
      const first = Math.max(0, Math.floor((area.scrollTop - pad) / rowHeight));
      const last = Math.min(counted, first + Math.ceil(area.clientHeight / rowHeight) + 1);
      const numbers = [];
      for (let i = first; i < last; i++) numbers.push(i + 1);
      gutter.set(numbers.join("\n"));
      gutter.style.transform = `translateY(${pad + first * rowHeight - area.scrollTop}px)`;
      paint(first, last);
      if (broken) showMark();
      if (!popup.hidden) putPopup();
    }
    // A text area has one colour. So the lines that are seen stand once more behind it, in colours, and its own are
    // not drawn; they are one text in ranges, since elements that come and go would spoil the undo (see line).
    let painted = [];
    function paint(first, last) {
      if (!INKS) return;
      for (const [ink, range] of painted) INKS[ink].delete(range);
      painted = [];
      let text = isLong() ? "" : area.value, from = 0, to = 0;
      for (let n = 0; n < first; n++) from = text.indexOf("\n", from) + 1;
      for (let n = first, at = from; n < last; n++, at = to + 1) if ((to = text.indexOf("\n", at)) < 0) { to = text.length; break; }
      text = to - from > PAINTED ? "" : text.slice(from, to);
      area.classList.toggle("painted", text !== "");
      const node = paper.firstChild;
      node.data = text; // as it is: it has to lie as the text above it does
      paper.style.transform = `translate(${-area.scrollLeft}px, ${pad + first * rowHeight - area.scrollTop}px)`;
      const ink = (name, [start, end]) => {
        const range = new StaticRange({ startContainer: node, startOffset: start, endContainer: node, endOffset: end });
        painted.push([name, range]);
        INKS[name].add(range);
      };
      const tokens = new Tokens(text);
      let string = null;
      while (tokens.next()) {
        if (string) ink(tokens.kind === ":" ? "name" : "text", string);
        string = tokens.kind === "string" ? [tokens.start, tokens.end] : null;
        if (tokens.kind === "word") ink("word", [tokens.start, tokens.end]);
      }
      if (string) ink("text", string);
    }
    /** Pixels of a place, from the corner of the text as it is scrolled. */
    function pixels(text, at) {
      const [line, column] = lineAndColumn(text, at);
      const wide = column > 2_000 ? (column - 1) * pen.measureText("0").width : pen.measureText(text.slice(at - column + 1, at).replace(/\t/g, "  ")).width;
      return [pad + wide - area.scrollLeft, pad + (line - 1) * rowHeight - area.scrollTop];
    }
    function showMark() {
      const text = area.value;
      const [x, y] = pixels(text, broken.at);
      const width = pen.measureText(text.slice(broken.at, Math.min(broken.end, broken.at + 200)).split("\n")[0]).width;
      mark.style.transform = `translate(${x}px, ${y}px)`;
      mark.style.width = `${Math.max(8, width)}px`;
      mark.style.height = `${rowHeight}px`;
      mark.hidden = false;
    }
    function jump(start, end) {
      area.focus({ preventScroll: true });
      area.setSelectionRange(start, Math.min(end, start + 2_000));
      measure();
      const [x, y] = pixels(area.value, start);
      if (y < 0 || y > area.clientHeight - 2 * rowHeight) area.scrollTop += y - area.clientHeight / 3;
      if (x < 0 || x > area.clientWidth - 60) area.scrollLeft += x - area.clientWidth / 3;
      area.scrollIntoView({ block: "nearest" });
    }

    // Where the caret is

    function look() {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => {
        if (isLong()) return tellWhere("", "This text is long: Ctrl-Space completes in it, keys do not.");
        const found = place(area.value, area.selectionStart);
        if (!found || area.textLength === 0) return tellWhere("", "");
        const known = guide.at(side, found.path);
        const words = known ? (known.member ? guide.words(known.member.doc) || guide.words(guide.type(known.of)?.doc) : guide.words(guide.type(known.of)?.doc)) : "Not in the schemas: nothing is known of it.";
        tellWhere(found.path.length ? found.path.map((step) => cut(String(step), 60)).join(" › ") : "message", words);
      });
    }
    function tellWhere(path, words) {
      wherePath.set(cut(path, 300));
      whereWords.set(cut(words, 600));
    }

    // Checking

    function pause() {
      clearTimeout(timer);
      const text = area.value, now = ++asked;
      lines();
      broken = syntax(text);
      if (broken === undefined) return show([]);
      if (broken) {
        showFault(text);
        return;
      }
      Promise.resolve().then(() => options.check(text, side)).then(
        (found) => { if (now === asked) show(Array.isArray(found) ? found : []); },
        (problem) => { if (now === asked) show([{ level: "note", rule: "", path: "", complaint: `This could not be checked: ${problem?.message || problem}`, cure: "" }]); },
      );
    }
    function isJson(text) {
      try {
        JSON.parse(text);
        return true;
      } catch {
        return false;
      }
    }
    /** null for JSON, what is wrong with it otherwise, undefined where there is no text or too much. */
    function syntax(text) {
      if (text.length > MOST || !text.trim()) return undefined;
      return isJson(text) ? null : fault(text) || { at: 0, end: 1, words: "this is no JSON" };
    }
    function showFault(text) {
      measure();
      showMark();
      const [line, column] = lineAndColumn(text, broken.at), { at, end, words } = broken;
      findings.replaceChildren(item("error", `${line}:${column}`, words, "", "", () => jump(at, end)));
    }
    function show(found) {
      const rows = found.slice(0, SHOWN).map((one) => item(one.level, one.path || "/", stripped(one), one.cure, one.rule, () => {
        const { start, end } = locate(area.value, String(one.path || ""));
        jump(start, end);
      }));
      if (found.length > SHOWN) rows.push(el("li", "composer-more", `... and ${found.length - SHOWN} more`));
      if (!isLong()) rows.push(...unseen(area.value));
      findings.replaceChildren(...rows);
    }
    /** The complaint without the path it ends with: that stands before it. */
    const stripped = ({ complaint, path }) => (path && String(complaint).endsWith(` at ${path}`) ? complaint.slice(0, -path.length - 4) : complaint);
    /** What a check of the parsed message cannot see: a name given twice, a character that shows nothing. */
    function unseen(text) {
      const note = (start, end, words) => item("note", lineAndColumn(text, start).join(":"), words, "", "", () => jump(start, end));
      const found = doubles(text).map(({ start, end, name }) => note(start, end, `${cut(name, 60)} is given twice; the last one counts`));
      UNSAFE.lastIndex = 0;
      const hidden = UNSAFE.exec(text);
      if (hidden) found.push(note(hidden.index, hidden.index + hidden[0].length, `a character that is not seen: ${escaped(hidden[0])}`));
      UNSAFE.lastIndex = 0;
      return found;
    }
    function item(level, at, complaint, cure, rule, go) {
      const known = ["error", "refused", "note"].includes(level) ? level : "note";
      const press = el("button", "", el("span", "composer-level", known), el("code", "", cut(String(at), 200)), " ", el("span", "composer-complaint", cut(String(complaint ?? ""), 1_000)),
        rule ? el("span", "composer-rule", ` ${cut(String(rule), 60)}`) : "", cure ? el("span", "composer-cure", cut(String(cure), 1_000)) : "");
      press.type = "button";
      press.addEventListener("click", go);
      return el("li", known, press);
    }

    // The list of what fits

    /** `forced`: somebody asked; otherwise only what helps while typing is shown. */
    function open(forced) {
      if (!forced && isLong()) return close();
      if (area.selectionStart !== area.selectionEnd) return close();
      const text = area.value;
      here = place(text, area.selectionStart);
      entries = guide.entries(side, here, session?.surface);
      if (forced && !here) say("The text is too long to complete in.", "warn");
      // a value that is whole needs no list; a name is offered still, for the opening that comes with it
      const isWhole = entries.length === 1 && entries[0].name === here.typed && !entries[0].member;
      if (!entries.length || (!forced && isWhole)) return close(forced);
      if (!forced && here.at === "after") return close();
      popup.hidden = false;
      area.setAttribute("role", "combobox");
      area.setAttribute("aria-expanded", "true");
      while (rows.length < entries.length) addRow();
      rows.forEach((row, i) => {
        const entry = entries[i];
        row.hidden = !entry;
        if (!entry) return;
        row.classList.toggle("late", !!entry.late);
        [entry.name, entry.kind, entry.tags.join(" · "), firstSentence(entry.doc)].forEach((words, n) => row.children[n].set(words));
      });
      choose(here.typed || here.quoted || here.at === "value" && here.path.length || forced ? 0 : -1);
      measure();
      putPopup();
      aloud.set(`${entries.length} ${entries.length === 1 ? "name or value fits" : "names or values fit"} here`);
    }
    function addRow() {
      const n = rows.length, row = el("li", "", line("b", ""), line("span", "composer-kind"), line("span", "composer-tag"), line("span", "composer-first"));
      row.id = `${id}-entry-${n}`;
      row.setAttribute("role", "option");
      row.addEventListener("mousemove", () => { if (picked !== n) choose(n, false); });
      row.addEventListener("click", () => accept(entries[n]));
      rows.push(row);
      list.append(row);
    }
    function choose(n, scroll = true) {
      picked = n;
      rows.forEach((row, i) => row.setAttribute("aria-selected", String(i === n)));
      if (n < 0) area.removeAttribute("aria-activedescendant");
      else area.setAttribute("aria-activedescendant", `${id}-entry-${n}`);
      if (scroll) list.scrollTop = n < 0 ? 0 : clamp(list.scrollTop, rows[n].offsetTop + rows[n].offsetHeight + 4 - list.clientHeight, rows[n].offsetTop - 4);
      const entry = entries[n];
      aboutName.set(entry ? entry.name : "");
      aboutKind.set(entry ? entry.kind : "");
      aboutDoc.set(entry ? entry.doc : "↓ chooses, Tab takes the first.");
      aboutMore.set(entry ? more(entry).join("\n") : "");
      about.scrollTop = 0;
    }
    function more({ doc, member, tags }) {
      const said = [], fact = (words, names) => names?.length && said.push(`${words}: ${names.join(", ")}`);
      const type = member && guide.type(member.type), words = guide.words(type?.doc);
      if (words && words !== doc) said.push(`${type.is}: ${words}`);
      fact("It is", tags);
      fact("Not beside", member?.without);
      fact("Taken by", member?.takenBy);
      fact("Refused by", member?.refusedBy);
      if (member) fact("Known from", guide.table.evidence[member.from]);
      return said;
    }
    function putPopup() {
      const text = area.value, [x, y] = pixels(text, here.start);
      const left = area.offsetLeft, top = area.offsetTop, room = popup.parentElement.clientWidth;
      popup.style.width = `${Math.min(560, room)}px`;
      popup.style.left = `${clamp(left + x - 10, 0, Math.max(0, room - popup.offsetWidth))}px`;
      const line = top + clamp(y, 0, area.clientHeight - rowHeight);
      const edge = popup.parentElement.getBoundingClientRect().top + line;
      const above = edge + rowHeight + popup.offsetHeight > innerHeight && edge > innerHeight - edge - rowHeight;
      popup.style.top = `${above ? line - popup.offsetHeight - 4 : line + rowHeight + 4}px`;
    }
    function close(forced) {
      if (forced && here) say("Nothing of the schemas fits here.", "");
      popup.hidden = true;
      aloud.set("");
      entries = [];
      picked = -1;
      area.removeAttribute("role");
      area.removeAttribute("aria-expanded");
      area.removeAttribute("aria-activedescendant");
    }

    function accept(entry) {
      const p = here, { name } = entry;
      const text = area.value;
      close();
      if (entry.insert === "message") {
        const inner = guide.opening(entry.member), body = `{\n  ${JSON.stringify(name)}: ${inner}\n}`;
        replace(p.start, p.end, body, p.start + body.length - 2 - (inner ? Math.ceil(inner.length / 2) : 0));
        return open(false);
      }
      let piece = entry.insert === "word" || entry.insert === "open" ? name : JSON.stringify(name), caret = piece.length;
      if (entry.insert === "open") caret = Math.ceil(name.length / 2);
      if (entry.insert === "name" && !p.colon) {
        const opening = guide.opening(entry.member);
        piece += `: ${opening}`;
        caret = piece.length - Math.floor(opening.length / 2);
      }
      if (p.next && !p.colon) piece += ",";
      let from = p.start;
      if (p.comma && p.last > 0) {
        const gap = text.slice(p.last, p.start) || " ";
        piece = `,${gap}${piece}`;
        caret += 1 + gap.length;
        from = p.last;
      }
      replace(from, p.end, piece, from + caret);
      if (entry.insert === "name" || entry.insert === "open") open(false);
    }

    // Keys

    const next = (at) => area.value[at] ?? "";
    area.addEventListener("beforeinput", (e) => {
      if (e.inputType.startsWith("history") && undo(e.inputType === "historyRedo")) return e.preventDefault();
      if (own || e.isComposing || e.inputType !== "insertText" || e.data?.length !== 1 || isLong()) return;
      const { selectionStart: at, selectionEnd: to } = area, c = e.data;
      if (!'"{}[]'.includes(c)) return;
      const head = area.value.slice(0, at), tail = area.value.slice(to), text = head + tail, after = tail[0] ?? "", inside = isInString(head);
      const over = () => { e.preventDefault(); area.setSelectionRange(at + 1, at + 1); look(); close(); };
      const pair = (both) => { e.preventDefault(); replace(at, to, both, at + 1); open(false); };
      const isFree = after === "" || /[\s,\]}:]/.test(after);
      if (c === '"') {
        if (inside) {
          if (after === '"' && at === to && !/(^|[^\\])(\\\\)*\\$/.test(head.slice(-40))) over();
        } else if (isFree && /(^|[\s{[,:])$/.test(head.slice(-1)) && whole(text).strings) pair('""');
        return;
      }
      if (inside || (!isFree && after !== c)) return;
      if (!whole(text).brackets) return;
      if (Object.hasOwn(ENDS, c) && isFree && after !== ":") pair(c + ENDS[c]);
      else if (Object.hasOwn(CLOSES, c) && after === c && at === to) over();
    });
    area.addEventListener("input", (e) => {
      if (own) return;
      back[side] = -1;
      if (!e.inputType.startsWith("history")) undone.length = 0;
      changed();
      if (e.isComposing || isLong()) return close();
      if (e.inputType === "insertText") {
        const c = area.value[area.selectionStart - 1] || "";
        if (/[\w"{:]/.test(c) || (c === " " && next(area.selectionStart - 2) === ":") || (!popup.hidden && /\S/.test(c))) open(false);
        else close();
      } else if (!popup.hidden && e.inputType.startsWith("deleteContent")) open(false);
      else close();
    });

    function enter() {
      const { selectionStart: at, selectionEnd: to } = area;
      if (isLong()) return false;
      const text = area.value, head = text.slice(0, at);
      const line = head.slice(head.lastIndexOf("\n") + 1), indent = /^[ \t]*/.exec(line)[0];
      if (isInString(head)) return false;
      const opened = /[{[]\s*$/.exec(line)?.[0][0], after = /^[ \t]*([}\]])/.exec(text.slice(to, to + 200));
      const inner = `\n${indent}${opened ? "  " : ""}`;
      if (opened && after && after[1] === ENDS[opened]) replace(at, to + after[0].length - 1, `${inner}\n${indent}`, at + inner.length);
      else replace(at, to, inner);
      return true;
    }
    function rubOut() {
      const { selectionStart: at, selectionEnd: to } = area;
      if (at !== to || at === 0 || isLong()) return false;
      const text = area.value, pair = text.slice(at - 1, at + 1);
      if (pair !== "{}" && pair !== "[]" && pair !== '""') return false;
      // of a pair that is one: in "a\"" or {"a""b"} the two do not belong together
      const inside = isInString(text.slice(0, at));
      if (pair === '""' ? !inside || isInString(text.slice(0, at - 1)) : inside || !whole(text).brackets) return false;
      replace(at - 1, at + 1, "");
      return true;
    }

    area.addEventListener("keydown", (e) => {
      e.stopPropagation(); // a page's own keys are not meant by who types
      if (e.isComposing) return;
      const isOpen = !popup.hidden, plain = !e.ctrlKey && !e.metaKey && !e.altKey && !e.shiftKey;
      const stop = () => e.preventDefault();
      if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
        stop();
        close();
        if (!e.repeat) deliver();
      } else if ((e.ctrlKey || e.metaKey) && !e.altKey && /^[zy]$/i.test(e.key)) {
        if (undo(e.key.toLowerCase() === "y" || e.shiftKey)) stop();
      } else if ((e.key === " " || e.code === "Space") && e.ctrlKey) stop(), open(true);
      else if (e.altKey && !e.ctrlKey && (e.key === "ArrowUp" || e.key === "ArrowDown")) stop(), recall(e.key === "ArrowUp" ? 1 : -1);
      else if (isOpen && plain && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
        stop();
        const step = e.key === "ArrowDown" ? 1 : -1;
        choose(picked < 0 && step < 0 ? entries.length - 1 : (picked + step + entries.length) % entries.length);
      } else if (isOpen && plain && (e.key === "PageDown" || e.key === "PageUp")) stop(), choose(clamp(picked + (e.key === "PageDown" ? 6 : -6), 0, entries.length - 1));
      else if (isOpen && plain && (e.key === "Tab" || (e.key === "Enter" && picked >= 0))) stop(), accept(entries[Math.max(0, picked)]);
      else if (isOpen && e.key === "Escape") stop(), close();
      else if (e.key === "Enter" && plain) { close(); if (enter()) stop(); }
      else if (e.key === "Backspace" && plain) { if (rubOut()) { stop(); close(); } }
    });
    popup.addEventListener("mousedown", (e) => e.preventDefault());
    area.addEventListener("scroll", scrolled);
    area.addEventListener("blur", () => close());
    const moved = () => {
      if (own || document.activeElement !== area) return;
      look();
      if (!popup.hidden && !isLong()) {
        const now = place(area.value, area.selectionStart);
        if (!now || now.start !== here.start || now.at !== here.at) close();
      }
    };
    document.addEventListener("selectionchange", moved);
    new ResizeObserver(scrolled).observe(area);

    // Doing something with it

    function say(words, how) {
      told.className = `composer-told ${how}`;
      told.textContent = visible(cut(String(words), 2_000));
    }
    function format() {
      const text = area.value;
      const bad = syntax(text);
      if (bad === undefined) return say(text.trim() ? "The text is too long to format." : "There is nothing to format.", "");
      if (bad) {
        broken = bad;
        showFault(text);
        const [line, column] = lineAndColumn(text, bad.at);
        say(`Not formatted, it is no JSON: ${bad.words} (${line}:${column}).`, "warn");
        return jump(bad.at, bad.end);
      }
      const [out, caret] = pretty(text, area.selectionStart);
      if (out === text) return say("It is formatted already.", "");
      replace(0, text.length, out, caret);
      say("Formatted.", "");
    }
    async function deliver() {
      const text = area.value, to = side;
      if (busy) return;
      if (!enabled) return say("", ""); // why stands beside it
      if (!text.trim()) return say("There is nothing to send: pick a template, or write a message.", "warn");
      if (!armed && !isJson(text)) {
        pause();
        broken ??= { at: 0, end: 1, words: "this is no JSON" }; // too long to be looked at
        armed = true;
        send.textContent = "Send it as it is";
        send.classList.add("armed");
        return say(`Not sent: it is no JSON (${lineAndColumn(text, broken.at).join(":")}). Press again to send it as it is.`, "warn");
      }
      disarm();
      busy = true;
      render();
      say("Sending ...", "");
      try {
        const answer = await options.send(text, to);
        say(answer?.told || (answer?.ok ? "Sent." : "Not sent."), answer?.ok ? "ok" : "bad");
        if (answer?.ok) {
          const past = sent[to];
          if (past.at(-1) !== text) past.push(text);
          if (past.length > KEPT) past.shift();
          back[to] = -1;
        }
      } catch (problem) {
        say(`Not sent: ${problem?.message || problem}`, "bad");
      }
      busy = false;
      render();
    }
    function recall(step) {
      const past = sent[side], to = clamp(back[side] + step, -1, past.length - 1);
      if (to === back[side]) return say(past.length ? (step > 0 ? "Nothing was sent before that." : "That is what is being written.") : "Nothing was sent from this page yet.", "");
      if (back[side] === -1) draft[side] = area.value;
      const text = to < 0 ? draft[side] : past[past.length - 1 - to];
      close();
      replace(0, area.textLength, text);
      back[side] = to;
      say(to < 0 ? "What was being written." : `Sent ${to + 1} of ${past.length}, the newest first.`, "");
    }
    function turn(to) {
      side = to;
      close();
      disarm();
      fillTemplates();
      render();
      changed();
    }
    function fillTemplates() {
      const option = (value, words) => Object.assign(el("option", "", words), { value });
      templates.replaceChildren(option("", "Start from ..."), ...options.table.templates[side].map((one, i) => option(String(i), one.name)));
    }
    templates.addEventListener("change", () => {
      const chosen = options.table.templates[side][+templates.value];
      if (templates.value === "" || !chosen) return;
      templates.value = "";
      const had = area.textLength > 0, text = pretty(JSON.stringify(chosen.message), 0)[0];
      const { start, end } = chosen.at ? locate(text, chosen.at) : { start: text.length, end: text.length };
      const quoted = text[start] === '"' ? 1 : 0;
      close();
      replace(0, area.textLength, text, start + quoted, end - quoted);
      area.scrollTop = area.scrollLeft = 0;
      say(had ? "Ctrl-Z brings back what was there." : "", "");
    });
    function render() {
      // never `disabled`: a button that is loses the focus, and somebody who sends is still writing
      send.setAttribute("aria-disabled", String(!enabled || busy));
      send.title = enabled ? "Ctrl-Enter" : why;
      box.classList.toggle("off", !enabled);
      const given = session ? [session.model, session.surface, session.state].filter(Boolean).join(" · ") : "";
      reason.set(enabled ? "" : why || "Nothing can be sent now.");
      if (!armed && send.textContent !== sends) send.textContent = sends;
      explain.replaceChildren(el("span", "", SIDES[side].slice(1, session?.own ? 2 : 3).join(" ")), ...(given ? [el("span", "composer-session", cut(given, 200))] : []));
    }
    fillTemplates();
    render();
    lines();

    return {
      /** Whether a message can be sent; `reason` is shown while it cannot. The text stays editable. */
      setEnabled(on, reason) {
        enabled = !!on;
        why = enabled ? "" : String(reason || "");
        render();
      },
      /** Puts a text in place of what is there, as if it had been typed: undo takes it back. */
      write(text) {
        close();
        replace(0, area.textLength, String(text), 0);
        area.scrollTop = area.scrollLeft = 0;
      },
      /** The session that gets the message: {model, surface, state, own, sends} or null; `own`: nobody else is its
       * client; `sends`: the words of the button that sends. Of members that `surface` (v1alpha, v1beta
       * or vertex; anything else is the Gemini API) does not take, completion speaks last. */
      setSession(given) {
        session = given || null;
        sends = session?.sends || "Send";
        render();
      },
    };
  }

  window.livewsComposer = { mount, keys: KEYS, place, fault, locate, work, limits: { live: LIVE, most: MOST } };
})();
