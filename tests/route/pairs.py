#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A program with queue pairs of the library without devices (ibverbs.c), to be run under the hook.

    pairs.py LIBRARY

Reads lines, answers each with one of JSON:

    up SRC DST [LABEL [PEER_QPN]]   one more queue pair, brought to RTS; its place
    down PLACE                      destroyed
    label PLACE                     the label that it has now
"""

import ctypes as c
import json
import socket
import sys

STATE, AV, DEST_QPN = 1 << 0, 1 << 7, 1 << 20
INIT, RTR, RTS, RC = 1, 2, 3, 2


class Device(c.Structure):
    _fields_ = [("ops", c.c_void_p * 2), ("node_type", c.c_int32), ("transport_type", c.c_int32),
                ("name", c.c_char * 64), ("dev_name", c.c_char * 64), ("dev_path", c.c_char * 256),
                ("ibdev_path", c.c_char * 256)]


class Context(c.Structure):
    _fields_ = [("device", c.POINTER(Device)), ("ops", c.c_void_p * 32), ("cmd_fd", c.c_int)]


class Pair(c.Structure):
    _fields_ = [("context", c.POINTER(Context)), ("objects", c.c_void_p * 5), ("handle", c.c_uint32),
                ("num", c.c_uint32), ("state", c.c_uint32), ("type", c.c_uint32)]


class Ah(c.Structure):
    _fields_ = [("dgid", c.c_uint8 * 16), ("flow_label", c.c_uint32), ("sgid_index", c.c_uint8),
                ("hop_limit", c.c_uint8), ("traffic_class", c.c_uint8), ("dlid", c.c_uint16),
                ("sl", c.c_uint8), ("src_path_bits", c.c_uint8), ("static_rate", c.c_uint8),
                ("is_global", c.c_uint8), ("port_num", c.c_uint8), ("pad", c.c_uint8)]


class Attr(c.Structure):
    _fields_ = [("state", c.c_uint32), ("before", c.c_uint32 * 6), ("dest_qp_num", c.c_uint32),
                ("between", c.c_uint32 * 6), ("ah", Ah), ("rest", c.c_uint8 * 64)]


class Call(c.Structure):
    _fields_ = [("qp", c.c_void_p), ("state", c.c_uint32), ("label", c.c_uint32), ("mask", c.c_int),
                ("rc", c.c_int)]


class Fake(c.Structure):
    _fields_ = [("call", Call * 64), ("calls", c.c_uint32), ("destroyed", c.c_uint32),
                ("busy", c.c_uint32), ("guarded", c.c_void_p), ("crossed", c.c_uint32),
                ("hold_us", c.c_uint32), ("draining", c.c_uint32), ("refuse_label", c.c_int),
                ("refuse_sqd", c.c_int), ("refuse_av", c.c_int), ("bare_av", c.c_int),
                ("is_mlx5", c.c_int), ("mlx5_port", c.c_uint16), ("gid", c.c_uint8 * 16)]


def mapped(address):
    return (c.c_uint8 * 16)(*bytes(10), 255, 255, *socket.inet_aton(address))


class Program:
    """As NCCL does: the calls are looked for in the library, with a version."""

    def __init__(self, library):
        self.library = c.CDLL(library)
        self.fake = Fake.in_dll(self.library, "fake_verbs")
        self.device = Device(ibdev_path=b"/nowhere")
        self.context = Context(device=c.pointer(self.device), cmd_fd=-1)
        self.pairs = []

    def find(self, name, *kinds):
        look = c.CDLL(None).dlvsym
        look.restype, look.argtypes = c.c_void_p, [c.c_void_p, c.c_char_p, c.c_char_p]
        at = look(self.library._handle, name, b"IBVERBS_1.1")  # pylint: disable=protected-access
        return c.CFUNCTYPE(c.c_int, *kinds)(at)

    def modify(self, pair, attr, mask):
        call = self.find(b"ibv_modify_qp", c.POINTER(Pair), c.POINTER(Attr), c.c_int)
        assert call(c.byref(pair), c.byref(attr), mask) == 0

    def up(self, src, dst, label="0", peer="0"):
        pair = Pair(context=c.pointer(self.context), num=100 + len(self.pairs), state=INIT, type=RC)
        self.fake.gid = mapped(src)
        ah = Ah(dgid=mapped(dst), flow_label=int(label), is_global=1, port_num=1)
        self.modify(pair, Attr(state=RTR, dest_qp_num=int(peer), ah=ah), STATE | AV | DEST_QPN)
        self.modify(pair, Attr(state=RTS), STATE)
        self.pairs.append(pair)
        return len(self.pairs) - 1

    def down(self, place):
        call = self.find(b"ibv_destroy_qp", c.POINTER(Pair))
        return call(c.byref(self.pairs[int(place)]))

    def label(self, place):
        at = c.addressof(self.pairs[int(place)])
        return [x.label for x in self.fake.call[:self.fake.calls]
                if x.qp == at and x.mask & AV and not x.rc][-1]


def main():
    program = Program(sys.argv[1])
    for line in sys.stdin:
        name, *words = line.split()
        print(json.dumps(getattr(program, name)(*words)), flush=True)


if __name__ == "__main__":
    main()
