"""The vectors and scenarios of protocol/, folded through the core.

- What a port would have to do to pass is all in here: read a file, step, compare.
- The rows of machine.json are walked by a second reader, written from README.md and not from livews/core/machine.py;
  it says which rows fired. Every row has to, from every state and by every signal it names.
"""

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from livews.advice import closes, judge
from livews.cli.output import as_json
from livews.conversation import Conversation
from livews.core import canonical, close_rows, codec, events, machine, models, protocol, rules, schema
from livews.core.conversation import Step
from livews.core.reading import read as core_read
from livews.server import service_format
from livews.server.script_player import misfit

VECTORS = protocol.root() / "vectors"
SCENARIOS = protocol.root() / "scenarios"

OF_SESSIONS = {"reconnecting", "resumed", "sessionLost"}
"""Events of a client that goes on on another connection: no message leads to them (tests/session/test_scenarios.py)."""
COUNTED = {"audio", "toolCall", "toolCancelled", "interrupted", "turnEnd", "closed"}
"""Events a port reports neither more nor less often than a scenario has them."""


def groups(pattern: str) -> list[Any]:
    """(group, test) of every vector file that fits, as parameters."""
    files = [json.loads(path.read_bytes()) for path in sorted(VECTORS.glob(pattern))]
    tests = [(group, test) for groups in files for group in groups for test in group["tests"]]
    return [pytest.param(group, test, id=test["id"]) for group, test in tests]


MESSAGES = groups("messages/*.json")
FRAMES = groups("frames/*.json")
STORIES = [json.loads(path.read_bytes()) for path in sorted(SCENARIOS.glob("*.json"))]


def follow(conversation: Conversation, line: dict[str, Any]) -> Step:
    """One line of `before`, of a scenario or of a frame vector: a client or server message, a close, or bytes."""
    if "raw" in line:
        return conversation.step(line["sender"], base64.b64decode(line["raw"], validate=True))
    if "close" in line:
        close = line["close"]
        return conversation.close(close.get("from", "server"), close["code"], close.get("reason", ""))
    sender: Any = "client" if "client" in line else "server"
    raw = codec.dump(line["client"]) if sender == "client" else service_format.dump_as_service(line["server"])
    step = conversation.step(sender, raw)
    previous = getattr(conversation, "previous", None)
    resumes = conversation.setup.get("sessionResumption", {}).get("handle") and "setupComplete" in step.signals
    if previous is not None and resumes:
        conversation.resume(previous)
    return step


def on_next_connection(before: Conversation) -> Conversation:
    """The conversation after a `connect`. A handle takes over what was open before (README.md, "Scenarios")."""
    conversation = type(before)()
    conversation.previous = before  # type: ignore[attr-defined]
    return conversation


# Messages


LOOKED_AT = {"AUDIO-1", "AUDIO-3", "AUDIO-7", "AUDIO-8", "AUDIO-9"}
"""Rules about what media is, for which the core is given a function that looks at it."""


@pytest.mark.parametrize(("group", "test"), MESSAGES)
def test_the_core_finds_the_same_rules_at_the_same_places_as_the_judge_with_advice(
    group: dict[str, Any], test: dict[str, Any]
) -> None:
    reading = core_read(group["sender"], test["message"], schema.column("gemini", "v1beta"))
    target = rules.ApiTarget("gemini", "v1beta")
    found = [(one.rule, one.path, one.level, one.close) for one in rules.findings(reading, rules.Context(target))]
    advised = judge.check(group["sender"], test["message"], target)
    rest = [(one.rule, one.path, one.level, one.close) for one in advised if one.rule not in LOOKED_AT]
    assert sorted(found, key=str) == sorted(rest, key=str)


