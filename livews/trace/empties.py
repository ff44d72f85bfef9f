"""Empty messages of the server: some models send one ahead of each audio message. They are counted, not listed.

- Nothing but `{}` and `{"serverContent":{}}` without a finding is counted: what is left out can be made again from its count.
- A count stands on the next line of a trace; a reader of it gets the messages again, ahead of that line.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from livews.core import codec
from livews.core.conversation import Step

FORMS = {"empty": b"{}\n", "emptyContent": b'{\n  "serverContent": {}\n}\n'}
"""The members with the counts, and what they count as the service writes it."""
_LONGEST = 64
"""Bytes of such a message, whatever white space it has."""
_MOST = 1_000
"""Messages of one count."""


class EmptyRun:
    """The empty messages since the last message that was not."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(FORMS, 0)
        self._last: tuple[Any, ...] = ()
        self._is_late = False
        """A bare message came after one with serverContent."""

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def take(self, step: Step, *about: Any) -> bool:
        """Count a message, and keep `about` it what its own line would need; False for one that has to be listed."""
        if len(step.raw) > _LONGEST or self.count >= _MOST or not _is_empty(step):
            return False
        name, bare, contents = _name(step), self.counts["empty"], self.counts["emptyContent"]
        if (self._is_late or bare > 1) if name == "emptyContent" else (contents and not bare):
            return False  # the counts would not give the order
        self._is_late = self._is_late or (name == "empty" and contents > 0)
        self.counts[name] += 1
        self._last = (step, *about)
        return True

    def last(self) -> tuple[Any, ...]:
        """The last message and what was kept about it, which is not counted any more; () if none is counted.

        For an end after which no line comes.
        """
        if not self.count:
            return ()
        self.counts[_name(self._last[0])] -= 1
        return self._last

    def release(self) -> dict[str, int]:
        """What was counted, by member, and begin anew."""
        counts, self.counts = self.counts, dict.fromkeys(FORMS, 0)
        self._is_late = False
        return {name: count for name, count in counts.items() if count}

    def words(self) -> list[str]:
        """What was counted, as a note on the next line for people, and begin anew."""
        count = sum(self.release().values())
        return [f"after {count} empty"] if count else []


def _name(step: Step) -> str:
    return "empty" if step.kind == "empty" else "emptyContent"


def _is_empty(step: Step) -> bool:
    if step.sender != "server" or step.kind not in ("empty", "serverContent"):
        return False
    return step.body in ({}, {"serverContent": {}}) and not step.findings


def told_again(row: Mapping[str, Any]) -> Iterator[bytes]:
    """The messages that the counts of a line stand for. One bare `{}` is first, as on the wire of 3.8."""
    counts = {name: min(codec.whole(row.get(name)) or 0, _MOST) for name in FORMS}
    bare = max(counts["empty"], 0)
    yield from [FORMS["empty"]] * min(bare, 1)
    yield from [FORMS["emptyContent"]] * counts["emptyContent"]
    yield from [FORMS["empty"]] * (bare - 1)
