"""How well follow-ups are read: precision, recall and F1 of each layer, on real conversations.

`make bench-reader`. Nested cross-validation: a row's conversation is in no part of what read it,
neither in the classifier, nor in the joint score, nor in the choice of the threshold. The lexicon
cannot be trained anew for each fold; it is shown as it is, and without the words that it has from
one row alone (`reader_private`), and the joint score is fed the second.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import reader_train as train
from reader_rows import data_folder
from sklearn.linear_model import LogisticRegression

from align_agent.feedback.reader import THRESHOLD, read

FOLDS = 5
SEEDS = (0, 1, 2)
WANTED_PRECISION = 0.85
BINS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
LAYERS = (
    "lexicon",
    "lexicon, careful",
    "words",
    "combined, careful",
    "combined, careful, own threshold",
    "combined",
)
SWEEP = (0.2, 0.25, 0.28, 0.3, 0.35, 0.4, 0.5, 0.6)


@dataclass
class Scores:
    """What one round of cross-validation said of each row: a probability, or a yes or no."""

    words: np.ndarray
    combined: np.ndarray
    eager: np.ndarray  # the same with the lexicon as it is
    chosen: np.ndarray  # yes or no at the threshold that the fold's own training rows gave
    categories: np.ndarray


def cross_validate(data: train.Rows, seed: int) -> Scores:
    count = len(data.rows)
    everything = np.arange(count)
    zeros = [np.zeros(count) for _ in range(4)]
    scores = Scores(*zeros, np.array([""] * count, "O"))
    for inside, outside in data.folds(everything, FOLDS, seed):
        words = train.fit_words(data, inside)
        unseen = train.unseen_logits(data, inside, seed + 100)
        real = np.isin(data.sources[inside], train.REAL)
        joined = np.column_stack([unseen, data.careful[inside]])
        score = LogisticRegression(C=1.0).fit(joined[real], data.labels[inside][real])
        known = score.predict_proba(joined)[:, 1]
        threshold = _threshold(known, data, inside)
        logit = train.logits(data, outside, words)
        joint = score.predict_proba(np.column_stack([logit, data.careful[outside]]))[:, 1]
        scores.words[outside] = 1 / (1 + np.exp(-logit))
        scores.combined[outside] = joint
        whole = np.column_stack([logit, data.lexicon[outside]])
        scores.eager[outside] = score.predict_proba(whole)[:, 1]
        scores.chosen[outside] = joint >= threshold
        if seed == SEEDS[0]:
            names, kinds, biases = train.fit_categories(data, inside)
            best = (data.features[outside] @ kinds.T + biases).argmax(axis=1)
            scores.categories[outside] = [names[i] for i in best]
    return scores


def _threshold(known: np.ndarray, data: train.Rows, inside: np.ndarray) -> float:
    """The lowest threshold that is precise enough on OASST's own training rows."""
    own = data.sources[inside] == "oasst"
    scores, labels = known[own], data.labels[inside][own]
    fine = [t for t in np.unique(scores) if labels[scores >= t].mean() >= WANTED_PRECISION]
    return float(min(fine, default=1.0))


