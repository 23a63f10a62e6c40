from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from cli_helpers import Cli

from align_agent.night.lock import NightLock
from align_agent.paths import ENV_HOME, Home


def test_schedule_shows_when_the_next_night_is_due(cli: Cli, made: Home) -> None:
    made.config.write_text('schedule:\n  cron: "30 4 * * *"\n')
    data = cli("schedule", "--json").json
    assert "T04:30:00" in data["next"]
    assert "30 4 * * *" in cli("schedule", "show").out


def test_a_second_scheduler_is_refused(cli: Cli, made: Home) -> None:
    with NightLock(made.root / "scheduler.lock"):
        assert "running already" in cli("schedule", "run", code=1).err


def test_the_scheduler_runs_until_it_is_told_to_stop(made: Home) -> None:
    env = {**os.environ, ENV_HOME: str(made.root)}
    process = subprocess.Popen(
        [sys.executable, "-m", "align_agent", "schedule", "run"],
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    try:
        assert process.stderr is not None
        assert "next night is due" in process.stderr.readline()
        deadline = time.monotonic() + 60
        while not NightLock(made.root / "scheduler.lock").busy():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert process.stderr.read().strip() == "stopped"
    finally:
        process.kill()
        process.wait()
