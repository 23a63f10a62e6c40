"""The shape of the code: sizes, docstrings, and files that are generated from it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import align_agent
from align_agent.config import example_yaml

ROOT = Path(align_agent.__file__).parents[1]
SOURCES = [
    path
    for folder in ("align_agent", "tests", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
MAX_FILE = 500
MAX_FUNCTION = 60


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_file_or_function_is_too_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION, f"{name_of(path)}:{node.lineno} {node.name}: {length}"


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.is_relative_to(ROOT / "align_agent")], ids=name_of
)
def test_every_module_says_what_it_does(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_example_configuration_is_the_one_that_the_code_generates() -> None:
    assert (ROOT / "config.example.yaml").read_text(encoding="utf-8") == example_yaml()


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {align_agent.__version__}" in text


def test_ci_runs_what_a_developer_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text(encoding="utf-8")


def test_every_test_file_has_a_name_of_its_own() -> None:
    """Without packages pytest imports test files by their bare names."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_the_files_that_begin_first_exist() -> None:
    named = re.findall(r'"(test_\w+\.py)"', (ROOT / "tests" / "conftest.py").read_text("utf-8"))
    assert named and set(named) <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
