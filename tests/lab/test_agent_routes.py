# SPDX-License-Identifier: BSD-3-Clause
"""Agents that find the ports of a plan on a fabric of namespaces; the planner is a stub."""

import json
import subprocess
import sys
import time

import pytest

from conftest import BUILD, until
from fabric import HERE, PYTHON

sys.path.insert(0, str(HERE))

PLANNER_PORT = 7100
FLOW = [PYTHON, "-B", str(HERE / "flow.py")]
TABLE = [PYTHON, "-B", str(HERE / "plantable.py")]
STUB = [PYTHON, "-B", str(HERE / "stubplanner.py")]
PAIRS = [PYTHON, "-B", str(HERE.parent / "route" / "pairs.py"), BUILD / "route" / "libibverbs.so.1"]


class Scene:
    """Two leaves, four spines, two hosts each, leaves with seeds of their own; an agent a host."""

    def __init__(self, bed, tmp_path):
        self.bed, self.place = bed, tmp_path
        self.agents = {}
        self.plan = {"version": 0, "routes": [], "watches": [],
                     "switches": [{"name": name, "addresses": addresses, "epoch": 1}
                                  for name, addresses in bed.switch_addresses().items()]}
        (tmp_path / "reports.jsonl").touch()
        bed.run("mgmt", [*STUB, tmp_path, PLANNER_PORT])
        for host in bed.hosts():
            (tmp_path / host).mkdir(mode=0o700)
            self.start(host)

    def start(self, host):
        at = f"{self.bed.management('mgmt')}:{PLANNER_PORT}"
        argv = [BUILD / "bin" / "c4agent", "--collector", at, "--planner", at, "--node", host,
                "--runtime-dir", self.place / host, "--sysfs", self.place / "sys"]
        with open(self.place / f"{host}.log", "a") as log:
            self.agents[host] = self.bed.run(host, argv, {"C4_LOG": "debug"}, stderr=log)

    def route(self, name, src, dst, spine):
        bed = self.bed
        return {"id": name, "src": bed.address(src), "dst": bed.address(dst),
                "path": [f"leaf{bed.leaf_of(src)}", f"spine{spine}", f"leaf{bed.leaf_of(dst)}"]}

    def tell(self, *routes, watches=()):
        """A new plan; returns when all agents follow it and know each other's."""
        self.plan["version"] += 1
        if routes:
            self.plan["routes"] = [self.route(*route) for route in routes]
        self.plan["watches"] = list(watches)
        making = self.place / "plan.new"
        making.write_text(json.dumps(self.plan))
        making.rename(self.place / "plan.json")
        wanted = self.plan["version"] * 1000 + len(self.agents)
        assert until(lambda: all(self.last(host).get("plan_version") == wanted
                                 for host in self.agents), 15), "nobody follows the plan"

    def reports(self, host):
        lines = (self.place / "reports.jsonl").read_text().splitlines()
        return [r for r in map(json.loads, lines) if r.get("node") == host]

    def last(self, host):
        return (self.reports(host) or [{}])[-1]

    def ask(self, host, peer, dport, proto="tcp"):
        return json.loads(self.bed.call(host, [*TABLE, "ask", self.place / host, host, proto,
                                               self.bed.address(peer), dport]))

    def show(self, host):
        return json.loads(self.bed.call(host, [*TABLE, "show", self.place / host, host]))

    def dest(self, host, peer, dport):
        for dest in self.show(host)["dests"]:
            if (dest["dst"], dest["dport"]) == (self.bed.address(peer), dport):
                return dest
        return None

    def spines(self, host, peer, dport, slots, proto="tcp"):
        """Per slot the set of spines that its ports really take."""
        ports = [port for slot in slots for port in slot["ports"]]
        truth = self.bed.probe(host, peer, ports, dport, proto)
        return [{truth.get(port) for port in slot["ports"]} for slot in slots]

    def probes_sent(self, host):
        return self.last(host).get("probes_sent", 0)

    def quiet(self, host):
        """Waits until no more is probed than the samples every few seconds; returns the number."""
        def steady():
            before = self.probes_sent(host)
            reports = len(self.reports(host))
            until(lambda: len(self.reports(host)) >= reports + 2, 5)
            return self.probes_sent(host) - before <= 8 and self.probes_sent(host) or None

        return until(steady, 20)


