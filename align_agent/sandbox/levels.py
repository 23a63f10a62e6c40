"""Which walls this machine can put around a box, found out by trying. Starts no code of others.

Two walls: bubblewrap, where it is installed and works (a root of its own, in memory), else the
kernel's Landlock with namespaces where an ordinary user may have them. Both with seccomp. Where
neither works nothing is run at all.
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

Wall = Literal["bubblewrap", "landlock"]
INNER = Path(__file__).with_name("inner.py")
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
    room: int = 64 << 20  # bytes of all files (bubblewrap)
    output: int = 1 << 20  # bytes of what it prints
    processes: int = 16  # threads included
    cpu: int = 10  # seconds of one process
    seconds: float = 10.0

    def inner(self) -> dict[str, int]:
        """Those that the box sets for itself."""
        return {
            "memory": self.memory,
            "file": self.file,
            "processes": self.processes,
            "cpu": self.cpu,
        }


def python() -> str:
    """The interpreter itself: a virtual environment's is a link into a folder that is not shown."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def readable() -> list[str]:
    """What a box may read: the system's programs and the interpreter's installation."""
    prefix = str(Path(python()).parents[1])
    inside = any(prefix == path or prefix.startswith(path + "/") for path in _SYSTEM)
    return [path for path in _SYSTEM if Path(path).exists()] + ([] if inside else [prefix])


def command(wall: Wall, limits: Limits) -> list[str]:
    """The command line that starts `inner.py` behind a wall."""
    inner = [python(), "-I", "-S", "-B", "-c", INNER.read_text(encoding="utf-8")]
    if wall == "landlock":
        return inner
    shown: list[str] = []
    for path in readable():
        for parent in reversed(Path(path).parents[:-1]):
            shown += ["--perms", "0755", "--dir", str(parent)]
        if Path(path).is_symlink():
            shown += ["--symlink", str(Path(path).readlink()), path]
        else:
            shown += ["--ro-bind", path, path]
    return [
        "bwrap", *(_AS_ROOT if os.geteuid() == 0 else ("--unshare-all", "--cap-drop", "ALL")),
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
    tried: tuple[Wall, ...] = ("bubblewrap", "landlock")
    for name in tried:
        if name == "bubblewrap" and shutil.which("bwrap") is None:
            reasons.append("bubblewrap is not installed")
            continue
        try:
            held = probe(name)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reasons.append(f"{name}: {error}")
            continue
        if "seccomp" in held and (name in held):
            return name, " + ".join(held)
        reasons.append(f"{name}: only {', '.join(held) or 'nothing'} holds")
    raise SandboxUnavailable(
        "code cannot be run safely on this machine: " + "; ".join(reasons),
        hint="install bubblewrap (`apt install bubblewrap`), or use Linux 5.13 or newer",
    )


def order_of(wall: Wall, limits: Limits, folder: str, uid: int | None, **more: Any) -> bytes:
    """The first line that a box reads."""
    order = {
        "wall": wall,
        "limits": limits.inner(),
        "uid": uid,
        "readable": [*readable(), *_DEVICES],
        "writable": folder,
        **more,
    }
    return json.dumps(order).encode() + b"\n"


def probe(name: Wall) -> list[str]:
    """Start a box that does nothing, and hear what holds in it. Raises OSError, ValueError."""
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
            timeout=limits.seconds,
            check=False,
        )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(said[-1] if said else f"exit code {done.returncode}")
    return list(json.loads(done.stdout.splitlines()[0])["held"])
