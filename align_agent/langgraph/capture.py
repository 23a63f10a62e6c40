"""Watches LangGraph and LangChain agents and records what they say, like the door does.

A callback handler: it sees every model and tool call of a run, in whichever way the agent was
built, called or streamed. What happens in the agent's own thread is a few assignments; reading,
matching and storing happen in the scribe's. Nothing here can make the agent fail: a failure is
counted (`stats`) and logged.

It answers nothing and changes nothing: which model the agent uses is the agent's affair.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

from align_agent.config import Config, load_config
from align_agent.errors import MissingDependency
from align_agent.langgraph.reading import messages_of, model_of, reason_of, tools_of
from align_agent.langgraph.runs import Call, Run
from align_agent.paths import find_home
from align_agent.records import BASE_VERSION, Message
from align_agent.server.scribe import Exchange, Scribe
from align_agent.server.versions import FAMILY, Served

try:
    from langchain_core.messages import AIMessage, ToolMessage
    from langgraph.callbacks import GraphCallbackHandler
except ModuleNotFoundError as missing:
    raise MissingDependency(
        f"watching agents needs {missing.name}, which is not installed",
        hint="pip install 'align-agent[agent]'",
    ) from missing

log = logging.getLogger(__name__)

MAX_RUNS = 10_000  # of runs that never end, the oldest are forgotten
_LEFT = ("GeneratorExit", "CancelledError", "KeyboardInterrupt")

F = TypeVar("F", bound=Callable[..., None])
T = TypeVar("T")


def _harmless(event: F) -> F:
    """The event's method, whose failures are counted and logged and go no further."""

    @functools.wraps(event)
    def guarded(self: Capture, *args: Any, **facts: Any) -> None:
        try:
            event(self, *args, **facts)
        except Exception:
            self.counts["failed"] += 1
            log.exception("an event of an agent could not be read")

    return cast(F, guarded)


