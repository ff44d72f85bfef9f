"""The completion table of the composer: the schemas of both senders as one compact JSON value.

- All words are those of the schemas, all values those of the protocol folder.
- It has no file names and no addresses: it is part of a page.
- It has every member of every type that a sender may write; what is dead or only accepted elsewhere is marked.
"""

from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

from livews import setup_message, walk
from livews.advice import model_advice
from livews.core import codec, models, protocol, schema
from livews.report.message_excerpt import short_type

_SILENCE_MS = 100


@cache
def table() -> dict[str, Any]:
    """The table, about 155 kB of JSON, 36 kB compressed.

    `envelope`: sender to the type of its messages. `types`, by name such as `client/Content`: `is` (title), `doc`, and
    one of: `members` (name to member), `values` (name of an enum to its words), `open` (an object with any keys), `any`
    (any JSON), `plain` (of a scalar: "string", "number" or "integer"). A member: `doc`, `type` (absent for a plain
    string or bool), `plain` ("string" or "boolean"), `shape` (absent for one; "list" or "map"), `required`, `old`
    (deprecated), `not` (surfaces that do not accept it: v1alpha, v1beta, vertex), `takenBy` and `refusedBy` (models),
    `without` (members that exclude it), `from` (its evidence), `values` (names known for a plain string; others may be
    valid). Each `doc` is an index into `words`, each `from` one into `evidence`. `templates`, by sender: `name`,
    `message` and `at`, the pointer to what one changes.
    """
    words, evidence = _Pool(), _Pool()
    templates = codec.parse(Path(__file__).with_name("templates.json").read_bytes())
    words.number("")
    types = {short_type(schema_id): _type(schema_id, words, evidence) for schema_id in sorted(walk.schemas())}
    for type_name, member, values in _known_values():
        types[type_name]["members"][member]["values"] = values
    return {
        "envelope": {sender: short_type(schema_id) for sender, schema_id in schema.ENVELOPE.items()},
        "types": types,
        "words": list(words),
        "evidence": [list(names) for names in evidence],
        "templates": {sender: _templates(sender, rows) for sender, rows in templates.items()},
    }


class _Pool(dict[Any, int]):
    """Values that occur often, each with its number: both folders have the types that both senders use."""

    def number(self, value: Any) -> int:
        return self.setdefault(value, len(self))


def _type(schema_id: str, words: _Pool, evidence: _Pool) -> dict[str, Any]:
    about, table = walk.schemas()[schema_id], schema.table(schema_id)
    out: dict[str, Any] = {"is": table.name, "doc": words.number(about.get("description", ""))}
    if table.values is not None:
        notes = about["x-livews"]["values"]
        out["values"] = {name: words.number(notes[name].get("description", "")) for name in table.values}
    elif table.name in schema.STRUCTS:
        out["open" if about.get("type") == "object" else "any"] = True
    elif not table.is_message:
        out["plain"] = about.get("type") or about["anyOf"][0]["type"]
    else:
        excluded = about.get("dependentSchemas", {})
        out["members"] = {
            name: _member(table.members[name], prop, words, evidence)
            | ({"without": sorted(excluded[name].get("properties", ()))} if name in excluded else {})
            for name, prop in about.get("properties", {}).items()
        }
    return out


def _member(member: schema.Member, prop: dict[str, Any], words: _Pool, evidence: _Pool) -> dict[str, Any]:
    note, description = prop["x-livews"], prop.get("description", "")
    limits = note.get("models", {})
    row: dict[str, Any] = {
        "type": short_type(member.target) if member.target else "",
        "plain": "" if member.target else member.plain,
        "shape": member.shape if member.shape != "one" else "",
        "required": note["presence"] == "required",
        "old": "deprecated" in description.lower(),
        "not": [surface for surface, is_taken in note["on"].items() if is_taken is False],
        "takenBy": limits.get("takenBy", []),
        "refusedBy": limits.get("refusedBy", []),
    }
    always = {"doc": words.number(description), "from": evidence.number(tuple(note["evidence"]))}
    return always | {name: value for name, value in row.items() if value}


def _known_values() -> list[tuple[str, str, list[str]]]:
    """Plain strings with known values: (type, member, values)."""
    names = dict.fromkeys(
        f"models/{name}" for surface in ("gemini", "vertex") for name in model_advice.live_ids(surface)
    )
    return [
        ("client/BidiGenerateContentSetup", "model", list(names)),
        ("client/PrebuiltVoiceConfig", "voiceName", models.voices()),
        ("client/Content", "role", ["user", "model"]),
        ("server/Content", "role", ["user", "model"]),
    ]


def _templates(sender: str, rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Rows of templates.json (the id of a test vector, the name of the template, and what a person changes first) with
    their messages, and those that are made here."""
    groups = protocol.load(f"vectors/messages/{sender}.json")
    vectors = {test["id"]: test["message"] for group in groups for test in group["tests"]}
    templates = [{"name": row["name"], "message": vectors[row["vector"]], "at": row["at"]} for row in rows]
    if sender == "client":
        name = f"{_SILENCE_MS} ms of silence"
        message: dict[str, Any] = {"realtimeInput": {"audio": _silence(codec.INPUT_RATE)}}
        setup = setup_message.compose(f"models/{models.default_model()}")
        templates.insert(0, {"name": "setup, the default model", "message": setup, "at": "/setup/model"})
    else:
        name = f"{_SILENCE_MS} ms of silence as the model's voice"
        message = {"serverContent": {"modelTurn": {"parts": [{"inlineData": _silence(codec.OUTPUT_RATE)}]}}}
    return [*templates, {"name": name, "message": message, "at": ""}]


def _silence(rate: int) -> dict[str, str]:
    """A Blob of silence at `rate` Hz, 16 bits a sample."""
    data = b64encode(bytes(2 * rate * _SILENCE_MS // 1000)).decode()
    return {"mimeType": f"audio/pcm;rate={rate}", "data": data}
