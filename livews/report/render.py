"""The report: a trace as one HTML file to look at, and to attach to an issue; and the same page, empty, to be filled live.

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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from livews.analysis.audio_tracks import MOST_SOUND
from livews.report.data import MemberDocs, ReportSession
from livews.terminal_text import one_line
from livews.trace.atomic_output import atomic_output
from livews.trace.ending import read_to_end
from livews.trace.session import RecordedSession as Followed
from livews.trace.session import follow

_BLOCK = 3 * 256 * 1024
"""Bytes of sound turned into base64 at once: a multiple of three, or padding would stand in the middle."""


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """What a report holds, counted as `livews trace check` counts; `cut_off` says that the trace ends in mid-line, as a crash
    leaves it."""

    sessions: int
    messages: int
    findings: int
    size: int
    cut_off: bool


def write(path: str | Path, out: str | Path) -> ReportSummary:
    """Read the trace at `path`, write its report to `out` ("-": stdout). BadRequest where either cannot be done."""
    with atomic_output(str(out), source=str(path)) as file:
        return page(follow(path), Path(path).name, file)


def page(
    sessions: Iterable[Followed],
    name: str,
    out: BinaryIO,
    *,
    most_sound: int = MOST_SOUND,
) -> ReportSummary:
    """Write the report of the sessions of a trace to `out`; `name` is what the trace is called in it."""
    docs = MemberDocs()
    pages: list[ReportSession] = []
    cut_off = False
    messages = findings = 0
    try:
        for session in sessions:
            pages.append(ReportSession(session, docs, most_sound))
            for _, found, is_message in read_to_end(session, pages[-1].push):
                messages += is_message
                findings += len(found)
            pages[-1].finish()
            cut_off = cut_off or session.cut_at is not None
        datas = [one.data() for one in pages]
        size = 0
        for piece in _pieces(pages, datas, docs, name):
            size += out.write(piece)
    finally:
        for one in pages:
            one.close()
    return ReportSummary(len(pages), messages, findings, size, cut_off)


def _pieces(
    sessions: list[ReportSession], datas: list[dict[str, Any]], docs: MemberDocs, name: str
) -> Iterator[bytes]:
    """The document, piece by piece."""
    style, script = _part("report.css"), _part("built/report.js")
    models = ", ".join(dict.fromkeys(data["model"] or "no setup taken" for data in datas))
    stored = (piece for number, session in enumerate(sessions) for piece in _stored(number, session))
    yield from _filled(
        f"{one_line(name, 100)} · {models}"[:200],
        _policy([style], [script]),
        [style],
        [script],
        [_json("report", {"name": one_line(name, 200), "sessions": datas, "docs": docs.types})],
        stored,  # after the script, which draws before they have been read
    )


def live(about: Mapping[str, Any], table: Mapping[str, Any] | None, host: str) -> tuple[bytes, str]:
    """The page that is filled over a socket at `host` (as 127.0.0.1:8767), and its policy for a header.

    `about` is what it knows from the start, `table` what its composer completes from; None: no composer.
    """
    styles, scripts = [_part("report.css"), _part("live.css")], [_part("built/inspector.js")]
    data = [_json("report", {**about, "sessions": [], "docs": {}})]
    if table is not None:
        styles.insert(1, _part("composer.css"))
        data.append(_json("composer-table", table))
    policy = _policy(styles, scripts, f"ws://{host}")
    title = one_line(f"livews inspect · {about.get('name', '')}", 100)
    return b"".join(_filled(title, policy, styles, scripts, data, ())), policy


def again(text: str) -> tuple[bytes, str]:
    """A page that says `text`, and goes on to the live one where this tab has been there; and its script's hash."""
    script = _part("built/again.js")
    document = (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>livews inspect</title>\n'
        f"<p>{html.escape(text)}</p>\n<script>{script}</script></html>\n"
    )
    return document.encode(), _hashed(script)


def _filled(
    title: str, policy: str, styles: list[str], scripts: list[str], data: list[bytes], stored: Iterable[bytes]
) -> Iterator[bytes]:
    filled = {
        "policy": policy,
        "title": html.escape(title),
        "style": "</style>\n<style>".join(styles),
        "script": "</script>\n<script>".join(scripts),
    }
    for i, piece in enumerate(_part("report.html").split("%%")):
        if i % 2 == 0:
            yield piece.encode()
        elif piece == "data":
            yield from data
        elif piece == "stored":
            yield from stored
        else:
            yield filled[piece].encode(errors="replace")


def _stored(number: int, session: ReportSession) -> Iterator[bytes]:
    """The messages of a session, a block a chunk, and its sound, a block a side."""
    for i in range(session.chunks):
        yield _block(f"messages-{number}-{i}", "application/json")
        yield _inert(session.chunk(i))
        yield b"</script>\n"
    for name, side in (("user", session.user), ("model", session.model)):
        yield _block(f"sound-{number}-{name}", "text/plain")
        for at in range(0, side.store.size, _BLOCK):
            yield b64encode(side.store.read(at, _BLOCK))
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
    """A file of report/web/, its line ends as a browser hashes them."""
    text = resources.files("livews").joinpath("report/web", name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _policy(styles: list[str], scripts: list[str], socket: str = "") -> str:
    """What a page may: its own scripts and styles, and one socket if it has one."""
    script, style = (" ".join(map(_hashed, texts)) for texts in (scripts, styles))
    connect = f"connect-src {socket}; " if socket else ""
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; {connect}img-src data:; "
        "media-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hashed(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
