"""Requests longer than the context: what is left out, and that the record says what was shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.config import Config, PreferencesConfig, ServerConfig
from align_agent.errors import ContextTooLong
from align_agent.models.local import LocalModel
from align_agent.records import Message
from align_agent.server.trimming import Shown, trimmed
from align_agent.store import Store

MARK = "You are a personal assistant running inside OpenClaw.\n"
LONG = MARK + "Follow the house rules. " * 4_000
OPENCLAW = {"x-openclaw-session-key": "agent:main:t1"}


def tool(name: str, words: int = 1) -> dict[str, Any]:
    function = {"name": name, "description": "word " * words, "parameters": {"type": "object"}}
    return {"type": "function", "function": function}


def trim(
    model: LocalModel,
    *messages: Message,
    mode: str = "auto",
    tools: tuple[dict[str, Any], ...] = (),
    headers: dict[str, str] = OPENCLAW,
    rules: tuple[str, ...] = (),
    room: int = 0,
) -> Shown | None:
    config = replace(
        Config(),
        server=ServerConfig(trim=mode),
        preferences=PreferencesConfig(rules=rules),
    )
    room = room or model.context // 2
    return trimmed(model.chat, room, headers, {}, messages, tools, config)


def said(text: str) -> Message:
    return Message("user", f"[Mon 2026-11-23 12:57 UTC] {text}")


def test_a_frame_too_long_goes_whole_and_the_humans_words_stay(parrot: LocalModel) -> None:
    shown = trim(parrot, Message("system", LONG), said("Hello!"))
    assert shown == Shown((Message("user", "Hello!"),), ())


def test_the_users_own_rules_stand_in_its_place(parrot: LocalModel) -> None:
    shown = trim(parrot, Message("system", LONG), said("Hello!"), rules=("Be brief.",))
    assert shown is not None
    assert shown.messages[0] == Message("system", "The user's rules:\n- Be brief.")


def test_the_newest_exchanges_stay(parrot: LocalModel) -> None:
    talk = [m for n in range(300) for m in (said(f"Message {n}"), Message("assistant", "Yes."))]
    shown = trim(parrot, Message("system", LONG), *talk, said("Last"))
    assert shown is not None
    assert shown.messages[-1].content == "Last"
    assert 1 < len(shown.messages) < 601
    assert shown.messages == tuple(
        Message(m.role, m.content.removeprefix("[Mon 2026-11-23 12:57 UTC] "))
        for m in [*talk, said("Last")][-len(shown.messages) :]
    )


def test_a_history_alone_is_left_to_the_clients_compaction(parrot: LocalModel) -> None:
    talk = [m for n in range(300) for m in (said(f"Message {n}"), Message("assistant", "Yes."))]
    frame = Message("system", MARK)
    assert trim(parrot, frame, *talk, said("Last")) is None
    always = trim(parrot, frame, *talk, said("Last"), mode="always")
    assert always is not None
    assert always.messages[0] == frame


def test_short_tools_stay_and_long_ones_go(parrot: LocalModel) -> None:
    tools = (tool("huge", 2_000), tool("small"))
    room = parrot.context - 24
    shown = trim(parrot, Message("system", LONG), said("Hello!"), tools=tools, room=room)
    assert shown is not None
    assert [kept["function"]["name"] for kept in shown.tools] == ["small"]


def test_other_clients_are_refused_unless_it_is_asked_for(parrot: LocalModel) -> None:
    long = (Message("system", "x " * 9_000), Message("user", "Hello!"))
    assert trim(parrot, *long, headers={}) is None
    assert trim(parrot, *long, mode="never") is None
    assert trim(parrot, *long, headers={}, mode="always") is not None


@settings(max_examples=25)
@given(text=st.text(min_size=1, max_size=20_000).filter(str.strip))
def test_any_single_message_is_cut_until_it_fits(parrot: LocalModel, text: str) -> None:
    try:
        shown = trim(parrot, Message("system", LONG), Message("user", text), mode="always")
    except ContextTooLong:
        pytest.fail("a message was refused")
    assert shown is not None
    assert len(parrot.chat.encode(shown.messages)) <= parrot.context // 2


def test_the_record_holds_what_the_model_saw(server: Any) -> None:
    content = "Hello!\n\nRuntime: agent=main | session=agent:main:t1 | sessionId=s1"
    messages = [{"role": "system", "content": LONG}, {"role": "user", "content": content}]
    body = {"model": "align", "messages": messages, "max_tokens": 8}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    server.service.scribe.flush()
    with Store.open(server.service.home.database) as store:
        (turn,) = store.turns.list()
    assert turn.prompt == (Message("user", "Hello!"),)
    assert (turn.user_text, turn.channel) == ("Hello!", "openclaw")
    assert server.service.counts["trimmed"] == 1


def test_without_trimming_the_request_is_refused(serve: Any) -> None:
    server = serve(trim="never")
    messages = [{"role": "system", "content": LONG}, {"role": "user", "content": "Hello!"}]
    body = {"model": "align", "messages": messages}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
    assert answer.json()["error"]["code"] == "context_length_exceeded"
