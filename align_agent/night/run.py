"""A night from the lock to its end: what runs, what is taken up again after a kill, what failed.

The phases themselves are `phases.py`. Whatever happens here, the champion serves on: the alias
moves in the last transaction or not at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import traceback
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import align_agent
from align_agent.adapters.registry import Registry
from align_agent.adapters.timeline import RULES
from align_agent.config import Config
from align_agent.errors import AlignAgentError, StoreError
from align_agent.feedback.declared import load_checked
from align_agent.feedback.profile import Profile
from align_agent.models.shortage import ran_out
from align_agent.night import plan
from align_agent.night.artefacts import RunFolder, prune_folders
from align_agent.night.clock import SPENT, Clock
from align_agent.night.conclusion import conclude
from align_agent.night.context import BASE_HASH, SERVED, End, Night
from align_agent.night.exam import pinned_probes
from align_agent.night.lock import NightLock
from align_agent.night.phases import PHASES
from align_agent.night.progress import Progress, progress_for
from align_agent.paths import Home
from align_agent.records import Run, RunStatus, new_id, now
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

log = logging.getLogger(__name__)

FINGERPRINT = "fingerprint"
RESUMES = "resumes"  # in the run's row: kills since the night last got further
REACHED = "reached"  # and how far that was
ABANDONED = "abandoned"
# A phase that kills its process (out of memory, most likely) would do so every night for ever.
MAX_RESUMES = 3


def run_night(
    home: Home,
    *,
    resume: bool = True,
    progress: Progress | None = None,
    trigger: str = "manual",
    model: LocalModel | None = None,
    base: str = "",
) -> Run:
    """Run one night to its end and return it. What goes wrong inside is its status and reason.

    A night that was interrupted is taken up where it stopped, if base, configuration, rules,
    champion and chosen turns are still the same, and `resume` allows; else it is closed and a new
    one starts. `progress` must be entered by the caller; without one, bars or lines go to
    standard error. `base` names a model in place of the configured one; `model` is the night's base
    where it is loaded already. Raises NightBusy,
    ConfigError and StoreError before the night has begun, and KeyboardInterrupt after noting it.
    """
    home.ensure()
    with NightLock(home.night_lock):
        if progress is not None:
            return _night(home, resume, progress, trigger, model, base)
        with progress_for() as own:
            return _night(home, resume, own, trigger, model, base)


def exit_code(run: Run) -> int:
    """0 for an orderly end (also nothing to learn), 3 refused, 1 failed, 130 interrupted."""
    return {"rejected": 3, "failed": 1, "interrupted": 130}.get(run.status, 0)


def _night(
    home: Home,
    resume: bool,
    progress: Progress,
    trigger: str,
    model: LocalModel | None,
    base: str,
) -> Run:
    config = load_checked(home.config)
    guest = bool(base) and base != config.model.base
    if guest:
        config = replace(config, model=replace(config.model, base=base))
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        registry.sweep()
        _sweep(home, store)
        profile = Profile(store, config)
        profile.sync_declared(config.preferences)
        profile.fade(now())
        pinned_probes(config.gate.pinned)  # a check that does not exist shows now, not at the gate
        wishes = plan.Wishes(store, config)
        mark = fingerprint(config, registry.champion(), wishes)
        run = _take_up(home, store, config, wishes, mark, resume) or _begin(
            store, config, registry, wishes, mark, trigger
        )
        folder = RunFolder(home.runs / run.id)
        clock = Clock(config.distill.max_minutes, float(run.config.get(SPENT, 0.0)))
        night = Night(
            home,
            store,
            config,
            registry,
            wishes,
            run,
            folder,
            progress,
            clock,
            loaded=model,
            guest=guest,
        )
        try:
            folder.create()
            _phases(night)
        except (KeyboardInterrupt, SystemExit):
            _interrupted(night)
            raise
        except Exception as error:
            # The one place that catches all: a night's failure is an answer, not a crash.
            _failed(night, error)
        if night.run.status != "interrupted":
            _tidy(night)
        return night.run


def _sweep(home: Home, store: Store) -> None:
    """Clear the folders of nights that were killed after their end was noted."""
    for run in store.runs.list(limit=-1, kind="night"):
        folder = home.runs / run.id
        over = run.status != "interrupted" or run.config.get(ABANDONED)
        if run.finished_at and over and folder.is_dir():
            RunFolder(folder).clear()


def _phases(night: Night) -> None:
    for name, phase in PHASES.items():
        found = night.folder.read(name)
        if found is None:
            night.update(phase=name)
            outcome = phase(night)
            if isinstance(outcome, End):
                conclude(night, outcome)
                return
            night.folder.write(name, outcome)
            night.update(config={**night.run.config, SPENT: round(night.clock.spent, 1)})
            found = outcome
        night.done[name] = found


def fingerprint(config: Config, champion: int, wishes: plan.Wishes) -> str:
    """What a night depends on besides its turns and the base's weights, as one short text."""
    sections = (config.model, config.preferences, config.feedback, config.distill, config.gate)
    facts: dict[str, Any] = {
        "version": align_agent.__version__,
        "config": [asdict(section) for section in sections],
        "champion": champion,
        "rules": sorted((r.text, r.status, r.scope, str(r.check)) for r in wishes.rules),
    }
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Beginning, and taking up again


