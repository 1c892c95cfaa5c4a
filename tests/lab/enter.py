#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a command as a host of a laboratory bed: in its network, under its name.

    C4_LAB=STATE enter.py HOST -- COMMAND [ARGUMENT…]     the command as it is
    C4_LAB=STATE enter.py [-OPTION…] HOST WORDS…          through a shell, as rsh does

STATE is the bed's directory (Fabric.state). The second form is what a launcher such as mpirun
takes for its rsh agent, so a job's own processes may start others on other hosts of the bed.
What the command sees differently from its caller: the network, the host name, /etc/hosts and
its like (no look-up may leave the bed), /dev/shm, of which each host has its own, and /sys,
whose class/net is that of the network. Processes and the other files are those of the machine.
"""

import ctypes
import json
import os
import socket
import sys
from pathlib import Path

NEWNS, NEWUTS, NEWUSER, NEWNET = 0x00020000, 0x04000000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_SLAVE, MNT_DETACH = 0x1000, 0x4000, 0x80000, 2
OPEN_TREE, MOVE_MOUNT = 428, 429  # the same on every architecture
AT_FDCWD, AT_RECURSIVE, OPEN_TREE_CLONE, MOVE_EMPTY_PATH = -100, 0x8000, 1, 4

libc = ctypes.CDLL(None, use_errno=True)


def must(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def mount(source, target, kind, flags):
    arguments = [a.encode() if a else None for a in (source, target, kind)]
    return libc.mount(*arguments, ctypes.c_ulong(flags), None)


def join(path, kind):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        must(libc.setns(fd, kind), f"setns {path}")
    finally:
        os.close(fd)


def enter_nest(holder):
    """Without root the bed lives inside the user namespace that a process of ours holds."""
    theirs = f"/proc/{holder}/ns"
    if os.readlink(f"{theirs}/user") == os.readlink("/proc/self/ns/user"):
        return
    here = os.getcwd()
    files = os.open(f"{theirs}/mnt", os.O_RDONLY | os.O_CLOEXEC)
    join(f"{theirs}/user", NEWUSER)
    must(libc.setns(files, NEWNS), "setns mnt")
    os.close(files)
    os.chdir(here)


def own_shm(path):
    """Shared memory of this host alone. Who comes from another host has that one's on top."""
    if not os.path.isdir(path):
        libc.umount2(b"/dev/shm", MNT_DETACH)
    must(mount(path, "/dev/shm", None, MS_BIND), f"mount {path}")


def fresh_sys():
    """/sys/class/net of this network; control groups stay where programs look for them. Not
    every kernel lets a user do so, and few programs care: failure is no error."""
    groups = libc.syscall(OPEN_TREE, AT_FDCWD, b"/sys/fs/cgroup",
                          OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC)
    if mount("sysfs", "/sys", "sysfs", 0) == 0 and groups >= 0:
        libc.syscall(MOVE_MOUNT, groups, b"", AT_FDCWD, b"/sys/fs/cgroup", MOVE_EMPTY_PATH)
    if groups >= 0:
        os.close(groups)


def enter(state, host):
    bed = json.loads((state / "bed.json").read_text())
    if bed["holder"]:
        enter_nest(bed["holder"])
    join(f"/run/netns/{bed['prefix']}-{host}", NEWNET)
    must(libc.unshare(NEWNS | NEWUTS), "unshare")
    must(mount(None, "/", None, MS_SLAVE | MS_REC), "mount /")
    for file in sorted((state / "etc").iterdir()):
        if os.path.exists(f"/etc/{file.name}"):
            must(mount(str(file), f"/etc/{file.name}", None, MS_BIND), f"mount {file}")
    own_shm(f"{bed['shm']}/{host}")
    fresh_sys()
    socket.sethostname(host)


def main():
    words = sys.argv[1:]
    while words and words[0].startswith("-"):
        words.pop(0)
    if len(words) < 2 or "C4_LAB" not in os.environ:
        sys.exit("enter.py: usage: C4_LAB=STATE enter.py HOST -- COMMAND [ARGUMENT...]")
    host, *command = words
    command = command[1:] if command[0] == "--" else ["sh", "-c", " ".join(command)]
    try:
        enter(Path(os.environ["C4_LAB"]), host)
        os.execvp(command[0], command)
    except (OSError, KeyError, ValueError) as error:
        print(f"enter.py: {host}: {error}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main()
