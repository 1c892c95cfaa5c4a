#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""make demo-routes: the same unmodified training without and with planned routes, on real packets.

    demo_routes.py [--build DIR] [--pairs N] [--steps N] [--program ddp|ring] [--keep DIR]

Eight hosts under two leaves, four spines (namespaces, real ECMP, 100 Mbit/s links). One run teaches
the planner who talks to whom; then runs alternate, default and planned. Then a link loses
nine tenths of its rate: the loop has to find it, name it and route around it.
The last line is JSON. Exit status 0: the planned runs were faster, on the planned spines, with
the same result, and the fault was named and left behind; 1: not so; 77: no bed can be made here.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fabric import Fabric, PYTHON, RING_OPTIONS  # noqa: E402 # pylint: disable=wrong-import-position
from loop import Loop, elephants  # noqa: E402 # pylint: disable=wrong-import-position

HERE = Path(__file__).resolve().parent
RATE_MBIT = 100
WEAK_MBIT = 10
RUN_S = 120       # no run takes longer
RECOVER_S = 15    # from the fault to a plan that avoids it
ORDER = ["h1", "h5", "h2", "h6", "h3", "h7", "h4", "h8"]  # each ring edge crosses the spines


def say(text):
    print(text, flush=True)


class Program:
    """A training: how to run it, and what its lines mean."""

    def __init__(self, name, build, steps):
        self.name, self.build, self.steps = name, build, steps

    def start(self, bed, env):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        if self.name == "ddp":
            line = [PYTHON, HERE / "ddp.py", "--steps", str(self.steps), "--width", "900"]
            return bed.train(ORDER, line, env=env, **pipes)
        line = [self.build.resolve() / "lab" / "ring", "--count", "400000",
                "--steps", str(self.steps), "--seconds", "0"]
        return [bed.mpirun(ORDER, line, env=env, options=RING_OPTIONS, **pipes)]

    def run(self, bed, env=None):
        """Runs it to its end; its results, None if it failed."""
        started = self.start(bed, env)
        end, lines = time.monotonic() + RUN_S, []
        for popen in started:
            try:
                out, _ = popen.communicate(timeout=max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                out = ""
            lines += [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        failed = any(popen.poll() != 0 for popen in started)
        for popen in started:
            bed.end(popen)
        return None if failed or not lines else Result(lines)


class Result:
    """What the ranks of one run said."""

    def __init__(self, lines):
        self.it_per_s = min(line["steps"] / line["seconds"] for line in lines)
        self.sums = {line["checksum"] for line in lines}
        self.bytes_per_step = lines[0].get("parameters", 0) * 4 or lines[0].get("bytes", 0)
        self.ranks = lines[0]["ranks"]

    def busbw_mbit(self):
        """What an edge of the ring carried, as nccl-tests count it."""
        share = 2 * (self.ranks - 1) / self.ranks
        return self.bytes_per_step * share * self.it_per_s * 8 / 1e6


class Demo:
    def __init__(self, given, bed, loop):
        self.given, self.bed, self.loop = given, bed, loop
        self.program = Program(given.program, Path(given.build), given.steps)
        self.faults = []

    def wrong(self, text):
        self.faults.append(text)
        say(f"  WRONG: {text}")

    # ---- one run -----------------------------------------------------------------------------

    def run(self, planned):
        self.bed.truth_reset()
        result = self.program.run(self.bed, self.loop.pinned() if planned else None)
        name = "planned" if planned else "default"
        if result is None:
            self.wrong(f"a {name} run failed")
            return None
        if len(result.sums) != 1:
            self.wrong(f"the ranks of a {name} run disagree")
        seen = self.seen()
        load = self.load(seen)
        say(f"  {name}: {result.it_per_s:6.3f} it/s  busbw {result.busbw_mbit():5.1f} Mbit/s  "
            f"flows per spine, up and down: {load}")
        result.seen = seen
        return result

    def seen(self):
        """Who sent much to whom, and the spine it really went over."""
        return {pair: max(spines, key=spines.get)
                for pair, spines in elephants(self.bed).items()}

    def load(self, seen):
        def counts(leaf):
            spines = [spine for (src, _), spine in seen.items() if self.bed.leaf_of(src) == leaf]
            return "/".join(str(spines.count(f"spine{i}")) for i in range(1, self.bed.spines + 1))

        return f"{counts(1)}  {counts(2)}"

    # ---- the plan ----------------------------------------------------------------------------

    def learn(self):
        """A run from which the planner sees who talks to whom."""
        say("learning: one default run, watched by the agents")
        first = self.run(False)
        if first and not self.loop.until(lambda: set(first.seen) <= set(self.loop.routes()), 20):
            self.wrong(f"the planner knows {len(set(self.loop.routes()) & set(first.seen))} of "
                       f"{len(first.seen)} edges")
        return first

    def check_planned(self, result):
        routes = self.loop.routes()
        off = [pair for pair, spine in result.seen.items() if spine not in routes.get(pair, [])]
        for src, dst in off:
            self.wrong(f"{src}>{dst} went over {result.seen[(src, dst)]}, planned was "
                       f"{routes.get((src, dst))}")
        return not off

    def compare(self):
        """Alternating pairs; the ratios planned / default."""
        ratios, sums, results = [], set(), []
        for n in range(self.given.pairs):
            say(f"pair {n + 1} of {self.given.pairs}")
            default, planned = self.run(False), self.run(True)
            if not default or not planned:
                continue
            self.check_planned(planned)
            sums |= default.sums | planned.sums
            ratios.append(planned.it_per_s / default.it_per_s)
            results.append((default, planned))
        if len(sums) > 1:
            self.wrong("results differ between runs")
        return ratios, results

    # ---- a link gets weak --------------------------------------------------------------------

    def weaken(self, pairs, healthy):
        """Takes a link's rate away while the training runs, and goes on until it is avoided."""
        routes = self.loop.routes()
        spine = next(routes[pair][0] for pair in pairs if pair[0] == ORDER[0])
        number, name = int(spine.removeprefix("spine")), f"leaf1-{spine}"
        say(f"fault: {name} goes down to {WEAK_MBIT} Mbit/s while the training runs")
        env, program = self.loop.pinned(), Program(self.program.name, self.program.build, 1000)
        running = program.start(self.bed, env)
        self.bed.truth_reset()
        self.loop.until(lambda: len(self.seen()) >= len(ORDER), 60)
        self.bed.link(1, number).degrade(WEAK_MBIT)
        began = time.monotonic()
        avoided = self.loop.until(lambda: spine not in self.loop.spines(pairs), 4 * RECOVER_S)
        took = time.monotonic() - began
        named = self.loop.until(lambda: [i for i in self.loop.incidents("slow-link")
                                         if i["culprit"]["link"] == name], 10)
        for popen in running:
            self.bed.end(popen)
        if not avoided:
            self.wrong(f"the plan still uses {name} after {took:.0f} s")
        elif took > RECOVER_S:
            self.wrong(f"the plan left {name} after {took:.1f} s only")
        if not named:
            self.wrong(f"no slow-link incident names {name}")
        else:
            say(f"  c4: {named[0]['summary']}")
        say(f"  new routes after {took:.1f} s; the training goes on from its start")
        after = self.run(True)
        share = after.it_per_s / healthy if after else 0
        say(f"  {share:.2f} of the healthy speed; three spines are left for four connections each "
            "way, so 0.50 is what the links alone allow")
        if share < 0.8 * 0.5:
            self.wrong(f"only {share:.2f} of the healthy speed after the fault")
        return {"replan_s": round(took, 1), "link": name if named else None,
                "of_healthy_after": round(share, 3)}

    # ---- all ---------------------------------------------------------------------------------

    def play(self):
        first = self.learn()
        say("the plan: " + ", ".join(f"{a}>{b} {'/'.join(map(str, s))}"
                                     for (a, b), s in sorted(self.loop.routes().items())))
        ratios, results = self.compare()
        ratio = statistics.median(ratios) if ratios else 0
        say(f"planned / default: median {ratio:.2f}, least {min(ratios, default=0):.2f}, "
            f"most {max(ratios, default=0):.2f}")
        if ratio < 1.5:
            self.wrong(f"the median ratio is {ratio:.2f}, below 1.5")
        planned = [p.it_per_s for _, p in results]
        fault = self.weaken(first.seen, statistics.median(planned)) if planned and first else {}
        end = {"demo": "routes", "program": self.program.name, "ratio": round(ratio, 3),
               "ratios": [round(r, 3) for r in ratios],
               "busbw_mbit": round(statistics.median([p.busbw_mbit() for _, p in results]), 1)
               if results else None, **fault, "ok": not self.faults}
        say(json.dumps(end))
        return not self.faults


def main():
    options = argparse.ArgumentParser(description="planned against default routes, on namespaces")
    options.add_argument("--build", default="build")
    options.add_argument("--pairs", type=int, default=5)
    options.add_argument("--steps", type=int, default=8)
    options.add_argument("--program", choices=["ddp", "ring"], default="ddp")
    options.add_argument("--keep", help="directory for the logs (default: a temporary one)")
    given = options.parse_args()
    reason = Fabric.why_not()
    if reason:
        say(f"demo-routes: {reason}")
        return 77
    with tempfile.TemporaryDirectory(prefix="c4-routes.") as scratch, \
            Fabric(rate_mbit=RATE_MBIT, prefix="demo") as bed:
        say(f"bed: 8 hosts under 2 leaves, 4 spines, {RATE_MBIT} Mbit/s, ring {' '.join(ORDER)}")
        with Loop(bed, given.build, given.keep or scratch) as loop:
            return 0 if Demo(given, bed, loop).play() else 1


if __name__ == "__main__":
    sys.exit(main())
