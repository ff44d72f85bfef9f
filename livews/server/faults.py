"""What the stand-in can do wrong on purpose.

- A fault is written `NAME[=VALUE][@N]`: @N means ahead of, or instead of, the N-th message of the server (setupComplete
  is the first); without it a fault that happens once happens where its row says, one that lasts holds all session long.
- Every fault here was met on the real service, in front of it, or in somebody's mock of it; a client should survive it.
- Pure: parsing and the shaping of one frame. Who sends, drops and closes is `line`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from livews.core import closes, protocol
from livews.server import service_format

BIG = 2 * 1024 * 1024
"""Bytes of the big message: twice what Python's websockets takes by default (WIRE-13)."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    help: str
    value: str = ""
    """What the value is, "" for none; an example in brackets is the default."""
    once: bool = False
    """Happens at one message, not all session long."""
    default: str = ""
    at: int = 2


KINDS: dict[str, FaultKind] = {
    "drop": FaultKind("the TCP connection is cut, without a close frame", once=True),
    "close": FaultKind("close as this row of protocol/closes.json", value="ID", once=True, at=1),
    "no-setup-complete": FaultKind("setup is never answered"),
    "go-away": FaultKind(
        "goAway with this many seconds left, then the close", value="SECONDS", once=True, default="5"
    ),
    "silent-after-goaway": FaultKind("nothing is sent between goAway and the close"),
    "stall": FaultKind("nothing more is sent, and nothing closed", once=True),
    "late-pong": FaultKind("pings are answered this many seconds late", value="SECONDS", default="10"),
    "slow-audio": FaultKind("sound comes at this fraction of the speed it plays at", value="FACTOR", default="0.5"),
    "burst-audio": FaultKind("a whole reply comes at once"),
    "text-frames": FaultKind("TEXT frames instead of BINARY ones"),
    "fragments": FaultKind("every message in fragments of this many bytes", value="BYTES", default="1000"),
    "compact": FaultKind("JSON without white space"),
    "utf8": FaultKind("raw UTF-8 instead of \\u escapes"),
    "snake": FaultKind("member names in snake_case"),
    "big-message": FaultKind("one message of 2 MiB comes before", once=True),
    "unknown-message": FaultKind("a message with unknown members alone comes before", once=True),
    "unknown-field": FaultKind("an unknown member in every message"),
    "empty-message": FaultKind("{} comes before every message"),
    "truncated": FaultKind("the JSON breaks off in the middle", once=True),
    "bundled": FaultKind("a whole turn in one message"),
    "usage-apart": FaultKind("usageMetadata in a message of its own"),
    "no-generation-complete": FaultKind("generationComplete is left out"),
    "no-turn-complete": FaultKind("turnComplete never comes"),
}

