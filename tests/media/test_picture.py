"""The slot that holds the latest picture."""

import asyncio
import threading
import time

from livews.media import Picture
from livews.media.picture import PictureSource
from tests.media.conftest import some


def picture(number: int) -> Picture:
    return Picture(bytes([number]), "image/jpeg", 1, 1)


async def test_a_slow_reader_gets_the_newest_at_most_every_second() -> None:
    newest = PictureSource()
    for number in range(3):
        newest.put(picture(number))
    frames = newest.frames()
    first = await some(frames, 1)
    began = time.monotonic()
    writer = threading.Thread(target=lambda: [newest.put(picture(n)) for n in (3, 4)])
    writer.start()
    second = await some(frames, 1)
    writer.join()
    assert time.monotonic() - began >= 0.99
    assert [p.data for p in first + second] == [b"\2", b"\4"]


async def test_the_last_picture_is_read_after_the_end_and_none_after_a_drop() -> None:
    ended, dropped = PictureSource(), PictureSource()
    for newest in (ended, dropped):
        newest.put(picture(1))
    ended.end()
    dropped.close()
    ended.put(picture(2))
    assert [p.data for p in await some(ended.frames(), 5)] == [b"\1"]
    assert await some(dropped.frames(), 5) == []


async def test_a_reader_that_waits_hears_of_a_drop() -> None:
    newest = PictureSource()
    waiting = asyncio.create_task(some(newest.frames(), 1))
    await asyncio.sleep(0.05)
    newest.close()
    assert await waiting == []
