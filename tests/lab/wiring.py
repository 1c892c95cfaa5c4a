# SPDX-License-Identifier: BSD-3-Clause
"""How the namespaces of a bed become a network: settings, cables, addresses, routes, rates.

A bed here is a fabric.Fabric whose namespaces are there; each function says what it adds.
"""

import contextlib
import fcntl
import os
import re
from pathlib import Path

# One burst of offloaded segments must fit into the shaper's bucket, and what a link may send in
# the milliseconds that a shaper of a busy machine comes too late: else it has less than its rate.
GSO_BYTES = 15000
BUCKET = "burst 100k limit 256k"
HASH_FIELDS = 0x37  # addresses, protocol, ports; the flow label is of no use here


def configure(bed):
    """The kernel's settings per node. Congestion control: cubic if we may, for the machine's
    own may be one that does not share; it is the machine's list of what all may use that
    decides, so root widens it for a moment."""
    settings = {}
    for node in bed.nodes():
        is_switch = node.startswith(("leaf", "spine"))
        settings[bed.namespace(node)] = [
            ("net.ipv6.conf.all.disable_ipv6", 1, False),
            ("net.ipv6.conf.default.disable_ipv6", 1, False),
            ("net.ipv4.conf.all.rp_filter", 0, True),
            ("net.ipv4.conf.default.rp_filter", 0, True),
            ("net.ipv4.tcp_no_metrics_save", 1, False),
            ("net.ipv4.tcp_congestion_control", "reno", False),
            ("net.ipv4.tcp_congestion_control", "cubic", False),
        ]
        if is_switch:
            settings[bed.namespace(node)] += switch_settings(bed, node)
    if bed.nest.way == "root":
        with cubic_for_all(bed):
            refused = bed.nest.sysctl(settings)
    else:
        refused = bed.nest.sysctl(settings)
    values = {value for _, key, value, _ in refused if key.endswith("congestion_control")}
    bed.congestion = next((c for c in ("cubic", "reno") if c not in values), "the machine's")


@contextlib.contextmanager
def cubic_for_all(bed):
    """One bed at a time, or the next one takes the widened list for the machine's own."""
    allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
    turn = os.open(bed.state.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        before = allowed.read_text()
        if "cubic" in before.split():
            yield
            return
        allowed.write_text(before.strip() + " cubic\n")
        try:
            yield
        finally:
            allowed.write_text(before)
    finally:
        os.close(turn)


def switch_settings(bed, node):
    number = int(re.sub("[a-z]", "", node))
    seed = bed.seed
    if node.startswith("spine"):
        seed += 100000 + number
    elif not bed.symmetric:
        seed += 7919 * (number - 1)
    return [("net.ipv4.ip_forward", 1, True),
            # Not policy 1: across a veth it goes by the sending socket, not by its port.
            ("net.ipv4.fib_multipath_hash_policy", 3, True),
            ("net.ipv4.fib_multipath_hash_fields", HASH_FIELDS, True),
            ("net.ipv4.fib_multipath_hash_seed", seed, True),
            # Probes are answered by ICMP, all of them.
            ("net.ipv4.icmp_ratelimit", 0, True),
            ("net.ipv4.icmp_msgs_per_sec", 100000, False),
            ("net.ipv4.icmp_msgs_burst", 10000, False)]


def cables(bed):
    def cable(a, port_a, b, port_b):
        return (f"link add name {port_a} netns {bed.namespace(a)} type veth "
                f"peer name {port_b} netns {bed.namespace(b)}")

    lines = []
    for host in bed.hosts():
        lines.append(cable(host, "eth0", f"leaf{bed.leaf_of(host)}", host))
        lines.append(cable(host, "mgmt0", "mgmt", host))
    for link in bed.links():
        (leaf, up), (spine, down) = link.ends()
        lines.append(cable(leaf, up, spine, down))
    return lines


def wire(bed):
    """Addresses, links up, and the routes that never change."""
    batch = {node: ["link set lo up"] for node in bed.nodes()}
    routes = {node: [] for node in bed.nodes()}
    batch["mgmt"] += ["link add br0 type bridge", "addr add 10.79.0.254/24 dev br0",
                      "link set br0 up"]
    for host in bed.hosts():
        leaf, k = bed.place(host)
        batch[host] += [f"addr add 10.77.{leaf}.{2 * k + 1}/31 dev eth0", "link set eth0 up",
                        f"addr add {bed.management(host)}/24 dev mgmt0", "link set mgmt0 up"]
        routes[host].append(f"route add default via 10.77.{leaf}.{2 * k}")
        batch[f"leaf{leaf}"] += [f"addr add 10.77.{leaf}.{2 * k}/31 dev {host}",
                                 f"link set {host} up"]
        batch["mgmt"].append(f"link set {host} master br0 up")
    for link in bed.links():
        for (node, port), end in zip(link.ends(), (0, 1)):
            batch[node] += [f"addr add 10.78.{link.spine}.{2 * link.leaf + end}/31 dev {port}",
                            f"link set {port} gso_max_size {GSO_BYTES}", f"link set {port} up"]
    for spine in bed.spine_numbers():
        routes[f"spine{spine}"] += down_routes(spine, bed.leaf_numbers())
    for node, lines in batch.items():
        bed.ip(lines, node)
    for node, lines in routes.items():
        bed.ip(lines, node)


def down_routes(spine, leaves):
    return [f"route replace 10.77.{leaf}.0/24 via 10.78.{spine}.{2 * leaf}" for leaf in leaves]


def route(bed):
    """What each leaf knows about the others: the spines that both have a link to."""
    for leaf in bed.leaf_numbers():
        lines = []
        for other in bed.leaf_numbers():
            if other == leaf:
                continue
            ways = [s for s in bed.spine_numbers()
                    if not bed.cuts & {f"{leaf}-{s}", f"{other}-{s}"}]
            hops = " ".join(f"nexthop via 10.78.{s}.{2 * leaf + 1} dev up{s} weight 1"
                            for s in ways)
            lines.append(f"route replace 10.77.{other}.0/24 {hops}" if ways else
                         f"route replace unreachable 10.77.{other}.0/24")
        bed.ip(lines, f"leaf{leaf}")


def shape(bed, node, port, mbit):
    """Limits what the node sends through the port; None: no limit."""
    if mbit is None:
        bed.ip([f"qdisc del dev {port} root"], node, "tc")
    else:
        bed.ip([f"qdisc replace dev {port} root tbf rate {mbit}mbit {BUCKET}"], node, "tc")
