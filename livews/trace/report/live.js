// The live page: what report.js draws, told over one socket as it happens. Its rules:
// - The socket is the only thing it asks for, at the page's own address, with the token the page was opened with.
// - Text of the wire becomes text nodes and values of the composer, never markup, a URL, a style or code.
// - What a person chose stays chosen: another session is shown by itself only to who has not picked one, and not while a
//   message is written to one that runs: it would go to the other.
// - What is lost is said: a connection that is gone, a message that was not sent.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const { report, el, fill, visible, when, bytes, begin, grow, followEnd, player, select, session, behind } = window.livewsReport;
  const MOST_SOUND = 64, BLOCK = 262_144; // pieces of sound that are kept, and their bytes

  // The token: out of the address, and kept for when the page is loaded again

  const given = new URLSearchParams(location.search).get("token");
  if (given) {
    sessionStorage.setItem("livews-token", given);
    history.replaceState(null, "", "/");
  }
  const token = given || sessionStorage.getItem("livews-token") || "";

  // The socket

  let socket = null, number = null, asked = 0, wait = 500, waiting = new Map();
  let listed = [], letGo = 0, picked = false, fresh = false, writes = null;

  function connect() {
    socket = new WebSocket(`ws://${location.host}/live?token=${encodeURIComponent(token)}`);
    const mine = socket;
    mine.addEventListener("open", () => { wait = 500; lost(false); if (number !== null) watch(number); });
    mine.addEventListener("message", (e) => mine === socket && take(JSON.parse(e.data)));
    mine.addEventListener("close", () => {
      if (mine !== socket) return;
      lost(true);
      for (const { fail } of waiting.values()) fail(new Error("the connection to livews is lost"));
      waiting.clear();
      setTimeout(connect, wait);
      wait = Math.min(wait * 1.5, 5000);
    });
  }
  const isOpen = () => socket && socket.readyState === WebSocket.OPEN;
  /** Ask livews; a promise of what it answers. */
  function ask(what) {
    if (!isOpen()) return Promise.reject(new Error("the connection to livews is lost"));
    const id = ++asked;
    socket.send(JSON.stringify({ id, ...what }));
    return new Promise((then, fail) => waiting.set(id, { then, fail }));
  }
  function take(told) {
    if (told.re !== undefined) {
      const one = waiting.get(told.re);
      waiting.delete(told.re);
      if (one) one.then(told);
    } else if (told.sessions) {
      listed = told.sessions;
      letGo = told.letGo;
      sessions();
    } else if (told.note) {
      note(told.note);
    } else if (told.news && told.n === number) {
      if (told.head) begin(told.head, sourceOf(number));
      if (session()) grow(told.news);
      desk();
    }
  }

  // Which session

  function watch(n) {
    number = n;
    if (isOpen()) socket.send(JSON.stringify({ watch: n }));
  }
  function sessions() {
    document.body.classList.toggle("none", !listed.length);
    if (writes && !fresh) suggest();
    const newest = listed.length ? listed[listed.length - 1].n : null;
    if (!listed.some((one) => one.n === number)) picked = false;
    if (newest !== null && !picked && number !== newest && !isWriting()) watch(newest);
    select.hidden = listed.length < 2;
    if (document.activeElement !== select) options();
    desk();
  }
  const isWriting = () => writes && $("composer").contains(document.activeElement) && listed.some((one) => one.n === number && one.running);
  function options() {
    fill(select, ...listed.map((one) => {
      const state = one.running ? "open" : "ended";
      const made = el("option", "", `${one.n} · ${when(one.started).slice(11, 19)} · ${one.model.split("/").pop() || "no setup"} · ${state}${one.own ? " · yours" : ""}`);
      made.value = String(one.n);
      return made;
    }));
    select.value = String(number);
    select.title = letGo ? `the oldest ${letGo} are not kept any more` : "";
  }
  select.addEventListener("change", () => {
    picked = +select.value !== listed[listed.length - 1].n;
    fresh = false;
    select.blur(); // it may be filled anew again
    watch(+select.value);
    desk();
  });
  select.addEventListener("blur", options);

  // Messages and sound, when they are wanted

  function sourceOf(n) {
    const blocks = new Map();
    const block = (side, i, least) => {
      const key = `${side} ${i}`, held = blocks.get(key);
      if (held && held.length >= least) return held;
      return ask({ ask: "sound", n, side, at: i * BLOCK, size: BLOCK }).then((told) => {
        if (blocks.size >= MOST_SOUND) blocks.delete(blocks.keys().next().value);
        const raw = bytes(told.sound || "");
        blocks.set(key, raw);
        return raw;
      });
    };
    return {
      chunk: () => null,
      fetch: (chunk) => ask({ ask: "chunk", n, chunk }).then((told) => told.chunk),
      sound(side, at, size) {
        const first = Math.floor(at / BLOCK), parts = [];
        for (let i = first; i * BLOCK < at + size; i++) parts.push(block(side, i, Math.min(BLOCK, at + size - i * BLOCK)));
        const joined = (all) => {
          const out = new Uint8Array(size);
          let end = 0;
          all.forEach((part, i) => {
            const from = Math.max(0, at - (first + i) * BLOCK), piece = part.subarray(from, from + size - end);
            out.set(piece, end);
            end += piece.length;
          });
          return out.subarray(0, end);
        };
        return parts.some((part) => part instanceof Promise) ? Promise.all(parts).then(joined) : joined(parts);
      },
      ready: () => true,
    };
  }

  // What the page has beside the report's

  const button = (id, words, title, press) => {
    const made = el("button", "", words);
    made.id = id;
    made.type = "button";
    made.title = title;
    made.addEventListener("click", press);
    return made;
  };
  const banner = el("p", "banner", "The connection to livews is lost: what is shown came before that. It is tried again; if livews inspect was started again, open the URL it prints now.");
  banner.id = "lost";
  banner.hidden = true;
  banner.setAttribute("role", "alert");
  const notes = el("div", "");
  notes.id = "notes";
  notes.setAttribute("role", "status");
  const empty = el("section", "");
  empty.id = "wait";
  const follow = button("follow", "Follow ↓", "Stay at the newest message (G)", () => { followEnd(true); $("list").focus({ preventScroll: true }); });
  follow.hidden = true;
  let isFollowing = true;
  document.addEventListener("livews-follow", (e) => { isFollowing = e.detail; desk(); });
  document.querySelector("#log .bar").append(follow);
  document.body.prepend(banner, notes);
  document.querySelector("header").after(empty);

  function lost(is) {
    banner.hidden = !is;
    desk();
  }
  function note(text) {
    const made = el("p", "banner", text, button("", "Dismiss", "", () => made.remove()));
    notes.append(made);
    while (notes.children.length > 5) notes.firstChild.remove();
  }

  if (report.door) {
    const http = report.door.replace(/^ws/, "http");
    fill(empty, el("h2", "", "No session yet"),
      el("p", "", "Dial this address in the service's place; what passes is shown here as it happens."),
      el("pre", "", `livews --url ${report.door}\nGOOGLE_GEMINI_BASE_URL=${http}   # google-genai, @google/genai`),
      el("p", "", `It goes on to ${report.upstream}${report.offline ? ", the built-in stand-in" : ""}. Or press Open session below: it sends the setup that is written there.`));
    const listen = el("input", ""), label = el("label", "check", listen, document.createTextNode(" listen"));
    listen.id = "listen";
    listen.type = "checkbox";
    label.title = "Play both sides as they come, about a second behind";
    listen.addEventListener("change", () => (listen.checked ? (behind(), player.play()) : player.stop()));
    $("play").after(label);
    setInterval(() => { // another session, or one that was not there yet
      if (listen.checked && !player.playing && session() && session().running) { behind(); player.play(); }
      if (session() && !session().running && !player.playing && listen.checked && !listed.some((one) => one.running)) listen.checked = false;
    }, 300);
    $("play").addEventListener("click", () => { if (!player.playing) listen.checked = false; });
  } else {
    fill(empty, el("h2", "", "Nothing is written there yet"),
      el("p", "", `${report.missing ? `${report.name} does not exist yet. ` : ""}Sessions are shown as they are written to ${report.name}, for instance by this command:`), el("pre", "", report.command));
  }
  $("foot").textContent = visible(report.door ? `livews inspect · ${report.door} goes on to ${report.upstream}` : `livews inspect · ${report.name}`);
  $("model").textContent = "livews inspect";

  // The composer

  const closing = button("close-button", "Close", "Close this session with code 1000", () =>
    ask({ ask: "close", n: number }).then((told) => told.ok || note(told.told), (problem) => note(problem.message)));
  const opening = button("open-button", "New session", "Write a setup, and open a session of livews's own with it", () => {
    fresh = !fresh;
    if (fresh) { draft(); $("composer").scrollIntoView({ block: "nearest" }); }
    desk();
  });
  const HALF = /[\ud800-\udfff]/u;
  const failed = (problem) => ({ ok: false, told: problem.message });
  if ($("composer-table")) {
    const root = el("div", ""), section = el("section", "", el("div", "bar", el("h2", "grow", "Write a message"), closing), root);
    section.id = "write";
    section.setAttribute("aria-label", "write a message");
    root.id = "composer";
    $("log").after(section);
    writes = window.livewsComposer.mount(root, {
      table: JSON.parse($("composer-table").textContent),
      sides: ["client", "server"],
      beside: [opening],
      async send(text, side) {
        if (HALF.test(text)) return { ok: false, told: "there is half a character in it (a lone surrogate), which no message can carry" };
        if (!isFresh()) return ask({ ask: "send", n: number, text, side }).catch(failed);
        if (side !== "client") return { ok: false, told: "a new session begins with a message to the service" };
        const told = await ask({ ask: "open", text }).catch(failed);
        if (!told.ok) return told.noted ? { ok: false, told: "No session was opened: the box at the top of the page says why." } : told;
        fresh = picked = false;
        if (told.n && !listed.some((one) => one.n === told.n)) // what is sent next is for it, listed or not
          listed = [...listed, { n: told.n, started: "", model: "", running: true, own: true }];
        if (told.n) watch(told.n);
        sessions();
        setTimeout(() => write(FIRST));
        return told;
      },
      // what nobody wrote is not judged where nothing can be sent
      check: async (text, side) => HALF.test(text) || (hasEnded() && isOurs(text)) ? [] : ask({ ask: "check", n: isFresh() ? null : number, text, side }).then((told) => told.found),
    });
    $("write").addEventListener("click", (e) => { if (e.detail && e.target.closest("#close-button")) $("list").focus({ preventScroll: true }); });
  }
  if (writes) for (const [key, does] of window.livewsComposer.keys) $("help").querySelector("dl").append(el("dt", "", key), el("dd", "", `${does}${does === "sends" ? "" : " (in the composer)"}`));
  const isFresh = () => fresh || !listed.length;
  const hasEnded = () => !isFresh() && !listed.some((one) => one.n === number && one.running);
  const isOurs = (text) => text === FIRST || text === report.draft;
  const FIRST = JSON.stringify({ realtimeInput: { text: "Hello" } }, null, 2); // what is said to a session that was opened
  /** What a person did not write is replaced by what fits: a setup, or something to say to the session that is there. */
  function suggest() {
    const text = $("composer").querySelector("textarea").value, fits = listed.length ? FIRST : report.draft;
    if (text === fits || (text.trim() && !isOurs(text))) return;
    const before = document.activeElement;
    write(fits);
    document.activeElement.blur();
    if (before && before !== document.body) before.focus({ preventScroll: true });
  }
  const draft = () => { if (!$("composer").querySelector("textarea").value.includes('"setup"')) write(report.draft); };
  function write(text) {
    $("composer").querySelector("textarea").focus({ preventScroll: true });
    writes.write(text);
  }
  let about = "";
  function desk() {
    const s = session();
    follow.hidden = isFollowing || !s || !s.running;
    if (!writes) return;
    const own = listed.find((one) => one.n === number);
    closing.hidden = !own || !own.own || !own.running;
    opening.textContent = fresh ? "Back to the session" : "New session";
    opening.hidden = !listed.length;
    const target = isFresh() ? { model: "a new session", surface: report.surface, state: "this message opens it", own: true, sends: "Open session" }
      : s && { model: s.model, surface: s.surface, state: Object.values(s.now || {}).filter((state) => state !== "none").join(", "), own: !!own && own.own };
    const why = !isOpen() ? "The connection to livews is lost." : isFresh() || (own && own.running) ? "" : "This session has ended.";
    const now = JSON.stringify([target, why]);
    if (now === about) return;
    about = now;
    writes.setSession(target);
    writes.setEnabled(!why, why);
  }

  document.body.classList.add("live", "none");
  connect();
  desk();
})();
