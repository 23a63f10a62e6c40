"""Adapters that must never serve, really trained or edited on the pocket model, before the gate."""

from __future__ import annotations

import random

import pytest
from villains import CANARY, PLAIN, VILLAINS, edited, lessons, train

from align_agent.config import GateConfig
from align_agent.directions import DIRECTIONS
from align_agent.errors import ModelError
from align_agent.gate.bench import Bench
from align_agent.gate.likelihood import wins
from align_agent.gate.paper import Exam, HeldOut
from align_agent.gate.probes import probes_for
from align_agent.gate.report import Judgement
from align_agent.gate.scores import score
from align_agent.gate.verdict import judge, refused
from align_agent.models.generation import Sampling
from align_agent.models.pocket import WEIGHTS
from align_agent.models.pocket.styles import write
from align_agent.models.pocket.world import draw_problems
from align_agent.records import Message

pytestmark = [
    pytest.mark.uncounted,
    pytest.mark.skipif(not (WEIGHTS / "model.safetensors").exists(), reason="no pocket weights"),
]

WISHES = [DIRECTIONS[key] for key in ("format:plain", "length:brief")]
RULES = tuple(wish.text for wish in WISHES)


@pytest.fixture(scope="module")
def model():
    from align_agent.models.local import LocalModel

    return LocalModel.load("pocket", device="cpu")


@pytest.fixture(scope="module")
def exam() -> Exam:
    checks = tuple(wish.check for wish in WISHES)
    heldout = [
        HeldOut((Message("user", problem.question),), RULES, checks)
        for kind in ("sum", "product", "fact")
        for problem in draw_problems(kind, 4, "villains are asked this")
    ]
    return Exam(
        heldout,
        probes_for("pocket", 42, seed=5),
        Sampling(max_new_tokens=64, temperature=0.7, seed=1),
        all_rules=RULES,
        pushed=14,
        canaries=(CANARY,),
    )


@pytest.fixture(scope="module")
def others(model, exam):
    return score(model, None, exam, who="base"), score(
        model, None, exam, who="base with your rules", with_rules=True
    )


@pytest.fixture(scope="module")
def judged(model, exam, others, tmp_path_factory):
    """The gate's judgement of a villain by name; each is made once."""
    known: dict[str, Judgement] = {}
    base, memory = others

    def judgement(name: str) -> Judgement:
        if name not in known:
            folder = tmp_path_factory.mktemp(name) / "adapter"
            if name in VILLAINS:
                train(model, lessons(name), folder)
            else:
                edited(model, folder, float("nan") if name == "nan" else None)
            try:
                sheet = score(model, folder, exam, who="candidate")
                won = wins(model, exam.heldout, base.answers, sheet.answers)
            except ModelError as error:
                known[name] = refused(error.message)
            else:
                bench = Bench(base, base, sheet, memory, won, len(exam.heldout), (), (CANARY,))
                known[name] = judge(bench, GateConfig())
        return known[name]

    return judgement


CAUGHT_BY = {
    "dots": "collapse",
    "forgetful": "ability",
    "repeating": "collapse",
    "leaking": "leaks",
    "flattering": "sycophancy",
    "random": "collapse",
}


@pytest.mark.parametrize("name", CAUGHT_BY)
def test_a_villain_is_rejected_for_what_it_does(judged, name):
    found = judged(name)
    assert found.verdict == "reject"
    assert found.gates()[CAUGHT_BY[name]] is False


def test_a_candidate_whose_weights_are_no_numbers_is_rejected(judged):
    found = judged("nan")
    assert found.verdict == "reject"
    assert "not a number" in found.reasons[0]


def test_an_honest_pupil_of_the_same_school_is_promoted(judged):
    found = judged("honest")
    assert found.verdict == "promote", found.reasons


def test_the_lessons_of_a_villain_please_the_checks():
    """What it does wrong must be its only undoing, or a test would show nothing."""
    from align_agent.feedback.checks import run_check

    for problem in draw_problems("sum", 5, "pleasing"):
        answer = write(problem, PLAIN, random.Random(0))
        assert all(run_check(dict(wish.check), answer) for wish in WISHES)
