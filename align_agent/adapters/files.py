"""An adapter's folder: a sha256 manifest, its verification, an install that is whole or absent.

Nothing here knows which version serves (`registry.py`) or what the tensors mean (`models/`).
A folder that is being made has a name that begins with a dot; only whole folders have plain names.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from align_agent.errors import AdapterDamaged, AdapterError, DiskFull
from align_agent.paths import fsync

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1
STAGING = ".staging-"
TRASH = ".trash-"
_CHUNK = 1 << 20


def folder_name(version: int) -> str:
    """`v0007`: of one width, because PEFT matches adapter names as substrings."""
    return f"v{version:04d}"


def folder_version(name: str) -> int | None:
    """The version that a folder's name stands for, None for any other name."""
    digits = name[1:]
    if name.startswith("v") and len(digits) >= 4 and digits.isascii() and digits.isdigit():
        return int(digits)
    return None


def names_version(name: str, version: int) -> bool:
    """Whether a file that lies elsewhere tells by its name that it is this version."""
    told = rf"(?<![a-z0-9])v0*{version}(?![0-9])"
    return re.search(told, name, re.IGNORECASE) is not None


def versions_in(parent: Path) -> list[int]:
    """The versions whose folders lie in `parent`, in ascending order."""
    if not parent.is_dir():
        return []
    found = (folder_version(path.name) for path in parent.iterdir())
    return sorted(version for version in found if version is not None)


def write_manifest(folder: Path, **facts: Any) -> str:
    """Write `manifest.json` with every file's sha256 and size, and `facts`. Returns its digest.

    Raises AdapterError when the folder holds no file or holds a link, DiskFull when there is
    no room.
    """
    files: dict[str, dict[str, Any]] = {}
    for path in _listed(folder):
        name = path.relative_to(folder).as_posix()
        files[name] = {"sha256": _sha256(path), "bytes": path.stat().st_size}
    if not files:
        raise AdapterError(
            f"there is no file in {folder}", hint="train again: `align-agent distill run`"
        )
    text = json.dumps({"format": MANIFEST_FORMAT, "files": files, "facts": facts}, indent=2)
    target = folder / MANIFEST
    with disk_errors(folder):
        target.write_text(text + "\n", encoding="utf-8")
    return manifest_digest(folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest as written. Raises AdapterDamaged when it is missing or unreadable."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise damaged(folder, f"`{MANIFEST}` is missing") from None
    except (OSError, ValueError) as error:
        raise damaged(folder, f"`{MANIFEST}` cannot be read ({error})") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise damaged(folder, f"`{MANIFEST}` is no manifest")
    return manifest


def manifest_digest(folder: Path) -> str:
    """sha256 of the manifest's bytes: one short name for all that the folder holds."""
    try:
        return _sha256(folder / MANIFEST)
    except FileNotFoundError:
        raise damaged(folder, f"`{MANIFEST}` is missing") from None


def verify(folder: Path, digest: str = "") -> dict[str, Any]:
    """Compare every byte with the manifest, and the manifest with `digest`. Returns the manifest.

    Raises AdapterDamaged that names the file which is missing, changed or not listed.
    """
    if not folder.is_dir():
        raise damaged(folder, "the folder is missing")
    manifest = read_manifest(folder)
    if digest and manifest_digest(folder) != digest:
        raise damaged(folder, f"`{MANIFEST}` is not the one that was registered")
    listed: dict[str, Any] = manifest["files"]
    for name, entry in listed.items():
        if not isinstance(entry, dict) or not {"sha256", "bytes"} <= entry.keys():
            raise damaged(folder, f"`{MANIFEST}` says nothing of `{name}`")
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise damaged(folder, f"`{name}` is missing")
        if path.stat().st_size != entry["bytes"]:
            raise damaged(folder, f"`{name}` has {path.stat().st_size} bytes of {entry['bytes']}")
        if _sha256(path) != entry["sha256"]:
            raise damaged(folder, f"`{name}` differs from its manifest")
    for path in _listed(folder):
        # A loader might prefer a stray file (a pickled `adapter_model.bin`) to the listed one.
        if path.relative_to(folder).as_posix() not in listed:
            raise damaged(folder, f"`{path.name}` does not belong to it")
    return manifest


def signature(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Names, sizes, change times and inodes: the same as long as nobody touched the folder.

    It lets a server skip hashing on every turn. Empty when the folder is not there.
    """
    rows = []
    try:
        for path in sorted(p for p in folder.rglob("*")):
            stat = path.lstat()
            rows.append((str(path), stat.st_size, stat.st_ctime_ns, stat.st_ino))
    except OSError:
        return ()
    return tuple(rows)


def staging_folder(parent: Path) -> Path:
    """A new empty folder beside the versions; its name carries this process for `sweep`."""
    folder = parent / f"{STAGING}{os.getpid()}-{uuid.uuid4().hex[:8]}"
    with disk_errors(parent):
        folder.mkdir(mode=0o700, parents=True)
    return folder


def copy_into(source: Path, target: Path) -> None:
    """Copy the files of `source`, without a manifest that it may have. Raises DiskFull."""
    if not source.is_dir():
        raise AdapterError(f"{source} is no folder", hint="train again: `align-agent distill run`")
    with disk_errors(target):
        for path in _listed(source):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def install(staged: Path, final: Path) -> None:
    """Make `staged` durable and give it its final name: after a crash it is whole or absent.

    Raises AdapterError when `final` exists, DiskFull when there is no room.
    """
    if final.exists():
        raise AdapterError(
            f"{final} exists, and versions never change",
            hint=f"move the folder away if no adapter of that name is listed: {final}",
        )
    with disk_errors(final):
        for path in sorted(staged.rglob("*"), reverse=True):
            fsync(path)
        fsync(staged)
        staged.rename(final)
        fsync(final.parent)


def remove(folder: Path) -> None:
    """Delete a folder so that no half of it is ever seen under its own name."""
    if not folder.exists():
        return
    if folder.name.startswith("."):
        shutil.rmtree(folder, ignore_errors=True)
        return
    trash = folder.with_name(f"{TRASH}{os.getpid()}-{folder.name}-{uuid.uuid4().hex[:8]}")
    folder.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def leftovers(parent: Path) -> list[Path]:
    """Staging and trash folders whose process has ended, sorted by name."""
    if not parent.is_dir():
        return []
    found = [p for p in parent.iterdir() if p.name.startswith((STAGING, TRASH))]
    return sorted(p for p in found if not _alive(p.name))


def damaged(folder: Path, what: str) -> AdapterDamaged:
    """The error for a folder that cannot be trusted, with the way out."""
    return AdapterDamaged(
        f"adapter {folder.name} is damaged: {what} (in {folder})",
        hint="restore the folder from a backup, or go back to the base: "
        "`align-agent adapters promote base`",
    )


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turns "no space left" into DiskFull, any other error of the system into AdapterError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFull(
                f"the disk that holds {where} is full",
                hint="make room, or remove old versions: `align-agent adapters prune`",
            ) from error
        raise AdapterError(
            f"cannot write {where}: {error}", hint="look at the folder's owner and permissions"
        ) from error


def _listed(folder: Path) -> list[Path]:
    """The files that count: all but the manifest and what a file browser leaves (dot files)."""
    found = []
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.is_symlink():
            # A link's target can change while the link does not.
            raise damaged(folder, f"`{path.name}` is a link")
        if path.is_file() and path != folder / MANIFEST:
            found.append(path)
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _alive(name: str) -> bool:
    """Whether the process whose number the name carries still runs."""
    pid = name.removeprefix(STAGING).removeprefix(TRASH).split("-", 1)[0]
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
