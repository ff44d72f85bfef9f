"""Render entries and locations for a person.

- Every line is escaped for a terminal and has no colours.
"""

import textwrap
from collections.abc import Iterator, Sequence

from livews.explainer.entries import Entry
from livews.explainer.locations import MemberLocation
from livews.terminal_text import columns, escape_unsafe, one_line, paragraph


def body(entry: Entry) -> Iterator[str]:
    """The lines below the first."""
    for label, text in entry.parts:
        if isinstance(text, dict):
            yield _listing(label, text)
            continue
        for i, part in enumerate([text] if isinstance(text, str) else text):
            yield paragraph("" if i else label, escape_unsafe(part))


def places(name: str, locations: Sequence[MemberLocation], also: bool) -> Iterator[str]:
    """The locations of a member's name that stands in several types, and how to ask for one.

    Args:
        name: the name, escaped.
        locations: where it stands.
        also: whether entries of the name were shown before.
    """
    if not locations:
        return
    what = f"{name} also stands elsewhere;" if also else f"{name} stands in {len(locations)} types;"
    ask = f"ask for one: `livews explain {locations[0].ask}`"
    yield f"{what} {ask}" if len(what) + len(ask) < columns() else f"{what}\n  {ask}"
    for place in locations:
        start = f"  {place.ask}  "
        yield start + one_line(place.says, max(columns() - len(start), 20))
        more = len({path for _, path in place.paths}) - 1
        path = place.paths[0][1] if place.paths else "in no message"
        yield f"      {path}{f' and {more} more' if more > 0 else ''}"


def _listing(label: str, texts: dict[str, str]) -> str:
    """Names with their texts beside them; those of members have one line only."""
    wide = min(max(map(len, texts)), 30)
    indent = " " * (9 + wide + 2)
    lines = []
    for i, (name, text) in enumerate(texts.items()):
        first = f"  {label if i == 0 else '':<6} {name:<{wide}}  "
        text = one_line(text, max(columns() - len(first), 20)) if label == "has" else escape_unsafe(text)
        wrapped = textwrap.wrap(
            text, max(columns() - len(indent), 20), break_long_words=False, break_on_hyphens=False
        )
        if len(first) > len(indent):  # a long name has its line to itself
            wrapped.insert(0, "")
        lines += [(first + "".join(wrapped[:1])).rstrip(), *(indent + line for line in wrapped[1:])]
    return "\n".join(lines)
