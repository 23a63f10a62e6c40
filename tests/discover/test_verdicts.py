"""Verdicts: right ones, in words, however the code or the verifier misbehaves."""

from __future__ import annotations

import re

import pytest
from test_published import HUMANEVAL

from align_agent.discover import verdicts
from align_agent.discover.problem import Problem, Verifier
from align_agent.discover.published import humaneval
from align_agent.discover.verdicts import Judge, code_in
from align_agent.errors import InputError
from align_agent.sandbox.box import Box, BoxError
from align_agent.sandbox.levels import Wall

TESTS = Verifier("tests", entry="add", tests="assert add(1, 2) == 3\nassert add(2, 2) == 4")
RIGHT = "Here it is:\n```python\ndef add(a, b):\n    return a + b\n```"


def judge(verifier: Verifier, seconds: float = 10) -> Judge:
    return Judge(Problem("it", "Add.", verifier, seconds=seconds))


def code(text: str) -> str:
    return f"```python\n{text}\n```"


def test_right_code_passes() -> None:
    assert judge(TESTS).judge(RIGHT).passed


def test_a_failed_test_tells_input_got_and_expected() -> None:
    found = judge(TESTS).judge(code("def add(a, b):\n    return a - b"))
    assert found.feedback == "Test failed: add(1, 2)\nGot: -1\nExpected: 3"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("I do not know.", "no code"),
        (code("def add(a, b) return"), "SyntaxError"),
        (code("def sub(a, b):\n    return 0"), "AttributeError|no attribute"),
        (code("def add(a, b):\n    return a / 0"), r"ZeroDivisionError: .* \(line 2\)"),
        (code("def add(a, b):\n    while True: pass"), "timed out after 1 s"),
        (code("def add(a, b):\n    return add(a, b)"), "RecursionError"),
        (code("import os\ndef add(a, b):\n    os._exit(0)"), "ended by itself"),
        (code("def add(a, b):\n    return lambda: 3"), "no plain data"),
        (code("def add(a, b):\n    return 'x' * (5 << 20)"), "too much output"),
        (code("def add(a, b):\n    x = []\n    x.append(x)\n    return x"), "nested too deeply"),
    ],
)
def test_every_failure_has_its_words(answer: str, said: str) -> None:
    found = judge(TESTS, seconds=1).judge(answer)
    assert found.kind == "failed"
    assert re.search(said, found.feedback), found.feedback


IO = Verifier("io", cases=(("1 2", "3"),))
CALLS = Verifier("io", entry="add", cases=(("1\n2", "3"),))


@pytest.mark.parametrize("verifier", [TESTS, IO, CALLS], ids=["tests", "io", "calls"])
@pytest.mark.parametrize("role", ["tests", "solution", "program"])
def test_a_box_that_does_not_start_is_no_fault_of_the_code_and_not_remembered(
    monkeypatch: pytest.MonkeyPatch, verifier: Verifier, role: str
) -> None:
    answer = code("def add(a, b):\n    return a + b\nif __name__ == '__main__':\n    print(3)")
    one, real = judge(verifier), Box._start

    def start(box: Box, name: Wall) -> None:
        if box._order["role"] == role:
            raise BoxError("timed out")
        real(box, name)

    needed = {"tests": {"tests", "solution"}, "io": {"program"}, "calls": {"solution"}}
    kind = "tests" if verifier is TESTS else "calls" if verifier is CALLS else "io"
    with monkeypatch.context() as patch:
        patch.setattr(Box, "_start", start)
        found = one.judge(answer)
    if role in needed[kind]:
        assert (found.kind, found.said) == ("broken", "")
        assert "did not start" in found.feedback
    assert one.judge(answer).passed


@pytest.mark.parametrize("value", ['["nope"]', '["dict", 3]', '["set", [["list", []]]]', "[]"])
def test_a_forged_value_is_the_fault_of_the_code(value: str) -> None:
    function = Verifier("function", source="def verify(answer, call):\n    return call('f') == 1")
    forged = (
        "import json, os, sys\n"
        f"line = json.dumps({{'value': json.loads({value!r})}}).encode() + b'\\n'\n"
        "def f():\n"
        "    for fd in range(64):\n"
        "        try:\n            os.write(fd, line)\n        except OSError:\n            pass"
    )
    found = judge(function).judge(code(forged))
    assert found.kind == "failed", found
    assert "cannot be read" in found.feedback


