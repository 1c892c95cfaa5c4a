#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""run.py [--ranks N] [--budget SECONDS] [--only NAME,…] [--pairs N] [--continue results.json]
       [--list] [--pretend] [--pack]

What a machine with one GPU can prove of c4 on real NCCL, in one go:

  record-*   real event streams, for the replay tests (tests/nccl/streams/recorded)
  healthy-*, and one case per fault: what c4 says, against what it should say
  overhead-* the same job with the plugin off and on, and with NCCL's own Inspector where its
             library is found (C4_INSPECTOR=FILE, or gpu/libnccl-profiler-inspector.so in the
             build directory), alternating; medians of the ratios of pairs
  ddp-*      a real PyTorch DDP training, where torch with CUDA is there

Every rank is a process with a NCCL_HOSTID of its own, so NCCL takes it for a node, and everything
goes through NET/Socket on the loopback: proxies, steps, connections as between machines
(several ranks on one GPU are refused otherwise). With MPS, if it can be started, kernels really
run at a time; without it the GPU's time slices blur who came when, and the table says so.

Network faults come from slow_socket.so in one rank: it needs no root, and hits one direction of one
rank, which tc on the loopback cannot.

Writes tests/gpu/RESULTS.md and recordings; where C4_GPU_OUT is set, also there, with results.json:
after every step, so that nothing that is known gets lost. A step that fails is a row like others.
What does not fit into the budget (520 s, so that ten minutes are enough) is named as left out;
--continue results.json leaves out what an earlier run has settled. --only does not touch
RESULTS.md, unless it continues.

