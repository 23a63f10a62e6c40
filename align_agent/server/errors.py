"""Failures as each API's own clients expect them: a status, and the body in their shape."""

from __future__ import annotations

from typing import Any

from align_agent.errors import (
    AdapterDamaged,
    AlignAgentError,
    ContextTooLong,
    InputError,
    NotFound,
    NotOwner,
    TimedOut,
    Unsupported,
    UpstreamError,
    UsageError,
    WrongBase,
)

# (status, OpenAI's type, OpenAI's code), the most special first.
_KINDS: tuple[tuple[type[AlignAgentError], int, str, str | None], ...] = (
    (ContextTooLong, 400, "invalid_request_error", "context_length_exceeded"),
    (Unsupported, 400, "invalid_request_error", "unsupported"),
    (TimedOut, 504, "server_error", "timeout"),
    (NotFound, 404, "invalid_request_error", "model_not_found"),
    (NotOwner, 403, "permission_error", "not_owner"),
    (InputError, 400, "invalid_request_error", None),
    (UsageError, 400, "invalid_request_error", None),
    (AdapterDamaged, 409, "invalid_request_error", "adapter_damaged"),
    (WrongBase, 409, "invalid_request_error", "wrong_base"),
)

_ANTHROPIC = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def status_of(error: AlignAgentError) -> tuple[int, str, str | None]:
    """The HTTP status, OpenAI's type and OpenAI's code of an error of ours."""
    if isinstance(error, UpstreamError):
        return error.status, error.kind, error.code
    for kind, status, name, code in _KINDS:
        if isinstance(error, kind):
            return status, name, code
    return 503, "server_error", None


def openai_error(error: AlignAgentError, param: str | None = None) -> tuple[int, dict[str, Any]]:
    """Status and body as OpenAI's clients read them."""
    status, kind, code = status_of(error)
    return status, openai_body(told(error), kind, code, param)


def openai_body(
    message: str, kind: str, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def anthropic_error(error: AlignAgentError) -> tuple[int, dict[str, Any]]:
    """Status and body as Anthropic's clients read them."""
    status = status_of(error)[0]
    return status, anthropic_body(told(error), status)


def anthropic_body(message: str, status: int) -> dict[str, Any]:
    fallback = "api_error" if status >= 500 else "invalid_request_error"
    kind = _ANTHROPIC.get(status, fallback)
    return {"type": "error", "error": {"type": kind, "message": message}}


def error_body(
    path: str,
    status: int,
    message: str,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
) -> dict[str, Any]:
    """The body in the shape that the clients of this path expect."""
    if path.startswith("/v1/messages"):
        return anthropic_body(message, status)
    if path.startswith("/v1/align/") and code == "model_not_found":
        code = "not_found"
    return openai_body(message, kind, code, param)


def told(error: AlignAgentError) -> str:
    """Message and hint in one line."""
    return f"{error.message}. {error.hint}" if error.hint else error.message
