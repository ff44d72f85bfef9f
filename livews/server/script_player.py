"""Plays a script to a client: a scenario of protocol/scenarios, or a recorded session.

- A scenario waits for its client messages and sends its server messages; messages that do not fit are reported, and
  waited over.
- A recorded session is replayed in its order: a server frame is sent once the client has sent as much as it had in the
  recording, by number of messages and seconds of audio, so that other chunks of the same audio do. Its timing is kept,
  unless `fast` is set.
- Messages of the client are compared by meaning: spelling, chunks and base64 do not count. Of a scenario's pattern
  (protocol/README.md, "Scenarios") an object fits if each of its members does, a list if it is as long and fits item by
  item, anything else if it is equal; `true` is not `1`. Places are JSON pointers (RFC 6901).
- A scenario of several connections has a script for each; one that was opened too early is a difference.
- The script decides: no rule closes a session that plays one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from websockets.protocol import State

from livews.audio.analysis.pcm import audio_seconds
from livews.conversation import Conversation
from livews.core import close_rows
from livews.core.conversation import Step
from livews.server import faults, service_format
from livews.server.connection import StandInConnection
from livews.server.context import ServerContext
from livews.server.script import Script
from livews.server.server_session import ConnectionEnded, ServerSession
from livews.terminal_text import one_line, plural
from livews.trace.json_diff import NOTHING, json_differences, shown
from livews.trace.media import emptied, refilled
from livews.trace.reader import TraceRecord

_SHOWN = 20
"""Differences that are shown; the rest is counted."""
_QUEUED = 256
"""Messages a scenario has not looked at yet, before no more are read."""
_AUDIO_TOLERANCE = 0.25
"""Seconds of audio a client may be behind the recording before a replay waits for it."""


class _ClientMessages:
    """What a client has sent so far: its messages without audio, and how much audio."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.seconds = 0.0

    def add(self, step: Step) -> bool:
        """Add a message; whether it is more than audio."""
        seconds = audio_seconds(step) if "realtimeInput" in step.body else 0.0
        self.seconds += seconds
        if not seconds:
            self.messages.append(step.body)
        return not seconds

    def reaches(self, other: _ClientMessages) -> bool:
        """Whether this is as much as another client had sent."""
        return len(self.messages) >= len(other.messages) and self.seconds >= other.seconds - _AUDIO_TOLERANCE

    def progress(self, other: _ClientMessages) -> str:
        """How much it is, and how much it is in the recording."""
        return (
            f"{plural(len(self.messages), 'message')} and {self.seconds:.1f} s of audio; the recording has "
            f"{len(other.messages)} and {other.seconds:.1f} s here"
        )

    def differences(self, recorded: _ClientMessages) -> Iterator[str]:
        """What the client did otherwise than in the recording."""
        for i, (before, now) in enumerate(zip(recorded.messages, self.messages, strict=False), 1):
            for change in differences(_comparable(before), _comparable(now)):
                yield f"client message {i}: {change}"
        if len(recorded.messages) != len(self.messages):
            yield f"the client sent {plural(len(self.messages), 'message')}, the recording has {len(recorded.messages)}"
        if abs(self.seconds - recorded.seconds) > _AUDIO_TOLERANCE:
            yield f"the client sent {self.seconds:.1f} s of audio, the recording has {recorded.seconds:.1f} s"


