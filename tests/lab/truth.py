# SPDX-License-Identifier: BSD-3-Clause
"""What really went through a spine: its own count of every connection, kept by nftables.

The hook counts what is forwarded, so a probe whose time ends in the spine is not in it, and what
the spine's own shaper drops afterwards is.
"""

import json

from nest import Error

SEEN_MAX = 65536  # connections per spine

TABLE = f"""
table ip truth {{
	set seen {{
		type ipv4_addr . inet_service . ipv4_addr . inet_service
		flags dynamic
		size {SEEN_MAX}
		counter
	}}
	chain through {{
		type filter hook forward priority 0
		meta l4proto {{ tcp, udp }} \
			update @seen {{ ip saddr . th sport . ip daddr . th dport }}
	}}
}}
"""


def install(nest, namespace):
    nest.within(namespace, ["nft", "-f", "-"], TABLE)


def reset(nest, namespace):
    nest.within(namespace, ["nft", "-f", "-"], "delete table ip truth\n" + TABLE)


def read(nest, namespace, count):
    """{(src, sport, dst, dport): bytes or packets}. A set that is full misses connections: Error."""
    text = nest.within(namespace, ["nft", "-j", "list", "table", "ip", "truth"])
    elements = []
    for item in json.loads(text)["nftables"]:
        elements += item.get("set", {}).get("elem", [])
    if len(elements) >= SEEN_MAX:
        raise Error(f"{namespace}: {SEEN_MAX} connections or more, not all are counted")
    return {tuple(e["elem"]["val"]["concat"]): e["elem"]["counter"][count] for e in elements}
