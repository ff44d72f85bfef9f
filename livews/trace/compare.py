"""Compare two sessions by what they mean (trace/normalize.py).

- Reported: what only one of them has, what comes in another order, and each member that differs, by its path.
- Token counts may differ a little. Audio is equal if its samples are or, where they are unknown, its length.
- Each side is compared with the same side.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from livews.core import codec
from livews.trace.json_diff import NOTHING, json_differences, shown
from livews.trace.normalize import NormalizedItem, NormalizedSession

AudioBy = Literal["bytes", "length", "nothing"]
"""How to compare audio: by samples, by duration, or only by presence."""
Names = tuple[str, str]
"""What the two sessions are called in reports."""
_LENGTH = 0.25
"""Seconds by which the lengths may differ if samples are not compared."""
_EXACT = 0.0005
"""... and if they are: sums of chunks differ in the last digits."""
_TOKENS, _TOKENS_PART = 64, 0.25
"""Token counts are alike if they differ by no more than this, or than this part of the larger one."""
_SHOWN = 100
_MAX_ALIGNED = 4_000_000
"""The product of two lengths up to which moved items are found; above it items are compared in order."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `lines`: those of the first trace and of the second, None where there is none."""

    side: str
    path: str
    words: str
    lines: tuple[int | None, int | None]


def differences(
    left: NormalizedSession,
    right: NormalizedSession,
    audio_by: AudioBy = "bytes",
    names: Names = ("the first", "the second"),
) -> Iterator[Difference]:
    """Where two sessions differ, the client's side first."""
    for side in ("client", "server", "beside"):
        comparison = _Comparison("server" if side == "beside" else side, audio_by, names)
        yield from comparison.lists(left[side], right[side])


class _Comparison:
    """Compares the items of one side."""

    def __init__(self, side: str, audio_by: AudioBy, names: Names) -> None:
        self._side = side
        self._audio_by = audio_by
        self._names = names

    def lists(self, left: list[NormalizedItem], right: list[NormalizedItem]) -> Iterator[Difference]:
        left_keys, right_keys = [[self._key(item) for item in items] for items in (left, right)]
        equal = 0
        while equal < min(len(left), len(right)) and left_keys[equal] == right_keys[equal]:
            equal += 1
        yield from self._pairs(left[:equal], right[:equal])
        removed: list[NormalizedItem] = []
        added: list[NormalizedItem] = []
        for tag, *bounds in _blocks(left_keys[equal:], right_keys[equal:]):
            a, b, c, d = (bound + equal for bound in bounds)
            lefts, rights = left[a:b], right[c:d]
            if tag == "equal":
                yield from self._pairs(lefts, rights)
                continue
            while lefts and rights and lefts[0].kind == rights[0].kind:
                yield from self._items(lefts.pop(0), rights.pop(0))
            for item in lefts:
                match = next((other for other in rights if other.kind == item.kind), None)
                if match is None:
                    removed.append(item)
                else:
                    rights.remove(match)
                    yield from self._items(item, match)
            added += rights
        by_key: dict[bytes, list[NormalizedItem]] = {}
        for item in added:
            by_key.setdefault(self._key(item), []).append(item)
        for item in removed:
            if moved := by_key.get(self._key(item)):
                match = moved.pop(0)
                added.remove(match)
                yield self._difference(f"/{item.kind}", "comes at another place", item, match)
            else:
                yield self._difference(f"/{item.kind}", f"is only in {self._names[0]}{_content(item)}", item, None)
        for item in added:
            yield self._difference(f"/{item.kind}", f"is only in {self._names[1]}{_content(item)}", None, item)

    def _key(self, item: NormalizedItem) -> bytes:
        """Equal for items that differ at most in what may differ a little."""
        value = {"usageMetadata": 0} if isinstance(item.value, dict) and "usageMetadata" in item.value else item.value
        by_samples = item.hashed is not None and self._audio_by == "bytes"
        return codec.dump([item.kind, value]) + (item.hashed.digest() if by_samples else b"")

    def _difference(
        self, path: str, words: str, left: NormalizedItem | None, right: NormalizedItem | None
    ) -> Difference:
        return Difference(self._side, path, words, (left.line if left else None, right.line if right else None))

    def _pairs(self, left: list[NormalizedItem], right: list[NormalizedItem]) -> Iterator[Difference]:
        for pair in zip(left, right, strict=True):
            yield from self._items(*pair)

    def _items(self, left: NormalizedItem, right: NormalizedItem) -> Iterator[Difference]:
        for path, words in self._audio(left, right) if left.kind == "sound" else self._values(left, right):
            yield self._difference(path, words, left, right)

    def _audio(self, left: NormalizedItem, right: NormalizedItem) -> Iterator[tuple[str, str]]:
        if left.value != right.value:
            yield "/sound/rate", self._both(left.value["rate"], right.value["rate"])
        tolerance = {"bytes": _EXACT, "length": _LENGTH, "nothing": float("inf")}[self._audio_by]
        known = left.hashed is not None and right.hashed is not None
        if abs(left.seconds - right.seconds) > tolerance:
            yield "/sound", self._both(f"{left.seconds:.2f} s", f"{right.seconds:.2f} s")
        elif self._audio_by == "bytes" and known and left.hashed.digest() != right.hashed.digest():
            yield "/sound", f"other samples, {left.seconds:.2f} s of them"

    def _values(self, left: NormalizedItem, right: NormalizedItem) -> Iterator[tuple[str, str]]:
        prefix = "" if isinstance(left.value, dict) and left.kind != "close" else f"/{left.kind}"
        for path, before, after in json_differences(left.value, right.value, path=prefix):
            if after is NOTHING:
                yield path, f"is only in {self._names[0]}: {shown(before, _SHOWN)}"
            elif before is NOTHING:
                yield path, f"is only in {self._names[1]}: {shown(after, _SHOWN)}"
            elif not (path.startswith("/usageMetadata/") and _are_alike(before, after)):
                yield path, self._both(shown(before, _SHOWN), shown(after, _SHOWN))

    def _both(self, left: Any, right: Any) -> str:
        return f"{left} in {self._names[0]}, {right} in {self._names[1]}"


def _blocks(left: list[bytes], right: list[bytes]) -> Iterable[tuple[str, int, int, int, int]]:
    if len(left) * len(right) <= _MAX_ALIGNED:
        return SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    both = min(len(left), len(right))
    return [("replace", 0, both, 0, both), ("replace", both, len(left), both, len(right))]


def _are_alike(left: Any, right: Any) -> bool:
    """Whether two token counts are close."""
    before, after = codec.whole(left), codec.whole(right)
    if before is None or after is None:
        return False
    return abs(before - after) <= max(_TOKENS, _TOKENS_PART * max(abs(before), abs(after)))


def _content(item: NormalizedItem) -> str:
    if item.kind == "sound":
        return f": {item.seconds:.2f} s"
    return f": {shown(item.value, _SHOWN)}" if item.value != "" else ""
