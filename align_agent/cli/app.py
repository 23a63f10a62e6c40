"""What every command shares: the chosen home, its configuration, store and registry, and options.

`App` opens nothing before it is asked to. The store and the registry are imported inside methods,
so that `--help` reads neither.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from align_agent.errors import UsageError
from align_agent.paths import Home, find_home

if TYPE_CHECKING:
    from align_agent.adapters.registry import Registry
    from align_agent.config import Config
    from align_agent.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])

# All comments: a setting that is not named here follows the program's default as it improves.
_FIRST_CONFIG = """\
# Your settings. What is not here keeps its default.
# `align-agent config example` prints every setting with its meaning,
# `align-agent config check` says whether this file can be read.
#
# preferences:
#   rules: ["Keep answers short."]
"""


@dataclass
class App:
    """The state of one invocation, handed to every command as `click.pass_obj`."""

    home_arg: str = ""
    json: bool = False
    debug: bool = False

    @cached_property
    def home(self) -> Home:
        return find_home(self.home_arg or None)

    @cached_property
    def config(self) -> Config:
        """Raises ConfigError."""
        from align_agent.feedback.declared import load_checked

        return load_checked(self.home.config)

    def require_home(self) -> Home:
        """The home, which must exist. Raises UsageError, so that a mistyped `--home` shows, and
        StoreCorrupt where its database was lost."""
        from align_agent.store.lost import refuse_lost

        refuse_lost(self.home.database)
        if not self.home.database.exists():
            raise UsageError(
                f"there is no align-agent home at {self.home.root}",
                hint="run `align-agent init`, or name another with --home or ALIGN_AGENT_HOME",
            )
        return self.home

    def make_home(self, *, fresh: bool = False) -> Home:
        """The home, made with its configuration, skills and database where they are missing.

        Raises StoreCorrupt where the database was lost, unless a `fresh` one is wanted.
        """
        from align_agent.store import Store

        home = self.home.ensure()
        if not home.config.exists():
            home.config.write_text(_FIRST_CONFIG, encoding="utf-8")
            home.config.chmod(0o600)
        _bring_skills(home.root / "skills")
        Store.open(home.database, fresh=fresh).close()
        return home

    @contextmanager
    def store(self, *, read_only: bool = False) -> Iterator[Store]:
        """The home's database. Raises UsageError without a home, StoreError."""
        from align_agent.store import Store

        with Store.open(self.require_home().database, read_only=read_only) as store:
            yield store

    @contextmanager
    def registry(self) -> Iterator[tuple[Store, Registry]]:
        """The database, and the adapter registry over it."""
        from align_agent.adapters.registry import Registry

        with self.store() as store:
            yield store, Registry(store, self.home)


def _bring_skills(folder: Path) -> None:
    """The skills that come along, as the user's own copies; what is there stays."""
    if folder.exists():
        return
    package = Path(__file__).parents[1]
    # In an installed package they lie inside it, in a checkout beside it.
    for source in (package / "skills", package.parent / "skills"):
        if source.is_dir():
            shutil.copytree(source, folder)
            return


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value:
            setattr(context.ensure_object(App), name, value)

    return callback


def common(function: Command) -> Command:
    """The options that every command takes, before or after its name: --json, --home, --debug."""
    decorators = (
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            callback=_remember("json"),
            help="Print JSON and nothing else on standard output.",
        ),
        click.option(
            "--home",
            metavar="DIR",
            expose_value=False,
            callback=_remember("home_arg"),
            help="The folder that holds your data (else ALIGN_AGENT_HOME, else ~/.align-agent).",
        ),
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_remember("debug"),
            help="Show the traceback of an error.",
        ),
    )
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def destructive(function: Command) -> Command:
    """The options of a verb that deletes: --yes and --dry-run."""
    yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
    dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen, change nothing.")
    return yes(dry_run(function))


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere `--yes` is needed. Raises UsageError, click.Abort."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "this deletes something, and there is no terminal to ask on",
            hint="add --yes, or look first with --dry-run",
        )
    click.confirm(question, abort=True, err=True)
