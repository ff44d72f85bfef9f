"""`livews trace import`: make a trace from a HAR."""

from __future__ import annotations

import argparse
from typing import BinaryIO

from livews.cli import reader
from livews.cli.console import Console
from livews.errors import BadRequest
from livews.trace import har
from livews.trace.atomic_output import atomic_output
from livews.trace.session import unreadable

_MOST_BYTES = 1 << 30


def run(options: argparse.Namespace, console: Console) -> int:
    shown = reader.shown_name(options.file)
    with reader.open_file(options.file, console) as file:
        sockets = har.load(_read(file, shown), shown)
    wanted = [socket for socket in sockets if options.all or socket.is_live]
    if not wanted:
        why = "it has no WebSocket messages: the recorder did not keep them"
        fix = "record with the network panel open from the start"
        if sockets:
            why = f"it has {len(sockets)} WebSockets, none of which uses BidiGenerateContent"
            fix = "import every one with --all"
        raise BadRequest(f"there is no session in {shown}", where=shown, why=why, fix=fix)
    with atomic_output(options.out, source=options.file) as out:
        for socket in wanted:
            messages, unreadable = har.write(socket, out)
            if unreadable:
                console.warn(f"{unreadable} unreadable messages of {har.shown(socket.url)} are left out")
            console.note(f"{messages:,} messages of {har.shown(socket.url)}")
    return 0


def _read(file: BinaryIO, name: str) -> bytes:
    """A file to its end, in pieces, so that it has a bound and Ctrl-C works."""
    whole, read = bytearray(), getattr(file, "read1", file.read)  # read would wait for the whole piece
    try:
        while piece := read(1 << 20):
            whole += piece
            is_long = len(whole) > _MOST_BYTES
            if is_long or bytes(whole[:64]).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"", b"{"):
                why = f"it is larger than {_MOST_BYTES >> 30} GiB" if is_long else "it is not a JSON object"
                raise BadRequest(f"{name} is no HAR that can be read", where=name, why=why, fix="name a .har file")
    except OSError as problem:  # a folder, a disk that fails
        raise unreadable(name, problem) from None
    return bytes(whole)
