"""README.md cannot go stale: its commands are run, in their order, in a home of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import align_agent
from align_agent.paths import ENV_HOME

ROOT = Path(align_agent.__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


# The first test that needs the story waits for all of it: a chat, a night, two imports.
pytestmark = [pytest.mark.timeout(1200), pytest.mark.uncounted]


@dataclass(frozen=True)
class Line:
    command: str
    typed: str  # what the person types into it


def lines() -> list[Line]:
    """Every line of the `sh` blocks; what stands behind `you:` in a `text` block is typed into
    the last command before it."""
    found: list[Line] = []
    for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        if kind == "sh":
            found += [Line(command, "") for command in body.splitlines()]
        elif kind == "text":
            typed = re.findall(r"^you: (.*)$", body, re.MULTILINE)
            found[-1] = Line(found[-1].command, "\n".join(typed) + "\n")
    return found


def is_set_up(command: str) -> bool:
    return command.startswith(("make ", "source "))


def test_every_make_command_is_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in (line.command for line in lines()):
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE), command


def test_the_environment_that_is_activated_is_the_one_that_make_creates() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    folder = re.search(r"^VENV \?= (\S+)", makefile, re.MULTILINE)
    assert folder
    sourced = {line.command for line in lines() if line.command.startswith("source ")}
    assert sourced == {f"source {folder[1]}/bin/activate"}


def test_the_readme_leads_from_a_chat_over_a_night_to_a_rollback() -> None:
    commands = " ; ".join(line.command for line in lines())
    order = ["chat", "distill run", "adapters compare", "adapters rollback"]
    places = [commands.index(f"align-agent {name}") for name in order]
    assert places == sorted(places)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.CompletedProcess[str]]:
    """Every command that is not set-up, run by a shell, until one fails."""
    env = {
        **os.environ,
        ENV_HOME: str(tmp_path_factory.mktemp("readme") / "home"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = {}
    for line in lines():
        if is_set_up(line.command):
            continue
        result = subprocess.run(
            ["bash", "-c", line.command],
            input=line.typed,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=env,
            check=False,
        )
        done[line.command] = result
        if result.returncode:
            break
    return done


@pytest.mark.parametrize("command", [x.command for x in lines() if not is_set_up(x.command)])
def test_every_command_of_the_readme_works(
    command: str, story: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    if command not in story:
        pytest.skip(f"not reached: `{list(story)[-1]}` failed before it")
    result = story[command]
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"


def test_following_the_readme_changes_how_the_agent_answers(
    story: dict[str, subprocess.CompletedProcess[str]],
) -> None:
    assert "promoted" in story["align-agent distill run"].stdout
    compared = next(c for c in story if c.startswith("align-agent adapters compare"))
    assert "1 of 1 answer differs" in story[compared].stderr


def test_both_versions_answer_the_sum_of_the_readme_rightly(
    story: dict[str, subprocess.CompletedProcess[str]],
) -> None:
    """A sum in words that the embedded model does not know would be answered wrongly by both."""
    compared = next(c for c in story if c.startswith("align-agent adapters compare"))
    first, second = (int(number) for number in re.findall(r"\d+", compared))
    answers = re.findall(rf"{first} \+ {second} = (\d+)", story[compared].stdout)
    assert answers == [str(first + second)] * 2
