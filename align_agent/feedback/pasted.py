"""Somebody else's text in a message, told by its form where no words announce it.

Mails with their headers, letters between salutation and signature, chats, logs and code are taken
out; a document, or long prose that speaks to nobody, leaves a doubt about the whole message. What
words announce ("Here is the mail I got: ...") is `text`'s matter, what a doubt means `reader`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from align_agent.feedback.text import MAX_CHARS
from align_agent.feedback.vocabulary import ANSWER_WORDS, FUNCTION_WORDS

DOUBT = "much of it may be a text by somebody else"
# Prose from this length on has to speak to the agent in one sentence of five.
LONG_WORDS = 45
LONG_SENTENCES = 5
ADDRESSED = 0.2

_FENCE = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.S)
_HEADER = re.compile(
    r"^[*_\s]*(?:from|to|sent|date|subject|cc|bcc|reply-to|von|an|gesendet|datum|betreff|objet"
    r"|asunto|para|oggetto|envoy\u00e9|onderwerp)[*_]*\s*:\s*\S",
    re.I,
)
_ANNOUNCED = re.compile(
    r"^\W*-{2,}\s*(?:original|forwarded|urspr\u00fcngliche|weitergeleitete) (?:message|nachricht)"
    r"|^\W*begin forwarded message"
    r"|^\W*(?:on|am|le|el|il|op) .{5,90}\b(?:wrote|schrieb|a \u00e9crit|escribi\u00f3|ha scritto"
    r"|schreef)\b.{0,60}:\s*$",
    re.I,
)
# "Dear Mr Lopez," alone on its line; a bare "Hi," may greet the agent.
_SALUTATION = re.compile(
    r"^(?:dear|hi|hey|hello|good (?:morning|day|afternoon|evening)|hallo|lieber?|sehr geehrter?n?"
    r"|guten tag|bonjour|ch\u00e8re?s?|hola|estimad[oa]s?|querid[oa]s?|caro|cara|gentile|beste"
    r"|geachte)\s+(?!there\b|again\b|ai\b|assistant\b|chat ?gpt\b|claude\b|bot\b)[^,.!?:]{2,50}"
    r"[,:!]?\s*$|^to whom it may concern\W*$|^dear (?:all|team|sirs?)\W*$",
    re.I,
)
_SIGN_OFF = re.compile(
    r"^(?:(?:with )?(?:best|kind|warm|many)(?:est)?(?: regards| wishes)?|regards"
    r"|sincerely(?: yours)?"
    r"|yours(?: \w+)?|cheers|love|thanks|thank you|many thanks|xo+|lg|mfg|vg"
    r"|(?:mit )?(?:freundlichen|vielen?|lieben?|besten?|herzlichen?) (?:gr\u00fc\u00dfen?|gruss)"
    r"|cordialement|bien \u00e0 vous|saludos(?: cordiales)?|atentamente|un abrazo|cordiali saluti"
    r"|met vriendelijke groet)\W*$",
    re.I,
)
_TIME = r"[\[(]?\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?: ?[ap]m)?[\])]?"
_SPOKEN_AT = re.compile(
    rf"^(?:{_TIME}[ ,-]*[\w .'-]{{1,24}}:|[\w .'-]{{1,24}}[ ,]*{_TIME}:?)\s", re.I
)
_SPEAKER = re.compile(r"^\W{0,2}([^\W\d_][\w'-]{1,20}(?: [\w'-]{1,20})?)\W{0,2}:\s+\S")
_LOGGED = re.compile(
    r"^\W{0,2}(?:\d{4}-\d\d-\d\d[ T]\d\d:\d\d|\d\d/\d\d/\d{2,4} \d\d:\d\d"
    r"|[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d"
    r"|(?:TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL|CRITICAL)\b|npm (?:ERR|WARN)|\d+\.\d{3,}\])"
)
_CODE = re.compile(
    r"[{};]\s*$|^\s*(?:def|class|import|from \w+ import|return|function|const|let|var|if ?\("
    r"|for ?\(|while ?\(|else:|public|private|static|func|fn|SELECT|INSERT|UPDATE|DELETE FROM|FROM"
    r"|WHERE|ORDER BY|GROUP BY|CREATE|#include|</?\w+[ >/])\b|^\s*(?://|#\s|--\s|/\*|\*/)"
    r"|^\s*[\w.]+\s*=\s*\S|^\s*\}"
)
_HEADING = re.compile(r"^#{1,5} \S|^[=-]{4,}\s*$", re.M)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n\s*\n|\n(?=[^\w\n]{0,6}[-*\u2022\d])")
_TO_AGENT = re.compile(
    r"\byour (?:\w+ ){0,2}(?:answers?|repl\w+|responses?|explanations?|code|lists?|texts?|summar\w+"
    r"|versions?|tone|style|translations?|feedback|plan|sentences?|facts)\b"
    r"|\byou (?:just |only |also |even |really |again )?(?:wrote|write|gave|give|answer\w*|repl\w+"
    r"|explain\w*|list\w*|keep|used?|forgot|missed|misunder\w*|began|begin|start|planned|skip\w*"
    r"|did\w*|don't|do not|never|said|say|made|make|repeat\w*|put|misread|ignored?)\b"
    r"|\bi (?:just |only |also |have |already )?(?:asked|told you|wanted|want|need|needed|said"
    r"|would like|hoped|expected|meant|prefer|(?:do not|don't|didn't|did not|still) \w+)\b"
    r"|\b(?:this|that|the (?:last|first)) (?:answer|reply|response|explanation|feedback)\b"
    r"|^(?:and |but |so |no,? )?please\b|\bplease[.!]*$|\b(?:can|could|would) you\b|\bnext time\b"
    r"|\bfrom now on\b|\bwhat i (?:wanted|got|need)\b"
    r"|^(?:this|that|it)(?:'s| is| was| still| reads| does| looks)\b",
    re.I,
)
_OF_AN_ANSWER = re.compile(r"\byour (?:last |previous |latest )?(?:answers?|repl(?:y|ies))\b", re.I)


@dataclass(frozen=True, slots=True)
class Parted:
    """What is the user's own in a message, and why that is doubtful, where it is."""

    own: str
    doubt: str = ""


