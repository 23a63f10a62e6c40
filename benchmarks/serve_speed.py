"""How fast `align-agent serve` is beside the bare model: `make bench-serve`.

Every figure stands next to what it is compared with, from the same run: the server's tokens a
second beside `network.generate` of transformers, its first token beside the engine called directly,
the next turn with and without the kept prefix, a promotion under load. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import platform
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import torch
import uvicorn

from align_agent.adapters.registry import Registry
from align_agent.config import Config
from align_agent.models.generation import Event, Piece, Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket import WEIGHTS
from align_agent.paths import Home
from align_agent.records import Message, Run
from align_agent.server.app import build_app
from align_agent.server.listener import listen
from align_agent.server.service import Service
from align_agent.store import Store

TOKENS = 128
QUESTION = "Ida has 7 cups and gets 5 more. How many cups does Ida have now?"


def wide_model(folder: Path) -> LocalModel:
    """The pocket model with room for 8,192 tokens: for timing, not for its answers."""
    shutil.copytree(WEIGHTS, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    model = LocalModel.load(str(folder), device="cpu")
    # Nothing ends an answer early, so that every one has the same length.
    model.eos_ids = frozenset({-1})
    return model


class Server:
    """A real server on a free loopback port."""

    def __init__(self, home: Home, model: LocalModel) -> None:
        config = replace(Config(), model=replace(Config().model, base=model.base))
        self.service = Service.open(home, config, model)
        listener = listen("127.0.0.1", 0)
        self._uvicorn = uvicorn.Server(uvicorn.Config(build_app(self.service), log_config=None))
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [listener]})
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def close(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join()
        self.service.close()


def bare(model: LocalModel, rows: int) -> float:
    """Tokens a second of transformers' own `generate`, greedy, `rows` at once."""
    ids = model.encode([Message("user", QUESTION)])
    batch = torch.tensor([ids] * rows)
    began = time.perf_counter()
    with torch.inference_mode():
        model.network(None).generate(
            batch,
            attention_mask=torch.ones_like(batch),
            max_new_tokens=TOKENS,
            min_new_tokens=TOKENS,
            do_sample=False,
            pad_token_id=0,
        )
    return rows * TOKENS / (time.perf_counter() - began)


async def stream(
    client: httpx.AsyncClient, url: str, messages: Sequence[dict[str, str]], tokens: int = TOKENS
) -> tuple[float, float]:
    """(seconds to the first text, seconds to the end) of one streamed answer."""
    body = {"messages": list(messages), "stream": True, "temperature": 0, "max_tokens": tokens}
    began, first = time.perf_counter(), 0.0
    async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if not first and '"content": "' in line and '"content": ""' not in line:
                first = time.perf_counter() - began
            if '"error"' in line:
                raise RuntimeError(line)
    return first, time.perf_counter() - began


async def together(url: str, rows: int) -> float:
    """Tokens a second of the server over `rows` streams at once."""
    asked = [{"role": "user", "content": QUESTION}]
    async with httpx.AsyncClient(timeout=300) as client:
        began = time.perf_counter()
        await asyncio.gather(*(stream(client, url, asked) for _ in range(rows)))
        return rows * TOKENS / (time.perf_counter() - began)


def direct_first(service: Service, messages: Sequence[Message]) -> float:
    """Seconds to the first text from the engine itself, with no HTTP and no capture."""
    came, over = threading.Event(), threading.Event()

    def deliver(event: Event) -> None:
        (came if isinstance(event, Piece) else over).set()

    began = time.perf_counter()
    service.backend.engine.submit(
        messages, deliver, sampling=Sampling(max_new_tokens=8, temperature=0.0)
    )
    came.wait()
    passed = time.perf_counter() - began
    over.wait()
    return passed


async def added(server: Server, times: int = 200) -> dict[str, float]:
    """What HTTP and capture add before the first token, in ms: one request after the other."""
    asked = [{"role": "user", "content": QUESTION}]
    ours, engine = [], []
    async with httpx.AsyncClient(timeout=300) as client:
        for _ in range(times):
            first, _ = await stream(client, server.url, asked, tokens=8)
            ours.append(1000 * first)
            direct = await asyncio.to_thread(
                direct_first, server.service, [Message("user", QUESTION)]
            )
            engine.append(1000 * direct)
    return {
        "server first token, median ms": statistics.median(ours),
        "engine first token, median ms": statistics.median(engine),
        "added, median ms": statistics.median(ours) - statistics.median(engine),
        "added, p99 ms": statistics.quantiles(ours, n=100)[98]
        - statistics.quantiles(engine, n=100)[98],
    }


