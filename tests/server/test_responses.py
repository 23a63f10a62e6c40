"""OpenAI's own client on `/v1/responses`."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from tiny import CALCULATOR

from align_agent.store import Store

TOOLS: Any = [{"type": "function", **CALCULATOR["function"]}]


@pytest.fixture
def server(either: Any) -> Any:
    """On both kinds of backend."""
    return either


@pytest.fixture
def caller(server: Any) -> Any:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_a_question_is_answered(caller: Any) -> None:
    made = caller.responses.create(model="align", input="Hello!")
    assert made.output_text == "Great work, well done!"
    assert made.status == "completed"
    assert made.model == "align@base"
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens > 0


def test_a_stream_says_the_same_in_pieces_and_then_whole(caller: Any) -> None:
    events = list(caller.responses.create(model="align", input="Hello!", stream=True))
    said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert said == "Great work, well done!"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == said
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_the_clients_own_stream_helper_puts_the_answer_together(caller: Any) -> None:
    with caller.responses.stream(model="align", input="Hello!") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == "Great work, well done!"


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call_arrives_as_an_item(caller: Any, stream: bool) -> None:
    made = caller.responses.create(model="align", input="7*6?", tools=TOOLS, stream=stream)
    if stream:
        events = list(made)
        done = [e for e in events if e.type == "response.function_call_arguments.done"]
        assert [e.arguments for e in done] == ['{"expression": "7*6"}']
        made = events[-1].response
    (call,) = made.output
    assert (call.type, call.name, call.arguments) == (
        "function_call",
        "calculator",
        '{"expression": "7*6"}',
    )


def test_a_tools_result_is_understood_and_the_turn_logged_as_one(caller: Any, server: Any) -> None:
    asked: list[Any] = [{"role": "user", "content": "7*6?"}]
    first = caller.responses.create(model="align", input=asked, tools=TOOLS)
    (call,) = first.output
    asked += [
        {"type": "function_call", "call_id": call.call_id, "name": call.name,
         "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "42"},
    ]  # fmt: skip
    made = caller.responses.create(model="align", input=asked, tools=TOOLS)
    assert made.output_text == "It is 42."
    server.service.scribe.flush()
    with Store.open(server.service.home.database) as store:
        (turn,) = store.turns.all_main()
    assert turn.user_text == "7*6?"
    assert turn.answer == "It is 42."


def test_a_call_can_be_forced_by_name(caller: Any) -> None:
    made = caller.responses.create(
        model="align",
        input="Hello!",
        tools=TOOLS,
        tool_choice={"type": "function", "name": "calculator"},
    )
    assert made.output[0].name == "calculator"


def test_an_answer_cut_at_its_limit_is_incomplete(caller: Any) -> None:
    made = caller.responses.create(model="align", input="Hello!", max_output_tokens=2)
    assert made.status == "incomplete"
    assert made.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_repeats_what_was_asked_beside_the_question(caller: Any, stream: bool) -> None:
    asked: Any = {
        "metadata": {"topic": "greetings"},
        "parallel_tool_calls": False,
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "temperature": 0.0,
        "top_p": 0.5,
    }
    made = caller.responses.create(model="align", input="Hello!", stream=stream, **asked)
    made = list(made)[-1].response if stream else made
    assert made.output_text == "Great work, well done!"
    shown = made.model_dump()
    assert {name: shown[name] for name in asked} == asked


def test_what_was_not_asked_is_as_the_api_has_it_by_default(caller: Any) -> None:
    made = caller.responses.create(model="align", input="Hello!")
    assert (made.metadata, made.parallel_tool_calls, made.text.format.type) == ({}, True, "text")


@pytest.mark.parametrize(
    "form", [{"type": "json_object"}, {"type": "json_schema", "name": "sum", "schema": {}}]
)
def test_a_format_reaches_who_answers_and_is_refused_where_it_cannot_be_held(
    caller: Any, form: Any
) -> None:
    with pytest.raises(openai.BadRequestError, match=form["type"]):
        caller.responses.create(model="align", input="Hello!", text={"format": form})


@pytest.mark.parametrize(
    "fields",
    [{"input": []}, {"input": 3}, {"input": "x", "previous_response_id": "resp_1"},
     {"input": "x", "text": "json"}, {"input": "x", "parallel_tool_calls": "perhaps"}],
)  # fmt: skip
def test_a_malformed_request_is_refused(caller: Any, fields: Any) -> None:
    with pytest.raises(openai.BadRequestError):
        caller.responses.create(model="align", **fields)
