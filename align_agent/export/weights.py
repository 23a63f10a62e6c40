"""The weights of a base, one at a time in fp32; and the same with an adapter added to them.

One tensor is in memory at a time, so that a model of many gigabytes can be exported. Nothing is
ever added in bf16: with its 8 bits a tenth of what was learned would be rounded away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_agent.adapters.files import damaged
from align_agent.errors import AdapterDamaged, AdapterError, ModelError, WrongBase
from align_agent.models.files import read_json, weight_files

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
_HEAD = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"
# What changes how the two matrices count, and which value means that it does not.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "use_dora": (False, None),
    "fan_in_fan_out": (False, None),
    "bias": ("none", None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "modules_to_save": ([], None),
}


@dataclass(frozen=True, slots=True)
class Lora:
    """An adapter's matrices. `pairs` maps a module's name to A (rank, in) and B (out, rank)."""

    rank: int
    alpha: float  # the effect of B @ A is alpha / rank
    pairs: dict[str, tuple[Any, Any]]

    @staticmethod
    def read(folder: Path) -> Lora:
        """Raises AdapterDamaged, and AdapterError for one that is no plain LoRA."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            settings = read_json(folder / CONFIG_FILE)
            tensors = load_file(folder / WEIGHTS_FILE)
            rank, alpha = int(settings["r"]), float(settings["lora_alpha"])
        except (ModelError, OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise damaged(folder, str(error)) from error
        for name, plain in _PLAIN.items():
            if settings.get(name) not in plain:
                raise AdapterError(
                    f"{folder.name} is no plain LoRA: its {name} is {settings[name]!r}",
                    hint="export it with --format peft, and convert that with the tools of PEFT",
                )
        if settings.get("use_rslora"):
            alpha *= math.sqrt(rank)
        return Lora(rank, alpha, _pairs(folder, tensors))


def _pairs(folder: Path, tensors: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs: dict[str, tuple[Any, Any]] = {}
    used = 0
    for key in sorted(tensors):
        if key.endswith(_A):
            partner = key.removesuffix(_A) + _B
            if partner not in tensors:
                raise damaged(folder, f"`{partner}` is missing")
            module = key.removesuffix(_A).removeprefix(_HEAD)
            pairs[module] = tensors[key].float(), tensors[partner].float()
            used += 2
    if used != len(tensors) or not pairs:
        raise AdapterDamaged(
            f"{folder / WEIGHTS_FILE} holds more or less than pairs of LoRA matrices",
            hint="restore the folder from a backup, or choose another version",
        )
    return pairs


class Weights:
    """A base's tensors by name. Make it with `open_weights`."""

    def __init__(self, places: dict[str, Any], lora: Lora | None) -> None:
        """Raises WrongBase when the adapter changes a weight that is not there."""
        self._places = places
        self._lora = lora
        self.names = sorted(places)
        for module, (a, b) in lora.pairs.items() if lora else ():
            name = f"{module}.weight"
            if name not in places or self.shape(name) != (b.shape[0], a.shape[1]):
                raise WrongBase(
                    f"the adapter changes {module}, which this base does not have in that shape",
                    hint="set model.base to the base that it was trained on",
                )

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._places[name].get_slice(name).get_shape())

    def get(self, name: str, dtype: str = "float32") -> Any:
        """A tensor, with what the adapter adds to it. Added in fp32, rounded once, at the end.

        Raises ModelError when float16 cannot hold it.
        """
        import torch

        weight = self._places[name].get_tensor(name).float()
        pair = self._lora.pairs.get(name.removesuffix(".weight")) if self._lora else None
        if pair is not None and self._lora is not None:
            weight = weight + (self._lora.alpha / self._lora.rank) * (pair[1] @ pair[0])
        if dtype == "float32":
            return weight.contiguous()
        small = weight.to(torch.float16)
        if not torch.equal(small.isfinite(), weight.isfinite()):
            raise ModelError(
                f"{name} has values that float16 cannot hold", hint="export with --dtype float32"
            )
        return small.contiguous()


@contextmanager
def open_weights(folder: Path, lora: Lora | None = None) -> Iterator[Weights]:
    """The weights of the model in `folder`. Raises ModelError, WrongBase."""
    from safetensors import SafetensorError, safe_open

    with ExitStack() as stack:
        places: dict[str, Any] = {}
        for path in weight_files(folder):
            try:
                opened = stack.enter_context(safe_open(path, framework="pt"))
            except (OSError, SafetensorError) as error:
                raise ModelError(
                    f"{path} cannot be read: {error}", hint="fetch the model again"
                ) from error
            places |= dict.fromkeys(opened.keys(), opened)
        yield Weights(places, lora)
