from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from folders import light_folder
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.distill.select import UNREAD, Selection, correction, rank, select
from align_agent.records import Feedback, Message, Turn
from align_agent.store import Store


@dataclass(frozen=True)
class Settings:
    max_turns: int = 512
    heldout_share: float = 0.2
    anchors: float = 0.25
    replay: float = 0.3


@dataclass(frozen=True)
class Log:
    """A user's log, as a test wants it."""

    turns: list[Turn] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    broken: frozenset[str] = frozenset()  # turns that break a rule
    ruled: frozenset[str] = frozenset()  # turns that a rule applies to


def turn(number: int, conversation: str, *, answer: str = "An answer.", **more: object) -> Turn:
    response = (Message("assistant", answer),) if answer else ()
    base = Turn(
        conversation_id=conversation,
        prompt=(Message("user", f"Question {number}?"),),
        response=response,
        user_text=f"Question {number}?",
        answer=answer,
        id=f"turn-{number:04}",
    )
    return replace(base, **more)


def complaint(about: Turn, **more: object) -> Feedback:
    base = Feedback(about.id, "follow_up", "negative", "tone", 0.9, "Be warmer.", "test")
    return replace(base, **more)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    count = draw(st.integers(0, 24))
    turns, feedback, broken, ruled = [], [], set(), set()
    for number in range(count):
        one = turn(
            number,
            f"chat-{draw(st.integers(0, 7))}",
            answer=draw(st.sampled_from(["An answer.", "An answer.", ""])),
            main=draw(st.sampled_from([True, True, True, False])),
            excluded=draw(st.sampled_from([False, False, False, True])),
        )
        turns.append(one)
        for kind in draw(st.lists(st.sampled_from(["follow_up", "retry", "rating"]), max_size=2)):
            feedback.append(
                complaint(
                    one,
                    kind=kind,
                    polarity=draw(st.sampled_from(["negative", "positive", "neutral"])),
                    confidence=draw(st.sampled_from([0.3, 0.9])),
                    text=draw(st.sampled_from(["Be warmer.", "", " "])),
                    dismissed=draw(st.booleans()),
                )
            )
        if draw(st.booleans()):
            ruled.add(one.id)
            if draw(st.booleans()):
                broken.add(one.id)
    return Log(turns, feedback, frozenset(broken), frozenset(ruled))


CONFIGS = st.builds(
    Settings,
    max_turns=st.integers(1, 30),
    heldout_share=st.floats(0.01, 0.9),
    anchors=st.floats(0, 0.9),
)


def run(log: Log, config: Settings | None = None, seed: int = 0) -> Selection:
    with light_folder() as folder, Store.open(Path(folder) / "align.db") as store:
        for one in log.turns:
            store.turns.add(one)
        for one_feedback in log.feedback:
            store.feedback.add(one_feedback)

        def rules_for(one: Turn) -> Sequence[str]:
            return ["Keep answers short."] if one.id in log.ruled else []

        return select(
            store, config or Settings(), rules_for, lambda one: one.id in log.broken, seed=seed
        )


