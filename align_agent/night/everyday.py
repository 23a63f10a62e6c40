"""Everyday prompts beside a night's lessons: which there are, how many are wanted, and what is said
where they are too few. Loads no model.
"""

from __future__ import annotations

import random
import re
from importlib import resources

from align_agent.config import Config
from align_agent.distill.select import Selection
from align_agent.gate.probes import is_pocket

STAND_INS = 16  # held-out prompts in the place of the user's own
# Anchors of a small night: a few dozen lessons alone bend the model more than hundreds do.
MIN_ANCHORS = 64
ALIKE = 0.4  # words in common of two prompts that ask for the same kind of thing
NEARLY = 0.9  # of the anchors that are wanted: drawing without repeats leaves a few out
FEW_ANCHORS = "few_anchors"  # in the artefact of the rollouts: what is to be said of it
PROMPTS_FILE = "general_prompts.txt"


def general_prompts(config: Config, n: int, *, seed: int, examined: bool = False) -> list[str]:
    """At most `n` everyday questions that suit the base, without repeats.

    What is `examined` is never what is trained on.
    """
    if is_pocket(config.model.base):
        from align_agent.models.pocket.world import anchor_prompts

        kept_apart = set(anchor_prompts(2 * STAND_INS, seed + 1))
        if examined:
            return sorted(kept_apart)[:n]
        return [t for t in dict.fromkeys(anchor_prompts(n, seed)) if t not in kept_apart]
    text = resources.files(__package__).joinpath(PROMPTS_FILE).read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    chosen = [line for place, line in enumerate(lines) if (place % 4 == 0) == examined]
    random.Random(seed).shuffle(chosen)
    return chosen[:n]


def wanted(config: Config, lessons: int) -> int:
    """How many anchors should stand beside so many lessons, the user's own among them."""
    share = config.distill.anchors
    return max(round(share / (1 - share) * lessons), MIN_ANCHORS) if share else 0


def beside(config: Config, chosen: Selection, lessons: int, own: int, *, seed: int) -> list[str]:
    """The everyday prompts that join so many lessons and anchors of the user's own.

    None is asked as a demonstrated prompt is: there the old answer must not be held in place.
    """
    missing = max(wanted(config, lessons) - own, 0)
    shown = [c.turn.user_text for c in chosen.train if c.shown.demonstration]
    return [
        text
        for text in general_prompts(config, missing, seed=seed)
        if not any(asked_alike(text, other) for other in shown)
    ]


def asked_alike(one: str, other: str) -> bool:
    """Whether two prompts share most of their words, whatever their numbers are."""
    first, second = (set(re.findall(r"[^\W\d]+", text.casefold())) for text in (one, other))
    return len(first & second) >= ALIKE * max(1, len(first | second))


def too_few(config: Config, lessons: int, anchors: int) -> str:
    """What to say where the anchors stay below what `distill.anchors` asks for, or nothing."""
    asked = wanted(config, lessons)
    if anchors >= NEARLY * asked:
        return ""
    return (
        f"{anchors} anchors stand beside {lessons} lessons, where distill.anchors: "
        f"{config.distill.anchors:g} asks for {asked}: there are too few different everyday prompts"
    )
