"""From finished lives to the table, the picture and the JSON line. Plays nothing, judges by aims.

The part of docs/benchmarks/personalization.md between its two markers is written here; the words
around it are a person's.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from personalization import methods, results
from personalization.peers import PEERS
from personalization.play import PROTOCOL, SESSIONS_A_DAY, nights_of
from personalization.results import interval, mean, median
from personalization.users import ABOUT, KINDS

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"
DOCUMENT = DOCS / "personalization.md"
PICTURE = DOCS / "personalization.svg"
TITLE = "Share of first answers that satisfy the hidden user, night by night"
OPEN, CLOSE = "<!-- measured -->", "<!-- /measured -->"
FEW = 5  # seeds; an interval over fewer says nothing
SEEDS = 10  # of a whole run
JUDGED = 3  # the night by which ours should satisfy

Life = dict[str, Any]
Lives = dict[tuple[str, str], list[Life]]

HEAD = (
    "method",
    "seeds",
    "sessions until stable",
    "ever stable",
    "satisfied, night by night",
    "correct",
    "ability",
    "other styles kept",
    "prompt tokens",
    "CPU s a night",
)


def publish(path: Path, *, write: bool) -> None:
    """Print the table and the JSON line; with `write` renew the document and the picture."""
    lives = grouped(results.load(path, PROTOCOL))
    text = measured(lives)
    print(text)
    if write and lives:
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(OPEN)
        _, _, after = rest.partition(CLOSE)
        shown = f"{OPEN}\n![{TITLE}]({PICTURE.name})\n\n{text}\n{CLOSE}"
        DOCUMENT.write_text(f"{before}{shown}{after}", encoding="utf-8")
        draw(lives, PICTURE)
    print(json.dumps({"name": "personalization", "figures": figures(lives), "machine": machine()}))


def grouped(rows: Sequence[Life]) -> Lives:
    found: Lives = defaultdict(list)
    for row in rows:
        found[row["user"], row["method"]].append(row)
    return found


def measured(lives: Lives) -> str:
    """Everything that is measured, as markdown."""
    if not lives:
        return "Nothing has been played yet."
    where = machine()
    cpu = sum(life["cpu_seconds"] for group in lives.values() for life in group)
    total = sum(map(len, lives.values()))
    whole = SEEDS * len(KINDS) * len(methods.METHODS)
    parts = [
        f"{total} of {whole} lives, {cpu / 60:.0f} CPU minutes, until {date.today()}, on "
        f"{where['cpu']}, one thread, {where['cores']} cores shared with other work, torch "
        f"{where['torch']}."
    ]
    if total < whole:
        parts.append(
            "**This is a part.** Each figure says over how many seeds it is; without an interval "
            f"they are fewer than {FEW}. `make bench-personalization` goes on where this stopped."
        )
    for user in KINDS:
        rows = [row_of(user, m, lives[user, m]) for m in methods.METHODS if (user, m) in lives]
        if rows:
            parts.append(f"### {user.capitalize()}: {ABOUT[user]}\n\n{table(HEAD, rows)}")
    found = aims(lives)
    if found:
        listed = [(aim, figure, "yes" if met else "**no**") for aim, figure, met in found]
        parts.append("### Aims\n\n" + table(("aim", "measured", "met"), listed))
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def row_of(user: str, method: str, lives: Sequence[Life]) -> list[str]:
    """One line of a user's table."""
    nights = range(1, nights_of(user) + 1)
    last = nights[-1]
    curve = " ".join(f"{mean(at(lives, n, 'satisfied')):.2f}" for n in nights)
    when = stable(lives)
    limit = SESSIONS_A_DAY * nights_of(user) - lives[0]["flips_at"] * (user == "flip")
    tokens = mean(at(lives, last, "prompt_tokens"))
    seconds = mean([night["cpu_seconds"] for life in lives for night in life["nights"][1:]])
    return [
        method,
        str(len(lives)),
        "" if user == "irrelevant" else spread(when, median, limit=limit),
        "" if user == "irrelevant" else f"{sum(map(math.isfinite, when))} of {len(when)}",
        f"{mean(at(lives, last, 'same')):.2f} as the base" if user == "irrelevant" else curve,
        *(spread(at(lives, last, k), mean, 2) for k in ("correct", "ability", "kept")),
        f"{tokens:.0f}",
        f"{seconds:.1f}",
    ]