@pytest.mark.parametrize(("group", "test"), MESSAGES)
def test_message_vectors(group: dict[str, Any], test: dict[str, Any]) -> None:
    before = json.dumps(test["message"])
    found = judge.check(group["sender"], test["message"])
    report = [(one.rule, one.path) for one in found]
    errors = [(one.rule, one.path) for one in found if one.level == "error"]
    assert (not errors) is test["valid"], report
    if test["valid"]:
        assert report == ([(test["rule"], test["path"])] if "rule" in test else [])
    else:
        assert errors == [(test["rule"], test["path"])]
        assert not [one for one in found if one.level == "note"], "one complaint a place"
    folded = canonical.fold(group["sender"], test["message"]).message
    assert folded == test.get("canonical", folded)
    assert canonical.fold(group["sender"], folded).message == folded, "what is canonical stays as it is"
    assert json.dumps(test["message"]) == before, "the message itself is left alone"


# Frames


def outcome(step: Step) -> dict[str, Any]:
    """What a frame vector says about a frame."""
    return {
        "kind": step.kind,
        "signals": list(step.signals),
        "effects": list(step.effects),
        "state": step.states,
        "faults": [fault.rule for fault in step.faults],
        "notes": [note.rule for note in step.notes],
        "audio": [[mime, len(pcm), hashlib.sha256(pcm).hexdigest()[:16]] for mime, pcm in step.audio],
    }


@pytest.mark.parametrize(("group", "test"), FRAMES)
def test_frame_vectors(group: dict[str, Any], test: dict[str, Any]) -> None:
    conversation = Conversation()
    for line in test["before"]:
        follow(conversation, line)
    assert outcome(follow(conversation, test)) == test["outcome"]
    # the same frame once more, now that it may have been learned, says the same about its sound
    again = follow(conversation, test)
    assert [list(sound) for sound in outcome(again)["audio"]] == test["outcome"]["audio"]


# Closes and rates


@pytest.mark.parametrize(("group", "test"), groups("closes.json"))
def test_close_vectors(group: dict[str, Any], test: dict[str, Any]) -> None:
    advice = closes.explain(test["code"], test["reason"])
    assert (advice.id, advice.values) == (test["closes"], test["values"])
    assert {protocol.close_row(other)["cause"] for other in test.get("also", ())} <= set(advice.also)


def test_every_close_row_has_a_vector() -> None:
    tests = [test for _, test in (param.values for param in groups("closes.json"))]
    known = {row for test in tests for row in (test["closes"], *test.get("also", ()))}
    assert {row["id"] for row in protocol.closes()} - known == set()


@pytest.mark.parametrize(("group", "test"), groups("audio/*.json"))
def test_rate_vectors(group: dict[str, Any], test: dict[str, Any]) -> None:
    default = {"client": codec.INPUT_RATE, "server": codec.OUTPUT_RATE}[group["sender"]]
    assert codec.rate_of(test["mimeType"], default) == test["rate"]


# Scenarios


def reported(line: dict[str, Any], step: Step) -> Iterator[dict[str, Any]]:
    """The events of a line, as a port would report them."""
    for event in events.events(step):
        row = json.loads(as_json(event, 0.0))
        yield (
            {**row, "handle": event.handle} if isinstance(event, events.Resumable) else row
        )  # --json has a pseudonym
    if "close" in line:
        advice = closes.explain(line["close"]["code"], line["close"].get("reason", ""))
        yield {"event": "closed", "code": advice.code, "reason": advice.reason, "id": advice.id}


def test_usage_in_json_has_its_members_in_their_order() -> None:
    row = json.loads(as_json(events.Usage(1, 2, 3, 4, {"TEXT": 1}, {}, step=Step("server", "", b"")), 0.0))
    assert list(row)[2:] == ["prompt", "response", "total", "promptBy", "responseBy", "toolPrompt", "thoughts"]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["id"])
