"""Where everything lies: one home folder, private to its owner. How a file that the user names
is read as text, and whether a process works in a folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from align_agent.errors import InputError, UsageError

ENV_HOME = "ALIGN_AGENT_HOME"
_PATIENCE_S = 0.5
_RETRY_S = 0.02


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that holds all of a user's data. `ALIGN_AGENT_HOME` moves it."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def database(self) -> Path:
        return self.root / "align.db"

    @property
    def checkpoints(self) -> Path:
        """The LangGraph checkpointer's database: the agent's conversation memory."""
        return self.root / "checkpoints.db"

    @property
    def adapters(self) -> Path:
        return self.root / "adapters"

    @property
    def working(self) -> Path:
        """The steps of the working adapter (`learn.live`)."""
        return self.root / "working"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def probed(self) -> Path:
        """What base and versions said to the gate's ability probes."""
        return self.root / "probed"

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def night_lock(self) -> Path:
        return self.root / "night.lock"

    @property
    def scheduler_lock(self) -> Path:
        return self.root / "scheduler.lock"

    def ensure(self) -> Home:
        """Create the folders that are missing, readable by their owner alone (mode 700).

        Raises UsageError where a file is in the way.
        """
        for folder in (self.root, self.adapters, self.runs, self.backups, self.logs):
            _refuse_file(folder)
            folder.mkdir(parents=True, exist_ok=True)
            if folder.stat().st_mode & 0o777 != 0o700:
                folder.chmod(0o700)
        return self


def find_home(explicit: str | Path | None = None) -> Home:
    """The home in use: the argument, else `ALIGN_AGENT_HOME`, else `~/.align-agent`.

    Raises UsageError for a path that a file keeps from being a folder.
    """
    chosen = explicit or os.environ.get(ENV_HOME) or Path.home() / ".align-agent"
    root = Path(chosen).expanduser().resolve()
    _refuse_file(root)
    return Home(root)


def _refuse_file(folder: Path) -> None:
    """Raises UsageError where the folder cannot be, because it or one above it is a file."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if there.is_file():
        raise UsageError(
            f"{there} is a file, where a folder has to be",
            hint="move it away, or choose another home with --home or ALIGN_AGENT_HOME",
        )


def read_text(path: Path, *, hint: str, most: int = 0) -> str:
    """The text of a file that the user named: UTF-8, with or without a byte-order mark.

    Raises InputError for a file that cannot be read, is larger than `most` bytes (0: any size) or
    is no such text; `hint` says what to name instead.
    """
    try:
        if most and path.stat().st_size > most:
            raise InputError(f"{path} is larger than {most // 1024} KiB", hint="shorten it")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text", hint=hint) from error


def fsync(path: Path) -> None:
    """Wait until the file's bytes, or the folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Aside, synced, renamed: a crash leaves the old file or the new one. Raises OSError."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.chmod(mode)
    aside.replace(path)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; what goes away meanwhile counts nothing."""
    inside = (Path(at) / name for at, _, names in os.walk(path) for name in names)
    total = 0
    for file in inside if path.is_dir() else (path,):
        with suppress(FileNotFoundError):
            total += file.lstat().st_size
    return total


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether the folder could be claimed for the time of the block; false where another has it.

    The operating system drops the claim when its process ends, however it ends.
    """
    opened = os.open(folder, os.O_RDONLY)
    try:
        yield lock(opened)
    finally:
        os.close(opened)


def is_claimed(folder: Path) -> bool:
    """Whether a process has claimed the folder; not where there is none."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(opened, fcntl.LOCK_SH)
    finally:
        os.close(opened)


def lock(opened: int) -> bool:
    """Whether an open file or folder could be locked until it is closed. Who only asks for it holds
    it for an instant: a moment's patience."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (free := try_lock(opened)) and time.monotonic() < deadline:
        time.sleep(_RETRY_S)
    return free


def try_lock(opened: int, how: int = fcntl.LOCK_EX) -> bool:
    """The same, at once or not at all; `how` is a kind of `fcntl`'s."""
    try:
        fcntl.flock(opened, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
