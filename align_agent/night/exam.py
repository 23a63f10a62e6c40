"""Sets the gate's exam from the night's turns and holds it. The gate itself is `gate/`.

Everyday prompts (`everyday`) stand in where the user has too few conversations to hold one out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from align_agent import prompts
from align_agent.config import Config
from align_agent.distill.select import Candidate, Selection
from align_agent.errors import AlignAgentError, ContextTooLong
from align_agent.feedback.checks import run_check, validate_spec
from align_agent.feedback.shown import document_checks
from align_agent.gate import verdict
from align_agent.gate.bench import Bench
from align_agent.gate.likelihood import wins
from align_agent.gate.paper import Exam, HeldOut
from align_agent.gate.probes import Probe, probes_for
from align_agent.gate.report import Judgement
from align_agent.gate.scores import Sheet, count_checks, score
from align_agent.models.generation import Sampling
from align_agent.night import plan
from align_agent.night.artefacts import ProbeFolder
from align_agent.night.context import Night
from align_agent.night.everyday import FEW_ANCHORS, STAND_INS, general_prompts
from align_agent.records import Message

MAX_HELD_OUT = 64
MIN_HELD_OUT = 8  # below it general prompts join in: two or three answers show nothing
PINNED = "pinned"
SPARED_WITHIN = 0.05  # of the rule checks
REGRESSION = "the largest step back"


def hold(night: Night) -> dict[str, Any]:
    """Examine everyone; return the judgement and the samples as the gate's artefact.

    A candidate that cannot be loaded or asked is rejected with that reason.
    """
    paper = set_exam(night)
    _, champion_path = night.champion()
    model = night.model()
    contestants = 2 + (champion_path is not None) + bool(_rules_of(paper))
    asked = len(paper.heldout) + len(paper.probes) + len(paper.pinned) + paper.pushed
    night.progress.phase("gate", contestants * asked)
    before = 0
    kept = ProbeFolder(night.home.probed)

    def examine(who: str, path: Path | None, *, with_rules: bool = False) -> Sheet:
        nonlocal before
        start = before

        def on_step(done: int) -> None:
            nonlocal before
            before = start + done
            night.progress.step(before, who)

        return score(model, path, paper, who=who, with_rules=with_rules, on_step=on_step, kept=kept)

    try:
        # First: where the candidate cannot be asked, nobody else need be.
        candidate = examine("candidate", night.folder.adapter)
        base = examine("base", None)
        champion = (
            examine("champion", champion_path) if champion_path else replace(base, who="champion")
        )
        memory = (
            examine("base with your rules", None, with_rules=True)
            if _rules_of(paper)
            else replace(base, who="base with your rules")
        )
        won = wins(model, paper.heldout, champion.answers, candidate.answers)
    except (AlignAgentError, RuntimeError, ValueError) as error:
        # A gate that cannot run rejects, whatever it is that keeps it from running.
        why = error.message if isinstance(error, AlignAgentError) else str(error).splitlines()[0]
        return {"judgement": verdict.refused(why).to_dict(), "samples": []}
    bench = Bench(
        base,
        champion,
        candidate,
        memory,
        won=won,
        n_own=sum(item.own for item in paper.heldout),
        pinned=tuple(probe.prompt[-1].content for probe in paper.pinned),
        canaries=tuple(paper.canaries),
        personal=night.config.privacy.redact_personal,
    )
    judged = verdict.judge(bench, night.config.gate)
    few = night.done["rollouts"].get(FEW_ANCHORS)
    more = (*spared(night, candidate, memory), *([few] if few else ()))
    judged = replace(judged, reasons=(*judged.reasons, *more))
    _note_metrics(night, judged)
    samples = samples_of(paper, bench, night.config.gate.samples, night.run.seed)
    return {"judgement": judged.to_dict(), "samples": samples}


def asked(config: Config, chosen: Selection, *, champion: bool, rules: bool, probed: bool) -> int:
    """About how many answers the gate asks for, all contestants together. `probed`: whether all but
    the candidate answered the probes on an earlier night."""
    held = min(len(chosen.heldout), MAX_HELD_OUT)
    held = held if held >= MIN_HELD_OUT else held + STAND_INS
    settings = config.gate
    contestants = 2 + champion + rules
    probes = settings.probes + settings.doubted
    return contestants * (held + len(settings.pinned)) + (1 if probed else contestants) * probes


def spared(night: Night, candidate: Sheet, memory: Sheet) -> list[str]:
    """Whether the declared rules may leave the prompt, and the tokens that this would save."""
    declared = [rule.text for rule in night.wishes.general() if rule.status == "declared"]
    if not declared or not night.config.preferences.in_prompt or not memory.checks:
        return []
    bare = (Message("user", "."),)
    told = prompts.with_rules(bare, declared)
    tokens = len(night.model().encode(told)) - len(night.model().encode(bare))
    kept, shown = candidate.rule_share, memory.rule_share
    figures = f"{kept:.0%} of the rule checks without them, the base with them {shown:.0%}"
    if kept + SPARED_WITHIN >= shown:
        return [
            f"your {len(declared)} declared rules need not stand in the prompt any more: it met "
            f"{figures}; preferences.in_prompt: false saves {tokens} tokens a request"
        ]
    return [f"your declared rules are still needed in the prompt: it met {figures}"]


def set_exam(night: Night) -> Exam:
    """What everyone is asked: held-out turns, or general prompts in their place, and probes."""
    found = (heldout_of(night, candidate) for candidate in night.chosen().heldout)
    heldout = [item for item in found if item is not None][:MAX_HELD_OUT]
    return exam_over(
        night, heldout if len(heldout) >= MIN_HELD_OUT else [*heldout, *stand_ins(night)]
    )


def exam_over(night: Night, heldout: Sequence[HeldOut]) -> Exam:
    """The exam of these held-out prompts, with the probes and limits of the configuration."""
    settings = night.config.model
    everywhere = [rule.text for rule in night.wishes.general()]
    return Exam(
        heldout=heldout,
        probes=_probes(night, everywhere),
        sampling=Sampling(
            night.max_new_tokens(), settings.temperature, settings.top_p, seed=night.run.seed
        ),
        # A candidate must do without the rules that stand in the prompts by day.
        standing_rules=(),
        all_rules=everywhere,
        pinned=pinned_probes(night.config.gate.pinned),
        pushed=night.config.gate.doubted,
        canaries=night.config.gate.canaries,
    )


def pinned_probes(pinned: Sequence[str | dict[str, Any]]) -> list[Probe]:
    """The user's own prompts as probes. Raises InputError for a check that does not exist."""
    found: list[Probe] = []
    for item in pinned:
        if isinstance(item, dict):
            spec = dict(item["check"])
            validate_spec(spec)
            prompt = (Message("user", str(item["text"])),)
            found.append(Probe(prompt, partial(run_check, spec), PINNED))
    return found


