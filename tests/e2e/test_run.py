# SPDX-License-Identifier: BSD-3-Clause
"""c4run around plain programs: what the job's owner sees must be what he would see without it.

No MPI here: statuses, signals, streams, files, and what happens when our own parts are missing.
"""

import fcntl
import http.server
import json
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
import urllib.parse

import pytest

from conftest import BUILD, free_port, program, until

LIBC = "libc.so.6"


def fork_on_terminal():
    """As pty.fork(); a machine without /dev/pts has nothing to try terminals on."""
    try:
        return pty.fork()
    except OSError as error:
        pytest.skip(f"no terminal can be made: {error}")


@pytest.fixture
def hook(tmp_path):
    """A library that may be preloaded and does nothing: the linker's own C library."""
    found = subprocess.run(["cc", f"-print-file-name={LIBC}"], capture_output=True, text=True)
    path = found.stdout.strip()
    if not os.path.isabs(path):
        pytest.skip("no C library to preload")
    return os.path.realpath(path)


def run(*line, env=None, **more):
    more.setdefault("timeout", 30)
    return subprocess.run([program("c4run"), *line], capture_output=True, text=True,
                          env=dict(os.environ, **(env or {})), **more)


def quiet(*line, **more):
    """Without any of our own processes: the plain wrapper."""
    return run("--hook", "none", "--collector", f"127.0.0.1:{free_port()}", *line, **more)


@pytest.fixture
def begin():
    """begin(line) → Popen of a c4run whose job prints "ready" when it is."""
    started = []

    def start(*line, **more):
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        job = subprocess.Popen([program("c4run"), *line], text=True, **more)
        started.append(job)
        assert job.stdout.readline() == "ready\n"
        return job

    yield start
    for job in started:
        job.kill()
        job.communicate()


# ---- status ------------------------------------------------------------------------------------

@pytest.mark.parametrize("code", [0, 1, 3, 77, 255])
def test_exit_status_is_the_jobs(code):
    assert quiet("sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "PIPE", "HUP"])
def test_death_by_signal_is_the_jobs(name, tmp_path):
    done = quiet("sh", "-c", f"ulimit -c 0; kill -{name} $$", cwd=tmp_path)
    assert done.returncode == -getattr(signal, f"SIG{name}")
    assert list(tmp_path.iterdir()) == []  # no core of ours


def test_command_not_found():
    done = quiet("no-such-program")
    assert done.returncode == 127
    assert "c4run: cannot run 'no-such-program': No such file or directory" in done.stderr


def test_command_not_executable(tmp_path):
    (tmp_path / "data").write_text("x")
    done = quiet(str(tmp_path / "data"))
    assert done.returncode == 126
    assert "Permission denied" in done.stderr


@pytest.mark.parametrize("line, about", [
    ([], "no command"),
    (["--collector", "nowhere", "true"], "HOST:PORT"),
    (["--hook", "x", "true"], "--hook"),
    (["--hook-lib", "/nonexistent", "true"], "--hook-lib"),
    (["--job", "a b", "true"], "--job"),
    (["--no-such-option", "true"], "unknown option"),
    (["--interval", "1ms", "true"], "--interval"),
])
def test_misuse(line, about):
    done = run(*line)
    assert done.returncode == 2
    assert about in done.stderr and "--help" in done.stderr
    assert done.stdout == ""


def test_help_is_on_stdout():
    done = run("--help")
    assert done.returncode == 0 and "--report" in done.stdout and done.stderr == ""


# ---- streams -----------------------------------------------------------------------------------

def test_stdout_is_the_jobs_alone():
    done = run("sh", "-c", "cat; echo err >&2", input="through\n")
    assert done.returncode == 0
    assert done.stdout == "through\n"
    assert "err\n" in done.stderr


def test_closed_descriptors_stay_closed():
    """The job must find closed what was closed, not a file of ours."""
    line = f'"{program("c4run")}" --hook none ls -l /proc/self/fd <&- 2>&-'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    # ls itself opens the directory as the lowest free number
    numbers = {row.split(" -> ")[0].split()[-1] for row in done.stdout.splitlines() if "->" in row}
    assert numbers <= {"0", "1"}, done.stdout


def test_stderr_is_a_closed_pipe():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([program("c4run"), "sh", "-c", "exit 5"], stderr=write, timeout=30)
    os.close(write)
    assert done.returncode == 5


def test_job_gets_the_signal_state_we_were_given():
    show = "grep -E '^Sig(Blk|Ign)' /proc/self/status"
    # as under nohup, with SIGUSR1 blocked
    def before():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1})
    plain = subprocess.run(["sh", "-c", show], capture_output=True, text=True, preexec_fn=before)
    done = subprocess.run([program("c4run"), "sh", "-c", show], capture_output=True, text=True,
                          preexec_fn=before, timeout=30)
    assert done.stdout == plain.stdout != ""


