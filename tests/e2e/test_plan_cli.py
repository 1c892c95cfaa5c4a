# SPDX-License-Identifier: BSD-3-Clause
"""c4plan as an outsider uses it: generated fabrics, demands as JSON, plans judged from their routes
alone."""

import json
import random
import subprocess
from collections import defaultdict
from fractions import Fraction

import pytest

from conftest import program

PORTS = range(0xC000, 0x10000)

pytestmark = pytest.mark.sanitized


def c4plan(*words, stdin=None, timeout=60):
    return subprocess.run([program("c4plan"), *map(str, words)], input=stdin, text=True,
                          capture_output=True, timeout=timeout)


def good(*words, **more):
    done = c4plan(*words, **more)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def make_fabric(tmp_path):
    """make_fabric(leaves=…, …) → path of the YAML."""
    def make(**shape):
        path = tmp_path / "fabric.yaml"
        words = [w for k, v in shape.items() for w in (f"--{k.replace('_', '-')}", v)]
        path.write_text(good("fabric", "make", *words).stdout)
        return path
    return make


def write_demand(path, connections=None, jobs=None):
    document = {"schema": "c4.demand/v1"}
    if connections is not None:
        document["connections"] = connections
    if jobs is not None:
        document["jobs"] = jobs
    path.write_text(json.dumps(document))
    return path


def plan(fabric, demand, *words):
    return json.loads(good("make", "--fabric", fabric, "--demand", demand, "--json", *words).stdout)


def loads(answer, connections):
    """Directed link → load, from the routes and the demand; nothing of what the plan says."""
    by_id = {c["id"]: c for c in connections}
    load = defaultdict(Fraction)
    for r in answer["routes"]:
        c = by_id[r["id"]]
        for a, b in zip(r["path"], r["path"][1:]):
            load[a, b] += Fraction(c.get("weight", 1)) / c.get("qps", 1)
    return load


def random_connections(rng, hosts, n, rails=1, planes=1):
    found = []
    for i in range(n):
        nic = f"r{rng.randrange(rails)}p{rng.randrange(planes)}"
        a, b = rng.randrange(hosts), rng.randrange(hosts)
        found.append({"id": f"c{i}", "job": f"j{i // 8}", "src": f"h{a}/{nic}",
                      "dst": f"h{b}/{nic}", "weight": 1.0, "qps": 1})
    return found


# ---- make ------------------------------------------------------------------------------------

