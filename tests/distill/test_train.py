from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from align_agent.distill import gradient as gradient_module
from align_agent.distill import memory
from align_agent.distill import teacher as teacher_module
from align_agent.distill.batches import plan_batches
from align_agent.distill.gap import divergences
from align_agent.distill.gradient import Lesson, encode_examples
from align_agent.distill.hindsight import Example, build_hindsight
from align_agent.distill.loss import Formula
from align_agent.distill.pairs import pair_of
from align_agent.distill.teacher import teacher_rows
from align_agent.distill.train import learning_rate, schedule, train
from align_agent.errors import InputError, TrainingDiverged
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.models.tree import hidden_at
from align_agent.records import Message

RULES = ["Write plain text: no bold, no lists, no headings.", "Keep answers short."]
WISH = "No bullet points, please."


@dataclass(frozen=True)
class Settings:
    """`config.distill`, with a rate and length that suit a few examples."""

    epochs: int = 12
    batch_size: int = 8
    learning_rate: float | str = 5e-3
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    loss: str = "reverse_kl"
    top_k: int = 20
    token_clip: float = 10.0
    sample_cap: float = 2.0
    max_grad_norm: float = 1.0
    warmup_steps: int = 2
    mask_first_tokens: int = 0
    max_minutes: float = 60
    max_memory_gb: float = 0.0
    exact: bool = False
    gradient_checkpointing: bool = False
    reasoning: bool = False
    prompt_gradient: bool = True


SHORT = Settings(epochs=1, batch_size=4)


def make_examples(model: LocalModel, count: int) -> list[Example]:
    prompts = [(Message("user", f"What is {i} plus {i * 7 % 10}?"),) for i in range(count)]
    answers = model.generate_batch(
        prompts, sampling=Sampling(max_new_tokens=40, temperature=1.0, seed=1)
    )
    return [
        Example(
            f"turn-{i}",
            prompt,
            (answer.message(),),
            build_hindsight(RULES, WISH),
            complete=answer.finish_reason != "length",
        )
        for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
        if answer.text.strip()
    ]


@pytest.fixture(scope="module")
def examples(tiny_model: LocalModel) -> list[Example]:
    return make_examples(tiny_model, 16)


def state(model: LocalModel) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.network(None).state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def gap(model: LocalModel, examples: list[Example], adapter: Path | None) -> float:
    pairs = [found for e in examples if (found := pair_of(model, e)) is not None]
    values = divergences(model, pairs, adapter)
    return sum(values) / len(values)


def test_training_moves_the_student_to_the_teacher_and_leaves_the_base_bit_for_bit(
    model_dir: Path, tmp_path: Path
) -> None:
    model = LocalModel.load(str(model_dir), device="cpu")
    examples = make_examples(model, 16)
    before, weights = gap(model, examples, None), state(model)
    result = train(model, examples, Settings(), seed=0, out_dir=tmp_path)
    assert result.steps == len(result.metrics) > 0
    assert gap(model, examples, tmp_path) < before / 2
    assert state(model) == weights
    assert gap(model, examples, None) == before


