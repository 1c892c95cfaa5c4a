# SPDX-License-Identifier: BSD-3-Clause
"""Bad input, dying daemons, full disks: a clear word or a counted drop, never a harmed job."""

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import struct
import subprocess
import time

import pytest

from conftest import (free_port, http, mpirun, named, program, signal_quietly, until, workload)

PROTOBUF = "application/x-protobuf"


def grid(*options, seconds=8, np=4, nodes=2):
    return mpirun(np, [workload("grid"), "--seconds", str(seconds), *options], nodes=nodes)


@pytest.fixture
def collector(daemon, tmp_path):
    """collector() → (process, base URL, HOST:PORT); the same port each time, as after a crash."""
    address = f"127.0.0.1:{free_port()}"

    def begin(store="none"):
        process = daemon("c4collector", "--listen", address, "--store", store)
        url = f"http://{address}"
        assert until(lambda: answers(url), 10), process.said()
        return process, url, address

    return begin


def answers(url):
    try:
        return http(url + "/healthz")[0] == 200
    except OSError:
        return False


def listed(url, what, key=None):
    status, body = http(f"{url}/api/v1/{what}")
    assert status == 200
    return json.loads(body)[key or what]


# ---- posts -----------------------------------------------------------------------------------


@pytest.mark.sanitized
def test_bad_posts_are_refused_and_counted(collector):
    process, url, _ = collector()
    assert http(url + "/v1/post", b"\xff\xff\xff\xff\xff\xff", PROTOBUF)[0] == 400
    assert http(url + "/v1/post", b"\x0a\x05n0", PROTOBUF)[0] == 400  # cut short
    assert http(url + "/v1/post", b"{}", "application/json")[0] == 415
    status, body = http(url + "/v2/post", b"", PROTOBUF)
    assert status == 404 and b"v1" in body
    assert http(url + "/nothing")[0] == 404
    assert http(url + "/v1/post")[0] == 405
    assert http(url + "/api/v1/incidents/none")[0] == 404
    assert http(url + "/api/v1/jobs", b"", PROTOBUF)[0] == 405
    assert listed(url, "jobs") == []
    assert process.running()


@pytest.mark.sanitized
def test_oversized_post_is_refused(collector):
    process, url, _ = collector()
    try:
        assert http(url + "/v1/post", b"\0" * (65 << 20), PROTOBUF, 30)[0] == 413
    except OSError:
        pass  # it may hang up on us in the middle: that is a refusal, too
    assert answers(url) and process.running()


@pytest.mark.sanitized
def test_garbage_posts_do_not_end_the_collector(collector):
    process, url, _ = collector()
    noise = random.Random(7)
    for length in range(200):
        status, _ = http(url + "/v1/post", noise.randbytes(length), PROTOBUF)
        assert status in (200, 400)
    assert answers(url) and process.running()


def test_metrics_and_api_describe_a_running_job(collector, start):
    _, url, address = collector()
    job = start(grid(seconds=10), "--collector", address, "--job", "described")
    jobs = until(lambda: [j for j in listed(url, "jobs") if j.get("ranks_seen") == 4], 15)
    assert jobs and jobs[0]["job"] == "described" and jobs[0]["nodes"] == ["n0", "n1"]
    ranks = until(lambda: len(listed(url, "ranks")) == 4 and listed(url, "ranks"), 5)
    assert sorted(r["rank"] for r in ranks) == [0, 1, 2, 3]
    assert {r["node"] for r in ranks} == {"n0", "n1"}
    comms = until(lambda: len(listed(url, "comms")) >= 5 and listed(url, "comms"), 10)
    assert sorted(c["size"] for c in comms) == [2, 2, 2, 2, 4]
    status, text = http(url + "/metrics")
    assert status == 200
    for line in text.decode().splitlines():
        assert line.startswith("#") or re.fullmatch(r"\w+(\{.*\})? [-+.\deEinfNa]+", line), line
    said = subprocess.run([program("c4ctl"), "--collector", address, "--json", "ranks"],
                          capture_output=True, text=True, timeout=10, check=True).stdout
    assert len(json.loads(said)["ranks"]) == 4
    assert job.wait(40) == 0


# ---- segments --------------------------------------------------------------------------------


def plant_segments(directory):
    """Files an agent may find in its directory and should not believe."""
    directory.mkdir(mode=0o700, exist_ok=True)
    magic = struct.pack("<Q", 0x31474553344321FF)
    noise = random.Random(3)
    files = {
        "1-1.seg": b"",
        "2-2.seg": b"short",
        "3-3.seg": noise.randbytes(100_000),
        "4-4.seg": magic + struct.pack("<I", 99) + bytes(4000),             # another version
        "5-5.seg": magic + struct.pack("<IIQ", 1, 576, 1 << 60) + bytes(4000),
        "6-6.seg": magic + struct.pack("<I", 1) + noise.randbytes(900_000),
        "7-7.seg": magic + b"\xff" * 900_000,
    }
    for name, content in files.items():
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o600)
    (directory / "8-8.seg").symlink_to("/etc/passwd")
    os.mkfifo(directory / "9-9.seg")
    (directory / "10-10.seg").mkdir()


@pytest.mark.sanitized
def test_corrupt_segments_are_counted_and_ignored(start):
    plant_segments(start.runtime)
    job = start(grid())
    assert job.wait(60) == 0, job.said()
    job.blames_nobody()
    report = job.report()
    assert report["ranks_seen"] == 4
    assert report["losses"]["bad_segments"] >= 4


