"""`align-agent forget` and what it leaves to see."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_helpers import Cli

from align_agent.paths import Home
from align_agent.store import Store


def first_turn(home: Home) -> str:
    with Store.open(home.database) as store:
        return store.turns.list(newest_first=False)[0].id


def test_a_dry_run_shows_what_would_go_and_keeps_it(cli: Cli, lived: Home) -> None:
    turn = first_turn(lived)
    data = cli("forget", "turn", turn, "--dry-run", "--json").json
    assert (data["turns"], data["tainted"], data["done"]) == ([turn], [1, 2], False)
    assert len(data["rules"]) == 1
    assert cli("turns", "show", turn, "--json").json["turn"]["id"] == turn


def test_nothing_is_forgotten_without_a_yes(cli: Cli, lived: Home) -> None:
    found = cli("forget", first_turn(lived), code=2)
    assert "--yes" in found.err
    with Store.open(lived.database) as store:
        assert store.turns.count() == 4


def test_forgetting_shows_in_status_and_in_the_versions(cli: Cli, lived: Home) -> None:
    cli("forget", first_turn(lived), "--yes")
    assert cli("status", "--json").json["forgotten"] == {
        "turns": 1,
        "unfinished": 0,
        "tainted": [2, 1],
    }
    assert "the next night replaces it" in cli("status").err
    cli("adapters", "hold")
    assert "no night replaces it while promotion is held" in cli("status").err
    assert "tainted" in cli("adapters", "list").out


def test_tainted_versions_are_deleted_and_the_base_answers(cli: Cli, lived: Home) -> None:
    cli("forget", first_turn(lived), "--yes")
    data = cli("adapters", "delete", "--tainted", "--yes", "--json").json
    assert (data["deleted"], data["serving"]) == ([1, 2], 0)
    assert not any((lived.adapters / name).exists() for name in ("v0001", "v0002"))


def test_a_query_that_nothing_holds_changes_nothing(cli: Cli, lived: Home) -> None:
    assert "nothing to forget" in cli("forget", "unheard-of", "words").out


@pytest.mark.parametrize("words", [(), ("turn", "turn-nowhere"), ("query", "a")])
def test_what_cannot_be_meant_is_named(cli: Cli, lived: Home, words: tuple[str, ...]) -> None:
    found = cli("forget", *words, "--yes", code=2 if words[:1] != ("turn",) else 1)
    assert "hint:" in found.err


def test_resume_has_nothing_to_do_in_a_sound_home(cli: Cli, lived: Home, tmp_path: Path) -> None:
    assert cli("forget", "--resume", "--json").json == {"finished": 0}
