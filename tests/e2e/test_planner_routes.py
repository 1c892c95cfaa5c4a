# SPDX-License-Identifier: BSD-3-Clause
"""Routes on live traffic: the real planner, agents that say what they are told to, a network they imagine."""

import json
import random
import subprocess
import time

import pytest

from conftest import free_port, http, program, until
from route_wire import FakeAgent, encode, ip
from test_planner import Planner

pytestmark = pytest.mark.asleep

LEAVES = SPINES = 4
HOSTS = 8
GBPS = 0.4
DPORT = 5000
SPORT = 61000  # ports from here carry the imagined traffic
STRAY = 40000
UDP, RDMA = 17, 4791


def fabric():
    lines = ["schema: c4.fabric/v1", "hosts:"]
    for i in range(HOSTS):
        lines += [f"- name: h{i}", "  nics:",
                  f"  - {{name: eth0, leaf: leaf{i * LEAVES // HOSTS}, ipv4: 10.0.{i}.1, gbps: {GBPS}}}"]
    lines += ["leaves: [" + ", ".join(f"leaf{i}" for i in range(LEAVES)) + "]",
              "spines: [" + ", ".join(f"spine{i}" for i in range(SPINES)) + "]", "switches:"]
    lines += [f"- {{name: leaf{i}, addresses: [10.77.{i}.1]}}" for i in range(LEAVES)]
    lines += [f"- {{name: spine{i}, addresses: [10.78.{i}.1, 10.78.{i}.2]}}" for i in range(SPINES)]
    lines += ["links:"]
    lines += [f"- {{a: leaf{leaf}, b: spine{spine}, gbps: {GBPS}}}"
              for leaf in range(LEAVES) for spine in range(SPINES)]
    return "\n".join(lines) + "\n"


def demand():
    return json.dumps({"schema": "c4.demand/v1", "connections": [
        {"id": f"c{i}", "job": "j", "src": f"h{i}", "dst": f"h{(i + 2) % HOSTS}"} for i in range(HOSTS)]})


class Network:
    """Agents on all hosts; connections keep the path that the plan had when they were made."""

    def __init__(self, port):
        self.agents = [FakeAgent(port, f"h{i}", f"10.0.{i}.1", instance=i + 1) for i in range(HOSTS)]
        self.live = {}  # source port → path
        self.slow = None  # (switch, switch)
        self.ids = {}  # (host, to) → id of the route
        self.strides = (2, 4)
        self.strays = {}  # host → (to, Gb/s): a connection whose way nobody tells
        self.pairs = {}  # host → so many queue pairs are its stray
        self.shown = {}  # host → the path of its stray after all

    def move_to(self, port):
        for agent in self.agents:
            agent.port = port

    def rate(self, path):
        return GBPS / 10 if path and self.slow in zip(path, path[1:]) else GBPS * 0.95

    def path_of(self, agent, sport, to):
        ways = agent.ways() if agent.plan else {}
        key = (f"flow:{agent.node}>h{to}", 0)
        if sport not in self.live and key in ways:
            self.live[sport] = ways[key]
        return self.live.get(sport)

    def hops(self, path):
        rtt, hops, rtts = 100, [], []
        for i, switch in enumerate(path):
            if i and (path[i - 1], switch) == self.slow:
                rtt += 20000
            rtt += 50
            hops.append(ip(f"10.{77 + (switch[0] == 's')}.{switch[-1]}.1"))
            rtts.append(rtt)
        return hops, rtts

    def talk(self, host):
        agent = self.agents[host]
        watched = [w["sport"] for w in agent.last["watches"]] if agent.last else []
        flows, probes = [], []
        for k, stride in enumerate(self.strides):
            to, sport = (host + stride) % HOSTS, SPORT + host * 8 + k
            path = self.path_of(agent, sport, to)
            rate = self.rate(path)
            busy = 1.0 if rate < GBPS / 2 else 0.1
            end = {"src": agent.address, "dst": self.agents[to].address, "proto": 6, "sport": sport, "dport": DPORT}
            flows.append(dict(end, initiated=True, sent_bytes=int(rate * busy * 0.25 * 1e9 / 8),
                              interval_ms=250, busy_ms=int(250 * busy), rtt_us=100))
            if path:
                flows[-1].update(id=f"flow:h{host}>h{to}", qp=0)
                hops, rtts = self.hops(path)
                probes.append(dict(end, hops=hops, live=True))
                if sport in watched:
                    probes[-1]["hop_rtt_us"] = rtts
        if host in self.strays:
            to, rate = self.strays[host]
            end = {"src": agent.address, "dst": self.agents[to].address, "proto": 6, "sport": STRAY, "dport": DPORT}
            if host in self.pairs:
                end.update(proto=UDP, dport=RDMA)
            flows.append(dict(end, initiated=True, interval_ms=250, sent_bytes=int(rate * 0.25 * 1e9 / 8)))
            if host in self.pairs:
                flows[-1].update(connections=self.pairs[host])
                key = (f"flow:{agent.node}>h{to}", 0)
                if agent.plan and key in agent.ways():
                    flows[-1].update(id=key[0])  # its port was chosen for the path of that
            else:
                flows[-1].update(busy_ms=250, rtt_us=100)
            if host in self.shown:
                probes.append(dict(end, hops=self.hops(self.shown[host])[0], live=True))
        agent.say(flows=flows, probes=probes)

    def until(self, wanted, seconds=20):
        """Traffic goes on until it is as wanted."""
        def look():
            for host in range(HOSTS):
                self.talk(host)
            return wanted()
        return until(look, seconds, 0.25)


