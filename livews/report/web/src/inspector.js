// The inspector: the page of the report, which learns over one socket what happens while it happens.
// - What a person chose stays chosen: another session is shown by itself only to who has not picked one, and not while
//   a message is written to one that runs: it would go to the other.
// - What is lost is said: a connection that is gone, a message that was not sent.
import { KEYS, mount } from "./composer/composer.js";
import { ask, connect, isOpen, sourceOf, tell } from "./connection.js";
import { report, session } from "./data.js";
import { $, button, el, fill, option } from "./dom.js";
import { followEnd, following, list } from "./list.js";
import { player } from "./player.js";
import { visible, when } from "./text.js";
import { begin, grow, tick } from "./view.js";
/** @typedef {{ n: number, started: string, model: string, running: boolean, own: boolean }} Listed */

/** @type {HTMLSelectElement} */ const select = $("session");
/** The number of the session that is watched. @type {number | null} */
let number = null;
/** @type {Listed[]} */
let listed = [];
let letGo = 0, isPicked = false, isFresh = false;

connect((isLost) => {
  banner.hidden = !isLost;
  desk();
  if (!isLost) watch(number);
}, (message) => {
  if (message.sessions) {
    listed = message.sessions;
    letGo = message.letGo;
    sessions();
  } else if (message.note) {
    note(message.note);
  } else if (message.news && message.n === number) {
    if (message.head) begin(message.head, sourceOf(message.n));
    if (session) grow(message.news);
    desk();
  }
});

// Which session

const watched = () => listed.find((one) => one.n === number);
function watch(/** @type {number | null} */ n) {
  number = n;
  if (n !== null) tell({ watch: n });
}
function sessions() {
  const newest = listed.at(-1)?.n, isWriting = $("composer")?.contains(document.activeElement) && watched()?.running;
  document.body.classList.toggle("none", !listed.length);
  if (composer && !isFresh) suggest();
  if (!watched()) isPicked = false;
  if (newest !== undefined && !isPicked && number !== newest && !isWriting) watch(newest);
  select.hidden = listed.length < 2;
  if (document.activeElement !== select) offerSessions();
  desk();
}
function offerSessions() {
  fill(select, ...listed.map(({ n, started, model, running, own }) => option(String(n), [
    n, when(started).slice(11, 19), model.split("/").pop() || "no setup", running ? "open" : "ended",
    ...(own ? ["yours"] : []),
  ].join(" · "))));
  select.value = String(number);
  select.title = letGo ? `the oldest ${letGo} are not kept any more` : "";
}
select.addEventListener("change", () => {
  isPicked = +select.value !== listed.at(-1)?.n;
  isFresh = false;
  select.blur(); // it may be filled anew again
  watch(+select.value);
  desk();
});
select.addEventListener("blur", offerSessions);

// What the page has beside the report's

const banner = el("p", "banner", "The connection to livews is lost: what is shown came before that. " +
  "It is tried again; if livews inspect was started again, open the URL it prints now.");
Object.assign(banner, { id: "lost", hidden: true });
banner.setAttribute("role", "alert");
const notes = Object.assign(el("div"), { id: "notes" }), empty = Object.assign(el("section"), { id: "wait" });
notes.setAttribute("role", "status");
const follow = Object.assign(button("Follow ↓", "Stay at the newest message (G)", () => {
  followEnd(true);
  list.focus({ preventScroll: true });
}), { id: "follow", hidden: true });
document.addEventListener("livews-follow", () => desk());
document.querySelector("#log .bar")?.append(follow);
document.body.prepend(banner, notes);
document.querySelector("header")?.after(empty);
function note(/** @type {string} */ text) {
  const made = el("p", "banner", text, button("Dismiss", "", () => made.remove()));
  notes.append(made);
  while (notes.children.length > 5) notes.firstChild?.remove();
}

const { door, upstream, name } = report;
if (door) {
  const http = door.replace(/^ws/, "http"), to = `${upstream}${report.offline ? ", the built-in stand-in" : ""}`;
  fill(empty, el("h2", "", "No session yet"),
    el("p", "", "Dial this address in the service's place; what passes is shown here as it happens."),
    el("pre", "", `livews --url ${door}\nGOOGLE_GEMINI_BASE_URL=${http}   # google-genai, @google/genai`),
    el("p", "", `It goes on to ${to}. Or press Open session below: it sends the setup that is written there.`));
  const listen = Object.assign(el("input"), { id: "listen", type: "checkbox" });
  const listenNow = () => { player.seekNewest(); player.play(); };
  const title = "Play both sides as they come, about a second behind";
  $("play").after(Object.assign(el("label", "check", listen, " listen"), { title }));
  listen.addEventListener("change", () => (listen.checked ? listenNow() : player.stop()));
  setInterval(() => { // another session, or one that was not there yet
    if (!listen.checked || !session || player.playing) return;
    if (session.running) listenNow();
    else if (!listed.some((one) => one.running)) listen.checked = false;
  }, 300);
  $("play").addEventListener("click", () => { if (!player.playing) listen.checked = false; });
} else {
  const missing = report.missing ? `${name} does not exist yet. ` : "";
  fill(empty, el("h2", "", "Nothing is written there yet"),
    el("p", "", `${missing}Sessions are shown as they are written to ${name}, for instance by this command:`),
    el("pre", "", report.command));
}
$("foot").textContent = visible(`livews inspect · ${door ? `${door} goes on to ${upstream}` : name}`);
$("model").textContent = "livews inspect";

