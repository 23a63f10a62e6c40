"""Rows of several versions in one batch: one module tree that holds many adapters.

The base's products, most of the work, are computed once for all rows; PEFT adds to each row what
its own adapter says. Of use where versions are asked for side by side. Rows of one version alone
never come here: their own tree is quicker.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_agent.models import lora

_KEPT = 8
_BASE = "__base__"  # PEFT's name for a row that no adapter touches


@dataclass(frozen=True, slots=True)
class Version:
    """What answers a request: the network with its adapter active, and where that came from.

    `key` tells the adapter's state from any other's; it is None for the base.
    """

    network: Any
    key: Hashable
    adapter: Path | None = None
    mixes: bool = True


class Mixed:
    """Adapters side by side over one base. Not thread-safe: hold the model's lock."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._peft: Any = None
        self._names: OrderedDict[Hashable, str] = OrderedDict()  # the latest used last
        self._made = 0

    def load(self, versions: Sequence[Version]) -> None:
        """Load the adapters of these versions. Raises what loading an adapter raises."""
        for version in versions:
            self._name(version)

    def __call__(self, versions: Sequence[Version], **inputs: Any) -> Any:
        """The network's output, row i by `versions[i]`. At least one must have an adapter.

        Raises what loading an adapter raises.
        """
        names = [self._name(version) for version in versions]
        self._forget(set(names))
        try:
            return self._peft(adapter_names=names, **inputs)
        except BaseException:
            self._drop()  # PEFT leaves its hooks on the modules when a forward pass fails
            raise

    def _name(self, version: Version) -> str:
        if version.adapter is None:
            return _BASE
        if version.key not in self._names:
            # Names of one width: PEFT finds adapters by parts of their names.
            name = f"m{self._made:06d}"
            try:
                self._peft = lora.join_lora(self._peft, self._network, version.adapter, name)
            except BaseException:
                self._drop()  # half an adapter may be in it
                raise
            self._names[version.key] = name
            self._made += 1
        self._names.move_to_end(version.key)
        return self._names[version.key]

    def _forget(self, needed: set[str]) -> None:
        for key, name in list(self._names.items()):
            if len(self._names) > _KEPT and name not in needed:
                with warnings.catch_warnings():  # none is active here but by a row's name
                    warnings.simplefilter("ignore", UserWarning)
                    self._peft.delete_adapter(name)
                del self._names[key]

    def _drop(self) -> None:
        self._peft = None
        self._names.clear()
