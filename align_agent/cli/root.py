"""The root command, and the one place where errors become messages and exit codes.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused by the gate, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from align_agent import __version__
from align_agent.cli.app import App, common
from align_agent.cli.groups import LazyGroup
from align_agent.cli.output import begin, fail_json, report
from align_agent.errors import AlignAgentError, DiskFull, MissingDependency, UsageError

NOUNS = {
    "init": "Make the home folder, its configuration and its database.",
    "status": "What serves, what was learned, when the next night runs.",
    "doctor": "What this machine lacks, and how to get it.",
    "chat": "Talk to the agent.",
    "serve": "Answer other agents' clients over HTTP, and show the dashboard.",
    "dashboard": "Open the dashboard in the browser.",
    "openclaw": "Answer OpenClaw: install, uninstall, doctor.",
    "demo": "Watch it learn: simulated people, real nights.",
    "solve": "One hard problem: try, hear why it failed, learn, try again.",
    "learn": "Learn from answers that you show, or from a skill or style guide.",
    "turns": "What was said: list, search, import, exclude.",
    "forget": "Take a turn, a conversation or some words out for good.",
    "export": "Everything that is stored, in one archive to take along.",
    "feedback": "What you thought of the answers, as far as it was understood.",
    "rules": "Your wishes, as rules: list, explain, add, accept, edit, retire.",
    "distill": "Learn now, or see what the next night would learn from.",
    "runs": "The nights so far, and how each one ended.",
    "adapters": "The versions: compare, promote, roll back.",
    "schedule": "When nights run, and the process that starts them.",
    "config": "The configuration: show, check, example.",
    "store": "The database: check, back up, where it is.",
}


_OTHER = "choose another home with ALIGN_AGENT_HOME or --home"
_SYSTEM_HINTS = {
    errno.EROFS: f"its file system can only be read: mount it for writing, or {_OTHER}",
    errno.EACCES: f"see that it and its folder belong to you and are writable, or {_OTHER}",
    errno.EPERM: f"see that it and its folder belong to you and are writable, or {_OTHER}",
    errno.ENOTDIR: "one of the folders in this path is a file: move it away, or name another path",
    errno.EEXIST: "move it away, or name another path",
    errno.EISDIR: "it is a folder: move it away, or name another path",
}


@click.group(cls=LazyGroup, nouns=NOUNS, package="align_agent.cli")
@click.version_option(__version__, prog_name="align-agent", message="%(prog)s %(version)s")
@common
def root() -> None:
    """A personal agent that learns your style from ordinary use, on your own machine.

    It logs what you say, reads your corrections, and distils them at night into a small adapter
    that you can inspect, compare and roll back.
    """


def run(args: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; never raises for what a user can cause."""
    app = App()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (`>&-`), who wants none of it
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    if sys.stdin is None:  # closed as well (`<&-`): nothing is typed
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # An emoji must not end the program where the terminal cannot show it.
            stream.reconfigure(errors="replace")
    begin()
    arguments = list(sys.argv[1:] if args is None else args)
    out = sys.stdout
    try:
        result = root.main(arguments, prog_name="align-agent", standalone_mode=False, obj=app)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        click.echo("", err=True)
        if app.json:
            fail_json(AlignAgentError("interrupted"), 130)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has gone; the interpreter must not try to flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except SystemExit:
        # So click ends where the reader has gone, after it put streams that swallow the rest.
        if sys.stdout is out:
            raise
        return 0
    except Exception as error:  # the edge of the program: everything becomes a message here
        return _fail(error, app, arguments)
    return result if isinstance(result, int) else 0


def _fail(error: Exception, app: App, arguments: Sequence[str]) -> int:
    told = _known(error, arguments) or AlignAgentError(
        f"unexpected {type(error).__name__}: {error}",
        hint="" if app.debug else "this should not happen; --debug shows where it did",
    )
    if app.debug:
        traceback.print_exception(error)
    report(told)
    # A command line that cannot be read may have ended before its --json was.
    if app.json or (isinstance(told, UsageError) and "--json" in arguments):
        fail_json(told, told.exit_code)
    return told.exit_code


def _known(error: Exception, arguments: Sequence[str] = ()) -> AlignAgentError | None:
    """The error as one of ours, if it is one that a user can do something about."""
    if isinstance(error, AlignAgentError):
        return error
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        path = context.command_path if context else _meant(arguments)
        return UsageError(error.format_message(), hint=f"`{path} --help` shows what it takes")
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _missing(error.name.partition(".")[0])
    if isinstance(error, OSError):
        return _of_system(error)
    return None


def _of_system(error: OSError) -> AlignAgentError:
    """What the operating system refused, with what can be done about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull("the disk is full", hint="free some space; nothing stored is lost")
    if error.errno is None or error.filename is None:
        return AlignAgentError(str(error))
    return AlignAgentError(
        f"{os.fsdecode(error.filename)}: {error.strerror}", hint=_SYSTEM_HINTS.get(error.errno, "")
    )


def _meant(arguments: Sequence[str]) -> str:
    """The command that was typed, for an error that names none: an option without its value."""
    path: list[str] = ["align-agent"]
    group: click.Command = root
    for word in arguments:
        if not isinstance(group, click.Group):
            break
        found = group.get_command(click.Context(group), word)
        if found is not None:
            path.append(word)
            group = found
    return " ".join(path)


def _missing(module: str) -> AlignAgentError | None:
    """A package of an extra that was not installed with the command line."""
    from align_agent.checkup import EXTRAS, required

    for extra, purpose in EXTRAS.items():
        if module in {name.lower() for name in required(extra)}:
            return MissingDependency(
                f"`{module}` is not installed; it is needed to {purpose}",
                hint=f"pip install 'align-agent[{extra}]'",
            )
    return None
