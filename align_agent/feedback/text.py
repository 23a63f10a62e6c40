"""Prepares a message for reading: strips what is not the user's own words, normalises, splits.

Knows nothing of complaints or wishes. Every function takes any Unicode string and returns.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# A message may be a pasted book; a complaint stands at its start or its end.
HEAD_CHARS = 1_500
TAIL_CHARS = 500
MAX_CHARS = 20_000
MAX_CLAUSES = 24
MAX_CLAUSE_CHARS = 400

_FENCE = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.S)
_INLINE_CODE = re.compile(r"`[^`\n]{1,300}`")
_QUOTED_LINE = re.compile(r"^[ \t]*(?:>|&gt;).*$", re.M)
_DOUBLE_QUOTED = re.compile(r"\"[^\"\n]{1,400}\"|\u00ab[^\u00bb\n]{1,400}\u00bb")
_SINGLE_QUOTED = re.compile(r"(?<![\w'])'[^'\n]{2,200}'(?!\w)")
_URL = re.compile(r"\bhttps?://\S+|\bwww\.\S+", re.I)
_TAG = re.compile(r"</?[a-z][^<>\n]{0,80}>", re.I)
_APOSTROPHES = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u02bc": "'", "`": "'", "\u00b4": "'", "\u2032": "'"}
)
_DOUBLE_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201e": '"', "\uff02": '"'})
# What follows is somebody else's text, to its end: "Here is the mail I got: ...".
_MATTER = (
    r"(?:e-?mail|mail|message|letter|note|review|article|post|comment|paragraph|essay|story|poem"
    r"|transcript|chat|conversation|log|ticket|page|document|file|quote|passage|tweet|text|sms)s?"
)
_PASTED = re.compile(
    r"(?:\b(?:here(?:'s| is| are)|this is|that is|below is|look at|read|see|got|received|wrote me)"
    rf"\b[^:.!?\n]{{0,40}}\b{_MATTER}\b[^:.!?\n]{{0,40}}"
    r"|\b(?:translate|proofread|spell-?check|paraphrase|summari[sz]e|reply to|respond to|classify"
    rf"|rewrite|rephrase|correct|improve|edit|fix)\b[^:.!?\n]{{0,30}}\b{_MATTER}\b[^:.!?\n]{{0,20}}"
    r"|\b(?:translate|proofread|spell-?check|paraphrase|summari[sz]e)\b[^:.!?\n]{0,40}"
    r"|\b(?:he|she|they|my \w+|somebody|someone) (?:wrote|says?|said|writes)(?: to me| me)?\s*)"
    r":\s+(?=\S)",
    re.I,
)
# What others said or wish, what a text is to say, and what is only supposed.
_REPORTED = re.compile(
    r"\b(?:(?:he|she|they|someone|somebody|(?:my|our|his|her|their|the) \w+)"
    r" (?:always |just |once |also )?(?:told|asked|advised|begged|taught|ordered)"
    r" (?:me|us|him|her|them)|i was (?:told|asked|advised)) (?:not |never )?to\b"
    r"|\b(?:write|draft|compose|send|make|create)\b[^.!?\n]{0,40}"
    r"\b(?:(?:that|which) (?:says?|said|reads)|saying|stating)\b"
    r"|\bwhat if\b"
    # Written for others: "Write a rule for my team: never use bold".
    r"|\b(?:write|draft|compose|make|create|phrase|formulate)\b[^:.!?\n]{0,20}"
    r"\b(?:rules?|guidelines?|polic(?:y|ies)|sign|notice|reminder|slogan|instructions?)\b"
    r" for (?!me\b|you\b|your\b)\w+[^:.!?\n]{0,30}:\s+(?=\S)",
    re.I,
)
# "The movie was too long": said of a thing that nobody spoke of before, so not of the answer.
_OF_A_THING = re.compile(
    r"^(?:and |but |so |well |sorry |hm+ )?(?:the|my|our|his|her|their|that|this) (\w+)"
    r" (?:is|was|are|were|seems|seemed|feels|felt|looks|looked|got)(?: \w+){0,2} too \w"
)
_UNREAD = re.compile(r"\b(?:did not|never|could not) (?:read|watch|finish|see|hear) the (\w+)")
_OURS = frozenset(
    "sum product difference total answer answers reply replies response responses text texts list "
    "lists explanation sentence "
    "sentences paragraph paragraphs code function functions table summary summaries description "
    "introduction intro greeting ending beginning comment comments feedback tone style format "
    "formatting wording language output result results message messages version draft mail email "
    "letter poem story essay article title heading headings one last first previous second next "
    "rest part parts bit thing whole word words line lines number numbers math maths calculation "
    "solution step steps example examples joke recipe plan advice tip tips fact facts name names "
    "date dates year link links source sources information info details detail content point "
    "points bold emoji markdown bullets bullet layout structure order length conclusion "
    "translation".split()
)
_AFTER_SENTENCE = re.compile(r"(?<=[.!?\n])(?=\s)")
QUOTE = "quotedtext"
CODE = "codetext"

_WHOLE = {
    "cannot": "can not",
    "doesn": "does not",
    "didn": "did not",
    "isn": "is not",
    "gonna": "going to",
    "wanna": "want to",
    "gotta": "have to",
    "gimme": "give me",
    "lemme": "let me",
    "kinda": "kind of",
    "sorta": "sort of",
    "pls": "please",
    "plz": "please",
    "plese": "please",
    "thx": "thanks",
    "ty": "thanks",
    "u": "you",
    "ur": "your",
    "r": "are",
    "alot": "a lot",
    "im": "i am",
    "ive": "i have",
    "id": "i would",
    "youre": "you are",
    "youve": "you have",
    "thats": "that is",
    "whats": "what is",
    "theres": "there is",
    "its": "it is",
    "emojis": "emoji",
    "emojies": "emoji",
}
_NOT = re.compile(
    r"\b(do|does|did|is|are|was|were|has|have|had|wo|would|ca|could|should|must|need|might|ai)"
    r"(?:n't|nt)\b"
)
_NOT_STEM = {"wo": "will", "ca": "can", "ai": "is"}
_SUFFIXES = (
    (re.compile(r"\b(it|that|this|there|here|what|where|who|how|he|she|answer)'s\b"), r"\1 is"),
    (re.compile(r"\blet's\b"), "let us"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"\b(\w{3,})-free\b"), r"without \1"),
    (re.compile(r"\bfree (?:of|from) (?!charge)"), "without "),
)
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:[.,]\d+)*|[,?!:()]")
_WHOLE_SENTENCE = re.compile(r"(?<=[.!?\n])\s+|\n")
_SENTENCE = re.compile(r"(?<=[.!?;\u2026])\s+|\n+|;|(?<=[!?])(?=\w)")
_BUT = re.compile(r"\b(?:but|however|although|though|except)\b", re.I)
_BORDER = re.compile(
    r"\s+[-\u2013\u2014]+\s+|\s*\u2014\s*"
    r"|[,\s]+(?:but|however|although|though|except)\b[\s,]*"
    r"|^(?:but|however|although|though)\b[\s,]*"
    r"|,\s+(?=(?:and|so|then|because|cause)\s+(?:i|you|it|this|that|please|just|do|don't|can|could"
    r"|next)\b)"
    # "No, it's Canberra" is one thought.
    r"|(?<!\bno)(?<!\bnope),\s+(?=(?:i|you|it|it's|this|that|that's|they|there|please(?=\s+\w)"
    r"|just|can|could|would|will|what|why|how|next time|from now|in future|make|give|use|write"
    r"|keep|try|be|stop|drop|let's)\b)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause: its words in lower case, joined by single spaces, and its original wording.

    `opens` says that a sentence begins with it, `contrast` that it follows a "but".
    """

    text: str
    original: str
    question: bool
    opens: bool = True
    contrast: bool = False

    @property
    def tokens(self) -> list[str]:
        return self.text.split()


