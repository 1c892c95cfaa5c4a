# SPDX-License-Identifier: BSD-3-Clause
"""RDMA queue pairs over a real fabric, with devices in software (rdma/bed.py).

One guest for all tests. That the bed itself works comes first: the data is exact, and a flow label is
the UDP source port the formula says, seen in the spines; then what a live queue pair lets one do.
Then libc4route.so, with a plan table that says what the test wants (rdma/plan.c).
"""

import errno
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "rdma"))
import bed as rdma  # noqa: E402 # pylint: disable=wrong-import-position
import vm  # noqa: E402 # pylint: disable=wrong-import-position

REPO = Path(__file__).resolve().parents[2]
BUILD = (REPO / os.environ.get("C4_BUILD", "build")).resolve()

# What UCX needs here: rxe does not say in a datagram's completion that it came by IPv4, and UCX drops
# what came by another address family than it was sent to; and see qp_flow.c for the time-out.
UCX = ("export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 UCX_TLS=rc_v,ud_v,self "
       "UCX_UD_VERBS_ETH_DGID_CHECK=n UCX_RC_VERBS_TIMEOUT=8s")
MPIRUN = ("mpirun --oversubscribe --bind-to none --mca pml ucx --mca btl ^openib,ofi "
          "--mca osc ^ucx --mca mpi_yield_when_idle 1 ")

INVALID = errno.EINVAL
ALLOWED = {
    "RTS, AV alone": INVALID,
    "RTS->RTS STATE|AV": INVALID,
    "RTS->RTS STATE|CUR_STATE|AV": INVALID,
    "RTS->SQD STATE|AV": INVALID,
    "RTS->SQD STATE|EN_SQD_ASYNC_NOTIFY": 0,
    "RTS->SQD STATE|CUR_STATE": INVALID,
    "RTS->SQD STATE": 0,
    "SQD, AV alone": 0,
    "SQD->SQD STATE": 0,
    "SQD->SQD STATE|AV": 0,
    "SQD->SQD STATE|CUR_STATE|AV": INVALID,
    "SQD->SQD STATE|AV|PORT": 0,
    "SQD->SQD STATE|AV|PATH_MTU": INVALID,
    "SQD->SQD STATE|AV|TIMEOUT": 0,
    "SQD->RTS STATE|AV": INVALID,
    "SQD->RTS STATE|CUR_STATE": 0,
    "SQD->RTS STATE": 0,
}


@pytest.fixture(scope="module")
def lasting_guest(tmp_path_factory):
    reason = rdma.why_not()
    if reason:
        pytest.skip(reason)
    try:
        made = rdma.Bed(cache=BUILD / "rdma", work=tmp_path_factory.mktemp("rdma"))
    except vm.Unavailable as error:
        pytest.skip(f"no kernel for the RDMA bed: {error}")
    with made:
        made.write_clear()
        yield made


@pytest.fixture
def guest(lasting_guest):  # pylint: disable=redefined-outer-name
    """Devices r1, r2 on leaf 1, r3, r4 on leaf 2; four spines; nothing seen yet."""
    lasting_guest.seen()
    yield lasting_guest


@pytest.fixture(scope="module")
def spine_of(lasting_guest):  # pylint: disable=redefined-outer-name
    """{(a, b): {port: spine}} both ways between r1 and r3, from probes, not from queue pairs."""
    return {(1, 3): lasting_guest.spines_of(1, 3), (3, 1): lasting_guest.spines_of(3, 1)}


def some_ports(where, each):
    """`each` ports of every spine, spine after spine."""
    spines = sorted(set(where.values()))
    assert spines == [f"spine{s}" for s in range(1, 5)]
    return [port for spine in spines
            for port in sorted(p for p, s in where.items() if s == spine)[:each]]


def labels(ports):
    return ",".join(str(rdma.label_of_port(port)) for port in ports)


def ports_seen(guest, a, b):  # pylint: disable=redefined-outer-name
    """{source port: set of spines} of what went from r<a> to r<b> since the last time."""
    pair = (guest.address(a), guest.address(b))
    return {port: set(where) for (src, port, dst), where in guest.seen(clear=False).items()
            if (src, dst) == pair}


def step(said, name, end):
    return [line for line in said if (line.get("step"), line.get("end")) == (name, end)][-1]


def exact(said, name, count):
    """Both ends of all queue pairs sent and received so many messages, none of them wrong."""
    for end in "AB":
        for qp in step(said, name, end)["qps"]:
            assert (qp["sent"], qp["received"], qp["bad"], qp["status"]) == (count, count, 0, 0), qp


