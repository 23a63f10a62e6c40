"""The peers' losses against their formulas, and what each sees of the log."""

import math

import pytest
import torch
from personalization import peers
from personalization.peers import Batch, Row, Text

from align_agent.records import Message, Turn

ROW = Row(Text((1, 2), (0,), (2,)))
MASK = torch.tensor([[1.0, 1.0], [1.0, 0.0]])


def batch(student, reference, **more):
    rows = more.pop("rows", [ROW, ROW])
    return Batch(rows, torch.tensor(student) * MASK, torch.tensor(reference) * MASK, MASK, **more)


BEFORE = [[-1.0, -2.0], [-3.0, 0.0]]


def test_sft_is_the_mean_cross_entropy_of_each_answer():
    assert peers.sft_loss(batch(BEFORE, BEFORE)).item() == pytest.approx((1.5 + 3) / 2)


def test_the_sampled_tokens_gradient_is_minus_its_clipped_advantage():
    student = torch.tensor(BEFORE, requires_grad=True)
    told = torch.tensor([[-0.5, -9.0], [-3.0, 0.0]])
    found = Batch([ROW, ROW], student, torch.tensor(BEFORE), MASK, told=told)
    peers.sampled_loss(found).backward()
    # Advantages 0.5, -7 (clipped to -1) and 0; two tokens an answer, two answers.
    assert student.grad.tolist() == [[-0.125, 0.25], [0.0, 0.0]]


def test_a_rewarded_answer_becomes_likelier_and_a_blamed_one_less_likely():
    student = torch.tensor(BEFORE, requires_grad=True)
    rows = [Row(ROW.text, reward=1.0), Row(ROW.text, reward=-1.0)]
    peers.reward_loss(Batch(rows, student, torch.tensor(BEFORE), MASK)).backward()
    assert (student.grad[0] < 0).all()
    assert student.grad[1, 0] > 0


def test_dpo_is_log_two_before_any_step_and_falls_with_the_better_answers_rise():
    other = {"other_student": torch.tensor(BEFORE), "other_reference": torch.tensor(BEFORE)}
    start = batch(BEFORE, BEFORE, other_mask=MASK, **other)
    risen = batch([[-0.5, -1.0], [-1.0, 0.0]], BEFORE, other_mask=MASK, **other)
    assert peers.dpo_loss(start).item() == pytest.approx(math.log(2))
    assert peers.dpo_loss(risen) < peers.dpo_loss(start)


def logged(answer, reward):
    prompt = (Message("user", "Q"),)
    turn = Turn("session-000", prompt, (Message("assistant", answer),), "Q", answer)
    return peers.Logged(turn, "words", reward)


def test_the_corrected_answer_is_the_one_after_the_last_complaint():
    session = [logged("bad", -1), logged("better", -1), logged("good", 1), logged("bye", 0)]
    first, final = peers.corrected(session)
    assert (first.answer, final.answer) == ("bad", "good")


@pytest.mark.parametrize("rewards", [[0, 0], [1], [-1, -1], [0, -1, 0]])
def test_a_session_without_a_correction_of_its_first_answer_gives_none(rewards):
    assert peers.corrected([logged("a", reward) for reward in rewards]) is None
