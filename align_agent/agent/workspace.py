"""The agent's file tools: read, edit and test within one folder, and nowhere else.

Every failure comes back as text that starts with `error:`, because the model has to read it. Tests
run in the sandbox, on a copy. Asks nobody for leave; that is the graph's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from align_agent.errors import ConfigError
from align_agent.paths import Home

MAX_FILE = 256 * 1024
MAX_COPY = 4 * 1024 * 1024
MAX_SAID = 3_000
SECONDS = 60
_SKIPPED = {"__pycache__", "node_modules"}
# Run in the box by its own interpreter: the user that it becomes may not be let near another one.
_UNPACK = """\
import json, os, sys
os.mkdir("w")
for name, text in json.load(open("files.json", encoding="utf-8")).items():
    name = "w/" + name
    os.makedirs(os.path.dirname(name), exist_ok=True)
    open(name, "w", encoding="utf-8").write(text)
os.chdir("w")
os.dup2(1, 2)
"""
_UNITTEST = """\
import unittest
sys.path.insert(0, ".")
sys.stderr = sys.stdout
unittest.main(module=None, argv=["unittest", "discover"], verbosity=0)
"""


def _schema(name: str, description: str, needed: list[str], **fields: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field, told in fields.items():
        kind, _, text = told.partition(": ")
        properties[field] = {"type": kind, "description": text}
    if "mode" in properties:
        properties["mode"]["enum"] = ["edit_lines", "replace", "overwrite"]
    parameters = {"type": "object", "properties": properties, "required": needed}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


_PATH = "string: the file, as seen from the workspace's folder"
SCHEMAS: tuple[dict[str, Any], ...] = (
    _schema("read_file", "Read a text file, its lines numbered.", ["path"], path=_PATH),
    _schema(
        "edit_file",
        "Change a text file: some of its lines, one place in it, or all of it.",
        ["path", "mode", "text"],
        path=_PATH,
        mode="string: edit_lines replaces the lines first to last, replace the only place that "
        "holds old, overwrite the whole file",
        text="string: what stands there afterwards",
        first="integer: the first line to replace, counted from 1 (edit_lines)",
        last="integer: the last line to replace; one less than first inserts (edit_lines)",
        old="string: the text to replace (replace)",
    ),
    _schema("run_tests", "Run the tests, and read what they say.", []),
)
NAMES = tuple(str(schema["function"]["name"]) for schema in SCHEMAS)


class _RefusedError(ValueError):
    """Why a call cannot be done, in words for the model."""


class Workspace:
    """One folder that the user chose. `call` does what a tool's schema says."""

    def __init__(self, folder: Path, test_command: str) -> None:
        self._root = folder.resolve()
        self._tests = test_command

    @staticmethod
    def of(home: Home, folder: str, test_command: str) -> Workspace:
        """Raises ConfigError for what is no folder, or holds the home or lies in it."""
        root = Path(folder).expanduser().resolve()
        if not root.is_dir():
            raise ConfigError(
                f"the workspace {root} is no folder", hint="make it, or set agent.workspace anew"
            )
        own = home.root.resolve()
        if root.is_relative_to(own) or own.is_relative_to(root):
            raise ConfigError(
                f"the workspace {root} overlaps align-agent's own home {own}",
                hint="choose a folder that holds the work alone",
            )
        return Workspace(root, test_command)

    def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Run one tool. Never raises: whatever goes wrong is an `error:` text."""
        tools: dict[str, Callable[..., str]] = {
            "read_file": self.read_file,
            "edit_file": self.edit_file,
            "run_tests": self.run_tests,
        }
        if name not in tools:
            return f"error: there is no tool {name!r}; there are {', '.join(NAMES)}"
        try:
            return tools[name](**{str(key): value for key, value in arguments.items()})
        except _RefusedError as problem:
            return f"error: {problem}"
        except TypeError as problem:  # of the call itself: a name too much, or one too few
            return f"error: {str(problem).partition(') ')[2] or problem}"
        except (OSError, ValueError) as problem:
            return f"error: {getattr(problem, 'strerror', None) or problem}"

    def read_file(self, path: str) -> str:
        """The file's lines, numbered from 1."""
        lines = self._text(self._inside(path)).splitlines()
        return "\n".join(f"{i}: {line}" for i, line in enumerate(lines, 1)) or "(the file is empty)"

    def edit_file(
        self, path: str, mode: str, text: str, first: Any = None, last: Any = None, old: str = ""
    ) -> str:
        """Replace the lines `first` to `last`, the one place that holds `old`, or all of it."""
        target, text = self._inside(path), str(text)
        if mode == "overwrite":
            return self._write(target, text)
        if mode == "replace":
            held = self._text(target)
            if not old or held.count(old) != 1:
                found = held.count(old) if old else 0
                raise _RefusedError(f"`old` stands in {found} places; it must be in one")
            return self._write(target, held.replace(old, text))
        if mode != "edit_lines":
            raise _RefusedError("`mode` is edit_lines, replace or overwrite")
        lines = self._text(target).splitlines()
        start, end = _number(first, "first"), _number(last, "last")
        if not 1 <= start <= len(lines) + 1 or not start - 1 <= end <= len(lines):
            raise _RefusedError(f"the file has {len(lines)} lines; {start} to {end} are not there")
        lines[start - 1 : end] = text.splitlines()
        return self._write(target, "".join(f"{line}\n" for line in lines))

    def run_tests(self) -> str:
        """What the test command says of a copy in the sandbox, and how it ended."""
        from align_agent.sandbox.box import Box, BoxError, BoxNotStarted
        from align_agent.sandbox.levels import Limits, SandboxUnavailable

        run = f"os.execv('/bin/sh', ['/bin/sh', '-c', {self._tests!r}])\n"
        source = _UNPACK + (run if self._tests else _UNITTEST)
        files = {"files.json": json.dumps(self._copy())}
        try:
            limits = Limits(seconds=float(SECONDS), cpu=SECONDS)
            with Box("program", limits, source=source, stdin="", files=files) as box:
                status, said, why = box.finish()
        except (BoxError, BoxNotStarted, SandboxUnavailable) as problem:
            raise _RefusedError(f"the tests cannot be run: {problem}") from problem
        ended = why or ("passed" if status == 0 else f"failed (exit code {status})")
        return f"{said.strip()[-MAX_SAID:]}\n{ended}".strip()

    # Inside

    def _inside(self, path: object) -> Path:
        """The file meant. Raises for one outside, a hidden one (what is in `.git` is run by
        others), and any way that goes over a link."""
        named = os.path.normpath(self._root / str(path))
        target = Path(named)
        if target == self._root or not target.is_relative_to(self._root):
            raise _RefusedError("that is no file of the workspace")
        parts = target.relative_to(self._root).parts
        if any(part.startswith(".") for part in parts):
            raise _RefusedError("hidden files are not for you")
        steps = [self._root.joinpath(*parts[: i + 1]) for i in range(len(parts))]
        if any(step.is_symlink() for step in steps):
            raise _RefusedError("links are not followed")
        return target

    def _text(self, target: Path) -> str:
        if not target.is_file():
            raise _RefusedError(f"there is no file {target.relative_to(self._root)}")
        if target.stat().st_size > MAX_FILE:
            raise _RefusedError(f"the file is larger than {MAX_FILE // 1024} KiB")
        try:
            return target.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise _RefusedError("the file is no text") from None

    def _write(self, target: Path, text: str) -> str:
        """The new text, whole or not at all."""
        data = text.encode("utf-8", "replace")
        if len(data) > MAX_FILE:
            raise _RefusedError(f"that is more than {MAX_FILE // 1024} KiB")
        if target.exists() and not target.is_file():
            raise _RefusedError("that is no file")
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}.new")
        try:
            with aside.open("xb") as file:
                file.write(data)
            if target.exists():
                aside.chmod(target.stat().st_mode & 0o777)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
        return f"{target.relative_to(self._root)} has {len(text.splitlines())} lines now"

    def _copy(self) -> dict[str, str]:
        """The workspace's text files by name; hidden ones and links are left out."""
        found: dict[str, str] = {}
        size = 0
        for folder, folders, names in os.walk(self._root):
            folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in _SKIPPED)
            for name in sorted(names):
                path = Path(folder) / name
                if name.startswith(".") or path.is_symlink() or not path.is_file():
                    continue
                try:
                    text = self._text(path)
                except _RefusedError:
                    continue
                size += len(text)
                if size > MAX_COPY:
                    raise _RefusedError(f"the workspace is larger than {MAX_COPY >> 20} MB")
                found[path.relative_to(self._root).as_posix()] = text
        return found


def _number(value: Any, name: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise _RefusedError(f"`{name}` must be a line's number") from None
