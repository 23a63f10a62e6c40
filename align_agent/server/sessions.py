"""Signed cookies for the browser: who came in, and that a form came from a page of ours.

A browser cannot send the token with a link, so a sign-in trades it for a cookie. The key lies in
the home, readable by its owner alone; another token in config.yaml ends every session.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from http.cookies import CookieError, SimpleCookie

from align_agent.paths import Home

COOKIE = "align_session"
KEY_FILE = "dashboard.key"
TICKET_SECONDS = 60  # how long the link of `align-agent dashboard` opens the door


class Sessions:
    """Makes and knows the cookies of one home under one token."""

    def __init__(self, key: bytes, token: str) -> None:
        self._key = hmac.digest(key, token.encode(), "sha256")

    @staticmethod
    def of(home: Home, token: str) -> Sessions:
        """With the home's key, which is made where there is none. Raises OSError."""
        path = home.root / KEY_FILE
        try:
            # Made by whoever is first: command line and server may come at the same time.
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return Sessions(path.read_bytes(), token)
        key = secrets.token_bytes(32)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
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


def cookie_of(header: str) -> str:
    """The session's cookie in a request's `Cookie` header; empty when there is none."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""
