"""The file tools: what they do in their folder, and that nothing outside it can be reached."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from align_agent.agent.approval import APPROVED, Decision
from align_agent.agent.graph import TurnContext, build_graph
from align_agent.agent.workspace import MAX_FILE, Workspace
from align_agent.errors import ConfigError
from align_agent.models.generation import Generation
from align_agent.paths import Home
from align_agent.records import Message, ToolCall

TEXT = "one\ntwo\nthree\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    (made / "src").mkdir(parents=True)
    (made / "src" / "a.txt").write_text(TEXT)
    (tmp_path / "secret.txt").write_text("secret")
    (made / "link.txt").symlink_to(tmp_path / "secret.txt")
    (made / "way").symlink_to(tmp_path)
    (made / ".git").mkdir()
    (made / ".git" / "config").write_text("secret")
    return made


@pytest.fixture
def files(folder: Path, tmp_path: Path) -> Workspace:
    return Workspace.of(Home(tmp_path / "home"), str(folder), "")


def edit(files: Workspace, mode: str, **more: Any) -> str:
    return files.call("edit_file", {"path": "src/a.txt", "mode": mode, **more})


def test_a_file_is_read_with_its_lines_numbered(files: Workspace) -> None:
    assert files.call("read_file", {"path": "src/a.txt"}) == "1: one\n2: two\n3: three"


@pytest.mark.parametrize(
    ("mode", "more", "left"),
    [
        ("edit_lines", {"first": 2, "last": 2, "text": "zwei\ndrei"}, "one\nzwei\ndrei\nthree\n"),
        ("edit_lines", {"first": 2, "last": 1, "text": "new"}, "one\nnew\ntwo\nthree\n"),
        ("edit_lines", {"first": 4, "last": 3, "text": "four"}, "one\ntwo\nthree\nfour\n"),
        ("edit_lines", {"first": "1", "last": "3", "text": ""}, ""),
        ("replace", {"old": "two", "text": "zwei"}, "one\nzwei\nthree\n"),
        ("overwrite", {"text": "all new"}, "all new"),
    ],
)
def test_an_edit_changes_what_it_says(
    mode: str, more: dict[str, Any], left: str, files: Workspace, folder: Path
) -> None:
    assert "lines now" in edit(files, mode, **more)
    assert (folder / "src" / "a.txt").read_text() == left


def test_a_new_file_is_made_with_its_folders_and_an_old_one_keeps_its_mode(
    files: Workspace, folder: Path
) -> None:
    files.call("edit_file", {"path": "new/deep/b.txt", "mode": "overwrite", "text": "b"})
    assert (folder / "new" / "deep" / "b.txt").read_text() == "b"
    (folder / "src" / "a.txt").chmod(0o755)
    edit(files, "overwrite", text="x")
    assert (folder / "src" / "a.txt").stat().st_mode & 0o777 == 0o755
    assert [p.name for p in (folder / "src").iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"mode": "edit_lines", "text": "x"}, "`first` must be a line's number"),
        ({"mode": "edit_lines", "text": "x", "first": 3, "last": 9}, "3 lines; 3 to 9"),
        ({"mode": "edit_lines", "text": "x", "first": 0, "last": 1}, "3 lines; 0 to 1"),
        ({"mode": "replace", "text": "x", "old": "o"}, "stands in 2 places"),
        ({"mode": "replace", "text": "x"}, "stands in 0 places"),
        ({"mode": "append", "text": "x"}, "edit_lines, replace or overwrite"),
        ({"mode": "overwrite", "text": "x" * (MAX_FILE + 1)}, "more than 256 KiB"),
        ({"mode": "overwrite"}, "text"),
        ({"mode": "overwrite", "text": "x", "force": True}, "force"),
    ],
)
def test_a_wrong_edit_is_told_to_the_model_and_changes_nothing(
    more: dict[str, Any], told: str, files: Workspace, folder: Path
) -> None:
    said = files.call("edit_file", {"path": "src/a.txt", **more})
    assert said.startswith("error: ") and told in said
    assert (folder / "src" / "a.txt").read_text() == TEXT


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "src/../../secret.txt", "link.txt", "way/secret.txt", ".git/config", ".", ""],
)
def test_nothing_outside_can_be_read_or_written(path: str, files: Workspace, folder: Path) -> None:
    outside = {p: p.read_bytes() for p in (folder.parent / "secret.txt", folder / ".git/config")}
    for name in (path, str((folder / path).resolve()) if path.startswith("..") else path):
        assert files.call("read_file", {"path": name}).startswith("error: ")
        given = {"path": name, "mode": "overwrite", "text": "mine"}
        assert files.call("edit_file", given).startswith("error: ")
    assert all(p.read_bytes() == before for p, before in outside.items())


def test_what_is_no_text_or_no_file_is_refused(files: Workspace, folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(folder / "pipe")
    for path in ("b.bin", "pipe", "src", "nowhere.txt"):
        assert files.call("read_file", {"path": path}).startswith("error: ")
    given = {"path": "pipe", "mode": "overwrite", "text": "x"}
    assert "no file" in files.call("edit_file", given)


def test_the_home_is_no_workspace(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").ensure()
    for folder in (home.root, home.adapters, tmp_path):
        with pytest.raises(ConfigError, match="overlaps"):
            Workspace.of(home, str(folder), "true")
    with pytest.raises(ConfigError, match="is no folder"):
        Workspace.of(home, str(tmp_path / "nowhere"), "true")


def test_tests_are_run_on_a_copy_behind_the_wall(files: Workspace, folder: Path) -> None:
    case = "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n"
    passing = f"{case}        open('made', 'w').write('x')\n        self.assertEqual(1, 1)\n"
    (folder / "test_it.py").write_text(passing)
    assert files.call("run_tests", {}).endswith("passed")
    assert not (folder / "made").exists()
    outside = folder.parent / "secret.txt"
    (folder / "test_it.py").write_text(f"{case}        open({str(outside)!r})\n")
    said = files.call("run_tests", {})
    assert said.endswith("failed (exit code 1)")
    assert "PermissionError" in said or "FileNotFoundError" in said


def test_another_command_can_be_set_for_the_tests(folder: Path, tmp_path: Path) -> None:
    files = Workspace.of(Home(tmp_path / "home"), str(folder), "cat src/a.txt; exit 3")
    assert files.call("run_tests", {}) == f"{TEXT}failed (exit code 3)"


def said(message: Message) -> Generation:
    reason = "tool_calls" if message.tool_calls else "stop"
    return Generation(message.content, (), (), reason, message.tool_calls)  # type: ignore[arg-type]


class Turn:
    """One turn through the real graph: a model that makes these calls, then says that it is done.

    `asked` are the calls that waited for leave.
    """

    def __init__(self, files: Workspace, *calls: ToolCall) -> None:
        from langgraph.checkpoint.memory import InMemorySaver

        self._files, self._calls, self._saver = files, calls, InMemorySaver()
        self._thread: Any = {"configurable": {"thread_id": "t"}}
        self.graph = build_graph(self._saver)
        self.shown: list[Sequence[Message]] = []
        self.asked: list[str] = []

    def _model(
        self, messages: Sequence[Message], step: int, may_call: bool
    ) -> Iterator[str | Generation]:
        self.shown.append(messages)
        acts = not any(message.role == "tool" for message in messages)
        yield said(Message("assistant", "", self._calls if acts else ()))

    def run(self, *decisions: Decision) -> list[Message]:
        """The turn's messages once these decisions were given, those of one question at a time."""
        from langgraph.types import Command

        left = list(decisions)
        approved = frozenset({"edit_file"})
        context = TurnContext(self._model, self._files.call, approved=approved)
        given: Any = {"turn": [Message("user", "do").to_dict()], "steps": 0}
        while given is not None:
            list(self.graph.stream(given, self._thread, context=context, durability="exit"))
            state = self.graph.get_state(self._thread)
            waiting = state.interrupts[0].value if state.interrupts else []
            self.asked += [call["id"] for call in waiting]
            now = [left.pop(0).to_dict() for _ in waiting]
            given = Command(resume=now) if waiting else None
        return [Message.from_dict(data) for data in state.values["turn"]]


