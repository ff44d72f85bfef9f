"""The live view of a conversation: what is being said, who speaks, levels, and a line to type on.

- Import this module only when the view is used (`meter.usable()`): it imports prompt_toolkit at its top.
- It writes to stderr alone; what is finished goes above and belongs to the terminal's own scrollback.
- Every text passes `printable` here once more, whoever made it, and no more of it is laid out than can be seen.
- However the `async with` block ends, and also at SIGTERM, the view is wiped and the terminal is as it was.
- Ctrl-C raises nothing: it calls `on_interrupt`, and what it means is the caller's business.
- A terminal that is gone is no failure of a drawing: it ends the view by `on_end`.
- All methods but `refresh` belong on the event loop. A callback that raises cancels the block, which then raises it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TextIO

from prompt_toolkit.application import Application
from prompt_toolkit.application.current import set_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
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
from livews.cli.view_state import CELLS, ViewState, clock, decibels, meter, tokens
from livews.terminal_text import escape_unsafe, one_line

Row = list[tuple[str, str]]  # (style, text): the pieces of one line

DRAWINGS = 15  # a second, at most, for what was not typed
TICK = 0.5  # the clock moves although nothing else does
LABEL = 7  # columns of `you` and `model`
MAX_RUNNING = 10  # lines of what is being said
MAX_PRINTED = 65536  # characters of one finished text; a longer one is no speech
MAX_STACKED = 8  # marks on one character: more of them grow over the lines above

# The terminal's own sixteen colours, so that a theme holds. `dim` and not bright black, which some themes hide.
STYLE = {
    "you": "ansicyan", "interim": "ansicyan dim", "you.label": "ansicyan bold", "model": "", "model.label": "ansigreen bold",
    "dim": "dim", "note": "dim", "warn": "ansiyellow", "error": "ansired bold", "bold": "bold", "tool": "ansimagenta",
    "who.you": "ansicyan bold", "who.model": "ansigreen bold", "who.thinking": "ansiyellow", "who.tool": "ansimagenta",
    "who.talking": "ansired bold", "who.muted": "ansiyellow", "who.listening": "ansicyan", "who.ready": "dim",
    "level": "ansigreen", "loud": "ansiyellow", "clipped": "ansired", "dark": "dim", "name": "dim", "value": "",
    "hint": "ansiyellow bold", "urgent": "ansiyellow bold", "prompt": "bold", "placeholder": "dim",
}  # fmt: skip


class LiveView:
    """The view, running while the `async with` block does.

    `update(shown)` is called before each drawing (at most 15 a second, at least 2): the place to fill in levels and
    ages. `on_talk(True)` begins, `on_talk(False)` ends push-to-talk; `on_mute(muted)` has the new state.
    `on_terminate` is called at SIGTERM, when the terminal is restored; without it the process ends as it would have.
    """

    def __init__(
        self,
        shown: ViewState,
        *,
        environment: Environment | None = None,
        prompt: str = "message > ",
        color: bool = True,
        on_line: Callable[[str], None],
        on_interrupt: Callable[[], None],
        on_end: Callable[[], None],
        on_talk: Callable[[bool], None] | None = None,
        on_mute: Callable[[bool], None] | None = None,
        on_terminate: Callable[[], None] | None = None,
        update: Callable[[ViewState], None] | None = None,
    ) -> None:
        self.shown = shown
        self.talking = False
        """Push-to-talk is on; the caller may end it by setting this, which calls nothing."""
        self._on_line, self._on_interrupt, self._on_end = on_line, on_interrupt, on_end
        self._on_talk, self._on_mute, self._on_terminate = on_talk, on_mute, on_terminate
        self._update = update
        self._environment = environment or Environment()
        self._encoding = self._environment.stderr.encoding or "ascii"
        self._ascii = not self._encoding.lower().replace("-", "").startswith("utf8")
        self._depth = ColorDepth.DEPTH_4_BIT if color else ColorDepth.DEPTH_1_BIT
        self._style = Style(list(STYLE.items()) if color else [])
        self._held = False
        self._inside = False
        self._up = False
        self._closing = False
        self._drawing: asyncio.TimerHandle | None = None
        self._asked = False
        self._drawn_at = 0.0
        self._failure: BaseException | None = None
        self._cancelled = False
        self._old_handler: Any = None
        self._task: asyncio.Task[None] | None = None
        self._buffer = Buffer(history=InMemoryHistory(), multiline=True)
        self._app = self._application(self._text(prompt))

    # The life of the view

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._owner = asyncio.current_task()
        self._terminal = _Terminal(self._environment.stdin)
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
            self._terminal.restore()
            self._leave_sigterm()
            self._inside = False
        if self._failure is not None and (error is None or self._cancelled):
            if self._cancelled and self._owner is not None:
                self._owner.uncancel()
            raise self._failure from None

    def close(self) -> None:
        """Wipe the view; `print` writes plain lines from here on. Any number of times."""
        self._closing = True
        if self._up:
            self._up = False
            if self._app.is_running:
                self._app.renderer.erase()  # now, so that what is written next stands clean
            if self._app.future is not None and not self._app.future.done():
                self._app.exit()

    async def wait_closed(self) -> None:
        """Until the view has ended by `close` or a failure."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def refresh(self) -> None:
        """Draw what `shown` says now, soon. Cheap, from any thread, as often as one likes."""
        if self._up and not self._asked:
            self._asked = True
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._arm)

    def print(self, text: str, style: str = "", label: str = "") -> None:
        """A finished text above the view, wrapped; with a label (`you`, `model`) it hangs behind it.

        Styles: you, model, tool, dim, note, warn, error, bold; an unknown one is plain.
        """
        if len(text) > MAX_PRINTED:
            text = f"{text[:MAX_PRINTED]}… ({len(text):,} characters)"
        columns = self._app.output.get_size().columns - 1
        rows = _labelled(self._text(label), self._text(text, lines=True), columns, _known(style or label))
        pieces = _formatted([*rows, []])
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
        self._call(self._on_end)

    def _call(self, what: Callable[..., None] | None, *args: Any) -> None:
        if not self._inside:  # a key came before the block began: callbacks may count on what `as` names
            if not self._closing:
                self._loop.call_soon(self._call, what, *args)
            return
        if what is not None:
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
            self._loop.add_signal_handler(signal.SIGTERM, self._terminate)
            self._old_handler = old

    def _leave_sigterm(self) -> None:
        if self._old_handler is not None:
            self._loop.remove_signal_handler(signal.SIGTERM)
            signal.signal(signal.SIGTERM, self._old_handler)
            self._old_handler = None

    def _terminate(self) -> None:
        old = self._old_handler
        self.close()
        self._terminal.restore()
        if self._on_terminate is not None:
            self._call(self._on_terminate)
            return
        self._leave_sigterm()
        if old is not signal.SIG_IGN:
            os.kill(os.getpid(), signal.SIGTERM)

    # Drawing

    def _arm(self) -> None:
        if self._up and self._drawing is None:
            wait = max(0.0, self._drawn_at + 1 / DRAWINGS - time.monotonic())
            self._drawing = self._loop.call_later(wait, self._draw_asked)
        else:
            self._asked = False

    def _draw_asked(self) -> None:
        self._drawing = None
        self._asked = False
        if self._up:
            try:
                self._draw()
            except Exception as problem:
                self._fail(problem)

    def _draw(self) -> None:
        """Draw now."""
        self._drawn_at = time.monotonic()
        if self._update is not None:
            self._update(self.shown)
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

    def _application(self, prompt: str) -> Application[None]:
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
                    asyncio.get_running_loop().call_soon(self._gone)

        output.flush = guarded  # type: ignore[method-assign]
        running = FormattedTextControl(lambda: _formatted(self._guarded(self._running_rows)), focusable=False)
        status = FormattedTextControl(lambda: _formatted(self._guarded(self._status_rows)), focusable=False)
        empty = Condition(lambda: not self._buffer.text)
        typed = BufferControl(
            self._buffer,
            input_processors=[
                _Shielded(self._text),
                BeforeInput(prompt, style="class:prompt"),
                AfterInput(lambda: self._placeholder(prompt) if empty() else "", style="class:placeholder"),
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

    def _gone(self) -> None:
        if self._up:
            self._end()
            self.close()

    def _guarded(self, rows: Callable[[], list[Row]]) -> list[Row]:
        try:
            return rows()
        except Exception as problem:
            self._loop.call_soon(self._fail, problem)
            return []

    def _text(self, text: str, lines: bool = False) -> str:
        """`text`, fit for this terminal."""
        text = escape_unsafe(text).expandtabs(4) if lines else one_line(text)
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding) if self._ascii else text

    # The lines that are running

    def _running_height(self) -> Dimension:
        lines = len(self._guarded(self._running_rows))
        return Dimension(min=0, max=lines, preferred=lines)

    def _running_rows(self) -> list[Row]:
        size = self._app.output.get_size()
        room = max(min(MAX_RUNNING, size.rows - 5), 2 if size.rows > 4 else 0)
        you, model = self.shown.you, self.shown.model
        columns = size.columns - 1
        spoken: list[Row] = []
        if model:
            keep = room - 1 if you else room
            spoken = self._tail("model", model, columns, keep)
        if you:
            spoken = self._tail("you", you, columns, room - len(spoken)) + spoken
        return spoken

    def _tail(self, label: str, text: str, columns: int, room: int) -> list[Row]:
        """The last lines of `text`; what was cut before them is an ellipsis."""
        if room <= 0:
            return []
        # Cut at places that stay: the lines must not be broken anew at every word that comes.
        block = columns * room
        start = max(len(text) // block - 1, 0) * block
        seen = " ".join(text[start : start + 2 * block].split())
        rows = _labelled(label, self._text(seen), columns, "interim" if label == "you" else label)
        if start or len(rows) > room:
            more = "~" if self._ascii else "…"
            rows = rows[-room:]
            style, line = rows[0][1]
            rest = line.partition(" ")[2]  # a whole word makes room for the ellipsis
            rows[0] = [(f"class:{label}.label", f"{label:<{LABEL}}"), ("class:dim", more)]
            rows[0].append((style, f" {rest}" if rest else line[1:]))
        return rows

    # The status line

    def _status_rows(self) -> list[Row]:
        return [self._status(self._app.output.get_size().columns - 1)]

    def _status(self, columns: int) -> Row:
        """As many parts as fit; what is dropped first stands last in this list of sacrifices."""
        forms = self._parts()
        chosen = {name: 0 for name in forms}

        def row() -> Row:
            out: Row = []
            for name, variants in forms.items():
                if chosen[name] < len(variants):
                    out += [("", "  ")] * bool(out) + variants[chosen[name]]
            return out

        sacrifices = (
            ("tokens", 1), ("first", 1), ("mic", 1), ("out", 1), ("tokens", 2), ("age", 1), ("first", 2), ("closes", 1),
            ("out", 2), ("mic", 2), ("closes", 2), ("hint", 1),
        )  # fmt: skip
        for name, form in sacrifices:
            if _width(row()) <= columns:
                break
            if name in chosen:
                chosen[name] = form
        return _cut(row(), columns, "~" if self._ascii else "…")

    def _parts(self) -> dict[str, list[Row]]:
        """The parts of the status line from left to right, each from its longest form to its shortest."""
        shown = self.shown
        parts: dict[str, list[Row]] = {"who": [self._who()]}
        if shown.hint:
            parts["hint"] = [[("class:hint", one_line(self._text(shown.hint), 60))]]
        if shown.muted or (shown.closed and shown.mic_db is not None):
            shut = "muted" if shown.muted else "closed"
            dark = ("-" if self._ascii else "▁") * CELLS
            parts["mic"] = [
                [("class:name", "mic "), ("class:dark", dark), ("class:who.muted", f"  {shut}")],
                [("class:name", "mic "), ("class:who.muted", f"{shut:<{CELLS}}")],
            ]
        elif shown.mic_db is not None:
            parts["mic"] = self._level("mic", shown.mic_db)
        if shown.out_db is not None:
            parts["out"] = self._level("spk", shown.out_db)
        if shown.first_sound is not None:
            took: Row = [("class:value", f"{shown.first_sound:.2f} s")]
            parts["first"] = [[("class:name", "first sound "), *took], [("class:name", "first "), *took]]
        if shown.tokens_in or shown.tokens_out:
            parts["tokens"] = [
                [
                    ("class:name", "in "),
                    ("class:value", one_line(self._text(tokens(shown.tokens_in, long)), 80)),
                    ("class:name", "  out " if long else " out "),
                    ("class:value", one_line(self._text(tokens(shown.tokens_out, long)), 80)),
                ]
                for long in (True, False)
            ]
        if shown.closes_in is not None:
            left = clock(shown.closes_in)
            parts["closes"] = [[("class:urgent", f"closes in {left}")], [("class:urgent", left)]]
        parts["age"] = [[("class:value", clock(shown.age))]]
        return parts

    def _level(self, name: str, db: float) -> list[Row]:
        lit, dark, style = meter(db, self._ascii)
        short: Row = [("class:name", f"{name} "), (f"class:{style}", lit), ("class:dark", dark)]
        return [[*short, ("class:value", f" {decibels(db)}")], short]

    def _who(self) -> Row:
        """Padded to the longest of the usual words, so that the meters stay where they are."""
        shown = self.shown
        who = "talking" if self.talking else shown.who or "ready"
        text = "talking, Enter ends" if who == "talking" else who
        if who != "talking" and shown.detail:
            text = f"{text} {shown.detail}"
        if shown.muted and who in ("ready", "you", "listening"):
            who = text = "muted"
        on, off = ("*", "o") if self._ascii else ("●", "○")
        dot = off if who in ("ready", "muted") else on
        text = one_line(self._text(f"{dot} {text}"), 32)
        style = f"class:who.{who}" if f"who.{who}" in STYLE else ""
        return [(style, text + " " * (11 - get_cwidth(text)))]

    # The line to type on

    def _input_height(self, prompt: str) -> Dimension:
        size = self._app.output.get_size()
        width = max(size.columns, 1)
        lines = self._buffer.text.split("\n")
        needed = sum(
            1 + (get_cwidth(line[: 5 * width]) + (0 if n else len(prompt))) // width
            for n, line in enumerate(lines[:5])
        )
        return Dimension(min=1, max=max(1, min(needed, 4)), preferred=max(1, min(needed, 4)))

    def _placeholder(self, prompt: str) -> str:
        """What the keys do, for who does not know yet: as much of it as fits."""
        if self.talking:
            return ""
        keys = ["Enter talks", "q ends"] if self._on_talk is not None else ["q ends"]
        if self._on_mute is not None:
            keys.append("Ctrl-T unmutes" if self.shown.muted else "Ctrl-T mutes")
        room = self._app.output.get_size().columns - 1 - len(prompt)
        while keys and len(", ".join(keys)) > room:
            keys.pop()
        return ", ".join(keys)

    def _keys(self, empty: Condition) -> KeyBindings:
        keys = KeyBindings()
        press_to_talk = Condition(lambda: self._on_talk is not None)

        @keys.add("c-c")
        @keys.add(Keys.SIGINT)
        def _(event: KeyPressEvent) -> None:
            self._call(self._on_interrupt)

        @keys.add("c-d", filter=empty)
        def _(event: KeyPressEvent) -> None:
            self._end()

        @keys.add("enter")
        @keys.add("c-j")  # what a program that types sends
        def _(event: KeyPressEvent) -> None:
            self._entered()

        @keys.add(" ", filter=empty & press_to_talk)
        def _(event: KeyPressEvent) -> None:
            self._toggle_talk()

        @keys.add("escape", "enter")
        def _(event: KeyPressEvent) -> None:
            self._buffer.newline(copy_margin=False)

        @keys.add("c-t")
        @keys.add("f2")
        def _(event: KeyPressEvent) -> None:
            if self._on_mute is not None:
                self.shown.muted = not self.shown.muted
                self._call(self._on_mute, self.shown.muted)

        @keys.add("c-z")
        def _(event: KeyPressEvent) -> None:
            """Not a character of a message; and a stopped process would lose the conversation."""

        return keys

    def _entered(self) -> None:
        # What is no UTF-8 comes in as lone surrogates, which no message can carry.
        text = self._buffer.text.encode(errors="surrogateescape").decode(errors="replace")
        if not text:
            if self._on_talk is not None:
                self._toggle_talk()
            return
        self._buffer.reset(append_to_history=bool(text.strip()))
        if text.strip() == "q":
            self._end()
        elif text.strip():
            self._call(self._on_line, text)

    def _toggle_talk(self) -> None:
        self.talking = not self.talking
        self._call(self._on_talk, self.talking)


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


class _Terminal:
    """The modes of the terminal as they were found, for when nobody else can put them back."""

    def __init__(self, stdin: TextIO) -> None:
        self._stdin = stdin
        self._modes: list[Any] | None = None
        if sys.platform != "win32":
            import termios

            with contextlib.suppress(termios.error, OSError, ValueError):
                self._modes = termios.tcgetattr(self._stdin.fileno())

    def restore(self) -> None:
        if sys.platform != "win32" and self._modes is not None:
            import termios

            with contextlib.suppress(termios.error, OSError, ValueError):
                termios.tcsetattr(self._stdin.fileno(), termios.TCSADRAIN, self._modes)


def _formatted(rows: list[Row]) -> StyleAndTextTuples:
    """Rows as prompt_toolkit wants them: one list, with line breaks between."""
    return [piece for n, row in enumerate(rows) for piece in [*[("", "\n")] * bool(n), *row]]


def _known(style: str) -> str:
    return style if style in STYLE else ""


def _labelled(label: str, text: str, columns: int, style: str) -> list[Row]:
    """`text` wrapped to `columns` and indented behind its label."""
    indent = LABEL if label else 0
    rows: list[Row] = []
    for line in text.split("\n"):
        for part in wrapped(line, max(columns - indent, 1)):
            head = label if label and not rows else ""
            row: Row = [(f"class:{label}.label", f"{head:<{indent}}")] if indent else []
            rows.append([*row, (f"class:{style}" if style else "", part)])
    return rows


def wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most `columns` cells, broken at spaces where there are any; never empty."""
    lines: list[str] = []
    line: list[str] = []
    width = stacked = 0
    space = -1  # where the line may be broken: the place of its last space
    for char in text:
        cells = max(get_cwidth(char), 0)
        stacked = 0 if cells else stacked + 1
        if stacked > MAX_STACKED:
            continue
        if width + cells > columns:
            if char == " ":
                lines.append("".join(line))
                line, width, space = [], 0, -1
                continue
            rest = line[space + 1 :] if space >= 0 else []
            lines.append("".join(line[:space] if space >= 0 else line))
            line, space = rest, -1
            width = get_cwidth("".join(rest))
        if char == " ":
            space = len(line)
        line.append(char)
        width += cells
    return [*lines, "".join(line)]


def _width(row: Row) -> int:
    return sum(get_cwidth(text) for _, text in row)


def _cut(row: Row, columns: int, more: str) -> Row:
    """`row` in at most `columns` cells."""
    if _width(row) <= columns:
        return row
    out: Row = []
    left = columns - 1
    for style, text in row:
        kept = ""
        for char in text:
            if get_cwidth(char) > left:
                return [*out, (style, kept + more)]
            kept += char
            left -= get_cwidth(char)
        out.append((style, kept))
    return out
