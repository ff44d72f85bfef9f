"""Write the trace file, format `livews-trace` version 1.

- JSON lines, append-only, one write() a line: what was seen is on disk, also when the next thing is a crash.
- The bytes of a JSON frame are written as they came; only raw line breaks become spaces, which JSON allows.
- No credential of the session is written, wherever it stands in a frame; only the base64 of sound is not searched.
- A trace that cannot be written stops the program (TraceFailed): a recorder that forgets is worse than none.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from livews.core import codec, protocol
from livews.core.conversation import Step
from livews.core.fastpath import Template
from livews.core.rules import Finding
from livews.endpoint import Endpoint
from livews.errors import TraceFailed
from livews.recorder import Direction, Opcode
from livews.version import __version__

_WORDS = {"send": b"send", "recv": b"recv", "text": b"text", "binary": b"binary"}


class TraceFile:
    """A trace on disk. `media="elide"` keeps length and hash in place of base64."""

    def __init__(
        self,
        path: str | Path,
        *,
        url: str,
        side: str,
        redact: Callable[[bytes], bytes],
        media: Literal["keep", "elide"] = "keep",
    ) -> None:
        self.path = Path(path)
        self._hide = redact
        self._media = media
        self._shapes: dict[Template, tuple[bytes, bytes]] = {}
        self.inserted: Callable[[], bool] = _no
        """Whether the frame of now was put in between by livews, and sent by neither side."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as problem:
            raise _failed(self.path, problem) from None
        try:
            _look_at(self._file, self.path)
        except TraceFailed:
            self.close()
            raise
        self._write(orjson.dumps(header(url, side)) + b"\n")

    @staticmethod
    def check(path: str | Path) -> None:
        """TraceFailed when there could be no trace at `path` now. Nothing is made, and nothing is changed."""
        path = Path(path)
        there = path
        try:
            while not os.path.lexists(there):  # up to the folder in which the rest would be made
                there = there.parent
            if there != path:
                if not there.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                if not os.access(there, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            elif not path.is_fifo() and path.exists():  # what waits at a pipe would notice
                file = os.open(path, os.O_RDWR | os.O_APPEND)
                try:
                    _look_at(file, path)
                finally:
                    os.close(file)
        except OSError as problem:
            raise _failed(path, problem) from None

    @classmethod
    def of(cls, path: str | Path, where: Endpoint, *, media: Literal["keep", "elide"] = "keep") -> TraceFile:
        """The trace of a client's session with `where`."""
        return cls(path, url=where.shown, side="client", redact=where.secrets.redact_known, media=media)

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        raw = step.raw
        head = b'{"t":%.6f,"dir":"%s","opcode":"%s","size":%d,' % (t, _WORDS[direction], _WORDS[opcode], len(raw))
        if self.inserted():
            head += b'"inserted":true,'
        if step.template is not None and self._media == "keep":
            # A frame like one before: what stands round its base64 was made fit for a line the first time.
            before, after = self._shape(step.template)
            new = memoryview(raw)[len(step.template.head) : len(raw) - len(step.template.tail)]
            self._write(b"".join((head, before, new, after)))
            return
        if step.kind == "unreadable":
            body = b'"raw":"' + codec.encode_base64(self._hide(raw)).encode() + b'"'
        elif self._media == "elide" and step.body:
            body = b'"message":' + orjson.dumps(elided(orjson.loads(raw)))
        else:
            body = b'"message":' + _on_one_line(raw).strip()
        tail = _findings(step) if step.faults or step.notes else b"}\n"
        self._write(self._hide(b"".join((head, body, tail))))

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        line = b'{"t":%.6f,"dir":"%s","%s":%s}\n' % (t, direction.encode(), kind.encode(), orjson.dumps(about))
        self._write(self._hide(line))

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _shape(self, template: Template) -> tuple[bytes, bytes]:
        known = self._shapes.get(template)
        if known is None:
            if len(self._shapes) > 16:
                self._shapes.clear()
            before = self._hide(b'"message":' + _on_one_line(template.head).lstrip())
            known = self._shapes[template] = (before, self._hide(_on_one_line(template.tail).rstrip() + b"}\n"))
        return known

    def _write(self, line: bytes) -> None:
        try:
            done = os.write(self._file, line)
            while done < len(line):  # a full disk takes half a line before it says so
                line = line[done:]
                done = os.write(self._file, line)
        except OSError as problem:
            raise _failed(self.path, problem) from None


def _look_at(file: int, path: Path) -> None:
    """Is the file empty, a device, or a trace to append to? TraceFailed."""
    start = os.pread(file, 64, 0) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    if start and not start.startswith(b'{"trace":"livews"'):
        raise TraceFailed(
            "the file is no trace, and would be spoilt by one",
            where=str(path),
            why="it has content that does not start with the first line of a trace",
            fix="name another file after --trace",
        )


def _failed(path: Path, problem: OSError) -> TraceFailed:
    return TraceFailed(
        f"cannot write the trace: {problem.strerror or problem}",
        where=str(path),
        why="a session that was to be traced is not run untraced",
        fix="name another file after --trace, or free the disk if it is full",
    )


def _no() -> bool:
    return False


def _on_one_line(raw: bytes) -> bytes:
    """JSON without raw line breaks: between its tokens any white space is as good, inside a string there is none."""
    if b"\n" in raw:
        raw = raw.replace(b"\n", b" ")
    return raw.replace(b"\r", b" ") if b"\r" in raw else raw


def header(url: str, side: str) -> dict[str, Any]:
    """The first line of a trace. `url` must be redacted already."""
    started = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "trace": "livews",
        "version": 1,
        "started": started,
        "url": url,
        "side": side,
        "livews": __version__,
        "protocol": protocol.revision(),
    }


def _findings(step: Step) -> bytes:
    said = b"".join(
        b',"%s":%s' % (name, orjson.dumps([_line(finding) for finding in found]))
        for name, found in ((b"faults", step.faults), (b"notes", step.notes))
        if found
    )
    return said + b"}\n"


def _line(finding: Finding) -> dict[str, str]:
    return {"rule": finding.rule, "path": finding.path, "complaint": finding.complaint}


def elided(value: Any) -> Any:
    """A message with every long base64 `data` replaced by its length and hash: `elided:<bytes>:<sha256>`."""
    import hashlib

    if isinstance(value, list):
        return [elided(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, child in value.items():
        if key == "data" and isinstance(child, str) and len(child) > 64:
            try:
                data = codec.decode_base64(child)
                child = f"elided:{len(data)}:{hashlib.sha256(data).hexdigest()}"
            except codec.WireError:
                child = f"elided:{len(child)}:not-base64"
        out[key] = elided(child)
    return out


def emptied(value: Any) -> Any:
    """A message of an elided trace with empty `data` where base64 was: fit to be judged."""
    if isinstance(value, list):
        return [emptied(item) for item in value]
    if isinstance(value, dict):
        return {key: "" if _is_elided(key, child) else emptied(child) for key, child in value.items()}
    return value


def _is_elided(key: str, value: Any) -> bool:
    return key == "data" and isinstance(value, str) and value.startswith("elided:")
