"""The archive holds everything, says what is what, and its chats come in again."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from pathlib import Path

import pytest
from homes import KEPT, SECRET, fill

from align_agent.capture.importers import import_file
from align_agent.config import PrivacyConfig
from align_agent.errors import UsageError
from align_agent.privacy.export import export_everything
from align_agent.store import Store


def test_every_row_of_every_table_is_in_the_archive(tmp_path: Path) -> None:
    home = fill(tmp_path / "home")
    done = export_everything(home, tmp_path / "all.zip", adapters=True)
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o600
    with zipfile.ZipFile(done.path) as archive, Store.open(home.database) as store:
        names = set(archive.namelist())
        assert {"README.md", "chats.jsonl", "adapters/v0001/manifest.json"} <= names
        for table in ("turns", "messages", "feedback", "rules", "samples", "events", "adapters"):
            lines = archive.read(f"tables/{table}.jsonl").decode().splitlines()
            count = store.connection.value(f"select count(*) from {table}")
            assert len([json.loads(line) for line in lines]) == count


def test_the_archive_says_what_is_not_in_it(tmp_path: Path) -> None:
    home = fill(tmp_path / "home")
    export_everything(home, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        told = archive.read("README.md").decode()
        inside = {name.split("/")[0] for name in archive.namelist()}
    for name in ("checkpoints.db", "runs", "probed", "working", "backups", "logs", "adapters"):
        assert name not in inside
        assert f"(`{name}" in told


def test_the_chats_come_in_again(tmp_path: Path) -> None:
    home = fill(tmp_path / "home")
    done = export_everything(home, tmp_path / "all.zip")
    with zipfile.ZipFile(done.path) as archive:
        archive.extract("chats.jsonl", tmp_path)
    with Store.open(tmp_path / "other.db") as store:
        report = import_file(store, tmp_path / "chats.jsonl", PrivacyConfig())
        assert (report.chats, report.added, report.problems) == (3, 9, [])
        said = {turn.user_text for turn in store.turns.list()}
    assert f"Tell me about {KEPT} number 2, please." in said
    assert f"Tell me about {SECRET} number 1, please." in said


def test_a_file_without_a_sensible_date_keeps_nobody_from_leaving(tmp_path: Path) -> None:
    home = fill(tmp_path / "home")
    home.config.write_text("privacy: {}")
    os.utime(home.config, (0, 0))
    export_everything(home, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.read("config.yaml") == b"privacy: {}"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    home = fill(tmp_path / "home")
    (tmp_path / "all.zip").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        export_everything(home, tmp_path / "all.zip")
    assert (tmp_path / "all.zip").read_text() == "mine"
