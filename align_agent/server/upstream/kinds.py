"""How each kind of server is told which version answers: by a name, or by a field of the request.

A promotion changes nothing there. Each request names the version that our registry gives it, and
a version is made ready when it is first asked for.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from align_agent.adapters.files import manifest_digest, names_version
from align_agent.config import UpstreamConfig
from align_agent.errors import UpstreamError
from align_agent.server.upstream.remote import LOAD_SECONDS, Remote
from align_agent.server.versions import Served

log = logging.getLogger(__name__)

LISTED_SECONDS = 5.0


class Kind:
    """A server that takes no adapters: its model is the base."""

    cure = "this kind of upstream takes no adapters: ask for align@base, or see docs/upstream.md"

    def __init__(self, remote: Remote, settings: UpstreamConfig) -> None:
        self.remote, self.settings = remote, settings

    async def has(self, served: Served) -> bool:
        """Whether the version can answer there. Raises UpstreamError."""
        return served.adapter is None

    @asynccontextmanager
    async def lease(self, served: Served) -> AsyncIterator[dict[str, Any]]:
        """The fields of a request that choose the version, which stays ready until this ends.

        Raises UpstreamError.
        """
        yield {"model": await self.remote.model()}

    def forget(self, served: Served, error: UpstreamError) -> bool:
        """Whether a refusal means that the version is not there any more: worth another try."""
        return False


class Loading(Kind):
    """vLLM: an adapter is loaded under a name, and asked for by it.

    A name stands for one content for ever, because a server may keep what it computed under it:
    version and digest are in it. What has not been asked for longest is unloaded, once no answer
    is being written with it.
    """

    _load, _unload = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
    _hint = "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"

    def __init__(self, remote: Remote, settings: UpstreamConfig) -> None:
        super().__init__(remote, settings)
        self._names: OrderedDict[str, None] = OrderedDict()  # loaded, the latest used last
        self._used: Counter[str] = Counter()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def has(self, served: Served) -> bool:
        return True

    @asynccontextmanager
    async def lease(self, served: Served) -> AsyncIterator[dict[str, Any]]:
        if served.adapter is None:
            yield {"model": await self.remote.model()}
            return
        name = await asyncio.to_thread(name_of, served)
        async with self._lock:
            if name not in self._names:
                await self._bring(name, served.adapter)
            self._names[name] = None
            self._names.move_to_end(name)
            self._used[name] += 1
        try:
            yield {"model": await self._asked_as(name)}
        finally:
            self._used[name] -= 1
            if len(self._names) > self.settings.loaded:
                task = asyncio.create_task(self._trim())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def forget(self, served: Served, error: UpstreamError) -> bool:
        if served.adapter is None:
            return False
        name = name_of(served)
        if error.status != 404 and not (error.status == 400 and name in error.message):
            return False
        self._names.pop(name, None)  # the server was started anew
        return True

    async def _asked_as(self, name: str) -> str:
        return name

    async def _bring(self, name: str, folder: Path) -> None:
        there = self.settings.adapters.rstrip("/")
        path = f"{there}/{folder.name}" if there else str(folder.resolve())
        wanted = {"lora_name": name, "lora_path": path}
        try:
            await self.remote.ask("POST", self.remote.root + self._load, wanted, LOAD_SECONDS)
        except UpstreamError as error:
            if "already" in error.message:  # by an earlier run of ours: one name, one content
                return
            status = error.status if error.status >= 500 else 503
            message = f"{name} could not be loaded: {error.message}"
            raise UpstreamError(message, status=status, hint=error.hint or self._hint) from error
        log.info("%s was loaded into the upstream", name)

    async def _trim(self) -> None:
        async with self._lock:
            spare = len(self._names) - self.settings.loaded
            # Of the oldest alone: one that answers is waited for, not a later one unloaded for it.
            old = list(self._names)[: max(spare, 0)]
            idle = [name for name in old if not self._used[name]]
            for name in idle:
                # First out of our own list: whoever asks for it from now on has it loaded again.
                del self._names[name]
                self._used.pop(name, None)
                try:
                    url = self.remote.root + self._unload
                    await self.remote.ask("POST", url, {"lora_name": name}, LOAD_SECONDS)
                except UpstreamError as error:
                    log.warning("%s could not be unloaded: %s", name, error.message)


class Sglang(Loading):
    """SGLang: the same, under other addresses; the adapter stands behind the model's name."""

    _load, _unload = "/load_lora_adapter", "/unload_lora_adapter"
    _hint = "start SGLang with --enable-lora, and --max-lora-rank as large as distill.lora_rank"

    async def _asked_as(self, name: str) -> str:
        return f"{await self.remote.model()}:{name}"


class LlamaCpp(Kind):
    """llama.cpp: adapters are there from its start (`--lora v0003.gguf`), a field chooses one.

    Its list of adapters could be set for all requests at once, but that leaves what earlier
    requests computed with another one in its cache. The field of the request does not. It names
    every adapter: what is left out would keep the scale that the server was started with.

    It must also read each prompt anew: what it keeps of earlier prompts in its main memory does
    not know which adapter computed it, and would answer for another one (seen in 0.5.0-dev:
    23 of 58 questions). Only without that memory (`--cache-ram 0`) may it reuse anything.
    """

    cure = "start llama-server anew with --lora and the version's file, see docs/upstream.md"

    def __init__(self, remote: Remote, settings: UpstreamConfig) -> None:
        super().__init__(remote, settings)
        self._listed: tuple[float, list[tuple[int, str]]] | None = None

    async def has(self, served: Served) -> bool:
        return served.adapter is None or self._id(served, await self._adapters()) is not None

    @asynccontextmanager
    async def lease(self, served: Served) -> AsyncIterator[dict[str, Any]]:
        found = await self._adapters()
        wanted = None if served.adapter is None else self._id(served, found)
        if served.adapter is not None and wanted is None:
            raise UpstreamError(
                f"{served.name} is not loaded in the upstream", status=503, hint=self.cure
            )
        fields: dict[str, Any] = {"model": await self.remote.model()}
        if found:
            fields["lora"] = [{"id": n, "scale": 1.0 if n == wanted else 0.0} for n, _ in found]
            if not self.settings.reuse_prompts:
                fields["cache_prompt"] = False
        yield fields

    @staticmethod
    def _id(served: Served, found: list[tuple[int, str]]) -> int | None:
        for number, path in found:
            if names_version(re.split(r"[\\/]", path)[-1], served.version):
                return number
        return None

    async def _adapters(self) -> list[tuple[int, str]]:
        """(id, path) of each. Asked again now and then: it may have been started anew."""
        if self._listed is None or time.monotonic() - self._listed[0] > LISTED_SECONDS:
            told = await self.remote.ask("GET", f"{self.remote.root}/lora-adapters")
            rows = told if isinstance(told, list) else []
            found = [(int(row["id"]), str(row["path"])) for row in rows]
            self._listed = time.monotonic(), found
        return self._listed[1]


def name_of(served: Served) -> str:
    """The name of a version's content, wherever it is loaded. Raises AdapterDamaged."""
    assert served.adapter is not None
    return f"align-v{served.version:04d}-{manifest_digest(served.adapter)[:8]}"


KINDS: dict[str, type[Kind]] = {
    "openai": Kind,
    "vllm": Loading,
    "sglang": Sglang,
    "llamacpp": LlamaCpp,
}
