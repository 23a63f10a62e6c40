"""Praise that means its opposite: "Wow, so helpful. Not.", "Oh great, another list."

A message is ironic where a word of praise meets a sign that turns it round: taken back ("Not.",
"/s"), a thing nobody wanted ("another list", "wrong again"), a fault ("now nothing works"), praise
for a fault ("good job ignoring me"), scare quotes, a face. Weak signs ("Oh great.") count only
where nothing in the message is warm. What follows from it is `reader`'s matter. English.
"""

from __future__ import annotations

import re
import unicodedata

from align_agent.feedback.patterns import alternatives

# Longer messages bring matter of their own, in which any of these words may stand.
MAX_CHARS = 400
MAX_QUOTED_IN = 20  # words of a message in which a word of praise between quotes is a scare quote

_PRAISE = (
    r"(?:great|wonderful|brilliant|fantastic|lovely|perfect|nice|awesome|amazing|excellent|super"
    r"|superb|marvell?ous|terrific|splendid|fabulous|magnificent|outstanding|impressive|cool|sweet"
    r"|bravo|congrat\w*|thanks|thank you|thx|wow|yay|good job|nice job|great job|well done"
    r"|good one|nice one|way to go|nice going|good going|nice try|good work|great work"
    r"|nice work|great stuff|just what i (?:wanted|needed)"
    r"|exactly what i (?:wanted|needed)|(?:very |really |so |super |truly |how )?(?:helpful|useful"
    r"|insightful|clever|informative|convincing|accurate|original|smart|interesting|clear))"
)
_QUOTED_PRAISE = (
    r"(?:very |really |so )?(?:helpful|useful|great|good|brilliant|smart|intelligent|clever"
    r"|accurate|correct|perfect|short|simple|brief|concise|clear|improved|better|fixed|help|answer"
    r"|solution|expert|work|improvement|fix|genius|detailed|original|funny|creative)"
)
_SIGHED = (
    r"(?:great|wonderful|brilliant|fantastic|perfect|terrific|marvell?ous|splendid|super|peachy"
    r"|dandy|helpful|useful|insightful|clever|informative|convincing)"
)
_FAULT = (
    r"(?:nothing|none|broken|broke|crash\w*|errors?|fail(?:s|ed|ing|ure)?|worse|slower|useless"
    r"|wrong|false|nonsense|gone|deleted|wiped|lost|empty|bugs?|garbage|rubbish|mess|dead"
    r"|missing(?! (?:piece|part|link|bit))"
    r"|ignored?|ignoring|forgot|forgotten|hallucinat\w*|invented|outdated|repeated|skipped|broken"
    r"|missed|(?:does|did|do|is|are|was|will|wo|ca)(?:n't| not|nt)|can ?not|not (?:a )?(?:single"
    r"|one|even|what)|no idea what|less|only took|shame|disclaimers?|apolog(?:y|ies)|tries)"
)
# "Great, no more errors", "now I understand why it failed": the fault is over.
_OVER = re.compile(
    r"\b(?:fix(?:ed|es)?|solved?|resolved?|saved?|brought (?:it )?back|without"
    r"|understand|understood|(?:did|do)(?:n't| not) (?:know|realize|expect|see|think)|^ ?but"
    r"|see|know what|learned|finally|explains?|no longer|any ?more|never"
    r"|no (?:more )?(?:bugs?|errors?"
    r"|problems?|mistakes?)|nothing (?:to|else|is missing|more)|clear(?:s|ed) up|found"
    r"|i (?:did|do|had|have|was|am|will|would|can|could|lost|forgot|missed)(?:n't)?\b"
    r"|not (?:that|so|too|easy|bad|only)|if"
    r"|when|what if|told me before)\b"
)
_THING = r"(?!one\b|examples?\b|questions?\b|ideas?\b|thing\b|day\b|round\b|try\b|would\b|time\b)"
_VERBS_OF_AGAIN = (
    r"(?:works?|working|thank\w*|thx|job|try|tried|run|running|see|do|did|go|going|once|never|there"
    r"|back|please|use|ask|check|read|start|starts|compiles?|and|can|could|will|you|let's|me|us|i"
    r"|for|talk|up|stuff|work|one|answer)"
)
_MISDEED = (
    r"(?:ignoring|missing|breaking|ruining|forgetting|repeating|wasting|deleting|losing|inventing"
    r"|hallucinating|skipping|messing|failing|dodging|misunderstanding|misreading|contradicting"
    r"|confusing|making (?:it|things|everything|that) (?:worse|longer|up)|making up|not \w+ing"
    r"|telling me what i|lecturing|refusing)"
)
_BOAST = (
    r"(?:ignored?|missed?|forgot|skipped|dodged|misread|broke|repeated|invented|managed|manage to"
    r"|never|did(?:n't| not)|do(?:n't| not)|keep \w+ing|can (?:write|say|talk)|contradict\w*)"
)


