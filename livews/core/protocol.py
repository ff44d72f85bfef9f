"""Find and load the data of protocol/.

- The only module that knows where the data is: in the wheel, or beside the package in a checkout.
- A file is loaded on first use, so that `--help` and a plain session read only what they need.
- Nothing here interprets the data. A missing or damaged file is reported as a broken installation.
"""

from functools import cache
from pathlib import Path
from typing import Any

import orjson

SCHEMAS = "https://livews.invalid/schemas/"
"""The start of every $id: a name and not an address, nothing is fetched."""
_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def root() -> Path:
    """The folder that holds machine.json; `_protocol` in a wheel, `protocol` beside the package in a checkout."""
    for folder in (_PACKAGE / "_protocol", _PACKAGE.parent / "protocol"):
        if (folder / "machine.json").is_file():
            return folder
    raise RuntimeError(
        f"livews is not completely installed: no protocol folder in {_PACKAGE} or beside it; reinstall it"
    )


@cache
def load(name: str) -> Any:
    """A JSON file of protocol/ by its relative name, as in `load("machine.json")`."""
    try:
        return orjson.loads((root() / name).read_bytes())
    except (OSError, orjson.JSONDecodeError) as problem:
        raise RuntimeError(
            f"livews is not completely installed: protocol/{name}: {problem}; reinstall it"
        ) from problem


def machine() -> dict[str, Any]:
    return load("machine.json")  # type: ignore[no-any-return]


@cache
def rules() -> dict[str, dict[str, Any]]:
    """Rule id to its row: title, level, says, do, close, evidence, provedBy."""
    return {row["id"]: row for row in load("rules.json")["rules"]}


def closes() -> list[dict[str, Any]]:
    return load("closes.json")["closes"]  # type: ignore[no-any-return]


@cache
def close_row(close_id: str) -> dict[str, Any]:
    return next(row for row in closes() if row["id"] == close_id)


def models() -> dict[str, Any]:
    return load("models.json")  # type: ignore[no-any-return]


def prices() -> dict[str, Any]:
    """What tokens and searches cost, with the day and the source of it."""
    return load("prices.json")  # type: ignore[no-any-return]


def schema(schema_id: str) -> dict[str, Any]:
    """One schema by its $id."""
    return load(f"schemas/{schema_id.removeprefix(SCHEMAS)}")  # type: ignore[no-any-return]
