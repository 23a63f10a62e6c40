"""Measures one contestant (base, champion, candidate, or the base with the rules in its prompt).

It generates answers to the user's own held-out prompts and to ability probes, and counts. What the
numbers mean for the candidate is `verdict.py`. torch is imported inside functions, by the model.
"""

from __future__ import annotations

import itertools
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
    the user's correction of that very turn, `covered` whether one of the checks says whether it
    was heeded. `own` is false for a general prompt that stands in
    where the user has too few conversations to hold one out. `tools` are the definitions that
    stood in the prompt. With its hindsight the prompt must leave room for an answer.
    """

    prompt: tuple[Message, ...]
    rules: tuple[str, ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()
    follow_up: str = ""
    covered: bool = False
    own: bool = True
    tools: tuple[dict[str, Any], ...] = ()

    @property
    def hindsight(self) -> str:
        """The block that the teacher sees; empty when nothing is known."""
        known = self.rules or self.follow_up
        return prompts.hindsight_block(self.rules, self.follow_up) if known else ""

    @property
    def fully_checked(self) -> bool:
        """Whether the checks say all there is to say about an answer."""
        return len(self.checks) >= len(self.rules) and (self.covered or not self.follow_up)


@dataclass(frozen=True, slots=True)
class Scores:
    """What one contestant did. Counts are exact, so that a reason can name them.

    `margins`: for each held-out prompt that has a hindsight, mean_t [log pi(y_t | x, f, y_<t) -
    log pi(y_t | x, y_<t)] in nats a token, pi the frozen base, y the contestant's own answer and f
    the hindsight: the per-token advantage of SDPO (arXiv 2601.20802, section 3), here as a score.
    `n_own`: held-out prompts that are the user's own. Over the answers to prompts and probes
    together: `length`, mean words an answer; `distinct`, different word pairs over all word pairs;
    `repetition`, mean share of an answer's four-word phrases that it had before.
    """

    who: str
    checks_met: int = 0
    checks: int = 0
    probes_right: int = 0
    probes: int = 0
    margins: tuple[float, ...] = ()
    length: float = 0.0
    distinct: float = 0.0
    repetition: float = 0.0
    n_heldout: int = 0
    n_own: int = 0
    unchecked: int = 0

    @property
    def margin(self) -> float:
        """Mean of `margins`, in nats a token; 0 when there is none."""
        return _mean(self.margins)

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

    def row(self) -> dict[str, Any]:
        """The scores as one row of the gate's table, for people and for JSON."""
        return {
            "who": self.who,
            "rules": f"{self.checks_met}/{self.checks}",
            "rule_share": round(self.rule_share, 4),
            "probes": f"{self.probes_right}/{self.probes}",
            "correct": round(self.correct, 4),
            "margin": round(self.margin, 4),
            "words": round(self.length, 1),
            "distinct": round(self.distinct, 3),
            "repetition": round(self.repetition, 3),
        }


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
    rules = exam.all_rules if with_rules else exam.standing_rules
    asked = [prompts.with_rules(probe.prompt, rules) for probe in exam.probes]
    own = [reminded(item) if with_rules else item for item in exam.heldout]
    count = _Counter(on_step)
    answers = ask(model, adapter, own, exam, count)
    greedy = replace(exam.sampling, temperature=0.0)
    replies = _generate(model, adapter, asked, greedy, (), count)
    met, total = count_checks(exam.heldout, answers)
    right = sum(probe.check(reply) for probe, reply in zip(exam.probes, replies, strict=True))
    # Over the probes too: the few turns of one held-out conversation are alike by nature.
    length, distinct, repetition = looks([*answers, *replies])
    scores = Scores(
        who=who,
        checks_met=met,
        checks=total,
        probes_right=right,
        probes=len(exam.probes),
        margins=_margins(model, exam.heldout, answers),
        length=length,
        distinct=distinct,
        repetition=repetition,
        n_heldout=len(exam.heldout),
        n_own=sum(item.own for item in exam.heldout),
        unchecked=sum(not item.fully_checked for item in exam.heldout),
    )
    return Sheet(scores, tuple(answers))


