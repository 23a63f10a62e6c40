import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.gate import likelihood, looks
from align_agent.gate.likelihood import Asked
from align_agent.gate.paper import Exam, HeldOut, by_tools, reminded
from align_agent.gate.probes import Probe
from align_agent.gate.scores import Sheet, count_checks, score, shares_met
from align_agent.models.generation import Sampling
from align_agent.records import Message

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from adapters_made import make_adapter

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


def test_a_check_that_compares_with_the_question_is_asked_with_it():
    items = [asked("Translate: 12 mice eat 3 cheeses.", checks=({"name": "numbers_kept"},))]
    assert count_checks(items, ["12 Mäuse essen 3 Käse."]) == (1, 1)
    assert count_checks(items, ["Mäuse essen Käse."]) == (0, 1)


def test_only_prompts_with_checks_have_a_share():
    items = [asked(checks=(PLAIN, SHORT)), asked()]
    assert shares_met(items, ["one two three four", "x"]) == (0.5,)


def test_shares_are_zero_where_nothing_was_asked():
    assert (Sheet("x").rule_share, Sheet("x").correct, Sheet("x").row()["margin"]) == (0, 0, 0)


def test_answers_that_are_all_the_same_have_few_distinct_word_pairs():
    varied = [f"number {n} and word {n * 7}" for n in range(10)]
    assert looks.distinct(["the sum is five"] * 10) == pytest.approx(0.1)
    assert looks.distinct(varied) > 0.5


def test_answers_that_are_all_the_same_share_all_their_words():
    assert looks.similarity(["the sum is five"] * 10) == pytest.approx(1.0)
    assert looks.similarity(["."] * 10) == 1.0
    assert looks.similarity([f"a{n} b{n}" for n in range(10)]) == 0.0


def test_a_loop_is_repetition_and_plain_text_is_not():
    assert looks.repetition("it is so and " * 30) > 0.9
    assert looks.repetition("each of these words stands in this sentence only once") == 0.0


@given(st.lists(st.text(max_size=80), max_size=5))
def test_looks_are_finite_shares_for_any_text(answers):
    assert 0 <= looks.distinct(answers) <= 1
    assert 0 <= looks.similarity(answers) <= 1 + 1e-9
    assert all(0 <= looks.repetition(answer) <= 1 for answer in answers)


@pytest.mark.parametrize(
    "answer",
    [
        "<hindsight>",
        "As you said, no bold.",
        "Following your rules, it is 5.",
        "As the user requested: 5.",
        "You told me to be brief. 5.",
        "The user's next message asks for plain text.",
    ],
)
def test_words_that_speak_of_the_feedback_are_noticed(answer):
    assert looks.mentions_hindsight(answer, "What is 2 plus 3?")


@pytest.mark.parametrize("answer", ["It is 5.", "Ask your teacher.", "The rules of chess are old."])
def test_ordinary_words_are_no_leak(answer):
    assert not looks.mentions_hindsight(answer, "What is 2 plus 3?")


def test_words_that_the_prompt_brings_up_are_no_leak():
    assert not looks.mentions_hindsight("As you said, 5.", "Why is it five, as you said?")


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
    pinned = [Probe((Message("user", "Say yes."),), lambda answer: True, "pinned")]
    return Exam(
        heldout, probes, sampling, all_rules=(RULE,), pinned=pinned, pushed=5, canaries=("heron",)
    )


@pytest.fixture(scope="module")
def sheet(model, exam):
    return score(model, None, exam, who="base")


def test_a_sheet_has_an_answer_for_each_held_out_prompt_in_order(sheet, exam):
    assert len(sheet.answers) == len(exam.heldout)


def test_counts_match_what_was_asked(sheet):
    assert (sheet.checks, sheet.right, sheet.pinned) == (4, (True, False), (True,))
    assert (len(sheet.met), len(sheet.finished), len(sheet.kl)) == (4, 7, 2)


def test_there_is_a_margin_for_each_prompt_with_a_hindsight(sheet):
    assert len(sheet.margins) == 4
    assert all(math.isfinite(margin) for margin in sheet.margins)


def test_only_what_was_right_is_doubted(sheet):
    assert sheet.held == ((0, True),)


def test_the_base_is_no_distance_from_itself(sheet):
    assert sheet.kl == (0.0, 0.0)
    assert all(value > 0 for value in sheet.entropy)


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    return make_adapter(model, tmp_path_factory.mktemp("made") / "v0001")


def test_an_adapter_is_weighed_against_the_base(model, exam, adapter):
    found = score(model, adapter, exam, who="candidate")
    assert all(value > 0 for value in found.kl)
    assert len(found.exposed) == 1


def test_an_answer_that_follows_the_users_wish_wins_in_either_place(model):
    prompt = (Message("user", "What is 2 plus 3?"),)
    item = HeldOut(prompt, rules=(RULE,))
    said = ["It is five.", "1. **Add** them."]
    forth = likelihood.wins(model, [item], [said[0]], [said[1]])
    back = likelihood.wins(model, [item], [said[1]], [said[0]])
    assert forth[0] + back[0] == 1.0


def test_the_same_answer_is_a_draw(model):
    item = HeldOut((Message("user", "2 plus 3?"),), rules=(RULE,))
    assert likelihood.wins(model, [item], ["five"], ["five "]) == (0.5,)


def test_what_does_not_fit_into_the_context_is_not_compared(model):
    item = HeldOut((Message("user", "2 plus 3?"),), rules=(RULE,))
    assert likelihood.wins(model, [item], ["five " * 2000], ["six"]) == ()


def test_entropy_of_a_long_answer_is_weighed_as_far_as_the_context_goes(model):
    (found,) = likelihood.weigh(model, None, [Asked((Message("user", "?"),), "five " * 2000)])
    assert math.isfinite(found.entropy)


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
    assert score(model, None, Exam((), (), Sampling()), who="base") == Sheet("base")
