"""Plays the days and nights of the demonstration and measures each morning. Prints nothing."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.adapters.registry import Registry
from align_agent.config import Config, load_config
from align_agent.demo.personas import STUDENT, TEACHER, Persona, SimulatedUser
from align_agent.demo.show import Show
from align_agent.errors import AlignAgentError
from align_agent.models.generation import Sampling
from align_agent.models.pocket.world import Problem
from align_agent.paths import Home
from align_agent.prompts import with_rules
from align_agent.records import BASE_VERSION, Message, Run, version_label
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

Tools = tuple[dict[str, Any], ...]

CHATS_A_DAY = 16
MEASURED = 120
SEED = 5

CONFIG = """\
# A simulated person's home: nights are started by the demonstration, not by the clock, and are
# short enough to watch.
schedule:
  enabled: false
distill:
  rollouts: fresh
  max_turns: 32
"""


@dataclass(slots=True)
class Measured:
    """The first answers of one version to problems that no chat has used."""

    version: int
    answers: list[str]
    satisfied: float
    correct: float


@dataclass(slots=True)
class Life:
    """One person's home, and what was measured there."""

    persona: Persona
    home: Home
    config: Config
    problems: list[Problem]
    user: SimulatedUser
    nights: list[dict[str, Any]] = field(default_factory=list)
    by_version: dict[int, Measured] = field(default_factory=dict)


def run_demo(root: Path | None, *, full: bool, json_only: bool) -> dict[str, Any]:
    """Play the demonstration. Returns the object that `demo --json` prints.

    By default the student for two nights; `full` both people for three. Homes are made under
    `root`, or in a temporary folder that is removed at the end. Raises AlignAgentError when a night
    fails or a folder of `root` is in use already.
    """
    from align_agent.models.local import LocalModel

    started = time.monotonic()
    show = Show(quiet=json_only)
    people = (STUDENT, TEACHER) if full else (STUDENT,)
    nights = 3 if full else 2
    seconds: dict[str, float] = {}
    result: dict[str, Any] = {"personas": {}, "seconds": seconds}
    with place_for(root) as folder:
        model = LocalModel.load("pocket")
        show.opening(nights, [p.about for p in people], folder if root else None)
        for persona in people:
            at = time.monotonic()
            life = move_in(persona, folder)
            result["personas"][persona.name] = live(life, model, nights, show)
            seconds[persona.name] = round(time.monotonic() - at, 1)
    seconds["total"] = round(time.monotonic() - started, 1)
    show.closing(result)
    return result


@contextmanager
def place_for(root: Path | None) -> Iterator[Path]:
    """The folder for the homes: `root`, or one that is removed at the end."""
    if root is not None:
        root.mkdir(parents=True, exist_ok=True)
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="align-agent-demo-") as folder:
        yield Path(folder)


def move_in(persona: Persona, root: Path, declares: str = "") -> Life:
    """A new home for a person, with a config.yaml of its own and what they declare in it."""
    home = Home(root / persona.name)
    if home.database.exists():
        raise AlignAgentError(
            f"{home.root} holds an earlier demonstration",
            hint="give another folder with --keep, or delete that one",
        )
    home.ensure()
    home.config.write_text(CONFIG + declares)
    rng = random.Random(f"{persona.name}/{SEED}")
    return Life(
        persona,
        home,
        load_config(home.config),
        persona.problems(MEASURED, SEED),
        SimulatedUser(persona, rng),
    )


def live(life: Life, model: LocalModel, nights: int, show: Show) -> dict[str, Any]:
    """Days and nights of one person, then back and forth between two versions."""
    show.person(life.persona)
    first = measure(life, model)
    life.nights.append(_row(0, first, corrections=None))
    for night in range(1, nights + 1):
        corrections = day(life, model, night, show)
        life.nights[-1]["corrections"] = corrections
        before = measure(life, model)
        ran, seconds = sleep(life, show)
        after = measure(life, model)
        life.nights.append(_row(night, after, corrections=None) | _night_facts(ran, seconds))
        show.morning(life.persona, ran, seconds, before, after, life.problems, life.nights)
    life.nights[-1]["corrections"] = day(life, model, nights + 1, show, quiet=True)
    exact = back_and_forth(life, model, show)
    baseline = measure_memory(life, model)
    show.person_done(life.persona, life.nights, baseline, exact)
    return {
        "nights": life.nights,
        "memory_baseline": {"satisfied": baseline.satisfied, "correct": baseline.correct},
        "rollback_exact": exact,
    }


def _row(night: int, measured: Measured, *, corrections: int | None) -> dict[str, Any]:
    return {
        "night": night,
        "version": version_label(measured.version),
        "satisfied": round(measured.satisfied, 4),
        "corrections": corrections,
        "chats": CHATS_A_DAY,
        "correct": round(measured.correct, 4),
    }


