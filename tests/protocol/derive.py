"""Derive the closed types of `schemas/client/` from the open ones of `schemas/server/`: `python -m tests.protocol.derive`.

- A type that both senders use is written once, in `server/`. The file of that name in `client/` is derived from it.
- Derived are the types of `server/` that a type of `client/` refers to, directly or through others.
- Closing changes three things: `$id`; unknown members are refused; an enum takes no name that it does not list.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).resolve().parents[2] / "protocol" / "schemas"
COMMENT = "Derived from ../server/{name} by `python -m tests.protocol.derive`: change that file, then run the script."


def close(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The client's form of the server's type in file `name`, its members in the same order."""
    closed: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "x-livews" and "properties" in schema:
            closed["additionalProperties"] = False
        closed[key] = value
        if key == "$id":
            closed[key] = value.replace("/schemas/server/", "/schemas/client/")
            closed["$comment"] = COMMENT.format(name=name)
    if "properties" not in schema:
        closed["anyOf"] = [choice for choice in schema["anyOf"] if choice != {"type": "string"}]
    return closed


def derived() -> dict[str, str]:
    """The derived files of `client/`: name to the text the file should have."""
    texts: dict[str, str] = {}
    waiting = [
        path.read_text(encoding="utf-8")
        for path in sorted((SCHEMAS / "client").glob("*.json"))
        if not (SCHEMAS / "server" / path.name).exists()
    ]
    while waiting:
        for name in re.findall(r'"\$ref": "(\w+\.json)"', waiting.pop()):
            source = SCHEMAS / "server" / name
            if source.exists() and name not in texts:
                text = source.read_text(encoding="utf-8")
                texts[name] = json.dumps(close(name, json.loads(text)), indent=2, ensure_ascii=False) + "\n"
                waiting.append(text)
    return texts


def main() -> None:
    for name, text in derived().items():
        path = SCHEMAS / "client" / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote client/{name}")


if __name__ == "__main__":
    main()
