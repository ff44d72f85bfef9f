"""The frames of a reply with their times, in the order of the model's profile.

- User input and style go in, timed frames come out. Nothing here waits or sends.
- The style is data: the `wire` of the model's profile and a few members of setup. No model is named.
- The words are the stand-in's own and say so. It repeats the user's words and reports what it measured.
- Times are seconds from the start of the reply, at the service's pace; equal times keep their order.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from livews.core import codec
from livews.server import service_format
from livews.server.server_session import ServerSession
from livews.server.speech import SynthesizedSpeech
from livews.server.user_input import QUOTED, TOKENS_PER_SECOND, UserInput
from livews.terminal_text import one_line

THINK_SECONDS = 0.25
"""From the end of a prompt to the first frame of its reply."""
_WORDS_PER_PIECE = 4
"""Words in a piece of a transcript."""
_TEXT_PIECE_SECONDS = 0.04
_SPEAKER = "livews stand-in:"
_THOUGHT = "I repeat what I heard."

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """A frame and its time: a message, or the bytes of one, with so many seconds of audio in it."""

    at: float
    frame: Message | bytes
    voice_seconds: float = 0.0


def answer(user_input: UserInput) -> str:
    """The words of the reply."""
    if user_input.results:
        return f"{_SPEAKER} {user_input.results}"
    sentences = []
    if words := one_line(user_input.prompt, QUOTED):
        sentences.append(f'I heard "{words}".')
    elif user_input.seconds:
        sentences.append(f"I heard {user_input.describe_audio()}.")
    if user_input.pictures:
        mime_type, size = user_input.pictures[-1]
        last = f"{one_line(mime_type, 40)}, {max(1, round(size / 1000))} kB"
        count = len(user_input.pictures)
        sentences.append(f"I saw 1 picture ({last})." if count == 1 else f"I saw {count} pictures (the last {last}).")
    return " ".join([_SPEAKER, *(sentences or ["I heard nothing."])])


def result_in_words(name: str, response: Any) -> str:
    """The result of a function as a sentence."""
    result = codec.dump(response).decode(errors="replace") if response is not None else "nothing"
    return f"{one_line(name, 60) or 'A function'} answered {one_line(result, QUOTED)}."


class WireStyle:
    """How the model of a session that is set up puts its turns on the wire."""

    def __init__(self, session: ServerSession) -> None:
        setup, profile = session.conversation.setup, session.conversation.profile
        lenient = {"audioStreamEnd": "flush"} if session.config.lenient else {}
        self.wire: Message = {**profile["wire"], **lenient, **session.config.wire}
        """The profile's `wire`, with what is overridden."""
        if fault := session.lasting_faults.get("slow-audio"):
            self.wire["faster"] = fault.number
        if "burst-audio" in session.lasting_faults:
            self.wire["faster"] = 0
        self.speed = float(self.wire["faster"]) or float("inf")
        """How many times faster than it plays audio is sent."""
        generation = setup.get("generationConfig", {})
        self.text = "TEXT" in generation.get("responseModalities", ())
        """Replies are TEXT parts, not audio."""
        self.thoughts = generation.get("thinkingConfig", {}).get("includeThoughts") is True
        self.transcribes_output = "outputAudioTranscription" in setup
        self.transcribes_input = self.wire["heardUnasked"] or "inputAudioTranscription" in setup
        self.utterances = profile["turnEndsAt"] == "interactionStatus"
        """turnComplete ends an utterance, and interactionStatus the turn."""

    def model_turn(self, part: Message) -> Message:
        """A message with one part of the model."""
        return {"serverContent": {"modelTurn": service_format.model_turn([part], self.wire["role"])}}

    def usage(self, prompt: Counter[str], response: Counter[str]) -> Message:
        """usageMetadata with the counts by modality. What is counted under "" is of none, and in the totals only (USAGE-2)."""
        name = "candidates" if self.wire["usage"] == "candidates" else "response"
        thoughts = self.wire["thoughtsTokens"] + (len(_THOUGHT.split()) if self.thoughts else 0)
        usage: Message = {
            "promptTokenCount": prompt.total(),
            f"{name}TokenCount": response.total(),
            "totalTokenCount": prompt.total() + response.total(),
            "promptTokensDetails": _details(prompt),
            f"{name}TokensDetails": _details(response),
            "thoughtsTokenCount": thoughts if response.total() else 0,
        }
        return {key: value for key, value in usage.items() if value}  # protobuf writes no zeros and no empty lists

    def empty(self, at: float) -> Iterator[TimedFrame]:
        """The bare `{}` that some models send ahead of an answer and of each of its audio messages."""
        if self.wire["empties"]:
            yield TimedFrame(at, {})

    def input_transcription(self, user_input: UserInput) -> Iterator[Message]:
        """The transcript of the user's speech, which comes before the reply."""
        if self.transcribes_input:
            words = user_input.input_transcript()
            for piece in [words] if self.wire["heard"] == "whole" else pieces(words):
                yield {"serverContent": {"inputTranscription": {"text": piece}}}