# ---- signals -----------------------------------------------------------------------------------

COUNT = """
trap 'echo TERM' TERM; trap 'echo USR1' USR1; trap 'echo HUP' HUP; trap 'echo INT' INT
echo ready
i=0; while [ $i -lt 100 ] && [ ! -e "$0" ]; do sleep 0.05; i=$((i + 1)); done
exit 9
"""


@pytest.mark.parametrize("name", ["TERM", "USR1", "HUP", "INT"])
def test_signal_is_passed_on(name, begin, tmp_path):
    stop = tmp_path / "stop"
    job = begin("--hook", "none", "sh", "-c", COUNT, str(stop))
    job.send_signal(getattr(signal, f"SIG{name}"))
    assert job.stdout.readline() == f"{name}\n"
    stop.touch()
    out, _ = job.communicate(timeout=30)
    assert out == ""
    assert job.returncode == 9


def test_signal_to_the_group_arrives_once(begin, tmp_path):
    """As timeout(1), mpirun and Slurm send it; mpirun takes a second TERM as "die at once"."""
    stop = tmp_path / "stop"
    job = begin("--hook", "none", "sh", "-c", COUNT, str(stop), start_new_session=True)
    for _ in range(3):
        os.killpg(job.pid, signal.SIGTERM)
        # the shell answers when its sleep, which TERM ended as well, is over
        assert job.stdout.readline() == "TERM\n"
    time.sleep(0.3)  # a second one would come from us, later
    stop.touch()
    out, _ = job.communicate(timeout=30)
    assert out == ""
    assert job.returncode == 9


def test_death_by_forwarded_signal(begin):
    job = begin("--hook", "none", "sh", "-c", "echo ready; exec sleep 60")
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=30)
    assert job.returncode == -signal.SIGTERM


def states(pids):
    found = []
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            found.append(f.read().rsplit(")", 1)[1].split()[0])
    return found


def test_terminal_keys(tmp_path):
    """^Z stops both and fg's SIGCONT continues both; ^C reaches the job once and ends it."""
    pid_file = tmp_path / "pid"
    inner = f"echo $$ >{pid_file}; exec sleep 60"
    # an interactive shell's job: own process group in the terminal's foreground
    pid, master = fork_on_terminal()
    if pid == 0:
        os.environ["TERM"] = "dumb"
        os.execl(program("c4run"), "c4run", "--hook", "none", "sh", "-c", inner)
    try:
        job = int(until(lambda: pid_file.exists() and pid_file.read_text().strip(), 10))
        # the session's leader is an orphaned group, where ^Z means nothing: check ^C alone
        os.write(master, b"\x03")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not os.waitid(
                os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if select.select([master], [], [], 0.05)[0]:
                try:
                    os.read(master, 65536)
                except OSError:
                    pass
        _, status = os.waitpid(pid, os.WNOHANG)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT
        assert not os.path.exists(f"/proc/{job}")
    finally:
        os.close(master)


def test_suspend_key(tmp_path):
    """^Z stops the job and us, so that a shell gets its prompt back; SIGCONT continues both."""
    pid_file = tmp_path / "pid"
    line = [program("c4run"), "--hook", "none", "sh", "-c", f"echo $$ >{pid_file}; exec sleep 60"]
    pid, master = fork_on_terminal()
    if pid == 0:
        # the shell: runs the job in a group of its own in the foreground and waits for it
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.execv(line[0], line)
        _, status = os.waitpid(child, os.WUNTRACED)
        stopped = os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTSTP
        os.killpg(child, signal.SIGCONT)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        ended = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM
        os._exit(0 if stopped and ended else 1)
    try:
        assert until(lambda: pid_file.exists() and pid_file.read_text().strip(), 10)
        os.write(master, b"\x1a")
        gone = until(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT), 10)
        assert gone, "the shell was never told that its job stopped"
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        os.close(master)


