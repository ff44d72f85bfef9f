"""The sessions an inspector shows: those that pass a proxy, or those of a trace that is being written.

- Each is followed as it goes on, as a report follows a trace; messages and audio are kept in temporary files.
- No credential of a session reaches a page, in whatever frame or finding it is.
- All sessions of a run can be shown. Only when there are very many (MAX_SESSIONS, MAX_ROWS) are the oldest ended ones
  dropped; `let_go` counts them.
- If none can be dropped, no more is kept of the running ones, which is noted once for each.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from livews.conversation import Conversation
from livews.core.conversation import Step
from livews.core.rules import Finding
from livews.core.schema import Sender
from livews.proxy.injector import MessageInjector
from livews.recorder import Direction, Opcode, Recorder
from livews.redactor import Redactor
from livews.report.data import ReportSession, SessionInfo
from livews.report.message_excerpt import MemberDocs
from livews.terminal_text import escape_unsafe, one_line
from livews.trace.reader import SENDERS, TraceRecord
from livews.trace.tail import Tail
from livews.trace.writer import header

MAX_SESSIONS = 300
MAX_ROWS = 1_000_000
_MAX_SOUND = 512 * 1024
"""Bytes of audio of one message that are drawn and can be played: the service's have at most a second (AUDIO-5)."""
_MAX_NOTES = 20
_MAX_NOTE = 1_000


class SessionView:
    """One session as a page sees it.

    Attributes:
        number: from 1.
        info: what is known of it besides its messages.
        page: the data of the page.
        running: it has not ended.
        full: no more is kept of it.
        taken: how many of its messages were taken: as many rows, or fewer, as those without content share one.
        kept: where all of it can be found, in words.
        injector: sends messages into it; None if that is not possible.
    """

    kept = "the trace that is followed has every message"

    def __init__(
        self, number: int, info: SessionInfo, docs: MemberDocs, injector: MessageInjector | None = None
    ) -> None:
        self.number = number
        self.info = info
        self.page = ReportSession(info, docs)
        self.running = True
        self.full = False
        self.taken = 0
        self.injector = injector

    @property
    def clock(self) -> float | None:
        """Seconds since it began, if they are known."""
        return None

    @property
    def client_port(self) -> int:
        """The port its client dials from, 0 if it has none."""
        return self.injector.client_port if self.injector else 0

    def end(self) -> None:
        """It has ended."""
        if self.running:
            self.running = False
            self.page.finish()


class LiveSession(SessionView, Recorder):
    """A session that passes the proxy; a `Recorder` of it, and its `SessionInfo`."""

    kept = "a file named with --trace keeps every message"

    def __init__(
        self, number: int, url: str, redactor: Redactor, injector: MessageInjector, sessions: SessionList
    ) -> None:
        self.header = header(url, "proxy")
        self.conversation = injector.observer.conversation
        self.cut_at: int | None = None
        self.url = url
        self._sessions = sessions
        self._observer = injector.observer
        self._redactor = redactor
        super().__init__(number, self, sessions.docs, injector)

    @property
    def model(self) -> str:
        return self._redactor.redact(str(self.conversation.setup.get("model", "")))

    @property
    def clock(self) -> float | None:
        return self._observer.clock()

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        if self._sessions.has_room(self):
            size, shown, inserted = len(step.raw), _redacted(step, self._redactor), self._observer.injected
            if sum(len(pcm) for _, pcm in step.audio) > _MAX_SOUND:
                shown = replace(shown, audio=())
            self.page.push(TraceRecord(0, t, step.sender, opcode, shown.raw, size=size, inserted=inserted), shown)
        self._sessions.wake()  # its state and its clock go on

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        if self._sessions.has_room(self):
            redact, sender = self._redactor.redact, SENDERS[direction]
            about = {name: redact(value) if isinstance(value, str) else value for name, value in about.items()}
            step = self._observer.close_step if kind == "close" else None
            self.page.push(TraceRecord(0, t, sender, "text", None, kind, about), step)
        self._sessions.wake()

    def close(self) -> None:
        self.end()
        self._sessions.wake()


