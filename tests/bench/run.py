#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""run.py [--quick] [--only NAME,…] [--json FILE]: measures the budgets of the design.

Comparisons alternate between with and without inside one process, so that a machine that changes
its speed changes both; the value is the median over the pairs. Prints a table, then one JSON line per benchmark:
{"bench":…,"value":…,"unit":…,"budget":…,"ok":…}. Exit status 1: one could not be measured.
"""

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BUILD = (REPO / os.environ.get("C4_BUILD", "build")).resolve()
HOOK = BUILD / "lib" / "libc4mpi.so"
AT_MOST, AT_LEAST = "<=", ">="

MPI_ENV = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_btl": "vader,self",
    "OMPI_MCA_btl_base_warn_component_unused": "0",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}


class Failed(Exception):
    pass


def mpirun(np, *command, nodes=1, preload=None):
    extra = ["-x", f"LD_PRELOAD={preload}"] if preload else []
    line = ["mpirun"]
    for node in range(nodes):
        line += [":"] if node else []
        line += ["-np", str(np // nodes), "-x", f"C4_NODE=n{node}", *extra, *map(str, command)]
    return line


def bench(name):
    return str(BUILD / "bench" / name)


def run(line, seconds=120, env=None):
    """Standard output of a command that has to succeed."""
    done = subprocess.run(line, env=dict(os.environ, **MPI_ENV, **(env or {})), timeout=seconds,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(line[:6])} …: exit status {done.returncode}: "
                     f"{done.stderr.strip()[-300:]}")
    return done.stdout


def number(text, word):
    found = re.search(rf"{word} ([0-9.]+)", text)
    if not found:
        raise Failed(f"no '{word}' in: {text[-200:]}")
    return float(found.group(1))


class Table:
    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, budget, sense=AT_MOST):
        ok = value <= budget if sense == AT_MOST else value >= budget
        self.rows.append(({"bench": name, "value": round(value, 4), "unit": unit,
                           "budget": budget, "ok": ok}, sense))
        print(f"  {name}: {value:.4g} {unit}", file=sys.stderr)

    def add_line(self, line):
        """A row another program has measured and judged."""
        row = {key: line[key] for key in ("bench", "value", "unit", "budget", "ok")}
        within = row["value"] <= row["budget"]
        self.rows.append((row, AT_MOST if within == row["ok"] else AT_LEAST))
        print(f"  {row['bench']}: {row['value']:.4g} {row['unit']}", file=sys.stderr)

    def show(self, out):
        width = max([len(row["bench"]) for row, _ in self.rows] + [5])
        print(f"{'bench':{width}}  {'value':>12}  {'budget':>14}  unit", file=out)
        for row, sense in self.rows:
            print(f"{row['bench']:{width}}  {row['value']:12.4g}  {sense} {row['budget']:11.4g}  "
                  f"{row['unit']:14} {'ok' if row['ok'] else 'OVER'}", file=out)
        for row, _ in self.rows:
            print(json.dumps(row, ensure_ascii=False), file=out)


# ---- a job under c4run -----------------------------------------------------------------------


class Watched:
    """c4run around a job, in a directory of its own; a context that leaves nothing running."""

    def __init__(self, line, *options):
        self.dir = tempfile.TemporaryDirectory(prefix="c4-bench.")
        self.report = Path(self.dir.name) / "report.json"
        self.said = Path(self.dir.name) / "said"
        whole = [str(BUILD / "bin" / "c4run"), "--report", str(self.report), *options, "--", *line]
        with open(self.said, "wb") as out:
            self.popen = subprocess.Popen(whole, stdout=out, stderr=out, start_new_session=True,
                                          env=dict(os.environ, **MPI_ENV), cwd=self.dir.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait()
        self.dir.cleanup()

    def text(self):
        return self.said.read_text(errors="replace")

    def wait_for(self, word, seconds):
        end = time.monotonic() + seconds
        while word not in self.text():
            if time.monotonic() > end or self.popen.poll() is not None:
                raise Failed(f"no '{word}' within {seconds} s: {self.text()[-300:]}")
            time.sleep(0.05)

    def end(self):
        self.popen.terminate()
        self.popen.wait(20)
        return json.loads(self.report.read_text())

    def finish(self, seconds):
        if self.popen.wait(seconds):
            raise Failed(f"exit status {self.popen.returncode}: {self.text()[-300:]}")
        return json.loads(self.report.read_text())

    def children(self, name):
        """Our descendants that run this program."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    after = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                    parents[int(entry.name)] = (int(after[1]), (entry / "comm").read_text())
                except OSError:
                    continue
        mine = {self.popen.pid}
        while True:
            more = {pid for pid, (up, _) in parents.items() if up in mine} - mine
            if not more:
                break
            mine |= more
        return [pid for pid in mine if parents.get(pid, (0, ""))[1].strip() == name]


