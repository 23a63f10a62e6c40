"""The wording of what a model is shown: the rules block and the hindsight block.

One home for both, because the pocket model is trained on exactly these texts and distillation
shows exactly these texts. *What* goes in is decided in `distill/hindsight.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from align_agent.records import Message

RULES_HEADER = "The user's rules:"
HINDSIGHT_OPEN = "<hindsight>"
HINDSIGHT_CLOSE = "</hindsight>"
HINDSIGHT_LEAD = "Known only after the answer. Use it to answer better; never mention it."
FOLLOW_UP_HEADER = "The user's next message:"
DEMONSTRATION_HEADER = "A good answer:"


def rules_block(rules: Sequence[str]) -> str:
    """The rules as a model reads them in a system prompt: a header and one line a rule."""
    return "\n".join([RULES_HEADER, *(f"- {rule}" for rule in rules)])


def hindsight_block(
    rules: Sequence[str], follow_up: str = "", *, demonstration: str = "", document: str = ""
) -> str:
    """What the teacher sees and the student does not: the rules, the user's next message, an answer
    as it should be, a document to go by. Empty when nothing of it is known."""
    if not (rules or follow_up or demonstration or document):
        return ""
    lines = [HINDSIGHT_OPEN, HINDSIGHT_LEAD]
    if document:
        lines.append(document)
    if rules:
        lines.append(rules_block(rules))
    if follow_up:
        lines += [FOLLOW_UP_HEADER, follow_up]
    if demonstration:
        lines += [DEMONSTRATION_HEADER, demonstration]
    return "\n".join([*lines, HINDSIGHT_CLOSE])


def with_hindsight(prompt: Sequence[Message], block: str) -> tuple[Message, ...]:
    """The prompt with the block at the end of its last user message.

    Raises ValueError when the prompt has no user message.
    """
    for index in range(len(prompt) - 1, -1, -1):
        if prompt[index].role == "user":
            message = prompt[index]
            joined = replace(message, content=f"{message.content}\n\n{block}")
            return (*prompt[:index], joined, *prompt[index + 1 :])
    raise ValueError("the prompt has no user message")


def with_rules(prompt: Sequence[Message], rules: Sequence[str]) -> tuple[Message, ...]:
    """The prompt with the rules in its system message, which is made where there is none."""
    if not rules:
        return tuple(prompt)
    block = rules_block(rules)
    if prompt and prompt[0].role == "system":
        first = prompt[0]
        content = f"{first.content}\n\n{block}" if first.content else block
        return (replace(first, content=content), *prompt[1:])
    return (Message("system", block), *prompt)


def with_document(prompt: Sequence[Message], document: str) -> tuple[Message, ...]:
    """The prompt with a document at the end of its system message, which is made where there is
    none."""
    if not document:
        return tuple(prompt)
    if prompt and prompt[0].role == "system":
        first = prompt[0]
        content = f"{first.content}\n\n{document}" if first.content else document
        return (replace(first, content=content), *prompt[1:])
    return (Message("system", document), *prompt)


def without_rules(prompt: Sequence[Message]) -> tuple[Message, ...]:
    """The prompt without the block of rules in its system message: the reverse of `with_rules`."""
    if not prompt or prompt[0].role != "system" or RULES_HEADER not in prompt[0].content:
        return tuple(prompt)
    kept: list[str] = []
    within = False
    for line in prompt[0].content.split("\n"):
        within = line == RULES_HEADER or (within and line.startswith("- "))
        if not within:
            kept.append(line)
    content = "\n".join(kept).strip("\n")
    rest = tuple(prompt[1:])
    return (replace(prompt[0], content=content), *rest) if content else rest


# The agent's tools as the model is shown them (OpenAI's format); the code behind them is in
# `agent/tools.py`, and the pocket model is trained on exactly this text.
TOOL_SCHEMAS: tuple[dict[str, Any], ...] = (
    {
        "type": "function",
        "function": {
            "name": "calculator",
            "description": "Work out an arithmetic expression.",
            "parameters": {
                "type": "object",
                "properties": {"expression": {"type": "string"}},
                "required": ["expression"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "clock",
            "description": "Tell the date and time.",
            "parameters": {"type": "object", "properties": {}},
        },
    },
)
