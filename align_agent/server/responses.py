"""`POST /v1/responses`, as OpenAI's clients speak it: whole or streamed. Nothing is kept.

A response cannot be fetched, cancelled or continued by its id: the whole conversation comes with
every request, and the log is align-agent's own.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from align_agent.errors import AlignAgentError
from align_agent.models.generation import Generation, Piece
from align_agent.records import ToolCall, new_id
from align_agent.server.answers import Answers, Ask
from align_agent.server.asking import Item, Said, Settings, answer, arguments, ask_for, event
from align_agent.server.errors import status_of, told
from align_agent.server.service import Service
from align_agent.server.versions import FAMILY

router = APIRouter()


class ResponsesRequest(BaseModel):
    """The fields that change the answer. Others are allowed and do nothing here."""

    model_config = ConfigDict(extra="allow")

    model: str = FAMILY
    input: str | Annotated[list[Said], Field(min_length=1)]
    instructions: str | None = None
    tools: list[Item] | None = None
    tool_choice: str | dict[str, Any] | None = None
    stream: bool | None = False
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    text: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


@router.post("/v1/responses")
async def create(wanted: ResponsesRequest, request: Request) -> Response:
    """Answer a chat with the version that the model's name means."""
    service: Service = request.app.state.service
    settings = Settings(wanted.max_output_tokens, wanted.temperature, wanted.top_p)
    ask = await ask_for(service, "responses", wanted, wanted.model, settings, wanted.tool_choice)
    reply = Reply(wanted, ask, service.remote)
    return await answer(request, service, ask, reply, wanted, bool(wanted.stream))


class Reply:
    """The shape of one request's answer. Events are numbered from 0."""

    def __init__(self, wanted: ResponsesRequest, ask: Ask, remote: bool) -> None:
        theirs = ask.usual if remote else ()  # another server's own settings are not known
        self._text_id = new_id("msg")
        self._number = 0
        self.id = new_id("resp")
        self._head: dict[str, Any] = {
            "id": self.id,
            "object": "response",
            "created_at": int(time.time()),
            "model": ask.served.name,
            "error": None,
            "incomplete_details": None,
            "instructions": wanted.instructions,
            "metadata": wanted.metadata or {},
            "parallel_tool_calls": wanted.parallel_tool_calls is not False,
            "temperature": None if "temperature" in theirs else ask.sampling.temperature,
            "top_p": None if "top_p" in theirs else ask.sampling.top_p,
            "max_output_tokens": wanted.max_output_tokens,
            "tool_choice": wanted.tool_choice or "auto",
            "tools": wanted.tools or [],
            "text": {"format": {"type": "text"}} | (wanted.text or {}),
            "store": False,
        }

    def body(
        self, answers: Answers, generations: Sequence[Generation], pieces: Sequence[list[Piece]]
    ) -> dict[str, Any]:
        """The whole answer at once."""
        generation = generations[0]
        output = [self._said(generation.text)] if generation.text else []
        output += [_call(call) for call in generation.tool_calls]
        return self._ended(answers, generation, output)

    async def events(self, answers: Answers) -> AsyncIterator[bytes]:
        """OpenAI's named events: the message where there is text, then one item for each call."""
        begun = self._head | {"status": "in_progress", "output": []}
        yield self._event("response.created", response=begun)
        yield self._event("response.in_progress", response=begun)
        output: list[dict[str, Any]] = []
        said = ""
        async for _, found in answers.events():
            if isinstance(found, Piece):
                if found.text:
                    for part in self._opening() if not said else ():
                        yield part
                    said += found.text
                    yield self._text_event("delta", delta=found.text, logprobs=[])
                continue
            if said:
                output.append(self._said(said))
                for part in self._closing(said):
                    yield part
            for call in found.tool_calls:
                for part in self._calling(call, len(output)):
                    yield part
                output.append(_call(call))
            ended = self._ended(answers, found, output)
            yield self._event(f"response.{ended['status']}", response=ended)

    def failure(self, error: AlignAgentError) -> bytes:
        """The last event of a stream that failed."""
        _, _, code = status_of(error)
        shown = {"code": code or "server_error", "message": told(error)}
        response = self._head | {"status": "failed", "output": [], "error": shown}
        return self._event("response.failed", response=response)

    def _opening(self) -> Iterator[bytes]:
        item = self._said("") | {"status": "in_progress", "content": []}
        yield self._event("response.output_item.added", output_index=0, item=item)
        yield self._part("added", "")

    def _closing(self, text: str) -> Iterator[bytes]:
        yield self._text_event("done", text=text, logprobs=[])
        yield self._part("done", text)
        yield self._event("response.output_item.done", output_index=0, item=self._said(text))

    def _calling(self, call: ToolCall, index: int) -> Iterator[bytes]:
        item, text = _call(call), arguments(call)
        begun = item | {"status": "in_progress", "arguments": ""}
        place = {"item_id": item["id"], "output_index": index}
        yield self._event("response.output_item.added", output_index=index, item=begun)
        yield self._event("response.function_call_arguments.delta", **place, delta=text)
        done = {**place, "name": call.name, "arguments": text}
        yield self._event("response.function_call_arguments.done", **done)
        yield self._event("response.output_item.done", output_index=index, item=item)

    def _part(self, what: str, text: str) -> bytes:
        place = {"item_id": self._text_id, "output_index": 0, "content_index": 0}
        return self._event(f"response.content_part.{what}", **place, part=_text(text))

    def _text_event(self, what: str, **fields: Any) -> bytes:
        place = {"item_id": self._text_id, "output_index": 0, "content_index": 0}
        return self._event(f"response.output_text.{what}", **place, **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:
        made = event({"type": kind, "sequence_number": self._number, **fields}, kind)
        self._number += 1
        return made

    def _said(self, text: str) -> dict[str, Any]:
        return {
            "type": "message",
            "id": self._text_id,
            "role": "assistant",
            "status": "completed",
            "content": [_text(text)],
        }

    def _ended(
        self, answers: Answers, generation: Generation, output: list[dict[str, Any]]
    ) -> dict[str, Any]:
        whole = generation.finish_reason != "length"
        details = None if whole else {"reason": "max_output_tokens"}
        written = len(generation.token_ids)
        usage = {
            "input_tokens": answers.prompt_tokens,
            "input_tokens_details": {"cached_tokens": answers.reused_tokens},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answers.prompt_tokens + written,
        }
        return self._head | {
            "status": "completed" if whole else "incomplete",
            "incomplete_details": details,
            "output": output,
            "usage": usage,
        }


def _text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"fc_{call.id}",
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments(call),
        "status": "completed",
    }
