"""Our entries into OpenClaw's file and out of it again. The file is written whole or not at all."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from align_agent.errors import InputError, UsageError
from align_agent.openclaw.edit import Before, Entry, put_in, take_out
from align_agent.paths import Home, write_whole


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the file. `exact`: the very bytes of before the installation."""

    path: Path
    before: bytes
    after: bytes
    exact: bool = False

    @property
    def differs(self) -> bool:
        return self.before != self.after

    def lines(self, secret: str = "") -> list[str]:
        """What changes, without a line around it: neighbours may hold other secrets."""
        old, new = (_shown(data).splitlines() for data in (self.before, self.after))
        name = self.path.name
        shown = difflib.unified_diff(old, new, name, name, n=0, lineterm="")
        return [line.replace(secret, "***") if secret else line for line in shown]


def plan_install(path: Path, entry: Entry) -> tuple[Change, list[Before]]:
    """What installing would do. Raises InputError for a file that we could only spoil."""
    before = _bytes(path)
    data = _parsed(path, before)
    edited = put_in(data, entry)
    after = before if edited.data == data else _written(edited.data, before)
    return Change(path, before, after), edited.before


def install(home: Home, path: Path, entry: Entry) -> Change:
    """Put our entries in; the file of before is kept. Doing it twice changes nothing more."""
    change, before = plan_install(path, entry)
    record = _record(home, path)
    known = record / "installed.json"
    if change.differs or not known.exists():
        record.mkdir(parents=True, exist_ok=True, mode=0o700)
        earlier = _load(known) if known.exists() else None
        if earlier is None:
            write_whole(record / "openclaw.json.before", change.before)
            undo = before
        else:  # an upgrade of ours: the way back leads to before the first
            undo = _befores(earlier)
            undone = {item.place for item in undo}
            undo += [item for item in before if item.place not in undone]
        data = {
            "path": str(path),
            "sha256": hashlib.sha256(change.after).hexdigest(),
            "untouched": earlier is None or _sha(change.before) == earlier["sha256"],
            "before": [asdict(item) for item in undo],
        }
        write_whole(known, json.dumps(data, indent=2).encode())
    if change.differs:
        write_whole(path.resolve(), change.after, path.stat().st_mode & 0o777)
    return change


def plan_uninstall(home: Home, path: Path) -> Change:
    """What uninstalling would do. Raises UsageError when nothing of ours was put in."""
    record = _record(home, path)
    if not (record / "installed.json").exists():
        raise UsageError(
            f"nothing of ours was put into {path}", hint="`align-agent openclaw install` does that"
        )
    known = _load(record / "installed.json")
    before = _bytes(path)
    kept = record / "openclaw.json.before"
    if known["untouched"] and _sha(before) == known["sha256"] and kept.exists():
        return Change(path, before, _bytes(kept), exact=True)
    data = _parsed(path, before)
    left = take_out(data, _befores(known))
    return Change(path, before, before if left == data else _written(left, before))


def uninstall(home: Home, path: Path) -> Change:
    """Take our entries out. Raises what `plan_uninstall` raises."""
    change = plan_uninstall(home, path)
    if change.differs:
        write_whole(path.resolve(), change.after, path.stat().st_mode & 0o777)
    record = _record(home, path)
    for name in ("installed.json", "openclaw.json.before"):
        (record / name).unlink(missing_ok=True)
    record.rmdir()
    return change


def installed(home: Home, path: Path) -> bool:
    """Whether our entries were put into this file."""
    return (_record(home, path) / "installed.json").exists()


def read_config(path: Path) -> dict[str, Any]:
    """OpenClaw's configuration. Raises InputError."""
    return _parsed(path, _bytes(path))


def _record(home: Home, path: Path) -> Path:
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    return home.root / "openclaw" / f"config-{digest}"


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(
            f"{path} is no plain JSON{where}: with comments or other JSON5 in it, it cannot be "
            "changed without losing them",
            hint="put the entries in by hand: `align-agent openclaw install --print` shows them; "
            "or let OpenClaw write the file anew (`openclaw doctor --fix`)",
        ) from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object", hint="see `openclaw doctor`")
    return value


def _written(data: dict[str, Any], like: bytes) -> bytes:
    """The data as JSON, indented as the file was."""
    lines = like.decode("utf-8-sig").splitlines()
    inside = next((line for line in lines[1:] if line.strip()), "  ")
    indent = inside[: len(inside) - len(inside.lstrip())] or "  "
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    return (text + ("\n" if like.endswith(b"\n") else "")).encode()


def _shown(data: bytes) -> str:
    """One value a line, however the file is written: a difference in spaces is none."""
    return json.dumps(json.loads(data.decode("utf-8-sig")), indent=2, ensure_ascii=False)


def _befores(record: dict[str, Any]) -> list[Before]:
    return [Before(tuple(i["place"]), i["had"], i["value"]) for i in record["before"]]


def _load(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(_bytes(path))
    except ValueError as error:
        raise InputError(f"{path} is damaged", hint="remove our entries by hand") from error
    return data


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", hint="see who owns it"
        ) from error
