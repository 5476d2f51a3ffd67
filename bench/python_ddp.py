#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a save costs ranks that hold the same state: shares of it, beside all of it, in turns.

    build/venv/bin/python bench/python_ddp.py [--mib 256] [--rounds 7] [--ranks 4]

Ranks under DistributedDataParallel on two agents, on loopback. Of each way the stall of the slower
rank, the bytes that a rank stages (its shard), and the seconds until the step is consistent. Ends
with 1 when a target is missed: bytes 0.30, stall 0.35, of what they are without shares.
"""

import argparse
import os
import statistics
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
os.environ.setdefault("CKPT_BIN", os.path.join(ROOT, "build/release/bin"))
os.environ.setdefault("CKPT_LIBRARY", os.path.join(os.environ["CKPT_BIN"], "../lib/libckpt.so.0"))
os.environ["PYTHONPATH"] = os.path.join(ROOT, "python")
sys.path[:0] = [os.path.join(ROOT, folder) for folder in
                ("python/tests", "python", "tests/integration/cluster")]

BARS = (("bytes staged by a rank", 0.30), ("stall of the slower rank", 0.35))
TENSORS = 32


def rank_main(rank, world, say, *, mib, rounds, sockets):
    import torch
    import torch.distributed as distributed
    from torch.nn.parallel import DistributedDataParallel

    import ckptd

    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[rank % len(cpus)]})
    # With AdamW's two tensors a parameter: a third of the bytes are the model's.
    side = max(8, int((mib * 2**20 / 3 / TENSORS / 4) ** 0.5))
    model = DistributedDataParallel(torch.nn.ParameterList(
        [torch.randn(side, side) for _ in range(TENSORS)]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    ways = {}
    for name, share in (("all of it", False), ("shares", True)):
        checkpoint = ckptd.attach(model, optimizer, run=f"ddp/{share}", attempt=1, share=share,
                                  resume=False, socket=sockets[rank % len(sockets)], timeout=60)
        ways[name] = [checkpoint, [], [], 0]
    for step in range(1, rounds + 3):
        for way in ways.values():
            distributed.barrier()
            began = time.perf_counter()
            handle = way[0].save(step)
            stall = time.perf_counter() - began
            handle.consistent(120)
            if step > 2:  # the first two touch the slots' memory
                way[1].append(stall)
                way[2].append(time.perf_counter() - began)
    for way in ways.values():
        with way[0].context_or_raise().fetch(rank) as shard:
            way[3] = shard.bytes
        way[0].close()
    return {name: way[1:] for name, way in ways.items()}


class Case:
    def __init__(self):
        self.cleanups = []

    def addCleanup(self, function):
        self.cleanups.append(function)

    def has_failed(self):
        return False


def measure(options):
    import cluster as clusters
    import ranks

    case = Case()
    try:
        room = f"{options.ranks * options.mib * 5 + 256}MiB"
        cluster = clusters.Cluster(case, agents=2, agent={"arena-bytes": room}).start()
        return ranks.Job(options.ranks, rank_main, mib=options.mib, rounds=options.rounds,
                         sockets=[agent.socket for agent in cluster.agents]).wait(550)
    finally:
        for function in reversed(case.cleanups):
            function()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=256, help="of state a rank holds")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ranks", type=int, default=4)
    options = parser.parse_args()
    results = measure(options)
    print(f"{options.ranks} ranks with {options.mib} MiB each, {os.cpu_count()} CPUs, load "
          f"{os.getloadavg()[0]:.1f}; medians of {options.rounds}, the slower rank")
    found = {}
    for name in results[0]:
        stalls = [max(one) for one in zip(*(result[name][0] for result in results))]
        until = [max(one) for one in zip(*(result[name][1] for result in results))]
        size = max(result[name][2] for result in results)
        found[name] = (size, statistics.median(stalls))
        print(f"{name:12} {size / 2**20:8.1f} MiB a rank   stall {found[name][1] * 1e3:7.1f} ms "
              f"(best {min(stalls) * 1e3:.1f})   consistent after {statistics.median(until):.2f} s")
    missed = 0
    for place, (text, most) in enumerate(BARS):
        ratio = found["shares"][place] / found["all of it"][place]
        missed += ratio > most
        print(f"{'met' if ratio <= most else 'MISSED':7} {ratio:.2f}  at most {most:.2f}  {text}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
