# SPDX-License-Identifier: BSD-3-Clause
"""Long jobs in which nothing is wrong. They mostly sleep and run beside each other."""

import pytest

from conftest import mpirun, named, parse_time, workload

PERIOD, PAUSE, CYCLES = 10, 20, 4  # a pause every 30 s

pytestmark = pytest.mark.long


def test_healthy_minute_and_pauses_of_rank_0(start):
    healthy = start(mpirun(6, [workload("grid"), "--seconds", "60"], nodes=3),
                    "--job", "healthy", name="healthy", private=False)
    seconds = CYCLES * (PERIOD + PAUSE)
    pauses = start(mpirun(4, [workload("ddp"), "--seconds", str(seconds), "--pause0",
                              f"{PERIOD}:{PAUSE}", "--compute-ms", "40"], nodes=2),
                   "--job", "pauses", name="pauses", private=False)
    assert healthy.wait(90) == 0
    healthy.blames_nobody()
    assert pauses.wait(seconds + 30) == 0
    # Two periods teach what is usual here; from then on nobody is named.
    learned = pauses.started + 2 * (PERIOD + PAUSE) + 1
    late = [i for i in pauses.incidents()
            if i.get("confirmed") and parse_time(i["confirmed"]) > learned]
    assert named(late) == set(), late
