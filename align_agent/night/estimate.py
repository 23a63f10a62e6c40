"""How long the next night will take, from a probe on this machine: a few answers, a few steps.

The counts follow the phases, and the night's clock ends them as it will at night; what one answer
and one example cost is measured with the real code on the real turns. Follow-ups that wait to be
measured are not counted: which they are is only known once they were read. Writes nothing that
lasts.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from align_agent.adapters.registry import Registry
from align_agent.config import Config, DistillConfig, load_config
from align_agent.distill.hindsight import Example
from align_agent.distill.select import Selection
from align_agent.errors import InputError, ModelError
from align_agent.models.load import load_model
from align_agent.night import plan
from align_agent.night.artefacts import ProbeFolder
from align_agent.night.clock import deadline, gate_time
from align_agent.night.everyday import beside, general_prompts
from align_agent.paths import Home
from align_agent.records import Message
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

_PROBE = 16  # turns that are tried


@dataclass(frozen=True, slots=True)
class Counts:
    """What a night does: lessons, and by phase answers that are generated, examples and steps.
    `champion` says whether a version serves, which the preflight asks."""

    lessons: int
    preflight: int
    draft: int
    draft_passes: int
    draft_steps: int
    rollouts: int
    examples: int
    steps: int
    gate: int
    champion: bool = False


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds: until the model is loaded, from the process's beginning; of one answer; of one
    example's side of the teacher; of one example in one pass of the draft and of the training; and,
    once, of the first adapter and its library. `row_bytes` is what one more answer takes that is
    written at the same time, `rows` how many are at most."""

    loading: float
    answer: float
    teacher: float
    draft: float
    example: float
    memory_gb: float
    row_bytes: int = 0
    rows: int = 1
    adapters: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the next night will take. `seconds` by phase, `memory_gb` of the whole process;
    `least_minutes` where it finds in its preflight that there is nothing new to learn."""

    answers: int
    steps: int
    minutes: float
    least_minutes: float
    memory_gb: float
    seconds: dict[str, float]


def estimate(home: Home) -> Estimate:
    """Probe this machine with the next night's own turns.

    Raises ConfigError, StoreError, ModelError, and InputError when there is nothing to learn.
    """
    config = load_config(home.config)
    begun = time.monotonic()
    with Store.open(home.database) as store:
        wishes = plan.Wishes(store, config)
        chosen, _ = plan.tonight(store, config, wishes, plan.serving(store))
        problem = plan.too_little(chosen, config.distill.min_turns)
        if problem:
            raise InputError(problem, hint="there is no night to foretell: see the plan")
        model = load_model(config.model)
        loading = time.monotonic() - begun + _starting()
        adapters = _first_adapter(model, config.distill)
        version, _ = Registry(store, home).serving(config.model.base, model.base_hash)
        probed = ProbeFolder(home.probed).holds()
        chosen, lessons = fitting(model, config, chosen, wishes)
        counts = count(config, chosen, wishes, champion=version > 0, probed=probed)
    costs = probe(model, config, lessons[:_PROBE])
    return foretell(config, counts, replace(costs, loading=loading, adapters=adapters))


def _starting() -> float:
    """Seconds until a night's process is there, before it does anything."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "align_agent.night", "--help"], capture_output=True)
    return time.monotonic() - begun


def _first_adapter(model: LocalModel, settings: DistillConfig) -> float:
    """Seconds of the first LoRA of a process, most of which its library takes to be imported."""
    begun = time.monotonic()
    model.fresh_lora(settings.lora_rank, settings.lora_alpha, settings.lora_dropout, 0)
    return time.monotonic() - begun


