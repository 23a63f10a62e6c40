"""One cell from end to end on the pocket model, small, and the report of what was played."""

import json

import pytest
from personalization import report, tune
from personalization.peers import Recipe
from personalization.play import PROTOCOL, Cell, play

from align_agent.models.local import LocalModel

pytestmark = pytest.mark.uncounted


@pytest.fixture(scope="module")
def model():
    return LocalModel.load("pocket", device="cpu")


@pytest.fixture(scope="module")
def memory(model):
    return play(model, Cell("one", "memory", 1), nights=1)


def test_a_memory_of_rules_satisfies_within_the_first_day(memory):
    before, after = memory["nights"]
    assert memory["first_answers"][0] is False
    assert memory["first_answers"][-1] is True
    assert (before["satisfied"], len(memory["rules"])) == (0, 1)
    assert after["satisfied"] > 0.9


def test_a_memory_costs_tokens_in_the_prompt(memory):
    before, after = memory["nights"]
    assert after["prompt_tokens"] > before["prompt_tokens"]


def test_a_peer_learns_from_the_log_and_the_report_shows_it(model, tmp_path):
    row = play(model, Cell("one", "sft", 1), nights=1, recipe=Recipe(3e-3, 16, True))
    before, after = row["nights"]
    assert after["ended"].startswith("trained")
    assert after["same"] < before["same"] == 1
    assert row["first_answers"] == [False] * 4
    life = json.loads(json.dumps(row))
    lives = report.grouped([life | {"nights": [before, *[after] * 3]}])
    assert "| sft | 1 | >12 | 0 of 1 |" in report.measured(lives)
    assert life["protocol"] == PROTOCOL


def test_the_search_chooses_the_recipe_that_satisfies_most():
    tried = [
        {"method": "sft", "recipe": {"learning_rate": rate}, "satisfied": good, "correct": 1.0}
        for rate, good in ((1e-3, 0.2), (3e-3, 0.7))
    ]
    assert tune.ranked(tried, "sft")[0]["recipe"] == {"learning_rate": 3e-3}
    assert tune.ranked(tried, "dpo") == []


def test_with_steps_by_day_the_first_corrections_already_count(model):
    row = play(model, Cell("one", "ours-live", 1), nights=1)
    assert row["first_answers"][0] is False
    assert row["first_answers"][-1] is True
    assert row["complaints"][0] < 6
