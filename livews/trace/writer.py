"""Write a trace file, format `livews-trace` version 1.

- JSON lines, append-only, one write() per line: what was seen is on disk, even if a crash follows.
- The bytes of a JSON frame are written as they came; only raw line breaks become spaces, which JSON allows.
- No credential is written, wherever it is in a frame: none of the session, and none that its shape gives away. Only the
  base64 of audio is not searched.
- Empty messages of the server are a count on the next line (`empties`); a session that ends with some has a line for them.
- A trace that cannot be written stops the program (TraceFailed): a recorder that loses data is worse than none.
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
from livews.endpoint import Endpoint
from livews.errors import TraceFailed
from livews.fastpath import Template
from livews.output_file import descriptor_of, open_output
from livews.recorder import Direction, Opcode
from livews.redactor import Pieces, Redactor, valid_url, without_shapes
from livews.trace.empties import EmptyRun
from livews.trace.media import elided, without_credentials
from livews.version import __version__

_WORDS = {"send": b"send", "recv": b"recv", "text": b"text", "binary": b"binary"}


class TraceFile:
    """A trace on disk; a `Recorder`.

    Args:
        path: the file; a session is appended to a trace that exists.
        url: the redacted URL of the session.
        side: who records: "client", "server" or "proxy".
        secrets: has the credentials that are removed.
        media: "elide" writes length and hash in the place of base64.

    Raises:
        TraceFailed: the file cannot be written, or is not a trace.
    """

    def __init__(
        self, path: str | Path, *, url: str, side: str, secrets: Redactor, media: Literal["keep", "elide"] = "keep",
    ) -> None:  # fmt: skip
        self.path = Path(path)
        self._redact = secrets.redact_known
        self._pieces = Pieces(secrets)
        self._media = media
        self._templates: dict[Template, tuple[bytes, bytes]] = {}
        self._empties = EmptyRun()
        self._url, self._side = url, side
        self._since = 0.0
        """When its last header was written, on the clock of the session."""
        self._continues: tuple[float, int] | None = None
        """Another connection has begun, and nothing of it was written yet: when, and how many there were before."""
        self.inserted: Callable[[], bool] = lambda: False
        """Whether livews inserted the current frame: neither side sent it."""
        try:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
            self._file = open_output(self.path, os.O_RDWR | os.O_APPEND)
        except OSError as problem:
            raise _failed(self.path, problem) from None
        try:
            _check_content(self._file, self.path)
        except TraceFailed:
            self.close()
            raise
        self._write(orjson.dumps(header(url, side)) + b"\n")

    @staticmethod
    def check(path: str | Path) -> None:
        """Raise TraceFailed if a trace could not be written to `path` now. Nothing is created or changed."""
        path = Path(path)
        existing = path
        try:
            while not os.path.lexists(existing):  # up to the folder in which the others would be created
                existing = existing.parent
            if existing != path and descriptor_of(path) is None:
                if not existing.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                if not os.access(existing, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            elif not path.is_fifo():  # opening a pipe would be noticed at its other end
                file = open_output(path, os.O_RDWR | os.O_APPEND, create=False)
                try:
                    _check_content(file, path)
                finally:
                    os.close(file)
        except OSError as problem:
            raise _failed(path, problem) from None

    @classmethod
    def of(cls, path: str | Path, where: Endpoint, *, media: Literal["keep", "elide"] = "keep") -> TraceFile:
        """The trace of a client's session with the endpoint `where`."""
        return cls(path, url=where.shown, side="client", secrets=where.secrets, media=media)

    def continued(self, t: float, connections: int) -> None:
        if self._continues is None and (last := self._empties.last()):
            self._frame(*last)
        self._continues = t, connections

    def _begin(self) -> None:
        """Write the header of another connection, ahead of its first line: its times count from there."""
        if self._continues is not None:
            self._since, connections = self._continues
            self._continues = None
            self._write(orjson.dumps(header(self._url, self._side) | {"continues": connections}) + b"\n")

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        self._begin()
        t -= self._since
        inserted = self.inserted()
        if inserted or not self._empties.take(step, t, direction, opcode):
            self._frame(step, t, direction, opcode, b'"inserted":true,' if inserted else b"")

    def _frame(self, step: Step, t: float, direction: Direction, opcode: Opcode, more: bytes = b"") -> None:
        raw = step.raw
        head = b'{"t":%.6f,"dir":"%s","opcode":"%s","size":%d,' % (t, _WORDS[direction], _WORDS[opcode], len(raw))
        head += more + self._empty_counts()
        if step.template is not None and self._media == "keep":
            # A frame like an earlier one: what surrounds its base64 was put on one line the first time.
            before, after = self._surroundings(step.template)
            data = memoryview(raw)[len(step.template.head) : len(raw) - len(step.template.tail)]
            self._write(b"".join((head, before, data, after)))
            return
        raw = self._pieces.step(step).raw
        if step.kind == "unreadable":
            body = b'"raw":"' + codec.encode_base64(self._hidden(raw)).encode() + b'"'
        elif self._media == "elide" and step.body:
            body = b'"message":' + orjson.dumps(elided(orjson.loads(raw)))
        else:
            body = b'"message":' + _on_one_line(raw).strip()
        tail = _findings(step) if step.faults or step.notes else b"}\n"
        if step.kind == "unreadable":  # megabytes of base64 have the mark of a credential by chance
            self._write(head + body + self._hidden(tail))
        else:
            self._write(self._hidden(b"".join((head, body, tail))))

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        self._begin()
        row = (t - self._since, direction.encode(), self._empty_counts(), kind.encode(), orjson.dumps(about))
        self._write(self._hidden(b'{"t":%.6f,"dir":"%s",%s"%s":%s}\n' % row))

    def close(self) -> None:
        """Write the empty messages that no line followed, and close the file."""
        try:
            if self._file >= 0 and (last := self._empties.last()):
                self._frame(*last)
        finally:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _empty_counts(self) -> bytes:
        """The members of the next line that count the empty messages before it."""
        if not self._empties.count:
            return b""
        return orjson.dumps(self._empties.release())[1:-1] + b","

    def _hidden(self, raw: bytes) -> bytes:
        return without_credentials(self._redact(raw), without_shapes)

    def _surroundings(self, template: Template) -> tuple[bytes, bytes]:
        known = self._templates.get(template)
        if known is None:
            if len(self._templates) > 16:
                self._templates.clear()
            before = self._redact(b'"message":' + _on_one_line(template.head).lstrip())
            known = self._templates[template] = (before, self._redact(_on_one_line(template.tail).rstrip() + b"}\n"))
        return known

    def _write(self, line: bytes) -> None:
        try:
            done = os.write(self._file, line)
            while done < len(line):  # a full disk takes half a line before it fails
                line = line[done:]
                done = os.write(self._file, line)
        except OSError as problem:
            raise _failed(self.path, problem) from None


