#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A leaf-spine fabric of network namespaces: real kernels forward, hash and shape real traffic.

    with Fabric(leaves=2, spines=4, hosts_per_leaf=4, rate_mbit=100, seed=42) as bed:
        job = bed.mpirun(["h1", "h5"], ["./ring"], stdout=subprocess.PIPE)

Nodes are `h1` … (hosts, leaf by leaf), `leaf1` …, `spine1` … and `mgmt`; all numbers begin at 1.

    h<n>.eth0   10.77.<leaf>.<2k+1>/31     the leaf's k-th host; the leaf has 10.77.<leaf>.<2k>
    leaf.up<s>  10.78.<spine>.<2·leaf>/31  shaped to the rate; the spine's end, dn<leaf>, has the
                                           next address and is shaped, too
    h<n>.mgmt0  10.79.0.<n>/24             not shaped: launch, telemetry; node mgmt is 10.79.0.254

Leaves choose the spine by a hash of addresses, protocol and ports with the seed given, as switches
do: the same seed gives the same map from source port to spine. With symmetric=True all leaves have
the same seed, so both directions of a connection take one spine; otherwise each has its own.

The names h1 … resolve to the management network inside the bed; each node has its own host name
and /dev/shm (enter.py). Nothing of the bed touches the machine's own network, and two beds of
different prefix do not see each other. Needs no root where users may have namespaces (nest.py);
Fabric.why_not() says in a sentence why there can be no bed here, or is None.

shape.py: names and addresses; wiring.py: how they become a network; truth.py: counting.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
# pylint: disable=wrong-import-position
import nest  # noqa: E402
import truth  # noqa: E402
import wiring  # noqa: E402
from nest import Error, Nest  # noqa: E402
from shape import Shape  # noqa: E402

HERE = Path(__file__).resolve().parent
ENTER = str(HERE / "enter.py")
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable

# What mpirun has to be told on this bed; "-x" and the program follow.
MPI_OPTIONS = [
    "--oversubscribe", "--bind-to", "none",
    "--mca", "plm_rsh_agent", ENTER,
    "--mca", "oob_tcp_if_include", "mgmt0",
    "--mca", "pml", "ob1",
    "--mca", "btl", "tcp,self",
    "--mca", "btl_tcp_if_include", "eth0",
    "--mca", "btl_base_warn_component_unused", "0",
    "--mca", "mpi_yield_when_idle", "1",
    "--mca", "orte_keep_fqdn_hostnames", "1",
]

# OpenMPI's own ring, which it would choose for large buffers on many ranks only.
RING_OPTIONS = ["--mca", "coll_tuned_use_dynamic_rules", "1",
                "--mca", "coll_tuned_allreduce_algorithm", "4"]


class Link:
    """A cable between a leaf and a spine; what is done to it is done to both directions."""

    def __init__(self, fabric, leaf, spine):
        self.fabric, self.leaf, self.spine = fabric, leaf, spine

    def ends(self):
        """(node, interface) of both ends, the leaf's first."""
        return [(f"leaf{self.leaf}", f"up{self.spine}"), (f"spine{self.spine}", f"dn{self.leaf}")]

    def key(self):
        return f"{self.leaf}-{self.spine}"

    def rate(self, mbit):
        for node, port in self.ends():
            wiring.shape(self.fabric, node, port, mbit)

    def degrade(self, mbit):
        """The link goes on with this rate."""
        self.rate(mbit)
        self.fabric.slowed[self.key()] = mbit
        self.fabric.save()

    def cut(self):
        """The link is down, and no leaf sends what is for this leaf to this spine any more."""
        self.fabric.cuts.add(self.key())
        for node, port in self.ends():
            self.fabric.ip([f"link set {port} down"], node)
        wiring.route(self.fabric)
        self.fabric.save()

    def restore(self):
        """As new: up, at the fabric's rate, and with routes over it."""
        if self.key() in self.fabric.cuts:
            self.fabric.cuts.discard(self.key())
            for node, port in self.ends():
                self.fabric.ip([f"link set {port} up"], node)
            self.fabric.ip(wiring.down_routes(self.spine, [self.leaf]), f"spine{self.spine}")
            wiring.route(self.fabric)
        if self.fabric.slowed.pop(self.key(), None) is not None:
            self.rate(self.fabric.rate_mbit)
        self.fabric.save()


