# SPDX-License-Identifier: BSD-3-Clause
"""The planner's service: a demand in a file, or of a real job seen by a real collector."""

import json
import os
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import free_port, http, mpirun, until, workload

HOSTS = 16


def fabric(leaves=4, spines=4, hosts=4, gbps=400):
    """A fabric in YAML with hosts n0, n1, … in blocks under the leaves."""
    lines = ["schema: c4.fabric/v1", "hosts:"]
    for i in range(leaves * hosts):
        lines += [f"- name: n{i}", "  nics:", "  - name: r0p0", f"    leaf: leaf{i // hosts}",
                  "    plane: 0", "    rail: 0"]
    lines += ["leaves:"] + [f"- leaf{i}" for i in range(leaves)]
    lines += ["spines:"] + [f"- spine{i}" for i in range(spines)]
    lines += ["links:"]
    for leaf in range(leaves):
        for spine in range(spines):
            lines += [f"- a: leaf{leaf}", f"  b: spine{spine}", f"  gbps: {gbps}"]
    return "\n".join(lines) + "\n"


def demand(which=range(HOSTS), stride=5):
    return json.dumps({"schema": "c4.demand/v1", "connections": [
        {"id": f"c{i}", "job": "j", "src": f"n{i}/r0p0", "dst": f"n{(i + stride) % HOSTS}/r0p0",
         "weight": 1.0, "qps": 1} for i in which]})


class Planner:
    """c4planner on files of one directory; the same port each time."""

    def __init__(self, daemon, directory):
        self.daemon = daemon
        self.fabric = directory / "fabric.yaml"
        self.demand = directory / "demand.json"
        self.state = directory / "state" / "planner.state"
        self.address = f"127.0.0.1:{free_port()}"
        self.process = None

    def start(self, *options, demand=True, wait=True):
        if demand:
            options += ("--demand", str(self.demand))
        self.process = self.daemon(
            "c4planner", "--fabric", str(self.fabric), "--state", str(self.state), "--listen",
            self.address, "--interval", "100ms", "--hold", "200ms", *options)
        assert until(self.answers, 10), self.process.said()
        if wait:
            self.until(lambda p: p["standing"] == "ok")
        return self

    def answers(self):
        try:
            return http(f"http://{self.address}/healthz")[0] in (200, 503)
        except OSError:
            return False

    def get(self, path):
        status, body = http(f"http://{self.address}{path}")
        return status, json.loads(body)

    def plan(self, query=""):
        status, answer = self.get("/api/v1/plan" + query)
        assert status == 200, answer
        assert answer["schema"] == "c4.plan/v1"
        return answer

    def until(self, wanted, seconds=15):
        """The first plan that is as wanted."""
        last = []

        def look():
            last[:] = [self.plan()]
            return wanted(last[0]) and last[0]

        found = until(look, seconds)
        assert found, json.dumps(last[0], indent=1)[:4000] + self.process.said()[-4000:]
        return found

    def link(self, a, b, now_gbps):
        body = json.dumps({"a": a, "b": b, "now_gbps": now_gbps}).encode()
        status, answer = http(f"http://{self.address}/api/v1/links", body, "application/json")
        assert status == 202, answer

    def health(self):
        return self.get("/healthz")

    def metric(self, name):
        text = http(f"http://{self.address}/metrics")[1].decode()
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M).group(1))

    def saved(self):
        """Waits until the newest plan is on disk."""
        version = self.plan()["version"]
        assert until(lambda: self.state.exists() and
                     version.to_bytes(8, "little") in self.state.read_bytes()[:48], 10)


@pytest.fixture
def planner(daemon, tmp_path):
    p = Planner(daemon, tmp_path)
    p.fabric.write_text(fabric())
    p.demand.write_text(demand())
    return p


def paths(plan):
    return {(r["id"], r["qp"]): r["path"] for r in plan["routes"]}


def loads(plan):
    """Load of each directed link, from the routes alone."""
    load = {}
    for r in plan["routes"]:
        for link in zip(r["path"], r["path"][1:]):
            load[link] = load.get(link, 0) + 1
    return load


def best(plan, routes=HOSTS):
    return len(plan["routes"]) == routes and plan["max_link_load"] == plan["lower_bound"]


# ---- plans -----------------------------------------------------------------------------------


@pytest.mark.sanitized
def test_plan_of_a_demand_file(planner):
    planner.start("--oracle", "crc32,seed=7")
    plan = planner.until(best)
    assert max(loads(plan).values()) == plan["max_link_load"] == 1
    assert all(0xC000 <= r["sport"] <= 0xFFFF and r["flow_label"] for r in plan["routes"])
    assert all(len(r["backup"]) == 3 and r["backup"][1] != r["path"][1] for r in plan["routes"])
    mine = planner.plan("?node=n3")
    assert [r["id"] for r in mine["routes"]] == ["c3"]
    assert planner.get("/api/v1/plan?node=nobody")[0] == 404
    assert planner.health()[0] == 200


