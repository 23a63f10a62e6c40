"""Whose request it is: session, side traffic, running turns, the span."""

from __future__ import annotations

import pytest
from wire_requests import (
    SYSTEM,
    TOOLS,
    asked,
    assistant,
    call,
    claw,
    first,
    result,
    stamped,
    user,
)

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
SAME = ("session_id", "x-client-request-id", "x-session-affinity")


def affinity(value: str) -> dict[str, str]:
    return dict.fromkeys(SAME, value)


@pytest.mark.parametrize(
    ("request_", "session"),
    [
        (claw(user("hi"), headers={"X-OpenClaw-Session-Key": "agent:main:a"}), "agent:main:a"),
        (claw(user(first("hi", "agent:main:b")), headers=affinity("s-1:0")), "agent:main:b"),
        (claw(user(stamped("hi")), headers=affinity("s-1:3")), "s-1"),
        (asked(user("hi"), headers={"x-openwebui-chat-id": "c1"}), "c1"),
        (asked(user("hi"), metadata={"thread_id": "t1"}), "t1"),
        (asked(user("hi"), metadata={"user_id": f"user_x_account__session_{UUID}"}), UUID),
        (asked(user("hi"), metadata={"user_id": '{"session_id": "j"}'}), "j"),
        (asked(user("hi"), prompt_cache_key=UUID), UUID),
        (asked(user("hi"), prompt_cache_key="my-app-v1"), ""),
        (asked(user("hi"), headers={"x-align-agent-session": "mine"}), "mine"),
        (asked(user("hi"), user="ann"), ""),
        (asked(user("hi"), metadata=[1], user={"a": 1}, prompt_cache_key=True), ""),
    ],
)
def test_the_lasting_key_is_found(request_, session):
    assert request_.session == session


def test_a_runtime_line_in_the_system_prompt_names_the_session():
    messages = [{"role": "system", "content": first(SYSTEM, "agent:main:c")}, user(stamped("hi"))]
    assert asked(*messages, tools=TOOLS).session == "agent:main:c"


def test_the_field_user_names_a_person_and_no_conversation():
    request = asked(user("hi"), user="ann")
    assert (request.person, request.session) == ("ann", "")


def test_a_reset_changes_the_id_of_the_session_and_not_its_key():
    before = claw(user(first("hi")), headers=affinity("s-1:0"))
    after = claw(user(first("hi")), headers=affinity("s-1:1"))
    assert before.session == after.session
    assert before.session_id != after.session_id


def test_the_result_of_a_tool_continues_the_turn_and_is_no_side_traffic():
    steps = [user(stamped(first("look"))), call(), result("nothing")]
    request = claw(*steps)
    assert request.continuation
    assert request.main
    assert request.user_text == "look"
    assert [message.role for message in request.since] == ["assistant", "tool"]
    assert not claw(*steps, assistant("done"), user("thanks")).continuation


HEARTBEAT = "Follow the heartbeat monitor scratch context when provided. Else reply NO_REPLY."
COMPACT = "You are a context summarization assistant. Write a structured summary."
TITLE = "You are a title generator. Output only a title."
QUOTED = "### Task:\nSuggest a short title.\n<chat_history>\nUSER: hi\n</chat_history>"


def system(text: str) -> dict:
    return {"role": "system", "content": text}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (claw(user(first(HEARTBEAT))), "heartbeat"),
        (asked(system(COMPACT), user("<conversation>"), headers=affinity("s-1")), "compaction"),
        (asked(system(COMPACT), user("<conversation>")), "compaction"),
        (asked(system(TITLE), user("hi there")), "title"),
        (asked(user(QUOTED)), "client task"),
        (asked(system("Review."), user("x"), headers=affinity("s-1")), "utility call"),
        (
            asked(system("Do a skill review."), user("x"), headers=affinity("s-1:0")),
            "skill review",
        ),
        (claw(user(first("look", "agent:main:cron:daily"))), "cron"),
        (claw(user(first("look", "agent:main:subagent:1"))), "subagent"),
        (asked(system("Be kind.")), "no human text"),
        (asked(user("  ")), "no human text"),
    ],
)
def test_side_traffic_is_told_with_its_reason(request_, reason):
    assert (request_.main, request_.side_reason) == (False, reason)


@pytest.mark.parametrize(
    "request_",
    [
        asked(user("Write a title for my blog post about tea.")),
        asked(system("You write titles."), user("tea"), assistant("Tea!"), user("shorter")),
        asked(user("Summarize the plot of Hamlet.")),
        asked(user("What is a heartbeat?")),
        claw(user(first("go", "agent:main:explicit:cron"))),
        claw(user("Follow me on this one.")),
    ],
)
def test_what_a_human_asks_is_main(request_):
    assert request_.main, request_.side_reason


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (f"00-{'a' * 32}-{'B' * 16}-01", "b" * 16),
        ("", ""),
        ("00-zz-11-01", ""),
        (f"00-{'a' * 32}", ""),
    ],
)
def test_the_span_is_read_from_the_traceparent(header, span):
    assert asked(user("hi"), headers={"Traceparent": header}).span_id == span


@pytest.mark.parametrize(
    ("request_", "channel"),
    [
        (claw(user("hi")), "openclaw"),
        (asked(user("hi")), "openai"),
        (asked(user("hi"), headers={"Anthropic-Version": "2023-06-01"}), "anthropic"),
        (asked(user("hi"), headers={"x-align-agent-channel": "langgraph"}), "langgraph"),
    ],
)
def test_the_channel_is_the_client(request_, channel):
    assert request_.channel == channel


def test_reminders_of_coding_agents_are_not_the_humans_words():
    note = "<system-reminder>\nMind the list.\n</system-reminder>"
    assert asked(user(f"{note}\n\nfix it\n{note}")).user_text == "fix it"
    request = asked(user("fix it"), call(), result("ok"), user(note))
    assert request.continuation
    assert request.user_text == "fix it"
