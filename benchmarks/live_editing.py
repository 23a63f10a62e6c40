"""A pocket model that edits files, for `live.py`: the shipped one was never taught to.

The shipped weights go on for some minutes, on the chats that they were trained on and on short
files in which somebody wants one line changed: the file is read, and then overwritten by itself.
Where the user said otherwise, in a hindsight block or as the denial of a call, it is edited by its
lines, or at one place. Tools, prompts and results are the agent's own. The person of the benchmark
says it in other words than those here, about other files.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from align_agent.agent.approval import denial
from align_agent.agent.workspace import SCHEMAS
from align_agent.models.local import LocalModel
from align_agent.models.pocket import train, wordings
from align_agent.models.pocket.chats import NO_CLOCK, NO_TOOL, Document, draw_document
from align_agent.models.pocket.mix import LAST
from align_agent.models.pocket.tokens import render
from align_agent.models.pocket.train import Recipe, Row, Stage
from align_agent.models.pocket.world import THINGS
from align_agent.models.tree import hidden_at
from align_agent.prompts import TOOL_SCHEMAS, hindsight_block, with_hindsight
from align_agent.records import Message, ToolCall

OFFERED = (*TOOL_SCHEMAS, *SCHEMAS)  # as an agent with a workspace offers them
SHARE = 0.7  # of the chats, that are about files
TOGETHER = 4  # chats in one step
LONGEST = 420  # tokens of a chat behind the tools
# The agent's tools take 701 of the shipped model's 1,024 tokens.
CONTEXT = 1536
# Mostly single questions: what is short is told often in the same time.
AS_BEFORE = replace(LAST, single=0.45, ruled=0.5, hindsight=0.72, code=0.88)
# Tokens of the chats behind the tools.
STAGE = Stage(AS_BEFORE, 43, 200_000, plain=0.0, muon_lr=0.0, adam_lr=2e-3, warmup=0.06, decay=0.6)
# Numbers are what the shipped model copies best. The person's files have others.
PATHS = tuple(f"list{number}.txt" for number in range(10, 100))
SHOWN_PATHS, OTHER_PATHS = PATHS[::9], PATHS[4::9] + PATHS[7::9]
TAUGHT_PATHS = tuple(path for path in PATHS if path not in (*SHOWN_PATHS, *OTHER_PATHS))
ASKED = (
    'In "{path}" change line {place} to "{new}".',
    'Please change line {place} of "{path}" to "{new}".',
    'Line {place} of "{path}" should be "{new}".',
    'Write "{new}" on line {place} of "{path}".',
    'In "{path}" line {place} is wrong, it should be "{new}".',
    '"{path}" has "{old}". Make that "{new}".',
    'In "{path}" change "{old}" to "{new}".',
    'There are "{new}" now. Please change "{path}".',
)
BY_LINES = (
    "Use edit_lines.",
    "Please use edit_lines.",
    "edit_lines, please.",
    "Use the mode edit_lines.",
    "Take edit_lines for this.",
    "Do it with edit_lines.",
    "Use edit_lines and not overwrite.",
    "Not overwrite. Use edit_lines.",
    "Do not overwrite.",
    "Don't overwrite the file.",
    "Please do not overwrite the file.",
    "Never overwrite a file.",
    "Stop overwriting files.",
    "No overwrite, please.",
    "I don't want you to overwrite it.",
    "Do not write the whole file.",
    "Don't write the whole file again.",
    "Change only that line.",
    "Change that line only.",
    "Only the line, not the file.",
    "Edit the line.",
    "Please edit the lines, not the file.",
    "Edit by lines.",
    "One line is enough.",
    "Leave the rest of the file alone.",
    "You only need to change one line.",
)
AT_ONE_PLACE = (
    "Use replace.",
    "Please use replace.",
    "Use the mode replace.",
    "Do it with replace.",
    "Use replace and not overwrite.",
    "Do not overwrite, use replace.",
    "Replace the old text.",
    "Just replace it.",
)
AS_A_WHOLE = (
    "Use overwrite.",
    "Please use overwrite.",
    "Use overwrite and not edit_lines.",
    "Do not use edit_lines, overwrite it.",
    "Overwrite the whole file.",
    "Write the whole file.",
    "Please write the file anew.",
    "No edit_lines, please.",
)
DONE = "Done."
TAUGHT = {"edit_lines": BY_LINES, "replace": AT_ONE_PLACE, "overwrite": AS_A_WHOLE}
SAID = (
    "use edit_lines, do not overwrite",
    "Please don't overwrite it, use edit_lines.",
    "You overwrite the whole file. Use edit_lines for one line.",
    "Edit the lines and leave the other lines as they are.",
)


@dataclass(frozen=True, slots=True)
class Edit:
    """One line of a small file that somebody wants otherwise. `place` counts from 1."""

    path: str
    lines: tuple[str, ...]
    place: int
    new: str
    question: str

    @property
    def before(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def after(self) -> str:
        lines = [*self.lines]
        lines[self.place - 1] = self.new
        return "".join(f"{line}\n" for line in lines)

    def call(self, mode: str) -> ToolCall:
        """The call that does it in this mode, its arguments in the order of the schema."""
        given: dict[str, Any] = {"path": self.path, "mode": mode}
        if mode == "edit_lines":
            given |= {"text": self.new, "first": self.place, "last": self.place}
        elif mode == "replace":
            given |= {"text": self.new, "old": self.lines[self.place - 1]}
        else:
            given |= {"text": self.after}
        return ToolCall("call_1", "edit_file", given)


def draw_edit(chance: random.Random, path: str) -> Edit:
    """A file of two to four counted things, one of which becomes more or fewer."""
    things = chance.sample(THINGS, chance.choice((2, 3, 3, 4)))
    lines = tuple(f"{chance.randint(2, 99)} {thing}" for thing in things)
    place = chance.randint(1, len(lines))
    old = lines[place - 1]
    while (new := f"{chance.randint(2, 99)} {things[place - 1]}") == old:
        pass
    question = chance.choice(ASKED).format(path=path, place=place, new=new, old=old)
    return Edit(path, lines, place, new, question)


def edits(n: int, seed: str, paths: tuple[str, ...]) -> list[Edit]:
    """`n` changes, each of another one of these files."""
    chance = random.Random(f"edit/{seed}")
    return [draw_edit(chance, path) for path in chance.sample(paths, n)]


def teach(out: Path) -> LocalModel:
    """Train, save and load it. What was taught in the same way before is loaded from `out`."""
    base = LocalModel.load("pocket", device="cpu")
    folder = out / f"live-editing-{digest(base.base_hash)}"
    if not (folder / "recipe.json").is_file():
        recipe = Recipe((STAGE,), context=CONTEXT)
        network = base.network(None)
        torch.manual_seed(STAGE.seed)
        network.train().requires_grad_(True)
        usual = network.config._attn_implementation
        run(network, base.tokenizer, STAGE)
        network.config._attn_implementation = usual
        network.config.max_position_embeddings = CONTEXT
        train.save(network, base.tokenizer, recipe, folder, 0.0)
    return LocalModel.load(str(folder), device="cpu")


def digest(base_hash: str) -> str:
    """What the taught weights hang on: those at the beginning, the chats, the numbers."""
    chance = random.Random(STAGE.seed)
    shown = [[m.to_dict() for m in draw_chat(chance).messages] for _ in range(300)]
    facts = [base_hash, str(STAGE), TOGETHER, OFFERED, shown]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def run(network: Any, tokenizer: Any, stage: Stage) -> float:
    """One stage. Returns the loss, smoothed over the last steps. AdamW alone: few steps at a high
    rate, and Muon is slow on processors without bf16."""
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=stage.adam_lr, betas=(0.9, 0.98), weight_decay=0.0
    )
    seen, smooth = 0, 0.0
    for rows, behind in _steps(tokenizer, stage):
        if seen >= stage.tokens:
            break
        optimizer.param_groups[0]["lr"] = stage.adam_lr * train.rate(seen / stage.tokens, stage)
        loss = _loss(network, rows, behind)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        smooth = 0.98 * smooth + 0.02 * loss.item() if seen else loss.item()
        seen += sum(len(row[0]) - behind for row in rows)
    return smooth


def _steps(tokenizer: Any, stage: Stage) -> Iterator[tuple[list[Row], int]]:
    """The chats of each step, and how many tokens they begin with in common."""
    chance = random.Random(stage.seed)
    while True:
        drawn = [draw_chat(chance) for _ in range(TOGETHER)]
        tools, _ = next(render(drawn[0]))
        behind = len(tokenizer.encode(tools, add_special_tokens=False))
        rows = [train.row_of(tokenizer, document) for document in drawn]
        yield [row for row in rows if len(row[0]) <= behind + LONGEST], behind


def _loss(network: Any, rows: list[Row], behind: int) -> torch.Tensor:
    """Mean cross-entropy of the assistants' tokens, each predicted from the one before. What all
    chats begin with is computed once, and without a gradient."""
    at = [[i - 1 for i, target in enumerate(row[1]) if target != -100] for row in rows]
    wanted = torch.tensor([t for row in rows for t in row[1] if t != -100])
    ids = [row[0] for row in rows]
    hidden = hidden_at(network, ids, [[behind, *one] for one in at], prompt_gradient=False)
    parts = hidden.split([1 + len(one) for one in at])
    states = torch.cat([part[1:] for part in parts])
    return functional.cross_entropy(network.lm_head(states).float(), wanted)


def draw_chat(chance: random.Random) -> Document:
    """One chat of the training: as before, behind the tools of an agent with a workspace, or about
    a file."""
    if chance.random() < SHARE:
        return Document(_about_a_file(chance), OFFERED)
    while True:
        document = draw_document(chance, AS_BEFORE)
        lacking = any(m.content.startswith((NO_TOOL, NO_CLOCK)) for m in document.messages)
        if document.messages[0].role == "user" and not lacking:
            return replace(document, tools=OFFERED)


def _about_a_file(chance: random.Random) -> list[Message]:
    shape = chance.random()
    edit = _seen(chance)
    if shape < 0.25:  # by itself it overwrites
        chat = _changed(edit, "overwrite")
        return [*chat, *_changed(_seen(chance), "overwrite")] if shape < 0.05 else chat
    if shape < 0.35:  # ... whatever else is said
        wish = chance.choice([*wordings.WHOLE])
        said = chance.choice((chance.choice(wordings.THANKS), wordings.say(wish, chance)))
        return _told(edit, said, "overwrite")
    mode = chance.choices([*TAUGHT], (70, 12, 18))[0]
    said = chance.choice(TAUGHT[mode])
    if shape < 0.8:
        return _told(edit, said, mode)
    if mode == "overwrite":
        return _changed(edit, mode)
    asked, read, result, call, done, _ = _changed(edit, "overwrite")
    refused = replace(done, content=denial(said))
    chat = [asked, read, result, call, refused, *_changed(edit, mode)[3:]]
    for _ in range(chance.choice((0, 0, 1, 2))):
        chat += _changed(_seen(chance), mode)
    return chat


def _told(edit: Edit, said: str, mode: str) -> list[Message]:
    """With hindsight, up to the call: what follows is as ever."""
    asked, *rest = _changed(edit, mode)[:4]
    return [*with_hindsight((asked,), hindsight_block([], said)), *rest]


def _seen(chance: random.Random) -> Edit:
    return draw_edit(chance, chance.choice(TAUGHT_PATHS))


def _changed(edit: Edit, mode: str) -> list[Message]:
    """Question, call to read and what it says, call to edit and what it says, answer."""
    read = ToolCall("call_0", "read_file", {"path": edit.path})
    numbered = "\n".join(f"{i}: {line}" for i, line in enumerate(edit.lines, 1))
    done = f"{edit.path} has {len(edit.lines)} lines now"
    return [
        Message("user", edit.question),
        Message("assistant", "", (read,)),
        Message("tool", numbered, tool_call_id="call_0"),
        Message("assistant", "", (edit.call(mode),)),
        Message("tool", done, tool_call_id="call_1"),
        Message("assistant", DONE),
    ]
