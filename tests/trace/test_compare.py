"""`livews trace diff`: two sessions compared by what they mean."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from livews.core import codec
from tests.kit.traces import Row, asked, control, got, sent, transcript
from tests.trace.kit import READY, Run, over, voice, write


def respelt(rows: list[Row]) -> list[Row]:
    """The same session: other spelling, other times, other ids, other pieces, other base64."""
    out: list[Row] = []
    for row in json.loads(json.dumps(rows)):
        row["t"] += 7
        message = row.get("message", {})
        if "clientContent" in message:
            content = message.pop("clientContent")
            message["client_content"] = {"turn_complete": content["turnComplete"], "turns": content["turns"]}
        if "usageMetadata" in message:
            message["usageMetadata"]["totalTokenCount"] += 3
        parts = message.get("serverContent", {}).get("modelTurn", {}).get("parts", [])
        if parts:
            pcm = codec.decode_base64(parts[0]["inlineData"]["data"])
            for half in (pcm[:1001], pcm[1001:]):
                again = voice(row["t"], half)
                blob = again["message"]["serverContent"]["modelTurn"]["parts"][0]["inlineData"]
                blob["data"] = blob["data"].replace("+", "-").replace("/", "_").rstrip("=")
                out += [again, got(row["t"], {"serverContent": {}})]
            continue
        out.append(row)
    text = json.dumps(out).replace("call-1", "fc_998").replace("handle-1", "another")
    made: list[Row] = json.loads(text)
    return made


def session() -> list[Row]:
    pcm = os.urandom(6000)
    call = {"functionCalls": [{"id": "call-1", "name": "f", "args": {"n": 1}}]}
    answer = {"functionResponses": [{"id": "call-1", "name": "f", "response": {"ok": True}}]}
    return [
        *READY,
        got(0.2, {"sessionResumptionUpdate": {"newHandle": "handle-1", "resumable": True}}),
        asked(1.0, "Hello"),
        transcript(1.1, "Good "),
        voice(1.2, pcm[:2000]),
        transcript(1.3, "day."),
        voice(1.3, pcm[2000:]),
        over(2.0),
        asked(3.0, "More"),
        got(3.1, {"toolCall": call}),
        sent(3.2, {"toolResponse": answer}),
        transcript(3.3, "Done."),
        over(4.0),
        control(5.0, "recv", "close", code=1000, reason=""),
    ]


def test_the_same_said_otherwise_is_alike(trace: Run, tmp_path: Path) -> None:
    rows = session()
    one, other = write(tmp_path / "a.jsonl", *rows), write(tmp_path / "b.jsonl", *respelt(rows))
    done = trace("diff", one, other)
    assert (done.code, done.out) == (0, "")
    assert "alike" in done.err


def _sample(rows: list[Row]) -> None:
    pcm = codec.decode_base64(rows[5]["message"]["serverContent"]["modelTurn"]["parts"][0]["inlineData"]["data"])
    rows[5] = voice(1.2, pcm[:-2] + bytes([pcm[-2] ^ 1, pcm[-1]]))


def _order(rows: list[Row]) -> None:
    rows[3], rows[9] = rows[9], rows[3]


def _set(place: str, value: Any) -> Callable[[list[Row]], None]:
    """A change of what is at a JSON pointer in the rows."""

    def change(rows: list[Row]) -> None:
        inner: Any = rows
        *steps, last = place.split("/")
        for step in steps:
            inner = inner[int(step) if isinstance(inner, list) else step]
        inner[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (_set("4/message/serverContent/outputTranscription/text", "Bad "), "/outputTranscription"),
        (_sample, "/sound"),
        (_set("10/message/toolCall/functionCalls/0/args/n", 2), "/toolCall/functionCalls/0/args/n"),
        (_set("11/message/toolResponse/functionResponses/0/id", "call-2"), "/toolResponse/functionResponses/0/id"),
        (_order, "/clientContent"),
        (lambda rows: rows.pop(10), "/toolCall"),
        (_set("-1/close/code", 1011), "/close/code"),
        (_set("8/message/usageMetadata/totalTokenCount", 500), "/usageMetadata/totalTokenCount"),
    ],
)
def test_one_difference_is_told_by_its_path(
    change: Callable[[list[Row]], None], path: str, trace: Run, tmp_path: Path
) -> None:
    rows = session()
    one = write(tmp_path / "a.jsonl", *rows)
    changed = respelt(rows) if path == "/close/code" else json.loads(json.dumps(rows))
    change(changed)
    other = write(tmp_path / "b.jsonl", *changed)
    done = trace("diff", one, other, "--json")
    assert done.code == 1
    found = [json.loads(line) for line in done.out.splitlines()]
    assert any(row["path"].startswith(path) for row in found), found
    assert len(found) <= 3, "one change is told once, or by what moved because of it"
    assert trace("diff", other, one).code == 1


def test_sound_may_be_compared_by_length(trace: Run, tmp_path: Path) -> None:
    rows = session()
    one = write(tmp_path / "a.jsonl", *rows)
    _sample(rows)
    other = write(tmp_path / "b.jsonl", *rows)
    assert trace("diff", one, other).code == 1
    assert trace("diff", one, other, "--sound", "length").code == 0
    assert trace("redact", one, "--audio", "-o", tmp_path / "e.jsonl").code == 0
    assert trace("diff", one, tmp_path / "e.jsonl").code == 0, "elided sound has a length alone"
