"""Why nothing happens: `trace.waiting`, and every tool of traces that says it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from livews.cli import main
from livews.conversation import Conversation
from livews.core import codec, protocol
from livews.report import render
from livews.trace.session import follow
from livews.trace.waiting import Waiting
from tests.kit.names import DATA
from tests.kit.sound import RATE, noise, silence, speech
from tests.kit.traces import Row, asked, control, got, sent, transcript
from tests.trace.kit import HEAD, Run, voice, write

CASES: list[dict[str, Any]] = json.loads((DATA / "waiting.json").read_text())["cases"]
_CHUNK = 0.1
"""Seconds of sound in a message, and between two."""


def _content(t: float, *roles: str, text: str = "Hello") -> Row:
    return sent(t, {"clientContent": {"turns": [{"role": role, "parts": [{"text": text}]} for role in roles]}})


def _blob(pcm: bytes, rate: int = RATE) -> dict[str, str]:
    return {"mimeType": f"audio/pcm;rate={rate}", "data": codec.encode_base64(pcm)}


def _stream(t: float, pcm: bytes, rate: int = RATE) -> Iterator[Row]:
    """Samples at 16 kHz, sent as they are spoken; `rate` is what they claim."""
    size = int(2 * RATE * _CHUNK)
    for i in range(0, len(pcm), size):
        yield sent(t + i / size * _CHUNK, {"realtimeInput": {"audio": _blob(pcm[i : i + size], rate)}})


def _picture(name: str) -> dict[str, Any]:
    blob = {"mimeType": "image/jpeg", "data": codec.encode_base64(b"\xff\xd8\xff")}
    return {"realtimeInput": {name: [blob] if name == "mediaChunks" else blob}}


def _answer(name: str, **more: Any) -> dict[str, Any]:
    return {"toolResponse": {"functionResponses": [{"id": name, "name": name, "response": {}, **more}]}}


EVENTS: dict[str, Callable[[float, Any], Row | list[Row]]] = {
    "content": lambda t, text: _content(t, "user", text=text),
    "history": lambda t, roles: _content(t, *roles.split()),
    "ask": asked,
    "text": lambda t, text: sent(t, {"realtimeInput": {"text": text}}),
    "speech": lambda t, seconds: [*_stream(t, speech(seconds))],
    "room": lambda t, seconds: [*_stream(t, noise(seconds, level=40))],
    "silence": lambda t, seconds: [*_stream(t, silence(seconds))],
    **{
        f"{what} as {rate}": lambda t, seconds, make=make, rate=rate: [*_stream(t, make(seconds), rate)]
        for what, make in (("speech", speech), ("silence", silence))
        for rate in (24_000, 32_000, 48_000)
    },
    "chunks": lambda t, seconds: sent(t, {"realtimeInput": {"mediaChunks": [_blob(speech(seconds))]}}),
    "burst": lambda t, seconds: sent(t, {"realtimeInput": {"audio": _blob(speech(seconds))}}),
    "video": lambda t, _: sent(t, _picture("video")),
    "picture chunk": lambda t, _: sent(t, _picture("mediaChunks")),
    "start": lambda t, _: sent(t, {"realtimeInput": {"activityStart": {}}}),
    "end": lambda t, _: sent(t, {"realtimeInput": {"activityEnd": {}}}),
    "streamEnd": lambda t, _: sent(t, {"realtimeInput": {"audioStreamEnd": True}}),
    "call": lambda t, name: got(t, {"toolCall": {"functionCalls": [{"id": name, "name": name, "args": {}}]}}),
    "answer": lambda t, name: sent(t, _answer(name)),
    "interim answer": lambda t, name: sent(t, _answer(name, willContinue=True)),
    "silent answer": lambda t, name: sent(t, _answer(name, scheduling="SILENT")),
    "words": transcript,
    "reply": lambda t, seconds: [voice(t, speech(seconds, 24_000)), got(t + 0.5, {"serverContent": {"turnComplete": True}})],
    "turnComplete": lambda t, _: got(t, {"serverContent": {"turnComplete": True}}),
    "heard": lambda t, _: got(t, {"voiceActivity": {"type": "ACTIVITY_END", "audioOffset": "2s"}}),
    "transcribed": lambda t, text: got(t, {"serverContent": {"inputTranscription": {"text": text}}}),
    "goAway": lambda t, left: got(t, {"goAway": {"timeLeft": left}}),
    "ping": lambda t, _: control(t, "send", "ping", size=0),
    "close": lambda t, code: control(t, "send", "close", code=code, reason=""),
    "refuse": lambda t, code: control(t, "recv", "close", code=code, reason="Request contains an invalid argument."),
}  # fmt: skip


def rows_of(case: dict[str, Any]) -> list[Row]:
    setup = {"model": f"models/{case.get('model', 'gemini-3.8-live')}", **case.get("setup", {})}
    if case.get("manual"):
        setup["realtimeInputConfig"] = {"automaticActivityDetection": {"disabled": True}}
    events = [EVENTS[what](t, value) for t, what, value in case["events"]]
    rows = [row for event in events for row in (event if isinstance(event, list) else [event])]
    ready = got(0.5 if case.get("early") else 0.1, {"setupComplete": {}})
    return sorted([sent(0.0, {"setup": setup}), ready, *rows], key=lambda row: row["t"])


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_what_a_session_waits_for(case: dict[str, Any], trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *rows_of(case))
    rules = {row["rule"] for row in protocol.load("rules.json")["stalls"]}
    lines = [json.loads(line) for line in trace("check", "--json", path).out.splitlines()]
    whole = [line for line in lines if line["rule"] in rules and line["rule"] not in _BY_MESSAGE]
    stalls = whole or [line for line in lines if line["complaint"] in _words(case)]
    stats = json.loads(trace("stats", "--json", path).out)["stalls"]
    shown = " ".join(trace("show", path).out.split())
    if case["waits"] is None:
        assert (stalls, stats) == ([], [])
        return
    rule, words = case["waits"]
    said = case.get("said", words)  # of the messages before, in other words
    assert [(row["rule"], row["level"]) for row in lines if said in row["complaint"] and row["rule"] == rule] == [
        (rule, "note")
    ]
    assert [row["rule"] for row in stats] == [rule]
    assert words in stats[0]["complaint"] and stats[0]["do"].endswith(".")
    assert said in shown and f"({rule})" in shown


_BY_MESSAGE = {"SETUP-2", "TURN-6", "ACTIVITY-4", "AUDIO-1", "AUDIO-11", "AUDIO-12", "TOOL-3"}
"""Rules that are about single messages as well."""


def _words(case: dict[str, Any]) -> str:
    return case["waits"][1] if case["waits"] else ""


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_clock_finds_the_same_once(case: dict[str, Any]) -> None:
    """Asked every second, as the proxy does, while the session goes on."""
    conversation = Conversation()
    waiting = Waiting(conversation)
    found: list[str] = []
    rows = [row for row in rows_of(case) if "message" in row]
    for row, after in zip(rows, [*(row["t"] for row in rows[1:]), rows[-1]["t"] + 12], strict=True):
        step = conversation.step("client" if row["dir"] == "send" else "server", codec.dump(row["message"]))
        waiting.take(row["t"], step)
        for n in range(1, int(after - row["t"]) + 1):
            if stall := waiting.stall(row["t"] + n):
                found.append(stall.finding.rule)
    if "refuse" in [what for _, what, _ in case["events"]]:
        return  # without its close the session is another
    if case.get("live"):
        assert len(found) == 1, "what still comes is not known yet"
    else:
        assert found == ([case["waits"][0]] if case["waits"] else [])


def test_the_report_and_the_text_of_check_have_it(trace: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *rows_of(CASES[0]))
    done = trace("check", path)
    assert done.code == 0
    assert f"{path}:6 note /clientContent/turnComplete: 3 messages were sent, none asks" in done.out
    assert "TURN-7: 1 note. Send turnComplete true" in done.err
    render.write(path, tmp_path / "t.html")
    assert "3 messages were sent, none asks" in (tmp_path / "t.html").read_text()
    assert "3 messages were sent, none asks" in trace("stats", path).out


def test_sound_that_was_left_out_of_a_trace_says_nothing(trace: Run, tmp_path: Path) -> None:
    rows = rows_of({"events": [[1, "speech", 2.0], [12, "close", 1000]]})
    for row in rows:
        if "realtimeInput" in row.get("message", {}):
            row["message"]["realtimeInput"]["audio"]["data"] = "elided:3200"
    assert "ACTIVITY-6" not in trace("check", write(tmp_path / "t.jsonl", *rows)).out


def test_of_long_audio_only_the_end_is_kept() -> None:
    rows = rows_of({"events": [[1, "silence", 60.0]]})
    session = next(follow([json.dumps(row).encode() for row in (HEAD, *rows)]))
    waiting = Waiting(session.conversation)
    for record, step in session:
        waiting.follow(record, step)
    assert waiting._sent.sound == pytest.approx(60.0)
    assert waiting._sent.kept_seconds < 5


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_json_lines_of_a_client_say_what_they_do_not_ask(
    case: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where only the client is known, a cause that needs no time: what was answered is not known."""
    path = tmp_path / "t.jsonl"
    rows = [row["message"] for row in rows_of(case) if row.get("dir") == "send" and "message" in row]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    main(["check", "--json", str(path)])
    certain_rules = ("TURN-7", "TURN-8", "TURN-9", "ACTIVITY-6")
    found = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert {row["rule"] for row in found if row["level"] == "error"} <= {"MODEL-6"}, "what the setup lacks"
    found = [row for row in found if row["rule"] in certain_rules]
    asks = {"ask", "text", "end"} & {what for _, what, _ in case["events"]}
    certain = case["waits"] and case["waits"][0] in certain_rules
    if certain and not asks:
        assert [(row["rule"], row["level"]) for row in found] == [(case["waits"][0], "note")]
    elif case["waits"] is None and case["events"][0][1] in ("ask", "silence", "ping"):
        assert [row["rule"] for row in found] in ([], ["ACTIVITY-6"]) and (
            not found or case["events"][-2][1] == "speech"
        )


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_a_wrong_rate_is_one_finding(rate: int, trace: Run, tmp_path: Path) -> None:
    rows = rows_of({"events": [[1, f"speech as {rate}", 4.0], [20, "close", 1000]]})
    path = write(tmp_path / "t.jsonl", *rows)
    assert trace("check", path).out.count("AUDIO-12") == 1
    assert trace("show", path).out.count("AUDIO-12") == 1
    assert [row["rule"] for row in json.loads(trace("stats", "--json", path).out)["stalls"]] == ["AUDIO-12"]


def test_what_is_no_pcm_has_no_other_cause(trace: Run, tmp_path: Path) -> None:
    """Text is noise that never ends; that no silence followed it is no news."""
    text = codec.encode_base64(speech(3.0)).encode()
    path = write(
        tmp_path / "t.jsonl",
        *rows_of({"events": []}),
        *_stream(1.0, text),
        control(20, "send", "close", code=1000, reason=""),
    )
    assert [row for row in ("AUDIO-7", "ACTIVITY-6", "AUDIO-12") if row in trace("check", path).out] == ["AUDIO-7"]
    assert "AUDIO-10" not in trace("check", path).out
