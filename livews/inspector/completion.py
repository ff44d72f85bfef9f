"""What may be written where, for an editor of messages: the schemas of both senders as one compact JSON value.

- The words are those of the schemas, the values those of the protocol folder; none are made up here.
- Nothing in it names a file or an address: it stands in a page.
- Every member of every type a sender may write is in it; what is dead or taken elsewhere is marked, not left out.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from typing import Any

from livews.core import codec, models, protocol, schema

_SILENCE_MS = 100
_TEMPLATES: dict[schema.Sender, tuple[tuple[str, str, str], ...]] = {
    "client": (
        ("content-turn", "a turn of text", "/clientContent/turns/0/parts/0/text"),
        ("realtime-text", "text, as it is typed", "/realtimeInput/text"),
        ("realtime-marks", "the user begins to speak: activityStart", ""),
        ("realtime-end", "the user is done: activityEnd", ""),
        ("realtime-stream-end", "the microphone is off: audioStreamEnd", ""),
        ("answer", "the answer to a tool call", "/toolResponse/functionResponses/0/id"),
        (
            "context-instruction",
            "another instruction: contextUpdate",
            "/contextUpdate/systemInstruction/parts/0/text",
        ),
    ),
    "server": (
        ("ready", "setupComplete", ""),
        ("transcripts", "both transcripts", "/serverContent/inputTranscription/text"),
        ("cut", "interrupted", ""),
        ("end", "the end of a turn with its tokens", ""),
        ("call", "a tool call", "/toolCall/functionCalls/0/name"),
        ("uncall", "a tool call withdrawn", "/toolCallCancellation/ids/0"),
        ("leave", "goAway", "/goAway/timeLeft"),
        ("handle", "a handle to resume by", "/sessionResumptionUpdate/newHandle"),
        ("voice", "voiceActivity", ""),
        ("empty-content", "an empty serverContent", ""),
    ),
}
"""Id among the vectors, what the template is called, and the value a person changes first."""


@cache
def table() -> dict[str, Any]:
    """The table an editor of messages works from, about 155 kB of JSON, 36 kB compressed.

    `envelope`: sender to the type of its messages. `types`, by name such as `client/Content`: `is` (title), `doc`, and
    one of: `members` (name to member), `values` (name of an enum to its words), `open` (an object of any keys), `any`
    (any JSON at all), `plain` (of a scalar: "string", "number" or "integer"). A member:
    `doc`, `type` (absent for a plain string or bool), `plain` ("string" or "boolean"),
    `shape` (absent for one; "list" or "map"), `required`, `old` (deprecated), `not` (surfaces that do not take it:
    v1alpha, v1beta, vertex), `takenBy` and `refusedBy` (models), `without` (members that exclude it), `from` (what it
    is known from), `values` (names known for a plain string; others may do). Each `doc` is an index into `words`,
    `from` one into `evidence`. `templates`, by sender: `name`, `message` and `at`, the pointer to what one changes.
    """
    pool = _Pool()
    types: dict[str, Any] = {}
    for schema_id, said in sorted(protocol.schemas().items()):
        types[_short(schema_id)] = _type(schema_id, said, pool)
    for of, member, names in _known():
        types[of]["members"][member]["values"] = names
    return {
        "envelope": {sender: _short(schema_id) for sender, schema_id in schema.ENVELOPE.items()},
        "types": types,
        "words": list(pool.words),
        "evidence": [list(one) for one in pool.evidence],
        "templates": {sender: _templates(sender) for sender in _TEMPLATES},
    }


class _Pool:
    """Texts that occur often, each once: both folders hold the types that both senders use."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {"": 0}
        self.evidence: dict[tuple[str, ...], int] = {}

    def text(self, text: str) -> int:
        return self.words.setdefault(text, len(self.words))

    def source(self, names: list[str]) -> int:
        return self.evidence.setdefault(tuple(names), len(self.evidence))


