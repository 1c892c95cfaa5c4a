# SPDX-License-Identifier: BSD-3-Clause
"""hang-rank: the rank the others wait for, within five seconds of their blocking."""

import signal
import time

import pytest

from conftest import mpirun, parse_time, signal_quietly, workload

DETECT_MS = 5_000


def ddp(*options, seconds=60):
    return mpirun(8, [workload("ddp"), "--seconds", str(seconds), *options], nodes=4)


def training(job):
    """The pids of the ranks, once training has gone on for a while."""
    assert job.saw("loss", 60), job.said()
    time.sleep(5)
    return job.wait_ranks(8)


def hang_is_named(job, rank, node, blocked_at=None):
    assert job.saw("hang-rank", 40), job.said()
    job.terminate()
    incident = job.blames("hang-rank", [rank], node)
    assert incident["detect_ms"] <= DETECT_MS
    if blocked_at:
        assert parse_time(incident["confirmed"]) - blocked_at <= DETECT_MS / 1000 + 1
    assert incident["severity"] == "critical"
    return incident


@pytest.mark.sanitized
def test_stopped_rank(start):
    hang_is_named(start(ddp("--stop", "5:5")), 5, "n2")


def test_stopped_from_outside(start):
    job = start(ddp())
    ranks = training(job)
    stopped_at = time.time()
    signal_quietly(ranks[6], signal.SIGSTOP)
    hang_is_named(job, 6, "n3", stopped_at)


def test_sleeping_rank(start):
    hang_is_named(start(ddp("--sleep-rank", "2:5:60")), 2, "n1")


def test_chain_over_communicators(start):
    """The pair of the stopped rank, its groups and the world all wait: one root."""
    line = mpirun(6, [workload("grid"), "--seconds", "60", "--stop", "3:5"], nodes=3)
    hang_is_named(start(line), 3, "n1")


def test_point_to_point_chain(start):
    line = mpirun(6, [workload("pipeline"), "--seconds", "60", "--stop", "2:5"], nodes=3)
    hang_is_named(start(line), 2, "n1")


def test_missing_in_communicator_creation(start):
    hang_is_named(start(mpirun(4, [workload("mpi_bad"), "split"], nodes=2)), 1, "n0")


def test_hang_resolves_when_the_rank_goes_on(start):
    job = start(ddp("--sleep-rank", "3:5:12", seconds=30))
    assert job.wait(80) == 0
    assert job.blames("hang-rank", [3], "n1")["state"] == "resolved"


def test_job_stopped_as_a_whole(start):
    job = start(ddp(seconds=26))
    ranks = training(job)
    for pid in ranks.values():
        signal_quietly(pid, signal.SIGSTOP)
    time.sleep(8)  # as long as an operator would look at it
    for pid in ranks.values():
        signal_quietly(pid, signal.SIGCONT)
    assert job.wait(80) == 0
    job.blames_nobody()


def test_job_suspended_through_the_launcher(start):
    job = start(ddp(seconds=26))
    training(job)
    job.popen.send_signal(signal.SIGTSTP)
    time.sleep(8)
    job.popen.send_signal(signal.SIGCONT)
    assert job.wait(80) == 0
    job.blames_nobody()
