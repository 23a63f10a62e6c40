"""Lines as SVG, drawn on the server, so that they are there without scripts. Knows no page.

Where scripts run, uPlot draws the same figures again, to be read off point by point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT = 600, 160
LETTER = 10  # the width of one in a mark's name, about
MOST_POINTS = 300


def line(
    title: str, xs: Sequence[float], ys: Sequence[float | None], marks: Sequence[Any] = ()
) -> dict[str, Any]:
    """One curve. `ys` may have gaps; `marks` are (x, text) to point at, x ascending.

    A long curve is thinned; of marks whose names would touch, the later one keeps its own.
    """
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None and math.isfinite(y)]
    points = _thinned(points)
    low = min((y for _, y in points), default=0.0)
    high = max((y for _, y in points), default=0.0)
    left = min((x for x, _ in points), default=0.0)
    right = max((x for x, _ in points), default=0.0)

    def place(x: float, y: float) -> str:
        across = (x - left) / (right - left) if right > left else 0.5
        up = (y - low) / (high - low) if high > low else 0.5
        return f"{across * WIDTH:.1f},{HEIGHT - up * HEIGHT:.1f}"

    return {
        "title": title,
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "points": " ".join(place(x, y) for x, y in points),
        "low": low,
        "high": high,
        "first": points[0][1] if points else None,
        "last": points[-1][1] if points else None,
        "marks": _named(
            [
                {"at": x, "x": round((x - left) / (right - left) * WIDTH, 1), "text": text}
                for x, text in marks
                if right > left and left <= x <= right
            ]
        ),
    }


def _named(marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The marks, each with the middle of its name (`name_x`), None where there is no room."""
    free = float("inf")
    for mark in reversed(marks):
        half = min(len(mark["text"]) * LETTER, WIDTH) / 2
        middle = min(max(mark["x"], half), WIDTH - half)
        fits = middle + half <= free
        mark["name_x"] = round(middle, 1) if fits else None
        free = middle - half - LETTER if fits else free
    return marks


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most MOST_POINTS of them, the last among them."""
    step = max(1, math.ceil(len(points) / MOST_POINTS))
    return points[::-1][::step][::-1]
