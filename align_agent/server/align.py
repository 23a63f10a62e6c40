"""`/v1/align`: what a client tells about its turns, and what it may ask of us.

Used by OpenClaw's plugin, and by anyone who likes. Under the same access rules as the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request

from align_agent import __version__
from align_agent.adapters.registry import Registry
from align_agent.capture.arrivals import arrivals
from align_agent.capture.redact import redact
from align_agent.credit import of_turn
from align_agent.errors import InputError, NotFound, NotOwner, Unsupported
from align_agent.explain import explain
from align_agent.feedback.owner import is_own
from align_agent.feedback.profile import Profile
from align_agent.feedback.signals import rate as note_rating
from align_agent.night.lock import as_it_is
from align_agent.privacy.forget import forget as forget_for_good
from align_agent.privacy.wanted import Wanted
from align_agent.records import Feedback, Turn, version_label
from align_agent.server.backend import Local
from align_agent.server.events import (
    Event,
    Events,
    Rated,
    Rating,
    Rollback,
    Sent,
    Session,
    Which,
)
from align_agent.server.service import Service
from align_agent.server.told import find_turn, take_answer, take_message
from align_agent.store import Store

T = TypeVar("T")

CREDIT_SECONDS = 30.0  # from the request on, waiting for another's included

router = APIRouter(prefix="/v1/align")


@router.post("/events")
async def events(batch: Events, request: Request) -> dict[str, int]:
    """Take in a batch. `known` came before, `unmatched` are about turns that are not ours."""
    service = _service(request)
    counts = await _consult(service, lambda store: _take_all(store, service, batch))
    service.counts.update({f"events_{name}": number for name, number in counts.items()})
    return {name: counts[name] for name in ("accepted", "known", "unmatched")}


@router.post("/rate")
async def rate(wanted: Rating, request: Request) -> dict[str, Any]:
    """Rate an answer; a later rating of the same answer replaces it. Somebody else's is refused."""
    service = _service(request)

    def work(store: Store) -> dict[str, Any]:
        turn = find_turn(store, wanted, service.scribe.turn_of)
        shown = {"turn": turn.id, "user": _short(turn.user_text), "answer": _short(turn.answer)}
        if not _may_rate(store, service, turn, wanted):
            raise NotOwner(
                "only the owner's ratings count in a shared conversation",
                hint="name yourself in feedback.owners of config.yaml (such as telegram:777), "
                "or rate in the dashboard",
            )
        with store.transaction():
            known = bool(wanted.id) and not store.links.first(wanted.id)
            if not known:
                _rate(store, service, turn, wanted)
        return {**shown, "verdict": wanted.verdict, "known": known}

    return await _consult(service, work)


def _may_rate(store: Store, service: Service, turn: Turn, told: Rating | Rated) -> bool:
    owners = service.config.feedback.owners
    return is_own(store, turn.conversation_id, told.sender, told.channel, owners)


def _rate(store: Store, service: Service, turn: Turn, told: Rating | Rated) -> None:
    why = redact(told.why, service.config.privacy.redact_personal).text
    note_rating(store, turn.id, told.verdict == "up", why, service.config)


@router.get("/status")
async def status(request: Request) -> dict[str, Any]:
    """What answers, what was learned, and whether anything was lost."""
    service = _service(request)

    def work(store: Store) -> dict[str, Any]:
        registry = Registry(store, service.home)
        night = as_it_is(store.runs.latest("night"), service.home)
        serves, fallback = registry.served()
        arrived = arrivals(store)
        corrected = store.turns.count_corrected(service.config.feedback.min_confidence)
        return {
            "align_agent": __version__,
            "base": service.config.model.base,
            "serving": version_label(serves),
            "fallback": fallback,
            "held": registry.held(),
            "turns": {
                "total": store.turns.count(),
                "corrected": corrected,
            },
            "alarm": arrived.told() if arrived.alarming else "",
            "feedback": store.feedback.count(),
            "rules": Counter(rule.status for rule in store.rules.list()),
            "last_night": night and {"status": night.status, "reason": night.reason},
            "lost": {k: v for k, v in service.scribe.recorder.stats.items() if k in _LOST and v},
        }

    return await _consult(service, work)


_LOST = ("dropped", "failed", "unread")


