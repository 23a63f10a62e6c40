from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_helpers import Cli
from disks import only_read

from align_agent.cli import main
from align_agent.cli.root import NOUNS, root
from align_agent.paths import ENV_HOME, Home


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for noun in NOUNS:
        command = root.get_command(click.Context(root), noun)
        assert command is not None
        found.append((noun,))
        if isinstance(command, click.Group):
            found += [(noun, verb) for verb in command.commands]
    return found


def test_help_lists_every_noun_with_its_purpose(cli: Cli) -> None:
    out = cli("--help").out
    for noun, purpose in NOUNS.items():
        assert f"  {noun}" in out
        assert " ".join(purpose.split()[:4]) in out


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...], cli: Cli) -> None:
    assert "Usage: align-agent" in cli(*command, "--help").out


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_takes_the_common_options(command: tuple[str, ...], cli: Cli) -> None:
    out = cli(*command, "--help").out
    assert "--json" in out and "--home" in out and "--debug" in out


@pytest.mark.parametrize("verb", [("prune",)])
def test_destructive_verbs_have_a_dry_run_and_a_yes(verb: tuple[str, ...], cli: Cli) -> None:
    out = cli("adapters", *verb, "--help").out
    assert "--dry-run" in out and "--yes" in out


def test_an_unknown_noun_is_a_usage_error_that_names_the_nearest(cli: Cli) -> None:
    result = cli("turn", code=2)
    assert "align-agent turns" in result.err
    assert result.out == ""


def test_an_unknown_verb_is_a_usage_error_that_names_the_nearest(cli: Cli, made: Home) -> None:
    assert "align-agent adapters rollback" in cli("adapters", "rolback", code=2).err


def test_an_unknown_option_is_a_usage_error_with_a_hint(cli: Cli) -> None:
    err = cli("status", "--jsno", code=2).err
    assert err.startswith("error:") and "\nhint:" in err


def test_a_bare_noun_takes_the_options_of_its_list(cli: Cli, lived: Home) -> None:
    assert (
        cli("turns", "--limit", "2", "--json").json
        == cli("turns", "list", "--limit", "2", "--json").json
    )


def test_common_options_may_stand_before_the_verb(cli: Cli, lived: Home) -> None:
    assert cli("--json", "turns").json == cli("turns", "--json", "list").json


def test_home_option_beats_the_environment(cli: Cli, home: Home, tmp_path: Path) -> None:
    other = tmp_path / "other"
    cli("init", "--home", str(other))
    assert other.is_dir() and not home.root.exists()


@pytest.mark.parametrize(
    "command",
    [("turns",), ("feedback",), ("rules",), ("runs",), ("adapters",)],
    ids=" ".join,
)
def test_an_empty_list_is_an_empty_json_list(
    command: tuple[str, ...], cli: Cli, made: Home
) -> None:
    assert cli(*command, "--json").out == "[]\n"


@pytest.mark.parametrize(
    "command",
    [("turns",), ("feedback",), ("runs",), ("adapters",), ("store",), ("distill", "plan")],
    ids=" ".join,
)
def test_a_missing_home_is_an_error_that_says_how_to_make_one(
    command: tuple[str, ...], cli: Cli, home: Home
) -> None:
    assert "align-agent init" in cli(*command, code=2).err
    assert not home.root.exists()


def test_a_traceback_is_shown_only_with_debug(cli: Cli, made: Home) -> None:
    assert "Traceback" not in cli("turns", "show", "nothing", code=1).err
    assert "Traceback" in cli("turns", "show", "nothing", "--debug", code=1).err


