"""Who may knock: Host, Origin, token and size, before any handler runs. Pure ASGI.

A page in the user's browser can post to a loopback address, and by DNS rebinding read the answer.
So a request must name a host that is this machine, and must not come from a page elsewhere: another
program's page on this machine stands at another port, and is elsewhere too. Where
a token is asked for, the dashboard's pages also open to a session that was signed in with it.
"""

from __future__ import annotations

import hmac
import json
from urllib.parse import quote, urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from align_agent.server.errors import error_body
from align_agent.server.sessions import Sessions, cookie_of

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SIGN_IN = "/sign-in"
_OPEN = ("/healthz", "/readyz", SIGN_IN)
_OPEN_FOLDER = "/static/"
_TOKEN_ONLY = ("/v1/", "/metrics")  # for programs: a cookie opens none of these


class TooLarge(HTTPException):
    """A body beyond the limit. An HTTPException, because FastAPI makes any other a plain 400."""

    def __init__(self, message: str) -> None:
        super().__init__(413, message)


class Gatekeeper:
    """ASGI middleware. `token` is empty where none is asked for; `hosts` may be named, pages of
    `origins` may ask."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str = "",
        hosts: tuple[str, ...] = LOOPBACK,
        origins: tuple[str, ...] = (),
        max_bytes: int,
        sessions: Sessions | None = None,
    ) -> None:
        self._app, self._token, self._max = app, token, max_bytes
        self._sessions = sessions
        self._hosts = {*LOOPBACK, *(host.lower() for host in hosts)}
        self._origins = {origin.lower() for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            await self._drain(receive)
            if refusal[0] == 401 and _is_page(scope, headers):
                await _to_sign_in(send, scope)
                return
            await _refuse(send, scope["path"], *refusal)
            return
        await self._app(scope, self._limited(receive), send)

    def _refusal(self, path: str, headers: dict[str, str]) -> tuple[int, str, str] | None:
        named = headers.get("host", "").lower()
        host = _hostname(f"//{named}")
        if host not in self._hosts:
            return 421, f"this server does not answer for the host {host[:80]!r}", "wrong_host"
        origin = headers.get("origin", "").lower()
        if origin and not is_own_page(origin, named) and origin not in self._origins:
            return 403, f"pages of {origin[:80]} are not in server.allowed_origins", "wrong_origin"
        if self._token and not self._is_open(path) and not self._knows(path, headers):
            return 401, "the token is missing or wrong", "invalid_api_key"
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max:
            return 413, self._too_large(), "request_too_large"
        return None

    def _is_open(self, path: str) -> bool:
        return path in _OPEN or path.startswith(_OPEN_FOLDER)

    def _knows(self, path: str, headers: dict[str, str]) -> bool:
        if self._sessions is not None and not path.startswith(_TOKEN_ONLY):
            cookie = cookie_of(headers.get("cookie", ""))
            if cookie and self._sessions.valid(cookie):
                return True
        given = headers.get("x-api-key", "")
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            given = rest.strip()
        return hmac.compare_digest(given.encode(), self._token.encode())

    async def _drain(self, receive: Receive) -> None:
        """Take in what the client still sends: closing on it would cost it our answer."""
        seen, more = 0, True
        while more and seen <= 2 * self._max:
            message = await receive()
            seen += len(message.get("body", b""))
            more = bool(message.get("more_body"))

    def _too_large(self) -> str:
        return (
            f"the request has more than {self._max:,} bytes; send less or raise server.max_body_mb"
        )

    def _limited(self, receive: Receive) -> Receive:
        """The same body, counted: a chunked one names no length."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max:
                raise TooLarge(self._too_large())
            return message

        return counted


def is_own_page(origin: str, host: str) -> bool:
    """Whether a request comes from a page of the very host that it names, port and all."""
    # A proxy may speak TLS for us: what scheme the browser sees is not known here.
    return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def _hostname(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # half a bracket is nobody's address
        return ""


def _is_page(scope: Scope, headers: dict[str, str]) -> bool:
    """Whether a person in a browser wants to see a page."""
    wanted = scope["method"] == "GET" and not scope["path"].startswith(_TOKEN_ONLY)
    return wanted and "text/html" in headers.get("accept", "")


async def _to_sign_in(send: Send, scope: Scope) -> None:
    query = scope.get("query_string", b"").decode("latin-1")
    back = scope["path"] + (f"?{query}" if query else "")
    place = f"{SIGN_IN}?back={quote(back, safe='')}".encode()
    await send(
        {"type": "http.response.start", "status": 303, "headers": [(b"location", place)]},
    )
    await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Send, path: str, status: int, message: str, code: str) -> None:
    body = json.dumps(error_body(path, status, message, code=code)).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