# ---- dry run -----------------------------------------------------------------------------------

def test_dry_run(hook, tmp_path):
    touched = tmp_path / "touched"
    done = run("--dry-run", "--hook", "mpi", "--hook-lib", hook, "--job", "j1", "--collector", "h:1", "--node", "n0",
               "--runtime-dir", "/dev/shm/nowhere", "--", "touch", str(touched), "a b",
               env={"LD_PRELOAD": ""})
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"LD_PRELOAD={hook}", "C4_JOB=j1", "C4_RUNTIME_DIR=/dev/shm/nowhere", "C4_COLLECTOR=h:1",
        "C4_NODE=n0", f"touch {touched} 'a b'"]
    assert not touched.exists() and not os.path.exists("/dev/shm/nowhere")


def test_dry_run_with_nccl():
    """Plugin and library for NCCL, and the user's own plugin behind ours."""
    def shown(*options, **env):
        unset = {"LD_PRELOAD": "", "NCCL_PROFILER_PLUGIN": "", "C4_NEXT_PROFILER": ""}
        done = run("--dry-run", "--collector", "h:1", *options, "true", env={**unset, **env})
        return dict(line.split("=", 1) for line in done.stdout.splitlines()[:-1])

    if not os.path.exists(BUILD / "lib" / "libnccl-profiler-c4.so"):
        pytest.skip("the plugin is not built")
    found = shown()
    assert [os.path.basename(p) for p in found["LD_PRELOAD"].split(":")] == \
        ["libc4mpi.so", "libc4nccl.so"]
    assert os.path.basename(found["NCCL_PROFILER_PLUGIN"]) == "libnccl-profiler-c4.so"
    assert "C4_NEXT_PROFILER" not in found
    assert shown(NCCL_PROFILER_PLUGIN="inspector")["C4_NEXT_PROFILER"] == "inspector"
    assert "C4_NEXT_PROFILER" not in shown(NCCL_PROFILER_PLUGIN=found["NCCL_PROFILER_PLUGIN"])
    assert "NCCL_PROFILER_PLUGIN" not in shown("--hook", "mpi")
    assert os.path.basename(shown("--hook", "nccl")["LD_PRELOAD"]) == "libc4nccl.so"
    assert "LD_PRELOAD" not in shown("--hook", "none")


def test_job_gets_what_the_dry_run_shows(hook, tmp_path):
    options = ["--hook", "mpi", "--hook-lib", hook, "--job", "j1",
               "--collector", f"127.0.0.1:{free_port()}",
               "--runtime-dir", str(tmp_path / "rt")]
    (tmp_path / "rt").mkdir(mode=0o700)
    shown = run("--dry-run", *options, "env").stdout.splitlines()[:-1]
    got = run(*options, "env").stdout.splitlines()
    assert len(shown) == 4
    assert set(shown) <= set(got)


# ---- our own parts missing or broken -----------------------------------------------------------

def test_unreachable_collector(hook, tmp_path):
    report = tmp_path / "r.json"
    port = free_port()
    done = run("--hook-lib", hook, "--collector", f"127.0.0.1:{port}", "--report", str(report),
               "sh", "-c", "sleep 1.2; echo out; exit 4")
    assert done.returncode == 4
    assert done.stdout == "out\n"
    warnings = [row for row in done.stderr.splitlines() if "warn" in row]
    assert len(warnings) == 1 and f"127.0.0.1:{port}" in warnings[0]
    written = json.loads(report.read_text())
    assert written["schema"] == "c4.report/v1"
    assert (written["ranks"], written["communicators"], written["incidents"]) == (0, [], [])
    assert written["error"]


