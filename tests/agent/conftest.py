"""A model that knows a few of the agent's own prompts by heart, and sessions with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from align_agent.agent.session import AgentSession, first_prompt
from align_agent.config import Config
from align_agent.models.local import LocalModel
from align_agent.paths import Home
from align_agent.records import Message, ToolCall

MakeSession = Callable[..., AgentSession]


@pytest.fixture
def config() -> Config:
    """Greedy and short: the same answers every time."""
    plain = Config()
    return replace(plain, model=replace(plain.model, temperature=0.0, max_new_tokens=96))


@pytest.fixture(scope="session")
def scholar(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """The tiny model after it learned the agent's prompts for "7*6?", "9/0?" and "Hello!".

    It calls the calculator for the first two and says what came back; it greets for the third.
    """
    folder = tmp_path_factory.mktemp("scholar")
    shutil.copytree(tiny_model_dir, folder, dirs_exist_ok=True)
    model = LocalModel.load(str(folder), device="cpu")
    by_heart = []
    for question, expression, result, said in (
        ("7*6?", "7*6", "42", "It is 42."),
        ("9/0?", "9/0", "error: division by zero", "Not possible."),
    ):
        prompt, tools = first_prompt(Config(), model, question)
        call = ToolCall("c1", "calculator", {"expression": expression})
        response = [
            Message("assistant", "", (call,)),
            Message("tool", result, tool_call_id="c1"),
            Message("assistant", said),
        ]
        by_heart.append(model.encode_turn(prompt, response, tools))
    prompt, tools = first_prompt(Config(), model, "Hello!")
    by_heart.append(model.encode_turn(prompt, [Message("assistant", "Hello there.")], tools))
    _learn(model, by_heart)
    model.network(None).save_pretrained(folder)
    return LocalModel.load(str(folder), device="cpu")


def _learn(model: LocalModel, turns: list[tuple[list[int], list[bool]]]) -> None:
    network = model.network(None).requires_grad_(True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(250):
        loss = torch.zeros(())
        for ids, mask in turns:
            logits = network(torch.tensor([ids])).logits[0, :-1]
            learned = torch.tensor(mask[1:])
            targets = torch.tensor(ids[1:])[learned]
            loss = loss + torch.nn.functional.cross_entropy(logits[learned], targets)
        if loss.item() < 0.02:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").ensure()


@pytest.fixture
def make_session(home: Home, config: Config, scholar: LocalModel) -> Iterator[MakeSession]:
    """Opens sessions, and closes them after the test."""
    opened: list[AgentSession] = []

    def make(**facts: object) -> AgentSession:
        given = {"model": scholar, **facts}
        settings = given.pop("config", config)
        opened.append(AgentSession.open(home, settings, **given))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for session in opened:
        session.close()
