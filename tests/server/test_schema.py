"""Whatever the OpenAPI description allows, and what it forbids, is answered without a 5xx."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from own_server import start
from schemathesis.checks import not_a_server_error

from align_agent.config import Config
from align_agent.paths import Home
from align_agent.server.service import Service

FEW = 3  # tokens: what an answer says is tested elsewhere
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@pytest.fixture(scope="module")
def described(parrot: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = Home(tmp_path_factory.mktemp("schema") / "home").ensure()
    service = Service.open(home, Config(), parrot)
    running, server, thread = start(service)
    yield schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    server.should_exit = True
    thread.join()
    service.close()


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_no_request_makes_the_server_fail(described: Any, mode: Any) -> None:
    tried = Counter[str]()
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=25,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def no_failure(case: Any) -> None:
            shorten(case.body)
            case.call_and_validate(checks=[not_a_server_error])
            tried[case.operation.label] += 1

        with suppress(Unsatisfiable):  # a route without parameters has no wrong ones
            no_failure()
    assert tried["POST /v1/chat/completions"] and len(tried) >= 10


def shorten(body: Any) -> None:
    """What an answer says is tested elsewhere."""
    if isinstance(body, dict) and ("messages" in body or "input" in body):
        for name in LIMITS:
            if isinstance(body.get(name), int):
                body[name] = min(body[name], FEW)
        body.setdefault("max_tokens", FEW)
        body.setdefault("max_output_tokens", FEW)
