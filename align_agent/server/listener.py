"""The socket that the server listens on."""

from __future__ import annotations

import socket


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send small pieces at once. Port 0 takes a free one.

    asyncio asks for that only where a socket names its protocol, which `create_server`'s do not:
    each event of a stream would wait 40 ms for the acknowledgement of the one before.
    Raises OSError.
    """
    listener = socket.create_server((host, port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
