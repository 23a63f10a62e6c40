"""Skills on disk: good ones are read, bad ones are named and left out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from align_agent.agent.skills import read_skills, skills_block
from align_agent.cli.root import root

GOOD = "---\nname: {name}\ndescription: Use it for tea.\n---\n\n# Tea\n\nBoil water.\n"


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name / "SKILL.md"
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_skill_is_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path, "tea", GOOD.format(name="tea"))
    (skill,) = read_skills([tmp_path])[0]
    assert (skill.name, skill.description) == ("tea", "Use it for tea.")
    assert (skill.body, skill.path) == ("# Tea\n\nBoil water.", path)


def test_skills_are_sorted_by_name_over_all_folders(tmp_path: Path) -> None:
    write(tmp_path / "a", "zebra", GOOD.format(name="zebra"))
    write(tmp_path / "b", "apple", GOOD.format(name="apple"))
    skills = read_skills([tmp_path / "a", tmp_path / "b"])[0]
    assert [skill.name for skill in skills] == ["apple", "zebra"]


def test_a_folder_that_is_not_there_holds_no_skills(tmp_path: Path) -> None:
    assert read_skills([tmp_path / "none"]) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Tea",
        "---\nname: tea\ndescription: d\n",
        "---\nname: [\n---\nbody",
        "---\n- a\n---\nbody",
        "---\nname: Tea\ndescription: d\n---\nbody",
        "---\nname: other\ndescription: d\n---\nbody",
        "---\nname: tea\n---\nbody",
        "---\nname: tea\ndescription: ''\n---\nbody",
        "---\nname: tea\ndescription: 3\n---\nbody",
        f"---\nname: tea\ndescription: {'d' * 1025}\n---\nbody",
        "---\nname: tea\ndescription: d\n---\n  \n",
        "---\nname: !!python/object/apply:os.getcwd []\ndescription: d\n---\nbody",
        b"\xff\xfe\x00",
        GOOD.format(name="tea") + "x" * 300_000,
    ],
)
def test_a_bad_skill_is_named_and_the_good_one_stays(tmp_path: Path, text: str | bytes) -> None:
    path = write(tmp_path, "tea", text)
    write(tmp_path, "coffee", GOOD.format(name="coffee"))
    skills, problems = read_skills([tmp_path])
    assert [skill.name for skill in skills] == ["coffee"]
    assert len(problems) == 1
    assert problems[0].startswith(str(path))


def test_of_two_skills_of_one_name_the_first_counts(tmp_path: Path) -> None:
    first = write(tmp_path / "a", "tea", GOOD.format(name="tea"))
    write(tmp_path / "b", "tea", GOOD.format(name="tea"))
    skills, problems = read_skills([tmp_path / "a", tmp_path / "b"])
    assert [skill.path for skill in skills] == [first]
    assert "same name" in problems[0]


def test_the_list_for_the_prompt_is_empty_without_skills(tmp_path: Path) -> None:
    assert skills_block([]) == ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(text=st.text(max_size=200))
def test_any_text_is_survived(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any" / "SKILL.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="replace")
    skills, problems = read_skills([tmp_path])
    assert len(skills) + len(problems) == 1


SKILLS = Path(__file__).parents[2] / "skills"
COMMANDS = [
    (path.parent.name, line)
    for path in sorted(SKILLS.glob("*/SKILL.md"))
    for line in re.findall(r"(?:^ *|`)(align-agent [a-z][^`\n]*)", path.read_text("utf-8"), re.M)
]


@pytest.mark.parametrize(("skill", "line"), COMMANDS, ids=lambda value: str(value)[:40])
def test_every_command_in_a_skill_can_be_given(skill: str, line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = root
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, line
        command, words = found, words[1:]
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
