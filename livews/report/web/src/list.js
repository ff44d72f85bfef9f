// The list of messages: search and filters, what is picked, and the end that a growing session is followed to. Only the
// rows inside its window are in the page.
import { chunk, fetched, isNew, report, session } from "./data.js";
import * as detail from "./detail.js";
import { $, el, fill, option } from "./dom.js";
import { player } from "./player.js";
import { isByHand, isControl, isFromServer, level } from "./session.js";
import { after, clamp, grouped, many, seconds, visible } from "./text.js";
/** @typedef {HTMLElement & { row?: number }} RowElement */

export const list = $("list");
const rows = $("rows"), space = $("space"), count = $("count");
/** @type {HTMLInputElement} */ const search = $("search");
/** @type {HTMLInputElement} */ const faults = $("faults");
/** @type {HTMLSelectElement} */ const kindChoice = $("kind");
/** @type {HTMLSelectElement} */ const sideChoice = $("side");

/** The rows that fit the filter. @type {number[]} */
export let shown = [];
export let picked = -1;
/** Is the end of a session that grows kept in view? */
export let following = false;
/** Rows that the filter has been asked about, from the first. */
let sifted = 0;
/** The filter changed, and messages that it needs are still to be fetched. */
let isStale = false;
/** What the search looks through: a string a message, made when something is first searched for. @type {string[]} */
let texts = [];
let isFetching = false;
/** The row of the moment that is played. */
let now = -1;
export let tall = 26;
/** Times until when scrolling is not, and is, what a person wants; until when it is not taken back to the end. */
let quiet = 0, wished = 0, goingUp = 0;
let isTouched = false, scrolling = 0;