def own_words(message: str, *, answer: str = "", previous_user: str = "") -> str:
    """The message without code, quotations, links, and sentences copied from what came before."""
    if len(message) > MAX_CHARS:
        message = f"{message[: MAX_CHARS // 2]}\n{message[-MAX_CHARS // 2 :]}"
    text = unicodedata.normalize("NFKC", _without_surrogates(message))
    text = re.sub(r"\btl\s?;\s?dr\b", "tldr", text.translate(_DOUBLE_QUOTES), flags=re.I)
    text = _FENCE.sub(f" {CODE} ", text)
    text = _INLINE_CODE.sub(f" {CODE} ", text)
    text = _QUOTED_LINE.sub(" ", text).translate(_APOSTROPHES)
    for pattern in (_DOUBLE_QUOTED, _SINGLE_QUOTED):
        text = pattern.sub(f" {QUOTE} ", text)
    text = _without_pasted(_TAG.sub(" ", _URL.sub(" ", text)))
    if len(text) > HEAD_CHARS + TAIL_CHARS:
        text = f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    before = _squeezed(f"{answer}\n{previous_user}")
    return "\n".join(part for part in _WHOLE_SENTENCE.split(text) if _is_own(part, before))


def without_reported(text: str) -> str:
    """The text without sentences that tell what others wish, or what a text is to say.

    Not part of `own_words`: the classifier was trained on those.
    """
    return "".join(part for part in _AFTER_SENTENCE.split(text) if not _REPORTED.search(part))


