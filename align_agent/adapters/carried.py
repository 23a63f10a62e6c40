"""Versions that were exported, here or on another machine, and come in again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from align_agent.adapters import files
from align_agent.adapters.registry import Registry
from align_agent.errors import WrongBase
from align_agent.records import Adapter

if TYPE_CHECKING:
    from align_agent.store import Store


def import_folder(
    registry: Registry, store: Store, source: Path, *, base: str, base_hash: str
) -> Adapter:
    """A version from a folder that `export` wrote.

    Refused unless every file agrees with the folder's manifest and the manifest names exactly this
    base: AdapterDamaged, WrongBase. Importing the same files again returns the version that they
    became.
    """
    manifest = files.verify(source)
    facts = manifest.get("facts", {})
    told = str(facts.get("base_hash") or "")
    if not told or told != base_hash:
        trained = f"`{facts.get('base', 'an unknown base')}`"
        raise WrongBase(
            f"the adapter in {source} was trained on {trained}, whose weights are not those of "
            f"`{base}`",
            hint="set `model.base` to the model that it was trained on",
        )
    for adapter in store.adapters.list():
        folder = registry.folder(adapter.version)
        alive = not adapter.deleted and folder.is_dir()
        if alive and files.read_manifest(folder)["files"] == manifest["files"]:
            return adapter
    why = f"imported from {source}; no gate of this home has seen it"
    return registry.take_in(source, base=base, base_hash=base_hash, why=why)
