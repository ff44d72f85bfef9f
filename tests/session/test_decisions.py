"""The vectors of protocol/vectors/reconnect.json, run through `Reconnects`; they notice a change of any member of the policy.

- Delays are compared as they are written: the drawing is the caller's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from livews.core import protocol
from livews.session.decisions import Decision, Ending, Reconnects
from tests.structure import LIVEWS

POLICY = protocol.load("reconnect.json")
GROUPS = protocol.load("vectors/reconnect.json")
TESTS = [test for group in GROUPS for test in group["tests"]]
ENDS = [step for test in TESTS for step in test["steps"] if "ended" in step]
FOR_CALLERS = {"resend": True, "refresh": False, "shorter": False}
"""What a decision says unless a vector says otherwise."""


def outcome(tries: Reconnects, step: dict[str, Any]) -> dict[str, Any]:
    """What a step leads to, in the members that a vector has for it."""
    at = step.get("at", 0.0)
    if "opened" in step:
        tries.opened(at)
    elif "turnEnded" in step:
        tries.turn_ended(at)
    elif "ended" in step:
        return {"decision": decided(tries.ended(Ending(**step["ended"]), at))}
    elif "connection" in step:
        given = step["connection"]
        phase = tries.phase(
            set_up_for=given["setUpFor"], resumes=given["resumes"], has_content=given["hasContent"], is_busy=given["isBusy"],
        )  # fmt: skip
        return {"phase": phase}
    elif "life" in step:
        age = tries.hand_over_at(step["life"])
        return {"handOver": None if age is None else rounded(at + age)}
    elif "goAway" in step:
        return {"until": rounded(at + tries.give_up_after(step["goAway"]))}
    elif "timer" in step:
        return {"until": rounded(at + tries.limits[step["timer"]])}
    return {}


def decided(decision: Decision) -> dict[str, Any]:
    """A decision as a vector has it: without what is as usual, and without a delay where there is none."""
    row = asdict(decision)
    del row["says"]
    for name in ("shortest", "longest"):
        row[name] = rounded(row[name])
        if decision.action == "stop":
            del row[name]
    return {name: value for name, value in row.items() if FOR_CALLERS.get(name) != value or name not in FOR_CALLERS}


def rounded(seconds: float) -> float:
    return round(seconds, 6)


def failures(test: dict[str, Any]) -> Iterator[str]:
    """Steps of a vector whose outcome is another."""
    own = test.get("own", {})
    tries = Reconnects(
        limits=own.get("limits"), back_off=own.get("backOff"), tries=own.get("tries"), within=own.get("within")
    )
    for number, step in enumerate(test["steps"], 1):
        expected = {name: step[name] for name in ("decision", "phase", "handOver", "until") if name in step}
        if (got := outcome(tries, step)) != expected:
            yield f"{test['id']}, step {number}: {got}, expected {expected}"


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test["id"])
def test_vectors(test: dict[str, Any]) -> None:
    assert list(failures(test)) == []


def test_ends_of_vectors_are_rows_of_closes() -> None:
    rows = {row["id"]: row for row in protocol.closes()}
    for end in (step["ended"] for step in ENDS):
        row = rows.get(end["close"])
        assert row is None or (row["code"], row["kind"], row["retry"]) == (end["code"], end["kind"], end["retry"]), (
            end
        )
        assert row is not None or end["close"] == "unknown"
        assert end["phase"] in POLICY["phases"]


def test_rows_name_closes_phases_and_rows_that_there_are() -> None:
    rows, closes = POLICY["rows"], {row["id"] for row in protocol.closes()}
    ids = [row["id"] for row in rows]
    kinds = {name: {row[name] for row in protocol.closes()} for name in ("kind", "retry", "code")}
    assert len(set(ids)) == len(ids)
    everything = next(row for row in rows if not row.keys() & CONDITIONS)
    assert all(row["id"] in {other.get("then") for other in rows} for row in rows[rows.index(everything) + 1 :])
    assert list(POLICY["limits"]) == list(POLICY["limitsAre"])
    for row in rows:
        assert set(row.get("phases", ())) <= set(POLICY["phases"])
        assert set(row.get("closes", ())) <= closes
        assert set(row.get("kinds", ())) <= kinds["kind"]
        assert set(row.get("retry", ())) <= kinds["retry"]
        assert set(row.get("codes", ())) <= kinds["code"]
        assert row["action"] in ("resume", "fresh", "wait", "stop")
        assert row.get("then", "stop") in {*ids, "stop"}
        assert ("then" in row) is bool(row.keys() & {"tries", "within"})


CONDITIONS = {"phases", "closes", "kinds", "retry", "codes", "planned"}


# Each member of the policy is read, and some vector shows what it does

NOT_DECIDED = {"id", "says", "is"}
"""Members that name or describe: they change no decision."""


def changes() -> Iterator[tuple[str, dict[str, Any]]]:
    """The policy with one member changed, and which: left out, or another number, flag or text."""

    def changed(value: Any) -> list[Any]:
        if isinstance(value, bool):
            return [not value]
        if isinstance(value, (int, float)):
            return [value + 1]
        return ["stop", "resume"] if isinstance(value, str) else []

    places = [("limits",), ("backOff",)]
    places += [("phases", name) for name in POLICY["phases"]] + [("rows", i) for i in range(len(POLICY["rows"]))]
    for place in places:
        for name, value in at(POLICY, place).items():
            if name in NOT_DECIDED:
                continue
            others = [other for other in changed(value) if other != value]
            if isinstance(value, list):
                others += [[*value[:i], *value[i + 1 :]] for i in range(len(value))]
            for other in others:
                policy = copy.deepcopy(POLICY)
                at(policy, place)[name] = other
                yield f"{'/'.join(map(str, place))}/{name}: {value} to {other}", policy
            if place[0] == "rows" and name != "action":
                policy = copy.deepcopy(POLICY)
                del at(policy, place)[name]
                yield f"{'/'.join(map(str, place))}/{name} left out", policy


def at(policy: dict[str, Any], place: tuple[Any, ...]) -> dict[str, Any]:
    found: Any = policy
    for name in place:
        found = found[name]
    return found  # type: ignore[no-any-return]


def test_every_member_of_the_policy_is_shown_by_a_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    unseen = []
    for what, policy in changes():
        monkeypatch.setattr(protocol, "load", lambda name, policy=policy: policy)
        try:
            if not any(failure for test in TESTS for failure in failures(test)):
                unseen.append(what)
        except (LookupError, RuntimeError):
            pass  # noticed, in another way
    assert not unseen, "\n".join(unseen)


def test_every_row_and_what_follows_it_is_in_a_vector() -> None:
    decided = {(step["decision"]["row"], step["decision"]["action"]) for step in ENDS}
    rows = {(row["id"], row["action"]) for row in POLICY["rows"]}
    rows |= {(row["id"], "stop") for row in POLICY["rows"] if row.get("then") == "stop"}
    assert decided == rows


def test_every_limit_is_read_by_the_client() -> None:
    source = "".join(path.read_text() for path in (LIVEWS / "session").glob("*.py"))
    assert [name for name in POLICY["limits"] if f'imits["{name}"]' not in source] == []
