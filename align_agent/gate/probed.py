"""What a contestant says to the ability probes, and what it said to them on earlier nights.

Base and champion do not change from night to night, nor do the probes: what was said is not
computed again. Of the user nothing is kept here but what the model made of their rules; pinned and
held-out prompts are asked anew each night.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import align_agent
from align_agent import prompts
from align_agent.gate import likelihood
from align_agent.gate.intervals import mean
from align_agent.gate.likelihood import Asked, Weight
from align_agent.gate.paper import PUSH, Exam
from align_agent.gate.probes import Probe
from align_agent.models.generation import Generation
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

_WEIGHED = 40  # probes whose answers are weighed for entropy and KL
_FORMAT = 1  # raised when `Probed` changes, or how its answers are made

Prompt = tuple[Message, ...]
Generate = Callable[[Sequence[Prompt]], list[Generation]]


class Kept(Protocol):
    """A place for JSON objects by name, each whole or absent."""

    def read(self, name: str) -> dict[str, Any] | None: ...
    def write(self, name: str, data: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Probed:
    """Answers to the probes, in their order. `sure` is exp of the mean log-probability a token,
    `finished` whether the answer came to its end, `doubted` maps the place of a probe that was
    answered right to what was answered after a doubt. `entropy` and `kl` are of the first probes,
    in nats a token.
    """

    replies: tuple[str, ...] = ()
    sure: tuple[float, ...] = ()
    finished: tuple[bool, ...] = ()
    doubted: tuple[tuple[int, str], ...] = ()
    entropy: tuple[float, ...] = ()
    kl: tuple[float, ...] = ()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Probed:
        """Raises KeyError, TypeError or ValueError for what `asdict` did not write."""
        return cls(
            replies=tuple(str(text) for text in data["replies"]),
            sure=tuple(float(value) for value in data["sure"]),
            finished=tuple(bool(value) for value in data["finished"]),
            doubted=tuple((int(place), str(text)) for place, text in data["doubted"]),
            entropy=tuple(float(value) for value in data["entropy"]),
            kl=tuple(float(value) for value in data["kl"]),
        )

    def fits(self, exam: Exam) -> bool:
        """Whether there is an answer for each of the exam's probes, and whether those that were
        doubted are those that are right today: a grader may have changed since."""
        n = len(exam.probes)
        if len(self.replies) != n:
            return False
        right = [i for i, fine in enumerate(graded(exam.probes, self.replies)) if fine]
        return (
            len(self.sure) == len(self.finished) == n
            and len(self.entropy) == len(self.kl) == min(n, _WEIGHED)
            and {place for place, _ in self.doubted} <= set(right[: exam.pushed])
        )


def probe(
    model: LocalModel,
    adapter: Path | None,
    exam: Exam,
    asked: Sequence[Prompt],
    generate: Generate,
    kept: Kept | None = None,
) -> tuple[Probed, bool]:
    """The contestant's answers to the probes, `asked` as it is shown them, and whether they were
    known already. `generate` answers greedily. What `kept` holds that cannot be read is asked anew.
    """
    name = ""
    if kept is not None:
        name = name_of(model, adapter, exam, asked)
        known = _known(kept, name, exam)
        if known is not None:
            return known, True
    replies = generate(asked)
    weighed = [
        Asked(question, reply.text)
        for question, reply in zip(asked[:_WEIGHED], replies[:_WEIGHED], strict=True)
    ]
    weights: list[Weight] = likelihood.weigh(model, adapter, weighed)
    found = Probed(
        replies=tuple(reply.text for reply in replies),
        sure=tuple(math.exp(mean(reply.logprobs)) for reply in replies),
        finished=tuple(reply.finish_reason != "length" for reply in replies),
        entropy=tuple(weight.entropy for weight in weights),
        kl=tuple(weight.kl for weight in weights),
    )
    found = replace(found, doubted=_doubted(model, exam, asked, found, generate))
    if kept is not None:
        kept.write(name, asdict(found))
    return found, False


def graded(probes: Sequence[Probe], replies: Sequence[str]) -> tuple[bool, ...]:
    """Whether each probe is answered right."""
    return tuple(probe.check(reply) for probe, reply in zip(probes, replies, strict=True))


def name_of(model: LocalModel, adapter: Path | None, exam: Exam, asked: Sequence[Prompt]) -> str:
    """A name for all that the answers depend on: weights, how they are computed, questions."""
    import torch
    import transformers

    from align_agent.models.lora import CONFIG_FILE, WEIGHTS_FILE

    made_by = (_FORMAT, align_agent.__version__, torch.__version__, transformers.__version__)
    sampling = replace(exam.sampling, temperature=0.0)
    digest = hashlib.sha256()
    for part in (made_by, model.base_hash, model.device.type, model.dtype, sampling, PUSH):
        digest.update(f"{part!r}\n".encode())
    digest.update(repr((exam.pushed, _WEIGHED, list(asked))).encode("utf-8", "surrogatepass"))
    for file in (WEIGHTS_FILE, CONFIG_FILE) if adapter else ():
        digest.update((adapter / file).read_bytes() if adapter else b"")
    return digest.hexdigest()[:32]


def _known(kept: Kept, name: str, exam: Exam) -> Probed | None:
    data = kept.read(name)
    try:
        found = Probed.from_dict(data) if data is not None else None
    except (KeyError, TypeError, ValueError):
        return None
    return found if found is not None and found.fits(exam) else None


def _doubted(
    model: LocalModel, exam: Exam, asked: Sequence[Prompt], found: Probed, generate: Generate
) -> tuple[tuple[int, str], ...]:
    """Of the first right answers to probes, what is said after a doubt."""
    right = graded(exam.probes, found.replies)
    chosen = [i for i, fine in enumerate(right) if fine][: exam.pushed]
    pushed = {
        i: (*asked[i], Message("assistant", found.replies[i]), Message("user", PUSH))
        for i in chosen
    }
    room = model.context - exam.sampling.max_new_tokens
    pushed = {i: prompt for i, prompt in pushed.items() if len(model.encode(prompt)) <= room}
    said = generate(list(pushed.values()))
    return tuple((i, answer.text) for i, answer in zip(pushed, said, strict=True))


def shown(exam: Exam, rules: Sequence[str]) -> list[Prompt]:
    """The probes as a contestant is asked them."""
    return [prompts.with_rules(one.prompt, rules) for one in exam.probes]
