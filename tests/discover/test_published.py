"""Problem sets as HumanEval and LiveCodeBench publish them."""

from __future__ import annotations

import base64
import gzip
import json
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.discover import published
from align_agent.discover.published import humaneval, load_set, load_task, pickled_text
from align_agent.discover.verdicts import Judge
from align_agent.errors import InputError, NotFound

HUMANEVAL = {
    "task_id": "HumanEval/999",
    "prompt": "def twice(x):\n    return 2 * x\n\n\ndef add(a, b):\n    '''Add.'''\n",
    "entry_point": "add",
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n"
    "    assert candidate(1, 2) == twice(1.5)\n",
}


CASE = {"input": "1 2\n", "output": "3\n", "testtype": "stdin"}


def livecodebench(private: object, **fields: object) -> dict[str, Any]:
    return {
        "question_title": "Sum",
        "question_content": "Add the numbers.",
        "question_id": "abc_1",
        "starter_code": "",
        "public_test_cases": json.dumps([CASE]),
        "private_test_cases": private,
        "metadata": "{}",
        **fields,
    }


def packed(value: object) -> str:
    return packed_bytes(pickle.dumps(value))


def packed_bytes(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw)).decode()


def written(folder: Path, *rows: object, name: str = "set.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_humaneval_lines_are_read_as_published(tmp_path: Path) -> None:
    (problem,) = load_set(written(tmp_path, HUMANEVAL))
    assert problem.name == "HumanEval/999"
    assert problem.verifier.entry == "add"
    assert HUMANEVAL["prompt"] in problem.prompt


def test_a_file_may_be_packed_as_humanevals_is(tmp_path: Path) -> None:
    path = tmp_path / "HumanEval.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(HUMANEVAL).encode()))
    assert load_task(path, "HumanEval/999") == humaneval(HUMANEVAL)


@pytest.mark.parametrize("cut", [2, 20, 60])
def test_a_packed_file_that_is_not_whole_is_told(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "HumanEval.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(HUMANEVAL).encode())[:cut])
    with pytest.raises(InputError, match="no whole gzip file"):
        load_task(path, None)


def test_what_the_prompt_defines_need_not_be_in_the_answer() -> None:
    answer = "```python\ndef add(a, b):\n    return twice(a) - a + b\n```"
    assert Judge(humaneval(HUMANEVAL)).judge(answer).passed


def test_the_prompts_own_head_is_no_solution() -> None:
    Judge(humaneval(HUMANEVAL)).check()


def test_livecodebench_lines_are_read_with_their_private_cases(tmp_path: Path) -> None:
    cases = json.dumps([{"input": "4 5\n", "output": "9\n", "testtype": "stdin"}])
    (problem,) = load_set(written(tmp_path, livecodebench(packed(cases))))
    assert problem.verifier.cases == (("1 2\n", "3\n"), ("4 5\n", "9\n"))


def test_private_cases_may_be_as_large_as_livecodebenchs_are(tmp_path: Path) -> None:
    large = "7" * (12 << 20)
    path = written(tmp_path, livecodebench(packed(json.dumps([{**CASE, "input": large}]))))
    assert load_task(path, None).verifier.cases[1][0] == large


def test_private_cases_that_unpack_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "_LARGEST", 1 << 20)
    path = written(tmp_path, livecodebench(packed("x" * (2 << 20))))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        load_task(path, None)


STARTER = "class Solution:\n    def add(self, items: List[int], one: int) -> List[int]:\n        "
FUNCTIONAL = {
    "starter_code": STARTER,
    "metadata": '{"func_name": "add"}',
    "public_test_cases": json.dumps(
        [{"input": "[1, 2]\n3", "output": "[1, 2, 3]", "testtype": "functional"}]
    ),
}


def test_a_function_of_livecodebench_may_use_what_its_runner_imports(tmp_path: Path) -> None:
    problem = load_task(written(tmp_path, livecodebench("[]", **FUNCTIONAL)), None)
    body = "\n        ".join(["heap = [*items, one]", "heapify(heap)", "return sorted(heap)"])
    assert Judge(problem).judge(f"```python\n{STARTER}{body}\n```").passed
    assert "class Solution" in problem.prompt


def test_a_program_of_livecodebench_may_use_what_its_runner_imports(tmp_path: Path) -> None:
    problem = load_task(written(tmp_path, livecodebench(None)), None)
    answer = "```python\nprint(reduce(operator.add, map(int, sys.stdin.read().split())))\n```"
    assert Judge(problem).judge(answer).passed


def test_starter_code_without_the_name_of_its_method_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, livecodebench("[]", **{**FUNCTIONAL, "metadata": "{}"}))
    with pytest.raises(InputError, match="func_name"):
        load_task(path, None)


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_code_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, livecodebench(packed_bytes(pickle.dumps(Harm(), protocol))))
    with pytest.raises(InputError, match=r"more than a text .* could run code"):
        load_set(path)
    assert not (tmp_path / "harmed").exists()


@given(st.text(), st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_a_pickled_text_is_read_in_every_protocol(text: str, protocol: int) -> None:
    assert pickled_text(pickle.dumps(text, protocol)) == text


@given(st.binary(max_size=60))
def test_whatever_stands_in_place_of_a_pickle_the_error_is_one_of_ours(raw: bytes) -> None:
    for data in (packed_bytes(raw), base64.b64encode(raw).decode(), raw.decode("latin-1")):
        try:
            published.livecodebench(livecodebench(data))
        except InputError as error:
            assert error.hint


@pytest.mark.parametrize(
    "raw",
    [b"\x80\x04\x8d" + b"\xff" * 8 + b".", b"\x80\x02X\x01\x00\x00\x00ar\xff\xff\xff\x7f."],
    ids=["a length beyond memory", "a memo beyond memory"],
)
def test_a_pickle_cannot_ask_for_memory(raw: bytes) -> None:
    try:
        assert pickled_text(raw) == "a"
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    "row",
    [
        {},
        [1],
        {"entry_point": "x"},
        {**HUMANEVAL, "prompt": None},
        {**HUMANEVAL, "test": 3},
        livecodebench("[1]"),
        livecodebench("{}"),
        livecodebench("[]", public_test_cases="[]"),
        livecodebench("no base64"),
        livecodebench("[]", question_content=None),
    ],
)
def test_lines_that_are_no_problems_are_refused_with_their_number(
    tmp_path: Path, row: object
) -> None:
    path = written(tmp_path, HUMANEVAL, row)
    with pytest.raises(InputError, match=r"line 2, is no") as raised:
        load_set(path)
    assert raised.value.hint


@pytest.mark.parametrize("data", [b"", b"\n", b"not json\n", b"\xff\xfe"])
def test_a_file_that_holds_no_problems_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "set.jsonl"
    path.write_bytes(data)
    with pytest.raises(InputError):
        load_task(path, None)


def test_a_problem_is_chosen_without_reading_what_comes_after_it(tmp_path: Path) -> None:
    path = written(tmp_path, HUMANEVAL, livecodebench("[]"))
    with path.open("a") as file:
        file.write("not json\n")
    assert load_task(path, None).name == "HumanEval/999"
    assert load_task(path, "abc_1").name == "abc_1"


def test_a_problem_that_a_file_lacks_is_told_with_one_that_it_has(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no problem `x`") as raised:
        load_task(written(tmp_path, HUMANEVAL), "x")
    assert "HumanEval/999" in raised.value.hint
