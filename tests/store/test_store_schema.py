"""The schema: nothing dangles, nothing that is asked for often is searched line by line."""

from __future__ import annotations

import pytest


def covering(store, table: str, column: str) -> bool:
    """Whether an index, or the primary key, begins with the column."""
    rows = store.connection.rows(f"pragma table_info('{table}')")
    if [row["name"] for row in rows if row["pk"] == 1] == [column]:
        return True
    for index in store.connection.rows(f"pragma index_list('{table}')"):
        columns = store.connection.rows(f"pragma index_info('{index['name']}')")
        if columns[0]["name"] == column:
            return True
    return False


def test_every_foreign_key_has_an_index(store):
    tables = store.connection.rows("select name from sqlite_master where type = 'table'")
    keys = [
        (row["name"], key["from"])
        for row in tables
        for key in store.connection.rows(f"pragma foreign_key_list('{row['name']}')")
    ]
    assert len(keys) >= 12
    assert [key for key in keys if not covering(store, *key)] == []


@pytest.mark.parametrize(
    "query",
    [
        "select * from turns where id = 'x'",
        "select * from turns order by created_at desc, number desc limit 50",
        "select * from turns where main = 1 order by created_at desc, number desc limit 50",
        "select * from turns where conversation_id = 'x' and position > 3 order by position",
        "select * from turns where conversation_id = 'x' order by created_at desc, number desc",
        "select max(created_at) from turns where main = 1",
        "select coalesce(max(position) + 1, 0) from turns where conversation_id = 'x'",
        "select * from feedback where turn_id = 'x'",
        "select * from feedback where polarity = 'x' order by created_at desc",
        "select * from rules where status = 'x' order by first_seen",
        "select * from runs order by started_at desc limit 20",
        "select * from run_metrics where run_id = 'x' order by step, name",
        "select * from samples where run_id = 'x' order by number",
        "select * from events where kind = 'x' order by at desc",
        "select * from messages where digest = x'00'",
    ],
)
def test_a_frequent_question_is_answered_from_an_index(store, query):
    plan = [row["detail"] for row in store.connection.rows(f"explain query plan {query}")]
    assert all("INDEX" in step or "PRIMARY KEY" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


def test_the_store_shares_its_connection_with_sqlite_utils(store, make_turn):
    with store.transaction():
        store.turns.add(make_turn())
        assert store.db["turns"].count == 1
    assert "turns_fts" in store.db.table_names()