def _check_content(file: int, path: Path) -> None:
    """Raise TraceFailed unless the file is empty, a trace to append to, a device, or a descriptor that was named."""
    is_file = stat.S_ISREG(os.fstat(file).st_mode) and descriptor_of(path) is None
    start = os.pread(file, 64, 0) if is_file else b""
    if start and not start.startswith(b'{"trace":"livews"'):
        raise TraceFailed(
            "the file is not a trace and would be damaged by one",
            where=str(path),
            why="its content does not start with the first line of a trace",
            fix="name another file after --trace",
        )


def _failed(path: Path, problem: OSError) -> TraceFailed:
    return TraceFailed(
        f"cannot write the trace: {problem.strerror or problem}",
        where=str(path),
        why="livews does not run a session untraced if a trace was requested",
        fix="name another file after --trace, or free the disk if it is full",
    )


def _on_one_line(raw: bytes) -> bytes:
    """JSON without raw line breaks: between tokens any white space will do, and no string holds one."""
    return raw.replace(b"\n", b" ").replace(b"\r", b" ")


def iso_time(when: datetime) -> str:
    """A time in UTC as ISO 8601, to the microsecond."""
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


def header(url: str, side: str) -> dict[str, Any]:
    """The first line of a trace. `url` has to be redacted already."""
    return {
        "trace": "livews", "version": 1, "started": iso_time(datetime.now(UTC)), "url": valid_url(url), "side": side,
        "livews": __version__, "protocol": protocol.load("asyncapi.json")["info"]["version"],
    }  # fmt: skip


def _findings(step: Step) -> bytes:
    out = b""
    for name, findings in ((b"faults", step.faults), (b"notes", step.notes)):
        if findings:
            rows = [{"rule": found.rule, "path": found.path, "complaint": found.complaint} for found in findings]
            out += b',"%s":%s' % (name, orjson.dumps(rows))
    return out + b"}\n"
