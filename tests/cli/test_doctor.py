from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import Cli, Result
from disks import only_read

from align_agent import checkup
from align_agent.models import pocket
from align_agent.paths import Home
from align_agent.sandbox import levels
from align_agent.store import Store


def finding(result: Result, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in result.json if row["name"] == name)
    return found


@pytest.fixture
def doctor(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`align-agent doctor --json`, where torch starts at once: in these tests it is sound."""
    sound = json.dumps({"version": metadata.version("torch"), "cuda": None, "gpus": []})
    monkeypatch.setattr(checkup, "_ASK_TORCH", f"print({sound!r})")
    return partial(cli, "doctor", "--json")


def test_doctor_finds_nothing_missing_here(cli: Cli, made: Home) -> None:
    rows = cli("doctor", "--json").json
    assert {"python", "torch", "peft", "langgraph", "apscheduler", "gpu", "disk", "home", "config",
            "database", "model", "sandbox"} <= {row["name"] for row in rows}  # fmt: skip
    assert not [row for row in rows if row["status"] == "fail"]


def test_doctor_tells_people_in_lines(cli: Cli, made: Home) -> None:
    assert "ok    python" in cli("doctor").out


def test_the_needed_packages_are_those_of_the_package_itself() -> None:
    assert "torch" in checkup.required("train")
    assert "langgraph" in checkup.required("agent")
    assert "apscheduler" in checkup.required("schedule")
    assert checkup.required("nothing") == {}


def test_a_missing_package_fails_with_the_command_that_gets_it(
    doctor: Cli, made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version

    def lacking(name: str) -> str:
        if name == "langgraph":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", lacking)
    row = finding(doctor(code=1), "langgraph")
    assert row["status"] == "fail" and row["cure"] == "pip install 'align-agent[agent]'"


def test_a_package_that_is_too_old_fails(
    doctor: Cli, made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda n: "0.1" if n == "peft" else real(n))
    assert "older" in finding(doctor(code=1), "peft")["message"]


@pytest.mark.parametrize(
    ("version", "bound", "older"),
    [("2.8.0", "2.8", False), ("2.13.0+cpu", "2.8", False), ("2.7.1", "2.8", True)],
)
def test_versions_compare_by_number(version: str, bound: str, older: bool) -> None:
    assert (checkup._numbers(version) < checkup._numbers(bound)) is older


def test_a_torch_that_cannot_start_fails_without_ending_the_doctor(
    cli: Cli, made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "_ASK_TORCH", "import os; os.abort()")
    assert finding(cli("doctor", "--json", code=1), "torch runs")["status"] == "fail"


@pytest.mark.parametrize(
    ("gpus", "cuda", "card", "status"),
    [
        ([], None, "", "ok"),
        (["H200"], "13.0", "", "ok"),
        ([], None, "H200", "warn"),
        ([], "13.0", "H200", "warn"),
    ],
)
def test_a_graphics_card_that_is_not_used_is_told(
    gpus: list[str], cuda: str | None, card: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "_nvidia_smi", lambda: card)
    assert checkup._gpu(gpus, cuda).status == status


def test_a_graphics_card_is_asked_for_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\necho 'H200, 143771 MiB'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert checkup._nvidia_smi() == "H200, 143771 MiB"


def test_a_home_that_others_can_enter_is_told(doctor: Cli, made: Home) -> None:
    made.root.chmod(0o755)
    row = finding(doctor(), "home")
    assert row["status"] == "warn" and row["cure"].startswith("chmod 700")


def test_a_home_that_cannot_be_written_fails(small_disk: Path) -> None:
    home = Home(small_disk / "home").ensure()
    only_read(small_disk)
    (found,) = checkup._home(home)
    assert found.status == "fail" and str(home.root) in found.cure


def test_a_missing_home_is_only_a_warning(doctor: Cli, home: Home) -> None:
    assert finding(doctor(), "home")["cure"] == "align-agent init"
    assert not home.root.exists()


def test_a_configuration_that_cannot_be_read_fails(doctor: Cli, made: Home) -> None:
    made.config.write_text("model: [\n")
    result = doctor(code=1)
    assert finding(result, "config")["status"] == "fail"
    assert finding(result, "model")["status"] == "warn"


def test_a_corrupt_database_fails(doctor: Cli, made: Home) -> None:
    for path in made.root.glob("align.db*"):
        path.unlink()
    made.database.write_bytes(b"not a database" * 100)
    assert finding(doctor(code=1), "database")["status"] == "fail"


def test_a_reference_to_nothing_in_the_database_fails(doctor: Cli, lived: Home) -> None:
    with sqlite3.connect(lived.database) as raw:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("UPDATE feedback SET turn_id = 'gone'")
    raw.close()
    assert finding(doctor(code=1), "database")["status"] == "fail"


def test_a_damaged_champion_is_told(doctor: Cli, lived: Home) -> None:
    (lived.adapters / "v0002" / "adapter_model.safetensors").write_bytes(b"flipped")
    row = finding(doctor(), "serving")
    assert row["status"] == "warn" and "v0002" in row["message"]


def test_a_lost_database_is_told(doctor: Cli, lived: Home) -> None:
    lived.database.unlink()
    row = finding(doctor(code=1), "database")
    assert row["status"] == "fail" and "init --fresh" in row["cure"]


def test_lost_turns_are_told(doctor: Cli, made: Home) -> None:
    with Store.open(made.database) as store:
        store.counters.bump("capture.failed", 3)
    row = finding(doctor(), "database")
    assert "capture.failed: 3" in row["message"]
    assert "printed" in row["cure"] and "night.log" not in row["cure"]


def test_what_the_user_knows_is_no_longer_warned_of(doctor: Cli, cli: Cli, made: Home) -> None:
    with Store.open(made.database) as store:
        store.counters.bump("capture.failed", 3)
    assert "known from now on: 3 capture.failed" in cli("doctor", "--known").out
    assert finding(doctor(), "database")["status"] == "ok"
    assert cli("status", "--json").json["losses"] == {}


def test_a_loss_after_what_is_known_is_warned_of_alone(doctor: Cli, made: Home) -> None:
    with Store.open(made.database) as store:
        store.counters.bump("capture.failed", 3)
        assert checkup.note_losses(store) == {"capture.failed": 3}
        store.counters.bump("capture.failed")
        store.counters.bump("nights_failed")
        assert checkup.losses(store) == {"capture.failed": 1, "nights_failed": 1}
    assert "doctor --known" in finding(doctor(), "database")["cure"]


@pytest.mark.parametrize(
    ("counter", "place"),
    [
        ("nights_failed", "align-agent runs"),
        ("schedule_failures", "night.log"),
        ("serving_fallbacks", "align-agent adapters"),
    ],
)
def test_a_loss_is_told_with_the_place_of_its_reason(made: Home, counter: str, place: str) -> None:
    with Store.open(made.database) as store:
        store.counters.bump(counter)
    assert place in checkup._database(made).cure


def test_a_little_disk_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_LOW_DISK", 1e18)
    assert checkup._disk(home).status == "warn"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the folder of the pocket model's files, with their sums."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    sums = subprocess.run(
        ["sha256sum", "weights/model.safetensors"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    (tmp_path / "SHA256SUMS").write_text(sums.stdout)
    monkeypatch.setattr(pocket, "WEIGHTS", folder)
    return folder


def test_weights_as_published_are_ok(weights: Path) -> None:
    assert checkup._pocket().status == "ok"


def test_a_changed_weight_fails(weights: Path) -> None:
    (weights / "model.safetensors").write_bytes(b"Weights")
    assert checkup._pocket().status == "fail"


def test_missing_weights_fail(weights: Path) -> None:
    (weights / "model.safetensors").unlink()
    assert checkup._pocket().status == "fail"


def test_missing_sums_are_told(weights: Path) -> None:
    (weights.parent / "SHA256SUMS").unlink()
    assert checkup._pocket().status == "warn"


def test_another_base_model_is_named(doctor: Cli, made: Home) -> None:
    made.config.write_text("model:\n  base: some/model\n")
    assert "some/model" in finding(doctor(), "model")["message"]


def test_a_folder_that_holds_no_model_fails(doctor: Cli, made: Home, tmp_path: Path) -> None:
    for base in ("/nowhere/at/all", tmp_path):
        made.config.write_text(f"model:\n  base: {base}\n")
        found = finding(doctor(code=1), "model")
        assert found["status"] == "fail" and found["cure"]


@pytest.mark.parametrize(
    ("level", "status", "said", "cure"),
    [
        ("namespaces + landlock + seccomp", "ok", "files read-only", ""),
        ("landlock + seccomp + no chmod", "warn", "not even in its own folder", "bubblewrap"),
    ],
)
def test_doctor_says_which_wall_stands_and_what_it_costs(
    doctor: Cli, made: Home, monkeypatch: pytest.MonkeyPatch,
    level: str, status: str, said: str, cure: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(levels, "wall", lambda: (level.split()[0], level))
    found = finding(doctor(), "sandbox")
    assert (found["status"], found["cure"] != "") == (status, cure != "")
    assert level in found["message"]
    assert said in found["message"]
    assert cure in found["cure"]


def test_a_machine_without_a_wall_is_told_what_to_install(
    doctor: Cli, made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> None:
        raise levels.SandboxUnavailable("no wall", hint="install one")

    monkeypatch.setattr(levels, "wall", none)
    found = finding(doctor(), "sandbox")
    assert (found["status"], found["message"], found["cure"]) == ("warn", "no wall", "install one")


def test_doctor_runs_where_torch_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", none)
    assert list(checkup._torch()) == []
    assert sys.executable in checkup._python().message


def test_the_weights_of_this_repository_are_as_published() -> None:
    finding = checkup._pocket()
    assert finding.status == "ok", finding.message
