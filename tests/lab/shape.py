# SPDX-License-Identifier: BSD-3-Clause
"""The plan of a bed: which nodes there are, what they are called, which addresses they have.

Nothing here touches the machine. fabric.py says what the names and numbers mean.
"""

import re
from pathlib import Path

from nest import Error

MOST_HOSTS = 250  # addresses of one management network


class Shape:
    """A leaf-spine fabric on paper; all numbers of leaves, spines and hosts begin at 1."""

    def __init__(self, leaves=2, spines=4, hosts_per_leaf=4, rate_mbit=100, seed=42,
                 symmetric=True, prefix="c4"):
        if not re.fullmatch("[a-z][a-z0-9]{0,15}", prefix):
            raise Error(f"prefix {prefix!r} is no short word of lower-case letters")
        for name, value, most in (("leaves", leaves, 100), ("spines", spines, 100),
                                  ("hosts_per_leaf", hosts_per_leaf, 100),
                                  ("rate_mbit", rate_mbit, 10000), ("seed", seed, 2**31),
                                  ("hosts", leaves * hosts_per_leaf, MOST_HOSTS)):
            if not 1 <= value <= most:
                raise Error(f"{name} is {value}, must be 1 to {most}")
        self.leaves, self.spines, self.hosts_per_leaf = leaves, spines, hosts_per_leaf
        self.rate_mbit, self.seed, self.symmetric, self.prefix = rate_mbit, seed, symmetric, prefix

    def hosts(self):
        return [f"h{n}" for n in range(1, self.leaves * self.hosts_per_leaf + 1)]

    def place(self, host):
        """(leaf, index below it) of a host."""
        n = int(host[1:]) if re.fullmatch("h[0-9]+", host) else 0
        if not 1 <= n <= self.leaves * self.hosts_per_leaf:
            raise Error(f"no host {host!r} in this bed")
        return (n - 1) // self.hosts_per_leaf + 1, (n - 1) % self.hosts_per_leaf + 1

    def leaf_of(self, host):
        return self.place(host)[0]

    def address(self, host):
        """The host's address on the fabric."""
        leaf, k = self.place(host)
        return f"10.77.{leaf}.{2 * k + 1}"

    def management(self, node):
        """The address that the node's name stands for."""
        return "10.79.0.254" if node == "mgmt" else f"10.79.0.{int(node[1:])}"

    def nodes(self):
        return [*(f"leaf{i}" for i in self.leaf_numbers()),
                *(f"spine{i}" for i in self.spine_numbers()), "mgmt", *self.hosts()]

    def switch_addresses(self):
        """Switch → the addresses its interfaces have: how a hop that a probe saw is named."""
        found = {f"leaf{leaf}": [] for leaf in self.leaf_numbers()}
        for host in self.hosts():
            leaf, k = self.place(host)
            found[f"leaf{leaf}"].append(f"10.77.{leaf}.{2 * k}")
        for leaf in self.leaf_numbers():
            found[f"leaf{leaf}"] += [f"10.78.{s}.{2 * leaf}" for s in self.spine_numbers()]
        for spine in self.spine_numbers():
            found[f"spine{spine}"] = [f"10.78.{spine}.{2 * i + 1}" for i in self.leaf_numbers()]
        return found

    def leaf_numbers(self):
        return range(1, self.leaves + 1)

    def spine_numbers(self):
        return range(1, self.spines + 1)

    def namespace(self, node):
        return f"{self.prefix}-{node}"

    def yaml(self, path=None):
        """The fabric as c4.fabric/v1 (planner/FORMATS.md), of its nominal state; written to path
        if given."""
        text = ["schema: c4.fabric/v1", "hosts:"]
        for host in self.hosts():
            text.append(f"- {{name: {host}, nics: [{{name: eth0, leaf: leaf{self.leaf_of(host)}, "
                        f"ipv4: {self.address(host)}}}]}}")
        text += ["leaves:", *(f"- leaf{i}" for i in self.leaf_numbers())]
        text += ["spines:", *(f"- spine{i}" for i in self.spine_numbers())]
        text.append("switches:")
        for name, addresses in self.switch_addresses().items():
            text.append(f"- {{name: {name}, addresses: [{', '.join(addresses)}]}}")
        text.append("links:")
        text += [f"- {{a: leaf{leaf}, b: spine{spine}, gbps: {self.rate_mbit / 1000:g}}}"
                 for leaf in self.leaf_numbers() for spine in self.spine_numbers()]
        whole = "\n".join(text) + "\n"
        if path is not None:
            Path(path).write_text(whole)
        return whole
