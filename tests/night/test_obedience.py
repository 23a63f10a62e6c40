"""Whether the teacher has something to teach is asked rule by rule."""

from align_agent.gate.scores import HeldOut
from align_agent.night.preflight import is_ahead, rules_kept

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
