"""Who has the turn in one session: what the user says, shows and answers, and the reply to it.

- One reply at a time. A prompt interrupts the running one, or waits for its end where setup asks for that.
- How things look on the wire is `reply`'s business, from the profile; this file decides when.
- A blocking call holds the turn until it is answered (TOOL-3); an answer to a call that does not block waits for its
  moment (scheduling).
- Nothing is invented: what cannot be known of sound is told as its length and level.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from array import array
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from math import gcd
from typing import Any

from livews.audio.analysis.levels import loudness
from livews.audio.analysis.pcm import rate_of, seconds_of
from livews.audio.analysis.vad import SILENCE_DB, SpeechMeter
from livews.core import codec, machine
from livews.core.conversation import Conversation, Step
from livews.server import function_calls, replies
from livews.server.channel import ServerChannel
from livews.server.config import StandInConfig
from livews.server.function_calls import DeclaredFunction
from livews.server.replies import UserInput, WireStyle
from livews.server.speech import SpeechSynthesizer, SynthesizedSpeech
from livews.server.store import ResumableSession as Thread
from livews.server.synth import RATE
from livews.server.turn_detector import turn_detector
from livews.terminal_text import one_line

_ACK_SECONDS = 0.04
"""From activityStart to its voiceActivity."""
_INTERIM_SECONDS = 0.4
"""Of sound between two interim transcripts."""
_SEGMENT_SECONDS = 0.26
"""From the end of speech to its final transcript, on a model that only transcribes."""
_BETWEEN_SECONDS = 0.5
"""From one utterance to the next, where a turn has several."""
_ECHO_SECONDS = 30
"""Of sound kept to be played back."""
_ECHO_RATE = 48_000
"""Samples a second of it that are kept; what claims more is kept for a shorter time."""
_CALL_TOKENS = 6
_PATIENCE_SECONDS = 5
"""After these a call that holds the turn, and has no answer, is told on the log."""
_WAITING = 100
"""Turns that may wait for their reply."""
_OPEN_CALLS = 100
"""Calls that may wait for their answer; with more of them no function is called."""
_ANSWERED = 1_000
"""Characters of answers that are said together, more or less."""
_NOT_FIRST = "One moment, I am thinking."
_BESIDE = "One moment, please."
"""What is said beside a call, in its turn."""


@dataclass
class PendingCall:
    """A call that is not answered: its function, and whether the turn waits for it."""

    function: DeclaredFunction
    holds: bool


class TurnTaking:
    """The turns of one session. `turn_ended` is told after every turnComplete of a whole turn."""

    def __init__(
        self,
        line: ServerChannel,
        talk: Conversation,
        thread: Thread,
        policy: StandInConfig,
        speech: SpeechSynthesizer,
        log: Callable[[str], None],
        late: Callable[[float], None],
        turn_ended: Callable[[], Awaitable[None]],
    ) -> None:
        self._line = line
        self._talk = talk
        self._thread = thread
        self._policy = policy
        self._speech = speech
        self._log = log
        self._late = late
        self._turn_ended = turn_ended
        setup, profile = talk.setup, talk.profile
        self._wire: dict[str, Any] = {**profile["wire"], **policy.wire}
        if (fault := line.always("slow-audio")) is not None:
            self._wire["faster"] = fault.number
        if line.always("burst-audio") is not None:
            self._wire["faster"] = 0
        thinking = machine.values(setup, ("generationConfig", "thinkingConfig", "includeThoughts"))
        self._style = WireStyle(
            self._wire,
            text="TEXT" in machine.values(setup, ("generationConfig", "responseModalities", "*")),
            transcribed="outputAudioTranscription" in setup,
            hears="inputAudioTranscription" in setup,
            thoughts=True in thinking,
            utterances=profile["turnEndsAt"] == "interactionStatus",
        )
        self._reads = "text" in profile["input"]
        self._interims = bool(self._wire["interim"] and self._style.hears)
        self._default = profile["tools"].get("default", "BLOCKING")
        self._functions = function_calls.declared(setup.get("tools"), self._default)
        realtime = setup.get("realtimeInputConfig", {})
        self._interruptible = realtime.get("activityHandling") != "NO_INTERRUPTION"
        coverage = realtime.get("turnCoverage", "TURN_COVERAGE_UNSPECIFIED")
        self._coverage = profile["turnCoverage"] if coverage.endswith("_UNSPECIFIED") else coverage
        self._detector = None if talk.traits["manualActivity"] else turn_detector(setup, profile["vad"])
        self._meter = SpeechMeter()
        self._marked = False
        """Between activityStart and activityEnd."""
        self._marked_at = 0.0
        self._offset = 0.0
        """Seconds of sound received, which audioOffset counts."""
        self._since_turn = 0.0
        self._interim = 0.0
        self._echo = bytearray()
        self._echo_rate = codec.INPUT_RATE
        self._heard = UserInput()
        self._aside: list[tuple[str, int]] = []
        """Pictures that came while nobody spoke."""
        self._model_last = False
        """The last turn of clientContent was one of the model."""
        self._seeded = False
        self._seed = UserInput()
        """What the user says at the end of the history: a prompt without words asks for its answer."""
        self._reply: asyncio.Task[None] | None = None
        self._asked = UserInput()
        """What the running reply answers."""
        self._said: Counter[str] = Counter()
        self._prompted: Counter[str] = Counter()
        self._after: deque[UserInput] = deque()
        """Turns that wait for the running reply to end."""
        self._later: deque[UserInput] = deque()
        """Answers that wait for a talking user to finish."""
        self._calls: dict[str, PendingCall] = {}
        self._holding = ""
        """The answers so far to the calls that hold the turn."""
        self._reminder: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        for call_id, name in thread.pending.items():
            self._calls[call_id] = PendingCall(self._function(name), holds=False)

    @property
    def speech_open(self) -> bool:
        """Speech began and its end was never heard (ACTIVITY-6)."""
        return self._detector is not None and self._detector.talking

    async def stop(self) -> None:
        if self._reminder is not None:
            self._reminder.cancel()
        for task in (self._reply, *self._tasks):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    # What comes in

    async def take(self, step: Step) -> None:
        """One frame of the client that nothing is wrong with."""
        if step.template is not None:  # sound like the sound before it: nothing else is in there
            await self._hear(step.audio)
            return
        body = step.body
        if "realtimeInput" in body:
            await self._realtime(body["realtimeInput"], step)
        elif "clientContent" in body:
            await self._content(body["clientContent"], asks="prompt" in step.signals)
        elif "toolResponse" in body:
            await self._answered(body["toolResponse"])
        elif "contextUpdate" in body:
            self._update(body["contextUpdate"])

    async def _realtime(self, given: dict[str, Any], step: Step) -> None:
        if "activityStart" in step.signals and not self._marked:
            await self._settle()
            self._marked, self._marked_at = True, self._offset
            self._meter.reset()
            self._user_goes_on()
            if self._running and self._interruptible:
                await self._interrupt()
            self._background(self._acknowledge(self._offset))
        for blob in [*machine.values(given, ("video",)), *machine.values(given, ("mediaChunks", "*"))]:
            mime_type = str(blob.get("mimeType", ""))
            if not mime_type.startswith("audio/"):
                self._see(mime_type, str(blob.get("data", "")))
        await self._hear(step.audio)
        if "audioStreamEnd" in step.signals and self._detector is not None:
            await self._stream_ended()
        for text in machine.values(given, ("text",)) if self._reads else ():
            if wordy(text):
                self._user_goes_on()
            self._heard.say(str(text))
            if not self._marked:
                await self._prompt(interrupts=self._interruptible)
        if "activityEnd" in step.signals and self._marked:
            self._marked = False
            await self._user_ends(self._offset, self._offset - self._marked_at, self._meter.speech.db)

    async def _acknowledge(self, offset: float) -> None:
        await self._pause(_ACK_SECONDS)
        await self._activity("ACTIVITY_START", offset)

    async def _stream_ended(self) -> None:
        assert self._detector is not None
        if self._wire["audioStreamEnd"] == "flush":
            for mark in self._detector.flush():
                await self._user_ends(mark.offset, self._detector.speech.seconds, self._detector.speech.db)
        elif self._detector.talking:
            self._log("audioStreamEnd came before enough silence: this model now stays silent (ACTIVITY-6)")

    async def _hear(self, sounds: tuple[tuple[str, bytes], ...]) -> None:
        """Sound: it is measured, and where detection is automatic it may begin or end a turn."""
        for mime_type, pcm in sounds:
            rate = rate_of(mime_type, "client")
            seconds = seconds_of(len(pcm), rate)
            self._offset += seconds
            self._since_turn += seconds
            if self._detector is None:
                if self._marked:  # ACTIVITY-4: outside of one, sound is only counted
                    self._meter.push(pcm, rate)
                    self._keep(pcm, rate)
                    if self._interims:
                        await self._interim_transcript(self._offset - self._marked_at, self._meter.speech.db)
                continue
            talking = self._detector.talking
            for mark in self._detector.push(pcm, rate):
                if mark.kind == "start":
                    talking = True
                    await self._user_begins(mark.offset)
                else:
                    await self._user_ends(mark.offset, self._detector.speech.seconds, self._detector.speech.db)
            if talking:
                self._keep(pcm, rate)
            if self._interims and self._detector.talking:
                await self._interim_transcript(self._detector.speech.seconds, self._detector.speech.db)

    def _keep(self, pcm: bytes, rate: int) -> None:
        """Sound for a reply that plays it back."""
        if self._policy.reply == "echo":
            self._echo += pcm[: max(0, _ECHO_SECONDS * min(rate, _ECHO_RATE) * 2 - len(self._echo))]
            self._echo_rate = rate

    def _see(self, mime_type: str, data: str) -> None:
        size = len(data) * 3 // 4
        if self._marked or self.speech_open:
            self._heard.see(mime_type, size)
        elif len(self._aside) < 1000:
            self._aside.append((mime_type[:100], size))
        self._thread.saw_video = True

    async def _content(self, given: dict[str, Any], *, asks: bool) -> None:
        """clientContent: history, or a turn; even one that asks for nothing cuts a running reply (TURN-1)."""
        if self._talk.traits["clientContent"] == "none":  # TURN-6: it is not read at all
            return
        cut = self._asked if self._running else None
        await self._interrupt()
        user = True
        for turn in given.get("turns", []):
            user = str(turn.get("role") or "user").lower() == "user"
            if user and says(turn):
                self._user_goes_on()
            elif not user:
                self._model_last = True
            self._read(turn, user=user)
            self._heard.turns += user
        if not asks:
            self._next()  # an answer that waited for the reply that was cut
            return
        history = self._talk.traits["historySeed"] and not self._seeded
        history = history and not (user and self._wire["historyAnswers"])
        self._seeded = True
        if history:
            self._seed = UserInput() if self._model_last else self._heard
            self._remember()
            return
        heard = self._heard
        if cut is not None and not (heard.seconds or heard.pictures or wordy(heard.text)):
            # a turn without words asks for what was asked already
            self._thread.context.subtract(cut.tokens())
            self._heard = cut
        await self._prompt(interrupts=True)

    def _user_goes_on(self) -> None:
        """The user speaks: what came before an answer of the model, in clientContent, is history by now."""
        if self._model_last:
            self._remember()
        self._model_last = False

    def _remember(self) -> None:
        """What was heard so far asks for nothing any more: it is context."""
        self._thread.context += self._heard.tokens()
        self._heard = UserInput()

    def _read(self, turn: dict[str, Any], *, user: bool) -> None:
        for part in turn.get("parts", []):
            blob = part.get("inlineData", {})
            mime_type, data = str(blob.get("mimeType", "")), str(blob.get("data", ""))
            if isinstance(text := part.get("text"), str):
                if user:
                    self._heard.say(text)
                else:
                    self._thread.context["TEXT"] += len(text.split())
            elif mime_type.startswith("audio/") and user:
                with contextlib.suppress(codec.WireError):
                    pcm = codec.decode_base64(data)
                    self._heard.seconds += seconds_of(len(pcm), rate_of(mime_type, "client"))
                    self._heard.db = loudness(pcm, SILENCE_DB)
            elif data and user:
                self._heard.see(mime_type, len(data) * 3 // 4)

    def _update(self, given: dict[str, Any]) -> None:
        """contextUpdate: other functions, another instruction."""
        if "tools" in given:
            self._functions = function_calls.declared(given["tools"], self._default)
        for text in machine.values(given, ("systemInstruction", "parts", "*", "text")):
            self._thread.context["TEXT"] += len(str(text).split())

    # The user's voice

    async def _user_begins(self, offset: float) -> None:
        await self._settle()
        await self._activity("ACTIVITY_START", offset)
        self._user_goes_on()
        if self._running and self._interruptible:
            await self._interrupt()
        elif self._wire["opener"]:
            await self._line.send({"serverContent": {}})

    async def _user_ends(self, offset: float, seconds: float, db: float) -> None:
        await self._settle()
        self._interim = 0.0
        heard = self._heard
        heard.spoken = True
        heard.seconds = self._since_turn if self._coverage == "TURN_INCLUDES_ALL_INPUT" else seconds
        heard.db = db
        known = self._policy.heard
        heard.known = known[self._thread.spoken_turns] if self._thread.spoken_turns < len(known) else ""
        self._thread.spoken_turns += 1
        if self._coverage == "TURN_INCLUDES_ONLY_ACTIVITY":
            self._aside.clear()
        if self._wire["speaks"]:
            await self._activity("ACTIVITY_END", offset)
            await self._transcript(heard)
            await self._prompt(interrupts=self._interruptible)
            later, self._later = self._later, deque()
            for answer in later:  # it waits on where the same sound began the next speech
                await self._schedule(answer, "WHEN_IDLE")
            return
        self._heard, self._since_turn = UserInput(), 0.0
        self._thread.context += heard.tokens()
        self._background(self._segment(heard, offset))

    async def _segment(self, heard: UserInput, offset: float) -> None:
        """The end of speech on a model that only transcribes: the words come before the mark."""
        await self._pause(_SEGMENT_SECONDS)
        await self._transcript(heard)
        await self._line.send({"serverContent": {"generationComplete": True}})
        await self._activity("ACTIVITY_END", offset)
        await self._turn_ended()

    async def _transcript(self, heard: UserInput) -> None:
        """What the user said. It waits for no reply, and no reply that is cut takes it along."""
        for frame in replies.hearing(self._style, heard):
            await self._line.send(frame)

    async def _settle(self) -> None:
        """What is still to be told of an activity, told: in a burst of sound, too, its marks and words keep their order."""
        for task in tuple(self._tasks):
            await task

    async def _activity(self, kind: str, offset: float) -> None:
        if self._wire["voiceActivity"]:
            about = {"type": kind, "audioOffset": duration(offset)}
            await self._line.send({"serverContent": {}, "voiceActivity": about})

    async def _interim_transcript(self, seconds: float, db: float) -> None:
        """What was heard so far; each replaces the one before."""
        if seconds < self._interim + _INTERIM_SECONDS:
            return
        await self._settle()
        self._interim = seconds
        heard = UserInput(seconds=seconds, db=db)
        known = self._policy.heard[self._thread.spoken_turns :][:1]
        words = known[0].split() if known else []
        text = " ".join(words[: max(1, round(seconds * 2.5))]) or heard.transcript()
        await self._line.send({"serverContent": {"interimInputTranscription": {"text": text}}})

    # The reply

    @property
    def _running(self) -> bool:
        """A turn of the model is under way: it speaks, or waits for a call that holds it."""
        return (self._reply is not None and not self._reply.done()) or self._held

    @property
    def _held(self) -> bool:
        return any(call.holds for call in self._calls.values())

    async def _prompt(self, *, interrupts: bool) -> None:
        """What was heard so far asks for a reply."""
        heard, self._heard = self._heard, UserInput()
        if not heard.seconds and not wordy(heard.text):
            heard.text = self._seed.text or heard.text
            heard.retold = self._seed.turns > 1
        self._seed = UserInput()
        heard.pictures = [*self._aside, *heard.pictures]
        self._aside, self._since_turn = [], 0.0
        if self._running and not interrupts:
            self._wait(self._after, heard)
            return
        await self._interrupt()
        self._start(heard)

    def _start(self, heard: UserInput, *, goes_on: bool = False) -> None:
        """A reply. One that `goes_on` after a call belongs to the same turn, and so do the counts so far."""
        self._asked = heard
        self._thread.context += heard.tokens()
        self._prompted = Counter(self._thread.context)
        if not goes_on:
            self._said = Counter()
        self._reply = self._line.watch(self._run(heard))

    async def _run(self, heard: UserInput) -> None:
        await self._turn(heard)
        self._reply = None
        self._next()

    def _next(self) -> None:
        if self._after and not self._running:
            self._start(self._after.popleft())

    async def _turn(self, heard: UserInput) -> None:
        started = asyncio.get_running_loop().time()
        for beat in replies.opening(self._style, heard, self._prompted):
            await self._until(started + beat.at * self._policy.pace)
            await self._line.send(beat.frame)
        if functions := self._wanted(heard):
            await self._until(started + replies.THINK_SECONDS * self._policy.pace)
            await self._call(functions, heard)
            return
        if self._style.utterances:
            await self._utter(heard, _NOT_FIRST, started, status="IN_PROGRESS")
            await self._pause(_BETWEEN_SECONDS)
            started = asyncio.get_running_loop().time()
        await self._utter(heard, replies.answer(heard), started)
        if self._style.utterances and not any(waiting.answers for waiting in self._after):
            await self._line.send({"serverContent": {"interactionStatus": "IDLE"}})
        await self._turn_ended()

    async def _utter(self, heard: UserInput, words: str, started: float, status: str = "") -> None:
        """One utterance and its turnComplete, which comes when the voice would have been heard (TURN-3)."""
        voice = None if self._style.text else await self._voice(heard, words)
        pace = self._policy.pace
        first, seconds = 0.0, 0.0
        for beat in replies.utterance(self._style, words, voice):
            due = started + beat.at * pace
            await self._until(due)
            if beat.voice_seconds:
                now = asyncio.get_running_loop().time()
                first = first or now
                seconds += beat.voice_seconds
                self._late(now - due)
                self._said["AUDIO"] = round(seconds * replies.TOKENS_A_SECOND)
            await self._line.send(beat.frame)
        if voice is None:
            self._said["TEXT"] += len(words.split())
        await self._until(first + seconds * pace)
        await self._line.send(replies.ending(self._style, heard, self._prompted, self._said, status))
        self._thread.context += self._said
        self._prompted, self._said = Counter(self._thread.context), Counter()

    async def _voice(self, heard: UserInput, words: str) -> SynthesizedSpeech:
        if not (self._policy.reply == "echo" and heard.spoken and self._echo):
            return await self._speech.say(words)
        sound, self._echo = bytes(self._echo), bytearray()
        return SynthesizedSpeech((await self._speech.say(words)).pcm + resampled(sound, self._echo_rate))

    async def _interrupt(self) -> None:
        """Cut what is running: interrupted, and turnComplete right behind it (TURN-4)."""
        self._after = deque(heard for heard in self._after if heard.answers)
        if not self._running:
            return
        if self._reply is not None:
            self._reply.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reply
        if self._held:
            await self._let_go()
        if self._wire["opener"]:
            await self._line.send({"serverContent": {}})
        await self._line.send({"serverContent": {"interrupted": True}})
        status = "IDLE" if self._style.utterances else ""
        await self._line.send(replies.ending(self._style, self._asked, self._prompted, self._said, status))
        self._thread.context += self._said
        self._said = Counter()
        await self._turn_ended()

    # Functions

    def _wanted(self, heard: UserInput) -> list[DeclaredFunction]:
        if heard.answers or self._policy.calls == "never" or len(self._calls) >= _OPEN_CALLS:
            return []
        if self._policy.calls == "always":
            return self._functions[:1]
        if heard.retold:
            return []
        return function_calls.wanted(self._functions, heard.prompt)

    async def _call(self, functions: list[DeclaredFunction], heard: UserInput) -> None:
        made = []
        for function in functions:
            arguments = function_calls.arguments(function, heard.prompt)
            call_id = self._call_id()
            self._calls[call_id] = PendingCall(function, holds=not self._ends_turn(function))
            made.append({"name": function.name, "args": arguments, "id": call_id})
            if self._wire["executableCode"]:
                given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
                code = {"language": "PYTHON", "code": f"print(default_api.{function.name}({given}))"}
                await self._line.send(self._style.content({"modelTurn": {"parts": [{"executableCode": code}]}}))
        await self._line.send({"toolCall": {"functionCalls": made}})
        self._said["TEXT"] += _CALL_TOKENS * len(made)
        if self._held:
            self._holding = ""
            if self._reminder is not None:
                self._reminder.cancel()
            self._reminder = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._remind)
            return
        status = "IN_PROGRESS" if self._style.utterances else ""
        if self._wire["talksOn"] and all(function.behavior == "NON_BLOCKING" for function in functions):
            await self._utter(heard, _BESIDE, asyncio.get_running_loop().time(), status)
        else:
            await self._line.send({"serverContent": {"generationComplete": True}})
            await self._line.send(replies.ending(self._style, heard, self._prompted, self._said, status))
            self._thread.context += self._said
        await self._turn_ended()

    def _remind(self) -> None:
        if self._held:
            names = ", ".join(one_line(call.function.name, 60) for call in self._calls.values() if call.holds)
            self._log(
                f"no answer to {names} yet, and this model is silent until there is (TOOL-3); "
                "for a client that waits for turnComplete first: --wire toolCallEndsTurn=true"
            )

    def _ends_turn(self, function: DeclaredFunction) -> bool:
        """Does the turn end beside this call (TOOL-3)? By the profile for the model's own kind of call, else by name."""
        if function.behavior == self._default:
            return bool(self._wire["toolCallEndsTurn"])
        return function.behavior == "NON_BLOCKING"

    def _call_id(self) -> str:
        self._thread.calls += 1
        form = str(self._wire["callId"])
        digits = hashlib.sha256(
            f"{self._policy.seed}/{self._thread.number}/{self._thread.calls}".encode()
        ).hexdigest()
        number = str(10**19 + int(digits, 16) % (9 * 10**18))
        if form == "uuid":
            return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"
        return form.replace("{n7}", number[-7:]).replace("{n}", number[-19:])

    def _function(self, name: str) -> DeclaredFunction:
        known = (function for function in self._functions if function.name == name)
        return next(known, DeclaredFunction(name, {}, self._default))

    async def _answered(self, given: dict[str, Any]) -> None:
        """toolResponse: the held turn goes on when all it waits for is there; other answers find their moment.

        What comes together and may be said at the same moment is said together.
        """
        spoken: dict[str, str] = {}
        for one in given.get("functionResponses", []):
            name, response = str(one.get("name", "")), one.get("response")
            call_id = str(one.get("id", "")) or self._named(name)
            call = self._calls.get(call_id)
            words = replies.answered(name or (call.function.name if call else ""), response)
            if call is None:
                if self._talk.place.surface == "vertex" and self._wire["speaks"]:  # TOOL-2
                    spoken["INTERRUPT"] = together(spoken.get("INTERRUPT", ""), words)
                continue
            if one.get("willContinue") is not True:
                del self._calls[call_id]
            if call.holds:
                self._holding = together(self._holding, words)
                if not self._held:
                    heard, self._holding = UserInput(answers=self._holding), ""
                    self._start(heard, goes_on=True)
                continue
            inside = response.get("scheduling") if isinstance(response, dict) else None
            wish = str(one.get("scheduling") or inside or "WHEN_IDLE")
            scheduled = self._talk.profile["tools"]["scheduling"] and call.function.behavior == "NON_BLOCKING"
            wish = wish if scheduled else "WHEN_IDLE"
            spoken[wish] = together(spoken.get(wish, ""), words)
        for wish, words in spoken.items():
            await self._schedule(UserInput(answers=words), wish)

    def _named(self, name: str) -> str:
        """The oldest open call of a function, for an answer without an id."""
        return next((call_id for call_id, call in self._calls.items() if call.function.name == name), "")

    async def _schedule(self, heard: UserInput, wish: str) -> None:
        """An answer that does not continue a held turn: when is it spoken?"""
        if wish == "SILENT":
            self._thread.context += heard.tokens()
        elif self._marked or self.speech_open:
            self._wait(self._later, heard)  # even INTERRUPT lets a talking user finish
        elif self._running and wish == "INTERRUPT":
            await self._interrupt()
            self._start(heard)
        elif self._running:
            self._wait(self._after, heard)
        else:
            self._start(heard)

    def _wait(self, line: deque[UserInput], heard: UserInput) -> None:
        """At the end of the line, which a client that never stops does not make endless."""
        if len(line) == _WAITING:
            self._log(f"more than {_WAITING} turns wait for their reply: the oldest gets none")
            line.popleft()
        line.append(heard)

    async def _let_go(self) -> None:
        """The user cut a turn that waits for calls: they are withdrawn, or stay open, as the profile has it (TOOL-4)."""
        held = [call_id for call_id, call in self._calls.items() if call.holds]
        if self._wire["openCalls"] == "cancel":
            for call_id in held:
                del self._calls[call_id]
            await self._line.send({"toolCallCancellation": {"ids": held}})
        for call_id in held:
            if call_id in self._calls:
                self._calls[call_id].holds = False

    # Time

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self._policy.pace)

    async def _until(self, when: float) -> None:
        left = when - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._line.watch(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def together(before: str, words: str) -> str:
    """Answers in one breath, as far as anybody would listen."""
    return before if len(before) >= _ANSWERED else f"{before} {words}".strip()


def wordy(text: Any) -> bool:
    """Are there words in it? Clients send " " or "." to ask for a reply to what they said before."""
    return any(map(str.isalnum, str(text)))


def says(turn: dict[str, Any]) -> bool:
    """Does a turn say or show something of its own?"""
    return any("inlineData" in part or wordy(part.get("text", "")) for part in turn.get("parts", []))


def duration(seconds: float) -> str:
    """A Duration as the service writes it: "0s", "10s", "0.440s"."""
    return f"{seconds:.0f}s" if abs(seconds - round(seconds)) < 0.0005 else f"{seconds:.3f}s"


def resampled(pcm: bytes, rate: int) -> bytes:
    """s16le mono at `rate` as the same at 24 kHz, by linear interpolation: good enough to know one's own voice by."""
    samples = array("h", pcm[: len(pcm) & ~1])
    if rate == RATE or len(samples) < 2:
        return samples.tobytes()
    common = gcd(rate, RATE)
    up, down = RATE // common, rate // common
    out = array("h", bytes((len(samples) - 1) * RATE // rate * 2))
    # every up-th sample lies equally far between two others: one pass for each such distance is five times faster
    for first in range(min(up, len(out))):
        left, share = first * down // up, first * down % up / up
        count = len(range(first, len(out), up))
        pairs = zip(samples[left::down][:count], samples[left + 1 :: down][:count], strict=True)
        out[first::up] = array("h", [int(a + (b - a) * share) for a, b in pairs])
    return out.tobytes()
