#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A small machine with RDMA devices: Debian's stock kernel under QEMU, in software.

    with Vm(cache="build/rdma", work=directory) as vm:
        status, text = vm.run("rdma link add r0 type rxe netdev lo && rdma link", seconds=20)

The machine this runs on needs neither RDMA nor KVM nor an installed kernel: the kernel's package
is fetched into the cache, the modules the bed needs are taken out of it, the rest is dropped.
Nothing is installed. The guest's root is this machine's (or chroot's) own, read-only, under a
layer in memory: programs built here run there under the same names. The work directory is the one
place the guest can write to and the host sees.

A guest lives at most `life` seconds, and no longer than the process that started it. why_not()
says in a sentence why there can be none here, or is None; what only shows on the way (no network
to fetch the package, say) is Unavailable.
"""

import ctypes
import fcntl
import io
import os
import platform
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
QEMU = "qemu-system-x86_64"
META = "linux-image-amd64"  # the cloud kernel has no rdma_rxe

# In the order of wishes; what they depend on is loaded before them. crc32_generic: without
# it no rxe link can be added, though no dependency says so; crc32c for nf_tables likewise.
MODULES = ("crc32_generic", "crc32c_generic", "virtio_pci", "9pnet_virtio", "9p", "overlay",
           "veth", "nf_tables", "ib_uverbs", "rdma_rxe")

BOOT_SECONDS = 90
FETCH_SECONDS = 240
OUTPUT_MAX = 8 << 20


class Error(Exception):
    """There is no guest, or it is gone; the text says why."""


class Unavailable(Error):
    """The machine lacks what a guest is made of, the network to fetch it from, say."""


def why_not():
    """None if a guest can be tried here, else the reason."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"the RDMA bed boots an x86-64 kernel in software, and this is {platform.machine()}"
    for tool, package in ((QEMU, "qemu-system-x86"), ("gcc", "gcc"), ("apt-get", "apt"),
                          ("dpkg-deb", "dpkg")):
        if not shutil.which(tool):
            return f"the RDMA bed needs {tool} (package {package}), which is not here"
    return None


def _brief(line):
    return " ".join(map(str, line))[:80]


def _command(line, seconds, cwd=None):
    """What a command prints; it has no terminal and ends in time."""
    try:
        done = subprocess.run(line, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{_brief(line)}: not done in {seconds} s") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["failed"]
        raise Unavailable(f"{_brief(line)}: {said[-1][:200]}")
    return done.stdout


# ---- the kernel ------------------------------------------------------------------------------

def kernel_package():
    """Name of the package with the kernel that this release has now."""
    said = _command(["apt-cache", "depends", META], 30)
    for word in re.findall(r"Depends:\s*(linux-image-\S+)", said):
        return word
    raise Unavailable(f"apt knows no kernel package behind {META}")


def _unpack(package, into):
    """Kernel and all modules of the package in one directory, names with underscores."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as deb:
        with tarfile.open(fileobj=deb.stdout, mode="r|") as tar:
            for member in tar:
                name = Path(member.name).name
                if not member.isfile():
                    continue
                if name.startswith("vmlinuz-"):
                    target = into / "vmlinuz"
                elif name.endswith(".ko"):
                    target = into / name.replace("-", "_")
                else:
                    continue
                target.write_bytes(tar.extractfile(member).read())
    if deb.returncode != 0 or not (into / "vmlinuz").exists():
        raise Unavailable(f"{Path(package).name} has no kernel in it")


def _depends(module):
    """Names a module's own note says it depends on."""
    found = re.search(rb"\0depends=([^\0]*)\0", module.read_bytes())
    names = found.group(1).decode().split(",") if found else []
    return [name.replace("-", "_") for name in names if name]


def load_order(directory, wanted=MODULES):
    """The wanted modules and what they depend on, each after its own dependencies."""
    order = []

    def visit(name, trail):
        module = directory / f"{name}.ko"
        if name in order or name in trail:
            return
        if not module.exists():
            if trail:
                raise Error(f"module {trail[-1]} needs {name}, which the package has not")
            return  # built into the kernel
        for other in _depends(module):
            visit(other, [*trail, name])
        order.append(name)

    for name in wanted:
        visit(name, [])
    if "rdma_rxe" not in order:
        raise Unavailable("the kernel package has no rdma_rxe")
    return order


def _fetch(into):
    """Downloads, unpacks and keeps only what the guest loads, in `into`; whole or not at all."""
    with tempfile.TemporaryDirectory(dir=into.parent, prefix="fetch-") as name:
        there = Path(name)
        _command(["apt-get", "download", "-q", kernel_package()], FETCH_SECONDS, cwd=there)
        package = next(there.glob("*.deb"), None)
        if package is None:
            raise Unavailable("apt-get downloaded no package")
        every, keep = there / "all", there / "keep"
        every.mkdir()
        keep.mkdir()
        _unpack(package, every)
        order = load_order(every)
        for part in ["vmlinuz", *[f"{name}.ko" for name in order]]:
            (every / part).rename(keep / part)
        (keep / "order").write_text("\n".join(order) + "\n")
        keep.rename(into)


def prepare(cache):
    """(kernel, initial file system), made if they are not in the cache yet."""
    cache = Path(cache).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kernel = cache / "kernel"
        if not kernel.exists():
            _fetch(kernel)
        init = cache / "init"
        _command(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-static", "-s",
                  "-o", f"{init}.new", HERE / "init.c"], 60)
        os.replace(f"{init}.new", init)
        names = (kernel / "order").read_text().split()
        image = io.BytesIO()
        files = {f"lib/{name}.ko": (kernel / f"{name}.ko").read_bytes() for name in names}
        files["modules"] = "".join(f"/lib/{name}.ko\n" for name in names).encode()
        files["init"] = init.read_bytes()
        archive(image, ["dev", "lib"], files)
        (cache / "initrd.new").write_bytes(image.getvalue())
        os.replace(cache / "initrd.new", cache / "initrd")
    return kernel / "vmlinuz", cache / "initrd"


def archive(out, directories, files):
    """A cpio archive ("newc") as the kernel unpacks it; all of it root's, files executable."""
    def entry(number, name, mode, body=b""):
        name = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(name), 0)
        out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
        out.write(b"\0" * (-out.tell() % 4) + body)
        out.write(b"\0" * (-out.tell() % 4))

    number = 0
    for number, name in enumerate(directories, 1):
        entry(number, name, 0o040755)
    for number, (name, body) in enumerate(files.items(), number + 1):
        entry(number, name, 0o100755, body)
    entry(0, "TRAILER!!!", 0)