def cpu_seconds(pid):
    after = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(after[11]) + int(after[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


class Tap(threading.Thread):
    """A loopback relay that counts what agents send to a collector."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.target, self.up = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.target))
            for args in ((near, far, True), (far, near, False)):
                threading.Thread(target=self.relay, args=args, daemon=True).start()

    def relay(self, source, sink, counted):
        try:
            while data := source.recv(65536):
                self.up += len(data) if counted else 0
                sink.sendall(data)
        except OSError:
            pass
        sink.close()


# ---- benchmarks ------------------------------------------------------------------------------


def own_programs(table, quick):
    """Programs of tests/bench that judge themselves: one JSON object per line."""
    for path in sorted((REPO / "tests" / "bench").glob("*.c")):
        if path.stem.startswith("mpi_"):
            continue
        for text in run([bench(path.stem)] + (["--quick"] if quick else []), 300).splitlines():
            if text.startswith("{"):
                table.add_line(json.loads(text))


def hook_cost(table, quick):
    """What one blocking collective gains: MPI_X against PMPI_X in turn, in one process."""
    line = mpirun(2, bench("mpi_hook"), "blocking", 100 if quick else 300, preload=HOOK)
    measured = json.loads(run(line).splitlines()[-1])
    table.add("hook_added_per_collective", measured["added_ns"], "ns", 60)


def hook_instructions(table, quick):
    """Instructions of N calls with the hook less those without, by callgrind."""
    calls = 1000

    def count(preload):
        extra = ["-x", f"LD_PRELOAD={preload}"] if preload else []
        with tempfile.NamedTemporaryFile(prefix="c4-callgrind.") as out:
            grind = ["valgrind", "--tool=callgrind", "--toggle-collect=measured",
                     f"--callgrind-out-file={out.name}"]
            rank = [bench("mpi_hook"), "count", str(calls)]
            run(["mpirun", "-np", "1", *extra, *grind, *rank, ":", "-np", "1", *extra, *rank], 300)
            return int(re.search(r"^(?:totals|summary): (\d+)", Path(out.name).read_text(),
                                 re.M).group(1))

    table.add("hook_instructions_per_collective", (count(HOOK) - count(None)) / calls,
              "instructions", 250)


# Kinds of events of tests/bench/nccl_event.c; of the second group there are many per operation.
NCCL_EVENTS = ["call", "group", "coll", "coll-stop", "kernel", "kernel-time", "kernel-stop",
               "proxy", "proxy-stop"]
NCCL_STEPS = ["step", "gpu-wait", "gpu-ready", "peer-wait", "state", "step-stop"]


def nccl_instructions(table, quick):
    """The dearest event of each group, by callgrind."""
    ops = 100 if quick else 1000

    def total(*args):
        with tempfile.NamedTemporaryFile(prefix="c4-callgrind.") as out, \
                tempfile.TemporaryDirectory(prefix="c4-bench.") as runtime:
            run(["valgrind", "--tool=callgrind", "--toggle-collect=measured",
                 f"--callgrind-out-file={out.name}", bench("nccl_event"), *args],
                300, {"C4_RUNTIME_DIR": runtime, "C4_NCCL_DETAIL": "on"})
            return int(re.search(r"^(?:totals|summary): (\d+)", Path(out.name).read_text(),
                                 re.M).group(1))

    def count(kind):
        more = total(kind, str(ops)) - total(kind, str(ops), "nothing")
        each = more / (ops + 1) / (8 if kind in NCCL_STEPS else 1)
        print(f"  {kind}: {each:.0f}", file=sys.stderr)
        return each

    table.add("nccl_instructions_per_op_event", max(count(k) for k in NCCL_EVENTS),
              "instructions", 400)
    table.add("nccl_instructions_per_step_state", max(count(k) for k in NCCL_STEPS),
              "instructions", 150)


def allreduce(table, quick):
    def ratio():
        line = mpirun(4, bench("mpi_hook"), "allreduce", 1 << 20, 500 if quick else 3000,
                      preload=HOOK)
        return json.loads(run(line).splitlines()[-1])["ratio"]

    table.add("allreduce_1mib_ratio", statistics.median(ratio() for _ in range(5)),
              "with/without", 1.005)


class OddSecondsOff(threading.Thread):
    """Stops processes in odd seconds of the wall clock, as mpi_step has it."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids, self.over = pids, threading.Event()

    def signal(self, number):
        for pid in self.pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def run(self):
        while not self.over.is_set():
            self.signal(signal.SIGSTOP if int(time.time()) % 2 else signal.SIGCONT)
            self.over.wait(1 - time.time() % 1)
        self.signal(signal.SIGCONT)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def training_step(table, quick):
    """Hook, agent and collector on and off every other second of one training."""
    seconds = 20 if quick else 120
    with Watched(mpirun(2, bench("mpi_step"), 65536, seconds, 1_000_000, nodes=2)) as job:
        time.sleep(2)
        daemons = job.children("c4agent") + job.children("c4collector")
        if len(daemons) < 2:
            raise Failed(f"agent and collector do not run: {job.text()[-300:]}")
        with OddSecondsOff(daemons):
            while job.popen.poll() is None and "ratio" not in job.text():
                time.sleep(0.5)
        job.finish(30)
        table.add("training_step_ratio", number(job.text(), "ratio"), "with/without", 1.003)


def agent_load(table, quick):
    seconds = 10 if quick else 30
    with Watched(mpirun(8, bench("mpi_rate"), 2000, seconds + 6)) as job:
        time.sleep(4)  # start-up is not the steady state
        agents = job.children("c4agent")
        if not agents:
            raise Failed("no c4agent runs under c4run")
        began, before = time.monotonic(), sum(map(cpu_seconds, agents))
        time.sleep(seconds - 2)
        share = (sum(map(cpu_seconds, agents)) - before) / (time.monotonic() - began)
        memory = max(map(memory_mib, agents))
        job.finish(60)
        if number(job.text(), "ops_per_s") < 1900:
            raise Failed(f"the load was not reached: {job.text()[-200:]}")
    table.add("agent_cpu_8x2000", 100 * share, "% of a core", 2.0)
    table.add("agent_rss_8x2000", memory, "MiB", 32)


def upstream(table, quick):
    seconds, ranks = 15 if quick else 30, 8
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    line = [str(BUILD / "bin" / "c4collector"), "--listen", f"127.0.0.1:{port}"]
    collector = subprocess.Popen([*line, "--store", "none"], stderr=subprocess.DEVNULL)
    try:
        tap = Tap(port)
        line = mpirun(ranks, str(BUILD / "workloads" / "grid"), "--seconds", seconds + 8, nodes=1)
        with Watched(line, "--collector", f"127.0.0.1:{tap.port}") as job:
            time.sleep(5)
            before = tap.up
            time.sleep(seconds)
            sent = tap.up - before
            job.finish(60)
    finally:
        collector.terminate()
        collector.wait(10)
    table.add("upstream_per_rank", sent / seconds / ranks / 1000, "kB/s", 2.0)


def latency(kind, fault, limit):
    """Seconds from the fault to `confirmed`, in one run."""
    line = mpirun(8, str(BUILD / "workloads" / "ddp"), "--seconds", 90, *fault, nodes=4)
    with Watched(line) as job:
        job.wait_for("fault: ", 40)
        job.wait_for(kind, limit)
        began = number(job.text(), r"fault: rank \d+ \w+ \w+ at")
        report = job.end()
        for incident in report["incidents"]:
            if incident["kind"] == kind and incident.get("confirmed"):
                at = datetime.fromisoformat(incident["confirmed"].replace("Z", "+00:00"))
                return at.timestamp() - began
    raise Failed(f"{kind} was never confirmed")


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))]


