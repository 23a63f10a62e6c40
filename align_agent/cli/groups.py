"""Two kinds of click groups: the root, which loads a noun's file when it is called, and a noun,
whose bare name means its default verb. Knows no noun.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click

_FLAGS = {"--json", "--debug"}


class ForgivingGroup(click.Group):
    """Names the nearest command when the one given does not exist."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f"; did you mean `{ctx.command_path} {near[0]}`?" if near else ""
            ctx.fail(f"`{ctx.command_path}` has no command `{name}`{hint}")
        return super().resolve_command(ctx, args)


class LazyGroup(ForgivingGroup):
    """Knows its commands by name and one line of help; imports a command's module to run it."""

    def __init__(self, *args: Any, nouns: Mapping[str, str], package: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.nouns = dict(nouns)
        self.package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.nouns)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.nouns:
            return None
        module = importlib.import_module(f"{self.package}.{cmd_name}")
        command: click.Command = module.command
        command.short_help = self.nouns[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.nouns.items()))


class NounGroup(ForgivingGroup):
    """A noun with verbs. Called without a verb it runs `default`, with the options given to it."""

    def __init__(self, *args: Any, default: str = "list", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.default = default

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self._lacks_verb(args):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    @staticmethod
    def _lacks_verb(args: list[str]) -> bool:
        """Whether the default verb is meant. An option that the noun itself does not take
        belongs to the default verb, so its value is not mistaken for a verb."""
        remaining = iter(args)
        for argument in remaining:
            if argument == "--help":
                return False
            if argument == "--home":
                next(remaining, None)
            elif argument not in _FLAGS and not argument.startswith("--home="):
                return argument.startswith("-")
        return True
