// The report's own script. Its rules:
// - Text of the wire becomes text nodes and canvas text, never markup, a URL, a style or code.
// - Control characters and what turns text around are shown as escapes.
// - What is not looked at is not built: rows outside the list's window, messages that are not open, sound not played.
// - No request leaves: nothing here knows an address. Where messages and sound come from is `source`: this file, or what
//   live.js puts in its place.
// - A session may grow while it is shown (`grow`): what a person looks at, has chosen or points at stays where it is.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const report = JSON.parse($("report").textContent);
  const LEVELS = ["", "note", "refused", "error"];

  // Text

  const UNSAFE =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]|[\u{e0000}-\u{e007f}]/gu;
  const visible = (text) =>
    String(text).replace(UNSAFE, (c) => {
      const code = c.codePointAt(0);
      return code < 256 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u" + code.toString(16).padStart(4, "0");
    });
  const el = (tag, className, ...inside) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    for (const one of inside)
      if (one !== null && one !== undefined && one !== "") made.append(typeof one === "object" ? one : visible(one));
    return made;
  };
  const fill = (into, ...inside) => into.replaceChildren(...inside.filter(Boolean));
  const many = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
  const seconds = (t) => t.toFixed(3);
  const span = (t) => {
    if (t < 60) return `${t.toFixed(t < 10 ? 2 : 1)} s`;
    const h = Math.floor(t / 3600), m = Math.floor((t % 3600) / 60), s = Math.floor(t % 60);
    return (h ? `${h} h ` : "") + `${m} min ${s} s`;
  };
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const clamp = (x, a, b) => Math.min(Math.max(x, a), b);
  /** The first index of a sorted list whose value is greater than `t`. */
  const after = (list, t, value = (x) => x) => {
    let a = 0, b = list.length;
    while (a < b) {
      const m = (a + b) >> 1;
      if (value(list[m]) > t) b = m; else a = m + 1;
    }
    return a;
  };

  // Messages and sound stand behind this script: the page is drawn before they have been read.
  let whole = false;
  const isWhole = new Promise((then) => document.addEventListener("DOMContentLoaded", () => { whole = true; then(); }));
  const inFile = {
    /** The messages of a chunk; null where they have to be fetched. */
    chunk: (n) => (whole ? JSON.parse($(`messages-${number}-${n}`).textContent) : null),
    fetch: (n) => isWhole.then(() => inFile.chunk(n)),
    /** Bytes of a side's sound, or a promise of them; only the base64 around them is decoded. */
    sound(name, at, size) {
      if (!whole) return isWhole.then(() => inFile.sound(name, at, size));
      const text = $(`sound-${number}-${name}`).firstChild;
      const first = Math.floor(at / 3), last = Math.ceil((at + size) / 3);
      return bytes(text ? text.substringData(4 * first, 4 * (last - first)) : "").subarray(at - 3 * first, at - 3 * first + size);
    },
    ready: () => whole || isWhole,
  };
  let source = inFile;

  // The session that is shown

  let s, number, shown, sifted, picked, opened, texts, chunks, view, lanes, following, drawn = {};
  /** Is this another value than the last time it was asked for by that name? */
  const isNew = (name, value) => {
    const text = JSON.stringify(value);
    if (drawn[name] === text) return false;
    drawn[name] = text;
    return true;
  };

  function open(n) {
    player.stop();
    number = n;
    s = report.sessions[n];
    if (typeof s.flags === "string") {
      s.flags = bytes(s.flags);
      for (const side of Object.values(s.sound)) side.peaks = bytes(side.peaks);
    }
    shown = []; sifted = 0; picked = -1; opened = -1; texts = []; chunks = new Map(); drawn = {};
    following = !!report.live;
    view = [0, length()];
    player.at = 0;
    header(); turns(); findings(); kinds();
    for (const id of ["search", "kind", "side"]) $(id).value = "";
    $("faults").checked = false;
    fill($("detail"), el("p", "empty unpicked", "Pick a message to see its JSON, with what the schemas say of each member."));
    layOut(); legend(); draw(); moveCursor(); filter();
  }

  /** Seconds since a session that runs began; what has come is laid out before this. */
  const clock = () => (s.running && s.offset !== undefined ? performance.now() / 1000 + s.offset : 0);
  const length = () => Math.max(s.length, clock(), 0.001);
  const last = () => Math.max(s.last, clock());
  const level = (row) => (s.flags[row] >> 2) & 3;
  const isOurs = (row) => s.flags[row] & 16;
  const fromServer = (row) => s.flags[row] & 1;
  const isControl = (row) => s.flags[row] & 2;

  // Header

  function header() {
    if (isNew("model", s.model)) // a line may end behind a slash
      fill($("model"), ...visible(s.model || "no setup was taken").split(/(?<=\/)/).flatMap((part, i) => [i ? el("wbr", "") : "", document.createTextNode(part)]));
    const facts = [];
    const fact = (name, text, wide) => {
      if (text) facts.push([name, text, wide]);
    };
    let sent = 0;
    const levels = [0, 0, 0, 0];
    for (let i = 0; i < s.flags.length; i++) {
      if (!isControl(i)) sent += !fromServer(i);
      if (!isControl(i)) levels[level(i)]++;
    }
    const frames = levels[0] + levels[1] + levels[2] + levels[3];
    fact("started", when(s.started));
    fact("length", span(last()));
    fact("messages", `${frames.toLocaleString("en")} (${sent.toLocaleString("en")} → · ${(frames - sent).toLocaleString("en")} ←)`);
    fact("with faults", String(levels[2] + levels[3]));
    fact("user's sound", s.sound.user.seconds ? span(s.sound.user.seconds) : "");
    fact("model's sound", s.sound.model.seconds ? span(s.sound.model.seconds) : "");
    fact("recorded by", `livews ${s.livews}, ${s.side}`);
    fact("url", s.url, true);
    if (isNew("facts", facts.map(([name]) => name)))
      fill($("facts"), ...facts.map(([name, , wide]) => el("div", wide ? "wide" : "", el("dt", "", name), el("dd", ""))));
    facts.forEach(([, text], i) => { // a text that is the same stays, and what was selected of it
      const at = $("facts").children[i].lastChild, shown = visible(text);
      if (at.textContent !== shown) at.textContent = shown;
    });
    const before = beforeTheClose();
    if (!isNew("end", [s.end, s.running, before, !s.end && !s.running && s.last])) return;
    const box = $("end"), end = s.end;
    box.className = "";
    if (!end && s.running) {
      box.className = "open";
      fill(box, el("b", "", "Open."), document.createTextNode(" Messages are shown as they come."));
      return;
    }
    if (!end) {
      const cut = s.cutOff ? " Its last line is cut off: whatever recorded it ended in mid-line." : "";
      fill(box, el("b", "", "No close was recorded."), document.createTextNode(` The trace ends at ${seconds(s.last)} s.${cut}`));
      return;
    }
    const fine = end.kind === "normal";
    box.className = fine ? "fine" : "bad";
    const rows = [["what", end.meaning]];
    if (!fine) rows.push(["why", end.cause]);
    if (before >= 0) {
      const found = worst(before), show = el("button", "", "Show it");
      show.type = "button";
      show.addEventListener("click", () => pick(before, true));
      rows.push(["before", el("span", "", `the client sent this: ${found.complaint} (${found.rule})`, show)]);
    }
    if (!fine) rows.push(["do", end.do], ["again", AGAIN[end.retry] || end.retry], ["record", end.id === "unknown" ? "" : `${end.id} in closes.json: ${end.confidence}`]);
    fill(
      box,
      el("b", "", `Closed by the ${end.by} at ${seconds(end.t)} s: ${end.code}${end.reason ? ` “${end.reason}”` : ""}`),
      el("dl", "", ...rows.filter((r) => r[1]).flatMap(([name, text]) => [el("dt", "", name), el("dd", "", text)])),
    );
  }
  const worst = (row) => (s.found[row] || []).map((one) => s.findings[one]).find((found) => found.level === "error");
  /** The row of what the client sent last before the service closed for a reason, where that has an error; -1. Of a client
   * that streams some more may be on its way by then. */
  function beforeTheClose() {
    const end = s.end;
    if (!end || end.by !== "server" || end.kind === "normal") return -1;
    let row = s.t.length - 1, close = -1;
    for (; row >= 0 && s.t[row] >= end.t; row--) if (isControl(row) && s.kinds[s.kind[row]] === "close") close = row;
    let first = true;
    for (row = close - 1; row >= 0 && (first || s.t[row] > end.t - 1); row--) {
      if (fromServer(row) || isControl(row)) continue;
      if (worst(row)) return row;
      first = false;
    }
    return -1;
  }
  const AGAIN = {
    no: "not before something is changed", yes: "at once", backoff: "after a pause, longer each time",
    resume: "with the newest resumption handle", fresh: "without the handle",
  };
  const when = (text) => text.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");

  // Turns and findings

  function turns() {
    if (!isNew("turns", s.turns)) return;
    const ms = (t, from) => (t === null || from === null ? "—" : `${Math.max(0, Math.round((t - from) * 1000)).toLocaleString("en")} ms`);
    const body = el("tbody", ""), sounded = s.turns.filter((turn) => turn.firstSound !== null), measured = sounded.some((turn) => turn.measured), all = sounded.every((turn) => turn.measured);
    s.turns.slice(0, 500).forEach((turn, i) => {
      const row = el("tr", "", el("td", "", `${i + 1} · ${turn.by || "unasked"}`), el("td", "", `${seconds(turn.asked ?? turn.firstByte)} s`),
        el("td", "", ms(turn.firstByte, turn.asked)), el("td", "", ms(turn.firstSound, turn.asked)),
        el("td", "", ms(turn.firstHeard, turn.asked), measured && !all && turn.measured ? el("small", "", " heard") : ""), el("td", "", turn.how || "open"));
      row.addEventListener("click", () => { seek(turn.asked ?? turn.firstByte); pick(turn.row, true); });
      body.append(row);
    });
    const head = el("tr", "", ...["turn", "at", "first byte", "first sound", measured && all ? "heard" : "could be heard", "end"].map((name) => el("th", "", name)));
    head.children[1].title = "when the user was done";
    head.children[2].title = "from the end of what the user said to the first frame of the answer";
    head.children[3].title = "... to the first sample that is not silence";
    head.children[4].title = "... until that sample is played, behind what was still queued" + (measured && all ? "; the trace says that it was heard" : ": reckoned from when it came, for the trace does not say that somebody listened");
    const note = s.turns.length > 500 ? `, the first 500 of ${s.turns.length.toLocaleString("en")}` : "";
    const inside = s.turns.length ? el("div", "scroll", el("table", "", el("thead", "", head), body)) : el("p", "empty", "No turn was answered.");
    refill($("turns"), el("h2", "", `Answers, from when the user was done${note}`), inside);
  }

  /** Fill a box with a list that scrolls; it stays where it was scrolled to, at its end when it was there. */
  function refill(box, ...inside) {
    const was = box.querySelector(".scroll"), top = was ? was.scrollTop : 0;
    const end = was && top > 0 && top + was.clientHeight >= was.scrollHeight - 4;
    fill(box, ...inside);
    const now = box.querySelector(".scroll");
    if (now && top) now.scrollTop = end ? now.scrollHeight : top;
  }

  function findings() {
    if (!isNew("found", s.found)) return;
    const first = new Map(), count = new Map();
    for (const [row, list] of Object.entries(s.found))
      for (const one of list) {
        if (!first.has(one)) first.set(one, +row);
        count.set(one, (count.get(one) || 0) + 1);
      }
    const order = [...first.keys()].sort((a, b) => LEVELS.indexOf(s.findings[b].level) - LEVELS.indexOf(s.findings[a].level) || first.get(a) - first.get(b));
    const list = el("div", "scroll");
    for (const one of order.slice(0, 200)) {
      const about = s.findings[one], times = count.get(one);
      const button = el("button", `found l${LEVELS.indexOf(about.level)}`, tag(about), el("span", "", about.complaint), document.createTextNode(" "),
        el("span", "rule", about.rule + (times > 1 ? ` · ${times.toLocaleString("en")} times` : "")));
      button.type = "button";
      if (about.cure) button.append(el("div", "cure", about.cure));
      button.addEventListener("click", () => pick(first.get(one), true));
      list.append(button);
    }
    if (order.length > 200) list.append(el("p", "empty", `${order.length - 200} more are at their messages.`));
    $("findings").hidden = !order.length;
    document.querySelector(".pair").classList.toggle("one", !order.length);
    refill($("findings"), el("h2", "", "Faults and notes"), list);
  }
  const tag = (about) => el("span", `tag l${LEVELS.indexOf(about.level)}`, about.level);

  // Lanes

  const canvas = $("canvas"), paper = canvas.getContext("2d");
  const TINT = {
    new: "idle", none: "idle", idle: "idle", opening: "work", ready: "open", leaving: "cut", closed: "gone",
    generating: "work", speaking: "speak", interrupted: "cut", waitingForTool: "tool", open: "open", heard: "speak",
  };
  let ink = {}, width = 0, height = 0, gutter = 0;

  function inks() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["back", "panel", "line", "soft", "text", "dim", "user", "model", "error", "warn", "note", "pick", "now", "idle", "work", "speak", "cut", "tool", "open", "gone"])
      ink[name] = style.getPropertyValue("--" + name).trim();
  }

  function layOut() {
    const narrow = canvas.parentElement.clientWidth < 620;
    gutter = narrow ? 0 : 84;
    lanes = [];
    let y = 0;
    const lane = (name, kind, tall, data) => {
      if (narrow && name) y += 13; // its name stands above it
      lanes.push({ name, kind, y, tall, data });
      y += tall + 4;
    };
    lane("", "ruler", 16);
    for (const region of Object.keys(s.states))
      if (region !== "activity" || s.states[region].length > 1) lane(region, "state", 17, region);
    const sound = narrow ? 44 : 56;
    if (s.sound.user.runs.length) lane("user", "sound", sound, "user");
    if (s.texts.user.length) lane(s.sound.user.runs.length ? "user said" : "user", "text", 20, "user");
    if (s.sound.model.runs.length) lane("model", "sound", sound, "model");
    if (s.texts.model.length) lane(s.sound.model.runs.length ? "model said" : "model", "text", 20, "model");
    if (s.tools.length) lane("tools", "tool", 20);
    lane("control", "mark", 20);
    height = y;
    width = canvas.parentElement.clientWidth;
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
    paper.setTransform(scale, 0, 0, scale, 0, 0);
    const kept = Object.values(s.sound).flatMap((side) => side.runs);
    const notes = [];
    if (!kept.length) notes.push("no sound in this trace");
    else if (kept.every((run) => run[2] === 2)) notes.push("the trace kept lengths and no sound");
    else if (kept.some((run) => run[2] === 1)) notes.push("only the first part of the sound is in this file");
    if (kept.length) notes.push("user left, model right");
    const skipped = s.sound.user.skipped + s.sound.model.skipped;
    if (skipped) notes.push(`${many(skipped, "piece")} of sound in a form not played here`);
    $("sound-note").textContent = notes.join(" · ");
  }

  const xOf = (t) => gutter + ((t - view[0]) / (view[1] - view[0])) * (width - gutter);
  const tOf = (x) => view[0] + ((x - gutter) / (width - gutter)) * (view[1] - view[0]);

  let drawing = 0;
  function draw() {
    if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; paint(); moveCursor(); });
  }

  function paint() {
    paper.clearRect(0, 0, width, height);
    paper.textBaseline = "middle";
    paper.direction = "ltr";
    paper.save();
    paper.beginPath(); paper.rect(gutter, 0, width - gutter, height); paper.clip();
    for (const lane of lanes) {
      if (lane.kind !== "ruler") { paper.fillStyle = ink.soft; paper.globalAlpha = 0.55; paper.fillRect(gutter, lane.y, width - gutter, lane.tall); paper.globalAlpha = 1; }
      PAINT[lane.kind](lane);
    }
    paper.restore();
    for (const lane of lanes) {
      paper.font = gutter ? "12px system-ui, sans-serif" : "11px system-ui, sans-serif";
      paper.fillStyle = ink.dim;
      paper.fillText(lane.name, 0, gutter ? lane.y + lane.tall / 2 : lane.y - 6);
    }
  }

  const PAINT = {
    ruler(lane) {
      const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
      const wanted = ((view[1] - view[0]) * 80) / Math.max(width - gutter, 1);
      const step = steps.find((x) => x >= wanted) || Math.ceil(wanted / 3600) * 3600;
      paper.font = "11px system-ui, sans-serif";
      paper.fillStyle = ink.dim;
      for (let i = Math.floor(view[0] / step); i * step <= view[1]; i++) {
        const x = xOf(i * step), t = i * step;
        paper.fillStyle = ink.line;
        paper.fillRect(Math.round(x), 0, 1, height);
        paper.fillStyle = ink.dim;
        const label = step >= 60 ? `${Math.floor(t / 60)} min` : t >= 60 ? `${Math.floor(t / 60)}:${(t % 60).toFixed(step < 1 ? 1 : 0).padStart(2, "0")}` : `${+t.toFixed(2)} s`;
        paper.fillText(label, x + 3, lane.y + 8);
      }
    },
    state(lane) {
      const list = s.states[lane.data];
      paper.font = "11px system-ui, sans-serif";
      let drawnTo = -1e9;
      for (let i = Math.max(0, after(list, view[0], (x) => x[0]) - 1); i < list.length && list[i][0] <= view[1]; i++) {
        const a = Math.max(xOf(list[i][0]), gutter), b = Math.min(i + 1 < list.length ? xOf(list[i + 1][0]) : xOf(Math.max(last(), list[i][0])), width);
        if (b - drawnTo < 0.5) continue;
        drawnTo = b;
        paper.fillStyle = ink[TINT[list[i][1]] || "gone"];
        paper.fillRect(a, lane.y, Math.max(b - a - 0.5, 0.75), lane.tall);
        clipped(list[i][1], a + 5, lane, b - a - 8, TINT[list[i][1]] === "idle" ? ink.text : ink.panel);
      }
    },
    sound(lane) {
      const side = s.sound[lane.data], mid = lane.y + lane.tall / 2, half = lane.tall / 2 - 1;
      side.runs.forEach((run, i) => {
        const [t, rate, have, , peak, samples, heard] = run;
        const ends = t + samples / rate, next = i + 1 < side.runs.length ? side.runs[i + 1][0] : Infinity;
        const until = Math.min(ends, Math.max(next, t + heard / rate)), cut = t + heard / rate;
        if (until < view[0] || t > view[1]) return;
        const a = Math.max(Math.floor(xOf(t)), gutter), b = Math.min(Math.ceil(xOf(until)), width);
        if (have === 2) {
          paper.fillStyle = ink[lane.data];
          for (const [from, to, alpha] of [[t, Math.min(cut, until), 0.35], [cut, until, 0.12]])
            if (to > from) { paper.globalAlpha = alpha; paper.fillRect(xOf(from), mid - 5, xOf(to) - xOf(from), 10); }
          paper.globalAlpha = 1;
        } else {
          const end = peak + Math.ceil((samples / rate) * s.perSecond);
          for (let x = a; x < b; x++) {
            const first = peak + Math.max(0, Math.floor((tOf(x) - t) * s.perSecond));
            const stop = Math.min(end, Math.max(first + 1, peak + Math.ceil((tOf(x + 1) - t) * s.perSecond)));
            let top = 0;
            for (let k = first; k < stop; k++) if (side.peaks[k] > top) top = side.peaks[k];
            const tall = Math.max(0.5, Math.sqrt(top / 255) * half);
            paper.globalAlpha = tOf(x) < cut ? 1 : 0.25;
            paper.fillStyle = ink[lane.data];
            paper.fillRect(x, mid - tall, 1, 2 * tall);
          }
          paper.globalAlpha = 1;
        }
        if (heard < samples) { paper.fillStyle = ink.cut; paper.fillRect(xOf(cut) - 1, lane.y, 2, lane.tall); }
      });
    },
    text(lane) {
      const list = s.texts[lane.data];
      paper.font = "12px system-ui, sans-serif";
      let last = -1e9;
      for (let i = Math.max(0, after(list, view[0], (x) => x[0]) - 1); i < list.length && list[i][0] <= view[1]; i++) {
        const [t0, t1, text] = list[i];
        const a = xOf(t0), b = i + 1 < list.length ? xOf(list[i + 1][0]) : width;
        if (a - last < 1) continue;
        last = a;
        paper.fillStyle = ink[lane.data];
        paper.globalAlpha = 0.18;
        paper.fillRect(a, lane.y, Math.max(xOf(t1) - a, 3), lane.tall);
        paper.globalAlpha = 1;
        paper.fillRect(a, lane.y, 2, lane.tall);
        clipped(text, Math.max(a, gutter) + 5, lane, Math.min(b, width) - Math.max(a, gutter) - 8, ink.text);
      }
    },
    tool(lane) {
      paper.font = "12px system-ui, sans-serif";
      let free = -1e9;
      s.tools.forEach(([t0, t1, name, , , how]) => {
        const end = t1 ?? last();
        if (end < view[0] || t0 > view[1]) return;
        const a = xOf(t0), b = Math.max(xOf(end), a + 3);
        paper.fillStyle = ink.tool;
        paper.globalAlpha = how === "answered" ? 0.35 : 0.15;
        paper.fillRect(a, lane.y, b - a, lane.tall);
        paper.globalAlpha = 1;
        paper.fillRect(a, lane.y, 2, lane.tall);
        const x = Math.max(a, gutter) + 5;
        if (x > free) free = x + clipped(name, x, lane, 150, ink.text) + 8;
      });
    },
    mark(lane) {
      paper.font = "11px system-ui, sans-serif";
      const close = view[1] - view[0] < 20, labels = [];
      let free = -1e9, last = -1e9;
      for (let i = after(s.marks, view[0] - 1e-9, (x) => x[0]); i < s.marks.length && s.marks[i][0] <= view[1]; i++) {
        const [t, , label, level] = s.marks[i], x = xOf(t);
        const small = SMALL.has(label), loud = level === 3 || label === "interrupted" || label === "goAway";
        const colour = loud ? ink.error : level === 2 ? ink.warn : ink.dim;
        if (x - last >= 1 || level) {
          paper.fillStyle = colour;
          paper.fillRect(x, small ? lane.y + 6 : lane.y, small ? 1 : 2, small ? lane.tall - 12 : lane.tall);
          last = x;
        }
        if (labels.length > 300 || (small && !close)) continue;
        const wide = paper.measureText(label).width + 8;
        while (loud && labels.length && !labels[labels.length - 1][3] && labels[labels.length - 1][1] + labels[labels.length - 1][4] > x) {
          labels.pop();
          free = -1e9;
        }
        if (x >= free && x + wide < width + 8) { labels.push([label, x, colour, loud, wide]); free = x + wide; }
      }
      for (const [label, x, colour, , wide] of labels) {
        paper.fillStyle = ink.panel;
        paper.globalAlpha = 0.85;
        paper.fillRect(x + 3, lane.y + 3, wide - 4, lane.tall - 6);
        paper.globalAlpha = 1;
        clipped(label, x + 5, lane, wide, colour);
      }
    },
  };
  const SMALL = new Set(["ping", "pong", "resumption", "heard", "generated"]);

  /** Draw a text as far as there is room; how much it took. */
  function clipped(text, x, lane, room, colour) {
    if (room < 14) return 0;
    text = visible(text.slice(0, Math.ceil(room / 3)));
    if (paper.measureText(text).width > room) {
      let n = text.length;
      while (n > 1 && paper.measureText(text.slice(0, n) + "…").width > room) n = Math.floor(n * 0.85);
      if (n <= 1) return 0;
      text = text.slice(0, n) + "…";
    }
    paper.fillStyle = colour;
    paper.fillText(text, x, lane.y + lane.tall / 2 + 0.5);
    return paper.measureText(text).width;
  }

  function legend() {
    const parts = [];
    for (const [region, list] of Object.entries(s.states)) {
      if (region === "activity" && list.length < 2) continue;
      for (const state of new Set(list.map((x) => x[1]))) {
        const mark = el("i", "");
        mark.style.background = `var(--${TINT[state] || "gone"})`;
        const one = el("span", "", mark, document.createTextNode(visible(state)));
        one.title = `${region}: ${s.stateWords[region][state] || ""}`;
        parts.push(one);
      }
    }
    if (s.sound.model.runs.some((run) => run[6] < run[5])) {
      const mark = el("i", "");
      mark.style.background = "var(--cut)";
      parts.push(el("span", "", mark, document.createTextNode("cut: what follows, pale, was never heard")));
    }
    fill($("legend"), ...parts);
  }

  function zoom(factor, at = player.now()) {
    const middle = at >= view[0] && at <= view[1] ? at : (view[0] + view[1]) / 2;
    const wide = clamp((view[1] - view[0]) * factor, Math.min(0.05, length()), length());
    const from = middle - ((middle - view[0]) / (view[1] - view[0])) * wide;
    look(from, wide);
  }
  function look(from, wide = view[1] - view[0]) {
    from = clamp(from, 0, Math.max(0, length() - wide));
    view = [from, from + wide];
    draw();
  }

  /** What lies under a point of the lanes: the words of it, and its message. */
  function under(x, y) {
    const t = tOf(x), lane = lanes.find((l) => y >= l.y && y < l.y + l.tall + 4);
    const near = ((view[1] - view[0]) / Math.max(width - gutter, 1)) * 5;
    let row = Math.max(0, after(s.t, t) - 1), words = `${seconds(Math.max(t, 0))} s`;
    const add = (text, at) => { words += `\n${text}`; if (at !== undefined && at !== null) row = at; };
    if (lane && lane.kind === "state") {
      const list = s.states[lane.data], one = list[Math.max(0, after(list, t, (v) => v[0]) - 1)];
      if (one && t <= last()) add(`${lane.data} ${one[1]}: ${s.stateWords[lane.data][one[1]] || ""}`);
    } else if (lane && lane.kind === "text") {
      const list = s.texts[lane.data], one = list[after(list, t + near, (v) => v[0]) - 1];
      if (one) add(one[2], one[3]);
    } else if (lane && lane.kind === "tool") {
      const one = s.tools.find(([a, b]) => t >= a - near && t <= (b ?? last()) + near);
      if (one) add(`${one[2]}(): ${one[5]}${one[1] === null ? "" : ` after ${Math.round((one[1] - one[0]) * 1000)} ms`}`, one[3]);
    } else if (lane && lane.kind === "mark") {
      const from = after(s.marks, t - near, (v) => v[0]), to = after(s.marks, t + near, (v) => v[0]);
      for (let i = from; i < Math.min(to, from + 5); i++) add(`${s.marks[i][2]}  ${s.words[s.marks[i][1]]}`, s.marks[i][1]);
    } else if (lane && lane.kind === "sound") {
      const one = s.sound[lane.data].runs.find((run) => t >= run[0] && t < run[0] + run[5] / run[1]);
      if (one) add(`${lane.data}'s sound, ${one[1].toLocaleString("en")} Hz` + (t > one[0] + one[6] / one[1] ? ", cut off: not heard" : ""));
    }
    return { t, row, words };
  }

  const area = $("lanes"), tip = $("tip");
  let drag = null;
  area.addEventListener("pointerdown", (e) => {
    if (e.button) return;
    drag = { x: e.clientX, from: view[0], moved: false };
    area.setPointerCapture(e.pointerId);
  });
  area.addEventListener("pointermove", (e) => {
    const box = canvas.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
    if (drag && (drag.moved || Math.abs(e.clientX - drag.x) > 5)) {
      drag.moved = true;
      tip.hidden = true;
      look(drag.from - ((e.clientX - drag.x) / Math.max(width - gutter, 1)) * (view[1] - view[0]));
      return;
    }
    if (x < gutter || !s.t.length) { tip.hidden = true; return; }
    tip.textContent = visible(under(x, y).words);
    tip.hidden = false;
    const left = x + 14 + tip.offsetWidth > width ? Math.max(0, x - 10 - tip.offsetWidth) : x + 14;
    tip.style.transform = `translate(${left}px, ${clamp(y - tip.offsetHeight - 8, 0, Math.max(0, height - tip.offsetHeight))}px)`;
  });
  area.addEventListener("pointerup", (e) => {
    const was = drag;
    drag = null;
    if (!was || was.moved) return;
    const box = canvas.getBoundingClientRect(), x = e.clientX - box.left;
    if (x < gutter) return;
    const hit = under(x, e.clientY - box.top);
    seek(hit.t);
    if (s.t.length) pick(hit.row, true);
  });
  area.addEventListener("pointercancel", () => { drag = null; });
  area.addEventListener("pointerleave", () => { tip.hidden = true; });
  area.addEventListener("wheel", (e) => {
    const sideways = e.shiftKey ? e.deltaY || e.deltaX : e.deltaX;
    if (e.ctrlKey || e.metaKey) {
      e.preventDefault();
      const x = e.clientX - canvas.getBoundingClientRect().left;
      zoom(Math.exp(e.deltaY * 0.004), tOf(clamp(x, gutter, width)));
    } else if (Math.abs(sideways) > (e.shiftKey ? 0 : Math.abs(e.deltaY))) {
      e.preventDefault();
      look(view[0] + (sideways / Math.max(width - gutter, 1)) * (view[1] - view[0]));
    }
  }, { passive: false });

  function moveCursor() {
    const t = player.now(), x = xOf(t), cursor = $("cursor");
    cursor.hidden = x < gutter - 1 || x > width + 1;
    cursor.style.transform = `translateX(${x}px)`;
    $("clock").textContent = `${seconds(t)} / ${seconds(length())}`;
  }

  // Sound

  const player = {
    at: 0, playing: false, sound: null, base: 0, done: 0, nodes: new Set(), timer: 0, run: 0,
    tick() { return this.sound ? this.sound.currentTime : performance.now() / 1000; },
    now() { return s ? clamp(this.playing ? this.at + Math.max(0, this.tick() - this.base) : this.at, 0, length()) : 0; },
    async play() {
      if (this.playing) return;
      if (!this.sound && window.AudioContext) {
        try { this.sound = new AudioContext(); } catch { this.sound = null; }
      }
      await source.ready();
      if (this.sound) await this.sound.resume();
      if (!this.playing) this.begin();
    },
    begin() {
      this.playing = true;
      this.run++;
      if (clock()) this.at = Math.min(this.at, Math.max(0, clock() - BEHIND));
      else if (this.at >= length() - 0.01) this.at = 0;
      this.base = this.tick() + (source === inFile ? 0.05 : 0.2);
      this.done = this.at;
      this.schedule();
      this.timer = setInterval(() => this.schedule(), clock() ? 100 : 500);
      button();
      frame();
    },
    stop() {
      if (!this.playing) return;
      this.at = this.now();
      this.playing = false;
      clearInterval(this.timer);
      for (const node of this.nodes) node.stop();
      this.nodes.clear();
      button();
    },
    seek(t) {
      const playing = this.playing;
      this.stop();
      this.at = clamp(t, 0, length());
      if (playing) this.begin();
    },
    /** Hand over what is heard within the next seconds. */
    schedule() {
      if (!this.sound) return;
      const until = Math.min(this.now() + 3, clock() ? clock() - SETTLED : Infinity);
      if (until <= this.done) return;
      for (const [name, pan] of [["user", -0.75], ["model", 0.75]])
        for (const run of s.sound[name].runs) {
          const [t, rate, have, , , , heard] = run;
          const from = Math.max(t, this.done), to = Math.min(t + heard / rate, until);
          if (have === 0 && to > from) this.piece(name, pan, run, from, to);
        }
      this.done = until;
    },
    piece(name, pan, [t, rate, , at], from, to) {
      const first = Math.round((from - t) * rate), count = Math.round((to - t) * rate) - first;
      if (count < 1) return;
      const raw = source.sound(name, at + 2 * first, 2 * count), run = this.run;
      if (raw instanceof Promise) raw.then((late) => { if (this.playing && this.run === run) this.place(late, pan, rate, from); }, () => {});
      else this.place(raw, pan, rate, from);
    },
    place(raw, pan, rate, from) {
      if (raw.length < 2) return;
      const samples = floats(raw), buffer = this.sound.createBuffer(1, samples.length, rate);
      buffer.copyToChannel(samples, 0);
      const node = this.sound.createBufferSource(), side = this.sound.createStereoPanner();
      node.buffer = buffer;
      side.pan.value = pan;
      node.connect(side).connect(this.sound.destination);
      node.onended = () => this.nodes.delete(node);
      this.nodes.add(node);
      const start = this.base + (from - this.at), late = this.sound.currentTime - start;
      if (late > 0) node.start(0, late); else node.start(start);
    },
  };

  // A session that runs is played so far behind: what is older than SETTLED seconds has come, and is laid out.
  const BEHIND = 0.9, SETTLED = 0.45;

  /** Samples of s16le. */
  function floats(raw) {
    const out = new Float32Array(raw.length >> 1);
    for (let i = 0, k = 0; i < out.length; i++, k += 2) {
      const value = raw[k] | (raw[k + 1] << 8);
      out[i] = (value > 32767 ? value - 65536 : value) / 32768;
    }
    return out;
  }

  function button() {
    $("play").textContent = player.playing ? "Pause" : "Play";
    $("play").setAttribute("aria-pressed", String(player.playing));
  }
  function seek(t) {
    player.seek(t);
    follow();
    now = -1;
    markNow();
    moveCursor();
  }
  function follow() {
    const t = player.now();
    if (t < view[0] || t > view[1]) look(t - (view[1] - view[0]) * 0.1);
  }
  let now = -1;
  function markNow() {
    const row = after(s.t, player.now()) - 1;
    if (row !== now) {
      now = row;
      for (const one of $("rows").children) one.classList.toggle("now", one.row === now);
    }
  }
  function frame() {
    if (!player.playing) return;
    if (player.now() >= length()) { player.stop(); player.at = length(); }
    follow();
    markNow();
    moveCursor();
    requestAnimationFrame(frame);
  }
  $("play").addEventListener("click", () => (player.playing ? player.stop() : player.play()));
  $("zoom-in").addEventListener("click", () => zoom(0.5));
  $("zoom-out").addEventListener("click", () => zoom(2));
  $("zoom-fit").addEventListener("click", () => { view = [0, length()]; draw(); });

  // Messages

  /** The messages of a chunk, `least` of them at least; null where they are not here. */
  function chunk(n, least) {
    let list = chunks.get(n);
    if (list && list.length >= least) return list;
    list = source.chunk(n);
    return list && list.length >= least ? keep(n, list) : null;
  }
  function keep(n, list) {
    if (chunks.size > 8) chunks.delete(chunks.keys().next().value);
    chunks.set(n, list);
    return list;
  }
  /** Fetch a chunk, and go on with `then` unless another session is shown by now. */
  function fetched(n, then) {
    const mine = chunks;
    source.fetch(n).then((list) => {
      if (mine === chunks && list) { keep(n, list); then(); }
    }, () => {});
  }
  function message(row) {
    const list = chunk(Math.floor(row / s.chunk), (row % s.chunk) + 1);
    return list && list[row % s.chunk];
  }

  /** What the search looks through: a string a message, made when something is first searched for. Null while some of it
   * is not here; the list is filtered again once it is. */
  let fetching = null;
  function searchable() {
    while (texts.length < s.t.length) {
      const n = Math.floor(texts.length / s.chunk), from = texts.length % s.chunk, list = chunk(n, from + 1);
      if (!list) {
        if (fetching !== chunks) { // one at a time, for the session that is shown
          const mine = (fetching = chunks);
          fetched(n, () => { if (fetching === mine) fetching = null; if (searching()) resift(); });
        }
        return null;
      }
      for (const [value] of list.slice(from, from + s.t.length - texts.length)) {
        const row = texts.length;
        texts.push(`${s.kinds[s.kind[row]]} ${s.words[row]} ${JSON.stringify(value)}`.toLowerCase());
      }
    }
    return texts;
  }
  const searching = () => $("search").value.trim().toLowerCase();

  function kinds() {
    const chosen = $("kind").value, count = new Map();
    if (document.activeElement === $("kind")) return; // somebody is choosing
    for (const kind of s.kind) count.set(kind, (count.get(kind) || 0) + 1);
    const order = [...count].sort((a, b) => b[1] - a[1]).slice(0, 60);
    if (!isNew("kinds", order)) return;
    const all = el("option", "", "every kind");
    all.value = "";
    fill($("kind"), all, ...order.map(([kind, n]) => {
      const one = el("option", "", `${s.kinds[kind]} (${n.toLocaleString("en")})`);
      one.value = String(kind);
      return one;
    }));
    $("kind").value = order.some(([kind]) => String(kind) === chosen) ? chosen : "";
  }

  let stale = false; // the filter changed, and its messages are still to be fetched
  /** Add the rows that fit to `shown`, from the first that was not looked at on; false when some cannot be judged yet. */
  function sift() {
    const word = searching(), kind = $("kind").value, side = $("side").value, faults = $("faults").checked;
    const all = word ? searchable() : null;
    if (word && !all) return false;
    if (stale) { shown = []; sifted = 0; stale = false; }
    for (let row = sifted; row < s.t.length; row++) {
      if (kind !== "" && s.kind[row] !== +kind) continue;
      if (side !== "" && fromServer(row) !== +side) continue;
      if (faults && level(row) < 2) continue;
      if (all && !all[row].includes(word)) continue;
      shown.push(row);
    }
    sifted = s.t.length;
    const n = s.t.length;
    $("count").textContent = shown.length === n ? many(n, "line") : `${shown.length.toLocaleString("en")} of ${many(n, "line")}`;
    return true;
  }
  /** Another filter: begin anew. */
  function filter() {
    stale = true;
    if (resift()) return;
    $("count").textContent = "searching …";
  }
  function resift() {
    const anew = stale;
    if (!sift()) return false;
    if (anew) { quiet = performance.now() + 150; $("list").scrollTop = 0; }
    size();
    if (anew && picked >= 0 && shown.includes(picked)) reveal(picked);
    else if (following && !touched) toEnd();
    return true;
  }

  const list = $("list"), rows = $("rows");
  let tall = 26, quiet = 0, wished = 0; // until when what scrolls is somebody's wish
  for (const [kind, ms] of [["wheel", 500], ["touchmove", 500], ["keydown", 200], ["pointerup", 200]])
    document.addEventListener(kind, () => { wished = performance.now() + ms; }, { passive: true, capture: true });
  document.addEventListener("pointerdown", () => { wished = Infinity; }, { passive: true, capture: true });
  let goingUp = 0, touched = false; // until when, and while, the list is not taken back to its end
  const toGo = () => list.scrollHeight - list.clientHeight - list.scrollTop;
  /** In a session that grows: stay at the end of the list, or where it is. */
  function followEnd(on) {
    following = on;
    if (on) toEnd();
    document.dispatchEvent(new CustomEvent("livews-follow", { detail: following }));
  }
  function toEnd() {
    list.scrollTop = list.scrollHeight;
    render();
  }
  function size() {
    tall = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) || 26;
    $("space").style.height = `${shown.length * tall}px`;
    render();
  }
  function render() {
    const first = Math.max(0, Math.floor(list.scrollTop / tall) - 4);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / tall) + 4);
    while (rows.children.length > last - first) rows.lastChild.remove();
    while (rows.children.length < last - first) {
      const row = el("div", "row", ...["t", "a", "k", "z", "w"].map((name) => el("span", name)));
      row.setAttribute("role", "option");
      rows.append(row);
    }
    rows.style.transform = `translateY(${first * tall}px)`;
    for (let i = first; i < last; i++) show(rows.children[i - first], shown[i], i);
    list.classList.toggle("none", !shown.length);
  }
  function show(at, row, place) {
    const [t, arrow, kind, z, words] = at.children;
    at.row = row;
    at.id = `row-${row}`;
    at.className = `row ${fromServer(row) ? "s" : "c"} l${level(row)}${isControl(row) ? " x" : ""}${isOurs(row) ? " ours" : ""}${row === picked ? " sel" : ""}${row === now ? " now" : ""}`;
    at.setAttribute("aria-selected", String(row === picked));
    at.setAttribute("aria-posinset", String(place + 1));
    at.setAttribute("aria-setsize", String(shown.length));
    t.textContent = seconds(s.t[row]);
    arrow.textContent = fromServer(row) ? "←" : "→";
    kind.textContent = visible(s.kinds[s.kind[row]]);
    z.textContent = isControl(row) ? "" : `${s.size[row].toLocaleString("en")} B`;
    words.textContent = visible(s.words[row]);
  }
  let scrolling = 0;
  list.addEventListener("scroll", () => {
    const at = performance.now(); // a list that gets shorter, or another size, scrolls by itself
    if (report.live && at > quiet && at < wished) {
      if (following && toGo() > tall) followEnd(false);
      else if (!following && toGo() < 2 && at > goingUp) followEnd(true);
    }
    if (!scrolling) scrolling = requestAnimationFrame(() => { scrolling = 0; render(); });
  }, { passive: true });
  list.addEventListener("wheel", (e) => {
    if (e.deltaY >= 0 || !list.scrollTop) return;
    goingUp = performance.now() + 300;
    if (following) followEnd(false);
  }, { passive: true });
  for (const [kind, is] of [["touchstart", true], ["touchend", false], ["touchcancel", false]])
    list.addEventListener(kind, () => { touched = is; }, { passive: true });
  rows.addEventListener("click", (e) => {
    const row = e.target.closest(".row");
    if (row && row.row !== undefined) pick(row.row, true);
  });

  function reveal(row) {
    const place = after(shown, row) - 1;
    if (place < 0 || shown[place] !== row) return;
    const top = place * tall;
    if (top < list.scrollTop) list.scrollTop = top - tall;
    else if (top + tall > list.scrollTop + list.clientHeight) list.scrollTop = top + 2 * tall - list.clientHeight;
    if (following && toGo() > tall) followEnd(false);
  }
  /** Choose a message; `andOpen` shows it as well. */
  function pick(row, andOpen) {
    picked = row;
    if (shown[after(shown, row) - 1] !== row) {
      for (const id of ["search", "kind", "side"]) $(id).value = "";
      $("faults").checked = false;
      filter();
    }
    reveal(row);
    render();
    list.setAttribute("aria-activedescendant", `row-${row}`);
    if (!andOpen) return;
    detail(row);
    reveal(row); // the list may have become shorter
  }
  function step(by) {
    if (!shown.length) return;
    const place = picked < 0 ? (by > 0 ? 0 : shown.length - 1) : clamp(after(shown, picked) - 1 + by, 0, shown.length - 1);
    pick(shown[place], opened >= 0);
  }
  function fault(by) {
    for (let row = picked + by; row >= 0 && row < s.t.length; row += by)
      if (level(row) > 1) return pick(row, true);
  }

  // One message

  function detail(row) {
    opened = row;
    const found = message(row), parts = [];
    if (!found) {
      fill($("detail"), el("p", "empty", "Reading …"));
      fetched(Math.floor(row / s.chunk), () => opened === row && detail(row));
      return;
    }
    const [value, told = {}] = found;
    parts.push(el("h3", "", `${fromServer(row) ? "←" : "→"} ${s.kinds[s.kind[row]]}`));
    const about = [`${seconds(s.t[row])} s`, isOurs(row) ? `to the ${fromServer(row) ? "client" : "service"}` : fromServer(row) ? "from the server" : "from the client"];
    if (!isControl(row)) about.push(many(s.size[row], "byte"));
    if (s.words[row]) about.push(s.words[row]);
    parts.push(el("div", "sub", about.join(" · ")));
    const paths = new Set();
    for (const one of s.found[row] || []) {
      const found = s.findings[one];
      paths.add(found.path);
      const box = el("div", `finding l${LEVELS.indexOf(found.level)}`, tag(found), el("span", "", found.complaint));
      box.append(el("div", "rule", `${found.rule}${found.path ? ` at ${found.path}` : ""}${found.title ? ` · ${found.title}` : ""}`));
      if (found.cure) box.append(el("div", "cure", `do: ${found.cure}`));
      if (found.close) box.append(el("div", "cure", `the service closes with ${found.close[0]} “${found.close[1]}”`));
      parts.push(box);
    }
    if (s.end && isControl(row) && level(row) === 3) {
      const box = el("div", "finding l3", el("span", "", s.end.meaning), el("div", "cure", s.end.cause), el("div", "", `do: ${s.end.do}`));
      parts.push(box);
    }
    const type = isControl(row) ? "" : fromServer(row) ? "server/BidiGenerateContentServerMessage" : "client/BidiGenerateContentClientMessage";
    const tree = el("div", "tree");
    if (typeof value === "string") line(tree, 0, null, value, "", told, "");
    else members(tree, value, "", type, "one", 0, told, paths);
    parts.push(tree);
    fill($("detail"), ...parts);
    $("detail").scrollTop = 0;
  }

  const pointer = (key) => String(key).replaceAll("~", "~0").replaceAll("/", "~1");
  function members(into, value, path, type, shape, depth, told, paths) {
    const isList = Array.isArray(value), types = report.docs[type];
    for (const [key, child] of Object.entries(value)) {
      const here = `${path}/${pointer(key)}`;
      let doc = "", inner = "", form = "one";
      if (isList) { inner = type; form = shape === "list" ? "one" : shape; }
      else if (shape === "map") inner = type;
      else if (types && Object.hasOwn(types.members, key)) [doc, inner, form] = types.members[key];
      const of = report.docs[inner];
      if (of && form === "one" && typeof child === "string" && Object.hasOwn(of.values, child)) doc = `${doc}${doc ? " " : ""}${child}: ${of.values[child]}`;
      const at = line(into, depth, key, child, doc, told, here, isList, of && typeof child === "object" ? of.is : "");
      if (paths.has(here)) at.classList.add("hit");
      if (child !== null && typeof child === "object") members(into, child, here, inner, form, depth + 1, told, paths);
    }
  }
  function line(into, depth, key, value, doc, told, path, isList, is) {
    const at = el("div", "field");
    at.style.paddingLeft = `${Math.min(depth, 14) * 16}px`;
    if (key !== null) at.append(el("code", isList ? "is" : "key", isList ? `${key}` : key), document.createTextNode(": "));
    if (Array.isArray(value)) at.append(el("code", "is", value.length ? `[${value.length}]` : "[]"));
    else if (value !== null && typeof value === "object") at.append(el("code", "is", Object.keys(value).length ? "{" + (is || "") + "}" : "{}"));
    else if (typeof value === "string") at.append(el("code", "str", key === null ? value : JSON.stringify(value)));
    else at.append(el("code", "num", String(value)));
    if (Object.hasOwn(told, path)) at.append(document.createTextNode(" "), el("span", "left", `… ${told[path]}`));
    if (doc) at.append(el("span", "doc", doc));
    into.append(at);
    return at;
  }

  // Input

  let typing = 0;
  $("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(filter, 90); });
  for (const id of ["kind", "side", "faults"]) $(id).addEventListener("change", filter);
  $("search").addEventListener("keydown", (e) => {
    if (e.key === "Escape") { $("search").value = ""; filter(); list.focus(); e.stopPropagation(); }
    if (e.key === "Enter") { clearTimeout(typing); filter(); list.focus(); if (shown.length) pick(shown[0], true); e.stopPropagation(); }
  });
  const KEYS = {
    j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
    PageDown: () => step(Math.floor(list.clientHeight / tall)), PageUp: () => step(-Math.floor(list.clientHeight / tall)),
    g: () => shown.length && pick(shown[0], opened >= 0), G: () => { if (!shown.length) return; pick(shown[shown.length - 1], opened >= 0); if (report.live) followEnd(true); },
    Home: () => KEYS.g(), End: () => KEYS.G(),
    Enter: () => { if (picked >= 0) { detail(picked); $("detail").focus({ preventScroll: true }); } },
    n: () => fault(1), N: () => fault(-1),
    f: () => { $("faults").checked = !$("faults").checked; filter(); },
    "/": () => { $("search").focus(); $("search").select(); },
    " ": () => (player.playing ? player.stop() : player.play()),
    ArrowLeft: () => seek(player.now() - 5), ArrowRight: () => seek(player.now() + 5),
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => { view = [0, length()]; draw(); },
    "?": () => $("help").showModal(),
    Escape: () => list.focus(),
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || $("help").open || !Object.hasOwn(KEYS, e.key)) return;
    const on = e.target.tagName;
    if ((on === "INPUT" && e.target.type !== "checkbox") || on === "TEXTAREA") return;
    if (on === "SELECT" || ((on === "BUTTON" || on === "INPUT") && (e.key === " " || e.key === "Enter"))) return;
    // the list scrolls by itself to what is picked; a message that is open scrolls by its own keys
    if ($("detail").contains(e.target) && /^(Arrow(Up|Down)|Page|Home|End)/.test(e.key)) return;
    e.preventDefault();
    KEYS[e.key]();
  });
  // a button that was clicked keeps no focus, or space would press it again
  document.addEventListener("click", (e) => {
    if (e.detail && e.target.closest("#time button, #log button, .found")) list.focus({ preventScroll: true });
  });
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("help-close").addEventListener("click", () => $("help").close());

  new ResizeObserver(() => { if (s && canvas.parentElement.clientWidth !== width) { layOut(); draw(); } if (s) size(); }).observe(document.body);
  new ResizeObserver(() => { if (s && following) toEnd(); else if (s) render(); }).observe(list);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { inks(); draw(); });

  const select = $("session");
  inks();
  if (!report.live) {
    select.hidden = report.sessions.length < 2;
    report.sessions.forEach((one, i) => {
      const option = el("option", "", `session ${i + 1} of ${report.sessions.length} · ${when(one.started)}`);
      option.value = String(i);
      select.append(option);
    });
    select.addEventListener("change", () => open(+select.value));
    $("foot").textContent = visible(`${report.name} · drawn by livews with protocol ${report.sessions[0].protocol}. This file is whole: it asks the network for nothing, and holds all that was said.`);
    open(0);
    return;
  }

  // A session that grows

  const push = (list, more) => { for (const one of more || []) list.push(one); };
  /** A session of which nothing is known yet but its head; `from` gives its messages and sound. */
  function begin(head, from) {
    source = from;
    const sound = () => ({ runs: [], peaks: [], seconds: 0, skipped: 0 });
    report.sessions = [{
      ...head, model: "", length: 0, last: 0, end: null, cutOff: false, running: true,
      kinds: [], t: [], kind: [], flags: [], size: [], words: [], findings: [], found: {}, marks: [], turns: [], tools: [],
      states: Object.fromEntries(Object.keys(head.stateWords).map((region) => [region, []])),
      texts: { user: [], model: [] }, sound: { user: sound(), model: sound() },
    }];
    open(0);
    followEnd(true);
  }
  /** Take what is new. */
  function grow(news) {
    const end = length() - (clock() ? 1 : 0.01), isAll = view[0] <= 0 && view[1] >= end, isAtEnd = view[1] >= end;
    for (const name of ["model", "length", "last", "end", "cutOff", "running", "surface", "now"]) if (name in news) s[name] = news[name];
    if (typeof news.clock === "number") s.offset = Math.max(s.offset ?? -Infinity, news.clock - performance.now() / 1000);
    for (const name of ["kinds", "t", "kind", "flags", "size", "words", "findings", "marks"]) push(s[name], news[name]);
    Object.assign(report.docs, news.docs);
    Object.assign(s.found, news.found);
    const put = (list, [from, items]) => { list.length = from; push(list, items); };
    for (const name of ["states", "texts"]) for (const [key, part] of Object.entries(news[name] || {})) put(s[name][key], part);
    if (news.turns) put(s.turns, news.turns);
    for (const [i, tool] of news.tools || []) s.tools[i] = tool;
    for (const [name, side] of Object.entries(news.sound || {})) {
      for (const [i, run] of side.runs) s.sound[name].runs[i] = run;
      push(s.sound[name].peaks, bytes(side.peaks));
      s.sound[name].seconds = side.seconds;
      s.sound[name].skipped = side.skipped;
    }
    header(); turns(); findings(); kinds();
    if (isNew("lanes", [Object.keys(s.states).map((region) => s.states[region].length > 1), [s.sound.user, s.sound.model].map((x) => x.runs.length > 0), s.texts.user.length > 0, s.texts.model.length > 0, s.tools.length > 0, s.running])) layOut();
    legend();
    lengthen(isAll, isAtEnd);
    resift();
  }
  function lengthen(isAll, isAtEnd) {
    if (isAll) view = [0, length()];
    else if (isAtEnd) view = [Math.max(0, length() - (view[1] - view[0])), length()];
    draw();
  }
  setInterval(() => { // time goes on while nothing is said
    if (!s || !clock() || document.hidden) return;
    lengthen(view[0] <= 0 && view[1] >= length() - 1, view[1] >= length() - 1);
    header();
  }, 250);

  window.livewsReport = {
    report, el, fill, visible, when, bytes, begin, grow, followEnd, player, select,
    session: () => s,
    behind: () => { const t = Math.max(0, clock() - BEHIND); player.stop(); player.at = t; },
  };
})();
