from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from align_agent.errors import ModelError
from align_agent.models.files import check_folder, fingerprint, locate


@pytest.fixture
def copy(tiny_model_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))


def test_a_whole_model_is_found_by_its_folder(copy: Path) -> None:
    assert locate(str(copy)) == copy.resolve()


def remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def empty_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def nonsense_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 100)


def only_pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def lacks_a_shard(folder: Path) -> None:
    remove_weights(folder)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def lists_no_shards(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": ["a"]}')


def lacks_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def lacks_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def foreign_config(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (remove_weights, "model.safetensors is missing"),
        (cut_weights, "only a part"),
        (empty_weights, "only a part"),
        (nonsense_weights, "only a part"),
        (only_pickled, "pickle"),
        (lacks_a_shard, "model-00001-of-00002.safetensors is missing"),
        (lists_no_shards, "names no weight files"),
        (lacks_tokenizer, "tokenizer.json is missing"),
        (lacks_config, "config.json is missing"),
        (broken_config, "config.json cannot be read"),
        (foreign_config, "model_type"),
    ],
)
def test_a_model_that_is_not_whole_is_refused_by_the_name_of_what_is_wrong(
    copy: Path, spoil: Callable[[Path], None], named: str
) -> None:
    spoil(copy)
    with pytest.raises(ModelError, match=named) as caught:
        check_folder(copy)
    assert caught.value.hint


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model at") as caught:
        locate(str(tmp_path / "nothing"))
    assert "pocket" in caught.value.hint


def test_a_name_that_is_nowhere_to_be_had_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="cannot be fetched") as caught:
        locate("nobody/no-such-model")
    assert "folder" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"]
)
def test_one_changed_byte_changes_the_fingerprint(copy: Path, name: str) -> None:
    before = fingerprint(copy)
    path = copy / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert fingerprint(copy) != before


def test_the_fingerprint_does_not_depend_on_where_the_folder_is(
    copy: Path, tiny_model_dir: Path
) -> None:
    assert fingerprint(copy) == fingerprint(tiny_model_dir)


def test_a_large_file_is_sampled_from_end_to_end(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("align_agent.models.files._WHOLE_HASH_LIMIT", 10)
    before = fingerprint(copy)
    path = copy / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert fingerprint(copy) != before
