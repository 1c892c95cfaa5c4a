#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which hop a connection's packets meet after so many steps, without any right of root's.

    ttlprobe.py tcp|udp DST DPORT TTL < source ports

Each port sends one packet (a SYN, for TCP) whose time to live ends at that hop; the hop's
ICMP message comes back through the socket's error queue. Prints {"hops": {port: address or null}}.
"""

import errno
import json
import select
import socket
import struct
import sys

IP_RECVERR = 11
SO_EE_ORIGIN_ICMP, TIME_EXCEEDED = 2, 11
WAIT_MS, TRIES = 300, 3


def offender(sock):
    """The sender of the time-exceeded message in the error queue, None if it is another."""
    try:
        _, parts, _, _ = sock.recvmsg(64, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except OSError:
        return None
    for level, kind, data in parts:
        if (level, kind) != (socket.IPPROTO_IP, IP_RECVERR) or len(data) < 24:
            continue
        _, origin, icmp = struct.unpack_from("=IBB", data)
        if origin == SO_EE_ORIGIN_ICMP and icmp == TIME_EXCEEDED:
            return socket.inet_ntoa(data[20:24])  # sockaddr_in after the 16 bytes of the error
    return None


def probe(kind, target, ttl, port):
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        try:
            sock.bind(("", port))
        except OSError:  # in use: its path cannot be asked this way
            return None
        if sock.connect_ex(target) not in (0, errno.EINPROGRESS):
            return None
        if kind == socket.SOCK_DGRAM:
            sock.send(b"c4")
        waiting = select.poll()
        waiting.register(sock, 0)  # errors are always told
        return offender(sock) if waiting.poll(WAIT_MS) else None


def main():
    protocol, address, dport, ttl = sys.argv[1:]
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[protocol]
    hops = {}
    for port in map(int, sys.stdin.read().split()):
        found = (probe(kind, (address, int(dport)), int(ttl), port) for _ in range(TRIES))
        hops[port] = next((hop for hop in found if hop), None)
    json.dump({"hops": hops}, sys.stdout)


if __name__ == "__main__":
    main()