def _begin(
    store: Store,
    config: Config,
    registry: Registry,
    wishes: plan.Wishes,
    mark: str,
    trigger: str,
) -> Run:
    champion = registry.champion()
    run = Run(
        id=new_id("run"),
        status="running",
        phase=next(iter(PHASES)),
        base=config.model.base,
        parent=champion,
        seed=config.distill.seed,
        config={
            **config.to_dict(),
            FINGERPRINT: mark,
            RESUMES: 0,
            SERVED: champion,
            RULES: [rule.text for rule in wishes.rules],
            "trigger": trigger,
        },
    )
    store.runs.create(run)
    return run


def _take_up(
    home: Home, store: Store, config: Config, wishes: plan.Wishes, mark: str, resume: bool
) -> Run | None:
    """The interrupted night to go on with, or None; every other unfinished one is closed."""
    recent = store.runs.list(limit=100, kind="night")
    unfinished = [
        run
        for run in recent
        if run.status == "running"
        or (run.status == "interrupted" and not run.config.get(ABANDONED))
    ]
    taken: Run | None = None
    for run in unfinished:
        obstacle = _obstacle(home, store, config, wishes, mark, run)
        if not resume:
            obstacle = "a fresh night was asked for"
        elif run is not recent[0]:
            obstacle = "a later night has run"
        if obstacle:
            _abandon(home, store, run, obstacle)
        else:
            taken = run
    if taken is None:
        return None
    reached = RunFolder(home.runs / taken.id).reached()
    kills = _kills(taken, reached)
    if kills > MAX_RESUMES:
        reason = f"the night was killed {kills} times, at last in its phase {taken.phase}"
        _abandon(home, store, taken, f"{reason}; is there enough memory?", status="failed")
        return None
    store.events.add("night_resumed", f"going on in phase {taken.phase}", run=taken.id)
    return store.runs.update(
        taken.id,
        status="running",
        reason="",
        finished_at="",
        config={**taken.config, RESUMES: kills, REACHED: reached},
    )


def _kills(run: Run, reached: int) -> int:
    """How often the night was killed where it stands now. One that was asked to stop has noted
    so, and one that got further meanwhile has shown that it can."""
    before = int(run.config.get(RESUMES, 0)) if run.config.get(REACHED) == reached else 0
    return before + (run.status == "running")


