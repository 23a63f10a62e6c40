"""What a night would learn from, and why every other turn is left out. Loads no model.

Joins the store's turns, the profile's rules and the selection of `distill/select.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from align_agent.config import Config, load_config
from align_agent.distill.hindsight import Example, Shown, example_of
from align_agent.distill.select import Candidate, Selection, select
from align_agent.feedback.checks import checker
from align_agent.feedback.fading import FADED
from align_agent.feedback.profile import EVERYTHING, Profile
from align_agent.feedback.scope import applying
from align_agent.feedback.shown import document_checks
from align_agent.gate.probes import is_pocket
from align_agent.night import continual
from align_agent.night.everyday import beside, too_few
from align_agent.paths import Home
from align_agent.prompts import RULES_HEADER, without_rules
from align_agent.records import BASE_VERSION, Rule, Turn, version_label
from align_agent.store import Store

# With fewer conversations the one that is held out would be missed more than the gate needs it.
MIN_CONVERSATIONS = 3
# The first two or three tokens are where a teacher says "Based on the text" (arXiv 2601.19897).
MASKED = 2
CORRECTED = "the user corrected it"
VIOLATES = "it breaks a rule of the user"
DEMONSTRATED = "you showed how to answer it"
DOCUMENTED = "it asks for what a document tells"
TOLD = "declared rules stood in its prompt"
HELD_OUT = "kept aside for the gate"
ANCHOR = "nothing to correct: it holds the rest in place"


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """One turn and what a night does with it: train, heldout, anchor or skip."""

    turn_id: str
    use: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What the next night would do, as far as can be told without a model.

    `ready` says whether it would train at all, `reason` why or why not, `start` from which weights.
    `general` everyday prompts join the `anchors`, which are the user's own; `few` says where they
    are too few all together. `skipped` counts the reasons for leaving turns out.
    """

    ready: bool
    reason: str
    start: str
    train: int
    heldout: int
    anchors: int
    general: int
    few: str
    skipped: dict[str, int]
    rules: list[str]
    turns: list[PlannedTurn]


class Wishes:
    """The user's rules as the night sees them: which apply to a turn, and which of them it breaks.

    One reading of the profile for a whole night, so that all phases see the same rules.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self.rules: list[Rule] = Profile(store, config).rules()
        self._by_text = {rule.text: rule for rule in self.rules}
        self._checkers: dict[str, Callable[[str, str], bool]] = {}
        self._same_everywhere = len(self.general()) == len(self.rules)
        # What was complained of for the sake of a rule that the user went back on.
        self.unheeded = store.feedback.behind(
            continual.stale_rules(store.rules.list(), self.rules, FADED)
        )

    def for_turn(self, turn: Turn) -> list[str]:
        """The texts of the rules that apply to the turn."""
        found = self.rules if self._same_everywhere else applying(self.rules, turn)
        return [rule.text for rule in found]

    def checks_for(self, turn: Turn) -> list[Mapping[str, Any]]:
        """The specs of the rules that apply to the turn and that a program can check."""
        found = (self._by_text[text].check for text in self.for_turn(turn))
        return [check for check in found if check]

    def violates(self, turn: Turn) -> bool:
        """Whether the logged answer fails a check. An answer without words fails none."""
        if not turn.answer.strip():
            return False
        checked = [text for text in self.for_turn(turn) if self._by_text[text].check]
        return any(not self._checker(text)(turn.answer, turn.user_text) for text in checked)

    def _checker(self, text: str) -> Callable[[str, str], bool]:
        """The check of the rule with this text, made ready once: a log has many answers."""
        if text not in self._checkers:
            self._checkers[text] = checker(self._by_text[text].check or {})
        return self._checkers[text]

    def told(self, turn: Turn) -> bool:
        """Whether declared rules stood in the turn's prompt: that answer shows how they are met."""
        head = turn.prompt[0] if turn.prompt else None
        if head is None or head.role != "system" or RULES_HEADER not in head.content:
            return False
        return any(rule.status == "declared" and rule.text in head.content for rule in self.rules)

    def teaches(self, turn: Turn) -> bool:
        """Whether there is something to learn from a turn of which nobody complained."""
        return self.violates(turn) or self.told(turn)

    def general(self) -> list[Rule]:
        """The rules that apply to any prompt whatever."""
        return [rule for rule in self.rules if rule.scope in ("", EVERYTHING)]


