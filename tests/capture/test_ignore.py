"""What is never recorded, by channel, sender and topic; and not in a later prompt either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from align_agent.capture.ignore import Ignore
from align_agent.capture.importers import import_file
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


def test_what_is_ignored_comes_in_by_no_import_either(tmp_path: Path) -> None:
    asked = ("My diagnosis: measles.", "What is 2+2?")
    talk = [
        message
        for text, answer in zip(asked, ("I am sorry.", "4"), strict=True)
        for message in (
            {"role": "user", "content": text},
            {"role": "assistant", "content": answer},
        )
    ]
    source = tmp_path / "chats.jsonl"
    source.write_text(json.dumps({"messages": talk}))
    with Store.open(tmp_path / "align.db") as store:
        report = import_file(store, source, PrivacyConfig(ignore=("topic:diagnosis",)))
        assert (report.added, report.ignored) == (1, 1)
        (kept,) = store.turns.list()
        assert kept.prompt == (Message("user", asked[1]),)
    assert b"diagnosis" not in (tmp_path / "align.db").read_bytes()


@pytest.mark.parametrize("by_sender", [False, True])
def test_what_is_ignored_while_the_disk_is_away_stands_in_no_later_prompt(
    tmp_path: Path, by_sender: bool
) -> None:
    home = tmp_path / "home"
    home.write_text("a file where the folder should be")
    private = said("My diagnosis: measles.", answer="I am sorry.")
    later = said("What is 2+2?", history=(*private.prompt, *private.response))
    patterns = () if by_sender else ("topic:diagnosis",)
    with Recorder(home / "align.db", PrivacyConfig(ignore=patterns), retry_seconds=60) as recorder:
        recorder.record(private, keep_out=by_sender)
        assert not recorder.flush(0.3)
        home.unlink()
        recorder.record(later)
        assert recorder.flush(30)
        assert (recorder.stats["ignored"], recorder.stats["failed"]) == (1, 0)
    with Store.open(home / "align.db") as store:
        (kept,) = store.turns.list()
        assert kept.prompt == (Message("user", "What is 2+2?"),)
