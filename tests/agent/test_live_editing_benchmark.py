"""What the pocket model of the benchmark of live mode is taught about files: the agent's own tools,
prompts and results, and nothing that the benchmark's person says or asks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from live_cases import CASES, OVERWRITES
from live_editing import (
    OFFERED,
    OTHER_PATHS,
    SAID,
    SHOWN_PATHS,
    TAUGHT,
    TAUGHT_PATHS,
    Edit,
    draw_chat,
    draw_edit,
    edits,
)
from live_files import overwrites

from align_agent.agent.session import first_prompt
from align_agent.agent.workspace import Workspace
from align_agent.config import Config
from align_agent.models.local import LocalModel
from align_agent.models.pocket.chats import Document
from align_agent.models.pocket.tokens import render
from align_agent.models.toolcalls import parse_tool_calls
from align_agent.records import Message

MODES = tuple(TAUGHT)


def chats(n: int = 200) -> Iterator[Document]:
    """Those about files."""
    chance = random.Random(3)
    for _ in range(n):
        document = draw_chat(chance)
        if any(call.name == "edit_file" for m in document.messages for call in m.tool_calls):
            yield document


@pytest.fixture
def edit() -> Edit:
    return draw_edit(random.Random(5), TAUGHT_PATHS[0])


def at_work(folder: Path, edit: Edit) -> Workspace:
    (folder / edit.path).write_text(edit.before)
    return Workspace(folder, "")


@pytest.mark.parametrize("mode", MODES)
def test_a_taught_call_is_read_back_from_its_text_and_makes_the_file_right(
    tmp_path: Path, edit: Edit, mode: str
) -> None:
    call = edit.call(mode)
    document = Document([Message("user", ""), Message("assistant", "", (call,))], OFFERED)
    (text,) = [piece.removesuffix("<|im_end|>") for piece, wanted in render(document) if wanted]
    said, (read,) = parse_tool_calls(text)
    assert (said, read.name, read.arguments) == ("", call.name, call.arguments)
    at_work(tmp_path, edit).call(read.name, read.arguments)
    assert (tmp_path / edit.path).read_text() == edit.after != edit.before
    assert overwrites(read) == (mode == "overwrite")


def test_the_results_in_the_taught_chats_are_what_the_tools_say(tmp_path: Path) -> None:
    seen = 0
    for number, document in enumerate(chats(60)):
        folder = tmp_path / str(number)
        folder.mkdir()
        work = Workspace(folder, "")
        for call_by, result in zip(document.messages, document.messages[1:], strict=False):
            if result.role != "tool" or "denied" in result.content:
                continue
            (call,) = call_by.tool_calls
            if call.name == "read_file":
                lines = [line.partition(": ")[2] for line in result.content.split("\n")]
                (folder / str(call.arguments["path"])).write_text("\n".join(lines) + "\n")
            assert work.call(call.name, call.arguments) == result.content
            seen += 1
    assert seen > 50


def test_the_taught_prompts_are_those_of_an_agent_with_a_workspace(tmp_path: Path) -> None:
    model = LocalModel.load("pocket", device="cpu")
    usual = Config()
    config = replace(usual, agent=replace(usual.agent, workspace=str(tmp_path)))
    assert first_prompt(config, model, "")[1] == OFFERED
    for document in list(chats(20))[:8]:
        text = "".join(piece for piece, _ in render(document))
        shown = model.encode(document.messages, document.tools, add_generation_prompt=False)
        assert shown == model.tokenizer.encode(text, add_special_tokens=False)


def test_the_person_says_and_asks_what_the_taught_model_never_read() -> None:
    def plain(said: str) -> str:
        return said.casefold().strip(" .!")

    assert not {plain(s) for s in SAID} & {plain(s) for way in TAUGHT.values() for s in way}
    assert not {*TAUGHT_PATHS} & {*SHOWN_PATHS, *OTHER_PATHS}
    asked = {e.path for e in edits(20, "own/0", OTHER_PATHS)} | {*SHOWN_PATHS}
    shown = "\n".join(m.content for document in chats() for m in document.messages)
    assert not [path for path in asked if path in shown]
    assert not [said for said in SAID if said in shown]


def test_a_model_that_is_told_nothing_overwrites_and_one_that_is_told_does_as_told() -> None:
    told = {said: mode for mode, way in TAUGHT.items() for said in way}
    seen: set[tuple[bool, object]] = set()
    for document in chats():
        lines = "\n".join(m.content for m in document.messages).split("\n")
        words = [line.rpartition("denied this call: ")[2] for line in lines]
        wished = [told[said] for said in words if said in told]
        last = [c for m in document.messages for c in m.tool_calls if c.name == "edit_file"][-1]
        mode = last.arguments["mode"]
        assert mode == (wished[0] if wished else "overwrite")
        seen.add((bool(wished), mode))
    assert seen == {(False, "overwrite"), *((True, mode) for mode in MODES)}


def test_its_tasks_are_changes_of_twenty_files_that_each_change_one_line() -> None:
    (case,) = [case for case in CASES if case.name == OVERWRITES]
    assert case.edits and case.denies
    tasks = edits(20, "own/1", OTHER_PATHS)
    assert len({task.path for task in tasks}) == 20
    for task in tasks:
        before, after = task.before.splitlines(), task.after.splitlines()
        assert [i for i, pair in enumerate(zip(before, after, strict=True), 1)
                if pair[0] != pair[1]] == [task.place]  # fmt: skip
