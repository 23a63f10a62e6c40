"""The simulated people: they complain about one thing at a time, and only about what they mind."""

import random

import pytest

from align_agent.demo.personas import PERSONAS, STUDENT, TEACHER, SimulatedUser
from align_agent.models.pocket import wordings
from align_agent.models.pocket.styles import DEFAULT, write
from align_agent.models.pocket.world import is_unseen


def wished(persona):
    style = DEFAULT
    for direction in persona.wants:
        style = style.with_direction(direction)
    return style


@pytest.mark.parametrize("persona", PERSONAS.values(), ids=list(PERSONAS))
def test_nobody_is_satisfied_by_the_default_style(persona):
    rng = random.Random(1)
    problems = persona.problems(40, 1)
    assert not any(persona.satisfied(p, write(p, DEFAULT, rng)) for p in problems)


@pytest.mark.parametrize("persona", PERSONAS.values(), ids=list(PERSONAS))
def test_a_wished_answer_draws_no_complaint(persona):
    rng = random.Random(2)
    user = SimulatedUser(persona, rng)
    for problem in persona.problems(40, 2):
        assert user.complaint(problem, write(problem, wished(persona), rng)) == ""


def test_a_complaint_names_one_thing_that_is_wrong():
    rng = random.Random(3)
    user = SimulatedUser(STUDENT, rng)
    half = DEFAULT.with_direction("format:plain")
    said = {user.complaint(p, write(p, half, rng)) for p in STUDENT.problems(60, 3)}
    assert not said & set(wordings.UNSEEN["format:plain"])
    assert said & set(wordings.UNSEEN["length:brief"])


def test_half_of_the_words_were_never_seen_by_the_model():
    rng = random.Random(4)
    user = SimulatedUser(TEACHER, rng)
    for problem in TEACHER.problems(100, 4):
        user.complaint(problem, write(problem, DEFAULT, rng))
    unseen = {w for d in TEACHER.wants for w in wordings.UNSEEN[d]}
    assert 30 <= sum(words in unseen for words in user.said) <= 70


def test_a_chat_ends_when_the_user_is_content():
    rng = random.Random(5)
    user = SimulatedUser(STUDENT, rng)
    asked = []

    def agent(text):
        asked.append(text)
        return "2 + 2 = 4, so 4 pens." if len(asked) > 1 else "1. Add 2: 2 + 2 = 4."

    _, lines = user.talk(agent)
    assert user.corrections == 1
    assert 2 <= len(lines) <= 3


def test_a_user_gives_up_complaining_in_the_end():
    user = SimulatedUser(STUDENT, random.Random(6))
    _, lines = user.talk(lambda text: "**no**")
    assert len(lines) <= 6
    assert user.corrections == 1


def test_measured_problems_are_set_aside_from_training():
    assert all(is_unseen(p) for p in STUDENT.problems(100, 7))
