# SPDX-License-Identifier: BSD-3-Clause
"""Helpers of the end-to-end tests: run a real job under c4run and read what is said about it.

Every wait has a deadline, every process a test starts carries the test's own token in its
environment and is ended by it, and each job has its own runtime directory.
"""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BUILD = (REPO / os.environ.get("C4_BUILD", "build")).resolve()
TOKEN = "C4_TEST_TOKEN"

# Kinds that blame nobody by themselves.
HARMLESS = {"data-gap", "slow-job"}

MPI_OPTIONS = [
    "--oversubscribe", "--bind-to", "none",
    "--mca", "mpi_yield_when_idle", "1",
    "--mca", "btl", "vader,self",
    "--mca", "btl_base_warn_component_unused", "0",
    "--mca", "orte_forward_job_control", "1",
]


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes longer than half a minute")
    config.addinivalue_line("markers", "sanitized: also run with sanitized daemons")
    config.addinivalue_line("markers", "alone: needs the cores for itself, or a quiet machine")
    config.addinivalue_line("markers", "crowded: makes a crowd on the cores itself")
    config.addinivalue_line("markers", "paired: one other job beside it is all it can bear")
    config.addinivalue_line("markers", "asleep: hardly needs a core; beside jobs that do not either")


def pytest_collection_modifyitems(items):
    """Long ones first: with several workers none is left to wait for at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def program(name):
    return str(BUILD / "bin" / name)


def workload(name):
    return str(BUILD / "workloads" / name)


def mpirun(np, command, nodes=1, options=()):
    """The launcher's command line for np ranks in blocks over nodes n0, n1, …"""
    line = ["mpirun", *MPI_OPTIONS, *options]
    share = np // nodes
    for node in range(nodes):
        ranks = share if node < nodes - 1 else np - share * (nodes - 1)
        line += [":"] if node else []
        line += ["-np", str(ranks), "-x", f"C4_NODE=n{node}", *command]
    return line


def until(what, seconds, every=0.1):
    """The first true value of what(), or None when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value or None
        time.sleep(every)


# Below what kernels hand out, and from another place in each process: a port that is free now is not given
# to somebody else before a daemon listens there.
PORTS = itertools.cycle(range(16384 + os.getpid() % 64 * 256, 16384 + os.getpid() % 64 * 256 + 256))


def free_port():
    for port in itertools.islice(PORTS, 256):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port among this process's own")


def parse_time(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def http(url, data=None, kind=None, timeout=10):
    """(status, body) of a request; an error status is an answer, too."""
    headers = {"Content-Type": kind} if kind else {}
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def named(incidents):
    """Every rank any incident blames, but for kinds that blame nobody."""
    return {rank for i in incidents if i["kind"] not in HARMLESS for rank in i["culprit"]["ranks"]}


def processes(token):
    """pid → environment of all processes that carry the token."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            raw = (entry / "environ").read_bytes()
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if f"{TOKEN}={token}".encode() in raw and state != "Z":
            pairs = (item.partition(b"=") for item in raw.split(b"\0"))
            found[int(entry.name)] = {k.decode(): v.decode(errors="replace") for k, _, v in pairs}
    return found


def executable(pid):
    """Name of the file a process runs, "" if it is gone."""
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name.split(" ")[0]
    except OSError:
        return ""