@pytest.mark.parametrize("spines", [2, 5, 7, 16])
def test_plan_reaches_the_bound(make_fabric, tmp_path, spines):
    rng = random.Random(spines)
    fabric = make_fabric(leaves=6, spines=spines, hosts_per_leaf=4, rails=2, planes=2)
    shown = json.loads(good("fabric", "show", "--fabric", fabric, "--json").stdout)
    leaf_of = {f"{h['name']}/{n['name']}": (n["leaf"], n["plane"])
               for h in shown["hosts"] for n in h["nics"]}
    links = {(link["a"], link["b"]) for link in shown["links"]}
    links |= {(b, a) for a, b in links}
    connections = random_connections(rng, 24, 600, 2, 2)
    answer = plan(fabric, write_demand(tmp_path / "d.json", connections))

    assert answer["schema"] == "c4.plan/v1"
    assert answer["unplaced"] == []
    assert len(answer["routes"]) == 600
    by_id = {c["id"]: c for c in connections}
    up, down = defaultdict(int), defaultdict(int)
    for r in answer["routes"]:
        c = by_id[r["id"]]
        assert r["qp"] == 0
        assert (r["path"][0], r["plane"]) == leaf_of[c["src"]]
        assert r["path"][-1] == leaf_of[c["dst"]][0]
        assert all(hop in links for hop in zip(r["path"], r["path"][1:]))
        assert r["sport"] in PORTS
        label = r["flow_label"]
        assert label and 0xC000 | ((label & 0x3FFF) ^ (label >> 14)) == r["sport"]
        if len(r["path"]) > 1:
            up[r["path"][0]] += 1
            down[r["path"][-1]] += 1
    bound = max(-(-n // spines) for n in [*up.values(), *down.values()])
    assert answer["max_link_load"] == answer["lower_bound"] == bound
    assert max(loads(answer, connections).values()) == bound


def test_pods_with_cores(make_fabric, tmp_path):
    fabric = make_fabric(leaves=8, spines=4, hosts_per_leaf=4, pods=4)
    connections = random_connections(random.Random(3), 32, 400)
    answer = plan(fabric, write_demand(tmp_path / "d.json", connections))
    assert {len(r["path"]) for r in answer["routes"]} == {1, 3, 5}
    assert max(loads(answer, connections).values()) == pytest.approx(answer["max_link_load"])
    assert answer["max_link_load"] == answer["lower_bound"]


def test_jobs_and_qps(make_fabric, tmp_path):
    fabric = make_fabric(leaves=4, spines=4, hosts_per_leaf=2, rails=2)
    demand = write_demand(tmp_path / "d.json", jobs=[
        {"job": "a", "pattern": "ring", "members": ["h0", "h2", "h4", "h6"], "qps": 2},
        {"job": "b", "pattern": "p2p", "members": ["h1/r0p0", "h3/r0p0"], "pairs": [[0, 1]]}])
    answer = plan(fabric, demand)
    assert len(answer["routes"]) == 4 * 2 * 2 + 1
    assert {r["job"] for r in answer["routes"]} == {"a", "b"}
    assert {r["qp"] for r in answer["routes"]} == {0, 1}
    more = plan(fabric, demand, "--qps", 4)
    assert len(more["routes"]) == (4 * 2 + 1) * 4
    assert good("make", "--fabric", fabric, "--demand", demand, "--qps", "auto").stdout
    assert c4plan("make", "--fabric", fabric, "--demand", demand, "--qps", "0").returncode == 2


def kill_link(fabric, a, b):
    """The same fabric with every link between a and b dead."""
    text = json.loads(good("fabric", "show", "--fabric", fabric, "--json").stdout)
    for link in text["links"]:
        if {link["a"], link["b"]} == {a, b}:
            link["now_gbps"] = 0
    path = fabric.with_name("broken.yaml")
    path.write_text(json.dumps(text))
    return path


def test_a_dead_link_moves_only_what_it_must(make_fabric, tmp_path):
    fabric = make_fabric(leaves=4, spines=4, hosts_per_leaf=8)
    connections = [{"id": f"c{i}", "src": f"h{i}/r0p0", "dst": f"h{8 + i}/r0p0"} for i in range(3)]
    demand = write_demand(tmp_path / "d.json", connections)
    before = tmp_path / "before.json"
    good("make", "--fabric", fabric, "--demand", demand, "--json", "-o", before)
    old = json.loads(before.read_text())["routes"]
    same = plan(fabric, demand, "--previous", before)
    assert same["moves"] == []
    assert same["routes"] == old

    hit = next(r for r in old if r["id"] == "c1")
    broken = kill_link(fabric, hit["path"][0], hit["path"][1])
    after = plan(broken, demand, "--previous", before)
    assert after["max_link_load"] == 1
    assert [m["id"] for m in after["moves"]] == ["c1"]
    assert after["moves"][0]["reason"] == "link-down"
    assert after["moves"][0]["from"] == hit["path"]
    told = good("make", "--fabric", broken, "--demand", demand, "--previous", before).stdout
    assert "moved: 1 (link-down 1)" in told


def test_what_has_no_path_is_named(make_fabric, tmp_path):
    fabric = make_fabric(leaves=2, spines=1, hosts_per_leaf=2, planes=2)
    connections = [{"id": "cut", "src": "h0/r0p0", "dst": "h2/r0p0"},
                   {"id": "fine", "src": "h0/r0p1", "dst": "h2/r0p1"},
                   {"id": "astray", "src": "h0/r0p0", "dst": "h2/r0p1"}]
    demand = write_demand(tmp_path / "d.json", connections)
    done = good("make", "--fabric", kill_link(fabric, "leaf0", "spine0"), "--demand", demand,
                "--json")
    answer = json.loads(done.stdout)
    assert {(u["id"], u["qp"], u["reason"]) for u in answer["unplaced"]} == \
        {("cut", 0, "no-path"), ("astray", 0, "two-planes")}
    assert [r["id"] for r in answer["routes"]] == ["fine"]
    assert "2 of 3 QPs cannot be placed" in done.stderr


def test_links_and_show(make_fabric, tmp_path):
    fabric = make_fabric(leaves=4, spines=3, hosts_per_leaf=4)
    connections = random_connections(random.Random(1), 16, 100)
    demand = write_demand(tmp_path / "d.json", connections)
    answer = plan(fabric, demand, "--links")
    mine = loads(answer, connections)
    assert len(answer["links"]) == 12
    for link in answer["links"]:
        assert link["load_up"] == pytest.approx(float(mine[link["a"], link["b"]]))
        assert link["load_down"] == pytest.approx(float(mine[link["b"], link["a"]]))
    kept = tmp_path / "plan.json"
    kept.write_text(json.dumps(answer))
    shown = good("show", kept).stdout
    assert f"100 routes, {sum(len(r['path']) == 1 for r in answer['routes'])} under one leaf" in shown
    assert "spine2" in shown and " ×" in shown
    again = good("show", "--json", "-", stdin=kept.read_text()).stdout
    assert json.loads(again) == answer
    assert c4plan("show", demand).returncode == 1
    nobody = c4plan("show", "--planner", "127.0.0.1:1")
    assert nobody.returncode == 1 and "cannot reach the planner" in nobody.stderr


def test_ports_that_probes_tell(make_fabric, tmp_path):
    fabric = make_fabric(leaves=4, spines=4, hosts_per_leaf=4)
    connections = random_connections(random.Random(2), 16, 40)
    ends = {c["id"]: c for c in connections}
    demand = write_demand(tmp_path / "d.json", connections)
    known = plan(fabric, demand, "--oracle", "crc16,seed=9")["routes"]
    probes = tmp_path / "probes.json"
    probes.write_text(json.dumps({"schema": "c4.probes/v1", "probes": [
        {"src": ends[r["id"]]["src"], "dst": ends[r["id"]]["dst"], "sport": r["sport"],
         "path": r["path"]} for r in known[:30] if len(r["path"]) == 3]}))
    told = plan(fabric, demand, "--oracle", "table", "--probes", probes)["routes"]
    assert [r["path"] for r in told] == [r["path"] for r in known]
    for before, after in zip(known, told):
        if len(after["path"]) == 3:
            assert after["sport"] in (before["sport"], None)
    assert all(r["sport"] for r in told[:30])
    assert any(r["sport"] is None and r["flow_label"] is None for r in told[30:])
    none = plan(fabric, demand, "--oracle", "none")["routes"]
    assert all(r["sport"] is None for r in none)
    bad = c4plan("make", "--fabric", fabric, "--demand", demand, "--probes", probes)
    assert bad.returncode == 1 and "learns nothing" in bad.stderr


@pytest.mark.parametrize("text, words", [
    ("x" * 10_000_000, ["d.json:1: column 1: 'x'"]),
    ('{"schema":"c4.demand/v1",\n"connections":[{"id":"c"},\n', ["d.json:3: column 1:"]),
    ('{"schema":"c4.demand/v1","connections":[\n{"id":"c7","src":"h99/r0p0","dst":"h0/r0p0"}]}',
     ["d.json:2: connections[0] (id \"c7\")", "no host \"h99\" in the fabric"]),
    ('{"schema":"c4.demand/v2","connections":[]}', ["expected \"c4.demand/v1\""]),
], ids=["garbage", "cut", "unknown", "schema"])
def test_mistakes_in_a_demand(make_fabric, tmp_path, text, words):
    fabric = make_fabric(leaves=2, spines=2, hosts_per_leaf=1)
    (tmp_path / "d.json").write_text(text)
    done = c4plan("make", "--fabric", fabric, "--demand", tmp_path / "d.json", timeout=20)
    assert done.returncode == 1
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


def test_misuse(make_fabric, tmp_path):
    fabric = make_fabric(leaves=2, spines=2, hosts_per_leaf=1)
    demand = write_demand(tmp_path / "d.json", [])
    for words in (["bake"], ["make"], ["make", "--fabric", fabric], ["order", "--fabric", fabric],
                  ["make", "--fabric", fabric, "--demand", demand, "more"],
                  ["make", "--fabric", fabric, "--demand", demand, "--oracle", "delphi"],
                  ["order", "--fabric", fabric, "--hosts", "h0", "--format", "pbs"]):
        done = c4plan(*words)
        assert done.returncode == 2, words
        assert "--help" in done.stderr
    for words in ([], ["make"], ["show"], ["order"], ["fabric"]):
        assert good(*words, "--help").stdout.startswith("Usage: c4plan")
    assert c4plan("make", "--fabric", "/nowhere", "--demand", demand).returncode == 1
    assert c4plan("make", "--fabric", fabric, "--demand", "/nowhere").returncode == 1
    full = c4plan("make", "--fabric", fabric, "--demand", demand, "--json", "-o", "/dev/full")
    assert full.returncode == 1 and "No space left" in full.stderr


# ---- order -----------------------------------------------------------------------------------

def crossings(hosts, per_leaf):
    """How often the closed ring changes the leaf."""
    return sum(a // per_leaf != b // per_leaf for a, b in zip(hosts, hosts[1:] + hosts[:1]))


def test_order_keeps_neighbours_under_a_leaf(make_fabric):
    fabric = make_fabric(leaves=8, spines=4, hosts_per_leaf=4, rails=2)
    hosts = list(range(32))
    random.Random(5).shuffle(hosts)
    names = ",".join(f"h{h}" for h in hosts)
    done = good("order", "--fabric", fabric, "--hosts", names, "--format", "list")
    found = [int(line[1:]) for line in done.stdout.split()]
    assert sorted(found) == list(range(32))
    assert found[0] == hosts[0]
    assert crossings(found, 4) == 8
    assert f"between leaves {crossings(hosts, 4)} times before, 8 after" in done.stderr
    answer = json.loads(good("order", "--fabric", fabric, "--hosts", names, "--json").stdout)
    assert answer["schema"] == "c4.order/v1"
    assert [h["name"] for h in answer["hosts"]] == [f"h{h}" for h in found]
    assert answer["crossings"]["before"]["leaf"] == crossings(hosts, 4)
    assert answer["crossings"]["saved"] == 2 * (crossings(hosts, 4) - 8)


def test_order_writes_what_launchers_read(make_fabric, tmp_path):
    fabric = make_fabric(leaves=2, spines=2, hosts_per_leaf=2)
    listed = tmp_path / "hosts"
    listed.write_text("# mine\nh0 slots=2\nh2 slots=2\nelsewhere slots=1\nh1:2\n")
    words = ["order", "--fabric", fabric, "--hostfile", listed, "--format"]
    done = good(*words, "mpirun")
    assert done.stdout == "h0 slots=2\nh1 slots=2\nh2 slots=2\nelsewhere slots=1\n"
    assert "not in the fabric, put last: elsewhere" in done.stderr
    assert good(*words, "slurm", "--slots", 1).stdout.split() == ["h0", "h1", "h2", "elsewhere"]
    torch = good(*words, "torchrun").stdout.splitlines()
    assert torch[1] == ("h1 --nnodes=4 --node_rank=1 --nproc_per_node=2 --master_addr=h0 "
                        "--master_port=29500")
    listed.write_text("h0\nh[1-\n")
    bad = c4plan(*words, "list")
    assert bad.returncode == 1 and f"{listed}:2:" in bad.stderr
