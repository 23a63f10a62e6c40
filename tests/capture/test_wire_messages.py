"""Requests of the three APIs as messages: what comes out, and what is said of bad ones."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from align_agent.capture.wire import read_request, understand
from align_agent.errors import InputError
from align_agent.records import Message, ToolCall

APIS = ("chat", "responses", "messages")
LOOK = ToolCall("call_1", "look", {"path": "a b"})
STEPS = (
    Message("system", "Be kind."),
    Message("user", "Look there."),
    Message("assistant", "I look.", (LOOK,)),
    Message("tool", "nothing", tool_call_id="call_1"),
    Message("assistant", "Nothing is there."),
    Message("user", "Thanks."),
)
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": SCHEMA},
}
CHAT = {
    "messages": [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Look there."}]},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"path": "a b"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "nothing"},
        {"role": "assistant", "content": "Nothing is there."},
        {"role": "user", "content": "Thanks."},
    ],
    "tools": [TOOL],
}
RESPONSES = {
    "instructions": "Be kind.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Look there."}]},
        {"type": "reasoning", "summary": []},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I look."}],
        },
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "look",
            "arguments": '{"path":"a b"}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "nothing"},
        {"role": "assistant", "content": "Nothing is there."},
        {"role": "user", "content": "Thanks."},
    ],
    "tools": [
        {"type": "function", "name": "look", "description": "Looks.", "parameters": SCHEMA},
        {"type": "web_search"},
    ],
}
MESSAGES = {
    "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "Look there."},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "x"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "call_1", "name": "look", "input": {"path": "a b"}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "nothing"}],
        },
        {"role": "assistant", "content": "Nothing is there."},
        {"role": "user", "content": [{"type": "text", "text": "Thanks."}]},
    ],
    "tools": [{"name": "look", "description": "Looks.", "input_schema": SCHEMA}],
}
BODIES = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES}


@pytest.mark.parametrize("api", APIS)
def test_the_same_talk_gives_the_same_messages_and_tools_at_every_door(api):
    assert read_request(api, BODIES[api]) == (STEPS, (TOOL,))


def test_an_input_that_is_a_text_is_the_humans_message():
    assert read_request("responses", {"input": "hi"}) == ((Message("user", "hi"),), ())


def test_text_beside_a_tools_result_follows_it_as_a_message_of_the_user():
    content = [
        {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "ok"}]},
        {"type": "text", "text": "and now?"},
    ]
    messages, _ = read_request("messages", {"messages": [{"role": "user", "content": content}]})
    assert messages == (Message("tool", "ok", tool_call_id="c"), Message("user", "and now?"))


def test_two_calls_of_one_step_stay_one_message():
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    messages, _ = read_request("responses", {"input": [call, {**call, "call_id": "b"}]})
    assert messages == (Message("assistant", "", (ToolCall("a", "f", {}), ToolCall("b", "f", {}))),)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", {}),
        ("{}", {}),
        ('{"a": 1', {"text": '{"a": 1'}),
        ("[1]", {"value": [1]}),
        ('{"a": NaN}', {"text": '{"a": NaN}'}),
        ("[" * 5000, {"text": "[" * 5000}),
    ],
)
def test_arguments_that_a_model_wrote_badly_do_not_end_the_conversation(written, read):
    call = {"id": "c", "function": {"name": "f", "arguments": written}}
    body = {"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}
    (message,), _ = read_request("chat", body)
    assert message.tool_calls[0].arguments == read


IMAGE = {"type": "image_url", "image_url": {"url": "data:"}}


@pytest.mark.parametrize(
    ("api", "body", "path"),
    [
        ("chat", [], "body"),
        ("chat", {}, "messages"),
        ("chat", {"messages": []}, "messages"),
        ("chat", {"messages": ["hi"]}, "messages[0]"),
        ("chat", {"messages": [{"role": "boss", "content": "x"}]}, "messages[0].role"),
        ("chat", {"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ("chat", {"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ("chat", {"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content[0]"),
        (
            "chat",
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ("chat", {**CHAT, "tools": [{"type": "function"}]}, "tools[0].function"),
        ("responses", {"input": 3}, "input"),
        ("responses", {"input": "hi", "previous_response_id": "r"}, "previous_response_id"),
        ("responses", {"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ("responses", {"input": "hi", "tools": [{"type": "function"}]}, "tools[0].name"),
        ("messages", {"messages": [{"role": "system", "content": "x"}]}, "messages[0].role"),
        (
            "messages",
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "messages[0].content[0]",
        ),
        (
            "messages",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
        ),
        ("messages", {**MESSAGES, "system": 7}, "system"),
    ],
)
def test_a_bad_request_is_answered_with_the_path_of_the_field_and_a_way_out(api, body, path):
    with pytest.raises(InputError) as caught:
        read_request(api, body)
    assert caught.value.message.startswith(f"`{path}` ")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("chat", {"messages": [{"role": "tool", "tool_call_id": "c", "content": [IMAGE]}]}),
        (
            "messages",
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "c",
                                "content": [{"type": "image"}],
                            }
                        ],
                    }
                ]
            },
        ),
    ],
)
def test_an_image_among_a_tools_results_leaves_a_note(api, body):
    (message,), _ = read_request(api, body)
    assert message.role == "tool"
    assert "left out" in message.content


def test_a_schema_that_is_nested_without_end_is_refused():
    schema: dict = {}
    for _ in range(200):
        schema = {"items": schema}
    tool = {"function": {"name": "f", "parameters": schema}}
    with pytest.raises(InputError, match="levels deep"):
        read_request("chat", {**CHAT, "tools": [tool]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
words = st.sampled_from(
    "user assistant tool system text input_text tool_use tool_result function_call image "
    "function_call_output message reasoning function custom \ud800 \x00".split()
)
keys = st.sampled_from(
    "role content type text tool_calls tool_call_id tool_use_id id name function arguments input "
    "output call_id messages system instructions tools parameters input_schema".split()
)
shaped = st.recursive(
    words | json_values,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=30,
)


@given(
    api=st.sampled_from(APIS),
    body=json_values | st.dictionaries(keys, shaped, max_size=5),
    headers=st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=3),
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_is_read_or_refused(api, body, headers):
    try:
        messages, tools = read_request(api, body)
    except InputError as error:
        assert error.hint
        return
    understood = understand(headers, body, messages)
    assert (*understood.prompt, *understood.since) == messages or understood.channel != "openai"
    for message in messages:
        message.content.encode("utf-8")
        assert "\x00" not in message.content
    assert all(tool["function"]["name"] for tool in tools)
