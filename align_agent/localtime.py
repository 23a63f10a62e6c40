"""The time of this machine, in a zone that knows when the clock is put forward or back.

`datetime.now().astimezone()` carries today's offset alone: what is counted from it into the next
season is an hour off.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo


class _Local(tzinfo):
    """Whatever zone the system is set to, asked anew for each moment."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, moment: datetime) -> datetime:
        there = moment.replace(tzinfo=UTC).astimezone()
        wall = there.replace(tzinfo=None)
        # An hour that the clock shows twice is the second one where the first has another offset.
        second = wall.astimezone().utcoffset() != there.utcoffset()
        return wall.replace(tzinfo=self, fold=int(second))


LOCAL = _Local()


def here() -> datetime:
    """The present moment in this machine's zone."""
    return datetime.now(LOCAL)
