"""A byte-level BPE tokenizer as GGUF holds it. Pure: from tokenizer.json to lists.

llama.cpp cuts text into words by rules that are compiled into it and chosen by a name, so only
tokenizers whose rules have a name there can be exported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_agent.errors import ModelError
from align_agent.export.qwen3 import OtherArchitecture
from align_agent.models.files import read_json

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
# The rule by which Qwen's tokenizers cut, as it stands in their tokenizer.json.
_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the `tokenizer.ggml.*` keys say. `ends` are ids that end an answer, the usual first."""

    pre: str
    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    ends: tuple[int, ...]
    padding: int | None
    template: str


def read_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """The tokenizer of the model in `folder`, filled up to `rows` tokens.

    Raises OtherArchitecture for a tokenizer of another kind, ModelError.
    """
    data = read_json(folder / "tokenizer.json")
    settings = read_json(folder / "tokenizer_config.json")
    model = data.get("model") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise OtherArchitecture("the base's tokenizer is no byte-level BPE")
    normalizer = (data.get("normalizer") or {}).get("type")
    # NFC is what Qwen asks for and llama.cpp leaves out, in its own conversions too.
    if normalizer not in (None, "NFC"):
        raise OtherArchitecture(f"the base's tokenizer rewrites its text ({normalizer})")
    ids: dict[str, int] = dict(model["vocab"])
    kinds = dict.fromkeys(ids.values(), NORMAL)
    for added in data.get("added_tokens") or ():
        if any(added.get(flag) for flag in ("lstrip", "rstrip", "single_word")):
            raise OtherArchitecture(f"the base's token {added['content']} swallows its neighbours")
        ids[added["content"]] = added["id"]
        kinds[added["id"]] = CONTROL if added.get("special") else USER_DEFINED
    if max(kinds) >= rows:
        raise ModelError(
            "the base's tokenizer has more tokens than its embedding", hint="fetch the model again"
        )
    texts = {number: text for text, number in ids.items()}
    return Vocabulary(
        _rules(data.get("pre_tokenizer")),
        tuple(texts.get(number, f"[PAD{number}]") for number in range(rows)),
        tuple(kinds.get(number, UNUSED) for number in range(rows)),
        tuple(m if isinstance(m, str) else " ".join(m) for m in model["merges"]),
        _ends(folder, settings, ids),
        ids.get(_text(settings.get("pad_token"))),
        _template(folder, settings),
    )


def _rules(pre: Any) -> str:
    """llama.cpp's name for a pre-tokenizer. Raises OtherArchitecture for one without a name."""
    parts = pre.get("pretokenizers", [pre]) if isinstance(pre, Mapping) else []
    shown = [_rule(part) for part in parts]
    names = {
        ("bytes by words",): "gpt-2",
        ("digits", "bytes by words"): "smollm",  # its rules are these, whatever the model
        ("qwen", "bytes"): "qwen2",
    }
    name = names.get(tuple(shown))
    if name is None:
        raise OtherArchitecture("the base's tokenizer cuts text by rules unknown to llama.cpp")
    return name


def _rule(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if kind == "Digits" and part.get("individual_digits"):
        return "digits"
    if kind == "ByteLevel" and not part.get("add_prefix_space"):
        return "bytes by words" if part.get("use_regex", True) else "bytes"
    if kind != "Split" or (part.get("pattern") or {}).get("Regex") != _QWEN:
        return ""
    if part.get("behavior") == "Isolated" and not part.get("invert"):
        return "qwen"
    return ""


def _ends(folder: Path, settings: Mapping[str, Any], ids: Mapping[str, int]) -> tuple[int, ...]:
    found = [ids.get(_text(settings.get("eos_token")))]
    for name in ("generation_config.json", "config.json"):
        if (folder / name).is_file():
            told = read_json(folder / name).get("eos_token_id")
            found += told if isinstance(told, Sequence) else [told]
    ends = tuple(dict.fromkeys(number for number in found if number is not None))
    if not ends:
        raise ModelError("the base names no token that ends an answer", hint="see its config.json")
    return ends


def _template(folder: Path, settings: Mapping[str, Any]) -> str:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    told = settings.get("chat_template") or ""
    if isinstance(told, list):  # several, by name
        told = next((t["template"] for t in told if t.get("name") == "default"), "")
    return str(told)


def _text(token: Any) -> str:
    """A special token is told as its text, or as an object that holds it."""
    return str(token.get("content", "")) if isinstance(token, Mapping) else str(token or "")
