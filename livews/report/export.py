"""A recorded session in forms that other programs take: captions, a page of text, and sound.

- Captions (SRT, WebVTT) and the page (Markdown) are made from the story of the session; text from the wire is written so
  that it is text there, and no markup.
- Sound is one WAV, the user left and the model right, each where it was heard on the session's time line; what was cut off
  is silent. Needs one rate for both: the caller's resampler makes it, and without one there are two files of one channel.
- Sound passes through files beside memory: a session of hours takes a second of it at a time.
"""

from __future__ import annotations

import re
import tempfile
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from livews.analysis.timeline import Timeline, TimelineEvent, Utterance
from livews.analysis.turn_times import PlayedTimeline, ends_reply, interrupts
from livews.audio.analysis.pcm import rate_of, seconds_of
from livews.audio.wav import wave_file
from livews.core import codec
from livews.errors import BadRequest
from livews.terminal_text import one_line
from livews.trace.session import RecordedSession

_NAMES = {"user": "You", "model": "Model"}
_MOST_SECONDS = 12 * 3600
"""What 32 bits of a WAV can say, of two channels at 24 kHz."""
_JITTER = 0.1
"""Seconds a piece of a microphone may come early or late and still follow the one before."""


# Captions


def srt(story: Timeline) -> str:
    """SubRip captions, the speaker before each."""
    blocks = [
        f"{number}\n{_clock(said.start, ',')} --> {_clock(said.end, ',')}\n{_NAMES[said.who]}: {_srt_text(said.text)}\n"
        for number, said in enumerate(story.captions(), 1)
    ]
    return "\n".join(blocks)


def vtt(story: Timeline) -> str:
    """WebVTT captions, the speaker as its voice."""
    blocks = [
        f"{_clock(said.start, '.')} --> {_clock(said.end, '.')}\n<v {_NAMES[said.who]}>{_vtt_text(said.text)}\n"
        for said in story.captions()
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _clock(seconds: float, comma: str) -> str:
    ms = max(0, round(1000 * seconds))
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{comma}{ms % 1000:03}"


def _srt_text(text: str) -> str:
    # players read <i> and {\an8} in it; there is no escape, so the signs are replaced by others that look alike
    return one_line(text).translate({ord("<"): "‹", ord(">"): "›", ord("{"): "(", ord("}"): ")"})


def _vtt_text(text: str) -> str:
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# The page


def markdown(story: Timeline, session: RecordedSession) -> str:
    """The session as a page: turns with their times, tools, interruptions, latencies and the close."""
    out = [f"# Session of {_plain(str(session.header.get('started', '')))}", ""]
    out += [f"- model: {_code(session.model)}", f"- server: {_code(session.url)}"]
    out += [f"- length: {story.length:.1f} s, {story.turns} turn{'' if story.turns == 1 else 's'}"]
    if session.cut_at:
        out.append(f"- the trace is cut off in line {session.cut_at}")
    turn = 0
    last: Utterance | None = None
    for one in story.told:
        if one.turn != turn:
            turn, last = one.turn, None
            out += ["", f"## Turn {turn}"]
        if isinstance(one, TimelineEvent):
            out += ["", f"> {_time(one.t)} {one.what}: {_quoted(one)}"]
            last = None
            continue
        text = _plain(one.text.strip())
        if not text:
            continue
        text = text if one.heard else f"~~{text}~~ (not heard)"
        if last is not None and last.who == one.who and one.who == "model":
            out[-1] += f" {text}"
        else:
            out += ["", f"**{_NAMES[one.who]}** {_time(one.start)} {text}"]
        last = one
    return "\n".join(out) + "\n"


def _quoted(one: TimelineEvent) -> str:
    return _code(one.text) if one.what in ("call", "answer") else _plain(one.text)


def _time(seconds: float) -> str:
    return f"{int(seconds) // 60}:{seconds % 60:04.1f}"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|~&])", r"\\\1", one_line(text))


