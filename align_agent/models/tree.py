"""Many token sequences as one without padding: what they begin with in common is computed once.

The sequences are laid out as a tree: each brings only the tokens in which it differs from the one
before it in sorted order, and attends to the shared beginning where that already stands. Turns of
one conversation share its history, fresh answers their prompt, all examples a system message.
Exact: a token sees what it would see alone, at the position it would have alone. Networks whose
layers do not go through transformers' attention interface are found out and left to padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch

from align_agent.models import rope
from align_agent.models.forward import body, pad_right, without_dropout

ATTENTION = "align_tree"
_ROUNDING = 0.15  # of a hidden state's length, in half precision
_PACKS: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Branch:
    """The `length` tokens that one sequence brings. `path`: the (branch, first, last) pieces of
    earlier branches, root first, that its own tokens follow."""

    length: int
    path: tuple[tuple[int, int, int], ...]

    @property
    def before(self) -> int:
        return sum(last - first for _, first, last in self.path)


@dataclass(frozen=True, slots=True)
class Tree:
    """Sequences laid out one branch after the other.

    `ids` and `positions` (T,); `places[i][j]` is where token j of sequence i stands in them,
    `ends[i]` the pieces that make up the whole of it. `kept` holds each layer's keys and values
    where they are wanted for later; `past` is the tree whose branches, counted before this one's,
    these ones follow.
    """

    ids: list[int]
    positions: list[int]
    branches: list[Branch]
    places: list[list[int]]
    ends: list[tuple[tuple[int, int, int], ...]] = field(default_factory=list)
    masks: dict[tuple[int, int, int], torch.Tensor] = field(default_factory=dict)
    kept: dict[int, tuple[torch.Tensor, torch.Tensor]] | None = None
    past: Tree | None = None


def shared(one: Sequence[int], two: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    length = min(len(one), len(two))
    if one[:length] == two[:length]:
        return length
    low, high = 0, length  # one[:low] equal, one[:high] not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[:middle] == two[:middle] else (low, middle)
    return low


def grow(sequences: Sequence[Sequence[int]]) -> Tree:
    """Lay the sequences (each of a token or more) out as a tree."""
    ordered = sorted(range(len(sequences)), key=lambda i: tuple(sequences[i]))
    tree = Tree([], [], [], [[] for _ in sequences], [() for _ in sequences])
    before: Sequence[int] = ()
    places: list[int] = []
    path: list[tuple[int, int, int]] = []  # pieces that the sequence before stands on, itself last
    for i in ordered:
        tokens = sequences[i]
        common = shared(before, tokens)
        path = _upto(path, common)
        places = places[:common]
        if len(tokens) > common:
            start = len(tree.ids)
            tree.branches.append(Branch(len(tokens) - common, tuple(path)))
            tree.ids.extend(tokens[common:])
            tree.positions.extend(range(common, len(tokens)))
            places = [*places, *range(start, len(tree.ids))]
            path = [*path, (len(tree.branches) - 1, 0, len(tokens) - common)]
        tree.places[i] = places
        tree.ends[i] = tuple(path)
        before = tokens
    return tree


def hidden_at(
    network: Any,
    sequences: Sequence[Sequence[int]],
    positions: Sequence[Sequence[int]],
    *,
    prompt_gradient: bool = True,
) -> torch.Tensor:
    """The last hidden states (N, H) at the given positions, sequence after sequence.

    sequences: B lists of token ids. positions: B ascending lists of indices into them, N in all.
    Call it on a network of your own (`lora.twin`): its way of attending is set. A network that
    cannot be packed is given padded rows, with the same result. Rows that would turn each other's
    positions go through apart (`rope.apart`).

    Without `prompt_gradient` what stands before a sequence's first position is computed for its
    keys and values alone, and no gradient goes there: a truncated one. Padded rows have the whole.
    """
    cut = [list(s[: p[-1] + 1]) for s, p in zip(sequences, positions, strict=True)]
    parts = rope.apart(network, [len(row) for row in cut])
    if len(parts) == 1:
        return _together(network, cut, positions, prompt_gradient)
    found: list[torch.Tensor] = [torch.empty(0)] * len(cut)
    for part in parts:
        rows = [positions[i] for i in part]
        states = _together(network, [cut[i] for i in part], rows, prompt_gradient)
        for i, some in zip(part, states.split([len(row) for row in rows]), strict=True):
            found[i] = some
    return torch.cat(found)


def _together(
    network: Any,
    cut: list[list[int]],
    positions: Sequence[Sequence[int]],
    prompt_gradient: bool,
) -> torch.Tensor:
    """`hidden_at` for sequences that end at their last position, in one pass."""
    starts = [row[0] for row in positions]
    # A beginning apart from its end would be turned as a short text.
    prompt_gradient = prompt_gradient or rope.is_long(network, max(map(len, cut)))
    if can_pack(network) and not prompt_gradient and min(starts) > 0:
        tree = _behind(network, cut, starts)
        hidden = _run(network, tree)
        at = [
            tree.places[i][j - start]
            for i, (row, start) in enumerate(zip(positions, starts, strict=True))
            for j in row
        ]
        return hidden[torch.tensor(at, device=hidden.device)]
    if can_pack(network):
        tree = grow(cut)
        hidden = _run(network, tree)
        at = [tree.places[i][j] for i, row in enumerate(positions) for j in row]
        return hidden[torch.tensor(at, device=hidden.device)]
    rope.forget(network)
    hidden = body(network)(input_ids=pad_right(cut, network.device), use_cache=False)
    states = hidden.last_hidden_state
    return torch.cat([states[i, list(row)] for i, row in enumerate(positions)])


def _behind(network: Any, sequences: Sequence[Sequence[int]], starts: Sequence[int]) -> Tree:
    """The ends of the sequences, behind beginnings whose keys and values are computed here."""
    past = replace(
        grow([row[:start] for row, start in zip(sequences, starts, strict=True)]), kept={}
    )
    with torch.no_grad():
        _run(network, past)
    tree = Tree([], [], [], [[] for _ in sequences], past=past)
    for i, (row, start) in enumerate(zip(sequences, starts, strict=True)):
        first = len(tree.ids)
        tree.branches.append(Branch(len(row) - start, past.ends[i]))
        tree.ids.extend(row[start:])
        tree.positions.extend(range(start, len(row)))
        tree.places[i] = list(range(first, len(tree.ids)))
    return tree


def can_pack(network: Any) -> bool:
    """Whether the network computes the same on a tree as row by row; asked once, by trying."""
    known = _PACKS.get(network)
    if known is None:
        rows = [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3], [0, 1, 2, 5, 4, 3, 2], [5, 1]]
        with torch.no_grad(), without_dropout(network):
            alone = [
                body(network)(
                    input_ids=torch.tensor([row], device=network.device), use_cache=False
                ).last_hidden_state[0]
                for row in rows
            ]
            plain = network.config._attn_implementation
            try:
                tree = grow(rows)
                packed = _run(network, tree)
                known = all(
                    _alike(packed[places], one)
                    for places, one in zip(tree.places, alone, strict=True)
                )
            except (TypeError, ValueError, KeyError, RuntimeError, AttributeError):
                known = False  # whatever it does with its attention, it is not this
            if not known:
                _attend_by(network, plain)
        _PACKS[network] = known
    return known


def _alike(packed: torch.Tensor, alone: torch.Tensor) -> bool:
    """Whether hidden states (T, H) are the same but for rounding.

    In half precision that grows from layer to layer, where kernels differ: 1 to 5% of a state were
    seen, single numbers more. States that saw the wrong tokens are more than their length apart.
    """
    if alone.dtype in (torch.float32, torch.float64):
        return bool(torch.allclose(packed, alone, rtol=1e-3, atol=1e-4))
    apart = (packed.float() - alone.float()).norm(dim=-1)
    return bool((apart <= _ROUNDING * alone.float().norm(dim=-1)).all())


def _run(network: Any, tree: Tree) -> torch.Tensor:
    from transformers import AttentionInterface

    rope.forget(network)
    AttentionInterface.register(ATTENTION, _attention)
    _attend_by(network, ATTENTION)
    found: torch.Tensor = body(network)(
        input_ids=torch.tensor([tree.ids], device=network.device),
        position_ids=torch.tensor([tree.positions], device=network.device),
        use_cache=False,
        tree=tree,
    ).last_hidden_state[0]  # (T, H)
    return found


def _attend_by(network: Any, name: str) -> None:
    for module in network.modules():
        config = getattr(module, "config", None)
        if config is not None and hasattr(config, "_attn_implementation"):
            config._attn_implementation = name


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    *,
    tree: Tree | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """query (B, heads, T, D), key and value (B, kv heads, T, D) -> (B, T, heads, D)."""
    if more.get("softcap") is not None or more.get("s_aux") is not None:
        raise ValueError("attention with a cap or a sink is not packed")
    if tree is None:  # plain rows, filled up on the right
        tree = Tree([], [], [Branch(query.shape[2], ())], [])
    lengths = [branch.length for branch in tree.branches]
    queries = query.split(lengths, dim=2)
    # Split once: slicing the whole for each branch would give each a gradient as long as the whole.
    keys, values = key.split(lengths, dim=2), value.split(lengths, dim=2)
    if tree.kept is not None:
        tree.kept[module.layer_idx] = key, value
    if tree.past is not None and tree.past.kept is not None:
        early = [branch.length for branch in tree.past.branches]
        old_keys, old_values = tree.past.kept[module.layer_idx]
        keys = (*old_keys.split(early, dim=2), *keys)
        values = (*old_values.split(early, dim=2), *values)
    own = len(keys) - len(tree.branches)  # the first branch that is this tree's
    out = []
    for i, branch in enumerate(tree.branches):
        before = branch.before
        if branch.path:
            k = torch.cat([*(keys[b][:, :, s:e] for b, s, e in branch.path), keys[own + i]], dim=2)
            v = torch.cat(
                [*(values[b][:, :, s:e] for b, s, e in branch.path), values[own + i]], dim=2
            )
        else:
            k, v = keys[own + i], values[own + i]
        window = sliding_window if sliding_window and before + branch.length > sliding_window else 0
        mask = _mask(tree, branch.length, before, window, query.device)
        if query.device.type != "cpu" and (mask is not None or query.dtype == torch.float32):
            k, v = _for_each_head(k, query.shape[1]), _for_each_head(v, query.shape[1])
        out.append(
            torch.nn.functional.scaled_dot_product_attention(
                queries[i],
                k,
                v,
                attn_mask=mask,
                is_causal=mask is None,
                dropout_p=dropout,
                scale=scaling,
                enable_gqa=k.shape[1] != query.shape[1],
            )
        )
    return torch.cat(out, dim=2).transpose(1, 2), None


def _for_each_head(states: torch.Tensor, heads: int) -> torch.Tensor:
    """Keys or values (B, kv heads, T, D) as (B, heads, T, D).

    A card's kernels that hold no table of scores take fewer of them than queries in half precision
    without a mask alone; else torch would fall back to one of (heads, T, T) and keep it.
    """
    return states.repeat_interleave(heads // states.shape[1], dim=1)


def _mask(
    tree: Tree, length: int, before: int, window: int, device: torch.device
) -> torch.Tensor | None:
    """(length, before + length), True where a token may look; None: causal, nothing before."""
    if not before and not window:
        return None
    key = (length, before, window)
    if key not in tree.masks:
        rows = torch.arange(before, before + length, device=device)[:, None]
        columns = torch.arange(before + length, device=device)
        mask = columns <= rows
        tree.masks[key] = mask & (columns > rows - window) if window else mask
    return tree.masks[key]


def _upto(path: list[tuple[int, int, int]], length: int) -> list[tuple[int, int, int]]:
    """The first `length` tokens of a path."""
    kept = []
    for branch, first, last in path:
        if length <= 0:
            break
        kept.append((branch, first, min(last, first + length)))
        length -= last - first
    return kept
