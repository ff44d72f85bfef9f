// A session as data, and the tracks of its timeline.
import assert from "node:assert/strict";
import { test } from "node:test";
import { layOut, rulerLabel, rulerStep, soundNote } from "../../livews/report/web/src/layout.js";
import {
  begun, consequences, counts, errorOf, extend, isByHand, isControl, isFromServer, level, occurring, rowBeforeClose,
} from "../../livews/report/web/src/session.js";

const HEAD = { stateWords: { session: {}, turn: {}, activity: {} }, chunk: 250, perSecond: 100 };
const error = { level: "error", rule: "WIRE-5", path: "/x", complaint: "no member x" };
const note = { level: "note", rule: "SETUP-4", path: "", complaint: "no model" };
const END = { t: 4, by: "server", kind: "arguments" };
/** flags: 1 from the server, 2 no message, 4 * level, 16 by hand */
const ROWS = {
  t: [0, 1, 2, 3.5, 3.6, 4], kind: [0, 0, 0, 0, 0, 1], flags: btoa("\x04\x01\x02\x0c\x10\x0f"), kinds: ["m", "close"],
};

function session(news = {}) {
  const made = begun(HEAD);
  extend(made, { ...ROWS, findings: [note, error], found: { 0: [0], 3: [1, 0] }, end: END, ...news }, 0);
  return made;
}

test("a row says who sent it, what it is and how bad", () => {
  const made = session();
  assert.deepEqual(ROWS.t.map((_, row) => level(made, row)), [1, 0, 0, 3, 0, 3]);
  assert.deepEqual([1, 2, 4, 5].map((row) => isFromServer(made, row)), [true, false, false, true]);
  assert.deepEqual([1, 2, 4, 5].map((row) => isControl(made, row)), [false, true, false, true]);
  assert.ok(isByHand(made, 4) && !isByHand(made, 3));
  assert.deepEqual(counts(made), { sent: 3, received: 1, faulty: 1 });
  assert.deepEqual(occurring(made), [[error, 3, 1], [note, 0, 2]]);
});

test("what a finding explains is counted with it", () => {
  const follows = { level: "note", rule: "SETUP-3", path: "", complaint: "again", because: 1 };
  const made = session({ findings: [note, error, follows], found: { 0: [0], 1: [1], 3: [2], 4: [2, 0] } });
  assert.deepEqual(occurring(made), [[error, 1, 1], [note, 0, 2]]);
  assert.deepEqual([...consequences(made)], [[1, 2]]);
});

test("the close leads to the last error of the client, of a stream within a second", () => {
  assert.equal(rowBeforeClose(session()), 3, "one more message was on its way");
  assert.equal(errorOf(session(), 3), error);
  assert.equal(rowBeforeClose(session({ t: [0, 1, 2, 2.5, 3.6, 4] })), -1, "too long before");
  assert.equal(rowBeforeClose(session({ end: { ...END, kind: "normal" } })), -1);
  assert.equal(rowBeforeClose(session({ end: { ...END, by: "client" } })), -1);
});

test("a session grows: columns by what is added, what may change by its index", () => {
  const made = session({ clock: 7 });
  extend(made, {
    t: [5], texts: { model: { 0: [1, 2, "a", 0, 0] } }, turns: { 0: { row: 1 } }, tools: { 1: "b", 0: "a" },
    sound: { user: { runs: { 0: "run" }, peaks: btoa("\x05\xff"), seconds: 1, skipped: 2 } }, clock: 9,
  }, 3);
  const states = { turn: { 0: [0, "x"] } };
  extend(made, { texts: { model: { 0: [1, 3, "ab", 0, 0] } }, turns: { 1: { row: 9 } }, states }, 4);
  assert.deepEqual([made.t.length, made.texts.model, made.turns], [7, [[1, 3, "ab", 0, 0]], [{ row: 1 }, { row: 9 }]]);
  assert.deepEqual([made.tools, made.states.turn], [["a", "b"], [[0, "x"]]]);
  assert.deepEqual(made.sound.user, { runs: ["run"], peaks: [5, 255], seconds: 1, skipped: 2 });
  assert.equal(made.offset, 7, "the clock never runs back");
  assert.equal(made.end, END);
});

test("tracks are laid out below each other, for what there is", () => {
  const run = [0, 16_000, 0, 0, 0, 100, 100], names = ({ tracks }) => tracks.map(({ name }) => name);
  const made = session({ states: { session: { 0: [0, "new"] }, activity: { 0: [0, "idle"] } } });
  assert.deepEqual(names(layOut(made, 1000)), ["", "session", "turn", "control"]);
  made.sound.model.runs.push(run);
  made.texts.user.push([0, 1, "a", 0, 0]);
  made.texts.model.push([0, 1, "b", 0, 0]);
  made.tools.push([0, 1, "f"]);
  made.states.activity.push([1, "speaking"]);
  const wide = layOut(made, 1000), narrow = layOut(made, 400);
  assert.deepEqual(names(wide), ["", "session", "turn", "activity", "user", "model", "model said", "tools", "control"]);
  assert.deepEqual([wide.gutter, narrow.gutter], [84, 0]);
  for (const { tracks, height } of [wide, narrow])
    tracks.forEach(({ y, tall }, i) => assert.ok(y + tall < (tracks[i + 1]?.y ?? height)));
  assert.equal(narrow.tracks[1].y - narrow.tracks[0].y, 20 + 13, "names stand above");
});

test("the ruler has round steps", () => {
  assert.deepEqual([0.011, 0.9, 61, 4000].map(rulerStep), [0.02, 1, 120, 7200]);
  assert.deepEqual([[0.3, 0.1], [75, 5], [75.5, 0.5], [180, 60]].map(([t, step]) => rulerLabel(t, step)),
    ["0.3 s", "1:15", "1:15.5", "3 min"]);
});

test("what is not in the sound is said", () => {
  const sound = (...kinds) => {
    const user = { runs: kinds.map((kind) => [0, 1, kind]), skipped: 2 };
    return { sound: { user, model: { runs: [], skipped: 0 } } };
  };
  assert.equal(soundNote(sound()), "no sound in this trace · 2 pieces of sound in a form not played here");
  assert.match(soundNote(sound(2, 2)), /^the trace kept lengths and no sound · user left/);
  assert.match(soundNote(sound(0, 1)), /^only the first part/);
});
