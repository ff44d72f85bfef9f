"""One client's session with the stand-in: what is refused, how it is set up and resumed, when it ends.

- Judges frames with the same conversation everybody uses, and closes as the service does: code and reason of
  protocol/closes.json, cut at 123 bytes. It never answers with an error frame.
- What differs between models is read from the model's profile, never decided here. Who has the turn is `turns`.
- Deterministic: the same frames in the same order get the same frames.
- A session ends in one place, `run`, and leaves no task behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed

from livews.core import canonical, closes, codec, machine, models, protocol
from livews.core.conversation import Conversation, Step
from livews.core.rules import Finding, not_found
from livews.server import faults
from livews.server.channel import ConnectionEnded, ServerChannel
from livews.server.store import ResumableSession as Thread
from livews.server.token_endpoint import LockedSetup
from livews.server.turn_taking import TurnTaking, duration
from livews.terminal_text import one_line

if TYPE_CHECKING:
    from livews.server.server import StandInConnection, StandInServer

_SETUP_SECONDS = 0.08
_HANDLE_SECONDS = 0.1
"""From setupComplete to the first sessionResumptionUpdate, where one comes per connection; on a resumed one:"""
_HANDLE_AGAIN_SECONDS = 0.002


class StandInSession:
    """One socket, from its upgrade to its close."""

    def __init__(self, socket: StandInConnection, house: StandInServer, number: int) -> None:
        self._socket = socket
        self._house = house
        self._policy = house.policy
        self.number = number
        self.place = house.place_of(socket)
        self.talk = Conversation(surface=self.place.surface, version=self.place.version, as_of=self._policy.as_of)
        recorder = house.recorder(number, self.place)
        self.line = ServerChannel(socket, self.talk, self._policy.faults, recorder, self._go_away)
        self.received = 0
        self.ended = ""
        """How it ended, in words."""
        self._broken = ""
        """The rule that closed it, in words."""
        self._thread: Thread | None = None
        self._turns: TurnTaking | None = None
        self._updates: asyncio.Task[None] | None = None
        self._life: asyncio.Task[None] | None = None
        self._leaving = False
        """goAway was said."""

    @property
    def model(self) -> str:
        return str(self.talk.setup.get("model", ""))

    @property
    def set_up(self) -> bool:
        return self._thread is not None

    async def run(self) -> None:
        clean = True
        self._life = self.line.watch(self._leave_when_idle(float("inf")))
        try:
            while True:
                raw, text = await self._socket.message()
                self.received += 1
                await self._take(raw, text=text)
        except ConnectionClosed:
            self.line.note_close()
        except ConnectionEnded:
            pass
        finally:
            received = self._socket.protocol.close_rcvd
            clean = self.line.ended != "dropped" and (bool(self.line.ended) or received is not None)
            self.ended = self.line.ended or (f"closed by the client, {received.code}" if received else "lost")
            await self._stop()
            if self._thread is not None:
                self._thread.pending = dict(self.talk.pending)
                self._house.memory.release(self._thread, clean=clean)
            self.line.finish()
        if self.line.failure is not None:
            raise self.line.failure

    async def _stop(self) -> None:
        if self._turns is not None:
            if self._turns.speech_open:
                self.log("the user's speech never ended: no silence followed it as audio (ACTIVITY-6)")
            await self._turns.stop()
        for task in (self._updates, self._life):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def log(self, line: str) -> None:
        self._policy.log(f"session {self.number}: {line}")

    def summary(self, seconds: float) -> str:
        """The session on one line."""
        said = f"{one_line(models.bare_id(self.model), 60) or 'no setup'}, "
        said += f"{'resumed, ' if self._thread and self._handle() else ''}{seconds:.1f} s, "
        said += f"{self.talk.turns} turn{'' if self.talk.turns == 1 else 's'}, "
        said += f"{self.received} in, {self.line.sent} out, {one_line(self.ended)}"
        return said + (f" [{one_line(self._broken, 160)}]" if self._broken else "")

    def status(self) -> dict[str, Any]:
        return {
            "session": self.number,
            "model": self.model,
            "surface": self.place.surface,
            "states": self.talk.states,
            "received": self.received,
            "sent": self.line.sent,
            "turns": self.talk.turns,
            "openCalls": len(self.talk.pending),
            "ended": self.ended,
            "broken": self._broken,
        }

    # What is refused

    async def _take(self, raw: bytes, *, text: bool) -> None:
        if self.line.ended:  # it crossed our close
            return
        step = self._step(raw)
        self.line.heard(raw, text, step)
        if self.line.stalled:
            return
        if step.template is not None and self._turns is not None:  # like one before it, that nothing was wrong with
            await self._turns.take(step)
            return
        if close := self._verdict(step):
            await self._refuse(step, close)
        if "rememberSetup" in step.effects:
            await self._set_up()
        elif self._turns is not None:
            await self._turns.take(step)

    def _step(self, raw: bytes) -> Step:
        """The frame, followed. A token may fix the setup: then that one counts (AUTH-2)."""
        token = self._house.memory.token(self.place.credential) if self.talk.state("session") == "new" else None
        given = self._locked(raw, token.lock) if token is not None and token.lock is not None else None
        step = self.talk.step("client", raw) if given is None else self.talk.step_message("client", given)
        if "setup" in step.signals:
            self.line.values = {"model": self.model, "version": self.place.version}
        return step

    def _locked(self, raw: bytes, lock: LockedSetup) -> dict[str, Any] | None:
        """The message with the setup that counts, None for one that is no setup."""
        try:
            given = canonical.fold("client", codec.parse(raw)).message
        except codec.WireError:
            return None
        setup = given.get("setup")
        return {**given, "setup": lock.applied(setup)} if isinstance(setup, dict) else None

    def _verdict(self, step: Step) -> tuple[int, str] | None:
        """The close this frame earns: the key first, then the frame's faults, then the model and the handle."""
        if "setup" in step.signals and (close := self._house.judge_credential(self)):
            return close
        if wrong := [fault for fault in step.faults if not self._forgiven(fault)]:
            return _close_by(_worst(wrong), step) or closes.frame_for("invalid-argument")
        if "rememberSetup" not in step.effects:
            return None
        if close := self._misnamed():
            return close
        if not self.talk.profile["known"]:
            return not_found(self.model, self.talk.target)
        if self._house.full(self):
            return closes.frame_for("quota")
        return self._resume()

    def _misnamed(self) -> tuple[int, str] | None:
        """The close of a model name that this surface cannot read, whether it knows the model or not."""
        for row in self.talk.profile["misnamed"]:
            if models.holds(row, self.place.surface, self._policy.as_of) and not re.search(row["unlike"], self.model):
                self._broken = f"{one_line(self.model, 80) or 'no model'} is no name of a model here"
                return closes.frame_for(row["close"])
        return None

    def _forgiven(self, fault: Finding) -> bool:
        """A dead model is served to whoever names no month: old clients are to be tried, too."""
        return fault.rule == "MODEL-2" and not self._policy.as_of and bool(self.talk.profile["known"])

    def _resume(self) -> tuple[int, str] | None:
        """Take up the conversation of the handle, or a new one; the close that refuses it, if one does."""
        handle = self._handle()
        if not handle:
            self._thread = self._house.memory.begin(models.bare_id(self.model))
            return None
        thread, refusal = self._house.memory.find(handle)
        if thread is None:
            self._broken = "the handle cannot be used: " + _WHY[refusal]
            return closes.frame_for(refusal)
        thread.held = True
        self._thread = thread
        return None

    def _handle(self) -> str:
        handles = machine.values(self.talk.setup, ("sessionResumption", "handle"))
        return str(handles[0]) if handles else ""

    async def _refuse(self, step: Step, close: tuple[int, str]) -> None:
        for fault in step.faults:
            if not self._forgiven(fault):
                self._broken = self._broken or str(fault)
                row = protocol.rules()[fault.rule]
                if "first" in row and fault.level == "error":
                    await self.line.send(row["first"])
        await self.line.close(*close)

    # How it is set up

    async def _set_up(self) -> None:
        assert self._thread is not None
        resumed = bool(self._handle())
        if self.talk.profile["retired"]:
            self.log(f"{one_line(self.model, 80)} is retired: the service refuses it (MODEL-2); so does --as-of")
        self._turns = TurnTaking(
            self.line, self.talk, self._thread, self._policy, self._house.speech, self.log, self._house.late,
            self._turn_ended,
        )  # fmt: skip
        await asyncio.sleep(_SETUP_SECONDS * self._policy.pace)
        wire = {**self.talk.profile["wire"], **self._policy.wire}
        if not wire["speaks"]:
            self.line.turn_ends_at = "generationComplete"
        session_id = {"sessionId": self._house.memory.new_id("session")} if wire["sessionId"] else {}
        await self.line.send({"setupComplete": session_id})
        if resumed:
            if self._thread.model != models.bare_id(self.model):
                self._broken = "the handle belongs to another model (RESUME-3)"
                await self.line.close(*closes.frame_for(protocol.rules()["RESUME-3"]["close"]))
            self.talk.pending = dict(self._thread.pending)
        self._updates = self.line.watch(self._send_updates(resumed))
        if not self._leaving:
            self._live_on(self._live())

    # Resumption

    def _update_wanted(self, cadence: str) -> bool:
        about = self.talk.profile["resumption"]
        asked = about["unasked"] or "sessionResumption" in self.talk.setup
        return bool(asked and about["updates"] == cadence)

    async def _send_updates(self, resumed: bool) -> None:
        """The handles that come by the clock; those that come with turns are `_turn_ended`'s."""
        if self._update_wanted("once"):
            await asyncio.sleep((_HANDLE_AGAIN_SECONDS if resumed else _HANDLE_SECONDS) * self._policy.pace)
            await self._update()
        while self._update_wanted("2s"):
            await asyncio.sleep(2.0 / self._policy.time_scale)
            await self._update()

    async def _turn_ended(self) -> None:
        if self._update_wanted("turn"):
            await self._update()

    async def _update(self) -> None:
        assert self._thread is not None
        about = self.talk.profile["resumption"]
        handle = self._house.memory.new_handle(
            self._thread, about["handleSeconds"], uuid=about.get("handle") == "uuid"
        )
        await self.line.send({"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}})

    # Life and death

    async def _leave_when_idle(self, until: float) -> None:
        """Wait `until` a time of the loop; close when nothing at all came from the client for too long."""
        loop = asyncio.get_running_loop()
        about = self.talk.profile["life"]
        patience = about["idleSeconds"] / self._policy.time_scale
        while (now := loop.time()) < until:
            idle_at = self._socket.heard_at + patience
            if now >= idle_at:
                self._broken = "nothing came from the client, not even a ping"
                await self.line.close(*closes.frame_for(about["idleClose"]))
            await asyncio.sleep(min(until, idle_at) - now)

    async def _live(self) -> None:
        """goAway when its time has come, and the close behind it (GOAWAY-1)."""
        loop = asyncio.get_running_loop()
        opened = loop.time()
        about = self.talk.profile["life"]
        scale = self._policy.time_scale
        if self._policy.go_away:
            await self._leave_when_idle(opened + self._policy.go_away)
        else:
            while (at := opened + self._lifetime(about) / scale) > (now := loop.time()):
                await self._leave_when_idle(min(at, now + max(0.01, 1.0 / scale)))  # video shortens it when it comes
            if not about["goAwaySeconds"] and now >= opened + about["closeSeconds"] / scale:
                assert self._thread is not None
                self._house.memory.expire(self._thread)
                await self.line.close(*faults.close_of(about["close"]))
        await self._go_away(about["timeLeftSeconds"] / scale)

    def _lifetime(self, about: dict[str, Any]) -> float:
        """Seconds after which this connection gets its goAway (its close, where it gets none): the connection's own
        limit, or the conversation's."""
        at = float(about["goAwaySeconds"] or about["closeSeconds"])
        if self._thread is None or "contextWindowCompression" in self.talk.setup:
            return at
        limit = float(about["videoSeconds" if self._thread.saw_video else "audioSeconds"])
        scale = self._policy.time_scale
        age = (self._house.memory.clock() - self._thread.began) * scale
        spent = age - (asyncio.get_running_loop().time() - self._socket.opened_at) * scale
        return min(at, max(0.0, limit - spent - float(about["timeLeftSeconds"])))

    async def _go_away(self, left: float) -> None:
        """goAway with `left` seconds to go, and the close when they are over. Once is enough (GOAWAY-1)."""
        if self._leaving:
            return
        self._leaving = True
        await self.line.send({"goAway": {"timeLeft": duration(left)}})
        self._live_on(self._leave(asyncio.get_running_loop().time() + left))

    async def _leave(self, at: float) -> None:
        await self._leave_when_idle(at)
        await self.line.close(*faults.close_of("goaway-ignored"))

    def _live_on(self, rest: Coroutine[Any, Any, None]) -> None:
        """What is to become of this session from here on, in place of what was."""
        before, self._life = self._life, self.line.watch(rest)
        if before is not None:
            before.cancel()


_WHY = {
    "session-not-found": "nobody knows it (RESUME-1)",
    "invalid-session-handle": "it is too old (RESUME-1)",
    "internal-error": "its old socket is still open, or was lost a moment ago (RESUME-2)",
}


def _close_by(fault: Finding, step: Step) -> tuple[int, str] | None:
    """The close of a broken rule, which a few rules have by what is in the message."""
    for pointer, close_id in protocol.rules()[fault.rule].get("closeBy", {}).items():
        if machine.values(step.body, tuple(pointer.split("/")[1:])):
            return closes.frame_for(close_id)
    return fault.close


def _worst(wrong: list[Finding]) -> Finding:
    return next((fault for fault in wrong if fault.level == "error"), wrong[0])
