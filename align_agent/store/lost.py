"""Tells a database that was lost from one that was never made, by what lies beside it.

Looks at names alone. A home that was lived in and whose database is missing or empty must not pass
for a new one: what was said and learned would be gone without a word.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from align_agent.errors import StoreCorrupt

# How the name of a copy ends that was kept though nobody can read it.
DAMAGED = "-damaged"


def refuse_lost(path: Path) -> None:
    """Raises StoreCorrupt where there is no database, or an empty file, beside what one left."""
    if not is_empty(path):
        return
    found = next(_left_by_one(path), "")
    # Asked again: another process may be making it, and its log comes after its first page.
    if not found or not is_empty(path):
        return
    raise StoreCorrupt(
        f"{path} is {'empty' if path.exists() else 'missing'}, "
        f"but this home was used before: {found} is here",
        hint=f"{way_back(path)}; or put the file back; "
        "to begin anew beside what is left: `align-agent init --fresh`",
    )


def backups_of(path: Path) -> Path:
    """The folder of a database's copies, which lies beside it."""
    return path.parent / "backups"


def newest_backup(path: Path) -> Path | None:
    """The sound copy of this database that was made last, None where there is none."""
    backups = backups_of(path).glob("*.db")
    sound = [backup for backup in backups if not backup.stem.endswith(DAMAGED)]
    return max(sound, key=lambda backup: backup.stat().st_mtime, default=None)


def way_back(path: Path) -> str:
    """How to get a backup back: a sentence's beginning with the command."""
    newest = newest_backup(path)
    which = "the newest backup" if newest else "a backup that you have elsewhere"
    return f"`align-agent store restore {newest or 'FILE'}` puts {which} back"


def is_empty(path: Path) -> bool:
    """Whether there is no file, or an empty one."""
    try:
        return stat.S_ISREG((found := path.stat()).st_mode) and not found.st_size
    except FileNotFoundError:
        return True
    except OSError:  # whoever opens it says what is wrong
        return False


def _left_by_one(path: Path) -> Iterator[str]:
    """What only a home with a database has, by name."""
    home = path.parent
    # SQLite deletes the log of a file that it finds empty.
    log = path.with_name(f"{path.name}-wal")
    if log.is_file() and log.stat().st_size:
        yield log.name
    for folder, pattern in (("adapters", "v[0-9]*"), ("runs", "[!.]*"), ("backups", "*.db")):
        for one in islice((home / folder).glob(pattern), 1):
            yield f"{folder}/{one.name}"
