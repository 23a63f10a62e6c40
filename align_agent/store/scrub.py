"""Taking turns out of one database for good: rows, search index, what was read from them.

Works on any schema that this program ever had, because backups keep theirs. Says nothing of pages
and logs (`erase_pages` does), nor of files beside the database.
"""

from __future__ import annotations

import builtins
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from align_agent.errors import StoreLocked
from align_agent.records import Message, now
from align_agent.store.connection import Connection, Row
from align_agent.store.forgotten import exchange_digest, exchanges, prune

Holds = Callable[[str], bool]

BLANK = "[forgotten]"
_CHUNK = 400
# Columns that hold JSON: what is blanked there must still be read.
_JSON = {
    ("events", "data"): "{}",
    ("runs", "config"): "{}",
    ("runs", "verdict"): "{}",
    ("adapters", "reasons"): "[]",
    ("rules", "check"): "null",
    ("tool_calls", "arguments"): "{}",
    ("feedback_layers", "layers"): "{}",
}
# How a call is written: our own words, which nobody said.
_CALL = {"id", "name", "arguments"}
# Dealt with by themselves, or holding no text of a person.
_APART = {"turns", "messages", "turn_messages", "forgettings", "forgotten", "forgotten_exchanges"}


@dataclass(slots=True)
class Scrubbed:
    """What went out of one database, or would go."""

    turns: list[str] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)  # those that lost a turn
    edited: list[str] = field(default_factory=list)  # turns whose prompts lost messages
    feedback: int = 0
    rules: list[str] = field(default_factory=list)  # their texts
    runs: list[str] = field(default_factory=list)  # that used one of the turns
    tainted: list[int] = field(default_factory=list)
    samples: int = 0
    blanked: int = 0


def scrub(
    connection: Connection,
    turn_ids: Sequence[str],
    holds: Holds | None = None,
    *,
    unlearn: bool = True,
) -> Scrubbed:
    """Take the turns out, and every other text that `holds`. Call it within a transaction.

    A turn goes with its feedback, its links, the rules that stand on nothing else, the samples of
    the nights that used it, and its place in the prompts of later turns. Adapters that learned
    from any of it are marked tainted. Doing it again finds nothing more. With `unlearn` false only
    texts go: rules stay, and no adapter is tainted.
    """
    return _Scrub(connection, holds, unlearn).run(turn_ids)


def any_holding(connection: Connection, holds: Holds) -> bool:
    """Whether `scrub` would find such a text. Only reads."""
    return _Scrub(connection, holds, unlearn=False).any_holding(holds)


def erase_pages(connection: Connection, *, patience: float = 30.0) -> None:
    """Write the whole file anew and empty its log: no free page and no frame keeps what was there.

    Others may have the file open. Raises StoreLocked when one of them reads or writes for longer
    than `patience` seconds.
    """
    deadline = time.monotonic() + patience
    connection.execute("pragma secure_delete = on")
    while True:
        try:
            connection.execute("vacuum")
            break
        except StoreLocked:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    while True:
        row = connection.row("pragma wal_checkpoint(truncate)") or {}
        if not row.get("busy"):
            return
        if time.monotonic() > deadline:
            raise StoreLocked(
                f"{connection.path}: another process keeps reading, so that its log cannot be "
                "emptied",
                hint="stop it, then go on with `align-agent forget --resume`",
            )
        time.sleep(0.05)


