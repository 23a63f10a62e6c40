"""`GET /metrics`: every counter of the server in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from align_agent.server.service import Service

_TOKENS = ("prompt_tokens", "reused_tokens", "answer_tokens")


def exposition(service: Service) -> tuple[bytes, str]:
    """The metrics as text, and its content type."""
    registry = CollectorRegistry()
    registry.register(_Counts(service))
    return generate_latest(service.meter.registry) + generate_latest(registry), CONTENT_TYPE_LATEST


class _Counts:
    """Reads the counters where they are kept, at the moment of the scrape."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        service = self._service
        engine = dict(service.backend.counts)
        tokens = {name.removesuffix("_tokens"): engine.pop(name, 0) for name in _TOKENS}
        yield _counter("align_tokens", "Tokens of prompts, reused ones, written ones.", tokens)
        yield _counter("align_answers", "Answers, by how they ended.", engine)
        failed = {"failed": service.counts["failed_streams"]}
        yield _counter("align_streams", "Streams that ended with an error.", failed)
        yield _counter("align_exchanges", "What was heard for the log.", service.scribe.counts)
        turns = service.scribe.recorder.stats
        pending = turns.pop("pending")
        yield _counter("align_turns", "Turns, by what became of them.", turns)
        running, waiting = service.backend.load()
        load = GaugeMetricFamily("align_load", "What is under way or waits.", labels=["state"])
        load.add_metric(["running"], running)
        load.add_metric(["waiting"], waiting)
        load.add_metric(["storing"], pending)
        yield load


def _counter(name: str, text: str, counts: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=["what"])
    for what, value in sorted(counts.items()):
        family.add_metric([what], value)
    return family
