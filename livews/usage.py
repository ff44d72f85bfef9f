"""Tokens and cost of a session: `UsageMeter` takes its events and gives a `SessionUsage`.

- Tokens are counted by the totals of usageMetadata, not by its details (USAGE-2), and turns are added up (USAGE-3).
- Nothing is guessed: an answer that the service did not count, a model without a price and a modality without a price
  make the cost unknown, or a lower bound. Only where prices.json has an `estimate`, seconds of audio stand for tokens.
- A service on this machine, such as the stand-in, charges nothing: `usd` is None there.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from livews.core import codec, events, protocol
from livews.core.conversation import Step
from livews.core.models import Profile
from livews.session.events import Reconnecting, SessionLost

UNLISTED = "UNLISTED"
"""The modality of tokens that no detail lists."""
_MODALITIES = ("AUDIO", "VIDEO", "IMAGE", "DOCUMENT", "TEXT")
_QUERIES = 1_000
"""Different searches of a turn that are counted."""
_ANSWERS = (events.Audio, events.Media, events.Text, events.Part, events.ToolCall)
"""What is charged as output. The words of speech come beside it, and can be late."""


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """What a session has used so far, over all of its connections.

    Attributes:
        prompt: tokens of the input by modality (TEXT, AUDIO, IMAGE, VIDEO, DOCUMENT, or UNLISTED). Each turn counts its
            whole context again, as it is charged.
        response: tokens of the output by modality.
        thoughts: tokens of the model's thinking, in none of the others.
        searches: searches with Google.
        uncounted: answers for which the service counted no tokens, with the one that is running.
        estimated: the tokens are estimated from seconds of audio, since the service counts none.
        usd: the list price of it in USD; None where it is not known, and where the service charges nothing.
        list_usd: the same, also where nothing is charged: what the service of Google would charge.
        at_least: the cost is higher, by `uncounted` answers or by searches without a price.
        priced_on: the day of the price list.
        is_free: the service is on this machine, and charges nothing.
    """

    prompt: Mapping[str, int]
    response: Mapping[str, int]
    thoughts: int
    searches: int
    uncounted: int
    estimated: bool
    usd: float | None
    list_usd: float | None
    at_least: bool
    priced_on: str
    is_free: bool

    @property
    def tokens(self) -> int:
        """All tokens: input, output and thoughts."""
        return sum(self.prompt.values()) + sum(self.response.values()) + self.thoughts

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "prompt": dict(self.prompt), "response": dict(self.response), "thoughts": self.thoughts,
            "searches": self.searches, "uncounted": self.uncounted, "estimated": self.estimated,
            "usd": None if self.usd is None else round(self.usd, 6), "atLeast": self.at_least, "pricedOn": self.priced_on,
        }  # fmt: skip

    @property
    def cost(self) -> str:
        """The cost in words, as in `0.0042 USD by the list of 2026-11-20`; "" where nothing is charged."""
        if self.usd is not None:
            about = "about " if self.estimated else "at least " if self.at_least else ""
            return f"{about}{self.usd:.{4 if self.usd >= 0.001 else 6}f} USD by the list of {self.priced_on}"
        if self.is_free:
            return ""
        return "unknown: " + ("no price is known for this model" if self.tokens else "the service counted no tokens")

    def __str__(self) -> str:
        """Cost and tokens in words, as in `cost 0.0042 USD by the list of 2026-11-20, in 312 text, out 63 audio`."""
        sides = [("in", self.prompt), ("out", {**self.response, "THOUGHTS": self.thoughts})]
        counts = [f"{name} {text}" for name, tokens in sides if (text := _in_words(tokens))]
        if self.searches:
            counts.append(f"{self.searches:,} {'search' if self.searches == 1 else 'searches'}")
        return ", ".join([*([f"cost {self.cost}"] if self.cost else ()), *counts])


class UsageMeter:
    """Counts the tokens of one session.

    Args:
        profile: of the model.
        free: the service is on this machine, and charges nothing.
    """

    def __init__(self, profile: Profile, *, free: bool = False) -> None:
        self._profile = profile
        self._free = free
        self._counts_session = profile["usageCounts"] == "session"
        self._counts_nothing = profile["wire"]["usage"] == "none"
        self._output = str(profile["output"][0])
        self._answers = (*_ANSWERS, events.Transcript) if profile["wire"]["textAsTranscript"] else _ANSWERS
        self._prompt, self._response = Counter[str](), Counter[str]()
        self._other = Counter[str]()
        """Tokens of `thoughts` and `toolPrompt`."""
        self._last: tuple[Counter[str], ...] = ()
        """What the service counted last, where it counts the whole session."""
        self._seconds = 0.0
        """Of the user's audio."""
        self._uncounted = 0
        self._is_open = False
        """Something of an answer has come since the last count."""
        self._is_late = False
        """A turn has ended without a count, which may still come in a message of its own."""
        self._queries = set[str]()
        """Searches of the running turn."""
        self._searches = 0

    def sent(self, step: Step) -> None:
        """Take a message of the client."""
        if step.template is None and "setup" in step.signals:
            self.set_up(step.body["setup"])
        if self._counts_nothing:
            self._seconds += sum(
                len(pcm) / 2 / max(1, codec.rate_of(mime, codec.INPUT_RATE)) for mime, pcm in step.audio
            )

    def set_up(self, setup: Any) -> None:
        """Take a setup, for the modality of the answers. Without a handle it begins a new session of the service."""
        setup = setup if isinstance(setup, dict) else {}
        generation, resumption = setup.get("generationConfig"), setup.get("sessionResumption")
        modalities = generation.get("responseModalities") if isinstance(generation, dict) else None
        if isinstance(modalities, list) and modalities:
            self._output = str(modalities[0])
        if not (isinstance(resumption, dict) and resumption.get("handle")):
            self.begin_again()
        self._cut()

    def begin_again(self) -> None:
        """The service does not know the session any more: what it counts for a whole session begins at 0."""
        self._last = ()

    def take(self, event: events.Event) -> None:
        """Take an event."""
        if isinstance(event, events.Usage):
            self._count(event)
        elif isinstance(event, self._answers):
            self._uncounted += self._is_late
            self._is_open, self._is_late = True, False
        elif isinstance(event, events.Grounding):
            self._search(event.metadata)
        elif isinstance(event, events.TurnEnd):
            self._is_late, self._is_open = self._is_open or self._is_late, False
            self._queries.clear()
        elif isinstance(event, Reconnecting | SessionLost):
            self._cut()

    def _cut(self) -> None:
        """The connection is over, and with it an answer that was running."""
        self._uncounted += self._is_open
        self._is_open = False

    def _count(self, usage: events.Usage) -> None:
        new = (
            _by_modality(usage.prompt, usage.prompt_by),
            _by_modality(usage.response, usage.response_by, self._output),
            Counter(thoughts=usage.thoughts, toolPrompt=usage.tool_prompt),
        )
        if new[0] or new[1]:  # a total that is of neither side is no count
            self._is_open = self._is_late = False
        before, self._last = self._last, new
        # a count that is lower than the one before began anew
        is_more = self._counts_session and before and _total(new) >= _total(before)
        for counter, now, old in zip(
            (self._prompt, self._response, self._other), new, before if is_more else [Counter[str]()] * 3, strict=True
        ):
            counter.update(now)
            counter.subtract(old)

    def _search(self, metadata: dict[str, Any]) -> None:
        asked = metadata.get("webSearchQueries")
        queries = {str(query) for query in asked} if isinstance(asked, list) else set[str]()
        if not queries and "searchEntryPoint" in metadata and not self._queries:
            queries = {""}
        for query in queries - self._queries if len(self._queries) < _QUERIES else ():
            self._queries.add(query)
            self._searches += 1

    def usage(self) -> SessionUsage:
        """What was used so far."""
        prices = protocol.prices()
        row = next((row for row in prices["rows"] if row["id"] == self._profile["price"]), None)
        prompt, response = Counter(self._prompt), Counter(self._response)
        prompt[prices["toolPrompt"]] += self._other["toolPrompt"]
        estimate = row.get("estimate") if row is not None and self._counts_nothing else None
        if estimate:
            prompt.update({name: round(self._seconds * rate) for name, rate in estimate["in"].items()})
            response.update({name: round(self._seconds * rate) for name, rate in estimate["out"].items()})
        uncounted = 0 if estimate else self._uncounted + self._is_open + self._is_late
        thoughts = self._other["thoughts"]
        usd = None
        if row is not None:
            charged = response + Counter({prices["thoughts"]: thoughts})
            costs = _usd(prompt, row["in"], prices), _usd(charged, row["out"], prices)
            if None not in costs and (prompt.total() or charged.total() or not uncounted):
                usd = sum(cost or 0.0 for cost in costs) + self._searches * (row["search"] or 0.0)
        return SessionUsage(
            +prompt, +response, thoughts, self._searches, uncounted, bool(estimate), None if self._free else usd, usd,
            bool(uncounted or (self._searches and row is not None and row["search"] is None)), prices["asOf"],
            self._free,
        )  # fmt: skip


def _by_modality(total: int, details: Mapping[str, int], modality: str = "") -> Counter[str]:
    """Tokens by modality that add up to the total, which the details need not do.

    Details that exceed it list the context before as well, as text: that counts last. `modality` is that of tokens
    without any details.
    """
    counts, left = Counter[str](), total or sum(details.values())
    for name in _MODALITIES:
        counts[name] = min(details.get(name, 0), left)
        left -= counts[name]
    counts[UNLISTED if any(details.values()) or not modality else modality] += left
    return +counts


def _usd(tokens: Mapping[str, int], row: Mapping[str, float], prices: dict[str, Any]) -> float | None:
    """The price of tokens; None if one of the modalities has none."""
    cost = 0.0
    for name, count in tokens.items():
        price = row.get(prices["unlisted"] if name == UNLISTED else name)
        if count and price is None:
            return None
        cost += count * (price or 0.0) / prices["per"]
    return cost


def _total(counters: tuple[Counter[str], ...]) -> int:
    return sum(counter.total() for counter in counters)


def _in_words(tokens: Mapping[str, int]) -> str:
    return " + ".join(f"{count:,} {name.lower()}" for name, count in Counter(tokens).most_common() if count)
