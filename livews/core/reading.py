"""Read one message: its canonical form and its media. Pure; nothing here knows a session.

- Audio is decoded once, here. Other media is left to the application, and what media is for the function that is given.
- What is wrong with a message is only noted here; `rules.findings` judges it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from livews.core import codec, machine, schema, validation
from livews.core.canonical import Canonical, fold
from livews.core.schema import Sender


class Remark(NamedTuple):
    """What a rule has to say about a Blob. `fix` is "" where it is the rule's."""

    rule: str
    path: str
    words: str
    fix: str = ""


Inspect = Callable[[Sender, str, dict[str, Any], bytes | None], Iterator[Remark]]
"""Looks at a Blob: gets the sender, the path, the Blob, and the bytes of audio that could be decoded."""


@dataclass(slots=True)
class Reading:
    """One message as it was read, and what `rules` need to judge it. Paths are JSON pointers."""

    sender: Sender
    canonical: Canonical
    message: Any = None
    """The message in canonical form."""
    media: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Its streamed media, as (path, Blob)."""
    audio: tuple[tuple[str, bytes], ...] = ()
    """Its audio, as (mime type, bytes)."""
    undecodable: dict[str, str] = field(default_factory=dict)
    """Audio that is no base64: path to words."""
    remarks: list[Remark] = field(default_factory=list)
    """What is wrong with its media."""
    is_composed: bool = False
    """Whether livews composed it from plain strings and bytes, so that the schemas need not be asked."""
    signals: tuple[str, ...] = ()
    """Its signals in machine.json, in the order of the file."""
    broken: tuple[str, ...] = ()
    """Rules that it breaks by the rows of machine.json."""
    noted: tuple[str, ...] = ()
    """Rules that are noted by the rows of machine.json."""
    surface: str | None = None
    """The surface that it was read for, as in `Member.taken`."""
    _violations: list[validation.Violation] | None = None

    @property
    def violations(self) -> list[validation.Violation]:
        """Where it breaks the schemas."""
        if self._violations is None:
            self._violations = [] if self.is_composed else validation.violations(self.sender, self.message)
        return self._violations


def read(
    sender: Sender, message: dict[str, Any], surface: str | None = None, inspect: Inspect | None = None
) -> Reading:
    """Fold a message into canonical form and decode its audio.

    Args:
        sender: who sends it, "client" or "server".
        message: the parsed message.
        surface: as in `Member.taken`, or None if it is not known.
        inspect: makes the remarks about its media; None for none.
    """
    canonical = fold(sender, message, surface)
    reading = Reading(sender, canonical, canonical.message, tuple(_blobs(sender, canonical.message)), surface=surface)
    audio = []
    for path, blob in reading.media:
        data = None
        if is_audio(blob):
            try:
                data = codec.decode_base64(blob["data"])
                audio.append((blob["mimeType"], data))
            except codec.WireError as problem:
                reading.undecodable[f"{path}/data"] = str(problem)
                if len(reading.undecodable) == schema.MOST:
                    break
        if inspect and len(reading.remarks) < schema.MOST:
            reading.remarks += inspect(sender, path, blob, data)
    reading.audio = tuple(audio)
    return reading


def is_audio(blob: dict[str, Any]) -> bool:
    """Whether a Blob is audio with data."""
    mime_type = blob.get("mimeType")
    return isinstance(mime_type, str) and mime_type.startswith("audio/") and isinstance(blob.get("data"), str)


def _blobs(sender: Sender, message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The streamed media of a canonical message, as (path, Blob)."""
    if sender == "server":
        for i, part in enumerate(machine.values(message, ("serverContent", "modelTurn", "parts", "*"))):
            if isinstance(part, dict) and isinstance(part.get("inlineData"), dict):
                yield f"/serverContent/modelTurn/parts/{i}/inlineData", part["inlineData"]
        return
    content = message.get("realtimeInput")
    if not isinstance(content, dict):
        return
    for name in ("audio", "video"):
        if isinstance(content.get(name), dict):
            yield f"/realtimeInput/{name}", content[name]
    for i, blob in enumerate(machine.values(content, ("mediaChunks", "*"))):
        if isinstance(blob, dict):
            yield f"/realtimeInput/mediaChunks/{i}", blob
