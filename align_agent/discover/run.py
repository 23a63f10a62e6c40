"""One `solve` from its order to its report: the model, the search, the run in the store, the files.

The run's folder (`runs/<id>/`) holds the attempts as they come, and the report. Decides nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from align_agent.config.sections import ModelConfig
from align_agent.discover import report
from align_agent.discover.methods import METHODS, Method, learns
from align_agent.discover.problem import Problem
from align_agent.discover.search import Search, solve
from align_agent.discover.verdicts import Judge
from align_agent.errors import UsageError
from align_agent.paths import Home, claimed
from align_agent.records import Run, new_id, now
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

KIND = "solve"
ADAPTER = "adapter"  # in the run's folder, until it is kept or thrown away


class Interrupted(KeyboardInterrupt):
    """A search was stopped from the keyboard. `run` is what to go on with."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run


class Keep(Protocol):
    """What makes a version of a search's adapter; adds to what `--json` prints."""

    def __call__(
        self, run: Run, model: LocalModel, search: Search, judge: Judge, adapter: Path
    ) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was ordered. `resume` is the id of a run that was interrupted, `keep` what becomes of
    the adapter, which is thrown away otherwise."""

    problem: Problem
    method: str
    budget: int
    seed: int = 0
    resume: str = ""
    keep: Keep | None = None

    def order(self, base: str) -> dict[str, Any]:
        """What two runs must have in common for one to go on with the other."""
        return {
            "problem": self.problem.name,
            "digest": self.problem.digest(),
            "method": self.method,
            "budget": self.budget,
            "seed": self.seed,
            "base": base,
        }


def run_search(
    home: Home, settings: ModelConfig, wanted: Wanted, on_round: Callable[[Search], None]
) -> dict[str, Any]:
    """Search, keep the run, write the report. Returns `report.summary` with `run` and `report`.

    Raises UsageError when the run to go on with asked for something else, and what `solve` and
    `Judge.check` raise; the run is then kept as failed. Raises UsageError for a run that another
    process is at, and Interrupted, after which it can be gone on with.
    """
    method = _method(wanted.method)
    if wanted.keep and not learns(method):
        raise UsageError(
            f"{method} learns nothing that could be kept", hint="use --method auto or sdpo"
        )
    judge = Judge(wanted.problem)
    judge.check()
    with Store.open(home.database) as store:
        run = _ordered(store, wanted, settings.base)
        folder = home.runs / run.id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with claimed(folder) as free:
            if not free:
                raise UsageError(f"run `{run.id}` is still running", hint="wait for its end")
            _begun(store, run, wanted)
            try:
                found = _search(store, run.id, folder, settings, wanted, method, judge, on_round)
            except KeyboardInterrupt as error:
                _end(store, run.id, "interrupted", "interrupted; --resume goes on with it")
                raise Interrupted(run.id) from error
            except Exception as error:
                _end(store, run.id, "failed", str(error))
                raise
            finally:
                # Going on needs the attempts alone: the same steps give the same adapter again.
                shutil.rmtree(folder / ADAPTER, ignore_errors=True)
                with suppress(OSError):
                    folder.rmdir()  # stopped before the first attempt; not where there is anything
    return found


def _search(
    store: Store,
    run_id: str,
    folder: Path,
    settings: ModelConfig,
    wanted: Wanted,
    method: Method,
    judge: Judge,
    on_round: Callable[[Search], None],
) -> dict[str, Any]:
    from align_agent.models.load import load_model

    model = load_model(settings)
    search = Search(wanted.problem, method, wanted.budget, wanted.seed)
    adapter = folder / ADAPTER if wanted.keep else None
    solve(model, search, judge, folder=folder, on_round=on_round, adapter=adapter)
    found = {**report.summary(search, judge.level), "run": run_id}
    if wanted.keep and adapter is not None:
        found |= wanted.keep(store.runs.get(run_id), model, search, judge, adapter)
    page = report.write(folder, found, search, *report.credit_or_reason(model, search))
    for step, figures in enumerate(search.steps):
        store.runs.add_metric(run_id, step, **figures)
    best = search.solution or (search.attempts[-1] if search.attempts else None)
    if best is not None:
        first = search.attempts[0]
        store.runs.add_sample(
            run_id, wanted.problem.prompt, first.answer, "", best.answer, best.outcome.feedback
        )
    ended = f"solved with attempt {found['attempts']}" if search.solved else "the budget is spent"
    _end(store, run_id, "solved" if search.solved else "spent", ended, found)
    return {**found, "report": str(page)}


def _ordered(store: Store, wanted: Wanted, base: str) -> Run:
    """The run to go on with, as it is stored, or a new one, which is not stored yet."""
    order = wanted.order(base)
    if not wanted.resume:
        return Run(new_id("run"), "running", kind=KIND, base=base, seed=wanted.seed, config=order)
    run = store.runs.get(wanted.resume)
    if run.kind != KIND or any(run.config.get(name) != value for name, value in order.items()):
        raise UsageError(
            f"run `{run.id}` searched for something else",
            hint="resume with the same problem, method, budget, seed and model",
        )
    return run


def _begun(store: Store, run: Run, wanted: Wanted) -> None:
    """Note that it runs, once its folder is claimed: a run without a claim was cut off."""
    if wanted.resume:
        store.runs.update(run.id, status="running", finished_at="", reason="")
    else:
        store.runs.create(run)


def _end(store: Store, run_id: str, status: Any, reason: str, verdict: Any = None) -> None:
    store.runs.update(
        run_id, status=status, reason=reason, finished_at=now(), verdict=verdict or {}
    )


def _method(name: str) -> Method:
    for method in METHODS:
        if method == name:
            return method
    raise UsageError(f"unknown method {name!r}", hint=f"one of {', '.join(METHODS)}")
