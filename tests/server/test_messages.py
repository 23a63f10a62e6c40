"""Anthropic's own client on `/v1/messages`."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import pytest
from tiny import CALCULATOR

from align_agent.store import Store

HELLO: Any = [{"role": "user", "content": "Hello!"}]
FUNCTION = CALCULATOR["function"]
TOOLS: Any = [
    {
        "name": FUNCTION["name"],
        "description": FUNCTION["description"],
        "input_schema": FUNCTION["parameters"],
    }
]


@pytest.fixture
def server(either: Any) -> Any:
    """On both kinds of backend."""
    return either


def client(server: Any, key: str = "none") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0)


def ask(server: Any, messages: Any = HELLO, **options: Any) -> Any:
    return client(server).messages.create(
        **{"model": "align", "max_tokens": 100, "messages": messages} | options
    )


def test_a_chat_is_answered(server: Any) -> None:
    made = ask(server)
    assert made.content[0].text == "Great work, well done!"
    assert (made.stop_reason, made.model, made.role) == ("end_turn", "align@base", "assistant")
    assert made.usage.input_tokens > 0 and made.usage.output_tokens > 0


def test_a_stream_says_the_same_in_pieces(server: Any) -> None:
    with client(server).messages.stream(model="align", max_tokens=100, messages=HELLO) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 1
    assert "".join(pieces) == final.content[0].text == "Great work, well done!"
    assert final.stop_reason == "end_turn"


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call_arrives_as_a_block(server: Any, stream: bool) -> None:
    asked: Any = [{"role": "user", "content": "7*6?"}]
    if stream:
        with client(server).messages.stream(
            model="align", max_tokens=100, messages=asked, tools=TOOLS
        ) as events:
            made: Any = events.get_final_message()
    else:
        made = ask(server, asked, tools=TOOLS)
    (block,) = made.content
    assert made.stop_reason == "tool_use"
    assert (block.name, block.input) == ("calculator", {"expression": "7*6"})


def test_a_tools_result_is_understood_and_the_turn_logged_as_one(server: Any) -> None:
    asked: Any = [{"role": "user", "content": "7*6?"}]
    (block,) = ask(server, asked, tools=TOOLS).content
    result = {"type": "tool_result", "tool_use_id": block.id, "content": "42"}
    asked += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True)]},
        {"role": "user", "content": [result]},
    ]
    assert ask(server, asked, tools=TOOLS).content[0].text == "It is 42."
    server.service.scribe.flush()
    with Store.open(server.service.home.database) as store:
        (turn,) = store.turns.all_main()
    assert (turn.user_text, turn.answer) == ("7*6?", "It is 42.")


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "calculator"}])
def test_a_call_can_be_forced(server: Any, choice: Any) -> None:
    made = ask(server, tools=TOOLS, tool_choice=choice)
    assert made.content[0].name == "calculator"


def test_a_stop_sequence_is_named_and_left_out(server: Any) -> None:
    made = ask(server, stop_sequences=[", well"])
    assert made.content[0].text == "Great work"
    assert (made.stop_reason, made.stop_sequence) == ("stop_sequence", ", well")


def test_an_answer_cut_at_its_limit_says_max_tokens(server: Any) -> None:
    assert ask(server, max_tokens=2).stop_reason == "max_tokens"


def test_tokens_are_counted_as_they_are_used(serve: Any) -> None:
    server = serve()
    counted = client(server).messages.count_tokens(model="align", messages=HELLO).input_tokens
    used = ask(server).usage
    assert counted == used.input_tokens + (used.cache_read_input_tokens or 0)


def test_an_unknown_model_is_not_found_in_anthropics_shape(server: Any) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        ask(server, model="align@v7")
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "not_found_error"


def test_a_wrong_token_is_told_in_anthropics_shape(serve: Any) -> None:
    server = serve(token="secret-secret-secret")
    with pytest.raises(anthropic.AuthenticationError) as caught:
        client(server, "wrong").messages.create(model="align", max_tokens=9, messages=HELLO)
    body: Any = caught.value.body
    assert body["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(
    "body", [{}, {"messages": []}, {"messages": HELLO}, {"messages": HELLO, "max_tokens": 0}]
)
def test_a_malformed_request_is_refused_in_anthropics_shape(server: Any, body: Any) -> None:
    answer = httpx.post(f"{server.url}/v1/messages", json=body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["message"]
