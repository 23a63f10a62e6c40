"""A home of its own for each test, and the command line called as the shell would."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_helpers import Cli, Result, turn

from align_agent.adapters.registry import Registry
from align_agent.cli import main
from align_agent.paths import ENV_HOME, Home
from align_agent.records import Feedback, Rule, Run
from align_agent.store import Store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Where the home will be; not made yet."""
    monkeypatch.setenv(ENV_HOME, str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    return Home(tmp_path / "home")


@pytest.fixture
def cli(home: Home, capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*args: str, code: int = 0) -> Result:
        capsys.readouterr()
        got = main(list(args))
        out, err = capsys.readouterr()
        assert got == code, f"exit code {got}, standard error: {err}"
        return Result(got, out, err)

    return call


@pytest.fixture
def made(cli: Cli, home: Home) -> Home:
    """A home with nothing in it yet."""
    cli("init")
    return home


@pytest.fixture
def lived(made: Home, tmp_path: Path) -> Home:
    """A home with turns, feedback, a rule, two nights and two versions; v2 is the champion."""
    with Store.open(made.database) as store:
        for number in range(1, 5):
            store.turns.add(turn(number, conversation=f"c-{(number + 1) // 2}"))
        first = store.turns.list(newest_first=False)[0]
        store.feedback.add(
            Feedback(first.id, "follow_up", "negative", "format", 0.9, "No bold, please.", "reader")
        )
        rule = Rule("Write plain text: no bold, no lists, no headings.", "active", "format:plain")
        store.rules.add(rule)
        store.rules.link(rule.id, first.id)
        registry = Registry(store, made)
        for night in (1, 2):
            run_id = f"run-{night}"
            moment = f"2026-01-1{night}T03:00:00.000000+00:00"
            store.runs.create(
                Run(
                    run_id,
                    "promoted",
                    started_at=moment,
                    finished_at=moment,
                    base="pocket",
                    reason="it gained",
                    candidate=night,
                    verdict={
                        "verdict": "promote",
                        "reasons": ["gained 0.5"],
                        "table": [{"who": "base", "rules": "0/4", "rule_share": 0.0}],
                    },
                )
            )
            store.runs.add_turns(run_id, [(first.id, "train", "corrected")])
            store.runs.add_metric(run_id, 1, loss=0.5)
            store.runs.add_sample(run_id, "What is 1 plus 1?", "**2**", "**2**", "2")
            staged = tmp_path / f"staged-{night}"
            staged.mkdir()
            (staged / "adapter_model.safetensors").write_bytes(bytes([night]) * 64)
            adapter = registry.register(
                staged, base="pocket", base_hash="", run_id=run_id, verdict="promote"
            )
            registry.promote(adapter.version, why="it gained", who="night")
    return made
