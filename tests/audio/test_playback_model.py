"""The buffer against a model that plays one sample at a time, over any order of calls and sizes.

- The model is the meaning: one list of samples a turn, no chunks, no blocks, no threads.
- Everything is compared byte for byte, fades included, and the counts at the end. What depends on time is in
  test_playback.py.
"""

from array import array
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from livews.audio.playback import PlaybackBuffer

FADE = 120


@dataclass
class ModelTurn:
    pcm: bytearray = field(default_factory=bytearray)
    at: int = 0
    ended: bool = False
    playing: bool = False
    begun: bool = False
    rise: int = FADE
    underruns: int = 0
    cut: bool = False


class Model:
    def __init__(self) -> None:
        self.all: list[ModelTurn] = []
        self.queue: list[ModelTurn] = []
        self.odd = b""
        self.level = 0
        self.tail: list[int] = []
        self.flushed = False

    def push(self, pcm: bytes) -> None:
        pcm = self.odd + pcm
        self.odd = pcm[len(pcm) & ~1 :]
        pcm = pcm[: len(pcm) & ~1]
        if not pcm:
            return
        if not self.all or self.all[-1].ended:
            self.all.append(ModelTurn())
            self.queue.append(self.all[-1])
        self.all[-1].pcm += pcm

    def end(self) -> None:
        self.odd = b""
        if self.all:
            self.all[-1].ended = True

    def flush(self) -> None:
        for turn in self.all:
            turn.cut = turn.cut or not turn.ended or turn.at < len(turn.pcm)
        self.end()
        self.queue.clear()
        self.flushed = True

    @property
    def idle(self) -> bool:
        return not (self.tail or (self.flushed and self.level) or any(turn.at < len(turn.pcm) for turn in self.queue))

    def fade(self) -> None:
        if self.level:
            self.tail = [int(self.level * i / FADE) for i in reversed(range(FADE))]

    def fill(self, frames: int) -> bytes:
        if self.flushed:
            self.flushed = False
            self.fade()
        out = array("h")
        while len(out) < frames:
            self.level = self.sample()
            out.append(self.level)
        return out.tobytes()

    def sample(self) -> int:
        if self.tail:
            return self.tail.pop(0)
        while self.queue and self.queue[0].ended and self.queue[0].at == len(self.queue[0].pcm):
            self.queue.pop(0)
        if not self.queue:
            return 0
        turn = self.queue[0]
        if turn.at == len(turn.pcm):
            if turn.playing:
                turn.playing = False
                self.fade()
            return self.tail.pop(0) if self.tail else 0
        if not turn.playing:
            turn.playing = True
            if turn.begun:
                turn.underruns += 1
                turn.rise = 0
            turn.begun = True
        value = int.from_bytes(turn.pcm[turn.at : turn.at + 2], "little", signed=True)
        turn.at += 2
        if turn.rise < FADE:
            turn.rise += 1
            value = value * turn.rise // FADE
        return value


calls = st.one_of(
    st.tuples(st.just("push"), st.binary(max_size=9) | st.integers(0, 3000).map(lambda n: b"\x39\xc5\x11" * n)),
    st.tuples(st.just("fill"), st.integers(0, 20) | st.integers(0, 700)),
    st.tuples(st.just("end"), st.none()),
    st.tuples(st.just("flush"), st.none()),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(calls, max_size=40))
def test_the_buffer_is_the_model(steps: list[tuple[str, bytes | int | None]]) -> None:
    buffer, model = PlaybackBuffer(prebuffer=0.0, clock=lambda: 0.0), Model()
    for name, value in [*steps, ("fill", 130)]:
        if isinstance(value, bytes):
            buffer.push(value)
            model.push(value)
        elif isinstance(value, int):
            block = bytearray(b"\x55" * (2 * value))
            buffer.fill(block)
            assert bytes(block) == model.fill(value)
        else:
            getattr(buffer, name)()
            getattr(model, name)()
        assert buffer.idle == model.idle
    counts = [(t.received, t.played, t.underruns, t.cut) for t in buffer.turns]
    assert counts == [(len(t.pcm), t.at, t.underruns, t.cut) for t in model.all[-20:]]
