from __future__ import annotations

import json

import pytest

from align_agent.distill.hindsight import Example, build_hindsight, example_of, teacher_prompt
from align_agent.prompts import hindsight_block
from align_agent.records import Message, ToolCall, Turn

PROMPT = (Message("system", "be kind"), Message("user", "2+2?"))
TURN = Turn("chat-1", PROMPT, (Message("assistant", "**4**"),), "2+2?", "**4**", id="turn-1")


def test_nothing_known_is_no_hindsight() -> None:
    assert build_hindsight([], "  ") == ""


def test_rules_and_follow_up_stand_in_the_block_as_it_is_worded() -> None:
    assert build_hindsight(["No bold."], " No bold, please. ") == hindsight_block(
        ["No bold."], "No bold, please."
    )


def test_the_teacher_sees_the_hindsight_and_the_student_does_not() -> None:
    example = example_of(TURN, ["No bold."], "No bold, please.")
    assert example.prompt == PROMPT
    assert teacher_prompt(example)[-1].content == "2+2?\n\n" + example.hindsight
    assert teacher_prompt(example)[0] == PROMPT[0]


def test_the_teacher_never_sees_the_answer_that_failed() -> None:
    example = example_of(TURN, ["No bold."], "No bold, please.")
    assert all("**4**" not in message.content for message in teacher_prompt(example))


def test_an_anchor_sees_the_rules_and_no_follow_up() -> None:
    anchor = example_of(TURN, ["No bold."], "No bold, please.", use="anchor")
    assert anchor.hindsight == hindsight_block(["No bold."])


def test_without_hindsight_teacher_and_student_see_the_same() -> None:
    example = example_of(TURN, [], use="anchor")
    assert teacher_prompt(example) == example.prompt


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_an_answer_that_was_cut_off_is_known_as_such(reason: str) -> None:
    turn = Turn("c", PROMPT, TURN.response, "2+2?", "**4**", finish_reason=reason)
    assert example_of(turn, []).complete is (reason == "stop")


def test_an_example_survives_json() -> None:
    call = ToolCall("c1", "calculator", {"expression": "2+2"})
    example = Example(
        "turn-1",
        PROMPT,
        (Message("assistant", "", (call,)), Message("tool", "4", (), "c1")),
        "f",
        "anchor",
        ({"type": "function", "function": {"name": "calculator"}},),
        complete=False,
    )
    assert Example.from_dict(json.loads(json.dumps(example.to_dict()))) == example
