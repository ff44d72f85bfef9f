"""The live view of a conversation: what is being said, who speaks, levels, and a line to type on.

- Import this module only when the view is used (`Environment.can_draw`): it imports prompt_toolkit.
- It draws on stderr only; finished text goes above it, into the terminal's own scrollback. If stdout is not a terminal,
  the reply still goes there, a line at a time.
- However `run` ends, the view is erased and the terminal is restored.
- Ctrl-C raises nothing: it calls `on_interrupt`. A terminal that has gone away is not an error: it ends the view.
- All methods must run on the event loop.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TextIO

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import BufferControl, FormattedTextControl, HSplit, Layout, Window
from prompt_toolkit.layout.processors import AfterInput, BeforeInput, Processor, Transformation, TransformationInput
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style

from livews.cli.console import Console, Environment
from livews.cli.output import PROMPT, Output
from livews.cli.view_rows import ViewRows, ViewState, formatted, labelled

DRAWINGS = 15  # per second at most, for what was not typed
TICK = 0.5  # seconds between drawings when nothing else changes, for the clock
HINT_SECONDS = 5.0
MAX_PRINTED = 65536  # characters of one finished text

# The terminal's own sixteen colours, so that a theme holds. `dim` and not bright black, which some themes hide.
STYLE = {
    "you": "ansicyan", "interim": "ansicyan dim", "you.label": "ansicyan bold", "model": "", "model.label": "ansigreen bold",
    "dim": "dim", "warn": "ansiyellow", "error": "ansired bold", "tool": "ansimagenta",
    "who.you": "ansicyan bold", "who.model": "ansigreen bold", "who.thinking": "ansiyellow", "who.tool": "ansimagenta",
    "who.talking": "ansired bold", "who.muted": "ansiyellow", "who.listening": "ansicyan", "who.ready": "dim",
    "level": "ansigreen", "loud": "ansiyellow", "clipped": "ansired", "dark": "dim", "name": "dim", "value": "",
    "hint": "ansiyellow bold", "urgent": "ansiyellow bold", "prompt": "bold",
}  # fmt: skip


class ViewController(Protocol):
    """What the view calls."""

    def on_line(self, line: str) -> None:
        """A line was typed."""

    def on_interrupt(self) -> None:
        """Ctrl-C was pressed."""

    def on_talk(self) -> None:
        """Push-to-talk begins or ends."""

    def on_mute(self) -> None:
        """The microphone is to be muted or unmuted."""

    def fill(self, state: ViewState) -> None:
        """Update who speaks, levels and times."""


class LiveView(Output):
    """The view, shown while `run` runs; before and after that its texts are plain lines.

    options: of `livews talk`; with --push-to-talk and --mic there are keys for them.
    controller: gets what is typed, and fills the state before each drawing (2 to 15 a second).
    """

    def __init__(self, options: argparse.Namespace, console: Console, controller: ViewController) -> None:
        super().__init__(options, console)
        self._activity = ("", "")
        """What goes on, as `status` has it."""
        self._controller = controller
        self._talks, self._mutes = options.push_to_talk, options.mic_open
        self._state = ViewState()
        self._hint_ends = 0.0
        self._rows = ViewRows(console.environment.stderr.encoding or "ascii")
        self._depth = ColorDepth.DEPTH_4_BIT if console.colored else ColorDepth.DEPTH_1_BIT
        self._style = Style(list(STYLE.items()) if console.colored else [])
        self._above: StyleAndTextTuples = []
        """What is drawn above the line that is typed."""
        self._placeholder = ""
        self._buffer = Buffer()
        self._app: Application[None] | None = None
        self._drawing: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Show the view until the user leaves or the terminal is gone; raises what a callback raised."""
        with (
            _stderr_for_the_view(self._console.environment) as stderr,
            contextlib.suppress(EOFError, OSError),
        ):
            self._app = self._application(stderr)
            self._console.above = self._print
            try:
                await self._app.run_async(set_exception_handler=False)
            finally:
                self._app = self._console.above = None
                self.model_done()

    # Output

    def hint(self, text: str) -> None:
        self._state.hint, self._hint_ends = text, time.monotonic() + HINT_SECONDS
        self._refresh()

    def typed(self, text: str) -> None:
        self._print(text, "you", "you")

    def model(self, text: str) -> None:
        self.user_done()
        self._state.model += text
        self._refresh()

    def model_done(self, note: str = "") -> None:
        words, self._state.model = self._state.model.strip(), ""
        if words:
            self._print(words, label="model")
            if not self._console.environment.stdout_is_terminal:
                self._console.say(words)
        if note:
            self._print(note, "dim")

    def user(self, text: str, *, interim: bool) -> None:
        super().user(text, interim=interim)
        self._state.you = self._user + text * interim
        self._refresh()

    def user_done(self) -> None:
        words, self._user, self._state.you = self._user.strip(), "", ""
        if words:
            self._print(words, "you", "you")

    def status(self, state: str, detail: str = "") -> None:
        self._activity = (state, detail)
        self._refresh()

    # Drawing

    def _refresh(self) -> None:
        """Draw soon. Cheap."""
        if self._app is not None and self._drawing is None:
            self._drawing = asyncio.get_running_loop().call_later(1 / DRAWINGS, self._draw)

    def _draw(self) -> None:
        self._drawing = None
        if self._app is not None:
            self._app.invalidate()

    def _print(self, text: str, style: str = "", label: str = "") -> None:
        """Print a finished text above the view, wrapped and indented after its label."""
        if self._app is None:
            self._console.line(self._rows.text(f"{label:<7}{text}" if label else text, lines=True))
            return
        if len(text) > MAX_PRINTED:
            text = f"{text[:MAX_PRINTED]}… ({len(text):,} characters)"
        output = self._app.output
        columns = output.get_size().columns - 1
        rows = labelled(self._rows.text(label), self._rows.text(text, lines=True), columns, style or label)
        self._app.renderer.erase()
        print_formatted_text(output, formatted([*rows, []]), self._style, color_depth=self._depth)
        self._app.invalidate()

    def _lay_out(self, app: Application[None]) -> None:
        """Bring what is drawn next up to date."""
        try:
            if time.monotonic() > self._hint_ends:
                self._state.hint = ""
            self._state.who, self._state.detail = self._activity
            self._controller.fill(self._state)
            size = app.output.get_size()
            lines, columns = size.rows - self._buffer.document.line_count + 1, size.columns - 1
            rows = [*self._rows.running(self._state, columns, lines), *[[]] * (lines > 7)]
            self._above = formatted([*rows, self._rows.status(self._state, columns)])
            keys = self._rows.keys(self._state, columns - len(PROMPT), talks=self._talks, mutes=self._mutes)
            self._placeholder = "" if self._buffer.text else keys
        except Exception as problem:
            self._end(problem)

    def _application(self, stderr: TextIO) -> Application[None]:
        output = create_output(stdout=stderr)
        # Without an answer to "where is the cursor" the view takes the lines it needs and no more, and no answer
        # that comes late is taken for typed text.
        if hasattr(output, "enable_cpr"):
            output.enable_cpr = False
        processors = [
            _Shielded(self._rows.text),
            BeforeInput(PROMPT, "class:prompt"),
            AfterInput(lambda: self._placeholder, "class:dim"),
        ]
        above = Window(FormattedTextControl(lambda: self._above), dont_extend_height=True)
        line = Window(BufferControl(self._buffer, processors), wrap_lines=True)
        app = Application[None](
            layout=Layout(HSplit([above, line]), line),
            key_bindings=self._keys(),
            style=self._style,
            include_default_pygments_style=False,
            color_depth=self._depth,
            refresh_interval=TICK,
            erase_when_done=True,
            input=create_input(self._console.environment.stdin),
            output=output,
        )
        app.before_render += self._lay_out
        return app

    # Keys

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        def bind(key: str, callback: Callable[[], None], condition: Callable[[], bool] = lambda: True) -> None:
            keys.add(key, filter=Condition(condition))(lambda event: self._call(callback))

        bind("c-c", self._controller.on_interrupt)
        bind("<sigint>", self._controller.on_interrupt)
        bind("c-d", self._end, lambda: not self._buffer.text)
        bind("enter", self._entered)
        bind("c-j", self._entered)  # what a program that types sends
        bind(" ", self._controller.on_talk, lambda: self._talks and not self._buffer.text)
        bind("c-t", self._controller.on_mute, lambda: self._mutes)
        bind("f2", self._controller.on_mute, lambda: self._mutes)
        bind("c-z", lambda: None)  # not a character of a message; and a stopped process would lose the conversation

        @keys.add("escape", "enter")
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.newline(copy_margin=False)

        return keys

    def _entered(self) -> None:
        # What is no UTF-8 comes in as lone surrogates, which no message can carry.
        text = self._buffer.text.encode(errors="surrogateescape").decode(errors="replace")
        self._buffer.reset(append_to_history=bool(text.strip()))
        if text.strip() == "q":
            self._end()
        elif text.strip():
            self._controller.on_line(text)
        elif not text and self._talks:
            self._controller.on_talk()

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as problem:
            self._end(problem)
        self._refresh()

    def _end(self, problem: BaseException | None = None) -> None:
        """End `run`, as Ctrl-D does, or with what went wrong."""
        if self._app is not None and not self._app.is_done:
            self._app.exit(exception=problem or EOFError())


class _Shielded(Processor):
    """Shows what is typed or pasted; a character that would turn text around or hide is a `?` of the same place.

    Only its look changes: the message goes out as it was typed.
    """

    def __init__(self, safe: Callable[[str], str]) -> None:
        self._safe = safe

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments: StyleAndTextTuples = [
            (style, "".join(c if c < " " or self._safe(c) == c else "?" for c in text))
            for style, text, *_ in transformation_input.fragments
        ]
        return Transformation(fragments)


@contextlib.contextmanager
def _stderr_for_the_view(environment: Environment) -> Iterator[TextIO]:
    """Keep what C libraries write to stderr, as PortAudio does when a device goes away, out of the view."""
    before, copy, null = environment.stderr, os.dup(2), os.open(os.devnull, os.O_WRONLY)
    stream = open(copy, "w", encoding=before.encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.dup2(null, 2)
    os.close(null)
    environment.stderr = sys.stderr = stream
    try:
        yield stream
    finally:
        stream.flush()
        os.dup2(copy, 2)
        os.close(copy)
        environment.stderr = sys.stderr = before
