"""A user who complains, and what then counts."""

from __future__ import annotations

from typing import Any

from align_agent.config import Config
from align_agent.feedback.profile import Profile
from align_agent.feedback.signals import observe
from align_agent.store import Store

Say = Any


def complain(store: Store, say: Say, *texts: str, config: Config | None = None) -> None:
    for text in texts:
        say("How many apples does Tom have?")
        observe(store, say(text), config)


def in_force(profile: Profile) -> list[str]:
    return [rule.direction or rule.text for rule in profile.rules()]
