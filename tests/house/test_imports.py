"""Who may import whom, and what may be heavy: read from the source, then tried for real."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import align_agent

PACKAGE = Path(align_agent.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# A room may import rooms of a lower level, and itself. Rooms of one level do not know each other.
WORDS = {"prompts", "directions", "languages", "polarity", "display", "localtime"}
LEVELS: tuple[set[str], ...] = (
    {"errors", "paths", "records", "config", *WORDS},
    {"store", "sandbox"},
    {"models", "feedback", "adapters", "capture"},
    {"distill", "gate", "explain", "export", "checkup"},
    {"night", "discover", "compare", "credit"},
    {"privacy"},
    {"schedule", "agent", "server", "openclaw"},
    {"demo", "langgraph", "learn", "web"},
    {"cli"},
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

HEAVY = {
    "apscheduler", "gguf", "langchain_core", "langgraph", "numpy", "peft", "ray", "rich",
    "safetensors", "sqlite_utils", "tokenizers", "torch", "transformers",
}  # fmt: skip
# Modules whose whole work is on tensors; everything else imports heavy packages inside functions.
TORCH_MODULES = {
    "models/cache.py", "models/decoding.py", "models/engine.py", "models/forward.py",
    "models/lane.py", "models/local.py",
    "models/lora.py", "models/pocket/train.py", "models/prefix.py",
    "models/tree.py",
    "distill/checkpoint.py",
    "distill/crew.py", "distill/gap.py", "distill/gradient.py", "distill/head.py",
    "distill/loss.py", "distill/memory.py", "distill/rollouts.py", "distill/step.py",
    "distill/teacher.py", "distill/train.py",
}  # fmt: skip
# Inherit from langgraph's classes; whoever needs one imports it inside a function, or is an agent
# that is built with langgraph.
GRAPH_MODULES = {"agent/saver.py", "langgraph/capture.py"}


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        if node.module == "align_agent":
            return [f"align_agent.{alias.name}" for alias in node.names]
        return [node.module]
    return []


def is_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: no function bodies, no type checking."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if is_type_checking(child):
            continue
        yield child
        yield from at_import_time(child)


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_only(path: Path) -> None:
    room = room_of(path)
    if room in {"__init__", "__main__"}:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for name in imported(node):
            parts = name.split(".")
            if parts[0] != "align_agent" or len(parts) < 2 or parts[1] in {room, "__version__"}:
                continue
            assert LEVEL_OF[parts[1]] < max(LEVEL_OF[room], 1), (
                f"{name_of(path)}:{node.lineno} ({room}) must not import {name}"
            )


def test_every_room_has_its_place_in_the_order() -> None:
    rooms = {room_of(path) for path in MODULES} - {"__init__", "__main__"}
    assert rooms <= set(LEVEL_OF)


def test_no_module_imports_relatively() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), name_of(path)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_packages_are_imported_inside_functions(path: Path) -> None:
    name = name_of(path)
    if name in TORCH_MODULES | GRAPH_MODULES:
        return
    for node in at_import_time(ast.parse(path.read_text(encoding="utf-8"))):
        for module in imported(node):
            assert module.split(".")[0] not in HEAVY, f"{name}:{node.lineno} imports {module}"


LIGHT_COMMANDS = [
    ["--help"],
    ["--version"],
    ["status"],
    ["turns"],
    ["feedback"],
    ["rules"],
    ["runs"],
    ["adapters"],
    ["config"],
    ["store"],
    ["schedule"],
    ["distill", "plan"],
    ["chat", "--help"],
    ["demo", "--help"],
    ["distill", "run", "--help"],
    ["adapters", "compare", "--help"],
    ["solve", "--help"],
]
TOO_HEAVY = {"torch", "transformers", "peft", "langgraph", "ray"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from align_agent.cli import main

    folder = tmp_path_factory.mktemp("home")
    assert main(["--home", str(folder), "init"]) == 0
    return folder


@pytest.mark.uncounted
@pytest.mark.parametrize("command", LIGHT_COMMANDS, ids=" ".join)
def test_light_commands_import_nothing_heavy(command: list[str], home: Path) -> None:
    code = (
        "import json, sys\n"
        "from align_agent.cli import main\n"
        f"code = main({['--home', str(home), *command]!r})\n"
        "print(json.dumps([code, sorted(m.split('.')[0] for m in sys.modules)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exit_code, modules = json.loads(done.stdout.strip().splitlines()[-1])
    assert exit_code == 0, done.stderr
    assert not TOO_HEAVY & set(modules)


@pytest.mark.uncounted
def test_help_needs_nothing_but_click() -> None:
    code = (
        "import json, sys\n"
        "from align_agent.cli import main\n"
        "main(['--help'])\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = json.loads(done.stdout.strip().splitlines()[-1])
    ours = {name for name in modules if name.startswith("align_agent.")}
    assert ours <= {
        "align_agent.cli",
        "align_agent.cli.app",
        "align_agent.cli.groups",
        "align_agent.cli.output",
        "align_agent.cli.root",
        "align_agent.display",
        "align_agent.errors",
        "align_agent.paths",
    }
    assert "sqlite_utils" not in modules
    assert "yaml" not in modules
