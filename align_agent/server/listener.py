"""How the server listens: its socket, and the HTTP that is spoken there."""

from __future__ import annotations

import asyncio
import json
import math
import socket
from typing import Any, Literal

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from align_agent.server.errors import error_body

MAX_HEAD = 64 * 2**10  # bytes of a request's line and headers


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send small pieces at once. Port 0 takes a free one.

    asyncio asks for that only where a socket names its protocol, which `create_server`'s do not:
    each event of a stream would wait 40 ms for the acknowledgement of the one before.
    Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def web_server(app: Any, **settings: Any) -> uvicorn.Server:
    """The server of an application. `settings` are uvicorn's."""
    # No route is a WebSocket, whose protocol would take a connection out of our hands.
    facts = {"log_config": None, "access_log": False, "http": Http, "ws": "none", **settings}
    return uvicorn.Server(uvicorn.Config(app, **facts))


class Http(HttpToolsProtocol):
    """HTTP/1.1 by httptools, which is quick, but takes in headers without end and waits for ever.

    Here a head has a size, and a request must come within a time: its head in `head_seconds`, its
    body in `body_seconds` and without a pause of `pause_seconds`. How long an answer takes is not
    looked at.
    """

    head_seconds = 30.0
    pause_seconds = 30.0
    body_seconds = 300.0

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._head = 0  # bytes of a head that is not whole yet
        self._fields = 0
        self._awaited: Literal["head", "body", ""] = "head"
        self._until = math.inf  # when the awaited part must be whole, by the loop's clock
        self._due = math.inf  # when it is too late, if nothing more comes
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect("head", self.head_seconds)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if not self._awaited:  # also for what begins no request, such as an empty line
            self._expect("head", self.head_seconds)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._awaited == "head":
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response("The request's headers are too long.")
        self._watch()

    def on_message_begin(self) -> None:
        self._expect("head", self.head_seconds)
        self._head = self._fields = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += len(name) + len(value)
        if self._fields > MAX_HEAD:
            raise ValueError("the headers are too long")  # the parser ends with it: a 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._expect("body", self.body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._awaited, self._until = "", math.inf
        super().on_message_complete()

    def _expect(self, part: Literal["head", "body"], seconds: float) -> None:
        self._awaited, self._until = part, self.loop.time() + seconds

    def _watch(self) -> None:
        """After each piece. Most requests come in one, and need no timer of their own."""
        self._due = self._until
        if self._awaited == "body":
            self._due = min(self._due, self.loop.time() + self.pause_seconds)
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and self._due < math.inf:
            self._timer = self.loop.call_at(self._due, self._look)

    def _look(self) -> None:
        """The timer rang. It is left to run when more comes: setting it anew costs more."""
        self._timer = None
        if self.transport.is_closing() or self._due == math.inf:
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if self.flow.read_paused or (self._awaited == "head" and answering):
            self._until += self.pause_seconds  # it is we who do not read on yet
            self._watch()
        elif self.loop.time() < self._due:
            self._timer = self.loop.call_at(self._due, self._look)
        elif self._awaited == "body" and not self.cycle.response_started:
            self.logger.warning("A request did not come to its end in time.")
            self.transport.write(_late(self.scope["path"]))
            self.transport.close()
        else:
            self.transport.close()


def _late(path: str) -> bytes:
    """The answer to a request whose body did not come, as the clients of its path read errors."""
    told = error_body(path, 408, "the request's body did not come in time", code="request_timeout")
    body = json.dumps(told).encode()
    head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    return STATUS_LINE[408] + head % len(body) + body