def test_silent_collector_does_not_hold_the_job_up(hook):
    """It takes the connection and never answers."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        began = time.monotonic()
        done = run("--hook-lib", hook, "--collector", f"127.0.0.1:{s.getsockname()[1]}",
                   "sh", "-c", "exit 6")
        assert done.returncode == 6
        assert time.monotonic() - began < 15


def test_term_writes_a_report_at_once(hook, tmp_path, begin):
    report = tmp_path / "r.json"
    job = begin("--hook-lib", hook, "--collector", f"127.0.0.1:{free_port()}", "--report",
                str(report), "sh", "-c", COUNT, str(tmp_path / "stop"))
    assert not report.exists()
    job.send_signal(signal.SIGTERM)
    assert until(report.exists, 10), "no report while the job goes on"
    assert job.poll() is None
    assert json.loads(report.read_text())["schema"] == "c4.report/v1"
    (tmp_path / "stop").touch()
    job.communicate(timeout=30)
    assert job.returncode == 9
    assert json.loads(report.read_text())["schema"] == "c4.report/v1"


def test_report_that_cannot_be_written():
    port = free_port()
    done = run("--collector", f"127.0.0.1:{port}", "--report", "/dev/full", "sh", "-c", "exit 8")
    assert done.returncode == 8
    assert "/dev/full: No space left on device" in done.stderr
    done = run("--collector", f"127.0.0.1:{port}", "--report", "/nonexistent/r", "true")
    assert done.returncode == 0
    assert "/nonexistent/r: No such file or directory" in done.stderr


@pytest.fixture
def alone(tmp_path):
    """c4run in a directory without its companions, and a PATH that has none either."""
    (tmp_path / "bin").mkdir()
    shutil.copy(program("c4run"), tmp_path / "bin")
    return tmp_path / "bin" / "c4run"


def test_missing_companions(alone, hook, tmp_path):
    report = tmp_path / "r.json"
    for options in ([], ["--hook-lib", hook]):
        done = subprocess.run([alone, *options, "--report", report, "sh", "-c",
                               "echo \"[$LD_PRELOAD]\"; exit 2"],
                              capture_output=True, text=True, timeout=30,
                              env={"PATH": "/usr/bin:/bin"})
        assert done.returncode == 2
        assert done.stdout == "[]\n"  # nobody would read what the hook writes
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "unobserved" in done.stderr
        assert json.loads(report.read_text())["error"]


def test_companion_that_never_gets_ready(alone, hook):
    fake = alone.parent / "c4collector"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    began = time.monotonic()
    done = subprocess.run([alone, "--hook-lib", hook, "sh", "-c", "exit 2"], capture_output=True,
                          text=True, timeout=30, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 2
    assert "c4collector does not start" in done.stderr
    assert time.monotonic() - began < 10


def test_companions_die_with_us(alone, hook, tmp_path):
    """Even when c4run is killed and can do nothing about it any more."""
    pid_file = tmp_path / "pid"
    fake = alone.parent / "c4collector"
    fake.write_text('#!/bin/sh\necho $$ >"$PID_FILE"\nwhile [ "$1" != --ready-fd ]; do shift; done\n'
                    'echo 127.0.0.1:9 >/proc/self/fd/$2\nexec sleep 60\n')
    fake.chmod(0o755)
    job = subprocess.Popen([alone, "--hook-lib", hook, "sh", "-c", "echo $$; exec sleep 60"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                           env={"PATH": "/usr/bin:/bin", "PID_FILE": str(pid_file)})
    try:
        pid = int(until(lambda: pid_file.exists() and pid_file.read_text().strip(), 10))
        # own session: the terminal's keys pass it by
        assert os.getsid(pid) == pid
        child = int(job.stdout.readline())
    finally:
        job.kill()
        job.wait()
    try:
        assert until(lambda: not os.path.exists(f"/proc/{pid}"), 10)
    finally:
        os.kill(child, signal.SIGKILL)


def test_no_shared_memory(hook, tmp_path):
    done = run("--hook-lib", hook, "--runtime-dir", "/proc/nowhere", "sh", "-c", "exit 3")
    assert done.returncode == 3
    assert "unobserved" in done.stderr


def test_private_directory_is_removed(hook, tmp_path):
    done = run("--hook-lib", hook, "--collector", f"127.0.0.1:{free_port()}", "sh", "-c",
               'echo "$C4_RUNTIME_DIR"; touch "$C4_RUNTIME_DIR/1-2.seg"; stat -c %a "$C4_RUNTIME_DIR"')
    path, mode = done.stdout.split()
    assert mode == "700"
    assert not os.path.exists(path)


# ---- what a collector says ---------------------------------------------------------------------

INCIDENT = {"id": "i1", "kind": "slow-rank", "state": "confirmed", "confirmed": "2025-01-01T00:00:00Z",
            "culprit": {"ranks": [5], "node": "n2"}, "detect_ms": 3100,
            "summary": "rank 5 (node n2) arrives 41 ms late"}


class Collector(http.server.ThreadingHTTPServer):
    """Answers what its test wants it to."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.incidents = []
        self.states = ["finished"]  # of the report, one per question, the last for ever
        self.asked = []
        self.address = f"127.0.0.1:{self.server_address[1]}"

    def answer(self, path, query):
        job = urllib.parse.unquote(query.partition("job=")[2])
        if path == "/api/v1/incidents":
            return {"incidents": self.incidents}
        if path == "/api/v1/jobs":
            return {"jobs": [{"job": job, "ranks": 8, "nodes": ["n0", "n1"], "ops": 1234,
                              "step_ms": 20}]}
        if path == "/api/v1/comms":
            return {"comms": [{"name": "world", "busbw_gbps": 2.1}]}
        if path == "/api/v1/report":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return {"schema": "c4.report/v1", "job": job, "state": state, "ranks": 8,
                    "ranks_seen": 8, "nodes": 2, "duration_s": 1.5, "communicators": [],
                    "incidents": self.incidents}
        return None


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.server.asked.append(path)
        value = self.server.answer(path, query)
        body = json.dumps(value if value is not None else {"error": "no"}).encode()
        self.send_response(200 if value is not None else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def collector():
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_incidents_are_told_once_and_summed_up(collector, hook, tmp_path, begin):
    report = tmp_path / "r.json"
    stop = tmp_path / "stop"
    collector.states = ["running", "running", "finished"]
    job = begin("--hook-lib", hook, "--collector", collector.address, "--job", "my/job", "--report",
                str(report), "sh", "-c", COUNT, str(stop))
    collector.incidents = [INCIDENT]
    line = job.stderr.readline()
    assert line.endswith("] slow-rank rank 5 (node n2) arrives 41 ms late\n"), line
    collector.incidents = [dict(INCIDENT, state="resolved")]
    line = job.stderr.readline()
    assert line.endswith("] resolved slow-rank rank 5 (n2)\n"), line
    stop.touch()
    out, err = job.communicate(timeout=30)
    assert job.returncode == 9 and out == ""
    assert err.splitlines()[0] == "c4: job my/job: 8 ranks on 2 nodes, 1.5 s, exit 9"
    assert "slow-rank  rank 5 (node n2) arrives 41 ms late (resolved, named after 3.1 s)" in err
    written = json.loads(report.read_text())
    assert written["state"] == "finished"  # it waited for the collector to have judged it all
    assert written["incidents"] == collector.incidents


def test_quiet_still_names_and_reports(collector, hook, tmp_path):
    report = tmp_path / "r.json"
    collector.incidents = [INCIDENT]
    done = run("--quiet", "--hook-lib", hook, "--collector", collector.address, "--report",
               str(report), "sh", "-c", "exit 0")
    assert len(done.stderr.splitlines()) == 1 and "arrives 41 ms late" in done.stderr
    assert json.loads(report.read_text())["ranks"] == 8


def test_collector_that_speaks_nonsense(collector, hook):
    collector.answer = lambda *_: ["not", {"what": "it"}, None]
    done = run("--hook-lib", hook, "--collector", collector.address, "sh", "-c", "exit 4")
    assert done.returncode == 4
    collector.answer = lambda *_: {"incidents": 7, "jobs": {}, "comms": "x", "state": None}
    done = run("--hook-lib", hook, "--collector", collector.address, "sh", "-c", "exit 4")
    assert done.returncode == 4


def test_status_line_on_a_terminal(collector, hook, tmp_path):
    """It lives in the last row outside the scrolling region, and is gone at the end."""
    stop = tmp_path / "stop"
    collector.incidents = [INCIDENT]
    pid, master = fork_on_terminal()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execl(program("c4run"), "c4run", "--hook-lib", hook, "--collector", collector.address,
                 "sh", "-c", COUNT, str(stop))
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 140, 0, 0))
    seen = b""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            try:
                seen += os.read(master, 65536)
            except OSError:
                break
        if b"world busbw" in seen:
            stop.touch()
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    text = seen.decode()
    assert "8 ranks on 2 nodes · 1.2k ops · step 20 ms · world busbw 2.1 Gb/s" in text
    assert "· 1 incident: slow-rank rank 5 (n2)" in text
    assert "] SLOW-RANK rank 5 (node n2) arrives 41 ms late\r\n" in text
    assert "\x1b[1;23r" in text and "\x1b[24;1H" in text
    # the region is lifted after the last status and before the summary
    lifted = text.rindex("\x1b[r")
    assert text.rindex("world busbw") < lifted < text.index("c4: job")


