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
    const [value, left = {}] = found, about = [`${seconds(session.t[row])} s`];
    if (isByHand(session, row)) about.push(`to the ${isServer ? "client" : "service"}`);
    else about.push(isServer ? "from the server" : "from the client");
    if (!control) about.push(many(session.size[row], "byte"));
    if (session.words[row]) about.push(session.words[row]);
    const parts = [el("h3", "", `${isServer ? "←" : "→"} ${session.kinds[session.kind[row]]}`)];
    parts.push(el("div", "sub", about.join(" · ")));
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
    if (typeof value === "string") line(tree, 0, null, value, left[""]);
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
      const at = line(into, depth, key, child, Object.hasOwn(left, here) ? left[here] : void 0, doc, isList, of?.is);
      if (faulty.has(here)) at.classList.add("hit");
      if (child !== null && typeof child === "object") members(into, child, here, inner, form, depth + 1, left, faulty);
    }
  }
  function line(into, depth, key, value, left, doc = "", isItem = false, type = "") {
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
    const runs = [...sound.user.runs, ...sound.model.runs], notes = [];
    if (!runs.length) notes.push("no sound in this trace");
    else if (runs.every((run) => run[2] === 2)) notes.push("the trace kept lengths and no sound");
    else if (runs.some((run) => run[2] === 1)) notes.push("only the first part of the sound is in this file");
    if (runs.length) notes.push("user left, model right");
    const skipped = sound.user.skipped + sound.model.skipped;
    if (skipped) notes.push(`${many(skipped, "piece")} of sound in a form not played here`);
    return notes.join(" · ");
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
  var INKS = [
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
    for (const name2 of INKS) ink[name2] = style.getPropertyValue("--" + name2).trim();
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
        const cut = t + heard / rate, next = i + 1 < runs.length ? runs[i + 1][0] : Infinity;
        const until = Math.min(t + samples / rate, Math.max(next, cut));
        if (until < view[0] || t > view[1]) return;
        if (kind === 2) {
          const whole = Math.min(cut, until);
          if (whole > t) bar(colour, xOf(t), mid - 5, xOf(whole) - xOf(t), 10, 0.35);
          if (until > cut) bar(colour, xOf(cut), mid - 5, xOf(until) - xOf(cut), 10, 0.12);
        } else {
          const a = Math.max(Math.floor(xOf(t)), gutter), b = Math.min(Math.ceil(xOf(until)), width);
          const end = peak + Math.ceil(samples / rate * session.perSecond);
          for (let x = a; x < b; x++) {
            const first = peak + Math.max(0, Math.floor((tOf(x) - t) * session.perSecond));
            const stop = Math.min(end, Math.max(first + 1, peak + Math.ceil((tOf(x + 1) - t) * session.perSecond)));
            let top = 0;
            for (let k = first; k < stop; k++) if (peaks[k] > top) top = peaks[k];
            const tall2 = Math.max(0.5, Math.sqrt(top / 255) * half);
            bar(colour, x, mid - tall2, 1, 2 * tall2, tOf(x) < cut ? 1 : 0.25);
          }
        }
        if (heard < samples) bar(ink.cut, xOf(cut) - 1, track.y, 2, track.tall);
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
      const [from, to, name2, asked, , how] = found;
      words.push(`${name2}(): ${how}${to === null ? "" : ` after ${Math.round((to - from) * 1e3)} ms`}`);
      row = asked;
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
      const { asked, firstByte, measured } = turn, from = asked ?? firstByte;
      const heard2 = isMeasured && !areAll && measured && el("small", "", " heard");
      const row = el("tr", "", ...[
        `${i + 1} · ${turn.by || "unasked"}`,
        `${seconds(from)} s`,
        ms(firstByte, asked),
        ms(turn.firstSound, asked),
        ms(turn.firstHeard, asked),
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
  var KEYS = {
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
    if (e.ctrlKey || e.metaKey || e.altKey || help.open || !Object.hasOwn(KEYS, e.key)) return;
    const on = (
      /** @type {HTMLElement} */
      e.target
    ), tag2 = on.tagName, isBox = on.matches("input[type=checkbox]");
    if (tag2 === "INPUT" && !isBox || tag2 === "TEXTAREA" || tag2 === "SELECT") return;
    if ((tag2 === "BUTTON" || isBox) && (e.key === " " || e.key === "Enter")) return;
    if ($("detail").contains(on) && /^(Arrow(Up|Down)|Page|Home|End)/.test(e.key)) return;
    e.preventDefault();
    KEYS[e.key]();
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

  // src/report.js
  var { name, sessions } = report;
  var select = $("session");
  select.hidden = sessions.length < 2;
  select.append(...sessions.map(({ started }, i) => option(String(i), `session ${i + 1} of ${sessions.length} · ${when(started)}`)));
  select.addEventListener("change", () => open2(+select.value));
  $("foot").textContent = visible(`${name} · drawn by livews with protocol ${sessions[0].protocol}. This file is whole: it asks the network for nothing, and holds all that was said.`);
  open2(0);
})();
