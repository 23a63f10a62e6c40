"""What of the feedback fits into a model's context, beside the problem and an answer.

Feedback is as long as its verifier likes: 1,200 characters may be as many tokens. Whoever shows it
asks here first. Generates nothing, judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from align_agent.distill.hindsight import build_hindsight
from align_agent.prompts import with_hindsight
from align_agent.records import Message, Role

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

_SHORTEST = 40  # characters: a shorter rest of a piece says nothing
_WHO: tuple[Role, Role] = ("assistant", "user")


class Fits(Protocol):
    """Whether a prompt leaves room for that answer, or for any answer when none is named."""

    def __call__(self, prompt: Sequence[Message], answer: str | None = None) -> bool: ...


def anything(prompt: Sequence[Message], answer: str | None = None) -> bool:
    """`Fits` of a context without end."""
    return True


def room_of(model: LocalModel, max_new_tokens: int) -> Fits:
    """`Fits` of a model's context. An answer to come is kept `max_new_tokens` for, half of the
    context at most."""
    kept = min(max_new_tokens, model.context // 2)

    def fits(prompt: Sequence[Message], answer: str | None = None) -> bool:
        if answer is None:
            return len(model.encode(prompt)) + kept <= model.context
        encoded = model.encode_answer(prompt, (Message("assistant", answer),))
        return len(encoded.prompt_ids) + len(encoded.answer_ids) <= model.context

    return fits


def hindsight_of(
    prompt: Sequence[Message], pieces: Sequence[str], fits: Fits, answer: str | None = None
) -> str:
    """The block of all pieces. Those that came first are left out where they do not all fit; of
    one that does not fit alone the middle. Empty where there is room for nothing."""
    left = list(pieces)
    while left:
        block = build_hindsight((), "\n".join(left))
        if fits(with_hindsight(prompt, block), answer):
            return block
        left = left[1:] if len(left) > 1 else shorter(left[0])
    return ""


def conversation_of(
    prompt: Sequence[Message], exchanges: Sequence[tuple[str, str]], fits: Fits
) -> tuple[Message, ...]:
    """The prompt and then answers with what was said about each, shortened as in `hindsight_of`;
    the last answer stays whole, or goes with what was said about it."""
    left = list(exchanges)
    while left:
        said = [Message(who, text) for one in left for who, text in zip(_WHO, one, strict=True)]
        if fits((*prompt, *said)):
            return (*prompt, *said)
        answer, feedback = left[0]
        left = left[1:] if len(left) > 1 else [(answer, rest) for rest in shorter(feedback)]
    return tuple(prompt)


def shorter(piece: str) -> list[str]:
    """The piece with two thirds of its characters, beginning and end; none of a short one."""
    if len(piece) <= _SHORTEST:
        return []
    kept = len(piece) // 3
    return [f"{piece[:kept]}\n…\n{piece[-kept:]}"]
