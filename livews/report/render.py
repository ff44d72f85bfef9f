"""Render the report of a trace as one HTML file, and the live page of the inspector.

- One file, no network: its style and script are allowed by their hashes, everything else is forbidden.
- Nothing from the wire is markup or script: data is JSON in which every `<` is escaped, and the script makes text of
  it, never elements.
- It is written in one pass over the trace; what is long is kept in temporary files, not in memory.
- A report that cannot be completed leaves no file.
"""

import hashlib
import html
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from livews.analysis.audio_tracks import MAX_AUDIO
from livews.redactor import hide, hide_json
from livews.report.data import ReportSession
from livews.report.message_excerpt import MemberDocs
from livews.terminal_text import one_line
from livews.trace.atomic_output import atomic_output
from livews.trace.ending import read_to_end
from livews.trace.session import RecordedSession, follow

_BLOCK = 3 * 256 * 1024
"""Bytes of audio encoded as base64 in one step: a multiple of three, or there would be padding in the middle."""


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """What a report contains, counted as `livews trace check` counts.

    Attributes:
        size: bytes of the file.
        cut_off: the trace ends in the middle of a line, as a crash leaves it.
    """

    sessions: int
    messages: int
    findings: int
    size: int
    cut_off: bool


def write(path: str | Path, out: str | Path) -> ReportSummary:
    """Write the report of the trace at `path` to `out` ("-": stdout). BadRequest if one of the two fails."""
    with atomic_output(str(out), source=str(path)) as file:
        return page(follow(path), Path(path).name, file)


def page(
    sessions: Iterable[RecordedSession], name: str, out: BinaryIO, *, max_audio: int = MAX_AUDIO
) -> ReportSummary:
    """Write the report of the sessions of a trace.

    Args:
        name: what the trace is called in it.
        max_audio: bytes of samples to keep of each side of a session.
    """
    docs = MemberDocs()
    pages: list[ReportSession] = []
    cut_off = False
    messages = findings = size = 0
    try:
        for session in sessions:
            pages.append(ReportSession(session, docs, max_audio))
            for _, found, is_message in read_to_end(session, pages[-1].push):
                messages += is_message
                findings += len(found)
            pages[-1].finish()
            cut_off = cut_off or session.cut_at is not None
        for piece in _report(pages, docs, name):
            size += out.write(piece)
    finally:
        for page in pages:
            page.close()
    return ReportSummary(len(pages), messages, findings, size, cut_off)


def _report(sessions: list[ReportSession], docs: MemberDocs, name: str) -> Iterator[bytes]:
    style, script = _part("report.css"), _part("built/report.js")
    datas = [session.data() for session in sessions]
    models = ", ".join(dict.fromkeys(data["model"] or "no setup taken" for data in datas))
    stored = (piece for number, session in enumerate(sessions) for piece in _stored(number, session))
    title = hide(f"{one_line(name, 100)} · {models}")[:200]
    report = _json("report", {"name": one_line(name, 200), "sessions": datas, "docs": docs.types})
    # what is stored comes after the script, which draws before it has been read
    yield from _document(title, _policy([style], [script]), [style], [script], [report], stored)


def live(about: Mapping[str, Any], table: Mapping[str, Any] | None, host: str) -> tuple[bytes, str]:
    """The page that is filled over a WebSocket, and its Content-Security-Policy for a header.

    Args:
        about: what the page has from the start.
        table: what its composer completes from; None: no composer.
        host: of the WebSocket, such as 127.0.0.1:8767.
    """
    styles, scripts = [_part("report.css"), _part("live.css")], [_part("built/inspector.js")]
    data = [_json("report", {**about, "sessions": [], "docs": {}})]
    if table is not None:
        styles.insert(1, _part("composer.css"))
        data.append(_json("composer-table", table))
    policy = _policy(styles, scripts, f"ws://{host}")
    title = one_line(f"livews inspect · {about.get('name', '')}", 100)
    return b"".join(_document(title, policy, styles, scripts, data, ())), policy


def again(text: str) -> tuple[bytes, str]:
    """A page that shows `text`, and opens the live page if this tab has shown it; and the hash of its script."""
    script = _part("built/again.js")
    document = (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>livews inspect</title>\n'
        f"<p>{html.escape(text)}</p>\n<script>{script}</script></html>\n"
    )
    return document.encode(), _hashed(script)


def _document(
    title: str, policy: str, styles: list[str], scripts: list[str], data: list[bytes], stored: Iterable[bytes]
) -> Iterator[bytes]:
    parts = {
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
            yield parts[piece].encode(errors="replace")


def _stored(number: int, session: ReportSession) -> Iterator[bytes]:
    """The messages of a session, one block per chunk, and its audio, one block per side."""
    for i in range(session.chunks):
        yield _block(f"messages-{number}-{i}", "application/json")
        yield _inert(session.chunk(i))
        yield b"</script>\n"
    for name, track in session.tracks.by_side.items():
        yield _block(f"sound-{number}-{name}", "text/plain")
        for offset in range(0, track.store.size, _BLOCK):
            yield b64encode(track.store.read(offset, _BLOCK))
        yield b"</script>\n"


def _json(name: str, value: Any) -> bytes:
    text = hide_json(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode())
    return _block(name, "application/json") + _inert(text.encode(errors="replace")) + b"</script>\n"


def _block(name: str, kind: str) -> bytes:
    return f'<script type="{kind}" id="{name}">'.encode()


def _inert(text: bytes) -> bytes:
    """JSON that cannot end the block it is in, and is one line for every reader."""
    text = text.replace(b"<", b"\\u003c")
    return text.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")


def _part(name: str) -> str:
    """A file of report/web/, with line ends as a browser hashes them."""
    text = resources.files("livews").joinpath("report/web", name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _policy(styles: list[str], scripts: list[str], socket: str = "") -> str:
    """The Content-Security-Policy: its own scripts and styles, and one WebSocket if it has one."""
    script, style = (" ".join(map(_hashed, texts)) for texts in (scripts, styles))
    connect = f"connect-src {socket}; " if socket else ""
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; {connect}img-src data:; "
        "media-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hashed(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
