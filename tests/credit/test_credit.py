import json

import pytest

from align_agent.credit import Credit, TokenCredit, of_answer
from align_agent.errors import InputError, TimedOut
from align_agent.models.pocket import WEIGHTS
from align_agent.records import Message

pytestmark = pytest.mark.skipif(
    not (WEIGHTS / "model.safetensors").exists(), reason="no pocket weights"
)

ASKED = (Message("user", "Write a python function that returns all numbers from 1 to n"),)
CODE = "```python\ndef numbers(n):\n    return [i for i in range(1, n + 1)]\n```"


@pytest.fixture(scope="module")
def model():
    from align_agent.models.local import LocalModel

    return LocalModel.load("pocket", device="cpu")


@pytest.fixture(scope="module")
def credit(model) -> Credit:
    return of_answer(model, ASKED, (Message("assistant", CODE),), "Don't include n.")


def test_the_blame_lies_on_the_tokens_of_plus_one(credit):
    text = "".join(token.text for token in credit.tokens)
    start = text.index(" + 1)")
    spot = range(start, start + len(" + 1"))
    at, blamed = 0, 0.0
    for token, share in zip(credit.tokens, credit.blame(), strict=True):
        if at in spot:
            blamed += share
        at += len(token.text)
    assert blamed >= 0.8


def test_one_reward_for_the_whole_answer_blames_every_token_the_same(credit):
    assert credit.even * len(credit.tokens) == pytest.approx(credit.total)
    assert abs(credit.even) < 0.1 * max(abs(token.credit) for token in credit.tokens)


def test_the_teacher_would_close_the_bracket_instead(credit):
    worst = min(credit.tokens, key=lambda token: token.credit)
    assert worst.text == " +"
    assert worst.alternatives[0].text.startswith(")")
    assert worst.alternatives[0].teacher > worst.teacher


def test_the_tokens_joined_are_the_answer(credit):
    assert "".join(token.text for token in credit.tokens) == CODE


def test_feedback_that_is_met_already_blames_little(model, credit):
    thanks = of_answer(model, ASKED, (Message("assistant", CODE),), "Thanks.")
    losses = [sum(min(0.0, t.credit) for t in one.tokens) for one in (thanks, credit)]
    assert losses[0] > 0.1 * losses[1]


def test_in_plain_words_the_blamed_token_is_marked(credit):
    lines = credit.lines()
    assert any("[- +-]" in line for line in lines)
    assert "likelier there" in lines[-1]


def test_a_credit_is_plain_json(credit):
    data = json.loads(json.dumps(credit.to_dict()))
    assert len(data["tokens"]) == len(credit.tokens)
    assert data["tokens"][0].keys() >= {"text", "credit", "blame", "alternatives"}


def test_characters_of_several_tokens_are_shown_whole(model):
    found = of_answer(
        model, ASKED, (Message("assistant", "Bravo \U0001f600 d\u00e9j\u00e0!"),), "No."
    )
    assert "".join(token.text for token in found.tokens) == "Bravo \U0001f600 d\u00e9j\u00e0!"


def test_without_an_answer_there_is_nothing_to_explain(model):
    with pytest.raises(InputError):
        of_answer(model, ASKED, (), "Don't include n.")


def test_weighing_ends_when_its_time_is_over(model):
    with pytest.raises(TimedOut):
        of_answer(model, ASKED, (Message("assistant", CODE),), "No.", over=lambda: True)


def test_nothing_blamed_is_no_share_at_all():
    assert Credit("", "", "", (), (TokenCredit("a", -0.1, -0.2),)).blame() == (0.0,)
