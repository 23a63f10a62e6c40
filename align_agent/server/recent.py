"""Which answers of this process belong to which turn, as long as that may be asked. In memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

_SIZE = 20_000


class Recent:
    """The latest answers. Safe to share between threads."""

    def __init__(self, size: int = _SIZE) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._turns: OrderedDict[str, str] = OrderedDict()  # response -> turn
        self._responses: OrderedDict[str, list[str]] = OrderedDict()  # turn -> responses
        self._whole: OrderedDict[str, None] = OrderedDict()  # turns whose answer came to its end

    def put(self, response: str, turn_id: str) -> None:
        """An answer to a turn is being written; a turn with tool steps has several."""
        if not response:
            return
        with self._lock:
            self._turns[response] = turn_id
            self._responses.setdefault(turn_id, []).append(response)
            self._bound()

    def turn(self, response: str) -> str:
        """The turn of an answer, or the empty text."""
        with self._lock:
            return self._turns.get(response, "")

    def of(self, turn_id: str) -> list[str]:
        """The answers to a turn."""
        with self._lock:
            return list(self._responses.get(turn_id, ()))

    def whole(self, turn_id: str) -> None:
        """The turn was answered to the end."""
        with self._lock:
            self._whole[turn_id] = None
            self._bound()

    def is_whole(self, turn_id: str) -> bool:
        with self._lock:
            return turn_id in self._whole

    def _bound(self) -> None:
        for index in (self._turns, self._responses, self._whole):
            while len(index) > self._size:
                index.popitem(last=False)
