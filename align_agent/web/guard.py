"""Who may change something: sessions, form tokens, Origin; and what is said after an action.

The server's own gate (`server/access.py`) has looked at Host, Origin and token before. Here a form
must also come from a page of ours in the same session, and from this very address.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from align_agent.errors import InputError
from align_agent.server.access import is_own_page
from align_agent.server.service import Service
from align_agent.server.sessions import COOKIE, Sessions

SAID = "align_said"
MAX_FIELDS = 50
MAX_SAID = 400
YEAR = 365 * 86_400

Form = Mapping[str, str]
# Does something, and says what in a sentence, or an address to go to and a sentence.
Action = Callable[[Service, Form], Awaitable["str | tuple[str, str]"]]
Render = Callable[..., Response]


class Refused(InputError):
    """A form that did not come from a page of ours."""


def session_of(request: Request) -> tuple[str, bool]:
    """The request's session, and whether it is new."""
    sessions: Sessions = request.app.state.sessions
    cookie = request.cookies.get(COOKIE, "")
    if cookie and sessions.valid(cookie):
        return cookie, False
    return sessions.issue(), True


def remember(response: Response, session: str) -> None:
    response.set_cookie(COOKIE, session, max_age=YEAR, httponly=True, samesite="strict", path="/")


def guarded(action: Action) -> Callable[[Request], Awaitable[Response]]:
    """The action behind its checks; afterwards the browser goes back to where it was."""

    async def handle(request: Request) -> Response:
        form = await _form(request)
        _check(request, form)
        done = await action(request.app.state.service, form)
        place, sentence = done if isinstance(done, tuple) else (local(form.get("back", "")), done)
        response = RedirectResponse(place, 303)
        response.set_cookie(
            SAID, quote(sentence[:MAX_SAID]), max_age=60, httponly=True, samesite="strict", path="/"
        )
        return response

    return handle


def said(request: Request) -> str:
    """What the last action did, once."""
    return unquote(request.cookies.get(SAID, ""))


def forget_said(request: Request, response: Response) -> None:
    if SAID in request.cookies:
        response.delete_cookie(SAID, path="/", httponly=True, samesite="strict")


def local(place: str) -> str:
    """The place if it is a page of ours, else the morning."""
    sound = place.startswith("/") and not place.startswith(("//", "/\\"))
    return place if sound and place.isprintable() and "\\" not in place else "/morning"


def sign_in_page(render: Render) -> Callable[[Request], Awaitable[Response]]:
    """Where a person trades the token for a session; a ticket of the command line does it at
    once."""

    async def show(request: Request) -> Response:
        back = local(request.query_params.get("back", ""))
        sessions: Sessions = request.app.state.sessions
        ticket = request.query_params.get("ticket", "")
        if ticket and sessions.redeems(ticket):
            return _enter(sessions, back)
        problem = "That link is too old: enter the token, or ask for a new one." if ticket else ""
        return render(request, "sign_in.html", "Sign in", "", back=back, problem=problem)

    return show


def sign_in(render: Render) -> Callable[[Request], Awaitable[Response]]:
    """Take the token from the form."""

    async def take(request: Request) -> Response:
        form = await _form(request)
        _same_place(request)
        service: Service = request.app.state.service
        back = local(form.get("back", ""))
        token = service.config.server.token
        if token and hmac.compare_digest(form.get("token", "").encode(), token.encode()):
            return _enter(request.app.state.sessions, back)
        problem = "That is not the token."
        return render(
            request, "sign_in.html", "Sign in", "", status=401, back=back, problem=problem
        )

    return take


def _enter(sessions: Sessions, back: str) -> Response:
    response = RedirectResponse(back, 303)
    remember(response, sessions.issue())
    return response


async def _form(request: Request) -> Form:
    """The fields of a posted form. Raises InputError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InputError("this is no form of the dashboard", hint="use its pages")
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InputError("the form cannot be read", hint="reload the page, then again") from error
    return dict(pairs)


def _check(request: Request, form: Form) -> None:
    """Raises Refused."""
    _same_place(request)
    sessions: Sessions = request.app.state.sessions
    cookie = request.cookies.get(COOKIE, "")
    if not (cookie and sessions.valid(cookie)):
        raise Refused("your browser sent no session", hint="allow cookies, reload, then again")
    if not sessions.is_form_token(cookie, form.get("form_token", "")):
        raise Refused("this form is not from a page of yours", hint="reload the page, then again")


def _same_place(request: Request) -> None:
    """Another program's page on this machine has another port: it may read, not act."""
    origin = request.headers.get("origin", "")
    fetched = request.headers.get("sec-fetch-site", "same-origin")
    if origin and not is_own_page(origin, request.headers.get("host", "")):
        raise Refused("this form is from another page", hint="use the dashboard's own pages")
    if fetched not in ("same-origin", "none"):
        raise Refused("this form is from another page", hint="use the dashboard's own pages")


def field(form: Mapping[str, Any], name: str) -> str:
    """A field that must be there. Raises InputError."""
    value = str(form.get(name, "")).strip()
    if not value:
        raise InputError(f"`{name}` is missing", hint="go back, and fill it in")
    return value
