"""Where a rule counts: everywhere, on a channel, for a topic, for code. Pure functions of texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from align_agent.config.preferences import of_channel
from align_agent.directions import axis_of
from align_agent.errors import InputError
from align_agent.feedback.text import key_of
from align_agent.records import Rule, Turn

EVERYTHING = "everything"
CODE = "code"
CHANNEL = "channel:"
TOPIC = "topic:"
MAX_SCOPE = 200

_CODE = re.compile(
    r"```|~~~|\b(?:code|program|script|function|class|method|regex|sql|query|bug|compile|refactor"
    r"|unit test|python|javascript|typescript|java|rust|golang|bash|html|css)\b",
    re.I,
)
# "In e-mails, ...", "when you write code, ...": the kinds of work that people name.
_NAMED = re.compile(
    r"\b(?:in|for|with|when(?:ever)? (?:you(?: are)? )?(?:write|writing|answer|answering|give"
    r"|giving|do|doing)?)\s+(?:all |any |my |your |the )?"
    r"(code|programs?|scripts?|e-?mails?|mails?|letters?|summar(?:y|ies)|recipes?|poems?|stories"
    r"|essays?|homework|translations?|reports?|lists?|slides|presentations?|minutes)\b",
    re.I,
)
_TOPICS = {
    "email": "email, e-mail, mail, emails, mails",
    "mail": "email, e-mail, mail, emails, mails",
    "summary": "summary, summarize, summarise, summaries",
    "translation": "translation, translate, translations",
}


def applying(rules: Sequence[Rule], turn: Turn) -> list[Rule]:
    """The rules that apply to a turn; one of a narrower scope outweighs a general one."""
    found = [rule for rule in rules if applies(rule, turn)]
    special = {axis_of(rule.direction) for rule in found if rule.scope not in ("", EVERYTHING)}
    return [
        rule
        for rule in found
        if rule.scope not in ("", EVERYTHING)
        or not axis_of(rule.direction)
        or axis_of(rule.direction) not in special
    ]


def applies(rule: Rule, turn: Turn) -> bool:
    """Whether a rule's scope covers a turn.

    `everything`; `channel:NAME` (`*` and `?` allowed); `code`; else (with or without `topic:`
    before them) words parted by commas, one of which the message must hold.
    """
    scope = rule.scope.strip()
    if scope in ("", EVERYTHING):
        return True
    if scope.startswith(CHANNEL):
        return of_channel(scope, turn.channel)
    if scope == CODE:
        return bool(_CODE.search(turn.user_text) or "```" in turn.answer)
    said = f" {key_of(turn.user_text)} "
    words = [key_of(word) for word in scope.removeprefix(TOPIC).split(",")]
    return any(f" {word} " in said for word in words if word)


def scope_of(text: str) -> str:
    """The scope that a wish names itself: "In emails, never ..." is about emails alone."""
    match = _NAMED.search(text)
    if match is None:
        return EVERYTHING
    noun = match[1].casefold().replace("-", "")
    if noun.rstrip("s") in ("code", "program", "script"):
        return CODE
    single = re.sub(r"ies$", "y", noun).removesuffix("s") if noun not in ("minutes",) else noun
    plural = noun if noun.endswith("s") else f"{noun}s"
    return TOPIC + _TOPICS.get(single, f"{single}, {plural}" if plural != single else single)


def checked_scope(scope: str) -> str:
    """The scope as it is stored. Raises InputError for one that names nothing or is too long."""
    tidy = " ".join(scope.split()) or EVERYTHING
    for prefix in (CHANNEL, TOPIC):
        if tidy.startswith(prefix) and not tidy.removeprefix(prefix).strip(" ,"):
            raise InputError(f"the scope {tidy!r} names nothing", hint=f"for example {prefix}mail")
    if len(tidy) > MAX_SCOPE:
        raise InputError(f"the scope has {len(tidy)} characters", hint=f"use at most {MAX_SCOPE}")
    kind, colon, _ = tidy.partition(":")
    if colon and f"{kind}:" not in (CHANNEL, TOPIC) and kind.isalpha():
        near = get_close_matches(kind, ["channel", "topic"], 1) or ["channel"]
        raise InputError(
            f"unknown kind of scope {kind!r} in {tidy!r}",
            hint=f"did you mean {near[0]}:? There are everything, code, channel:NAME, topic:WORDS",
        )
    if tidy not in (EVERYTHING, CODE) and not key_of(tidy):
        raise InputError(f"the scope {tidy!r} names nothing", hint="everything, code, topic:mail")
    return tidy
