"""The turns of all conversations: adding, finding, listing. Judges none of them."""

from __future__ import annotations

import builtins
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from align_agent.errors import InputError
from align_agent.records import Message, ToolCall, Turn
from align_agent.store.base import Nouns, dumps, loads
from align_agent.store.connection import Connection, Row
from align_agent.store.forgotten import Forgotten
from align_agent.store.search import matching
from align_agent.store.text import storable

_COLUMNS = (
    "number, id, conversation_id, position, created_at, channel, user_text, answer, version, "
    "base, main, finish_reason, excluded, latency_ms"
)
_CHUNK = 200
# What `str.strip` takes away: SQLite's own trim knows the space alone.
_BLANK = "".join(chr(i) for i in range(1, 0x3001) if chr(i).isspace())


class Turns(Nouns):
    """`store.turns`."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._forgotten = Forgotten(connection)

    def add(self, turn: Turn) -> bool:
        """Store a turn with its messages, in one transaction; False when its id is known.

        A turn that was forgotten is known, and what was forgotten is left out of its prompt. The
        position within the conversation is assigned here, whatever the turn says.
        """
        if not turn.id or not turn.conversation_id:
            raise InputError("a turn needs an id and a conversation", hint="give both")
        connection = self.connection
        with connection.transaction():
            if connection.value("select 1 from turns where id = ?", [turn.id]):
                return False
            if self._forgotten.has(turn.id):
                return False
            turn = replace(turn, prompt=self._forgotten.without(turn.prompt))
            connection.insert(
                "conversations",
                {
                    "id": turn.conversation_id,
                    "channel": turn.channel,
                    "created_at": turn.created_at,
                },
                conflict="ignore",
            )
            number = self._insert(turn)
            for part, messages in (
                ("prompt", turn.prompt),
                ("response", turn.response),
                # Stored as messages are, because the same tools stand in prompt after prompt.
                ("tools", tuple(Message("system", dumps(tool)) for tool in turn.tools)),
            ):
                rows = [
                    (number, part, place, self._message(message))
                    for place, message in enumerate(messages)
                ]
                connection.execute_many("insert into turn_messages values (?, ?, ?, ?)", rows)
            connection.execute_many(
                "insert into tool_calls values (?, ?, ?, ?, ?, ?)", _calls(number, turn.response)
            )
        return True

    def get(self, wanted: str) -> Turn:
        """The turn with that id, or the only one whose id begins so. Raises NotFound."""
        return _load(self.connection, [self._find("turns", "turn", "turn-", wanted)])[0]

    def list(
        self,
        *,
        limit: int = 50,
        offset: int = 0,
        conversation: str = "",
        channel: str = "",
        search: str = "",
        main_only: bool = False,
        newest_first: bool = True,
    ) -> list[Turn]:
        """Turns by time, those that match all that is asked. `limit` below 0 means all.

        `search` is a person's text: words (each may be a beginning) and "quoted phrases", all of
        which must occur in what was asked or answered.
        """
        conditions, parameters = ["1"], []
        if conversation:
            conditions.append("conversation_id = ?")
            parameters.append(conversation)
        if channel:
            conditions.append("channel = ?")
            parameters.append(channel)
        if main_only:
            conditions.append("main = 1")
        if search.strip():
            condition, extra = matching(search)
            conditions.append(condition)
            parameters += extra
        order = "desc" if newest_first else "asc"
        sql = (
            f"select {_COLUMNS} from turns where {' and '.join(conditions)} "  # noqa: S608
            f"order by created_at {order}, number {order} limit ? offset ?"
        )
        return _load(
            self.connection, self.connection.rows(sql, [*parameters, limit, max(0, offset)])
        )

    def all_main(self) -> Iterator[Turn]:
        """Every main turn in the order of arrival, excluded ones too. Holds no read lock."""
        number = 0
        while True:
            rows = self.connection.rows(
                f"select {_COLUMNS} from turns where number > ? and main = 1 "  # noqa: S608
                "order by number limit ?",
                [number, _CHUNK],
            )
            if not rows:
                return
            number = rows[-1]["number"]
            yield from _load(self.connection, rows)

    def facts(self) -> builtins.list[Row]:
        """number, id, conversation_id, excluded, asked and answered of every main turn, in order.

        That is what can be told of a long log without reading its texts.

        `asked` is 1 where a message of the prompt has words of the user, `answered` where one of
        the response has words or a call.
        """
        said = (
            "exists (select 1 from turn_messages p join messages m on m.number = p.message "
            "where p.turn = t.number and p.part = '{}' and m.role = '{}' and {})"
        )
        asked = said.format("prompt", "user", "trim(m.content, ?1) <> ''")
        answered = said.format(
            "response", "assistant", "(trim(m.content, ?1) <> '' or m.tool_calls <> '[]')"
        )
        return self.connection.rows(
            f"select number, id, conversation_id, excluded, {asked} as asked, "  # noqa: S608
            f"{answered} as answered from turns t where main = 1 order by number",
            [_BLANK],
        )

    def with_follow_ups(self) -> builtins.list[Row]:
        """number, id, excluded and answered of every main turn, in order, and of its follow-up the
        number `after`, `after_id` and `said`; None where there is none, as `follow_up_of` says.

        `answered` is 1 where the answer has words, `said` where the follow-up has.
        """
        return self.connection.rows(
            "with beside as (select number, lead(number) over (partition by conversation_id "
            "order by position) as next from turns where main = 1) "
            "select t.number, t.id, t.excluded, trim(t.answer, ?1) <> '' and exists (select 1 "
            "from turn_messages where turn = t.number and part = 'response') as answered, "
            "a.number as after, a.id as after_id, trim(a.user_text, ?1) <> '' as said "
            "from beside b join turns t on t.number = b.number "
            "left join turns a on a.number = b.next and not exists (select 1 from forgotten f "
            "where f.conversation_id = t.conversation_id and f.main = 1 "
            "and f.position > t.position and f.position < a.position) "
            "order by t.number",
            [_BLANK],
        )

    def excluded(self) -> set[str]:
        """The ids of the main turns that were taken out."""
        rows = self.connection.rows("select id from turns where main = 1 and excluded = 1")
        return {row["id"] for row in rows}

    def without_history(self, numbers: Sequence[int]) -> Iterator[Turn]:
        """The turns with these numbers, in that order, read as they are asked for.

        Their prompts hold the system message alone, if there is one, and their responses nothing:
        the rest is most of what there is to read.
        """
        for start in range(0, len(numbers), _CHUNK):
            chunk = numbers[start : start + _CHUNK]
            marks = ", ".join("?" * len(chunk))
            rows = self.connection.rows(
                f"select {_COLUMNS} from turns where number in ({marks})",  # noqa: S608
                chunk,
            )
            heads = self.connection.rows(
                "select p.turn, m.* from turn_messages p join messages m on m.number = p.message "  # noqa: S608
                f"where p.turn in ({marks}) and p.part = 'prompt' and p.place = 0 "
                "and m.role = 'system'",
                chunk,
            )
            parts: Parts = {(row["turn"], "prompt"): (_message(row),) for row in heads}
            found = {row["number"]: _turn(row, parts) for row in rows}
            yield from (found[number] for number in chunk)

    def several(self, numbers: Sequence[int]) -> builtins.list[Turn]:
        """The turns with these numbers, whole, in that order."""
        found: dict[int, Turn] = {}
        for start in range(0, len(numbers), _CHUNK):
            chunk = numbers[start : start + _CHUNK]
            marks = ", ".join("?" * len(chunk))
            sql = f"select {_COLUMNS} from turns where number in ({marks})"  # noqa: S608
            rows = self.connection.rows(sql, chunk)
            turns = _load(self.connection, rows)
            found.update(zip((row["number"] for row in rows), turns, strict=True))
        return [found[number] for number in numbers]

    def user_texts(self) -> dict[str, str]:
        """What was asked in each main turn, by its id."""
        rows = self.connection.rows("select id, user_text from turns where main = 1")
        return {row["id"]: row["user_text"] for row in rows}

    def arrived(self, limit: int) -> builtins.list[Row]:
        """main, excluded, finish_reason, said, answered and side (its note) of the latest turns.

        `said` and `answered` are 1 where there are words of the human, and an answer or a call.
        """
        return self.connection.rows(
            "select turns.id, main, excluded, finish_reason, trim(user_text, ?1) <> '' as said, "
            "trim(answer, ?1) <> '' or exists (select 1 from tool_calls where turn = number) "
            "as answered, "
            "coalesce(value, '') as side "
            "from turns left join turn_notes on turn_id = turns.id and name = 'side' "
            "order by number desc limit ?2",
            [_BLANK, limit],
        )

    def follow_up_of(self, turn: Turn) -> Turn | None:
        """The next main turn of the same conversation; None when one between was forgotten."""
        return self._beside(turn, ">", "asc")

    def previous_of(self, turn: Turn) -> Turn | None:
        """The main turn before this one in the same conversation; None when one between was
        forgotten."""
        return self._beside(turn, "<", "desc")

    def latest(self, conversation: str = "") -> Turn | None:
        """The newest main turn, of one conversation or of all."""
        found = self.list(limit=1, conversation=conversation, main_only=True)
        return found[0] if found else None

    def exclude(self, wanted: str, excluded: bool = True) -> Turn:
        """Keep a turn from being trained on, or let it again. Raises NotFound."""
        row = self._find("turns", "turn", "turn-", wanted)
        self.connection.update("turns", "number", row["number"], {"excluded": int(excluded)})
        return self.get(row["id"])

    def set_aside(self, turn_id: str) -> bool:
        """Mark a stored turn as side traffic, after all; False when it was none of the user's."""
        changed = self.connection.execute(
            "update turns set main = 0 where id = ? and main = 1", [turn_id]
        )
        return bool(changed)

    def take_up(self, turn_id: str) -> bool:
        """Count a turn that was stored aside as the user's own; False when there is none such."""
        changed = self.connection.execute(
            "update turns set main = 1 where id = ? and main = 0", [turn_id]
        )
        return bool(changed)

    def has(self, turn_id: str) -> bool:
        """Whether a turn with exactly that id is stored."""
        return bool(self.connection.value("select 1 from turns where id = ?", [turn_id]))

    def count(self) -> int:
        return int(self.connection.value("select count(*) from turns"))

    def count_corrected(self, min_confidence: float) -> int:
        """Main turns with an answer that the user found fault with, excluded ones left out."""
        return int(
            self.connection.value(
                "select count(*) from turns t where main = 1 and excluded = 0 and answer != '' "
                "and exists (select 1 from feedback f where f.turn_id = t.id and dismissed = 0 "
                "and polarity = 'negative' and confidence >= ? and not exists (select 1 from "
                "feedback_layers l where l.feedback_id = f.id and l.review != ''))",
                [min_confidence],
            )
        )

    def last_activity(self, until: str) -> str | None:
        """When the newest main turn up to that moment was; None when there is none."""
        moment = self.connection.value(
            "select max(created_at) from turns where main = 1 and created_at <= ?", [until]
        )
        return None if moment is None else str(moment)

    def conversations(self) -> builtins.list[dict[str, Any]]:
        """id, channel, started_at, last_at and number of turns of each; the latest first."""
        return self.connection.rows("""
            select c.id, c.channel, t.started_at, t.last_at, t.turns from conversations c join (
              select conversation_id, min(created_at) as started_at, max(created_at) as last_at,
                     count(*) as turns
              from turns group by conversation_id
            ) t on t.conversation_id = c.id order by t.last_at desc, c.id
        """)

    def _beside(self, turn: Turn, sign: str, order: str) -> Turn | None:
        position = turn.position
        if position < 0:
            position = self._find("turns", "turn", "turn-", turn.id)["position"]
        rows = self.connection.rows(
            f"select {_COLUMNS} from turns where conversation_id = ? "  # noqa: S608
            f"and position {sign} ? and main = 1 order by position {order} limit 1",
            [turn.conversation_id, position],
        )
        if not rows or self._forgotten.between(turn.conversation_id, position, rows[0]["position"]):
            return None
        return _load(self.connection, rows)[0]

    def _insert(self, turn: Turn) -> int:
        connection = self.connection
        position = connection.value(
            "select max((select coalesce(max(position) + 1, 0) from turns where "
            "conversation_id = ?1), (select coalesce(max(position) + 1, 0) from forgotten where "
            "conversation_id = ?1))",
            [turn.conversation_id],
        )
        connection.insert(
            "turns",
            {
                "id": turn.id,
                "conversation_id": turn.conversation_id,
                "position": position,
                "created_at": turn.created_at,
                "channel": turn.channel,
                "user_text": turn.user_text,
                "answer": turn.answer,
                "version": turn.version,
                "base": turn.base,
                "main": int(turn.main),
                "finish_reason": turn.finish_reason,
                "excluded": int(turn.excluded),
                "latency_ms": float(turn.latency_ms),
            },
        )
        return int(connection.value("select number from turns where id = ?", [turn.id]))

    def _message(self, message: Message) -> int:
        """The number of the stored message with this content, which is stored if it is new."""
        calls = dumps([call.to_dict() for call in message.tool_calls])
        content, call_id = storable(message.content), storable(message.tool_call_id)
        digest = hashlib.sha256(
            json.dumps([message.role, content, calls, call_id]).encode()
        ).digest()
        found = "select number from messages where digest = ?"
        number = self.connection.value(found, [digest])
        if number is None:
            self.connection.insert(
                "messages",
                {
                    "digest": digest,
                    "role": message.role,
                    "content": content,
                    "tool_calls": calls,
                    "tool_call_id": call_id,
                },
            )
            number = self.connection.value(found, [digest])
        return int(number)


