"""A model's folder on disk: where it is, whether it is whole, and its fingerprint. No torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from align_agent.errors import MissingDependency, ModelError
from align_agent.models.pocket import WEIGHTS

POCKET = "pocket"

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
# Everything a model needs, and nothing that can run code or is pickled.
_WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
_WHOLE_HASH_LIMIT = 512 * 2**20  # bytes; larger files are sampled
_SAMPLES = 256
_SAMPLE_SIZE = 2**16


def locate(spec: str) -> Path:
    """The folder of a model: "pocket", a folder, or a name on the Hugging Face Hub.

    A name is looked up in the local cache first and downloaded, safetensors only, when it is not
    there. Raises ModelError when there is nothing, or no whole model, to be found.
    """
    folder = folder_of(spec)
    if folder is None:
        return _from_hub(spec)
    check_folder(folder)
    return folder.resolve()


def folder_of(spec: str) -> Path | None:
    """The folder that a model's spec means, whether it is there or not; None for a Hub's name."""
    if spec == POCKET:
        return WEIGHTS
    folder = Path(spec).expanduser()
    return None if not folder.exists() and _looks_like_name(spec) else folder


def check_folder(folder: Path) -> None:
    """Raise ModelError, naming the file, unless the folder holds a whole safetensors model."""
    if not folder.is_dir():
        hint = 'set model.base to "pocket", to a model\'s folder, or to a name on the Hub'
        if folder == WEIGHTS:
            hint = "the pocket model's weights are not installed: install align-agent again"
        raise ModelError(f"there is no model at {folder}", hint=hint)
    config = read_json(folder / "config.json")
    if "model_type" not in config:
        raise ModelError(
            f"{folder / 'config.json'} names no model_type",
            hint="this folder holds no transformers model",
        )
    if not (folder / "tokenizer.json").is_file():
        raise ModelError(
            f"{folder / 'tokenizer.json'} is missing",
            hint="copy the model's folder again, with its tokenizer",
        )
    for path in weight_files(folder):
        _check_safetensors(path)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, sorted by name. Raises ModelError when there are none."""
    index = folder / _INDEX
    if index.is_file():
        listed = read_json(index).get("weight_map", {})
        if not isinstance(listed, dict) or not all(isinstance(n, str) for n in listed.values()):
            raise ModelError(
                f"{index} names no weight files: its weight_map is no table of names",
                hint="the model is damaged: fetch it again",
            )
        if listed:
            return [folder / Path(name).name for name in sorted(set(listed.values()))]
    if (folder / _SINGLE).is_file():
        return [folder / _SINGLE]
    pickled = sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")])
    if pickled:
        raise ModelError(
            f"{pickled[0].name} in {folder} is a pickle, which can run code when it is read",
            hint="use a model that has safetensors, or convert it in a place you trust",
        )
    raise ModelError(
        f"{folder / _SINGLE} is missing", hint="the model is not complete: fetch it again"
    )


def fingerprint(folder: Path) -> str:
    """The sha256 of what an adapter depends on: weights, configuration, tokenizer, chat template.

    Weight files above 512 MB enter by their size, their header and 256 samples of 64 KB, so that
    a start does not read many gigabytes.
    """
    digest = hashlib.sha256()
    _add_file(digest, folder / "config.json")
    _add_file(digest, folder / "tokenizer.json")
    digest.update(_template(folder).encode())
    for path in weight_files(folder):
        _add_file(digest, path)
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises ModelError when it is missing or something else."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{path} is missing", hint="the model is not complete: fetch it again"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}", hint="the model is damaged: fetch it again"
        ) from error
    if not isinstance(data, dict):
        raise ModelError(f"{path} is no JSON object", hint="the model is damaged: fetch it again")
    return data


def _template(folder: Path) -> str:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    return json.dumps(read_json(config).get("chat_template", "")) if config.is_file() else ""


def _check_safetensors(path: Path) -> None:
    """A safetensors file is as long as its header says; a broken download is not."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = json.loads(file.read(min(length, size)))
        ends = [int(t["data_offsets"][1]) for k, t in header.items() if k != "__metadata__"]
        whole = size == 8 + length + max(ends)
    except FileNotFoundError as error:
        raise ModelError(
            f"{path} is missing", hint="the model is not complete: fetch it again"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        whole = False
    if not whole:
        raise ModelError(
            f"{path} is damaged or only a part of the file",
            hint="the download or copy was cut off: fetch the model again",
        )


def _add_file(digest: Any, path: Path) -> None:
    size = path.stat().st_size
    digest.update(f"{path.name}:{size}\n".encode())
    with path.open("rb") as file:
        if size <= _WHOLE_HASH_LIMIT:
            while block := file.read(2**20):
                digest.update(block)
            return
        digest.update(file.read(_SAMPLE_SIZE))
        for i in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE_SIZE) * i // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_SIZE))


def _looks_like_name(spec: str) -> bool:
    parts = spec.split("/")
    return len(parts) <= 2 and all(p and not p.startswith((".", "~")) for p in parts)


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingDependency(
            f"a model by the name {name} needs huggingface_hub",
            hint="pip install 'align-agent[train]'",
        ) from error
    failure: Exception | None = None
    for cached in (True, False):
        try:
            folder = Path(
                snapshot_download(name, allow_patterns=list(_WANTED), local_files_only=cached)
            )
            check_folder(folder)
        except Exception as error:  # the network, the Hub, the cache: many kinds, one cure
            failure = error
        else:
            return folder
    if isinstance(failure, ModelError):
        raise failure
    raise ModelError(
        f"the model {name} is not on this machine and cannot be fetched: {failure}",
        hint='go online once, give a folder, or set model.base to "pocket"',
    ) from failure
