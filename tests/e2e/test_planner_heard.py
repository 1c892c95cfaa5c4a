# SPDX-License-Identifier: BSD-3-Clause
"""What the collector finds out from NCCL's counters becomes a link, and another plan: real plugin, agent,
collector and planner; agents that tell which way queue pairs go, in a network they imagine."""

import json
import subprocess

import pytest

from conftest import BUILD, free_port, http, program, until
from route_wire import FakeAgent, ip
from test_nccl_plugin import HOST, PLUGIN, SLOW_LINK, run, scene
from test_planner import Planner

pytestmark = [
    pytest.mark.asleep,
    pytest.mark.long,
    pytest.mark.skipif(not (HOST.exists() and PLUGIN.exists()), reason=f"no {HOST.relative_to(BUILD)} built"),
]

NODES, SPINES = 4, 4
RDMA = 4791
SLOW = (1, 2)


def fabric():
    """Each node under a leaf of its own."""
    lines = ["schema: c4.fabric/v1", "hosts:"]
    for i in range(NODES):
        lines += [f"- name: n{i}", "  nics:", f"  - {{name: eth0, leaf: leaf{i}, ipv4: 10.0.{i}.1, gbps: 400}}"]
    lines += ["leaves: [" + ", ".join(f"leaf{i}" for i in range(NODES)) + "]",
              "spines: [" + ", ".join(f"spine{i}" for i in range(SPINES)) + "]", "switches:"]
    lines += [f"- {{name: leaf{i}, addresses: [10.77.{i}.1]}}" for i in range(NODES)]
    lines += [f"- {{name: spine{i}, addresses: [10.78.{i}.1]}}" for i in range(SPINES)]
    lines += ["links:"]
    lines += [f"- {{a: leaf{i}, b: spine{k}, gbps: 400}}" for i in range(NODES) for k in range(SPINES)]
    return "\n".join(lines) + "\n"


PAIRS = [(a, b) for a in range(NODES) for b in range(NODES) if a != b]


def demand():
    return json.dumps({"schema": "c4.demand/v1", "connections": [
        {"id": f"{a}>{b}", "job": "j", "src": f"n{a}", "dst": f"n{b}"} for a, b in PAIRS]})


class QueuePairs:
    """One between each two nodes; over the spine that `spine` says, else as planned."""

    def __init__(self, planner):
        port = int(planner.address.rsplit(":", 1)[1])
        self.planner = planner
        self.agents = [FakeAgent(port, f"n{i}", f"10.0.{i}.1", instance=i + 1) for i in range(NODES)]
        self.spine = {}

    def way(self, a, b):
        ways = self.agents[a].ways() if self.agents[a].plan else {}
        if (a, b) in self.spine:
            return [f"leaf{a}", f"spine{self.spine[a, b]}", f"leaf{b}"]
        return ways.get((f"{a}>{b}", 0))

    def talk(self, a):
        flows, probes = [], []
        for b in (b for b in range(NODES) if b != a):
            way = self.way(a, b)
            if not way:
                continue
            sport = 50000 + 100 * a + 10 * b + int(way[1][-1])
            key = {"src": self.agents[a].address, "dst": self.agents[b].address, "proto": 17,
                   "sport": sport, "dport": RDMA}
            flows.append(dict(key, initiated=True, interval_ms=1000, id=f"{a}>{b}", qp=0))
            probes.append(dict(key, live=True, hops=[ip(f"10.77.{a}.1"), ip(f"10.78.{way[1][-1]}.1"),
                                                     ip(f"10.77.{b}.1")]))
        self.agents[a].say(flows=flows, probes=probes)

    def until(self, wanted, seconds=20):
        def look():
            for a in range(NODES):
                self.talk(a)
            return wanted()
        return until(look, seconds, 0.3)

    def live(self):
        return self.planner.get("/api/v1/live")[1]

    def word(self):
        return {(w["src"], w["dst"]): w["state"] for w in self.live()["words"]}.get(("n1", "n2"))


def incidents(address, job):
    every = json.loads(http(f"http://{address}/api/v1/incidents")[1])["incidents"]
    return [i for i in every if i["job"] == job]


def test_collectors_word_becomes_a_link_and_another_plan(daemon, start, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    daemon("c4collector", "--listen", address, "--store", "none")
    planner = Planner(daemon, tmp_path)
    planner.fabric.write_text(fabric())
    planner.demand.write_text(demand())
    planner.start("--collector", address)
    pairs = QueuePairs(planner)
    # both links of 1>2 are used by others, too
    pairs.spine = {SLOW: 0, (1, 3): 0, (0, 2): 0}
    job = start(scene("alltoall", fault=SLOW_LINK, victim=SLOW[0], peer=SLOW[1], seconds=60),
                "--hook", "none", "--collector", address, "--job", "j", env={"C4_NCCL_DETAIL": "on"})
    assert pairs.until(pairs.word, 40), (job.said(), incidents(address, "j"))
    assert [i["kind"] for i in incidents(address, "j") if i["state"] == "confirmed"] == ["slow-link"]
    # who is well exonerates both: it is no link's fault, and nothing is planned otherwise
    assert pairs.word() == "doubt"
    assert pairs.live()["suspects"] == [] and planner.get("/api/v1/links")[1]["links"] == []

    # nobody else uses the link down to n2 any more
    pairs.spine[0, 2] = 1
    assert pairs.until(lambda: pairs.word() == "accuses"), pairs.live()
    suspect, = pairs.live()["suspects"]
    assert (suspect["a"], suspect["b"], suspect["toward"]) == ("leaf2", "spine0", "leaf2")
    assert (suspect["source"], suspect["kind"], suspect["confirmed"]) == ("collector", "slow-link", True)
    told = pairs.until(lambda: [i for i in incidents(address, "fabric") if i["state"] == "confirmed"])
    assert [i["culprit"]["link"] for i in told] == ["leaf2-spine0"], told
    link, = planner.get("/api/v1/links")[1]["links"]
    assert {link["a"], link["b"]} == {"leaf2", "spine0"} and 0 < link["now_gbps"] < 200, link
    planner.until(lambda p: all(r["path"][1:] != ["spine0", "leaf2"] for r in p["routes"]))
    shown = subprocess.run([program("c4plan"), "show", "--planner", planner.address], text=True, check=True,
                           capture_output=True).stdout
    assert "slow for the collector: n1>n2" in shown and "leaf2-spine0 toward leaf2" in shown, shown

    # it goes another way now; whoever says so is believed until that had time to show
    del pairs.spine[SLOW]
    assert pairs.until(lambda: pairs.word() == "left"), pairs.live()
    assert planner.metric('c4_slow_pairs{state="left"}') == 1
    assert planner.metric('c4_planner_heard_total{result="failed"}') == 0
    job.terminate()
