"""protocol/ itself under test: it loads, it holds together, and it keeps what its README promises."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from livews.advice import closes
from livews.conversation import Conversation
from livews.core import canonical, close_rows, codec, machine, models, protocol, schema, validation
from livews.walk import schemas
from tests.kit import transcript as conversations
from tests.kit.names import DATA as FOLDER
from tests.kit.names import ROOT
from tests.protocol import derive

PROTOCOL = protocol.root()
SCHEMAS = {path: json.loads(path.read_bytes()) for path in sorted((PROTOCOL / "schemas").rglob("*.json"))}
DATA = sorted(PROTOCOL.rglob("*.json"))
LEVELS = {"must", "model", "should", "server"}
README = (PROTOCOL / "README.md").read_text()


def rel(path: Path) -> str:
    return path.relative_to(PROTOCOL).as_posix()


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every object inside, with its place."""
    if isinstance(value, dict):
        yield path, value
        for key, child in value.items():
            yield from walk(child, f"{path}/{key}")
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from walk(child, f"{path}/{i}")


def resolve(base: Path, ref: str) -> Path:
    return (base.parent / ref).resolve()


# Files


@pytest.mark.parametrize("path", DATA, ids=rel)
def test_every_file_is_utf8_json_without_double_keys_and_ends_with_a_newline(path: Path) -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = [key for key, n in Counter(key for key, _ in pairs).items() if n > 1]
        assert not twice, twice
        return dict(pairs)

    text = path.read_text(encoding="utf-8")
    json.loads(text, object_pairs_hook=once)
    assert text.endswith("\n")
    assert "\t" not in text
    assert not re.search(r"/(home|work|tmp|root|Users)/", text), "no path of a machine"


def test_every_file_of_the_folder_is_in_the_readme() -> None:
    for path in PROTOCOL.iterdir():
        assert path.name in README, f"{path.name} is not in README.md"


FORMS: dict[str, dict[str, Any]] = json.loads((FOLDER / "protocol_forms.json").read_text())
"""What a file has to look like by itself, as JSON Schema."""


@pytest.mark.parametrize(("pattern", "path"), [(one, path) for one in FORMS for path in sorted(PROTOCOL.glob(one))],
                         ids=lambda value: rel(value) if isinstance(value, Path) else "")  # fmt: skip
def test_a_file_has_its_form(pattern: str, path: Path) -> None:
    errors = jsonschema_rs.Draft202012Validator(FORMS[pattern]).iter_errors(json.loads(path.read_bytes()))
    assert [f"{error.instance_path}: {error.message}" for error in errors] == []


@pytest.mark.parametrize("name", ["rules.json", "models.json"])
def test_what_a_file_names_elsewhere_exists(name: str) -> None:
    for _, row in walk(protocol.load(name)):
        assert not isinstance(row.get("close"), str) or protocol.close_row(row["close"])
        assert not isinstance(row.get("rule"), str) or row["rule"] in protocol.rules()
        assert "at" not in row or _member("client", row["at"]) or "/response/" in row["at"], row["at"]


# Schemas


def test_145_messages_44_enums_and_8_scalars() -> None:
    titles = {one["title"]: one for one in SCHEMAS.values()}
    kinds = Counter(
        "message" if "properties" in one else "enum" if "values" in one.get("x-livews", {}) else "scalar"
        for one in titles.values()
    )
    assert kinds == {"message": 145, "enum": 44, "scalar": 8}


def test_a_schema_is_named_as_its_file() -> None:
    for path, one in SCHEMAS.items():
        assert (one["$id"], one["title"]) == (f"https://livews.invalid/{rel(path)}", path.stem)
        for name, member in one.get("properties", {}).items():
            assert member["x-livews"]["snake"] == schema.snake(name)


@pytest.mark.parametrize("path", SCHEMAS, ids=rel)
def test_a_schema_is_one_and_its_refs_resolve(path: Path) -> None:
    jsonschema_rs.meta.validate(SCHEMAS[path])
    for place, inner in walk(SCHEMAS[path]):
        if isinstance(inner.get("$ref"), str):
            assert resolve(path, inner["$ref"]) in SCHEMAS, f"{place}: {inner['$ref']}"
            assert resolve(path, inner["$ref"]).parent in (path.parent, path.parent.parent / "types")


