"""Words of a conversation, for people: whose they are and where they go.

- The model's words go to stdout as they come; all else is for stderr.
- Two ways to show them, one interface: `Plain` writes lines, `cli/live.py` draws while one may type.
- A line that has begun is ended before anything else is said.
"""

from __future__ import annotations

import argparse
from typing import Protocol

from livews.cli.console import Console


class Output(Protocol):
    def model(self, text: str) -> None:
        """A piece of what the model says."""

    def user(self, text: str, *, interim: bool) -> None:
        """A piece of what the user said aloud; an interim one stands for the whole so far, and will be replaced."""

    def user_done(self) -> None:
        """No more of the user's words will come for this turn."""

    def model_done(self, note: str = "") -> None:
        """The model's line is over; `note` tells what is special about it."""

    def status(self, who: str, detail: str = "") -> None:
        """What goes on: listening, you, thinking, tool, model, or "" for nothing."""

    def dots(self, text: str) -> None:
        """Progress of sound that is being written to a file."""


class PlainOutput:
    """Lines: the model's words on stdout as they come, the user's on stderr when they are whole."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._console = console
        self._silent = options.json
        # Trace lines or dots are being drawn: the words follow in one piece.
        self._hold = options.trace_view or (bool(options.wav) and console.live)
        self._drawn = bool(options.wav) and not options.json
        self._held: list[str] = []
        self._user: list[str] = []

    def model(self, text: str) -> None:
        self.user_done()
        if self._silent:
            return
        if self._hold:
            self._held.append(text)
            return
        if not self._console.mid_line:
            text = text.lstrip()
        if text:
            self._console.say(text, end="")

    def user(self, text: str, *, interim: bool) -> None:
        if not interim and not self._silent:
            self._user.append(text)

    def user_done(self) -> None:
        said, self._user = "".join(self._user).strip(), []
        if said:
            self._console.note(f"you: {said}")

    def model_done(self, note: str = "") -> None:
        if self._held:
            if self._drawn:
                self._console.progress("\n")
            self._console.say("".join(self._held).strip())
            self._held = []
        self._console.end_line()
        if note:
            self._console.note(note)

    def status(self, who: str, detail: str = "") -> None:
        if not who:
            self._console.clear()
        elif not self._console.mid_line:
            self._console.status({"thinking": "…", "model": "playing …"}.get(who, f"{who} {detail}".strip()))

    def dots(self, text: str) -> None:
        if self._drawn:
            self._console.progress(text)
