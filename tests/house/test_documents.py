"""The documents hold what they promise: links lead somewhere, commands exist and run."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

import align_agent
from align_agent.agent.skills import read_skills
from align_agent.config.distill import DistillConfig

ROOT = Path(align_agent.__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
SKILLS = sorted((ROOT / "skills").glob("*/SKILL.md"))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    titles = re.findall(r"^#+ +(.+?) *$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_internal_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text):
        link = target[0] or target[1]
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        goal = (path.parent / name).resolve() if name else path
        assert goal.exists(), f"{path.name} points to {link}"
        if anchor:
            assert anchor in anchors(goal.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_named_source_files_exist(path: Path) -> None:
    """Paths in backticks that look like files of this repository are files of it."""
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:align_agent|tests|docs|skills|scripts)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), f"{path.name} names {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.svg")), ids=lambda p: p.name)
def test_pictures_are_well_formed_and_titled(path: Path) -> None:
    root = ElementTree.parse(path).getroot()
    assert root.find("{http://www.w3.org/2000/svg}title") is not None


@pytest.mark.parametrize("path", SKILLS, ids=lambda path: path.parent.name)
def test_skills_have_valid_front_matter(path: Path) -> None:
    front = re.match(r"---\n(.*?)\n---\n(.+)", path.read_text(encoding="utf-8"), re.DOTALL)
    assert front
    data = yaml.safe_load(front[1])
    assert data["name"] == path.parent.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", data["name"])
    assert 1 <= len(data["description"]) <= 1024


def test_the_agent_reads_every_skill_of_the_repository() -> None:
    assert {"align-status", "align-feedback", "align-rollback"} <= {p.parent.name for p in SKILLS}
    read = read_skills([ROOT / "skills"])[0]
    assert {skill.name for skill in read} == {path.parent.name for path in SKILLS}


@pytest.mark.parametrize("path", [*DOCUMENTS, *SKILLS], ids=lambda path: str(path.parent.name))
def test_commands_named_in_documents_exist(path: Path) -> None:
    import click

    from align_agent.cli.root import root

    text = path.read_text(encoding="utf-8")
    context = click.Context(root)
    for noun, verb in re.findall(r"`align-agent ([a-z]+)(?: ([a-z]+))?", text):
        command = root.get_command(context, noun)
        assert command is not None, f"{path.name}: align-agent {noun}"
        if verb and isinstance(command, click.Group):
            assert command.get_command(context, verb), f"{path.name}: align-agent {noun} {verb}"


def _can_be_typed(said: str) -> bool:
    """Whether the words after `align-agent` are a command, its options among them known."""
    import click

    from align_agent.cli.root import root

    command: click.Command = root
    words = said.replace('"', " ").split()
    while words and isinstance(command, click.Group) and not words[0].startswith("--"):
        found = command.get_command(click.Context(command), words.pop(0))
        if found is None:
            return False
        command = found
    known = {"--help", *(name for param in command.params for name in param.opts)}
    return known.issuperset(word for word in words if word.startswith("--"))


def test_commands_named_in_the_programs_own_texts_exist() -> None:
    """A hint is of use only where its command can be typed, options and all."""
    package = ROOT / "align_agent"
    said = [
        (path.name, words)
        for path in [*package.rglob("*.py"), *package.rglob("*.html")]
        for words in re.findall(r"`align-agent ([a-z][^`{}]*)", path.read_text(encoding="utf-8"))
    ]
    assert len(said) > 50
    assert [where for where in said if not _can_be_typed(where[1])] == []


def test_the_architecture_lists_the_phases_of_a_night_in_their_order() -> None:
    from align_agent.night.phases import PHASES

    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("| phase |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([a-z]+) \|", table, re.MULTILINE)
    assert rows == list(PHASES)


def test_the_picture_of_the_rooms_shows_their_order() -> None:
    from test_imports import LEVELS

    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = (
        text.partition("Rooms and their order")[2].partition("```text\n")[2].partition("```")[0]
    )
    assert [set(line.split()) for line in picture.splitlines()] == [*map(set, reversed(LEVELS))]


def test_the_architecture_lists_the_rooms() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "align_agent").glob("*/__init__.py")}
    listed = set(re.findall(r"^\| `align_agent/(\w+)` \|", text, re.MULTILINE))
    assert listed == rooms - {"config"}


def test_the_engine_page_tells_the_settings_as_they_are_shipped() -> None:
    text = (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"\| `(\w+)` ([\w.]+) \|$", text, re.MULTILINE))
    assert len(told) > 10
    assert told == {name: str(getattr(DistillConfig(), name)) for name in told}
