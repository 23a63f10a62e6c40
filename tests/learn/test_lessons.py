"""Demonstrations and documents as lessons: stored once, replaced, redacted, selected by a night."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from align_agent.config import Config
from align_agent.distill.hindsight import Shown
from align_agent.errors import InputError
from align_agent.feedback.shown import document_checks, edit
from align_agent.learn import lessons as log
from align_agent.learn.demonstrations import Demonstration
from align_agent.learn.documents import Document, questions_in, read_document
from align_agent.night import plan
from align_agent.night.everyday import asked_alike
from align_agent.paths import Home
from align_agent.records import Message, Turn
from align_agent.store import Store


@pytest.fixture
def store(tmp_path: Path):
    home = Home(tmp_path / "home").ensure()
    with Store.open(home.database) as found:
        yield found


def shown(prompt: str, answer: str) -> Demonstration:
    return Demonstration((Message("user", prompt),), answer)


def kept(store: Store, lessons: list[log.Lesson]) -> log.Sorted:
    """Store lessons as a model would have answered them."""
    found = log.sort(store, lessons)
    turns = [
        Turn(
            f"lesson-{lesson.turn_id}",
            lesson.prompt,
            (Message("assistant", "old"),),
            lesson.prompt[-1].content,
            "old",
            id=lesson.turn_id,
            channel=log.CHANNEL,
        )
        for lesson in found.new
    ]
    log.keep(store, found.new, turns, found.replaced)
    return found


def chosen(store: Store, config: Config) -> list:
    everything = plan.choose(store, config, plan.Wishes(store, config))
    return [*everything.train, *everything.heldout]


def test_the_same_lessons_are_stored_once(store: Store) -> None:
    lessons = log.of_demonstrations([shown("a b", "one"), shown("c d", "two")], Config())
    assert len(kept(store, lessons).new) == 2
    again = kept(store, lessons)
    assert (len(again.new), len(again.known), store.turns.count()) == (0, 2, 2)


def test_another_answer_to_the_same_prompt_replaces_the_first(store: Store) -> None:
    config = Config()
    kept(store, log.of_demonstrations([shown("a b", "one"), shown("c d", "x")], config))
    found = kept(store, log.of_demonstrations([shown("a b", "two")], config))
    assert len(found.replaced) == 1
    assert {c.shown.demonstration for c in chosen(store, config)} == {"two", "x"}


def test_an_answer_that_was_replaced_can_come_back(store: Store) -> None:
    config = Config()
    for answer in ("one", "two", "one"):
        kept(store, log.of_demonstrations([shown("a b", answer)], config))
    assert [c.shown.demonstration for c in chosen(store, config)] == ["one"]


def test_a_newer_text_of_a_document_replaces_all_its_lessons(store: Store) -> None:
    config = Config()
    kept(store, log.of_document(Document("guide", "Be brief."), ["a b", "c d"], config))
    kept(store, log.of_document(Document("other", "Be kind."), ["a b"], config))
    kept(store, log.of_document(Document("guide", "Be long."), ["e f"], config))
    assert {c.shown.document for c in chosen(store, config)} == {"Be long.", "Be kind."}


def test_a_secret_in_a_demonstration_is_never_stored(store: Store) -> None:
    key = "sk-proj-" + "a1B2" * 12
    kept(store, log.of_demonstrations([shown(f"My key is {key}", f"Keep {key} safe")], Config()))
    (turn,) = store.turns.list()
    assert key not in turn.user_text
    assert key not in store.feedback.for_turn(turn.id)[0].text


def test_a_night_shows_its_teacher_what_was_demonstrated(store: Store) -> None:
    config = Config()
    kept(store, log.of_demonstrations([shown("a b", "the ideal")], config))
    wishes = plan.Wishes(store, config)
    (candidate,) = chosen(store, config)
    example = plan.lesson_of(candidate, wishes, config)
    assert "A good answer:\nthe ideal" in example.hindsight
    assert "old" not in example.hindsight.replace("<hindsight>", "")
    reasons = [why for _, _, why in plan.uses_of(plan.choose(store, config, wishes), wishes)]
    assert reasons == [plan.DEMONSTRATED]


def test_first_tokens_are_masked_for_real_models_and_as_the_settings_say() -> None:
    config = Config()
    assert plan.masked(config) == 0  # the pocket model
    real = replace(config, model=replace(config.model, base="Qwen/Qwen3-8B"))
    assert plan.masked(real) == plan.MASKED
    assert plan.masked(replace(real, learn=replace(real.learn, mask_first_tokens=5))) == 5


def test_an_anchor_is_never_shown_a_demonstration(store: Store) -> None:
    config = Config()
    kept(store, log.of_demonstrations([shown("a b", "the ideal")], config))
    (candidate,) = chosen(store, config)
    anchor = plan.lesson_of(candidate, plan.Wishes(store, config), config, anchor=True)
    assert (anchor.hindsight, anchor.skip_first) == ("", 0)


def test_an_edited_answer_is_a_demonstration(store: Store) -> None:
    turn = Turn("c", (Message("user", "hi"),), (Message("assistant", "no"),), "hi", "no")
    store.turns.add(turn)
    edit(store, turn.id, "first")
    edit(store, turn.id, "Yes.")
    (candidate,) = chosen(store, Config())
    assert candidate.shown == Shown("", "Yes.", "")


@pytest.mark.parametrize(("text", "why"), [("  ", "empty"), ("no", "the old one")])
def test_an_edit_that_changes_nothing_is_refused(store: Store, text: str, why: str) -> None:
    turn = Turn("c", (Message("user", "hi"),), (Message("assistant", "no"),), "hi", "no")
    store.turns.add(turn)
    with pytest.raises(InputError, match=why):
        edit(store, turn.id, text)


def test_the_lines_of_a_document_that_a_program_can_check_are_found() -> None:
    text = "# Guide\nWe like cats.\n- Keep answers short.\n* No emoji.\n2. At most 3 words."
    assert [check["name"] for check in document_checks(text)] == ["brief", "no_emoji", "max_words"]


def test_a_skill_is_read_by_its_folder_and_a_guide_by_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "tidy"
    folder.mkdir()
    (folder / "SKILL.md").write_text("---\nname: tidy\ndescription: d\n---\nSort it.\n")
    assert read_document(folder) == Document("tidy", "Sort it.")
    (tmp_path / "style.md").write_text("\nBe brief.\n")
    assert read_document(tmp_path / "style.md") == Document("style", "Be brief.")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\xfa", b"x" * 300_000])
def test_a_document_that_cannot_be_used_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "style.md").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_document(tmp_path / "style.md")
    assert caught.value.hint


def test_questions_are_read_out_of_a_models_list() -> None:
    text = "Here are some:\n1. How do I sort it?\n- Please sort this list.\n\nok\n"
    assert questions_in(text) == ["How do I sort it?", "Please sort this list."]


def test_prompts_that_differ_in_numbers_and_things_alone_are_alike() -> None:
    one = "Tom has 5 apples and gets 3 more. How many apples does Tom have now?"
    assert asked_alike(one, "Mia has 9 pens and gets 2 more. How many pens does Mia have now?")
    assert not asked_alike(one, "What is the capital of France?")
