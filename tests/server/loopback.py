"""A real HTTP server on a loopback port whose answers a test writes: for faults and adapters."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def chunk(text: str = "", **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, **choice}]}


END = [chunk(finish_reason="stop"), {"choices": [], "usage": {"completion_tokens": 2}}]


class Handler(BaseHTTPRequestHandler):
    """One request: `Loopback.answer` gets the handler, which has its `body`."""

    protocol_version = "HTTP/1.1"
    server: Any
    body: Any = None

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.body = json.loads(self.rfile.read(length)) if length else None
        loopback: Loopback = self.server.loopback
        loopback.seen.append((self.path, self.body, dict(self.headers)))
        loopback.answer(self)

    def tell(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        """A whole answer, as JSON or as text."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = "text/plain" if isinstance(body, str) else "application/json"
        self.send_response(status)
        for name, value in {"content-type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin(self) -> None:
        """The head of a stream."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def send(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def event(self, event: Any) -> None:
        self.send(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())

    def end(self) -> None:
        self.send(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """The server dies."""
        self.close_connection = True
        self.connection.close()

    def stream(self, *texts: str) -> None:
        """A sound answer."""
        self.begin()
        for event in [*map(chunk, texts), *END]:
            self.event(event)
        self.end()

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Loopback:
    """The server. `seen` are (path, body, headers) of what was asked."""

    answer: Callable[[Handler], None]
    seen: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.loopback = self
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        # It looks that often whether it is to end.
        serving = partial(self._server.serve_forever, poll_interval=0.02)
        threading.Thread(target=serving, daemon=True).start()

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.seen]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