# ---- the guest -------------------------------------------------------------------------------

def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Vm:
    """A booted guest. `work` is an absolute directory that both sides see under one name."""

    def __init__(self, cache, work, memory_mb=1024, life=600):
        self.work = Path(work).resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.console = self.work / "console.log"
        self.number = 0
        self.heard = b""
        self.qemu = None
        if re.search(r"[\s,]", str(self.work)):
            raise Error(f"the guest's kernel cannot be told of a directory named {self.work}")
        kernel, initrd = prepare(cache)
        ours, theirs = socket.socketpair()
        self.wire = ours
        began = time.monotonic()
        try:
            self.qemu = subprocess.Popen(
                self._line(kernel, initrd, theirs.fileno(), memory_mb, life),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()], preexec_fn=_die_with_parent)
            theirs.close()
            self._hear("ready", BOOT_SECONDS)
        except BaseException:
            self.close()
            raise
        self.boot_seconds = time.monotonic() - began

    def _line(self, kernel, initrd, wire, memory_mb, life):
        words = f"console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on " \
                f"tsc=reliable c4.life={life} c4.work={self.work}"
        return [QEMU, "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-smp", "2",
                "-m", str(memory_mb), "-machine", "q35", "-nodefaults", "-no-user-config",
                "-display", "none", "-no-reboot", "-kernel", kernel, "-initrd", initrd,
                "-append", words, "-serial", f"file:{self.console}",
                "-chardev", f"socket,id=wire,fd={wire}", "-serial", "chardev:wire",
                "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,"
                           "multidevs=remap",
                "-virtfs", f"local,path={self.work},mount_tag=work,security_model=none,"
                           "multidevs=remap"]

    def _gone(self, what):
        last = ""
        if self.console.exists():
            lines = self.console.read_text(errors="replace").strip().splitlines()
            last = "; console: " + " | ".join(lines[-3:])
        if self.qemu.poll() is not None:
            said = self.qemu.stderr.read().decode(errors="replace").strip()
            what += f", QEMU ended with {self.qemu.returncode} {said[-300:]}"
        return Error(what + last)

    def _hear(self, word, seconds):
        """The rest of the guest's next line, which must begin with the word."""
        end = time.monotonic() + seconds
        while b"\n" not in self.heard:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.wire], [], [], left)[0]:
                raise self._gone(f"the guest did not say '{word}' in {seconds} s")
            more = self.wire.recv(4096)
            if not more:
                self.qemu.wait(10)
                raise self._gone("the guest is gone")
            self.heard += more
        line, self.heard = self.heard.split(b"\n", 1)
        said = line.decode(errors="replace").split(None, 1) + [""]
        if said[0] != word:
            raise self._gone(f"the guest said '{line[:80]}' for '{word}'")
        return said[1]

    def run(self, script, seconds=30):
        """Runs the text as a bash script in the guest; (status, what it printed). 137: too long."""
        self.number += 1
        path = self.work / f"run{self.number}.sh"
        path.write_text(script)
        try:
            self.wire.sendall(f"run {self.number} {int(seconds)} {path}\n".encode())
        except OSError:
            raise self._gone("the guest is gone") from None
        number, status = self._hear("done", seconds + 30).split()
        if int(number) != self.number:
            raise Error(f"the guest answers run {number}, not {self.number}")
        with open(f"{path}.out", "rb") as out:
            return int(status), out.read(OUTPUT_MAX).decode(errors="replace")

    def close(self):
        """Ends the guest. What is in the work directory stays."""
        self.wire.close()
        if self.qemu is not None:
            self.qemu.kill()  # it has no disk that could be left half written
            self.qemu.wait()
            self.qemu.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def main():
    """vm.py CACHE SCRIPT [SECONDS]: boots, runs the script, prints, exits as it did."""
    if len(sys.argv) not in (3, 4):
        print("usage: vm.py CACHE SCRIPT [SECONDS]", file=sys.stderr)
        return 2
    reason = why_not()
    if reason:
        print(f"vm.py: {reason}", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory(prefix="c4-rdma-") as work:
        try:
            with Vm(sys.argv[1], work) as vm:
                status, text = vm.run(Path(sys.argv[2]).read_text(),
                                      int(sys.argv[3]) if len(sys.argv) == 4 else 60)
                print(text, end="")
                print(f"vm.py: booted in {vm.boot_seconds:.1f} s", file=sys.stderr)
                return status
        except Unavailable as error:
            print(f"vm.py: {error}", file=sys.stderr)
            return 77
        except Error as error:
            print(f"vm.py: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
