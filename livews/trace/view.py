"""The trace as text for a terminal, one line per frame.

- A line has time, arrow, kind, size and meaning; findings follow with a `!`. An arrow to the right is the client's.
- A microphone is a line per second, not per frame; any other frame ends that line.
- Empty messages of the server are counted on the next line.
- Text from the wire is escaped and shortened.
- It is written to stderr, never to stdout, which holds only the reply.
"""

from collections.abc import Callable, Sequence
from typing import Any

from livews.advice.consequences import FindingDigest
from livews.audio.analysis.levels import FLOOR_DB, peak_db
from livews.audio.analysis.pcm import audio_seconds, ms_of, rate_of
from livews.core import machine
from livews.core.conversation import Step, function_calls
from livews.core.rules import Finding
from livews.recorder import Direction, Opcode, Recorder
from livews.redactor import Pieces, pseudonym, remember_handles
from livews.terminal_text import one_line
from livews.trace.empties import EmptyRun

_WIDTH = 60
_STYLES = {"error": "error", "refused": "warn", "note": "dim"}
INSERTED = "written by hand"
"""The note on a message that livews inserted."""


class TraceView(Recorder):
    """The trace on a terminal.

    Args:
        say: prints a line.
        paint: colours a text: paint(style, text).
        redact: removes credentials.
    """

    def __init__(
        self, say: Callable[[str], None], paint: Callable[[str, str], str], redact: Callable[[str], str]
    ) -> None:
        self._print = say
        self._paint = paint
        self._redact = redact
        self._pieces = Pieces()
        self._digest = FindingDigest()
        self._number = 0
        """Of the message, from 1."""
        self.shown: list[Finding] = []
        """The findings that were shown with the last message, without those of earlier ones and what follows from them."""
        self._held: list[tuple[float, Step, int]] = []
        """Similar frames of audio that will be one line."""
        self._state = machine.machine().initial
        self._empties = EmptyRun()

    def continued(self, t: float, connections: int) -> None:
        self._release()
        self._print(self._paint("dim", f"-- connection {connections + 1}"))

    def frame(
        self,
        t: float,
        direction: Direction,
        opcode: Opcode,
        step: Step,
        size: int | None = None,
        inserted: bool = False,
        *,
        elided: bool = False,
    ) -> None:
        """Show a frame.

        Args:
            size: its bytes on the wire, if they differ from those of the step.
            inserted: livews sent it, neither the client nor the server.
            elided: its media were left out of the trace.
        """
        remember_handles(step)
        self._number += 1
        self.shown = []
        size = len(step.raw) if size is None else size
        if not inserted and self._empties.take(step, t, direction, size):
            return
        step = self._pieces.step(step)
        is_repeated = direction == "send" and step.template is not None and step.state == self._state
        self.shown = self._digest.take(step.findings, self._number) if step.judgement else []
        if is_repeated and not self.shown and not inserted:
            self._held.append((t, step, size))
            if t - self._held[0][0] >= 1.0:
                self._release()
            return
        self._release()
        self._frame(step, t, direction, size, inserted, elided=elided)
        for finding in self.shown:
            self._find(finding, _STYLES[finding.level])

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        """Show a ping, a pong, a close, or what was heard of a reply."""
        self._release()
        if kind == "heard":
            words = heard_text(about)
        else:
            words = " ".join(one_line(str(value)) for value in about.values() if value not in ("", None))
        words = " · ".join([*filter(None, [words]), *self._empties.words()])
        style = "error" if kind == "close" and about.get("code") not in (1000, 1005) else "dim"
        self._line(t, direction, self._paint(style, f"{kind:<27}"), "", self._paint(style, words))

    def passed(self, step: Step) -> None:
        """Skip a frame: what it changed is not reported with the next one."""
        remember_handles(step)
        self._number += 1
        self.shown = []
        self._pieces.step(step)
        self._state = step.state or self._state

    def find(self, finding: Finding) -> bool:
        """Show a finding that is not about one frame, unless it is explained already; whether it was shown."""
        self._release()
        is_new = bool(self._digest.take([finding], self._number))
        if is_new:
            self._find(finding, "warn")
        return is_new

    def close(self) -> None:
        self._release()
        if last := self._empties.last():
            self._frame(*last)
        for folded in self._digest.all():  # what was not shown again
            if folded.more:
                self._say(f"{'':8}  {self._paint('dim', f'!  {folded.finding.rule}{folded.words()}')}")

    def _release(self) -> None:
        """Print the frames of audio that were held back, as one line."""
        held, self._held = self._held, []
        if len(held) == 1:
            t, step, size = held[0]
            self._frame(step, t, "send", size)
        elif held:
            size = sum(size for _, _, size in held)
            seconds = sum(audio_seconds(step) for _, step, _ in held)
            about = self._paint("dim", " · ".join([f"audio {1000 * seconds:,.0f} ms", *self._empties.words()]))
            self._line(held[0][0], "send", f"realtimeInput x{len(held)}", f"{size:,} B", about)

    def _frame(
        self, step: Step, t: float, direction: Direction, size: int, inserted: bool = False, *, elided: bool = False
    ) -> None:
        words = [*([INSERTED] if inserted else []), *describe(step, elided=elided)]
        if step.state and step.state != self._state:
            before, self._state = self._state, step.state
            words += [new for old, new in zip(before, step.state, strict=True) if new != old and new != "none"]
        words += self._empties.words()
        about = self._paint("dim", " · ".join(words)) if words else ""
        self._line(t, direction, one_line(step.kind, 34), f"{size:,} B", about)

    def _line(self, t: float, direction: Direction, kind: str, size: str, about: str) -> None:
        arrow = self._paint("send", "→") if direction == "send" else self._paint("recv", "←")
        self._say(f"{t:8.3f}  {arrow}  {kind:<27} {size:>9}   {about}")

    def _find(self, finding: Finding, style: str) -> None:
        self._say(f"{'':8}  {self._paint(style, '!')}  {self._paint(style, one_line(str(finding)))}")

    def _say(self, line: str) -> None:
        self._print(self._redact(line.rstrip()))


