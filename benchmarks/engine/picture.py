"""Curves over logarithmic axes as an SVG, without any library: one panel each for time and memory.

Where a curve rises by one decade in one decade, it grows in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b")
_WIDTH, _HEIGHT, _LEFT, _TOP = 300, 220, 60, 30
Row = Mapping[str, float]


def draw(curves: Mapping[str, Sequence[Row]], title: str) -> str:
    """The picture of rows with `n`, `seconds` and `mb`, by the curve's name."""
    wide = 2 * (_WIDTH + _LEFT) + 70
    high = _TOP + _HEIGHT + 50 + 16 * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        'font-family="sans-serif" font-size="11">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{wide}" height="{high}" fill="white"/>',
        *_panel(curves, "seconds", "seconds of one core", _LEFT),
        *_panel(curves, "mb", "MB at most", 2 * _LEFT + _WIDTH + 20),
    ]
    for place, name in enumerate(curves):
        y = _TOP + _HEIGHT + 50 + 16 * place
        parts.append(f'<rect x="{_LEFT}" y="{y - 8}" width="14" height="4" fill="{_of(place)}"/>')
        parts.append(f'<text x="{_LEFT + 22}" y="{y}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(curves: Mapping[str, Sequence[Row]], key: str, title: str, left: float) -> list[str]:
    rows = [row for some in curves.values() for row in some]
    xs = _decades([row["n"] for row in rows])
    ys = _decades([max(row[key], 1e-3) for row in rows])

    def x(value: float) -> float:
        return left + _WIDTH * (math.log10(value) - xs[0]) / (xs[1] - xs[0])

    def y(value: float) -> float:
        share = (math.log10(max(value, 1e-3)) - ys[0]) / (ys[1] - ys[0])
        return _TOP + _HEIGHT * (1 - share)

    parts = [f'<text x="{left}" y="{_TOP - 12}" font-weight="bold">{title}</text>']
    for power in range(xs[0], xs[1] + 1):
        at = x(10**power)
        parts.append(f'<path d="M{at:.1f} {_TOP}V{_TOP + _HEIGHT}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{_TOP + _HEIGHT + 16}" text-anchor="middle">{10**power:,}</text>'
        )
    for power in range(ys[0], ys[1] + 1):
        at = y(10.0**power)
        parts.append(f'<path d="M{left} {at:.1f}H{left + _WIDTH}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        )
    for place, some in enumerate(curves.values()):
        points = " ".join(f"{x(row['n']):.1f},{y(row[key]):.1f}" for row in some)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{_of(place)}" stroke-width="2"/>'
        )
        parts += [
            f'<circle cx="{x(row["n"]):.1f}" cy="{y(row[key]):.1f}" r="2.5" fill="{_of(place)}"/>'
            for row in some
        ]
    return parts


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _of(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]
