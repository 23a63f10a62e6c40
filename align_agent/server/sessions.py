"""Signed cookies for the browser: who came in, and that a form came from a page of ours.

A browser cannot send the token with a link, so a sign-in trades it for a cookie. The key lies in
the home, readable by its owner alone; another token in config.yaml ends every session.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from pathlib import Path

from starlette.requests import cookie_parser

from align_agent.paths import Home, claimed, write_whole

COOKIE = "align_session"
KEY_FILE = "dashboard.key"
KEY_BYTES = 32
TICKET_SECONDS = 60  # how long the link of `align-agent dashboard` opens the door


class Sessions:
    """Makes and knows the cookies of one home under one token."""

    def __init__(self, key: bytes, token: str) -> None:
        self._key = hmac.digest(key, token.encode(), "sha256")

    @staticmethod
    def of(home: Home, token: str) -> Sessions:
        """With the home's key, which is made where there is none. Raises OSError."""
        path = home.root / KEY_FILE
        key = _key_in(path)
        if not key:
            _make_key(path)
            key = _key_in(path)
        return Sessions(key, token)

    def issue(self) -> str:
        """A new session's cookie."""
        name = secrets.token_urlsafe(18)
        return f"{name}.{self._sign('session', name)}"

    def valid(self, cookie: str) -> bool:
        """Whether a cookie is one of ours."""
        name, _, signature = cookie.partition(".")
        return hmac.compare_digest(signature.encode(), self._sign("session", name).encode())

    def form_token(self, cookie: str) -> str:
        """What every form of a session's pages carries: another site cannot know it."""
        return self._sign("form", cookie)

    def is_form_token(self, cookie: str, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.form_token(cookie).encode())

    def ticket(self) -> str:
        """A word that opens the door for a minute: for the link of `align-agent dashboard`."""
        until = str(int(time.time()) + TICKET_SECONDS)
        return f"{until}.{self._sign('ticket', until)}"

    def redeems(self, ticket: str) -> bool:
        """Whether a ticket is one of ours and not too old."""
        until, _, signature = ticket.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("ticket", until).encode()):
            return False
        return int(until) >= time.time()

    def _sign(self, purpose: str, text: str) -> str:
        message = f"{purpose}\n{text}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def _key_in(path: Path) -> bytes:
    """The key in a file; empty where there is none, or half of one."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return b""
    return key if len(key) >= KEY_BYTES else b""


def _make_key(path: Path) -> None:
    """Make it, whole or not at all: an empty one would be known to everybody. One at a time, since
    command line and server may come together."""
    with claimed(path.parent):
        if not _key_in(path):
            write_whole(path, secrets.token_bytes(KEY_BYTES))


def cookie_of(header: str) -> str:
    """The session's cookie in a request's `Cookie` header; empty when there is none.

    As browsers write it: those of other programs on this machine come along, whatever they hold.
    """
    return cookie_parser(header).get(COOKIE, "")
