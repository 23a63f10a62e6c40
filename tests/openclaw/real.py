"""The real OpenClaw and the real `align-agent serve`, each a process of its own on loopback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "openclaw"
NODE, OPENCLAW = "node@24", "openclaw@2026.9.6"
TOKEN = "token-of-the-test"
STARTS = 3  # on a busy machine the gateway gives up after 5 s of its own start


def install() -> str:
    """Node and OpenClaw into the cache. Returns why that is not possible, or the empty text."""
    entry = CACHE / "node_modules" / "openclaw" / "openclaw.mjs"
    if entry.exists() and _node().exists():
        return ""
    if shutil.which("npm") is None:
        return "npm is not installed"
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "package.json").write_text('{"private": true}\n')
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    for packages in ([NODE], [OPENCLAW, "--omit=optional", "--ignore-scripts"]):
        done = subprocess.run(
            ["npm", "install", *packages, *quiet], cwd=CACHE, capture_output=True, text=True
        )
        if done.returncode:
            return f"npm cannot install {packages[0]}: {done.stderr.strip()[-300:]}"
    return ""


def _node() -> Path:
    return CACHE / "node_modules" / "node" / "bin" / "node"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return True
        except httpx.HTTPError:
            pass
        time.sleep(0.25)
    return False


@dataclass
class Align:
    """Our side: a home, the command line, and the server."""

    home: Path
    port: int

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> Any:
        """One command; its JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "align_agent", *arguments, "--json"],
            env=self.env() | (env or {}),
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def env(self) -> dict[str, str]:
        return {**os.environ, "ALIGN_AGENT_HOME": str(self.home), "PYTHONPATH": str(ROOT)}

    @contextmanager
    def serving(self, log: Path) -> Iterator[None]:
        command = [sys.executable, "-m", "align_agent", "serve", "--port", str(self.port)]
        with log.open("ab") as out:
            process = subprocess.Popen(command, env=self.env(), cwd=ROOT, stdout=out, stderr=out)
        try:
            url = f"http://127.0.0.1:{self.port}/readyz"
            assert wait_for(url, process, 180), log.read_text()
            yield
        finally:
            process.terminate()
            process.wait(60)


@dataclass
class OpenClaw:
    """Their side: a state folder, the gateway, and what a person does there."""

    folder: Path
    port: int

    @property
    def config(self) -> Path:
        return self.folder / "state" / "openclaw.json"

    def env(self) -> dict[str, str]:
        folder = str(self.folder)
        switches = ("SKIP_CHANNELS", "SKIP_CRON", "DISABLE_BONJOUR", "NO_AUTO_UPDATE", "NO_RESPAWN")
        return {
            "PATH": f"{_node().parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": folder,
            "OPENCLAW_HOME": folder,
            "OPENCLAW_STATE_DIR": str(self.config.parent),
            "OPENCLAW_CONFIG_PATH": str(self.config),
            "CI": "1",
            "DO_NOT_TRACK": "1",
            **{f"OPENCLAW_{name}": "1" for name in switches},
        }

    def configure(self) -> None:
        """A person's configuration before align-agent: no model of ours, the tests' one tool."""
        self.config.parent.mkdir(parents=True)
        data = {
            "gateway": {
                "mode": "local",
                "port": self.port,
                "bind": "loopback",
                "auth": {"mode": "token", "token": TOKEN},
                "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
                "controlUi": {"enabled": False},
            },
            "tools": {"profile": "minimal", "alsoAllow": ["calculator"], "toolSearch": False},
            "update": {"checkOnStart": False},
            "telemetry": {"enabled": False},
            "agents": {
                "defaults": {
                    "model": {"primary": "openai/gpt-5.5"},
                    "workspace": str(self.folder / "ws"),
                    "skipBootstrap": True,
                }
            },
            "plugins": {
                "load": {"paths": [str(Path(__file__).parent / "calculator-plugin")]},
                "entries": {"test-calculator": {"enabled": True}},
            },
        }
        self.config.write_text(json.dumps(data, indent=2) + "\n")
        (self.folder / "ws").mkdir()

    @contextmanager
    def running(self, log: Path) -> Iterator[None]:
        process = self._started(log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)

    def _started(self, log: Path) -> subprocess.Popen[bytes]:
        for _ in range(STARTS):
            with log.open("ab") as out:
                command = [*self._command(), "gateway", "run"]
                process = subprocess.Popen(command, env=self.env(), stdout=out, stderr=out)
            if wait_for(f"http://127.0.0.1:{self.port}/readyz", process, 180):
                return process
            process.terminate()
            process.wait(60)
        raise AssertionError(f"the gateway did not start:\n{log.read_text()[-3000:]}")

    def _command(self) -> list[str]:
        return [str(_node()), str(CACHE / "node_modules" / "openclaw" / "openclaw.mjs")]

    def say(self, session: str, text: str) -> str:
        """One message of the human in a session; the agent's answer."""
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/v1/chat/completions",
            headers={"authorization": f"Bearer {TOKEN}", "x-openclaw-session-key": session},
            json={"model": "openclaw", "messages": [{"role": "user", "content": text}]},
            timeout=300,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["choices"][0]["message"]["content"])

    def call(self, method: str, **parameters: Any) -> Any:
        """One call of the gateway's own protocol."""
        command = [*self._command(), "gateway", "call", method, "--json"]
        done = subprocess.run(
            [*command, "--params", json.dumps(parameters), "--timeout", "120000"],
            env=self.env(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{method}: {done.stdout}\n{done.stderr}"
        return json.loads(done.stdout[done.stdout.index("{") :])

    def command(self, session: str, line: str) -> None:
        """A slash command, typed in the session's chat."""
        key = f"k-{time.monotonic_ns()}"
        self.call("chat.send", sessionKey=session, message=line, idempotencyKey=key)
