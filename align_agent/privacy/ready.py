"""What has to be gone before a night begins, whoever starts it: what was to be forgotten, and what
was kept long enough. Starts no night."""

from __future__ import annotations

from align_agent.config import PrivacyConfig
from align_agent.night.lock import NightLock
from align_agent.paths import Home
from align_agent.privacy.forget import resume
from align_agent.privacy.retention import apply_retention


def make_ready(home: Home, privacy: PrivacyConfig) -> None:
    """Finish what a forgetting left undone, then drop what expired. Raises StoreError, NightBusy.

    While a night runs nothing is done, since that would stop it: the one that is to begin now is
    refused anyway.
    """
    if NightLock(home.night_lock).busy():
        return
    resume(home)
    apply_retention(home, privacy)
