"""How users of the pocket world say what they want, in their own words.

Each direction has a small grammar (frames times key words, and whole sentences) for training, and
six sentences in `UNSEEN` that training never shows: a complaint can only be understood by its
words, not by heart. Thanks and the like are here too: they ask for nothing. The words themselves
are in `wordings.yaml`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Words = tuple[str, ...]

# How often a message is changed in each way, so that the model listens for the words that matter.
_BEFORE, _FILLER, _AFTER, _LOWER, _BARE = 0.15, 0.2, 0.1, 0.12, 0.12
_WHOLE = 0.3  # whole sentences are few beside the frames, so they have a share of their own
_LATE = 0.2  # ... as have the late ones, where they are said
_REASON = 0.2


def _load() -> dict[str, Any]:
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506


def _table(part: Mapping[str, Mapping[str, list[str]]], name: str) -> dict[str, Words]:
    return {key: tuple(entry.get(name, ())) for key, entry in part.items()}


_DATA = _load()
_STYLE, _FRAMES, _DECORATION = _DATA["style"], _DATA["frames"], _DATA["decoration"]

# By direction, `axis:value`.
WHOLE: dict[str, Words] = _table(_STYLE, "whole")
LATE: dict[str, Words] = _table(_STYLE, "late")  # for the last stage of training alone
UNSEEN: dict[str, Words] = _table(_STYLE, "unseen")
# By wish about code, `axis:choice` of `code.CHOICES`.
CODE: dict[str, Words] = _table(_DATA["code"], "whole")
UNSEEN_CODE: dict[str, Words] = _table(_DATA["code"], "unseen")
THANKS: Words = tuple(_DATA["thanks"]["whole"])
DOUBTS: Words = tuple(_DATA["doubts"]["whole"])
UNSEEN_DOUBTS: Words = tuple(_DATA["doubts"]["unseen"])
UNSEEN_THANKS: Words = tuple(_DATA["thanks"]["unseen"])


def _sentences(entry: Mapping[str, list[str]]) -> Words:
    """Every sentence of a direction's grammar, without the reasons."""
    made = [
        frame.format(x=word)
        for name in ("less", "more", "be", "too")
        for word in entry.get(name, ())
        for frame in _FRAMES[name]
    ]
    return (*made, *entry["whole"])


_ALL: dict[str, Words] = {key: _sentences(entry) for key, entry in _STYLE.items()}


def seen(direction: str) -> Words:
    """Every sentence that training may use for a style direction, before any decoration."""
    return _ALL[direction] + LATE[direction]


def say(direction: str, rng: random.Random, *, late: bool = False) -> str:
    """One way to say a style direction, as a person types it; `late` adds the late sentences."""
    words = WHOLE[direction] if rng.random() < _WHOLE else _ALL[direction]
    if late and LATE[direction] and rng.random() < _LATE:
        words = LATE[direction]
    text = rng.choice(words)
    reasons = _STYLE[direction].get("reasons")
    if reasons and rng.random() < _REASON:
        text = f"{text.rstrip('.!')}, {rng.choice(reasons)}."
    return _typed(text, rng)


def say_code(wish: str, rng: random.Random) -> str:
    """One way to say a wish about code."""
    return _typed(rng.choice(CODE[wish]), rng)


def _typed(text: str, rng: random.Random) -> str:
    if rng.random() < _BEFORE:
        before = rng.choice(_DECORATION["before"])
        text = before + (text if text.startswith(("I ", "I'")) else text[0].lower() + text[1:])
    if rng.random() < _FILLER:
        words = text.split(" ")
        for _ in range(rng.choice((1, 1, 2))):
            words.insert(rng.randint(0, len(words)), rng.choice(_DECORATION["fillers"]))
        text = " ".join(words)
    if rng.random() < _AFTER:
        text += rng.choice(_DECORATION["after"])
    if rng.random() < _LOWER:
        text = text.lower()
    if rng.random() < _BARE:
        text = text.rstrip(".!")
    return text


def join(texts: list[str], rng: random.Random) -> str:
    """Several wishes in one message."""
    if len(texts) == 1:
        return texts[0]
    glue = rng.choice((" ", " And ", " Also: ", "\n"))
    return glue.join(texts)
