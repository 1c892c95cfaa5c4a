# SPDX-License-Identifier: BSD-3-Clause
"""Unmodified programs under libc4route.so, with a plan table made by hand: they connect from planned
ports, and without a good table as if the library were not there."""

import ctypes
import json
import mmap
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from conftest import BUILD, REPO, program, until

HOOK = BUILD / "lib" / "libc4route.so"
MAGIC, VERSION = 0x3145545552344321, 1
HEADER, PEERS, PEER, DESTS, DEST, SLOT = 320, 4096, 8, 4096, 320, 32
PEER_OFF, DEST_OFF = HEADER, HEADER + PEERS * PEER
TOTAL = DEST_OFF + DESTS * DEST
BEAT, GENERATION, STATS, WAIT_US = 128, 136, 192, 72
STAT = {name: i for i, name in enumerate(
    ["asked", "pinned", "taken", "late", "unknown", "labelled", "moved", "stuck", "untold"])}
TCP, UDP, RDMA = 6, 17, 4791
QP_MAGIC, UP, GONE, NO_SLOT = MAGIC >> 32, 1, 2, 8
VERBS = BUILD / "route" / "libibverbs.so.1"
FUTEX_WAKE, SYS_FUTEX = 1, {"x86_64": 202, "aarch64": 98}[os.uname().machine]
DST, SRC = "127.0.8.1", "127.0.8.2"
U32 = 0xFFFFFFFF


def ip(text):
    return struct.unpack(">I", socket.inet_aton(text))[0]


TOLD = "<IHBBIIHHIIIQ"


def told_of(data):
    """What a process tells of a queue pair."""
    magic, version, kind, slot, src, dst, sport, _, qpn, peer, pid, name = struct.unpack(TOLD, data)
    assert (magic, version) == (QP_MAGIC, VERSION)
    return {"kind": kind, "slot": slot, "src": src, "dst": dst, "sport": sport, "qpn": qpn,
            "peer": peer, "pid": pid, "name": name}


