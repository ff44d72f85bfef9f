"""The sessions an inspector shows: those that pass a proxy, or those of a trace that is being written.

- Each is followed as it comes, by what the report follows a trace with; messages and sound wait in temporary files.
- No credential of a session gets into what a page is told, whatever frame or finding it stands in.
- All sessions of a run can be looked at; only when there are very many (MOST_SESSIONS, MOST_ROWS) the oldest that have
  ended are let go, and `let_go` counts them.
- Where none is left to let go, nothing more is kept of those that run, which is noted once for each.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from livews.core.conversation import Conversation, Step
from livews.core.rules import Finding
from livews.core.schema import Sender
from livews.proxy.injector import MessageInjector
from livews.proxy.observer import ConnectionObserver
from livews.recorder import Clock, Direction, Opcode
from livews.redactor import Redactor
from livews.report.data import MemberDocs, ReportSession, SessionInfo
from livews.terminal_text import escape_unsafe, one_line
from livews.trace.reader import TraceRecord
from livews.trace.tail import Tail
from livews.trace.writer import header

MOST_SESSIONS = 300
MOST_ROWS = 1_000_000
_NOTES = 20
_SENDERS: dict[Direction, Sender] = {"send": "client", "recv": "server"}


class SessionView(Protocol):
    """One session as a page sees it."""

    number: int
    page: ReportSession
    running: bool
    full: bool
    """Nothing more is kept of it."""
    kept: str
    """Where all of it can be found."""

    @property
    def about(self) -> SessionInfo: ...

    @property
    def clock(self) -> float | None:
        """Seconds since it began, None where nobody knows."""

    @property
    def peer(self) -> int:
        """The port its client dials from, 0 where there is none."""

    @property
    def injector(self) -> MessageInjector | None: ...


class LiveSession:
    """A session that passes the proxy; a `Recorder` of it."""

    def __init__(self, number: int, url: str, hides: Redactor, sessions: SessionList) -> None:
        self.number = number
        self.header = header(url, "proxy")
        self.talk = Conversation()
        self.cut_at: int | None = None
        self.running = True
        self.full = False
        self.kept = "a file named with --trace keeps every message"
        self.injector: MessageInjector | None = None
        self._sessions = sessions
        self._observer: ConnectionObserver | None = None
        self._hides = hides
        self._time = Clock()
        self._lines = 0
        self.page = ReportSession(self, sessions.docs)

    @property
    def about(self) -> SessionInfo:
        return self

    @property
    def url(self) -> str:
        return str(self.header["url"])

    @property
    def model(self) -> str:
        return self._hides.redact(str(self.talk.setup.get("model", "")))

    @property
    def clock(self) -> float | None:
        return self._time()

    @property
    def peer(self) -> int:
        return self.injector.client_port if self.injector else 0

    def passes(self, observer: ConnectionObserver, injector: MessageInjector) -> None:
        """Its messages begin to pass."""
        self._observer, self.talk, self.injector = observer, observer.conversation, injector

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        if self.full:
            self._sessions.wake()  # its state and its clock go on
            return
        size = len(step.raw)
        step = _without(step, self._hides)
        inserted = self._observer is not None and self._observer.injected
        line = TraceRecord(self._number(), t, _SENDERS[direction], opcode, step.raw, size=size, inserted=inserted)
        self._sessions.push(self, line, step)
        self._sessions.wake()

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        about = {
            name: self._hides.redact(value) if isinstance(value, str) else value for name, value in about.items()
        }
        step = self._observer.close_step if self._observer is not None and kind == "close" else None
        self._sessions.push(
            self, TraceRecord(self._number(), t, _SENDERS[direction], "text", None, kind, about), step
        )
        self._sessions.wake()

    def close(self) -> None:
        self.page.finish()
        self.running = False
        self._sessions.wake()

    def _number(self) -> int:
        self._lines += 1
        return self._lines


class TraceSession:
    """A session of a trace; it runs until it is closed or another one begins."""

    def __init__(self, number: int, about: SessionInfo, sessions: SessionList) -> None:
        self.number = number
        self.about = about
        self.page = ReportSession(about, sessions.docs)
        self.running = True
        self.full = False
        self.kept = "the trace that is followed has every message"
        self.clock: float | None = None
        self.peer = 0
        self.injector: MessageInjector | None = None

    def end(self) -> None:
        if self.running:
            self.running = False
            self.page.finish()


class SessionList:
    """All sessions of a run. `watchers` are called when something is new."""

    def __init__(self) -> None:
        self.docs = MemberDocs()
        self.all: dict[int, SessionView] = {}
        self.own: set[int] = set()
        """The ports that livews's own clients dial from."""
        self.notes: deque[tuple[int, str]] = deque(maxlen=_NOTES)
        """What is to be told once, numbered from 1: sessions that did not come to be, or are not kept in full."""
        self.noted = 0
        self.let_go = 0
        self.watchers: set[Callable[[], None]] = set()
        self._rows = 0
        """Of all pages together."""

    # Filled by

    def record(self, number: int, url: str, hides: Redactor) -> LiveSession:
        """A session begins to pass; `url` is redacted."""
        made = LiveSession(number, url, hides, self)
        self._add(made)
        return made

    def passes(self, number: int, observer: ConnectionObserver, injector: MessageInjector) -> None:
        """For `ProxyConfig.on_session`."""
        found = self.all.get(number)
        if isinstance(found, LiveSession):
            found.passes(observer, injector)

    def take(self, tail: Tail) -> bool:
        """Take what is new in a trace; whether anything was. BadRequest as `Tail.take`."""
        some = False
        for about, line, step in tail.take():
            some = True
            last = next(reversed(self.all.values()), None)
            if line is None:
                if isinstance(last, TraceSession):
                    last.end()
                self._add(TraceSession(len(self.all) + self.let_go + 1, about, self))
            elif isinstance(last, TraceSession):
                self.push(last, line, step)
                if line.control == "close":
                    last.end()
        if some:
            self.wake()
        return some

    def push(self, to: SessionView, line: TraceRecord, step: Step | None) -> None:
        """One line more of a session, if there is room for it."""
        if to.full:  # for good: a list with a hole in it would read as if nothing had passed there
            return
        while self._rows >= MOST_ROWS:
            if not self._drop(to):
                to.full = True
                self.note(
                    f"session {to.number}: no more of its messages are listed, as livews keeps {MOST_ROWS:,} at most; "
                    f"the session itself goes on, and {to.kept}"
                )
                return
        to.page.push(line, step)
        self._rows += 1

    def note(self, text: str) -> None:
        self.noted += 1
        self.notes.append((self.noted, escape_unsafe(text[:1000])))
        self.wake()

    def wake(self) -> None:
        for tell in self.watchers:
            tell()

    def close(self) -> None:
        for one in self.all.values():
            one.page.close()

    def _add(self, made: SessionView) -> None:
        self.all[made.number] = made
        while len(self.all) > MOST_SESSIONS and self._drop(made):
            pass
        self.wake()

    def _drop(self, but: SessionView) -> bool:
        """Let the oldest session go that has ended, `but` not; whether there was one."""
        old = next((one for one in self.all.values() if not one.running and one is not but), None)
        if old is None:
            return False
        del self.all[old.number]
        self._rows -= old.page.rows
        old.page.close()
        self.let_go += 1
        return True

    # Asked by pages

    def list(self) -> list[dict[str, Any]]:
        """A few words on each session."""
        return [
            {
                "n": one.number,
                "started": one_line(str(one.about.header.get("started", "")), 80),
                "model": one_line(one.about.model, 80),
                "running": one.running,
                "own": one.peer in self.own,
            }
            for one in self.all.values()
        ]


