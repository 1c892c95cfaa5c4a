# SPDX-License-Identifier: BSD-3-Clause
"""c4's whole loop on a bed: planner and collector on the management node, an agent per host.

    with Loop(bed, "build", directory) as loop:
        loop.learn(...)                 # a job runs; its traffic becomes demand
        job = bed.train(hosts, argv, env=loop.pinned())

Data go over the fabric, what the parts say to each other over the management network.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

PLANNER, COLLECTOR = "10.79.0.254:7441", "10.79.0.254:7440"


class Loop:
    """What runs is ended by stop(), or with the bed."""

    def __init__(self, bed, build, directory, planner_options=(), collector=True):
        self.bed, self.dir = bed, Path(directory)
        self.bin, self.lib = Path(build).resolve() / "bin", Path(build).resolve() / "lib"
        self.planner_options, self.with_collector = list(planner_options), collector
        self.parts = {}

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # ---- parts -------------------------------------------------------------------------------

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self.run_dir.mkdir(mode=0o700, exist_ok=True)
        self.bed.yaml(self.dir / "fabric.yaml")
        if self.with_collector:
            self._start("collector", "mgmt", "c4collector", "--listen", COLLECTOR,
                        "--store", self.dir / "c4.db")
        self.start_planner()
        for host in self.bed.hosts():
            self.start_agent(host)
        return self

    @property
    def run_dir(self):
        """Segments and plan tables of all hosts; their names tell them apart."""
        return self.dir / "run"

    def start_planner(self):
        self._start("planner", "mgmt", "c4planner", "--listen", PLANNER,
                    "--fabric", self.dir / "fabric.yaml", "--state", self.dir / "planner.state",
                    "--flows", *(["--collector", COLLECTOR] if self.with_collector else []),
                    *self.planner_options)

    def start_agent(self, host):
        self._start(f"agent {host}", host, "c4agent", "--planner", PLANNER,
                    "--collector", COLLECTOR, "--runtime-dir", self.run_dir)

    def _start(self, name, node, program, *options):
        log = open(self.dir / f"{name.replace(' ', '-')}.log", "a", encoding="utf-8")
        self.parts[name] = self.bed.run(node, [self.bin / program, *options], stdout=log,
                                        stderr=subprocess.STDOUT,
                                        env={"C4_LOG": os.environ.get("C4_LOG", "info")})
        log.close()

    def stop(self):
        for popen in self.parts.values():
            if popen.poll() is None:
                os.killpg(popen.pid, signal.SIGTERM)
        for popen in self.parts.values():
            try:
                popen.wait(10)
            except subprocess.TimeoutExpired:
                pass
            self.bed.end(popen)
        self.parts.clear()

    def kill(self, name):
        self.bed.end(self.parts.pop(name))

    # ---- what the parts say ------------------------------------------------------------------

    def get(self, path, address=PLANNER):
        status, body = self.bed.http(f"http://{address}{path}")
        return json.loads(body) if status == 200 else {}

    def plan(self):
        return self.get("/api/v1/plan")

    def routes(self):
        """{(source host, destination host): [spine of each QP]}"""
        found = {}
        for route in self.plan().get("routes", []):
            src, dst = (route[end].split("/")[0] for end in ("src", "dst"))
            spine = route["path"][1] if len(route["path"]) == 3 else None
            found.setdefault((src, dst), []).append(spine)
        return found

    def spines(self, pairs):
        """The spines that are planned for these pairs. Others may be planned too: what carried
        little, once, stays on a weak link as long as the link can bear it."""
        return {spine for pair, spines in self.routes().items() if pair in pairs
                for spine in spines}

    def incidents(self, kind=None):
        listed = self.get("/api/v1/incidents", COLLECTOR).get("incidents", [])
        return [i for i in listed if kind in (None, i["kind"])]

    def until(self, what, seconds, every=0.25):
        """The first true value of what(), or None when the time is over."""
        end = time.monotonic() + seconds
        while True:
            value = what()
            if value or time.monotonic() > end:
                return value or None
            time.sleep(every)

    # ---- jobs --------------------------------------------------------------------------------

    def pinned(self, more=None):
        """The environment in which a program's connections take planned ports."""
        return {"LD_PRELOAD": str(self.lib / "libc4route.so"),
                "C4_RUNTIME_DIR": str(self.run_dir), **(more or {})}


def elephants(bed):
    """{(source host, destination host): {spine: bytes}} of what the spines saw, without what is
    small beside the largest: acknowledgements, rendezvous."""
    host_of = {bed.address(host): host for host in bed.hosts()}
    found = {}
    for (src, _, dst, _), spines in bed.truth().items():
        if src in host_of and dst in host_of:
            pair = found.setdefault((host_of[src], host_of[dst]), {})
            for spine, size in spines.items():
                pair[spine] = pair.get(spine, 0) + size
    most = max((sum(spines.values()) for spines in found.values()), default=0)
    return {pair: spines for pair, spines in found.items() if sum(spines.values()) >= most / 4}
