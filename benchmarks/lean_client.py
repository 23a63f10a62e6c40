"""A client that costs little beside what it measures: one kept connection, read line by line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any


class LeanClient:
    """Chats of one connection to 127.0.0.1, one after the other."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, where that was not done before."""
        if self._ends is None:
            self._ends = await asyncio.open_connection("127.0.0.1", self.port)
        return self._ends

    async def lines(self, asked: dict[str, Any]) -> AsyncIterator[bytes]:
        """Send a chat; the lines of its streamed answer. Raises RuntimeError unless it is whole."""
        reader, writer = await self.open()
        body = json.dumps(asked).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(status.decode())
        while (line := await reader.readline()) != b"0\r\n":
            if not line:
                raise RuntimeError("the connection ended within an answer")
            yield line
        await reader.readline()

    def close(self) -> None:
        if self._ends is not None:
            self._ends[1].close()
            self._ends = None
