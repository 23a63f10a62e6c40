"""The server's socket."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from align_agent.server.listener import MAX_HEAD, listen


def test_accepted_connections_do_not_hold_small_pieces_back() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("pieces", [1, 64])
@pytest.mark.parametrize("kind", ["many", "one", "url"])
def test_a_head_without_end_is_cut_off_and_others_are_answered(
    server: Any, kind: str, pieces: int
) -> None:
    address = urlsplit(server.url).netloc.split(":")
    size = 4 * MAX_HEAD // pieces
    begun, piece = {
        "many": (b"GET /healthz HTTP/1.1\r\nhost: x\r\n", b"a: " + b"b" * size + b"\r\n"),
        "one": (b"GET /healthz HTTP/1.1\r\nhost: x\r\na: ", b"b" * size),
        "url": (b"GET /healthz?", b"b" * size),
    }[kind]
    with socket.create_connection((address[0], int(address[1])), timeout=20) as client:
        try:
            client.sendall(begun)
            for _ in range(pieces):
                client.sendall(piece)
            told = client.recv(200)
        except ConnectionError:  # it was closed while we still sent
            told = b""
        assert told == b"" or told.startswith(b"HTTP/1.1 400 ")
    with socket.create_connection((address[0], int(address[1])), timeout=20) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert client.recv(200).startswith(b"HTTP/1.1 200 ")