def test_every_type_is_reached_from_an_envelope() -> None:
    reached: set[Path] = set()
    waiting = [PROTOCOL / schema_id.removeprefix("https://livews.invalid/") for schema_id in schema.ENVELOPE.values()]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += [resolve(path, x["$ref"]) for _, x in walk(SCHEMAS[path]) if isinstance(x.get("$ref"), str)]
    left = {path.stem for path in set(SCHEMAS) - reached}
    assert left <= {"AuthToken", "Timestamp"}, "only the body of the token request stands apart"


@pytest.mark.parametrize("path", SCHEMAS, ids=rel)
def test_the_members_of_a_oneof_exclude_each_other_and_no_others(path: Path) -> None:
    one = SCHEMAS[path]
    if path.parent.name == "server" and path.stem == "BidiGenerateContentServerMessage":
        assert "dependentSchemas" not in one, "members of a server frame are not exclusive (WIRE-10)"
        return
    groups: dict[str, list[str]] = {}
    for name, member in one.get("properties", {}).items():
        if member["x-livews"]["presence"].startswith("oneof:"):
            groups.setdefault(member["x-livews"]["presence"], []).append(name)
    wanted = {
        name: {"properties": {other: False for other in group if other != name}}
        for group in groups.values()
        if len(group) > 1
        for name in group
    }
    assert one.get("dependentSchemas", {}) == wanted


def test_evidence_words_are_all_used_and_explained() -> None:
    words = protocol.load("evidence.json")["evidence"]
    used = {word.split()[0] for one in SCHEMAS.values() for _, x in walk(one) for word in _evidence(x)}
    used |= {word.split()[0] for row in protocol.rules().values() for word in row["evidence"]}
    used |= {word.split()[0] for row in protocol.models()["profiles"] for word in row["evidence"]}
    assert used == set(words)


def _evidence(value: dict[str, Any]) -> list[str]:
    given = value.get("evidence")
    return given if isinstance(given, list) else []


def test_clients_are_closed_and_servers_open_at_every_type() -> None:
    """One unknown member in each message type that can be reached: an error from one side, nothing from the other."""
    for sender, envelope in schema.ENVELOPE.items():
        types = list(_one_of_each(envelope))
        assert len(types) > (100 if sender == "client" else 40)
        for body, innermost, of in types:
            assert not validation.violations(sender, body), (sender, of)  # type: ignore[arg-type]
            innermost["noSuchMember"] = 1
            assert (not validation.violations(sender, body)) is (sender == "server"), (sender, of)  # type: ignore[arg-type]


