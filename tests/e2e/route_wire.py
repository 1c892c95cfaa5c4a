# SPDX-License-Identifier: BSD-3-Clause
"""include/c4/route.proto for tests: messages as dictionaries, and an agent that says what it is told to."""
import http.client
import ipaddress
import pathlib
import re
import struct

PROTO = pathlib.Path(__file__).resolve().parents[2] / "include/c4/route.proto"


def read_schema(text):
    """{message: {number: (name, type, repeated)}} of the simple proto3 that the file is."""
    schema = {}
    for name, body in re.findall(r"^message (\w+) \{(.*?)^\}", text, re.S | re.M):
        fields = re.findall(r"^\s*(repeated )?(\w+) (\w+) = (\d+);", body, re.M)
        schema[name] = {int(number): (field, kind, bool(many)) for many, kind, field, number in fields}
    return schema


SCHEMA = read_schema(PROTO.read_text())
FIXED = {"fixed32": "<I", "fixed64": "<Q", "float": "<f"}


def varint(v):
    out = bytearray()
    while True:
        out.append(v & 127 | (128 if v > 127 else 0))
        v >>= 7
        if not v:
            return bytes(out)


def take_varint(data, at):
    v = shift = 0
    while True:
        byte = data[at]
        at += 1
        v |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return v, at


def encode_one(number, kind, v):
    if kind in FIXED:
        return varint(number << 3 | (1 if kind == "fixed64" else 5)) + struct.pack(FIXED[kind], v)
    if kind in ("uint32", "uint64", "bool"):
        return varint(number << 3) + varint(int(v))
    body = v.encode() if kind == "string" else encode(kind, v)
    return varint(number << 3 | 2) + varint(len(body)) + body


def encode(message, values):
    out = b""
    known = {name: (number, kind, many) for number, (name, kind, many) in SCHEMA[message].items()}
    for name, v in values.items():
        number, kind, many = known[name]
        for one in v if many else [v]:
            out += encode_one(number, kind, one)
    return out


def default_of(kind, many):
    if many:
        return []
    return {"string": "", "bool": False, "float": 0.0}.get(kind, 0)


def decode_packed(kind, data):
    if kind in FIXED:
        return [v for v, in struct.iter_unpack(FIXED[kind], data)]
    out, at = [], 0
    while at < len(data):
        v, at = take_varint(data, at)
        out.append(v)
    return out


def decode(message, data):
    values = {name: default_of(kind, many) for name, kind, many in SCHEMA[message].values()}
    at = 0
    while at < len(data):
        tag, at = take_varint(data, at)
        name, kind, many = SCHEMA[message][tag >> 3]
        if tag & 7 == 2:
            n, at = take_varint(data, at)
            body, at = data[at:at + n], at + n
            if kind == "string":
                got = [body.decode()]
            elif kind in SCHEMA:
                got = [decode(kind, body)]
            else:
                got = decode_packed(kind, body)
        elif tag & 7 == 0:
            v, at = take_varint(data, at)
            got = [bool(v) if kind == "bool" else v]
        else:
            size = 8 if tag & 7 == 1 else 4
            got, at = [struct.unpack(FIXED[kind], data[at:at + size])[0]], at + size
        values[name] = values[name] + got if many else got[-1]
    return values


def ip(text):
    return int(ipaddress.IPv4Address(text))


class FakeAgent:
    """Keeps what the last answer said, as an agent does."""

    def __init__(self, port, node, address, instance=None, helper_port=7000):
        self.port, self.node = port, node
        self.report = {"node": node, "agent_instance": instance or (hash(node) & 0xFFFF | 1),
                       "addresses": [ip(address)], "helper_port": helper_port, "raw": True}
        self.address = ip(address)
        self.plan = None
        self.last = None

    def post(self, body, path="/v1/routes", kind="application/x-protobuf"):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        c.request("POST", path, body, {"Content-Type": kind})
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, data

    def say(self, **more):
        """One exchange; the answer, which stands in self.plan as far as it was complete."""
        report = dict(self.report, **more)
        if self.plan:
            report.update(plan_instance=self.plan["plan_instance"], plan_version=self.plan["plan_version"])
        status, data = self.post(encode("RouteReport", report))
        assert status == 200, (status, data)
        self.last = decode("RouteAnswer", data)
        if not self.last["unchanged"]:
            self.plan = self.last
        return self.last

    def ways(self):
        """{(id, qp): [switch, …]}"""
        names = [s["name"] for s in self.plan["switches"]]
        return {(r["id"], r["qp"]): [names[i] for i in r["path"]] for r in self.plan["routes"]}

    def epochs(self):
        return {s["name"]: s["epoch"] for s in self.plan["switches"]}
