"""Examples as token ids: the same answer behind the student's prompt and the teacher's. No torch.

Both sequences end in the very same answer tokens, so that position by position the two
distributions speak about the same word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from align_agent.errors import ContextTooLong
from align_agent.prompts import with_hindsight
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.distill.hindsight import Example
    from align_agent.models.local import LocalModel


@dataclass(frozen=True, slots=True)
class Pair:
    """One answer of A learnable tokens behind two prompts.

    `*_positions` are the A places in `*_ids` whose logits predict `targets`, the answer's tokens
    that the model wrote.
    """

    student_ids: tuple[int, ...]
    student_positions: tuple[int, ...]
    teacher_ids: tuple[int, ...]
    teacher_positions: tuple[int, ...]
    targets: tuple[int, ...]


def pair(
    model: LocalModel,
    prompt: Sequence[Message],
    response: Sequence[Message],
    hindsight: str,
    *,
    tools: Sequence[dict[str, Any]] = (),
    complete: bool = True,
    skip_first: int = 0,
) -> Pair | None:
    """The token ids of one example, or None when no token of its answer is to be learned.

    Old messages are left out, of both prompts alike, when the longer one does not fit into the
    context. `complete` false leaves the end of turn out; `skip_first` that many first tokens.
    Raises ContextTooLong when the last message and the answer alone do not fit, ModelError when
    the template cannot render the turn.
    """
    while response and response[0].role != "assistant":  # not the model's: it stands before
        prompt, response = (*prompt, response[0]), response[1:]
    told = with_hindsight(prompt, hindsight) if hindsight else tuple(prompt)
    encoded = model.encode_answer(prompt, response, tools)
    answer = encoded.answer_ids
    if len(answer) >= model.context:
        raise ContextTooLong(
            f"the answer alone has {len(answer)} tokens, the context {model.context}",
            hint="use a model with a larger context",
        )
    teacher = model.encode(told, tools)
    student = list(encoded.prompt_ids)
    if len(teacher) + len(answer) > model.context:
        told = model.fit(told, reserve=len(answer), tools=tools)
        teacher = model.encode(told, tools)
        student = model.encode(_same_messages(prompt, told), tools)
    learned = [i for i, written in enumerate(encoded.mask) if written]
    learned = learned[skip_first : len(learned) if complete else -1]
    if not learned:
        return None
    return Pair(
        student_ids=(*student, *answer),
        student_positions=tuple(len(student) - 1 + i for i in learned),
        teacher_ids=(*teacher, *answer),
        teacher_positions=tuple(len(teacher) - 1 + i for i in learned),
        targets=tuple(answer[i] for i in learned),
    )


def pair_of(model: LocalModel, example: Example, *, skip_first: int = 0) -> Pair | None:
    """`pair` for an example."""
    return pair(
        model,
        example.prompt,
        example.response,
        example.hindsight,
        tools=example.tools,
        complete=example.complete,
        skip_first=skip_first,
    )


def _same_messages(prompt: Sequence[Message], kept: Sequence[Message]) -> tuple[Message, ...]:
    """The prompt without the messages that are missing in `kept`: a system message and an end."""
    system = tuple(prompt[:1]) if kept and kept[0].role == "system" else ()
    rest = len(kept) - len(system)
    return (*system, *prompt[len(prompt) - rest :])
