"""What the demonstration prints: everything to standard error, nothing at all with `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.gate.told import sentence
from align_agent.records import Run, version_label

if TYPE_CHECKING:
    from align_agent.demo.personas import Persona
    from align_agent.demo.play import Measured
    from align_agent.models.pocket.world import Problem

PAIRS_SHOWN = 3
CHATS_SHOWN = 2


class Show:
    """Prints with rich. `quiet` keeps still."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console

        self.visible = not quiet
        self.console = Console(stderr=True, quiet=quiet, highlight=False)

    def opening(self, nights: int, abouts: Sequence[str], kept: Path | None) -> None:
        many = "people" if len(abouts) > 1 else "person"
        self.console.print(
            f"\n[bold]align-agent demo[/]: {len(abouts)} simulated {many}, {nights} nights, on the "
            "pocket model. No GPU, no download."
        )
        if kept:
            self.console.print(f"Their homes stay in {kept}")

    def person(self, persona: Persona, *, told: bool = False) -> None:
        self.console.rule(f"the {persona.name}")
        ending = "" if told else " The agent is not told."
        self.console.print(f"The {persona.name} {persona.about}.{ending}\n")

    def declared(self, row: dict[str, Any], saved: int) -> None:
        """How the serving version does with the declared rules in the prompt, and without."""
        shown, bare = row["with_rules"], row["without_rules"]
        self.console.print(
            f"[bold yellow]{row['version']}[/]: satisfied {shown['satisfied']:.0%} with the rules "
            f"in the prompt, {bare['satisfied']:.0%} without; correct {shown['correct']:.0%} and "
            f"{bare['correct']:.0%}. Without them each request is {saved} tokens shorter.\n"
        )

    def chat(self, day: int, chat: int, chats: int, lines: Sequence[tuple[str, str]]) -> None:
        """The first chats of a day in full, then a counter on a terminal."""
        if chat < CHATS_SHOWN:
            self.console.print(f"[dim]day {day}, chat {chat + 1} of {chats}[/]")
            for said, answer in lines:
                self.console.print(f"[cyan]user [/] {_indented(said)}", markup=True)
                self.console.print(f"[green]agent[/] {_indented(answer)}")
            self.console.print()
        elif chat == chats - 1:
            self.console.print(f"[dim]… and {chats - CHATS_SHOWN} more chats on day {day}[/]\n")

    def night_begins(self) -> None:
        self.console.print(
            "[bold blue]night[/]: the base model is shown what the user said, and teaches itself"
        )

    def morning(
        self,
        persona: Persona,
        run: Run,
        seconds: float,
        before: Measured,
        after: Measured,
        problems: Sequence[Problem],
        nights: Sequence[dict[str, Any]],
    ) -> None:
        """One sentence, then before and after on problems that no chat has used."""
        self.console.print(
            f"\n[bold yellow]morning[/] ({run.status}, {seconds:.0f} s): "
            f"{version_label(after.version)} serves. {sentence(run.reason)}"
        )
        if before.version != after.version:
            for i in range(PAIRS_SHOWN):
                self.console.print(f"\n[cyan]asked[/]  {problems[i].question}")
                self.console.print(
                    f"[red]{version_label(before.version):>6}[/] {_indented(before.answers[i])}"
                )
                self.console.print(
                    f"[green]{version_label(after.version):>6}[/] {_indented(after.answers[i])}"
                )
        self.console.print()
        self._table(persona, nights)

    def _table(self, persona: Persona, nights: Sequence[dict[str, Any]]) -> None:
        from rich.table import Table

        table = Table(title=f"the {persona.name}, on {len_of(nights)} problems never seen")
        for head in ("night", "serves", "satisfied", "correct", "corrections the day after"):
            table.add_column(head, justify="right")
        for row in nights:
            corrections = row["corrections"]
            table.add_row(
                str(row["night"]),
                row["version"],
                f"{row['satisfied']:.0%}",
                f"{row['correct']:.0%}",
                "" if corrections is None else f"{corrections} of {row['chats']} chats",
            )
        self.console.print(table)

    def back_and_forth(self, newest: int, older: int, held: str, exact: bool) -> None:
        new, old = version_label(newest), version_label(older)
        outcome = "word for word the old ones" if exact else "[red]not the old ones[/]"
        self.console.print(
            f"\n[bold]rollback[/] from {new} to {old}: the answers are {outcome}; nights may not "
            f"promote meanwhile ({held}). Forward again to {new}."
        )

    def person_done(
        self, persona: Persona, nights: Sequence[dict[str, Any]], baseline: Measured, exact: bool
    ) -> None:
        self._table(persona, nights)
        self.console.print(
            f"The base with the same rules in its prompt: satisfied {baseline.satisfied:.0%}, "
            f"correct {baseline.correct:.0%}.\n"
        )

    def closing(self, result: dict[str, Any]) -> None:
        self.console.print(
            f"Done in {result['seconds']['total']:.0f} s. Next: `align-agent init`, then "
            "`align-agent chat`."
        )


def len_of(nights: Sequence[dict[str, Any]]) -> int:
    from align_agent.demo.play import MEASURED

    return MEASURED if nights else 0


def _indented(text: str) -> str:
    """A text as rich prints it literally, its later lines set under the first."""
    from rich.markup import escape

    return escape(text).replace("\n", "\n      ")
