// The text area of the composer: numbers of lines, colours, the place that is marked, and changes that can be undone.
import { el, line } from "../dom.js";
import { clamp } from "../text.js";
import { lineAndColumn } from "./json.js";
import { LIVE, Tokens, work } from "./tokens.js";
/** @import { Edit, Fault } from "../types.js" */

const NATIVE_LINES = 60, NATIVE = 100_000; // of a change that the browser makes, and can undo, quickly
const UNDONE = 30; // larger changes that can be undone
const PAINTED = 20_000; // characters that are seen, to be coloured
/** Colours of ranges, where the browser has them. @type {Record<string, Highlight> | null} */
const INKS = window.Highlight && CSS.highlights
  ? { name: new Highlight(), text: new Highlight(), word: new Highlight() } : null;
for (const [name, ranges] of Object.entries(INKS ?? {})) CSS.highlights.set(`composer-${name}`, ranges);

/** Called when the text changed, when it was undone, and when what is seen of it moved.
 * @typedef {{ changed(): void, undone(): void, moved(): void }} Listener */
/** @typedef {{ before: string, at: number, after: string, caret: number }} Change */

export function createField(/** @type {string} */ id, /** @type {Listener} */ listener) {
  const area = Object.assign(el("textarea", "composer-text"), {
    id: `${id}-text`, spellcheck: false, wrap: "off", rows: 12,
    placeholder: "Pick a template, or type {  —  Ctrl-Space shows what fits",
  });
  for (const [name, value] of Object.entries({
    autocomplete: "off", autocapitalize: "off", autocorrect: "off", "aria-label": "message, as JSON",
    "aria-autocomplete": "list", "aria-controls": `${id}-list`, "aria-describedby": `${id}-where`,
  })) area.setAttribute(name, value);
  const gutter = line("pre", "composer-lines"), paper = line("pre", "composer-paper"), mark = el("i", "composer-mark");
  for (const one of [gutter, paper]) one.setAttribute("aria-hidden", "true");
  mark.hidden = true;
  const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  const isLong = () => area.textLength > LIVE;
  let isOwn = false, counted = 1, rowHeight = 20, pad = 8;
  /** @type {Fault | null} */
  let marked = null;

  // Changes. The browser takes seconds to type a hundred lines. So a large change is set at once, which its undo knows
  // nothing of, and is taken back here: the browser first undoes what came after, until the text is as it left it.

  /** @type {Change[]} */ const done = [];
  /** @type {Change[]} */ const undone = [];
  /** Make a change as if it had been typed: undo takes it back. */
  function replace(/** @type {Edit} */ { from, to, text, caret }, end = caret) {
    /** @param {string} text */
    const isLarge = (text) => text.length > NATIVE || text.split("\n", NATIVE_LINES + 1).length > NATIVE_LINES;
    area.focus({ preventScroll: true });
    isOwn = true;
    if (isLarge(text) || (to > from && isLarge(area.value.slice(from, to)))) {
      const before = area.value, at = area.selectionStart;
      area.setRangeText(text, from, to, "end");
      undone.length = 0;
      done.push({ before, at, after: area.value, caret });
      if (done.length > UNDONE) done.shift();
    } else {
      area.setSelectionRange(from, to);
      const isDone = text ? document.execCommand("insertText", false, text)
        : from === to || document.execCommand("delete");
      if (!isDone) area.setRangeText(text, from, to, "end");
    }
    isOwn = false;
    area.setSelectionRange(caret, end);
    listener.changed();
  }
  /** Take back, or make again, a large change: false where it is the browser's turn. @param {boolean} isRedo */
  function undo(isRedo) {
    const [from, to] = isRedo ? [undone, done] : [done, undone], change = from.at(-1);
    if (!change || area.value !== (isRedo ? change.before : change.after)) return false;
    const at = isRedo ? change.caret : change.at;
    from.pop();
    to.push(change);
    isOwn = true;
    area.value = isRedo ? change.after : change.before;
    isOwn = false;
    area.setSelectionRange(at, at);
    listener.undone();
    listener.changed();
    return true;
  }

  // What is seen: numbers of lines, colours, the mark

  function measure() {
    const style = getComputedStyle(area);
    rowHeight = parseFloat(style.lineHeight) || 20;
    pad = parseFloat(style.paddingTop) || 0;
    pen.font = `${style.fontSize} ${style.fontFamily}`;
  }
  /** Count the lines, and draw what is seen. */
  function lines() {
    const text = area.value;
    work.scanned += text.length;
    counted = 1;
    for (let at = -1; (at = text.indexOf("\n", at + 1)) >= 0; ) counted++;
    draw();
  }
  function draw() {
    measure();
    const first = Math.max(0, Math.floor((area.scrollTop - pad) / rowHeight));
    const last = Math.min(counted, first + Math.ceil(area.clientHeight / rowHeight) + 1);
    gutter.set(Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i + 1).join("\n"));
    gutter.style.transform = `translateY(${pad + first * rowHeight - area.scrollTop}px)`;
    paint(first, last);
    if (marked) showMark(marked);
    listener.moved();
  }
  // A text area has one colour. So the lines that are seen stand once more under it, in colours, and its own are not
  // drawn; they are one text in ranges, since elements that come and go would spoil the undo (see line in dom.js).
  /** @type {[ink: string, range: StaticRange][]} */
  let painted = [];
  function paint(/** @type {number} */ first, /** @type {number} */ last) {
    if (!INKS) return;
    for (const [ink, range] of painted) INKS[ink].delete(range);
    painted = [];
    const seen = isLong() ? "" : area.value.split("\n").slice(first, last).join("\n");
    const text = seen.length > PAINTED ? "" : seen, node = /** @type {Text} */ (paper.firstChild);
    area.classList.toggle("painted", text !== "");
    node.data = text; // as it is: it has to lie as the text above it does
    paper.style.transform = `translate(${-area.scrollLeft}px, ${pad + first * rowHeight - area.scrollTop}px)`;
    /** @param {string} name @param {[start: number, end: number]} place */
    const ink = (name, [start, end]) => {
      const range = new StaticRange({ startContainer: node, startOffset: start, endContainer: node, endOffset: end });
      painted.push([name, range]);
      INKS[name].add(range);
    };
    const tokens = new Tokens(text);
    /** @type {[number, number] | null} */
    let string = null;
    while (tokens.next()) {
      if (string) ink(tokens.kind === ":" ? "name" : "text", string);
      string = tokens.kind === "string" ? [tokens.start, tokens.end] : null;
      if (tokens.kind === "word") ink("word", [tokens.start, tokens.end]);
    }
    if (string) ink("text", string);
  }
  /** Pixels of a place, from the corner of the text as it is scrolled. @param {number} at */
  function pixels(at) {
    const text = area.value, [line, column] = lineAndColumn(text, at);
    const wide = column > 2_000 ? (column - 1) * pen.measureText("0").width
      : pen.measureText(text.slice(at - column + 1, at).replaceAll("\t", "  ")).width;
    return [pad + wide - area.scrollLeft, pad + (line - 1) * rowHeight - area.scrollTop];
  }
  /** @param {Fault} fault */
  function showMark({ at, end }) {
    const [x, y] = pixels(at), text = area.value.slice(at, Math.min(end, at + 200)).split("\n")[0];
    mark.style.transform = `translate(${x}px, ${y}px)`;
    mark.style.width = `${Math.max(8, pen.measureText(text).width)}px`;
    mark.style.height = `${rowHeight}px`;
    mark.hidden = false;
  }
  area.addEventListener("scroll", draw);
  new ResizeObserver(draw).observe(area);

  return {
    area, isLong, replace, undo, lines, draw, pixels,
    marks: el("div", "composer-marks", mark),
    gutter: el("div", "composer-gutter", gutter),
    paper: el("div", "composer-marks", paper),
    /** Is it changed from here, not by a person? */
    isOwn: () => isOwn,
    /** A person typed: what was undone is not made again. */
    forget: () => { undone.length = 0; },
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
      area.focus({ preventScroll: true });
      area.setSelectionRange(start, Math.min(end, start + 2_000));
      measure();
      const [x, y] = pixels(start);
      if (y < 0 || y > area.clientHeight - 2 * rowHeight) area.scrollTop += y - area.clientHeight / 3;
      if (x < 0 || x > area.clientWidth - 60) area.scrollLeft += x - area.clientWidth / 3;
      area.scrollIntoView({ block: "nearest" });
    },
    /** Put a box below a place, or above where there is more room. @param {HTMLElement} box @param {number} at */
    putBelow(box, at) {
      const [x, y] = pixels(at), around = /** @type {HTMLElement} */ (box.parentElement), room = around.clientWidth;
      box.style.width = `${Math.min(560, room)}px`;
      box.style.left = `${clamp(area.offsetLeft + x - 10, 0, Math.max(0, room - box.offsetWidth))}px`;
      const top = area.offsetTop + clamp(y, 0, area.clientHeight - rowHeight);
      const edge = around.getBoundingClientRect().top + top, below = edge + rowHeight;
      const isAbove = below + box.offsetHeight > innerHeight && edge > innerHeight - below;
      box.style.top = `${isAbove ? top - box.offsetHeight - 4 : top + rowHeight + 4}px`;
    },
  };
}
