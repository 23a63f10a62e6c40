"""How often what occurs in the training chats: one mix for each stage of the training.

The first mix holds much of everything. What a model trained on it still gets wrong is rare there:
several wishes at once, words for length and tone, code whose stated choices are taken back. The
second mix holds more of those; the third one more still, and more sentences for a wish. The last
one adds what people type first, and how they type.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Mix:
    """Shares are between 0 and 1; where one number is drawn for several cases, they add up."""

    single: float  # a question and its answer
    ruled: float  # ... up to here: one under rules in the system prompt
    hindsight: float  # ... one with a hindsight block
    code: float  # ... one about code with a hindsight block; the rest are conversations
    complaint: float  # an exchange of a conversation, thanks and doubt included, is a complaint
    wished: float  # ... up to here: the next question with a wish; the rest are plain questions
    wish_counts: tuple[int, ...]  # how many wishes there are at once
    said_counts: tuple[int, ...]  # how many of them a follow-up says
    turning: float  # how many wishes ask for something that the answer would not do anyway
    failed_tests: float  # how often a failed test tells what was wrong with code, not words
    code_rules: float  # how often rules stand beside what was wrong with code
    corrections: bool  # every choice about code is wished for equally often
    taken_back: float | None  # how often a correction takes back what a question about code states
    axis_shares: dict[str, int] | None  # how often an axis is wished for; None: equally often
    late_words: bool = False  # the sentences kept for the late stages are said too
    stray: float = 0.015  # per axis: how often an answer strays from the default: samples vary
    tools: float = 0.15  # how often tools are offered
    everyday: float = 0.0  # questions as people type them, greetings and bare sums among them
    everyday_single: float = 0.0  # ... of the single questions, which cost the fewest tokens


BROAD = Mix(
    single=0.17,
    ruled=0.30,
    hindsight=0.56,
    code=0.69,
    complaint=0.62,
    wished=0.78,
    wish_counts=(1, 1, 1, 1, 2, 2, 3, 3, 4),
    said_counts=(1, 1, 2, 3),
    turning=0.7,
    failed_tests=0.4,
    code_rules=0.15,
    corrections=False,
    taken_back=None,
    axis_shares=None,
)

# Words for length and tone turn around most easily ("too brief", "be brief"): they get more room.
HARD = Mix(
    single=0.08,
    ruled=0.18,
    hindsight=0.42,
    code=0.60,
    complaint=0.68,
    wished=0.84,
    wish_counts=(1, 1, 1, 2, 2, 3, 3, 3, 4),
    said_counts=(1, 2, 3, 3),
    turning=0.8,
    failed_tests=0.35,
    code_rules=0.1,
    corrections=True,
    taken_back=0.6,
    axis_shares={"format": 2, "length": 4, "tone": 3, "emoji": 2, "detail": 3},
)

LAST = replace(
    HARD,
    single=0.06,
    ruled=0.17,
    hindsight=0.36,
    code=0.60,
    taken_back=0.8,
    axis_shares={"format": 3, "length": 4, "tone": 4, "emoji": 4, "detail": 4},
    late_words=True,
)

EVERYDAY = replace(
    LAST,
    single=0.40,
    ruled=0.49,
    hindsight=0.64,
    code=0.79,
    stray=0.04,
    tools=0.3,
    everyday=0.25,
    everyday_single=0.8,
)