def _any(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{alternatives(words)})(?!\w)")


# What stands on lines of code, behind ">" or between quotation marks is another's, unless it is a
# word or two: those are scare quotes.
_NOT_OWN = re.compile(
    r"(?s:```.*?(?:```|\Z))|^[ \t]*>.*$|\"[^\"\n]{25,}\"|\u201c[^\u201d\n]{25,}\u201d", re.M
)
# Turned round whatever else the message says.
_STRONG: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "the praise is taken back",
        re.compile(
            rf"\b{_PRAISE}\b[^?]{{0,60}}[.!,\u2026-]\s*not[.!]*(?:$|\n)"
            r"|(?:^|\s)/s[.!]*$|#sarcasm|[<(\[]/?sarcasm[>)\]]|\bsaid (?:no ?body|no one) ever\b"
            r"|\b(?:yeah|ya|oh|sure),? right\b(?! away| now)|\bas if[.!]*$|\w, genius\b(?! idea)"
            r"|\b(?:exactly|just|precisely) what i (?:did(?:n't| not)|never) (?:want|ask|need)\w*"
        ),
    ),
    (
        "what is praised is unwelcome",
        re.compile(
            rf"\b{_PRAISE}\s*[,.!:\u2026-]+\s*(?:and |just |so )*(?:yet )?another {_THING}\w+"
            rf"[^?]{{0,60}}$(?<!please)(?<!please\.)"
            rf"|\byet another {_THING}\w+[^?]{{0,30}}$"
            r"|^another \w+(?: \w+)?, (?:how|just|so) \w+"
            r"|^oh,? (?:\w+ )?\w+[,.!]+ (?:even )?more (?!please|time)\w+"
            rf"|\b{_PRAISE}\s*[,.!:\u2026-]+\s*(?:the|that|this)? ?(?:same |third |second )?"
            rf"(?!{_VERBS_OF_AGAIN}\b)\w+(?: (?!{_VERBS_OF_AGAIN}\b)\w+){{0,2}}[.,!]? again"
            r"[.!?]*(?:\s|$)"
            rf"|\bjust what i (?:wanted|needed)[,:.!]+ (?:\w+ )?(?:more|another|a list|paragraphs?)"
            r"|\b(?:exactly )?(?:the )?same (?:old )?(?:nonsense|thing again|answer again)"
            rf"|\b{_PRAISE}[,.!]+ (?:the )?(?:third|fourth|fifth|hundredth|\d+th) \w+"
        ),
    ),
    (
        "praise for a fault",
        re.compile(
            rf"\b(?:great|good|nice|fine|excellent|fantastic) (?:job|work|going)\b[^.!?]{{0,20}}"
            rf"{_MISDEED}|\b(?:love|like|adore|enjoy|impressive|amazing|remarkable|funny)"
            rf" (?:how|that|the way) you\b[^.!?]{{0,20}}\b{_BOAST}\b"
            rf"|\blove (?:being|getting) (?:told|ignored|lectured|\w+ed)\b"
            r"|\bimpressive how (?:little|bad\w*|wrong)"
            rf"|\bthanks?(?: you)?(?: so much| a lot)?,? for (?:nothing|the (?:novel|lecture|essay"
            rf"|wall of text|sermon)|wasting|{_MISDEED})"
            r"|\byou (?:have )?managed to (?:get|miss|ignore|break|forget|repeat|say|lose)\b"
            r"|\byou (?:really )?outd\w+ yourself\b"
            r"|\byou answered the one \w+ (?:that )?i did(?:n't| not)\b"
        ),
    ),
    (
        "mocking words",
        _any(
            r"""
            (?:captain obvious|einstein|sherlock|rocket scientist|smarty ?pants) |
            (?:(?:thanks|bravo|wow|nice one|job|going|what a)[ ,]+)genius(?!\sidea) |
            slow clap | golf clap | (?:clear|helpful|useful) as (?:mud|a \w+ \w+) |
            (?:clear|explains?|cleared|says?|tells? me)(?: up)? (?:absolutely|precisely|exactly
            |basically) nothing | a? ?fat lot of (?:good|help) | what a surprise | gee,? thanks |
            gold star | medal for you | big surprise | who (?:does not|doesn't) love |
            (?:is not|isn't) that (?:just )?(?:great|special|lovely|wonderful|helpful) |
            (?:are not|aren't) you (?:clever|smart|helpful|funny|special|a genius) |
            because that is what | great use of my time | my hero[.,] | cool story |
            for nothing(?: at all)? | no shit | asked you not | told you not | even (?:less|worse) |
            why did not i think
            """
        ),
    ),
)
# The praise and a fault stand side by side: "Perfect, it crashed".
_BESIDE = re.compile(rf"\b{_PRAISE}(?: as always)?\s*[,.!:;\u2026-]+\s*([^?]*?\b{_FAULT}\b[^?.!]*)")
_AT_A_FAULT = re.compile(r"\b(?:and|so) where is\b|\bonly took \w+ (?:tries|attempts)")
# Turned round only where nothing else in the message is warm.
_WEAK: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "praise with a sigh",
        re.compile(
            r"^(?:oh|ah yes|well|yeah|sure|right|ugh)[, ]+(?:sure|yes|just|how|that's just|that is"
            rf" just|very|so|super| |,)*{_SIGHED}(?:[.\u2026]|$|,(?! this))"
            rf"|^(?:just|simply) {_SIGHED}\b(?! for)(?:[.,\u2026]|$)"
            r"|\bthat(?:'s| is) just (?:great|perfect|wonderful|lovely|brilliant)(?:[.,\u2026]|$)"
            r"|^wow[,. ]+(?:so|very|how|really|super|thanks|great|brilliant|what an?)\b[^!?]*"
            r"[.\u2026]?$"
            r"|\bthanks?(?: you)?,? i guess[.!\u2026]*$|\boh joy\b|^how (?:very|terribly) \w+[.!]"
            rf"|^{_PRAISE}\.{{2,}}$|^(?:so|really) glad i asked[.\u2026]*$"
            r"|\bthat was (?:a )?(?:big|great|real) help[.\u2026]*$"
        ),
    ),
    ("praise is drawn out", re.compile(r"^[^!?]*\b(?:ri{3,}ght|gre{3,}at|su{3,}per|niii+ce)\b")),
)
_WARM = re.compile(
    r"\bthank(?:s| you)\b(?!,? i guess)|\bthx\b"
    r"|\bthat(?:'s| is)? (?:works|helps|helped|fixed|what)\b"
    r"|\blove (?:it|this)\b|\b(?:much|far) better\b|\bi (?:needed|was missing|like)\b|\byou saved\b"
    r"|[\u2764\U0001f60a\U0001f60d\U0001f64f\U0001f970]|:-?\)"
)
_PRAISED = re.compile(rf"\b{_PRAISE}\b|\b(?:good|love|genius|hero|glad|as always)\b")
_FACE = re.compile("[\U0001f644\U0001f612\U0001f926\U0001f921\U0001f643\U0001f624\U0001f611]")
_CLAPS = re.compile("\\w\\s*\U0001f44f\\s*\\w+\\s*\U0001f44f|\\bwow\\W{0,3}\U0001f44f{2}")
_SCARE = re.compile(rf"[\"\u201c'\u2018]{_QUOTED_PRAISE}[\"\u201d'\u2019](?!\w)")
_OF_A_WORD = re.compile(
    r"\b(?:means?|meant|words?|translate|spell\w*|say|said|says|phrase|synonyms?|calls?|called"
    r"|change|replace|write|wrote|title|named?|instead of|define|button|label|option|field)\b|\?"
)


