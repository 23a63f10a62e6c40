"""Many requests on one model at once: continuous admission, fair turns, prefix reuse.

One thread computes. Between two tokens of the running answers it takes in what has arrived, at
most one piece of a long prompt at a time, so that neither a long answer nor a long prompt holds
the others up. Knows nothing of HTTP or turns.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from align_agent.errors import AlignAgentError, ModelError
from align_agent.models import rope
from align_agent.models.cache import RowCache, can_join, growing_cache
from align_agent.models.chat import Tools
from align_agent.models.decoding import noise
from align_agent.models.forward import body, keys_and_values
from align_agent.models.generation import Deliver, Event, Sampling
from align_agent.models.lane import Lane, Row
from align_agent.models.prefix import PrefixCache
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

log = logging.getLogger(__name__)

PREFILL = 512  # prompt tokens computed between two steps of the running answers
_MIXED = "mixed"
STOPPED = "the model is shutting down"


@dataclass(slots=True, eq=False)
class Ticket:
    """A request in the engine. `cancel` ends it early: its Generation says "aborted"."""

    row: Row
    cancelled: bool = False
    cache: RowCache | None = None
    reused: int = 0  # prompt tokens that did not have to be computed

    @property
    def lane(self) -> Hashable:
        """Answers of one lane are computed together: all whose versions mix are."""
        if self.alone:
            return self.row
        return _MIXED if self.row.version.mixes else self.row.version.key

    @property
    def alone(self) -> bool:
        """Whether it may grow so long that it would turn the positions of answers beside it."""
        longest = len(self.row.prompt) + self.row.sampling.max_new_tokens
        return rope.is_long(self.row.version.network, longest)

    @property
    def prompt_tokens(self) -> int:
        return len(self.row.prompt)

    def cancel(self) -> None:
        self.cancelled = True


class Engine:
    """Start one per model; submit from any thread; close it at the end."""

    def __init__(
        self, model: LocalModel, *, max_rows: int = 32, prefix_bytes: int = 512 * 2**20
    ) -> None:
        self.model = model
        self._max_rows = max_rows
        self._prefixes = PrefixCache(prefix_bytes)
        self._lanes: dict[Hashable, list[Lane]] = {}
        self._tickets: dict[Row, Ticket] = {}
        self._waiting: deque[Ticket] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self.counts: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(
        self,
        messages: Sequence[Message],
        deliver: Deliver,
        *,
        tools: Tools = (),
        sampling: Sampling | None = None,
        adapter: Path | None = None,
        choice: int = 0,
        top: int = 0,
        begun: str = "",
    ) -> Ticket:
        """Ask for one answer. `deliver` is called from the engine's thread with each Piece and at
        the end with the Generation, or with the exception that ended it; it must not block.

        `choice` numbers the answers to one request, `top` asks for alternatives to each token,
        `begun` is how the answer must begin.
        Raises ContextTooLong, and whatever `LocalModel.network` raises.
        """
        sampling = sampling or Sampling()
        version = self.model.serving(adapter)
        prompt, builder, seed = self.model.begin(messages, tools, sampling, begun)
        uniform = noise(seed, [choice], sampling.max_new_tokens)[0]
        row = Row(prompt, version, sampling, builder, uniform, deliver, top)
        ticket = Ticket(row)
        row.deliver = _guarded(ticket, deliver)
        with self._wake:
            if self._closed:
                raise ModelError(STOPPED, hint="try again once it is back")
            self._waiting.append(ticket)
            self.counts["requests"] += 1
            self._wake.notify()
        return ticket

    def load(self) -> tuple[int, int]:
        """Answers under way, and requests that wait."""
        with self._wake:
            return len(self._tickets), len(self._waiting)

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop; whoever still waits gets an error."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._awaited():
                self._admit()
                for key, lanes in list(self._lanes.items()):
                    for lane in list(lanes):
                        self._step(key, lane)
        finally:
            with self._wake:
                self._closed = True  # also when it breaks: nobody may wait for a dead thread
            left = [*self._tickets.values(), *self._waiting]
            self._tickets.clear()
            for ticket in left:
                self._deliver(ticket, ModelError(STOPPED, hint="try again once it is back"))

    def _awaited(self) -> bool:
        """Wait for something to do. False when the end has come."""
        with self._wake:
            self._wake.wait_for(lambda: self._closed or self._waiting or self._tickets)
            return not self._closed

    def _admit(self) -> None:
        """Compute a piece of the prompt that waits longest, and more while they are short."""
        room = PREFILL
        ready: dict[Hashable, list[Ticket]] = {}
        while room > 0:
            with self._wake:
                if not self._waiting or len(self._tickets) >= self._max_rows:
                    break
                ticket = self._waiting.popleft()
            try:
                if ticket.cancelled:
                    self._end(ticket, aborted=True)
                    continue
                room -= self._prefill(ticket, room)
            except Exception as error:
                self._fail([ticket], error)
                continue
            assert ticket.cache is not None
            if ticket.cache.length < len(ticket.row.prompt) - 1:
                with self._wake:
                    # Behind the others: a long prompt must not keep short ones from being read.
                    self._waiting.append(ticket)
                continue
            self._tickets[ticket.row] = ticket
            ready.setdefault(ticket.lane, []).append(ticket)
        for key, tickets in ready.items():
            try:
                self._join(key, tickets)
            except Exception as error:
                self._fail(tickets, error)

    def _prefill(self, ticket: Ticket, room: int) -> int:
        """Compute at most `room` more prompt tokens, or all where pieces would be turned otherwise.
        Returns how many it were."""
        wanted = len(ticket.row.prompt) - 1  # the last one goes in with the first step
        if ticket.cache is None:
            kept = None
            if not ticket.alone:  # what was kept of a shorter text is turned otherwise
                kept = self._prefixes.get(ticket.row.version.key, ticket.row.prompt)
            ticket.cache = kept or RowCache(growing_cache(ticket.row.version.network.config), 0)
            ticket.reused = ticket.cache.length
            self.counts["prompt_tokens"] += len(ticket.row.prompt)
            self.counts["reused_tokens"] += ticket.reused
        start = ticket.cache.length
        end = wanted if ticket.alone else min(wanted, start + room)
        if end > start:
            ids = torch.tensor([ticket.row.prompt[start:end]], device=self.model.device)
            with self.model.lock, torch.inference_mode():
                if ticket.alone:
                    rope.forget(ticket.row.version.network)
                reader = body(ticket.row.version.network)
                reader(input_ids=ids, use_cache=True, **keys_and_values(reader, ticket.cache.cache))
            ticket.cache = RowCache(ticket.cache.cache, end)
        return max(1, end - start)

    def _join(self, key: Hashable, tickets: Sequence[Ticket]) -> None:
        caches = [ticket.cache for ticket in tickets if ticket.cache is not None]
        for ticket in tickets:
            ticket.cache = None
        rows = [ticket.row for ticket in tickets]
        lanes = self._lanes.setdefault(key, [])
        with self.model.lock, torch.inference_mode():
            if all(can_join(cache.cache) for cache in caches) and self._mixable(lanes, rows):
                if not lanes:
                    lanes.append(self._lane())
                lanes[0].join(rows, caches)
                return
            for row, cache in zip(rows, caches, strict=True):
                lane = self._lane()
                lane.join([row], [cache])
                lanes.append(lane)

    def _mixable(self, lanes: Sequence[Lane], rows: Sequence[Row]) -> bool:
        there = lanes[0].rows if lanes else []
        try:
            self.model.prepare([row.version for row in (*there, *rows)])
        except AlignAgentError as error:
            # A version was removed while it answers: what is loaded goes on, each row alone.
            log.warning("versions are not batched together: %s", error)
            return False
        return True

    def _lane(self) -> Lane:
        return Lane(self.model.forward, self.model.device)

    def _step(self, key: Hashable, lane: Lane) -> None:
        """One more token in every row of the lane; a failure ends its rows and no others."""
        try:
            self._advance(lane)
        except Exception as error:
            rows, lane.rows = lane.rows, []
            # Those that had ended by then have had their answers.
            self._fail([self._tickets[row] for row in rows if row in self._tickets], error)
        if not lane.rows:
            self._lanes[key].remove(lane)
            if not self._lanes[key]:
                del self._lanes[key]

    def _advance(self, lane: Lane) -> None:
        with self.model.lock:
            for row in lane.rows:
                if self._tickets[row].alone:
                    rope.forget(row.version.network)
            over = set(lane.step())
        self._fail([self._tickets[row] for row in over], _not_a_number())
        for row in lane.rows:
            if row in over:
                continue
            ticket = self._tickets[row]
            if row.builder.done or ticket.cancelled:
                over.add(row)
                # The answer first: what cannot be kept for the next turn must not cost this one.
                self._end(ticket, aborted=not row.builder.done)
                self._remember(ticket, lane)
        lane.keep(lambda row: row not in over)

    def _remember(self, ticket: Ticket, lane: Lane) -> None:
        if not can_join(lane.cache) or ticket.alone:
            return
        ids = [*ticket.row.prompt, *ticket.row.builder.token_ids]
        with torch.inference_mode():
            self._prefixes.put(ticket.row.version.key, ids, lane.take(ticket.row))

    def _end(self, ticket: Ticket, *, aborted: bool) -> None:
        last, generation = ticket.row.builder.finish()
        if last or ticket.row.unsaid:
            ticket.row.say(last)
        if aborted:
            generation = replace(generation, finish_reason="aborted")
        self.counts["aborted" if aborted else "answered"] += 1
        self.counts["answer_tokens"] += len(generation.token_ids)
        self._deliver(ticket, generation)

    def _fail(self, tickets: Sequence[Ticket], error: Exception) -> None:
        """Tell these requests; the others go on."""
        if not isinstance(error, ModelError):
            log.exception("an answer failed", exc_info=error)
        told = _told(error)
        for ticket in tickets:
            self.counts["failed"] += 1
            self._deliver(ticket, told)

    def _deliver(self, ticket: Ticket, event: Event) -> None:
        self._tickets.pop(ticket.row, None)
        ticket.row.deliver(event)


def _not_a_number() -> ModelError:
    return ModelError(
        "the network's output is not a number",
        hint="the model or its adapter is damaged: roll back, or check the model's files",
    )


def _told(error: Exception) -> AlignAgentError:
    """The error as those who wait can be told it."""
    if isinstance(error, AlignAgentError):
        return error
    hint = "the server's log has the details"
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        hint = "lower server.max_batch or server.prefix_cache_mb, or ask for less at once"
    # Without a cause: its traceback would keep the lane's cache in memory.
    return ModelError(f"the answer failed: unexpected {type(error).__name__}", hint=hint)


def _guarded(ticket: Ticket, deliver: Deliver) -> Deliver:
    """A listener that breaks ends its own answer and no other."""

    def safely(event: Event) -> None:
        try:
            deliver(event)
        except Exception:
            log.exception("a listener failed")
            ticket.cancelled = True

    return safely
