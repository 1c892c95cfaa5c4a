# SPDX-License-Identifier: BSD-3-Clause
"""The bed itself: that it is what the tests on it take it for."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nest
from conftest import BUILD, until
from fabric import ENTER, HERE, PYTHON, RING_OPTIONS, Error, Fabric

FLOW = [PYTHON, "-B", str(HERE / "flow.py")]
DDP = [PYTHON, "-B", str(HERE / "ddp.py")]
RING = str(BUILD / "lab" / "ring")
PORT = 5201
# Each host's neighbours are under the other leaf: all that a ring sends crosses a spine.
CROSSING = ["h1", "h5", "h2", "h6", "h3", "h7", "h4", "h8"]
PORTS = range(50000, 50064)
OUT = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

# Sends one datagram from each port.
DATAGRAMS = """
import socket, sys
for port in map(int, sys.argv[3:]):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("", port))
        s.sendto(b"c4", (sys.argv[1], int(sys.argv[2])))
"""


def flow(bed, src, dst, seconds, sports):
    """Popen of TCP flows with these source ports."""
    if not until(lambda: listens(bed, dst), 0.1):
        bed.run(dst, [*FLOW, "recv", PORT])
    return bed.run(src, [*FLOW, "send", bed.address(dst), PORT, seconds, *sports], **OUT)


def listens(bed, host):
    return f":{PORT} " in bed.call(host, ["ss", "-Hltn"])


def rates(popen, seconds=30):
    out, err = popen.communicate(timeout=seconds)
    assert popen.returncode == 0, err
    return {item["sport"]: item["mbit"] for item in json.loads(out)["flows"]}


def rate(bed, src, dst, sport, seconds=2):
    return rates(flow(bed, src, dst, seconds, [sport]))[sport]


def crossing(bed, src, dst, sport, dport=PORT):
    """The spines that a connection's packets were seen in, from src."""
    return set(bed.truth().get((bed.address(src), sport, bed.address(dst), dport), {}))


def things(bed):
    """Everything that this bed could leave on the machine; others may have theirs."""
    state, mine = Path(bed.state), f"{bed.prefix}-"
    listed = {"names": "/etc/netns", "namespaces": "/run/netns"}
    found = {what: [name for name in os.listdir(where) if name.startswith(mine)]
             for what, where in listed.items() if os.path.exists(where)}
    found["processes"] = [p for p in nest.processes() if nest.carries(p, f"C4_LAB={state}")]
    found["files"] = [path for path in (state, bed.shm) if path.exists()]
    return {what: items for what, items in found.items() if items}


def allowed():
    """What congestion control all programs of the machine may use."""
    return Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text()


# ---- up and down ---------------------------------------------------------------------------------

