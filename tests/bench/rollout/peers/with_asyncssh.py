"""One connection and one command per host, fifty at a time."""

import asyncio

import asyncssh
from common import WORK, archive, arguments, look


async def main():
    hosts, pki, config = arguments()
    files = archive(pki)
    turns = asyncio.Semaphore(50)

    async def roll_out(address):
        async with turns:
            async with asyncssh.connect(address, config=[config]) as link:
                await link.run(WORK, input=files, encoding=None, check=True)
            await look(address, pki)

    await asyncio.gather(*(roll_out(address) for _, address in hosts))


asyncio.run(main())
