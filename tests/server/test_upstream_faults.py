"""What goes wrong at an upstream is told as it is, and logged."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from loopback import END, Handler, Loopback, chunk

from align_agent.config import Config, UpstreamConfig
from align_agent.errors import ConfigError
from align_agent.paths import Home
from align_agent.server.service import Service
from align_agent.server.upstream import remote
from align_agent.store import Store

HELLO: Any = [{"role": "user", "content": "Hello!"}]


# A server on this machine is reached by `near`, any other by aiohttp: both must know these faults.
EITHER_WAY = pytest.mark.parametrize("upstream", ["near", "far"], indirect=True)


@pytest.fixture
def upstream(
    serve: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """`upstream(answer)` is a door before a server that answers so."""
    opened: list[Loopback] = []
    if getattr(request, "param", "near") == "far":
        monkeypatch.setattr(remote, "_near", lambda _: None)

    def make(answer: Callable[[Handler], None], **settings: Any) -> tuple[Any, Loopback]:
        opened.append(Loopback(answer))
        facts = {"base_url": opened[-1].url, "model": "m", **settings.pop("upstream", {})}
        return serve(upstream=UpstreamConfig(**facts), **settings), opened[-1]

    yield make
    for server in opened:
        server.close()


def ask(door: Any, **facts: Any) -> httpx.Response:
    body = {"model": "align", "messages": HELLO, **facts}
    return httpx.post(f"{door.url}/v1/chat/completions", json=body, timeout=30)


def stored(door: Any) -> list[tuple[str, str]]:
    while door.service.backend.load()[0]:  # the client may hear the end before the log does
        threading.Event().wait(0.01)
    door.service.scribe.flush()
    door.service.scribe._record(door.service.scribe._open.flush())
    door.service.scribe.flush()
    with Store.open(door.service.home.database) as store:
        return [(turn.answer, turn.finish_reason) for turn in store.turns.all_main()]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"error": {"message": "Wrong key.", "code": "invalid_api_key"}}, "Wrong key."),
        (429, {"error": {"message": "Slow down.", "type": "rate_limit"}}, "Slow down."),
        (500, {"error": "model runner stopped"}, "model runner stopped"),
        (503, "Loading model", "Loading model"),
        (400, {"detail": "tools need --jinja"}, "tools need --jinja"),
        (404, {"message": "The model `m` does not exist."}, "The model `m` does not exist."),
    ],
)
def test_a_refusal_keeps_its_status_and_its_words(
    upstream: Any, status: int, body: Any, words: str, stream: bool
) -> None:
    door, _ = upstream(lambda told: told.tell(status, body, {"retry-after": "7"}))
    answer = ask(door, stream=stream)
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == f"the upstream says: {words}"
    assert answer.headers["retry-after"] == "7"
    assert stored(door) == [("", "error")]


@EITHER_WAY
def test_openais_client_knows_the_error_by_its_type(upstream: Any) -> None:
    door, _ = upstream(lambda told: told.tell(429, {"error": {"message": "Slow down."}}))
    caller = openai.OpenAI(base_url=f"{door.url}/v1", api_key="none", max_retries=0)
    with pytest.raises(openai.RateLimitError):
        caller.chat.completions.create(model="align", messages=HELLO)


def test_an_upstream_that_is_down_is_named_with_a_hint(serve: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    door = serve(upstream=UpstreamConfig(base_url=f"http://127.0.0.1:{port}/v1", model="m"))
    answer = ask(door, stream=True)
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert error["code"] == "upstream_unreachable"
    assert f"127.0.0.1:{port}" in error["message"] and "upstream.base_url" in error["message"]
    assert httpx.get(f"{door.url}/readyz").status_code == 502
    assert httpx.get(f"{door.url}/healthz").status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_that_never_begins_is_timed_out(upstream: Any, stream: bool) -> None:
    door, _ = upstream(lambda _: threading.Event().wait(5), timeout_seconds=0.3)
    answer = ask(door, stream=stream)
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "timeout"
    assert stored(door) == [("", "error")]


def test_an_upstream_that_stops_halfway_is_timed_out(upstream: Any) -> None:
    def halfway(told: Handler) -> None:
        told.begin()
        told.event(chunk("Hello"))
        threading.Event().wait(5)

    door, _ = upstream(halfway, timeout_seconds=0.5)
    answer = ask(door, stream=True)
    assert '"content": "Hello"' in answer.text
    assert '"code": "timeout"' in answer.text and "[DONE]" not in answer.text
    assert stored(door) == [("Hello", "aborted")]


def cut(told: Handler) -> None:
    told.begin()
    told.event(chunk("Hello"))
    told.cut()


def ended_early(told: Handler) -> None:
    told.begin()
    told.event(chunk("Hello"))
    told.wfile.write(b"0\r\n\r\n")


def said_so(told: Handler) -> None:
    told.begin()
    told.event(chunk("Hello"))
    told.event({"error": {"message": "CUDA out of memory"}})
    told.end()


def nonsense(told: Handler) -> None:
    told.begin()
    told.event(chunk("Hello"))
    told.send(b"data: {half\n\n")
    told.end()


@EITHER_WAY
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (cut, "the upstream broke off"),
        (ended_early, "broke off in the middle"),
        (said_so, "the upstream says: CUDA out of memory"),
        (nonsense, "no JSON object"),
    ],
)
def test_an_upstream_that_dies_in_the_middle_says_so(
    upstream: Any, answer: Callable[[Handler], None], words: str
) -> None:
    door, _ = upstream(answer)
    streamed = ask(door, stream=True)
    assert streamed.status_code == 200
    assert '"content": "Hello"' in streamed.text and words in streamed.text
    assert "[DONE]" not in streamed.text
    whole = ask(door)
    assert whole.status_code == 502 and words in whole.json()["error"]["message"]
    assert door.service.counts["failed_streams"] == 1
    assert {reason for _, reason in stored(door)} == {"error"}


def test_the_answer_after_a_failure_is_a_good_one(upstream: Any) -> None:
    answers = iter([cut, lambda told: told.stream("Fine", " again.")])
    door, _ = upstream(lambda told: next(answers)(told))
    assert ask(door).status_code == 502
    assert ask(door).json()["choices"][0]["message"]["content"] == "Fine again."
    assert stored(door) == [("Fine again.", "stop")]  # the second try of the same turn


@EITHER_WAY
def test_an_upstream_that_does_not_stream_is_understood(upstream: Any) -> None:
    whole = {
        "choices": [{"index": 0, "message": {"content": "All."}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1},
    }
    door, _ = upstream(lambda told: told.tell(200, whole))
    made = ask(door).json()
    assert made["choices"][0]["message"]["content"] == "All."
    assert (made["choices"][0]["finish_reason"], made["usage"]["prompt_tokens"]) == ("length", 5)


@pytest.mark.parametrize("page", ["<html>Welcome</html>", {"status": "ok"}, {"choices": []}])
def test_a_wrong_address_is_no_answer(upstream: Any, page: Any) -> None:
    door, _ = upstream(lambda told: told.tell(200, page))
    answer = ask(door)
    assert answer.status_code == 502
    assert "upstream.base_url" in answer.json()["error"]["message"]


@EITHER_WAY
def test_exotic_line_breaks_and_split_bytes_stay_whole(upstream: Any) -> None:
    text = "a\u2028b\x85c\x0bd é😀"

    def odd(told: Handler) -> None:
        told.begin()
        import json

        data = f"data: {json.dumps(chunk(text), ensure_ascii=False)}\r\n\r\n".encode()
        for place in range(0, len(data), 3):
            told.send(data[place : place + 3])
        told.send(b": a comment\n\n")
        for event in END:
            told.event(event)
        told.end()

    door, _ = upstream(odd)
    assert ask(door).json()["choices"][0]["message"]["content"] == text


def test_a_call_in_pieces_is_put_together_and_half_a_call_stays_text(upstream: Any) -> None:
    def calls(*parts: tuple[int, str, str]) -> Callable[[Handler], None]:
        def told(handler: Handler) -> None:
            handler.begin()
            for index, name, arguments in parts:
                function = {"name": name or None, "arguments": arguments}
                call = {"index": index, "id": f"c{index}" if name else None, "function": function}
                handler.event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
            handler.event(chunk(finish_reason="tool_calls"))
            handler.end()

        return told

    answers = iter(
        [
            calls((0, "f", '{"a"'), (0, "", ": 1}"), (1, "g", "{}")),
            calls((0, "f", '{"a": ')),
        ]
    )
    door, _ = upstream(lambda told: next(answers)(told))
    first, second = (ask(door).json()["choices"][0] for _ in range(2))
    assert [c["function"]["arguments"] for c in first["message"]["tool_calls"]] == [
        '{"a": 1}',
        "{}",
    ]
    assert "tool_calls" not in second["message"] and second["finish_reason"] == "stop"
    assert second["message"]["content"] == '<tool_call>\nf {"a": '


def test_the_key_of_the_environment_is_sent_and_the_clients_is_not(
    upstream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", "sk-upstream")
    door, server = upstream(
        lambda told: told.stream("Hi."), upstream={"api_key_env": "UPSTREAM_KEY"}
    )
    body = {"messages": HELLO}
    headers = {"authorization": "Bearer of-the-client"}
    httpx.post(f"{door.url}/v1/chat/completions", json=body, headers=headers)
    assert server.seen[-1][2]["authorization"] == "Bearer sk-upstream"


def test_a_key_that_is_not_set_is_told_at_the_start(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.delenv("UPSTREAM_KEY", raising=False)
    settings = UpstreamConfig(base_url="http://127.0.0.1:1/v1", api_key_env="UPSTREAM_KEY")
    with pytest.raises(ConfigError, match="UPSTREAM_KEY"):
        Service.open(Home(tmp_path).ensure(), replace(Config(), upstream=settings))


def test_fields_that_only_the_upstream_knows_go_through(upstream: Any) -> None:
    door, server = upstream(lambda told: told.stream("Hi."))
    ask(door, top_k=5, chat_template_kwargs={"enable_thinking": False}, secret_field=1)
    sent = server.seen[-1][1]
    assert sent["top_k"] == 5 and sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert "secret_field" not in sent and sent["model"] == "m"


SCHEMA = {"name": "sum", "strict": True, "schema": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"type": "text"}, {"type": "text"}),
        ({"type": "json_object"}, {"type": "json_object"}),
        ({"type": "json_schema", **SCHEMA}, {"type": "json_schema", "json_schema": SCHEMA}),
    ],
)
def test_what_responses_calls_otherwise_is_passed_on_by_its_name_in_chats(
    upstream: Any, form: Any, told: Any
) -> None:
    door, server = upstream(lambda told: told.stream("{}"))
    caller = openai.OpenAI(base_url=f"{door.url}/v1", api_key="none", max_retries=0)
    made = caller.responses.create(
        model="align",
        input="Hello!",
        text={"format": form},
        reasoning={"effort": "low"},
        parallel_tool_calls=False,
    )
    (_, sent, _) = server.seen[0]
    assert (sent["response_format"], sent["reasoning_effort"]) == (told, "low")
    assert sent["parallel_tool_calls"] is False
    assert not {"text", "reasoning", "input"} & sent.keys()
    assert (made.output_text, made.temperature, made.top_p) == ("{}", None, None)


@pytest.mark.parametrize(
    ("path", "limit"),
    [("chat/completions", "max_completion_tokens"), ("responses", "max_output_tokens")],
)
def test_the_upstreams_defaults_hold_for_what_the_client_does_not_name(
    upstream: Any, path: str, limit: str
) -> None:
    door, server = upstream(lambda told: told.stream("Hi."))
    body = {"input": "Hello!"} if path == "responses" else {"messages": HELLO}
    named = {limit: 9, "temperature": 0.0, "top_p": 0.5}
    for facts in ({}, named):
        assert httpx.post(f"{door.url}/v1/{path}", json=body | facts).status_code == 200
    (_, without, _), (_, sent, _) = server.seen
    assert not {"max_tokens", "temperature", "top_p"} & set(without)
    assert (sent["max_tokens"], sent["temperature"], sent["top_p"]) == (9, 0.0, 0.5)


@EITHER_WAY
def test_connections_are_used_again(upstream: Any) -> None:
    ports: list[int] = []

    def answer(told: Handler) -> None:
        ports.append(told.client_address[1])
        told.stream("Hi.")

    door, _ = upstream(answer)
    for _ in range(3):
        ask(door)
    assert len(set(ports)) == 1


def test_without_a_name_the_first_listed_model_is_asked(upstream: Any) -> None:
    def answer(told: Handler) -> None:
        if told.path == "/v1/models":
            told.tell(200, {"data": [{"id": "qwen3:4b"}, {"id": "other"}]})
        else:
            told.stream("Hi.")

    door, server = upstream(answer, upstream={"model": ""})
    ask(door)
    ask(door)
    assert server.paths().count("/v1/models") == 1
    assert server.seen[-1][1]["model"] == "qwen3:4b"


def test_embeddings_are_the_upstreams_affair(upstream: Any) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}

    def answer(handler: Handler) -> None:
        if handler.body["model"] == "other":
            handler.tell(404, {"error": {"message": "no model other", "code": "not_there"}})
        else:
            handler.tell(200, {"object": "list", "model": "m", "data": [vector]})

    door, behind = upstream(answer)
    with openai.OpenAI(base_url=f"{door.url}/v1", api_key="none", max_retries=0) as caller:
        made = caller.embeddings.create(model="align", input=["x"], encoding_format="float")
        assert made.data[0].embedding == [0.5, -0.5]
        with pytest.raises(openai.NotFoundError, match="no model other"):
            caller.embeddings.create(model="other", input="x", encoding_format="float")
    path, body, _ = behind.seen[0]
    assert (path, body["model"], body["input"]) == ("/v1/embeddings", "m", ["x"])


@EITHER_WAY
def test_a_kept_connection_that_was_closed_meanwhile_is_no_error(upstream: Any) -> None:
    def answer(told: Handler) -> None:
        told.stream("Hi.")
        told.close_connection = True  # as llama-server does after a hundred requests

    door, _ = upstream(answer)
    assert [ask(door).status_code for _ in range(12)] == [200] * 12


@EITHER_WAY
def test_an_upstream_that_closes_without_a_word_is_told_after_a_second_try(upstream: Any) -> None:
    door, server = upstream(lambda told: told.cut())
    answer = ask(door)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_broke_off")
    assert server.paths() == ["/v1/chat/completions"] * 2
