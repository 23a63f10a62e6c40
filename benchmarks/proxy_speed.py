"""What `align-agent serve` adds in front of another server, and how many streams it holds.

`make bench-proxy`. Three processes: a loopback server that streams chunks at a steady pace (a
model would only add noise of its own), `align-agent serve` in front of it, and this one, which
asks both in turns. Then many streams are held for a minute, and the door's memory is weighed every
five seconds. At the end each question that was answered is looked for in the database. Prints a
table and one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lean_client import LeanClient
from report import report

from align_agent.paths import Home
from align_agent.store import Store

PACE = 0.05  # seconds a token: as fast as a good reader, and as many local models
TOKENS = 32
WHOLE = "".join(f"word{number} " for number in range(TOKENS))
WEIGHED = 5.0  # seconds from one look at the memory to the next
ASKED = {"model": "align", "stream": True, "max_tokens": TOKENS}


async def pace(port_file: Path) -> None:
    """The loopback upstream: `TOKENS` chunks, the first at once, then one every `PACE` seconds."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                if length:
                    await reader.readexactly(int(length[1]))
                if head.startswith(b"GET"):
                    listed = json.dumps({"object": "list", "data": [{"id": "paced"}]}).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
                    writer.write(b"content-length: %d\r\n\r\n" % len(listed) + listed)
                    continue
                await answer(writer)
        writer.close()

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n")
        began = time.monotonic()
        for number in range(TOKENS):
            say(writer, chunk({"role": "assistant", "content": f"word{number} "}, None))
            await asyncio.sleep(began + (number + 1) * PACE - time.monotonic())
        say(writer, chunk({}, "stop"))
        say(writer, b"[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


def chunk(delta: dict[str, str], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    made = {"id": "paced-1", "object": "chat.completion.chunk", "created": 0, "model": "paced"}
    return json.dumps(made | {"choices": [choice]}).encode()


def say(writer: asyncio.StreamWriter, data: bytes) -> None:
    event = b"data: " + data + b"\n\n"
    writer.write(b"%x\r\n%b\r\n" % (len(event), event))


async def ask(client: LeanClient, said: str) -> float:
    """Seconds to the first text of one answer. Raises RuntimeError unless it came whole."""
    first, texts, done = 0.0, 0, False
    began = time.perf_counter()
    async for line in client.lines(ASKED | {"messages": [{"role": "user", "content": said}]}):
        if b"word" in line:
            first = first or time.perf_counter() - began
            texts += 1
        done = done or b"[DONE]" in line
    if texts != TOKENS or not done:
        raise RuntimeError(f"{texts} of {TOKENS} tokens came")
    return first


@dataclass
class Crowd:
    """What many clients saw: seconds to the first token, the questions that were answered."""

    firsts: list[float] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    failed: int = 0


async def crowd(port: int, streams: int, seconds: float, name: str) -> Crowd:
    """So many clients who ask without a pause, each question once."""
    made = Crowd()
    until = time.monotonic() + seconds

    async def one(number: int) -> None:
        client, asked = LeanClient(port), 0
        await asyncio.sleep(number / streams * PACE * TOKENS)  # they did not all begin at once
        while time.monotonic() < until:
            asked += 1
            said = f"Question {asked} of {name}-{number}?"
            try:
                made.firsts.append(await ask(client, said))
                made.answered.append(said)
            except (RuntimeError, OSError) as error:
                print(f"failed: {error}", file=sys.stderr)
                made.failed += 1
                client.close()
        client.close()

    await asyncio.gather(*(one(number) for number in range(streams)))
    return made


def first_token(
    upstream: int, door: int, streams: int, rounds: int, answered: list[str]
) -> dict[str, Any]:
    """Both asked in turns, so that whatever else the machine does falls on both.

    `answered` gets the questions that the door answered.
    """
    found: dict[int, list[float]] = {upstream: [], door: []}
    failures = 0
    for number in range(rounds):
        for port in (upstream, door) if number % 2 else (door, upstream):
            name = f"round-{streams}-{number}"
            made = asyncio.run(crowd(port, streams, 4 * PACE * TOKENS, name))
            found[port] += made.firsts
            failures += made.failed
            if port == door:
                answered += made.answered
    direct, ours = ([1000 * s for s in found[port]] for port in (upstream, door))
    percent = [statistics.quantiles(values, n=100) for values in (direct, ours)]
    return {
        "answers through the door": len(ours),
        "direct, median ms": statistics.median(direct),
        "through the door, median ms": statistics.median(ours),
        "added, median ms": statistics.median(ours) - statistics.median(direct),
        "direct, p99 ms": percent[0][98],
        "through the door, p99 ms": percent[1][98],
        "added, p99 ms": percent[1][98] - percent[0][98],
        "failed": failures,
    }


def resident(process: subprocess.Popen[str]) -> float:
    """Megabytes of main memory that a process has."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def spent(process: subprocess.Popen[str]) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hold(
    process: subprocess.Popen[str], door: int, streams: int, seconds: float, answered: list[str]
) -> dict[str, Any]:
    """Many streams at once: what failed, and the server's memory over the time."""

    async def both() -> tuple[Crowd, list[float]]:
        sizes: list[float] = []

        async def weigh() -> None:
            while True:
                sizes.append(resident(process))
                await asyncio.sleep(WEIGHED)

        scales = asyncio.create_task(weigh())
        made = await crowd(door, streams, seconds, "held")
        scales.cancel()
        return made, sizes

    before, began = spent(process), time.monotonic()
    made, sizes = asyncio.run(both())
    cores = (spent(process) - before) / (time.monotonic() - began)
    answered += made.answered
    firsts, third = made.firsts, len(sizes) // 3
    return {
        "streams": streams,
        "seconds": seconds,
        "answers": len(firsts),
        "failed": made.failed,
        "first token, median ms": 1000 * statistics.median(firsts),
        "first token, p99 ms": 1000 * statistics.quantiles(firsts, n=100)[98],
        "processor, cores": cores,
        f"memory every {WEIGHED:g} s, MB": [round(size, 1) for size in sizes],
        "memory at the end, MB": sizes[-1],
        "growth in the first third, MB": sizes[third] - sizes[0],
        "growth in the last third, MB": sizes[-1] - sizes[-1 - third],
    }


def in_the_store(database: Path, answered: list[str]) -> dict[str, int]:
    """Each answered question against the turns that were stored."""
    with Store.open(database) as store:
        turns = [turn for turn in store.turns.all_main() if "warm-" not in turn.user_text]
    stored, wanted = Counter(turn.user_text for turn in turns), Counter(answered)
    return {
        "answered": len(answered),
        "stored": len(turns),
        "lost": (wanted - stored).total(),
        "stored though not answered, or twice": (stored - wanted).total(),
        "with another answer than was given": sum(turn.answer != WHOLE for turn in turns),
    }


def start_upstream(folder: Path) -> tuple[subprocess.Popen[str], int]:
    port_file = folder / "port"
    command = [sys.executable, __file__, "--upstream", str(port_file)]
    process = subprocess.Popen(command, text=True)
    while not port_file.exists() or not port_file.read_text():
        time.sleep(0.02)
    return process, int(port_file.read_text())


def start_door(home: Path, upstream: int) -> tuple[subprocess.Popen[str], int]:
    home.mkdir(mode=0o700)
    url = f"http://127.0.0.1:{upstream}/v1"
    (home / "config.yaml").write_text(f"upstream:\n  base_url: {url}\n  model: paced\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "align_agent", "serve", "--port", "0"],
        env=os.environ | {"ALIGN_AGENT_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"serving on http://127\.0\.0\.1:(\d+)", line):
            return process, int(found[1])
    raise SystemExit("align-agent serve did not start")


def measure(held: int, seconds: float, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        upstream, upstream_port = start_upstream(Path(folder))
        home = Path(folder) / "home"
        process, door = start_door(home, upstream_port)
        answered: list[str] = []
        try:
            asyncio.run(crowd(door, 4, 1.0, "warm"))
            figures: dict[str, Any] = {
                f"first token, {streams} streams": first_token(
                    upstream_port, door, streams, rounds, answered
                )
                for streams in (1, 50)
            }
            figures["held"] = hold(process, door, held, seconds, answered)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)
            upstream.kill()
            upstream.wait()
        figures["turns"] = in_the_store(Home(home).database, answered)
    return figures


def rows_of(figures: dict[str, Any]) -> list[tuple[object, ...]]:
    """The figures beside what they are compared with, and the aims."""
    rows: list[tuple[object, ...]] = []
    for name in (name for name in figures if name.startswith("first token")):
        found = figures[name]
        for what, aim in (("median", 2), ("p99", 10)):
            ours, direct = found[f"through the door, {what} ms"], found[f"direct, {what} ms"]
            added = found[f"added, {what} ms"]
            shown = f"{ours - direct:+.2f} ms"
            rows.append((f"{name}, {what} ms", ours, f"{direct:.3g}, called directly", shown,
                         f"+{aim}", added <= aim))  # fmt: skip
        rows.append((f"{name}: failed", found["failed"], "", "", 0, found["failed"] == 0))
    held = figures["held"]
    name = f"{held['streams']} streams for {held['seconds']:g} s"
    rows.append((f"{name}: failed", held["failed"], "", "", 0, held["failed"] == 0))
    rows += [(f"{name}: {what}", *row) for what, *row in held_rows(held)]
    turns = figures["turns"]
    rows.append(("questions answered, not stored", turns["lost"],
                 f"{turns['answered']:,} answered", "", 0, turns["lost"] == 0))  # fmt: skip
    for what in ("stored though not answered, or twice", "with another answer than was given"):
        rows.append((f"turns {what}", turns[what], f"{turns['stored']:,} stored", "", 0,
                     turns[what] == 0))  # fmt: skip
    return rows


def held_rows(held: dict[str, Any]) -> list[tuple[object, ...]]:
    sizes = held[f"memory every {WEIGHED:g} s, MB"]
    first, last = (held[f"growth in the {which} third, MB"] for which in ("first", "last"))
    return [
        (f"memory every {WEIGHED:g} s, MB", ", ".join(f"{size:.0f}" for size in sizes), "", "", "",
         ""),
        ("memory, growth in the last third, MB", last, f"{first:+.1f}, in the first third",
         f"{last / sizes[-1]:+.1%} of it", "steady: 2%", last < 0.02 * sizes[-1]),
        ("first token, median ms", held["first token, median ms"], "", "", "", ""),
        ("first token, p99 ms", held["first token, p99 ms"], "", "", "", ""),
        ("processor, share of one core", held["processor, cores"], "", "", "", ""),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--upstream", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=4)
    chosen = parser.parse_args()
    if chosen.upstream:
        asyncio.run(pace(chosen.upstream))
    figures = measure(chosen.streams, chosen.seconds, chosen.rounds)
    report("proxy", rows_of(figures), figures, "uvicorn", "uvloop", "aiohttp")


if __name__ == "__main__":
    main()
