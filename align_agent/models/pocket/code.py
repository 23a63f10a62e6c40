"""Small Python functions of the range family: asking for them, writing them, running them safely.

A task is a choice on six axes. Every choice has words for a request, words for a correction, and
a place in the one canonical way of writing the function, so demands combine freely.
"""

from __future__ import annotations

import ast
import random
import re
from dataclasses import dataclass, fields, replace

# What a plain request leaves open is answered like this.
DEFAULTS = {
    "start": "one",
    "end": "with",
    "keep": "all",
    "change": "same",
    "order": "up",
    "result": "list",
}
CHOICES: dict[str, tuple[str, ...]] = {
    "start": ("one", "zero"),
    "end": ("with", "without"),
    "keep": ("all", "even", "odd", "third"),
    "change": ("same", "square", "double", "cube"),
    "order": ("up", "down"),
    "result": ("list", "tuple", "sum"),
}
_KEEP_WORDS = {
    "all": "numbers",
    "even": "even numbers",
    "odd": "odd numbers",
    "third": "multiples of 3",
}
_CHANGE_WORDS = {"same": "", "square": "squares of ", "double": "doubles of ", "cube": "cubes of "}
_CHANGE_CODE = {"same": "i", "square": "i * i", "double": "2 * i", "cube": "i * i * i"}
_KEEP_CODE = {
    "all": "",
    "even": " if i % 2 == 0",
    "odd": " if i % 2 == 1",
    "third": " if i % 3 == 0",
}

TESTED = (1, 5, 6, 9)
MAX_SOURCE = 400
_BLOCK = re.compile(r"```(?:python)?\n(.*?)```", re.DOTALL)
_ALLOWED = (
    ast.Expression,
    ast.ListComp,
    ast.GeneratorExp,
    ast.comprehension,
    ast.Call,
    ast.Name,
    ast.Load,
    ast.Store,
    ast.Constant,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Mod,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.Subscript,
    ast.Slice,
    ast.UnaryOp,
    ast.USub,
)
_FUNCTIONS = {"range": range, "sum": sum, "tuple": tuple, "list": list}