async def next_turn(server: Server, fresh: Server) -> dict[str, float]:
    """The second turn's first token after 2,000 tokens of history, kept and not kept, in ms."""
    words = "We talked about cups and coins and what is left of them. " * 160
    history = [{"role": "user", "content": words}]
    asked = [*history, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "So?"}]
    tokens = len(server.service.backend.model.encode([Message("user", words)]))
    async with httpx.AsyncClient(timeout=300) as client:
        await stream(client, server.url, history, tokens=4)
        kept, _ = await stream(client, server.url, asked, tokens=4)
        anew, _ = await stream(client, fresh.url, asked, tokens=4)
    return {
        "history, tokens": tokens,
        "first token with the prefix kept, ms": 1000 * kept,
        "without, ms": 1000 * anew,
        "ratio": anew / kept,
    }


def two_versions(home: Home, model: LocalModel) -> None:
    """Two registered adapters with random weights."""
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        for number in (1, 2):
            store.runs.create(Run(f"bench-{number}", "promoted", base=model.base))
            staged = home.runs / f"bench-{number}"
            staged.mkdir(parents=True)
            model.save_lora(model.fresh_lora(8, 16.0, 0.0, number), staged)
            registry.register(
                staged, base=model.base, base_hash=model.base_hash,
                run_id=f"bench-{number}", verdict="promote",
            )  # fmt: skip


async def swaps(server: Server, times: int = 50) -> dict[str, float]:
    """Promotions while four clients ask all the time: failures, and the first answer after each."""
    over, failed, answered = False, 0, 0

    async def busy(client: httpx.AsyncClient) -> None:
        nonlocal failed, answered
        asked = [{"role": "user", "content": QUESTION}]
        while not over:
            try:
                await stream(client, server.url, asked, tokens=16)
                answered += 1
            except (httpx.HTTPError, RuntimeError):
                failed += 1

    waits = []
    asked = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 1}
    with Store.open(server.service.home.database) as store:
        registry = Registry(store, server.service.home)
        async with httpx.AsyncClient(timeout=300) as client:
            crowd = [asyncio.create_task(busy(client)) for _ in range(4)]
            for number in range(times):
                version = 1 + number % 2
                registry.promote(version, why="benchmark", who="user", force=True)
                began = time.perf_counter()
                made = await client.post(f"{server.url}/v1/chat/completions", json=asked)
                if made.json()["model"] != f"align@v{version}":
                    failed += 1
                waits.append(1000 * (time.perf_counter() - began))
                await asyncio.sleep(0.05)
            over = True
            await asyncio.gather(*crowd)
    return {
        "swaps": times,
        "requests answered beside them": answered,
        "failed or mixed": failed,
        "first answer on the new version, median ms": statistics.median(waits[2:]),
        "first answer on the new version, worst ms": max(waits[2:]),
    }


def best(measure: Callable[[], float], times: int = 3) -> float:
    """The best of several runs: what the machine can do when nothing else disturbs it."""
    return max(measure() for _ in range(times))


def main() -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        model = wide_model(Path(folder) / "wide")
        home = Home(Path(folder) / "home").ensure()
        two_versions(home, model)
        server = Server(home, model)
        fresh = Server(Home(Path(folder) / "fresh").ensure(), model)
        figures: dict[str, Any] = {}
        for rows in (1, 8):
            ours = best(lambda rows=rows: asyncio.run(together(server.url, rows)))  # type: ignore[misc]
            theirs = best(lambda rows=rows: bare(model, rows))  # type: ignore[misc]
            figures[f"{rows} at once"] = {
                "server, tokens/s": ours,
                "network.generate, tokens/s": theirs,
                "ratio": ours / theirs,
            }
        figures["first token"] = asyncio.run(added(server))
        figures["next turn"] = asyncio.run(next_turn(server, fresh))
        figures["hot swap"] = asyncio.run(swaps(server))
        fresh.close()
        server.close()
    machine = {"cpu": platform.machine(), "torch": torch.__version__, "date": str(date.today())}
    print(json.dumps({"name": "serve", "figures": figures, "machine": machine}, indent=2))


if __name__ == "__main__":
    main()
