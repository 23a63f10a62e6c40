"""What the dashboard's forms do: each reads its form, changes one thing, and says so in a sentence.

All go through the scribe's thread, after whatever was heard before them is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from align_agent.adapters.registry import Registry
from align_agent.capture.redact import clean, without_secrets
from align_agent.display import counted
from align_agent.errors import InputError
from align_agent.feedback import shown
from align_agent.feedback.profile import Profile
from align_agent.feedback.signals import accept as take
from align_agent.feedback.signals import rate
from align_agent.privacy.forget import forget as forget_for_good
from align_agent.privacy.wanted import Kind, meant
from align_agent.records import version_label
from align_agent.server.service import Service
from align_agent.store import Store
from align_agent.web import trials
from align_agent.web.guard import Action, Form, field
from align_agent.web.words import link, short

WHY = "asked for on the dashboard"

Work = Callable[[Store, Service, Form], "str | tuple[str, str]"]


def _stored(work: Work) -> Action:
    async def act(service: Service, form: Form) -> str | tuple[str, str]:
        return await asyncio.wrap_future(
            service.scribe.consult(lambda store: work(store, service, form))
        )

    return act


def roll_back(store: Store, service: Service, form: Form) -> str:
    old, new = Registry(store, service.home).rollback(why=WHY)
    return (
        f"{version_label(new)} serves again instead of {version_label(old)}. "
        "Nights promote nothing until you release them."
    )


def promote(store: Store, service: Service, form: Form) -> str:
    registry = Registry(store, service.home)
    version = registry.resolve(field(form, "version"))
    old, new = registry.promote(version, why=WHY)
    if old == new:
        return f"{version_label(new)} serves already."
    return f"{version_label(new)} serves now instead of {version_label(old)}."


def hold(store: Store, service: Service, form: Form) -> str:
    Registry(store, service.home).hold(form.get("why", "").strip()[:200] or WHY)
    return "Held: nights promote nothing until you release them."


def release(store: Store, service: Service, form: Form) -> str:
    Registry(store, service.home).release()
    return "Released: nights may promote again."


def accept_rule(store: Store, service: Service, form: Form) -> str:
    rule = Profile(store, service.config).accept(field(form, "rule"))
    return f"Accepted: {short(rule.text, 80)}"


def retire_rule(store: Store, service: Service, form: Form) -> str:
    rule = Profile(store, service.config).retire(field(form, "rule"))
    return f"Retired: {short(rule.text, 80)}"


def edit_rule(store: Store, service: Service, form: Form) -> str:
    text = without_secrets(field(form, "text"))
    rule = Profile(store, service.config).edit(field(form, "rule"), text)
    return f"It says now: {short(rule.text, 80)}"


def add_rule(store: Store, service: Service, form: Form) -> str:
    text = without_secrets(field(form, "text"))
    rule = Profile(store, service.config).add(text)
    return f"Added: {short(rule.text, 80)}"


def exclude(store: Store, service: Service, form: Form) -> str:
    store.turns.exclude(field(form, "turn"))
    return "Nothing will be learned from that turn."


def include(store: Store, service: Service, form: Form) -> str:
    store.turns.exclude(field(form, "turn"), False)
    return "That turn may be learned from again."


def forget(store: Store, service: Service, form: Form) -> tuple[str, str]:
    """A turn or a whole conversation, for good."""
    kind: Kind = "turn" if form.get("turn") else "conversation"
    wanted = meant(store, field(form, kind), kind)
    conversation = (
        wanted.what if kind == "conversation" else store.turns.get(wanted.what).conversation_id
    )
    done = forget_for_good(service.home, wanted)
    said = f"Forgotten: {counted(len(done.turns), 'turn')}, in every file of the home."
    if done.tainted:
        names = ", ".join(version_label(version) for version in done.tainted)
        said += f" {names} learned from that; the next night learns anew without it."
    left = store.turns.list(limit=1, conversation=conversation)
    return (link("/conversation", {"id": conversation}) if left else "/conversations"), said


def dismiss(store: Store, service: Service, form: Form) -> str:
    store.feedback.dismiss(field(form, "feedback"))
    return "Noted: that was no opinion of the answer."


def meant_it(store: Store, service: Service, form: Form) -> str:
    take(store, store.feedback.get(field(form, "feedback")).id, service.config)
    return "Noted: you meant it, and it is learned from."


def restore(store: Store, service: Service, form: Form) -> str:
    store.feedback.dismiss(field(form, "feedback"), False)
    return "It counts again."


def judge(store: Store, service: Service, form: Form) -> str:
    """The user's own word on an answer, instead of what was understood."""
    verdict = field(form, "verdict")
    turn = store.turns.get(field(form, "turn"))
    if verdict not in ("good", "bad", "none"):
        raise InputError(f"`verdict` is none: {verdict[:20]!r}", hint="good, bad or none")
    with store.transaction():
        for opinion in store.feedback.for_turn(turn.id):
            if not opinion.dismissed:
                store.feedback.dismiss(opinion.id)
        if verdict != "none":
            why = clean(form.get("why", ""), service.config.privacy.redact_personal).text
            rate(store, turn.id, verdict == "good", why, service.config)
    told = {"good": "a good answer", "bad": "an answer you found fault with"}
    return f"Noted: {told.get(verdict, 'no opinion of that answer')}."


def edit_answer(store: Store, service: Service, form: Form) -> str:
    """The answer as it should have been: a demonstration for the night."""
    text = clean(field(form, "text"), service.config.privacy.redact_personal).text
    shown.edit(store, field(form, "turn"), text)
    return "Noted: the next night learns from your answer."


def pin(store: Store, service: Service, form: Form) -> str:
    registry = Registry(store, service.home)
    adapter = registry.pin(registry.resolve(field(form, "version")))
    return f"{adapter.label} is kept for good."


def unpin(store: Store, service: Service, form: Form) -> str:
    registry = Registry(store, service.home)
    adapter = registry.pin(registry.resolve(field(form, "version")), False)
    return f"{adapter.label} may be pruned when its time comes."


def vote(store: Store, service: Service, form: Form) -> str:
    trials.vote(store, service, field(form, "trial"), field(form, "vote"))
    return "Thank you: your vote counts like a rating."


async def ask_both(service: Service, form: Form) -> tuple[str, str]:
    names = field(form, "a"), field(form, "b")
    trial = await trials.ask_both(service, field(form, "prompt"), names)
    return trials.address(trial), "Both have answered. Which is better?"


ACTIONS: dict[str, Action] = {
    "rollback": _stored(roll_back),
    "promote": _stored(promote),
    "hold": _stored(hold),
    "release": _stored(release),
    "rule-accept": _stored(accept_rule),
    "rule-retire": _stored(retire_rule),
    "rule-edit": _stored(edit_rule),
    "rule-add": _stored(add_rule),
    "exclude": _stored(exclude),
    "include": _stored(include),
    "forget": _stored(forget),
    "dismiss": _stored(dismiss),
    "meant": _stored(meant_it),
    "restore": _stored(restore),
    "judge": _stored(judge),
    "answer-edit": _stored(edit_answer),
    "pin": _stored(pin),
    "unpin": _stored(unpin),
    "vote": _stored(vote),
    "try": ask_both,
}