Parts = dict[tuple[int, str], tuple[Message, ...]]


def _load(connection: Connection, rows: Sequence[Row]) -> list[Turn]:
    """Rows of the table as turns, with their messages."""
    turns: list[Turn] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        parts = _parts(connection, [row["number"] for row in chunk])
        turns += [_turn(row, parts) for row in chunk]
    return turns


def _parts(connection: Connection, numbers: Sequence[int]) -> Parts:
    """(turn number, part) -> its messages in order. Equal ones are shared."""
    marks = ", ".join("?" * len(numbers))
    places = connection.rows(
        f"select turn, part, message from turn_messages where turn in ({marks}) "  # noqa: S608
        "order by turn, part, place",
        numbers,
    )
    messages: dict[int, Message] = {}
    wanted = sorted({row["message"] for row in places})
    for start in range(0, len(wanted), _CHUNK):
        some = wanted[start : start + _CHUNK]
        marks = ", ".join("?" * len(some))
        for row in connection.rows(
            f"select * from messages where number in ({marks})",  # noqa: S608
            some,
        ):
            messages[row["number"]] = _message(row)
    lists: dict[tuple[int, str], list[Message]] = {}
    for row in places:
        lists.setdefault((row["turn"], row["part"]), []).append(messages[row["message"]])
    return {key: tuple(value) for key, value in lists.items()}


