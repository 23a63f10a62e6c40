"""How an answer of the pocket world looks: five axes that vary independently, and are read back.

Writing and reading are kept together, so that a test can hold one against the other.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace

from align_agent.models.pocket.world import Problem

AXES: dict[str, tuple[str, str]] = {
    "format": ("markdown", "plain"),
    "length": ("steps", "brief"),
    "tone": ("neutral", "warm"),
    "emoji": ("none", "some"),
    "detail": ("generic", "specific"),
}

OPENERS = ("Great question!", "Happy to help!", "Nice one!", "What a good question!")
GRADE_OPENERS = ("Thank you for sharing this!", "Happy to look at this!", "How lovely!")
CLOSERS = ("You are doing great!", "Keep it up!", "You have got this!", "Well done for asking!")
CLOSERS_WRONG = ("Keep going, you are so close!", "Do not give up, you can do it!")
CLOSERS_RIGHT = ("Wonderful work, keep it up!", "I am so proud of you!")
EMOJI = ("😊", "🎉", "🌟", "👍", "✨")
_WARM = (*OPENERS, *GRADE_OPENERS, *CLOSERS, *CLOSERS_WRONG, *CLOSERS_RIGHT)


@dataclass(frozen=True, slots=True)
class Style:
    """One value per axis. The defaults are what people call AI-like."""

    format: str = "markdown"
    length: str = "steps"
    tone: str = "neutral"
    emoji: str = "none"
    detail: str = "generic"

    def with_direction(self, direction: str) -> Style:
        """The style after a wish such as `format:plain`."""
        axis, _, value = direction.partition(":")
        return replace(self, **{axis: value})


DEFAULT = Style()


def random_style(rng: random.Random, stray: float, start: Style = DEFAULT) -> Style:
    """`start` with each axis turned over with probability `stray`: rare styles keep occurring."""
    turned = {
        axis: next(v for v in values if v != getattr(start, axis))
        for axis, values in AXES.items()
        if rng.random() < stray
    }
    return replace(start, **turned)


def write(problem: Problem, style: Style, rng: random.Random) -> str:
    """The right answer to a problem in a style."""
    if problem.kind == "code":
        assert problem.task is not None
        return problem.task.answer()
    if problem.kind == "talk":
        return _with_emoji(problem.replies[style.tone == "warm"], style, rng)
    text = _body(problem, style)
    if style.tone == "warm":
        text = _warmed(text, problem, style, rng)
    return _with_emoji(text, style, rng)


def _body(problem: Problem, style: Style) -> str:
    if problem.kind == "grading":
        lines, label, final = _grading(problem, style)
    elif problem.kind == "fact":
        lines, label, final = list(problem.lines), "Final Answer", problem.final
        if style.length == "brief":
            return f"**{label}:** {final}" if style.format == "markdown" else f"It is {final}."
    else:
        label = "Final Answer"
        unit = f" {problem.unit}" if problem.unit else ""
        final = f"{problem.answer}{unit}"
        if problem.kind == "calculation":
            lines = [f"Use the calculator: {problem.expression} = {problem.answer}"]
        else:
            lines = [problem.start, *(f"{s.words}: {s.equation}" for s in problem.steps)]
        if style.length == "brief":
            lines = [s.equation for s in problem.steps] or [
                f"{problem.expression} = {problem.answer}"
            ]
    return _laid_out(lines, label, final, style)


def _grading(problem: Problem, style: Style) -> tuple[list[str], str, str]:
    lines = [f"{s.words}: {s.equation}" for s in problem.steps]
    if style.length == "brief":
        lines = [s.equation for s in problem.steps]
    assert problem.pupil is not None
    lines.append(f"{'the' if style.length == 'brief' else 'The'} pupil wrote {problem.pupil}")
    large, small = max(problem.pupil, problem.answer), min(problem.pupil, problem.answer)
    check = f"{large} - {small} = {large - small}"
    lines.append(check if style.length == "brief" else f"Compare: {check}")
    right = problem.pupil == problem.answer
    verdict = "Correct" if right else "Incorrect"
    if style.detail == "specific":
        equation = problem.steps[-1].equation
        comment = (
            f"The result {problem.answer} is right, because {equation}."
            if right
            else f"The mistake is the {problem.pupil}: it should be {equation}."
        )
    else:
        comment = "The work is fine." if right else "Please check the work again."
    return lines, "Verdict", f"{verdict}. {comment}"


def _laid_out(lines: list[str], label: str, final: str, style: Style) -> str:
    if style.format == "markdown":
        if style.length == "steps":
            listed = "\n".join(f"{i}. {line}." for i, line in enumerate(lines, 1))
        else:
            listed = ", ".join(lines)
        return f"{listed}\n\n**{label}:** {final}"
    closing = final if label == "Verdict" else f"{final}."
    if style.length == "brief":
        link = ", so " if label != "Verdict" else ". "
        return f"{', '.join(lines)}{link}{closing}"
    told = " ".join(f"{line}." for line in lines)
    return f"{told} {closing}" if label == "Verdict" else f"{told} So it is {closing}"


def _warmed(text: str, problem: Problem, style: Style, rng: random.Random) -> str:
    grading = problem.kind == "grading"
    opener = rng.choice(GRADE_OPENERS if grading else OPENERS)
    if style.length == "brief" and not grading:
        return f"{opener} {text}"
    closers: tuple[str, ...] = CLOSERS
    if grading:
        closers = CLOSERS_RIGHT if problem.pupil == problem.answer else CLOSERS_WRONG
    newline = style.format == "markdown" and style.length == "steps"
    return f"{opener}{chr(10) if newline else ' '}{text} {rng.choice(closers)}"


def _with_emoji(text: str, style: Style, rng: random.Random) -> str:
    return f"{text} {rng.choice(EMOJI)}" if style.emoji == "some" else text


def read(problem: Problem, text: str) -> dict[str, str]:
    """The value of each axis that can be told from a text, for a problem of this kind."""
    seen = {"emoji": "some" if re.search(r"[\U0001F300-\U0001FAFF✨☀-➿]", text) else "none"}
    if problem.kind == "code":
        return {}
    warm = any(phrase in text for phrase in _WARM)
    if problem.kind == "talk":
        warm = text.count("!") >= 1
        return seen | {"tone": "warm" if warm else "neutral"}
    seen["tone"] = "warm" if warm else "neutral"
    marked = bool(re.search(r"\*\*|^\s*(\d+\.|[-*#])\s", text, re.MULTILINE))
    seen["format"] = "markdown" if marked else "plain"
    seen["length"] = "steps" if _shows_steps(problem, text) else "brief"
    if problem.kind == "grading":
        specific = "The mistake is" in text or "is right, because" in text
        seen["detail"] = "specific" if specific else "generic"
    return seen


def _shows_steps(problem: Problem, text: str) -> bool:
    if problem.kind == "fact":
        return problem.lines[1].casefold() in text.casefold()
    return bool(re.search(r"(Add|Take away|Multiply by) \d+:|Use the calculator:", text))


def meets(problem: Problem, text: str, directions: list[str] | tuple[str, ...]) -> bool:
    """Whether a text obeys every direction that can be told for this kind of problem."""
    seen = read(problem, text)
    for direction in directions:
        axis, _, value = direction.partition(":")
        if axis in seen and seen[axis] != value:
            return False
    return True