// The composer

/** What a session that was opened gets first. */
const FIRST = JSON.stringify({ realtimeInput: { text: "Hello" } }, null, 2);
const SETUP = report.draft ?? "";
const isHalf = /[\ud800-\udfff]/u; // of a character: no message can carry it
const opensNew = () => isFresh || !listed.length;
const hasEnded = () => !opensNew() && !watched()?.running;
/** Is it a text that no person wrote? @param {string} text */
const isSuggested = (text) => text === FIRST || text === SETUP;
const failed = (/** @type {Error} */ problem) => ({ ok: false, message: problem.message });
const closing = button("Close", "Close this session with code 1000", () => {
  const shown = (/** @type {{ ok?: boolean, message: string }} */ answer) => answer.ok || note(answer.message);
  ask({ ask: "close", n: number }).catch(failed).then(shown);
});
closing.id = "close-button";
const opening = button("New session", "Write a setup, and open a session of livews's own with it", () => {
  isFresh = !isFresh;
  if (isFresh) {
    if (!textarea().value.includes('"setup"')) write(SETUP);
    $("composer").scrollIntoView({ block: "nearest" });
  }
  desk();
});
opening.id = "open-button";
const textarea = () => /** @type {HTMLTextAreaElement} */ ($("composer").querySelector("textarea"));
const composer = $("composer-table") ? mountComposer() : null;
function mountComposer() {
  const root = Object.assign(el("div"), { id: "composer" });
  const section = el("section", "", el("div", "bar", el("h2", "grow", "Write a message"), closing), root);
  section.id = "write";
  section.setAttribute("aria-label", "write a message");
  $("log").after(section);
  section.addEventListener("click", (e) => {
    const isClose = /** @type {Element} */ (e.target).closest("#close-button");
    if (e.detail && isClose) list.focus({ preventScroll: true });
  });
  $("help").querySelector("dl")?.append(...KEYS.flatMap(([key, does]) =>
    [el("dt", "", key), el("dd", "", `${does}${does === "sends" ? "" : " (in the composer)"}`)]));
  return mount(root, {
    table: JSON.parse($("composer-table").textContent ?? ""),
    sides: ["client", "server"],
    beside: [opening],
    async send(text, side) {
      if (isHalf.test(text))
        return { ok: false, message: "there is half a character in it (a lone surrogate), which no message can carry" };
      if (!opensNew()) return ask({ ask: "send", n: number, text, side }).catch(failed);
      if (side !== "client") return { ok: false, message: "a new session begins with a message to the service" };
      const answer = await ask({ ask: "open", text }).catch(failed), { n } = answer;
      if (!answer.ok)
        return answer.noted ? failed(Error("No session was opened: the box at the top of the page says why.")) : answer;
      isFresh = isPicked = false;
      if (n && !listed.some((one) => one.n === n)) // what is sent next is for it, listed or not
        listed = [...listed, { n, started: "", model: "", running: true, own: true }];
      if (n) watch(n);
      sessions();
      setTimeout(write, 0, FIRST);
      return answer;
    },
    // a text that no person wrote is not checked where nothing can be sent
    check: async (text, side) => isHalf.test(text) || (hasEnded() && isSuggested(text)) ? []
      : (await ask({ ask: "check", n: opensNew() ? null : number, text, side })).found,
  });
}
/** Replace a text that no person wrote by one that fits: a setup, or something to say to the session that is there. */
function suggest() {
  const text = textarea().value, fitting = listed.length ? FIRST : SETUP;
  if (text === fitting || (text.trim() && !isSuggested(text))) return;
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  write(fitting);
  textarea().blur();
  if (before && before !== document.body) before.focus({ preventScroll: true });
}
function write(/** @type {string} */ text) {
  textarea().focus({ preventScroll: true });
  composer?.write(text);
}
let about = "";
/** Bring what stands about the session up to date: who gets what is written, and whether it can be sent. */
function desk() {
  follow.hidden = following || !session?.running;
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
    const state = Object.values(session.now || {}).filter((state) => state !== "none").join(", ");
    target = { model: session.model, surface: session.surface, state, own: !!mine?.own };
  }
  if (!isOpen()) why = "The connection to livews is lost.";
  else if (!opensNew() && !mine?.running) why = "This session has ended.";
  const now = JSON.stringify([target, why]);
  if (now === about) return;
  about = now;
  composer.setSession(target);
  composer.setEnabled(!why, why);
}

document.body.classList.add("live", "none");
setInterval(tick, 250);
desk();
