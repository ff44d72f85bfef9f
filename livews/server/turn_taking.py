"""Who has the turn in one session: which input starts a reply, cuts one, or waits.

- A prompt interrupts the running reply, or waits for its end where setup asks for that.
- The parts: `AudioInput` (when the user speaks), `InputBuffer` (what the user has put into the turn), `PendingCalls`
  (functions) and `ReplyRunner` (the reply in flight).
- Nothing is invented: of audio without a configured transcript only length and level are reported.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

from livews.audio.analysis.vad import SpeechLevel, SpeechMark
from livews.core import machine
from livews.core.conversation import Step
from livews.server.audio_input import AudioInput
from livews.server.pending_calls import PendingCalls
from livews.server.replies import WireStyle
from livews.server.reply_runner import ReplyRunner, append_bounded
from livews.server.server_session import ServerSession
from livews.server.service_format import format_duration
from livews.server.store import ResumableSession
from livews.server.user_input import InputBuffer, UserInput, has_words, words_in

_ACK_SECONDS = 0.04
"""From activityStart to its voiceActivity."""
_INTERIM_SECONDS = 0.4
"""Seconds of audio between two interim transcripts."""
_WORDS_PER_SECOND = 2.5
"""How fast the words of an interim transcript grow."""
_FINAL_SECONDS = 0.26
"""From the end of speech to its final transcript, on a model that only transcribes."""


class TurnTaking:
    """The turns of one session that is set up.

    `session`: the session on this connection. `resumable`: what outlives the connection.
    """

    def __init__(self, session: ServerSession, resumable: ResumableSession) -> None:
        setup, profile = session.conversation.setup, session.conversation.profile
        self._session = session
        self._resumable = resumable
        self._traits = session.conversation.traits
        self._style = WireStyle(session)
        self.wire = self._style.wire
        """How the model puts things on the wire, with what is overridden."""
        self._reads_text = "text" in profile["input"]
        self._sends_interims = self.wire["interim"] and self._style.transcribes_input
        realtime = setup.get("realtimeInputConfig", {})
        self._interruptible = realtime.get("activityHandling") != "NO_INTERRUPTION"
        coverage = realtime.get("turnCoverage", "TURN_COVERAGE_UNSPECIFIED")
        self._coverage = profile["turnCoverage"] if coverage.endswith("_UNSPECIFIED") else coverage
        self._interim = 0.0
        """Seconds of speech at the last interim transcript."""
        self._got_content = False
        """clientContent came before: only the first one can be a history."""
        self._results_for_later: deque[UserInput] = deque()
        """Results that wait for a talking user to finish."""
        self._announcement: asyncio.Task[None] | None = None
        """Sends what is still to come about the speech before."""
        self._audio = AudioInput(session)
        self._input = InputBuffer(resumable.context)
        self._calls = PendingCalls(session, resumable, self.wire)
        self._replies = ReplyRunner(session, resumable, self._style, self._audio, self._calls)

    @property
    def speech_open(self) -> bool:
        """Speech began, and its end was never detected (ACTIVITY-6)."""
        return self._audio.speech_open

    # Messages of the client

    async def take(self, step: Step) -> None:
        """Take one valid frame of the client."""
        if step.template is not None:  # audio like the frame before, and nothing else
            await self._hear(step.audio)
            return
        body = step.body
        if "realtimeInput" in body:
            await self._take_realtime(body["realtimeInput"], step)
        elif "clientContent" in body:
            await self._take_content(body["clientContent"], is_prompt="prompt" in step.signals)
        elif "toolResponse" in body:
            await self._take_results(body["toolResponse"])
        elif "contextUpdate" in body:
            update = body["contextUpdate"]
            if "tools" in update:
                self._calls.declare(update["tools"])
            self._resumable.context["TEXT"] += words_in(update.get("systemInstruction", {}))

    async def _take_realtime(self, message: dict[str, Any], step: Step) -> None:
        if "activityStart" in step.signals and not self._audio.marked:
            await self._finish_announcement()
            self._audio.start_activity()
            self._input.user_continues()
            if self._interruptible:
                await self._replies.interrupt()
            self._announce(self._acknowledge(self._audio.offset))
        for blob in [*machine.values(message, ("video",)), *machine.values(message, ("mediaChunks", "*"))]:
            mime_type = str(blob.get("mimeType", ""))
            if not mime_type.startswith("audio/"):
                user_input = self._input.current if self._audio.user_speaks else self._input.between
                user_input.add_picture(mime_type, str(blob.get("data", "")))
                self._resumable.saw_video = True
        await self._hear(step.audio)
        if "audioStreamEnd" in step.signals:
            if self.wire["audioStreamEnd"] == "flush":
                await self._take_marks(self._audio.flush())
            elif self._audio.speech_open:
                self._session.log(
                    "audioStreamEnd came before enough silence: this model now stays silent (ACTIVITY-6)"
                )
        for text in machine.values(message, ("text",)) if self._reads_text else ():
            if has_words(text):
                self._input.user_continues()
            self._input.current.add_text(str(text))
            if not self._audio.marked:
                await self._prompt(interrupts=self._interruptible)
        if "activityEnd" in step.signals and self._audio.marked:
            self._audio.marked = False
            await self._end_speech(self._audio.offset)

    async def _take_content(self, message: dict[str, Any], *, is_prompt: bool) -> None:
        """Take clientContent: a history, or a turn. Even if it is not a prompt it cuts a running reply (TURN-1)."""
        if self._traits["clientContent"] == "none":  # TURN-6: the model ignores it
            return
        cut = self._replies.answers_to if self._replies.is_running else None
        await self._replies.interrupt()
        user_was_last = self._input.add_turns(message.get("turns", []))
        if not is_prompt:
            self._replies.start_next()  # a result that waited for the reply that was cut
            return
        is_history = self._traits["historySeed"] and not self._got_content
        is_history = is_history and not (user_was_last and self.wire["historyAnswers"])
        self._got_content = True
        if is_history:
            self._input.keep_as_history()
            return
        if cut is not None and not self._input.current.asks_something:  # it asks again for what was cut
            self._resumable.context.subtract(cut.tokens())
            self._input.current = cut
        await self._prompt(interrupts=True)

    async def _take_results(self, message: dict[str, Any]) -> None:
        continuation, words_by_scheduling = self._calls.respond(message)
        if continuation:
            self._replies.start(UserInput(results=continuation), same_turn=True)
        for scheduling, words in words_by_scheduling.items():
            await self._schedule(UserInput(results=words), scheduling)

    async def _schedule(self, results: UserInput, scheduling: str) -> None:
        """Speak results that do not continue a turn, at the time that their scheduling asks for."""
        if scheduling == "SILENT":
            self._resumable.context += results.tokens()
        elif self._audio.user_speaks:
            append_bounded(self._results_for_later, results, self._session.log)  # even INTERRUPT lets the user finish
        elif self._replies.is_running and scheduling != "INTERRUPT":
            self._replies.enqueue(results)
        else:
            await self._replies.interrupt()
            self._replies.start(results)

    async def _prompt(self, *, interrupts: bool) -> None:
        """Answer the input so far."""
        user_input = self._input.take()
        self._audio.since_turn = 0.0
        if self._replies.is_running and not interrupts:
            self._replies.enqueue(user_input)
            return
        await self._replies.interrupt()
        self._replies.start(user_input)

    # Speech

    async def _hear(self, sounds: tuple[tuple[str, bytes], ...]) -> None:
        """Take audio, as pairs of MIME type and PCM; where detection is automatic it may start or end speech."""
        for mime_type, pcm in sounds:
            if marks := self._audio.push(mime_type, pcm):
                await self._take_marks(marks)
            if self._sends_interims and self._audio.user_speaks:
                await self._send_interim(self._audio.speech)

    async def _take_marks(self, marks: list[SpeechMark]) -> None:
        for mark in marks:
            await (self._start_speech if mark.kind == "start" else self._end_speech)(mark.offset)

    async def _start_speech(self, offset: float) -> None:
        await self._finish_announcement()
        await self._send_activity("ACTIVITY_START", offset)
        self._input.user_continues()
        if self._replies.is_running and self._interruptible:
            await self._replies.interrupt()
        elif self.wire["opener"]:
            await self._session.send({"serverContent": {}})

    async def _end_speech(self, offset: float) -> None:
        await self._finish_announcement()
        self._interim = 0.0
        speech, user_input = self._audio.speech, self._input.current
        user_input.spoken = True
        all_input = self._coverage == "TURN_INCLUDES_ALL_INPUT"
        user_input.seconds = self._audio.since_turn if all_input else speech.seconds
        user_input.db = speech.db
        user_input.transcript = self._configured_transcript()
        self._resumable.spoken_turns += 1
        if self._coverage == "TURN_INCLUDES_ONLY_ACTIVITY":
            self._input.between = UserInput()
        if self.wire["speaks"]:
            await self._send_activity("ACTIVITY_END", offset)
            await self._send_transcript(user_input)
            await self._prompt(interrupts=self._interruptible)
            waiting, self._results_for_later = self._results_for_later, deque()
            for results in waiting:  # they go on waiting if the same audio frame starts the next speech
                await self._schedule(results, "WHEN_IDLE")
            return
        self._input.keep_as_context()
        self._audio.since_turn = 0.0
        self._announce(self._send_final(user_input, offset))

    def _configured_transcript(self) -> str:
        return next(iter(self._session.config.heard[self._resumable.spoken_turns :]), "")

    async def _send_activity(self, kind: str, offset: float) -> None:
        if self.wire["voiceActivity"]:
            activity = {"type": kind, "audioOffset": format_duration(offset)}
            await self._session.send({"serverContent": {}, "voiceActivity": activity})

    async def _send_transcript(self, user_input: UserInput) -> None:
        for message in self._style.input_transcription(user_input):
            await self._session.send(message)

    async def _send_interim(self, speech: SpeechLevel) -> None:
        """Send the transcript so far; each replaces the one before."""
        if speech.seconds < self._interim + _INTERIM_SECONDS:
            return
        await self._finish_announcement()
        self._interim = speech.seconds
        words = self._configured_transcript().split()
        text = " ".join(words[: max(1, round(speech.seconds * _WORDS_PER_SECOND))])
        text = text or UserInput(seconds=speech.seconds, db=speech.db).input_transcript()
        await self._session.send({"serverContent": {"interimInputTranscription": {"text": text}}})

    # What comes a moment after its cause

    def _announce(self, work: Coroutine[Any, Any, None]) -> None:
        self._announcement = self._session.start_task(work)

    async def _finish_announcement(self) -> None:
        """Wait for messages that are still to come about the speech before, so that they keep their order."""
        if self._announcement is not None:
            await self._announcement

    async def _acknowledge(self, offset: float) -> None:
        await asyncio.sleep(_ACK_SECONDS * self._session.config.pace)
        await self._send_activity("ACTIVITY_START", offset)

    async def _send_final(self, user_input: UserInput, offset: float) -> None:
        """Send the end of speech on a model that only transcribes: the transcript comes before the mark."""
        await asyncio.sleep(_FINAL_SECONDS * self._session.config.pace)
        await self._send_transcript(user_input)
        await self._session.send({"serverContent": {"generationComplete": True}})
        await self._send_activity("ACTIVITY_END", offset)
        await self._session.turn_ended()