--pack (on a machine with c4's build dependencies and NCCL's headers): makes the build directory
something to be carried to a machine that has neither: C4_BUILD=build/gpu tests/gpu/run.py --pack
here, C4_BUILD=build/gpu tests/gpu/run.py there.
Exit status: 0; 1 something went against expectation; 77 no GPU, nothing was done.
--pretend: no GPU, NCCL's part played by nccl_host or, where its headers are, by stand-ins behind
the real job; checks this script alone, writes nothing but to C4_GPU_OUT.
"""

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
from job import Bench, Case, NoTime, Plugin, launch
from machine import BUILD, say
from results import Results

SKIPPED = 77
RECORD_LINES = 8000  # per rank: some 600 kilobytes
NOBODY = "nobody"
HARMLESS = {"data-gap", "slow-job"}
# What would be missed most if the time ran out; the rest in its own order.
FIRST = ["record-ring", "healthy-ring", "dropped-connection", "late-rank", "overhead-1MiB",
         "slow-sender", "stopped-rank", "killed-rank"]


# ---- the cases ----------------------------------------------------------------------------------

def verdict_cases(n):
    v, after, pairs = n // 2, 6, ["--pairs", "1", "--bytes", "2097152"]
    return [
        Case("healthy-ring", doctor=True, replay={}),
        Case("healthy-pairs", job=["--pairs", "1", "--bytes", "1048576"], replay={},
             scene="alltoall"),
        Case("late-rank", ("slow-rank",), {v}, ["--late", f"{v}:{after}:15"], seconds=24,
             replay={"fault": 7, "victim": v}),
        Case("slept-rank", ("hang-rank",), {v}, ["--sleep", f"{v}:{after}:600"], hangs=True,
             replay={"fault": 6, "victim": v}),
        Case("stopped-rank", ("hang-rank",), {v}, outside=(v, signal.SIGSTOP, after), hangs=True),
        Case("killed-rank", ("crash",), {v}, outside=(v, signal.SIGKILL, after), hangs=True,
             replay={}),
        Case("mismatched-count", ("mismatch",), {v}, ["--mismatch", f"{v}:{after}"], hangs=True),
        Case("dropped-connection", ("hang-comm",), {v, (v + 1) % n}, faulty=v, hangs=True,
             env={"C4_FAULT_SEND": f"{after}:0"}, replay={"fault": 1, "victim": v}),
        Case("slow-sender", ("slow-tx",), {v}, pairs, faulty=v, seconds=30,
             env={"C4_FAULT_SEND": f"{after}:60e6"}),
        Case("slow-receiver", ("slow-rx",), {v}, pairs, faulty=v, seconds=30,
             env={"C4_FAULT_RECV": f"{after}:60e6"}),
        Case("slow-path", ("slow-link", "congestion"), None, pairs, faulty=v, seconds=30,
             env={"C4_FAULT_SEND": f"{after}:20e6", "C4_FAULT_ONLY": "1"}),
        Case("ddp-healthy", needs="torch", seconds=20),
        Case("ddp-late-rank", ("slow-rank",), {v}, [f"{v}:6:20"], needs="torch", seconds=26),
    ]


def overhead_cases():
    sizes = [(8 << 10, "8KiB"), (1 << 20, "1MiB"), (64 << 20, "64MiB")]
    return [Case(f"overhead-{label}", job=["--bytes", str(size), "--compute-ms", "0"], seconds=5,
                 replay={} if label == "8KiB" else None) for size, label in sizes] + [
        Case("overhead-ddp", needs="torch", seconds=8)]


def record_cases(n):
    """Slow and small, so that some seconds of it fit into a file."""
    v = n // 2
    return [
        Case("record-ring", job=["--bytes", "1048576", "--compute-ms", "80"], seconds=5, replay={}),
        Case("record-pairs", job=["--pairs", "1", "--bytes", "262144", "--compute-ms", "80"],
             seconds=4),
        Case("record-dropped", ("hang-comm",), {v, (v + 1) % n}, faulty=v, hangs=True, seconds=10,
             job=["--bytes", "2097152", "--compute-ms", "200"], env={"C4_FAULT_SEND": "6:0"},
             replay={"fault": 1, "victim": v}),
    ]


# ---- verdicts -----------------------------------------------------------------------------------

def expected(case):
    return " or ".join(case.expect) or NOBODY


def unseen(case, report, ranks):
    """Why a report proves nothing, or None: silence is no health if nothing was looked at."""
    ops = max((c["ops"] for c in report["communicators"]), default=0)
    if report["ranks_seen"] != ranks:
        return f"{report['ranks_seen']} of {ranks} ranks seen"
    if ops < 10:
        return f"{ops} operations seen"
    return None


def judge(case, run, ranks):
    """(as expected?, what was said)."""
    report = run.report
    if report is None:
        return False, f"no report; exit status {run.status}"
    told = [i for i in report["incidents"] if i["state"] != "suspect" and
            i["kind"] not in HARMLESS]
    said = "; ".join(f"{i['kind']} {i['culprit']['ranks']} after {i['detect_ms'] / 1e3:.1f} s"
                     for i in told) or NOBODY
    blind = unseen(case, report, ranks)
    if blind:
        return False, f"{said} ({blind})"
    if not case.expect:
        return not told and run.status == 0, said + (
            f" (exit status {run.status})" if run.status else "")
    fitting = [i for i in told if i["kind"] in case.expect and
               (case.ranks is None or set(i["culprit"]["ranks"]) <= case.ranks)]
    return len(fitting) == 1 and len(told) == 1, said


def row_of_doctor(answer):
    bad = "; ".join(c["text"] for c in answer["checks"] if not c["ok"])
    return ("doctor, meanwhile", "events flow", bad or "events flow", "**no**" if bad else "yes")


def verdict(bench, results, case):
    run = bench.run(case, Plugin(env={"C4_NCCL_DETAIL": "on"}))
    good, said = judge(case, run, bench.ranks)
    rows = [(case.name, expected(case), said, "yes" if good else "**no**")]
    if run.doctor:
        rows.append(row_of_doctor(run.doctor))
    for row in rows:
        say(f"{'ok  ' if row[3] == 'yes' else 'FAIL'}  {row[0]}: {row[2]}")
    if not good:
        say(run.tail())
    results.put("verdicts", case.name, rows)


# ---- overhead -----------------------------------------------------------------------------------

def variants(bench):
    """{name: plugin} beside "off"."""
    found = {"c4, duty cycle": Plugin(env={"C4_NCCL_DETAIL": "duty"}),
             "c4, all steps": Plugin(env={"C4_NCCL_DETAIL": "on"})}
    library = (BUILD / "nccl" / "libnccl-profiler-standin.so" if bench.pretend else
               machine.inspector())
    if library:
        found["Inspector"] = Plugin(library, {
            "NCCL_INSPECTOR_ENABLE": "1", "NCCL_INSPECTOR_DUMP_THREAD_ENABLE": "1",
            "NCCL_INSPECTOR_DUMP_THREAD_INTERVAL_MICROSECONDS": "1000000",
            "NCCL_INSPECTOR_DUMP_DIR": str(bench.work / "inspector")}, watched=False)
    return found


def median_ms(run):
    return statistics.median(run.times) if run.times else None


def overhead(bench, results, case):
    """Off and the others in turn, over and over; what each pair gave is written down at once."""
    plugins = variants(bench)
    ratios = {name: [] for name in plugins}
    steps = []
    for _ in range(bench.pairs):
        try:
            off = bench.run(case, Plugin(None, watched=False), runs=len(plugins) + 1)
            base = median_ms(off)
            if not base:
                say(off.tail())
            for name, plugin in plugins.items():
                value = median_ms(bench.run(case, plugin))
                if base and value:
                    ratios[name].append(value / base)
        except NoTime:
            break
        steps += [base] if base else []
        results.put("overhead", case.name, overhead_rows(case, ratios, steps))
    if not any(ratios.values()):
        if bench.left() < case.longest * (len(plugins) + 1):
            raise NoTime
        raise RuntimeError("no job of it came to an end")
    for row in overhead_rows(case, ratios, steps):
        say("      " + ", ".join(map(str, row)))


def overhead_rows(case, ratios, steps):
    rows = [(case.name, "off", f"{statistics.median(steps):.3f} ms a step" if steps else "", "",
             len(steps))]
    for name, values in ratios.items():
        rows.append((case.name, name, f"{statistics.median(values):.4f}" if values else "no pair",
                     f"{min(values):.4f} … {max(values):.4f}" if values else "", len(values)))
    return rows


# ---- recordings ---------------------------------------------------------------------------------

def record(bench, results, case):
    """Records the job and keeps it where the replay tests look, with what c4 ought to say."""
    place = bench.work / f"recorded-{case.name}"
    place.mkdir()
    run = bench.run(case, Plugin(BUILD / "nccl" / "libnccl-profiler-record.so", {
        "C4_RECORD_DIR": str(place), "C4_RECORD_LINES": str(RECORD_LINES),
        "C4_RECORD_ORIGIN_NS": str(time.monotonic_ns())}, watched=False))
    streams = sorted(place.glob("rank-*.stream"))
    lines = sum(len(s.read_text().splitlines()) for s in streams)
    if len(streams) != bench.ranks or not lines:
        say(run.tail())
        raise RuntimeError(f"{len(streams)} of {bench.ranks} ranks recorded")
    cut = any("# cut here" in s.read_text()[-400:] for s in streams)
    if cut and case.hangs:
        raise RuntimeError(f"the recording was cut at {RECORD_LINES} lines, before the fault")
    (place / "expect.json").write_text(json.dumps({
        "ranks": bench.ranks, "kinds": list(case.expect) or [NOBODY],
        "culprits": sorted(case.ranks or []), "hangs": case.hangs}, indent=1) + "\n")
    results.keep_recording(case.name.removeprefix("record-"), place, bench.pretend)
    size = sum(s.stat().st_size for s in streams)
    told = f"{lines} lines" + (", cut" if cut else "")
    say(f"      {case.name}: {told}, {size >> 10} KiB")
    results.put("records", case.name, [(case.name, told, f"{size >> 10} KiB")])


# ---- all of it ----------------------------------------------------------------------------------

def blank(group, case, why):
    return {"verdicts": (case.name, expected(case), why, ""),
            "overhead": (case.name, "", why, "", ""),
            "records": (case.name, why, "")}[group]


def step(bench, results, group, case):
    """One step, whatever comes of it."""
    do = {"verdicts": verdict, "overhead": overhead, "records": record}[group]
    why = None
    try:
        do(bench, results, case)
    except NoTime:
        why = "left out: no time left"
    except Exception as error:  # pylint: disable=broad-except # the others shall have their turn
        why = f"failed: {type(error).__name__}: {error}"
    if why:
        say(f"      {case.name}: {why}")
        if not results.rows[group].get(case.name):
            results.put(group, case.name, [blank(group, case, why)])


def can_pretend(case, paths):
    """Stand-ins behind the real job have no transport to be ill, and no memory to fill."""
    return case.replay is not None or (paths and case.faulty < 0 and "64MiB" not in case.name and
                                       "--pairs" not in case.job and "record" not in case.name)


def steps(args, torch, paths):
    """[(group, case)] in the order they are worth doing."""
    n, names = args.ranks, args.only.split(",") if args.only else [""]
    every = [(group, case) for group, cases in
             (("records", record_cases(n)), ("verdicts", verdict_cases(n)),
              ("overhead", overhead_cases())) for case in cases]
    picked = [(group, case) for group, case in every
              if any(case.name.startswith(name) for name in names) and
              (case.needs != "torch" or torch) and
              (not args.pretend or can_pretend(case, paths))]
    for _, case in picked if args.pretend else []:
        case.seconds = min(case.seconds, 14)  # no GPU has to warm up
    return sorted(picked, key=lambda s: FIRST.index(s[1].name) if s[1].name in FIRST else len(FIRST))


def smoke(bench, results):
    """Whether ranks come together at all; else without MPS, else as newer NCCLs want it."""
    case = Case("plain-job", seconds=1)
    said = ""
    for remedy in (lambda: None, lambda: bench.mps.give_up("on, but jobs failed: not used"),
                   lambda: bench.extra.update(NCCL_MULTI_RANK_GPU_ENABLE="1")):
        remedy()
        try:
            run = bench.run(case, Plugin(None, watched=False))
        except NoTime:
            break
        if run.status == 0 and len(run.times) == bench.ranks:
            return True
        said = f"exit status {run.status}: " + " / ".join(run.said().split("\n")[-3:])
        say(f"      a plain job of {bench.ranks} ranks: {said}\n{run.tail()}")
    results.put("verdicts", case.name, [(case.name, "ranks meet", said[:300], "**no**")])
    return False


def describe(args, paths, mps, torch):
    if args.pretend:
        return {"pretended": "no GPU, no NCCL: only this script was at work",
                "ranks": str(args.ranks)}
    return {**machine.versions(paths), "ranks": str(args.ranks), "MPS": mps.why or "on",
            "PyTorch": torch or "no torch with CUDA here",
            "Inspector": machine.inspector() or "not here"}


def run_all(args, paths):
    torch = "" if args.pretend else machine.torch_version()
    work = Path(tempfile.mkdtemp(prefix="c4-gpu-"))
    mps = None
    try:
        machine.build(paths, work)
        mps = machine.Mps(work, wanted=not args.pretend)
        bench = Bench(args, work, mps, paths)
        results = Results(args, describe(args, paths, mps, torch))
        if not args.pretend and not smoke(bench, results):
            say("tests/gpu: NCCL does not run here, so there is nothing to see")
            return 1
        results.versions.update(describe(args, paths, mps, torch))
        for group, case in steps(args, torch, paths):
            if not results.known(group, case.name):
                step(bench, results, group, case)
        say(results.text() if not results.kept else "written: tests/gpu/RESULTS.md")
        return int(bool(results.wrong()))
    finally:
        if mps:
            mps.stop()
        shutil.rmtree(work, ignore_errors=True)


def parse():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ranks", type=int, default=4, choices=range(4, 9))
    p.add_argument("--budget", type=float, default=520,
                   help="seconds for everything, counted from the start")
    p.add_argument("--only", help="names of cases, by commas; a prefix is enough")
    p.add_argument("--pairs", type=int, default=5, help="pairs of an overhead")
    p.add_argument("--continue", dest="resume", metavar="results.json",
                   help="what an earlier run has settled is not done again")
    p.add_argument("--list", action="store_true", help="names the cases and runs none")
    p.add_argument("--pretend", action="store_true", help="without a GPU: checks this script")
    p.add_argument("--pack", action="store_true", help="for a machine that can build nothing")
    args = p.parse_args()
    args.began = time.monotonic()
    if args.pretend:  # in make check, too: five minutes at most
        args.pairs, args.budget = 1, min(args.budget, 270)
    return args


def main():
    if len(sys.argv) > 4 and sys.argv[1] == "launch":
        return launch(int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    args = parse()
    if args.list:
        for group, case in steps(args, True, None):
            say(f"{case.name}: {expected(case) if group != 'overhead' else 'ratios'}")
        return 0
    if args.pretend:
        machine.build_c4()
        paths, missing = machine.standins()
        if missing:
            say(f"tests/gpu: the real job is not built: {missing}")
        return run_all(args, None if missing else paths)
    paths, missing = machine.cuda_paths()
    if args.pack and not missing:
        machine.pack(paths)
        return 0
    count, why = machine.gpus()
    if not count or missing:
        say(f"tests/gpu: skipped: {why or missing}; nothing was run")
        return SKIPPED
    return run_all(args, paths)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        sys.exit(f"tests/gpu: {problem}")
