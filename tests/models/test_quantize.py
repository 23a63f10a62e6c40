"""A base in 4 bits answers, learns and serves what it learned."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from align_agent.errors import MissingDependency, ModelError
from align_agent.models import lora, quantize
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket.world import draw_problems
from align_agent.records import Message

pytestmark = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="4 bits need bitsandbytes: pip install '.[nf4]'"
)
GREEDY = Sampling(max_new_tokens=120, temperature=0.0)


@pytest.fixture(scope="module")
def packed() -> LocalModel:
    return LocalModel.load("pocket", device="cpu", dtype="nf4")


def test_linear_layers_take_a_quarter_of_a_half(packed: LocalModel) -> None:
    layer = packed.network(None).model.layers[0].mlp.gate_proj
    assert layer.weight.dtype == torch.uint8
    assert layer.weight.numel() * 2 == layer.in_features * layer.out_features


def test_a_second_tree_copies_nothing_of_the_packed_weights(packed: LocalModel) -> None:
    base = packed.network(None)
    for one, two in zip(base.modules(), lora.twin(base).modules(), strict=True):
        assert getattr(one, "quant_state", None) is getattr(two, "quant_state", None)


def test_its_answers_stay_right(packed: LocalModel) -> None:
    problems = draw_problems("sum", 12, "nf4")
    asked = [[Message("user", p.question)] for p in problems]
    found = packed.generate_batch(asked, sampling=GREEDY)
    assert sum(p.correct(g.text) for p, g in zip(problems, found, strict=True)) >= 10


def test_lora_learns_over_it_and_is_served(packed: LocalModel, tmp_path: Path) -> None:
    prompt = [Message("user", "Hello!")]
    turn, mask = packed.encode_turn(prompt, [Message("assistant", "Moin, moin.")])
    ids = torch.tensor([turn])
    targets = torch.where(torch.tensor([mask]), ids, -100)
    student = packed.fresh_lora(8, 16, 0.0, 0)
    weights = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=5e-3)
    for _ in range(40):
        logits = student.get_base_model()(input_ids=ids, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :-1], targets[0, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    packed.save_lora(student, tmp_path / "v0001")
    before = packed.generate_batch([prompt], sampling=GREEDY)[0].text
    after = packed.generate_batch([prompt], sampling=GREEDY, adapter=tmp_path / "v0001")[0].text
    assert "Moin" in after
    assert "Moin" not in before


def test_no_pass_writes_to_the_packed_weights_whatever_the_processor_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import bitsandbytes

    monkeypatch.setattr(bitsandbytes.nn.modules, "has_avx512bf16", lambda: True)
    base = LocalModel.load("pocket", device="cpu", dtype="nf4").network(None)
    with lora.assert_untouched(base), torch.no_grad():
        base(input_ids=torch.tensor([[1, 2, 3]]), use_cache=False)


def test_without_its_library_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="bitsandbytes") as caught:
        quantize.in_four_bits(torch.float32, torch.device("cpu"))
    assert "align-agent[nf4]" in str(caught.value.hint)


def test_a_device_that_cannot_is_refused() -> None:
    with pytest.raises(ModelError, match="mps"):
        quantize.in_four_bits(torch.float32, torch.device("mps"))
