"""Function calls of one session: which functions are declared, which calls are open, and what responses to them do.

- A blocking call holds the turn until its response is there (TOOL-3).
- A response to another call is spoken when its scheduling says so.
- Bounded: a client that never responds does not make the open calls endless.
"""

from collections.abc import Mapping
from typing import Any

from livews.server import function_calls, replies
from livews.server.function_calls import DeclaredFunction
from livews.server.server_session import ServerSession
from livews.server.store import ResumableSession, uuid_of
from livews.server.user_input import UserInput
from livews.terminal_text import one_line

_OPEN_CALLS = 100
"""With more open calls than these no function is called."""
_RESULTS = 1_000
"""Characters of results that are spoken together, more or less."""


class PendingCalls:
    """The functions and open calls of one session. `wire` is its model's, as configured."""

    def __init__(self, session: ServerSession, resumable: ResumableSession, wire: Mapping[str, Any]) -> None:
        conversation = session.conversation
        self._conversation = conversation
        self._config = session.config
        self._resumable = resumable
        self._wire = wire
        self._tools = conversation.profile["tools"]
        self._starts_turns = conversation.target.surface == "vertex" and wire["speaks"]
        """A response to no call starts a turn (TOOL-2)."""
        self._default = self._tools.get("default", "BLOCKING")
        self._held_results = ""
        self.holding: set[str] = set()
        """Ids of the calls whose responses the turn waits for."""
        self._interim: set[str] = set()
        """Ids of calls whose final answer is not spoken, since an interim one came before it."""
        self._stale = set(resumable.pending) if wire["resumedCalls"] != "speak" else set()
        """Ids of calls of the connection before whose results are not spoken."""
        self._functions: list[DeclaredFunction] = []
        self.declare(conversation.setup.get("tools"))
        by_name = {function.name: function for function in self._functions}
        self._open = {
            call_id: by_name.get(name) or DeclaredFunction(name, {}, self._default)
            for call_id, name in resumable.pending.items()
        }

    def declare(self, tools: Any) -> None:
        """Replace the functions by those of setup's or contextUpdate's `tools`."""
        self._functions = function_calls.declared(tools, self._default)

    @property
    def held_names(self) -> str:
        """The functions whose responses the turn waits for."""
        return ", ".join(one_line(call.name, 60) for call_id, call in self._open.items() if call_id in self.holding)

    def wanted(self, user_input: UserInput) -> list[DeclaredFunction]:
        """The functions to call for this input."""
        if user_input.results or self._config.calls == "never" or len(self._open) >= _OPEN_CALLS:
            return []
        if self._config.calls == "always":
            return self._functions[:1]
        return [] if user_input.is_history else function_calls.wanted(self._functions, user_input.prompt)

    def call(self, functions: list[DeclaredFunction], prompt: str) -> list[dict[str, Any]]:
        """Open calls of these functions, with arguments from the prompt: the functionCalls of a toolCall."""
        self._held_results = ""
        calls = []
        for function in functions:
            # by the profile for the model's own kind of call, else by the declaration (TOOL-3)
            is_default = function.behavior == self._default
            ends_turn = self._wire["toolCallEndsTurn"] if is_default else function.behavior == "NON_BLOCKING"
            call_id = self._new_id()
            self._open[call_id] = function
            if not ends_turn:
                self.holding.add(call_id)
            arguments = function_calls.arguments(function, prompt)
            calls.append({"name": function.name, "args": arguments, "id": call_id})
        return calls

    def _new_id(self) -> str:
        self._resumable.calls += 1
        form = str(self._wire["callId"])
        uuid = uuid_of(f"{self._config.seed}/{self._resumable.number}/{self._resumable.calls}")
        if form == "uuid":
            return uuid
        number = str(10**19 + int(uuid.replace("-", ""), 16) % (9 * 10**18))
        return form.replace("{n7}", number[-7:]).replace("{n}", number[-19:])

    def respond(self, tool_response: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """Take a toolResponse.

        Returns the words with which a held turn goes on, "" while it does not, and the words to speak by scheduling.
        Results that may be spoken at the same time are spoken together.
        """
        was_held = bool(self.holding)
        words_by_scheduling: dict[str, str] = {}
        for item in tool_response.get("functionResponses", []):
            name, response = str(item.get("name", "")), item.get("response")
            oldest = next((call_id for call_id, call in self._open.items() if call.name == name), "")
            call_id = str(item.get("id", "")) or oldest
            call, held = self._open.get(call_id), call_id in self.holding
            if call_id in self._stale:
                self._forget({call_id})
                continue
            words = replies.result_in_words(name or (call.name if call else ""), response)
            is_unspoken = call_id in self._interim
            if item.get("willContinue") is True:
                self._interim |= {call_id} if self._wire["finalUnspoken"] and call is not None else set()
            else:
                self._open.pop(call_id, None)
                self.holding.discard(call_id)
                self._interim.discard(call_id)
            if is_unspoken:
                words_by_scheduling["SILENT"] = _joined(words_by_scheduling.get("SILENT", ""), words)
            elif held:
                self._held_results = _joined(self._held_results, words)
            elif call is not None or self._starts_turns:
                scheduling = self._scheduling(item, call) if call is not None else "INTERRUPT"
                words_by_scheduling[scheduling] = _joined(words_by_scheduling.get(scheduling, ""), words)
        continuation = ""
        if was_held and not self.holding:
            continuation, self._held_results = self._held_results, ""
        return continuation, words_by_scheduling

    def _scheduling(self, item: dict[str, Any], function: DeclaredFunction) -> str:
        if not self._tools["scheduling"] or function.behavior != "NON_BLOCKING":
            return "WHEN_IDLE"
        response = item.get("response")
        inside = response.get("scheduling") if isinstance(response, dict) else None
        return str(item.get("scheduling") or inside or "WHEN_IDLE")

    def end_stale(self) -> bool:
        """Whether an input only ends the exchange of calls that the connection before left open; they are forgotten."""
        ends = self._wire["resumedCalls"] == "end" and bool(self._stale)
        if ends:
            self._forget(set(self._stale))
        return ends

    def _forget(self, call_ids: set[str]) -> None:
        for call_id in call_ids:
            self._open.pop(call_id, None)
            self._conversation.pending.pop(call_id, None)
        self._stale -= call_ids

    def release_turn(self) -> list[str]:
        """The user cut the turn that waits: the ids of calls that are withdrawn. Others stay open (TOOL-4)."""
        held, self.holding = self.holding, set()
        withdrawn = [call_id for call_id in self._open if call_id in held and self._wire["openCalls"] == "cancel"]
        for call_id in withdrawn:
            del self._open[call_id]
        return withdrawn


def _joined(before: str, words: str) -> str:
    return before if len(before) >= _RESULTS else f"{before} {words}".strip()
