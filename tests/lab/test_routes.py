# SPDX-License-Identifier: BSD-3-Clause
"""Routes on live traffic, all parts together: an unmodified MPI program on the bed, planner,
collector and agents as users run them."""

import json
import subprocess
import time

import pytest

from conftest import BUILD
from demo_routes import ORDER
from fabric import RING_OPTIONS
from loop import Loop, elephants

RING = str(BUILD / "lab" / "ring")
OUT = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
SPINES = {f"spine{i}" for i in range(1, 5)}


@pytest.fixture
def loop(bed, tmp_path):
    with Loop(bed, BUILD, tmp_path / "c4") as parts:
        yield parts


def start(bed, steps, env=None):
    line = [RING, "--count", "200000", "--steps", str(steps), "--seconds", "0"]
    return bed.mpirun(ORDER, line, env=env, options=RING_OPTIONS, **OUT)


def result(job, timeout=90):
    out, err = job.communicate(timeout=timeout)
    assert job.returncode == 0, err
    said = json.loads(out)
    assert said["wrong"] == 0
    return said


def ways(bed):
    """{(source, destination): spine} of what carries much."""
    return {pair: max(spines, key=spines.get) for pair, spines in elephants(bed).items()}


def learn(bed, loop):
    """One run that agents see; its traffic becomes demand, and the demand routes."""
    said = result(start(bed, 8))
    pairs = set(ways(bed))
    assert len(pairs) == len(ORDER)
    assert loop.until(lambda: pairs <= set(loop.routes()), 20), "not all became demand"
    for leaf in (1, 2):
        used = [spines[0] for (src, _), spines in loop.routes().items()
                if bed.leaf_of(src) == leaf and (src, _) in pairs]
        assert sorted(used) == sorted(SPINES), "a spine for each"
    return said, pairs


def spine_of(loop, pairs, src):
    """The spine that is planned for what this host sends."""
    return loop.spines({pair for pair in pairs if pair[0] == src}).pop()


def test_next_run_takes_the_planned_paths(bed, loop):
    before, pairs = learn(bed, loop)
    for _ in range(2):
        bed.truth_reset()
        after = result(start(bed, 8, loop.pinned()))
        seen, routes = ways(bed), loop.routes()
        assert set(seen) == pairs
        assert {pair: [spine] for pair, spine in seen.items()} == {p: routes[p] for p in pairs}
        assert after["checksum"] == before["checksum"]


@pytest.mark.long
def test_weak_link_is_named_and_left(bed, loop):
    _, pairs = learn(bed, loop)
    spine = spine_of(loop, pairs, "h1")
    job = start(bed, 10000, loop.pinned())
    bed.truth_reset()
    assert loop.until(lambda: len(ways(bed)) == len(ORDER), 30)
    bed.link(1, int(spine.removeprefix("spine"))).degrade(10)
    began = time.monotonic()
    assert loop.until(lambda: spine not in loop.spines(pairs), 40), "still planned with"
    assert time.monotonic() - began <= 15
    named = loop.until(lambda: loop.incidents("slow-link"), 10)
    assert [i["culprit"]["link"] for i in named] == [f"leaf1-{spine}"]
    bed.end(job)
    bed.truth_reset()
    result(start(bed, 8, loop.pinned()))
    assert spine not in ways(bed).values()


@pytest.mark.long
def test_dead_link_is_left_and_used_again(bed, tmp_path):
    """Nobody tells that it is down: switches send nothing over it any more, and ports show that."""
    with Loop(bed, BUILD, tmp_path / "c4", planner_options=["--hold", "2s"]) as loop:
        _, pairs = learn(bed, loop)
        spine = spine_of(loop, pairs, "h1")
        job = start(bed, 10000, loop.pinned())
        bed.truth_reset()
        assert loop.until(lambda: len(ways(bed)) == len(ORDER), 30)
        cut = bed.link(1, int(spine.removeprefix("spine")))
        cut.cut()
        began = time.monotonic()
        assert loop.until(lambda: spine not in {s for found in loop.routes().values() for s in found}, 40)
        assert time.monotonic() - began <= 15
        suspects = loop.get("/api/v1/live")["suspects"]
        # two leaves only: what cannot be told apart is left, and not named
        dead = {tuple(sorted((s["a"], s["b"]))) for s in suspects if s["dead"]}
        assert dead == {("leaf1", spine), ("leaf2", spine)}
        assert not loop.incidents("slow-link")
        assert all(s["source"] == "probes" and not s["confirmed"] for s in suspects if s["dead"])
        bed.end(job)
        bed.truth_reset()
        result(start(bed, 8, loop.pinned()))
        seen, routes = ways(bed), loop.routes()
        assert {pair: [way] for pair, way in seen.items()} == {pair: routes[pair] for pair in pairs}

        cut.restore()
        assert loop.until(lambda: loop.get("/api/v1/links") == {"links": []}, 40)
        assert loop.until(lambda: spine in loop.spines(pairs), 30)


def test_job_outlives_agents_and_planner(bed, loop):
    learn(bed, loop)
    job = start(bed, 40, loop.pinned())
    bed.truth_reset()
    assert loop.until(lambda: len(ways(bed)) == len(ORDER), 30)
    for host in bed.hosts():
        loop.kill(f"agent {host}")
    loop.kill("planner")
    result(job)
    result(start(bed, 4, loop.pinned()))  # nobody to ask: as without c4
