"""Importing chats: the formats, stable ids, and bad files."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from align_agent.capture.importers import import_file, read_chats, to_turns
from align_agent.config import PrivacyConfig
from align_agent.errors import InputError
from align_agent.records import Message, ToolCall
from align_agent.store import Store

TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "What is 2+2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "Shorter, please."},
]
OPENAI = {"messages": TALK}
SHAREGPT = {
    "id": "sg-1",
    "system": "Be kind.",
    "conversations": [
        {"from": "human", "value": "What is 2+2?"},
        {"from": "gpt", "value": "4"},
        {"from": "human", "value": "Shorter, please."},
    ],
}
FOLLOW_UP = {"id": "row-1", "context": TALK[:3], "user": "Shorter, please.", "label": "negative"}


def node(name, parent, children, role=None, text="", **extra):
    message = None
    if role:
        content = {"content_type": "text", "parts": [text]}
        message = {"id": name, "author": {"role": role}, "content": content, **extra}
    return {"id": name, "parent": parent, "children": children, "message": message}


CHATGPT = {
    "title": "Sums",
    "create_time": 1700000000.25,
    "conversation_id": "cg-1",
    "current_node": "u2",
    "mapping": {
        "root": node("root", None, ["sys"]),
        "sys": node("sys", "root", ["u1"], "system", ""),
        "u1": node("u1", "sys", ["a0", "a1"], "user", "What is 2+2?"),
        "a0": node("a0", "u1", [], "assistant", "5"),
        "a1": node("a1", "u1", ["u2"], "assistant", "4"),
        "u2": node("u2", "a1", [], "user", "Shorter, please."),
    },
}


@pytest.mark.parametrize("row", [OPENAI, SHAREGPT, FOLLOW_UP, CHATGPT])
def test_the_same_talk_gives_the_same_turns_from_every_format(write_lines, row):
    (chat,) = read_chats(write_lines(row))
    first, last = to_turns(chat)
    assert (first.user_text, first.answer) == ("What is 2+2?", "4")
    assert first.response == (Message("assistant", "4"),)
    assert (last.user_text, last.answer, last.response) == ("Shorter, please.", "", ())
    assert last.prompt[:-1] == (*first.prompt, *first.response)
    assert last.prompt[-1] == Message("user", "Shorter, please.")
    assert last.created_at > first.created_at


@pytest.mark.parametrize("row", [OPENAI, SHAREGPT, FOLLOW_UP, CHATGPT])
def test_ids_do_not_change_from_one_reading_to_the_next(write_lines, row):
    once = to_turns(read_chats(write_lines(row, name="a.jsonl"))[0])
    again = to_turns(read_chats(write_lines(row, name="b.jsonl"))[0])
    assert [t.id for t in once] == [t.id for t in again]
    assert once[0].conversation_id == again[0].conversation_id


def test_ids_differ_between_turns_and_between_conversations(write_lines):
    rows = [{**SHAREGPT, "id": f"sg-{number}"} for number in range(3)]
    ids = [t.id for chat in read_chats(write_lines(*rows)) for t in to_turns(chat)]
    assert len(set(ids)) == 6


def test_a_chat_that_has_grown_keeps_the_ids_of_its_earlier_turns(write_lines):
    longer = {**SHAREGPT, "conversations": [*SHAREGPT["conversations"],
              {"from": "gpt", "value": "4."}, {"from": "human", "value": "Thanks"}]}  # fmt: skip
    before = to_turns(read_chats(write_lines(SHAREGPT, name="a.jsonl"))[0])
    after = to_turns(read_chats(write_lines(longer, name="b.jsonl"))[0])
    assert after[0].id == before[0].id
    assert len(after) == 3


def test_a_chatgpt_export_follows_the_path_that_was_shown(write_lines):
    (chat,) = read_chats(write_lines(CHATGPT))
    assert chat.conversation_id == "import:chatgpt:cg-1"
    assert chat.created_at == "2023-11-14T22:13:20.250000+00:00"
    assert [m.content for m in chat.messages] == ["What is 2+2?", "4", "Shorter, please."]


def test_a_chatgpt_export_without_a_current_node_follows_the_last_leaf(write_lines):
    row = {**CHATGPT, "current_node": None}
    (chat,) = read_chats(write_lines(row))
    assert [m.content for m in chat.messages][-1] == "Shorter, please."


def test_a_tree_that_bites_its_own_tail_is_read_once(write_lines):
    mapping = {"a": node("a", "b", ["b"], "user", "one"), "b": node("b", "a", ["a"], "user", "two")}
    (chat,) = read_chats(write_lines({"mapping": mapping, "current_node": "a"}))
    assert [m.content for m in chat.messages] == ["two", "one"]


def test_hidden_messages_and_thoughts_are_left_out_and_tools_kept(write_lines):
    mapping = {
        "u": node("u", None, ["h"], "user", "What time is it?"),
        "h": node("h", "u", ["t"], "user", "secret profile",
                  metadata={"is_visually_hidden_from_conversation": True}),
        "t": node("t", "h", ["c"], "assistant", "hmm"),
        "c": node("c", "t", ["r"], "assistant", "now()", recipient="python"),
        "r": node("r", "c", ["a"], "tool", "noon"),
        "a": node("a", "r", [], "assistant", "It is noon."),
    }  # fmt: skip
    mapping["t"]["message"]["content"] = {"content_type": "thoughts", "thoughts": []}
    (chat,) = read_chats(write_lines({"mapping": mapping, "current_node": "a"}))
    (turn,) = to_turns(chat)
    assert turn.response == (
        Message("assistant", "", (ToolCall("c", "python", {"input": "now()"}),)),
        Message("tool", "noon"),
        Message("assistant", "It is noon."),
    )


@pytest.mark.parametrize("shape", ["list", "object", "zip", "pretty", "split zip"])
def test_an_export_is_read_in_every_wrapping(tmp_path, shape):
    path = tmp_path / "conversations.json"
    if "zip" in shape:
        path = tmp_path / "export.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("chat.html", "<html>")
            name = "conversations-000.json" if "split" in shape else "conversations.json"
            archive.writestr(name, json.dumps([CHATGPT]))
    elif shape == "object":
        path.write_text(json.dumps(CHATGPT))
    else:
        path.write_text(json.dumps([CHATGPT], indent=2 if shape == "pretty" else None))
    assert [chat.conversation_id for chat in read_chats(path)] == ["import:chatgpt:cg-1"]


def test_a_pretty_printed_single_chat_is_read(tmp_path):
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(OPENAI, indent=2))
    assert len(read_chats(path)) == 1


def test_a_bare_list_of_messages_is_one_chat(tmp_path):
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(TALK))
    (chat,) = read_chats(path)
    assert len(chat.messages) == 4


def test_openai_tool_calls_and_content_parts_are_read(write_lines):
    row = {
        "messages": [
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Look:"},
                                         {"type": "image_url", "image_url": {"url": "x"}}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c1", "type": "function",
                 "function": {"name": "calculator", "arguments": '{"expression": "2+2"}'}},
                {"id": "c2", "function": {"name": "clock", "arguments": "not json"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "4"},
            {"role": "assistant", "content": "It is 4."},
        ]
    }  # fmt: skip
    (turn,) = to_turns(read_chats(write_lines(row))[0])
    assert turn.prompt[0] == Message("system", "Be kind.")
    assert turn.user_text == "Look:\n[image]"
    calls = turn.response[0].tool_calls
    assert calls == (
        ToolCall("c1", "calculator", {"expression": "2+2"}),
        ToolCall("c2", "clock", {"text": "not json"}),
    )
    assert turn.response[1] == Message("tool", "4", tool_call_id="c1")
    assert turn.answer == "It is 4."


def test_messages_of_the_user_in_a_row_make_one_turn(write_lines):
    rows = [{"role": "user", "content": "One."}, {"role": "user", "content": "Two."}, TALK[2]]
    (turn,) = to_turns(read_chats(write_lines({"messages": rows}))[0])
    assert turn.user_text == "One.\n\nTwo."
    assert len(turn.prompt) == 2


def test_a_system_message_between_turns_belongs_to_the_next_prompt(write_lines):
    rows = [*TALK[1:3], {"role": "system", "content": "Now be brief."}, TALK[3]]
    first, second = to_turns(read_chats(write_lines({"messages": rows}))[0])
    assert first.response == (Message("assistant", "4"),)
    assert Message("system", "Now be brief.") in second.prompt


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ("{not json", "not valid JSON"),
        ("[1, 2", "not valid JSON"),
        ('"a text"', "must be a JSON object, not a text"),
        ("null", "must be a JSON object, not nothing"),
        ("17", "must be a JSON object, not a number"),
        ({"question": "?", "answer": "!"}, "has none of `messages`"),
        ({"messages": ["hi"]}, "message 1 must be an object"),
        ({"messages": [{"content": "hi"}]}, "message 1 has no `role`"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "unknown role `wizard`"),
        ({"messages": [{"role": "user", "content": {"a": 1}}]}, "a content that is an object"),
        ({"conversations": [{"from": "human", "value": {}}]}, "a content that is an object"),
        ({"mapping": []}, "`mapping` must be an object"),
        ({"mapping": {"a": 1}, "current_node": "a"}, "not a chat in a known format"),
        ({"messages": [{"role": "user", "tool_calls": [1]}]}, "not a chat in a known format"),
        ("[" * 100_000, "nested far too deeply"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_still_read(write_lines, row, cause):
    path = write_lines(OPENAI, row, SHAREGPT)
    with pytest.raises(InputError, match=r"chats\.jsonl line 2: ") as caught:
        read_chats(path)
    assert cause in caught.value.message
    assert caught.value.hint
    problems: list[InputError] = []
    assert len(read_chats(path, problems=problems)) == 2
    assert [problem.message for problem in problems] == [caught.value.message]


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path):
    path = tmp_path / "chats.jsonl"
    path.write_bytes(json.dumps(OPENAI).encode() + b'\n{"messages": \xff}\n')
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        read_chats(path)


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path):
    path = tmp_path / "chats.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(OPENAI).encode() + b"\r\n\r\n")
    assert len(read_chats(path)) == 1


@pytest.mark.parametrize("data", [b"", b"\n \n", b"[]"])
def test_a_file_without_any_chat_is_refused(tmp_path, data):
    path = tmp_path / "empty.jsonl"
    path.write_bytes(data)
    with pytest.raises(InputError, match="holds no chat") as caught:
        read_chats(path)
    assert caught.value.hint


def test_a_file_that_is_not_there_is_refused(tmp_path):
    for path in (tmp_path / "nothing.jsonl", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_chats(path)


def test_a_zip_without_conversations_is_refused(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(InputError, match=r"no conversations\.json"):
        read_chats(path)


NO_USER = {"messages": [TALK[0], TALK[2]]}


@pytest.mark.parametrize("row", [NO_USER, {"messages": []}])
def test_a_conversation_without_a_user_turn_is_named_with_its_line(write_lines, row):
    _, chat = read_chats(write_lines(OPENAI, row))
    with pytest.raises(InputError, match=r"chats\.jsonl line 2: .*without any message") as caught:
        to_turns(chat)
    assert "roles" in caught.value.hint


def test_what_can_be_imported_is_imported_beside_what_cannot(write_lines, path):
    source = write_lines(OPENAI, NO_USER, "{broken", SHAREGPT)
    with Store.open(path) as store:
        report = import_file(store, source, PrivacyConfig())
        assert (report.chats, report.added, report.known) == (2, 4, 0)
        assert [p.message.split(":")[0] for p in report.problems] == [
            "chats.jsonl line 3",
            "chats.jsonl line 2",
        ]
        assert store.turns.count() == 4


def test_importing_twice_adds_nothing(write_lines, path):
    source = write_lines(OPENAI, SHAREGPT, FOLLOW_UP, CHATGPT)
    with Store.open(path) as store:
        first = import_file(store, source, PrivacyConfig())
        second = import_file(store, source, PrivacyConfig())
        assert (first.added, second.added, second.known) == (8, 0, 8)
        assert store.turns.count() == 8


def test_imported_text_is_redacted_before_it_is_stored(write_lines, path):
    key = "ghp_" + "a1B2" * 9
    row = {"messages": [{"role": "user", "content": f"my key {key}, mail a@b.org"}, TALK[2]]}
    with Store.open(path) as store:
        report = import_file(store, write_lines(row), PrivacyConfig())
        assert report.redacted == {"github_token": 1, "email": 1}
        assert store.counters.all() == {"redacted.email": 1, "redacted.github_token": 1}
    assert key.encode() not in path.read_bytes()


def test_each_new_turn_is_handed_on_as_it_was_stored(write_lines, path):
    seen = []
    with Store.open(path) as store:
        for _ in range(2):
            import_file(
                store,
                write_lines(OPENAI),
                PrivacyConfig(),
                on_stored=lambda _, turn: seen.append((turn.position, turn.user_text)),
            )
    assert seen == [(0, "What is 2+2?"), (1, "Shorter, please.")]


def test_a_chat_whose_reading_fails_is_not_half_imported(write_lines, path):
    def fail(store, turn):
        if turn.position == 1:
            raise RuntimeError

    with Store.open(path) as store:
        with pytest.raises(RuntimeError):
            import_file(store, write_lines(OPENAI), PrivacyConfig(), on_stored=fail)
        assert store.turns.count() == 0


def test_hard_texts_are_imported(write_lines, path):
    texts = ["", "a\x00b", "\ud800", "a" * 1_000_000]
    rows = [{"messages": [{"role": "user", "content": text}, TALK[2]]} for text in texts]
    with Store.open(path) as store:
        report = import_file(store, write_lines(*rows), PrivacyConfig())
        assert (report.added, report.problems) == (4, [])
        assert store.check() == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["messages", "role", "content", "conversations", "from", "value", "mapping", "user",
                 "context", "message", "parent", "children", "author", "parts", "tool_calls", "id",
                 "function", "arguments", "current_node", "create_time", "metadata"]
            ),
            inner | st.sampled_from(["user", "assistant", "a"]),
            max_size=4,
        )
    ),
    max_leaves=15,
)  # fmt: skip


@given(json_values | st.text(max_size=30))
@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_file_gives_turns_or_a_refusal(tmp_path, value):
    path = tmp_path / "any.jsonl"
    text = value if isinstance(value, str) else json.dumps(value)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        for chat in read_chats(path):
            to_turns(chat)
    except InputError as error:
        assert error.hint


@pytest.mark.parametrize("name", ["oasst", "eurtad", "ifllm_neutral"])
def test_the_shared_conversations_are_imported_whole(shared_data, path, name):
    source = shared_data / f"followups_{name}_dev.jsonl"
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    with Store.open(path) as store:
        report = import_file(store, source, PrivacyConfig(redact_personal=False))
        assert report.problems == []
        assert report.chats == len(rows)
        for row in rows:
            turns = store.turns.list(conversation=f"import:follow_up:{row['id']}", limit=-1)
            assert turns[0].user_text == row["user"].replace("\x00", "\ufffd")
            assert turns[0].response == ()
        assert store.check() == []


@pytest.mark.parametrize(
    ("given_time", "stored"),
    [
        (1700000000, "2023-11-14T22:13:20.000000+00:00"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00.000000+00:00"),
        ("2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00.000000+00:00"),
        ("2024-05-01 10:00", "2024-05-01T10:00:00.000000+00:00"),
    ],
)
def test_the_time_of_a_chat_is_read_in_every_spelling(write_lines, given_time, stored):
    (chat,) = read_chats(write_lines({**OPENAI, "created_at": given_time}))
    assert chat.created_at == stored


@pytest.mark.parametrize("given_time", ["yesterday", 1e300, -1e300, [1], True, None])
def test_a_chat_without_a_sensible_time_gets_that_of_its_file(write_lines, given_time):
    source = write_lines({**OPENAI, "created_at": given_time})
    (chat,) = read_chats(source)
    assert abs(datetime.fromisoformat(chat.created_at).timestamp() - source.stat().st_mtime) < 1


@pytest.mark.parametrize(
    ("content", "text"),
    [(17, "17"), (["a", {"text": "b"}, {}, 5], "a\nb\n[attachment]"), (None, "")],
)
def test_content_that_is_no_plain_text_becomes_one(write_lines, content, text):
    row = {"messages": [{"role": "user", "content": content}, TALK[2]]}
    (turn,) = to_turns(read_chats(write_lines(row))[0])
    assert turn.user_text == text
