# SPDX-License-Identifier: BSD-3-Clause
"""Long jobs in which nothing is wrong."""

import time

import pytest

from conftest import mpirun, named, parse_time, workload

pytestmark = pytest.mark.paired

PERIOD, PAUSE, CYCLES = 10, 20, 4  # a pause every 30 s


@pytest.mark.alone
@pytest.mark.long
def test_healthy_minute(start):
    job = start(mpirun(6, [workload("grid"), "--seconds", "60"], nodes=3))
    assert job.wait(90) == 0
    job.blames_nobody()


@pytest.mark.long
def test_pauses_of_rank_0_before_a_barrier(start):
    seconds = CYCLES * (PERIOD + PAUSE)
    job = start(mpirun(4, [workload("ddp"), "--seconds", str(seconds), "--pause0",
                           f"{PERIOD}:{PAUSE}", "--compute-ms", "40"], nodes=2))
    assert job.saw("loss", 60), job.said()
    # Two periods teach what is usual here; from then on nobody is named.
    learned = time.time() + 2 * (PERIOD + PAUSE) + 1
    assert job.wait(seconds + 60) == 0
    late = [i for i in job.incidents()
            if i.get("confirmed") and parse_time(i["confirmed"]) > learned]
    assert named(late) == set(), late
