"""The section `learn` of config.yaml. Reads no file."""

from __future__ import annotations

from dataclasses import dataclass

from align_agent.config.options import option


@dataclass(frozen=True)
class LearnConfig:
    """Learning from demonstrations and documents, and at once."""

    mask_first_tokens: int | str = option(
        "auto",
        "First tokens of an answer that are not learned where a demonstration or a document was "
        "shown: if the teacher speaks of what it was shown, it does so there. auto: 2, and 0 for "
        "the pocket model, whose first token decides how all of an answer looks.",
        kind="int",
        words=("auto",),
        low=0,
        high=1000,
    )
    questions: int = option(
        32, "Questions that are asked about a document, to learn it.", low=4, high=10_000
    )
    live: bool = option(
        False,
        "Learn at once: a tool call that you deny with a reason, and a plain correction in a chat, "
        "make one small step on a working adapter, and the agent tries again. /undo takes the last "
        "step back; the next night decides what remains.",
    )