@pytest.fixture
def planner(daemon, tmp_path):
    p = Planner(daemon, tmp_path)
    p.fabric.write_text(fabric())
    p.demand.write_text(demand())
    return p


def port_of(p):
    return int(p.address.rsplit(":", 1)[1])


def agent_of(p, host):
    return FakeAgent(port_of(p), f"h{host}", f"10.0.{host}.1", instance=host + 1)


def live(p):
    status, answer = p.get("/api/v1/live")
    assert status == 200
    return answer


def ways_of(p):
    return {(r["id"], r["qp"]): r["path"] for r in p.plan()["routes"]}


# ---- what agents are told ------------------------------------------------------------------------


def test_routes_of_a_node(planner):
    planner.start()
    agent, other = agent_of(planner, 0), agent_of(planner, 2)
    first = agent.say()
    assert first["standing"] and not first["unchanged"]
    assert agent.ways() == {k: v for k, v in ways_of(planner).items() if k[0] in ("c0", "c6")}
    ends = {(r["id"], r["src"], r["dst"]) for r in first["routes"]}
    assert ends == {("c0", ip("10.0.0.1"), ip("10.0.2.1")), ("c6", ip("10.0.6.1"), ip("10.0.0.1"))}
    named = {s["name"]: s["addresses"] for s in first["switches"]}
    assert named["spine1"] == [ip("10.78.1.1"), ip("10.78.1.2")] and len(named) >= SPINES
    assert first["peers"] == []
    other.say()
    assert agent.say()["peers"] == [{"addresses": [ip("10.0.2.1")], "agent": ip("10.0.2.1"), "helper_port": 7000}]
    assert agent.say()["unchanged"]
    other.say(last=True)
    assert agent.say()["peers"] == [] and not agent.last["unchanged"]


def test_epochs_grow_with_links_and_doubts(planner):
    planner.start()
    agent = agent_of(planner, 0)
    agent.say()
    before = agent.epochs()
    planner.link("leaf0", "spine3", 0)
    assert until(lambda: not agent.say()["unchanged"], 10)
    after = agent.epochs()
    assert {s for s in before if after[s] != before[s]} == {"leaf0", "spine3"}
    assert all(after[s] > before[s] for s in ("leaf0", "spine3"))
    agent.say(doubts=[{"src": ip("10.0.0.1"), "dst": ip("10.0.2.1"), "wrong": 2, "tried": 3}])
    assert until(lambda: not agent.say()["unchanged"], 10)
    assert agent.epochs()["leaf0"] > after["leaf0"] and agent.epochs()["spine3"] == after["spine3"]


