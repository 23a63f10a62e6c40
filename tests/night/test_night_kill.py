"""Nights that are killed, stopped or doubled: real processes, real signals."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nights import begin, configure, conversation, talk

from align_agent.adapters import files
from align_agent.adapters.registry import Registry
from align_agent.night.artefacts import RunFolder
from align_agent.night.lock import NightLock
from align_agent.night.phases import PHASES
from align_agent.night.progress import Silent
from align_agent.night.run import MAX_RESUMES, REACHED, RESUMES, run_night
from align_agent.paths import Home
from align_agent.records import Run
from align_agent.store import Store

ORDERLY = {"promoted", "review", "rejected", "skipped"}
TRIES = 5

pytestmark = pytest.mark.uncounted


def command(home: Home) -> list[str]:
    return [sys.executable, "-m", "align_agent.night", "--home", str(home.root)]


def phase_of(home: Home, run: int) -> str:
    """The phase of the run with this number (1 is the first), empty before it has begun."""
    with sqlite3.connect(f"file:{home.database}?mode=ro", uri=True, timeout=5) as raw:
        rows = raw.execute("select phase, status from runs order by started_at").fetchall()
    return rows[run - 1][0] if len(rows) >= run else ""


def kill_in(home: Home, phase: str, run: int = 2) -> str:
    """Start a night, kill it -9 once it is in the phase, return the phase it died in."""
    process = begin(home)
    try:
        while phase_of(home, run) != phase and process.is_alive():
            time.sleep(0.001)  # looking without a pause takes a core from the night itself
    finally:
        process.kill()  # SIGKILL
        process.join()
    return phase_of(home, run)


def surely_kill_in(home: Home, phase: str, origin: Path) -> Run:
    """The run of a night that was killed in the phase; its home is kept in `origin` till then."""
    shutil.copytree(home.root, origin)
    for _ in range(TRIES):
        # A short phase may be over before the signal arrives: then once more.
        if kill_in(home, phase) == phase and latest(home).status == "running":
            break
        shutil.rmtree(home.root)
        shutil.copytree(origin, home.root)
    killed = latest(home)
    assert (killed.phase, killed.status) == (phase, "running")
    return killed


def latest(home: Home) -> Run:
    with Store.open(home.database) as store:
        run = store.runs.latest()
    assert run is not None
    return run


def prepare(learned: Home) -> None:
    """More to learn, and a follow-up to measure, so that every phase has work."""
    configure(
        learned,
        model={"max_new_tokens": 8},
        distill={"rollouts": "both", "epochs": 1, "draft_epochs": 1},
    )
    talk(learned, 2, first=20)
    with Store.open(learned.database) as store:
        for turn in conversation(40, 3):
            store.turns.add(turn)


def whole(home: Home) -> None:
    """Nothing half, nothing lost, and v1 or a later version serves."""
    with Store.open(home.database) as store:
        assert store.check() == []
        rows = {a.version: a for a in store.adapters.list() if not a.deleted}
        registry = Registry(store, home)
        version, path = registry.serving()
        assert version == registry.champion() != 0
        assert path is not None
        for number, adapter in rows.items():
            files.verify(registry.folder(number), adapter.manifest_sha256)


def weights(home: Home, version: int) -> bytes:
    return (home.adapters / f"v{version:04d}" / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def prepared_origin(learned_origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose second night has work in every phase. Made once; tests get copies."""
    home = Home(tmp_path_factory.mktemp("prepared") / "home")
    shutil.copytree(learned_origin, home.root)
    prepare(home)
    return home.root


@pytest.fixture(scope="module")
def straight(
    prepared_origin: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str, bytes]:
    """How that night ends where nothing disturbs it: status, reason and the adapter's bytes."""
    home = Home(tmp_path_factory.mktemp("straight") / "home")
    shutil.copytree(prepared_origin, home.root)
    run = run_night(home, progress=Silent())
    return run.status, run.reason, weights(home, 2)


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_a_night_killed_in_any_phase_ends_with_the_bytes_of_one_that_was_not(
    prepared_origin: Path, straight: tuple[str, str, bytes], tmp_path: Path, phase: str
):
    home = Home(tmp_path / "home")
    shutil.copytree(prepared_origin, home.root)
    killed = surely_kill_in(home, phase, tmp_path / "origin")
    whole(home)
    with Store.open(home.database) as store:
        assert Registry(store, home).champion() == 1

    run = run_night(home, progress=Silent())

    assert run.id == killed.id
    assert (run.status, run.reason, weights(home, 2)) == straight
    assert run.status in ORDERLY
    whole(home)
    with Store.open(home.database) as store:
        made = [a.version for a in store.adapters.list() if a.run_id == run.id]
        assert made == [2]
        assert files.versions_in(home.adapters) == [1, 2]
        assert len(store.runs.list()) == 2
        assert store.events.list(kind="night_resumed")


def test_a_night_killed_after_its_version_was_registered_does_not_register_it_again(
    learned: Home, tmp_path: Path
):
    prepare(learned)
    run = surely_kill_in(learned, "register", tmp_path / "origin")
    with Store.open(learned.database) as store:
        # What the phase does first: the kill came after it, or is taken to have.
        if not any(a.run_id == run.id for a in store.adapters.list()):
            Registry(store, learned).register(
                learned.runs / run.id / "adapter",
                base=run.base,
                base_hash=run.config["base_hash"],
                run_id=run.id,
                verdict=RunFolder(learned.runs / run.id).read("gate")["judgement"]["verdict"],
            )
    ended = run_night(learned, progress=Silent())
    assert ended.id == run.id
    assert files.versions_in(learned.adapters) == [1, 2]