def _type(schema_id: str, said: dict[str, Any], pool: _Pool) -> dict[str, Any]:
    of = schema.table(schema_id)
    out: dict[str, Any] = {"is": of.name, "doc": pool.text(said.get("description", ""))}
    if of.values is not None:
        notes = said["x-livews"]["values"]
        out["values"] = {name: pool.text(notes[name].get("description", "")) for name in of.values}
    elif of.is_struct:
        out["open" if said.get("type") == "object" else "any"] = True
    elif not of.is_message:
        out["plain"] = said.get("type") or said["anyOf"][0]["type"]
    else:
        excluded = said.get("dependentSchemas", {})
        out["members"] = {
            name: _member(of.members[name], prop, sorted(excluded.get(name, {}).get("properties", ())), pool)
            for name, prop in said.get("properties", {}).items()
        }
    return out


def _member(member: schema.Member, prop: dict[str, Any], without: list[str], pool: _Pool) -> dict[str, Any]:
    note, words = prop["x-livews"], prop.get("description", "")
    limits = note.get("models", {})
    told: dict[str, Any] = {
        "doc": pool.text(words),
        "type": _short(member.target) if member.target else "",
        "plain": "" if member.target else member.plain,
        "shape": member.shape if member.shape != "one" else "",
        "required": note["presence"] == "required",
        "old": "deprecated" in words.lower(),
        "not": [place for place, taken in note["on"].items() if taken is False],
        "takenBy": limits.get("takenBy", []),
        "refusedBy": limits.get("refusedBy", []),
        "without": without,
    }
    return {name: value for name, value in told.items() if value or name == "doc"} | {
        "from": pool.source(note["evidence"])
    }


def _known() -> list[tuple[str, str, list[str]]]:
    """Plain strings whose good values are known: (type, member, values)."""
    ids = dict.fromkeys(f"models/{one}" for surface in ("gemini", "vertex") for one in models.live_ids(surface))
    return [
        ("client/BidiGenerateContentSetup", "model", list(ids)),
        ("client/PrebuiltVoiceConfig", "voiceName", models.voices()),
        ("client/Content", "role", ["user", "model"]),
        ("server/Content", "role", ["user", "model"]),
    ]


def _templates(sender: schema.Sender) -> list[dict[str, Any]]:
    vectors = {
        test["id"]: test for group in protocol.load(f"vectors/messages/{sender}.json") for test in group["tests"]
    }
    taken = [
        {"name": name, "message": vectors[vector]["message"], "at": at} for vector, name, at in _TEMPLATES[sender]
    ]
    if sender == "client":
        return [{"name": "setup, the default model", "message": _setup(), "at": "/setup/model"}, *taken, _silence()]
    sound = {"inlineData": {"mimeType": f"audio/pcm;rate={codec.OUTPUT_RATE}", "data": _zeros(codec.OUTPUT_RATE)}}
    said = {"serverContent": {"modelTurn": {"parts": [sound]}}}
    return [*taken, {"name": f"{_SILENCE_MS} ms of silence as the model's voice", "message": said, "at": ""}]


def _setup() -> dict[str, Any]:
    model = models.default_model()
    modality = models.profile(model)["output"][0]
    setup: dict[str, Any] = {"model": f"models/{model}", "generationConfig": {"responseModalities": [modality]}}
    if modality == "AUDIO":
        setup |= {"inputAudioTranscription": {}, "outputAudioTranscription": {}}
    return {"setup": setup}


def _silence() -> dict[str, Any]:
    audio = {"mimeType": f"audio/pcm;rate={codec.INPUT_RATE}", "data": _zeros(codec.INPUT_RATE)}
    return {"name": f"{_SILENCE_MS} ms of silence", "message": {"realtimeInput": {"audio": audio}}, "at": ""}


def _zeros(rate: int) -> str:
    """Base64 of silence at `rate`: 16 bits a sample."""
    return b64encode(bytes(2 * rate * _SILENCE_MS // 1000)).decode()


def _short(schema_id: str) -> str:
    return schema_id.removeprefix(protocol.SCHEMAS).removesuffix(".json")
