"""Turns that no night could use are counted with their reasons, and told when there is no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from align_agent.capture.arrivals import FEW, arrivals
from align_agent.records import Message, Turn
from align_agent.store import Store

GOOD = Turn("c", (Message("user", "Hi"),), (Message("assistant", "Hello."),), "Hi", "Hello.")


def arrived(folder: Path, *turns: Turn, ignored: int = 0) -> str:
    with Store.open(folder / "align.db") as store:
        for number, turn in enumerate(turns):
            store.turns.add(replace(turn, id=f"turn-{number}"))
        if ignored:
            store.counters.bump("capture.ignored", ignored)
        found = arrivals(store)
        return found.told() if found.alarming else ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"main": False}, "not the human's own (side traffic)"),
        ({"excluded": True}, "excluded"),
        ({"user_text": " "}, "without words of a human"),
        ({"answer": "", "response": (), "finish_reason": "error"}, "whose answer failed"),
        (
            {"answer": "", "response": (), "finish_reason": "aborted"},
            "broken off before any answer",
        ),
        ({"answer": "", "response": ()}, "without an answer"),
    ],
)
def test_each_reason_is_named(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    bad = replace(GOOD, **changes)  # type: ignore[arg-type]
    told = arrived(tmp_path, *[bad] * FEW)
    assert told == f"none of the last {FEW} turns that came can be learned from: {FEW} {reason}"


def test_one_turn_that_can_teach_is_enough(tmp_path: Path) -> None:
    assert arrived(tmp_path, GOOD, *[replace(GOOD, main=False)] * 9) == ""


def test_few_turns_are_no_alarm(tmp_path: Path) -> None:
    assert arrived(tmp_path, *[replace(GOOD, main=False)] * (FEW - 1)) == ""


def test_a_pattern_that_keeps_everything_out_is_named(tmp_path: Path) -> None:
    assert "left out by privacy.ignore" in arrived(tmp_path, ignored=FEW)
    assert arrived(tmp_path, GOOD, ignored=FEW) == ""
