"""The report in a real browser: it opens, plays, finds, and runs nothing from the wire.

Skipped without a browser; with LIVEWS_REQUIRE_BROWSER=1 they fail (tests/kit/browser.py).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from livews.core import protocol
from livews.report import render
from tests.kit.browser import Browser
from tests.report.kit import conversation, hostile, row_of, started, text_of


def show(browser: Browser, path: Path, width: int = 1280, scheme: str = "light") -> Any:
    return browser.open(path.as_uri(), width, scheme, wait_for="#rows .row")


@pytest.fixture
def opened(browser: Browser, talk: Path) -> Iterator[Any]:
    """The report of the talk, which does nothing that it must not."""
    page = show(browser, talk)
    yield page
    assert not browser.wrong
    page.close()


def look_up(opened: Any, words: str) -> str:
    """Search, and open the first message found: what is told of it."""
    opened.fill("#search", words)
    opened.press("#search", "Enter")
    return text_of(opened, "#detail")


def test_it_opens_from_a_file_and_says_what_happened(opened: Any) -> None:
    assert text_of(opened, "#model") == "models/gemini-3.8-live"
    end = text_of(opened, "#end")
    assert "Closed by the server at 4.850 s: 1007" in end and "colour" in end and "do" in end
    assert "WIRE-5" in text_of(opened, "#findings") and "WIRE-6" in text_of(opened, "#findings")
    answers = text_of(opened, "#turns")
    assert "1 · voice" in answers and "2 · text" in answers and "700 ms" in answers
    painted = "() => { const c = document.getElementById('canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return new Set(new Uint32Array(d.buffer)).size; }"
    assert opened.evaluate(painted) > 20, "lanes of more than a few colours"


def test_a_message_opens_with_the_words_of_its_schema(opened: Any) -> None:
    detail = look_up(opened, "goaway")
    assert '"50s"' in detail
    spoken = protocol.load("schemas/server/GoAway.json")
    assert spoken["properties"]["timeLeft"]["description"] in detail
    detail = look_up(opened, "and now")
    assert "WIRE-5 at /realtimeInput/colour" in detail and "do: " in detail and "closes with 1007" in detail
    assert "1,000 ms of sound" in look_up(opened, "audio 1000 ms"), "the base64 is cut, its length told"


def test_search_and_filters_find(opened: Any) -> None:
    whole = opened.locator("#rows .row").count()
    opened.keyboard.press("/")
    opened.keyboard.type("newhandle")  # a member's name, in no line of the list
    opened.wait_for_function("() => document.getElementById('count').textContent.startsWith('1 of')")
    assert "sessionResumptionUpdate" in text_of(opened, "#rows")
    opened.keyboard.press("Escape")
    opened.wait_for_function(f"() => document.querySelectorAll('#rows .row').length === {whole}")
    opened.keyboard.press("f")
    assert text_of(opened, "#count").startswith("2 of")
    opened.keyboard.press("f")
    opened.select_option("#side", "0")
    assert "←" not in text_of(opened, "#rows")
    opened.select_option("#side", "")
    opened.select_option("#kind", label="toolCall (1)")
    assert text_of(opened, "#count").startswith("1 of") and "lamp()" in text_of(opened, "#rows")


def test_the_keyboard_walks_and_opens(opened: Any) -> None:
    for key in ("j", "j", "k", "Enter"):
        opened.keyboard.press(key)
    assert text_of(opened, "#detail h3") == "→ setup"
    opened.keyboard.press("j")
    assert text_of(opened, "#detail h3") == "← setupComplete"
    opened.keyboard.press("?")
    assert opened.locator("#help").is_visible()
    opened.keyboard.press("Escape")
    assert not opened.locator("#help").is_visible()
    opened.keyboard.press("G")
    assert text_of(opened, "#detail h3") == "← close"


def seconds_shown(opened: Any) -> float:
    return float(text_of(opened, "#clock").split()[0])


def test_playing_moves_the_cursor_and_plays_what_was_heard(opened: Any) -> None:
    moved = "(from) => parseFloat(document.getElementById('clock').textContent) > from"
    opened.click("#zoom-fit")
    before = opened.evaluate("document.getElementById('cursor').style.transform")
    opened.keyboard.press("Space")
    opened.wait_for_function(moved, arg=0.3)
    assert opened.evaluate("document.getElementById('cursor').style.transform") != before
    opened.keyboard.press("Space")
    assert opened.get_attribute("#play", "aria-pressed") == "false"
    paused = seconds_shown(opened)
    box = opened.locator("#canvas").bounding_box()
    opened.mouse.click(box["x"] + box["width"] - 20, box["y"] + 8)
    assert seconds_shown(opened) > 4.0 > paused, "a click seeks"
    opened.evaluate("window.started = []")
    opened.mouse.click(box["x"] + 85, box["y"] + 8)
    opened.click("#play")
    opened.wait_for_function("() => window.started.some((one) => one[1] === 24000)")
    opened.click("#play")
    mine, models = ([one for one in opened.evaluate("window.started") if one[1] == rate] for rate in (16_000, 24_000))
    assert sum(one[0] for one in mine) == pytest.approx(1.2, abs=0.1)
    assert models[0][0] == pytest.approx(0.56, abs=0.01), "of the two seconds that came, what was heard"
    assert models[0][2] == pytest.approx(9_000 / 32_768, abs=0.01), "the samples are the trace's own"


def test_the_close_box_leads_to_what_the_client_sent_before(browser: Browser, talk: Path) -> None:
    opened = show(browser, talk, 400)
    assert "the client sent this: no member colour" in text_of(opened, "#end")
    assert text_of(opened, "#turns th:nth-child(5)") == "could be heard"
    assert "heard" in text_of(opened, "#turns tr:nth-child(1) td:nth-child(5)")
    assert "heard" not in text_of(opened, "#turns tr:nth-child(2) td:nth-child(5)")
    before = opened.locator("#detail").bounding_box()["height"]
    assert before < 100, "an empty box takes no room"
    opened.click("#end button")
    opened.wait_for_selector("#detail .finding.l3")
    row, list = (opened.locator(one).bounding_box() for one in ("#rows .row.sel", "#list"))
    assert row["y"] >= list["y"] and row["y"] + row["height"] <= list["y"] + list["height"] + 1
    assert not browser.wrong
    opened.close()


def test_it_fits_a_phone_and_knows_the_dark(browser: Browser, talk: Path) -> None:
    backs = set()
    for width in (1280, 400):
        for scheme in ("light", "dark"):
            opened = show(browser, talk, width, scheme)
            assert opened.evaluate("document.documentElement.scrollWidth") <= width
            backs.add(opened.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
            assert not browser.wrong
            opened.close()
    assert len(backs) == 2


def test_nothing_of_a_hostile_trace_runs(browser: Browser, outside: tuple[str, list[str]], tmp_path: Path) -> None:
    place, asked = outside
    out = tmp_path / "out.html"
    written = render.write(hostile(place).write(tmp_path / "s.jsonl"), out)
    assert written.size < 3_000_000, "20 MB of strings were cut"
    opened = show(browser, out)
    opened.keyboard.press("Enter")
    for _ in range(60):  # once one is open, each that is picked opens
        opened.keyboard.press("j")
    opened.keyboard.press("G")
    opened.keyboard.press("Enter")
    box = opened.locator("#canvas").bounding_box()
    for part in range(20):
        opened.mouse.move(box["x"] + 90 + part * 55, box["y"] + part * box["height"] / 20)
    opened.keyboard.press("/")
    opened.keyboard.type("<script>")
    opened.wait_for_function("() => / of /.test(document.getElementById('count').textContent)")
    opened.select_option("#kind", index=2)
    opened.evaluate("new Promise((done) => setTimeout(done, 200))")
    assert opened.evaluate("[window.pwned, ({}).pwned]") == [None, None]
    assert opened.url == out.as_uri()
    assert opened.locator("#lanes *, #rows *, #detail *, #end *").evaluate_all("(all) => [...new Set(all.map((one) => one.tagName))].sort()") == [
        "B", "BUTTON", "CANVAS", "CODE", "DD", "DIV", "DL", "DT", "H3", "SPAN",
    ]  # fmt: skip
    shown = opened.inner_text("body") + opened.title()
    opened.set_viewport_size({"width": 400, "height": 900})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 400, "nothing makes the page wider"
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert "\\u202e" in shown
    assert len(shown) < 200_000
    assert not browser.wrong
    assert not asked
    opened.close()


def test_the_policy_holds_where_the_script_would_not(
    browser: Browser, outside: tuple[str, list[str]], talk: Path
) -> None:
    """Even markup that got in could neither run nor ask for anything."""
    place, asked = outside
    opened = show(browser, talk)
    opened.evaluate(
        """async (place) => {
          const div = document.createElement("div");
          div.innerHTML = `<img src="${place}"><img src=x onerror="window.pwned=1"><iframe src="${place}"></iframe>
            <style>#model { display: none }</style><link rel=stylesheet href="${place}"><a id=leave href="javascript:window.pwned=2">x</a>`;
          document.body.append(div);
          const script = document.createElement("script");
          script.textContent = "window.pwned=3";
          document.body.append(script);
          document.getElementById("leave").click();
          await fetch(place).catch(() => 0);
          navigator.sendBeacon(place);
          await new Promise((done) => setTimeout(done, 200));
        }""",
        place,
    )
    assert opened.evaluate("window.pwned") is None
    assert opened.locator("#model").is_visible()
    assert not asked
    assert any("Content Security Policy" in one for one in browser.wrong)
    opened.close()


def test_each_session_of_a_file_can_be_looked_at(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"".join([*conversation().lines(), *started().lines()]))
    render.write(path, tmp_path / "out.html")
    opened = show(browser, tmp_path / "out.html")
    opened.keyboard.press("j")
    opened.keyboard.press("Enter")
    opened.select_option("#session", index=1)
    assert text_of(opened, "#count") == "2 lines"
    assert "No close was recorded" in text_of(opened, "#end")
    assert "setupComplete" in look_up(opened, "setupcomplete")
    opened.select_option("#session", index=0)
    assert text_of(opened, "#count") == "34 lines"
    assert not browser.wrong
    opened.close()


def test_ten_thousand_messages_paint_and_scroll(browser: Browser, tmp_path: Path) -> None:
    trace = started()
    for i in range(9_997):
        trace.recv(0.2 + i / 50, {"serverContent": {"outputTranscription": {"text": f"word {i}"}}})
    trace.control(300, "recv", "close", {"code": 1000, "reason": ""})
    render.write(trace.write(tmp_path / "s.jsonl"), tmp_path / "out.html")
    opened = show(browser, tmp_path / "out.html")
    assert "10,000 lines" in text_of(opened, "#count")
    assert opened.locator("#rows .row").count() < 100
    opened.evaluate("document.getElementById('list').scrollTop = 1e9")
    row_of(opened, "close").wait_for()
    opened.evaluate("document.getElementById('list').scrollTop = 5000 * 26")
    row_of(opened, "word 5000").wait_for()
    opened.keyboard.press("/")
    opened.keyboard.type("word 9876")
    opened.wait_for_function("() => document.getElementById('count').textContent.startsWith('1 of')")
    opened.keyboard.press("Enter")
    assert "word 9876" in text_of(opened, "#detail")
    assert not browser.wrong
    opened.close()