def test_degraded_link_leaves_epochs(planner):
    """A link that carries less is still in its group: what was probed holds."""
    planner.start()
    agent = agent_of(planner, 0)
    agent.say()
    before = agent.epochs()
    planner.link("leaf0", "spine3", GBPS / 2)
    assert until(lambda: not agent.say()["unchanged"], 10)
    assert agent.epochs() == before


def test_probes_become_ports(planner):
    planner.start("--oracle", "table")
    agent = agent_of(planner, 0)
    agent.say()
    assert [r["sport"] for r in agent.plan["routes"]] == [0, 0]
    spine = int(agent.ways()[("c0", 0)][1][-1])
    probes = [{"src": agent.address, "dst": ip("10.0.2.1"), "proto": 17, "sport": 50000 + i, "dport": 4791,
               "hops": [ip("10.77.0.1"), ip(f"10.78.{i % SPINES}.2")]} for i in range(8)]
    agent.say(probes=probes)

    def port():
        agent.say()
        return next(r["sport"] for r in agent.plan["routes"] if r["id"] == "c0")

    assert until(port, 10) in (50000 + spine, 50004 + spine)
    version, plans = planner.plan()["version"], planner.metric("c4_plan_seconds_count")
    agent.say(probes=probes)  # the same again
    assert until(lambda: planner.metric("c4_plan_seconds_count") > plans, 10)
    assert planner.plan()["version"] == version, "nobody has to read the plan again"
    agent.say(doubts=[{"src": agent.address, "dst": ip("10.0.2.1"), "wrong": 1, "tried": 1}])
    assert until(lambda: port() == 0, 10), "what was learned before a doubt is stale"


def test_garbage_is_refused(planner):
    planner.start()
    agent = agent_of(planner, 0)
    assert agent.post(b"\xff\xff\xff")[0] == 400
    assert agent.post(b"")[0] == 400
    assert agent.post(encode("RouteReport", {"node": "nobody"}))[0] == 404
    assert agent.post(encode("RouteReport", {"node": "h\x010"}))[0] == 400
    assert agent.post(encode("RouteReport", {"node": "h0", "helper_port": 70000}))[0] == 400
    assert agent.post(encode("RouteReport", {"node": "h0", "addresses": range(257)}))[0] == 400
    assert agent.post(b"", kind="application/json")[0] == 415
    assert agent.post(b"", path="/v2/routes")[0] == 404
    assert agent.post(b"x" * (3 << 20))[0] == 413
    assert http(f"http://{planner.address}/v1/routes")[0] == 405
    refused = planner.metric('c4_routes_total{what="probes_refused"}')
    nonsense = [{"src": ip("10.0.5.1"), "dst": ip("10.0.2.1"), "proto": 6, "sport": 1, "dport": 2,
                 "hops": [0, ip("10.78.0.1")]},  # not of this node
                {"src": ip("10.0.0.1"), "dst": ip("9.9.9.9"), "proto": 6, "sport": 1, "dport": 2},
                {"src": ip("10.0.0.1"), "dst": ip("10.0.2.1"), "proto": 6, "sport": 1, "dport": 2,
                 "hops": [0, ip("10.77.0.1")]},  # a leaf above a leaf
                {"src": ip("10.0.0.1"), "dst": ip("10.0.2.1"), "proto": 6, "sport": 0, "dport": 2,
                 "hops": [0, ip("10.78.0.1")]}]
    agent.say(probes=nonsense, doubts=[{"src": ip("10.0.3.1"), "wrong": 1, "tried": 1}])
    assert planner.metric('c4_routes_total{what="probes_refused"}') == refused + 4
    assert planner.health()[0] == 200


# ---- what is seen becomes demand -----------------------------------------------------------------


def test_flows_become_demand_and_survive(planner):
    planner.start("--flows", "--flows-keep", "6s", demand=False, wait=False)
    net = Network(port_of(planner))
    ids = {f"flow:h{i}>h{(i + s) % HOSTS}" for i in range(HOSTS) for s in (2, 4)}
    assert net.until(lambda: {k[0] for k in ways_of(planner)} == ids)
    assert planner.plan()["max_link_load"] <= 0.5, "two connections of each host share its NIC's rate"
    assert net.until(lambda: all(a.plan["standing"] and a.ways() for a in net.agents))
    planner.saved()
    before = ways_of(planner)
    planner.process.terminate()
    planner.start("--flows", "--flows-keep", "6s", demand=False)
    assert ways_of(planner) == before, "a restart moves nothing"
    assert until(lambda: not ways_of(planner), 20), "what was not seen again is forgotten"


