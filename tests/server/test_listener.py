"""The server's socket, and clients that send too much or too slowly."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from align_agent.server.listener import MAX_HEAD, Http, listen

QUESTION = json.dumps({"messages": [{"role": "user", "content": "Hello!"}]}).encode()


def connected(server: Any) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def head(path: str, length: int = len(QUESTION)) -> bytes:
    """Of a request with a body."""
    lines = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{lines}content-length: {length}\r\n\r\n".encode()


def to_the_end(client: socket.socket) -> bytes:
    """What the server still says until it closes the connection."""
    told = b""
    while piece := client.recv(65536):
        told += piece
    return told


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("head_seconds", "pause_seconds", "body_seconds"):
        monkeypatch.setattr(Http, name, 0.3)


@pytest.fixture
def dripping() -> Iterator[Callable[[socket.socket, bytes], None]]:
    """Sends a piece again and again, never long apart, until the connection ends."""
    over, threads = threading.Event(), []

    def begin(client: socket.socket, piece: bytes) -> None:
        def drip() -> None:
            try:
                while not over.wait(0.02):
                    client.sendall(piece)
            except OSError:  # the server has closed it
                pass

        threads.append(threading.Thread(target=drip))
        threads[-1].start()

    yield begin
    over.set()
    for thread in threads:
        thread.join()


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
    size = 4 * MAX_HEAD // pieces
    begun, piece = {
        "many": (b"GET /healthz HTTP/1.1\r\nhost: x\r\n", b"a: " + b"b" * size + b"\r\n"),
        "one": (b"GET /healthz HTTP/1.1\r\nhost: x\r\na: ", b"b" * size),
        "url": (b"GET /healthz?", b"b" * size),
    }[kind]
    with connected(server) as client:
        try:
            client.sendall(begun)
            for _ in range(pieces):
                client.sendall(piece)
            told = client.recv(200)
        except ConnectionError:  # it was closed while we still sent
            told = b""
        assert told == b"" or told.startswith(b"HTTP/1.1 400 ")
    assert httpx.get(f"{server.url}/healthz").status_code == 200


@pytest.mark.parametrize(
    "begun", [b"", b"\r\n", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\na: b\r\n"]
)
def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(
    impatient: None, server: Any, begun: bytes
) -> None:
    with connected(server) as client:
        client.sendall(begun)
        assert to_the_end(client) == b""


@pytest.mark.parametrize("begun", [b"\r\n", b"GET /hea"])
def test_nor_is_a_second_one_on_the_same_connection(
    impatient: None, server: Any, begun: bytes
) -> None:
    with connected(server) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.sendall(begun)
        assert to_the_end(client) in (b"", b"ok")


def test_a_head_that_comes_by_drops_has_no_more_time(
    impatient: None, server: Any, dripping: Any
) -> None:
    with connected(server) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\na: ")
        dripping(client, b"b")
        with suppress(ConnectionError):  # it was closed while we still sent
            assert to_the_end(client) == b""


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("part", [b"", QUESTION[:7]])
def test_a_body_that_stalls_is_told_so_in_its_apis_own_shape(
    impatient: None, server: Any, path: str, part: bytes
) -> None:
    with connected(server) as client:
        client.sendall(head(path) + part)
        told = to_the_end(client)
    assert told.startswith(b"HTTP/1.1 408 ")
    said = json.loads(told.partition(b"\r\n\r\n")[2])
    assert "did not come in time" in said["error"]["message"]
    assert ("type" in said) == (path == "/v1/messages")


def test_a_body_that_comes_by_drops_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, server: Any, dripping: Any
) -> None:
    monkeypatch.setattr(Http, "body_seconds", 0.3)
    with connected(server) as client:
        client.sendall(head("/v1/chat/completions", 10_000_000))
        dripping(client, b" ")
        assert client.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_a_refused_request_whose_body_stalls_is_not_waited_for_either(
    impatient: None, serve: Any
) -> None:
    with connected(serve(token="secret")) as client:
        client.sendall(head("/v1/chat/completions") + QUESTION[:7])
        assert to_the_end(client).startswith(b"HTTP/1.1 4")


def test_others_are_answered_beside_slow_ones_and_these_in_the_end(server: Any) -> None:
    with connected(server) as slow, connected(server) as slower:
        whole = head("/v1/chat/completions") + QUESTION
        slow.sendall(whole[:20])
        slower.sendall(whole[:-7])
        url = f"{server.url}/v1/chat/completions"
        assert httpx.post(url, json=json.loads(QUESTION)).status_code == 200
        slow.sendall(whole[20:])
        slower.sendall(whole[-7:])
        for client in (slow, slower):
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_an_answer_may_take_longer_than_a_request(
    impatient: None, slowly: None, server: Any
) -> None:
    body = {"messages": [{"role": "user", "content": "Hello!"}], "stream": True}
    with connected(server) as client:
        text = json.dumps(body).encode()
        # An empty line behind it is no second request that could be late.
        client.sendall(head("/v1/chat/completions", len(text)) + text + b"\r\n")
        told = b""
        while b"[DONE]" not in told:
            piece = client.recv(65536)
            assert piece, told
            told += piece
