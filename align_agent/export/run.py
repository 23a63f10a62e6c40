"""`align-agent adapters export`: which version, in which form, to which place."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.adapters import files
from align_agent.errors import UsageError
from align_agent.export.place import check_free, new_file, new_folder
from align_agent.export.qwen3 import OtherArchitecture
from align_agent.models.files import fingerprint, locate
from align_agent.paths import size_of
from align_agent.records import BASE_VERSION, version_label

if TYPE_CHECKING:
    from align_agent.adapters.registry import Registry

FORMATS = ("peft", "merged", "gguf", "gguf-merged")
DTYPES = ("float16", "float32")


@dataclass(frozen=True, slots=True)
class Export:
    """What is wanted. `version` 0 is the base."""

    version: int
    form: str
    out: Path
    dtype: str = "float16"


def export(wanted: Export, registry: Registry, spec: str) -> dict[str, Any]:
    """Write a version for other programs. `spec` names the base model. Returns what was written.

    Raises UsageError, MissingDependency, ModelError, AdapterError, WrongBase, DiskFull.
    """
    if wanted.version == BASE_VERSION and wanted.form != "gguf":
        raise UsageError(
            f"the base has no adapter that could be written as {wanted.form}",
            hint="name a version such as v1; the base itself can be had with --format gguf",
        )
    out = _place(wanted, registry)
    check_free(out)  # before the long work, not after it
    base = locate(spec)
    adapter = registry.path(wanted.version, base=spec, base_hash=fingerprint(base))
    try:
        _write(wanted, out, base, adapter, f"{Path(spec).name} {version_label(wanted.version)}")
    except OtherArchitecture as error:
        error.hint = _llama_way(wanted, base)
        raise
    size = size_of(out)
    return {
        "version": wanted.version,
        "format": wanted.form,
        "path": str(out),
        "bytes": size,
    }


def _write(wanted: Export, out: Path, base: Path, adapter: Path | None, name: str) -> None:
    from align_agent.export import ggufs, merged

    if adapter is not None and wanted.form == "peft":
        with new_folder(out) as target:
            files.copy_into(adapter, target)
            # Whoever imports it can tell that it is whole, and which base it belongs to.
            files.write_manifest(target, **files.read_manifest(adapter).get("facts", {}))
    elif adapter is not None and wanted.form == "merged":
        with new_folder(out) as target:
            merged.write_merged(base, adapter, target, wanted.dtype)
    elif adapter is not None and wanted.form == "gguf":
        with new_file(out) as target:
            ggufs.write_adapter(base, adapter, target, name=name)
    else:
        with new_file(out) as target:
            ggufs.write_model(base, target, name=name, dtype=wanted.dtype, adapter=adapter)


def _place(wanted: Export, registry: Registry) -> Path:
    """Where it goes: a GGUF file gets its name from us when only a folder is told."""
    out = wanted.out.expanduser().resolve()
    if out.is_relative_to(registry.folder(1).parent):
        raise UsageError(
            f"{out} lies among align-agent's own versions", hint="choose another --out"
        )
    if not wanted.form.startswith("gguf"):
        return out
    label = "base" if wanted.version == BASE_VERSION else files.folder_name(wanted.version)
    if out.is_dir():
        merged = "-merged" if wanted.form == "gguf-merged" else ""
        return out / f"align-{label}{merged}.gguf"
    if out.suffix != ".gguf":
        raise UsageError(
            f"{out.name} has no name of a GGUF file", hint=f"for example {out.name}-{label}.gguf"
        )
    adapter = wanted.form == "gguf" and wanted.version != BASE_VERSION
    if adapter and not files.names_version(out.name, wanted.version):
        raise UsageError(
            f"behind llama-server a version is known by its file's name, and {out.name} does not "
            f"tell {version_label(wanted.version)}",
            hint=f"for example {out.stem}-{label}.gguf",
        )
    return out


def _llama_way(wanted: Export, base: Path) -> str:
    """How llama.cpp's own scripts do it."""
    folder = shlex.quote(str(base))
    if wanted.version == BASE_VERSION:
        return f"llama.cpp's own script does it: python convert_hf_to_gguf.py {folder}"
    label = version_label(wanted.version)
    if wanted.form == "gguf-merged":
        return (
            f"`align-agent adapters export {label} --format merged --out merged-{label}`, then "
            f"llama.cpp's own script: python convert_hf_to_gguf.py merged-{label}"
        )
    file = f"{files.folder_name(wanted.version)}.gguf"
    return (
        f"`align-agent adapters export {label} --format peft --out peft-{label}`, then llama.cpp's "
        f"own script: python convert_lora_to_gguf.py peft-{label} --base {folder} --outfile {file}"
    )