def test_scenarios(story: dict[str, Any]) -> None:
    conversation = Conversation()
    happened: list[dict[str, Any]] = []
    lines = [line for line in story["steps"] if line.get("report", {}).get("event") not in OF_SESSIONS]
    for number, line in enumerate(lines):
        where = f"{story['id']} step {number}: {json.dumps(line)[:100]}"
        if "connect" in line:
            conversation = on_next_connection(conversation)
            happened = [event for event in happened if event["event"] != "closed"]  # it goes on
        elif "report" in line:
            while happened and misfit(line["report"], happened[0]):
                assert happened[0]["event"] not in COUNTED, f"{where}: {happened[0]} is not reported"
                del happened[0]
            assert happened, f"{where}: nothing like it happened"
            del happened[0]
        elif line.keys() & {"client", "server", "close"}:
            step = follow(conversation, line)
            assert not step.faults, f"{where}: {step.faults}"
            notes = [note for note in step.notes if note.rule != "MODEL-10"]  # a shutdown that comes is no mistake
            assert "client" not in line or not notes, f"{where}: {notes}"
            happened += reported(line, step)
        if "state" in line:
            states = conversation.states
            assert {"session": states["session"], "turn": states["turn"]} == line["state"], where
    assert not [one for one in happened if one["event"] in COUNTED], f"{story['id']}: more happened than is reported"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["id"])
def test_scenarios_are_written_in_the_form_the_readme_gives(story: dict[str, Any]) -> None:
    names = (
        {type_.__name__[0].lower() + type_.__name__[1:] for type_ in events.Event.__subclasses__()}
        | {"closed"}
        | OF_SESSIONS
    )
    drives = {"setup", "text", "audio", "activityStart", "activityEnd", "audioStreamEnd", "respond", "contextUpdate"}
    assert list(story) == ["id", "title", "proves", "steps"]
    assert (SCENARIOS / f"{story['id']}.json").is_file()
    said, connections = None, 1
    for line in story["steps"]:
        verb, *rest = line
        assert verb in {"client", "server", "drive", "report", "close", "wait", "connect"}
        assert rest in ([], ["state"])
        if verb == "drive":
            assert len(line["drive"]) == 1
            assert line["drive"].keys() <= drives
            assert said is None, "every drive is followed by what it makes the client send"
            said = line["drive"]
        elif verb == "client":
            assert said is not None or connections > 1, "a client says what it is driven to, or again what was lost"
            said = None
            assert canonical.fold("client", line["client"]).message == line["client"]
        elif verb == "server":
            assert canonical.fold("server", line["server"]).message == line["server"]
        elif verb == "report":
            assert line["report"]["event"] in names
        elif verb == "close":
            assert len(line["close"]["reason"].encode()) <= close_rows.REASON_LIMIT
            assert closes.explain(line["close"]["code"], line["close"]["reason"]).known
        elif verb == "wait":
            assert 0 < line["wait"] <= 1
        elif verb == "connect":
            connections += 1
            assert line == {"connect": connections}


# Every row fires

Fired = tuple[str, int, str, str]
"""Region, number of the row, the state it was in, the signal that came."""


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def holds(row: dict[str, Any], traits: dict[str, Any]) -> bool:
    return all(traits[name] == value for name, value in row.get("if", {}).items())


def reach(value: Any, path: str) -> list[Any]:
    found = [value]
    for name in path.split("/")[1:]:
        inner: list[Any] = []
        for one in found:
            if name == "*" and isinstance(one, list):
                inner += one
            elif isinstance(one, dict) and name in one:
                inner.append(one[name])
        found = inner
    return found


def read_signals(sender: str, body: dict[str, Any], traits: dict[str, Any]) -> list[str]:
    heard: list[str] = []
    for row in protocol.machine()["signals"]:
        if row["from"] not in (sender, "both") or not holds(row, traits) or row["name"] in heard:
            continue
        for value in (value for path in listed(row["at"]) for value in reach(body, path)):
            if "is" in row:
                said = any(value == wanted and type(value) is type(wanted) for wanted in listed(row["is"]))
            elif "startsWith" in row:
                said = isinstance(value, str) and value.startswith(row["startsWith"])
            else:
                said = True
            if said:
                heard.append(row["name"])
                break
    return heard


