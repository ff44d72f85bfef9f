"""Keep a session going: hand over before the service closes, connect again after an end, send again what was lost.

- `session.decisions` decides, by protocol/reconnect.json; here are the timers and the sockets. There is one socket at most.
- While there is none the gate is shut: audio goes to the backlog, everything else waits.
- Times are divided by the policy's `time_scale`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

from livews.advice import closes
from livews.core import codec, events, models
from livews.core.conversation import Step, function_calls
from livews.core.events import Event, ToolCall, TurnEnd
from livews.endpoint import Endpoint
from livews.errors import BadRequest, Closed, LivewsError, LocalProtocolError, Lost, TraceFailed
from livews.recorder import Clock
from livews.session.connection import Connection
from livews.session.decisions import Decision, Ending
from livews.session.delivery import Backlog, Delivery, Sent
from livews.session.events import Reconnecting, Resumed, SessionLost
from livews.session.history import History, canonical
from livews.session.policy import ReconnectPolicy


class Owner(Protocol):
    """What is needed of a `Session`."""

    endpoint: Endpoint
    clock: Clock
    connections: int

    @property
    def connection(self) -> Connection: ...
    def new_connection(self, handle: str = "") -> Connection: ...
    def put(self, event: Event) -> None: ...
    def finish(self, error: Exception | None) -> None: ...
    async def send_raw(self, message: dict[str, Any]) -> None: ...
    async def send_backlog(self) -> None: ...


LOGGER = logging.getLogger("livews.session")
_LOOK = 0.5
"""Seconds between two looks at whether the service is alive."""
_LOOK_SOON = 0.05
"""The same while the connection is to be given up."""


class Reconnector:
    """Opens the connections of a session after its first.

    Args:
        session: the session.
        policy: what its caller decided.
        message: the setup message that was sent.
        timeouts: seconds for the connection, and for setupComplete.
        refresh: gets the endpoint with new credentials.
    """

    def __init__(
        self,
        session: Owner,
        policy: ReconnectPolicy,
        message: dict[str, Any],
        timeouts: tuple[float, float],
        refresh: Callable[[], Awaitable[Endpoint]],
    ) -> None:
        self.policy = policy
        self.handle = ""
        """The newest handle of the connections before."""
        self.backlog = Backlog(policy.audio_seconds)
        self._session = session
        self._setup = dict(message["setup"])
        self._timeouts = timeouts
        self._refresh = refresh
        self._tries = policy.reconnects()
        self._limits = {name: value for name, value in self._tries.limits.items()}
        self._delivery = Delivery(policy.audio_seconds)
        self._history = History(self._limits["resultSeconds"], session.endpoint.secrets)
        self._open = asyncio.Event()
        self._wanted = asyncio.Event()
        """Something is to be sent, and there is no connection."""
        self._look = asyncio.Event()
        """Something came that may let a hand-over begin."""
        self._going_away: float | None = None
        """When the connection must be given up, on the clock of the session."""
        self._is_generated = False
        """All of the turn was generated, and its end has not come."""
        self._waits_for_input = False
        self._recall = float("-inf")
        """Calls are answered by what was answered before this time: the model may make them again."""
        self._lost_calls: dict[str, tuple[str, str]] = {}
        """Calls of sessions that the service does not know any more, and that still run: id to name and arguments."""
        self._called: dict[str, tuple[str, str]] = {}
        """Open calls of this connection, likewise."""
        self._new_ids: dict[str, str] = {}
        """Of lost calls that the model has made again: to the id that they have now."""
        self._age: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Future[Any]] = set()
        self._ping: asyncio.Task[object] | None = None
        self._task: asyncio.Task[None] | None = None
        self._connecting: Connection | None = None

    # For the session

    def begin(self) -> None:
        """The first connection is set up."""
        self._tries.opened(self._now())
        self._start_age()
        if not self._session.connection.is_over.is_set():
            self.release()
        self._task = asyncio.create_task(self._run(), name="livews-reconnect")

    async def stop(self) -> None:
        """Open no more connections."""
        if self._age is not None:  # it would keep the session for up to an hour
            self._age.cancel()
        for task in (self._ping, self._task, *self._tasks):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._connecting is not None:
            await self._connecting.leave(0)

    def hold(self) -> None:
        """There is no connection to send on."""
        self._open.clear()
        self._look.set()

    def release(self) -> None:
        """What waits may go on."""
        self._wanted.clear()
        self._open.set()

    def is_open(self, *, wanted: bool = False) -> bool:
        """Whether there is a connection. `wanted`: there is something to send."""
        if wanted and not self._open.is_set():
            self._wanted.set()
        return self._open.is_set()

    async def wait_open(self) -> None:
        """Wait until there is a connection, or the session is over."""
        if not self.is_open(wanted=True):
            await self._open.wait()

    def sent(self, step: Step) -> None:
        """A message is being sent on the connection."""
        self._delivery.sent(step, self._session.clock())
        self._history.sent(step, self._now())
        if "contextUpdate" in step.signals:
            self._update_setup(step.body["contextUpdate"])
        if "toolResponse" in step.signals:
            self._called = {key: call for key, call in self._called.items() if key in self._pending()}

    def is_kept(self, step: Step) -> bool:
        """Whether a message that was handed to a broken connection is sent again by itself."""
        return self.policy.resend and self._delivery.keeps(step.raw)

    def received(self, connection: Connection, step: Step) -> None:
        """A message of the service."""
        if step.template is None:
            self._received(connection, step)

    def _received(self, connection: Connection, step: Step) -> None:
        signals = step.signals
        self._delivery.received(step, self._session.clock())
        self._history.received(step)
        if connection.conversation.handle:
            self.handle = connection.conversation.handle
        for call in function_calls(step.body) if "toolCall" in signals else ():
            self._called[call.id or call.name] = call.name, canonical(call.args)
        content = step.body.get("serverContent")
        if isinstance(content, dict):
            self._waits_for_input = content.get("waitingForInput") is True
        if "generationComplete" in signals:
            self._is_generated = True
        if "turnEnd" in signals:
            self._is_generated = False
            if connection.handle:  # what is called from here on is called anew
                self._recall = float("-inf")
            self._tries.turn_ended(self._now())
            if self._going_away is not None and not self._is_busy(connection):
                self.hold()  # what is said next goes to the next connection
        if "goAway" in signals and self.policy.hand_over:
            left = step.body["goAway"]
            seconds = events.seconds(left.get("timeLeft")) if isinstance(left, dict) else None
            scale = self.policy.time_scale
            deadline = (
                self._session.clock()
                + self._tries.give_up_after(None if seconds is None else seconds * scale) / scale
            )
            self._going_away = min(deadline, self._going_away or deadline)
        self._look.set()

    def answer_again(self, call: ToolCall) -> bool:
        """Answer a call that the model makes again, since its prompt was sent again or the service lost the session,
        without running its function again; whether it is one."""
        if self._recall == float("-inf"):
            return False
        made = call.name, canonical(call.args)
        running = next((key for key, lost in self._lost_calls.items() if lost == made), None)
        if running is not None:
            del self._lost_calls[running]
            self._new_ids[running] = call.id
            call.handled = True
            return True
        result = self._history.result(*made, self._now(), before=self._recall)
        if result is None:
            return False
        call.handled = True
        answer = {"id": call.id, "name": call.name, "response": result}
        message = {
            "toolResponse": {"functionResponses": [{key: value for key, value in answer.items() if value != ""}]}
        }
        self._track(self._session.send_raw(message))
        return True

    def current_answers(self, message: dict[str, Any]) -> dict[str, Any]:
        """A toolResponse with the answers to calls that the service still knows, and the ids they have now; {} if there
        are none. The others are remembered."""
        rows = message["toolResponse"].get("functionResponses") if isinstance(message["toolResponse"], dict) else None
        if not isinstance(rows, list) or not (self._lost_calls or self._new_ids):
            return message
        current = []
        for row in rows:
            key = str(row.get("id") or row.get("name")) if isinstance(row, dict) else ""
            if key in self._lost_calls:
                name, args = self._lost_calls.pop(key)
                if isinstance(row.get("response"), dict):
                    self._history.remember(name, args, row["response"], self._recall)
            else:
                current.append({**row, "id": self._new_ids.pop(key)} if key in self._new_ids else row)
        return {"toolResponse": {"functionResponses": current}} if current else {}

    # The life of the connections

    async def _run(self) -> None:
        try:
            while True:
                connection = self._session.connection
                planned = await self._until_end(connection)
                if not await self._go_on(connection, planned):
                    return
        except Exception as problem:
            self._session.finish(problem)

    async def _until_end(self, connection: Connection) -> bool:
        """Wait until the connection is over, or is to be handed over, which is True."""
        over = asyncio.ensure_future(connection.is_over.wait())
        look = asyncio.ensure_future(self._look.wait())
        try:
            while not connection.is_over.is_set():
                if self._is_due(connection):
                    return True
                await self._check_alive(connection)
                pause = _LOOK if self._going_away is None else _LOOK_SOON
                await asyncio.wait(
                    {over, look}, timeout=pause / self.policy.time_scale, return_when=asyncio.FIRST_COMPLETED
                )
                if look.done():
                    self._look.clear()
                    look = asyncio.ensure_future(self._look.wait())
        finally:
            over.cancel()
            look.cancel()
        return False

    def _is_due(self, connection: Connection) -> bool:
        """Whether to go on on another connection now: at an idle moment, or when the time is up."""
        if self._going_away is None:
            return False
        if self._session.clock() >= self._going_away:
            return True
        return self._tries.has_turn and not self._is_busy(connection)

    def _is_busy(self, connection: Connection) -> bool:
        return self._delivery.is_awaiting or connection.is_busy()

    async def _check_alive(self, connection: Connection) -> None:
        """Ping where an answer is awaited and nothing comes; give the connection up where no pong comes either."""
        clock, limit = self._session.clock, self._limits["silentSeconds"] / self.policy.time_scale
        awaited = self._is_busy(connection) and not self._pending() and not self._waits_for_input
        silent = clock() - max(connection.last_frame, connection.transport.last_sent)
        if not awaited or silent < limit / 2:
            return
        if self._ping is None or self._ping.done():
            self._ping = asyncio.create_task(self._note_pong(connection))
        if silent >= limit and not connection.is_over.is_set():
            LOGGER.info("no message and no pong for %.1f s: the connection is given up", limit)
            advice = replace(
                closes.explain(1006), cause=f"livews gave up: nothing came for {limit:g} s, not even a pong."
            )
            connection.given_up = Lost(advice, where=self._session.endpoint.shown, during="in the middle of a turn")
            self.hold()
            await connection.transport.leave(1001, patience=self._limits["abortSeconds"] / self.policy.time_scale)
            await connection.transport.wait_read()

    async def _note_pong(self, connection: Connection) -> None:
        if await connection.transport.ping() is not None:
            connection.last_frame = self._session.clock()

    async def _go_on(self, connection: Connection, planned: bool) -> bool:
        """Open the next connection after the end of this one; whether there is one."""
        session, limits, scale = self._session, self._limits, self.policy.time_scale
        started = session.clock()
        busy = self._is_busy(connection)
        self.hold()
        if planned:
            LOGGER.info("the connection is handed over")
        await connection.leave(limits["closeSeconds"] / scale if planned else 0)
        close = connection.transport.closed
        busy = busy or (close is not None and "cutTurn" in close.step.effects)
        step = close.step if close is not None else Step("client", "close", b"")
        error: Exception | None = connection.given_up or connection.error
        if self._is_generated and not self._delivery.is_awaiting and not connection.conversation.pending:
            self._is_generated = False
            session.put(TurnEnd(False, "", False, step=step))  # its end was all that was missing
            busy = False
        ending = self._ending(connection, error, busy=busy, planned=planned)
        dropped = self.backlog.dropped
        previous, tried = connection, 0
        while True:
            if isinstance(error, (TraceFailed, BadRequest, LocalProtocolError)):
                session.finish(error)
                return False
            decision = self._decide(ending, error)
            if decision.action == "stop":
                if error is None and (busy or planned):
                    advice = closes.explain(1000, announced=planned)
                    error = Closed(advice, where=session.endpoint.shown, announced=0.0 if planned else None)
                self._give_up(decision, error, decision.attempt if tried or decision.attempt > 1 else 0, step)
                return False
            delay = random.uniform(decision.shortest, decision.longest) / scale
            waiting = decision.action == "wait"
            LOGGER.info("%s; try %d in %.1f s (%s)", decision.says, decision.attempt, delay, decision.row)
            session.put(
                Reconnecting(decision.says, decision.attempt, delay, decision.row, planned, waiting, step=step)
            )
            if waiting:
                await self._wanted.wait()
                delay -= session.clock() - started
                started = session.clock()
            await asyncio.sleep(max(0.0, delay))
            if decision.action == "fresh":
                self.handle = ""
            tried += 1
            try:
                connection = await self._connect(decision)
                break
            except LivewsError as problem:
                error = problem
                failed = self._connecting
                self._connecting = None
                if failed is None:  # no new credentials
                    ending = replace(ending, phase="starting", kind="credentials")
                else:
                    await failed.leave(0)
                    ending = self._ending(failed, problem, busy=busy, planned=planned)
        resumed = bool(connection.handle)
        seconds = session.clock() - started
        resent = await self._catch_up(connection, previous, decision, busy=busy)
        lost = round((self.backlog.dropped - dropped) * 1000)
        session.put(Resumed(lost, resent, seconds, not resumed, step=connection.setup_step))
        if connection.is_over.is_set():
            return True  # what is to be sent waits for the next one
        self.release()
        self._track(session.send_backlog())  # not awaited: it waits for the next connection if this one ends
        return True

    def _ending(self, connection: Connection, error: Exception | None, *, busy: bool, planned: bool) -> Ending:
        """How a connection ended, or a try to get one."""
        age = (self._session.clock() - connection.set_up_at) * self.policy.time_scale
        phase = self._tries.phase(
            set_up_for=age if connection.is_set_up else None,
            resumes=bool(connection.handle),
            has_content=connection.has_content or planned,  # what we close ourselves refuses no handle
            is_busy=busy,
        )
        return connection.ending(error, phase, planned=planned)

    def _give_up(self, decision: Decision, error: Exception | None, tried: int, step: Step) -> None:
        """The session is lost, or was closed in order."""
        if error is not None:
            if isinstance(error, LivewsError) and tried:
                tries = f"{tried} {'try' if tried == 1 else 'tries'}"
                error.why = f"{error.why} livews gave up after {tries} to connect again: {decision.says}.".strip()
            self._session.put(SessionLost(decision.says, step=step))
        self._session.finish(error)

    def _decide(self, ending: Ending, error: Exception | None) -> Decision:
        decision = self._tries.ended(ending, self._now())
        if decision.action == "fresh" and not self.policy.fresh:
            decision = replace(decision, action="stop")
        if self.policy.on_close is not None and isinstance(error, LivewsError):
            problem = self.policy.on_close(error)
            if problem is not None:
                raise problem
        return decision

    async def _connect(self, decision: Decision) -> Connection:
        session = self._session
        if decision.refresh:
            session.endpoint = await self._refresh()
        self._tries.opened(self._now())
        connection = self._connecting = session.new_connection(self.handle)
        await connection.open(
            self._message(connection.handle), *(one / self.policy.time_scale for one in self._timeouts)
        )
        self._connecting = None
        session.connections += 1
        self._start_age()
        return connection

    def _message(self, handle: str) -> dict[str, Any]:
        """The setup as it stands now, to resume with a handle or to begin anew."""
        setup = dict(self._setup)
        if "sessionResumption" in setup or handle:
            resumption = {
                key: value for key, value in (setup.get("sessionResumption") or {}).items() if key != "handle"
            }
            setup["sessionResumption"] = {**resumption, **({"handle": handle} if handle else {})}
        seed = models.profile(setup["model"], self._session.endpoint.surface)["seed"]
        if handle:
            setup.pop("historyConfig", None)  # else the first clientContent is taken as history (C25)
        elif seed["by"] == "flag" and self._session_history(shorter=False):
            setup["historyConfig"] = {"initialHistoryInClientContent": True}
        return {"setup": setup}

    def _session_history(self, *, shorter: bool) -> list[dict[str, Any]]:
        profile = models.profile(self._setup["model"], self._session.endpoint.surface)
        return self._history.turns(profile, whole=self._delivery.is_awaiting, shorter=shorter)

    async def _catch_up(self, connection: Connection, previous: Connection, decision: Decision, *, busy: bool) -> int:
        """Bring a new connection to where the one before was; the number of messages that were sent again."""
        resumed, conversation = bool(connection.handle), connection.conversation
        if busy or not resumed:
            self._recall = self._now()
        if not resumed:
            self._lost_calls |= {
                key: call for key, call in self._called.items() if key in previous.conversation.pending
            }
            self._called.clear()
            if turns := self._session_history(shorter=decision.shorter):
                seed = conversation.profile["seed"]
                await self._transmit(
                    connection, codec.dump({"clientContent": {"turns": turns, "turnComplete": seed["by"] == "flag"}})
                )
        if not decision.resend:
            self._delivery.forget_last()
        if not self.policy.resend:
            self._delivery.forget()
        at_once = self._delivery.at_once(resumed=resumed)
        self._delivery.opened()
        resent = await self._send_again(connection, at_once)
        if busy and not conversation.pending:
            again = self._delivery.if_silent() if resumed else []
            if not (resumed and await self._goes_on(connection)):
                resent += await self._send_again(connection, again)
                if not again and not at_once:  # a turn was cut, and nothing is left that could continue it
                    self._session.put(TurnEnd(True, "", False, step=connection.setup_step))
        return resent

    async def _goes_on(self, connection: Connection) -> bool:
        """Whether the service goes on by itself on a resumed connection."""
        seconds = self._limits["resendAfterSeconds"] / self.policy.time_scale
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(connection.goes_on.wait(), seconds)
        return connection.goes_on.is_set()

    async def _send_again(self, connection: Connection, items: list[Sent]) -> int:
        count = 0
        for item in items:
            if not await self._transmit(connection, item.raw):
                break
            self._delivery.sent_again(item, self._session.clock())
            count += 1
        return count

    async def _transmit(self, connection: Connection, raw: bytes) -> bool:
        step = connection.conversation.step("client", raw, composed=True)
        return await connection.transport.send(step)

    # What is known of the session

    def _now(self) -> float:
        """The time of the policy: that of the service, where times are scaled."""
        return self._session.clock() * self.policy.time_scale

    def _start_age(self) -> None:
        """Take the time at which the service closes without a goAway."""
        self._going_away = None
        if self._age is not None:
            self._age.cancel()
        life = models.profile(self._setup["model"], self._session.endpoint.surface)["life"]
        age = self._tries.hand_over_at(life)
        if self.policy.hand_over and age is not None:
            self._going_away_at_age(self._session.clock() + age / self.policy.time_scale)

    def _going_away_at_age(self, at: float) -> None:
        loop = asyncio.get_running_loop()
        connection = self._session.connection

        def due() -> None:
            if self._session.connection is connection:
                seconds = self._tries.give_up_after(self._limits["beforeEndSeconds"])
                self._going_away = self._session.clock() + seconds / self.policy.time_scale
                self._look.set()

        self._age = loop.call_later(max(0.0, at - self._session.clock()), due)

    def _pending(self) -> Any:
        return self._session.connection.conversation.pending

    def _update_setup(self, update: Any) -> None:
        """Keep the setup as contextUpdate changes it."""
        if isinstance(update, dict):
            if "systemInstruction" in update:
                self._setup["systemInstruction"] = update["systemInstruction"]
            tools = update.get("tools")
            if isinstance(tools, dict):
                self._setup["tools"] = tools.get("tools", [])

    def _track(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the event loop keeps only a weak reference
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