@pytest.fixture(scope="module")
def killed_origin(prepared_origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose second night died in the gate: training is done and paid for."""
    home = Home(tmp_path_factory.mktemp("killed") / "home")
    shutil.copytree(prepared_origin, home.root)
    kill_in(home, "gate")
    return home.root


@pytest.fixture
def killed(killed_origin: Path, learned: Home) -> Run:
    """The killed night, in this test's own copy of its home."""
    shutil.rmtree(learned.root)
    shutil.copytree(killed_origin, learned.root)
    return latest(learned)


def test_a_resumed_night_does_not_train_again(learned: Home, killed: Run):
    trained = learned.runs / killed.id / "train.json"
    before = trained.stat().st_ino
    run_night(learned, progress=Silent())
    assert trained.stat().st_ino == before


@pytest.mark.parametrize("change", ["config", "rule", "excluded", "champion", "fresh"])
def test_a_killed_night_is_given_up_when_what_it_stood_on_changed(
    learned: Home, killed: Run, change: str
):
    fresh = False
    with Store.open(learned.database) as store:
        if change == "config":
            configure(learned, distill={"epochs": 2})
        elif change == "rule":
            from align_agent.records import Rule

            store.rules.add(Rule("Talk like a pirate.", "active"))
        elif change == "excluded":
            used = [i for i, use, _ in store.runs.turns_of(killed.id) if use == "train"]
            store.turns.exclude(used[0])
        elif change == "champion":
            registry = Registry(store, learned)
            registry.rollback(why="no")
            registry.release()
        else:
            fresh = True
    run = run_night(learned, resume=not fresh, progress=Silent())
    assert run.id != killed.id
    with Store.open(learned.database) as store:
        given_up = store.runs.get(killed.id)
        assert given_up.status == "interrupted"
        assert "not gone on with" in given_up.reason
        if change == "excluded":
            assert used[0] not in Registry(store, learned).lineage(2)


def test_a_night_that_is_killed_again_and_again_is_a_failure(learned: Home, killed: Run):
    with Store.open(learned.database) as store:
        reached = RunFolder(learned.runs / killed.id).reached()
        known = {**killed.config, RESUMES: MAX_RESUMES, REACHED: reached}
        store.runs.update(killed.id, config=known)
    run = run_night(learned, progress=Silent())
    assert run.id != killed.id
    with Store.open(learned.database) as store:
        given_up = store.runs.get(killed.id)
    assert given_up.status == "failed"
    assert "memory" in given_up.reason


class StopsIn(Silent):
    """Somebody asks to stop as the phase begins."""

    def __init__(self, name: str) -> None:
        self._name = name

    def phase(self, name: str, total: int | None = None) -> None:
        if name == self._name:
            raise KeyboardInterrupt


def test_a_night_that_was_asked_to_stop_often_is_still_gone_on_with(learned: Home, killed: Run):
    for _ in range(MAX_RESUMES + 2):
        with pytest.raises(KeyboardInterrupt):
            run_night(learned, progress=StopsIn("gate"))
    run = run_night(learned, progress=Silent())
    assert run.id == killed.id
    assert run.status in ORDERLY


def test_kills_are_counted_anew_once_a_night_got_further(learned: Home, killed: Run):
    folder = RunFolder(learned.runs / killed.id)
    with Store.open(learned.database) as store:
        known = {**killed.config, RESUMES: MAX_RESUMES, REACHED: folder.reached()}
        store.runs.update(killed.id, config=known)
    folder.write("train", folder.read("train") or {})
    assert run_night(learned, progress=Silent()).id == killed.id


@pytest.mark.slow
def test_a_night_that_is_asked_to_stop_says_so_and_goes_on_later(learned: Home):
    prepare(learned)
    process = subprocess.Popen(
        command(learned), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while phase_of(learned, 2) != "train":
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 130
    stopped = latest(learned)
    assert stopped.status == "interrupted"
    run = run_night(learned, progress=Silent())
    assert run.id == stopped.id
    assert run.status in ORDERLY


@pytest.mark.slow
def test_of_two_nights_at_once_one_runs_and_one_is_refused(learned: Home):
    prepare(learned)
    first = begin(learned)
    while not NightLock(learned.night_lock).busy():
        assert first.is_alive()
        time.sleep(0.01)
    second = subprocess.run(command(learned), capture_output=True, text=True)
    assert second.returncode == 1
    assert "another night is running" in second.stderr
    first.join(240)
    assert first.exitcode in (0, 3)
    with Store.open(learned.database) as store:
        assert len(store.runs.list()) == 2
        assert files.versions_in(learned.adapters) == [1, 2]


@pytest.mark.slow
def test_nights_that_start_in_the_same_instant_make_one_run(learned: Home):
    prepare(learned)
    nights = [begin(learned) for _ in range(3)]
    for night in nights:
        night.join(240)
    codes = sorted(night.exitcode for night in nights)
    with Store.open(learned.database) as store:
        runs = store.runs.list()
        versions = [a.version for a in store.adapters.list()]
    # One that arrives late may find the lock free again; then it runs its own night in order.
    assert len(runs) - 1 == sum(code in (0, 3) for code in codes)
    assert len(versions) == len(set(versions))
    whole(learned)
