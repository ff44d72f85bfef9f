"""What is made from a trace shows no resumption handle, also where the peer repeats one, and no credential in pieces."""

import json
from pathlib import Path

import pytest

from livews import redactor
from livews.cli import main
from livews.core import codec
from livews.hidden_values import HiddenHandles
from livews.redactor import HIDDEN, pseudonym
from tests.kit.names import KEY
from tests.kit.traces import Row, asked, control, got, sent, transcript
from tests.trace.kit import HEAD, Run, over, tone, voice, write

GIVEN, RESUMED = "Cig3-given/handle_0123456789", "resumed-handle-9876543210"
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in GIVEN)
TOOLS: list[tuple[list[str], str]] = [
    (["show"], ""), (["show", "--json"], ""), (["stats"], ""), (["stats", "--json"], ""), (["check"], ""), (["check", "--json"], ""),
    (["export"], "x.har"), (["export"], "x.md"), (["export"], "x.srt"), (["export"], "x.vtt"), (["html"], "x.html"),
    (["redact"], "x.jsonl"), (["redact", "--audio"], "x.jsonl"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_handles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redactor, "_handles", HiddenHandles())


def echoes() -> list[Row]:
    """Handles in their members, and wherever else a peer can put them."""
    call = {"id": "c1", "name": f"f_{GIVEN}", "args": {"handle": GIVEN, "why": [f"as {RESUMED} said"]}}
    return [
        sent(0.0, {"setup": {"model": "models/gemini-3.8-live", "sessionResumption": {"handle": RESUMED}}}),
        got(0.1, {"setupComplete": {}}),
        got(0.2, {"sessionResumptionUpdate": {"newHandle": GIVEN, "resumable": True}}),
        asked(1.0, f"What is {GIVEN}?"),
        got(1.1, {"serverContent": {"modelTurn": {"parts": [{"text": f"It is {GIVEN}."}]}}}),
        transcript(1.2, f"Yes, {RESUMED} "),
        transcript(1.25, f"and {GIVEN[:9]}"),
        transcript(1.3, GIVEN[9:] + " too."),
        voice(1.35, tone(0.1)),
        got(1.4, {"serverContent": {"inputTranscription": {"text": f"heard {RESUMED}"}}}),
        got(1.5, {f"new_{GIVEN}": {"is": [GIVEN, {GIVEN: RESUMED}]}}),
        got(1.6, {"toolCall": {"functionCalls": [call]}}),
        sent(1.7, {"toolResponse": {"functionResponses": [{"id": "c1", "name": "f", "response": {"was": RESUMED}}]}}),
        sent(1.8, {"realtimeInput": {"txt": GIVEN}}),
        got(1.9, {"goAway": {"timeLeft": GIVEN}}),
        over(2.0),
        control(2.2, "recv", "close", code=1007, reason=f"no session {GIVEN} nor {RESUMED}"),
    ]


@pytest.mark.parametrize(("words", "out"), TOOLS, ids=lambda part: "-".join(part) if isinstance(part, list) else part)
def test_a_handle_is_a_pseudonym_wherever_it_is(trace: Run, tmp_path: Path, words: list[str], out: str) -> None:
    path = write(tmp_path / "t.jsonl", *echoes(), head=HEAD)
    path.write_text(path.read_text().replace(f"What is {GIVEN}", f"What is {ESCAPED}"))
    done = trace(*words, path, *(["-o", tmp_path / out] if out else []))
    made = done.out + done.err + ((tmp_path / out).read_text() if out else "")
    for handle in (GIVEN, RESUMED):
        for spelled in (handle, handle.replace("/", "\\/"), handle[9:], ESCAPED):
            assert spelled not in made
    if words[0] not in ("stats", "check"):
        assert pseudonym(GIVEN) in made


PLAIN = "no-shape-0123456789"
"""A key that only the environment knows."""


@pytest.mark.parametrize("key", [KEY, PLAIN])
@pytest.mark.parametrize(
    ("words", "out"),
    [*TOOLS, (["cut", "--from", "0"], "x.jsonl"), (["import", "--all"], "x.jsonl"), (["explain"], "")],
    ids=lambda part: "-".join(part) if isinstance(part, list) else part,
)
def test_a_key_of_a_trace_that_was_made_elsewhere(
    trace: Run, tmp_path: Path, words: list[str], out: str, key: str,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """In names and texts of both sides, a reason, a frame that is no JSON; in base64 its shape is chance."""
    monkeypatch.setenv("GEMINI_API_KEY", PLAIN)
    frame = codec.encode_base64(f"not JSON {key} {'x' * 20}".encode())
    blob = {"mimeType": "audio/pcm", "data": "AIza" + "B" * 40}
    rows = [
        sent(0.0, {"setup": {"model": f"models/{key}"}}),
        got(0.1, {"setupComplete": {}}),
        sent(0.2, {"realtimeInput": {"audio": blob}}),
        asked(1.0, f"my key is {key}, and {'x' * 30}{key}"),
        transcript(1.1, f"your key {key}"),
        got(1.2, {f"new_{key}": {"is": [key, blob]}}),
        {"t": 1.3, "dir": "recv", "opcode": "binary", "size": 50, "raw": frame},
        over(2.0),
        control(2.2, "recv", "close", code=1008, reason=f"API key {key} not valid"),
    ]
    path, har = write(tmp_path / "t.jsonl", *rows, head={**HEAD, "livews": key}), tmp_path / "t.har"
    if words[0] == "explain":
        assert main(["explain", json.dumps(rows[0]["message"])]) == 0
        made = "".join(capfd.readouterr())
    elif words[0] == "import":
        messages = [{"type": "receive", "opcode": 1, "data": json.dumps(row["message"])} for row in rows[:6]]
        messages.append({"type": "receive", "opcode": 2, "data": frame})
        entry = {"request": {"url": f"wss://{key}/x?key={key}"}, "_webSocketMessages": messages}
        har.write_text(json.dumps({"log": {"entries": [entry]}}))
        assert trace(*words, har, "-o", tmp_path / out).code == 0
        made = (tmp_path / out).read_text()
    else:
        done = trace(*words, path, *(["-o", tmp_path / out] if out else []))
        made = done.out + done.err + ((tmp_path / out).read_text() if out else "")
    assert key[:12] not in made
    assert not any(codec.encode_base64(key.encode())[n : n + 12] in made for n in range(4)) and frame not in made
    assert HIDDEN in made.replace("\\[", "[").replace("\\]", "]") or words[0] == "export"
    if words[0] in ("cut", "import"):
        assert made.count(json.dumps(blob["data"])) == 2


def test_a_key_in_a_text_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    assert main(["--offline", "--mute", f"--trace={path}", f"my key is {KEY}"]) == 0
    assert KEY not in path.read_text() and f"my key is {HIDDEN}" in path.read_text()


@pytest.mark.parametrize("cuts", [(20,), (8,), (38,), (10, 20, 30), tuple(range(3, 39, 3))], ids=str)
@pytest.mark.parametrize(("words", "out"), TOOLS, ids=lambda part: "-".join(part) if isinstance(part, list) else part)
def test_a_key_in_pieces(trace: Run, tmp_path: Path, words: list[str], out: str, cuts: tuple[int, ...]) -> None:
    """Its shape is known; more of it than the first 7 characters is shown only where the pieces are smaller than its mark."""
    pieces = [KEY[start:end] for start, end in zip((0, *cuts), (*cuts, None), strict=True)]
    pieces = [f"the key is {pieces[0]}", *pieces[1:-1], f"{pieces[-1]} it is"]
    parts = [{"serverContent": {"modelTurn": {"parts": [{"text": piece}]}}} for piece in pieces]
    rows = [got(1.1 + n / 100, part) for n, part in enumerate(parts)]
    rows += [transcript(2 + n / 100, piece) for n, piece in enumerate(pieces)]
    ready = [
        sent(0.0, {"setup": {"model": "models/gemini-3.8-live"}}),
        got(0.1, {"setupComplete": {}}),
        asked(1.0, "Hello"),
    ]
    path = write(tmp_path / "t.jsonl", *ready, *rows, over(3.0), head=HEAD)
    done = trace(*words, path, *(["-o", tmp_path / out] if out else []))
    assert done.code == 0
    made = done.out + done.err + ((tmp_path / out).read_text() if out else "")
    assert not any(piece in made for piece in (KEY[9:], KEY[-6:], KEY[12:20]))
    if words[0] not in ("stats", "check"):
        assert HIDDEN in made.replace("\\[", "[").replace("\\]", "]")
