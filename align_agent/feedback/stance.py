"""Is a word about style wished for, unwelcome, or merely mentioned? One clause at a time.

A clause is a wish ("no bold please"), or tells what the answer was like ("you skipped the steps").
Negation means the opposite in the two: "no steps" is unwelcome in a wish and missed in a report.
Knows nothing of other complaints (a wrong fact, a missing part): those are in `complaints`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from align_agent.feedback import lexicon
from align_agent.feedback.lexicon import Concept, compiled
from align_agent.feedback.text import Clause

MAX_UNKNOWN_WORDS = 2

NEGATORS = frozenset(
    """
    no not never without stop stopping drop dropping dropped remove removing removed skip skipping
    skipped avoid avoiding quit lose ditch ditching strip omit omitting omitted delete kill hold
    spare ban nobody hate hates dislike dislikes despise nix scrap refrain minus nor neither cut cutting forget forgot
    missed missing lacks lacking lack sick tired hardly barely scratch cease axe loathe less fewer
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
WANTERS = frozenset(
    """
    use using add adding give giving want wanted prefer like love need needs needed include
    including show showing write writing make making put putting insert throw sprinkle keep have see
    try do get be being sound stick turn provide appreciate enjoy start rather more some tell speak
    talk answer reply format organize organise structure lay welcome favour favor go stand bear
    present render split hope hoping expect expected miss bring stay
    """.split()  # noqa: SIM905
)
_SUBJECTS = frozenset("i we you it this that these those there they he she".split())  # noqa: SIM905
_ADVERBS = frozenset(
    "just only still always again really also simply even now ever all both do".split()  # noqa: SIM905
)
_MODALS = frozenset("should must need needs could can may might would ought better shall".split())  # noqa: SIM905
_ASKING = frozenset("can could would will if want need like wish rather ask prefer let".split())  # noqa: SIM905
# Verbs within a concept that ask for what follows: "explain it step by step".
_VERBS = frozenset(
    "explain format structure number show walk break highlight emphasize cheer encourage".split()  # noqa: SIM905
)
_BEFORE_WITH = frozenset(
    ["", "it", "that", "end", "finish", "start", "easier", "better", "nicer", "clearer", "happier"]
)
_OBJECTS = frozenset("it this that these those there".split())  # noqa: SIM905
_BEFORE_SUBJECT = frozenset(
    """
    and but because since as so that if when why how what is was are were does did do think feel ,
    while though until
    """.split()  # noqa: SIM905
)
_BREAKS = frozenset({",", "and", "or", "but", "then", "instead", ":", "with"})