def walk(
    states: dict[str, str], signals: list[str], traits: dict[str, Any]
) -> tuple[dict[str, str], list[str], list[str], list[Fired]]:
    """States, effects, faults and the rows that fired."""
    now, effects, faults, fired = dict(states), [], [], []
    end = protocol.machine()["end"]
    over = states[end["region"]] == end["state"]
    for signal in signals:
        for region, rows in protocol.machine()["regions"].items():
            if over and region != end["region"]:
                continue
            for number, row in enumerate(rows["rows"]):
                if now[region] in listed(row["from"]) and signal in listed(row["on"]) and holds(row, traits):
                    fired.append((region, number, now[region], signal))
                    faults += [row["fault"]] if "fault" in row else []
                    effects += [row["effect"]] if "effect" in row else []
                    now[region] = row.get("to", now[region])
                    break
    if faults:
        return dict(states), [], faults, fired
    return now, list(dict.fromkeys(effects)), faults, fired


class Walked(Conversation):
    """A conversation that the second reader walks beside."""

    def __init__(self) -> None:
        super().__init__()
        self.fired: list[Fired] = []
        self.declared: dict[str, str] = {}
        self.held: set[str] = set()

    def resume(self, previous: Conversation) -> None:
        super().resume(previous)
        assert isinstance(previous, Walked)
        self.held = set(previous.held)

    def held_by(self, function: str) -> bool:
        """README.md, "Beside the states": does a call of this function hold its turn?"""
        about = self.profile
        if about["turnEndsAt"] == "interactionStatus":
            return True
        own = about["tools"].get("default", "BLOCKING")
        kind = self.declared.get(function, own)
        if about["known"] and kind not in about["tools"]["behavior"]:
            kind = own
        if kind == own:
            return not about["wire"]["toolCallEndsTurn"]
        return kind == "BLOCKING"

    def owed(self, body: dict[str, Any]) -> bool:
        open_calls, found = dict(self.pending), False
        for answer in reach(body, "/toolResponse/functionResponses/*"):
            call = answer.get("id") or next((i for i, name in open_calls.items() if name == answer.get("name")), None)
            if answer.get("willContinue") is True or call not in open_calls:
                continue
            del open_calls[call]
            silent = "SILENT" in (answer.get("scheduling"), answer.get("response", {}).get("scheduling"))
            found = found or not (silent or call in self.held)
        return found

    def remember(self, step: Step) -> None:
        """What the second reader keeps of a message that was taken, for the trait answerOwed."""
        if step.kind in ("unreadable", "close"):
            return
        for path in ("/setup/tools/*", "/contextUpdate/tools/tools/*"):
            if tools := reach(step.body, path):
                functions = [one for tool in tools for one in tool.get("functionDeclarations", [])]
                self.declared = {one["name"]: one["behavior"] for one in functions if "behavior" in one}
        if "interrupted" in step.signals:
            self.held = set()
        calls = reach(step.body, "/toolCall/functionCalls/*") if "toolCall" in step.signals else []
        for call in (call for call in calls if isinstance(call, dict)):
            call_id, name = (call[key] if isinstance(call.get(key), str) else "" for key in ("id", "name"))
            if self.held_by(name):
                self.held.add(call_id or name)
        if "endTurn" in step.effects:
            self.held = set()

    def walk(self, line: dict[str, Any], step: Step, before: dict[str, str], traits: dict[str, Any]) -> None:
        if step.kind == "unreadable":
            return
        is_end = step.kind == "close" and not step.raw
        signals = ["close"] if is_end else read_signals(step.sender, step.body, traits)
        assert signals == list(step.signals)
        now, effects, faults, fired = walk(before, signals, traits)
        self.fired += fired
        said = {fault.rule for fault in step.faults if fault.level == "error"}
        assert set(faults) <= said
        if step.sender == "server" or not said:
            assert (now, effects) == (step.states, list(step.effects)), line

    def along(self, line: dict[str, Any]) -> None:
        before, traits = self.states, self.traits
        owed = "client" in line and self.owed(canonical.fold("client", line["client"]).message)
        if line.get("sender") == "client":
            with contextlib.suppress(codec.WireError):
                owed = self.owed(canonical.fold("client", codec.parse(base64.b64decode(line["raw"]))).message)
        if "setup" in line.get("client", {}) and before["session"] == "new":
            traits = self._traits_of(line["client"]["setup"])
        step = follow(self, line)
        self.walk(line, step, before, {**traits, "callsOpen": bool(self.pending), "answerOwed": owed})
        self.remember(step)


