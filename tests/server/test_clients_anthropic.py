"""Anthropic's official client: every call that is claimed, on both kinds of backend."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anthropic
import pytest
from tiny import CALCULATOR

HELLO: Any = [{"role": "user", "content": "Hello!"}]
SUM: Any = [{"role": "user", "content": "7*6?"}]
SAID = "Great work, well done!"
FUNCTION: Any = CALCULATOR["function"]
TOOLS: Any = [
    {
        "name": FUNCTION["name"],
        "description": FUNCTION["description"],
        "input_schema": FUNCTION["parameters"],
    }
]
ASK: Any = {"model": "align", "messages": HELLO, "max_tokens": 100}
# So hot that it hardly ever ends by itself. The client's own methods know no temperature any more.
WILD: Any = {
    "model": "align",
    "messages": SUM,
    "max_tokens": 400,
    "extra_body": {"temperature": 2.0},
}


def client(door: Any, **settings: Any) -> anthropic.Anthropic:
    facts = {"api_key": "none", "max_retries": 0} | settings
    return anthropic.Anthropic(base_url=door.url, **facts)


@pytest.mark.parametrize("system", ["Be kind.", [{"type": "text", "text": "Be kind."}]])
@pytest.mark.parametrize("stream", [False, True])
def test_a_system_prompt_is_part_of_the_prompt(either: Any, system: Any, stream: bool) -> None:
    caller = client(either)
    bare = caller.messages.create(**ASK).usage

    def used() -> Any:
        if not stream:
            return caller.messages.create(**ASK, system=system).usage
        with caller.messages.stream(**ASK, system=system) as events:
            return events.get_final_message().usage

    def read(usage: Any) -> int:
        return int(usage.input_tokens + (usage.cache_read_input_tokens or 0))

    assert read(used()) > read(bare)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("choice", "asked", "calls"),
    [("auto", SUM, 1), ("none", SUM, 0), ("any", HELLO, 1), ("tool", HELLO, 1)],
)
def test_tool_choice_does_as_it_says(
    either: Any, stream: bool, choice: str, asked: Any, calls: int
) -> None:
    wanted: Any = {"type": choice} | ({"name": "calculator"} if choice == "tool" else {})
    facts = ASK | {"messages": asked, "tools": TOOLS, "tool_choice": wanted}
    if stream:
        with client(either).messages.stream(**facts) as events:
            made = events.get_final_message()
    else:
        made = client(either).messages.create(**facts)
    called = [block for block in made.content if block.type == "tool_use"]
    assert len(called) == calls
    assert all(isinstance(block.input, dict) for block in called)
    assert (made.stop_reason == "tool_use") == bool(calls)


def test_the_raw_events_come_in_anthropics_order(either: Any) -> None:
    kinds = [event.type for event in client(either).messages.create(**ASK, stream=True)]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence_is_named(either: Any, stream: bool) -> None:
    facts = ASK | {"stop_sequences": [", well"]}
    if stream:
        with client(either).messages.stream(**facts) as events:
            made = events.get_final_message()
    else:
        made = client(either).messages.create(**facts)
    assert made.content[0].text == "Great work"  # type: ignore[union-attr]
    assert (made.stop_reason, made.stop_sequence) == ("stop_sequence", ", well")


def test_the_async_client_is_answered_many_times_at_once(either: Any) -> None:
    async def ask() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=either.url, api_key="none") as caller:

            async def one(stream: bool) -> str:
                if not stream:
                    made: Any = await caller.messages.create(**ASK)
                    return str(made.content[0].text)
                async with caller.messages.stream(**ASK) as events:
                    return str(await events.get_final_text())

            return await asyncio.gather(*(one(bool(n % 2)) for n in range(8)))

    assert asyncio.run(ask()) == [SAID] * 8


def test_a_closed_stream_ends_the_answer(either: Any, slowly: None) -> None:
    with client(either).messages.stream(**WILD) as events:
        next(iter(events))
    while not either.service.backend.counts["aborted"]:
        threading.Event().wait(0.01)


@pytest.mark.parametrize("stream", [False, True])
def test_our_own_limit_of_time_is_an_error_of_the_server(
    behind: Any, slowly: None, stream: bool
) -> None:
    door = behind(timeout_seconds=0.4)
    with pytest.raises(anthropic.APIStatusError, match=r"was not ready|did not begin"):
        made = client(door).messages.create(**WILD, stream=stream)
        list(made) if stream else None  # type: ignore[call-overload]


def test_errors_are_the_clients_own_classes(behind: Any) -> None:
    door = behind(token="secret-secret-secret", max_body_mb=1)
    ours = client(door, api_key="secret-secret-secret")
    with pytest.raises(anthropic.AuthenticationError):
        client(door).messages.create(**ASK)
    with pytest.raises(anthropic.NotFoundError):
        ours.messages.create(**ASK | {"model": "claude-9"})
    with pytest.raises(anthropic.BadRequestError):
        ours.messages.create(**ASK | {"messages": []})
    with pytest.raises(anthropic.PermissionDeniedError):
        ours.messages.create(**ASK, extra_headers={"origin": "https://evil.example"})
    with pytest.raises(anthropic.RequestTooLargeError):
        ours.messages.create(**ASK | {"messages": [{"role": "user", "content": "x" * 2**21}]})


def test_models_are_listed_and_retrieved(either: Any) -> None:
    caller = client(either)
    listed = caller.models.list()
    assert {"align", "align@base"} <= {model.id for model in listed}
    assert all(model.type == "model" and model.display_name for model in listed)
    assert caller.models.retrieve("align").id == "align"
