"""Range-family functions: what is written can be run, what is asked can be told apart, safely."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.models.pocket.code import (
    CHOICES,
    CodeTask,
    draw_code_task,
    run_source,
    source_in,
    vary,
)

tasks = st.builds(CodeTask, **{axis: st.sampled_from(o) for axis, o in CHOICES.items()})


@given(tasks)
def test_every_task_is_solved_by_its_own_answer(task):
    assert task.solved_by(task.answer())


@given(st.integers(0, 10**9), st.integers(1, 3))
def test_a_varied_task_differs_and_a_test_can_tell(seed, changes):
    rng = random.Random(seed)
    task = draw_code_task(rng)
    varied = vary(task, rng, changes)
    assert varied.differences(task)
    assert not varied.solved_by(task.answer())


def test_the_request_of_the_credit_picture_is_answered_with_n_plus_one():
    assert "range(1, n + 1)" in CodeTask().answer()
    assert "range(1, n)" in CodeTask(end="without").answer()


def test_a_failed_test_shows_input_got_and_expected():
    shown = CodeTask(end="without").failure(CodeTask(), 4)
    assert shown == "Test failed: numbers(4)\nGot: [1, 2, 3, 4]\nExpected: [1, 2, 3]"


@pytest.mark.parametrize(
    "source",
    [
        "def numbers(n):\n    return __import__('os').getcwd()",
        "def numbers(n):\n    return open('/etc/passwd').read()",
        "def numbers(n):\n    return [i for i in range(10 ** 9)]",
        "def numbers(n):\n    return [i for i in range(1000000)]",
        "def numbers(n):\n    return (lambda: 1)()",
        "def numbers(n):\n    return ().__class__",
        "def numbers(n):\n    while True: pass",
        "import os\ndef numbers(n):\n    return [1]",
        "def numbers(n):\n    return [i for i in range(n) for j in range(n)]",
        "def numbers(n):\n    return [x for x in range(n)",
        "def numbers(n):\n    return undefined",
        "return [1]",
        "",
        "x" * 10_000,
    ],
)
def test_code_outside_the_family_is_never_run(source):
    assert run_source(source, 5) is None


@given(st.text(max_size=300))
def test_any_text_is_graded_without_an_error(text):
    assert CodeTask().solved_by(text) in (True, False)


def test_code_without_a_fence_is_found():
    assert source_in("Here: def numbers(n):\n    return [1]") == "def numbers(n):\n    return [1]"
    assert source_in("no code here") is None


def test_a_tuple_is_not_a_list():
    assert not CodeTask(result="tuple").solved_by(CodeTask().answer())
