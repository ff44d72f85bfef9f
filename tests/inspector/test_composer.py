"""The inspector's composer: its table holds all of the schemas, and in a real browser a message is written with it.

The page of these tests loads the modules of the composer from their sources, and may load nothing else; what they compute
without a page is tested in tests/web. Those that need the browser are skipped without one, with LIVEWS_REQUIRE_BROWSER=1
they fail (tests/kit/browser.py).
"""

import base64
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from livews import walk
from livews.advice import judge
from livews.core import protocol
from livews.inspector import completion
from tests.kit.browser import Browser
from tests.report.kit import PAYLOADS

WEB = Path(__file__).resolve().parents[2] / "livews/report/web"
SITE = "http://composer.test/"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>STYLE</style></head>
<body><section id="log"><div id="here"></div></section><script type="application/json" id="table">TABLE</script>
<script type="module" src="/mount.js"></script></body></html>"""
MOUNT = """import { mount } from "./src/composer/composer.js";
import { work } from "./src/composer/tokens.js";
window.work = work;
window.anew = () => {
  const sent = (window.sent = []), checked = (window.checked = []); // a composer before this one may still be checking
  window.findings = []; window.answer = { ok: true, message: "Sent." };
  window.composer = mount(document.getElementById("here"), {
    table: JSON.parse(document.getElementById("table").textContent), sides: ["client", "server"],
    send: async (text, side) => {
      sent.push([text, side]);
      if (window.answer === "gone") throw new Error("the socket is gone <b>");
      return window.answer;
    },
    check: async (text, side) => { checked.push([text, side]); return window.findings; },
  });
};
window.anew();"""

# The table


def types() -> dict[str, Any]:
    return completion.table()["types"]  # type: ignore[no-any-return]


def test_every_member_and_value_of_every_type_is_there_with_its_words() -> None:
    words = completion.table()["words"]
    seen = 0
    for schema_id, said in walk.schemas().items():
        answer = types()[schema_id.removeprefix(protocol.SCHEMAS).removesuffix(".json")]
        assert answer["is"] == said["title"] and words[answer["doc"]] == said.get("description", "")
        assert set(answer.get("members", ())) == set(said.get("properties", ()))
        for name, prop in said.get("properties", {}).items():
            member = answer["members"][name]
            inner = prop.get("items", prop if prop.get("type") != "object" else prop["additionalProperties"])
            assert words[member["doc"]] == prop["description"]
            assert member.get("shape", "") == {"array": "list", "object": "map"}.get(prop.get("type", ""), "")
            assert member.get("plain", "") == inner.get("type", "")
            target = inner.get("$ref", "").removesuffix(".json").rsplit("/", 1)[-1]
            assert member.get("type", "").rsplit("/", 1)[-1] == target and (not target or member["type"] in types())
            assert completion.table()["evidence"][member["from"]] == prop["x-livews"]["evidence"]
            seen += 1
        names = {name for one in said.get("anyOf", ()) for name in (*one.get("enum", ()), one.get("const")) if name}
        assert set(answer.get("values", ())) == names
    assert seen > 600
    assert all(of in types() for of in completion.table()["envelope"].values())


def test_what_is_dead_or_taken_elsewhere_is_marked() -> None:
    assert types()["client/BidiGenerateContentRealtimeInput"]["members"]["mediaChunks"]["old"]
    assert types()["client/SafetySetting"]["members"]["method"]["not"] == ["v1alpha", "v1beta"]
    assert types()["client/BidiGenerateContentSetup"]["members"]["model"]["required"]
    assert "inlineData" in types()["client/Part"]["members"]["text"]["without"]
    assert "models/gemini-3.8-live" in types()["client/BidiGenerateContentSetup"]["members"]["model"]["values"]


def test_the_table_is_small_and_names_no_file_and_no_address() -> None:
    text = json.dumps(completion.table(), ensure_ascii=False, separators=(",", ":"))
    assert 100_000 < len(text) < 170_000
    assert len(zlib.compress(text.encode())) < 42_000
    assert not re.search(r"https?:|\.json\b|livews\.invalid", text) and str(protocol.root()) not in text


@pytest.mark.parametrize("sender", ["client", "server"])
def test_templates_are_messages_without_errors(sender: Any) -> None:
    for one in completion.table()["templates"][sender]:
        assert [str(found) for found in judge.check(sender, one["message"]) if found.level == "error"] == []
        value = one["message"]
        for step in one["at"].split("/")[1:]:
            value = value[int(step) if isinstance(value, list) else step]
    silence = next(one for one in completion.table()["templates"]["client"] if "silence" in one["name"])["message"]
    assert base64.b64decode(silence["realtimeInput"]["audio"]["data"]) == bytes(3_200)


# In a browser


@pytest.fixture(scope="module")
def place(browser: Browser) -> str:
    """The URL of a page with the composer in it."""
    style = (WEB / "report.css").read_text() + (WEB / "composer.css").read_text()
    table = json.dumps(completion.table()).replace("<", "\\u003c")
    page = PAGE.replace("STYLE", style).replace("TABLE", table)

    def serve(route: Any) -> None:
        asked = route.request.url.removeprefix(SITE)
        script = MOUNT if asked == "mount.js" else asked and (WEB / asked).read_text()
        route.fulfill(body=script or page, content_type="text/javascript" if asked else "text/html")

    browser.context.route(f"{SITE}**", serve)
    return SITE


class Composer:
    """A page with the composer; a `|` in its text is the caret."""

    def __init__(self, browser: Browser, url: str, **how: Any) -> None:
        self.page = browser.open(url, wait_for=".composer", own=lambda asked: asked.startswith(SITE), **how)
        self.wrong = browser.wrong
        """Of this page."""
        self.page.click(".composer-text")

    def anew(self) -> None:
        """Another composer in the same page, as wide as at first."""
        self.page.set_viewport_size({"width": 1280, "height": 900})
        self.page.evaluate("window.anew()")
        self.page.click(".composer-text")

    def close(self) -> None:
        assert not self.wrong
        self.page.close()

    def type(self, *keys: str) -> "Composer":
        """Types texts; one such as `<Enter>` is a key."""
        for one in keys:
            if re.fullmatch("<[A-Za-z0-9+ ]+>", one):
                self.page.keyboard.press(one[1:-1])
            else:
                self.page.keyboard.type(one)
        return self

    def write(self, text: str) -> "Composer":
        """Puts a text in, as a paste does."""
        self.page.evaluate(
            """([text, caret]) => {
              const area = document.querySelector(".composer-text");
              area.focus(); area.value = text; area.setSelectionRange(caret, caret);
              area.dispatchEvent(new InputEvent("input", { inputType: "insertFromPaste" }));
            }""",
            [text.replace("|", "", 1), text.find("|") if "|" in text else len(text)],
        )
        return self

    @property
    def marked(self) -> str:
        """The text with its caret, or what is selected between two."""
        text, start, end = self.page.evaluate(
            "(({ value, selectionStart, selectionEnd }) => [value, selectionStart, selectionEnd])(document.querySelector('.composer-text'))"
        )
        return f"{text[:start]}|{text[start:end]}{'|' if end > start else ''}{text[end:]}"

    @property
    def text(self) -> str:
        return str(self.page.input_value(".composer-text"))

    @property
    def offered(self) -> list[str]:
        """The names in the list, the chosen one with a star."""
        return self.page.evaluate(  # type: ignore[no-any-return]
            """[...document.querySelectorAll(".composer-popup:not([hidden]) li:not([hidden])")].map((row) =>
              (row.getAttribute("aria-selected") === "true" ? "*" : "") + row.querySelector("b").textContent)"""
        )

    @property
    def answer(self) -> str:
        return str(self.page.inner_text(".composer-answer"))

    @property
    def button(self) -> str:
        return str(self.page.inner_text(".composer-send"))

    def found(self, words: str) -> Any:
        """The finding with these words, once it is listed."""
        row = self.page.locator(".composer-findings button", has_text=words).first
        row.wait_for()
        return row

    @property
    def sent(self) -> list[list[str]]:
        return self.page.evaluate("window.sent")  # type: ignore[no-any-return]

    def sends(self, number: int) -> None:
        """Until so many were sent and answered."""
        busy = "document.querySelector('.composer-answer').textContent.startsWith('Sending')"
        self.page.wait_for_function(f"() => window.sent.length === {number} && !{busy}")


@pytest.fixture(scope="module")
def opened(browser: Browser, place: str) -> Iterator[Composer]:
    made = Composer(browser, place)
    yield made
    made.page.close()


@pytest.fixture
def composer(opened: Composer) -> Iterator[Composer]:
    opened.anew()
    yield opened
    assert not opened.wrong


def test_a_message_is_typed_with_a_few_keys_and_undone_to_nothing(composer: Composer) -> None:
    composer.type("{", '"set', "<Enter>", "<Enter>")
    assert composer.marked == '{"setup": {\n  |\n}}', "nothing was chosen yet, so Enter is Enter"
    composer.type("generation_c", "<Tab>", "respMod", "<Tab>")
    assert composer.marked == '{"setup": {\n  "generationConfig": {"responseModalities": ["|"]}\n}}'
    assert composer.offered[0] == "*TEXT"
    composer.type("au", "<Enter>")
    whole = '{"setup": {\n  "generationConfig": {"responseModalities": ["AUDIO"]}\n}}'
    assert composer.text == whole
    composer.type(*["<Control+z>"] * 60)
    assert composer.text == ""
    composer.type(*["<Control+Shift+z>"] * 60)
    assert composer.text == whole


def test_what_is_seen_is_coloured_where_it_stands(composer: Composer) -> None:
    lines = ['{"a": [', *(f'  "x{i}",' for i in range(50)), " 1]}"]
    composer.write("\n".join(lines))
    composer.page.evaluate("document.querySelector('.composer-text').scrollTop = 400")
    seen = "() => document.querySelector('.composer-paper').textContent.split('\\n')[0]"
    composer.page.wait_for_function(f"() => ({seen})() === '{lines[19]}'")
    assert composer.page.evaluate("CSS.highlights.get('composer-text').size") >= 13
    top = "(name) => document.querySelector(name).getBoundingClientRect().top"
    # line 20 begins 8 + 19 * 20 pixels below the top of what is scrolled by 400
    there, area = composer.page.evaluate(top, ".composer-paper"), composer.page.evaluate(top, ".composer-text")
    assert there - area == pytest.approx(8 + 19 * 20 - 400, abs=1)


def test_the_list_is_worked_by_keys_and_by_mouse_and_says_what_it_is(composer: Composer) -> None:
    area = composer.page.locator(".composer-text")
    assert area.get_attribute("role") is None and area.get_attribute("aria-autocomplete") == "list"
    composer.type("{")
    assert composer.offered[0] == "setup" and not any(name.startswith("*") for name in composer.offered)
    assert area.get_attribute("role") == "combobox" and area.get_attribute("aria-expanded") == "true"
    composer.type("<ArrowDown>", "<ArrowDown>")
    assert composer.offered[1] == "*clientContent"
    row = composer.page.locator(f"#{area.get_attribute('aria-activedescendant')}")
    assert row.get_attribute("role") == "option" and "clientContent" in row.inner_text()
    assert composer.page.locator(f"#{area.get_attribute('aria-controls')}").get_attribute("role") == "listbox"
    whole = protocol.load("schemas/client/BidiGenerateContentClientMessage.json")["properties"]["clientContent"]
    assert whole["description"] in composer.page.inner_text(".composer-about")
    assert row.locator(".composer-first").inner_text() == whole["description"].split(". ")[0] + "."
    composer.type("<ArrowUp>", "<ArrowUp>", "<ArrowUp>")
    assert any(name.startswith("*") for name in composer.offered[-2:]), "it goes round"
    composer.type("<Escape>")
    assert composer.offered == [] and composer.marked == "{|}" and area.get_attribute("role") is None
    composer.type("<Control+ >")
    composer.page.locator(".composer-list li", has_text="realtimeInput").click()
    assert composer.marked == '{"realtimeInput": {|}}' and "audio" in composer.offered
    composer.type("<ArrowLeft>")
    composer.page.wait_for_selector(".composer-popup", state="hidden")  # it leaves with the caret
    composer.type("<Tab>")
    assert composer.page.evaluate("document.activeElement.className") != "composer-text", "Tab is no trap"
    composer.write('{\n\n\n    "setup": {|}}').type("<Control+ >")
    box, edge = (composer.page.locator(one).bounding_box() for one in (".composer-popup", ".composer-text"))
    assert edge["y"] + 60 < box["y"] < edge["y"] + 120 and box["x"] > edge["x"] + 60, "it is at the caret"


def finding(path: str) -> dict[str, str]:
    return {"level": "error", "rule": "WIRE-7", "path": path, "complaint": f"no {path[-5:]} at {path}", "cure": "Mend it."}  # fmt: skip


def test_findings_and_syntax_errors_lead_to_their_place(composer: Composer) -> None:
    composer.write('{\n  "setup": {\n    "model" "x"\n}}')
    row = composer.found("a colon is missing")
    assert " ".join(row.inner_text().split()) == 'error3:13 a colon is missing before "x"'
    assert composer.page.locator(".composer-mark").is_visible()
    row.click()
    assert '"model" |"x"|' in composer.marked
    assert composer.page.evaluate("window.checked") == [], "what is no JSON is not checked"
    text, path = '{"setup": {"tools": [{}, {"x/y": [1, 22]}]}}', "/setup/tools/1/x~1y/1"
    composer.page.evaluate("(found) => { window.findings = [found]; }", finding(path))
    composer.write(text)
    row = composer.found(f"no {path[-5:]}")
    assert " ".join(row.inner_text().split()) == f"error{path} no {path[-5:]} WIRE-7 Mend it."
    assert composer.page.evaluate("window.checked") == [[text, "client"]]
    assert not composer.page.locator(".composer-mark").is_visible()
    row.click()
    assert "|22|" in composer.marked
    composer.page.evaluate("window.findings = []")
    composer.write('{"a": 1, "b": {"a": 2}, "a": 3, "z\u200b": 4}')
    composer.found("a is given twice").click()
    assert '|"a"|: 3' in composer.marked
    assert "\\u200b" in composer.found("not seen").inner_text()


def test_format_keeps_what_it_cannot_parse_and_is_undone_however_large(composer: Composer) -> None:
    broken = '{"a": 1,\n "b" 2}'
    composer.write(broken).page.click("text=Format")
    assert composer.text == broken and "a colon is missing before 2 (2:6)" in composer.answer
    text = json.dumps({"x": [{"a": i} for i in range(300)]})
    composer.write(text).page.click("text=Format")
    pretty = composer.text
    assert pretty.count("\n") > 900 and json.loads(pretty) == json.loads(text)
    composer.type("abc")
    for key, expected in (("z", pretty), ("z", text), ("y", pretty)):
        assert composer.type(f"<Control+{key}>").text == expected


def test_what_is_sent_and_what_comes_of_it(composer: Composer) -> None:
    composer.write('{"a": ').type("<Control+Enter>")
    assert composer.sent == [] and "it is no JSON (1:5)" in composer.answer and composer.button == "Send it as it is"
    composer.type("1")
    assert composer.button == "Send", "another text needs its own two"
    composer.type("<Control+Enter>", "<Control+Enter>").sends(1)
    assert composer.answer == "Sent." and composer.sent == [['{"a": 1', "client"]]
    composer.write('{"b": 2}').type("<Control+Enter>").sends(2)
    composer.write('{"new": ')
    seen = [composer.type(f"<Alt+Arrow{key}>").text for key in ("Up", "Up", "Up", "Down", "Down", "Down")]
    assert seen == ['{"b": 2}', '{"a": 1', '{"a": 1', '{"b": 2}', '{"new": ', '{"new": ']
    assert composer.type("<Alt+ArrowUp>", "<Control+z>").text == '{"new": ', "undo brings back what was being written"
    composer.page.check("input[value=server]", force=True)
    assert "for a message of the service" in composer.page.inner_text(".composer-explain")
    composer.page.focus(".composer-text")
    composer.type("<Alt+ArrowUp>")
    assert "Nothing was sent" in composer.answer, "each side has its own"
    composer.page.evaluate("window.answer = 'gone'")
    composer.write("{}").page.click(".composer-send")
    composer.page.wait_for_selector(".composer-answer:has-text('socket is gone <b>')")
    assert composer.sent[-1] == ["{}", "server"]
    composer.write("").type("<Control+Enter>")
    assert "nothing to send" in composer.answer and len(composer.sent) == 3
    assert composer.page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


def test_nothing_is_sent_while_it_is_off(composer: Composer) -> None:
    composer.page.evaluate("composer.setEnabled(false, 'No session is open.')")
    composer.write('{"a": 1}').type("<Control+Enter>").page.click(".composer-send", force=True)
    assert composer.sent == [] and composer.answer == ""
    assert composer.page.inner_text(".composer-why") == "No session is open."
    assert composer.page.get_attribute(".composer-send", "aria-disabled") == "true"
    composer.page.evaluate(
        "composer.setEnabled(true); composer.setSession({model: 'm-1', surface: 'vertex', state: 'ready', sends: 'Open it'})"
    )
    explained = composer.page.inner_text(".composer-explain")
    assert "m-1 · vertex · ready" in explained and "client does not learn of it" in explained
    assert composer.button == "Open it" and not composer.page.is_visible(".composer-why")
    composer.page.evaluate("composer.setSession({model: 'm-1', own: true})")
    assert "learn" not in composer.page.inner_text(".composer-explain"), "it has no other client"
    composer.page.click(".composer-send")
    composer.sends(1)


def test_templates_are_whole_messages_with_the_first_value_selected(composer: Composer) -> None:
    composer.write('{"mine": 1}').page.select_option(".composer-templates", label="a turn of text")
    assert '"text": "|hello|"' in composer.marked
    composer.type("bye")
    assert json.loads(composer.text)["clientContent"]["turns"][0]["parts"] == [{"text": "bye"}]
    assert composer.type(*["<Control+z>"] * 5).text == '{"mine": 1}'
    composer.page.check("input[value=server]", force=True)
    composer.page.select_option(".composer-templates", index=1)
    assert json.loads(composer.text) == completion.table()["templates"]["server"][0]["message"]


def test_a_megabyte_is_not_looked_at_with_every_key(browser: Browser, place: str) -> None:
    composer = Composer(browser, place)
    # no pause begins while keys are counted, however slow the machine
    composer.page.evaluate("() => { window.waits = window.setTimeout; window.setTimeout = () => 0; }")
    start = '{"realtimeInput": {"audio": {"data": "'
    composer.write(start + "A" * 1_000_000 + '", |}}}')
    assert composer.page.get_attribute(".composer-text", "class") == "composer-text", "nothing of it is painted"
    before = composer.page.evaluate("({...window.work})")
    composer.type('"mime', "<Backspace>", "<ArrowLeft>", "<ArrowRight>", "[", "<Backspace>")
    assert composer.page.evaluate("({...window.work})") == before, "no key reads it"
    composer.type("<Control+ >")
    assert composer.offered == ["*mimeType"]
    after = composer.page.evaluate("({...window.work})")
    assert after["tokens"] - before["tokens"] < 60, "sound is one token"
    assert after["scanned"] - before["scanned"] < 1_100_000, "who asks pays for one pass"
    composer.page.evaluate("() => { window.setTimeout = window.waits; }")
    composer.type("<Enter>")
    end = composer.page.evaluate("document.querySelector('.composer-text').value.slice(-21)")
    assert end == 'A", "mimeType": ""}}}'
    composer.page.wait_for_function("() => window.checked.length === 1")
    composer.write("[" * 300_000 + "|").type("<Control+ >", "<Control+Enter>")
    assert "it is no JSON" in composer.answer
    composer.close()


def test_hostile_text_stays_text(composer: Composer) -> None:
    every = " ".join(PAYLOADS)
    composer.page.evaluate(
        "([every, found]) => { window.findings = found; window.answer = { ok: false, message: every }; composer.setSession({ model: every, surface: every, state: every }); composer.setEnabled(false, every); composer.setEnabled(true, every); }",
        [every, [{"level": one, "rule": one, "path": f"/{one}", "complaint": one, "cure": one} for one in PAYLOADS]],
    )
    composer.write(json.dumps({one: {one: [one]} for one in PAYLOADS}, ensure_ascii=False))
    composer.found("svg onload").click()
    for payload in (*PAYLOADS, "{" + every, f'{{"{every}": {{|'):
        composer.write(payload).type("<Control+ >", "<Escape>")
    composer.write(json.dumps({"__proto__": {"pwned": every}})).type("<Control+Enter>")
    composer.page.wait_for_function(
        "() => document.querySelector('.composer-answer').textContent.includes('pwned=1')"
    )
    assert composer.page.evaluate("[window.pwned, ({}).pwned]") == [None, None]
    tags = "(all) => [...new Set(all.map((one) => one.tagName))].sort()"
    assert composer.page.locator(".composer *").evaluate_all(tags) == [
        "B", "BUTTON", "CODE", "DIV", "I", "INPUT", "LABEL", "LI", "OPTION", "OUTPUT", "P", "PRE", "SELECT", "SPAN", "TEXTAREA", "UL",
    ]  # fmt: skip
    shown = composer.page.inner_text("body")
    assert "\\u202e" in shown and not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    composer.page.set_viewport_size({"width": 400, "height": 900})
    assert composer.page.evaluate("document.documentElement.scrollWidth") <= 400


def test_it_fits_a_phone_and_knows_the_dark(browser: Browser, place: str) -> None:
    colours = set()
    for width, scheme in ((1280, "light"), (400, "dark")):
        made = Composer(browser, place, width=width, scheme=scheme)
        made.write('{"setup": {"generationConfig": {"speechConfig": {"voiceConfig": {"x": {}, |}}}}}')
        made.type("<Control+ >")
        box = made.page.locator(".composer-popup").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] + box["height"] <= 900
        assert made.page.evaluate("document.documentElement.scrollWidth") <= width
        colours.add(made.page.evaluate("getComputedStyle(document.querySelector('.composer-popup')).backgroundColor"))
        made.close()
    assert len(colours) == 2