# ---- the guest itself ------------------------------------------------------------------------

def test_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "qemu-system-x86" in vm.why_not()
    monkeypatch.setattr(vm.platform, "machine", lambda: "riscv64")
    assert "riscv64" in vm.why_not()


def test_modules_come_after_what_they_need(tmp_path):
    def module(name, *needs):
        note = b"\0name=x\0depends=" + ",".join(needs).encode() + b"\0intree=Y\0"
        (tmp_path / f"{name}.ko").write_bytes(b"\x7fELF" + note)

    module("rdma_rxe", "ib-core", "udp_tunnel")
    module("ib_core")
    module("udp_tunnel")
    order = vm.load_order(tmp_path, ["rdma_rxe", "builtin"])
    assert sorted(order[:2]) == ["ib_core", "udp_tunnel"] and order[2:] == ["rdma_rxe"]
    (tmp_path / "ib_core.ko").unlink()
    with pytest.raises(vm.Error, match="needs ib_core"):
        vm.load_order(tmp_path, ["rdma_rxe"])
    with pytest.raises(vm.Unavailable, match="no rdma_rxe"):
        vm.load_order(tmp_path, ["udp_tunnel"])


def test_status_output_and_deadline(guest):
    assert guest.run("echo out; echo err >&2; exit 7") == (7, "out\nerr\n")
    began = time.monotonic()
    status, text = guest.run("echo begun; sleep 600 & sleep 500", seconds=5)
    assert (status, text) == (137, "begun\n") and time.monotonic() - began < 20
    assert "sleep" not in guest.run("ps -e -o stat=,comm= | grep -v ^Z")[1]


def test_guest_cannot_write_to_this_machine(guest):
    mark = "/etc/c4-guest-was-here"
    status, text = guest.run(f"echo x > {mark} && cat {mark} && uname -r")
    assert status == 0 and text.startswith("x\n")
    assert not Path(mark).exists() and text.split()[1] != os.uname().release


# ---- labels ----------------------------------------------------------------------------------

def test_labels_are_ports_and_ports_choose_spines(guest, spine_of):
    there, back = some_ports(spine_of[1, 3], 2), some_ports(spine_of[3, 1], 2)[::-1]
    guest.seen()
    said = guest.json(f"./qp r1 r3 connect=8:{labels(there)}/{labels(back)} send=20x3000 query")
    exact(said, "send", 20)
    for pair, ports in (((1, 3), there), ((3, 1), back)):
        assert ports_seen(guest, *pair) == {p: {spine_of[pair][p]} for p in ports}
    asked = {line["qpn"]: line["label"] for line in said
             if (line["step"], line["end"]) == ("query", "A")}
    assert [rdma.port_of_label(asked[qp["qpn"]]) for qp in step(said, "send", "A")["qps"]] == there


def test_high_bits_of_a_label_count(guest):
    wide = [0x4001, 0x8001, 0xfc000, 0xfffff]
    said = guest.json(f"./qp r1 r3 connect=4:{','.join(map(str, wide))} send=4")
    exact(said, "send", 4)
    assert set(ports_seen(guest, 1, 3)) == {0xc000, 0xc003, 0xc03f, 0xffc0}
    assert {rdma.port_of_label(label) for label in wide} == set(ports_seen(guest, 1, 3))


def test_without_a_label_the_numbers_choose(guest):
    said = guest.json("./qp-dlopen r1 r3 connect=4 send=50x30000")
    exact(said, "send", 50)
    expected = {rdma.port_of_label(0, qp["qpn"], qp["peer"]) for qp in step(said, "send", "A")["qps"]}
    assert set(ports_seen(guest, 1, 3)) == expected == set(ports_seen(guest, 3, 1))


# ---- live queue pairs ------------------------------------------------------------------------

def test_new_labels_move_live_queue_pairs(guest, spine_of):
    ports = some_ports(spine_of[1, 3], 3)
    old, new, idle = ports[0::3], ports[1::3], ports[2::3]
    guest.seen()
    said = guest.json(f"./qp r1 r3 connect=4:{labels(old)}/4097 move=120:{labels(new)} "
                      f"'exec=bash clear.sh' label={labels(idle)} send=10", 60)
    exact(said, "move", 120)
    exact(said, "send", 10)
    assert all(qp["error"] == 0 for qp in step(said, "move", "A")["qps"])
    assert ports_seen(guest, 1, 3) == {p: {spine_of[1, 3][p]} for p in idle}
    assert set(ports_seen(guest, 3, 1)) == {rdma.port_of_label(4097)}
    before = guest.cleared()[guest.address(1), guest.address(3)]
    assert before == {p: {spine_of[1, 3][p]} for p in [*old, *new]}


