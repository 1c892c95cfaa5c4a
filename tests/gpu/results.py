# SPDX-License-Identifier: BSD-3-Clause
"""What tests/gpu/run.py has found so far: a row per step, written down as soon as it is known.

RESULTS.md and results.json are complete after every row, so that a run that is cut short has told
what it knew; --continue takes a results.json up again and leaves out what is known.
"""

import json
import os
import shutil
import tarfile
from pathlib import Path

from machine import HERE, REPO

RECORDED = REPO / "tests" / "nccl" / "streams" / "recorded"
GROUPS = {
    "verdicts": ("Verdicts", ("case", "expected", "c4 said", "as expected")),
    "overhead": ("Overhead: median time of a step with the plugin, by that without, in pairs",
                 ("case", "plugin", "ratio", "range", "pairs")),
    "records": ("Recordings", ("case", "events", "size")),
}
UNKNOWN = ("left out", "failed", "no pair")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


class Results:
    """rows: {group: {name of a step: [row, …]}}."""

    def __init__(self, args, versions):
        self.rows = {group: {} for group in GROUPS}
        self.versions = versions
        self.out = os.environ.get("C4_GPU_OUT")
        self.kept = not args.pretend and (not args.only or args.resume)
        if args.resume:
            self.take_up(json.loads(Path(args.resume).read_text()))

    def take_up(self, before):
        for group in GROUPS:
            self.rows[group].update(before.get(group, {}))

    def known(self, group, name):
        """Whether an earlier run has settled it."""
        rows = self.rows[group].get(name)
        return bool(rows) and not any(str(cell).startswith(UNKNOWN) for row in rows for cell in row)

    def put(self, group, name, rows):
        self.rows[group][name] = [list(map(str, row)) for row in rows]
        self.write()

    def wrong(self):
        """Steps that went against expectation, or did not go."""
        bad = [name for name, rows in self.rows["verdicts"].items()
               if any(row[3] == "**no**" for row in rows)]
        return bad + [name for group in self.rows.values() for name, rows in group.items()
                      if any(str(cell).startswith("failed") for row in rows for cell in row)]

    def text(self):
        parts = ["# c4 on real NCCL, one GPU",
                 "Written by `tests/gpu/run.py`; each rank a process with its own `NCCL_HOSTID`, "
                 "NET/Socket over the loopback.", table(("what", ""), self.versions.items())]
        for group, (title, head) in GROUPS.items():
            rows = [row for rows in self.rows[group].values() for row in rows]
            if rows:
                parts += [f"## {title}", table(head, rows)]
        return "\n\n".join(parts) + "\n"

    def write(self):
        places = [HERE] if self.kept else []
        places += [Path(self.out)] if self.out else []
        for place in places:
            for name, text in (("RESULTS.md", self.text()), ("results.json", json.dumps(
                    {"versions": self.versions, **self.rows}, indent=1) + "\n")):
                if place != HERE or name == "RESULTS.md":
                    (place / f".{name}").write_text(text)
                    (place / f".{name}").rename(place / name)

    def keep_recording(self, name, place, pretend):
        """Where the replay tests look; and, as a file of its own, where results go."""
        if not pretend:
            shutil.rmtree(RECORDED / name, ignore_errors=True)
            shutil.copytree(place, RECORDED / name)
        if self.out:
            with tarfile.open(Path(self.out) / f"recorded-{name}.tar.gz", "w:gz") as archive:
                archive.add(place, arcname=f"tests/nccl/streams/recorded/{name}")
