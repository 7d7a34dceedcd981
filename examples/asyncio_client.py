"""A client over asyncio: sends each word, prints each answer. python examples/asyncio_client.py URI WORD..."""

from __future__ import annotations

import asyncio
import sys

from wsproto_lite.adapters.asyncio import connect


async def main() -> None:
    uri, *words = sys.argv[1:]
    async with connect(uri) as ws:
        for word in words:
            await ws.send(word)
            print(await ws.recv())


if __name__ == "__main__":
    asyncio.run(main())
