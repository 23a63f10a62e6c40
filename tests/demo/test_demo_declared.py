"""The demonstration's third person, whole and real: declares first, and two nights later needs it
no more."""

import pytest

from align_agent.models.pocket import WEIGHTS

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not (WEIGHTS / "model.safetensors").exists(), reason="no pocket weights"),
]


@pytest.fixture(scope="module")
def declared(tmp_path_factory, play):
    """What `align-agent demo --declared --json` prints."""
    return play(tmp_path_factory.mktemp("declared"), "--declared")["declared"]


def test_the_first_answers_satisfy_with_the_rules_in_the_prompt_and_not_without(declared):
    first = declared["nights"][0]
    assert first["version"] == "base"
    assert first["with_rules"]["satisfied"] >= 0.95
    assert first["without_rules"]["satisfied"] <= 0.05


def test_after_two_nights_the_rules_can_be_taken_out_of_the_prompt(declared):
    last = declared["nights"][-1]
    assert (last["night"], last["version"] != "base") == (2, True)
    assert last["without_rules"]["satisfied"] >= last["with_rules"]["satisfied"] - 0.02 >= 0.93


def test_nothing_right_is_lost_for_it(declared):
    first, last = declared["nights"][0], declared["nights"][-1]
    assert last["without_rules"]["correct"] >= first["with_rules"]["correct"] - 0.02


def test_nothing_declared_has_to_be_said_again(declared):
    assert [row["corrections"] for row in declared["nights"][:-1]] == [0, 0]


def test_the_tokens_that_each_request_saves_are_told(declared):
    assert declared["tokens_saved_per_request"] > 0
