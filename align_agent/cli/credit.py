"""`align-agent turns explain`: which answer is meant, and how its credit is shown.

The credit itself is `align_agent/credit.py`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from align_agent.cli.app import App
from align_agent.cli.output import note, pairs, say, table
from align_agent.display import printable
from align_agent.errors import NotFound, UsageError

if TYPE_CHECKING:
    from align_agent.credit import Credit, TokenCredit
    from align_agent.records import Turn
    from align_agent.store import Store

LATEST = "latest"
_WORTH = 0.02  # of full strength: paler is no colour
_STRONG = 2.0  # nats at which a colour is at its fullest


def credit_of(app: App, turn_id: str, feedback: str, alternatives: int) -> Credit:
    """The credit of one turn's answer. Raises NotFound, InputError, ModelError."""
    from align_agent.credit import of_turn
    from align_agent.models.load import load_model

    with app.store(read_only=True) as store:
        turn = _latest(store, bool(feedback)) if turn_id == LATEST else store.turns.get(turn_id)
        note("weighing every token ...")
        model = load_model(app.config.model)
        return of_turn(store, app.config, model, turn, feedback=feedback, alternatives=alternatives)


def _latest(store: Store, any_turn: bool) -> Turn:
    """The latest answered turn; without feedback at hand, the latest that was found fault with."""
    for turn in store.turns.list(limit=500, main_only=True):
        heard = store.feedback.for_turn(turn.id)
        faulted = any(f.polarity == "negative" and not f.dismissed for f in heard)
        if turn.answer and (any_turn or faulted):
            return turn
    raise NotFound(
        "no answer was found fault with yet",
        hint="name a turn (`align-agent turns list`) and say what was wrong: --feedback TEXT",
    )


def show_credit(credit: Credit, at: int = 0) -> None:
    """The coloured answer, both ways to spread the blame, and what would have stood there."""
    if at > len(credit.tokens):
        raise UsageError(
            f"the answer has {len(credit.tokens)} tokens", hint=f"choose 1 to {len(credit.tokens)}"
        )
    told = [credit.feedback, *credit.rules]
    pairs([("asked", credit.prompt), ("told", "\n".join(text for text in told if text))])
    say()
    _coloured(credit)
    say()
    blame = credit.blame()
    shown = [at - 1] if at else credit.worst()
    if not shown:
        say("The feedback speaks against no token of this answer.")
        return
    even = 1 / len(blame)
    table(
        ("token", "text", "credit", "blame", "evenly", "instead (teacher, student)"),
        [
            (
                i + 1,
                repr(_shown(credit.tokens[i])),
                f"{credit.tokens[i].credit:+.2f}",
                f"{blame[i]:.0%}",
                f"{even:.0%}",
                _instead(credit.tokens[i]),
            )
            for i in shown
        ],
    )
    note(
        f"{len(blame)} tokens, {credit.total:+.2f} nats in all; one reward for the whole answer "
        f"would blame each of them the same ({credit.even:+.2f})"
    )


def _instead(token: TokenCredit) -> str:
    others = [other for other in token.alternatives if other.text != token.text]
    return ", ".join(
        f"{printable(other.text)!r} {_share(other.teacher)} {_share(other.student)}"
        for other in others[:3]
    )


def _share(logprob: float) -> str:
    from math import exp

    return f"{exp(logprob):.0%}"


def _shown(token: TokenCredit) -> str:
    return printable(token.text) or "(end)"


def _coloured(credit: Credit) -> None:
    """The answer on standard output: colours on a terminal, marks anywhere else."""
    from rich.console import Console
    from rich.text import Text

    plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    if plain:
        say("".join(_marked(token) for token in credit.tokens))
        return
    text = Text()
    for token in credit.tokens:
        text.append(printable(token.text), style=_style(token.credit))
    Console(file=sys.stdout, highlight=False, soft_wrap=True).print(text)


def _marked(token: TokenCredit) -> str:
    text = printable(token.text)
    if token.credit <= -_WORTH * _STRONG:
        return f"[-{text}-]"
    return f"{{+{text}+}}" if token.credit >= _STRONG / 2 else text


def _style(credit: float) -> str:
    """From white to full red or green; a blamed token is underlined too, for who sees no red."""
    strength = min(1.0, abs(credit) / _STRONG)
    if strength < _WORTH:
        return ""
    pale = round(190 * (1 - strength)) + 40
    if credit < 0:
        return f"rgb(255,{pale},{pale})" + (" underline bold" if strength > 0.5 else "")
    return f"rgb({pale},215,{pale})"
