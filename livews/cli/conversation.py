"""A conversation at the terminal: who speaks when, and the parts that make it up.

- The words go to stdout as they come; everything else is on stderr.
- What cannot work (a file, a tool, a microphone that was asked for) is told before anything is dialled.
- Sound steps down: no library or no device means one line about it and the words all the same.
- Whatever ends the session (the last turn, `q`, Ctrl-C, a close), the WAV and the trace are whole.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from livews import client, endpoint
from livews.cli import connection_options, session_inputs
from livews.cli import json_events as lines
from livews.cli.console import Console, ignore_interrupts
from livews.cli.latency import Stopwatch
from livews.cli.microphone_sender import MicrophoneSender
from livews.cli.output import Output, PlainOutput
from livews.cli.replies import Replies
from livews.cli.stdin import typed_lines
from livews.core import closes, codec
from livews.core.rules import Finding
from livews.errors import Closed, LivewsError, LocalProtocolError, located
from livews.exit_codes import Exit
from livews.recorder import Recorder
from livews.terminal_text import one_line
from livews.trace.writer import TraceFile

if TYPE_CHECKING:
    from livews.audio.echo_canceller import EchoCanceller
    from livews.audio.file_source import FileSource
    from livews.audio.microphone import Microphone
    from livews.audio.portaudio import AudioUnavailable
    from livews.audio.wav import WavTurns
    from livews.cli.conversation_view import ConversationView as LiveView
    from livews.cli.view_state import ViewState
    from livews.media import Camera, Screen
    from livews.tools import ToolRun

PROMPT = "message > "
OFFLINE = "offline, the built-in stand-in answers"
NO_KEY = (
    "no key is set, so the built-in stand-in answers; to reach Gemini set GOOGLE_API_KEY "
    "(https://aistudio.google.com/apikey)"
)
AGAIN = 5.0
"""Seconds in which a second Ctrl-C leaves where none ended a turn."""


async def talk(options: argparse.Namespace, console: Console) -> int:
    """Run the whole session; the exit code."""
    # The sound thread must get the interpreter within a millisecond, however busy the event loop is.
    sys.setswitchinterval(0.001)
    async with contextlib.AsyncExitStack() as stack:
        wishes = stack.enter_context(contextlib.closing(session_inputs.SessionInputs(options)))
        settings = await connection_options.settle(options, console, stack, offline=OFFLINE, no_key=NO_KEY)
        conversation = _Talk(options, console, wishes)
        stack.push_async_callback(conversation.close)
        try:
            return await conversation.run(settings)
        except LivewsError as problem:
            if options.json:
                console.data(lines.failure(problem, conversation.seconds))
            raise


class _Talk:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, console: Console, wishes: session_inputs.SessionInputs) -> None:
        self._options = options
        self._console = console
        self._wishes = wishes
        self._watch = Stopwatch()
        self._live: LiveView | None = None
        self._display: Output = PlainOutput(options, console)
        self._session: client.Session | None = None
        self._replies: Replies | None = None
        self._opening: asyncio.Task[None] | None = None
        self._microphone: Microphone | None = None
        self._voice: MicrophoneSender | None = None
        self._canceller: EchoCanceller | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._closers: list[Callable[[], None]] = []
        self._leave = asyncio.Event()
        self._exit = Exit.OK
        self._failure: LivewsError | None = None
        self._interrupted_at = float("-inf")

    @property
    def seconds(self) -> float:
        return self._session.clock() if self._session is not None else 0.0

    @property
    def _interactive(self) -> bool:
        """Someone may speak or type at any time, until he leaves."""
        return self._options.mic_open or not (self._options.words or self._options.mic_files)

    async def run(self, settings: endpoint.Settings) -> int:
        options = self._options
        if self._interactive and not options.json and options.words != ["-"]:
            from livews.cli import view_state

            if view_state.usable():
                from livews.cli.conversation_view import ConversationView

                view = ConversationView(self._console, self, talks=options.push_to_talk, mutes=options.mic_open)
                self._display = self._live = view
        replies = self._replies = Replies(options, self._console, self._display, self._watch)
        if options.wav:
            replies.wav = _open_wav(options.wav)
        if options.device:
            await self._open_speaker()
        if options.mic_open:
            await self._open_microphone()
        if options.echo_cancel:
            self._canceller = _canceller(self._microphone.rate if self._microphone else self._wishes.files[0].rate)
        source = await self._open_pictures()
        self._console.status("connecting …")
        session = self._session = await self._connect(settings)
        self._console.clear()
        if options.json:
            ready = {"event": "ready", "t": round(self.seconds, 6), "sessionId": session.session_id}
            self._console.data(lines.line({**ready, "model": session.endpoint.model}))
        if not (options.text or options.mute or replies.speaker):
            self._opening = asyncio.create_task(self._open_speaker())
            if self._interactive:
                await self._opening  # what it has to say is said before the prompt, not behind it
        for picture in self._wishes.stills:
            if picture.note:
                self._console.note(f"livews: {picture.note}")
            await session.send_image(picture.data, picture.mime_type)
        if source is not None:
            self._tasks.append(asyncio.create_task(self._look(source)))
        await self._until_over(session, replies)
        if self._opening is not None:
            await self._opening
        if replies.speaker is not None and self._exit == Exit.OK:
            await replies.speaker.drain()
        await replies.finish()
        self._summarise()
        return self._exit

    async def close(self) -> None:
        """Leave nothing half done, in whatever state we are."""
        with contextlib.suppress(OSError):  # whoever read us may be gone; the rest is owed all the same
            self._display.model_done()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        if self._opening is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._opening
        closing = [asyncio.create_task(asyncio.to_thread(close)) for close in self._closers]
        if self._replies is not None and self._replies.speaker is not None:
            closing.append(asyncio.create_task(asyncio.to_thread(self._replies.speaker.close)))
        if self._replies is not None:
            with contextlib.suppress(OSError):
                await self._replies.finish()
            if self._replies.wav is not None:
                with contextlib.suppress(OSError):
                    self._replies.wav.close()
        if self._session is not None:
            await self._session.close()
        await asyncio.gather(*closing)

    # Who speaks when

    async def _until_over(self, session: client.Session, replies: Replies) -> None:
        """Hear and speak until either has an end."""
        hearing = asyncio.create_task(replies.run(session))
        speaking = asyncio.create_task(self._speak(session, replies))
        leaving = asyncio.create_task(self._leave.wait())
        self._tasks += [hearing, speaking, leaving]
        with self._signals():
            await asyncio.wait({hearing, speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if hearing.done():
            if replies.settle():
                await asyncio.wait({speaking}, timeout=1.0)
            if not speaking.done():
                self._console.progress("\n")  # leave the prompt's line
            hearing.result()
            if not speaking.done() and not self._interactive:
                raise Closed(closes.explain(1000), where=session.endpoint.shown)
        if speaking.done():
            speaking.result()
        if self._failure is not None:
            raise self._failure

    async def _speak(self, session: client.Session, replies: Replies) -> None:
        """Everything the user says: the TEXTs, then the files, then whatever is said or typed until he leaves."""
        options = self._options
        if self._microphone is not None:
            await self._converse(session, replies, self._microphone)
            return
        if options.words != ["-"]:
            await self._say_all(options.words)
        for name, file in zip(options.mic_files, self._wishes.files, strict=True):
            await self._say_file(session, replies, name, file)
        if options.words == ["-"]:
            async for line in typed_lines(None):
                if line.strip():
                    await self._say(line)
                    await replies.done()
        elif not (options.words or options.mic_files):
            await self._prompt(replies)

    async def _say_all(self, words: list[str]) -> None:
        assert self._replies is not None
        for text in words:
            await self._say(text)
            await self._replies.done()

    async def _say(self, text: str) -> None:
        assert self._session is not None
        assert self._replies is not None
        await self._session.say(text)
        self._replies.asked()

    async def _prompt(self, replies: Replies) -> None:
        """A line is a turn. On a terminal one may type all the while; else the next line is read after the reply."""
        if self._live is not None:
            await self._live.run()
            return
        if sys.stdin.isatty():
            self._console.note("livews: a line is a turn; q or Ctrl-D ends")
        async for line in typed_lines(self._show_prompt):
            if line.strip() == "q":
                return
            if line.strip():
                await self._say(line)
                await replies.done()
        if sys.stdin.isatty():
            self._console.say("")

    def _show_prompt(self) -> None:
        stream = sys.stdout if sys.stdout.isatty() and sys.stdin.isatty() else sys.stderr
        stream.write(PROMPT)
        stream.flush()

    async def _say_file(self, session: client.Session, replies: Replies, name: str, source: FileSource) -> None:
        """Stream a WAV file as if it were spoken now, and wait for the reply to the last of it."""
        voice = self._voice = self._voice_of(source, session, replies)
        try:
            await voice.talk(True)
            await voice.run()
            await voice.end()
        finally:
            source.close()
            self._voice = None
        spoken = source.speech_ends_at
        if spoken is None or voice.talking.began_at is None:
            self._console.warn(f"{name}: no sound in it that could be speech, so no reply is waited for")
        else:
            self._watch.asked(spoken)
            await replies.done(after=None if self._options.push_to_talk else spoken)

    async def _converse(self, session: client.Session, replies: Replies, microphone: Microphone) -> None:
        """The microphone is open, from the first TEXT on; lines may be typed as well."""
        voice = self._voice = self._voice_of(microphone, session, replies)
        microphone.muted = False
        streaming = asyncio.create_task(self._stream(voice, microphone))
        typing = asyncio.create_task(self._live.run() if self._live is not None else self._type(voice))
        saying = asyncio.create_task(self._say_all(self._options.words))
        self._tasks += [streaming, typing, saying]
        running = {streaming, typing, saying}
        while running and not self._leave.is_set():  # what has come to its end is fine, until the last one does
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _stream(self, voice: MicrophoneSender, microphone: Microphone) -> None:
        """Until the device goes away; the session goes on then, with what is typed."""
        await voice.run()
        await voice.end()
        self._voice = None
        if (lost := microphone.lost) is not None:
            self._console.warn(f"{lost.what}: {lost.why}. {lost.fix}. You can go on typing.".replace("..", "."))
        await asyncio.Event().wait()

    async def _type(self, voice: MicrophoneSender) -> None:
        if not self._options.quiet:
            how = "Enter begins and ends your turn" if self._options.push_to_talk else "speak; a line is a turn, too"
            self._console.note(f"livews: {how}; Ctrl-C stops the reply, a second one leaves, as q does")
        async for line in typed_lines(None):
            if line.strip() == "q":
                self._leave.set()
                return
            if line.strip():
                await self._say(line)
            elif self._options.push_to_talk:
                await voice.talk(not voice.open)
                self._console.note("livews: talking, Enter ends" if voice.open else "livews: sent")

    # What the live view asks and tells

    def typed(self, line: str) -> None:
        assert self._live is not None
        self._live.typed(line)
        self._soon(self._say(line))

    def leave(self) -> None:
        self._leave.set()

    def talked(self, on: bool) -> None:
        assert self._live is not None
        if self._voice is None or (on and self._voice.muted):
            self._live.talk_ended()
            self._hint("the microphone is muted: Ctrl-T" if self._voice is not None else "there is no microphone")
            return
        self._soon(self._voice.talk(on))

    def muted(self, on: bool) -> None:
        assert self._live is not None
        if on:
            self._live.talk_ended()  # a turn that was begun ends here
        if self._voice is not None:
            self._soon(self._voice.mute(on))

    def fill(self, shown: ViewState) -> None:
        replies, voice, clock = self._replies, self._voice, self._watch.clock()
        assert replies is not None
        shown.age = self.seconds
        shown.closes_in = None if replies.closes_at is None else max(0.0, replies.closes_at - clock)
        shown.first_sound = replies.first_sound
        shown.out_db = replies.loudness() if replies.speaker is not None else None
        if replies.tokens is not None:
            shown.tokens_in, shown.tokens_out = replies.tokens.prompt_by, replies.tokens.response_by
        shown.who, shown.detail = "", ""
        shown.mic_db, shown.closed = None, False
        if voice is not None:
            shown.mic_db, shown.closed = voice.db, voice.closed
            shown.who = ("you" if voice.talking.talking else "listening") if voice.open else ""

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Something the user did with a key; what it fails with ends the session as anything else would."""

        async def done() -> None:
            try:
                await work
            except LivewsError as problem:
                self._failure = self._failure or problem
                self._leave.set()

        self._tasks.append(asyncio.create_task(done()))

    # Ctrl-C

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """In a conversation Ctrl-C ends the turn, and a second one leaves; elsewhere it leaves."""
        if not self._interactive or self._options.words == ["-"]:
            yield
            return
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGINT, self.on_interrupt)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread: it leaves at once
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            if self._exit == Exit.INTERRUPTED:
                ignore_interrupts()

    def on_interrupt(self) -> None:
        replies, now = self._replies, self._watch.clock()
        again = now - self._interrupted_at < AGAIN
        self._interrupted_at = now
        if replies is not None and replies.stop():
            self._hint("stopped; Ctrl-C again leaves")
            return
        if self._live is not None and not again and not (replies is not None and replies.stopped):
            self._hint("Ctrl-C again leaves")
            return
        self._exit = Exit.INTERRUPTED
        self._leave.set()

    def _hint(self, text: str) -> None:
        if self._live is not None:
            self._live.hint(text)
        else:
            self._console.note(f"livews: {text}")

    # The parts

    async def _connect(self, settings: endpoint.Settings) -> client.Session:
        options, console = self._options, self._console
        recorders: list[Callable[[endpoint.Endpoint], Recorder]] = [
            partial(TraceFile.of, name, media=options.trace_media) for name in options.trace_files
        ]
        if options.trace_view:
            from livews.trace.view import TraceView

            recorders.append(lambda where: TraceView(console.line, console.paint, where.secrets.redact))
        try:
            return await client.connect(
                options.model,
                settings=settings,
                voice=options.voice,
                system=options.system,
                text=options.text,
                setup=self._wishes.setup,
                tools=self._wishes.tools,
                on_tool=self._tool_ran,
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
        """PortAudio or a player, opened off the event loop; without any one line, and the words go on."""
        from livews.audio.portaudio import AudioUnavailable
        from livews.audio.speaker import Speaker

        assert self._replies is not None
        loop = asyncio.get_running_loop()

        def lost(why: AudioUnavailable) -> None:
            loop.call_soon_threadsafe(self._no_sound, why)

        device = self._options.device
        speaker = Speaker(device=session_inputs.device_of(device), on_lost=lost, listened=self._options.echo_cancel)
        self._replies.speaker = speaker  # what arrives while the device opens is kept and played then
        try:
            await asyncio.to_thread(speaker.start)
        except AudioUnavailable as why:
            self._replies.speaker = None
            if device:
                why.where = f"--device {device}"
                raise
            self._no_sound(why)
            return
        if speaker.fallback:
            self._console.note(f"livews: {speaker.fallback}")

    def _no_sound(self, why: AudioUnavailable) -> None:
        assert self._replies is not None
        self._replies.speaker = None
        self._console.warn(why.sentence())

    async def _open_microphone(self) -> None:
        """Before dialling: who asks for the microphone and has none is told at once."""
        from livews.audio.microphone import Microphone

        options = self._options
        microphone = Microphone(session_inputs.device_of(options.mic_device))
        microphone.muted = True  # nothing is kept before the session is there
        with located(f"--mic-device {options.mic_device}" if options.mic_device else "--mic"):
            await asyncio.to_thread(microphone.start)
        self._microphone = microphone
        self._closers.append(microphone.close)

    def _voice_of(self, source: Any, session: client.Session, replies: Replies) -> MicrophoneSender:
        from livews.audio.analysis.vad import VoiceActivityDetector
        from livews.audio.echo_gate import EchoGate
        from livews.audio.self_interruption import SelfInterruption

        options = self._options
        if not (options.half_duplex or options.echo_cancel) and source is self._microphone:
            replies.echo = SelfInterruption()
        return MicrophoneSender(
            source,
            session,
            replies,
            self._console,
            VoiceActivityDetector(),
            manual=options.push_to_talk,
            gate=EchoGate(rate=source.rate) if options.half_duplex else None,
            canceller=self._canceller,
        )

    async def _open_pictures(self) -> Screen | Camera | None:
        """The screen or the camera, where one was asked for; nothing else is ever captured."""
        options = self._options
        if not (options.screen or options.camera):
            return None
        from livews import media

        source: Screen | Camera
        if options.screen:
            source = media.Screen(most_pixels=options.picture_size)
        else:
            source = media.Camera(options.camera_device, most_pixels=options.picture_size)
        with located("--screen" if options.screen else "--camera"):
            await asyncio.to_thread(source.start)
        self._closers.append(source.close)
        what = "screen" if options.screen else "camera"
        self._console.note(f"livews: the model sees your {what}, a picture a second, until you leave")
        return source

    async def _look(self, source: Screen | Camera) -> None:
        assert self._session is not None
        async for picture in source.frames():
            await self._session.send_image(picture.data, picture.mime_type)
        if source.lost is not None:
            self._console.warn(source.lost.sentence())

    # What is told

    def _tool_ran(self, run: ToolRun) -> None:
        if self._options.json and run.done:
            row = {"event": "tool", "t": round(self.seconds, 6), "id": run.call_id, "name": run.name}
            row |= {"seconds": round(run.seconds, 3), "cancelled": run.cancelled, "error": run.error}
            self._console.data(lines.line(row))
        if run.done:
            self._console.note(tool_line(run), "tool")

    def _remark(self, finding: Finding) -> None:
        if finding.level == "refused":
            self._console.warn(
                f"{finding.complaint} ({finding.rule}): the service is likely to refuse it; {finding.fix}"
            )
        else:
            self._console.note(f"livews: {finding.complaint} ({finding.rule})")

    def _summarise(self) -> None:
        """The latencies of the session, at its end: for people where it was spoken or at a prompt, in --json always."""
        summary = self._watch.summary()
        if self._options.json:
            row = {"event": "summary", "t": round(self.seconds, 6), **summary}
            self._console.data(lines.line(row))
        elif (self._interactive or self._options.mic) and summary:
            names = {"firstByte": "first byte", "firstSound": "first sound", "firstPlayed": "heard"}
            told = ", ".join(f"{names[name]} {row['p50']:.2f} / {row['p95']:.2f} s" for name, row in summary.items())
            count = max(int(row["replies"]) for row in summary.values())
            self._console.note(
                f"livews: {count} {'reply' if count == 1 else 'replies'}, from the end of your words (p50 / p95): {told}"
            )


def tool_line(run: ToolRun) -> str:
    """A call that is over, on one line."""
    args = ", ".join(f"{name}={_brief(value)}" for name, value in run.args.items())
    outcome = f"failed: {run.error}" if run.error else "cancelled" if run.cancelled else _brief(run.result)
    return one_line(f"{run.name}({args}) → {outcome}  ({run.seconds:.1f} s)", 300)


def _brief(value: Any) -> str:
    text = codec.dump(value).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"


def _canceller(rate: int) -> EchoCanceller:
    from livews.audio.echo_canceller import EchoCanceller

    with located("--echo-cancel"):
        return EchoCanceller(rate)


def _open_wav(path: str) -> WavTurns:
    from livews.audio.wav import WavTurns

    return WavTurns(path)
