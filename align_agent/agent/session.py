"""One conversation with the embedded agent: messages in, streamed answers out, turns recorded.

The version that serves is chosen at the start of each turn and kept to its end. Recording happens
in the background and can neither delay nor break the chat. Use a session from one thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from align_agent.adapters.registry import Registry
from align_agent.agent import live, tools, workspace
from align_agent.agent.approval import NOBODY, Approve, Decision, nobody
from align_agent.agent.call import Call
from align_agent.agent.graph import TurnContext, build_graph, missing_agent
from align_agent.agent.memory import open_memory
from align_agent.agent.pump import Pump
from align_agent.agent.redraw import REDRAWN
from align_agent.agent.skills import Skill, read_skills, skills_block
from align_agent.agent.workspace import Workspace
from align_agent.capture.recorder import Recorder
from align_agent.capture.redact import redact
from align_agent.capture.wire import sanitize_text
from align_agent.config import Config
from align_agent.config.preferences import shown_rules
from align_agent.distill.hindsight import Shown
from align_agent.errors import (
    AlignAgentError,
    ConfigError,
    InputError,
    ModelError,
    NotFound,
    StoreError,
)
from align_agent.feedback.shown import deny
from align_agent.feedback.signals import observe
from align_agent.models.load import load_model
from align_agent.models.shortage import give_back, ran_out
from align_agent.paths import Home
from align_agent.prompts import with_rules
from align_agent.records import Message, ToolCall, Turn, denied_in, denied_turn, new_id, now
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.agent.live import Step
    from align_agent.models.local import LocalModel

log = logging.getLogger(__name__)

# The list of skills would crowd out the conversation on a smaller context.
SKILLS_NEED_CONTEXT = 8_000
READ_SKILL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "read_skill",
        "description": "Read a skill's instructions.",
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        },
    },
}


class AgentSession:
    """A conversation. Make one with `open`, close it when done (it is a context manager too).

    `last_turn` is the turn of the last `send` that came to its end, as it was said (before
    redaction); None before the first. `approve` decides on the calls of the tools in
    `agent.approve`; as long as nobody is there to ask, they are denied. With `learn.live`,
    `last_step` is what the last `send` learned at once, if anything, `step_fault` why it could not;
    `last_adapter` is the folder that answered the last turn, None for the base.
    """

    def __init__(
        self,
        home: Home,
        config: Config,
        model: LocalModel,
        *,
        conversation_id: str,
        channel: str,
        resources: ExitStack,
    ) -> None:
        self.home = home
        self.config = config
        self.model = model
        self.conversation_id = conversation_id
        self.channel = channel
        self.last_turn: Turn | None = None
        self.approve: Approve = nobody
        self.last_step: Step | None = None
        self.step_fault = ""
        self.last_adapter: Path | None = None
        self._resources = resources
        self.system, self.tools, self._skills = _offer(home, config, model, channel)
        agent = config.agent
        self._files: Workspace | None = None
        if agent.workspace:
            self._files = Workspace.of(home, agent.workspace, agent.test_command)
        personal = config.privacy.redact_personal
        memory = open_memory(home.checkpoints, conversation_id, personal=personal)
        self._saver = resources.enter_context(memory)
        self._graph = build_graph(self._saver)
        self._store = resources.enter_context(Store.open(home.database))
        self._registry = Registry(self._store, home)
        self.recorder = Recorder(
            home.database,
            config.privacy,
            queue_size=config.capture.queue_size,
            on_stored=lambda store, turn: _read_feedback(store, turn, config),
        )
        resources.callback(self.recorder.close)

    @classmethod
    def open(
        cls,
        home: Home,
        config: Config,
        *,
        conversation_id: str = "",
        channel: str = "chat",
        model: LocalModel | None = None,
    ) -> AgentSession:
        """Begin a conversation, or go on with an earlier one by its id.

        Raises MissingDependency, ModelError (the base cannot be loaded), StoreError, and
        ConfigError for a tool that does not exist.
        """
        _require_langgraph()
        home.ensure()
        model = model or load_model(config.model)
        if config.learn.live:
            live.ready()
        with ExitStack() as stack:
            session = cls(
                home,
                config,
                model,
                conversation_id=conversation_id or new_id("chat"),
                channel=channel,
                resources=stack,
            )
            session._resources = stack.pop_all()
        return session

    def send(self, text: str) -> Iterator[str]:
        """Answer a message: yields the text in pieces, and records the turn at the end.

        Raises InputError for an empty message, ContextTooLong for one that does not fit, and
        ModelError when the model fails; the memory is then as before the message. A caller that
        stops listening stops the model: the turn is recorded as interrupted and not remembered.
        """
        said = sanitize_text(text)
        if not said.strip():
            raise InputError("the message is empty", hint="type something first")
        return self._answer(said)

    def messages(self) -> list[Message]:
        """The conversation so far, as it is remembered: no system message, no present turn."""
        values = self._graph.get_state(self._thread()).values
        return [Message.from_dict(data) for data in values.get("messages", [])]

    @property
    def memory_fault(self) -> str:
        """Why the conversation is remembered no longer than this session, if it is not."""
        fault = self._saver.fault
        return fault.message if fault is not None else ""

    def close(self) -> None:
        """Store what waits to be recorded and free the databases. Closing twice does nothing."""
        self._resources.close()

    def __enter__(self) -> AgentSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Inside

    def _answer(self, said: str) -> Iterator[str]:
        started, moment = time.monotonic(), now()
        self.last_step, self.step_fault = None, ""
        if self.last_turn is not None and live.corrects(said, self.last_turn, self.config):
            self.learn_at_once(self.last_turn, Shown(said))
        version, adapter = self._serving()
        call = Call(self, adapter, said, version)
        agent = self.config.agent
        context = TurnContext(
            call, self._call_tool, agent.max_steps, approved=frozenset(agent.approve)
        )
        pieces: list[str] = []
        outcome = "interrupted"
        try:
            for piece in self._pieces(said, context, call):
                pieces.append(piece)
                yield piece
            outcome = context.finish_reason
        except AlignAgentError:
            outcome = "error"
            raise
        except Exception as error:
            outcome = "error"
            log.exception("the agent failed in the middle of a turn")
            raise ModelError(
                f"the agent failed while answering: {type(error).__name__}: {error}",
                hint="the conversation is as before this message; try again",
            ) from error
        finally:
            whole = outcome not in ("interrupted", "error")
            if whole or pieces:
                response = self._response() if whole else [Message("assistant", "".join(pieces))]
                turn = self._record(
                    call,
                    tuple(response),
                    version=version,
                    created_at=moment,
                    latency_ms=1000 * (time.monotonic() - started),
                    finish_reason=outcome,
                    excluded=not whole,
                )
                if whole:
                    self.last_turn, self.last_adapter = turn, call.adapter
            self._record_denied(call)
            self._bump(REDRAWN, call.redrawn)
        self._saver.forget_older()

    def learn_at_once(self, turn: Turn, shown: Shown) -> bool:
        """Take one step from what is known now of a turn's answer, if `learn.live` says so.

        False when nothing was learned; what went wrong costs no answer, and `step_fault` tells it.
        """
        if not self.config.learn.live:
            return False
        personal = self.config.privacy.redact_personal
        clean = [redact(text, personal).text for text in astuple(shown)]
        try:
            self.last_step = live.learn(
                self.home, self.config, self._store, self.model, turn, Shown(*clean)
            )
        except AlignAgentError as error:
            return self._not_learned(error.message)
        except Exception as error:
            log.exception("a step of learning failed")
            if ran_out(error):
                give_back()
                return self._not_learned("out of memory")
            return self._not_learned(f"{type(error).__name__}: {error}")
        return True

    def _not_learned(self, why: str) -> Literal[False]:
        self.step_fault = why
        log.warning("nothing was learned at once: %s", why)
        self._bump(live.FAILED, 1)
        return False

    def _serving(self) -> tuple[int, Path | None]:
        registry = self._registry
        answer = registry.answering if self.config.learn.live else registry.serving
        return answer(self.model.base, self.model.base_hash)

    def _pieces(self, said: str, context: TurnContext, call: Call) -> Iterator[str]:
        """The answer's pieces. Where a call waits for leave, a person decides before it goes on."""
        given: Any = {"turn": [Message("user", said).to_dict()], "steps": 0}
        while given is not None:
            call.stop = threading.Event()
            with Pump(self._run(given, context), call.stop) as pump:
                yield from pump
            given = self._decided(call)

    def _run(self, given: Any, context: TurnContext) -> Iterator[str]:
        pieces: Iterator[str] = self._graph.stream(
            given,
            self._thread(),
            context=context,
            stream_mode="custom",
            # Written once, after the last node: a turn that fails leaves no trace in memory.
            durability="exit",
        )
        return pieces

    def _decided(self, call: Call) -> Any:
        """What the graph goes on with: the decisions on the calls that wait; None where none do."""
        from langgraph.types import Command

        state = self._graph.get_state(self._thread())
        if not state.interrupts:
            return None
        message = Message.from_dict(state.values["turn"][-1])
        decisions: list[Decision] = []
        for data in state.interrupts[0].value:
            one = ToolCall.from_dict(data)
            decision = self.approve(one)
            if decision.verdict == "deny" and decision.reason not in ("", NOBODY):
                turn = self._denied(replace(message, tool_calls=(one,)), call)
                call.denied.append((turn, decision.reason))
                # A habit that outlasts the steps is told in the context instead.
                anew = len(call.denied) <= live.RETRIES
                anew = self.learn_at_once(turn, Shown(decision.reason)) and anew
                call.adapter = self._serving()[1]
                decision = replace(decision, anew=anew)
            decisions.append(decision)
        return Command(resume=[decision.to_dict() for decision in decisions])

    def _denied(self, message: Message, call: Call) -> Turn:
        """A denied call as a turn of its own: the call is the answer. In a conversation beside
        this one, whose turns follow each other."""
        return Turn(
            id=denied_turn(call.turn_id, len(call.denied) + 1),
            conversation_id=denied_in(self.conversation_id),
            prompt=call.shown,
            response=(message,),
            user_text=call.said,
            answer=message.content,
            channel=self.channel,
            version=call.version,
            base=self.model.base,
            tools=self.tools,
        )

    def _record_denied(self, call: Call) -> None:
        """The denied calls into the log, each with the reason as what the user said of it."""
        if not call.denied or not self.config.capture.enabled:
            return
        for turn, _ in call.denied:
            self.recorder.record(turn)
        self.recorder.flush()
        try:
            for turn, reason in call.denied:
                if self._store.turns.has(turn.id):
                    clean = redact(reason, self.config.privacy.redact_personal).text
                    deny(self._store, turn.id, clean, turn.response[0].tool_calls[0].name)
        except (StoreError, NotFound) as error:  # forgotten in between
            log.warning("why a call was denied could not be stored: %s", error)

    def _bump(self, counter: str, by: int) -> None:
        """Count what a database that breaks keeps from no answer."""
        try:
            if by:
                self._store.counters.bump(counter, by)
        except StoreError as error:
            log.warning("%s could not be counted (%d): %s", counter, by, error)

    def _response(self) -> list[Message]:
        values = self._graph.get_state(self._thread()).values
        return [Message.from_dict(data) for data in values["turn"][1:]]

    def _record(self, call: Call, response: tuple[Message, ...], **facts: Any) -> Turn:
        spoken = [m.content for m in response if m.role == "assistant"]
        turn = Turn(
            id=call.turn_id,
            conversation_id=self.conversation_id,
            prompt=call.prompt,
            response=response,
            user_text=call.said,
            answer=spoken[-1] if spoken else "",
            channel=self.channel,
            base=self.model.base,
            tools=self.tools,
            **facts,
        )
        if self.config.capture.enabled:
            self.recorder.record(turn)
        return turn

    def _call_tool(self, name: str, arguments: Mapping[str, Any]) -> str:
        offered = {schema["function"]["name"] for schema in self.tools}
        if name == "read_skill" and name in offered:
            return _read_skill(self._skills, arguments)
        if name not in offered:
            there = ", ".join(sorted(offered)) or "none"
            return f"error: there is no tool {name!r}; there are: {there}"
        if self._files is not None and name in workspace.NAMES:
            return self._files.call(name, arguments)
        return tools.call(name, arguments)

    def _thread(self) -> dict[str, Any]:
        limit = 2 * self.config.agent.max_steps + 4
        return {"configurable": {"thread_id": self.conversation_id}, "recursion_limit": limit}


