"""What people type first is drawn with its right answer, and typing loosely changes no number."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from align_agent.models.pocket.chats import KINDS, draw_problem
from align_agent.models.pocket.everyday import (
    HEAD,
    draw_bare_calculation,
    draw_small_sum,
    loose,
    typed,
)
from align_agent.models.pocket.facts import FIRST_WORDS, TALK
from align_agent.models.pocket.mix import BROAD, EVERYDAY, HARD, LAST
from align_agent.models.pocket.styles import meets, random_style, read, write
from align_agent.models.pocket.world import DRAWERS

seeds = st.integers(0, 10**9)


def numbers(text):
    return re.findall(r"\d+", text)


@given(seeds)
def test_a_bare_sum_is_answered_right_in_every_style_and_the_style_is_read_back(seed):
    rng = random.Random(seed)
    problem, style = draw_small_sum(rng), random_style(rng, 0.5)
    text = write(problem, style, rng)
    assert problem.correct(text)
    assert meets(problem, text, [f"{axis}:{getattr(style, axis)}" for axis in read(problem, text)])


@given(seeds)
def test_a_bare_sum_is_of_two_digits_and_a_calculation_of_more(seed):
    small, large = draw_small_sum(random.Random(seed)), draw_bare_calculation(random.Random(seed))
    assert max(map(int, numbers(small.question))) <= HEAD
    assert max(map(int, numbers(large.question))) > HEAD
    assert sorted(numbers(large.expression)) == sorted(numbers(large.question))
    assert eval(large.expression) == large.answer >= 0


@given(seeds, st.sampled_from(sorted(KINDS)))
def test_a_typed_question_keeps_its_numbers_in_order(seed, kind):
    rng = random.Random(seed)
    question = DRAWERS[kind](rng).question
    assert numbers(typed(question, rng)) == numbers(question)


@given(st.text(min_size=1).filter(str.strip), seeds)
def test_loose_typing_changes_case_and_the_last_mark_alone(text, seed):
    found = loose(text, random.Random(seed))
    assert found.rstrip("?.!").lower() == text.rstrip("?.!").lower()


def test_only_the_last_mix_draws_what_is_typed_first():
    first = {words.lower() for said, *_ in FIRST_WORDS for words in said}
    first -= {words.lower() for said, *_ in TALK for words in said}
    rng = random.Random(0)

    def drawn(mix):
        return {draw_problem(rng, False, mix).question.lower() for _ in range(3000)}

    assert not any(drawn(mix) & first for mix in (BROAD, HARD, LAST))
    assert drawn(EVERYDAY) & first
