"""OpenClaw's wrappers come off, and what they say is kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_requests import asked, claw, context, first, informed, stamped, user

from align_agent.capture.wire.openclaw import CONTEXT_OPEN, Reaction, clean, is_shared, unwrap
from align_agent.records import Message

RESUME = (
    "Continue the current task from the existing transcript, preserving completed work. "
    "Do not restart the task."
)
QUEUED = "[Queued user message from a previous active turn; preserved as context only.]"
LIKED = "System: [2026-12-01 09:00:07 UTC] Telegram reaction added: 👍 by Ann (@ann) on msg 31"


@pytest.mark.parametrize(
    "wrapped",
    [
        "Why so long?",
        stamped("Why so long?"),
        "[Tue 2026-12-01 10:00 GMT+1] Why so long?",
        first("Why so long?"),
        stamped(first("Why so long?")),
        stamped(informed("Why so long?")),
        stamped(first(informed("Why so long?"))),
        stamped(f"{QUEUED}\nWhy so long?\n\n{RESUME}"),
        stamped("Why so long?") + "\n\n" + context("x"),
        context("x") + "\n\n" + stamped("Why so long?"),
    ],
)
def test_every_wrapper_comes_off(wrapped):
    assert unwrap(wrapped).text == "Why so long?"


# The human may write whatever OpenClaw does not.
human = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=60
).filter(lambda t: t.strip() and not t.strip().startswith("[") and "Runtime: agent=" not in t)


@given(human, st.integers(0, 59))
@settings(deadline=None)
def test_whatever_a_human_writes_is_found_again(text, minute):
    understood = claw(user(stamped(first(informed(text)), minute)))
    assert understood.user_text == text.strip()
    assert understood.prompt[-1].content == understood.user_text


@given(human)
@settings(deadline=None)
def test_unwrapping_twice_changes_nothing_more(text):
    once = unwrap(stamped(first(text))).text
    assert unwrap(once).text == once


def test_the_words_of_other_clients_are_left_alone():
    text = stamped("is how my log lines begin")
    assert asked(user(text)).user_text == text


def test_the_internal_message_is_in_neither_prompt_nor_rest():
    understood = claw(user(stamped("hi")))
    every = (*understood.prompt, *understood.since)
    assert not any(CONTEXT_OPEN in message.content for message in every)
    assert [message.role for message in every] == ["system", "user"]


def test_a_reaction_is_read_from_the_internal_message():
    understood = claw(user(stamped("next")), tail=context("Active exec sessions:\nnone", LIKED))
    assert understood.reactions == (
        Reaction("👍", "added", "Ann (@ann)", "31", "telegram", "2026-12-01 09:00:07 UTC"),
    )


def test_several_reactions_of_one_report_are_all_read():
    second = LIKED.replace("added", "removed").replace("31", "32")
    understood = claw(user("next"), tail=context(f"{LIKED}\n{second}"))
    assert [(r.action, r.message) for r in understood.reactions] == [
        ("added", "31"),
        ("removed", "32"),
    ]


@pytest.mark.parametrize(
    "request_",
    [
        claw(user(LIKED)),
        claw(user("next"), tail=context(f"#14 Bob: {LIKED}")),
        claw(user("next"), tail=context(f"Chat history:\n{LIKED}")),
    ],
    ids=["typed", "quoted", "in the history"],
)
def test_a_reaction_that_somebody_typed_does_not_count(request_):
    assert request_.reactions == ()


def test_sender_surface_and_moment_are_kept():
    understood = claw(user(stamped(first(informed("hi", "42"), channel="telegram"), 5)))
    assert (understood.sender, understood.surface) == ("42", "telegram")
    assert understood.stamp == "[Tue 2026-12-01 09:05 UTC]"


@pytest.mark.parametrize(
    "text",
    [
        CONTEXT_OPEN * 8_000,
        "\n" * 200_000,
        "Runtime: agent=" * 15_000,
        "System: [" * 20_000,
        stamped(QUEUED) * 3_000,
        "user:\n" * 30_000,
    ],
    ids=["contexts", "lines", "runtimes", "systems", "queued", "users"],
)
def test_a_hostile_text_ends_in_reasonable_time(text):
    """Quadratic reading would run into the time limit of the tests."""
    claw(user(text), tail=context("System: [x] " + text[:100_000]))
    asked(user(text))


def test_a_command_for_our_plugin_is_no_part_of_a_later_prompt():
    talk = [
        Message("user", "Hello"),
        Message("assistant", "Hi."),
        Message("user", "/rate down too long"),
        Message("user", "/align status"),
        Message("user", "And now?"),
    ]
    assert clean(talk) == (talk[0], talk[1], talk[4])
    assert clean(talk[:3])[-1] == talk[2]


@pytest.mark.parametrize(
    ("session", "shared"),
    [
        ("agent:main:main", False),
        ("agent:main:telegram:direct:777", False),
        ("agent:main:telegram:group:-100123", True),
        ("agent:main:discord:channel:55", True),
        ("agent:main:matrix:room:!a:b.org", True),
    ],
)
def test_a_sessions_key_says_whether_several_may_write(session: str, shared: bool) -> None:
    assert is_shared(session) is shared
