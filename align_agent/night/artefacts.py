"""A run's folder, `runs/<id>/`: what each phase left behind, complete or absent.

A phase's artefact is one JSON file (and, for training, one folder) that appears under its name only
when every byte is on the disk. Knows nothing of what the phases do.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from align_agent.adapters import files
from align_agent.errors import AlignAgentError
from align_agent.paths import fsync

log = logging.getLogger(__name__)

KEPT_PROBES = 8  # base and champion, each with and without rules, and versions gone back to
# Artefacts that hold the user's text. They go when the run ends: the database is the one home of
# text, so that what is deleted there is gone.
_WITH_TEXT = ("select", "rollouts", "gate")
# What a kill does not undo: artefacts of phases, and what a training keeps (distill/teacher.py,
# distill/checkpoint.py).
_KEPT = ("[!.]*.json", ".state-*/teacher.json", ".state-*/step.safetensors")


class RunFolder:
    """The artefacts of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> RunFolder:
        """Make the folder, readable by its owner alone. Raises DiskFull, AdapterError."""
        with files.disk_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def read(self, phase: str) -> dict[str, Any] | None:
        """What the phase left, None when it did not end."""
        path = self._file(phase)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read (%s); the phase runs again", path, error)
            return None
        return found if isinstance(found, dict) else None

    def write(self, phase: str, data: dict[str, Any]) -> None:
        """Leave the phase's artefact: written aside, fsync, rename. Raises DiskFull."""
        path = self._file(phase)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with files.disk_errors(self.path):
                with aside.open("w", encoding="utf-8") as stream:
                    json.dump(data, stream, ensure_ascii=True)
                    stream.flush()
                    os.fsync(stream.fileno())
                aside.replace(path)
                fsync(self.path)
        finally:
            aside.unlink(missing_ok=True)

    @property
    def adapter(self) -> Path:
        """Where the trained candidate lies once training is complete."""
        return self.path / "adapter"

    @property
    def draft(self) -> Path:
        """Where the draft lies: the quick first adapter whose answers the night trains on."""
        return self.path / "draft"

    def state(self, phase: str) -> Path:
        """Where a training keeps how far it came and what the teacher said."""
        return self.path / f".state-{phase}"

    def reached(self) -> int:
        """When the run last got further, in nanoseconds: a phase that ended, a teacher's pass that
        is whole, steps of a training that were kept. 0 before the first."""
        kept = (path for pattern in _KEPT for path in self.path.glob(pattern))
        return max((path.stat().st_mtime_ns for path in kept), default=0)

    def fresh_workshop(self) -> Path:
        """An empty folder for a training that begins (again)."""
        workshop = self.path / ".training"
        with files.disk_errors(self.path):
            shutil.rmtree(workshop, ignore_errors=True)
            workshop.mkdir(mode=0o700)
        return workshop

    def keep(self, workshop: Path, target: Path) -> None:
        """Give the finished training its name, `adapter` or `draft`: whole or absent.

        Raises DiskFull.
        """
        if target.exists():
            files.remove(target)
        files.install(workshop, target)

    def clear(self, *, drop: Sequence[str] = ()) -> None:
        """Remove the user's text, unfinished work and the adapter's working copy."""
        for phase in (*_WITH_TEXT, *drop):
            self._file(phase).unlink(missing_ok=True)
        for folder in (self.adapter, self.draft, self.path / ".training"):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in self.path.glob(".state-*"):
            shutil.rmtree(folder, ignore_errors=True)
        if self.path.is_dir():
            for aside in self.path.glob(".*"):
                if aside.is_file():
                    aside.unlink(missing_ok=True)

    def _file(self, phase: str) -> Path:
        return self.path / f"{phase}.json"


class ProbeFolder:
    """Answers to the gate's probes, by what they depend on. A saving and no more: what cannot be
    read or written is asked again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = RunFolder(path)

    def holds(self) -> bool:
        """Whether there are any."""
        return any(self.path.glob("*.json"))

    def read(self, name: str) -> dict[str, Any] | None:
        with suppress(OSError):
            os.utime(self.path / f"{name}.json")  # what is in use is not what is dropped
        return self._files.read(name)

    def write(self, name: str, data: dict[str, Any]) -> None:
        try:
            self._files.create().write(name, data)
            kept = sorted(self.path.glob("*.json"), key=lambda file: file.stat().st_mtime)
            cut_off = self.path.glob(".*")  # by a kill, while it was written
            for old in (*kept[:-KEPT_PROBES], *cut_off):
                old.unlink(missing_ok=True)
        except (AlignAgentError, OSError) as error:
            log.warning("the answers to the probes are not kept: %s", error)


def prune_folders(runs: Path, keep: int, newest_first: Sequence[str]) -> list[str]:
    """Remove the folders of all but the newest `keep` runs. Returns the ids that went.

    What lies beside them is of no run that the database knows, and may be all that is left of one
    that was lost: it stays.
    """
    old = set(newest_first[max(keep, 1) :])
    gone = []
    for folder in sorted(runs.iterdir()) if runs.is_dir() else []:
        if folder.is_dir() and folder.name in old:
            shutil.rmtree(folder, ignore_errors=True)
            gone.append(folder.name)
    return gone
