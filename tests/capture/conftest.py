"""Fixtures of the capture room's tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from align_agent.records import Message, Turn

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "align.db"


@pytest.fixture
def make_turn() -> Callable[..., Turn]:
    def make(asked: str = "What is 2+2?", answer: str = "4", **changes) -> Turn:
        fields = {
            "conversation_id": "chat-1",
            "prompt": (Message("user", asked),),
            "response": (Message("assistant", answer),),
            "user_text": asked,
            "answer": answer,
        }
        return Turn(**{**fields, **changes})

    return make


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., Path]:
    """A file of JSON lines; a text is written as it is."""

    def write(*rows, name: str = "chats.jsonl") -> Path:
        path = tmp_path / name
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the shared data is not here")
    return SHARED