# ---- one c4run per rank ------------------------------------------------------------------------

@pytest.fixture
def ranks(hook):
    """ranks(script, *options) → three c4run as mpirun starts them, each with its rank as $0."""
    started = []

    def start(script, *options):
        for rank in range(3):
            env = dict(os.environ, PMIX_NAMESPACE=f"test{os.getpid()}{id(started)}",
                       OMPI_COMM_WORLD_RANK=str(rank), OMPI_COMM_WORLD_SIZE="3",
                       OMPI_COMM_WORLD_LOCAL_SIZE="3")
            started.append(subprocess.Popen(
                [program("c4run"), "--hook-lib", hook, *options, "sh", "-c", script, str(rank)],
                env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True))
        return started

    yield start
    for job in started:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
        job.communicate()


def test_per_rank_shape(ranks, collector):
    """Ranks of one launch agree on job and directory; each has its own status."""
    jobs = ranks('echo "$C4_JOB $C4_RUNTIME_DIR"; sleep 0.5; exit $((10 * $0))',
                 "--collector", collector.address)
    done = [job.communicate(timeout=30) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 10, 20]
    assert len({out for out, _ in done}) == 1
    name, directory = done[0][0].split()
    assert name.startswith(f"ompi-test{os.getpid()}")
    assert until(lambda: not os.path.exists(directory), 10)
    # rank 0 speaks for all
    assert "c4: job" in done[0][1] and "c4: job" not in done[1][1] + done[2][1]


