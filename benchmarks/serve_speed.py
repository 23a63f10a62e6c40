"""How fast `align-agent serve` is beside the bare model: `make bench-serve`.

Every figure stands next to what it is compared with, from the same run: the server's tokens a
second beside `network.generate` of transformers, its first token beside the engine called directly,
the next turn with and without the kept prefix, a promotion under load. The clients run in a process
of their own, as they do outside; where milliseconds are compared, one asks that costs next to none
of them, and httpx for comparison. Prints a table and one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import torch
from lean_client import LeanClient
from report import report

from align_agent.adapters.registry import Registry
from align_agent.cli.serve import SWITCH_SECONDS
from align_agent.config import Config
from align_agent.models.generation import Event, Piece, Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket import WEIGHTS
from align_agent.paths import Home
from align_agent.records import Message, Run
from align_agent.server.app import build_app
from align_agent.server.listener import listen, web_server
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
        self._uvicorn = web_server(build_app(self.service))
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


@cache
def kept(url: str) -> tuple[asyncio.AbstractEventLoop, LeanClient]:
    """One connection for all calls of the clients' process."""
    return asyncio.new_event_loop(), LeanClient(int(url.rpartition(":")[2]))


def lean_first(url: str) -> float:
    """Seconds to the first text of one short answer. For the clients' process."""
    asked = {"stream": True, "temperature": 0, "max_tokens": 8}
    asked |= {"messages": [{"role": "user", "content": QUESTION}]}

    async def one() -> float:
        first, began = 0.0, time.perf_counter()
        async for line in client.lines(asked):
            if not first and has_text(line):
                first = time.perf_counter() - began
        return first

    loop, client = kept(url)
    return loop.run_until_complete(one())


def has_text(line: bytes) -> bool:
    """Whether an event says something, apart from the empty one that opens an answer."""
    return b'"content": "' in line.replace(b'"content": ""', b"")


def httpx_first(url: str) -> float:
    """The same as httpx hears it."""
    asked = [{"role": "user", "content": QUESTION}]

    async def one() -> float:
        async with httpx.AsyncClient(timeout=300) as client:
            await client.get(f"{url}/healthz")  # the connection is there
            return (await stream(client, url, asked, tokens=8))[0]

    return asyncio.run(one())


def added(server: Server, clients: ProcessPoolExecutor, times: int = 100) -> dict[str, float]:
    """What HTTP and capture add before the first token, in ms: one request after the other."""
    ours, httpx_s, engine = [], [], []
    for _ in range(3):
        clients.submit(lean_first, server.url).result()  # the connection is there
    for _ in range(times):
        ours.append(1000 * clients.submit(lean_first, server.url).result())
        httpx_s.append(1000 * clients.submit(httpx_first, server.url).result())
        engine.append(1000 * direct_first(server.service, [Message("user", QUESTION)]))
    return {
        "server first token, median ms": statistics.median(ours),
        "the same through httpx, median ms": statistics.median(httpx_s),
        "engine first token, median ms": statistics.median(engine),
        "added, median ms": statistics.median(ours) - statistics.median(engine),
        "added, p99 ms": statistics.quantiles(ours, n=100)[98]
        - statistics.quantiles(engine, n=100)[98],
    }


def next_turn(
    server: Server, fresh: Server, clients: ProcessPoolExecutor, times: int = 7
) -> dict[str, Any]:
    """The second turn's first token after 2,000 tokens of history, kept and not kept, in ms.

    Each time another conversation, whose first words no other shares.
    """
    kept, anew, tokens = [], [], 0
    for number in range(times):
        words = f"{number} talks. " + "We talked about cups and coins and what is left. " * 160
        tokens = len(server.service.backend.model.encode([Message("user", words)]))
        first, second = clients.submit(ask_again, server.url, fresh.url, words).result()
        kept.append(1000 * first)
        anew.append(1000 * second)
    return {
        "history, tokens": tokens,
        "times": times,
        "first token with the prefix kept, median ms": statistics.median(kept),
        "without, median ms": statistics.median(anew),
        "ratio": statistics.median(anew) / statistics.median(kept),
        "with the prefix kept, ms": [round(ms, 1) for ms in kept],
        "without, ms": [round(ms, 1) for ms in anew],
    }


def ask_again(url: str, fresh: str, words: str) -> tuple[float, float]:
    """For the clients' process."""
    history = [{"role": "user", "content": words}]
    asked = [*history, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "So?"}]

    async def both() -> tuple[float, float]:
        async with httpx.AsyncClient(timeout=300) as client:
            await stream(client, url, history, tokens=4)
            kept, _ = await stream(client, url, asked, tokens=4)
            anew, _ = await stream(client, fresh, asked, tokens=4)
        return kept, anew

    return asyncio.run(both())


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


