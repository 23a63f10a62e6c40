"""What runs first inside the box: it locks the door behind itself, then does what it was sent for.

Started as `python -I -S -c <this text>`, so it needs the standard library alone and nothing of
align-agent. Reads one line of JSON from standard input, which brings `roles.py` along. Chooses no
limits.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import select
import signal
import struct
import sys
from contextlib import suppress
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 8, 38, 22
_PR_SET_CHILD_SUBREAPER = 36
_CAP_DAC_READ_SEARCH = 2
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_CLONE_PARENT = 0x8000
_MS_NOSUID, _MS_NODEV, _MS_REC, _MS_PRIVATE = 2, 4, 0x4000, 0x40000
_RDONLY, _RECURSIVE, _HERE = 1, 0x8000, -100
_EPERM, _ENOSYS, _ENOTSUP = 1, 38, 95

# Calls by number: (x86_64, aarch64), -1 where there is none. What needs a right that no box has
# (the clock, swap, quotas) fails by itself and is not listed. What `io_setup` hands out, databases
# live on: the whole machine has one pool of it.
#
# Leaving the process group is refused, so that one signal reaches every child; so are sockets,
# looking into processes, and everything that makes a world. Landlock does not look at the queues
# and memory that programs of one user share, at their priority, nor at who watches a folder.
_REFUSED = {
    "setsid": (112, 157), "setpgid": (109, 154), "unshare": (272, 97), "setns": (308, 268),
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "migrate_pages": (256, 238), "move_pages": (279, 239),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "syslog": (103, 116), "modify_ldt": (154, -1),
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "fanotify_init": (300, 262), "inotify_init": (253, -1), "inotify_init1": (294, 26),
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190),
    "semctl": (66, 191), "semop": (65, 193), "semtimedop": (220, 192), "msgget": (68, 186),
    "msgctl": (71, 187), "msgsnd": (69, 189), "msgrcv": (70, 188), "mq_open": (240, 180),
    "mq_unlink": (241, 181), "io_setup": (206, 0),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setaffinity": (203, 122),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
}  # fmt: skip
# Neither read nor set: Landlock does not look at them. "Not here" is what `shutil.copy2` can take.
_ATTRIBUTES = {
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "getxattr": (191, 8),
    "lgetxattr": (192, 9), "fgetxattr": (193, 10), "listxattr": (194, 11), "llistxattr": (195, 12),
    "flistxattr": (196, 13), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
}  # fmt: skip
# Landlock does not look at these either, and a filter cannot see whose file is meant. Tests that
# copy files need them: they are refused only where no mount makes all other files read-only.
_MODES = {
    "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, -1), "fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54),
    "utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1), "utimensat": (280, 88),
}  # fmt: skip
# Refused but to the box's own first process, where neither a namespace nor Landlock bounds them.
_SIGNALS = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
}  # fmt: skip
_PRLIMIT, _SOCKETPAIR, _IOCTL, _FCNTL = (302, 261), (53, 199), (16, 29), (72, 25)
_PRCTL = (157, 167)
# Typing on a terminal, sending signals by a file's owner, and the flags that `chattr` sets.
_IOCTLS = (0x5412, 0x541C, 0x8901, 0x8902, 0x40086602, 0x401C5820)
# To whom a file sends signals (F_SETOWN, F_SETOWN_EX), what makes others wait before they write
# (F_SETLEASE), and who watches a folder (F_NOTIFY).
_FCNTLS = (8, 15, 1024, 1026)
_CLONE3 = 435  # its flags cannot be looked at; with ENOSYS the C library falls back to clone
_NEWER = 463  # the first call that was not known when this was written; C libraries fall back
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
    most = {
        "AS": limits["memory"], "FSIZE": limits["file"], "CPU": limits["cpu"],
        "NPROC": limits["processes"], "NOFILE": 64, "CORE": 0,
    }  # fmt: skip
    for name, value in most.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def threads_of(uid: int) -> int:
    """How many a user runs by now: the limit on processes counts all of them."""
    found = 0
    for name in os.listdir("/proc"):  # noqa: PTH208
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == uid:  # noqa: PTH116
                found += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
        except OSError:
            continue  # it ended meanwhile
    return found


def become(uid: int | None, keep_reading: bool) -> None:
    """Another user, for good, and without any right. Root starts boxes so: no limit on processes
    binds root. With None the user stays: one in namespaces has all rights there, until now.

    `keep_reading` keeps the one right to pass through private folders, where the interpreter may
    lie; Landlock says what may be read.
    """
    if uid is not None:
        _check(_libc.prctl(_PR_SET_KEEPCAPS, int(keep_reading), 0, 0, 0), "keep capabilities")
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    rights = 1 << _CAP_DAC_READ_SEARCH if keep_reading else 0
    header = struct.pack("=Ii", 0x20080522, 0)
    _check(_libc.capset(header, struct.pack("=IIIIII", rights, rights, 0, 0, 0, 0)), "capset")


def leave_the_machine(root: bool) -> None:
    """Mounts, network, IPC and processes of its own. What this process starts next is process 1
    among them."""
    uid, gid = os.getuid(), os.getgid()
    kinds = _NEWNS | _NEWNET | _NEWIPC | _NEWPID | (0 if root else _NEWUSER)
    _check(_libc.unshare(kinds), "namespaces")
    maps = {"setgroups": "deny", "uid_map": f"{uid} {uid} 1", "gid_map": f"{gid} {gid} 1"}
    for name, text in () if root else maps.items():
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
            file.write(text)


def leave_a_guard(parent: int, namespaces: bool) -> int:
    """Go on in a child, in a process group of its own. What stays is its guard: it ends all that
    the child began when it is told to (SIGTERM), when `parent`, who started the box, is gone, or
    when the child ends, and passes on how. Returns what can be read once the guard is gone.

    No signal of the child's comes here: of another group, it cannot reach the guard but by number,
    and that is refused. SIGTERM alone is taken from anybody.
    """
    if not namespaces:  # there the end of the child, process 1, is the end of all others
        _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "guard")
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    watched, held = os.pipe()
    child = os.fork()
    with suppress(OSError):  # the child was first, and is another program by now
        os.setpgid(child, child)  # by both: 0 is oneself
    if not child:
        os.close(held)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return watched
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    for fd in (0, 1, watched):
        os.close(fd)
    ended = None
    while os.getppid() == parent and not ended:
        if signal.sigwait((signal.SIGTERM, signal.SIGCHLD)) == signal.SIGTERM:
            break
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    os.killpg(child, signal.SIGKILL)  # nobody can leave the group
    _, status = os.waitpid(child, 0)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(128 - code if code < 0 else code)  # a signal as a shell tells it


def end_with(guard: int | None) -> None:
    """From now on this process ends with its parent; with None that is bubblewrap's to watch."""
    _libc.prctl(_PR_SET_PDEATHSIG, 9)
    if guard is not None:
        if select.select([guard], [], [], 0)[0]:  # it was gone before it could be waited for
            os._exit(1)
        os.close(guard)


