"""What is never recorded, by channel, sender and topic; and not in a later prompt either."""

from __future__ import annotations

from pathlib import Path

import pytest

from align_agent.capture.ignore import Ignore
from align_agent.capture.recorder import Recorder
from align_agent.config import PrivacyConfig
from align_agent.records import Message, Turn
from align_agent.store import Store


def said(text: str, channel: str = "chat", history=(), answer: str = "Well.") -> Turn:
    return Turn(
        "c-1", (*history, Message("user", text)), (Message("assistant", answer),), text, answer,
        channel=channel,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "text", "channel", "kept_out"),
    [
        ("channel:work*", "Hi", "work:slack", True),
        ("channel:work*", "work is hard", "chat", False),
        ("work*", "work is hard", "chat", True),
        ("topic:therapy, diagnosis", "My Diagnosis came today.", "chat", True),
        ("topic:therapy", "Physiotherapy is fun.", "chat", False),
        ("topic:therap*", "My therapist says hi.", "chat", True),
        ("sender:777", "777", "777", False),
        ("*off the record*", "This is OFF the record: x", "chat", True),
        ("topic:thérapie", "Ma the\u0301rapie commence.", "chat", True),
        ("topic:the\u0301rapie", "Ma THÉRAPIE commence.", "chat", True),
        ("*off the record*", "off\u00a0the\nrecord: x", "chat", True),
        ("channel:café", "Hi", "cafe\u0301", True),
        ("topic:c++", "I like C++ a lot", "chat", True),
    ],
)
def test_a_pattern_looks_at_what_it_names(pattern, text, channel, kept_out) -> None:
    assert Ignore([pattern]).matches(said(text, channel)) is kept_out


@pytest.mark.parametrize(
    ("pattern", "sender", "kept_out"),
    [("sender:666", "666", True), ("sender:telegram:6*", "666", True), ("sender:7", "666", False)],
)  # fmt: skip
def test_a_sender_is_kept_out(pattern: str, sender: str, kept_out: bool) -> None:
    assert Ignore([pattern]).matches_sender(sender, "telegram") is kept_out


def test_what_was_ignored_stands_in_no_later_prompt(tmp_path: Path) -> None:
    path = tmp_path / "align.db"
    private = said("My diagnosis: a@example.com knows it.", answer="I am sorry.")
    later = said("What is 2+2?", history=(*private.prompt, *private.response))
    with Recorder(path, PrivacyConfig(ignore=("topic:diagnosis",))) as recorder:
        recorder.record(private)
        recorder.record(later)
    with Store.open(path) as store:
        (kept,) = store.turns.list()
        assert kept.prompt == (Message("user", "What is 2+2?"),)
    assert b"diagnosis" not in path.read_bytes()
