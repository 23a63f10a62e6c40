"""What learning at once changes, and what else it moves: `make bench-live`.

A person talks to the product's own agent with `learn.live: true` and speaks up against one thing, at
most twice, each time in a new conversation and only where it shows. After each step other tasks are
asked: is the thing gone, is the answer still right, what else looks otherwise, how far is it from the
base; then `/undo`. Beside it, in the same run: the same words without learning, in their own
conversation and in the next. Cells that are on file are not played again. Writes
docs/benchmarks/live.md; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import live_taught
import torch
from live_cases import CASES, EACH, SHIPPED_DENIAL, TOOLS, Case, beside, correct, look
from personalization.results import append, load, mean, median
from report import measured, publish, report, span, table

from align_agent.adapters.registry import Registry
from align_agent.agent import commands, live
from align_agent.agent.approval import APPROVED, Decision
from align_agent.agent.commands import Command
from align_agent.agent.session import AgentSession, first_prompt
from align_agent.config import Config
from align_agent.discover.estimate import interval
from align_agent.gate.likelihood import Asked, weigh
from align_agent.models.generation import Generation, Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket.styles import AXES
from align_agent.models.pocket.world import Problem
from align_agent.paths import Home
from align_agent.records import Message, ToolCall, Turn
from align_agent.store import Store

CELLS = Path(__file__).with_name("live-cells.jsonl")
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "live.md"
STEPS = 2  # that a person takes at most
TRIED = 6  # questions in which they look for what they do not want
OWN = 20  # other tasks like those corrected
MAX_ANSWER = 160
AIM_SECONDS = 3.0


# Asking


@dataclass
class Sheet:
    """Every answer to a case's other tasks and to the tasks beside them."""

    own: list[Generation]
    rest: list[Generation]


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


# The person


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


# One cell


def play(model: LocalModel, case: Case, seed: int, root: Path) -> dict[str, Any]:
    """Everything about one case and seed, answer by answer: 1 where it is so, 0 where not."""
    home = Home(root).ensure()
    usual = Config()
    config = replace(
        usual,
        model=replace(usual.model, seed=seed),
        learn=replace(usual.learn, live=True),
        agent=replace(usual.agent, approve=("calculator",) if case.denies else ()),
    )
    own, rest = case.tasks(OWN, f"own/{seed}"), beside(case, seed)

    def sheet(adapter: Path | None) -> Sheet:
        return Sheet(ask(model, config, own, adapter), ask(model, config, rest, adapter))

    person = Person(case, home, config, model, seed)
    sheets = [sheet(None)]
    context = person.in_context(own)
    person.talk()
    sheets += [sheet(adapter) for adapter in person.adapters]
    cell: dict[str, Any] = {
        "seconds": person.seconds,
        "processor": person.processor,
        "read": person.read,
        "asked": person.asked,
        "shown_context": [case.shows(p, s) for p, s in zip(own, context, strict=True)],
        "undone": undone(person, sheets, lambda adapter: ask(model, config, own, adapter)),
    }
    for number in range(STEPS + 1):
        at = min(number, len(person.adapters))  # who had nothing to correct took no further step
        adapter = person.adapters[at - 1] if at else None
        cell |= {
            f"{name}_{number}": values
            for name, values in figures_of(model, case, own, rest, sheets, at, adapter).items()
        }
    return cell


def undone(
    person: Person, sheets: Sequence[Sheet], asked: Callable[[Path | None], list[Generation]]
) -> list[bool]:
    """Answer by answer, whether each `/undo` brings back what was said before that step."""
    found: list[bool] = []
    for before in reversed(sheets[:-1]):
        found += same(asked(person.undo()), before.own)
    return found


