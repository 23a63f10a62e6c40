from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.gate.scores import Scores
from align_agent.gate.verdict import judge, refused


@dataclass(frozen=True)
class Limits:
    mode: str = "auto"
    max_correctness_loss: float = 0.02
    min_gain: float = 0.0


def scores(who: str, met: int = 0, right: int = 95, **changes: object) -> Scores:
    plain = Scores(
        who,
        checks_met=met,
        checks=32,
        probes_right=right,
        probes=100,
        length=20.0,
        distinct=0.5,
        repetition=0.05,
        n_heldout=16,
        n_own=16,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


BASE = scores("base")
CHAMPION = scores("champion", met=4)
MEMORY = scores("memory", met=30)


def verdict(candidate: Scores, **limits: object):
    return judge(BASE, CHAMPION, candidate, MEMORY, Limits(**limits))  # type: ignore[arg-type]


def test_a_candidate_that_gained_and_lost_nothing_is_promoted():
    assert verdict(scores("candidate", met=31)).verdict == "promote"


def test_the_reasons_say_the_numbers_of_candidate_and_champion():
    told = " ".join(verdict(scores("candidate", met=31)).reasons)
    assert "met 31 of 32 rule checks on your own held-out prompts; the champion met 4" in told


def test_the_memory_baseline_is_always_told_beside():
    told = " ".join(verdict(scores("candidate", met=31)).reasons)
    assert "the base with your rules in its prompt met 30 of 32" in told


def test_a_candidate_that_meets_no_more_checks_than_the_champion_is_rejected():
    judged = verdict(scores("candidate", met=4))
    assert judged.verdict == "reject"
    assert judged.reasons[0].startswith("it did not gain")


def test_losing_exactly_the_allowed_points_passes():
    assert verdict(scores("candidate", met=31, right=93)).verdict == "promote"


def test_losing_one_probe_more_than_allowed_is_rejected():
    judged = verdict(scores("candidate", met=31, right=92))
    assert judged.verdict == "reject"
    assert "it lost 3 points of correctness, 2 points are allowed" in judged.reasons[0]


def test_ability_is_measured_against_the_base_with_the_same_rules_and_not_the_plain_base():
    brief = replace(MEMORY, probes_right=80)
    candidate = scores("candidate", met=31, right=79)
    assert judge(BASE, CHAMPION, candidate, brief, Limits()).verdict == "promote"


def test_a_gain_below_the_configured_minimum_is_rejected():
    assert verdict(scores("candidate", met=6), min_gain=0.1).verdict == "reject"


def unchecked(who: str, *margins: float, **changes: object) -> Scores:
    return scores(who, checks=0, checks_met=0, unchecked=16, margins=margins, **changes)


def test_without_a_checkable_rule_the_teachers_margin_decides():
    champion = unchecked("champion", -0.2, -0.1, -0.3)
    better = unchecked("candidate", 0.3, 0.2, 0.2)
    assert judge(BASE, champion, better, MEMORY, Limits()).verdict == "promote"


def test_a_margin_within_the_noise_is_no_gain():
    champion = unchecked("champion", 0.2, 0.2, 0.2)
    candidate = unchecked("candidate", 0.9, -0.4, 0.2)
    assert judge(BASE, champion, candidate, MEMORY, Limits()).verdict == "reject"


def test_margins_are_compared_prompt_by_prompt():
    # The spread between prompts is large, the rise on each of them small and steady.
    champion = unchecked("champion", -5.0, 0.0, 5.0)
    candidate = unchecked("candidate", -4.9, 0.11, 5.1)
    assert judge(BASE, champion, candidate, MEMORY, Limits()).verdict == "promote"


def test_the_margin_of_a_single_prompt_shows_nothing():
    judged = judge(BASE, unchecked("champion", -1.0), unchecked("candidate", 1.0), MEMORY, Limits())
    assert judged.verdict == "reject"


def test_margin_does_not_help_a_candidate_that_meets_fewer_checks():
    candidate = scores("candidate", met=3, unchecked=16, margins=(5.0, 5.0))
    champion = replace(CHAMPION, margins=(0.0, 0.1))
    assert judge(BASE, champion, candidate, MEMORY, Limits()).verdict == "reject"


def test_margin_breaks_a_tie_of_checks_where_something_is_unchecked():
    candidate = scores("candidate", met=4, unchecked=16, margins=(5.0, 5.1))
    champion = replace(CHAMPION, margins=(0.0, 0.1))
    assert judge(BASE, champion, candidate, MEMORY, Limits()).verdict == "promote"


def test_review_mode_never_promotes_by_itself():
    assert verdict(scores("candidate", met=31), mode="review").verdict == "review"


def test_review_mode_still_rejects():
    assert verdict(scores("candidate", met=0), mode="review").verdict == "reject"


@pytest.mark.parametrize(
    "change",
    [
        {"probes": 0, "probes_right": 0},
        {"n_heldout": 0},
        {"length": float("nan")},
        {"margins": (1.0,)},
    ],
    ids=["no probes", "no prompts", "not a number", "other prompts"],
)
def test_a_gate_that_cannot_measure_rejects(change):
    judged = verdict(scores("candidate", met=31, **change))
    assert judged.verdict == "reject"
    assert judged.reasons[0].startswith("the gate could not run")


def test_a_gate_that_failed_rejects_with_its_cause():
    judged = refused("the model ran out of memory")
    assert (judged.verdict, judged.reasons) == (
        "reject",
        ("the gate could not run: the model ran out of memory",),
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"length": 400.0}, "words on average"),
        ({"length": 1.0}, "words on average"),
        ({"distinct": 0.1}, "alike"),
        ({"repetition": 0.6}, "repeats itself"),
    ],
)
def test_a_collapse_of_the_answers_is_rejected(change, word):
    judged = verdict(scores("candidate", met=31, **change))
    assert judged.verdict == "reject"
    assert word in judged.reasons[0]