_LEAD = re.compile(
    r"^(?:(?:and|so(?= (?:you|i|it|please|can|could|do|next|just|why|no|then) )|but|because|also|hey|hi|ugh|ok|okay|well|sorry|again|now|yes|no(?= ,)|hmm?|wow|oh"
    r"|honestly|seriously|thanks|thank you|great|good|nice|cool|fine|,|!|i (?:think|feel|guess|mean|"
    r"find)(?: that)?|it feels like|please note(?: that)?) )+"
)
_NEW_QUESTION = re.compile(
    r"^(?:who|whom|whose|when|what (?:is|are|was|were|does|do|did|would|can|should|else|kind|type|a"
    r"|if)|which|how (?:do|can|could|should|would|does|did) (?:i|we|one|he|she|they|the|a)|how to"
    r"|how (?:many|much|long|old|far|often|big)|is (?:there|he|she|a|an)|are (?:there|they)|does|did"
    r"|(?:is|are|was|were|does|do|did|has|have) (?:the|a|an|my|his|her)|(?:is|are|was|were|can|could|does|do|did|has|have|should|will|would) (?!(?:it|this|that|you|there|the|a|an|do|use|these|those|i|we|the answer|your|not) )\w+|name|list|compare|describe|define|discuss|generate|create|translate|tell me about)\b"
)
_COMPLAINING_QUESTION = re.compile(
    r"^(?:why (?:is|are|was|were|so|all|the|do|did|does|have|such|would|use|on earth|not|no)|do you "
    r"(?:have to|need to|always|really)|must you|what is (?:with|up with)|what are all|how come"
    r"|is (?:it|this|all (?:this|that|the)) (?:really )?(?:necessary|needed)|did i ask)\b"
)
_WHERE_IS = re.compile(r"^(?:where (?:is|are|was|were)|what happened to|how about|what about)\b")
_REPORTED_WISH = re.compile(
    r"(?<!\S)i (?:\w+ )?(?:asked|said|told|requested|mentioned|meant)(?!\S)"
)
_BETTER = re.compile(
    r"(?<!\S)(?:better|nicer|easier|clearer|cleaner|prettier|happier|prefer|preferred|enough|works? "
    r"best|all i need)(?!\S)"
)
_CANNOT_DO = re.compile(
    r"(?<!\S)(?:can not|could not|hard|difficult|lost|confus\w+|impossible|unable|no idea|useless)"
    r"(?!\S)"
)
_AWAY_BEFORE = re.compile(r"(?<!\S)(?:leave|keep|take|cut|throw|leaving)(?: \w+){0,2}$")
_AWAY_AFTER = re.compile(r"(?:out|away|off)(?!\S)")
_MANNER = re.compile(r"(?:way|manner|tone|voice|style)(?!\S)")
_MAKES_SOMETHING = re.compile(
    r"^(?:(?:can|could|would|will) you )?(?:please )?(?:now )?(?:write|create|draft|compose|generate|make"
    r"|give|tell|show|find|suggest)(?: me| us)? (?:an?|some|the)(?!\S)"
)
_OF_PEOPLE = re.compile(
    r"(?<!\S)(?:i|we|he|she|they|is it|was it)(?: (?:am|are|is|was|were|feel|feels|get))"
    r"?(?: (?:so|very|too|a bit|really))?$|(?<!\S)(?:is it)(?: too| so)?$"
)
_AFTER_BAD = compiled(
    r"""
    (?:is|are|was|were|seems?|looks?|feels?)(?:\s(?:really|so|just|very|a bit|rather|all|quite|too))*
    \s(?:annoying|unnecessary|distracting|ugly|silly|childish|much|not (?:needed|necessary|helpful
    |wanted|required|for me|my thing)|unneeded|irritating|pointless|useless|horrible|awful|overkill
    |out of place|unprofessional|tacky|terrible|superfluous|redundant|a distraction|harder|worse
    |hard|difficult|confusing)(?:\s.*)? |
    (?:really )?(?:annoys?|distracts?|bothers?|irritates?)(?:\sme)?(?:\s.*)? |
    (?:gives?) it away | (?:has|have|needs?|must) (?:to )?go(?:\s.*)? | goes? away | disappear | vanish |
    (?:do|does) not (?:belong|help)(?:\s.*)? | makes? it .* | (?:do|does) not make it .* |
    (?:is|are) (?:something )?i (?:do not|never) .* | irritating | annoying | off | away
    """
)
_AFTER_GOOD = compiled(
    r"""
    (?:missing|lacking|welcome|please|appreciated|next time|from now on|instead|first|back)$ |
    (?:helps?|help me|would not hurt|could not hurt) | would (?:be|make|help|look|do)(?:\s.*)? | will do | suffices? |
    (?:is|are) (?:fine|enough|plenty|sufficient|easier|clearer|better|nicer|best)(?:\s.*)? |
    (?:easier|clearer|better|nicer) to read
    """
)


@dataclass(frozen=True, slots=True)
class Wish:
    """One wish about style found in a clause.

    `reported` says that it was told as a fault of the answer ("too long"), which no answer can
    have met already; `relative` the same of a comparison ("shorter").
    """

    direction: str
    confidence: float
    evidence: str
    reported: bool
    relative: bool


def wishes_in(clause: Clause) -> list[Wish]:
    """The wishes about style in one clause, in the order in which they stand."""
    text = " ".join(lexicon.FILLERS.sub(" ", clause.text).split())
    lead = _LEAD.match(text)
    text = text[lead.end() :] if lead else text
    matches = _matches(text)
    if not matches or _is_new_topic(text, matches):
        return []
    found = []
    for concept, start, end in matches:
        wish = _read(text, concept, start, end, matches, clause)
        if wish is not None:
            found.append(wish)
    return found


Match = tuple[Concept, int, int]


