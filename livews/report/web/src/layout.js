// Which tracks the timeline has and where they lie, what its ruler says, and what is left out of the sound.
import { many } from "./text.js";
/** @import { Session } from "./types.js" */
/** `data`: the region of a state track, the speaker of others.
 * @typedef {{ name: string, kind: "ruler" | "state" | "sound" | "text" | "tool" | "mark", y: number, tall: number,
 *   data: string }} Track */

/** The tracks of a session in a box of this width: names stand in a gutter, or above where there is no room.
 * @param {Session} session @param {number} width */
export function layOut(session, width) {
  const isNarrow = width < 620, gutter = isNarrow ? 0 : 84, { sound, texts } = session;
  /** @type {Track[]} */
  const tracks = [];
  let y = 0;
  /** @param {string} name @param {Track["kind"]} kind @param {number} tall */
  const add = (name, kind, tall, data = name) => {
    if (isNarrow && name) y += 13; // its name stands above it
    tracks.push({ name, kind, y, tall, data });
    y += tall + 4;
  };
  add("", "ruler", 16);
  for (const [region, states] of Object.entries(session.states))
    if (region !== "activity" || states.length > 1) add(region, "state", 17);
  for (const who of /** @type {const} */ (["user", "model"])) {
    const isHeard = sound[who].runs.length > 0;
    if (isHeard) add(who, "sound", isNarrow ? 44 : 56);
    if (texts[who].length) add(isHeard ? `${who} said` : who, "text", 20, who);
  }
  if (session.tools.length) add("tools", "tool", 20);
  add("control", "mark", 20);
  return { tracks, gutter, height: y };
}
/** What a person has to know of the sound. @param {Session} session */
export function soundNote({ sound }) {
  const runs = [...sound.user.runs, ...sound.model.runs], notes = [];
  if (!runs.length) notes.push("no sound in this trace");
  else if (runs.every((run) => run[2] === 2)) notes.push("the trace kept lengths and no sound");
  else if (runs.some((run) => run[2] === 1)) notes.push("only the first part of the sound is in this file");
  if (runs.length) notes.push("user left, model right");
  const skipped = sound.user.skipped + sound.model.skipped;
  if (skipped) notes.push(`${many(skipped, "piece")} of sound in a form not played here`);
  return notes.join(" · ");
}

const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
/** Seconds between two lines of the ruler that are `least` seconds apart at least. @param {number} least */
export const rulerStep = (least) => STEPS.find((step) => step >= least) || Math.ceil(least / 3600) * 3600;
export function rulerLabel(/** @type {number} */ t, /** @type {number} */ step) {
  if (step >= 60) return `${Math.floor(t / 60)} min`;
  if (t < 60) return `${+t.toFixed(2)} s`;
  return `${Math.floor(t / 60)}:${(t % 60).toFixed(step < 1 ? 1 : 0).padStart(2, "0")}`;
}