def seal(folder: str, room: int, uid: int) -> None:
    """Every file read-only, by mounts that nobody else sees; `folder` empty, in memory, `room`
    bytes large; nothing in `/proc`, which names the processes of others."""
    _check(_libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "private mounts")
    options = f"size={room},nr_inodes=65536,mode=700,uid={uid},gid={uid}".encode()
    flags = _MS_NOSUID | _MS_NODEV
    _check(_libc.mount(b"box", folder.encode(), b"tmpfs", flags, options), "a folder in memory")
    _check(_libc.mount(b"none", b"/proc", b"tmpfs", flags, b"mode=555"), "an empty /proc")
    for path, how, on, off in (("/", _RECURSIVE, _RDONLY, 0), (folder, 0, 0, _RDONLY)):
        wanted = struct.pack("=QQQQ", on, off, 0, 0)
        done = _libc.syscall(442, _HERE, path.encode(), how, wanted, len(wanted))
        _check(done, "read-only mounts")
    os.chdir(folder)


def landlock(readable: list[str], writable: str) -> bool:
    """Files: read and run what is under `readable`, write under `writable`, nothing else. Returns
    whether signals and abstract sockets to the outside are refused too (version 6).

    Raises OSError below version 3, which lets files be emptied that may only be read.
    """
    version = _libc.syscall(444, None, 0, 1)
    if version < 3:
        found = f"version {version}" if version > 0 else "none"
        raise OSError(f"Landlock: {found}, version 3 is needed (Linux 6.2)")
    everything = (1 << (15 if version < 5 else 16)) - 1
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
    return bool(scoped)


Line = tuple[int, int, int, int]
_ALLOW: Line = (0x06, 0, 0, 0x7FFF0000)


def _refuse(error: int = _EPERM) -> Line:
    return (0x06, 0, 0, 0x00050000 | error)


def _when(number: int, *lines: Line) -> list[Line]:
    """Lines for one call alone; the last of them decides it."""
    return [(0x15, 0, len(lines), number), *lines]


def _one_of(place: int, values: tuple[int, ...], found: Line, else_: Line) -> list[Line]:
    """Decide by the call's argument at `place`, counted from 0. Its lower half is the whole of an
    `int`, which all of these are."""
    tests = [line for value in values for line in ((0x15, 0, 1, value), found)]
    return [(0x20, 0, 0, 16 + 8 * place), *tests, else_]


