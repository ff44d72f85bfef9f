"""The live view on a real pty: what is on the screen after what was typed, and what is left behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from livews.cli import view_rows
from tests.kit.names import ROOT
from tests.kit.screen import Terminal

# A line that starts with ! is run; any other is told, as are the keys that call back.
DEMO = r"""
import asyncio, signal, sys, time
from argparse import Namespace
from livews.cli.console import Console
from livews.cli.live_view import LiveView
from livews.cli.view_rows import ViewState

drawings = 0
state = ViewState(mic_db=-23.4, out_db=-90.0, first_sound=0.42, age=192.0,
                  tokens_in={"AUDIO": 1200, "TEXT": 34}, tokens_out={"AUDIO": 310})

async def spin():
    before, began = drawings, time.monotonic()
    for n in range(600):
        state.out_db = -n % 61 - 60
        live.status("listening")
        await asyncio.sleep(0.0005)
    console.line(f"drawn {drawings - before} in {time.monotonic() - began:.2f}")
    state.out_db = 0

class Controller:
    def on_line(self, text):
        exec(text[1:], globals()) if text.startswith("!") else console.line("said " + repr(text))
    def on_interrupt(self):
        if state.hint:
            running.cancel()
        live.hint("Ctrl-C again leaves")
    def on_talk(self):
        live.status("listening" if live._activity[0] == "talking" else "talking")
    def on_mute(self):
        state.muted = not state.muted
    def fill(self, state):
        global drawings
        drawings += 1

async def main():
    global running
    live._state = state
    live.status("listening")
    running = asyncio.create_task(live.run())
    await asyncio.sleep(0)
    live.typed("What is the weather?")
    await asyncio.wait({running})
    print("left cleanly", file=sys.stderr)
    running.cancelled() or running.result()

