# SPDX-License-Identifier: BSD-3-Clause
"""RDMA devices on a leaf-spine fabric, inside a guest (vm.py).

    with Bed(cache="build/rdma", work=directory) as bed:
        bed.sh("./qp r1 r3 connect=4 send=10")
        bed.seen()          # {("10.80.1.1", 49200, "10.80.2.1"): {"spine2"}, …}

The guest's kernel is the fabric: leaves and spines are network namespaces that forward, and leaves
choose the spine by the kernel's own hash of addresses and ports, as switches do. The devices are
rxe (RoCE v2 in software), r1 … by leaf, on veths whose ends are in the guest's initial namespace,
because rxe only speaks there:

    r<n> on v<n>    10.80.<leaf>.<2k+1>/31     the k-th of the leaf; the leaf's end has <2k>
    leaf.up<s>      10.81.<spine>.<2·leaf>/31  the spine's end, dn<leaf>, has the next address

That all ends are one host's is why the initial namespace accepts packets from its own addresses; rxe
routes by the device, so they do take the fabric. What went through a spine is counted there by
connection: seen() is the truth the tests compare with. Which spine a port takes differs from boot to
boot; spines_of() asks the fabric.
"""

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import vm  # noqa: E402 # pylint: disable=wrong-import-position
from vm import Error, Unavailable, Vm  # noqa: E402 # pylint: disable=wrong-import-position

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[2]
ROCE = 4791
PORTS = (49152, 65535)  # source ports that flow labels can stand for
HASH_FIELDS = 0x37      # addresses, protocol, ports
BACKLOG = 100000        # packets between a veth's ends: the fabric must not lose any (qp_flow.c)
MTU = 4200              # room for RoCE's headers around 4096 bytes

# name: (compiler, sources, options)
PROGRAMS = {
    "qp": ("gcc", "qp*.c", ["-libverbs"]),
    "qp-dlopen": ("gcc", "qp*.c", ["-DQP_DLOPEN"]),
    "plan": ("gcc", "plan.c", []),
    "exchange": ("mpicc", "exchange.c", []),
}

TRUTH = """
table ip truth {
	set seen {
		type ipv4_addr . inet_service . ipv4_addr . inet_service
		flags dynamic
		size 65536
		counter
	}
	chain through {
		type filter hook forward priority 0
		meta l4proto { tcp, udp } update @seen { ip saddr . th sport . ip daddr . th dport }
	}
}
"""

# One datagram from each port, past the spine and no further.
SPRAY = """
import socket, sys
device, src, dst, dport, low, high = sys.argv[1:]
for port in range(int(low), int(high) + 1):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 3)
        s.bind((src, port))
        s.sendto(b"", (dst, int(dport)))
"""


def why_not():
    """None if there can be a bed here, else a sentence."""
    reason = vm.why_not()
    if reason:
        return reason
    for tool, package in (("ip", "iproute2"), ("rdma", "iproute2"), ("nft", "nftables")):
        if not any((Path(where) / tool).exists() for where in ("/usr/sbin", "/sbin", "/usr/bin")):
            return f"the RDMA bed needs {tool} (package {package}), which is not here"
    if not Path("/usr/include/infiniband/verbs.h").exists():
        return "the RDMA bed needs libibverbs-dev, which is not here"
    if not list(Path("/usr/lib").glob("*/libibverbs/librxe-*.so")):
        return "the RDMA bed needs ibverbs-providers, which is not here"
    return None


def port_of_label(label, qpn=0, peer=0):
    """The UDP source port a flow label stands for; without a label the numbers of the queue pairs
    make one."""
    if label == 0:
        product = qpn * peer
        product ^= product >> 20
        product ^= product >> 40
        label = product & 0xfffff
    return 0xc000 | (label & 0x3fff) ^ (label >> 14)


def label_of_port(port):
    """A label that is not 0 and stands for the port."""
    label = port & 0x3fff
    return label or 1 << 14 | 1