def _details(tokens: Counter[str]) -> list[Message]:
    return [{"modality": modality, "tokenCount": count} for modality, count in tokens.items() if modality and count]


def opening(style: WireStyle, user_input: UserInput, prompt: Counter[str]) -> Iterator[TimedFrame]:
    """The empty messages with which some models begin, or the counts of the prompt where they come early."""
    if user_input.spoken and style.wire["usage"] == "early":
        yield TimedFrame(THINK_SECONDS, {"serverContent": {}, "usageMetadata": style.usage(prompt, Counter())})
    elif style.wire["opener"]:
        yield from style.empty(THINK_SECONDS)
        yield TimedFrame(THINK_SECONDS, {"serverContent": {}})


def utterance(style: WireStyle, words: str, speech: SynthesizedSpeech | None) -> Iterator[TimedFrame]:
    """Text parts, or audio with its transcript, faster than it plays; then generationComplete."""
    at = THINK_SECONDS
    if style.thoughts:
        yield TimedFrame(at, style.model_turn({"text": _THOUGHT, "thought": True}))
    if speech is None:
        for piece in pieces(words):
            transcript = {"serverContent": {"outputTranscription": {"text": piece}}}
            yield TimedFrame(at, transcript if style.wire["textAsTranscript"] else style.model_turn({"text": piece}))
            at += _TEXT_PIECE_SECONDS
    else:
        yield from _spoken(style, words, speech, at)
        at += speech.seconds / style.speed
    yield TimedFrame(at, {"serverContent": {"generationComplete": True}})


def _spoken(style: WireStyle, words: str, speech: SynthesizedSpeech, at: float) -> Iterator[TimedFrame]:
    wire = style.wire
    transcripts = [{"text": piece} for piece in pieces(words)] if style.transcribes_output else []
    finished: list[Message] = [{"finished": True}] if transcripts else []
    if transcripts and wire["transcript"] == "first":
        opener: list[Message] = [{}] if wire["transcriptOpens"] else []
        for transcript in (*opener, *transcripts, *(finished if wire["finished"] == "words" else [])):
            yield TimedFrame(at, {"serverContent": {"outputTranscription": transcript}})
        transcripts = []
    chunks = speech.chunks(wire["chunkMs"])
    left = speech.seconds
    for i, data in enumerate(chunks):
        seconds = min(left, wire["chunkMs"] / 1000)
        left -= seconds
        now = transcripts[: -(-len(transcripts) // (len(chunks) - i))]
        del transcripts[: len(now)]
        together = bool(now) and wire["transcript"] == "with-audio"
        for transcript in () if together else now:
            yield TimedFrame(at, {"serverContent": {"outputTranscription": transcript}})
        yield from style.empty(at)
        if together:
            message = style.model_turn({"inlineData": {"mimeType": wire["mimeType"], "data": data}})
            message["serverContent"]["outputTranscription"] = {"text": "".join(piece["text"] for piece in now)}
            yield TimedFrame(at, message, seconds)
        else:
            yield TimedFrame(at, service_format.audio_as_service(data, wire["mimeType"], wire["role"]), seconds)
        if wire["usage"] == "stream":
            usage = style.usage(Counter(), Counter(AUDIO=round(seconds * TOKENS_PER_SECOND)))
            yield TimedFrame(at, {"usageMetadata": usage})
        at += seconds / style.speed
    # words that make no sound, and the end of the words where it comes after the sound
    for transcript in (*transcripts, *(finished if wire["finished"] == "sound" else [])):
        yield TimedFrame(at, {"serverContent": {"outputTranscription": transcript}})


def ending(
    style: WireStyle, user_input: UserInput, prompt: Counter[str], response: Counter[str], status: str = ""
) -> Message:
    """The message with turnComplete, and with interactionStatus if there is a `status`."""
    content: Message = {"turnComplete": True}
    if style.wire["grounding"]:
        content["groundingMetadata"] = {}
    if status:
        content["interactionStatus"] = status
    message: Message = {"serverContent": content}
    usage = style.wire["usage"]
    if usage == "early" and user_input.spoken:
        message["usageMetadata"] = {}
    elif usage not in ("none", "stream"):
        message["usageMetadata"] = style.usage(prompt, response)
    return message


def pieces(words: str) -> Iterator[str]:
    """A text in the pieces of a transcript: a few words each, with their spaces, so that joining gives the text."""
    parts = re.findall(r"\s*\S+", words)
    for i in range(0, len(parts), _WORDS_PER_PIECE):
        yield "".join(parts[i : i + _WORDS_PER_PIECE])
