"""What the user has put into a turn: words, pictures, audio, results of functions.

- Bounded: what a reply does not repeat is counted, not kept.
- Nothing is invented: of audio only its length and level are known, unless a transcript was given.
"""

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from livews.audio.analysis.levels import loudness
from livews.audio.analysis.pcm import rate_of, seconds_of
from livews.audio.analysis.vad import SILENCE_DB
from livews.core import codec

TOKENS_PER_SECOND = 25
"""Tokens of a second of audio, in either direction."""
_TOKENS_PER_PICTURE = 258
QUOTED = 120
"""Characters of the user's words that are repeated."""
_PICTURES = 1000
_MIME_TYPE = 100


@dataclass
class UserInput:
    """The input of one turn, so far."""

    text: str = ""
    words: int = 0
    pictures: list[tuple[str, int]] = field(default_factory=list)
    """MIME type and size in bytes."""
    seconds: float = 0.0
    """Of audio."""
    db: float = SILENCE_DB
    """dBFS of the audio."""
    spoken: bool = False
    """The turn ended by voice."""
    transcript: str = ""
    """The words of the audio, if they were configured."""
    results: str = ""
    """What functions returned, in words."""
    turns: int = 0
    """The user's turns, in clientContent."""
    is_history: bool = False
    """The text is a history of several turns: functions named in it were called already."""

    def add_text(self, text: str) -> None:
        """Add words of the user."""
        self.words += len(text.split())
        if len(self.text) < 2 * QUOTED:
            self.text = f"{self.text} {text}".strip()[: 2 * QUOTED]

    def add_picture(self, mime_type: str, data: str) -> None:
        """Add a picture, in base64."""
        if len(self.pictures) < _PICTURES:
            self.pictures.append((mime_type[:_MIME_TYPE], len(data) * 3 // 4))

    def add_turn(self, turn: dict[str, Any]) -> None:
        """Add a turn of the user in clientContent."""
        self.turns += 1
        for part in turn.get("parts", []):
            blob = part.get("inlineData", {})
            mime_type, data = str(blob.get("mimeType", "")), str(blob.get("data", ""))
            if isinstance(text := part.get("text"), str):
                self.add_text(text)
            elif mime_type.startswith("audio/"):
                with contextlib.suppress(codec.WireError):
                    pcm = codec.decode_base64(data)
                    self.seconds += seconds_of(len(pcm), rate_of(mime_type, "client"))
                    self.db = loudness(pcm, SILENCE_DB)
            elif data:
                self.add_picture(mime_type, data)

    @property
    def asks_something(self) -> bool:
        """Whether there is anything to answer but white space and punctuation."""
        return bool(self.seconds or self.pictures or has_words(self.text))

    @property
    def prompt(self) -> str:
        """All words, to choose a function by."""
        return f"{self.text} {self.transcript}".strip()

    def input_transcript(self) -> str:
        """The text of inputTranscription: the words if they are known, else length and level."""
        return self.transcript or f"[{self.seconds:.1f} s of {self._level(', ')}]"

    def describe_audio(self) -> str:
        """Length and level of the audio, as a reply says it."""
        return f"{self.seconds:.1f} seconds of {self._level(' at ')}"

    def _level(self, between: str) -> str:
        return "silence" if self.db <= SILENCE_DB else f"sound{between}{self.db:.0f} dBFS"

    def tokens(self) -> Counter[str]:
        """What the input adds to the context, by modality."""
        counts = Counter({"TEXT": self.words + len(self.results.split())})
        counts["AUDIO"] = round(self.seconds * TOKENS_PER_SECOND)
        counts["IMAGE"] = len(self.pictures) * _TOKENS_PER_PICTURE
        return counts


class InputBuffer:
    """Input that waits for the turn it belongs to. `context` counts the tokens of the session, by modality."""

    def __init__(self, context: Counter[str]) -> None:
        self.current = UserInput()
        """The turn that has not been answered yet."""
        self._context = context
        self.between = UserInput()
        """Pictures that came while the user did not speak."""
        self._model_was_last = False
        """The last turn of clientContent was the model's."""
        self._history = UserInput()
        """The user's last words of a history: a prompt without words asks for the answer to them."""

    def user_continues(self) -> None:
        """The user goes on: input before the model's last turn of clientContent is history by now."""
        if self._model_was_last:
            self.keep_as_context()
        self._model_was_last = False

    def keep_as_context(self) -> None:
        """Count the input so far as context: it asks for nothing any more."""
        self._context += self.current.tokens()
        self.current = UserInput()

    def keep_as_history(self) -> None:
        """Keep the input so far as a history, which is answered only if a prompt without words asks for it."""
        self._history = UserInput() if self._model_was_last else self.current
        self.keep_as_context()

    def add_turns(self, turns: list[dict[str, Any]]) -> bool:
        """Add the turns of clientContent; whether the last one is the user's."""
        is_user = True
        for turn in turns:
            is_user = str(turn.get("role") or "user").lower() == "user"
            if is_user:
                if any("inlineData" in part or has_words(part.get("text", "")) for part in turn.get("parts", [])):
                    self.user_continues()
                self.current.add_turn(turn)
            else:
                self._model_was_last = True
                self._context["TEXT"] += words_in(turn)
        return is_user

    def take(self) -> UserInput:
        """The input so far, as a turn that is answered now."""
        turn, self.current = self.current, UserInput()
        if not turn.seconds and not has_words(turn.text):
            turn.text = self._history.text or turn.text
            turn.is_history = self._history.turns > 1
        self._history = UserInput()
        turn.pictures = [*self.between.pictures, *turn.pictures]
        self.between = UserInput()
        return turn


def words_in(content: dict[str, Any]) -> int:
    """How many words the text parts of a Content have."""
    return sum(len(str(part["text"]).split()) for part in content.get("parts", []) if "text" in part)


def has_words(text: Any) -> bool:
    """Whether a text has letters or digits. Clients send " " or "." to get a reply to what they sent before."""
    return any(map(str.isalnum, str(text)))
