# SPDX-License-Identifier: BSD-3-Clause
"""Where the namespaces of a bed live.

Root has them by name, as `ip netns` does. Anybody else has them inside one user, mount and network
namespace of his own, which a sleeping process holds: there he is root, /run is his, and the
same commands work. All that is known of a bed is in its state directory; a bed ends with its
processes, which are found by the network they are in.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

TOOLS = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables", "nsenter": "util-linux",
         "unshare": "util-linux"}
AS_USER = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
AS_ROOT = ["unshare", "--net", "--mount"]
PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"

# Tries all that a bed needs, in namespaces that end with the shell; the last line says what
# is not there.
TRIAL = r"""
need() {
	what=$1; shift
	said=$("$@" 2>&1) || { echo "$what: $said" | head -n 1; exit 1; }
}
need "this user may not mount file systems" mount -t tmpfs c4 /run
need "no network namespaces" ip netns add c4
need "no veth devices" ip link add name a type veth peer name b netns c4
need "no bridge devices" ip link add name br type bridge
need "no tbf queueing discipline" tc qdisc add dev a root tbf rate 1mbit burst 15k limit 256k
hash=/proc/sys/net/ipv4/fib_multipath_hash
put() { echo $2 > $1; }
need "the kernel cannot hash by chosen fields" put ${hash}_policy 3
need "the kernel cannot hash by chosen fields" put ${hash}_fields 55
need "the kernel's hash has no seed to set" put ${hash}_seed 7
need "no dynamic sets in nftables" nft -f - <<END
table ip c4 {
	set seen { type ipv4_addr; flags dynamic; size 16; counter; }
	chain each { type filter hook forward priority 0; update @seen { ip saddr }; }
}
END
"""


class Error(Exception):
    """A bed that cannot be; the text says why."""


def command(line, feed=None, check=True, timeout=60):
    """Runs a command to its end; returns what it printed."""
    env = dict(os.environ, PATH=PATH, LC_ALL="C.UTF-8")
    done = subprocess.run(line, input=feed, capture_output=True, text=True, env=env,
                          timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise Error(f"{' '.join(line)[:200]}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def missing_tool():
    for tool, package in TOOLS.items():
        if not shutil.which(tool, path=PATH):
            return f"{tool} is not installed (package {package})"
    return None


def trial(way):
    """None if a bed can be made this way, else the reason."""
    env = dict(os.environ, PATH=PATH, LC_ALL="C.UTF-8")
    done = subprocess.run([*way, "sh", "-c", TRIAL], capture_output=True, text=True, env=env,
                          stdin=subprocess.DEVNULL, timeout=30, check=False)
    if done.returncode == 0:
        return None
    said = (done.stdout.strip() or done.stderr.strip() or "refused").splitlines()
    return said[-1]


def named():
    """None if namespaces can be given names for all to see, which takes more than to have some."""
    name = f"c4-trial-{os.getpid()}"
    try:
        command(["ip", "netns", "add", name])
        command(["ip", "netns", "del", name])
        return None
    except Error as error:
        command(["ip", "netns", "del", name], check=False)
        return str(error).splitlines()[0]


_chosen = None


def choose():
    """(way, reason): way is "root" or "user", or None with the reason why a bed cannot be."""
    global _chosen  # pylint: disable=global-statement # the machine does not change
    if _chosen is None:
        _chosen = _choose()
    return _chosen


def _choose():
    reason = missing_tool()
    if reason:
        return None, reason
    if os.geteuid() == 0 and os.environ.get("C4_LAB_WAY") != "user":
        reason = trial(AS_ROOT) or named()
        if reason is None:
            return "root", None
    as_user = trial(AS_USER)
    if as_user is None:
        return "user", None
    return None, reason or f"not root, and in a user namespace: {as_user}"


def state_root():
    """Where this user's beds write themselves down."""
    if os.geteuid() == 0 and choose()[0] == "root":
        return Path("/run/c4-lab")
    return Path(f"/tmp/c4-lab-{os.geteuid()}")


def state_make(path):
    """Makes a bed's state directory; one that somebody else put there is refused."""
    path.parent.mkdir(mode=0o755, exist_ok=True)
    found = path.parent.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022 or path.parent.is_symlink():
        raise Error(f"{path.parent} is not ours alone")
    path.mkdir(mode=0o755, exist_ok=True)


