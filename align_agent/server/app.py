"""The application: routes, errors, health and metrics around one `Service`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

from align_agent import __version__
from align_agent.errors import AlignAgentError, UpstreamError
from align_agent.server import align, chat, messages, responses
from align_agent.server.access import Gatekeeper
from align_agent.server.errors import error_body, status_of, told
from align_agent.server.metrics import exposition
from align_agent.server.service import Service
from align_agent.server.sessions import Sessions
from align_agent.server.shortcut import Endpoint, Shortcut
from align_agent.server.versions import FAMILY
from align_agent.server.warm import keep_warm

log = logging.getLogger(__name__)


STRAIGHT: dict[str, tuple[type[BaseModel], Endpoint]] = {
    "/v1/chat/completions": (chat.ChatRequest, chat.create),
    "/v1/responses": (responses.ResponsesRequest, responses.create),
    "/v1/messages": (messages.MessagesRequest, messages.create),
}


class EmbeddingsRequest(BaseModel):
    """What is passed on. What else there may be is for the other server to judge."""

    model_config = ConfigDict(extra="allow")

    model: str = FAMILY
    input: str | Annotated[list[Any], Field(min_length=1)]


def build_app(service: Service) -> FastAPI:
    """The ASGI application of a service; closing the service is the caller's."""
    settings = service.config.server

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(keep_warm(service))
        yield
        warming.cancel()
        await service.backend.aclose()
        service.versions.leave()

    app = FastAPI(
        title="align-agent",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        # What is said here is told to no collector that an environment variable names.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    app.state.started = int(time.time())
    app.state.sessions = Sessions.of(service.home, settings.token)
    for routes in (chat, responses, messages, align):
        app.include_router(routes.router)
    app.add_api_route("/v1/models", models, methods=["GET"])
    app.add_api_route("/v1/models/{name}", model, methods=["GET"])
    app.add_api_route("/v1/embeddings", embeddings, methods=["POST"])
    app.add_api_route("/healthz", healthz, methods=["GET"])
    app.add_api_route("/readyz", readyz, methods=["GET"])
    app.add_api_route("/metrics", metrics, methods=["GET"])
    for kind, handler in FAILURES.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(Exception, _unexpected)
    app.add_middleware(Shortcut, ways=STRAIGHT, handlers=FAILURES)
    app.add_middleware(
        Gatekeeper,
        token=settings.token,
        hosts=(settings.host, *settings.allowed_hosts),
        origins=settings.allowed_origins,
        max_bytes=settings.max_body_mb * 2**20,
        sessions=app.state.sessions,
    )
    if settings.allowed_origins:
        # Outermost: a browser asks first whether it may ask, and sends no token with that.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["*"],
            allow_headers=["*"],
        )
    return app


async def models(request: Request) -> dict[str, Any]:
    """Every version that can be asked for by name, as both kinds of client read a list."""
    data = [_model(request, name) for name in await request.app.state.service.names()]
    pages = {"has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
    return {"object": "list", "data": data, **pages}


async def model(name: str, request: Request) -> dict[str, Any]:
    """One model. 404 for a version that cannot answer."""
    await request.app.state.service.resolve(name)
    return _model(request, name)


def _model(request: Request, name: str) -> dict[str, Any]:
    made = request.app.state.started
    openai = {"id": name, "object": "model", "created": made, "owned_by": "align-agent"}
    began = datetime.fromtimestamp(made, UTC).isoformat()
    return openai | {"type": "model", "display_name": name, "created_at": began}


async def embeddings(wanted: EmbeddingsRequest, request: Request) -> Response:
    """Passed on to the upstream; refused by an engine of our own, which has no such model."""
    return JSONResponse(await request.app.state.service.backend.embed(wanted.model_dump()))


async def healthz() -> Response:
    """The process is alive."""
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """The model can be asked and the database can be read."""
    await request.app.state.service.names()
    await request.app.state.service.backend.ready()
    return PlainTextResponse("ready")


async def metrics(request: Request) -> Response:
    """What was counted and measured since the start, for Prometheus."""
    content, kind = exposition(request.app.state.service)
    return Response(content, media_type=kind)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, AlignAgentError)
    status, kind, code = status_of(error)
    body = error_body(request.url.path, status, told(error), kind, code)
    headers = error.headers if isinstance(error, UpstreamError) else None
    return JSONResponse(body, status, headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    message = f"{place}: {first['msg']}" if place else str(first["msg"])
    return JSONResponse(error_body(request.url.path, 400, message, param=place or None), 400)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = error_body(request.url.path, error.status_code, str(error.detail))
    return JSONResponse(body, error.status_code, headers=error.headers)


async def _left(_: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


async def _unexpected(request: Request, error: Exception) -> Response:
    log.exception("a request failed", exc_info=error)
    message = f"unexpected {type(error).__name__}; the server's log has the details"
    return JSONResponse(error_body(request.url.path, 500, message, "server_error"), 500)


FAILURES: dict[type[Exception], Any] = {
    AlignAgentError: _ours,
    RequestValidationError: _invalid,
    HTTPException: _http,
    ClientDisconnect: _left,
}
