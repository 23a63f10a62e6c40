"""The user's profile: short general rules, learned from complaints or declared in config.yaml.

Repeats are merged, newer contradicts older on the same axis (what was asked for often, only when it
is said twice), declared wins over learned. Only known directions and general wishes become rules;
what was wrong with one answer does not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from align_agent.config import Config, PreferencesConfig
from align_agent.config.preferences import declared_rules
from align_agent.directions import DIRECTIONS, axis_of, direction_of_text
from align_agent.errors import InputError, UsageError
from align_agent.feedback.checks import validate_spec
from align_agent.feedback.fading import FADED, has_faded
from align_agent.feedback.guard import CONTRADICTED, UNACCEPTED, held_back, said_once
from align_agent.feedback.reader import Reading, read
from align_agent.feedback.scope import EVERYTHING, applies, applying, checked_scope, scope_of
from align_agent.feedback.text import key_of
from align_agent.feedback.wishes import check_for, is_private
from align_agent.polarity import parted, polarity_of
from align_agent.records import Feedback, Rule, RuleStatus, Turn, now

if TYPE_CHECKING:
    from align_agent.store import Store

MAX_RULE = 400
SURE_OF_WISH = 0.75
BY_USER = "retired by you"
UNDECLARED = "no longer in config.yaml"
OUTVOTED = "config.yaml declares the opposite"
# What follows from the words of a rule.
_MEANING = ("direction", "polarity", "check")

__all__ = ["EVERYTHING", "Profile", "applies"]


class Profile:
    """The rules of one store, with what changes them. One Profile per Store."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config

    # Reading

    def rules(self) -> list[Rule]:
        """The rules in force, active and declared, in an order that does not depend on chance.

        Of two on one axis and of one scope the declared one counts, else the one last asked for.
        """
        order = {key: index for index, key in enumerate(DIRECTIONS)}
        found = self._store.rules.list(("active", "declared"))
        best: dict[str, Rule] = {}
        for rule in found:
            key = f"{rule.scope}\n{axis_of(rule.direction) or key_of(rule.text)}"
            if key not in best or _weight(rule) > _weight(best[key]):
                best[key] = rule
        return sorted(
            best.values(),
            key=lambda rule: (order.get(rule.direction, len(order)), rule.first_seen, rule.id),
        )

    def texts_for(self, turn: Turn) -> list[str]:
        """The texts of the rules that apply to a turn."""
        return [rule.text for rule in applying(self.rules(), turn)]

    # Learning

    def learn(self, feedback: Feedback, reading: Reading) -> list[Rule]:
        """Condense a complaint into rules; returns those that it made or confirmed.

        A known direction becomes active when it was read with confidence and the configuration
        accepts by itself; a wish in the user's own words is proposed.
        """
        if feedback.polarity == "positive" or reading.polarity == "positive":
            return []
        if reading.polarity == "neutral" and not reading.standing:
            return []
        feedback_config = self._config.feedback
        # That it is a complaint may be plain, and what it wishes for a guess. A standing wish that
        # is met already is no complaint, and the lexicon alone has named it.
        standing = reading.polarity == "neutral"
        named = standing or reading.layers.get("lexicon", 1.0) >= SURE_OF_WISH
        sure = named and feedback.confidence >= feedback_config.min_confidence
        deliberate = reading.standing or feedback.kind == "rating"
        learned = []
        with self._store.transaction():
            for direction in reading.directions or _one(reading.direction):
                status: RuleStatus = (
                    "active" if feedback_config.auto_accept and sure else "proposed"
                )
                rule = _of_direction(direction)
                learned.append(self._take(rule, status, feedback.created_at, deliberate=deliberate))
            if reading.wish and not reading.directions and not is_private(reading.wish):
                wish = _tidy(reading.wish)
                rule = replace(_of_words(wish), check=check_for(wish), scope=scope_of(wish))
                learned.append(self._take(rule, "proposed", feedback.created_at))
            for rule in learned:
                for turn_id in (feedback.turn_id, feedback.source_turn_id):
                    if turn_id:
                        self._store.rules.link(rule.id, turn_id)
        return learned

    def sync_declared(self, preferences: PreferencesConfig) -> list[Rule]:
        """Make the declared rules those of config.yaml. Raises InputError for a bad check."""
        entries = [entry for _, entry in declared_rules(preferences)]
        wanted = {rule.id: rule for rule in map(declared_rule, entries)}
        with self._store.transaction():
            known = {rule.id: rule for rule in self._store.rules.list()}
            for rule in known.values():
                if rule.status == "declared" and rule.id not in wanted:
                    self._store.rules.update(rule.id, status="retired", reason=UNDECLARED)
            for rule in wanted.values():
                old = known.get(rule.id)
                if old is None:
                    self._store.rules.add(rule)
                else:
                    meant = {name: getattr(rule, name) for name in ("status", "scope", *_MEANING)}
                    if any(getattr(old, name) != value for name, value in meant.items()):
                        self._store.rules.update(rule.id, reason="", **meant)
            for rule in wanted.values():
                for loser in self._opponents(rule, ("active",)):
                    self._store.rules.update(loser.id, status="proposed", reason=OUTVOTED)
        return list(wanted.values())

    def fade(self, moment: str) -> list[Rule]:
        """Retire the proposals that nobody accepted or asked for again in a long time."""
        half_life = self._config.feedback.half_life_days
        return [
            self._store.rules.update(rule.id, status="retired", reason=FADED)
            for rule in self._store.rules.list(("proposed",))
            if has_faded(rule, moment, half_life)
        ]

    def contrary(self, rule: Rule) -> list[Rule]:
        """The rules that say the opposite, in whatever state they are."""
        return self._opponents(rule, ())

    # The user's own hand

    def add(self, text: str, scope: str = EVERYTHING) -> Rule:
        """Take a rule from the user; active at once. Raises InputError for an unusable text."""
        rule = replace(_of_text(_checked(text)), scope=checked_scope(scope))
        return self._take(rule, "active", now(), by_user=True)

    def accept(self, rule_id: str) -> Rule:
        """Make a proposed or retired rule active. Raises NotFound; UsageError if declared."""
        rule = self._own(rule_id)
        with self._store.transaction():
            self._retire_opponents(rule)
            return self._store.rules.update(rule.id, status="active", reason="")

    def edit(self, rule_id: str, text: str) -> Rule:
        """Put a rule into other words; its direction, polarity and check follow from them.

        Raises NotFound, InputError, and UsageError for a declared rule.
        """
        rule = self._own(rule_id)
        fresh = _of_text(_checked(text))
        said = {name: getattr(fresh, name) for name in ("text", *_MEANING)}
        with self._store.transaction():
            if rule.status == "active":
                self._retire_opponents(replace(rule, **said))
            return self._store.rules.update(rule.id, **said)

    def retire(self, rule_id: str) -> Rule:
        """Stop following a rule. Raises NotFound, UsageError for a declared one."""
        rule = self._own(rule_id)
        return self._store.rules.update(rule.id, status="retired", reason=BY_USER)

    # Inside

    def _own(self, rule_id: str) -> Rule:
        rule = self._store.rules.get(rule_id)
        if rule.status == "declared":
            raise UsageError(
                f"the rule {rule.text!r} is declared in config.yaml",
                hint="change it there: preferences.rules",
            )
        return rule

    def _take(
        self,
        rule: Rule,
        status: RuleStatus,
        moment: str,
        *,
        by_user: bool = False,
        deliberate: bool = False,
    ) -> Rule:
        """Confirm the rule if it is known, else store it; settle what contradicts it.

        `by_user`: the user's own hand; `deliberate`: a rating, or a wish for all answers to come.
        """
        with self._store.transaction():
            known = self._known(rule)
            declared_against = any(True for _ in self._opponents(rule, ("declared",)))
            newer = [o for o in self._opponents(rule, ("active",)) if o.last_seen > moment]
            reason = ""
            if declared_against:
                status, reason = "proposed", OUTVOTED
            elif newer and not by_user:
                status, reason = "retired", f"said before: {newer[0].text}"
            elif known and known.status == "retired" and known.reason == BY_USER and not by_user:
                status, reason = "proposed", "asked for again after you retired it"
            elif status == "active":
                if not by_user and (known is None or known.status != "active"):
                    reason = self._held_back(rule, known, moment, deliberate)
                if reason:
                    status = "proposed"
                else:
                    self._retire_opponents(rule)
            if known is None:
                fresh = replace(
                    rule, status=status, reason=reason, first_seen=moment, last_seen=moment
                )
                self._store.rules.add(fresh)
                return fresh
            if known.status == "declared" or (known.status == "active" and status == "proposed"):
                status, reason = known.status, known.reason
            return self._store.rules.update(
                known.id,
                status=status,
                reason=reason,
                count=known.count + 1,
                first_seen=min(known.first_seen, moment),
                last_seen=max(known.last_seen, moment),
            )

    def _held_back(self, rule: Rule, known: Rule | None, moment: str, deliberate: bool) -> str:
        opponents = self._opponents(rule, ("active",))
        once = "" if deliberate else said_once(known, opponents)
        return once or held_back(moment, opponents, self._store.rules.list(), self._config.feedback)

    def _known(self, rule: Rule) -> Rule | None:
        """The stored rule that says the same: a learned one before a declared one."""
        same = [other for other in self._store.rules.list() if _same(rule, other)]
        same.sort(key=lambda other: (other.status == "declared", other.status == "retired"))
        return same[0] if same else None

    def _opponents(self, rule: Rule, statuses: Sequence[str]) -> list[Rule]:
        """The rules of the same scope that ask for the opposite."""
        return [
            other
            for other in self._store.rules.list(statuses)
            if other.scope == rule.scope and opposed(rule, other)
        ]

    def _retire_opponents(self, rule: Rule) -> None:
        for loser in self._opponents(rule, ("active", "proposed")):
            why = CONTRADICTED if loser.status == "active" else UNACCEPTED
            self._store.rules.update(loser.id, status="retired", reason=f"{why}{rule.text}")


