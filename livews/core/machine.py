"""The state machine of protocol/machine.json: signals of messages, states, effects.

- No state, signal or effect is named here: they are data.
- The rows are compiled once; a run is a few dictionary look-ups.
- A pair of state and signal without a row changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from livews.core import protocol

Traits = Mapping[str, Any]


class TransitionRow(NamedTuple):
    to: str | None
    effect: str | None
    fault: str | None
    note: str | None
    guard: tuple[tuple[str, Any], ...]


class Signal(NamedTuple):
    name: str
    sender: str
    paths: tuple[tuple[str, ...], ...]
    equals: tuple[Any, ...] | None
    starts: str | None
    guard: tuple[tuple[str, Any], ...]


class Transition(NamedTuple):
    """What the signals of a frame do: the new states by region, the effects in order, and rules that are broken or noted."""

    states: tuple[str, ...]
    effects: tuple[str, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]


class Machine:
    """The compiled rows. Pure: states go in, states come out."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.regions: tuple[str, ...] = tuple(data["regions"])
        self.initial: tuple[str, ...] = tuple(region["initial"] for region in data["regions"].values())
        self.waiting = {region: row["waiting"] for region, row in data["regions"].items() if "waiting" in row}
        """By region: states in which more comes without another prompt."""
        self._end = (self.regions.index(data["end"]["region"]), data["end"]["state"])
        self._rows: dict[str, dict[int, dict[str, list[TransitionRow]]]] = {}
        """By signal, region and state before it."""
        for number, region in enumerate(data["regions"].values()):
            for row in region["rows"]:
                compiled = TransitionRow(
                    row.get("to"), row.get("effect"), row.get("fault"), row.get("note"), _guard(row)
                )
                for signal in _list(row["on"]):
                    for state in _list(row["from"]):
                        by_state = self._rows.setdefault(signal, {}).setdefault(number, {})
                        by_state.setdefault(state, []).append(compiled)
        self._signals: dict[str, dict[str, list[tuple[int, Signal, tuple[str, ...]]]]] = {"client": {}, "server": {}}
        """By sender and member at the top: number in the file, signal and path."""
        for number, entry in enumerate(map(_signal, data["signals"])):
            for sender in ("client", "server") if entry.sender == "both" else (entry.sender,):
                for path in entry.paths:
                    self._signals[sender].setdefault(path[0], []).append((number, entry, path))

    def signals(self, sender: str, message: Mapping[str, Any], traits: Traits) -> tuple[str, ...]:
        """The signals of a canonical message, in the order of machine.json, each once."""
        found: dict[int, str] = {}
        for member, inner in message.items():
            names = (*inner, "*") if isinstance(inner, dict) else ("*",)
            for number, signal, path in self._signals[sender].get(member, ()):
                if len(path) > 1 and path[1] not in names:  # most signals end here
                    continue
                if number in found or (signal.guard and not _holds(signal.guard, traits)):
                    continue
                if any(_matches(signal, value) for value in values(message, path)):
                    found[number] = signal.name
        return tuple(dict.fromkeys(found[number] for number in sorted(found)))

    def run(self, states: tuple[str, ...], signals: Iterable[str], traits: Traits) -> Transition:
        """Move every region by every signal in turn. A fault leaves all states as they were.

        Once the end was reached only the region that reached it moves any more.
        """
        now = list(states)
        end, state = self._end
        is_over = states[end] == state
        effects: list[str] = []
        faults: list[str] = []
        notes: list[str] = []
        for signal in signals:
            for region, rows in self._rows.get(signal, {}).items():
                if is_over and region != end:
                    continue
                for row in rows.get(now[region], ()):
                    if row.guard and not _holds(row.guard, traits):
                        continue
                    if row.fault:
                        faults.append(row.fault)
                    if row.note and row.note not in notes:
                        notes.append(row.note)
                    if row.effect and row.effect not in effects:
                        effects.append(row.effect)
                    if row.to:
                        now[region] = row.to
                    break
        if faults:
            return Transition(states, (), tuple(dict.fromkeys(faults)), tuple(notes))
        return Transition(tuple(now), tuple(effects), (), tuple(notes))


def values(message: Any, path: tuple[str, ...]) -> list[Any]:
    """Every value at a path of member names; `*` stands for each item of a list."""
    for i, step in enumerate(path):
        if step == "*":
            return _values([message], path[i:])
        if not isinstance(message, dict) or step not in message:
            return []
        message = message[step]
    return [message]


def located(message: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The values at a JSON pointer, in which `*` stands for each item of a list, each with its own pointer."""
    steps = path.split("/")[1:]
    if "*" in steps:
        yield from _located(message, steps, "")
        return
    for step in steps:
        if not isinstance(message, dict) or step not in message:
            return
        message = message[step]
    yield path, message


def _located(value: Any, steps: list[str], path: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield path, value
    elif steps[0] == "*":
        for i, item in enumerate(value if isinstance(value, list) else ()):
            yield from _located(item, steps[1:], f"{path}/{i}")
    elif isinstance(value, dict) and steps[0] in value:
        yield from _located(value[steps[0]], steps[1:], f"{path}/{steps[0]}")


def _values(matches: list[Any], path: tuple[str, ...]) -> list[Any]:
    for step in path:
        if step == "*":
            matches = [item for value in matches if isinstance(value, list) for item in value]
        else:
            matches = [value[step] for value in matches if isinstance(value, dict) and step in value]
    return matches


def _signal(row: Mapping[str, Any]) -> Signal:
    paths = tuple(tuple(path.split("/")[1:]) for path in _list(row["at"]))
    equals = tuple(_list(row["is"])) if "is" in row else None
    return Signal(row["name"], row["from"], paths, equals, row.get("startsWith"), _guard(row))


def _matches(signal: Signal, value: Any) -> bool:
    if signal.equals is not None:
        return any(value == expected and type(value) is type(expected) for expected in signal.equals)
    if signal.starts is not None:
        return isinstance(value, str) and value.startswith(signal.starts)
    return value is not None


def _guard(row: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(row.get("if", {}).items())


def _holds(guard: tuple[tuple[str, Any], ...], traits: Traits) -> bool:
    return all(traits.get(name) == value for name, value in guard)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@cache
def machine() -> Machine:
    return Machine(protocol.machine())