def plan(home: Home) -> Plan:
    """What the next night would learn from, with a reason for every turn that it would not.

    Follow-ups that only the gap detector could judge are not counted: that needs the model.
    Raises ConfigError, StoreError.
    """
    config = load_config(home.config)
    with Store.open(home.database) as store:
        wishes = Wishes(store, config)
        chosen, start = tonight(store, config, wishes, serving(store))
        uses = uses_of(chosen, wishes)
        texts = store.turns.user_texts()
    problem = too_little(chosen, config.distill.min_turns)
    lessons, own = len(chosen.train), len(chosen.anchors)
    general = len(beside(config, chosen, lessons, own, seed=config.distill.seed)) if lessons else 0
    return Plan(
        ready=not problem,
        reason=problem or f"{len(chosen.train)} turn{'s' * (len(chosen.train) != 1)} to learn from",
        start=f"{version_label(start.version)}{f': {start.why}' if start.why else ''}",
        train=lessons,
        heldout=len(chosen.heldout),
        anchors=own,
        general=general,
        few=too_few(config, lessons, own + general) if lessons else "",
        skipped=dict(Counter(reason for _, reason in chosen.skipped).most_common()),
        rules=[rule.text for rule in wishes.rules],
        turns=[PlannedTurn(turn_id, use, why, texts[turn_id]) for turn_id, use, why in uses],
    )


def tonight(
    store: Store, config: Config, wishes: Wishes, version: int
) -> tuple[Selection, continual.Start]:
    """What a night learns from that began while `version` served, and from which weights it
    starts."""
    champion = continual.champion_of(store, version)
    chosen = _choose(store, config, wishes, champion)
    start = continual.start_of(config, champion, chosen, wishes.rules, store.turns.excluded())
    if champion is not None and start.version:
        chosen = continual.with_replay(chosen, champion, config.distill.replay, config.distill.seed)
    return chosen, start


def choose(store: Store, config: Config, wishes: Wishes) -> Selection:
    """The selection of a night, which gives back what is held out where there is too little."""
    return _choose(store, config, wishes, continual.champion_of(store, serving(store)))


def serving(store: Store) -> int:
    """The version that serves now, 0 for the base."""
    return store.adapters.alias("champion") or BASE_VERSION


def _choose(
    store: Store, config: Config, wishes: Wishes, champion: continual.Champion | None
) -> Selection:
    chosen = select(
        store,
        config.distill,
        wishes.for_turn,
        wishes.teaches,
        seed=config.distill.seed,
        min_confidence=config.feedback.min_confidence,
        learned=champion.lineage.keys() if champion else (),
        unheeded=wishes.unheeded,
    )
    used = (*chosen.train, *chosen.heldout, *chosen.anchors)
    conversations = {candidate.turn.conversation_id for candidate in used}
    enough = len(chosen.train) >= config.distill.min_turns
    if chosen.heldout and (len(conversations) < MIN_CONVERSATIONS or not enough):
        return _without_holdout(chosen, wishes)
    return chosen


def _without_holdout(chosen: Selection, wishes: Wishes) -> Selection:
    lessons = [c for c in chosen.heldout if c.shown or wishes.teaches(c.turn)]
    ids = {candidate.turn.id for candidate in lessons}
    fine = [c for c in chosen.heldout if c.turn.id not in ids]
    return Selection(
        train=[*chosen.train, *lessons],
        heldout=[],
        anchors=[*chosen.anchors, *fine],
        skipped=chosen.skipped,
    )