def heard_text(about: dict[str, Any]) -> str:
    """What the loudspeaker played of a reply, in words."""
    words = [f"{number(about, 'heardMs'):,.0f} of {number(about, 'receivedMs'):,.0f} ms"]
    if about.get("interrupted") is True:
        words.append("interrupted")
    if underruns := number(about, "underruns"):
        words.append(f"{underruns:.0f} underruns, {number(about, 'underrunMs'):,.0f} ms of silence")
    if late := number(about, "late"):
        words.append(f"{late:.0f} late callbacks")
    return " · ".join(words)


def number(about: dict[str, Any], name: str) -> float:
    """A number of a control line; 0 if the file has something else there."""
    value = about.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0


def describe(step: Step, *, elided: bool = False) -> list[str]:
    """What a frame means, in a few words each. `elided`: its media were left out."""
    if step.kind == "unreadable":
        return [one_line(step.raw[: 2 * _WIDTH].decode("latin-1"), _WIDTH)]
    dropped = " dropped" if "ignoreAudio" in step.effects else ""
    words = [
        f"audio {ms_of(len(pcm), rate_of(mime_type, step.sender)):.0f} ms{_level(step, pcm, elided)}{dropped}"
        for mime_type, pcm in step.audio
    ]
    if len(step.audio) == 1 and step.parsed is None:
        return words
    body = step.body
    for signal in step.signals:
        description = _DESCRIPTIONS.get(signal)
        if isinstance(description, str):
            words.append(description)
        elif isinstance(description, tuple):
            words += _quoted(_first(body, *description))
        elif description is not None:
            words += [word for word in description(body) if word]
    return words


