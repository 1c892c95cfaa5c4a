# SPDX-License-Identifier: BSD-3-Clause
"""The hook on NCCL's calls under c4run, with stand-ins for NCCL and the CUDA runtime behind it:
ranks really meet, kernels are times. tests/gpu does the same with the real ones."""

import json
import os
import subprocess
import tarfile

import pytest

from conftest import BUILD, REPO, free_port, mpirun, program, until

pytestmark = pytest.mark.asleep

RANKS = 4


@pytest.fixture
def train(start, tmp_path):
    """train(fault, steps, …) → Job: tests/nccl/fake/train.c on four ranks of two nodes."""
    def begin(fault, steps, name="train", **env):
        meeting = tmp_path / f"meeting-{fault}"
        meeting.mkdir()
        line = [str(BUILD / "nccl" / name), fault, str(meeting), str(steps)]
        # the profiler plugin does not see the stand-in: the hook on the calls has it all
        return start(mpirun(RANKS, line, nodes=2), env=env)
    return begin


def finished(job, ops):
    """The job went through, and every operation was counted; returns its communicator."""
    assert job.wait(60) == 0, job.said()
    report = job.report()
    assert report["ranks_seen"] == RANKS
    assert report["state"] == "finished"
    assert not any(report["losses"].values()), report["losses"]
    world = report["communicators"][0]
    assert (world["size"], world["ops"]) == (RANKS, ops + 1), world  # and its creation
    return world


@pytest.mark.parametrize("name", ["train", "train-private"])
def test_healthy(train, name):
    job = train("none", 200, name)
    world = finished(job, 200)
    job.blames_nobody()
    assert world["bytes"] == 200 * (4 << 20)
    # kernels of 1 ms in steps of 6 ms and more: their time is the GPU's, not that of the calls
    assert 0.03 < world["time_share"] < 0.3, world


def test_library_that_comes_back(train):
    job = train("none", 30, "train-private", STANDIN_AGAIN="1")
    assert job.wait(60) == 0, job.said()
    job.blames_nobody()


def test_late_rank(train):
    job = train("late", 600)
    assert job.saw("slow-rank", 40), job.said()
    job.terminate()
    job.blames("slow-rank", [2], "n1")


@pytest.mark.parametrize("fault, where", [("stop", "AllReduce"), ("never", "CommCreate #0"),
                                          ("second", "CommCreate #0")])
def test_missing_rank(train, fault, where):
    job = train(fault, 40)
    assert job.saw("hang-rank", 40), job.said()
    job.terminate()
    incident = job.blames("hang-rank", [2], "n1")
    assert where in incident["summary"], incident["summary"]
    assert incident["detect_ms"] <= 5000


def test_given_up(train):
    """A program that aborts its communicators and ends in good order has not failed."""
    job = train("abort", 40)
    finished(job, 20)
    job.blames_nobody()


def test_asynchronous_error(train):
    job = train("watch", 300, STANDIN_ERROR_AFTER="10")
    assert job.wait(60) == 0, job.said()
    incidents = job.incidents("hang-comm")
    assert len(incidents) == 1, json.dumps(job.incidents(), indent=1)
    assert "error 6" in incidents[0]["summary"]


