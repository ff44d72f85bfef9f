"""The live view, fed from a conversation: what `Plain` prints as lines is drawn while one may type.

- The reply still goes to stdout, a line at a time, when stdout is no terminal.
- Whatever else is told while the view is up is printed above it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Protocol

from livews.cli.console import Console
from livews.cli.live_view import LiveView
from livews.cli.view_state import ViewState


class ViewController(Protocol):
    """What the view asks and tells."""

    def typed(self, line: str) -> None: ...

    def on_interrupt(self) -> None: ...

    def leave(self) -> None: ...

    def talked(self, on: bool) -> None: ...

    def muted(self, on: bool) -> None: ...

    def fill(self, shown: ViewState) -> None: ...


class ConversationView:
    """A `Display` on the terminal. `talks` says that a key begins and ends a turn, `mutes` that there is a microphone."""

    def __init__(self, console: Console, conversation: ViewController, *, talks: bool, mutes: bool) -> None:
        self._console = console
        self._conversation = conversation
        self._talks, self._mutes = talks, mutes
        self._shown = ViewState()
        self._live: LiveView | None = None
        self._you = ""
        self._who, self._detail = "", ""
        self._hint_gone: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Until the user leaves."""
        talk = self._conversation
        left = asyncio.Event()

        def end() -> None:
            left.set()
            talk.leave()

        with _libraries_silent():
            await self._run(talk, end, left)

    async def _run(self, talk: ViewController, end: Callable[[], None], left: asyncio.Event) -> None:
        async with LiveView(
            self._shown,
            color=self._console.colored,
            on_line=talk.typed,
            on_interrupt=talk.on_interrupt,
            on_end=end,
            on_talk=talk.talked if self._talks else None,
            on_mute=talk.muted if self._mutes else None,
            on_terminate=end,
            update=self._fill,
        ) as live:
            self._live = live
            self._console.above = self._above
            try:
                gone = asyncio.create_task(live.wait_closed())
                leaving = asyncio.create_task(left.wait())
                await asyncio.wait({gone, leaving}, return_when=asyncio.FIRST_COMPLETED)
                gone.cancel()
                leaving.cancel()
            finally:
                self.model_done()
                self._console.above = None
                self._live = None

    def hint(self, text: str, seconds: float = 5.0) -> None:
        """What the next key would do, for a while."""
        self._shown.hint = text
        if self._hint_gone is not None:
            self._hint_gone.cancel()
        self._hint_gone = asyncio.get_running_loop().call_later(seconds, self._no_hint)
        self._refresh()

    def _no_hint(self) -> None:
        self._shown.hint = ""
        self._refresh()

    def talk_ended(self) -> None:
        """Push-to-talk is over, and no key ended it."""
        if self._live is not None:
            self._live.talking = False
            self._refresh()

    # What is said

    def model(self, text: str) -> None:
        self.user_done()
        self._shown.model += text
        self._refresh()

    def model_done(self, note: str = "") -> None:
        said, self._shown.model = self._shown.model.strip(), ""
        if said:
            self._print(said, "", "model")
            if not sys.stdout.isatty():
                self._console.say(said)
        if note:
            self._print(note, "dim", "")

    def user(self, text: str, *, interim: bool) -> None:
        if interim:
            self._shown.you = self._you + text
        else:
            self._you += text
            self._shown.you = self._you
        self._refresh()

    def user_done(self) -> None:
        said, self._you, self._shown.you = self._you.strip(), "", ""
        if said:
            self._print(said, "you", "you")

    def typed(self, text: str) -> None:
        """What was typed and is sent now."""
        self._print(text, "you", "you")

    def status(self, who: str, detail: str = "") -> None:
        self._who, self._detail = who, detail
        self._refresh()

    def dots(self, text: str) -> None:
        """The view shows the sound itself."""

    def _above(self, text: str, style: str) -> None:
        self._print(text, style, "")

    def _print(self, text: str, style: str, label: str) -> None:
        if self._live is not None:
            self._live.print(text, style, label)
        else:
            self._console.line(f"{label:<7}{text}" if label else text)

    def _fill(self, shown: ViewState) -> None:
        self._conversation.fill(shown)
        if self._who:
            shown.who, shown.detail = self._who, self._detail

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.refresh()


@contextlib.contextmanager
def _libraries_silent() -> Iterator[None]:
    """What C libraries write to stderr when they like, as PortAudio does when a device goes, would land in the view."""
    old, shown, nothing = sys.stderr, os.dup(2), os.open(os.devnull, os.O_WRONLY)
    view = open(shown, "w", encoding=old.encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.dup2(nothing, 2)
    os.close(nothing)
    sys.stderr = view
    try:
        yield
    finally:
        view.flush()
        os.dup2(shown, 2)
        os.close(shown)
        sys.stderr = old