_FORM = re.compile(r"([a-z0-9-]+)(?:=([^@]*))?(?:@([0-9]+))?")
_NUMBERS = ("SECONDS", "FACTOR", "BYTES")


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    value: str = ""
    at: int = 0
    """The message it happens at, counted from 1; 0: all session long."""

    @property
    def number(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        return self.name + (f"={self.value}" if self.value else "") + (f"@{self.at}" if self.at else "")


def parse(text: str, *, here: int = 0) -> Fault:
    """A fault from its written form. ValueError says what is wrong with it and what there is.

    `here` is the number of the next message: where a fault that happens once and names no place happens.
    """
    name = re.split("[=@]", text, maxsplit=1)[0]
    kind, found = KINDS.get(name), _FORM.fullmatch(text)
    if kind is None:
        raise ValueError(f'"{text}" is no fault; there are {", ".join(KINDS)}')
    if found is None:
        form = name + (f"={kind.value}" if kind.value else "") + ("@N" if kind.once else "")
        raise ValueError(f"{text} is written {form}" + (", N a number from 1" if kind.once else ""))
    value, at = found[2], found[3]
    if value is not None and not kind.value:
        raise ValueError(f"{name} takes no value")
    value = value or kind.default
    if kind.value and not value:
        raise ValueError(f"{name} wants a value: {name}={kind.value}")
    if kind.value in _NUMBERS and not _is_number(value):
        raise ValueError(f"{name} wants a number above 0 ({kind.value.lower()}), not {value}")
    if kind.value == "ID" and value not in {row["id"] for row in protocol.closes()}:
        raise ValueError(f"{value} is no row of protocol/closes.json; there are {', '.join(_ids())}")
    if at is not None and (not kind.once or int(at) < 1):
        raise ValueError(f"{name} {'counts messages from 1' if kind.once else 'lasts all session: it takes no @'}")
    return Fault(name, value, int(at) if at else (here or kind.at) if kind.once else 0)


def _is_number(text: str) -> bool:
    try:
        return 0 < float(text) <= 1e6
    except ValueError:
        return False


def _ids() -> list[str]:
    return [row["id"] for row in protocol.closes()]


def close_of(close_id: str, **values: str) -> tuple[int, str]:
    """Code and reason of a row, its blanks filled: by `values` where all are known, else as it was seen.

    A row that was never seen says the names of its blanks.
    """
    row = protocol.close_row(close_id)
    blanks = re.findall(r"\{(\w+)\}", row.get("say", ""))
    if all(values.get(name) for name in blanks):
        return closes.frame_for(close_id, **values)
    return row["code"], closes.cut(re.sub(r"\{(\w+)\}", r"\1", row["reason"]))


def http_status(fault: Fault) -> int:
    """The HTTP status a close of code 0 stands for, or 0."""
    return int(protocol.close_row(fault.value).get("http", 0)) if fault.name == "close" else 0


def extra(fault: Fault) -> dict[str, Any] | None:
    """The message that comes ahead of another for this fault, or None."""
    if fault.name == "big-message":
        return {"serverContent": {"modelTurn": {"parts": [{"text": "." * BIG}]}}}
    if fault.name == "unknown-message":
        return {"somethingNew": {"since": "tomorrow"}}
    return None


def serialised(message: dict[str, Any], names: set[str]) -> bytes:
    """A message as bytes, in the form the faults in `names` ask for; the service's own without any."""
    if "unknown-field" in names:
        message = {**message, "somethingNew": {"since": "tomorrow"}}
    if "snake" in names:
        message = _snaked(message)
    if "compact" in names:
        return json.dumps(message, separators=(",", ":"), ensure_ascii="utf8" not in names).encode()
    if "utf8" in names:
        return json.dumps(message, indent=2, ensure_ascii=False).encode(errors="replace") + b"\n"
    return service_format.dump_as_service(message)


RESHAPING = {"unknown-field", "snake", "compact", "utf8"}
"""Faults for which a ready frame has to be taken apart again."""


def _snaked(value: Any) -> Any:
    if isinstance(value, list):
        return [_snaked(item) for item in value]
    if isinstance(value, dict):
        # arguments and answers of functions are the application's own names
        return {_snake(key): child if key in ("args", "response") else _snaked(child) for key, child in value.items()}
    return value


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), name)


class FrameBundle:
    """Collects the messages of a turn into one."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}

    def add(self, message: dict[str, Any], ends_at: str = "turnComplete") -> dict[str, Any] | None:
        """The one message, when this one ends the turn; None while it is collected; another's own is given back."""
        content = message.get("serverContent")
        if not isinstance(content, dict) or not ({"serverContent", "usageMetadata"} >= set(message)):
            return message
        whole = self._message.setdefault("serverContent", {})
        for name, value in content.items():
            if name == "modelTurn":
                turn = whole.setdefault("modelTurn", {**value, "parts": []})
                turn["parts"] += value.get("parts", [])
            elif name in ("outputTranscription", "inputTranscription"):
                before = whole.get(name, {}).get("text", "")
                whole[name] = {**value, "text": before + value.get("text", "")}
            else:
                whole[name] = value
        if "usageMetadata" in message:
            self._message["usageMetadata"] = message["usageMetadata"]
        if not content.keys() & {ends_at, "interrupted", "interactionStatus"}:
            return None
        done, self._message = self._message, {}
        return done
