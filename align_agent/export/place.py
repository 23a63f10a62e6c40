"""A file or a folder that appears whole, for its owner alone, where nothing was before.

What is being written has a name that begins with a dot; it goes away when the writing fails.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from align_agent.adapters.files import disk_errors
from align_agent.errors import UsageError
from align_agent.paths import fsync


def check_free(path: Path) -> None:
    """Raises UsageError when something is there already, or no folder to hold it."""
    if path.exists() or path.is_symlink():
        raise taken(path)
    if not path.parent.is_dir():
        raise UsageError(
            f"there is no folder {path.parent}", hint=f"make it first: mkdir -p '{path.parent}'"
        )


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Write to what this yields; it becomes `path` at the end of the block.

    Raises UsageError when `path` is taken, DiskFull and AdapterError when it cannot be written.
    """
    check_free(path)
    staged = _aside(path)
    try:
        with disk_errors(path):
            os.close(os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            yield staged
            fsync(staged)
            _name(staged, path)
            fsync(path.parent)
    finally:
        staged.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """The same for a folder; see `new_file`."""
    check_free(path)
    staged = _aside(path)
    try:
        with disk_errors(path):
            staged.mkdir(mode=0o700)
            yield staged
            for found in sorted(staged.rglob("*"), reverse=True):
                found.chmod(0o700 if found.is_dir() else 0o600)
                fsync(found)
            fsync(staged)
            if path.exists():  # another program was quicker
                raise taken(path)
            staged.rename(path)
            fsync(path.parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def taken(path: Path) -> UsageError:
    return UsageError(
        f"{path} exists, and an export overwrites nothing",
        hint="choose another --out, or move it away",
    )


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")


def _name(staged: Path, path: Path) -> None:
    """Give a finished file its name. Linking, unlike renaming, never replaces a file."""
    try:
        os.link(staged, path)
    except FileExistsError:
        raise taken(path) from None
    except OSError:  # a disk that knows no links (FAT, some network disks)
        if path.exists():
            raise taken(path) from None
        staged.rename(path)
