"""LoRA over a network: a fresh one to train, a finished one to serve, and its files.

Every adapter gets a module tree of its own, whose weights are the base network's very tensors. So
the base tree never holds a LoRA layer, no adapter can be left switched on, and nothing is switched
while another thread computes (PEFT's switches are not thread-safe, and its adapter names match by
substring).
"""

from __future__ import annotations

import copy
import json
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from align_agent.errors import AdapterDamaged, ModelError, WrongBase

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
_NAME = re.compile(r"v\d{4}")
_UNNUMBERED = "v0000"

# PEFT loads it; on some processors it warns that it could not fetch code from a model hub.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def twin(network: Any) -> Any:
    """A second module tree over the same parameters and buffers: no weight is copied, nor what
    weights in 4 bits are unpacked by."""
    scales = (getattr(module, "quant_state", None) for module in network.modules())
    shared = {id(x): x for x in chain(network.parameters(), network.buffers(), scales)}
    return copy.deepcopy(network, shared)


def lora_layers(network: Any) -> list[str]:
    """The names of all modules that hold LoRA weights."""
    return [name for name, module in network.named_modules() if hasattr(module, "lora_A")]


def assert_plain(network: Any) -> None:
    """Raise ModelError when the network has any LoRA layer: a teacher must be the bare base."""
    found = lora_layers(network)
    if found:
        raise ModelError(
            f"the base network carries {len(found)} LoRA layers, the first is {found[0]}",
            hint="this is a fault in align-agent: please report it",
        )


@contextmanager
def assert_untouched(network: Any) -> Iterator[None]:
    """Raise ModelError when a weight of the network was written to within the block."""
    before = [(name, p, p._version, p.data_ptr()) for name, p in network.named_parameters()]
    yield
    for name, parameter, version, pointer in before:
        if parameter._version != version or parameter.data_ptr() != pointer:
            raise ModelError(
                f"training wrote to the base network's {name}",
                hint="this is a fault in align-agent: please report it",
            )


def fresh_lora(network: Any, *, rank: int, alpha: float, dropout: float, seed: int) -> Any:
    """A PeftModel with new LoRA weights on every linear layer but the output head.

    Its output equals the base's until it is trained (B starts at zero). fp32 weights, drawn from
    the seed alone.
    """
    from peft import LoraConfig

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _inject(network, config, _UNNUMBERED, autocast=True)
    return model.eval()


def save_lora(model: Any, folder: Path, *, base: str) -> None:
    """Write a PEFT adapter: `adapter_model.safetensors` (fp32) and `adapter_config.json`.

    The same weights give the same bytes: everything is sorted (PEFT's own writer lists sets in an
    order that changes from process to process). `base` is the base model's name as configured.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    name = model.active_adapter
    weights = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: weights[key].detach().float().cpu().contiguous() for key in sorted(weights)},
        folder / WEIGHTS_FILE,
        metadata={"format": "pt"},
    )
    config = model.peft_config[name].to_dict()
    config |= {"base_model_name_or_path": base, "inference_mode": True}
    text = json.dumps(config, indent=2, sort_keys=True, default=_plain)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def load_lora(network: Any, folder: Path) -> Any:
    """The network with the folder's adapter active, frozen, in the network's dtype.

    Returns a causal language model as the base is one. Raises AdapterDamaged when a file is
    missing or unreadable, WrongBase when the weights do not fit this network.
    """
    name = folder.name if _NAME.fullmatch(folder.name) else _UNNUMBERED
    return join_lora(None, network, folder, name).get_base_model()


def join_lora(model: Any, network: Any, folder: Path, name: str) -> Any:
    """A PeftModel with the folder's adapter under this name, frozen, in evaluation mode.

    Without a `model` a new one is made over the network's weights; else the adapter joins it, and
    the model may be left with half of it when this raises. Raises as `load_lora`.
    """
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = _read_config(folder)
    try:
        # To the processor, from where they are copied: older safetensors know no "mps:0".
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise AdapterDamaged(
            f"{folder / WEIGHTS_FILE} cannot be read: {error}",
            hint="restore its folder, or go back to the base: align-agent adapters promote base",
        ) from error
    try:
        with torch.random.fork_rng(devices=[]):
            if model is None:
                model = _inject(network, config, name, autocast=False)
            else:
                model.add_adapter(name, config, autocast_adapter_dtype=False)
        result = set_peft_model_state_dict(model, weights, adapter_name=name)
    except (RuntimeError, ValueError, KeyError) as error:
        raise _wrong_base(folder, str(error).splitlines()[0]) from error
    missing = [key for key in result.missing_keys if "lora_" in key and f".{name}." in key]
    if missing or result.unexpected_keys:
        odd = (missing or list(result.unexpected_keys))[0]
        raise _wrong_base(folder, f"{odd} is in one and not in the other")
    return model.eval().requires_grad_(False)


def copy_lora(model: Any, folder: Path) -> None:
    """Give a fresh LoRA the weights of the folder's adapter, which has the same rank and scale.

    Raises AdapterDamaged when a file is missing or unreadable, WrongBase when it does not fit.
    """
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found, own = _read_config(folder), model.peft_config[model.active_adapter]
    if (found.r, found.lora_alpha) != (own.r, own.lora_alpha):
        raise _wrong_base(folder, f"its rank is {found.r}, its alpha {found.lora_alpha}")
    try:
        weights = load_file(folder / WEIGHTS_FILE)
        result = set_peft_model_state_dict(model, weights, adapter_name=model.active_adapter)
    except (OSError, SafetensorError) as error:
        raise AdapterDamaged(
            f"{folder / WEIGHTS_FILE} cannot be read: {error}",
            hint="restore its folder, or go back to the base: align-agent adapters promote base",
        ) from error
    except (RuntimeError, ValueError, KeyError) as error:
        raise _wrong_base(folder, str(error).splitlines()[0]) from error
    missing = [key for key in result.missing_keys if "lora_" in key]
    if missing or result.unexpected_keys:
        odd = (missing or list(result.unexpected_keys))[0]
        raise _wrong_base(folder, f"{odd} is in one and not in the other")


def can_mix(folder: Path) -> bool:
    """Whether PEFT can compute this adapter's rows in one batch with others'. Raises
    AdapterDamaged."""
    config = _read_config(folder)
    plain = not (config.use_dora or config.modules_to_save or config.target_parameters)
    return bool(plain and config.bias == "none")


def _inject(network: Any, config: Any, name: str, *, autocast: bool) -> Any:
    from peft import PeftModel

    with warnings.catch_warnings():  # PEFT asks transformers in a way that is being renamed
        warnings.simplefilter("ignore", FutureWarning)
        return PeftModel(twin(network), config, name, autocast_adapter_dtype=autocast)


def _read_config(folder: Path) -> Any:
    from peft import LoraConfig

    path = folder / CONFIG_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("peft_type") != "LORA":
            raise ValueError(f"peft_type is {data.get('peft_type')!r}, not 'LORA'")
        return LoraConfig.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise AdapterDamaged(
            f"{path} cannot be used: {error}",
            hint="restore its folder, or go back to the base: align-agent adapters promote base",
        ) from error


def shape_of(folder: Path) -> tuple[int, int]:
    """(rank, alpha) of the adapter in a folder. Raises AdapterDamaged."""
    config = _read_config(folder)
    return config.r, config.lora_alpha


def _wrong_base(folder: Path, why: str) -> WrongBase:
    return WrongBase(
        f"the adapter in {folder} does not fit this model: {why}",
        hint="set model.base to the model that the adapter was trained on",
    )


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(getattr(value, "value", value))
