"""Whether the teacher has something to teach is asked rule by rule."""

from align_agent.gate.scores import HeldOut
from align_agent.night.preflight import is_ahead, rules_kept
from align_agent.records import Message

ITEM = HeldOut((), checks=({"name": "no_emoji"}, {"name": "max_words", "n": 3}))


def test_one_rule_kept_more_often_outweighs_another_that_is_kept_less():
    wordy = rules_kept([ITEM, ITEM], ["one two three four", "one two three four"])
    smiling = rules_kept([ITEM, ITEM], ["yes 😊", "no 😊"])
    assert wordy.total() == smiling.total() == 2
    assert is_ahead(wordy, smiling)
    assert is_ahead(smiling, wordy)


def test_nobody_is_ahead_of_one_who_keeps_every_rule_as_often():
    perfect, some = rules_kept([ITEM], ["yes"]), rules_kept([ITEM], ["yes 😊"])
    assert is_ahead(perfect, some)
    assert not is_ahead(some, perfect)
    assert not is_ahead(perfect, perfect)


def test_a_rule_that_compares_with_the_question_is_broken_by_an_answer_that_leaves_it_out():
    """Else a night with no other rule finds that there is nothing to teach, night after night."""
    question = Message("user", "Translate: 12 mice eat 3 cheeses.")
    item = HeldOut((question,), checks=({"name": "numbers_kept"},))
    teacher = rules_kept([item], ["12 Mäuse essen 3 Käse."])
    champion = rules_kept([item], ["Mäuse essen Käse."])
    assert is_ahead(teacher, champion)
