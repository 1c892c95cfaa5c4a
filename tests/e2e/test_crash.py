# SPDX-License-Identifier: BSD-3-Clause
"""crash: the rank that died first, not those the launcher ended because of it."""

import pytest

from conftest import mpirun, workload


def ddp(*options, seconds=30):
    return mpirun(8, [workload("ddp"), "--seconds", str(seconds), *options], nodes=4)


@pytest.mark.sanitized
def test_killed_rank(start):
    job = start(ddp("--kill", "3:4"))
    assert job.wait(60) != 0
    incident = job.blames("crash", [3], "n1")
    assert incident["severity"] == "critical"
    assert "9" in incident["summary"] or "KILL" in str(incident)


def test_segmentation_fault(start):
    job = start(mpirun(4, [workload("mpi_bad"), "segv"], nodes=2))
    assert job.wait(60) != 0
    job.blames("crash", [1], "n0")


def test_abort_names_the_caller(start):
    job = start(mpirun(4, [workload("mpi_bad"), "abort"], nodes=2))
    assert job.wait(60) == 7
    job.blames("crash", [1], "n0")


def test_normal_end_is_no_crash(start):
    job = start(ddp(seconds=4))
    assert job.wait(60) == 0
    job.blames_nobody()
    assert job.report()["state"] == "finished"


def test_job_ended_by_the_user_is_no_crash(start):
    job = start(ddp(seconds=60))
    job.wait_ranks(8)
    assert job.saw("loss", 60)
    job.terminate()
    job.blames_nobody()