def test_what_a_live_queue_pair_allows(guest):
    said = guest.json("./qp r1 r3 connect=1:4097 trial close connect=1 send=5")
    exact(said, "send", 5)
    tried = [line for line in said if line["step"] == "trial"]
    assert {line["name"]: line["error"] for line in tried} == ALLOWED
    # Where the path was not taken over, the label is what it was.
    last = 4097
    for number, line in enumerate(tried, 0x100):
        changes = line["error"] == 0 and "AV" in line["name"].replace("STATE|", "")
        last = number if changes else last
        assert line["label"] == last, line


def test_what_was_held_back_goes_at_the_next_doorbell(guest):
    (held,) = [line for line in guest.json("./qp r1 r3 connect=1 held close")
               if line["step"] == "held"]
    assert held["posted"] == 0 and held["in_sqd"] == 0
    assert held["in_rts"] + held["kicked"] == 1  # a kernel that does without is as good


def test_a_dead_path_is_left_with_sends_under_way(guest, spine_of):
    first, second = some_ports(spine_of[1, 3], 1)[:2]
    drop = Path(guest.work, "drop.sh")
    drop.write_text("nsenter --net=/run/netns/leaf1 nft -f - <<END\n"
                    "table ip dead { chain f { type filter hook forward priority 0;"
                    f" udp sport {first} drop; }}; }}\nEND\n")
    said = guest.json(f"./qp r1 r3 timeout=15 connect=1:{labels([first])} send=1 'exec=bash drop.sh' "
                      f"rescue={labels([second])} close\n"
                      "nsenter --net=/run/netns/leaf1 nft delete table ip dead", 40)
    (rescue,) = [line for line in said if line["step"] == "rescue"]
    assert rescue["before"] == 0 and rescue["draining"] == 1
    assert rescue["state_av"] == rescue["rts"] == INVALID
    assert (rescue["av"], rescue["back"], rescue["came"]) == (0, 0, 4)
    assert second in ports_seen(guest, 1, 3)


# ---- MPI -------------------------------------------------------------------------------------

def test_mpi_over_verbs_is_exact(guest):
    said = guest.json(f"{UCX}\ntimeout 60 {MPIRUN} -np 1 -x UCX_NET_DEVICES=r1:1 ./exchange 1 : "
                      "-np 1 -x UCX_NET_DEVICES=r3:1 ./exchange 1", 90)
    assert said[0]["ranks"] == 2 and said[0]["wrong"] == 0 and said[0]["rounds"] > 1
    truth = guest.seen()
    for src, dst in ((1, 3), (3, 1)):
        packets = sum(sum(where.values()) for (a, _, b), where in truth.items()
                      if (a, b) == (guest.address(src), guest.address(dst)))
        assert packets > 2 * 8192 * 8 * said[0]["rounds"] / 4096


# ---- planned labels --------------------------------------------------------------------------

HOOK = "libc4route.so"
PLANNED = """set -e
export C4_RUNTIME_DIR=/run/c4 C4_NODE=n0
mkdir -p /run/c4 && cp plan.txt /run/c4/plan
./plan keep /run/c4 n0 /run/c4/plan & keeper=$!
trap 'kill $keeper; wait $keeper' EXIT
until [ -e /run/c4/routes-n0.tbl ]; do sleep 0.05; done
"""
REPLAN = """export LD_PRELOAD=
cp new.txt /run/c4/new && mv /run/c4/new /run/c4/plan
"""
ENDED = """export LD_PRELOAD=
./plan wait /run/c4 n0 moved 8 20 && bash clear.sh
"""


@pytest.fixture
def hook(guest):
    """The hook is where the guest sees it."""
    built = BUILD / "lib" / HOOK
    names = subprocess.run(["nm", "-D", "--defined-only", built], capture_output=True, text=True,
                           check=False)
    if "ibv_modify_qp" not in names.stdout:
        pytest.skip(f"no {HOOK} that knows verbs in {BUILD}")
    shutil.copy(built, guest.work)
    return f"./{HOOK}"


def write_plan(guest, name, there, back):
    """r1 to r3 and back: one slot for each port."""
    ends = guest.address(1), guest.address(3)
    (guest.work / name).write_text(f"{ends[0]} {ends[1]} {' '.join(map(str, there))}\n"
                                   f"{ends[1]} {ends[0]} {' '.join(map(str, back))}\n")