def test_reasons_say_when_the_prompts_were_general_ones():
    candidate = scores("candidate", met=31, n_own=0)
    assert "on general prompts" in " ".join(verdict(candidate).reasons)


def test_reasons_say_how_many_prompts_were_general_ones():
    candidate = scores("candidate", met=31, n_own=3)
    told = " ".join(verdict(candidate).reasons)
    assert "on 3 of your own held-out prompts and 13 general ones" in told


def test_probes_that_even_the_base_fails_are_called_blind():
    memory = replace(MEMORY, probes_right=0)
    candidate = scores("candidate", met=31, right=0)
    told = " ".join(judge(BASE, CHAMPION, candidate, memory, Limits()).reasons)
    assert "cannot show a loss of ability" in told


def test_the_table_has_a_row_for_each_contestant():
    rows = verdict(scores("candidate", met=31)).table
    assert [row["who"] for row in rows] == ["base", "champion", "candidate", "memory"]


counts = st.integers(0, 32)


@given(met=counts, champion=counts, right=st.integers(0, 100), memory=st.integers(0, 100))
def test_nothing_is_promoted_that_lost_ability_or_gained_nothing(met, champion, right, memory):
    judged = judge(
        BASE,
        scores("champion", met=champion),
        scores("candidate", met=met, right=right),
        scores("memory", met=30, right=memory),
        Limits(),
    )
    assert (judged.verdict == "promote") == (met > champion and memory - right <= 2)


@given(met=counts, right=st.integers(0, 100), min_gain=st.floats(0, 1), loss=st.floats(0, 1))
def test_every_verdict_has_a_reason(met, right, min_gain, loss):
    candidate = scores("candidate", met=met, right=right)
    judged = verdict(candidate, min_gain=min_gain, max_correctness_loss=loss)
    assert judged.reasons and all(reason.strip() for reason in judged.reasons)
