# SPDX-License-Identifier: BSD-3-Clause
"""One job of tests/gpu/run.py: its ranks, what is done to it, and what came of it.

Every rank is a process of its own with its own NCCL_HOSTID; the launcher below starts them, under
c4run where c4 is to watch. Whatever happens, a job is over when its time is, and all its processes
with it.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from machine import BUILD, HERE, REPO, say

START_S = 60  # for CUDA and NCCL to come up
TELL_S = 30   # for c4 to say what it has to, after the job's own time
END_S = 10    # for a job that was asked to end
STEPS_A_SECOND = 50  # at most: nccl_job computes for 20 ms in each

NCCL_ENV = {
    "NCCL_NET": "Socket", "NCCL_SOCKET_IFNAME": "lo", "NCCL_MNNVL_ENABLE": "0",
    "NCCL_NVLS_ENABLE": "0", "NCCL_COLLNET_ENABLE": "0", "NCCL_CUMEM_HOST_ENABLE": "0",
    "NCCL_MAX_NCHANNELS": "2", "NCCL_BUFFSIZE": "1048576", "NCCL_PROTO": "Simple",
    "NCCL_ALGO": "Ring", "NCCL_RAS_ENABLE": "0", "NCCL_DEBUG": "WARN",
}
OURS = BUILD / "lib" / "libnccl-profiler-c4.so"
FAULTS = ("C4_FAULT_SEND", "C4_FAULT_RECV", "C4_FAULT_ONLY")


class NoTime(Exception):
    """Not enough of the budget is left."""


class Case:
    """A job, what is done to it, and what c4 should say of it.

    expect: kinds one of which must be told, () for none; ranks: whom it may name, None: anybody.
    outside: (rank, signal, seconds) from outside. hangs: it does not end by itself. needs: "nccl"
    or "torch". replay: what nccl_host is told with --pretend; None: it cannot act that out."""

    def __init__(self, name, expect=(), ranks=None, job=(), env=None, faulty=-1, outside=None,
                 seconds=16, hangs=False, needs="nccl", replay=None, scene="training",
                 doctor=False):
        self.name, self.expect, self.ranks = name, expect, ranks
        self.job, self.env, self.faulty, self.outside = list(job), env or {}, faulty, outside
        self.seconds, self.hangs, self.needs, self.replay = seconds, hangs, needs, replay
        self.scene, self.doctor = scene, doctor

    @property
    def longest(self):
        """Seconds it takes where all goes as it should, roughly."""
        return self.seconds + 12


class Plugin:
    """What NCCL is given: file (None: no plugin), environment, and whether c4run watches."""

    def __init__(self, file=OURS, env=None, watched=True):
        self.file, self.env, self.watched = file, env or {}, watched


# ---- the launcher -------------------------------------------------------------------------------

def rank_env(rank, ranks):
    env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_RANK": "0",
           "C4_NODE": f"n{rank}", "NCCL_HOSTID": f"c4-n{rank}"}
    shim = os.environ.get("C4_GPU_SHIM", "")
    if rank == int(os.environ.get("C4_GPU_FAULTY", "-1")) and shim:
        env["LD_PRELOAD"] = ":".join(filter(None, [shim, env.get("LD_PRELOAD")]))
    else:
        for name in FAULTS:
            env.pop(name, None)
    return env


def launch(ranks, meeting, command):
    """The launcher under c4run: one process per rank, each a node; ends with the first failure."""
    began = time.monotonic()
    pretend = "C4_GPU_PRETEND" in os.environ  # then nobody else leaves pids and times
    children = [subprocess.Popen(command, env=rank_env(rank, ranks)) for rank in range(ranks)]
    for rank, child in enumerate(children if pretend else []):
        (meeting / f"pid-{rank}").write_text(f"{child.pid}\n")

    def end(number, _):
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    while True:
        states = [child.poll() for child in children]
        if all(state == 0 for state in states):
            break
        failed = [state for state in states if state]
        if failed:
            time.sleep(3)  # what a launcher takes to notice: others may still say something
            for child in children:
                if child.poll() is None:
                    child.kill()
            return failed[0] if failed[0] > 0 else 128 - failed[0]
        time.sleep(0.05)
    for rank in range(ranks if pretend else 0):
        (meeting / f"times-{rank}.json").write_text(
            json.dumps({"median_ms": (time.monotonic() - began) * 1e3, "steps": 1}))
    return 0


# ---- running one --------------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def read_json(path):
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError):
        return None


def strike(meeting, outside):
    rank, number, _ = outside
    try:
        os.kill(int((meeting / f"pid-{rank}").read_text()), number)
    except (OSError, ValueError):
        pass  # it has ended by itself: the verdict will tell
    return True


def end_group(job):
    """Ends what the job has started, itself included, and nothing else."""
    try:
        os.killpg(job.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        job.wait(END_S)
    except subprocess.TimeoutExpired:
        say(f"  process {job.pid} does not end")


class Run:
    """A job while it runs, and what it left: status, report, times, log, doctor's answer."""

    def __init__(self, bench, case, plugin, number):
        self.bench, self.case, self.plugin = bench, case, plugin
        self.place = bench.work / f"{number:03d}-{case.name}"
        self.meeting, self.log = self.place / "meeting", self.place / "log"
        self.meeting.mkdir(parents=True)
        self.runtime = Path("/dev/shm") / f"c4-gpu-{os.getpid()}-{number}"
        self.job = self.status = self.doctor = self.report = None
        self.times = []

    # what is started

    @property
    def replayed(self):
        """nccl_host plays NCCL's part; it loads its plugin itself. Else, the stand-ins of it do."""
        return self.bench.pretend and self.case.replay is not None

    def replay_line(self):
        """nccl_host in the part of one rank; without a plugin it has ours, switched off."""
        line = [str(BUILD / "nccl" / "nccl_host"), "--plugin", str(self.plugin.file or OURS)]
        for key, value in {"seconds": self.case.seconds, **(self.case.replay or {})}.items():
            line += ["--set", f"{key}={value}"]
        return [*line, "--start", str(time.monotonic_ns() + 2_000_000_000),
                str(REPO / "tests" / "nccl" / "scenes" / f"{self.case.scene}.stream")]

    def rank_line(self):
        if self.replayed:
            return self.replay_line()
        what = ([sys.executable, str(HERE / "ddp.py")] if self.case.needs == "torch" else
                [str(self.bench.work / "nccl_job")])
        how = ([str(self.case.seconds)] if self.case.needs == "torch" else
               ["--seconds", str(self.case.seconds)])
        if self.bench.pretend:  # stand-ins do not add up, so ranks cannot agree on an end
            how += ["--steps", str(self.case.seconds * STEPS_A_SECOND)]
        return [*what, str(self.meeting), *how, *self.case.job]

    def line(self):
        line = [sys.executable, str(HERE / "run.py"), "launch", str(self.bench.ranks),
                str(self.meeting), *self.rank_line()]
        if not self.plugin.watched:
            return line
        # as users have it: plugin and library
        return [str(BUILD / "bin" / "c4run"), "--quiet",
                "--hook", "none" if self.replayed else "nccl",
                "--report", str(self.place / "report.json"), "--runtime-dir", str(self.runtime),
                "--", *line]

    def environment(self):
        env = {**os.environ, **NCCL_ENV, **self.bench.env, **self.case.env, **self.plugin.env,
               "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        env.pop("NCCL_PROFILER_PLUGIN", None)
        if not self.plugin.watched:
            env["NCCL_PROFILER_PLUGIN"] = str(self.plugin.file or "none")
        if self.replayed:
            env["C4_GPU_PRETEND"] = "1"
            if not self.plugin.file:
                env["C4_HOOK"] = "0"
        if self.case.faulty >= 0:
            env.update(C4_GPU_FAULTY=str(self.case.faulty),
                       C4_GPU_SHIM=str(self.bench.work / "slow_socket.so"))
        return env

    # while it runs

    def all_up(self):
        return len(list(self.meeting.glob("pid-*"))) == self.bench.ranks

    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def enough(self, elapsed):
        """A hung job has said what it has to say, or never will."""
        told = any(kind in self.said() for kind in self.case.expect)
        longest = self.case.seconds + (TELL_S if self.plugin.watched else 0)
        return elapsed > longest or (told and elapsed > 12)

    def ask_doctor(self):
        try:
            done = subprocess.run([str(BUILD / "bin" / "c4ctl"), "doctor", "--json"], text=True,
                                  env={**os.environ, "C4_RUNTIME_DIR": str(self.runtime)},
                                  capture_output=True, timeout=20, check=False)
            self.doctor = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            self.doctor = {"ok": False, "checks": [{"ok": False, "text": str(error)}]}

    def during(self, elapsed, done):
        """What is due to be done to it, once each."""
        if self.case.outside and "strike" not in done and elapsed >= self.case.outside[2]:
            done.add("strike")
            strike(self.meeting, self.case.outside)
        if self.case.doctor and "doctor" not in done and elapsed >= 7:
            done.add("doctor")
            self.ask_doctor()

    def watch(self):
        """Until it is over, or its time is."""
        limit = time.monotonic() + min(START_S + self.case.seconds + TELL_S, self.bench.left())
        began, done = None, set()
        while self.job.poll() is None and time.monotonic() < limit:
            time.sleep(0.2)
            if began is None and self.all_up():
                began = time.monotonic()
            if began is None:
                continue
            self.during(time.monotonic() - began, done)
            if self.case.hangs and self.enough(time.monotonic() - began):
                break
        if self.job.poll() is None:
            self.job.send_signal(signal.SIGTERM)
            try:
                self.job.wait(END_S)
            except subprocess.TimeoutExpired:
                say(f"  {self.case.name} does not end when asked to")

    def go(self):
        with open(self.log, "wb") as out:
            self.job = subprocess.Popen(self.line(), env=self.environment(), stdout=out,
                                        stderr=out, start_new_session=True)
            try:
                self.watch()
            finally:
                end_group(self.job)
                shutil.rmtree(self.runtime, ignore_errors=True)
        self.status = self.job.returncode
        self.report = read_json(self.place / "report.json")
        times = map(read_json, sorted(self.meeting.glob("times-*.json")))
        self.times = [t["median_ms"] for t in times if t]
        return self

    def tail(self, lines=12):
        return "\n".join("      " + line for line in self.said().splitlines()[-lines:])


class Bench:
    """What all jobs share: places, environment, time."""

    def __init__(self, args, work, mps, paths):
        self.ranks, self.pretend, self.pairs = args.ranks, args.pretend, args.pairs
        self.work, self.mps, self.count = work, mps, 0
        self.deadline = args.began + args.budget
        places = [paths[name] for name in ("libnccl.so.2", "libcudart.so")] if paths else []
        self.libraries = ":".join(dict.fromkeys(filter(None, places)))
        self.extra = {}

    @property
    def env(self):
        env = {**self.mps.env, **self.extra}
        if self.libraries:
            old = os.environ.get("LD_LIBRARY_PATH")
            env["LD_LIBRARY_PATH"] = self.libraries + (f":{old}" if old else "")
        return env

    def left(self):
        return self.deadline - time.monotonic()

    def run(self, case, plugin, runs=1):
        """Runs the job once. NoTime if it, and the others of its kind, would not fit."""
        if self.left() < case.longest * runs:
            raise NoTime
        self.count += 1
        run = Run(self, case, plugin, self.count).go()
        if case.hangs or case.outside:
            self.mps.renew()
        return run
