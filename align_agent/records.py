"""The vocabulary: what a turn, a piece of feedback, a rule, a run and an adapter are. No I/O.

A *turn* is one human message and everything the model answered to it, tool calls included.
Version 0 always means the base model without any adapter.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
Polarity = Literal["negative", "positive", "neutral"]
RuleStatus = Literal["proposed", "active", "retired", "declared"]
RulePolarity = Literal["do", "dont"]
RunStatus = Literal[
    "running", "promoted", "review", "rejected", "skipped", "failed", "interrupted",
    "solved", "spent",
]  # fmt: skip
Verdict = Literal["promote", "review", "reject"]
TurnUse = Literal["train", "heldout", "anchor", "skip"]
Alias = Literal["champion", "previous", "candidate"]

BASE_VERSION = 0
IMPORT = "import:"  # how the channel of a turn from elsewhere begins
IMPORTED = -1  # in place of a version: what answered is none of ours


def now() -> str:
    """The present moment in UTC, ISO 8601 with microseconds: sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_id(prefix: str) -> str:
    """A fresh identifier such as `turn-1f3a9c…`."""
    return f"{prefix}-{uuid.uuid4().hex[:20]}"


def denied_turn(turn_id: str, number: int) -> str:
    """The id of the turn that holds a turn's denied call: no two ids begin with one another."""
    return f"turn-d{number}-{turn_id.removeprefix('turn-')}"


def denied_in(conversation_id: str) -> str:
    """The conversation beside this one that holds its denied calls."""
    return f"denied:{conversation_id}"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool by the model, in the OpenAI sense."""

    id: str
    name: str
    arguments: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "arguments": self.arguments}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> ToolCall:
        return ToolCall(str(data["id"]), str(data["name"]), dict(data["arguments"]))


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. `tool_call_id` is set on a tool's result."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            data["tool_calls"] = [call.to_dict() for call in self.tool_calls]
        if self.tool_call_id:
            data["tool_call_id"] = self.tool_call_id
        return data

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Message:
        return Message(
            role=data["role"],
            content=str(data.get("content") or ""),
            tool_calls=tuple(ToolCall.from_dict(c) for c in data.get("tool_calls", ())),
            tool_call_id=str(data.get("tool_call_id", "")),
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """One human message and the model's whole answer to it.

    `prompt` is every message the model saw up to and including the human's; `response` is what
    followed: assistant messages, and tool results between them. `user_text` is the human's own
    words, freed of any client's wrappers; `answer` is the text of the last assistant message.
    `main` is false for side traffic (titles, heartbeats, compaction), which is never trained on.
    `tools` are those that stood in the prompt: without them the model saw another prompt.
    """

    conversation_id: str
    prompt: tuple[Message, ...]
    response: tuple[Message, ...]
    user_text: str
    answer: str
    id: str = field(default_factory=lambda: new_id("turn"))
    created_at: str = field(default_factory=now)
    channel: str = "chat"
    version: int = BASE_VERSION
    base: str = ""
    main: bool = True
    finish_reason: str = "stop"
    excluded: bool = False
    latency_ms: float = 0.0
    position: int = -1  # 0-based within the conversation; the store assigns it
    tools: tuple[dict[str, Any], ...] = ()  # offered in the prompt, in OpenAI's format

    @property
    def answered_by(self) -> str:
        """The version that answered, by name; "imported" where another program's model did."""
        return version_label(IMPORTED if self.channel.startswith(IMPORT) else self.version)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one signal says about one turn. Kept beside the turn, never written over it.

    `kind` names the signal (follow_up, retry, rating, edit, gap, ...), `detector` the code that
    saw it. `source_turn_id` is the later turn whose message carried it, if there is one. `layers`
    says what each layer of a detector thought (from 0 to 1; the lexicon's praise below 0), `review`
    why a person should look before anything is learned from it; empty once that is settled.
    """

    turn_id: str
    kind: str
    polarity: Polarity
    category: str
    confidence: float
    text: str
    detector: str
    evidence: str = ""
    source_turn_id: str = ""
    strength: float = 1.0
    dismissed: bool = False
    id: str = field(default_factory=lambda: new_id("fb"))
    created_at: str = field(default_factory=now)
    layers: dict[str, float] = field(default_factory=dict)
    review: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One short general wish of the user, such as "Write plain text: no bold, no lists".

    `direction` is a key such as "format:plain" when the wish is a known one (two rules with the
    same axis, the part before the colon, and another value contradict each other); empty otherwise.
    `check` names a verifiable check with its parameters, `{"name": ..., ...}`, when a program can
    tell whether an answer obeys. `polarity` says whether it asks for something or forbids it.
    """

    text: str
    status: RuleStatus
    direction: str = ""
    check: dict[str, Any] | None = None
    scope: str = "everything"
    count: int = 1
    first_seen: str = field(default_factory=now)
    last_seen: str = field(default_factory=now)
    reason: str = ""
    id: str = field(default_factory=lambda: new_id("rule"))
    polarity: RulePolarity = "do"


@dataclass(frozen=True, slots=True)
class Run:
    """One night (or another training run), with what it was asked and how it ended."""

    id: str
    status: RunStatus
    started_at: str = field(default_factory=now)
    finished_at: str = ""
    kind: str = "night"
    phase: str = ""
    reason: str = ""
    base: str = ""
    parent: int = BASE_VERSION
    candidate: int | None = None
    seed: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Adapter:
    """One version of the personal LoRA. Its files never change once it is registered."""

    version: int
    base: str
    base_hash: str
    run_id: str
    verdict: Verdict
    created_at: str = field(default_factory=now)
    parent: int = BASE_VERSION
    rank: int = 0
    size_bytes: int = 0
    manifest_sha256: str = ""
    reasons: tuple[str, ...] = ()
    pinned: bool = False
    tainted: bool = False
    deleted: bool = False

    @property
    def label(self) -> str:
        return version_label(self.version)


def version_label(version: int) -> str:
    """`base` for version 0, else `v3`; of a turn from elsewhere `imported`."""
    if version == IMPORTED:
        return "imported"
    return "base" if version == BASE_VERSION else f"v{version}"
