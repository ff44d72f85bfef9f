"""A conversation at the terminal: who speaks when, and the parts it is made of.

- Words go to stdout as they come; everything else goes to stderr.
- What cannot work (a file, a tool, a requested microphone) is reported before anything is dialled.
- Playback degrades: without a library or device there is one line about it, and the words all the same.
- However the session ends (the last turn, `q`, a signal, a close), the WAV and the trace are complete.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from livews import client, endpoint, setup_message
from livews.advice import closes
from livews.cli import network, session_inputs
from livews.cli.console import Console
from livews.cli.kept_session import KeptSession
from livews.cli.limits import ConversationLimits
from livews.cli.output import PROMPT, JsonOutput, Output, Unsent
from livews.cli.replies import Replies
from livews.cli.signals import ignore_interrupts, on_signal
from livews.cli.stdin import TypedLines
from livews.core import models
from livews.core.rules import Finding
from livews.errors import BadRequest, Closed, LivewsError, LocalProtocolError, Refused, located
from livews.exit_codes import Exit
from livews.recorder import Recorder
from livews.session.policy import ReconnectPolicy
from livews.trace.writer import TraceFile

if TYPE_CHECKING:
    from livews.audio.analysis.vad import VoiceActivityDetector
    from livews.audio.echo_canceller import EchoCanceller
    from livews.audio.file_source import FileSource
    from livews.audio.microphone import Microphone
    from livews.audio.portaudio import AudioUnavailable
    from livews.cli.live_view import LiveView
    from livews.cli.microphone_sender import MicrophoneSender
    from livews.cli.view_rows import ViewState
    from livews.media import Camera, Screen
    from livews.session.session import Session
    from livews.tools import ToolRun

OFFLINE = "offline, the built-in stand-in answers"
NO_KEY = (
    "no key is set, so the built-in stand-in answers; to reach Gemini set GOOGLE_API_KEY "
    "(https://aistudio.google.com/apikey)"
)
_ANNOUNCED = (
    "The service closes each connection after some time, and had announced that with goAway. Nothing that was sent caused it.",
    "leave out --no-resume: then the session goes on on another connection",
)
"""Why, and what somebody at a terminal can do: what the closes advise is for programs."""
_HURRY = 1.0
"""Seconds for the server to answer the close where the conversation was cut short."""
AGAIN = 5.0
"""Seconds in which a second Ctrl-C leaves if the first ended no turn."""


async def talk(options: argparse.Namespace, console: Console) -> int:
    """Run the whole session; the exit code."""
    # The audio thread must get the interpreter within a millisecond, however busy the event loop is.
    sys.setswitchinterval(0.001)
    async with contextlib.AsyncExitStack() as stack:
        inputs = stack.enter_context(contextlib.closing(session_inputs.SessionInputs(options, console.environment)))
        settings = await network.connection_settings(options, console, stack, (OFFLINE, NO_KEY))
        conversation = TerminalConversation(options, console, inputs)
        stack.push_async_callback(conversation.close)
        try:
            return await conversation.run(settings)
        except LivewsError as problem:
            if isinstance(problem, Closed) and problem.announced is not None and problem.advice.retry == "resume":
                problem.why, problem.fix = _ANNOUNCED
            await conversation.finish()  # before the reason; the server may take its time to answer the close
            unsent = conversation.unsent()
            conversation.output.failure(problem, conversation.seconds, unsent)
            console.error(problem)
            for line in unsent.sentences():
                console.warn(line)
            return problem.exit_code


class TerminalConversation:
    """One run of the command. It is also what the live view calls."""

    def __init__(self, options: argparse.Namespace, console: Console, inputs: session_inputs.SessionInputs) -> None:
        self._options = options
        self._console = console
        self._inputs = inputs
        self._is_typed = not (options.words or options.mic_files)
        """Turns are typed at a prompt."""
        self._interactive = options.mic_open or self._is_typed
        """The user may speak or type at any time, until he leaves."""
        self._view: LiveView | None = None
        if self._interactive and not options.json and console.environment.can_draw:
            from livews.cli.live_view import LiveView

            self._view = LiveView(options, console, self)
        self.output: Output = self._view or (JsonOutput if options.json else Output)(options, console)
        self._replies = Replies(options, console, self.output)
        self._limits = ConversationLimits(options, console)
        self._session: Session | None = None
        self._kept: KeptSession | None = None
        """Where --resume keeps the conversation."""
        self._microphone: Microphone | None = None
        self._sender: MicrophoneSender | None = None
        self._canceller: EchoCanceller | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._closers: list[Callable[[], None]] = []
        self._said = 0
        """Number of the turns that were sent."""
        self._to_say = [] if options.words == ["-"] else [*options.words, *options.mic_files]
        """Texts and files that are not sent yet."""
        self._lines = TypedLines(console.environment.stdin)
        self._voice: VoiceActivityDetector | None = None
        """Detects speech in what was sent last."""
        self._exit = Exit.OK
        self._is_complete = False
        """It has ended as intended: the server gets its time to answer the close."""
        self._left: asyncio.Future[LivewsError | None] = asyncio.get_running_loop().create_future()
        """Done when the user leaves by Ctrl-C, or when what a key requested fails, which is its result."""
        self._interrupted_at = float("-inf")

    @property
    def seconds(self) -> float:
        """Since the connection was opened."""
        return self._session.clock() if self._session is not None else 0.0

    async def run(self, settings: endpoint.Settings) -> int:
        """Open the devices, connect, talk; the exit code."""
        options, replies = self._options, self._replies
        model = options.model or str((self._inputs.setup or {}).get("model") or "")
        self._limits.check(model, "vertex" if settings.vertex else "gemini")
        if options.wav:
            from livews.audio.wav import WavTurns

            replies.wav = WavTurns(options.wav, self._console.warn)
            self._closers.append(replies.wav.close)
        if options.device:
            await self._open_speaker()
        if options.mic_open:
            await self._open_microphone()
        if options.echo_cancel:
            from livews.audio.echo_canceller import EchoCanceller

            with located("--echo-cancel"):
                self._canceller = EchoCanceller((self._microphone or self._inputs.files[0]).rate)
        camera = await self._open_camera()
        self._console.status("connecting …")
        session = self._session = replies.session = await self._connect(settings)
        self._console.clear()
        self.output.ready(session)
        opening: list[asyncio.Task[None]] = []
        if not (options.text or options.mute or replies.speaker):
            opening.append(asyncio.create_task(self._open_speaker()))
            self._tasks += opening
            if self._interactive:
                await opening[0]  # so that its note comes before the prompt
        for picture in self._inputs.pictures:
            if picture.note:
                self._console.note(f"livews: {picture.note}")
            await session.send_image(picture.data, picture.mime_type)
        if camera is not None:
            self._tasks.append(asyncio.create_task(self._send_pictures(session, camera)))
        await self._until_over(session)
        await asyncio.gather(*opening)
        if replies.speaker is not None and self._exit == Exit.OK:
            await replies.speaker.drain()
        await replies.finish()
        was_spoken = self._interactive or bool(options.mic)
        self.output.summary(replies.watch.summary(), self.seconds, was_spoken=was_spoken)
        self._is_complete = self._exit == Exit.OK
        return self._exit

    def unsent(self) -> Unsent:
        """What the user wanted to send, or sent in vain."""
        if self._session is None:
            return Unsent()
        voice, results = self._voice, list(self._session.conversation.pending.values())
        spoken = voice is not None and (voice.began_at or float("-inf")) > self._replies.answered_at
        turns = [*self._to_say, *(self._lines.rest() if self._options.words == ["-"] else ())]
        return Unsent(
            turns, self._said + len(turns), voice.speech.seconds if voice is not None and spoken else 0.0, results
        )

    async def finish(self) -> None:
        """End what is shown and reported of the conversation."""
        with contextlib.suppress(OSError, BadRequest):  # the reader of stdout may be gone
            self.output.model_done()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(OSError):
            await self._replies.finish()

    async def close(self) -> None:
        """Leave everything complete, whatever was reached."""
        await self.finish()
        if self._replies.speaker is not None:
            self._closers.append(self._replies.speaker.close)
        closing = [asyncio.create_task(asyncio.to_thread(close)) for close in self._closers]
        if self._session is not None:
            loop = asyncio.get_running_loop()
            slow = loop.call_later(1.0, self._console.status, "waiting for the server to close …")
            try:
                await self._session.close(patience=None if self._is_complete else _HURRY)
            finally:
                slow.cancel()
                self._console.clear()
            self._keep(self._session)
        self.output.spent()  # a count may have come last
        await asyncio.gather(*closing)

    def _keep(self, session: Session) -> None:
        """Keep the conversation for the next run with --resume."""
        if self._kept is None:
            return
        if session.handle:
            self._kept.save(session.handle, session.endpoint)
            self._console.note(f"livews: kept in {self._kept.path}; the same --resume goes on with it")
        else:
            self._console.warn("the service gave no handle, so this conversation cannot be gone on with")

    # Who speaks when

    async def _until_over(self, session: Session) -> None:
        """Hear and speak until either ends."""
        hearing = asyncio.create_task(self._replies.run())
        speaking = asyncio.create_task(self._speak(session))
        limiting = asyncio.create_task(self._limits.run(session, self._is_idle))
        self._tasks += [hearing, speaking, limiting]
        ends: list[asyncio.Future[Any]] = [hearing, speaking, limiting, self._left]
        with on_signal(signal.SIGINT, self.on_interrupt):
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if self._exit == Exit.INTERRUPTED:
            ignore_interrupts()
            if not self._interactive:
                raise KeyboardInterrupt
        if hearing.done():
            if self._replies.settle():
                await asyncio.wait({speaking}, timeout=1.0)
            if not speaking.done():
                self._console.progress("\n")  # leave the line of the prompt
            hearing.result()
            if not speaking.done():
                raise Closed(closes.explain(1000), where=session.endpoint.shown)
        if speaking.done():
            speaking.result()
        if limiting.done():
            limiting.result()
            self._replies.stop()
            if self._is_typed and not speaking.done():
                self._console.progress("\n")  # leave the line of the prompt
            self.output.limit(self._limits.option, self._limits.reached, self.unsent())
        if self._left.done() and (failure := self._left.result()) is not None:
            raise failure

    def _is_idle(self) -> bool:
        """Whether nothing is running or playing, and the user does not speak."""
        speaker, sender = self._replies.speaker, self._sender
        is_quiet = (speaker is None or speaker.idle) and (sender is None or not sender.vad.talking)
        return is_quiet and self._session is not None and not self._session.connection.is_busy()

    async def _speak(self, session: Session) -> None:
        """All the user says: the TEXTs, then the files, then what is said or typed until he leaves."""
        options = self._options
        if self._microphone is not None:
            await self._listen(session, self._microphone)
            return
        if options.words != ["-"]:
            await self._say_all(session, options.words)
        for name, file in zip(options.mic_files, self._inputs.files, strict=True):
            await self._speak_file(name, file)
        if options.words == ["-"]:
            async for line in self._lines:
                if line.strip():
                    await self._say_all(session, [line])
        elif self._is_typed:
            await self._prompt(session)

    async def _say(self, session: Session, text: str) -> None:
        if text not in self._to_say:
            self._to_say.append(text)
        await self._limits.admit()
        await session.say(text)
        self._sent(text)
        self._replies.requested()

    def _sent(self, turn: str) -> None:
        self._to_say.remove(turn)
        self._said += 1

    async def _say_all(self, session: Session, texts: list[str]) -> None:
        """Say each text and wait for the reply to it."""
        for text in texts:
            await self._say(session, text)
            await self._replies.wait()

    async def _prompt(self, session: Session) -> None:
        """Each line is a turn. In the live view one may type at any time; else the next line is read after the reply."""
        if self._view is not None:
            await self._view.run()
            return
        env = self._console.environment
        if env.stdin_is_terminal:
            self._console.note("livews: a line is a turn; q or Ctrl-D ends")
        async for line in TypedLines(env.stdin, self._show_prompt):
            if line.strip() == "q":
                return
            if line.strip():
                await self._say_all(session, [line])
        if env.stdin_is_terminal:
            self._console.say("")

    def _show_prompt(self) -> None:
        env = self._console.environment
        stream = env.stdout if env.stdout_is_terminal and env.stdin_is_terminal else env.stderr
        stream.write(PROMPT)
        stream.flush()

    async def _speak_file(self, name: str, source: FileSource) -> None:
        """Stream a WAV file as if it were spoken now, and wait for the reply to the last of it."""
        await self._limits.admit()
        sender = self._sender = self._sender_of(source)
        try:
            await sender.talk(True)
            await sender.run()
            self._sent(name)
        finally:
            source.close()
            self._sender = None
        end = source.speech_ends_at
        if end is None or sender.vad.began_at is None:
            self._console.warn(f"{name}: no sound in it that could be speech, so no reply is awaited")
        else:
            self._replies.watch.requested(end)
            await self._replies.wait(after=None if self._options.push_to_talk else end)

    async def _listen(self, session: Session, microphone: Microphone) -> None:
        """The microphone is open, from the first TEXT on; lines may be typed as well, until the user leaves."""
        sender = self._sender = self._sender_of(microphone)
        microphone.muted = False
        typing = asyncio.create_task(self._view.run() if self._view is not None else self._type(session, sender))
        others = (self._stream(sender, microphone), self._say_all(session, self._options.words))
        running = {typing, *map(asyncio.create_task, others)}
        self._tasks += running
        while not typing.done():
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _stream(self, sender: MicrophoneSender, microphone: Microphone) -> None:
        """Until the device goes away; the session goes on then, with what is typed."""
        await sender.run()
        self._sender = None
        if microphone.lost is not None:
            self._console.warn(f"{microphone.lost.sentence()} You can go on typing.")

    async def _type(self, session: Session, sender: MicrophoneSender) -> None:
        """Take lines until q; at the end of stdin the microphone stays open."""
        how = "Enter begins and ends your turn" if self._options.push_to_talk else "speak; a line is a turn, too"
        self._console.note(f"livews: {how}; Ctrl-C stops the reply, a second one leaves, as q does")
        async for line in self._lines:
            if line.strip() == "q":
                return
            if line.strip():
                await self._say(session, line)
            elif self._options.push_to_talk:
                await sender.talk(not sender.open)
                self._console.note("livews: talking, Enter ends" if sender.open else "livews: sent")
        await asyncio.Event().wait()

    # What the live view calls

    def on_line(self, line: str) -> None:
        self.output.typed(line)
        self._start(self._say(self._replies.session, line))

    def on_talk(self) -> None:
        if self._sender is None or (self._sender.muted and not self._sender.open):
            why = "the microphone is muted: Ctrl-T" if self._sender is not None else "there is no microphone"
            self.output.hint(why)
        else:
            self._start(self._sender.talk(not self._sender.open))

    def on_mute(self) -> None:
        if self._sender is not None:
            self._start(self._sender.mute(not self._sender.muted))

    def fill(self, state: ViewState) -> None:
        replies, sender, clock = self._replies, self._sender, self._replies.watch.clock()
        state.age = self.seconds
        state.closes_in = None if replies.closes_at is None else max(0.0, replies.closes_at - clock)
        state.first_sound = replies.first_sound
        state.out_db = replies.loudness() if replies.speaker is not None else None
        if replies.tokens is not None:
            state.tokens_in, state.tokens_out = replies.tokens.prompt_by, replies.tokens.response_by
        state.mic_db, state.closed, state.muted = None, False, False
        if sender is not None:
            state.mic_db, state.closed, state.muted = sender.db, sender.closed, sender.muted
            if sender.open and self._options.push_to_talk:
                state.who, state.detail = "talking", ""
            elif sender.open and not state.who:
                state.who = "you" if sender.vad.talking else "listening"

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what a key requested; a failure ends the session as any other would."""

        async def run() -> None:
            try:
                await work
            except LivewsError as problem:
                self._leave(problem)

        self._tasks.append(asyncio.create_task(run()))

    def _leave(self, failure: LivewsError | None = None) -> None:
        if not self._left.done():
            self._left.set_result(failure)

    # Ctrl-C

    def on_interrupt(self) -> None:
        """In an interactive session Ctrl-C ends the turn, and a second one leaves; else it leaves."""
        now = self._replies.watch.clock()
        is_second = now - self._interrupted_at < AGAIN
        self._interrupted_at = now
        if self._interactive and self._replies.stop():
            self.output.hint("stopped; Ctrl-C again leaves")
        elif self._view is not None and not is_second and not self._replies.stopped:
            self.output.hint("Ctrl-C again leaves")
        else:
            self._exit = Exit.INTERRUPTED
            self._leave()

    # The parts

    async def _connect(self, settings: endpoint.Settings) -> Session:
        options, console = self._options, self._console
        recorders: list[Callable[[endpoint.Endpoint], Recorder]] = [
            partial(TraceFile.of, name, media=options.trace_media) for name in options.trace_files
        ]
        recorders.append(lambda where: self._replies.session_watch)
        if options.trace_view:
            from livews.trace.view import TraceView

            recorders.append(lambda where: TraceView(console.line, console.paint, where.secrets.redact))
        model, handle = options.model or str(setup_message.bare(self._inputs.setup or {}).get("model") or ""), ""
        if options.resume:
            kept = self._kept = KeptSession(options.resume.removeprefix("-"), console.environment.variables)
            model = model or kept.model or models.default_model()
            handle = kept.handle(endpoint.resolve(settings, model))
        try:
            return await self._open(settings, model, handle, recorders)
        except Refused as problem:
            if not handle or problem.advice.retry != "fresh":
                raise
            console.warn(f"the kept conversation is gone: {problem.advice.meaning} A new one begins.")
            return await self._open(settings, model, "", recorders)
        except LocalProtocolError as problem:
            if options.setup:
                problem.where = f"{options.setup}, {problem.where}"
            raise

    async def _open(
        self,
        settings: endpoint.Settings,
        model: str,
        handle: str,
        recorders: list[Callable[[endpoint.Endpoint], Recorder]],
    ) -> Session:
        options = self._options
        session = await client.connect(
            model,
            settings=settings,
            voice=options.voice,
            system=options.system,
            text=options.text,
            setup=self._inputs.setup,
            tools=self._inputs.tools,
            on_tool=self._on_tool,
            recorders=tuple(recorders),
            unchecked=options.unchecked,
            reconnect=None if options.no_resume else ReconnectPolicy(),
            handle=handle,
            remark=self._remark,
            open_timeout=options.timeout,
        )
        self._replies.session_watch.begin(session.conversation)
        return session

    async def _open_speaker(self) -> None:
        """PortAudio or a player, opened off the event loop; without either one line, and the words go on."""
        from livews.audio.portaudio import AudioUnavailable
        from livews.audio.speaker import Speaker

        loop = asyncio.get_running_loop()

        def lost(why: AudioUnavailable) -> None:
            loop.call_soon_threadsafe(self._no_sound, why)

        device = self._options.device
        speaker = Speaker(device=session_inputs.device_of(device), on_lost=lost, listened=self._options.echo_cancel)
        self._replies.speaker = speaker  # it keeps what arrives while the device opens
        try:
            await asyncio.to_thread(speaker.start)
        except AudioUnavailable as why:
            if device:
                why.where = f"--device {device}"
                raise
            self._no_sound(why)
        else:
            if speaker.fallback:
                self._console.note(f"livews: {speaker.fallback}")

    def _no_sound(self, why: AudioUnavailable) -> None:
        self._replies.speaker = None
        self._console.warn(why.sentence())

    async def _open_microphone(self) -> None:
        """Before dialling: a requested microphone that is missing is reported at once."""
        from livews.audio.microphone import Microphone

        device = self._options.mic_device
        microphone = Microphone(session_inputs.device_of(device))
        microphone.muted = True  # nothing is kept before there is a session
        with located(f"--mic-device {device}" if device else "--mic"):
            await asyncio.to_thread(microphone.start)
        self._microphone = microphone
        self._closers.append(microphone.close)
        if not (self._options.half_duplex or self._options.echo_cancel):
            from livews.audio.echo import SelfInterruption

            self._replies.echo = SelfInterruption()

    def _sender_of(self, source: Microphone | FileSource) -> MicrophoneSender:
        from livews.cli.microphone_sender import MicrophoneSender

        sender = MicrophoneSender(source, self._replies, self._console, self._options, self._canceller)
        self._voice = sender.vad
        return sender

    async def _open_camera(self) -> Screen | Camera | None:
        """The screen or the camera, if requested; nothing else is ever captured."""
        options = self._options
        if not (options.screen or options.camera):
            return None
        from livews import media

        what = "screen" if options.screen else "camera"
        make = media.Screen if options.screen else partial(media.Camera, options.camera_device)
        source = make(most_pixels=options.picture_size)
        with located(f"--{what}"):
            await asyncio.to_thread(source.start)
        self._closers.append(source.close)
        self._console.note(f"livews: the model sees your {what}, a picture a second, until you leave")
        return source

    async def _send_pictures(self, session: Session, source: Screen | Camera) -> None:
        async for picture in source.frames():
            await session.send_image(picture.data, picture.mime_type)
        if source.lost is not None:
            self._console.warn(source.lost.sentence())

    def _on_tool(self, run: ToolRun) -> None:
        if run.done and not (run.refused and not self._replies.is_shown("call")):
            self.output.tool(run, self.seconds)

    def _remark(self, finding: Finding) -> None:
        if finding.level == "refused":
            refused = f"{finding.complaint} ({finding.rule}): the service is likely to refuse it"
            self._console.warn(f"{refused}. {finding.fix}")
        elif finding.rule.startswith(("AUDIO-", "ACTIVITY-")):
            self._console.warn(f"{finding.complaint} ({finding.rule}). {finding.fix}")
        else:
            self._console.note(f"livews: {finding.complaint} ({finding.rule})")
