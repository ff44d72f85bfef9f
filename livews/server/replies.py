"""What the stand-in says, as frames with times: one turn of a model, in the order its profile has it.

- Pure: what was heard and the style go in, beats come out. Nothing here waits or sends.
- The style is data: the `wire` of the model's profile and a few members of setup. No model is named.
- The words are the stand-in's own and say so. It repeats what it was told and tells what it measured; it invents
  nothing.
- `at` is seconds after the start of the reply, at the service's own pace; equal times keep their order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from livews.audio.analysis.vad import SILENCE_DB
from livews.core import codec
from livews.server.speech import SynthesizedSpeech
from livews.terminal_text import one_line

THINK_SECONDS = 0.25
"""From the end of a prompt to the first frame of its answer."""
TOKENS_A_SECOND = 25
"""What a second of sound is counted as, in either direction."""
TOKENS_A_PICTURE = 258
_QUOTED = 120
"""Characters of the user's words that are repeated."""
_BATCH = 4
"""Words a piece of transcript has."""
_TEXT_PIECE_SECONDS = 0.04
_SELF = "This is the livews stand-in, not Gemini."
_INSTRUCTION_TOKENS = 8
"""What the prompt counts before anybody said a word."""

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """One frame at its time: a message, or the bytes of one that are ready to send.

    `voice_seconds` is the sound in it.
    """

    at: float
    frame: Message | bytes
    voice_seconds: float = 0.0


@dataclass
class UserInput:
    """What the user has put into a turn so far."""

    text: str = ""
    words: int = 0
    pictures: list[tuple[str, int]] = field(default_factory=list)
    """Mime type and size in bytes."""
    seconds: float = 0.0
    """Of sound: what counts for the turn."""
    db: float = SILENCE_DB
    spoken: bool = False
    """The turn was asked for by voice."""
    known: str = ""
    """The words of the sound, where whoever started the stand-in gave them."""
    answers: str = ""
    """What functions answered, in words."""
    turns: int = 0
    """Of the user, in clientContent."""
    retold: bool = False
    """The words are a history of several turns: functions named in it were called already."""

    def say(self, text: str) -> None:
        self.words += len(text.split())
        if len(self.text) < 2 * _QUOTED:  # what is not repeated is not kept
            self.text = f"{self.text} {text}".strip()[: 2 * _QUOTED]

    def see(self, mime_type: str, size: int) -> None:
        if len(self.pictures) < 1000:
            self.pictures.append((mime_type[:100], size))

    @property
    def empty(self) -> bool:
        return not (self.text or self.pictures or self.seconds or self.answers)

    @property
    def prompt(self) -> str:
        """The words to choose a function by."""
        return f"{self.text} {self.known}".strip()

    def transcript(self) -> str:
        """What inputTranscription says: the words where they are known, else what can be told honestly."""
        return self.known or f"[{self.seconds:.1f} s of {self._what(', ')}]"

    def _what(self, between: str) -> str:
        return "silence" if self.db <= SILENCE_DB else f"sound{between}{self.db:.0f} dBFS"

    def sound(self) -> str:
        return f"{self.seconds:.1f} seconds of {self._what(' at ')}"

    def tokens(self) -> Counter[str]:
        counted = Counter({"TEXT": self.words + len(self.answers.split())})
        counted["AUDIO"] = round(self.seconds * TOKENS_A_SECOND)
        counted["IMAGE"] = len(self.pictures) * TOKENS_A_PICTURE
        return counted


def answer(heard: UserInput) -> str:
    """The reply in words."""
    if heard.answers:
        return f"{_SELF} {heard.answers}"
    said = []
    if words := one_line(heard.prompt, _QUOTED):
        said.append(f'I heard "{words}".')
    elif heard.seconds:
        said.append(f"I heard {heard.sound()}.")
    if heard.pictures:
        mime_type, size = heard.pictures[-1]
        shown = f"{one_line(mime_type, 40)}, {max(1, round(size / 1000))} kB"
        count = len(heard.pictures)
        said.append(f"I saw 1 picture ({shown})." if count == 1 else f"I saw {count} pictures (the last {shown}).")
    return " ".join([_SELF, *(said or ["I heard nothing."])])


def answered(name: str, response: Any) -> str:
    """A function's answer in words."""
    shown = codec.dump(response).decode(errors="replace") if response is not None else "nothing"
    return f"{one_line(name, 60) or 'A function'} answered {one_line(shown, _QUOTED)}."


@dataclass(frozen=True)
class WireStyle:
    """How this session's model puts its turns on the wire."""

    wire: Mapping[str, Any]
    text: bool = False
    """Answers in TEXT parts, not by voice."""
    transcribed: bool = False
    """outputAudioTranscription was asked for."""
    hears: bool = False
    """inputAudioTranscription was asked for."""
    thoughts: bool = False
    utterances: bool = False
    """turnComplete ends an utterance; interactionStatus ends the turn."""

    def content(self, content: Message) -> Message:
        """A serverContent, with the role where this model names it."""
        if self.wire["role"] and "modelTurn" in content:
            content = {**content, "modelTurn": {"role": "model", **content["modelTurn"]}}
        return {"serverContent": content}

    def usage(self, prompt: Counter[str], response: Counter[str]) -> Message:
        """usageMetadata that adds up, in this model's vocabulary (USAGE-1)."""
        asked, given = sum(prompt.values()), sum(response.values())
        name = "candidates" if self.wire["usage"] == "candidates" else "response"
        usage: Message = {
            "promptTokenCount": asked,
            f"{name}TokenCount": given,
            "totalTokenCount": asked + given,
            "promptTokensDetails": _details(prompt),
            f"{name}TokensDetails": _details(response),
        }
        return {key: value for key, value in usage.items() if value}  # protobuf writes no zeros and no empty lists


