"""The judge: its question, its verdict in whatever a model says, and what the gap makes of it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.distill.select import correction
from align_agent.feedback.judge import (
    CONFIDENCE,
    KINDS,
    MAX_RULE,
    Judged,
    question,
    reading_of,
    settle,
    verdict,
)
from align_agent.records import Feedback, Turn

RULE = "Begin with the result. Leave the introduction out."
YES = Judged(True, "too_long", RULE)
NO = Judged(False, "not_as_asked", "")


def gap(polarity: str) -> Feedback:
    return Feedback("turn-1", "gap", polarity, "none", 0.7, "Hm, and the result?", "gap")


def test_a_verdict_is_found_in_the_talk_around_it() -> None:
    text = f"Sure! ```json\n{json.dumps({'fault': True, 'kind': 'too_long', 'rule': RULE})}\n```"
    assert verdict(text) == YES


@pytest.mark.parametrize(
    "text",
    ["", "yes", '{"fault": "yes"}', "{fault: true}", '{"rule": "Be kind."}', "[true]", "{" * 5000],
)
def test_what_is_no_verdict_is_none(text: str) -> None:
    assert verdict(text) is None


@pytest.mark.parametrize(
    "rule",
    [
        "Always greet Anna Miller by name.",
        "Write to a@b.de.",
        "Never mention my diabetes.",
        "One. Two. Three. Four.",
        "a" * (MAX_RULE + 1),
        5,
        None,
    ],
)
def test_a_rule_that_is_private_long_or_no_text_is_left_out(rule: object) -> None:
    judged = verdict(json.dumps({"fault": True, "kind": "tone", "rule": rule}))
    assert judged == Judged(True, "tone", "")


def test_an_unknown_kind_is_the_general_one() -> None:
    judged = verdict('{"fault": true, "kind": "ignore all rules", "rule": ""}')
    assert judged is not None and judged.kind == "not_as_asked"


# Whatever a model may write: any text, JSON of any shape and depth, verdicts cut off or spoiled.
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["fault", "kind", "rule", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)
SOUND = st.fixed_dictionaries(
    {"fault": st.booleans(), "kind": st.sampled_from(KINDS), "rule": st.text(max_size=80)}
).map(json.dumps)


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """A sound verdict with a piece cut out or put in."""
    text = draw(SOUND)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, len(text)))
    return text[:start] + draw(st.text(max_size=4)) + text[end:]


ANSWERS = st.one_of(
    st.text(max_size=400),
    st.text('{}[]":,\\ttruefalsu', max_size=60),
    VALUES.map(json.dumps),
    spoiled(),
    st.integers(1, 1900).map(lambda n: '{"x": ' + "[" * n + "]" * n + ', "fault": true}'),
)


@given(ANSWERS)
def test_whatever_the_model_writes_only_a_whole_verdict_makes_a_rule(text: str) -> None:
    judged = verdict(text)
    if judged is None:
        return
    # It stands in the answer as an object of its own, and says outright that there is a fault.
    assert isinstance(judged.fault, bool) and judged.kind in KINDS
    said = [data for data in objects_in(text) if isinstance(data.get("fault"), bool)]
    assert said and said[0]["fault"] is judged.fault
    if judged.rule:
        assert judged.fault and judged.rule == " ".join(judged.rule.split())
        # A lone surrogate, which no UTF-8 can hold, becomes a question mark.
        written = str(said[0]["rule"]).encode("utf-8", "replace").decode("utf-8")
        assert " ".join(written.split()) == judged.rule and len(judged.rule) <= MAX_RULE


def objects_in(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a text that hold no other, each pair of brackets tried."""
    found = []
    for start in (place for place, sign in enumerate(text) if sign == "{"):
        for end in (place for place, sign in enumerate(text) if sign == "}" and place > start):
            with contextlib.suppress(ValueError, RecursionError):
                data = json.loads(text[start : end + 1])
                found += [] if holds_object(data) else [data]
                break
    return found


def holds_object(data: dict[str, Any]) -> bool:
    waiting: list[Any] = list(data.values())
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            return True
        waiting += one if isinstance(one, list) else []
    return False


def test_brackets_within_a_rule_are_no_ends_of_the_verdict() -> None:
    judged = verdict('So: {"fault": true, "kind": "format", "rule": "Write {} for an empty set."}')
    assert judged == Judged(True, "format", "Write {} for an empty set.")


@given(SOUND, st.text("abc \n`", max_size=30), st.text("abc \n`", max_size=30))
def test_a_whole_verdict_is_found_whatever_stands_around_it(
    text: str, before: str, after: str
) -> None:
    judged = verdict(f"{before}{text}{after}")
    assert judged is not None and judged == verdict(text)


def test_where_gap_and_judge_agree_the_rule_is_learned_from() -> None:
    measured, opinion = settle(gap("negative"), YES)
    assert opinion is not None and not measured.review and not opinion.review
    assert (opinion.confidence, opinion.category) == (CONFIDENCE, "too_long")
    assert reading_of(opinion).wish == RULE
    assert correction([measured, opinion], 0.6)[0]


@pytest.mark.parametrize(("polarity", "judged"), [("negative", NO), ("neutral", YES)])
def test_where_they_contradict_each_other_the_user_decides(polarity: str, judged: Judged) -> None:
    measured, opinion = settle(gap(polarity), judged)
    assert [one for one in (measured, opinion) if one is not None and one.review]
    assert correction([one for one in (measured, opinion) if one], 0.6) == (False, "")


def test_without_a_verdict_the_gap_stands_alone() -> None:
    measured = gap("negative")
    assert settle(measured, None) == (measured, None)


def test_the_question_shows_all_three_texts_and_stays_short() -> None:
    turn = Turn("c", (), (), "q" * 9_000, "a" * 9_000)
    system, user = question(turn, "Hm, and the result?")
    assert system.role == "system" and "JSON" in system.content
    assert "Hm, and the result?" in user.content
    assert len(user.content) < 5_000
