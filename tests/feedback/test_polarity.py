"""Do and don't: read from a rule's words, and two of one matter contradict each other."""

from __future__ import annotations

import pytest
from complaints_said import in_force
from hypothesis import given
from hypothesis import strategies as st

from align_agent.feedback.profile import Profile
from align_agent.polarity import parted
from align_agent.store import Store


@pytest.mark.parametrize(
    ("text", "polarity"),
    [
        ("Keep answers short.", "do"),
        ("Write plain text: no bold, no lists, no headings.", "do"),
        ("No emoji.", "dont"),
        ("In emails, please don\u2019t use my first name.", "dont"),
        ("I don't want you to apologise", "dont"),
        ("Use no lists", "dont"),
        ("Keine Emojis", "dont"),
        ("No, use lists", "do"),
        ("Noble words only", "do"),
    ],
)
def test_a_rule_asks_or_forbids_by_its_words(profile: Profile, text: str, polarity: str) -> None:
    rule = profile.add(text)
    assert rule.polarity == polarity
    assert profile.edit(rule.id, "Never rhyme.").polarity == "dont"


@pytest.mark.parametrize(
    ("old", "new"), [("Use slang.", "Don't use slang."), ("Never rhyme", "From now on rhyme!")]
)
def test_a_wish_and_its_negation_contradict_each_other(
    store: Store, profile: Profile, old: str, new: str
) -> None:
    first = profile.add(old)
    assert in_force(profile) == [old]
    profile.add(new)
    assert in_force(profile) == [new]
    assert store.rules.get(first.id).status == "retired"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Use slang.", "Always use slang!"),
        ("In emails, never use slang.", "Use slang."),
        ("Never.", "Always."),
    ],
)
def test_what_is_not_its_negation_stands_beside_a_wish(
    profile: Profile, one: str, other: str
) -> None:
    profile.add(one)
    profile.add(other)
    assert in_force(profile) == [one, other]


@given(st.text(max_size=300))
def test_any_text_has_a_polarity(text: str) -> None:
    polarity, matter = parted(text)
    assert polarity in ("do", "dont") and len(matter) <= len(text)
