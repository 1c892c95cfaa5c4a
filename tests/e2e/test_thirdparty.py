# SPDX-License-Identifier: BSD-3-Clause
"""Programs nobody here wrote, unmodified, healthy and with faults from outside."""

import shutil
import signal
import threading
import time

import pytest

from conftest import mpirun, signal_quietly, until

pytestmark = pytest.mark.alone  # they compute

MELT = """
units lj
atom_style atomic
lattice fcc 0.8442
region box block 0 {side} 0 {side} 0 {side}
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create 1.44 87287 loop geom
pair_style lj/cut 2.5
pair_coeff 1 1 1.0 1.0 2.5
neighbor 0.3 bin
neigh_modify every 5 check yes
fix 1 all nve
thermo 5
run {steps}
"""

HPCC = """HPL of a size for tests
one problem
HPL.out      output file name (if any)
6            device out
1            # of problems sizes (N)
1600         Ns
1            # of NBs
80           NBs
0            PMAP process mapping
1            # of process grids (P x Q)
2            Ps
2            Qs
16.0         threshold
1            # of panel fact
2            PFACTs
1            # of recursive stopping criterium
4            NBMINs
1            # of panels in recursion
2            NDIVs
1            # of recursive panel fact.
1            RFACTs
1            # of broadcast
1            BCASTs
1            # of lookahead depth
1            DEPTHs
2            SWAP
64           swapping threshold
0            L1 in form
0            U  in form
1            Equilibration
8            memory alignment in double
##### This line is ignored (it serves as a separator). ######
0            Number of additional problem sizes for PTRANS
400          values of N
0            number of additional blocking sizes for PTRANS
40           values of NB
"""


def needs(name):
    return pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed")


def lammps(tmp_path, steps, np=4, side=10):
    melt = tmp_path / "melt.in"
    melt.write_text(MELT.format(steps=steps, side=side))
    return mpirun(np, ["lmp", "-in", str(melt), "-log", "none"], nodes=2)


class DutyCycle(threading.Thread):
    """Stops a process for a part of every period, as a throttled core would."""

    def __init__(self, pid, share, period=0.05):
        super().__init__(daemon=True)
        self.pid, self.share, self.period = pid, share, period
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            signal_quietly(self.pid, signal.SIGSTOP)
            time.sleep(self.period * self.share)
            signal_quietly(self.pid, signal.SIGCONT)
            time.sleep(self.period * (1 - self.share))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


@needs("lmp")
def test_lammps_healthy(start, tmp_path):
    job = start(lammps(tmp_path, 5000))
    assert job.wait(90) == 0
    assert "Loop time" in job.said()
    job.blames_nobody()
    world = next(c for c in job.report()["communicators"] if c["size"] == 4)
    assert world["ops"] > 100
    assert job.report()["ranks_seen"] == 4


@needs("lmp")
def test_lammps_stopped_rank(start, tmp_path):
    job = start(lammps(tmp_path, 10_000_000))
    ranks = job.wait_ranks(4)
    assert until(lambda: "Step" in job.said(), 60)
    time.sleep(4)
    signal_quietly(ranks[2], signal.SIGSTOP)
    assert job.saw("hang-rank", 20), job.said()
    job.terminate()
    incident = job.blames("hang-rank", [2], "n1")
    assert incident["detect_ms"] <= 5_000


@needs("lmp")
def test_lammps_killed_rank(start, tmp_path):
    job = start(lammps(tmp_path, 10_000_000))
    ranks = job.wait_ranks(4)
    assert until(lambda: "Step" in job.said(), 60)
    time.sleep(3)
    signal_quietly(ranks[1], signal.SIGKILL)
    assert job.wait(40) != 0
    job.blames("crash", [1], "n0")


@needs("lmp")
def test_lammps_throttled_rank(start, tmp_path):
    """Two ranks that compute, a core for each: with more, throttling one only frees its core."""
    job = start(lammps(tmp_path, 10_000_000, np=2, side=18))
    ranks = job.wait_ranks(2)
    assert until(lambda: "Step" in job.said(), 60)
    time.sleep(6)
    with DutyCycle(ranks[1], 0.3):
        assert job.saw("slow-rank", 30), job.said()
    job.terminate()
    job.blames("slow-rank", [1], "n1")


@needs("hpcc")
def test_hpcc_healthy(start, tmp_path):
    line = mpirun(4, ["hpcc"], nodes=2)
    (tmp_path / "job0").mkdir()
    (tmp_path / "job0" / "hpccinf.txt").write_text(HPCC)
    job = start(line)
    assert job.wait(150) == 0, job.said()
    assert "End of HPL section" in (tmp_path / "job0" / "hpccoutf.txt").read_text()
    job.blames_nobody()
    assert sum(c["ops"] for c in job.report()["communicators"]) > 1000


@needs("NPopenmpi")
def test_netpipe_healthy(start):
    job = start(mpirun(2, ["NPopenmpi", "-u", "1024"], nodes=2))
    assert job.wait(60) == 0
    job.blames_nobody()
    assert sum(c["p2p_messages"] for c in job.report()["communicators"]) > 1000


TRAIN = """
import sys, time
import numpy
from mpi4py import MPI
world = MPI.COMM_WORLD
weights, gradient = numpy.zeros(4096), numpy.empty(4096)
end = time.monotonic() + float(sys.argv[1])
late = float(sys.argv[2]) if world.rank == 1 else 0.0
go = True
while go:
    time.sleep(0.02 * (1 + late))
    request = world.Iallreduce(numpy.full(4096, 1e-3 * world.rank), gradient)
    request.Wait()
    weights -= gradient
    go = world.bcast(time.monotonic() < end)
print("sum", weights.sum())
"""


@pytest.mark.parametrize("late", [0.0, 0.4])
def test_mpi4py(start, tmp_path, late):
    """Python opens libmpi with dlopen: the hook has to find it nevertheless."""
    pytest.importorskip("mpi4py", reason="python3-mpi4py is not installed")
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    job = start(mpirun(4, ["/usr/bin/python3", str(script), "12", str(late)], nodes=2))
    assert job.wait(60) == 0, job.said()
    assert "sum" in job.said()
    assert job.report()["ranks_seen"] == 4
    if late:
        job.blames("slow-rank", [1], "n0")
    else:
        job.blames_nobody()
