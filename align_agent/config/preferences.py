"""What config.yaml declares, as one list of rules: style, length, language, do, do-not, and rules.

Knows the wishes that have a name (`directions`); anything else stays in the user's words. Reads no
file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from align_agent.directions import DIRECTIONS
from align_agent.languages import LANGUAGES
from align_agent.polarity import polarity_of

if TYPE_CHECKING:
    from align_agent.config.sections import PreferencesConfig

Entry = dict[str, Any]

_KNOWN = {
    ("style", "warm"): "tone:warm",
    ("style", "friendly"): "tone:warm",
    ("style", "neutral"): "tone:neutral",
    ("style", "matter-of-fact"): "tone:neutral",
    ("length", "brief"): "length:brief",
    ("length", "short"): "length:brief",
    ("length", "steps"): "length:steps",
    ("formatting", "plain"): "format:plain",
    ("formatting", "plain text"): "format:plain",
    ("formatting", "markdown"): "format:markdown",
    ("do", "use emoji"): "emoji:some",
    ("do", "use markdown"): "format:markdown",
    ("dont", "use emoji"): "emoji:none",
    ("dont", "emoji"): "emoji:none",
    ("dont", "use markdown"): "format:plain",
    ("dont", "markdown"): "format:plain",
}
_AT_MOST = re.compile(
    r"(?:at most|max\.?|maximum|up to|no more than) (\d{1,4}) (words|sentences)", re.IGNORECASE
)


def declared_rules(preferences: PreferencesConfig) -> list[tuple[str, Entry]]:
    """(where it stands, rule) of everything declared; a rule has `text`, maybe `check`, `scope`.

    Where: `preferences.length`, `preferences.rules[2]`, ...
    """
    return list(_entries(preferences))


def _entries(preferences: PreferencesConfig) -> Iterator[tuple[str, Entry]]:
    for name in ("style", "length", "language", "formatting"):
        value = " ".join(str(getattr(preferences, name)).split())
        if value:
            yield f"preferences.{name}", _setting(name, value)
    for place, text in enumerate(preferences.do):
        yield f"preferences.do[{place}]", {"text": _known("do", text) or _sentence(text)}
    for place, text in enumerate(preferences.dont):
        tidy = text.strip()
        known = _known("dont", tidy)
        if polarity_of(tidy) == "do":
            tidy = f"Do not {tidy[:1].lower()}{tidy[1:]}"
        yield f"preferences.dont[{place}]", {"text": known or _sentence(tidy)}
    for place, rule in enumerate(preferences.rules):
        yield f"preferences.rules[{place}]", {"text": rule} if isinstance(rule, str) else dict(rule)


def shown_rules(preferences: PreferencesConfig, channel: str) -> list[str]:
    """The declared rules as they stand in the system prompt of a channel.

    A rule of another channel is left out; one of a topic says when it counts.
    """
    if not preferences.in_prompt:
        return []
    shown = []
    for _, rule in declared_rules(preferences):
        scope, text = str(rule.get("scope") or "").strip(), str(rule["text"])
        if scope.startswith("channel:"):
            if of_channel(scope, channel):
                shown.append(text)
        elif scope in ("", "everything"):
            shown.append(text)
        else:
            shown.append(f"About {scope.removeprefix('topic:')}: {text}")
    return shown


def of_channel(scope: str, channel: str) -> bool:
    """Whether `channel:NAME` means a channel; NAME may hold `*` and `?`."""
    name = scope.removeprefix("channel:").strip().casefold()
    return fnmatchcase(channel.casefold(), name)


def _known(name: str, value: str) -> str:
    """The one canonical wording of a wish that is known by name, or the empty string."""
    key = _KNOWN.get((name, " ".join(value.casefold().split()).rstrip(".")), "")
    return DIRECTIONS[key].text if key else ""


def _setting(name: str, value: str) -> Entry:
    if known := _known(name, value):
        return {"text": known}
    if name == "language":
        said = value.casefold()
        code = next((c for c, names in LANGUAGES.items() if said in (c, *names)), "")
        spoken = LANGUAGES[code][0].capitalize() if code else value
        entry: Entry = {"text": f"Answer in {spoken}."}
        return {**entry, "check": {"name": "language", "code": code}} if code else entry
    limit = _AT_MOST.search(value) if name == "length" else None
    if limit:
        number, unit = int(limit[1]), limit[2].lower()
        check = {"name": f"max_{unit}", "n": number}
        return {"text": f"Use at most {number} {unit}.", "check": check}
    return {"text": _sentence(f"{name.capitalize()}: {value}")}


def _sentence(text: str) -> str:
    tidy = " ".join(text.split())
    return tidy if tidy[-1:] in ".!?" else f"{tidy}."
