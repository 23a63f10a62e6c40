"""The fields of the section `distill`: default, help and limits of each. Reads no file."""

from __future__ import annotations

from dataclasses import dataclass

from align_agent.config.options import option


@dataclass(frozen=True)
class DistillConfig:
    """The nightly training."""

    max_turns: int = option(512, "Most turns that one night trains on.", low=1, high=1_000_000)
    heldout_share: float = option(
        0.2, "Share of the conversations kept aside for the gate.", low=0.01, high=0.9
    )
    min_turns: int = option(4, "Fewer trainable turns than this: nothing to learn.", low=1)
    epochs: int = option(3, "Passes over the turns.", low=1, high=1000)
    draft_epochs: int = option(
        3,
        "Passes of the draft: a quick first adapter, on answers that the teacher writes; more "
        "where there are few turns. Training goes on from it, on its own answers. 0: no draft, "
        "fresh answers come from the champion.",
        low=0,
        high=1000,
    )
    batch_size: int = option(
        4, "Turns in one step: small nights need many small steps.", low=1, high=4096
    )
    learning_rate: float | str = option(
        "auto",
        'Learning rate of the LoRA; "auto" chooses by the size of the base model.',
        kind="float",
        words=("auto",),
        low=1e-8,
        high=1,
    )
    lora_rank: int = option(16, "Rank of the LoRA.", low=1, high=1024)
    lora_alpha: int = option(32, "Scale of the LoRA; its effect is alpha / rank.", low=1, high=4096)
    lora_dropout: float = option(0.0, "Dropout within the LoRA.", low=0, high=0.9)
    loss: str = option(
        "reverse_kl",
        "How the student is drawn to the teacher.",
        choices=("reverse_kl", "forward_kl", "jsd", "sampled"),
    )
    top_k: int = option(
        20, "Likeliest tokens compared one by one; the rest is one bucket.", low=1, high=100_000
    )
    token_clip: float = option(10.0, "Cap on the loss of one token, in nats.", low=0.001, high=1000)
    sample_cap: float = option(
        2.0,
        "Cap on the mean loss a token of one answer, in nats: no single turn outweighs the rest.",
        low=0.001,
        high=1000,
    )
    rollouts: str = option(
        "both",
        "Train on the logged answers, on fresh answers, or on both.",
        choices=("logged", "fresh", "both"),
    )
    anchors: float = option(
        0.5, "Share of turns without complaint, which hold the rest in place.", low=0, high=0.9
    )
    start: str = option(
        "auto",
        "What a night trains. base: a fresh adapter over the base, so that nothing drifts and what "
        "you retired is gone. champion: the one that serves, further, on what is new and a sample "
        "of the old. auto: the base, until there are more turns to learn from than max_turns or "
        "the last night ran out of time.",
        choices=("auto", "base", "champion"),
    )
    replay: float = option(
        0.3,
        "Share of turns that were learned before among the lessons of a night that trains the "
        "champion further, or that has more turns than max_turns.",
        low=0,
        high=0.9,
    )
    rebuild_after: int = option(
        7,
        "Nights in a row that may train the champion further; the next starts from the base.",
        low=0,
        high=10_000,
    )
    max_grad_norm: float = option(1.0, "Longer gradients are cut to this.", low=0.001, high=1000)
    warmup_steps: int = option(2, "Steps until the full learning rate.", low=0, high=100_000)
    mask_first_tokens: int = option(
        0, "First tokens of each answer that are not trained on.", low=0, high=1000
    )
    reasoning: bool = option(
        False, "Also train on what the model thinks aloud, between <think> and </think>."
    )
    prompt_gradient: bool = option(
        True,
        "Follow the gradient through the prompt as well. false: its keys and values are taken as "
        "they are, which is quicker where prompts are long.",
    )
    seed: int = option(0, "Seed of the training.", low=0, high=2**32)
    exact: bool = option(
        False,
        "Compare over the whole vocabulary, from the teacher's hidden states, instead of top_k.",
    )
    max_minutes: int = option(
        60,
        "Minutes of a night: answers and training end early, so that the gate has its time.",
        low=1,
        high=1440,
    )
    max_memory_gb: float = option(
        0.0,
        "Most memory that training may take besides the loaded model; turns too long for it are "
        "left out. 0: as much as it needs.",
        low=0,
        high=10_000,
    )
    processes: int = option(
        1,
        "Processes that train together, each with the base on a card of its own: the number of "
        "cards. On a CPU it is of no use.",
        low=1,
        high=64,
    )
    gradient_checkpointing: bool = option(
        False, "Compute parts of the forward pass twice: less memory, a third more time."
    )
    keep_runs: int = option(30, "Folders of past nights that are kept.", low=1, high=100_000)
