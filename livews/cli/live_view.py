"""The live view of a conversation: what is being said, who speaks, levels, and a line to type on.

- Import this module only when the view is used (`Environment.can_draw`): it imports prompt_toolkit.
- It writes to stderr only; finished text goes above it, into the terminal's own scrollback.
- However the `async with` block ends, and also at SIGTERM, the view is erased and the terminal is restored.
- Ctrl-C raises nothing: it calls `on_interrupt`.
- A terminal that has gone away is not an error: it ends the view by `on_leave`.
- All methods must run on the event loop. A callback that raises cancels the block, which then raises it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self

from prompt_toolkit.application import Application
from prompt_toolkit.application.current import set_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import BufferControl, Dimension, FormattedTextControl, HSplit, Layout, Window
from prompt_toolkit.layout.processors import AfterInput, BeforeInput, Processor, Transformation, TransformationInput
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from livews.cli.environment import Environment
from livews.cli.view_rows import Row, ViewRows, formatted, labelled
from livews.cli.view_state import PROMPT, ViewState

DRAWINGS = 15  # per second at most, for what was not typed
TICK = 0.5  # seconds between drawings when nothing else changes, for the clock
MAX_PRINTED = 65536  # characters of one finished text

# The terminal's own sixteen colours, so that a theme holds. `dim` and not bright black, which some themes hide.
STYLE = {
    "you": "ansicyan", "interim": "ansicyan dim", "you.label": "ansicyan bold", "model": "", "model.label": "ansigreen bold",
    "dim": "dim", "note": "dim", "warn": "ansiyellow", "error": "ansired bold", "bold": "bold", "tool": "ansimagenta",
    "who.you": "ansicyan bold", "who.model": "ansigreen bold", "who.thinking": "ansiyellow", "who.tool": "ansimagenta",
    "who.talking": "ansired bold", "who.muted": "ansiyellow", "who.listening": "ansicyan", "who.ready": "dim",
    "level": "ansigreen", "loud": "ansiyellow", "clipped": "ansired", "dark": "dim", "name": "dim", "value": "",
    "hint": "ansiyellow bold", "urgent": "ansiyellow bold", "prompt": "bold", "placeholder": "dim",
}  # fmt: skip


class ViewController(Protocol):
    """What the view calls."""

    def on_line(self, line: str) -> None:
        """A line was typed."""

    def on_interrupt(self) -> None:
        """Ctrl-C was pressed."""

    def on_leave(self) -> None:
        """The user leaves, SIGTERM came, or the terminal is gone; the view closes."""

    def on_talk(self, on: bool) -> None:
        """Push-to-talk begins or ends."""

    def on_mute(self, on: bool) -> None:
        """The microphone was muted or unmuted."""

    def fill(self, state: ViewState) -> None:
        """Update levels and times."""


class LiveView:
    """The view, shown while the `async with` block runs.

    shown: what is drawn; only `muted` is changed here.
    controller: gets what is typed, and fills `shown` before each drawing (2 to 15 a second).
    talks, mutes: there are keys for push-to-talk and for the microphone.
    """

    def __init__(
        self,
        shown: ViewState,
        controller: ViewController,
        environment: Environment,
        *,
        color: bool = True,
        talks: bool = False,
        mutes: bool = False,
    ) -> None:
        self.shown = shown
        self._controller, self._environment = controller, environment
        self._talks, self._mutes = talks, mutes
        self._rows = ViewRows(environment.stderr.encoding or "ascii")
        self._depth = ColorDepth.DEPTH_4_BIT if color else ColorDepth.DEPTH_1_BIT
        self._style = Style(list(STYLE.items()) if color else [])
        self._held = False
        self._inside = False
        self._up = False
        self._closing = False
        self._drawing: asyncio.TimerHandle | None = None
        self._drawn_at = 0.0
        self._failure: BaseException | None = None
        self._cancelled = False
        self._old_handler: Any = None
        self._task: asyncio.Task[None] | None = None
        self._buffer = Buffer(history=InMemoryHistory(), multiline=True)
        self._app = self._application()

    @property
    def talking(self) -> bool:
        """Push-to-talk is on; the caller may end it by setting this, which calls nothing."""
        return self._rows.talking

    @talking.setter
    def talking(self, on: bool) -> None:
        self._rows.talking = on

    # Life cycle

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._owner = asyncio.current_task()
        drawn = asyncio.Event()
        self._app.after_render += lambda _: drawn.set()
        self._task = asyncio.create_task(self._run())
        first = asyncio.create_task(drawn.wait())
        try:
            await asyncio.wait({self._task, first}, return_when=asyncio.FIRST_COMPLETED)
            self._up = not self._task.done()
            if self._failure is not None:
                raise self._failure
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        finally:
            first.cancel()
        self._watch_sigterm()
        self._inside = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        try:
            if self._task is not None:
                await asyncio.wait({self._task})
        finally:
            if self._drawing is not None:
                self._drawing.cancel()
            self._leave_sigterm()
            self._inside = False
        if self._failure is not None and (error is None or self._cancelled):
            if self._cancelled and self._owner is not None:
                self._owner.uncancel()
            raise self._failure from None

    def close(self) -> None:
        """Erase the view; `print` writes plain lines from now on. May be called again."""
        self._closing = True
        if self._up:
            self._up = False
            if self._app.is_running:
                self._app.renderer.erase()  # now, so that nothing of it stays above what is written next
            if self._app.future is not None and not self._app.future.done():
                self._app.exit()

    async def wait_closed(self) -> None:
        """Until the view has ended by `close` or a failure."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def refresh(self) -> None:
        """Draw the state soon. Cheap."""
        if self._up and self._drawing is None:
            wait = max(0.0, self._drawn_at + 1 / DRAWINGS - time.monotonic())
            self._drawing = self._loop.call_later(wait, self._draw_requested)

    def print(self, text: str, style: str = "", label: str = "") -> None:
        """Print a finished text above the view, wrapped and indented after its label (`you`, `model`).

        Styles: you, model, tool, dim, note, warn, error, bold; an unknown one is plain.
        """
        if len(text) > MAX_PRINTED:
            text = f"{text[:MAX_PRINTED]}… ({len(text):,} characters)"
        columns = self._app.output.get_size().columns - 1
        name = style or label
        safe = self._rows.text(text, lines=True)
        rows = labelled(self._rows.text(label), safe, columns, name if name in STYLE else "")
        pieces = formatted([*rows, []])
        with self._one_write():
            if self._up:
                self._app.renderer.erase()
            print_formatted_text(self._app.output, pieces, self._style, color_depth=self._depth)
            if self._up:
                self._draw()

    async def _run(self) -> None:
        ticking = asyncio.create_task(self._tick())
        try:
            await self._app.run_async(set_exception_handler=False)
        except EOFError:
            self._end()
        except Exception as problem:
            self._fail(problem)
        finally:
            self._up = False
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.refresh()  # which is also how a window that was closed is noticed

    def _end(self) -> None:
        self._call(self._leave)

    def _leave(self) -> None:
        self._controller.on_leave()
        self.close()

    def _call(self, what: Callable[..., None], *args: Any) -> None:
        if not self._inside:  # a key came before the block began: callbacks may count on what `as` names
            if not self._closing:
                self._loop.call_soon(self._call, what, *args)
            return
        try:
            what(*args)
        except Exception as problem:
            self._fail(problem)
        self.refresh()

    def _fail(self, problem: BaseException) -> None:
        """Close, and end the block as a task group would: cancelled, and then raised at its end."""
        if self._failure is None:
            self._failure = problem
            self._cancelled = self._inside and self._owner is not None and self._owner.cancel()
        self.close()

    # Signals

    def _watch_sigterm(self) -> None:
        old = signal.getsignal(signal.SIGTERM)
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            self._loop.add_signal_handler(signal.SIGTERM, self._end)
            self._old_handler = old

    def _leave_sigterm(self) -> None:
        if self._old_handler is not None:
            self._loop.remove_signal_handler(signal.SIGTERM)
            signal.signal(signal.SIGTERM, self._old_handler)
            self._old_handler = None

    # Drawing

    def _draw_requested(self) -> None:
        self._drawing = None
        if self._up:
            try:
                self._draw()
            except Exception as problem:
                self._fail(problem)

    def _draw(self) -> None:
        """Draw now."""
        self._drawn_at = time.monotonic()
        self._controller.fill(self.shown)
        app = self._app
        with self._one_write(), set_app(app):
            app.render_counter += 1  # what a control made is kept for one drawing
            app.renderer.render(app, app.layout)

    @contextlib.contextmanager
    def _one_write(self) -> Iterator[None]:
        """What is wiped, printed and drawn again leaves in one piece: no flicker."""
        if self._held:
            yield
            return
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._app.output.flush()

    def _application(self) -> Application[None]:
        prompt = self._rows.text(PROMPT)
        output = create_output(stdout=self._environment.stderr)
        # Without an answer to "where is the cursor" the view takes the lines it needs and no more, and no answer
        # that comes late is taken for typed text.
        if hasattr(output, "enable_cpr"):
            output.enable_cpr = False
        flush = output.flush

        def guarded() -> None:
            if self._held:
                return
            try:
                flush()
            except OSError:  # the terminal is gone
                output.flush = lambda: None  # type: ignore[method-assign]
                with contextlib.suppress(RuntimeError):
                    asyncio.get_running_loop().call_soon(self._end)

        output.flush = guarded  # type: ignore[method-assign]
        running = FormattedTextControl(lambda: formatted(self._guarded(self._running)), focusable=False)
        status = FormattedTextControl(lambda: formatted(self._guarded(self._status)), focusable=False)
        empty = Condition(lambda: not self._buffer.text)
        typed = BufferControl(
            self._buffer,
            input_processors=[
                _Shielded(self._rows.text),
                BeforeInput(prompt, style="class:prompt"),
                AfterInput(lambda: self._placeholder(len(prompt)) if empty() else "", style="class:placeholder"),
            ],
        )
        line = Window(typed, height=lambda: self._input_height(prompt), wrap_lines=True)
        body = HSplit(
            [
                Window(running, height=self._running_height, dont_extend_height=True),
                Window(height=lambda: Dimension.exact(1 if output.get_size().rows > 7 else 0)),
                Window(status, height=Dimension.exact(1)),
                line,
            ]
        )
        return Application(
            layout=Layout(body, focused_element=line),
            key_bindings=self._keys(empty),
            style=self._style,
            include_default_pygments_style=False,
            color_depth=self._depth,
            input=create_input(self._environment.stdin),
            output=output,
            erase_when_done=True,
            mouse_support=False,
        )

    def _guarded(self, rows: Callable[[], list[Row]]) -> list[Row]:
        try:
            return rows()
        except Exception as problem:
            self._loop.call_soon(self._fail, problem)
            return []

    # The parts of the view

    def _running(self) -> list[Row]:
        size = self._app.output.get_size()
        return self._rows.running(self.shown, size.columns - 1, size.rows)

    def _status(self) -> list[Row]:
        return [self._rows.status(self.shown, self._app.output.get_size().columns - 1)]

    def _placeholder(self, prompt: int) -> str:
        columns = self._app.output.get_size().columns - 1 - prompt
        return self._rows.placeholder(self.shown, columns, talks=self._talks, mutes=self._mutes)

    def _running_height(self) -> Dimension:
        lines = len(self._guarded(self._running))
        return Dimension(min=0, max=lines, preferred=lines)

    def _input_height(self, prompt: str) -> Dimension:
        size = self._app.output.get_size()
        width = max(size.columns, 1)
        lines = self._buffer.text.split("\n")
        needed = sum(
            1 + (get_cwidth(line[: 5 * width]) + (0 if n else len(prompt))) // width
            for n, line in enumerate(lines[:5])
        )
        return Dimension(min=1, max=max(1, min(needed, 4)), preferred=max(1, min(needed, 4)))

    def _keys(self, empty: Condition) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c")
        @keys.add(Keys.SIGINT)
        def _(event: KeyPressEvent) -> None:
            self._call(self._controller.on_interrupt)

        @keys.add("c-d", filter=empty)
        def _(event: KeyPressEvent) -> None:
            self._end()

        @keys.add("enter")
        @keys.add("c-j")  # what a program that types sends
        def _(event: KeyPressEvent) -> None:
            self._entered()

        @keys.add(" ", filter=empty & Condition(lambda: self._talks))
        def _(event: KeyPressEvent) -> None:
            self._toggle_talk()

        @keys.add("escape", "enter")
        def _(event: KeyPressEvent) -> None:
            self._buffer.newline(copy_margin=False)

        @keys.add("c-t")
        @keys.add("f2")
        def _(event: KeyPressEvent) -> None:
            if self._mutes:
                self.shown.muted = not self.shown.muted
                self._call(self._controller.on_mute, self.shown.muted)

        @keys.add("c-z")
        def _(event: KeyPressEvent) -> None:
            """Not a character of a message; and a stopped process would lose the conversation."""

        return keys

    def _entered(self) -> None:
        # What is no UTF-8 comes in as lone surrogates, which no message can carry.
        text = self._buffer.text.encode(errors="surrogateescape").decode(errors="replace")
        if not text:
            if self._talks:
                self._toggle_talk()
            return
        self._buffer.reset(append_to_history=bool(text.strip()))
        if text.strip() == "q":
            self._end()
        elif text.strip():
            self._call(self._controller.on_line, text)

    def _toggle_talk(self) -> None:
        self._rows.talking = not self._rows.talking
        self._call(self._controller.on_talk, self._rows.talking)


class _Shielded(Processor):
    """Shows what is typed or pasted; a character that would turn text around or hide is a dot of the same place.

    Only its look changes: the message goes out as it was typed.
    """

    def __init__(self, safe: Callable[[str], str]) -> None:
        self._safe = safe

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments: Any = [
            (style, "".join(c if c < " " or self._safe(c) == c else "?" for c in text))
            for style, text, *_ in transformation_input.fragments
        ]
        return Transformation(fragments)
