"""`solve --keep`: what a search learned becomes a version that waits, or is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from align_agent.adapters.registry import Registry
from align_agent.cli import main
from align_agent.config import load_config
from align_agent.discover.problem import load_problem
from align_agent.discover.search import Search
from align_agent.discover.search import solve as search_for
from align_agent.discover.verdicts import Judge
from align_agent.learn.keep import Keeper
from align_agent.models.generation import Sampling
from align_agent.paths import Home
from align_agent.records import Feedback, Message, Rule, Run, Turn
from align_agent.store import Store

PROBLEM = """\
prompt: Count down in python, please. A function that goes to zero, without n itself.
max_new_tokens: 48
verifier:
  kind: tests
  entry: numbers
  tests: "assert numbers(5) == (4, 3, 2, 1, 0)"
"""


def solve(home: Home, folder: Path, *extra: str) -> int:
    path = folder / "problem.yaml"
    path.write_text(PROBLEM)
    return main(["--home", str(home.root), "solve", str(path), "--keep", "--json", *extra])


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("kept")
    home = Home(folder / "home").ensure()
    home.config.write_text("model:\n  threads: 1\n")
    return home, solve(home, folder, "--budget", "192"), folder


@pytest.mark.uncounted
def test_a_solution_that_is_kept_waits_for_the_users_yes(kept, pocket) -> None:
    home, code, _ = kept
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        (run,) = store.runs.list()
        assert (code, run.status, run.candidate) == (0, "solved", 1)
        adapter = store.adapters.get(1)
        assert adapter.verdict == "review"
        assert any("one problem" in reason for reason in adapter.reasons)
        assert registry.champion() == 0
        assert registry.resolve("candidate") == 1
        assert adapter.run_id == run.id
        path = registry.path(1, base="pocket", base_hash=pocket.base_hash)
    assert not (home.runs / run.id / "adapter").exists()
    problem = load_problem(kept[2] / "problem.yaml")
    said = pocket.generate_batch(
        [(Message("user", problem.prompt),)] * 8, sampling=Sampling(48, 1.0, seed=9), adapter=path
    )
    judge = Judge(problem)
    assert sum(judge.judge(one.text).passed for one in said) >= 4


def complain_of_missing_lists(home: Home) -> None:
    """A rule that the base keeps by itself, and the user's own prompts to ask about it."""
    wish = "Use markdown: lists and bold."
    with Store.open(home.database) as store:
        store.rules.add(Rule(wish, "active", "format:markdown", check={"name": "uses_markdown"}))
        for number in range(12):
            asked = f"Tom has {number + 3} apples and gets 4 more. How many apples has Tom now?"
            said = (Message("assistant", "7."),)
            turn = Turn(f"c-{number}", (Message("user", asked),), said, asked, "7.")
            store.turns.add(turn)
            store.feedback.add(
                Feedback(turn.id, "follow_up", "negative", "format", 0.9, "Use a list.", "test")
            )


def taught_to_leave_lists_out(model, folder: Path) -> Path:
    from align_agent.distill.hindsight import Example, build_hindsight
    from align_agent.distill.step import StepConfig, Stepper

    stepper = Stepper(model, StepConfig(loss="forward_kl", learning_rate=3e-3), seed=1)
    lesson = Example(
        "x",
        (Message("user", "Tom has 9 apples and gets 4 more. How many apples has Tom now?"),),
        (Message("assistant", "9 + 4 = 13, so 13 apples."),),
        build_hindsight(("Write plain text: no bold, no lists, no headings.", "Keep it short.")),
    )
    stepper.step([lesson], 20)
    stepper.save(folder)
    return folder


@pytest.mark.uncounted
def test_what_forgets_what_serves_already_is_refused(kept, pocket, tmp_path: Path) -> None:
    home, _, folder = kept
    complain_of_missing_lists(home)
    with Store.open(home.database) as store:
        Registry(store, home).promote(1, why="a test")
        store.runs.create(Run("run-x", "running", kind="solve", base="pocket"))
        run = store.runs.get("run-x")
    problem = load_problem(folder / "problem.yaml")
    judge = Judge(problem)
    found = search_for(pocket, Search(problem, "best-of-k", 4, 0), judge)
    adapter = taught_to_leave_lists_out(pocket, tmp_path / "adapter")
    told = Keeper(home, load_config(home.config))(run, pocket, found, judge, adapter)
    assert told["verdict"] == "reject"
    assert "of your rule checks on your own prompts" in told["reasons"][0]
    with Store.open(home.database) as store:
        assert Registry(store, home).champion() == 1


def test_a_search_without_a_step_leaves_nothing_to_keep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "home").ensure()
    home.config.write_text("model:\n  threads: 1\n")
    assert solve(home, tmp_path, "--budget", "0") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["version"], found["verdict"]) == (None, "reject")
    with Store.open(home.database) as store:
        assert store.adapters.list() == []


def test_a_method_that_learns_nothing_cannot_be_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "home").ensure()
    assert solve(home, tmp_path, "--method", "best-of-k") == 2
    assert "learns nothing" in capsys.readouterr().err