@pytest.mark.sanitized
def test_segment_truncated_under_the_agent(start):
    job = start(grid(seconds=10))
    assert job.saw("4 ranks", 60)
    own = until(lambda: sorted(start.runtime.rglob("*.seg")), 10)
    # A copy, because truncating a live one would take the memory from under the rank itself.
    copy = own[0].with_name("77-77.seg")
    copy.write_bytes(own[0].read_bytes())
    copy.chmod(0o600)
    time.sleep(1)
    os.truncate(copy, 1000)
    assert job.wait(60) == 0
    assert job.report()["ranks_seen"] == 4


# ---- dying daemons ---------------------------------------------------------------------------


def stored(store, incident):
    with contextlib.closing(sqlite3.connect(store)) as db:
        row = db.execute("select state from incidents where id = ?", (incident,)).fetchone()
    return row and row[0]


def test_confirmed_incidents_survive_the_collector(collector, start, tmp_path):
    store = str(tmp_path / "c4.db")
    process, url, address = collector(store)
    job = start(grid("--slow", "3:1.5:3", seconds=30), "--collector", address)
    before = until(lambda: [i for i in listed(url, "incidents") if i["state"] == "confirmed"], 25)
    assert before, job.said()
    # People are told at once; the disk may take its time, but not much of it.
    assert until(lambda: stored(store, before[0]["id"]) == "confirmed", 5)
    process.popen.kill()
    process.wait(5)
    _, url, _ = collector(store)
    after = listed(url, "incidents")
    assert before[0]["id"] in [i["id"] for i in after]
    again = next(i for i in after if i["id"] == before[0]["id"])
    assert again["culprit"]["ranks"] == [3] and again["confirmed"] == before[0]["confirmed"]
    # The agents come back by themselves, and the job has not noticed.
    assert until(lambda: any(j["ranks_seen"] == 4 for j in listed(url, "jobs")), 20)
    assert job.wait(60) == 0
    assert named(job.incidents()) == {3}


def test_store_that_is_no_database(daemon, tmp_path):
    store = tmp_path / "c4.db"
    store.write_bytes(b"this is not a database" * 100)
    process = daemon("c4collector", "--listen", "127.0.0.1:0", "--store", str(store))
    assert process.wait(10) not in (0, -signal.SIGSEGV, -signal.SIGABRT)
    assert "c4.db" in process.said()
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(store).execute("select * from sqlite_master").fetchall()


def test_killed_agent_is_a_gap_and_no_verdict(start):
    job = start(grid(seconds=25))
    assert job.saw("4 ranks", 60)
    time.sleep(5)
    agents = job.pids("c4agent")
    assert agents
    for pid in agents:
        signal_quietly(pid, signal.SIGKILL)
    assert job.wait(60) == 0
    job.blames_nobody()
    kinds = {i["kind"] for i in job.incidents()}
    assert kinds <= {"data-gap"}


def test_collector_out_of_reach(start):
    job = start(grid(seconds=5), "--collector", f"127.0.0.1:{free_port()}")
    assert job.wait(40) == 0
    assert "127.0.0.1" in job.said()


def test_killed_collector_does_not_harm_the_job(start):
    job = start(grid(seconds=12))
    assert job.saw("4 ranks", 60)
    time.sleep(3)
    for pid in job.pids("c4collector"):
        signal_quietly(pid, signal.SIGKILL)
    assert job.wait(40) == 0
    assert "steps in" in job.said()
    assert job.report()["incidents"] == [] or named(job.incidents()) == set()


# ---- places ----------------------------------------------------------------------------------


def test_full_runtime_directory(start, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "tiny"
    place.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", place],
                      check=False).returncode:
        pytest.skip("no right to mount a tmpfs here")
    try:
        job = start(grid(seconds=5), "--runtime-dir", str(place), private=False)
        assert job.wait(40) == 0, job.said()
        assert "steps in" in job.said()
        job.end()
    finally:
        subprocess.run(["umount", place], check=True)


def test_runtime_directory_of_others(start, tmp_path):
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    job = start(grid(seconds=4), "--runtime-dir", str(place), private=False)
    job.wait(40)
    assert "directory" in job.said() and "unobserved" in job.said()


def test_nothing_is_left_behind(start):
    job = start(grid(seconds=4), private=False)
    assert job.wait(40) == 0
    assert not until(lambda: not job.pids("c4agent") and not job.pids("c4collector"), 5) is None
    job.popen.wait(1)
    left = [p for p in os.listdir("/dev/shm") if str(job.popen.pid) in p]
    assert left == []


@pytest.mark.sanitized
@pytest.mark.parametrize("name", ["c4run", "c4agent", "c4collector", "c4ctl"])
def test_manners(name, tmp_path):
    def call(*arguments):
        return subprocess.run([program(name), *arguments], capture_output=True, text=True,
                              timeout=10, check=False, cwd=tmp_path)

    help_page = call("--help")
    assert help_page.returncode == 0 and "--" in help_page.stdout and not help_page.stderr
    assert call("--version").returncode == 0
    wrong = call("--no-such-option")
    assert wrong.returncode == 2 and wrong.stderr.strip() and not wrong.stdout
    assert len(wrong.stderr.strip().splitlines()) <= 2


def test_launcher_that_does_not_exist(start):
    job = start(["/no/such/mpirun", "-np", "2", "x"])
    assert job.wait(20) == 127
    assert "/no/such/mpirun" in job.said()


@pytest.mark.parametrize("status", [0, 3])
def test_exit_status_passes_through(start, status):
    assert start(["sh", "-c", f"exit {status}"]).wait(20) == status


def test_death_by_signal_passes_through(start):
    assert start(["sh", "-c", "kill -9 $$"]).wait(20) == -signal.SIGKILL
