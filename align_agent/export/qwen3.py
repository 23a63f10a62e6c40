"""What GGUF calls the parts of a Qwen3 model. Pure: from its config.json to names and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from align_agent.errors import ModelError

ARCHITECTURE = "qwen3"
_LAYER = re.compile(r"model\.layers\.(\d+)\.([a-z_.]+)")
_PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


class OtherArchitecture(ModelError):
    """This base's GGUF is llama.cpp's own work."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a Qwen3 model."""

    layers: int
    context: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float
    rope_base: float
    rows: int  # of the embedding: at least as many as there are tokens
    tied: bool

    @staticmethod
    def read(config: Mapping[str, Any]) -> Shape:
        """From config.json. Raises OtherArchitecture, and ModelError when a number is missing."""
        check(config)
        rope = config.get("rope_parameters") or {}
        try:
            return Shape(
                layers=int(config["num_hidden_layers"]),
                context=int(config["max_position_embeddings"]),
                hidden=int(config["hidden_size"]),
                inner=int(config["intermediate_size"]),
                heads=int(config["num_attention_heads"]),
                kv_heads=int(config["num_key_value_heads"]),
                head_size=int(config["head_dim"]),
                epsilon=float(config["rms_norm_eps"]),
                rope_base=float(rope.get("rope_theta") or config["rope_theta"]),
                rows=int(config["vocab_size"]),
                tied=bool(config.get("tie_word_embeddings")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"the base's config.json lacks a number: {error}", hint="fetch the model again"
            ) from error

    def expected(self) -> set[str]:
        """The names that a GGUF file of this model holds, without `.weight`."""
        parts = {f"blk.{n}.{part}" for n in range(self.layers) for part in _PARTS.values()}
        whole = {name for name in _WHOLE.values() if name != "output" or not self.tied}
        return parts | whole


def check(config: Mapping[str, Any]) -> None:
    """Raises OtherArchitecture for anything but a plain Qwen3."""
    kind = config.get("model_type")
    if kind != ARCHITECTURE:
        raise OtherArchitecture(f"the base is a {kind} model: only qwen3 is written as GGUF here")
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    odd = {
        "rope_type": rope.get("rope_type", rope.get("type", "default")) != "default",
        "attention_bias": bool(config.get("attention_bias")),
        "use_sliding_window": bool(config.get("use_sliding_window")),
        "hidden_act": config.get("hidden_act", "silu") != "silu",
    }
    for name, is_odd in odd.items():
        if is_odd:
            raise OtherArchitecture(f"the base is no plain qwen3 model: {name} is set otherwise")


def gguf_name(module: str) -> str | None:
    """`blk.3.attn_q` for `model.layers.3.self_attn.q_proj`; None for what is not known."""
    if module in _WHOLE:
        return _WHOLE[module]
    found = _LAYER.fullmatch(module)
    if found is None or found[2] not in _PARTS:
        return None
    return f"blk.{int(found[1])}.{_PARTS[found[2]]}"