class Table:
    """What an agent would write, with a heartbeat and, if wanted, answers to questions."""

    def __init__(self, directory, beat=True, slots=2):
        self.dir, self.slots = directory, slots
        self.path = directory / "routes-n0.tbl"
        self.asked, self.told, self.over, self.muted = [], [], threading.Event(), False
        self.ports = range(61000, 61000)
        self.socket = None
        data = bytearray(TOTAL)
        struct.pack_into("<QIIQIIIIIIQQII", data, 0, MAGIC, VERSION, HEADER, TOTAL, PEER_OFF, PEERS,
                         PEER, DEST_OFF, DESTS, DEST, 1, 1, 100_000, os.getpid())
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "r+b") as file:
            file.write(data)
            file.flush()
            self.map = mmap.mmap(file.fileno(), TOTAL)
        self.beat()
        if beat:
            threading.Thread(target=self.keep_beating, daemon=True).start()

    def beat(self):
        struct.pack_into("<Q", self.map, BEAT, time.monotonic_ns())

    def keep_beating(self):
        while not self.over.wait(0.1):
            self.beat()

    def stat(self, name):
        return struct.unpack_from("<Q", self.map, STATS + 8 * STAT[name])[0]

    def peer(self, dst, src):
        at = (ip(dst) * 0x9E3779B1 & U32) >> 16 & PEERS - 1
        struct.pack_into("<II", self.map, PEER_OFF + PEER * at, ip(dst), ip(src))

    def dest(self, dst, dport, src, first, proto=TCP):
        """A destination with slots of three ports each, `first` and on; its offset."""
        mixed = (dport << 16 | proto) * 0x85EBCA77 & U32
        at = ((ip(dst) ^ mixed) * 0x9E3779B1 & U32) >> 12 & DESTS - 1
        while struct.unpack_from("<I", self.map, DEST_OFF + DEST * at + 4)[0]:
            at = (at + 1) % DESTS
        at = DEST_OFF + DEST * at
        for i in range(self.slots):
            ports = [first + 10 * i + k for k in range(3)]
            struct.pack_into("<QIH6H", self.map, at + 64 + SLOT * i, 0, 0, 3, *ports, 0, 0, 0)
        struct.pack_into("<IHBB", self.map, at + 8, ip(src), dport, proto, self.slots)
        struct.pack_into("<I", self.map, at + 4, ip(dst))
        return at

    def claims(self, at, slot):
        return struct.unpack_from("<H", self.map, at + 64 + SLOT * slot)[0]

    def changed(self):
        value = struct.unpack_from("<I", self.map, GENERATION)[0]
        word = ctypes.c_uint32.from_buffer(self.map, GENERATION)
        word.value = value + 1
        ctypes.CDLL(None).syscall(SYS_FUTEX, ctypes.byref(word), FUTEX_WAKE, 1 << 30, None, None, 0)
        del word

    def answer(self, src):
        """Listens to questions, and answers each with ports of its own unless muted."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.dir / "routes-n0.sock"))
        threading.Thread(target=self.keep_answering, args=(src,), daemon=True).start()

    def keep_answering(self, src):
        first = 61400
        while True:
            question = self.socket.recv(64)
            if self.over.is_set():
                return
            if len(question) == struct.calcsize(TOLD):
                self.told.append(told_of(question))
                continue
            _, _, proto, _, dst, dport, _, _, _ = struct.unpack("<IHBBIHHII", question)
            self.asked.append((proto, dst, dport))
            if self.muted:
                continue
            self.dest(socket.inet_ntoa(struct.pack(">I", dst)), dport, src, first)
            first += 10 * self.slots
            self.changed()

    def close(self):
        self.over.set()
        if self.socket:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.sendto(b"", str(self.dir / "routes-n0.sock"))


@pytest.fixture
def listener():
    """A server that tells each client where it comes from, on a line."""
    server = socket.socket()
    server.bind((DST, 0))
    server.listen(100)

    def serve():
        while True:
            try:
                client, address = server.accept()
            except OSError:
                return
            body = f"{address[0]} {address[1]}\n".encode()
            client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            # the client closes first or not: both happen
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def table(tmp_path):
    made = Table(tmp_path)
    yield made
    made.close()


def free_ports(count):
    """The first of `count` ports that nobody holds on SRC, an earlier run's TIME_WAIT neither."""
    for first in range(61000, 65000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as s:
                    s.bind((SRC, port))
            return first
        except OSError:
            continue
    pytest.fail("no free ports")


def environment(directory, **more):
    return dict(os.environ, LD_PRELOAD=str(HOOK), C4_RUNTIME_DIR=str(directory), C4_NODE="n0", **more)


def run(directory, *line, seconds=30, **more):
    done = subprocess.run(line, env=environment(directory, **more), timeout=seconds, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


PYTHON = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
own = s.getsockname()
said = s.makefile().read().split()[-2:]
assert said == [own[0], str(own[1])], (said, own)
print(*own)
"""
BASH = 'exec 3<>"/dev/tcp/$0/$1"; cat <&3'
CLIENTS = {
    "python": lambda port: [sys.executable, "-c", PYTHON, DST, str(port)],
    "curl": lambda port: ["curl", "-sS", "-m", "10", f"http://{DST}:{port}/"],
    "bash": lambda port: ["bash", "-c", BASH, DST, str(port)],
}


def came_from(said):
    host, port = said.split()[-2:]
    return host, int(port)


@pytest.mark.parametrize("client", CLIENTS)
def test_programs_leave_from_planned_ports(table, listener, client):
    if not shutil.which(client) and client != "python":
        pytest.skip(f"no {client}")
    first = free_ports(20)
    table.peer(DST, SRC)
    table.dest(DST, listener, SRC, first)
    ports = [came_from(run(table.dir, *CLIENTS[client](listener))) for _ in range(2)]
    assert ports[0] == (SRC, first)
    assert ports[1] == (SRC, first + 10)  # the other slot
    assert table.stat("pinned") == 2


def test_question_and_answer(table, listener):
    table.peer(DST, SRC)
    table.answer(SRC)
    host, port = came_from(run(table.dir, *CLIENTS["python"](listener)))
    assert host == SRC and port >= 61400
    assert table.asked == [(TCP, ip(DST), listener)]


def test_listeners_and_unplanned_peers(table):
    """A program that binds, listens, asks for its port and connects to itself."""
    table.peer(DST, SRC)
    said = run(table.dir, sys.executable, "-c", f"""
import socket
for host in "{SRC}", "0.0.0.0", "127.0.0.1":
    server = socket.socket()
    server.bind((host, 0))
    port = server.getsockname()[1]
    assert port, host
    server.listen()
    assert server.getsockname()[1] == port
    client = socket.create_connection((host, port), 5)
    peer, address = server.accept()
    assert address[:2] == client.getsockname(), (address, client.getsockname())
print("good")
""")
    assert said == "good\n"
    assert table.stat("pinned") == table.stat("unknown") == 0


def damage(table, how):
    table.over.set()
    with open(table.path, "r+b") as file:
        if how == "other version":
            file.seek(8)
            file.write(struct.pack("<I", VERSION + 1))
        elif how == "truncated":
            file.truncate(TOTAL // 2)
        elif how == "empty":
            file.truncate(0)
        elif how == "noise":
            file.write(os.urandom(TOTAL))
        elif how == "stale":
            file.seek(BEAT)
            file.write(struct.pack("<Q", time.monotonic_ns() - 1_100_000_000))
    if how == "everybody's":
        table.path.chmod(0o666)
    elif how == "none":
        table.path.unlink()


@pytest.mark.parametrize("how", ["other version", "truncated", "empty", "noise", "stale",
                                 "everybody's", "none"])
def test_bad_tables(tmp_path, listener, how):
    table = Table(tmp_path, beat=False)
    table.peer(DST, SRC)
    table.dest(DST, listener, SRC, free_ports(20))
    damage(table, how)
    host, port = came_from(run(tmp_path, *CLIENTS["python"](listener)))
    assert (host, port < 61000) == ("127.0.0.1", True)


def test_switched_off(table, listener):
    table.peer(DST, SRC)
    table.dest(DST, listener, SRC, free_ports(20))
    host, _ = came_from(run(table.dir, *CLIENTS["python"](listener), C4_HOOK="0"))
    assert host == "127.0.0.1"


TIMED = """
import socket, sys, time
for _ in range(int(sys.argv[3])):
    s = socket.socket()
    began = time.monotonic()
    s.connect((sys.argv[1], int(sys.argv[2])))
    print((time.monotonic() - began) * 1000, flush=True)
"""


def test_agent_that_dies_while_asked(table, listener):
    """It hears the question and never answers, then its heart stops: each connection is made, the
    first ones after the waiting time, the later ones at once."""
    table.peer(DST, SRC)
    table.muted = True
    table.answer(SRC)
    job = subprocess.Popen([sys.executable, "-c", TIMED, DST, str(listener), "8"], text=True,
                           env=environment(table.dir), stdout=subprocess.PIPE)
    try:
        assert until(lambda: table.asked, 10, 0.005)
        table.over.set()
        said, _ = job.communicate(timeout=20)
    finally:
        job.kill()
        job.wait(10)
    took = [float(text) for text in said.split()]
    assert job.returncode == 0 and len(took) == 8
    assert table.stat("late") == 3
    assert took[0] >= 95  # wait_us is 100 ms
    assert sorted(took[3:])[2] < 95  # the machine is shared: not each of them


def test_killed_writer_leaves_running_connections_alone(tmp_path, listener):
    """A separate process is the agent; it is killed, and a connection made before goes on."""
    keeper = subprocess.Popen([sys.executable, "-c", f"""
import sys, time
sys.path.insert(0, {str(os.path.dirname(__file__))!r})
from pathlib import Path
import test_route
table = test_route.Table(Path({str(tmp_path)!r}))
table.peer("{DST}", "{SRC}")
table.answer("{SRC}")
print("ready", flush=True)
time.sleep(60)
"""], stdout=subprocess.PIPE, text=True, env=dict(os.environ, C4_BUILD=str(BUILD)))
    try:
        assert keeper.stdout.readline() == "ready\n"
        job = subprocess.Popen([sys.executable, "-c", f"""
import socket, sys
server = socket.create_server(("{DST}", 0))
a = socket.create_connection(server.getsockname(), 10)
b, _ = server.accept()
print(*a.getsockname(), flush=True)
sys.stdin.readline()
for i in range(100):
    a.sendall(b"x" * 1000)
    got = 0
    while got < 1000:
        got += len(b.recv(1000))
later = socket.create_connection(server.getsockname(), 10)
print(*later.getsockname(), flush=True)
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(tmp_path))
        host, port = came_from(job.stdout.readline())
        assert host == SRC and port >= 61400
        keeper.send_signal(signal.SIGKILL)
        keeper.wait(10)
        time.sleep(1.1)  # what a heartbeat may be old
        said, _ = job.communicate("go\n", timeout=20)
        assert job.returncode == 0
        assert came_from(said)[0] == "127.0.0.1"
    finally:
        for process in (keeper, job):
            process.kill()
            process.wait(10)


RING = """
import sys
from mpi4py import MPI
world = MPI.COMM_WORLD
n, me = world.size, world.rank
data = bytearray([me]) * 200000
for _ in range(10):
    got = bytearray(200000)
    world.Sendrecv(data, (me + 1) % n, recvbuf=got, source=(me - 1) % n)
    data = got
good = world.gather(data[0] == (me - 10) % n)
if me == 0:
    print(good, flush=True)
"""


def test_open_mpi_over_tcp(tmp_path):
    """It binds before it connects; its ports are the kernel's until then."""
    table = Table(tmp_path, slots=8)
    table.peer("127.0.0.1", "127.0.0.1")
    table.answer("127.0.0.1")
    line = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", "3", "--mca", "pml", "ob1",
            "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "lo",
            "--mca", "mpi_yield_when_idle", "1", "-x", f"LD_PRELOAD={HOOK}", "-x", "C4_NODE=n0",
            "-x", f"C4_RUNTIME_DIR={tmp_path}", "/usr/bin/python3", "-c", RING]
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    done = subprocess.run(line, env=env, timeout=90, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    table.close()
    if "Unable to find reachable pairing" in done.stderr:
        pytest.skip("Open MPI does not connect through loopback here")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "[True, True, True]\n"
    assert table.stat("pinned") >= 3
    assert table.asked


class Pairs:
    """A program with queue pairs of a library without devices."""

    def __init__(self, directory):
        line = [sys.executable, REPO / "tests/route/pairs.py", VERBS]
        self.process = subprocess.Popen(line, text=True, env=environment(directory),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))


