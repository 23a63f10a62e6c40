"""What runs first inside the box: it locks the door behind itself, then does what it was sent for.

Started as `python -I -S -c <this text>`, so it needs the standard library alone and nothing of
align-agent. Reads one line of JSON from standard input; the roles are at the end. Chooses no
limits.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import platform
import resource
import struct
import sys
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 8, 38, 22
_CAP_DAC_READ_SEARCH = 2
_NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
# Calls that are refused with EPERM: (x86_64, aarch64). Leaving the process group is among them, so
# that one signal reaches every child; so are sockets, tracing, and everything that makes a world.
_REFUSED = {
    "socket": (41, 198), "ptrace": (101, 117), "setsid": (112, 157), "setpgid": (109, 154),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "unshare": (272, 97),
    "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "kexec_load": (246, 104), "init_module": (175, 105), "finit_module": (313, 273),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "memfd_create": (319, 279),
}  # fmt: skip
_CLONE3 = 435  # its flags cannot be looked at; with ENOSYS the C library falls back to clone
_ARCHES = {"x86_64": (0xC000003E, 0, 56), "aarch64": (0xC00000B7, 1, 220)}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def limit(limits: dict[str, int]) -> None:
    """Hard limits on this process and its children: bytes of memory and of a file, seconds of CPU,
    processes, open files. No core dumps."""
    for name, value in (
        ("RLIMIT_AS", limits["memory"]),
        ("RLIMIT_FSIZE", limits["file"]),
        ("RLIMIT_CPU", limits["cpu"]),
        ("RLIMIT_NPROC", limits["processes"]),
        ("RLIMIT_NOFILE", 64),
        ("RLIMIT_CORE", 0),
    ):
        resource.setrlimit(getattr(resource, name), (value, value))


def become(uid: int, keep_reading: bool) -> None:
    """Another user, for good. Root starts boxes so: no limit on processes binds root.

    `keep_reading` keeps the one right to pass through private folders, where the interpreter may
    lie; Landlock says what may be read.
    """
    _check(_libc.prctl(_PR_SET_KEEPCAPS, int(keep_reading), 0, 0, 0), "keep capabilities")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    rights = 1 << _CAP_DAC_READ_SEARCH if keep_reading else 0
    header = struct.pack("=Ii", 0x20080522, 0)
    _check(_libc.capset(header, struct.pack("=IIIIII", rights, rights, 0, 0, 0, 0)), "capset")


def leave_the_network(root: bool) -> bool:
    """Network, IPC and process namespaces of its own, where the kernel allows them. The caller
    goes on as process 1 of them, whose end is the end of all others."""
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_NEWNET | _NEWIPC | _NEWPID | (0 if root else _NEWUSER)):
        return False
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        if not root:
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
                file.write(text)
    child = os.fork()
    if child:
        os.close(0)
        os.close(1)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        os._exit(128 - code if code < 0 else code)  # a signal as a shell tells it
    return True


def landlock(readable: list[str], writable: str) -> bool:
    """Files: read and run what is under `readable`, write under `writable`, nothing else. Where
    the kernel can, no signals and no abstract sockets to the outside. False without Landlock."""
    version = _libc.syscall(444, None, 0, 1)
    if version < 1:
        return False
    everything = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    scoped = 3 if version >= 6 else 0
    attributes = struct.pack("=QQQ", everything, 3 if version >= 4 else 0, scoped)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _check(_libc.syscall(444, attributes, size, 0), "landlock_create_ruleset")
    read = 1 | 4 | 8  # execute, read a file, read a folder
    for path in (*readable, writable):
        if not os.path.exists(path):  # noqa: PTH110
            continue
        folder = os.path.isdir(path)  # noqa: PTH112
        allowed = everything if path == writable else read if folder else 5
        if path in ("/dev/null", "/dev/zero", "/dev/urandom"):
            allowed = 2 | 4
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", allowed, fd)
        _check(_libc.syscall(445, ruleset, 1, rule, 0), f"landlock_add_rule {path}")
        os.close(fd)
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _check(_libc.syscall(446, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)
    return True


def seccomp() -> bool:
    """Refuse the calls of `_REFUSED` from now on. False on an architecture that is not known."""
    known = _ARCHES.get(platform.machine())
    if known is None:
        return False
    arch, column, clone = known
    program: list[tuple[int, int, int, int]] = [
        (0x20, 0, 0, 4),  # load the architecture
        (0x15, 1, 0, arch),
        (0x06, 0, 0, 0x80000000),  # another one: kill
        (0x20, 0, 0, 0),  # load the call's number
        (0x35, 0, 1, 0x40000000),  # x86's x32 calls
        (0x06, 0, 0, 0x00050001),
        (0x15, 0, 1, _CLONE3),
        (0x06, 0, 0, 0x00050026),
    ]
    for numbers in _REFUSED.values():
        program += [(0x15, 0, 1, numbers[column]), (0x06, 0, 0, 0x00050001)]
    program += [
        (0x15, 0, 3, clone),
        (0x20, 0, 0, 16),  # clone's flags
        (0x45, 0, 1, _NEWUSER),
        (0x06, 0, 0, 0x00050001),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    held = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(held))
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _check(_libc.prctl(_PR_SET_SECCOMP, 2, filter_, 0, 0), "seccomp")
    return True


def lock(order: dict[str, Any]) -> list[str]:
    """Every lock that was ordered. Returns those that hold."""
    _libc.prctl(_PR_SET_PDEATHSIG, 9)
    held = []
    uid = order["uid"]
    if order["wall"] == "bubblewrap":
        if uid is not None:
            become(uid, keep_reading=False)
        held.append("bubblewrap")
    else:
        if leave_the_network(root=uid is not None):
            held.append("namespaces")
        if uid is not None:
            become(uid, keep_reading=True)
        if landlock(order["readable"], order["writable"]):
            held.append("landlock")
    _libc.prctl(_PR_SET_PDEATHSIG, 9)  # once more: another user begins without it
    limit(order["limits"])
    if seccomp():
        held.append("seccomp")
    return held


# ------------------------------------------------------------------------------------- the roles


def plain(value: Any, depth: int = 0) -> Any:
    """A value as tagged JSON. Plain data only: objects with an `__eq__` of their own never leave.
    Raises TypeError."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return ["int", str(value)] if kind is int and abs(value) >= 2**63 else value
    if kind is float:
        return ["float", value.hex()]
    if kind is complex:
        return ["complex", value.real.hex(), value.imag.hex()]
    if kind in (bytes, bytearray):
        return ["bytes", value.hex()]
    if depth > 40:
        raise TypeError("the value is nested too deeply, or holds itself")
    if kind in (list, tuple):
        return [kind.__name__, [plain(item, depth + 1) for item in value]]
    if kind in (set, frozenset):
        return [kind.__name__, [plain(item, depth + 1) for item in value]]
    if kind is dict:
        return ["dict", [[plain(k, depth + 1), plain(v, depth + 1)] for k, v in value.items()]]
    if kind is range:
        return ["range", [value.start, value.stop, value.step]]
    raise TypeError(f"a {kind.__name__} is no plain data")


