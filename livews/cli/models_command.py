"""`livews models`: list the models of protocol/models.json.

- One id a line on stdout, the default model first, retired ids last.
- What is shown is what rules and stand-in read; the date is --as-of, and never the clock.
"""

import argparse
from collections.abc import Iterator
from typing import Any

from livews.advice import model_advice
from livews.cli.console import Console
from livews.core import models, protocol
from livews.exit_codes import Exit

_SHOWN = ("id", "surface", "status", "shutdown", "input", "output", "text", "thinking", "tools")


def run(options: argparse.Namespace, console: Console) -> int:
    as_of = options.as_of or protocol.models()["asOf"]
    rows = sorted(_rows(options.surface, as_of), key=lambda row: (not row["default"], row["status"] == "retired"))
    cells = [[_cell(row[name]) for name in _SHOWN] for row in rows]
    widths = [max(map(len, column)) for column in zip(_SHOWN, *cells, strict=True)]
    if not options.json:
        console.write(_line(_SHOWN, widths))
    for row, line in zip(rows, cells, strict=True):
        console.row(row, _line(line, widths).rstrip("\n"))
    if not options.json:
        console.note(
            f"livews: as of {as_of}; `livews explain ID` says more; a model that is not listed can be used too"
        )
    return Exit.OK


def _rows(surface: str | None, as_of: str) -> Iterator[dict[str, Any]]:
    """The known ids that are served on a surface, or on any."""
    ids = dict.fromkeys(one for row in protocol.models()["profiles"] for one in row["ids"] if not one.endswith("*"))
    for model in (*ids, *(row["id"] for row in protocol.models()["retired"] if row["id"] not in ids)):
        profile = models.profile(model, surface or "")
        if surface and surface not in profile["surfaces"]:
            continue
        gone, leaving = models.retired(model) or {}, models.announced(model) or {}
        tools = profile["tools"]
        yield {
            "id": model,
            "default": model == models.default_model(),
            "surface": profile["surfaces"],
            "status": model_advice.status(model, as_of),
            "shutdown": gone.get("by") or leaving.get("on"),
            "successor": gone.get("replacedBy") or leaving.get("replacedBy") or profile.get("replacedBy"),
            "input": profile["input"],
            "output": profile["output"],
            "text": profile["textInput"] if "text" in profile["input"] else None,
            "thinking": profile.get("thinkingLevels") or profile["thinking"],
            "tools": [
                *tools["behavior"],
                *(name for name, on in tools.items() if on is True),
            ],
        }


def _cell(value: Any) -> str:
    return (",".join(value) if isinstance(value, list) else str(value or "")) or "-"


def _line(cells: Any, widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() + "\n"
