"""State that all sessions of one stand-in share, what sessions have in common, and who may open one.

- The kinds of sessions import this module; it imports none of them.
- A credential is checked as the service does it: not at the upgrade but after setup, by a close (CLOSE-3, AUTH-1).
"""

from __future__ import annotations

import abc
from collections import Counter
from typing import Any

from livews.core import closes
from livews.core.conversation import Conversation
from livews.recorder import Clock, Recorder
from livews.server import token_endpoint
from livews.server.channel import ServerChannel
from livews.server.config import StandInConfig
from livews.server.connection import StandInConnection
from livews.server.request_target import RequestTarget, credential_of, parse_request_target
from livews.server.speech import SpeechSynthesizer
from livews.server.store import SessionStore

_ENDINGS = 1000
"""Endings counted one by one; the rest is "otherwise", since a close reason may quote anything a client sends."""
_LATE_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000)


class LatenessHistogram:
    """How late audio chunks went out."""

    def __init__(self) -> None:
        self._chunks: Counter[int] = Counter()
        self._max = 0.0

    def add(self, seconds: float) -> None:
        """Count a chunk that went out so many seconds after it was due."""
        self._chunks[next((ms for ms in _LATE_MS if seconds * 1000 <= ms), _LATE_MS[-1])] += 1
        self._max = max(self._max, seconds)

    def to_dict(self) -> dict[str, Any]:
        """In milliseconds: upper bounds that hold for 50 and 99 % of the chunks, and the maximum."""
        total = sum(self._chunks.values())
        result: dict[str, Any] = {"chunks": total}
        for percent in (50, 99) if total else ():
            within = 0
            for ms in _LATE_MS:
                within += self._chunks[ms]
                if within >= percent / 100 * total:
                    result[f"p{percent}"] = ms
                    break
        return {**result, "max": round(self._max * 1000, 1)}


class ServerContext:
    """The shared state of one stand-in.

    `config`: its settings; ValueError when the voice they name is not there.
    """

    def __init__(self, config: StandInConfig) -> None:
        self.config = config
        self.url = ""
        self.clock = Clock()
        self.store = SessionStore(self.clock, scale=config.time_scale, seed=config.seed)
        self.speech = SpeechSynthesizer(config.voice, log=config.log)
        self.lateness = LatenessHistogram()
        self.sessions: dict[int, ServerSession] = {}
        """Open sessions by number."""
        self.total = 0
        self.failures = 0
        """Sessions that ended with an exception, which is a bug of the stand-in."""
        self.differences = 0
        """Deviations of clients from the scripts played to them."""
        self.endings: Counter[str] = Counter()
        """How sessions ended, counted by description."""

    def record_end(self, number: int) -> None:
        """Remove a session that is over, and count how it ended."""
        session = self.sessions.pop(number)
        known = session.ended in self.endings or len(self.endings) < _ENDINGS
        self.endings[session.ended if known else "otherwise"] += 1
        self.differences += len(session.differences)

    def recorder(self, number: int, target: RequestTarget) -> Recorder | None:
        """The recorder of a session, None when nothing is recorded."""
        record = self.config.record
        return record(number, self.url + target.path, target.credential) if record else None

    def check_credential(self, target: RequestTarget, *, resumes: bool) -> tuple[int, str] | None:
        """The close a credential earns, or None. A token made here costs a use, unless a session is resumed (AUTH-2)."""
        credential, required = target.credential, self.config.require_key
        if token := self.store.token(credential):
            if not target.constrained:
                return closes.frame_for("no-credentials")
            refusal = self.store.spend(token, counts=not resumes)
            return closes.frame_for(refusal) if refusal else None
        if not required or credential == required:
            return None
        return closes.frame_for("key-not-valid" if credential else "no-credentials")

    def is_full(self, session: ServerSession) -> bool:
        """Whether this credential has as many other sessions as it may have."""
        limit, credential = self.config.sessions_per_key, session.target.credential
        others = (s for s in self.sessions.values() if s is not session and s.is_set_up)
        return bool(limit) and sum(other.target.credential == credential for other in others) >= limit

    def make_token(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer POST auth_tokens: the HTTP status and the body."""
        path, _, query = path.partition("?")
        key = credential_of(headers.get("x-goog-api-key", ""), headers.get("authorization", ""), query)
        if self.config.require_key and key != self.config.require_key:
            return token_endpoint.refused(400, closes.frame_for("key-not-valid" if key else "no-credentials")[1])
        return token_endpoint.create(self.store, body)

    def status(self) -> dict[str, Any]:
        """The answer to GET /livews/status."""
        return {
            "livews": "stand-in",
            "seconds": round(self.clock(), 3),
            "voice": self.speech.name,
            "sessions": {
                "total": self.total,
                "open": len(self.sessions),
                "failures": self.failures,
                "differences": self.differences,
            },
            "ended": dict(self.endings),
            "lateMs": self.lateness.to_dict(),
            "open": [session.status() for session in self.sessions.values()],
        }


class ServerSession(abc.ABC):
    """One connection, from its upgrade to its close. A session answers freely, or plays a script.

    `number`: the session's, from 1. `as_of`: the month whose rules count, "" for today's.
    """

    def __init__(
        self, connection: StandInConnection, context: ServerContext, number: int, *, as_of: str = ""
    ) -> None:
        assert connection.request is not None
        self.number = number
        self.target = parse_request_target(connection.request)
        self.received = 0
        """Messages that came."""
        self.ended = ""
        """How it ended, in words."""
        self.differences: list[str] = []
        """What the client did otherwise than the script."""
        self.connection = connection
        self.context = context
        self.config = context.config
        self.conversation = Conversation(surface=self.target.surface, version=self.target.version, as_of=as_of)
        recorder = context.recorder(number, self.target)
        self.channel = ServerChannel(connection, self.conversation, self.config.faults, recorder, self.go_away)

    async def run(self) -> None:
        """Serve the client until its connection ends."""
        try:
            await self.serve()
        finally:
            self.ended = self.channel.description_of_end()
            await self.stop()
            self.channel.finish()
        if self.channel.failure is not None:
            raise self.channel.failure

    def log(self, line: str) -> None:
        """Write a line about this session to the log."""
        self.config.log(f"session {self.number}: {line}")

    @property
    def is_set_up(self) -> bool:
        """Whether setup was accepted."""
        return True

    @property
    def model(self) -> str:
        """The model that setup names."""
        return str(self.conversation.setup.get("model", ""))

    @abc.abstractmethod
    async def serve(self) -> None:
        """Talk to the client until its connection ends."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """End all tasks."""

    @abc.abstractmethod
    async def go_away(self, seconds: float) -> None:
        """Send goAway with so many seconds left, and close when they are over."""

    @abc.abstractmethod
    def summary(self, seconds: float) -> str:
        """The session in a line or more for the log; it took so many seconds."""

    @abc.abstractmethod
    def status(self) -> dict[str, Any]:
        """The session's part of GET /livews/status."""