@dataclass(frozen=True, slots=True)
class CodeTask:
    """One choice per axis of `CHOICES`."""

    start: str = "one"
    end: str = "with"
    keep: str = "all"
    change: str = "same"
    order: str = "up"
    result: str = "list"

    def question(self, rng: random.Random) -> str:
        """A request in words that states every choice that is not the default."""
        what = _CHANGE_WORDS[self.change] + ("all " + _KEEP_WORDS[self.keep])
        span = f"from {0 if self.start == 'zero' else 1} to n"
        if self.end == "without":
            span += rng.choice((" without n", ", not including n", " but not n"))
        if self.result == "sum":
            what = f"the sum of {'the ' if self.change != 'same' else ''}{what}"
        elif self.change != "same":
            what = f"the {what}"
        tail = " as a tuple" if self.result == "tuple" else ""
        if self.order == "down":
            tail += rng.choice((" in reverse order", ", backwards"))
        verb = rng.choice(
            (
                "Write a python function that returns",
                "Write a python function for",
                "I need a python function that returns",
                "Please write a python function that returns",
            )
        )
        return f"{verb} {what} {span}{tail}."

    def source(self) -> str:
        """The function, in the one way the pocket model writes it."""
        start = "0" if self.start == "zero" else "1"
        end = "n" if self.end == "without" else "n + 1"
        body = (
            f"[{_CHANGE_CODE[self.change]} for i in range({start}, {end}){_KEEP_CODE[self.keep]}]"
        )
        if self.order == "down":
            body += "[::-1]"
        if self.result != "list":
            body = f"{self.result}({body})"
        return f"def numbers(n):\n    return {body}"

    def answer(self) -> str:
        """The function as an assistant's message."""
        return f"```python\n{self.source()}\n```"

    def value(self, n: int) -> list[int] | tuple[int, ...] | int:
        """What the function returns for `n`."""
        found = run_source(self.source(), n)
        assert found is not None
        return found

    def solved_by(self, text: str) -> bool:
        """Whether a message holds a function that agrees with this task for several n."""
        source = source_in(text)
        if source is None:
            return False
        return all(_same(run_source(source, n), self.value(n)) for n in TESTED)

    def agrees_with(self, other: CodeTask) -> bool:
        """Whether no test could tell two tasks apart: a sum from 0 is a sum from 1."""
        return all(_same(self.value(n), other.value(n)) for n in TESTED)

    def differences(self, other: CodeTask) -> list[str]:
        """The axes on which two tasks differ."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]

    def failure(self, got: CodeTask, n: int) -> str:
        """What a failed unit test says: this task expected, `got` written."""
        return f"Test failed: numbers({n})\nGot: {got.value(n)}\nExpected: {self.value(n)}"


def _same(a: object, b: object) -> bool:
    return type(a) is type(b) and a == b


def draw_code_task(rng: random.Random, *, odds: float = 0.22) -> CodeTask:
    """A task whose choices each leave the default with probability `odds`."""
    chosen = {
        axis: rng.choice(options[1:]) if rng.random() < odds else options[0]
        for axis, options in CHOICES.items()
    }
    if chosen["result"] == "sum":
        chosen["order"] = "up"  # a sum has no order, so no test could tell
    return CodeTask(**chosen)


def vary(
    task: CodeTask, rng: random.Random, changes: int = 1, *, taken_back: float | None = None
) -> CodeTask:
    """A task that differs on exactly `changes` axes in a way that tests can tell.

    With probability `taken_back` an axis that left its default goes back to it.
    """
    axes = [a for a in CHOICES if not (a == "order" and task.result == "sum")]
    while True:
        varied = task
        for axis in rng.sample(axes, changes):
            default = CHOICES[axis][0]
            others = [o for o in CHOICES[axis] if o != getattr(task, axis)]
            if taken_back is not None and default in others and rng.random() < taken_back:
                others = [default]
            varied = replace(varied, **{axis: rng.choice(others)})
        if varied.result == "sum" and varied.order == "down":
            varied = replace(varied, order="up")
        if not varied.agrees_with(task):
            return varied


def source_in(text: str) -> str | None:
    """The code of a message: its fenced block, else everything from `def` on."""
    block = _BLOCK.search(text)
    if block:
        return block.group(1)
    start = text.find("def ")
    return text[start:] if start >= 0 else None


def run_source(source: str, n: int) -> list[int] | tuple[int, ...] | int | None:
    """What a one-line function of the family returns for a small n; None if it is none.

    Model output is never executed freely: only a single `return` of whitelisted nodes is
    evaluated, with four builtins, no attributes, no powers, and n at most 50.
    """
    if len(source) > MAX_SOURCE or not 0 <= n <= 50:
        return None
    try:
        tree = ast.parse(source.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        return None
    function = tree.body[0]
    if len(function.body) != 1 or not isinstance(function.body[0], ast.Return):
        return None
    returned = function.body[0].value
    if returned is None or not _harmless(returned):
        return None
    try:
        code = compile(ast.Expression(returned), "<answer>", "eval")
        return eval(code, {"__builtins__": {}, **_FUNCTIONS, "n": n})  # type: ignore[no-any-return]  # noqa: S307
    except Exception:
        return None


def _harmless(node: ast.AST) -> bool:
    for inner in ast.walk(node):
        if not isinstance(inner, _ALLOWED):
            return False
        if isinstance(inner, ast.Name) and inner.id not in {*_FUNCTIONS, "n", "i", "x"}:
            return False
        if isinstance(inner, ast.Constant) and not (
            isinstance(inner.value, int) and abs(inner.value) <= 100
        ):
            return False
        if isinstance(inner, ast.comprehension) and not isinstance(inner.iter, ast.Call):
            return False
    return sum(isinstance(inner, ast.comprehension) for inner in ast.walk(node)) <= 1
