"""Learning at once: one correction, one small step of the working adapter, then another try.

The teacher is the night's: the frozen base that sees the correction and the user's rules. The step
pulls towards what it would have said (forward KL: a student that is sure of its habit hardly moves
under reverse KL), on answers that the teacher writes and on the one that was wrong. The night
decides later what remains of it. torch is imported inside functions.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from align_agent.adapters import working
from align_agent.adapters.registry import Registry
from align_agent.config import Config
from align_agent.distill.hindsight import Example, Shown, example_of
from align_agent.feedback.profile import Profile
from align_agent.feedback.reader import read
from align_agent.models.generation import Sampling
from align_agent.night.plan import masked
from align_agent.paths import Home
from align_agent.prompts import with_hindsight, without_rules
from align_agent.records import Message, Turn

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel
    from align_agent.store import Store

ANSWERS = 3  # that the teacher writes for one step
UPDATES = 6  # of the weights in one step
RATE = 2.0  # times a night's: a step has no second epoch
MAX_ANSWER = 160  # tokens of what the teacher writes
RETRIES = 2  # denials in one turn after which the model is asked anew
FAILED = "live.failed"


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was taken: which it is of those that count, its folder, how long it took."""

    number: int
    folder: Path
    seconds: float
    loss: float


def ready() -> None:
    """Import what a step needs, which takes seconds: the first correction shall not wait for it."""
    with suppress(ImportError):  # what is missing, the step says
        import peft  # noqa: F401

        import align_agent.distill.step  # noqa: F401


def corrects(said: str, last: Turn | None, config: Config) -> bool:
    """Whether a message plainly corrects the last answer: as surely as a night must know it."""
    if last is None or not last.answer.strip():
        return False
    settings = config.feedback
    found = read(
        said, answer=last.answer, previous_user=last.user_text, threshold=settings.threshold
    )
    sure = found.confidence >= settings.min_confidence and not found.review
    return found.polarity == "negative" and sure


def learn(
    home: Home, config: Config, store: Store, model: LocalModel, turn: Turn, shown: Shown
) -> Step:
    """Learn at once from what is known now of a turn's answer; the turn need not be stored.

    Raises ModelError, InputError (nothing of it can be learned), TrainingDiverged, AdapterError;
    what answered before answers on.
    """
    from align_agent.distill.step import StepConfig, Stepper
    from align_agent.distill.train import learning_rate
    from align_agent.models.lora import shape_of

    began = time.monotonic()
    champion, start = Registry(store, home).answering(model.base, model.base_hash)
    nightly = config.distill.lora_rank, config.distill.lora_alpha
    rank, alpha = shape_of(start) if start else nightly
    settings = StepConfig(
        learning_rate=RATE * learning_rate(config.distill.learning_rate, model.network(None)),
        lora_rank=rank,
        lora_alpha=alpha,
        loss="forward_kl",
        top_k=config.distill.top_k,
        max_memory_gb=config.distill.max_memory_gb,
    )
    examples = _examples(config, store, model, turn, shown)
    stepper = Stepper(model, settings, seed=config.distill.seed, start=start)
    figures = stepper.step(examples, UPDATES)
    folder = working.advance(store, home, stepper.save, champion, model.base_hash)
    found = working.standing(store)
    seconds = time.monotonic() - began
    store.events.add("live_step", f"learned at once, in {seconds:.1f} s", turn=turn.id)
    return Step(found.count if found else 0, folder, seconds, figures["loss"])


def _examples(
    config: Config, store: Store, model: LocalModel, turn: Turn, shown: Shown
) -> list[Example]:
    """The answer that was wrong, and some that the teacher writes, each with the same hindsight."""
    rules = Profile(store, config).texts_for(turn)

    def example(response: tuple[Message, ...], complete: bool) -> Example:
        reason = "stop" if complete else "length"
        # As by night: what is learned must hold without the rules that stand in the prompt.
        said = Turn(
            turn.conversation_id, without_rules(turn.prompt), response, turn.user_text, "",
            id=turn.id, finish_reason=reason, tools=turn.tools,
        )  # fmt: skip
        return example_of(said, rules, shown, skip_first=masked(config))

    wrong = example(turn.response, turn.finish_reason != "length")
    room = max(1, min(config.model.max_new_tokens, MAX_ANSWER, model.context // 2))
    asked = with_hindsight(wrong.prompt, wrong.hindsight)
    asked = model.fit(asked, reserve=room, tools=turn.tools)
    sampling = Sampling(room, 1.0, seed=config.model.seed)
    written = model.generate_batch([asked] * ANSWERS, sampling=sampling, tools=turn.tools)
    better = [one for one in written if one.text.strip() or one.tool_calls]
    return [wrong, *(example((one.message(),), one.finish_reason != "length") for one in better)]
