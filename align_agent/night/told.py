"""A night in a person's words: how it ended, why, and what it learned from. Prints nothing."""

from __future__ import annotations

from align_agent.gate.report import Judgement
from align_agent.gate.told import brief, sentence
from align_agent.records import Run, version_label
from align_agent.store import Store

# What became of a turn.
USES = {
    "train": "learned from",
    "heldout": "kept aside for the gate",
    "anchor": "held in place",
    "skip": "left out",
}
# What the next night would do with it.
PLANNED = {
    "train": "learn from",
    "heldout": "kept aside",
    "anchor": "held in place",
    "skip": "left out",
}
# The figures of a training's steps.
FIGURES = {
    "loss": "loss",
    "kl": "distance to the teacher (KL, nats a token)",
    "grad_norm": "gradient norm",
    "tokens": "tokens a step",
    "answer_tokens": "answer tokens a step",
    "anchor_kl": "drift on turns held in place (KL)",
    "learning_rate": "learning rate",
}


def ending(run: Run) -> str:
    """The status and what it meant for who answers, such as "rejected: the gate refused v2"."""
    made = version_label(run.candidate) if run.candidate else "what it made"
    before = version_label(run.parent)
    meant = {
        "promoted": f"{made} passed the gate and answers in place of {before}",
        "review": f"{made} needs your yes: `align-agent adapters promote {made}`",
        "rejected": f"the gate refused {made}, and {before} answers as before",
        "skipped": "nothing was learned",
        "failed": "nothing was learned, and nothing changed",
        "interrupted": "it did not come to its end",
    }.get(run.status, "")
    return f"{run.status}: {meant}" if meant else run.status


def reasons(run: Run) -> list[str]:
    """Why it ended so: at most a handful of sentences."""
    judged = Judgement.from_dict(run.verdict)
    told = brief(judged) if judged else []
    said = judged.reasons if judged else ()
    if run.reason and not any(run.reason.endswith(reason) for reason in said):
        return [sentence(run.reason), *told]
    return told


def complaint(store: Store, turn_id: str) -> str:
    """What the user said against an answer last; empty when nothing was said in words."""
    opinions = store.feedback.for_turn(turn_id)
    said = [f.text for f in opinions if f.polarity == "negative" and not f.dismissed and f.text]
    return said[-1] if said else ""
