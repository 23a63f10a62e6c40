"""The tokenizer: the fast rendering of training equals the shipped chat template."""

import random

import pytest

from align_agent.models.pocket import WEIGHTS
from align_agent.models.pocket.chats import draw_document
from align_agent.models.pocket.mix import BROAD, HARD, LAST
from align_agent.models.pocket.tokens import render
from align_agent.models.pocket.train import STAGES, Recipe, batches, build_network


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(WEIGHTS)


def as_openai(message):
    data = {"role": message.role, "content": message.content}
    if message.tool_calls:
        data["tool_calls"] = [
            {"type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
    return data


@pytest.mark.parametrize("mix", [BROAD, HARD, LAST])
def test_training_text_equals_the_chat_template(tokenizer, mix):
    rng = random.Random(8)
    for _ in range(200):
        document = draw_document(rng, mix)
        wanted = tokenizer.apply_chat_template(
            [as_openai(m) for m in document.messages],
            tools=list(document.tools) or None,
            tokenize=False,
        )
        assert "".join(text for text, _ in render(document)) == wanted


def test_pieces_tokenize_as_the_whole_does(tokenizer):
    rng = random.Random(9)
    for _ in range(100):
        pieces = [text for text, _ in render(draw_document(rng))]
        apart = [i for p in pieces for i in tokenizer.encode(p, add_special_tokens=False)]
        assert apart == tokenizer.encode("".join(pieces), add_special_tokens=False)


def test_only_assistant_messages_are_targets(tokenizer):
    batch = next(batches(tokenizer, Recipe(pool=40), STAGES[0]))
    kept = batch.targets != -100
    assert kept.any()
    assert (batch.targets[kept] == batch.ids[kept]).all()
    text = tokenizer.decode(batch.ids[0][kept[0]])
    assert "<|im_start|>" not in text
    assert text.endswith("<|im_end|>")


def test_every_byte_survives_the_tokenizer(tokenizer):
    text = "Grüße, 你好 👋🏽 \u200d z͑ \x01 3.14"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_the_network_is_small_and_fixed_by_its_seed():
    first, second = build_network(Recipe()), build_network(Recipe())
    assert sum(p.numel() for p in first.parameters()) <= 3_000_000
    assert all((a == b).all() for a, b in zip(first.parameters(), second.parameters(), strict=True))
