"""Which answers a night trains on: those in the log, fresh ones of an adapter, or both.

Fresh answers are the student's own (on-policy), which is where distillation works best and forgets
least (arXiv 2601.19897). Runs no tool: a logged result is shown again when the same call is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from align_agent.distill.hindsight import Example
from align_agent.errors import ModelError
from align_agent.models.generation import Generation, Sampling
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

_MAX_CALLS = 6  # rounds of tool calls that are replayed in one answer


def rollouts(
    model: LocalModel,
    examples: Sequence[Example],
    mode: str,
    *,
    adapter: Path | None,
    seed: int,
    max_new_tokens: int = 256,
    temperature: float = 1.0,
    on_done: Callable[[int, int], None] | None = None,
    over: Callable[[], bool] | None = None,
    keep_logprobs: bool = False,
) -> list[Example]:
    """The examples to train on, logged ones first.

    `mode` is "logged", "fresh" or "both"; `adapter` the one that answers. A fresh answer that is
    empty or equals the logged one adds nothing and is left out; an example that cannot be answered
    (too long, refused by the template) keeps its logged answer, so that no turn is lost.
    `keep_logprobs` notes with which probability each token was written: for a training that starts
    from that very adapter. `on_done` gets (answers so far, answers in all). Once `over` says that
    the time is up, answers end where they are, and examples that have none keep the logged one.
    """
    if mode == "logged":
        return list(examples)
    if mode not in ("fresh", "both"):
        raise ValueError(f"unknown rollouts: {mode!r}")
    answered = _answer_all(
        model,
        examples,
        Sampling(max_new_tokens, temperature, seed=seed),
        adapter=adapter,
        on_done=on_done,
        over=over,
    )
    if temperature != 1.0 or not keep_logprobs:  # they are those of the network itself
        answered = [found and replace(found, written=()) for found in answered]
    fresh: list[Example] = []
    kept: list[Example] = []
    for example, found in zip(examples, answered, strict=True):
        new = found is not None and _words(found.response) not in ([], _words(example.response))
        if mode == "both" or not new:
            kept.append(example)
        if found is not None and new:
            fresh.append(found)
    return [*kept, *fresh]


def _answer_all(
    model: LocalModel,
    examples: Sequence[Example],
    sampling: Sampling,
    *,
    adapter: Path | None,
    on_done: Callable[[int, int], None] | None,
    over: Callable[[], bool] | None,
) -> list[Example | None]:
    """The examples with fresh answers, in their order; None where the model cannot be asked."""
    result: list[Example | None] = [None] * len(examples)
    done = 0
    for tools, group in _by_tools(examples):
        ready: list[tuple[int, Example]] = []
        for i in group:
            fitted = _fitted(model, examples[i], sampling.max_new_tokens)
            if fitted is not None:
                ready.append((i, fitted))

        def tell(answered: int, before: int = done) -> None:
            if on_done is not None:
                on_done(before + answered, len(examples))

        answers = _generate(model, [e for _, e in ready], tools, sampling, adapter, tell, over)
        for (i, _), answer in zip(ready, answers, strict=True):
            result[i] = replace(
                examples[i], response=answer[0], complete=answer[1] != "length", written=answer[2]
            )
        done += len(group)
        tell(0, done)
    return result


def _generate(
    model: LocalModel,
    examples: Sequence[Example],
    tools: tuple[dict[str, object], ...],
    sampling: Sampling,
    adapter: Path | None,
    on_done: Callable[[int], None],
    over: Callable[[], bool] | None,
) -> list[tuple[tuple[Message, ...], str, tuple[tuple[int, float], ...]]]:
    """(messages, finish reason, tokens with their log-probabilities) of each answer; calls go on
    as far as the log knows results."""
    responses: list[list[Message]] = [[] for _ in examples]
    reasons = ["stop"] * len(examples)
    written: list[list[tuple[int, float]]] = [[] for _ in examples]
    waiting = list(range(len(examples)))
    for round_ in range(_MAX_CALLS):
        asked = {i: [*examples[i].prompt, *responses[i]] for i in waiting}
        # Where a tool's results fill the context, what was said so far is the answer.
        waiting = [i for i in waiting if len(model.encode(asked[i], tools)) < model.context]
        if not waiting:
            break
        prompts = [asked[i] for i in waiting]
        drawn = replace(sampling, seed=(sampling.seed or 0) + 7919 * round_)
        found = model.generate_batch(
            prompts,
            sampling=drawn,
            adapter=adapter,
            tools=tools,
            on_done=on_done if not round_ else None,
            over=over,
        )
        going_on = []
        for i, generation in zip(waiting, found, strict=True):
            responses[i].append(generation.message())
            reasons[i] = generation.finish_reason
            written[i] += zip(generation.token_ids, generation.logprobs, strict=True)
            results = _logged_results(examples[i], generation)
            if results:
                responses[i] += results
                going_on.append(i)
        waiting = going_on
    for response in responses:  # the last word must be the model's own
        while response and response[-1].role == "tool":
            response.pop()
    return [
        (tuple(response), reason, tuple(tokens))
        for response, reason, tokens in zip(responses, reasons, written, strict=True)
    ]


def _logged_results(example: Example, generation: Generation) -> list[Message]:
    """The logged results of the very calls that were just made; empty when one is unknown."""
    known: dict[tuple[str, str], str] = {}
    ids: dict[str, tuple[str, str]] = {}
    for message in example.response:
        for call in message.tool_calls:
            ids[call.id] = (call.name, repr(sorted(call.arguments.items())))
        if message.role == "tool" and message.tool_call_id in ids:
            known[ids[message.tool_call_id]] = message.content
    results = []
    for call in generation.tool_calls:
        key = (call.name, repr(sorted(call.arguments.items())))
        if key not in known:
            return []
        results.append(Message("tool", known[key], tool_call_id=call.id))
    return results


def _fitted(model: LocalModel, example: Example, reserve: int) -> Example | None:
    """The example with as much of its history as leaves room for an answer."""
    try:
        prompt = model.fit(
            example.prompt, reserve=min(reserve, model.context // 2), tools=example.tools
        )
    except ModelError:
        return None
    return replace(example, prompt=prompt)


def _by_tools(
    examples: Sequence[Example],
) -> list[tuple[tuple[dict[str, object], ...], list[int]]]:
    groups: list[tuple[tuple[dict[str, object], ...], list[int]]] = []
    for i, example in enumerate(examples):
        for tools, members in groups:
            if tools == example.tools:
                members.append(i)
                break
        else:
            groups.append((example.tools, [i]))
    return groups


def _words(response: Sequence[Message]) -> list[tuple[str, str]]:
    """What was said and called, without the calls' random ids."""
    said = [
        (m.content.strip(), repr([(c.name, sorted(c.arguments.items())) for c in m.tool_calls]))
        for m in response
        if m.role == "assistant"
    ]
    return [one for one in said if one[0] or one[1] != "[]"]
