// What the composer computes: where the caret is, what fits there, what a key changes, what is no JSON. A `|` in a text
// is the caret, two are a selection. LIVEWS_TABLE names a file with the table of livews/inspector/completion.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { locateCaret } from "../../livews/report/web/src/composer/caret.js";
import { Guide } from "../../livews/report/web/src/composer/completion.js";
import { accepted, newLine, rubOut, typed } from "../../livews/report/web/src/composer/editing.js";
import { doubles, faultOf, isJson, lineAndColumn, locate, pretty } from "../../livews/report/web/src/composer/json.js";
import { MOST } from "../../livews/report/web/src/composer/tokens.js";

const guide = process.env.LIVEWS_TABLE && new Guide(JSON.parse(readFileSync(process.env.LIVEWS_TABLE, "utf8")));
const needsTable = { skip: guide ? false : "LIVEWS_TABLE names no table" };

/** A text with a `|`, or two, as [text, from, to]. */
function split(marked) {
  const [head, selected, ...tail] = marked.split("|");
  const from = head.length, rest = tail.length ? selected : "";
  return [head + selected + tail.join("|"), from, from + rest.length];
}
const caretOf = (marked) => locateCaret(...split(marked).slice(0, 2));
const entries = (marked, side = "client", surface = "") => guide.entries(side, caretOf(marked), surface);
const offered = (...given) => entries(...given).map(({ name }) => name);
function edited(text, { from, to, text: piece, caret }) {
  const out = text.slice(0, from) + piece + text.slice(to);
  return `${out.slice(0, caret)}|${out.slice(caret)}`;
}

const PLACES = [
  ["{|", "key", [], "", []],
  ['{"a": {"b": [1, {"c|', "key", ["a", "b", 1], "c", []],
  ['{"a": {"b": [1, {"c": tr|', "value", ["a", "b", 1, "c"], "tr"],
  ['{"a": 1, "b|": 2, "c": {"d": 3}, "e": 4}, "f": 5', "key", [], "b", ["a", "c", "e"]],
  ['{"a": "x|y"}', "value", ["a"], "x"],
  ['{"a" |', "colon", ["a"], ""],
  ['{"a": 1 |', "after", [], ""],
  ['{"a": 1 "b|', "key", [], "b", ["a"]],
  ['{"open\n  "b": {"c|', "key", ["b"], "c", []],
  ['["a" "b|', "value", [1], "b"],
  ["[[], [|", "value", [1, 0], ""],
  ['{"a": [}, "b|', "after", [], "b"],
  [']]}{"a|', "key", [], "a", []],
  ['{"\\u0061": {"|', "key", ["a"], "", []],
  ['{"a": "\\"}|', "value", ["a"], '\\"}'],
  ['{"__proto__": {"constructor|', "key", ["__proto__"], "constructor", []],
  ["{} |", "after", [], ""],
];
test("the place of the caret is found in what is no JSON yet", () => {
  for (const [marked, at, path, word, keys] of PLACES) {
    const found = caretOf(marked);
    assert.deepEqual([found.at, found.path, found.typed], [at, path, word], marked);
    if (keys) assert.deepEqual(found.keys.sort(), keys, marked);
  }
  assert.equal(locateCaret("x".repeat(MOST + 1), MOST + 1), null, "too long to say");
});

