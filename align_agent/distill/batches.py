"""Which examples go through the network together. Decides only; no torch.

Examples of one family begin alike (turns of one conversation, answers to one prompt) and are kept
together, because the network then reads their beginning once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

# What two sequences must have in common to be joined: this share of the shorter, and so many
# tokens. A short beginning is soon read again.
_ALIKE, _LONG = 0.75, 128
_WINDOW = 16  # batches whose families are sorted by length together, and still a shuffle


def plan_batches(
    lengths: Sequence[int],
    batch_size: int,
    epochs: int,
    seed: int,
    families: Sequence[int] | None = None,
) -> list[list[int]]:
    """The batches of all epochs, of like lengths, in random order: a function of the seed.

    `families` names each example's family; without it each example is one of its own. A family is
    split only where it is larger than what is left of a batch.
    """
    chance = random.Random(seed)
    members: dict[int, list[int]] = {}
    for i in range(len(lengths)):
        members.setdefault(families[i] if families else i, []).append(i)
    batches: list[list[int]] = []
    for _ in range(epochs):
        order = list(members.values())
        chance.shuffle(order)
        epoch: list[list[int]] = []
        for window in _windows(order, _WINDOW * batch_size):
            window.sort(key=lambda family: (max(lengths[i] for i in family), family[0]))
            flat = [i for family in window for i in family]
            epoch += [flat[at : at + batch_size] for at in range(0, len(flat), batch_size)]
        chance.shuffle(epoch)
        batches += epoch
    return batches


def families_of(sequences: Sequence[Sequence[int]]) -> list[int]:
    """The family of each sequence: neighbours in sorted order that share most of the shorter.

    Examples that are alike make for a noisier gradient, which learns slower by the step. So only
    those are joined that save the most: turns deep in one conversation.
    """
    from align_agent.models.tree import shared

    order = sorted(range(len(sequences)), key=lambda i: tuple(sequences[i]))
    result = [0] * len(sequences)
    family = 0
    before: Sequence[int] = ()
    for place, i in enumerate(order):
        tokens = sequences[i]
        common = shared(before, tokens) if place else 0
        if common < max(_LONG, _ALIKE * min(len(before), len(tokens))):
            family += 1
        result[i] = family
        before = tokens
    return result


def parts_of(sequences: Sequence[Sequence[int]], tokens: int) -> list[list[int]]:
    """Indices in parts that have at most `tokens` tokens each, beginnings in common counted once.

    In sorted order, so that what begins alike stays together. A sequence longer than that is a
    part of its own.
    """
    from align_agent.models.tree import shared

    parts: list[list[int]] = []
    size = 0
    before: Sequence[int] = ()
    for i in sorted(range(len(sequences)), key=lambda i: (tuple(sequences[i]), i)):
        more = len(sequences[i]) - (shared(before, sequences[i]) if parts else 0)
        if parts and size + more <= tokens:
            parts[-1].append(i)
            size += more
        else:
            parts.append([i])
            size = len(sequences[i])
        before = sequences[i]
    return parts


def _windows(families: list[list[int]], size: int) -> list[list[list[int]]]:
    windows: list[list[list[int]]] = [[]]
    count = 0
    for family in families:
        if count >= size:
            windows.append([])
            count = 0
        windows[-1].append(family)
        count += len(family)
    return windows
