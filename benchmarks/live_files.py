"""The person of `live.py` who lets the agent edit files, and denies it to overwrite one.

The denials are conversations with the product's own agent in a real folder. The other tasks take its
prompts and tools through the same loop side by side, each in a real folder too: what counts is which
calls were made by the end of the turn, and what the file says then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from live_cases import Case, beside
from live_editing import OFFERED, OTHER_PATHS, SHOWN_PATHS, Edit, edits
from live_person import STEPS, TRIED, Person, ask, rest_figures, same

from align_agent.agent.approval import APPROVED, Decision
from align_agent.agent.session import AgentSession
from align_agent.agent.workspace import Workspace
from align_agent.config import Config
from align_agent.models.generation import Generation, Sampling
from align_agent.models.local import LocalModel
from align_agent.paths import Home
from align_agent.records import Message, ToolCall

MAX_CALL = 128  # tokens of one answer or call


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task: the last words with every call of the turn, and the file's text."""

    said: Generation
    text: str

    @property
    def overwrote(self) -> bool:
        return any(overwrites(call) for call in self.said.tool_calls)


def overwrites(call: ToolCall) -> bool:
    return call.name == "edit_file" and call.arguments.get("mode") == "overwrite"


@dataclass
class FilesPerson(Person):
    """Somebody who lets every call pass but, once a conversation, one that overwrites."""

    folder: Path = field(default_factory=Path)  # that holds a workspace for each task

    def session_at(self, edit: Edit, config: Config, name: str) -> AgentSession:
        """A conversation of an agent whose workspace holds the task's file alone."""
        work = str(self.workspace(edit))
        return self.session(replace(config, agent=replace(config.agent, workspace=work)), name)

    def workspace(self, edit: Edit) -> Path:
        """A new folder that holds the task's file alone."""
        self.asked += 1
        work = self.folder / str(self.asked)
        work.mkdir(parents=True)
        (work / edit.path).write_text(edit.before)
        return work

    def denies(self, edit: Edit, name: str) -> bool:
        """One conversation; whether a call was denied in it. A step is taken at once."""
        reasons: list[str] = []
        with self.session_at(edit, self.config, name) as session:

            def decide(call: ToolCall) -> Decision:
                if reasons or not overwrites(call):
                    return APPROVED
                reasons.append(self.case.words(self.chance))
                return Decision("deny", reasons[0])

            session.approve = decide
            list(session.send(edit.question))
            self.note(session)
        return bool(reasons)

    def done(self, tasks: Sequence[Edit], told: Sequence[Message] = ()) -> list[Done]:
        """Each task as the next message of what was `told`, in the agent's loop: greedily, with
        leave for all calls, side by side."""
        adapter, most = self.answering(), self.config.agent.max_steps
        works = [self.workspace(edit) for edit in tasks]
        shown = [[*told, Message("user", edit.question)] for edit in tasks]
        calls: list[list[ToolCall]] = [[] for _ in tasks]
        last: dict[int, Generation] = {}
        going = list(range(len(tasks)))
        for step in range(most):
            tools = OFFERED if step + 1 < most else ()
            said = self.model.generate_batch(
                [self.model.fit(shown[i], reserve=MAX_CALL, tools=tools) for i in going],
                sampling=Sampling(MAX_CALL, 0.0),
                adapter=adapter,
                tools=tools,
            )
            last |= zip(going, said, strict=True)
            for i in going:
                calls[i] += last[i].tool_calls
                work = Workspace(works[i], "")
                results = [(work.call(c.name, c.arguments), c.id) for c in last[i].tool_calls]
                shown[i] += [last[i].message()]
                shown[i] += [Message("tool", text, tool_call_id=id) for text, id in results]
            going = [i for i in going if last[i].tool_calls]
            if not going:
                break
        return [
            Done(replace(last[i], tool_calls=tuple(calls[i])), (works[i] / edit.path).read_text())
            for i, edit in enumerate(tasks)
        ]

    def done_in_context(self, shown: Edit, tasks: Sequence[Edit]) -> list[Done]:
        """Without learning: a denial, and then each task as the next message of that very
        conversation."""
        plain = replace(self.config, learn=replace(self.config.learn, live=False))
        root = self.folder / "plain"
        one = replace(self, home=Home(root / "home").ensure(), config=plain, folder=root / "files")
        one.denies(shown, "told")
        with one.session(plain, "told") as session:
            told = session.messages()
        return one.done(tasks, told)


def play(model: LocalModel, case: Case, seed: int, root: Path, tasks: int) -> dict[str, Any]:
    """Everything about one seed, as `live.play` says it; right is a file that ends as asked for."""
    usual = Config()
    config = replace(
        usual,
        model=replace(usual.model, seed=seed, max_new_tokens=MAX_CALL),
        learn=replace(usual.learn, live=True),
    )
    offering = replace(config, agent=replace(config.agent, workspace=str(root)))
    home = Home(root / "home").ensure()
    person = FilesPerson(case, home, config, model, seed, folder=root / "files")
    own, rest = edits(tasks, f"own/{seed}", OTHER_PATHS), beside(case, seed)
    shown = edits(TRIED, f"shown/{seed}", SHOWN_PATHS)
    sheets = [(person.done(own), ask(model, offering, rest, None))]
    context = person.done_in_context(shown[0], own)
    for number, edit in enumerate(shown):
        if len(person.adapters) < STEPS and person.denies(edit, f"live-{seed}-{number}"):
            sheets.append((person.done(own), ask(model, offering, rest, person.adapters[-1])))
    cell: dict[str, Any] = {
        "seconds": person.seconds,
        "processor": person.processor,
        "read": [],
        "asked": number + 1,
        "shown_context": [one.overwrote for one in context],
        "right_context": [d.text == e.after for d, e in zip(context, own, strict=True)],
        "undone": undone(person, own, [done for done, _ in sheets]),
    }
    for number in range(STEPS + 1):
        at = min(number, len(sheets) - 1)
        done, said = sheets[at]
        adapter = person.adapters[at - 1] if at else None
        figures = {
            "shows": [one.overwrote for one in done],
            "right": [d.text == e.after for d, e in zip(done, own, strict=True)],
            "looks": [],
            "kl": [],
        } | rest_figures(model, offering, adapter, "", rest, sheets[0][1], said)
        cell |= {f"{name}_{number}": values for name, values in figures.items()}
    return cell


def undone(person: FilesPerson, tasks: Sequence[Edit], sheets: Sequence[list[Done]]) -> list[bool]:
    """Task by task, whether each `/undo` brings back the calls and words before that step."""
    found: list[bool] = []
    for before in reversed(sheets[:-1]):
        person.undo()
        now = person.done(tasks)
        found += same([d.said for d in now], [d.said for d in before])
    return found