def persist(act):
    """act() until nobody removes an empty directory under it: other beds come and go."""
    for _ in range(100):
        try:
            return act()
        except FileNotFoundError:
            pass
    return act()


def started(pid):
    """When a process began, in ticks since boot: with the pid, what names it; None if gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def network(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return None


def carries(pid, variable):
    """Whether a process was started with this NAME=VALUE in its environment."""
    try:
        return variable.encode() + b"\0" in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def end(find, seconds=10):
    """Ends all processes that find() returns, until it returns none: some are being born."""
    limit = time.monotonic() + seconds
    while True:
        pids = [pid for pid in find() if pid != os.getpid() and started(pid)]
        if not pids:
            return
        if time.monotonic() > limit:
            raise Error(f"processes {pids} do not end")
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


class Nest:
    """The namespaces' place: way is "root" or "user", holder the pid that keeps the latter."""

    def __init__(self, way, holder=0):
        self.way = way
        self.holder = holder
        self.popen = None

    def open(self):
        if self.way == "root":
            Path("/run/netns").mkdir(exist_ok=True)
            return
        line = [*AS_USER, "sh", "-c",
                "mount -t tmpfs c4 /run && mkdir /run/netns && echo ready && exec sleep infinity"]
        self.popen = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, start_new_session=True,
                                      env=dict(os.environ, PATH=PATH), cwd="/")
        if self.popen.stdout.readline() != b"ready\n":
            self.popen.wait()
            raise Error("the user namespace did not come up")
        self.popen.stdout.close()
        self.holder = self.popen.pid

    def close(self):
        if self.holder and started(self.holder):
            os.kill(self.holder, signal.SIGKILL)
        if self.popen:
            self.popen.wait()
            self.popen = None
        self.holder = 0

    def prefix(self):
        """What to put before a command so that it runs where the bed's names mean something."""
        if self.way == "root":
            return []
        return ["nsenter", "-t", str(self.holder), "-U", "-m", "-n", "--preserve-credentials",
                "--"]

    def run(self, line, feed=None, check=True, timeout=60):
        return command([*self.prefix(), *line], feed, check, timeout)

    def ip(self, lines, namespace=None, tool="ip", force=False):
        """A batch of ip (or tc) commands, in one namespace of the bed if it is named."""
        if not lines:
            return
        line = [tool, *(["-n", namespace] if namespace else []), *(["-force"] if force else [])]
        self.run([*line, "-batch", "-"], "\n".join(lines) + "\n", check=not force)

    def within(self, namespace, line, feed=None, check=True):
        return self.run(["nsenter", f"--net=/run/netns/{namespace}", *line], feed, check)

    def sysctl(self, settings):
        """settings: namespace → [(key, value, must)]; one process writes them all. Returns the
        settings that were refused and need not be."""
        text = self.run([sys.executable, "-B", str(Path(__file__).resolve())],
                        json.dumps(settings))
        refused = [tuple(item) for item in json.loads(text)]
        for namespace, key, value, needed in refused:
            if needed:
                raise Error(f"{namespace}: {key} = {value} is refused")
        return refused

    def names(self):
        lines = self.run(["ip", "netns", "list"], check=False).splitlines()
        return [line.split()[0] for line in lines if line.strip()]

    def networks(self, names):
        """The names' namespaces as /proc/PID/ns/net tells them."""
        paths = [f"/run/netns/{name}" for name in names]
        if not paths:
            return set()
        inodes = self.run(["stat", "-L", "-c", "%i", *paths], check=False).split()
        return {f"net:[{inode}]" for inode in inodes}

    def pids(self, names):
        """Processes inside these namespaces, whoever started them."""
        wanted = self.networks(names)
        return [pid for pid in processes() if network(pid) in wanted]


def write_settings():
    """The other half of Nest.sysctl: joins each namespace and writes to its /proc/sys/net."""
    from enter import NEWNET, join  # pylint: disable=import-outside-toplevel
    refused = []
    for namespace, items in json.load(sys.stdin).items():
        join(f"/run/netns/{namespace}", NEWNET)
        for key, value, needed in items:
            try:
                Path("/proc/sys/" + key.replace(".", "/")).write_text(f"{value}\n")
            except OSError:
                refused.append((namespace, key, value, needed))
    json.dump(refused, sys.stdout)


if __name__ == "__main__":
    write_settings()
