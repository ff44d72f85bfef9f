"""Play a script on a socket: a scenario of protocol/scenarios, or a session somebody recorded.

- A scenario waits for what it has the client say, and says what it has the server say; frames that do not fit are told,
  and waited over.
- A recorded session is replayed in its order: a server frame goes out once the client has said as much as it had then,
  by number of messages and seconds of sound, so that other chunks of the same sound do. Its timing is kept, or dropped.
- What the client says otherwise than recorded is told by meaning: spelling, chunks and base64 do not count.
- The script is the judge: no rule closes a session that plays one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed

from livews.audio.analysis.pcm import rate_of, seconds_of
from livews.core import codec, schema
from livews.core.conversation import Conversation
from livews.server import faults
from livews.server.channel import ConnectionEnded, ServerChannel
from livews.server.pattern import differences, misfit
from livews.server.script import Script
from livews.server.turn_taking import duration
from livews.terminal_text import one_line
from livews.trace.reader import TraceRecord as Recorded
from livews.trace.reader import refilled
from livews.trace.writer import emptied

if TYPE_CHECKING:
    from livews.server.server import StandInConnection, StandInServer

_TOLD = 20
"""Differences that are told; the rest is counted."""
_SOUND_TOLERANCE = 0.25
"""Seconds of sound a client may be behind the recording before a replay waits for it."""
_HELD = 256


class ScriptPlayer:
    """Plays one script to one client. Takes the place of a `Session`."""

    def __init__(self, socket: StandInConnection, house: StandInServer, number: int, script: Script) -> None:
        self._socket = socket
        self._house = house
        self._script = script
        self._patience = house.policy.patience
        self.number = number
        self.place = house.place_of(socket)
        self.talk = Conversation(inspect=True, surface=self.place.surface, version=self.place.version)
        self.line = ServerChannel(
            socket, self.talk, house.policy.faults, house.recorder(number, self.place), self._go_away
        )
        self.received = 0
        self.ended = ""
        self.found: list[str] = []
        """What the client did otherwise."""
        self.set_up = True
        self._inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_HELD)
        self._messages: list[dict[str, Any]] = []
        self._sound = 0.0
        self._news = asyncio.Event()
        self._gone = False
        self._leaving: asyncio.Task[None] | None = None

    @property
    def model(self) -> str:
        return str(self.talk.setup.get("model", ""))

    async def run(self) -> None:
        reader = self.line.watch(self._read())
        try:
            with contextlib.suppress(ConnectionEnded):
                if self._script.steps:
                    await self._play(self._script.steps)
                else:
                    await self._replay(self._script.lines)
                async with asyncio.timeout(self._patience):
                    await self._socket.wait_closed()
        except TimeoutError:
            self.found.append(f"the script is over, and the client stayed for {self._patience:g} s")
        finally:
            for task in (reader, self._leaving):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
            received = self._socket.protocol.close_rcvd
            self.ended = self.line.ended or (f"closed by the client, {received.code}" if received else "lost")
            self.line.finish()
        if self.line.failure is not None:
            raise self.line.failure

    def summary(self, seconds: float) -> str:
        told = self.found[:_TOLD]
        more = len(self.found) - len(told)
        head = (
            f"{one_line(self._script.name)}, {seconds:.1f} s, {self.received} in, {self.line.sent} out, {self.ended}"
        )
        if not self.found:
            return f"{head}: as written"
        lines = [f"{head}: {len(self.found)} difference{'' if len(self.found) == 1 else 's'}"]
        lines += [f"  {one_line(words, 400)}" for words in told]
        return "\n".join(lines + ([f"  and {more} more"] if more else []))

    def status(self) -> dict[str, Any]:
        return {
            "session": self.number,
            "script": self._script.name,
            "model": self.model,
            "states": self.talk.states,
            "received": self.received,
            "sent": self.line.sent,
            "differences": self.found[:_TOLD],
            "ended": self.ended,
        }

    async def _read(self) -> None:
        """Everything the client says, followed and put where the script looks for it."""
        try:
            while True:
                raw, text = await self._socket.message()
                self.received += 1
                step = self.talk.step("client", raw)
                self.line.heard(raw, text, step)
                if self._script.steps:
                    await self._inbox.put(step.body)
                else:
                    self._note(step.body)
        except ConnectionClosed:
            pass
        finally:
            self.line.note_close()
            self._gone = True
            self._news.set()
            with contextlib.suppress(asyncio.QueueFull):
                self._inbox.put_nowait(None)

    async def _go_away(self, left: float) -> None:
        """goAway because a fault asks for it, and the close when `left` seconds are over."""
        await self.line.send({"goAway": {"timeLeft": duration(left)}})
        self._leaving = self._leaving or self.line.watch(self._leave(left))

    async def _leave(self, left: float) -> None:
        await asyncio.sleep(left)
        await self.line.close(*faults.close_of("goaway-ignored"))

    # A scenario

    async def _play(self, steps: list[dict[str, Any]]) -> None:
        for i, step in enumerate(steps):
            if "server" in step:
                await self.line.send(step["server"])
            elif "wait" in step:
                await asyncio.sleep(step["wait"] * self._house.policy.pace)
            elif "fault" in step:
                self.line.arm(faults.parse(step["fault"], here=self.line.sent + 1))
            elif "client" in step:
                await self._expect(i, step["client"])
            elif "close" in step and step.get("from", step["close"].get("from")) != "client":
                await self.line.close(step["close"].get("code", 1000), str(step["close"].get("reason", "")))

    async def _expect(self, i: int, pattern: dict[str, Any]) -> None:
        """Wait for a frame that fits; tell what came instead."""
        waits = f"step {i + 1} waits for {'+'.join(pattern) or 'a message'}"
        others = 0
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    body = None if self._gone and self._inbox.empty() else await self._inbox.get()
                    if body is None:
                        self.found.append(f"{waits}, and the client is gone")
                        raise ConnectionEnded(self.line.ended)
                    words = misfit(pattern, body)
                    if not words:
                        return
                    others += 1
                    if others <= 3:
                        self.found.append(f"{waits}; {'+'.join(body) or 'something unreadable'} came: {words}")
        except TimeoutError:
            self.found.append(f"{waits}, and nothing that fits came in {self._patience:g} s")
            await self.line.close(*faults.close_of("deadline-expired"))

    # A recorded session

    def _note(self, body: dict[str, Any]) -> None:
        sound = sum(_seconds(body))
        if sound:
            self._sound += sound
        else:
            self._messages.append(body)
        self._news.set()

    async def _replay(self, lines: list[Recorded]) -> None:
        loop = asyncio.get_running_loop()
        fast = self._house.policy.fast
        said: list[dict[str, Any]] = []
        sound = 0.0
        last_t, last_at = (lines[0].t if lines else 0.0), loop.time()
        for line in lines:
            if line.sender == "client":
                if line.control == "close":
                    break
                if line.raw is not None:
                    body = _folded(line.raw)
                    seconds = sum(_seconds(body))
                    sound += seconds
                    if not seconds:
                        said.append(body)
                        await self._heard_as_much(len(said), sound)
                    last_t, last_at = line.t, loop.time()
                continue
            if line.control and line.control != "close":
                continue
            await self._heard_as_much(len(said), sound)
            if not fast:
                await asyncio.sleep(max(0.0, last_at + line.t - last_t - loop.time()))
            last_t, last_at = line.t, loop.time()
            if line.control == "close":
                self._compare(said, sound)
                code = line.about.get("code")
                await self.line.close(code if isinstance(code, int) else 1006, str(line.about.get("reason", "")))
            assert line.raw is not None
            if self._house.policy.faults:  # in the form they ask for
                await self.line.send(refilled(line.raw, codec.dump_as_service))
            else:
                await self.line.put(refilled(line.raw, codec.dump_as_service), text=line.opcode == "text")
        try:
            async with asyncio.timeout(self._patience):
                await self._socket.wait_closed()
        finally:
            self._compare(said, sound)

    async def _heard_as_much(self, messages: int, sound: float) -> None:
        """Wait until the client has said as much as it had said here."""
        try:
            async with asyncio.timeout(self._patience):
                while len(self._messages) < messages or self._sound < sound - _SOUND_TOLERANCE:
                    if self._gone:
                        self._compare_with(messages, sound)
                        raise ConnectionEnded(self.line.ended)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            self.found.append(
                f"went on after {self._patience:g} s: the client had said {messages} messages and {sound:.1f} s of "
                f"sound here, and now {len(self._messages)} and {self._sound:.1f} s"
            )

    def _compare_with(self, messages: int, sound: float) -> None:
        self.found.append(
            f"the client is gone after {len(self._messages)} messages and {self._sound:.1f} s of sound; it had said "
            f"{messages} and {sound:.1f} s here"
        )

    def _compare(self, said: list[dict[str, Any]], sound: float) -> None:
        for i, (before, now) in enumerate(zip(said, self._messages, strict=False), 1):
            self.found += [f"client message {i}: {words}" for words in differences(_meant(before), _meant(now))]
        if len(said) != len(self._messages):
            self.found.append(f"the client said {len(self._messages)} messages, and had said {len(said)}")
        if abs(self._sound - sound) > _SOUND_TOLERANCE:
            self.found.append(f"the client sent {self._sound:.1f} s of sound, and had sent {sound:.1f} s")


def _folded(raw: bytes) -> dict[str, Any]:
    try:
        folded: dict[str, Any] = schema.canonical("client", codec.parse(raw)).message
    except codec.WireError:
        return {}
    return folded


def _seconds(body: dict[str, Any]) -> Iterator[float]:
    """Seconds of each piece of sound a client's message streams, also of an elided one."""
    given = body.get("realtimeInput")
    if not isinstance(given, dict):
        return
    chunks = given.get("mediaChunks")
    for blob in [given.get("audio"), *(chunks if isinstance(chunks, list) else [])]:
        if isinstance(blob, dict) and str(blob.get("mimeType", "")).startswith("audio/"):
            data = str(blob.get("data", ""))
            size = int(data.split(":")[1]) if _elided(data) else len(data) * 3 // 4
            yield seconds_of(size, rate_of(str(blob["mimeType"]), "client"))


def _elided(data: str) -> bool:
    parts = data.split(":")
    return len(parts) == 3 and parts[0] == "elided" and parts[1].isdigit()


def _meant(body: dict[str, Any]) -> dict[str, Any]:
    """A message without what differs from run to run: a handle, and media that a trace may have elided."""
    body = emptied(body)
    resumption = body.get("setup", {}).get("sessionResumption") if isinstance(body.get("setup"), dict) else None
    if isinstance(resumption, dict) and "handle" in resumption:
        body = {**body, "setup": {**body["setup"], "sessionResumption": {**resumption, "handle": "..."}}}
    return body
