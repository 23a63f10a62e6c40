"""A folder that transformers loads: the base's files, with the adapter added to the weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from align_agent.export.weights import Lora, Weights, open_weights
from align_agent.models.files import read_json

SHARD_BYTES = 4 * 10**9
_BYTES = {"float32": 4, "float16": 2}
_COMPANIONS = ("*.json", "*.jinja", "*.txt", "*.model")  # nothing that can run code
_INDEX = "model.safetensors.index.json"


def write_merged(
    base: Path, adapter: Path, target: Path, dtype: str, shard_bytes: int = SHARD_BYTES
) -> None:
    """Write a model into the empty folder `target`, in float32 or float16.

    Raises ModelError, AdapterError, WrongBase.
    """
    from safetensors.torch import save_file

    with open_weights(base, Lora.read(adapter)) as weights:
        shards = list(_shards(weights, _BYTES[dtype], shard_bytes))
        placed: dict[str, str] = {}
        for number, names in enumerate(shards, 1):
            file = "model.safetensors"
            if len(shards) > 1:
                file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
            tensors = {name: weights.get(name, dtype) for name in names}
            save_file(tensors, target / file, metadata={"format": "pt"})
            placed |= dict.fromkeys(names, file)
    if len(shards) > 1:
        index = {"metadata": {}, "weight_map": placed}
        (target / _INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    for pattern in _COMPANIONS:
        for path in sorted(base.glob(pattern)):
            if path.name not in ("config.json", _INDEX):
                shutil.copyfile(path, target / path.name)
    config = read_json(base / "config.json") | {"dtype": dtype}
    config.pop("torch_dtype", None)
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _shards(weights: Weights, width: int, limit: int) -> Iterator[list[str]]:
    """The names in files of at most `limit` bytes; what is larger alone has one of its own."""
    held: list[str] = []
    size = 0
    for name in weights.names:
        count = width
        for side in weights.shape(name):
            count *= side
        if held and size + count > limit:
            yield held
            held, size = [], 0
        held.append(name)
        size += count
    yield held
