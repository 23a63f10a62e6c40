"""The phases of a night, in order. Each reads what the earlier ones left and returns its artefact,
or an `End` when the night is over.

Reads like the plan: detect, select, preflight, draft, rollouts, train, gate, register. What makes
a phase survive a kill is `run.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.config import DistillConfig
from align_agent.distill.hindsight import Example, Shown, teacher_prompt
from align_agent.distill.select import Candidate
from align_agent.errors import InputError
from align_agent.night import continual, exam, plan
from align_agent.night.artefacts import ProbeFolder
from align_agent.night.context import BASE_HASH, End, Night
from align_agent.night.detect import detect
from align_agent.night.everyday import FEW_ANCHORS, beside, too_few
from align_agent.night.preflight import preflight
from align_agent.records import BASE_VERSION, version_label

if TYPE_CHECKING:
    from align_agent.distill.train import TrainResult

# Steps that a draft takes at least: after fewer a sure habit is seen to remain.
DRAFT_STEPS = 30

Phase = Callable[[Night], "dict[str, Any] | End"]


def select(night: Night) -> dict[str, Any] | End:
    """Choose the turns; note each one's use and reason."""
    night.progress.phase("select")
    tonight = partial(plan.tonight, night.store, night.config, night.wishes)
    chosen, start = tonight(night.served())
    if start.version and night.champion()[0] != start.version:
        night.progress.say(f"{version_label(start.version)} cannot be used: starting from the base")
        chosen, start = tonight(BASE_VERSION)
    uses = plan.uses_of(chosen, night.wishes)
    champion = continual.champion_of(night.store, start.version)
    if champion is not None:
        # A later note of the same turn replaces the one before.
        uses += continual.inherited(champion, chosen)
    night.store.runs.add_turns(night.run.id, uses)
    facts = {continual.START: start.version, continual.WARM_NIGHTS: start.nights}
    night.update(config={**night.run.config, **facts})
    if start.why:
        night.progress.say(f"starting {'' if start.version else 'from the base: '}{start.why}")
    problem = plan.too_little(chosen, night.config.distill.min_turns)
    if problem:
        return End("skipped", problem)
    return dict(plan.artefact_of(chosen))


def draft(night: Night) -> dict[str, Any] | End:
    """A quick first adapter on the teacher's answers, from which training then goes on, on answers
    of its own.

    Logged answers are those of a student that does not know the user yet: behind the first words
    of an old habit even the teacher goes on as before, so that the log shows little of what was
    wished for. The draft learns from answers that the teacher writes. What it makes of them is
    trained on-policy (arXiv 2601.19897).
    """
    settings = night.config.distill
    if settings.rollouts == "logged" or not settings.draft_epochs:
        return {"made": False}
    from align_agent.distill.train import learning_rate

    rate = learning_rate(settings.learning_rate, night.model().network(None))
    lessons = _lessons(night)
    lessons = [*_taught(night, lessons), *_held(night, lessons)]
    hasty = replace(
        settings,
        epochs=draft_passes(settings, len(lessons)),
        batch_size=draft_batch(settings),
        learning_rate=2 * rate,
        # Reverse KL weighs each token by the student's own probability: one that is sure of its
        # habit would hardly move.
        loss="forward_kl",
    )
    try:
        workshop, result = _train(night, lessons, hasty, "draft", night.start())
    except InputError as error:  # what was drawn is longer than the log: none has room
        return End("skipped", f"nothing to learn: {error.message}")
    night.folder.keep(workshop, night.folder.draft)
    return {"made": True, "steps": result.steps, "seconds": result.seconds}


def _held(night: Night, lessons: list[Example]) -> list[Example]:
    """As many general prompts as there are lessons, answered by the base, where nothing is wished
    for on any prompt: what is learned of the lessons' kind must not spread to the others."""
    general = [one for one in _general_anchors(night, lessons, 0) if not one.hindsight]
    answered = _by_base(night, general[: len(lessons)])
    return [example for example in answered if example.response]


