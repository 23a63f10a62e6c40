"""The straight way to the endpoints whose first token is waited for. Answers nothing by itself.

FastAPI comes to an endpoint by routers within routers, stacks of contexts, dependencies and
telemetry, which costs a request more than all that we do with it. Its routes still describe these
endpoints, and take whatever is not a sound request: the refusals are theirs.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

Endpoint = Callable[[Any, Request], Awaitable[Response]]


class Shortcut:
    """ASGI middleware. `ways`: path -> (what a request must be, what answers it).

    `handlers` make responses of the exceptions that an endpoint raises.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        ways: Mapping[str, tuple[type[BaseModel], Endpoint]],
        handlers: Mapping[Any, ExceptionHandler],
    ) -> None:
        self._app = app
        self._ways = ways
        self._straight = ExceptionMiddleware(self._answer, handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = scope["type"] == "http" and scope["method"] == "POST"
        if wanted and scope["path"] in self._ways and _is_json(scope):
            await self._straight(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        model, endpoint = self._ways[scope["path"]]
        request = Request(scope, receive, send)
        body = await request.body()
        try:
            wanted = model.model_validate(json.loads(body))
        except (ValueError, RecursionError):
            await self._app(scope, _again(body, receive), send)
            return
        response = await endpoint(wanted, request)
        await response(scope, receive, send)


def _is_json(scope: Scope) -> bool:
    return any(
        name == b"content-type" and value.partition(b";")[0].strip().lower() == b"application/json"
        for name, value in scope["headers"]
    )


def _again(body: bytes, receive: Receive) -> Receive:
    """The channel of a request whose body has been read."""
    read = False

    async def once() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
