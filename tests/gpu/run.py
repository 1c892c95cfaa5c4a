#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""run.py [--ranks N] [--budget SECONDS] [--only NAME,…] [--pairs N] [--list] [--pretend]

What a machine with one GPU can prove of c4 on real NCCL, in one go:

  record-*   real event streams, for the replay tests (tests/nccl/streams/recorded)
  healthy-*, and one case per fault: what c4 says, against what it should say
  overhead-* the same job with the plugin off and on (and NCCL's own Inspector, where its library is
             found: C4_INSPECTOR=FILE), alternating; medians of the ratios of pairs
  ddp-*      a real PyTorch DDP training, where torch with CUDA is there

Every rank is a process with a NCCL_HOSTID of its own, so NCCL takes it for a node, and everything
goes through NET/Socket on the loopback: proxies, steps, connections as between machines
(several ranks on one GPU are refused otherwise). With MPS, if it can be started, kernels really
run at a time; without it the GPU's time slices blur who came when, and the table says so.

Network faults come from slow_socket.so in one rank: it needs no root, and hits one direction of one
rank, which tc on the loopback cannot.

Writes tests/gpu/RESULTS.md and recordings; where C4_GPU_OUT is set, also there, with results.json. With
--only the table is printed instead.
Cases that no longer fit into the budget are named as left out.
Exit status: 0; 1 something went against expectation; 77 no GPU, nothing was done.
--pretend: no GPU, NCCL's part played by nccl_host; checks this script alone, writes nothing.
"""

import argparse
import ctypes
import ctypes.util
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
BUILD = (REPO / os.environ.get("C4_BUILD", "build")).resolve()
RECORDED = REPO / "tests" / "nccl" / "streams" / "recorded"
RESULTS = HERE / "RESULTS.md"
SKIPPED = 77
RECORD_LINES = 6000  # per rank: about half a megabyte
NOBODY = "nobody"

NCCL_ENV = {
    "NCCL_NET": "Socket", "NCCL_SOCKET_IFNAME": "lo", "NCCL_MNNVL_ENABLE": "0",
    "NCCL_NVLS_ENABLE": "0", "NCCL_COLLNET_ENABLE": "0", "NCCL_CUMEM_HOST_ENABLE": "0",
    "NCCL_MAX_NCHANNELS": "2", "NCCL_BUFFSIZE": "1048576", "NCCL_PROTO": "Simple",
    "NCCL_ALGO": "Ring", "NCCL_RAS_ENABLE": "0", "NCCL_DEBUG": "WARN",
}


def say(text):
    print(text, flush=True)


# ---- what is there ------------------------------------------------------------------------------

def output(*line):
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""
    except (OSError, subprocess.TimeoutExpired):
        return ""


def gpus():
    """Number of CUDA devices, and why there are none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0, "no CUDA driver (libcuda.so.1)"
    count = ctypes.c_int(0)
    status = cuda.cuInit(0)
    if status:
        return 0, f"the CUDA driver finds no device (cuInit: {status})"
    if cuda.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return 0, "no CUDA device"
    return count.value, ""


def torch_places():
    """Directories with the CUDA libraries a PyTorch wheel has brought."""
    found = []
    for place in sys.path:
        found += [str(p) for p in Path(place or ".").glob("nvidia/*/lib")]
    return found


def first_with(name, places):
    return next((p for p in places if p and list(Path(p).glob(name))), None)


def cuda_paths():
    """(include directory, library directories) for nccl_job; None where something is missing."""
    home = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))
    wheels = torch_places()
    libs = [str(home / "lib64"), "/usr/lib/x86_64-linux-gnu", *wheels]
    include = [str(home / "include"), "/usr/include", *[str(Path(p).parent / "include")
                                                        for p in wheels]]
    need = {"nccl.h": first_with("nccl.h", include),
            "cuda_runtime_api.h": first_with("cuda_runtime_api.h", include),
            "libnccl.so.2": first_with("libnccl.so.2", libs),
            "libcudart.so": first_with("libcudart.so*", libs)}
    missing = [name for name, place in need.items() if place is None]
    if missing:
        return None, f"missing: {', '.join(missing)}"
    return need, ""


def has_torch():
    code = "import torch, sys; sys.exit(0 if torch.cuda.is_available() else 1)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True,
                          check=False).returncode == 0


