"""Puts a new version's folder on the shelf, whole or not at all, under a number of its own.

Writes no row and moves no name: that is `registry.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from align_agent.adapters import files
from align_agent.errors import AdapterError

if TYPE_CHECKING:
    from align_agent.store.adapters import Adapters


def bring_in(
    rows: Adapters, shelf: Path, source: Path, *, base: str, base_hash: str, run_id: str
) -> int:
    """Copy a folder in; returns the new version's number. What the run brought in before it was
    killed is not copied again. Raises AdapterError, DiskFull.
    """
    orphan = _orphan_of(rows, shelf, run_id) if run_id else None
    if orphan is not None:
        return orphan
    staging = files.staging_folder(shelf)
    try:
        files.copy_into(source, staging)
        files.write_manifest(staging, base=base, base_hash=base_hash, run_id=run_id)
        version = _next_version(rows, shelf)
        files.install(staging, shelf / files.folder_name(version))
    except BaseException:
        files.remove(staging)
        raise
    return version


def _next_version(rows: Adapters, shelf: Path) -> int:
    # A folder without a row may belong to a database that was put back from a backup: its
    # number is not taken again.
    return max(rows.next_version(), max(files.versions_in(shelf), default=0) + 1)


def _orphan_of(rows: Adapters, shelf: Path, run_id: str) -> int | None:
    """The folder without a row that this run installed, if it is whole."""
    known = {adapter.version for adapter in rows.list()}
    for version in files.versions_in(shelf):
        if version in known:
            continue
        try:
            manifest = files.verify(shelf / files.folder_name(version))
        except AdapterError:
            continue
        if manifest.get("facts", {}).get("run_id") == run_id:
            return version
    return None