def _matches(text: str) -> list[Match]:
    """Concepts in the text, longest first where they overlap, in order of position."""
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
    for _, start, end in matches if matches is not None else _matches(text):
        rest = f"{rest[:start]}{' ' * (end - start)}{rest[end:]}"
    known = lexicon.FUNCTION_WORDS | lexicon.ANSWER_WORDS | NEGATORS | WANTERS
    return [word for word in rest.split() if word[0].isalpha() and word not in known]


def _is_new_topic(text: str, matches: list[Match]) -> bool:
    unknown = unknown_words(text, matches)
    own = re.search(r"(?<!\S)(?:you|your|answers?|explanation|reply|replies|response)(?!\S)", text)
    allowed = MAX_UNKNOWN_WORDS if own or lexicon.STANDING.search(text) else 1
    if matches[0][0].kind == "flaw" and not matches[0][0].ambiguous:
        allowed += 2
    if re.search(r"(?<!\S)(?:an?|the) list$", text) and unknown:
        return True
    if len(unknown) > allowed:
        return True
    if re.match(r"what (?:is|was) wrong with (?!(?:it|that|this|my answer|the answer)$)", text):
        return "exactly" not in text
    starts_wish = matches[0][1] == 0 and matches[0][0].kind == "wish"
    if starts_wish or _COMPLAINING_QUESTION.search(text) or _WHERE_IS.search(text):
        return False
    return bool(_NEW_QUESTION.search(text))


def _read(
    text: str, concept: Concept, start: int, end: int, matches: list[Match], clause: Clause
) -> Wish | None:
    before, after = text[:start].split(), text[end:].split()
    if _names_something_else(text, concept, before, after, matches):
        return None
    degree = _degree(before)
    sign = _sign(text, start, matches)
    report = _is_report(before, text, concept.kind)
    wanted = _decide(concept, degree, sign, report, text, start, end, clause)
    if wanted is None:
        return None
    direction = concept.wanted if wanted else concept.unwanted
    if not direction:
        return None
    unknown = len(unknown_words(text, matches))
    confidence = (0.8 if report or concept.ambiguous else 0.9) - 0.1 * unknown
    if clause.question and not report:
        confidence -= 0.05
    if degree in ("more", "less", "too"):
        confidence += 0.03
    relative = degree in ("more", "less") or text[start:end].split()[0].endswith("er")
    told = report or degree == "too" or concept.kind == "flaw"
    evidence = clause.original[:200]
    return Wish(direction, round(max(confidence, 0.5), 2), evidence, told, relative)


def _names_something_else(
    text: str, concept: Concept, before: list[str], after: list[str], matches: list[Match]
) -> bool:
    """An adjective before a noun of another world ("a short story"), or weather, or a price."""
    known = lexicon.FUNCTION_WORDS | lexicon.ANSWER_WORDS | NEGATORS | WANTERS
    if concept.kind == "thing" and after[:1] == ["of"] and unknown_words(" ".join(after[1:4])):
        return True
    if _MAKES_SOMETHING.search(" ".join(before)) and unknown_words(" ".join(after)):
        return True
    if concept.kind != "thing" and after:
        follows = after[0]
        starts = {text[s:e].split()[0] for _, s, e in matches}
        if follows[0].isalpha() and follows not in known and follows not in starts:
            return True
    if concept.ambiguous and (
        before[-1:] == ["the"] and after or _OF_PEOPLE.search(" ".join(before))
    ):
        return True
    if concept.ambiguous and before[-2:] in (["would", "be"], ["make", "it"]) and len(matches) > 1:
        return True
    if before and before[-1] in ("how", "as") and concept.kind == "quality":
        return True
    if not concept.ambiguous:
        return False
    if concept.kind == "thing":
        return bool(unknown_words(text, matches) or re.search(r"\d", text))
    speaks_of_answer = re.search(
        r"(?<!\S)(?:you|your|answers?|tone|style|be|being|sounds?|reply|replies|comments?|feedback"
        r"|wording|writing|response|explanation|felt|feels|sounded|reads)(?!\S)",
        text,
    )
    return bool(unknown_words(text, matches)) and not speaks_of_answer


_SKIPPED = frozenset("of the a all this that just now here there".split())  # noqa: SIM905


