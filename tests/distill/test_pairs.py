from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.distill.hindsight import Example, build_hindsight
from align_agent.distill.pairs import pair, pair_of
from align_agent.errors import ContextTooLong
from align_agent.prompts import with_hindsight
from align_agent.records import Message, ToolCall

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cn")), min_size=1, max_size=40)
F = build_hindsight(["Keep answers short."], "Shorter, please.")


def user(text: str) -> Message:
    return Message("user", text)


def said(text: str) -> Message:
    return Message("assistant", text)


@given(TEXT, TEXT, TEXT)
@settings(max_examples=60)
def test_student_and_teacher_have_the_very_same_answer_tokens(
    tiny_model: Any, question: str, answer: str, wish: str
) -> None:
    found = pair(tiny_model, [user(question)], [said(answer)], build_hindsight([], wish) or F)
    assert found is not None
    for ids, positions in (
        (found.student_ids, found.student_positions),
        (found.teacher_ids, found.teacher_positions),
    ):
        assert tuple(ids[p + 1] for p in positions) == found.targets
    assert tiny_model.tokenizer.decode(found.targets) == answer + "<|im_end|>"


def test_both_prompts_are_the_prompts_that_are_served(tiny_model: Any) -> None:
    prompt = [Message("system", "be kind"), user("2+2?")]
    found = pair(tiny_model, prompt, [said("4")], F)
    assert found is not None
    n = len(found.targets)
    assert list(found.student_ids[:-n]) == tiny_model.encode(prompt)
    assert list(found.teacher_ids[:-n]) == tiny_model.encode(with_hindsight(prompt, F))


def test_the_end_of_turn_is_learned(tiny_model: Any) -> None:
    found = pair(tiny_model, [user("2+2?")], [said("4")], F)
    assert found is not None
    assert found.targets[-1] in tiny_model.eos_ids


def test_the_end_of_an_answer_that_was_cut_off_is_not_learned(tiny_model: Any) -> None:
    found = pair(tiny_model, [user("2+2?")], [said("4 and")], F, complete=False)
    assert found is not None
    assert not set(found.targets) & tiny_model.eos_ids


def test_first_tokens_can_be_left_out(tiny_model: Any) -> None:
    whole = pair(tiny_model, [user("2+2?")], [said("It is 4.")], F)
    later = pair(tiny_model, [user("2+2?")], [said("It is 4.")], F, skip_first=2)
    assert whole is not None
    assert later is not None
    assert later.targets == whole.targets[2:]


def test_an_answer_of_which_nothing_is_left_is_no_pair(tiny_model: Any) -> None:
    assert pair(tiny_model, [user("2+2?")], [said("4")], F, skip_first=50) is None


def test_a_tools_result_is_a_target_of_neither(tiny_model: Any) -> None:
    call = ToolCall("c1", "calculator", {"expression": "2+2"})
    response = (
        Message("assistant", "", (call,)),
        Message("tool", "RESULT", (), "c1"),
        said("It is 4."),
    )
    found = pair_of(tiny_model, Example("t", (user("2+2?"),), response, F))
    assert found is not None
    text = tiny_model.tokenizer.decode(found.targets)
    assert "RESULT" not in text
    assert "It is 4." in text


def test_what_stands_before_the_first_answer_belongs_to_both_prompts(tiny_model: Any) -> None:
    found = pair(tiny_model, [user("2+2?")], [Message("tool", "RESULT"), said("4")], F)
    assert found is not None
    for ids in (found.student_ids, found.teacher_ids):
        assert "RESULT" in tiny_model.tokenizer.decode(ids[: -len(found.targets)])
    assert tiny_model.tokenizer.decode(found.targets) == "4<|im_end|>"


def test_history_that_does_not_fit_is_left_out_of_both_prompts(tiny_model: Any) -> None:
    system = Message("system", "be kind")
    history = [user("old " * 300), said("ok"), user("newer"), said("ok")]
    prompt = [system, *history, user("2+2?")]
    long_hindsight = build_hindsight(["Keep it short, very short. " * 20], "Shorter!")
    found = pair(tiny_model, prompt, [said("4")], long_hindsight)
    assert found is not None
    assert len(found.teacher_ids) <= tiny_model.context
    n = len(found.targets)
    kept = [system, *history[2:], user("2+2?")]
    assert list(found.student_ids[:-n]) == tiny_model.encode(kept)
    assert list(found.teacher_ids[:-n]) == tiny_model.encode(with_hindsight(kept, long_hindsight))


@pytest.mark.parametrize("words", [("x" * 5000, "4"), ("2+2?", "4 " * 5000)])
def test_a_turn_that_cannot_fit_is_an_error(tiny_model: Any, words: tuple[str, str]) -> None:
    with pytest.raises(ContextTooLong):
        pair(tiny_model, [user(words[0])], [said(words[1])], F)


THOUGHT = "<think>\nThey want it short.\n</think>\n\nFour."


@pytest.mark.parametrize(
    ("answer", "learned"),
    [
        (THOUGHT, "\n\nFour."),
        (f"Well. {THOUGHT}", "Well. \n\nFour."),
        (f"{THOUGHT} {THOUGHT}", "\n\nFour. \n\nFour."),
        ("A <thin> line</think>.", "A <thin> line</think>."),
        ("Four.", "Four."),
        ("é<think>é</think>é", "éé"),
    ],
)
def test_what_was_thought_aloud_is_left_out_where_it_is_not_to_be_learned(
    tiny_model: Any, answer: str, learned: str
) -> None:
    found = pair(tiny_model, [user("2+2?")], [said(answer)], F, reasoning=False)
    assert found is not None
    text = tiny_model.tokenizer.decode(found.targets)
    # A token may reach over a tag's edge; then it is left out whole.
    assert text.replace("\n", "") == learned.replace("\n", "") + "<|im_end|>"


def test_a_thought_without_end_is_left_out_to_the_end(tiny_model: Any) -> None:
    found = pair(
        tiny_model, [user("2+2?")], [said("So: <think>Hm")], F, complete=False, reasoning=False
    )
    assert found is not None
    assert tiny_model.tokenizer.decode(found.targets) == "So: "


def test_thoughts_are_learned_where_asked_for(tiny_model: Any) -> None:
    found = pair(tiny_model, [user("2+2?")], [said(THOUGHT)], F, reasoning=True)
    assert found is not None
    assert tiny_model.tokenizer.decode(found.targets) == THOUGHT + "<|im_end|>"


def test_the_probabilities_of_writing_follow_the_tokens_that_are_learned(tiny_model: Any) -> None:
    plain = pair(tiny_model, [user("2+2?")], [said("Four it is.")], F)
    assert plain is not None
    written = [(token, -0.1 * i) for i, token in enumerate(plain.targets)]
    found = pair(
        tiny_model, [user("2+2?")], [said("Four it is.")], F, skip_first=2, written=written
    )
    assert found is not None
    assert found.behaviour == tuple(at for _, at in written[2:])
    assert len(found.behaviour) == len(found.targets)


@pytest.mark.parametrize("change", ["other", "fewer"])
def test_the_probabilities_of_other_tokens_are_of_no_use(tiny_model: Any, change: str) -> None:
    plain = pair(tiny_model, [user("2+2?")], [said("Four it is.")], F)
    assert plain is not None
    written = [(token, -1.0) for token in plain.targets]
    written = written[:-1] if change == "fewer" else [(1, -1.0), *written[1:]]
    found = pair(tiny_model, [user("2+2?")], [said("Four it is.")], F, written=written)
    assert found is not None
    assert found.behaviour == ()
