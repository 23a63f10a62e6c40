from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tiny import CALCULATOR

from align_agent.distill.hindsight import Example, build_hindsight
from align_agent.distill.pairs import pair_of
from align_agent.distill.rollouts import rollouts
from align_agent.records import Message, ToolCall

F = build_hindsight(["Keep answers short."])


def example(number: int, answer: str = "A logged answer.") -> Example:
    return Example(
        f"t{number}",
        (Message("user", f"What is {number} plus one?"),),
        (Message("assistant", answer),),
        F,
        use="anchor" if number % 3 == 0 else "train",
    )


EXAMPLES = [example(i) for i in range(7)]


def fresh(model: Any, examples: list[Example], mode: str = "fresh", **more: Any) -> list[Example]:
    settings = {"adapter": None, "seed": 3, "max_new_tokens": 12, **more}
    return rollouts(model, examples, mode, **settings)


def test_logged_answers_are_taken_as_they_are(tiny_model: Any) -> None:
    assert fresh(tiny_model, EXAMPLES, "logged") == EXAMPLES


def test_fresh_answers_change_nothing_but_the_answer(tiny_model: Any) -> None:
    found = fresh(tiny_model, EXAMPLES)
    assert [e.turn_id for e in found] == [e.turn_id for e in EXAMPLES]
    for new, old in zip(found, EXAMPLES, strict=True):
        assert new.response != old.response
        assert replace(new, response=old.response, complete=True) == old


def test_both_means_logged_and_fresh(tiny_model: Any) -> None:
    found = fresh(tiny_model, EXAMPLES, "both")
    assert found[: len(EXAMPLES)] == EXAMPLES
    assert found[len(EXAMPLES) :] == fresh(tiny_model, EXAMPLES)


def test_the_same_seed_draws_the_same_answers(tiny_model: Any) -> None:
    assert fresh(tiny_model, EXAMPLES) == fresh(tiny_model, EXAMPLES)
    assert fresh(tiny_model, EXAMPLES) != fresh(tiny_model, EXAMPLES, seed=4)


def test_fresh_answers_are_the_champions(tiny_model: Any, tmp_path: Any) -> None:
    import torch

    student = tiny_model.fresh_lora(4, 8, 0.0, 0)
    with torch.no_grad():
        for name, weight in student.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.3)
    tiny_model.save_lora(student, tmp_path / "v0001")
    found = fresh(tiny_model, EXAMPLES, adapter=tmp_path / "v0001")
    assert found != fresh(tiny_model, EXAMPLES)


def test_an_answer_that_was_cut_off_is_marked(tiny_model: Any) -> None:
    assert {e.complete for e in fresh(tiny_model, EXAMPLES, max_new_tokens=2)} == {False}


def test_a_fresh_answer_like_the_logged_one_adds_nothing(parrot: Any) -> None:
    known = Example(
        "t1",
        (Message("user", "Hello!"),),
        (Message("assistant", "Great work, well done!"),),
        F,
    )
    settings = {"temperature": 0.0, "max_new_tokens": 30}
    assert fresh(parrot, [known], "both", **settings) == [known]
    assert fresh(parrot, [known], "fresh", **settings) == [known]


def test_a_prompt_that_cannot_be_asked_keeps_its_logged_answer(tiny_model: Any) -> None:
    long = replace(example(1), prompt=(Message("user", "x" * 9000),))
    found = fresh(tiny_model, [long, example(2)])
    assert found[0] == long
    assert found[1].turn_id == "t2"


def test_history_that_leaves_no_room_is_left_out_when_asking(tiny_model: Any) -> None:
    history = (Message("user", "old " * 300), Message("assistant", "ok"))
    talked = replace(example(1), prompt=(*history, *example(1).prompt))
    (found,) = fresh(tiny_model, [talked])
    assert found.prompt == talked.prompt
    assert found.response != talked.response


def called(expression: str) -> Message:
    return Message("assistant", "", (ToolCall("c1", "calculator", {"expression": expression}),))


def with_tools(question: str, expression: str) -> Example:
    logged = (called(expression), Message("tool", "42", (), "c1"), Message("assistant", "Old."))
    return Example("t1", (Message("user", question),), logged, F, tools=(CALCULATOR,))


