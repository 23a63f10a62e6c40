"""Whether an attempt passes, and in which words it fails. The tested code never judges itself.

The attempt's code runs in one box and the problem's tests in another; between them only plain
values are carried, by us. So no code can forge a verdict: it can only give wrong answers.
"""

from __future__ import annotations

import ast
import hashlib
import math
import re
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import zip_longest
from typing import Literal

from align_agent.discover.problem import Problem, Verifier
from align_agent.errors import InputError
from align_agent.sandbox.box import Box, BoxError, BoxNotStarted
from align_agent.sandbox.levels import Limits, wall
from align_agent.store.text import storable

Kind = Literal["passed", "failed", "broken"]
_BLOCK = re.compile(r"```(?:[\w+-]*)[ \t]*\n(.*?)```", re.DOTALL)
_LONGEST = 1200  # characters of feedback
_CALLS = 10_000  # of the tested code in one judging
_EMPTY = "```python\npass\n```"

# The problem's tests, around which this stands in the other box. `verify` is what `inner` calls.
_HARNESS = """
import ast, math, re

def verify(answer, call, entry, tests, helpers):
    last = {}
    def candidate(*args, **kwargs):
        shown = ", ".join([repr(a) for a in args] + [f"{k}={v!r}" for k, v in kwargs.items()])
        last["call"] = f"{entry}({shown})"
        last.pop("got", None)
        last["got"] = call(entry, *args, **kwargs)
        return last["got"]
    space = {"__name__": "tests"}
    try:
        exec(compile(helpers, "helpers", "exec"), space)
    except Exception:
        space = {"__name__": "tests"}
    space[entry.split(".")[-1]] = space["candidate"] = candidate
    tree = ast.parse(tests)
    try:
        exec(compile(tree, "tests", "exec"), space)
        if "check" in space:
            space["check"](candidate)
    except AssertionError as error:
        return False, failed(error, tree, tests, space, last)
    except SolutionError as error:
        return False, f"Test failed: {last['call']}\\n{error}"
    except Exception as error:
        if not last:
            raise
        got = f"\\nGot: {last['got']!r}" if "got" in last else ""
        return False, f"Test failed: {last['call']}{got}\\n{type(error).__name__}: {error}"
    if not last:
        raise ValueError(f"the tests never call {entry}")
    return True, ""

def failed(error, tree, tests, space, last):
    trace, lines = error.__traceback__, []
    while trace:
        if trace.tb_frame.f_code.co_filename == "tests":
            lines.append((trace.tb_lineno, trace.tb_frame))
        trace = trace.tb_next
    line, frame = lines[-1] if lines else (0, None)
    shown = f"Test failed: {last.get('call', 'assert')}"
    if "got" in last:
        shown += f"\\nGot: {last['got']!r}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.lineno == line:
            test = node.test
            if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Eq, ast.Is)):
                code = compile(ast.Expression(test.comparators[0]), "expected", "eval")
                try:
                    return shown + f"\\nExpected: {eval(code, frame.f_globals, frame.f_locals)!r}"
                except Exception:
                    pass
            return shown + f"\\nExpected: {ast.unparse(test)}"
    return shown
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. `broken` is the verifier's fault and not the attempt's.

    The attempt may have a say in the feedback: what no file can hold is replaced.
    """

    kind: Kind
    feedback: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "feedback", storable(self.feedback))

    @property
    def passed(self) -> bool:
        return self.kind == "passed"

    @property
    def said(self) -> str:
        """What can be learned from: what was wrong with the attempt."""
        return self.feedback if self.kind == "failed" else ""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a verifier says about one piece of code, each time in one of several ways."""

    kind: Kind
    feedback: tuple[str, ...] = ("",)
    stopped: str = ""  # why a command did not come to its own end


class Judge:
    """Judges the attempts at one problem. The same code is run once: small models repeat."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.level = wall()[1]
        self.runs = 0
        self._known: dict[str, _Found] = {}
        self._limits = _within(Limits(memory=problem.memory_mb << 20), problem.seconds)

    def check(self) -> None:
        """Whether the verifier can be used: it must run, and turn down an answer with nothing in
        it, by itself. Raises InputError."""
        try:
            found = self._look(_EMPTY)
        except BoxNotStarted as error:
            found = _Found("broken", (str(error),))
        # An empty answer neither hangs nor prints: the command did.
        if fault := found.stopped or (found.kind == "broken" and found.feedback[0]):
            raise InputError(
                f"the verifier of `{self.problem.name}` does not work: {fault}",
                hint="it was tried on an empty answer; mend it, or raise `limits`",
            )
        if found.kind == "passed":
            raise InputError(
                f"the verifier of `{self.problem.name}` passes an empty answer",
                hint="it would call anything a solution; let it test something",
            )

    def judge(self, answer: str, number: int = 0) -> Outcome:
        """The verdict on a message of the model, its `number`-th attempt. Raises
        SandboxUnavailable."""
        try:
            found = self._look(answer)
        except BoxNotStarted as error:
            return Outcome("broken", str(error))
        return Outcome(found.kind, found.feedback[number % len(found.feedback)])

    def _look(self, answer: str) -> _Found:
        """What is known of an answer, or found out now. Raises BoxNotStarted, which is not
        remembered: the next box may start."""
        code = code_in(answer)
        subject = answer if self.problem.verifier.kind == "function" else code or ""
        key = hashlib.sha256(subject.encode("utf-8", "replace")).hexdigest()
        if key not in self._known:
            self.runs += 1
            self._known[key] = self._judge(answer, code)
        return self._known[key]

    def _judge(self, answer: str, code: str | None) -> _Found:
        verifier = self.problem.verifier
        if code is None and verifier.kind != "function":
            return _Found("failed", ("The answer holds no code.",))
        if verifier.kind == "command":
            return _command(verifier, code or "", self._limits)
        if verifier.kind == "io" and not verifier.entry:
            return _programs(verifier, code or "", self._limits)
        return self._in_two_boxes(answer, code or "")

    def _in_two_boxes(self, answer: str, code: str) -> _Found:
        verifier = self.problem.verifier
        if verifier.kind == "function":
            source, params = verifier.source, dict(verifier.params)
        elif verifier.kind == "tests":
            source = _HARNESS
            params = {"entry": verifier.entry, "tests": verifier.tests}
            params["helpers"] = verifier.helpers
        else:
            return _calls(verifier, code, self._limits)
        try:
            limits = _within(self._limits, self._limits.seconds * 2)
            with Box("tests", limits, source=source, answer=answer, params=params) as tests:
                return _relay(tests, _Solution(code, self._limits, verifier.before))
        except BoxError as error:
            return _Found("broken", (f"the tests: {error}",))