def test_keeper_is_alone_with_its_collector(ranks):
    """Without a given collector the ranks of a node share one, and one of them speaks."""
    jobs = ranks('echo "$C4_COLLECTOR"; sleep 0.5')
    done = [job.communicate(timeout=30) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert len({out for out, _ in done}) == 1
    assert int(done[0][0].rpartition(":")[2]) > 0
    assert sum(err.count("no rank reported") for _, err in done) == 1


def test_report_survives_the_launchers_kill(ranks, collector, tmp_path):
    """A launcher that gives a job up kills each rank's process group, c4run and all."""
    report = tmp_path / "r.json"
    collector.incidents = [INCIDENT]
    jobs = ranks("echo ready; exec sleep 60", "--collector", collector.address, "--report",
                 str(report))
    for job in jobs:
        assert job.stdout.readline() == "ready\n"
    for job in jobs:
        os.killpg(job.pid, signal.SIGKILL)
        assert job.wait(10) == -signal.SIGKILL
    assert until(report.exists, 10)
    assert json.loads(report.read_text())["incidents"] == [INCIDENT]


def test_failing_rank_does_not_wait_for_the_others(ranks, collector):
    jobs = ranks("[ $0 = 0 ] && exec sleep 60; sleep 0.3; exit 3", "--collector",
                 collector.address)
    began = time.monotonic()
    assert [job.wait(10) for job in jobs[1:]] == [3, 3]
    assert time.monotonic() - began < 5
    assert jobs[0].poll() is None