def detection(table, quick, name, kind, faults, budgets):
    runs = 3 if quick else 20
    seconds = [latency(kind, faults[i % len(faults)], 60) for i in range(runs)]
    for p, budget in budgets:
        table.add(f"{name}_detect_p{p}", percentile(seconds, p), "s", budget)


def hang_latency(table, quick):
    faults = [("--stop", f"{rank}:6") for rank in (5, 2, 7, 0)]
    detection(table, quick, "hang", "hang-rank", faults, [(50, 5), (90, 5), (99, 10)])


def routes(table, quick):
    """Links and wrong port maps, on a bed of namespaces where one can be made."""
    line = [REPO / "tests" / "lab" / "measure.py", "--build", BUILD] + ["--quick"] * quick
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, timeout=600, check=False)
    if done.returncode:
        raise Failed(f"tests/lab/measure.py: exit status {done.returncode}")
    for text in done.stdout.splitlines():
        table.add_line(json.loads(text))


def slow_latency(table, quick):
    faults = [("--slow", f"{rank}:{factor}:8")
              for rank, factor in ((5, 1.1), (2, 1.3), (7, 1.8), (3, 1.1))]
    detection(table, quick, "slow", "slow-rank", faults, [(50, 10), (90, 10), (99, 20)])


BENCHES = {
    "hook": hook_cost,
    "instructions": hook_instructions,
    "nccl": nccl_instructions,
    "allreduce": allreduce,
    "step": training_step,
    "agent": agent_load,
    "upstream": upstream,
    "hang": hang_latency,
    "slow": slow_latency,
    "routes": routes,
    "programs": own_programs,
}


def main():
    args = argparse.ArgumentParser(description="Measures the budgets of the design.")
    args.add_argument("--quick", action="store_true", help="fewer repetitions")
    args.add_argument("--only", default=",".join(BENCHES), help="comma-separated: %(default)s")
    args.add_argument("--json", metavar="FILE", help="also write the JSON lines there")
    args = args.parse_args()
    table, broken = Table(), []
    for name in args.only.split(","):
        if name not in BENCHES:
            sys.exit(f"run.py: no benchmark '{name}' (there are: {', '.join(BENCHES)})")
        print(f"{name} …", file=sys.stderr)
        try:
            BENCHES[name](table, args.quick)
        except (Failed, OSError, subprocess.SubprocessError) as error:
            broken.append(f"{name}: {error}")
    table.show(sys.stdout)
    if args.json:
        Path(args.json).write_text("".join(json.dumps(row) + "\n" for row, _ in table.rows))
    for line in broken:
        print(f"run.py: not measured: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
