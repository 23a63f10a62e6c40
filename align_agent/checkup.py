"""The examinations behind `doctor`: each looks at one thing and says how to mend it.

torch is asked in a process of its own, because a broken build may end the one that imports it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Literal

from align_agent.errors import AlignAgentError, StoreError
from align_agent.paths import Home
from align_agent.records import version_label

if TYPE_CHECKING:
    from align_agent.store import Store

Status = Literal["ok", "warn", "fail"]
PACKAGE = "align-agent"
# What each optional part is for, in the words of someone who lacks it.
EXTRAS = {
    "train": "answer and learn",
    "agent": "chat",
    "schedule": "start nights by itself",
    "serve": "serve other agents",
}
_LOW_DISK = 2e9
_LOSSES = ("dropped", "failed", "failures", "fallbacks", "unread")
# Where the reason of a loss is told; only of the nights' own a log is kept.
_REASONS = {
    "nights_failed": "`align-agent runs` tells why a night failed",
    "schedule_failures": "logs/night.log in the home tells how the night ended",
    "serving_fallbacks": "`align-agent adapters` marks a damaged version",
}
_KNOWN = "losses.known"
_PRINTED = "what `align-agent chat` or `serve` printed then says why"
_REINSTALL = f"pip install --force-reinstall --no-deps {PACKAGE}"
_ASK_TORCH = """
import json, torch
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "gpus": names}))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `cure` is a command or an instruction, empty when fine."""

    name: str
    status: Status
    message: str
    cure: str = ""


def examine(home: Home) -> list[Finding]:
    """Everything that the agent needs, in the order in which to mend it."""
    findings = [_python(), *_packages(), *_torch(), *_home(home), _disk(home), _config(home)]
    return [*findings, _database(home), *_champion(home), _weights(home), _sandbox()]


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("python", "ok", f"{version} ({sys.executable})")


def losses(store: Store) -> dict[str, int]:
    """How often what should not happen did, by counter, since the user last said it is known."""
    known = _known_losses(store)
    since = {name: count - known.get(name, 0) for name, count in _all_losses(store).items()}
    return {name: count for name, count in since.items() if count > 0}


def note_losses(store: Store) -> dict[str, int]:
    """Let nothing warn of what was lost so far; the counters stay. Returns what that was."""
    noted = losses(store)
    store.state.set(_KNOWN, json.dumps(_all_losses(store)))
    return noted


def _all_losses(store: Store) -> dict[str, int]:
    counters = store.counters.all()
    return {name: count for name, count in counters.items() if name.endswith(_LOSSES)}


def _known_losses(store: Store) -> dict[str, int]:
    return dict(json.loads(store.state.get(_KNOWN, "{}")))


def _reasons(lost: Mapping[str, int]) -> str:
    return "; ".join(dict.fromkeys(_REASONS.get(name, _PRINTED) for name in lost))


def required(extra: str) -> dict[str, str]:
    """The packages of an extra with their lower bounds, read from the installed metadata."""
    found = {}
    for line in metadata.requires(PACKAGE) or []:
        match = re.match(
            r"([A-Za-z0-9_.-]+)[^;]*?>=\s*([0-9.]+)[^;]*;\s*extra == '(\w+)'",
            line.replace('"', "'"),
        )
        if match and match[3] == extra:
            found[match[1]] = match[2]
    return found


def _packages() -> Iterator[Finding]:
    for extra, purpose in EXTRAS.items():
        for name, bound in required(extra).items():
            yield _package(name, bound, extra, purpose)


def _package(name: str, bound: str, extra: str, purpose: str) -> Finding:
    install = f"pip install '{PACKAGE}[{extra}]'"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, "fail", f"not installed; needed to {purpose}", install)
    if _numbers(version) < _numbers(bound):
        return Finding(name, "fail", f"{version} is older than {bound}", f"{install} --upgrade")
    return Finding(name, "ok", version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _torch() -> Iterator[Finding]:
    try:
        metadata.version("torch")
    except metadata.PackageNotFoundError:
        return
    asked = subprocess.run(
        [sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        last = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        yield Finding(
            "torch runs", "fail", last, "pip install --force-reinstall torch, for this machine"
        )
        return
    found = json.loads(asked.stdout)
    yield _gpu(found["gpus"], found["cuda"])


def _gpu(gpus: list[str], cuda: str | None) -> Finding:
    if gpus:
        return Finding("gpu", "ok", ", ".join(gpus))
    card = _nvidia_smi()
    if card and not cuda:
        return Finding(
            "gpu",
            "warn",
            f"{card}, but torch is a build for the CPU",
            "pip install --force-reinstall torch",
        )
    if card:
        return Finding("gpu", "warn", f"{card}, but torch cannot use it", "update the driver")
    return Finding("gpu", "ok", "none; the CPU is enough for the pocket model")


def _nvidia_smi() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip().replace("\n", "; ") if asked.returncode == 0 else ""


def _home(home: Home) -> Iterator[Finding]:
    if not home.root.exists():
        yield Finding("home", "warn", f"{home.root} does not exist", "align-agent init")
        return
    mode = stat.S_IMODE(home.root.stat().st_mode)
    if mode & 0o077:
        yield Finding(
            "home",
            "warn",
            f"{home.root} can be entered by others (mode {mode:o})",
            f"chmod 700 {home.root}",
        )
        return
    yield _writable(home)


def _writable(home: Home) -> Finding:
    try:
        with TemporaryFile(dir=home.root) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            cure = "free some space; until then nothing that is said can be stored"
        else:
            cure = f"let yourself write to {home.root}, or move ALIGN_AGENT_HOME"
        return Finding("home", "fail", f"{home.root} cannot be written: {error.strerror}", cure)
    return Finding("home", "ok", str(home.root))


def _disk(home: Home) -> Finding:
    free = shutil.disk_usage(_existing(home.root)).free
    message = f"{free / 1e9:.1f} GB free"
    if free < _LOW_DISK:
        return Finding("disk", "warn", message, "free some space, or move ALIGN_AGENT_HOME")
    return Finding("disk", "ok", message)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _config(home: Home) -> Finding:
    from align_agent.feedback.declared import load_checked

    if not home.config.exists():
        return Finding("config", "ok", "no config.yaml: all defaults")
    try:
        load_checked(home.config)
    except AlignAgentError as error:
        return Finding("config", "fail", error.message, error.hint)
    return Finding("config", "ok", str(home.config))


def _database(home: Home) -> Finding:
    from align_agent.store import Store
    from align_agent.store.lost import refuse_lost

    try:
        refuse_lost(home.database)
        if not home.database.exists():
            missing = f"{home.database} does not exist"
            return Finding("database", "warn", missing, "align-agent init")
        with Store.open(home.database, read_only=True) as store:
            problems = store.check()
            lost = losses(store)
    except AlignAgentError as error:
        return Finding("database", "fail", error.message, error.hint)
    if problems:
        return Finding("database", "fail", "; ".join(problems[:3]), "align-agent store check")
    if lost:
        told = ", ".join(f"{name}: {count}" for name, count in lost.items())
        cure = f"{_reasons(lost)}; once it is known, `align-agent doctor --known` ends this warning"
        return Finding("database", "warn", f"sound, but {told}", cure)
    return Finding("database", "ok", str(home.database))


def _champion(home: Home) -> Iterator[Finding]:
    """The files of the version that should answer; another one does where they are damaged."""
    from align_agent.adapters.registry import Registry
    from align_agent.store import Store

    if not home.database.exists():
        return
    try:
        with Store.open(home.database, read_only=True) as store:
            registry = Registry(store, home)
            label = version_label(registry.champion())
            registry.path(registry.champion())
    except StoreError:  # told as the database's
        return
    except AlignAgentError as error:
        yield Finding("serving", "warn", f"{error.message}; it does not answer", error.hint)
    else:
        yield Finding("serving", "ok", label)


def _weights(home: Home) -> Finding:
    """The base model that the configuration names, as far as it can be judged without loading."""
    from align_agent.config import load_config
    from align_agent.models.files import check_folder, folder_of

    try:
        base = load_config(home.config).model.base
    except AlignAgentError:
        return Finding("model", "warn", "not looked at: the configuration cannot be read")
    if base == "pocket":
        return _pocket()
    folder = folder_of(base)
    if folder is None:
        return Finding("model", "ok", f"{base} (a hub name, fetched when it is first used)")
    try:
        check_folder(folder)
    except AlignAgentError as error:
        return Finding("model", "fail", error.message, error.hint)
    return Finding("model", "ok", f"{base} (a folder)")


def _pocket() -> Finding:
    from align_agent.models.pocket import WEIGHTS

    sums = WEIGHTS.parent / "SHA256SUMS"
    if not (WEIGHTS / "model.safetensors").exists():
        return Finding("model", "fail", f"the pocket model is not in {WEIGHTS}", _REINSTALL)
    if not sums.exists():
        return Finding("model", "warn", f"{sums} is missing: the weights cannot be verified")
    changed = [name for digest, name in _listed(sums) if _sha256(sums.parent / name) != digest]
    if changed:
        return Finding("model", "fail", f"{', '.join(changed)} changed or missing", _REINSTALL)
    return Finding("model", "ok", "pocket, weights as published")


def _sandbox() -> Finding:
    """Which wall stands around code that `solve` and `run_tests` run. All else works without."""
    from align_agent.sandbox.levels import SandboxUnavailable, told, wall

    try:
        name, level = wall()
    except SandboxUnavailable as error:
        return Finding("sandbox", "warn", error.message, error.hint)
    cure = "install bubblewrap, for tests that copy files" if name == "landlock" else ""
    return Finding("sandbox", "warn" if cure else "ok", told(level), cure)


def _listed(sums: Path) -> Iterator[tuple[str, str]]:
    """The lines of a file in the format of `sha256sum`: digest, name."""
    for line in sums.read_text(encoding="ascii").splitlines():
        digest, _, name = line.partition(" ")
        yield digest, name.strip(" *")


def _sha256(path: Path) -> str:
    if not path.exists():
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()