test("names of members are offered at every depth", needsTable, () => {
  const client = Object.keys(guide.members("client/BidiGenerateContentClientMessage"));
  assert.deepEqual([offered("{|}"), offered("|")], [client, client]);
  assert.deepEqual(offered('{"setup": {"generationConfig": {"tempe|"}}}'), ["temperature"]);
  assert.deepEqual(offered('{"clientContent": {"turns": [{"role": "user"}, {|}]}}'), ["parts", "role"]);
  const parameters = '{"setup": {"tools": [{"functionDeclarations": [{"parameters": {"properties": {"any_key": {';
  assert.deepEqual(offered(`${parameters}"minIt|`), ["minItems"]);
  const left = offered('{"setup": {"model": "x", |, "tools": []}}');
  assert.ok(left.includes("generationConfig") && !left.includes("model") && !left.includes("tools"));
  assert.ok(!offered('{"clientContent": {"turn_complete": true, |}}').includes("turnComplete"));
  const beside = offered('{"clientContent": {"turns": [{"parts": [{"text": "a", |}]}]}}');
  assert.ok(beside.includes("videoMetadata") && !beside.includes("inlineData"), "members of a oneof");
  const nothing = [
    '{"setup": {"x": {|}}}', '{"toolResponse": {"functionResponses": [{"response": {"so|"}}]}}', "{gen|}",
    '{"setup": {"systemInstruction": {"parts": [{"text": "tru|"}]}}}',
  ];
  for (const marked of nothing) assert.deepEqual(offered(marked), [], marked);
});

test("names are found by a part and in snake case", needsTable, () => {
  assert.deepEqual(offered('{"setup": {"output_aud|"}}'), ["outputAudioTranscription"]);
  assert.deepEqual(offered('{"setup": {"Compress|"}}'), ["contextWindowCompression"]);
  assert.deepEqual(offered('{"setup": {"cwc|"}}'), ["contextWindowCompression"]);
  assert.equal(offered('{"setup": {gen|}}')[0], "generationConfig");
  assert.deepEqual(offered('{"realtimeInput": {"media|"}}'), ["mediaChunks"], "what is deprecated is offered");
  assert.equal(offered('{"realtimeInput": {"|"}}').at(-1), "mediaChunks", "... and last");
  assert.equal(offered('{"server_content": {"intr|"}}', "server")[0], "interrupted");
});

test("members that the surface does not take are offered last", needsTable, () => {
  const [own] = Object.entries(guide.members("client/BidiGenerateContentSetup"))
    .find(([, { not = [], old }]) => not.includes("v1alpha") && not.includes("v1beta") && !old);
  const gemini = entries('{"setup": {|}}'), at = gemini.findIndex(({ name }) => name === own);
  assert.deepEqual(gemini[at].tags, ["Vertex only"]);
  assert.ok(offered('{"setup": {|}}', "client", "vertex").indexOf(own) < at);
});

test("values are offered", needsTable, () => {
  const modalities = Object.keys(guide.type("client/Modality").values);
  const at = '{"setup": {"generationConfig": {"responseModalities": ["AUDIO", ';
  assert.deepEqual(offered(at + '"|"'), [...modalities.slice(1), modalities[0]], "the unspecified one comes last");
  assert.deepEqual(offered(at + "aud|"), ["AUDIO"]);
  assert.deepEqual(offered('{"clientContent": {"turnComplete": |}}'), ["true", "false"]);
  assert.deepEqual(offered('{"clientContent": {"turnComplete": f|}}'), ["false"]);
  assert.deepEqual(offered('{"setup": {"model": "er-2|"}}'), ["models/gemini-robotics-er-2-streaming-preview"]);
  assert.deepEqual(offered('{"clientContent": {"turns": [{"role": "|"}]}}'), ["user", "model"]);
  assert.deepEqual(offered('{"setup": {"generationConfig": |}}'), ["{}"]);
  assert.deepEqual(offered('{"clientContent": {"turns": |}}'), ["[{}]"]);
});

