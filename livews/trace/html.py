"""The report: a trace as one HTML file to look at, and to attach to an issue.

- One file, no network: style and script stand in it and are allowed by their hashes, everything else is forbidden.
- Nothing of the wire is markup or script: data stands in JSON in which every `<` is an escape, and the script makes
  text of it, never elements.
- Written in one pass over the trace; what is long waits in temporary files, not in memory.
- A report that cannot be finished leaves no half of one.
"""

from __future__ import annotations

import hashlib
import html
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from livews.printable import one_line
from livews.trace.follow import Session as Followed
from livews.trace.follow import follow
from livews.trace.lanes import MOST_SOUND, Ear
from livews.trace.page import Docs, Session
from livews.trace.place import whole
from livews.trace.times import Hears

_BLOCK = 3 * 256 * 1024
"""Bytes of sound turned into base64 at once: a multiple of three, or padding would stand in the middle."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a report holds; `cut_off` says that the trace ends in mid-line, as a crash leaves it."""

    sessions: int
    messages: int
    findings: int
    size: int
    cut_off: bool


def write(path: str | Path, out: str | Path, *, hears: Hears = Ear) -> Written:
    """Read the trace at `path`, write its report to `out` ("-": stdout). BadRequest where either cannot be done.

    `hears` makes the ear that tells when the user had done speaking, as `livews.audio.activity.Talking`.
    """
    with whole(str(out), source=str(path)) as file:
        return page(follow(path), Path(path).name, file, hears=hears)


def page(
    sessions: Iterable[Followed],
    name: str,
    out: BinaryIO,
    *,
    hears: Hears = Ear,
    most_sound: int = MOST_SOUND,
) -> Written:
    """Write the report of the sessions of a trace to `out`; `name` is what the trace is called in it."""
    docs = Docs()
    pages: list[Session] = []
    cut_off = False
    try:
        for session in sessions:
            pages.append(Session(session, docs, hears, most_sound))
            pages[-1].take()
            cut_off = cut_off or session.cut_at is not None
        datas = [one.data() for one in pages]
        size = 0
        for piece in _pieces(pages, datas, docs, name):
            size += out.write(piece)
    finally:
        for one in pages:
            one.close()
    messages = sum(len(data["t"]) for data in datas)
    return Written(len(pages), messages, sum(len(data["findings"]) for data in datas), size, cut_off)


def _pieces(sessions: list[Session], datas: list[dict[str, Any]], docs: Docs, name: str) -> Iterator[bytes]:
    """The document, piece by piece."""
    style, script = _part("report.css"), _part("report.js")
    models = ", ".join(dict.fromkeys(data["model"] or "no setup taken" for data in datas))
    filled = {
        "policy": _policy(style, script),
        "title": html.escape(f"{one_line(name, 100)} · {models}"[:200]),
        "style": style,
        "script": script,
    }
    for i, piece in enumerate(_part("report.html").split("%%")):
        if i % 2 == 0:
            yield piece.encode()
        elif piece == "data":
            yield _json("report", {"name": one_line(name, 200), "sessions": datas, "docs": docs.types})
        elif piece == "stored":  # behind the script, which draws before they have been read
            for number, session in enumerate(sessions):
                yield from _stored(number, session)
        else:
            yield filled[piece].encode(errors="replace")


def _stored(number: int, session: Session) -> Iterator[bytes]:
    """The messages of a session, a block a chunk, and its sound, a block a side."""
    session.messages.seek(0)
    for i, size in enumerate(session.chunks):
        yield _block(f"messages-{number}-{i}", "application/json")
        yield _inert(session.messages.read(size))
        yield b"</script>\n"
    for name, side in (("user", session.user), ("model", session.model)):
        yield _block(f"sound-{number}-{name}", "text/plain")
        side.file.seek(0)
        while block := side.file.read(_BLOCK):
            yield b64encode(block)
        yield b"</script>\n"


def _json(name: str, value: Any) -> bytes:
    return _block(name, "application/json") + _inert(_dump(value)) + b"</script>\n"


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


def _block(name: str, kind: str) -> bytes:
    return f'<script type="{kind}" id="{name}">'.encode()


def _inert(text: bytes) -> bytes:
    """JSON that cannot end the block it stands in, and is read as one line by whatever reads it."""
    text = text.replace(b"<", b"\\u003c")
    return text.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")


def _part(name: str) -> str:
    """A file of report/, its line ends as a browser hashes them."""
    text = (resources.files("livews.trace") / "report" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _policy(style: str, script: str) -> str:
    def hashed(text: str) -> str:
        return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {hashed(script)}; style-src {hashed(style)}; img-src data:; "
        "media-src data: blob:; base-uri 'none'; form-action 'none'"
    )
