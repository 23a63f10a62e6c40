"""Adapters with random weights: they change every answer, and need no training."""

from __future__ import annotations

from pathlib import Path

import torch

from align_agent.models.local import LocalModel


def make_adapter(model: LocalModel, folder: Path, scale: float = 0.5, rank: int = 4) -> Path:
    peft = model.fresh_lora(rank, 2.0 * rank, 0.0, seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    model.save_lora(peft, folder)
    return folder
