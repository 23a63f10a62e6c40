"""What the words layer looks at: a follow-up, with the answer and the question before it.

Turns the three texts into hashed features. Knows no weights and learns nothing; training and use
share this one function, so that they cannot drift apart.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable

from align_agent.feedback.patterns import compiled, word_set
from align_agent.feedback.text import clauses, normalise, own_words

BUCKETS = 1 << 15
MAX_WORDS = 80
MAX_CHARS = 400
_SEEN = 6_000  # characters of the answer and the question that are compared with

_NAMED_TERM = re.compile(
    r"(?:.* )?(?:what|who) (?:does |is|are|was|were) ?(?:an? |the )?"
    r"([\w ]{2,30}?)(?: exactly| mean)?"
)
_POINTING = word_set("it that this them they he she there one")
# Answers that give nothing, or ask back: what follows them is often the same wish once more.
_REFUSES = compiled(
    """
    i (?:am )?(?:sorry|afraid) | i can not | i am (?:not able|unable|not sure|not familiar) |
    i do not (?:have|know|understand) | as an ai | language model | apologi[sz]e | could you clarify
    """
)
_REVISES = compiled(
    """
    (?:change|rewrite|rephrase|reword|paraphrase|redo|rework|revise|adjust|modify|replace|swap
    |convert|turn|make|shorten|summari[sz]e|simplify|remove|extend) (?:it|this|that|them|these
    |those|the|your|all)
    """
)
_LIMITS = compiled(
    """
    i (?:only|just) (?:have|want|need|know) | i do not (?:have|own|want|like|know) |
    i (?:can not|would rather|would prefer|already) | i am (?:allergic|not) | for me |
    my (?:budget|phone|laptop|house|apartment)
    """
)
_OPPOSES = word_set("but though although however instead actually except only still")
_DOUBTS = compiled(
    """
    are you (?:sure|certain|confident) | really | is not (?:it|that|there) | was not it |
    should not | surely | how can | can that | i (?:do not )?(?:think|believe|thought)
    """
)
_FACTS = (("refuses", _REFUSES), ("revises", _REVISES), ("limits", _LIMITS), ("doubts", _DOUBTS))


def features(follow_up: str, answer: str = "", previous_user: str = "") -> dict[int, float]:
    """bucket -> value. Words and letters are of unit length each, facts about the form beside."""
    own = own_words(follow_up, answer=answer, previous_user=previous_user)
    parts = [clause.text for clause in clauses(own)]
    said = "; ".join(parts).split()[:MAX_WORDS]
    found: dict[int, float] = {}
    _add(found, _unit(_word_runs(["<s>", *said, "</s>"], "w")))
    _add(found, _unit(_letter_runs(normalise(own)[:MAX_CHARS])))
    _add(found, _form(follow_up, own, parts, answer, previous_user))
    return found


def word_runs(follow_up: str) -> list[str]:
    """The runs of one to three words that a reading can quote as its evidence."""
    said = "; ".join(clause.text for clause in clauses(own_words(follow_up))).split()[:MAX_WORDS]
    return sorted(set(_word_runs(["<s>", *said, "</s>"], "w")))


def bucket(name: str) -> int:
    """Where a feature lies: the same on every machine, unlike Python's own hash."""
    return zlib.crc32(name.encode("utf-8", "replace")) % BUCKETS


def _add(into: dict[int, float], named: dict[str, float]) -> None:
    for name, value in named.items():
        place = bucket(name)
        into[place] = into.get(place, 0.0) + value


def _unit(names: Iterable[str]) -> dict[str, float]:
    kept = set(names)
    return dict.fromkeys(kept, 1 / math.sqrt(len(kept))) if kept else {}


def _word_runs(words: list[str], mark: str) -> Iterable[str]:
    for n in (1, 2, 3):
        for i in range(len(words) - n + 1):
            yield f"{mark}:{' '.join(words[i : i + n])}"


def _letter_runs(text: str) -> Iterable[str]:
    for word in text.split():
        padded = f" {word} "
        for n in (2, 3, 4, 5):
            for i in range(len(padded) - n + 1):
                yield f"c:{padded[i : i + n]}"


def _form(
    follow_up: str, own: str, parts: list[str], answer: str, previous_user: str
) -> dict[str, float]:
    text = normalise(own)
    said = text.split()
    before, asked = normalise(answer[:_SEEN]), normalise(previous_user[:_SEEN])
    content = [word for word in said if len(word) > 3 and word.isalpha()]
    every = set(said) | set(asked.split())
    form = {
        "bias of length": min(len(said), MAX_WORDS) / 40,
        "log length": math.log1p(len(said)) / 4,
        "in the answer": _share(content, set(before.split())),
        "in the question": _share(content, set(asked.split())),
        "same as the question": len(set(said) & set(asked.split())) / max(1, len(every)),
        "speaks to you": min(sum(w in ("you", "your", "yours") for w in said[:40]), 3) / 3,
        "clauses": min(len(parts), 8) / 8,
        "ends asking": float(follow_up.rstrip().endswith("?")),
        "asks": float("?" in follow_up[:2_000]),
        "answer asks": float(answer.rstrip().endswith("?")),
        "exclaims": float("!" in follow_up[:2_000]),
        "a number": float(any(ch.isdigit() for ch in own)),
        "a term of the answer": float(_asks_for_a_term(said, before, asked)),
        "answer refuses": float(bool(_REFUSES.search(normalise(answer[:400])))),
        "opposes": min(sum(w in _OPPOSES for w in said[:40]), 2) / 2,
    }
    for name, pattern in _FACTS[1:]:
        form[name] = float(bool(pattern.search(text)))
    return {f"f:{name}": value * 0.5 for name, value in form.items()}


def _share(words: list[str], known: set[str]) -> float:
    return sum(word in known for word in words) / max(1, len(words))


def _asks_for_a_term(said: list[str], before: str, asked: str) -> bool:
    """ "What is a mutex?", of a word that the answer brought in."""
    match = _NAMED_TERM.fullmatch(" ".join(said).strip(" ?")) if len(said) < 10 else None
    if match is None or match[1] in _POINTING:
        return False
    return f" {match[1]} " in f" {before} " and f" {match[1]} " not in f" {asked} "
