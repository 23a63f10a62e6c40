"""The base's linear layers in 4 bits (NF4, QLoRA, arXiv 2305.14314), through bitsandbytes.

Embeddings, norms and the output head stay as they are, LoRA is trained beside in full precision.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from align_agent.errors import MissingDependency, ModelError

if TYPE_CHECKING:
    import torch

NF4 = "nf4"


def in_four_bits(computed: torch.dtype, device: torch.device) -> dict[str, Any]:
    """What `from_pretrained` needs for it; products are in `computed`.

    Raises MissingDependency without bitsandbytes, ModelError on a device that it does not know.
    """
    if device.type not in ("cpu", "cuda"):
        raise ModelError(
            f"model.dtype nf4 does not work on {device.type}",
            hint="set model.dtype to auto, or model.device to cpu or cuda",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependency(
            "model.dtype nf4 needs bitsandbytes, which is not installed",
            hint="pip install 'align-agent[nf4]'",
        )
    from transformers import BitsAndBytesConfig

    asked = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=computed,
    )
    return {"quantization_config": asked, "device_map": {"": device}}


def keep_as_stored(network: Any) -> None:
    """Have the packed layers leave their weights as they were loaded.

    On processors with AVX512-BF16 bitsandbytes lays them out anew in the first pass that asks for
    no gradient. The base would be written to, and no gradient goes through what it then computes.
    """
    for module in network.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
