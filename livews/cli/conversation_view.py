"""The live view as an output of a conversation.

- If stdout is not a terminal, the reply still goes there, a line at a time.
- Whatever else is written while the view is up appears above it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator

from livews.cli.console import Console
from livews.cli.environment import Environment
from livews.cli.live_view import LiveView, ViewController
from livews.cli.output import Output
from livews.cli.view_state import ViewState


class ConversationView(Output):
    """`talks`: a key begins and ends a turn; `mutes`: there is a microphone."""

    def __init__(self, console: Console, controller: ViewController, *, talks: bool, mutes: bool) -> None:
        super().__init__(console)
        self._controller = controller
        self._talks, self._mutes = talks, mutes
        self._state = ViewState()
        self._view: LiveView | None = None
        self._user = ""
        self.activity = ("", "")
        """What goes on, as `status` has it."""
        self._hint_timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Show the view until the user leaves."""
        console = self._console
        with _stderr_for_the_view(console.environment) as terminal:
            view = LiveView(
                self._state, self._controller, terminal, color=console.colored, talks=self._talks, mutes=self._mutes
            )
            async with view:
                self._view = view
                console.above = lambda text, style: self._print(text, style, "")
                try:
                    await view.wait_closed()
                finally:
                    self.model_done()
                    console.above = None
                    self._view = None

    def hint(self, text: str, seconds: float = 5.0) -> None:
        """Show what the next key would do, for a while."""
        self._state.hint = text
        if self._hint_timer is not None:
            self._hint_timer.cancel()
        self._hint_timer = asyncio.get_running_loop().call_later(seconds, self._remove_hint)
        self._refresh()

    def _remove_hint(self) -> None:
        self._state.hint = ""
        self._refresh()

    def end_talk(self) -> None:
        """Push-to-talk has ended without a key."""
        if self._view is not None:
            self._view.talking = False
            self._refresh()

    def typed(self, text: str) -> None:
        """A line was typed and is sent now."""
        self._print(text, "you", "you")

    # Output

    def model(self, text: str) -> None:
        self.user_done()
        self._state.model += text
        self._refresh()

    def model_done(self, note: str = "") -> None:
        words, self._state.model = self._state.model.strip(), ""
        if words:
            self._print(words, "", "model")
            if not self._console.environment.stdout_is_terminal:
                self._console.say(words)
        if note:
            self._print(note, "dim", "")

    def user(self, text: str, *, interim: bool) -> None:
        self._state.you = self._user + text
        if not interim:
            self._user = self._state.you
        self._refresh()

    def user_done(self) -> None:
        words, self._user, self._state.you = self._user.strip(), "", ""
        if words:
            self._print(words, "you", "you")

    def status(self, state: str, detail: str = "") -> None:
        self.activity = (state, detail)
        self._refresh()

    def _print(self, text: str, style: str, label: str) -> None:
        if self._view is not None:
            self._view.print(text, style, label)
        else:
            self._console.line(f"{label:<7}{text}" if label else text)

    def _refresh(self) -> None:
        if self._view is not None:
            self._view.refresh()


@contextlib.contextmanager
def _stderr_for_the_view(environment: Environment) -> Iterator[Environment]:
    """Keep what C libraries write to stderr, as PortAudio does when a device goes away, out of the view."""
    before, copy, null = environment.stderr, os.dup(2), os.open(os.devnull, os.O_WRONLY)
    stream = open(copy, "w", encoding=before.encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.dup2(null, 2)
    os.close(null)
    environment.stderr = sys.stderr = stream
    try:
        yield environment
    finally:
        stream.flush()
        os.dup2(copy, 2)
        os.close(copy)
        environment.stderr = sys.stderr = before