def signal_quietly(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Process:
    """A program of ours or a job under test, its output in files."""

    def __init__(self, line, directory, token, env=None, name="run"):
        self.token = token
        self.out = directory / f"{name}.out"
        self.err = directory / f"{name}.err"
        whole = dict(os.environ, **(env or {}))
        whole.update({TOKEN: token, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                      "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.started = time.time()
            self.popen = subprocess.Popen(line, stdout=out, stderr=err, env=whole,
                                          stdin=subprocess.DEVNULL, cwd=directory)

    def said(self):
        return self.out.read_text(errors="replace") + self.err.read_text(errors="replace")

    def running(self):
        return self.popen.poll() is None

    def wait(self, seconds):
        """Exit status; a test that waits longer than it meant to has failed."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds} s:\n{self.said()[-4000:]}")

    def terminate(self, seconds=15):
        self.popen.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def end(self):
        """Ends it and whatever it started and left behind."""
        for pid in processes(self.token):
            signal_quietly(pid, signal.SIGKILL)
        if self.running():
            self.popen.kill()
        self.popen.wait(10)


class Job(Process):
    """A job under c4run."""

    def __init__(self, line, directory, token, options=(), env=None):
        self.report_path = directory / "report.json"
        run = [program("c4run"), "--report", str(self.report_path), *options, "--", *line]
        super().__init__(run, directory, token, env)

    def ranks(self):
        """World rank → pid of the ranks that run now (not of what wraps them)."""
        found = {}
        for pid, env in processes(self.token).items():
            rank = env.get("OMPI_COMM_WORLD_RANK")
            if rank is not None and not executable(pid).startswith("c4"):
                found.setdefault(int(rank), pid)
        return found

    def pids(self, name):
        """Processes of the job that run the program of this name."""
        return sorted(pid for pid in processes(self.token) if executable(pid) == name)

    def wait_ranks(self, count, seconds=60):
        """The ranks once all of them run; a rank that is just being started has no pid yet."""
        ranks = until(lambda: len(self.ranks()) == count and self.ranks(), seconds)
        assert ranks, f"not all of {count} ranks came up:\n{self.said()[-4000:]}"
        return ranks

    def saw(self, kind, seconds):
        """Waits until c4run has spoken of an incident of this kind."""
        return until(lambda: kind in self.said() or not self.running(), seconds) and \
            kind in self.said()

    def report(self):
        assert self.report_path.exists(), f"no report:\n{self.said()[-4000:]}"
        return json.loads(self.report_path.read_text())

    def incidents(self, kind=None):
        every = self.report()["incidents"]
        return [i for i in every if kind is None or i["kind"] == kind]

    def blames(self, kind, ranks, node=None):
        """Asserts that this fault and nobody else's is reported; returns the incident."""
        text = json.dumps(self.report()["incidents"], indent=1)
        mine = [i for i in self.incidents(kind) if i["state"] != "suspect"]
        assert len(mine) == 1, f"{len(mine)} incidents of kind {kind}:\n{text}\n{self.said()}"
        assert mine[0]["culprit"]["ranks"] == ranks, text
        if node is not None:
            assert mine[0]["culprit"]["node"] == node, text
        assert named(self.incidents()) == set(ranks), text
        assert mine[0]["evidence"], text
        return mine[0]

    def blames_nobody(self):
        assert named(self.incidents()) == set(), json.dumps(self.incidents(), indent=1)


@pytest.fixture
def token():
    return uuid.uuid4().hex


@pytest.fixture
def start(tmp_path, token):
    """start(line, *c4run options) → Job; ended and cleaned up with the test."""
    started = []
    runtime = Path("/dev/shm") / f"c4-test-{token[:12]}"
    backing = Path("/dev/shm") / f"c4-mpi-{token[:12]}"  # what killed ranks leave behind
    backing.mkdir()

    def begin(line, *options, env=None, private=True, name=None):
        directory = tmp_path / (name or f"job{len(started)}")
        directory.mkdir(exist_ok=True)
        if private:
            options = ("--runtime-dir", str(runtime), *options)
        job = Job(line, directory, token, options,
                  {"OMPI_MCA_btl_vader_backing_directory": str(backing), **(env or {})})
        started.append(job)
        return job

    begin.runtime = runtime
    yield begin
    for job in started:
        job.end()
    shutil.rmtree(runtime, ignore_errors=True)
    shutil.rmtree(backing, ignore_errors=True)


@pytest.fixture
def daemon(tmp_path, token):
    """daemon(name, *arguments) → Process of one of our daemons."""
    started = []

    def begin(name, *arguments, env=None):
        process = Process([program(name), *arguments], tmp_path, token, env,
                          f"{name}{len(started)}")
        started.append(process)
        return process

    yield begin
    for process in started:
        process.end()