def figures(predicted: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """(precision, recall, F1)."""
    hits = float((predicted & (labels == 1)).sum())
    precision = hits / max(1.0, float(predicted.sum()))
    recall = hits / max(1.0, float(labels.sum()))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def calibration(scores: np.ndarray, labels: np.ndarray) -> tuple[list[tuple], float, float]:
    """(bins of (from, to, rows, mean score, share of complaints), ECE, Brier score)."""
    table, error = [], 0.0
    for low, high in itertools.pairwise(BINS):
        inside = (scores >= low) & ((scores < high) | (high == 1.0))
        if inside.any():
            mean, share = float(scores[inside].mean()), float(labels[inside].mean())
            table.append((low, high, int(inside.sum()), mean, share))
            error += inside.mean() * abs(mean - share)
    return table, float(error), float(((scores - labels) ** 2).mean())


def layers_of(data: train.Rows, scores: Scores) -> dict[str, np.ndarray]:
    return {
        "lexicon": data.lexicon[:, 0] > 0,
        "lexicon, careful": data.careful[:, 0] > 0,
        "words": scores.words >= 0.5,
        "combined, careful": scores.combined >= THRESHOLD,
        "combined, careful, own threshold": scores.chosen > 0,
        "combined": scores.eager >= THRESHOLD,
    }


def measure(data: train.Rows, rounds: Sequence[Scores]) -> dict[str, dict[str, float]]:
    """layer -> set -> figures, the mean over the rounds."""
    result: dict[str, dict[str, float]] = {}
    for layer in LAYERS:
        row: dict[str, float] = {}
        for source in ("oasst", "eurtad", "written"):
            own = data.sources == source
            each = [figures(layers_of(data, s)[layer][own], data.labels[own]) for s in rounds]
            for name, value in zip(("precision", "recall", "f1"), np.mean(each, 0), strict=True):
                row[f"{source}_{name}"] = round(float(value), 3)
        own = data.sources == "ifllm"
        alarms = [float(layers_of(data, s)[layer][own].mean()) for s in rounds]
        row["neutral_false_alarms"] = round(float(np.mean(alarms)), 4)
        result[layer] = row
    return result


def sweep(data: train.Rows, rounds: Sequence[Scores]) -> None:
    """What other thresholds would give (`combined, careful`)."""
    print("\nthreshold   OASST P     R   EURTAD P     R   false alarms")
    joint = [s.combined for s in rounds]
    for threshold in SWEEP:
        shown = f"{threshold:9.2f}"
        for source, width in (("oasst", 10), ("eurtad", 11)):
            own = data.sources == source
            each = [figures(j[own] >= threshold, data.labels[own]) for j in joint]
            precision, recall, _ = np.mean(each, 0)
            shown += f"{precision:{width}.2f}{recall:6.2f}"
        own = data.sources == "ifllm"
        print(f"{shown}{np.mean([(j[own] >= threshold).mean() for j in joint]):15.1%}")


def shipped(data: train.Rows) -> dict[str, float]:
    """The shipped reader on the same rows, which it was trained on: an upper bound."""
    started = time.perf_counter()
    said = [read(r.follow_up, answer=r.answer, previous_user=r.asked) for r in data.rows]
    milliseconds = 1000 * (time.perf_counter() - started) / len(said)
    negative = np.array([reading.polarity == "negative" for reading in said])
    row = {"milliseconds": round(milliseconds, 2)}
    for source in ("oasst", "eurtad"):
        own = data.sources == source
        each = figures(negative[own], data.labels[own])
        for name, value in zip(("precision", "recall", "f1"), each, strict=True):
            row[f"{source}_{name}"] = round(value, 3)
    row["neutral_false_alarms"] = round(float(negative[data.sources == "ifllm"].mean()), 4)
    reviews = [bool(reading.review) for reading in said]
    row["review_share"] = round(float(np.mean(np.array(reviews)[_real(data)])), 4)
    return row


def _real(data: train.Rows) -> np.ndarray:
    return np.isin(data.sources, train.REAL)


def main() -> None:
    data = train.load()
    rounds = [cross_validate(data, seed) for seed in SEEDS]
    table = measure(data, rounds)
    print(f"{'layer':34}{'OASST P':>8}{'R':>6}{'F1':>6}{'EURTAD P':>10}{'R':>6}{'F1':>6}", end="")
    print(f"{'false alarms':>14}{'written P':>11}{'R':>6}")
    for layer, row in table.items():
        print(f"{layer:34}{_triple(row, 'oasst', 8)}{_triple(row, 'eurtad', 10)}", end="")
        print(f"{row['neutral_false_alarms']:14.1%}{row['written_precision']:11.2f}", end="")
        print(f"{row['written_recall']:6.2f}")
    sweep(data, rounds)
    real = _real(data)
    joint = np.mean([s.combined for s in rounds], 0)[real]
    bins, error, brier = calibration(joint, data.labels[real])
    print("\nscore        rows  mean score  complaints")
    for low, high, rows, mean, share in bins:
        print(f"{low:.2f} to {high:.2f}{rows:6}{mean:12.2f}{share:12.2f}")
    print(f"expected calibration error {error:.3f}, Brier score {brier:.3f}")
    named = (data.categories != "") & np.isin(data.sources, ("oasst", "written"))
    right = float((rounds[0].categories[named] == data.categories[named]).mean())
    commonest = float(np.mean(data.categories[named] == "not_as_asked"))
    print(f"kind of complaint named rightly {right:.2f} (always the commonest: {commonest:.2f})")
    upper = shipped(data)
    print(f"the shipped reader on these rows, which it has seen: {upper}")
    result = {
        **{f"{_key(layer)}_{name}": v for layer, row in table.items() for name, v in row.items()},
        "expected_calibration_error": round(error, 4),
        "brier": round(brier, 4),
        "category_accuracy": round(right, 3),
        "threshold": THRESHOLD,
        **{f"shipped_{name}": value for name, value in upper.items()},
    }
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": sys.version[:6]}
    print(json.dumps({"name": "reader", "figures": result, "machine": machine}))


def _triple(row: dict[str, float], source: str, width: int) -> str:
    precision, recall, f1 = (row[f"{source}_{n}"] for n in ("precision", "recall", "f1"))
    return f"{precision:{width}.2f}{recall:6.2f}{f1:6.2f}"


def _key(layer: str) -> str:
    return layer.replace(", ", "_").replace(" ", "_")


if __name__ == "__main__":
    if not any(data_folder().glob("followups_*.jsonl")):
        sys.exit(f"no follow-ups in {data_folder()}: set ALIGN_AGENT_READER_DATA")
    main()
