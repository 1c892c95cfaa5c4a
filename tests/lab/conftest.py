# SPDX-License-Identifier: BSD-3-Clause
"""Beds for the tests: made when first wanted, as new for each test, gone at the end."""

import os
import time
from pathlib import Path

import pytest

from fabric import Fabric

REPO = Path(__file__).resolve().parents[2]
BUILD = (REPO / os.environ.get("C4_BUILD", "build")).resolve()


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes longer than half a minute")


def until(what, seconds, every=0.1):
    """The first true value of what(), or None when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value or None
        time.sleep(every)


@pytest.fixture(scope="session")
def possible():
    """Skips where there can be no bed."""
    reason = Fabric.why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def make_bed(possible):  # pylint: disable=unused-argument,redefined-outer-name
    """make_bed(**shape) → a bed that is up, of its own; several do not meet."""
    made = []

    def make(**shape):
        bed = Fabric(prefix=f"t{os.getpid()}x{len(made)}", **shape)
        made.append(bed)
        return bed.up()

    yield make
    for bed in made:
        bed.down()


@pytest.fixture(scope="session")
def lasting_bed(possible):  # pylint: disable=unused-argument,redefined-outer-name
    with Fabric(prefix=f"t{os.getpid()}") as bed:
        yield bed


@pytest.fixture
def bed(lasting_bed):  # pylint: disable=redefined-outer-name
    """Two leaves, four spines, eight hosts, 100 Mbit/s, seed 42; whole, and nothing runs in it."""
    lasting_bed.truth_reset()
    yield lasting_bed
    lasting_bed.heal()
