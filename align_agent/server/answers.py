"""One request's answers as async events: the bridge between the engine's thread and the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from align_agent.errors import TimedOut
from align_agent.models.generation import Event, Generation, Piece, Sampling
from align_agent.records import Message
from align_agent.server.versions import Served

if TYPE_CHECKING:
    from align_agent.models.engine import Engine, Ticket

T = TypeVar("T")
Listen = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request wants, whatever the API it came through. `begun`: how it must begin.

    `usual` names the fields of `sampling` that the client left to whoever answers.
    """

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]
    sampling: Sampling
    served: Served
    choices: int = 1
    top: int = 0
    begun: str = ""
    usual: frozenset[str] = frozenset()


class UnderWay(Protocol):
    """One answer that is being written, wherever."""

    @property
    def prompt_tokens(self) -> int: ...
    @property
    def reused(self) -> int: ...
    def cancel(self) -> None: ...


@dataclass(slots=True)
class Answers:
    """The answers to one request, under way. Iterate over `events`, then `close`, always."""

    tickets: Sequence[UnderWay]
    queue: asyncio.Queue[tuple[int, Event]]
    timeout: float
    left: set[int] = field(default_factory=set)

    @property
    def prompt_tokens(self) -> int:
        return self.tickets[0].prompt_tokens

    @property
    def reused_tokens(self) -> int:
        return self.tickets[0].reused

    async def events(self) -> AsyncIterator[tuple[int, Piece | Generation]]:
        """(choice, event) as they come, until every choice has its Generation.

        Raises what ended an answer, and TimedOut.
        """
        try:
            async with asyncio.timeout(self.timeout):
                while self.left:
                    choice, event = await self.queue.get()
                    if isinstance(event, BaseException):
                        raise event
                    if isinstance(event, Generation):
                        self.left.discard(choice)
                    yield choice, event
        except TimeoutError:
            raise TimedOut(
                f"the answer was not ready after {self.timeout:g} seconds",
                hint="ask for fewer tokens, or raise server.timeout_seconds",
            ) from None

    def close(self) -> None:
        """End what is still being written; nothing more is computed for it."""
        for choice in self.left:
            self.tickets[choice].cancel()


async def begin(engine: Engine, ask: Ask, timeout: float, listen: Listen) -> Answers:
    """Hand a request to the engine. Raises ContextTooLong, AdapterDamaged, WrongBase.

    `listen` hears every event of the first choice, in the engine's thread, whether or not the
    client is still there. It must not block.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()

    def submit(choice: int) -> Ticket:
        def deliver(event: Event) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server is going down
                loop.call_soon_threadsafe(queue.put_nowait, (choice, event))
            if choice == 0:
                listen(event)

        return engine.submit(
            ask.messages,
            deliver,
            tools=ask.tools,
            sampling=ask.sampling,
            adapter=ask.served.adapter,
            choice=choice,
            top=ask.top,
            begun=ask.begun,
        )

    # In a thread: a long prompt takes milliseconds to tokenize, an adapter longer to load.
    tickets = await asyncio.to_thread(lambda: [submit(i) for i in range(ask.choices)])
    return Answers(tickets, queue, timeout, set(range(ask.choices)))


async def whole(answers: Answers) -> tuple[list[Generation], list[list[Piece]]]:
    """Every choice's Generation and pieces, once all are there."""
    generations: dict[int, Generation] = {}
    pieces: list[list[Piece]] = [[] for _ in answers.tickets]
    try:
        async for choice, event in answers.events():
            if isinstance(event, Generation):
                generations[choice] = event
            else:
                pieces[choice].append(event)
    finally:
        answers.close()
    return [generations[i] for i in range(len(answers.tickets))], pieces


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; when the client leaves before it is there, the work is cancelled.

    Raises ClientDisconnect.
    """
    task = asyncio.current_task()
    assert task is not None
    before, left = task.cancelling(), False

    async def watch() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass
        left = True
        task.cancel()

    # The work stays in this task: one of its own would begin a turn of the loop later.
    watching = asyncio.ensure_future(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if left and task.uncancel() <= before:
            raise ClientDisconnect from None
        raise
    finally:
        watching.cancel()
