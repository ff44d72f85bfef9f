"""Who has the turn in one session: which input starts a reply, cuts one, or waits; and the reply in flight.

- One reply at a time. A prompt interrupts it, or waits for its end where setup asks for that.
- A turn that waits for a function's result is still running, although nothing is sent.
- The parts: `AudioInput` (when the user speaks), `InputBuffer` (what the user has put into the turn) and `PendingCalls`
  (functions). What a reply looks like is decided in `replies`, from the profile; this module decides when.
- Bounded: a client that never stops does not make the queues endless.
- Nothing is invented: of audio without a configured transcript only length and level are reported.
"""

import asyncio
from collections import Counter, deque
from typing import Any

from livews.audio.analysis.vad import SpeechLevel, SpeechMark
from livews.core import machine, model_rules, models
from livews.core.conversation import Step
from livews.server import replies
from livews.server.audio_input import AudioInput
from livews.server.function_calls import DeclaredFunction
from livews.server.pending_calls import PendingCalls
from livews.server.replies import WireStyle
from livews.server.server_session import ServerSession, cancel
from livews.server.service_format import format_duration
from livews.server.speech import SynthesizedSpeech
from livews.server.store import ResumableSession
from livews.server.user_input import TOKENS_PER_SECOND, InputBuffer, UserInput, has_words, words_in

_ACK_SECONDS = 0.04
"""From activityStart to its voiceActivity."""
_INTERIM_SECONDS = 0.4
"""Seconds of audio between two interim transcripts."""
_WORDS_PER_SECOND = 2.5
"""How fast the words of an interim transcript grow."""
_FINAL_SECONDS = 0.26
"""From the end of speech to its final transcript, on a model that only transcribes."""
_BETWEEN_SECONDS = 0.5
"""From one utterance to the next, where a turn has several."""
_CALL_TOKENS = 6
_PATIENCE_SECONDS = 5
"""After these a call that holds the turn, and has no response, is mentioned in the log."""
_WAITING = 100
"""Turns that may wait for their reply."""
_DURING_CALL = "One moment, please."
"""What a model says during a call that does not hold the turn."""
_FIRST_UTTERANCE = "One moment, I am thinking."
"""What a model with several utterances in a turn says first."""


