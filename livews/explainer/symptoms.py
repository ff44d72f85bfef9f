"""Find the symptom that somebody describes in words of their own, with its likely cause and the commands that prove it.

- The symptoms and the words that mean the same are data: symptoms.json.
- A description fits a symptom if it has all the words of one of the ways to say it, or most of them and little else. Rare
  words weigh more than common ones, and the way with the most weight wins.
- "not choppy" is no choppy sound: a way without a "no" does not fit where its main word has one.
- A word that is misspelt by a letter or two counts as the word.
"""

import difflib
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

_MOST_WORDS = 30
"""Words of a description: what is longer is a log."""
_LONGEST = 400
"""Characters of a description that are read."""
_ENOUGH = 0.68
"""Of the weight of a way and of the description together: so much has to be in both where words of the way are missing."""
_ALIKE = 0.85
"""How alike a long misspelt word and the word are, from 0 to 1."""
_NAME = re.compile(r"\S*(?:_|[a-z0-9][A-Z])\S*")
"""What is rather the name of a member or a value."""
_ELISION = re.compile(r"\b([cdjlmnst]|qu)['\u2019](?=\w{2})")
"""`l'image` is two words."""


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
    alike = dict.fromkeys(_data()["ignored"], "")
    return alike | {word: row[0] for row in _data()["words"] for word in row}


def _words(text: str) -> list[str]:
    """The words at the beginning of a text that say something, in their order, each as the one that stands for it."""
    text = text[:_LONGEST]
    text = re.sub(r"['\u2019`]", "", _ELISION.sub(r"\1 ", text.lower()))
    plain = unicodedata.normalize("NFKD", text)
    text = unicodedata.normalize("NFKC", "".join(char for char in plain if not _is_accent(char)))
    for pattern, word in _phrases():
        text = pattern.sub(f" {word} ", text)
    words = [word for word in map(_stem, re.findall(r"[a-z0-9][a-z0-9-]*", text)) if word]
    bad = _data()["bad"]
    denied = {i + more for i in range(len(words) - 1) if words[i] == "no" and words[i + 1] in bad for more in (0, 1)}
    return [word for i, word in enumerate(words) if i not in denied]


def _is_accent(char: str) -> bool:
    return "\u0300" <= char <= "\u036f"


@cache
def _phrases() -> list[tuple[re.Pattern[str], str]]:
    """Patterns of several words, each with what is written for them. In scripts without spaces a word has no edges."""
    edges = {True: r"(?<!\w)(?:{})(?!\w)", False: "(?:{})"}
    return [(re.compile(edges[pattern.isascii()].format(pattern)), word) for pattern, word in _data()["phrases"]]


@cache
def _stem(word: str) -> str:
    alike = _alike()
    for form in (word, word.removesuffix("s"), word.removesuffix("ing"), word.removesuffix("ed")):
        if form in alike:
            return alike[form]
    return next((stem for other, stem in alike.items() if _is_misspelt(word, other)), word)


def _is_misspelt(word: str, other: str) -> bool:
    """Whether a word is another one with two letters swapped, or, of five and more, with one letter wrong or missing; of
    nine and more, with two."""
    if word[0] != other[0] or len(word) < 4 or len(other) < 4 or abs(len(word) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    rest, wanted = word[start:], other[start:]
    while rest and wanted and rest[-1] == wanted[-1]:
        rest, wanted = rest[:-1], wanted[:-1]
    if len(rest) == 2 and rest == wanted[::-1]:
        return True
    if len(word) > 4 and len(other) > 4 and max(len(rest), len(wanted)) <= 1:
        return True
    return len(word) > 8 and difflib.SequenceMatcher(None, word, other).ratio() >= _ALIKE


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to say a symptom."""

    symptom: Symptom
    words: tuple[str, ...]
    weight: float

    def fits(self, said: Sequence[str]) -> bool:
        """Whether these words say it."""
        return set(self.words) <= set(said) and not self._is_denied(said)

    def _is_denied(self, said: Sequence[str]) -> bool:
        return "no" not in self.words and any(a == "no" and b in self.words for a, b in pairwise(said))

    def share(self, said: Sequence[str]) -> float:
        """How much of the weight of this way and of a text is in both, from 0 to 1."""
        both, all_words = set(self.words) & set(said), set(self.words) | set(said)
        return 0 if self._is_denied(said) else sum(map(_weight, both)) / sum(map(_weight, all_words))

    def is_close(self, said: Sequence[str]) -> bool:
        """Whether these words nearly say it: a "no" and more than one word of it are among them."""
        both = set(self.words) & set(said)
        return len(both) > 1 and ("no" in both) == ("no" in self.words) and self.share(said) >= _ENOUGH

    def rank(self, said: Sequence[str]) -> float:
        """How well it fits, among others that fit: its weight, and a little for each two words that follow each other."""
        pairs = set(pairwise(self.words)) & set(pairwise(said))
        return self.weight + sum(1.0 if "no" in pair else 0.5 for pair in pairs)


@cache
def _weights() -> dict[str, float]:
    """The rarer a word is in the ways to say symptoms, the more it weighs."""
    rows = _data()["symptoms"]
    count = Counter(
        word for row in rows for word in {w for said in (row["title"], *row["said"]) for w in _words(said)}
    )
    return {word: 0.3 + math.log((len(rows) + 1) / symptoms) for word, symptoms in count.items()}


def _weight(word: str) -> float:
    return _weights().get(word, 1.0)


@cache
def _ways() -> list[_Way]:
    """Every way to say a symptom."""
    ways = []
    for row in _data()["symptoms"]:
        proofs = tuple(Proof(**proof) for proof in row["proves"])
        symptom = Symptom(row["id"], row["title"], row["likely"], tuple(row["causes"]), proofs)
        for said in (row["title"], *row["said"]):
            if words := tuple(dict.fromkeys(_words(said))):
                ways.append(_Way(symptom, words, sum(map(_weight, words))))
    return ways


def every() -> Iterable[Symptom]:
    """All symptoms."""
    return list(dict.fromkeys(way.symptom for way in _ways()))


def find(text: str) -> Symptom | None:
    """The symptom that a text describes; None if it fits none, or is rather a line of a log."""
    if (
        _NAME.fullmatch(text)
        or len(text.split()) > _MOST_WORDS
        or any(word in text.lower() for word in _data()["reasons"])
    ):
        return None
    said = _words(text)
    if fitting := [way for way in _ways() if way.fits(said)]:
        return max(fitting, key=lambda way: way.rank(said)).symptom
    close = [way for way in _ways() if way.is_close(said)]
    return max(close, key=lambda way: way.share(said)).symptom if close else None


def nearest(text: str, most: int = 3) -> list[Symptom]:
    """The symptoms whose words a text has some of, the nearest first."""
    said = _words(text)
    shares = sorted(((way.share(said), way.symptom) for way in _ways()), key=lambda pair: -pair[0])
    return list(dict.fromkeys(symptom for share, symptom in shares if share > 0))[:most]
