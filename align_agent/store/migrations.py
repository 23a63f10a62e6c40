"""The schema, as an append-only list of named steps. Never change a step that was released.

`PRAGMA user_version` counts the steps applied; all that are wanting run in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from align_agent.errors import StoreError, StoreTooNew
from align_agent.polarity import polarity_of
from align_agent.store.backup import back_up, place_for
from align_agent.store.connection import APPLICATION_ID, Connection

if TYPE_CHECKING:
    from sqlite_utils import Database

Migration = Callable[["Database"], None]


def m001_conversations_and_turns(db: Database) -> None:
    """Who said what, when, and which version answered."""
    db.table("conversations").create(
        {"id": str, "channel": str, "created_at": str}, pk="id", not_null={"channel", "created_at"}
    )
    # `number` is SQLite's own row number. It must be declared, or a VACUUM could renumber the
    # rows that the search index points at.
    db.table("turns").create(
        {
            "number": int,
            "id": str,
            "conversation_id": str,
            "position": int,
            "created_at": str,
            "channel": str,
            "user_text": str,
            "answer": str,
            "version": int,
            "base": str,
            "main": int,
            "finish_reason": str,
            "excluded": int,
            "latency_ms": float,
        },
        pk="number",
        foreign_keys=[("conversation_id", "conversations", "id")],
        not_null={"id", "conversation_id", "position", "created_at", "main", "excluded"},
    )
    turns = db.table("turns")
    turns.create_index(["id"], unique=True)
    turns.create_index(["conversation_id", "position"], unique=True)
    turns.create_index(["conversation_id", "created_at"])
    turns.create_index(["created_at"])
    turns.create_index(["main", "created_at"])
    turns.create_index(["version"])
    turns.create_index(["excluded"])


def m002_messages(db: Database) -> None:
    """Messages are stored once each, by their content: long prompts repeat from turn to turn."""
    db.table("messages").create(
        {
            "number": int,
            "digest": bytes,
            "role": str,
            "content": str,
            "tool_calls": str,
            "tool_call_id": str,
        },
        pk="number",
        not_null={"digest", "role", "content"},
    )
    db.table("messages").create_index(["digest"], unique=True)
    db.table("turn_messages").create(
        {"turn": int, "part": str, "place": int, "message": int},
        pk=("turn", "part", "place"),
        foreign_keys=[("turn", "turns", "number"), ("message", "messages", "number")],
        not_null={"message"},
    )
    db.table("turn_messages").create_index(["message"])
    db.table("tool_calls").create(
        {
            "turn": int,
            "place": int,
            "call_id": str,
            "name": str,
            "arguments": str,
            "result": str,
        },
        pk=("turn", "place"),
        foreign_keys=[("turn", "turns", "number")],
        not_null={"name", "arguments"},
    )
    db.table("tool_calls").create_index(["name"])


def m003_feedback_and_rules(db: Database) -> None:
    """What the user thought of the turns, and the rules that follow from it."""
    db.table("feedback").create(
        {
            "id": str,
            "turn_id": str,
            "source_turn_id": str,
            "kind": str,
            "polarity": str,
            "category": str,
            "confidence": float,
            "strength": float,
            "text": str,
            "evidence": str,
            "detector": str,
            "dismissed": int,
            "created_at": str,
        },
        pk="id",
        foreign_keys=[("turn_id", "turns", "id"), ("source_turn_id", "turns", "id")],
        not_null={"turn_id", "kind", "polarity", "created_at"},
    )
    feedback = db.table("feedback")
    feedback.create_index(["turn_id"])
    feedback.create_index(["source_turn_id"])
    feedback.create_index(["polarity", "created_at"])
    feedback.create_index(["created_at"])
    db.table("rules").create(
        {
            "id": str,
            "text": str,
            "status": str,
            "direction": str,
            "check": str,
            "scope": str,
            "count": int,
            "first_seen": str,
            "last_seen": str,
            "reason": str,
        },
        pk="id",
        not_null={"text", "status"},
    )
    db.table("rules").create_index(["status", "first_seen"])
    db.table("rules").create_index(["direction"])
    db.table("rule_turns").create(
        {"rule_id": str, "turn_id": str},
        pk=("rule_id", "turn_id"),
        foreign_keys=[("rule_id", "rules", "id"), ("turn_id", "turns", "id")],
    )
    db.table("rule_turns").create_index(["turn_id"])


def m004_runs(db: Database) -> None:
    """The nights: what each was asked, used, measured and showed."""
    db.table("runs").create(
        {
            "id": str,
            "status": str,
            "started_at": str,
            "finished_at": str,
            "kind": str,
            "phase": str,
            "reason": str,
            "base": str,
            "parent": int,
            "candidate": int,
            "seed": int,
            "config": str,
            "verdict": str,
        },
        pk="id",
        not_null={"status", "started_at"},
    )
    db.table("runs").create_index(["started_at"])
    db.table("runs").create_index(["status"])
    db.table("run_turns").create(
        {"run_id": str, "turn_id": str, "use": str, "reason": str},
        pk=("run_id", "turn_id"),
        foreign_keys=[("run_id", "runs", "id"), ("turn_id", "turns", "id")],
        not_null={"use"},
    )
    db.table("run_turns").create_index(["turn_id"])
    db.table("run_metrics").create(
        {"run_id": str, "step": int, "name": str, "value": float},
        pk=("run_id", "step", "name"),
        foreign_keys=[("run_id", "runs", "id")],
    )
    db.table("samples").create(
        {
            "number": int,
            "run_id": str,
            "prompt": str,
            "base": str,
            "before": str,
            "after": str,
            "note": str,
        },
        pk="number",
        foreign_keys=[("run_id", "runs", "id")],
        not_null={"run_id", "prompt"},
    )
    db.table("samples").create_index(["run_id"])


def m005_adapters(db: Database) -> None:
    """The versions of what was learned, and the names that point at them."""
    db.table("adapters").create(
        {
            "version": int,
            "base": str,
            "base_hash": str,
            "run_id": str,
            "verdict": str,
            "created_at": str,
            "parent": int,
            "rank": int,
            "size_bytes": int,
            "manifest_sha256": str,
            "reasons": str,
            "pinned": int,
            "tainted": int,
            "deleted": int,
        },
        pk="version",
        foreign_keys=[("run_id", "runs", "id")],
        not_null={"base", "verdict", "created_at"},
    )
    db.table("adapters").create_index(["run_id"])
    db.table("adapters").create_index(["created_at"])
    # No foreign key on a version: 0, the base, has no row.
    db.table("aliases").create(
        {"name": str, "version": int, "set_at": str}, pk="name", not_null={"version"}
    )
    db.table("alias_history").create(
        {
            "number": int,
            "at": str,
            "name": str,
            "before": int,
            "after": int,
            "why": str,
            "who": str,
        },
        pk="number",
        not_null={"at", "name"},
    )
    db.table("alias_history").create_index(["name", "at"])


def m006_journal(db: Database) -> None:
    """What happened, how often, and small facts to remember."""
    db.table("events").create(
        {"number": int, "at": str, "kind": str, "message": str, "data": str},
        pk="number",
        not_null={"at", "kind", "message"},
    )
    db.table("events").create_index(["kind", "at"])
    db.table("events").create_index(["at"])
    db.table("counters").create({"name": str, "value": int}, pk="name", not_null={"value"})
    db.table("state").create({"key": str, "value": str}, pk="key", not_null={"value"})


def m007_search(db: Database) -> None:
    """Full-text search on what was asked and answered."""
    db.table("turns").enable_fts(
        ["user_text", "answer"], tokenize="unicode61 remove_diacritics 2", create_triggers=False
    )
    # Triggers of our own: excluding a turn must not index its text anew.
    db.executescript("""
        create trigger turns_fts_insert after insert on turns begin
          insert into turns_fts (rowid, user_text, answer)
          values (new.number, new.user_text, new.answer);
        end;
        create trigger turns_fts_delete after delete on turns begin
          insert into turns_fts (turns_fts, rowid, user_text, answer)
          values ('delete', old.number, old.user_text, old.answer);
        end;
        create trigger turns_fts_update after update of user_text, answer on turns begin
          insert into turns_fts (turns_fts, rowid, user_text, answer)
          values ('delete', old.number, old.user_text, old.answer);
          insert into turns_fts (rowid, user_text, answer)
          values (new.number, new.user_text, new.answer);
        end;
    """)


def m008_links(db: Database) -> None:
    """By which names clients know a turn, what they told about it, which events came."""
    db.table("turn_links").create(
        {"kind": str, "key": str, "turn_id": str}, pk=("kind", "key"), not_null={"turn_id"}
    )
    db.table("turn_links").create_index(["turn_id"])
    db.table("turn_notes").create(
        {"turn_id": str, "name": str, "value": str}, pk=("turn_id", "name"), not_null={"value"}
    )
    db.table("received").create({"id": str, "at": str}, pk="id", not_null={"at"})
    db.table("received").create_index(["at"])


def m009_moods(db: Database) -> None:
    """What the user thought of each turn, in one word beside it, so that years can be counted."""
    db.executescript("""
        alter table turns add column mood text not null default '';
        create index idx_turns_facets on turns (main, mood, version, channel, excluded);
        create index idx_turns_mood on turns (main, mood, created_at);
        create index idx_turns_main_version on turns (main, version, created_at);
        create index idx_turns_main_channel on turns (main, channel, created_at);
        create index idx_turns_main_conversation on turns (main, conversation_id, created_at);
        create index idx_run_turns_uses on run_turns (run_id, use, reason);
        create trigger feedback_mood_insert after insert on feedback begin
          update turns set mood = (
            select case when max(polarity = 'negative') then 'negative'
                        when max(polarity = 'positive') then 'positive' else '' end
            from feedback where turn_id = new.turn_id and dismissed = 0
          ) where id = new.turn_id;
        end;
        create trigger feedback_mood_update after update on feedback begin
          update turns set mood = (
            select case when max(polarity = 'negative') then 'negative'
                        when max(polarity = 'positive') then 'positive' else '' end
            from feedback where turn_id = new.turn_id and dismissed = 0
          ) where id = new.turn_id;
        end;
        create trigger feedback_mood_delete after delete on feedback begin
          update turns set mood = (
            select case when max(polarity = 'negative') then 'negative'
                        when max(polarity = 'positive') then 'positive' else '' end
            from feedback where turn_id = old.turn_id and dismissed = 0
          ) where id = old.turn_id;
        end;
        update turns set mood = 'positive' where id in
          (select turn_id from feedback where dismissed = 0 and polarity = 'positive');
        update turns set mood = 'negative' where id in
          (select turn_id from feedback where dismissed = 0 and polarity = 'negative');
    """)


def m010_forgotten(db: Database) -> None:
    """What was forgotten, by ids and digests, and the journal of what removes it."""
    db.table("forgotten").create(
        {"turn_id": str, "conversation_id": str, "position": int, "main": int, "at": str},
        pk="turn_id",
        not_null={"conversation_id", "position", "main", "at"},
    )
    db.table("forgotten").create_index(["conversation_id", "position"])
    db.table("forgotten_exchanges").create({"digest": bytes}, pk="digest")
    db.table("forgettings").create(
        {
            "id": str,
            "what": str,
            "asked_at": str,
            "finished_at": str,
            "work": str,
            "facts": str,
        },
        pk="id",
        not_null={"what", "asked_at"},
    )
    db.table("forgettings").create_index(["asked_at"])


def m011_layers(db: Database) -> None:
    """What each layer of a detector thought, and why a person should look at it."""
    db.executescript("""
        create table feedback_layers (
          feedback_id text primary key references feedback (id) on delete cascade,
          layers text not null,
          review text not null
        );
        create index feedback_layers_review on feedback_layers (review);
    """)


def m012_polarity(db: Database) -> None:
    """Whether a rule asks for something or forbids it, read from the texts of those there."""
    db.execute("alter table rules add column polarity text not null default 'do'")
    for rule_id, text in db.execute("select id, text from rules").fetchall():
        db.execute("update rules set polarity = ? where id = ?", [polarity_of(text), rule_id])


MIGRATIONS: tuple[Migration, ...] = (
    m001_conversations_and_turns,
    m002_messages,
    m003_feedback_and_rules,
    m004_runs,
    m005_adapters,
    m006_journal,
    m007_search,
    m008_links,
    m009_moods,
    m010_forgotten,
    m011_layers,
    m012_polarity,
)
SCHEMA_VERSION = len(MIGRATIONS)


def applied(connection: Connection) -> int:
    """How many steps the database has seen."""
    return int(connection.value("pragma user_version"))


def known(connection: Connection) -> int:
    """The steps applied. Raises StoreTooNew when a newer align-agent wrote it."""
    found = applied(connection)
    if found > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{connection.path} was written by a newer align-agent "
            f"(schema {found}; this one knows {SCHEMA_VERSION})",
            hint="upgrade align-agent: pip install -U align-agent",
        )
    return found


def migrate(connection: Connection, *, upto: int = SCHEMA_VERSION, keep: bool = True) -> None:
    """Bring the schema up to date; an older one that holds something is backed up before, unless
    it is a copy itself (`keep` false).

    Raises StoreTooNew when a newer align-agent wrote it.
    """
    found = known(connection)
    if found >= upto:
        return
    if connection.read_only:
        raise StoreError(
            f"{connection.path} has an older schema ({found} of {SCHEMA_VERSION})",
            hint="run `align-agent store check`, which brings it up to date",
        )
    if found and keep:
        back_up(connection, place_for(connection.path, f"-schema{found}"))
    # All in one: nobody ever sees, or backs up, a schema that is half made.
    with connection.transaction():
        # Another process may have been quicker; the write lock is ours now.
        for step in MIGRATIONS[applied(connection) : upto]:
            with connection.translated():
                step(connection.utils)
        if applied(connection) < upto:
            connection.execute(f"pragma application_id = {APPLICATION_ID}")
            connection.execute(f"pragma user_version = {upto}")
