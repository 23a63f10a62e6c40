"""Problem files of our own."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from align_agent.discover.problem import load_problem, problem_of
from align_agent.errors import InputError

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "prompt": "Add two numbers.",
    "verifier": {"kind": "tests", "entry": "add", "tests": "assert add(1, 2) == 3"},
}
COMMAND: dict[str, Any] = {"kind": "command", "command": "false"}
FUNCTION: dict[str, Any] = {"kind": "function", "source": "x"}
ENDLESS: dict[str, Any] = {}
ENDLESS["itself"] = ENDLESS


def changed(**fields: Any) -> dict[str, Any]:
    return {**GOOD, **fields}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda p: p.name)
def test_the_examples_are_problems(path: Path) -> None:
    assert load_problem(path).prompt


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "`prompt` is missing|no `verifier`"),
        ({"prompt": "x"}, "no `verifier`"),
        (changed(prompt=""), "`prompt`"),
        (changed(prompt=7), "`prompt` must be text"),
        (changed(budget=-1), "`budget`"),
        (changed(budget="many"), "`budget`"),
        (changed(budget=True), "`budget`"),
        (changed(verifier={"kind": "magic"}), "'magic'"),
        (changed(verifier={"kind": "tests", "entry": "add"}), "`verifier.tests` is missing"),
        (changed(verifier={**GOOD["verifier"], "extra": 1}), "no `extra`"),
        (changed(verifier=COMMAND | {"files": {"solution.py": ""}}), "own code will stand"),
        (changed(verifier=COMMAND | {"file": "a.py", "files": {"a.py": ""}}), "own code"),
        (changed(verifier={"kind": "command", "command": "x", "file": "../x"}), "file name"),
        (changed(verifier={"kind": "function", "source": "x", "params": 3}), "names and values"),
        (changed(limits={"seconds": 0}), "`seconds`"),
        (changed(limits={"seconds": float("inf")}), "`seconds`"),
        (changed(limits={"seconds": float("nan")}), "`seconds`"),
        (changed(limits={"seconds": 10**12}), "`seconds`"),
        (changed(limits={"memory_mb": 10**12}), "`memory_mb`"),
        (changed(max_new_tokens=10**23), "`max_new_tokens`"),
        (changed(verifier={"kind": ["command"]}), "kind is"),
        (changed(verifier={**GOOD["verifier"], "helpers": 3}), "`verifier.helpers` must be text"),
        (changed(verifier=COMMAND | {"file": ["a"]}), "file name"),
        (changed(verifier=COMMAND | {"file": None}), "file name"),
        (changed(verifier=COMMAND | {"file": ""}), "file name"),
        (changed(verifier=COMMAND | {"files": {"a.py": 3}}), "a.py` must be text"),
        (changed(verifier=COMMAND | {"files": {3: "x"}}), "names and values"),
        (changed(verifier=COMMAND | {"command": "true\x00"}), "NUL"),
        (changed(verifier=FUNCTION | {"params": {"d": date(2024, 1, 1)}}), "JSON"),
        (changed(verifier=FUNCTION | {"params": {"d": float("nan")}}), "JSON"),
        (changed(verifier=FUNCTION | {"params": ENDLESS}), "holds itself"),
        (changed(limits={"hours": 1}), "`limits`"),
        (changed(promt="x"), "unknown field `promt`"),
    ],
)
def test_a_wrong_problem_is_refused_in_words(data: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        problem_of(data)
    assert raised.value.hint


def test_an_unknown_field_of_a_verifier_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InputError) as raised:
        problem_of(changed(verifier={**GOOD["verifier"], "test": "x"}))
    assert "`test`" in raised.value.message
    assert "'tests'" in raised.value.hint


def test_what_no_file_can_hold_is_replaced_where_it_enters() -> None:
    assert problem_of(changed(prompt="\ud800 hi")).prompt == "\ufffd hi"


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a: [", "\x00", "\ud800"])
def test_a_file_that_is_no_problem_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError):
        load_problem(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_problem(tmp_path / "none.yaml")


def test_a_problem_is_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "adding.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    assert load_problem(path).name == "adding"


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_text(yaml.safe_dump(GOOD), encoding="utf-8-sig")
    assert load_problem(path).prompt == GOOD["prompt"]


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_bytes("prompt: Zähle".encode("latin-1"))
    with pytest.raises(InputError, match="no UTF-8 text") as raised:
        load_problem(path)
    assert raised.value.hint
