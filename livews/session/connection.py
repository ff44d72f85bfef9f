"""One connection of a session: the socket, its conversation, and the setup on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from livews import transport
from livews.advice import closes
from livews.advice.suspects import Suspects
from livews.conversation import Conversation
from livews.core import codec, schema
from livews.core.conversation import Step
from livews.endpoint import Endpoint
from livews.errors import Closed, LivewsError, Refused, RemoteProtocolError
from livews.recorder import Clock, Opcode, Recorder
from livews.session.decisions import Ending
from livews.transport import Transport


class Connection:
    """A connection that is dialled, set up and used once.

    Args:
        where: where to connect.
        recorders: of the session; they outlive the connection.
        clock: of the session.
        on_message: called with each message of the service.
        on_end: called when the service can send nothing more.
        handle: the handle that its setup resumes with, "" for a new session of the service.

    Attributes:
        conversation: the state of both directions.
        suspects: what was sent that may be the cause of a close.
        is_set_up: setupComplete has come.
        has_content: something of the model has come since.
        goes_on: set with it, and at the end.
        last_frame: when a message or a pong last came, on the clock of the session.
        set_up_at: when setupComplete came.
        given_up: why we ended it, where the service did not answer any more.
        setup_step: the setupComplete.
        error: why it ended, None where the service closed with 1000 while nothing was running, and where we did.
        is_over: set at its end.
    """

    def __init__(
        self,
        where: Endpoint,
        recorders: Sequence[Recorder],
        clock: Clock,
        *,
        on_message: Callable[[Connection, Step], None],
        on_end: Callable[[Connection], None],
        handle: str = "",
    ) -> None:
        self.conversation = Conversation(surface=where.surface, version=where.version)
        self.suspects = Suspects()
        self.handle = handle
        self.is_set_up = False
        self.has_content = False
        self.goes_on = asyncio.Event()
        self.last_frame = self.set_up_at = clock()
        self.error: Exception | None = None
        self.given_up: LivewsError | None = None
        self.setup_step = Step("server", "setupComplete", b"")
        self.is_over = asyncio.Event()
        self.transport = Transport(
            where, self.conversation, recorders, clock=clock, on_message=self._take, on_end=self._end
        )
        self._where = where
        self._clock = clock
        self._on_message, self._on_end = on_message, on_end
        self._ready = asyncio.Event()
        """It is set up, or over."""
        self._first_kind = ""
        """The kind of the first message, if that is not setupComplete."""

    async def open(self, message: dict[str, Any], open_timeout: float, setup_timeout: float) -> None:
        """Dial, send the setup and wait for setupComplete.

        Args:
            message: the setup message; valid.
            open_timeout: seconds for the connection and the upgrade.
            setup_timeout: seconds for setupComplete.

        Raises:
            Unreachable, Refused, Lost, RemoteProtocolError: as `connect`.
        """
        await self.transport.open(open_timeout)

        async def set_up() -> None:
            step = self.conversation.step("client", codec.dump(message), composed=True)
            self.suspects.take(step, self._clock())
            await self.transport.send(step)
            await self._ready.wait()

        try:
            await transport.within(setup_timeout, set_up())
        except TimeoutError:
            answer = f"the server sent {schema.short(self._first_kind)}" if self._first_kind else "nothing came back"
            raise RemoteProtocolError(
                f"no setupComplete within {setup_timeout:g} s (SETUP-3)",
                where=self._where.shown,
                why=f"the connection is open, setup was sent, and {answer}",
                fix="run livews with --trace and the same URL to see what came instead; a proxy or another server may be answering",
            ) from None
        if self.is_set_up:
            return  # an end that came with it is for `events`, after what came before it
        if self.error is not None:
            raise self.error
        raise Refused(closes.explain(1000), where=self._where.shown)

    async def leave(self, patience: float | None = None) -> None:
        """Close with 1000, or end what is left of it; the recorders stay open."""
        await self.transport.close(patience=patience, recorders=False)

    def is_busy(self) -> bool:
        """Whether something is running: a turn, a call, an answer that is owed, speech that is marked."""
        states = self.conversation.states
        is_quiet = (states["turn"], states["answer"], states["activity"]) == ("idle", "none", "none")
        return not is_quiet or bool(self.conversation.pending)

    def ending(self, error: Exception | None, phase: str, *, planned: bool) -> Ending:
        """How it ended, for the decision about another.

        Args:
            error: what its end raised, None for a close that is no error.
            phase: when it ended.
            planned: we closed it, or dial again after such a close.
        """
        if isinstance(error, Closed):
            advice = error.advice
            return Ending(phase, advice.code, advice.id, advice.kind, advice.retry, planned)
        if (close := self.transport.closed) is not None:  # with 1000, or by us, since a frame was invalid
            advice = closes.explain(close.code, close.reason)
            return Ending(phase, close.code, advice.id, advice.kind, advice.retry, planned)
        return Ending(phase, planned=planned)  # unreachable, or no setupComplete

    def _take(self, step: Step, t: float, opcode: Opcode) -> None:
        self.suspects.messages += 1
        self.last_frame = t
        if not self._first_kind and not self._ready.is_set():
            self._first_kind = step.kind
        if "setupComplete" in step.signals:
            self.is_set_up, self.set_up_at, self.setup_step = True, t, step
            self._ready.set()
        elif "output" in step.signals:
            self.has_content = True
            self.goes_on.set()
        self._on_message(self, step)

    def _end(self) -> None:
        close, self.error = self.transport.closed, self.transport.failure
        is_own = self.error is not None or close is None or self.transport.closing
        if close is not None and not is_own and not (self.is_set_up and close.is_quiet):
            self.error = self.transport.error(close, ready=self.is_set_up)
            if isinstance(self.error, Closed) and (cause := self.suspects.cause_of(self.error.advice)):
                self.error.blame(cause, self._where.secrets.redact)
        for event in (self._ready, self.goes_on, self.is_over):
            event.set()
        self._on_end(self)
