"""Checks that a program can do on an answer: no emoji, at most N words, plain text, and so on.

A check is a pure function of the answer and the parameters in its spec. It knows nothing of rules,
turns or the store. Fenced code is not prose: style checks look past it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

from align_agent.errors import InputError
from align_agent.feedback import contents
from align_agent.feedback.patterns import alternatives

# Far beyond any answer that a person reads; keeps a check's time bounded.
MAX_CHECKED = 20_000

_FENCE = re.compile(r"^[ \t]*(```|~~~)[^\n]*\n.*?(?:^[ \t]*\1[ \t]*$|\Z)", re.M | re.S)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_BOLD = re.compile(r"\*\*(?=\S)[^\n]+?\*\*|__(?![a-z]+__)(?=\S)[^_\n]+?__|</?(?:b|strong)>", re.I)
_ITALIC = re.compile(r"(?<![\w*])\*(?=[^\s*])[^*\n]*[^\s*]\*(?![\w*])|</?(?:i|em)>", re.I)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+\S|^[^\n|]+\n(?:={3,}|-{3,})[ \t]*$", re.M)
_BULLET = re.compile(r"^[ \t]*[-*+\u2022\u25e6\u2023\u25aa][ \t]+\S", re.M)
_NUMBERED = re.compile(r"^[ \t]*(?:\*\*|__)?\(?\d{1,3}[.)](?:\*\*|__)?[ \t]+\S", re.M)
_TABLE = re.compile(r"^[ \t]*\|.*\|[ \t]*$|^[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*\|", re.M)
# "Add 3: 5 + 3 = 8", but not "Final answer: x = 8".
_LABELLED_EQUATION = re.compile(
    r"^(?![^:]*(?:answer|mistake|verdict|result))\s*[^\W\d_][^:.=]{2,60}:[^:]*=", re.I
)
_CONCLUSION = re.compile(r"^\s*(?:so|therefore|thus|hence|that means|this means)\b", re.I)
_JUDGEMENT = re.compile(
    r"\b(?:right|wrong|correct\w*|incorrect\w*|mistakes?|errors?|slip\w*|should|instead|missing|"
    r"because|well done|good|off by|forgot|left out|miscounted|mixed up)\b",
    re.I,
)
_VERDICT = re.compile(
    r"\b(?:right|wrong|correct|incorrect|mistakes?|errors?|well done|"
    r"(?:good|nice|great|fine|excellent|wonderful) (?:work|job|answer|attempt|essay|try)|"
    r"(?:work|answer|essay|text|solution) is (?:fine|good|ok|okay|great))\b",
    re.I,
)
_STEP_WORDS = re.compile(r"\bstep\s+(?:\d+|one|two|three)\b", re.I)
_FIRST = re.compile(r"\b(?:first|firstly|to (?:begin|start))\b", re.I)
_THEN = re.compile(r"\b(?:then|next|second|after that|finally|so)\b", re.I)
# Whatever decorates a text has one of these, or is a number at the start of a line.
_MARK = re.compile("[*_<#=|+\u2022\u25e6\u2023\u25aa-]")
_SPOKEN = re.compile(r"\w")
_WORD = re.compile(r"\w+(?:['\u2019.,:-]\w+)*")
# Emoji that show as pictures; check marks, arrows, digits and (c) are text.
_EMOJI = re.compile(
    "[\U0001f300-\U0001faff\U0001f1e6-\U0001f1ff\u2600-\u2712\u2719-\u2767\u2795-\u2797"
    "\u231a\u231b\u23e9-\u23f3\u25fd\u25fe\u2b1b\u2b1c\u2b50\u2b55\u303d\u3297\u3299]"
)
_SHORTCODE = re.compile(
    r"(?<![:\w]):(?:smil(?:e|ey)|grin\w*|joy|heart\w*|wink|tada|fire|rocket|star2?|sparkles|thumbsup|\+1|pray"
    r"|clap|blush|wave|sunglasses|thinking|sob|cry|laughing|slight_smile|100|ok_hand|eyes|sweat_smile"
    r"|white_check_mark|muscle|raised_hands|party_popper):(?![:\w])"
)
_WARM = re.compile(
    alternatives(
        r"""
        (?:great|good|nice|excellent|wonderful|lovely|fantastic|amazing|awesome|brilliant|superb)
        \s+(?:job|work|question|effort|try|thinking|start|going|one|idea|choice|attempt|progress) |
        well done | keep (?:it up|going|at it|trying|up the) | you(?:'ve| have)? got (?:this|it) |
        proud of | happy to | how (?:lovely|nice|kind) | glad | my pleasure | don'?t worry |
        no worries | you(?:'re| are) (?:on the right track|doing|so close|very close|welcome) |
        (?:almost|nearly) there | so close | hooray | yay | bravo | thank you for | dear | super |
        (?:lovely|nice|great|wonderful|so good) (?:to|talking|meeting|of) | take (?:good )?care |
        kind to yourself | i(?:'d| would) love to | (?:so|very) sorry to hear | congratulations |
        congrats | hope (?:this|that|it) helps | you can do (?:it|this) | i believe in you |
        sounds fun | good luck | have fun
        """
    ).join((r"\b(?:", r")\b"))
    + r"|^[^\w\n]{0,10}(?:great|wonderful|lovely|fantastic|amazing|awesome|brilliant|excellent|nice"
    r"|perfect)\s*[!,]",
    re.I | re.M,
)
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|mr|mrs|dr|vs|no|approx)\.", re.I)
_SENTENCE_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f]+(?=[\s\"')\]*_]|$)|\n+")
_EQUATION = re.compile(r"\d[\d\s.+*/\u00d7\u00f7x-]{0,60}=\s*-?\d+")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,]\d+)*")
_QUOTED = re.compile(
    r"\"[^\"\n]{1,200}\"|\u201c[^\u201d\n]{1,200}\u201d|\u00ab[^\u00bb\n]{1,200}\u00bb"
)


_LANGUAGES = (*contents.FUNCTION_WORDS, *contents.SCRIPTS)


def prose(answer: str) -> str:
    """The answer without its fenced code."""
    return _FENCE.sub("\n", answer)


def words(text: str) -> list[str]:
    """The words of a text: runs of letters or digits, with their inner apostrophes and points."""
    return _WORD.findall(text)


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text. A list marker, a heading's # and bold are no words."""
    bare = re.sub(
        r"^[ \t]*(?:[-*+\u2022]|\(?\d{1,3}[.)]|#{1,6})[ \t]+", "", prose(text), flags=re.M
    )
    bare = _ABBREVIATION.sub(lambda m: m.group().replace(".", ""), bare)
    return [part for part in _SENTENCE_END.split(bare) if re.search(r"\w", part)]


def has_list(answer: str) -> bool:
    """Whether the prose holds a bulleted or numbered item."""
    text = prose(answer)
    return bool(_BULLET.search(text) or _NUMBERED.search(text))


def has_bold(answer: str) -> bool:
    return bool(_BOLD.search(_INLINE_CODE.sub("", prose(answer))))


def has_heading(answer: str) -> bool:
    return bool(_HEADING.search(prose(answer)))


def has_markdown(answer: str) -> bool:
    """Bold, italics, a list, a heading or a table. Code, inline or fenced, is no decoration."""
    whole = prose(answer)
    if _NUMBERED.search(whole):
        return True
    if not _MARK.search(whole):
        return False  # most of what is said is plain: a year of it has to be read in a second
    bare = _INLINE_CODE.sub("", whole)
    found = any(pattern.search(whole) for pattern in (_BULLET, _HEADING))
    return found or any(pattern.search(bare) for pattern in (_BOLD, _ITALIC, _TABLE))


def has_emoji(answer: str) -> bool:
    """Emoji, also by the names that chats turn into pictures (":smile:")."""
    return bool(_EMOJI.search(answer) or _SHORTCODE.search(prose(answer)))


def is_warm(answer: str) -> bool:
    """Whether the words encourage or greet: "well done", "happy to help". Lexical, English."""
    return bool(_WARM.search(prose(answer).replace("\u2019", "'")))


def shows_steps(answer: str) -> bool:
    """Whether the working is laid out.

    A numbered list, "step 2", "first ... then ...", "Add 3: 5 + 3 = 8", a conclusion ("So it is
    8.") after two sentences, or different equations in different sentences.
    """
    text = prose(answer)
    first = _FIRST.search(text)
    told = first is not None and bool(_THEN.search(text, first.end()))
    if told or _NUMBERED.search(text) or _STEP_WORDS.search(text):
        return True
    parts = sentences(text)
    if any(_LABELLED_EQUATION.search(part) for part in parts):
        return True
    if any(_CONCLUSION.search(part) for part in parts[2:]):
        return True
    # Brief working may put several equations into one sentence, or repeat one.
    known: set[str] = set()
    bringing = 0
    for part in parts:
        found = set(_EQUATION.findall(part))
        bringing += not found <= known
        known |= found
    return bringing >= 2


def is_specific(answer: str) -> bool:
    """Whether a sentence that judges ("is right", "the mistake") names what it judges.

    To name is to give a number, a quotation or code in that sentence.
    """
    return any(
        _JUDGEMENT.search(part)
        and (_NUMBER.search(part) or _QUOTED.search(part) or _INLINE_CODE.search(part))
        for part in sentences(answer)
    )


def _specific(answer: str) -> bool:
    """An answer that judges nothing has nothing to be specific about."""
    return is_specific(answer) or not _VERDICT.search(prose(answer))


def _brief(answer: str, max_words: int = 60, max_sentences: int = 3) -> bool:
    """Few words and few sentences; many sentences pass where they are tiny ones."""
    text = prose(answer)
    count = len(words(text))
    few = len(sentences(text)) <= max_sentences or count <= 0.6 * max_words
    return count <= max_words and few and not shows_steps(answer)


def _neutral(answer: str) -> bool:
    return not is_warm(answer) and "!" not in prose(answer)


def _listed(text: Any) -> list[str]:
    return [str(part) for part in (text if isinstance(text, list | tuple) else [text])]


def _starts_with(answer: str, text: Any) -> bool:
    return contents.visible(answer).startswith(tuple(map(contents.visible, _listed(text))))


def _ends_with(answer: str, text: Any) -> bool:
    return contents.visible(answer).endswith(tuple(map(contents.visible, _listed(text))))


def _max_sentences(answer: str, n: int) -> bool:
    return contents.count_sentences([len(words(part)) for part in sentences(answer)]) <= n


def _reading_level(answer: str, grade: int) -> bool:
    return contents.grade([words(part) for part in sentences(answer)]) <= grade


CHECKS: dict[str, Callable[..., bool]] = {
    "no_emoji": lambda answer: not has_emoji(answer),
    "uses_emoji": has_emoji,
    "no_markdown": lambda answer: not has_markdown(answer),
    "uses_markdown": has_markdown,
    "no_bold": lambda answer: not has_bold(answer),
    "no_list": lambda answer: not has_list(answer),
    "no_heading": lambda answer: not has_heading(answer),
    "max_sentences": _max_sentences,
    "max_words": lambda answer, n: contents.count_words(words(prose(answer))) <= n,
    "min_words": lambda answer, n: contents.enough_words(words(prose(answer)), n),
    "max_paragraphs": lambda answer, n: contents.paragraphs(answer) <= n,
    "brief": _brief,
    "steps": shows_steps,
    "warm": is_warm,
    "neutral_tone": _neutral,
    "specific": _specific,
    "not_specific": lambda answer: not is_specific(answer),
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "contains": lambda answer, text: contents.contains(answer, _listed(text), words(answer)),
    "avoids": lambda answer, text: contents.avoids(answer, _listed(text)),
    "no_exclamation": lambda answer: "!" not in prose(answer),
    "no_apology": contents.no_apology,
    "no_question": contents.no_question,
    "code_block_only": contents.only_code,
    "json": contents.is_json,
    "language": lambda answer, code: contents.in_language(words(prose(answer)), code),
    "reading_level": _reading_level,
    "polite": lambda answer: contents.is_polite(prose(answer), words(prose(answer))),
    "answer_first": lambda answer, asked="": contents.answers_first(
        sentences(answer), answer, asked
    ),
    "numbers_kept": lambda answer, asked="": contents.keeps_numbers(answer, asked),
}
# These also look at what was asked.
_OF_THE_QUESTION = frozenset({"answer_first", "numbers_kept"})
_PARAMETERS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "max_sentences": {"n": int},
    "max_words": {"n": int},
    "min_words": {"n": int},
    "max_paragraphs": {"n": int},
    "reading_level": {"grade": int},
    "json": {"keys": (str, list)},
    "brief": {"max_words": int, "max_sentences": int},
    "starts_with": {"text": (str, list)},
    "ends_with": {"text": (str, list)},
    "contains": {"text": (str, list)},
    "avoids": {"text": (str, list)},
    "language": {"code": str},
}
_OPTIONAL = frozenset({"brief", "json"})


# What each parameter must be, in words, and one that is fine.
_KINDS = {
    "n": "a whole number", "grade": "a whole number", "max_words": "a whole number",
    "max_sentences": "a whole number", "keys": "a text or a list of texts",
    "text": "a text or a list of texts (a number or a date in quotes)",
    "code": "a text, the two letters of a language",
}  # fmt: skip
_FINE: dict[str, str] = {
    "n": "3", "grade": "8", "max_words": "60", "max_sentences": "3", "keys": "[answer]",
    "text": '"Hello"', "code": "de",
}  # fmt: skip


def _example(name: str) -> str:
    """A spec of the check that is fine, as it stands in config.yaml."""
    given = "".join(f", {key}: {_FINE[key]}" for key in _PARAMETERS.get(name, {}))
    return f"check: {{name: {name}{given}}}" if given else f"check: {name}"


def validate_spec(spec: Mapping[str, Any]) -> None:
    """Raise InputError when a spec names no known check or has missing or wrong parameters."""
    name = str(spec.get("name", ""))
    if name not in CHECKS:
        near = difflib.get_close_matches(name, CHECKS, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise InputError(
            f"there is no check named {name!r}", hint=f"{meant}known checks: {', '.join(CHECKS)}"
        )
    wanted = _PARAMETERS.get(name, {})
    given = {key: value for key, value in spec.items() if key != "name"}
    shown = ", ".join(wanted) or "no parameters"
    if given.keys() - wanted.keys() or (name not in _OPTIONAL and wanted.keys() - given.keys()):
        raise InputError(
            f"check {name} takes {shown}, and its spec is {dict(spec)!r}",
            hint=f"write {_example(name)}",
        )
    for key, value in given.items():
        if not isinstance(value, wanted[key]) or isinstance(value, bool):
            kind = _KINDS[key]
            quoted = isinstance(value, str) and value.strip().isdigit() and wanted[key] is int
            raise InputError(
                f"check {name}: {key} must be {kind}, not {value!r}",
                hint=f"write {_example(name)}{', without quotes' if quoted else ''}",
            )
    if any(key in ("n", "grade") and value < 1 for key, value in given.items()):
        raise InputError(
            f"check {name} needs a number above 0, and its spec is {dict(spec)!r}",
            hint=f"write {_example(name)}",
        )
    if any(not contents.visible(text) for text in _listed(given.get("text", "x"))):
        raise InputError(
            f"check {name} needs words in its text, and its spec is {dict(spec)!r}",
            hint=f"write {_example(name)}",
        )
    if name == "language" and spec["code"] not in _LANGUAGES:
        known = ", ".join(_LANGUAGES)
        raise InputError(
            f"check language knows no {spec['code']!r}",
            hint=f"write {_example(name)}; it knows {known}",
        )


def checker(spec: Mapping[str, Any]) -> Callable[[str, str], bool]:
    """The check of a spec, for many answers: (answer, the message that it answers) -> whether it
    passes, as `run_check` says. Raises InputError for a spec that `validate_spec` refuses."""
    validate_spec(spec)
    check = CHECKS[str(spec["name"])]
    parameters = {key: value for key, value in spec.items() if key != "name"}
    compares = spec["name"] in _OF_THE_QUESTION

    def passes(answer: str, asked: str) -> bool:
        answer = answer[:MAX_CHECKED]
        if not _SPOKEN.search(answer):
            return False
        more = {"asked": asked[:MAX_CHECKED]} if compares else {}
        return bool(check(answer, **parameters, **more))

    return passes


def run_check(spec: Mapping[str, Any], answer: str, *, asked: str = "") -> bool:
    """Whether the answer passes the check, for example `{"name": "max_words", "n": 40}`.

    `asked` is the message that it answers; without it the checks that compare with it pass.

    An answer without a single letter or digit (empty, ".") passes none; of an endless one only
    the first 20,000 characters count. Raises InputError for a spec that `validate_spec` refuses.
    """
    return checker(spec)(answer, asked)
