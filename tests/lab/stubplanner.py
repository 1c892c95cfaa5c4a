#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A planner that says what it is told to: POST /v1/routes is answered from a file.

    stubplanner.py DIR PORT

DIR/plan.json is read at each request: {"version", "switches": [{"name", "addresses", "epoch"}],
"routes": [{"id", "src", "dst", "path": [names]}], "watches": [{"src", "dst", "proto", "sport",
"dport"}]}. A node is told the routes of its own addresses, and who else has reported. Each
report becomes a line of DIR/reports.jsonl. No file, no standing plan.
"""

import json
import socket
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def ip(text):
    return struct.unpack(">I", socket.inet_aton(text))[0]


def dotted(number):
    return socket.inet_ntoa(struct.pack(">I", number)) if number else None


# ---- protobuf, as little of it as we need --------------------------------------------------------

def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(int(n)) if n else b""


def block(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def fixed(field, n):
    return varint(field << 3 | 5) + struct.pack("<I", n)


def fixeds(field, numbers):
    return block(field, b"".join(struct.pack("<I", n) for n in numbers))


def fields(data):
    """[(field, value)]: numbers as they are, everything else as bytes."""
    def read(at):
        n = shift = 0
        while True:
            n |= (data[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 0x80:
                return n, at

    at, found = 0, []
    while at < len(data):
        key, at = read(at)
        if key & 7 == 0:
            value, at = read(at)
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                size, at = read(at)
            value, at = data[at:at + size], at + size
            if key & 7 in (1, 5):
                value = int.from_bytes(value, "little")
        found.append((key >> 3, value))
    return found


def packed(data, size):
    return [int.from_bytes(data[i:i + size], "little") for i in range(0, len(data), size)]


def varints(data):
    return [value for _, value in fields(b"".join(
        b"\x08" + part for part in split_varints(data)))]


def split_varints(data):
    part = b""
    for byte in data:
        part += bytes([byte])
        if byte < 0x80:
            yield part
            part = b""


PROBE = {1: "src", 2: "dst", 3: "proto", 4: "sport", 5: "dport", 8: "live", 9: "age_ms"}
FLOW = {1: "src", 2: "dst", 3: "proto", 4: "sport", 5: "dport", 6: "initiated", 7: "sent_bytes",
        8: "received_bytes", 9: "interval_ms", 10: "busy_ms", 11: "limited_ms", 12: "rtt_us",
        13: "min_rtt_us", 14: "retransmits", 15: "id", 16: "qp", 17: "reversed", 18: "connections"}
DOUBT = {1: "src", 2: "dst", 3: "wrong", 4: "tried"}
REPORT = {2: "instance", 3: "plan_instance", 4: "plan_version", 9: "helper_port", 10: "raw",
          11: "probes_sent", 12: "last", 1: "node"}


def named(data, names):
    out = {}
    for field, value in fields(data):
        name = names.get(field)
        if name:
            out[name] = value.decode() if isinstance(value, bytes) else value
    for name in ("src", "dst"):
        if name in out:
            out[name] = dotted(out[name])
    return out


def probe_of(data):
    out = named(data, PROBE)
    for field, value in fields(data):
        if field == 6:
            out["hops"] = [dotted(hop) for hop in packed(value, 4)]
        elif field == 7:
            out["hop_rtt_us"] = varints(value)
    return out


def report_of(data):
    out = named(data, REPORT)
    out.update(addresses=[], probes=[], flows=[], doubts=[])
    for field, value in fields(data):
        if field == 5:
            out["addresses"] += [dotted(a) for a in packed(value, 4)]
        elif field == 6:
            out["probes"].append(probe_of(value))
        elif field == 7:
            out["flows"].append(named(value, FLOW))
        elif field == 8:
            out["doubts"].append(named(value, DOUBT))
    return out


# ---- answering -----------------------------------------------------------------------------------

def watches_of(plan):
    return b"".join(
        block(8, fixed(1, ip(w["src"])) + fixed(2, ip(w["dst"])) + number(3, w["proto"]) +
              number(4, w["sport"]) + number(5, w["dport"])) for w in plan.get("watches", ()))


class Planner:
    def __init__(self, place):
        self.place = place
        self.agents = {}  # node → (addresses, address towards us, helper port)
        self.log = open(place / "reports.jsonl", "a", buffering=1)

    def plan(self):
        try:
            return json.loads((self.place / "plan.json").read_text())
        except FileNotFoundError:
            return None

    def answer(self, report, peer):
        self.agents[report["node"]] = (report["addresses"], peer, report.get("helper_port", 0))
        self.log.write(json.dumps({**report, "peer": peer}) + "\n")
        plan = self.plan()
        out = block(1, "stub")
        for node, (addresses, agent, port) in self.agents.items():
            if node != report["node"]:
                out += block(7, fixeds(1, map(ip, addresses)) + fixed(2, ip(agent)) + number(3, port))
        if not plan:
            return out
        version = plan["version"] * 1000 + len(self.agents)
        out += number(2, version) + number(4, 1) + watches_of(plan)
        if report.get("plan_version") == version:
            return out + number(3, 1)
        places = {s["name"]: i for i, s in enumerate(plan["switches"])}
        for switch in plan["switches"]:
            out += block(5, block(1, switch["name"]) + fixeds(2, map(ip, switch["addresses"])) +
                         number(3, switch["epoch"]))
        for route in plan["routes"]:
            if route["src"] in report["addresses"] or route["dst"] in report["addresses"]:
                path = b"".join(varint(places[name]) for name in route["path"])
                out += block(6, block(1, route["id"]) + fixed(4, ip(route["src"])) +
                             fixed(5, ip(route["dst"])) + block(6, path))
        return out


def main():
    planner = Planner(Path(sys.argv[1]))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):  # pylint: disable=invalid-name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            out = b""
            if self.path == "/v1/routes":
                out = planner.answer(report_of(body), self.client_address[0])
            self.send_response(200)
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

        def log_message(self, *_):  # pylint: disable=arguments-differ
            pass

    ThreadingHTTPServer(("0.0.0.0", int(sys.argv[2])), Handler).serve_forever()


if __name__ == "__main__":
    main()