def _code(text: str) -> str:
    text = one_line(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


# Sound


class ResamplerLike(Protocol):
    def push(self, pcm: bytes) -> bytes: ...

    def end(self) -> bytes: ...


Resample = Callable[[int, int], ResamplerLike | None]
"""Makes a resampler from one rate to another; None when it cannot, or when there is nothing to change."""


class _Track:
    """One channel, on disk: s16le at `rate`, each piece in its place, silence between."""

    def __init__(self, file: BinaryIO, resample: Resample) -> None:
        self.file = file
        self.rate = 0
        self.samples = 0
        """How long it is."""
        self.alike = True
        """Could every piece be brought to its rate?"""
        self._resample = resample
        self._stream: ResamplerLike | None = None
        self._from = 0
        self._at = 0
        self._next: float | None = None
        """Where a piece begins that goes on with the one before."""
        self._rest = b""

    def put(self, at: float, pcm: bytes, rate: int) -> None:
        """Sound that begins at `at` seconds; what follows without a gap is one stream."""
        if self._next is None or abs(at - self._next) > 0.0005 or rate != self._from:
            self.pause()
            self._at = round(at * self.rate)
            self._from = rate
            if rate != self.rate:
                self._stream = self._resample(rate, self.rate)
                self.alike = self.alike and self._stream is not None
        self._next = at + seconds_of(len(pcm), rate)
        pcm, self._rest = _even(self._rest + pcm)
        self._write(self._stream.push(pcm) if self._stream is not None else pcm)

    def pause(self) -> None:
        """What comes next does not follow on this."""
        if self._stream is not None:
            self._write(self._stream.end())
        self._stream, self._rest, self._next = None, b"", None

    def silence(self, start: float) -> None:
        """Nothing is heard behind `start`."""
        self.pause()
        place = round(start * self.rate)
        if place < self.samples:
            self.file.truncate(2 * place)
            self.samples = place
        self._at = min(self._at, place)

    def _write(self, pcm: bytes) -> None:
        if not pcm:
            return
        self.file.seek(2 * self._at)
        self.file.write(pcm)
        self._at += len(pcm) // 2
        self.samples = max(self.samples, self._at)

    def read(self, start: int, count: int) -> bytes:
        self.file.seek(2 * start)
        return self.file.read(2 * count).ljust(2 * count, b"\0")


def _even(pcm: bytes) -> tuple[bytes, bytes]:
    whole = len(pcm) & ~1
    return pcm[:whole], pcm[whole:]


@dataclass(frozen=True, slots=True)
class ExportedAudio:
    """What was written. `two` says that it became two files of one channel, for want of a resampler."""

    seconds: float
    two: bool
    left_out: Sequence[str] = ()
    """Kinds of sound that are not PCM."""


def wav(
    session: RecordedSession,
    cuts: Sequence[float | None],
    resample: Resample,
    open_out: Callable[[str], BinaryIO],
) -> ExportedAudio:
    """Write a session's sound. `cuts` are those of its story. `open_out` opens the file of "both", "user" or "model"."""
    with tempfile.TemporaryFile() as left, tempfile.TemporaryFile() as right:
        user, model = _Track(left, resample), _Track(right, resample)
        left_out = _lay(session, cuts, user, model)
        model.rate = model.rate or user.rate or codec.OUTPUT_RATE
        user.rate = user.rate or model.rate
        seconds = max(user.samples / user.rate, model.samples / model.rate)
        if user.rate == model.rate:
            _write(open_out("both"), user.rate, [user, model])
            return ExportedAudio(seconds, False, left_out)
        _write(open_out("user"), user.rate, [user])
        _write(open_out("model"), model.rate, [model])
        return ExportedAudio(seconds, True, left_out)


def _lay(session: RecordedSession, cuts: Sequence[float | None], user: _Track, model: _Track) -> list[str]:
    """Put each piece of sound in its place."""
    lane = PlayedTimeline()
    interruptions = 0
    end = 0.0
    replying = False
    left_out: list[str] = []
    for line, step in session:
        if step is None:
            continue
        if not -1 <= line.t <= _MOST_SECONDS or lane.end > _MOST_SECONDS or end > _MOST_SECONDS:
            raise BadRequest(
                "the session is longer than a WAV file can be",
                where=f"{session.name}:{line.number}",
                why=f"at most {_MOST_SECONDS // 3600} hours go into one",
                fix="export a part of it: livews trace cut FILE --from S --to S -o PART.jsonl",
            )
        for mime_type, pcm in step.audio:
            if not mime_type.startswith("audio/pcm") and not mime_type.startswith("audio/l16"):
                if len(left_out) < 5 and mime_type not in left_out:
                    left_out.append(mime_type)
                continue
            if line.sender == "client":
                rate = rate_of(mime_type, "client")
                user.rate = user.rate or _shared(rate, user)
                seconds = seconds_of(len(pcm), rate)
                start = line.t - seconds
                # a microphone's pieces jitter; a file is sent faster than it plays: both follow on what was before
                start = end if start < end + _JITTER else start
                user.put(max(0.0, start), pcm, rate)
                end = max(0.0, start) + seconds
            elif "playAudio" in step.effects:
                rate = rate_of(mime_type, "server")
                model.rate = model.rate or rate
                if not replying:
                    replying = True
                    lane.over()
                model.put(lane.put(line.t, seconds_of(len(pcm), rate)), pcm, rate)
        if line.sender == "server" and interrupts(step):
            heard = cuts[interruptions] if interruptions < len(cuts) else None
            interruptions += 1
            at = line.t if heard is None else lane.after(heard)
            lane.cut(at)
            model.silence(at)
        if ends_reply(step):
            replying = False
    user.pause()
    model.pause()
    return left_out


def _shared(rate: int, track: _Track) -> int:
    """The rate both channels can have: the model's, when a resampler is there to make it of this."""
    return codec.OUTPUT_RATE if rate == codec.OUTPUT_RATE or track._resample(rate, codec.OUTPUT_RATE) else rate


def _write(out: BinaryIO, rate: int, tracks: list[_Track]) -> None:
    samples = max(track.samples for track in tracks)
    with wave_file(out, rate, len(tracks), samples) as file:
        for start in range(0, samples, rate):
            count = min(rate, samples - start)
            frames = array("h", bytes(2 * len(tracks) * count))
            for channel, track in enumerate(tracks):  # samples are moved whole: their byte order does not matter
                frames[channel :: len(tracks)] = array("h", track.read(start, count))
            file.writeframesraw(frames.tobytes())
