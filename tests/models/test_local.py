from __future__ import annotations

import json
import logging
import shutil
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from align_agent.errors import ContextTooLong, ModelError, UsageError
from align_agent.models.cache import bytes_of_row, rows_that_fit
from align_agent.models.generation import Generation, Sampling
from align_agent.models.local import LocalModel
from align_agent.records import Message

PROMPTS = [
    [Message("user", f"What is {i} plus " + "thirty and " * (i % 5) + "one?")] for i in range(11)
]
GREEDY = Sampling(max_new_tokens=30, temperature=0)


class Telling(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self.told = told

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@pytest.fixture(scope="module")
def model(model_dir: Path) -> LocalModel:
    return LocalModel.load(str(model_dir), device="cpu")


@pytest.fixture(scope="module")
def adapter(model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters") / "v0001"
    student = model.fresh_lora(4, 8, 0.0, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in student.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1)
    model.save_lora(student, folder)
    return folder


def ask(model: LocalModel, prompt: list[Message], sampling: Sampling, **more: Any) -> Generation:
    *_, last = model.stream(prompt, sampling=sampling, **more)
    assert isinstance(last, Generation)
    return last


def test_a_long_text_is_read_without_a_warning_of_the_tokenizers_own(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    logger = logging.getLogger("transformers.tokenization_utils_base")
    handler = Telling(told)
    logger.addHandler(handler)
    monkeypatch.setattr(model.tokenizer, "model_max_length", 8)
    try:
        model.tokenizer("word " * 50)
    finally:
        logger.removeHandler(handler)
    assert told == []


def test_answers_in_a_batch_are_those_given_alone(model: LocalModel) -> None:
    batch = model.generate_batch(PROMPTS, sampling=GREEDY, batch_size=4)
    assert [g.token_ids for g in batch] == [ask(model, p, GREEDY).token_ids for p in PROMPTS]


def test_answers_of_an_adapter_in_a_batch_are_those_given_alone(
    model: LocalModel, adapter: Path
) -> None:
    batch = model.generate_batch(PROMPTS, sampling=GREEDY, adapter=adapter)
    alone = [ask(model, p, GREEDY, adapter=adapter) for p in PROMPTS]
    assert [g.token_ids for g in batch] == [g.token_ids for g in alone]


def test_greedy_answers_are_those_of_transformers_own_generate(model: LocalModel) -> None:
    network = model.network(None)
    for prompt in PROMPTS[:4]:
        ids = model.encode(prompt)
        theirs = network.generate(
            torch.tensor([ids]), do_sample=False, max_new_tokens=30, eos_token_id=[*model.eos_ids]
        )
        assert list(ask(model, prompt, GREEDY).token_ids) == theirs[0, len(ids) :].tolist()


def test_the_same_seed_gives_the_same_answer(model: LocalModel) -> None:
    sampling = Sampling(max_new_tokens=30, temperature=1.0, top_p=0.95, seed=4)
    torch.manual_seed(1)
    first = ask(model, PROMPTS[0], sampling)
    torch.manual_seed(2)
    again = ask(model, PROMPTS[0], sampling)
    assert (first.token_ids, first.logprobs) == (again.token_ids, again.logprobs)


def test_another_seed_gives_other_answers(tiny_model: LocalModel) -> None:
    one, two = (
        tiny_model.generate_batch(PROMPTS, sampling=Sampling(30, 1.0, seed=seed)) for seed in (1, 2)
    )
    assert [g.text for g in one] != [g.text for g in two]


def test_how_a_request_is_cut_into_batches_changes_no_answer(model: LocalModel) -> None:
    sampling = Sampling(max_new_tokens=20, temperature=1.0, seed=4)
    small = model.generate_batch(PROMPTS, sampling=sampling, batch_size=2)
    large = model.generate_batch(PROMPTS, sampling=sampling, batch_size=64)
    assert [g.token_ids for g in small] == [g.token_ids for g in large]


def test_progress_counts_every_answer_once(model: LocalModel) -> None:
    seen: list[int] = []
    model.generate_batch(PROMPTS, sampling=Sampling(20, 0.0), batch_size=2, on_done=seen.append)
    assert seen == sorted(set(seen)) and seen[-1] == len(PROMPTS)


def test_a_large_batch_is_cut_to_what_memory_allows(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [g.token_ids for g in model.generate_batch(PROMPTS, sampling=GREEDY)]
    monkeypatch.setattr("align_agent.models.cache._CPU_BYTES", 1)
    assert rows_that_fit(model.network(None), 1) == 1
    assert [g.token_ids for g in model.generate_batch(PROMPTS, sampling=GREEDY)] == whole


def test_on_a_card_what_torch_keeps_for_later_counts_as_room(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = model.network(None)
    card: Any = SimpleNamespace(
        config=network.config, dtype=network.dtype, device=torch.device("cuda", 0)
    )
    room = 8 * bytes_of_row(network, 10)  # of which a cache may have a quarter
    for name, held in (("memory_reserved", room), ("memory_allocated", room // 2)):
        monkeypatch.setattr(torch.cuda, name, lambda _, held=held: held)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (room // 2, room))
    assert rows_that_fit(card, 10) == 2


def test_equal_prompts_of_one_request_are_drawn_apart(tiny_model: LocalModel) -> None:
    found = tiny_model.generate_batch([PROMPTS[0]] * 6, sampling=Sampling(20, 1.0, seed=1))
    assert len({g.text for g in found}) > 1


def test_a_request_for_nothing_gets_nothing(model: LocalModel) -> None:
    assert model.generate_batch([], sampling=GREEDY) == []


@pytest.mark.parametrize("seed", range(5))
def test_streamed_pieces_join_to_the_text_and_are_storable(
    tiny_model: LocalModel, seed: int
) -> None:
    *pieces, last = tiny_model.stream(PROMPTS[0], sampling=Sampling(60, 1.0, seed=seed))
    assert isinstance(last, Generation)
    assert "".join(map(str, pieces)) == last.text
    for piece in pieces:
        str(piece).encode()


def test_the_kept_logprobs_are_those_of_scoring_the_answer(
    model: LocalModel, adapter: Path
) -> None:
    found = ask(model, PROMPTS[3], GREEDY, adapter=adapter)
    ids = [*model.encode(PROMPTS[3]), *found.token_ids]
    with torch.no_grad():
        table = model.network(adapter)(torch.tensor([ids])).logits[0].log_softmax(-1)
    expected = [float(table[i - 1, ids[i]]) for i in range(-len(found.token_ids), 0)]
    assert found.logprobs == pytest.approx(expected, abs=1e-3)


def test_scored_answers_in_a_batch_are_those_scored_alone(model: LocalModel, adapter: Path) -> None:
    turns = [(p, [Message("assistant", f"It is {i}. " * (i + 1))]) for i, p in enumerate(PROMPTS)]
    together = model.logprobs(turns, adapter=adapter, batch_size=4)
    for turn, values in zip(turns, together, strict=True):
        ids, mask = model.encode_turn(*turn)
        assert len(values) == sum(mask)
        with torch.no_grad():
            table = model.network(adapter)(torch.tensor([ids])).logits[0].log_softmax(-1)
        expected = [float(table[i - 1, ids[i]]) for i in range(len(ids)) if mask[i]]
        assert values == pytest.approx(expected, abs=1e-3)


def test_an_answer_never_passes_the_end_of_the_context(tiny_model: LocalModel) -> None:
    prompt = [Message("user", "a " * 500)]
    room = tiny_model.context - len(tiny_model.encode(prompt))
    found = ask(tiny_model, prompt, Sampling(max_new_tokens=10_000, temperature=0))
    assert len(found.token_ids) <= room


@pytest.mark.parametrize("text", ["x" * 1_000_000, "wörd " * 20_000])
def test_an_enormous_message_is_refused_at_once(model: LocalModel, text: str) -> None:
    with pytest.raises(ContextTooLong) as caught:
        model.stream([Message("user", text)])
    assert caught.value.hint
    with pytest.raises(ContextTooLong):
        model.generate_batch([[Message("user", text)]])


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "\ufffd", "<|im_end|>", "\u202e😀"])
def test_odd_messages_are_answered(model: LocalModel, text: str) -> None:
    found = ask(model, [Message("user", text)], GREEDY)
    found.text.encode()


def test_history_that_does_not_fit_is_left_out_from_the_front(tiny_model: LocalModel) -> None:
    long = [Message("user", "a " * 300), Message("assistant", "b"), Message("user", "c " * 300)]
    kept = tiny_model.fit(long, reserve=100)
    assert kept == (long[2],)
    assert len(tiny_model.encode(kept)) + 100 <= tiny_model.context


def test_threads_with_different_adapters_do_not_disturb_each_other(
    model: LocalModel, adapter: Path
) -> None:
    expected = {
        which: [ask(model, p, GREEDY, adapter=which).token_ids for p in PROMPTS[:4]]
        for which in (None, adapter)
    }
    found: dict[Path | None, list[Any]] = {}

    def work(which: Path | None) -> None:
        found[which] = [ask(model, p, GREEDY, adapter=which).token_ids for p in PROMPTS[:4]]

    threads = [threading.Thread(target=work, args=(which,)) for which in (None, adapter)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_an_abandoned_stream_blocks_nobody(model: LocalModel) -> None:
    stream = model.stream(PROMPTS[0], sampling=GREEDY)
    next(stream)
    done = threading.Event()

    def other() -> None:
        ask(model, PROMPTS[1], GREEDY)
        done.set()

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    assert done.wait(60)
    thread.join()


def test_a_model_knows_its_context_its_vocabulary_and_its_ends(tiny_model: LocalModel) -> None:
    assert (tiny_model.context, tiny_model.vocab_size) == (1024, 400)
    assert tiny_model.eos_ids == frozenset({2})
    assert tiny_model.dtype == torch.float32


def test_two_models_of_other_weights_have_other_hashes(
    tiny_model: LocalModel, tmp_path: Path
) -> None:
    from tiny import build_tiny_model

    other = LocalModel.load(str(build_tiny_model(tmp_path, seed=1)), device="cpu")
    assert other.base_hash != tiny_model.base_hash


def test_half_precision_weights_are_served_in_full_precision_on_a_cpu(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "half"))
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16)
    network.save_pretrained(folder)
    assert LocalModel.load(str(folder), device="cpu").dtype == torch.float32


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_weights_that_lack_a_layer_are_not_filled_up_at_random(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "more"))
    edit_json(folder / "config.json", num_hidden_layers=3, layer_types=["full_attention"] * 3)
    with pytest.raises(ModelError, match="not complete"):
        LocalModel.load(str(folder), device="cpu")


def test_a_model_that_brings_its_own_code_is_not_run(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "code"))
    marker = tmp_path / "ran"
    (folder / "modeling_evil.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    edit_json(
        folder / "config.json",
        model_type="evil",
        auto_map={
            "AutoConfig": "modeling_evil.EvilConfig",
            "AutoModelForCausalLM": "modeling_evil.EvilModel",
        },
    )
    with pytest.raises(ModelError):
        LocalModel.load(str(folder), device="cpu")
    assert not marker.exists()


def test_a_model_without_a_chat_template_is_refused(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model_dir, tmp_path / "bare"))
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="chat template") as caught:
        LocalModel.load(str(folder), device="cpu")
    assert "chat" in caught.value.hint


def test_a_device_that_is_not_there_is_refused(tiny_model_dir: Path) -> None:
    with pytest.raises(ModelError, match="xpu9") as caught:
        LocalModel.load(str(tiny_model_dir), device="xpu9")
    assert "cpu" in caught.value.hint


def test_an_unknown_dtype_is_a_mistake_in_the_configuration(tiny_model_dir: Path) -> None:
    with pytest.raises(UsageError, match="int3"):
        LocalModel.load(str(tiny_model_dir), device="cpu", dtype="int3")


def test_answering_draws_no_warning_of_the_libraries(model: LocalModel, adapter: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask(model, PROMPTS[0], GREEDY, adapter=adapter)
        model.generate_batch(PROMPTS[:3], sampling=GREEDY)


def test_a_tokenizer_with_words_that_the_network_lacks_is_told_in_words(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_dir, folder)
    whole = LocalModel.load(str(folder), device="cpu")
    asked, known = [Message("user", "Show the steps, one by one.")], 40
    assert max(whole.encode(asked)) >= known
    network = whole.network(None)
    network.resize_token_embeddings(known)
    network.save_pretrained(folder)
    model = LocalModel.load(str(folder), device="cpu")
    said = [Message("assistant", "A")]
    for attempt in (
        lambda: model.encode(asked),
        lambda: model.encode_turn(asked, said),
        lambda: list(model.stream(asked)),
    ):
        with pytest.raises(ModelError, match="network knows only 40") as caught:
            attempt()
        assert caught.value.hint
