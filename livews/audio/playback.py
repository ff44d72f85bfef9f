"""The playback queue (jitter buffer): filled by the event loop, emptied by the sound thread.

- No lock. One thread calls `push`, `end`, `flush`; one calls `fill`; every field has one writer.
- `fill` fills the whole block, always, in bounded time. It never raises, waits, logs, or grows. What was flushed is
  freed there: 0.2 ms for ten minutes of audio.
- Samples are played unchanged and in order. Only the fade in after a gap scales them; a fade out is added after them.
- A fill that begins after `flush` returned plays no sample of what was flushed; it only fades out, in 5 ms, from the
  last sample played before.
- Data first, count second: a chunk is in the queue before `received` counts it. Chunks are removed, counts stay.
- An empty queue is an underrun only if more audio of the same turn follows. It is counted when that audio resumes.
- The tap gets every block as the device does, silence too, and changes nothing. Unread, it drops the oldest.
- Nothing is woken: how long the queue lasts is known (`remaining`), so to wait for its end is to sleep that long.
- No clock of its own, no sounddevice: time is `clock`, and the device's delay is an argument of `fill`.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

from livews.audio.analysis.pcm import FADE_SECONDS, Aligner, falling, last_sample, ms_of, raise_in_place, seconds_of
from livews.core.codec import OUTPUT_RATE

# The start delay, in seconds, chosen by simulation (tests/audio/test_jitter.py holds its targets).
FIRST_START = 0.160  # before anything is known about this network
LEAST_START = 0.120
MOST_START = 0.400  # a longer stall is better heard than waited for
MARGIN = 0.020
EARLY = 1.5  # start before the delay is over when this many times as much has arrived after the first chunk
AFTER_UNDERRUN = 1.5  # the next turns wait this much longer than the one that ran dry
RESUME_AFTER = 0.060  # gather at least this much before going on after an underrun
TURNS_REMEMBERED = 20

CAP_BYTES = 64 << 20  # 22 minutes at 24 kHz
TAP_BLOCKS = 100  # 2 s at 20 ms a block
_LOG_BLOCKS = 64  # 1.3 s at 20 ms a block: more than any device holds

Tap = deque[tuple[bytes, int, float]]
"""The blocks given to the device: (s16le mono, its rate in Hz, time by the buffer's clock at which its first sample is
heard). The sound thread appends, one other thread takes from the left."""


def new_tap() -> Tap:
    """A tap of bounded length."""
    return deque(maxlen=TAP_BLOCKS)


@dataclass(slots=True, eq=False)
class PlayedTurn:
    """A turn in the playback queue. Every field has one writer, the event loop or the sound thread."""

    # Written by the event loop only.
    first_at: float  # when the first chunk came
    start_after: float  # seconds of start delay, see PlaybackBuffer
    received: int = 0  # bytes accepted
    dropped: int = 0  # bytes refused at the cap
    need: float = 0.0  # the start delay that would just have been enough, seconds
    ended: bool = False  # no more audio will come
    cut: bool = False  # flushed before it was over

    # Written by the sound thread only.
    played: int = 0  # bytes given to the device
    playing: bool = False  # False before the start and while dry
    started_at: float | None = None
    heard_from: float | None = None  # when its first sample leaves the loudspeaker
    waiting_since: float | None = None  # it ran dry, and audio is there again since
    dry_at: int = 0  # byte position of the output where it ran dry
    risen: int = 0  # samples of the fade in that are done
    underruns: int = 0
    underrun: int = 0  # bytes of silence inside the turn
    late: int = 0  # callbacks that came after the device had run out

    @property
    def queued(self) -> int:
        """Bytes waiting. Counts are published after the data, so it may lag, but is never negative."""
        return max(0, self.received - self.played)


class _Generation:
    """Everything queued between two flushes."""

    __slots__ = ("chunks", "pulled", "pushed")

    def __init__(self) -> None:
        self.chunks: deque[tuple[PlayedTurn, memoryview]] = deque()  # the loop appends, the sound thread takes
        self.pushed = 0  # bytes; written by the event loop
        self.pulled = 0  # bytes; written by the sound thread


class PlaybackBuffer:
    """The queue between the socket and the sound card. Audio is s16le mono at `rate` Hz.

    prebuffer: the start delay in seconds; None adapts it to what the last turns needed. A turn starts when that time
        has passed since its first chunk, or earlier when half as much again has arrived after that chunk, or at once
        when it is ended. (Counting all that is buffered would not help: the first chunk is often longer.)
    cap_bytes: most bytes that are queued; more are dropped and counted.
    latency: seconds the device holds. A callback later than that found it empty.
    clock: the time in seconds.
    tap: from `new_tap()`, gets a copy of every block.
    """

    def __init__(
        self,
        rate: int = OUTPUT_RATE,
        *,
        prebuffer: float | None = None,
        cap_bytes: int = CAP_BYTES,
        latency: float = 0.060,
        clock: Callable[[], float] = time.monotonic,
        tap: Tap | None = None,
    ) -> None:
        self.rate = rate
        self.latency = latency
        self._prebuffer = prebuffer
        self._cap = cap_bytes
        self._clock = clock
        self._tap = tap
        self._fade = int(FADE_SECONDS * rate)

        # Written by the event loop only.
        self._live = _Generation()
        self._open: PlayedTurn | None = None  # the turn that is being received
        self.turns: deque[PlayedTurn] = deque(maxlen=TURNS_REMEMBERED)
        """The last turns, oldest first."""
        self._aligner = Aligner()

        # Written by the sound thread only.
        self._seen = self._live  # the generation of the last fill
        self._turn: PlayedTurn | None = None  # whose audio is next, or was last
        self._position = 0  # bytes given to the device, silence included
        self._level = 0  # the last sample given to the device
        self._tail = memoryview(b"")  # what is left of a fade out
        self._due = float("inf")  # when the device will have run out
        self._silent_at = float("-inf")  # when the last sound leaves the loudspeaker
        # (time it leaves the loudspeaker, turn, first byte, bytes) of the last blocks; `copy` takes it in one step
        self._log: deque[tuple[float, PlayedTurn, int, int]] = deque(maxlen=_LOG_BLOCKS)

    # The event loop's side.

    def push(self, pcm: bytes) -> PlayedTurn | None:
        """Queue audio of the present turn, in pieces of any size, and return that turn; an odd byte waits.

        Beyond the cap audio is dropped and counted: to stop reading the socket would delay `interrupted`.
        """
        pcm = self._aligner.whole(bytes(pcm))
        if not pcm:
            return self._open
        now = self._clock()
        live, turn = self._live, self._open
        if turn is None:
            turn = self._open = PlayedTurn(now, self._start_after())
            self.turns.append(turn)
        if live.pushed - live.pulled + len(pcm) > self._cap:
            turn.dropped += len(pcm)
            return turn
        turn.need = max(turn.need, now - turn.first_at - seconds_of(turn.received, self.rate))
        live.chunks.append((turn, memoryview(pcm)))
        turn.received += len(pcm)
        live.pushed += len(pcm)
        return turn

    def end(self) -> None:
        """No more audio of this turn will come (`generationComplete`): empty now means finished."""
        self._aligner.forget()
        if self._open is not None:
            self._open.ended = True
            self._open = None

    def flush(self) -> float:
        """Drop all that is queued (`interrupted`); returns how many ms of the newest turn were heard up to now.

        Takes constant time: the next fill finds another generation.
        """
        heard = self.heard_ms()
        self._live = _Generation()
        self._open = None
        self._aligner.forget()
        for turn in self.turns:
            turn.cut = turn.cut or not turn.ended or turn.queued > 0
        return heard

    @property
    def idle(self) -> bool:
        """Whether nothing is queued and no fade is pending. The device may still hold the end: see `remaining`."""
        live = self._live
        return live.pulled >= live.pushed and not self._tail and (self._seen is live or not self._level)

    @property
    def remaining(self) -> float:
        """Seconds until the last sound leaves the loudspeaker, at the earliest."""
        live = self._live
        queued = seconds_of(max(0, live.pushed - live.pulled), self.rate)
        return queued + max(0.0, self._silent_at - self._clock())

    @property
    def overdue(self) -> float:
        """Seconds since the latest time at which the device should have asked for more; 0 while it plays or before."""
        return max(0.0, self._clock() - self._due)

    def heard_ms(self, turn: PlayedTurn | None = None) -> float:
        """Milliseconds of a turn of this buffer, the newest unless given, that have left the loudspeaker.

        To count samples given to the device would be too much, by the 30 to 220 ms that the device holds.
        """
        if turn is None:
            if not self.turns:
                return 0.0
            turn = self.turns[-1]
        now = self._clock()
        played = turn.played  # read before the log: every block is logged before it is counted
        blocks = [block for block in self._log.copy() if block[1] is turn]
        if not blocks:
            return ms_of(played, self.rate)  # replaced in the log by newer blocks: long over
        past = [block for block in blocks if block[0] <= now]
        if not past:
            return ms_of(min(block[2] for block in blocks), self.rate)
        at, _, first, size = max(past, key=itemgetter(0))
        return ms_of(first, self.rate) + min(ms_of(size, self.rate), 1000 * (now - at))

    def _start_after(self) -> float:
        """The start delay of the next turn: what the worst of the last turns would have needed."""
        if self._prebuffer is not None:
            return self._prebuffer
        if not self.turns:
            return FIRST_START
        delay = max(turn.need + MARGIN for turn in self.turns)
        last = self.turns[-1]
        if last.underruns:
            delay = max(delay, last.start_after * AFTER_UNDERRUN)
        return min(max(delay, LEAST_START), MOST_START)

    # The sound thread's side.

    def fill(self, out: memoryview | bytearray, dac_delay: float = 0.0) -> None:
        """Write the next block into all of `out`; it is heard in `dac_delay` seconds."""
        now = self._clock()
        block = memoryview(out).cast("B")
        size = len(block) & ~1
        live = self._live
        if live is not self._seen:
            self._seen, self._turn = live, None
            self._fade_out(self._level)
        elif now > self._due and self._turn is not None and self._turn.playing:
            self._turn.late += 1

        heard = now + dac_delay
        at = self._write_fade(block, 0)
        while at < size and (turn := self._next(live, now)) is not None:
            if not turn.playing:
                self._begin(turn, now, self._position + at)
                if turn.heard_from is None:
                    turn.heard_from = heard + seconds_of(at, self.rate)
            if live.chunks and live.chunks[0][0] is turn:
                end = self._copy(turn, live, block[:size], at)
                self._log.append((heard + seconds_of(at, self.rate), turn, turn.played, end - at))
                turn.played += end - at
                live.pulled += end - at
                at = end
            else:
                turn.playing = False
                turn.waiting_since = None
                turn.dry_at = self._position + at
                self._fade_out(last_sample(block[:at]) if at else self._level)
                at = self._write_fade(block, at)

        if at:
            self._silent_at = heard + seconds_of(at, self.rate)
        block[at:] = bytes(len(block) - at)
        if size:
            self._level = last_sample(block[:size])
        self._position += size
        self._due = now + seconds_of(size, self.rate) + self.latency
        if self._tap is not None:
            self._tap.append((bytes(block[:size]), self.rate, heard))

    def _next(self, live: _Generation, now: float) -> PlayedTurn | None:
        """The turn to play: its audio is next and may start, or it plays and has just run dry."""
        turn = self._turn
        ended = turn is None or turn.ended  # read before the chunks: once it is set, no chunk can follow unseen
        if live.chunks:
            turn = self._turn = live.chunks[0][0]
            return turn if turn.playing or self._starts(turn, len(live.chunks[0][1]), now) else None
        if ended:
            turn = self._turn = None
        return turn if turn is not None and turn.playing else None

    def _starts(self, turn: PlayedTurn, first: int, now: float) -> bool:
        """Whether a turn whose first chunk has `first` bytes has waited for long enough."""
        if turn.started_at is None:
            since, wait = turn.first_at, turn.start_after
        else:
            if turn.waiting_since is None:
                turn.waiting_since = now
            since, wait = turn.waiting_since, min(turn.start_after, RESUME_AFTER)
        after_first = seconds_of(turn.queued - first, self.rate)
        return turn.ended or now - since >= wait or after_first >= EARLY * wait

    def _begin(self, turn: PlayedTurn, now: float, position: int) -> None:
        turn.playing = True
        if turn.started_at is None:
            turn.started_at = now
            turn.risen = self._fade  # the start of a turn is played unchanged: no fade in
        else:
            turn.underruns += 1
            turn.underrun += position - turn.dry_at
            turn.risen = 0

    def _copy(self, turn: PlayedTurn, live: _Generation, block: memoryview, at: int) -> int:
        """Move audio of `turn` to `block[at:]` until there is no more or the block is full. Returns where it ended."""
        start, chunks = at, live.chunks
        while at < len(block) and chunks and chunks[0][0] is turn:
            chunk = chunks[0][1]
            count = min(len(chunk), len(block) - at)
            block[at : at + count] = chunk[:count]
            if count == len(chunk):
                chunks.popleft()
            else:
                chunks[0] = (turn, chunk[count:])
            at += count
        if turn.risen < self._fade:
            turn.risen = raise_in_place(block[start:at], turn.risen, self._fade)
        return at

    def _fade_out(self, level: int) -> None:
        """Audio stops mid-wave: fade its last sample to 0, to avoid a click."""
        if level:
            self._tail = falling(level, self._fade)

    def _write_fade(self, block: memoryview, at: int) -> int:
        """Write the rest of a fade out."""
        size = min(len(self._tail), (len(block) & ~1) - at)
        block[at : at + size] = self._tail[:size]
        self._tail = self._tail[size:]
        return at + size