def _night_facts(run: Run, seconds: float) -> dict[str, Any]:
    return {"status": run.status, "reason": run.reason, "seconds": round(seconds, 1)}


def day(life: Life, model: LocalModel, number: int, show: Show, *, quiet: bool = False) -> int:
    """A day of chats through the real agent. Returns how many first answers were corrected.

    `corrections` of night N are those of the day after it: what was still wrong by then.
    """
    from align_agent.agent.session import AgentSession

    before = life.user.corrections
    for chat in range(CHATS_A_DAY):
        name = f"{life.persona.name}-day{number}-{chat:02d}"
        session = AgentSession.open(
            life.home, life.config, conversation_id=name, channel="demo", model=model
        )
        try:
            _, lines = life.user.talk(lambda text, s=session: "".join(s.send(text)))  # type: ignore[misc]
        finally:
            session.close()
        if not quiet:
            show.chat(number, chat, CHATS_A_DAY, lines)
    return life.user.corrections - before


def sleep(life: Life, show: Show) -> tuple[Run, float]:
    """One night, in a subprocess as the scheduler starts it. Raises AlignAgentError if it fails."""
    started = time.monotonic()
    show.night_begins()
    command = [sys.executable, "-m", "align_agent.night", "--home", str(life.home.root)]
    done = subprocess.run(
        command,
        check=False,
        stderr=None if show.visible else subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.monotonic() - started
    with Store.open(life.home.database) as store:
        run = store.runs.latest("night")
    if run is None or run.status in ("failed", "running", "interrupted"):
        why = run.reason if run else f"exit code {done.returncode}"
        raise AlignAgentError(
            f"the night of the {life.persona.name} failed: {why}",
            hint=(done.stderr or "").strip()[-600:] or "run `align-agent doctor`",
        )
    return run, seconds


def measure(life: Life, model: LocalModel) -> Measured:
    """The serving version's first answers, asked as the agent asks, always its likeliest words."""
    from align_agent.agent.session import first_prompt

    with Store.open(life.home.database) as store:
        version, path = Registry(store, life.home).serving(model.base, model.base_hash)
    if version not in life.by_version:
        prompts: list[tuple[Message, ...]] = []
        tools: Tools = ()
        for problem in life.problems:
            prompt, tools = first_prompt(life.config, model, problem.question)
            prompts.append(prompt)
        life.by_version[version] = _answers(life, model, version, prompts, tools, path)
    return life.by_version[version]


def measure_memory(life: Life, model: LocalModel) -> Measured:
    """The base with the learned rules in its prompt: what a memory of preferences would do."""
    from align_agent.agent.session import first_prompt

    with Store.open(life.home.database) as store:
        rules = [r.text for r in store.rules.list(("active", "declared"))]
    prompts: list[tuple[Message, ...]] = []
    tools: Tools = ()
    for problem in life.problems:
        prompt, tools = first_prompt(life.config, model, problem.question)
        prompts.append(with_rules(prompt, rules))
    return _answers(life, model, BASE_VERSION, prompts, tools, None)


def _answers(
    life: Life,
    model: LocalModel,
    version: int,
    prompts: list[tuple[Message, ...]],
    tools: Tools,
    path: Path | None,
) -> Measured:
    sampling = Sampling(max_new_tokens=160, temperature=0.0)
    found = model.generate_batch(prompts, sampling=sampling, adapter=path, tools=tools)
    answers = [generation.text for generation in found]
    pairs = list(zip(life.problems, answers, strict=True))
    n = len(pairs)
    return Measured(
        version,
        answers,
        sum(life.persona.satisfied(p, a) for p, a in pairs) / n,
        sum(p.correct(a) for p, a in pairs) / n,
    )


def back_and_forth(life: Life, model: LocalModel, show: Show) -> bool:
    """Roll back, see the old answers again word for word, and go forward again.

    False when a single answer differs, or when no night was promoted and there is no way back.
    """
    with Store.open(life.home.database) as store:
        registry = Registry(store, life.home)
        newest = registry.champion()
        if newest == BASE_VERSION:
            return False
        _, older = registry.rollback(why="the demonstration looks back")
        held = registry.held()
    known = life.by_version.pop(older)
    again = measure(life, model)
    exact = again.version == older and again.answers == known.answers
    with Store.open(life.home.database) as store:
        registry = Registry(store, life.home)
        registry.release()
        registry.promote(newest, why="the demonstration goes on")
    latest = life.by_version.pop(newest)
    forward = measure(life, model)
    exact = exact and forward.version == newest and forward.answers == latest.answers
    show.back_and_forth(newest, older, held, exact)
    return exact
