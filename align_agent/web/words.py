"""Figures and moments in a person's words, for the templates. Knows no page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from align_agent.display import printable
from align_agent.records import version_label


def moment(stamp: str) -> datetime | None:
    """A stored moment in this machine's own time zone; None when it is none."""
    try:
        found = datetime.fromisoformat(stamp)
    except (TypeError, ValueError):
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone()


def when(stamp: str, now: datetime | None = None) -> str:
    """Such as "03:41", "yesterday 03:41", "Mon 3 Nov, 03:41" or "3 Nov 2025, 03:41"."""
    found = moment(stamp)
    if found is None:
        return stamp or ""
    today = (now or datetime.now().astimezone()).date()
    clock = f"{found:%H:%M}"
    days = (today - found.date()).days
    if days == 0:
        return clock
    if days == 1:
        return f"yesterday {clock}"
    if 1 < days < 7:
        return f"{found:%a} {clock}"
    year = "" if found.year == today.year else f" {found.year}"
    return f"{found.day} {found:%b}{year}, {clock}"


def day(stamp: str) -> str:
    """Such as "3 Nov 2026"."""
    found = moment(stamp)
    return stamp or "" if found is None else f"{found.day} {found:%b} {found.year}"


def lasted(start: str, end: str) -> str:
    """How long it took; empty when it is not over."""
    first, last = moment(start), moment(end)
    if first is None or last is None:
        return ""
    seconds = max(0, int((last - first).total_seconds()))
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def size(number: float) -> str:
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= one:
            return f"{number / one:.1f} {unit}"
    return f"{number:.0f} bytes"


def figure(value: Any) -> str:
    """A number for a table: counts whole and grouped, others to four places at most."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if 0 < abs(value) < 0.001:
            return "under 0.001" if value > 0 else "over -0.001"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "–" if value is None else str(value)


def signed(value: float) -> str:
    """A difference, with its sign; three places are enough to see which way it goes."""
    return f"{value + 0.0:+.3f}" if abs(value) < 10 else f"{value:+,.1f}"


def short(text: str, limit: int = 160) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def link(path: str, query: Mapping[str, Any], **changes: Any) -> str:
    """A page's address with some of its state changed; what is empty is left out."""
    state = {**query, **changes}
    kept = {key: value for key, value in state.items() if value not in ("", None)}
    return f"{path}?{urlencode(kept)}" if kept else path


FILTERS = {
    "when": when,
    "day": day,
    "size": size,
    "figure": figure,
    "signed": signed,
    "short": short,
    "visible": printable,
    "label": version_label,
}
