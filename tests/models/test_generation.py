from __future__ import annotations

from typing import Any

import pytest

from align_agent.errors import UsageError
from align_agent.models.generation import Generation, Sampling
from align_agent.records import Message, ToolCall


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_new_tokens": 0},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"stop": ("",)},
    ],
)
def test_sampling_that_cannot_be_drawn_is_refused_with_a_hint(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        Sampling(**wrong)
    assert caught.value.hint


def test_a_generation_becomes_the_assistants_message() -> None:
    call = ToolCall("call-1", "clock", {})
    generation = Generation("Let me see.", (5, 2), (-0.1, -0.2), "tool_calls", (call,))
    assert generation.message() == Message("assistant", "Let me see.", tool_calls=(call,))
