"""The search: attempts, verdicts, a step, until solved or spent. Resumable from what it wrote.

Every round of attempts is appended to `attempts.jsonl` before anything is learned from it. A search
that was killed is gone through again from there: its steps are taken anew from the attempts on
file, which gives the same weights, and it goes on as if nothing had happened.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.discover.methods import Ask, Attempt, Method, ask, examples, learns, sizes
from align_agent.discover.problem import Problem
from align_agent.discover.room import room_of
from align_agent.discover.verdicts import Judge, Outcome, code_in
from align_agent.errors import ContextTooLong, InputError
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

ATTEMPTS = "attempts.jsonl"
OnRound = Callable[["Search"], None]


@dataclass
class Search:
    """One search. `attempts` and `steps` grow; `solution` is set by the first that passes."""

    problem: Problem
    method: Method
    budget: int
    seed: int
    attempts: list[Attempt] = field(default_factory=list)
    steps: list[dict[str, float]] = field(default_factory=list)
    solution: Attempt | None = None
    seconds: float = 0.0
    resumed: int = 0

    @property
    def solved(self) -> bool:
        return self.solution is not None

    @property
    def prompt(self) -> tuple[Message, ...]:
        system = (Message("system", self.problem.system),) if self.problem.system else ()
        return (*system, Message("user", self.problem.prompt))

    def code(self) -> str:
        """The solution's code, or its whole text where there is none."""
        answer = self.solution.answer if self.solution else ""
        return code_in(answer) or answer


def solve(
    model: LocalModel,
    search: Search,
    judge: Judge,
    *,
    folder: Path | None = None,
    on_round: OnRound | None = None,
    settings: Any = None,
    adapter: Path | None = None,
) -> Search:
    """Search until solved or the budget is spent.

    What was learned is thrown away, unless `adapter` names a folder for it. The batch that solves
    the problem is not learned; one that spends the budget only where the adapter is kept.
    With a `folder` every attempt is on file before it counts. Deterministic for a seed on a CPU.
    Raises ContextTooLong, and InputError when the verifier breaks on the whole first batch or the
    attempts on file are not those of one search.
    """
    started = time.monotonic() - search.seconds
    _fits(model, search)
    stepper: Any = None
    if learns(search.method):
        from align_agent.distill.step import StepConfig, Stepper

        stepper = Stepper(model, settings or StepConfig(), seed=search.seed)
    known = list(_on_file(folder)) if folder else []
    batch = 0
    while len(search.attempts) < search.budget and not search.solved:
        begun = len(search.attempts)
        for size in sizes(search.method, batch):
            left = min(size, search.budget - len(search.attempts))
            if search.solved or not left:
                break
            made = known[:left]
            known = known[left:]
            search.resumed += len(made)
            if len(made) < left:
                new = _attempts(model, search, judge, stepper, batch, left, made)
                if folder:
                    _append(folder, new)
                made += new
            search.attempts += made
            search.solution = next((a for a in made if a.outcome.passed), None)
            search.seconds = time.monotonic() - started
            if on_round is not None:
                on_round(search)
        _not_broken(search, batch)
        wanted = adapter is not None or len(search.attempts) < search.budget
        if stepper is not None and wanted and not search.solved:
            _learn(model, search, stepper, search.attempts[begun:])
        batch += 1
    if stepper is not None and adapter is not None and search.attempts:
        stepper.save(adapter)
    search.seconds = time.monotonic() - started
    return search


def _learn(model: LocalModel, search: Search, stepper: Any, batch: Sequence[Attempt]) -> None:
    fits = room_of(model, search.problem.max_new_tokens)
    learned = examples(search.method, search.prompt, search.attempts, batch, fits)
    if learned:
        search.steps.append(stepper.step(learned))


def _attempts(
    model: LocalModel,
    search: Search,
    judge: Judge,
    stepper: Any,
    batch: int,
    count: int,
    made: Sequence[Attempt],
) -> list[Attempt]:
    """The attempts of a round that are not on file yet."""
    fits = room_of(model, search.problem.max_new_tokens)
    asks = ask(search.method, search.prompt, search.attempts, count, search.seed, fits)
    answers = _answers(model, search, stepper, asks)
    first = len(search.attempts)
    new = []
    for place, (wanted, answer) in enumerate(zip(asks, answers, strict=True)):
        if place >= len(made):
            outcome = judge.judge(answer, first + place)
            made_by = wanted.student and stepper is not None
            new.append(Attempt(first + place, batch, wanted.how, made_by, answer, outcome))
    return new


def _answers(model: LocalModel, search: Search, stepper: Any, asks: Sequence[Ask]) -> list[str]:
    from align_agent.models.generation import Sampling

    answers = [""] * len(asks)
    for student in (False, True):
        places = [i for i, wanted in enumerate(asks) if wanted.student == student]
        if not places:
            continue
        # A seed of its own for each round and each network: no two rows draw the same numbers.
        seed = (search.seed * 1_000_003 + len(search.attempts)) * 2 + student
        found = model.generate_batch(
            [asks[i].prompt for i in places],
            sampling=Sampling(search.problem.max_new_tokens, 1.0, seed=seed),
            network=stepper.network if student and stepper is not None else None,
        )
        for i, generation in zip(places, found, strict=True):
            answers[i] = generation.text
    return answers


def _fits(model: LocalModel, search: Search) -> None:
    room = len(model.encode(search.prompt))
    if room >= model.context:
        raise ContextTooLong(
            f"the prompt of `{search.problem.name}` has {room} tokens, the context {model.context}",
            hint="shorten the prompt, or name a model with a larger context: --model",
        )


def _not_broken(search: Search, batch: int) -> None:
    """Feedback about a broken verifier teaches nothing: better to stop than to spend the budget."""
    if batch == 0 and search.attempts and all(a.outcome.kind == "broken" for a in search.attempts):
        raise InputError(
            f"the verifier of `{search.problem.name}` broke on every attempt: "
            f"{search.attempts[0].outcome.feedback}",
            hint="mend it, or raise `limits`",
        )


def _append(folder: Path, attempts: Sequence[Attempt]) -> None:
    with (folder / ATTEMPTS).open("a", encoding="utf-8") as file:
        for attempt in attempts:
            file.write(json.dumps(to_dict(attempt), ensure_ascii=True) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _on_file(folder: Path) -> Iterator[Attempt]:
    """The attempts of a search that was cut off; a last line that is not whole is left out."""
    path = folder / ATTEMPTS
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # what follows must begin on a line of its own
        path.write_text(whole, encoding="utf-8")
    for number, line in enumerate(whole.splitlines()):
        attempt = _attempt(line)
        if attempt is None or attempt.number != number:
            raise InputError(
                f"{path}, line {number + 1}, is not attempt {number}",
                hint="it was changed from outside; begin a new search, without --resume",
            )
        yield attempt


def _attempt(line: str) -> Attempt | None:
    """The attempt of a line; None where it holds none."""
    try:
        row = json.loads(line)
        outcome = Outcome(row["verdict"], row["feedback"])
        return Attempt(
            row["number"], row["batch"], row["how"], row["student"], row["answer"], outcome
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def to_dict(attempt: Attempt) -> dict[str, Any]:
    """An attempt as the file and the report hold it."""
    return {
        "number": attempt.number,
        "batch": attempt.batch,
        "how": attempt.how,
        "student": attempt.student,
        "answer": attempt.answer,
        "verdict": attempt.outcome.kind,
        "feedback": attempt.outcome.feedback,
    }