def test_program_without_nccl_leaves_no_trace(tmp_path):
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    done = subprocess.run([program("c4run"), "--runtime-dir", str(runtime), "sh", "-c",
                           'echo "$LD_PRELOAD"; ls "$C4_RUNTIME_DIR"'],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "libc4nccl.so" in done.stdout
    assert ".seg" not in done.stdout


# ---- a user's own profiler plugin behind ours ---------------------------------------------------

# streams that say what the event mask has to be: with two plugins it is another
OUR_MASK = {"detail", "odd-fail-open", "odd-fork-mask", "odd-switched-off"}


def replay(stream, api, runtime, **env):
    """Exit status of a replay into our plugin: 0, or 77 where the stream does not apply."""
    for old in runtime.glob("*.seg"):
        old.unlink()
    done = subprocess.run([str(BUILD / "nccl" / "nccl_host"), "--api", str(api), str(stream)],
                          capture_output=True, text=True, timeout=60, cwd=REPO,
                          env={**os.environ, "C4_RUNTIME_DIR": str(runtime), **env})
    assert done.returncode in (0, 77), f"{stream} v{api} {env}: {done.stdout}{done.stderr}"
    return done.returncode


@pytest.mark.parametrize("mask", [2, 0x7fff])
@pytest.mark.parametrize("api", [1, 3, 4, 5, 6])
def test_next_profiler(tmp_path, api, mask):
    """It gets what it asked for, its own handles and contexts only, and we do not notice."""
    runtime, report = tmp_path / "runtime", tmp_path / "report"
    runtime.mkdir(mode=0o700)
    (runtime / "agent-test.lock").touch()  # so that segments stay until they have been read
    seen = 0
    for stream in sorted((REPO / "tests" / "nccl" / "streams").glob("*.stream")):
        if stream.stem in OUR_MASK:
            continue
        report.unlink(missing_ok=True)
        status = replay(stream, api, runtime, STANDIN_NEXT=str(report), STANDIN_NEXT_MASK=str(mask),
                        C4_NEXT_PROFILER=str(BUILD / "nccl" / "libnccl-profiler-standin.so"))
        if status == 77 or not report.exists():
            continue
        words = report.read_text().split()
        counts = dict(zip(words[::2], map(int, words[1::2])))
        assert counts["bad"] == 0, (stream, counts)
        assert counts["contexts"] > 0
        seen += counts["starts"]
        if mask == 2 and not stream.stem.startswith("odd-"):
            assert counts["states"] == 0, (stream, counts)  # of proxies and kernels: not asked for
    assert seen > 100


def test_next_profiler_that_cannot_be_loaded(tmp_path):
    stream = REPO / "tests" / "nccl" / "streams" / "versions.stream"
    for name in ("/no/such/plugin.so", str(BUILD / "lib" / "libnccl-profiler-c4.so"), "none"):
        assert replay(stream, 6, tmp_path, C4_NEXT_PROFILER=name) == 0


# ---- doctor ------------------------------------------------------------------------------------

def doctor(runtime, *options, **env):
    done = subprocess.run([program("c4ctl"), "doctor", "--json", *options], capture_output=True,
                          text=True, timeout=60,
                          env={**os.environ, "C4_RUNTIME_DIR": str(runtime), **env})
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 1), done.stdout
    assert answer["ok"] == all(c["ok"] for c in answer["checks"])
    return answer


def bad(answer):
    return {c["check"]: c["text"] for c in answer["checks"] if not c["ok"]}


def test_doctor_sees_events_flow(train, start):
    job = train("none", 100_000)
    job.wait_ranks(RANKS)
    answer = until(lambda: (a := doctor(start.runtime))["ok"] and a, 20) or doctor(start.runtime)
    assert not bad(answer), answer
    segments = [c for c in answer["checks"] if c["check"] == "segment"]
    assert sorted(c["rank"] for c in segments) == list(range(RANKS))
    for c in segments:
        assert c["hook"] == "nccl-api" and c["library"] == "NCCL 2.28.9"
        assert c["records_per_s"] > 0 and not c["lost"]
    plugin = next(c for c in answer["checks"] if c["check"] == "plugin")
    assert {5, 6} <= set(plugin["api_versions"])
    job.terminate()


def test_doctor_names_what_is_wrong(tmp_path):
    missing = bad(doctor(tmp_path / "nowhere"))
    assert "No such file" in missing["directory"]
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    (runtime / "1-1.seg").write_bytes(b"nothing of ours")
    (runtime / "agent-n0.lock").touch()
    found = bad(doctor(runtime, "--collector", f"127.0.0.1:{free_port()}", C4_HOOK="0"))
    assert set(found) == {"switch", "agent", "collector", "segment"}, found
    assert "cannot reach" in found["collector"]
    assert "no process is recorded" in found["segment"]
    runtime.chmod(0o777)
    assert "chmod" in bad(doctor(runtime))["directory"]