@pytest.mark.parametrize("program", ["qp", "qp-dlopen"])
def test_queue_pairs_take_the_planned_ports(guest, spine_of, hook, program):
    there, back = some_ports(spine_of[1, 3], 2), some_ports(spine_of[3, 1], 2)
    write_plan(guest, "plan.txt", there, back)
    guest.seen()
    said = guest.json(f"{PLANNED} LD_PRELOAD={hook} ./{program} r1 r3 connect=8 send=20x3000 query\n"
                      "./plan stats /run/c4 n0", 60)
    exact(said, "send", 20)
    for pair, ports in (((1, 3), there), ((3, 1), back)):
        assert ports_seen(guest, *pair) == {p: {spine_of[pair][p]} for p in ports}
    for end, ports in (("A", there), ("B", back)):
        asked = [line["label"] for line in said
                 if (line.get("step"), line.get("end")) == ("query", end)]
        assert sorted(map(rdma.port_of_label, asked)) == sorted(ports)
    assert said[-1]["labelled"] == 16 and said[-1]["stuck"] == 0


def test_what_is_not_planned_keeps_its_label(guest, hook):
    write_plan(guest, "plan.txt", [50000], [50001])
    said = guest.json(f"{PLANNED} LD_PRELOAD={hook} ./qp r2 r4 connect=2:4097,0 send=4\n"
                      "./plan stats /run/c4 n0", 60)
    first, second = step(said, "send", "A")["qps"]
    assert set(ports_seen(guest, 2, 4)) == {rdma.port_of_label(4097), rdma.port_of_label(
        0, second["qpn"], second["peer"])}
    assert first["label"] == 4097 and said[-1]["labelled"] == 0


LISTEN = """import json, os, socket, struct
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/c4/routes-n0.sock")
names = "magic version kind slot src dst sport pad qpn peer pid name".split()
with open("/run/c4/told", "w", buffering=1) as told:
    while True:
        data = s.recv(64)
        if len(data) == struct.calcsize("<IHBBIIHHIIIQ"):
            told.write(json.dumps(dict(zip(names, struct.unpack("<IHBBIIHHIIIQ", data)))) + "\\n")
"""
LISTENING = """rm -f /run/c4/routes-n0.sock
python3 listen.py & listener=$!
trap 'kill $keeper $listener; wait $keeper; rm -f /run/c4/routes-n0.sock' EXIT
until [ -e /run/c4/told ]; do sleep 0.05; done
"""


def test_what_is_told_is_what_is_on_the_wire(guest, hook):
    """Without a label, with one, and with a planned one."""
    write_plan(guest, "plan.txt", [50000], [50001])
    (guest.work / "listen.py").write_text(LISTEN)
    guest.seen()
    said = guest.json(f"{PLANNED} {LISTENING} LD_PRELOAD={hook} ./qp r2 r4 connect=4:4097,0 send=20\n"
                      f"LD_PRELOAD={hook} ./qp r1 r3 connect=1 send=4\nsleep 1; cat /run/c4/told", 60)
    numbers = {qp["qpn"]: qp["peer"] for line in said if line.get("step") == "send"
               for qp in line["qps"]}
    told = [line for line in said if "kind" in line]
    up = [line for line in told if line["kind"] == 1]
    assert {(t["qpn"], t["peer"]) for t in up} == set(numbers.items())
    for a, b in ((2, 4), (4, 2), (1, 3), (3, 1)):
        of_pair = [t for t in up if (rdma_address(t["src"]), rdma_address(t["dst"])) ==
                   (guest.address(a), guest.address(b))]
        assert {t["sport"] for t in of_pair} == set(ports_seen(guest, a, b)), (a, b)
        assert {t["slot"] for t in of_pair} == {0 if a in (1, 3) else 8}
    assert {t["name"] for t in told if t["kind"] == 2} <= {t["name"] for t in up}


def rdma_address(number):
    return socket.inet_ntoa(number.to_bytes(4, "big"))


def test_without_an_agent_nothing_changes(guest, hook):
    said = guest.json(f"export C4_RUNTIME_DIR=/run/none C4_NODE=n0\n"
                      f"LD_PRELOAD={hook} ./qp r1 r3 connect=2 send=4", 60)
    exact(said, "send", 4)
    assert set(ports_seen(guest, 1, 3)) == {rdma.port_of_label(0, qp["qpn"], qp["peer"])
                                            for qp in step(said, "send", "A")["qps"]}