def inspector():
    """NCCL's own profiler plugin, if somebody has built it."""
    named = os.environ.get("C4_INSPECTOR")
    places = [named] if named else [
        "/usr/local/lib/libnccl-profiler-inspector.so",
        "/usr/lib/x86_64-linux-gnu/libnccl-profiler-inspector.so"]
    return next((p for p in places if p and Path(p).exists()), None)


def versions(paths):
    said = output("nvidia-smi", "--query-gpu=name,driver_version,memory.total",
                  "--format=csv,noheader").splitlines()
    nccl = ctypes.c_int(0)
    try:
        ctypes.CDLL(str(Path(paths["libnccl.so.2"]) / "libnccl.so.2")).ncclGetVersion(
            ctypes.byref(nccl))
    except (OSError, TypeError):
        pass
    v = nccl.value
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "gpu, driver": said[0] if said else "unknown",
        "NCCL": f"{v // 10000}.{v // 100 % 100}.{v % 100}" if v else "unknown",
        "kernel": platform.release(),
        "CPU cores": str(len(os.sched_getaffinity(0))),
        "c4": output("git", "-C", str(REPO), "rev-parse", "--short", "HEAD") or "unknown",
    }


# ---- building -----------------------------------------------------------------------------------

def build(paths, work):
    """Whatever is missing of c4, the job and the ill network. Raises if it cannot be built."""
    need = [BUILD / "bin" / "c4run", BUILD / "lib" / "libnccl-profiler-c4.so",
            BUILD / "nccl" / "nccl_host", BUILD / "nccl" / "libnccl-profiler-record.so"]
    if not all(p.exists() for p in need):
        say("building c4 …")
        subprocess.run(["make", "-C", str(REPO), f"-j{os.cpu_count()}", f"B={BUILD}", "all",
                        "nccl-bin"], check=True)
    cc = os.environ.get("CC", "gcc")
    subprocess.run([cc, "-D_GNU_SOURCE", "-std=gnu11", "-O2", "-shared", "-fPIC", "-o",
                    str(work / "slow_socket.so"), str(HERE / "slow_socket.c"), "-ldl"], check=True)
    if not paths:
        return
    libs = {paths["libnccl.so.2"], paths["libcudart.so"]}
    cudart = sorted(Path(paths["libcudart.so"]).glob("libcudart.so*"))[0].name
    line = [cc, "-D_GNU_SOURCE", "-std=gnu11", "-O2", "-o", str(work / "nccl_job"),
            str(HERE / "nccl_job.c"), f"-I{paths['nccl.h']}", f"-I{paths['cuda_runtime_api.h']}"]
    for place in libs:
        line += [f"-L{place}", f"-Wl,-rpath,{place}"]
    subprocess.run([*line, "-l:libnccl.so.2", f"-l:{cudart}"], check=True)


class Mps:
    """The CUDA multi-process service in private directories, if it can be had."""

    def __init__(self, work):
        self.env, self.why = {}, ""
        control = shutil.which("nvidia-cuda-mps-control")
        if not control:
            self.why = "nvidia-cuda-mps-control is not installed"
            return
        env = {"CUDA_MPS_PIPE_DIRECTORY": str(work / "mps"),
               "CUDA_MPS_LOG_DIRECTORY": str(work / "mps-log")}
        for place in env.values():
            Path(place).mkdir()
        done = subprocess.run([control, "-d"], env={**os.environ, **env}, capture_output=True,
                              text=True, timeout=60, check=False)
        if done.returncode:
            self.why = f"did not start: {(done.stderr or done.stdout).strip()[:120]}"
        else:
            self.env = env

    def stop(self):
        if self.env:
            subprocess.run(["nvidia-cuda-mps-control"], input="quit\n", text=True, timeout=60,
                           env={**os.environ, **self.env}, capture_output=True, check=False)


# ---- one job ------------------------------------------------------------------------------------

