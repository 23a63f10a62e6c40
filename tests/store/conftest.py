"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from align_agent.records import Message, Turn
from align_agent.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "align.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        yield opened


@pytest.fixture
def make_turn() -> Callable[..., Turn]:
    def make(asked: str = "What is 2+2?", answer: str = "4", **changes) -> Turn:
        fields = {
            "conversation_id": "chat-1",
            "prompt": (Message("system", "Be kind."), Message("user", asked)),
            "response": (Message("assistant", answer),),
            "user_text": asked,
            "answer": answer,
        }
        return Turn(**{**fields, **changes})

    return make