def filter_of(column: int, clone: int, *, modes: bool, signals: bool) -> list[Line]:
    """The rules behind the check of the architecture. `modes` and `signals`: whether the calls of
    `_MODES` and `_SIGNALS` may be made, because something else bounds them."""
    program: list[Line] = []
    refused = {**_REFUSED, **({} if modes else _MODES)}
    for numbers, error in (
        *((numbers, _EPERM) for numbers in refused.values()),
        *((numbers, _ENOTSUP) for numbers in _ATTRIBUTES.values()),
    ):
        if numbers[column] >= 0:
            program += _when(numbers[column], _refuse(error))
    own = (os.getpid(),)
    for name, numbers in _SIGNALS.items() if not signals else ():
        allowed = (0, *own) if name == "kill" else own  # 0: its own process group
        program += _when(numbers[column], *_one_of(0, allowed, _ALLOW, _refuse()))
    program += _when(_PRLIMIT[column], *_one_of(0, (0,), _ALLOW, _refuse()))
    program += _when(_PRCTL[column], *_one_of(0, (_PR_SET_PDEATHSIG,), _refuse(), _ALLOW))
    program += _when(_IOCTL[column], *_one_of(1, _IOCTLS, _refuse(), _ALLOW))
    program += _when(_FCNTL[column], *_one_of(1, _FCNTLS, _refuse(), _ALLOW))
    # Pairs of streams alone, which event loops need: one of datagrams can be sent to anybody.
    program += _when(
        _SOCKETPAIR[column],
        (0x20, 0, 0, 16), (0x15, 1, 0, 1), _refuse(),
        (0x20, 0, 0, 24), (0x54, 0, 0, 0xF), (0x15, 0, 1, 1), _ALLOW, _refuse(),
    )  # fmt: skip
    flags = _NEWUSER | _CLONE_PARENT
    program += _when(clone, (0x20, 0, 0, 16), (0x45, 0, 1, flags), _refuse(), _ALLOW)
    return [*program, _ALLOW]


def seccomp(*, modes: bool, signals: bool) -> None:
    """Refuse calls from now on, see `filter_of`. Raises OSError on an architecture that is not
    known."""
    known = _ARCHES.get(platform.machine())
    if known is None:
        raise OSError(f"seccomp: the calls of {platform.machine()} are not known")
    arch, column, clone = known
    program: list[Line] = [
        (0x20, 0, 0, 4),  # load the architecture
        (0x15, 1, 0, arch),
        (0x06, 0, 0, 0x80000000),  # another one: kill
        (0x20, 0, 0, 0),  # load the call's number
        (0x35, 0, 1, 0x40000000),  # x86's x32 calls
        _refuse(),
        (0x35, 0, 1, _NEWER),
        _refuse(_ENOSYS),
        *_when(_CLONE3, _refuse(_ENOSYS)),
        *filter_of(column, clone, modes=modes, signals=signals),
    ]
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    held = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(held))
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _check(_libc.prctl(_PR_SET_SECCOMP, 2, filter_, 0, 0), "seccomp")


def lock(order: dict[str, Any]) -> list[str]:
    """Every lock that was ordered, all or nothing: raises OSError. Returns what holds."""
    _libc.prctl(_PR_SET_PDEATHSIG, 9)
    wall, uid, limits = order["wall"], order["uid"], dict(order["limits"])
    modes = signals = True
    held, guard = [wall], None
    if wall == "bubblewrap":
        become(uid, keep_reading=False)
    else:
        namespaces = wall == "namespaces"
        if namespaces:
            leave_the_machine(root=uid is not None)
        elif uid is None:
            limits["processes"] += threads_of(os.getuid())
        guard = leave_a_guard(order["parent"], namespaces)
        if namespaces:
            seal(order["writable"], limits["room"], os.getuid() if uid is None else uid)
            held.append("landlock")
        become(uid, keep_reading=uid is not None)
        scoped = landlock(order["readable"], order["writable"])
        # No user but root may send signals to another.
        modes, signals = namespaces, namespaces or scoped or uid is not None
    end_with(guard)  # not before: who becomes another user begins without it
    limit(limits)
    seccomp(modes=modes, signals=signals)
    held += ["seccomp", *([] if modes else ["no chmod"]), *([] if signals else ["no signals"])]
    return held


def main() -> None:
    order = json.loads(sys.stdin.buffer.readline())
    out = os.dup(1)
    held = lock(order)
    for name, text in order.get("files", {}).items():
        with open(name, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
    os.write(out, json.dumps({"held": held}).encode() + b"\n")
    if order["role"] == "command":
        os.dup2(1, 2)
        os.close(out)
        os.execv("/bin/sh", ["/bin/sh", "-c", order["command"]])  # noqa: S606
    roles: dict[str, Any] = {"__name__": "roles"}
    exec(compile(order["roles"], "roles", "exec"), roles)  # noqa: S102
    roles["play"](order, out)


if __name__ == "__main__":
    main()