def launch(ranks, meeting, command):
    """The launcher under c4run: one process per rank, each a node; ends with the first failure."""
    Path(meeting).mkdir(parents=True, exist_ok=True)
    faulty = int(os.environ.get("C4_GPU_FAULTY", "-1"))
    shim = os.environ.get("C4_GPU_SHIM", "")
    children = []
    for rank in range(ranks):
        env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_RANK": "0",
               "C4_NODE": f"n{rank}", "NCCL_HOSTID": f"c4-n{rank}"}
        if rank == faulty and shim:
            env["LD_PRELOAD"] = ":".join(filter(None, [shim, env.get("LD_PRELOAD")]))
        else:
            for name in ("C4_FAULT_SEND", "C4_FAULT_RECV", "C4_FAULT_ONLY"):
                env.pop(name, None)
        children.append(subprocess.Popen(command, env=env))

    def end(number, _):
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    while True:
        states = [child.poll() for child in children]
        if all(state == 0 for state in states):
            return 0
        failed = [state for state in states if state]
        if failed:
            time.sleep(3)  # what a launcher takes to notice: others may still say something
            for child in children:
                if child.poll() is None:
                    child.kill()
            return failed[0] if failed[0] > 0 else 128 - failed[0]
        time.sleep(0.05)


class Case:
    """A job, what is done to it, and what c4 should say of it.

    expect: kinds one of which must be told (or NOBODY), and the ranks it may name; None: any.
    when: {"kill": (rank, signal, seconds)} from outside."""

    def __init__(self, name, expect, ranks=None, job=(), env=None, faulty=-1, outside=None,
                 seconds=16, hangs=False, needs="nccl", replay=None):
        self.name, self.expect, self.ranks = name, expect, ranks
        self.job, self.env, self.faulty, self.outside = list(job), env or {}, faulty, outside
        self.seconds, self.hangs, self.needs, self.replay = seconds, hangs, needs, replay or {}


def fault_cases(n):
    v = n // 2
    after = 6
    return [
        Case("healthy-ring", (NOBODY,)),
        Case("healthy-pairs", (NOBODY,), job=["--pairs", "1", "--bytes", "1048576"]),
        Case("late-rank", ("slow-rank",), {v}, ["--late", f"{v}:{after}:15"], seconds=24,
             replay={"fault": 7, "victim": v}),
        Case("slept-rank", ("hang-rank",), {v}, ["--sleep", f"{v}:{after}:600"], hangs=True,
             replay={"fault": 6, "victim": v}),
        Case("stopped-rank", ("hang-rank",), {v}, outside=(v, signal.SIGSTOP, after), hangs=True),
        Case("killed-rank", ("crash",), {v}, outside=(v, signal.SIGKILL, after), hangs=True),
        Case("mismatched-count", ("mismatch",), {v}, ["--mismatch", f"{v}:{after}"], hangs=True),
        Case("dropped-connection", ("hang-comm",), {v, (v + 1) % n}, faulty=v, hangs=True,
             env={"C4_FAULT_SEND": f"{after + 4}:0"}, replay={"fault": 1, "victim": v}),
        Case("slow-sender", ("slow-tx",), {v}, ["--pairs", "1", "--bytes", "2097152"], faulty=v,
             env={"C4_FAULT_SEND": f"{after + 4}:60e6"}, seconds=30),
        Case("slow-receiver", ("slow-rx",), {v}, ["--pairs", "1", "--bytes", "2097152"], faulty=v,
             env={"C4_FAULT_RECV": f"{after + 4}:60e6"}, seconds=30),
        Case("slow-path", ("slow-link", "congestion"), None,
             ["--pairs", "1", "--bytes", "2097152"], faulty=v,
             env={"C4_FAULT_SEND": f"{after + 4}:20e6", "C4_FAULT_ONLY": "1"}, seconds=30),
        Case("ddp-healthy", (NOBODY,), needs="torch", seconds=20),
        Case("ddp-late-rank", ("slow-rank",), {v}, [f"{v}:6:20"], needs="torch", seconds=26),
    ]


