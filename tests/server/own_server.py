"""Our own server under test: uvicorn on a free loopback port, in this process."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import prompt_server  # noqa: F401
import uvicorn

from align_agent.server.app import build_app
from align_agent.server.listener import listen, web_server
from align_agent.server.service import Service


@dataclass
class Running:
    """A server under test."""

    service: Service
    url: str


def start(service: Service) -> tuple[Running, uvicorn.Server, threading.Thread]:
    listener = listen("127.0.0.1", 0)
    server = web_server(build_app(service))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    return Running(service, f"http://127.0.0.1:{listener.getsockname()[1]}"), server, thread
