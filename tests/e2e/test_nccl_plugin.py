# SPDX-License-Identifier: BSD-3-Clause
"""NCCL jobs without a GPU: processes that replay what NCCL would tell its profiler plugin
(tests/nccl), four ranks on four nodes; agent and collector see a real job."""

import json
import os
import subprocess
import sys

import pytest

from conftest import BUILD, REPO

HOST = BUILD / "nccl" / "nccl_host"
PLUGIN = BUILD / "lib" / "libnccl-profiler-c4.so"
SCENES = REPO / "tests" / "nccl" / "scenes"
RECORDED = sorted((REPO / "tests" / "nccl" / "streams" / "recorded").glob("*/expect.json"))

NONE, STOPPED_LINK, SLOW_TX, SLOW_RX, SLOW_LINK, LATE_KERNEL, NEVER_ENTERS, LATE_HOST = range(8)

pytestmark = [
    pytest.mark.asleep,
    pytest.mark.skipif(not HOST.exists(), reason="no nccl_host built"),
    pytest.mark.skipif(not PLUGIN.exists(), reason="no libnccl-profiler-c4.so built"),
]


def scene(name, ranks=4, nodes=4, **settings):
    # The plugin of the build under test, or, where its programs have a sanitizer, the plain one.
    line = [str(HOST), "--plugin", str(PLUGIN), "--ranks", str(ranks), "--nodes", str(nodes)]
    for key, value in settings.items():
        line += ["--set", f"{key}={value}"]
    return [*line, str(SCENES / f"{name}.stream")]


def run(start, line, detail="on"):
    return start(line, "--hook", "none", env={"C4_NCCL_DETAIL": detail})


@pytest.mark.sanitized
def test_healthy_ring_names_nobody(start):
    job = run(start, scene("training"))
    assert job.wait(60) == 0, job.said()
    job.blames_nobody()
    world = job.report()["communicators"][0]
    assert world["size"] == 4 and world["ops"] >= 90, world
    assert not any(job.report()["losses"].values()), job.report()["losses"]


def test_healthy_all_to_all_names_nobody(start):
    job = run(start, scene("alltoall"))
    assert job.wait(60) == 0, job.said()
    job.blames_nobody()


@pytest.mark.parametrize("victim", [1, 3])
def test_stopped_connection_is_named(start, victim):
    job = run(start, scene("training", fault=STOPPED_LINK, victim=victim))
    assert job.saw("hang-comm", 40), job.said()
    job.terminate()
    incidents = job.incidents("hang-comm")
    assert len(incidents) == 1, incidents
    link = incidents[0]["culprit"]["link"]
    assert link and str(victim) in str(link) and str((victim + 1) % 4) in str(link), incidents
    assert incidents[0]["detect_ms"] <= 10_000
    assert not job.incidents("hang-rank")


@pytest.mark.sanitized
def test_rank_that_never_enters(start):
    job = run(start, scene("training", fault=NEVER_ENTERS, victim=2))
    assert job.saw("hang-rank", 40), job.said()
    job.terminate()
    job.blames("hang-rank", [2], "n2")


def test_late_rank_is_named_and_its_neighbours_are_not(start):
    job = run(start, scene("training", fault=LATE_KERNEL, victim=2, seconds=20))
    assert job.wait(60) == 0, job.said()
    job.blames("slow-rank", [2], "n2")


def test_late_host_is_named_and_its_neighbours_are_not(start):
    job = run(start, scene("training", fault=LATE_HOST, victim=1, seconds=20))
    assert job.wait(60) == 0, job.said()
    job.blames("slow-rank", [1], "n1")


@pytest.mark.parametrize("fault, kind, culprits", [
    (SLOW_TX, "slow-tx", {1}),
    (SLOW_RX, "slow-rx", {1}),
    (SLOW_LINK, "slow-link", {1, 2}),
])
def test_slow_transport(start, fault, kind, culprits):
    job = run(start, scene("alltoall", fault=fault, victim=1, peer=2, seconds=24))
    assert job.wait(70) == 0, job.said()
    incidents = [i for i in job.incidents(kind) if i["state"] != "suspect"]
    assert len(incidents) == 1, job.report()["incidents"]
    assert set(incidents[0]["culprit"]["ranks"]) <= culprits, incidents
    # three windows of two seconds and a look; the budget for what is slow is 10 s
    assert incidents[0]["detect_ms"] <= 10_000, incidents
    for other in ("slow-tx", "slow-rx", "slow-link", "slow-rank"):
        if other != kind:
            assert not [i for i in job.incidents(other) if i["state"] != "suspect"], incidents


@pytest.fixture
def crowd():
    """Programs that want all cores, at a lower priority than what is tested."""
    loops = [subprocess.Popen(["nice", "-n", "5", sys.executable, "-c", "while True: pass"])
             for _ in range(2 * os.cpu_count())]
    yield loops
    for loop in loops:
        loop.kill()
        loop.wait()


@pytest.mark.crowded
@pytest.mark.long
@pytest.mark.parametrize("name, fault, culprits", [
    ("training", NONE, set()),
    ("alltoall", NONE, set()),
    ("training", LATE_KERNEL, {2}),
    ("alltoall", LATE_KERNEL, {2}),
])
def test_crowded_cores_are_no_slow_path(start, crowd, name, fault, culprits):
    """Whoever gets no core serves its connections late: that is not the network's fault."""
    job = run(start, scene(name, fault=fault, victim=2, seconds=24))
    assert job.wait(90) == 0, job.said()
    told = [i for i in job.incidents() if i["state"] != "suspect"]
    assert not [i for i in told if i["kind"] in ("slow-link", "slow-tx", "slow-rx")], told
    assert {r for i in told for r in i["culprit"]["ranks"]} <= culprits, told


@pytest.mark.long
def test_transport_is_seen_without_asking_for_it_all_the_time(start):
    """The duty cycle and the collector's suspicion are enough to name a slow path."""
    job = run(start, scene("alltoall", fault=SLOW_LINK, victim=0, peer=3, seconds=45),
              detail="duty")
    assert job.wait(120) == 0, job.said()
    told = [i for i in job.incidents() if i["state"] != "suspect"]
    assert [i["kind"] for i in told] == ["slow-link"], told
    assert set(told[0]["culprit"]["ranks"]) == {0, 3}, told


@pytest.mark.parametrize("expect", [
    *(pytest.param(path, id=path.parent.name) for path in RECORDED),
    *([] if RECORDED else [pytest.param(None, id="recorded", marks=pytest.mark.skip(
        reason="no recordings of a real NCCL yet: tests/gpu/run.py makes them where a GPU is"))]),
])
def test_recorded_from_a_real_nccl(start, expect):
    """What a real NCCL told, told again: the plugin takes it, and c4 says what it should."""
    wanted = json.loads(expect.read_text())
    n = str(wanted["ranks"])
    job = run(start, [str(HOST), "--plugin", str(PLUGIN), "--ranks", n, "--nodes", n, "--linger",
                      "600" if wanted["hangs"] else "0", str(expect.parent / "rank-%d.stream")])
    if wanted["hangs"]:
        assert job.saw(wanted["kinds"][0], 60), job.said()
        job.terminate()
    else:
        assert job.wait(60) == 0, job.said()
    told = [i for i in job.incidents() if i["state"] != "suspect"]
    if wanted["kinds"] == ["nobody"]:
        job.blames_nobody()
    else:
        assert [i for i in told if i["kind"] in wanted["kinds"] and
                set(i["culprit"]["ranks"]) <= set(wanted["culprits"])], told
