"""The other ways to learn from the same log, as their papers describe them, small and plain.

Each turns the logged turns into `Row`s and has a loss over the log-probabilities of the answers'
tokens. All share one trainer (LoRA of our size over the same base, AdamW, clipped gradients), and
each has its own learning rate, passes and regime, found on a development seed (`tune`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from align_agent.distill.hindsight import build_hindsight
from align_agent.models.forward import answer_positions, by_length
from align_agent.models.local import LocalModel
from align_agent.models.lora import copy_lora, twin
from align_agent.models.tree import hidden_at
from align_agent.prompts import with_hindsight
from align_agent.records import Message, Turn
from align_agent.store import Store

RANK, ALPHA = 16, 32
BATCH = 8
ADVANTAGE_CLIP = 1.0  # OpenClaw-RL's for personal use
RATIO_CAP = 2.0  # SDPO's truncated importance ratio
PPO_CLIP = 0.2
KL_WEIGHT = 0.02
DPO_BETA = 0.1


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a method trains: `fresh` from the base on all turns so far, or on from yesterday's
    adapter on the turns of the day."""

    learning_rate: float
    epochs: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt and an answer as token ids; `positions` predict `targets`."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to learn from: an answer, and what a method knows about it.

    `told` is the same answer behind a prompt with the follow-up, `other` an answer that was worse,
    `reward` what the reader made of the follow-up.
    """

    text: Text
    told: Text | None = None
    other: Text | None = None
    reward: float = 0.0


@dataclass(frozen=True, slots=True)
class Logged:
    """A turn, the user's next message, and whether the reader heard a complaint or praise."""

    turn: Turn
    follow_up: str
    reward: int


def conversations(store: Store, since: int) -> list[list[Logged]]:
    """The log by session, those with a number of `since` and above."""
    found: dict[str, list[Logged]] = {}
    for turn in store.turns.all_main():
        if int(turn.conversation_id.rpartition("-")[2]) < since:
            continue
        after = store.turns.follow_up_of(turn)
        heard = {f.polarity for f in store.feedback.for_turn(turn.id)}
        reward = -1 if "negative" in heard else int("positive" in heard)
        words = after.user_text if after else ""
        found.setdefault(turn.conversation_id, []).append(Logged(turn, words, reward))
    return list(found.values())


def corrected(session: Sequence[Logged]) -> tuple[Turn, Turn] | None:
    """(the first answer that was complained about at once, the answer that ended the complaints)"""
    complained = [place for place, logged in enumerate(session) if logged.reward < 0]
    if not complained or complained[0] or complained[-1] + 1 >= len(session):
        return None
    return session[0].turn, session[complained[-1] + 1].turn


def text_of(model: LocalModel, prompt: Sequence[Message], answer: str) -> Text:
    encoded = model.encode_answer(prompt, (Message("assistant", answer),))
    ids = (*encoded.prompt_ids, *encoded.answer_ids)
    positions = answer_positions(len(encoded.prompt_ids), encoded.mask)
    return Text(ids, tuple(positions), tuple(ids[p + 1] for p in positions))


# What each method sees of the log


def sampled_rows(model: LocalModel, sessions: Sequence[Sequence[Logged]]) -> list[Row]:
    """Every answer that was followed by a message, without and with that message in the prompt."""
    rows = []
    for logged in (one for session in sessions for one in session if one.follow_up):
        told = with_hindsight(logged.turn.prompt, build_hindsight((), logged.follow_up))
        answer = logged.turn.answer
        rows.append(
            Row(text_of(model, logged.turn.prompt, answer), told=text_of(model, told, answer))
        )
    return rows


def reward_rows(model: LocalModel, sessions: Sequence[Sequence[Logged]]) -> list[Row]:
    """Every answer that was followed by a message, with its reward less the mean of all.

    A person rates one answer to a question, so there is no group of answers to compare; the group
    is the night's (as in OpenClaw-RL's binary mode).
    """
    followed = [one for session in sessions for one in session if one.follow_up]
    if not followed:
        return []
    mean = sum(one.reward for one in followed) / len(followed)
    spread = math.sqrt(sum((one.reward - mean) ** 2 for one in followed) / len(followed))
    if not spread:
        return []
    return [
        Row(text_of(model, one.turn.prompt, one.turn.answer), reward=(one.reward - mean) / spread)
        for one in followed
    ]


def corrected_rows(model: LocalModel, sessions: Sequence[Sequence[Logged]]) -> list[Row]:
    """The answer that ended the complaints, as if it had been the first, and the real first one."""
    rows = []
    for pair in filter(None, map(corrected, sessions)):
        first, final = pair
        rows.append(
            Row(
                text_of(model, first.prompt, final.answer),
                other=text_of(model, first.prompt, first.answer),
            )
        )
    return rows


# The losses: (B, A) log-probabilities of the student, of the reference, and a mask


@dataclass(slots=True)
class Batch:
    """What a loss gets. `student` has a gradient; `reference` is the network before this night."""

    rows: Sequence[Row]
    student: torch.Tensor
    reference: torch.Tensor
    mask: torch.Tensor
    told: torch.Tensor | None = None
    other_student: torch.Tensor | None = None
    other_reference: torch.Tensor | None = None
    other_mask: torch.Tensor | None = None


