"""What help and hints say of a hold, of what was forgotten and of what may be left out."""

from __future__ import annotations

import pytest
from cli_helpers import Cli

from align_agent.paths import Home
from align_agent.store import Store


def test_a_hold_says_what_it_keeps_the_scheduler_from(cli: Cli, lived: Home) -> None:
    assert "begin by itself" in " ".join(cli("adapters", "hold", "--help").out.split())
    assert "begins by itself" in cli("adapters", "rollback").err
    told = cli("schedule", "--json").json
    assert any("promotion is held" in reason for reason in told["reasons"])


def test_a_tainted_version_is_refused_with_the_whole_command_that_insists(
    cli: Cli, lived: Home
) -> None:
    with Store.open(lived.database) as store:
        store.adapters.update(1, tainted=True)
    err = " ".join(cli("adapters", "promote", "v1", code=3).err.split())
    assert "`align-agent adapters promote v1 --force`" in err


@pytest.mark.parametrize("command", [("runs", "show"), ("rules", "explain")])
def test_an_id_that_may_be_left_out_is_shown_in_brackets(
    cli: Cli, command: tuple[str, ...]
) -> None:
    assert "[ID]" in cli(*command, "--help").out.splitlines()[0]
