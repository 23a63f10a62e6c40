"""Trains the words layer and the score that joins it with the lexicon; writes the shipped weights.

Two steps. The classifier learns on all rows. The joint score learns on the real rows alone, from
what a classifier says that has not seen their conversation, and from what the lexicon reads
without its private words (`reader_private`): both as they will be on new rows.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from reader_private import read_rows
from reader_rows import (
    Row,
    data_folder,
    digest_of_features,
    generated_rows,
    real_rows,
    shortened,
    written_rows,
)
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from align_agent.feedback.features import BUCKETS, features
from align_agent.feedback.reader import inputs
from align_agent.feedback.words import FORMAT, WEIGHTS

C = 8.0
MIN_ROWS = 2  # a feature of one row alone is learned by heart
INNER = 4
REAL = ("oasst", "eurtad", "ifllm")
CATEGORY_OF = {  # OASST's own names
    "not_suitable": "not_as_asked",
    "revise_request": "not_as_asked",
    "not_as_asked": "not_as_asked",
    "complaint": "not_as_asked",
    "incomplete_or_missing": "missing_part",
    "aware_with_correction": "wrong_fact",
    "ask_clarification": "clarification",
    "too_long": "too_long",
    "praise_but": "praise_but",
}


@dataclass
class Rows:
    """All rows with their features (N, BUCKETS), labels, and the lexicon's inputs (N, 5)."""

    rows: list[Row]
    features: csr_matrix
    labels: np.ndarray
    lexicon: np.ndarray  # as it is
    careful: np.ndarray  # without private words
    sources: np.ndarray
    groups: np.ndarray
    categories: np.ndarray

    def strata(self, index: np.ndarray) -> list[str]:
        return [f"{self.sources[i]}{self.labels[i]}" for i in index]

    def folds(self, index: np.ndarray, number: int, seed: int) -> list[tuple]:
        split = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
        return list(split.split(index, self.strata(index), self.groups[index]))


def load() -> Rows:
    real = real_rows(data_folder())
    rows = [*real, *shortened(real), *written_rows(), *generated_rows()]
    rows = [row for row in rows if row.label in ("negative", "neutral", "positive")]
    if not any(row.source in REAL for row in rows):
        sys.exit(f"no real rows in {data_folder()}: set ALIGN_AGENT_READER_DATA")
    found = [features(row.follow_up, row.answer, row.asked) for row in rows]
    places = [place for one in found for place in one]
    values = [value for one in found for value in one.values()]
    ends = np.cumsum([0, *map(len, found)])
    plain, careful = read_rows(rows)
    return Rows(
        rows,
        csr_matrix((values, places, ends), shape=(len(rows), BUCKETS)),
        np.array([int(row.label == "negative") for row in rows]),
        np.array([inputs(reading, 0.0)[1:] for reading in plain]),
        np.array([inputs(reading, 0.0)[1:] for reading in careful]),
        np.array([row.source for row in rows]),
        np.array([row.group for row in rows]),
        np.array([_category(row) for row in rows]),
    )


def _category(row: Row) -> str:
    if row.label != "negative" or row.source in ("eurtad", "shortened"):
        return ""
    found = CATEGORY_OF.get(row.category, "") if row.source == "oasst" else row.category
    return "" if found == "none" else found


def fit_words(data: Rows, index: np.ndarray) -> tuple[np.ndarray, float]:
    """(weights (BUCKETS,), bias) of the classifier, fitted on these rows."""
    chosen = data.features[index]
    kept = np.asarray((chosen > 0).sum(axis=0)).ravel() >= MIN_ROWS
    chosen = chosen.multiply(csr_matrix(kept.astype(float))).tocsr()
    model = LogisticRegression(C=C, solver="liblinear").fit(chosen, data.labels[index])
    return model.coef_[0] * kept, float(model.intercept_[0])


def logits(data: Rows, index: np.ndarray, words: tuple[np.ndarray, float]) -> np.ndarray:
    return data.features[index] @ words[0] + words[1]


def unseen_logits(data: Rows, index: np.ndarray, seed: int) -> np.ndarray:
    """Each row's logit by a classifier that has not seen its conversation."""
    result = np.zeros(len(index))
    for train, test in data.folds(index, INNER, seed):
        result[test] = logits(data, index[test], fit_words(data, index[train]))
    return result


def fit_score(data: Rows, index: np.ndarray, seed: int) -> LogisticRegression:
    """The joint score, fitted on the real ones of these rows."""
    unseen = unseen_logits(data, index, seed)
    real = np.isin(data.sources[index], REAL)
    joined = np.column_stack([unseen, data.careful[index]])[real]
    return LogisticRegression(C=1.0).fit(joined, data.labels[index][real])


def fit_categories(data: Rows, index: np.ndarray) -> tuple[list[str], np.ndarray, np.ndarray]:
    """(names, weights (K, BUCKETS), biases (K,)) of what kind of complaint it is."""
    named = index[data.categories[index] != ""]
    chosen = data.features[named]
    kept = np.asarray((chosen > 0).sum(axis=0)).ravel() >= MIN_ROWS
    chosen = chosen.multiply(csr_matrix(kept.astype(float))).tocsr()
    model = LogisticRegression(C=C, class_weight="balanced", max_iter=300)
    model.fit(chosen, data.categories[named])
    return list(model.classes_), model.coef_ * kept, model.intercept_


def main(say: Callable[[str], None] = print) -> None:
    data = load()
    everything = np.arange(len(data.rows))
    weights, bias = fit_words(data, everything)
    score = fit_score(data, everything, seed=0)
    names, kinds, kind_biases = fit_categories(data, everything)
    table = np.vstack([weights, kinds]).ravel()
    packed = struct.pack(f"<{len(table)}e", *table)
    facts = {
        "format": FORMAT,
        "buckets": BUCKETS,
        "categories": names,
        "biases": [round(float(b), 6) for b in (bias, *kind_biases)],
        "combine": {
            "bias": round(float(score.intercept_[0]), 6),
            "weights": [round(float(w), 6) for w in score.coef_[0]],
        },
        "rows": {s: int((data.sources == s).sum()) for s in sorted(set(data.sources.tolist()))},
        "features": digest_of_features(),
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    WEIGHTS.mkdir(exist_ok=True)
    (WEIGHTS / "words.f16").write_bytes(packed)
    (WEIGHTS / "words.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    say(f"{len(packed) + len(json.dumps(facts)):,} bytes from {facts['rows']}")


if __name__ == "__main__":
    main()
