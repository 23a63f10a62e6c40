"""What goes through the server is logged as the human meant it."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest
from tiny import CALCULATOR

from align_agent.records import Turn
from align_agent.store import Store

TITLE: Any = {"role": "system", "content": "You write a short title for the conversation."}
HELLO: Any = [{"role": "user", "content": "Hello!"}]


def ask(server: Any, messages: Any, headers: Any = None, **options: Any) -> Any:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as caller:
        return caller.chat.completions.create(
            model="align", messages=messages, extra_headers=headers, **options
        ).choices[0].message  # fmt: skip


def logged(server: Any) -> list[Turn]:
    server.service.scribe.flush()
    with Store.open(server.service.home.database) as store:
        return list(store.turns.all_main())


def test_an_exchange_is_logged_with_its_version(server: Any) -> None:
    ask(server, HELLO)
    (turn,) = logged(server)
    assert (turn.user_text, turn.answer) == ("Hello!", "Great work, well done!")
    assert (turn.version, turn.finish_reason, turn.main) == (0, "stop", True)
    assert turn.latency_ms > 0


def test_the_next_message_joins_its_conversation_and_is_read_as_feedback(server: Any) -> None:
    answer = ask(server, HELLO)
    more = [*HELLO, answer, {"role": "user", "content": "Too long, keep it short."}]
    ask(server, more, max_tokens=5)
    first, second = logged(server)
    assert first.conversation_id == second.conversation_id
    with Store.open(server.service.home.database) as store:
        (heard,) = store.feedback.for_turn(first.id)
    assert heard.polarity == "negative"


def test_a_message_edited_and_sent_again_is_noted_on_the_answer_it_had(server: Any) -> None:
    answer = ask(server, HELLO)
    words = "Write a poem about the sea and the wind."
    ask(server, [*HELLO, answer, {"role": "user", "content": words}])
    shorter = {"role": "user", "content": words.replace("a poem", "a short poem")}
    ask(server, [*HELLO, answer, shorter])
    first, replaced, anew = logged(server)
    with Store.open(server.service.home.database) as store:
        (heard,) = store.feedback.for_turn(replaced.id)
        assert (heard.kind, heard.polarity) == ("edited", "negative")
        assert store.feedback.for_turn(first.id) == store.feedback.for_turn(anew.id) == []


def test_a_tool_call_and_its_result_are_one_turn(server: Any) -> None:
    asked: Any = [{"role": "user", "content": "7*6?"}]
    call = ask(server, asked, tools=[CALCULATOR])
    result = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "42"}
    ask(server, [*asked, call, result], tools=[CALCULATOR])
    (turn,) = logged(server)
    assert turn.answer == "It is 42."
    assert [message.role for message in turn.response] == ["assistant", "tool", "assistant"]


def test_openclaws_wrapping_is_no_word_of_the_human(server: Any) -> None:
    wrapped = (
        "[Mon 2026-11-23 12:57 UTC] Hello!\n\nRuntime: agent=main | session=agent:main:t1 | "
        "sessionId=t1 | host=vm"
    )
    inner = (
        "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nConversation data\n"
        "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>"
    )
    ask(
        server,
        [{"role": "user", "content": wrapped}, {"role": "user", "content": inner}],
        max_tokens=5,
    )
    (turn,) = logged(server)
    assert turn.user_text == "Hello!"


def test_an_answer_that_was_broken_off_is_logged_as_aborted(server: Any, leave: Any) -> None:
    leave(HELLO, lines=7)
    assert logged(server) == []  # the client may try again
    server.service.scribe._record(server.service.scribe._open.flush())
    (turn,) = logged(server)
    assert turn.finish_reason == "aborted"
    assert turn.answer


def test_turns_that_cannot_teach_are_told_loudly_until_one_can(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        server.service.scribe.flush()
        return [r.getMessage() for r in caplog.records if "can be learned from" in r.getMessage()]

    for number in range(2):
        ask(server, [TITLE, {"role": "user", "content": f"A chat, {number}"}], max_tokens=3)
    assert told() == []
    ask(server, [TITLE, {"role": "user", "content": "A chat"}], max_tokens=3)
    alarm = "none of the last 3 turns that came can be learned from: 3 not the human's own (title)"
    assert [line.startswith(alarm) for line in told()] == [True]
    assert httpx.get(f"{server.url}/v1/align/status").json()["alarm"] == alarm
    ask(server, HELLO)
    for number in range(3, 6):
        ask(server, [TITLE, {"role": "user", "content": f"A chat, {number}"}], max_tokens=3)
    assert len(told()) == 1
    assert httpx.get(f"{server.url}/v1/align/status").json()["alarm"] == ""
