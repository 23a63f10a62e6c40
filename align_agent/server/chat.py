"""`POST /v1/chat/completions`, as OpenAI's clients speak it: whole or streamed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from align_agent.errors import AlignAgentError
from align_agent.models.generation import Generation, Piece, Token
from align_agent.records import ToolCall, new_id
from align_agent.server.answers import Answers, Ask
from align_agent.server.asking import (
    Item,
    Said,
    Settings,
    answer,
    arguments,
    ask_for,
    event,
    to_json,
)
from align_agent.server.errors import openai_error
from align_agent.server.service import Service
from align_agent.server.versions import FAMILY

MAX_CHOICES = 16

router = APIRouter()


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    """The fields that change the answer. Others are allowed and do nothing here."""

    model_config = ConfigDict(extra="allow")

    model: str = FAMILY
    messages: Annotated[list[Said], Field(min_length=1)]
    tools: list[Item] | None = None
    tool_choice: str | dict[str, Any] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    seed: int | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


@router.post("/v1/chat/completions")
async def create(wanted: ChatRequest, request: Request) -> Response:
    """Answer a chat with the version that the model's name means."""
    service: Service = request.app.state.service
    stop = [wanted.stop] if isinstance(wanted.stop, str) else wanted.stop or []
    settings = Settings(
        wanted.max_completion_tokens or wanted.max_tokens,
        wanted.temperature,
        wanted.top_p,
        wanted.seed,
        stop,
        wanted.n or 1,
        (wanted.top_logprobs or 0) if wanted.logprobs else 0,
    )
    ask = await ask_for(service, "chat", wanted, wanted.model, settings, wanted.tool_choice)
    reply = Reply(service, wanted, ask)
    return await answer(request, service, ask, reply, wanted, bool(wanted.stream))


class Reply:
    """The shape of one request's answer."""

    def __init__(self, service: Service, wanted: ChatRequest, ask: Ask) -> None:
        self._service, self._wanted, self._ask = service, wanted, ask
        self.id = new_id("chatcmpl")
        self._head = {"id": self.id, "created": int(time.time()), "model": ask.served.name}
        head = to_json(self._head | {"object": "chat.completion.chunk"})
        self._begun = f'data: {head[:-1]}, "choices": [{{"index": '

    def body(
        self, answers: Answers, generations: Sequence[Generation], pieces: Sequence[list[Piece]]
    ) -> dict[str, Any]:
        """The whole answer at once."""
        choices = [
            {
                "index": index,
                "message": _message(generation),
                "logprobs": self._logprobs([t for p in pieces[index] for t in p.tokens]),
                "finish_reason": _finish(generation),
            }
            | _stopped(generation)
            for index, generation in enumerate(generations)
        ]
        usage = _usage(answers, generations)
        return self._head | {"object": "chat.completion", "choices": choices, "usage": usage}

    async def events(self, answers: Answers) -> AsyncIterator[bytes]:
        """Server-sent events, one for each piece."""
        # With the first of them: a trip of its own to the client would only delay it.
        opening = b"".join(
            self._chunk(index, {"role": "assistant", "content": ""})
            for index in range(self._ask.choices)
        )
        async for part in self._pieces(answers):
            yield opening + part
            opening = b""

    async def _pieces(self, answers: Answers) -> AsyncIterator[bytes]:
        generations: list[Generation] = []
        async for index, found in answers.events():
            if isinstance(found, Piece):
                logprobs = self._logprobs(found.tokens)
                if logprobs:
                    yield self._chunk(index, {"content": found.text}, logprobs)
                elif found.text:
                    yield self._said(index, found.text)
                continue
            generations.append(found)
            if found.tool_calls:
                yield self._chunk(index, {"tool_calls": _calls(found.tool_calls, True)})
            yield self._chunk(index, {}, finish=_finish(found), more=_stopped(found))
        options = self._wanted.stream_options
        if options is not None and options.include_usage:
            usage = {"choices": [], "usage": _usage(answers, generations)}
            yield event(self._head | {"object": "chat.completion.chunk"} | usage)
        yield b"data: [DONE]\n\n"

    def failure(self, error: AlignAgentError) -> bytes:
        """The last event of a stream that failed."""
        return event(openai_error(error)[1])

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        logprobs: dict[str, Any] | None = None,
        finish: str | None = None,
        more: dict[str, Any] | None = None,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        choices = [choice | (more or {})]
        return event(self._head | {"object": "chat.completion.chunk", "choices": choices})

    def _said(self, index: int, text: str) -> bytes:
        """`_chunk` of a text, in a fraction of its time: most events are such."""
        delta = f'{index}, "delta": {{"content": {to_json(text)}}}'
        return f'{self._begun}{delta}, "logprobs": null, "finish_reason": null}}]}}\n\n'.encode()

    def _logprobs(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self._wanted.logprobs or not tokens:
            return None
        return {"content": [self._token(token) for token in tokens], "refusal": None}

    def _token(self, token: Token) -> dict[str, Any]:
        top = [self._named(*other) for other in token.top]
        return self._named(token.id, token.logprob) | {"top_logprobs": top}

    def _named(self, token_id: int, logprob: float) -> dict[str, Any]:
        text, data = self._service.backend.token(token_id)
        return {"token": text, "logprob": logprob, "bytes": data}


def _message(generation: Generation) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": generation.text, "refusal": None}
    if generation.tool_calls:
        message["content"] = generation.text or None
        message["tool_calls"] = _calls(generation.tool_calls, False)
    return message


def _calls(calls: Sequence[ToolCall], numbered: bool) -> list[dict[str, Any]]:
    made = []
    for index, call in enumerate(calls):
        function = {"name": call.name, "arguments": arguments(call)}
        shown: dict[str, Any] = {"id": call.id, "type": "function", "function": function}
        made.append({"index": index, **shown} if numbered else shown)
    return made


def _finish(generation: Generation) -> str:
    return "stop" if generation.finish_reason == "aborted" else generation.finish_reason


def _stopped(generation: Generation) -> dict[str, Any]:
    """The stop text that ended it, under the name that vLLM gives it: OpenAI's API has none."""
    return {"stop_reason": generation.stop_text} if generation.stop_text else {}


def _usage(answers: Answers, generations: Sequence[Generation]) -> dict[str, Any]:
    written = sum(len(generation.token_ids) for generation in generations)
    return {
        "prompt_tokens": answers.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": answers.prompt_tokens + written,
        "prompt_tokens_details": {"cached_tokens": answers.reused_tokens},
    }