if "NOHUP" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
from livews.cli import signals
console = Console("always" if "COLOR" in sys.argv else "never")
options = Namespace(push_to_talk="NOTALK" not in sys.argv, mic_open=True, trace_view=False, wav="", json=False)
live = LiveView(options, console, Controller())
sys.exit(signals.run(main()))
"""


@contextmanager
def demo(*words: str, rows: int = 24, columns: int = 80, env: dict[str, str] | None = None) -> Iterator[Terminal]:
    command = [sys.executable, "-W", "error", "-c", DEMO, *words]
    with Terminal(command, rows=rows, columns=columns, env=env) as terminal:
        terminal.wait_for(lambda: "weather?" in terminal.text and "message >" in terminal.text)
        yield terminal


def run(terminal: Terminal, code: str) -> None:
    """`code` in the program, by way of a message."""
    terminal.type(f"!{code}\r")


def status(terminal: Terminal) -> str:
    return next((line for line in terminal.lines if line.startswith(("●", "○", "* "))), "")


def test_a_message_is_typed_edited_pasted_and_found_again() -> None:
    with demo() as terminal:
        assert terminal.lines[0] == "you    What is the weather?"
        terminal.type("helo\x1b[Dl\x1b[Fx\x7f\r")  # left, end, backspace
        terminal.wait_for("said 'hello'")
        terminal.paste("one\ntwo\nthree")
        terminal.wait_for(lambda: "\nthree" in terminal.text)
        assert "said 'one" not in terminal.text, "a paste waits for its Enter"
        terminal.type("\r")
        terminal.wait_for(r"said 'one\ntwo\nthree'")
        terminal.type("\x1b[A\x1b[A\x1b[A\x1b[A\r")  # up through the three lines to the message before
        terminal.wait_for(lambda: terminal.text.count("said 'hello'") == 2)
        terminal.type("   \r")
        terminal.type("caf\u00e9 \u65e5\u672c\r")
        terminal.wait_for("said 'caf\u00e9 \u65e5")
        os.write(terminal.end, b"bad \xff byte\r")
        terminal.wait_for("said 'bad \ufffd byte'")
        assert "said '   '" not in terminal.text
        assert status(terminal).startswith(
            "● listening  mic ▁▂▄▅▁▁  spk ▁▁▁▁▁▁  first 0.42 s  in 1,234 out 310  3:12"
        )
        terminal.type("q\r")
        assert terminal.wait() == 0
        assert terminal.lines[-1] == "" and terminal.text.endswith("\nleft cleanly")
        assert terminal.restored()


def test_keys_that_are_no_message() -> None:
    with demo() as terminal:
        assert "Enter talks, q ends, Ctrl-T mutes" in terminal.text
        terminal.type(" ")
        terminal.wait_for("● talking, Enter ends")
        assert "q ends" not in terminal.text
        terminal.type("\r")
        terminal.wait_for("● listening")
        terminal.type("\r")
        terminal.wait_for("● talking")
        terminal.type(" ")
        terminal.wait_for("● listening")
        terminal.type("a b\r")
        terminal.wait_for("said 'a b'")  # a space inside a message is a space

        terminal.type("\x14")  # Ctrl-T
        terminal.wait_for("○ muted      mic muted")
        terminal.type("\x1bOQ")  # F2
        terminal.wait_for("● listening  mic ▁▂▄▅▁▁")

        terminal.type("\x1a\x03")  # Ctrl-Z does nothing, Ctrl-C is the caller's
        terminal.wait_for("● listening  Ctrl-C again leaves  mic")
        assert terminal.process.poll() is None
        terminal.type("\x03")
        assert terminal.wait() == 0
        assert terminal.restored()
        assert b"KeyboardInterrupt" not in terminal.raw and b"Traceback" not in terminal.raw


def test_without_push_to_talk_space_is_a_space_and_ctrl_d_ends() -> None:
    with demo("NOTALK") as terminal:
        assert "q ends, Ctrl-T mutes" in terminal.text and "Enter talks" not in terminal.text
        terminal.type("\r x\r")
        terminal.wait_for("said ' x'")
        terminal.send(signal.SIGINT)  # not from the keyboard
        terminal.wait_for("Ctrl-C again leaves")
        terminal.type("y\x04")  # with a text on the line it is no end
        terminal.type("\x7f\x04")
        assert terminal.wait() == 0
        assert "left cleanly" in terminal.text and terminal.restored()


@pytest.mark.parametrize(("rows", "columns"), [(10, 40), (40, 120), (4, 20)])
def test_every_size_shows_the_end_of_what_is_said_and_a_line_to_type_on(rows: int, columns: int) -> None:
    with demo(rows=rows, columns=columns) as terminal:
        run(
            terminal,
            "state.model = ' '.join(f'word{n}' for n in range(5000)) + ' LAST'; state.you = 'short question'",
        )
        if rows > 4:
            terminal.wait_for("LAST")
        terminal.settle()
        lines = terminal.lines
        prompt = next(n for n, line in enumerate(lines) if line.startswith("message >"))
        assert lines[prompt - 1].startswith("● listening"), terminal.text
        assert all(len(line) < columns for line in lines)
        if rows > 4:
            assert sum("word" in line for line in lines) == min(9, rows - 6)
            assert any(line == "you    short question" for line in lines)
            first = next(line for line in lines if line.startswith("model"))
            assert first.startswith("model  … word"), "what was cut is told, and words are whole"
        if columns == 120:
            assert "first sound 0.42 s  in 1,200 audio + 34 text  out 310 audio  3:12" in lines[prompt - 1]
        run(terminal, "state.model = state.you = ''; state.closes_in = 50")
        terminal.wait_for(lambda: "word" not in terminal.text and (columns < 40 or "0:50" in status(terminal)))
        assert sum(line.startswith("message >") for line in terminal.lines) == 1


def test_a_resize_in_the_middle_is_drawn_anew() -> None:
    with demo() as terminal:
        run(terminal, "state.model = 'a long answer that goes on ' * 4 + 'END'")
        terminal.wait_for("END")
        terminal.resize(10, 40)
        terminal.wait_for(lambda: status(terminal) == "● listening  mic ▁▂▄▅▁▁  spk ▁▁▁▁▁▁")
        terminal.settle()
        assert all(len(line) < 40 for line in terminal.lines)
        assert "END" in terminal.text and "message >" in terminal.text
        terminal.resize(30, 100)
        terminal.type("still here\r")
        terminal.wait_for("said 'still here'")
        terminal.wait_for("mic ▁▂▄▅▁▁ -23 dB")


HOSTILE = r"\x1b[2J\x1b]0;title\x07\x9b31m\u202eevil\u2066\x00\r\x1b[?1049h" + "e" + r"\u0301" * 40


def test_hostile_words_that_run_when_the_view_ends_do_no_harm() -> None:
    with demo() as terminal:
        before = len(terminal.raw)
        run(terminal, f"bad = '{HOSTILE}'; state.model = bad; live.user(bad, interim=False)")
        terminal.type("\x04")
        terminal.wait_for("left cleanly")
        sent = bytes(terminal.raw[before:]).decode()
        for evil in ("\x1b[2J", "\x1b]0", "\x9b", "\u202e", "\x00"):
            assert evil not in sent, ascii(evil)


def test_hostile_text_does_no_harm() -> None:
    with demo() as terminal:
        before = len(terminal.raw)
        run(
            terminal,
            f"bad = '{HOSTILE}'; state.model = bad; state.you = bad; console.line(bad + ' over')",
        )
        terminal.wait_for(" over")
        run(terminal, f"bad = '{HOSTILE}'; live.hint(bad); live.status('tool', bad); state.tokens_in = {{bad: 3}}")
        run(terminal, "state.model = 'x' * 5_000_000 + ' tail'; console.line('y' * 5_000_000)")
        terminal.wait_for("tail")
        terminal.wait_for("(5,000,000 characters)")
        terminal.settle()
        sent = bytes(terminal.raw[before:]).decode()
        for evil in ("\x1b[2J", "\x1b]0", "\x9b", "\u202e", "\u2066", "\x00", "\x1b[?1049", "\u0301" * 12):
            assert evil not in sent, ascii(evil)
        assert r"\x1b[2J" in sent and r"\u202e" in sent, "it is told as escapes"
        assert terminal.lines.count("") == terminal.text.count("\n\n"), "nothing was wiped"
        terminal.paste("a\u202eb")
        terminal.wait_for("message > a?b")
        terminal.type("\r")
        terminal.wait_for(r"said 'a\u202eb'")
        assert len(terminal.raw) < 1_000_000


def test_drawings_are_few_whatever_is_asked() -> None:
    with demo() as terminal:
        run(terminal, "asyncio.create_task(spin())")
        terminal.wait_for("drawn ")
        drawn, seconds = re.search(r"drawn (\d+) in ([\d.]+)", terminal.text).groups()  # type: ignore[union-attr]
        assert 1 <= int(drawn) <= 15 * float(seconds) + 2
        terminal.wait_for("spk ▁▂▄▅▆█")


def test_colour_only_where_it_is_wanted_and_ascii_where_there_is_no_utf8() -> None:
    with demo("COLOR") as terminal:
        assert any(cell.fg != "default" for cell in terminal.screen.buffer[0].values())
    with demo(env={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}) as terminal:
        run(terminal, r"state.model = 'caf\xe9 \u65e5' + ' word' * 300; state.muted = False")
        terminal.wait_for("model  ~ word")
        assert status(terminal).startswith("* listening  mic ####--  spk ------")
        assert all(
            cell.fg == "default" and not cell.bold for row in terminal.screen.buffer.values() for cell in row.values()
        )
        assert not any(byte > 0x7F for byte in terminal.raw)


@pytest.mark.parametrize("code", ["raise ValueError('from a callback')", "live._state = None"])
def test_an_exception_leaves_a_clean_terminal(code: str) -> None:
    with demo() as terminal:
        run(terminal, f"state.model = 'unfinished'; {code}")
        assert terminal.wait() == 1
        assert terminal.restored()
        assert b"Traceback" in terminal.raw and terminal.text.splitlines()[-1].startswith(
            ("ValueError", "AttributeError")
        )
        assert "message >" not in terminal.text and "unfinished" not in terminal.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_and_restores_the_terminal(number: signal.Signals) -> None:
    with demo() as terminal:
        terminal.type("half a mess")
        terminal.wait_for("half a mess")
        terminal.send(number)
        assert terminal.wait() == 128 + number
        assert terminal.restored()
        assert terminal.text.splitlines() == ["you    What is the weather?"]
        assert terminal.screen.cursor.x == 0


def test_a_window_that_is_closed_ends_it_even_where_the_hang_up_is_ignored() -> None:
    with demo("NOHUP") as terminal:
        terminal.hang_up()
        assert terminal.process.wait(10) in (1, 120)  # stderr is gone: a write fails, or the flush at the exit


def test_the_view_writes_to_stderr_alone() -> None:
    read, write = os.pipe()
    try:
        with Terminal([sys.executable, "-c", DEMO], stdout=write) as terminal:
            terminal.wait_for("message >")
            terminal.type("hello\rq\r")
            assert terminal.wait() == 0
            assert "said 'hello'" in terminal.text
        os.close(write)
        write = -1
        assert os.read(read, 100) == b""
    finally:
        os.close(read)
        if write >= 0:
            os.close(write)


def test_where_there_is_no_terminal_to_draw_on() -> None:
    program = (
        "import os, sys\nfrom livews.cli.console import Environment\n"
        "def usable(): return Environment().can_draw\n"
        "for term in ('xterm', 'dumb', ''):\n os.environ['TERM'] = term\n print(term, usable())\n"
        "os.environ['TERM'] = 'xterm'\nsys.stdin.close()\nprint('closed', usable())\n"
        "sys.stdin = None\nprint('none', usable())\n"
    )
    with Terminal([sys.executable, "-c", program]) as terminal:
        assert terminal.wait() == 0
        assert terminal.lines[:5] == ["xterm True", "dumb False", " False", "closed False", "none False"]
    done = subprocess.run(
        [sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
    )
    assert done.stdout.startswith("xterm False"), done.stderr


def test_prompt_toolkit_is_loaded_by_the_view_alone() -> None:
    code = "import sys, livews.cli.output, livews.cli.console, livews.cli.conversation; print('prompt_toolkit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.stdout.strip() == "False", done.stderr


def test_meters_and_clocks() -> None:
    for ascii_only in (False, True):
        widths = {len(lit + dark) for db in (float("-inf"), -200.0, -60.0, -23.4, 0.0, 9.0)
                  for lit, dark, _ in [view_rows.meter(db, ascii_only)]}  # fmt: skip
        assert widths == {view_rows.CELLS}
    assert [view_rows.meter(db)[2] for db in (-20.0, -6.0, -1.0)] == ["level", "loud", "clipped"]
    assert {len(view_rows.decibels(db)) for db in (float("-inf"), -96.0, -5.0, 0.0, 3.0)} == {6}
    assert [view_rows.clock(s) for s in (-3, 0.9, 192, 3723)] == ["0:00", "0:00", "3:12", "1:02:03"]
    assert view_rows.tokens({"TEXT": 34, "AUDIO": 1200}, True) == "1,200 audio + 34 text"
    assert view_rows.tokens({}, True) == "0"