def fitting(
    model: LocalModel, config: Config, chosen: Selection, wishes: plan.Wishes
) -> tuple[Selection, list[Example]]:
    """The selection without the turns that the night would leave out, and its lessons.

    Raises InputError when there is none.
    """
    from align_agent.distill.gradient import encode_examples, longest_turn

    settings = config.distill
    longest = longest_turn(model, settings)
    lessons = [plan.lesson_of(candidate, wishes, config) for candidate in chosen.train]
    usable, _ = encode_examples(
        model, lessons, settings.mask_first_tokens, longest, reasoning=settings.reasoning
    )
    kept = [example for example, _ in usable]
    ids = {example.turn_id for example in kept}
    return replace(chosen, train=[c for c in chosen.train if c.turn.id in ids]), kept


def count(
    config: Config, chosen: Selection, wishes: plan.Wishes, *, champion: bool, probed: bool
) -> Counts:
    """The work of a night over these turns; see `phases` and `exam` for what each phase does."""
    from align_agent.night.exam import asked
    from align_agent.night.phases import draft_batch, draft_passes
    from align_agent.night.preflight import PREFLIGHT_PROMPTS

    settings = config.distill
    n, own = len(chosen.train), len(chosen.anchors)
    general = len(beside(config, chosen, n, own, seed=settings.seed))
    held = min(n, len(beside(config, chosen, n, 0, seed=settings.seed)))
    checked = sum(bool(plan.checks_of(c, wishes)) for c in chosen.train)
    drafted = settings.rollouts != "logged" and settings.draft_epochs > 0
    anywhere = bool(wishes.general()) or any(c.shown.document for c in chosen.train)
    draft = (n if anywhere else n + held) if drafted else 0
    passes = draft_passes(settings, draft) if drafted else 0
    fresh = 0 if settings.rollouts == "logged" else n + own
    examples = general + n + own + (n + own if settings.rollouts == "both" else 0)
    return Counts(
        lessons=n,
        preflight=2 * min(checked, PREFLIGHT_PROMPTS),
        draft=draft,
        draft_passes=passes,
        draft_steps=passes * math.ceil(draft / draft_batch(settings)),
        rollouts=fresh + general,
        examples=examples,
        steps=settings.epochs * math.ceil(examples / settings.batch_size),
        gate=asked(config, chosen, champion=champion, rules=bool(wishes.rules), probed=probed),
        champion=champion,
    )


