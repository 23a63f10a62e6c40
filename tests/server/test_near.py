"""Answers of a server on this machine as bytes: whatever HTTP allows is read, all else is told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from loopback import END, chunk

from align_agent.config import UpstreamConfig
from align_agent.server.upstream.near import MAX_HEAD

EVENTS = "".join(f"data: {json.dumps(event)}\n\n" for event in [chunk("Hello"), *END])
BODY = f"{EVENTS}data: [DONE]\n\n".encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
PIECES = b"".join(b"%x;a=b\r\n%b\r\n" % (1, BODY[i : i + 1]) for i in range(len(BODY)))
SOUND = {
    "length": HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY,
    "chunks": CHUNKED + PIECES + b"0\r\n\r\n",
    "trailers": CHUNKED + PIECES + b"0\r\nx-took: 3\r\n\r\n",
    "ends with its connection": HEAD + b"\r\n" + BODY,
    "HTTP/1.0": (HEAD + b"\r\n" + BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "words before it": b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + PIECES + b"0\r\n\r\n",
}
BROKEN = {
    "no HTTP": b"Hello!\r\n\r\n",
    "half a head": HEAD,
    "a head without end": HEAD + b"a: " + b"b" * 2 * MAX_HEAD,
    "half a body": HEAD + b"content-length: 1000\r\n\r\n" + BODY[:20],
    "a chunk of no size": CHUNKED + b"zz\r\n",
    "another protocol": b"HTTP/1.1 101 x\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
}


class Raw:
    """Says the same bytes to every request, and then ends the connection unless `keep`."""

    def __init__(self, told: bytes, keep: bool = False) -> None:
        self._told, self._keep = told, keep
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            while True:
                length = 0
                while (line := reader.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                if not line:
                    return
                reader.read(length)
                connection.sendall(self._told)
                if not self._keep:
                    return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def raw(serve: Any) -> Iterator[Callable[..., Any]]:
    """`raw(bytes)` is a door before a server that says them, and that server."""
    opened: list[Raw] = []

    def make(told: bytes, keep: bool = False) -> tuple[Any, Raw]:
        opened.append(Raw(told, keep))
        return serve(upstream=UpstreamConfig(base_url=opened[-1].url, model="m")), opened[-1]

    yield make
    for server in opened:
        server.close()


def ask(door: Any) -> httpx.Response:
    body = {"model": "align", "messages": [{"role": "user", "content": "Hi."}]}
    return httpx.post(f"{door.url}/v1/chat/completions", json=body, timeout=30)


@pytest.mark.parametrize("told", SOUND.values(), ids=SOUND)
def test_every_form_of_an_answer_is_read(raw: Any, told: bytes) -> None:
    door, _ = raw(told)
    assert ask(door).json()["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize("told", BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_answer_is_told_to_have_broken_off(raw: Any, told: bytes) -> None:
    door, _ = raw(told)
    answer = ask(door)
    assert answer.status_code == 502
    assert "broke off" in answer.json()["error"]["message"]


def test_a_connection_that_says_more_than_was_asked_is_not_used_again(raw: Any) -> None:
    door, server = raw(SOUND["chunks"] + SOUND["chunks"].replace(b"Hello", b"Never"), keep=True)
    for _ in range(3):
        assert ask(door).json()["choices"][0]["message"]["content"] == "Hello"
    assert server.connections == 3


def test_a_sound_connection_is(raw: Any) -> None:
    door, server = raw(SOUND["chunks"], keep=True)
    for _ in range(3):
        assert ask(door).json()["choices"][0]["message"]["content"] == "Hello"
    assert server.connections == 1