def reminded(item: HeldOut) -> HeldOut:
    """The item with its rules in the system message, but for those that stand there already."""
    system = item.prompt[0].content if item.prompt and item.prompt[0].role == "system" else ""
    missing = [rule for rule in item.rules if rule not in system]
    return replace(item, prompt=prompts.with_rules(item.prompt, missing))


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
    pairs = [pair for words in texts for pair in itertools.pairwise(words)]
    distinct = len(set(pairs)) / len(pairs) if pairs else 0.0
    length = sum(len(words) for words in texts) / len(texts)
    return length, distinct, sum(_repeated(words) for words in texts) / len(texts)


def _repeated(words: Sequence[str]) -> float:
    phrases = [tuple(words[i : i + _PHRASE]) for i in range(len(words) - _PHRASE + 1)]
    return 1 - len(set(phrases)) / len(phrases) if phrases else 0.0


class _Counter:
    """Adds up the answers of several batches for `on_step`."""

    def __init__(self, on_step: Callable[[int], None] | None) -> None:
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
    count: _Counter | None = None,
) -> list[str]:
    """The answers in words, one for each item, asked with the tools that it had."""
    count = count or _Counter(None)
    answers = [""] * len(items)
    for tools, places in by_tools([item.tools for item in items]):
        part = [items[i].prompt for i in places]
        found = _generate(model, adapter, part, exam.sampling, tools, count)
        silent = [i for i, answer in enumerate(found) if tools and not answer.strip()]
        # Nothing runs tools here: an answer that is only a call is asked for again in words.
        again = _generate(model, adapter, [part[i] for i in silent], exam.sampling, (), count)
        for i, answer in zip(silent, again, strict=True):
            found[i] = answer
        for place, answer in zip(places, found, strict=True):
            answers[place] = answer
    return answers


def by_tools(
    tools: Sequence[tuple[dict[str, Any], ...]],
) -> list[tuple[tuple[dict[str, Any], ...], list[int]]]:
    """Indices grouped by equal tool definitions: a batch has one set of them."""
    groups: list[tuple[tuple[dict[str, Any], ...], list[int]]] = []
    for index, one in enumerate(tools):
        for known, members in groups:
            if known == one:
                members.append(index)
                break
        else:
            groups.append((one, [index]))
    return groups


def _generate(
    model: LocalModel,
    adapter: Path | None,
    asked: Sequence[Sequence[Message]],
    sampling: Sampling,
    tools: tuple[dict[str, Any], ...],
    count: _Counter,
) -> list[str]:
    before = count.done
    found = model.generate_batch(
        asked,
        sampling=sampling,
        adapter=adapter,
        tools=tools,
        on_done=lambda done: count.reach(before + done),
    )
    return [generation.text for generation in found]


def _margins(
    model: LocalModel, heldout: Sequence[HeldOut], answers: Sequence[str]
) -> tuple[float, ...]:
    """The per-token advantage of each answer whose prompt has a hindsight, in order."""
    values: dict[int, float] = {}
    for tools, group in by_tools([item.tools for item in heldout]):
        places = [i for i in group if heldout[i].hindsight]
        replies = [(Message("assistant", answers[i]),) for i in places]
        plain = [heldout[i].prompt for i in places]
        told = [prompts.with_hindsight(heldout[i].prompt, heldout[i].hindsight) for i in places]
        shown = model.logprobs(list(zip(told, replies, strict=True)), tools=tools)
        bare = model.logprobs(list(zip(plain, replies, strict=True)), tools=tools)
        for i, one, two in zip(places, shown, bare, strict=True):
            values[i] = _mean(one) - _mean(two)
    return tuple(values[i] for i in sorted(values))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
