"""An `Ask` as a request to /v1/chat/completions, and the events of its answer read. No network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from align_agent.errors import UpstreamError
from align_agent.models.generation import FinishReason, Generation, Piece, Token
from align_agent.models.toolcalls import CALL_OPEN, forced_call
from align_agent.records import Message, ToolCall, new_id
from align_agent.server.answers import Ask

# Fields that our own engine does not know and another server may: they go through as they came.
PASSED_ON = (
    "chat_template_kwargs", "frequency_penalty", "logit_bias", "min_p", "parallel_tool_calls",
    "presence_penalty", "reasoning_effort", "repetition_penalty", "response_format", "top_k",
)  # fmt: skip
_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_SAMPLING = {"max_tokens": "max_new_tokens", "temperature": "temperature", "top_p": "top_p"}
NO_ANSWER = "see whether upstream.base_url leads to an API like OpenAI's; its own log may say more"
UNKNOWN_ID = -1  # of a token that was only counted


def request_of(ask: Ask, body: Mapping[str, Any]) -> dict[str, Any]:
    """The request, but for what chooses the version. It is always streamed: see `Reading`."""
    sampling = ask.sampling
    made: dict[str, Any] = _as_chat(body) | {name: body[name] for name in PASSED_ON if name in body}
    made |= {
        "messages": [_message(message) for message in ask.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    # Its own defaults stand: ours belong to our engine, and would cut its answers short.
    for name, ours in _SAMPLING.items():
        if ours not in ask.usual:
            made[name] = getattr(sampling, ours)
    if sampling.seed is not None:
        made["seed"] = sampling.seed
    if sampling.stop:
        made["stop"] = list(sampling.stop)
    if ask.choices > 1:
        made["n"] = ask.choices
    if ask.top or body.get("logprobs") is True:
        made |= {"logprobs": True, "top_logprobs": ask.top}
    if ask.tools:
        made["tools"] = list(ask.tools)
        if ask.begun:
            made["tool_choice"] = _forced(ask)
    return made


def _as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `/v1/responses` as chat completions call them."""
    made: dict[str, Any] = {}
    text, reasoning = body.get("text"), body.get("reasoning")
    if isinstance(text, Mapping):
        form = text.get("format")
        if isinstance(form, Mapping) and form.get("type") == "json_schema":
            schema = {name: value for name, value in form.items() if name != "type"}
            made["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif form is not None:
            made["response_format"] = form
    if isinstance(reasoning, Mapping) and reasoning.get("effort") is not None:
        made["reasoning_effort"] = reasoning["effort"]
    return made


def _forced(ask: Ask) -> str | dict[str, Any]:
    names = [tool["function"]["name"] for tool in ask.tools]
    for name in names:
        if ask.begun == forced_call(name):
            return {"type": "function", "function": {"name": name}}
    return "required"


def _message(message: Message) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        made["content"] = message.content or None
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": json.dumps(call.arguments, ensure_ascii=False),
                },
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    return made


