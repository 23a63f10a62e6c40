"""Measures one contestant (base, champion, candidate, or the base with the rules in its prompt).

It generates answers to the user's own held-out prompts and to ability probes, and counts. What the
numbers mean for the candidate is `verdict.py`. torch is imported inside functions, by the model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent import prompts
from align_agent.feedback.checks import run_check
from align_agent.gate.probes import Probe
from align_agent.models.generation import Sampling
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_PHRASE = 4  # words in a phrase that counts as repeated


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One prompt to compare answers on, with what the user is known to want there.

    `rules` are the texts that apply, `checks` the specs of those a program can check, `follow_up`
    the user's correction of that very turn. `own` is false for a general prompt that stands in
    where the user has too few conversations to hold one out.
    """

    prompt: tuple[Message, ...]
    rules: tuple[str, ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()
    follow_up: str = ""
    own: bool = True

    @property
    def hindsight(self) -> str:
        """The block that the teacher sees; empty when nothing is known."""
        known = self.rules or self.follow_up
        return prompts.hindsight_block(self.rules, self.follow_up) if known else ""

    @property
    def fully_checked(self) -> bool:
        """Whether the checks say all there is to say: no follow-up, no rule without a check."""
        return len(self.checks) >= len(self.rules) and not self.follow_up


@dataclass(frozen=True, slots=True)
class Scores:
    """What one contestant did. Counts are exact, so that a reason can name them.

    `margin`: mean over the held-out prompts of mean_t [log pi(y_t | x, f, y_<t) -
    log pi(y_t | x, y_<t)] in nats a token, pi the frozen base, y the contestant's own answer and f
    the hindsight: the per-token advantage of SDPO (arXiv 2601.20802, section 3), here as a score.
    `margin_error`: its standard error. `length`: mean words an answer. `distinct`: share of word
    pairs that occur once over all answers. `repetition`: mean share of an answer's four-word
    phrases that it had before.
    """

    who: str
    checks_met: int = 0
    checks: int = 0
    probes_right: int = 0
    probes: int = 0
    margin: float = 0.0
    margin_error: float = 0.0
    length: float = 0.0
    distinct: float = 0.0
    repetition: float = 0.0
    n_heldout: int = 0
    unchecked: int = 0
    own_prompts: bool = True

    @property
    def rule_share(self) -> float:
        """Share of (held-out prompt x checkable rule) that was met; 0 when there is none."""
        return self.checks_met / self.checks if self.checks else 0.0

    @property
    def correct(self) -> float:
        """Share of ability probes answered right; 0 when there is none."""
        return self.probes_right / self.probes if self.probes else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "rule_share": self.rule_share, "correct": self.correct}


@dataclass(frozen=True, slots=True)
class Sheet:
    """The scores and the answers that were scored, one for each held-out prompt in order."""

    scores: Scores
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exam:
    """What every contestant is asked, under the same conditions.

    `standing_rules` are those that stand in the system prompt by day (declared ones), `all_rules`
    those that the memory baseline gets on a probe.
    """

    heldout: Sequence[HeldOut]
    probes: Sequence[Probe]
    sampling: Sampling
    standing_rules: Sequence[str] = ()
    all_rules: Sequence[str] = ()
    batch_size: int = 32


def score(
    model: LocalModel,
    adapter: Path | None,
    exam: Exam,
    *,
    who: str,
    with_rules: bool = False,
    on_step: Callable[[int], None] | None = None,
) -> Sheet:
    """Ask the contestant everything and count. `with_rules` makes it the memory baseline.

    Held-out prompts are answered as by day (`exam.sampling`, its seed fixed), probes greedily, so
    that three contestants differ by their weights alone. `on_step` gets the number of answers so
    far. Raises ModelError and what the model raises when memory runs out.
    """
    own = [
        prompts.with_rules(item.prompt, item.rules) if with_rules else item.prompt
        for item in exam.heldout
    ]
    rules = exam.all_rules if with_rules else exam.standing_rules
    asked = [prompts.with_rules(probe.prompt, rules) for probe in exam.probes]
    greedy = replace(exam.sampling, temperature=0.0)
    answers = _generate(model, adapter, own, exam.sampling, exam.batch_size, on_step, 0)
    replies = _generate(model, adapter, asked, greedy, exam.batch_size, on_step, len(own))
    met, total = count_checks(exam.heldout, answers)
    margin, error = _margin(model, exam.heldout, answers)
    right = sum(probe.check(reply) for probe, reply in zip(exam.probes, replies, strict=True))
    length, distinct, repetition = looks(answers)
    scores = Scores(
        who=who,
        checks_met=met,
        checks=total,
        probes_right=right,
        probes=len(exam.probes),
        margin=margin,
        margin_error=error,
        length=length,
        distinct=distinct,
        repetition=repetition,
        n_heldout=len(exam.heldout),
        unchecked=sum(not item.fully_checked for item in exam.heldout),
        own_prompts=all(item.own for item in exam.heldout),
    )
    return Sheet(scores, tuple(answers))


def count_checks(heldout: Sequence[HeldOut], answers: Sequence[str]) -> tuple[int, int]:
    """(met, all) over every pair of a held-out prompt and a check that applies to it."""
    outcomes = [
        run_check(dict(spec), answer)
        for item, answer in zip(heldout, answers, strict=True)
        for spec in item.checks
    ]
    return sum(outcomes), len(outcomes)


def looks(answers: Sequence[str]) -> tuple[float, float, float]:
    """(mean words, share of distinct word pairs over all, mean share of repeated phrases)."""
    if not answers:
        return 0.0, 0.0, 0.0
    texts = [[w.casefold() for w in _WORD.findall(answer)] for answer in answers]
    pairs = [pair for words in texts for pair in zip(words, words[1:], strict=False)]
    distinct = len(set(pairs)) / len(pairs) if pairs else 0.0
    length = sum(len(words) for words in texts) / len(texts)
    return length, distinct, sum(_repeated(words) for words in texts) / len(texts)


def _repeated(words: Sequence[str]) -> float:
    phrases = [tuple(words[i : i + _PHRASE]) for i in range(len(words) - _PHRASE + 1)]
    return 1 - len(set(phrases)) / len(phrases) if phrases else 0.0


def _generate(
    model: LocalModel,
    adapter: Path | None,
    asked: Sequence[Sequence[Message]],
    sampling: Sampling,
    batch_size: int,
    on_step: Callable[[int], None] | None,
    before: int,
) -> list[str]:
    answers: list[str] = []
    for start in range(0, len(asked), batch_size):
        part = asked[start : start + batch_size]
        found = model.generate_batch(
            part, sampling=sampling, adapter=adapter, batch_size=batch_size
        )
        answers += [generation.text for generation in found]
        if on_step:
            on_step(before + len(answers))
    return answers


def _margin(
    model: LocalModel, heldout: Sequence[HeldOut], answers: Sequence[str]
) -> tuple[float, float]:
    """Mean and standard error of the per-token advantage, over prompts that have a hindsight."""
    values = []
    for item, answer in zip(heldout, answers, strict=True):
        if not item.hindsight:
            continue
        told = prompts.with_hindsight(item.prompt, item.hindsight)
        shown = mean_logprob(model, told, answer)
        plain = mean_logprob(model, item.prompt, answer)
        values.append(shown - plain)
    if not values:
        return 0.0, 0.0
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, 0.0
    spread = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(spread / len(values))
