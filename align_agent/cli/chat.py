"""`align-agent chat`: talk to the agent, in a terminal, from a script or through a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import columns, note, paint, report, say_json, shorten, wrapped
from align_agent.display import printable
from align_agent.errors import AlignAgentError, UsageError

if TYPE_CHECKING:
    from align_agent.agent.approval import Decision
    from align_agent.cli.talk import Talk
    from align_agent.records import ToolCall

_BARE = ("help", "quit", "exit")  # what somebody may type who wants the command


@click.command()
@click.option(
    "-m",
    "--message",
    "messages",
    multiple=True,
    metavar="TEXT",
    help="Say this and leave (may be repeated: one conversation, in order).",
)
@click.option("--conversation", default="", metavar="ID", help="Go on with this conversation.")
@click.option(
    "--workspace",
    default="",
    metavar="DIR",
    help="Let the agent read, edit and test in this folder; it asks before each change.",
)
@common
@click.pass_obj
def command(app: App, messages: tuple[str, ...], conversation: str, workspace: str) -> None:
    """Talk to the agent. What you say next is read as feedback on what it said before.

    Inside: /rate up|down [why], /edit ANSWER, /undo, /why, /rules, /learn, /rollback, /new, /help,
    /quit.
    Without a terminal, each line of standard input is one message. One that is an error is told,
    and the next is heard; the exit code is the first error's.
    """
    from align_agent.cli.talk import Talk

    app.make_home()
    typed = not messages and sys.stdin.isatty()
    approve = _asked if typed else None
    with Talk(app, conversation, workspace=workspace, approve=approve) as talk:
        if conversation and talk.is_new():
            note(f"there is no conversation `{shorten(conversation, 60)}` yet: a new one begins")
        if typed:
            _by_hand(talk)
            code = 0
        else:
            try:
                code = _in_order(app, talk, messages or _lines())
            finally:  # what was answered is told, whatever came after it
                if app.json:
                    say_json(talk.log)
    if typed and app.json:
        say_json(talk.log)
    if code:
        click.get_current_context().exit(code)


def _in_order(app: App, talk: Talk, messages: Iterable[str]) -> int:
    """Every message, though one before it was an error. Returns the first error's exit code."""
    code = 0
    for message in messages:
        if talk.ended:
            break
        if not app.json:
            note(paint(f"you: {shorten(message, columns() - 5)}", dim=True))
        try:
            talk.hear(message)
        except AlignAgentError as error:
            report(error)
            talk.log.append({"user": message, "error": error.message, "hint": error.hint})
            code = code or error.exit_code
    return code


def _lines() -> Iterator[str]:
    for line in sys.stdin:
        if line.strip():
            yield line.rstrip("\n")


def _asked(call: ToolCall) -> Decision:
    """Show a call that waits for leave, and ask until there is a decision."""
    from align_agent.agent.approval import HINT, Decision, decision_of

    note(f"\nthe agent wants to call {paint(printable(call.name), bold=True)}:")
    for name, value in call.arguments.items():
        lines = printable(str(value)).splitlines() or [""]
        note(f"  {printable(name)}: {lines[0]}")
        for line in lines[1:]:
            note(f"  {' ' * len(name)}  {line}")
    note(paint(HINT, dim=True))
    while True:
        try:
            decision = decision_of(input("allow it? "))
            if decision.verdict == "deny" and not decision.reason:
                return Decision("deny", input("why? (empty: no reason) ").strip())
            return decision
        except UsageError as error:
            report(error)
        except EOFError:
            return Decision("deny")


def _by_hand(talk: Talk) -> None:
    """The conversation at a terminal. An error is told, and the conversation goes on."""
    with suppress(ImportError):
        import readline  # noqa: F401  gives input() editing and a history
    for paragraph in talk.greeting():
        note("\n".join(wrapped(paragraph)))
    dropped = False  # the last line, by Ctrl-C
    while not talk.ended:
        try:
            message = input("you: ")
        except EOFError:
            note("")
            return
        except KeyboardInterrupt:
            if dropped:
                raise
            dropped = True
            note("\n(Ctrl-D leaves)")
            continue
        dropped = False
        word = message.strip().lower()
        if not word:
            continue
        if word in _BARE:
            note(paint(f"(said to the agent; the command is /{word})", dim=True))
        try:
            talk.hear(message)
        except KeyboardInterrupt:
            note("\n(stopped)")
        except AlignAgentError as error:
            report(error)
