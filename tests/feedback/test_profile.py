"""The profile: rules from complaints and from config.yaml, merged and in order."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from complaints_said import Say, complain, in_force
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from align_agent.config import Config, PreferencesConfig
from align_agent.directions import DIRECTIONS, axis_of
from align_agent.errors import InputError, UsageError
from align_agent.feedback.fading import FADED, has_faded
from align_agent.feedback.profile import BY_USER, OUTVOTED, Profile
from align_agent.feedback.scope import applies, scope_of
from align_agent.feedback.signals import observe
from align_agent.feedback.wishes import check_for, is_private
from align_agent.records import Rule
from align_agent.store import Store

# Learning


def test_a_complaint_of_a_known_direction_becomes_its_canonical_rule(
    store: Store, say: Say
) -> None:
    complain(store, say, "no bold please, it looks like AI wrote it")
    (rule,) = store.rules.list()
    direction = DIRECTIONS["format:plain"]
    assert (rule.text, rule.check, rule.status) == (direction.text, direction.check, "active")


def test_repeats_are_merged_and_keep_their_turns(store: Store, say: Say) -> None:
    complain(store, say, "No bold please.", "Stop using lists!", "I hate markdown")
    (rule,) = store.rules.list()
    assert rule.count == 3
    assert rule.first_seen < rule.last_seen
    turns = [store.turns.get(turn_id).user_text for turn_id in store.rules.turns_of(rule.id)]
    assert {"No bold please.", "Stop using lists!", "I hate markdown"} <= set(turns)


def test_newer_contradicts_older_on_the_same_axis(store: Store, say: Say, profile: Profile) -> None:
    complain(store, say, "Too long.", "Drop the bold.", "Show me the steps please.")
    assert in_force(profile) == ["format:plain", "length:steps"]
    (old,) = store.rules.list(("retired",))
    assert old.direction == "length:brief"
    assert "Show the steps" in old.reason


def test_a_retired_wish_comes_back_when_it_is_said_again(
    store: Store, say: Say, profile: Profile
) -> None:
    complain(store, say, "Too long.", "Show me the steps please.", "Way too long!")
    assert in_force(profile) == ["length:brief"]


def test_what_is_imported_later_but_was_said_earlier_does_not_contradict(
    store: Store, say: Say, profile: Profile
) -> None:
    complain(store, say, "Too long.")
    say("How many?", conversation_id="old", created_at="2020-01-01T00:00:00.000000+00:00")
    early = say(
        "Show the steps.", conversation_id="old", created_at="2020-01-01T00:01:00.000000+00:00"
    )
    observe(store, early)
    assert in_force(profile) == ["length:brief"]
    assert [rule.direction for rule in store.rules.list(("retired",))] == ["length:steps"]


def test_what_was_wrong_with_one_answer_makes_no_rule(store: Store, say: Say) -> None:
    complain(store, say, "That's wrong.", "Don't include n.", "You forgot the second part.")
    assert store.rules.list() == []
    assert store.feedback.count() == {"negative": 3}


def test_a_wish_in_own_words_is_proposed(store: Store, say: Say, profile: Profile) -> None:
    complain(store, say, "From now on use metric units.")
    (rule,) = store.rules.list()
    assert (rule.text, rule.status) == ("From now on use metric units.", "proposed")
    assert profile.rules() == []


@pytest.mark.parametrize(
    "text",
    [
        "Always call me Sam.",
        "Never mention my wife again.",
        "From now on send it to bob@example.com",
        "From now on use 12 point type.",
        "Never write to Mister Baker.",
    ],
)
def test_private_words_never_become_a_rule(store: Store, say: Say, text: str) -> None:
    complain(store, say, text)
    assert store.rules.list() == []


def test_without_auto_accept_rules_are_proposed(store: Store, say: Say) -> None:
    careful = Config()
    careful = replace(careful, feedback=replace(careful.feedback, auto_accept=False))
    complain(store, say, "No bold please.", config=careful)
    assert [rule.status for rule in store.rules.list()] == ["proposed"]


def test_a_doubtful_reading_is_proposed(store: Store, say: Say) -> None:
    strict = Config()
    strict = replace(strict, feedback=replace(strict.feedback, min_confidence=0.99))
    complain(store, say, "No bold please.", config=strict)
    assert [rule.status for rule in store.rules.list()] == ["proposed"]


def test_a_wish_that_is_a_guess_is_only_proposed(store: Store, say: Say) -> None:
    complain(store, say, "My kids would be bored to death.")
    assert [(rule.direction, rule.status) for rule in store.rules.list()] == [
        ("tone:warm", "proposed")
    ]


def test_a_proposed_rule_retires_nothing(store: Store, say: Say, profile: Profile) -> None:
    complain(store, say, "Too long.")
    careful = Config()
    careful = replace(careful, feedback=replace(careful.feedback, auto_accept=False))
    complain(store, say, "Show me the steps please.", config=careful)
    assert in_force(profile) == ["length:brief"]


def test_a_rule_that_the_user_retired_is_proposed_when_asked_for_again(
    store: Store, say: Say, profile: Profile
) -> None:
    complain(store, say, "Too long.")
    profile.retire(store.rules.list()[0].id)
    complain(store, say, "Too long.")
    (rule,) = store.rules.list()
    assert (rule.status, rule.count) == ("proposed", 2)


# Declared rules


def test_declared_rules_follow_the_configuration(store: Store, profile: Profile) -> None:
    profile.sync_declared(PreferencesConfig(rules=("No emoji.", "Be kind to animals.")))
    profile.sync_declared(PreferencesConfig(rules=("Be kind to animals.",)))
    assert [rule.text for rule in store.rules.list(("declared",))] == ["Be kind to animals."]
    (gone,) = store.rules.list(("retired",))
    assert "config.yaml" in gone.reason


def test_syncing_twice_changes_nothing(store: Store, profile: Profile) -> None:
    preferences = PreferencesConfig(rules=("No emoji.", {"text": "Be brief", "scope": "math"}))
    profile.sync_declared(preferences)
    before = store.rules.list()
    profile.sync_declared(preferences)
    assert store.rules.list() == before


def test_a_declared_wish_in_own_words_is_given_the_check_of_its_direction(
    store: Store, profile: Profile
) -> None:
    profile.sync_declared(PreferencesConfig(rules=("Please keep your answers short.",)))
    (rule,) = store.rules.list()
    assert rule.direction == "length:brief"
    assert rule.check == DIRECTIONS["length:brief"].check


def test_a_declared_check_may_be_a_name_or_a_spec(store: Store, profile: Profile) -> None:
    profile.sync_declared(
        PreferencesConfig(
            rules=(
                {"text": "Nothing bold", "check": "no_bold"},
                {"text": "Few words", "check": {"name": "max_words", "n": 30}},
            )
        )
    )
    checks = {rule.text: rule.check for rule in store.rules.list()}
    assert checks["Nothing bold"] == {"name": "no_bold"}
    assert checks["Few words"] == {"name": "max_words", "n": 30}


def test_a_wrong_declared_check_is_told(profile: Profile) -> None:
    with pytest.raises(InputError, match="no_bolt"):
        profile.sync_declared(PreferencesConfig(rules=({"text": "x", "check": "no_bolt"},)))


def test_declared_wins_over_learned_and_both_are_kept(
    store: Store, say: Say, profile: Profile
) -> None:
    complain(store, say, "Too long.")
    profile.sync_declared(PreferencesConfig(rules=("Show the steps, one by one.",)))
    assert in_force(profile) == ["length:steps"]
    (outvoted,) = store.rules.list(("proposed",))
    assert (outvoted.direction, outvoted.reason) == ("length:brief", OUTVOTED)


def test_a_complaint_against_a_declared_rule_does_not_unseat_it(
    store: Store, say: Say, profile: Profile
) -> None:
    profile.sync_declared(PreferencesConfig(rules=("Show the steps, one by one.",)))
    complain(store, say, "Too long.")
    assert in_force(profile) == ["length:steps"]


def test_a_learned_rule_of_a_declared_direction_is_shown_once(
    store: Store, say: Say, profile: Profile
) -> None:
    complain(store, say, "Too long.")
    profile.sync_declared(PreferencesConfig(rules=("Keep it short please.",)))
    assert [rule.text for rule in profile.rules()] == ["Keep it short please."]


@pytest.mark.parametrize("act", ["accept", "retire"])
def test_a_declared_rule_is_changed_in_the_configuration_only(
    store: Store, profile: Profile, act: str
) -> None:
    (rule,) = profile.sync_declared(PreferencesConfig(rules=("No emoji.",)))
    with pytest.raises(UsageError, match=r"config\.yaml"):
        getattr(profile, act)(rule.id)
    with pytest.raises(UsageError):
        profile.edit(rule.id, "Use emoji.")


# By hand


def test_an_added_rule_is_active_and_knows_its_direction(profile: Profile) -> None:
    rule = profile.add("please no more emojis")
    assert (rule.status, rule.direction, rule.check) == (
        "active",
        "emoji:none",
        {"name": "no_emoji"},
    )


def test_adding_a_rule_contradicts_the_opposite(profile: Profile) -> None:
    profile.add("Use emoji.")
    profile.add("No emoji.")
    assert in_force(profile) == ["emoji:none"]


def test_accepting_a_proposed_rule_retires_its_opposite(store: Store, profile: Profile) -> None:
    profile.add("Use emoji.")
    proposed = Rule("No emoji.", "proposed", direction="emoji:none")
    store.rules.add(proposed)
    profile.accept(proposed.id)
    assert in_force(profile) == ["emoji:none"]


def test_editing_a_rule_gives_it_the_check_of_its_new_words(profile: Profile) -> None:
    rule = profile.add("Use metric units.")
    edited = profile.edit(rule.id, "Answer in at most 3 sentences.")
    assert edited.check == {"name": "max_sentences", "n": 3}
    assert edited.id == rule.id


def test_a_retired_rule_tells_who_retired_it(profile: Profile) -> None:
    rule = profile.add("Use metric units.")
    assert profile.retire(rule.id).reason == BY_USER
    assert profile.rules() == []


@pytest.mark.parametrize("text", ["", "  ", "x" * 401])
def test_an_unusable_rule_is_refused(profile: Profile, text: str) -> None:
    with pytest.raises(InputError):
        profile.add(text)


def test_odd_characters_in_a_rule_are_stored(store: Store, profile: Profile) -> None:
    rule = profile.add("Be\x00 kind \ud800 \n please")
    assert store.rules.get(rule.id).text == rule.text


# Which rules apply


@pytest.mark.parametrize(
    ("scope", "applies"),
    [
        ("everything", True),
        ("", True),
        ("channel:chat", True),
        ("channel:mail", False),
        ("python, apples", True),
        ("python", False),
        ("apple", False),
        ("topic:apples", True),
        ("topic:mail, letter", False),
        ("code", False),
    ],
)
def test_a_scope_decides_by_channel_or_words(
    store: Store, say: Say, profile: Profile, scope: str, applies: bool
) -> None:
    store.rules.add(Rule("Be kind.", "active", scope=scope))
    turn = say("How many apples?")
    assert profile.texts_for(turn) == (["Be kind."] if applies else [])


@pytest.mark.parametrize("text", ["Write a function.", "fix this: ```x```", "Explain the SQL"])
def test_a_rule_for_code_counts_where_code_is_meant(say: Say, text: str) -> None:
    assert applies(Rule("Use type hints.", "active", scope="code"), say(text))


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("In emails, never use my first name.", "topic:email, e-mail, mail, emails, mails"),
        ("When you write code, always add type hints.", "code"),
        ("Always use metric units for recipes", "topic:recipe, recipes"),
        ("Never apologize.", "everything"),
        ("Use simple words in summaries", "topic:summary, summarize, summarise, summaries"),
    ],
)
def test_a_wish_names_its_own_scope(text: str, scope: str) -> None:
    assert scope_of(text) == scope


@pytest.mark.parametrize("scope", ["channel:", "topic: ,", "a" * 300, ",", "?"])
def test_a_scope_that_names_nothing_is_refused(profile: Profile, scope: str) -> None:
    with pytest.raises(InputError):
        profile.add("Be kind.", scope)


def test_one_wish_in_two_scopes_is_two_rules(store: Store, profile: Profile) -> None:
    profile.add("Sign with a dash.", "channel:mail")
    profile.add("Sign with a dash.", "channel:chat")
    assert len(store.rules.list()) == 2


@given(st.integers(0, 400), st.integers(1, 9), st.sampled_from(["proposed", "active", "declared"]))
def test_only_proposals_fade_and_the_often_asked_for_last(days: int, count: int, status) -> None:
    seen = datetime(2026, 1, 1, tzinfo=UTC)
    rule = Rule("x", status, count=count, last_seen=seen.isoformat())
    faded = has_faded(rule, (seen + timedelta(days=days)).isoformat(), 90)
    assert faded == (status == "proposed" and count * 0.5 ** (days / 90) < 0.25)


def test_a_proposal_that_faded_is_retired_and_comes_back_when_asked_for(
    store: Store, say: Say, profile: Profile
) -> None:
    say("How many apples?")
    observe(store, say("Never apologize."))
    assert profile.fade("2026-01-02T00:00:00+00:00") == []
    (gone,) = profile.fade("2027-01-02T00:00:00+00:00")
    assert (gone.status, gone.reason) == ("retired", FADED)
    say("How many pears?")
    observe(store, say("Never apologize!"))
    assert [rule.status for rule in store.rules.list()] == ["proposed"]


def test_both_sides_of_a_contradiction_are_shown(store: Store, profile: Profile) -> None:
    old, new = profile.add("No emoji."), profile.add("Use emoji.")
    assert profile.contrary(new) == [store.rules.get(old.id)]
    assert profile.contrary(store.rules.get(old.id)) == [new]


def test_the_order_of_rules_does_not_depend_on_the_order_of_learning(
    store: Store, profile: Profile
) -> None:
    texts = [DIRECTIONS[key].text for key in ("emoji:none", "tone:warm", "format:plain")]
    random.Random(1).shuffle(texts)
    for text in texts:
        profile.add(text)
    assert in_force(profile) == ["format:plain", "tone:warm", "emoji:none"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.lists(
        st.sampled_from(
            ["Too long.", "Show the steps.", "No bold.", "Use lists.", "Drop the emoji.", "Thanks!"]
        ),
        max_size=8,
    )
)
def test_no_two_rules_in_force_contradict_each_other(
    store: Store, say: Say, profile: Profile, texts: list[str]
) -> None:
    complain(store, say, *texts)
    axes = [axis_of(rule.direction) for rule in profile.rules()]
    assert len(axes) == len(set(axes))


# Wishes in own words


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("Answer in at most 3 sentences.", {"name": "max_sentences", "n": 3}),
        ("No more than fifty apples", None),
        ("Use up to 40 words", {"name": "max_words", "n": 40}),
        ("Answer in one sentence", {"name": "max_sentences", "n": 1}),
        ('Start every answer with "Sure"', {"name": "starts_with", "text": "Sure"}),
        ('Always end with "Cheers"', {"name": "ends_with", "text": "Cheers"}),
        ('Never say "certainly"', {"name": "avoids", "text": "certainly"}),
        ("don't use the word \u201cdelve\u201d", {"name": "avoids", "text": "delve"}),
        ("Please answer in German from now on.", {"name": "language", "code": "de"}),
        ("Never answer in German.", None),
        ("Please answer in Japanese", {"name": "language", "code": "ja"}),
        ("Stop apologizing.", {"name": "no_apology"}),
        ("Never start with an apology.", None),
        ("Always give the result first", {"name": "answer_first"}),
        ("Never begin with the answer", None),
        ("Don't end your answers with a question.", {"name": "no_question"}),
        ("Answer as JSON from now on", {"name": "json"}),
        ("Don't answer in JSON", None),
        ("Always keep the numbers", {"name": "numbers_kept"}),
        ("Use metric units.", None),
    ],
)
def test_a_wish_that_a_program_can_verify_gets_its_check(
    text: str, check: dict[str, Any] | None
) -> None:
    assert check_for(text) == check


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("From now on use metric units.", False),
        ("Always answer in German", False),
        ("never use Markdown", False),
        ("Always greet Anna", True),
        ("use my name", True),
        ("Never use 3 words", True),
        ("mail me at a@b.de", True),
        ("always link to www.example.org", True),
        ("never mention my diabetes", True),
        ("remember that she is pregnant", True),
        ("never mention my affair", True),
        ("i have epilepsy", True),
        ("keep my migraine in mind", True),
        ("i have crohn's", True),
        ("never mention peter again", True),
        ("always repeat my question first", False),
        ("never mention the source", False),
        ("keep my wording", False),
    ],
)
def test_private_wishes_are_told(text: str, private: bool) -> None:
    assert is_private(text) is private


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    check_for(text)
    is_private(text)