class Bench:
    """What all jobs share: places, environment, what there is."""

    def __init__(self, args, work, paths, mps):
        self.args, self.work, self.paths, self.mps = args, work, paths, mps
        self.deadline = time.monotonic() + args.budget
        self.count = 0

    def left(self):
        return self.deadline - time.monotonic()

    def command(self, case, meeting):
        if self.args.pretend:
            line = [str(BUILD / "nccl" / "nccl_host"), "--set", f"seconds={case.seconds}"]
            for key, value in case.replay.items():
                line += ["--set", f"{key}={value}"]
            return [*line, "--start", str(time.monotonic_ns() + 2_000_000_000),
                    str(REPO / "tests/nccl/scenes/training.stream")]
        if case.needs == "torch":
            return [sys.executable, str(HERE / "ddp.py"), str(meeting), str(case.seconds),
                    *case.job]
        return [str(self.work / "nccl_job"), str(meeting), "--seconds", str(case.seconds),
                *case.job]

    def environment(self, case, plugin):
        env = {**os.environ, **NCCL_ENV, **self.mps.env, **case.env,
               "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
               "NCCL_PROFILER_PLUGIN": str(plugin) if plugin else "none"}
        if case.faulty >= 0:
            env.update(C4_GPU_FAULTY=str(case.faulty), C4_GPU_SHIM=str(self.work / "slow_socket.so"))
        return env

    def run(self, case, plugin, watched, extra=None):
        """Runs the job once; a dictionary of what came of it."""
        self.count += 1
        place = self.work / f"{self.count:03d}-{case.name}"
        meeting, report = place / "meeting", place / "report.json"
        meeting.mkdir(parents=True)
        line = [sys.executable, str(HERE / "run.py"), "launch", str(self.args.ranks), str(meeting),
                *self.command(case, meeting)]
        if watched:
            runtime = Path("/dev/shm") / f"c4-gpu-{os.getpid()}-{self.count}"
            line = [str(BUILD / "bin" / "c4run"), "--quiet", "--hook", "none", "--report",
                    str(report), "--runtime-dir", str(runtime), "--", *line]
        env = {**self.environment(case, plugin), **(extra or {})}
        log = place / "log"
        with open(log, "wb") as out:
            job = subprocess.Popen(line, env=env, stdout=out, stderr=out, start_new_session=True)
            try:
                self.watch(job, case, meeting, log)
            finally:
                end_group(job)
                if watched:
                    shutil.rmtree(runtime, ignore_errors=True)
        return {"status": job.returncode, "report": read_json(report), "log": log,
                "times": [t for t in map(read_json, sorted(meeting.glob("times-*.json"))) if t],
                "place": place}

    def watch(self, job, case, meeting, log):
        """Until it is over; does to it what the case wants, and ends one that hangs."""
        began, done = None, case.outside is None
        limit = time.monotonic() + case.seconds + 90
        while job.poll() is None and time.monotonic() < limit:
            time.sleep(0.2)
            if began is None and (self.args.pretend or
                                  len(list(meeting.glob("pid-*"))) == self.args.ranks):
                began = time.monotonic()
            if began and not done and time.monotonic() - began >= case.outside[2]:
                done = strike(meeting, case.outside)
            if began and case.hangs and self.enough(case, log, time.monotonic() - began):
                break
        if job.poll() is None:
            job.send_signal(signal.SIGTERM)
            try:
                job.wait(20)
            except subprocess.TimeoutExpired:
                pass

    @staticmethod
    def enough(case, log, elapsed):
        """A hung job has said what it has to say, or never will."""
        text = log.read_text(errors="replace")
        told = any(kind in text for kind in case.expect)
        return elapsed > case.seconds + 30 or (told and elapsed > 12)


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
        job.wait(20)
    except subprocess.TimeoutExpired:
        say(f"  process {job.pid} does not end")


# ---- verdicts -----------------------------------------------------------------------------------

HARMLESS = {"data-gap", "slow-job"}


def judge(case, report):
    """(as expected?, what was said) of a report's incidents."""
    if report is None:
        return False, "no report"
    told = [i for i in report["incidents"] if i["state"] != "suspect" and
            i["kind"] not in HARMLESS]
    said = "; ".join(f"{i['kind']} {i['culprit']['ranks']} after {i['detect_ms'] / 1e3:.1f} s"
                     for i in told) or NOBODY
    if case.expect == (NOBODY,):
        return not told, said
    fitting = [i for i in told if i["kind"] in case.expect and
               (case.ranks is None or set(i["culprit"]["ranks"]) <= case.ranks)]
    return len(fitting) == 1 and len(told) == 1, said


def run_verdicts(bench, cases):
    rows = []
    plugin = BUILD / "lib" / "libnccl-profiler-c4.so"
    for case in cases:
        if bench.left() < case.seconds + 40:
            rows.append((case.name, " or ".join(case.expect), "left out: no time left", ""))
            continue
        result = bench.run(case, plugin, watched=True, extra={"C4_NCCL_DETAIL": "on"})
        good, said = judge(case, result["report"])
        say(f"{'ok  ' if good else 'FAIL'}  {case.name}: {said}")
        if not good:
            say("\n".join("      " + line for line in
                          result["log"].read_text(errors="replace").splitlines()[-12:]))
        rows.append((case.name, " or ".join(case.expect), said, "yes" if good else "**no**"))
    return rows