@pytest.fixture
def scene(make_bed, tmp_path):
    if not (BUILD / "bin" / "c4agent").exists():
        pytest.skip("c4agent is not built")
    tmp_path.chmod(0o755)
    return Scene(make_bed(leaves=2, spines=4, hosts_per_leaf=2, symmetric=False, seed=7), tmp_path)


def test_ports_take_the_planned_paths(scene):
    scene.tell(("a", "h1", "h3", 1), ("b", "h1", "h3", 3), ("c", "h3", "h1", 2))
    assert scene.show("h1")["peers"] == {scene.bed.address("h3"): scene.bed.address("h1")}
    times, probes = [], scene.probes_sent("h1")
    for dport in range(5000, 5010):
        answer = scene.ask("h1", "h3", dport)
        times.append(answer["ms"])
        assert scene.spines("h1", "h3", dport, answer["slots"]) == [{"spine1"}, {"spine3"}]
    assert sorted(times)[5] < 20, times  # of the worst the machine decides
    probes = scene.quiet("h1") - probes
    print(f"ms per ask: {sorted(times)}; probes per destination: {probes / 10}")
    assert probes / 10 < 100

    # nothing of it reached the peer, and each slot's best port comes back the planned way
    for dport in range(5000, 5010):
        first = scene.dest("h1", "h3", dport)["slots"][0]["ports"][0]
        assert scene.bed.probe("h3", "h1", [dport], first) == {dport: "spine2"}, dport
    seen = [p for r in scene.reports("h1") for p in r["probes"]]
    assert {p["src"] for p in seen} == {scene.bed.address("h1"), scene.bed.address("h3")}
    names = {a: n for n, found in scene.bed.switch_addresses().items() for a in found}
    assert all(names[p["hops"][1]].startswith("spine") for p in seen if p["hops"][1])


CLIENT = """import socket, sys
for _ in range(20):
    with socket.create_connection((sys.argv[1], 5000)) as s:
        print(s.getsockname()[1])
"""


def test_ports_that_nobody_can_have_are_replaced(scene):
    """A closed connection keeps its port for a minute: who comes next gets another good one."""
    bed = scene.bed
    scene.tell(("a", "h1", "h3", 1))
    bed.run("h3", [*FLOW, "recv", 5000])
    assert until(lambda: ":5000 " in bed.call("h3", ["ss", "-Hltn"]), 5)
    hook = {"LD_PRELOAD": str(BUILD / "lib" / "libc4route.so"), "C4_NODE": "h1",
            "C4_RUNTIME_DIR": str(scene.place / "h1")}
    ports = [int(port) for port in bed.call("h1", [PYTHON, "-c", CLIENT, bed.address("h3")],
                                            env=hook).split()]
    assert len(set(ports)) == 20
    assert until(lambda: bed.call("h1", ["ss", "-Htn", "state", "time-wait"]).count(":5000") == 20,
                 20), "they do not hold their ports: this tests nothing"
    truth, ends = bed.truth(), (bed.address("h1"), bed.address("h3"))
    took = [set(truth[ends[0], port, ends[1], 5000]) for port in ports]
    assert took == [{"spine1"}] * 20, took
    # those that are free are looked for beforehand
    free = until(lambda: set(scene.dest("h1", "h3", 5000)["slots"][0]["ports"]) - set(ports), 5)
    assert free


def test_roce(scene):
    """UDP, without ways back: each end chooses for what it sends."""
    scene.tell(("a", "h1", "h3", 4), ("c", "h3", "h1", 2), ("d", "h3", "h1", 1))
    answer = scene.ask("h1", "h3", 4791, "udp")
    assert scene.spines("h1", "h3", 4791, answer["slots"], "udp") == [{"spine4"}]
    assert all(port >= 49152 for port in answer["slots"][0]["ports"])


