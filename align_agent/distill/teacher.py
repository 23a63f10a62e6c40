"""The teacher's side of a training: computed once, kept in memory-mapped files, read every epoch.

What is kept of each position of each answer is a table (the likeliest tokens, and the tail), or the
last hidden state, from which any distance is exact. The files belong to one training: their key is
a digest of the base and of every token that the teacher saw, hence of tokenizer, template, profile
and turn. They show what was said as plainly as the text does, so they go with the run's folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from align_agent.adapters import files
from align_agent.distill.batches import parts_of
from align_agent.distill.head import fused_table
from align_agent.distill.loss import teacher_table
from align_agent.distill.pairs import Pair
from align_agent.models import lora
from align_agent.models.forward import has_plain_head, logits_at
from align_agent.models.shortage import halving
from align_agent.models.tree import hidden_at
from align_agent.paths import fsync

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

_DONE = "teacher.json"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TeacherRow:
    """The teacher at the A positions of one answer, on the CPU: (A, K), (A, K), (A,); or (A, H)."""

    logprobs: torch.Tensor | None = None
    ids: torch.Tensor | None = None
    tail: torch.Tensor | None = None
    hidden: torch.Tensor | None = None


def teacher_rows(
    model: LocalModel,
    pairs: Sequence[Pair],
    top_k: int,
    *,
    exact: bool = False,
    tokens: int = 16_384,
    folder: Path | None = None,
    teacher: Any = None,
) -> list[TeacherRow]:
    """What the frozen base, shown the hindsight, thinks at each answer's positions.

    `exact` keeps hidden states in place of tables of `top_k`, where the logits follow from them by
    the head alone; a warning says where they do not. At most `tokens` go through the network at a
    time, fewer where memory gives out. With a `folder` the result lies in memory-mapped files
    there, and is read from them when it was computed before. `teacher` is a network in the base's
    place, whose result is never kept: it moves on. Raises ModelError when the base carries an
    adapter.
    """
    assert teacher is None or folder is None
    network = teacher
    if network is None:
        network = lora.twin(model.network(None))  # its own tree: how it attends is set on it
        lora.assert_plain(network)
    if exact and not has_plain_head(network):
        exact = False
        log.warning(
            "distill.exact: this network changes its logits behind the head, so the teacher's %d "
            "likeliest tokens and their tail are compared instead",
            top_k,
        )
    width = (
        network.get_output_embeddings().weight.shape[1] if exact else min(top_k, model.vocab_size)
    )
    total = sum(len(pair.targets) for pair in pairs)
    shapes = _shapes(total, width, exact, model.dtype)
    key = _key(model, pairs, width, exact)
    columns, known = _open(folder, shapes, key)
    if not known:
        starts = _starts(pairs)

        def compute(part: list[int]) -> dict[str, torch.Tensor]:
            with torch.no_grad():
                return _compute(network, [pairs[i] for i in part], width, exact)

        parts = parts_of([p.teacher_ids for p in pairs], tokens)
        for part, found in halving(parts, compute):
            at = 0
            for i in part:
                n = len(pairs[i].targets)
                for name, column in columns.items():
                    column[starts[i] : starts[i] + n] = found[name][at : at + n]
                at += n
        if folder is not None:
            _finish(folder, key)
    return [
        TeacherRow(**{k: c[at : at + len(p.targets)] for k, c in columns.items()})
        for p, at in zip(pairs, _starts(pairs), strict=True)
    ]


def _compute(
    network: Any, pairs: Sequence[Pair], width: int, exact: bool
) -> dict[str, torch.Tensor]:
    """The columns (N, ...) of some pairs, in their order."""
    ids = [p.teacher_ids for p in pairs]
    positions = [p.teacher_positions for p in pairs]
    if not has_plain_head(network):
        logits = logits_at(network, ids, positions)  # (B, A, V)
        rows = torch.cat([logits[i, : len(p)] for i, p in enumerate(positions)])
        return _columns(*teacher_table(rows, width))
    hidden = hidden_at(network, ids, positions)  # (N, H)
    if exact:
        return {"hidden": hidden.cpu()}
    head = network.get_output_embeddings()
    return _columns(*fused_table(hidden, head.weight, head.bias, width))


def _columns(
    logprobs: torch.Tensor, ids: torch.Tensor, tail: torch.Tensor
) -> dict[str, torch.Tensor]:
    return {"logprobs": logprobs.cpu(), "ids": ids.cpu(), "tail": tail.cpu()}


def _shapes(
    total: int, width: int, exact: bool, dtype: torch.dtype
) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    if exact:
        return {"hidden": (dtype, (total, width))}
    return {
        "logprobs": (torch.float32, (total, width)),
        "ids": (torch.int64, (total, width)),
        "tail": (torch.float32, (total,)),
    }


def _open(
    folder: Path | None, shapes: dict[str, tuple[torch.dtype, tuple[int, ...]]], key: str
) -> tuple[dict[str, torch.Tensor], bool]:
    """The columns, and whether they hold what was computed before."""
    if folder is None:
        return {name: torch.empty(shape, dtype=t) for name, (t, shape) in shapes.items()}, False
    with files.disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = _known(folder, key)
        if not known:
            (folder / _DONE).unlink(missing_ok=True)
        columns = {}
        for name, (dtype, shape) in shapes.items():
            size = torch.Size(shape).numel()
            path = folder / f"teacher.{name}"
            if not known:
                path.unlink(missing_ok=True)  # a file of another size may lie here
                _reserve(path, size * dtype.itemsize)
            columns[name] = torch.from_file(str(path), shared=True, size=size, dtype=dtype).reshape(
                shape
            )
    return columns, known


def _reserve(path: Path, size: int) -> None:
    """Make the file with all its blocks: a disk that is full must not be found out by a signal."""
    with path.open("wb") as stream:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, size)
        else:
            stream.truncate(size)


def _known(folder: Path, key: str) -> bool:
    try:
        return bool(json.loads((folder / _DONE).read_text(encoding="utf-8")) == {"key": key})
    except (OSError, ValueError):
        return False


def _finish(folder: Path, key: str) -> None:
    """Say that the columns are whole, once they are on the disk."""
    with files.disk_errors(folder):
        for path in folder.glob("teacher.*"):
            fsync(path)
        aside = folder / f".{_DONE}"
        aside.write_text(json.dumps({"key": key}), encoding="utf-8")
        fsync(aside)
        aside.replace(folder / _DONE)


def _key(model: LocalModel, pairs: Sequence[Pair], width: int, exact: bool) -> str:
    digest = hashlib.sha256(f"{model.base_hash} {model.dtype} {width} {exact}".encode())
    for pair in pairs:
        digest.update(repr((pair.teacher_ids, pair.teacher_positions)).encode())
    return digest.hexdigest()


def _starts(pairs: Sequence[Pair]) -> list[int]:
    starts, at = [], 0
    for pair in pairs:
        starts.append(at)
        at += len(pair.targets)
    return starts
