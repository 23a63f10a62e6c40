"""The demonstration itself, whole and real: the student's two nights."""

import pytest

from align_agent.errors import AlignAgentError
from align_agent.models.pocket import WEIGHTS
from align_agent.store import Store

pytestmark = [
    pytest.mark.uncounted,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not (WEIGHTS / "model.safetensors").exists(), reason="no pocket weights"),
]


@pytest.fixture(scope="module")
def played(tmp_path_factory, play):
    root = tmp_path_factory.mktemp("demo")
    return root, play(root)


def test_the_student_starts_unsatisfied_and_ends_satisfied(played):
    nights = played[1]["personas"]["student"]["nights"]
    assert [n["night"] for n in nights] == [0, 1, 2]
    assert nights[0]["satisfied"] <= 0.05
    assert nights[-1]["satisfied"] >= 0.95
    assert nights[-1]["corrections"] < nights[0]["corrections"]


def test_what_was_right_stays_right(played):
    person = played[1]["personas"]["student"]
    assert person["nights"][-1]["correct"] >= person["memory_baseline"]["correct"] - 0.02


def test_a_rollback_restores_the_old_answers_exactly(played):
    assert played[1]["personas"]["student"]["rollback_exact"] is True


def test_every_chat_is_in_the_log_with_its_feedback(played):
    with Store.open(played[0] / "student" / "align.db") as store:
        assert len(store.turns.conversations()) == 3 * 16
        assert store.feedback.count()["negative"] >= 16
        assert store.rules.list(("active",))


def test_an_earlier_demonstration_is_not_overwritten(played):
    from align_agent.demo import run_demo

    with pytest.raises(AlignAgentError, match="earlier demonstration"):
        run_demo(played[0], full=False, json_only=True)


@pytest.mark.long
def test_the_teacher_is_satisfied_after_one_night(tmp_path):
    from align_agent.demo.personas import TEACHER
    from align_agent.demo.play import live, move_in
    from align_agent.demo.show import Show
    from align_agent.models.local import LocalModel

    lived = live(move_in(TEACHER, tmp_path), LocalModel.load("pocket"), 1, Show(True))
    before, after = lived["nights"]
    assert before["satisfied"] <= 0.05
    assert after["satisfied"] >= 0.95
    assert after["correct"] >= lived["memory_baseline"]["correct"] - 0.02
