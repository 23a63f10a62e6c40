"""Asks one contestant (base, champion, candidate, or the base with the rules in its prompt) and
counts. What the numbers mean for the candidate is `measures.py` and `verdict.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent import prompts
from align_agent.feedback.checks import run_check
from align_agent.gate import likelihood, looks
from align_agent.gate.intervals import mean
from align_agent.gate.paper import Exam, HeldOut, by_tools, reminded
from align_agent.gate.probed import Kept, graded, probe, shown
from align_agent.models.generation import Generation, Sampling
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one contestant did, prompt by prompt, in the exam's order.

    `asked` and `answers` are the held-out prompts as this contestant saw them and its answers;
    `met` the share of checks met on each that has any. `replies`, `right` and `sure` belong to
    the probes (sure: exp of the mean log-probability a token), `pinned` says for each pinned
    prompt whether its answer is as expected. `held` maps a probe that was answered right and then
    doubted to whether the answer still was. `finished` goes over held-out prompts, then
    probes, `entropy` and `kl` over the first probes. `exposed` is of `likelihood.exposures`, empty
    but for one who has an adapter.
    """

    who: str
    asked: tuple[tuple[Message, ...], ...] = ()
    answers: tuple[str, ...] = ()
    met: tuple[float, ...] = ()
    checks_met: int = 0
    checks: int = 0
    margins: tuple[float, ...] = ()
    questions: tuple[tuple[Message, ...], ...] = ()
    replies: tuple[str, ...] = ()
    right: tuple[bool, ...] = ()
    sure: tuple[float, ...] = ()
    pinned: tuple[bool, ...] = ()
    held: tuple[tuple[int, bool], ...] = ()
    finished: tuple[bool, ...] = ()
    entropy: tuple[float, ...] = ()
    kl: tuple[float, ...] = ()
    exposed: tuple[tuple[float, float], ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All answers: the few turns of one held-out conversation are alike by nature."""
        return (*self.answers, *self.replies)

    @property
    def prompts(self) -> tuple[tuple[Message, ...], ...]:
        return (*self.asked, *self.questions)

    @property
    def rule_share(self) -> float:
        """Share of (held-out prompt x checkable rule) that was met; 0 when there is none."""
        return self.checks_met / self.checks if self.checks else 0.0

    @property
    def correct(self) -> float:
        """Share of ability probes answered right; 0 when there is none."""
        return mean(self.right)

    def row(self) -> dict[str, Any]:
        """The scores as one row of the gate's table, for people and for JSON."""
        return {
            "who": self.who,
            "rules": f"{self.checks_met}/{self.checks}",
            "rule_share": round(self.rule_share, 4),
            "probes": f"{sum(self.right)}/{len(self.right)}",
            "correct": round(self.correct, 4),
            "margin": round(mean(self.margins), 4),
            "words": round(mean([looks.length(text) for text in self.texts]), 1),
            "distinct": round(looks.distinct(self.texts), 3),
            "repetition": round(mean([looks.repetition(text) for text in self.texts]), 3),
            "gave_in": round(1 - mean([held for _, held in self.held]), 3) if self.held else 0.0,
            "kl": round(mean(self.kl), 3),
        }


def score(
    model: LocalModel,
    adapter: Path | None,
    exam: Exam,
    *,
    who: str,
    with_rules: bool = False,
    on_step: Callable[[int], None] | None = None,
    kept: Kept | None = None,
) -> Sheet:
    """Ask the contestant everything and count. `with_rules` makes it the memory baseline.

    Held-out prompts are answered as by day (`exam.sampling`, its seed fixed), probes greedily, so
    that contestants differ by their weights alone. `on_step` gets the number of answers so
    far, `kept` holds answers to probes of earlier nights. Raises ModelError and what the model
    raises when memory runs out.
    """
    rules = exam.all_rules if with_rules else exam.standing_rules
    own = [reminded(item) if with_rules else item for item in exam.heldout]
    count = Counter(on_step)
    found = ask(model, adapter, own, exam, count)
    answers = [one.text for one in found]
    greedy = replace(exam.sampling, temperature=0.0)

    def generate(asked: Sequence[Sequence[Message]]) -> list[Generation]:
        return _generate(model, adapter, asked, greedy, (), count)

    asked = shown(exam, rules)
    said, known = probe(model, adapter, exam, asked, generate, kept)
    if known:
        count.reach(count.done + len(said.replies) + len(said.doubted))
    pinned = generate([prompts.with_rules(one.prompt, rules) for one in exam.pinned])
    met, total = count_checks(exam.heldout, answers)
    return Sheet(
        who=who,
        asked=tuple(item.prompt for item in own),
        answers=tuple(answers),
        met=shares_met(exam.heldout, answers),
        checks_met=met,
        checks=total,
        margins=likelihood.margins(model, exam.heldout, answers),
        questions=tuple(asked),
        replies=said.replies,
        right=graded(exam.probes, said.replies),
        sure=said.sure,
        pinned=graded(exam.pinned, [one.text for one in pinned]),
        held=tuple((i, exam.probes[i].check(text)) for i, text in said.doubted),
        finished=(*(one.finish_reason != "length" for one in found), *said.finished),
        entropy=said.entropy,
        kl=said.kl,
        exposed=tuple(likelihood.exposures(model, adapter, exam.canaries)) if adapter else (),
    )


def count_checks(heldout: Sequence[HeldOut], answers: Sequence[str]) -> tuple[int, int]:
    """(met, all) over every pair of a held-out prompt and a check that applies to it."""
    outcomes = [
        run_check(dict(spec), answer, asked=item.asked)
        for item, answer in zip(heldout, answers, strict=True)
        for spec in item.checks
    ]
    return sum(outcomes), len(outcomes)


def shares_met(heldout: Sequence[HeldOut], answers: Sequence[str]) -> tuple[float, ...]:
    """The share of checks that the answer meets, of each prompt that has any."""
    pairs = [
        count_checks([item], [answer])
        for item, answer in zip(heldout, answers, strict=True)
        if item.checks
    ]
    return tuple(met / total for met, total in pairs)


class Counter:
    """Adds up the answers of several batches for `on_step`."""

    def __init__(self, on_step: Callable[[int], None] | None = None) -> None:
        self._on_step = on_step
        self.done = 0

    def reach(self, done: int) -> None:
        self.done = done
        if self._on_step is not None:
            self._on_step(self.done)


def ask(
    model: LocalModel,
    adapter: Path | None,
    items: Sequence[HeldOut],
    exam: Exam,
    count: Counter | None = None,
    over: Callable[[], bool] | None = None,
) -> list[Generation]:
    """The answers in words, one for each item, asked with the tools that it had. Once `over` says
    that the time is up they end where they are."""
    count = count or Counter()
    answers: dict[int, Generation] = {}
    for tools, places in by_tools([item.tools for item in items]):
        part = [items[i].prompt for i in places]
        found = _generate(model, adapter, part, exam.sampling, tools, count, over)
        silent = [i for i, answer in enumerate(found) if tools and not answer.text.strip()]
        # Nothing runs tools here: an answer that is only a call is asked for again in words.
        said = [part[i] for i in silent]
        again = _generate(model, adapter, said, exam.sampling, (), count, over)
        for i, answer in zip(silent, again, strict=True):
            found[i] = answer
        answers.update(zip(places, found, strict=True))
    return [answers[i] for i in range(len(items))]


def _generate(
    model: LocalModel,
    adapter: Path | None,
    asked: Sequence[Sequence[Message]],
    sampling: Sampling,
    tools: tuple[dict[str, Any], ...],
    count: Counter,
    over: Callable[[], bool] | None = None,
) -> list[Generation]:
    before = count.done
    return model.generate_batch(
        asked,
        sampling=sampling,
        adapter=adapter,
        tools=tools,
        on_done=lambda done: count.reach(before + done),
        over=over,
    )
