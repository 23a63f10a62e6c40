"""Checks on what an answer says and how it reads: JSON, numbers, language, level, manners.

Pure functions of the answer, some also of the question. Each closes the ways in which it could be
met without doing what it asks for; what those were stands beside it.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from align_agent.feedback.patterns import alternatives, word_set

FENCE = re.compile(r"^[ \t]*(```|~~~)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.M | re.S)
# A longer "sentence" is several, held together by semicolons or by nothing.
LONGEST_SENTENCE = 45
# A longer "word" is several, joined by underscores, hyphens or slashes.
LONGEST_WORD = 20
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]")
_JOINTS = re.compile(r"[_\-./:,'\u2019]+")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?![\w])")
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f]")
_VOWELS = re.compile(r"[aeiouy\u00e0-\u00ff]+", re.I)

FUNCTION_WORDS = {
    "en": "the and of to is in that it you for with this are not be on as your",
    "de": "der die das und ist nicht ein eine zu den mit sie ich es auf für von im dem",
    "fr": "le la les et est un une des pas que pour dans vous je il ce du avec sur",
    "es": "el la los las y es un una de que para no en con por se su lo como",
    "it": "il lo la gli e è un una di che per non in con si sono del della come",
    "pt": "o a os as e é um uma de que para não em com por se do da no na",
    "nl": "de het een en is niet van te dat op in voor met zijn je ik aan er",
}
# Languages that their script tells: the beginnings of its letters' Unicode names.
SCRIPTS = {
    "ru": ("CYRILLIC",),
    "el": ("GREEK",),
    "he": ("HEBREW",),
    "ar": ("ARABIC",),
    "hi": ("DEVANAGARI",),
    "th": ("THAI",),
    "ko": ("HANGUL",),
    "ja": ("HIRAGANA", "KATAKANA"),
    "zh": ("CJK",),
}
_COURTESY = re.compile(
    alternatives(
        r"""
        please | thank you | thanks | you(?:'re| are) welcome | kindly | my pleasure | gladly |
        happy to | glad | sorry | i(?:'d| would) be | would you like | could you | may i |
        feel free | let me know | good (?:morning|day|evening|luck) | dear | best regards
        """
    ).join((r"\b(?:", r")\b")),
    re.I,
)
_RUDE = re.compile(
    r"\b(?:stupid|idiots?|dumb|moron\w*|shut up|obviously you|whatever|nonsense|lazy|pathetic"
    r"|ridiculous|damn|hell no|none of (?:my|your) business|your fault|as i already said)\b",
    re.I,
)
_PREAMBLE = re.compile(
    r"^\W*(?:(?:sure|certainly|of course|absolutely|great|good|excellent|interesting|okay|ok|well"
    r"|happy to help|no problem)\b(?: (?:thing|question|point|idea|choice))?(?:[!.,:]|\s*$)"
    r"|(?:that(?:'s| is) an? \w+ question|let(?:'s| us| me)\b"
    r"|to (?:answer|understand|find|solve)\b|i(?:'d| would) be (?:happy|glad)"
    r"|i(?:'ll| will) (?:explain|try|help)|there are (?:many|several)"
    r"|as an ai|it depends|before (?:i|we)|first of all|in order to|when it comes to"
    r"|here(?:'s| is| are) (?:the|an?|some|your) (?:answer|explanation|solution)))",
    re.I,
)
_APOLOGY = re.compile(
    r"\b(?:sorry|apologi[sz]e\w*|apolog(?:y|ies)|my (?:mistake|bad|apologies)|pardon me"
    r"|forgive me|i regret)\b",
    re.I,
)
_STOP = word_set(
    """
    a an the is are was were be been do does did of to in on at for from with by and or not it this
    that these those what which who whom when where why how can could would should will shall may
    might must i you he she we they me my your his her our their there here as if then than
    """
)


def visible(text: str) -> str:
    """Lower case, without invisible characters, with single spaces; look-alikes made equal.

    "b<zero-width space>ad" and full-width letters do not hide a word.
    """
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()
    return " ".join(plain.split())


def count_words(found: Sequence[str]) -> int:
    """How many words a reader reads: joined_up_words are several, ideographs half a word each."""
    if max(map(len, found), default=0) <= LONGEST_WORD and not _IDEOGRAPH.search("".join(found)):
        return len(found)
    total = 0
    for word in found:
        ideographs = len(_IDEOGRAPH.findall(word))
        if ideographs:
            total += math.ceil(ideographs / 2)
        elif len(word) > LONGEST_WORD:
            parts = [part for part in _JOINTS.split(word) if part]
            total += max(len(parts), math.ceil(len(word) / (2 * LONGEST_WORD)))
        else:
            total += 1
    return total


def count_sentences(lengths: Sequence[int]) -> int:
    """How many sentences these are, given their words: an endless one counts as several."""
    return sum(max(1, math.ceil(length / LONGEST_SENTENCE)) for length in lengths)


def enough_words(found: Sequence[str], n: int) -> bool:
    """At least n words, of which a quarter or more are different: padding does not count."""
    return min(count_words(found), 4 * len({word.casefold() for word in found})) >= n


def contains(answer: str, wanted: Sequence[str], found: Sequence[str]) -> bool:
    """All phrases occur, and they are not all that there is."""
    shown = visible(answer)
    phrases = [visible(phrase) for phrase in wanted]
    needed = sum(len(phrase.split()) for phrase in phrases)
    return all(phrase in shown for phrase in phrases) and len(found) > min(needed, 1)


def avoids(answer: str, unwanted: Sequence[str]) -> bool:
    shown = visible(answer)
    return not any(visible(phrase) in shown for phrase in unwanted if visible(phrase))


def only_code(answer: str) -> bool:
    """Fenced code with something in it, and no prose around it."""
    bodies = [match[2] for match in FENCE.finditer(answer)]
    return any(re.search(r"\w", body) for body in bodies) and not FENCE.sub("", answer).strip()


def is_json(answer: str, keys: Any = None) -> bool:
    """Whether the whole answer, or the one fenced block that it consists of, is a JSON document.

    An object or an array that is not empty, no key twice; `keys` must be there and hold something.
    """
    text = answer.strip()
    if fenced := FENCE.fullmatch(text):
        text = fenced[2]
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict | list) or not value:
        return False
    wanted = [keys] if isinstance(keys, str) else list(keys or ())
    held = (
        [value] if isinstance(value, dict) else [item for item in value if isinstance(item, dict)]
    )
    if wanted and not held:
        return False
    return all(item.get(key) not in (None, "", [], {}) for item in held for key in wanted)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def keeps_numbers(answer: str, asked: str) -> bool:
    """Whether every number of the question is in the answer, as often; 1,000 is 1000.

    An answer that only repeats the question, or only lists the numbers, keeps nothing.
    """
    wanted, found = _numbers(asked), _numbers(answer)
    if not wanted:
        return True
    said = re.findall(r"[^\W\d_]{2,}", answer)
    return (
        all(found.count(number) >= wanted.count(number) for number in set(wanted))
        and visible(answer) != visible(asked)
        and len(said) >= min(3, len(wanted))
    )


def _numbers(text: str) -> list[str]:
    return [re.sub(r",(?=\d{3}\b)", "", number) for number in _NUMBER.findall(text)]


def in_language(found: Sequence[str], code: str) -> bool:
    """Whether the words are of the language: by script, else by the commonest function words.

    Short answers in the right script pass on a tie; an answer in another script never does.
    """
    letters = [ch for word in found for ch in word if ch.isalpha()]
    if not letters:
        return True  # numbers alone are of every language
    if code in SCRIPTS:
        own = sum(_of_script(ch, SCRIPTS[code]) for ch in letters)
        if code == "ja":
            return own > 0 and own + sum(_of_script(ch, ("CJK",)) for ch in letters) * 2 > len(
                letters
            )
        if code == "zh":
            kana = sum(_of_script(ch, SCRIPTS["ja"]) for ch in letters)
            return own * 2 > len(letters) and not kana
        return own * 2 > len(letters)
    if sum(_of_script(ch, ("LATIN",)) for ch in letters) * 2 <= len(letters):
        return False
    said = [word.casefold() for word in found]
    counts = {
        name: sum(word in common.split() for word in said)
        for name, common in FUNCTION_WORDS.items()
    }
    return counts[code] == max(counts.values())


def _of_script(ch: str, names: tuple[str, ...]) -> bool:
    return unicodedata.name(ch, "").startswith(names)


def grade(sentences: Sequence[Sequence[str]]) -> float:
    """The Flesch-Kincaid grade of English sentences, given as words.

    0.39 words/sentence + 11.8 syllables/word - 15.59 (Kincaid et al. 1975). Chopped-off words are
    joined to their neighbours first: "It. Is. Late." is one sentence.
    """
    joined: list[list[str]] = []
    for words in sentences:
        if joined and (len(words) < 3 or len(joined[-1]) < 3):
            joined[-1].extend(words)
        elif words:
            joined.append(list(words))
    every = [word for words in joined for word in words]
    if not every:
        return 0.0
    syllables = sum(_syllables(word) for word in every)
    return 0.39 * len(every) / len(joined) + 11.8 * syllables / len(every) - 15.59


def _syllables(word: str) -> int:
    bare = re.sub(r"(?:es|ed|e)$", "", word.casefold()) if len(word) > 3 else word
    return max(1, len(_VOWELS.findall(bare)))


def is_polite(answer: str, found: Sequence[str]) -> bool:
    """A courtesy, no insult, and something said besides: "please" alone is none. English."""
    text = answer.replace("\u2019", "'")
    courtesies = sum(len(match.split()) for match in _COURTESY.findall(text))
    return bool(courtesies) and not _RUDE.search(text) and len(found) >= courtesies + 3


def answers_first(sentences: Sequence[str], answer: str, asked: str) -> bool:
    """Whether the first sentence says something: no run-up, no question, no echo of one."""
    first = sentences[0].strip() if sentences else ""
    line = answer.strip().split("\n")[0].rstrip()
    if _PREAMBLE.match(first) or _PREAMBLE.match(line) or line.endswith((":", "?")):
        return False
    content = {word for word in re.findall(r"\w+", first.casefold()) if word not in _STOP}
    known = set(re.findall(r"\w+", asked.casefold()))
    return bool(content - known) or not known


def no_apology(answer: str) -> bool:
    return not _APOLOGY.search(visible(answer))


def no_question(answer: str) -> bool:
    """Whether the answer does not end by asking something back."""
    end = answer.rstrip().rstrip("\"')*_ ")
    return not end.endswith(("?", "\uff1f", "\u061f")) and not re.search(
        r"(?:let me know|feel free to ask|anything else)[^.!?\n]*[.!]?$", end, re.I
    )


def paragraphs(answer: str) -> int:
    return len([part for part in re.split(r"\n\s*\n", answer.strip()) if re.search(r"\w", part)])
