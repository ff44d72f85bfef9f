"""A trace a person reads at a glance.

- One line a frame: time, arrow, kind, size, and what it meant; findings follow with a `!`.
- An arrow to the right is the client's. Text from the wire is escaped and shortened.
- stderr, never stdout: the reply stays alone on stdout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livews.core import machine, wire
from livews.core.conversation import Step
from livews.core.judge import Finding
from livews.printable import one_line
from livews.trace.writer import Direction, Opcode

_WIDTH = 60


class View:
    """The trace on a terminal. `say` prints a line, `paint(style, text)` colours, `hide` takes credentials out."""

    def __init__(
        self, say: Callable[[str], None], paint: Callable[[str, str], str], hide: Callable[[str], str]
    ) -> None:
        self._line = say
        self._paint = paint
        self._hide = hide
        self._said: set[str] = set()
        self._state = machine.machine().initial

    def frame(self, t: float, direction: Direction, opcode: Opcode, step: Step) -> None:
        words = describe(step)
        if step.state and step.state != self._state:
            old, self._state = self._state, step.state
            words += [new for before, new in zip(old, step.state, strict=True) if new != before and new != "none"]
        arrow = self._paint("send", "→") if direction == "send" else self._paint("recv", "←")
        about = self._paint("dim", " · ".join(words)) if words else ""
        size = f"{len(step.raw):,} B"
        self._say(f"{t:8.3f}  {arrow}  {one_line(step.kind, 34):<27} {size:>9}   {about}")
        for fault in step.faults:
            self._find(fault, "error" if fault.level == "error" else "warn")
        for note in step.notes:
            # news is told once, with its path; its count is in Conversation.news
            if note.complaint not in self._said:
                self._said.add(note.complaint)
                self._find(note, "dim")

    def control(self, t: float, direction: Direction, kind: str, about: dict[str, Any]) -> None:
        arrow = self._paint("send", "→") if direction == "send" else self._paint("recv", "←")
        if kind == "heard":
            words = heard(about)
        else:
            words = " ".join(one_line(str(value)) for value in about.values() if value not in ("", None))
        style = "error" if kind == "close" and about.get("code") not in (1000, 1005) else "dim"
        self._say(f"{t:8.3f}  {arrow}  {self._paint(style, f'{kind:<27}')} {'':>9}   {self._paint(style, words)}")

    def close(self) -> None:
        pass

    def _find(self, finding: Finding, style: str) -> None:
        self._say(f"{'':8}  {self._paint(style, '!')}  {self._paint(style, one_line(str(finding)))}")

    def _say(self, line: str) -> None:
        self._line(self._hide(line.rstrip()))


def heard(about: dict[str, Any]) -> str:
    """What the loudspeaker made of a reply, in words."""
    words = [f"{about['heardMs']:,.0f} of {about['receivedMs']:,.0f} ms"]
    if about.get("interrupted"):
        words.append("interrupted")
    if about.get("underruns"):
        words.append(f"{about['underruns']} underruns, {about['underrunMs']:,.0f} ms of silence")
    if about.get("late"):
        words.append(f"{about['late']} late callbacks")
    return " · ".join(words)


def describe(step: Step) -> list[str]:
    """What a frame meant, in a few words each."""
    if step.kind == "unreadable":
        return [one_line(step.raw[:48].decode("latin-1"), _WIDTH)]
    words: list[str] = []
    for mime_type, pcm in step.audio:
        rate = wire.rate_of(mime_type, wire.OUTPUT_RATE if step.sender == "server" else wire.INPUT_RATE)
        dropped = " dropped" if "ignoreAudio" in step.effects else ""
        words.append(f"audio {len(pcm) * 500 / rate:.0f} ms{dropped}")
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
