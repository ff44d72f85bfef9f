"""core.rules: one table, in the order of rules.json, and when it is asked."""

import subprocess
import sys

import pytest

from livews.conversation import Conversation
from livews.core import model_rules, protocol, rules, validation

SETUP = {"setup": {"model": "models/test"}}


def test_the_table_is_in_the_order_of_rules_json() -> None:
    order = list(protocol.rules())
    ids = [rule for rule, *_ in rules.TABLE]
    assert ids == sorted(ids, key=order.index) and len(set(ids)) == len(ids)


def test_every_rule_that_data_can_break_is_in_the_table() -> None:
    """A row of machine.json, models.json or the checks whose rule has no line in the table would say nothing."""
    checks = {rule: check for rule, _, _, check in rules.TABLE}
    rows = [row for region in protocol.machine()["regions"].values() for row in region["rows"]]
    data = protocol.models()
    members = [*data["limits"], *protocol.load("rules.json")["checks"]]
    members += [
        row for profile in data["profiles"] for key in ("refuses", "requires") for row in profile.get(key, ())
    ]
    named = {
        rules._transition: {row[level] for row in rows for level in ("fault", "note") if level in row},
        model_rules.limit: {row["rule"] for row in members},
    }
    for check, ids in named.items():
        assert {rule for rule, known in checks.items() if known is check} == ids


def test_findings_of_a_frame_are_in_the_order_of_the_table() -> None:
    conversation = Conversation(surface="gemini", version="v1beta")
    setup = {"generationConfig": {"topK": "x", "temprature": 1}, "tools": None}
    step = conversation.step_message("client", {"setup": setup, "news": 1})
    assert [finding.rule for finding in step.faults] == ["WIRE-5", "WIRE-5", "WIRE-7"]
    assert [finding.rule for finding in step.notes] == ["WIRE-11", "SETUP-4"]


def test_server_frames_are_judged_when_their_findings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    violations = validation.violations
    monkeypatch.setattr(
        validation, "violations", lambda sender, body: judged.append(sender) or violations(sender, body)
    )
    conversation = Conversation()
    conversation.step_message("client", SETUP, composed=True)
    step = conversation.step_message("server", {"setupComplete": {}, "goAway": {"timeLeft": 5}})
    assert judged == [], "what livews composed is not asked for, and nobody has read the findings of the other"
    assert [finding.rule for finding in step.faults] == ["WIRE-7"]
    assert step.faults and judged == ["server"], "once"


@pytest.mark.parametrize("message", [[], "text", None, 5])
def test_a_message_that_is_no_object_is_a_finding(message: object) -> None:
    step = Conversation().step_message("client", message)  # type: ignore[arg-type]
    assert (step.kind, [finding.rule for finding in step.faults]) == ("unreadable", ["WIRE-2"])


def test_a_plain_session_compiles_no_schema() -> None:
    code = """
import sys
from livews import setup_message
from livews.conversation import Conversation
from livews.core.events import events
message = setup_message.compose("models/gemini-3.1-flash-live-preview")
setup_message.message_findings(message, "gemini", "v1beta", composed=True)
conversation = Conversation(surface="gemini", version="v1beta")
conversation.step_message("client", message, composed=True)
for raw in ('{"setupComplete":{}}', '{"serverContent":{"turnComplete":true}}'):
    assert list(events(conversation.step("server", raw)))
assert "jsonschema_rs" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
