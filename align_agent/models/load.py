"""From the configuration to a model in memory. Light until it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from align_agent.config.sections import ModelConfig
from align_agent.errors import MissingDependency

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

_NEEDED = ("torch", "transformers", "peft", "tokenizers", "safetensors")


def load_model(settings: ModelConfig) -> LocalModel:
    """The base model that the configuration names.

    Raises ModelError, and MissingDependency when a package of the extra `train` is not installed.
    """
    try:
        from align_agent.models.local import LocalModel
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _NEEDED:  # a fault of another kind must not be told as this one
            raise
        raise MissingDependency(
            f"the local model needs {package}, which is not installed",
            hint="pip install 'align-agent[train]'",
        ) from error
    return LocalModel.load(
        settings.base, device=settings.device, dtype=settings.dtype, threads=settings.threads
    )
