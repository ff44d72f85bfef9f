"""Faults that the stand-in injects on request.

- A fault is written `NAME[=VALUE][@N]`: @N means before, or instead of, the N-th message of the server (setupComplete
  is the first). Without @N a fault that happens once happens where `KINDS` says; a lasting one lasts all session, and
  one of `every` N-th turn counts turns with @N.
- Every fault was seen on the real service, on a proxy or in a mock of it; a client should survive it.
- Pure: parsing, and the shaping of one frame. `server_session` sends, drops and closes.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livews.core import close_rows, protocol, schema
from livews.server import service_format

BIG = 2 * 1024 * 1024
"""Bytes of the big message: twice the default limit of Python's websockets (WIRE-13)."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault."""

    help: str
    value: str = ""
    """Placeholder of its value in help texts, "" when it takes none."""
    once: bool = False
    """It happens at one message; otherwise it lasts all session."""
    default: str = ""
    """Value when none is written."""
    every: bool = False
    """It happens in every N-th turn."""
    at: int = 2
    """Number of the message it happens at, when none is written."""

    @property
    def usage(self) -> str:
        """How it is written after its name."""
        return (f"={self.value}" if self.value else "") + ("[@N]" if self.once or self.every else "")


_NEW_MEMBER = {"somethingNew": {"since": "tomorrow"}}
INSERTED: dict[str, dict[str, Any]] = {
    "big-message": {"serverContent": {"modelTurn": {"parts": [{"text": "." * BIG}]}}},
    "unknown-message": _NEW_MEMBER,
}
"""The messages that faults insert."""
_FILE = Path(__file__).with_name("faults.json")
KINDS = {name: FaultKind(**row) for name, row in json.loads(_FILE.read_bytes()).items()}
"""Every kind by its name: the rows of faults.json."""

_FORM = re.compile(r"([a-z0-9-]+)(?:=([^@]*))?(?:@([0-9]+))?")
_NUMBERS = ("SECONDS", "FACTOR", "BYTES")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to inject."""

    name: str
    value: str = ""
    at: int = 0
    """Number of the message it happens at, from 1; 0: it lasts all session."""
    every: int = 0
    """It happens in every so many turns; 0: it does not count turns."""

    @property
    def number(self) -> float:
        return float(self.value)


def parse(text: str, *, here: int = 0) -> Fault:
    """A fault from its written form.

    `here` is the number of the next message: a fault that happens once, and is written without @N, happens there.
    ValueError says what is wrong, and what is allowed.
    """
    name = re.split("[=@]", text, maxsplit=1)[0]
    kind, match = KINDS.get(name), _FORM.fullmatch(text)
    if kind is None:
        raise ValueError(f'unknown fault "{text}": expected one of {", ".join(KINDS)}')
    if match is None:
        n = ", N a number from 1" if kind.once or kind.every else ""
        raise ValueError(f"invalid fault {text}: expected {name}{kind.usage}{n}")
    value, at = match[2], match[3]
    if value is not None and not kind.value:
        raise ValueError(f"{name} takes no value")
    value = value or kind.default
    if kind.value and not value:
        raise ValueError(f"{name} needs a value: {name}={kind.value}")
    if kind.value in _NUMBERS and not _is_number(value):
        raise ValueError(f"invalid value {value} of {name}: expected a number above 0 ({kind.value.lower()})")
    ids = [row["id"] for row in protocol.closes()]
    if kind.value == "ID" and value not in ids:
        raise ValueError(f"{value} is not in protocol/closes.json: expected one of {', '.join(ids)}")
    if at is not None and (not (kind.once or kind.every) or int(at) < 1):
        counts = "messages" if kind.once else "turns" if kind.every else ""
        raise ValueError(f"{name} {f'counts {counts} from 1' if counts else 'lasts all session and takes no @N'}")
    if kind.every:
        return Fault(name, value, every=int(at or 1))
    return Fault(name, value, int(at) if at else (here or kind.at) if kind.once else 0)


def _is_number(text: str) -> bool:
    try:
        return 0 < float(text) <= 1e6
    except ValueError:
        return False


def close_of(close_id: str, **values: str) -> tuple[int, str]:
    """Code and reason of a row of protocol/closes.json, for the fault `close`.

    Placeholders of the reason are filled with `values` if all are known, else the reason is the recorded one, or has
    the names of the placeholders where none was recorded.
    """
    row = protocol.close_row(close_id)
    placeholders = re.findall(r"\{(\w+)\}", row.get("say", ""))
    if all(values.get(name) for name in placeholders):
        return close_rows.frame_for(close_id, **values)
    return row["code"], close_rows.cut(re.sub(r"\{(\w+)\}", r"\1", row["reason"]))


CONTENT = {"no-setup-complete", "no-handles", "no-generation-complete", "no-turn-complete", "usage-apart", "bundled"}
"""Names of the lasting faults that change which messages are sent."""
RESHAPING = {"unknown-field", "snake", "compact", "utf8"}
"""Names of the lasting faults that change the JSON of a message."""


class FrameBundle:
    """Collects the messages of a turn into one message."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}

    def add(self, message: dict[str, Any], ends_at: str) -> dict[str, Any]:
        """Collect a message; the bundle if it ends the turn (with the member `ends_at`), {} if more is to come.

        A message that belongs to no turn is returned as it is; an empty one is dropped.
        """
        content = message.get("serverContent")
        if not isinstance(content, dict) or not ({"serverContent", "usageMetadata"} >= set(message)):
            return message
        bundle = self._message.setdefault("serverContent", {})
        for name, value in content.items():
            if name == "modelTurn":
                turn = bundle.setdefault("modelTurn", {**value, "parts": []})
                turn["parts"] += value.get("parts", [])
            elif name in ("outputTranscription", "inputTranscription"):
                before = bundle.get(name, {}).get("text", "")
                bundle[name] = {**value, "text": before + value.get("text", "")}
            else:
                bundle[name] = value
        if "usageMetadata" in message:
            self._message["usageMetadata"] = message["usageMetadata"]
        if not content.keys() & {ends_at, "interrupted", "interactionStatus"}:
            return {}
        whole, self._message = self._message, {}
        return whole


