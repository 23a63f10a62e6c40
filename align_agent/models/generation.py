"""What is asked of a model and what comes back. No network, no tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from align_agent.errors import UsageError
from align_agent.records import Message, ToolCall

FinishReason = Literal["stop", "length", "tool_calls", "aborted"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is drawn. Temperature 0 is greedy; `seed` None draws a fresh one.

    The same seed gives the same answer on the same machine, alone or in a batch.
    Raises UsageError for a value that no answer can be drawn with.
    """

    max_new_tokens: int = 256
    temperature: float = 0.7
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise UsageError("max_new_tokens must be at least 1", hint="ask for one token or more")
        if not 0.0 <= self.temperature < float("inf"):
            raise UsageError("temperature must be 0 or more", hint="0 is greedy, 0.7 is usual")
        if not 0.0 < self.top_p <= 1.0:
            raise UsageError("top_p must be above 0 and at most 1", hint="1.0 keeps every token")
        if not all(self.stop):
            raise UsageError("a stop string is empty", hint="leave it out")


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer.

    `token_ids` are all tokens the model wrote, the end-of-turn token included; `logprobs` are
    their log-probabilities in nats under the network itself, before temperature and top_p.
    `text` leaves out the end-of-turn token, a stop string and what follows it, and tool calls;
    `stop_text` is the stop string that ended it, if one did.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason
    tool_calls: tuple[ToolCall, ...] = ()
    stop_text: str = ""

    def message(self) -> Message:
        """The answer as the assistant's message."""
        return Message("assistant", self.text, tool_calls=self.tool_calls)


@dataclass(frozen=True, slots=True)
class Token:
    """A written token, its log-probability in nats, and the likeliest ones at its place."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A step of an answer: text that may be shown, perhaps none yet, and the tokens behind it."""

    text: str
    tokens: tuple[Token, ...]


Event = Piece | Generation | BaseException
Deliver = Callable[[Event], None]
