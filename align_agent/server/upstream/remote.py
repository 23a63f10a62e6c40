"""The connection to another model server: requests, their failures told, streams of events."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from align_agent.config import UpstreamConfig
from align_agent.errors import ConfigError, MissingDependency, UpstreamError
from align_agent.server.access import LOOPBACK
from align_agent.server.upstream.near import Near, Unreachable
from align_agent.server.upstream.wire import NO_ANSWER, refusal

if TYPE_CHECKING:
    import aiohttp

CONNECT_SECONDS = 10.0
SHORT_SECONDS = 10.0  # for what is no answer of a model
LOAD_SECONDS = 120.0
_IDLE_SECONDS = 4.0  # uvicorn, which vLLM runs on, closes an idle connection after 5
_MAX_LINE = 16 * 2**20


class Remote:
    """One server. Make it anywhere, use it within one event loop, close it there."""

    def __init__(self, settings: UpstreamConfig) -> None:
        """Raises ConfigError for a key that is not there, MissingDependency."""
        self.url = settings.base_url.rstrip("/")
        self.root = self.url.removesuffix("/v1")
        self._settings = settings
        self._headers = _authorization(settings)
        self._client: aiohttp.ClientSession | None = None
        self._chat = f"{self.url}/chat/completions"
        self._near = _near(self.url)
        there = urlsplit(self._chat)
        self._near_path = there.path
        self._near_headers = {
            "host": there.netloc,
            "content-type": "application/json",
            "accept": "*/*",
            "user-agent": "align-agent",
            **self._headers,
        }
        self._model = settings.model
        try:
            import aiohttp  # noqa: F401
        except ModuleNotFoundError as error:
            raise MissingDependency(
                "an upstream needs aiohttp, which is not installed",
                hint="pip install 'align-agent[serve]'",
            ) from error

    async def model(self) -> str:
        """The base model's name there. Raises UpstreamError."""
        if not self._model:
            found = await self.ask("GET", f"{self.url}/models")
            listed = found.get("data") if isinstance(found, dict) else None
            if not listed or not isinstance(listed[0], dict) or not listed[0].get("id"):
                raise UpstreamError(
                    f"{self.url}/models lists no model",
                    hint="set upstream.model in config.yaml, or correct upstream.base_url",
                )
            self._model = str(listed[0]["id"])
        return self._model

    async def ask(
        self, method: str, url: str, body: Any = None, seconds: float = SHORT_SECONDS
    ) -> Any:
        """One short request; its answer as JSON, or as text. Raises UpstreamError."""
        import aiohttp

        patience = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        facts = {} if body is None else {"json": body}
        with self._told():
            async with self._open().request(
                method, url, timeout=patience, allow_redirects=False, **facts
            ) as response:
                found = _parsed((await response.read()).decode("utf-8", "replace"))
        if response.status != 200:
            raise refusal(_status(response.status), found, response.headers)
        return found

    @asynccontextmanager
    async def stream(self, body: Any) -> AsyncIterator[AsyncIterator[str]]:
        """A chat completion as it comes: the data of its events. Raises UpstreamError.

        Leaving it ends the request there too.
        """
        import aiohttp

        # How long it may take is the caller's to say.
        waiting = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        with self._told():
            if self._near is not None:
                answer = await self._near.post(
                    self._near_path, self._near_headers, json.dumps(body).encode()
                )
                try:
                    yield await self._answered(answer.status, answer.headers, answer.chunks())
                finally:
                    self._near.done(answer)
                return
            async with await self._posted(self._chat, json=body, timeout=waiting) as response:
                chunks = response.content.iter_any()
                yield await self._answered(response.status, response.headers, chunks)

    async def _posted(self, url: str, **facts: Any) -> aiohttp.ClientResponse:
        import aiohttp

        for attempt in (1, 2):
            try:
                return await self._open().post(url, allow_redirects=False, **facts)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # Most often a kept connection that it closed as we took it: no fault of anyone's.
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        if self._near is not None:
            self._near.close()
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _open(self) -> aiohttp.ClientSession:
        if self._client is None:
            import aiohttp

            near = urlsplit(self.url).hostname in LOOPBACK
            # Many answers at once; a proxy of the environment knows no way to this machine.
            self._client = aiohttp.ClientSession(
                headers=self._headers,
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
                trust_env=not near,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._client

    def _told(self) -> _Told:
        return _Told(self.url)

    async def _answered(
        self, status: int, headers: Mapping[str, str], chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[str]:
        """The events of an answer. Raises UpstreamError for a refusal."""
        if status != 200:
            text = b"".join([chunk async for chunk in chunks]).decode("utf-8", "replace")
            raise refusal(_status(status), _parsed(text), headers)
        return self._events("json" in headers.get("content-type", ""), chunks)

    async def _events(self, whole: bool, chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
        """By lines of bytes: a text's own exotic line breaks must not cut an event in two."""
        if whole:  # it does not stream
            yield b"".join([chunk async for chunk in chunks]).decode("utf-8", "replace")
            yield "[DONE]"
            return
        rest = b""
        with self._told():
            async for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"data:"):
                        yield line[5:].strip().decode("utf-8", "replace")
                if len(rest) > _MAX_LINE:
                    raise UpstreamError(
                        "the upstream's answer has a line without end", hint=NO_ANSWER
                    )
        if rest.startswith(b"data:"):
            yield rest[5:].strip().decode("utf-8", "replace")


class _Told:
    """Turns failures of the connection into UpstreamError."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import aiohttp

        away = aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | Unreachable
        if isinstance(error, away):
            raise UpstreamError(
                f"the upstream at {self._url} cannot be reached: {str(error) or 'no answer'}",
                code="upstream_unreachable",
                hint="start it, or correct upstream.base_url in config.yaml",
            ) from error
        if isinstance(error, TimeoutError):
            raise UpstreamError(
                f"the upstream at {self._url} did not answer in time",
                status=504,
                code="upstream_timeout",
                hint="see whether it is overloaded; its own log may say why",
            ) from error
        if isinstance(error, aiohttp.ClientError | OSError):
            name = type(error).__name__
            raise UpstreamError(
                f"the upstream broke off: {str(error) or name}",
                code="upstream_broke_off",
                hint="its own log may say why; try again",
            ) from error


def _near(url: str) -> Near | None:
    """The quick way there, where it leads."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or host not in LOOPBACK:
        return None
    return Near(host, parts.port or 80, idle=_IDLE_SECONDS, patience=CONNECT_SECONDS)


def _authorization(settings: UpstreamConfig) -> dict[str, str]:
    if not settings.api_key_env:
        return {}
    key = os.environ.get(settings.api_key_env, "").strip()
    if not key:
        raise ConfigError(
            f"upstream.api_key_env names {settings.api_key_env}, which is not set",
            hint=f"export {settings.api_key_env}=..., or remove the line if no key is wanted",
        )
    return {"authorization": f"Bearer {key}"}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _status(status: int) -> int:
    """A refusal's own status; anything that is none (a redirect) is a bad gateway."""
    return status if status >= 400 else 502