@pytest.mark.sanitized
def test_changed_demand_is_told_as_what_changed(planner):
    planner.demand.write_text(demand(range(12)))
    planner.start()
    first = planner.until(lambda p: best(p, 12))
    planner.demand.write_text(demand(range(4, 16)))
    planner.until(lambda p: best(p, 12) and p["version"] > first["version"])
    news = planner.plan(f"?since={first['version']}&instance={first['instance']}")
    assert not news["full"]
    assert {(r["id"], r["qp"]) for r in news["removed"]} == {(f"c{i}", 0) for i in range(4)}
    # what a follower ends up with is the plan
    known = paths(first)
    for r in news["removed"]:
        known.pop((r["id"], r["qp"]), None)
    known.update(paths(news))
    assert known == paths(planner.plan())
    again = planner.plan(f"?since={news['version']}")
    assert again["unchanged"] and not again["routes"] and not again["full"]


@pytest.mark.sanitized
def test_dead_link_moves_only_what_it_must(planner):
    planner.start()
    before = planner.until(best)
    planner.link("leaf0", "spine2", 0)
    after = planner.until(lambda p: p["version"] > before["version"] and best(p))
    moved = {k for k, way in paths(after).items() if way != paths(before)[k]}
    hit = {k for k, way in paths(before).items()
           if way[1] == "spine2" and "leaf0" in (way[0], way[-1])}
    assert moved == hit and len(hit) == 2
    assert {(m["id"], m["qp"]) for m in after["moves"]} == moved
    for m in after["moves"]:
        assert m["reason"] == "link-down"
        assert m["from"] == paths(before)[m["id"], m["qp"]]
        assert m["to"] == paths(after)[m["id"], m["qp"]]
    assert planner.metric('c4_plan_moves_total{reason="link-down"}') == 2
    assert planner.get("/api/v1/links")[1]["links"][0]["now_gbps"] == 0
    planner.link("leaf0", "spine2", 400)
    repaired = planner.until(lambda p: p["max_link_load"] == 1)
    assert all(m["reason"] == "rebalance" for m in repaired["moves"])
    assert planner.get("/api/v1/links")[1]["links"] == []


# ---- restarts --------------------------------------------------------------------------------


@pytest.mark.sanitized
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_restart_keeps_the_plan(planner, how):
    planner.start()
    planner.until(best)
    planner.link("leaf1", "spine0", 0)
    before = planner.until(lambda p: p["max_link_load"] == 2)
    if how == signal.SIGKILL:
        planner.saved()
    planner.process.popen.send_signal(how)
    assert planner.process.wait(15) == (0 if how == signal.SIGTERM else -how)
    planner.demand.unlink()  # nobody answers: the plan is there all the same
    planner.start()
    after = planner.plan(f"?since={before['version']}&instance={before['instance']}")
    assert not after["full"] and not after["moves"] and not after["removed"]
    assert after["version"] > before["version"]
    assert after["instance"] != before["instance"]
    assert paths(planner.plan()) == paths(before)
    planner.demand.write_text(demand())
    assert until(lambda: planner.health()[0] == 200, 10), planner.health()
    assert paths(planner.plan()) == paths(before)