# ---- overhead -----------------------------------------------------------------------------------

def overhead_cases():
    sizes = [(8 << 10, "8 KiB"), (1 << 20, "1 MiB"), (64 << 20, "64 MiB")]
    return [Case(f"overhead-{label}", (NOBODY,), job=["--bytes", str(size), "--compute-ms", "0"],
                 seconds=5) for size, label in sizes] + [
        Case("overhead-ddp", (NOBODY,), needs="torch", seconds=8)]


def median_ms(result):
    times = [t["median_ms"] for t in result["times"]]
    return statistics.median(times) if times else None


def overhead_of(bench, case, variants):
    """{variant: [ratio to "off" of each pair]}: off and the others in turn, over and over."""
    ratios = {name: [] for name in variants}
    for _ in range(bench.args.pairs):
        if bench.left() < (case.seconds + 12) * (len(variants) + 1):
            break
        base = median_ms(bench.run(case, None, watched=False))
        for name, (plugin, extra, watched) in variants.items():
            value = median_ms(bench.run(case, plugin, watched, extra))
            if base and value:
                ratios[name].append(value / base)
    return ratios


def run_overhead(bench, cases):
    ours = BUILD / "lib" / "libnccl-profiler-c4.so"
    variants = {"c4, duty cycle": (ours, {"C4_NCCL_DETAIL": "duty"}, True),
                "c4, all steps": (ours, {"C4_NCCL_DETAIL": "on"}, True)}
    if inspector():
        variants["Inspector"] = (inspector(), {
            "NCCL_INSPECTOR_ENABLE": "1", "NCCL_INSPECTOR_DUMP_THREAD_ENABLE": "1",
            "NCCL_INSPECTOR_DUMP_THREAD_INTERVAL_MICROSECONDS": "1000000",
            "NCCL_INSPECTOR_DUMP_DIR": str(bench.work / "inspector")}, False)
    rows = []
    for case in cases:
        for name, ratios in overhead_of(bench, case, variants).items():
            middle = f"{statistics.median(ratios):.4f}" if ratios else "left out"
            spread = f"{min(ratios):.4f} … {max(ratios):.4f}" if ratios else ""
            say(f"      {case.name}, {name}: {middle} ({spread}), {len(ratios)} pairs")
            rows.append((case.name, name, middle, spread, str(len(ratios))))
    return rows


# ---- recordings ---------------------------------------------------------------------------------

def record_cases(n):
    v = n // 2
    return [
        Case("record-ring", (NOBODY,), job=["--bytes", "4194304"], seconds=4),
        Case("record-pairs", (NOBODY,), job=["--pairs", "1", "--bytes", "1048576"], seconds=3),
        Case("record-dropped", ("hang-comm",), {v, (v + 1) % n}, faulty=v, hangs=True, seconds=10,
             job=["--bytes", "2097152", "--compute-ms", "60"], env={"C4_FAULT_SEND": "8:0"}),
    ]


def run_records(bench, cases):
    """Records each job and keeps it where the replay tests look, with what c4 ought to say."""
    rows = []
    recorder = BUILD / "nccl" / "libnccl-profiler-record.so"
    for case in cases:
        if bench.left() < case.seconds + 40:
            rows.append((case.name, "left out: no time left", ""))
            continue
        place = bench.work / f"recorded-{case.name}"
        place.mkdir()
        bench.run(case, recorder, watched=False, extra={
            "C4_RECORD_DIR": str(place), "C4_RECORD_LINES": str(RECORD_LINES),
            "C4_RECORD_ORIGIN_NS": str(time.monotonic_ns())})
        rows.append(keep_recording(bench, case, place))
        say(f"      {case.name}: {rows[-1][1]}")
    return rows


def keep_recording(bench, case, place):
    streams = sorted(place.glob("rank-*.stream"))
    lines = sum(len(s.read_text().splitlines()) for s in streams)
    if len(streams) != bench.args.ranks or not lines:
        return case.name, f"{len(streams)} of {bench.args.ranks} ranks recorded", ""
    expect = {"ranks": bench.args.ranks, "kinds": list(case.expect),
              "culprits": sorted(case.ranks or []), "hangs": case.hangs}
    (place / "expect.json").write_text(json.dumps(expect, indent=1) + "\n")
    size = sum(s.stat().st_size for s in streams)
    if not bench.args.pretend:
        kept = RECORDED / case.name.removeprefix("record-")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(place, kept)
    return case.name, f"{lines} lines", f"{size >> 10} KiB"