@pytest.fixture
def pairs(tmp_path):
    if not VERBS.exists():
        pytest.skip("no verbs library to stand in: make unit-bin")
    made = Pairs(tmp_path)
    yield made
    made.process.kill()
    made.process.wait(10)


def port_of(label):
    return 0xc000 | (label & 0x3fff) ^ (label >> 14)


def test_queue_pairs_are_told_planned_or_not(table, pairs):
    table.peer(DST, SRC)
    at = table.dest(DST, RDMA, SRC, 50000, UDP)
    table.answer(SRC)
    for dst in (DST, "127.0.8.9"):
        pairs.say("up", SRC, dst, 5, 30)
    assert until(lambda: len(table.told) == 2, 5)
    planned, other = table.told
    assert planned == {"kind": UP, "slot": 0, "src": ip(SRC), "dst": ip(DST), "sport": 50000,
                       "qpn": 100, "peer": 30, "pid": pairs.process.pid, "name": planned["name"]}
    assert other == dict(planned, slot=NO_SLOT, dst=ip("127.0.8.9"), sport=port_of(5), qpn=101,
                         name=other["name"])
    assert planned["name"] != other["name"] and table.claims(at, 0) == 1
    for place in range(2):
        pairs.say("down", place)
    assert until(lambda: len(table.told) == 4, 5)
    assert table.told[2:] == [dict(planned, kind=GONE), dict(other, kind=GONE)]
    assert table.claims(at, 0) == 0


