"""Sends the user's voice from a microphone or a file to the session, and handles everything that may hold it back.

- Audio passes in this order: echo canceller, half-duplex gate, level, push-to-talk, the connection.
- While the network stalls the newest audio is kept; what was dropped is counted and reported.
- A stream never stops silently: muting sends audioStreamEnd, releasing the key sends activityEnd.
"""

from __future__ import annotations

import argparse
import contextlib
from typing import TYPE_CHECKING

from livews.audio.analysis import levels
from livews.audio.analysis.pcm import seconds_of
from livews.audio.analysis.vad import VoiceActivityDetector
from livews.audio.echo import EchoGate
from livews.cli.console import Console
from livews.cli.replies import Replies
from livews.errors import LocalProtocolError

if TYPE_CHECKING:
    from livews.audio.echo_canceller import EchoCanceller
    from livews.audio.file_source import FileSource
    from livews.audio.microphone import Microphone
    from livews.audio.speaker import Speaker

_REPORT_DROPS_EVERY = 5.0
_SILENCE_BEFORE_END = 1.5
"""Seconds of silence that some models need before audioStreamEnd."""


class MicrophoneSender:
    """Streams one source to the session of `replies`.

    options: with --push-to-talk audio is sent only while `talk(True)`; with --half-duplex only while nothing plays.
    canceller: against the echo of the loudspeaker, if wanted.
    """

    def __init__(
        self,
        source: Microphone | FileSource,
        replies: Replies,
        console: Console,
        options: argparse.Namespace,
        canceller: EchoCanceller | None,
    ) -> None:
        self._source = source
        self._replies = replies
        self._console = console
        self._manual: bool = options.push_to_talk
        self._gate = EchoGate(rate=source.rate) if options.half_duplex else None
        self._canceller = canceller
        self.vad = VoiceActivityDetector()
        self.db: float | None = None
        """dBFS of the last piece; None before the first and while muted."""
        self.open = not self._manual
        """Audio is sent."""
        self.muted = False
        self.closed = False
        """Half-duplex: the loudspeaker plays, so silence is sent."""
        self._has_sent = False
        self._dropped_ms = 0.0
        self._reported_at = float("-inf")
        self._requested_at: float | None = None

    async def run(self) -> None:
        """Until the source ends, and say so: a file at its end, a microphone when its device goes away."""
        async for chunk in self._source.chunks():
            pcm = chunk.pcm
            speaker = self._replies.speaker
            playing = speaker is not None and not speaker.idle
            if self._canceller is not None:
                pcm = self._without_echo(pcm, self._canceller, speaker)
            if self._gate is not None:
                start = chunk.at - seconds_of(len(pcm), self._source.rate)
                pcm = self._gate.pass_on(pcm, playing=playing, at=start)
                self.closed = playing
            self.db = levels.loudness(pcm)
            if self._replies.echo is not None:
                self._replies.echo.user_level(self.db, chunk.at)
            if not self.open or self.muted:
                continue
            self.vad.push(pcm, self._source.rate, chunk.at)
            if self._manual:
                self._has_sent = True
            elif self.vad.ended_at is not None and self.vad.ended_at != self._requested_at:
                self._requested_at = self.vad.ended_at
                self._replies.spoken(self._requested_at)
            await self._replies.session.send_audio(pcm, self._source.rate)
            self._report_drops(self._replies.watch.clock())
        if self._manual:
            await self.talk(False)
        elif not self.muted:
            with contextlib.suppress(LocalProtocolError):
                await self._replies.session.audio_end()

    def _without_echo(self, pcm: bytes, canceller: EchoCanceller, speaker: Speaker | None) -> bytes:
        from livews.audio.portaudio import AudioUnavailable

        try:
            for played, rate, at in speaker.played() if speaker is not None else ():
                canceller.far(played, rate, at)
            return canceller.near(pcm)
        except AudioUnavailable as why:
            self._canceller = None
            self._console.warn(f"{why.sentence()} From now on the microphone is sent unchanged.")
            return pcm

    async def talk(self, on: bool) -> None:
        """Push-to-talk: the key is down, or up again."""
        if not self._manual or on == self.open or (on and self.muted):
            return
        if on:
            self._has_sent, self.open = False, True
            await self._replies.session.activity_start()
            return
        self.open = False
        if not self._has_sent:  # ACTIVITY-2: an empty activity would close the session
            await self._replies.session.send_audio(bytes(640 * 2), self._source.rate)
        await self._replies.session.activity_end()
        self._replies.requested()

    async def mute(self, on: bool) -> None:
        if on == self.muted:
            return
        self.muted = on
        self._source.muted = on
        if on:
            self.db = None
            if not self._manual:
                silence = bytes(round(_SILENCE_BEFORE_END * self._source.rate) * 2)
                await self._replies.session.send_audio(silence, self._source.rate)  # ACTIVITY-6
                await self._replies.session.audio_end()
            elif self.open:
                await self.talk(False)

    def _report_drops(self, now: float) -> None:
        dropped = self._source.dropped_ms
        if dropped > self._dropped_ms and now - self._reported_at >= _REPORT_DROPS_EVERY:
            lost = f"{dropped - self._dropped_ms:.0f} ms of your voice were dropped, the oldest first"
            self._console.warn(f"the network stalls: {lost}")
            self._dropped_ms, self._reported_at = dropped, now