const CHOSEN = [
  ['{"clientCont|"}', '{"clientContent": {|}}'],
  ["{clientCont|}", '{"clientContent": {|}}'],
  ['{"clientContent": {"turns|"}}', '{"clientContent": {"turns": [{|}]}}'],
  ['{"clientContent": {"turnC|"}}', '{"clientContent": {"turnComplete": |}}'],
  ['{"setup": {"generationConfig": {"stop|"}}}', '{"setup": {"generationConfig": {"stopSequences": ["|"]}}}'],
  ['{"setup": {"generationConfig": {"temper|"}}}', '{"setup": {"generationConfig": {"temperature": |}}}'],
  ['{"setup": {"generationConfig": {"responseModalities": [au|]}}}',
    '{"setup": {"generationConfig": {"responseModalities": ["AUDIO"|]}}}'],
  ['{"setup": {"mod|"}}', '{"setup": {"model": "|"}}'],
  ['{"setup": {"labe|"}}', '{"setup": {"labels": {|}}}'],
  ['{"setup": {"mod|lel": "x"}}', '{"setup": {"model"|: "x"}}'],
  ['{"setup": {"too|  "model": "x"}}', '{"setup": {"tools": [{|}],  "model": "x"}}'],
  ['{"setup": {"model": "x"\n  too|}}', '{"setup": {"model": "x",\n  "tools": [{|}]}}'],
  ["|", '{\n  "setup": {|}\n}'],
];
test("what is chosen is written with its opening", needsTable, () => {
  for (const [marked, result] of CHOSEN) {
    const [text] = split(marked);
    assert.equal(edited(text, accepted(text, caretOf(marked), entries(marked)[0], guide)), result);
  }
});

const TYPED = [
  ["|", "{", "{|}"],
  ['{"a": |}', "[", '{"a": [|]}'],
  ['{"a": |}', '"b"', '{"a": "b"|}'],
  ['{"a": "b|"}', '"', '{"a": "b"|}'],
  ['{"a": "b|"}', "{[", '{"a": "b{[|"}'],
  ['{"a": "b\\|"}', '"', '{"a": "b\\"|"}'],
  ['{"a": [|]}', "]", '{"a": []|}'],
  ['{"a": {|}', "}", '{"a": {}|}'],
  ['|"a": 1}', "{", '{|"a": 1}'],
  ["|word", '"', '"|word'],
  ["word|", '"', 'word"|'],
  ["{word|}", '"', '{word"|}'],
  ["[1, |", "{", "[1, {|"],
  ['{"a": "|x, "b": 1}', '"', '{"a": ""|x, "b": 1}'],
  ['|{"a": {"b": 1}}|', '{"setup', '{"setup|"}'],
  ["{|}", "\b", "|"],
  ['["|"]', "\b", "[|]"],
  ['["a"|"b"]', "\b", '["a|"b"]'],
  ["{|}}", "\b", "|}}"],
  ["{|}", "\n", "{\n  |\n}"],
  ["  [|", "\n", "  [\n    |"],
  ['  "a": 1,|', "\n", '  "a": 1,\n  |'],
];
/** What a key does, the browser's own part included. */
function press(marked, key) {
  const [text, at, to] = split(marked);
  const natural = { from: key === "\b" ? at - 1 : at, to, text: key === "\b" ? "" : key };
  natural.caret = natural.from + natural.text.length;
  const found = key === "\b" ? rubOut(text, at, to) : key === "\n" ? newLine(text, at, to) : typed(text, at, to, key);
  if (typeof found === "number") return `${text.slice(0, found)}|${text.slice(found)}`;
  return edited(text, found ?? natural);
}
test("brackets, quotes and lines help and do not hurt", () => {
  for (const [marked, keys, result] of TYPED) assert.equal([...keys].reduce(press, marked), result, marked + keys);
});

