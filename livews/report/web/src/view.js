// The page: which session it shows, its keys, and how it grows with a session that runs. What a person looks at, has
// chosen or points at stays where it is.
import { choose, clock, isNew, report, session } from "./data.js";
import * as detail from "./detail.js";
import { $ } from "./dom.js";
import * as list from "./list.js";
import { drawFindings, drawHeader, drawTurns } from "./panes.js";
import { player } from "./player.js";
import { begun, extend } from "./session.js";
import * as timeline from "./timeline.js";
/** @import { Head, News, Source } from "./types.js" */

/** @type {HTMLDialogElement} */ const help = $("help");

/** Show session number `n`. @param {number} n @param {Source} [from] */
export function open(n, from) {
  player.stop();
  choose(n, from);
  player.at = 0;
  list.reset();
  detail.reset();
  drawPanes();
  timeline.layOutTracks();
  timeline.drawLegend();
  timeline.fit();
  timeline.moveCursor();
  list.filter();
}
function drawPanes() {
  drawHeader();
  drawTurns();
  drawFindings();
  list.offerKinds();
}

// A session that grows

/** A session of which nothing is known yet but its head. @param {Head} head @param {Source} from */
export function begin(head, from) {
  report.sessions = [begun(head)];
  open(0, from);
  list.followEnd(true);
}
export function grow(/** @type {News} */ news) {
  const before = timeline.reach(clock() ? 1 : 0.01);
  extend(session, news, performance.now() / 1000);
  Object.assign(report.docs, news.docs);
  drawPanes();
  const { states, sound, texts, tools, running } = session;
  const lists = [sound.user.runs, sound.model.runs, texts.user, texts.model, tools];
  const areThere = [...Object.values(states).map((list) => list.length > 1), ...lists.map((list) => list.length > 0)];
  if (isNew("tracks", [areThere, running])) timeline.layOutTracks();
  timeline.drawLegend();
  timeline.stretch(before);
  list.resift();
}
/** Time goes on while nothing is said. */
export function tick() {
  if (!session || !clock() || document.hidden) return;
  timeline.stretch(timeline.reach(1));
  drawHeader();
}

// Keys

/** @type {Record<string, () => void>} */
const KEYS = {
  j: () => list.step(1), ArrowDown: () => list.step(1), k: () => list.step(-1), ArrowUp: () => list.step(-1),
  PageDown: () => list.step(perPage()), PageUp: () => list.step(-perPage()),
  g: list.pickFirst, Home: list.pickFirst, G: list.pickLast, End: list.pickLast,
  n: () => list.stepToFault(1), N: () => list.stepToFault(-1), Enter: list.openPicked, f: list.toggleFaults,
  "/": list.focusSearch, Escape: () => list.list.focus(), " ": () => player.toggle(),
  ArrowLeft: () => timeline.seek(player.now() - 5), ArrowRight: () => timeline.seek(player.now() + 5),
  "+": () => timeline.zoom(0.5), "=": () => timeline.zoom(0.5), "-": () => timeline.zoom(2), 0: timeline.fit,
  "?": () => help.showModal(),
};
const perPage = () => Math.floor(list.list.clientHeight / list.tall);
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || help.open || !Object.hasOwn(KEYS, e.key)) return;
  const on = /** @type {HTMLElement} */ (e.target), tag = on.tagName, isBox = on.matches("input[type=checkbox]");
  if ((tag === "INPUT" && !isBox) || tag === "TEXTAREA" || tag === "SELECT") return;
  if ((tag === "BUTTON" || isBox) && (e.key === " " || e.key === "Enter")) return;
  // the list scrolls by itself to what is picked; a message that is open scrolls by its own keys
  if ($("detail").contains(on) && /^(Arrow(Up|Down)|Page|Home|End)/.test(e.key)) return;
  e.preventDefault();
  KEYS[e.key]();
});
// a button that was clicked keeps no focus, or space would press it again
document.addEventListener("click", (e) => {
  const on = /** @type {Element} */ (e.target);
  if (e.detail && on.closest("#time button, #log button, .found")) list.list.focus({ preventScroll: true });
});
$("help-button").addEventListener("click", () => help.showModal());
$("help-close").addEventListener("click", () => help.close());
new ResizeObserver(() => {
  if (!session) return;
  timeline.fitWidth();
  list.size();
}).observe(document.body);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  timeline.readInks();
  timeline.draw();
});
timeline.readInks();
