"""HTTP to a server on this machine: POSTs on kept connections, their answers as they come.

A client for all cases (`remote` uses aiohttp) takes longer to send a request than such a server
takes to answer it, and the first token waits for that. This one knows no TLS, no proxy, no
redirect and no compression.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httptools

MAX_HEAD = 64 * 2**10  # bytes of an answer's status and headers


class Unreachable(ConnectionError):
    """There is no connection to be had."""


class Near:
    """One server's connections. Use it within one event loop.

    A connection that was idle for longer than `idle` seconds is not used again, since the server
    may be about to close it; `patience` is how long a new one may take to come about.
    """

    def __init__(self, host: str, port: int, *, idle: float, patience: float) -> None:
        self._address = host, port
        self._idle, self._patience = idle, patience
        self._kept: list[tuple[float, Answer]] = []

    async def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer, once its head is there. `done` it, always. Raises OSError, TimeoutError."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n"
        request = head.encode("latin-1") + body
        for again in (False, True):
            answer = await self._connected(fresh=again)
            try:
                await answer.begin(request)
                break
            except BaseException as error:
                answer.transport.close()
                # Most often a kept connection that it closed as we took it: no fault of anyone's.
                if again or not isinstance(error, ConnectionError):
                    raise
        return answer

    def done(self, answer: Answer) -> None:
        """Nothing more of it is wanted; where it is not whole, the server hears that."""
        if answer.reusable:
            self._kept.append((asyncio.get_running_loop().time(), answer))
        else:
            answer.transport.close()

    def close(self) -> None:
        for _, answer in self._kept:
            answer.transport.close()
        self._kept.clear()

    async def _connected(self, *, fresh: bool) -> Answer:
        loop = asyncio.get_running_loop()
        while self._kept and not fresh:
            since, answer = self._kept.pop()
            if loop.time() - since < self._idle and not answer.transport.is_closing():
                return answer
            answer.transport.close()
        try:
            async with asyncio.timeout(self._patience):
                _, made = await loop.create_connection(lambda: Answer(loop), *self._address)
        except OSError as error:  # a timeout too
            raise Unreachable(str(error)) from error
        return made


class Answer(asyncio.Protocol):
    """A connection, and the answer to its latest request."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: asyncio.Future[None] | None = None
        self._broken: Exception | None = None
        self._anew()

    def _anew(self) -> None:
        self.status, self.headers = 0, dict[str, str]()
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._seen = 0  # bytes of a head that is not whole yet
        self._read_head = self._over = self._kept = False

    @property
    def reusable(self) -> bool:
        return self._over and self._kept and not self.transport.is_closing()

    async def begin(self, request: bytes) -> None:
        """Send a request, and wait for the head of its answer. Raises ConnectionError."""
        self._anew()
        self.transport.write(request)
        while not self._read_head:
            await self._more()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises ConnectionError when it ends before its time."""
        while True:
            if self._parts:
                parts, self._parts = self._parts, []
                yield b"".join(parts)
            elif self._over:
                return
            else:
                await self._more()

    async def _more(self) -> None:
        if self._broken is not None:
            raise ConnectionError(str(self._broken) or "the connection was closed")
        self._waiting = self._loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._broken is None:
            self._broken = error
        self._wake()

    # What asyncio tells

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self._over:  # nothing was asked
            self.transport.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ValueError(f"its answer is no HTTP: {error}"))
            self.transport.close()
            return
        if not self._read_head:
            self._seen += len(data)
            if self._seen > MAX_HEAD:
                self._fail(ValueError("its answer's headers have no end"))
                self.transport.close()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        lengths = {"content-length", "transfer-encoding"}
        if exc is None and self.status and self._read_head and not lengths & self.headers.keys():
            self._over = True  # such an answer ends with its connection
        self._fail(exc or ConnectionResetError())

    # What the parser tells

    def on_message_begin(self) -> None:
        if self._over:
            raise ValueError("it says more than was asked")  # the connection ends with it

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._read_head = self.status >= 200  # before it come words such as "100 Continue"
        if not self._read_head:
            self.status, self.headers = 0, {}

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._read_head:
            self._over, self._kept = True, self._parser.should_keep_alive()
