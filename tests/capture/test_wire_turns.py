"""Requests and answers become turns; unfinished ones wait."""

from __future__ import annotations

from wire_requests import asked, assistant, call, claw, context, first, result, stamped, user

from align_agent.capture.wire.conversations import Conversations
from align_agent.capture.wire.turn import Answer, OpenTurns, build_turn
from align_agent.records import Message, ToolCall

CALL = Message("assistant", "", (ToolCall("call_1", "look", {"at": 1}),))
DONE = Message("assistant", "Nothing is there.")
ASK = user(stamped(first("look there", channel="telegram")))


def turn_of(request, message, index=None, **fields):
    match = (index or Conversations()).match(request)
    return build_turn(request, match, Answer(message, **fields))


def test_the_prompt_ends_with_the_humans_clean_words():
    turn = turn_of(claw(ASK, tail=context("sender 42")), DONE, version=3, base="b")
    assert turn.prompt[-1] == Message("user", "look there")
    assert turn.prompt[-1].content == turn.user_text
    assert "sender 42" not in str(turn)
    assert (turn.answer, turn.response) == (DONE.content, (DONE,))
    assert (turn.channel, turn.version, turn.base) == ("openclaw:telegram", 3, "b")


def test_the_prompt_of_a_turn_begins_the_prompt_of_the_next():
    one = turn_of(claw(ASK), DONE)
    two = turn_of(claw(ASK, assistant(DONE.content), user(stamped("on", 2))), DONE)
    assert two.prompt[:-1] == (*one.prompt, *one.response)


def test_a_turn_with_tools_is_recorded_once_and_whole():
    index, waiting = Conversations(), OpenTurns()
    begun = turn_of(claw(ASK), CALL, index, finish_reason="tool_calls", latency_ms=10)
    assert waiting.settle(begun) == ()
    ended = turn_of(claw(ASK, call(), result("empty")), DONE, index, latency_ms=5)
    (turn,) = waiting.settle(ended)
    assert turn.id == begun.id
    assert [message.role for message in turn.response] == ["assistant", "tool", "assistant"]
    assert turn.prompt == begun.prompt
    assert turn.latency_ms == 15
    assert turn.created_at == begun.created_at
    assert len(waiting) == 0


def test_a_turn_that_waits_in_vain_is_let_go_before_the_next():
    index, waiting = Conversations(), OpenTurns()
    waiting.settle(turn_of(claw(ASK), CALL, index, finish_reason="tool_calls"))
    after = turn_of(claw(ASK, user(stamped("never mind", 2))), DONE, index)
    assert [turn.user_text for turn in waiting.settle(after)] == ["look there", "never mind"]


def test_a_heartbeat_between_two_steps_does_not_end_the_turn():
    index, waiting = Conversations(), OpenTurns()
    waiting.settle(turn_of(claw(ASK), CALL, index, finish_reason="tool_calls"))
    beat = turn_of(claw(user(first("Follow the heartbeat."))), DONE, index)
    assert waiting.settle(beat) == (beat,)
    assert not beat.main
    assert len(waiting) == 1


def test_a_second_try_takes_the_place_of_an_aborted_answer():
    index, waiting = Conversations(), OpenTurns()
    broken = Message("assistant", "Noth")
    assert waiting.settle(turn_of(claw(ASK), broken, index, finish_reason="aborted")) == ()
    (turn,) = waiting.settle(turn_of(claw(ASK), DONE, index))
    assert (turn.answer, turn.finish_reason) == (DONE.content, "stop")


def test_a_failed_request_leaves_a_turn_without_an_answer():
    waiting = OpenTurns()
    empty = Message("assistant", "")
    waiting.settle(turn_of(claw(ASK), empty, finish_reason="error"))
    (turn,) = waiting.flush()
    assert (turn.response, turn.answer, turn.finish_reason) == ((), "", "error")


def test_waiting_turns_are_bounded_and_the_oldest_goes_first():
    waiting = OpenTurns(max_open=2)
    let_go = []
    for number in range(4):
        request = asked(user(f"message {number}"))
        let_go += waiting.settle(turn_of(request, CALL, finish_reason="tool_calls"))
    assert [turn.user_text for turn in let_go] == ["message 0", "message 1"]


def test_flush_lets_only_the_old_ones_go():
    moment = [0.0]
    waiting = OpenTurns(clock=lambda: moment[0])
    waiting.settle(turn_of(asked(user("one")), CALL))
    moment[0] = 100.0
    waiting.settle(turn_of(asked(user("two")), CALL))
    assert [turn.user_text for turn in waiting.flush(older_than=50)] == ["one"]


def test_an_answer_that_the_client_began_is_one_message():
    request = asked(user("Count."), assistant("One, "))
    turn = turn_of(request, Message("assistant", "two."))
    assert turn.response == (Message("assistant", "One, two."),)


def test_side_traffic_is_marked():
    turn = turn_of(claw(user(first("Follow the heartbeat."))), DONE)
    assert not turn.main
