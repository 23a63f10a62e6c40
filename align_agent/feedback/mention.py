"""Where a word about style stands: what governs it, how strongly, and in what kind of clause.

Gathers the facts; what they mean together is decided in `stance`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from align_agent.feedback import grammar, lexicon, vocabulary
from align_agent.feedback.lexicon import Concept
from align_agent.feedback.text import Clause

Match = tuple[Concept, int, int]

KNOWN_WORDS = (
    vocabulary.FUNCTION_WORDS | vocabulary.ANSWER_WORDS | grammar.NEGATORS | grammar.WANTERS
)


def find_concepts(text: str) -> list[Match]:
    """Concepts in a clause, the longest where they overlap, in order of position."""
    every = [
        (concept, found.start(), found.end())
        for concept in lexicon.CONCEPTS
        for found in concept.pattern.finditer(text)
        if found.group().strip()
    ]
    every.sort(key=lambda match: (match[1] - match[2], match[1]))
    kept: list[Match] = []
    for match in every:
        if all(match[2] <= other[1] or match[1] >= other[2] for other in kept):
            kept.append(match)
    return sorted(kept, key=lambda match: match[1])


def unknown_words(text: str, matches: list[Match] | None = None) -> list[str]:
    """The words that are neither about style, nor about the answer, nor function words."""
    rest = text
    for _, start, end in find_concepts(text) if matches is None else matches:
        rest = f"{rest[:start]}{' ' * (end - start)}{rest[end:]}"
    return [word for word in rest.split() if word[0].isalpha() and word not in KNOWN_WORDS]


@dataclass(frozen=True, slots=True)
class Mention:
    """One concept in one clause.

    `before` and `after` are the words around it; `degree` is "too", "less", "more", "very" or
    empty; `sign` is +1 where a wanting word governs it, -1 where a rejecting one does; `report`
    says that the clause tells what the answer was like.
    """

    clause: Clause
    text: str
    concept: Concept
    words: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    degree: str
    sign: int
    report: bool
    matches: tuple[Match, ...]

    @property
    def head(self) -> str:
        return " ".join(self.before)

    @property
    def tail(self) -> str:
        return " ".join(self.after).strip(" ,!?")

    @property
    def first_word(self) -> str:
        return self.words.split()[0]

    @property
    def says_nothing_else(self) -> bool:
        return not self.before and not self.tail


def mention(clause: Clause, text: str, match: Match, matches: list[Match]) -> Mention:
    """The facts about one match in the text of a clause."""
    concept, start, end = match
    before = text[:start].split()
    return Mention(
        clause,
        text,
        concept,
        text[start:end],
        tuple(before),
        tuple(text[end:].split()),
        _degree(before),
        _sign(text, start, matches),
        _is_report(before, text, concept.kind),
        tuple(matches),
    )


def names_something_else(m: Mention) -> bool:
    """An adjective before a noun of another world ("a short story"), or weather, or people."""
    follows, concept = m.after[:1], m.concept
    unknown_after = unknown_words(" ".join(m.after))
    if unknown_after and (
        m.first_word.startswith("explain")
        or grammar.MAKES_SOMETHING.match(m.head)
        or (grammar.DIGEST.match(m.first_word) and follows in (("the",), ("a",)))
        or (
            concept.kind == "thing" and follows == ("of",) and unknown_words(" ".join(m.after[1:4]))
        )
    ):
        return True
    if m.words == "list" and follows and follows[0] in grammar.LISTED:
        return True
    if concept.kind != "thing" and follows and follows[0][0].isalpha():
        starts = {m.text[start:end].split()[0] for _, start, end in m.matches}
        if follows[0] not in KNOWN_WORDS and follows[0] not in starts:
            return True
    if concept.kind == "quality" and (m.before[-1:] in (("how",), ("as",)) or _adorns(m)):
        return True
    return concept.ambiguous and _is_ambiguous(m)


def _adorns(m: Mention) -> bool:
    """ "A nice list", "a friendly emoji": the word is said of a thing that is wished for."""
    start = len(" ".join((*m.before, m.words))) + 1
    return m.concept.ambiguous and any(
        other.kind == "thing" and at == start and other.wanted != m.concept.wanted
        for other, at, _ in m.matches
    )


def _is_ambiguous(m: Mention) -> bool:
    if m.before[-1:] == ("the",) and m.after:
        return True
    if grammar.OF_PEOPLE.search(m.head):
        return True
    if m.before[-2:] in (("would", "be"), ("make", "it")) and len(m.matches) > 1:
        return True
    unknown = unknown_words(m.text, list(m.matches))
    if m.concept.kind == "thing":
        return bool(unknown or re.search(r"\d", m.text))
    return bool(unknown) and not grammar.SPEAKS_OF_ANSWER.search(m.text)


def _degree(before: list[str]) -> str:
    near = [word for word in before[-4:] if word not in grammar.SKIPPED_BY_DEGREE]
    last, pair = (near[-1] if near else ""), " ".join(near[-2:])
    if last in grammar.TOO or pair in ("too much", "too many"):
        return "too"
    if last in ("less", "fewer"):
        return "less"
    if last == "more" and pair not in ("no more", "any more", "not more"):
        return "more"
    return "very" if last in grammar.VERY or pair in ("so many", "so much") else ""


def _sign(text: str, position: int, matches: list[Match]) -> int:
    """+1 when a word that wants governs the position, -1 for one that rejects, 0 for neither.

    A wanting word right behind a rejecting one ("do not use", "stop adding") changes nothing; two
    rejecting words in a row ("do not skip") cancel out.
    """
    sign, gap, broken, offset = 0, 99, True, 0
    words = text[:position].split()
    preferring = bool({"rather", "prefer", "preferred"} & set(words))
    for index, word in enumerate(words):
        here = text.index(word, offset)
        offset = here + len(word)
        inside = any(start <= here < end for _, start, end in matches)
        broken = broken or inside or word in grammar.BREAKS
        if inside:
            sign = sign or int(word in grammar.ASKING_VERBS)
            continue
        around = (words[index - 1] if index else "", "".join(words[index + 1 : index + 2]))
        value = _value(word, around, preferring)
        chained = not broken and gap <= 3
        if value < 0:
            sign = -sign if chained and sign else -1
        elif value > 0 and not (chained and sign < 0):
            sign = 1
        gap, broken = (0, False) if value else (gap + 1, broken)
    return sign


def _value(word: str, around: tuple[str, str], preferring: bool) -> int:
    """+1 for a word that wants, -1 for one that rejects, by itself and its neighbours."""
    before, following = around
    if word in ("instead", "rather") and following in ("of", "than"):
        return -1
    if word in ("than", "over") and preferring and before != "rather":
        return -1
    match word:
        case "nothing":
            return 1 if following == "but" else -1
        case "kill" | "hurt" if following in ("you", "to"):
            return 0  # "would it kill you to be nice"
        case "get" | "getting" if following == "rid":
            return 0
        case "rid":
            return -1
        case "save":
            return -1 if following in ("the", "your", "me") else 0
        case "leave" | "leaving" | "left" | "take" | "taking" | "cut":
            aways = ("out", "off", "away", "the", "all", "that", "back")
            return -1 if following in aways else 0
        case "enough":
            return -1 if following in ("of", "with", "already") else 0
        case "less" | "fewer":
            return 0  # a matter of degree
        case "with":
            return int(not before or before in grammar.BEFORE_WITH)
        case "do" | "have" if following == "not":
            return 0
        case "go":
            return -1 if following == "easy" else int(following in grammar.AFTER_GO)
    return -1 if word in grammar.NEGATORS else int(word in grammar.WANTERS)


def _is_report(before: list[str], text: str, kind: str) -> bool:
    """Whether the words before tell what the answer was like, rather than wish for something."""
    if grammar.REPORTED_WISH.search(text) or grammar.BETTER.search(text):
        return False
    if grammar.COMPLAINING_QUESTION.match(text) or grammar.WHERE_IS.match(text):
        return True
    asked = "please" in text or before[1:2] == ["so"]
    if kind == "quality" and before[:1] == ["not"] and not asked:
        return True
    if before[:1] == ["still"] and not asked:
        return True
    for index, word in enumerate(before):
        if word in ("just", "only") or (word in ("no", "not") and index == 0):
            continue  # they begin wishes and reports alike
        imperative = index == 0 and word in grammar.NEGATORS | grammar.WANTERS
        if word == "please" or imperative:
            return False
        if _is_subject(before, index):
            return _subject_reports(before, index)
    return False


def _is_subject(before: list[str], index: int) -> bool:
    word = before[index]
    if word in grammar.SUBJECTS:
        follows_verb = index and before[index - 1] not in grammar.BEFORE_SUBJECT
        return not (word in grammar.OBJECTS and follows_verb)
    noun = word in vocabulary.ANSWER_WORDS and index and before[index - 1] in grammar.DETERMINERS
    return bool(noun) and (index < 2 or before[index - 2] in grammar.BEFORE_SUBJECT)


def _subject_reports(before: list[str], index: int) -> bool:
    """Whether the verb of this subject tells ("you used") rather than asks ("you should")."""
    if index and before[index - 1] in grammar.ASKING:
        return False
    verbs = [word for word in before[index + 1 :] if word not in grammar.ADVERBS]
    if before[index] in ("i", "we"):
        main = [verb for verb in verbs if verb not in grammar.AUXILIARIES]
        return bool(main) and main[0] in grammar.PERCEIVING
    if not verbs:
        return before[index] != "you" or before[-1] == "you"
    if verbs[0] in grammar.MODALS or (verbs[0] in ("have", "has", "had") and verbs[1:2] == ["to"]):
        return False
    return not (verbs[0] == "not" and verbs[1:2] in (["need"], ["have"]))
