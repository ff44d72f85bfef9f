"""What is seen of one session that passes by: frames to messages, messages to a conversation, both to the recorders.

- It is told of bytes that have been passed on already, and nothing it does or fails at holds anything up.
- A direction that cannot be read any more is said once, and left alone; the other is still followed.
- A trace that cannot be written is the one thing that is not kept to itself: `fail` is told.
- A recorder that fails otherwise is left out from there on, and told; the others go on.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence

from livews.core.conversation import Conversation, Step
from livews.core.endpoint_paths import parse_endpoint_path
from livews.core.rules import finding
from livews.errors import LivewsError, TraceFailed
from livews.proxy.framing import ControlFrame, FramedMessage, FrameParser, extensions
from livews.proxy.relay import How, Side
from livews.recorder import Clock, Direction, Recorder

_AS_SEEN: dict[Side, Direction] = {"client": "send", "server": "recv"}
_NAMES: dict[Side, str] = {"client": "the client", "server": "the service"}


class ConnectionObserver:
    """One session. `path` is what it was asked for, `extension` the Sec-WebSocket-Extensions of the 101."""

    def __init__(
        self,
        path: str,
        extension: str,
        recorders: Sequence[Recorder],
        say: Callable[[str], None],
        fail: Callable[[LivewsError], None],
    ) -> None:
        surface, version = parse_endpoint_path(path)
        self.talk = Conversation(inspect=True, surface=surface, version=version)
        self.messages: Counter[Side] = Counter()
        self.faults = 0
        self.closed: tuple[Side, int, str] | None = None
        """The first close frame: whose, code and reason."""
        self.parting: Step | None = None
        """What the first close did, or the end without one."""
        self.closes: set[Side] = set()
        """Who has sent a close frame, behind which no message may come."""
        self._ended: tuple[Side, How] | None = None
        self._recorders = [*recorders]
        self._say = say
        self._fail = fail
        self._clock = Clock()
        up, down, unread = extensions(extension)
        self.frames: dict[Side, FrameParser] = {
            "client": FrameParser(masked=True, inflate=up),
            "server": FrameParser(masked=False, inflate=down),
        }
        self._told: set[str] = set()
        self.packed = up is not None
        """The messages are compressed."""
        if unread:
            self._lose("client", f"the extension {unread} was agreed on")
            self._lose("server", f"the extension {unread} was agreed on")

    def saw(self, side: Side, data: bytes) -> None:
        """These bytes were passed on."""
        t = self._clock()
        frames = self.frames[side]
        if frames.lost:
            return
        try:
            for one in frames.feed(data):
                if isinstance(one, FramedMessage):
                    self._message(t, side, one)
                else:
                    self._control(t, side, one)
        except TraceFailed as problem:
            frames.lost = "the trace cannot be written"
            self._fail(problem)
            return
        except Exception as problem:  # whatever it is, the bytes go on
            self._lose(side, f"{type(problem).__name__} in livews itself")
            return
        if frames.odd:
            self._once(f"{_NAMES[side]} breaks RFC 6455: {frames.odd}")
        if frames.lost:
            self._lose(side, frames.lost)

    def ended(self, side: Side, how: How) -> None:
        """`side` sends nothing more; the other may still."""
        self._ended = (side, how)
        if self.closed is not None or self._blind:
            return
        try:
            self.parting = self.talk.close(side, 1006)
            t = self._clock()
            self._record(lambda one: one.control(t, _AS_SEEN[side], "close", {"code": 1006, "reason": ""}))
        except TraceFailed as problem:
            self._fail(problem)
        except Exception as problem:
            self._lose(side, f"{type(problem).__name__} in livews itself")

    def done(self) -> None:
        """Nothing more comes of either side."""
        self._record(lambda one: one.close())

    def summary(self) -> str:
        """The session in a few words, once it is over."""
        if self.closed:
            who, code, reason = self.closed
            said = f"closed by {_NAMES[who]}, {code}{reason and f' {reason}'}"
        elif self._ended is None:
            said = "ended here, and both sides with it"
        elif self._blind:
            said = f"ended by {_NAMES[self._ended[0]]}"
        else:
            side, how = self._ended
            said = f"{'reset' if how == 'reset' else 'cut off'} by {_NAMES[side]} without a close frame"
            if not self.frames[side].between:
                said += ", in the middle of a message"
        up, down = self.messages["client"], self.messages["server"]
        faults = f", {self.faults} fault{'' if self.faults == 1 else 's'}" if self.faults else ""
        return f"{said}, {self._clock():.1f} s, {up} up, {down} down{faults}"

    def _message(self, t: float, side: Side, message: FramedMessage) -> None:
        self.messages[side] += 1
        if message.payload is None:
            words = f"a message of {message.size:,} bytes was passed on, and not looked at"
            note = finding("WIRE-13", "", words, side, level="note")
            step = Step(side, "unreadable", b"", state=tuple(self.talk.states.values()), notes=(note,))
        else:
            step = self.talk.step(side, message.payload)
        self.faults += bool(step.faults)
        self._record(lambda one: one.frame(t, _AS_SEEN[side], message.opcode, step))

    def _control(self, t: float, side: Side, control: ControlFrame) -> None:
        about: dict[str, object] = {"size": len(control.payload)}
        if control.kind == "close":
            about = {"code": control.code, "reason": control.reason}
            if self.closed is None:
                self.closed = (side, control.code, control.reason)
                self.parting = self.talk.close(side, control.code, control.reason)
            self.closes.add(side)
        self._record(lambda one: one.control(t, _AS_SEEN[side], control.kind, about))

    def _record(self, tell: Callable[[Recorder], None]) -> None:
        for recorder in [*self._recorders]:
            try:
                tell(recorder)
            except TraceFailed:
                raise
            except Exception as problem:  # a full disk for temporary files, or a mistake of ours
                self._recorders.remove(recorder)
                why = f"{type(problem).__name__} in livews itself"
                if isinstance(problem, OSError):
                    why = f"{problem.strerror or problem}; is the disk full where temporary files go (TMPDIR)?"
                self._once(f"one that looks on sees no more of this session, which goes on all the same: {why}")

    @property
    def _blind(self) -> bool:
        return any(frames.lost for frames in self.frames.values())

    def _lose(self, side: Side, why: str) -> None:
        self.frames[side].lost = why
        self._once(f"can see no more of what {_NAMES[side]} sends, and pass it on all the same: {why}")

    def _once(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            with contextlib.suppress(OSError):  # nobody reads stderr any more
                self._say(words)


def warm() -> None:
    """Load what the first message of a process would wait for: schemas, rules and their validators."""
    talk = Conversation(inspect=True)
    talk.step("client", b'{"setup":{"model":"models/none"}}')
    talk.step("server", b'{"setupComplete":{}}')
