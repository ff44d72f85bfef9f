"""Values that must not be shown, found in a text in any spelling: credentials and resumption handles.

- What stands in the place of a value is decided by whoever knows it.
- The time of a text does not grow with the number of handles.
"""

import re
from bisect import bisect_left, insort
from collections.abc import Iterable

_FEW = 8
"""Handles of which each is looked for; of more, pieces of the text are looked for in what the handles end with."""
_TAIL, _WINDOW = 12, 6
"""Bytes at the end of a handle, and of a piece."""
_LONGEST_BEGINNING = 4_096
"""Bytes at the end of a text in which the beginning of a credential is looked for."""


class HiddenValue:
    """A value that must not be shown, in all its spellings, and what stands in its place."""

    def __init__(self, value: str, instead: str) -> None:
        self.plain = value.encode(errors="surrogatepass")
        self.instead = instead.encode()
        self._escaped: re.Pattern[bytes] | None = None

    def begins_at_end(self, raw: bytes) -> int:
        """How many bytes at the end of `raw` are the beginning of the value."""
        end = raw[max(1 - len(self.plain), -_LONGEST_BEGINNING) :] if len(self.plain) > 1 else b""
        at = end.find(self.plain[:1])
        while at >= 0 and not self.plain.startswith(end[at:]):
            at = end.find(self.plain[:1], at + 1)
        return len(end) - at if at >= 0 else 0

    def replaced(self, raw: bytes) -> bytes:
        if self.plain in raw:
            raw = raw.replace(self.plain, self.instead)
        if b"\\" in raw or b"%" in raw:
            self._escaped = self._escaped or _escaped(self.plain.decode(errors="surrogatepass"))
            raw = self._escaped.sub(lambda _: self.instead, raw)
        return raw


class HiddenHandles(dict[str, HiddenValue]):
    """The resumption handles of this process, the oldest first.

    A text is not searched for each of many: a handle in it covers one of every `_TAIL - _WINDOW + 1` places with one of the
    pieces that it ends with.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pieces: dict[bytes, list[HiddenValue]] = {}
        self._sorted: list[bytes] = []
        self._by_plain: dict[bytes, HiddenValue] = {}
        self._longest = 0
        self.changes = 0

    def add(self, handle: str, instead: str, most: int) -> None:
        """Remember a handle; of more than `most` the oldest is forgotten."""
        known = self[handle] = HiddenValue(handle, instead)
        self.changes += 1
        for piece in _tail_pieces(known.plain):
            self._pieces.setdefault(piece, []).append(known)
        insort(self._sorted, known.plain)
        self._by_plain[known.plain] = known
        self._longest = max(self._longest, len(known.plain))
        while len(self) > most:
            self._forget(next(iter(self)))

    def _forget(self, handle: str) -> None:
        known = self.pop(handle)
        for piece in _tail_pieces(known.plain):
            self._pieces[piece].remove(known)
            if not self._pieces[piece]:
                del self._pieces[piece]
        del self._sorted[bisect_left(self._sorted, known.plain)]
        self._by_plain.pop(known.plain, None)

    def in_text(self, raw: bytes) -> list[HiddenValue]:
        """The handles that may be in a text, the oldest first."""
        if len(self) <= _FEW:
            return list(self.values())
        places = range(0, len(raw) - _WINDOW + 1, _TAIL - _WINDOW + 1)
        pieces = self._pieces.keys() & {raw[at : at + _WINDOW] for at in places}
        found = {id(known) for piece in pieces for known in self._pieces.get(piece, ())}
        return [known for known in self.values() if id(known) in found] if found else []

    def beginning_at_end(self, raw: bytes) -> tuple[int, bytes]:
        """How many bytes at the end of a text are the beginning of a handle, and what to show instead."""
        if len(self) <= _FEW:
            return longest_beginning(raw, list(self.values()))
        for at in range(max(0, len(raw) + 1 - min(self._longest, _LONGEST_BEGINNING)), len(raw)):
            end = raw[at:]
            i = bisect_left(self._sorted, end)
            for plain in self._sorted[i : i + 2]:
                if plain.startswith(end) and plain != end and (known := self._by_plain.get(plain)):
                    return len(end), known.instead
        return 0, b""


def _tail_pieces(plain: bytes) -> set[bytes]:
    tail = plain[-_TAIL:]
    return {tail[at : at + _WINDOW] for at in range(_TAIL - _WINDOW + 1)}


def longest_beginning(raw: bytes, known: Iterable[HiddenValue]) -> tuple[int, bytes]:
    """How many bytes at the end of a text are the beginning of one of these values, and what to show instead."""
    return max(((value.begins_at_end(raw), value.instead) for value in known), default=(0, b""))


def _escaped(value: str) -> re.Pattern[bytes]:
    """A value in which any letter may be written as JSON or a URL escapes it, or both, or twice."""

    def spellings(letter: str) -> bytes:
        units = letter.encode("utf-16-be", "surrogatepass").hex()
        json = "".join(rf"\\{{1,4}}u(?i:{units[i : i + 4]})" for i in range(0, len(units), 4))
        url = "".join(rf"%(?:25){{0,3}}(?i:{byte:02x})" for byte in letter.encode(errors="surrogatepass"))
        slashes = rb"\\{0,4}" if letter in '/"\\' else b""
        return b"(?:" + slashes + re.escape(letter.encode(errors="surrogatepass")) + f"|{json}|{url})".encode()

    return re.compile(b"".join(map(spellings, value)))