@cache
def fired_rows() -> tuple[frozenset[Fired], frozenset[Fired]]:
    """Rows fired by the scenarios, and by everything."""
    by_stories: set[Fired] = set()
    for story in STORIES:
        walked = Walked()
        for line in story["steps"]:
            walked = on_next_connection(walked) if "connect" in line else walked
            if line.keys() & {"client", "server", "close"}:
                walked.along(line)
        by_stories.update(walked.fired)
    by_all = set(by_stories)
    for _, test in (frame.values for frame in FRAMES):
        walked = Walked()
        for line in test["before"]:
            walked.along(line)
        if "free" not in test:
            walked.along(test)
        by_all.update(walked.fired)
    return frozenset(by_stories), frozenset(by_all)


def every_row() -> list[Fired]:
    return [
        (region, number, state, signal)
        for region, rows in protocol.machine()["regions"].items()
        for number, row in enumerate(rows["rows"])
        for state in listed(row["from"])
        for signal in listed(row["on"])
    ]


# An activity mark or media without a setup that allows it is stopped by the session's row in the same frame, so the
# activity region's rows fire there all the same. There is no row that cannot fire.
NEVER: set[Fired] = set()


def test_every_row_fires_from_every_state_by_every_signal() -> None:
    assert set(every_row()) - fired_rows()[1] == NEVER


def test_no_row_hides_behind_an_earlier_one() -> None:
    seen: dict[tuple[str, str, str], list[Any]] = {}
    for region, number, state, signal in every_row():
        guard = protocol.machine()["regions"][region]["rows"][number].get("if")
        earlier = seen.setdefault((region, state, signal), [])
        assert None not in earlier, f"{region}: a row for {signal} in {state} stands behind one without `if`"
        assert guard not in earlier
        earlier.append(guard)


def test_every_signal_and_effect_happens_in_a_scenario_or_vector() -> None:
    heard: set[str] = set()
    done: set[str] = set()
    frames = [[*test["before"], test] for _, test in (frame.values for frame in FRAMES)]
    for steps in [*(story["steps"] for story in STORIES), *frames]:
        conversation = Conversation()
        for line in steps:
            if line.keys() & {"client", "server", "close", "raw"}:
                step = follow(conversation, line)
                heard.update(step.signals)
                done.update(step.effects)
    assert {signal["name"] for signal in protocol.machine()["signals"]} - heard == set()
    assert set(protocol.machine()["effects"]) - done == set()


def test_every_member_of_both_envelopes_is_in_a_message_vector() -> None:
    for sender in ("client", "server"):
        members = {m.name for m in schema.table(schema.ENVELOPE[sender]).members.values()}
        seen: set[str] = set()
        for group, test in (message.values for message in MESSAGES):
            if group["sender"] == sender and test["valid"]:
                seen |= canonical.fold(group["sender"], test["message"]).message.keys()
        extra = {"inputTranscription", "outputTranscription"}  # at the top: read, never seen
        assert members - seen <= extra


def test_the_machine_and_its_second_reader_agree_on_the_states() -> None:
    data = protocol.machine()["regions"]
    assert machine.machine().regions == tuple(data)
    assert machine.machine().initial == tuple(region["initial"] for region in data.values())


def test_models_of_scenarios_are_known() -> None:
    for story in STORIES:
        model = story["steps"][0]["drive"]["setup"]["model"]
        assert models.profile(model)["known"]
        assert not models.profile(model)["retired"]
