"""Problem files: ours, and those that HumanEval and LiveCodeBench publish."""

from __future__ import annotations

import base64
import json
import os
import pickle
import zlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from align_agent.discover.problem import load_problem, load_set, problem_of
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
        (changed(verifier={"kind": "tests", "entry": "add"}), "`tests` is missing"),
        (changed(verifier={**GOOD["verifier"], "extra": 1}), "no `extra`"),
        (changed(verifier={"kind": "command", "command": "x", "file": "../x"}), "file name"),
        (changed(verifier={"kind": "function", "source": "x", "params": 3}), "names and values"),
        (changed(limits={"seconds": 0}), "`seconds`"),
        (changed(limits={"seconds": float("inf")}), "`seconds`"),
        (changed(limits={"seconds": float("nan")}), "`seconds`"),
        (changed(limits={"seconds": 10**12}), "`seconds`"),
        (changed(limits={"memory_mb": 10**12}), "`memory_mb`"),
        (changed(max_new_tokens=10**23), "`max_new_tokens`"),
        (changed(verifier={"kind": ["command"]}), "kind is"),
        (changed(verifier={**GOOD["verifier"], "helpers": 3}), "`helpers` must be text"),
        (changed(verifier=COMMAND | {"file": ["a"]}), "file name"),
        (changed(verifier=COMMAND | {"file": None}), "file name"),
        (changed(verifier=COMMAND | {"file": ""}), "file name"),
        (changed(verifier=COMMAND | {"files": {"a.py": 3}}), "`a.py` must be text"),
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


HUMANEVAL = {
    "task_id": "HumanEval/999",
    "prompt": "def twice(x):\n    return 2 * x\n\n\ndef add(a, b):\n    '''Add.'''\n",
    "entry_point": "add",
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n"
    "    assert candidate(1, 2) == twice(1.5)\n",
}


def livecodebench(private: str) -> dict[str, Any]:
    return {
        "question_title": "Sum",
        "question_content": "Add the numbers.",
        "question_id": "abc_1",
        "starter_code": "",
        "public_test_cases": json.dumps([{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]),
        "private_test_cases": private,
        "metadata": "{}",
    }


def packed(value: object) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def test_humaneval_lines_are_read_as_published(tmp_path: Path) -> None:
    path = tmp_path / "HumanEval.jsonl"
    path.write_text(json.dumps(HUMANEVAL) + "\n")
    (problem,) = load_set(path)
    assert problem.name == "HumanEval/999"
    assert problem.verifier.entry == "add"
    assert HUMANEVAL["prompt"] in problem.prompt


def test_livecodebench_lines_are_read_with_their_private_cases(tmp_path: Path) -> None:
    cases = json.dumps([{"input": "4 5\n", "output": "9\n", "testtype": "stdin"}])
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps(livecodebench(packed(cases))) + "\n")
    (problem,) = load_set(path)
    assert problem.verifier.cases == (("1 2\n", "3\n"), ("4 5\n", "9\n"))


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch harmed",)


def test_a_pickle_that_runs_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps(livecodebench(packed(Harm()))) + "\n")
    with pytest.raises(InputError):
        load_set(path)
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("text", ["", "{}\n", "not json\n", "[1]\n", '{"entry_point": "x"}\n'])
def test_lines_that_are_no_problems_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(text)
    with pytest.raises(InputError):
        load_set(path)


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