def ironic(message: str) -> str:
    """Why the message's praise means its opposite, or the empty string. Any text is taken."""
    if len(message) > MAX_CHARS:
        return ""
    own = _NOT_OWN.sub(" ", unicodedata.normalize("NFKC", message))
    low = own.casefold().replace("\u2019", "'").strip()
    for why, pattern in _STRONG:
        if pattern.search(low) and not (why == "what is praised is unwelcome" and _asks(low)):
            return why
    if _PRAISED.search(low):
        if _FACE.search(low) or _CLAPS.search(low):
            return "the praise comes with a face"
        if not _asks(low) and any(not _OVER.search(part) for part in _BESIDE.findall(low)):
            return "a fault stands beside the praise"
        if _AT_A_FAULT.search(low):
            return "a fault stands beside the praise"
    if _SCARE.search(low) and len(low.split()) <= MAX_QUOTED_IN and not _OF_A_WORD.search(low):
        return "the praise stands between quotation marks"
    if not _WARM.search(low):
        return next((why for why, pattern in _WEAK if pattern.search(low)), "")
    return ""


_REQUEST = re.compile(r"\b(?:please|can you|could you|would you|let's|next|now (?:do|make|give))\b")


def _asks(low: str) -> bool:
    """Whether the message goes on with a wish or a question, as sincere praise often does."""
    return _REQUEST.search(low) is not None or low.endswith("?")
