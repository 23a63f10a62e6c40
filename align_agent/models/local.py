"""A model on this machine: transformers for the network, PEFT for adapters, a loop of our own.

Loads safetensors only and never runs a model's own code. Text in, text and log-probabilities out;
knows nothing of turns, feedback or nights.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from align_agent.errors import ModelError, UsageError
from align_agent.models import files, lora, rope
from align_agent.models.answer import AnswerBuilder
from align_agent.models.cache import rows_that_fit
from align_agent.models.chat import ChatFormat, Encoded, Tools, too_long
from align_agent.models.decoding import Decoder, noise
from align_agent.models.forward import answer_positions, by_length, logits_at, rows_at_once
from align_agent.models.generation import Generation, Sampling
from align_agent.models.mixed import Mixed, Version
from align_agent.models.quantize import NF4, in_four_bits, keep_as_stored
from align_agent.models.shortage import halving
from align_agent.records import Message

_ADAPTERS_KEPT = 4
_CONTEXT = 2048  # for the rare network that names no limit
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class LocalModel:
    """A base network, its tokenizer, and the adapters that were asked for.

    Safe to use from several threads: one lock covers each step of a computation, and every
    adapter has a module tree of its own, so that one thread's adapter cannot reach another's.
    """

    def __init__(self, network: Any, tokenizer: Any, *, base: str, base_hash: str) -> None:
        self.base = base
        self.base_hash = base_hash
        self.tokenizer = tokenizer
        self.device: torch.device = network.device
        self.dtype: torch.dtype = network.dtype
        self.context = int(
            getattr(network.config.get_text_config(), "max_position_embeddings", _CONTEXT)
        )
        self.vocab_size = int(network.get_output_embeddings().weight.shape[0])
        self._words = int(network.get_input_embeddings().weight.shape[0])
        self.eos_ids = _eos_ids(network, tokenizer)
        self.chat = ChatFormat(tokenizer, self.eos_ids)
        self._network = network
        self._adapters: OrderedDict[tuple[str, int, int], Any] = OrderedDict()
        self._mixed = Mixed(network)
        self.lock = threading.RLock()

    @classmethod
    def load(
        cls, spec: str, *, device: str = "auto", dtype: str = "auto", threads: int = 0
    ) -> LocalModel:
        """Load "pocket", a folder, or a name on the Hub. `threads` 0 leaves torch's own choice.

        fp32 on a CPU (bf16 products are 30 to 40 times slower there) and on Apple's GPUs, bf16 on
        CUDA; `dtype` "nf4" keeps the linear layers in 4 bits and computes in those formats. Raises
        ModelError when the model is missing, partial, pickled, needs code of its own, or has no
        chat template, and MissingDependency for nf4 without bitsandbytes.
        """
        folder = files.locate(spec)
        if threads:
            torch.set_num_threads(threads)
        place = _device(device)
        network, tokenizer = _read(folder, dtype, place)
        network = network.to(place).eval().requires_grad_(False)
        return cls(network, tokenizer, base=spec, base_hash=files.fingerprint(folder))

    def encode(
        self, messages: Sequence[Message], tools: Tools = (), *, add_generation_prompt: bool = True
    ) -> list[int]:
        """The token ids of the messages through the chat template. Raises ModelError."""
        ids = self.chat.encode(messages, tools, add_generation_prompt=add_generation_prompt)
        return self._readable(ids)

    def encode_answer(
        self, prompt: Sequence[Message], response: Sequence[Message], tools: Tools = ()
    ) -> Encoded:
        """Prompt and answer apart, with a mask of the tokens that the model wrote."""
        turn = self.chat.encode_answer(prompt, response, tools)
        self._readable([*turn.prompt_ids, *turn.answer_ids])
        return turn

    def encode_turn(
        self, prompt: Sequence[Message], response: Sequence[Message], tools: Tools = ()
    ) -> tuple[list[int], list[bool]]:
        """A turn's token ids, and a mask that is True on those the model wrote."""
        turn = self.encode_answer(prompt, response, tools)
        mask = [False] * len(turn.prompt_ids) + list(turn.mask)
        return [*turn.prompt_ids, *turn.answer_ids], mask

    def fit(
        self, messages: Sequence[Message], *, reserve: int = 0, tools: Tools = ()
    ) -> tuple[Message, ...]:
        """The messages without the oldest ones that do not fit into the context together with
        `reserve` more tokens. Raises ContextTooLong when the last message alone is too long."""
        return self.chat.fit(messages, self.context - reserve, tools)

    def network(self, adapter: Path | None = None) -> Any:
        """The network with exactly this adapter, or the base, which has no LoRA layer at all.

        Frozen, in evaluation mode. The last few adapters are kept. Raises AdapterDamaged and
        WrongBase.
        """
        if adapter is None:
            return self._network
        with self.lock:
            key = _adapter_key(adapter)
            if key not in self._adapters:
                self._adapters[key] = lora.load_lora(self._network, adapter)
                if len(self._adapters) > _ADAPTERS_KEPT:
                    self._adapters.popitem(last=False)
            self._adapters.move_to_end(key)
            return self._adapters[key]

    def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Tools = (),
        sampling: Sampling | None = None,
        adapter: Path | None = None,
    ) -> Iterator[str | Generation]:
        """Pieces of text as they become final, then the whole Generation as the last item.

        The pieces joined are the generation's text: tool calls and stop strings are never among
        them. Raises ContextTooLong at once, and whatever `network` raises.
        """
        sampling = sampling or Sampling()
        prompt = self._prompt_ids(messages, tools)
        network = self.network(adapter)
        builder = self._builder(prompt, sampling, tools=bool(tools), stream=True)
        return self._stream(network, prompt, builder, sampling)

    def _stream(
        self, network: Any, prompt: list[int], builder: AnswerBuilder, sampling: Sampling
    ) -> Iterator[str | Generation]:
        uniform = noise(_seed(sampling), [0], sampling.max_new_tokens)
        decoder = Decoder(network, [prompt], uniform, sampling, self._pad_id())
        while not builder.done:
            with self.lock:
                ((_, token_id, logprob),) = decoder.step()
            if piece := builder.push(token_id, logprob):
                yield piece
        last, generation = builder.finish()
        if last:
            yield last
        yield generation

    def generate_batch(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        sampling: Sampling | None = None,
        adapter: Path | None = None,
        tools: Tools = (),
        batch_size: int = 0,
        on_done: Callable[[int], None] | None = None,
        network: Any = None,
        over: Callable[[], bool] | None = None,
    ) -> list[Generation]:
        """One answer for each prompt, in their order.

        The same answers as `stream` would give one by one: row i of a sampled request draws from
        the seed and i alone, whatever `batch_size` is; 0 is as many as memory allows. `on_done`
        gets the number of answers so far. `network` answers instead of an adapter's: one that is
        still being trained. Once `over` says so, every answer ends where it is, as one of too many
        tokens does. Where memory gives out fewer are answered at a time. Raises ContextTooLong.
        """
        sampling = sampling or Sampling()
        encoded = [self._prompt_ids(prompt, tools) for prompt in prompts]
        network = self.network(adapter) if network is None else network
        seed = _seed(sampling)
        answers: dict[int, Generation] = {}
        longest = max(map(len, encoded), default=0) + sampling.max_new_tokens
        batch_size = batch_size or rows_that_fit(network, longest)
        if rope.is_long(network, longest):
            batch_size = 1  # a long row would turn the positions of those beside it

        def compute(batch: list[int]) -> list[Generation]:
            uniform = noise(seed, batch, sampling.max_new_tokens)
            rope.forget(network)
            decoder = Decoder(
                network, [encoded[i] for i in batch], uniform, sampling, self._pad_id()
            )
            builders = [
                self._builder(encoded[i], sampling, tools=bool(tools), stream=False) for i in batch
            ]
            while decoder.rows and not (over is not None and over()):
                with self.lock:
                    written = decoder.step()
                for row, token_id, logprob in written:
                    builders[row].push(token_id, logprob)
                going_on = [row for row in decoder.rows if not builders[row].done]
                if on_done is not None and len(going_on) < len(decoder.rows):
                    on_done(len(answers) + len(batch) - len(going_on))
                decoder.keep(going_on)
            return [builder.finish()[1] for builder in builders]

        for batch, found in halving(by_length([len(ids) for ids in encoded], batch_size), compute):
            answers |= zip(batch, found, strict=True)
        return [answers[i] for i in range(len(prompts))]

    def logprobs(
        self,
        turns: Sequence[tuple[Sequence[Message], Sequence[Message]]],
        *,
        adapter: Path | None = None,
        tools: Tools = (),
        batch_size: int = 16,
    ) -> list[list[float]]:
        """For each (prompt, response) the log-probability, in nats, of every token the model
        wrote, at most `batch_size` rows at a time. Raises ContextTooLong when a turn is longer than
        the context."""
        encoded = [self.encode_answer(prompt, response, tools) for prompt, response in turns]
        sequences = [[*e.prompt_ids, *e.answer_ids] for e in encoded]
        for ids in sequences:
            if len(ids) > self.context:
                raise too_long(len(ids), self.context)
        positions = [answer_positions(len(e.prompt_ids), e.mask) for e in encoded]
        network = self.network(adapter)
        longest = max(map(len, positions), default=0)
        size = rows_at_once(self.vocab_size, longest, most=batch_size)
        result: dict[int, list[float]] = {}

        def compute(batch: list[int]) -> list[list[float]]:
            with self.lock, torch.inference_mode():
                logits = logits_at(
                    network, [sequences[i] for i in batch], [positions[i] for i in batch]
                )
                table = torch.log_softmax(logits.float(), dim=-1)  # (B, A, V)
            rows = []
            for row, i in enumerate(batch):
                at = torch.tensor([sequences[i][p + 1] for p in positions[i]], device=self.device)
                picked = table[row, : len(at)].gather(-1, at[:, None])
                rows.append(picked.squeeze(-1).tolist())
            return rows

        for batch, rows in halving(by_length([len(ids) for ids in sequences], size), compute):
            result |= zip(batch, rows, strict=True)
        return [result[i] for i in range(len(turns))]

    def serving(self, adapter: Path | None) -> Version:
        """What answers with this adapter. Raises AdapterDamaged and WrongBase."""
        network = self.network(adapter)
        if adapter is None:
            return Version(network, None)
        return Version(network, _adapter_key(adapter), adapter, lora.can_mix(adapter))

    def prepare(self, versions: Sequence[Version]) -> None:
        """Have what `forward` needs for rows of these versions. Raises as `network` does."""
        if len({version.key for version in versions}) > 1:
            self._mixed.load(versions)

    def forward(self, versions: Sequence[Version], **inputs: Any) -> Any:
        """The network's output for a batch, row i by `versions[i]`. Hold the lock."""
        if all(version.key == versions[0].key for version in versions):
            return versions[0].network(**inputs)
        return self._mixed(versions, **inputs)

    def begin(
        self, messages: Sequence[Message], tools: Tools, sampling: Sampling, begun: str = ""
    ) -> tuple[list[int], AnswerBuilder, int]:
        """Prompt ids, an answer that streams, and the seed. Raises ContextTooLong.

        `begun` is how the answer must begin; the model goes on from there.
        """
        prompt = self._prompt_ids(messages, tools, begun)
        builder = self._builder(prompt, sampling, tools=bool(tools), stream=True, begun=begun)
        return prompt, builder, _seed(sampling)

    def fresh_lora(self, rank: int, alpha: float, dropout: float, seed: int) -> Any:
        """A PeftModel for training, on a module tree apart from those that serve.

        The base's weights are shared and frozen; only LoRA's can be written to.
        """
        with self.lock:
            return lora.fresh_lora(
                self._network, rank=rank, alpha=alpha, dropout=dropout, seed=seed
            )

    def save_lora(self, peft_model: Any, folder: Path) -> None:
        """Write the adapter in PEFT's format, safetensors, the same bytes for the same weights."""
        lora.save_lora(peft_model, folder, base=self.base)

    def _prompt_ids(self, messages: Sequence[Message], tools: Tools, begun: str = "") -> list[int]:
        ids = self._readable(self.chat.encode(messages, tools, begun=begun))
        if len(ids) >= self.context:
            raise too_long(len(ids) + 1, self.context)
        return ids

    def _readable(self, ids: list[int]) -> list[int]:
        """The ids, where the network knows them all: a card would be lost to its process over one
        that it does not."""
        most = max(ids, default=0)
        if most >= self._words:
            raise ModelError(
                f"the tokenizer of {self.base} writes token {most}, but its network knows only "
                f"{self._words}",
                hint="tokenizer and weights are of different models: fetch the model again",
            )
        return ids

    def _builder(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        *,
        tools: bool,
        stream: bool,
        begun: str = "",
    ) -> AnswerBuilder:
        return AnswerBuilder(
            self.chat.decode,
            eos_ids=self.eos_ids,
            max_new_tokens=min(sampling.max_new_tokens, self.context - len(prompt)),
            stop=sampling.stop,
            tools=tools,
            stream=stream,
            begun=begun,
        )

    def _pad_id(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else min(self.eos_ids)


def _seed(sampling: Sampling) -> int:
    return secrets.randbelow(2**40) if sampling.seed is None else sampling.seed


def _adapter_key(folder: Path) -> tuple[str, int, int]:
    """A folder by its path and the state of its weights: a rewritten one is another adapter."""
    try:
        state = (folder / lora.WEIGHTS_FILE).stat()
    except OSError:
        return str(folder.resolve()), 0, 0
    return str(folder.resolve()), state.st_mtime_ns, state.st_size


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            name = "cuda"
        else:
            name = "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"the device {name!r} cannot be used: {str(error).splitlines()[0]}",
            hint="set model.device to auto, cpu, cuda or mps",
        ) from error