class Capture(GraphCallbackHandler):  # type: ignore[misc]
    """Give it to a run as `config={"callbacks": [capture]}`, or once for all with `watch`.

    `home` and `config` are those of align-agent, by default as for every command. `nodes` names
    the nodes of the graph whose model calls may be the answer, where the answer cannot be found in
    the graph's output. Close it, or use it as a context manager, to keep unfinished turns too.
    """

    run_inline = True  # the events are too short to be worth a thread, and their order counts

    def __init__(
        self,
        home: str | Path | None = None,
        config: Config | None = None,
        *,
        channel: str = "langgraph",
        nodes: Sequence[str] = (),
    ) -> None:
        """Raises ConfigError for a config.yaml that cannot be used."""
        place = find_home(home).ensure()
        settings = config or load_config(place.config)
        self._enabled = settings.capture.enabled
        self._scribe = Scribe(place, settings, "")
        self._channel, self._nodes = channel, tuple(nodes)
        self._lock = threading.Lock()
        self._runs: OrderedDict[UUID, Run] = OrderedDict()  # by every run within them too
        self._over: OrderedDict[UUID, None] = OrderedDict()
        self._paused: OrderedDict[str, tuple[Exchange, Message, str]] = OrderedDict()  # by thread
        self.counts: Counter[str] = Counter()

    def watch(self, agent: T) -> T:
        """The same agent, watched in every run."""
        return cast(T, cast(Any, agent).with_config(callbacks=[self]))

    @property
    def stats(self) -> dict[str, int]:
        """What became of the turns: the recorder's counters and our own.

        served: left to `align-agent serve`, which had answered and recorded them itself. silent:
        runs without any call of a model. failed: what could not be read or stored.
        """
        stored = self._scribe.recorder.stats
        failed = stored["failed"] + self.counts["failed"] + self._scribe.counts["failed"]
        ours = {name: self.counts[name] for name in ("served", "silent", "forgotten")}
        return stored | ours | {"failed": failed}

    def flush(self) -> None:
        """Wait until every finished turn is stored."""
        self._scribe.flush()

    def close(self) -> None:
        """Store what waits, unfinished turns included. What comes later is dropped, and counted."""
        self._scribe.close()

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __copy__(self) -> Capture:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Capture:
        return self

    # What LangChain calls

    @_harmless
    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        self._enter(run_id, parent_run_id, inputs, metadata or {})

    @_harmless
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        self._leave(run_id, outputs)

    @_harmless
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        self._leave(run_id, None, error)

    @_harmless
    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        self._enter(run_id, parent_run_id, None, metadata or {})

    @_harmless
    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        run = self._runs.get(run_id)
        if run is not None and isinstance(output, ToolMessage):
            run.results[output.tool_call_id] = messages_of([output])[0]
        self._leave(run_id, None)

    @_harmless
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **facts: Any) -> None:
        run, call_id = self._runs.get(run_id), facts.get("tool_call_id")
        # A tool that asks the human is no failure: the run goes on later.
        if run is not None and call_id and isinstance(error, Exception) and not _bubbles(error):
            text = f"error: {type(error).__name__}: {error}"
            run.results[call_id] = Message("tool", text, tool_call_id=call_id)
        self._leave(run_id, None, error)

    @_harmless
    def on_chat_model_start(
        self,
        serialized: Any,
        messages: list[list[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        invocation_params: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        facts = metadata or {}
        run = self._enter(run_id, parent_run_id, messages[0], facts)
        if run is not None:
            node = str(facts.get("langgraph_node", ""))
            run.calls[run_id] = Call(list(messages[0]), invocation_params or {}, node)

    @_harmless
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **_: Any) -> None:
        run = self._runs.get(run_id)
        if run is not None and isinstance(token, str) and run_id in run.calls:
            run.calls[run_id].pieces.append(token)

    @_harmless
    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        run = self._runs.get(run_id)
        if run is None or run_id not in run.calls:
            return
        message = getattr(response.generations[0][0], "message", None)
        if isinstance(message, AIMessage):
            run.calls[run_id].message = message
        self._leave(run_id, message)

    @_harmless
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        self._leave(run_id, None, error)

    @_harmless
    def on_interrupt(self, event: Any) -> None:
        run = self._runs.get(event.run_id)
        if run is not None:
            run.paused = True

    # Inside

    def _enter(
        self, run_id: UUID, parent: UUID | None, given: Any, facts: dict[str, Any]
    ) -> Run | None:
        """The run that this is a part of, or a new one. None for what comes after a run's end."""
        if not self._enabled:
            return None
        with self._lock:
            run = self._runs.get(parent) if parent is not None else None
            if run is None and parent in self._over:
                return None
            if run is None:
                thread, person = (str(facts.get(key) or "") for key in ("thread_id", "user_id"))
                run = Run(run_id, given, thread, person, _is_new(given))
            run.parts.append(run_id)
            self._runs[run_id] = run
            if len(self._runs) > MAX_RUNS:
                self._forget(next(iter(self._runs.values())))
                self.counts["forgotten"] += 1
            return run

    def _forget(self, run: Run) -> None:
        for part in run.parts:
            self._runs.pop(part, None)
            self._over[part] = None
        while len(self._over) > MAX_RUNS:
            self._over.popitem(last=False)

    def _leave(self, run_id: UUID, outputs: Any, error: BaseException | None = None) -> None:
        run = self._runs.get(run_id)
        if run is None or run.id != run_id:
            return
        seconds = time.monotonic() - run.began
        with self._lock:
            self._forget(run)
        reason = "aborted" if run.paused else ""
        if error is not None:
            reason = "aborted" if type(error).__name__ in _LEFT else "error"
        self._scribe.later(lambda: self._write(run, outputs, reason, seconds))

    def _write(self, run: Run, outputs: Any, reason: str, seconds: float) -> None:
        """Record a run that has ended. In the scribe's thread."""
        call = run.answer(outputs, self._nodes)
        before = self._paused.pop(run.thread, None)
        if call is None:
            if before is not None and not run.anew and not run.paused:
                # The human let it end: what was said before the pause was all there is.
                self._scribe.take(*before, seconds)
            elif before is not None and not run.anew:
                self._pause(run, *before)
            else:
                self.counts["silent"] += 1
            return
        if call.message is not None and model_of(call.message).startswith(f"{FAMILY}@"):
            self.counts["served"] += 1
            return
        exchange, said = self._exchange(run, call)
        ended = reason_of(call.message) if call.message is not None else "aborted"
        if run.paused:
            self._pause(run, exchange, said, ended)
        self._scribe.take(exchange, said, reason or ended, seconds)

    def _pause(self, run: Run, exchange: Exchange, said: Message, ended: str) -> None:
        self._paused[run.thread] = exchange, said, ended
        if len(self._paused) > MAX_RUNS:
            self._paused.popitem(last=False)

    def _exchange(self, run: Run, call: Call) -> tuple[Exchange, Message]:
        """What the model was shown, and its answer; or, if tools had the last word, theirs."""
        shown, said = messages_of(call.messages), call.said()
        results = [run.results[c.id] for c in said.tool_calls if c.id in run.results]
        if results:
            shown, said = (*shown, said, *results), Message("assistant", "")
        headers = {"x-align-agent-channel": self._channel}
        if run.thread:
            headers["x-align-agent-session"] = run.thread
        exchange = Exchange(
            headers,
            {"user": run.person},
            shown,
            tools_of(call.parameters),
            Served(BASE_VERSION, None),
            base=model_of(call.message) if call.message is not None else "",
            anew=run.anew,
            human=run.human(),
        )
        return exchange, said


def _is_new(given: Any) -> bool:
    """Whether a run begins with the human's words; a resumed one gets nothing, or a command.

    A model that is watched by itself is called again with the results of tools.
    """
    if given is None or type(given).__name__ == "Command":
        return False
    last = given[-1] if isinstance(given, list) and given else None
    return not isinstance(last, ToolMessage)


def _bubbles(error: Exception) -> bool:
    """Whether it is LangGraph's way to leave a node, no fault."""
    from langgraph.errors import GraphBubbleUp

    with suppress(TypeError):
        return isinstance(error, GraphBubbleUp)
    return False