def _message(row: Row) -> Message:
    return Message(
        role=row["role"],
        content=row["content"],
        tool_calls=tuple(ToolCall.from_dict(call) for call in loads(row["tool_calls"]) or ()),
        tool_call_id=row["tool_call_id"] or "",
    )


def _turn(row: Row, parts: Parts) -> Turn:
    number = row["number"]
    return Turn(
        id=row["id"],
        conversation_id=row["conversation_id"],
        position=row["position"],
        created_at=row["created_at"],
        channel=row["channel"],
        user_text=row["user_text"],
        answer=row["answer"],
        version=row["version"],
        base=row["base"],
        main=bool(row["main"]),
        finish_reason=row["finish_reason"],
        excluded=bool(row["excluded"]),
        latency_ms=row["latency_ms"],
        prompt=parts.get((number, "prompt"), ()),
        response=parts.get((number, "response"), ()),
        tools=tuple(loads(m.content) for m in parts.get((number, "tools"), ())),
    )


def _calls(number: int, response: Sequence[Message]) -> list[tuple[int, int, str, str, str, str]]:
    """The tool calls of a response with their results, as rows."""
    results = {m.tool_call_id: m.content for m in response if m.role == "tool"}
    calls = [call for message in response for call in message.tool_calls]
    return [
        (number, place, call.id, call.name, dumps(call.arguments), results.get(call.id, ""))
        for place, call in enumerate(calls)
    ]
