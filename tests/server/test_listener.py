"""The server's socket."""

from __future__ import annotations

import socket

from align_agent.server.listener import listen


def test_accepted_connections_do_not_hold_small_pieces_back() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