def uses_of(chosen: Selection, wishes: Wishes) -> list[tuple[str, str, str]]:
    """(turn id, use, reason) of every turn that the selection looked at."""
    train = [(c.turn.id, "train", _why(c, wishes)) for c in chosen.train]
    held = [(c.turn.id, "heldout", HELD_OUT) for c in chosen.heldout]
    anchors = [(c.turn.id, "anchor", ANCHOR) for c in chosen.anchors]
    return [*train, *held, *anchors, *((i, "skip", why) for i, why in chosen.skipped)]


def _why(candidate: Candidate, wishes: Wishes) -> str:
    if candidate.shown.demonstration:
        return DEMONSTRATED
    if candidate.shown.document:
        return DOCUMENTED
    if not candidate.shown.follow_up and wishes.told(candidate.turn):
        return TOLD
    corrected = candidate.shown.follow_up or not wishes.violates(candidate.turn)
    return CORRECTED if corrected else VIOLATES


def too_little(chosen: Selection, min_turns: int) -> str:
    """Why the selection is not worth a night, or the empty string."""
    found = len(chosen.train)
    if not found:
        reasons = Counter(reason for _, reason in chosen.skipped)
        seen = len(chosen.skipped) + len(chosen.heldout) + len(chosen.anchors)
        most = f", most of them because: {reasons.most_common(1)[0][0]}" if reasons else ""
        return f"nothing to learn: none of {seen} turns was corrected or breaks a rule{most}"
    if found < min_turns:
        turns = "1 turn" if found == 1 else f"{found} turns"
        return (
            f"nothing to learn yet: {turns} to learn from, distill.min_turns asks for {min_turns}"
        )
    return ""


def same_lessons(chosen: Selection, kept: Mapping[str, Sequence[Sequence[str]]]) -> bool:
    """Whether every turn that an interrupted night chose would still be chosen, as it was judged.

    `kept` is its `select` artefact: use -> [turn id and what is known of it]. More turns may have
    come since, and held-out conversations may be others now: the old split is as good as before.
    """
    usable = {
        tuple(_row(candidate)) for candidate in (*chosen.train, *chosen.heldout, *chosen.anchors)
    }
    return all(tuple(row) in usable for items in kept.values() for row in items)


def restore(store: Store, kept: Mapping[str, Sequence[Sequence[str]]]) -> Selection:
    """The selection that the `select` artefact stands for. Raises NotFound when a turn is gone.

    The rules in the system prompts are taken out: what is learned must hold without them.
    """

    def bare(turn_id: str) -> Turn:
        turn = store.turns.get(turn_id)
        return replace(turn, prompt=without_rules(turn.prompt))

    def candidates(use: str) -> list[Candidate]:
        return [Candidate(bare(turn_id), Shown(*known)) for turn_id, *known in kept.get(use, ())]

    return Selection(candidates("train"), candidates("heldout"), candidates("anchor"), [])


def artefact_of(chosen: Selection) -> dict[str, list[list[str]]]:
    """The selection as its artefact: ids, the words of corrections, and what was shown."""
    return {
        "train": [_row(c) for c in chosen.train],
        "heldout": [_row(c) for c in chosen.heldout],
        "anchor": [_row(c) for c in chosen.anchors],
    }


def _row(candidate: Candidate) -> list[str]:
    return [candidate.turn.id, *astuple(candidate.shown)]


def checks_of(candidate: Candidate, wishes: Wishes) -> list[Mapping[str, Any]]:
    """The specs that an answer to the candidate's prompt should meet: of rules and document."""
    found = wishes.checks_for(candidate.turn)
    extra = document_checks(candidate.shown.document) if candidate.shown.document else []
    return [*found, *(check for check in extra if check not in found)]


def lesson_of(
    candidate: Candidate, wishes: Wishes, config: Config, *, anchor: bool = False
) -> Example:
    """The example that a chosen turn makes under the user's rules."""
    return example_of(
        candidate.turn,
        wishes.for_turn(candidate.turn),
        candidate.shown,
        use="anchor" if anchor else "train",
        skip_first=masked(config),
    )


def masked(config: Config) -> int:
    """How many first tokens are not learned where more than words was shown."""
    asked = config.learn.mask_first_tokens
    if asked != "auto":
        return int(asked)
    return 0 if is_pocket(config.model.base) else MASKED