def test_a_call_that_the_log_knows_gets_its_result_and_goes_on(parrot: Any) -> None:
    (found,) = fresh(parrot, [with_tools("7*6?", "7*6")], temperature=0.0, max_new_tokens=90)
    assert [m.role for m in found.response] == ["assistant", "tool", "assistant"]
    assert found.response[1].content == "42"
    assert found.response[2].content == "It is 42."
    assert found.response[1].tool_call_id == found.response[0].tool_calls[0].id
    assert found.complete


def test_a_call_that_the_log_does_not_know_ends_the_answer(parrot: Any) -> None:
    (found,) = fresh(
        parrot, [with_tools("What is the answer?", "7*6")], temperature=0.0, max_new_tokens=90
    )
    assert [m.role for m in found.response] == ["assistant"]
    assert found.response[0].tool_calls[0].arguments == {"expression": "1+1"}


def test_a_result_that_fills_the_context_ends_the_answer_with_the_call(parrot: Any) -> None:
    known = with_tools("7*6?", "7*6")
    flood = replace(known.response[1], content="4" * 3000)
    flooded = replace(known, response=(known.response[0], flood, known.response[2]))
    found = fresh(parrot, [flooded, known], temperature=0.0, max_new_tokens=90)
    assert [[m.role for m in e.response] for e in found] == [
        ["assistant"],
        ["assistant", "tool", "assistant"],
    ]


def test_progress_ends_at_the_number_of_examples(tiny_model: Any) -> None:
    seen: list[tuple[int, int]] = []
    fresh(tiny_model, EXAMPLES, on_done=lambda done, all_: seen.append((done, all_)))
    assert seen == sorted(seen) and seen[-1] == (7, 7)


def test_an_unknown_mode_is_refused(tiny_model: Any) -> None:
    with pytest.raises(ValueError, match="unknown rollouts"):
        fresh(tiny_model, EXAMPLES, "half")


def test_when_the_time_is_up_the_logged_answers_are_kept(tiny_model: Any) -> None:
    assert fresh(tiny_model, EXAMPLES, over=lambda: True) == EXAMPLES


def test_an_answer_that_the_time_cut_off_is_not_taken_for_a_whole_one(tiny_model: Any) -> None:
    steps = iter(range(100))
    found = fresh(tiny_model, EXAMPLES, over=lambda: next(steps) >= 3)
    begun = [e for e in found if not e.complete]
    whole = fresh(tiny_model, EXAMPLES)
    assert begun
    for new, old in zip(found, whole, strict=True):
        if not new.complete:
            assert old.response[0].content.startswith(new.response[0].content)


def test_the_probabilities_that_an_answer_was_written_with_are_those_of_its_tokens(
    tiny_model: Any,
) -> None:
    # Of a random network, long answers hardly ever tokenize to themselves again.
    found = fresh(tiny_model, EXAMPLES, keep_logprobs=True, max_new_tokens=1)
    pairs = [pair for e in found if (pair := pair_of(tiny_model, e)) is not None]
    known = [pair for pair in pairs if pair.behaviour]
    assert known
    whole = [(e.prompt, e.response) for e in found]
    scored = tiny_model.logprobs(whole)
    for pair, example, logprobs in zip(pairs, found, scored, strict=True):
        if pair.behaviour:
            own = logprobs if example.complete else logprobs[:-1]
            assert pair.behaviour == pytest.approx(own, abs=1e-4)


def test_without_being_asked_and_at_another_temperature_no_probabilities_are_kept(
    tiny_model: Any,
) -> None:
    assert all(not e.written for e in fresh(tiny_model, EXAMPLES))
    cooler = fresh(tiny_model, EXAMPLES, keep_logprobs=True, temperature=0.5)
    assert all(not e.written for e in cooler)


def test_an_example_keeps_its_probabilities_through_json(tiny_model: Any) -> None:
    for one in fresh(tiny_model, EXAMPLES, keep_logprobs=True):
        assert Example.from_dict(json.loads(json.dumps(one.to_dict()))) == one
