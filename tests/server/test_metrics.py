"""What Prometheus is told."""

from __future__ import annotations

from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

ASKED = {"model": "align", "messages": [{"role": "user", "content": "Hello!"}]}


def metrics(server: Any) -> dict[tuple[str, str], float]:
    text = httpx.get(f"{server.url}/metrics").raise_for_status().text
    return {
        (sample.name, sample.labels.get("what") or sample.labels.get("state") or ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_an_answer_is_counted_and_timed(server: Any) -> None:
    httpx.post(f"{server.url}/v1/chat/completions", json=ASKED).raise_for_status()
    server.service.scribe.flush()
    found = metrics(server)
    assert found["align_answers_total", "answered"] == 1
    assert found["align_tokens_total", "answer"] > 0
    assert found["align_turns_total", "recorded"] == 1
    assert found["align_first_token_seconds_count", ""] == 1
    assert found["align_answer_seconds_count", ""] == 1
    assert found["align_load", "running"] == 0


def test_a_refused_context_is_timed_but_has_no_first_token(server: Any) -> None:
    long = ASKED | {"messages": [{"role": "user", "content": "word " * 5_000}]}
    assert httpx.post(f"{server.url}/v1/chat/completions", json=long).status_code == 400
    found = metrics(server)
    assert found["align_first_token_seconds_count", ""] == 0
    assert found["align_answer_seconds_count", ""] == 1
