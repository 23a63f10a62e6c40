"""The dashboard's routes beside the API's: pages, their JSON twins, files, signing in.

What a page shows is its module's `data`; a template shows it to people, its twin to programs.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import mimetypes
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from align_agent.display import counted
from align_agent.errors import AlignAgentError, GateRefused, NotFound, PromotionHeld
from align_agent.gate.told import VERDICTS
from align_agent.server.backend import Local
from align_agent.server.errors import status_of
from align_agent.server.service import Service
from align_agent.web import guard
from align_agent.web.actions import ACTIONS
from align_agent.web.desk import Page, seated
from align_agent.web.live import follow
from align_agent.web.pages import (
    conversations,
    credit,
    morning,
    nights,
    rules,
    settings,
    trend,
    trial,
    versions,
)
from align_agent.web.words import FILTERS, lasted, link

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
PAGES = (
    Page("/morning", "Morning", "morning.html", morning.data, "/morning"),
    Page("/rules", "Rules", "rules.html", rules.data, "/rules"),
    Page(
        "/conversations",
        "Conversations",
        "conversations.html",
        conversations.data,
        "/conversations",
    ),
    Page("/nights", "Nights", "nights.html", nights.data, "/nights"),
    Page("/versions", "Versions", "versions.html", versions.data, "/versions"),
    Page("/trend", "Trend", "trend.html", trend.data, "/trend"),
    Page("/settings", "Settings", "settings.html", settings.data, "/settings"),
    Page("/night", "Night", "night.html", nights.one, "/nights"),
    Page("/compare", "Two versions", "compare.html", versions.compare, "/versions"),
    Page("/try", "Try two versions", "try.html", trial.form, "/versions"),
    Page("/trial", "Which is better?", "trial.html", trial.one, "/versions"),
    Page("/credit", "What was wrong", "credit.html", credit.data, "/conversations"),
    Page("/doctor", "Doctor", "doctor.html", settings.doctor, "/settings"),
    Page("/conversation", "Conversation", "conversation.html", conversations.one, "/conversations"),
)
TABS = tuple(page for page in PAGES if page.path == page.tab)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # "no-referrer" would also take the Origin from our own forms, which we ask for.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

Handler = Callable[[Request], Awaitable[Response]]


def mount(app: FastAPI) -> None:
    """Put the dashboard beside the API of a server's application."""
    for page in PAGES:
        app.add_route(f"{page.path}.json", _careful(_twin(page)), methods=["GET"])
        app.add_route(page.path, _careful(_page(page)), methods=["GET"])
    for name, action in ACTIONS.items():
        app.add_route(f"/do/{name}", _careful(guard.guarded(action)), methods=["POST"])
    app.add_route("/night/live", _careful(follow), methods=["GET"])
    app.add_route("/", _home, methods=["GET"])
    app.add_route("/sign-in", _careful(guard.sign_in_page(render)), methods=["GET"])
    app.add_route("/sign-in", _careful(guard.sign_in(render)), methods=["POST"])
    app.add_route("/static/{name:path}", _careful(_file), methods=["GET"])


async def _home(_: Request) -> Response:
    return RedirectResponse("/morning", 303)


def _page(page: Page) -> Handler:
    async def show(request: Request) -> Response:
        session, fresh = guard.session_of(request)
        found = await asyncio.to_thread(_look, request, page)
        response = await asyncio.to_thread(
            render, request, page.template, page.title, session, tab=page.tab, data=found
        )
        if fresh:
            guard.remember(response, session)
        guard.forget_said(request, response)
        return response

    return show


def _twin(page: Page) -> Handler:
    async def tell(request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(_look, request, page), headers=HEADERS)

    return tell


def _look(request: Request, page: Page) -> dict[str, Any]:
    service: Service = request.app.state.service
    model = service.backend.model if isinstance(service.backend, Local) else None
    with seated(service.home, service.config, dict(request.query_params), model) as desk:
        return page.data(desk)


def render(
    request: Request, template: str, title: str, session: str, *, status: int = 200, **shown: Any
) -> HTMLResponse:
    """A page. `shown` is what its template needs besides what all need."""
    text = (
        _templates()
        .get_template(template)
        .render(
            title=title,
            tabs=TABS,
            path=request.url.path,
            query=dict(request.query_params),
            here=link(request.url.path, dict(request.query_params)),
            form_token=request.app.state.sessions.form_token(session) if session else "",
            said=guard.said(request),
            status=status,
            **{"tab": "", **shown},
        )
    )
    return HTMLResponse(text, status, headers=HEADERS)


@cache
def _templates() -> Environment:
    found = Environment(
        loader=PackageLoader("align_agent.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(FILTERS)
    found.globals.update(
        counted=counted, lasted=lasted, link=link, static=_address, verdicts=VERDICTS
    )
    return found


@cache
def _address(name: str) -> str:
    """A file's address with its content in it, so that a browser may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    content = await asyncio.to_thread(_content, name)
    kept = "public, max-age=31536000, immutable" if request.query_params.get("v") else "no-cache"
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    return Response(content, media_type=kind, headers={**HEADERS, "cache-control": kept})


@cache
def _files() -> dict[str, Path]:
    return {str(path.relative_to(STATIC)): path for path in STATIC.rglob("*") if path.is_file()}


@cache
def _content(name: str) -> bytes:
    """Raises NotFound for what is not among the dashboard's own files."""
    if name not in _files():
        raise NotFound(f"there is no file {name[:80]!r}", hint="reload the page")
    return _files()[name].read_bytes()


def _careful(handler: Handler) -> Handler:
    """A failure becomes a page that says so, or JSON for a program."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except AlignAgentError as error:
            return _failed(request, _status(error), error.message, error.hint)
        except Exception as error:
            log.exception("a page failed", exc_info=error)
            said = f"unexpected {type(error).__name__}"
            return _failed(request, 500, said, "the server's log has the details")

    return handle


def _status(error: AlignAgentError) -> int:
    if isinstance(error, guard.Refused):
        return 403
    return 409 if isinstance(error, GateRefused | PromotionHeld) else status_of(error)[0]


def _failed(request: Request, status: int, message: str, hint: str) -> Response:
    if request.url.path.endswith(".json"):
        return JSONResponse({"error": message, "hint": hint}, status, headers=HEADERS)
    title = "That did not work"
    return render(request, "error.html", title, "", status=status, message=message, hint=hint)