def real(data: Any) -> Any:
    """The reverse of `plain`. Raises ValueError."""
    if not isinstance(data, list):
        return data
    kind, *rest = data
    if kind == "int":
        return int(rest[0])
    if kind == "float":
        return float.fromhex(rest[0])
    if kind == "complex":
        return complex(float.fromhex(rest[0]), float.fromhex(rest[1]))
    if kind == "bytes":
        return bytes.fromhex(rest[0])
    if kind == "range":
        return range(*rest[0])
    if kind == "dict":
        return {real(k): real(v) for k, v in rest[0]}
    makers: dict[str, Callable[[Any], Any]] = {
        "list": list, "tuple": tuple, "set": set, "frozenset": frozenset,
    }  # fmt: skip
    return makers[kind](real(item) for item in rest[0])


def wrong(error: BaseException) -> str:
    """An exception in one line, with the line of the source where it happened."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "answer"]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}"[:400] + where


def serve_solution(order: dict[str, Any], ask: Any, tell: Any) -> None:
    """Load the source once, then call its functions as asked: one line in, one line out."""
    space: dict[str, Any] = {"__name__": "answer", "__builtins__": __builtins__}
    try:
        exec(compile(order["source"], "answer", "exec"), space)  # noqa: S102
        tell({"ready": True})
    except BaseException as error:
        tell({"error": wrong(error)})
        return
    for line in ask:
        wanted = json.loads(line)
        try:
            target: Any = SimpleNamespace(**space)
            for part in wanted["name"].split("."):
                target = getattr(target, part)
                target = target() if isinstance(target, type) else target
            tell({"value": plain(target(*real(wanted["args"]), **real(wanted["kwargs"])))})
        except BaseException as error:
            tell({"error": wrong(error)})


class SolutionError(Exception):
    """What the tested code raised, or that it ended, hung or gave back no plain data."""


def run_tests(order: dict[str, Any], ask: Any, tell: Any) -> None:
    """The problem's own tests. The tested code is in another box; only plain values come back."""

    def call(name: str, *args: Any, **kwargs: Any) -> Any:
        tell({"call": {"name": name, "args": plain(args), "kwargs": plain(kwargs)}})
        answer = json.loads(next(iter(ask)))
        if "error" in answer:
            raise SolutionError(answer["error"])
        return real(answer["value"])

    space: dict[str, Any] = {"__name__": "tests", "SolutionError": SolutionError, "call": call}
    try:
        exec(compile(order["source"], "tests", "exec"), space)  # noqa: S102
        found = space["verify"](order["answer"], call, **order["params"])
    except BaseException as error:
        tell({"broken": wrong(error)})
        return
    passed, said = found if isinstance(found, tuple) else (found, "")
    if not isinstance(passed, bool):
        tell({"broken": f"verify gave back {passed!r:.80}, not True or False"})
        return
    told = [said] if isinstance(said, str) else list(said)
    tell({"verdict": {"passed": passed, "feedback": [str(part)[:4000] for part in told]}})


def main() -> None:
    order = json.loads(sys.stdin.buffer.readline())
    out = os.dup(1)
    held = lock(order)
    for name, text in order.get("files", {}).items():
        with open(name, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
    os.write(out, json.dumps({"held": held}).encode() + b"\n")
    role = order["role"]
    if role == "command":
        os.dup2(1, 2)
        os.close(out)
        os.execv("/bin/sh", ["/bin/sh", "-c", order["command"]])  # noqa: S606
    if role == "program":
        os.close(out)
        sys.stdin = io.TextIOWrapper(io.BytesIO(order["stdin"].encode()), encoding="utf-8")
        exec(compile(order["source"], "answer", "exec"), {"__name__": "__main__"})  # noqa: S102
        return
    stream = os.fdopen(os.dup(0), "rb")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)

    def tell(message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(out, data) :]

    {"solution": serve_solution, "tests": run_tests}[role](order, stream, tell)


if __name__ == "__main__":
    main()