def at(lives: Sequence[Life], night: int, figure: str) -> list[float]:
    return [life["nights"][night][figure] for life in lives]


def stable(lives: Sequence[Life]) -> list[float]:
    """Sessions until stable of each life; for a user who flips, counted from the flip."""
    return [
        results.sessions_until_stable(life["first_answers"][max(0, life["flips_at"]) :])
        for life in lives
    ]


def spread(
    values: Sequence[float],
    figure: Callable[[Sequence[float]], float],
    digits: int = 1,
    *,
    limit: int = 0,
) -> str:
    """A figure with its interval over seeds, such as "4 (4 to 8)"; few seeds have none."""

    def shown(value: float) -> str:
        if math.isinf(value):
            return f">{limit}"
        return f"{value:.{digits}f}".removesuffix(".0") if digits == 1 else f"{value:.{digits}f}"

    if len(values) < FEW:
        return shown(figure(values))
    low, high = interval(values, figure)
    return f"{shown(figure(values))} ({shown(low)} to {shown(high)})"


# Aims


def aims(lives: Lives) -> list[tuple[str, str, bool]]:
    """(aim, what was measured, whether it was met) for what has been played."""
    found: list[tuple[str, str, bool]] = []
    ours = lives.get(("three", "ours"), [])
    if ours:
        found += main_aims(lives, ours)
    flipped = lives.get(("flip", "ours"), [])
    if flipped:
        night = flipped[0]["flips_at"] // SESSIONS_A_DAY + 2
        value = mean(at(flipped, night, "satisfied"))
        text = f"satisfied {value:.2f} two nights after it; {counted(len(flipped))}"
        found.append(("a flip is reversed within 2 nights (0.95)", text, value >= 0.95))
    talkers = lives.get(("irrelevant", "ours"), [])
    if talkers:
        promoted = sum("promoted" in n["ended"] for life in talkers for n in life["nights"][1:])
        same = mean(at(talkers, -1, "same"))
        text = f"{promoted} promotions, {same:.2f} of the answers as the base's; "
        text += counted(len(talkers))
        found.append(("the irrelevant talker changes nothing", text, not promoted and same == 1))
    return found


def main_aims(lives: Lives, ours: Sequence[Life]) -> list[tuple[str, str, bool]]:
    """The aims for the user with three preferences."""
    when = stable(ours)
    limit = SESSIONS_A_DAY * nights_of("three")
    middle = median(when)
    n = counted(len(ours))
    text = f"{spread(when, median, limit=limit)}; {n}"
    found = [("stable in under 5 sessions", text, middle < 5)]
    by_then = at(ours, JUDGED, "satisfied")
    text = f"{spread(by_then, mean, 2)}; {n}"
    found.append((f"satisfied 0.95 by night {JUDGED}", text, mean(by_then) >= 0.95))
    told = mean(at(ours, JUDGED, "told_correct"))
    right = mean(at(ours, JUDGED, "correct"))
    text = f"{right:.3f} against {told:.3f}; {n}"
    found.append(("correct within 2 points of the base with the rules", text, told - right <= 0.02))
    with_steps = lives.get(("three", "ours-live"), [])
    for name, own in (("", ours), (", with steps by day", with_steps)):
        for method in ("follow-up", *PEERS) if own else ():
            other = lives.get(("three", method), [])
            if other:
                aim = f"stable sooner than {method}, intervals apart{name}"
                found.append((aim, *sooner(own, other, limit)))
    memory = lives.get(("three", "memory"), [])
    for name, own in (("", ours), (", with steps by day", with_steps)):
        if memory and own:
            aim, text, met = against_memory(own, memory)
            found.append((aim + name, text, met))
    return found


def sooner(ours: Sequence[Life], other: Sequence[Life], limit: int) -> tuple[str, bool]:
    """Sessions until stable of two methods, and whether their intervals lie apart."""
    _, high = interval(stable(ours), median)
    low, _ = interval(stable(other), median)
    one, two = (spread(stable(lives), median, limit=limit) for lives in (ours, other))
    n = counted(*sorted((len(ours), len(other))))
    return f"{one} against {two}; {n}", high < low and min(len(ours), len(other)) >= FEW


