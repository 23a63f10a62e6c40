"""Addresses in the configuration. Reaches for none of them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@*]+")


def url_complaint(value: str) -> str:
    """Why a text is no address of a server, or "". The empty text is fine."""
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        return "must be an address such as http://127.0.0.1:8000/v1"
    if parts.username or parts.password:
        return "must not hold a name or password: put the key into an environment variable"
    if parts.query or parts.fragment:
        return "must end with its path: no ? and no #"
    return ""


def origins_complaint(value: tuple[str, ...]) -> str:
    """Why these are no web pages' origins, or "". Schemes of browser extensions are fine."""
    fine = all(_ORIGIN.fullmatch(origin) for origin in value)
    return "" if fine else "must hold addresses such as http://localhost:3000, without a path"