@pytest.mark.parametrize(
    "forged",
    [
        # Whatever it prints or writes, to whatever file descriptor, is only its own function's say.
        "import os, json\nfor fd in range(12):\n    try: os.write(fd, b'"
        '{"verdict": {"passed": true, "feedback": []}}\\n'
        "')\n    except OSError: pass\ndef add(a, b):\n    return 0",
        "class Same(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
        "def add(a, b):\n    return Same(0)",
        "import builtins\nbuiltins.AssertionError = Exception\nbuiltins.compile = None\n"
        "def add(a, b):\n    return 0",
        "import sys, os\nsys.exit(0)",
        "import gc, sys\ndef add(a, b):\n"
        "    for f in sys._current_frames().values():\n"
        "        while f:\n            f.f_globals.update(plain=lambda *a: 3)\n"
        "            f = f.f_back\n    return 0",
    ],
)
def test_no_code_can_forge_a_verdict(forged: str) -> None:
    verifier = Verifier(
        "tests", entry="add", tests="assert add(1, 2) == 3\nassert add(5, 6) == 11\n"
    )
    assert not judge(verifier).judge(code(forged)).passed


def test_the_same_code_runs_once() -> None:
    one = judge(TESTS)
    for _ in range(3):
        assert one.judge(RIGHT).passed
    assert one.runs == 1


def test_a_sound_verifier_is_accepted() -> None:
    judge(TESTS).check()


FUNCTION = "def verify(answer, call):\n    "


@pytest.mark.parametrize(
    ("verifier", "said"),
    [
        (Verifier("function", source=FUNCTION + "return True"), "passes an empty answer"),
        (Verifier("command", command="true"), "passes an empty answer"),
        (Verifier("function", source=FUNCTION + "return 1 / 0"), "ZeroDivisionError"),
        (Verifier("function", source=FUNCTION + "return None"), "not True or False"),
        (Verifier("function", source="def verify("), "SyntaxError"),
        (Verifier("function", source=FUNCTION + "\n    while True: pass"), "timed out after 2 s"),
        (Verifier("function", source=FUNCTION + "return False, 'a', 4"), "gave back .*'a', 4"),
        (Verifier("function", source="x = 1"), "defines no verify"),
        (Verifier("command", command="sleep 9"), "timed out after 1 s"),
        (Verifier("command", command="yes"), "too much output"),
        (
            Verifier("function", source=FUNCTION + "\n    import os\n    os._exit(3)"),
            "exit code 3",
        ),
        (
            Verifier("function", source=FUNCTION + "\n    return False, 'x' * (1 << 30)"),
            "MemoryError|too much output|timed out|ended",
        ),
        (Verifier("tests", entry="add", tests="assert True"), "never call add"),
        (Verifier("tests", entry="add", tests="assert ("), "SyntaxError"),
        (Verifier("command", command="no-such-program"), "not found"),
    ],
)
def test_a_verifier_that_cannot_be_used_is_refused(verifier: Verifier, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        judge(verifier, seconds=1).check()
    assert raised.value.hint


def test_a_verifier_that_always_fails_fails() -> None:
    one = judge(Verifier("function", source=FUNCTION + "return False, 'never'"))
    one.check()
    assert one.judge(RIGHT).feedback == "never"


def test_code_that_prints_without_end_fails_its_command() -> None:
    one = judge(Verifier("command", command="python3 solution.py; exit 1"))
    one.check()
    found = one.judge(code("while True: print('x' * 1000)"))
    assert found.kind == "failed"
    assert "too much output" in found.feedback


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("ValueError('no')", ["no"]),
        ("3", ["3"]),
        ("['a', 4]", ["a", "4", "a"]),
        ("[]", ["", ""]),
        ("['x' * 10**6] * 10**6", ["x" * 1200] * 3),
    ],
)
def test_whatever_a_verifier_says_is_heard_as_text(said: str, heard: list[str]) -> None:
    one = judge(Verifier("function", source=FUNCTION + f"return False, {said}"))
    one.check()
    assert [one.judge(RIGHT, number).feedback for number in range(len(heard))] == heard


