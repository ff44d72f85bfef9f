"""The fast path of audio frames: a frame like one before, of which only the base64 is new, is not parsed again.

- A port may leave this out: nothing depends on it, and audio frames then take ten times as long.
- A template is made of a frame without findings that holds one Blob of audio and nothing else. What such a frame means
  depends on the states before it, so the meaning is kept by these.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pybase64

from livews.core import codec
from livews.core.conversation import Step
from livews.core.schema import Sender

_TEMPLATES = 4
"""Templates that are kept of each sender."""
_LONGEST = 1_000
"""Bytes of a template beside the base64."""
_SHORTEST = 16
"""Characters of base64 from which a frame can be a template: shorter ones may also stand elsewhere in it."""
_LARGEST = codec.LONGEST // 2
"""Bytes of a frame that is compared with the templates; what a larger one costs to read is looked at first."""


KnownFrame = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""What a frame does, whatever its base64 is: kind, signals, effects and states after it, as in its Step."""


class Template:
    """A frame seen before: the bytes before and after its base64.

    A frame that starts and ends with them, and whose middle the validating decoder accepts, is the same message with
    other audio: no base64 character can close the string around it.
    """

    __slots__ = ("_shortest", "head", "meaning", "mime_type", "tail")

    def __init__(self, head: bytes, tail: bytes, mime_type: str) -> None:
        self.head = head
        self.tail = tail
        self.mime_type = mime_type
        self._shortest = len(head) + len(tail)
        self.meaning: dict[tuple[str, ...], KnownFrame] = {}
        """By the states before the frame."""

    @classmethod
    def of(cls, raw: bytes, data: str, mime_type: str) -> Template | None:
        """The template of a frame that holds this base64 exactly once, as a JSON string without escapes, or None."""
        base64 = data.encode()
        if len(base64) < _SHORTEST or len(raw) - len(base64) > _LONGEST or raw.count(base64) != 1 or b"\\" in raw:
            return None
        head, _, tail = raw.partition(base64)
        return cls(head, tail, mime_type) if head.endswith(b'"') and tail.startswith(b'"') else None

    def pcm(self, raw: bytes) -> bytes | None:
        """The decoded audio of a frame of this shape, None for any other frame."""
        if raw.startswith(self.head) and raw.endswith(self.tail) and self._shortest <= len(raw) <= _LARGEST:
            try:
                return pybase64.b64decode(memoryview(raw)[len(self.head) : -len(self.tail)], validate=True)
            except ValueError:  # not plain base64: the full parse decides
                return None
        return None


def learn(templates: list[Template], step: Step, states: tuple[str, ...]) -> None:
    """Keep what a frame without findings means in these states, if it is one Blob of audio and nothing else.

    Args:
        templates: the templates of its sender, the newest first; changed in place.
        step: the frame.
        states: the states before it.
    """
    blob = _only_blob(step.sender, step.body)
    if blob is None or not _is_clean(step):
        return
    template = next((known for known in templates if known.pcm(step.raw) is not None), None)
    if template is None:
        template = Template.of(step.raw, blob["data"], blob["mimeType"])
        if template is None:
            return
        templates.insert(0, template)
        del templates[_TEMPLATES:]
    template.meaning[states] = step.kind, step.signals, step.effects, step.state


def _is_clean(step: Step) -> bool:
    """Whether a rule finds nothing in a frame. One of the server is not judged for it, which would load the schemas: those
    find nothing in such a shape."""
    if not isinstance(step.judgement, partial):
        return not step.findings
    reading = step.judgement.args[0]
    return not (
        reading.broken or reading.noted or reading.undecodable or reading.remarks or reading.canonical.has_remarks
    )


def _only_blob(sender: Sender, message: dict[str, Any]) -> dict[str, Any] | None:
    """The one Blob of a message without any other member that could change or that a rule could find fault with."""
    if sender == "client":
        content = message.get("realtimeInput", {})
        blob = content.get("audio") if len(message) == len(content) == 1 else None
    else:
        content = message.get("serverContent", {})
        turn = content.get("modelTurn", {}) if len(message) == len(content) == 1 else {}
        parts = (
            turn.get("parts", [])
            if isinstance(turn.get("role", ""), str) and turn.keys() <= {"role", "parts"}
            else []
        )
        blob = parts[0].get("inlineData") if len(parts) == 1 and len(parts[0]) == 1 else None
    return blob if isinstance(blob, dict) and blob.keys() == {"mimeType", "data"} else None
