"""What the command line imports must not load torch: each module in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = [
    "align_agent.models",
    "align_agent.models.answer",
    "align_agent.models.chat",
    "align_agent.models.files",
    "align_agent.models.generation",
    "align_agent.models.toolcalls",
    "align_agent.distill",
    "align_agent.distill.hindsight",
    "align_agent.distill.pairs",
    "align_agent.distill.select",
]


@pytest.mark.uncounted
@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'transformers', 'peft', 'numpy', 'sqlite_utils', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