def altered(
    message: dict[str, Any], names: Collection[str], bundle: FrameBundle, ends_at: str
) -> list[dict[str, Any] | bytes]:
    """The messages to send instead of one, after the lasting faults in `names` that change whole messages.

    `bundle` collects the messages of the turn, which ends with the member `ends_at`.
    """
    for fault, member in (("no-setup-complete", "setupComplete"), ("no-handles", "sessionResumptionUpdate")):
        if fault in names and member in message:
            return []
    if "bundled" in names and not (message := bundle.add(message, ends_at)):
        return []
    content = message.get("serverContent")
    for fault, member in (("no-generation-complete", "generationComplete"), ("no-turn-complete", "turnComplete")):
        if fault in names and isinstance(content, dict) and member in content:
            content = {name: value for name, value in content.items() if name != member}
            message = {**message, "serverContent": content}
            if not content and "usageMetadata" not in message:
                return []
    if "usage-apart" in names and "usageMetadata" in message and len(message) > 1:
        rest = {name: value for name, value in message.items() if name != "usageMetadata"}
        return [rest, {"usageMetadata": message["usageMetadata"]}]
    return [message]


def serialised(message: dict[str, Any], names: Collection[str]) -> bytes:
    """A message as bytes, in the form that the lasting faults in `names` ask for, or in the service's."""
    if "unknown-field" in names:
        message = {**message, **_NEW_MEMBER}
    if "snake" in names:
        message = _snaked(message)
    if "compact" in names:
        return json.dumps(message, separators=(",", ":"), ensure_ascii="utf8" not in names).encode()
    if "utf8" in names:
        return json.dumps(message, indent=2, ensure_ascii=False).encode(errors="replace") + b"\n"
    return service_format.dump_as_service(message)


def _snaked(value: Any) -> Any:
    if isinstance(value, list):
        return [_snaked(item) for item in value]
    if isinstance(value, dict):
        # members of arguments and results belong to the application
        return {
            schema.snake(name): child if name in ("args", "response") else _snaked(child)
            for name, child in value.items()
        }
    return value
