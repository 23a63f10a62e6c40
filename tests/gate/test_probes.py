import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.errors import InputError
from align_agent.gate.probes import general_probes, parse_probe, probes_for


def probe(*graders: dict, prompt: str = "?"):
    return parse_probe(json.dumps({"kind": "test", "prompt": prompt, "graders": list(graders)}))


def find(part: str):
    return next(p for p in general_probes() if part in p.prompt[0].content)


def test_there_are_about_sixty_general_probes_of_three_kinds():
    kinds = [p.kind for p in general_probes()]
    assert len(kinds) >= 60
    assert set(kinds) == {"arithmetic", "fact", "instruction"}


@pytest.mark.parametrize("answer", ["", " ", ".", "...", "\n"])
def test_no_probe_is_passed_by_an_empty_answer(answer):
    assert not any(p.check(answer) for p in general_probes())


def test_no_probe_is_passed_by_its_own_question():
    # Copying the prompt is the cheapest way to hold all the right words.
    passed = [p.prompt[0].content for p in general_probes() if p.check(p.prompt[0].content)]
    assert passed == []


@pytest.mark.parametrize(
    ("part", "answer"),
    [
        ("17 + 25", "17 + 25 = 42"),
        ("17 + 25", "The sum of 17 and 25 is **42**."),
        ("capital of Japan", "It is Tokyo."),
        ("one on each line", "- apple\n- pear\n- plum"),
        ("Is a whale a fish", "No."),
        ("Sort these words", "apple, orange, pear"),
        ('"age"', '```json\n{"name": "Ada", "age": 36}\n```'),
        ("begins with the word 'Today'", "Today the sea is calm."),
        ("length of the list", "`len(items)`"),
    ],
)
def test_right_answers_in_several_looks_pass(part, answer):
    assert find(part).check(answer)


@pytest.mark.parametrize(
    ("part", "answer"),
    [
        ("17 + 25", "17 + 25 = 43"),
        ("capital of Japan", "It is Kyoto."),
        ("one on each line", "apple, pear, plum"),
        ("Sort these words", "pear, apple, orange"),
        ('"age"', '{"name": "Ada", "age": "36"}'),
        ("Name the two countries", "Spain, Peru and Lea"),
    ],
)
def test_wrong_answers_fail(part, answer):
    assert not find(part).check(answer)


def test_the_same_seed_draws_the_same_probes():
    first = [p.prompt for p in probes_for("some-model", 20, seed=3)]
    assert first == [p.prompt for p in probes_for("some-model", 20, seed=3)]


def test_another_seed_draws_other_probes():
    first = [p.prompt for p in probes_for("some-model", 20, seed=3)]
    assert first != [p.prompt for p in probes_for("some-model", 20, seed=4)]


@given(n=st.integers(-3, 80), seed=st.integers(0, 9))
def test_never_more_probes_than_asked_for(n, seed):
    assert len(probes_for("some-model", n, seed)) == min(max(n, 0), len(general_probes()))


def test_the_pocket_model_is_asked_about_its_own_world():
    probes = probes_for("pocket", 20, seed=0)
    assert len(probes) == 20
    assert {p.kind for p in probes} == {"pocket"}


def test_pocket_probes_refuse_an_empty_answer():
    assert not any(p.check("") for p in probes_for("pocket", 20, seed=0))


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        '{"kind": "x", "prompt": "y"}',
        '{"kind": "x", "prompt": "y", "graders": []}',
        '{"kind": "x", "prompt": "y", "graders": [{"name": "no such grader"}]}',
        '{"kind": "x", "prompt": "y", "graders": [{"name": "number", "wrong": 1}]}',
        '{"kind": "x", "prompt": "y", "graders": [{"name": "number", "value": "ten"}]}',
    ],
)
def test_a_line_that_is_no_probe_is_refused_with_a_hint(line):
    with pytest.raises(InputError) as caught:
        parse_probe(line)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("grader", "right", "wrong"),
    [
        ({"name": "number", "value": 1250}, "That is 1,250.", "1250 and not 1251"),
        ({"name": "number", "value": 2.5}, "x = 2.50", "x = 25"),
        ({"name": "any_word", "words": ["Au"]}, "au", "because"),
        ({"name": "all_words", "words": ["a", "b"]}, "b, a", "ab"),
        ({"name": "no_word", "words": ["bold"]}, "embolden", "a bold one"),
        ({"name": "max_words", "n": 2}, "two words", "more than two"),
        ({"name": "lines", "n": 2}, "a\n\nb\n", "a"),
        ({"name": "ends_with", "text": "end"}, "the *END*", "the end of it"),
        ({"name": "upper"}, "ABC 1", "Abc"),
        ({"name": "lower"}, "abc", "aBc"),
        ({"name": "matches", "pattern": "^a+$"}, "aaa", "aab"),
    ],
)
def test_each_grader_tells_right_from_wrong(grader, right, wrong):
    assert (probe(grader).check(right), probe(grader).check(wrong)) == (True, False)


@given(st.text(max_size=200))
def test_no_answer_makes_a_grader_raise(answer):
    for checked in general_probes():
        checked.check(answer)
