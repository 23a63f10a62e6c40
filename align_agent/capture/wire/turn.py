"""A request and its answer as a Turn. Stores nothing; the recorder redacts and writes.

What the model saw and what is recorded differ on purpose. OpenClaw wraps the human's words (time,
host and repository, ids of the sender) and adds, to one request only, a message of its own. The
turn holds the prompt without any of that, and the human's clean words last:

- The added message never comes back, so that with it no prompt would be the beginning of the next
  one, and the hindsight, which belongs behind the human's words, would stand behind machine text.
- It quotes other people, who never asked to be learned from, and tells of ids and paths that an
  adapter must not learn by heart.
- Style, which is what a night teaches, hangs on the words and not on the wrappers; the answers to
  the recorded prompts are drawn anew by the student, and so fit them.

The cost: an answer that used the wrapper (the date, a quoted message) looks as if it were made up.
System prompt and tools stay as the model saw them.

A turn reaches from one human message to the next. What a client replays of our own tool calls is
taken as it comes back, because the later steps of the model were conditioned on exactly that.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from align_agent.capture.wire.conversations import Match
from align_agent.capture.wire.understand import Understood
from align_agent.records import BASE_VERSION, Message, Turn, now


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from the model for one request.

    `finish_reason` is stop, length, tool_calls, aborted (the client hung up) or error; `message`
    holds what had been said by then.
    """

    message: Message
    finish_reason: str = "stop"
    version: int = BASE_VERSION
    base: str = ""
    latency_ms: float = 0.0


def build_turn(
    request: Understood,
    match: Match,
    answer: Answer,
    *,
    tools: tuple[dict[str, Any], ...] = (),
    created_at: str = "",
) -> Turn:
    """The turn as far as this request has brought it, earlier tool steps included."""
    channel = f"{request.channel}:{request.surface}" if request.surface else request.channel
    response = _response(request.since, answer.message)
    said = [message.content for message in response if message.role == "assistant"]
    return Turn(
        conversation_id=match.conversation_id,
        prompt=request.prompt,
        response=response,
        user_text=request.user_text,
        answer=said[-1] if said else "",
        id=match.turn_id,
        created_at=created_at or now(),
        channel=channel,
        version=answer.version,
        base=answer.base,
        main=request.main,
        finish_reason=answer.finish_reason,
        latency_ms=answer.latency_ms,
        tools=tools,
    )


def _response(since: tuple[Message, ...], message: Message) -> tuple[Message, ...]:
    """The steps so far and the new one. Text that the client began for the model is joined to it.

    An answer without any content, of a request that failed, adds nothing.
    """
    if not message.content and not message.tool_calls:
        return since
    last = since[-1] if since else None
    if last is not None and last.role == "assistant" and not last.tool_calls:
        return (*since[:-1], replace(message, content=last.content + message.content))
    return (*since, message)


class OpenTurns:
    """Holds turns that are not finished, because the store takes each turn only once.

    Unfinished is a turn that waits for a tool's result, and one that failed or was broken off:
    clients try again. `settle` gives back the turns that are to be recorded now, oldest first. A
    held turn is let go when it is finished, when the human goes on in the same conversation, when
    too many wait, or by `flush`.
    """

    def __init__(self, *, max_open: int = 200, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = max_open
        self._clock = clock
        self._lock = threading.Lock()
        self._open: OrderedDict[str, tuple[float, Turn]] = OrderedDict()  # by turn id

    def settle(self, turn: Turn) -> tuple[Turn, ...]:
        """Take the newest form of a turn, which counts the time of its earlier steps."""
        with self._lock:
            _, earlier = self._open.pop(turn.id, (0.0, None))
            if earlier is not None:
                turn = replace(
                    turn,
                    created_at=earlier.created_at,
                    latency_ms=earlier.latency_ms + turn.latency_ms,
                )
            # A heartbeat between two steps of a turn does not end it.
            ready = self._take(
                lambda _, held: turn.main and held.conversation_id == turn.conversation_id
            )
            if not _waits(turn):
                return (*ready, turn)
            self._open[turn.id] = (self._clock(), turn)
            if len(self._open) > self._size:
                ready.append(self._open.popitem(last=False)[1][1])
            return tuple(ready)

    def flush(self, older_than: float = 0.0) -> tuple[Turn, ...]:
        """Let go the turns that have waited for so many seconds; all of them by default."""
        with self._lock:
            moment = self._clock()
            return tuple(self._take(lambda since, _: moment - since >= older_than))

    def __len__(self) -> int:
        return len(self._open)

    def _take(self, wanted: Callable[[float, Turn], bool]) -> list[Turn]:
        keys = [key for key, (since, turn) in self._open.items() if wanted(since, turn)]
        return [self._open.pop(key)[1] for key in keys]


def _waits(turn: Turn) -> bool:
    """Whether more of this turn may come: a tool's result, or the client's second try."""
    if turn.finish_reason in ("error", "aborted"):
        return True
    return bool(turn.response) and bool(turn.response[-1].tool_calls)
