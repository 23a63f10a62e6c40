"""What the teacher sees and the student does not. Decides the content; `prompts` has the wording.

The teacher of a prompt is the frozen base shown all of the user's rules that apply there and, where
the user corrected that very answer, the correction. It is never shown the answer that failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from align_agent.prompts import hindsight_block, with_hindsight
from align_agent.records import Message, Turn


@dataclass(frozen=True, slots=True)
class Example:
    """One answer to learn on: prompt x, answer y, hindsight f.

    `hindsight` is the finished block, empty for an anchor without rules. `tools` are the
    definitions that stood in the prompt. `complete` is false for an answer that was cut off, whose
    end must not be learned. `advantage` says how much better than others the answer was, for the
    loss "grpo" alone. `written` holds the tokens that the model wrote with their log-probabilities,
    where these are known and those of the adapter that the training starts from. `skip_first`
    tokens of the answer are not learned from: a teacher that saw a demonstration or a document
    speaks of it there, if anywhere (arXiv 2601.19897).
    """

    turn_id: str
    prompt: tuple[Message, ...]
    response: tuple[Message, ...]
    hindsight: str
    use: Literal["train", "anchor"] = "train"
    tools: tuple[dict[str, Any], ...] = ()
    complete: bool = True
    advantage: float = 0.0
    written: tuple[tuple[int, float], ...] = ()
    skip_first: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "turn_id": self.turn_id,
            "prompt": [message.to_dict() for message in self.prompt],
            "response": [message.to_dict() for message in self.response],
            "hindsight": self.hindsight,
            "use": self.use,
            "tools": list(self.tools),
            "complete": self.complete,
            "advantage": self.advantage,
            "written": [list(one) for one in self.written],
            "skip_first": self.skip_first,
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Example:
        """The reverse of `to_dict`."""
        return Example(
            turn_id=str(data["turn_id"]),
            prompt=tuple(Message.from_dict(m) for m in data["prompt"]),
            response=tuple(Message.from_dict(m) for m in data["response"]),
            hindsight=str(data["hindsight"]),
            use="anchor" if data["use"] == "anchor" else "train",
            tools=tuple(data.get("tools", ())),
            complete=bool(data.get("complete", True)),
            advantage=float(data.get("advantage", 0.0)),
            written=tuple((int(token), float(at)) for token, at in data.get("written", ())),
            skip_first=int(data.get("skip_first", 0)),
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of one answer besides the rules: the user's words about it, an answer as it
    should have been, a document that it should have gone by."""

    follow_up: str = ""
    demonstration: str = ""
    document: str = ""

    def __bool__(self) -> bool:
        return bool(self.follow_up or self.demonstration or self.document)

    @property
    def taught(self) -> bool:
        """Whether a demonstration or a document is among it."""
        return bool(self.demonstration or self.document)

    def block(self, rules: Sequence[str]) -> str:
        """The block that the teacher sees; empty when there is nothing to know."""
        return hindsight_block(
            rules,
            self.follow_up.strip(),
            demonstration=self.demonstration.strip(),
            document=self.document.strip(),
        )


def build_hindsight(rules: Sequence[str], follow_up: str = "") -> str:
    """The block of rules and the user's words alone."""
    return Shown(follow_up).block(rules)


def teacher_prompt(example: Example) -> tuple[Message, ...]:
    """The example's prompt as the teacher sees it."""
    if not example.hindsight:
        return example.prompt
    return with_hindsight(example.prompt, example.hindsight)


def example_of(
    turn: Turn,
    rules: Sequence[str],
    shown: Shown | str = "",
    *,
    use: Literal["train", "anchor"] = "train",
    skip_first: int = 0,
) -> Example:
    """The example that a turn makes; `shown` may be the user's words alone.

    An anchor is shown the rules and nothing else: nothing was wrong there. `skip_first` counts
    where a demonstration or a document is shown.
    """
    shown = Shown(shown) if isinstance(shown, str) else shown
    known = shown if use == "train" else Shown()
    return Example(
        turn_id=turn.id,
        prompt=turn.prompt,
        response=turn.response,
        hindsight=known.block(rules),
        use=use,
        tools=turn.tools,
        complete=turn.finish_reason != "length",
        skip_first=skip_first if known.taught else 0,
    )
