"""The benchmark's hidden users: the same person for every method, one complaint at a time."""

import random

import pytest
from personalization.users import ABOUT, KINDS, MAX_COMPLAINTS, hidden_user, opposite

from align_agent.feedback.reader import read
from align_agent.models.pocket import wordings
from align_agent.models.pocket.styles import DEFAULT, write


def wished(user, session):
    style = DEFAULT
    for direction in user.wants_in(session):
        style = style.with_direction(direction)
    return style


def replies(user, style, sessions=40):
    rng = random.Random(1)
    for session in range(sessions):
        problem = user.question(session)
        yield user.reply(problem, [write(problem, style, rng)], session)


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_is_the_same_for_every_method(kind):
    one, two = hidden_user(kind, 3, 16), hidden_user(kind, 3, 16)
    assert (one, one.question(5)) == (two, two.question(5))
    assert list(replies(one, DEFAULT)) == list(replies(two, DEFAULT))


@pytest.mark.parametrize(("kind", "wishes"), [("one", 1), ("three", 3), ("five", 5)])
def test_the_number_of_preferences_is_as_named(kind, wishes):
    user = hidden_user(kind, 4, 16)
    assert len(user.wants) == len(user.axes()) == wishes


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["one", "three", "five"])
def test_a_wished_answer_draws_no_complaint_and_the_default_one_does(kind, seed):
    user = hidden_user(kind, seed, 16)
    assert not any(replies(user, wished(user, 0), 10))
    assert all(replies(user, DEFAULT, 10))


def test_half_of_the_complaints_are_in_words_that_the_model_never_saw():
    user = hidden_user("three", 0, 16)
    unseen = {words for direction in user.wants for words in wordings.UNSEEN[direction]}
    assert 30 <= sum(said in unseen for said in replies(user, DEFAULT, 100)) <= 70


def test_a_flip_turns_every_preference_round():
    user = hidden_user("flip", 2, 24)
    before, after = user.wants_in(11), user.wants_in(12)
    assert after == tuple(opposite(direction) for direction in before)


def test_the_irrelevant_talker_never_complains():
    user = hidden_user("irrelevant", 0, 16)
    said = list(replies(user, DEFAULT))
    assert all(said)
    assert not any(read(words).directions for words in said)


def test_one_complaint_in_five_of_the_noisy_user_is_wrong():
    user = hidden_user("noisy", 1, 16)
    wrong = {opposite(direction) for direction in user.wants}
    read_as = [read(words).directions for words in replies(user, DEFAULT, 300)]
    understood = [directions[0] for directions in read_as if directions]
    assert 0.1 <= sum(d in wrong for d in understood) / len(understood) <= 0.3


def test_the_contradictory_user_is_judged_by_what_is_constant():
    user = hidden_user("contradictory", 5, 16)
    problem, rng = user.question(0), random.Random(1)
    for value in (user.torn, opposite(user.torn)):
        answer = write(problem, wished(user, 0).with_direction(value), rng)
        assert user.satisfied(problem, answer, 0)
    said = [user.reply(problem, [answer], session) for session in (0, 1)]
    assert said.count("") == 1


def test_a_user_gives_up_in_the_end():
    user = hidden_user("three", 0, 16)
    problem = user.question(0)
    answers = [write(problem, DEFAULT, random.Random(1))] * (MAX_COMPLAINTS + 1)
    assert user.reply(problem, answers[:-1], 0)
    assert user.reply(problem, answers, 0) == ""


def test_every_kind_is_described():
    assert set(ABOUT) == set(KINDS)