def places(selection: Selection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in ("train", "heldout", "anchors"):
        for candidate in getattr(selection, name):
            found.setdefault(candidate.turn.id, []).append(name)
    for turn_id, _ in selection.skipped:
        found.setdefault(turn_id, []).append("skipped")
    return found


@given(logs(), CONFIGS, st.integers(0, 5))
@settings(max_examples=30)
def test_every_main_turn_lands_in_exactly_one_place(log: Log, config: Settings, seed: int) -> None:
    found = places(run(log, config, seed))
    assert set(found) == {one.id for one in log.turns if one.main}
    assert all(len(names) == 1 for names in found.values())


@given(logs(), CONFIGS, st.integers(0, 5))
@settings(max_examples=15)
def test_conversations_are_held_out_whole(log: Log, config: Settings, seed: int) -> None:
    selection = run(log, config, seed)
    held = {c.turn.conversation_id for c in selection.heldout}
    used = {c.turn.conversation_id for c in [*selection.train, *selection.anchors]}
    assert not held & used


@given(logs(), CONFIGS, st.integers(0, 5))
@settings(max_examples=15)
def test_the_same_log_and_seed_give_the_same_selection(
    log: Log, config: Settings, seed: int
) -> None:
    assert run(log, config, seed) == run(log, config, seed)


@given(logs(), CONFIGS)
@settings(max_examples=15)
def test_no_limit_is_passed_and_every_skip_has_its_reason(log: Log, config: Settings) -> None:
    selection = run(log, config)
    assert len(selection.train) <= config.max_turns
    share = config.anchors / (1 - config.anchors)
    assert len(selection.anchors) <= round(share * max(len(selection.train), 0))
    assert all(reason for _, reason in selection.skipped)


@given(logs(), CONFIGS)
@settings(max_examples=15)
def test_nothing_is_trained_on_without_something_to_tell_the_teacher(
    log: Log, config: Settings
) -> None:
    for candidate in run(log, config).train:
        assert candidate.shown.follow_up or candidate.turn.id in log.ruled
        assert candidate.turn.main
        assert not candidate.turn.excluded
        assert candidate.turn.answer


def many(count: int, *, conversations: int = 1000) -> list[Turn]:
    return [turn(i, f"chat-{i % conversations}") for i in range(count)]


def reason_for(log: Log, wanted: Turn, config: Settings | None = None) -> str:
    return dict(run(log, config).skipped)[wanted.id]


def test_a_corrected_turn_is_trained_on_with_the_users_words() -> None:
    turns = many(6)
    selection = run(Log(turns, [complaint(one) for one in turns]))
    assert selection.train
    assert {c.shown.follow_up for c in selection.train} == {"Be warmer."}


def test_a_turn_that_breaks_a_rule_is_trained_on_without_any_complaint() -> None:
    ids = frozenset(one.id for one in many(6))
    selection = run(Log(many(6), broken=ids, ruled=ids))
    assert selection.train
    assert {c.shown.follow_up for c in selection.train} == {""}


def test_a_turn_that_was_fine_is_an_anchor_without_follow_up() -> None:
    turns = many(30)
    selection = run(Log(turns, [complaint(one) for one in turns[:20]]))
    assert selection.anchors
    assert {c.shown.follow_up for c in selection.anchors} == {""}


def test_anchors_are_the_configured_share_of_all_examples() -> None:
    turns = many(200)
    selection = run(Log(turns, [complaint(one) for one in turns[:80]]), Settings(anchors=0.25))
    share = len(selection.anchors) / (len(selection.anchors) + len(selection.train))
    assert share == pytest.approx(0.25, abs=0.01)


def test_about_the_configured_share_of_conversations_is_held_out() -> None:
    turns = many(300)
    selection = run(Log(turns, [complaint(one) for one in turns]), Settings(heldout_share=0.2))
    assert 0.12 < len({c.turn.conversation_id for c in selection.heldout}) / 300 < 0.28


def test_of_two_conversations_one_is_held_out() -> None:
    turns = many(8, conversations=2)
    selection = run(Log(turns, [complaint(one) for one in turns]), Settings(heldout_share=0.01))
    assert len({c.turn.conversation_id for c in selection.heldout}) == 1
    assert selection.train


def test_a_single_conversation_is_trained_on() -> None:
    turns = many(8, conversations=1)
    selection = run(Log(turns, [complaint(one) for one in turns]), Settings(heldout_share=0.9))
    assert len(selection.train) == 8


def test_what_is_held_out_stays_held_out_when_the_log_grows() -> None:
    turns = many(60)
    all_feedback = [complaint(one) for one in turns]
    early = run(Log(turns[:40], all_feedback[:40]))
    late = run(Log(turns, all_feedback))
    held_early = {c.turn.id for c in early.heldout}
    assert held_early
    assert held_early <= {c.turn.id for c in late.heldout}


def test_another_seed_holds_out_others() -> None:
    turns = many(60)
    log = Log(turns, [complaint(one) for one in turns])
    assert run(log, seed=1).heldout != run(log, seed=2).heldout


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"excluded": True}, "excluded"),
        ({"answer": "", "response": ()}, "no answer"),
        ({"response": (Message("assistant", ""),)}, "no answer"),
        ({"response": (Message("assistant", "  \n "),)}, "no answer"),
        ({"prompt": (Message("system", "x"),)}, "no user message"),
        ({"prompt": (Message("user", "  "),)}, "no user message"),
    ],
)
def test_a_turn_that_cannot_be_learned_from_is_skipped_with_the_reason(
    change: dict[str, object], reason: str
) -> None:
    odd = replace(turn(99, "chat-x"), **change)
    assert reason in reason_for(Log([odd], [complaint(odd)]), odd)


