"""Which walls this machine can put around a box, found out by trying. Starts no code of others.

Three walls, the first that stands is used, for root as for an ordinary user. All with seccomp:

- bubblewrap, where it is installed and works: a root of its own, in memory;
- the kernel's namespaces with its Landlock: files read-only by mounts, an own folder in memory;
- Landlock alone (Linux 6.2), where namespaces are not given: seccomp refuses more, see `MEANS`.

A wall stands whole or not at all, and where none does nothing is run.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from align_agent.errors import AlignAgentError

Wall = Literal["bubblewrap", "namespaces", "landlock"]
WALLS: tuple[Wall, ...] = ("bubblewrap", "namespaces", "landlock")
# What each word of a level says, for people. Those with "no" cost what may be missed.
MEANS = {
    "bubblewrap": "sees the system's programs and an own folder alone",
    "namespaces": "files read-only, its own folder in memory, no process of others in sight",
    "landlock": "reads the system's programs, writes in its own folder alone",
    "seccomp": "no sockets, no looking into processes",
    "no chmod": "modes, owners and dates of files cannot be changed, not even in its own folder",
    "no signals": "signals reach its own first process and its whole group alone",
}
INNER, ROLES = (Path(__file__).with_name(name) for name in ("inner.py", "roles.py"))
BOX = "/box"  # where the empty folder is inside bubblewrap
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/alternatives", "/etc/ld.so.cache")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
# Root needs no user namespace, but must be able to become somebody else within.
_AS_ROOT = (
    "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
    "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID",
)  # fmt: skip
UIDS = range(2_000_000, 2_900_000)  # far from any person or service
PREFIX = "align-box-"  # of a box's folder; the number of its process follows


class SandboxUnavailable(AlignAgentError):
    """This machine cannot put a wall around code that it runs."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What code in a box may use. `seconds` of wall time are counted from the
    moment at which the box stands."""

    memory: int = 1 << 30  # bytes of address space of one process
    file: int = 16 << 20  # bytes of one file
    room: int = 64 << 20  # bytes of all files (bubblewrap, namespaces)
    output: int = 1 << 20  # bytes of what it prints
    processes: int = 16  # threads included
    cpu: int = 10  # seconds of one process
    seconds: float = 10.0

    def inner(self) -> dict[str, int]:
        """Those that the box sets for itself."""
        return {
            "memory": self.memory,
            "file": self.file,
            "room": self.room,
            "processes": self.processes,
            "cpu": self.cpu,
        }


def python() -> str:
    """The interpreter itself: a virtual environment's is a link into a folder that is not shown."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def readable() -> list[str]:
    """What a box may read: the system's programs and the interpreter's installation. Raises
    SandboxUnavailable when that is a folder with the home in it."""
    prefix = str(Path(python()).parents[1])
    if _home().is_relative_to(prefix):
        raise SandboxUnavailable(
            f"code cannot be run safely with {python()}: it may read {prefix} and so your home",
            hint="use a Python in a folder of its own, such as one of uv, pyenv or the system",
        )
    inside = any(prefix == path or prefix.startswith(path + "/") for path in _SYSTEM)
    return [path for path in _SYSTEM if Path(path).exists()] + ([] if inside else [prefix])


def _home() -> Path:
    try:
        return Path.home().resolve()
    except RuntimeError:  # a user without an entry and without HOME
        return Path("/nonexistent")


def command(wall: Wall, limits: Limits) -> list[str]:
    """The command line that starts `inner.py` behind a wall."""
    inner = [python(), "-I", "-S", "-B", "-c", INNER.read_text(encoding="utf-8")]
    if wall != "bubblewrap":
        return inner
    shown: list[str] = []
    for path in readable():
        for parent in reversed(Path(path).parents[:-1]):
            shown += ["--perms", "0755", "--dir", str(parent)]
        if Path(path).is_symlink():
            shown += ["--symlink", str(Path(path).readlink()), path]
        else:
            shown += ["--ro-bind", path, path]
    apart = _AS_ROOT if os.geteuid() == 0 else ("--unshare-all", "--cap-drop", "ALL")
    return [
        shutil.which("bwrap") or "bwrap", *apart,
        "--die-with-parent", "--new-session", "--clearenv", *shown,
        "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev",
        "--perms", "0777", "--size", str(limits.room), "--tmpfs", BOX,
        "--chdir", BOX, "--remount-ro", "/",
        *(part for name, value in environment(BOX).items() for part in ("--setenv", name, value)),
        "--", *inner,
    ]  # fmt: skip


def environment(folder: str) -> dict[str, str]:
    """All that a box finds in its environment."""
    return {"HOME": folder, "TMPDIR": folder, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def other_user() -> int | None:
    """A user of its own for one box, where we are root and may become anybody; else None.

    Limits on processes do not bind root, and nobody else's files may be touched.
    """
    return random.SystemRandom().choice(UIDS) if os.geteuid() == 0 else None


@cache
def wall() -> tuple[Wall, str]:
    """The wall in use and all that holds, such as "bubblewrap + seccomp". Raises
    SandboxUnavailable."""
    reasons = []
    for name in WALLS:
        if name == "bubblewrap" and shutil.which("bwrap") is None:
            reasons.append("bubblewrap is not installed")
            continue
        try:
            return name, " + ".join(probe(name))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reasons.append(f"{name}: {error}")
    raise SandboxUnavailable(
        "code cannot be run safely on this machine: " + "; ".join(reasons),
        hint="install bubblewrap (`apt install bubblewrap`), or use Linux 6.2 or newer",
    )


def told(level: str) -> str:
    """A level with what its wall does, and what cannot be done behind it."""
    wall, *more = level.split(" + ")
    return "; ".join([f"{level}: {MEANS[wall]}", *(MEANS[w] for w in more if w.startswith("no "))])


def order_of(wall: Wall, limits: Limits, folder: str, uid: int | None, **more: Any) -> bytes:
    """The first line that a box reads."""
    order = {
        "wall": wall,
        "limits": limits.inner(),
        "uid": uid,
        "parent": os.getpid(),
        "readable": [*readable(), *_DEVICES],
        "writable": folder,
        "roles": ROLES.read_text(encoding="utf-8"),
        **more,
    }
    return json.dumps(order).encode() + b"\n"


def probe(name: Wall) -> list[str]:
    """Start a box that does nothing, and hear what holds in it. Raises OSError and ValueError when
    the wall does not stand whole."""
    limits = Limits(seconds=60.0)
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder:
        uid = other_user()
        if uid is not None:
            os.chown(folder, uid, uid)
        done = subprocess.run(
            command(name, limits),
            input=order_of(name, limits, folder, uid, role="command", command="exit 0"),
            capture_output=True,
            cwd=folder,
            env=environment(folder),
            start_new_session=True,
            timeout=limits.seconds,
            check=False,
        )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(said[-1] if said else f"exit code {done.returncode}")
    return list(json.loads(done.stdout.splitlines()[0])["held"])
