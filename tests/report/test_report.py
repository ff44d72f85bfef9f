"""The report of a trace: what is in it, and that a real browser opens it, plays it, and runs nothing of the wire.

Those that need the browser are skipped without one, with LIVEWS_REQUIRE_BROWSER=1 they fail (tests/kit/browser.py).
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import math
import re
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from livews.analysis import audio_tracks
from livews.core import codec
from livews.errors import BadRequest
from livews.report import data as report_data
from livews.report import render
from livews.trace.session import follow
from tests.kit.browser import Browser
from tests.kit.command import livews

HEADER = {
    "trace": "livews", "version": 1, "started": "2026-11-22T10:00:00.000000Z", "side": "client", "livews": "0.1.0",
    "url": "wss://generativelanguage.googleapis.com/ws/x?key=AIzaSyThisIsNoKeyButLooksLikeOne000000", "protocol": "2026-11-22",
}  # fmt: skip
SETUP = {"setup": {"model": "models/gemini-3.8-live", "generationConfig": {"responseModalities": ["AUDIO"]}}}


def tone(seconds: float, rate: int, hertz: float = 440, level: float = 0.4) -> bytes:
    step = 2 * math.pi * hertz / rate
    return b"".join(
        struct.pack("<h", round(32767 * level * math.sin(i * step))) for i in range(round(seconds * rate))
    )


def silence(seconds: float, rate: int) -> bytes:
    return bytes(2 * round(seconds * rate))


class Trace:
    """The lines of a trace, written by hand."""

    def __init__(self, **header: Any) -> None:
        self.rows: list[dict[str, Any]] = [{**HEADER, **header}]

    def frame(self, t: float, sender: str, message: Any) -> Trace:
        size = len(json.dumps(message))
        self.rows.append({"t": t, "dir": sender, "opcode": "text", "size": size, "message": message})
        return self

    def send(self, t: float, message: Any) -> Trace:
        return self.frame(t, "send", message)

    def recv(self, t: float, message: Any) -> Trace:
        return self.frame(t, "recv", message)

    def control(self, t: float, sender: str, kind: str, about: dict[str, Any]) -> Trace:
        self.rows.append({"t": t, "dir": sender, kind: about})
        return self

    def mic(self, t: float, pcm: bytes, rate: int = 16_000) -> Trace:
        """Sound of the user in chunks of 100 ms, the first sent at t + 0.1."""
        size = rate // 10 * 2
        for i in range(0, len(pcm), size):
            data = base64.b64encode(pcm[i : i + size]).decode()
            t += 0.1
            self.send(round(t, 6), {"realtimeInput": {"audio": {"mimeType": f"audio/pcm;rate={rate}", "data": data}}})
        return self

    def voice(self, t: float, pcm: bytes) -> Trace:
        data = base64.b64encode(pcm).decode()
        part = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}
        return self.recv(t, {"serverContent": {"modelTurn": {"parts": [part]}}})

    def lines(self) -> list[bytes]:
        return [json.dumps(row).encode() + b"\n" for row in self.rows]

    def write(self, path: Path) -> Path:
        path.write_bytes(b"".join(self.lines()))
        return path


def started() -> Trace:
    return Trace().send(0.01, SETUP).recv(0.15, {"setupComplete": {}})


def conversation() -> Trace:
    """Asks by voice, is answered, cuts in after half a second was heard, calls a tool, is closed for an unknown member."""
    trace = started().control(0.2, "send", "ping", {"data": ""}).control(0.22, "recv", "pong", {"data": ""})
    trace.recv(0.25, {"sessionResumptionUpdate": {"newHandle": "h-1", "resumable": True}})
    trace.mic(0.4, tone(0.8, 16_000) + silence(0.4, 16_000))
    trace.recv(1.85, {"serverContent": {"inputTranscription": {"text": "What is the weather in Oslo?"}}})
    trace.recv(1.9, {"serverContent": {"outputTranscription": {"text": "The weather in Oslo "}}})
    trace.voice(2.0, silence(0.1, 24_000) + tone(0.9, 24_000, 220)).voice(2.05, tone(1.0, 24_000, 330))
    trace.recv(2.06, {"serverContent": {"outputTranscription": {"text": "is cold and wet."}}})
    trace.recv(2.5, {"serverContent": {"interrupted": True}})
    trace.recv(2.51, {"serverContent": {"turnComplete": True}})
    heard = {
        "receivedMs": 2000.0,
        "heardMs": 560.0,
        "interrupted": True,
        "underruns": 0,
        "underrunMs": 0.0,
        "late": 0,
    }
    trace.control(2.52, "recv", "heard", heard)
    trace.send(
        3.0,
        {
            "clientContent": {
                "turns": [{"role": "user", "parts": [{"text": "Turn on the lamp"}]}],
                "turnComplete": True,
            }
        },
    )
    trace.recv(3.2, {"toolCall": {"functionCalls": [{"id": "c1", "name": "lamp", "args": {"on": True}}]}})
    trace.send(3.5, {"toolResponse": {"functionResponses": [{"id": "c1", "name": "lamp", "response": {"ok": True}}]}})
    trace.voice(3.7, tone(0.5, 24_000, 260))
    trace.recv(3.75, {"serverContent": {"generationComplete": True}, "newThing": {"x": 1}})
    trace.recv(4.3, {"serverContent": {"turnComplete": True}, "usageMetadata": {"totalTokenCount": 83}})
    trace.recv(4.6, {"goAway": {"timeLeft": "50s"}})
    trace.send(4.8, {"realtimeInput": {"text": "and now", "colour": "red"}})
    reason = "Invalid JSON payload received. Unknown name \"colour\" at 'realtime_input': Cannot find field."
    return trace.control(4.85, "recv", "close", {"code": 1007, "reason": reason})


def data_of(trace: Trace, **options: Any) -> dict[str, Any]:
    """What the page of the only session draws."""
    for session in follow(trace.lines(), "t"):
        made = report_data.ReportSession(session, report_data.MemberDocs(), **options)
        made.take(session)
        told = made.data()
        made.close()
    return told


# What is in it


def test_the_models_sound_ends_where_it_was_heard_to_end() -> None:
    told = data_of(conversation())
    first, second = told["sound"]["model"]["runs"]
    assert first[0] == 2.0 and first[5] == 48_000
    assert first[6] == round(0.560 * 24_000)
    assert second[0] == 3.7 and second[6] == second[5] == 12_000


def test_without_a_heard_line_the_sound_ends_at_interrupted() -> None:
    trace = conversation()
    trace.rows = [row for row in trace.rows if "heard" not in row]
    first, second = data_of(trace)["sound"]["model"]["runs"]
    assert first[6] == 12_000, "half a second, from 2.0 to 2.5"
    assert second[0] == 3.7


def test_a_reply_that_comes_faster_than_it_plays_is_one_run_and_the_next_waits_for_its_end() -> None:
    trace = started().voice(1.0, tone(1.0, 24_000)).voice(1.1, tone(1.0, 24_000))
    trace.recv(1.2, {"serverContent": {"turnComplete": True}}).voice(1.5, tone(0.5, 24_000))
    runs = data_of(trace)["sound"]["model"]["runs"]
    assert [(run[0], run[5]) for run in runs] == [(1.0, 48_000), (3.0, 12_000)]


def test_the_microphone_is_one_run_that_ends_when_its_last_frame_was_sent() -> None:
    (run,) = data_of(conversation())["sound"]["user"]["runs"]
    assert (run[0], run[1], run[5]) == (0.4, 16_000, 19_200)


def test_peaks_follow_the_sound() -> None:
    told = data_of(started().voice(1.0, silence(0.5, 24_000) + tone(0.5, 24_000, level=0.5)))["sound"]["model"]
    peaks = base64.b64decode(told["peaks"])
    assert len(peaks) == 100 and set(peaks[:50]) == {0}
    assert all(120 <= peak <= 128 for peak in peaks[51:])


def test_latency_counts_from_the_end_of_speech_and_to_the_first_sound() -> None:
    spoken, typed = data_of(conversation())["turns"]
    assert spoken["by"] == "voice" and spoken["asked"] == pytest.approx(1.2, abs=0.03)
    assert (spoken["firstByte"], spoken["firstSound"], spoken["how"]) == (1.9, 2.0, "interrupted")
    assert spoken["firstHeard"] == pytest.approx(2.1, abs=0.002), "the answer begins with 100 ms of silence"
    assert (typed["by"], typed["asked"], typed["firstByte"], typed["firstSound"]) == ("text", 3.0, 3.2, 3.7)


def test_the_close_is_explained_with_its_cure() -> None:
    end = data_of(conversation())["end"]
    assert (end["code"], end["by"], end["kind"]) == (1007, "server", "arguments")
    assert "colour" in end["reason"] and end["do"] and end["meaning"]


def test_heard_is_measured_only_where_the_trace_says_that_it_was() -> None:
    spoken, typed = data_of(conversation())["turns"]
    assert spoken["measured"] and not typed["measured"]
    silent = started().send(1.0, {"realtimeInput": {"text": "Hello"}}).voice(2.0, tone(0.5, 24_000))
    silent.recv(2.1, {"serverContent": {"turnComplete": True}})
    silent.control(2.7, "recv", "heard", {"receivedMs": 500.0, "heardMs": 0.0})
    (unheard,) = data_of(silent)["turns"]
    assert unheard["measured"] and unheard["firstSound"] == 2.0 and unheard["firstHeard"] is None


def test_a_setup_without_an_answer_is_among_the_findings() -> None:
    told = data_of(Trace().send(0.1, SETUP).control(9.0, "send", "close", {"code": 1000}))
    assert told["found"] == {0: [0]} and "setupComplete did not come" in told["findings"][0]["complaint"]
    refused = {"code": 1007, "reason": "no"}
    assert not data_of(Trace().send(0.1, SETUP).control(9.0, "recv", "close", refused))["found"]


def test_a_frame_is_parsed_once_and_shown_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = {"setup": {"model": "models/test", "generation_config": {"responseModalities": "audio", "topK": None}}}
    parsed: list[bytes] = []
    parse = codec.parse
    monkeypatch.setattr(codec, "parse", lambda raw: parsed.append(raw) or parse(raw))
    trace = Trace().send(0.01, setup).recv(0.15, {"setup_complete": {}})
    for session in follow(trace.lines(), "t"):
        made = report_data.ReportSession(session, report_data.MemberDocs())
        made.take(session)
        assert [row[0] for row in json.loads(made.chunk(0))] == [setup, {"setup_complete": {}}]
        made.close()
    assert parsed == [codec.dump(setup), codec.dump({"setup_complete": {}})]


def test_states_are_those_of_the_machine() -> None:
    states = data_of(conversation())["states"]
    assert [state for _, state in states["session"]] == ["new", "opening", "ready", "leaving", "closed"]
    names = [state for _, state in states["turn"]]
    assert "interrupted" in names and "waitingForTool" in names and "speaking" in names


def test_a_call_lasts_until_it_is_answered() -> None:
    ((began, ended, name, _, _, how),) = data_of(conversation())["tools"]
    assert (began, ended, name, how) == (3.2, 3.5, "lamp", "answered")


def test_pieces_of_a_transcript_are_one_text_as_long_as_the_turn() -> None:
    trace = started()
    for t in (1.0, 1.2, 2.0):
        trace.recv(t, {"serverContent": {"outputTranscription": {"text": f" at {t}"}}})
        if t == 1.2:
            trace.recv(1.3, {"serverContent": {"turnComplete": True}})
    said = data_of(trace)["texts"]["model"]
    assert [(text[0], text[1], text[2]) for text in said] == [(1.0, 1.2, "at 1.0 at 1.2"), (2.0, 2.0, "at 2.0")]


def test_sound_that_was_elided_has_its_length_and_no_samples() -> None:
    trace = started()
    blob = {"mimeType": "audio/pcm;rate=24000", "data": f"elided:{48_000}:{'0' * 64}"}
    trace.recv(1.0, {"serverContent": {"modelTurn": {"parts": [{"inlineData": blob}]}}})
    side = data_of(trace)["sound"]["model"]
    assert [(run[2], run[5]) for run in side["runs"]] == [(audio_tracks.ELIDED, 24_000)]
    assert side["peaks"] == ""


def test_more_sound_than_fits_is_drawn_and_not_kept() -> None:
    trace = started().voice(1.0, tone(1.0, 24_000)).voice(1.1, tone(1.0, 24_000))
    side = data_of(trace, most_sound=50_000)["sound"]["model"]
    assert [(run[2], run[5]) for run in side["runs"]] == [
        (audio_tracks.KEPT, 24_000),
        (audio_tracks.TOO_MUCH, 24_000),
    ]
    assert len(base64.b64decode(side["peaks"])) == 200


def blocks(text: str) -> dict[str, Any]:
    """The data blocks of a report by id, JSON ones read."""
    found = re.findall(r'<script type="([^"]+)" id="([^"]+)">(.*?)</script>', text, re.DOTALL)
    return {name: json.loads(body) if kind == "application/json" else body for kind, name, body in found}


def test_the_file_holds_messages_words_and_sound_once(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    written = render.write(conversation().write(tmp_path / "s.jsonl"), out)
    text = out.read_text()
    assert written.size == out.stat().st_size and written.sessions == 1 and not written.cut_off
    held = blocks(text)
    told = held["report"]["sessions"][0]
    frames = sum(not flags & 2 for flags in base64.b64decode(told["flags"]))
    assert written.messages == frames == 30 and len(told["t"]) == len(held["messages-0-0"]) == 34
    assert len(base64.b64decode(held["sound-0-user"])) == 2 * 19_200
    assert len(base64.b64decode(held["sound-0-model"])) == 2 * (48_000 + 12_000)
    docs = held["report"]["docs"]
    assert "goAway" in docs["server/BidiGenerateContentServerMessage"]["members"]
    assert "toolCallCancellation" not in docs["server/BidiGenerateContentServerMessage"]["members"], (
        "it does not occur"
    )
    assert "AIza" not in text, "the key in the URL"


def test_the_policy_allows_the_reports_own_script_and_style_alone(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    render.write(started().write(tmp_path / "s.jsonl"), out)
    text = out.read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1]  # type: ignore[index]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and "unsafe" not in policy and "http" not in policy
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"


def test_a_trace_that_was_cut_off_and_one_of_two_sessions(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"".join([*conversation().lines(), *started().lines()]) + b'{"t":9,"dir":"re')
    written = render.write(path, tmp_path / "out.html")
    assert (written.sessions, written.cut_off) == (2, True)
    told = blocks((tmp_path / "out.html").read_text())["report"]["sessions"]
    assert [one["cutOff"] for one in told] == [False, True]
    assert told[1]["end"] is None


def test_what_cannot_be_done_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    trace = conversation().write(tmp_path / "s.jsonl")
    kept = trace.read_bytes()
    with pytest.raises(BadRequest):
        render.write(trace, trace)
    assert trace.read_bytes() == kept
    with pytest.raises(BadRequest):
        render.write(tmp_path / "nothing.jsonl", tmp_path / "out.html")
    trace.write_bytes(kept + b"no line of a trace\n")
    with pytest.raises(BadRequest) as told:
        render.write(trace, tmp_path / "out.html")
    assert "s.jsonl:" in told.value.where
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.jsonl"]


# In a browser


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talk")
    render.write(conversation().write(folder / "talk.jsonl"), folder / "talk.html")
    return folder / "talk.html"


def show(browser: Browser, path: Path, width: int = 1280, scheme: str = "light") -> Any:
    return browser.open(path.as_uri(), width, scheme, wait_for="#rows .row")


def text_of(opened: Any, selector: str) -> str:
    return str(opened.inner_text(selector))


def row_of(opened: Any, words: str) -> Any:
    return opened.locator("#rows .row", has_text=words).first


def look_up(opened: Any, words: str) -> str:
    """Search, and open the first message found: what is told of it."""
    opened.fill("#search", words)
    opened.press("#search", "Enter")
    return text_of(opened, "#detail")


def test_it_opens_from_a_file_and_says_what_happened(browser: Browser, talk: Path) -> None:
    opened = show(browser, talk)
    assert text_of(opened, "#model") == "models/gemini-3.8-live"
    end = text_of(opened, "#end")
    assert "Closed by the server at 4.850 s: 1007" in end and "colour" in end and "do" in end
    assert "WIRE-5" in text_of(opened, "#findings") and "WIRE-6" in text_of(opened, "#findings")
    answers = text_of(opened, "#turns")
    assert "1 · voice" in answers and "2 · text" in answers and "700 ms" in answers
    painted = "() => { const c = document.getElementById('canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return new Set(new Uint32Array(d.buffer)).size; }"
    assert opened.evaluate(painted) > 20, "lanes of more than a few colours"
    assert not browser.wrong
    opened.close()


def test_a_message_opens_with_the_words_of_its_schema(browser: Browser, talk: Path) -> None:
    opened = show(browser, talk)
    detail = look_up(opened, "goaway")
    assert '"50s"' in detail
    spoken = json.loads((Path(__file__).resolve().parents[2] / "protocol/schemas/server/GoAway.json").read_text())
    assert spoken["properties"]["timeLeft"]["description"] in detail
    detail = look_up(opened, "and now")
    assert "WIRE-5 at /realtimeInput/colour" in detail and "do: " in detail and "closes with 1007" in detail
    assert "1,000 ms of sound" in look_up(opened, "audio 1000 ms"), "the base64 is cut, its length told"
    assert not browser.wrong
    opened.close()


def test_search_and_filters_find(browser: Browser, talk: Path) -> None:
    opened = show(browser, talk)
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
    assert not browser.wrong
    opened.close()


def test_the_keyboard_walks_and_opens(browser: Browser, talk: Path) -> None:
    opened = show(browser, talk)
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
    assert not browser.wrong
    opened.close()


def seconds_shown(opened: Any) -> float:
    return float(text_of(opened, "#clock").split()[0])


def test_playing_moves_the_cursor_and_plays_what_was_heard(browser: Browser, talk: Path) -> None:
    opened = show(browser, talk)
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
    assert models[0][2] == pytest.approx(0.4, abs=0.01), "the samples are the trace's own"
    assert not browser.wrong
    opened.close()


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


PAYLOADS = [
    "</script><script>window.pwned=1</script>",
    "<!--<script>window.pwned=2",
    "<img src=x onerror=window.pwned=3>",
    '"><svg onload=window.pwned=4>',
    "javascript:window.pwned=5",
    "' onmouseover='window.pwned=6' style='position:fixed;inset:0",
    "\x1b]0;pwned\x07\x1b[2J\x9b31m",
    "\u202egpj.exe\u2066\u200f",
    "</style><style>*{display:none}</style>",
    "${window.pwned=7}{{constructor.constructor('window.pwned=8')()}}",
    "</title><base href=//127.0.0.1:9/><meta http-equiv=refresh content='0;url=javascript:window.pwned=9'>",
    "\u2028window.pwned=10\u2029]]>--></noscript><iframe srcdoc='<script>parent.pwned=11</script>'>",
]


def hostile(place: str) -> Trace:
    """Every text field of a trace with something in it that wants to run; `place` is a URL nobody may ask for."""
    attacks = [
        *PAYLOADS,
        f"<img src={place}>",
        f"<link rel=stylesheet href={place}>",
        f"url({place})",
        f"<a ping={place} href={place}>",
    ]
    every = " ".join(attacks)
    trace = Trace(**dict.fromkeys(("url", "started", "livews", "protocol", "side"), every))
    trace.send(
        0.1,
        {
            "setup": {
                "model": every,
                "systemInstruction": {"parts": [{"text": every}]},
                "generationConfig": {"responseModalities": attacks},
            }
        },
    )
    trace.recv(0.2, {"setupComplete": {"sessionId": every}})
    for i, attack in enumerate(attacks):
        t = 0.3 + i / 10
        trace.send(
            t, {"clientContent": {"turns": [{"role": attack, "parts": [{"text": attack}]}], "turnComplete": True}}
        )
        trace.send(t, {"realtimeInput": {"text": attack, attack: attack}})
        trace.recv(
            t,
            {
                "serverContent": {
                    "modelTurn": {
                        "parts": [{"text": attack}, {attack: {attack: attack}}, {"executableCode": {"code": attack}}]
                    }
                }
            },
        )
        for name in ("inputTranscription", "outputTranscription", "interimInputTranscription"):
            trace.recv(t, {"serverContent": {name: {"text": attack}}})
        trace.recv(t, {"toolCall": {"functionCalls": [{"id": attack, "name": attack, "args": {attack: attack}}]}})
        trace.recv(t, {"toolCallCancellation": {"ids": [attack]}})
        trace.recv(
            t, {attack: attack, "goAway": {"timeLeft": attack}, "__proto__": {"pwned": attack}, "constructor": attack}
        )
        trace.recv(
            t,
            {
                "serverContent": {
                    "interactionStatus": attack,
                    "modelTurn": {"parts": [{"inlineData": {"mimeType": attack, "data": attack}}]},
                }
            },
        )
        trace.recv(
            t,
            {"sessionResumptionUpdate": {"newHandle": attack, "resumable": True}, "voiceActivity": {"type": attack}},
        )
        trace.control(t, "send", "ping", {"data": attack, attack: attack})
        trace.rows.append(
            {"t": t, "dir": "recv", "opcode": "text", "size": 9, "raw": base64.b64encode(attack.encode()).decode()}
        )
    long = "<b>" + "x" * 5_000_000 + "\u202e"
    trace.recv(3.0, {"serverContent": {"outputTranscription": {"text": long}}})
    trace.send(3.1, {"realtimeInput": {"text": long}})
    trace.recv(3.2, {long: long})
    trace.recv(3.3, {"serverContent": {"modelTurn": {"parts": [{"text": "y"}] * 20_000}}})
    trace.send(1e300, {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=9999999", "data": "AAAA"}}})
    trace.control(4.0, "recv", "heard", {"heardMs": every, "receivedMs": -1, "interrupted": True})
    return trace.control(4.1, "recv", "close", {"code": 1007, "reason": every})


class _Counting(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(204)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *given: Any) -> None:
        pass


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str]]]:
    """A web server that nobody may ask: its URL, and what it was asked for."""
    asked: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Counting", (_Counting,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/x", asked
    server.shutdown()
    thread.join()
    server.server_close()


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


def test_the_command_writes_it(tmp_path: Path) -> None:
    trace, out = conversation().write(tmp_path / "s.jsonl"), tmp_path / "out.html"
    done = livews("trace", "html", trace, "-o", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "1 session, 30 messages" in done.stderr
    assert out.read_text().startswith("<!doctype html>")
