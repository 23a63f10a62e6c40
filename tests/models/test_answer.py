from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.models.answer import AnswerBuilder, Detokenizer
from align_agent.models.generation import Generation

EOS = 2
PLAIN = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)

# The tokenizer is the real one of the tiny model, shared by all examples of a test.
pytestmark = pytest.mark.usefixtures("chat")
_SHARED: dict[str, Any] = {}


@pytest.fixture(scope="module")
def chat(tiny_model: Any) -> Any:
    _SHARED["decode"] = tiny_model.chat.decode
    _SHARED["encode"] = lambda text: tiny_model.tokenizer.encode(text, add_special_tokens=False)
    return tiny_model.chat


def decode(ids: Sequence[int]) -> str:
    return _SHARED["decode"](ids)


def run(ids: Sequence[int], **settings: Any) -> tuple[list[str], Generation]:
    builder = AnswerBuilder(
        decode, eos_ids=frozenset({EOS}), max_new_tokens=settings.pop("limit", 10_000), **settings
    )
    pieces = []
    for token_id in ids:
        if builder.done:
            break
        pieces.append(builder.push(token_id, -0.5))
    last, generation = builder.finish()
    return [*pieces, last], generation


def spell(text: str) -> list[int]:
    """The text's bytes, one token each: every character comes in as many parts as it can."""
    return [i for byte in text.encode() for i in _SHARED["encode"](_BYTES[byte])]


def _byte_letters() -> dict[int, str]:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return bytes_to_unicode()


_BYTES: dict[int, str] = {}


@pytest.fixture(scope="module", autouse=True)
def byte_tokens(tiny_model: Any, chat: Any) -> None:
    """Ids of single-byte tokens, by the letters that stand for bytes in a byte-level BPE."""
    _BYTES.update(_byte_letters())
    vocab = tiny_model.tokenizer.get_vocab()
    encode: Callable[[str], list[int]] = _SHARED["encode"]
    single = {letter: [vocab[letter]] for letter in _BYTES.values()}
    _SHARED["encode"] = lambda text: single.get(text) or encode(text)


@given(st.lists(st.integers(3, 399), max_size=60))
@settings(max_examples=200)
def test_pieces_of_any_tokens_join_to_the_whole_text(ids: list[int]) -> None:
    detokenizer = Detokenizer(decode)
    pieces = [detokenizer.push(i) for i in ids]
    assert "".join([*pieces, detokenizer.finish()]) == decode(ids)


@given(PLAIN)
def test_no_piece_shows_half_a_character(text: str) -> None:
    detokenizer = Detokenizer(decode)
    pieces = [detokenizer.push(i) for i in spell(text)]
    assert "".join([*pieces, detokenizer.finish()]) == text
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in text


def test_a_character_of_four_bytes_comes_whole() -> None:
    detokenizer = Detokenizer(decode)
    assert [detokenizer.push(i) for i in spell("😀!")] == ["", "", "", "😀", "!"]


def test_a_character_that_never_ends_shows_as_a_replacement() -> None:
    detokenizer = Detokenizer(decode)
    assert [detokenizer.push(i) for i in spell("😀")[:2]] == ["", ""]
    assert detokenizer.finish() == "\ufffd"


@given(PLAIN, st.lists(PLAIN.filter(bool), min_size=1, max_size=3), st.booleans())
def test_a_stop_string_and_what_follows_is_never_shown(
    text: str, stop: list[str], tools: bool
) -> None:
    pieces, generation = run(spell(text), stop=tuple(stop), tools=tools)
    ends = [text.find(mark) for mark in stop if mark in text]
    if ends:
        first = min(text.find(mark) + len(mark) for mark in stop if mark in text)
        assert generation.finish_reason == "stop"
        assert text.startswith(generation.text)
        assert len(generation.text) < first
    else:
        assert generation.text == text
    assert not any(mark in generation.text for mark in stop)
    assert "".join(pieces) == generation.text


def test_text_that_may_become_a_stop_string_waits() -> None:
    pieces, generation = run(spell("one END two"), stop=("ENDING",))
    assert pieces[4:7] == ["", "", ""]
    assert generation.text == "one END two"


def test_a_stop_string_ends_the_answer_at_once() -> None:
    ids = spell("one##two")
    _, generation = run(ids, stop=("##",))
    assert generation.text == "one"
    assert generation.token_ids == tuple(ids[:5])


@given(PLAIN, PLAIN)
def test_a_tool_call_is_never_shown_as_text(before: str, name: str) -> None:
    import json

    call = json.dumps({"name": name or "clock", "arguments": {"x": 1}})
    text = f"{before}<tool_call>\n{call}\n</tool_call>"
    if "<tool_call>" in before:
        return
    pieces, generation = run([*spell(text), EOS], tools=True)
    assert generation.finish_reason == "tool_calls"
    assert "".join(pieces) == generation.text == before.rstrip()


@given(PLAIN)
def test_a_call_that_cannot_be_read_is_shown_whole(rest: str) -> None:
    text = "so <tool_call>{" + rest.replace('"', "")
    pieces, generation = run([*spell(text), EOS], tools=True)
    assert generation.tool_calls == ()
    assert "".join(pieces) == generation.text == text


def test_without_tools_on_offer_a_call_is_only_text() -> None:
    text = '<tool_call>{"name": "clock", "arguments": {}}</tool_call>'
    _, generation = run([*spell(text), EOS])
    assert (generation.text, generation.tool_calls) == (text, ())


@given(st.lists(st.integers(3, 399), max_size=40), st.booleans())
def test_an_answer_nobody_watches_has_the_same_text(ids: list[int], tools: bool) -> None:
    _, watched = run([*ids, EOS], tools=tools)
    _, unwatched = run([*ids, EOS], tools=tools, stream=False)
    assert unwatched.text == watched.text


def test_the_end_of_turn_is_a_token_and_no_text() -> None:
    _, generation = run([*spell("hi"), EOS])
    assert generation.text == "hi"
    assert generation.token_ids[-1] == EOS
    assert len(generation.logprobs) == len(generation.token_ids) == 3
    assert generation.finish_reason == "stop"


def test_an_answer_at_its_limit_was_cut_off() -> None:
    _, generation = run(spell("hello"), limit=3)
    assert (generation.text, generation.finish_reason) == ("hel", "length")


def test_an_end_of_turn_as_the_last_allowed_token_is_an_end() -> None:
    _, generation = run([*spell("hi"), EOS], limit=3)
    assert generation.finish_reason == "stop"
