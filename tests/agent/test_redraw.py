"""Answers whose tool call cannot be read are drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.agent.call import Call
from align_agent.agent.pump import Stopped
from align_agent.agent.redraw import REDRAWN, REDRAWS, until_read
from align_agent.config import Config
from align_agent.models.answer import AnswerBuilder
from align_agent.models.generation import Generation
from align_agent.models.local import LocalModel
from align_agent.records import Message
from align_agent.store import Store

GOOD = '<tool_call>{"name": "calculator", "arguments": {"expression": "7*6"}}</tool_call>'
BROKEN = '<tool_call>{"name": "calculator", "arguments": "expression": 7*}}</tool_call>'


def written(text: str) -> Iterator[str | Generation]:
    """What a model that writes `text` yields, one character at a time."""
    answer = AnswerBuilder(
        lambda ids: "".join(map(chr, ids)), eos_ids=frozenset({0}), max_new_tokens=999, tools=True
    )
    for token in [*map(ord, text), 0]:
        if piece := answer.push(token, -0.1):
            yield piece
    rest, generation = answer.finish()
    if rest:
        yield rest
    yield generation


def drawn(*texts: str, redraws: int = REDRAWS) -> tuple[str, Generation, int]:
    """What is shown, the generation, and how many draws were thrown away."""
    thrown: list[int] = []
    *shown, last = until_read(lambda n: written(texts[n]), redraws, lambda: thrown.append(1))
    assert isinstance(last, Generation)
    return "".join(piece for piece in shown if isinstance(piece, str)), last, len(thrown)


def test_a_call_that_cannot_be_read_is_drawn_again_and_never_shown() -> None:
    shown, generation, thrown = drawn(BROKEN, BROKEN, GOOD)
    assert (shown, thrown) == ("", 2)
    assert [call.arguments for call in generation.tool_calls] == [{"expression": "7*6"}]


def test_the_last_draw_stands_as_it_is() -> None:
    shown, generation, thrown = drawn(BROKEN, BROKEN, BROKEN)
    assert (shown, generation.text, thrown) == (BROKEN, BROKEN, 2)


@pytest.mark.parametrize("text", [GOOD, "It is 42.", "", f"Let me see. {BROKEN}"])
def test_what_can_be_read_or_was_seen_is_not_drawn_again(text: str) -> None:
    assert drawn(text)[1:][1] == 0


@given(st.lists(st.sampled_from([GOOD, BROKEN, "Hi.", "", f"See: {BROKEN}"]), min_size=3))
def test_the_pieces_joined_are_always_the_text_of_the_answer_that_stands(texts: list[str]) -> None:
    shown, generation, _ = drawn(*texts)
    assert shown == generation.text


class Mangling:
    """The real model, whose first answers to a conversation are a call that cannot be read."""

    def __init__(self, model: LocalModel, times: int) -> None:
        self._model = model
        self.left = times
        self.seeds: list[int | None] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        self.seeds.append(kwargs["sampling"].seed)
        if self.left:
            self.left -= 1
            return written(BROKEN)
        return self._model.stream(*args, **kwargs)  # type: ignore[no-any-return]


@pytest.fixture
def sampled(config: Config) -> Config:
    """Answers that are drawn, if hardly by chance: greedy ones are never drawn again."""
    return replace(config, model=replace(config.model, temperature=0.01))


def test_a_session_answers_as_if_the_broken_call_had_not_been_written(
    make_session: Any, scholar: LocalModel, sampled: Config
) -> None:
    mangling = Mangling(scholar, times=2)
    session = make_session(config=sampled, model=mangling)
    assert "".join(session.send("7*6?")) == "It is 42."
    assert [message.role for message in session.last_turn.response] == [
        "assistant",
        "tool",
        "assistant",
    ]
    assert len(set(mangling.seeds)) == len(mangling.seeds)
    with Store.open(session.home.database) as store:
        assert store.counters.all()[REDRAWN] == 2


def test_greedy_answers_are_drawn_once(make_session: Any, scholar: LocalModel) -> None:
    mangling = Mangling(scholar, times=1)
    session = make_session(model=mangling)
    assert "".join(session.send("7*6?")) == BROKEN
    assert len(mangling.seeds) == 1


@pytest.mark.parametrize("redraws", [0, 1])
def test_what_is_not_drawn_again_is_shown_as_it_comes(redraws: int) -> None:
    said: list[str] = []
    text = "Write <tool_call> and so on."

    def plain() -> Iterator[str | Generation]:
        for letter in ["Write ", "<tool_call>", " and", " so on."]:
            said.append(letter)
            yield letter
        yield Generation(text, (), (), "stop")

    pieces = until_read(lambda _: plain(), redraws, lambda: None)
    assert [next(pieces) for _ in range(3)] == said


def test_nobody_waits_for_another_draw_who_has_stopped(
    make_session: Any, scholar: LocalModel, sampled: Config
) -> None:
    mangling = Mangling(scholar, times=3)
    session = make_session(config=sampled, model=mangling)
    call = Call(session, None, "7*6?", 0)

    def stream(*_: Any, **facts: Any) -> Iterator[Any]:
        mangling.seeds.append(facts["sampling"].seed)
        call.stop.set()
        return written(BROKEN)

    mangling.stream = stream  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        list(call([Message("user", "7*6?")], 0, True))
    assert len(mangling.seeds) == 1
