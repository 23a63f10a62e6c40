"""Searching the turns with whatever a person types."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from align_agent.store import storable


@pytest.fixture
def found(store, make_turn):
    texts = {
        "cats": ("Tell me about cats", "Cats sleep a lot."),
        "code": ("def f(x): return x*2", "`f` doubles; see foo-bar_baz and a/b."),
        "cafe": ("Où est le café ?", "À gauche."),
        "cjk": ("我想学习中文", "好的，我们开始吧。"),
        "smile": ("Nice 🙂", "Thanks!"),
        "sum": ("What is 12 + 30?", "42 (100% sure)"),
        "said": ('Who wrote "Emma"?', "Jane Austen."),
    }
    for name, (asked, answered) in texts.items():
        store.turns.add(make_turn(asked, answered, id=f"turn-{name}"))

    def search(text: str) -> set[str]:
        return {turn.id.removeprefix("turn-") for turn in store.turns.list(search=text)}

    return search


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cats", {"cats"}),
        ("CATS", {"cats"}),
        ("sleep", {"cats"}),
        ("cat", {"cats"}),
        ("about tell", {"cats"}),
        ('"about cats"', {"cats"}),
        ('"cats about"', set()),
        ("cats dogs", set()),
        ("cafe", {"cafe"}),
        ("café", {"cafe"}),
        ("学习", {"cjk"}),
        ("🙂", {"smile"}),
        ("nice 🙂", {"smile"}),
        ("foo-bar_baz", {"code"}),
        ("return x*2", {"code"}),
        ("100%", {"sum"}),
        ("%", {"sum"}),
        ("12 + 30", {"sum"}),
        ("f(x)", {"code"}),
        ("cats AND", set()),
        ("cats NOT sleep", set()),
        ("user_text:cats", set()),
        ("*", {"code"}),
        ('"', {"said"}),
        (' "', {"said"}),
        ('""', set()),
        ('"cats', {"cats"}),
        ("'", set()),
    ],
)
def test_a_search_finds_what_it_says(found, text, names):
    assert found(text) == names


def test_a_blank_search_lists_everything(found):
    assert len(found("  ")) == 7


def test_a_search_can_be_narrowed_to_a_conversation(store, make_turn):
    store.turns.add(make_turn("cats", conversation_id="a"))
    store.turns.add(make_turn("cats", conversation_id="b"))
    assert len(store.turns.list(search="cats", conversation="b")) == 1


@given(st.text(st.characters(codec=None), max_size=40))
@example('" OR 1=1 --')
@example("NEAR(a b, 2)")
@example('a" AND "b')
@example("^a* {b}: -c +d")
@example('\x00\ud800"\x00"')
@example("x " * 5000)
@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_search_text_is_an_error(found, text):
    found(text)


words = st.text(st.characters(categories=["L", "N", "Mn"], codec="utf-8"), min_size=1, max_size=8)


@given(st.lists(words, min_size=1, max_size=5), st.data())
@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_word_of_a_turn_finds_it(store, make_turn, several, data):
    turn = make_turn(" ".join(several), "")
    store.turns.add(turn)
    word = data.draw(st.sampled_from(several))
    found = store.turns.list(search=storable(word), limit=-1)
    assert turn.id in {hit.id for hit in found}


def test_excluding_a_turn_keeps_it_findable(store, make_turn):
    turn = make_turn("cats")
    store.turns.add(turn)
    store.turns.exclude(turn.id)
    assert len(store.turns.list(search="cats")) == 1


def test_a_turn_that_is_gone_is_found_no_more(store, make_turn):
    turn = make_turn("cats")
    store.turns.add(turn)
    store.connection.execute("delete from turn_messages")
    store.connection.execute("delete from turns where id = ?", [turn.id])
    assert store.turns.list(search="cats") == []
    store.connection.execute("insert into turns_fts (turns_fts) values ('integrity-check')")


def test_the_index_survives_a_vacuum(store, make_turn):
    for name in ("one", "two", "three"):
        store.turns.add(make_turn(name, id=f"turn-{name}"))
    store.connection.execute("delete from turn_messages where turn = 1")
    store.connection.execute("delete from turns where id = 'turn-one'")
    store.connection.execute("vacuum")
    assert [turn.id for turn in store.turns.list(search="three")] == ["turn-three"]


def test_an_index_that_does_not_fit_is_found_and_rebuilt(store, make_turn):
    store.turns.add(make_turn("cats"))
    store.connection.execute("insert into turns_fts (turns_fts) values ('delete-all')")
    assert any("search index" in problem for problem in store.check())
    store.rebuild_search()
    assert store.check() == []
    assert len(store.turns.list(search="cats")) == 1