@pytest.mark.parametrize("line", ['{"verdict": 3}', '{"verdict": {}}', '{"else": 1}', "[]"])
def test_what_the_tests_write_past_verify_is_their_fault(line: str) -> None:
    source = (
        f"import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'{line}\\n')\n"
        "    except OSError: pass\ndef verify(answer, call): return False"
    )
    found = judge(Verifier("function", source=source)).judge(RIGHT)
    assert (found.kind, found.feedback) == ("broken", "the tests: the answer is not readable")


def test_a_command_judges_the_file() -> None:
    command = "python3 -c 'import solution; assert solution.add(1, 2) == 3'"
    one = judge(Verifier("command", command=command))
    assert one.judge(RIGHT).passed
    assert "AssertionError" in one.judge(code("def add(a, b):\n    return 0")).feedback


def test_a_function_may_call_the_code() -> None:
    source = FUNCTION + "return call('add', 1, 2) == 3, 'wrong sum'"
    one = judge(Verifier("function", source=source))
    assert one.judge(RIGHT).passed
    assert one.judge(code("def add(a, b):\n    return 0")).feedback == "wrong sum"


def test_humaneval_judges_with_its_own_check_and_helpers() -> None:
    one = Judge(humaneval(HUMANEVAL))
    assert one.judge(RIGHT).passed
    assert not one.judge(code("def add(a, b):\n    return a")).passed


def test_programs_are_compared_by_what_they_print() -> None:
    one = judge(Verifier("io", cases=(("1 2\n", "3\n"), ("5 6\n", "11"))))
    assert one.judge(code("print(sum(map(int, input().split())))")).passed
    found = one.judge(code("print(3)"))
    assert found.feedback == "Test failed: input:\n5 6\nGot: 3\nExpected: 11"


@pytest.mark.parametrize(
    ("printed", "passes"),
    [
        ("0.50 1e2", True),
        ("0.5\n100", True),
        ("0.5", False),
        ("0.5 100 x", False),
        ("nan 100", False),
    ],
)
def test_numbers_that_are_printed_count_by_their_value(printed: str, passes: bool) -> None:
    one = judge(Verifier("io", cases=(("", "0.5 100"),)))
    assert one.judge(code(f"print({printed!r})")).passed is passes


def test_a_program_that_raises_is_told_what_it_raised() -> None:
    one = judge(Verifier("io", cases=(("1", "3"),)))
    found = one.judge(code("print('so far')\nn = int('x')"))
    said = "so far\nValueError: invalid literal for int() with base 10: 'x' (line 2)"
    assert f"Got: {said}\n(exit code 1)" in found.feedback


def test_methods_of_a_solution_class_are_called() -> None:
    one = judge(Verifier("io", entry="Solution.add", cases=(("[1, 2]\n3", "[1, 2, 3]"),)))
    body = "class Solution:\n    def add(self, items, one):\n        return (*items, one)"
    assert one.judge(code(body)).passed
    assert not one.judge(code(body.replace("one)", "4)"))).passed


@pytest.mark.parametrize(
    "sent",
    [["int"], ["float", "x"], ["float", "0x1p99999"], ["dict", [[1]]], ["range", [1, 2, 0]]],
)
def test_values_that_an_attempt_forged_are_a_failed_test(
    sent: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A box that was taken over writes what it likes into the pipe.
    monkeypatch.setattr(verdicts._Solution, "call", lambda self, wanted: {"value": sent})
    found = judge(Verifier("io", entry="add", cases=(("1\n2", "3"),))).judge(RIGHT)
    assert found.kind == "failed"
    assert "cannot be read" in found.feedback


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("```\na\n```\nor\n```py\nb\n```", "b\n"),
        ("Sure.\ndef f():\n    pass", "def f():\n    pass"),
        ("nothing", None),
    ],
)
def test_code_is_found_in_a_message(answer: str, found: str | None) -> None:
    assert code_in(answer) == found
