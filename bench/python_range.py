#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a reader waits for one tensor of 1 MiB in a large shard: by ckpt_read_range, and by
fetching the shard, on the node that has it and on one that has nothing of it.

    build/venv/bin/python bench/python_range.py [--mib=512] [--turns=7]

One coordinator and two agents on this machine, one copy; in turns, medians. `first` also reads the
header, as the first range of a shard does.
"""

import argparse
import ctypes
import mmap
import os
import statistics
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
BIN = os.path.abspath(os.environ.setdefault("CKPT_BIN", os.path.join(ROOT, "build/release/bin")))
os.environ.setdefault("CKPT_LIBRARY", os.path.join(BIN, "../lib/libckpt.so.0"))
sys.path[:0] = [os.path.join(ROOT, "tests/integration/cluster"), os.path.join(ROOT, "python")]

import ckptd  # noqa: E402  (needs the path above, as the next)
import cluster as clusters  # noqa: E402

MIB = 1 << 20
NAME = "wanted"


class _Case:
    """What the harness of the integration tests expects of a test."""

    def __init__(self):
        self.cleanups = []

    def addCleanup(self, function):
        self.cleanups.append(function)

    def has_failed(self):
        return False


def save(socket, mib):
    """A shard of so many tensors of 1 MiB; returns what the wanted one has."""
    memory = mmap.mmap(-1, mib * MIB)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    memory[:] = os.urandom(MIB) * mib
    names = [NAME if place == mib // 2 else f"tensor.{place}" for place in range(mib)]
    table = ckptd.Table([ckptd.Tensor(name, "U8", (MIB,), address + place * MIB, MIB)
                         for place, name in enumerate(names)])
    with ckptd.Context("bench", socket=socket, copies=1) as context:
        context.save(1, table)
        context.wait(1, 120)
    return memory[mib // 2 * MIB:(mib // 2 + 1) * MIB]


def timed(function):
    begin = time.perf_counter()
    data = function()
    return time.perf_counter() - begin, data


def fetched(context):
    with context.fetch(0, 1) as shard:
        return bytes(shard.data(NAME))


def turn(socket, wanted):
    """Seconds of (the first range, another, a whole fetch); each must be the bytes that were saved.
    """
    with ckptd.Context("bench", socket=socket, reader=True) as context:
        ways = {"first": lambda: context.read_range(0, NAME, 0, MIB, 1).data,
                "range": lambda: context.read_range(0, NAME, 0, MIB, 1).data,
                "fetch": lambda: fetched(context)}
        found = {}
        for name, way in ways.items():
            found[name], data = timed(way)
            if bytes(data) != wanted:
                raise SystemExit(f"{name}: other bytes than those that were saved")
        is_whole = context.read_range(0, NAME, 0, 1, 1).is_whole
    return found, is_whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=512, help="of the shard")
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    case = _Case()
    try:
        arena = f"{2 * options.mib + 64}MiB"
        cluster = clusters.Cluster(case, agents=2, agent={"arena-bytes": arena}).start()
        wanted = save(cluster.agents[0].socket, options.mib)
        for where, agent in zip(("where it is", "from a peer"), cluster.agents):
            turns = [turn(agent.socket, wanted) for _ in range(options.turns)]
            times = {name: statistics.median(found[name] for found, _ in turns)
                     for name in ("first", "range", "fetch")}
            print(f"{where}: first {1e3 * times['first']:.2f} ms, range "
                  f"{1e3 * times['range']:.2f} ms, fetch {1e3 * times['fetch']:.2f} ms, "
                  f"range / fetch {times['range'] / times['fetch']:.4f}"
                  + (", the whole was moved for the range" if turns[-1][1] else ""), flush=True)
    finally:
        for function in reversed(case.cleanups):
            function()


if __name__ == "__main__":
    main()
