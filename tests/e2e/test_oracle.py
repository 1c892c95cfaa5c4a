# SPDX-License-Identifier: BSD-3-Clause
"""Plans judged from outside: this file knows the model of the switches (planner/FORMATS.md) and
the plan's source ports, nothing else of the planner, and recomputes every path and load."""

import collections
import json
import subprocess

import pytest

from conftest import program

MASK = (1 << 64) - 1
ROCE, UDP = 4791, 17


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def crc(value, poly, data):
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (poly if value & 1 else 0)
    return value


def crc32(seed, data):
    return ~crc(~seed & 0xFFFFFFFF, 0xEDB88320, data) & 0xFFFFFFFF


def crc16(seed, data):
    return crc((seed ^ seed >> 16) & 0xFFFF, 0xA001, data)


HASHES = {"crc32": (crc32, 32), "crc16": (crc16, 16)}


class Switches:
    """The network of `c4plan fabric show --json`, choosing by hash."""

    def __init__(self, shown, kind, seed):
        self.hash, self.bits = HASHES[kind]
        self.seed = seed
        names = [shown["leaves"], shown["spines"], shown.get("cores", [])]
        self.tier = {name: tier for tier, tiers in enumerate(names) for name in tiers}
        self.index = {name: i for i, name in enumerate(sum(names, []))}
        self.nics = {}
        for host in shown["hosts"]:
            for nic in host["nics"]:
                address = (0x0A000001 + len(self.nics)).to_bytes(4, "big")
                self.nics[f'{host["name"]}/{nic["name"]}'] = (address, nic["leaf"])
        self.links = collections.defaultdict(list)
        for number, link in enumerate(shown["links"]):
            if link.get("now_gbps", link["gbps"]) > 0:
                self.links[link["a"]].append((self.index[link["b"]], number, link["b"]))
                self.links[link["b"]].append((self.index[link["a"]], number, link["a"]))
        for links in self.links.values():
            links.sort()
        self.distances = {}

    def distance(self, leaf):
        """Hops to this leaf, down from spines, then by cores; leaves are not passed through."""
        if leaf not in self.distances:
            hops = {leaf: 0}
            for tier, n in ((1, 1), (2, 2), (1, 3)):
                for at in [s for s, h in hops.items() if h == n - 1]:
                    for _, _, to in self.links[at]:
                        if self.tier[to] == tier:
                            hops.setdefault(to, n)
            self.distances[leaf] = hops
        return self.distances[leaf]

    def choose(self, at, group, data):
        if len(group) == 1:
            return group[0]
        value = self.hash(mix(self.seed ^ mix(self.index[at])) & 0xFFFFFFFF, data)
        turn = 8 * self.tier[at] % self.bits
        value = (value >> turn | value << (self.bits - turn)) & ((1 << self.bits) - 1)
        return group[value % len(group)]

    def path(self, src, dst, sport):
        """Switches on the way, and (link, from) of each hop."""
        (sip, at), (dip, leaf) = self.nics[src], self.nics[dst]
        data = sip + dip + sport.to_bytes(2, "big") + ROCE.to_bytes(2, "big") + bytes([UDP])
        hops, way, crossed = self.distance(leaf), [at], []
        while at != leaf:
            up = self.tier[at] == 0
            nearer = min(hops[to] for _, _, to in self.links[at] if to in hops) if up \
                else hops[at] - 1
            group = [link for link in self.links[at] if hops.get(link[2]) == nearer]
            _, number, to = self.choose(at, group, data)
            crossed.append((number, at))
            at = to
            way.append(at)
        return way, crossed


def c4plan(*args):
    return subprocess.run([program("c4plan"), *args], capture_output=True, text=True, check=True,
                          timeout=60).stdout


def demand(hosts, planes, qps):
    """Everybody to three others, by a rule that looks random."""
    return {"schema": "c4.demand/v1", "connections": [
        {"id": f"c{h}.{p}.{n}", "job": f"j{h % 5}", "src": f"h{h}/r0p{p}",
         "dst": f"h{mix(h * 7 + n) % hosts}/r0p{p}", "weight": 1.0, "qps": qps}
        for h in range(hosts) for p in range(planes) for n in range(3)]}


@pytest.mark.parametrize("kind", sorted(HASHES))
@pytest.mark.parametrize("shape", [
    ("--leaves", "8", "--spines", "7", "--hosts-per-leaf", "4", "--planes", "2"),
    ("--leaves", "8", "--spines", "4", "--hosts-per-leaf", "4", "--pods", "2"),
], ids=["flat", "pods"])
@pytest.mark.parametrize("dead", [False, True], ids=["whole", "dead"])
def test_ports_lead_where_the_plan_says(tmp_path, shape, kind, dead):
    fabric, jobs = tmp_path / "fabric.yaml", tmp_path / "demand.json"
    text = c4plan("fabric", "make", "--rails", "1", *shape)
    if dead:
        alive = "{a: leaf1, b: spine2, "
        assert text.count(alive) == 1
        text = text.replace(alive, alive + "now_gbps: 0, ")
    fabric.write_text(text)
    planes = 2 if "--planes" in shape else 1
    jobs.write_text(json.dumps(demand(32, planes, 2)))
    shown = json.loads(c4plan("fabric", "show", "--fabric", str(fabric), "--json"))
    assert not dead or any(link.get("now_gbps") == 0 for link in shown["links"])
    plan = json.loads(c4plan("make", "--fabric", str(fabric), "--demand", str(jobs), "--json",
                             "--oracle", f"{kind},seed=77"))
    switches = Switches(shown, kind, 77)
    conns = {c["id"]: c for c in json.loads(jobs.read_text())["connections"]}
    load, used = collections.Counter(), set()
    assert len(plan["routes"]) == sum(c["qps"] for c in conns.values())
    for route in plan["routes"]:
        conn = conns[route["id"]]
        flow = (conn["src"], conn["dst"], route["sport"])
        assert flow not in used, "two QPs of a pair share a port"
        used.add(flow)
        folded = route["flow_label"] & 0x3FFF ^ route["flow_label"] >> 14
        assert route["flow_label"] and 0xC000 | folded == route["sport"]
        way, crossed = switches.path(*flow)
        assert way == route["path"]
        for hop in crossed:
            load[hop] += conn["weight"] / conn["qps"]
    assert max(load.values()) == pytest.approx(plan["max_link_load"])