def test_up_is_quick_and_down_leaves_nothing(possible):
    bed = Fabric(prefix="tgone")
    bed.down()
    assert things(bed) == {}
    before = allowed()
    began = time.monotonic()
    bed.up()
    assert time.monotonic() - began < 10
    # One that has a session of its own, and is nobody's child.
    bed.call("h3", ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"])
    inside = bed.nest.pids([bed.namespace("h3")])
    assert len(inside) == 1
    assert until(lambda: allowed() == before, 5)  # another bed may be coming up
    assert "files" in things(bed) and "processes" in things(bed)
    bed.down()
    assert things(bed) == {}
    assert nest.started(inside[0]) is None
    bed.down()  # of nothing


def test_up_again_makes_it_anew(make_bed):
    bed = make_bed(leaves=2, spines=2, hosts_per_leaf=1)
    sleeper = bed.run("h1", ["sleep", "1000"])
    # As enter.py is before it has entered.
    coming = subprocess.Popen(["sleep", "1000"], env=bed.env())
    bed.link(1, 1).cut()
    bed.up()
    assert sleeper.poll() is not None
    assert until(lambda: coming.poll() is not None, 5)
    assert not bed.cuts
    assert set(bed.probe("h1", "h2", PORTS).values()) == {"spine1", "spine2"}


def test_another_process_finds_and_ends_it(make_bed):
    bed = make_bed(leaves=2, spines=2, hosts_per_leaf=1)
    bed.link(2, 1).degrade(10)
    other = Fabric.load(bed.prefix)
    assert (other.slowed, other.spines, other.hosts()) == ({"2-1": 10}, 2, ["h1", "h2"])
    assert other.call("h2", ["hostname"]) == "h2\n"
    other.down()
    with pytest.raises(Error):
        Fabric.load(bed.prefix)


def test_without_root(possible):
    """In a user namespace, by the command line, in processes that know nothing of each other."""
    if nest.trial(nest.AS_USER):
        pytest.skip("no user namespaces: " + nest.trial(nest.AS_USER))
    env = dict(os.environ, C4_LAB_WAY="user", PYTHONDONTWRITEBYTECODE="1")

    def say(*words):
        line = [sys.executable, str(HERE / "fabric.py"), "--prefix", "tuser", *words]
        done = subprocess.run(line, capture_output=True, text=True, env=env, timeout=60,
                              check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        assert "in a user namespace" in say("up", "--spines", "2", "--hosts-per-leaf", "1")
        assert say("run", "h2", "--", "sh", "-c", "hostname; ls /sys/class/net; getent hosts h1") \
            .split() == ["h2", "eth0", "lo", "mgmt0", "10.79.0.1", "h1"]
        say("cut", "1", "2")
        assert "cut leaf1-spine2" in say("status")
        assert "tuser" not in subprocess.run(["ip", "netns"], capture_output=True, text=True,
                                             env={"PATH": nest.PATH}, check=True).stdout
    finally:
        say("down")
    assert not Path(f"/tmp/c4-lab-{os.geteuid()}/tuser").exists()


def test_bad_shapes_are_refused():
    for shape in ({"leaves": 0}, {"spines": 101}, {"hosts_per_leaf": 0}, {"rate_mbit": 0},
                  {"seed": 0}, {"leaves": 10, "hosts_per_leaf": 26}, {"prefix": "no-way"}):
        with pytest.raises(Error):
            Fabric(**shape)
    bed = Fabric(leaves=2, spines=2, hosts_per_leaf=1)
    for link in ((0, 1), (3, 1), (1, 3)):
        with pytest.raises(Error):
            bed.link(*link)
    for host in ("h0", "h3", "leaf1", "x"):
        with pytest.raises(Error):
            bed.address(host)


def test_reason_names_the_missing_tool(monkeypatch, tmp_path):
    for tool in ("ip", "tc", "nsenter", "unshare"):
        (tmp_path / tool).symlink_to("/bin/true")
    monkeypatch.setattr(nest, "PATH", str(tmp_path))
    monkeypatch.setattr(nest, "_chosen", None)
    assert Fabric.why_not().endswith("nft is not installed (package nftables)")
    with pytest.raises(Error):
        Fabric(prefix="tnone").up()


# ---- names and files -----------------------------------------------------------------------------

def test_nodes_have_names_and_no_way_out(bed):
    assert bed.call("h5", ["sh", "-c", "hostname; getent hosts h2; getent hosts mgmt"]).split() == \
        ["h5", "10.79.0.2", "h2", "10.79.0.254", "mgmt"]
    began = time.monotonic()
    with pytest.raises(Error):
        bed.call("h5", ["getent", "hosts", "example.org"])
    assert time.monotonic() - began < 5  # what a resolver waits for
    assert bed.call("h5", ["sh", "-c", "ls /sys/class/net"]).split() == ["eth0", "lo", "mgmt0"]
    with pytest.raises(Error):
        bed.run("h9", ["true"])


def test_shared_memory_is_the_hosts_own(bed):
    bed.call("h1", ["touch", "/dev/shm/one"])
    assert bed.call("h1", ["ls", "/dev/shm"]) == "one\n"
    assert bed.call("h2", ["ls", "/dev/shm"]) == ""
    # From one host to another, as a launcher's agent goes.
    assert bed.call("h2", [ENTER, "h1", "ls", "/dev/shm", ";", "hostname"]) == "one\nh1\n"
    assert bed.call("h1", [ENTER, "h2", "ls", "/dev/shm", ";", "hostname"]) == "h2\n"
    (bed.shm / "h1" / "one").unlink()


def test_http_from_inside(bed):
    bed.run("mgmt", [PYTHON, "-m", "http.server", "8000", "--directory", str(bed.tmp())])
    (bed.tmp() / "hello").write_text("c4")

    def ask():
        try:
            return bed.http("http://mgmt:8000/hello", node="h1")
        except Error:
            return None

    assert until(ask, 10) == (200, "c4")
    assert bed.http("http://mgmt:8000/none")[0] == 404


def test_yaml_is_what_the_planner_reads(bed, tmp_path):
    text = bed.yaml(tmp_path / "fabric.yaml")
    assert (tmp_path / "fabric.yaml").read_text() == text
    assert "- {name: h8, nics: [{name: eth0, leaf: leaf2, ipv4: 10.77.2.9}]}" in text
    assert "- {name: spine1, addresses: [10.78.1.3, 10.78.1.5]}" in text
    assert text.count("gbps: 0.1}") == 8
    program = BUILD / "bin" / "c4plan"
    if not program.exists():
        pytest.skip("c4plan is not built")
    done = subprocess.run([program, "fabric", "check", "--fabric", str(tmp_path / "fabric.yaml")],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- which spine ---------------------------------------------------------------------------------

def test_seed_decides_the_map(make_bed):
    shape = {"leaves": 2, "spines": 4, "hosts_per_leaf": 1}
    maps = [make_bed(seed=seed, **shape).probe("h1", "h2", PORTS) for seed in (7, 7, 8)]
    assert maps[0] == maps[1]
    assert maps[0] != maps[2]
    for ports in maps:
        assert len(ports) == len(PORTS)
        assert set(ports.values()) == {"spine1", "spine2", "spine3", "spine4"}


def reverse(bed, ports):
    """The spine of the way back from h2 to h1 of connections from these ports."""
    return {p: bed.probe("h2", "h1", [PORT], dport=p)[PORT] for p in ports}


def test_way_back(make_bed):
    shape = {"leaves": 2, "spines": 4, "hosts_per_leaf": 1}
    ports = PORTS[:16]
    same, other = make_bed(symmetric=True, **shape), make_bed(symmetric=False, **shape)
    assert reverse(same, ports) == same.probe("h1", "h2", ports, dport=PORT)
    assert reverse(other, ports) != other.probe("h1", "h2", ports, dport=PORT)


def test_probe_agrees_with_truth(bed):
    tcp = bed.probe("h1", "h5", PORTS, dport=PORT)
    udp = bed.probe("h1", "h5", PORTS, dport=9, protocol="udp")
    assert bed.truth() == {}  # a probe is no traffic
    rates(flow(bed, "h1", "h5", 0.5, PORTS))
    bed.call("h1", [PYTHON, "-c", DATAGRAMS, bed.address("h5"), 9, *PORTS])
    seen = bed.truth()
    src, dst = bed.address("h1"), bed.address("h5")
    for port in PORTS:
        assert set(seen[(src, port, dst, PORT)]) == {tcp[port]}
        assert set(seen[(dst, PORT, src, port)]) == {tcp[port]}
        assert bed.truth("packets")[(src, port, dst, 9)] == {udp[port]: 1}
    assert len(seen) == 3 * len(PORTS)


def test_probe_is_right_under_load(bed):
    idle = bed.probe("h1", "h5", PORTS, dport=PORT)
    load = flow(bed, "h2", "h6", 4, range(51000, 51016))
    assert until(lambda: len(bed.truth()) >= 32, 5)
    assert bed.probe("h1", "h5", PORTS, dport=PORT) == idle
    assert load.poll() is None


# ---- rates and faults ----------------------------------------------------------------------------

def test_link_has_its_rate_and_degrades(bed):
    port = PORTS[0]
    spine = int(bed.probe("h1", "h5", [port], dport=PORT)[port].removeprefix("spine"))
    link, other = bed.link(1, spine), bed.link(1, spine % 4 + 1)
    before = bed.link_bytes()
    assert 80 < rate(bed, "h1", "h5", port) < 101
    moved = {key: now[0] - before[key][0] for key, now in bed.link_bytes().items()}
    assert moved[(1, spine)] > 10e6
    assert sum(moved.values()) - moved[(1, spine)] < 1e6
    other.degrade(5)
    assert 80 < rate(bed, "h1", "h5", port) < 101
    link.degrade(20)
    assert 15 < rate(bed, "h1", "h5", port) < 20.5
    link.restore()
    assert 80 < rate(bed, "h1", "h5", port) < 101


def test_cut_moves_traffic_and_heals(bed):
    healthy = bed.probe("h1", "h5", PORTS, dport=PORT)
    port = next(p for p in PORTS if healthy[p] == "spine2")
    idle = [p for p in PORTS if p != port]
    load = flow(bed, "h1", "h5", 60, [port])
    assert until(lambda: crossing(bed, "h1", "h5", port) == {"spine2"}, 5)
    bed.link(2, 2).cut()  # the far end's: leaf1 has to be told
    assert until(lambda: len(crossing(bed, "h1", "h5", port)) == 2, 10)
    moved = bed.probe("h1", "h5", idle, dport=PORT)
    assert set(moved) == set(idle)
    assert set(moved.values()) == {"spine1", "spine3", "spine4"}
    bed.truth_reset()
    assert until(lambda: crossing(bed, "h1", "h5", port), 5)
    assert "spine2" not in crossing(bed, "h1", "h5", port)
    bed.link(2, 2).restore()
    assert until(lambda: "spine2" in crossing(bed, "h1", "h5", port), 10)
    bed.end(load)
    assert bed.probe("h1", "h5", PORTS, dport=PORT) == healthy


def test_last_link_cut(make_bed):
    bed = make_bed(leaves=2, spines=1, hosts_per_leaf=1)
    assert bed.probe("h1", "h2", PORTS[:4])
    bed.link(1, 1).cut()
    assert bed.probe("h1", "h2", PORTS[:4]) == {}
    bed.link(1, 1).restore()
    assert len(bed.probe("h1", "h2", PORTS[:4])) == 4


def test_slow_hosts(bed):
    port = PORTS[0]
    for slow, host, healthy in ((bed.slow_tx, "h1", ("h2", "h5")),
                                (bed.slow_rx, "h5", ("h1", "h6"))):
        slow(host, 10)
        assert 7 < rate(bed, "h1", "h5", port, 1.5) < 11
        assert rate(bed, *healthy, port, 1.5) > 60
        slow(host, None)
    assert rate(bed, "h1", "h5", port, 1.5) > 60


def test_drop_of_one_connection(bed):
    victim, other = PORTS[:2]
    load = flow(bed, "h1", "h5", 60, [victim, other])

    def arrived(port):
        """Bytes that the receiver sent back."""
        way = (bed.address("h5"), PORT, bed.address("h1"), port)
        return sum(bed.truth().get(way, {}).values())

    def grows(port, seconds):
        have = arrived(port)
        return until(lambda: arrived(port) > have + 20000, seconds)

    assert grows(victim, 10) and grows(other, 10)
    undo = bed.drop("h1", "h5", sport=victim)
    assert not grows(victim, 1)
    assert grows(other, 10)
    undo()
    assert grows(victim, 20)
    bed.end(load)


def test_loss_in_per_cent(bed):
    bed.drop("h1", "h5", dport=9, percent=50)
    bed.drop("h1", "h6", percent=1)  # of another host
    bed.call("h5", ["nft", "-f", "-"],
             "table ip c { chain c { type filter hook input priority 0; udp dport 9 counter; }; }")
    bed.call("h1", [PYTHON, "-c", DATAGRAMS, bed.address("h5"), 9, *PORTS, *PORTS, *PORTS, *PORTS])
    rules = json.loads(bed.call("h5", ["nft", "-j", "list", "table", "ip", "c"]))["nftables"]
    counter = next(e["counter"] for r in rules for e in r.get("rule", {}).get("expr", [])
                   if "counter" in e)
    bed.call("h5", ["nft", "delete", "table", "ip", "c"])
    assert 128 - 50 < counter["packets"] < 128 + 50  # six standard deviations


# ---- real programs -------------------------------------------------------------------------------

@pytest.mark.parametrize("by_hand", [[], ["--by-hand"]], ids=["library", "by-hand"])
def test_ring_over_eight_hosts(bed, by_hand):
    if not Path(RING).exists():
        pytest.fail(f"{RING} is not built: make lab-bin")
    line = [RING, "--count", 65536, "--steps", 5, "--seconds", 0, *by_hand]
    job = bed.mpirun(CROSSING, line, options=RING_OPTIONS, **OUT)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    said = json.loads(out)
    assert (said["ranks"], said["steps"], said["wrong"]) == (8, 5, 0)
    assert 5 < said["busbw_mbit"] < 200
    data = {(src, dst): 0 for src in CROSSING for dst in CROSSING}
    where = {bed.address(host): host for host in CROSSING}
    for (src, _, dst, _), spines in bed.truth().items():
        data[(where[src], where[dst])] += sum(spines.values())
    for here, there in zip(CROSSING, CROSSING[1:] + CROSSING[:1]):  # 14/8 of the buffer, 6 times
        assert data[(here, there)] > 6 * 14 / 8 * said["bytes"] * 0.95, (here, there)


def test_training_over_eight_hosts(bed):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("no PyTorch (package python3-torch)")
    line = [*DDP, "--steps", 4]
    jobs = bed.train(CROSSING, line, **OUT)
    said = []
    for job in jobs:
        out, err = job.communicate(timeout=90)
        assert job.returncode == 0, err
        said.append(json.loads(out))
    assert [one["host"] for one in said] == CROSSING
    assert {one["whole_sum"] for one in said} == {36}
    assert len({one["checksum"] for one in said}) == 1
    serial = json.loads(bed.call("h1", [*line, "--alone", 8]))
    assert said[0]["sum"] == pytest.approx(serial["sum"], abs=1e-4)
    assert len(bed.truth()) > 16
