"""Both of Google's SDKs hold every conversation through `livews proxy`, and nothing of it is another one.

- What is compared was written down on both sides of the proxy by relays that know nothing of livews (`taps`).
- The client's own TLS ends in front of the proxy and the stand-in's behind it: what is compared is in the clear.
- What the proxy wrote down is compared with the bytes as another reader of RFC 6455 reads them.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ProtocolError
from websockets.frames import Close, Frame, Opcode
from websockets.streams import StreamReader

from livews.cli import main
from livews.trace.empties import told_again
from tests.clients.conversations import CONVERSATIONS, Seen
from tests.clients.running import NAMES, Servers, google_genai, js_genai, need, proxies, talk
from tests.clients.taps import Carried, tapped

need(importlib.util.find_spec("trustme") is not None, "to run clients over TLS: pip install 'livews[tls]'")
_COMMANDS = {"google-genai over TLS": google_genai(), "@google/genai over ws": js_genai()[0]}
_COMMANDS["@google/genai over TLS"] = _COMMANDS["@google/genai over ws"]
_TRUST = {"google-genai over TLS": "SSL_CERT_FILE", "@google/genai over TLS": "NODE_EXTRA_CA_CERTS"}


Told = tuple[str, int, str]
"""A message as (opcode, bytes, JSON), a control as (kind, code, reason)."""


@dataclass
class Passed:
    """One client's conversations: what its user saw, what was carried on both sides, and the folder of the traces."""

    seen: dict[str, Any]
    front: list[Carried]
    back: list[Carried]
    traces: Path


@pytest.fixture(scope="module")
def passed(
    tls_servers: Servers, media: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Passed]]:
    """All of them at once, each through proxies of its own; these have ended when the traces are looked at."""

    def converse(name: str) -> Passed:
        folder = tmp_path_factory.mktemp("through")
        tls = name.endswith("TLS")
        with (
            tapped(tls_servers, folder, tls=True) as back,
            proxies(folder / "proxies", back.servers, tls=tls) as between,
        ):
            (folder / "front").mkdir()
            with tapped(between, folder / "front", tls=tls) as front:
                trust = {_TRUST[name]: str(front.servers.trust)} if name in _TRUST else {}
                seen = talk(_COMMANDS[name], front.servers, media, trust)
        return Passed(seen, front.carried, back.carried, folder / "proxies")

    with ThreadPoolExecutor() as pool:
        yield dict(zip(_COMMANDS, pool.map(converse, _COMMANDS), strict=True))


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("client", _COMMANDS)
def test_conversation(passed: dict[str, Passed], client: str, conversation: str) -> None:
    seen: Seen = passed[client].seen[conversation]
    assert "error" not in seen, seen["error"]
    CONVERSATIONS[conversation](seen)


@pytest.mark.parametrize("client", _COMMANDS)
def test_every_byte_is_the_same_on_both_sides(passed: dict[str, Passed], client: str) -> None:
    """Frames with their masks, fragments, controls and order, and the answer's head; of a request's head see
    tests/proxy/test_proxy.py."""
    front, back = ({one.key: one for one in side if one.key} for side in (passed[client].front, passed[client].back))
    assert len(front) == len(CONVERSATIONS) + 1, "resumption takes two"
    assert front.keys() == back.keys()
    for key, one in front.items():
        assert one.down == back[key].down
        assert one.body("up") == back[key].body("up")
    asked, answered = ([one for one in side if not one.key] for side in (passed[client].front, passed[client].back))
    assert [(one.body("up"), one.down) for one in asked] == [(one.body("up"), one.down) for one in answered]
    assert len(asked) == 1, "a token is made over HTTP"


@pytest.mark.parametrize("client", _COMMANDS)
def test_the_traces_hold_what_went_by(passed: dict[str, Passed], client: str) -> None:
    wire = sorted(
        tuple(tuple(_frames(one.body(way), masked=way == "up")) for way in ("up", "down"))
        for one in passed[client].front
        if one.key
    )
    paths = sorted(passed[client].traces.glob("*/session-*.jsonl"))
    kept = sorted(_kept(path) for path in paths)
    assert [tuple(map(len, one)) for one in kept] == [tuple(map(len, one)) for one in wire]
    assert kept == wire
    assert {path.parent.name for path in paths} == set(NAMES)


def _kept(path: Path) -> tuple[tuple[Told, ...], ...]:
    """What a trace holds of the client's messages and of the server's."""
    header, *rows = map(json.loads, path.read_text().splitlines())
    assert header["side"] == "proxy"
    found: dict[str, list[Told]] = {"send": [], "recv": []}
    for row in rows:
        for raw in told_again(row):  # messages without content, which a line counts
            found["recv"].append(("binary", len(raw), json.dumps(json.loads(raw))))
        if "message" in row:
            found[row["dir"]].append((row["opcode"], row["size"], json.dumps(row["message"])))
        else:
            (kind,) = row.keys() & {"ping", "pong", "close"}
            found[row["dir"]].append((kind, row[kind].get("code", 0), row[kind].get("reason", "")))
    return tuple(map(tuple, found.values()))


def _frames(stream: bytes, *, masked: bool) -> Iterator[Told]:
    """Messages and controls of one direction."""
    source = StreamReader()
    source.feed_data(stream)
    source.feed_eof()
    opcode, parts = "", b""
    while not _is_over(source):
        parsing = Frame.parse(source.read_exact, mask=masked)
        try:
            next(parsing)
        except StopIteration as done:
            frame: Frame = done.value
        else:
            raise ProtocolError("the stream ends in the middle of a frame")
        if frame.opcode is Opcode.CLOSE:
            close = Close.parse(frame.data)
            yield "close", int(close.code), close.reason
        elif frame.opcode in (Opcode.PING, Opcode.PONG):
            yield frame.opcode.name.lower(), 0, ""
        else:
            opcode, parts = opcode or frame.opcode.name.lower(), parts + bytes(frame.data)
            if frame.fin:
                yield opcode, len(parts), json.dumps(json.loads(parts))
                opcode, parts = "", b""


def _is_over(source: StreamReader) -> bool:
    asking = source.at_eof()
    try:
        next(asking)
    except StopIteration as done:
        return bool(done.value)
    return False


@pytest.mark.parametrize("client", _COMMANDS)
def test_the_traces_are_judged(passed: dict[str, Passed], client: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Google's own SDKs and the stand-in break no rule, but for the setup that is to be refused; the two sessions that end
    badly are reported, with what to do."""
    paths = sorted(map(str, passed[client].traces.glob("*/session-*.jsonl")))
    assert main(["trace", "check", *paths]) == 1
    report = capsys.readouterr()
    found = re.findall(r"^\S+:\d+ (\w+) (.*)", report.out, re.M)
    assert [words.split(" (")[-1] for level, words in found if level != "note"] == ["MODEL-3)"]
    assert {level for level, _ in found} == {"note", "error"}
    for words in ("1007", "1008", "not in TEXT (MODEL-3)", "GoAway signal"):
        assert words in report.out
    assert " 1 error, " in report.err
