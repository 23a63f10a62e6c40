"""Requests find their conversation: by a session, or by a history that is replayed inexactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_requests import asked, assistant, call, claw, first, result, stamped, user

from align_agent.capture.wire.conversations import Conversations
from align_agent.capture.wire.fingerprint import fingerprint, prefixes
from align_agent.capture.wire.turn import Answer, build_turn
from align_agent.records import Message, ToolCall
from align_agent.store import Store

LONG = "It is the tallest mountain of the whole island, and quite easy to climb."


class Talk:
    """A client that keeps its own history, and the index that has to follow it."""

    def __init__(self, index: Conversations | None = None) -> None:
        self.moment = 1_000.0
        self.index = Conversations(clock=lambda: self.moment) if index is None else index
        self.turns = []

    def say(self, *messages, answer="ok", **body):
        request = asked(*messages, **body)
        match = self.index.match(request)
        reply = Message("assistant", answer)
        self.index.answered(request, match, reply)
        self.turns.append(build_turn(request, match, Answer(reply)))
        return match


A, B, C = user("one"), assistant("ok"), user("two")


def test_a_longer_history_extends_its_conversation():
    talk = Talk()
    one, two = talk.say(A), talk.say(A, B, C)
    assert one.conversation_id == two.conversation_id
    assert one.turn_id != two.turn_id
    assert not two.known
    assert not two.branched_from


def test_an_unfaithful_replay_of_an_answer_still_extends():
    talk = Talk()
    one = talk.say(A, answer="<think>hm</think>\n\nThe  answer.")
    assert talk.say(A, assistant("The answer. "), C).conversation_id == one.conversation_id
    other = Talk()
    one = other.say(A, answer="The whole answer.")
    assert other.say(A, assistant("The who"), C).conversation_id == one.conversation_id


def test_an_edit_of_an_earlier_message_is_a_branch_that_knows_its_origin():
    talk = Talk()
    one, two = talk.say(A), talk.say(A, B, C)
    edited = talk.say(A, B, user("another"))
    assert edited.conversation_id != one.conversation_id
    assert (edited.branched_from, edited.branched_at) == (one.conversation_id, one.turn_id)
    on = talk.say(A, B, C, B, user("three"))
    assert on.conversation_id == two.conversation_id


def test_an_edit_far_back_is_a_branch_as_well():
    talk = Talk()
    talk.say(A, answer=LONG)
    talk.say(A, assistant(LONG), C, answer=LONG)
    edited = talk.say(user("un"), assistant(LONG), C, assistant(LONG), user("three"))
    assert edited.branched_from == talk.turns[0].conversation_id


def test_a_window_that_slides_stays_in_its_conversation():
    talk = Talk()
    said = [user(f"question number {n}") for n in range(6)]
    replied = [assistant(f"{LONG} {n}") for n in range(6)]
    found = set()
    for n in range(6):
        history = [m for k in range(max(0, n - 2), n) for m in (said[k], replied[k])]
        match = talk.say(*history, said[n], answer=f"{LONG} {n}")
        found.add(match.conversation_id)
        assert not match.branched_from
    assert len(found) == 1


def test_the_same_request_again_is_the_same_turn():
    talk = Talk()
    one, again = talk.say(A), talk.say(A)
    assert (again.conversation_id, again.turn_id) == (one.conversation_id, one.turn_id)
    assert again.known
    assert not one.known


def test_the_same_request_much_later_begins_anew():
    talk = Talk()
    one = talk.say(A)
    talk.moment += 3_600
    later = talk.say(A)
    assert later.conversation_id != one.conversation_id
    assert not later.known


def test_a_tools_result_continues_the_turn_however_long_it_took():
    talk = Talk()
    one = talk.say(A)
    talk.moment += 3_600
    step = talk.say(A, call("call_9-x"), result("r", "call_9-x"))
    assert (step.turn_id, step.known) == (one.turn_id, True)


def test_two_people_who_say_the_same_are_not_mixed_up():
    talk = Talk()
    assert talk.say(A, user="ann").conversation_id != talk.say(A, user="ben").conversation_id


def test_the_index_is_bounded():
    index = Conversations(max_states=10)
    talk = Talk(index)
    for number in range(50):
        talk.say(user(f"message {number}"), answer=LONG)
    assert len(index) == 10


def test_the_index_can_be_rebuilt_from_a_store_that_holds_redacted_texts(path):
    talk = Talk()
    mail = user("write to ann@example.com about it")
    one = talk.say(mail, answer="done, ann@example.com knows")
    with Store.open(path) as store:
        for turn in talk.turns:
            hidden = [replace(m, content=redacted(m.content)) for m in turn.prompt]
            answers = [replace(m, content=redacted(m.content)) for m in turn.response]
            store.turns.add(replace(turn, prompt=tuple(hidden), response=tuple(answers)))
        fresh = Conversations(clock=lambda: 1_000.0)
        assert fresh.rebuild(store) == 1
    after = Talk(fresh).say(mail, assistant("done, ann@example.com knows"), C)
    assert after.conversation_id == one.conversation_id


def redacted(text: str) -> str:
    return text.replace("ann@example.com", "[redacted:email]")


HEADERS = {"x-align-agent-session": "mine"}


def test_a_session_is_one_conversation_and_its_key_is_not_shown():
    index = Conversations()
    key = "agent:main:whatsapp:+4915112345678"
    one = index.match(claw(user(stamped(first("hi", key)))))
    two = index.match(claw(user(stamped(first("other", key), 3))))
    assert one.conversation_id == two.conversation_id
    assert one.turn_id != two.turn_id
    assert "4915112345678" not in one.conversation_id


def test_the_ids_of_a_session_survive_a_restart():
    request = asked(A, headers=HEADERS)
    assert Conversations().match(request) == Conversations().match(request)


def test_a_queued_second_try_of_openclaw_is_the_same_turn():
    index = Conversations()
    one = index.match(claw(user(stamped(first("go on")))))
    queued = "[Queued user message from a previous turn.]\n"
    again = index.match(claw(user(stamped(first(f"{queued}go on")))))
    assert (again.turn_id, again.known) == (one.turn_id, True)


def test_the_same_words_a_minute_later_are_another_turn():
    index = Conversations()
    one = index.match(claw(user(stamped(first("yes"), 1))))
    assert index.match(claw(user(stamped(first("yes"), 2)))).turn_id != one.turn_id


def test_a_turn_goes_on_when_its_history_was_compacted_in_between():
    index = Conversations()
    names = ("session_id", "x-client-request-id", "x-session-affinity")
    ids, bare = dict.fromkeys(names, "s-1:0"), dict.fromkeys(names, "s-1")
    long = [user(stamped(first("one"))), B, user(stamped("look", 4))]
    one = index.match(claw(*long, headers=ids))
    system = {"role": "system", "content": "You are a context summarization assistant."}
    side = asked(system, user("<conversation>"), headers=bare)
    assert not side.main
    assert index.match(side).conversation_id == one.conversation_id
    short = [user("A summary."), user(stamped("look", 4)), call(), result("r")]
    assert index.match(claw(*short, headers=ids)).turn_id == one.turn_id


def test_a_session_without_its_line_is_found_by_its_id():
    index = Conversations()
    ids = dict.fromkeys(("session_id", "x-client-request-id", "x-session-affinity"), "s-1:0")
    one = index.match(claw(user(stamped(first("hi"))), headers=ids))
    assert index.match(claw(user(stamped("on", 2)), headers=ids)).conversation_id == (
        one.conversation_id
    )


texts = st.text(st.characters(codec="utf-8"), max_size=20)
calls = st.builds(ToolCall, texts, texts, st.dictionaries(texts, texts, max_size=2))
messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "tool"]),
    texts,
    st.lists(calls, max_size=2).map(tuple),
    texts,
)


@given(messages, st.sampled_from([" ", "\n", "\t \n"]))
@settings(deadline=None, max_examples=60)
def test_a_replay_in_other_spelling_has_the_same_fingerprint(message, space):
    spelled = replace(
        message,
        content=space + message.content.replace(" ", space) + space,
        tool_call_id="other",
        tool_calls=tuple(replace(c, id="x", arguments={}) for c in message.tool_calls),
    )
    assert fingerprint(spelled) == fingerprint(message)


@given(st.lists(messages, min_size=1, max_size=5), st.data())
@settings(deadline=None, max_examples=60)
def test_prefixes_part_where_the_histories_do(history, data):
    place = data.draw(st.integers(0, len(history) - 1))
    changed = [*history]
    changed[place] = Message("user", f"{history[place].content} indeed, and more")
    before, after = prefixes(history, "s"), prefixes(changed, "s")
    assert before[:place] == after[:place]
    assert before[place:] != after[place:]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("b<think>a", "b"),
        ("b", "b"),
        ("<thinking>a</thinking>b<think>c</think>d", "bd"),
    ],
)
def test_thoughts_do_not_count(text, left):
    assert fingerprint(Message("assistant", text)) == fingerprint(Message("assistant", left))
