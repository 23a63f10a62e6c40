import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.errors import AdapterError
from align_agent.night.artefacts import RunFolder, prune_folders

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)

WRITER = """
import sys
from pathlib import Path
from align_agent.night.artefacts import RunFolder
folder = RunFolder(Path(sys.argv[1])).create()
for number in range(100000):
    folder.write("select", {"number": number, "rows": [number] * 20000})
    print(number, flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run-1").create()


def test_a_phase_that_did_not_end_left_nothing(folder):
    assert folder.read("select") is None


@given(st.dictionaries(st.text(), JSON))
def test_what_is_written_reads_back(tmp_path_factory, data):
    folder = RunFolder(tmp_path_factory.mktemp("run")).create()
    folder.write("select", data)
    assert folder.read("select") == data


def test_an_unreadable_artefact_counts_as_absent(folder):
    (folder.path / "select.json").write_text("{", encoding="utf-8")
    assert folder.read("select") is None


def test_a_new_artefact_replaces_the_old_one(folder):
    folder.write("select", {"a": 1})
    folder.write("select", {"a": 2})
    assert folder.read("select") == {"a": 2}


@pytest.mark.parametrize("moment", range(4))
def test_a_kill_leaves_an_artefact_whole_or_absent(tmp_path, moment):
    path = tmp_path / "run-1"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.017 * moment)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    found = RunFolder(path).read("select")
    assert found is not None
    assert found["rows"] == [found["number"]] * 20000


def test_the_run_folder_is_private(folder):
    assert folder.path.stat().st_mode & 0o077 == 0


def test_a_write_that_fails_leaves_no_half(folder):
    with pytest.raises(TypeError):
        folder.write("select", {"a": object()})
    assert list(folder.path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_with_a_hint(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AdapterError) as caught:
        RunFolder(tmp_path / "file" / "run-1").create()
    assert caught.value.hint


def test_a_training_that_begins_again_finds_an_empty_workshop(folder):
    (folder.fresh_workshop() / "half.safetensors").write_bytes(b"x")
    assert list(folder.fresh_workshop().iterdir()) == []


def test_a_finished_training_replaces_one_whose_artefact_was_never_written(folder):
    for content in (b"first", b"second"):
        workshop = folder.fresh_workshop()
        (workshop / "adapter_model.safetensors").write_bytes(content)
        folder.keep(workshop, folder.adapter)
    assert (folder.adapter / "adapter_model.safetensors").read_bytes() == b"second"


def test_clearing_removes_the_users_text_and_the_working_copy(folder):
    for phase in ("detect", "select", "preflight", "rollouts", "train", "gate"):
        folder.write(phase, {"phase": phase})
    workshop = folder.fresh_workshop()
    (workshop / "adapter_model.safetensors").write_bytes(b"x")
    folder.keep(workshop, folder.adapter)
    folder.clear()
    left = sorted(path.name for path in folder.path.iterdir())
    assert left == ["detect.json", "preflight.json", "train.json"]


def test_folders_of_runs_that_the_database_does_not_know_stay(tmp_path):
    (tmp_path / "run-of-a-lost-database").mkdir()
    assert prune_folders(tmp_path, 1, ["run-2", "run-1"]) == []


def test_only_the_newest_run_folders_are_kept(tmp_path):
    for number in range(5):
        (tmp_path / f"run-{number}").mkdir()
    gone = prune_folders(tmp_path, 2, [f"run-{n}" for n in (4, 3, 2, 1, 0)])
    assert gone == ["run-0", "run-1", "run-2"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run-3", "run-4"]