def parted(message: str) -> Parted:
    """Part the user's own words from what they pasted. An ordinary message comes back as it is."""
    if "\n" not in message and len(message.split()) < LONG_WORDS:
        return Parted(message)
    if len(message) > MAX_CHARS:
        message = f"{message[: MAX_CHARS // 2]}\n{message[-MAX_CHARS // 2 :]}"
    lines = _FENCE.sub("`code`", message).splitlines()
    letter, doubt = _letter(lines)
    other = {*_mail(lines), *letter, *_chat(lines), *_logged(lines), *_code(lines)}
    own = message
    if other:
        own = "\n".join("" if at in other else line for at, line in enumerate(lines))
    return Parted(own, DOUBT if doubt or _document(own) or _speaks_to_nobody(own) else "")


def _mail(lines: list[str]) -> Iterator[int]:
    """From the first header or "On Monday Tom wrote:" on, all is the mail."""
    for at, line in enumerate(lines):
        near = sum(bool(_HEADER.match(row)) for row in lines[at : at + 4])
        if _ANNOUNCED.match(line) or (_HEADER.match(line) and near >= 2):
            yield from range(at, len(lines))
            return


def _letter(lines: list[str]) -> tuple[set[int], bool]:
    """(the lines of a letter, whether one is doubtful): it may be written to the agent itself."""
    begins = next((at for at, line in enumerate(lines) if _SALUTATION.match(line.strip())), None)
    if begins is None:
        return set(), False
    ends = [at for at in range(begins + 1, len(lines)) if _SIGN_OFF.match(lines[at].strip())]
    body = " ".join(lines[begins:])
    if not ends:
        return set(), len(_sentences(body)) >= 3
    if _OF_AN_ANSWER.search(body):
        return set(), True
    last = ends[-1]
    for at in range(last + 1, min(last + 4, len(lines))):
        if lines[at].strip() and len(lines[at].split()) <= 4 and lines[at].strip()[-1] not in "?!":
            last = at  # the name, and whose office it is
    return set(range(begins, last + 1)), False


def _chat(lines: list[str]) -> list[int]:
    """Lines that say who spoke: with a time, or by names that come again."""
    timed = [at for at, line in enumerate(lines) if _SPOKEN_AT.match(line.strip())]
    found = {
        at: match[1].casefold() for at, line in enumerate(lines) if (match := _SPEAKER.match(line))
    }
    names = [name for name in found.values() if not _is_label(name)]
    spoken = [at for at, name in found.items() if names.count(name) >= 2]
    if len(spoken) >= 2 and len(names) >= 3:
        spoken = [at for at, name in found.items() if name in names]
    else:
        spoken = []
    return [*(timed if len(timed) >= 2 else ()), *spoken]


def _is_label(name: str) -> bool:
    """Whether it heads a point of the user's own ("Length: too long") and names no speaker."""
    return set(name.split()) <= FUNCTION_WORDS | (ANSWER_WORDS - {"teacher", "student", "person"})


def _logged(lines: list[str]) -> list[int]:
    found = [at for at, line in enumerate(lines) if _LOGGED.match(line)]
    return found if len(found) >= 2 else []


def _code(lines: list[str]) -> Iterator[int]:
    """Paragraphs of code that stand between no fences."""
    block: list[int] = []
    for at in range(len(lines) + 1):
        if at < len(lines) and lines[at].strip():
            block.append(at)
            continue
        like = sum(bool(_CODE.search(lines[row])) for row in block)
        if like >= 2 and like >= 0.6 * len(block):
            yield from block
        block = []


def _document(text: str) -> bool:
    return len(_HEADING.findall(text)) >= 2


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text) if re.search(r"\w", part)]


def _speaks_to_nobody(text: str) -> bool:
    """Long prose that hardly addresses the agent, nor an answer of its."""
    sentences = _sentences(text)
    if len(text.split()) < LONG_WORDS or len(sentences) < LONG_SENTENCES:
        return False
    told = sum(bool(_TO_AGENT.search(part.strip())) for part in sentences)
    return told < ADDRESSED * len(sentences)
