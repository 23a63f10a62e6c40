"""What becomes of a search's adapter when it is kept: the gate's exam, and a version that waits.

The exam is the night's (`night/exam.py`) over the problem itself: fresh attempts, each judged by
the problem's own verifier. Beside it stands what a version learned that serves already: whoever
forgets that is refused. A version from one problem never serves without the user's yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.adapters.registry import Registry
from align_agent.config import Config
from align_agent.discover.methods import distinct
from align_agent.discover.room import hindsight_of, room_of
from align_agent.discover.search import Search
from align_agent.discover.verdicts import Judge
from align_agent.distill.hindsight import Example
from align_agent.gate import intervals, verdict
from align_agent.gate.bench import Bench, differences, not_below
from align_agent.gate.paper import HeldOut
from align_agent.gate.probes import Probe
from align_agent.gate.report import Judgement
from align_agent.gate.scores import Sheet, score
from align_agent.models.generation import Sampling
from align_agent.night import exam, plan
from align_agent.night.artefacts import RunFolder
from align_agent.night.clock import Clock
from align_agent.night.context import Night
from align_agent.night.everyday import asked_alike, general_prompts
from align_agent.night.progress import Silent
from align_agent.paths import Home
from align_agent.records import BASE_VERSION, Message, Run, version_label
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

FRESH = 16  # attempts of each contestant at the problem
UPDATES, RATE = 32, 2e-3  # on the solution
ANCHORS = 32  # everyday prompts beside it, and half as many that ask nearly the same
LEFT_OUT = "ability probes that ask the very problem, and want another answer there, left out: {n}"
WAITS = "it comes from one problem: it serves when you say so"


@dataclass(frozen=True, slots=True)
class Keeper:
    """`discover.run.Keep` over one home and its configuration."""

    home: Home
    config: Config

    def __call__(
        self, run: Run, model: LocalModel, search: Search, judge: Judge, adapter: Path
    ) -> dict[str, Any]:
        """Examine the adapter and register it. Returns `version`, `verdict` and `reasons`."""
        from align_agent.models.lora import shape_of

        if not adapter.is_dir():
            reason = "nothing was attempted: there is nothing to keep"
            return {"version": None, "verdict": "reject", "reasons": [reason]}
        with Store.open(self.home.database) as store:
            registry = Registry(store, self.home)
            wishes = plan.Wishes(store, self.config)
            folder = RunFolder(self.home.runs / run.id)
            clock = Clock(self.config.distill.max_minutes)
            night = Night(
                self.home, store, self.config, registry, wishes, run, folder, Silent(), clock,
                loaded=model,
            )  # fmt: skip
            if search.solution is not None:
                settle(night, search, search.solution.answer, adapter)
            judged = examine(night, search, judge, adapter)
            version = registry.register(
                adapter,
                base=self.config.model.base,
                base_hash=model.base_hash,
                run_id=run.id,
                parent=BASE_VERSION,
                rank=shape_of(adapter)[0],
                verdict=judged.verdict,
                reasons=judged.reasons,
            )
            store.runs.update(run.id, candidate=version.version)
        return {
            "version": version.label,
            "verdict": judged.verdict,
            "reasons": list(judged.reasons),
        }


def settle(night: Night, search: Search, solution: str, adapter: Path) -> None:
    """Learn the solution, which ended the search before it was learned, beside everyday prompts
    that hold the rest in place. The adapter in the folder is replaced.

    Forward KL: under reverse KL a student that is sure of its first attempt hardly moves.
    """
    from align_agent.distill.step import StepConfig, Stepper

    model = night.model()
    told = [*distinct(search.attempts), f"A correct answer:\n{solution}"]
    fits = room_of(model, search.problem.max_new_tokens)
    block = hindsight_of(search.prompt, told, fits, solution)
    solved = Example("solution", search.prompt, (Message("assistant", solution),), block)
    asked = [(Message("user", text),) for text in _beside(night, search.problem.prompt)]
    sampling = Sampling(night.max_new_tokens(), 0.0)
    said = model.generate_batch(asked, sampling=sampling)
    anchors = [
        Example(f"anchor-{i}", prompt, (one.message(),), "", "anchor")
        for i, (prompt, one) in enumerate(zip(asked, said, strict=True))
        if one.text.strip()
    ]
    settings = StepConfig(loss="forward_kl", learning_rate=RATE)
    stepper = Stepper(model, settings, seed=night.run.seed, start=adapter)
    for update in range(UPDATES):
        some = anchors[update % 4 :: 4]  # a quarter each time: an update stays quick
        stepper.step([solved, solved, *some])
    stepper.save(adapter)


def _beside(night: Night, problem: str) -> list[str]:
    """Everyday prompts that are not the problem. What asks nearly the same comes first: that is
    what the solution would spread to."""
    texts = general_prompts(night.config, 8 * ANCHORS, seed=night.run.seed)
    texts = [text for text in texts if plain(text) != plain(problem)]
    near = [text for text in texts if asked_alike(text, problem)][: ANCHORS // 2]
    far = [text for text in texts if not asked_alike(text, problem)][:ANCHORS]
    return [*near, *far]


def examine(night: Night, search: Search, judge: Judge, adapter: Path) -> Judgement:
    """The gate's verdict on a search's adapter: `review` where it gained and did no harm."""
    model = night.model()
    said = "\n".join(distinct(search.attempts))
    item = HeldOut(search.prompt, follow_up=said)
    room = max(search.problem.max_new_tokens, night.max_new_tokens())
    paper = exam.exam_over(night, [item] * FRESH)
    probes, itself = apart(paper.probes, search.problem.prompt)
    sampling = replace(paper.sampling, max_new_tokens=room, temperature=1.0)
    paper = replace(paper, probes=probes, sampling=sampling)
    version, path = night.champion()

    def sheet(who: str, adapter: Path | None) -> Sheet:
        return _judged(score(model, adapter, paper, who=who), judge)

    candidate, base = sheet("candidate", adapter), sheet("base", None)
    champion = sheet("champion", path) if path else replace(base, who="champion")
    bench = Bench(
        base,
        champion,
        candidate,
        replace(base, who="base with your rules"),
        n_own=FRESH,
        problem=True,
        pinned=tuple(probe.prompt[-1].content for probe in paper.pinned),
        canaries=tuple(paper.canaries),
        personal=night.config.privacy.redact_personal,
    )
    judged = verdict.judge(bench, night.config.gate)
    if itself:
        judged = replace(judged, reasons=(*judged.reasons, LEFT_OUT.format(n=itself)))
    lost = _forgotten(night, adapter, path, version) if path else ""
    if lost:
        return replace(judged, verdict="reject", reasons=(lost, *judged.reasons))
    if judged.verdict == "promote":
        return replace(judged, verdict="review", reasons=(*judged.reasons, WAITS))
    return judged


def plain(text: str) -> str:
    """A prompt without what makes no difference: case and spaces."""
    return " ".join(text.split()).casefold()


def apart(probes: Sequence[Probe], problem: str) -> tuple[list[Probe], int]:
    """The probes without those that ask the very problem, and how many these are.

    What the problem's own tests want there is what was to be learned, and no harm.
    """
    others = [one for one in probes if plain(one.prompt[-1].content) != plain(problem)]
    return others, len(probes) - len(others)


def _judged(sheet: Sheet, judge: Judge) -> Sheet:
    """The sheet with the verifier's word on every fresh attempt in place of rule checks."""
    passed = [judge.judge(answer, number).passed for number, answer in enumerate(sheet.answers)]
    return replace(
        sheet,
        met=tuple(float(one) for one in passed),
        checks_met=sum(passed),
        checks=len(passed),
    )


def _forgotten(night: Night, adapter: Path, champion: Path, version: int) -> str:
    """What it keeps less of than the version that serves, on the user's own prompts; "" if all.

    The adapter of a search knows the base and one problem, and nothing of the user.
    """
    chosen = plan.choose(night.store, night.config, night.wishes)
    found = [exam.heldout_of(night, c) for c in (*chosen.heldout, *chosen.train)]
    items = [one for one in found if one is not None and one.checks][: exam.MAX_HELD_OUT]
    label = version_label(version)
    if len(items) < intervals.FEWEST:
        return ""
    before, after = (_met(night, path, items) for path in (champion, adapter))
    lost = intervals.of_mean(differences(after, before))
    if not_below(lost, -night.config.gate.max_correctness_loss) != "bad":
        return ""
    kept, had = sum(after) / len(after), sum(before) / len(before)
    return f"it keeps {kept:.0%} of your rule checks on your own prompts, {label} keeps {had:.0%}"


def _met(night: Night, adapter: Path, items: Sequence[HeldOut]) -> tuple[float, ...]:
    from align_agent.gate.scores import ask, shares_met

    paper = exam.exam_over(night, items)
    answers = [one.text for one in ask(night.model(), adapter, items, paper)]
    return shares_met(items, answers)