class Tokens:
    """Numbers for the tokens of a server that tells only their texts. At most its vocabulary."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, tuple[int, ...]], int] = {}
        self._known: list[tuple[str, list[int]]] = []

    def number(self, entry: Mapping[str, Any]) -> int:
        """The number of a token as it stands in `logprobs`."""
        text = str(entry.get("token", ""))
        data = entry.get("bytes")
        if not isinstance(data, list):
            data = list(text.encode("utf-8", "replace"))
        key = (text, tuple(data))
        if key not in self._numbers:
            self._numbers[key] = len(self._known)
            self._known.append((text, data))
        return self._numbers[key]

    def token(self, number: int) -> tuple[str, list[int]]:
        return self._known[number]


@dataclass(slots=True)
class _Choice:
    texts: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    reason: str = ""
    stop_text: str = ""
    parts: int = 0
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


class Reading:
    """The events of one answer, in which several choices may be told by turns."""

    def __init__(self, ask: Ask, tokens: Tokens) -> None:
        self._ask, self._tokens = ask, tokens
        self._choices = [_Choice() for _ in range(ask.choices)]
        self.prompt_tokens = 0
        self.reused = 0
        self._written = 0
        self._begun = self._done = False

    def take(self, data: str) -> Iterator[tuple[int, Piece]]:
        """The pieces of one event. Raises UpstreamError for an error that it tells."""
        if data == "[DONE]":
            self._done = True
            return
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise UpstreamError("the upstream sent an event that is no JSON object", hint=NO_ANSWER)
        if event.get("error"):
            raise refusal(502, event, {})
        self._count(event.get("usage"))
        for choice in event.get("choices") or ():
            self._begun = True
            yield from self._choice(choice)

    @property
    def over(self) -> bool:
        """Whether the server said that nothing more comes."""
        return self._done

    def rest(self) -> Iterator[tuple[int, Piece]]:
        """Calls that are not whole, as the text that they are: nothing of an answer is lost."""
        for index, choice in enumerate(self._choices):
            for place, told in list(choice.calls.items()):
                if _call(told) is None:
                    del choice.calls[place]
                    text = f"{CALL_OPEN}\n{told['name']} {told['arguments']}"
                    choice.texts.append(text)
                    yield index, Piece(text, ())

    def finish(self) -> list[Generation]:
        """The answers, once all has been read. Raises UpstreamError when it broke off before."""
        if not self._begun:  # a page of some web server, or what another kind of API says
            raise UpstreamError("the upstream sent no event of an answer", hint=NO_ANSWER)
        if not self._done and not all(choice.reason for choice in self._choices):
            raise UpstreamError(
                "the upstream broke off in the middle of its answer",
                hint="its own log may say why; try again",
            )
        made = [self.generation(index) for index in range(len(self._choices))]
        spare = self._written - sum(len(generation.token_ids) for generation in made[1:])
        if spare > 0:
            # It counts all choices together, and not always what it streams as one token each.
            made[0] = _counted(made[0], spare)
        return made

    def generation(self, index: int, reason: FinishReason | None = None) -> Generation:
        """A choice as far as it has come."""
        choice = self._choices[index]
        calls = tuple(call for call in map(_call, choice.calls.values()) if call is not None)
        told = "tool_calls" if calls else choice.reason
        ended = _REASONS.get(told, "stop")
        if ended == "tool_calls" and not calls:
            ended = "stop"
        made = Generation(
            "".join(choice.texts),
            tuple(choice.ids),
            tuple(choice.logprobs),
            reason or ended,
            calls,
            choice.stop_text,
        )
        return made if choice.ids else _counted(made, choice.parts)

    def _count(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        self.prompt_tokens = int(usage.get("prompt_tokens") or 0)
        self._written = int(usage.get("completion_tokens") or 0)
        details = usage.get("prompt_tokens_details")
        if isinstance(details, dict):
            self.reused = int(details.get("cached_tokens") or 0)

    def _choice(self, told: Any) -> Iterator[tuple[int, Piece]]:
        index = told.get("index", 0) if isinstance(told, dict) else -1
        if not isinstance(index, int) or not 0 <= index < len(self._choices):
            return
        choice = self._choices[index]
        # A server that does not stream sends the whole message.
        delta = told.get("delta") or told.get("message") or {}
        text = delta.get("content") or ""
        for number, call in enumerate(delta.get("tool_calls") or ()):
            _join(choice.calls, number, call)
        tokens = tuple(self._logprobs(told.get("logprobs")))
        choice.parts += bool(text or delta.get("tool_calls"))
        choice.ids += [token.id for token in tokens]
        choice.logprobs += [token.logprob for token in tokens]
        if text:
            choice.texts.append(text)
        if told.get("finish_reason"):
            choice.reason = str(told["finish_reason"])
            matched = told.get("stop_reason")
            choice.stop_text = matched if matched in self._ask.sampling.stop else ""
        if text or tokens:
            yield index, Piece(text, tokens)

    def _logprobs(self, told: Any) -> Iterator[Token]:
        content = told.get("content") if isinstance(told, dict) else None
        for entry in content or ():
            top = tuple(
                (self._tokens.number(other), float(other.get("logprob", 0.0)))
                for other in entry.get("top_logprobs") or ()
            )
            yield Token(self._tokens.number(entry), float(entry.get("logprob", 0.0)), top)


def _counted(made: Generation, count: int) -> Generation:
    ids = (*made.token_ids, *[UNKNOWN_ID] * count)[:count]
    return Generation(
        made.text, ids, made.logprobs, made.finish_reason, made.tool_calls, made.stop_text
    )


def _join(calls: dict[int, dict[str, str]], number: int, part: Any) -> None:
    """A piece of a call to what is there of it: the name comes first, the arguments by and by."""
    place = part.get("index")
    call = calls.setdefault(
        place if isinstance(place, int) else number, {"id": "", "name": "", "arguments": ""}
    )
    function = part.get("function") or {}
    call["id"] = call["id"] or str(part.get("id") or "")
    call["name"] = call["name"] or str(function.get("name") or "")
    arguments = function.get("arguments") or ""
    call["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)


def _call(told: Mapping[str, str]) -> ToolCall | None:
    """A call; None when it was cut off, or is none."""
    try:
        arguments = json.loads(told["arguments"] or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not told["name"] or not isinstance(arguments, dict):
        return None
    return ToolCall(told["id"] or new_id("call"), told["name"], arguments)


def refusal(status: int, body: Any, headers: Mapping[str, str]) -> UpstreamError:
    """The error that a server told, with its own status and words. `body` may be any JSON or text.

    Shapes: OpenAI's {"error": {...}}, Ollama's {"error": "..."}, FastAPI's {"detail": ...}, text.
    """
    told = body
    if isinstance(body, dict):
        told = body.get("error") or body.get("message") or body.get("detail") or body
    facts = told if isinstance(told, dict) else {}
    words = facts.get("message") if facts else told
    text = words if isinstance(words, str) and words.strip() else f"it answered {status}"
    kind, code = facts.get("type"), facts.get("code")
    passed = {name: headers[name] for name in ("retry-after",) if name in headers}
    return UpstreamError(
        f"the upstream says: {text.strip()[:2000]}",
        status=status,
        kind=kind if isinstance(kind, str) else "upstream_error",
        code=code if isinstance(code, str) else None,
        headers=passed or None,
    )