class _Solution:
    """The attempt's code in its box, which is made when it is first called."""

    def __init__(self, code: str, limits: Limits, before: str) -> None:
        self._box = Box("solution", limits, source=code, before=before)
        self._open = False
        self._fault = ""

    def call(self, wanted: dict[str, object]) -> dict[str, object]:
        if self._fault:
            return {"error": self._fault}
        try:
            if not self._open:
                self._box.__enter__()
                self._open = True
                ready = self._box.read()
                if "error" in ready:
                    self._fault = str(ready["error"])
                    return {"error": self._fault}
            self._box.tell(wanted)
            found = self._box.read()
        except BoxError as error:
            self._fault = str(error)
            return {"error": self._fault}
        return {"value": found["value"]} if "value" in found else {"error": str(found.get("error"))}

    def close(self) -> None:
        if self._open:
            self._box.close()


def _within(limits: Limits, seconds: float) -> Limits:
    """With so much time. More of the processor than that, so that what never ends is timed out,
    which says more than the signal that ends it."""
    return replace(limits, seconds=seconds, cpu=math.ceil(seconds) + 1)


def _relay(tests: Box, solution: _Solution) -> _Found:
    try:
        for _ in range(_CALLS):
            message = tests.read()
            if "verdict" in message:
                verdict = message["verdict"]
                feedback = tuple(str(part)[:_LONGEST] for part in verdict["feedback"])
                return _Found(
                    "passed" if verdict["passed"] is True else "failed", feedback or ("",)
                )
            if "broken" in message:
                return _Found("broken", (str(message["broken"])[:_LONGEST],))
            tests.tell(solution.call(message["call"]))
    except (KeyError, TypeError):  # whatever the tests wrote past `verify`
        return _Found("broken", ("the tests: the answer is not readable",))
    finally:
        solution.close()
    return _Found("broken", (f"the tests call the code more than {_CALLS:,} times",))