def test_a_defect_is_told_as_one_line(
    cli: Cli, made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("align_agent.store.Store.open", broken)
    err = cli("turns", code=1).err
    assert "unexpected RuntimeError: a defect" in err and "Traceback" not in err


def test_a_full_disk_is_told_as_such(cli: Cli, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.mkdir", full)
    err = cli("init", code=1).err
    assert "disk is full" in err and "hint:" in err


def test_a_missing_optional_package_names_the_extra_that_brings_it(made: Home) -> None:
    # In a process of its own: where the package was imported before, its parts are still there.
    program = (
        "import sys; sys.modules['langgraph'] = None; "
        "from align_agent.cli import main; sys.exit(main(['chat', '-m', 'Hello.']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'align-agent[agent]'" in done.stderr


def test_an_interrupt_ends_with_130(cli: Cli, made: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("align_agent.store.Store.open", interrupted)
    cli("turns", code=130)


def run(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "align_agent", *args],
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )


def test_the_module_runs_as_the_command(tmp_path: Path) -> None:
    done = run("status", "--json", "--home", str(tmp_path / "none"))
    assert done.returncode == 0
    assert json.loads(done.stdout)["initialised"] is False


def test_a_reader_that_leaves_early_is_no_error(lived: Home) -> None:
    done = subprocess.run(
        f"'{sys.executable}' -m align_agent config example | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("#")
    assert done.stderr == ""


def test_an_ascii_terminal_does_not_end_the_program(made: Home) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii", ENV_HOME: str(made.root)}
    added = run("rules", "add", "Use emoji \N{GRINNING FACE}.", env=env)
    assert added.returncode == 0, added.stderr


def test_no_color_gives_plain_text(
    made: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("click._compat.should_strip_ansi", lambda *_: False)
    main(["turns", "show", "nothing"])
    assert "\x1b[" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "extra"),
    [("torch", "train"), ("langgraph.graph", "agent"), ("apscheduler.triggers", "schedule")],
)
def test_each_optional_package_is_known_to_its_extra(module: str, extra: str) -> None:
    from align_agent.cli.root import _known

    error = _known(ModuleNotFoundError(name=module))
    assert error is not None and error.hint == f"pip install 'align-agent[{extra}]'"


def test_a_module_of_no_extra_is_a_defect() -> None:
    from align_agent.cli.root import _known

    assert _known(ModuleNotFoundError(name="nothing_of_ours")) is None


@pytest.mark.parametrize("below", ["", "home"])
@pytest.mark.parametrize("command", ["init", "status", "doctor"])
def test_a_home_that_is_a_file_is_misuse(
    cli: Cli, tmp_path: Path, command: str, below: str
) -> None:
    (tmp_path / "file").write_text("a letter")
    err = cli("--home", str(tmp_path / "file" / below), command, code=2).err
    assert "is a file" in err and "hint: " in err


def test_a_refusal_of_the_system_says_what_to_do_about_it(cli: Cli, small_disk: Path) -> None:
    home = str(small_disk / "home")
    cli("--home", home, "init")
    only_read(small_disk)
    for command in (["distill", "run"], ["store", "backup"], ["rules", "add", "Be short."]):
        err = cli("--home", home, *command, code=1).err
        assert "can only be read" in err and "mount it for writing" in err
    cli("--home", str(small_disk / "other"), "init", code=1)


def test_a_home_on_a_disk_that_can_only_be_read_is_looked_at(cli: Cli, small_disk: Path) -> None:
    home = str(small_disk / "home")
    cli("--home", home, "init")
    only_read(small_disk)
    assert cli("--home", home, "status", "--json").json["turns"]["total"] == 0


def test_with_json_what_failed_is_told_on_standard_output_too(cli: Cli, home: Home) -> None:
    told = cli("runs", "show", "--json", code=2)
    assert told.json.keys() == {"error", "hint", "exit_code"}
    assert told.json["exit_code"] == 2 and "no align-agent home" in told.json["error"]
    assert cli("turns", "--nonsense", "--json", code=2).json["exit_code"] == 2


def test_with_json_standard_output_is_one_value_also_where_a_command_ends_in_an_error(
    cli: Cli, lived: Home
) -> None:
    with sqlite3.connect(lived.database) as raw:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("UPDATE feedback SET turn_id = 'gone'")
    raw.close()
    assert cli("store", "check", "--json", code=1).json["ok"] is False


@pytest.mark.parametrize("ended", [">&-", "| head -1 >&2; exit ${PIPESTATUS[0]}"])
@pytest.mark.parametrize("command", ["turns", "--json turns", "config show"])
def test_output_that_nobody_takes_is_no_failure(lived: Home, command: str, ended: str) -> None:
    shell = f"set -o pipefail; {sys.executable} -m align_agent {command} {ended}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr


@pytest.mark.parametrize("command", ["chat", "adapters prune --keep 1"])
def test_input_that_nobody_gives_is_an_empty_one(lived: Home, command: str) -> None:
    shell = f"{sys.executable} -m align_agent {command} <&-"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert "unexpected" not in done.stderr
