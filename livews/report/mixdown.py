"""Mix down the audio of a session: one WAV, the user left and the model right, each where it was heard.

- What was cut off is silent.
- Both channels need one rate. The caller's resampler makes it; without one there are two files with one channel each.
- Audio passes through temporary files: a session of hours takes a second of it in memory.
"""

import sys
import tempfile
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from livews.analysis.audio_tracks import KEPT, AudioTrack, AudioTracks
from livews.audio.wav import wave_file
from livews.core import codec
from livews.errors import BadRequest
from livews.trace.session import RecordedSession

_MAX_SECONDS = 12 * 3600
"""What the 32 bits of a WAV file allow for two channels at 24 kHz."""


class ResamplerLike(Protocol):
    def push(self, pcm: bytes) -> bytes: ...

    def end(self) -> bytes: ...


Resample = Callable[[int, int], ResamplerLike | None]
"""Makes a resampler from one rate to another; None if it cannot."""


@dataclass(frozen=True, slots=True)
class Mixdown:
    """What was written.

    Attributes:
        seconds: duration.
        is_split: it is two files with one channel each, since there is no resampler.
        left_out: MIME types of audio that is not PCM.
    """

    seconds: float
    is_split: bool
    left_out: Sequence[str] = ()


def mix_down(session: RecordedSession, resample: Resample, open_out: Callable[[str], BinaryIO]) -> Mixdown:
    """Write the audio of a session, which is read to its end.

    Args:
        open_out: opens the file for "both", "user" or "model".

    Raises:
        BadRequest: the session is too long for a WAV file.
    """
    tracks = AudioTracks(limit=sys.maxsize)
    try:
        for record, step in session:
            if step is not None:
                tracks.take(record.t, step, elided=record.elided)
                longest = max(tracks.user.queued_until, tracks.model.queued_until)
                if not -1 <= record.t <= _MAX_SECONDS or longest > _MAX_SECONDS:
                    raise BadRequest(
                        "the session is longer than a WAV file can be",
                        where=f"{session.name}:{record.number}",
                        why=f"the most is {_MAX_SECONDS // 3600} hours",
                        fix="export a part of it: livews trace cut FILE --from S --to S -o PART.jsonl",
                    )
            elif record.control == "heard":
                tracks.model.heard(record.about)
        return _write(tracks, resample, open_out)
    finally:
        tracks.close()


def _write(tracks: AudioTracks, resample: Resample, open_out: Callable[[str], BinaryIO]) -> Mixdown:
    user_rate, model_rate = (track.runs[0].rate if track.runs else 0 for track in (tracks.user, tracks.model))
    if user_rate and user_rate != codec.OUTPUT_RATE and resample(user_rate, codec.OUTPUT_RATE) is not None:
        user_rate = codec.OUTPUT_RATE
    model_rate = model_rate or user_rate or codec.OUTPUT_RATE
    user_rate = user_rate or model_rate
    left_out = [*dict.fromkeys(tracks.user.skipped_types + tracks.model.skipped_types)]
    with tempfile.TemporaryFile() as left, tempfile.TemporaryFile() as right:
        user = _Channel(left, user_rate, tracks.user, resample)
        model = _Channel(right, model_rate, tracks.model, resample)
        seconds = max(user.samples / user_rate, model.samples / model_rate)
        if user_rate == model_rate:
            _write_wav(open_out("both"), user_rate, [user, model])
            return Mixdown(seconds, False, left_out)
        _write_wav(open_out("user"), user_rate, [user])
        _write_wav(open_out("model"), model_rate, [model])
        return Mixdown(seconds, True, left_out)


class _Channel:
    """A track as s16le at one rate in a file, with silence between its runs. `samples`: its length."""

    def __init__(self, file: BinaryIO, rate: int, track: AudioTrack, resample: Resample) -> None:
        self.samples = 0
        self._file = file
        for run in track.runs:
            if run.have != KEPT or not run.heard_samples:
                continue
            file.seek(2 * round(run.t * rate))
            resampler = resample(run.rate, rate) if run.rate != rate else None
            for start in range(0, run.heard_samples, run.rate):
                pcm = track.store.read(run.at + 2 * start, 2 * min(run.rate, run.heard_samples - start))
                file.write(pcm if resampler is None else resampler.push(pcm))
            if resampler is not None:
                file.write(resampler.end())
            self.samples = max(self.samples, file.tell() // 2)

    def read(self, start: int, count: int) -> bytes:
        self._file.seek(2 * start)
        return self._file.read(2 * count).ljust(2 * count, b"\0")


def _write_wav(out: BinaryIO, rate: int, channels: list[_Channel]) -> None:
    samples = max(channel.samples for channel in channels)
    with wave_file(out, rate, len(channels), samples) as file:
        for start in range(0, samples, rate):
            count = min(rate, samples - start)
            frames = array("h", bytes(2 * len(channels) * count))
            for i, channel in enumerate(channels):  # samples are moved whole: their byte order does not matter
                frames[i :: len(channels)] = array("h", channel.read(start, count))
            file.writeframesraw(frames.tobytes())
