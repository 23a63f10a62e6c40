"""Praise that means its opposite: "Wow, so helpful. Not.", "Oh great, another list."

A message is ironic where a word of praise meets a sign that turns it round: taken back ("Not.",
"/s"), a thing nobody wanted ("another list", "wrong again"), a fault ("now nothing works"), praise
for a fault ("good job ignoring me"), scare quotes, a face. Weak signs ("Oh great.") count only
where nothing in the message is warm. A question or a request is never ironic: rather irony missed
than good news heard as blame. What follows from it is `reader`'s matter. English.
"""

from __future__ import annotations

import re
import unicodedata

from align_agent.feedback.patterns import alternatives

# Longer messages bring matter of their own, in which any of these words may stand.
MAX_CHARS = 400
MAX_BEFORE_A_FACE = 5  # words, the face among them
MAX_QUOTED_IN = 20  # words of a message in which a word of praise between quotes is a scare quote

PRAISE = (
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
# A fault of the answer or its outcome, said outright; a bare "doesn't", "none" or "lost" may be of
# anything ("it doesn't rain there").
_FAULT = (
    r"(?:(?:nothing|none of (?:my tests|it|this|that|these|those|them)) (?:\w+ )?(?:works?|pass"
    r"|changed|happens|is|are|compiles?|runs?|opens?|matches|match|fits?)"
    r"|(?:is|are|'s) (?:(?:now|still|all|just|completely|even) )*(?:broken|useless|nonsense"
    r"|garbage|rubbish|wrong|false|empty|worse|slower|outdated|missing(?! (?:piece|part|link|bit)))"
    r"|(?:link|url|page|site)s? (?:is|are) (?:\w+ )?dead|everything is (?:lost|gone|broken)"
    r"|(?:files?|folder|table|formatting|rest|data|half of it) (?:is|are) (?:all )?gone"
    r"|(?:it|you|that|this|which) (?:\w+ )?(?:crash(?:e[sd])|fail(?:s|ed)|broke|deleted|wiped|lost"
    r"|ignored|forgot|invented|repeated|skipped|missed|hallucinated)"
    r"|wrong again|(?:an?|more|another|two|three|new|\d+) (?:\w+ )?(?:errors?|bugs?)\b"
    r"|still (?:does|do|did|is|are|wo|ca)(?:n't| not)|(?:can ?not|can't) even"
    r"|not a single|not one of|shame none)"
)
# "Great, no more errors", "now I understand why it failed": the fault is over.
_OVER = re.compile(
    r"\b(?:fix(?:ed|es)|solved?|resolved?|saved?|brought (?:it )?back|without"
    r"|understand|understood|(?:did|do)(?:n't| not) (?:know|realize|expect|see|think)|^ ?but"
    r"|see|know what|learned|finally|explains?|no longer|any ?(?:more|longer)|never|no wonder|why"
    r"|(?:does|do|did|is|are|was|were|wo|will)(?:n't| not) (?:\w+ )?(?:crash|fail|break|hurt|broken"
    r"|wrong|worse|slower|missing|empty|miss|lose|forget)\w*|(?:errors?|bugs?|problems?) (?:is|are)"
    r" (?:\w+ )?gone"
    r"|no (?:more )?(?:bugs?|errors?"
    r"|problems?|mistakes?)|nothing (?:to|else|is missing|more)|clear(?:s|ed) up|found"
    r"|i (?:did|do|had|have|was|am|will|would|can|could|lost|forgot|missed)(?:n't)?\b"
    r"|not (?:that|so|too|easy|bad|only)|if"
    r"|when|what if|told me before)\b"
)
_WELCOME = (
    r"(?!(?:one|examples?|questions?|ideas?|thing|day|round|try|would|time|night|week|month|year"
    r"|reason|option)\b)"
)
_VERBS_OF_AGAIN = (
    r"(?:works?|working|thank\w*|thx|job|try|tried|run|running|see|do|did|go|going|once|never|there"
    r"|back|please|use|ask|check|read|start|starts|compiles?|and|can|could|will|you|let's|me|us|i"
    r"|for|talk|up|stuff|work|one|answer)"
)
_MISDEED = (
    r"(?:ignoring|missing|ruining|forgetting|wasting|deleting|losing|inventing|hallucinating"
    r"|skipping|messing|failing|dodging|misunderstanding|misreading|contradicting"
    r"|making (?:it|things|everything|that) (?:worse|longer|up)|making up|telling me what i"
    r"|lecturing|refusing)"
)
_BOAST = (
    r"(?:ignored?|missed?|forgot|skipped|dodged|misread|broke|repeated|invented"
    r"|did(?:n't| not)|keep \w+ing|say nothing|contradict\w*)"
)
# Names and prizes that mock where they are all that is said, a word of praise aside.
_MOCKING = alternatives(
    """
    (?:captain obvious|einstein|sherlock|genius|smarty ?pants|rocket scientist)s? | gold star |
    (?:a |here's your )?(?:gold star|medal)(?: for you) | (?:slow|golf) clap |
    gee,? thanks | no shit(?:,? sherlock)? | big surprise | what a surprise |
    (?:well,? )?(?:are not|aren't) you (?:clever|smart|helpful|funny|special|a genius)
    """
)
_BEFORE_MOCKING = (
    r"(?:thanks|thank you|bravo|wow|nice (?:try|one)|good (?:one|job)|great|well done)"
)


# What stands on lines of code, behind ">" or between quotation marks is another's, unless it is a
# word or two: those are scare quotes.
_NOT_OWN = re.compile(
    r"(?s:```.*?(?:```|\Z))|^[ \t]*>.*$|\"[^\"\n]{25,}\"|\u201c[^\u201d\n]{25,}\u201d", re.M
)
# Turned round whatever else the message says, but no question.
_STRONG: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "the praise is taken back",
        re.compile(
            rf"\b{PRAISE}\b[^?]{{0,60}}[.!,\u2026-]\s*not[.!]*(?:$|\n)"
            rf"|\b(?:{PRAISE}|sure|yeah)\b[^?\n]*\s/s[.!]*$|#sarcasm|[<(\[]/?sarcasm[>)\]]"
            r"|\bsaid (?:no ?body|no one) ever\b"
            rf"|^(?:yeah|ya|sure),? right(?:[.!\u2026]*$|, (?:\w+ )?{PRAISE}[.!]*$)"
            r"|^as if[.!]*$"
            r"|\b(?:exactly|just|precisely) what i (?:did(?:n't| not)|never) (?:want|ask|need)\w*"
        ),
    ),
    (
        "what is praised is unwelcome",
        re.compile(
            rf"\b{PRAISE}\s*[,.!:\u2026-]+\s*(?:and |just |so )*(?:yet )?another {_WELCOME}\w+"
            rf"[^?]{{0,60}}$(?<!please)(?<!please\.)"
            rf"|^another \w+(?: \w+)?, (?:how|just|so) {PRAISE}"
            rf"|^oh,? {PRAISE}[,.!]+ (?:even )?more (?!please|time)\w+"
            rf"|^(?:{PRAISE}|what a surprise)\s*[,.!:\u2026-]+\s*(?:the|that|this)? ?"
            rf"(?:same |third |second )?(?!{_VERBS_OF_AGAIN}\b)\w+"
            rf"(?: (?!{_VERBS_OF_AGAIN}\b)\w+){{0,2}}[.,!]? again[.!?]*(?:\s|$)"
            rf"|^oh,? {PRAISE}[,.!]+ (?:the )?(?:same )?\w+(?: \w+)? again\b"
            rf"|\bjust what i (?:wanted|needed)[,:.!]+ (?:\w+ )?(?:more|another|a list|paragraphs?)"
            rf"|\b{PRAISE}\b[^?]*\b(?:the )?same (?:old )?(?:nonsense|thing again|answer again)"
            rf"|\b{PRAISE}[,.!]+ (?:the )?(?:third|fourth|fifth|hundredth|\d+th) \w+ in a row"
        ),
    ),
    (
        "praise for a fault",
        re.compile(
            rf"\b(?:great|good|nice|fine|excellent|fantastic) (?:job|work|going)\b[^.!?]{{0,20}}"
            rf"{_MISDEED}|\b(?:love|like|adore|enjoy|impressive|amazing|remarkable|funny)"
            rf" (?:how|that|the way) you\b[^.!?]{{0,30}}\b{_BOAST}\b"
            rf"|\blove (?:being|getting) (?:told (?:off|what)|ignored|lectured)\b"
            r"|\bimpressive how (?:little|bad\w*|wrong)"
            rf"|\bthanks?(?: you)?(?: so much| a lot)?,? for (?:nothing(?: at all)?[.!]*$"
            rf"|the (?:novel|lecture|wall of text|sermon)[.!]*$|wasting|{_MISDEED})"
            rf"|\b{PRAISE}\b.*\byou (?:have )?managed to (?:miss|ignore|forget|lose"
            r"|get (?:every|it|everything|all)[^.!?]{0,20} wrong)\b"
            r"|\byou answered the one \w+ (?:that )?i did(?:n't| not)\b"
        ),
    ),
    (
        "mocking words",
        re.compile(
            rf"^\W*(?:{_BEFORE_MOCKING}[,.! ]+)?(?:{_MOCKING})"
            r"(?:\W*$|, (?:wrong|another|more|why)\b)"
            rf"|\b(?:clear|helpful|useful)\b.{{0,4}} as (?:mud|a chocolate (?:teapot|fireguard))"
            r"|\w, genius[.!]*$|^clear as mud"
            r"|\bas (?:helpful|useful|clear) as (?:mud|a chocolate \w+)"
            rf"|\b{PRAISE}\b[^?]*\b(?:explains?|cleared up|says?|tells? me) (?:absolutely"
            rf"|precisely|exactly|basically) nothing\b"
            r"|\bfat lot of (?:good|help)\b|^because who (?:does not|doesn't) love\b"
            r"|\bnow i (?:know|understand) even less\b"
        ),
    ),
)
# The praise and a fault stand side by side: "Perfect, it crashed".
_BESIDE = re.compile(rf"\b{PRAISE}(?: as always)?\s*[,.!:;\u2026-]+\s*([^?]*?\b{_FAULT}\b[^?.!]*)")
_AT_A_FAULT = re.compile(rf"^{PRAISE}\b.*\b(?:and|so) where is the (?:rest|other half)\b")
# Turned round only where nothing else in the message is warm.
_WEAK: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "praise with a sigh",
        re.compile(
            rf"^(?:oh|ah yes|ugh)[, ]+{_SIGHED}(?:[.\u2026]+ ?(?:more\b.*)?$|,? even more\b)"
            rf"|^just great[.\u2026]*$|^perfect\. just perfect\. \w+"
            r"|\b(?:well|oh|so),? that(?:'s| is) just (?:great|perfect|wonderful|lovely)[.\u2026]*$"
            r"|^wow\. (?:so|how|very) \w+\.$"
            r"|^wow, what an? [^,!?]+, one \w+ \w+\.$"
            r"|\bthanks?(?: you)?,? i guess[.!\u2026]*$|^oh joy\b"
            rf"|^{PRAISE}\.{{2,}}$"
            r"|^well that was (?:a )?(?:big|great|real) help[.\u2026]*$"
        ),
    ),
    ("praise is drawn out", re.compile(r"^ri{3,}ght\b[^!?]*$")),
)
_WARM = re.compile(
    r"\bthank(?:s| you)\b(?!,? i guess)|\bthx\b"
    r"|\bthat(?:'s| is)? (?:works|helps|helped|fixed|what)\b"
    r"|\blove (?:it|this)\b|\b(?:much|far) better\b|\bi (?:needed|was missing|like)\b|\byou saved\b"
    r"|[\u2764\U0001f60a\U0001f60d\U0001f64f\U0001f970]|:-?\)"
)
_PRAISED = re.compile(rf"\b{PRAISE}\b|\b(?:good|love|genius|hero|glad|as always)\b")
_FACE = re.compile("[\U0001f644\U0001f612\U0001f926\U0001f643\U0001f611]\ufe0f?$")
_CLAPS = re.compile("\\w\\s*\U0001f44f\\s*\\w+\\s*\U0001f44f|\\bwow\\W{0,3}\U0001f44f{2}")
_SCARE = re.compile(rf"[\"\u201c'\u2018]{_QUOTED_PRAISE}[\"\u201d'\u2019](?!\w)")
_OF_A_WORD = re.compile(
    r"\b(?:means?|meant|words?|translate|spell\w*|say|said|says|phrase|synonyms?|calls?|called"
    r"|change|replace|write|wrote|title|named?|instead of|define|button|label|option|field)\b|\?"
)
_REQUEST = re.compile(
    r"\b(?:please|can you|could you|would you|let's|next|now (?:do|make|give))\b"
    r"|^(?:tell|write|give|show|explain|list|find|plan|who|where|when|which|is|are|do|does|can"
    r"|could|how (?:do|does|can|to|is|are|much|many|long|far|old)|what (?:is|are|was|does|do|time)"
    r"|what's)"
    r"\b"
)


def ironic(message: str) -> str:
    """Why the message's praise means its opposite, or the empty string. Any text is taken."""
    if len(message) > MAX_CHARS:
        return ""
    own = _NOT_OWN.sub(" ", unicodedata.normalize("NFKC", message))
    low = own.casefold().replace("\u2019", "'").strip()
    if _AT_A_FAULT.search(low):
        return "a fault stands beside the praise"
    if _asks(low):
        return ""
    for why, pattern in _STRONG:
        if pattern.search(low):
            return why
    if _PRAISED.search(low):
        if (_FACE.search(low) and len(low.split()) <= MAX_BEFORE_A_FACE) or _CLAPS.search(low):
            return "the praise comes with a face"
        if any(not _OVER.search(part) for part in _BESIDE.findall(low)):
            return "a fault stands beside the praise"
    if _SCARE.search(low) and len(low.split()) <= MAX_QUOTED_IN and not _OF_A_WORD.search(low):
        return "the praise stands between quotation marks"
    if not _WARM.search(low):
        return next((why for why, pattern in _WEAK if pattern.search(low)), "")
    return ""


def _asks(low: str) -> bool:
    """Whether the message goes on with a wish or a question, as sincere praise often does."""
    return _REQUEST.search(low) is not None or "?" in low