def figures_of(
    model: LocalModel,
    case: Case,
    own: Sequence[Problem],
    rest: Sequence[Problem],
    sheets: Sequence[Sheet],
    at: int,
    adapter: Path | None,
) -> dict[str, list[float]]:
    before, now = sheets[0], sheets[at]
    offered = first_prompt(Config(), model, "")[1]
    axis = case.wish.partition(":")[0]

    def kept(problems: Sequence[Problem], one: Sequence[Generation], two: Sequence[Generation],
             axis: str) -> list[float]:  # fmt: skip
        triples = zip(problems, one, two, strict=True)
        return [look(p, a, axis) == look(p, b, axis) for p, a, b in triples]

    def drift(problems: Sequence[Problem], said: Sequence[Generation]) -> list[float]:
        spoken = [(p, s) for p, s in zip(problems, said, strict=True) if not s.tool_calls]
        asked = [Asked((Message("user", p.question),), s.text, offered) for p, s in spoken]
        return [round(one.kl, 4) for one in weigh(model, adapter, asked)] if asked else [0.0]

    return {
        "shows": [case.shows(p, s) for p, s in zip(own, now.own, strict=True)],
        "right": [case.right(p, s) for p, s in zip(own, now.own, strict=True)],
        "looks": kept(own, before.own, now.own, axis) if axis in AXES else [],
        "right_rest": [correct(p, s) for p, s in zip(rest, now.rest, strict=True)],
        "kept_rest": kept(rest, before.rest, now.rest, ""),
        "others_rest": kept(rest, before.rest, now.rest, axis),
        "calls": [
            look(p, s) == look(p, b)
            for p, s, b in zip(rest, now.rest, before.rest, strict=True)
            if p.kind in TOOLS
        ],
        "kl": drift(own, now.own),
        "kl_rest": drift(rest, now.rest),
    }


def play_missing(seeds: int, minutes: float, cells: Path, protocol: str) -> None:
    """Every case on every seed that is not on file, known words first, until the time is up."""
    end = time.monotonic() + 60 * minutes
    done = {(r["user"], r["seed"]) for r in load(cells, protocol)}
    missing = [
        (s, c) for late in (False, True) for s in range(seeds) for c in CASES if c.unseen is late
    ]
    missing = [(seed, case) for seed, case in missing if (case.name, seed) not in done]
    with tempfile.TemporaryDirectory(prefix="align-agent-live-") as folder:
        root = Path(folder)
        shipped = LocalModel.load("pocket", device="cpu")
        taught = live_taught.teach(root / "taught") if any(c.taught for _, c in missing) else None
        for place, (seed, case) in enumerate(missing):
            if time.monotonic() > end:
                return
            model = taught if case.taught else shipped
            assert model is not None
            cell = play(model, case, seed, root / str(place))
            row = {"protocol": protocol, "user": case.name, "method": "live", "seed": seed}
            append(cells, row | {key: plain(value) for key, value in cell.items()})
            told = {k: round(mean(v), 3) for k, v in cell.items() if isinstance(v, list) and v}
            print(seed, case.name, told, file=sys.stderr, flush=True)


def plain(value: Any) -> Any:
    """1 and 0 for yes and no, and seconds that nobody has to read to the microsecond."""
    return [round(float(one), 4) for one in value] if isinstance(value, list) else value


def protocol_of(base_hash: str) -> str:
    """Cells of other weights or of another step are other figures."""
    step = f"{live.ANSWERS}/{live.UPDATES}/{live.RATE:g}"
    return f"{STEPS}/{OWN}/{EACH}/{step}/{live_taught.STAGE.tokens}/{base_hash[:12]}"


# Telling


GONE = {
    "shows_0": "without learning",
    "shows_1": "after one step",
    "shows_2": "after at most two",
    "shown_context": "said in the context, same conversation",
}
MOVED = {
    "right": "... after",
    "right_rest": "right on the rest",
    "looks": "other looks of these as before",
    "others_rest": "other looks of the rest as before",
    "kept_rest": "all looks of the rest as before",
    "calls": "tools called as before",
    "kl": "KL on these",
    "kl_rest": "KL on the rest",
    "undone": "`/undo` brings back the answer",
}


