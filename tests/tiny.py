"""A tiny random Qwen3 with a byte-level BPE of its own: the real code path without any download.

Its weights are drawn wide, so that what stands in the context really moves the next token: a
freshly initialised network is nearly deaf to its prompt, and could show nothing about distillation.
"""

from __future__ import annotations

from pathlib import Path

CHATML = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\nYou may call these functions:\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>assistant\\n' + message.content }}
        {%- for tool_call in message.tool_calls or [] %}
            {%- if not loop.first or message.content %}
                {{- '\\n' }}
            {%- endif %}
            {%- if tool_call.function %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '<tool_call>\\n{"name": "' + tool_call.name + '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or messages[loop.index0 - 1].role != "tool" %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != "tool" %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

_TEXT = (
    "What is twelve plus thirty? **Final Answer:** 42. Show the steps, one by one.",
    "1. First take 7 and add 5.\n2. Then subtract 3.\nThe answer is 9. Great work, well done!",
    "Write a python function that returns all numbers from 1 to n: def f(n): return list(range(n))",
    "The user's rules:\n- Write plain text: no bold, no lists, no headings.\n- Keep answers short.",
    "<hindsight>\nKnown only after the answer. Use it to answer better; never mention it.\n",
    "The user's next message: no bullet points, that looks written by a machine.</hindsight>",
    "Stra\u00dfe, na\u00efve, caf\u00e9, \u65e5\u672c\u8a9e, \U0001f600 \U0001f389 smile",
)


SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def train_tokenizer(
    folder: Path,
    vocab_size: int,
    template: str,
    *,
    specials: tuple[str, ...] = SPECIALS,
    eos: str = "<|im_end|>",
) -> int:
    """Train a byte-level BPE on a few lines and save it with `template`. Returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([*_TEXT, *_TEXT], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token=eos, pad_token=specials[0]
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def build_tiny_model(folder: Path, *, seed: int = 0, template: str = CHATML) -> Path:
    """Write a complete model folder: hidden 32, 2 layers, safetensors, ChatML with tools."""
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    size = train_tokenizer(folder, 400, template)
    config = Qwen3Config(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=1024,
        initializer_range=0.25,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Qwen3ForCausalLM(config)
    network.generation_config = GenerationConfig(eos_token_id=2, pad_token_id=0)
    network.save_pretrained(folder)
    return folder


CALCULATOR = {
    "type": "function",
    "function": {
        "name": "calculator",
        "description": "Work out an arithmetic expression.",
        "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}},
    },
}


def build_parrot(source: Path, folder: Path, *, steps: int = 150) -> Path:
    """Write a copy of the tiny model that knows three conversations by heart.

    With the calculator on offer it answers "7*6?" by calling it and "What is the answer?" by
    calling with another expression; given 42 it says so. Without tools it greets.
    """
    import shutil

    import torch

    from align_agent.models.local import LocalModel
    from align_agent.records import Message, ToolCall

    def called(expression: str) -> Message:
        return Message("assistant", "", (ToolCall("c1", "calculator", {"expression": expression}),))

    shutil.copytree(source, folder, dirs_exist_ok=True)
    model = LocalModel.load(str(folder), device="cpu")
    by_heart = [
        (
            [Message("user", "7*6?")],
            [called("7*6"), Message("tool", "42", (), "c1"), Message("assistant", "It is 42.")],
            [CALCULATOR],
        ),
        ([Message("user", "What is the answer?")], [called("1+1")], [CALCULATOR]),
        ([Message("user", "Hello!")], [Message("assistant", "Great work, well done!")], []),
    ]
    turns = [model.encode_turn(*turn) for turn in by_heart]
    network = model.network(None).requires_grad_(True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(steps):
        loss = 0.0
        for ids, mask in turns:
            logits = network(torch.tensor([ids])).logits[0, :-1]
            learned = torch.tensor(mask[1:])
            targets = torch.tensor(ids[1:])[learned]
            loss = loss + torch.nn.functional.cross_entropy(logits[learned], targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.save_pretrained(folder)
    return folder
