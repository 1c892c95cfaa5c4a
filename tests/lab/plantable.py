#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A node's plan table (include/c4/route.h) as a process sees it, and the question to the agent.

    plantable.py ask DIR NODE tcp|udp DST DPORT [WAIT_MS]    → {"ms", "slots": [[ports]], …}
    plantable.py show DIR NODE                               → {"header", "peers", "dests"}
"""

import json
import mmap
import socket
import struct
import sys
import time
from pathlib import Path

MAGIC = 0x3145545552344321
PROTO = {"tcp": 6, "udp": 17}
STATS = ["asked", "pinned", "taken", "late", "unknown", "labelled", "moved", "stuck", "untold"]


def dotted(number):
    return socket.inet_ntoa(struct.pack(">I", number))


class Table:
    def __init__(self, place, node):
        with open(Path(place) / f"routes-{node}.tbl", "rb") as f:
            self.map = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        (self.magic, self.version, _, self.bytes, self.peer_off, self.peer_cap, self.peer_bytes,
         self.dest_off, self.dest_cap, self.dest_bytes, self.instance, self.plan, self.wait_us,
         self.pid) = struct.unpack_from("<QIIQ6IQQII", self.map, 0)
        assert self.magic == MAGIC and self.version == 1

    def beat_age_ms(self):
        return (time.monotonic_ns() - struct.unpack_from("<Q", self.map, 128)[0]) / 1e6

    def generation(self):
        return struct.unpack_from("<I", self.map, 136)[0]

    def peers(self):
        found = (struct.unpack_from("<II", self.map, self.peer_off + i * self.peer_bytes)
                 for i in range(self.peer_cap))
        return {dotted(dst): dotted(src) for dst, src in found if dst}

    def dests(self):
        found = []
        for i in range(self.dest_cap):
            at = self.dest_off + i * self.dest_bytes
            gen, dst, src, dport, proto, nslots, until = struct.unpack_from("<IIIHBBQ", self.map, at)
            if not dst or dst == 0xFFFFFFFF or gen & 1:
                continue
            slots = []
            for k in range(nslots):
                claim, moved, n, *ports = struct.unpack_from("<QIH6H", self.map, at + 64 + 32 * k)
                slots.append({"claimed": claim & 0xFFFF, "moved": moved, "ports": ports[:n]})
            found.append({"dst": dotted(dst), "src": dotted(src), "dport": dport, "proto": proto,
                          "slots": slots, "until_ms": until / 1e6})
        return found

    def dest(self, proto, dst, dport):
        for dest in self.dests():
            if (dest["proto"], dest["dst"], dest["dport"]) == (PROTO[proto], dst, dport):
                return dest
        return None


def ask(place, node, proto, dst, dport, wait_ms=2000):
    table = Table(place, node)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        begun = time.monotonic()
        number = struct.unpack(">I", socket.inet_aton(dst))[0]
        seen = table.generation()
        s.sendto(struct.pack("<IHBBIHHII", MAGIC & 0xFFFFFFFF, 1, PROTO[proto], 0, number, dport,
                             0, 0, 0), str(Path(place) / f"routes-{node}.sock"))
        while time.monotonic() - begun < wait_ms / 1000:
            if table.generation() == seen:
                time.sleep(0.0002)
                continue
            ms = (time.monotonic() - begun) * 1000
            seen = table.generation()
            dest = table.dest(proto, dst, dport)
            if dest and (dest["slots"] or dest["until_ms"]):
                return {"ms": ms, **dest}
    return {"ms": None, "slots": []}


def main():
    what, place, node, *rest = sys.argv[1:]
    if what == "ask":
        proto, dst, dport, *wait = rest
        print(json.dumps(ask(place, node, proto, dst, int(dport), *map(int, wait))))
    else:
        table = Table(place, node)
        print(json.dumps({"plan": table.plan, "beat_ms": table.beat_age_ms(),
                          "generation": table.generation(), "peers": table.peers(),
                          "dests": table.dests()}))


if __name__ == "__main__":
    main()
