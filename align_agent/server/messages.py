"""`POST /v1/messages`, as Anthropic's clients speak it: whole or streamed; and counting tokens.

Thinking, caching hints and `top_k` are allowed and do nothing here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from align_agent.capture.wire import read_request
from align_agent.errors import AlignAgentError
from align_agent.models.generation import Generation, Piece
from align_agent.records import ToolCall, new_id
from align_agent.server.answers import Answers, Ask
from align_agent.server.asking import Item, Said, Settings, answer, arguments, ask_for, event, given
from align_agent.server.errors import anthropic_error
from align_agent.server.service import Service
from align_agent.server.versions import FAMILY

_REASONS = {"length": "max_tokens", "tool_calls": "tool_use"}

router = APIRouter()


class MessagesRequest(BaseModel):
    """The fields that change the answer. Others are allowed and do nothing here."""

    model_config = ConfigDict(extra="allow")

    model: str = FAMILY
    messages: Annotated[list[Said], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)]
    system: str | list[Any] | None = None
    tools: list[Item] | None = None
    tool_choice: dict[str, Any] | None = None
    stream: bool | None = False
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop_sequences: Annotated[list[str], Field(max_length=16)] | None = None


class CountRequest(BaseModel):
    """What is counted."""

    model_config = ConfigDict(extra="allow")

    model: str = FAMILY
    messages: Annotated[list[Said], Field(min_length=1)]
    system: str | list[Any] | None = None
    tools: list[Item] | None = None


@router.post("/v1/messages")
async def create(wanted: MessagesRequest, request: Request) -> Response:
    """Answer a chat with the version that the model's name means."""
    service: Service = request.app.state.service
    settings = Settings(
        wanted.max_tokens, wanted.temperature, wanted.top_p, stop=wanted.stop_sequences or ()
    )
    ask = await ask_for(service, "messages", wanted, wanted.model, settings, wanted.tool_choice)
    return await answer(request, service, ask, Reply(ask), wanted, bool(wanted.stream))


@router.post("/v1/messages/count_tokens")
async def count_tokens(wanted: CountRequest, request: Request) -> dict[str, int]:
    """How many tokens a prompt has for this model."""
    service: Service = request.app.state.service
    await service.resolve(wanted.model)
    messages, tools = read_request("messages", given(wanted))
    return {"input_tokens": await service.backend.count(messages, tools)}


class Reply:
    """The shape of one request's answer."""

    def __init__(self, ask: Ask) -> None:
        self.id = new_id("msg")
        self._head = {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": ask.served.name,
        }

    def body(
        self, answers: Answers, generations: Sequence[Generation], pieces: Sequence[list[Piece]]
    ) -> dict[str, Any]:
        """The whole answer at once."""
        generation = generations[0]
        content: list[dict[str, Any]] = []
        if generation.text:
            content.append({"type": "text", "text": generation.text})
        content += [_call(call) | {"input": call.arguments} for call in generation.tool_calls]
        usage = _usage(answers, len(generation.token_ids))
        return self._head | {"content": content, "usage": usage} | _end(generation)

    async def events(self, answers: Answers) -> AsyncIterator[bytes]:
        """Anthropic's named events: a block of text where there is any, then one for each call."""
        empty: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None}
        message = self._head | empty | {"usage": _usage(answers, 0)}
        yield _named("message_start", message=message)
        blocks = 0
        async for _, found in answers.events():
            if isinstance(found, Piece):
                if found.text and not blocks:
                    yield _started(0, {"type": "text", "text": ""})
                    blocks = 1
                if found.text:
                    yield _delta(0, {"type": "text_delta", "text": found.text})
                continue
            if blocks:
                yield _named("content_block_stop", index=0)
            for index, call in enumerate(found.tool_calls, blocks):
                yield _started(index, _call(call) | {"input": {}})
                yield _delta(index, {"type": "input_json_delta", "partial_json": arguments(call)})
                yield _named("content_block_stop", index=index)
            usage = _usage(answers, len(found.token_ids))  # an upstream tells it at the end
            yield _named("message_delta", delta=_end(found), usage=usage)
        yield _named("message_stop")

    def failure(self, error: AlignAgentError) -> bytes:
        """The last event of a stream that failed."""
        return event(anthropic_error(error)[1], "error")


def _named(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)


def _started(index: int, block: dict[str, Any]) -> bytes:
    return _named("content_block_start", index=index, content_block=block)


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return _named("content_block_delta", index=index, delta=delta)


def _call(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name}


def _end(generation: Generation) -> dict[str, Any]:
    reason = _REASONS.get(generation.finish_reason, "end_turn")
    if generation.stop_text and not generation.tool_calls:
        return {"stop_reason": "stop_sequence", "stop_sequence": generation.stop_text}
    return {"stop_reason": reason, "stop_sequence": None}


def _usage(answers: Answers, written: int) -> dict[str, int]:
    reused = answers.reused_tokens
    return {
        "input_tokens": answers.prompt_tokens - reused,
        "cache_read_input_tokens": reused,
        "cache_creation_input_tokens": 0,
        "output_tokens": written,
    }
