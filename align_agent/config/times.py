"""Cron expressions and time windows, as far as checking them needs. Schedules nothing."""

from __future__ import annotations

import re
from datetime import time

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/([0-9]{1,4}))?")
_WINDOW = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})\s*")


def cron_complaint(expression: str) -> str:
    """What is wrong with a cron expression of five fields; "" when it is fine."""
    parts = expression.lower().split()
    if len(parts) != len(_FIELDS):
        return (
            f"must have five fields (minute hour day month weekday), not {len(parts)}; "
            'for example "0 3 * * *" for three o\'clock every night'
        )
    for text, (name, low, high, names) in zip(parts, _FIELDS, strict=True):
        for part in text.split(","):
            complaint = _part_complaint(part, low, high, names)
            if complaint:
                return f"has a {name} that {complaint}"
    return _never(*parts[2:])


def _never(day: str, month: str, weekday: str) -> str:
    """That no month which the fields name has such a day, in words; "" where one has."""
    if weekday != "*":
        return ""  # cron is content with either
    days, months = (
        _numbers(text, low, high, names)
        for text, (_, low, high, names) in zip((day, month), _FIELDS[2:4], strict=True)
    )
    if any(days[0] <= _LONGEST[number - 1] for number in months):
        return ""
    return f"never comes: day {day} is in no month that it names"


def _part_complaint(part: str, low: int, high: int, names: list[str]) -> str:
    match = _PART.fullmatch(part)
    if match is None:
        return f"cannot be read: `{part}`"
    first, last, step = match.groups()
    numbers = [low, high]
    if first != "*":
        try:
            ends = [_number(word, low, high, names) for word in (first, last) if word]
        except ValueError as error:
            return str(error)
        numbers = ends if last else [ends[0], high]
    elif last:
        return f"cannot be read: `{part}`"
    if numbers != sorted(numbers):
        return f"runs backwards: `{part}`"
    if step and (not first.isdigit() and first != "*"):
        return f"has a step after a name: `{part}`"
    if step and not 0 < int(step) <= numbers[1] - numbers[0]:
        return f"has a step of {step}, where only 1 to {numbers[1] - numbers[0]} fits: `{part}`"
    return ""


def _number(word: str, low: int, high: int, names: list[str]) -> int:
    if word in names:
        return names.index(word) + low
    if names is _DAYS:
        # cron counts weekdays from Sunday and others from Monday: only names are clear.
        raise ValueError(f"is no weekday: `{word}`; write mon, tue, ..., or a range like mon-fri")
    if not word.isdigit() or not low <= int(word) <= high:
        raise ValueError(f"is outside {low} to {high}: `{word}`")
    return int(word)


def parse_window(text: str) -> tuple[time, time]:
    """`"22:00-06:00"` as two times of day; a window may pass midnight; equal ends mean all day.

    `24:00` as an end is midnight. Raises ValueError when the text is no window.
    """
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ValueError('must look like "01:00-07:00"')
    ends = []
    for hour, minute in ((match[1], match[2]), (match[3], match[4])):
        hours, minutes = int(hour), int(minute)
        if (hours, minutes) == (24, 0):
            hours = 0
        if hours > 23 or minutes > 59:
            raise ValueError(f"names a time that does not exist: {hour}:{minute}")
        ends.append(time(hours, minutes))
    return ends[0], ends[1]


def within(moment: time, window: str) -> bool:
    """Whether a time of day lies in a window. The start belongs to it, the end does not."""
    start, end = parse_window(window)
    if start == end:
        return True
    if start < end:
        return start <= moment < end
    return moment >= start or moment < end


def always_outside(cron: str, window: str) -> str:
    """That a readable cron expression never asks within the window, in words; "" where it does."""
    minutes, hours = (
        _numbers(field, low, high, names)
        for field, (_, low, high, names) in zip(cron.split()[:2], _FIELDS[:2], strict=True)
    )
    asked = [time(hour, minute) for hour in hours for minute in minutes]
    if any(within(moment, window) for moment in asked):
        return ""
    return (
        f'schedule.cron "{cron}" asks for a night at {asked[0]:%H:%M}, outside schedule.window '
        f"{window}: it waits until the window opens"
    )


def _numbers(text: str, low: int, high: int, names: list[str]) -> list[int]:
    """The numbers that a readable field names, in order."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"no field of cron: {part!r}")
        first, last, step = match.groups()
        start = low if first == "*" else _number(first, low, high, names)
        alone = first == "*" or (step and not last)
        end = high if alone else _number(last or first, low, high, names)
        found.update(range(start, end + 1, int(step or 1)))
    return sorted(found)


def window_complaint(text: str) -> str:
    """What is wrong with a time window; "" when it is fine."""
    try:
        parse_window(text)
    except ValueError as error:
        return str(error)
    return ""
