"""GGUF files for llama.cpp and what is built on it: a base, a base with an adapter in it, a LoRA.

Written with the `gguf` package (the extra of that name), tensor by tensor. Only the Qwen3
architecture; for others llama.cpp's own scripts are named.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from align_agent.errors import MissingDependency, ModelError
from align_agent.export import qwen3
from align_agent.export.vocabulary import Vocabulary, read_vocabulary
from align_agent.export.weights import Lora, open_weights
from align_agent.models.files import read_json

_BYTES = {"float32": 4, "float16": 2}


def write_model(
    base: Path, target: Path, *, name: str, dtype: str, adapter: Path | None = None
) -> None:
    """A whole model, from the base's folder; with `adapter` it is merged, in fp32.

    Raises MissingDependency, OtherArchitecture, ModelError, AdapterError, WrongBase.
    """
    shape = qwen3.Shape.read(read_json(base / "config.json"))
    vocabulary = read_vocabulary(base, shape.rows)
    lora = Lora.read(adapter) if adapter is not None else None
    with _writer(target) as (writer, gguf), open_weights(base, lora) as weights:
        writer.add_type(gguf.GGUFType.MODEL)
        writer.add_name(name)
        _describe(writer, gguf, shape, dtype)
        _tell(writer, vocabulary)
        tensors = []
        for origin in weights.names:
            part = qwen3.gguf_name(origin.removesuffix(".weight"))
            if part is None:
                raise qwen3.OtherArchitecture(f"the base has {origin}, which no plain qwen3 has")
            if part == "output" and shape.tied:
                continue
            # Norms are one row each; llama.cpp computes with them in fp32 only.
            kind = dtype if len(weights.shape(origin)) > 1 else "float32"
            tensors.append((origin, part, kind))
        lacking = shape.expected() - {part for _, part, _ in tensors}
        if lacking:
            raise ModelError(f"the base lacks {min(lacking)}", hint="fetch the model again")
        for origin, part, kind in tensors:
            _announce(writer, f"{part}.weight", weights.shape(origin), kind)
        _begin(writer)
        for origin, _, kind in tensors:
            writer.write_tensor_data(weights.get(origin, kind).numpy())


def write_adapter(base: Path, adapter: Path, target: Path, *, name: str) -> None:
    """A LoRA for `llama-server --lora`, in fp32.

    Raises MissingDependency, OtherArchitecture, AdapterError, WrongBase.
    """
    qwen3.check(read_json(base / "config.json"))
    lora = Lora.read(adapter)
    with open_weights(base, lora):  # it fits this base, or that says so
        pass
    with _writer(target) as (writer, gguf):
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_name(name)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, lora.alpha)
        tensors = []
        for module, pair in lora.pairs.items():
            part = qwen3.gguf_name(module)
            if part is None:
                raise qwen3.OtherArchitecture(f"the adapter changes {module}, unknown to llama.cpp")
            tensors += [(f"{part}.weight.lora_{x}", t) for x, t in zip("ab", pair, strict=True)]
        for title, tensor in tensors:
            _announce(writer, title, tuple(tensor.shape), "float32")
        _begin(writer)
        for _, tensor in tensors:
            writer.write_tensor_data(tensor.contiguous().numpy())


def _describe(writer: Any, gguf: Any, shape: qwen3.Shape, dtype: str) -> None:
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_freq_base(shape.rope_base)
    kinds = gguf.LlamaFileType
    writer.add_file_type(kinds.ALL_F32 if dtype == "float32" else kinds.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _tell(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")  # GGUF's word for every byte-level BPE
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    writer.add_token_merges(vocabulary.merges)
    writer.add_eos_token_id(vocabulary.ends[0])
    for second in vocabulary.ends[1:2]:
        writer.add_eot_token_id(second)
    if vocabulary.padding is not None:
        writer.add_pad_token_id(vocabulary.padding)
    writer.add_add_bos_token(False)  # the chat template writes every token that there is
    if vocabulary.template:
        writer.add_chat_template(vocabulary.template)


def _announce(writer: Any, name: str, shape: tuple[int, ...], dtype: str) -> None:
    import numpy

    size = _BYTES[dtype]
    for side in shape:
        size *= side
    writer.add_tensor_info(name, shape, numpy.dtype(dtype), size)


def _begin(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()


@contextmanager
def _writer(target: Path) -> Iterator[tuple[Any, Any]]:
    try:
        import gguf
    except ModuleNotFoundError as error:
        if error.name != "gguf":
            raise
        raise MissingDependency(
            "writing GGUF needs gguf, which is not installed",
            hint="pip install 'align-agent[gguf]'",
        ) from error
    writer = gguf.GGUFWriter(target, qwen3.ARCHITECTURE)
    try:
        yield writer, gguf
    finally:
        writer.close()
