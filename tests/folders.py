"""Folders for examples drawn by the hundred, none of which is about a disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")


def light_folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder, in memory where there is such a place: a database waits for its disk at
    every step of its making."""
    there = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)
    return tempfile.TemporaryDirectory(dir=_MEMORY if there else None)
