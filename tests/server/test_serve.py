"""`align-agent serve` as a process of its own, and what the README says about it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from align_agent.store import Store

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@contextmanager
def serving(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A serving process on a free port, and its address."""
    command = [sys.executable, "-m", "align_agent", "serve", "--port", "0", *options]
    environment = os.environ | {"ALIGN_AGENT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://\S+:\d+", line):
            yield process, found[0]
            break
    process.kill()
    process.wait()
    process.stderr.close()


@pytest.fixture
def served(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with serving(home) as found:
        yield found


@pytest.fixture(scope="module")
def lasting(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """One for the tests that leave it as it is: the process, its address and its home."""
    home = tmp_path_factory.mktemp("lasting") / "home"
    with serving(home) as (process, url):
        yield process, url, home


def snippet() -> str:
    (found,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    return str(found)


@pytest.mark.uncounted
def test_the_readmes_client_gets_its_answer(
    lasting: tuple[subprocess.Popen[str], str, Path],
) -> None:
    _, url, _ = lasting
    script = snippet().replace("http://127.0.0.1:8377", url)
    assert url in script
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "12 cups" in done.stdout, done.stderr


def test_a_port_in_use_is_told_with_a_hint(
    lasting: tuple[subprocess.Popen[str], str, Path],
) -> None:
    _, url, home = lasting
    port = url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "align_agent", "serve", "--port", port],
        env=os.environ | {"ALIGN_AGENT_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "error: cannot listen" in done.stderr and "hint: " in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_told_to_end_stores_what_it_heard(
    served: tuple[subprocess.Popen[str], str], home: Path, how: signal.Signals
) -> None:
    process, url = served
    body = {"model": "align", "messages": [{"role": "user", "content": "Hello there!"}]}
    assert httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).status_code == 200
    process.send_signal(how)
    assert process.wait(30) in (0, 130, -how)
    with Store.open(home / "align.db") as store:
        assert [turn.user_text for turn in store.turns.all_main()] == ["Hello there!"]


@pytest.mark.uncounted
@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.2", "http://127.0.0.2:"),
        pytest.param(
            "::1",
            "http://[::1]:",
            marks=pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here"),
        ),
    ],
)
def test_the_door_answers_for_the_address_that_it_was_told(
    home: Path, host: str, shown: str
) -> None:
    with serving(home, "--host", host) as (_, url):
        assert url.startswith(shown)
        assert httpx.get(f"{url}/v1/models").status_code == 200