def _dtype(name: str, device: torch.device) -> torch.dtype:
    """The format that is computed in."""
    if name not in ("auto", NF4):
        try:
            return _DTYPES[name]
        except KeyError:
            raise UsageError(
                f"unknown model.dtype {name!r}",
                hint=f"use auto or one of {', '.join([*_DTYPES, NF4])}",
            ) from None
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if bf16 else torch.float32


def _read(folder: Path, dtype: str, device: torch.device) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # the caller draws its own
    # It warns of every text longer than the context; what is too long is cut or refused here.
    logging.get_logger("transformers.tokenization_utils_base").setLevel(logging.ERROR)
    computed = _dtype(dtype, device)
    packed = in_four_bits(computed, device) if dtype == NF4 else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        network, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=computed,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **packed,
        )
    except Exception as error:  # transformers raises many kinds; each means: not this model
        raise ModelError(
            f"the model in {folder} cannot be loaded: {error}",
            hint="use a causal language model that this version of transformers knows",
        ) from error
    keep_as_stored(network)
    if report["missing_keys"] or report["mismatched_keys"]:
        odd = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
        raise ModelError(
            f"the model in {folder} is not complete: it lacks {odd[0]}",
            hint="fetch the model again",
        )
    if not tokenizer.chat_template:
        raise ModelError(
            f"the model in {folder} has no chat template",
            hint="use a model that was trained to chat (often named -Instruct or -Chat)",
        )
    return network, tokenizer


def _eos_ids(network: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a turn, from the generation settings, the config and the tokenizer."""
    found: set[int] = set()
    for value in (
        getattr(network.generation_config, "eos_token_id", None),
        getattr(network.config.get_text_config(), "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        if value is not None:
            found.update(value if isinstance(value, list | tuple) else [value])
    if not found:
        raise ModelError(
            "the model names no end-of-turn token",
            hint="add eos_token_id to its generation_config.json",
        )
    return frozenset(int(i) for i in found)