class Fabric(Shape):
    """One bed. The constructor is Shape's; up() makes it anew, down() leaves
    nothing of it behind, both whatever was there before."""

    def __init__(self, *shape, **named):
        super().__init__(*shape, **named)
        self.state = nest.state_root() / self.prefix
        self.shm = Path("/dev/shm") / f"c4-lab-{os.geteuid()}-{self.prefix}"
        self.nest = None
        self.congestion = None  # what the hosts' connections use
        self.slowed, self.cuts, self.caps, self.drops = {}, set(), {}, []
        self.started = []

    # ---- who and where -----------------------------------------------------------------------

    @staticmethod
    def why_not():
        """None where a bed can be made, else the reason in one sentence."""
        reason = nest.choose()[1]
        return reason and f"no bed of network namespaces here: {reason}"

    def link(self, leaf, spine):
        if leaf not in self.leaf_numbers() or spine not in self.spine_numbers():
            raise Error(f"no link between leaf{leaf} and spine{spine} in this bed")
        return Link(self, leaf, spine)

    def links(self):
        return [Link(self, leaf, spine) for leaf in self.leaf_numbers()
                for spine in self.spine_numbers()]

    def ip(self, lines, node, tool="ip"):
        """A batch of ip or tc commands in a node."""
        self.nest.ip(lines, self.namespace(node), tool)

    # ---- up and down -------------------------------------------------------------------------

    def __enter__(self):
        return self.up()

    def __exit__(self, *_):
        self.down()

    def up(self):
        way, reason = nest.choose()
        if way is None:
            raise Error(reason)
        self.down()
        nest.persist(lambda: nest.state_make(self.state))
        self.nest = Nest(way)
        try:
            self.nest.open()
            self.save()
            self._write_names()
            self._make_shm()
            self.nest.ip([f"netns add {self.namespace(node)}" for node in self.nodes()])
            wiring.configure(self)
            self.nest.ip(wiring.cables(self))
            wiring.wire(self)
            wiring.route(self)
            for link in self.links():
                link.rate(self.rate_mbit)
            for namespace in self._spine_namespaces():
                truth.install(self.nest, namespace)
            self.save()
        except BaseException:
            self.down()
            raise
        return self

    def down(self):
        """Ends what runs in the bed and removes the bed, also one that another process made."""
        place = self.nest or self._recorded()
        (self.state / "bed.json").unlink(missing_ok=True)  # nobody enters any more
        names = [n for n in place.names() if n.startswith(f"{self.prefix}-")] if place else []
        self._end_programs(place, names)
        if place:
            if place.way == "root":
                place.ip([f"netns del {name}" for name in names], force=True)
                self._forget_names()
            place.close()
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.rmtree(self.shm, ignore_errors=True)
        try:
            self.state.parent.rmdir()
        except OSError:
            pass  # other beds
        self.nest = None
        self.slowed, self.cuts, self.caps, self.drops = {}, set(), {}, []

    def _end_programs(self, place, names):
        """Ends what is in the bed and what is on its way there."""
        mine = f"C4_LAB={self.state}"
        wanted = place.networks(names) if place else set()
        nest.end(lambda: [pid for pid in nest.processes()
                          if nest.network(pid) in wanted or nest.carries(pid, mine)])
        while self.started:
            self.started.pop().wait()

    def _recorded(self):
        """The place of a bed of this prefix that is up, or half up, or was once."""
        try:
            bed = json.loads((self.state / "bed.json").read_text())
        except (OSError, ValueError):
            bed = {}
        if bed.get("holder"):
            alive = nest.started(bed["holder"]) == bed["holder_started"]
            return Nest("user", bed["holder"]) if alive else None
        return Nest("root") if nest.choose()[0] == "root" else None

    def save(self):
        """Writes down what other processes need to find this bed and to go on with it."""
        bed = {key: getattr(self, key) for key in (
            "leaves", "spines", "hosts_per_leaf", "rate_mbit", "seed", "symmetric", "prefix",
            "congestion", "slowed", "caps")}
        bed.update(cuts=sorted(self.cuts), shm=str(self.shm), holder=self.nest.holder,
                   holder_started=nest.started(self.nest.holder) if self.nest.holder else None)
        new = self.state / "bed.json.new"
        new.write_text(json.dumps(bed, indent=1) + "\n")
        new.rename(self.state / "bed.json")

    @classmethod
    def load(cls, prefix="c4"):
        """The bed of this prefix that is up, whoever made it."""
        try:
            bed = json.loads((nest.state_root() / prefix / "bed.json").read_text())
        except (OSError, ValueError):
            raise Error(f"no bed {prefix!r} is up") from None
        self = cls(**{key: bed[key] for key in (
            "leaves", "spines", "hosts_per_leaf", "rate_mbit", "seed", "symmetric", "prefix")})
        self.congestion, self.slowed, self.caps = bed["congestion"], bed["slowed"], bed["caps"]
        self.cuts = set(bed["cuts"])
        self.nest = self._recorded()
        if self.nest is None:
            raise Error(f"bed {prefix!r} is gone")
        return self

    def _make_shm(self):
        """Each node's /dev/shm, as the machine sees it: shm / node."""
        self.shm.mkdir(mode=0o755)
        for node in self.nodes():
            (self.shm / node).mkdir()
            (self.shm / node).chmod(0o1777)

    def _write_names(self):
        """Names of the bed for all its nodes; without them each look-up waits for a name server."""
        etc = self.state / "etc"
        etc.mkdir(exist_ok=True)
        lines = ["127.0.0.1 localhost"]
        lines += [f"{self.management(node)} {node}" for node in [*self.hosts(), "mgmt"]]
        (etc / "hosts").write_text("\n".join(lines) + "\n")
        (etc / "nsswitch.conf").write_text("hosts: files\n")
        (etc / "resolv.conf").write_text("")
        if self.nest.way != "root":
            return
        for node in self.nodes():  # for people: `ip netns exec` reads these
            nest.persist(lambda name=self.namespace(node): self._link_names(name, etc))

    @staticmethod
    def _link_names(namespace, etc):
        ours = Path("/etc/netns")
        ours.mkdir(exist_ok=True)
        (ours / namespace).symlink_to(etc)

    def _forget_names(self):
        for link in Path("/etc/netns").glob(f"{self.prefix}-*"):
            link.unlink(missing_ok=True)
        try:
            os.rmdir("/etc/netns")
        except OSError:
            pass  # not empty

    # ---- rates and losses --------------------------------------------------------------------


    def slow_tx(self, host, mbit):
        """A host that cannot send faster than this; None: heals it."""
        self._cap(host, "tx", host, "eth0", mbit)

    def slow_rx(self, host, mbit):
        """A host that cannot receive faster than this; None: heals it."""
        self._cap(host, "rx", f"leaf{self.leaf_of(host)}", host, mbit)

    def _cap(self, host, way, node, port, mbit):
        key = f"{host} {way}"
        if mbit is None and key not in self.caps:
            return
        if mbit is not None:  # one burst must fit, here too
            self.ip([f"link set {port} gso_max_size {wiring.GSO_BYTES}"], node)
        wiring.shape(self, node, port, mbit)
        self.caps.pop(key, None)
        if mbit is not None:
            self.caps[key] = mbit
        self.save()

    def drop(self, src, dst, sport=None, dport=None, percent=100):
        """Loses what src (a host) sends to dst with these ports, in dst's leaf. Returns a
        function that ends it."""
        rule = [f"ip saddr {self.address(src)} ip daddr {self.address(dst)}",
                "meta l4proto { tcp, udp }"]
        rule += [f"th sport {sport}"] if sport else []
        rule += [f"th dport {dport}"] if dport else []
        rule += [f"numgen random mod 1000 < {int(percent * 10)}"] if percent < 100 else []
        leaf = self.namespace(f"leaf{self.leaf_of(dst)}")
        table = f"loss_{os.urandom(4).hex()}"
        self.drops.append((leaf, table))
        chain = f"type filter hook forward priority 0; {' '.join(rule)} counter drop;"
        text = f"table ip {table} {{ chain c {{ {chain} }}; }}\n"
        self.nest.within(leaf, ["nft", "-f", "-"], text)
        return lambda: self._undrop(leaf, table)

    def _undrop(self, leaf, table):
        if (leaf, table) in self.drops:
            self.drops.remove((leaf, table))
            self.nest.within(leaf, ["nft", "delete", "table", "ip", table])

    def heal(self):
        """Ends what runs in the bed, and every fault that was put into it."""
        self._end_programs(self.nest, [self.namespace(node) for node in self.nodes()])
        for link in self.links():
            if link.key() in self.cuts or link.key() in self.slowed:
                link.restore()
        for key in list(self.caps):
            host, way = key.split()
            (self.slow_tx if way == "tx" else self.slow_rx)(host, None)
        for leaf, table in list(self.drops):
            self._undrop(leaf, table)

    def reseed(self, seed, leaves=None):
        """These leaves (default: all) spread connections otherwise from now on, as after a
        change of the switches' configuration: live connections change their paths, too."""
        for leaf in leaves or self.leaf_numbers():
            self.call(f"leaf{leaf}",
                      ["sysctl", "-qw", f"net.ipv4.fib_multipath_hash_seed={seed}"])

    # ---- what really happened ----------------------------------------------------------------

    def truth(self, count="bytes"):
        """{(src, sport, dst, dport): {spine: bytes}} of all TCP and UDP through the spines since
        up() or truth_reset(); count="packets" counts these. Bytes are those of IP packets as
        they come to the spine; several that travel as one (GSO) are one packet. Raises Error if
        there were more connections than a spine can count."""
        seen = {}
        for spine, namespace in zip(self.spine_numbers(), self._spine_namespaces()):
            for connection, amount in truth.read(self.nest, namespace, count).items():
                seen.setdefault(connection, {})[f"spine{spine}"] = amount
        return seen

    def truth_reset(self):
        for namespace in self._spine_namespaces():
            truth.reset(self.nest, namespace)

    def _spine_namespaces(self):
        return [self.namespace(f"spine{spine}") for spine in self.spine_numbers()]

    def link_bytes(self):
        """{(leaf, spine): (up, down)}: bytes sent, numbers as in link()."""
        def sent(node):
            text = self.nest.run(["ip", "-n", self.namespace(node), "-j", "-s", "link"])
            return {i["ifname"]: i["stats64"]["tx"]["bytes"] for i in json.loads(text)}

        up = {leaf: sent(f"leaf{leaf}") for leaf in self.leaf_numbers()}
        down = {spine: sent(f"spine{spine}") for spine in self.spine_numbers()}
        return {(k.leaf, k.spine): (up[k.leaf][f"up{k.spine}"], down[k.spine][f"dn{k.leaf}"])
                for k in self.links()}

    def probe(self, src, dst, sports, dport=9, protocol="tcp"):
        """{sport: spine} for connections from src to dst with these source ports; a port that
        got no answer is not in it."""
        line = [PYTHON, "-B", str(HERE / "ttlprobe.py"), protocol, self.address(dst), dport, 2]
        text = self.call(src, line, feed="\n".join(str(port) for port in sports))
        names = {a: name for name, found in self.switch_addresses().items() for a in found}
        hops = json.loads(text)["hops"]
        return {int(port): names.get(hop, hop) for port, hop in hops.items() if hop}

    # ---- programs ----------------------------------------------------------------------------

    def line(self, node, argv):
        """The command line that runs argv as this node; needs the environment env() gives."""
        self._must_have(node)
        return [PYTHON, "-B", ENTER, node, "--", *map(str, argv)]

    def env(self, more=None):
        sbin = {"PATH": nest.PATH, "C4_LAB": str(self.state), "PYTHONDONTWRITEBYTECODE": "1",
                "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        return {**os.environ, **sbin, **(more or {})}

    def run(self, node, argv, env=None, **options):
        """Popen of a program on a node, under the node's name, in a process group of its own.
        It ends with the bed if not before (end() ends it and what it started)."""
        options.setdefault("stdin", subprocess.DEVNULL)
        popen = subprocess.Popen(self.line(node, argv), env=self.env(env), start_new_session=True,
                                 **options)
        self.started.append(popen)
        return popen

    def call(self, node, argv, feed=None, env=None, timeout=60):
        """What a program says that is run on a node to its end; Error if it fails."""
        popen = self.run(node, argv, env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        try:
            out, err = popen.communicate(feed, timeout)
        except subprocess.TimeoutExpired:
            raise Error(f"{node}: {argv[0]} runs longer than {timeout} s") from None
        finally:
            self.end(popen)
        if popen.returncode != 0:
            raise Error(f"{node}: {' '.join(map(str, argv))[:200]}: status {popen.returncode}: "
                        f"{err.strip()[-500:]}")
        return out

    def end(self, popen):
        """Ends a program of run() with its process group."""
        if popen.poll() is None:
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()
        if popen in self.started:
            self.started.remove(popen)

    def mpirun_line(self, hosts, argv, per_host=1, env=None, options=()):
        """mpirun's command line for the ranks in this order of hosts, to be run on one of them
        by run(), or wrapped before."""
        for host in hosts:
            self._must_have(host)
        exports = [word for key, value in (env or {}).items() for word in ("-x", f"{key}={value}")]
        return ["mpirun", *MPI_OPTIONS, "--mca", "orte_tmpdir_base", str(self.tmp()),
                "--host", ",".join(f"{host}:{per_host}" for host in hosts),
                "-np", str(len(hosts) * per_host), *options, *exports, *map(str, argv)]

    def mpirun(self, hosts, argv, per_host=1, env=None, options=(), **popen):
        """Popen of mpirun on the first of these hosts; env is what the ranks get."""
        return self.run(hosts[0], self.mpirun_line(hosts, argv, per_host, env, options), **popen)

    def train(self, hosts, argv, env=None, **popen):
        """Popens of a PyTorch job, a process per host, which finds itself by the usual variables:
        Gloo's data go over the fabric, the rendezvous over the management network."""
        job = {"WORLD_SIZE": str(len(hosts)), "MASTER_ADDR": self.management(hosts[0]),
               "MASTER_PORT": "29511", "GLOO_SOCKET_IFNAME": "eth0", "OMP_NUM_THREADS": "1"}
        return [self.run(host, argv, {**job, "RANK": str(rank), **(env or {})}, **popen)
                for rank, host in enumerate(hosts)]

    def tmp(self):
        """A directory that goes with the bed."""
        path = self.state / "tmp"
        path.mkdir(exist_ok=True)
        return path

    def http(self, url, data=None, node="mgmt", timeout=10):
        """(status, body) of a request sent from a node: the machine itself has no way in."""
        text = self.call(node, [PYTHON, "-c", HTTP, url, str(timeout), "" if data is None else "1"],
                         data or "", timeout=timeout + 20)
        status, _, body = text.partition("\n")
        return int(status), body

    def _must_have(self, node):
        if node not in self.nodes():
            raise Error(f"no node {node!r} in this bed")


HTTP = """
import sys, urllib.error, urllib.request
url, timeout, post = sys.argv[1:]
data = sys.stdin.buffer.read() if post else None
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=float(timeout))
except urllib.error.HTTPError as error:
    answer = error
sys.stdout.write(f"{answer.status}\\n" + answer.read().decode(errors="replace"))
"""


# ---- command line --------------------------------------------------------------------------------

def show_status(bed):
    print(f"bed {bed.prefix}: {bed.leaves} leaves, {bed.spines} spines, "
          f"{bed.leaves * bed.hosts_per_leaf} hosts, {bed.rate_mbit} Mbit/s, seed {bed.seed}, "
          f"{'symmetric' if bed.symmetric else 'asymmetric'}, {bed.congestion}, "
          f"{'named' if bed.nest.way == 'root' else 'in a user namespace'}")
    for key in sorted(bed.cuts):
        print("cut leaf{}-spine{}".format(*key.split("-")))
    for key, mbit in sorted(bed.slowed.items()):
        print("leaf{}-spine{} at {} Mbit/s".format(*key.split("-"), mbit))
    for key, mbit in sorted(bed.caps.items()):
        print(f"{key} at {mbit} Mbit/s")
    print(f"{len(bed.nest.pids([bed.namespace(node) for node in bed.nodes()]))} processes inside")


def show_counters(bed):
    for (leaf, spine), (up, down) in bed.link_bytes().items():
        print(f"leaf{leaf} spine{spine} up {up} down {down}")


def show_truth(bed):
    for (src, sport, dst, dport), spines in sorted(bed.truth().items()):
        for spine, size in sorted(spines.items()):
            print(src, sport, dst, dport, spine, size)


def arguments():
    options = argparse.ArgumentParser(prog="fabric.py", description="leaf-spine bed of namespaces")
    options.add_argument("--prefix", default="c4", help="name of the bed (%(default)s)")
    verbs = options.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="make the bed, anew if it is there")
    for name, value in (("leaves", 2), ("spines", 4), ("hosts-per-leaf", 4), ("rate-mbit", 100),
                        ("seed", 42)):
        up.add_argument(f"--{name}", type=int, default=value, help="(%(default)s)")
    up.add_argument("--asymmetric", action="store_true", help="each leaf has a seed of its own")
    for verb, about in (("down", "remove it and what runs inside"), ("status", "what there is"),
                        ("counters", "bytes sent per link and direction"),
                        ("truth", "bytes per connection and spine")):
        verbs.add_parser(verb, help=about)
    verbs.add_parser("yaml", help="print the c4.fabric/v1 of it").add_argument("file", nargs="?")
    for verb, about in (("cut", "take a link down"), ("restore", "heal a link"),
                        ("degrade", "slow a link down")):
        link = verbs.add_parser(verb, help=about)
        link.add_argument("leaf", type=int)
        link.add_argument("spine", type=int)
        if verb == "degrade":
            link.add_argument("mbit", type=int)
    run = verbs.add_parser("run", help="run a command as a node of the bed")
    run.add_argument("node")
    run.add_argument("command", nargs=argparse.REMAINDER)
    return options.parse_args()


def act(given):
    if given.verb == "up":
        bed = Fabric(given.leaves, given.spines, given.hosts_per_leaf, given.rate_mbit, given.seed,
                     not given.asymmetric, given.prefix).up()
        show_status(bed)
        return
    if given.verb == "down":
        Fabric(prefix=given.prefix).down()
        return
    bed = Fabric.load(given.prefix)
    if given.verb in ("cut", "restore"):
        getattr(bed.link(given.leaf, given.spine), given.verb)()
    elif given.verb == "degrade":
        bed.link(given.leaf, given.spine).degrade(given.mbit)
    elif given.verb == "yaml":
        text = bed.yaml(given.file)
        print(text if given.file is None else "", end="")
    elif given.verb == "run":
        command = given.command[1:] if given.command[:1] == ["--"] else given.command
        line = bed.line(given.node, command or ["sh"])
        os.execvpe(line[0], line, bed.env())
    else:
        {"status": show_status, "counters": show_counters, "truth": show_truth}[given.verb](bed)


def main():
    reason = Fabric.why_not()
    if reason:
        sys.exit(f"fabric.py: {reason}")
    try:
        act(arguments())
    except Error as error:
        sys.exit(f"fabric.py: {error}")


if __name__ == "__main__":
    main()
