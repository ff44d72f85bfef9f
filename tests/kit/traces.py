"""Traces made by hand, row by row; times in seconds."""

import json
from pathlib import Path
from typing import Any

from livews.core import codec

Row = dict[str, Any]


def sent(t: float, message: Row, **more: Any) -> Row:
    return {"t": t, "dir": "send", "opcode": "text", "size": len(codec.dump(message)), "message": message, **more}


def got(t: float, message: Row) -> Row:
    return {**sent(t, message), "dir": "recv", "opcode": "binary"}


def asked(t: float, text: str) -> Row:
    """A turn of the user's."""
    return sent(t, {"clientContent": {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": True}})


def transcript(t: float, text: str) -> Row:
    """A piece of what the model says."""
    return got(t, {"serverContent": {"outputTranscription": {"text": text}}})


def control(t: float, side: str, kind: str, **about: Any) -> Row:
    return {"t": t, "dir": side, kind: about}


def write(path: Path, head: Row, *rows: Row) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in (head, *rows)))
    return path


def load(path: Path) -> list[Row]:
    """The lines of a trace."""
    return [json.loads(line) for line in path.read_text().splitlines()]