def _level(step: Step, pcm: bytes, elided: bool) -> str:
    """How loud the model's audio is at its loudest."""
    if elided or step.sender == "client":
        return ""
    db = peak_db(pcm)
    return f" {db:.0f} dBFS" if db > FLOOR_DB else " of zeros"


def _turn_complete(body: dict[str, Any]) -> list[str]:
    reason = _first(body, "serverContent", "turnCompleteReason")
    is_given = isinstance(reason, str) and not reason.endswith("_UNSPECIFIED")
    return [f"turnComplete {one_line(reason, _WIDTH)}" if is_given else "turnComplete"]


def _first(body: dict[str, Any], *path: str) -> Any:
    values = machine.values(body, path)
    return values[0] if values else None


def _quoted(value: Any) -> list[str]:
    return [f'"{one_line(value, _WIDTH)}"'] if isinstance(value, str) and value else []


def _setup(body: dict[str, Any]) -> list[str]:
    modalities = machine.values(body, ("setup", "generationConfig", "responseModalities", "*"))
    handle = _first(body, "setup", "sessionResumption", "handle")
    resumes = [f"resumes {pseudonym(handle)}"] if isinstance(handle, str) and handle else []
    return [one_line(str(_first(body, "setup", "model"))), *map(str, modalities), *resumes]


def _resumption(body: dict[str, Any]) -> list[str]:
    handle = _first(body, "sessionResumptionUpdate", "newHandle")
    return [one_line(pseudonym(handle), _WIDTH)] if isinstance(handle, str) and handle else []


def _turns(body: dict[str, Any]) -> list[str]:
    texts = machine.values(body, ("clientContent", "turns", "*", "parts", "*", "text"))
    return _quoted(" ".join(text for text in texts if isinstance(text, str)))


def _picture(body: dict[str, Any]) -> list[str]:
    mime_type, data = (_first(body, "realtimeInput", "video", name) for name in ("mimeType", "data"))
    size = len(data) * 3 // 4 if isinstance(data, str) else 0
    return [f"picture {one_line(str(mime_type), _WIDTH)} {size:,} B"]


def _model_text(body: dict[str, Any]) -> list[str]:
    words = []
    for part in machine.values(body, ("serverContent", "modelTurn", "parts", "*")):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            thought = "thought " if part.get("thought") is True else ""
            words += [thought + text for text in _quoted(part["text"])]
        elif isinstance(part, dict):
            words += [name for name in part if name not in ("inlineData", "thought")]
    return words


def _calls(body: dict[str, Any]) -> list[str]:
    return [f"{one_line(call.name)}()" for call in function_calls(body)]


def _usage(body: dict[str, Any]) -> list[str]:
    total = _first(body, "usageMetadata", "totalTokenCount")
    return [f"{total} tokens"] if total else []


_DESCRIPTIONS: dict[str, str | tuple[str, ...] | Callable[[dict[str, Any]], Sequence[str]]] = {
    "setup": _setup,
    "clientContent": _turns,
    "videoIn": _picture,
    "textIn": ("realtimeInput", "text"),
    "activityStart": "activityStart",
    "activityEnd": "activityEnd",
    "audioStreamEnd": "audioStreamEnd",
    "modelTurn": _model_text,
    "interrupted": "interrupted, playback flushed",
    "inputTranscription": ("serverContent", "inputTranscription", "text"),
    "interimInputTranscription": ("serverContent", "interimInputTranscription", "text"),
    "outputTranscription": ("serverContent", "outputTranscription", "text"),
    "toolCall": _calls,
    "generationComplete": "generationComplete",
    "turnComplete": _turn_complete,
    "usageMetadata": _usage,
    "goAway": lambda body: [f"{one_line(str(_first(body, 'goAway', 'timeLeft')))} left"],
    "sessionResumptionUpdate": _resumption,
    "voiceActivity": ("voiceActivity", "type"),
    "interactionStatus": ("serverContent", "interactionStatus"),
}
"""What a signal means: a word, the path of a text to quote, or a function of the message."""
