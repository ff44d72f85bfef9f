"use strict";
(() => {
  // src/text.js
  var UNSAFE = new RegExp(
    String.raw`[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff` + String.raw`\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]`,
    "gu"
  );
  function escaped(c) {
    const code = c.codePointAt(0) ?? 0, hex = code.toString(16);
    if (code < 256) return "\\x" + hex.padStart(2, "0");
    return code < 65536 ? "\\u" + hex.padStart(4, "0") : "\\U" + hex.padStart(8, "0");
  }
  var visible = (text) => String(text).replace(UNSAFE, escaped);
  var cut = (text, most) => text.length > most ? text.slice(0, most) + "…" : text;
  var firstSentence = (words) => (/^.*?[.!?](?=\s|$)/s.exec(words) || [words])[0];
  var grouped = (n) => n.toLocaleString("en");
  var many = (n, what) => `${grouped(n)} ${what}${n === 1 ? "" : "s"}`;
  var seconds = (t) => t.toFixed(3);
  function span(t) {
    if (t < 60) return `${t.toFixed(t < 10 ? 2 : 1)} s`;
    const h = Math.floor(t / 3600), m = Math.floor(t % 3600 / 60), s = Math.floor(t % 60);
    return `${h ? `${h} h ` : ""}${m} min ${s} s`;
  }
  var when = (text) => text.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
  var clamp = (x, least, most) => Math.min(Math.max(x, least), most);
  var bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  function after(list2, t, value = Number) {
    let a = 0, b = list2.length;
    while (a < b) {
      const m = a + b >> 1;
      if (value(list2[m]) > t) b = m;
      else a = m + 1;
    }
    return a;
  }
  var snake = (name2) => name2.replace(/[A-Z]/g, (c) => "_" + c.toLowerCase());
  var folded = (name2) => name2.replace(/_/g, "").toLowerCase();
  var isSame = (key, name2) => key === name2 || key === snake(name2);
  var steps = (pointer2) => pointer2.split("/").slice(1).map((step2) => step2.replaceAll("~1", "/").replaceAll("~0", "~"));
  var pointer = (key) => key.replaceAll("~", "~0").replaceAll("/", "~1");

  // src/dom.js
  var $ = (id) => (
    /** @type {any} */
    document.getElementById(id)
  );
  function el(tag2, className = "", ...inside) {
    const made = document.createElement(tag2);
    if (className) made.className = className;
    for (const part of inside) if (part) made.append(typeof part === "object" ? part : visible(part));
    return made;
  }
  var plain = (text) => document.createTextNode(text);
  var fill = (into, ...inside) => into.replaceChildren(...inside.filter((part) => part !== false));
  function button(words, title, press) {
    const made = Object.assign(el("button", "", words), { type: "button", title });
    made.addEventListener("click", press);
    return made;
  }
  var option = (value, words) => Object.assign(el("option", "", words), { value });
  function line(tag2, className = "") {
    const made = el(tag2, className), text = made.appendChild(plain(""));
    const set = (words) => {
      const shown2 = visible(words);
      if (text.data !== shown2) text.data = shown2;
    };
    return Object.assign(made, { set });
  }

  // src/composer/tokens.js
  var LIVE = 2e5;
  var MOST = 4e6;
  var work = { tokens: 0, scanned: 0 };
  var SPACE = /[ \t\r\n]*/y;
  var CHARS = /[^"\\\n]*/y;
  var WORD = /[^ \t\r\n"{}[\],:]+/y;
  var OPENS = { "}": "{", "]": "[" };
  var CLOSES = { "{": "}", "[": "]" };
  function skip(pattern, text, at) {
    pattern.lastIndex = at;
    pattern.test(text);
    return pattern.lastIndex;
  }
  var Tokens = class {
    kind = "";
    start = 0;
    end = 0;
    closed = false;
    constructor(text) {
      this.text = text;
      work.scanned += text.length;
    }
    next() {
      const { text } = this, start = this.start = skip(SPACE, text, this.end);
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
      const { source: source2, kind, closed } = this;
      if (kind === "word") return source2;
      const inner = source2.slice(1, closed ? -1 : void 0);
      if (!closed || !inner.includes("\\")) return inner;
      try {
        return String(JSON.parse(source2));
      } catch {
        return inner;
      }
    }
  };
  var container = (kind) => ({
    kind,
    need: kind === "{" ? "key" : "value",
    key: (
      /** @type {string | null} */
      null
    ),
    index: 0,
    keys: (
      /** @type {Set<string>} */
      /* @__PURE__ */ new Set()
    )
  });
  var Nest = class {
    /** @type {ReturnType<typeof container>[]} */
    stack = [];
    top = container("");
    /** Is the next string or word the name of a member? A comma may have been forgotten, a colon as well. */
    get wantsKey() {
      return this.top.kind === "{" && (this.top.need === "key" || this.top.need === "comma");
    }
    /** @returns {Step[]} */
    get path() {
      return [...this.stack, this.top].slice(1).map((one) => one.kind === "[" ? one.index : one.key);
    }
    take(token2) {
      const { top } = this, { kind } = token2;
      if (token2.isText && this.wantsKey) {
        if (kind === "string" && !token2.closed) return;
        top.key = token2.value;
        top.keys.add(top.key);
        top.need = "colon";
      } else if (token2.isText || token2.opens) {
        if (top.kind === "[" && top.need === "comma") top.index++;
        top.need = "comma";
        if (token2.isText) return;
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
        if (at === 0) return;
        this.top = this.stack[at - 1];
        this.stack.length = at - 1;
      }
    }
  };
  function isWhole(text) {
    const open3 = [];
    const tokens = new Tokens(text), found = { brackets: true, strings: true };
    while (tokens.next()) {
      if (tokens.kind === "string") found.strings &&= tokens.closed;
      else if (tokens.opens) open3.push(tokens.kind);
      else if (tokens.closes && open3.pop() !== OPENS[tokens.kind]) found.brackets = false;
    }
    found.brackets &&= open3.length === 0 && found.strings;
    return found;
  }
  function isInString(head) {
    const tokens = new Tokens(head);
    while (tokens.next()) if (tokens.end === head.length && tokens.kind === "string" && !tokens.closed) return true;
    return false;
  }

  // src/composer/caret.js
  var NAME_END = /[\w.\/;=+-]*"/y;
  var WORD_END = /[\w.+-]*/y;
  function locateCaret(text, caret) {
    if (caret > MOST) return null;
    const head = text.slice(0, caret), tokens = new Tokens(head), nest = new Nest();
    let isWritten = false, last2 = 0;
    while (tokens.next()) {
      isWritten = tokens.end === caret && (tokens.kind === "word" || tokens.kind === "string" && !tokens.closed);
      if (isWritten) break;
      nest.take(tokens);
      last2 = tokens.end;
    }
    const { top } = nest, lacksComma = top.need === "comma";
    let at = lacksComma ? "after" : top.need;
    if (isWritten && (top.kind || !lacksComma)) at = nest.wantsKey ? "key" : "value";
    const path = at === "value" || at === "colon" ? nest.path : nest.path.slice(0, -1);
    if (at === "value" && top.kind === "[" && lacksComma) path.push(Number(path.pop()) + 1);
    const found = {
      at,
      path,
      typed: "",
      start: caret,
      end: caret,
      isQuoted: false,
      keys: top.kind === "{" ? [...top.keys] : [],
      hasColon: false,
      hasNext: false,
      lacksComma,
      last: last2,
      isInObject: top.kind === "{"
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
  function lookAhead(tail, found) {
    const tokens = new Tokens(tail);
    let depth = 0, was = "", name2 = "", isFirst = true;
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
      else if (depth === 0 && kind === ":" && was === "string") found.keys.push(name2);
      else if (depth === 0 && kind === "string") name2 = tokens.value;
      was = kind;
    }
  }

  // src/composer/completion.js
  var SHOWN = 100;
  var Guide = class {
    constructor(table) {
      this.table = table;
    }
    /** @param {number} [index] */
    words(index) {
      return this.table.words[index ?? -1] || "";
    }
    /** @param {string} [name] */
    type(name2) {
      return name2 && Object.hasOwn(this.table.types, name2) ? this.table.types[name2] : null;
    }
    members(type) {
      return this.type(type)?.members ?? {};
    }
    /** What stands at a path, or null inside what is in no schema. @param {Side} side @param {Step[]} path */
    at(side, path) {
      let of = this.table.envelope[side], shape = "one";
      let member;
      for (const step2 of path) {
        if (shape === "map" || shape === "list" && typeof step2 === "number") {
          shape = "one";
          continue;
        }
        const members2 = this.members(of), name2 = String(step2);
        if (typeof step2 === "number") return null;
        member = Object.hasOwn(members2, name2) ? members2[name2] : Object.entries(members2).find(([known]) => snake(known) === name2)?.[1];
        if (!member) return null;
        of = member.type || "";
        shape = member.shape || "one";
      }
      return { member, of, shape };
    }
    /** What the schemas say of a path. @param {Side} side @param {Step[]} path */
    about(side, path) {
      const found = this.at(side, path);
      if (!found) return "Not in the schemas: nothing is known of it.";
      return this.words(found.member?.doc) || this.words(this.type(found.of)?.doc);
    }
    /** The type of a member in words. @param {Member} member */
    kind({ type, plain: plain2, shape }) {
      const of = this.type(type), is = type ? of?.is || "" : plain2 || "string";
      if (shape) return `${shape} of ${is}`;
      return of?.values ? `enum ${is}` : is;
    }
    /** What a value begins and ends with. @param {Partial<Member>} member */
    opening({ type, plain: plain2, shape }) {
      const of = this.type(type);
      let one = plain2 === "boolean" ? "" : '""';
      if (of) one = of.members || of.open ? "{}" : of.values || of.plain === "string" ? '""' : "";
      return shape === "map" ? "{}" : shape === "list" ? `[${one}]` : one;
    }
    /** @param {Member} member */
    tags({ required, old, not = [] }) {
      const tags = [];
      if (required) tags.push("required");
      if (old) tags.push("deprecated");
      const where = not.map((one) => one === "vertex" ? "on Vertex" : `in ${one}`).join(", ");
      if (not.includes("v1alpha") && not.includes("v1beta"))
        tags.push(not.includes("vertex") ? "taken nowhere" : "Vertex only");
      else if (where) tags.push(`not ${where}`);
      return tags;
    }
    /** What else is known of an entry. @param {Entry} entry */
    more({ doc, member, tags }) {
      if (!member) return [];
      const lines = [];
      const type = this.type(member.type), words = this.words(type?.doc);
      if (words && words !== doc) lines.push(`${type?.is}: ${words}`);
      const { without, takenBy, refusedBy, from } = member, facts = {
        "It is": tags,
        "Not beside": without,
        "Taken by": takenBy,
        "Refused by": refusedBy,
        "Known from": this.table.evidence[from]
      };
      for (const [fact, names] of Object.entries(facts)) if (names?.length) lines.push(`${fact}: ${names.join(", ")}`);
      return lines;
    }
    /** Entries that fit at the caret, the best first.
     * @param {Side} side @param {Caret | null} caret @param {string} [surface] @returns {Entry[]} */
    entries(side, caret, surface) {
      if (!caret) return [];
      if (caret.at === "key" || caret.at === "after" && caret.isInObject) return this.#names(side, caret, surface);
      return caret.at === "value" ? this.#values(side, caret) : [];
    }
    /** @param {string} name @param {Member} member @param {Entry["insert"]} insert @returns {Entry} */
    #entry(name2, member, insert, late = !!member.old) {
      const doc = this.words(member.doc);
      return { name: name2, member, late, kind: this.kind(member), doc, tags: this.tags(member), insert };
    }
    /** @param {Side} side @param {Caret} caret @param {string} [surface] */
    #names(side, caret, surface) {
      const here = this.at(side, caret.path);
      if (!here || here.shape === "map") return [];
      const members2 = Object.entries(this.members(here.of));
      const given2 = members2.filter(([name2]) => caret.keys.some((key) => isSame(key, name2)));
      const shut = new Set(given2.flatMap(([name2, member]) => [name2, ...member.without ?? []]));
      const surfaces = surface && ["v1alpha", "v1beta", "vertex"].includes(surface) ? [surface] : ["v1alpha", "v1beta"];
      const isLate = ({ old, not = [] }) => !!old || surfaces.every((one) => not.includes(one));
      const open3 = members2.filter(([name2]) => !shut.has(name2));
      return best(open3.map(([name2, member]) => this.#entry(name2, member, "name", isLate(member))), caret.typed);
    }
    #values(side, caret) {
      const { isQuoted, typed: typed2, path } = caret;
      if (!path.length) return isQuoted ? [] : this.#messages(side, caret);
      const here = this.at(side, path);
      if (!here) return [];
      const { member, of, shape } = here, type = this.type(of), isOne = shape === "one";
      const found = [];
      const add = (name2, kind, doc, insert, late = false) => found.push({ name: name2, kind, doc, late, tags: [], insert });
      if (isOne) {
        for (const [name2, words] of Object.entries(type?.values ?? {}))
          add(name2, type?.is ?? "", this.words(words), "text", name2.endsWith("UNSPECIFIED"));
        for (const name2 of member?.values ?? []) add(name2, "a known value", "", "text");
        if (!of && member?.plain === "boolean" && !isQuoted)
          for (const name2 of ["true", "false"]) add(name2, "boolean", this.words(member.doc), "word");
      }
      if (isQuoted || typed2 || !member) return best(found, typed2);
      const opening2 = this.opening(isOne ? { type: of, plain: member.plain } : member);
      if (isOne && opening2 && opening2 !== '""') add(opening2, type?.is ?? "", this.words(type?.doc), "open");
      if (!isOne && opening2 && opening2 !== '""') add(opening2, this.kind(member), this.words(member.doc), "open");
      return best(found, typed2);
    }
    /** Whole messages, where there is nothing yet. @param {Side} side @param {Caret} caret */
    #messages(side, { typed: typed2 }) {
      const members2 = Object.entries(this.members(this.table.envelope[side]));
      return best(members2.map(([name2, member]) => this.#entry(name2, member, "message")), typed2.replace(/^[{"]+/, ""));
    }
  };
  function best(entries, typed2) {
    const asked2 = folded(typed2);
    const rank = (entry) => {
      const name2 = folded(entry.name);
      if (entry.name === typed2 || snake(entry.name) === typed2) return -1;
      if (!asked2 || name2.startsWith(asked2)) return 0;
      if (wordsFrom(entry.name).some((word) => word.startsWith(asked2))) return 1;
      if (name2.includes(asked2)) return 2;
      return isWithin(asked2, name2) ? 3 : 4;
    };
    const ranked = entries.map((entry) => ({ entry, rank: rank(entry) }));
    const most = ranked.some(({ rank: rank2 }) => rank2 < 3) ? 2 : 3, found = ranked.filter(({ rank: rank2 }) => rank2 <= most);
    const weight = ({ entry, rank: rank2 }) => rank2 < 0 ? -100 : (entry.late ? 50 : 0) + rank2 * 4 - (entry.member?.required ? 1 : 0);
    return found.sort((a, b) => weight(a) - weight(b)).slice(0, SHOWN).map(({ entry }) => entry);
  }
  var wordsFrom = (name2) => [...name2.matchAll(/[A-Z][a-z]|_[A-Za-z]|[-./][A-Za-z]/g)].map(({ index }) => folded(name2.slice(index).replace(/^[-./]/, "")));
  function isWithin(asked2, name2) {
    let at = -1;
    for (const c of asked2) if ((at = name2.indexOf(c, at + 1)) < 0) return false;
    return asked2.length > 1;
  }

  // src/composer/editing.js
  function typed(text, at, to, c) {
    if (!'"{}[]'.includes(c)) return null;
    const head = text.slice(0, at), tail = text.slice(to), next = tail[0] ?? "", isInside = isInString(head);
    const isFree = next === "" || /[\s,\]}:]/.test(next), isBefore = next === c && at === to;
    if (c === '"' && isInside) return isBefore && !/(^|[^\\])(\\\\)*\\$/.test(head.slice(-40)) ? at + 1 : null;
    if (isInside || !isFree && next !== c) return null;
    const whole = isWhole(head + tail), pair = { from: at, to, text: c + (CLOSES[c] ?? c), caret: at + 1 };
    if (c === '"') return isFree && /(^|[\s{[,:])$/.test(head.slice(-1)) && whole.strings ? pair : null;
    if (!whole.brackets) return null;
    if (Object.hasOwn(CLOSES, c)) return isFree && next !== ":" ? pair : null;
    return isBefore ? at + 1 : null;
  }
  function newLine(text, at, to) {
    const head = text.slice(0, at), line3 = head.slice(head.lastIndexOf("\n") + 1);
    if (isInString(head)) return null;
    const [indent] = /^[ \t]*/.exec(line3) ?? [""];
    const opened2 = /[{[]\s*$/.exec(line3)?.[0][0], next = /^[ \t]*([}\]])/.exec(text.slice(to, to + 200));
    const inner = `
${indent}${opened2 ? "  " : ""}`, caret = at + inner.length;
    if (!opened2 || !next || next[1] !== CLOSES[opened2]) return { from: at, to, text: inner, caret };
    return { from: at, to: to + next[0].length - 1, text: `${inner}
${indent}`, caret };
  }
  function rubOut(text, at, to) {
    const pair = text.slice(at - 1, at + 1);
    if (at !== to || at === 0 || !["{}", "[]", '""'].includes(pair)) return null;
    const isInside = isInString(text.slice(0, at)), isQuotes = pair === '""';
    if (isQuotes && (!isInside || isInString(text.slice(0, at - 1)))) return null;
    if (!isQuotes && (isInside || !isWhole(text).brackets)) return null;
    return { from: at - 1, to: at + 1, text: "", caret: at - 1 };
  }
  function accepted(text, { start, end, hasColon, hasNext, lacksComma, last: last2 }, { name: name2, insert, member }, guide) {
    const opening2 = member ? guide.opening(member) : "";
    if (insert === "message") {
      const body = `{
  ${JSON.stringify(name2)}: ${opening2}
}`;
      return { from: start, to: end, text: body, caret: start + body.length - 2 - Math.ceil(opening2.length / 2) };
    }
    let piece = insert === "word" || insert === "open" ? name2 : JSON.stringify(name2), from = start, caret = piece.length;
    if (insert === "open") caret = Math.ceil(name2.length / 2);
    if (insert === "name" && !hasColon) {
      piece += `: ${opening2}`;
      caret = piece.length - Math.floor(opening2.length / 2);
    }
    if (hasNext && !hasColon) piece += ",";
    if (lacksComma && last2 > 0) {
      const gap = text.slice(last2, start) || " ";
      piece = `,${gap}${piece}`;
      caret += 1 + gap.length;
      from = last2;
    }
    return { from, to: end, text: piece, caret: from + caret };
  }

  // src/composer/json.js
  var PLAIN = /[^"\\\u0000-\u001f]*/y;
  var HEX = /[0-9a-fA-F]{4}/y;
  var NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
  var MEANT = { True: "true", False: "false", None: "null", TRUE: "true", FALSE: "false", undefined: "null" };
  function isJson(text) {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  }
  function faultOf(text) {
    const tokens = new Tokens(text);
    const open3 = [];
    let need = "value", comma = -1, isEmpty = false;
    const at = (words2, start = tokens.start, end2 = tokens.end) => ({ at: start, end: Math.max(end2, start + 1), words: words2 });
    const token2 = () => tokens.isText ? cut(tokens.source.slice(0, 31), 30) : tokens.kind;
    while (tokens.next()) {
      const { kind, source: source2 } = tokens, inside2 = open3.at(-1) ?? "";
      const bad = kind === "string" && faultOfString(tokens);
      if (bad) return bad;
      if (kind === "word" && /^\/[/*]/.test(source2)) return at("JSON has no comments");
      if (need === "end") return at(`the message ended before ${token2()}`);
      if (tokens.closes) {
        if (comma >= 0) return at(`a comma stands before ${kind}, and nothing after it`, comma, comma + 1);
        if (!inside2) return at(`${kind} closes nothing`);
        if (inside2 !== OPENS[kind]) return at(`${CLOSES[inside2]} was expected, to close the ${inside2}, and not ${kind}`);
        if (need === "colon" || need === "value" && !isEmpty) return at(`a value is missing before ${kind}`);
        open3.pop();
        need = open3.length ? "comma" : "end";
      } else if (need === "comma") {
        if (kind !== "," && (tokens.isText || tokens.opens)) return at(`a comma is missing before ${token2()}`);
        if (kind !== ",") return at(`a comma or ${CLOSES[inside2]} was expected, not ${token2()}`);
        need = inside2 === "{" ? "key" : "value";
        comma = tokens.start;
        isEmpty = false;
        continue;
      } else if (need === "key") {
        if (kind === "word") return at(inQuotes(source2, "the name of a member"));
        if (kind !== "string") return at(`the name of a member was expected, not ${token2()}`);
        need = "colon";
      } else if (need === "colon") {
        if (kind !== ":") return at(`a colon is missing before ${token2()}`);
        need = "value";
      } else if (tokens.opens) {
        open3.push(kind);
        need = kind === "{" ? "key" : "value";
      } else {
        const words2 = kind === "word" && faultOfWord(source2);
        if (words2 || !tokens.isText) return at(words2 || `a value was expected, not ${token2()}`);
        need = open3.length ? "comma" : "end";
      }
      comma = -1;
      isEmpty = tokens.opens;
    }
    if (need === "end") return null;
    const end = text.trimEnd().length, inside = open3.at(-1) ?? "", missing = CLOSES[inside] || "a value";
    const words = need === "value" && !inside ? "there is no message" : `the text ends too early: ${missing} is missing`;
    return { at: Math.max(0, end - 1), end, words };
  }
  var inQuotes = (word, what) => `${what} stands in double quotes: "${cut(word.replace(/^['‘’“”`]+|['‘’“”`]+$/g, ""), 30)}"`;
  function faultOfWord(word) {
    if (word === "true" || word === "false" || word === "null" || NUMBER.test(word)) return "";
    if (Object.hasOwn(MEANT, word)) return `${word} is written ${MEANT[word]} in JSON`;
    return /^[-+.\d]/.test(word) ? `${cut(word, 30)} is no number of JSON` : inQuotes(word, "a text");
  }
  function faultOfString({ text, start, end }) {
    for (let at = start + 1; ; ) {
      at = skip(PLAIN, text, at);
      const c = text[at], escape = text[at + 1];
      if (c === '"' && at < end) return null;
      if (at >= end || c === "\n")
        return { at: start, end, words: "this text is not closed: a double quote is missing at its end" };
      if (c !== "\\") {
        const wanted = c === "	" ? "\\t" : "\\u" + text.charCodeAt(at).toString(16).padStart(4, "0");
        return { at, end: at + 1, words: `a character that JSON wants as an escape: ${wanted}` };
      }
      if (escape === "u" ? !skip(HEX, text, at + 2) : !'"\\/bfnrt'.includes(escape || " "))
        return { at, end: at + 2, words: `\\${visible(escape || "")} is no escape of JSON; a backslash is written \\\\` };
      at += escape === "u" ? 6 : 2;
    }
  }
  function doubles(text) {
    const tokens = new Tokens(text), nest = new Nest(), found = [];
    while (tokens.next() && found.length < 10) {
      const name2 = nest.wantsKey && tokens.kind === "string" ? tokens.value : null;
      if (name2 !== null && nest.top.keys.has(name2)) found.push({ start: tokens.start, end: tokens.end, name: name2 });
      nest.take(tokens);
    }
    return found;
  }
  function lineAndColumn(text, at) {
    let line3 = 1, from = 0;
    for (let next; (next = text.indexOf("\n", from)) >= 0 && next < at; from = next + 1) line3++;
    return [line3, at - from + 1];
  }
  function pretty(text, caret) {
    const tokens = new Tokens(text);
    let out = "", depth = 0, isOpened = false, moved = -1;
    const breakLine = () => {
      out += "\n" + "  ".repeat(Math.min(depth, 100));
    };
    while (tokens.next()) {
      const { kind, start, end, opens, closes, source: source2 } = tokens;
      if (closes) depth--;
      if (isOpened !== closes) breakLine();
      isOpened = opens;
      if (opens) depth++;
      if (moved < 0 && caret <= end) moved = out.length + Math.max(0, caret - start);
      out += source2;
      if (kind === ",") breakLine();
      if (kind === ":") out += " ";
    }
    return [out, moved < 0 ? out.length : moved];
  }
  function locate(text, path) {
    const wanted = steps(path), tokens = new Tokens(text), nest = new Nest();
    let best2 = { start: 0, end: 0, depth: -1 };
    let name2 = null;
    const depths = [0];
    const isStep = (step2, key) => step2 !== void 0 && (step2 === String(key) || typeof key === "string" && folded(step2) === folded(key));
    while (tokens.next()) {
      const { start, end, opens, isText } = tokens, { top } = nest, from = depths.at(-1) ?? -1;
      if (!opens && (!isText || nest.wantsKey)) {
        if (isText) name2 = { start, end };
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
      if (depth >= 0 && depth >= best2.depth)
        best2 = { ...opens && top.kind === "{" && name2 || { start, end: opens ? start + 1 : end }, depth };
      nest.take(tokens);
      if (opens) depths.push(depth);
    }
    return best2;
  }

  // src/composer/field.js
  var NATIVE_LINES = 60;
  var NATIVE = 1e5;
  var UNDONE = 30;
  var PAINTED = 2e4;
  var INKS = window.Highlight && CSS.highlights ? { name: new Highlight(), text: new Highlight(), word: new Highlight() } : null;
  for (const [name2, ranges] of Object.entries(INKS ?? {})) CSS.highlights.set(`composer-${name2}`, ranges);
  function createField(id, listener) {
    const area2 = Object.assign(el("textarea", "composer-text"), {
      id: `${id}-text`,
      spellcheck: false,
      wrap: "off",
      rows: 12,
      placeholder: "Pick a template, or type {  —  Ctrl-Space shows what fits"
    });
    for (const [name2, value] of Object.entries({
      autocomplete: "off",
      autocapitalize: "off",
      autocorrect: "off",
      "aria-label": "message, as JSON",
      "aria-autocomplete": "list",
      "aria-controls": `${id}-list`,
      "aria-describedby": `${id}-where`
    })) area2.setAttribute(name2, value);
    const gutter2 = line("pre", "composer-lines"), paper2 = line("pre", "composer-paper"), mark = el("i", "composer-mark");
    for (const one of [gutter2, paper2]) one.setAttribute("aria-hidden", "true");
    mark.hidden = true;
    const pen = (
      /** @type {CanvasRenderingContext2D} */
      document.createElement("canvas").getContext("2d")
    );
    const isLong = () => area2.textLength > LIVE;
    let isOwn = false, counted = 1, rowHeight = 20, pad = 8;
    let marked = null;
    const done = [];
    const undone = [];
    function replace({ from, to, text, caret }, end = caret) {
      const isLarge = (text2) => text2.length > NATIVE || text2.split("\n", NATIVE_LINES + 1).length > NATIVE_LINES;
      area2.focus({ preventScroll: true });
      isOwn = true;
      if (isLarge(text) || to > from && isLarge(area2.value.slice(from, to))) {
        const before = area2.value, at = area2.selectionStart;
        area2.setRangeText(text, from, to, "end");
        undone.length = 0;
        done.push({ before, at, after: area2.value, caret });
        if (done.length > UNDONE) done.shift();
      } else {
        area2.setSelectionRange(from, to);
        const isDone = text ? document.execCommand("insertText", false, text) : from === to || document.execCommand("delete");
        if (!isDone) area2.setRangeText(text, from, to, "end");
      }
      isOwn = false;
      area2.setSelectionRange(caret, end);
      listener.changed();
    }
    function undo(isRedo) {
      const [from, to] = isRedo ? [undone, done] : [done, undone], change = from.at(-1);
      if (!change || area2.value !== (isRedo ? change.before : change.after)) return false;
      const at = isRedo ? change.caret : change.at;
      from.pop();
      to.push(change);
      isOwn = true;
      area2.value = isRedo ? change.after : change.before;
      isOwn = false;
      area2.setSelectionRange(at, at);
      listener.undone();
      listener.changed();
      return true;
    }
    function measure() {
      const style = getComputedStyle(area2);
      rowHeight = parseFloat(style.lineHeight) || 20;
      pad = parseFloat(style.paddingTop) || 0;
      pen.font = `${style.fontSize} ${style.fontFamily}`;
    }
    function lines() {
      const text = area2.value;
      work.scanned += text.length;
      counted = 1;
      for (let at = -1; (at = text.indexOf("\n", at + 1)) >= 0; ) counted++;
      draw2();
    }
    function draw2() {
      measure();
      const first = Math.max(0, Math.floor((area2.scrollTop - pad) / rowHeight));
      const last2 = Math.min(counted, first + Math.ceil(area2.clientHeight / rowHeight) + 1);
      gutter2.set(Array.from({ length: Math.max(0, last2 - first) }, (_, i) => first + i + 1).join("\n"));
      gutter2.style.transform = `translateY(${pad + first * rowHeight - area2.scrollTop}px)`;
      paint2(first, last2);
      if (marked) showMark(marked);
      listener.moved();
    }
    let painted = [];
    function paint2(first, last2) {
      if (!INKS) return;
      for (const [ink3, range] of painted) INKS[ink3].delete(range);
      painted = [];
      const seen = isLong() ? "" : area2.value.split("\n").slice(first, last2).join("\n");
      const text = seen.length > PAINTED ? "" : seen, node = (
        /** @type {Text} */
        paper2.firstChild
      );
      area2.classList.toggle("painted", text !== "");
      node.data = text;
      paper2.style.transform = `translate(${-area2.scrollLeft}px, ${pad + first * rowHeight - area2.scrollTop}px)`;
      const ink2 = (name2, [start, end]) => {
        const range = new StaticRange({ startContainer: node, startOffset: start, endContainer: node, endOffset: end });
        painted.push([name2, range]);
        INKS[name2].add(range);
      };
      const tokens = new Tokens(text);
      let string = null;
      while (tokens.next()) {
        if (string) ink2(tokens.kind === ":" ? "name" : "text", string);
        string = tokens.kind === "string" ? [tokens.start, tokens.end] : null;
        if (tokens.kind === "word") ink2("word", [tokens.start, tokens.end]);
      }
      if (string) ink2("text", string);
    }
    function pixels(at) {
      const text = area2.value, [line3, column] = lineAndColumn(text, at);
      const wide = column > 2e3 ? (column - 1) * pen.measureText("0").width : pen.measureText(text.slice(at - column + 1, at).replaceAll("	", "  ")).width;
      return [pad + wide - area2.scrollLeft, pad + (line3 - 1) * rowHeight - area2.scrollTop];
    }
    function showMark({ at, end }) {
      const [x, y] = pixels(at), text = area2.value.slice(at, Math.min(end, at + 200)).split("\n")[0];
      mark.style.transform = `translate(${x}px, ${y}px)`;
      mark.style.width = `${Math.max(8, pen.measureText(text).width)}px`;
      mark.style.height = `${rowHeight}px`;
      mark.hidden = false;
    }
    area2.addEventListener("scroll", draw2);
    new ResizeObserver(draw2).observe(area2);
    return {
      area: area2,
      isLong,
      replace,
      undo,
      lines,
      draw: draw2,
      pixels,
      marks: el("div", "composer-marks", mark),
      gutter: el("div", "composer-gutter", gutter2),
      paper: el("div", "composer-marks", paper2),
      /** Is it changed from here, not by a person? */
      isOwn: () => isOwn,
      /** A person typed: what was undone is not made again. */
      forget: () => {
        undone.length = 0;
      },
      /** Mark a fault, or none. @param {Fault | null} fault */
      mark(fault) {
        marked = fault;
        mark.hidden = true;
        if (!fault) return;
        measure();
        showMark(fault);
      },
      /** Select a place, and scroll there. @param {number} start @param {number} end */
      jump(start, end) {
        area2.focus({ preventScroll: true });
        area2.setSelectionRange(start, Math.min(end, start + 2e3));
        measure();
        const [x, y] = pixels(start);
        if (y < 0 || y > area2.clientHeight - 2 * rowHeight) area2.scrollTop += y - area2.clientHeight / 3;
        if (x < 0 || x > area2.clientWidth - 60) area2.scrollLeft += x - area2.clientWidth / 3;
        area2.scrollIntoView({ block: "nearest" });
      },
      /** Put a box below a place, or above where there is more room. @param {HTMLElement} box @param {number} at */
      putBelow(box2, at) {
        const [x, y] = pixels(at), around = (
          /** @type {HTMLElement} */
          box2.parentElement
        ), room = around.clientWidth;
        box2.style.width = `${Math.min(560, room)}px`;
        box2.style.left = `${clamp(area2.offsetLeft + x - 10, 0, Math.max(0, room - box2.offsetWidth))}px`;
        const top = area2.offsetTop + clamp(y, 0, area2.clientHeight - rowHeight);
        const edge = around.getBoundingClientRect().top + top, below = edge + rowHeight;
        const isAbove = below + box2.offsetHeight > innerHeight && edge > innerHeight - below;
        box2.style.top = `${isAbove ? top - box2.offsetHeight - 4 : top + rowHeight + 4}px`;
      }
    };
  }

  // src/composer/popup.js
  function createPopup(id, area2, owner) {
    const list2 = Object.assign(el("ul", "composer-list"), { id: `${id}-list` });
    list2.setAttribute("role", "listbox");
    list2.setAttribute("aria-label", "what fits here");
    const name2 = line("b"), kind = line("span", "composer-kind"), doc = line("p"), more = line("p", "composer-more");
    const about2 = el("div", "composer-about", el("p", "", name2, " ", kind), doc, more);
    const box2 = el("div", "composer-popup", list2, about2), aloud = line("span", "composer-aloud");
    aloud.setAttribute("aria-live", "polite");
    box2.hidden = true;
    box2.addEventListener("mousedown", (e) => e.preventDefault());
    let entries = [];
    const rows2 = [];
    let picked2 = -1;
    function addRow() {
      const n = rows2.length, fields = [
        line("b"),
        line("span", "composer-kind"),
        line("span", "composer-tag"),
        line("span", "composer-first")
      ];
      const row = Object.assign(el("li", "", ...fields), { id: `${id}-entry-${n}`, fields });
      row.setAttribute("role", "option");
      row.addEventListener("mousemove", () => {
        if (picked2 !== n) choose2(n, false);
      });
      row.addEventListener("click", () => owner.accept(entries[n]));
      rows2.push(row);
      list2.append(row);
    }
    function choose2(n = -1, isScrolled = true) {
      picked2 = n;
      rows2.forEach((row2, i) => row2.setAttribute("aria-selected", String(i === n)));
      if (n < 0) area2.removeAttribute("aria-activedescendant");
      else area2.setAttribute("aria-activedescendant", `${id}-entry-${n}`);
      const row = rows2[n], entry = entries[n];
      if (isScrolled && !row) list2.scrollTop = 0;
      else if (isScrolled) {
        const bottom = row.offsetTop + row.offsetHeight + 4 - list2.clientHeight;
        list2.scrollTop = clamp(list2.scrollTop, bottom, row.offsetTop - 4);
      }
      name2.set(entry ? entry.name : "");
      kind.set(entry ? entry.kind : "");
      doc.set(entry ? entry.doc : "↓ chooses, Tab takes the first.");
      more.set(entry ? owner.more(entry).join("\n") : "");
      about2.scrollTop = 0;
    }
    return {
      box: box2,
      aloud,
      isOpen: () => !box2.hidden,
      isChosen: () => picked2 >= 0,
      /** The entry that Tab takes. */
      chosen: () => entries[Math.max(0, picked2)],
      /** @param {Entry[]} offered @param {number} first the entry that is chosen at first, -1: none */
      open(offered, first) {
        entries = offered;
        box2.hidden = false;
        area2.setAttribute("role", "combobox");
        area2.setAttribute("aria-expanded", "true");
        while (rows2.length < entries.length) addRow();
        rows2.forEach((row, i) => {
          const entry = entries[i];
          row.hidden = !entry;
          if (!entry) return;
          row.classList.toggle("late", entry.late);
          const words = [entry.name, entry.kind, entry.tags.join(" · "), firstSentence(entry.doc)];
          words.forEach((text, n) => row.fields[n].set(text));
        });
        choose2(first);
        aloud.set(`${entries.length} ${entries.length === 1 ? "name or value fits" : "names or values fit"} here`);
      },
      close() {
        box2.hidden = true;
        aloud.set("");
        entries = [];
        picked2 = -1;
        for (const name3 of ["role", "aria-expanded", "aria-activedescendant"]) area2.removeAttribute(name3);
      },
      /** One further, going round. @param {1 | -1} by */
      step(by) {
        choose2(picked2 < 0 && by < 0 ? entries.length - 1 : (picked2 + by + entries.length) % entries.length);
      },
      /** @param {number} by */
      page: (by) => choose2(clamp(picked2 + by, 0, entries.length - 1))
    };
  }

  // src/composer/composer.js
  var PAUSE = 250;
  var LONG_PAUSE = 1e3;
  var KEPT = 100;
  var SHOWN2 = 100;
  var SIDES = {
    client: ["to the service", "The service takes it for a message of the client.", "The client does not learn of it."],
    server: ["to the client", "The client takes it for a message of the service.", "The service does not learn of it."]
  };
  var KEYS = [
    ["Ctrl-Space", "completes"],
    ["↓ ↑ Enter Tab", "choose"],
    ["Esc", "closes the list"],
    ["Ctrl-Enter", "sends"],
    ["Alt-↑ Alt-↓", "what was sent"]
  ];
  var mounted = 0;
  function mount(root, options) {
    const id = `composer-${++mounted}`, guide = new Guide(options.table), sides = options.sides ?? ["client", "server"];
    let side = sides[0], isEnabled = true, why = "", isBusy = false, isArmed = false, sends = "Send";
    let timer = 0, asked2 = 0, frame2 = 0;
    let target = null;
    let here = null;
    let broken = null;
    const past = {
      client: { sent: (
        /** @type {string[]} */
        []
      ), at: -1, draft: "" },
      server: { sent: (
        /** @type {string[]} */
        []
      ), at: -1, draft: "" }
    };
    const field = createField(id, {
      changed,
      undone: () => close(),
      moved: () => {
        if (popup.isOpen() && here) field.putBelow(popup.box, here.start);
      }
    });
    const { area: area2 } = field;
    const popup = createPopup(id, area2, { accept, more: (entry) => guide.more(entry) });
    const wherePath = line("code"), whereWords = line("span");
    const where = Object.assign(el("p", "composer-where", wherePath, " ", whereWords), { id: `${id}-where` });
    const findings = el("ul", "composer-findings"), said = el("output", "composer-answer");
    findings.setAttribute("aria-label", "what is wrong with it");
    const reason = line("span", "composer-why"), explain = el("p", "composer-explain");
    reason.setAttribute("role", "status");
    const templates = el("select", "composer-templates"), switcher = el("div", "composer-sides");
    templates.setAttribute("aria-label", "template");
    const send = button(sends, "Ctrl-Enter", () => deliver());
    send.classList.add("composer-send");
    switcher.setAttribute("role", "radiogroup");
    switcher.setAttribute("aria-label", "who gets it");
    for (const one of sides) {
      const radio = el("input");
      Object.assign(radio, { type: "radio", name: `${id}-side`, value: one, checked: one === side });
      radio.addEventListener("change", () => turn(one));
      switcher.append(el("label", "", radio, SIDES[one][0]));
    }
    switcher.hidden = sides.length < 2;
    const complete = button("Complete", "What fits at the caret (Ctrl-Space)", () => {
      area2.focus();
      open3(true);
    });
    const earlier = button("↑", "What was sent before (Alt-↑)", () => recall(1));
    const later = button("↓", "What was sent after it (Alt-↓)", () => recall(-1));
    earlier.setAttribute("aria-label", "what was sent before");
    later.setAttribute("aria-label", "what was sent after it");
    const formats = button("Format", "Line breaks and indentation", format);
    const group = el("span", "composer-group", complete, formats, earlier, later);
    const box2 = el(
      "div",
      "composer",
      el("div", "composer-bar", switcher, templates, group),
      explain,
      el("div", "composer-edit", field.gutter, field.paper, area2, field.marks, popup.box),
      where,
      el("div", "composer-bar", send, ...options.beside ?? [], reason, said),
      findings,
      popup.aloud,
      el("p", "composer-keys", KEYS.map((key) => key.join(" ")).join(" · "))
    );
    root.replaceChildren(box2);
    function changed() {
      disarm();
      broken = null;
      field.mark(null);
      asked2++;
      clearTimeout(timer);
      timer = window.setTimeout(pause, field.isLong() ? LONG_PAUSE : PAUSE);
      if (field.isLong()) field.draw();
      else field.lines();
      look2();
    }
    function disarm() {
      if (!isArmed) return;
      isArmed = false;
      send.textContent = sends;
      send.classList.remove("armed");
    }
    function replaceAll(text, caret = text.length, end = caret) {
      close();
      field.replace({ from: 0, to: area2.textLength, text, caret }, end);
    }
    function look2() {
      cancelAnimationFrame(frame2);
      frame2 = requestAnimationFrame(() => {
        const found = field.isLong() || !area2.textLength ? null : locateCaret(area2.value, area2.selectionStart);
        const path = found ? found.path.map((step2) => cut(String(step2), 60)).join(" › ") || "message" : "";
        const long = "This text is long: Ctrl-Space completes in it, keys do not.";
        const words = found ? guide.about(side, found.path) : field.isLong() ? long : "";
        wherePath.set(cut(path, 300));
        whereWords.set(cut(words, 600));
      });
    }
    function pause() {
      clearTimeout(timer);
      const text = area2.value, mine = ++asked2;
      field.lines();
      broken = faultIn(text);
      if (broken) return showFault(broken);
      if (broken === void 0) return show2([]);
      const take = (found) => {
        if (mine === asked2) show2(Array.isArray(found) ? found : []);
      };
      Promise.resolve().then(() => options.check(text, side)).then(take, (problem) => {
        const complaint = `This could not be checked: ${problem?.message || problem}`;
        take([{ level: "note", rule: "", path: "", complaint }]);
      });
    }
    function faultIn(text) {
      if (text.length > MOST || !text.trim()) return void 0;
      return isJson(text) ? null : faultOf(text) || { at: 0, end: 1, words: "this is no JSON" };
    }
    function showFault({ at, end, words }) {
      field.mark({ at, end, words });
      const complaint = { level: "error", complaint: words };
      findings.replaceChildren(item(complaint, lineAndColumn(area2.value, at).join(":"), () => field.jump(at, end)));
    }
    function show2(found) {
      const rows2 = found.slice(0, SHOWN2).map((finding) => {
        const path = String(finding.path || ""), at = ` at ${path}`;
        let complaint = String(finding.complaint ?? "");
        if (path && complaint.endsWith(at)) complaint = complaint.slice(0, -at.length);
        return item({ ...finding, complaint }, path || "/", () => {
          const { start, end } = locate(area2.value, path);
          field.jump(start, end);
        });
      });
      if (found.length > SHOWN2) rows2.push(el("li", "composer-more", `... and ${found.length - SHOWN2} more`));
      if (!field.isLong()) rows2.push(...unseen(area2.value));
      findings.replaceChildren(...rows2);
    }
    function unseen(text) {
      const note2 = (start, end, complaint) => item({ level: "note", complaint }, lineAndColumn(text, start).join(":"), () => field.jump(start, end));
      const found = doubles(text).map(({ start, end, name: name2 }) => note2(start, end, `${cut(name2, 60)} is given twice; the last one counts`));
      const [hidden] = text.matchAll(UNSAFE), words = "a character that is not seen: ";
      if (hidden) found.push(note2(hidden.index, hidden.index + hidden[0].length, words + escaped(hidden[0])));
      return found;
    }
    function item({ level: level2, complaint, cure, rule }, at, go) {
      const known = ["error", "refused", "note"].includes(level2) ? level2 : "note";
      const press2 = el(
        "button",
        "",
        el("span", "composer-level", known),
        el("code", "", cut(at, 200)),
        " ",
        el("span", "composer-complaint", cut(complaint, 1e3)),
        rule ? el("span", "composer-rule", ` ${cut(String(rule), 60)}`) : "",
        cure ? el("span", "composer-cure", cut(String(cure), 1e3)) : ""
      );
      press2.type = "button";
      press2.addEventListener("click", go);
      return el("li", known, press2);
    }
    function open3(isAsked) {
      const { selectionStart: at, value: text } = area2;
      if (!isAsked && field.isLong() || at !== area2.selectionEnd) return close();
      here = locateCaret(text, at);
      const entries = guide.entries(side, here, target?.surface);
      if (isAsked && !here) say("The text is too long to complete in.", "warn");
      if (!entries.length && isAsked && here) say("Nothing of the schemas fits here.", "");
      if (!entries.length || !here) return close();
      const isWhole2 = entries.length === 1 && entries[0].name === here.typed && !entries[0].member;
      if (!isAsked && (isWhole2 || here.at === "after")) return close();
      const isFirst = here.typed || here.isQuoted || here.at === "value" && here.path.length || isAsked;
      popup.open(entries, isFirst ? 0 : -1);
      field.draw();
    }
    const close = () => popup.close();
    function accept(entry) {
      const caret = (
        /** @type {Caret} */
        here
      );
      close();
      field.replace(accepted(area2.value, caret, entry, guide));
      if (entry.insert !== "text" && entry.insert !== "word") open3(false);
    }
    area2.addEventListener("beforeinput", (e) => {
      if (e.inputType.startsWith("history") && field.undo(e.inputType === "historyRedo")) return e.preventDefault();
      const isLetter = e.inputType === "insertText" && e.data?.length === 1 && !e.isComposing;
      if (field.isOwn() || field.isLong() || !isLetter) return;
      const found = typed(area2.value, area2.selectionStart, area2.selectionEnd, String(e.data));
      if (found === null) return;
      e.preventDefault();
      if (typeof found === "number") {
        area2.setSelectionRange(found, found);
        look2();
        return close();
      }
      field.replace(found);
      open3(false);
    });
    area2.addEventListener("input", (event) => {
      const e = (
        /** @type {InputEvent} */
        event
      );
      if (field.isOwn()) return;
      past[side].at = -1;
      if (!e.inputType.startsWith("history")) field.forget();
      changed();
      if (e.isComposing || field.isLong()) return close();
      const at = area2.selectionStart, before = area2.value.slice(Math.max(0, at - 2), at), isOpen2 = popup.isOpen();
      const isHelped = e.inputType === "insertText" ? /([\w"{:]|: )$/.test(before) || isOpen2 && /\S$/.test(before) : isOpen2 && e.inputType.startsWith("deleteContent");
      if (isHelped) open3(false);
      else close();
    });
    area2.addEventListener("keydown", (e) => {
      e.stopPropagation();
      if (!e.isComposing && press(e)) e.preventDefault();
    });
    function press({ key, code, ctrlKey, metaKey, altKey, shiftKey, repeat }) {
      const isCtrl = ctrlKey || metaKey, isPlain = !isCtrl && !altKey && !shiftKey;
      const { selectionStart: at, selectionEnd: to } = area2;
      if (key === "Enter" && isCtrl) {
        close();
        if (!repeat) deliver();
        return true;
      }
      if (isCtrl && !altKey && /^[zy]$/i.test(key)) return field.undo(key.toLowerCase() === "y" || shiftKey);
      if (ctrlKey && (key === " " || code === "Space")) return open3(true), true;
      if (altKey && !ctrlKey && key === "ArrowUp") return recall(1), true;
      if (altKey && !ctrlKey && key === "ArrowDown") return recall(-1), true;
      if (popup.isOpen() && key === "Escape") return close(), true;
      if (!isPlain) return false;
      if (popup.isOpen()) {
        if (key === "ArrowDown") return popup.step(1), true;
        if (key === "ArrowUp") return popup.step(-1), true;
        if (key === "PageDown") return popup.page(6), true;
        if (key === "PageUp") return popup.page(-6), true;
        if (key === "Tab" || key === "Enter" && popup.isChosen()) return accept(popup.chosen()), true;
      }
      if (key === "Enter") close();
      if (field.isLong() || key !== "Enter" && key !== "Backspace") return false;
      const edit = key === "Enter" ? newLine(area2.value, at, to) : rubOut(area2.value, at, to);
      if (!edit) return false;
      field.replace(edit);
      close();
      return true;
    }
    area2.addEventListener("blur", close);
    document.addEventListener("selectionchange", () => {
      if (field.isOwn() || document.activeElement !== area2) return;
      look2();
      if (!popup.isOpen() || field.isLong()) return;
      const now2 = locateCaret(area2.value, area2.selectionStart);
      if (!now2 || now2.start !== here?.start || now2.at !== here.at) close();
    });
    function say(words, how) {
      said.className = `composer-answer ${how}`;
      said.textContent = visible(cut(String(words), 2e3));
    }
    function format() {
      const text = area2.value, fault = faultIn(text);
      if (fault === void 0)
        return say(text.trim() ? "The text is too long to format." : "There is nothing to format.", "");
      if (fault) {
        broken = fault;
        showFault(fault);
        say(`Not formatted, it is no JSON: ${fault.words} (${lineAndColumn(text, fault.at).join(":")}).`, "warn");
        return field.jump(fault.at, fault.end);
      }
      const [out, caret] = pretty(text, area2.selectionStart);
      if (out === text) return say("It is formatted already.", "");
      field.replace({ from: 0, to: text.length, text: out, caret });
      say("Formatted.", "");
    }
    async function deliver() {
      const text = area2.value, { [side]: mine } = past;
      if (isBusy) return;
      if (!isEnabled) return say("", "");
      if (!text.trim()) return say("There is nothing to send: pick a template, or write a message.", "warn");
      if (!isArmed && !isJson(text)) {
        pause();
        broken ??= { at: 0, end: 1, words: "this is no JSON" };
        isArmed = true;
        send.textContent = "Send it as it is";
        send.classList.add("armed");
        const place = lineAndColumn(text, broken.at).join(":");
        return say(`Not sent: it is no JSON (${place}). Press again to send it as it is.`, "warn");
      }
      disarm();
      isBusy = true;
      render2();
      say("Sending ...", "");
      try {
        const answer = await options.send(text, side);
        say(answer?.message || (answer?.ok ? "Sent." : "Not sent."), answer?.ok ? "ok" : "bad");
        if (answer?.ok) {
          if (mine.sent.at(-1) !== text) mine.sent.push(text);
          if (mine.sent.length > KEPT) mine.sent.shift();
          mine.at = -1;
        }
      } catch (problem) {
        say(`Not sent: ${problem instanceof Error ? problem.message : problem}`, "bad");
      }
      isBusy = false;
      render2();
    }
    function recall(step2) {
      const mine = past[side], { sent } = mine, at = clamp(mine.at + step2, -1, sent.length - 1);
      if (at === mine.at && !sent.length) return say("Nothing was sent from this page yet.", "");
      if (at === mine.at) return say(step2 > 0 ? "Nothing was sent before that." : "That is what is being written.", "");
      if (mine.at === -1) mine.draft = area2.value;
      replaceAll(at < 0 ? mine.draft : sent[sent.length - 1 - at]);
      mine.at = at;
      say(at < 0 ? "What was being written." : `Sent ${at + 1} of ${sent.length}, the newest first.`, "");
    }
    function turn(to) {
      side = to;
      close();
      disarm();
      offerTemplates();
      render2();
      changed();
    }
    function offerTemplates() {
      const offered = options.table.templates[side].map(({ name: name2 }, i) => option(String(i), name2));
      templates.replaceChildren(option("", "Start from ..."), ...offered);
    }
    templates.addEventListener("change", () => {
      const chosen = options.table.templates[side][+templates.value];
      if (templates.value === "" || !chosen) return;
      templates.value = "";
      const had = area2.textLength > 0, [text] = pretty(JSON.stringify(chosen.message), 0);
      const { start, end } = chosen.at ? locate(text, chosen.at) : { start: text.length, end: text.length };
      const quoted = text[start] === '"' ? 1 : 0;
      replaceAll(text, start + quoted, end - quoted);
      area2.scrollTop = area2.scrollLeft = 0;
      say(had ? "Ctrl-Z brings back what was there." : "", "");
    });
    function render2() {
      send.setAttribute("aria-disabled", String(!isEnabled || isBusy));
      send.title = isEnabled ? "Ctrl-Enter" : why;
      box2.classList.toggle("off", !isEnabled);
      reason.set(isEnabled ? "" : why || "Nothing can be sent now.");
      if (!isArmed && send.textContent !== sends) send.textContent = sends;
      const given2 = target ? [target.model, target.surface, target.state].filter(Boolean).join(" · ") : "";
      explain.replaceChildren(
        el("span", "", SIDES[side].slice(1, target?.own ? 2 : 3).join(" ")),
        given2 ? el("span", "composer-session", cut(given2, 200)) : ""
      );
    }
    offerTemplates();
    render2();
    field.lines();
    return {
      /** Whether a message can be sent, and why not, which is shown. The text stays editable. @param {boolean} on */
      setEnabled(on, reason2 = "") {
        isEnabled = on;
        why = on ? "" : reason2;
        render2();
      },
      /** Put a text in place of what is there, as if it had been typed: undo takes it back. @param {string} text */
      write(text) {
        replaceAll(text, 0);
        area2.scrollTop = area2.scrollLeft = 0;
      },
      /** Who gets the message. Members that its `surface` (v1alpha, v1beta or vertex; anything else is the Gemini API)
       * does not take are offered last. */
      setSession(given2) {
        target = given2;
        sends = target?.sends || "Send";
        render2();
      }
    };
  }

  // src/connection.js
  var MOST_SOUND = 262144;
  var LOST = "the connection to livews is lost";
  var given = new URLSearchParams(location.search).get("token");
  if (given) {
    sessionStorage.setItem("livews-token", given);
    history.replaceState(null, "", "/");
  }
  var token = given || sessionStorage.getItem("livews-token") || "";
  var socket;
  var asked = 0;
  var wait = 500;
  var waiting = /* @__PURE__ */ new Map();
  function connect(changed, take) {
    const mine = socket = new WebSocket(`ws://${location.host}/live?token=${encodeURIComponent(token)}`);
    mine.addEventListener("open", () => {
      wait = 500;
      changed(false);
    });
    mine.addEventListener("message", (e) => {
      if (mine !== socket) return;
      const message2 = JSON.parse(e.data), asker = waiting.get(message2.re);
      waiting.delete(message2.re);
      if (message2.re === void 0) take(message2);
      else asker?.resolve(message2);
    });
    mine.addEventListener("close", () => {
      if (mine !== socket) return;
      changed(true);
      for (const { reject } of waiting.values()) reject(new Error(LOST));
      waiting.clear();
      setTimeout(connect, wait, changed, take);
      wait = Math.min(wait * 1.5, 5e3);
    });
  }
  var isOpen = () => socket.readyState === WebSocket.OPEN;
  var tell = (message2) => {
    if (isOpen()) socket.send(JSON.stringify(message2));
  };
  function ask(question) {
    if (!isOpen()) return Promise.reject(new Error(LOST));
    const id = ++asked;
    tell({ id, ...question });
    return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  }
  var sourceOf = (n) => ({
    chunk: () => null,
    fetch: (chunk2) => ask({ ask: "chunk", n, chunk: chunk2 }).then((answer) => answer.chunk),
    async sound(side, at, size2) {
      const parts = [];
      for (let from = at; from < at + size2; from += MOST_SOUND)
        parts.push(ask({ ask: "sound", n, side, at: from, size: Math.min(MOST_SOUND, at + size2 - from) }));
      const blocks = (await Promise.all(parts)).map((answer) => bytes(answer.sound || ""));
      return new Uint8Array(await new Blob(blocks).arrayBuffer());
    },
    ready: Promise.resolve()
  });

  // src/session.js
  var LEVELS = ["", "note", "refused", "error"];
  var flags = (session2, row) => Number(session2.flags[row]);
  var isFromServer = (session2, row) => !!(flags(session2, row) & 1);
  var isControl = (session2, row) => !!(flags(session2, row) & 2);
  var level = (session2, row) => flags(session2, row) >> 2 & 3;
  var isByHand = (session2, row) => !!(flags(session2, row) & 16);
  var errorOf = (session2, row) => session2.found[row]?.map((i) => session2.findings[i]).find((finding) => finding.level === "error");
  function rowBeforeClose(session2) {
    const { end, t } = session2;
    if (!end || end.by !== "server" || end.kind === "normal") return -1;
    let row = t.length - 1, close = -1, isFirst = true;
    for (; row >= 0 && t[row] >= end.t; row--)
      if (isControl(session2, row) && session2.kinds[session2.kind[row]] === "close") close = row;
    for (row = close - 1; row >= 0 && (isFirst || t[row] > end.t - 1); row--) {
      if (isFromServer(session2, row) || isControl(session2, row)) continue;
      if (errorOf(session2, row)) return row;
      isFirst = false;
    }
    return -1;
  }
  function counts(session2) {
    const found = { sent: 0, received: 0, faulty: 0 };
    for (let row = 0; row < session2.flags.length; row++) {
      if (isControl(session2, row)) continue;
      found[isFromServer(session2, row) ? "received" : "sent"]++;
      if (level(session2, row) > 1) found.faulty++;
    }
    return found;
  }
  function consequences(session2) {
    const rows2 = /* @__PURE__ */ new Map();
    for (const list2 of Object.values(session2.found))
      for (const cause of new Set(list2.map((i) => session2.findings[i].because)))
        if (cause != null && !list2.includes(cause)) rows2.set(cause, (rows2.get(cause) ?? 0) + 1);
    return rows2;
  }
  function occurring(session2) {
    const found = /* @__PURE__ */ new Map();
    for (const [row, list2] of Object.entries(session2.found))
      for (const i of list2) {
        if (session2.findings[i].because != null) continue;
        const known = found.get(i);
        if (known) known[2]++;
        else found.set(i, [session2.findings[i], +row, 1]);
      }
    const rank = (finding) => LEVELS.indexOf(finding.level);
    return [...found.values()].sort(([a, first], [b, second]) => rank(b) - rank(a) || first - second);
  }
  function begun(head) {
    const sound = () => ({ runs: [], peaks: [], seconds: 0, skipped: 0 });
    return {
      ...head,
      model: "",
      length: 0,
      last: 0,
      end: null,
      cutOff: false,
      running: true,
      kinds: [],
      t: [],
      kind: [],
      flags: [],
      size: [],
      words: [],
      findings: [],
      found: {},
      marks: [],
      turns: [],
      tools: [],
      states: Object.fromEntries(Object.keys(head.stateWords).map((region) => [region, []])),
      texts: { user: [], model: [] },
      sound: { user: sound(), model: sound() }
    };
  }
  function extend(session2, news, now2) {
    const push = (list2, more) => {
      for (const item of more) list2.push(item);
    };
    for (const name2 of ["model", "length", "last", "end", "cutOff", "running", "surface", "now"])
      if (name2 in news) session2[name2] = news[name2];
    if (typeof news.clock === "number") session2.offset = Math.max(session2.offset ?? -Infinity, news.clock - now2);
    for (const name2 of ["kinds", "t", "kind", "size", "words", "findings"]) push(session2[name2], news[name2] ?? []);
    push(session2.flags, bytes(news.flags ?? ""));
    for (const name2 of ["found", "marks", "turns", "tools"]) Object.assign(session2[name2], news[name2]);
    for (const name2 of ["states", "texts"])
      for (const [key, part] of Object.entries(news[name2] ?? {})) Object.assign(session2[name2][key], part);
    for (const [name2, { runs, peaks, seconds: seconds2, skipped }] of Object.entries(news.sound ?? {})) {
      const side = Object.assign(session2.sound[name2], { seconds: seconds2, skipped });
      Object.assign(side.runs, runs);
      push(side.peaks, bytes(peaks));
    }
    return session2;
  }

  // src/data.js
  var report = JSON.parse($("report").textContent ?? "");
  var isRead = false;
  var reading = new Promise((resolve) => document.addEventListener("DOMContentLoaded", () => resolve()));
  reading.then(() => {
    isRead = true;
  });
  var inFile = {
    chunk: (n) => isRead ? JSON.parse($(`messages-${number}-${n}`).textContent ?? "") : null,
    fetch: (n) => reading.then(() => inFile.chunk(n)),
    async sound(side, at, size2) {
      await reading;
      const text = (
        /** @type {Text | null} */
        $(`sound-${number}-${side}`).firstChild
      );
      const first = Math.floor(at / 3), last2 = Math.ceil((at + size2) / 3), skipped = at - 3 * first;
      return bytes(text ? text.substringData(4 * first, 4 * (last2 - first)) : "").subarray(skipped, skipped + size2);
    },
    ready: reading
  };
  var source = inFile;
  var session;
  var number = 0;
  var chunks = /* @__PURE__ */ new Map();
  var drawn = {};
  function choose(n = 0, from = inFile) {
    number = n;
    source = from;
    session = report.sessions[n];
    if (typeof session.flags === "string")
      session = report.sessions[n] = extend(begun(session), { ...session, running: false }, 0);
    chunks = /* @__PURE__ */ new Map();
    drawn = {};
  }
  function isNew(name2, value) {
    const text = JSON.stringify(value);
    if (drawn[name2] === text) return false;
    drawn[name2] = text;
    return true;
  }
  var isInFile = () => source === inFile;
  var clock = () => session.running && session.offset !== void 0 ? performance.now() / 1e3 + session.offset : 0;
  var length = () => Math.max(session.length, clock(), 1e-3);
  var last = () => Math.max(session.last, clock());
  function chunk(n, least) {
    const kept = chunks.get(n);
    if (kept && kept.length >= least) return kept;
    const list2 = source.chunk(n);
    return list2 && list2.length >= least ? keep(n, list2) : null;
  }
  function keep(n, list2) {
    const [oldest] = chunks.keys();
    if (chunks.size > 8) chunks.delete(oldest);
    chunks.set(n, list2);
    return list2;
  }
  function fetched(n, then) {
    const mine = chunks;
    source.fetch(n).then((list2) => {
      if (mine !== chunks || !list2) return;
      keep(n, list2);
      then();
    }, () => {
    });
  }
  var message = (row) => chunk(Math.floor(row / session.chunk), row % session.chunk + 1)?.[row % session.chunk];

  // src/detail.js
  var box = $("detail");
  var opened = -1;
  function reset() {
    opened = -1;
    const words = "Pick a message to see its JSON, with what the schemas say of each member.";
    fill(box, el("p", "empty unpicked", words));
  }
  var tag = ({ level: level2 }) => el("span", `tag l${LEVELS.indexOf(level2)}`, level2);
  function open(row) {
    opened = row;
    const found = message(row), isServer = isFromServer(session, row), control = isControl(session, row);
    if (!found) {
      fill(box, el("p", "empty", "Reading …"));
      fetched(Math.floor(row / session.chunk), () => opened === row && open(row));
      return;
    }
    const [value, left = {}] = found, about2 = [`${seconds(session.t[row])} s`];
    if (isByHand(session, row)) about2.push(`to the ${isServer ? "client" : "service"}`);
    else about2.push(isServer ? "from the server" : "from the client");
    if (!control) about2.push(many(session.size[row], "byte"));
    if (session.words[row]) about2.push(session.words[row]);
    const parts = [el("h3", "", `${isServer ? "←" : "→"} ${session.kinds[session.kind[row]]}`)];
    parts.push(el("div", "sub", about2.join(" · ")));
    const findings = (session.found[row] || []).map((i) => session.findings[i]);
    for (const finding of findings) {
      const { rule, path, title, complaint, cure, close, because } = finding;
      const cause = because == null ? null : session.findings[because];
      const words = `${rule}${path ? ` at ${path}` : ""}${title ? ` · ${title}` : ""}`;
      parts.push(el(
        "div",
        `finding l${LEVELS.indexOf(finding.level)}`,
        tag(finding),
        el("span", "", complaint),
        el("div", "rule", words),
        cause ? el("div", "cure", `because of: ${cause.complaint} (${cause.rule})`) : "",
        cure ? el("div", "cure", `do: ${cure}`) : "",
        close ? el("div", "cure", `the service closes with ${close[0]} “${close[1]}”`) : ""
      ));
    }
    const { end } = session;
    if (end && control && level(session, row) === 3)
      parts.push(el(
        "div",
        "finding l3",
        el("span", "", end.meaning),
        el("div", "cure", end.cause),
        el("div", "", `do: ${end.do}`)
      ));
    const tree = el("div", "tree"), faulty = new Set(findings.map((finding) => finding.path));
    const envelope = isServer ? "server/BidiGenerateContentServerMessage" : "client/BidiGenerateContentClientMessage";
    if (typeof value === "string") line2(tree, 0, null, value, left[""]);
    else members(tree, Object(value), "", control ? "" : envelope, "one", 0, left, faulty);
    fill(box, ...parts, tree);
    box.scrollTop = 0;
  }
  function members(into, value, path, type, shape, depth, left, faulty) {
    const isList = Array.isArray(value), known = report.docs[type]?.members ?? {};
    for (const [key, child] of Object.entries(value)) {
      const here = `${path}/${pointer(key)}`;
      let doc = "", inner = "", form = "one";
      if (isList) [inner, form] = [type, shape === "list" ? "one" : shape];
      else if (shape === "map") inner = type;
      else if (Object.hasOwn(known, key)) [doc, inner, form] = known[key];
      const of = report.docs[inner];
      if (of && form === "one" && typeof child === "string" && Object.hasOwn(of.values, child))
        doc += `${doc ? " " : ""}${child}: ${of.values[child]}`;
      const at = line2(into, depth, key, child, Object.hasOwn(left, here) ? left[here] : void 0, doc, isList, of?.is);
      if (faulty.has(here)) at.classList.add("hit");
      if (child !== null && typeof child === "object") members(into, child, here, inner, form, depth + 1, left, faulty);
    }
  }
  function line2(into, depth, key, value, left, doc = "", isItem = false, type = "") {
    const at = el("div", "field");
    at.style.paddingLeft = `${Math.min(depth, 14) * 16}px`;
    if (key !== null) at.append(el("code", isItem ? "is" : "key", key), plain(": "));
    if (Array.isArray(value)) at.append(el("code", "is", value.length ? `[${value.length}]` : "[]"));
    else if (value !== null && typeof value === "object")
      at.append(el("code", "is", Object.keys(value).length ? `{${type}}` : "{}"));
    else if (typeof value === "string") at.append(el("code", "str", key === null ? value : JSON.stringify(value)));
    else at.append(el("code", "num", String(value)));
    if (left !== void 0) at.append(plain(" "), el("span", "left", `… ${left}`));
    if (doc) at.append(el("span", "doc", doc));
    into.append(at);
    return at;
  }

  // src/player.js
  var LATE = 0.9;
  var SETTLED = 0.45;
  var PANS = [["user", -0.75], ["model", 0.75]];
  function floats(raw) {
    const out = new Float32Array(raw.length >> 1);
    for (let i = 0, k = 0; i < out.length; i++, k += 2) {
      const value = raw[k] | raw[k + 1] << 8;
      out[i] = (value > 32767 ? value - 65536 : value) / 32768;
    }
    return out;
  }
  var Player = class {
    at = 0;
    playing = false;
    /** Called when it begins and when it stops. */
    changed = () => {
    };
    /** @type {AudioContext | null} */
    #sound = null;
    /** The time on the clock of the sound at which `at` is heard. */
    #base = 0;
    #done = 0;
    /** @type {Set<AudioBufferSourceNode>} */
    #nodes = /* @__PURE__ */ new Set();
    #timer = 0;
    #run = 0;
    #tick() {
      return this.#sound ? this.#sound.currentTime : performance.now() / 1e3;
    }
    now() {
      if (!session) return 0;
      return clamp(this.playing ? this.at + Math.max(0, this.#tick() - this.#base) : this.at, 0, length());
    }
    async play() {
      if (this.playing) return;
      try {
        this.#sound ??= new AudioContext();
      } catch {
      }
      await source.ready;
      await this.#sound?.resume();
      if (!this.playing) this.#begin();
    }
    toggle() {
      if (this.playing) this.stop();
      else this.play();
    }
    #begin() {
      this.playing = true;
      this.#run++;
      if (clock()) this.at = Math.min(this.at, Math.max(0, clock() - LATE));
      else if (this.at >= length() - 0.01) this.at = 0;
      this.#base = this.#tick() + (isInFile() ? 0.05 : 0.2);
      this.#done = this.at;
      this.#schedule();
      this.#timer = window.setInterval(() => this.#schedule(), clock() ? 100 : 500);
      this.changed();
    }
    stop() {
      if (!this.playing) return;
      this.at = this.now();
      this.playing = false;
      clearInterval(this.#timer);
      for (const node of this.#nodes) node.stop();
      this.#nodes.clear();
      this.changed();
    }
    seek(t) {
      const { playing } = this;
      this.stop();
      this.at = clamp(t, 0, length());
      if (playing) this.#begin();
    }
    /** To the newest that can be played of a session that runs. */
    seekNewest() {
      const t = Math.max(0, clock() - LATE);
      this.stop();
      this.at = t;
    }
    /** Hand over what is heard within the next seconds. */
    #schedule() {
      if (!this.#sound) return;
      const until = Math.min(this.now() + 3, clock() ? clock() - SETTLED : Infinity);
      if (until <= this.#done) return;
      for (const [side, pan] of PANS)
        for (const run of session.sound[side].runs) {
          const [t, rate, kind, , , , heard] = run;
          const from = Math.max(t, this.#done), to = Math.min(t + heard / rate, until);
          if (kind === 0 && to > from) this.#piece(side, pan, run, from, to);
        }
      this.#done = until;
    }
    /** @param {Speaker} side @param {number} pan @param {Run} run @param {number} from @param {number} to */
    #piece(side, pan, [t, rate, , at], from, to) {
      const first = Math.round((from - t) * rate), count2 = Math.round((to - t) * rate) - first, run = this.#run;
      if (count2 < 1) return;
      source.sound(side, at + 2 * first, 2 * count2).then((raw) => {
        if (this.playing && this.#run === run) this.#place(raw, pan, rate, from);
      }, () => {
      });
    }
    /** @param {Uint8Array} raw @param {number} pan @param {number} rate @param {number} from */
    #place(raw, pan, rate, from) {
      if (raw.length < 2 || !this.#sound) return;
      const samples = floats(raw), buffer = this.#sound.createBuffer(1, samples.length, rate);
      buffer.copyToChannel(samples, 0);
      const node = this.#sound.createBufferSource(), panner = this.#sound.createStereoPanner();
      node.buffer = buffer;
      panner.pan.value = pan;
      node.connect(panner).connect(this.#sound.destination);
      node.onended = () => this.#nodes.delete(node);
      this.#nodes.add(node);
      const start = this.#base + (from - this.at), late = this.#sound.currentTime - start;
      if (late > 0) node.start(0, late);
      else node.start(start);
    }
  };
  var player = new Player();

  // src/list.js
  var list = $("list");
  var rows = $("rows");
  var space = $("space");
  var count = $("count");
  var search = $("search");
  var faults = $("faults");
  var kindChoice = $("kind");
  var sideChoice = $("side");
  var shown = [];
  var picked = -1;
  var following = false;
  var sifted = 0;
  var isStale = false;
  var texts = [];
  var isFetching = false;
  var now = -1;
  var tall = 26;
  var quiet = 0;
  var wished = 0;
  var goingUp = 0;
  var isTouched = false;
  var scrolling = 0;
  function reset2() {
    shown = [];
    texts = [];
    sifted = 0;
    picked = now = -1;
    isFetching = false;
    following = !!report.live;
    clearFilter();
  }
  function clearFilter() {
    for (const field of [search, kindChoice, sideChoice]) field.value = "";
    faults.checked = false;
  }
  var searched = () => search.value.trim().toLowerCase();
  function searchable() {
    while (texts.length < session.t.length) {
      const n = Math.floor(texts.length / session.chunk), from = texts.length % session.chunk;
      const messages = chunk(n, from + 1);
      if (!messages) {
        if (!isFetching) fetched(n, () => {
          isFetching = false;
          if (searched()) resift();
        });
        isFetching = true;
        return null;
      }
      for (const [value] of messages.slice(from, from + session.t.length - texts.length)) {
        const row = texts.length, kind = session.kinds[session.kind[row]];
        texts.push(`${kind} ${session.words[row]} ${JSON.stringify(value)}`.toLowerCase());
      }
    }
    return texts;
  }
  function offerKinds() {
    const chosen = kindChoice.value, counted = /* @__PURE__ */ new Map();
    if (document.activeElement === kindChoice) return;
    for (const kind of session.kind) counted.set(kind, (counted.get(kind) || 0) + 1);
    const order = [...counted].sort((a, b) => b[1] - a[1]).slice(0, 60);
    if (!isNew("kinds", order)) return;
    const kinds = order.map(([kind, n]) => option(String(kind), `${session.kinds[kind]} (${grouped(n)})`));
    fill(kindChoice, option("", "every kind"), ...kinds);
    kindChoice.value = order.some(([kind]) => String(kind) === chosen) ? chosen : "";
  }
  function sift() {
    const word = searched(), kind = kindChoice.value, side = sideChoice.value, all = word ? searchable() : [];
    if (!all) return false;
    if (isStale) [shown, sifted, isStale] = [[], 0, false];
    const n = session.t.length;
    for (let row = sifted; row < n; row++) {
      if (kind !== "" && session.kind[row] !== +kind) continue;
      if (side !== "" && isFromServer(session, row) !== (side === "1")) continue;
      if (faults.checked && level(session, row) < 2) continue;
      if (word && !all[row].includes(word)) continue;
      shown.push(row);
    }
    sifted = n;
    count.textContent = (shown.length === n ? "" : `${grouped(shown.length)} of `) + many(n, "line");
    return true;
  }
  function filter() {
    isStale = true;
    if (!resift()) count.textContent = "searching …";
  }
  function resift() {
    const isAnew = isStale;
    if (!sift()) return false;
    if (isAnew) {
      quiet = performance.now() + 150;
      list.scrollTop = 0;
    }
    size();
    if (isAnew && picked >= 0 && shown.includes(picked)) reveal(picked);
    else if (following && !isTouched) toEnd();
    return true;
  }
  var toGo = () => list.scrollHeight - list.clientHeight - list.scrollTop;
  function followEnd(on) {
    following = on;
    if (on) toEnd();
    document.dispatchEvent(new Event("livews-follow"));
  }
  function toEnd() {
    list.scrollTop = list.scrollHeight;
    render();
  }
  function size() {
    tall = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) || 26;
    space.style.height = `${shown.length * tall}px`;
    render();
  }
  function render() {
    const first = Math.max(0, Math.floor(list.scrollTop / tall) - 4);
    const last2 = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / tall) + 4);
    while (rows.children.length > last2 - first) rows.lastChild?.remove();
    while (rows.children.length < last2 - first) {
      const row = el("div", "row", ...["t", "a", "k", "z", "w"].map((name2) => el("span", name2)));
      row.setAttribute("role", "option");
      rows.append(row);
    }
    rows.style.transform = `translateY(${first * tall}px)`;
    for (let i = first; i < last2; i++) show(
      /** @type {RowElement} */
      rows.children[i - first],
      shown[i],
      i
    );
    list.classList.toggle("none", !shown.length);
  }
  function show(at, row, place) {
    const isServer = isFromServer(session, row), control = isControl(session, row);
    const marks = { x: control, ours: isByHand(session, row), sel: row === picked, now: row === now };
    at.row = row;
    at.id = `row-${row}`;
    at.className = [
      "row",
      isServer ? "s" : "c",
      `l${level(session, row)}`,
      ...Object.entries(marks).flatMap(([name2, is]) => is ? name2 : [])
    ].join(" ");
    at.setAttribute("aria-selected", String(row === picked));
    at.setAttribute("aria-posinset", String(place + 1));
    at.setAttribute("aria-setsize", String(shown.length));
    const words = [
      seconds(session.t[row]),
      isServer ? "←" : "→",
      visible(session.kinds[session.kind[row]]),
      control ? "" : `${grouped(session.size[row])} B`,
      visible(session.words[row])
    ];
    words.forEach((text, i) => {
      at.children[i].textContent = text;
    });
  }
  function markNow(isAnew = false) {
    const row = after(session.t, player.now()) - 1;
    if (row === now && !isAnew) return;
    now = row;
    for (const at of rows.children) at.classList.toggle(
      "now",
      /** @type {RowElement} */
      at.row === now
    );
  }
  function reveal(row) {
    const place = after(shown, row) - 1, top = place * tall;
    if (place < 0 || shown[place] !== row) return;
    if (top < list.scrollTop) list.scrollTop = top - tall;
    else if (top + tall > list.scrollTop + list.clientHeight) list.scrollTop = top + 2 * tall - list.clientHeight;
    if (following && toGo() > tall) followEnd(false);
  }
  function pick(row, andOpen) {
    picked = row;
    if (shown[after(shown, row) - 1] !== row) {
      clearFilter();
      filter();
    }
    reveal(row);
    render();
    list.setAttribute("aria-activedescendant", `row-${row}`);
    if (!andOpen) return;
    open(row);
    reveal(row);
  }
  var pickAt = (place) => {
    if (shown.length) pick(shown[clamp(place, 0, shown.length - 1)], opened >= 0);
  };
  var pickFirst = () => pickAt(0);
  function pickLast() {
    pickAt(shown.length - 1);
    if (shown.length && report.live) followEnd(true);
  }
  function step(by) {
    if (picked >= 0) pickAt(after(shown, picked) - 1 + by);
    else pickAt(by > 0 ? 0 : shown.length - 1);
  }
  function stepToFault(by) {
    for (let row = picked + by; row >= 0 && row < session.t.length; row += by)
      if (level(session, row) > 1) return pick(row, true);
  }
  function openPicked() {
    if (picked < 0) return;
    open(picked);
    $("detail").focus({ preventScroll: true });
  }
  function toggleFaults() {
    faults.checked = !faults.checked;
    filter();
  }
  function focusSearch() {
    search.focus();
    search.select();
  }
  var WISHES = { wheel: 500, touchmove: 500, keydown: 200, pointerup: 200, pointerdown: Infinity };
  for (const [kind, ms] of Object.entries(WISHES))
    document.addEventListener(kind, () => {
      wished = performance.now() + ms;
    }, { passive: true, capture: true });
  list.addEventListener("scroll", () => {
    const at = performance.now();
    if (report.live && at > quiet && at < wished) {
      if (following && toGo() > tall) followEnd(false);
      else if (!following && toGo() < 2 && at > goingUp) followEnd(true);
    }
    scrolling ||= requestAnimationFrame(() => {
      scrolling = 0;
      render();
    });
  }, { passive: true });
  list.addEventListener("wheel", (e) => {
    if (e.deltaY >= 0 || !list.scrollTop) return;
    goingUp = performance.now() + 300;
    if (following) followEnd(false);
  }, { passive: true });
  for (
    const kind of
    /** @type {const} */
    ["touchstart", "touchend", "touchcancel"]
  )
    list.addEventListener(kind, () => {
      isTouched = kind === "touchstart";
    }, { passive: true });
  rows.addEventListener("click", (e) => {
    const at = (
      /** @type {RowElement | null} */
      /** @type {Element} */
      e.target.closest(".row")
    );
    if (at?.row !== void 0) pick(at.row, true);
  });
  var typing = 0;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = window.setTimeout(filter, 90);
  });
  search.addEventListener("keydown", (e) => {
    if (e.key !== "Escape" && e.key !== "Enter") return;
    if (e.key === "Escape") search.value = "";
    else clearTimeout(typing);
    filter();
    list.focus();
    if (e.key === "Enter" && shown.length) pick(shown[0], true);
    e.stopPropagation();
  });
  for (const field of [kindChoice, sideChoice, faults]) field.addEventListener("change", filter);
  new ResizeObserver(() => {
    if (session && following) toEnd();
    else if (session) render();
  }).observe(list);

  // src/layout.js
  function layOut(session2, width2) {
    const isNarrow = width2 < 620, gutter2 = isNarrow ? 0 : 84, { sound, texts: texts2 } = session2;
    const tracks2 = [];
    let y = 0;
    const add = (name2, kind, tall2, data = name2) => {
      if (isNarrow && name2) y += 13;
      tracks2.push({ name: name2, kind, y, tall: tall2, data });
      y += tall2 + 4;
    };
    add("", "ruler", 16);
    for (const [region, states] of Object.entries(session2.states))
      if (region !== "activity" || states.length > 1) add(region, "state", 17);
    for (
      const who of
      /** @type {const} */
      ["user", "model"]
    ) {
      const isHeard = sound[who].runs.length > 0;
      if (isHeard) add(who, "sound", isNarrow ? 44 : 56);
      if (texts2[who].length) add(isHeard ? `${who} said` : who, "text", 20, who);
    }
    if (session2.tools.length) add("tools", "tool", 20);
    add("control", "mark", 20);
    return { tracks: tracks2, gutter: gutter2, height: y };
  }
  function soundNote({ sound }) {
    const runs = [...sound.user.runs, ...sound.model.runs], notes2 = [];
    if (!runs.length) notes2.push("no sound in this trace");
    else if (runs.every((run) => run[2] === 2)) notes2.push("the trace kept lengths and no sound");
    else if (runs.some((run) => run[2] === 1)) notes2.push("only the first part of the sound is in this file");
    if (runs.length) notes2.push("user left, model right");
    const skipped = sound.user.skipped + sound.model.skipped;
    if (skipped) notes2.push(`${many(skipped, "piece")} of sound in a form not played here`);
    return notes2.join(" · ");
  }
  var STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
  var rulerStep = (least) => STEPS.find((step2) => step2 >= least) || Math.ceil(least / 3600) * 3600;
  function rulerLabel(t, step2) {
    if (step2 >= 60) return `${Math.floor(t / 60)} min`;
    if (t < 60) return `${+t.toFixed(2)} s`;
    return `${Math.floor(t / 60)}:${(t % 60).toFixed(step2 < 1 ? 1 : 0).padStart(2, "0")}`;
  }

  // src/timeline.js
  var canvas = $("canvas");
  var area = $("lanes");
  var tip = $("tip");
  var cursor = $("cursor");
  var playButton = $("play");
  var paper = (
    /** @type {CanvasRenderingContext2D} */
    canvas.getContext("2d")
  );
  var TINT = {
    new: "idle",
    none: "idle",
    idle: "idle",
    opening: "work",
    ready: "open",
    leaving: "cut",
    closed: "gone",
    generating: "work",
    speaking: "speak",
    interrupted: "cut",
    waitingForTool: "tool",
    open: "open",
    heard: "speak"
  };
  var INKS2 = [
    "back",
    "panel",
    "line",
    "soft",
    "text",
    "dim",
    "user",
    "model",
    "error",
    "warn",
    "note",
    "pick",
    "now",
    "idle",
    "work",
    "speak",
    "cut",
    "tool",
    "open",
    "gone"
  ];
  var SMALL = /* @__PURE__ */ new Set(["ping", "pong", "resumption", "heard", "generated"]);
  var FONT = "11px system-ui, sans-serif";
  var TEXT_FONT = "12px system-ui, sans-serif";
  var ink = {};
  var view = [0, 1e-3];
  var tracks = [];
  var width = 0;
  var height = 0;
  var gutter = 0;
  var drawing = 0;
  function readInks() {
    const style = getComputedStyle(document.documentElement);
    for (const name2 of INKS2) ink[name2] = style.getPropertyValue("--" + name2).trim();
  }
  function layOutTracks() {
    width = area.clientWidth;
    ({ tracks, gutter, height } = layOut(session, width));
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
    paper.setTransform(scale, 0, 0, scale, 0, 0);
    $("sound-note").textContent = soundNote(session);
  }
  function fitWidth() {
    if (area.clientWidth === width) return;
    layOutTracks();
    draw();
  }
  var xOf = (t) => gutter + (t - view[0]) / (view[1] - view[0]) * (width - gutter);
  var tOf = (x) => view[0] + (x - gutter) * perPixel();
  var perPixel = () => (view[1] - view[0]) / Math.max(width - gutter, 1);
  function look(from, wide = view[1] - view[0]) {
    const start = clamp(from, 0, Math.max(0, length() - wide));
    view = [start, start + wide];
    draw();
  }
  function zoom(factor, at = player.now()) {
    const middle = at >= view[0] && at <= view[1] ? at : (view[0] + view[1]) / 2;
    const wide = clamp((view[1] - view[0]) * factor, Math.min(0.05, length()), length());
    look(middle - (middle - view[0]) / (view[1] - view[0]) * wide, wide);
  }
  var fit = () => look(0, length());
  function reach(slack) {
    const isAtEnd = view[1] >= length() - slack;
    return { isAtEnd, isAll: isAtEnd && view[0] <= 0 };
  }
  function stretch({ isAll, isAtEnd }) {
    if (isAll) fit();
    else if (isAtEnd) look(length());
    else draw();
  }
  function follow() {
    const t = player.now();
    if (t < view[0] || t > view[1]) look(t - (view[1] - view[0]) * 0.1);
  }
  function moveCursor() {
    const t = player.now(), x = xOf(t);
    cursor.hidden = x < gutter - 1 || x > width + 1;
    cursor.style.transform = `translateX(${x}px)`;
    $("clock").textContent = `${seconds(t)} / ${seconds(length())}`;
  }
  function seek(t) {
    player.seek(t);
    follow();
    markNow(true);
    moveCursor();
  }
  function frame() {
    if (!player.playing) return;
    if (player.now() >= length()) {
      player.stop();
      player.at = length();
    }
    follow();
    markNow();
    moveCursor();
    requestAnimationFrame(frame);
  }
  player.changed = () => {
    playButton.textContent = player.playing ? "Pause" : "Play";
    playButton.setAttribute("aria-pressed", String(player.playing));
    frame();
  };
  function draw() {
    drawing ||= requestAnimationFrame(() => {
      drawing = 0;
      paint();
      moveCursor();
    });
  }
  function paint() {
    paper.clearRect(0, 0, width, height);
    paper.textBaseline = "middle";
    paper.direction = "ltr";
    paper.save();
    paper.beginPath();
    paper.rect(gutter, 0, width - gutter, height);
    paper.clip();
    for (const track of tracks) {
      if (track.kind !== "ruler") bar(ink.soft, gutter, track.y, width - gutter, track.tall, 0.55);
      PAINT[track.kind](track);
    }
    paper.restore();
    paper.font = gutter ? TEXT_FONT : FONT;
    paper.fillStyle = ink.dim;
    for (const { name: name2, y, tall: tall2 } of tracks) paper.fillText(name2, 0, gutter ? y + tall2 / 2 : y - 6);
  }
  function bar(colour, x, y, wide, tall2, alpha = 1) {
    paper.fillStyle = colour;
    paper.globalAlpha = alpha;
    paper.fillRect(x, y, wide, tall2);
    paper.globalAlpha = 1;
  }
  function label(text, x, track, room, colour) {
    if (room < 14) return 0;
    let shown2 = visible(text.slice(0, Math.ceil(room / 3))), n = shown2.length;
    if (paper.measureText(shown2).width > room) {
      while (n > 1 && paper.measureText(shown2.slice(0, n) + "…").width > room) n = Math.floor(n * 0.85);
      if (n <= 1) return 0;
      shown2 = shown2.slice(0, n) + "…";
    }
    paper.fillStyle = colour;
    paper.fillText(shown2, x, track.y + track.tall / 2 + 0.5);
    return paper.measureText(shown2).width;
  }
  function* inView(list2, end) {
    const first = Math.max(0, after(list2, view[0], ([t]) => t) - 1);
    for (let i = first; i < list2.length && list2[i][0] <= view[1]; i++)
      yield [list2[i], xOf(list2[i][0]), i + 1 < list2.length ? xOf(list2[i + 1][0]) : end];
  }
  var PAINT = {
    ruler(track) {
      const step2 = rulerStep(perPixel() * 80);
      paper.font = FONT;
      for (let i = Math.floor(view[0] / step2); i * step2 <= view[1]; i++) {
        const x = xOf(i * step2);
        bar(ink.line, Math.round(x), 0, 1, height);
        paper.fillStyle = ink.dim;
        paper.fillText(rulerLabel(i * step2, step2), x + 3, track.y + 8);
      }
    },
    state(track) {
      paper.font = FONT;
      let drawnTo = -1e9;
      for (const [[, state], x, next] of inView(session.states[track.data], xOf(last()))) {
        const a = Math.max(x, gutter), b = Math.min(Math.max(next, x), width);
        const tint = TINT[state] || "gone";
        if (b - drawnTo < 0.5) continue;
        drawnTo = b;
        bar(ink[tint], a, track.y, Math.max(b - a - 0.5, 0.75), track.tall);
        label(state, a + 5, track, b - a - 8, tint === "idle" ? ink.text : ink.panel);
      }
    },
    sound(track) {
      const { runs, peaks: found } = session.sound[
        /** @type {Speaker} */
        track.data
      ], colour = ink[track.data];
      const peaks = (
        /** @type {ArrayLike<number>} */
        found
      );
      const mid = track.y + track.tall / 2, half = track.tall / 2 - 1;
      runs.forEach(([t, rate, kind, , peak, samples, heard], i) => {
        const cut2 = t + heard / rate, next = i + 1 < runs.length ? runs[i + 1][0] : Infinity;
        const until = Math.min(t + samples / rate, Math.max(next, cut2));
        if (until < view[0] || t > view[1]) return;
        if (kind === 2) {
          const whole = Math.min(cut2, until);
          if (whole > t) bar(colour, xOf(t), mid - 5, xOf(whole) - xOf(t), 10, 0.35);
          if (until > cut2) bar(colour, xOf(cut2), mid - 5, xOf(until) - xOf(cut2), 10, 0.12);
        } else {
          const a = Math.max(Math.floor(xOf(t)), gutter), b = Math.min(Math.ceil(xOf(until)), width);
          const end = peak + Math.ceil(samples / rate * session.perSecond);
          for (let x = a; x < b; x++) {
            const first = peak + Math.max(0, Math.floor((tOf(x) - t) * session.perSecond));
            const stop = Math.min(end, Math.max(first + 1, peak + Math.ceil((tOf(x + 1) - t) * session.perSecond)));
            let top = 0;
            for (let k = first; k < stop; k++) if (peaks[k] > top) top = peaks[k];
            const tall2 = Math.max(0.5, Math.sqrt(top / 255) * half);
            bar(colour, x, mid - tall2, 1, 2 * tall2, tOf(x) < cut2 ? 1 : 0.25);
          }
        }
        if (heard < samples) bar(ink.cut, xOf(cut2) - 1, track.y, 2, track.tall);
      });
    },
    text(track) {
      paper.font = TEXT_FONT;
      let drawnTo = -1e9;
      for (const [[, to, text], x, next] of inView(session.texts[
        /** @type {Speaker} */
        track.data
      ], width)) {
        if (x - drawnTo < 1) continue;
        drawnTo = x;
        bar(ink[track.data], x, track.y, Math.max(xOf(to) - x, 3), track.tall, 0.18);
        bar(ink[track.data], x, track.y, 2, track.tall);
        const from = Math.max(x, gutter);
        label(text, from + 5, track, Math.min(next, width) - from - 8, ink.text);
      }
    },
    tool(track) {
      paper.font = TEXT_FONT;
      let free = -1e9;
      for (const [from, to, name2, , , how] of session.tools) {
        const end = to ?? last(), a = xOf(from), x = Math.max(a, gutter) + 5;
        if (end < view[0] || from > view[1]) continue;
        bar(ink.tool, a, track.y, Math.max(xOf(end) - a, 3), track.tall, how === "answered" ? 0.35 : 0.15);
        bar(ink.tool, a, track.y, 2, track.tall);
        if (x > free) free = x + label(name2, x, track, 150, ink.text) + 8;
      }
    },
    mark(track) {
      paper.font = FONT;
      const isClose = view[1] - view[0] < 20;
      const labels = [];
      let free = -1e9, drawnTo = -1e9;
      for (let i = after(session.marks, view[0] - 1e-9, ([t]) => t); i < session.marks.length; i++) {
        const [t, , words, level2] = session.marks[i], x = xOf(t), isSmall = SMALL.has(words);
        if (t > view[1]) break;
        const isLoud = level2 === 3 || words === "interrupted" || words === "goAway";
        const colour = isLoud ? ink.error : level2 === 2 ? ink.warn : ink.dim;
        if (x - drawnTo >= 1 || level2) {
          bar(colour, x, track.y + (isSmall ? 6 : 0), isSmall ? 1 : 2, track.tall - (isSmall ? 12 : 0));
          drawnTo = x;
        }
        if (labels.length > 300 || isSmall && !isClose) continue;
        const wide = paper.measureText(words).width + 8;
        const isInTheWay = () => labels.slice(-1).some((before) => !before.isLoud && before.x + before.wide > x);
        while (isLoud && isInTheWay()) {
          labels.pop();
          free = -1e9;
        }
        if (x < free || x + wide >= width + 8) continue;
        labels.push({ words, x, wide, colour, isLoud });
        free = x + wide;
      }
      for (const { words, x, wide, colour } of labels) {
        bar(ink.panel, x + 3, track.y + 3, wide - 4, track.tall - 6, 0.85);
        label(words, x + 5, track, wide, colour);
      }
    }
  };
  function drawLegend() {
    const entry = (colour, words, title = "") => {
      const mark = el("i");
      mark.style.background = `var(--${colour})`;
      return Object.assign(el("span", "", mark, words), { title });
    };
    const parts = [];
    for (const [region, states] of Object.entries(session.states)) {
      if (region === "activity" && states.length < 2) continue;
      for (const state of new Set(states.map(([, name2]) => name2)))
        parts.push(entry(TINT[state] || "gone", state, `${region}: ${session.stateWords[region][state] || ""}`));
    }
    if (session.sound.model.runs.some(([, , , , , samples, heard]) => heard < samples))
      parts.push(entry("cut", "cut: what follows, pale, was never heard"));
    fill($("legend"), ...parts);
  }
  function under(x, y) {
    const t = tOf(x), near = perPixel() * 5, track = tracks.find((one) => y >= one.y && y < one.y + one.tall + 4);
    const words = [`${seconds(Math.max(t, 0))} s`], { states, stateWords, tools, marks, sound, texts: texts2 } = session;
    let row = Math.max(0, after(session.t, t) - 1);
    if (!track) return { t, row, words };
    const { kind, data } = track, who = (
      /** @type {Speaker} */
      data
    );
    if (kind === "state") {
      const found = states[data][Math.max(0, after(states[data], t, ([from]) => from) - 1)];
      if (found && t <= last()) words.push(`${data} ${found[1]}: ${stateWords[data][found[1]] || ""}`);
    } else if (kind === "text") {
      const found = texts2[who][after(texts2[who], t + near, ([from]) => from) - 1];
      if (found) {
        words.push(found[2]);
        row = found[3];
      }
    } else if (kind === "tool") {
      const found = tools.find(([from2, to2]) => t >= from2 - near && t <= (to2 ?? last()) + near);
      if (!found) return { t, row, words };
      const [from, to, name2, asked2, , how] = found;
      words.push(`${name2}(): ${how}${to === null ? "" : ` after ${Math.round((to - from) * 1e3)} ms`}`);
      row = asked2;
    } else if (kind === "mark") {
      const from = after(marks, t - near, ([at]) => at), to = after(marks, t + near, ([at]) => at);
      for (const [, of, name2] of marks.slice(from, Math.min(to, from + 5))) {
        words.push(`${name2}  ${session.words[of]}`);
        row = of;
      }
    } else if (kind === "sound") {
      const found = sound[who].runs.find(([from, rate, , , , samples]) => t >= from && t < from + samples / rate);
      const isCut = found && t > found[0] + found[6] / found[1];
      if (found) words.push(`${data}'s sound, ${grouped(found[1])} Hz${isCut ? ", cut off: not heard" : ""}`);
    }
    return { t, row, words };
  }
  var drag = null;
  area.addEventListener("pointerdown", (e) => {
    if (e.button) return;
    drag = { x: e.clientX, from: view[0], isMoved: false };
    area.setPointerCapture(e.pointerId);
  });
  area.addEventListener("pointermove", (e) => {
    const box2 = canvas.getBoundingClientRect(), x = e.clientX - box2.left, y = e.clientY - box2.top;
    if (drag && (drag.isMoved || Math.abs(e.clientX - drag.x) > 5)) {
      drag.isMoved = true;
      tip.hidden = true;
      return look(drag.from - (e.clientX - drag.x) * perPixel());
    }
    tip.hidden = x < gutter || !session.t.length;
    if (tip.hidden) return;
    tip.textContent = visible(under(x, y).words.join("\n"));
    const left = x + 14 + tip.offsetWidth > width ? Math.max(0, x - 10 - tip.offsetWidth) : x + 14;
    const top = clamp(y - tip.offsetHeight - 8, 0, Math.max(0, height - tip.offsetHeight));
    tip.style.transform = `translate(${left}px, ${top}px)`;
  });
  area.addEventListener("pointerup", (e) => {
    const was = drag, box2 = canvas.getBoundingClientRect(), x = e.clientX - box2.left;
    drag = null;
    if (!was || was.isMoved || x < gutter) return;
    const { t, row } = under(x, e.clientY - box2.top);
    seek(t);
    if (session.t.length) pick(row, true);
  });
  area.addEventListener("pointercancel", () => {
    drag = null;
  });
  area.addEventListener("pointerleave", () => {
    tip.hidden = true;
  });
  area.addEventListener("wheel", (e) => {
    const sideways = e.shiftKey ? e.deltaY || e.deltaX : e.deltaX;
    if (e.ctrlKey || e.metaKey) {
      e.preventDefault();
      zoom(Math.exp(e.deltaY * 4e-3), tOf(clamp(e.clientX - canvas.getBoundingClientRect().left, gutter, width)));
    } else if (Math.abs(sideways) > (e.shiftKey ? 0 : Math.abs(e.deltaY))) {
      e.preventDefault();
      look(view[0] + sideways * perPixel());
    }
  }, { passive: false });
  playButton.addEventListener("click", () => player.toggle());
  $("zoom-in").addEventListener("click", () => zoom(0.5));
  $("zoom-out").addEventListener("click", () => zoom(2));
  $("zoom-fit").addEventListener("click", fit);

  // src/panes.js
  var AGAIN = {
    no: "not before something is changed",
    yes: "at once",
    backoff: "after a pause, longer each time",
    resume: "with the newest resumption handle",
    fresh: "without the handle"
  };
  function drawHeader() {
    const { model, sound } = session;
    if (isNew("model", model)) {
      const parts = visible(model || "no setup was taken").split(/(?<=\/)/);
      fill($("model"), ...parts.flatMap((part, i) => [i > 0 && el("wbr"), plain(part)]));
    }
    const { sent, received, faulty } = counts(session);
    const facts = [
      ["started", when(session.started)],
      ["length", span(last())],
      ["messages", `${grouped(sent + received)} (${grouped(sent)} → · ${grouped(received)} ←)`],
      ["with faults", String(faulty)],
      ["user's sound", sound.user.seconds ? span(sound.user.seconds) : ""],
      ["model's sound", sound.model.seconds ? span(sound.model.seconds) : ""],
      ["recorded by", `livews ${session.livews}, ${session.side}`],
      ["url", session.url]
    ].filter(([, text]) => text);
    const box2 = $("facts");
    if (isNew("facts", facts.map(([name2]) => name2)))
      fill(box2, ...facts.map(([name2]) => el("div", name2 === "url" ? "wide" : "", el("dt", "", name2), el("dd"))));
    facts.forEach(([, text], i) => {
      const at = (
        /** @type {Element} */
        box2.children[i].lastChild
      ), shown2 = visible(text);
      if (at.textContent !== shown2) at.textContent = shown2;
    });
    drawEnd();
  }
  function drawEnd() {
    const { end, running, cutOff } = session, before = rowBeforeClose(session), box2 = $("end");
    if (!isNew("end", [end, running, before, !end && !running && session.last])) return;
    box2.className = end ? end.kind === "normal" ? "fine" : "bad" : running ? "open" : "";
    if (!end && running) return fill(box2, el("b", "", "Open."), plain(" Messages are shown as they come."));
    if (!end) {
      const words = cutOff ? " Its last line is cut off: whatever recorded it ended in mid-line." : "";
      const at = ` The trace ends at ${seconds(session.last)} s.`;
      return fill(box2, el("b", "", "No close was recorded."), plain(at + words));
    }
    const isFine = end.kind === "normal", error = errorOf(session, before);
    const rows2 = [["what", end.meaning]];
    if (!isFine) rows2.push(["why", end.cause]);
    if (error) {
      const words = `the client sent this: ${error.complaint} (${error.rule})`;
      rows2.push(["before", el("span", "", words, button("Show it", "", () => pick(before, true)))]);
    }
    if (!isFine) {
      rows2.push(["do", end.do], ["again", AGAIN[end.retry] || end.retry]);
      if (end.id !== "unknown") rows2.push(["record", `${end.id} in closes.json: ${end.confidence}`]);
    }
    const reason = end.reason ? ` “${end.reason}”` : "";
    const list2 = rows2.filter(([, text]) => text).flatMap(([name2, text]) => [el("dt", "", name2), el("dd", "", text)]);
    fill(box2, el("b", "", `Closed by the ${end.by} at ${seconds(end.t)} s: ${end.code}${reason}`), el("dl", "", ...list2));
  }
  function refill(box2, ...inside) {
    const was = box2.querySelector(".scroll"), top = was ? was.scrollTop : 0;
    const isAtEnd = was && top > 0 && top + was.clientHeight >= was.scrollHeight - 4;
    fill(box2, ...inside);
    const now2 = box2.querySelector(".scroll");
    if (now2 && top) now2.scrollTop = isAtEnd ? now2.scrollHeight : top;
  }
  function drawTurns() {
    const { turns } = session, sounded = turns.filter((turn) => turn.firstSound !== null);
    if (!isNew("turns", turns)) return;
    const isMeasured = sounded.some((turn) => turn.measured), areAll = sounded.every((turn) => turn.measured);
    const ms = (t, from) => t === null || from === null ? "—" : `${grouped(Math.max(0, Math.round((t - from) * 1e3)))} ms`;
    const rowOf = (turn, i) => {
      const { asked: asked2, firstByte, measured } = turn, from = asked2 ?? firstByte;
      const heard2 = isMeasured && !areAll && measured && el("small", "", " heard");
      const row = el("tr", "", ...[
        `${i + 1} · ${turn.by || "unasked"}`,
        `${seconds(from)} s`,
        ms(firstByte, asked2),
        ms(turn.firstSound, asked2),
        ms(turn.firstHeard, asked2),
        turn.how || "open"
      ].map((words, column) => el("td", "", words, column === 4 && heard2 ? heard2 : "")));
      row.addEventListener("click", () => {
        seek(from);
        pick(turn.row, true);
      });
      return row;
    };
    const [heard, until] = isMeasured && areAll ? ["heard", "; the trace says that it was heard"] : ["could be heard", ": estimated from when it came, as the trace does not say that somebody listened"];
    const columns = [
      ["turn", ""],
      ["at", "when the user was done"],
      ["first byte", "from the end of what the user said to the first frame of the answer"],
      ["first sound", "... to the first sample that is not silence"],
      [heard, `... until that sample is played, after what was still queued${until}`],
      ["end", ""]
    ];
    const head = el("tr", "", ...columns.map(([name2, title]) => Object.assign(el("th", "", name2), { title })));
    const more = turns.length > 500 ? `, the first 500 of ${grouped(turns.length)}` : "";
    const body = el("tbody", "", ...turns.slice(0, 500).map(rowOf));
    refill($("turns"), el("h2", "", `Answers, from when the user was done${more}`), turns.length ? el("div", "scroll", el("table", "", el("thead", "", head), body)) : el("p", "empty", "No turn was answered."));
  }
  function drawFindings() {
    if (!isNew("found", session.found)) return;
    const found = occurring(session), list2 = el("div", "scroll"), explained = consequences(session);
    for (const [finding, row, times] of found.slice(0, 200)) {
      const { level: level2, complaint, rule, cure } = finding;
      const made = button("", "", () => pick(row, true));
      made.className = `found l${LEVELS.indexOf(level2)}`;
      const more = explained.get(session.findings.indexOf(finding)) ?? 0;
      const because = more ? ` · and ${grouped(more)} more message${more > 1 ? "s" : ""} because of it` : "";
      made.append(
        tag(finding),
        el("span", "", complaint),
        " ",
        el("span", "rule", rule + (times > 1 ? ` · ${grouped(times)} times` : "") + because),
        cure ? el("div", "cure", cure) : ""
      );
      list2.append(made);
    }
    if (found.length > 200) list2.append(el("p", "empty", `${found.length - 200} more are at their messages.`));
    $("findings").hidden = !found.length;
    document.querySelector(".pair")?.classList.toggle("one", !found.length);
    refill($("findings"), el("h2", "", "Faults and notes"), list2);
  }

  // src/view.js
  var help = $("help");
  function open2(n, from) {
    player.stop();
    choose(n, from);
    player.at = 0;
    reset2();
    reset();
    drawPanes();
    layOutTracks();
    drawLegend();
    fit();
    moveCursor();
    filter();
  }
  function drawPanes() {
    drawHeader();
    drawTurns();
    drawFindings();
    offerKinds();
  }
  function begin(head, from) {
    report.sessions = [begun(head)];
    open2(0, from);
    followEnd(true);
  }
  function grow(news) {
    const before = reach(clock() ? 1 : 0.01);
    extend(session, news, performance.now() / 1e3);
    Object.assign(report.docs, news.docs);
    drawPanes();
    const { states, sound, texts: texts2, tools, running } = session;
    const lists = [sound.user.runs, sound.model.runs, texts2.user, texts2.model, tools];
    const areThere = [...Object.values(states).map((list2) => list2.length > 1), ...lists.map((list2) => list2.length > 0)];
    if (isNew("tracks", [areThere, running])) layOutTracks();
    drawLegend();
    stretch(before);
    resift();
  }
  function tick() {
    if (!session || !clock() || document.hidden) return;
    stretch(reach(1));
    drawHeader();
  }
  var KEYS2 = {
    j: () => step(1),
    ArrowDown: () => step(1),
    k: () => step(-1),
    ArrowUp: () => step(-1),
    PageDown: () => step(perPage()),
    PageUp: () => step(-perPage()),
    g: pickFirst,
    Home: pickFirst,
    G: pickLast,
    End: pickLast,
    n: () => stepToFault(1),
    N: () => stepToFault(-1),
    Enter: openPicked,
    f: toggleFaults,
    "/": focusSearch,
    Escape: () => list.focus(),
    " ": () => player.toggle(),
    ArrowLeft: () => seek(player.now() - 5),
    ArrowRight: () => seek(player.now() + 5),
    "+": () => zoom(0.5),
    "=": () => zoom(0.5),
    "-": () => zoom(2),
    0: fit,
    "?": () => help.showModal()
  };
  var perPage = () => Math.floor(list.clientHeight / tall);
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || help.open || !Object.hasOwn(KEYS2, e.key)) return;
    const on = (
      /** @type {HTMLElement} */
      e.target
    ), tag2 = on.tagName, isBox = on.matches("input[type=checkbox]");
    if (tag2 === "INPUT" && !isBox || tag2 === "TEXTAREA" || tag2 === "SELECT") return;
    if ((tag2 === "BUTTON" || isBox) && (e.key === " " || e.key === "Enter")) return;
    if ($("detail").contains(on) && /^(Arrow(Up|Down)|Page|Home|End)/.test(e.key)) return;
    e.preventDefault();
    KEYS2[e.key]();
  });
  document.addEventListener("click", (e) => {
    const on = (
      /** @type {Element} */
      e.target
    );
    if (e.detail && on.closest("#time button, #log button, .found")) list.focus({ preventScroll: true });
  });
  $("help-button").addEventListener("click", () => help.showModal());
  $("help-close").addEventListener("click", () => help.close());
  new ResizeObserver(() => {
    if (!session) return;
    fitWidth();
    size();
  }).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readInks();
    draw();
  });
  readInks();

  // src/inspector.js
  var select = $("session");
  var number2 = null;
  var listed = [];
  var letGo = 0;
  var isPicked = false;
  var isFresh = false;
  connect((isLost) => {
    banner.hidden = !isLost;
    desk();
    if (!isLost) watch(number2);
  }, (message2) => {
    if (message2.sessions) {
      listed = message2.sessions;
      letGo = message2.letGo;
      sessions();
    } else if (message2.note) {
      note(message2.note);
    } else if (message2.news && message2.n === number2) {
      if (message2.head) begin(message2.head, sourceOf(message2.n));
      if (session) grow(message2.news);
      desk();
    }
  });
  var watched = () => listed.find((one) => one.n === number2);
  function watch(n) {
    number2 = n;
    if (n !== null) tell({ watch: n });
  }
  function sessions() {
    const newest = listed.at(-1)?.n, isWriting = $("composer")?.contains(document.activeElement) && watched()?.running;
    document.body.classList.toggle("none", !listed.length);
    if (composer && !isFresh) suggest();
    if (!watched()) isPicked = false;
    if (newest !== void 0 && !isPicked && number2 !== newest && !isWriting) watch(newest);
    select.hidden = listed.length < 2;
    if (document.activeElement !== select) offerSessions();
    desk();
  }
  function offerSessions() {
    fill(select, ...listed.map(({ n, started, model, running, own }) => option(String(n), [
      n,
      when(started).slice(11, 19),
      model.split("/").pop() || "no setup",
      running ? "open" : "ended",
      ...own ? ["yours"] : []
    ].join(" · "))));
    select.value = String(number2);
    select.title = letGo ? `the oldest ${letGo} are not kept any more` : "";
  }
  select.addEventListener("change", () => {
    isPicked = +select.value !== listed.at(-1)?.n;
    isFresh = false;
    select.blur();
    watch(+select.value);
    desk();
  });
  select.addEventListener("blur", offerSessions);
  var banner = el("p", "banner", "The connection to livews is lost: what is shown came before that. It is tried again; if livews inspect was started again, open the URL it prints now.");
  Object.assign(banner, { id: "lost", hidden: true });
  banner.setAttribute("role", "alert");
  var notes = Object.assign(el("div"), { id: "notes" });
  var empty = Object.assign(el("section"), { id: "wait" });
  notes.setAttribute("role", "status");
  var follow2 = Object.assign(button("Follow ↓", "Stay at the newest message (G)", () => {
    followEnd(true);
    list.focus({ preventScroll: true });
  }), { id: "follow", hidden: true });
  document.addEventListener("livews-follow", () => desk());
  document.querySelector("#log .bar")?.append(follow2);
  document.body.prepend(banner, notes);
  document.querySelector("header")?.after(empty);
  function note(text) {
    const made = el("p", "banner", text, button("Dismiss", "", () => made.remove()));
    notes.append(made);
    while (notes.children.length > 5) notes.firstChild?.remove();
  }
  var { door, upstream, name } = report;
  if (door) {
    const http = door.replace(/^ws/, "http"), to = `${upstream}${report.offline ? ", the built-in stand-in" : ""}`;
    fill(
      empty,
      el("h2", "", "No session yet"),
      el("p", "", "Dial this address in the service's place; what passes is shown here as it happens."),
      el("pre", "", `livews --url ${door}
GOOGLE_GEMINI_BASE_URL=${http}   # google-genai, @google/genai`),
      el("p", "", `It goes on to ${to}. Or press Open session below: it sends the setup that is written there.`)
    );
    const listen = Object.assign(el("input"), { id: "listen", type: "checkbox" });
    const listenNow = () => {
      player.seekNewest();
      player.play();
    };
    const title = "Play both sides as they come, about a second behind";
    $("play").after(Object.assign(el("label", "check", listen, " listen"), { title }));
    listen.addEventListener("change", () => listen.checked ? listenNow() : player.stop());
    setInterval(() => {
      if (!listen.checked || !session || player.playing) return;
      if (session.running) listenNow();
      else if (!listed.some((one) => one.running)) listen.checked = false;
    }, 300);
    $("play").addEventListener("click", () => {
      if (!player.playing) listen.checked = false;
    });
  } else {
    const missing = report.missing ? `${name} does not exist yet. ` : "";
    fill(
      empty,
      el("h2", "", "Nothing is written there yet"),
      el("p", "", `${missing}Sessions are shown as they are written to ${name}, for instance by this command:`),
      el("pre", "", report.command)
    );
  }
  $("foot").textContent = visible(`livews inspect · ${door ? `${door} goes on to ${upstream}` : name}`);
  $("model").textContent = "livews inspect";
  var FIRST = JSON.stringify({ realtimeInput: { text: "Hello" } }, null, 2);
  var SETUP = report.draft ?? "";
  var isHalf = /[\ud800-\udfff]/u;
  var opensNew = () => isFresh || !listed.length;
  var hasEnded = () => !opensNew() && !watched()?.running;
  var isSuggested = (text) => text === FIRST || text === SETUP;
  var failed = (problem) => ({ ok: false, message: problem.message });
  var closing = button("Close", "Close this session with code 1000", () => {
    const shown2 = (answer) => answer.ok || note(answer.message);
    ask({ ask: "close", n: number2 }).catch(failed).then(shown2);
  });
  closing.id = "close-button";
  var opening = button("New session", "Write a setup, and open a session of livews's own with it", () => {
    isFresh = !isFresh;
    if (isFresh) {
      if (!textarea().value.includes('"setup"')) write(SETUP);
      $("composer").scrollIntoView({ block: "nearest" });
    }
    desk();
  });
  opening.id = "open-button";
  var textarea = () => (
    /** @type {HTMLTextAreaElement} */
    $("composer").querySelector("textarea")
  );
  var composer = $("composer-table") ? mountComposer() : null;
  function mountComposer() {
    const root = Object.assign(el("div"), { id: "composer" });
    const section = el("section", "", el("div", "bar", el("h2", "grow", "Write a message"), closing), root);
    section.id = "write";
    section.setAttribute("aria-label", "write a message");
    $("log").after(section);
    section.addEventListener("click", (e) => {
      const isClose = (
        /** @type {Element} */
        e.target.closest("#close-button")
      );
      if (e.detail && isClose) list.focus({ preventScroll: true });
    });
    $("help").querySelector("dl")?.append(...KEYS.flatMap(([key, does]) => [el("dt", "", key), el("dd", "", `${does}${does === "sends" ? "" : " (in the composer)"}`)]));
    return mount(root, {
      table: JSON.parse($("composer-table").textContent ?? ""),
      sides: ["client", "server"],
      beside: [opening],
      async send(text, side) {
        if (isHalf.test(text))
          return { ok: false, message: "there is half a character in it (a lone surrogate), which no message can carry" };
        if (!opensNew()) return ask({ ask: "send", n: number2, text, side }).catch(failed);
        if (side !== "client") return { ok: false, message: "a new session begins with a message to the service" };
        const answer = await ask({ ask: "open", text }).catch(failed), { n } = answer;
        if (!answer.ok)
          return answer.noted ? failed(Error("No session was opened: the box at the top of the page says why.")) : answer;
        isFresh = isPicked = false;
        if (n && !listed.some((one) => one.n === n))
          listed = [...listed, { n, started: "", model: "", running: true, own: true }];
        if (n) watch(n);
        sessions();
        setTimeout(write, 0, FIRST);
        return answer;
      },
      // a text that no person wrote is not checked where nothing can be sent
      check: async (text, side) => isHalf.test(text) || hasEnded() && isSuggested(text) ? [] : (await ask({ ask: "check", n: opensNew() ? null : number2, text, side })).found
    });
  }
  function suggest() {
    const text = textarea().value, fitting = listed.length ? FIRST : SETUP;
    if (text === fitting || text.trim() && !isSuggested(text)) return;
    const before = (
      /** @type {HTMLElement | null} */
      document.activeElement
    );
    write(fitting);
    textarea().blur();
    if (before && before !== document.body) before.focus({ preventScroll: true });
  }
  function write(text) {
    textarea().focus({ preventScroll: true });
    composer?.write(text);
  }
  var about = "";
  function desk() {
    follow2.hidden = following || !session?.running;
    if (!composer) return;
    const mine = watched();
    closing.hidden = !mine?.own || !mine.running;
    opening.textContent = isFresh ? "Back to the session" : "New session";
    opening.hidden = !listed.length;
    let target = null, why = "";
    if (opensNew()) {
      const state = "this message opens it";
      target = { model: "a new session", surface: report.surface, state, own: true, sends: "Open session" };
    } else if (session) {
      const state = Object.values(session.now || {}).filter((state2) => state2 !== "none").join(", ");
      target = { model: session.model, surface: session.surface, state, own: !!mine?.own };
    }
    if (!isOpen()) why = "The connection to livews is lost.";
    else if (!opensNew() && !mine?.running) why = "This session has ended.";
    const now2 = JSON.stringify([target, why]);
    if (now2 === about) return;
    about = now2;
    composer.setSession(target);
    composer.setEnabled(!why, why);
  }
  document.body.classList.add("live", "none");
  setInterval(tick, 250);
  desk();
})();
