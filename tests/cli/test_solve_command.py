"""`align-agent solve`, as it is typed."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from align_agent.cli import main
from align_agent.cli import solve as command
from align_agent.paths import Home
from align_agent.store import Store

ROOT = Path(__file__).parents[2]
EXAMPLE, MANY = (ROOT / "examples" / f"{name}.yaml" for name in ("very-hard", "many-demands"))


def run(home: Path, *args: str) -> int:
    return main(["--home", str(home), "solve", *args])


def test_the_very_hard_example_is_solved_where_best_of_k_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, str(EXAMPLE), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["solved"]
    assert found["seconds"] > 0
    space: dict[str, object] = {}
    exec(found["solution"], space)
    assert space["numbers"](6) == (25, 16, 9, 4, 1, 0)  # type: ignore[operator]
    assert run(tmp_path, str(EXAMPLE), "--json", "--method", "best-of-k") == 1
    assert json.loads(capsys.readouterr().out)["solution"] is None
    with Store.open(Home(tmp_path).database) as store:
        assert [r.status for r in store.runs.list()] == ["spent", "solved"]
        assert store.runs.latest("night") is None
        (sample,) = store.runs.samples(store.runs.list()[1].id)
    assert sample["after"].find("tuple") > 0
    page = Path(found["report"]).read_text()
    assert "Credit per token" in page
    assert "http" not in page


@pytest.mark.long
def test_the_example_of_many_demands_is_solved_after_learning_and_not_by_best_of_k(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, str(MANY), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] >= 1
    space: dict[str, Any] = {}
    exec(found["solution"], space)
    assert space["numbers"](10) == (729, 216, 27, 0)
    assert run(tmp_path, str(MANY), "--json", "--method", "best-of-k") == 1


@pytest.mark.uncounted
def test_a_killed_search_leaves_nothing_running_and_can_be_resumed(tmp_path: Path) -> None:
    problem = yaml.safe_load(EXAMPLE.read_text())
    problem["verifier"]["tests"] = "assert numbers(3) == 'never'"
    path = tmp_path / "never.yaml"
    path.write_text(yaml.safe_dump(problem))
    home = tmp_path / "home"
    command = [sys.executable, "-m", "align_agent", "--home", str(home), "solve", str(path)]
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir(mode=0o755)
    started: Any = {"stderr": subprocess.PIPE, "text": True, "env": env}
    # A shell's background job is deaf to SIGINT, and so would its children be.
    started["preexec_fn"] = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen([*command, "--budget", "4000"], **started)
    assert process.stderr is not None
    while "attempts" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert list((tmp_path / "tmp").glob("align-box-*")) == []
    with Store.open(Home(home).database) as store:
        (stored,) = store.runs.list()
    assert stored.status == "interrupted"
    assert f"solve {path} --budget 4000 --resume {stored.id}" in said
    before = (home / "runs" / stored.id / "attempts.jsonl").read_text()
    again = subprocess.Popen([*command, "--budget", "4000", "--resume", stored.id], **started)
    file = home / "runs" / stored.id / "attempts.jsonl"
    deadline = time.monotonic() + 100
    while file.read_text() == before and time.monotonic() < deadline:
        time.sleep(0.05)
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=60)
    assert file.read_text().startswith(before)
    assert len(file.read_text()) > len(before)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt: x\n", "no `verifier`"),
        ("prompt: x\nverifier: {kind: command, command: 'true'}\n", "passes an empty answer"),
    ],
)
def test_a_problem_that_cannot_be_used_is_an_error_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert run(tmp_path / "home", str(path)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "hint:" in error


def test_a_budget_of_zero_gives_a_clear_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, str(EXAMPLE), "--budget", "0") == 1
    assert "not solved in 0 attempts" in capsys.readouterr().out


def test_a_verifier_that_says_nothing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dumb.yaml"
    source = "def verify(answer, call): return False"
    path.write_text(f"prompt: x\nverifier: {{kind: function, source: '{source}'}}\n")
    assert run(tmp_path / "home", str(path), "--budget", "2", "--method", "best-of-k") == 1
    error = capsys.readouterr().err
    assert "2 of 2 attempts, 0 steps: failed, no word" in error
    assert "said nothing about 2 of the failed attempts" in error


def test_resuming_another_search_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, str(EXAMPLE), "--budget", "0", "--json")
    done = json.loads(capsys.readouterr().out)
    assert run(tmp_path, str(EXAMPLE), "--budget", "1", "--resume", done["run"]) == 2
    assert "searched for something else" in capsys.readouterr().err


def test_another_model_is_named_by_its_folder(
    tiny_model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [str(EXAMPLE), "--model", str(tiny_model_dir), "--budget", "3", "--json"]
    assert run(tmp_path, *args) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["attempts"] == 3
    with Store.open(Home(tmp_path).database) as store:
        assert store.runs.get(found["run"]).base == str(tiny_model_dir)


def test_a_model_that_is_nowhere_to_be_had_is_an_error_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    home = tmp_path / "home"
    assert run(home, str(EXAMPLE), "--model", "nobody/no-such-model") == 1
    error = capsys.readouterr().err
    assert "error: the model nobody/no-such-model is not on this machine" in error
    assert "hint: go online once, give a folder" in error
    assert "Traceback" not in error
    with Store.open(Home(home).database) as store:
        (stored,) = store.runs.list()
    assert stored.status == "failed"


@pytest.mark.uncounted
def test_a_terminal_shows_each_round_while_the_search_runs(tmp_path: Path) -> None:
    problem = yaml.safe_load(EXAMPLE.read_text())
    problem["verifier"]["tests"] = "assert numbers(3) == 'never'"
    path = tmp_path / "never.yaml"
    path.write_text(yaml.safe_dump(problem))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "align_agent", "--home", str(tmp_path / "home"), "solve"]
    process = subprocess.Popen(
        [*command, str(path), "--budget", "20"],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    seen: list[str] = []
    while piece := _piece(ours):
        if process.poll() is None:
            seen.append(re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", piece))
    os.close(ours)
    assert process.wait(timeout=60) == 1
    counts = [int(found) for found in re.findall(r"(\d+)/20 attempts", "".join(seen))]
    assert counts == sorted(counts)
    assert len(set(counts)) > 3  # while it ran, not all at once when it had ended
    assert "Test failed" in "".join(seen)


@pytest.mark.parametrize(("columns", "words"), [(40, False), (49, False), (60, True), (100, True)])
def test_bar_counter_and_time_stand_on_a_screen_of_any_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int, words: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    bar = command._bar(256)
    bar.stop()
    room = command._room(columns, 256)
    bar.update(0, completed=200, said="x" * room)
    with bar.console.capture() as shown:
        bar.console.print(bar.get_renderable())
    (line,) = shown.get().rstrip("\n").split("\n")
    assert "200/256 attempts" in line
    assert "0:00:00" in line
    assert "━" in line
    assert ("x" * room in line and room > 0) == words


def _piece(terminal: int) -> str:
    """What came on the screen next; nothing once the program has let go of it."""
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # Linux's word for a terminal that nobody holds any more
        return ""
