"""Where --resume keeps a conversation between two runs: the handle of its session, in a file of its owner.

- The handle opens the conversation to anyone who has it: the file is created with mode 0600, and the handle is not shown.
- A handle belongs to a model and a host (RESUME-3); a file about another is an error, not a session that fails.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from livews.endpoint import Endpoint
from livews.errors import BadRequest
from livews.trace.atomic_output import atomic_output
from livews.whole_file import read_whole


class KeptSession:
    """The file of --resume.

    Args:
        name: its path; "" for session.json in the state folder of livews.
        env: the environment; XDG_STATE_HOME moves the state folder.

    Raises:
        BadRequest: the file cannot be read, or is another's.
    """

    def __init__(self, name: str, env: Mapping[str, str]) -> None:
        base = env.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        self.path = Path(name) if name else Path(base) / "livews" / "session.json"
        self._kept: dict[str, Any] = {}
        if self.path.exists():
            fix = "name another file after --resume=, or remove this one"
            try:
                kept = orjson.loads(read_whole(str(self.path), "the kept session", fix=fix))
            except orjson.JSONDecodeError:
                kept = None
            if not isinstance(kept, dict) or not all(isinstance(kept.get(key), str) for key in ("handle", "model")):
                why = "it is not a file that --resume wrote"
                raise BadRequest("cannot read the kept session", where=str(self.path), why=why, fix=fix)
            self._kept = kept

    @property
    def model(self) -> str:
        """The model of the conversation, "" if none is kept."""
        return str(self._kept.get("model", ""))

    def handle(self, where: Endpoint) -> str:
        """The handle to resume with, "" if no conversation is kept.

        Raises:
            BadRequest: it is of another model or another server.
        """
        for what, mine in (("model", where.model), ("server", _server(where))):
            kept = str(self._kept.get(what, mine))
            if self._kept and kept != mine:
                raise BadRequest(
                    f"the kept conversation is with another {what}",
                    where=str(self.path),
                    why=f"it is with {kept}, and this run is with {mine}; a handle is good for its own only (RESUME-3)",
                    fix=f"use that {what}, or name another file after --resume=",
                )
        return str(self._kept.get("handle", ""))

    def save(self, handle: str, where: Endpoint) -> None:
        """Keep the newest handle. Raises BadRequest if the file cannot be written."""
        kept = {"model": where.model, "server": _server(where), "handle": handle}
        self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
        with atomic_output(str(self.path)) as file:
            file.write(orjson.dumps(kept, option=orjson.OPT_INDENT_2) + b"\n")


def _server(where: Endpoint) -> str:
    return where.shown.split("?")[0]
