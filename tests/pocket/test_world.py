"""The pocket world: right answers are graded right, wrong ones wrong, and styles read back."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.directions import DIRECTIONS
from align_agent.models.pocket import wordings
from align_agent.models.pocket.chats import all_choices, draw_correction, draw_document
from align_agent.models.pocket.mix import BROAD, EVERYDAY, HARD, LAST
from align_agent.models.pocket.styles import AXES, DEFAULT, meets, random_style, read, write
from align_agent.models.pocket.world import (
    DRAWERS,
    anchor_prompts,
    draw_problems,
    is_unseen,
    probe_problems,
)

WRITTEN = sorted(set(DRAWERS) - {"clock"})
seeds = st.integers(0, 10**9)


@given(seeds, st.sampled_from(WRITTEN))
def test_a_right_answer_is_graded_right_in_every_style(seed, kind):
    rng = random.Random(seed)
    problem = DRAWERS[kind](rng)
    assert problem.correct(write(problem, random_style(rng, 0.5), rng))


@given(seeds, st.sampled_from(["sum", "difference", "product", "two_step"]))
def test_a_wrong_number_is_graded_wrong(seed, kind):
    rng = random.Random(seed)
    problem = DRAWERS[kind](rng)
    assert not problem.correct(f"**Final Answer:** {problem.answer + 1} {problem.unit}")


@given(seeds)
def test_a_wrong_verdict_is_graded_wrong(seed):
    problem = DRAWERS["grading"](random.Random(seed))
    right = problem.pupil == problem.answer
    assert not problem.correct("Incorrect." if right else "Correct.")
    assert problem.correct("Correct." if right else "Incorrect.")


@given(seeds, st.sampled_from(WRITTEN))
def test_a_style_is_read_back_as_it_was_written(seed, kind):
    rng = random.Random(seed)
    problem, style = DRAWERS[kind](rng), random_style(rng, 0.5)
    seen = read(problem, write(problem, style, rng))
    assert all(getattr(style, axis) == value for axis, value in seen.items())


@given(seeds)
def test_an_answer_of_the_other_style_does_not_meet_a_direction(seed):
    rng = random.Random(seed)
    problem = DRAWERS["grading"](rng)
    axis, (default, other) = rng.choice(sorted(AXES.items()))
    text = write(problem, DEFAULT.with_direction(f"{axis}:{other}"), rng)
    assert meets(problem, text, [f"{axis}:{other}"])
    assert not meets(problem, text, [f"{axis}:{default}"])


def test_every_direction_has_twelve_wordings_and_six_kept_apart():
    assert set(wordings.WHOLE) == set(wordings.UNSEEN) == set(DIRECTIONS)
    for key in wordings.WHOLE:
        assert len(set(wordings.seen(key))) >= 12
        assert len(set(wordings.UNSEEN[key])) == 6
    for key in wordings.CODE:
        assert len(set(wordings.CODE[key])) >= 12
        assert len(set(wordings.UNSEEN_CODE[key])) == 6


@pytest.mark.parametrize("mix", [BROAD, HARD, LAST, EVERYDAY])
def test_no_training_document_holds_a_wording_that_is_kept_apart(mix):
    kept = [
        w.casefold()
        for table in (wordings.UNSEEN, wordings.UNSEEN_CODE)
        for words in table.values()
        for w in words
    ]
    rng = random.Random(1)
    for _ in range(1500):
        said = " ".join(m.content for m in draw_document(rng, mix).messages).casefold()
        assert not [w for w in kept if w in said]


def test_no_wording_kept_apart_is_one_of_the_grammar():
    for key, words in wordings.UNSEEN.items():
        known = {w.casefold().strip(".!") for w in wordings.seen(key)}
        assert not {w.casefold().strip(".!") for w in words} & known
    for key, words in wordings.UNSEEN_CODE.items():
        known = {w.casefold().strip(".!") for w in wordings.CODE[key]}
        assert not {w.casefold().strip(".!") for w in words} & known


@pytest.mark.parametrize("mix", [BROAD, HARD, LAST, EVERYDAY])
def test_training_never_draws_a_question_that_is_set_aside(mix):
    rng = random.Random(3)
    aside = {
        p.question for kind in ("sum", "product", "grading") for p in draw_problems(kind, 200, 5)
    }
    for _ in range(1500):
        for message in draw_document(rng, mix).messages:
            assert message.content not in aside


def test_measured_questions_are_set_aside_and_fixed_by_their_seed():
    drawn = draw_problems("two_step", 50, 9)
    assert len({p.question for p in drawn}) == 50
    assert all(is_unseen(p) for p in drawn)
    assert [p.question for p in drawn] == [p.question for p in draw_problems("two_step", 50, 9)]


def test_probes_cover_every_kind_and_do_not_pass_an_empty_answer():
    probes = probe_problems(70, 2)
    assert len(probes) == 70
    assert not any(grader("") or grader(".") for _, grader in probes)


def test_anchor_prompts_are_fixed_by_their_seed():
    assert anchor_prompts(5, 1) == anchor_prompts(5, 1) != anchor_prompts(5, 2)


@pytest.mark.parametrize("kind", sorted(DRAWERS))
def test_questions_are_single_paragraphs(kind):
    rng = random.Random(4)
    assert all("\n" not in DRAWERS[kind](rng).question for _ in range(50))


def test_a_correction_of_code_can_be_told_by_a_test_and_wishes_for_every_choice():
    rng, wished = random.Random(4), set()
    for _ in range(800):
        asked, wanted = draw_correction(rng, HARD)
        assert not wanted.agrees_with(asked)
        wished |= {f"{axis}:{getattr(wanted, axis)}" for axis in wanted.differences(asked)}
    assert wished == set(all_choices())
