"""uvicorn that ends at once. It looks in tenths of a second whether it is to end and whether all is
sent; a server for each of hundreds of tests makes that a minute."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import uvicorn.server


async def _briefly(seconds: float) -> None:
    await asyncio.sleep(seconds / 20)


uvicorn.server.asyncio = SimpleNamespace(**{**vars(asyncio), "sleep": _briefly})
