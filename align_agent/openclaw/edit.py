"""Our entries in OpenClaw's configuration, put in and taken out. Pure: objects in, objects out.

It touches one provider, the default model and the plugin's entries; no sandbox and no tool.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from align_agent.errors import InputError
from align_agent.openclaw.places import PLUGIN

PROVIDER = "align"
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """What OpenClaw must know of our server. `base` is without /v1."""

    base: str
    plugin: str  # the folder
    key: str = ""
    model: str = "align"
    context: int = 16_384
    max_tokens: int = 256
    as_default: bool = True

    @property
    def reference(self) -> str:
        return f"{PROVIDER}/{self.model}"


@dataclass(slots=True)
class Before:
    """What stood at a place before us. `had` is false where nothing did."""

    place: tuple[str, ...]
    had: bool
    value: Any = None


@dataclass(slots=True)
class Edited:
    """The new configuration, and how to undo it piece by piece."""

    data: Data
    before: list[Before] = field(default_factory=list)


def put_in(data: Data, entry: Entry) -> Edited:
    """The configuration with our entries. Doing it twice changes nothing more.

    Raises InputError where something stands in our way.
    """
    edited = Edited(copy.deepcopy(data))
    _set(edited, ("models", "providers", PROVIDER), _provider(entry))
    if entry.as_default:
        _default(edited, entry.reference)
    _list(edited, ("plugins", "load", "paths"), entry.plugin, made=True)
    # A list that is there shuts out all others; one that we made would shut out the user's.
    _list(edited, ("plugins", "allow"), PLUGIN, made=False)
    settings = {"url": entry.base, "provider": PROVIDER}
    if entry.key:
        settings["token"] = entry.key
    place = ("plugins", "entries", PLUGIN)
    hooks = {"allowConversationAccess": True}
    _set(edited, place, {"enabled": True, "config": settings, "hooks": hooks})
    return edited


def take_out(data: Data, before: list[Before]) -> Data:
    """The configuration without what we put in; what was changed since stays as it is."""
    left = copy.deepcopy(data)
    for earlier in reversed(before):
        parent = _find(left, earlier.place[:-1])
        if not isinstance(parent, dict):
            continue
        name = earlier.place[-1]
        ours = _is_ours(earlier.place, parent.get(name))
        if name in ("paths", "allow"):
            _without(parent, name, earlier)
        elif earlier.had and ours:
            parent[name] = earlier.value
        elif ours:
            parent.pop(name, None)
        _prune(left, earlier.place[:-1])
    return left


def _provider(entry: Entry) -> Data:
    compat = {"sendSessionAffinityHeaders": True, "supportsPromptCacheKey": True}
    model = {
        "id": entry.model,
        "name": "align-agent",
        "reasoning": False,
        "input": ["text"],
        "contextWindow": entry.context,
        "maxTokens": entry.max_tokens,
        "compat": compat,
    }
    return {
        "baseUrl": f"{entry.base}/v1",
        "apiKey": entry.key or "none",  # OpenClaw wants one, though nobody asks for it
        "api": "openai-completions",
        "timeoutSeconds": 300,
        "models": [model],
    }


def _default(edited: Edited, reference: str) -> None:
    place = ("agents", "defaults", "model")
    now = _find(edited.data, place)
    if isinstance(now, dict):
        _set(edited, (*place, "primary"), reference)
    else:
        _set(edited, place, reference if isinstance(now, str) else {"primary": reference})
    # Where the models are listed, only those on the list may be used.
    if _find(edited.data, ("agents", "defaults", "models")):
        _set(edited, ("agents", "defaults", "models", reference), {})


def _set(edited: Edited, place: tuple[str, ...], value: Any) -> None:
    parent = _room(edited.data, place[:-1])
    name = place[-1]
    if parent.get(name) == value and name in parent:
        if _is_ours(place, value):
            edited.before.append(Before(place, False))
        return
    known = _is_ours(place, parent.get(name))  # an earlier install of ours: nothing to go back to
    had = name in parent and not known
    edited.before.append(Before(place, had, copy.deepcopy(parent[name]) if had else None))
    parent[name] = value


def _list(edited: Edited, place: tuple[str, ...], value: str, *, made: bool) -> None:
    items = _find(edited.data, place)
    if items is None and not made:
        return
    if items is not None and not isinstance(items, list):
        raise InputError(f"`{'.'.join(place)}` in openclaw.json is no list", hint="correct it")
    edited.before.append(Before(place, items is not None, value))
    if items is None:
        _room(edited.data, place[:-1])[place[-1]] = [value]
    elif value not in items:
        items.append(value)


def _without(parent: Data, name: str, earlier: Before) -> None:
    items = parent.get(name)
    if not isinstance(items, list):
        return
    kept = [item for item in items if item != earlier.value]
    if kept or earlier.had:
        parent[name] = kept
    else:
        parent.pop(name)


def _is_ours(place: tuple[str, ...], value: Any) -> bool:
    """Whether a value is one that we put there, whatever its details are by now."""
    if PROVIDER in place[-1:] or PLUGIN in place[-1:]:
        return value is not None
    if place[:3] == ("agents", "defaults", "models"):
        return value is not None
    named = value.get("primary") if isinstance(value, dict) else value
    return isinstance(named, str) and named.startswith(f"{PROVIDER}/")


def _find(data: Data, place: tuple[str, ...]) -> Any:
    value: Any = data
    for name in place:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _room(data: Data, place: tuple[str, ...]) -> Data:
    for depth, name in enumerate(place):
        value = data.setdefault(name, {})
        if not isinstance(value, dict):
            where = ".".join(place[: depth + 1])
            raise InputError(f"`{where}` in openclaw.json is no object", hint="correct it")
        data = value
    return data


def _prune(data: Data, place: tuple[str, ...]) -> None:
    """Objects that nothing is left in, from the inside out."""
    for depth in range(len(place), 0, -1):
        parent = _find(data, place[: depth - 1])
        if isinstance(parent, dict) and parent.get(place[depth - 1]) == {}:
            del parent[place[depth - 1]]