class _Scrub:
    def __init__(self, connection: Connection, holds: Holds | None, unlearn: bool) -> None:
        self.db = connection
        self.unlearn = unlearn
        self.holds = holds
        self.done = Scrubbed()
        rows = connection.rows("select name from sqlite_master where type = 'table'")
        self.tables = {row["name"] for row in rows}

    def run(self, turn_ids: Sequence[str]) -> Scrubbed:
        turns = self._turns(turn_ids)
        if self.holds is not None:
            turns = {**turns, **self._holding(self.holds)}
        self.done.turns = sorted(turns)
        self.done.conversations = sorted({row["conversation_id"] for row in turns.values()})
        later = self._later(turns)
        self._taint([*turns, *later], turns)
        for number, kept in later.values():
            self._rewrite(number, kept)
        self.done.edited = sorted(later)
        if self.holds is not None:
            for some in _chunks(sorted(self._messages_holding(self.holds))):
                self.db.execute(
                    f"delete from turn_messages where part = 'tools' and message in ({_marks(some)})",  # noqa: S608, E501
                    some,
                )
        self._delete(turns)
        if self.unlearn:
            self._rules()
        self.db.execute(
            "delete from messages where number not in (select message from turn_messages)"
        )
        if self.holds is not None:
            self._blank(self.holds)
        if turns or later:
            self.db.execute("insert into turns_fts (turns_fts) values ('rebuild')")
        return self.done

    # Finding

    def _turns(self, ids: Sequence[str]) -> dict[str, Row]:
        return {
            row["id"]: row
            for some in _chunks(ids)
            for row in self.db.rows(
                f"select * from turns where id in ({_marks(some)})",  # noqa: S608
                some,
            )
        }

    def _holding(self, holds: Holds) -> dict[str, Row]:
        """The turns whose question, answer, or steps in between hold the text."""
        numbers = {
            row["number"]
            for row in self.db.rows("select number, user_text, answer from turns")
            if holds(row["user_text"] or "") or holds(row["answer"] or "")
        }
        messages = self._messages_holding(holds)
        for some in _chunks(sorted(messages)):
            numbers.update(
                row["turn"]
                for row in self.db.rows(
                    "select distinct turn from turn_messages where part = 'response' "  # noqa: S608
                    f"and message in ({_marks(some)})",
                    some,
                )
            )
        return {
            row["id"]: row
            for some in _chunks(sorted(numbers))
            for row in self.db.rows(
                f"select * from turns where number in ({_marks(some)})",  # noqa: S608
                some,
            )
        }

    def _messages_holding(self, holds: Holds) -> set[int]:
        return {
            row["number"]
            for row in self.db.rows("select number, content, tool_calls from messages")
            if holds(row["content"]) or holds(_said_in(row["tool_calls"] or ""))
        }

    def _later(self, turns: dict[str, Row]) -> dict[str, tuple[int, builtins.list[int]]]:
        """id -> (number, messages kept) of the other turns that show what is to go."""
        numbers = {row["number"] for row in turns.values()}
        digests, asked = set(), set()
        for row in turns.values():
            prompt = self._part(row["number"], "prompt")
            answers = [m for m in self._part(row["number"], "response") if m[1].role == "assistant"]
            last = [*exchanges([m for _, m in prompt])][-1:]
            answer = answers[-1][1].content if answers else row["answer"] or ""
            for _, question, _ in last:
                digests.add(exchange_digest(question, answer))
            digests.add(exchange_digest(row["user_text"] or "", answer))
            if prompt:
                asked.add(prompt[-1][0])
        bad = self._messages_holding(self.holds) if self.holds is not None else set()
        found = {}
        for turn_id, number in self._suspects(turns, asked | bad).items():
            if number in numbers:
                continue
            prompt = self._part(number, "prompt")
            pruned = {id(m) for m in prune([m for _, m in prompt], digests)}
            kept = [n for n, message in prompt if id(message) in pruned and n not in bad]
            if len(kept) != len(prompt):
                found[turn_id] = (number, kept)
        return found

    def _suspects(self, turns: dict[str, Row], messages: set[int]) -> dict[str, int]:
        """id -> number of the turns that may show one of the turns, or one of the messages."""
        found: dict[str, int] = {}
        for some in _chunks(sorted({row["conversation_id"] for row in turns.values()})):
            rows = self.db.rows(
                f"select id, number from turns where conversation_id in ({_marks(some)})",  # noqa: S608
                some,
            )
            found.update({row["id"]: row["number"] for row in rows})
        for numbers in _chunks(sorted(messages)):
            rows = self.db.rows(
                "select distinct t.id, t.number from turn_messages m join turns t "  # noqa: S608
                f"on t.number = m.turn where m.part != 'response' and m.message in "
                f"({_marks(numbers)})",
                numbers,
            )
            found.update({row["id"]: row["number"] for row in rows})
        return found

    def _part(self, turn: int, part: str) -> builtins.list[tuple[int, Message]]:
        rows = self.db.rows(
            "select m.number, m.role, m.content from turn_messages p join messages m "
            "on m.number = p.message where p.turn = ? and p.part = ? order by p.place",
            [turn, part],
        )
        return [(row["number"], Message(row["role"], row["content"])) for row in rows]

    # Taking out

    def _rewrite(self, number: int, kept: Sequence[int]) -> None:
        self.db.execute("delete from turn_messages where turn = ? and part = 'prompt'", [number])
        self.db.execute_many(
            "insert into turn_messages (turn, part, place, message) values (?, 'prompt', ?, ?)",
            [(number, place, message) for place, message in enumerate(kept)],
        )

    def _taint(self, ids: Sequence[str], turns: dict[str, Row]) -> None:
        """Adapters that trained on one of the turns, or were told of one as a correction."""
        told = [
            row["turn_id"]
            for some in _chunks(sorted(turns))
            for row in self.db.rows(
                f"select turn_id from feedback where source_turn_id in ({_marks(some)})",  # noqa: S608
                some,
            )
        ]
        used, learned = set(), set()
        for some in _chunks(sorted({*ids, *told})):
            for row in self.db.rows(
                f"select run_id, use from run_turns where turn_id in ({_marks(some)})",  # noqa: S608
                some,
            ):
                if row["use"] != "skip":
                    used.add(row["run_id"])
                if row["use"] in ("train", "anchor"):
                    learned.add(row["run_id"])
        self.done.runs = sorted(used)
        for runs in _chunks(sorted(used)):
            self.done.samples += self.db.execute(
                f"delete from samples where run_id in ({_marks(runs)})",  # noqa: S608
                runs,
            )
        for runs in _chunks(sorted(learned)):
            self._mark(f"run_id in ({_marks(runs)})", runs)

    def _mark(self, where: str, parameters: Sequence[Any]) -> None:
        if not self.unlearn:
            return
        rows = self.db.rows(f"select version from adapters where {where}", parameters)  # noqa: S608
        self.done.tainted = sorted({*self.done.tainted, *(row["version"] for row in rows)})
        self.db.execute(f"update adapters set tainted = 1 where {where}", parameters)  # noqa: S608

    def _delete(self, turns: dict[str, Row]) -> None:
        self._doubtful = self._rules_behind(turns)
        for some in _chunks(sorted(turns)):
            marks = _marks(some)
            self.done.feedback += self.db.execute(
                f"delete from feedback where turn_id in ({marks}) "  # noqa: S608
                f"or source_turn_id in ({marks})",
                [*some, *some],
            )
            for table in ("rule_turns", "run_turns", "turn_notes"):
                if table in self.tables:
                    self.db.execute(f"delete from {table} where turn_id in ({marks})", some)  # noqa: S608
            if "turn_links" in self.tables:
                # Our own names of the answers stay: by them a replayed session is known.
                self.db.execute(
                    f"delete from turn_links where kind != 'response' and turn_id in ({marks})",  # noqa: S608
                    some,
                )
            numbers = [turns[turn_id]["number"] for turn_id in some]
            for table in ("turn_messages", "tool_calls"):
                self.db.execute(f"delete from {table} where turn in ({marks})", numbers)  # noqa: S608
            self._bury([turns[turn_id] for turn_id in some])
            self.db.execute(f"delete from turns where id in ({marks})", some)  # noqa: S608
        self.db.execute(
            "delete from conversations where id not in (select conversation_id from turns)"
        )
        if "forgotten" in self.tables:
            # The name of a conversation that is gone need not stay either.
            self.db.execute(
                "update forgotten set conversation_id = '' where conversation_id not in "
                "(select id from conversations)"
            )

    def _bury(self, rows: Sequence[Row]) -> None:
        """Leave ids and digests, so that no replay and no import brings the turns back."""
        if "forgotten" not in self.tables:
            return
        self.db.execute_many(
            "insert or ignore into forgotten (turn_id, conversation_id, position, main, at) "
            "values (?, ?, ?, ?, ?)",
            [(r["id"], r["conversation_id"], r["position"], r["main"], now()) for r in rows],
        )
        digests = {exchange_digest(r["user_text"] or "", r["answer"] or "") for r in rows}
        self.db.execute_many(
            "insert or ignore into forgotten_exchanges (digest) values (?)",
            [(digest,) for digest in digests],
        )

    def _rules_behind(self, turns: dict[str, Row]) -> set[str]:
        found: set[str] = set()
        for some in _chunks(sorted(turns)):
            rows = self.db.rows(
                f"select distinct rule_id from rule_turns where turn_id in ({_marks(some)})",  # noqa: S608
                some,
            )
            found.update(row["rule_id"] for row in rows)
        return found

    def _rules(self) -> None:
        """Rules that stood on those turns alone go; what was taught by them is tainted too."""
        doomed = [
            row
            for rule_id in sorted(self._doubtful)
            for row in self.db.rows(
                "select id, text, first_seen from rules where id = ? and status != 'declared' "
                "and not exists (select 1 from rule_turns where rule_id = rules.id)",
                [rule_id],
            )
        ]
        self._drop_rules(doomed)

    def _drop_rules(self, doomed: Iterable[Row]) -> None:
        for rule in doomed:
            self.done.rules.append(rule["text"])
            self.db.execute("delete from rule_turns where rule_id = ?", [rule["id"]])
            self.db.execute("delete from rules where id = ?", [rule["id"]])
            self.db.execute(
                "update rules set reason = ? where instr(reason, ?) > 0", [BLANK, rule["text"]]
            )
            self._mark("created_at >= ?", [rule["first_seen"]])

    def _blank(self, holds: Holds) -> None:
        """Any other text that holds what is to go: feedback and rules are dropped, a cell of
        another table is blanked."""
        doomed = [
            row
            for row in self.db.rows("select id, text, first_seen, status, reason from rules")
            if holds(row["text"]) and row["status"] != "declared"
        ]
        self._drop_rules(doomed)
        for row in self.db.rows("select id, text, evidence from feedback"):
            if holds(row["text"] or "") or holds(row["evidence"] or ""):
                self.done.feedback += self.db.execute(
                    "delete from feedback where id = ?", [row["id"]]
                )
        for table, name, place, blank in [*self._cells(holds)]:
            self.done.blanked += self.db.execute(
                f'update "{table}" set "{name}" = ? where rowid = ?',  # noqa: S608
                [blank, place],
            )

    def _cells(self, holds: Holds) -> Iterator[tuple[str, str, int, str]]:
        """Table, column, row and what to put there, of the cells of other tables."""
        for table in sorted(self.tables - _APART):
            if table.startswith(("turns_fts", "sqlite_")):
                continue
            columns = self.db.rows(f"pragma table_info('{table}')")
            texts = [c["name"] for c in columns if c["type"].upper() == "TEXT" and not c["pk"]]
            listed = ", ".join(["rowid as place", *(f'"{name}"' for name in texts)])
            for row in self.db.rows(f'select {listed} from "{table}"') if texts else ():  # noqa: S608
                for name in texts:
                    blank = _JSON.get((table, name), BLANK)
                    text = row[name] if isinstance(row[name], str) else ""
                    said = _said_in(text) if (table, name) in _JSON else text
                    if text != blank and holds(said):
                        yield table, name, row["place"], blank

    def any_holding(self, holds: Holds) -> bool:
        return bool(self._messages_holding(holds) or self._holding(holds)) or any(
            True for _ in self._cells(holds)
        )


def _said_in(text: str) -> str:
    """The texts, names and numbers within JSON, one below the other; what is none, as it is."""
    try:
        data = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return text
    return "\n".join(_leaves(data))


def _leaves(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        if data.keys() != _CALL:
            yield from data
        data = [*data.values()]
    for value in data if isinstance(data, list) else ():
        yield from _leaves(value)
    if isinstance(data, str):
        yield data


def _marks(items: Sequence[Any]) -> str:
    return ", ".join("?" * len(items))


def _chunks(items: Sequence[Any]) -> builtins.list[Sequence[Any]]:
    return [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
