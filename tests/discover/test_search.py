"""The search: what each method asks and learns, and that a cut-off one goes on as if it had not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from align_agent.discover import methods
from align_agent.discover.methods import WINDOW, Attempt, distinct, examples
from align_agent.discover.problem import Problem, Verifier
from align_agent.discover.report import credit
from align_agent.discover.room import hindsight_of, room_of
from align_agent.discover.search import ATTEMPTS, Search, solve, to_dict
from align_agent.discover.verdicts import Judge, Outcome
from align_agent.errors import ContextTooLong, InputError
from align_agent.models.pocket import WEIGHTS
from align_agent.prompts import with_hindsight
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

PROMPT = (Message("user", "Write a python function that returns all numbers from 1 to n."),)
WANTED = Verifier("tests", entry="numbers", tests="assert numbers(5) == (4, 3, 2, 1, 0)")
PROBLEM = Problem("it", PROMPT[0].content, WANTED, max_new_tokens=48)
IMPOSSIBLE = Problem(
    "never", PROMPT[0].content, Verifier("tests", entry="f", tests="assert f(1) == 1"),
    max_new_tokens=32,
)  # fmt: skip


@pytest.fixture(scope="module")
def pocket() -> LocalModel:
    from align_agent.models.local import LocalModel

    return LocalModel.load(str(WEIGHTS), device="cpu")


def attempt(number: int, said: str, kind: str = "failed", answer: str = "") -> Attempt:
    outcome = Outcome(kind, said)  # type: ignore[arg-type]
    return Attempt(number, number // 16, "plain", True, answer or f"answer {number}", outcome)


def test_multi_turn_shows_the_last_pieces_of_feedback_first_in_first_out() -> None:
    so_far = [attempt(i, f"piece {i}") for i in range(9)]
    (asked,) = methods.ask("multi-turn", PROMPT, so_far, 1, 0)
    shown = [i for i in range(9) if f"piece {i}" in asked.prompt[-1].content]
    assert shown == list(range(9 - WINDOW, 9))


def test_multi_turn_with_its_attempts_is_a_conversation_of_the_last_of_them() -> None:
    so_far = [attempt(i, f"piece {i}") for i in range(9)]
    (asked,) = methods.ask("multi-turn-attempts", PROMPT, so_far, 1, 0)
    assert asked.prompt[:1] == PROMPT
    said = [(message.role, message.content) for message in asked.prompt[1:]]
    last = range(9 - WINDOW, 9)
    assert said[::2] == [("assistant", f"answer {i}") for i in last]
    assert said[1::2] == [("user", f"piece {i}") for i in last]


def searched(count: int) -> list[Attempt]:
    """What auto tried in so many attempts one by one, each failed for a reason of its own."""
    so_far: list[Attempt] = []
    for number in range(count):
        (asked,) = methods.ask("auto", PROMPT, so_far, 1, 0)
        outcome = Outcome("failed", f"piece {number}.")
        so_far.append(Attempt(number, number // 16, asked.how, False, f"answer {number}", outcome))
    return so_far


def test_auto_goes_on_with_a_conversation_and_begins_anew_now_and_then() -> None:
    hows = [one.how for one in searched(12)]
    assert methods.sizes("auto")[:12] == (1,) * 12
    assert hows == ["plain", "told", *["turns"] * 4, "told", *["turns"] * 4, "told"]


def test_autos_conversation_holds_its_own_last_attempts_alone() -> None:
    so_far = searched(8)
    (asked,) = methods.ask("auto", PROMPT, so_far, 1, 0)
    assert not asked.student
    said = [message.content for message in asked.prompt[1:]]
    assert said[::2] == [f"answer {n}" for n in (3, 4, 5, 7)]  # 6 began anew
    assert said[1::2] == [f"piece {n}." for n in (3, 4, 5, 7)]


def test_auto_begins_anew_from_all_feedback_without_any_attempt() -> None:
    (asked,) = methods.ask("auto", PROMPT, searched(11), 1, 0)
    assert asked.how == "told"
    text = "".join(message.content for message in asked.prompt)
    assert sum(f"piece {n}." in text for n in range(11)) > WINDOW
    assert not any(f"answer {n}" in text for n in range(11))


def test_from_the_first_step_on_most_attempts_are_the_students() -> None:
    so_far = searched(16)
    asked = [a for n in methods.sizes("auto", 1) for a in methods.ask("auto", PROMPT, so_far, n, 0)]
    assert len(asked) == 16
    assert sum(one.student for one in asked) > 8
    assert {one.how for one in asked if one.student} == {"plain", "told"}
    assert {one.how for one in asked if not one.student} == {"told", "turns"}


def says(text: str) -> Verifier:
    """Turns every attempt down, each time with that text and another number."""
    return Verifier("function", source=f"def verify(answer, call):\n    return False, {text!r}")


@pytest.mark.parametrize("method", ["auto", "sdpo", "multi-turn", "multi-turn-attempts"])
def test_feedback_longer_than_the_context_ends_no_search(
    pocket: LocalModel, method: methods.Method
) -> None:
    problem = Problem("long", PROMPT[0].content, says("y " * 600), max_new_tokens=8)
    found = solve(pocket, Search(problem, method, 18, 0), Judge(problem))
    assert len(found.attempts) == 18
    said = found.attempts[0].outcome.said
    assert len(pocket.encode((Message("user", said),))) > pocket.context
    assert len(found.steps) >= (method in ("auto", "sdpo"))
    assert credit(pocket, found)


def test_the_first_pieces_give_way_and_a_last_one_its_middle(pocket: LocalModel) -> None:
    fits = room_of(pocket, 64)
    pieces = [f"{name}: {'wrong ' * 100}." for name in "abcdefghijkl"]
    block = hindsight_of(PROMPT, pieces, fits)
    kept = [piece for piece in pieces if piece in block]
    assert 0 < len(kept) < 12
    assert kept == pieces[-len(kept) :]
    (short,) = [hindsight_of(PROMPT, [f"begun {'wrong ' * 2000}ended"], fits)]
    assert "begun" in short
    assert "ended" in short
    assert len(pocket.encode(with_hindsight(PROMPT, short))) + 64 <= pocket.context


def test_a_conversation_longer_than_the_context_keeps_its_end(pocket: LocalModel) -> None:
    so_far = [attempt(i, f"piece {i} " + "what is wrong " * 60) for i in range(WINDOW)]
    fits = room_of(pocket, 64)
    (asked,) = methods.ask("multi-turn-attempts", PROMPT, so_far, 1, 0, fits)
    assert asked.prompt[:1] == PROMPT
    assert asked.prompt[-1].content == so_far[-1].outcome.said
    assert fits(asked.prompt)


def test_the_command_offers_every_method() -> None:
    from align_agent.cli import solve as command

    assert command._METHODS == methods.METHODS


def test_the_teacher_never_sees_the_failed_attempt() -> None:
    batch = [attempt(i, f"piece {i}") for i in range(3)]
    for method in ("auto", "sdpo"):
        for example in examples(method, PROMPT, batch, batch):
            assert "answer" not in example.hindsight.replace("to answer", "").replace(
                "the answer", ""
            )


def test_sdpo_teaches_each_attempt_its_own_feedback_and_auto_all() -> None:
    batch = [attempt(0, "first"), attempt(1, "second"), attempt(2, "first")]
    own = examples("sdpo", PROMPT, batch, batch)
    assert ["second" in e.hindsight for e in own] == [False, True, False]
    every = examples("auto", PROMPT, batch, batch)
    assert all("first\nsecond" in e.hindsight for e in every)


def test_what_a_broken_verifier_says_is_never_learned() -> None:
    batch = [attempt(0, "the tests: timed out", "broken")]
    assert distinct(batch) == []
    assert examples("auto", PROMPT, batch, batch) == []


@pytest.mark.parametrize("method", ["best-of-k", "grpo", "multi-turn", "multi-turn-attempts"])
def test_methods_without_steps_ask_the_base(method: methods.Method) -> None:
    asked = methods.ask(method, PROMPT, [attempt(0, "x")], 2, 0)
    assert not any(one.student for one in asked)
    assert examples(method, PROMPT, [attempt(0, "x")], [attempt(0, "x")]) == []


def test_auto_finds_what_its_prompt_does_not_say(pocket: LocalModel) -> None:
    found = solve(pocket, Search(PROBLEM, "auto", 96, 0), Judge(PROBLEM))
    assert found.solution is not None
    assert Judge(PROBLEM).judge(found.solution.answer).passed


def test_sdpo_brings_the_student_nearer_to_who_saw_the_feedback(pocket: LocalModel) -> None:
    found = solve(pocket, Search(PROBLEM, "sdpo", 64, 1), Judge(PROBLEM))
    assert len(found.steps) == 3
    assert found.steps[-1]["kl"] < found.steps[0]["kl"]


def test_a_search_that_is_cut_off_goes_on_as_if_it_had_not_been(
    pocket: LocalModel, tmp_path: Path
) -> None:
    judge = Judge(IMPOSSIBLE)
    whole = solve(pocket, Search(IMPOSSIBLE, "auto", 20, 3), judge, folder=tmp_path)
    path = tmp_path / ATTEMPTS
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:17]) + lines[17][:30])  # killed within a write
    again = solve(pocket, Search(IMPOSSIBLE, "auto", 20, 3), judge, folder=tmp_path)
    assert again.resumed == 17
    assert [to_dict(a) for a in again.attempts] == [to_dict(a) for a in whole.attempts]
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [*range(20)]


@pytest.mark.parametrize("changed", ["again", "gap", "no JSON"])
def test_attempts_that_are_not_of_one_search_are_refused(
    pocket: LocalModel, tmp_path: Path, changed: str
) -> None:
    judge = Judge(IMPOSSIBLE)
    solve(pocket, Search(IMPOSSIBLE, "best-of-k", 3, 0), judge, folder=tmp_path)
    path = tmp_path / ATTEMPTS
    one, two, three = path.read_text().splitlines(keepends=True)
    path.write_text(one + {"again": two + two, "gap": three, "no JSON": "[]\n"}[changed])
    with pytest.raises(InputError, match="is not attempt"):
        solve(pocket, Search(IMPOSSIBLE, "best-of-k", 3, 0), judge, folder=tmp_path)


@pytest.mark.parametrize("kept", [False, True])
def test_the_batch_that_spends_the_budget_is_learned_only_to_be_kept(
    pocket: LocalModel, tmp_path: Path, kept: bool
) -> None:
    search = Search(IMPOSSIBLE, "sdpo", 16, 0)
    adapter = tmp_path / "adapter" if kept else None
    assert len(solve(pocket, search, Judge(IMPOSSIBLE), adapter=adapter).steps) == kept


def test_a_budget_of_nothing_is_spent_at_once(pocket: LocalModel) -> None:
    found = solve(pocket, Search(PROBLEM, "auto", 0, 0), Judge(PROBLEM))
    assert (found.solved, found.attempts) == (False, [])


def test_a_budget_is_never_exceeded(pocket: LocalModel) -> None:
    found = solve(pocket, Search(IMPOSSIBLE, "best-of-k", 21, 0), Judge(IMPOSSIBLE))
    assert len(found.attempts) == 21


def test_a_prompt_longer_than_the_context_is_refused(pocket: LocalModel) -> None:
    problem = Problem("long", "word " * 2000, WANTED)
    with pytest.raises(ContextTooLong, match="`long` has"):
        solve(pocket, Search(problem, "auto", 4, 0), Judge(problem))


def test_a_verifier_that_breaks_on_every_attempt_ends_the_search(pocket: LocalModel) -> None:
    source = "def verify(answer, call):\n    return 'numbers' in answer and 1 / 0"
    problem = Problem("it", PROMPT[0].content, Verifier("function", source=source))
    judge = Judge(problem)
    judge.check()
    with pytest.raises(InputError, match="broke on every attempt"):
        solve(pocket, Search(problem, "best-of-k", 64, 0), judge)
