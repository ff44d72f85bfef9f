"""A conversation at the terminal: turns in, words and voice out.

- The words go to stdout as they come; everything else is on stderr.
- Sound steps down: no library or no device means one line about it and the words all the same.
- Whatever ends the session (the last turn, `q`, Ctrl-C, a close), the WAV and the trace are whole.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from livews import client, endpoint
from livews.cli import events as lines
from livews.cli.terminal import Console
from livews.core import events as e
from livews.core.errors import BadRequest, Exit, LivewsError, LocalProtocolError
from livews.core.judge import Finding
from livews.printable import one_line
from livews.trace.writer import Recorder, TraceFile

if TYPE_CHECKING:
    from livews.audio.device import NoSound
    from livews.audio.speaker import Speaker
    from livews.audio.wav import WavTurns

PROMPT = "message > "
STALL = 20.0
"""Seconds without a frame in a turn before it is said."""
_SKIPPED = {"WIRE-2": "a frame that is no JSON object", "WIRE-3": "media that is no base64"}


async def talk(options: argparse.Namespace, console: Console) -> int:
    """Run the whole session; the exit code."""
    # The sound thread must get the interpreter within a millisecond, however busy the event loop is.
    sys.setswitchinterval(0.001)
    async with contextlib.AsyncExitStack() as stack:
        options.setup_message = _read_setup(options.setup) if options.setup else None
        settings = await _settle(options, console, stack)
        conversation = _Talk(options, console)
        stack.push_async_callback(conversation.close)
        try:
            return await conversation.run(settings)
        except LivewsError as problem:
            if options.json:
                console.data(lines.failure(problem, conversation.seconds))
            raise


async def _settle(
    options: argparse.Namespace, console: Console, stack: contextlib.AsyncExitStack
) -> endpoint.Settings:
    """Where to dial: what the flags and the environment say, else the stand-in, which says so."""
    settings = endpoint.from_environment(
        os.environ,
        url=options.url,
        token=options.token,
        vertex=options.vertex,
        project=options.project,
        location=options.location,
        version=options.api_version,
    )
    if options.offline or not settings.has_credentials:
        from livews.core import spec
        from livews.kit.standin import Policy, stand_in

        url = await stack.enter_async_context(stand_in(policy=Policy(as_of=spec.models()["asOf"])))
        if options.offline:
            console.note("livews: offline, the built-in stand-in answers")
        else:
            console.note(
                "livews: no key is set, so the built-in stand-in answers; to reach Gemini set GOOGLE_API_KEY "
                "(https://aistudio.google.com/apikey)"
            )
        return endpoint.Settings(url=url)
    if settings.both_keys and settings.api_key:
        console.warn("GOOGLE_API_KEY and GEMINI_API_KEY are both set; GOOGLE_API_KEY is used")
    return await endpoint.with_bearer(settings)


def _read_setup(name: str) -> dict[str, Any]:
    """The JSON object of a --setup file; BadRequest with file, line and cure."""
    try:
        raw = (sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()).removeprefix(b"\xef\xbb\xbf")
    except OSError as problem:
        cure = "name a JSON file with members of the setup message"
        raise BadRequest(f"cannot read the setup: {problem.strerror}", where=name, cure=cure) from None
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        where = f"{name}:{problem.lineno}:{problem.colno}"
        cure = "JSON wants double quotes, no comments and no comma before a closing bracket"
        raise BadRequest("the setup is not JSON", where=where, why=str(problem).split(": ")[0], cure=cure) from None
    if not isinstance(message, dict):
        cure = 'write an object, as in {"generationConfig": {"temperature": 0.5}}'
        raise BadRequest("the setup is not an object", where=name, cure=cure)
    return message


class _Talk:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._session: client.Session | None = None
        self._speaker: Speaker | None = None
        self._opening: asyncio.Task[None] | None = None
        self._wav: WavTurns | None = None
        self._heard_seconds = 0.0
        self._last = 0.0
        self._mime_type = ""
        self._held: list[str] = []
        self._news: set[str] = set()

    @property
    def seconds(self) -> float:
        return self._session.clock() if self._session is not None else 0.0

    async def run(self, settings: endpoint.Settings) -> int:
        options = self._options
        if options.wav:
            self._wav = _open_wav(options.wav)
        if options.device:
            await self._open_speaker()  # a device that was named is wanted: fail before dialling
        self._console.status("connecting …")
        session = self._session = await self._connect(settings)
        self._console.clear()
        if options.json:
            ready = {"event": "ready", "t": round(self.seconds, 6), "sessionId": session.session_id}
            self._console.data(lines.line({**ready, "model": session.endpoint.model}))
        if not (options.text or options.mute or self._speaker):
            self._opening = asyncio.create_task(self._open_speaker())
            if not options.words:
                await self._opening  # what it has to say is said before the prompt, not behind it
        async for text in self._turns():
            await session.say(text)
            await self._listen()
        if self._opening is not None:
            await self._opening
        if self._speaker is not None:
            await self._speaker.drain()
        return Exit.OK

    async def close(self) -> None:
        """Leave nothing half done, in whatever state we are."""
        with contextlib.suppress(OSError):  # whoever read us may be gone; the rest is owed all the same
            self._end_line()
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        if self._opening is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._opening
        if self._wav is not None:
            with contextlib.suppress(OSError):
                self._wav.close()
        if self._session is not None:
            await self._session.close()
        if self._speaker is not None:
            await asyncio.to_thread(self._speaker.close)

    # Where the turns come from

    async def _turns(self) -> AsyncIterator[str]:
        words: list[str] = self._options.words
        if words and words != ["-"]:
            for text in words:
                yield text
            return
        prompting = not words
        if prompting and sys.stdin.isatty():
            self._console.note("livews: a line is a turn; q or Ctrl-D ends")
        lines = _stdin_lines(self._prompt if prompting else None)
        while (line := await self._typed(lines)) is not None:
            if prompting and line.strip() == "q":
                return
            if line.strip():
                yield line
        if prompting and sys.stdin.isatty():
            self._console.say("")

    async def _typed(self, lines: AsyncIterator[str]) -> str | None:
        """The next line, None at the end; a close by the service while we wait is told at once, not at the next turn."""
        assert self._session is not None

        async def following() -> str | None:
            return await anext(lines, None)

        line = asyncio.create_task(following())
        ended = asyncio.create_task(self._session.wait_closed())
        try:
            await asyncio.wait({line, ended}, return_when=asyncio.FIRST_COMPLETED)
            if line.done():
                return line.result()
            self._console.progress("\n")  # leave the prompt's line
            ended.result()
            return None
        finally:
            for task in (line, ended):
                task.cancel()
            await asyncio.gather(line, ended, return_exceptions=True)

    def _prompt(self) -> None:
        stream = sys.stdout if sys.stdout.isatty() and sys.stdin.isatty() else sys.stderr
        stream.write(PROMPT)
        stream.flush()

    # What the model answers

    async def _listen(self) -> None:
        """One turn, and the turn behind it when a tool call of ours was answered in between."""
        session = self._session
        assert session is not None
        self._console.status("…")
        watch = asyncio.create_task(self._watch())
        try:
            await self._hear_out(session)
        finally:
            watch.cancel()
        self._end_turn()

    async def _watch(self) -> None:
        """Say it when nothing comes: a service that stalls says nothing itself."""
        assert self._session is not None
        self._last = self._session.clock()
        while (quiet := self._session.clock() - self._last) < STALL:  # noqa: ASYNC110 (nothing sets an event)
            await asyncio.sleep(STALL - quiet)
        self._console.warn(f"nothing has come for {STALL:g} s; the service may have stalled (Ctrl-C leaves)")

    async def _hear_out(self, session: client.Session) -> None:
        """The events of the turn, each to where it belongs."""
        answered = True
        while answered:
            answered = False
            async for event in session.turn():
                self._last = session.clock()
                if self._options.json:
                    self._console.data(lines.as_json(event, session.clock()))
                match event:
                    case e.Audio():
                        answered = False  # this is what the model makes of the answer
                        self._hear(event)
                    case e.Transcript(of="model") | e.Text(thought=False):
                        answered = False
                        self._words(event.text)
                    case e.Interrupted():
                        if self._speaker is not None:
                            self._speaker.flush()
                    case e.GenerationComplete():
                        self._last += self._heard_seconds  # turnComplete waits until all has been heard (TURN-3)
                        if self._speaker is not None:
                            self._speaker.turn_ended()
                        self._end_line()
                        if self._speaker is not None and not self._speaker.idle:
                            self._console.status("playing …")
                    case e.ToolCall():
                        # where a call ends the turn, a second turn speaks about the answer
                        answered = session.conversation.profile["wire"]["toolCallEndsTurn"]
                        if self._speaker is not None:
                            self._speaker.turn_ended()  # the pause for the answer is no underrun
                        await self._refuse_tool(event)
                    case e.GoAway():
                        left = f"in {event.seconds:g} s" if event.seconds is not None else "soon"
                        self._console.warn(f"the service closes this connection {left} (goAway)")
                self._tell_news()
                self._tell_faults()

    def _hear(self, event: e.Audio) -> None:
        self._heard_seconds += len(event.pcm) / 2 / event.rate
        if self._wav is not None:
            try:
                self._wav.write(event.pcm, event.rate)
            except OSError as problem:
                raise _no_wav(problem, self._options.wav) from None
            if not self._options.json:
                self._console.progress(f"{event.mime_type} ." if event.mime_type != self._mime_type else ".")
        self._mime_type = event.mime_type
        if self._speaker is not None:
            self._speaker.play(event.pcm, event.rate)

    def _words(self, text: str) -> None:
        if self._options.json:
            return
        if self._options.trace_view or (self._wav is not None and self._console.live):
            self._held.append(text)  # lines or dots are being drawn: the words follow in one piece
            return
        if not self._console.mid_line:
            text = text.lstrip()
        if text:
            self._console.say(text, end="")

    def _end_line(self) -> None:
        if self._held:
            if self._wav is not None:
                self._console.progress("\n")
            self._console.say("".join(self._held).strip())
            self._held = []
        self._console.end_line()

    def _end_turn(self) -> None:
        self._end_line()
        self._console.clear()
        if self._wav is not None:
            if self._heard_seconds:
                self._console.note(f"{self._wav.path}: {one_line(self._mime_type)}, {self._heard_seconds:.1f} s")
            else:
                self._console.note("no sound came in this turn, so no WAV was written for it")
            self._wav.end_turn()
        self._heard_seconds, self._mime_type = 0.0, ""

    async def _refuse_tool(self, call: e.ToolCall) -> None:
        """No function is known here: say so, rather than leave the model waiting (TOOL-3)."""
        assert self._session is not None
        self._console.warn(f"the model called {one_line(call.name)}(), which is not here; it was told so")
        await self._session.respond(call.id, call.name, {"error": f"there is no function {call.name} here"})

    def _tell_news(self) -> None:
        assert self._session is not None
        news = self._session.conversation.news
        for name in sorted(set(news) - self._news):
            self._console.note(f"livews: the service sent {one_line(name)}, which no schema has yet")
        self._news.update(news)

    def _tell_faults(self) -> None:
        """What the service sent and nobody could read, once a kind."""
        assert self._session is not None
        for rule, words in _SKIPPED.items():
            if self._session.conversation.server_faults[rule] and rule not in self._news:
                self._news.add(rule)
                self._console.warn(f"the service sent {words} ({rule}); it was skipped, --trace shows it")

    def _remark(self, finding: Finding) -> None:
        if finding.level == "refused":
            self._console.warn(
                f"{finding.complaint} ({finding.rule}): the service is likely to refuse it; {finding.cure}"
            )
        else:
            self._console.note(f"livews: {finding.complaint} ({finding.rule})")

    # The parts

    async def _connect(self, settings: endpoint.Settings) -> client.Session:
        options, console = self._options, self._console
        recorders: list[Callable[[endpoint.Endpoint], Recorder]] = [
            partial(TraceFile.of, name, media=options.trace_media) for name in options.trace_files
        ]
        if options.trace_view:
            from livews.trace.show import View

            recorders.append(lambda where: View(console.line, console.paint, where.secrets.hide))
        try:
            return await client.connect(
                options.model,
                settings=settings,
                voice=options.voice,
                system=options.system,
                text=options.text,
                setup=options.setup_message,
                recorders=tuple(recorders),
                unchecked=options.unchecked,
                remark=self._remark,
                open_timeout=options.timeout,
            )
        except LocalProtocolError as problem:
            if options.setup:
                problem.where = f"{options.setup}, {problem.where}"
            raise

    async def _open_speaker(self) -> None:
        """PortAudio, loaded and opened off the event loop; without it one line, and the words go on."""
        from livews.audio.device import NoSound
        from livews.audio.speaker import Speaker

        loop = asyncio.get_running_loop()

        def lost(why: NoSound) -> None:
            loop.call_soon_threadsafe(self._no_sound, why)

        device = self._options.device
        speaker = Speaker(device=int(device) if device.isdecimal() else device or None, on_lost=lost)
        self._speaker = speaker  # what arrives while the device opens is kept and played then
        try:
            await asyncio.to_thread(speaker.start)
        except NoSound as why:
            self._speaker = None
            if device:
                raise _NoDevice(why.what, where=f"--device {device}", why=why.why, cure=why.cure) from None
            self._no_sound(why)

    def _no_sound(self, why: NoSound) -> None:
        self._speaker = None
        self._console.warn(f"{why.what}: {why.why}. {why.cure}.".replace("..", "."))


class _NoDevice(LivewsError):
    exit_code = Exit.NO_SOUND


def _open_wav(path: str) -> WavTurns:
    from livews.audio.wav import WavTurns

    try:
        return WavTurns(path)
    except OSError as problem:
        raise _no_wav(problem, path) from None


def _no_wav(problem: OSError, path: str) -> BadRequest:
    return BadRequest(
        "cannot write the WAV",
        where=path,
        why=str(getattr(problem, "why", "") or problem.strerror or problem),
        cure=str(getattr(problem, "cure", "") or "name another file, or a folder ending in /"),
    )


async def _stdin_lines(prompt: Any) -> AsyncIterator[str]:
    """Lines of stdin as they are typed. A thread reads them, so the session goes on meanwhile."""
    import threading

    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    wanted = threading.Semaphore(0)

    def put(line: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody listens any more
            loop.call_soon_threadsafe(queue.put_nowait, line)

    def read() -> None:
        # os.read and not sys.stdin: a thread inside sys.stdin keeps the interpreter from ending
        held = b""
        while True:
            wanted.acquire()
            while b"\n" not in held:
                try:
                    piece = os.read(sys.stdin.fileno(), 65536)
                except OSError:
                    piece = b""
                if not piece:
                    if held:
                        put(held.decode(errors="replace"))
                        held = b""
                        wanted.acquire()
                    put(None)
                    return
                held += piece
            raw, held = held.split(b"\n", 1)
            put(raw.decode(errors="replace").rstrip("\r"))

    threading.Thread(target=read, name="livews-stdin", daemon=True).start()
    while True:
        if prompt is not None:
            prompt()
        wanted.release()
        line = await queue.get()
        if line is None:
            return
        yield line