def sft_loss(batch: Batch) -> torch.Tensor:
    """Cross-entropy on the corrected answers."""
    return -mean_of(batch.student, batch.mask)


def sampled_loss(batch: Batch) -> torch.Tensor:
    """-A log p, A = log p(y_t | x, f) - log p(y_t | x) on the tokens that were written.

    arXiv 2603.12273, with OpenClaw-RL's clip and SDPO's cap on the importance ratio.
    """
    assert batch.told is not None
    advantage = (batch.told - batch.reference).clamp(-ADVANTAGE_CLIP, ADVANTAGE_CLIP)
    ratio = (batch.student.detach() - batch.reference).exp().clamp(max=RATIO_CAP)
    return mean_of(-(ratio * advantage) * batch.student, batch.mask)


def reward_loss(batch: Batch) -> torch.Tensor:
    """GRPO's clipped ratio times the answer's advantage, with its KL to the reference."""
    advantage = torch.tensor([[row.reward] for row in batch.rows])
    log_ratio = batch.student - batch.reference
    ratio = log_ratio.exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - PPO_CLIP, 1 + PPO_CLIP) * advantage)
    kl = (-log_ratio).exp() + log_ratio - 1
    return mean_of(KL_WEIGHT * kl - gain, batch.mask)


def dpo_loss(batch: Batch) -> torch.Tensor:
    """-log sigmoid(beta * (rise of the corrected answer - rise of the original)), arXiv 2305.18290."""
    assert batch.other_student is not None and batch.other_reference is not None
    assert batch.other_mask is not None
    better = ((batch.student - batch.reference) * batch.mask).sum(dim=1)
    worse = ((batch.other_student - batch.other_reference) * batch.other_mask).sum(dim=1)
    return -torch.nn.functional.logsigmoid(DPO_BETA * (better - worse)).mean()


def mean_of(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over each answer's tokens, then over the answers."""
    per_answer = (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return per_answer.mean()


Rows = Callable[[LocalModel, Sequence[Sequence[Logged]]], list[Row]]
PEERS: dict[str, tuple[Rows, Callable[[Batch], torch.Tensor]]] = {
    "sampled-token": (sampled_rows, sampled_loss),
    "grpo": (reward_rows, reward_loss),
    "sft": (corrected_rows, sft_loss),
    "dpo": (corrected_rows, dpo_loss),
}


# One trainer for all of them


def fit(
    model: LocalModel,
    rows: Sequence[Row],
    loss_of: Callable[[Batch], torch.Tensor],
    recipe: Recipe,
    *,
    start: Path | None,
    seed: int,
    out: Path,
) -> int:
    """Train a LoRA from `start` (None: a new one over the base) and write it. Returns its steps."""
    student = model.fresh_lora(RANK, ALPHA, 0.0, seed)
    if start is not None:
        copy_lora(student, start)
    weights = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=0.0)
    fixed = references(twin(model.network(start)), rows)
    chance = random.Random(seed)
    steps = 0
    for _ in range(recipe.epochs):
        order = list(rows)
        chance.shuffle(order)
        for at in range(0, len(order), BATCH):
            chosen = order[at : at + BATCH]
            loss = loss_of(batch_of(student.get_base_model(), chosen, fixed))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            steps += 1
    model.save_lora(student, out)
    return steps


def references(network: Any, rows: Sequence[Row]) -> dict[Text, torch.Tensor]:
    """What the network before this night thinks of each text's tokens. Call it on a network of
    your own, as `hidden_at`."""
    texts = [text for row in rows for text in (row.text, row.told, row.other) if text]
    found: dict[Text, torch.Tensor] = {}
    with torch.no_grad():
        for batch in by_length([len(text.ids) for text in texts], BATCH):
            some = [texts[i] for i in batch]
            found.update(zip(some, token_logprobs(network, some), strict=True))
    return found


def batch_of(network: Any, rows: Sequence[Row], fixed: dict[Text, torch.Tensor]) -> Batch:
    def known(texts: Sequence[Text]) -> torch.Tensor:
        return padded([fixed[text] for text in texts])

    texts = [row.text for row in rows]
    batch = Batch(rows, padded(token_logprobs(network, texts)), known(texts), mask_of(texts))
    if rows[0].told:
        batch.told = known([row.told for row in rows if row.told])
    if rows[0].other:
        others = [row.other for row in rows if row.other]
        batch.other_student = padded(token_logprobs(network, others))
        batch.other_reference, batch.other_mask = known(others), mask_of(others)
    return batch


def token_logprobs(network: Any, texts: Sequence[Text]) -> list[torch.Tensor]:
    """The log-probabilities (A,) of each answer's tokens; beginnings in common are read once, as
    in our own training."""
    hidden = hidden_at(network, [t.ids for t in texts], [t.positions for t in texts])  # (N, H)
    logits = network.get_output_embeddings()(hidden).float()  # (N, V)
    targets = torch.tensor([token for text in texts for token in text.targets])  # (N,)
    picked = torch.log_softmax(logits, -1).gather(-1, targets[:, None]).squeeze(-1)
    return list(picked.split([len(text.targets) for text in texts]))


def mask_of(texts: Sequence[Text]) -> torch.Tensor:
    """(B, A), 1 where the answer has a token."""
    return padded([torch.ones(len(text.targets)) for text in texts])


def padded(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Rows (A_i,) as (B, A), 0 where a shorter one ends."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