@pytest.mark.parametrize("kind", ["forward_kl", "jsd", "sampled"])
def test_every_kind_of_loss_closes_the_gap(
    kind: str, tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    before = gap(tiny_model, examples, None)
    cfg = Settings(loss=kind, epochs=20 if kind == "sampled" else 12)
    train(tiny_model, examples, cfg, seed=0, out_dir=tmp_path)
    assert gap(tiny_model, examples, tmp_path) < before * (0.9 if kind == "sampled" else 0.6)


def test_the_same_seed_gives_the_same_bytes(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    cfg = Settings(epochs=2, lora_dropout=0.1)
    for noise, name in enumerate(("one", "two")):
        torch.manual_seed(noise)
        train(tiny_model, examples, cfg, seed=5, out_dir=tmp_path / name)
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_another_seed_gives_another_adapter(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    for seed in (1, 2):
        train(tiny_model, examples, SHORT, seed=seed, out_dir=tmp_path / str(seed))
    one, two = (tmp_path / str(seed) / "adapter_model.safetensors" for seed in (1, 2))
    assert one.read_bytes() != two.read_bytes()


def test_training_leaves_the_worlds_random_numbers_alone(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    train(tiny_model, examples[:4], SHORT, seed=0, out_dir=tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_an_anchor_without_hindsight_pulls_nowhere(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    anchors = [
        Example(e.turn_id, e.prompt, e.response, "", use="anchor", complete=e.complete)
        for e in examples[:4]
    ]
    result = train(tiny_model, anchors, SHORT, seed=0, out_dir=tmp_path)
    assert result.metrics[0]["loss"] == pytest.approx(0, abs=1e-5)
    assert result.metrics[0]["grad_norm"] == pytest.approx(0, abs=1e-3)


def test_every_step_is_reported_with_its_figures(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    seen: list[tuple[int, int, dict[str, float]]] = []
    result = train(
        tiny_model, examples, SHORT, seed=0, out_dir=tmp_path, on_step=lambda *x: seen.append(x)
    )
    steps = math.ceil(len(examples) / 4)
    assert [(step, total) for step, total, _ in seen] == [(i + 1, steps) for i in range(steps)]
    assert [figures for *_, figures in seen] == result.metrics
    assert {"loss", "kl", "grad_norm", "learning_rate", "clipped", "tokens"} <= set(seen[0][2])
    assert all(math.isfinite(value) for *_, figures in seen for value in figures.values())
    assert result.examples == len(examples)


def test_a_batch_in_parts_has_the_gradient_of_the_whole(
    tiny_model: LocalModel, examples: list[Example]
) -> None:
    pairs = [pair for _, pair in encode_examples(tiny_model, examples, 0)[0]]
    rows = teacher_rows(tiny_model, pairs, 20)
    batch = [Lesson(*one) for one in zip(pairs, rows, strict=True)][:5]
    found = []
    for limit in (100_000, 1):
        student = tiny_model.fresh_lora(4, 8, 0.0, 0)
        loss, figures = gradient_module._backward(student.get_base_model(), batch, Formula(), limit)
        gradient = torch.cat([p.grad.flatten() for p in student.parameters() if p.requires_grad])
        found.append((loss, figures, gradient))
    (loss, figures, gradient), (part_loss, part_figures, part_gradient) = found
    assert part_loss == pytest.approx(loss, rel=1e-4)
    assert part_figures == pytest.approx(figures, rel=1e-4)
    assert torch.allclose(part_gradient, gradient, rtol=1e-3, atol=1e-6)


def test_the_whole_vocabulary_is_compared_when_hidden_states_are_kept(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    found = []
    # A table as long as the vocabulary is exact as well: the two must agree.
    for name, cfg in (("hidden", {"exact": True}), ("table", {"top_k": 1000})):
        settings = replace(SHORT, **cfg)
        found.append(train(tiny_model, examples[:8], settings, seed=0, out_dir=tmp_path / name))
    losses = [[row["loss"] for row in result.metrics] for result in found]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_rewards_alone_move_the_student_towards_what_was_rewarded(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    rewarded = [replace(e, advantage=1.0 if i % 2 else -1.0) for i, e in enumerate(examples[:8])]
    cfg = replace(SHORT, loss="grpo", epochs=6)
    train(tiny_model, rewarded, cfg, seed=0, out_dir=tmp_path)

    def likelihood(chosen: list[Example], adapter: Path | None) -> float:
        turns = [(e.prompt, e.response) for e in chosen]
        return sum(sum(row) / len(row) for row in tiny_model.logprobs(turns, adapter=adapter))

    for chosen, sign in ((rewarded[1::2], 1), (rewarded[::2], -1)):
        assert sign * (likelihood(chosen, tmp_path) - likelihood(chosen, None)) > 0


def test_checkpointed_layers_have_the_same_gradient(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    rows = []
    for on in (False, True):
        cfg = replace(SHORT, gradient_checkpointing=on)
        out = tmp_path / str(on)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*checkpointing_enable")
            rows.append(train(tiny_model, examples[:4], cfg, seed=0, out_dir=out).metrics[-1])
    assert rows[0] == pytest.approx(rows[1], rel=1e-4)


def test_a_step_without_enough_memory_is_done_again_in_smaller_parts(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(tiny_model, examples, SHORT, seed=0, out_dir=tmp_path / "whole")
    sizes: list[int] = []

    def small_card(network: Any, ids: Any, positions: Any, **more: Any) -> torch.Tensor:
        sizes.append(sum(map(len, ids)))
        if sizes[-1] > 150 and len(ids) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return hidden_at(network, ids, positions, **more)

    monkeypatch.setattr(gradient_module, "hidden_at", small_card)
    found = train(tiny_model, examples, SHORT, seed=0, out_dir=tmp_path / "parts")
    assert found.steps == expected.steps
    assert max(sizes) > 150
    for one, two in zip(found.metrics, expected.metrics, strict=True):
        assert one == pytest.approx(two, rel=1e-3, abs=1e-6)
    # Once lowered it stays so: not every step fails first.
    assert sum(size > 150 for size in sizes) < 6


def test_a_turn_that_fits_into_no_memory_ends_the_training(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_card(*_: Any, **__: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(gradient_module, "hidden_at", no_card)
    with pytest.raises(torch.OutOfMemoryError):
        train(tiny_model, examples, SHORT, seed=0, out_dir=tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_turns_too_long_for_the_allowed_memory_are_left_out_with_the_reason(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    long = Example("long", (Message("user", "x " * 300),), examples[0].response, "f")
    student = tiny_model.fresh_lora(16, 32, 0.0, 0)
    logits = 16 * tiny_model.vocab_size  # bytes a token: four copies in fp32
    room = memory.fixed_bytes(student) + 200 * (memory.bytes_per_token(student) + logits)
    cfg = replace(SHORT, max_memory_gb=room / 2**30)
    result = train(tiny_model, [long, *examples[:4]], cfg, seed=0, out_dir=tmp_path)
    assert ("long", "too long for distill.max_memory_gb") in result.skipped
    assert result.examples == 4


def test_what_a_pass_keeps_grows_with_its_tokens_as_was_probed(tiny_model: LocalModel) -> None:
    student = tiny_model.fresh_lora(4, 8, 0.0, 0)
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in student.parameters()}
    ids = [[i % 300 for i in range(512)]]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden = hidden_at(student.get_base_model(), ids, [[511]])
    found = sum(size for pointer, size in kept.items() if pointer not in weights)
    del hidden
    # What is asked for holds a quarter more, for the backward pass.
    assert 0.9 < memory.bytes_per_token(student) * 512 / (1.25 * found) < 1.2


def test_the_teachers_side_is_read_from_its_files_the_second_time(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [pair for _, pair in encode_examples(tiny_model, examples, 0)[0]]
    for exact in (False, True):
        folder = tmp_path / str(exact)
        fresh = teacher_rows(tiny_model, pairs, 20, exact=exact)
        teacher_rows(tiny_model, pairs, 20, exact=exact, folder=folder)
        with monkeypatch.context() as patched:
            patched.setattr(teacher_module, "_compute", None)  # asking it would be an error
            kept = teacher_rows(tiny_model, pairs, 20, exact=exact, folder=folder)
        for one, two in zip(fresh, kept, strict=True):
            for name in ("logprobs", "ids", "tail", "hidden"):
                left, right = getattr(one, name), getattr(two, name)
                assert (left is None and right is None) or torch.equal(left, right)
        # Another profile, hence other tokens: nothing of the old is taken.
        others = teacher_rows(tiny_model, pairs[:5], 20, exact=exact, folder=folder)
        assert len(others) == 5


def test_the_teacher_is_the_base_with_the_hindsight(
    tiny_model: LocalModel, examples: list[Example]
) -> None:
    pairs = [pair for _, pair in encode_examples(tiny_model, examples[:3], 0)[0]]
    for found, row in zip(pairs, teacher_rows(tiny_model, pairs, 20), strict=True):
        with torch.no_grad():
            logits = tiny_model.network(None)(torch.tensor([found.teacher_ids])).logits[0]
        table = logits[list(found.teacher_positions)].log_softmax(-1)
        values, _ = table.topk(20, dim=-1)
        assert torch.allclose(row.logprobs, values, atol=1e-4)
        assert torch.allclose(table.gather(-1, row.ids), row.logprobs, atol=1e-4)
        rest = 1 - values.exp().sum(-1)
        assert torch.allclose(row.tail.exp(), rest, atol=1e-4)


def test_a_loss_that_is_not_a_number_ends_the_training_and_writes_nothing(
    examples: list[Example], tiny_model_dir: Path, tmp_path: Path
) -> None:
    model = LocalModel.load(str(tiny_model_dir), device="cpu")
    model.network(None).model.norm.weight.data.fill_(float("nan"))
    with pytest.raises(TrainingDiverged, match="step 1") as caught:
        train(model, examples, SHORT, seed=0, out_dir=tmp_path / "adapter")
    assert "learning_rate" in caught.value.hint
    assert not (tmp_path / "adapter").exists()


def test_an_exploding_gradient_ends_the_training(
    tiny_model: LocalModel,
    examples: list[Example],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gradient_module, "_EXPLODED", 1e-3)
    with pytest.raises(TrainingDiverged, match="norm"):
        train(tiny_model, examples, SHORT, seed=0, out_dir=tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_a_far_too_high_rate_is_noticed(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    cfg = Settings(learning_rate=1e30, epochs=3, warmup_steps=0)
    with pytest.raises(TrainingDiverged):
        train(tiny_model, examples, cfg, seed=0, out_dir=tmp_path / "adapter")


def test_the_time_that_a_night_may_take_is_kept(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    cfg = Settings(max_minutes=0)
    result = train(tiny_model, examples, cfg, seed=0, out_dir=tmp_path)
    assert result.stopped_early
    assert result.steps == 0
    assert (tmp_path / "adapter_model.safetensors").is_file()


def test_examples_that_cannot_be_learned_from_are_named_with_the_reason(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    long = Example("long", (Message("user", "x" * 9000),), examples[0].response, "f")
    mute = Example("mute", examples[0].prompt, (Message("tool", "4"),), "f")
    result = train(tiny_model, [long, mute, *examples[:4]], SHORT, seed=0, out_dir=tmp_path)
    assert [turn_id for turn_id, _ in result.skipped] == ["long", "mute"]
    assert all(reason for _, reason in result.skipped)
    assert result.examples == 4


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_learn_from_is_an_error(
    count: int, tiny_model: LocalModel, tmp_path: Path
) -> None:
    mute = Example("mute", (Message("user", "x"),), (Message("tool", "4"),), "f")
    with pytest.raises(InputError) as caught:
        train(tiny_model, [mute] * count, SHORT, seed=0, out_dir=tmp_path)
    assert "distill plan" in caught.value.hint


def test_one_example_is_enough(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    assert train(tiny_model, examples[:1], SHORT, seed=0, out_dir=tmp_path).steps == 1


def test_an_unknown_loss_is_refused(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="mse"):
        train(tiny_model, examples, Settings(loss="mse"), seed=0, out_dir=tmp_path)


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=60),
    st.integers(1, 9),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_every_epoch_sees_every_example_once(
    lengths: list[int], batch_size: int, epochs: int, seed: int
) -> None:
    batches = plan_batches(lengths, batch_size, epochs, seed)
    per_epoch = len(batches) // epochs
    for epoch in range(epochs):
        part = batches[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert sorted(i for batch in part for i in batch) == list(range(len(lengths)))
    assert all(len(batch) <= batch_size for batch in batches)
    assert batches == plan_batches(lengths, batch_size, epochs, seed)


@given(st.integers(1, 200), st.integers(0, 50))
def test_the_rate_rises_to_its_full_height_and_falls_towards_nothing(
    steps: int, warmup: int
) -> None:
    rates = [schedule(step, steps, warmup) for step in range(steps)]
    top = min(warmup, steps - 1)
    assert rates[top] == max(rates) == 1
    assert all(a < b for a, b in pairwise(rates[: top + 1]))
    assert all(a >= b for a, b in pairwise(rates[top:]))
    assert all(rate > 0 for rate in rates)


def test_a_rate_by_name_goes_by_the_size_of_the_model(tiny_model: LocalModel) -> None:
    with torch.device("meta"):
        middle = torch.nn.Linear(10_000, 20_000)
        large = torch.nn.Linear(40_000, 40_000)
    assert learning_rate("auto", tiny_model.network(None)) == 1e-3
    assert learning_rate("auto", middle) == 5e-4
    assert learning_rate("auto", large) == 2e-4
    assert learning_rate(3e-3, large) == 3e-3
