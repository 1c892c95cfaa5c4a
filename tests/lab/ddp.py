#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Data-parallel training with PyTorch's own DistributedDataParallel, one process per host.

    RANK=… WORLD_SIZE=… MASTER_ADDR=… MASTER_PORT=… ddp.py [--steps N] [--width N] [--bucket-mb N]
    ddp.py --alone N        one process that does what N together would do

A student learns a random teacher's labels. All randomness has a seed, so that runs repeat.
Each rank prints one line of JSON: steps per second, and what tells whether the sums were
right: the sum of all parameters, a digest of their bits (the same on every rank), the loss, and
the result of an all-reduce of whole numbers.
"""

import argparse
import hashlib
import json
import os
import socket
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

INPUTS, CLASSES, BATCH, RATE = 64, 10, 32, 0.05


def student(width):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(INPUTS, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
                         nn.Linear(width, CLASSES))


def batches(rank, steps):
    """The samples of one rank, with the teacher's labels."""
    teacher = torch.randn(INPUTS, CLASSES, generator=torch.Generator().manual_seed(99))
    own = torch.Generator().manual_seed(1000 + rank)
    for _ in range(steps):
        samples = torch.randn(BATCH, INPUTS, generator=own)
        yield samples, (samples @ teacher).argmax(1)


def train(model, streams):
    """streams: one iterator of batches per rank that this process stands for."""
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    loss = None
    for parts in zip(*streams):
        samples, labels = (torch.cat(column) for column in zip(*parts))
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(samples), labels)
        loss.backward()
        optimiser.step()
    return loss.item()


def together(given, rank, size):
    """Trains as one rank of a job; returns what to report."""
    dist.init_process_group("gloo", rank=rank, world_size=size)
    whole = torch.tensor([rank + 1], dtype=torch.int64)
    dist.all_reduce(whole)
    model = DistributedDataParallel(student(given.width), bucket_cap_mb=given.bucket_mb)
    train(model, [batches(rank, 1)])  # connections are made, buckets ordered
    dist.barrier()
    began = time.monotonic()
    loss = train(model, [batches(rank, given.steps)])
    took = time.monotonic() - began
    dist.barrier()
    dist.destroy_process_group()
    return model, loss, took, whole.item()


def alone(given):
    model = student(given.width)
    train(model, [batches(rank, 1) for rank in range(given.alone)])
    began = time.monotonic()
    loss = train(model, [batches(rank, given.steps) for rank in range(given.alone)])
    return model, loss, time.monotonic() - began, given.alone * (given.alone + 1) // 2


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=8)
    options.add_argument("--width", type=int, default=256)
    options.add_argument("--bucket-mb", type=float, default=1)
    options.add_argument("--alone", type=int, metavar="N")
    given = options.parse_args()
    torch.set_num_threads(1)
    # Under mpirun, too.
    rank, size = (int(os.environ.get(ours, os.environ.get(mpi, default))) for ours, mpi, default in
                  (("RANK", "OMPI_COMM_WORLD_RANK", "0"),
                   ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "1")))
    model, loss, took, whole = alone(given) if given.alone else together(given, rank, size)
    values = [p.detach() for p in model.parameters()]
    bits = hashlib.sha256(b"".join(p.numpy().tobytes() for p in values)).hexdigest()[:16]
    print(json.dumps({
        "program": "ddp", "rank": rank, "ranks": size, "host": socket.gethostname(),
        "parameters": sum(p.numel() for p in values), "steps": given.steps,
        "seconds": round(took, 6), "it_per_s": round(given.steps / took, 3),
        "loss": loss, "sum": sum(p.double().sum().item() for p in values), "checksum": bits,
        "whole_sum": whole}), flush=True)


if __name__ == "__main__":
    main()