@router.get("/why")
async def why(
    request: Request, session: str = "", response: str = "", turn: str = "", credit: bool = False
) -> dict[str, Any]:
    """Why answers are as they are: in general, and of one turn where one is named.

    With `credit`, which takes a while, also what each token of that turn's answer is to blame for.
    """
    service = _service(request)
    named = bool(session or response or turn)
    which = Which(session=session, response=response, turn=turn) if named else None
    if credit and which is None:
        raise InputError("credit is of one answer", hint="name it: session, response or turn")

    def work(store: Store) -> dict[str, Any]:
        profile = Profile(store, service.config)
        profile.sync_declared(service.config.preferences)
        night = as_it_is(store.runs.latest("night"), service.home)
        found = explain(store, Registry(store, service.home), profile, night)
        data: dict[str, Any] = {
            "serving": version_label(found.version),
            "learned_from": found.learned_from,
            "rules": [
                {
                    "text": rule.text,
                    "polarity": rule.polarity,
                    "status": rule.status,
                    "count": rule.count,
                }
                for rule, _ in found.rules
            ],
            "lines": found.lines(),
        }
        if which is not None:
            data["turn"] = _told(store, find_turn(store, which, service.scribe.turn_of))
        return data

    found = await _consult(service, work)
    if credit:
        found["credit"] = await _credit(service, found["turn"]["id"])
    return found


async def _credit(service: Service, turn_id: str) -> dict[str, Any]:
    """As the dashboard's `/credit.json` has it. Raises Unsupported, InputError, TimedOut.

    In a thread and with a store of its own: neither an answer nor the log waits for it. One at a
    time, since each takes from the answers what it computes.
    """
    if not isinstance(service.backend, Local):
        raise Unsupported(
            "another server answers here, and it cannot be asked for this",
            hint="serve without `upstream` in config.yaml",
        )
    model, until = service.backend.model, time.monotonic() + CREDIT_SECONDS

    def work() -> dict[str, Any]:
        with Store.open(service.home.database) as store:
            turn = store.turns.get(turn_id)
            over = lambda: time.monotonic() > until  # noqa: E731
            return of_turn(store, service.config, model, turn, over=over).to_dict()

    async with service.weighing:
        return await asyncio.to_thread(work)


@router.post("/rollback")
async def rollback(wanted: Rollback, request: Request) -> dict[str, Any]:
    """Let the version before the serving one answer; no night promotes until it is released."""
    service = _service(request)

    def work(store: Store) -> dict[str, Any]:
        registry = Registry(store, service.home)
        old, new = registry.rollback(why=wanted.why or "asked for over /v1/align/rollback")
        return {"old": version_label(old), "new": version_label(new), "held": registry.held()}

    return await _consult(service, work)


@router.post("/forget")
async def forget(wanted: Which, request: Request) -> dict[str, Any]:
    """Forget a turn for good: its text, what was read from it, and its place in later prompts.

    `tainted` are the versions that learned from it, which the next night replaces.
    """
    service = _service(request)

    def work(store: Store) -> dict[str, Any]:
        turn = find_turn(store, wanted, service.scribe.turn_of)
        done = forget_for_good(service.home, Wanted("turn", turn.id))
        tainted = [version_label(version) for version in done.tainted]
        return {"turn": turn.id, "forgotten": True, "tainted": tainted}

    return await _consult(service, work)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _consult(service: Service, work: Callable[[Store], T]) -> T:
    return await asyncio.wrap_future(service.scribe.consult(work))


def _take_all(store: Store, service: Service, batch: Events) -> Counter[str]:
    counts: Counter[str] = Counter()
    for event in batch.events:
        # Each for itself: what came before a fault need not come again.
        with store.transaction():
            if not store.links.first(event.id):
                counts["known"] += 1
                continue
            counts["accepted"] += 1
            counts["unmatched"] += not _take(store, service, event)
    return counts


def _take(store: Store, service: Service, event: Event) -> bool:
    if isinstance(event, Sent):
        return take_message(store, event)
    if isinstance(event, Rated):
        return _rated(store, service, event)
    if event.session_id:
        service.scribe.name_session(event.session_id, event.session)
    if isinstance(event, Session):
        return True
    personal = service.config.privacy.redact_personal
    owners = service.config.feedback.owners
    return take_answer(store, event, service.scribe.turn_of, personal, owners)


def _rated(store: Store, service: Service, event: Rated) -> bool:
    which = Which(response=event.response, run=event.run, session=event.session)
    try:
        turn = find_turn(store, which, service.scribe.turn_of)
    except NotFound:
        return False
    if _may_rate(store, service, turn, event):
        _rate(store, service, turn, event)
    return True


def _told(store: Store, turn: Turn) -> dict[str, Any]:
    opinions = store.feedback.for_turn(turn.id)
    return {
        "id": turn.id,
        "version": version_label(turn.version),
        "base": turn.base,
        "user": _short(turn.user_text),
        "answer": _short(turn.answer),
        "main": turn.main,
        "excluded": turn.excluded,
        "notes": store.links.notes(turn.id),
        "feedback": [_opinion(opinion) for opinion in opinions if not opinion.dismissed],
    }


def _opinion(opinion: Feedback) -> dict[str, Any]:
    return {
        "kind": opinion.kind,
        "polarity": opinion.polarity,
        "category": opinion.category,
        "text": _short(opinion.text),
    }


def _short(text: str, limit: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
