"""What the `demo` command hands on. The demonstration itself is tested in tests/demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_helpers import Cli

from align_agent import demo


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    calls: dict[str, Any] = {}

    def play(root: Path | None, **options: bool) -> dict[str, Any]:
        calls.update(root=root, **options)
        return {"personas": {}}

    monkeypatch.setattr(demo, "run_demo", play)
    return calls


def test_the_demo_prints_one_json_object_and_nothing_else(cli: Cli, called: dict[str, Any]) -> None:
    assert cli("demo", "--full", "--json").json == {"personas": {}}
    assert called == {"root": None, "full": True, "json_only": True}


def test_the_demo_keeps_its_homes_where_it_is_told(
    cli: Cli, called: dict[str, Any], tmp_path: Path
) -> None:
    assert cli("demo", "--keep", str(tmp_path)).out == ""
    assert called == {"root": tmp_path, "full": False, "json_only": False}


def test_the_person_who_declares_is_played_alone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "run_declared", lambda root, json_only: {"declared": {}})
    assert cli("demo", "--declared", "--json").json == {"declared": {}}
    assert "--full" in cli("demo", "--declared", "--full", code=2).err