def _one_of_each(envelope: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
    """For each message type under an envelope the shortest message that holds an empty one of it, and that one."""
    seen = {envelope}
    waiting: list[tuple[str, list[tuple[str, str]]]] = [(envelope, [])]
    while waiting:
        type_id, path = waiting.pop(0)
        innermost: dict[str, Any] = {}
        body = innermost
        for name, shape in reversed(path):
            body = {name: {"one": body, "list": [body], "map": {"k": body}}[shape]}
        yield body, innermost, type_id
        for member in {m.name: m for m in schema.table(type_id).members.values()}.values():
            target = member.target
            if target and target not in seen and schema.table(target).is_message:
                seen.add(target)
                waiting.append((target, [*path, (member.name, member.shape)]))


def test_a_type_that_both_senders_use_is_derived_from_the_file_of_the_server() -> None:
    client, server = ({path.name for path in SCHEMAS if path.parent.name == side} for side in ("client", "server"))
    derived = derive.derived()
    assert derived.keys() == client & server
    assert len(derived) == 33
    for name, text in derived.items():
        path = PROTOCOL / "schemas/client" / name
        assert path.read_text(encoding="utf-8") == text, f"client/{name}: run `python -m tests.protocol.derive`"


def test_a_derived_type_is_closed_and_otherwise_the_same() -> None:
    for name in derive.derived():
        client, server = (dict(SCHEMAS[PROTOCOL / "schemas" / side / name]) for side in ("client", "server"))
        assert client.pop("$comment").startswith(f"Derived from ../server/{name} ")
        if "properties" in client:
            assert client.pop("additionalProperties") is False
        else:
            assert server["anyOf"] == [*client["anyOf"], {"type": "string"}]
            del client["anyOf"], server["anyOf"]
        assert client.pop("$id") == server.pop("$id").replace("/server/", "/client/")
        assert client == server, name


# The machine


def test_the_words_of_the_machine_are_declared_and_used() -> None:
    data = protocol.machine()
    signals = {signal["name"] for signal in data["signals"]}
    effects: set[str] = set()
    for name, region in data["regions"].items():
        assert region["initial"] in region["states"]
        assert {*region.get("waiting", ())} <= region["states"].keys()
        visited = {region["initial"]}
        for row in region["rows"]:
            assert set(_list(row["from"])) <= set(region["states"]), (name, row)
            assert set(_list(row["on"])) <= signals, (name, row)
            assert row.get("to", region["initial"]) in region["states"], (name, row)
            assert row.get("effect") in {None, *data["effects"]}
            assert set(row.get("if", {})) <= set(data["traits"])
            for word in ("fault", "note"):
                assert row.get(word) in {None, *protocol.rules()}
            visited.add(row.get("to", region["initial"]))
            effects.add(row.get("effect"))
        assert visited == set(region["states"]), f"{name} has a state nobody can be in"
    assert effects - {None} == set(data["effects"])
    for signal in data["signals"]:
        assert set(signal.get("if", {})) <= set(data["traits"])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_signals_and_setup_traits_point_at_members_that_exist() -> None:
    for signal in protocol.machine()["signals"]:
        for path in _list(signal["at"]):
            assert _member(signal["from"], path), (signal["name"], path)
    for name, trait in protocol.machine()["traits"].items():
        if "setup" in trait:
            assert _member("client", f"/setup{trait['setup']}"), name
        elif "profile" in trait:
            assert trait["profile"] in models.profile("gemini-3.8-live"), name
        elif "session" in trait:
            assert trait["session"] == name in {"callsOpen", "answerOwed", "closedBy"}
        else:
            assert trait["endpoint"] in {"surface", "version"}, name


def _member(sender: Any, pointer: str) -> schema.Member | None:
    """The member at a path of names, where * stands for the items of a list."""
    of = schema.table(schema.ENVELOPE[sender])
    found = None
    for name in pointer.split("/")[1:]:
        if name == "*":
            assert found is not None
            assert found.shape == "list"
            continue
        found = of.members.get(name)
        if found is None or found.name != name:
            return None
        if found.target:
            of = schema.table(found.target)
    return found


def test_faults_come_from_clients_and_are_musts() -> None:
    senders: dict[str, set[str]] = {}
    for signal in protocol.machine()["signals"]:
        senders.setdefault(signal["name"], set()).add(signal["from"])
    for region in protocol.machine()["regions"].values():
        for row in region["rows"]:
            if "fault" in row:
                assert protocol.rules()[row["fault"]]["level"] == "must"
                assert all(senders[signal] == {"client"} for signal in _list(row["on"]))
            if "note" in row:
                is_fault_elsewhere = any(one.get("fault") == row["note"] for one in region["rows"])
                assert protocol.rules()[row["note"]]["level"] in {"should", "server"} or is_fault_elsewhere


# Rules


def test_rules_have_one_title_each() -> None:
    rows = protocol.load("rules.json")["rules"]
    assert len({row["id"] for row in rows}) == len({row["title"] for row in rows}) == len(rows)


@cache
def _proofs() -> set[str]:
    found = set()
    for folder, pattern in (("messages", "messages/*.json"), ("frames", "frames/*.json"), ("audio", "audio/*.json")):
        for path in (PROTOCOL / "vectors").glob(pattern):
            found |= {
                f"vector:{folder}/{test['id']}" for group in protocol.load(rel(path)) for test in group["tests"]
            }
    found |= {f"vector:closes/{t['id']}" for group in protocol.load("vectors/closes.json") for t in group["tests"]}
    found |= {f"scenario:{path.stem}" for path in (PROTOCOL / "scenarios").glob("*.json")}
    for path in conversations.FOLDER.glob("*.txt"):
        found |= {f"test:{path.relative_to(ROOT).as_posix()}::{one.title}" for one in conversations.load(path)}
    for path in (ROOT / "tests").rglob("test_*.py"):
        names = [
            node.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        found |= {f"test:{path.relative_to(ROOT).as_posix()}::{name}" for name in names}
    return found


@pytest.mark.parametrize("row", protocol.load("rules.json")["rules"], ids=lambda row: row["id"])
def test_what_proves_a_rule_exists(row: dict[str, Any]) -> None:
    assert set(row.get("provedBy", ())) <= _proofs()


def test_what_a_vector_or_scenario_names_is_a_rule_and_the_rule_knows_of_scenarios() -> None:
    for path in sorted((PROTOCOL / "scenarios").glob("*.json")):
        story = protocol.load(rel(path))
        assert set(story["proves"]) <= set(protocol.rules()), story["id"]
    for row in protocol.rules().values():
        for proof in row.get("provedBy", ()):
            if proof.startswith("scenario:"):
                assert row["id"] in protocol.load(f"scenarios/{proof.removeprefix('scenario:')}.json")["proves"], (
                    proof
                )


def test_a_vector_that_proves_a_must_shows_it_broken_or_kept() -> None:
    """Each must and model rule is really told by one of the vectors or by a named test."""
    report: set[str] = set()
    for path in (PROTOCOL / "vectors").glob("messages/*.json"):
        report |= {test.get("rule", "") for group in protocol.load(rel(path)) for test in group["tests"]}
    for path in (PROTOCOL / "vectors").glob("frames/*.json"):
        for group in protocol.load(rel(path)):
            for test in group["tests"]:
                report.update(test["outcome"]["faults"] + test["outcome"]["notes"])
    for row in protocol.rules().values():
        if row["level"] in {"must", "model", "should"} and row["id"] not in report:
            named = [proof for proof in row.get("provedBy", ()) if proof.startswith(("test:", "vector:audio/"))]
            assert named, row["id"]


def test_every_rule_named_in_code_and_data_exists() -> None:
    for path in sorted((ROOT / "livews").rglob("*.py")):
        for name in re.findall(
            r"\b((?:WIRE|SETUP|MODEL|AUDIO|TURN|ACTIVITY|TOOL|RESUME|GOAWAY|CLOSE|AUTH|USAGE)-\d+)", path.read_text()
        ):
            assert name in protocol.rules(), f"{path.name} names {name}"


SOMEWHERE_ELSE = [
    ("gemini", "v1beta", {"proactivity": {"proactiveAudio": True}}, "/setup/proactivity"),
    ("gemini", "v1alpha", {"explicitVadSignal": True}, "/setup/explicitVadSignal"),
    ("gemini", "v1beta", {"sessionResumption": {"transparent": True}}, "/setup/sessionResumption/transparent"),
    ("vertex", "v1beta1", {"tools": [{"file_search": {}}]}, "/setup/tools/0/file_search"),
]


@pytest.mark.parametrize(("surface", "version", "members", "path"), SOMEWHERE_ELSE)
def test_a_member_of_another_surface_is_refused(
    surface: str, version: str, members: dict[str, Any], path: str
) -> None:
    model = {"gemini": "models/test", "vertex": "publishers/google/models/test"}[surface]
    message = {"setup": {"model": model, **members}}
    step = Conversation(surface=surface, version=version).step_message("client", message)
    first = step.faults[0]
    assert (first.rule, first.path, first.level) == ("MODEL-7", path, "refused")
    assert step.faults[0].close == close_rows.frame_for(
        "unknown-name", name=path.rsplit("/", 1)[-1], path=_snake(path)
    )
    other = Conversation().step_message("client", message)
    assert not other.faults, "without a surface nothing is elsewhere"


def _snake(pointer: str) -> str:
    """The path of the parent as the service writes it."""
    steps = re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), pointer.rsplit("/", 1)[0]).split("/")[1:]
    return re.sub(r"\.(\d+)", r"[\1]", ".".join(steps))


