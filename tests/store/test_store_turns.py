"""Turns: what is stored comes back, in order, once."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from align_agent.errors import InputError, NotFound
from align_agent.records import Message, ToolCall, Turn, new_id
from align_agent.store import Store, storable


def test_a_turn_comes_back_as_it_was_stored(store):
    call = ToolCall("call-1", "calculator", {"expression": "2+2", "deep": {"list": [1, None]}})
    turn = Turn(
        conversation_id="chat-1",
        prompt=(Message("system", "Be kind."), Message("user", "2+2?")),
        response=(
            Message("assistant", "", (call,)),
            Message("tool", "4", tool_call_id="call-1"),
            Message("assistant", "It is 4. 🙂"),
        ),
        user_text="2+2?",
        answer="It is 4. 🙂",
        channel="whatsapp",
        version=3,
        base="pocket",
        main=False,
        finish_reason="length",
        excluded=True,
        latency_ms=12.5,
    )
    assert store.turns.add(turn)
    stored = store.turns.get(turn.id)
    assert stored.position == 0
    assert stored == Turn(**{**{f: getattr(turn, f) for f in turn.__slots__}, "position": 0})


def test_the_same_turn_is_stored_once(store, make_turn):
    turn = make_turn()
    assert [store.turns.add(turn), store.turns.add(turn)] == [True, False]
    assert store.turns.count() == 1


def test_a_known_turn_is_never_written_over(store, make_turn):
    turn = make_turn()
    store.turns.add(turn)
    store.turns.add(make_turn("another", "text", id=turn.id))
    assert store.turns.get(turn.id).answer == "4"


def test_positions_count_up_within_each_conversation(store, make_turn):
    for conversation in ("a", "b", "a", "a", "b"):
        store.turns.add(make_turn(conversation_id=conversation, position=99))
    positions = [(t.conversation_id, t.position) for t in store.turns.all_main()]
    assert positions == [("a", 0), ("b", 0), ("a", 1), ("a", 2), ("b", 1)]


def test_a_message_that_repeats_is_stored_once(store, make_turn):
    for number in range(20):
        store.turns.add(make_turn(f"question {number}", "the same answer"))
    assert store.connection.value("select count(*) from messages where role = 'system'") == 1
    assert store.connection.value("select count(*) from messages where role = 'assistant'") == 1


def test_messages_that_differ_only_in_their_calls_are_kept_apart(store, make_turn):
    first = make_turn(response=(Message("assistant", "", (ToolCall("1", "clock", {}),)),))
    second = make_turn(response=(Message("assistant", "", (ToolCall("2", "clock", {}),)),))
    store.turns.add(first)
    store.turns.add(second)
    assert store.turns.get(first.id).response == first.response
    assert store.turns.get(second.id).response == second.response


def test_tool_calls_can_be_asked_for_with_their_results(store, make_turn):
    response = (
        Message("assistant", "", (ToolCall("1", "clock", {}), ToolCall("2", "calculator", {}))),
        Message("tool", "noon", tool_call_id="1"),
    )
    store.turns.add(make_turn(response=response))
    rows = store.connection.rows("select name, result from tool_calls order by place")
    assert rows == [{"name": "clock", "result": "noon"}, {"name": "calculator", "result": ""}]


def test_an_empty_answer_without_a_response_is_a_turn(store, make_turn):
    turn = make_turn("just a follow-up", "", response=())
    store.turns.add(turn)
    assert store.turns.get(turn.id).response == ()
    assert store.turns.get(turn.id).answer == ""


@pytest.mark.parametrize("field", ["id", "conversation_id"])
def test_a_turn_without_a_name_is_refused(store, make_turn, field):
    with pytest.raises(InputError):
        store.turns.add(make_turn(**{field: ""}))


def test_a_turn_is_found_by_the_beginning_of_its_id(store, make_turn):
    store.turns.add(make_turn(id="turn-abc123"))
    store.turns.add(make_turn(id="turn-abd456"))
    assert store.turns.get("turn-abc").id == "turn-abc123"
    assert store.turns.get("abd").id == "turn-abd456"


def test_a_beginning_that_fits_several_turns_is_refused_with_their_ids(store, make_turn):
    store.turns.add(make_turn(id="turn-abc123"))
    store.turns.add(make_turn(id="turn-abd456"))
    with pytest.raises(NotFound, match=r"turn-abc123, turn-abd456") as caught:
        store.turns.get("turn-ab")
    assert "more of the id" in caught.value.hint


def test_a_whole_id_wins_over_a_longer_one_that_begins_with_it(store, make_turn):
    store.turns.add(make_turn(id="turn-a"))
    store.turns.add(make_turn(id="turn-ab"))
    assert store.turns.get("turn-a").id == "turn-a"


@pytest.mark.parametrize("wanted", ["", "turn-x", "%", "turn-_", "\ud800", "\x00", "'; --"])
def test_an_unknown_turn_is_not_found(store, make_turn, wanted):
    store.turns.add(make_turn(id="turn-abc"))
    with pytest.raises(NotFound) as caught:
        store.turns.get(wanted)
    assert caught.value.hint


def test_turns_are_listed_by_time_in_both_directions(store, make_turn):
    for day in (2, 1, 3):
        store.turns.add(make_turn(id=f"turn-{day}", created_at=f"2026-01-0{day}T00:00:00+00:00"))
    assert [t.id for t in store.turns.list()] == ["turn-3", "turn-2", "turn-1"]
    assert [t.id for t in store.turns.list(newest_first=False)] == ["turn-1", "turn-2", "turn-3"]
    assert [t.id for t in store.turns.list(limit=1, offset=1)] == ["turn-2"]
    assert len(store.turns.list(limit=-1)) == 3


def test_a_listing_can_be_narrowed(store, make_turn):
    store.turns.add(make_turn(id="turn-1", conversation_id="a"))
    store.turns.add(make_turn(id="turn-2", conversation_id="b"))
    store.turns.add(make_turn(id="turn-3", conversation_id="b", main=False))
    assert [t.id for t in store.turns.list(conversation="b")] == ["turn-3", "turn-2"]
    assert [t.id for t in store.turns.list(conversation="b", main_only=True)] == ["turn-2"]
    assert store.turns.list(conversation="nowhere") == []


def test_side_turns_are_passed_over_when_looking_for_the_neighbours(store, make_turn):
    for name, main in (("1", True), ("2", False), ("3", True)):
        store.turns.add(make_turn(id=f"turn-{name}", main=main))
    first, last = store.turns.get("turn-1"), store.turns.get("turn-3")
    assert store.turns.follow_up_of(first) == last
    assert store.turns.previous_of(last) == first
    assert store.turns.follow_up_of(last) is None
    assert store.turns.previous_of(first) is None


def test_a_turn_that_was_never_read_back_still_finds_its_neighbour(store, make_turn):
    fresh = make_turn()
    store.turns.add(fresh)
    store.turns.add(make_turn(id="turn-next"))
    assert fresh.position == -1
    assert store.turns.follow_up_of(fresh).id == "turn-next"


def test_neighbours_never_come_from_another_conversation(store, make_turn):
    first = make_turn(conversation_id="a")
    store.turns.add(first)
    store.turns.add(make_turn(conversation_id="b"))
    assert store.turns.follow_up_of(store.turns.get(first.id)) is None


def test_the_latest_turn_is_the_newest_main_one(store, make_turn):
    assert store.turns.latest() is None
    store.turns.add(make_turn(id="turn-1", created_at="2026-01-01", conversation_id="a"))
    store.turns.add(make_turn(id="turn-2", created_at="2026-01-02", conversation_id="b"))
    store.turns.add(make_turn(id="turn-3", created_at="2026-01-03", main=False))
    assert store.turns.latest().id == "turn-2"
    assert store.turns.latest("a").id == "turn-1"
    assert store.turns.last_activity("2026-01-04") == "2026-01-02"


def test_there_is_no_activity_before_the_first_turn(store):
    assert store.turns.last_activity("2026-01-02") is None


def test_a_turn_can_be_excluded_and_let_in_again(store, make_turn):
    store.turns.add(make_turn(id="turn-1"))
    assert store.turns.exclude("turn-1").excluded
    assert store.turns.get("turn-1").excluded
    assert not store.turns.exclude("1", excluded=False).excluded
    with pytest.raises(NotFound):
        store.turns.exclude("nothing")


def test_conversations_are_summed_up(store, make_turn):
    store.turns.add(make_turn(conversation_id="a", created_at="2026-01-01"))
    store.turns.add(make_turn(conversation_id="b", created_at="2026-01-02", channel="import"))
    store.turns.add(make_turn(conversation_id="a", created_at="2026-01-03"))
    assert store.turns.conversations() == [
        {
            "id": "a",
            "channel": "chat",
            "started_at": "2026-01-01",
            "last_at": "2026-01-03",
            "turns": 2,
        },
        {
            "id": "b",
            "channel": "import",
            "started_at": "2026-01-02",
            "last_at": "2026-01-02",
            "turns": 1,
        },
    ]


def test_all_main_turns_come_in_order_whatever_their_number(store, make_turn):
    with store.transaction():
        for number in range(450):
            store.turns.add(make_turn(str(number), main=number % 3 > 0))
    assert [t.user_text for t in store.turns.all_main()] == [
        str(number) for number in range(450) if number % 3
    ]


def test_writing_while_reading_all_turns_does_not_disturb(store, path, make_turn):
    for number in range(3):
        store.turns.add(make_turn(str(number)))
    with Store.open(path) as other:
        seen = []
        for turn in other.turns.all_main():
            seen.append(turn.user_text)
            store.turns.exclude(turn.id)
    assert seen == ["0", "1", "2"]


def test_everything_in_a_transaction_is_stored_or_nothing(store, make_turn):
    with pytest.raises(RuntimeError), store.transaction():
        store.turns.add(make_turn())
        store.counters.bump("x")
        raise RuntimeError
    assert (store.turns.count(), store.counters.all()) == (0, {})
    with store.transaction():
        store.turns.add(make_turn())
    assert store.turns.count() == 1


def test_an_inner_part_that_fails_leaves_the_outer_one_whole(store, make_turn):
    with store.transaction():
        store.turns.add(make_turn())
        with pytest.raises(RuntimeError), store.transaction():
            store.turns.add(make_turn())
            raise RuntimeError
    assert store.turns.count() == 1


def test_a_turn_that_cannot_be_stored_whole_is_not_stored_at_all(store, make_turn):
    bad = make_turn(response=(Message("assistant", "x"), Message("tool", object())))
    with pytest.raises(Exception):  # noqa: B017 - whatever it is, nothing may stay behind
        store.turns.add(bad)
    assert store.turns.count() == 0
    assert store.connection.value("select count(*) from messages") == 0
    assert store.turns.conversations() == []


HARD_TEXTS = {
    "empty": "",
    "blank": " \n\t ",
    "a megabyte of one sign": "a" * 1_000_000,
    "NUL": "a\x00b\x00",
    "lone surrogates": "a\ud800b\udfffc",
    "a pair of surrogates": "\ud83d\ude00",
    "emoji": "👩‍👩‍👧‍👦🇩🇪",
    "right to left": "שלום \u202eabc",
    "combining": "e\u0301" * 500,
    "control signs": "".join(map(chr, range(1, 32))),
    "quotes": "'\"`;--%_\\",
    "no character": "\uffff\ufffe\U0010ffff",
}


@pytest.mark.parametrize("text", HARD_TEXTS.values(), ids=HARD_TEXTS)
def test_any_text_is_stored_and_read_back(store, make_turn, text):
    turn = make_turn(text, text, conversation_id=f"chat {text[:50]}")
    assert store.turns.add(turn)
    stored = store.turns.get(turn.id)
    assert stored.user_text == storable(text) == stored.prompt[-1].content
    assert stored.answer == storable(text) == stored.response[-1].content
    assert store.check() == []


@given(st.text(st.characters(codec=None)))
@settings(deadline=None)
def test_storable_text_is_utf8_without_nul_and_stays_as_it_is(text):
    once = storable(text)
    once.encode("utf-8")
    assert "\x00" not in once
    assert len(once) == len(text)
    assert storable(once) == once


any_text = st.text(st.characters(codec=None), max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False)
    | any_text.map(storable),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=any_text.map(storable),
    tool_calls=st.lists(
        st.builds(
            ToolCall,
            id=any_text.map(storable),
            name=any_text.map(storable),
            arguments=st.dictionaries(any_text.map(storable), json_values, max_size=3),
        ),
        max_size=2,
    ).map(tuple),
    tool_call_id=any_text.map(storable),
)


@given(st.lists(messages, max_size=4), st.lists(messages, max_size=4))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_messages_come_back_as_they_were(store, prompt, response):
    turn = Turn("chat", tuple(prompt), tuple(response), "asked", "answered", id=new_id("turn"))
    store.turns.add(turn)
    stored = store.turns.get(turn.id)
    assert (stored.prompt, stored.response) == (turn.prompt, turn.response)


@given(st.lists(messages, max_size=3), st.lists(messages, max_size=3))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_facts_tell_whether_something_was_asked_and_answered(store, prompt, response):
    turn = Turn("chat", tuple(prompt), tuple(response), "asked", "answered", id=new_id("turn"))
    store.turns.add(turn)
    facts = store.turns.facts()[-1]
    assert facts["id"] == turn.id
    assert bool(facts["asked"]) == any(m.role == "user" and m.content.strip() for m in prompt)
    assert bool(facts["answered"]) == any(
        m.role == "assistant" and (m.content or m.tool_calls) for m in response
    )


def test_turns_come_in_the_order_in_which_their_numbers_are_asked_for(store, make_turn):
    for i in range(450):
        store.turns.add(make_turn(id=f"turn-{i:03d}"))
    numbers = [row["number"] for row in store.turns.facts()][::-1]
    wanted = [f"turn-{i:03d}" for i in range(450)][::-1]
    assert [turn.id for turn in store.turns.several(numbers)] == wanted
    assert [turn.id for turn in store.turns.without_history(numbers)] == wanted


def test_several_turns_come_whole_and_without_history_with_the_system_message_alone(store):
    head, asked = Message("system", "Be kind."), Message("user", "2+2?")
    said = Message("assistant", "4")
    store.turns.add(Turn("chat", (head, asked), (said,), "2+2?", "4", id="turn-headed"))
    store.turns.add(Turn("chat", (asked,), (said,), "2+2?", "4", id="turn-bare"))
    numbers = [row["number"] for row in store.turns.facts()]
    assert store.turns.several(numbers) == [
        store.turns.get("turn-headed"),
        store.turns.get("turn-bare"),
    ]
    headed, bare = store.turns.without_history(numbers)
    assert (headed.prompt, bare.prompt) == ((head,), ())
    assert [(t.user_text, t.answer, t.response) for t in (headed, bare)] == [("2+2?", "4", ())] * 2