def findings(
    sessions: SessionList, number: int | None, side: Sender, text: str, surface: str = "", version: str = ""
) -> list[Finding]:
    """What there is to say of a message in the present state of a session, which stays what it is; None: of a new one
    at that surface."""
    shown = sessions.all.get(number) if number is not None else None
    talk = copy.deepcopy(shown.about.talk) if shown else Conversation(surface=surface, version=version)
    return talk.step(side, text).findings


def _without(step: Step, hides: Redactor) -> Step:
    """The same step without credentials."""
    raw = hides.redact_known(step.raw)
    if raw == step.raw:
        return step
    return replace(
        step, kind=hides.redact(step.kind), raw=raw, parsed=None, as_sent=None, template=None,
        found=(*_hidden((*step.faults, *step.notes), hides),),
    )  # fmt: skip


def _hidden(found: tuple[Finding, ...], hides: Redactor) -> Iterator[Finding]:
    for one in found:
        close = one.close and (one.close[0], hides.redact(one.close[1]))
        path, complaint, fix = map(hides.redact, (one.path, one.complaint, one.fix))
        yield replace(one, path=path, complaint=complaint, fix=fix, close=close)


async def followed(sessions: SessionList, tail: Tail, every: float = 0.15) -> None:
    """Take what is written to a trace until cancelled. BadRequest as `Tail.take`."""
    while True:
        sessions.take(tail)
        await asyncio.sleep(0 if tail.behind else every)
