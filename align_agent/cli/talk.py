"""One conversation at the command line: messages go to the agent, `/commands` are done here.

Holds the agent's session. Reads from no terminal itself; `chat.py` does.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.app import App
from align_agent.cli.output import note, printable, say, warn
from align_agent.errors import UsageError
from align_agent.records import version_label

if TYPE_CHECKING:
    from align_agent.agent.session import AgentSession

HELP = """\
/rate up|down [why]  what you think of the last answer
/why                 what shaped the last answer
/rules               the wishes it knows
/learn               learn now instead of tonight
/rollback            go back to the version before
/new                 start another conversation
/quit                leave (also Ctrl-D)"""


class Talk:
    """A conversation, as a context manager. `log` holds what happened, for `--json`."""

    def __init__(self, app: App, conversation: str = "") -> None:
        self.app = app
        self.ended = False
        self.log: list[dict[str, Any]] = []
        self._session: AgentSession = self._open(conversation)
        self._commands: dict[str, Callable[[str], dict[str, Any]]] = {
            "rate": self._rate,
            "why": self._why,
            "rules": self._rules,
            "learn": self._learn,
            "rollback": self._rollback,
            "new": self._new,
            "help": self._help,
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

    def greeting(self) -> str:
        return (
            f"{self._session.model.base}, {version_label(self._champion())}. "
            "Correct it in your own words; /help lists the commands."
        )

    def hear(self, message: str) -> None:
        """Answer a message, or do a `/command`. Raises AlignAgentError."""
        if message.startswith("/") and message.strip() != "/":
            name, _, rest = message[1:].partition(" ")
            command = self._commands.get(name)
            if command is None:
                raise UsageError(f"there is no command `/{name}`", hint="/help lists them")
            self.log.append({"command": name, **command(rest.strip())})
            return
        for piece in self._session.send(message):
            if not self.app.json:
                click.echo(printable(piece), nl=False)
        if not self.app.json:
            say()
        turn = self._session.last_turn
        if turn is not None:
            self.log.append(
                {
                    "turn": turn.id,
                    "conversation": turn.conversation_id,
                    "version": turn.version,
                    "user": turn.user_text,
                    "answer": turn.answer,
                }
            )

    # Inside

    def _open(self, conversation: str) -> AgentSession:
        from align_agent.agent.session import AgentSession

        return AgentSession.open(self.app.home, self.app.config, conversation_id=conversation)

    def _close(self) -> None:
        self._session.close()
        stats = self._session.recorder.stats
        lost = stats["dropped"] + stats["failed"]
        if lost:
            warn(f"{lost} turns could not be stored; `align-agent doctor` may say why")

    def _champion(self) -> int:
        with self.app.registry() as (_, registry):
            return registry.champion()

    def _tell(self, text: str) -> None:
        if not self.app.json:
            say(text)

    def _last_turn_id(self) -> str:
        """The last answered turn, once it is stored. Raises UsageError before the first one."""
        turn = self._session.last_turn
        if turn is None:
            raise UsageError("nothing was said yet", hint="ask something first")
        self._session.recorder.flush()
        return turn.id

    def _rate(self, rest: str) -> dict[str, Any]:
        from align_agent.feedback.signals import rate

        verdict, _, why = rest.partition(" ")
        if verdict not in ("up", "down"):
            raise UsageError("rate it up or down", hint="/rate down too long")
        turn_id = self._last_turn_id()
        with self.app.store() as store:
            rate(store, turn_id, verdict == "up", why.strip())
        self._tell(f"noted: {verdict}" + (f", {why.strip()}" if why.strip() else ""))
        return {"turn": turn_id, "verdict": verdict, "why": why.strip()}

    def _why(self, _rest: str) -> dict[str, Any]:
        turn_id = self._last_turn_id()
        with self.app.registry() as (store, registry):
            turn = store.turns.get(turn_id)
            rules = [rule.text for rule in store.rules.list(("active", "declared"))]
            lineage = registry.lineage(turn.version)
        found = {
            "turn": turn.id,
            "version": turn.version,
            "learned_from": lineage,
            "rules": rules,
        }
        self._tell(f"{version_label(turn.version)}, learned from {len(lineage)} turns")
        for rule in rules:
            self._tell(f"- {printable(rule)}")
        return found

    def _rules(self, _rest: str) -> dict[str, Any]:
        with self.app.store() as store:
            rules = store.rules.list(("active", "declared", "proposed"))
        if not rules:
            self._tell("none yet: say what you would like otherwise")
        for rule in rules:
            self._tell(f"- {printable(rule.text)} ({rule.status}, {rule.count}x)")
        return {"rules": [{"text": rule.text, "status": rule.status} for rule in rules]}

    def _learn(self, _rest: str) -> dict[str, Any]:
        from align_agent.cli.nightly import night_with_progress

        conversation = self._session.conversation_id
        # The night needs the memory that this session's model holds.
        self._close()
        try:
            run = night_with_progress(self.app.home, trigger="chat")
        finally:
            self._session = self._open(conversation)
        self._tell(f"{run.status}: {printable(run.reason)}")
        return {"run": run.id, "status": run.status, "reason": run.reason}

    def _rollback(self, _rest: str) -> dict[str, Any]:
        with self.app.registry() as (_, registry):
            old, new = registry.rollback(why="/rollback in a chat")
        self._tell(f"rolled back: {version_label(old)} -> {version_label(new)}")
        note("promotion is held; `align-agent adapters release` lets nights promote again")
        return {"old": old, "new": new}

    def _new(self, _rest: str) -> dict[str, Any]:
        self._close()
        self._session = self._open("")
        self._tell("a new conversation")
        return {"conversation": self._session.conversation_id}

    def _help(self, _rest: str) -> dict[str, Any]:
        self._tell(HELP)
        return {"help": HELP}

    def _quit(self, _rest: str) -> dict[str, Any]:
        self.ended = True
        return {}