def foretell(config: Config, counts: Counts, costs: Costs) -> Estimate:
    """Counts times costs, as far as the night's clock lets each phase go."""
    settings, minutes = config.distill, config.distill.max_minutes
    n = counts.draft
    clock = _Simulated(costs.loading)
    once = clock.rest(costs.adapters) if counts.champion else 0.0
    preflight = once + clock.until(deadline("gap", minutes), 2 * counts.lessons * costs.teacher)
    preflight += clock.until(deadline("preflight", minutes), counts.preflight * costs.answer)
    least = clock.spent
    written, drafted = n * costs.answer, n * counts.draft_passes * costs.draft
    answered = clock.until(deadline("taught", minutes), written)
    taught = clock.rest(n * costs.teacher + costs.adapters - once)
    stepped = clock.until(deadline("draft", minutes), drafted)
    fresh = clock.until(deadline("rollouts", minutes), counts.rollouts * costs.answer)
    gate = counts.gate * costs.answer
    known = gate_time(counts.gate, fresh / counts.rollouts) if counts.rollouts else None
    shown = clock.rest(counts.examples * costs.teacher)
    whole = counts.examples * settings.epochs * costs.example
    trained = clock.until(deadline("train", minutes, known), whole)
    clock.rest(gate)
    seconds = {
        "loading": costs.loading,
        "preflight": preflight,
        "draft": answered + taught + stepped,
        "rollouts": fresh,
        "train": shown + trained,
        "gate": gate,
    }
    widest = max(counts.preflight // 2, n, counts.rollouts, counts.gate // 3)
    more = max(0, min(widest, costs.rows) - _PROBE) * costs.row_bytes
    steps = counts.draft_steps * _part(stepped, drafted) + counts.steps * _part(trained, whole)
    return Estimate(
        answers=counts.preflight + n + counts.rollouts + counts.gate,
        steps=round(steps),
        minutes=round(clock.spent / 60, 2),
        least_minutes=round(least / 60, 2),
        memory_gb=round(costs.memory_gb + more / 2**30, 2),
        seconds={name: round(value, 1) for name, value in seconds.items()},
    )


@dataclass(slots=True)
class _Simulated:
    """A night's clock that is only thought of: what each piece of work takes of it."""

    spent: float

    def rest(self, seconds: float) -> float:
        """Work that is done to its end."""
        self.spent += seconds
        return seconds

    def until(self, end: float, seconds: float) -> float:
        """Work that stops when its time is up."""
        return self.rest(min(seconds, max(0.0, end - self.spent)))


def _part(done: float, whole: float) -> float:
    return done / whole if whole else 1.0


def probe(model: LocalModel, config: Config, lessons: list[Example]) -> Costs:
    """Answer the lessons' prompts, then train over them as the draft and as the night; what each
    cost. What is done once only (buffers, the first pass) is done before and not counted."""
    from align_agent.distill.gradient import encode_examples
    from align_agent.distill.memory import peak_gb, tokens_at_once
    from align_agent.distill.teacher import teacher_rows
    from align_agent.models.cache import bytes_of_row, rows_that_fit
    from align_agent.models.generation import Sampling

    settings = config.distill
    tokens = max(1, min(config.model.max_new_tokens, model.context // 2))
    prompts = _prompts(model, config, lessons, tokens)
    model.generate_batch(prompts[:1], sampling=Sampling(1, 0.0))
    begun = time.monotonic()
    model.generate_batch(
        prompts, sampling=Sampling(tokens, config.model.temperature, config.model.top_p, seed=0)
    )
    answer = (time.monotonic() - begun) / len(prompts)
    half = max(1, settings.batch_size // 2)
    example = _pass_over(model, lessons, replace(settings, epochs=2))
    draft = _pass_over(
        model, lessons, replace(settings, epochs=2, batch_size=half, loss="forward_kl")
    )
    network = model.network(None)
    limit = tokens_at_once(network, 0.0)
    begun = time.monotonic()
    usable, _ = encode_examples(
        model, lessons, settings.mask_first_tokens, reasoning=settings.reasoning
    )
    teacher_rows(
        model, [pair for _, pair in usable], settings.top_k, exact=settings.exact, tokens=limit
    )
    teacher = (time.monotonic() - begun) / len(usable)
    longest = max(len(pair.teacher_ids) for _, pair in usable)
    return Costs(
        0.0,
        answer,
        teacher,
        draft,
        example,
        peak_gb(model.device),
        bytes_of_row(network, longest + tokens) // 2,  # most answers end early
        rows_that_fit(network, longest + tokens),
    )


def _prompts(
    model: LocalModel, config: Config, lessons: list[Example], tokens: int
) -> list[tuple[Message, ...]]:
    """As many prompts as are tried, everyday ones among them where there are few lessons: answers
    that are written side by side cost less each, and a night writes many."""
    found: list[tuple[Message, ...]] = []
    for one in lessons:
        with suppress(ModelError):  # an answer of full length has no room: the log's is kept
            found.append(tuple(model.fit(one.prompt, reserve=tokens, tools=one.tools)))
    general = general_prompts(config, 2 * _PROBE, seed=config.distill.seed)
    return [*found, *((Message("user", text),) for text in general)][:_PROBE]


def _pass_over(model: LocalModel, lessons: list[Example], settings: DistillConfig) -> float:
    """Seconds of one example in one pass, the first step left out."""
    from align_agent.distill.train import train

    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            model,
            lessons,
            settings,
            seed=0,
            out_dir=Path(folder),
            on_step=lambda *_: ends.append(time.monotonic()),
        )
    each = (ends[-1] - ends[0]) / (len(ends) - 1)
    return each * len(ends) / (settings.epochs * result.examples)
