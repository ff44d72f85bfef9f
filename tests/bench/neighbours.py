"""What one session of the proxy or of the stand-in costs the others: `python -m tests.bench neighbours`.

- A hostile peer sends its bytes at once, through a proxy that records, reports and feeds the page of the inspector.
- Beside it another task wants a turn of the event loop every 5 ms. The longest stretch is the most CPU time that the
  loop spent between two of its turns. CPU time, so that a busy machine does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from livews.cli.console import Console
from livews.cli.terminal_reporter import TerminalReporter
from livews.inspector.sessions import SessionList
from livews.proxy.injector import MessageInjector
from livews.proxy.relay import Side
from livews.proxy.server import ProxyConfig, serve_proxy
from livews.proxy.upstream import UpstreamTarget
from livews.redactor import Redactor
from livews.server.server import StandInConfig, serve_stand_in
from livews.trace.writer import TraceFile
from tests.kit.names import GEMINI

MB = 1_000_000
SETUP = b'{"setup":{"model":"models/gemini-3.8-live"}}'
_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s\r\n"
_UPGRADE = (
    f"GET {GEMINI} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(side: Side, payload: bytes, first: int = 0x81) -> bytes:
    """A frame, masked with zeros where it has to be masked."""
    size, mask = len(payload), 0x80 if side == "client" else 0
    length = bytes([mask | size]) if size < 126 else bytes([mask | 127]) + struct.pack("!Q", size)
    return bytes([first]) + length + (bytes(4) if mask else b"") + payload


def deflated(size: int) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(b" " * size) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


def _turns(text: bytes, count: int) -> bytes:
    part = b'{"role":"user","parts":[{"text":"%s"}]}' % text
    return b'{"clientContent":{"turns":[' + b",".join([part] * count) + b"]}}"


HOSTILE: dict[str, tuple[Side, Callable[[], bytes]]] = {
    "60 MB of turns": ("client", lambda: frame("client", b'{"clientContent":{"turns":[' + b"{}," * (20 * MB) + b"{}]}}")),
    "60 MB in one string": ("client", lambda: frame("client", _turns(b"a" * 60 * MB, 1))),
    "7.9 MB in one string": ("client", lambda: frame("client", _turns(b"a" * (7_900_000), 1))),
    "7.9 MB of audio": ("server", lambda: frame("server", b'{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"' + b"AAAA" * 1_970_000 + b'"}}]}}}')),
    "10,000 turns": ("client", lambda: frame("client", _turns(b"a", 10_000))),
    "empty turns below the budget": ("client", lambda: frame("client", b'{"clientContent":{"turns":[' + b"{}," * 24_000 + b"{}]}}")),
    "100,000 messages at once": ("client", lambda: frame("client", b"{}") * 100_000),
    "100,000 unknown messages at once": ("server", lambda: frame("server", b'{"a":1}') * 100_000),
    "100,000 pings at once": ("client", lambda: frame("client", b"", 0x89) * 100_000),
    "200,000 empty fragments": ("client", lambda: frame("client", b"{", 0x01) + frame("client", b"", 0x00) * 200_000),
    "64 MB of fragments": ("client", lambda: frame("client", b"a", 0x01) + frame("client", b"a" * 100_000, 0x00) * 640),
    "10 times 60 MB deflated": ("server", lambda: frame("server", deflated(60 * MB), 0xC1) * 10),
}  # fmt: skip
"""What hostile peers send: whose it is, and what makes it."""


async def longest_stretch(side: Side, wire: bytes, folder: Path) -> tuple[float, float]:
    """The longest stretch of CPU time in seconds, and all of it, while these bytes of one side pass a proxy."""
    over = asyncio.Event()
    sessions = SessionList()
    console = Console(color="never")

    def record(number: int, url: str, redactor: Redactor, injector: MessageInjector) -> Sequence[Any]:
        trace = TraceFile(folder / f"{number}.jsonl", url=url, side="proxy", secrets=redactor)
        reporter = TerminalReporter(number, console, redactor.redact, injector.observer.conversation, quiet=True)
        return [trace, reporter, sessions.record(number, url, redactor, injector)]

    with socket.create_server(("127.0.0.1", 0)) as listening:
        upstream = UpstreamTarget.parse(f"ws://127.0.0.1:{listening.getsockname()[1]}")
        async with serve_proxy(ProxyConfig(upstream, record=record, on_session_end=over.set)) as proxy:
            peers = (partial(_upstream, listening, side, wire), partial(_client, _port(proxy.url), side, wire))
            result = await _beside(over, *peers)
    sessions.close()
    return result


async def longest_stretch_of_the_stand_in(wire: bytes) -> tuple[float, float]:
    """The same for a stand-in that gets these bytes after a setup."""
    over = asyncio.Event()
    async with serve_stand_in(config=StandInConfig(pace=0, session_ended=over.set)) as server:
        return await _beside(over, partial(_client, _port(server.url), "client", frame("client", SETUP) + wire))


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


async def _beside(over: asyncio.Event, *peers: Callable[[], None]) -> tuple[float, float]:
    """Take a turn every 5 ms until the session is over."""
    threads = [threading.Thread(target=peer, daemon=True) for peer in peers]
    for thread in threads:
        thread.start()
    longest, began = 0.0, time.thread_time()
    before = began
    while not over.is_set():
        await asyncio.sleep(0.005)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    for thread in threads:
        await asyncio.to_thread(thread.join)
    return longest, before - began


def _upstream(listening: socket.socket, side: Side, wire: bytes) -> None:
    with contextlib.suppress(OSError), listening.accept()[0] as client:
        _head(client)
        extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if wire[0] & 0x40 else b""
        client.sendall(_SWITCH % extension)
        _send_and_drain(client, wire if side == "server" else b"")


def _client(port: int, side: Side, wire: bytes) -> None:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
        server.sendall(_UPGRADE.encode())
        _head(server)
        _send_and_drain(server, wire if side == "client" else b"")


def _head(peer: socket.socket) -> None:
    while b"\r\n\r\n" not in peer.recv(65536, socket.MSG_PEEK):
        pass
    while not _line(peer):
        pass


def _line(peer: socket.socket) -> bool:
    """Read a line; whether it was empty."""
    line = b""
    while not line.endswith(b"\r\n"):
        line += peer.recv(1)
    return line == b"\r\n"


def _send_and_drain(peer: socket.socket, wire: bytes) -> None:
    if wire:
        peer.sendall(wire)
        peer.shutdown(socket.SHUT_WR)
    while peer.recv(1 << 20):
        pass


def main(words: Sequence[str]) -> int:
    """Run all of them, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench neighbours", description=__doc__)
    parser.add_argument("only", nargs="*", help="a word in the names of those to run")
    only = parser.parse_args(words).only
    print(f"{'hostile session':44} {'longest stretch':>16} {'in all':>12}")
    for name, (side, wire) in HOSTILE.items():
        if only and not any(word in name for word in only):
            continue
        with (
            tempfile.TemporaryDirectory() as folder,
            open(os.devnull, "w") as quiet,
            contextlib.redirect_stderr(quiet),
        ):
            rows = {name: asyncio.run(longest_stretch(side, wire(), Path(folder)))}
            if side == "client":
                rows[f"{name}, stand-in"] = asyncio.run(longest_stretch_of_the_stand_in(wire()))
        for row, (longest, total) in rows.items():
            print(f"{row:44} {longest * 1000:13.1f} ms {total * 1000:9.0f} ms", flush=True)
    return 0