# Closes


def test_close_rows_have_one_id_each_and_a_reason_that_fits() -> None:
    rows = protocol.closes()
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(len(close_rows.cut(row["reason"]).encode()) <= close_rows.REASON_LIMIT for row in rows)


@pytest.mark.parametrize("row", protocol.closes(), ids=lambda row: row["id"])
def test_a_reason_finds_its_own_row(row: dict[str, Any]) -> None:
    twins = [
        other["id"] for other in protocol.closes() if other["match"] == row["match"] and other["code"] == row["code"]
    ]
    reason = f"HTTP {row['http']}" if "http" in row else row["reason"]
    found = closes.explain(row["code"], reason)
    assert found.id == twins[0]
    assert len(found.also) == len(twins) - 1


@pytest.mark.parametrize("row", [row for row in protocol.closes() if "say" in row], ids=lambda row: row["id"])
def test_what_a_row_says_is_told_apart_again(row: dict[str, Any]) -> None:
    values = {name: f"x{i}" for i, name in enumerate(re.findall(r"\{(\w+)\}", row["say"]))}
    code, reason = close_rows.frame_for(row["id"], **values)
    assert "{" not in reason
    found = closes.explain(code, reason)
    assert found.id == row["id"]
    assert found.values.items() <= values.items()


# Models


