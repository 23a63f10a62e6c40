"""The embedded model: its world, its training, its weights."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
