"""Whether OpenClaw and we are fit to talk to each other. Reads only; asks our own address alone."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from align_agent.checkup import Finding
from align_agent.errors import AlignAgentError
from align_agent.openclaw.edit import PROVIDER, Entry
from align_agent.openclaw.install import installed, read_config
from align_agent.openclaw.places import PLUGIN, plugin_folder, plugin_source
from align_agent.paths import Home

INSTALL = "align-agent openclaw install"
_SECONDS = 3.0


def examine(home: Home, path: Path, entry: Entry) -> list[Finding]:
    """Everything that the two need, in the order in which it is to be mended."""
    try:
        data = read_config(path)
    except AlignAgentError as error:
        return [Finding("configuration", "fail", error.message, error.hint)]
    findings = [Finding("configuration", "ok", str(path))]
    findings += [_provider(data, entry), _default(data, entry), *_plugin(home, data)]
    if not installed(home, path):
        note = "not put in by us: uninstall will not know it"
        findings.append(Finding("installed", "warn", note, INSTALL))
    return [*findings, _server(entry)]


def _provider(data: dict[str, Any], entry: Entry) -> Finding:
    provider = _at(data, "models", "providers", PROVIDER)
    if not isinstance(provider, dict):
        return Finding("provider", "fail", f"models.providers.{PROVIDER} is missing", INSTALL)
    base = str(provider.get("baseUrl", ""))
    if base != f"{entry.base}/v1":
        message = f"it asks {base}, but `align-agent serve` listens on {entry.base}"
        return Finding("provider", "fail", message, INSTALL)
    if entry.key and provider.get("apiKey") != entry.key:
        return Finding("provider", "fail", "its apiKey is not server.token", INSTALL)
    return Finding("provider", "ok", base)


def _default(data: dict[str, Any], entry: Entry) -> Finding:
    value = _at(data, "agents", "defaults", "model")
    named = value.get("primary") if isinstance(value, dict) else value
    if isinstance(named, str) and named.startswith(f"{PROVIDER}/"):
        return Finding("default model", "ok", named)
    message = f"{named or 'OpenClaw’s own choice'} answers, unless {entry.reference} is chosen"
    return Finding("default model", "warn", message, f"/model {entry.reference} in a chat")


def _plugin(home: Home, data: dict[str, Any]) -> Iterator[Finding]:
    paths = _at(data, "plugins", "load", "paths")
    folder = plugin_folder(home)
    if not isinstance(paths, list) or str(folder) not in paths:
        yield Finding("plugin", "fail", f"plugins.load.paths lacks {folder}", INSTALL)
        return
    try:
        ours, theirs = _text(plugin_source()), _text(folder)
    except OSError as error:
        yield Finding("plugin", "fail", f"{folder}: {error.strerror}", INSTALL)
        return
    if ours != theirs:
        yield Finding("plugin", "warn", "it is of another version than align-agent", INSTALL)
    entry = _at(data, "plugins", "entries", PLUGIN)
    allowed = _at(data, "plugins", "allow")
    if not isinstance(entry, dict) or entry.get("enabled") is False:
        yield Finding("plugin", "fail", "it is not enabled", INSTALL)
    elif isinstance(allowed, list) and PLUGIN not in allowed:
        yield Finding("plugin", "fail", "plugins.allow leaves it out", INSTALL)
    elif _at(entry, "hooks", "allowConversationAccess") is not True:
        yield Finding(
            "plugin", "fail", "without hooks.allowConversationAccess it hears nothing", INSTALL
        )
    else:
        yield Finding("plugin", "ok", str(folder))


def _text(folder: Path) -> dict[str, bytes]:
    names = [
        "index.js",
        "openclaw.plugin.json",
        *(f"lib/{p.name}" for p in (folder / "lib").iterdir()),
    ]
    return {name: (folder / name).read_bytes() for name in sorted(names)}


def _server(entry: Entry) -> Finding:
    host = entry.base.removeprefix("http://")
    cure = "start it: align-agent serve"
    connection = http.client.HTTPConnection(host, timeout=_SECONDS)
    try:
        headers = {"authorization": f"Bearer {entry.key}"} if entry.key else {}
        connection.request("GET", "/v1/align/status", headers=headers)
        answer = connection.getresponse()
        body = answer.read(100_000)
        if answer.status != 200:
            return Finding("server", "fail", f"it answers with {answer.status}", "see server.token")
        return Finding("server", "ok", f"{json.loads(body)['serving']} answers on {host}")
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        return Finding("server", "fail", f"nobody answers on {host} ({type(error).__name__})", cure)
    finally:
        connection.close()


def _at(data: Any, *place: str) -> Any:
    for name in place:
        data = data.get(name) if isinstance(data, dict) else None
    return data