class TurnTaking:
    """The turns of one session that is set up.

    `session`: the session on this connection. `resumable`: what outlives the connection.
    """

    def __init__(self, session: ServerSession, resumable: ResumableSession) -> None:
        setup, profile = session.conversation.setup, session.conversation.profile
        self._session = session
        self._pace = session.config.pace
        self._resumable = resumable
        self._traits = session.conversation.traits
        self._style = WireStyle(session)
        self.wire = self._style.wire
        """How the model puts things on the wire, with what is overridden."""
        self._reads_text = "text" in profile["input"]
        self._silence_before_end = profile["vad"]["streamEndMs"] / 1000
        self._is_silent = _is_silent(profile, setup)
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
        self.audio = AudioInput(session)
        self._input = InputBuffer(resumable.context)
        self._calls = PendingCalls(session, resumable, self.wire)
        self._reply: asyncio.Task[None] | None = None
        self.answers_to = UserInput()
        """The input that the running reply, or the last one, answers."""
        self._queue: deque[UserInput] = deque()
        """Turns that wait for the end of the reply."""
        self._prompt_tokens: Counter[str] = Counter()
        self._response_tokens: Counter[str] = Counter()
        self._reminder: asyncio.Task[None] | None = None

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
        if "activityStart" in step.signals and not self.audio.marked:
            await self._finish_announcement()
            self.audio.start_activity()
            self._input.user_continues()
            if self._interruptible:
                await self._interrupt()
            self._announcement = self._session.start_task(self._acknowledge(self.audio.offset))
        for blob in [*machine.values(message, ("video",)), *machine.values(message, ("mediaChunks", "*"))]:
            mime_type = str(blob.get("mimeType", ""))
            if not mime_type.startswith("audio/"):
                user_input = self._input.current if self.audio.user_speaks else self._input.between
                user_input.add_picture(mime_type, str(blob.get("data", "")))
                self._resumable.saw_video = True
        await self._hear(step.audio)
        if "audioStreamEnd" in step.signals:
            await self._end_stream()
        for text in machine.values(message, ("text",)) if self._reads_text else ():
            if has_words(text):
                self._input.user_continues()
            self._input.current.add_text(str(text))
            if not self.audio.marked:
                await self._prompt(interrupts=self._interruptible)
        if "activityEnd" in step.signals and self.audio.marked:
            self.audio.marked = False
            await self._end_speech(self.audio.offset)

    async def _end_stream(self) -> None:
        """Take audioStreamEnd, which some models answer only after enough silence."""
        silence, needed = self.audio.trailing_silence, self._silence_before_end
        if self.wire["audioStreamEnd"] == "flush" or silence >= needed:
            await self._take_marks(self.audio.flush())
        elif self.audio.speech_open:
            self._session.waiting.know("ACTIVITY-6")
            self._session.log(
                f"audioStreamEnd came before enough silence ({silence:.1f} of {needed:.1f} s, as audio): this model now "
                "stays silent (ACTIVITY-6); --lenient answers"
            )

    async def _take_content(self, message: dict[str, Any], *, is_prompt: bool) -> None:
        """Take clientContent: a history, or a turn. Even if it is not a prompt it cuts a running reply (TURN-1)."""
        if self._traits["clientContent"] == "none":  # TURN-6: the model ignores it
            return
        cut = self.answers_to if self._is_replying else None
        await self._interrupt()
        user_was_last = self._input.add_turns(message.get("turns", []))
        if not is_prompt:
            self._start_next()  # a result that waited for the reply that was cut
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
        if self._calls.end_stale():
            await self._end_without_words()
            return
        continuation, words_by_scheduling = self._calls.respond(message)
        if continuation:
            self._start_reply(UserInput(results=continuation), same_turn=True)
        for scheduling, words in words_by_scheduling.items():
            await self._schedule(UserInput(results=words), scheduling)

    async def _schedule(self, results: UserInput, scheduling: str) -> None:
        """Speak results that do not continue a turn, at the time that their scheduling asks for."""
        if scheduling == "SILENT":
            self._resumable.context += results.tokens()
        elif self.audio.user_speaks:
            self._wait(self._results_for_later, results)  # even INTERRUPT lets the user finish
        else:
            await self._answer(results, interrupts=scheduling == "INTERRUPT")

    async def _prompt(self, *, interrupts: bool) -> None:
        """Answer the input so far."""
        self.audio.since_turn = 0.0
        await self._answer(self._input.take(), interrupts=interrupts)

    async def _answer(self, user_input: UserInput, *, interrupts: bool) -> None:
        """Start a reply in place of the running one, or after it."""
        if self._calls.end_stale():
            await self._end_without_words()
        elif self._is_replying and not interrupts:
            self._wait(self._queue, user_input)
        else:
            await self._interrupt()
            self._start_reply(user_input)

    # Speech

    async def _hear(self, sounds: tuple[tuple[str, bytes], ...]) -> None:
        """Take audio, as pairs of MIME type and PCM; where detection is automatic it may start or end speech."""
        for mime_type, pcm in sounds:
            if marks := self.audio.push(mime_type, pcm):
                await self._take_marks(marks)
            if self._sends_interims and self.audio.user_speaks:
                await self._send_interim(self.audio.speech)

    async def _take_marks(self, marks: list[SpeechMark]) -> None:
        for mark in marks:
            await (self._start_speech if mark.kind == "start" else self._end_speech)(mark.offset)

    async def _start_speech(self, offset: float) -> None:
        await self._finish_announcement()
        await self._send_activity("ACTIVITY_START", offset)
        self._input.user_continues()
        if self._is_replying and self._interruptible:
            await self._interrupt()

    async def _end_speech(self, offset: float) -> None:
        await self._finish_announcement()
        self._interim = 0.0
        speech, user_input = self.audio.speech, self._input.current
        user_input.spoken = True
        all_input = self._coverage == "TURN_INCLUDES_ALL_INPUT"
        user_input.seconds = self.audio.since_turn if all_input else speech.seconds
        user_input.db = speech.db
        user_input.transcript = self._configured_transcript()
        self._resumable.spoken_turns += 1
        if self._coverage == "TURN_INCLUDES_ONLY_ACTIVITY":
            self._input.between = UserInput()
        if self.wire["speaks"]:
            await self._send_transcript(user_input)
            await self._send_activity("ACTIVITY_END", offset)
            await self._prompt(interrupts=self._interruptible)
            waiting, self._results_for_later = self._results_for_later, deque()
            for results in waiting:  # they go on waiting if the same audio frame starts the next speech
                await self._schedule(results, "WHEN_IDLE")
            return
        self._input.keep_as_context()
        self.audio.since_turn = 0.0
        self._announcement = self._session.start_task(self._send_final(user_input, offset))

    def _configured_transcript(self) -> str:
        return next(iter(self._session.config.heard[self._resumable.spoken_turns :]), "")

    async def _send_activity(self, kind: str, offset: float) -> None:
        if (form := self.wire["voiceActivity"]) != "none":
            activity = {"type": kind, "audioOffset": format_duration(offset)}
            await self._session.send(
                {**({"serverContent": {}} if form == "beside" else {}), "voiceActivity": activity}
            )

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

    async def _finish_announcement(self) -> None:
        """Wait for messages that are still to come about the speech before, so that they keep their order."""
        if self._announcement is not None:
            await self._announcement

    async def _acknowledge(self, offset: float) -> None:
        await asyncio.sleep(_ACK_SECONDS * self._pace)
        await self._send_activity("ACTIVITY_START", offset)

    async def _send_final(self, user_input: UserInput, offset: float) -> None:
        """Send the end of speech on a model that only transcribes: the transcript comes before the mark."""
        await asyncio.sleep(_FINAL_SECONDS * self._pace)
        await self._send_transcript(user_input)
        await self._session.send({"serverContent": {"generationComplete": True}})
        await self._send_activity("ACTIVITY_END", offset)
        await self._session.turn_ended()

    # Replies

    def reply_again(self, user_input: UserInput) -> None:
        """Speak the reply to an input of the connection before."""
        self._start_reply(user_input)

    @property
    def _is_replying(self) -> bool:
        """A turn of the model is under way: it speaks, or waits for a function's result."""
        return (self._reply is not None and not self._reply.done()) or bool(self._calls.holding)

    def _start_reply(self, user_input: UserInput, *, same_turn: bool = False) -> None:
        """Start a reply. After a call it belongs to the `same_turn`, and so do the counts so far."""
        self.answers_to = user_input
        self._resumable.context += user_input.tokens()
        self._resumable.context[""] = self._resumable.context[""] or self.wire["promptUnlisted"]
        self._prompt_tokens = Counter(self._resumable.context)
        if not same_turn:
            self._response_tokens = Counter()
        self._reply = self._session.start_task(self._run_reply(user_input))

    def _wait(self, queue: deque[UserInput], user_input: UserInput) -> None:
        """Append to a queue of turns that wait, and drop the oldest if it is full."""
        if len(queue) == _WAITING:
            self._session.log(f"more than {_WAITING} turns wait for their reply: the oldest gets none")
            queue.popleft()
        queue.append(user_input)

    def _start_next(self) -> None:
        """Start the reply to the next turn that waits, if nothing runs."""
        if self._queue and not self._is_replying:
            self._start_reply(self._queue.popleft())

    async def _interrupt(self) -> None:
        """Cut the running turn: interrupted, then turnComplete (TURN-4). Waiting turns are dropped, but not results."""
        self._queue = deque(waiting for waiting in self._queue if waiting.results)
        if not self._is_replying:
            return
        await cancel(self._reply)
        if self._calls.holding and (withdrawn := self._calls.release_turn()):
            await self._session.send({"toolCallCancellation": {"ids": withdrawn}})
        await self._session.send({"serverContent": {"interrupted": True}})
        await self._end_utterance(self.answers_to, "IDLE" if self._style.utterances else "")
        await self._session.turn_ended()

    async def _run_reply(self, user_input: UserInput) -> None:
        await self._turn(user_input)
        self._reply = None
        self._start_next()

    async def _turn(self, user_input: UserInput) -> None:
        started = asyncio.get_running_loop().time()
        for timed in replies.opening(self._style, user_input, self._prompt_tokens):
            await self._sleep_until(started + timed.at * self._pace)
            await self._session.send(timed.frame)
        if functions := self._calls.wanted(user_input):
            await self._sleep_until(started + replies.THINK_SECONDS * self._pace)
            await self._call(functions, user_input)
            return
        if self._style.utterances:
            await self._utter(user_input, _FIRST_UTTERANCE, started, status="IN_PROGRESS")
            await asyncio.sleep(_BETWEEN_SECONDS * self._pace)
            started = asyncio.get_running_loop().time()
        await self._utter(user_input, replies.answer(user_input), started)
        if self._style.utterances and not any(waiting.results for waiting in self._queue):
            await self._session.send({"serverContent": {"interactionStatus": "IDLE"}})
        await self._session.turn_ended()

    async def _utter(self, user_input: UserInput, words: str, started: float, status: str = "") -> None:
        """Send one utterance, and turnComplete when its audio would have been played (TURN-3)."""
        speech = None if self._style.text else await self._synthesize(user_input, words)
        loop = asyncio.get_running_loop()
        first_audio, seconds = 0.0, 0.0
        for timed in replies.utterance(self._style, words, speech):
            due = started + timed.at * self._pace
            await self._sleep_until(due)
            if timed.voice_seconds:
                first_audio = first_audio or loop.time()
                seconds += timed.voice_seconds
                self._session.context.lateness.add(loop.time() - due)
                self._response_tokens |= {
                    "AUDIO": round(seconds * TOKENS_PER_SECOND), "": self.wire["responseUnlisted"],
                }  # fmt: skip
            await self._session.send(timed.frame)
        if speech is None:
            self._response_tokens["TEXT"] += len(words.split())
        await self._sleep_until(first_audio + seconds * self._pace)
        await self._end_utterance(user_input, status)
        self._prompt_tokens = Counter(self._resumable.context)

    async def _end_without_words(self) -> None:
        await self._end_utterance(UserInput(), "IDLE" if self._style.utterances else "")
        await self._session.turn_ended()

    async def _end_utterance(self, user_input: UserInput, status: str) -> None:
        """Send turnComplete with the counts, which are context from now on."""
        await self._session.send(
            replies.ending(self._style, user_input, self._prompt_tokens, self._response_tokens, status)
        )
        self._resumable.context += self._response_tokens
        self._response_tokens = Counter()

    async def _synthesize(self, user_input: UserInput, words: str) -> SynthesizedSpeech:
        echo = self.audio.take_echo() if user_input.spoken else b""
        speech = await self._session.context.speech.synthesize(words)
        if self._is_silent:
            return SynthesizedSpeech(bytes(len(speech.pcm) + len(echo)))
        return SynthesizedSpeech(speech.pcm + echo) if echo else speech

    async def _call(self, functions: list[DeclaredFunction], user_input: UserInput) -> None:
        calls = self._calls.call(functions, user_input.prompt)
        for call in calls if self.wire["executableCode"] else ():
            arguments = ", ".join(f"{name}={value!r}" for name, value in call["args"].items())
            code = {"language": "PYTHON", "code": f"print(default_api.{call['name']}({arguments}))"}
            await self._session.send(self._style.model_turn({"executableCode": code}))
        await self._session.send({"toolCall": {"functionCalls": calls}})
        self._response_tokens["TEXT"] += _CALL_TOKENS * len(calls)
        if self._calls.holding:
            await cancel(self._reminder)
            self._reminder = self._session.start_task(self._remind())
            return
        status = "IN_PROGRESS" if self._style.utterances else ""
        if self.wire["talksOn"] and all(function.behavior == "NON_BLOCKING" for function in functions):
            await self._utter(user_input, _DURING_CALL, asyncio.get_running_loop().time(), status)
        else:
            await self._session.send({"serverContent": {"generationComplete": True}})
            await self._end_utterance(user_input, status)
        await self._session.turn_ended()

    async def _remind(self) -> None:
        await asyncio.sleep(_PATIENCE_SECONDS)
        if self._calls.holding:
            self._session.log(
                f"no response to {self._calls.held_names} yet, and this model is silent until there is one (TOOL-3); "
                "for a client that waits for turnComplete first: --wire toolCallEndsTurn=true"
            )

    async def _sleep_until(self, time: float) -> None:
        seconds = time - asyncio.get_running_loop().time()
        if seconds > 0:  # at pace 0 not even a turn of the loop
            await asyncio.sleep(seconds)


def _is_silent(profile: models.Profile, setup: dict[str, Any]) -> bool:
    """Whether the model answers this setup with zeros, since a member that it needs is missing (MODEL-6)."""
    rows = (row for row in profile["limits"].get(("MODEL-6", "setup"), ()) if "silent" in row)
    return any(True for row in rows for _ in model_rules.broken(row, {"setup": setup}, ""))
