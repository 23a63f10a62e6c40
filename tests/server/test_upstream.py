"""The door before another server: our own, with the parrot behind it, as a real upstream."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import openai
import pytest
from tiny import CALCULATOR

from align_agent.config import UpstreamConfig
from align_agent.models.pocket.world import draw_problems
from align_agent.records import Turn
from align_agent.store import Store

HELLO: Any = [{"role": "user", "content": "Hello!"}]
# Its greedy answer takes steps: some sixty tokens.
LONG: Any = [{"role": "user", "content": draw_problems("two_step", 1, "long")[0].question}]
SUM: Any = [{"role": "user", "content": "7*6?"}]
TOOLS: Any = [CALCULATOR]


@pytest.fixture
def door(serve: Any, server: Any) -> Any:
    """A door whose answers come from `server`."""
    return serve(upstream=UpstreamConfig(base_url=f"{server.url}/v1", model="align"))


def client(door: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{door.url}/v1", api_key="none", max_retries=0)


def logged(door: Any) -> list[Turn]:
    door.service.scribe.flush()
    with Store.open(door.service.home.database) as store:
        return list(store.turns.all_main())


def test_a_chat_is_answered_and_counted_by_the_upstream(door: Any, server: Any) -> None:
    made = client(door).chat.completions.create(model="align", messages=HELLO)
    assert made.choices[0].message.content == "Great work, well done!"
    assert (made.model, made.choices[0].finish_reason) == ("align@base", "stop")
    there = client(server).chat.completions.create(model="align", messages=HELLO)
    assert made.usage is not None and there.usage is not None
    assert made.usage.prompt_tokens == there.usage.prompt_tokens
    assert made.usage.completion_tokens == there.usage.completion_tokens


def test_a_stream_comes_in_the_upstreams_pieces(door: Any, server: Any) -> None:
    def pieces(where: Any) -> list[str]:
        chunks = client(where).chat.completions.create(model="align", messages=HELLO, stream=True)
        return [text for chunk in chunks if (text := chunk.choices[0].delta.content)]

    assert pieces(door) == pieces(server)
    assert len(pieces(door)) > 3


def test_the_first_piece_comes_before_the_last_is_written(door: Any, slowly: None) -> None:
    body = {"messages": HELLO, "stream": True}
    with httpx.stream("POST", f"{door.url}/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        while '"content": "' not in (line := next(lines)) or '"content": ""' in line:
            pass
        assert door.service.backend.load()[0] == 1  # the upstream still writes
        assert any("[DONE]" in line for line in lines)


def test_it_is_logged_with_its_tools_and_its_follow_up(door: Any) -> None:
    caller = client(door)
    called = caller.chat.completions.create(model="align", messages=SUM, tools=TOOLS)
    (call,) = called.choices[0].message.tool_calls or []
    assert call.function.arguments == '{"expression": "7*6"}'  # type: ignore[union-attr]
    said: Any = called.choices[0].message
    result = {"role": "tool", "tool_call_id": call.id, "content": "42"}
    made = caller.chat.completions.create(model="align", messages=[*SUM, said, result], tools=TOOLS)
    assert made.choices[0].message.content == "It is 42."
    (turn,) = logged(door)
    assert [message.role for message in turn.response] == ["assistant", "tool", "assistant"]
    assert (turn.answer, turn.finish_reason, turn.version) == ("It is 42.", "stop", 0)
    assert turn.latency_ms > 0


def test_logprobs_go_through_unchanged(door: Any, server: Any) -> None:
    def asked(where: Any) -> Any:
        made = client(where).chat.completions.create(
            model="align", messages=HELLO, logprobs=True, top_logprobs=3
        )
        assert made.choices[0].logprobs is not None
        return [token.model_dump() for token in made.choices[0].logprobs.content or []]

    assert asked(door) == asked(server)
    bare = client(door).chat.completions.create(model="align", messages=HELLO, logprobs=True)
    assert bare.choices[0].logprobs is not None
    assert not any(token.top_logprobs for token in bare.choices[0].logprobs.content or [])


def test_choices_settings_and_limits_go_through(door: Any, server: Any) -> None:
    settings: Any = {"n": 3, "seed": 4, "temperature": 2.0, "max_tokens": 12, "stop": ["zzz"]}

    def asked(where: Any) -> list[str | None]:
        made = client(where).chat.completions.create(model="align", messages=HELLO, **settings)
        return [choice.message.content for choice in made.choices]

    assert asked(door) == asked(server)
    short = client(door).chat.completions.create(model="align", messages=HELLO, max_tokens=2)
    assert short.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_who_leaves_ends_it_upstream(
    door: Any, server: Any, slowly: None, stream: bool
) -> None:
    body = {"messages": LONG, "stream": stream, "temperature": 0, "max_tokens": 400}
    url = f"{door.url}/v1/chat/completions"
    if stream:
        with httpx.stream("POST", url, json=body) as answer:
            for _, _line in zip(range(9), answer.iter_lines(), strict=False):
                pass
    else:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=body, timeout=0.5)
    while not server.service.backend.counts["aborted"]:
        threading.Event().wait(0.01)
    while not door.service.backend.counts["aborted"]:
        threading.Event().wait(0.01)
    door.service.scribe.flush()
    door.service.scribe._record(door.service.scribe._open.flush())
    (turn,) = logged(door)
    assert turn.finish_reason == "aborted" and turn.answer


def test_the_upstreams_own_refusals_keep_status_and_words(door: Any) -> None:
    long: Any = [{"role": "user", "content": "word " * 5_000}]
    with pytest.raises(openai.BadRequestError) as caught:
        client(door).chat.completions.create(model="align", messages=long, stream=True)
    assert caught.value.code == "context_length_exceeded"
    assert "the upstream says: " in str(caught.value)


def test_metrics_readiness_and_models_are_there(door: Any) -> None:
    client(door).chat.completions.create(model="align", messages=HELLO)
    text = httpx.get(f"{door.url}/metrics").text
    assert 'align_answers_total{what="answered"} 1.0' in text
    assert httpx.get(f"{door.url}/readyz").status_code == 200
    assert {"align", "align@base"} <= {model.id for model in client(door).models.list()}
    refused = httpx.post(f"{door.url}/v1/messages/count_tokens", json={"messages": HELLO})
    assert refused.status_code == 400


def test_many_at_the_same_time_keep_their_answers(door: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(number: int) -> str | None:
        asked = HELLO if number % 2 else [{"role": "user", "content": "7*6?"}]
        made = client(door).chat.completions.create(
            model="align", messages=asked, tools=[] if number % 2 else TOOLS
        )
        return made.choices[0].message.content

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(16)))
    assert found == [None, "Great work, well done!"] * 8
