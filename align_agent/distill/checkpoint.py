"""Where a training stands, on disk: after a kill it goes on with the very numbers it had.

One safetensors file holds the adapter's weights and the optimiser's state, and in its header the
step and the figures so far; it is written aside, synced and renamed. Batches and random numbers
are functions of seed and step and need no keeping.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from align_agent.adapters import files
from align_agent.paths import fsync

log = logging.getLogger(__name__)
_SECONDS = 20.0  # at most so much work is lost when a training is killed
_FILE = "step.safetensors"


@dataclass(frozen=True, slots=True)
class Standing:
    """`step` steps are done, their figures in `history`; `seconds` were spent on them. `tokens`
    is how many go through the network at a time, which memory may have lowered."""

    step: int
    history: list[dict[str, float]]
    seconds: float
    tokens: int


class Keeper:
    """Keeps one training's state in a folder; without a folder, nothing.

    `key` names the training: what another one left there is not taken up. One that does not
    write only reads.
    """

    def __init__(self, folder: Path | None, key: str, *, writes: bool = True) -> None:
        self._folder = folder
        self._key = key
        self._writes = writes
        self._kept = time.monotonic()

    def load(self, weights: list[Any], optimizer: torch.optim.Optimizer) -> Standing | None:
        """Put weights and optimiser back to what was kept; None when nothing was."""
        return _load(self._folder, self._key, weights, optimizer) if self._folder else None

    def save(self, at: Standing, weights: list[Any], optimizer: torch.optim.Optimizer) -> None:
        """Keep the state, if some time has gone by since it was last kept. Raises DiskFull."""
        due = time.monotonic() - self._kept >= _SECONDS
        if self._writes and self._folder is not None and due:
            _save(self._folder, self._key, at, weights, optimizer)
            self._kept = time.monotonic()


def _save(
    folder: Path, key: str, standing: Standing, weights: list[Any], optimizer: torch.optim.Optimizer
) -> None:
    from safetensors.torch import save_file

    tensors = {}
    for i, weight in enumerate(weights):
        tensors[f"{i}.weight"] = weight.detach().cpu().contiguous()
        for name, value in optimizer.state.get(weight, {}).items():
            tensors[f"{i}.{name}"] = value.detach().cpu().contiguous()
    header = {
        "key": key,
        "step": str(standing.step),
        "seconds": repr(standing.seconds),
        "tokens": str(standing.tokens),
        "history": json.dumps(standing.history),
    }
    aside = folder / f".{_FILE}"
    with files.disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_file(tensors, aside, metadata=header)
        fsync(aside)
        aside.replace(folder / _FILE)
        fsync(folder)


def _load(
    folder: Path, key: str, weights: list[Any], optimizer: torch.optim.Optimizer
) -> Standing | None:
    from safetensors import SafetensorError, safe_open

    path = folder / _FILE
    try:
        with safe_open(path, framework="pt") as kept:
            header = kept.metadata() or {}
            if header.get("key") != key:
                return None
            tensors = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError) as error:
        log.warning("%s cannot be read (%s); the training starts again", path, error)
        return None
    with torch.no_grad():
        for i, weight in enumerate(weights):
            weight.copy_(tensors.pop(f"{i}.weight"))
    for name, value in tensors.items():
        place, _, field = name.partition(".")
        weight = weights[int(place)]
        # AdamW counts its steps on the CPU whatever the device.
        optimizer.state[weight][field] = value if field == "step" else value.to(weight.device)
    return Standing(
        step=int(header["step"]),
        history=json.loads(header["history"]),
        seconds=float(header["seconds"]),
        tokens=int(header["tokens"]),
    )
