"""What a report holds: the data of a session, and the file."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from livews.analysis import audio_tracks
from livews.core import codec
from livews.errors import BadRequest
from livews.report import data as report_data
from livews.report import render
from livews.report.message_excerpt import MemberDocs
from livews.trace.session import follow
from tests.kit.command import livews
from tests.kit.sound import silence, tone
from tests.report.kit import SETUP, Trace, conversation, data_of, fill, started


def test_the_models_sound_ends_where_it_was_heard_to_end() -> None:
    page_data = data_of(conversation())
    first, second = page_data["sound"]["model"]["runs"]
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
    page_data = data_of(started().voice(1.0, silence(0.5, 24_000) + tone(0.5, 24_000, level=16_384)))["sound"][
        "model"
    ]
    peaks = page_data["peaks"]
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
    page_data = data_of(Trace().send(0.1, SETUP).control(9.0, "send", "close", {"code": 1000}))
    assert page_data["found"] == {"0": [0]} and "setupComplete did not come" in page_data["findings"][0]["complaint"]
    refused = {"code": 1007, "reason": "no"}
    assert not data_of(Trace().send(0.1, SETUP).control(9.0, "recv", "close", refused))["found"]


@pytest.mark.parametrize(
    ("direction", "code", "kind", "retry"),
    [("recv", 1000, "session", "resume"), ("recv", 1005, "session", "resume"), ("send", 1000, "normal", "no"), ("send", 1005, "normal", "no")],
)  # fmt: skip
def test_a_normal_code_is_a_normal_end_of_the_client_only(direction: str, code: int, kind: str, retry: str) -> None:
    trace = Trace().send(0.1, SETUP).recv(0.2, {"setupComplete": {}})
    end = data_of(trace.control(9.0, direction, "close", {"code": code, "reason": ""}))["end"]
    assert (end["kind"], end["retry"]) == (kind, retry)


def test_the_end_after_go_away_was_announced() -> None:
    trace = Trace().send(0.1, SETUP).recv(0.2, {"setupComplete": {}}).recv(1.0, {"goAway": {"timeLeft": "50s"}})
    end = data_of(trace.control(9.0, "recv", "close", {"code": 1001, "reason": ""}))["end"]
    assert "announced that with goAway" in end["meaning"] and end["retry"] == "resume"


def test_a_frame_is_parsed_once_and_shown_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = {"setup": {"model": "models/test", "generation_config": {"responseModalities": "audio", "topK": None}}}
    parsed: list[bytes] = []
    parse = codec.parse
    monkeypatch.setattr(codec, "parse", lambda raw: parsed.append(raw) or parse(raw))
    trace = Trace().send(0.01, setup).recv(0.15, {"setup_complete": {}})
    for session in follow(trace.lines(), "t"):
        made = report_data.ReportSession(session, MemberDocs())
        fill(made, session)
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
    assert side["peaks"] == b""


def test_more_sound_than_fits_is_drawn_and_not_kept() -> None:
    trace = started().voice(1.0, tone(1.0, 24_000)).voice(1.1, tone(1.0, 24_000))
    side = data_of(trace, max_audio=50_000)["sound"]["model"]
    assert [run[2] for run in side["runs"]] == [audio_tracks.KEPT, audio_tracks.TOO_MUCH]
    assert [run[5] for run in side["runs"]] == [24_000, 24_000]
    assert len(side["peaks"]) == 200


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
    page_data = held["report"]["sessions"][0]
    frames = sum(not flags & 2 for flags in base64.b64decode(page_data["flags"]))
    assert written.messages == frames == 30 and len(page_data["t"]) == len(held["messages-0-0"]) == 34
    assert len(base64.b64decode(held["sound-0-user"])) == 2 * 19_200
    assert len(base64.b64decode(held["sound-0-model"])) == 2 * (48_000 + 12_000)
    docs = held["report"]["docs"]
    members = docs["server/BidiGenerateContentServerMessage"]["members"]
    assert "goAway" in members and "toolCallCancellation" not in members, "it does not occur"
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
    page_data = blocks((tmp_path / "out.html").read_text())["report"]["sessions"]
    assert [one["cutOff"] for one in page_data] == [False, True]
    assert page_data[1]["end"] is None


def test_what_cannot_be_done_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    trace = conversation().write(tmp_path / "s.jsonl")
    kept = trace.read_bytes()
    with pytest.raises(BadRequest):
        render.write(trace, trace)
    assert trace.read_bytes() == kept
    with pytest.raises(BadRequest):
        render.write(tmp_path / "nothing.jsonl", tmp_path / "out.html")
    trace.write_bytes(kept + b"no line of a trace\n")
    with pytest.raises(BadRequest) as raised:
        render.write(trace, tmp_path / "out.html")
    assert "s.jsonl:" in raised.value.where
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.jsonl"]


def test_the_command_writes_it(tmp_path: Path) -> None:
    trace, out = conversation().write(tmp_path / "s.jsonl"), tmp_path / "out.html"
    done = livews("trace", "html", trace, "-o", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "1 session, 30 messages" in done.stderr
    assert out.read_text().startswith("<!doctype html>")
