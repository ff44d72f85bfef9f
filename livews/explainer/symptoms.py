"""Find the symptom that somebody describes in words of their own, with its likely cause and the commands that prove it.

- The symptoms and the words that mean the same are data: symptoms.json.
- A description fits a symptom if it has all the words of one of the ways to say it; the way with the most words wins.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

_MOST_WORDS = 16
"""Words of a description: what is longer is a log."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A command, and what it shows."""

    run: str
    shows: str


@dataclass(frozen=True, slots=True)
class Symptom:
    """What somebody sees go wrong."""

    id: str
    title: str
    likely: str
    """The most likely cause, in one line."""
    causes: tuple[str, ...]
    proves: tuple[Proof, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@cache
def _data() -> dict[str, Any]:
    return dict(json.loads((Path(__file__).parent / "symptoms.json").read_text(encoding="utf-8")))


@cache
def _alike() -> dict[str, str]:
    """Each word to the one that stands for it; "" for those that say nothing."""
    alike = {word: row[0] for row in _data()["words"] for word in row}
    return alike | dict.fromkeys(_data()["ignored"], "")


def _words(text: str) -> frozenset[str]:
    text = re.sub(r"['’]", "", text.lower())
    for phrase, word in _data()["phrases"].items():
        text = re.sub(rf"\b{phrase}\b", word, text)
    found = re.findall(r"[a-z0-9][a-z0-9-]*", text)
    return frozenset(word for word in (_stem(word) for word in found) if word)


def _stem(word: str) -> str:
    alike = _alike()
    for form in (word, word.removesuffix("s"), word.removesuffix("ing"), word.removesuffix("ed")):
        if form in alike:
            return alike[form]
    return word


@cache
def _ways() -> list[tuple[frozenset[str], Symptom]]:
    """Every way to say a symptom, as words."""
    ways = []
    for row in _data()["symptoms"]:
        proofs = tuple(Proof(**proof) for proof in row["proves"])
        symptom = Symptom(row["id"], row["title"], row["likely"], tuple(row["causes"]), proofs)
        ways += [(_words(said), symptom) for said in (row["title"], *row["said"])]
    return ways


def every() -> Iterable[Symptom]:
    """All symptoms."""
    return list(dict.fromkeys(symptom for _, symptom in _ways()))


def find(text: str) -> Symptom | None:
    """The symptom that a text describes; None if it fits none, or is rather a line of a log."""
    if len(text.split()) > _MOST_WORDS or any(word in text.lower() for word in _data()["reasons"]):
        return None
    said = _words(text)
    fitting = [(words, symptom) for words, symptom in _ways() if words and words <= said]
    return max(fitting, key=lambda way: len(way[0]))[1] if fitting else None