class Bed(Vm):
    """A guest with a fabric. `devices` are per leaf."""

    def __init__(self, cache, work, leaves=2, spines=4, devices=2, memory_mb=1024, life=600):
        self.leaves, self.spines = leaves, spines
        self.hosts = [(leaf, k) for leaf in range(1, leaves + 1) for k in range(devices)]
        super().__init__(cache, work, memory_mb, life)
        try:
            self._build()
            self.sh(self._script(), 90)
        except BaseException:
            self.close()
            raise

    def _build(self):
        flags = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror", f"-I{REPO}/include"]
        for name, (compiler, sources, options) in PROGRAMS.items():
            files = sorted(map(str, HERE.glob(sources)))
            done = subprocess.run([compiler, *flags, "-o", self.work / name, *files, *options],
                                  capture_output=True, text=True, timeout=120, check=False)
            if done.returncode != 0:
                raise Error(f"{name} does not build: {done.stderr[-500:]}")

    # ---- the fabric ----------------------------------------------------------------------------

    def address(self, n):
        """Of device r<n>."""
        leaf, k = self.hosts[n - 1]
        return f"10.80.{leaf}.{2 * k + 1}"

    def routers(self):
        return [*(f"leaf{leaf}" for leaf in range(1, self.leaves + 1)),
                *(f"spine{spine}" for spine in range(1, self.spines + 1))]

    def _script(self):
        """All of it as one script; commands for one namespace go to one `ip`."""
        batch = {name: [] for name in ["", *self.routers()]}
        for n, (leaf, k) in enumerate(self.hosts, 1):
            batch[""] += [f"link set v{n} mtu {MTU} up", f"addr add {self.address(n)}/31 dev v{n}"]
            batch[f"leaf{leaf}"] += [f"addr add 10.80.{leaf}.{2 * k}/31 dev h{n}",
                                     f"link set h{n} mtu {MTU} up"]
            batch[""] += [f"route add 10.80.{other}.0/24 via 10.80.{leaf}.{2 * k} dev v{n} metric {n}"
                          for other in range(1, self.leaves + 1)]
        for leaf in range(1, self.leaves + 1):
            for spine in range(1, self.spines + 1):
                ends = (f"10.81.{spine}.{2 * leaf}", f"10.81.{spine}.{2 * leaf + 1}")
                batch[f"leaf{leaf}"] += [f"addr add {ends[0]}/31 dev up{spine}",
                                         f"link set up{spine} mtu {MTU} up"]
                batch[f"spine{spine}"] += [f"addr add {ends[1]}/31 dev dn{leaf}",
                                           f"link set dn{leaf} mtu {MTU} up",
                                           f"route add 10.80.{leaf}.0/24 via {ends[0]}"]
            hops = " ".join(f"nexthop via 10.81.{spine}.{2 * leaf + 1}"
                            for spine in range(1, self.spines + 1))
            batch[f"leaf{leaf}"] += [f"route add 10.80.{other}.0/24 {hops}"
                                     for other in range(1, self.leaves + 1) if other != leaf]
        links = [f"link add v{n} type veth peer name h{n} netns leaf{leaf}"
                 for n, (leaf, _) in enumerate(self.hosts, 1)]
        links += [f"link add up{spine} netns leaf{leaf} type veth peer name dn{leaf} "
                  f"netns spine{spine}" for leaf in range(1, self.leaves + 1)
                  for spine in range(1, self.spines + 1)]
        return self._settings() + self._batches(links, batch) + self._devices()

    def _settings(self):
        return f"""set -e
host() {{ for name in all default; do echo $2 > /proc/sys/net/ipv4/conf/$name/$1; done; }}
host rp_filter 0; host accept_local 1
echo {BACKLOG} > /proc/sys/net/core/netdev_max_backlog
router() {{
	ip netns add $1
	nsenter --net=/run/netns/$1 bash -c 'cd /proc/sys/net/ipv4; echo 1 > ip_forward
		echo 0 > icmp_ratelimit; echo 3 > fib_multipath_hash_policy
		echo {HASH_FIELDS} > fib_multipath_hash_fields
		echo 0 > conf/all/rp_filter; echo 0 > conf/default/rp_filter'
}}
for name in {' '.join(self.routers())}; do router $name; done
"""

    @staticmethod
    def _batches(links, batch):
        text = "ip -batch - <<END\n" + "\n".join(["link set lo up", *links]) + "\nEND\n"
        for name, lines in batch.items():
            where = f"-n {name} " if name else ""
            text += f"ip {where}-batch - <<END\n" + "\n".join(lines) + "\nEND\n"
        return text

    def _devices(self):
        return f"""for n in {' '.join(str(n) for n in range(1, len(self.hosts) + 1))}; do
	rdma link add r$n type rxe netdev v$n
done
for spine in {' '.join(str(spine) for spine in range(1, self.spines + 1))}; do
	nsenter --net=/run/netns/spine$spine nft -f - <<END
{TRUTH}
END
done
"""

    # ---- use -----------------------------------------------------------------------------------

    def sh(self, script, seconds=30):
        """Runs it in the work directory, where the programs are; what it printed. A status that is
        not 0 is an Error."""
        status, text = self.run(f"cd {self.work}\n{script}", seconds)
        if status != 0:
            raise Error(f"status {status} of '{script.strip()[-200:]}': {text[-2000:]}")
        return text

    def json(self, script, seconds=30):
        """The lines of JSON among what a script printed."""
        lines = self.sh(script, seconds).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _each_spine(self, command):
        return "".join(f"nsenter --net=/run/netns/spine{spine} nft {command} set ip truth seen\n"
                       for spine in range(1, self.spines + 1))

    def write_clear(self):
        """`bash clear.sh` in the work directory does what seen() does, from inside a program's run;
        cleared() is what it found."""
        (self.work / "clear.sh").write_text(f"{{ {self._each_spine('-j list')} }} > cleared.json\n"
                                            + self._each_spine("flush"))

    def cleared(self):
        """{(source, destination): {source port: {spines}}} as clear.sh found it."""
        lines = (self.work / "cleared.json").read_text().splitlines()
        found = {}
        for (src, sport, dst), where in self._truth(map(json.loads, lines), ROCE).items():
            found.setdefault((src, dst), {})[sport] = set(where)
        return found

    def seen(self, clear=True, dport=ROCE):
        """{(source, source port, destination): {spine: packets}} through the spines since they were
        cleared."""
        script = self._each_spine("-j list") + (self._each_spine("flush") if clear else "")
        return self._truth(self.json(script, 60), dport)

    @staticmethod
    def _truth(lists, dport):
        truth = {}
        for spine, found in enumerate(lists, 1):
            for item in found["nftables"]:
                for element in item.get("set", {}).get("elem", []):
                    src, sport, dst, port = element["elem"]["val"]["concat"]
                    if port == dport:
                        packets = element["elem"]["counter"]["packets"]
                        truth.setdefault((src, sport, dst), {})[f"spine{spine}"] = packets
        return truth

    def spines_of(self, a, b, low=PORTS[0], count=64):
        """{port: spine} for packets from device r<a> to r<b>, asked of the fabric."""
        self.seen()
        self.sh(f"/usr/bin/python3 -c '{SPRAY}' v{a} {self.address(a)} {self.address(b)} {ROCE} "
                f"{low} {low + count - 1}")
        return {port: next(iter(where)) for (src, port, dst), where in self.seen().items()
                if (src, dst) == (self.address(a), self.address(b))}
