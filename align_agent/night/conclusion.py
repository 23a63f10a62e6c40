"""How a night ends: its row, its samples and the names that move, all or nothing."""

from __future__ import annotations

from align_agent.adapters import working
from align_agent.errors import PromotionHeld
from align_agent.night import continual
from align_agent.night.context import End, Night
from align_agent.records import BASE_VERSION, now, version_label


def conclude(night: Night, end: End) -> None:
    """Write the run's end, its samples, and move the alias if it is promoted: all or nothing."""
    with night.store.transaction():
        status, reason = end.status, end.reason
        version = end.changes.get("candidate")
        if status == "skipped":
            reason += _clear_tainted(night) or _clear_unwanted(night)
        if status == "promoted" and version is not None and night.guest:
            status = "review"
            reason = (
                f"{version_label(version)} passed; it can serve once model.base names "
                f"{night.config.model.base}"
            )
        elif status == "promoted" and version is not None and (moved := _moved(night)):
            status, reason = "review", f"{version_label(version)} passed, but {moved}"
        elif status == "promoted" and version is not None:
            try:
                night.registry.promote(version, why=reason, who="night")
            except PromotionHeld as held:
                status, reason = "review", f"{version_label(version)} passed, but {held.message}"
        if status == "rejected":  # a promotion says so itself
            working.give_up(night.store, f"the night judged it: {reason}")
        for sample in night.done.get("gate", {}).get("samples", ()):
            night.store.runs.add_sample(night.run.id, **sample)
        night.update(status=status, reason=reason, finished_at=now(), **end.changes)
        night.store.events.add(f"night_{status}", reason, run=night.run.id, candidate=version)


def _moved(night: Night) -> str:
    """How the champion changed since the night began, or the empty string: what gained over the
    one of before need not be better than the one of now."""
    before, since = night.served(), night.registry.champion()
    if before == since:
        return ""
    was, now_ = version_label(before), version_label(since)
    return f"it stands beside {was}, and {now_} serves since: that is for you to decide"


def _clear_tainted(night: Night) -> str:
    """Let the base answer where the champion learned from forgotten text and nothing replaces it.

    Returns what to add to the night's reason. A hold of the user's stands.
    """
    version = night.registry.champion()
    if version == BASE_VERSION or not night.store.adapters.get(version).tainted:
        return ""
    learned = f"{version_label(version)} learned from what was forgotten"
    if held := _back_to_the_base(night, f"{version_label(version)} is tainted"):
        return f"; {learned}, but {held}"
    return f"; {learned}: the base answers in its place"


def _clear_unwanted(night: Night) -> str:
    """Let the base answer where nothing of what the champion learned is wanted any more.

    Returns what to add to the night's reason. A hold of the user's stands.
    """
    version = night.registry.champion()
    gone = night.retired()
    champion = continual.champion_of(night.store, version)
    if champion is None or not gone or night.wishes.rules or version != night.served():
        return ""
    learned = f"{version_label(version)} learned what is not wanted any more"
    if held := _back_to_the_base(night, f"{gone[0]} is retired"):
        return f"; {learned}, but {held}"
    return f"; {learned} ({gone[0]}): the base answers again"


def _back_to_the_base(night: Night, why: str) -> str:
    """Why the user's hold forbids it, or the empty string once it is done."""
    try:
        night.registry.promote(BASE_VERSION, why=why, who="night")
    except PromotionHeld as held:
        return held.message
    return ""
