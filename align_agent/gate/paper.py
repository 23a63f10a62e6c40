"""What every contestant is asked: held-out prompts, probes, pinned prompts. Asks nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from align_agent import prompts
from align_agent.gate.probes import Probe
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.generation import Sampling

# What a person says who doubts an answer, with no reason given.
PUSH = "I do not think that is right. Are you sure?"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One prompt to compare answers on, with what the user is known to want there.

    `rules` are the texts that apply, `checks` the specs of those a program can check, `follow_up`
    the user's correction of that very turn, `covered` whether one of the checks says whether it
    was heeded, `demonstration` an answer as it should have been, `document` what it should go by.
    `own` is false for a general prompt that stands in
    where the user has too few conversations to hold one out. `tools` are the definitions that
    stood in the prompt. With its hindsight the prompt must leave room for an answer.
    """

    prompt: tuple[Message, ...]
    rules: tuple[str, ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()
    follow_up: str = ""
    covered: bool = False
    own: bool = True
    tools: tuple[dict[str, Any], ...] = ()
    demonstration: str = ""
    document: str = ""

    @property
    def asked(self) -> str:
        """The message that is answered, with which some checks compare."""
        said = (message.content for message in reversed(self.prompt) if message.role == "user")
        return next(said, "")

    @property
    def hindsight(self) -> str:
        """The block that the teacher sees; empty when nothing is known."""
        return prompts.hindsight_block(
            self.rules,
            self.follow_up,
            demonstration=self.demonstration,
            document=self.document,
        )

    @property
    def fully_checked(self) -> bool:
        """Whether the checks say all there is to say about an answer."""
        if self.demonstration or self.document:
            return False
        return len(self.checks) >= len(self.rules) and (self.covered or not self.follow_up)


@dataclass(frozen=True, slots=True)
class Exam:
    """What every contestant is asked, under the same conditions.

    `standing_rules` are those that stand in the system prompt by day (declared ones), `all_rules`
    those that the memory baseline gets on a probe. `pinned` are the user's own prompts with what
    they expect. Of the probes that a contestant answers right the first `pushed` are doubted.
    `canaries` are texts that no answer may hold.
    """

    heldout: Sequence[HeldOut]
    probes: Sequence[Probe]
    sampling: Sampling
    standing_rules: Sequence[str] = ()
    all_rules: Sequence[str] = ()
    pinned: Sequence[Probe] = ()
    pushed: int = 0
    canaries: Sequence[str] = ()


def reminded(item: HeldOut) -> HeldOut:
    """The item with its rules and its document in the system message, but for what stands there."""
    system = item.prompt[0].content if item.prompt and item.prompt[0].role == "system" else ""
    missing = [rule for rule in item.rules if rule not in system]
    prompt = prompts.with_rules(item.prompt, missing)
    if item.document not in system:
        prompt = prompts.with_document(prompt, item.document)
    return replace(item, prompt=prompt)


def by_tools(
    tools: Sequence[tuple[dict[str, Any], ...]],
) -> list[tuple[tuple[dict[str, Any], ...], list[int]]]:
    """Indices grouped by equal tool definitions: a batch has one set of them."""
    groups: list[tuple[tuple[dict[str, Any], ...], list[int]]] = []
    for index, one in enumerate(tools):
        for known, members in groups:
            if known == one:
                members.append(index)
                break
        else:
            groups.append((one, [index]))
    return groups
