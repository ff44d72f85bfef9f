// The timeline: tracks over time on a canvas, with zoom, cursor and what lies under the pointer. When something changed
// it is drawn again, once a frame.
import { last, length, session } from "./data.js";
import { $, el, fill } from "./dom.js";
import { layOut, rulerLabel, rulerStep, soundNote } from "./layout.js";
import { markNow, pick } from "./list.js";
import { player } from "./player.js";
import { after, clamp, grouped, seconds, visible } from "./text.js";
/** @import { Track } from "./layout.js" */
/** @import { Said, Speaker, State } from "./types.js" */

/** @type {HTMLCanvasElement} */ const canvas = $("canvas");
const area = $("lanes"), tip = $("tip"), cursor = $("cursor"), playButton = $("play");
const paper = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
/** The colour of each state, by the names of the style sheet. @type {Record<string, string>} */
const TINT = {
  new: "idle", none: "idle", idle: "idle", opening: "work", ready: "open", leaving: "cut", closed: "gone",
  generating: "work", speaking: "speak", interrupted: "cut", waitingForTool: "tool", open: "open", heard: "speak",
};
const INKS = ["back", "panel", "line", "soft", "text", "dim", "user", "model", "error", "warn", "note", "pick", "now",
  "idle", "work", "speak", "cut", "tool", "open", "gone"];
const SMALL = new Set(["ping", "pong", "resumption", "heard", "generated"]);
const FONT = "11px system-ui, sans-serif", TEXT_FONT = "12px system-ui, sans-serif";
/** @type {Record<string, string>} */
const ink = {};
/** Seconds, from and to. */
let view = [0, 0.001];
/** @type {Track[]} */
let tracks = [];
let width = 0, height = 0, gutter = 0, drawing = 0;

/** Read the colours of the style sheet. */
export function readInks() {
  const style = getComputedStyle(document.documentElement);
  for (const name of INKS) ink[name] = style.getPropertyValue("--" + name).trim();
}
/** Give each track its place. */
export function layOutTracks() {
  width = area.clientWidth;
  ({ tracks, gutter, height } = layOut(session, width));
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = `${height}px`;
  paper.setTransform(scale, 0, 0, scale, 0, 0);
  $("sound-note").textContent = soundNote(session);
}
/** The box may have another width. */
export function fitWidth() {
  if (area.clientWidth === width) return;
  layOutTracks();
  draw();
}

// What is in view

