"""Observe one relayed session: bytes to frames, frames to messages, messages to a conversation and the recorders.

- The bytes have been written on before they come here; nothing the observer does or fails at delays the session.
- It works for a moment at a time (`_SLICE`), so that other sessions get their turn. More bytes of a session are read when
  those before have been observed.
- A message that would take too long to read is passed on without (WIRE-15), which is noted.
- A direction that cannot be read any more is reported once and not followed further; the other one still is.
- A trace that cannot be written is passed to `on_fatal`. Any other recorder that fails is dropped and reported; the
  others go on, and so does the session.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from livews.advice.judge import not_inspected
from livews.advice.names import protocol_at
from livews.audio.analysis.input_check import InputAudioCheck
from livews.conversation import Conversation
from livews.core import codec
from livews.core.conversation import Step
from livews.endpoint_paths import parse_endpoint_path
from livews.errors import LivewsError, TraceFailed
from livews.listening import is_out_of_descriptors
from livews.proxy.framing import ControlFrame, FramedMessage, FrameParser, deflate_contexts
from livews.proxy.relay import Side, StreamEnd
from livews.recorder import Clock, Direction, Recorder
from livews.redactor import remember_handles

_SLICE = 0.005
"""Seconds of work after which other sessions get a turn."""
_DIRECTIONS: dict[Side, Direction] = {"client": "send", "server": "recv"}
_NAMES: dict[Side, str] = {"client": "the client", "server": "the service"}


class ConnectionObserver:
    """Follows one session.

    Args:
        path: path of the request target, which tells surface and API version.
        extensions: Sec-WebSocket-Extensions of the 101 response.
        log: receives a line of text for people.
        on_fatal: receives the error when the trace cannot be written.
    """

    def __init__(
        self, path: str, extensions: str, log: Callable[[str], None], on_fatal: Callable[[LivewsError], None]
    ) -> None:
        surface, version = parse_endpoint_path(path)
        self.conversation = Conversation(surface=surface, version=version)
        self._input = InputAudioCheck()
        self.recorders: list[Recorder] = []
        """They receive every message and control frame."""
        self.messages: Counter[Side] = Counter()
        self.faults = 0
        self.first_close: tuple[Side, int, str] | None = None
        """The first close frame: its sender, code and reason."""
        self.close_step: Step | None = None
        """What the first close frame did to the conversation, or the end of the stream without one."""
        self.closed_sides: set[Side] = set()
        """Who has sent a close frame, after which no message may follow."""
        self.injected = False
        """The message being recorded was injected: neither side wrote it."""
        self.working: asyncio.Task[None] | None = None
        """Observes what was relayed already."""
        self._work: deque[tuple[Side, Iterator[None]]] = deque()
        self._stream_end: tuple[Side, StreamEnd] | None = None
        if other := protocol_at(path):
            log(f"another protocol: {other}; it is relayed as it is")
        self._log = log
        self._on_fatal = on_fatal
        self.clock = Clock()
        """The time of everything that is recorded."""
        up, down, unknown = deflate_contexts(extensions)
        self.frames: dict[Side, FrameParser] = {
            "client": FrameParser(masked=True, inflate=up),
            "server": FrameParser(masked=False, inflate=down),
        }
        self._logged: set[str] = set()
        self.compressed = up is not None
        if unknown:
            for side in self.frames:
                self._stop(side, f"the unknown extension {unknown} was negotiated")

    def on_bytes(self, side: Side, data: bytes) -> asyncio.Task[None] | None:
        """These bytes of `side` were relayed. What has to end before more of them are read; None: it has."""
        if not self.frames[side].lost:
            self._work.append((side, self._parse(self.clock(), side, self.frames[side].feed(data))))
            if self.working is None and not self._advance():
                self.working = asyncio.create_task(self._finish())
        return self.working

    def on_injected(self, side: Side, message: FramedMessage) -> None:
        """This message was written between two of `side`."""
        self.injected = True
        self._guarded(side, list, self._message(self.clock(), side, message))
        self.injected = False

    def on_end(self, side: Side, how: StreamEnd) -> None:
        """`side` has ended its stream; the other may still send."""
        self._stream_end = (side, how)
        if self.first_close is None and not self._blind:
            self.close_step = self.conversation.close(side, 1006)
            about = {"code": 1006, "reason": ""}
            self._guarded(side, self._record_control, self.clock(), side, "close", about)

    async def close(self) -> None:
        """Both streams have ended: observe the rest."""
        if self.working is not None:
            await asyncio.wait({self.working})
        self._record(lambda recorder: recorder.close())

    def summary(self) -> str:
        """The session in a few words, once it is over."""
        if self.first_close:
            side, code, reason = self.first_close
            text = f"closed by {_NAMES[side]}, {code}{reason and f' {reason}'}"
        elif self._stream_end is None:
            text = "ended here, and both sides with it"
        elif self._blind:
            text = f"ended by {_NAMES[self._stream_end[0]]}"
        else:
            side, how = self._stream_end
            text = f"{'reset' if how == 'reset' else 'cut off'} by {_NAMES[side]} without a close frame"
            if not self.frames[side].at_boundary:
                text += ", in the middle of a message"
        up, down = self.messages["client"], self.messages["server"]
        faults = f", {self.faults} fault{'' if self.faults == 1 else 's'}" if self.faults else ""
        return f"{text}, {self.clock():.1f} s, {up} up, {down} down{faults}"

    def _guarded(self, side: Side, observe: Callable[..., Any], *args: Any) -> bool:
        """Run a step of observing, and give what it gives; the bytes are relayed on whatever fails."""
        try:
            return bool(observe(*args))
        except TraceFailed as problem:
            self.frames[side].lost = "the trace cannot be written"
            self._on_fatal(problem)
        except Exception as problem:
            self._stop(side, f"{type(problem).__name__} in livews itself")
        return False

    def _advance(self) -> bool:
        """Observe for a moment what was relayed; whether that is all."""
        until = monotonic() + _SLICE
        while self._work:
            side, work = self._work[0]
            if self._guarded(side, lambda work=work: any(monotonic() > until for _ in work)):
                return False
            self._work.popleft()
        return True

    async def _finish(self) -> None:
        while True:
            await asyncio.sleep(0)
            if self._advance():
                self.working = None
                return

    def _parse(self, t: float, side: Side, events: Iterator[FramedMessage | ControlFrame | None]) -> Iterator[None]:
        """Observe events of one read; a `yield` after each step, where it may pause."""
        for event in events:
            if isinstance(event, FramedMessage):
                yield from self._message(t, side, event)
            elif event is not None:
                self._control(t, side, event)
            yield
        frames = self.frames[side]
        if frames.violation:
            self._log_once(f"{_NAMES[side]} violates RFC 6455: {frames.violation}")
        if frames.lost:
            self._stop(side, frames.lost)

    def _message(self, t: float, side: Side, message: FramedMessage) -> Iterator[None]:
        self.messages[side] += 1
        yield
        if message.payload is None or codec.is_too_complex(message.payload):
            note, state = not_inspected(message.size, side), tuple(self.conversation.states.values())
            step = Step(side, "unreadable", message.payload or b"", state=state, judgement=(note,), parsed={})
        else:
            step = self.conversation.step(side, message.payload)
            self._input.take(step, t)
            remember_handles(step)
        self.faults += bool(step.faults)
        for recorder in [*self.recorders]:
            yield
            self._notify(recorder, lambda recorder: recorder.frame(t, _DIRECTIONS[side], message.opcode, step))

    def _control(self, t: float, side: Side, control: ControlFrame) -> None:
        if control.kind != "close":
            self._record_control(t, side, control.kind, {"size": len(control.payload)})
            return
        code, reason = control.code, control.reason
        if self.first_close is None:
            self.first_close = (side, code, reason)
            self.close_step = self.conversation.close(side, code, reason)
        self.closed_sides.add(side)
        self._record_control(t, side, "close", {"code": code, "reason": reason})

    def _record_control(self, t: float, side: Side, kind: str, about: dict[str, object]) -> None:
        self._record(lambda recorder: recorder.control(t, _DIRECTIONS[side], kind, about))

    def _record(self, notify: Callable[[Recorder], None]) -> None:
        for recorder in [*self.recorders]:
            self._notify(recorder, notify)

    def _notify(self, recorder: Recorder, notify: Callable[[Recorder], None]) -> None:
        try:
            notify(recorder)
        except TraceFailed:
            raise
        except Exception as problem:  # a full disk for temporary files, or a bug
            self.recorders.remove(recorder)
            why = f"{type(problem).__name__} in livews itself"
            if isinstance(problem, OSError):
                why = problem.strerror or str(problem)
                why += "" if is_out_of_descriptors(problem) else "; is the disk of temporary files (TMPDIR) full?"
            self._log_once(f"observer stopped: {why}; the session continues unrecorded")

    @property
    def _blind(self) -> bool:
        return any(frames.lost for frames in self.frames.values())

    def _stop(self, side: Side, why: str) -> None:
        self.frames[side].lost = why
        self._log_once(f"observer stopped for {_NAMES[side]}: {why}; the session continues unrecorded")

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            with contextlib.suppress(OSError):  # stderr is closed
                self._log(text)


def warm_up() -> None:
    """Load what the first message of a process would wait for: schemas, rules and their validators."""
    conversation = Conversation()
    conversation.step("client", b'{"setup":{"model":"models/none"}}')
    conversation.step("server", b'{"setupComplete":{}}')
