"""LangGraph's checkpointer, which goes on in this process's memory where the disk refuses.

Nothing secret reaches the disk. The conversation at hand is remembered as it was said by this
process alone; who goes on with it later finds marks where secrets and personal data stood.

Inherits from langgraph's class, so that `memory.py` alone imports it, inside a function.
"""

from __future__ import annotations

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from align_agent.capture.redact import cleaned_data
from align_agent.errors import DiskFull, StoreError
from align_agent.store.connection import read_only_disk, refused, translate

BUSY_SECONDS = 10.0
_TABLES = ("checkpoints", "writes")
_KEPT = 64  # packed objects of this process: one turn writes a few, each of which it may read again


class _Discreet(SerializerProtocol):  # type: ignore[misc]
    """Packs the memory without secrets, and unpacks what this process packed as it was.

    A call that waits for leave is read back before it is done, so its arguments must come back
    whole.
    """

    def __init__(self, personal: bool) -> None:
        self._plain = JsonPlusSerializer()
        self._personal = personal
        self._whole: OrderedDict[bytes, tuple[str, bytes]] = OrderedDict()

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        whole: tuple[str, bytes] = self._plain.dumps_typed(obj)
        if isinstance(obj, dict) and "channel_values" in obj:
            said = cleaned_data(obj["channel_values"], self._personal)
            seen = {**obj, "channel_values": said}
        else:
            # What a step wrote and no checkpoint holds yet: of use to this process alone.
            seen = {"of": os.getpid(), "number": os.urandom(8).hex()}
        shown: tuple[str, bytes] = self._plain.dumps_typed(seen)
        if shown != whole:
            self._whole[shown[1]] = whole
            if len(self._whole) > _KEPT:
                self._whole.popitem(last=False)
        return shown

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        return self._plain.loads_typed(self._whole.get(data[1], data))


class Saver(SqliteSaver):  # type: ignore[misc]
    """The checkpoints in a file or, once its disk takes nothing any more, in memory alone.

    The conversation at hand comes along; `fault` then says what is wrong with the disk.
    """

    def __init__(self, path: Path, conversation_id: str, *, personal: bool) -> None:
        self._path, self._conversation = path, conversation_id
        serde = _Discreet(personal)
        self.fault: StoreError | None = None
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            disk = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
            super().__init__(disk, serde=serde)
            self.setup()
        except (OSError, sqlite3.OperationalError) as error:
            fault = _unwilling(error, path)
            if fault is None:
                raise
            super().__init__(sqlite3.connect(":memory:", check_same_thread=False), serde=serde)
            self._move_to_memory(fault, _as_it_lies(path))

    def put(self, *arguments: Any, **named: Any) -> Any:
        return self._kept(lambda: SqliteSaver.put(self, *arguments, **named))

    def put_writes(self, *arguments: Any, **named: Any) -> None:
        self._kept(lambda: SqliteSaver.put_writes(self, *arguments, **named))

    def forget_older(self) -> None:
        """Delete all but the conversation's newest checkpoint: each holds the whole memory."""
        self._kept(self._forget_older)

    def _forget_older(self) -> None:
        newest = "select max(checkpoint_id) from checkpoints where thread_id = ?"
        with self.cursor() as cursor:
            for table in _TABLES:
                cursor.execute(
                    f"delete from {table} where thread_id = ? "  # noqa: S608
                    f"and checkpoint_id < ({newest})",
                    [self._conversation, self._conversation],
                )

    def _kept(self, write: Callable[[], Any]) -> Any:
        try:
            return write()
        except sqlite3.OperationalError as error:
            fault = _unwilling(error, self._path)
            if fault is None:
                raise
            self._move_to_memory(fault, self.conn)
        return write()

    def _move_to_memory(self, fault: StoreError, source: sqlite3.Connection | None) -> None:
        self.conn = sqlite3.connect(":memory:", check_same_thread=False)
        self.is_setup = False
        self.setup()
        self.fault = fault
        if source is None:
            return
        try:
            # A disk that fails may not be read either; an answer is worth more than what was said.
            with suppress(sqlite3.Error):
                self._copy(source)
        finally:
            source.close()

    def _copy(self, source: sqlite3.Connection) -> None:
        said = {
            table: source.execute(
                f"select * from {table} where thread_id = ?",  # noqa: S608
                [self._conversation],
            ).fetchall()
            for table in _TABLES
        }
        for table, rows in said.items():
            for row in rows:
                marks = ", ".join("?" * len(row))
                self.conn.execute(f"insert into {table} values ({marks})", row)  # noqa: S608
        self.conn.commit()


def _unwilling(error: OSError | sqlite3.Error, path: Path) -> StoreError | None:
    """What keeps the disk from taking anything; None where the file itself is what is wrong."""
    if isinstance(error, OSError):
        fault = refused(error, path)
        failing = False
    else:
        fault = translate(error, path)
        failing = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR
    return fault if failing or isinstance(fault, DiskFull) or read_only_disk(path) else None


def _as_it_lies(path: Path) -> sqlite3.Connection | None:
    """The file as SQLite reads it without making companions; None where a log is not yet in it."""
    log = path.with_name(f"{path.name}-wal")
    if not path.exists() or not path.stat().st_size or (log.exists() and log.stat().st_size):
        return None
    return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)