const xOf = (/** @type {number} */ t) => gutter + ((t - view[0]) / (view[1] - view[0])) * (width - gutter);
const tOf = (/** @type {number} */ x) => view[0] + (x - gutter) * perPixel();
const perPixel = () => (view[1] - view[0]) / Math.max(width - gutter, 1);
function look(/** @type {number} */ from, wide = view[1] - view[0]) {
  const start = clamp(from, 0, Math.max(0, length() - wide));
  view = [start, start + wide];
  draw();
}
/** @param {number} factor */
export function zoom(factor, at = player.now()) {
  const middle = at >= view[0] && at <= view[1] ? at : (view[0] + view[1]) / 2;
  const wide = clamp((view[1] - view[0]) * factor, Math.min(0.05, length()), length());
  look(middle - ((middle - view[0]) / (view[1] - view[0])) * wide, wide);
}
/** All of it. */
export const fit = () => look(0, length());
/** Does the view show all of a session, and its end, before it grows? @param {number} slack seconds */
export function reach(slack) {
  const isAtEnd = view[1] >= length() - slack;
  return { isAtEnd, isAll: isAtEnd && view[0] <= 0 };
}
/** Show as much of a session that grew. @param {ReturnType<typeof reach>} before */
export function stretch({ isAll, isAtEnd }) {
  if (isAll) fit();
  else if (isAtEnd) look(length());
  else draw();
}
/** Keep the moment that is played in view. */
function follow() {
  const t = player.now();
  if (t < view[0] || t > view[1]) look(t - (view[1] - view[0]) * 0.1);
}
export function moveCursor() {
  const t = player.now(), x = xOf(t);
  cursor.hidden = x < gutter - 1 || x > width + 1;
  cursor.style.transform = `translateX(${x}px)`;
  $("clock").textContent = `${seconds(t)} / ${seconds(length())}`;
}
export function seek(/** @type {number} */ t) {
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

// Drawing

export function draw() {
  drawing ||= requestAnimationFrame(() => { drawing = 0; paint(); moveCursor(); });
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
  for (const { name, y, tall } of tracks) paper.fillText(name, 0, gutter ? y + tall / 2 : y - 6);
}
/** @param {string} colour @param {number} x @param {number} y @param {number} wide @param {number} tall */
function bar(colour, x, y, wide, tall, alpha = 1) {
  paper.fillStyle = colour;
  paper.globalAlpha = alpha;
  paper.fillRect(x, y, wide, tall);
  paper.globalAlpha = 1;
}
/** Draw a text as far as there is room; how much it took.
 * @param {string} text @param {number} x @param {Track} track @param {number} room @param {string} colour */
function label(text, x, track, room, colour) {
  if (room < 14) return 0;
  let shown = visible(text.slice(0, Math.ceil(room / 3))), n = shown.length;
  if (paper.measureText(shown).width > room) {
    while (n > 1 && paper.measureText(shown.slice(0, n) + "…").width > room) n = Math.floor(n * 0.85);
    if (n <= 1) return 0;
    shown = shown.slice(0, n) + "…";
  }
  paper.fillStyle = colour;
  paper.fillText(shown, x, track.y + track.tall / 2 + 0.5);
  return paper.measureText(shown).width;
}
/** What of a list by time is in view, the one it begins in included, with the x where the next begins.
 * @template {State | Said} T @param {T[]} list @param {number} end x of the end of the last
 * @returns {Generator<[item: T, x: number, next: number]>} */
function* inView(list, end) {
  const first = Math.max(0, after(list, view[0], ([t]) => t) - 1);
  for (let i = first; i < list.length && list[i][0] <= view[1]; i++)
    yield [list[i], xOf(list[i][0]), i + 1 < list.length ? xOf(list[i + 1][0]) : end];
}
/** @type {Record<Track["kind"], (track: Track) => void>} */
const PAINT = {
  ruler(track) {
    const step = rulerStep(perPixel() * 80);
    paper.font = FONT;
    for (let i = Math.floor(view[0] / step); i * step <= view[1]; i++) {
      const x = xOf(i * step);
      bar(ink.line, Math.round(x), 0, 1, height);
      paper.fillStyle = ink.dim;
      paper.fillText(rulerLabel(i * step, step), x + 3, track.y + 8);
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
    const { runs, peaks: found } = session.sound[/** @type {Speaker} */ (track.data)], colour = ink[track.data];
    const peaks = /** @type {ArrayLike<number>} */ (found);
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
        const end = peak + Math.ceil((samples / rate) * session.perSecond);
        for (let x = a; x < b; x++) {
          const first = peak + Math.max(0, Math.floor((tOf(x) - t) * session.perSecond));
          const stop = Math.min(end, Math.max(first + 1, peak + Math.ceil((tOf(x + 1) - t) * session.perSecond)));
          let top = 0;
          for (let k = first; k < stop; k++) if (peaks[k] > top) top = peaks[k];
          const tall = Math.max(0.5, Math.sqrt(top / 255) * half);
          bar(colour, x, mid - tall, 1, 2 * tall, tOf(x) < cut ? 1 : 0.25);
        }
      }
      if (heard < samples) bar(ink.cut, xOf(cut) - 1, track.y, 2, track.tall);
    });
  },
  text(track) {
    paper.font = TEXT_FONT;
    let drawnTo = -1e9;
    for (const [[, to, text], x, next] of inView(session.texts[/** @type {Speaker} */ (track.data)], width)) {
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
    for (const [from, to, name, , , how] of session.tools) {
      const end = to ?? last(), a = xOf(from), x = Math.max(a, gutter) + 5;
      if (end < view[0] || from > view[1]) continue;
      bar(ink.tool, a, track.y, Math.max(xOf(end) - a, 3), track.tall, how === "answered" ? 0.35 : 0.15);
      bar(ink.tool, a, track.y, 2, track.tall);
      if (x > free) free = x + label(name, x, track, 150, ink.text) + 8;
    }
  },
  mark(track) {
    paper.font = FONT;
    const isClose = view[1] - view[0] < 20;
    /** @type {{ words: string, x: number, wide: number, colour: string, isLoud: boolean }[]} */
    const labels = [];
    let free = -1e9, drawnTo = -1e9;
    for (let i = after(session.marks, view[0] - 1e-9, ([t]) => t); i < session.marks.length; i++) {
      const [t, , words, level] = session.marks[i], x = xOf(t), isSmall = SMALL.has(words);
      if (t > view[1]) break;
      const isLoud = level === 3 || words === "interrupted" || words === "goAway";
      const colour = isLoud ? ink.error : level === 2 ? ink.warn : ink.dim;
      if (x - drawnTo >= 1 || level) {
        bar(colour, x, track.y + (isSmall ? 6 : 0), isSmall ? 1 : 2, track.tall - (isSmall ? 12 : 0));
        drawnTo = x;
      }
      if (labels.length > 300 || (isSmall && !isClose)) continue;
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
  },
};

/** Which colour means what. */
export function drawLegend() {
  const entry = (/** @type {string} */ colour, /** @type {string} */ words, title = "") => {
    const mark = el("i");
    mark.style.background = `var(--${colour})`;
    return Object.assign(el("span", "", mark, words), { title });
  };
  const parts = [];
  for (const [region, states] of Object.entries(session.states)) {
    if (region === "activity" && states.length < 2) continue;
    for (const state of new Set(states.map(([, name]) => name)))
      parts.push(entry(TINT[state] || "gone", state, `${region}: ${session.stateWords[region][state] || ""}`));
  }
  if (session.sound.model.runs.some(([, , , , , samples, heard]) => heard < samples))
    parts.push(entry("cut", "cut: what follows, pale, was never heard"));
  fill($("legend"), ...parts);
}

// The pointer

/** What lies at a point: the time, the words of it, and its row. @param {number} x @param {number} y */
function under(x, y) {
  const t = tOf(x), near = perPixel() * 5, track = tracks.find((one) => y >= one.y && y < one.y + one.tall + 4);
  const words = [`${seconds(Math.max(t, 0))} s`], { states, stateWords, tools, marks, sound, texts } = session;
  let row = Math.max(0, after(session.t, t) - 1);
  if (!track) return { t, row, words };
  const { kind, data } = track, who = /** @type {Speaker} */ (data);
  if (kind === "state") {
    const found = states[data][Math.max(0, after(states[data], t, ([from]) => from) - 1)];
    if (found && t <= last()) words.push(`${data} ${found[1]}: ${stateWords[data][found[1]] || ""}`);
  } else if (kind === "text") {
    const found = texts[who][after(texts[who], t + near, ([from]) => from) - 1];
    if (found) { words.push(found[2]); row = found[3]; }
  } else if (kind === "tool") {
    const found = tools.find(([from, to]) => t >= from - near && t <= (to ?? last()) + near);
    if (!found) return { t, row, words };
    const [from, to, name, asked, , how] = found;
    words.push(`${name}(): ${how}${to === null ? "" : ` after ${Math.round((to - from) * 1000)} ms`}`);
    row = asked;
  } else if (kind === "mark") {
    const from = after(marks, t - near, ([at]) => at), to = after(marks, t + near, ([at]) => at);
    for (const [, of, name] of marks.slice(from, Math.min(to, from + 5))) {
      words.push(`${name}  ${session.words[of]}`);
      row = of;
    }
  } else if (kind === "sound") {
    const found = sound[who].runs.find(([from, rate, , , , samples]) => t >= from && t < from + samples / rate);
    const isCut = found && t > found[0] + found[6] / found[1];
    if (found) words.push(`${data}'s sound, ${grouped(found[1])} Hz${isCut ? ", cut off: not heard" : ""}`);
  }
  return { t, row, words };
}
/** @type {{ x: number, from: number, isMoved: boolean } | null} */
let drag = null;
area.addEventListener("pointerdown", (e) => {
  if (e.button) return;
  drag = { x: e.clientX, from: view[0], isMoved: false };
  area.setPointerCapture(e.pointerId);
});
area.addEventListener("pointermove", (e) => {
  const box = canvas.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
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
  const was = drag, box = canvas.getBoundingClientRect(), x = e.clientX - box.left;
  drag = null;
  if (!was || was.isMoved || x < gutter) return;
  const { t, row } = under(x, e.clientY - box.top);
  seek(t);
  if (session.t.length) pick(row, true);
});
area.addEventListener("pointercancel", () => { drag = null; });
area.addEventListener("pointerleave", () => { tip.hidden = true; });
area.addEventListener("wheel", (e) => {
  const sideways = e.shiftKey ? e.deltaY || e.deltaX : e.deltaX;
  if (e.ctrlKey || e.metaKey) {
    e.preventDefault();
    zoom(Math.exp(e.deltaY * 0.004), tOf(clamp(e.clientX - canvas.getBoundingClientRect().left, gutter, width)));
  } else if (Math.abs(sideways) > (e.shiftKey ? 0 : Math.abs(e.deltaY))) {
    e.preventDefault();
    look(view[0] + sideways * perPixel());
  }
}, { passive: false });
playButton.addEventListener("click", () => player.toggle());
$("zoom-in").addEventListener("click", () => zoom(0.5));
$("zoom-out").addEventListener("click", () => zoom(2));
$("zoom-fit").addEventListener("click", fit);
