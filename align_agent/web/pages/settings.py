"""Settings: what is in force and from where, when the next night runs, disk, what is missing."""

from __future__ import annotations

import shutil
from dataclasses import fields
from typing import Any

from align_agent.checkup import examine
from align_agent.config import SECRETS, Config, effective
from align_agent.paths import size_of
from align_agent.schedule import outlook
from align_agent.web.desk import Desk


def data(desk: Desk) -> dict[str, Any]:
    """The configuration as the file says it now, the outlook, and the disk."""
    return {
        "file": str(desk.home.config),
        "home": str(desk.home.root),
        "sections": _sections(desk),
        "next_night": outlook(desk.home, desk.config, desk.store, desk.registry),
        "held": desk.registry.held(),
        "disk": disk(desk),
    }


def _sections(desk: Desk) -> list[dict[str, Any]]:
    """Each section's settings; secrets only as set or not."""
    found: dict[str, list[dict[str, Any]]] = {}
    helps = {
        f"{section.name}.{item.name}": item.metadata["option"].help
        for section in fields(Config)
        for item in fields(getattr(Config(), section.name))
    }
    for key, value, source in effective(desk.home.config):
        section, _, name = key.partition(".")
        shown = ("set" if value else "not set") if key in SECRETS else _shown(value)
        found.setdefault(section, []).append(
            {"key": name, "value": shown, "source": source, "help": helps[key]}
        )
    return [{"name": name, "settings": rows} for name, rows in found.items()]


def _shown(value: Any) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


def disk(desk: Desk) -> dict[str, Any]:
    """Bytes of each part of the home, and what is left on its disk."""
    parts: dict[str, int] = {}
    for found in desk.home.root.iterdir():
        name = "align.db" if found.name.startswith("align.db") else found.name
        parts[name] = parts.get(name, 0) + size_of(found)
    return {
        "parts": [
            {"name": name, "bytes": parts[name]}
            for name in sorted(parts, key=parts.__getitem__, reverse=True)
        ],
        "used": sum(parts.values()),
        "free": shutil.disk_usage(desk.home.root).free,
    }


def doctor(desk: Desk) -> dict[str, Any]:
    """What `align-agent doctor` finds. Takes seconds: it asks torch in a process of its own."""
    return {
        "findings": [
            {"name": f.name, "status": f.status, "message": f.message, "cure": f.cure}
            for f in examine(desk.home)
        ]
    }