def _by_base(
    night: Night, examples: list[Example], on_done: Callable[[int, int], None] | None = None
) -> list[Example]:
    """The examples with answers of the base to their prompts, as far as the draft's time goes."""
    from align_agent.distill.rollouts import rollouts as answer

    return answer(
        night.model(),
        examples,
        "fresh",
        adapter=None,
        seed=night.run.seed,
        max_new_tokens=night.max_new_tokens(),
        on_done=on_done,
        over=lambda: not night.clock.left("taught"),
    )


def draft_batch(settings: DistillConfig) -> int:
    """Turns in one step of the draft: half of the training's, so that there are more steps."""
    return max(1, settings.batch_size // 2)


def draft_passes(settings: DistillConfig, lessons: int) -> int:
    """How often the draft goes over its lessons: `draft_epochs`, and oftener where there are few,
    so that it takes `DRAFT_STEPS`."""
    steps = max(1, math.ceil(lessons / draft_batch(settings)))
    return max(settings.draft_epochs, math.ceil(DRAFT_STEPS / steps))


def _taught(night: Night, lessons: list[Example]) -> list[Example]:
    """The lessons with answers of the base that sees the hindsight."""
    prompts = {lesson.turn_id: lesson.prompt for lesson in lessons}
    night.progress.phase("draft: answers", len(lessons))
    asked = [replace(lesson, prompt=teacher_prompt(lesson)) for lesson in lessons]
    answered = _by_base(night, asked, lambda done, _: night.progress.step(done))
    return [replace(example, prompt=prompts[example.turn_id]) for example in answered]


def _underway(night: Night) -> Path | None:
    """The weights that training goes on from: the draft's, if there is one.

    From those of the base, reverse KL would leave a sure habit as it is, on whatever answers: the
    student gives the teacher's words no mass, and so no weight.
    """
    return night.folder.draft if night.done["draft"]["made"] else night.start()


def rollouts(night: Night) -> dict[str, Any]:
    """The answers to train on: the log's, the draft's fresh ones, and anchors."""
    from align_agent.distill.rollouts import rollouts as answer

    settings = night.config.distill
    adapter = night.folder.draft if night.done["draft"]["made"] else night.champion()[1]
    lessons = _lessons(night)
    anchors = [_example(night, c, anchor=True) for c in night.chosen().anchors]
    general = _general_anchors(night, lessons, len(anchors))
    few = too_few(night.config, len(lessons), len(anchors) + len(general))
    if few:
        night.progress.say(few)
    fresh = [] if settings.rollouts == "logged" else [*lessons, *anchors]
    night.progress.phase("rollouts", len(fresh) + len(general))
    common: dict[str, Any] = {
        "adapter": adapter,
        "seed": night.run.seed,
        "max_new_tokens": night.max_new_tokens(),
        "over": lambda: not night.clock.left("rollouts"),
        # Of use where what answers is what training starts from: their ratio is 1 then at first.
        "keep_logprobs": adapter == _underway(night),
    }
    begun = night.clock.spent
    model = night.model()
    answered = answer(
        model,
        [*lessons, *anchors],
        settings.rollouts,
        on_done=lambda done, _: night.progress.step(done),
        **common,
    )
    answered += answer(
        model,
        general,
        "fresh",
        on_done=lambda done, _: night.progress.step(len(fresh) + done),
        **common,
    )
    examples = [example for example in answered if example.response]
    return {
        "examples": [example.to_dict() for example in examples],
        "answers": len(fresh) + len(general),
        FEW_ANCHORS: few,
        "seconds": night.clock.spent - begun,
    }


def train(night: Night) -> dict[str, Any] | End:
    """Distil into the night's adapter. A training that was cut off goes on at its step."""
    found = night.done["rollouts"]
    examples = [Example.from_dict(row) for row in found["examples"]]
    if found["answers"]:
        asked = exam.asked(
            night.config,
            night.chosen(),
            champion=night.champion()[1] is not None,
            rules=bool(night.wishes.rules),
            probed=ProbeFolder(night.home.probed).holds(),
        )
        night.clock.expect_gate(asked, found["seconds"] / found["answers"])
    try:
        workshop, result = _train(night, examples, night.config.distill, "train", _underway(night))
    except InputError as error:
        return End("skipped", f"nothing to learn: {error.message}")
    night.folder.keep(workshop, night.folder.adapter)
    night.update(config={**night.run.config, continual.OUT_OF_TIME: result.stopped_early})
    losses = [row["loss"] for row in result.metrics]
    return {
        "steps": result.steps,
        "seconds": result.seconds,
        "examples": result.examples,
        "stopped_early": result.stopped_early,
        "started_from": night.run.config.get(continual.START, BASE_VERSION),
        "first_loss": losses[0] if losses else None,
        "last_loss": losses[-1] if losses else None,
    }


def _train(
    night: Night,
    examples: list[Example],
    settings: DistillConfig,
    phase: str,
    start: Path | None,
) -> tuple[Path, TrainResult]:
    from align_agent.distill.crew import train_together

    name = "draft: training" if phase == "draft" else phase
    night.progress.phase(name)
    workshop = night.folder.fresh_workshop()

    begun = False

    def on_step(step: int, steps: int, figures: dict[str, float]) -> None:
        nonlocal begun
        if not begun:
            night.progress.phase(name, steps)
            begun = True
        night.progress.step(step, f"loss {figures['loss']:.3f}")
        if phase == "train":
            night.store.runs.add_metric(night.run.id, step, **figures)

    result = train_together(
        night.model(),
        night.config.model,
        settings.processes,
        examples,
        settings,
        seed=night.run.seed,
        out_dir=workshop,
        on_step=on_step,
        state_dir=night.folder.state(phase),
        start=start,
        max_seconds=night.clock.left(phase),
    )
    return workshop, result


def _lessons(night: Night) -> list[Example]:
    dropped = set(night.done["preflight"]["dropped"])
    return [_example(night, c) for c in night.chosen().train if c.turn.id not in dropped]


def gate(night: Night) -> dict[str, Any]:
    """Base, champion, candidate, and the base with the rules in its prompt: may it serve?"""
    return exam.hold(night)


def register(night: Night) -> dict[str, Any] | End:
    """Keep the candidate as a version, and let it serve if the gate and the user allow.

    The version's files and row come first; the alias, the samples and the run's end are one
    transaction. Whatever moment a kill chooses, the next night finds the version and goes on.
    """
    night.progress.phase("register")
    judged = night.done["gate"]["judgement"]
    reasons = tuple(str(reason) for reason in judged["reasons"])
    adapter = night.registry.register(
        night.folder.adapter,
        base=night.config.model.base,
        base_hash=str(night.run.config.get(BASE_HASH) or night.model().base_hash),
        run_id=night.run.id,
        parent=night.run.parent,
        rank=night.config.distill.lora_rank,
        verdict=judged["verdict"],
        reasons=reasons,
    )
    changes = {"candidate": adapter.version, "verdict": judged}
    why = reasons[0] if reasons else ""
    if judged["verdict"] == "reject":
        return End("rejected", why, changes)
    if judged["verdict"] == "review":
        return End("review", f"{adapter.label} waits for your review: {why}", changes)
    return End("promoted", why, changes)


PHASES: dict[str, Phase] = {
    "detect": detect,
    "select": select,
    "preflight": preflight,
    "draft": draft,
    "rollouts": rollouts,
    "train": train,
    "gate": gate,
    "register": register,
}


def _example(night: Night, candidate: Candidate, *, anchor: bool = False) -> Example:
    return plan.lesson_of(candidate, night.wishes, night.config, anchor=anchor)


def _general_anchors(night: Night, lessons: list[Example], own: int) -> list[Example]:
    """General prompts that fill the anchors up to their share of all examples.

    They are asked as the lessons were, tools included, and under what applies to any prompt.
    """
    rules = [rule.text for rule in night.wishes.general()]
    block = Shown(document=night.documents()).block(rules)
    texts = beside(night.config, night.chosen(), len(lessons), own, seed=night.run.seed)
    return [
        Example(
            turn_id="",
            prompt=exam.standing_prompt(night, text),
            response=(),
            hindsight=block,
            use="anchor",
            tools=lessons[place % len(lessons)].tools,
        )
        for place, text in enumerate(texts)
    ]
