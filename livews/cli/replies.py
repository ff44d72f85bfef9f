"""Handles what the model answers: words to the output, audio to the loudspeaker and the WAV, latencies, warnings.

- One reader for the whole session: nothing waits for a turn to end before it is heard.
- After `interrupted` the loudspeaker is silent within one block, and nothing more of that turn is heard.
- A reply is over when no tool call is open and no result of a tool waits for a turn that speaks about it.
- What was heard of each reply is known, shown and written to the trace.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Coroutine
from itertools import islice
from typing import TYPE_CHECKING, Any

from livews.audio.analysis import levels
from livews.audio.analysis.pcm import seconds_of
from livews.cli.console import Console
from livews.cli.latency import ReplyLatency, Stopwatch
from livews.cli.limits import limit_words
from livews.cli.output import Output
from livews.cli.session_watch import SessionWatch
from livews.core import events as e
from livews.errors import Closed, RemoteProtocolError
from livews.session.events import Dropped, Reconnecting, Resumed, SessionLimit
from livews.terminal_text import one_line

if TYPE_CHECKING:
    from livews.audio.echo import SelfInterruption
    from livews.audio.speaker import Speaker
    from livews.audio.wav import WavTurns
    from livews.session.session import Session

STALL = 20.0
"""Seconds without a frame in a turn until there is a warning."""
ANOTHER = 3.0
"""Seconds in which another turn may begin after the model has spoken about some of several results."""
_SKIPPED = {
    "WIRE-2": "a frame that is not a JSON object",
    "WIRE-3": "media that is not base64",
    "WIRE-15": "a message that is too large to be read",
}
_TOLD = 20
"""Notices of a kind that are shown one by one; the rest is counted at the end."""
_REST = {
    "call": "{:,} more calls of the model were answered with an error",
    "goAway": "{:,} more times the service said that it closes this connection",
    "no audio": "no audio came in {:,} more turns",
    "wav": "the audio of {:,} more turns was written",
    "interrupted": "{:,} more replies were interrupted",
    "ending": "{:,} more turns ended badly",
    "reconnecting": "{:,} more connections ended",
    "resumed": "{:,} more times the session went on on a new connection",
}
"""What a service can repeat without end, and how the rest is counted."""
_NAME = 100
"""Characters of a name that the service made up."""
_METER_SECONDS = 0.05
_SILENT_DEVICE = 3.0
"""Seconds in which a playing device has requested nothing until there is a warning."""


class Replies:
    """Takes the events of one session until it is over."""

    def __init__(self, options: argparse.Namespace, console: Console, output: Output) -> None:
        self._options = options
        self._console = console
        self._output = output
        self.watch = Stopwatch()
        self.speaker: Speaker | None = None
        self.wav: WavTurns | None = None
        self.echo: SelfInterruption | None = None
        """Warns when the loudspeaker may be what interrupts."""
        self.session_watch = SessionWatch()
        self.session: Session
        """Set when it is open, before anything is awaited, stopped or run."""
        self.ended_at = float("-inf")
        """When the last reply was over, on the stopwatch's clock."""
        self.answered_at = float("-inf")
        """When something of a reply last came, on the stopwatch's clock."""
        self.tokens: e.Usage | None = None
        self.closes_at: float | None = None
        """When the service will close the connection, on the stopwatch's clock."""
        self.first_sound: float | None = None
        """Seconds from the end of the user's turn to the first sound of the last reply."""
        self._away = False
        """There is no connection now."""
        self.stopped = False
        """The reply was silenced by the user, and is not over yet."""
        self._over = asyncio.Event()
        self._over.set()
        self._awaits_turn = False
        """A turn has ended, and another comes without a prompt."""
        self._lingering: asyncio.TimerHandle | None = None
        """Runs while another turn may come."""
        self._called: dict[str, None] = {}
        """Functions that were called since the reply was requested, in their order."""
        self._mime_type = ""
        self._last_event = 0.0
        """When something last came, on the stopwatch's clock."""
        self._warned = False
        """Since the last event there was a warning that nothing comes."""
        self._after: float | None = None
        """A reply that ends later than this is awaited, on the stopwatch's clock."""
        self._awaits_answer = False
        """The user has spoken, and nothing of a reply has come since."""
        self._reported: set[str] = set()
        """Faults of the service that were reported."""
        self._news = 0
        """How many names that no schema has were reported."""
        self._refused: dict[str, e.ToolCall] = {}
        """Calls that are to be answered with an error, by id or name."""
        self._notices: Counter[str] = Counter()
        """Notices by kind, a key of `_REST`."""
        self._meter: deque[tuple[float, float]] = deque(maxlen=2000)
        """Loudness of what arrived: place in the reply in seconds, dBFS."""
        self._tasks: list[asyncio.Task[None]] = []
        """What reports and refuses beside the events, until `finish`."""

    # For the side that speaks

    def requested(self) -> None:
        """A reply is requested, now: `wait` waits for it."""
        self.watch.requested()
        self._last_event, self._warned = self.watch.clock(), False
        self._reply_goes_on()
        self._called.clear()
        self._output.status("thinking")

    def spoken(self, end: float) -> None:
        """The user stopped speaking at `end`, as far as is known here; the service need not answer."""
        self.watch.requested(end)
        self._last_event, self._warned, self._awaits_answer = self.watch.clock(), False, True

    async def wait(self, after: float | None = None) -> None:
        """Wait for the end of the requested reply, or of the first that ends later than `after`."""
        self._last_event = max(self._last_event, self.watch.clock())
        self._after = after
        while self._is_awaited():
            # a reply that is over may be one before it; another may begin and end between two looks
            await (asyncio.sleep(0.02) if self._over.is_set() else self._over.wait())
        self._after = None

    def _is_awaited(self) -> bool:
        return not self._over.is_set() or (self._after is not None and self.ended_at <= self._after)

    def _check_stall(self) -> None:
        """Warn after 20 s without a frame. RemoteProtocolError after --turn-timeout, also when the model does not speak
        about the result of a tool; not while a tool of ours runs, and not after speech that may have been noise."""
        if (stall := self.session_watch.stall()) is not None:
            self._console.warn(f"{stall}. {stall.fix}")
        quiet, awaited = self.watch.clock() - self._last_event, self._is_awaited()
        if not (awaited or self._awaits_answer):
            return
        if quiet >= STALL and not self._warned:
            self._warned = True
            self._console.warn(f"{self._what_is_missing(awaited)} (Ctrl-C leaves)")
            if self._awaits_turn:
                self._output.status("")  # it is not known whether it thinks
        if not awaited or quiet < self._options.turn_timeout or self.session.conversation.pending:
            return
        limit = f"{self._options.turn_timeout:g} s"
        what = f"no reply: nothing has come for {limit}"
        why = "the connection is open and the service sends nothing, not even a reason"
        if self._awaits_turn:
            what = f"no spoken answer to the result of {self._tools()} within {limit}"
            why = "the turn that called is over, the result was sent, and the service says nothing about it"
        elif self._after is not None:
            why = "the service detected no end of speech in what was sent, or has stalled"
        fix = "see with --trace what was sent last; --turn-timeout S waits longer"
        raise RemoteProtocolError(what, why=why, fix=fix)

    def _what_is_missing(self, awaited: bool) -> str:
        if not awaited:
            return f"no answer to your speech has come for {STALL:g} s; the service detected none, or has stalled"
        if self.session.conversation.pending:
            return f"nothing has come for {STALL:g} s; {self._tools()} has not answered yet"
        if self._awaits_turn:
            return f"no spoken answer to the result of {self._tools()} has come for {STALL:g} s"
        return f"nothing has come for {STALL:g} s; the service may have stalled"

    def _tools(self) -> str:
        return ", ".join(f"{name}()" for name in self._called) or "a tool"

    def stop(self) -> bool:
        """Silence the reply and what still comes of it; False if there is none."""
        playing = self.speaker is not None and not self.speaker.idle and not self.speaker.buffer.overdue
        working = self.session.stop_tools("stopped by the user")
        if self.stopped or not (self.watch.reply or playing or working):
            return False
        self.stopped = self.watch.reply is not None
        self._flush()
        self._output.model_done("stopped")
        self._output.status("")
        return True

    # Events

    async def run(self) -> None:
        """Take every event until the session is over. Closed when the service closed it with an error, RemoteProtocolError
        when a reply has stalled."""
        tasks = [asyncio.create_task(work) for work in (self._take_all(), self._watch())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()

    async def _take_all(self) -> None:
        session = self.session
        async for event in session.events():
            self._last_event, self._warned = max(self._last_event, self.watch.clock()), False
            self._output.event(event, session.clock())
            self._take(event)
            self._report_news()

    def _take(self, event: e.Event) -> None:
        match event:
            case e.Audio():
                self._audio(event, self._reply_arrives())
            case e.Transcript(of="model") | e.Text(thought=False):
                self._reply_arrives()
                if not self.stopped:
                    self._output.model(event.text)
            case e.Transcript(of="user"):
                self._output.user(event.text, interim=event.interim)
                if event.finished:
                    self._output.user_done()
            case e.Interrupted():
                if self.watch.reply is not None:
                    self.watch.reply.interrupted = True
                self._flush()
                if self.echo is not None and (advice := self.echo.interrupted(self.watch.clock())):
                    self._console.warn(advice)
            case e.GenerationComplete():
                self._generation_complete()
            case e.ToolCall():
                self._reply_arrives()
                if len(self._called) < _TOLD:
                    self._called[one_line(event.name, 60)] = None
                if not event.handled:
                    self._refuse_call(event)
                self._end_playback_turn()  # the pause for the answer is not an underrun
                self._output.status("tool", one_line(event.name, 30))
            case e.ToolCancelled():
                states = event.step.states
                if self._awaits_turn and states["turn"] != "waitingForTool" and states["answer"] == "none":
                    self._end_reply()  # the turn was over, and no other call is open: nothing more comes
                    self._release()
            case e.Usage():
                self.tokens = event
            case e.GoAway():
                if event.seconds is not None:
                    self.closes_at = self.watch.clock() + event.seconds
                if not self._options.no_resume:  # the session goes on on another connection
                    return
                left = f"in {round(event.seconds, 1):g} s" if event.seconds is not None else "soon"
                if self.is_shown("goAway"):
                    self._console.warn(f"the service closes this connection {left} (goAway)")
            case SessionLimit():
                self._console.warn(limit_words(event, self.session.conversation.profile))
            case e.TurnEnd():
                self._turn_ended(event)
            case Reconnecting():
                self._reconnecting(event)
            case Resumed():
                self._resumed(event)
            case Dropped():
                self._console.warn(
                    f"{event.events:,} messages of the service were dropped: this terminal is too slow"
                )

    def _reconnecting(self, event: Reconnecting) -> None:
        """Say once of each end why the session goes on on another connection."""
        self._end_playback_turn()  # what was received is played; the pause is not an underrun
        if not self._over.is_set() and not event.planned:
            self._output.model_done()
        if not self._away:
            self._away = True
            how = "when there is something to send" if event.waiting else "again"
            if self.is_shown("reconnecting") and not event.planned:
                self._console.note(f"livews: {event.reason}; connecting {how} …")
        elif event.attempt > 1:
            self._console.status(f"connecting again in {event.delay:.0f} s (try {event.attempt}) …")

    def _resumed(self, event: Resumed) -> None:
        self._away, self.closes_at = False, None
        self.session_watch.begin(self.session.conversation)
        self._last_event = self.watch.clock()
        parts = [f"on a new connection after {event.seconds:.1f} s"]
        if event.fresh:
            parts.append("the service did not resume the session and was given what was said before")
        if event.resent:
            parts.append(f"{event.resent} {'message was' if event.resent == 1 else 'messages were'} sent again")
        if event.lost_ms:
            parts.append(f"{event.lost_ms / 1000:.1f} s of your voice were lost")
        if self.is_shown("resumed"):
            self._console.note(f"livews: {'; '.join(parts)}")
        self._output.status("" if self._over.is_set() else "thinking")

    def _refuse_call(self, call: e.ToolCall) -> None:
        """Have a call of an unknown function answered with an error, so that the model does not wait (TOOL-3)."""
        if not self._refused:
            self._start(self._answer_refused())
        self._refused[call.id or call.name] = call
        if self.is_shown("call"):
            name = one_line(call.name, _NAME)
            self._console.warn(f"the model called {name}(), which is not here; livews answered with an error")

    def is_shown(self, kind: str) -> bool:
        """Count a notice of this kind; whether it is one of the first, which are shown."""
        self._notices[kind] += 1
        return self._notices[kind] <= _TOLD

    async def _answer_refused(self) -> None:
        """Answer all calls of a frame in one message, as far as they are still open."""
        refused, self._refused = self._refused, {}
        answers: list[dict[str, Any]] = []
        for key, call in refused.items():
            if key in self.session.conversation.pending:
                ids = {"id": call.id} if call.id else {}
                answers.append(
                    {
                        **ids,
                        "name": call.name,
                        "response": {"error": f"there is no function {call.name[:_NAME]} here"},
                    }
                )
        if answers:
            with contextlib.suppress(Closed):  # `run` raises it
                await self.session.send_raw({"toolResponse": {"functionResponses": answers}})

    def _reply_arrives(self) -> ReplyLatency:
        self._reply_goes_on()
        self.answered_at = self.watch.clock()
        return self.watch.received()

    def _reply_goes_on(self) -> None:
        """Something of a reply came, or is on its way: it is not over."""
        self._over.clear()
        self._awaits_turn = self._awaits_answer = False
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def _audio(self, event: e.Audio, reply: ReplyLatency) -> None:
        if self.wav is not None:
            self.wav.write(event.pcm, event.rate)
            self._output.audio_received(event.mime_type, event.mime_type != self._mime_type)
            self._mime_type = event.mime_type
        if self.stopped:
            return
        queued = None
        if self.speaker is not None:
            turn = self.speaker.play(event.pcm, event.rate)
            queued = None if turn is None else (self.speaker.buffer, turn)
        was_silent = reply.first_sound_at is None
        reply.add_audio(event.pcm, event.rate, self.watch.clock(), queued)
        if was_silent and reply.first_sound_at is not None:
            self.first_sound = reply.after(reply.first_sound_at)
            if self.echo is not None and queued is not None:
                self.echo.playback_started(reply.first_sound_at)
            self._output.status("model")
        size = int(_METER_SECONDS * event.rate) * 2
        start = reply.received - seconds_of(len(event.pcm), event.rate)
        for at in range(0, len(event.pcm), size):
            level = levels.loudness(event.pcm[at : at + size])
            self._meter.append((start + seconds_of(at, event.rate), level))

    def _flush(self) -> None:
        """Silence the loudspeaker, and note how much was heard."""
        reply = self.watch.reply
        if self.speaker is not None:
            if reply is not None and reply.heard_at_interruption is None and (playback := reply.playback()):
                reply.heard_at_interruption = float(playback["heardMs"]) / 1000
            self.speaker.flush()
        self._meter.clear()

    def _end_playback_turn(self) -> None:
        if self.speaker is not None:
            self.speaker.turn_ended()

    def _generation_complete(self) -> None:
        if self.watch.reply is not None:
            self._last_event += self.watch.reply.received  # turnComplete waits until all has been heard (TURN-3)
        self._end_playback_turn()
        if not self.stopped:
            self._output.model_done()
        if self.speaker is not None and not self.speaker.idle:
            self._output.status("model")

    def _turn_ended(self, event: e.TurnEnd) -> None:
        for ending in self.session_watch.take_endings():
            is_noted = self.wav is not None and ending.rule == "TURN-5"  # where no WAV is written
            if not is_noted and self.is_shown("ending"):
                self._console.warn(str(ending))
        self._end_playback_turn()
        if event.waiting:
            self._awaits_turn = True
            if event.interrupted:  # by a result: what comes is another reply than the one that was cut
                self._end_reply()
            if event.step.states["turn"] != "waitingForTool":
                self._output.status("thinking")
            return
        self._end_reply()
        if event.step.states["answer"] == "perhaps":
            self._lingering = asyncio.get_running_loop().call_later(ANOTHER, self._release)
        else:
            self._release()

    def settle(self) -> bool:
        """The session has ended: a reply that is complete, as far as is known, is over. False if there is none."""
        if self._lingering is None:
            return False
        self._lingering.cancel()
        self._release()
        return True

    def _release(self) -> None:
        """The reply is over: let `wait` go on."""
        self._awaits_turn, self._lingering = False, None
        self.ended_at = self.watch.clock()
        self._over.set()

    def _end_reply(self) -> None:
        """Report the reply that has ended."""
        self._output.user_done()
        reply = self.watch.end_reply()
        if reply is not None:
            self._start(self._report_played(reply))
        is_interrupted = reply is not None and reply.interrupted and not self.stopped
        self._output.model_done("interrupted" if is_interrupted and self.is_shown("interrupted") else "")
        self._output.status("")
        self.stopped = False
        self._end_wav_turn()

    # Reports

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(work))

    async def _watch(self) -> None:
        """Look every second whether the reply stalls, and whether the loudspeaker hangs, which PortAudio does not report."""
        hung = False
        while True:
            start = self.watch.clock()
            await asyncio.sleep(min(STALL, 1.0))
            # time in which this process was stopped does not count: what came meanwhile is read next
            self._last_event += max(0.0, self.watch.clock() - start - 2.0)
            self._check_stall()
            hangs = self.speaker is not None and self.speaker.buffer.overdue > _SILENT_DEVICE
            if hangs and not hung:
                self._console.warn(
                    f"the loudspeaker has requested no audio for {_SILENT_DEVICE:g} s: its device or the sound server "
                    "hangs. The words go on; restart the sound server, or choose another --device"
                )
            elif hung and not hangs:
                self._console.note("livews: the loudspeaker plays again")
            hung = hangs

    async def _report_played(self, reply: ReplyLatency) -> None:
        """When all of a reply was played, report its latency and how much of it was heard."""
        try:
            while reply.queued or (
                self.speaker is not None and self.speaker.buffer.remaining > 0 and not reply.interrupted
            ):
                if self.speaker is None or self.speaker.lost is not None:
                    break
                await asyncio.sleep(0.02)
            if reply.interrupted:
                await asyncio.sleep(0.1)  # the device still plays what it holds
        finally:
            self.watch.count(reply)
            self._output.reply_played(reply, self.session.clock())
            if playback := reply.playback():
                self.session.note("heard", playback)

    async def finish(self) -> None:
        """Report what is still to be reported; nothing more is played."""
        if self._lingering is not None:
            self._lingering.cancel()
        await asyncio.sleep(0)  # a task that never began has no end in which it reports
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.wav is not None and self.wav.turn_seconds:  # of a turn that was left in its middle
            self._end_wav_turn()
        self._report_rest()

    def _end_wav_turn(self) -> None:
        if self.wav is None:
            return
        if self.wav.turn_seconds and self.is_shown("wav"):
            length = f"{self.wav.turn_seconds:.1f} s"
            if self.wav.file_seconds > self.wav.turn_seconds:  # one file for all turns
                length = f"{length} more, {self.wav.file_seconds:.1f} s in all"
            self._console.note(f"{self.wav.path}: {one_line(self._mime_type)}, {length}")
        elif not self.wav.turn_seconds and self.is_shown("no audio"):
            self._console.note("no audio came in this turn, so no WAV was written for it")
        self.wav.end_turn()
        self._mime_type = ""

    def loudness(self) -> float | None:
        """dBFS of what leaves the loudspeaker now; None if nothing does."""
        if self.speaker is None or self.speaker.idle or self.speaker.buffer.overdue:
            return None
        position = self.speaker.buffer.heard_ms() / 1000
        while len(self._meter) > 1 and self._meter[1][0] <= position:
            self._meter.popleft()
        return self._meter[0][1] if self._meter else None

    def _report_news(self) -> None:
        """Report, once each, names that no schema has and what the service sent that cannot be read."""
        conversation = self.session.conversation
        for name in islice(conversation.news, self._news, _TOLD):
            self._news += 1
            self._console.note(f"livews: the service sent {one_line(name, _NAME)}, which no schema has yet")
        for rule, what in _SKIPPED.items():
            if conversation.server_faults[rule] and rule not in self._reported:
                self._reported.add(rule)
                self._console.warn(f"the service sent {what} ({rule}); it was skipped, --trace shows it")

    def _report_rest(self) -> None:
        """Count, once, what was not reported one by one."""
        news, self._news = self._news, 0
        if news and (more := sum(islice(self.session.conversation.news.values(), _TOLD, None))):
            self._console.note(f"livews: the service sent {more:,} more names and values that no schema has")
        notices, self._notices = self._notices, Counter()
        for kind, words in _REST.items():
            if (more := notices[kind] - _TOLD) > 0:
                self._console.warn(words.format(more))
