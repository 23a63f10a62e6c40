import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.gate.probes import Probe
from align_agent.gate.scores import (
    Exam,
    HeldOut,
    Scores,
    by_tools,
    count_checks,
    looks,
    reminded,
    score,
)
from align_agent.models.generation import Sampling
from align_agent.records import Message

RULE = "Write plain text: no bold, no lists, no headings."
PLAIN = {"name": "no_markdown"}
SHORT = {"name": "max_words", "n": 3}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "", "parameters": {}}}


def asked(text: str = "What is 2 plus 3?", **more) -> HeldOut:
    return HeldOut((Message("user", text),), **more)


def test_every_pair_of_prompt_and_check_counts_once():
    items = [asked(checks=(PLAIN, SHORT)), asked(checks=(PLAIN,)), asked()]
    assert count_checks(items, ["one two three four", "**bold**", "x"]) == (1, 3)


def test_an_empty_answer_meets_no_check():
    assert count_checks([asked(checks=(PLAIN, SHORT))], ["."]) == (0, 2)


def test_shares_are_zero_where_nothing_was_asked():
    assert (Scores("x").rule_share, Scores("x").correct, Scores("x").margin) == (0.0, 0.0, 0.0)


def test_answers_that_are_all_the_same_have_few_distinct_word_pairs():
    alike = looks(["the sum is five"] * 10)[1]
    varied = looks([f"number {n} and word {n * 7}" for n in range(10)])[1]
    assert alike == pytest.approx(0.1)
    assert varied > 0.5


def test_a_loop_is_repetition_and_plain_text_is_not():
    assert looks(["it is so and " * 30])[2] > 0.9
    assert looks(["each of these words stands in this sentence only once"])[2] == 0.0


@given(st.lists(st.text(max_size=80), max_size=5))
def test_looks_are_finite_shares_for_any_text(answers):
    length, distinct, repetition = looks(answers)
    assert length >= 0 and 0 <= distinct <= 1 and 0 <= repetition <= 1


def test_a_rule_that_stands_in_the_system_message_is_not_said_twice():
    prompt = (Message("system", f"Be kind.\n- {RULE}"), Message("user", "hi"))
    item = HeldOut(prompt, rules=(RULE, "Keep answers short."))
    content = reminded(item).prompt[0].content
    assert content.count(RULE) == 1
    assert "Keep answers short." in content


def test_prompts_are_grouped_by_their_tools():
    assert by_tools([(), (CLOCK,), ()]) == [((), [0, 2]), ((CLOCK,), [1])]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (asked(rules=(RULE,), checks=(PLAIN,)), True),
        (asked(rules=(RULE, "Talk like a pirate."), checks=(PLAIN,)), False),
        (asked(rules=(RULE,), checks=(PLAIN,), follow_up="no"), False),
        (asked(rules=(RULE,), checks=(PLAIN,), follow_up="no", covered=True), True),
        (asked(), True),
    ],
)
def test_whether_the_checks_say_all_there_is_to_say(item, told):
    assert item.fully_checked is told


def test_without_rule_and_complaint_there_is_no_hindsight():
    assert asked().hindsight == ""
    assert "No bold." in asked(follow_up="No bold.").hindsight


# On a real model


@pytest.fixture(scope="module")
def model(tiny_model_dir):
    from align_agent.models.local import LocalModel

    return LocalModel.load(str(tiny_model_dir), device="cpu")


@pytest.fixture(scope="module")
def exam() -> Exam:
    heldout = [
        asked(f"What is {n} plus 3?", rules=(RULE,), checks=(PLAIN,), follow_up="No lists.")
        for n in range(3)
    ]
    heldout.append(asked("What time is it?", rules=(RULE,), checks=(PLAIN,), tools=(CLOCK,)))
    heldout.append(asked("Hello."))
    probes = [
        Probe((Message("user", "Say yes."),), lambda answer: True, "test"),
        Probe((Message("user", "Say no."),), lambda answer: False, "test"),
    ]
    sampling = Sampling(max_new_tokens=8, temperature=1.0, seed=1)
    return Exam(heldout, probes, sampling, all_rules=(RULE,))


@pytest.fixture(scope="module")
def sheet(model, exam):
    return score(model, None, exam, who="base")


def test_a_sheet_has_an_answer_for_each_held_out_prompt_in_order(sheet, exam):
    assert len(sheet.answers) == len(exam.heldout)


def test_counts_match_what_was_asked(sheet):
    scores = sheet.scores
    assert (scores.checks, scores.probes, scores.probes_right, scores.n_heldout) == (4, 2, 1, 5)
    assert (scores.n_own, scores.unchecked) == (5, 3)


def test_there_is_a_margin_for_each_prompt_with_a_hindsight(sheet):
    assert len(sheet.scores.margins) == 4
    assert all(math.isfinite(margin) for margin in sheet.scores.margins)


def test_the_same_contestant_gets_the_same_sheet(model, exam, sheet):
    again = score(model, None, exam, who="base")
    assert again == sheet


def test_the_memory_baseline_is_asked_with_the_rules(model, exam, sheet):
    memory = score(model, None, exam, who="memory", with_rules=True)
    assert memory.answers[:4] != sheet.answers[:4]
    assert memory.answers[4] == sheet.answers[4]


def test_progress_counts_up_to_all_answers(model, exam):
    seen: list[int] = []
    score(model, None, exam, who="base", on_step=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] >= len(exam.heldout) + len(exam.probes)


def test_nothing_asked_gives_empty_scores(model):
    empty = score(model, None, Exam((), (), Sampling()), who="base")
    assert empty.scores == Scores("base")
