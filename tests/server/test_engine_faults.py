"""What goes wrong in the engine of this process is told to whoever asks."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import torch

from align_agent.models.lane import Lane, Row

HELLO = [{"role": "user", "content": "Hello!"}]


@pytest.fixture
def out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third step of an answer finds no memory."""
    step = Lane.step

    def full(lane: Lane) -> list[Row]:
        if lane.rows[0].step == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(lane)

    monkeypatch.setattr(Lane, "step", full)


@pytest.mark.parametrize(
    ("path", "body", "last"),
    [
        ("chat/completions", {"messages": HELLO}, 'data: {"error": {'),
        ("responses", {"input": "Hello!"}, "event: response.failed"),
        ("messages", {"messages": HELLO, "max_tokens": 100}, "event: error"),
    ],
)
def test_a_stream_without_memory_ends_with_its_apis_own_error(
    server: Any, out_of_memory: None, path: str, body: dict[str, Any], last: str
) -> None:
    answer = httpx.post(f"{server.url}/v1/{path}", json=body | {"stream": True})
    assert answer.status_code == 200
    end = answer.text.strip().split("\n\n")[-1]
    assert end.startswith(last)
    assert "OutOfMemoryError" in end and "server.max_batch" in end
    assert server.service.counts["failed_streams"] == 1


def test_a_server_whose_engine_has_stopped_is_not_ready(server: Any) -> None:
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    server.service.backend.engine.close()
    answer = httpx.get(f"{server.url}/readyz")
    assert answer.status_code == 503
    assert "the engine has stopped" in answer.json()["error"]["message"]
