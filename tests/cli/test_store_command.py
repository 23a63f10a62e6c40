"""`align-agent store`: the database checked, copied, put back, its copies kept few."""

from __future__ import annotations

import re
import sqlite3
import stat
from pathlib import Path

from cli_helpers import Cli, turn

from align_agent.paths import Home
from align_agent.store import Store


def test_store_check_counts_what_is_there(cli: Cli, lived: Home) -> None:
    data = cli("store", "--json").json
    assert data["ok"] is True and data["turns"] == 4 and data["conversations"] == 2
    assert "sound" in cli("store").out


def test_store_check_finds_a_reference_to_nothing(cli: Cli, lived: Home) -> None:
    with sqlite3.connect(lived.database) as raw:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("UPDATE feedback SET turn_id = 'gone'")
    raw.close()
    assert "backup" in cli("store", "check", code=1).err


def test_a_search_index_that_does_not_fit_is_told_and_mended(cli: Cli, lived: Home) -> None:
    with sqlite3.connect(lived.database) as raw:
        raw.execute("INSERT INTO turns_fts (turns_fts) VALUES ('delete-all')")
    raw.close()
    assert "align-agent store reindex" in cli("store", "check", code=1).err
    assert cli("store", "reindex", "--json").json == {"turns": 4}
    assert cli("store", "check", "--json").json["ok"] is True


def test_a_backup_opens_as_a_store(cli: Cli, lived: Home, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    cli("store", "backup", str(target))
    with Store.open(target, read_only=True) as copy:
        assert copy.turns.count() == 4
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_backup_never_overwrites(cli: Cli, lived: Home, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    assert "exists" in cli("store", "backup", str(target), code=2).err
    assert target.read_text() == "precious"


def test_copies_are_listed_the_newest_first(cli: Cli, lived: Home) -> None:
    made = [cli("store", "backup").out.strip() for _ in range(3)]
    listed = cli("store", "backups", "--json").json
    assert [row["path"] for row in listed] == made[::-1]
    assert all(row["bytes"] == Path(row["path"]).stat().st_size for row in listed)
    assert Path(made[0]).name in cli("store", "backups").out


def test_the_oldest_copies_are_pruned_and_ones_own_files_stay(cli: Cli, lived: Home) -> None:
    made = [cli("store", "backup").out.strip() for _ in range(3)]
    own = lived.backups / "a-keepsake.db"
    cli("store", "backup", str(own))
    assert (
        cli("store", "prune", "--keep", "1", "--dry-run", "--json").json["deleted"] == made[1::-1]
    )
    assert "--yes" in cli("store", "prune", "--keep", "1", code=2).err
    cli("store", "prune", "--keep", "1", "--yes")
    assert sorted(lived.backups.glob("*.db")) == [own, Path(made[2])]


def test_a_backup_is_put_back_and_the_way_back_is_told(cli: Cli, lived: Home) -> None:
    backup = cli("store", "backup").out.strip()
    with Store.open(lived.database) as store:
        store.turns.add(turn(5))
    done = cli("store", "restore", backup)
    assert "4, 5 before" in done.out
    told = re.search(r"`align-agent (.+)` takes it back", done.err)
    assert told and cli(*told[1].split(), "--json").json["turns"] == 5


def test_the_hint_on_a_lost_or_damaged_database_is_a_command_that_mends_it(
    cli: Cli, lived: Home
) -> None:
    cli("store", "backup")
    for spoil in (lived.database.unlink, lambda: lived.database.write_bytes(b"rubbish")):
        spoil()
        told = re.search(r"`align-agent (store restore .+?)`", cli("turns", code=1).err)
        assert told is not None
        cli(*told[1].split())
        assert len(cli("turns", "--json").json) == 4


def test_a_backup_is_not_put_back_where_no_home_is(cli: Cli, home: Home, tmp_path: Path) -> None:
    assert "no align-agent home" in cli("store", "restore", str(tmp_path / "x.db"), code=2).err
    assert not home.root.exists()


def test_a_backup_without_a_name_goes_into_the_home(cli: Cli, lived: Home) -> None:
    path = Path(cli("store", "backup", "--json").json["path"])
    assert path.parent == lived.backups and path.exists()