const FAULTS = [
  ['{"a": 1,}', "1:8 a comma stands before }, and nothing after it"],
  ["{'a': 1}", '1:2 the name of a member stands in double quotes: "a"'],
  ['{"a": True}', "1:7 True is written true in JSON"],
  ['{"a": "b\n}', "1:7 this text is not closed: a double quote is missing at its end"],
  ['{"a": 1', "1:7 the text ends too early: } is missing"],
  ['{"a": 01}', "1:7 01 is no number of JSON"],
  ['{"a": [1 2]}', "1:10 a comma is missing before 2"],
  ['{"a": "\\x"}', "1:8 \\x is no escape of JSON; a backslash is written \\\\"],
  ["{} {}", "1:4 the message ended before {"],
  ["// hi\n{}", "1:1 JSON has no comments"],
  ['{"a": [1}', "1:9 ] was expected, to close the [, and not }"],
  ['{"a":\n {"b" 2}}', "2:7 a colon is missing before 2"],
  ['{"a": }', "1:7 a value is missing before }"],
  ['{"a": "\t"}', "1:8 a character that JSON wants as an escape: \\t"],
  ["{1: 2}", '1:2 the name of a member stands in double quotes: "1"'],
  ["{}}", "1:3 the message ended before }"],
  ["]", "1:1 ] closes nothing"],
  ["", "1:1 there is no message"],
];
test("a fault is shown with line and column", () => {
  for (const [text, expected] of FAULTS) {
    const { at, words } = faultOf(text);
    assert.equal(`${lineAndColumn(text, at).join(":")} ${words}`, expected);
  }
});

test("faults are found where JSON.parse finds one and nowhere else", () => {
  const file = (sender) => new URL(`../../protocol/vectors/messages/${sender}.json`, import.meta.url);
  const groups = ["client", "server"].flatMap((sender) => JSON.parse(readFileSync(file(sender), "utf8")));
  const texts = groups.flatMap(({ tests }) => tests.map(({ message }) => JSON.stringify(message)));
  const bits = ['"', "{", "}", "[", "]", ",", ":", "\\", "\n", " ", "1", "-", "e", "t", "\u00a0", "\u0001", "", "null"];
  let seed = 7, good = 0;
  const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  for (let i = 0; i < 4000; i++) {
    let text = texts[random(texts.length)].slice(0, 400);
    for (let n = random(3); n > 0; n--) {
      const at = random(text.length + 1);
      text = text.slice(0, at) + bits[random(bits.length)] + text.slice(at + random(3));
    }
    const fault = faultOf(text), isGood = isJson(text);
    good += isGood;
    assert.equal(fault === null, isGood, text);
    if (fault) assert.ok(fault.at >= 0 && fault.at <= text.length && fault.words, text);
    for (const at of [0, random(text.length + 1), text.length]) locateCaret(text, at);
  }
  assert.ok(good > 500 && good < 3500, `${good} are JSON`);
});

test("a text nested deeply is read in one pass", () => {
  const began = performance.now();
  caretOf("[".repeat(300_000) + "]".repeat(300_000) + "|");
  assert.ok(performance.now() - began < 5_000);
});

test("line breaks keep every token and the place of the caret", () => {
  const text = '{"b":12345678901234567890,"1":[ ],"a":{},"a":[1.50,{"x":"\\u0041 {"}]}';
  const [out, caret] = pretty(text, text.indexOf("1.50") + 2);
  assert.equal(out, '{\n  "b": 12345678901234567890,\n  "1": [],\n  "a": {},\n  "a": [\n    1.50,\n    {\n      ' +
    '"x": "\\u0041 {"\n    }\n  ]\n}');
  assert.equal(caret, out.indexOf("1.50") + 2);
});

test("a pointer leads to its place, in both spellings", () => {
  const text = '{"setup": {"generation_config": {"temperature": "hot"}, "tools": [{}, {"x/y": [1, 22]}]}, ' +
    '"realtimeInput": {"mediaChunks": {"data": "AA"}}}';
  const places = {
    "/setup/generationConfig/temperature": '"hot"', "/setup/tools/1/x~1y/1": "22", "/setup/tools/1": "{",
    "/realtimeInput/mediaChunks/0/data": '"AA"', "/setup/generation_config/nothing": '"generation_config"',
  };
  for (const [path, found] of Object.entries(places)) {
    const { start, end } = locate(text, path);
    assert.equal(text.slice(start, end), found, path);
  }
  assert.equal(locate(text, "/setup/tools/1").start, text.indexOf("{}, {") + 4);
  assert.deepEqual(doubles('{"a": 1, "b": {"a": 2}, "a": 3}'), [{ start: 24, end: 27, name: "a" }]);
});