@pytest.fixture
def guest(tmp_path):
    """guest(line, **env) → (its pid, doctor's answer while it runs)."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)

    def look(line, wait=lambda pid: True, **env):
        env = {"RANK": "0", "WORLD_SIZE": "1", "C4_RUNTIME_DIR": str(runtime), **env}
        clean = {k: v for k, v in os.environ.items() if k != "NCCL_PROFILER_PLUGIN"}
        with subprocess.Popen(line, env={**clean, **env}, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            try:
                assert until(lambda: wait(process.pid), 10)
                return process.pid, doctor(runtime)
            finally:
                process.kill()
                process.wait()
                for old in runtime.glob("*.seg"):
                    old.unlink()
    return look


def maps(library):
    def loaded(pid):
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as f:
            return library in f.read()
    return loaded


def host(stream, *options):
    return [str(BUILD / "nccl" / "nccl_host"), "--linger", "60", *options, str(stream)]


def of_process(answer, pid):
    found = [c for c in answer["checks"] if f"pid {pid}" in c["text"]]
    assert found, answer
    return found


def test_doctor_tells_why_a_process_is_not_recorded(guest, tmp_path):
    """NCCL is there, the plugin is not, or could do nothing."""
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    train = [str(BUILD / "nccl" / "train"), "none", str(meeting), "1000000"]
    nccl = maps("libnccl.so")
    for plugin, why in (("none", "=none"), ("/no/such/plugin.so", "no such file"),
                        ("inspector", "another profiler plugin"), ("", "is not set")):
        pid, answer = guest(train, nccl, NCCL_PROFILER_PLUGIN=plugin)
        (one,) = of_process(answer, pid)
        assert one["check"] == "process" and not one["ok"] and why in one["text"], one
    pid, answer = guest(train, nccl, NCCL_PROFILER_PLUGIN="c4")  # it may be about to load it
    assert of_process(answer, pid)[0]["ok"]
    stream, plugin = tmp_path / "s.stream", maps("libnccl-profiler-c4.so")
    stream.write_text("app init world nranks=4 rank=0\n")
    pid, answer = guest(host(stream), plugin, C4_HOOK="0")
    assert "C4_HOOK=0 in its environment" in of_process(answer, pid)[0]["text"]
    nowhere = tmp_path / "runtime" / "none" / "none"
    pid, answer = guest(host(stream), plugin, C4_RUNTIME_DIR=str(nowhere))
    assert "event mask is 0" in of_process(answer, pid)[0]["text"]
    pid, answer = guest(host(stream), plugin, C4_RUNTIME_DIR=str(tmp_path))  # not our affair
    assert f"pid {pid}" not in str(answer)


def test_doctor_tells_what_a_process_cannot_record(guest, tmp_path):
    """An old NCCL tells less; more operations in flight than are followed are losses."""
    stream = tmp_path / "s.stream"
    (tmp_path / "ops.inc").write_text(
        (REPO / "tests" / "nccl" / "streams" / "ops.inc").read_text())
    stream.write_text("include ops.inc\napp init world nranks=4 rank=0\n"
                      "repeat i 0 30000\ndo call i=i\nsleep 1000\nend\n")
    segment = (lambda pid: list((tmp_path / "runtime").glob(f"{pid}-*.seg")))
    pid, answer = guest(host(stream, "--api", "3"), segment)
    assert [c["check"] for c in of_process(answer, pid)] == ["segment", "api"]
    assert "v3" in of_process(answer, pid)[1]["text"]
    pid, answer = guest(host(stream, "--api", "4"), segment)
    assert [c["check"] for c in of_process(answer, pid)] == ["segment"]
    stream.write_text(stream.read_text().replace("sleep 1000\n", "sleep 300\n"))
    pid, answer = guest(host(stream, "--api", "6"),
                        lambda pid: segment(pid) and "beyond" in str(doctor(tmp_path / "runtime")))
    (one,) = of_process(answer, pid)
    assert not one["ok"] and "still losing" in one["text"], one


def test_doctor_reads_the_environment(tmp_path):
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    answer = doctor(runtime, C4_NCCL_DETAIL="full", C4_LOG="loud", C4_COLECTOR="x",
                    C4_NEXT_PROFILER="/no/such.so")
    told = [c["text"] for c in answer["checks"] if c["check"] == "variable"]
    assert len(told) == 4, told
    assert any("C4_COLLECTOR is meant" in t for t in told)
    right = doctor(runtime, C4_NCCL_DETAIL="off", C4_LOG="debug", C4_SOMEBODY_ELSES="x",
                   C4_NEXT_PROFILER="inspector")
    assert "variable" not in bad(right)


# ---- the script for a machine with a GPU --------------------------------------------------------

def gpu_script(out, only, *options):
    """tests/gpu/run.py, NCCL's part played by nccl_host; (exit status, what it wrote)."""
    done = subprocess.run([str(REPO / "tests" / "gpu" / "run.py"), "--pretend", "--only", only,
                           *options], capture_output=True, text=True, timeout=200,
                          env={**os.environ, "C4_BUILD": str(BUILD), "C4_GPU_OUT": str(out)})
    text = (out / "RESULTS.md").read_text()
    assert all(name in text for name in only.split(",")), done.stdout + done.stderr
    return done.returncode, json.loads((out / "results.json").read_text())


