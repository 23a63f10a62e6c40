"""Whether what config.yaml declares can be followed: known checks, no two rules against each other.

The loader cannot know: what a rule means is read here. Every complaint names the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from align_agent.config import Config, load_with_lines
from align_agent.config.preferences import declared_rules
from align_agent.errors import ConfigError, InputError
from align_agent.feedback.profile import declared_rule, opposed
from align_agent.records import Rule

LONGEST_SENTENCE = 60  # words; nobody asks for longer ones


def load_checked(path: Path) -> Config:
    """The configuration, its declared preferences checked too. Raises ConfigError with the line."""
    config, lines = load_with_lines(path)
    rules = list(_read(path, config, lines))
    for place, (key, rule) in enumerate(rules):
        for earlier, other in rules[:place]:
            if why := against(rule, other):
                raise ConfigError(
                    f"{path} line {lines.get(key, 1)}: `{key}` ({rule.text!r}) contradicts "
                    f"`{earlier}` on line {lines.get(earlier, 1)} ({other.text!r}): {why}",
                    hint="remove one of the two, or give one of them a `scope` "
                    "(a channel such as channel:telegram, or words of a topic)",
                )
    return config


def against(rule: Rule, other: Rule) -> str:
    """Why two declared rules cannot both be followed, or the empty string."""
    if rule.scope != other.scope:
        return ""
    if why := opposed(rule, other):
        return why
    checks = [rule.check or {}, other.check or {}]
    names = {str(check.get("name")): check for check in checks}
    both = {"min_words", "max_words"} <= names.keys()
    if both and names["min_words"]["n"] > names["max_words"]["n"]:
        return "no answer has so many words and so few"
    if {"min_words", "max_sentences"} <= names.keys() and (
        names["min_words"]["n"] > LONGEST_SENTENCE * names["max_sentences"]["n"]
    ):
        return "so few sentences do not hold so many words"
    if {"contains", "avoids"} <= names.keys() and (
        shared := _texts(names["contains"]) & _texts(names["avoids"])
    ):
        return f"one asks for what the other forbids ({sorted(shared)[0]!r})"
    if "json" in names and "format:markdown" in (rule.direction, other.direction):
        return "JSON holds no markdown"
    if names.keys() == {"language"} and checks[0].get("code") != checks[1].get("code"):
        return "an answer has one language"
    return ""


def _texts(check: dict[str, Any]) -> set[str]:
    """What a check for phrases names, in one case."""
    text = check.get("text", ())
    return {str(part).casefold().strip() for part in ([text] if isinstance(text, str) else text)}


def _read(path: Path, config: Config, lines: dict[str, int]) -> Iterator[tuple[str, Rule]]:
    for key, entry in declared_rules(config.preferences):
        try:
            yield key, declared_rule(entry)
        except InputError as error:
            raise ConfigError(
                f"{path} line {lines.get(key, 1)}: `{key}`: {error.message}", hint=error.hint
            ) from error
