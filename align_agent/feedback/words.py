"""The words layer: how likely a follow-up is a complaint, by a linear model over hashed features.

Reads shipped weights and computes; the standard library is enough. `benchmarks/reader_train.py`
made the weights (`make reader`). What the features are is `features`' matter, what the answer
means for the whole reading is `reader`'s.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from align_agent.errors import AlignAgentError
from align_agent.feedback.features import BUCKETS, bucket, features, word_runs

WEIGHTS = Path(__file__).parent / "weights"
FORMAT = 1
_QUOTED = 3
# Below this logit no kind of complaint is worked out: nobody will ask for it.
_WORTH_NAMING = -2.0


@dataclass(frozen=True, slots=True)
class WordsScore:
    """`logit` above 0 leans towards a complaint; `probability` is its logistic.

    `category` is the likeliest kind of complaint, if it is one at all.
    """

    logit: float
    category: str
    evidence: str

    @property
    def probability(self) -> float:
        return logistic(self.logit)


class Weights:
    """The shipped weights: a table of facts and half floats, one row of them for each output."""

    def __init__(self, folder: Path) -> None:
        """Raises AlignAgentError when the files are missing or are not what their table says."""
        try:
            self.facts: dict[str, Any] = json.loads((folder / "words.json").read_text("utf-8"))
            self._data = (folder / "words.f16").read_bytes()
        except (OSError, ValueError) as error:
            raise AlignAgentError(
                f"the reader's weights cannot be read: {error}", hint="install align-agent again"
            ) from error
        self.categories: list[str] = self.facts["categories"]
        rows = 1 + len(self.categories)
        expected = (FORMAT, BUCKETS, rows * BUCKETS * 2)
        found = (self.facts["format"], self.facts["buckets"], len(self._data))
        if found != expected:
            raise AlignAgentError(
                f"the reader's weights are {found}, expected {expected}",
                hint="install align-agent again, or train them with `make reader`",
            )

    def weight(self, row: int, place: int) -> float:
        value: float = struct.unpack_from("<e", self._data, 2 * (row * BUCKETS + place))[0]
        return value

    def output(self, row: int, found: Mapping[int, float]) -> float:
        """The sum of row `row` over the features, with its bias."""
        bias = float(self.facts["biases"][row])
        return bias + sum(self.weight(row, place) * value for place, value in found.items())


@cache
def shipped() -> Weights:
    """The weights that come with the package, read once."""
    return Weights(WEIGHTS)


def score(follow_up: str, *, answer: str = "", previous_user: str = "") -> WordsScore:
    """Score one follow-up. Any text is taken; raises only where the weights are missing."""
    weights = shipped()
    found = features(follow_up, answer, previous_user)
    logit = weights.output(0, found)
    if logit < _WORTH_NAMING:
        return WordsScore(logit, "none", "")
    outputs = [weights.output(row, found) for row in range(1, 1 + len(weights.categories))]
    category = weights.categories[outputs.index(max(outputs))]
    return WordsScore(logit, category, _evidence(weights, follow_up))


def logistic(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _evidence(weights: Weights, follow_up: str) -> str:
    """The runs of words that speak most for a complaint, none within another."""
    ranked = sorted(
        ((weights.weight(0, bucket(run)), run) for run in word_runs(follow_up)), reverse=True
    )
    kept: list[str] = []
    for weight, run in ranked:
        words = run.removeprefix("w:").replace("<s>", "").replace("</s>", "").strip(" ,;?!")
        if weight > 0 and words and not any(words in k or k in words for k in kept):
            kept.append(words)
        if len(kept) == _QUOTED:
            break
    return ", ".join(f"“{words}”" for words in kept)
