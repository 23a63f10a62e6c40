"""Addresses in the configuration. Reaches for none of them."""

from __future__ import annotations

from urllib.parse import urlsplit


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