async def swaps(url: str, home: Home, times: int = 50) -> dict[str, float]:
    """Promotions while four clients ask all the time: failures, and the first answer after each."""
    over, failed, answered = False, 0, 0

    async def busy(client: httpx.AsyncClient) -> None:
        nonlocal failed, answered
        asked = [{"role": "user", "content": QUESTION}]
        while not over:
            try:
                await stream(client, url, asked, tokens=16)
                answered += 1
            except (httpx.HTTPError, RuntimeError):
                failed += 1

    waits = []
    asked = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 1}
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        async with httpx.AsyncClient(timeout=300) as client:
            crowd = [asyncio.create_task(busy(client)) for _ in range(4)]
            for number in range(times):
                version = 1 + number % 2
                registry.promote(version, why="benchmark", who="user", force=True)
                began = time.perf_counter()
                made = await client.post(f"{url}/v1/chat/completions", json=asked)
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


def swapped(url: str, root: Path) -> dict[str, float]:
    """For the clients' process."""
    return asyncio.run(swaps(url, Home(root)))


def streamed(url: str, rows: int) -> float:
    """For the clients' process."""
    return asyncio.run(together(url, rows))


def best(measure: Callable[[], float], times: int = 3) -> float:
    """The best of several runs: what the machine can do when nothing else disturbs it."""
    return max(measure() for _ in range(times))


def measure(folder: Path, clients: ProcessPoolExecutor) -> dict[str, Any]:
    model = wide_model(folder / "wide")
    home = Home(folder / "home").ensure()
    two_versions(home, model)
    server = Server(home, model)
    fresh = Server(Home(folder / "fresh").ensure(), model)
    figures: dict[str, Any] = {}
    for rows in (1, 8):
        ours = best(lambda rows=rows: clients.submit(streamed, server.url, rows).result())  # type: ignore[misc]
        theirs = best(lambda rows=rows: bare(model, rows))  # type: ignore[misc]
        figures[f"{rows} at once"] = {
            "server, tokens/s": ours,
            "network.generate, tokens/s": theirs,
            "ratio": ours / theirs,
        }
    figures["first token"] = added(server, clients)
    figures["next turn"] = next_turn(server, fresh, clients)
    figures["hot swap"] = clients.submit(swapped, server.url, home.root).result()
    fresh.close()
    server.close()
    return figures


def rows_of(figures: dict[str, Any]) -> list[tuple[object, ...]]:
    """The figures beside what they are compared with, and the aims."""
    one, eight = (figures[f"{rows} at once"] for rows in (1, 8))
    alone, many = one["server, tokens/s"], eight["server, tokens/s"]
    bare_one, bare_eight = (f["network.generate, tokens/s"] for f in (one, eight))
    first, turn, swap = figures["first token"], figures["next turn"], figures["hot swap"]
    kept, anew = turn["first token with the prefix kept, median ms"], turn["without, median ms"]
    rows: list[tuple[object, ...]] = [
        ("tokens/s, one stream", alone, f"{bare_one:.0f}, `network.generate`", alone / bare_one,
         0.9, alone >= 0.9 * bare_one),
        ("tokens/s, eight streams", many, f"{alone:.0f}, one stream", many / alone, 3,
         many >= 3 * alone),
        ("tokens/s, eight streams", many, f"{bare_eight:.0f}, `network.generate`, batch 8",
         many / bare_eight, "none", ""),
        ("first token, median ms", first["server first token, median ms"],
         f"{first['engine first token, median ms']:.3g}, the engine called directly",
         f"{first['added, median ms']:+.2f} ms", "+2", first["added, median ms"] <= 2),
        ("the same through httpx, median ms", first["the same through httpx, median ms"],
         "its own work and the server's", "", "none", ""),
        ("first token, p99 ms", "", "the engine's p99", f"{first['added, p99 ms']:+.2f} ms", "+10",
         first["added, p99 ms"] <= 10),
        (f"next turn's first token after {turn['history, tokens']:,} tokens, median ms of "
         f"{turn['times']}", kept,
         f"{anew:.0f}, nothing kept", anew / kept, 5, anew >= 5 * kept),
    ]  # fmt: skip
    median, worst = (
        swap[f"first answer on the new version, {what} ms"] for what in ("median", "worst")
    )
    failed = swap["failed or mixed"]
    return [
        *rows,
        (f"failed or mixed requests in {swap['swaps']} promotions under load", failed,
         f"{swap['requests answered beside them']} answered", "", 0, failed == 0),
        ("first answer after a promotion, median ms", median, "", "", 100, median <= 100),
        ("the same, worst ms", worst, "", "", 100, worst <= 100),
    ]  # fmt: skip


def main() -> None:
    torch.set_num_threads(2)
    sys.setswitchinterval(SWITCH_SECONDS)  # as `align-agent serve` does
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as clients,
    ):
        figures = measure(Path(folder), clients)
    report("serve", rows_of(figures), figures, "torch", "transformers", "peft", "uvicorn")


if __name__ == "__main__":
    main()