def _details(tokens: Counter[str]) -> list[Message]:
    return [{"modality": kind, "tokenCount": count} for kind, count in tokens.items() if count]


def fresh_context() -> Counter[str]:
    """What a session counts before the first turn."""
    return Counter({"TEXT": _INSTRUCTION_TOKENS})


def hearing(style: WireStyle, heard: UserInput) -> Iterator[Message]:
    """The transcript of what the user said aloud, as this model gives it, ahead of its answer."""
    if not style.hears:
        return
    words = heard.transcript()
    for piece in [words] if style.wire["heard"] == "whole" else pieces(words):
        yield {"serverContent": {"inputTranscription": {"text": piece}}}


def opening(style: WireStyle, heard: UserInput, prompt: Counter[str]) -> Iterator[TimedFrame]:
    """Empty messages with which some models begin, and the prompt's counts where they come early."""
    if style.wire["opener"]:
        yield TimedFrame(THINK_SECONDS, {"serverContent": {}})
        if heard.spoken and style.wire["usage"] == "early":
            yield TimedFrame(THINK_SECONDS, {"serverContent": {}, "usageMetadata": style.usage(prompt, Counter())})


def utterance(style: WireStyle, words: str, voice: SynthesizedSpeech | None) -> Iterator[TimedFrame]:
    """The answer itself: text parts, or sound with its transcript, faster than it plays; then generationComplete."""
    at = THINK_SECONDS
    if style.thoughts:
        yield TimedFrame(
            at, style.content({"modelTurn": {"parts": [{"text": "I repeat what I heard.", "thought": True}]}})
        )
    if voice is None:
        for piece in pieces(words):
            yield TimedFrame(at, style.content({"modelTurn": {"parts": [{"text": piece}]}}))
            at += _TEXT_PIECE_SECONDS
    else:
        for beat in _aloud(style, words, voice, at):
            yield beat
            at = beat.at + beat.voice_seconds / _faster(style)
    yield TimedFrame(at, {"serverContent": {"generationComplete": True}})


def _aloud(style: WireStyle, words: str, voice: SynthesizedSpeech, at: float) -> Iterator[TimedFrame]:
    about = style.wire
    chunks = voice.chunks(about["chunkMs"])
    due = list(pieces(words)) if style.transcribed else []
    if due and about["transcript"] == "first":
        yield TimedFrame(at, {"serverContent": {"outputTranscription": {}}})
        for piece in due:
            yield TimedFrame(at, {"serverContent": {"outputTranscription": {"text": piece}}})
        due = []
        if about["finished"]:
            yield TimedFrame(at, {"serverContent": {"outputTranscription": {"finished": True}}})
    left = voice.seconds
    for i, data in enumerate(chunks):
        seconds = min(left, about["chunkMs"] / 1000)
        left -= seconds
        now = due[: -(-len(due) // (len(chunks) - i))]
        del due[: len(now)]
        if now and about["bundled"]:
            blob = {"mimeType": about["mimeType"], "data": data}
            turn = style.content({"modelTurn": {"parts": [{"inlineData": blob}]}})
            turn["serverContent"]["outputTranscription"] = {"text": "".join(now)}
            yield TimedFrame(at, turn, seconds)
        else:
            for piece in now:
                yield TimedFrame(at, {"serverContent": {"outputTranscription": {"text": piece}}})
            frame = codec.audio_as_service(data, about["mimeType"], "model" if about["role"] else None)
            yield TimedFrame(at, frame, seconds)
        if about["usage"] == "stream":
            yield TimedFrame(
                at, {"usageMetadata": style.usage(Counter(), Counter(AUDIO=round(seconds * TOKENS_A_SECOND)))}
            )
        at += seconds / _faster(style)
    for piece in due:  # a voice without sound still has words
        yield TimedFrame(at, {"serverContent": {"outputTranscription": {"text": piece}}})


def _faster(style: WireStyle) -> float:
    return float(style.wire["faster"]) or float("inf")


def ending(
    style: WireStyle, heard: UserInput, prompt: Counter[str], response: Counter[str], status: str = ""
) -> Message:
    """The message with turnComplete."""
    content: Message = {"turnComplete": True}
    if style.wire["grounding"]:
        content["groundingMetadata"] = {}
    if status:
        content["interactionStatus"] = status
    end: Message = {"serverContent": content}
    kind = style.wire["usage"]
    if kind == "early" and heard.spoken:
        end["usageMetadata"] = {}
    elif kind not in ("none", "stream"):
        end["usageMetadata"] = style.usage(prompt, response)
    return end


def pieces(words: str) -> Iterator[str]:
    """Words in pieces as transcripts come: a few at a time, spaces kept, so that joining gives the text."""
    parts = re.findall(r"\s*\S+", words)
    for i in range(0, len(parts), _BATCH):
        yield "".join(parts[i : i + _BATCH])
