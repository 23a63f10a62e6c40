"""A request's settings in our terms, the same for every API, and how its answer goes back.

Each API's module names the fields and gives an answer its shape; this does what they share.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, WithJsonSchema
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from align_agent.capture.wire import Api, read_request
from align_agent.config.preferences import shown_rules
from align_agent.errors import AlignAgentError, InputError
from align_agent.models.generation import Generation, Piece, Sampling
from align_agent.models.toolcalls import forced_call
from align_agent.prompts import with_rules
from align_agent.records import ToolCall
from align_agent.server.answers import Answers, Ask, unless_gone, whole
from align_agent.server.service import Service

SSE = {"cache-control": "no-cache", "x-accel-buffering": "no"}
# Read by `capture.wire`, which names the field of what is wrong; this only describes it.
Item = Annotated[Any, WithJsonSchema({"type": "object"})]
Said = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "object",
            "required": ["role", "content"],
            "properties": {
                "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
                "content": {"anyOf": [{"type": "string"}, {"type": "array"}, {"type": "null"}]},
            },
        }
    ),
]
to_json = json.JSONEncoder(ensure_ascii=False).encode
_MODES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


@dataclass(frozen=True, slots=True)
class Settings:
    """How the answer is to be drawn. None leaves it to the configuration."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: Sequence[str] = ()
    choices: int = 1
    top: int = 0


class Reply(Protocol):
    """One API's shape of an answer. `id` is what the client will call it."""

    id: str

    def body(
        self, answers: Answers, generations: Sequence[Generation], pieces: Sequence[list[Piece]]
    ) -> dict[str, Any]: ...
    def events(self, answers: Answers) -> AsyncIterator[bytes]: ...
    def failure(self, error: AlignAgentError) -> bytes: ...


async def ask_for(
    service: Service,
    api: Api,
    wanted: BaseModel,
    model: str,
    settings: Settings,
    tool_choice: Any = None,
) -> Ask:
    """The request in our terms. Raises InputError, NotFound, AdapterDamaged, WrongBase."""
    messages, tools = read_request(api, given(wanted))
    preferences = service.config.preferences
    if preferences.at_the_door:
        messages = with_rules(messages, shown_rules(preferences, api))
    tools, forced = _offered(tools, tool_choice)
    served = await service.resolve(model)
    usual = service.config.model
    sampling = Sampling(
        max_new_tokens=min(settings.max_tokens or usual.max_new_tokens, service.backend.context),
        temperature=usual.temperature if settings.temperature is None else settings.temperature,
        top_p=usual.top_p if settings.top_p is None else settings.top_p,
        seed=None if settings.seed is None else settings.seed % 2**40,
        stop=tuple(text for text in settings.stop if text),
    )
    named = {
        "max_new_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
    }
    left = frozenset(name for name, value in named.items() if value is None)
    return Ask(messages, tools, sampling, served, settings.choices, settings.top, forced, left)


def _offered(
    tools: tuple[dict[str, Any], ...], choice: Any
) -> tuple[tuple[dict[str, Any], ...], str]:
    """The tools that the model is shown, and how its answer must begin.

    Raises InputError for a choice that is none, or of a tool that is not offered.
    """
    mode, name = _choice(choice)
    if mode == "auto":
        return tools, ""
    if mode == "none":
        return (), ""
    names = [tool["function"]["name"] for tool in tools]
    if not names or (name and name not in names):
        known = ", ".join(f"`{n}`" for n in names) or "none is"
        raise InputError(
            f"tool_choice: {f'the tool `{name[:40]}`' if name else 'a call'} is asked for, "
            f"but {known} offered",
            hint="offer the tool in `tools`",
        )
    return tools, forced_call(name or (names[0] if len(names) == 1 else ""))


def _choice(value: Any) -> tuple[str, str]:
    """(mode, tool's name) of a `tool_choice` of any of the APIs."""
    if value is None:
        return "auto", ""
    kind = value.get("type") if isinstance(value, dict) else value
    if isinstance(kind, str) and kind in _MODES:
        return _MODES[kind], ""
    if isinstance(value, dict) and kind in ("function", "tool"):
        function = value.get("function")
        name = (function if isinstance(function, dict) else value).get("name")
        if isinstance(name, str) and name:
            return "named", name
    raise InputError(
        "tool_choice: must say which tool, or whether any",
        hint='use "auto", "none", "required" (Anthropic: "any"), or the name of one function',
    )


async def answer(
    request: Request, service: Service, ask: Ask, reply: Reply, wanted: BaseModel, stream: bool
) -> Response:
    """Answer a request, whole or streamed. Raises what the engine raises."""
    body = {k: v for k, v in given(wanted).items() if k not in ("messages", "input", "tools")}
    beginning = service.begin(ask, request.headers, body, reply.id)
    # Another server may take long to begin; our engine is at once told to end what it began.
    answers = await (unless_gone(request.receive, beginning) if service.remote else beginning)
    if stream:
        return _Streamed(_guarded(service, answers, reply))
    generations, pieces = await unless_gone(request.receive, whole(answers))
    return JSONResponse(reply.body(answers, generations, pieces))


def given(wanted: BaseModel) -> dict[str, Any]:
    """The fields of a request that say something, as they came: a long history is not copied."""
    fields = {**wanted.__dict__, **(wanted.model_extra or {})}
    return {name: value for name, value in fields.items() if value is not None}


class _Streamed(Response):
    """Server-sent events as they come, until the client leaves."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        self.status_code, self.background = 200, None
        self._events = events
        self.init_headers(SSE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(ClientDisconnect):  # the answer was ended with its events
            await unless_gone(receive, self._say(send))

    async def _say(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _guarded(service: Service, answers: Answers, reply: Reply) -> AsyncGenerator[bytes]:
    """The events; a failure becomes a last event that names it."""
    try:
        async for event in reply.events(answers):
            yield event
    except AlignAgentError as error:
        service.counts["failed_streams"] += 1
        yield reply.failure(error)
    finally:
        answers.close()


def arguments(call: ToolCall) -> str:
    """A call's arguments as the JSON text that clients parse."""
    return to_json(call.arguments)


def event(data: Mapping[str, Any], name: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {to_json(data)}\n\n".encode()