def _weight(rule: Rule) -> tuple[bool, str, str]:
    return rule.status == "declared", rule.last_seen, rule.id


def _same(rule: Rule, other: Rule) -> bool:
    if rule.direction or other.direction:
        return rule.direction == other.direction and rule.scope == other.scope
    return key_of(rule.text) == key_of(other.text) and rule.scope == other.scope


def opposed(rule: Rule, other: Rule) -> str:
    """Why two rules of one scope cannot both be followed, or the empty string."""
    axis = axis_of(rule.direction)
    if axis and axis == axis_of(other.direction):
        return f"both are about {axis}" if rule.direction != other.direction else ""
    if rule.polarity != other.polarity:
        matter = key_of(parted(rule.text)[1])
        if matter and matter == key_of(parted(other.text)[1]):
            return "one asks for what the other forbids"
    return ""


def _one(direction: str) -> tuple[str, ...]:
    return (direction,) if direction else ()


def _of_direction(key: str) -> Rule:
    direction = DIRECTIONS[key]
    return replace(_of_words(direction.text), direction=key, check=dict(direction.check))


def _of_words(text: str) -> Rule:
    return Rule(text, "active", polarity=polarity_of(text))


def _of_text(text: str) -> Rule:
    """A rule in the user's words; where they name one known direction, with its check."""
    key = direction_of_text(text)
    if not key:
        directions = read(text).directions
        key = directions[0] if len(directions) == 1 else ""
    check: dict[str, Any] | None = dict(DIRECTIONS[key].check) if key else None
    return replace(_of_words(text), direction=key, check=check_for(text) or check)


def declared_rule(data: dict[str, Any]) -> Rule:
    """The rule that an entry of config.yaml stands for. Raises InputError for a bad check."""
    rule = _of_text(_checked(str(data["text"])))
    check = data.get("check")
    if isinstance(check, str):
        check = {"name": check}
    if check is not None:
        validate_spec(check)
        rule = replace(rule, check=dict(check))
    scope = checked_scope(str(data.get("scope") or EVERYTHING))
    digest = hashlib.sha256(f"{rule.text}\n{scope}".encode()).hexdigest()
    return replace(rule, id=f"rule-{digest[:20]}", status="declared", scope=scope)


def _checked(text: str) -> str:
    tidy = _tidy(text)
    if not tidy:
        raise InputError("the rule is empty", hint='for example "Keep answers short."')
    if len(tidy) > MAX_RULE:
        raise InputError(f"the rule has {len(tidy)} characters", hint=f"use at most {MAX_RULE}")
    return tidy


def _tidy(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", " ")
    return re.sub(r"\s+", " ", clean).strip()
