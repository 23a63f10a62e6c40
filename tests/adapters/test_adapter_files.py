import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.adapters import files
from align_agent.errors import AdapterDamaged, AdapterError, DiskFull


def make(folder: Path, content: bytes = b"weights " * 50) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(content)
    (folder / "adapter_config.json").write_text('{"r": 4}')
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = make(tmp_path / "v0001")
    files.write_manifest(folder, run_id="run-1")
    return folder


def test_an_untouched_folder_verifies(adapter):
    assert files.verify(adapter)["facts"] == {"run_id": "run-1"}


@settings(max_examples=60)
@given(where=st.integers(0, 399), bit=st.integers(0, 7))
def test_any_single_changed_bit_is_found(tmp_path_factory, where, bit):
    folder = make(tmp_path_factory.mktemp("bits") / "v0001")
    files.write_manifest(folder)
    target = folder / "adapter_model.safetensors"
    content = bytearray(target.read_bytes())
    content[where] ^= 1 << bit
    target.write_bytes(bytes(content))
    with pytest.raises(AdapterDamaged):
        files.verify(folder)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_missing_file_is_named(adapter, name):
    (adapter / name).unlink()
    with pytest.raises(AdapterDamaged, match=name):
        files.verify(adapter)


def test_a_changed_file_is_named_and_the_error_has_a_hint(adapter):
    (adapter / "adapter_config.json").write_text('{"r": 5}')
    with pytest.raises(AdapterDamaged, match=r"adapter_config\.json") as caught:
        files.verify(adapter)
    assert caught.value.hint


def test_a_file_cut_short_is_damage(adapter):
    target = adapter / "adapter_model.safetensors"
    target.write_bytes(target.read_bytes()[:-1])
    with pytest.raises(AdapterDamaged, match="bytes of"):
        files.verify(adapter)


def test_a_missing_manifest_is_damage(adapter):
    (adapter / files.MANIFEST).unlink()
    with pytest.raises(AdapterDamaged, match="manifest"):
        files.verify(adapter)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"files": 3}', '{"files": {"adapter_config.json": {}}}', "\xff"]
)
def test_a_mangled_manifest_is_damage(adapter, text):
    (adapter / files.MANIFEST).write_text(text, encoding="latin-1")
    with pytest.raises(AdapterDamaged):
        files.verify(adapter)


def test_a_manifest_rewritten_to_match_changed_files_is_damage(adapter):
    digest = files.manifest_digest(adapter)
    (adapter / "adapter_config.json").write_text('{"r": 5}')
    files.write_manifest(adapter, run_id="run-1")
    with pytest.raises(AdapterDamaged, match="registered"):
        files.verify(adapter, digest)


def test_a_stray_file_that_a_loader_might_prefer_is_damage(adapter):
    (adapter / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(AdapterDamaged, match=r"adapter_model\.bin"):
        files.verify(adapter)


def test_what_a_file_browser_leaves_is_no_damage(adapter):
    (adapter / ".DS_Store").write_bytes(b"x")
    files.verify(adapter)


def test_a_link_instead_of_a_file_is_damage(adapter):
    target = adapter / "adapter_config.json"
    moved = adapter.parent / "elsewhere.json"
    target.rename(moved)
    target.symlink_to(moved)
    with pytest.raises(AdapterDamaged):
        files.verify(adapter)


def test_a_folder_that_is_gone_is_damage(tmp_path):
    with pytest.raises(AdapterDamaged, match="missing"):
        files.verify(tmp_path / "v0009")


def test_a_manifest_of_nothing_is_refused(tmp_path):
    with pytest.raises(AdapterError):
        files.write_manifest(tmp_path)


def test_install_gives_the_folder_its_final_name(tmp_path):
    staged = make(tmp_path / ".staging-1")
    files.write_manifest(staged)
    files.install(staged, tmp_path / "v0001")
    files.verify(tmp_path / "v0001")
    assert not staged.exists()


def test_install_never_replaces_a_version(tmp_path, adapter):
    staged = make(tmp_path / ".staging-1", b"other")
    files.write_manifest(staged)
    with pytest.raises(AdapterError, match="never change"):
        files.install(staged, adapter)
    assert files.verify(adapter)["facts"] == {"run_id": "run-1"}


def test_the_signature_changes_with_any_write(adapter):
    before = files.signature(adapter)
    (adapter / "adapter_config.json").write_text('{"r": 8}')
    assert files.signature(adapter) != before


def test_the_signature_of_an_untouched_folder_stays(adapter):
    assert files.signature(adapter) == files.signature(adapter) != ()


def test_no_space_left_becomes_disk_full_with_a_hint(tmp_path):
    with pytest.raises(DiskFull) as caught, files.disk_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "prune" in caught.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_copying_onto_a_full_device_is_disk_full(tmp_path):
    source = make(tmp_path / "source")
    target = tmp_path / "target"
    target.mkdir()
    (target / "adapter_model.safetensors").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        files.copy_into(source, target)


def test_a_folder_nobody_may_write_is_an_adapter_error_with_a_hint(tmp_path):
    # A file stands where the folder should be: true for root as well.
    (tmp_path / "adapters").write_text("in the way")
    with pytest.raises(AdapterError) as caught:
        files.staging_folder(tmp_path / "adapters")
    assert caught.value.hint


def test_leftovers_of_a_dead_process_are_found_and_those_of_a_living_one_are_not(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    dead = tmp_path / f"{files.STAGING}{done.pid}-abc"
    alive = tmp_path / f"{files.STAGING}{os.getpid()}-abc"
    dead.mkdir()
    alive.mkdir()
    assert files.leftovers(tmp_path) == [dead]


def test_versions_are_read_from_folder_names_alone(tmp_path):
    for name in ("v0001", "v12345", "v1", "vx001", ".staging-1", "notes"):
        (tmp_path / name).mkdir()
    assert files.versions_in(tmp_path) == [1, 12345]


@given(st.integers(1, 99999))
def test_a_folder_name_reads_back_as_its_version(version):
    assert files.folder_version(files.folder_name(version)) == version


INSTALLER = """
import sys
from pathlib import Path
from align_agent.adapters import files
root, source = Path(sys.argv[1]), Path(sys.argv[2])
for number in range(1, 10000):
    staged = files.staging_folder(root)
    files.copy_into(source, staged)
    files.write_manifest(staged, number=number)
    files.install(staged, root / files.folder_name(number))
    print(number, flush=True)
"""


@pytest.mark.parametrize("moment", range(4))
def test_a_kill_at_any_moment_leaves_only_whole_versions(tmp_path, moment):
    source = make(tmp_path / "source", os.urandom(200_000))
    root = tmp_path / "adapters"
    root.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", INSTALLER, str(root), str(source)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.013 * moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    versions = files.versions_in(root)
    for version in versions:
        files.verify(root / files.folder_name(version))
    assert versions == list(range(1, len(versions) + 1))
    for leftover in files.leftovers(root):
        files.remove(leftover)
    assert [p.name for p in root.iterdir() if p.name.startswith(".")] == []


def test_remove_leaves_nothing(tmp_path, adapter):
    files.remove(adapter)
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_lists_every_file_with_its_size(adapter):
    manifest = json.loads((adapter / files.MANIFEST).read_text())
    sizes = {name: entry["bytes"] for name, entry in manifest["files"].items()}
    assert sizes == {"adapter_config.json": 8, "adapter_model.safetensors": 400}
