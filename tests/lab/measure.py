#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What planned routes make of the links, and what a wrong port map costs: figures from a bed.

    measure.py [--build DIR] [--quick]

Prints a JSON line per figure, as make bench takes them. Exit status 77: no bed can be made here.

    route_link_use   bytes on the least used planned link, of what its rate allows in the time that
                     the program spent in its reductions: 8 hosts, 4 spines, planned, one flow each
    route_wrong_map  speed of a run on ports found before the switches hash otherwise (each time
                     another seed), of a default run under the same seed; the median
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from demo_routes import ORDER, RATE_MBIT  # noqa: E402 # pylint: disable=wrong-import-position
from fabric import Fabric, RING_OPTIONS  # noqa: E402 # pylint: disable=wrong-import-position
from loop import Loop, elephants  # noqa: E402 # pylint: disable=wrong-import-position

RUN_S = 120
WARMUP = 1  # a step of ring.c that it does not time


def figure(name, value, unit, budget):
    print(json.dumps({"bench": name, "value": round(value, 4), "unit": unit, "budget": budget,
                      "ok": value >= budget}), flush=True)


class Ring:
    """Runs of the ring program on a bed."""

    def __init__(self, bed, build):
        self.bed, self.program = bed, Path(build).resolve() / "lab" / "ring"

    def run(self, count, steps, env=None):
        line = [self.program, "--count", str(count), "--steps", str(steps), "--seconds", "0"]
        job = self.bed.mpirun(ORDER, line, env=env, options=RING_OPTIONS, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        try:
            out, err = job.communicate(timeout=RUN_S)
        finally:
            self.bed.end(job)
        said = json.loads(out) if job.returncode == 0 else None
        if not said or said["wrong"]:
            raise SystemExit(f"measure.py: a run failed: {err.strip()[-500:]}")
        return said


def learn(bed, loop, ring):
    """After it every edge of the ring has a route."""
    bed.truth_reset()
    ring.run(200_000, 8)
    pairs = set(elephants(bed))
    if not loop.until(lambda: pairs <= set(loop.routes()), 20):
        raise SystemExit("measure.py: the planner has not learnt the ring")


def link_use(bed, loop, ring, count, steps):
    """The least of all links and directions that a planned route goes over."""
    before = bed.link_bytes()
    said = ring.run(count, steps, loop.pinned())
    after = bed.link_bytes()
    most = said["seconds"] * RATE_MBIT * 1e6 / 8
    part = steps / (steps + WARMUP)
    return min((after[link][way] - before[link][way]) * part / most
               for link in after for way in (0, 1))


def wrong_map(bed, loop, ring, seeds):
    """planned / default, each under a seed that the map does not know yet."""
    ratios = []
    for seed in seeds:
        bed.reseed(seed)
        planned = ring.run(200_000, 6, loop.pinned())
        default = ring.run(200_000, 6)
        ratios.append(default["seconds"] / planned["seconds"])
        print(f"  seed {seed}: {ratios[-1]:.2f}", file=sys.stderr)
    return ratios


def main():
    options = argparse.ArgumentParser(description="figures of routes on a bed")
    options.add_argument("--build", default="build")
    options.add_argument("--quick", action="store_true", help="fewer repetitions")
    given = options.parse_args()
    reason = Fabric.why_not()
    if reason:
        print(f"measure.py: {reason}", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory(prefix="c4-measure.") as scratch, \
            Fabric(rate_mbit=RATE_MBIT, prefix="measure") as bed, \
            Loop(bed, given.build, scratch) as loop:
        ring = Ring(bed, given.build)
        learn(bed, loop, ring)
        uses = [link_use(bed, loop, ring, 2_000_000, 3) for _ in range(1 if given.quick else 3)]
        figure("route_link_use", statistics.median(uses), "of the rate", 0.9)
        ratios = wrong_map(bed, loop, ring, range(1001, 1004 if given.quick else 1010))
        figure("route_wrong_map", statistics.median(ratios), "of default", 0.95)
    return 0


if __name__ == "__main__":
    sys.exit(main())
