"""What the model answers, each event to where it belongs: words, loudspeaker, WAV, JSON, trace.

- One reader for the whole session: nothing waits for a turn to end before it is heard.
- After `interrupted` the loudspeaker is silent within one block, and nothing of that turn is heard any more.
- A reply is over when no tool call is open and no result of a tool waits for a turn that speaks about it.
- What was really heard of a reply is known, shown and written down, for every reply.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from livews import client
from livews.audio.analysis import levels
from livews.audio.analysis.pcm import seconds_of
from livews.cli import json_events as lines
from livews.cli.console import Console
from livews.cli.latency import ReplyLatency, Stopwatch
from livews.cli.output import Output
from livews.core import events as e
from livews.errors import Closed, RemoteProtocolError
from livews.terminal_text import one_line

if TYPE_CHECKING:
    from livews.audio.self_interruption import SelfInterruption
    from livews.audio.speaker import Speaker
    from livews.audio.wav import WavTurns

STALL = 20.0
"""Seconds without a frame in a turn before it is said."""
ANOTHER = 3.0
"""Seconds in which another turn may begin, where the model has spoken about some of several results."""
_SKIPPED = {"WIRE-2": "a frame that is no JSON object", "WIRE-3": "media that is no base64"}
_METER_SECONDS = 0.05
_SILENT_DEVICE = 3.0
"""Seconds in which a device that plays has asked for nothing."""


class Replies:
    """Takes the events of one session until it is over."""

    def __init__(self, options: argparse.Namespace, console: Console, display: Output, watch: Stopwatch) -> None:
        self._options = options
        self._console = console
        self._display = display
        self.watch = watch
        self.speaker: Speaker | None = None
        self.wav: WavTurns | None = None
        self.echo: SelfInterruption | None = None
        """Told of starts and interruptions, where the loudspeaker may be what interrupts."""
        self.session: client.Session | None = None
        self.ended_at = float("-inf")
        """When the last reply was over, on the stopwatch's clock."""
        self.tokens: e.Usage | None = None
        self.closes_at: float | None = None
        """When the service will close the connection, on the stopwatch's clock."""
        self._over = asyncio.Event()
        self._over.set()
        self._awaited = False
        """A turn has ended, and another comes without a prompt."""
        self._lingering: asyncio.TimerHandle | None = None
        self._called: dict[str, None] = {}
        """Functions that were called since a reply was asked for, in their order."""
        self._stopped = False
        self._wav_seconds = self._wav_total = 0.0
        self._wav_path: Path | None = None
        self._mime_type = ""
        self._last = 0.0
        self._news: set[str] = set()
        self._meters: deque[tuple[ReplyLatency, float, float]] = deque(maxlen=2000)
        self._telling: list[asyncio.Task[None]] = []
        self._guarding: asyncio.Task[None] | None = None
        self._refusing: list[asyncio.Task[None]] = []
        self._first_sound: float | None = None

    # For whoever speaks

    def asked(self) -> None:
        """A reply is asked for, now: `done` waits for it."""
        self.watch.asked()
        self._last = self.watch.clock()
        self._goes_on()
        self._called.clear()
        self._display.status("thinking")

    async def done(self, after: float | None = None) -> None:
        """Wait for the end of the reply that was asked for, or of the first that ends later than `after`.

        A service that stalls is told after 20 s, and is given up after --turn-timeout; so is one that does not speak
        about a tool's result.
        """
        self._last = max(self._last, self.watch.clock())
        warned = False
        while not self._over.is_set() or (after is not None and self.ended_at <= after):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(STALL, 1.0)):
                    if after is None:
                        await self._over.wait()
                    else:
                        await self._ended_again()
            quiet = self.watch.clock() - self._last
            if quiet >= STALL and not warned:
                warned = True
                self._console.warn(f"{self._missing()} (Ctrl-C leaves)")
            if quiet >= self._options.turn_timeout and self._owed:
                raise RemoteProtocolError(
                    f"no spoken answer to the result of {self._tools()} within {self._options.turn_timeout:g} s",
                    why="the turn that called is over, the result was sent, and the service says nothing about it",
                    fix="see with --trace what was sent; --turn-timeout S waits longer",
                )
            if quiet >= self._options.turn_timeout:
                raise RemoteProtocolError(
                    f"no reply: nothing has come for {self._options.turn_timeout:g} s",
                    why="the socket is open and the service says nothing, not even why"
                    if after is None
                    else "the service heard no end of speech in what was sent, or has stalled",
                    fix="see with --trace what was sent last; --turn-timeout S waits longer",
                )

    def _missing(self) -> str:
        """What has not come since STALL."""
        if self.session is not None and self.session.conversation.pending:
            return f"nothing has come for {STALL:g} s; {self._tools()} has not answered yet"
        if self._awaited:
            return f"no spoken answer to the result of {self._tools()} has come for {STALL:g} s"
        return f"nothing has come for {STALL:g} s; the service may have stalled"

    @property
    def _owed(self) -> bool:
        """The service is to speak about a result, and nothing of ours is missing for it."""
        return self._awaited and self.session is not None and not self.session.conversation.pending

    async def _ended_again(self) -> None:
        ended = self.ended_at
        while self.ended_at == ended:  # noqa: ASYNC110 (a reply may begin and end between two looks at an event)
            await asyncio.sleep(0.02)

    def stop(self) -> bool:
        """Silence what is being said, and what of it still comes; False when nothing is."""
        playing = self.speaker is not None and not self.speaker.idle and not self.speaker.buffer.overdue
        working = self.session is not None and self.session.stop_tools("stopped by the user")
        if self._stopped or not (self.watch.reply or playing or working):
            return False
        self._stopped = self.watch.reply is not None
        self._cut()
        self._display.model_done("stopped")
        self._display.status("")
        return True

    @property
    def stopped(self) -> bool:
        """What is being said was silenced, and is not over yet."""
        return self._stopped

    # What comes

    async def run(self, session: client.Session) -> None:
        """Take every event until the session is over; raises Closed when the service closed it with an error."""
        self.session = session
        self._guarding = asyncio.create_task(self._guard())
        async for event in session.events():
            self._last = max(self._last, self.watch.clock())
            if self._options.json:
                self._console.data(lines.as_json(event, session.clock()))
            self._take(event)
            self._tell_news(session)
            self._tell_faults(session)

    def _take(self, event: e.Event) -> None:
        match event:
            case e.Audio():
                self._began()
                self._hear(event)
            case e.Transcript(of="model") | e.Text(thought=False):
                self._began()
                if not self._stopped:
                    self._display.model(event.text)
            case e.Transcript(of="user"):
                self._display.user(event.text, interim=event.interim)
                if event.finished:
                    self._display.user_done()
            case e.Interrupted():
                self._interrupted()
            case e.GenerationComplete():
                self._generated()
            case e.ToolCall():
                self.watch.arrived()
                self._goes_on()
                self._called[one_line(event.name, 60)] = None
                if not event.handled:
                    self._refusing.append(asyncio.create_task(self._refuse(event)))
                if self.speaker is not None:
                    self.speaker.turn_ended()  # the pause for the answer is no underrun
                self._display.status("tool", one_line(event.name, 30))
            case e.ToolCancelled():
                states = event.step.states
                if self._awaited and states["turn"] != "waitingForTool" and states["answer"] == "none":
                    self.over()  # the turn was over, and no other call is open: nothing more comes
            case e.Usage():
                self.tokens = event
            case e.GoAway():
                if event.seconds is not None:
                    self.closes_at = self.watch.clock() + event.seconds
                left = f"in {event.seconds:g} s" if event.seconds is not None else "soon"
                self._console.warn(f"the service closes this connection {left} (goAway)")
            case e.TurnEnd():
                self._turn_ended(event)

    async def _refuse(self, call: e.ToolCall) -> None:
        """No function is known here: say so, rather than leave the model waiting (TOOL-3)."""
        assert self.session is not None
        self._console.warn(f"the model called {one_line(call.name)}(), which is not here; it was told so")
        with contextlib.suppress(Closed):  # who reads the session is told
            await self.session.respond(call.id, call.name, {"error": f"there is no function {call.name} here"})

    def _began(self) -> None:
        self._goes_on()
        self.watch.arrived()

    def _goes_on(self) -> None:
        """Something of a reply came, or is on its way: it is not over."""
        self._over.clear()
        self._awaited = False
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def _hear(self, event: e.Audio) -> None:
        reply = self.watch.arrived()
        seconds = seconds_of(len(event.pcm), event.rate)
        self._wav_seconds += seconds
        if self.wav is not None:
            self.wav.write(event.pcm, event.rate)
            self._display.dots(f"{event.mime_type} ." if event.mime_type != self._mime_type else ".")
        self._mime_type = event.mime_type
        if self._stopped:
            return
        played = None
        if self.speaker is not None:
            turn = self.speaker.play(event.pcm, event.rate)
            played = None if turn is None else (self.speaker.buffer, turn)
        first = reply.first_sound_at is None
        reply.sound(event.pcm, event.rate, self.watch.clock(), played)
        if first and reply.first_sound_at is not None:
            self._first_sound = reply.after(reply.first_sound_at)
            if self.echo is not None and played is not None:
                self.echo.playback_started(reply.first_sound_at)
            self._display.status("model")
        self._measure(reply, event.pcm, event.rate)

    def _interrupted(self) -> None:
        if self.watch.reply is not None:
            self.watch.reply.interrupted = True
        self._cut()
        if self.echo is not None and (advice := self.echo.interrupted(self.watch.clock())):
            self._console.warn(advice)

    def _cut(self) -> None:
        reply = self.watch.reply
        if self.speaker is not None:
            if reply is not None and reply.heard_at_interruption is None and (heard := reply.heard()):
                reply.heard_at_interruption = float(heard["heardMs"]) / 1000
            self.speaker.flush()
        self._meters.clear()

    def _generated(self) -> None:
        reply = self.watch.reply
        if reply is not None:
            self._last += reply.received  # turnComplete waits until all has been heard (TURN-3)
        if self.speaker is not None:
            self.speaker.turn_ended()
        if not self._stopped:
            self._display.model_done()
        if self.speaker is not None and not self.speaker.idle:
            self._display.status("model")

    def _turn_ended(self, event: e.TurnEnd) -> None:
        if self.speaker is not None:
            self.speaker.turn_ended()
        if event.waiting:
            self._awaited = True
            if event.interrupted:  # by a result: what comes is another reply than the one that was cut
                self._told()
            if event.step.states["turn"] != "waitingForTool":
                self._display.status("thinking")
        elif event.step.states["answer"] == "perhaps":
            self._told()
            self._lingering = asyncio.get_running_loop().call_later(ANOTHER, self._release)
        else:
            self.over()

    def _tools(self) -> str:
        return ", ".join(f"{name}()" for name in self._called) or "a tool"

    def over(self) -> None:
        """The reply is complete: tell what is to be told of it, and let who waits go on."""
        self._told()
        self._release()

    def settle(self) -> bool:
        """Nothing more comes: a reply that is complete, as far as is known, is over. False when none is."""
        if self._lingering is None:
            return False
        self._lingering.cancel()
        self._release()
        return True

    def _release(self) -> None:
        self._awaited, self._lingering = False, None
        self.ended_at = self.watch.clock()
        self._over.set()

    def _told(self) -> None:
        """Tell what is to be told of the reply that has ended."""
        self._display.user_done()
        reply = self.watch.ended()
        if reply is not None:
            self._telling = [task for task in self._telling if not task.done()]
            self._telling.append(asyncio.create_task(self._tell_heard(reply)))
        self._display.model_done(
            "interrupted" if reply is not None and reply.interrupted and not self._stopped else ""
        )
        self._display.status("")
        self._stopped = False
        self._end_wav()

    # What is told

    async def _guard(self) -> None:
        """Say it when the loudspeaker hangs: PortAudio does not."""
        told = False
        while True:
            await asyncio.sleep(1.0)
            if self._awaited and STALL <= self.watch.clock() - self._last < STALL + 2:
                self._display.status("")  # nobody knows whether it thinks
            stalled = self.speaker is not None and self.speaker.buffer.overdue > _SILENT_DEVICE
            if stalled and not told:
                self._console.warn(
                    f"the loudspeaker has asked for no sound for {_SILENT_DEVICE:g} s: its device or the sound server "
                    "hangs. The words go on; restart the sound server, or choose another --device"
                )
            elif told and not stalled:
                self._console.note("livews: the loudspeaker plays again")
            told = stalled

    async def _tell_heard(self, reply: ReplyLatency) -> None:
        """When all of it was played, say how quickly it came and how much of it was heard."""
        try:
            while reply.queued or (
                self.speaker is not None and self.speaker.buffer.remaining > 0 and not reply.interrupted
            ):
                if self.speaker is None or self.speaker.lost is not None:
                    break
                await asyncio.sleep(0.02)
            if reply.interrupted:
                await asyncio.sleep(0.1)  # what the device holds is heard out
        finally:
            self.watch.count(reply)
            if self.session is not None:
                latency, heard = reply.latency(), reply.heard()
                if self._options.json:
                    t = round(self.session.clock(), 6)
                    self._console.data(lines.line({"event": "latency", "t": t, **latency}))
                    if heard:
                        self._console.data(lines.line({"event": "heard", "t": t, **heard}))
                if heard:
                    self.session.note("heard", heard)

    async def finish(self) -> None:
        """Tell what is still to be told; nothing more is played."""
        if self._lingering is not None:
            self._lingering.cancel()
        await asyncio.sleep(0)  # a task that never began has no end in which it tells
        tasks, self._telling = self._telling, []
        if self._guarding is not None:
            tasks.append(self._guarding)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end_wav(self) -> None:
        if self.wav is not None:
            if self._wav_seconds:
                told = f"{self._wav_seconds:.1f} s"
                if self.wav.path == self._wav_path:  # a file for all turns
                    told = f"{told} more, {self._wav_total + self._wav_seconds:.1f} s in all"
                else:
                    self._wav_path, self._wav_total = self.wav.path, 0.0
                self._wav_total += self._wav_seconds
                self._console.note(f"{self.wav.path}: {one_line(self._mime_type)}, {told}")
            else:
                self._console.note("no sound came in this turn, so no WAV was written for it")
            self.wav.end_turn()
        self._wav_seconds, self._mime_type = 0.0, ""

    @property
    def first_sound(self) -> float | None:
        """Seconds from the end of what the user said to the first sound of the last reply."""
        return self._first_sound

    def loudness(self) -> float | None:
        """dBFS of what leaves the loudspeaker now; None: nothing does."""
        if self.speaker is None or self.speaker.idle or self.speaker.buffer.overdue:
            return None
        heard = self.speaker.buffer.heard_ms() / 1000
        while len(self._meters) > 1 and self._meters[1][1] <= heard:
            self._meters.popleft()
        return self._meters[0][2] if self._meters else None

    def _measure(self, reply: ReplyLatency, pcm: bytes, rate: int) -> None:
        """Keep the loudness of what arrived, by its place in the reply, for the meter."""
        size = int(_METER_SECONDS * rate) * 2
        start = reply.received - seconds_of(len(pcm), rate)
        for at in range(0, len(pcm), size):
            self._meters.append((reply, start + seconds_of(at, rate), levels.loudness(pcm[at : at + size])))

    def _tell_news(self, session: client.Session) -> None:
        news = session.conversation.news
        if len(news) > 0 and not self._news.issuperset(news):
            for name in sorted(set(news) - self._news):
                self._console.note(f"livews: the service sent {one_line(name)}, which no schema has yet")
            self._news.update(news)

    def _tell_faults(self, session: client.Session) -> None:
        """What the service sent and nobody could read, once a kind."""
        for rule, words in _SKIPPED.items():
            if session.conversation.server_faults[rule] and rule not in self._news:
                self._news.add(rule)
                self._console.warn(f"the service sent {words} ({rule}); it was skipped, --trace shows it")
