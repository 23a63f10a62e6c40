from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from align_agent.errors import AdapterDamaged, ModelError, WrongBase
from align_agent.models import lora

IDS = torch.tensor([[5, 6, 7, 8, 9]])


def logits(network: Any) -> torch.Tensor:
    with torch.no_grad():
        return network(IDS).logits


def wake(peft_model: Any, seed: int = 1) -> Any:
    """Give a fresh LoRA an effect: its B matrices start at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in peft_model.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    return peft_model


@pytest.fixture
def adapter(tiny_model: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "v0001"
    tiny_model.save_lora(wake(tiny_model.fresh_lora(4, 8, 0.0, 0)), folder)
    return folder


def test_the_base_network_has_no_lora_layer_while_adapters_serve(
    tiny_model: Any, adapter: Path
) -> None:
    before = logits(tiny_model.network(None))
    served = tiny_model.network(adapter)
    assert lora.lora_layers(served)
    assert lora.lora_layers(tiny_model.network(None)) == []
    lora.assert_plain(tiny_model.network(None))
    assert not torch.equal(logits(served), before)
    assert torch.equal(logits(tiny_model.network(None)), before)


def test_a_network_with_lora_layers_is_no_teacher(tiny_model: Any, adapter: Path) -> None:
    with pytest.raises(ModelError, match="LoRA layers"):
        lora.assert_plain(tiny_model.network(adapter))


def test_an_adapters_network_shares_the_base_weights(tiny_model: Any, adapter: Path) -> None:
    owned = {p.data_ptr() for p in tiny_model.network(None).parameters()}
    served = tiny_model.network(adapter)
    frozen = [p for name, p in served.named_parameters() if "lora_" not in name]
    assert {p.data_ptr() for p in frozen} == owned


def test_lora_sits_on_every_linear_layer_but_the_head(tiny_model: Any) -> None:
    linear = {
        name
        for name, module in tiny_model.network(None).named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    }
    student = tiny_model.fresh_lora(4, 8, 0.0, 0).get_base_model()
    assert set(lora.lora_layers(student)) == linear


def test_only_lora_can_be_trained(tiny_model: Any) -> None:
    student = tiny_model.fresh_lora(4, 8, 0.0, 0)
    trainable = [name for name, p in student.named_parameters() if p.requires_grad]
    assert trainable
    assert all("lora_" in name for name in trainable)
    assert not any(p.requires_grad for p in tiny_model.network(None).parameters())


def test_a_fresh_lora_says_what_the_base_says(tiny_model: Any) -> None:
    student = tiny_model.fresh_lora(4, 8, 0.0, 0)
    assert torch.equal(logits(student), logits(tiny_model.network(None)))


def test_the_seed_alone_decides_a_fresh_lora(tiny_model: Any) -> None:
    def first(seed: int) -> torch.Tensor:
        student = tiny_model.fresh_lora(4, 8, 0.0, seed)
        return next(p for name, p in student.named_parameters() if "lora_A" in name)

    one = first(7)
    torch.manual_seed(123)
    assert torch.equal(one, first(7))
    assert not torch.equal(one, first(8))


def test_a_saved_adapter_serves_as_it_was_trained(tiny_model: Any, tmp_path: Path) -> None:
    student = wake(tiny_model.fresh_lora(4, 8, 0.0, 0))
    tiny_model.save_lora(student, tmp_path / "v0002")
    assert torch.equal(logits(tiny_model.network(tmp_path / "v0002")), logits(student))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_peft_itself_reads_a_saved_adapter(
    tiny_model: Any, tiny_model_dir: Path, adapter: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(base, adapter).eval()
    assert torch.allclose(logits(theirs), logits(tiny_model.network(adapter)), atol=1e-5)


@pytest.mark.uncounted
def test_the_same_weights_give_the_same_bytes_in_another_process(
    tiny_model_dir: Path, tiny_model: Any, tmp_path: Path
) -> None:
    tiny_model.save_lora(tiny_model.fresh_lora(4, 8, 0.0, 3), tmp_path / "here")
    code = (
        "import sys; from pathlib import Path; from align_agent.models.local import LocalModel\n"
        "model = LocalModel.load(sys.argv[1], device='cpu')\n"
        "model.save_lora(model.fresh_lora(4, 8, 0.0, 3), Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tiny_model_dir), str(tmp_path / "there")], check=True
    )
    for name in (lora.WEIGHTS_FILE, lora.CONFIG_FILE):
        here, there = (tmp_path / place / name for place in ("here", "there"))
        assert here.read_bytes() == there.read_bytes()


def test_an_adapter_folder_holds_safetensors_and_a_configuration_alone(adapter: Path) -> None:
    assert {p.name for p in adapter.iterdir()} == {
        "adapter_model.safetensors",
        "adapter_config.json",
    }


def test_two_adapters_do_not_mix(tiny_model: Any, adapter: Path, tmp_path: Path) -> None:
    other = tmp_path / "v0010"
    tiny_model.save_lora(wake(tiny_model.fresh_lora(4, 8, 0.0, 0), seed=2), other)
    first = logits(tiny_model.network(adapter))
    second = logits(tiny_model.network(other))
    assert not torch.equal(first, second)
    assert torch.equal(logits(tiny_model.network(adapter)), first)


def test_an_adapter_is_read_whatever_its_device_is_called(
    tiny_model: Any, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = lora.twin(tiny_model.network(None))
    expected = logits(lora.load_lora(network, adapter))
    monkeypatch.setattr(type(network), "device", property(lambda _: torch.device("mps", 0)))
    served = lora.load_lora(network, adapter)
    monkeypatch.undo()
    assert torch.equal(logits(served), expected)


def test_an_adapter_of_another_rank_is_loaded_as_it_is(tiny_model: Any, tmp_path: Path) -> None:
    students = {rank: wake(tiny_model.fresh_lora(rank, 8, 0.0, 0)) for rank in (2, 6)}
    for rank, student in students.items():
        tiny_model.save_lora(student, tmp_path / f"v000{rank}")
    for rank, student in students.items():
        assert torch.equal(logits(tiny_model.network(tmp_path / f"v000{rank}")), logits(student))


def test_a_folder_that_is_written_anew_is_loaded_anew(tiny_model: Any, adapter: Path) -> None:
    before = logits(tiny_model.network(adapter))
    shutil.rmtree(adapter)
    tiny_model.save_lora(wake(tiny_model.fresh_lora(4, 8, 0.0, 0), seed=9), adapter)
    assert not torch.equal(logits(tiny_model.network(adapter)), before)


def test_only_the_last_few_adapters_are_kept(tiny_model: Any, tmp_path: Path) -> None:
    student = wake(tiny_model.fresh_lora(2, 4, 0.0, 0))
    folders = [tmp_path / f"v{i:04}" for i in range(6)]
    for folder in folders:
        tiny_model.save_lora(student, folder)
    kept = tiny_model.network(folders[0])
    assert tiny_model.network(folders[0]) is kept
    for folder in folders[1:]:
        tiny_model.network(folder)
    assert tiny_model.network(folders[0]) is not kept


@pytest.mark.parametrize("name", [lora.WEIGHTS_FILE, lora.CONFIG_FILE])
def test_an_adapter_that_lacks_a_file_is_damaged(tiny_model: Any, adapter: Path, name: str) -> None:
    (adapter / name).unlink()
    with pytest.raises(AdapterDamaged, match=name) as caught:
        tiny_model.network(adapter)
    assert "adapters promote base" in caught.value.hint


@pytest.mark.parametrize("name", [lora.WEIGHTS_FILE, lora.CONFIG_FILE])
def test_an_adapter_with_a_broken_file_is_damaged(
    tiny_model: Any, adapter: Path, name: str
) -> None:
    (adapter / name).write_bytes(b"{broken")
    with pytest.raises(AdapterDamaged, match=name):
        tiny_model.network(adapter)


def test_a_pickled_adapter_is_never_read(tiny_model: Any, adapter: Path) -> None:
    (adapter / lora.WEIGHTS_FILE).rename(adapter / "adapter_model.bin")
    with pytest.raises(AdapterDamaged):
        tiny_model.network(adapter)


def test_another_kind_of_adapter_is_refused(tiny_model: Any, adapter: Path) -> None:
    path = adapter / lora.CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "peft_type": "IA3"}))
    with pytest.raises(AdapterDamaged, match="IA3"):
        tiny_model.network(adapter)


def test_weights_of_another_shape_are_of_another_base(tiny_model: Any, adapter: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(adapter / lora.WEIGHTS_FILE)
    save_file({k: v[:, :3].clone() for k, v in weights.items()}, adapter / lora.WEIGHTS_FILE)
    with pytest.raises(WrongBase) as caught:
        tiny_model.network(adapter)
    assert "model.base" in caught.value.hint


def test_weights_for_layers_that_do_not_exist_are_of_another_base(
    tiny_model: Any, adapter: Path
) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(adapter / lora.WEIGHTS_FILE)
    renamed = {k.replace("layers.1.", "layers.7."): v for k, v in weights.items()}
    save_file(renamed, adapter / lora.WEIGHTS_FILE)
    with pytest.raises(WrongBase):
        tiny_model.network(adapter)


def test_writing_to_the_base_is_noticed(tiny_model: Any) -> None:
    network = tiny_model.network(None)
    weight = network.model.norm.weight
    with pytest.raises(ModelError, match="wrote to"), lora.assert_untouched(network):
        weight.data = weight.data.clone()
    with (
        pytest.raises(ModelError, match="wrote to"),
        lora.assert_untouched(network),
        torch.no_grad(),
    ):
        weight.add_(0)