def test_told_demand_wins(planner):
    planner.start("--flows")
    net = Network(port_of(planner))
    assert net.until(lambda: len(ways_of(planner)) == 2 * HOSTS)
    ids = {k[0] for k in ways_of(planner)}
    assert ids == {f"c{i}" for i in range(HOSTS)} | {f"flow:h{i}>h{(i + 4) % HOSTS}" for i in range(HOSTS)}
    assert {r["job"] for r in planner.plan()["routes"]} == {"j"}


@pytest.mark.parametrize("pairs, qps", [(4, 4), (50, 8), (0, 1)])
def test_queue_pairs_become_demand(planner, pairs, qps):
    """They share a source port: one flow, so many connections."""
    planner.start("--flows", demand=False, wait=False)
    net = Network(port_of(planner))
    net.strides = ()
    net.strays[0], net.pairs[0] = (2, GBPS * 0.9), pairs
    assert net.until(lambda: set(ways_of(planner)) == {("flow:h0>h2", qp) for qp in range(qps)})
    seen = [(f["src"], f["dst"], f["proto"], f["connections"]) for f in live(planner)["flows"]]
    assert seen == [("h0", "h2", UDP, pairs or 1)]


def test_queue_pairs_that_carry_next_to_nothing(planner):
    """More of them than carry something each: the pair of hosts is planned, as one."""
    planner.start("--flows", demand=False, wait=False)
    net = Network(port_of(planner))
    net.strides = ()
    net.strays[0], net.pairs[0] = (2, GBPS * 0.02), 4
    assert net.until(lambda: set(ways_of(planner)) == {("flow:h0>h2", 0)})


def test_without_the_option_nothing_is_planned(planner):
    planner.start()
    net = Network(port_of(planner))
    end = time.monotonic() + 4
    assert not net.until(lambda: time.monotonic() > end and len(ways_of(planner)) != HOSTS, 5)
    assert len(live(planner)["flows"]) == 2 * HOSTS, "it is seen all the same"


# ---- a slow link ---------------------------------------------------------------------------------


def start_collector(daemon):
    address = f"127.0.0.1:{free_port()}"

    def answers():
        try:
            return http(f"http://{address}/healthz")[0] == 200
        except OSError:
            return False

    daemon("c4collector", "--listen", address, "--store", "none")
    assert until(answers, 10)
    return address


def incidents(collector):
    return json.loads(http(f"http://{collector}/api/v1/incidents")[1])["incidents"]


@pytest.mark.long
def test_slow_link_is_found_avoided_and_forgiven(planner, daemon):
    address = start_collector(daemon)
    planner.start("--flows", "--hold", "1s", "--collector", address, demand=False, wait=False)
    net = Network(port_of(planner))
    assert net.until(lambda: len(net.live) == 2 * HOSTS and not live(planner)["suspects"])
    assert net.until(lambda: not incidents(address), 1)
    net.slow = tuple(net.live[SPORT][:2])  # h0's uplink
    link = "-".join(net.slow)

    def found():
        return [i for i in incidents(address) if i["culprit"]["link"] == link]

    assert net.until(found), live(planner)["suspects"]
    first = found()[0]
    assert first["kind"] == "slow-link" and first["state"] == "confirmed" and first["job"] == "fabric"
    assert {i["culprit"]["link"] for i in incidents(address)} == {link}, "and nothing else"
    status, answer = planner.get("/api/v1/links")
    standing = answer["links"]
    assert [(x["a"], x["b"], x["reason"]) for x in standing] == [(*net.slow, "sensed")]
    assert standing[0]["now_gbps"] == pytest.approx(GBPS / 10, rel=0.3)
    assert net.until(lambda: all(net.slow not in zip(w, w[1:]) for w in ways_of(planner).values()))
    assert net.until(lambda: any(f["on_plan"] is False for f in live(planner)["flows"]))
    shown = subprocess.run([program("c4plan"), "show", "--planner", planner.address], text=True, check=True,
                           capture_output=True).stdout
    assert f"{link} toward" in shown and "NOT as planned" in shown and "link-weak" in shown

    # a restart knows it still
    planner.saved()
    planner.process.terminate()
    planner.start("--flows", "--hold", "1s", "--collector", address, demand=False)
    assert [x["state"] for x in live(planner)["suspects"]] == ["slow"]
    assert net.until(lambda: all(a.plan and a.plan["standing"] for a in net.agents))

    # repaired: connections that stayed on it are fast again
    net.slow = None
    assert net.until(lambda: not planner.get("/api/v1/links")[1]["links"], 30)
    assert net.until(lambda: found()[0]["state"] == "resolved", 40)


