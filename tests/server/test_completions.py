"""OpenAI's own client against the real server."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import openai
import pytest
from tiny import CALCULATOR

from align_agent.server.app import STRAIGHT

HELLO: Any = [{"role": "user", "content": "Hello!"}]
TOOLS: Any = [CALCULATOR]


@pytest.fixture
def server(either: Any) -> Any:
    """On both kinds of backend."""
    return either


def client(server: Any, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def test_a_chat_is_answered(server: Any) -> None:
    made = client(server).chat.completions.create(model="align", messages=HELLO)
    assert made.choices[0].message.content == "Great work, well done!"
    assert made.choices[0].finish_reason == "stop"
    assert made.model == "align@base"
    assert made.usage is not None and made.usage.completion_tokens > 0


def test_a_stream_says_the_same_in_pieces(server: Any) -> None:
    stream = client(server).chat.completions.create(
        model="align", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Great work, well done!"
    assert chunks[-1].usage is not None and not chunks[-1].choices
    assert len({chunk.id for chunk in chunks}) == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call_arrives_as_one(server: Any, stream: bool) -> None:
    asked: Any = [{"role": "user", "content": "7*6?"}]
    with client(server) as caller:
        if stream:
            chunks = list(
                caller.chat.completions.create(
                    model="align", messages=asked, tools=TOOLS, stream=True
                )
            )
            (call,) = [c for k in chunks for c in k.choices[0].delta.tool_calls or []]
            reason = chunks[-1].choices[0].finish_reason
        else:
            made = caller.chat.completions.create(model="align", messages=asked, tools=TOOLS)
            (call,) = made.choices[0].message.tool_calls or []
            reason = made.choices[0].finish_reason
    assert reason == "tool_calls"
    assert (call.function.name, call.function.arguments) == ("calculator", '{"expression": "7*6"}')


def test_a_tools_result_is_understood(server: Any) -> None:
    caller = client(server)
    asked: Any = [{"role": "user", "content": "7*6?"}]
    called = caller.chat.completions.create(model="align", messages=asked, tools=TOOLS)
    message = called.choices[0].message
    asked += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "42"}]
    made = caller.chat.completions.create(model="align", messages=asked, tools=TOOLS)
    assert made.choices[0].message.content == "It is 42."


def test_tool_choice_none_hides_the_tools(server: Any) -> None:
    made = client(server).chat.completions.create(
        model="align", messages=HELLO, tools=TOOLS, tool_choice="none"
    )
    assert made.choices[0].message.content == "Great work, well done!"


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "calculator"}}]
)
def test_a_forced_call_is_made_where_the_model_would_have_talked(server: Any, choice: Any) -> None:
    made = client(server).chat.completions.create(
        model="align", messages=HELLO, tools=TOOLS, tool_choice=choice
    )
    assert made.choices[0].finish_reason == "tool_calls"
    (call,) = made.choices[0].message.tool_calls or []
    assert call.function.name == "calculator"
    assert made.choices[0].message.content is None


def test_a_tool_that_is_not_offered_cannot_be_forced(server: Any) -> None:
    with pytest.raises(openai.BadRequestError, match=r"`clock`.*`calculator`"):
        client(server).chat.completions.create(
            model="align",
            messages=HELLO,
            tools=TOOLS,
            tool_choice={"type": "function", "function": {"name": "clock"}},
        )


def test_max_tokens_ends_an_answer_as_length(server: Any) -> None:
    made = client(server).chat.completions.create(
        model="align", messages=HELLO, max_completion_tokens=2
    )
    assert made.choices[0].finish_reason == "length"
    assert made.usage is not None and made.usage.completion_tokens == 2


def test_a_stop_string_is_left_out(server: Any) -> None:
    made = client(server).chat.completions.create(model="align", messages=HELLO, stop=[", well"])
    assert made.choices[0].message.content == "Great work"


def test_the_same_seed_gives_the_same_choices(server: Any) -> None:
    def ask() -> list[str | None]:
        made = client(server).chat.completions.create(
            model="align", messages=HELLO, n=3, seed=4, temperature=2.0, max_tokens=20
        )
        return [choice.message.content for choice in made.choices]

    first = ask()
    assert first == ask()
    assert len(set(first)) > 1


def test_logprobs_name_each_token(server: Any) -> None:
    made = client(server).chat.completions.create(
        model="align", messages=HELLO, logprobs=True, top_logprobs=2
    )
    found = made.choices[0].logprobs
    assert found is not None and found.content
    assert "".join(token.token for token in found.content) == "Great work, well done!"
    assert all(len(t.top_logprobs) == 2 and t.logprob <= 0 for t in found.content)


def test_models_can_be_listed_and_asked_for(server: Any) -> None:
    caller = client(server)
    assert {"align", "align@base"} <= {model.id for model in caller.models.list()}
    assert caller.models.retrieve("align@base").id == "align@base"


@pytest.mark.parametrize("name", ["gpt-5", "align@v7", "align@nonsense", ""])
def test_an_unknown_model_is_not_found(server: Any, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client(server).chat.completions.create(model=name, messages=HELLO)
    assert caught.value.code == "model_not_found"


def test_a_context_too_long_names_both_numbers(server: Any) -> None:
    asked: Any = [{"role": "user", "content": "word " * 5_000}]
    with pytest.raises(openai.BadRequestError) as caught:
        client(server).chat.completions.create(model="align", messages=asked)
    assert caught.value.code == "context_length_exceeded"
    assert re.search(r"needs \d{4,} tokens, .* has room for 1024", str(caught.value))


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"messages": 3}', b'{"messages": []}',
        b'{"messages": [{"role": "user"}], "temperature": "hot"}',
        b'{"messages": [{"role": "nobody", "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "n": 0}',
        b'{"messages": [{"role": "user", "content": "x"}], "tool_choice": "required"}',
    ],
)  # fmt: skip
def test_a_malformed_request_is_refused_in_openais_shape(server: Any, body: bytes) -> None:
    answer = httpx.post(
        f"{server.url}/v1/chat/completions",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_embeddings_are_refused_clearly(server: Any) -> None:
    with pytest.raises(openai.APIStatusError, match="makes no embeddings"):
        client(server).embeddings.create(model="align", input="x")


def test_a_client_that_leaves_stops_its_answer(server: Any, leave: Any) -> None:
    leave(HELLO)
    assert server.service.backend.counts["aborted"] == 1


def test_the_server_says_when_it_is_alive_and_ready(server: Any) -> None:
    assert httpx.get(f"{server.url}/healthz").text == "ok"
    assert httpx.get(f"{server.url}/readyz").text == "ready"


def test_json_that_cannot_be_promised_is_refused(server: Any) -> None:
    asked: Any = {"model": "align", "messages": HELLO}
    with pytest.raises(openai.BadRequestError, match="json_object"):
        client(server).chat.completions.create(**asked, response_format={"type": "json_object"})
    made = client(server).chat.completions.create(**asked, response_format={"type": "text"})
    assert made.choices[0].message.content == "Great work, well done!"


def test_what_takes_the_straight_way_is_described_and_refused_as_ever(server: Any) -> None:
    described = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    for path, (model, _) in STRAIGHT.items():
        told = described[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert told["$ref"].rpartition("/")[2] == model.__name__
        body = json.dumps({"model": "align", "input": "x", "messages": HELLO, "max_tokens": 3})
        for kind, status in (("application/json", 200), ("text/plain", 400), ("", 400)):
            headers = {"content-type": kind} if kind else {}
            answer = httpx.post(f"{server.url}{path}", content=body, headers=headers)
            assert answer.status_code == status
        assert httpx.get(f"{server.url}{path}").status_code == 405
