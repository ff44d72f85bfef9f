"""What was said in a session, for one that goes on without a handle.

Text only: spoken history is taken by few models. Bounded: of a long conversation the newest turns count.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

import orjson

from livews.core import codec, machine
from livews.core.conversation import Step
from livews.core.models import Profile
from livews.redactor import Pieces, Redactor

_CHARACTERS = 40_000
"""Characters of history that are kept."""
_RESULT = 2_000
"""Characters of a function's result in it."""
_RESULTS = 200


@dataclass(slots=True)
class _Words:
    role: str
    text: str
    is_result: bool = False
    is_whole: bool = False
    """The turn that it belongs to has ended."""


class History:
    """Collects the words of both sides and the results of functions.

    Args:
        result_seconds: seconds for which the result of a function is remembered.
        secrets: has the credentials that are left out: the service may repeat one, and the history goes back to it.
    """

    def __init__(self, result_seconds: float, secrets: Redactor) -> None:
        self._secrets, self._pieces = secrets, Pieces(secrets)
        self._result_seconds = result_seconds
        self._turns: deque[_Words] = deque()
        self._size = 0
        self._calls: dict[str, tuple[str, str]] = {}
        """Open calls: id, or else name, to name and canonical arguments."""
        self._results: OrderedDict[tuple[str, str], tuple[float, dict[str, Any]]] = OrderedDict()
        """Name and canonical arguments of a call to the time of its answer, and the answer."""

    def sent(self, step: Step, now: float) -> None:
        """Take a message of the client."""
        step = self._pieces.step(step)
        for text in machine.values(step.body, ("realtimeInput", "text")):
            self._add("user", str(text))
        for turn in machine.values(step.body, ("clientContent", "turns", "*")):
            role = "model" if isinstance(turn, dict) and turn.get("role") == "model" else "user"
            for text in machine.values(turn, ("parts", "*", "text")):
                self._add(role, str(text), apart=True)
        for answer in machine.values(step.body, ("toolResponse", "functionResponses", "*")):
            if isinstance(answer, dict) and isinstance(answer.get("response"), dict):
                self._take_answer(answer, now)

    def received(self, step: Step) -> None:
        """Take a message of the service."""
        step = self._pieces.step(step)
        for call in machine.values(step.body, ("toolCall", "functionCalls", "*")):
            if isinstance(call, dict):
                key = str(call.get("id") or call.get("name"))
                self._calls[key] = str(call.get("name")), canonical(call.get("args"))
                while len(self._calls) > _RESULTS:
                    del self._calls[next(iter(self._calls))]
        content = step.body.get("serverContent")
        if isinstance(content, dict):
            self._take_content(content)
        if "turnEnd" in step.signals or "generationComplete" in step.signals:
            for words in reversed(self._turns):
                if words.is_whole:
                    break
                words.is_whole = True

    def _take_content(self, content: dict[str, Any]) -> None:
        for text in machine.values(content, ("inputTranscription", "text")):
            self._add("user", str(text))
        for text in machine.values(content, ("outputTranscription", "text")):
            self._add("model", str(text))
        for part in machine.values(content, ("modelTurn", "parts", "*")):
            if isinstance(part, dict) and isinstance(part.get("text"), str) and part.get("thought") is not True:
                self._add("model", part["text"])

    def result(self, name: str, args: str, now: float, *, before: float) -> dict[str, Any] | None:
        """The answer to an earlier call of this function with the same arguments, if it is not too old.

        Args:
            name: of the function.
            args: its arguments, `canonical`.
            now: the time.
            before: when the call must have been answered at the latest.
        """
        at, answer = self._results.get((name, args), (float("-inf"), None))
        return answer if now - at <= self._result_seconds and at <= before else None

    def remember(self, name: str, args: str, response: dict[str, Any], now: float) -> None:
        """Keep the answer to a call, also one that the service does not know any more."""
        self._results[name, args] = now, response
        self._results.move_to_end((name, args))
        while len(self._results) > _RESULTS:
            self._results.popitem(last=False)
        result = codec.dump(response).decode()
        self._add("user", f"(Result of {name}({args}): {result[:_RESULT]})", apart=True, is_result=True)

    def turns(self, profile: Profile, *, whole: bool = False, shorter: bool = False) -> list[dict[str, Any]]:
        """Contents to seed a fresh session with; [] where the model takes none, or nothing was said.

        Args:
            profile: of the model.
            whole: leave out a turn that has not ended, but for the results in it: its prompt is sent again.
            shorter: leave out the older half.
        """
        if profile["seed"]["by"] == "none":
            return []
        kept = [words for words in self._turns if words.is_whole or words.is_result or not whole]
        kept = kept[len(kept) // 2 if shorter else 0 :]
        while kept and kept[0].role == "model":  # a conversation begins with its user
            kept.pop(0)
        if kept and kept[-1].role == "model" and profile["seed"]["endsWith"] == "user":
            kept[-1] = _Words("user", f"(You said: {kept[-1].text})")
        redact = self._secrets.redact
        return [{"role": words.role, "parts": [{"text": redact(words.text)}]} for words in kept]

    def _take_answer(self, answer: dict[str, Any], now: float) -> None:
        call = self._calls.pop(str(answer.get("id") or answer.get("name")), None)
        if call is None:
            return
        self.remember(*call, answer["response"], now)

    def _add(self, role: str, text: str, *, apart: bool = False, is_result: bool = False) -> None:
        if not text:
            return
        last = self._turns[-1] if self._turns else None
        if last is not None and (last.role, last.is_result, last.is_whole) == (role, is_result, False):
            self._size -= len(last.text)
            last.text = f"{last.text}\n{text}" if apart else last.text + text
        else:
            last = _Words(role, text, is_result)
            self._turns.append(last)
        last.text = last.text[-_CHARACTERS:]
        self._size += len(last.text)
        while self._size > _CHARACTERS and len(self._turns) > 1:
            self._size -= len(self._turns.popleft().text)


def canonical(args: Any) -> str:
    """Arguments as JSON with sorted members, in which two equal ones are the same text."""
    return orjson.dumps(args or {}, option=orjson.OPT_SORT_KEYS).decode()
