"""OpenAI's official client: every call that is claimed, on both kinds of backend.

What each API's answers hold is tested in `test_completions.py` and `test_responses.py`, which run
on both backends too; here is what the client makes of them.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import openai
import pytest
from tiny import CALCULATOR

HELLO: Any = [{"role": "user", "content": "Hello!"}]
SUM: Any = [{"role": "user", "content": "7*6?"}]
TOOLS: Any = [CALCULATOR]
SAID = "Great work, well done!"
NAMED: Any = {"type": "function", "function": {"name": "calculator"}}
ASK: Any = {"model": "align", "messages": HELLO}


def client(door: Any, **settings: Any) -> openai.OpenAI:
    facts = {"api_key": "none", "max_retries": 0} | settings
    return openai.OpenAI(base_url=f"{door.url}/v1", **facts)


def ended(door: Any, how: str, number: int = 1) -> None:
    while door.service.backend.counts[how] < number:
        threading.Event().wait(0.01)


def test_the_stream_helper_puts_the_answer_together(either: Any) -> None:
    with client(either).chat.completions.stream(**ASK) as stream:
        kinds = [event.type for event in stream]
        made = stream.get_final_completion()
    assert made.choices[0].message.content == SAID
    assert made.choices[0].finish_reason == "stop"
    assert "content.delta" in kinds and "content.done" in kinds


def test_the_stream_helper_puts_a_tool_call_together(either: Any) -> None:
    with client(either).chat.completions.stream(model="align", messages=SUM, tools=TOOLS) as stream:
        made = stream.get_final_completion()
    (call,) = made.choices[0].message.tool_calls or []
    assert made.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, call.function.arguments) == ("calculator", '{"expression": "7*6"}')


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("choice", "asked", "calls"),
    [("auto", SUM, True), ("auto", HELLO, None), ("none", SUM, False), ("required", HELLO, True),
     (NAMED, HELLO, True)],
)  # fmt: skip
def test_tool_choice_does_as_it_says(
    either: Any, stream: bool, choice: Any, asked: Any, calls: bool | None
) -> None:
    made = client(either).chat.completions.create(
        model="align", messages=asked, tools=TOOLS, tool_choice=choice, stream=stream
    )
    if stream:
        found = [c for k in made for c in k.choices[0].delta.tool_calls or []]
    else:
        found = made.choices[0].message.tool_calls or []  # type: ignore[assignment]
    if calls is not None:
        assert bool(found) == calls
    assert all(call.function and call.function.name == "calculator" for call in found)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_cut_off_is_no_call_but_its_text(either: Any, stream: bool) -> None:
    facts: Any = {"tools": TOOLS, "tool_choice": "required", "max_tokens": 3, "stream": stream}
    made: Any = client(either).chat.completions.create(**ASK, **facts)
    if stream:
        deltas = [chunk.choices[0].delta for chunk in made]
        assert not any(delta.tool_calls for delta in deltas)
        text = "".join(delta.content or "" for delta in deltas)
    else:
        assert not made.choices[0].message.tool_calls
        text = made.choices[0].message.content
    assert text.startswith("<tool_call>") and "calculator" in text


def test_usage_streams_only_when_it_is_asked_for(either: Any) -> None:
    caller = client(either)
    without = list(caller.chat.completions.create(**ASK, stream=True))
    assert not any(chunk.usage for chunk in without)
    options: Any = {"include_usage": True}
    with_usage = list(caller.chat.completions.create(**ASK, stream=True, stream_options=options))
    whole = caller.chat.completions.create(**ASK)
    told = with_usage[-1].usage
    assert told is not None and whole.usage is not None
    assert (told.prompt_tokens, told.completion_tokens, told.total_tokens) == (
        whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens,
    )  # fmt: skip


def test_choices_stream_side_by_side(either: Any) -> None:
    settings: Any = {"n": 3, "seed": 4, "temperature": 2.0, "max_tokens": 20}
    caller = client(either)
    whole = caller.chat.completions.create(**ASK, **settings)
    texts, ends = ["", "", ""], [0, 0, 0]
    for chunk in caller.chat.completions.create(**ASK, **settings, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ends[choice.index] += choice.finish_reason is not None
    assert texts == [choice.message.content for choice in whole.choices]
    assert ends == [1, 1, 1]


def test_logprobs_stream_as_they_come_whole(either: Any) -> None:
    settings: Any = {"logprobs": True, "top_logprobs": 2}
    caller = client(either)
    whole = caller.chat.completions.create(**ASK, **settings).choices[0].logprobs
    streamed = [
        token
        for chunk in caller.chat.completions.create(**ASK, **settings, stream=True)
        for choice in chunk.choices
        if choice.logprobs
        for token in choice.logprobs.content or []
    ]
    assert whole is not None and whole.content
    assert [t.token for t in streamed] == [t.token for t in whole.content]
    assert all(len(t.top_logprobs) == 2 for t in streamed)


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("stream", [False, True])
def test_limits_hold(either: Any, limit: str, stream: bool) -> None:
    made: Any = client(either).chat.completions.create(**ASK, **{limit: 2}, stream=stream)
    reason = [c.choices[0].finish_reason for c in made][-1] if stream else None
    assert (reason or made.choices[0].finish_reason) == "length"


@pytest.mark.parametrize("stop", [", well", [", well", "zzz"]])
@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_text_ends_the_answer_before_it(either: Any, stop: Any, stream: bool) -> None:
    made: Any = client(either).chat.completions.create(**ASK, stop=stop, stream=stream)
    if stream:
        assert "".join(c.choices[0].delta.content or "" for c in made) == "Great work"
    else:
        assert made.choices[0].message.content == "Great work"


def test_the_raw_response_has_its_headers_and_parses(either: Any) -> None:
    raw = client(either).chat.completions.with_raw_response.create(**ASK)
    assert raw.headers["content-type"] == "application/json"
    assert raw.parse().choices[0].message.content == SAID


def test_the_async_client_is_answered_many_times_at_once(either: Any) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{either.url}/v1", api_key="none") as caller:

            async def one(stream: bool) -> str:
                made: Any = await caller.chat.completions.create(**ASK, stream=stream)
                if not stream:
                    return str(made.choices[0].message.content)
                return "".join([c.choices[0].delta.content or "" async for c in made])

            return await asyncio.gather(*(one(bool(n % 2)) for n in range(8)))

    assert asyncio.run(ask()) == [SAID] * 8


def test_a_closed_stream_ends_the_answer(either: Any, slowly: None) -> None:
    asked: Any = {"model": "align", "messages": SUM, "temperature": 2.0, "max_tokens": 100}
    stream = client(either).chat.completions.create(**asked, stream=True)
    next(stream)
    stream.close()
    ended(either, "aborted")


def test_a_client_out_of_patience_ends_the_answer(either: Any, slowly: None) -> None:
    asked: Any = {"model": "align", "messages": SUM, "temperature": 2.0, "max_tokens": 100}
    with pytest.raises(openai.APITimeoutError):
        client(either, timeout=0.5).chat.completions.create(**asked)
    ended(either, "aborted")


@pytest.mark.parametrize("stream", [False, True])
def test_our_own_limit_of_time_is_an_error_of_the_server(
    behind: Any, slowly: None, stream: bool
) -> None:
    door = behind(timeout_seconds=0.4)
    asked: Any = {"model": "align", "messages": SUM, "temperature": 2.0, "max_tokens": 100}
    with pytest.raises(openai.APIError) as caught:
        made = client(door).chat.completions.create(**asked, stream=stream)
        list(made) if stream else None  # type: ignore[arg-type]
    assert caught.value.code == "timeout"
    if not stream:
        assert isinstance(caught.value, openai.InternalServerError)


def test_errors_are_the_clients_own_classes(behind: Any) -> None:
    door = behind(token="secret-secret-secret", max_body_mb=1)
    ours = client(door, api_key="secret-secret-secret")
    with pytest.raises(openai.AuthenticationError):
        client(door).chat.completions.create(**ASK)
    with pytest.raises(openai.NotFoundError):
        ours.chat.completions.create(model="gpt-5", messages=HELLO)
    with pytest.raises(openai.NotFoundError):
        ours.models.retrieve("align@v99")
    with pytest.raises(openai.BadRequestError):
        ours.chat.completions.create(model="align", messages=[])
    with pytest.raises(openai.PermissionDeniedError):
        ours.chat.completions.create(**ASK, extra_headers={"origin": "https://evil.example"})
    with pytest.raises(openai.APIStatusError) as caught:
        ours.chat.completions.create(
            model="align", messages=[{"role": "user", "content": "x" * 2**21}]
        )
    assert caught.value.status_code == 413


def test_nobody_there_is_a_connection_error() -> None:
    with pytest.raises(openai.APIConnectionError):
        openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="none", max_retries=0).models.list()


def test_models_are_listed_and_retrieved(either: Any) -> None:
    caller = client(either)
    listed = caller.models.list()
    assert {"align", "align@base"} <= {model.id for model in listed}
    assert all(model.object == "model" and model.created for model in listed)
    assert caller.models.retrieve("align").id == "align"


def test_embeddings_are_refused_in_words(either: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="makes no embeddings") as caught:
        client(either).embeddings.create(model="align", input="x")
    assert caught.value.code == "unsupported"


@pytest.mark.parametrize("choice", ["auto", "none", "required", NAMED["function"]])
@pytest.mark.parametrize("stream", [False, True])
def test_responses_take_tools_and_choices(either: Any, choice: Any, stream: bool) -> None:
    tools: Any = [{"type": "function", **CALCULATOR["function"]}]
    chosen = {"type": "function", **choice} if isinstance(choice, dict) else choice
    made: Any = client(either).responses.create(
        model="align", input="7*6?", tools=tools, tool_choice=chosen, stream=stream
    )
    if stream:
        made = list(made)[-1].response
    called = [item.name for item in made.output if item.type == "function_call"]
    assert called == ([] if choice == "none" else ["calculator"])


def test_responses_take_instructions_and_earlier_turns(either: Any) -> None:
    made = client(either).responses.create(
        model="align",
        instructions="Be kind.",
        input=[
            {"role": "user", "content": "Hello!"},
            {"role": "assistant", "content": SAID},
            {"role": "user", "content": [{"type": "input_text", "text": "Hello!"}]},
        ],
        temperature=0,
        top_p=1,
    )
    assert made.status in ("completed", "incomplete")
    assert made.instructions == "Be kind."
    either.service.scribe.flush()
    assert either.service.scribe.counts["main"] == 1


def test_a_response_that_fails_halfway_says_so_in_the_stream(behind: Any, slowly: None) -> None:
    door = behind(timeout_seconds=0.4)
    events = list(
        client(door).responses.create(
            model="align", input="7*6?", temperature=2.0, max_output_tokens=400, stream=True
        )
    )
    assert events[-1].type == "response.failed"
    assert events[-1].response.error is not None


def test_what_is_not_offered_is_not_found(either: Any) -> None:
    with pytest.raises(openai.NotFoundError):
        client(either).responses.retrieve("resp_1")
    assert httpx.post(f"{either.url}/v1/completions", json={}).status_code == 404


def test_a_client_who_does_not_read_holds_nobody_up(either: Any) -> None:
    body = {"messages": HELLO, "stream": True, "n": 8, "logprobs": True, "top_logprobs": 20}
    body |= {"temperature": 2.0, "max_tokens": 100}
    with httpx.stream("POST", f"{either.url}/v1/chat/completions", json=body, timeout=60):
        # Nobody reads on: what is written for it waits in the server.
        made = client(either, timeout=60).chat.completions.create(**ASK)
        assert made.choices[0].message.content == SAID
