"""Taking secrets and personal data out of text before it is stored. Stores nothing.

Secrets always go; personal data goes when the setting says so. Each is replaced by a marker such
as `[redacted:email]`. Redacting twice changes nothing more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from align_agent.capture.addresses import ADDRESSES
from align_agent.capture.assignments import ASSIGNMENT, HINTS, kind_of, secret_by_name, secret_span
from align_agent.capture.identity import IDENTITY
from align_agent.capture.patterns import IBAN, PERSONAL, SECRETS, Pattern, is_iban
from align_agent.capture.phones import PHONES
from align_agent.capture.wire import MAX_CHARS, cut, shorten
from align_agent.capture.wire.shape import MAX_DEPTH
from align_agent.records import Message, ToolCall, Turn
from align_agent.store import storable

_SHORT_CHARS = 8_192
_LONG_CHARS = 262_144
_MARGIN = 16_384  # more than any secret is long: none is cut in half before it is seen
_ROUNDS = (4, 64)  # at least, at most
_READ_AGAIN = 262_144  # characters that all rounds together read, where the least are not more
_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Redacted:
    """The text with markers, and how many of each kind were taken out."""

    text: str
    found: Mapping[str, int] = field(default_factory=dict)


def redact(text: str, personal: bool) -> Redacted:
    """Replace secrets, and personal data when `personal`, by markers."""
    if len(text) <= _SHORT_CHARS:
        return _short(text, personal)
    if len(text) <= _LONG_CHARS:
        return _long(text, personal)
    return _redact(text, personal)


def clean(text: str, personal: bool) -> Redacted:
    """What is stored of a text from outside: storable, redacted, and not enormous."""
    text = storable(text)
    if len(text) > MAX_CHARS + 2 * _MARGIN:
        return _clean_enormous(text, personal)
    result = redact(text, personal)
    return Redacted(shorten(result.text), result.found)


def without_secrets(text: str) -> str:
    """A rule as its user wrote it: what is personal in it is wanted there, secrets are not."""
    return clean(text, personal=False).text


def _clean_enormous(text: str, personal: bool) -> Redacted:
    """Only the two ends that are kept are read, each with a margin towards the middle.

    The margin is dropped afterwards: a secret that the cut goes through is seen whole by then.
    """
    head, tail, note = cut(len(text))
    before = redact(text[: head + _MARGIN], personal)
    after = redact(text[len(text) - tail - _MARGIN :], personal)
    first = before.text[: max(0, min(head, len(before.text) - _MARGIN))]
    last = after.text[max(_MARGIN, len(after.text) - tail) :]
    return Redacted(first + note + last, Counter(before.found) + Counter(after.found))


def redact_turn(turn: Turn, personal: bool) -> tuple[Turn, dict[str, int]]:
    """The turn as it may be stored, and what was taken out of its new part.

    The new part is what the human and the model said in this turn: the rest of the prompt was
    counted when it was new.
    """
    found: Counter[str] = Counter()
    asked = clean(turn.user_text, personal)
    found.update(asked.found)
    response = []
    for message in turn.response:
        cleaned, counts = _message(message, personal)
        found.update(counts)
        response.append(cleaned)
    prompt = tuple(_message(message, personal)[0] for message in turn.prompt)
    answer = clean(turn.answer, personal).text
    return (
        replace(
            turn,
            user_text=asked.text,
            answer=answer,
            prompt=prompt,
            response=tuple(response),
            # A client may write a key into what it says of a tool.
            tools=tuple(cleaned_data(tool, personal) for tool in turn.tools),
        ),
        dict(found),
    )


def cleaned_data(value: Any, personal: bool) -> Any:
    """JSON data with every text in it cleaned, as deep as a request may be nested."""
    return _deep(value, personal, MAX_DEPTH)


def _message(message: Message, personal: bool) -> tuple[Message, Mapping[str, int]]:
    result = clean(message.content, personal)
    calls = tuple(
        ToolCall(call.id, call.name, _deep(call.arguments, personal, _DEPTH))
        for call in message.tool_calls
    )
    return replace(message, content=result.text, tool_calls=calls), result.found


def _deep(value: Any, personal: bool, depth: int) -> Any:
    """Every text within JSON-like data, cleaned."""
    if isinstance(value, str):
        return clean(value, personal).text
    if depth == 0:
        return value if value is None or isinstance(value, int | float) else "[nested too deeply]"
    if isinstance(value, dict):
        return {
            clean(str(key), personal).text: _named(str(key), item, personal, depth)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_deep(item, personal, depth - 1) for item in value]
    return value


def _named(key: str, value: Any, personal: bool, depth: int) -> Any:
    """A value of a mapping: its key may say that it is a secret."""
    if isinstance(value, str) and (kind := secret_by_name(key, value)):
        return f"[redacted:{kind}]"
    return _deep(value, personal, depth - 1)


# A conversation repeats all of its messages in the prompt of every turn, system prompts of 40 KB
# included: each is read once.
@lru_cache(maxsize=4096)
def _short(text: str, personal: bool) -> Redacted:
    return _redact(text, personal)


@lru_cache(maxsize=16)
def _long(text: str, personal: bool) -> Redacted:
    return _redact(text, personal)


def _redact(text: str, personal: bool) -> Redacted:
    found: Counter[str] = Counter()
    least, most = _ROUNDS
    # A marker in the middle of a text can give its neighbours the boundary they lacked: of what is
    # glued together (+49 170 1234567+49 170 1234567...) each round may free one.
    for _ in range(max(least, min(most, _READ_AGAIN // max(1, len(text))))):
        changed = _one_round(text, personal, found)
        if changed == text:
            break
        text = changed
    return Redacted(text, dict(found))


def _one_round(text: str, personal: bool, found: Counter[str]) -> str:
    lower = text.lower()
    for pattern in SECRETS:
        text = _replace(text, lower, pattern, found)
    if any(hint in lower for hint in HINTS):
        text = _assignments(text, found)
    if personal:
        text = _ibans(text, found)
        for pattern in (*PERSONAL, *PHONES, *IDENTITY, *ADDRESSES):
            text = _replace(text, lower, pattern, found)
    return text


def _replace(text: str, lower: str, pattern: Pattern, found: Counter[str]) -> str:
    if pattern.hints and not any(hint in lower for hint in pattern.hints):
        return text

    def put(match: Any) -> str:
        if pattern.accept is not None and not pattern.accept(match):
            return str(match[0])
        found[pattern.kind] += 1
        kept = match.groupdict().get("keep") or ""
        return f"{kept}[redacted:{pattern.kind}]"

    return pattern.expression.sub(put, text)


def _assignments(text: str, found: Counter[str]) -> str:
    def put(match: Any) -> str:
        span = secret_span(match)
        if span is None:
            return str(match[0])
        kind = kind_of(match["word"])
        found[kind] += 1
        start, end = span[0] - match.start(), span[1] - match.start()
        return f"{match[0][:start]}[redacted:{kind}]{match[0][end:]}"

    return ASSIGNMENT.sub(put, text)


def _ibans(text: str, found: Counter[str]) -> str:
    """Account numbers: the pattern may have taken following words along, so shorter is tried."""

    def put(match: Any) -> str:
        whole = str(match[0])
        for end in range(len(whole), 14, -1):
            if is_iban(whole[:end]) and not whole[end : end + 1].isalnum():
                found["iban"] += 1
                return f"[redacted:iban]{whole[end:]}"
        return whole

    return IBAN.sub(put, text)
