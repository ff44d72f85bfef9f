"""Audio that is no PCM, through the proxy: it passes as it is, and is mentioned once."""

import json
from array import array
from math import pi, sin

import pytest

from livews.core.codec import encode_base64
from tests.kit import sound
from tests.kit.servers import dial
from tests.proxy.kit import SETUP, proxied, stand_in

BAD: dict[str, tuple[str, bytes]] = {
    "floats": ("AUDIO-10", array("f", (0.3 * sin(2 * pi * 220 * n / 16_000) for n in range(16_000))).tobytes()),
    "base64 twice": ("AUDIO-7", encode_base64(sound.speech(0.5)).encode()),
    "an Ogg stream": ("AUDIO-7", b"OggS\x00\x02" + bytes(58) + sound.noise(0.5)),
    "half a sample": ("AUDIO-8", sound.speech(0.5)[:-1]),
    "nothing": ("AUDIO-9", b""),
    "speech": ("", sound.speech(0.5)),
}


@pytest.mark.parametrize("kind", BAD)
async def test_audio_is_checked_as_it_passes(kind: str) -> None:
    rule, data = BAD[kind]
    blob = {"mimeType": "audio/pcm;rate=16000", "data": encode_base64(data)}
    message = json.dumps({"realtimeInput": {"audio": blob}})
    async with stand_in() as server, proxied(server.url) as proxy:
        async with dial(proxy.url) as client:
            await client.send(SETUP)
            await client.recv()
            for _ in range(3):
                await client.send(message)
        await proxy.ended()
        sent = [step for step in proxy.recorders[0].steps if step.sender == "client"]
        assert [step.raw.decode() for step in sent[1:]] == [message] * 3
        assert [finding.rule for step in sent for finding in step.findings] == ([rule] if rule else [])
