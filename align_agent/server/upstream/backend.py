"""The backend that asks another server: an `Ask` in, its answer out as it is written.

Knows no API of our own and stores nothing. An answer is always streamed from there, also for a
client that waits for the whole: only so a client who leaves ends it there at once, and what had
been said by then is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from align_agent.config import UpstreamConfig
from align_agent.errors import AlignAgentError, NotFound, TimedOut, Unsupported, UpstreamError
from align_agent.models.chat import Tools
from align_agent.models.generation import Event, Generation
from align_agent.records import BASE_VERSION, Message
from align_agent.server.answers import Answers, Ask, Listen
from align_agent.server.upstream.kinds import KINDS
from align_agent.server.upstream.remote import LOAD_SECONDS, Remote
from align_agent.server.upstream.wire import NO_ANSWER, Reading, Tokens, request_of
from align_agent.server.versions import FAMILY, Served

log = logging.getLogger(__name__)

_DRAIN_SECONDS = 0.2  # a server that said its last word usually ends at once


@dataclass(slots=True)
class _UnderWay:
    """One choice; cancelling one ends the whole request."""

    reading: Reading
    task: asyncio.Task[None]

    @property
    def prompt_tokens(self) -> int:
        return self.reading.prompt_tokens

    @property
    def reused(self) -> int:
        return self.reading.reused

    def cancel(self) -> None:
        self.task.cancel()


class Upstream:
    """Another server behind the door; see `backend.Backend` for what each method is for."""

    context = 2**31 - 1  # it knows its own limit, and says so

    def __init__(self, settings: UpstreamConfig) -> None:
        """Raises ConfigError, MissingDependency."""
        self._remote = Remote(settings)
        self._kind = KINDS[settings.kind](self._remote, settings)
        self._tokens = Tokens()
        self._running = 0
        self._missed: set[int] = set()
        self.counts: Counter[str] = Counter()

    async def begin(
        self, ask: Ask, body: Mapping[str, Any], timeout: float, listen: Listen
    ) -> Answers:
        """Returns once the server has accepted the request. Raises UpstreamError, TimedOut."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        queue: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        reading = Reading(ask, self._tokens)
        self.counts["requests"] += 1

        def deliver(choice: int, event: Event) -> None:
            queue.put_nowait((choice, event))
            if choice == 0:
                listen(event)

        task = asyncio.create_task(self._run(ask, body, reading, opened, deliver))
        until = loop.time() + timeout
        try:
            async with asyncio.timeout(timeout):
                await opened
        except TimeoutError:
            task.cancel()
            raise TimedOut(
                f"the upstream did not begin to answer within {timeout:g} seconds",
                hint="see whether it is overloaded, or raise server.timeout_seconds",
            ) from None
        except BaseException:
            task.cancel()
            raise
        under_way = [_UnderWay(reading, task) for _ in range(ask.choices)]
        return Answers(under_way, queue, max(until - loop.time(), 0.001), set(range(ask.choices)))

    async def settle(self, served: Served, named: bool) -> Served:
        if await self._kind.has(served):
            self._missed.discard(served.version)
            return served
        if named:
            raise NotFound(f"the upstream does not have {served.name}", hint=self._kind.cure)
        self.counts["fallback"] += 1
        if served.version not in self._missed:  # once, not for every request
            self._missed.add(served.version)
            log.warning("the upstream lacks %s: the base answers. %s", served.name, self._kind.cure)
        return Served(BASE_VERSION, None)

    async def warm(self, served: Served) -> None:
        pass  # it has few places for adapters: only what is asked for takes one

    def token(self, number: int) -> tuple[str, list[int]]:
        return self._tokens.token(number)

    async def count(self, messages: tuple[Message, ...], tools: Tools) -> int:
        raise Unsupported(
            "tokens are not counted ahead on an upstream",
            hint="every answer tells how many it used",
        )

    async def embed(self, body: dict[str, Any]) -> Any:
        if str(body["model"]).partition("@")[0] == FAMILY:
            body = body | {"model": await self._remote.model()}
        return await self._remote.ask("POST", f"{self._remote.url}/embeddings", body, LOAD_SECONDS)

    async def ready(self) -> None:
        await self._remote.ask("GET", f"{self._remote.url}/models")

    def load(self) -> tuple[int, int]:
        return self._running, 0

    async def aclose(self) -> None:
        await self._remote.aclose()

    def close(self) -> None:
        pass

    # Inside

    async def _run(
        self,
        ask: Ask,
        body: Mapping[str, Any],
        reading: Reading,
        opened: asyncio.Future[None],
        deliver: Any,
    ) -> None:
        """One request from its beginning to its end, and whatever ends it."""
        self._running += 1
        try:
            await self._read(ask, body, reading, opened, deliver)
            for choice, piece in reading.rest():
                deliver(choice, piece)
            made = reading.finish()
        except asyncio.CancelledError:
            self.counts["aborted"] += 1
            deliver(0, reading.generation(0, "aborted"))
        except Exception as error:
            self.counts["failed"] += 1
            if not isinstance(error, AlignAgentError):
                log.exception("an answer of the upstream could not be read")
                error = UpstreamError(
                    f"the upstream's answer cannot be read: {error!r}", hint=NO_ANSWER
                )
            if not opened.done():
                opened.set_exception(error)  # the caller raises it
            else:
                deliver(0, error)
        else:
            self._account(reading, made)
            for choice, generation in enumerate(made):
                deliver(choice, generation)
        finally:
            self._running -= 1
            if not opened.done():
                opened.cancel()

    async def _read(
        self,
        ask: Ask,
        body: Mapping[str, Any],
        reading: Reading,
        opened: asyncio.Future[None],
        deliver: Any,
    ) -> None:
        request = request_of(ask, body)
        for attempt in (1, 2):
            try:
                async with (
                    self._kind.lease(ask.served) as chosen,
                    self._remote.stream(request | chosen) as events,
                ):
                    with suppress(asyncio.InvalidStateError):
                        opened.set_result(None)
                    async for data in events:
                        for choice, piece in reading.take(data):
                            deliver(choice, piece)
                        if reading.over:
                            await _drain(events)
                            break
                return
            except UpstreamError as error:
                early = attempt == 1 and not opened.done()
                if not (early and self._kind.forget(ask.served, error)):
                    raise

    def _account(self, reading: Reading, made: list[Generation]) -> None:
        self.counts["answered"] += 1
        self.counts["prompt_tokens"] += reading.prompt_tokens
        self.counts["reused_tokens"] += reading.reused
        self.counts["answer_tokens"] += sum(len(generation.token_ids) for generation in made)


async def _drain(events: AsyncIterator[str]) -> None:
    """To the end of the response, so that its connection can be used again."""
    with suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in events:
                pass
