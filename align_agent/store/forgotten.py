"""What was forgotten, so that it does not come back: ids and digests, never a text.

Clients replay a whole history with every message, and an export can be imported twice: a turn that
was forgotten is not stored again, and its question and answer are left out of later prompts.
"""

from __future__ import annotations

import builtins
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from align_agent.records import Message, new_id, now
from align_agent.store.base import Nouns, dumps, loads

_THOUGHTS = re.compile(r"\A(?:(?!</think).)*</think(?:ing)?>", re.DOTALL)


class Forgotten(Nouns):
    """`store.forgotten`: the turns that are gone, and the journal of what removes them."""

    def has(self, turn_id: str) -> bool:
        """Whether the turn was forgotten."""
        found = self.connection.value("select 1 from forgotten where turn_id = ?", [turn_id])
        return bool(found)

    def count(self) -> int:
        return int(self.connection.value("select count(*) from forgotten"))

    def between(self, conversation: str, first: int, last: int) -> bool:
        """Whether a main turn between two positions of a conversation was forgotten.

        What then looks like a follow-up was said to something else.
        """
        return bool(
            self.connection.value(
                "select 1 from forgotten where conversation_id = ? and main = 1 "
                "and position > ? and position < ?",
                [conversation, min(first, last), max(first, last)],
            )
        )

    def without(self, prompt: Sequence[Message]) -> tuple[Message, ...]:
        """The prompt without the exchanges that were forgotten; the last question always stays."""
        if not self.connection.value("select 1 from forgotten_exchanges limit 1"):
            return tuple(prompt)
        known = {
            digest
            for digest in _candidates(prompt)
            if self.connection.value("select 1 from forgotten_exchanges where digest = ?", [digest])
        }
        return prune(prompt, known) if known else tuple(prompt)

    def never(self, asked: str, answer: str) -> None:
        """Leave an exchange that was not to be stored out of every prompt that comes later."""
        self.connection.execute(
            "insert or ignore into forgotten_exchanges (digest) values (?)",
            [exchange_digest(asked, answer)],
        )

    def begin(self, what: str, work: dict[str, Any], facts: dict[str, Any]) -> str:
        """Note that a forgetting is under way, and what is needed to take it up again.

        `work` may hold a query's words, and goes with `wipe`; `facts` are counts, and stay.
        """
        forgetting = new_id("forget")
        row = {"id": forgetting, "what": what, "asked_at": now()}
        self.connection.insert("forgettings", {**row, "work": dumps(work), "facts": dumps(facts)})
        return forgetting

    def wipe(self, forgetting: str) -> None:
        """Drop what was needed to take it up again. The pages must be erased after this."""
        self.connection.update("forgettings", "id", forgetting, {"work": ""})

    def finish(self, forgetting: str) -> None:
        """It is done."""
        self.connection.update("forgettings", "id", forgetting, {"finished_at": now()})

    def unfinished(self) -> builtins.list[tuple[str, dict[str, Any]]]:
        """(id, work) of what was begun and not finished, the oldest first."""
        rows = self.connection.rows(
            "select id, work from forgettings where finished_at is null order by asked_at, id"
        )
        return [(row["id"], loads(row["work"]) or {}) for row in rows]


def exchanges(prompt: Sequence[Message]) -> Iterator[tuple[list[int], str, str]]:
    """(places, question, last answer) of each exchange: messages of the user, and what followed.

    Messages of the user that follow each other make one question. System messages belong to none.
    """
    places: list[int] = []
    asked: list[str] = []
    answer = ""
    answered = False
    for place, message in enumerate(prompt):
        if message.role == "system":
            continue
        if message.role == "user":
            if answered:
                yield places, "\n\n".join(asked), answer
                places, asked, answer, answered = [], [], "", False
            asked.append(message.content)
        elif not asked:
            continue
        else:
            answered = True
            answer = message.content if message.role == "assistant" else answer
        places.append(place)
    if places:
        yield places, "\n\n".join(asked), answer


def _candidates(prompt: Sequence[Message]) -> set[bytes]:
    """The digests of all that `prune` might leave out."""
    found = {exchange_digest(asked, answer) for _, asked, answer in exchanges(prompt)}
    users = (message.content for message in prompt if message.role == "user")
    return found | {exchange_digest(text, "") for text in users}


def exchange_digest(asked: str, answer: str) -> bytes:
    """The same for every replay of a question and its answer.

    White space does not count, nor do thoughts, which clients drop.
    """
    spoken = _THOUGHTS.sub("", answer)
    parts = [" ".join(unicodedata.normalize("NFC", text).split()) for text in (asked, spoken)]
    return hashlib.sha256(dumps(parts).encode()).digest()


def prune(prompt: Sequence[Message], digests: set[bytes]) -> tuple[Message, ...]:
    """The prompt without the exchanges that have one of the digests.

    A question that was never answered may stand directly before the next one.
    """
    gone: set[int] = set()
    found = list(exchanges(prompt))
    for number, (places, asked, answer) in enumerate(found):
        last = number == len(found) - 1
        if not last and exchange_digest(asked, answer) in digests:
            gone.update(places)
            continue
        users = [place for place in places if prompt[place].role == "user"]
        gone.update(
            place for place in users[:-1] if exchange_digest(prompt[place].content, "") in digests
        )
    return tuple(message for place, message in enumerate(prompt) if place not in gone)
