"""Replay the client of a recorded session against a server, and report how the server differs.

- What is sent is what was recorded: bytes, opcode, close. Only what belongs to one run is replaced (IDs of calls,
  handles, elided media), and what the caller asks for (the model); each replacement is reported. Pings are not replayed.
- Order before time: a message is sent when the server has come as far in its turns as it had before that message. Each
  wait is bounded, and one in vain is a difference.
- Messages that a proxy injected towards the client are not the recorded server's and are ignored; those injected
  towards the server are sent as recorded.
- The recording is read once, as a stream. Of both sessions only their meaning is kept (`progress`), and a server that
  sends without end is left.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from livews.audio.analysis.pcm import audio_seconds
from livews.conversation import Conversation
from livews.core import codec, machine
from livews.core.conversation import Step
from livews.endpoint import Endpoint
from livews.endpoint_paths import parse_endpoint_path
from livews.errors import LivewsError
from livews.recorder import Opcode, Recorder
from livews.replay.progress import Call, SideProgress
from livews.terminal_text import one_line
from livews.trace import compare
from livews.trace.compare import Difference
from livews.trace.media import refilled
from livews.trace.normalize import outline
from livews.trace.reader import TraceRecord
from livews.trace.session import RecordedSession
from livews.transport import PONG_TIMEOUT, Transport
from livews.walk import walk

NAMES = ("the recording", "the replay")
_SETTLE = 2.0
"""Seconds to wait, before the client closes, for what follows the last turn."""
_LATE = 0.05
"""Seconds a message may be late without delaying the next one."""
_CLOSE_SECONDS = 2.0
"""Seconds for the server to answer a close frame."""
_SPARE_BYTES, _SPARE_AUDIO = 16 * 1024 * 1024, 600.0
"""Bytes besides audio, and seconds of audio, that a server may send beyond four times the recording."""
_MAX_REPORTED = 20
"""Differences of one kind that are reported; the rest is counted."""


class _Ended(Exception):
    """Nothing more can be sent or received."""


@dataclass(frozen=True)
class ReplayOptions:
    """How to replay.

    Attributes:
        speed: times the recording's own; 0: as fast as the order of messages allows.
        patience: seconds to wait for what the server had sent before a message, beyond the time it took in the
            recording and the duration of its audio.
        timeout: seconds to connect.
        model: the model to ask for, in the form of the target; "" is the recorded one.
        keep_handles: send recorded resumption handles.
        exact: compare words, audio and token counts, too.
    """

    speed: float = 1.0
    patience: float = 10.0
    timeout: float = 10.0
    model: str = ""
    keep_handles: bool = False
    exact: bool = False


@dataclass
class ReplayResult:
    """What became of one session. Pairs are (in this run, in the recording).

    Attributes:
        sent: messages of the client.
        received: messages of the server.
        seconds: duration.
        differences: in the order of the recording. Of many alike the first are listed, and one more says how many
            there are.
        count: number of all differences.
        failure: why the server closed, if that was an error.
        was_closed: the recording was closed by an error of the server, too.
        interrupted: it was cancelled.
    """

    sent: tuple[int, int] = (0, 0)
    received: tuple[int, int] = (0, 0)
    seconds: tuple[float, float] = (0.0, 0.0)
    differences: list[Difference] = field(default_factory=list)
    count: int = 0
    failure: LivewsError | None = None
    was_closed: bool = False
    interrupted: bool = False


class Replay:
    """Replays one session of a trace, once.

    Args:
        session: the session.
        target: where to connect.
        options: how to replay.
        recorders: receive the frames of this run.
        handles: recorded handle to the one this run has in its place; the session adds its own.
        notify: receives a line of text for people.
    """

    def __init__(
        self,
        session: RecordedSession,
        target: Endpoint,
        options: ReplayOptions,
        *,
        recorders: Sequence[Recorder] = (),
        handles: MutableMapping[str, str] | None = None,
        notify: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._session = session
        self._target = target
        self._options = options
        self._handles = {} if handles is None else handles
        self._notify = notify
        # inspected as the recording is, so that the same is found in both
        surface, version = parse_endpoint_path(target.url)
        self._conversation = Conversation(surface=surface, version=version)
        self._transport = Transport(
            target, self._conversation, recorders, flag="--to", on_message=self._on_message,
            on_end=self._on_end, close_timeout=_CLOSE_SECONDS,
        )  # fmt: skip
        self._news = asyncio.Event()
        """Set by each message of the server and by the end."""
        self._over = False
        """The connection has ended, or the server was given up."""
        self._then, self._now = SideProgress(options.exact), SideProgress(options.exact)
        self._own_differences: list[Difference] = []
        """Differences that no comparison of messages finds."""
        self._result = ReplayResult()

        self._at = 1
        """The line of the recording that was replayed last."""
        self._pending = 0
        """The line that is to be sent next, and waits."""
        self._last_t = 0.0
        self._skipped = 0.0
        """Recorded seconds that are not replayed: what was cut out of the trace."""
        self._anchor: tuple[float, float] | None = None
        """A recorded time, and when it was in this run."""
        self._cut_off = False
        """The recording ends in the middle of a turn."""
        self._audio_until = 0.0
        """When the received audio would end, were it played as it arrives."""
        self._received_in_vain = -1
        """How much had been received when a wait was in vain."""
        self._noted_silence = False
        """It was reported that elided media are sent as silence."""

    async def run(self) -> ReplayResult:
        """Replay it. Cancelling it after it is connected ends it with what is known so far in the result.

        Raises:
            BadRequest: the target cannot be dialled.
            Unreachable, Refused: the connection failed.
            TraceFailed: a recorder cannot write.
        """
        result, transport = self._result, self._transport
        try:
            await transport.open(self._options.timeout)
            try:
                await self._play()
            except _Ended:
                pass
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None:
                    task.uncancel()
                result.interrupted = True
            seconds = transport.clock()
        finally:
            await transport.close()
        if transport.failure is not None:
            raise transport.failure
        self._read_on()
        result.sent = self._now.sent, self._then.sent
        result.received = self._now.received, self._then.received
        result.seconds = seconds, self._last_t - self._skipped
        self._compare()
        if self._session.conversation.handle and self._conversation.handle:
            self._handles[self._session.conversation.handle] = self._conversation.handle
        return result

    # The recording

    def _lines(self) -> Iterator[TraceRecord]:
        """Its lines, or those that are left, without what was injected towards the client."""
        return (line for line in self._session.lines() if not (line.inserted and line.sender == "server"))

    async def _play(self) -> None:
        cut, is_open = "cut" in self._session.header, False
        for line in self._lines():
            step = self._session.step(line)
            if cut and is_open:  # the first line after those that a cut always keeps
                cut, self._skipped = False, max(0.0, line.t - self._last_t)
            is_open = self._session.conversation.state("session") not in ("new", "opening")
            self._last_t = line.t
            if step is None:
                continue
            if line.sender == "server":
                self._then.receive(line, step, line.t - self._skipped)
            if line.control == "close":
                self._cut_off = "cutTurn" in step.effects
                await self._recorded_close(line)
                return
            if line.sender == "client":
                self._then.sent += 1
                await self._send(line, step)
        self._cut_off = self._session.conversation.state("turn") != "idle"
        await self._wait_for_server(self._at, "its close")
        await self._settle()
        self._notify("the recording ends without a close: this run closes with 1000")
        await self._transport.leave()

    def _read_on(self) -> None:
        """Read the rest of the recording, which was not replayed: count it, and see how it was closed."""
        first, rest = self._pending, int(self._pending > 0)
        for line in self._lines():
            self._last_t = line.t
            if line.control == "close":
                self._result.was_closed |= _is_error_of_the_server(line)
            elif line.raw is not None and line.sender == "client":
                first, rest = first or line.number, rest + 1
                self._then.sent += 1
            elif line.raw is not None:
                self._then.received += 1
        if rest and not self._result.interrupted:
            self._differ(
                "client", "/messages", f"{rest} {'is' if rest == 1 else 'are'} only in {NAMES[0]}: not played", first
            )

    async def _recorded_close(self, line: TraceRecord) -> None:
        self._result.was_closed |= _is_error_of_the_server(line)
        code, reason = line.close
        if line.sender == "client":
            await self._wait_for_server(line.number, "its close")
            await self._settle()
            await self._pace(line.t)
            if not _is_sendable(code) and not self._over:
                self._notify(
                    f"the client closed with {code}, which is not valid in a close frame: this run closes with 1000"
                )
                code = 1000
            await self._transport.leave(code, reason)
            return
        start = due = self._transport.clock()
        if self._anchor is not None:
            due += max(0.0, line.t - self._skipped - self._anchor[0])
        await self._until(lambda: False, lambda: max(due, self._audio_until) + self._options.patience)
        self._waited_in_vain(line.number, f"the server to close with {code}", start)

    # The client

    async def _send(self, line: TraceRecord, step: Step) -> None:
        self._pending = line.number
        answers = [
            self._then.calls.answered(answer)
            for answer in machine.values(step.body, ("toolResponse", "functionResponses", "*"))
            if isinstance(answer, dict)
        ]
        await self._wait_for_server(
            line.number, one_line(step.kind, 40), [call for call in answers if call is not None]
        )
        await self._pace(line.t)
        raw = self._message(line, step, answers)
        if raw is not None:
            if self._over or self._transport.closing:
                raise _Ended
            opcode: Opcode = "text" if line.opcode == "text" else "binary"
            try:
                async with asyncio.timeout(PONG_TIMEOUT):
                    if not await self._transport.send(self._conversation.step("client", raw), opcode):
                        raise _Ended
            except TimeoutError:  # a server that does not read does not see a close frame either
                self._transport.abort()
                await self._transport.wait_read()
                raise _Ended from None
            self._now.sent += 1
            await asyncio.sleep(0)  # at full speed, too, what arrives is read
        self._at, self._pending = line.number, 0

    def _message(self, line: TraceRecord, step: Step, answers: list[Call | None]) -> bytes | None:
        """The bytes to send; None when nothing is left of the message."""
        raw = _as_recorded(line)
        if line.elided:
            if not self._noted_silence:
                self._noted_silence = True
                self._notify("audio and pictures that were left out of the recording are sent as silence")
            raw = refilled(raw)
        if "setup" not in step.body and "toolResponse" not in step.body:
            return raw
        message = codec.parse(raw)
        self._rewrite_setup(message)
        if not self._rewrite_answers(message, line.number, answers):
            return None
        return raw if message == codec.parse(raw) else codec.dump(message)

    def _rewrite_setup(self, message: dict[str, Any]) -> None:
        """Put this run's model and handle into a setup message."""
        setup, resumption = _value(message, "/setup"), _value(message, "/setup/sessionResumption")
        if isinstance(setup, dict) and self._options.model and setup.get("model") != self._options.model:
            self._notify(f"model {self._options.model} instead of {one_line(str(setup.get('model')), 80)}")
            setup["model"] = self._options.model
        if not isinstance(resumption, dict) or not resumption.get("handle") or self._options.keep_handles:
            return
        handle = self._handles.get(str(resumption.pop("handle")))
        if handle is not None:
            resumption["handle"] = handle
            self._notify("resumed with the handle that the previous session got in this run")
        else:
            self._notify(
                "its resumption handle belongs to the recorded session and is left out; --keep-handles sends it"
            )

    def _rewrite_answers(self, message: dict[str, Any], number: int, answers: list[Call | None]) -> bool:
        """Answer this run's calls instead of the recorded ones; whether anything is left to be sent."""
        responses = _value(message, "/toolResponse/functionResponses")
        rows = [row for row in responses if isinstance(row, dict)] if isinstance(responses, list) else []
        for i, (row, call) in enumerate(zip(rows, answers, strict=False)):
            if call is None:  # an unknown ID was recorded as well
                continue
            call_id = self._now.calls.ids.get(call)
            if call_id is None:
                times = f" {call[1] + 1} times" if call[1] else ""
                words = f"not sent: this server has not called {call[0]}{times}"
                self._differ("client", f"/toolResponse/functionResponses/{i}", words, number)
                responses.remove(row)
            elif call_id:
                row["id"] = call_id
            else:
                row.pop("id", None)
        return not rows or any(row in responses for row in rows)

    # Order and time

    async def _until(self, condition: Callable[[], bool], deadline: Callable[[], float]) -> bool:
        """Wait until the condition holds (True), or the deadline, which may move, has passed (False)."""
        while not condition():
            if self._over or self._transport.closing:
                raise _Ended
            left = deadline() - self._transport.clock()
            if left <= 0:
                return False
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._news.wait()
        return True

    async def _wait_for_server(self, number: int, what: str, calls: Sequence[Call] = ()) -> None:
        """Wait until the server has come as far as it had, and has made the calls that are answered next."""
        then, now = self._then, self._now
        start = due = self._transport.clock()
        recorded = then.reached(then)
        if self._anchor is not None and recorded is not None:
            due = self._anchor[1] + recorded - self._anchor[0]

        def missing() -> str:
            call = next((call for call in calls if call not in self._now.calls.ids), None)
            return now.lacks(then) or (f"the call of {call[0]}" if call else "")

        if await self._until(
            lambda: not missing(), lambda: max(start, due, self._audio_until) + self._options.patience
        ):
            return
        lack = missing()
        self._waited_in_vain(number, f"{lack} before {what}", start)
        if lack == "setupComplete" or self._now.received == self._received_in_vain:
            self._notify("the server does not answer: the rest is not played")
            raise _Ended
        self._received_in_vain = self._now.received
        now.catch_up(then, self._transport.clock())
        for side in (self._then, self._now):
            side.normalizer.mark(number)

    def _waited_in_vain(self, number: int, what: str, start: float) -> None:
        words = f"waited {round(self._transport.clock() - start, 1):g} s for {what}"
        self._differ("server", "/wait", words, number)
        self._notify(words)

    async def _settle(self) -> None:
        """Wait for what follows the last turn, before the client closes."""
        deadline = self._transport.clock() + min(_SETTLE, self._options.patience)
        await self._until(lambda: self._now.settled(self._then), lambda: deadline)

    async def _pace(self, t: float) -> None:
        """Wait for the time of a recorded line: as long after the previous one, and after what it answers, as it was."""
        t -= self._skipped
        due = now = self._transport.clock()
        if self._options.speed and self._anchor is not None:
            due = self._anchor[1] + (t - self._anchor[0]) / self._options.speed
            recorded = self._then.reached(self._then)
            reached = self._now.reached(self._then)
            if recorded is not None and reached is not None:
                due = max(due, reached + (t - recorded) / self._options.speed)
            await self._until(lambda: False, lambda: due)
            now = self._transport.clock()
        # a small delay does not delay what follows
        self._anchor = (t, due if now - due < _LATE else now)

    # The server

    def _on_message(self, step: Step, t: float, opcode: Opcode) -> None:
        if self._over or self._transport.closing:
            return
        now, then, seconds = self._now, self._then, audio_seconds(step)
        now.receive(TraceRecord(self._at, t, "server", opcode, step.raw, size=len(step.raw)), step, t)
        if step.interrupted:
            self._audio_until = t
        elif seconds:
            self._audio_until = max(t, self._audio_until) + seconds
        # a recording has less before the same message
        if now.weight > 4 * then.weight + _SPARE_BYTES or now.audio_seconds > 4 * then.audio_seconds + _SPARE_AUDIO:
            words = f"given up: {now.received:,} messages came, {then.received:,} had come so far"
            self._differ("server", "/messages", words, self._at)
            self._over = True
        self._news.set()

    def _on_end(self) -> None:
        close, expected = self._transport.closed, self._over or self._transport.closing
        self._over = True
        self._news.set()
        if close is None or expected:
            return
        ready = "setupComplete" in self._now.signals
        error = self._transport.error(close, ready=ready)
        if close.cause != "server":
            self._differ("server", "/close", f"{error.what}; only in {NAMES[1]}", None, self._at)
        else:
            about = {"code": close.code, "reason": self._target.secrets.redact(close.reason)}
            t = self._transport.clock()
            self._now.receive(TraceRecord(self._at, t, "server", "text", None, "close", about), close.step, t)
        if close.cause != "server" or not ready or close.code != 1000:
            self._result.failure = error

    # Differences

    def _compare(self) -> None:
        result, options = self._result, self._options
        then, now = self._then.normalizer.done(), self._now.normalizer.done()
        if not options.exact:
            then, now = outline(then), outline(now)
        if options.speed != 1:  # the server sends it after some time
            for meaning in (then, now):
                for side in ("server", "beside"):
                    meaning[side] = [item for item in meaning[side] if item.kind != "goAway"]
        for kind, (fault, line) in self._now.faults.items():
            if kind not in self._then.faults:
                words = f"{fault.complaint} ({fault.rule}): only in {NAMES[1]}"
                self._differ("server", fault.path or "/", words, None, line)
        differences = self._own_differences
        differences += compare.differences(then, now, "bytes" if options.exact else "nothing", NAMES)
        if self._cut_off:  # how much of a turn comes before the client leaves is a matter of time
            differences = [
                row for row in differences if row.path == "/close" or row.lines[0] or (row.lines[1] or 0) < self._at
            ]
        if result.interrupted:  # what is missing after the last message may have been on its way
            differences = [row for row in differences if (row.lines[0] or 0) <= self._at]
        result.count = len(differences)
        totals = Counter((row.side, row.path) for row in differences)
        seen: Counter[tuple[str, str]] = Counter()
        for row in sorted(differences, key=lambda row: row.lines[0] or row.lines[1] or 0):
            kind = (row.side, row.path)
            seen[kind] += 1
            if seen[kind] <= _MAX_REPORTED:
                result.differences.append(replace(row, words=self._target.secrets.redact(row.words)))
            elif seen[kind] == totals[kind]:
                result.differences.append(replace(row, words=f"and {seen[kind] - _MAX_REPORTED:,} more of these"))

    def _differ(self, side: str, path: str, words: str, recorded: int | None, played: int | None = None) -> None:
        """Note a difference that no comparison of messages finds; the numbers are those of lines."""
        self._own_differences.append(Difference(side, path, words, (recorded, played)))


def _as_recorded(line: TraceRecord) -> bytes:
    """The bytes of a frame as they were sent: the reader drops white space and the first of two equal members."""
    assert line.raw is not None
    start = line.text.find(b'"message":') + len(b'"message":')
    raw = line.text[start : start + line.size]
    try:
        same = len(raw) == line.size and codec.dump(codec.parse(raw)) == line.raw
    except codec.WireError:
        same = False
    return raw if same else line.raw


def _value(message: dict[str, Any], path: str) -> Any:
    """The value at a canonical path of a client's message, whatever its members are spelt like."""
    return next((visit.value for visit in walk("client", message) if visit.canonical_path == path), None)


def _is_error_of_the_server(close: TraceRecord) -> bool:
    return close.sender == "server" and close.close[0] != 1000


def _is_sendable(code: int) -> bool:
    """Whether a close frame may have this code; 1006 means to drop the connection without one."""
    return 1000 <= code <= 1003 or 1006 <= code <= 1014 or 3000 <= code <= 4999