def test_models_hold_together() -> None:
    data = protocol.models()
    ids = [model_id for row in data["profiles"] for model_id in row["ids"]]
    assert len(set(ids)) == len(ids)
    gone = {model_id for row in data["profiles"] if row.get("status") == "retired" for model_id in row["ids"]}
    live = {model_id for model_id in ids if not model_id.endswith("*")} - gone
    dead = {row["id"] for row in data["retired"]}
    assert not live & dead
    assert gone <= dead
    assert data["default"] in live
    for row in data["profiles"]:
        assert row.get("replacedBy", data["default"]) in live, row["name"]
        assert row.get("like", data["default"]) in {one["name"] for one in data["profiles"]}
        allowed = set(data["defaults"]) | {"name", "ids", "like", "title", "since", "context", "notes", "evidence",
                                           "requires", "replacedBy", "thinkingLevels", "locations"}  # fmt: skip
        assert set(row) <= allowed, set(row) - allowed
        assert set(row.get("closes", {})) <= {limit.get("field") for limit in data["limits"]}
    refusals = [refusal for row in data["profiles"] for refusal in row.get("refuses", [])]
    for row in (*data["limits"], *protocol.load("rules.json")["checks"], *refusals):
        if row.get("close"):
            assert protocol.rules()[row["rule"]]["level"] == "model"
    for row in [*data["retired"], *data["announced"]]:
        assert row["replacedBy"] in live, row["id"]
    assert all(models.profile(row["id"])["retired"] for row in data["retired"])
    assert all(models.profile(row["id"])["known"] for row in data["announced"])
    assert not live & set(data["unconfirmed"])


def test_every_profile_is_found_by_its_ids_in_every_form() -> None:
    for row in protocol.models()["profiles"]:
        for model_id in row["ids"]:
            name = model_id.replace("*", "-2099")
            for prefix in (
                "",
                "models/",
                "publishers/google/models/",
                "projects/p/locations/l/publishers/google/models/",
            ):
                assert models.profile(prefix + name)["name"] == row["name"]


# AsyncAPI


def _asyncapi() -> dict[str, Any]:
    return protocol.load("asyncapi.json")  # type: ignore[no-any-return]


def test_asyncapi_has_a_message_for_every_member_of_both_envelopes() -> None:
    doc = _asyncapi()
    assert doc["asyncapi"].startswith("3.0")
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", doc["info"]["version"])
    assert doc["info"]["version"] == protocol.models()["asOf"]
    messages = doc["components"]["messages"]
    for sender, envelope in schema.ENVELOPE.items():
        for name, member in schemas()[envelope]["properties"].items():
            payload = messages[name]["payload"]["schema"]
            target = f"{sender}/{member['$ref']}".replace(f"{sender}/../", "")
            assert payload["properties"][name]["$ref"] == f"schemas/{target}"
            assert payload["required"] == [name]
    assert len({message["title"] for message in messages.values()}) == len(messages)


def test_asyncapi_refs_resolve_and_operations_say_who_says_what() -> None:
    doc = _asyncapi()
    for place, inner in walk(doc):
        ref = inner.get("$ref")
        if isinstance(ref, str) and ref.startswith("#/"):
            value = doc
            for step in ref[2:].split("/"):
                value = value[step]
        elif isinstance(ref, str):
            assert (PROTOCOL / ref).is_file(), place
    members = {s: set(schemas()[e]["properties"]) for s, e in schema.ENVELOPE.items()}
    assert {op["action"] for op in doc["operations"].values()} == {"send", "receive"}
    for operation in doc["operations"].values():
        names = {one["$ref"].rsplit("/", 1)[-1] for one in operation["messages"]}
        assert names == (members["client"] if operation["action"] == "send" else members["server"] | {"empty"})


