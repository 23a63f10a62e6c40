"""What a benchmark that can be cut off has measured so far: JSON lines, one an entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def kept_rows(path: Path) -> list[dict[str, Any]]:
    """The entries of a file, in order; none where it is not there. Lines cut off are left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
