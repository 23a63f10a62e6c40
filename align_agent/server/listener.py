"""How the server listens: its socket, and the HTTP that is spoken there."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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
    facts = {"log_config": None, "access_log": False, "http": Http, **settings}
    return uvicorn.Server(uvicorn.Config(app, **facts))


class Http(HttpToolsProtocol):
    """HTTP/1.1 by httptools, which is quick, but takes in headers without end."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._head = 0  # bytes of a head that is not whole yet
        self._fields = 0
        self._in_head = True

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD and not self.transport.is_closing():
                self.send_400_response("The request's headers are too long.")

    def on_message_begin(self) -> None:
        self._in_head, self._head, self._fields = True, 0, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += len(name) + len(value)
        if self._fields > MAX_HEAD:
            raise ValueError("the headers are too long")  # the parser ends with it: a 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
