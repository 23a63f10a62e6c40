"""`align-agent chat`: talk to the agent, in a terminal, from a script or through a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import note, paint, report, say_json
from align_agent.errors import AlignAgentError

if TYPE_CHECKING:
    from align_agent.cli.talk import Talk


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
@common
@click.pass_obj
def command(app: App, messages: tuple[str, ...], conversation: str) -> None:
    """Talk to the agent. What you say next is read as feedback on what it said before.

    Inside: /rate up|down [why], /edit ANSWER, /why, /rules, /learn, /rollback, /new, /help, /quit.
    Without a terminal, each line of standard input is one message.
    """
    from align_agent.cli.talk import Talk

    app.make_home()
    typed = not messages and sys.stdin.isatty()
    with Talk(app, conversation) as talk:
        if typed:
            _by_hand(talk)
        else:
            for message in messages or _lines():
                if talk.ended:
                    break
                if not app.json:
                    note(paint(f"you: {message}", dim=True))
                talk.hear(message)
    if app.json:
        say_json(talk.log)


def _lines() -> Iterator[str]:
    for line in sys.stdin:
        if line.strip():
            yield line.rstrip("\n")


def _by_hand(talk: Talk) -> None:
    """The conversation at a terminal. An error is told, and the conversation goes on."""
    with suppress(ImportError):
        import readline  # noqa: F401  gives input() editing and a history
    note(talk.greeting())
    while not talk.ended:
        try:
            message = input("you: ")
        except EOFError:
            note("")
            return
        if not message.strip():
            continue
        try:
            talk.hear(message)
        except KeyboardInterrupt:
            note("\n(stopped)")
        except AlignAgentError as error:
            report(error)