/** Another session is shown. */
export function reset() {
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

// The filter

const searched = () => search.value.trim().toLowerCase();
/** Null while some messages are not here; the list is filtered again once they are. */
function searchable() {
  while (texts.length < session.t.length) {
    const n = Math.floor(texts.length / session.chunk), from = texts.length % session.chunk;
    const messages = chunk(n, from + 1);
    if (!messages) {
      if (!isFetching) fetched(n, () => { isFetching = false; if (searched()) resift(); });
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
/** Offer the kinds that occur. */
export function offerKinds() {
  const chosen = kindChoice.value, counted = new Map();
  if (document.activeElement === kindChoice) return; // somebody is choosing
  for (const kind of session.kind) counted.set(kind, (counted.get(kind) || 0) + 1);
  const order = [...counted].sort((a, b) => b[1] - a[1]).slice(0, 60);
  if (!isNew("kinds", order)) return;
  const kinds = order.map(([kind, n]) => option(String(kind), `${session.kinds[kind]} (${grouped(n)})`));
  fill(kindChoice, option("", "every kind"), ...kinds);
  kindChoice.value = order.some(([kind]) => String(kind) === chosen) ? chosen : "";
}
/** Add the rows that fit, from the first that was not asked about; false when some cannot be judged yet. */
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
/** The filter changed: begin anew. */
export function filter() {
  isStale = true;
  if (!resift()) count.textContent = "searching …";
}
/** Take what is new into the list. */
export function resift() {
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

// The window on it

const toGo = () => list.scrollHeight - list.clientHeight - list.scrollTop;
/** In a session that grows: stay at the end of the list, or where it is. @param {boolean} on */
export function followEnd(on) {
  following = on;
  if (on) toEnd();
  document.dispatchEvent(new Event("livews-follow"));
}
export function toEnd() {
  list.scrollTop = list.scrollHeight;
  render();
}
export function size() {
  tall = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) || 26;
  space.style.height = `${shown.length * tall}px`;
  render();
}
export function render() {
  const first = Math.max(0, Math.floor(list.scrollTop / tall) - 4);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / tall) + 4);
  while (rows.children.length > last - first) rows.lastChild?.remove();
  while (rows.children.length < last - first) {
    const row = el("div", "row", ...["t", "a", "k", "z", "w"].map((name) => el("span", name)));
    row.setAttribute("role", "option");
    rows.append(row);
  }
  rows.style.transform = `translateY(${first * tall}px)`;
  for (let i = first; i < last; i++) show(/** @type {RowElement} */ (rows.children[i - first]), shown[i], i);
  list.classList.toggle("none", !shown.length);
}
function show(/** @type {RowElement} */ at, /** @type {number} */ row, /** @type {number} */ place) {
  const isServer = isFromServer(session, row), control = isControl(session, row);
  const marks = { x: control, ours: isByHand(session, row), sel: row === picked, now: row === now };
  at.row = row;
  at.id = `row-${row}`;
  at.className = ["row", isServer ? "s" : "c", `l${level(session, row)}`,
    ...Object.entries(marks).flatMap(([name, is]) => (is ? name : []))].join(" ");
  at.setAttribute("aria-selected", String(row === picked));
  at.setAttribute("aria-posinset", String(place + 1));
  at.setAttribute("aria-setsize", String(shown.length));
  const words = [seconds(session.t[row]), isServer ? "←" : "→", visible(session.kinds[session.kind[row]]),
    control ? "" : `${grouped(session.size[row])} B`, visible(session.words[row])];
  words.forEach((text, i) => { at.children[i].textContent = text; });
}
/** Mark the row of the moment that is played. */
export function markNow(isAnew = false) {
  const row = after(session.t, player.now()) - 1;
  if (row === now && !isAnew) return;
  now = row;
  for (const at of rows.children) at.classList.toggle("now", /** @type {RowElement} */ (at).row === now);
}
function reveal(/** @type {number} */ row) {
  const place = after(shown, row) - 1, top = place * tall;
  if (place < 0 || shown[place] !== row) return;
  if (top < list.scrollTop) list.scrollTop = top - tall;
  else if (top + tall > list.scrollTop + list.clientHeight) list.scrollTop = top + 2 * tall - list.clientHeight;
  if (following && toGo() > tall) followEnd(false);
}

// What is picked

/** @param {number} row @param {boolean} andOpen show it as well */
export function pick(row, andOpen) {
  picked = row;
  if (shown[after(shown, row) - 1] !== row) {
    clearFilter();
    filter();
  }
  reveal(row);
  render();
  list.setAttribute("aria-activedescendant", `row-${row}`);
  if (!andOpen) return;
  detail.open(row);
  reveal(row); // the list may have become shorter
}
/** @param {number} place in what is shown */
const pickAt = (place) => { if (shown.length) pick(shown[clamp(place, 0, shown.length - 1)], detail.opened >= 0); };
export const pickFirst = () => pickAt(0);
export function pickLast() {
  pickAt(shown.length - 1);
  if (shown.length && report.live) followEnd(true);
}
/** @param {number} by so many rows further down */
export function step(by) {
  if (picked >= 0) pickAt(after(shown, picked) - 1 + by);
  else pickAt(by > 0 ? 0 : shown.length - 1);
}
/** To the next, or the previous, row with a fault. @param {1 | -1} by */
export function stepToFault(by) {
  for (let row = picked + by; row >= 0 && row < session.t.length; row += by)
    if (level(session, row) > 1) return pick(row, true);
}
/** Open what is picked, and go there. */
export function openPicked() {
  if (picked < 0) return;
  detail.open(picked);
  $("detail").focus({ preventScroll: true });
}
export function toggleFaults() {
  faults.checked = !faults.checked;
  filter();
}
export function focusSearch() {
  search.focus();
  search.select();
}

// Input

const WISHES = { wheel: 500, touchmove: 500, keydown: 200, pointerup: 200, pointerdown: Infinity };
for (const [kind, ms] of Object.entries(WISHES))
  document.addEventListener(kind, () => { wished = performance.now() + ms; }, { passive: true, capture: true });
list.addEventListener("scroll", () => {
  const at = performance.now(); // a list that gets shorter, or another size, scrolls by itself
  if (report.live && at > quiet && at < wished) {
    if (following && toGo() > tall) followEnd(false);
    else if (!following && toGo() < 2 && at > goingUp) followEnd(true);
  }
  scrolling ||= requestAnimationFrame(() => { scrolling = 0; render(); });
}, { passive: true });
list.addEventListener("wheel", (e) => {
  if (e.deltaY >= 0 || !list.scrollTop) return;
  goingUp = performance.now() + 300;
  if (following) followEnd(false);
}, { passive: true });
for (const kind of /** @type {const} */ (["touchstart", "touchend", "touchcancel"]))
  list.addEventListener(kind, () => { isTouched = kind === "touchstart"; }, { passive: true });
rows.addEventListener("click", (e) => {
  const at = /** @type {RowElement | null} */ (/** @type {Element} */ (e.target).closest(".row"));
  if (at?.row !== undefined) pick(at.row, true);
});
let typing = 0;
search.addEventListener("input", () => { clearTimeout(typing); typing = window.setTimeout(filter, 90); });
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