@pytest.mark.parametrize("spoil", ["cut", "flip", "empty", "directory"])
def test_spoiled_state_is_ignored(planner, spoil):
    planner.start()
    version = planner.until(best)["version"]
    planner.process.terminate()
    data = planner.state.read_bytes()
    if spoil == "cut":
        planner.state.write_bytes(data[:len(data) // 2])
    elif spoil == "flip":
        planner.state.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    elif spoil == "empty":
        planner.state.write_bytes(b"")
    else:
        planner.state.unlink()
        planner.state.mkdir()
    planner.start()
    assert planner.until(best)["version"] > version
    assert "state:" in planner.process.said() and "ignored" in planner.process.said()


def test_full_disk_is_told_and_the_plan_served(planner, tmp_path):
    limited = tmp_path / "state"
    limited.write_text("a file where a directory should be")
    planner.start()
    planner.until(best)
    status, health = until(lambda: planner.health()[1]["reasons"] and planner.health(), 10)
    assert status == 503 and health["status"] == "degraded" and "state" in health["reasons"]
    assert planner.metric("c4_planner_state_errors_total") >= 1
    limited.unlink()
    limited.mkdir()
    assert until(lambda: planner.health()[0] == 200, 15), planner.health()
    assert planner.state.exists()


# ---- what is missing, or bad ------------------------------------------------------------------


@pytest.mark.sanitized
def test_bad_fabric_file_keeps_the_old_one(planner):
    planner.start()
    before = planner.until(best)
    planner.fabric.write_text(fabric().replace("leaf: leaf2", "leaf: leaf9", 1))
    os.kill(planner.process.popen.pid, signal.SIGHUP)
    status, health = until(lambda: planner.health()[1]["reasons"] and planner.health(), 10)
    assert status == 503 and "leaf9" in health["reasons"]["fabric"]
    assert re.search(r"fabric\.yaml:\d+:", health["reasons"]["fabric"])
    assert "leaf9" in planner.process.said()
    assert paths(planner.plan()) == paths(before)
    planner.fabric.write_text(fabric(spines=5))
    status, _ = http(f"http://{planner.address}/api/v1/reload", b"")
    assert status == 202
    assert until(lambda: planner.health()[0] == 200, 10), planner.health()
    planner.until(best)
    planner.link("leaf0", "spine4", 0)  # which is new


@pytest.mark.sanitized
def test_idle_until_there_is_a_fabric(planner):
    planner.fabric.unlink()
    planner.start(wait=False)
    plan = planner.plan()
    assert plan["standing"] == "no-fabric" and plan["routes"] == []
    status, health = planner.health()
    assert status == 200 and health["status"] == "idle" and "fabric" in health["reasons"]
    planner.fabric.write_text(fabric())
    planner.until(best)


def test_without_a_collector(planner):
    planner.start("--collector", f"127.0.0.1:{free_port()}", demand=False, wait=False)
    assert planner.plan()["standing"] == "no-demand"
    status, health = until(lambda: planner.health()[1]["reasons"] and planner.health(), 10)
    assert status == 503 and "collector" in health["reasons"]["source"]
    assert planner.metric("c4_planner_collector_errors_total") >= 1


class Liar(BaseHTTPRequestHandler):
    """Answers everything with what the test chose."""

    def do_GET(self):
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def liar():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    server.status, server.body = 200, b"{}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.sanitized
@pytest.mark.parametrize("status, body", [
    (500, b"{}"), (200, b""), (200, b"{"), (200, b"[]"), (200, b"\0" * 1000), (200, b"[" * 100000),
    (200, b'{"comms":5,"ranks":{}}'), (200, b'{"comms":[{"job":1}],"ranks":[[]]}')])
def test_collector_that_speaks_nonsense(planner, liar, status, body):
    planner.start()
    before = planner.until(best)
    planner.process.terminate()
    liar.status, liar.body = status, body
    planner.start("--collector", f"127.0.0.1:{liar.server_address[1]}", demand=False)
    fetched = planner.metric("c4_planner_fetches_total")
    assert until(lambda: planner.metric("c4_planner_fetches_total") > fetched, 10)
    health = until(lambda: set(planner.health()[1]["reasons"]) & {"source", "demand"}, 5)
    known = planner.plan()
    if health:  # what cannot be understood changes nothing
        assert paths(known) == paths(before)
    else:  # a list of jobs none of which can be planned
        assert body.startswith(b'{"comms":[') and known["routes"] == []


def test_misuse(daemon):
    for options, about in [(["--oracle", "coin"], "oracle"), (["--interval", "1ms"], "interval"),
                           (["--listen", "nowhere"], "HOST:PORT"), (["extra"], "extra")]:
        process = daemon("c4planner", "--state", "none", *options)
        assert process.wait(10) != 0
        assert about in process.said()


# ---- a real job ------------------------------------------------------------------------------


@pytest.fixture
def running(planner, daemon, start):
    """A job on nodes n0 … n3 of a planned network: (job, its plan, address, collector)."""
    address = f"127.0.0.1:{free_port()}"
    planner.fabric.write_text(fabric(leaves=2, spines=2, hosts=2))
    collector = daemon("c4collector", "--listen", address, "--store", "none")
    planner.start("--collector", address, demand=False, wait=False)
    job = start(mpirun(4, [workload("ddp"), "--seconds", "25"], nodes=4), "--collector", address,
                "--job", "train")
    return job, planner.until(lambda p: len(p["routes"]) >= 4, 60), address, collector


@pytest.mark.long
def test_plan_of_a_running_job(planner, running):
    job, plan, address, _ = running
    assert {r["src"].split("/")[0] for r in plan["routes"]} == {"n0", "n1", "n2", "n3"}
    assert plan["max_link_load"] == plan["lower_bound"]
    mine = planner.plan("?node=n1")
    assert mine["routes"] and all(r["src"] == "n1/r0p0" for r in mine["routes"])
    # a planner that dies does not disturb the job, and comes back with the same plan
    before = planner.until(lambda p: p["routes"] and not p["unplaced"])
    planner.saved()
    planner.process.popen.send_signal(signal.SIGKILL)
    planner.process.wait(15)
    planner.start("--collector", address, demand=False)
    after = planner.plan()
    assert {k: paths(before)[k] for k in paths(after)} == paths(after)
    assert job.wait(90) == 0, job.said()
    planner.until(lambda p: not p["routes"], 60)  # and forgets it when it is over


@pytest.mark.long
def test_collector_that_starts_anew_takes_no_routes(planner, running, daemon):
    job, _, address, collector = running
    collector.popen.send_signal(signal.SIGKILL)
    collector.wait(15)
    before = planner.plan()
    assert before["routes"]
    daemon("c4collector", "--listen", address, "--store", "none")
    errors = planner.metric("c4_planner_collector_errors_total")
    fetches = planner.metric("c4_planner_fetches_total")
    # more looks than it takes, none of which may find the jobs gone
    assert until(lambda: planner.metric("c4_planner_fetches_total") >= fetches + 30, 60)
    assert planner.metric("c4_planner_collector_errors_total") <= errors + 5
    news = planner.plan(f"?since={before['version']}")
    assert not news["full"] and not news["removed"]
    assert job.wait(90) == 0, job.said()
