"""Two versions asked the same: the asking, the word diff, and how it is shown.

Both versions answer greedily, so that what differs is what was learned and not chance.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from align_agent.cli.output import columns, note, paint, printable, say, width
from align_agent.errors import InputError
from align_agent.records import BASE_VERSION, Message, version_label

if TYPE_CHECKING:
    from align_agent.adapters.registry import Registry
    from align_agent.config import Config
    from align_agent.store import Store

Mark = Literal["same", "removed", "added"]
_MIN_COLUMN = 36


def word_diff(before: str, after: str) -> list[tuple[Mark, str]]:
    """The way from `before` to `after` in whole words and runs of space.

    Joined without the added pieces it is `before`, without the removed ones `after`.
    """
    old, new = re.findall(r"\s+|\w+|[^\w\s]", before), re.findall(r"\s+|\w+|[^\w\s]", after)
    pieces: list[tuple[Mark, str]] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(("same", "".join(old[i1:i2])))
            continue
        if i2 > i1:
            pieces.append(("removed", "".join(old[i1:i2])))
        if j2 > j1:
            pieces.append(("added", "".join(new[j1:j2])))
    return pieces


def compare_versions(
    config: Config,
    store: Store,
    registry: Registry,
    names: tuple[str, str],
    prompts: Sequence[str],
    limit: int,
) -> dict[str, Any]:
    """Both versions' answers to the same prompts. Raises NotFound, AdapterError, InputError."""
    versions = [registry.resolve(name) for name in names]
    asked, source = _prompts(config, store, versions[1], prompts, limit)
    answers = _answers(config, registry, versions, asked)
    return {
        "a": {"version": versions[0], "label": version_label(versions[0])},
        "b": {"version": versions[1], "label": version_label(versions[1])},
        "source": source,
        "answers": [
            {
                "prompt": prompt[-1].content,
                "a": first,
                "b": second,
                "same": first == second,
                "diff": [{"mark": mark, "text": text} for mark, text in word_diff(first, second)],
            }
            for prompt, first, second in zip(asked, *answers, strict=True)
        ],
    }


def _prompts(
    config: Config, store: Store, version: int, given: Sequence[str], limit: int
) -> tuple[list[tuple[Message, ...]], str]:
    if given:
        from align_agent.agent.session import system_prompt

        system = system_prompt(config)
        head = (Message("system", system),) if system else ()
        return [(*head, Message("user", text)) for text in given], "given"
    turns = []
    if version != BASE_VERSION:
        uses = store.runs.turns_of(store.adapters.get(version).run_id)
        turns = [store.turns.get(turn_id) for turn_id, use, _ in uses if use == "heldout"]
    source = "held out"
    if not turns:
        turns = [t for t in store.turns.list(limit=limit, main_only=True) if t.answer]
        source = "latest turns"
    if not turns:
        raise InputError("there is nothing to ask yet", hint="give a question with --prompt TEXT")
    return [turn.prompt for turn in turns[:limit]], source


def _answers(
    config: Config,
    registry: Registry,
    versions: Sequence[int],
    prompts: Sequence[tuple[Message, ...]],
) -> list[list[str]]:
    from align_agent.models.generation import Sampling
    from align_agent.models.local import LocalModel

    note("asking both versions ...")
    settings = config.model
    model = LocalModel.load(
        settings.base, device=settings.device, dtype=settings.dtype, threads=settings.threads
    )
    sampling = Sampling(max_new_tokens=settings.max_new_tokens, temperature=0.0, seed=settings.seed)
    found = []
    for version in versions:
        adapter = registry.path(version, base=model.base, base_hash=model.base_hash)
        batch = model.generate_batch(prompts, sampling=sampling, adapter=adapter)
        found.append([generation.text for generation in batch])
    return found


def show_comparison(data: dict[str, Any]) -> None:
    """Side by side where the window is wide enough, else one below the other."""
    a, b = data["a"]["label"], data["b"]["label"]
    column = (columns() - 3) // 2
    for row in data["answers"]:
        say(paint(f"> {printable(row['prompt'])}", bold=True))
        if row["same"]:
            say(printable(row["a"]))
            say(f"({a} and {b} say the same)")
        elif column >= _MIN_COLUMN:
            _side_by_side((a, b), (row["a"], row["b"]), min(column, 76))
            say(_marked(row["diff"]))
        else:
            say(f"{a}: {printable(row['a'])}")
            say(f"{b}: {printable(row['b'])}")
        say()
    differ = sum(not row["same"] for row in data["answers"])
    note(f"{differ} of {len(data['answers'])} answers differ ({data['source']})")


def _side_by_side(labels: tuple[str, str], texts: tuple[str, str], size: int) -> None:
    left, right = (_wrapped(text, size) for text in texts)
    left, right = [labels[0], *left], [labels[1], *right]
    for index in range(max(len(left), len(right))):
        first = left[index] if index < len(left) else ""
        second = right[index] if index < len(right) else ""
        say(f"{first}{' ' * (size - width(first))} | {second}".rstrip())


def _wrapped(text: str, size: int) -> list[str]:
    lines: list[str] = []
    for line in printable(text).splitlines():
        # Wide characters take two columns, so a line that holds some is wrapped at half.
        limit = size if width(line) == len(line) else size // 2
        lines += textwrap.wrap(line, limit) or [""]
    return lines


def _marked(diff: Sequence[dict[str, str]]) -> str:
    """The diff in one text: [-removed-] and {+added+}, coloured on a terminal."""
    shown = {
        "same": lambda text: text,
        "removed": lambda text: paint(f"[-{text}-]", fg="red"),
        "added": lambda text: paint(f"{{+{text}+}}", fg="green"),
    }
    return "diff: " + "".join(shown[piece["mark"]](printable(piece["text"])) for piece in diff)
