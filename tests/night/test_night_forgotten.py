"""After a forgetting: the next night learns without it, and what learned from it gives way."""

from __future__ import annotations

from align_agent.night.progress import Silent
from align_agent.night.run import run_night
from align_agent.paths import Home
from align_agent.privacy.forget import forget
from align_agent.privacy.wanted import Wanted
from align_agent.records import BASE_VERSION
from align_agent.store import Store


def serving(home: Home) -> int:
    with Store.open(home.database) as store:
        return store.adapters.alias("champion") or BASE_VERSION


def test_the_next_night_learns_without_what_was_forgotten(learned: Home) -> None:
    with Store.open(learned.database) as store:
        used = {t for t, use, _ in store.runs.turns_of(store.runs.list()[0].id) if use == "train"}
    conversation = sorted(turn.rsplit("-", 1)[0].replace("turn", "chat") for turn in used)[0]
    done = forget(learned, Wanted("conversation", conversation))
    assert done.tainted == (1,)
    run = run_night(learned, progress=Silent())
    assert run.parent == BASE_VERSION  # a tainted champion is no yardstick
    with Store.open(learned.database) as store:
        turns = {turn for turn, _, _ in store.runs.turns_of(run.id)}
        made = [adapter for adapter in store.adapters.list() if adapter.run_id == run.id]
    assert turns and not turns & set(done.turns)
    assert [adapter.tainted for adapter in made] == [False] * len(made)


def test_the_base_answers_where_nothing_is_left_to_learn(learned: Home) -> None:
    with Store.open(learned.database) as store:
        conversations = [row["id"] for row in store.turns.conversations()]
    for conversation in conversations:
        forget(learned, Wanted("conversation", conversation))
    assert serving(learned) == 1
    run = run_night(learned, progress=Silent())
    assert run.status == "skipped"
    assert "the base answers in its place" in run.reason
    assert serving(learned) == BASE_VERSION
