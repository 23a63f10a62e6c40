"""A running night's progress as server-sent events: one whenever something moved, then the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from align_agent.night.lock import as_it_is
from align_agent.server.service import Service
from align_agent.web.desk import seated
from align_agent.web.pages.nights import live

SECONDS = 1.0
SILENCE = 15.0  # after it a comment is sent: a connection that is dead is then noticed


async def follow(request: Request) -> Response:
    """`/night/live?id=`: an event is the JSON of `live` with the latest figures."""
    service: Service = request.app.state.service
    run_id = request.query_params.get("id", "")
    first = await asyncio.to_thread(_look, service, run_id)  # raises NotFound before the stream
    return StreamingResponse(
        _events(service, run_id, first),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _events(service: Service, run_id: str, found: dict[str, Any]) -> AsyncIterator[str]:
    told: dict[str, Any] = {}
    silent = 0.0
    while True:
        if found != told:
            yield f"data: {json.dumps(found)}\n\n"
            told, silent = found, 0.0
        if found["status"] != "running":
            yield "event: end\ndata: {}\n\n"
            return
        await asyncio.sleep(SECONDS)
        silent += SECONDS
        if silent >= SILENCE:
            yield ": still here\n\n"
            silent = 0.0
        found = await asyncio.to_thread(_look, service, run_id)


def _look(service: Service, run_id: str) -> dict[str, Any]:
    with seated(service.home, service.config, {}) as desk:
        run = as_it_is(desk.store.runs.get(run_id), desk.home)
        return {**live(run), "figures": desk.store.looks.last_metrics(run.id)}