def test_a_complaint_without_words_and_without_a_rule_teaches_nothing() -> None:
    one = turn(1, "chat-1")
    retry = complaint(one, kind="retry", text="Question 1?")
    assert "no hindsight" in reason_for(Log([one], [retry]), one)


def test_turns_beyond_the_most_are_skipped_with_the_reason() -> None:
    turns = many(20)
    selection = run(Log(turns, [complaint(one) for one in turns]), Settings(max_turns=5))
    assert len(selection.train) == 5
    assert any("max_turns" in reason for _, reason in selection.skipped)


def test_side_traffic_is_not_looked_at() -> None:
    side = turn(1, "chat-1", main=False)
    assert places(run(Log([side], [complaint(side)]))) == {}


ONE = turn(1, "chat-1")


@pytest.mark.parametrize(
    ("feedback", "expected"),
    [
        ([], (False, "")),
        ([complaint(ONE)], (True, "Be warmer.")),
        ([complaint(ONE, dismissed=True)], (False, "")),
        ([complaint(ONE, confidence=0.5)], (False, "")),
        ([complaint(ONE, polarity="neutral")], (False, "")),
        ([complaint(ONE, kind="retry")], (True, "")),
        ([complaint(ONE, text=" ")], (True, "")),
        ([complaint(ONE), complaint(ONE, kind="rating", text="Too cold.")], (True, "Too cold.")),
        ([complaint(ONE), complaint(ONE, kind="rating", polarity="positive")], (False, "")),
        (
            [complaint(ONE, confidence=0.7, text="a"), complaint(ONE, confidence=0.8, text="b")],
            (True, "b"),
        ),
    ],
)
def test_what_counts_as_a_correction(feedback: list[Feedback], expected: tuple[bool, str]) -> None:
    assert correction(feedback, 0.6) == expected


@given(logs(), CONFIGS, st.integers(0, 5))
@settings(max_examples=30)
def test_no_more_answers_are_read_than_the_choice_needs(
    log: Log, config: Settings, seed: int
) -> None:
    # With room for all every answer is read; a smaller night draws from the same order.
    everything = run(log, replace(config, max_turns=1000), seed)
    selection = run(log, config, seed)
    learnable = {c.turn.id for c in everything.train}
    assert not any(reason == UNREAD for _, reason in everything.skipped)
    assert {c.turn.id for c in selection.train} <= learnable
    assert len(selection.train) == min(config.max_turns, len(learnable))


def test_answers_that_nobody_complained_of_are_not_read_once_there_are_enough() -> None:
    turns = many(300)
    log = Log(turns, [complaint(one) for one in turns[:150]])
    read: list[str] = []
    with light_folder() as folder, Store.open(Path(folder) / "align.db") as store:
        for one in log.turns:
            store.turns.add(one)
        for feedback in log.feedback:
            store.feedback.add(feedback)
        selection = select(
            store, Settings(max_turns=10), lambda _: [], lambda t: bool(read.append(t.id)), seed=0
        )
    assert len(selection.train) == 10
    assert len(selection.anchors) == 3
    assert len(read) < 60
    assert any(reason == UNREAD for _, reason in selection.skipped)


def test_answers_are_read_as_they_lie_on_the_disk_and_chosen_as_the_hash_draws() -> None:
    turns = many(120)
    read: list[str] = []
    with light_folder() as folder, Store.open(Path(folder) / "align.db") as store:
        for one in turns:
            store.turns.add(one)
        selection = select(
            store, Settings(max_turns=500), lambda _: [], lambda t: bool(read.append(t.id)), seed=0
        )
        hasty = select(store, Settings(max_turns=1), lambda _: [], lambda _: False, seed=0)
    assert read == sorted(read)
    drawn = sorted(read, key=lambda name: rank(0, name))
    assert {c.turn.id for c in hasty.anchors} == set(drawn[: len(hasty.anchors)])
    assert not selection.train