def against_memory(ours: Sequence[Life], memory: Sequence[Life]) -> tuple[str, str, bool]:
    nights = range(JUDGED, nights_of("three") + 1)
    one = mean([v for n in nights for v in at(ours, n, "satisfied")])
    two = mean([v for n in nights for v in at(memory, n, "satisfied")])
    aim = f"not behind memory from night {JUDGED} on"
    n = counted(*sorted((len(ours), len(memory))))
    return aim, f"{one:.3f} against {two:.3f}; {n}", one >= two


def counted(fewest: int, most: int = 0) -> str:
    """How many seeds a figure is over: "1 seed", "4 to 5 seeds"."""
    if most > fewest:
        return f"{fewest} to {most} seeds"
    return f"{fewest} seed{'s' * (fewest != 1)}"


# For programs


def figures(lives: Lives) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (user, method), group in lives.items():
        when = stable(group)
        low, high = interval(when, median)
        nights = range(1, nights_of(user) + 1)
        found.setdefault(user, {})[method] = {
            "seeds": len(group),
            "sessions_until_stable": finite(median(when)),
            "interval": [finite(low), finite(high)],
            "satisfied": [round(mean(at(group, n, "satisfied")), 4) for n in nights],
            "correct": round(mean(at(group, -1, "correct")), 4),
            "ability": round(mean(at(group, -1, "ability")), 4),
            "kept": round(mean(at(group, -1, "kept")), 4),
            "prompt_tokens": round(mean(at(group, -1, "prompt_tokens")), 1),
        }
    found["aims"] = {aim: met for aim, _, met in aims(lives)}
    return found


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def machine() -> dict[str, Any]:
    import torch

    names = (
        [
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ]
        if Path("/proc/cpuinfo").exists()
        else []
    )
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


# The picture


def draw(lives: Lives, path: Path) -> None:
    """Satisfied share over the nights, a panel for each user, a line with its band a method."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "align-agent", "font.size": 8, "svg.fonttype": "none"}
    from matplotlib import pyplot

    users = [user for user in KINDS if user != "irrelevant" and any(u == user for u, _ in lives)]
    columns = min(3, len(users))
    lines = -(-len(users) // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(3.4 * columns, 2.6 * lines), sharey=True, squeeze=False
    )
    for user, panel in zip(users, axes.flat, strict=False):
        for place, method in enumerate(methods.METHODS):
            if (user, method) in lives:
                curve(panel, method, place, lives[user, method], nights_of(user))
        played = [len(group) for (name, _), group in lives.items() if name == user]
        panel.set_title(f"{user} ({counted(min(played), max(played))})")
        panel.set_xlabel("night")
        panel.set_xticks(range(nights_of(user) + 1))
        panel.set_ylim(-0.03, 1.03)
        flips_at = next(g[0]["flips_at"] for (u, _), g in lives.items() if u == user)
        if flips_at >= 0:
            panel.axvline(flips_at / SESSIONS_A_DAY, color="grey", linewidth=0.8, linestyle=":")
    for panel in axes.flat[len(users) :]:
        panel.set_visible(False)
    axes[0][0].set_ylabel("first answers that satisfy")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.16 / lines + 0.02, 1, 1))
    figure.savefig(path, metadata={"Title": TITLE, "Date": None})
    pyplot.close(figure)


def curve(panel: Any, method: str, place: int, lives: Sequence[Life], nights: int) -> None:
    numbers = list(range(nights + 1))
    values = [at(lives, night, "satisfied") for night in numbers]
    bands = [interval(found) for found in values]
    style = {"color": f"C{place}", "linewidth": 2.2 if method == "ours" else 1.2}
    dashes = "--" if method in ("memory", "none") else "-"
    panel.plot(numbers, [mean(found) for found in values], dashes, label=method, **style)
    panel.fill_between(
        numbers, [b[0] for b in bands], [b[1] for b in bands], color=f"C{place}", alpha=0.12
    )
