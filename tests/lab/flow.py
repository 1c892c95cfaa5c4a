#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP connections that carry as much as they can.

    flow.py recv PORT                               takes all that comes, until it is ended
    flow.py send DST DPORT SECONDS SPORT [SPORT…]   one connection per source port (0: any)

The sender waits a while for a receiver, and prints {"flows": [{"sport", "bytes", "mbit"}]}:
what the other end acknowledged, and the rate over the last three quarters of the time.
"""

import json
import selectors
import socket
import struct
import sys
import time

CHUNK = bytes(1 << 17)
BYTES_ACKED = 120  # offset in struct tcp_info
CONNECT_SECONDS = 10


def receive(port):
    chosen = selectors.DefaultSelector()
    with socket.create_server(("", port), backlog=256) as server:
        chosen.register(server, selectors.EVENT_READ)
        while True:
            for key, _ in chosen.select():
                if key.fileobj is server:
                    chosen.register(server.accept()[0], selectors.EVENT_READ)
                elif not take(key.fileobj):
                    chosen.unregister(key.fileobj)
                    key.fileobj.close()


def take(sock):
    try:
        return sock.recv(len(CHUNK))
    except ConnectionError:
        return b""


def connect(target, sport):
    end = time.monotonic() + CONNECT_SECONDS
    while True:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Ends by a reset: the port is free again at once.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.bind(("", sport))
        try:
            sock.connect(target)
            sock.setblocking(False)
            return sock
        except ConnectionRefusedError:
            sock.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def acked(sock):
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("=Q", info, BYTES_ACKED)[0]


def send(target, seconds, sports):
    socks = {sock.getsockname()[1]: sock for sock in (connect(target, port) for port in sports)}
    chosen = selectors.DefaultSelector()
    for sock in socks.values():
        chosen.register(sock, selectors.EVENT_WRITE)
    began = time.monotonic()
    base, since = None, began
    while time.monotonic() < began + seconds:
        if base is None and time.monotonic() > began + seconds / 4:
            base, since = {port: acked(sock) for port, sock in socks.items()}, time.monotonic()
        for key, _ in chosen.select(0.05):
            try:
                key.fileobj.send(CHUNK)
            except BlockingIOError:
                pass
    elapsed = time.monotonic() - since
    total = {port: acked(sock) for port, sock in socks.items()}
    return [{"sport": port, "bytes": total[port],
             "mbit": round((total[port] - (base or {}).get(port, 0)) * 8e-6 / elapsed, 3)}
            for port in socks]


def main():
    if sys.argv[1] == "recv":
        receive(int(sys.argv[2]))
    address, port, seconds, *sports = sys.argv[2:]
    flows = send((address, int(port)), float(seconds), [int(sport) for sport in sports])
    json.dump({"flows": flows}, sys.stdout)


if __name__ == "__main__":
    main()
