"""Sets the gate's exam from the night's turns and holds it. The gate itself is `gate/`.

Also the home of general prompts: everyday questions that stand in as anchors, and as held-out
prompts where the user has too few conversations to hold one out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from align_agent import prompts
from align_agent.distill.select import Candidate
from align_agent.errors import AdapterError, ContextTooLong, ModelError
from align_agent.gate import verdict
from align_agent.gate.probes import Probe, is_pocket, probes_for
from align_agent.gate.scores import Exam, HeldOut, Scores, Sheet, count_checks, score
from align_agent.models.generation import Sampling
from align_agent.night.context import Night
from align_agent.records import Message

MAX_HELD_OUT = 64
MIN_HELD_OUT = 8  # below it general prompts join in: two or three answers show nothing
STAND_INS = 16
PROMPTS_FILE = "general_prompts.txt"


def hold(night: Night) -> dict[str, Any]:
    """Examine everyone; return the judgement and the samples as the gate's artefact.

    A candidate that cannot be loaded or asked is rejected with that reason.
    """
    paper = set_exam(night)
    _, champion_path = night.champion()
    model = night.model()
    contestants = 2 + (champion_path is not None) + bool(_rules_of(paper))
    night.progress.phase("gate", contestants * (len(paper.heldout) + len(paper.probes)))
    before = 0

    def examine(who: str, path: Path | None, *, with_rules: bool = False) -> Sheet:
        nonlocal before
        start = before

        def on_step(done: int) -> None:
            nonlocal before
            before = start + done
            night.progress.step(before, who)

        return score(model, path, paper, who=who, with_rules=with_rules, on_step=on_step)

    base = examine("base", None)
    champion = examine("champion", champion_path) if champion_path else _as(base, "champion")
    memory = (
        examine("base with rules", None, with_rules=True)
        if _rules_of(paper)
        else _as(base, "base with rules")
    )
    try:
        candidate = examine("candidate", night.folder.adapter)
    except (ModelError, AdapterError) as error:
        return {"judgement": verdict.refused(error.message).to_dict(), "samples": []}
    scores = (base.scores, champion.scores, candidate.scores, memory.scores)
    judged = verdict.judge(*scores, night.config.gate)
    _note_metrics(night, scores)
    samples = samples_of(paper, base, champion, candidate, night.config.gate.samples)
    return {"judgement": judged.to_dict(), "samples": samples}


def set_exam(night: Night) -> Exam:
    """What everyone is asked: held-out turns, or general prompts in their place, and probes."""
    settings = night.config.model
    found = (heldout_of(night, candidate) for candidate in night.chosen().heldout)
    heldout = [item for item in found if item is not None][:MAX_HELD_OUT]
    standing = [rule.text for rule in night.wishes.rules if rule.status == "declared"]
    everywhere = [rule.text for rule in night.wishes.general()]
    return Exam(
        heldout=heldout if len(heldout) >= MIN_HELD_OUT else [*heldout, *stand_ins(night)],
        probes=_probes(night, everywhere),
        sampling=Sampling(
            night.max_new_tokens(), settings.temperature, settings.top_p, seed=night.run.seed
        ),
        standing_rules=standing if night.config.preferences.in_prompt else [],
        all_rules=everywhere,
    )


def heldout_of(night: Night, candidate: Candidate) -> HeldOut | None:
    """The candidate's prompt with what the user wants there; None when it is too long."""
    turn = candidate.turn
    item = HeldOut(
        prompt=turn.prompt,
        rules=tuple(night.wishes.for_turn(turn)),
        checks=tuple(night.wishes.checks_for(turn)),
        follow_up=candidate.follow_up,
        # A complaint about an answer that breaks a check is taken to be about that.
        covered=night.wishes.violates(turn),
        tools=turn.tools,
    )
    return _fitted(night, item)


def stand_ins(night: Night) -> list[HeldOut]:
    """General prompts under the rules that apply to any prompt, marked as not the user's own."""
    rules = night.wishes.general()
    checks = tuple(rule.check for rule in rules if rule.check)
    lessons = [candidate.turn for candidate in night.chosen().train]
    items = [
        HeldOut(
            prompt=standing_prompt(night, text),
            rules=tuple(rule.text for rule in rules),
            checks=checks,
            own=False,
            tools=lessons[place % len(lessons)].tools,
        )
        for place, text in enumerate(
            general_prompts(night, STAND_INS, seed=night.run.seed, examined=True)
        )
    ]
    return [item for item in (_fitted(night, item) for item in items) if item is not None]