class Job:
    """A program with queue pairs on a host, and its RDMA port; nothing is sent."""

    def __init__(self, scene, host):
        self.scene, self.host = scene, host
        self.port = scene.place / "sys/class/infiniband/mlx5_0/ports/1"
        for name in ("gids", "counters"):
            (self.port / name).mkdir(parents=True)
        (self.port / "gids/1").write_text("::ffff:" + scene.bed.address(host))
        self.sent = 0
        self.send(0)
        env = {"LD_PRELOAD": str(BUILD / "lib" / "libc4route.so"), "C4_NODE": host,
               "C4_RUNTIME_DIR": str(scene.place / host)}
        self.process = scene.bed.run(host, PAIRS, env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True)

    def send(self, count):
        """The port counts more bytes. Renamed into place: it is read all the time."""
        self.sent += count
        (self.port / "new").write_text(f"{self.sent // 4}\n")
        (self.port / "new").rename(self.port / "counters/port_xmit_data")

    def say(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def up(self, peer, label=0, number=0):
        address = self.scene.bed.address
        return self.say("up", address(self.host), address(peer), label, number)

    def flows(self):
        return [f for f in self.scene.last(self.host)["flows"] if f["proto"] == 17]

    def seen(self):
        return sorted((f["sport"], f["connections"], f.get("id")) for f in self.flows())


def port_of(label):
    return 0xc000 | (label & 0x3fff) ^ (label >> 14)


@pytest.mark.skipif(not (BUILD / "route" / "libibverbs.so.1").exists(), reason="not built")
def test_queue_pairs(scene):
    """Seen before there is a plan for them, planned while they live, gone with their process."""
    scene.tell(("other", "h2", "h4", 1))
    job = Job(scene, "h1")
    job.up("h3", 5)
    job.up("h3", 5)
    job.up("h3", 0, 200)  # its port comes of its numbers, 102 and 200
    last = job.up("h3", 77)
    chance = [(port_of(5), 2, None), (port_of(102 * 200), 1, None)]
    assert until(lambda: job.seen() == sorted([*chance, (port_of(77), 1, None)]), 5), job.seen()
    assert job.say("down", last) == 0
    assert until(lambda: job.seen() == sorted(chance), 5), job.seen()

    def shares():
        job.send(3 << 20)
        sent = {f["connections"]: f.get("sent_bytes", 0) for f in job.flows()}
        return sent.get(1) and abs(sent[2] - 2 * sent[1]) <= 2 and sent

    assert until(shares, 10, 0.5), job.flows()
    assert all(not f.get("busy_ms") and not f.get("received_bytes") for f in job.flows())

    scene.tell(("other", "h2", "h4", 1), ("a", "h1", "h3", 2))
    assert until(lambda: scene.dest("h1", "h3", 4791), 5)
    slot = until(lambda: scene.dest("h1", "h3", 4791)["slots"], 5)[0]
    assert until(lambda: {port_of(job.say("label", i)) for i in range(3)} <= set(slot["ports"]), 5)
    assert scene.spines("h1", "h3", 4791, [slot], "udp") == [{"spine2"}]
    assert until(lambda: [s[1:] for s in job.seen()] == [(3, "a")], 5), job.seen()
    time.sleep(3)  # what the agent corrects by what it heard it corrects after two seconds
    assert scene.dest("h1", "h3", 4791)["slots"][0]["claimed"] == 3

    # another agent hears of them, too
    scene.agents["h1"].kill()
    scene.agents["h1"].wait()
    before = len(scene.reports("h1"))
    scene.start("h1")
    assert until(lambda: len(scene.reports("h1")) > before, 10)
    assert until(lambda: [s[1:] for s in job.seen()] == [(3, "a")], 10), job.seen()
    assert until(lambda: scene.dest("h1", "h3", 4791)["slots"][0]["claimed"] == 3, 10)

    job.process.kill()  # nobody has fetched its status yet
    assert until(lambda: not job.flows(), 5)
    assert until(lambda: scene.dest("h1", "h3", 4791)["slots"][0]["claimed"] == 0, 5)


def test_what_cannot_be(scene):
    scene.tell(("a", "h1", "h3", 1), ("same leaf", "h1", "h2", 1))
    assert scene.ask("h2", "h3", 5000) == {"ms": None, "slots": []}  # not planned: no peer
    scene.plan["switches"] = [s for s in scene.plan["switches"] if s["name"] != "spine2"]
    scene.plan["switches"].append({"name": "spine2", "addresses": ["1.2.3.4"], "epoch": 1})
    scene.tell(("a", "h1", "h3", 2))  # nobody ever answers at its address
    answer = scene.ask("h1", "h3", 5000)
    assert answer["slots"] == [] and answer["until_ms"] > 0


def test_plan_and_epoch(scene):
    scene.tell(("a", "h1", "h3", 1))
    scene.ask("h1", "h3", 5000)
    before = scene.quiet("h1")
    scene.tell(("a", "h1", "h3", 2))
    assert until(lambda: scene.spines("h1", "h3", 5000, scene.dest("h1", "h3", 5000)["slots"]) ==
                 [{"spine2"}], 5)
    assert scene.dest("h1", "h3", 5000)["slots"][0]["moved"] == 1
    after = scene.quiet("h1")
    scene.bed.reseed(99, [1])  # as after a link event: the planner says so
    scene.plan["switches"][0]["epoch"] += 1
    scene.tell()
    assert until(lambda: scene.spines("h1", "h3", 5000, scene.dest("h1", "h3", 5000)["slots"]) ==
                 [{"spine2"}], 5)
    assert scene.quiet("h1") > after >= before


def test_changed_seed_is_noticed(scene):
    """Nobody tells: samples do. A connection that lives is one of them."""
    bed = scene.bed
    scene.tell(("a", "h1", "h3", 1), ("b", "h1", "h3", 2))
    answer = scene.ask("h1", "h3", 5000)
    bed.run("h3", [*FLOW, "recv", 5000])
    assert until(lambda: ":5000 " in bed.call("h3", ["ss", "-Hltn"]), 5)
    sport = answer["slots"][0]["ports"][0]
    bed.run("h1", [*FLOW, "send", bed.address("h3"), 5000, 60, sport], stdout=subprocess.DEVNULL)

    def flow():
        return next((f for f in scene.last("h1").get("flows", ()) if f["sport"] == sport), None)

    seen = until(flow, 10)
    assert seen and seen["initiated"] and seen["id"] == "a" and seen["sent_bytes"] > 1e6, seen
    assert until(lambda: scene.dest("h1", "h3", 5000)["slots"][0]["claimed"] == 1, 10)
    assert sport not in scene.dest("h1", "h3", 5000)["slots"][0]["ports"][:1]
    theirs = until(lambda: next((f for f in scene.last("h3").get("flows", ())
                                 if f["dport"] == sport), None), 5)
    assert theirs and not theirs.get("initiated") and theirs["received_bytes"] > 1e6

    bed.reseed(4242, [1])
    begun = time.monotonic()
    assert until(lambda: any(r["doubts"] for r in scene.reports("h1")), 20), "no doubt"
    print(f"doubt after {time.monotonic() - begun:.1f} s")
    assert until(lambda: scene.spines("h1", "h3", 5000, scene.dest("h1", "h3", 5000)["slots"]) ==
                 [{"spine1"}, {"spine2"}], 5)

    # the planner hears where the connection that lives goes now
    bed.truth_reset()
    key = (bed.address("h1"), sport, bed.address("h3"), 5000)
    real = until(lambda: set(bed.truth().get(key, {})), 5)
    names = {a: n for n, found in bed.switch_addresses().items() for a in found}
    told = until(lambda: [names[p["hops"][1]] for r in scene.reports("h1") for p in r["probes"]
                          if p.get("live") and p["sport"] == sport and p["hops"][1]], 5)
    assert {told[-1]} == real

    # which hop it waits at, live
    w = {"src": bed.address("h1"), "dst": bed.address("h3"), "proto": 6, "sport": sport,
         "dport": 5000}
    scene.tell(watches=[w])
    live = until(lambda: next((p for r in scene.reports("h1") for p in r["probes"]
                               if p.get("live") and len(p["hops"]) == 3), None), 10)
    assert live and all(live["hops"]), live
    assert live["hop_rtt_us"][1] > 10 * live["hop_rtt_us"][0], live  # the leaf's queue


def test_quiet_when_all_is_found(scene):
    scene.tell(("a", "h1", "h3", 1), ("b", "h1", "h3", 2))
    scene.ask("h1", "h3", 5000)
    assert scene.quiet("h1")
    before, begun = scene.probes_sent("h1"), len(scene.reports("h1"))
    assert until(lambda: len(scene.reports("h1")) >= begun + 8, 15)
    assert scene.probes_sent("h1") - before <= 8  # samples: two every three seconds


def test_planner_and_agent_go(scene):
    scene.tell(("a", "h1", "h3", 1))
    stub = scene.bed.started[0]
    scene.bed.end(stub)
    answer = scene.ask("h1", "h3", 5000)  # the last plan stays
    assert scene.spines("h1", "h3", 5000, answer["slots"]) == [{"spine1"}]
    agent = scene.agents["h1"]
    agent.kill()
    agent.wait()
    assert until(lambda: scene.show("h1")["beat_ms"] > 1000, 5)  # stale: nobody follows it
    scene.start("h1")
    assert until(lambda: scene.show("h1")["beat_ms"] < 500, 5)
    scene.agents["h1"].terminate()
    assert scene.agents["h1"].wait(timeout=10) == 0
    left = [path.name for path in (scene.place / "h1").iterdir()]
    assert not [name for name in left if name.startswith("routes-")], left
