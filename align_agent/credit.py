"""Credit per token: what was wrong in an answer, seen by the model that knows the feedback.

For every token y_t of an answer, log pi(y_t | x, f, y_<t) - log pi(y_t | x, y_<t): the advantage of
SDPO (arXiv 2601.20802, section 3). pi is the frozen base, x the prompt, f what was learned after
the answer. Reads and weighs; changes nothing and shows nothing. torch is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from align_agent.distill.hindsight import build_hindsight
from align_agent.distill.select import correction
from align_agent.errors import InputError, TimedOut
from align_agent.feedback.profile import Profile
from align_agent.records import Message, Turn

if TYPE_CHECKING:
    from align_agent.config import Config
    from align_agent.distill.pairs import Pair
    from align_agent.models.local import LocalModel
    from align_agent.store import Store


WORTH = 0.02  # a smaller share of the blame is noise


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that could have stood at a place, as likely as teacher and student find it (nats)."""

    text: str
    teacher: float
    student: float


@dataclass(frozen=True, slots=True)
class TokenCredit:
    """One token of the answer; log-probabilities in nats.

    `text` is empty for the end of the turn and for a part of a character that a later token
    completes. `alternatives` are what the teacher finds likeliest at this place, itself included.
    """

    text: str
    teacher: float
    student: float
    alternatives: tuple[Alternative, ...] = ()

    @property
    def credit(self) -> float:
        """Negative: the feedback speaks against this token."""
        return self.teacher - self.student