def general_prompts(night: Night, n: int, *, seed: int, examined: bool = False) -> list[str]:
    """At most `n` everyday questions that suit the base, without repeats.

    What is `examined` is never what is trained on.
    """
    if is_pocket(night.config.model.base):
        from align_agent.models.pocket.world import anchor_prompts

        kept_apart = set(anchor_prompts(2 * STAND_INS, seed + 1))
        if examined:
            return sorted(kept_apart)[:n]
        return [t for t in dict.fromkeys(anchor_prompts(n, seed)) if t not in kept_apart]
    text = resources.files(__package__).joinpath(PROMPTS_FILE).read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    chosen = [line for place, line in enumerate(lines) if (place % 4 == 0) == examined]
    random.Random(seed).shuffle(chosen)
    return chosen[:n]


def standing_prompt(night: Night, text: str) -> tuple[Message, ...]:
    """A question as by day: with the persona and, where configured, the declared rules."""
    settings = night.config.preferences
    head = (Message("system", settings.persona),) if settings.persona else ()
    prompt = (*head, Message("user", text))
    if not settings.in_prompt:
        return prompt
    declared = [rule.text for rule in night.wishes.rules if rule.status == "declared"]
    return prompts.with_rules(prompt, declared)


def samples_of(
    paper: Exam, base: Sheet, champion: Sheet, candidate: Sheet, n: int
) -> list[dict[str, str]]:
    """At most `n` prompts with the answers of three, those first where the candidate differs."""
    rows = list(zip(paper.heldout, base.answers, champion.answers, candidate.answers, strict=True))
    rows.sort(key=lambda row: row[2] == row[3])
    samples: dict[str, dict[str, str]] = {}
    for item, first, before, after in rows:
        asked = item.prompt[-1].content
        if len(samples) < n and asked not in samples:
            met, total = count_checks([item], [after])
            had, _ = count_checks([item], [before])
            note = f"rule checks met: {had} of {total} before, {met} of {total} after"
            samples[asked] = {
                "prompt": asked,
                "base": first,
                "before": before,
                "after": after,
                "note": note if total else "",
            }
    return list(samples.values())


def _fitted(night: Night, item: HeldOut) -> HeldOut | None:
    """The item without the oldest messages, so that prompt, hindsight and answer have room."""
    told = prompts.with_hindsight(item.prompt, item.hindsight) if item.hindsight else item.prompt
    try:
        kept = night.model().fit(told, reserve=night.max_new_tokens(), tools=item.tools)
    except ContextTooLong:
        return None
    system = tuple(item.prompt[:1]) if kept and kept[0].role == "system" else ()
    rest = item.prompt[len(item.prompt) - (len(kept) - len(system)) :]
    return replace(item, prompt=(*system, *rest))


def _probes(night: Night, rules: Sequence[str]) -> list[Probe]:
    """The ability probes that fit into the context with the rules and an answer."""
    model, room = night.model(), night.max_new_tokens()
    probes = probes_for(night.config.model.base, night.config.gate.probes, night.run.seed)
    return [
        probe
        for probe in probes
        if len(model.encode(prompts.with_rules(probe.prompt, rules))) + room <= model.context
    ]


def _rules_of(paper: Exam) -> bool:
    return bool(paper.all_rules) or any(item.rules for item in paper.heldout)


def _as(sheet: Sheet, who: str) -> Sheet:
    """The same answers under another name: without an adapter the champion is the base."""
    return replace(sheet, scores=replace(sheet.scores, who=who))


def _note_metrics(night: Night, scores: Sequence[Scores]) -> None:
    """The gate's figures beside the training's, at the step after the last."""
    step = int(night.done["train"]["steps"]) + 1
    figures: dict[str, float] = {}
    for one in scores:
        name = one.who.replace(" ", "_")
        figures[f"gate_{name}_rules"] = one.rule_share
        figures[f"gate_{name}_correct"] = one.correct
    night.store.runs.add_metric(night.run.id, step, **figures)
