"""What goes wrong in the engine of this process is told to whoever asks."""

from __future__ import annotations

from typing import Any

import httpx


def test_a_server_whose_engine_has_stopped_is_not_ready(server: Any) -> None:
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    server.service.backend.engine.close()
    answer = httpx.get(f"{server.url}/readyz")
    assert answer.status_code == 503
    assert "the engine has stopped" in answer.json()["error"]["message"]