def _command(verifier: Verifier, code: str, limits: Limits) -> _Found:
    files = {**verifier.files, verifier.file: code}
    try:
        with Box("command", limits, command=verifier.command, files=files) as box:
            status, text, why = box.finish()
    except BoxError as error:
        return _Found("broken", (str(error),))
    if status in (126, 127):  # the shell's own: not found, or not to be run
        return _Found("broken", (text.strip()[-_LONGEST:] or f"exit code {status}",))
    if status == 0 and not why:
        return _Found("passed")
    said = "\n".join(part for part in (text.strip()[-_LONGEST:], why) if part)
    return _Found("failed", (said or f"The command ended with exit code {status}.",), why)


def _programs(verifier: Verifier, code: str, limits: Limits) -> _Found:
    """Standard input against standard output, compared here."""
    for given, expected in verifier.cases:
        try:
            with Box("program", limits, source=code, stdin=given, before=verifier.before) as box:
                status, text, why = box.finish()
        except BoxError as error:
            why, status, text = str(error), None, ""
        if why or status or not _same(text, expected):
            said = text.strip()
            if status:  # the end says why
                said = f"{said[-_LONGEST // 4 :]}\n(exit code {status})".strip()
            got = why or said
            return _Found("failed", (_shown(f"input:\n{given.strip()}", got, expected.strip()),))
    return _Found("passed")


def _calls(verifier: Verifier, code: str, limits: Limits) -> _Found:
    """Arguments, a JSON value a line, against the value of the function, compared here."""
    from align_agent.sandbox.roles import plain, real

    solution = _Solution(code, limits, verifier.before)
    try:
        for given, expected in verifier.cases:
            arguments = [_value(line) for line in given.splitlines() if line.strip()]
            sent = {"name": verifier.entry, "args": plain(arguments), "kwargs": plain({})}
            found = solution.call(sent)
            got = found.get("error") if "error" in found else real(found["value"])
            if "error" in found or _listed(got) != _listed(_value(expected)):
                called = f"{verifier.entry}({', '.join(map(repr, arguments))})"
                return _Found("failed", (_shown(called, str(got), expected.strip()),))
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        return _Found("failed", (f"The value cannot be read: {error}",))
    finally:
        solution.close()
    return _Found("passed")


def _shown(what: str, got: str, expected: str) -> str:
    part = _LONGEST // 3
    return f"Test failed: {what[:part]}\nGot: {got[:part]}\nExpected: {expected[:part]}"


def _value(text: str) -> object:
    import json

    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text.strip())


def _same(text: str, expected: str) -> bool:
    """Whether both print the same words, and numbers of the same value: as LiveCodeBench
    compares."""
    pairs = zip_longest(text.split(), expected.split())
    return all(a == b or (_number(a) is not None and _number(a) == _number(b)) for a, b in pairs)


def _number(word: str | None) -> Decimal | None:
    try:
        found = Decimal(word or "")
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _listed(value: object) -> object:
    """Tuples as lists, as LiveCodeBench compares."""
    return [_listed(v) for v in value] if isinstance(value, list | tuple) else value


def code_in(answer: str) -> str | None:
    """The code of a message: its last fenced block, else everything from the first `def` or
    `import` on. None without either."""
    blocks = _BLOCK.findall(answer)
    if blocks:
        return str(blocks[-1])
    found = re.search(r"^(?:def|class|import|from|@)\b", answer, re.MULTILINE)
    return answer[found.start() :] if found else None
