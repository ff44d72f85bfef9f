"""A trace a person reads at a glance.

- One line a frame: time, arrow, kind, size, and what it meant; findings follow with a `!`.
- A microphone is a line a second, not one a frame; whatever else comes ends that line.
- An arrow to the right is the client's. Text from the wire is escaped and shortened.
- stderr, never stdout: the reply stays alone on stdout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livews.audio.analysis.pcm import audio_seconds, ms_of, rate_of
from livews.core import machine
from livews.core.conversation import Step
from livews.core.rules import Finding
from livews.recorder import Direction, Opcode
from livews.terminal_text import one_line

_WIDTH = 60
BY_HAND = "written by hand"
"""What is said of a message that was put in."""


class TraceView:
    """The trace on a terminal. `say` prints a line, `paint(style, text)` colours, `hide` takes credentials out."""

    def __init__(
        self, say: Callable[[str], None], paint: Callable[[str, str], str], redact: Callable[[str], str]
    ) -> None:
        self._line = say
        self._paint = paint
        self._hide = redact
        self._said: set[str] = set()
        self._held: list[tuple[float, Step, int]] = []
        self._state = machine.machine().initial

    def frame(
        self,
        t: float,
        direction: Direction,
        opcode: Opcode,
        step: Step,
        size: int | None = None,
        inserted: bool = False,
    ) -> None:
        """`size` is the frame's bytes on the wire where `step` was made from another form of it; `inserted`: neither side
        sent it."""
        size = len(step.raw) if size is None else size
        like = direction == "send" and step.template is not None and step.state == self._state
        if like and not step.faults and not inserted:
            self._held.append((t, step, size))  # a frame of sound like the one before
            if t - self._held[0][0] >= 1.0:
                self._release()
            return
        self._release()
        self._frame(t, direction, step, size, inserted)

    def _release(self) -> None:
        """The frames of sound that were held back, as one line."""
        held, self._held = self._held, []
        if len(held) == 1:
            self._frame(held[0][0], "send", *held[0][1:])
        elif held:
            size = sum(size for _, _, size in held)
            seconds = sum(audio_seconds(step) for _, step, _ in held)
            arrow, about = self._paint("send", "→"), self._paint("dim", f"audio {1000 * seconds:,.0f} ms")
            self._say(f"{held[0][0]:8.3f}  {arrow}  {f'realtimeInput x{len(held)}':<27} {f'{size:,} B':>9}   {about}")

    def _frame(self, t: float, direction: Direction, step: Step, size: int, inserted: bool = False) -> None:
        words = [*([BY_HAND] if inserted else []), *describe(step)]
        if step.state and step.state != self._state:
            old, self._state = self._state, step.state
            words += [new for before, new in zip(old, step.state, strict=True) if new != before and new != "none"]
        arrow = self._paint("send", "→") if direction == "send" else self._paint("recv", "←")
        about = self._paint("dim", " · ".join(words)) if words else ""
        self._say(f"{t:8.3f}  {arrow}  {one_line(step.kind, 34):<27} {f'{size:,} B':>9}   {about}")
        for fault in step.faults:
            self._find(fault, "error" if fault.level == "error" else "warn")
        for note in step.notes:
            # news is told once, with its path; its count is in Conversation.news
            if note.complaint not in self._said:
                self._said.add(note.complaint)
                self._find(note, "dim")

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        self._release()
        arrow = self._paint("send", "→") if direction == "send" else self._paint("recv", "←")
        if kind == "heard":
            words = heard_text(about)
        else:
            words = " ".join(one_line(str(value)) for value in about.values() if value not in ("", None))
        style = "error" if kind == "close" and about.get("code") not in (1000, 1005) else "dim"
        self._say(f"{t:8.3f}  {arrow}  {self._paint(style, f'{kind:<27}')} {'':>9}   {self._paint(style, words)}")

    def passed(self, step: Step) -> None:
        """A frame that is not shown: what it changed is not told with the next one."""
        self._state = step.state or self._state

    def close(self) -> None:
        self._release()

    def find(self, finding: Finding) -> None:
        """Something to say that is of no one frame, in yellow."""
        self._release()
        self._find(finding, "warn")

    def _find(self, finding: Finding, style: str) -> None:
        self._say(f"{'':8}  {self._paint(style, '!')}  {self._paint(style, one_line(str(finding)))}")

    def _say(self, line: str) -> None:
        self._line(self._hide(line.rstrip()))


def heard_text(about: dict[str, Any]) -> str:
    """What the loudspeaker made of a reply, in words."""
    words = [f"{number(about, 'heardMs'):,.0f} of {number(about, 'receivedMs'):,.0f} ms"]
    if about.get("interrupted") is True:
        words.append("interrupted")
    if underruns := number(about, "underruns"):
        words.append(f"{underruns:.0f} underruns, {number(about, 'underrunMs'):,.0f} ms of silence")
    if late := number(about, "late"):
        words.append(f"{late:.0f} late callbacks")
    return " · ".join(words)


def number(about: dict[str, Any], name: str) -> float:
    """A number of a control line; 0 where a file says something else."""
    value = about.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0


def describe(step: Step) -> list[str]:
    """What a frame meant, in a few words each."""
    if step.kind == "unreadable":
        return [one_line(step.raw[:48].decode("latin-1"), _WIDTH)]
    words: list[str] = []
    if step.audio:
        dropped = " dropped" if "ignoreAudio" in step.effects else ""
        words += [
            f"audio {ms_of(len(pcm), rate_of(mime_type, step.sender)):.0f} ms{dropped}"
            for mime_type, pcm in step.audio
        ]
    if len(step.audio) == 1 and step.parsed is None:
        return words
    body = step.body
    for signal in step.signals:
        words += [word for word in _SAYERS.get(signal, _silent)(body) if word]
    return words


def _silent(body: dict[str, Any]) -> list[str]:
    return []


def _first(body: dict[str, Any], *path: str) -> Any:
    found = machine.values(body, path)
    return found[0] if found else None


def _quoted(value: Any) -> list[str]:
    return [f'"{one_line(value, _WIDTH)}"'] if isinstance(value, str) and value else []


def _setup(body: dict[str, Any]) -> list[str]:
    modalities = [str(m) for m in machine.values(body, ("setup", "generationConfig", "responseModalities", "*"))]
    return [one_line(str(_first(body, "setup", "model"))), *modalities]


def _turns(body: dict[str, Any]) -> list[str]:
    texts = [t for t in machine.values(body, ("clientContent", "turns", "*", "parts", "*", "text"))]
    return _quoted(" ".join(t for t in texts if isinstance(t, str)))


def _picture(body: dict[str, Any]) -> list[str]:
    mime_type, data = (
        _first(body, "realtimeInput", "video", "mimeType"),
        _first(body, "realtimeInput", "video", "data"),
    )
    size = len(data) * 3 // 4 if isinstance(data, str) else 0
    return [f"picture {one_line(str(mime_type), _WIDTH)} {size:,} B"]


def _model_text(body: dict[str, Any]) -> list[str]:
    words = []
    for part in machine.values(body, ("serverContent", "modelTurn", "parts", "*")):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            words += [("thought " if part.get("thought") is True else "") + w for w in _quoted(part["text"])]
        elif isinstance(part, dict):
            words += [name for name in part if name not in ("inlineData", "thought")]
    return words


def _calls(body: dict[str, Any]) -> list[str]:
    calls = machine.values(body, ("toolCall", "functionCalls", "*"))
    return [f"{one_line(str(call.get('name')))}()" for call in calls if isinstance(call, dict)]


def _usage(body: dict[str, Any]) -> list[str]:
    total = _first(body, "usageMetadata", "totalTokenCount")
    return [f"{total} tokens"] if total else []


def _left(body: dict[str, Any]) -> list[str]:
    return [f"{one_line(str(_first(body, 'goAway', 'timeLeft')))} left"]


def _heard(*path: str) -> Callable[[dict[str, Any]], list[str]]:
    def say(body: dict[str, Any]) -> list[str]:
        return _quoted(_first(body, *path))

    return say


def _word(word: str) -> Callable[[dict[str, Any]], list[str]]:
    return lambda body: [word]


_SAYERS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "setup": _setup,
    "clientContent": _turns,
    "videoIn": _picture,
    "textIn": _heard("realtimeInput", "text"),
    "activityStart": _word("activityStart"),
    "activityEnd": _word("activityEnd"),
    "audioStreamEnd": _word("audioStreamEnd"),
    "modelTurn": _model_text,
    "interrupted": _word("interrupted, playback flushed"),
    "inputTranscription": _heard("serverContent", "inputTranscription", "text"),
    "interimInputTranscription": _heard("serverContent", "interimInputTranscription", "text"),
    "outputTranscription": _heard("serverContent", "outputTranscription", "text"),
    "toolCall": _calls,
    "generationComplete": _word("generationComplete"),
    "turnComplete": _word("turnComplete"),
    "usageMetadata": _usage,
    "goAway": _left,
    "voiceActivity": _heard("voiceActivity", "type"),
    "interactionStatus": _heard("serverContent", "interactionStatus"),
}
