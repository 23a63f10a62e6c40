"""Loads the versions that are about to answer before anyone asks: a promotion costs no wait."""

from __future__ import annotations

import asyncio
import logging

from align_agent.errors import NotFound
from align_agent.server.service import Service
from align_agent.server.versions import FAMILY

log = logging.getLogger(__name__)

SECONDS = 1.0
NAMES = (FAMILY, f"{FAMILY}@candidate", f"{FAMILY}@previous")


async def keep_warm(service: Service, seconds: float = SECONDS) -> None:
    """Watch what `align`, the candidate and the previous version mean, for ever.

    A version that cannot be loaded, for whatever reason, is told once; a request for it tells more.
    """
    known: dict[str, object] = {}
    while True:
        for name in NAMES:
            try:
                served = await service.ahead(name)
                if known.get(name) != served:
                    known[name] = served
                    await service.backend.warm(served)
            except NotFound:
                known.pop(name, None)
            except Exception as error:  # memory may be short now, and not tomorrow
                if known.get(name) != str(error):
                    known[name] = str(error)
                    log.warning("%s cannot be loaded ahead: %s", name, error)
        await asyncio.sleep(seconds)