@pytest.mark.long
def test_gpu_script_loses_nothing(tmp_path):
    """A step that fails is a row, the others have their turn, and a later run takes it up again."""
    some = "record-ring,overhead-8KiB"
    (tmp_path / "recorded-ring.tar.gz").mkdir()
    status, results = gpu_script(tmp_path, some)
    assert status == 1
    assert "failed: IsADirectoryError" in str(results["records"]["record-ring"])
    ratios = results["overhead"]["overhead-8KiB"]
    assert [row[1] for row in ratios] == ["off", "c4, duty cycle", "c4, all steps", "Inspector"]
    assert all(float(row[2].split()[0]) > 0 for row in ratios), ratios
    (tmp_path / "recorded-ring.tar.gz").rmdir()
    status, results = gpu_script(tmp_path, some, "--continue", str(tmp_path / "results.json"))
    assert status == 0
    assert "lines" in str(results["records"]["record-ring"])
    assert results["overhead"]["overhead-8KiB"] == ratios
    assert (tmp_path / "recorded-ring.tar.gz").stat().st_size > 10_000


@pytest.mark.long
def test_recording_tells_the_same(tmp_path, start):
    """What the recorder writes down of a connection that stops is, told again, hang-comm."""
    status, results = gpu_script(tmp_path, "record-dropped")
    assert status == 0, results
    with tarfile.open(tmp_path / "recorded-dropped.tar.gz") as archive:
        archive.extractall(tmp_path)
    place = tmp_path / "tests" / "nccl" / "streams" / "recorded" / "dropped"
    wanted = json.loads((place / "expect.json").read_text())
    assert wanted["hangs"] and wanted["kinds"] == ["hang-comm"]
    job = start([str(BUILD / "nccl" / "nccl_host"), "--ranks", str(wanted["ranks"]), "--linger",
                 "600", str(place / "rank-%d.stream")], "--hook", "none",
                env={"C4_NCCL_DETAIL": "on"})
    assert job.saw("hang-comm", 60), job.said()
    job.terminate()
    told = job.incidents("hang-comm")
    assert len(told) == 1 and not job.incidents("hang-rank"), job.incidents()
    assert set(told[0]["culprit"]["ranks"]) <= set(wanted["culprits"]), told


PUMP = """
import ctypes, socket, sys, time
libc, chunk = ctypes.CDLL(None), ctypes.create_string_buffer(1 << 16)
out, into = socket.socketpair()
began = last = time.monotonic()
carried = late = 0
while last - began < 1.6:
    libc.send(out.fileno(), chunk, len(chunk), socket.MSG_DONTWAIT)
    got = max(libc.recv(into.fileno(), chunk, len(chunk), socket.MSG_DONTWAIT), 0)
    last = time.monotonic()
    carried += got
    late += got * (last - began > 0.6)
assert chunk.raw == bytes(len(chunk))
print(carried, late)
"""


def test_ill_network_of_the_gpu_script(tmp_path):
    """slow_socket.so: nothing is held back before its time, then no more passes than said."""
    shim = tmp_path / "slow_socket.so"
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-std=gnu11", "-O2", "-shared", "-fPIC", "-o", shim,
                    REPO / "tests" / "gpu" / "slow_socket.c", "-ldl"], check=True, timeout=60)

    def pump(**fault):
        done = subprocess.run(["/usr/bin/python3", "-c", PUMP], capture_output=True, text=True,
                              timeout=60, env={**os.environ, "LD_PRELOAD": str(shim), **fault})
        assert done.returncode == 0, done.stderr
        return map(int, done.stdout.split())

    carried, late = pump()
    assert late > 20e6, "without a fault it carries more than the slow one may"
    for name in ("C4_FAULT_SEND", "C4_FAULT_RECV"):
        carried, late = pump(**{name: "0.3:0"})
        # what was on its way when the fault came may still arrive
        assert carried > 2 << 20 and late <= 1 << 20, (name, carried, late)
        carried, late = pump(**{name: "0.3:2e6"})
        assert 0 < late < 4e6, (name, carried, late)
