"""The pocket model's tokenizer: a small byte-level BPE and a Qwen-style chat template."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

from align_agent.models.pocket.chats import Document, draw_document
from align_agent.records import Message

VOCABULARY = 1024
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKERS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")

TOOLS_LEAD = "# Tools\n\nCall a function like this, else answer in words:\n<tool_call>\n"
TOOLS_FORM = '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>\n\n<tools>'

# After Qwen3's published template, without its thinking block.
CHAT_TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- LEAD }}
    {%- for tool in tools %}
        {{- '\\n' + (tool | tojson) }}
    {%- endfor %}
    {{- '\\n</tools><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' + (message.content or '') }}
        {%- if message.tool_calls %}
            {%- for call in message.tool_calls %}
                {%- set call = call.function if call.function else call %}
                {%- if (loop.first and message.content) or not loop.first %}
                    {{- '\\n' }}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}
                {%- if call.arguments is string %}
                    {{- call.arguments }}
                {%- else %}
                    {{- call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.index0 == 0 or messages[loop.index0 - 1].role != 'tool' %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""".replace("LEAD", repr(TOOLS_LEAD + TOOLS_FORM))


def render(document: Document) -> Iterator[tuple[str, bool]]:
    """The document as the chat template writes it, in pieces: (text, whether it is a target).

    Much faster than Jinja over hundreds of thousands of chats; a test holds the two together.
    """
    messages = list(enumerate(document.messages))
    system = messages.pop(0)[1].content if document.messages[0].role == "system" else ""
    if document.tools:
        listed = "".join("\n" + json.dumps(tool) for tool in document.tools)
        lead = f"{system}\n\n" if system else ""
        system = f"{lead}{TOOLS_LEAD}{TOOLS_FORM}{listed}\n</tools>"
    if system:
        yield f"<|im_start|>system\n{system}<|im_end|>\n", False
    for index, message in messages:
        if message.role == "assistant":
            yield "<|im_start|>assistant\n", False
            yield f"{message.content}{_calls(message)}<|im_end|>", index >= document.given
            yield "\n", False
        elif message.role == "tool":
            shown = f"<tool_response>\n{message.content}\n</tool_response>"
            yield f"<|im_start|>user\n{shown}<|im_end|>\n", False
        else:
            yield f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n", False


def _calls(message: Message) -> str:
    return "\n".join(
        f'<tool_call>\n{{"name": "{call.name}", "arguments": {json.dumps(call.arguments)}}}\n'
        "</tool_call>"
        for call in message.tool_calls
    )


def build_tokenizer(seed: int, documents: int = 12_000) -> Any:
    """Train the BPE on fresh documents. Returns a transformers tokenizer with the template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    rng = random.Random(f"tokenizer/{seed}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(MARKERS),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(rng, documents), trainer)
    tokenizer.add_tokens([AddedToken(marker, normalized=False) for marker in MARKERS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
        chat_template=CHAT_TEMPLATE,
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def _texts(rng: random.Random, documents: int) -> Iterable[str]:
    for _ in range(documents):
        text = "".join(piece for piece, _ in render(draw_document(rng)))
        for marker in (*SPECIAL, *MARKERS):
            text = text.replace(marker, "\n")
        yield text
