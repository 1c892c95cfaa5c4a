# SPDX-License-Identifier: BSD-3-Clause
"""One rank of a real PyTorch DDP training, for tests/gpu/run.py; all ranks may share one GPU, each
with a NCCL_HOSTID of its own.

    RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT; ddp.py MEETING SECONDS [LATE_RANK:AT:MS]
"""

import json
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

WIDTH = 2048
WARM_UP = 5


def main():
    meeting, seconds = Path(sys.argv[1]), float(sys.argv[2])
    late_rank, late_at, late_ms = (float(x) for x in (sys.argv[3] if len(sys.argv) > 3 else
                                                      "-1:0:0").split(":"))
    rank = int(os.environ["RANK"])
    torch.cuda.set_device(0)
    dist.init_process_group("nccl")
    (meeting / f"pid-{rank}").write_text(f"{os.getpid()}\n")
    torch.manual_seed(rank)
    layers = [layer for _ in range(4) for layer in (torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU())]
    model = DistributedDataParallel(torch.nn.Sequential(*layers).cuda(), device_ids=[0])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    batch = torch.randn(256, WIDTH, device="cuda")
    over = torch.zeros(1, device="cuda")
    took, began = [], time.monotonic()
    while True:
        t = time.monotonic()
        if rank == late_rank and t - began >= late_at:
            time.sleep(late_ms / 1e3)
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
        torch.cuda.synchronize()
        took.append((time.monotonic() - t) * 1e3)
        if len(took) % 20:
            continue
        over.fill_(float(t - began > seconds))  # all ranks end at the same step
        dist.all_reduce(over)
        if over.item():
            break
    took = sorted(took[WARM_UP:])
    (meeting / f"times-{rank}.json").write_text(json.dumps({
        "nccl": ".".join(map(str, torch.cuda.nccl.version())), "steps": len(took),
        "mean_ms": sum(took) / len(took), "median_ms": took[len(took) // 2],
        "p95_ms": took[-1 - len(took) // 20]}))
    dist.destroy_process_group()


main()