def _obstacle(
    home: Home, store: Store, config: Config, wishes: plan.Wishes, mark: str, run: Run
) -> str:
    """Why the run cannot be gone on with, or the empty string."""
    if _was_concluded(store, run):
        return "its adapter was registered and served already"
    if run.config.get(FINGERPRINT) != mark:
        return "the configuration, the rules or the champion changed since"
    known = run.config.get(BASE_HASH)
    if known and known != _base_hash(config):
        return "the base model changed since"
    kept = RunFolder(home.runs / run.id).read("select")
    if kept is not None and not plan.same_lessons(plan.choose(store, config, wishes), kept):
        return "the turns that it had chosen changed since"
    return ""


def give_up(home: Home, store: Store, why: str) -> list[str]:
    """Close every night that was interrupted, and remove what it left. Returns their ids.

    Call it with the lock of the nights held.
    """
    closed = []
    for run in store.runs.list(limit=-1):
        if run.kind == "night" and (
            run.status == "running"
            or (run.status == "interrupted" and not run.config.get(ABANDONED))
        ):
            _abandon(home, store, run, why)
            closed.append(run.id)
    return closed


def _was_concluded(store: Store, run: Run) -> bool:
    """Whether the run's version was already champion: its promotion must not happen twice."""
    versions = {adapter.version for adapter in store.adapters.list() if adapter.run_id == run.id}
    moves = store.adapters.history(limit=200) if versions else []
    return any(m["name"] == "champion" and m["after"] in versions for m in moves)


def _base_hash(config: Config) -> str:
    from align_agent.models import files

    try:
        return files.fingerprint(files.locate(config.model.base))
    except AlignAgentError:
        return ""


def _abandon(
    home: Home, store: Store, run: Run, why: str, *, status: RunStatus = "interrupted"
) -> None:
    with store.transaction():
        store.runs.update(
            run.id,
            status=status,
            reason=f"interrupted in its phase {run.phase}, and not gone on with: {why}",
            finished_at=run.finished_at or now(),
            config={**run.config, ABANDONED: True},
        )
        store.events.add("night_abandoned", why, run=run.id)
    RunFolder(home.runs / run.id).clear()


# Ending


def _interrupted(night: Night) -> None:
    try:
        reason = f"stopped in its phase {night.run.phase}; the next night goes on from there"
        night.update(status="interrupted", reason=reason, finished_at=now())
    except StoreError as error:
        # The row still says "running", which the next night takes for interrupted as well.
        log.error("the interruption could not be stored: %s", error)


def _failed(night: Night, error: Exception) -> None:
    reason = explain(error)
    phase = night.run.phase
    log.error("the night failed in its phase %s: %s", phase, reason)
    night.progress.say(f"the night failed in its phase {phase}: {reason}")
    try:
        (night.folder.path / "error.txt").write_text(
            "".join(traceback.format_exception(error)), encoding="utf-8"
        )
    except OSError as second:
        log.error("its traceback could not be written: %s", second)
    ended = {"status": "failed", "reason": f"{phase}: {reason}", "finished_at": now()}
    try:
        with night.store.transaction():
            night.update(**ended)
            night.store.events.add("night_failed", reason, run=night.run.id, phase=phase)
            night.store.counters.bump("nights_failed")
    except StoreError as second:
        log.error("the failure could not be stored: %s", second)
        night.run = replace(night.run, status="failed", reason=f"{phase}: {reason}")


def explain(error: Exception) -> str:
    """What went wrong, in words, with the way out where one is known."""
    if isinstance(error, AlignAgentError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    if ran_out(error):
        return "out of memory (lower distill.batch_size, distill.max_turns or the model's size)"
    if any(sign in str(error) for sign in ("No space left", "os error 28", "os error 27")):
        return f"the disk is full (make room: `align-agent adapters prune`): {error}"
    return f"{type(error).__name__}: {error}"


def _tidy(night: Night) -> None:
    """Remove what a finished night needs no more. A failure here changes no verdict."""
    try:
        night.folder.clear()
        night.registry.prune(night.config.adapters.keep)
        known = [run.id for run in night.store.runs.list(limit=-1)]
        prune_folders(night.home.runs, night.config.distill.keep_runs, known)
    except (OSError, AlignAgentError) as error:
        log.warning("tidying up after the night failed: %s", error)