def system_prompt(config: Config, skills: Sequence[Skill] = (), channel: str = "chat") -> str:
    """Persona, the channel's declared rules, and skills; empty when there are none of them."""
    preferences = config.preferences
    parts = [preferences.persona.strip(), skills_block(skills)]
    text = "\n\n".join(part for part in parts if part)
    rules = shown_rules(preferences, channel)
    return with_rules([Message("system", text)], rules)[0].content


def first_prompt(
    config: Config, model: LocalModel, question: str, home: Home | None = None
) -> tuple[tuple[Message, ...], tuple[dict[str, Any], ...]]:
    """What the model is shown for the first message of a conversation, and the tools offered."""
    system, offered, _ = _offer(home, config, model)
    head = (Message("system", system),) if system else ()
    return (*head, Message("user", question)), offered


def _offer(
    home: Home | None, config: Config, model: LocalModel, channel: str = "chat"
) -> tuple[str, tuple[dict[str, Any], ...], list[Skill]]:
    """The system prompt, the tool schemas, and the skills behind `read_skill`."""
    _known("agent.tools", config.agent.tools, tuple(tools.TOOLS))
    _known("agent.approve", config.agent.approve, (*tools.TOOLS, *workspace.NAMES, "read_skill"))
    offered = tools.schemas_for(config.agent.tools)
    offered += workspace.SCHEMAS if config.agent.workspace else ()
    if config.agent.max_steps == 1:  # which leaves no room for an answer after a call
        offered = []
    wanted = config.agent.skills_in_prompt
    roomy = model.context >= SKILLS_NEED_CONTEXT
    skills: list[Skill] = []
    if wanted == "always" or (wanted == "auto" and roomy):
        skills, problems = read_skills(_skill_folders(home, config))
        for problem in problems:
            log.warning("a skill was left out: %s", problem)
        if skills:
            offered.append(READ_SKILL)
    return system_prompt(config, skills, channel), tuple(offered), skills


def _known(field: str, named: Sequence[str], there: Sequence[str]) -> None:
    for name in named:
        if name not in there:
            raise ConfigError(
                f"{field} names {name!r}, which is no tool", hint=f"there are: {', '.join(there)}"
            )


def _skill_folders(home: Home | None, config: Config) -> list[Path]:
    """Relative folders lie in the home; without one only absolute ones count."""
    folders = [Path(name).expanduser() for name in config.agent.skills]
    if home is None:
        return [folder for folder in folders if folder.is_absolute()]
    return [home.root / folder for folder in folders]


def _read_skill(skills: Sequence[Skill], arguments: Mapping[str, Any]) -> str:
    wanted = str(arguments.get("name", ""))
    for skill in skills:
        if skill.name == wanted:
            return skill.body
    return f"error: there is no skill {wanted!r}; there are: {', '.join(s.name for s in skills)}"


def _read_feedback(store: Store, turn: Turn, config: Config) -> None:
    observe(store, turn, config)


def _require_langgraph() -> None:
    try:
        import langgraph.checkpoint.sqlite
        import langgraph.graph  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing_agent(error) from error
