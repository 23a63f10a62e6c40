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
    where these are known and those of the adapter that the training starts from.
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
        )


def build_hindsight(rules: Sequence[str], follow_up: str = "") -> str:
    """The block that the teacher sees; empty when there is nothing to know."""
    follow_up = follow_up.strip()
    return hindsight_block(rules, follow_up) if rules or follow_up else ""


def teacher_prompt(example: Example) -> tuple[Message, ...]:
    """The example's prompt as the teacher sees it."""
    if not example.hindsight:
        return example.prompt
    return with_hindsight(example.prompt, example.hindsight)


def example_of(
    turn: Turn,
    rules: Sequence[str],
    follow_up: str = "",
    *,
    use: Literal["train", "anchor"] = "train",
) -> Example:
    """The example that a turn makes. An anchor never sees a follow-up: nothing was wrong there."""
    return Example(
        turn_id=turn.id,
        prompt=turn.prompt,
        response=turn.response,
        hindsight=build_hindsight(rules, follow_up if use == "train" else ""),
        use=use,
        tools=turn.tools,
        complete=turn.finish_reason != "length",
    )
