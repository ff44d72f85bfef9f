"""Shows a session that passes the proxy on stderr: its messages, how to fix what is found, and why it closed."""

import asyncio
from collections.abc import Callable
from typing import Any

from livews.advice import closes, judge
from livews.cli.console import Console
from livews.conversation import Conversation
from livews.core import protocol
from livews.core.conversation import Step
from livews.core.rules import Finding
from livews.core.schema import Sender
from livews.recorder import Direction, Opcode, Recorder
from livews.terminal_text import escape_unsafe, paragraph
from livews.trace.ending import SessionEnding
from livews.trace.outcome import TurnOutcomes
from livews.trace.view import TraceView
from livews.trace.waiting import SECONDS, Waiting

_SETUP_SECONDS = SECONDS
"""How long a setup may be unanswered: the service answers in well under a second."""
_STALL_SECONDS = 20.0
"""How long a reply may pause, as in `livews talk`."""
_LOOK_SECONDS = 1.0
"""How often to look whether a session waits for something, while it may."""


class _Watchdog:
    """Calls `alarm` once when it was started, and neither stopped nor started again for `seconds`."""

    def __init__(self, seconds: float, alarm: Callable[[], None]) -> None:
        self.seconds = seconds
        self._alarm = alarm
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Wait for `seconds` from now on."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(self.seconds, self._expire)

    @property
    def is_running(self) -> bool:
        return self._timer is not None

    def stop(self) -> bool:
        """Stop; whether it was running."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return timer is not None

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None and loop.time() > self._timer.when() + 1.0:
            self.start()  # this process was stopped, and what came meanwhile is not read yet
            return
        self.stop()
        self._alarm()


class TerminalReporter(Recorder):
    """A recorder that writes to the console.

    number: of the session, in front of each line.
    redact: takes the credentials of the session out of a text.
    conversation: what the frames pass before they come here.
    quiet: show faults and closes only.
    setup_seconds, stall_seconds: when to say that the server does not answer.
    """

    def __init__(
        self,
        number: int,
        console: Console,
        redact: Callable[[str], str],
        conversation: Conversation,
        *,
        quiet: bool,
        setup_seconds: float = _SETUP_SECONDS,
        stall_seconds: float = _STALL_SECONDS,
    ) -> None:
        self._number = number
        self._console = console
        self._redact = redact
        self._quiet = quiet
        self._view = TraceView(self._line, console.paint, redact)
        self._explained: set[str] = set()
        """Rules whose fix was shown."""
        self._ending = SessionEnding(redact)
        self._setup = _Watchdog(setup_seconds, self._setup_unanswered)
        """Runs while a setup waits for setupComplete."""
        self._stall = _Watchdog(stall_seconds, self._stalled)
        """Runs while the service owes something: after a prompt or a tool response, and during its reply."""
        self._waiting = Waiting(conversation)
        self._outcomes = TurnOutcomes(conversation)
        self._look = _Watchdog(_LOOK_SECONDS, self._explain_waiting)
        """Runs while there may be a reason to find why nothing happens."""
        self._last_frame = 0.0, 0.0
        """When it came, on the clock of the session and on that of the loop."""

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        if not self._quiet or step.faults:
            self._view.frame(t, direction, opcode, step)
        else:
            self._view.passed(step)
        shown = self._view.shown
        self._ending.frame(step, t=t)
        self._waiting.take(t, step)
        for finding in self._outcomes.take(step):
            if not self._quiet:
                self._view.find(finding)
        self._last_frame = t, asyncio.get_running_loop().time()
        if not self._look.is_running and not self._waiting.is_idle:
            self._look.start()
        if "setup" in step.signals:
            self._setup.start()
        if "setupComplete" in step.signals:
            self._setup.stop()
        self._follow_reply(direction, step)
        for finding in shown:
            if finding.rule not in self._explained and not (self._quiet and finding.level == "note"):
                self._explained.add(finding.rule)
                self._advise(do=self._fix(finding))

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        by: Sender = "client" if direction == "send" else "server"
        close = self._ending.close(by, about["code"], about["reason"]) if kind == "close" else None
        loud = close is not None and not close.is_fine
        if not self._quiet or loud:
            self._view.control(t, direction, kind, about)
        if kind != "close":
            return
        self._stall.stop()
        self._look.stop()
        if self._setup.stop() and not closes.says_why(about["code"], by):
            self._setup_unanswered()
        if close is not None and loud:
            self._advise(**close.texts(self._redact))

    def close(self) -> None:
        self._setup.stop()
        self._stall.stop()
        self._look.stop()
        self._view.close()

    def _fix(self, finding: Finding) -> str:
        return self._redact(finding.fix) or str(protocol.rules()[finding.rule]["do"])

    def _follow_reply(self, direction: Direction, step: Step) -> None:
        """After generationComplete the service waits until all has been played, and after a call for the client."""
        if direction == "send":
            if not step.faults and ("prompt" in step.signals or "toolResponse" in step.signals):
                self._stall.start()
        elif any(effect in step.effects for effect in ("endAudio", "endTurn", "callTools")):
            self._stall.stop()
        elif self._stall.stop() or "modelTurn" in step.signals:
            self._stall.start()

    def _explain_waiting(self) -> None:
        t, at = self._last_frame
        stall = self._waiting.stall(t + asyncio.get_running_loop().time() - at)
        if stall is not None and not stall.is_known and self._view.find(stall.finding):
            self._advise(do=self._fix(stall.finding))
        if not self._waiting.is_idle:
            self._look.start()

    def _setup_unanswered(self) -> None:
        finding = judge.unanswered_setup()
        self._view.find(finding)
        why = "The service answers within a second, or closes; another server may not know the message."
        self._advise(why=why, do=finding.fix)

    def _stalled(self) -> None:
        warning = f"nothing has come for {self._stall.seconds:g} s; the service may have stalled"
        self._line(f"{'':8}  !  {self._console.paint('warn', warning)}")
        self._advise(
            why="The connection is open and the service sends nothing, not even a reason.",
            do="Look at what was sent last; if nothing comes, reconnect with the newest resumption handle.",
        )

    def _advise(self, **texts: str) -> None:
        """Paragraphs by their labels. They must be redacted already: advice on keys mentions `?key=` itself."""
        for label, text in texts.items():
            for line in paragraph(label, escape_unsafe(text)).splitlines() if text else ():
                self._line(f"{'':11}{line}")

    def _line(self, line: str) -> None:
        self._console.line(f"{self._number:>3} {line}".rstrip())
