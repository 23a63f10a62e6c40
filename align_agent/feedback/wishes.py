"""Wishes in the user's own words: is there a check for one, and may it become a rule at all?

Knows nothing of known directions; those are in `directions`.
"""

from __future__ import annotations

import re
from typing import Any

from align_agent.feedback.names import names_somebody
from align_agent.feedback.patterns import word_set
from align_agent.languages import ENGLISH_NAMES

_NUMBERS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "ten": 10,
    "a single": 1,
}
_AT_MOST = re.compile(
    r"\b(?:at most|no more than|not more than|maximum(?: of)?|max\.?|up to|in|within|under|only)\s+"
    rf"(\d{{1,4}}|{'|'.join(_NUMBERS)})\s+(words?|sentences?)\b",
    re.I,
)
_LANGUAGE = re.compile(
    rf"\b(?:answer|reply|write|speak|respond|talk)\b[^.]{{0,40}}?"
    rf"\bin ({'|'.join(ENGLISH_NAMES)})\b",
    re.I,
)
_QUOTE = r"[\"'\u201c\u2018]([^\"'\u201d\u2019]{1,80})[\"'\u201d\u2019]"
_STARTS = re.compile(rf"\b(?:start|begin|open) (?:\w+ ){{0,4}}with {_QUOTE}", re.I)
_ENDS = re.compile(rf"\b(?:end|finish|close) (?:\w+ ){{0,4}}with {_QUOTE}", re.I)
_NEVER = re.compile(
    rf"\b(?:never|do not|don't|avoid|stop|no) (?:\w+ ){{0,4}}?(?:say|saying|use|using|write"
    rf"|writing|word|phrase)?\s?(?:the )?(?:word |phrase )?{_QUOTE}",
    re.I,
)
# Wishes that a check without numbers verifies.
_PLAIN: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"\b(?:never|do not|don't|stop|quit|no)\b[^.!?]{0,12}\b(?:apologi[sz]\w+"
            r"|apolog(?:y|ies)|saying sorry|say sorry)\b",
            re.I,
        ),
        "no_apology",
    ),
    (
        re.compile(
            r"\b(?:answer|result|conclusion) first\b"
            r"|\b(?:start|begin|lead|open) with the (?:answer|result|conclusion)\b",
            re.I,
        ),
        "answer_first",
    ),
    (
        re.compile(
            r"\b(?:never|do not|don't|stop) (?:end|ending|finish|finishing|close|closing)\b"
            r"[^.!?]{0,16}\bwith (?:a )?questions?\b",
            re.I,
        ),
        "no_question",
    ),
    (
        re.compile(
            r"\b(?:answer|reply|respond|output|write)\b[^.!?]{0,24}\b(?:in|as|with) "
            r"(?:valid |plain )?json\b",
            re.I,
        ),
        "json",
    ),
    (re.compile(r"\bkeep (?:all )?(?:the |my )?numbers\b", re.I), "numbers_kept"),
)
_NOT_WITH = re.compile(r"\b(?:never|do not|don't|stop|avoid)\b", re.I)

# Words that a sentence about style may hold with a capital and that name nobody.
_KNOWN_CAPITALS = word_set(
    """
    i i'm i'd i've i'll english german french spanish italian portuguese dutch russian chinese
    japanese korean arabic turkish polish swedish hindi latin british american celsius fahrenheit
    markdown python javascript typescript java rust html css sql json yaml latex unicode ascii pdf
    ai chatgpt gpt tldr tl dr ok final answer emoji excel word
    """
)
_PRIVATE = re.compile(
    r"\b(?:call me|my (?:name|address|street|phone|number|mail|e-?mail|birthday|age|salary|password"
    r"|wife|husband|son|daughter|mother|father|mom|mum|dad|brother|sister|boss|doctor|bank|account|"
    r"illness|diagnosis|medication|partner|girlfriend|boyfriend|employer|company)|i (?:live|work) "
    r"(?:in|at|for)|born|diabet\w+|cancer|depress\w+|anxiety|adhd|autis\w+|asthma|allerg\w+"
    r"|pregnan\w+|therap\w+|medicines?|medications?|pills?|insulin|hiv|disab\w+|surgery|symptoms?"
    r"|illness\w*|disease\w*|disorder|tumou?rs?|benign|malignan\w+|clinics?|hospital|biops\w+"
    r"|chemo\w*|miscarriage|abortion|grandm\w+|grandpa|granny|aunt(?:ie)?|uncle|salary|debts?|religio\w+|divorc\w+)\b",
    re.I,
)


# What somebody says of themself: whatever is theirs but their words, what they have, take or are,
# and whom or what not to speak of.
_OF_THEIRS = re.compile(
    r"\bmy (?!(?:questions?|messages?|prompts?|words?|code|texts?|language|instructions?"
    r"|wish(?:es)?|requests?|inputs?|numbers|mails?|e-?mails?|letters?|drafts?|notes?|style|tone|last|previous"
    r"|first|own|opinion|preferences?|answers?|format|rules?|sentences?|paragraphs?|headings?"
    r"|spelling|wording|name for)\b)\w+"
    r"|\bi (?:have|had|suffer|take|am on|was diagnosed|got diagnosed|am in|feel)\b"
    r"|\bi'?(?:ve| have) (?:got|been)\b"
    r"|\b(?:mention|bring up|talk about|speak (?:of|about)|remind me of)"
    r" (?!(?:the|that|this|it|any|your|a|an|these|those|how|what|when|where|who|you|being)\b)\w+",
    re.I,
)


def check_for(text: str) -> dict[str, Any] | None:
    """A check spec that verifies the wish, where it is of a kind that a program can verify."""
    if most := _AT_MOST.search(text):
        number = most[1].casefold()
        n = _NUMBERS[number] if number in _NUMBERS else int(number)
        kind = "max_words" if most[2].casefold().startswith("word") else "max_sentences"
        return {"name": kind, "n": n}
    refuses = bool(_NOT_WITH.search(text))
    if not refuses and (start := _STARTS.search(text)):
        return {"name": "starts_with", "text": start[1]}
    if not refuses and (end := _ENDS.search(text)):
        return {"name": "ends_with", "text": end[1]}
    if never := _NEVER.search(text):
        return {"name": "avoids", "text": never[1]}
    for pattern, name in _PLAIN:
        if pattern.search(text) and not (refuses and name in ("json", "answer_first")):
            return {"name": name}
    if not refuses and (language := _LANGUAGE.search(text)):
        return {"name": "language", "code": ENGLISH_NAMES[language[1].casefold()]}
    return None


def is_private(text: str) -> bool:
    """Whether a wish may hold something personal: a number, an address, a name, a relation.

    Errs towards yes: such a wish is learned from its own turn only and never becomes a rule.
    """
    if re.search(r"\d|@|://|www\.|\\\\|/", text) or _PRIVATE.search(text):
        return True
    if _OF_THEIRS.search(text) or names_somebody(text):
        return True
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text)
    return any(word[0].isupper() and word.casefold() not in _KNOWN_CAPITALS for word in words[1:])
