# SPDX-License-Identifier: BSD-3-Clause
"""slow-rank: the culprit by its rank and node, never those who wait for it."""

import pytest

from conftest import MPI_OPTIONS, mpirun, until, workload

pytestmark = pytest.mark.paired

FAULT_AT = 4


def grid(*options, seconds=16):
    return mpirun(6, [workload("grid"), "--seconds", str(seconds), *options], nodes=3)


@pytest.mark.parametrize("rank, factor, node", [
    (3, 1.1, "n1"),
    pytest.param(3, 1.3, "n1", marks=pytest.mark.sanitized),
    (4, 1.8, "n2"),
])
def test_slow_rank_is_named_and_its_victims_are_not(start, rank, factor, node):
    job = start(grid("--slow", f"{rank}:{factor}:{FAULT_AT}"))
    assert job.wait(60) == 0
    incident = job.blames("slow-rank", [rank], node)
    assert incident["detect_ms"] <= 10_000
    assert incident["severity"] == "warning"
    assert f"rank {rank}" in incident["summary"] and node in incident["summary"]
    assert f"rank {rank}" in job.said(), "not announced"


# Where ranks queue for cores, averages over 10 s decide, and these take longer to forget than the
# job lasts.
@pytest.mark.alone
@pytest.mark.long
def test_slow_rank_recovers(start):
    job = start(grid("--slow", f"2:1.5:{FAULT_AT}:10", seconds=32))
    assert job.wait(70) == 0
    incident = job.blames("slow-rank", [2], "n1")
    assert incident["state"] == "resolved"


def test_two_slow_ranks_are_both_named(start):
    # One option names one slow rank: the two are started with different command lines.
    slow = [workload("grid"), "--seconds", "16", "--slow"]
    line = mpirun(4, [*slow, f"1:1.4:{FAULT_AT}"], nodes=2)
    line += [":", "-np", "2", "-x", "C4_NODE=n2", *slow, f"4:1.4:{FAULT_AT}"]
    job = start(line)
    assert job.wait(60) == 0
    incidents = job.incidents("slow-rank")
    assert {r for i in incidents for r in i["culprit"]["ranks"]} == {1, 4}


def test_a_blip_names_nobody(start):
    job = start(grid("--sleep-rank", "3:5:1.5", seconds=12))
    assert job.wait(60) == 0
    job.blames_nobody()


def test_all_slower_together_names_nobody(start):
    slow = [workload("grid"), "--seconds", "16", "--slow"]
    line = ["mpirun", *MPI_OPTIONS]
    for rank in range(6):
        line += [":"] if rank else []
        line += ["-np", "1", "-x", f"C4_NODE=n{rank // 2}", *slow, f"{rank}:1.5:6"]
    job = start(line)
    assert job.wait(60) == 0
    job.blames_nobody()


def test_pipeline_bubbles_name_nobody(start):
    job = start(mpirun(6, [workload("pipeline"), "--seconds", "14"], nodes=3))
    assert job.wait(60) == 0
    job.blames_nobody()


@pytest.mark.parametrize("name", ["halo", "nonblocking"])
def test_overlapping_programs_name_nobody(start, name):
    job = start(mpirun(6, [workload(name), "--seconds", "12"], nodes=3))
    assert job.wait(60) == 0
    job.blames_nobody()


def test_slow_rank_in_overlapped_allreduce(start):
    line = mpirun(4, [workload("nonblocking"), "--seconds", "16", "--slow", f"2:1.4:{FAULT_AT}"],
                  nodes=2)
    job = start(line)
    assert job.wait(60) == 0
    job.blames("slow-rank", [2], "n1")


def test_slow_incident_is_announced_while_the_job_runs(start):
    job = start(grid("--slow", f"5:1.5:{FAULT_AT}", seconds=60))
    assert job.saw("slow-rank", 25), job.said()
    assert job.running()
    job.terminate()
    assert until(job.report_path.exists, 5)
    job.blames("slow-rank", [5], "n2")
