"""The nights and other training runs: how each went, with what, and what it showed."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from align_agent.errors import NotFound, StoreError
from align_agent.records import Run
from align_agent.store.base import Nouns, dumps, loads
from align_agent.store.connection import ConstraintError, Row


class Runs(Nouns):
    """`store.runs`."""

    def create(self, run: Run) -> None:
        """Store a new run. Raises StoreError when its id is known."""
        try:
            self.connection.insert("runs", _row(run))
        except ConstraintError as error:
            raise StoreError(
                f"there is a run `{run.id}` already", hint="use `update` to change it"
            ) from error

    def get(self, wanted: str) -> Run:
        """The run with that id, or the only one whose id begins so. Raises NotFound."""
        return _run(self._find("runs", "run", "run-", wanted))

    def list(self, limit: int = 20, kind: str = "") -> list[Run]:
        """The newest first, of that kind if one is named. `limit` below 0 means all."""
        rows = self.connection.rows(
            "select * from runs where kind = ? or ? = '' order by started_at desc, id desc limit ?",
            [kind, kind, limit],
        )
        return [_run(row) for row in rows]

    def latest(self, kind: str = "") -> Run | None:
        """The run that started last, of that kind if one is named."""
        found = self.list(1, kind)
        return found[0] if found else None

    def update(self, wanted: str, **changes: Any) -> Run:
        """Change fields of a run, and return it as it is then. Raises NotFound."""
        with self.connection.transaction():
            run = replace(self.get(wanted), **changes)
            self.connection.update("runs", "id", run.id, _row(run))
        return run

    def add_turns(self, run_id: str, uses: Sequence[tuple[str, str, str]]) -> None:
        """Note what a run did with turns: (turn id, use, reason). A later note replaces.

        Raises NotFound when the run or a turn does not exist; then nothing is noted.
        """
        with self._existing(run_id), self.connection.transaction():
            self.connection.execute_many(
                "insert or replace into run_turns (run_id, turn_id, use, reason) "
                "values (?, ?, ?, ?)",
                [(run_id, *use) for use in uses],
            )

    def turns_of(self, run_id: str) -> builtins.list[tuple[str, str, str]]:
        """(turn id, use, reason) of every turn that the run looked at, oldest turn first."""
        rows = self.connection.rows(
            "select r.turn_id, r.use, r.reason from run_turns r join turns t on t.id = r.turn_id "
            "where r.run_id = ? order by t.number",
            [run_id],
        )
        return [(row["turn_id"], row["use"], row["reason"]) for row in rows]

    def add_metric(self, run_id: str, step: int, **values: float) -> None:
        """Note numbers measured at a step; the same name at the same step is replaced."""
        with self._existing(run_id), self.connection.transaction():
            self.connection.execute_many(
                "insert or replace into run_metrics (run_id, step, name, value) "
                "values (?, ?, ?, ?)",
                [(run_id, step, name, _number(value)) for name, value in values.items()],
            )

    def metrics(self, run_id: str) -> builtins.list[dict[str, Any]]:
        """One dict a step, with `step` and the values by name; None where one was not a number."""
        steps: dict[int, dict[str, Any]] = {}
        for row in self.connection.rows(
            "select step, name, value from run_metrics where run_id = ? order by step, name",
            [run_id],
        ):
            steps.setdefault(row["step"], {"step": row["step"]})[row["name"]] = row["value"]
        return list(steps.values())

    def add_sample(
        self, run_id: str, prompt: str, base: str, before: str, after: str, note: str = ""
    ) -> None:
        """Keep one prompt with three answers; a later one of the same prompt replaces it."""
        with self._existing(run_id), self.connection.transaction():
            self.connection.execute(
                "delete from samples where run_id = ? and prompt = ?", [run_id, prompt]
            )
            self.connection.insert(
                "samples",
                {
                    "run_id": run_id,
                    "prompt": prompt,
                    "base": base,
                    "before": before,
                    "after": after,
                    "note": note,
                },
            )

    def samples(self, run_id: str) -> builtins.list[dict[str, Any]]:
        """prompt, base, before, after and note of each, in the order in which they came."""
        return self.connection.rows(
            "select prompt, base, before, after, note from samples where run_id = ? "
            "order by number",
            [run_id],
        )

    def _existing(self, run_id: str) -> _Existing:
        return _Existing(run_id)


class _Existing:
    """Says in words what a broken reference from a run means."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ConstraintError):
            raise NotFound(
                f"run `{self.run_id}`, or a turn that it names, does not exist",
                hint="`align-agent runs list` shows the runs there",
            ) from error


def _number(value: float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _row(run: Run) -> Row:
    return {**asdict(run), "config": dumps(run.config), "verdict": dumps(run.verdict)}


def _run(row: Row) -> Run:
    return Run(
        **{**row, "config": loads(row["config"]) or {}, "verdict": loads(row["verdict"]) or {}}
    )
