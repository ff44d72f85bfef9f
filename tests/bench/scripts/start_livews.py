"""Set up a session with livews: URL."""

import asyncio
import sys

import livews


async def main() -> None:
    async with livews.connect(url=sys.argv[1], reconnect=None) as session:
        await session.say("hi")


asyncio.run(main())