def test_one_word_against_a_link_is_none(planner, daemon):
    """A host whose connections are all slow is no link's fault."""
    planner.start("--flows", demand=False, wait=False)
    net = Network(port_of(planner))
    assert net.until(lambda: len(net.live) == 2 * HOSTS)
    rate = net.rate
    slow = {SPORT, SPORT + 1}
    paths = {tuple(net.live[s]) for s in slow}
    net.rate = lambda path: GBPS / 10 if path and tuple(path) in paths and path[0] == "leaf0" else rate(path)
    end = time.monotonic() + 6
    assert net.until(lambda: time.monotonic() > end)
    assert not [s for s in live(planner)["suspects"] if s["confirmed"]]


def test_link_that_may_be_shared_is_not_blamed(planner):
    """What a connection of unknown way carries may be what the link lacks: that is looked up first."""
    planner.start("--flows", demand=False, wait=False)
    net = Network(port_of(planner))
    assert net.until(lambda: len(net.live) == 2 * HOSTS)
    net.slow = tuple(net.live[SPORT][:2])  # h0's uplink
    net.strays[1] = (HOSTS - 1, GBPS * 0.8)  # of the same leaf
    end = time.monotonic() + 7
    assert net.until(lambda: time.monotonic() > end)
    assert not [s for s in live(planner)["suspects"] if s["confirmed"]]
    assert STRAY in [w["sport"] for w in net.agents[1].last["watches"]]
    net.strays.clear()
    assert net.until(lambda: [s for s in live(planner)["suspects"] if s["confirmed"]])


def test_queue_pairs_are_no_evidence(planner):
    """What they carry is estimated: it may be what a link lacks, and proves nothing else."""
    planner.start("--flows", demand=False, wait=False)
    net = Network(port_of(planner))
    assert net.until(lambda: len(net.live) == 2 * HOSTS)
    net.strays[1], net.pairs[1] = (HOSTS - 1, GBPS * 0.8), 4
    assert net.until(lambda: ("flow:h1>h7", 3) in ways_of(planner))
    assert net.until(lambda: len(net.live) == 2 * HOSTS)
    net.slow = tuple(net.live[SPORT][:2])  # h0's uplink
    end = time.monotonic() + 7
    assert net.until(lambda: time.monotonic() > end)
    assert not [s for s in live(planner)["suspects"] if s["confirmed"]]
    assert STRAY in [w["sport"] for w in net.agents[1].last["watches"]]
    net.shown[1] = ["leaf0", *net.slow[1:], "leaf3"]
    end = time.monotonic() + 5
    assert net.until(lambda: time.monotonic() > end)
    assert not [s for s in live(planner)["suspects"] if s["confirmed"]]
    spine = next(f"spine{i}" for i in range(SPINES) if f"spine{i}" not in net.slow)
    net.shown[1] = ["leaf0", spine, "leaf3"]
    assert net.until(lambda: [s for s in live(planner)["suspects"] if s["confirmed"]])


# ---- a dead link ---------------------------------------------------------------------------------