def heldout_of(night: Night, candidate: Candidate) -> HeldOut | None:
    """The candidate's prompt with what the user wants there; None when it is too long."""
    turn = candidate.turn
    item = HeldOut(
        prompt=turn.prompt,
        rules=tuple(night.wishes.for_turn(turn)),
        checks=tuple(plan.checks_of(candidate, night.wishes)),
        follow_up=candidate.shown.follow_up,
        demonstration=candidate.shown.demonstration,
        document=candidate.shown.document,
        # A complaint about an answer that breaks a check is taken to be about that.
        covered=night.wishes.violates(turn),
        tools=turn.tools,
    )
    return _fitted(night, item)


def stand_ins(night: Night) -> list[HeldOut]:
    """General prompts under what applies to any prompt, marked as not the user's own."""
    rules = night.wishes.general()
    document = night.documents()
    found = [rule.check for rule in rules if rule.check]
    checks = (*found, *(check for check in document_checks(document) if check not in found))
    lessons = [candidate.turn for candidate in night.chosen().train]
    items = [
        HeldOut(
            prompt=standing_prompt(night, text),
            rules=tuple(rule.text for rule in rules),
            checks=checks,
            own=False,
            document=document,
            tools=lessons[place % len(lessons)].tools,
        )
        for place, text in enumerate(
            general_prompts(night.config, STAND_INS, seed=night.run.seed, examined=True)
        )
    ]
    return [item for item in (_fitted(night, item) for item in items) if item is not None]


def standing_prompt(night: Night, text: str) -> tuple[Message, ...]:
    """A question with the persona, and without the declared rules: what is learned must hold so."""
    persona = night.config.preferences.persona
    head = (Message("system", persona),) if persona else ()
    return (*head, Message("user", text))


def samples_of(paper: Exam, bench: Bench, n: int, seed: int) -> list[dict[str, str]]:
    """At most `n` prompts with the answers of three: the largest regression first, then those
    where the candidate differs, drawn by the seed, so that nobody picks the pretty ones.
    """
    before, after = bench.champion.answers, bench.candidate.answers
    places = list(range(len(paper.heldout)))
    random.Random(seed).shuffle(places)
    places.sort(key=lambda i: (before[i] == after[i], not paper.heldout[i].own))
    worst = worst_of(paper, bench)
    if worst is not None:
        places.remove(worst)
        places.insert(0, worst)
    samples: dict[str, dict[str, str]] = {}
    for i in places:
        asked = paper.heldout[i].prompt[-1].content
        if len(samples) < n and asked not in samples:
            met, total = count_checks([paper.heldout[i]], [after[i]])
            had, _ = count_checks([paper.heldout[i]], [before[i]])
            note = f"rule checks met: {had} of {total} before, {met} of {total} after"
            samples[asked] = {
                "prompt": asked,
                "base": bench.base.answers[i],
                "before": before[i],
                "after": after[i],
                "note": "; ".join(
                    [*([REGRESSION] if i == worst else []), *([note] if total else [])]
                ),
            }
    return list(samples.values())


def worst_of(paper: Exam, bench: Bench) -> int | None:
    """The held-out prompt where the candidate lost most, by checks and then by the teacher's
    margin, a general one only where none is the user's own; None where it lost nowhere."""
    told = [i for i, item in enumerate(paper.heldout) if item.hindsight]
    own = {i for i in told if paper.heldout[i].own} or set(told)
    falls: dict[int, tuple[int, float]] = {}
    for i, one, two in zip(told, bench.champion.margins, bench.candidate.margins, strict=True):
        had, _ = count_checks([paper.heldout[i]], [bench.champion.answers[i]])
        met, _ = count_checks([paper.heldout[i]], [bench.candidate.answers[i]])
        falls[i] = (had - met, one - two)
    worst = max(own, key=lambda i: falls[i], default=None)
    return worst if worst is not None and falls[worst] > (0, 0.0) else None


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
    return bool(paper.all_rules) or any(item.rules or item.document for item in paper.heldout)


def _note_metrics(night: Night, judged: Judgement) -> None:
    """The gate's figures beside the training's, at the step after the last."""
    step = int(night.done["train"]["steps"]) + 1
    figures: dict[str, float] = {}
    for measure in judged.measures:
        for who, value in measure.values.items():
            figures[f"gate_{who}_{measure.key}"] = value
    night.store.runs.add_metric(night.run.id, step, **figures)
