"""Who talks to the agent in `live.py`: a person who corrects one thing where it shows. And how its
answers before and after are compared."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from live_cases import TOOLS, Case, correct, look

from align_agent.adapters.registry import Registry
from align_agent.agent import commands, live
from align_agent.agent.approval import APPROVED, Decision
from align_agent.agent.commands import Command
from align_agent.agent.session import AgentSession, first_prompt
from align_agent.config import Config
from align_agent.gate.likelihood import Asked, weigh
from align_agent.models.generation import Generation, Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket.world import Problem
from align_agent.paths import Home
from align_agent.records import Message, ToolCall, Turn
from align_agent.store import Store

STEPS = 2  # that a person takes at most
TRIED = 6  # questions in which they look for what they do not want
MAX_ANSWER = 160


def ask(
    model: LocalModel, config: Config, problems: Sequence[Problem], adapter: Path | None
) -> list[Generation]:
    """Each question as the first of a conversation, with the agent's prompt and tools, greedily."""
    prompts = [first_prompt(config, model, p.question) for p in problems]
    return model.generate_batch(
        [prompt for prompt, _ in prompts],
        sampling=Sampling(MAX_ANSWER, 0.0),
        adapter=adapter,
        tools=prompts[0][1],
    )


def same(one: Sequence[Generation], two: Sequence[Generation]) -> list[bool]:
    """Answer by answer, whether text and calls are the same, letter by letter."""

    def told(said: Generation) -> tuple[str, list[tuple[str, Any]]]:
        return said.text, [(call.name, call.arguments) for call in said.tool_calls]

    return [told(a) == told(b) for a, b in zip(one, two, strict=True)]


def kept(
    problems: Sequence[Problem], one: Sequence[Generation], two: Sequence[Generation], axis: str
) -> list[float]:
    """Answer by answer, whether it looks the same, but for an axis."""
    triples = zip(problems, one, two, strict=True)
    return [look(p, a, axis) == look(p, b, axis) for p, a, b in triples]


def drift(
    model: LocalModel,
    config: Config,
    adapter: Path | None,
    problems: Sequence[Problem],
    said: Sequence[Generation],
) -> list[float]:
    """The KL to the base of each answer in words."""
    offered = first_prompt(config, model, "")[1]
    spoken = [(p, s) for p, s in zip(problems, said, strict=True) if not s.tool_calls]
    asked = [Asked((Message("user", p.question),), s.text, offered) for p, s in spoken]
    return [round(one.kl, 4) for one in weigh(model, adapter, asked)] if asked else [0.0]


def rest_figures(
    model: LocalModel,
    config: Config,
    adapter: Path | None,
    axis: str,
    rest: Sequence[Problem],
    before: Sequence[Generation],
    now: Sequence[Generation],
) -> dict[str, list[float]]:
    """What became of the tasks that nobody spoke about."""
    calls = [i for i, problem in enumerate(rest) if problem.kind in TOOLS]
    return {
        "right_rest": [correct(p, s) for p, s in zip(rest, now, strict=True)],
        "kept_rest": kept(rest, before, now, ""),
        "others_rest": kept(rest, before, now, axis),
        "calls": [look(rest[i], now[i]) == look(rest[i], before[i]) for i in calls],
        "kl_rest": drift(model, config, adapter, rest, now),
    }


@dataclass
class Person:
    """Somebody at the agent who corrects one thing where it shows, at most `STEPS` times."""

    case: Case
    home: Home
    config: Config
    model: LocalModel
    seed: int
    seconds: list[float] = field(default_factory=list)  # of each step, as a person waits
    processor: list[float] = field(default_factory=list)  # ... and of the processor
    adapters: list[Path] = field(default_factory=list)
    read: list[bool] = field(default_factory=list)  # whether the message alone was understood
    asked: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(f"live/{self.case.name}/{self.seed}")

    def talk(self) -> None:
        for problem in self.case.tasks(TRIED, f"shown/{self.seed}"):
            if len(self.adapters) == STEPS:
                return
            self.asked += 1
            with self.session(self.config, f"live-{self.seed}-{self.asked}") as session:
                self.correct(session, problem)

    def session(self, config: Config, name: str) -> AgentSession:
        session = AgentSession.open(self.home, config, conversation_id=name, model=self.model)
        step = session.learn_at_once

        def timed(*given: Any) -> bool:
            began = time.process_time()
            done = step(*given)
            self.processor += [time.process_time() - began] * done
            return done

        session.learn_at_once = timed  # type: ignore[method-assign]
        return session

    def correct(self, session: AgentSession, problem: Problem) -> None:
        """One conversation: a question, and what the person says if the answer is not as wished."""
        if self.case.denies:
            session.approve = lambda call: self.decide(session, call)
        list(session.send(problem.question))
        assert session.last_turn is not None
        if self.case.denies:
            self.note(session)
        elif self.case.shows(problem, answer_of(session.last_turn)):
            words = self.case.words(self.chance)
            self.read.append(live.corrects(words, session.last_turn, session.config))
            if self.read[-1]:
                list(session.send(words))
            else:  # what the reader is not sure of is rated
                commands.run(Command("rate", f"down {words}"), session)
            self.note(session)

    def decide(self, session: AgentSession, call: ToolCall) -> Decision:
        self.note(session)
        if call.name != "calculator" or len(self.adapters) == STEPS:
            return APPROVED
        return Decision("deny", self.case.words(self.chance))

    def note(self, session: AgentSession) -> None:
        """Keep the step that was just taken, if one was."""
        step = session.last_step
        if session.step_fault:
            raise SystemExit(f"a step failed: {session.step_fault}")
        if step is not None and step.folder not in self.adapters:
            self.adapters.append(step.folder)
            self.seconds.append(step.seconds)

    def undo(self) -> Path | None:
        """`/undo`, and what answers then."""
        with self.session(self.config, f"undo-{self.seed}") as session:
            commands.run(Command("undo"), session)
        return self.answering()

    def answering(self) -> Path | None:
        """The adapter that answers now."""
        with Store.open(self.home.database) as store:
            return Registry(store, self.home).answering(self.model.base, self.model.base_hash)[1]

    def in_context(self, problems: Sequence[Problem]) -> list[Generation]:
        """Without learning: the same words once, and then the other tasks, each as the next message
        of that very conversation."""
        plain = replace(self.config, learn=replace(self.config.learn, live=False))
        (first,) = self.case.tasks(1, f"shown/{self.seed}")
        chance = random.Random(f"live/{self.case.name}/{self.seed}")
        denied: list[ToolCall] = []

        def decide(call: ToolCall) -> Decision:
            denied.append(call)
            return Decision("deny", self.case.words(chance)) if len(denied) == 1 else APPROVED

        with self.session(plain, f"plain-{self.seed}") as session:
            session.approve = decide
            list(session.send(first.question))
            if not self.case.denies:
                list(session.send(self.case.words(chance)))
            said, offered = session.messages(), session.tools
        return self.model.generate_batch(
            [
                self.model.fit(
                    [*said, Message("user", p.question)], reserve=MAX_ANSWER, tools=offered
                )
                for p in problems
            ],
            sampling=Sampling(MAX_ANSWER, 0.0),
            tools=offered,
        )


def answer_of(turn: Turn) -> Generation:
    return Generation(turn.answer, (), (), "stop")