class ScriptPlayer(ServerSession):
    """A session that plays one script."""

    def __init__(
        self,
        connection: StandInConnection,
        context: ServerContext,
        number: int,
        script: Script,
        previous: ScriptPlayer | None = None,
    ) -> None:
        super().__init__(connection, context, number)
        self.script = script
        if script.connection > 1 and previous is not None and previous.connection.state is State.OPEN:
            self.differences.append(f"opened while session {previous.number}, the connection before, is open")
        self._inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_QUEUED)
        """For a scenario: messages that it has not looked at yet; None after the last one."""
        self._sent = _ClientMessages()
        """For a replay."""
        self._client_left = False
        self._news = asyncio.Event()
        """Something came, or the client left."""

    async def serve(self) -> None:
        self.start_task(self._read())
        try:
            with contextlib.suppress(ConnectionEnded):
                if self.script.steps:
                    await self._play(self.script.steps)
                else:
                    await self._replay(self.script.records)
                async with asyncio.timeout(self.config.patience):
                    await self.connection.wait_closed()
        except TimeoutError:
            self.differences.append(f"the script is over, and the client stayed for {self.config.patience:g} s")

    def summary(self, seconds: float) -> str:
        name, count = one_line(self.script.name), len(self.differences)
        head = f"{name}, {seconds:.1f} s, {self.received} in, {self.sent} out, {self.ended}"
        if not count:
            return f"{head}: as written"
        lines = [f"{head}: {count} difference{'' if count == 1 else 's'}"]
        lines += [f"  {one_line(difference, 400)}" for difference in self.differences[:_SHOWN]]
        return "\n".join(lines + ([f"  and {count - _SHOWN} more"] if count > _SHOWN else []))

    def status(self) -> dict[str, Any]:
        return super().status() | {"script": self.script.name, "differences": self.differences[:_SHOWN]}

    async def _read(self) -> None:
        try:
            await self.read()
        finally:
            self._client_left = True
            self._news.set()
            with contextlib.suppress(asyncio.QueueFull):
                self._inbox.put_nowait(None)

    async def take(self, raw: bytes, *, text: bool) -> None:
        step = self.conversation.step("client", raw)
        self.record_received(raw, text, step)
        if self.script.steps:
            await self._inbox.put(step.body)
        else:
            self._sent.add(step)
        self._news.set()

    # A scenario

    async def _play(self, steps: list[dict[str, Any]]) -> None:
        for i, step in enumerate(steps, 1):
            if "server" in step:
                await self.send(step["server"])
            elif "wait" in step:
                await asyncio.sleep(step["wait"] * self.config.pace)
            elif "fault" in step:
                self.add_fault(faults.parse(step["fault"], here=self.sent + 1))
            elif "client" in step:
                await self._expect(step["client"], f"step {i} waits for {'+'.join(step['client']) or 'a message'}")
            elif "close" in step and step.get("from", step["close"].get("from")) != "client":
                await self.close(step["close"].get("code", 1000), str(step["close"].get("reason", "")))

    async def _expect(self, pattern: dict[str, Any], waits: str) -> None:
        """Wait for a message that fits the pattern; report what came instead."""
        misfits = 0
        try:
            async with asyncio.timeout(self.config.patience):
                while True:
                    message = None if self._client_left and self._inbox.empty() else await self._inbox.get()
                    if message is None:
                        self.differences.append(f"{waits}, and the client is gone")
                        raise ConnectionEnded
                    difference = misfit(pattern, message)
                    if not difference:
                        return
                    misfits += 1
                    if misfits <= 3:
                        name = "+".join(message) or "something unreadable"
                        self.differences.append(f"{waits}; {name} came: {difference}")
        except TimeoutError:
            self.differences.append(f"{waits}, and nothing that fits came in {self.config.patience:g} s")
            await self.close(*close_rows.frame_for("deadline-expired"))

    # A recorded session

    async def _replay(self, records: list[TraceRecord]) -> None:
        reading = Conversation(surface=self.target.surface, version=self.target.version)
        recorded = _ClientMessages()
        loop = asyncio.get_running_loop()
        last_t, last_at = records[0].t, loop.time()
        for record in records:
            is_close, is_client = record.control == "close", record.sender == "client"
            if is_close and is_client:
                break
            if record.raw is None and not is_close:
                continue
            raw = refilled(record.raw or b"", service_format.dump_as_service)
            if not is_client or recorded.add(reading.step("client", raw)):
                await self._wait_for_client(recorded)
            if not is_client and not self.config.fast:
                await asyncio.sleep(max(0.0, last_at + record.t - last_t - loop.time()))
            last_t, last_at = record.t, loop.time()
            if is_close:
                self.differences += self._sent.differences(recorded)
                await self.close(*record.close)
            elif not is_client and self.config.faults:  # which may change the form
                await self.send(raw)
            elif not is_client:
                await self.send_raw(raw, text=record.opcode == "text")
        try:
            async with asyncio.timeout(self.config.patience):
                await self.connection.wait_closed()
        finally:
            self.differences += self._sent.differences(recorded)

    async def _wait_for_client(self, recorded: _ClientMessages) -> None:
        """Wait until the client has sent as much as it had sent at this place of the recording."""
        try:
            async with asyncio.timeout(self.config.patience):
                while not self._sent.reaches(recorded):
                    if self._client_left:
                        self.differences.append(f"the client left after {self._sent.progress(recorded)}")
                        raise ConnectionEnded
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            waited = f"went on without the client after {self.config.patience:g} s"
            self.differences.append(f"{waited}, with {self._sent.progress(recorded)}")


def _comparable(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what differs from run to run: a handle, and media that a trace may have elided."""
    message = emptied(message)
    setup = message.get("setup")
    resumption = setup.get("sessionResumption") if isinstance(setup, dict) else None
    if isinstance(resumption, dict) and "handle" in resumption:
        message = {**message, "setup": {**message["setup"], "sessionResumption": {**resumption, "handle": "..."}}}
    return message


def misfit(pattern: Any, value: Any) -> str:
    """Why `value` does not fit, in words; "" if it does."""
    for path, expected, actual in json_differences(pattern, value, subset=True):
        if actual is NOTHING:
            return f"{path}: {shown(expected)} is expected, nothing is there"
        what = f"a list of {len(expected)}" if isinstance(expected, list) else shown(expected)
        what = "an object" if isinstance(expected, dict) else what
        return f"{path or '/'}: {what} is expected, {shown(actual)} is there"
    return ""


def differences(before: Any, now: Any) -> list[str]:
    """Where two messages differ, both ways, each place once."""
    out = []
    for path, old, new in json_differences(before, now):
        if new is NOTHING:
            out.append(f"{path}: was {shown(old)}, now is left out")
        elif old is NOTHING:
            out.append(f"{path}: was left out, now is {shown(new)}")
        else:
            out.append(f"{path or '/'}: was {shown(old)}, now {shown(new)}")
    return out
