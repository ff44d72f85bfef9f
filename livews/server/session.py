"""One client's session: refusals, setup, resumption, and how long it lives.

- Frames are judged by the same `Conversation` that clients use; closes have the code and reason of
  protocol/closes.json, cut at 123 bytes. There are no error frames.
- Differences between models are read from the model's profile, not decided here. Turns are `turn_taking`'s.
- Deterministic: the same frames in the same order get the same frames.
"""

import asyncio
import contextlib
from typing import Any

from livews.advice.consequences import FindingDigest
from livews.advice.input_format import is_sound
from livews.core import canonical, close_rows, codec, machine, models, protocol
from livews.core.conversation import Step
from livews.core.findings import Finding
from livews.core.model_rules import misnamed, not_found
from livews.server import faults
from livews.server.connection import StandInConnection
from livews.server.context import ServerContext
from livews.server.server_session import ConnectionEnded, ServerSession
from livews.server.store import ResumableSession
from livews.server.turn_taking import TurnTaking
from livews.terminal_text import one_line
from livews.trace.waiting import Stall

_SETUP_SECONDS = 0.08
"""From setup to setupComplete."""
_HANDLE_SECONDS = 0.1
"""From setupComplete to the session's handle, where there is one per connection."""
_HANDLE_AGAIN_SECONDS = 0.002
"""The same for a session that was resumed."""
_LOOK_SECONDS = 1.0
"""How often to look whether a session waits for something."""
_MENTIONED = 20
"""Notes on a client's messages that are logged in a session."""
_ON_PURPOSE = "on purpose (--fault)"
_UNUSABLE_HANDLE = {
    "session-not-found": "it is unknown (RESUME-1)",
    "invalid-session-handle": "it is too old (RESUME-1)",
    "internal-error": "its old connection is still open, or was lost a moment ago (RESUME-2)",
}


