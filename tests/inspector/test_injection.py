"""Messages that the inspector injects between those of a connection."""

from __future__ import annotations

import asyncio

from websockets.frames import Opcode

from tests.inspector.kit import echo, framed, proxied
from tests.kit import servers
from tests.kit.names import GEMINI
from tests.kit.waiting import until


async def test_a_message_is_put_between_compressed_ones_both_ways() -> None:
    async with echo(compression="deflate") as (url, got), proxied(url) as house:
        async with servers.dial(house.url, compression="deflate") as client:
            await client.send('{"a":"a long text, a long text"}')
            assert await client.recv() == '{"a":"a long text, a long text"}'
            assert await house.injectors[0].inject("client", '{"realtimeInput":{"text":"by hand"}}') == ""
            assert await client.recv() == '{"realtimeInput":{"text":"by hand"}}', "the echo of it"
            assert await house.injectors[0].inject("server", '{"serverContent":{}}') == ""
            assert await client.recv() == b'{"serverContent":{}}', "binary towards the client"
            await client.send('{"b":"a long text, a long text"}')  # refers to the first message
            assert await client.recv() == '{"b":"a long text, a long text"}'
        assert [message for message in got if "hand" in message] == ['{"realtimeInput":{"text":"by hand"}}']
        await asyncio.sleep(0)
        ours = [words for words in house.words() if "written by hand" in words]
        assert ours == ['realtimeInput written by hand · "by hand"', "serverContent written by hand"]
        assert await house.injectors[0].inject("client", "{}") != ""


async def test_it_waits_for_the_end_of_a_message_that_is_on_its_way() -> None:
    """In the middle of a frame, and of a fragmented message: what the client sent stays as it is, in its order."""
    one = framed(Opcode.TEXT, b'{"a":"' + b"x" * 500, fin=False)
    rest = framed(Opcode.PING, b"p") + framed(Opcode.CONT, b'"}')
    two = framed(Opcode.TEXT, b'{"b":1}')
    heard = bytearray()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while data := await reader.read(65536):
            heard.extend(data)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server, proxied(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}") as house:
        port = int(house.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = (f"GET {GEMINI} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", "", "")
        writer.write("\r\n".join(lines).encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(one[:200])
        await until(lambda: len(heard) >= 200)
        put = asyncio.create_task(house.injectors[0].inject("client", '{"here":1}'))
        await asyncio.sleep(0)
        writer.write(one[200:])
        await until(lambda: len(heard) >= len(one))
        assert not put.done(), "between two fragments is no place"
        writer.write(rest + two[:3])
        await until(lambda: len(heard) >= len(one + rest) + 3)
        assert not put.done(), "the read did not end at the end of a message"
        writer.write(two[3:])
        assert await put == ""
        await until(lambda: len(heard) >= len(one + rest + two) + 8 + 10 - 2)
        at = len(one + rest + two)
        assert heard[:at] == one + rest + two
        frame = heard[at:]
        assert frame[0] == 0x81 and frame[1] == 0x80 | 10, "one whole masked text frame"
        writer.write(framed(Opcode.CLOSE, b"\x03\xe8"))
        await until(lambda: "client" in house.observers[0].closed_sides)
        assert "close frame" in await house.injectors[0].inject("client", "{}")
        assert [words.split()[0] for words in house.words()[:4]] == ["ping", "a", "b", "here"]
        writer.close()