def normalise(text: str) -> str:
    """Lower case, "don't" written out as "do not", no punctuation but , ? ! : ( )."""
    low = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    low = _NOT.sub(lambda m: f"{_NOT_STEM.get(m[1], m[1])} not", low)
    for pattern, replacement in _SUFFIXES:
        low = pattern.sub(replacement, low)
    low = re.sub(r"(\w)\1{3,}", r"\1\1", low)
    words = [_WHOLE.get(token, token) for token in _TOKEN.findall(low)]
    return " ".join(words)


def clauses(text: str) -> list[Clause]:
    """The clauses of a text: split at sentence ends, "but", dashes, commas before a new start."""
    found = []
    for sentence in _SENTENCE.split(text):
        opens, at = True, 0
        for border in [*_BORDER.finditer(sentence), None]:
            part = sentence[at : border.start()] if border else sentence[at:]
            contrast = at > 0 and _BUT.search(sentence[max(0, at - 12) : at]) is not None
            at = border.end() if border else at
            original = " ".join(part.split())[:MAX_CLAUSE_CHARS]
            normal = normalise(original)
            if not normal.strip(" ,?!:()"):
                continue
            question = original.rstrip("\"') ").endswith("?")
            found.append(Clause(normal, original, question, opens, contrast))
            opens = False
    if len(found) > MAX_CLAUSES:
        found = found[: MAX_CLAUSES // 2] + found[-MAX_CLAUSES // 2 :]
    return found


def key_of(text: str) -> str:
    """A text reduced to what makes two askings of one question alike: letters, digits, spaces."""
    low = unicodedata.normalize("NFKC", _without_surrogates(text)).casefold()
    return " ".join(re.findall(r"\w+", low))


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", " ")


def _squeezed(text: str) -> str:
    return " ".join(normalise(text[:MAX_CHARS]).split()) if text[:MAX_CHARS].strip() else ""


def _without_pasted(text: str) -> str:
    """Without what follows the words that announce somebody else's text."""
    found = _PASTED.search(text)
    if found is None:
        return text
    return f"{text[: found.end()].rstrip(': ')}: {QUOTE}"


def _is_own(sentence: str, before: str) -> bool:
    """Whether a sentence is the user's and of the answer: not 6 words or more that stand word for
    word in what came before, nor about a thing that is no part of an answer and that nobody spoke
    of."""
    words = normalise(sentence)
    if before and len(words.split()) >= 6 and words.strip(" ,?!:()") in before:
        return False
    found = _OF_A_THING.search(words) or _UNREAD.search(words)
    return not found or found[1] in _OURS or bool(re.search(rf"\b{found[1]}\b", before))
