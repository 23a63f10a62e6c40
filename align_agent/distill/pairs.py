"""Examples as token ids: the same answer behind the student's prompt and the teacher's. No torch.

Both sequences end in the very same answer tokens, so that position by position the two
distributions speak about the same word.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from align_agent.errors import ContextTooLong
from align_agent.models.chat import THINK, THOUGHT
from align_agent.prompts import with_hindsight
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.distill.hindsight import Example
    from align_agent.models.local import LocalModel


@dataclass(frozen=True, slots=True)
class Pair:
    """One answer of A learnable tokens behind two prompts.

    `*_positions` are the A places in `*_ids` whose logits predict `targets`, the answer's tokens
    that the model wrote. `behaviour` are the log-probabilities with which it wrote them, or empty.
    """

    student_ids: tuple[int, ...]
    student_positions: tuple[int, ...]
    teacher_ids: tuple[int, ...]
    teacher_positions: tuple[int, ...]
    targets: tuple[int, ...]
    behaviour: tuple[float, ...] = ()


def pair(
    model: LocalModel,
    prompt: Sequence[Message],
    response: Sequence[Message],
    hindsight: str,
    *,
    tools: Sequence[dict[str, Any]] = (),
    complete: bool = True,
    skip_first: int = 0,
    written: Sequence[tuple[int, float]] = (),
    reasoning: bool = True,
) -> Pair | None:
    """The token ids of one example, or None when no token of its answer is to be learned.

    Old messages are left out, of both prompts alike, when the longer one does not fit into the
    context. `complete` false leaves the end of turn out; `skip_first` that many first tokens.
    `written` are the tokens as they were drawn; where the answer's text has others, their
    log-probabilities are of no use and left out.
    Without `reasoning` what stands in <think> is not learned, wherever it was opened; thoughts that
    were cut off before any answer never are.
    Raises ContextTooLong when the last message and the answer alone do not fit, ModelError when
    the template cannot render the turn.
    """
    while response and response[0].role != "assistant":  # not the model's: it stands before
        prompt, response = (*prompt, response[0]), response[1:]
    told = with_hindsight(prompt, hindsight) if hindsight else tuple(prompt)
    encoded = model.encode_answer(prompt, response, tools)
    if encoded.opened and not complete and THOUGHT not in response[-1].content:
        return None
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
    own = [i for i, by_model in enumerate(encoded.mask) if by_model]
    own = own if complete else own[:-1]
    if len(written) != len(own) or any(
        token != answer[i] for (token, _), i in zip(written, own, strict=True)
    ):
        written = ()
    drawn = dict(zip(own, (at for _, at in written), strict=False))
    silent = set() if reasoning else thinking(model, answer, opened=encoded.opened)
    learned = [i for i in own[skip_first:] if i not in silent]
    if not learned:
        return None
    return Pair(
        student_ids=(*student, *answer),
        student_positions=tuple(len(student) - 1 + i for i in learned),
        teacher_ids=(*teacher, *answer),
        teacher_positions=tuple(len(teacher) - 1 + i for i in learned),
        targets=tuple(answer[i] for i in learned),
        behaviour=tuple(drawn[i] for i in learned) if drawn else (),
    )


def pair_of(
    model: LocalModel, example: Example, *, skip_first: int = 0, reasoning: bool = True
) -> Pair | None:
    """`pair` for an example; `skip_first` or more tokens are left out, as the example asks."""
    return pair(
        model,
        example.prompt,
        example.response,
        example.hindsight,
        tools=example.tools,
        complete=example.complete,
        skip_first=max(skip_first, example.skip_first),
        written=example.written,
        reasoning=reasoning,
    )


def thinking(model: LocalModel, ids: Sequence[int], *, opened: bool = False) -> set[int]:
    """The places of the tokens from each <think> to its </think>, or to the end without one.

    `opened`: the prompt has opened the first of them.
    """

    def text(n: int) -> str:
        return str(model.tokenizer.decode(ids[:n], skip_special_tokens=False))

    whole = text(len(ids))
    found: set[int] = set()
    start = 0 if opened else whole.find(THINK)
    while start >= 0:
        end = whole.find(THOUGHT, start)
        end = len(whole) if end < 0 else end + len(THOUGHT)
        # The first token that reaches into the span, and the first behind it.
        first = bisect_left(range(len(ids)), True, key=lambda i: len(text(i + 1)) > start)
        after = bisect_left(range(len(ids) + 1), True, key=lambda n: len(text(n)) >= end)
        found.update(range(first, after))
        start = whole.find(THINK, end)
    return found


def _same_messages(prompt: Sequence[Message], kept: Sequence[Message]) -> tuple[Message, ...]:
    """The prompt without the messages that are missing in `kept`: a system message and an end."""
    system = tuple(prompt[:1]) if kept and kept[0].role == "system" else ()
    rest = len(kept) - len(system)
    return (*system, *prompt[len(prompt) - rest :])