class Draws:
    """Agents that look for ports, in a network whose switches choose at random among the links they use."""

    def __init__(self, port):
        self.agents = [FakeAgent(port, f"h{i}", f"10.0.{i}.1", instance=i + 1) for i in range(HOSTS)]
        self.cut = set()  # (leaf, spine)
        self.random = random.Random(7)

    def draw(self, drawn=True):
        for host, agent in enumerate(self.agents):
            probes = []
            for to in (i for i in range(HOSTS) if i // 2 != host // 2):
                spines = [s for s in range(SPINES) if not {(host // 2, s), (to // 2, s)} & self.cut]
                spine = self.random.choice(spines)
                probes.append({"src": agent.address, "dst": self.agents[to].address, "proto": 6,
                               "sport": 61000 + self.random.randrange(4000), "dport": DPORT, "drawn": drawn,
                               "hops": [ip(f"10.77.{host // 2}.1"), ip(f"10.78.{spine}.1")]})
            agent.say(probes=probes)
        return self

    def until(self, wanted, seconds=10):
        def look():
            self.draw()
            return wanted()
        return until(look, seconds, 0.1)


def test_dead_link_is_named_and_looked_for(planner, daemon):
    address = start_collector(daemon)
    planner.start("--collector", address)
    net = Draws(port_of(planner))
    for _ in range(8):
        net.draw()
    assert not live(planner)["suspects"]
    net.cut.add((1, 2))
    for _ in range(30):
        net.draw(drawn=False)  # of planned ports: they prefer some ways
    time.sleep(1.2)  # it looks every second
    assert not live(planner)["suspects"]
    assert net.until(lambda: live(planner)["suspects"])
    suspect, = live(planner)["suspects"]
    assert (suspect["a"], suspect["b"], suspect["source"]) == ("leaf1", "spine2", "probes")
    assert suspect["dead"] and suspect["confirmed"] and suspect["given_gbps"] == 0
    assert net.until(lambda: not any({"leaf1", "spine2"} <= set(w) for w in ways_of(planner).values()))
    told = until(lambda: [i for i in incidents(address) if i["state"] == "confirmed"], 10)
    assert [(i["kind"], i["culprit"]["link"]) for i in told] == [("slow-link", "leaf1-spine2")]
    assert "carries nothing" in told[0]["summary"]

    # somebody under the leaf is asked to trace what nobody uses, until it is met again
    def asked():
        return [(a, w) for a in net.agents for w in a.last["watches"] if w["dport"] == 33434]

    assert net.until(asked)
    agent, watch = asked()[0]
    assert 1 in {net.agents.index(agent) // 2, next(i for i in range(HOSTS) if ip(f"10.0.{i}.1") == watch["dst"]) // 2}
    assert planner.get("/api/v1/links")[1]["links"]
    agent.say(probes=[dict(watch, live=True, hops=[ip(f"10.77.{net.agents.index(agent) // 2}.1"), ip("10.78.2.1")])])
    assert until(lambda: not planner.get("/api/v1/links")[1]["links"], 10)


# ---- the collector -------------------------------------------------------------------------------


def test_collector_refuses_garbage_about_links(daemon):
    address = start_collector(daemon)
    url = f"http://{address}/v1/links"

    def post(body):
        return http(url, body if isinstance(body, bytes) else json.dumps(body).encode(), "application/json")[0]

    good = {"a": "leaf0", "b": "spine0", "parallel": 0, "toward": "spine0", "kind": "slow-link", "confirmed": True,
            "nominal_gbps": 1, "measured_gbps": 0.1, "speed": 0.1, "peers": 1, "flows": 2, "windows": 3, "age_s": 3}
    everything = {"schema": "c4.links/v1", "planner": "p", "ttl_s": 1, "links": [good]}
    for body in (b"", b"{", [], {}, dict(everything, schema="c4.links/v2"), dict(everything, planner=""),
                 dict(everything, links={}), dict(everything, ttl_s=0), dict(everything, links=[good] * 1025),
                 dict(everything, links=[dict(good, a="")]), dict(everything, links=[dict(good, a="x y")]),
                 dict(everything, links=[dict(good, toward="leaf9")]), dict(everything, links=[dict(good, kind="?")]),
                 dict(everything, links=[dict(good, nominal_gbps=0)]), dict(everything, links=[dict(good, flows=-1)]),
                 dict(everything, links=[good, 7])):
        assert post(body) == 400, body
    assert incidents(address) == []
    assert post(everything) == 202
    assert until(lambda: [i["culprit"]["link"] for i in incidents(address)] == ["leaf0-spine0"], 10)