def test_asyncapi_payloads_judge_as_the_envelopes_do() -> None:
    registry = jsonschema_rs.Registry(list(schemas().items()))
    made = {}
    for name, message in _asyncapi()["components"]["messages"].items():
        made[name] = jsonschema_rs.Draft202012Validator(message["payload"]["schema"], registry=registry)
    for path in (PROTOCOL / "vectors/messages").glob("*.json"):
        for group in protocol.load(rel(path)):
            for test in group["tests"]:
                sender = group["sender"]
                body = canonical.fold(sender, test["message"]).message
                verdict = not validation.violations(sender, body)
                for name in body.keys() & made.keys() & set(schemas()[schema.ENVELOPE[sender]]["properties"]):
                    if sender == "client":
                        assert made[name].is_valid(body) is verdict, test["id"]
                    elif verdict:
                        assert made[name].is_valid(body), test["id"]
    assert made["empty"].is_valid({})
    assert not made["empty"].is_valid({"x": 1})


# Vectors


def test_vector_ids_are_unique() -> None:
    for folder, least in (("messages", 60), ("frames", 1), ("audio", 1)):
        groups = [
            group for path in (PROTOCOL / "vectors" / folder).glob("*.json") for group in protocol.load(rel(path))
        ]
        ids = [test["id"] for group in groups for test in group["tests"]]
        assert len(ids) == len(set(ids)) >= least, folder


def test_scenario_titles_are_unique() -> None:
    titles = [protocol.load(rel(path))["title"] for path in (PROTOCOL / "scenarios").glob("*.json")]
    assert len(titles) == len(set(titles)) >= 15


# README


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_readme_are_json_and_what_they_seem() -> None:
    blocks = [json.loads(block) for block in _blocks("json")]
    assert blocks
    for block in blocks:
        if {"asSent", "canonical"} <= block.keys():
            assert canonical.fold(block["sender"], block["asSent"]).message == block["canonical"]
            assert not validation.violations(block["sender"], block["canonical"])
        elif "on" in block and "from" in block:
            assert any(block in region["rows"] for region in protocol.machine()["regions"].values())
        elif "at" in block:
            assert block in protocol.machine()["signals"]
        elif "steps" in block and "proves" in block:
            conversation = Conversation()
            for line in block["steps"]:
                conversation = Conversation() if "connect" in line else conversation
                for sender in line.keys() & {"client", "server"}:
                    assert not conversation.step(sender, codec.dump(line[sender])).faults
                if "state" in line:
                    assert line["state"].items() <= conversation.states.items()
        elif {"outcome", "valid", "closes", "steps"} & block.keys():
            assert any(block in group["tests"] for group in _groups()), block
        else:
            pytest.fail(f"an example nobody checks: {block}")


def _groups() -> list[dict[str, Any]]:
    paths = [path for path in (PROTOCOL / "vectors").rglob("*.json") if path.parent.name != "endpoints"]
    return [group for path in paths for group in protocol.load(rel(path))]


def test_the_files_of_a_minimal_port_exist() -> None:
    names = re.findall(r"`((?:\w+/)?\w+\.py)`", README)
    assert {"core/machine.py", "core/events.py"} <= set(names)
    for name in names:
        assert (ROOT / "livews" / name).is_file(), name


def test_the_picture_of_the_readme_has_the_rows_of_the_machine() -> None:
    drawn = set()
    for block in _blocks("mermaid"):
        for start, end, label in re.findall(r"^\s*(\w+) --> (\w+): (.+)$", block, re.MULTILINE):
            drawn |= {(start, end, signal.strip()) for signal in label.split(",")}
    rows = set()
    for row in protocol.machine()["regions"]["turn"]["rows"]:
        for state in _list(row["from"]):
            if row.get("to", state) != state:
                rows |= {(state, row["to"], signal) for signal in _list(row["on"])}
    assert drawn == rows


def test_the_readme_names_every_state_trait_level_and_region() -> None:
    data = protocol.machine()
    for name in [
        *data["traits"],
        *data["regions"],
        *data["regions"]["turn"]["states"],
        *data["regions"]["session"]["states"],
        *data["regions"]["answer"]["states"],
        *LEVELS,
    ]:
        assert f"`{name}`" in README, name
    assert machine.machine().regions == ("session", "activity", "turn", "answer")
