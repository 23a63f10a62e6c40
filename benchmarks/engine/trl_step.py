"""TRL's SDFT trainer at one shape, fed logged completions; runs in an environment that has trl.

TRL always generates; the subclass hands it the dataset's completions, which is the only way to
compare on logged turns. Prints one JSON line: seconds of a step, completion tokens a second, peak.
"""

import argparse
import json
import logging
import os
import statistics
import sysconfig
import tempfile
import time
import warnings
from pathlib import Path

os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    TRL_EXPERIMENTAL_SILENCE="1",
)
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import datasets  # noqa: E402
import torch  # noqa: E402
from engine.measure import peak_mb, start_counting  # noqa: E402
from engine.shapes import Shape, build  # noqa: E402
from peft import LoraConfig  # noqa: E402
from tokenizers import ByteLevelBPETokenizer  # noqa: E402
from transformers import (  # noqa: E402
    PreTrainedTokenizerFast,
    TrainerCallback,
)
from trl.experimental.sdft import SDFTConfig, SDFTTrainer  # noqa: E402


class Logged(SDFTTrainer):
    """Answers from the log instead of fresh ones."""

    def sample_rollouts(self, inputs):
        self._logged = [list(row["completion_ids"]) for row in inputs]
        return super().sample_rollouts(inputs)

    def _generate(self, prompt_ids):
        return prompt_ids, self._logged


def seconds() -> float:
    """Of the processor on one thread, where other work on the machine would otherwise count."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


class Clock(TrainerCallback):
    """Seconds of every step."""

    def __init__(self):
        self.steps = []

    def on_train_begin(self, *_, **__):
        self.last = seconds()

    def on_step_end(self, *_, **__):
        now = seconds()
        self.steps.append(now - self.last)
        self.last = now


def tokenizer(folder: Path):
    """A byte-level BPE of 8,192 tokens over Python's own library, and a long text's ids."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:40]
    texts = [file.read_text(encoding="utf-8", errors="ignore") for file in files]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        texts, vocab_size=8192, special_tokens=["<|pad|>", "<|eos|>"], show_progress=False
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer,
        pad_token="<|pad|>",
        eos_token="<|eos|>",
        padding_side="left",
        truncation_side="left",
    )
    return made, made("\n".join(texts))["input_ids"]


def exact_text(made, ids: list[int], start: int, length: int) -> str:
    """A slice of the text that tokenises to exactly so many tokens."""
    for at in range(start, start + 4000):
        text = made.decode(ids[at : at + length])
        if len(made(text)["input_ids"]) == length:
            return text
    raise SystemExit("no slice of that length")


def settings_of(given: argparse.Namespace, shape: Shape, folder: Path) -> SDFTConfig:
    """TRL's own defaults where they matter, nothing written."""
    return SDFTConfig(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=shape.batch,
        gradient_accumulation_steps=1,
        max_steps=given.steps,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        num_generations=1,
        max_prompt_length=shape.prompt + shape.context + 32,
        max_completion_length=shape.completion,
        distillation_mode=given.mode,
        distillation_alpha=0.5,
        distillation_topk=100,
        distillation_is_clip=None,
        teacher_model_kind="base",
        report_to="none",
        save_strategy="no",
        use_cpu=given.device == "cpu",
        bf16=given.device == "cuda",
        gradient_checkpointing=False,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        shuffle_dataset=False,
        seed=0,
    )


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--mode", choices=("topk_logits", "full_logits"), default="topk_logits")
    ask.add_argument("--shape", type=json.loads, default={}, help="fields of shapes.Shape")
    ask.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    ask.add_argument("--steps", type=int, default=5)
    ask.add_argument("--threads", type=int, default=1)
    given = ask.parse_args()
    shape = Shape(**given.shape)
    torch.set_num_threads(given.threads)
    datasets.disable_progress_bars()
    folder = Path(tempfile.mkdtemp(prefix="trl-"))
    made, ids = tokenizer(folder)
    rows = {"prompt": [], "privileged_context": [], "completion_ids": []}
    for i in range(shape.batch * given.steps):
        at = 4096 + 700 * i
        rows["prompt"].append(exact_text(made, ids, at, shape.prompt))
        rows["privileged_context"].append(exact_text(made, ids, at + 300, shape.context))
        rows["completion_ids"].append(ids[at + 400 : at + 400 + shape.completion])
    dtype = torch.bfloat16 if given.device == "cuda" else torch.float32
    network = build(shape, given.device, dtype).network()
    loaded = start_counting(network.device)
    settings = settings_of(given, shape, folder)
    clock = Clock()
    trainer = Logged(
        model=network,
        args=settings,
        train_dataset=datasets.Dataset.from_dict(rows),
        processing_class=made,
        peft_config=LoraConfig(
            r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[clock],
    )
    trainer.train()
    step = statistics.median(clock.steps[1:])
    peak = peak_mb(network.device)
    print(
        json.dumps(
            {
                "way": f"trl {given.mode}",
                "tokens_s": round(shape.batch * shape.completion / step, 1),
                "step_s": round(step, 3),
                "peak_above_model_mb": round(peak - loaded),
                "peak_gb": round(peak / 1024, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
