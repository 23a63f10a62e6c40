"""Tool calls through a network that really makes them: it learned three conversations by heart."""

from __future__ import annotations

from typing import Any

from tiny import CALCULATOR

from align_agent.models.generation import Generation, Sampling
from align_agent.records import Message

GREEDY = Sampling(max_new_tokens=90, temperature=0)
QUESTION = [Message("user", "7*6?")]


def test_a_call_comes_as_a_call_and_not_as_text(parrot: Any) -> None:
    found = list(parrot.stream(QUESTION, tools=[CALCULATOR], sampling=GREEDY))
    (generation,) = found
    assert isinstance(generation, Generation)
    assert (generation.finish_reason, generation.text) == ("tool_calls", "")
    assert [(c.name, c.arguments) for c in generation.tool_calls] == [
        ("calculator", {"expression": "7*6"})
    ]


def test_the_tools_result_leads_to_the_answer(parrot: Any) -> None:
    *_, call = parrot.stream(QUESTION, tools=[CALCULATOR], sampling=GREEDY)
    result = Message("tool", "42", tool_call_id=call.tool_calls[0].id)
    history = [*QUESTION, call.message(), result]
    *_, answer = parrot.stream(history, tools=[CALCULATOR], sampling=GREEDY)
    assert (answer.text, answer.finish_reason) == ("It is 42.", "stop")


def test_calls_are_read_in_a_batch_too(parrot: Any) -> None:
    prompts = [QUESTION, [Message("user", "What is the answer?")]]
    found = parrot.generate_batch(prompts, tools=[CALCULATOR], sampling=GREEDY)
    assert [g.tool_calls[0].arguments["expression"] for g in found] == ["7*6", "1+1"]


def test_what_the_network_wrote_as_a_call_is_what_would_be_trained(parrot: Any) -> None:
    *_, call = parrot.stream(QUESTION, tools=[CALCULATOR], sampling=GREEDY)
    turn = parrot.encode_answer(QUESTION, [call.message()], [CALCULATOR])
    assert turn.answer_ids == call.token_ids


def test_a_stop_string_ends_a_stream_and_is_not_shown(parrot: Any) -> None:
    sampling = Sampling(max_new_tokens=90, temperature=0, stop=("well",))
    *pieces, generation = parrot.stream([Message("user", "Hello!")], sampling=sampling)
    assert "".join(pieces) == generation.text == "Great work, "
    assert generation.finish_reason == "stop"
    batch = parrot.generate_batch([[Message("user", "Hello!")]], sampling=sampling)
    assert batch[0].text == generation.text
