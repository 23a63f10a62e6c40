"""One prompt to two versions: asks both, keeps both answers aside, takes a blind vote.

The answers are turns of side traffic, from which nothing is learned, until a vote makes them the
user's own: then the better one was liked and the other found fault with, like any rated answer.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace
from typing import Any

from align_agent.capture.ignore import Ignore
from align_agent.capture.redact import redact
from align_agent.config.preferences import shown_rules
from align_agent.errors import InputError, NotFound
from align_agent.feedback.signals import rate
from align_agent.models.generation import Generation, Sampling
from align_agent.prompts import with_rules
from align_agent.records import Message, Turn, new_id
from align_agent.server.answers import Ask, whole
from align_agent.server.service import Service
from align_agent.server.versions import FAMILY
from align_agent.store import Store
from align_agent.web.words import link

CHANNEL = "dashboard"
KIND = "trial"
MAX_PROMPT = 4_000
SIDES = ("a", "b")


@dataclass(frozen=True, slots=True)
class Answered:
    """One version's answer."""

    version: int
    generation: Generation
    prompt: tuple[Message, ...]
    seconds: float


async def ask_both(service: Service, text: str, names: tuple[str, str]) -> str:
    """Ask both versions at once, greedily; returns the trial's id.

    Which answer stands on which side is left to chance. Raises InputError, NotFound, and what the
    engine raises.
    """
    if len(text) > MAX_PROMPT:
        raise InputError(f"the prompt has {len(text):,} characters", hint=f"at most {MAX_PROMPT:,}")
    _refuse_ignored(service, text)
    answers = list(await asyncio.gather(*(_ask(service, text, name) for name in names)))
    if answers[0].version == answers[1].version:
        raise InputError("both are the same version", hint="choose two that differ")
    random.SystemRandom().shuffle(answers)
    trial = new_id(KIND)
    await asyncio.wrap_future(
        service.scribe.consult(lambda store: _keep(store, service, trial, text, answers))
    )
    return trial


def _refuse_ignored(service: Service, text: str) -> None:
    """A trial is stored, so what must not be stored makes none."""
    asked = Turn(KIND, (Message("user", text),), (), user_text=text, answer="", channel=CHANNEL)
    if Ignore(service.config.privacy.ignore).matches(asked):
        raise InputError(
            "privacy.ignore keeps this out of the log, where both answers would be kept",
            hint="ask something else, or change privacy.ignore in config.yaml",
        )


async def _ask(service: Service, text: str, name: str) -> Answered:
    served = await service.resolve(f"{FAMILY}@{name}")
    preferences, model = service.config.preferences, service.config.model
    prompt: tuple[Message, ...] = (Message("user", text),)
    if preferences.persona:
        prompt = (Message("system", preferences.persona), *prompt)
    prompt = with_rules(prompt, shown_rules(preferences, CHANNEL))
    most = min(model.max_new_tokens, service.backend.context // 2)
    ask = Ask(prompt, (), Sampling(most, temperature=0.0, seed=model.seed), served)
    began = time.monotonic()
    # Asked of the backend itself: the service would record it as a message of a conversation.
    seconds = service.config.server.timeout_seconds
    answers = await service.backend.begin(ask, {}, seconds, lambda _: None)
    generations, _ = await whole(answers)
    return Answered(served.version, generations[0], prompt, time.monotonic() - began)


def _keep(store: Store, service: Service, trial: str, text: str, answers: list[Answered]) -> None:
    def clean(said: str) -> str:
        return redact(said, service.config.privacy.redact_personal).text

    with store.transaction():
        for side, found in zip(SIDES, answers, strict=True):
            answer = clean(found.generation.text)
            turn = Turn(
                # Apart: the second would else be read as a follow-up of the first.
                conversation_id=f"{trial}-{side}",
                prompt=tuple(replace(m, content=clean(m.content)) for m in found.prompt),
                response=(Message("assistant", answer),),
                user_text=clean(text),
                answer=answer,
                channel=CHANNEL,
                version=found.version,
                base=service.config.model.base,
                main=False,
                finish_reason=found.generation.finish_reason,
                latency_ms=found.seconds * 1000,
            )
            store.turns.add(turn)
            store.links.put(KIND, f"{trial}-{side}", turn.id)


def find(store: Store, trial: str) -> dict[str, Turn]:
    """The two answers of a trial by their side. Raises NotFound."""
    found = {side: store.links.find(KIND, f"{trial}-{side}") for side in SIDES}
    if not all(found.values()):
        raise NotFound("there is no such trial", hint="ask both versions something")
    return {side: store.turns.get(turn_id) for side, turn_id in found.items()}


def voted(store: Store, turns: dict[str, Turn]) -> str:
    """The side that was voted for, "equal", or "" before the vote."""
    notes = store.links.notes(turns["a"].id)
    return notes.get("vote", "")


def vote(store: Store, service: Service, trial: str, choice: str) -> None:
    """Take the vote, once. Raises NotFound, InputError."""
    turns = find(store, trial)
    if choice not in (*SIDES, "equal"):
        raise InputError(f"`vote` is none: {choice[:20]!r}", hint="a, b or equal")
    with store.transaction():
        if voted(store, turns):
            raise InputError("that vote was cast already", hint="ask both something else")
        store.links.note(turns["a"].id, "vote", choice)
        if choice == "equal":
            return
        for side, turn in turns.items():
            store.turns.take_up(turn.id)
            rate(store, turn.id, side == choice, config=service.config)


def address(trial: str) -> str:
    return link("/trial", {"id": trial})


def shown(store: Store, trial: str) -> dict[str, Any]:
    """The trial for a page: which version is which only after the vote."""
    turns = find(store, trial)
    choice = voted(store, turns)
    return {
        "id": trial,
        "prompt": turns["a"].user_text,
        "vote": choice,
        "answers": [
            {
                "side": side,
                "text": turn.answer,
                "version": turn.version if choice else None,
                "conversation": turn.conversation_id if choice else None,
            }
            for side, turn in turns.items()
        ],
    }