def test_live_queue_pairs_follow_the_plan(guest, spine_of, hook):
    there, back = some_ports(spine_of[1, 3], 2), some_ports(spine_of[3, 1], 2)
    write_plan(guest, "plan.txt", there[0::2], back[0::2])
    write_plan(guest, "new.txt", there[1::2], back[1::2])
    guest.seen()
    (guest.work / "replan.sh").write_text(REPLAN)
    (guest.work / "ended.sh").write_text(ENDED)
    # The first messages take the old ports; the plan changes while the next ones are sent.
    said = guest.json(f"{PLANNED} LD_PRELOAD={hook} ./qp r1 r3 connect=4 send=10 'exec=bash replan.sh' "
                      "send=2000 'exec=bash ended.sh' send=20\n./plan stats /run/c4 n0", 120)
    exact(said, "send", 20)  # and no step before it failed, or the status were not 0
    for pair, ports in (((1, 3), there), ((3, 1), back)):
        assert ports_seen(guest, *pair) == {p: {spine_of[pair][p]} for p in ports[1::2]}
        before = guest.cleared()[guest.address(pair[0]), guest.address(pair[1])]
        assert set(ports[0::2]) <= set(before) <= set(ports)
    assert said[-1]["moved"] == 8 and said[-1]["stuck"] == 0


DEAD_SPINE = """export LD_PRELOAD=
at_spine() {{ nsenter --net=/run/netns/{spine} nft "$@"; }}
bash clear.sh
at_spine -f - <<END
table ip dead {{
	chain f {{
		type filter hook forward priority -1
		ip saddr {a} counter drop
		ip saddr {b} counter drop
	}}
}}
END
(until [ $(at_spine list table ip dead | grep -c 'packets [1-9]') = 2 ]; do sleep 0.05; done
for plan in half.txt new.txt; do
	sleep 0.4
	cp $plan /run/c4/next && mv /run/c4/next /run/c4/plan
done) > /dev/null 2>&1 &
"""


def test_both_ends_leave_a_dead_spine(guest, spine_of, hook):
    """It swallows everything while both ends send. Half of the queue pairs are moved at A's end some
    time before they are at B's, the others the other way round; nothing is lost."""
    there, back = some_ports(spine_of[1, 3], 2)[:4], some_ports(spine_of[3, 1], 2)[:4]
    write_plan(guest, "plan.txt", there[:2], back[:2])
    write_plan(guest, "half.txt", [there[2], there[1]], [back[0], back[3]])
    write_plan(guest, "new.txt", there[2:], back[2:])
    spine = spine_of[1, 3][there[0]]
    assert spine == spine_of[3, 1][back[0]]
    (guest.work / "dead.sh").write_text(DEAD_SPINE.format(
        spine=spine, a=guest.address(1), b=guest.address(3)))
    try:
        said = guest.json(f"{PLANNED} LD_PRELOAD={hook} ./qp r1 r3 timeout=15 connect=4 send=10 "
                          "'exec=bash dead.sh' send=100\n./plan stats /run/c4 n0", 60)
    finally:
        guest.run(f"nsenter --net=/run/netns/{spine} nft delete table ip dead")
    exact(said, "send", 100)
    assert said[-1]["moved"] == 8 and said[-1]["stuck"] == 0
    for pair, ports in (((1, 3), there), ((3, 1), back)):
        assert ports_seen(guest, *pair) == {p: {spine_of[pair][p]} for p in ports[2:]}


def test_mpi_follows_the_plan(guest, spine_of, hook):
    there, back = some_ports(spine_of[1, 3], 1), some_ports(spine_of[3, 1], 1)
    write_plan(guest, "plan.txt", there, back)
    guest.seen()
    said = guest.json(f"{PLANNED} {UCX} LD_PRELOAD={hook}\n"
                      f"timeout 60 {MPIRUN} -np 1 -x UCX_NET_DEVICES=r1:1 ./exchange 1 : "
                      "-np 1 -x UCX_NET_DEVICES=r3:1 ./exchange 1\n"
                      "LD_PRELOAD= ./plan stats /run/c4 n0", 90)
    assert said[0]["wrong"] == 0 and said[0]["rounds"] > 1
    assert said[-1]["labelled"] > 0
    truth = guest.seen()
    for src, dst, ports in ((1, 3, there), (3, 1, back)):
        went = {port: sum(where.values()) for (a, port, b), where in truth.items()
                if (a, b) == (guest.address(src), guest.address(dst))}
        # What is left for others is UCX's datagrams by which its ends find each other.
        assert sum(n for port, n in went.items() if port in ports) > 0.95 * sum(went.values())