def _degree(before: list[str]) -> str:
    near = [word for word in before[-4:] if word not in _SKIPPED]
    last = near[-1] if near else ""
    pair = " ".join(near[-2:])
    if last in ("too", "overly", "excessively", "unnecessarily", "unduly") or pair in (
        "too much",
        "too many",
    ):
        return "too"
    if last in ("less", "fewer"):
        return "less"
    if last == "more" and pair not in ("no more", "any more", "not more"):
        return "more"
    if last in (
        "so",
        "very",
        "really",
        "pretty",
        "quite",
        "rather",
        "bit",
        "little",
        "tad",
        "such",
        "super",
        "extremely",
        "awfully",
        "terribly",
        "somewhat",
        "kind",
        "way",
    ):
        return "very"
    return "very" if pair in ("so many", "so much") else ""


def _sign(text: str, position: int, matches: list[Match]) -> int:
    """+1 when a word that wants governs the position, -1 for one that rejects, 0 for neither.

    A wanting word right behind a rejecting one ("do not use", "stop adding") changes nothing; two
    rejecting words in a row ("do not skip") cancel out.
    """
    occupied = [(start, end) for _, start, end in matches]
    sign, gap, broken = 0, 99, True
    offset = 0
    words = text[:position].split()
    preferring = bool({"rather", "prefer", "preferred"} & set(words))
    for index, word in enumerate(words):
        here = text.index(word, offset)
        offset = here + len(word)
        inside = any(start <= here < end for start, end in occupied)
        following = words[index + 1] if index + 1 < len(words) else ""
        if inside or word in _BREAKS:
            broken = True
        if inside:
            sign = sign or int(word in _VERBS)
            continue
        value = _value(word, words[index - 1] if index else "", following, preferring)
        chained = not broken and gap <= 3
        if value < 0:
            sign = -sign if chained and sign else -1
        elif value > 0 and not (chained and sign < 0):
            sign = 1
        if value:
            gap, broken = 0, False
        else:
            gap += 1
    return sign


def _value(word: str, before: str, following: str, preferring: bool) -> int:
    if word in ("instead", "rather") and following in ("of", "than"):
        return -1
    if word in ("than", "over") and preferring and before != "rather":
        return -1
    if word == "nothing":
        return 1 if following == "but" else -1
    if word in ("kill", "hurt") and following in ("you", "to"):
        return 0
    if word in ("get", "getting", "rid") and following in ("rid", "of"):
        return -1 if word == "rid" else 0
    if word in ("leave", "leaving", "left", "take", "taking", "cut"):
        return -1 if following in ("out", "off", "away", "the", "all", "that", "back") else 0
    if word == "enough":
        return -1 if following in ("of", "with", "already") else 0
    if word in ("less", "fewer"):
        return 0  # a matter of degree
    if word == "with":
        return int(before in _BEFORE_WITH)
    if word in ("like", "be", "do", "have", "more", "some", "go", "see"):
        return 0 if word in ("do", "have") and following == "not" else 1
    return -1 if word in NEGATORS else int(word in WANTERS)


def _is_report(before: list[str], text: str, kind: str) -> bool:
    """Whether the words before tell what the answer was like, rather than wish for something."""
    if _REPORTED_WISH.search(text) or _BETTER.search(text):
        return False
    if _COMPLAINING_QUESTION.search(text) or _WHERE_IS.search(text):
        return True
    if (
        kind == "quality"
        and before[:1] == ["not"]
        and "please" not in text
        and before[1:2] != ["so"]
    ):
        return True
    for index, word in enumerate(before):
        if word in ("please", "just", "only") or (word in NEGATORS | WANTERS and index == 0):
            # An imperative; but "just", "no" and "not" also begin reports.
            if word in ("just", "only", "no", "not"):
                continue
            return False
        noun = word not in _SUBJECTS and _noun_subject(before, index)
        if word not in _SUBJECTS and not noun:
            continue
        if noun and index > 1 and before[index - 2] not in _BEFORE_SUBJECT:
            continue
        if word in _OBJECTS and index and before[index - 1] not in _BEFORE_SUBJECT:
            continue
        return _subject_reports(before, index, word)
    return False


def _noun_subject(before: list[str], index: int) -> bool:
    return (
        before[index] in lexicon.ANSWER_WORDS
        and index > 0
        and before[index - 1]
        in (
            "your",
            "the",
            "this",
            "that",
            "these",
            "those",
            "all",
        )
    )