@dataclass(frozen=True, slots=True)
class Credit:
    """An answer with the credit of each of its tokens, under one piece of feedback."""

    turn_id: str
    prompt: str
    feedback: str
    rules: tuple[str, ...]
    tokens: tuple[TokenCredit, ...]

    @property
    def total(self) -> float:
        """The sum over all tokens, in nats: the answer's whole reward."""
        return sum(token.credit for token in self.tokens)

    @property
    def even(self) -> float:
        """What every token gets when one number for the whole answer is spread over it."""
        return self.total / len(self.tokens) if self.tokens else 0.0

    def blame(self) -> tuple[float, ...]:
        """Each token's share of all the negative credit; zeros where there is none."""
        losses = [max(0.0, -token.credit) for token in self.tokens]
        total = sum(losses)
        return tuple(loss / total if total else 0.0 for loss in losses)

    def worst(self, n: int = 3, least: float = WORTH) -> list[int]:
        """The places that bear most of the blame, at most `n`, each at least the share `least`."""
        blame = self.blame()
        places = sorted(range(len(blame)), key=lambda i: -blame[i])
        return [i for i in places[:n] if blame[i] >= least]

    def lines(self) -> list[str]:
        """The answer in words alone: what is blamed in marks, and what would stand there."""
        blame = self.blame()
        places = self.worst()
        if not places:
            return ["the feedback speaks against no word of this answer"]
        shown = "".join(
            f"[-{token.text}-]" if i in places else token.text
            for i, token in enumerate(self.tokens)
        )
        lines = [*shown.splitlines()]
        for i in places:
            token = self.tokens[i]
            others = [one.text for one in token.alternatives if one.text != token.text]
            instead = f"; likelier there: {others[0]!r}" if others else ""
            lines.append(f"- {token.text or '(end)'!r} bears {blame[i]:.0%} of the blame{instead}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, with `credit`, `blame` and `even` for each token."""
        shares = self.blame()
        return {
            "turn": self.turn_id,
            "prompt": self.prompt,
            "feedback": self.feedback,
            "rules": list(self.rules),
            "total": self.total,
            "even": self.even,
            "tokens": [
                {**asdict(token), "credit": token.credit, "blame": share}
                for token, share in zip(self.tokens, shares, strict=True)
            ],
        }


def of_turn(
    store: Store,
    config: Config,
    model: LocalModel,
    turn: Turn,
    *,
    feedback: str = "",
    alternatives: int = 5,
    over: Callable[[], bool] | None = None,
) -> Credit:
    """The credit of a stored turn's answer, under `feedback` or what a night would be told.

    That is the user's correction of this very answer and the rules that apply to it. Raises
    InputError when there is no answer, or nothing that was learned after it; TimedOut once `over`
    says so; ModelError.
    """
    rules: list[str] = []
    if not feedback:
        rules = Profile(store, config).texts_for(turn)
        heard = store.feedback.for_turn(turn.id)
        _, feedback = correction(heard, config.feedback.min_confidence)
    if not rules and not feedback.strip():
        raise InputError(
            f"nothing is known that speaks about the answer of {turn.id}",
            hint='say what was wrong with it: --feedback "Don\'t include n."',
        )
    return of_answer(
        model,
        turn.prompt,
        turn.response,
        feedback,
        rules,
        tools=turn.tools,
        turn_id=turn.id,
        complete=turn.finish_reason != "length",
        alternatives=alternatives,
        over=over,
    )


def of_answer(
    model: LocalModel,
    prompt: Sequence[Message],
    response: Sequence[Message],
    feedback: str,
    rules: Sequence[str] = (),
    *,
    tools: Sequence[dict[str, Any]] = (),
    turn_id: str = "",
    complete: bool = True,
    alternatives: int = 5,
    over: Callable[[], bool] | None = None,
) -> Credit:
    """The credit of every token that the model wrote. Raises InputError, TimedOut, ModelError.

    Safe while the model answers: it is held for a few tokens at a time.
    """
    from align_agent.distill.pairs import pair

    hindsight = build_hindsight(rules, feedback)
    found = None
    if any(message.role == "assistant" for message in response):
        found = pair(model, prompt, response, hindsight, tools=tools, complete=complete)
    if found is None:
        raise InputError("there is no answer to explain", hint="choose a turn with an answer")
    rows = _rows(model, found, alternatives, over or (lambda: False))
    texts = _texts(model, found.targets)
    tokens = tuple(
        TokenCredit(text, teacher, student, others)
        for text, (teacher, student, others) in zip(texts, rows, strict=True)
    )
    return Credit(turn_id, prompt[-1].content, feedback, tuple(rules), tokens)


def _rows(
    model: LocalModel, pair: Pair, k: int, over: Callable[[], bool]
) -> list[tuple[float, float, tuple[Alternative, ...]]]:
    """(teacher, student, alternatives) for each target."""
    teacher: list[float] = []
    likeliest: list[list[tuple[int, float]]] = []
    for table in _tables(model, pair.teacher_ids, pair.teacher_positions, over):  # (a, V)
        values, ids = (found.tolist() for found in table.topk(min(k, table.shape[-1]), dim=-1))
        likeliest += [list(zip(*row, strict=True)) for row in zip(ids, values, strict=True)]
        teacher += _picked(table, pair.targets[len(teacher) :])
    rows: list[tuple[float, float, tuple[Alternative, ...]]] = []
    for table in _tables(model, pair.student_ids, pair.student_positions, over):
        at = len(rows)
        for t, student in enumerate(_picked(table, pair.targets[at:])):
            others = tuple(
                Alternative(model.tokenizer.decode([token]), value, float(table[t, token]))
                for token, value in likeliest[at + t]
            )
            rows.append((teacher[at + t], student, others))
    return rows


def _tables(
    model: LocalModel, ids: Sequence[int], positions: Sequence[int], over: Callable[[], bool]
) -> Iterator[Any]:
    """The log-probabilities at the positions, some rows at a time, on the CPU."""
    from align_agent.models.forward import logprobs_by_piece

    def go_on() -> None:
        if over():
            raise TimedOut(
                "weighing every token of this answer takes too long",
                hint="ask when the machine is less busy, or run `align-agent turns explain`",
            )

    network = model.network(None)
    for table in logprobs_by_piece(network, ids, positions, model.lock, before_each=go_on):
        yield table.cpu()


def _picked(table: Any, targets: Sequence[int]) -> list[float]:
    """The entry of each row's target; `targets` may go on beyond the rows."""
    return [float(row[target]) for row, target in zip(table, targets, strict=False)]


def _texts(model: LocalModel, ids: Sequence[int]) -> list[str]:
    """The text that each token adds to the answer."""
    from align_agent.models.answer import Detokenizer

    grown = Detokenizer(model.chat.decode)
    texts = [grown.push(token) for token in ids]
    if texts:
        texts[-1] += grown.finish()
    return texts
