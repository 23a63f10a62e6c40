"""Draws an answer again whose tool call cannot be read, as long as nobody has seen any of it.

A model that writes broken JSON would otherwise show it to the person as its answer. What was
thrown away is neither shown, remembered nor trained on; how often it happened is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from align_agent.models.generation import Generation
from align_agent.models.toolcalls import CALL_OPEN

REDRAWS = 2
REDRAWN = "agent.redrawn"  # the counter's name

Pieces = Iterator[str | Generation]


def until_read(draw: Callable[[int], Pieces], redraws: int, thrown: Callable[[], None]) -> Pieces:
    """The pieces of `draw(0)`, or of a later draw where its tool call cannot be read.

    The last of the `redraws` stands whatever it says. `thrown` is told of each draw thrown away.
    """
    for attempt in range(redraws):
        shown = False
        held: list[str | Generation] = []  # from the opening of a call on, to the end
        for piece in draw(attempt):
            opens = isinstance(piece, str) and CALL_OPEN in piece
            if not shown and (held or opens or isinstance(piece, Generation)):
                held.append(piece)
                continue
            shown = shown or bool(piece)
            yield piece
        # A call that was read stands in no piece of text.
        if shown or len(held) < 2:
            yield from held
            return
        thrown()
    yield from draw(redraws)  # as it comes: who stops listening is noticed at each piece
