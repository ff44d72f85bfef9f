// Text made safe to show, numbers in words.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  UNSAFE, after, escaped, firstSentence, isSame, pointer, span, steps, visible, when,
} from "../../livews/report/web/src/text.js";

const vector = JSON.parse(readFileSync(new URL("escapes.json", import.meta.url), "utf8"));

test("the unsafe characters are those of livews/terminal_text.py", () => {
  const unsafe = [];
  for (let code = 0; code < 0x110000; code++) {
    if (!String.fromCodePoint(code).match(UNSAFE)) continue;
    if (unsafe.at(-1)?.[1] === code - 1) unsafe.at(-1)[1] = code;
    else unsafe.push([code, code]);
  }
  assert.deepEqual(unsafe, vector.unsafe);
});

test("they are written as Python writes them", () => {
  for (const [text, shown] of vector.escaped) assert.equal(visible(text), shown);
  assert.equal(escaped("\u{e0041}"), "\\U000e0041");
});

test("durations and times are in words", () => {
  const spans = { 0: "0.00 s", 9.994: "9.99 s", 59.96: "60.0 s", 60: "1 min 0 s", 3_725: "1 h 2 min 5 s" };
  for (const [t, words] of Object.entries(spans)) assert.equal(span(+t), words);
  assert.equal(when("2026-11-22T10:00:00.123456Z"), "2026-11-22 10:00:00 UTC");
});

test("a sorted list is searched", () => {
  const list = [1, 1, 2, 5];
  for (const [t, index] of [[0, 0], [1, 2], [2, 3], [4, 3], [5, 4], [9, 4]]) assert.equal(after(list, t), index);
  assert.equal(after([["a", 1], ["b", 2]], 1, ([, t]) => t), 1);
});

test("names have two spellings and pointers are escaped", () => {
  assert.ok(isSame("turn_complete", "turnComplete") && isSame("turnComplete", "turnComplete"));
  assert.ok(!isSame("turncomplete", "turnComplete"));
  assert.deepEqual(steps(`/a/${pointer("x/y~z")}/0`), ["a", "x/y~z", "0"]);
  assert.equal(firstSentence("Ends e.g. here. Not there."), "Ends e.g.");
});
