"""A store with conversations in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from align_agent.config import Config
from align_agent.feedback.profile import Profile
from align_agent.records import Message, Turn
from align_agent.store import Store

Say = Callable[..., Turn]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "align.db") as opened:
        yield opened


@pytest.fixture
def profile(store: Store) -> Profile:
    return Profile(store, Config())


@pytest.fixture
def say(store: Store) -> Say:
    """Adds a turn to a conversation and returns it as it is stored."""
    moments = iter(range(10_000))

    def add(text: str, answer: str = "**12** apples.", **facts: object) -> Turn:
        moment = f"2026-01-01T00:00:00.{next(moments):06d}+00:00"
        turn = Turn(
            conversation_id=str(facts.pop("conversation_id", "c")),
            prompt=(Message("user", text),),
            response=(Message("assistant", answer),) if answer else (),
            user_text=text,
            answer=answer,
            **{"created_at": moment, **facts},  # type: ignore[arg-type]
        )
        store.turns.add(turn)
        return store.turns.get(turn.id)

    return add
