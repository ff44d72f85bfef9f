"""Messages that the inspector injects between those of a connection."""

import asyncio

from websockets.frames import Opcode

from tests.inspector.kit import proxied
from tests.kit.servers import dial, echo, scripted, tcp
from tests.kit.waiting import until
from tests.proxy.kit import SWITCH, dialled, framed


async def test_a_message_is_put_between_compressed_ones_both_ways() -> None:
    async with scripted(echo, compression="deflate") as url, proxied(url) as house:
        async with dial(house.url, compression="deflate") as client:
            for message in ('{"a":"a long text, a long text"}', '{"b":"a long text, a long text"}'):
                await client.send(message)  # the second refers to the first
                assert await client.recv() == message
                assert await house.injectors[0].inject("client", '{"realtimeInput":{"text":"by hand"}}') == ""
                assert await client.recv() == '{"realtimeInput":{"text":"by hand"}}', "the echo of it"
                assert await house.injectors[0].inject("server", '{"serverContent":{}}') == ""
                assert await client.recv() == b'{"serverContent":{}}', "binary towards the client"
        await asyncio.sleep(0)
        ours = [words for words in house.words() if "written by hand" in words]
        assert ours == ['realtimeInput written by hand · "by hand"', "serverContent written by hand"] * 2
        assert await house.injectors[0].inject("client", "{}") != ""


async def test_it_waits_for_the_end_of_a_message_that_is_on_its_way() -> None:
    """In the middle of a frame, and of a fragmented message: what the client sent stays as it is, in its order."""
    one = framed(Opcode.TEXT, b'{"a":"' + b"x" * 500, mask=True, fin=False)
    rest = framed(Opcode.PING, b"p", mask=True) + framed(Opcode.CONT, b'"}', mask=True)
    two = framed(Opcode.TEXT, b'{"b":1}', mask=True)
    heard = bytearray()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCH)
        while data := await reader.read(65536):
            heard.extend(data)

    async with tcp(handle) as url, proxied(url) as house:
        reader, writer = await dialled(int(house.url.rpartition(":")[2]))
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
        at = len(one + rest + two)
        await until(lambda: len(heard) >= at + 2 + 4 + 10)
        assert heard[:at] == one + rest + two
        assert heard[at : at + 2] == bytes([0x81, 0x80 | 10]), "one whole masked text frame"
        writer.write(framed(Opcode.CLOSE, b"\x03\xe8", mask=True))
        await until(lambda: "client" in house.injectors[0].observer.closed_sides)
        assert "close frame" in await house.injectors[0].inject("client", "{}")
        assert [words.split()[0] for words in house.words()[:4]] == ["ping", "a", "b", "here"]
        writer.close()