def _subject_reports(before: list[str], index: int, word: str) -> bool:
    if index and before[index - 1] in _ASKING:
        return False
    verbs = [later for later in before[index + 1 :] if later not in _ADVERBS]
    pair = verbs[:2]
    if word in ("i", "we"):
        seen = {"see", "got", "get", "read", "notice", "found", "find", "count", "saw"}
        head = [
            verb for verb in verbs if verb not in ("can", "not", "keep", "could", "have", "did")
        ]
        return bool(head) and head[0] in seen
    if not verbs:
        return word != "you" or before[-1] == "you"
    if verbs[0] in _MODALS or (verbs[0] in ("have", "has", "had") and "to" in verbs[1:2]):
        return False
    return not (pair and pair[0] == "not" and pair[1:] and pair[1] in ("need", "have"))


def _decide(
    concept: Concept,
    degree: str,
    sign: int,
    report: bool,
    text: str,
    start: int,
    end: int,
    clause: Clause,
) -> bool | None:
    """True wanted, False unwelcome, None neither."""
    before, after = text[:start].strip(), text[end:].strip(" ,!?")
    enough = re.match(r"enough(?!\S)", after) is not None
    manner = _MANNER.match(after) and re.search(r"(?<!\S)an?(?: \w+)?$", before) and not report
    asked_for = sign > 0 and not report and degree != "too"
    if concept.kind == "flaw" and concept.unwanted and (asked_for or (manner and not sign)):
        return False  # "be vague": what is a flaw to others is wished for here
    if concept.kind == "flaw":
        return None if sign < 0 and report and degree != "too" else True
    if degree == "too":
        return None if sign < 0 and report else False
    if enough and sign < 0:
        return True
    if after and _AFTER_BAD.fullmatch(re.sub(r"^(?:comments?|text|style|thing|stuff) ", "", after)):
        return False
    if degree == "less":
        return None if report and sign < 0 else False
    if before == "again":
        return False
    if after and sign >= 0 and not report and _AFTER_GOOD.search(after):
        return True
    if _AWAY_BEFORE.search(before) and _AWAY_AFTER.match(after):
        return sign < 0 and "not" in before.split()
    if manner:
        return sign >= 0
    if "without" in before.split()[-4:] and _CANNOT_DO.search(after or before):
        return True
    if degree == "more":
        return not (sign < 0 and not report)
    if before == "again" or after == "again":
        return False
    if concept.kind == "quality":
        return _decide_quality(concept, sign, report, degree, text, before, after)
    if concept.kind == "wish":
        # A wish behind a comma stands for itself: "I don't want the steps, only the answer".
        return _decide_wish(0 if before.endswith(",") else sign, report, text[start:end])
    if text[start:end].split()[0] in _VERBS and not report and (not sign or before.endswith(",")):
        return True
    return _decide_thing(sign, report, before, after, clause, text)


def _decide_quality(
    concept: Concept, sign: int, report: bool, degree: str, text: str, before: str, after: str
) -> bool | None:
    if report:
        if sign < 0:
            return None if concept.bad and degree != "very" else True
        puzzled = degree == "very" and _COMPLAINING_QUESTION.search(text)
        return False if concept.bad or puzzled else None
    if sign:
        return sign > 0
    if concept.bad:
        return False if degree == "very" and len(text.split()) <= 5 else None
    return True if len(text.split()) <= 5 and not degree else None


def _decide_wish(sign: int, report: bool, words: str) -> bool | None:
    only = words.split()[0] in ("just", "only", "simply", "merely", "nothing")
    if not report:
        return sign >= 0
    if sign < 0:
        return not only
    return False if only else None


def _decide_thing(
    sign: int, report: bool, before: str, after: str, clause: Clause, text: str
) -> bool | None:
    if report:
        if _WHERE_IS.search(text):
            return sign >= 0
        return sign < 0
    if sign:
        lacks = sign < 0 and clause.question and before.split()[:1] in (["no"], ["not"])
        return True if lacks else sign > 0
    if re.search(
        r"(?:^|\s)(?:so many|so much|all (?:the|these|those|this|that)|these|those)$", before
    ):
        return False
    if not before and not after and len(text.split()) <= 3 and not clause.question:
        return True
    return None
