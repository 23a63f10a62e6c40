"""The sentence on top of the morning, for every way in which a night may end."""

from __future__ import annotations

import pytest

from align_agent.records import Rule, Run, now
from align_agent.web.news import Facts, headline
from align_agent.web.pages.morning import pairs


def ended(status: str, **more: object) -> Run:
    return Run("run-1", status, finished_at=now(), reason="the reason", **more)  # type: ignore[arg-type]


def test_a_good_night_is_told_with_its_figures() -> None:
    run = ended("promoted", candidate=13)
    facts = Facts(13, since=now(), run=run, trained=46, rules=5, gates=(7, 7))
    news = headline(facts)
    assert news.tone == "good"
    assert news.sentence.startswith("v13 serves since ")
    assert news.sentence.endswith(": learned from 46 turns, 5 rules, all 7 gates passed.")


@pytest.mark.parametrize("status", ["skipped", "rejected", "failed", "interrupted"])
def test_a_night_that_made_nothing_is_told_with_its_reason(status: str) -> None:
    news = headline(Facts(2, run=ended(status, candidate=3)))
    assert news.tone in ("attention", "bad")
    assert "v2 serves" in news.sentence
    assert "the reason" in news.detail.lower()


def test_a_missed_night_is_louder_than_the_good_one_before_it() -> None:
    run = ended("promoted", candidate=2)
    facts = Facts(2, since=now(), run=run, due=now(), forbids=("too busy",), scheduler=True)
    news = headline(facts)
    assert news.tone == "bad" and "did not run" in news.sentence
    assert news.detail == "It waits: too busy."


def test_without_a_scheduler_a_missed_night_says_how_to_start_one() -> None:
    assert "align-agent schedule run" in headline(Facts(0, due=now())).detail


def test_a_version_that_waits_asks_for_a_yes() -> None:
    news = headline(Facts(1, run=ended("review", candidate=2), waiting=2, trained=3))
    assert news.tone == "attention" and news.sentence.startswith("v2 waits for your yes")


def test_after_a_rollback_the_morning_says_that_nights_are_held() -> None:
    run = ended("promoted", candidate=2)
    news = headline(Facts(1, since=now(), run=run, held="rolled back from v2 to v1"))
    assert news.tone == "attention" and "rolled back from v2" in news.detail


def test_a_champion_that_cannot_serve_is_the_first_thing_to_know() -> None:
    news = headline(Facts(2, run=ended("promoted", candidate=2), fallback="v2 is damaged"))
    assert news == type(news)("bad", "v2 is damaged.", news.detail)


def test_an_empty_home_says_how_to_begin() -> None:
    assert "align-agent chat" in headline(Facts(0)).detail


SAMPLES = [
    {"prompt": str(number), "base": "", "before": "plain", "after": "plain", "note": ""}
    for number in range(9)
]
PLAIN = Rule("Plain text.", "active", check={"name": "no_markdown"})


def test_the_pairs_are_the_same_on_every_look() -> None:
    assert pairs(SAMPLES, [PLAIN], 7) == pairs(SAMPLES, [PLAIN], 7)
    assert pairs(SAMPLES, [PLAIN], 7) != pairs(SAMPLES, [PLAIN], 8)


def test_a_number_that_the_later_answer_leaves_out_is_a_regression() -> None:
    kept = Rule("Keep numbers.", "active", check={"name": "numbers_kept"})
    sample = {"prompt": "Translate: 12 mice.", "before": "12 Mäuse.", "after": "Mäuse."}
    assert [pair["worst"] for pair in pairs([sample], [kept], 0)] == [True]


def test_the_largest_regression_is_always_shown_and_first() -> None:
    worse = {**SAMPLES[0], "prompt": "worse", "after": "1. **bold**"}
    for seed in range(5):
        found = pairs([*SAMPLES, worse], [PLAIN], seed)
        assert [pair["prompt"] for pair in found if pair["worst"]] == ["worse"]
        assert found[0]["prompt"] == "worse"
