"""The reply in flight: its frames at their times, its interruption, and the turns that wait for its end.

- One reply at a time. What a reply looks like is decided in `replies`, from the profile; this module decides when.
- A turn that waits for a function's result is still running, although nothing is sent.
- Bounded: a client that never stops does not make the queue endless.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from livews.server import replies
from livews.server.audio_input import AudioInput
from livews.server.function_calls import DeclaredFunction
from livews.server.pending_calls import PendingCalls
from livews.server.replies import WireStyle
from livews.server.server_session import ServerSession, cancel
from livews.server.speech import SynthesizedSpeech
from livews.server.store import ResumableSession
from livews.server.user_input import TOKENS_PER_SECOND, UserInput

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


class ReplyRunner:
    """The replies of one session.

    - `resumable`: counts its tokens. `style`: how its model puts turns on the wire.
    - `audio`: for a reply that plays the user's speech back. `calls`: its open calls, which a reply may add to.
    """

    def __init__(
        self,
        session: ServerSession,
        resumable: ResumableSession,
        style: WireStyle,
        audio: AudioInput,
        calls: PendingCalls,
    ) -> None:
        self.answers_to = UserInput()
        """The input that the running reply, or the last one, answers."""
        self._session = session
        self._tokens = resumable.context
        self._style = style
        self._audio = audio
        self._calls = calls
        self._pace = session.config.pace
        self._task: asyncio.Task[None] | None = None
        self._reminder: asyncio.Task[None] | None = None
        self._prompt_tokens: Counter[str] = Counter()
        self._response_tokens: Counter[str] = Counter()
        self._queue: deque[UserInput] = deque()
        """Turns that wait for the end of the reply."""

    @property
    def is_running(self) -> bool:
        """A turn of the model is under way: it speaks, or waits for a function's result."""
        return (self._task is not None and not self._task.done()) or self._calls.hold_turn

    def start(self, user_input: UserInput, *, same_turn: bool = False) -> None:
        """Start a reply. After a call it belongs to the `same_turn`, and so do the counts so far."""
        self.answers_to = user_input
        self._tokens += user_input.tokens()
        self._prompt_tokens = Counter(self._tokens)
        if not same_turn:
            self._response_tokens = Counter()
        self._task = self._session.start_task(self._run(user_input))

    def enqueue(self, user_input: UserInput) -> None:
        """Start a reply after the running one."""
        append_bounded(self._queue, user_input, self._session.log)

    def start_next(self) -> None:
        """Start the reply to the next turn that waits, if nothing runs."""
        if self._queue and not self.is_running:
            self.start(self._queue.popleft())

    async def interrupt(self) -> None:
        """Cut the running turn: interrupted, then turnComplete (TURN-4). Waiting turns are dropped, but not results."""
        self._queue = deque(waiting for waiting in self._queue if waiting.results)
        if not self.is_running:
            return
        await cancel(self._task)
        if self._calls.hold_turn and (withdrawn := self._calls.release_turn()):
            await self._session.send({"toolCallCancellation": {"ids": withdrawn}})
        if self._style.wire["opener"]:
            await self._session.send({"serverContent": {}})
        await self._session.send({"serverContent": {"interrupted": True}})
        await self._end_utterance(self.answers_to, "IDLE" if self._style.utterances else "")
        await self._session.turn_ended()

    async def _run(self, user_input: UserInput) -> None:
        await self._turn(user_input)
        self._task = None
        self.start_next()

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
                self._response_tokens["AUDIO"] = round(seconds * TOKENS_PER_SECOND)
            await self._session.send(timed.frame)
        if speech is None:
            self._response_tokens["TEXT"] += len(words.split())
        await self._sleep_until(first_audio + seconds * self._pace)
        await self._end_utterance(user_input, status)
        self._prompt_tokens = Counter(self._tokens)

    async def _end_utterance(self, user_input: UserInput, status: str) -> None:
        """Send turnComplete with the counts, which are context from now on."""
        await self._session.send(
            replies.ending(self._style, user_input, self._prompt_tokens, self._response_tokens, status)
        )
        self._tokens += self._response_tokens
        self._response_tokens = Counter()

    async def _synthesize(self, user_input: UserInput, words: str) -> SynthesizedSpeech:
        echo = self._audio.take_echo() if user_input.spoken else b""
        speech = await self._session.context.speech.synthesize(words)
        return SynthesizedSpeech(speech.pcm + echo) if echo else speech

    async def _call(self, functions: list[DeclaredFunction], user_input: UserInput) -> None:
        calls = self._calls.call(functions, user_input.prompt)
        for call in calls if self._style.wire["executableCode"] else ():
            arguments = ", ".join(f"{name}={value!r}" for name, value in call["args"].items())
            code = {"language": "PYTHON", "code": f"print(default_api.{call['name']}({arguments}))"}
            await self._session.send(self._style.content({"modelTurn": {"parts": [{"executableCode": code}]}}))
        await self._session.send({"toolCall": {"functionCalls": calls}})
        self._response_tokens["TEXT"] += _CALL_TOKENS * len(calls)
        if self._calls.hold_turn:
            await cancel(self._reminder)
            self._reminder = self._session.start_task(self._remind())
            return
        status = "IN_PROGRESS" if self._style.utterances else ""
        if self._style.wire["talksOn"] and all(function.behavior == "NON_BLOCKING" for function in functions):
            await self._utter(user_input, _DURING_CALL, asyncio.get_running_loop().time(), status)
        else:
            await self._session.send({"serverContent": {"generationComplete": True}})
            await self._end_utterance(user_input, status)
        await self._session.turn_ended()

    async def _remind(self) -> None:
        await asyncio.sleep(_PATIENCE_SECONDS)
        if self._calls.hold_turn:
            self._session.log(
                f"no response to {self._calls.held_names} yet, and this model is silent until there is one (TOOL-3); "
                "for a client that waits for turnComplete first: --wire toolCallEndsTurn=true"
            )

    async def _sleep_until(self, time: float) -> None:
        seconds = time - asyncio.get_running_loop().time()
        if seconds > 0:  # at pace 0 not even a turn of the loop
            await asyncio.sleep(seconds)


def append_bounded(queue: deque[UserInput], user_input: UserInput, log: Callable[[str], None]) -> None:
    """Append to a queue of turns that wait, and drop the oldest if it is full."""
    if len(queue) == _WAITING:
        log(f"more than {_WAITING} turns wait for their reply: the oldest gets none")
        queue.popleft()
    queue.append(user_input)
