"""What stays of a `solve` that did not get to its end, and that it can be gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from align_agent.config.sections import ModelConfig
from align_agent.discover import report
from align_agent.discover.problem import Problem, Verifier
from align_agent.discover.run import Interrupted, Wanted, run_search
from align_agent.discover.search import ATTEMPTS
from align_agent.errors import ContextTooLong, UsageError
from align_agent.models.pocket import WEIGHTS
from align_agent.night.lock import as_it_is
from align_agent.paths import Home, claimed
from align_agent.records import Run
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

PROMPT = "Write a python function that returns all numbers from 1 to n."
NEVER = Verifier("tests", entry="f", tests="assert f(1) == 1")
PROBLEM = Problem("never", PROMPT, NEVER, max_new_tokens=8)


@pytest.fixture(autouse=True)
def _pocket(monkeypatch: pytest.MonkeyPatch, pocket: LocalModel) -> None:
    monkeypatch.setattr("align_agent.models.load.load_model", lambda settings: pocket)


@pytest.fixture(scope="module")
def pocket() -> LocalModel:
    from align_agent.models.local import LocalModel

    return LocalModel.load(str(WEIGHTS), device="cpu")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").ensure()


class Keeping:
    """A `Keep` that notes the adapter it is handed, and ends as it is told to."""

    def __init__(self, end: BaseException | None = None) -> None:
        self.end = end
        self.weights: list[bytes] = []

    def __call__(self, run: Run, model: Any, search: Any, judge: Any, adapter: Path) -> Any:
        self.weights.append((adapter / "adapter_model.safetensors").read_bytes())
        if self.end is not None:
            raise self.end
        return {"version": None, "verdict": "reject", "reasons": []}


def search(home: Home, keep: Keeping, budget: int = 2, resume: str = "") -> dict[str, Any]:
    wanted = Wanted(PROBLEM, "auto", budget, resume=resume, keep=keep)
    return run_search(home, ModelConfig(), wanted, lambda _: None)


def only_run(home: Home) -> Run:
    with Store.open(home.database) as store:
        (run,) = store.runs.list()
    return run


@pytest.mark.parametrize(
    ("end", "status"), [(RuntimeError("no"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_an_adapter_that_was_not_kept_to_the_end_does_not_stay(
    home: Home, end: BaseException, status: str
) -> None:
    with pytest.raises(type(end)):
        search(home, Keeping(end))
    run = only_run(home)
    assert run.status == status
    assert [path.name for path in (home.runs / run.id).iterdir()] == [ATTEMPTS]


def test_a_keeping_that_was_interrupted_is_gone_on_with_over_the_same_adapter(home: Home) -> None:
    first, second = Keeping(KeyboardInterrupt()), Keeping()
    with pytest.raises(KeyboardInterrupt):
        search(home, first, 17)
    found = search(home, second, 17, resume=only_run(home).id)
    assert (found["resumed"], found["verdict"]) == (17, "reject")
    assert second.weights == first.weights


def test_a_search_that_runs_cannot_be_gone_on_with_by_another(home: Home) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(home, Keeping(KeyboardInterrupt()))
    run = only_run(home)
    with claimed(home.runs / run.id) as free:
        assert free
        with pytest.raises(UsageError, match="is still running"):
            search(home, Keeping(), resume=run.id)
    assert only_run(home).status == "interrupted"
    assert search(home, Keeping(), resume=run.id)["resumed"] == 2


def test_a_killed_search_is_told_as_interrupted_with_the_way_on(home: Home) -> None:
    run = Run("run-1", "running", kind="solve")
    (home.runs / run.id).mkdir()
    with claimed(home.runs / run.id):
        assert as_it_is(run, home).status == "running"
    seen = as_it_is(run, home)
    assert seen.status == "interrupted"
    assert "--resume run-1" in seen.reason


def test_a_stopped_search_names_its_run(home: Home) -> None:
    with pytest.raises(Interrupted) as stopped:
        search(home, Keeping(KeyboardInterrupt()))
    assert stopped.value.run == only_run(home).id


def test_words_that_no_file_can_hold_end_no_search(home: Home) -> None:
    source = "def verify(answer, call):\n    return False, 'wrong ' + chr(0xd800)"
    wanted = Wanted(Problem("odd", PROMPT, Verifier("function", source=source)), "best-of-k", 2)
    found = run_search(home, ModelConfig(), wanted, lambda _: None)
    assert "wrong \ufffd" in Path(found["report"]).read_text()
    assert only_run(home).status == "spent"


@pytest.mark.parametrize(
    ("credit", "told"),
    [
        (0.01, "as likely as before"),
        (0.7, "2.0 times likelier"),
        (-3.0, "20 times less likely"),
        (50.0, "over 1000 times likelier"),
    ],
)
def test_a_report_says_in_words_what_feedback_does_to_a_token(credit: float, told: str) -> None:
    assert f'title="{told}"' in report._tokens([["x", credit]])


def test_whatever_attempts_and_problems_hold_is_only_shown(home: Home) -> None:
    harm = "<script>harm()</script>"
    source = f"def verify(answer, call):\n    return False, {harm!r} + answer"
    problem = Problem(harm, f"{PROMPT} {harm}", Verifier("function", source=source))
    found = run_search(home, ModelConfig(), Wanted(problem, "auto", 2), lambda _: None)
    page = Path(found["report"]).read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;harm()") >= 4  # title, heading, prompt and each feedback


def test_a_search_whose_credit_fails_keeps_its_report(
    home: Home, monkeypatch: pytest.MonkeyPatch, pocket: LocalModel
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(pocket, "logprobs", fail)
    found = run_search(home, ModelConfig(), Wanted(PROBLEM, "best-of-k", 2), lambda _: None)
    assert "No credit per token: MemoryError: no room" in Path(found["report"]).read_text()
    assert only_run(home).status == "spent"


def test_a_search_that_ends_before_its_first_attempt_leaves_no_folder(home: Home) -> None:
    wanted = Wanted(Problem("long", "word " * 2000, NEVER), "auto", 4)
    with pytest.raises(ContextTooLong):
        run_search(home, ModelConfig(), wanted, lambda _: None)
    assert only_run(home).status == "failed"
    assert list(home.runs.iterdir()) == []