class SessionList:
    """All sessions of a run.

    Attributes:
        docs: what the schemas say, for all sessions.
        all: the sessions by their numbers.
        own: the ports that livews's own clients dial from.
        notes: texts to show once, numbered from 1: connections that failed, sessions that are not kept in full.
        noted: how many notes there were.
        let_go: how many ended sessions were dropped.
        watchers: called when something is new.
    """

    def __init__(self) -> None:
        self.docs = MemberDocs()
        self.all: dict[int, SessionView] = {}
        self.own: set[int] = set()
        self.notes: deque[tuple[int, str]] = deque(maxlen=_MAX_NOTES)
        self.noted = 0
        self.let_go = 0
        self.watchers: set[Callable[[], None]] = set()
        self._rows = 0
        """Rows of all pages together."""

    # Filled by

    def record(self, number: int, url: str, redactor: Redactor, injector: MessageInjector) -> LiveSession:
        """A session of the proxy begins. `url` is redacted."""
        session = LiveSession(number, url, redactor, injector, self)
        self._add(session)
        return session

    def take(self, tail: Tail) -> bool:
        """Add what is new in a trace; whether anything was. Raises BadRequest as `Tail.take` does."""
        is_new = False
        for info, record, step in tail.take():
            is_new = True
            last = next(reversed(self.all.values()), None)
            if record is None or last is None:
                if last is not None:
                    last.end()
                self._add(SessionView(len(self.all) + self.let_go + 1, info, self.docs))
                continue
            if self.has_room(last):
                last.page.push(record, step)
            if record.control == "close":
                last.end()
        if is_new:
            self.wake()
        return is_new

    def has_room(self, session: SessionView) -> bool:
        """Whether there is room for one more row of a session, which is counted."""
        while self._rows >= MAX_ROWS and not session.full and not self._drop(session):
            session.full = True  # for good: in a list with a hole it would look as if nothing had passed there
            self.note(
                f"session {session.number}: no more of its messages are listed, as livews keeps {MAX_ROWS:,} at most; "
                f"the session itself goes on, and {session.kept}"
            )
        self._rows += not session.full
        session.taken += not session.full
        return not session.full

    def note(self, text: str) -> None:
        """Show a text on every page, once."""
        self.noted += 1
        self.notes.append((self.noted, escape_unsafe(text[:_MAX_NOTE])))
        self.wake()

    def wake(self) -> None:
        for notify in self.watchers:
            notify()

    def look(self) -> None:
        """Find out why nothing happens in the sessions that go on."""
        for session in self.all.values():
            if session.running and session.clock is not None and session.page.look(session.clock):
                self.wake()

    def close(self) -> None:
        for session in self.all.values():
            session.page.close()

    def _add(self, session: SessionView) -> None:
        self.all[session.number] = session
        while len(self.all) > MAX_SESSIONS and self._drop(session):
            pass
        self.wake()

    def _drop(self, keep: SessionView) -> bool:
        """Drop the oldest session that has ended, except `keep`; whether there was one."""
        old = next((session for session in self.all.values() if not session.running and session is not keep), None)
        if old is None:
            return False
        del self.all[old.number]
        self._rows -= old.taken
        old.page.close()
        self.let_go += 1
        return True

    # Read by pages

    def list(self) -> list[dict[str, Any]]:
        """What the list of sessions shows of each."""
        return [
            {
                "n": session.number,
                "started": one_line(str(session.info.header.get("started", "")), 80),
                "model": one_line(session.info.model, 80),
                "running": session.running,
                "own": session.client_port in self.own,
            }
            for session in self.all.values()
        ]


def findings(
    sessions: SessionList, number: int | None, side: Sender, text: str, surface: str = "", version: str = ""
) -> list[Finding]:
    """The findings about a message in the current state of a session, which does not change.

    Without a number, or of a session that is gone, the state is that of a new session at `surface` and `version`.
    """
    session = sessions.all.get(number) if number is not None else None
    known = copy.deepcopy(session.info.conversation) if session else None
    conversation = known or Conversation(surface=surface, version=version)
    return conversation.step(side, text).findings


def _redacted(step: Step, redactor: Redactor) -> Step:
    """A step without credentials."""
    raw = redactor.redact_known(step.raw)
    if raw == step.raw:
        return step

    hide = redactor.redact
    found = tuple(
        replace(f, path=hide(f.path), complaint=hide(f.complaint), fix=hide(f.fix),
                close=f.close and (f.close[0], hide(f.close[1])))
        for f in step.findings
    )  # fmt: skip
    return replace(step, kind=hide(step.kind), raw=raw, parsed=None, as_sent=None, template=None, judgement=found)


async def followed(sessions: SessionList, tail: Tail, every: float = 0.15) -> None:
    """Take what is written to a trace until cancelled. Raises BadRequest as `Tail.take` does."""
    while True:
        sessions.take(tail)
        await asyncio.sleep(0 if tail.behind else every)