# ---- the table ----------------------------------------------------------------------------------

def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def write_results(results):
    parts = ["# c4 on real NCCL, one GPU", "Written by `tests/gpu/run.py`; each rank a process with "
             "its own `NCCL_HOSTID`, NET/Socket over the loopback.",
             table(("what", ""), results["versions"].items())]
    for title, key, head in (
            ("Verdicts", "verdicts", ("case", "expected", "c4 said", "as expected")),
            ("Overhead (median step with / without, pairs in turn)", "overhead",
             ("case", "plugin", "ratio", "range", "pairs")),
            ("Recordings", "records", ("case", "events", "size"))):
        if results[key]:
            parts += [f"## {title}", table(head, results[key])]
    return "\n\n".join(parts) + "\n"


def deliver(results, whole):
    """A run of some cases only, or of none really, does not replace the table."""
    text = write_results(results)
    if not whole:
        say(text)
        return
    RESULTS.write_text(text)
    out = os.environ.get("C4_GPU_OUT")
    if out:
        (Path(out) / "RESULTS.md").write_text(text)
        (Path(out) / "results.json").write_text(json.dumps(results, indent=1))
        if RECORDED.exists():
            with tarfile.open(Path(out) / "recorded.tar.gz", "w:gz") as archive:
                archive.add(RECORDED, arcname="tests/nccl/streams/recorded")
    say(f"written: {RESULTS}")


# ---- all of it ----------------------------------------------------------------------------------

def parse():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ranks", type=int, default=4, choices=range(4, 9))
    p.add_argument("--budget", type=float, default=540, help="seconds for everything")
    p.add_argument("--only", help="names of cases, by commas; a prefix is enough")
    p.add_argument("--pairs", type=int, default=5, help="pairs of an overhead")
    p.add_argument("--list", action="store_true", help="names the cases and runs none")
    p.add_argument("--pretend", action="store_true", help="without a GPU: checks this script")
    return p.parse_args()


def chosen(cases, only, torch):
    names = only.split(",") if only else [""]
    return [c for c in cases if any(c.name.startswith(n) for n in names) and
            (c.needs != "torch" or torch)]


def all_cases(args, torch):
    n = args.ranks
    groups = (record_cases(n), fault_cases(n), overhead_cases())
    picked = [chosen(group, args.only, torch) for group in groups]
    if args.pretend:  # what nccl_host can act out
        picked = [[], [c for c in picked[1] if c.replay or c.name == "healthy-ring"], []]
    return picked


def run_all(args, paths):
    torch = not args.pretend and has_torch()
    records, faults, overheads = all_cases(args, torch)
    work = Path(tempfile.mkdtemp(prefix="c4-gpu-"))
    mps = None
    try:
        build(paths, work)
        mps = Mps(work) if not args.pretend else argparse.Namespace(env={}, why="", stop=int)
        results = {"versions": {} if args.pretend else versions(paths)}
        results["versions"]["ranks"] = str(args.ranks)
        results["versions"]["MPS"] = mps.why or "on"
        results["versions"]["PyTorch"] = "yes" if torch else "no torch with CUDA here"
        results["versions"]["Inspector"] = inspector() or "not here"
        bench = Bench(args, work, paths, mps)
        results["records"] = run_records(bench, records)
        results["verdicts"] = run_verdicts(bench, faults)
        results["overhead"] = run_overhead(bench, overheads)
        deliver(results, whole=not (args.pretend or args.only))
        return int(any(row[3] == "**no**" for row in results["verdicts"]))
    finally:
        if mps:
            mps.stop()
        shutil.rmtree(work, ignore_errors=True)


def main():
    if len(sys.argv) > 4 and sys.argv[1] == "launch":
        return launch(int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    args = parse()
    if args.list:
        for case in (c for group in all_cases(args, True) for c in group):
            say(f"{case.name}: {' or '.join(case.expect)}")
        return 0
    if args.pretend:
        return run_all(args, None)
    count, why = gpus()
    paths, missing = cuda_paths()
    if not count or paths is None:
        say(f"tests/gpu: skipped: {why or missing}; nothing was run")
        return SKIPPED
    return run_all(args, paths)


if __name__ == "__main__":
    sys.exit(main())
