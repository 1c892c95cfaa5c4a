# SPDX-License-Identifier: BSD-3-Clause
"""mismatch: a rank that does not do the operation the others do. Software, never isolated."""

import pytest

from conftest import mpirun, workload


def mismatch_is_named(job, rank):
    incident = job.blames("mismatch", [rank])
    assert incident["recommended_action"] == "fix-program"
    return incident


@pytest.mark.sanitized
def test_skipped_broadcast_that_hangs(start):
    job = start(mpirun(4, [workload("mpi_bad"), "skip"], nodes=2))
    assert job.saw("mismatch", 30), job.said()
    job.terminate()
    incident = mismatch_is_named(job, 1)
    assert "Broadcast" in str(incident)


def test_skipped_allreduce_that_aborts(start):
    """The library itself notices and aborts; the reason survives in the segments."""
    job = start(mpirun(8, [workload("ddp"), "--seconds", "30", "--skip", "2:5"], nodes=4))
    assert job.wait(60) != 0
    mismatch_is_named(job, 2)


def test_different_counts_that_abort(start):
    line = [workload("ddp"), "--seconds", "30", "--count-mismatch", "2:5"]
    job = start(mpirun(8, line, nodes=4))
    assert job.wait(60) != 0
    mismatch_is_named(job, 2)


def test_different_counts_nobody_notices(start):
    job = start(mpirun(4, [workload("mpi_bad"), "count"], nodes=2))
    assert job.wait(60) == 0
    mismatch_is_named(job, 3)


def test_order_inversion_is_a_deadlock(start):
    job = start(mpirun(4, [workload("mpi_bad"), "order"], nodes=2))
    assert job.saw("deadlock", 30), job.said()
    job.terminate()
    assert job.incidents("deadlock")
    assert not job.incidents("hang-rank")
    assert not job.incidents("crash")


def test_unequal_sizes_that_are_legal(start, tmp_path):
    pytest.importorskip("mpi4py", reason="python3-mpi4py is not installed")
    script = tmp_path / "uneven.py"
    script.write_text(UNEVEN)
    job = start(mpirun(4, ["/usr/bin/python3", str(script)], nodes=2))
    assert job.wait(60) == 0, job.said()
    job.blames_nobody()


UNEVEN = """
import time
from array import array
from mpi4py import MPI
world = MPI.COMM_WORLD
rank, size = world.rank, world.size
for step in range(300):
    time.sleep(0.02)
    send = [1 + (rank + i + step) % 5 for i in range(size)]
    take = [1 + (i + rank + step) % 5 for i in range(size)]
    out, got = array('d', [0.0] * sum(send)), array('d', [0.0] * sum(take))
    world.Alltoallv([out, send, MPI.DOUBLE], [got, take, MPI.DOUBLE])
    world.Gatherv(array('d', [1.0] * (rank + 1)),
                  [array('d', [0.0] * 10), [1, 2, 3, 4]] if rank == 0 else None)
    world.allgather('x' * (rank * 100 + step))
"""
