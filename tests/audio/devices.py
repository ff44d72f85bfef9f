"""A sounddevice of our own under the real portaudio.py: devices that refuse, stall, have no mono, or go away.

- An output asks for a block whenever its time has come, in a thread of its own; `heard` is what it got.
- An input gets its blocks from the test, by `give`, in a thread of its own as well.
- The first device in the list is the default one.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

LATENCY = 0.07  # seconds, as granted


class PortAudioError(Exception):
    pass


class FakeStream:
    def __init__(self, devices: "FakeDevices", output: bool, options: dict[str, Any]) -> None:
        self.latency, self.options, self.output = LATENCY, options, output
        self.heard = bytearray()
        self.stuck = devices.stuck
        self.running = False
        self._devices = devices
        self._thread = threading.Thread(target=self._pull, daemon=True)

    def start(self) -> None:
        if self._devices.failure:
            raise PortAudioError(self._devices.failure)
        if self.options["samplerate"] in self._devices.refused:
            raise PortAudioError("Error opening a stream: Invalid sample rate [PaErrorCode -9997]")
        self.running = True
        if self.output:
            self._thread.start()

    def close(self) -> None:
        """Or gone away: the stream of a lost device ends as one that is closed."""
        if self.running:
            self.running = False
            if self.output:
                self._thread.join(1)
            self.options["finished_callback"]()

    def give(self, *blocks: bytes, age: float = 0.0) -> None:
        """What was captured so many seconds ago; PortAudio has the bytes again afterwards."""
        size = self.options["blocksize"]

        def run() -> None:
            for block in blocks:
                data = bytearray(block)
                first = age + size / self.options["samplerate"]
                self.call(data, SimpleNamespace(inputBufferAdcTime=1e9, currentTime=1e9 + first))
                data[:] = bytes(len(data))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(5)

    def call(self, block: bytearray, times: SimpleNamespace) -> None:
        self.options["callback"](block, self.options["blocksize"], times, None)

    def _pull(self) -> None:
        size, rate = self.options["blocksize"], self.options["samplerate"]
        due = time.monotonic()
        while self.running:
            if not self.stuck:
                block = bytearray(2 * size)
                self.call(block, SimpleNamespace(outputBufferDacTime=1e9 + LATENCY, currentTime=1e9))
                self.heard += block
            due += size / rate
            time.sleep(max(0.0, due - time.monotonic()))


class FakeDevices(list[dict[str, Any]]):
    """The devices there are, as sounddevice lists them; `streams` are those that were opened."""

    PortAudioError = PortAudioError
    WasapiSettings = SimpleNamespace

    def __init__(self) -> None:
        self.streams: list[FakeStream] = []
        self.failure = ""  # what opening any stream fails with
        self.refused: tuple[int, ...] = ()  # rates
        self.no_mono = False
        self.stuck = False  # outputs that ask for nothing
        self.endpoints: list[Any] = []

    def put(self, name: str, *, outputs: int = 0, inputs: int = 0) -> None:
        self.append(
            {"index": len(self), "name": name, "hostapi": 0, "max_output_channels": outputs,
             "max_input_channels": inputs, "default_samplerate": 48000.0}
        )  # fmt: skip

    @property
    def rates(self) -> list[int]:
        return [stream.options["samplerate"] for stream in self.streams]

    def started(self, kind: Callable[..., Any], **options: Any) -> Any:
        """A Speaker or Microphone, started; closed at the end of the test."""
        self.endpoints.append(kind(**options))
        self.endpoints[-1].start()
        return self.endpoints[-1]

    def close(self) -> None:
        for endpoint in self.endpoints:
            endpoint.close()
        for stream in self.streams:
            with suppress(Exception):
                stream.close()

    # the functions of sounddevice

    def query_devices(self, kind: str | None = None) -> Any:
        if kind is not None and not self:
            raise PortAudioError("Error querying device -1")
        return self if kind is None else self[0]

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "ALSA"}]

    def RawOutputStream(self, **options: Any) -> FakeStream:
        return self._stream(True, options)

    def RawInputStream(self, **options: Any) -> FakeStream:
        return self._stream(False, options)

    def _stream(self, output: bool, options: dict[str, Any]) -> FakeStream:
        if self.no_mono and options["channels"] == 1:
            raise PortAudioError("Error opening RawInputStream: Invalid number of channels [PaErrorCode -9998]")
        self.streams.append(FakeStream(self, output, options))
        return self.streams[-1]