def test_queue_pair_is_planned_while_it_lives(table, pairs):
    table.answer(SRC)
    pairs.say("up", SRC, DST, 5, 30)
    assert until(lambda: table.told, 5) and pairs.say("label", 0) == 5
    table.peer(DST, SRC)
    at = table.dest(DST, RDMA, SRC, 50000, UDP)
    table.changed()
    assert until(lambda: port_of(pairs.say("label", 0)) == 50000, 5)
    assert until(lambda: table.told[-1]["sport"] == 50000, 5)
    assert table.told[-1] == dict(table.told[0], sport=50000, slot=0)
    assert table.claims(at, 0) == 1 and table.stat("moved") == 1
    assert table.asked == [], "nobody has to be asked by a program that waits"


def test_queue_pairs_without_an_agent(tmp_path, pairs):
    """Nothing is told, and no thread made; nor later, for these."""
    table = Table(tmp_path, beat=False)
    table.answer(SRC)
    time.sleep(1.1)
    pairs.say("up", SRC, DST, 5, 30)
    assert pairs.threads() == 1 and table.told == table.asked == []
    table.close()


def test_c4run_routes_only_when_told():
    def preloads(*options):
        done = subprocess.run([program("c4run"), "--dry-run", "--collector", "h:1", *options, "true"],
                              env=dict(os.environ, LD_PRELOAD=""), text=True, timeout=30,
                              stdout=subprocess.PIPE, check=True)
        named = dict(line.split("=", 1) for line in done.stdout.splitlines()[:-1])
        return [os.path.basename(path) for path in named.get("LD_PRELOAD", "").split(":")]

    assert "libc4route.so" not in preloads()
    assert "libc4route.so" in preloads("--routes")
    assert preloads("--routes", "--hook", "none") == ["libc4route.so"]