class StandInSession(ServerSession):
    """A session that answers freely."""

    def __init__(self, connection: StandInConnection, context: ServerContext, number: int) -> None:
        super().__init__(connection, context, number, as_of=context.config.as_of)
        self._went_away = False
        self._served: set[str] = set()
        """Rules that were broken, and served."""
        self._serves_if_lenient = False
        """The session was refused what `lenient` serves."""
        self._mentioned: set[str] = set()
        """Paths of what was said about the client's messages."""
        self._digest = FindingDigest()
        """What was said about the client's messages, and what follows from it."""
        self._resumable: ResumableSession | None = None
        self._turns: TurnTaking | None = None

    @property
    def _handle(self) -> str:
        handles = machine.values(self.conversation.setup, ("sessionResumption", "handle"))
        return str(handles[0]) if handles else ""

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            if self._turns is not None:
                self._explain(self.waiting.at_end(plain=self._turns.audio.speech_open))
            for folded in self._digest.all():
                if folded.more:
                    self.log(f"{folded.finding.rule}{folded.words()}")
            if self._resumable is not None:
                self._resumable.pending = dict(self.conversation.pending)
                self._resumable.cut = self._turns.answers_to if self._turns is not None and self.cut_turn else None
                self.context.store.release(self._resumable, self._held_seconds())
                self.context.set_up[self.target.credential] -= 1

    async def serve(self) -> None:
        self.start_task(self._close_when_idle())
        self.start_task(self._look())
        with contextlib.suppress(ConnectionEnded):
            await self.read()

    async def _look(self) -> None:
        """Say why nothing happens, while nothing does."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._explain(self.waiting.stall(self.clock()))

    def _explain(self, stall: Stall | None) -> None:
        if stall is not None and not stall.is_known and self._digest.take([stall.finding], self.received):
            self.log(f"{stall.finding}. {stall.finding.fix}")

    async def go_away(self, seconds: float) -> None:
        """Only once (GOAWAY-1)."""
        if not self._went_away:
            self._went_away = True
            await super().go_away(seconds)

    def summary(self, seconds: float) -> str:
        turns = self.conversation.turns
        parts = [
            one_line(models.bare_id(self.model), 60) or "no setup",
            *(["resumed"] if self._resumable and self._handle else []),
            f"{seconds:.1f} s",
            f"{turns} turn{'' if turns == 1 else 's'}",
            f"{self.received} in",
            f"{self.sent} out",
            one_line(self.ended),
        ]
        cause = f" [{one_line(self.close_cause, 160)}]" if self.close_cause else ""
        return ", ".join(parts) + cause + ("; --lenient serves it" if self._serves_if_lenient else "")

    def status(self) -> dict[str, Any]:
        return super().status() | {
            "surface": self.conversation.target.surface,
            "turns": self.conversation.turns,
            "openCalls": len(self.conversation.pending),
            "broken": self.close_cause,
        }

    # Refusals

    async def take(self, raw: bytes, *, text: bool) -> None:
        if self.ended:  # it was on its way when we closed
            return
        step = self._step(raw)
        self.input_check.take(step, self.clock())
        self.record_received(raw, text, step)
        if self.stalled:
            return
        if step.template is not None and self._turns is not None:  # audio like the frame before, which was valid
            if step.judgement:
                self._mention(step)
            await self._turns.take(step)
            return
        if close := self._verdict(step):
            await self._refuse(step, close)
        self._log_served(step)
        self._mention(step)
        if "rememberSetup" in step.effects:
            await self._set_up()
        elif self._turns is not None:
            await self._turns.take(step)

    def _mention(self, step: Step) -> None:
        """Say once what the model of the session does not read, or answers in silence."""
        rows = protocol.rules()
        notes = [note for note in step.notes if "logged" in rows[note.rule]]
        for note in self._digest.take(notes, self.received):
            if rows[note.rule]["logged"] == "each":
                hears = self.input_check.is_sound and all(is_sound(*audio) for audio in step.audio)
                self.log(one_line(f"{note}: {note.fix}{'' if hears else ' Nothing of it is heard.'}", 400))
            elif note.path not in self._mentioned and len(self._mentioned) < _MENTIONED:
                self._mentioned.add(note.path)
                self.log(one_line(f"{note}: {note.fix}", 400))

    def _step(self, raw: bytes) -> Step:
        """Observe a frame. Where a token fixes the setup, its setup counts, not the client's (AUTH-2)."""
        is_first = self.conversation.state("session") == "new"
        token = self.context.store.token(self.target.credential) if is_first else None
        step: Step | None = None
        if token is not None and token.setup is not None:
            with contextlib.suppress(codec.WireError):
                message = canonical.fold("client", codec.parse(raw)).message
                if isinstance(message.get("setup"), dict):
                    message["setup"] = token.applied(message["setup"])
                    step = self.conversation.step_message("client", message)
        step = step or self.conversation.step("client", raw)
        if "setup" in step.signals:
            self.reason_values = {"model": self.model, "version": self.target.version}
        return step

    def _verdict(self, step: Step) -> tuple[int, str] | None:
        """The close this frame earns: for the key first, then for broken rules, then for model and handle."""
        if "setup" in step.signals and (
            close := self.context.check_credential(self.target, resumes=bool(self._handle))
        ):
            return close
        if findings := self._broken_rules(step):
            worst = next((finding for finding in findings if finding.level == "error"), findings[0])
            return _close_of(worst, step) or close_rows.frame_for("invalid-argument")
        if "rememberSetup" not in step.effects:
            return None
        if close := self._invalid_model_name():
            return close
        if not self.conversation.profile["known"]:
            return not_found(self.model, self.conversation.target)
        limit = self.config.sessions_per_key
        if limit and self.context.set_up[self.target.credential] >= limit:
            return close_rows.frame_for("quota")
        return self._resume()

    def _broken_rules(self, step: Step) -> list[Finding]:
        """The findings that lead to a close: not what only some models refuse, where the stand-in is lenient."""
        return [finding for finding in step.faults if finding.level == "error" or not self.config.lenient]

    def _invalid_model_name(self) -> tuple[int, str] | None:
        """The close for a name that has not the form this surface reads, whether it knows the model or not."""
        if self.config.lenient and self.conversation.profile["known"]:
            return None
        _, close = misnamed(self.model, self.conversation.target)
        if close:
            self.close_cause = f"{one_line(self.model, 80) or 'no model'} is not a model's name here"
        return close

    def _resume(self) -> tuple[int, str] | None:
        """Take up the session of the handle, or begin one; the close, if the handle is refused."""
        if self._handle and (fault := self.lasting_faults.get("refuse-handles")):
            self.close_cause = _ON_PURPOSE
            return faults.close_of(fault.value, **self.reason_values)
        if self._handle:
            self._resumable, refusal = self.context.store.find(self._handle)
        else:
            self._resumable, refusal = self.context.store.begin(models.bare_id(self.model)), ""
        if self._resumable is None:
            self.close_cause = f"the handle cannot be used: {_UNUSABLE_HANDLE[refusal]}"
            return close_rows.frame_for(refusal)
        self._resumable.held = True
        self.context.set_up[self.target.credential] += 1
        return None

    def _log_served(self, step: Step) -> None:
        """Say once of each rule what is served that the service refuses."""
        for finding in step.faults:
            if finding.rule not in self._served:
                self._served.add(finding.rule)
                self.log(f"--lenient serves what the service refuses: {one_line(str(finding), 160)}")

    async def _refuse(self, step: Step, close: tuple[int, str]) -> None:
        findings = self._broken_rules(step)
        self._serves_if_lenient = bool(findings) and all(finding.level != "error" for finding in findings)
        for finding in findings:
            self.close_cause = self.close_cause or str(finding)
            rule = protocol.rules()[finding.rule]
            if "first" in rule and finding.level == "error":
                await self.send(rule["first"])
        await self.close(*close)

    # Setup

    async def _set_up(self) -> None:
        assert self._resumable is not None
        self._turns = TurnTaking(self, self._resumable)
        await asyncio.sleep(_SETUP_SECONDS * self.config.pace)
        if self._handle and (slow := self.lasting_faults.get("slow-resume")):
            await asyncio.sleep(slow.number / self.config.time_scale)
        wire = self._turns.wire
        if not wire["speaks"]:
            self.turn_ends_at = "generationComplete"
        session_id = {"sessionId": self.context.store.new_id("session")} if wire["sessionId"] else {}
        await self.send({"setupComplete": session_id})
        if self._handle:
            is_dead = "dead-handle" in self.lasting_faults
            if is_dead or self._resumable.model != models.bare_id(self.model):
                self.close_cause = _ON_PURPOSE if is_dead else "the handle belongs to another model (RESUME-3)"
                await self.close(*close_rows.frame_for(protocol.rules()["RESUME-3"]["close"]))
            self.conversation.pending = dict(self._resumable.pending)
            if self._resumable.cut is not None and "repeat-reply" in self.lasting_faults:
                self._turns.reply_again(self._resumable.cut)
        self.start_task(self._send_updates(self._resumable))
        self.start_task(self._leave_in_time(self._resumable))

    # Lifetime: the times are the profile's, divided by `time_scale`

    async def _close_when_idle(self) -> None:
        """Close the connection if nothing came from the client for too long, not even a ping."""
        while True:
            life = self.conversation.profile["life"]
            idle = asyncio.get_running_loop().time() - self.connection.last_received_at
            left = life["idleSeconds"] / self.config.time_scale - idle
            if left <= 0:
                self.close_cause = "nothing came from the client, not even a ping"
                await self.close(*close_rows.frame_for(life["idleClose"]))
            await asyncio.sleep(left)

    async def _leave_in_time(self, session: ResumableSession) -> None:
        """Send goAway when its time has come after setup, or close where a model sends none (GOAWAY-1)."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        life, scale = self.conversation.profile["life"], self.config.time_scale
        if self.config.go_away:
            await asyncio.sleep(self.config.go_away)
        else:
            while (left := started + self._seconds_to_go_away(session) / scale - loop.time()) > 0:  # noqa: ASYNC110
                # in short steps, since the first picture shortens the time
                await asyncio.sleep(min(left, max(0.01, 1.0 / scale)))
            if not life["goAwaySeconds"] and loop.time() >= started + life["closeSeconds"] / scale:
                self.context.store.expire(session)
                await self.close(*close_rows.frame_for(life["close"]))
        await self.go_away(life["timeLeftSeconds"] / scale)

    def _seconds_to_go_away(self, session: ResumableSession) -> float:
        """Seconds, before scaling, from setup to goAway (to the close, if there is none): the limit of the connection
        or of the session, whichever is shorter."""
        life = self.conversation.profile["life"]
        limit = float(life["goAwaySeconds"] or life["closeSeconds"])
        if "contextWindowCompression" in self.conversation.setup:
            return limit
        age = self.context.clock() - session.began
        connected = asyncio.get_running_loop().time() - self.connection.opened_at
        before = (age - connected) * self.config.time_scale
        session_limit = float(life["videoSeconds" if session.saw_video else "audioSeconds"])
        return min(limit, max(0.0, session_limit - before - float(life["timeLeftSeconds"])))

    # Resumption

    def _sends_updates(self, cadence: str) -> bool:
        """Whether this model sends handles so: "once", every "2s", or with each "turn"."""
        profile = self.conversation.profile["resumption"]
        wanted = profile["unasked"] or "sessionResumption" in self.conversation.setup
        return bool(wanted and profile["updates"] == cadence)

    async def _send_updates(self, session: ResumableSession) -> None:
        """Send the handles that come by the clock."""
        if self._sends_updates("once"):
            await asyncio.sleep((_HANDLE_AGAIN_SECONDS if self._handle else _HANDLE_SECONDS) * self.config.pace)
            await self._send_handle(session)
        while self._sends_updates("2s"):
            await asyncio.sleep(2.0 / self.config.time_scale)
            await self._send_handle(session)

    @property
    def _is_transparent(self) -> bool:
        """The client asked for the number of the last message that a handle covers; only Vertex takes that."""
        return machine.values(self.conversation.setup, ("sessionResumption", "transparent")) == [True]

    def _held_seconds(self) -> float:
        """Seconds of the service's time for which the session is held after its connection (RESUME-2)."""
        if fault := self.lasting_faults.get("held-handle"):
            return fault.number
        is_clean = self.ended not in ("dropped", "lost")
        return 0.0 if is_clean or self.cut_turn else float(self.conversation.profile["resumption"]["heldSeconds"])

    async def turn_ended(self) -> None:
        is_due = self._sends_updates("turn") or self._is_transparent
        if is_due and self._resumable is not None and not self.conversation.pending:
            await self._send_handle(self._resumable)

    async def _send_handle(self, session: ResumableSession) -> None:
        profile = self.conversation.profile["resumption"]
        is_uuid = profile.get("handle") == "uuid"
        handle = self.context.store.new_handle(session, profile["handleSeconds"], uuid=is_uuid)
        covers = {"lastConsumedClientMessageIndex": str(self.received - 1)} if self._is_transparent else {}
        await self.send({"sessionResumptionUpdate": {"newHandle": handle, "resumable": True, **covers}})


def _close_of(finding: Finding, step: Step) -> tuple[int, str] | None:
    """The close for a broken rule; some rules have several, by what is in the message."""
    for pointer, close_id in protocol.rules()[finding.rule].get("closeBy", {}).items():
        if machine.values(step.body, tuple(pointer.split("/")[1:])):
            return close_rows.frame_for(close_id)
    return finding.close