def pooled(cells: Sequence[dict[str, Any]], key: str) -> tuple[float, float, float] | None:
    """(mean, low, high) of the answers of all seeds; None where the case has no such figure."""
    groups = [list(map(float, cell[key])) for cell in cells if cell[key]]
    return interval(groups) if groups else None


def shown(found: tuple[float, float, float] | None) -> str:
    return span(*found) if found else ""


def tables(cells: Sequence[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """What goes and what else moves, case by case, and all figures."""
    gone: list[list[object]] = []
    moved: list[list[object]] = []
    figures: dict[str, Any] = {}
    for case in CASES:
        own = [cell for cell in cells if cell["user"] == case.name]
        if not own:
            continue
        steps = [float(len(cell["seconds"])) for cell in own]
        found = {key: pooled(own, key) for key in GONE}
        after = {key: pooled(own, key if key == "undone" else f"{key}_{STEPS}") for key in MOVED}
        before = {f"{key} before": pooled(own, f"{key}_0") for key in ("right", "right_rest")}
        gone.append([case.name, len(own), f"{mean(steps):.1f}", *map(shown, found.values())])
        moved.append([case.name, shown(before["right before"]), *map(shown, after.values())])
        figures[case.name] = {"seeds": len(own), "steps": steps} | {
            key: [round(x, 4) for x in value]
            for key, value in (found | after | before).items()
            if value
        }
    head = ["what was said", "seeds", "steps"]
    text = table(gone, [*head, *GONE.values()])
    return (
        f"{text}\n\n{table(moved, [head[0], 'right on these, before', *MOVED.values()])}",
        figures,
    )


def aims(cells: Sequence[dict[str, Any]]) -> list[Sequence[object]]:
    """The rows of what is aimed at. The denial that the shipped model cannot follow has its own."""
    rows: list[Sequence[object]] = []
    known = [case.name for case in CASES if not case.unseen and case.name != SHIPPED_DENIAL]
    groups = {
        "the thing still shows, words it knows": known,
        "... words it never saw": [case.name for case in CASES if case.unseen],
        "... a denied call, as shipped": [SHIPPED_DENIAL],
    }
    for title, names in groups.items():
        own = [cell for cell in cells if cell["user"] in names]
        if own:
            now, before = (mean([mean(cell[k]) for cell in own]) for k in ("shows_2", "shows_0"))
            rows.append((title, now, before, now - before, 0, now == 0))
    seconds = [s for cell in cells for s in cell["seconds"]]
    processor = [s for cell in cells for s in cell["processor"]]
    for title, taken in (("seconds of a step", seconds), ("... of the processor", processor)):
        middle, worst = median(taken), max(taken)
        rows.append((f"{title}, median and worst", f"{middle:.1f}", f"{worst:.1f}", "",
                     AIM_SECONDS, worst <= AIM_SECONDS))  # fmt: skip
    undone = mean([one for cell in cells for one in cell["undone"]])
    rows.append(
        ("answers that `/undo` brings back, letter by letter", undone, "", "", 1, undone == 1)
    )
    return rows


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seeds", type=int, default=5)
    ask.add_argument("--minutes", type=float, default=60, help="begin no cell after so long")
    ask.add_argument("--cells", type=Path, default=CELLS)
    given = ask.parse_args()
    torch.set_num_threads(1)
    stated = measured()
    protocol = protocol_of(LocalModel.load("pocket", device="cpu").base_hash)
    play_missing(given.seeds, given.minutes, given.cells, protocol)
    cells = [cell for cell in load(given.cells, protocol) if cell["seed"] < given.seeds]
    text, figures = tables(cells)
    rows = aims(cells)
    publish(PAGE, f"{stated}.\n\n{text}\n\n{table(rows)}")
    print(text)
    report("live", rows, figures, "torch")


if __name__ == "__main__":
    main()
