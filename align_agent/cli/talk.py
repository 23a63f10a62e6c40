"""One conversation at the command line: messages go to the agent, `/commands` are done here.

Holds the agent's session. Reads from no terminal itself; `chat.py` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from align_agent.agent import commands
from align_agent.agent.commands import Reply
from align_agent.cli.app import App
from align_agent.cli.output import note, paint, say, warn, wrapped
from align_agent.display import counted, printable
from align_agent.models.files import POCKET
from align_agent.records import version_label

if TYPE_CHECKING:
    from align_agent.agent.approval import Approve
    from align_agent.agent.session import AgentSession
    from align_agent.models.local import LocalModel

HELP = """\
/rate up|down [why]  what you think of the last answer
/edit ANSWER         the last answer as it should have been (\\n: a new line)
/undo                take back what was learned at once (learn.live)
/why                 what shapes its answers now
/why WORDS           what these words speak against in the last answer
/rules               the wishes it knows
/learn               learn now instead of tonight
/rollback            go back to the version before
/new                 start another conversation
/quit                leave (also Ctrl-D)"""

# It answers small talk like any other text that it does not know: with sums.
_WORLD = (
    "The pocket model is tiny, to try the loop on: it knows sums in words, grading, capitals and "
    "range functions in Python, and little else. Ask for example: Tom has 8 nuts and gets 5 more. "
    "How many nuts does Tom have?"
)


class Talk:
    """A conversation, as a context manager. `log` holds what happened, for `--json`.

    `workspace` counts instead of `agent.workspace`. `approve` asks the person who talks.
    """

    def __init__(
        self,
        app: App,
        conversation: str = "",
        *,
        workspace: str = "",
        approve: Approve | None = None,
    ) -> None:
        self.app = app
        agent = app.config.agent
        self._config = replace(
            app.config, agent=replace(agent, workspace=workspace or agent.workspace)
        )
        self._approve = approve
        self._told = ""  # of the memory: once is enough
        self.ended = False
        self.log: list[dict[str, Any]] = []
        self._session: AgentSession = self._open(conversation)
        # What only makes sense at the command line; the rest is `agent/commands.py`.
        self._here: dict[str, Callable[[], Reply]] = {
            "learn": self._learn,
            "rules": self._rules,
            "new": self._new,
            "help": lambda: Reply(HELP.splitlines()),
            "quit": self._quit,
            "exit": self._quit,
        }

    def __enter__(self) -> Talk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def is_new(self) -> bool:
        """Whether nothing was said in this conversation yet."""
        with self.app.store(read_only=True) as store:
            return not store.turns.list(limit=1, conversation=self._session.conversation_id)

    def greeting(self) -> list[str]:
        """What answers, and how to go on; paragraphs."""
        base = self._session.model.base
        with self.app.registry() as (_, registry):
            serves = version_label(registry.served()[0])
        how = f"{base}, {serves}. Correct it in your own words; /help lists the commands."
        return [how, _WORLD] if base == POCKET else [how]

    def hear(self, message: str) -> None:
        """Answer a message, or do a `/command`. Raises AlignAgentError."""
        said = "/help" if message.strip() in ("/", "/?") else message
        command = commands.parse(said, (*commands.NAMES, *self._here))
        if command is None:
            self._answer(message)
            return
        if command.name in self._here:
            reply = self._here[command.name]()
        else:
            reply = commands.run(command, self._session)
        for line in reply.lines:
            self._tell(line)
        self.log.append({"command": command.name, **reply.data})

    # Inside

    def _answer(self, message: str) -> None:
        for piece in self._session.send(message):
            if not self.app.json:
                click.echo(printable(piece), nl=False)
        self._tell("")
        self._tell_of_step()
        self._tell_of_memory()
        turn, step = self._session.last_turn, self._session.last_step
        if turn is not None:
            self.log.append(
                {
                    "turn": turn.id,
                    "conversation": turn.conversation_id,
                    "version": turn.version,
                    "user": turn.user_text,
                    "answer": turn.answer,
                    **({"step": step.number} if step is not None else {}),
                }
            )

    def _tell_of_step(self) -> None:
        step, fault = self._session.last_step, self._session.step_fault
        if step is not None:
            told = f"step {step.number}, {step.seconds:.1f} s; /undo takes it back"
            note(paint(f"(learned at once: {told})", dim=True))
        if fault:
            warn(f"nothing was learned at once: {fault}")

    def _tell_of_memory(self) -> None:
        fault = self._session.memory_fault
        if fault and fault != self._told:
            warn(f"{fault}; this conversation is remembered until you leave, and no longer")
        self._told = fault

    def _open(self, conversation: str, model: LocalModel | None = None) -> AgentSession:
        from align_agent.agent.session import AgentSession

        session = AgentSession.open(
            self.app.home, self._config, conversation_id=conversation, model=model
        )
        session.approve = self._approve or session.approve
        return session

    def _close(self) -> None:
        self._session.close()
        stats = self._session.recorder.stats
        lost = stats["dropped"] + stats["failed"]
        if lost:
            warn(f"{counted(lost, 'turn')} could not be stored; `align-agent doctor` may say why")

    def _tell(self, text: str) -> None:
        if not self.app.json:
            say("\n".join(wrapped(text)))

    def _learn(self) -> Reply:
        """A night with its progress. It needs the memory that this session's model holds."""
        from align_agent.cli.nightly import night_with_progress

        conversation = self._session.conversation_id
        self._close()
        try:
            found = night_with_progress(self.app.home, self.app.config.privacy, trigger="chat")
        finally:
            self._session = self._open(conversation)
        reason = f": {found.reason}" if found.reason else ""
        return Reply([f"{found.status}{reason}"], {"run": found.id, "status": found.status})

    def _rules(self) -> Reply:
        with self.app.store() as store:
            rules = store.rules.list(("active", "declared", "proposed"))
        lines = [f"- {rule.text} ({rule.status}, {rule.count}x)" for rule in rules]
        return Reply(
            lines or ["none yet: say what you would like otherwise"],
            {"rules": [{"text": rule.text, "status": rule.status} for rule in rules]},
        )

    def _new(self) -> Reply:
        self._close()
        self._session = self._open("", self._session.model)
        return Reply(["a new conversation"], {"conversation": self._session.conversation_id})

    def _quit(self) -> Reply:
        self.ended = True
        return Reply([])
