"""A fault in a session of `livews talk`, a process of its own: in plain mode, and in the live view on a pty."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from tests.bench import children
from tests.faults.catalogue import Fault
from tests.faults.outcome import STARTING, Outcome
from tests.faults.server import Session, serving
from tests.faults.states import STATES, TURN
from tests.kit.names import KEY
from tests.kit.screen import Terminal
from tests.kit.sound import speech, write_wav

OPTIONS = ("--mute", "--no-resume", "--timeout", "5", "--turn-timeout", "12")
_IDLE = 0.5
"""Seconds after a fault that nothing ends until stdin does."""
_PATIENT = 3.0
"""... and after one that must end the session by itself."""


class Watch:
    """Reads a stream to its end, and notes when a pattern came first."""

    def __init__(self, pattern: str) -> None:
        self.output = bytearray()
        self.at: float | None = None
        self._pattern = re.compile(pattern.encode()) if pattern else None

    def take(self, data: bytes, now: float) -> None:
        start = max(0, len(self.output) - 200)
        self.output += data
        if self._pattern is not None and self.at is None and self._pattern.search(self.output, start):
            self.at = now

    async def read(self, stream: asyncio.StreamReader) -> None:
        clock = asyncio.get_running_loop().time
        while data := await stream.read(65_536):
            self.take(data, clock())


async def plain(fault: Fault, name: str) -> Outcome:
    """Plain mode: pipes for stdout and stderr."""
    state, clock = STATES[name], asyncio.get_running_loop().time
    outcome = Outcome("talk", fault.name, name, fault.expected("talk", name))
    session = Session(fault.acts, state.script)
    says = fault.says if outcome.expected else ""
    with tempfile.TemporaryDirectory(prefix="livews-") as folder:
        wav, trace = Path(folder, "voice.wav"), Path(folder, "trace.jsonl")
        words = [*OPTIONS, "--wav", str(wav), "--trace", str(trace), *fault.options]
        if state.tool:
            words += ["--tool", "slow=sleep 0.3"]
        if state.speaks:
            words += ["--mic", str(write_wav(Path(folder, "speech.wav"), speech(0.6)))]
        if state.says:
            words.append("Hello")
        async with serving(session, TURN) as url:
            process = await asyncio.create_subprocess_exec(
                *children.livews("--url", url, *words),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=children.environment(GOOGLE_API_KEY=KEY), cwd=folder,
            )  # fmt: skip
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            errors, words_out = Watch(says), Watch("")
            reading = asyncio.gather(errors.read(process.stderr), words_out.read(process.stdout))
            running = asyncio.create_task(process.wait())
            finished = asyncio.create_task(session.finished.wait())
            code: int | None = None
            try:
                await asyncio.wait({running, finished}, timeout=STARTING, return_when=asyncio.FIRST_COMPLETED)
                if name == "idle":
                    await asyncio.wait({running}, timeout=_PATIENT if outcome.expected else _IDLE)
                    process.stdin.close()
                await asyncio.wait({running}, timeout=fault.limit)
                code = process.returncode
                now = clock()
            finally:
                finished.cancel()
                if process.returncode is None:
                    process.kill()
                await running
                await reading
        outcome.ended(code, session.written, now, fault.limit)
        if says:
            outcome.reported(errors.at, session.written)
        outcome.look_at(bytes(words_out.output) + bytes(errors.output))
        if code is not None:
            outcome.look_at_files(wav, trace)
    return outcome


async def view(fault: Fault, name: str) -> Outcome:
    """The live view: a terminal, into which a turn is typed."""
    state = STATES[name]
    outcome = Outcome("view", fault.name, name, fault.expected("view", name))
    session = Session(fault.acts, state.script)
    says = fault.says if outcome.expected else ""
    with tempfile.TemporaryDirectory(prefix="livews-") as folder:
        wav, trace = Path(folder, "voice.wav"), Path(folder, "trace.jsonl")
        async with serving(session, TURN) as url:
            words = ["--url", url, *OPTIONS, "--wav", str(wav), "--trace", str(trace), *fault.options]
            if state.tool:
                words += ["--tool", "slow=sleep 0.3"]
            await asyncio.to_thread(_on_a_terminal, words, state.says, fault, session, outcome, says)
        if outcome.code is not None:
            outcome.look_at_files(wav, trace)
    return outcome


def _on_a_terminal(
    words: list[str], is_said: bool, fault: Fault, session: Session, outcome: Outcome, says: str
) -> None:
    import time  # the clock of the event loop

    watch = Watch(says)
    env = {**dict.fromkeys(_hidden(), ""), "GOOGLE_API_KEY": KEY}
    with Terminal(children.livews(*words), columns=100, env=env) as terminal:
        begun, seen, typed, left = time.monotonic(), 0, False, False
        while terminal.process.poll() is None:
            now = time.monotonic()
            if now > (session.written or begun + STARTING) + fault.limit:
                break
            terminal.read(0.05)
            watch.take(bytes(terminal.raw[seen:]), time.monotonic())
            seen = len(terminal.raw)
            if is_said and not typed and "message >" in terminal.text:
                typed = True
                terminal.type("Hello\r")
            patience = _IDLE if not outcome.expected else fault.limit if fault.slow else _PATIENT
            if (
                session.written is not None
                and not left
                and now > session.written + patience
                and not terminal.read(0.3)
            ):
                left = True
                terminal.type("\x04")
        while terminal.read(0.1):
            pass
        code, now = terminal.process.poll(), time.monotonic()
        watch.take(bytes(terminal.raw[seen:]), now)
        outcome.ended(code, session.written, now, fault.limit)
        if says:
            outcome.reported(watch.at, session.written)
        shown = "\n".join([*terminal.scrolled, *terminal.lines])
        outcome.look_at(shown.encode())
        if b"owned" in terminal.raw and b"\x1b]0;owned" in terminal.raw:
            outcome.wrong("an escape of the wire reaches the terminal", "E")
        if code is not None and not terminal.restored():
            outcome.wrong("the terminal is not as it was", "S")


def _hidden() -> list[str]:
    import os

    return [name for name in os.environ if name not in children.environment()]