def overwrite(number: int) -> ToolCall:
    given = {"path": f"{number}.txt", "mode": "overwrite", "text": str(number)}
    return ToolCall(f"c{number}", "edit_file", given)


def test_only_what_was_approved_is_done(files: Workspace, folder: Path) -> None:
    read = ToolCall("c0", "read_file", {"path": "src/a.txt"})
    turn = Turn(files, read, overwrite(1), overwrite(2), overwrite(3))
    edited = {"path": "3.txt", "mode": "overwrite", "text": "drei"}
    messages = turn.run(APPROVED, Decision("deny", "not so"), Decision("edit", arguments=edited))
    assert turn.asked == ["c1", "c2", "c3"]
    results = {m.tool_call_id: m.content for m in messages if m.role == "tool"}
    assert results["c0"].startswith("1: one")
    assert results["c2"] == "error: the user denied this call: not so"
    assert (folder / "1.txt").read_text() == "1"
    assert not (folder / "2.txt").exists()
    assert (folder / "3.txt").read_text() == "drei"
    assert messages[1].tool_calls[3].arguments == edited


def test_after_a_denial_that_was_learned_the_model_is_asked_as_if_it_had_not_called(
    files: Workspace, folder: Path
) -> None:
    turn = Turn(files, overwrite(1))
    messages = turn.run(Decision("deny", "not so", anew=True), APPROVED)
    assert [*map(list, turn.shown[:2])] == [[Message("user", "do")]] * 2
    assert [m.role for m in messages] == ["user", "assistant", "tool", "assistant"]
    assert (folder / "1.txt").read_text() == "1"
