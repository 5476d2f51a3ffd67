# SPDX-License-Identifier: Apache-2.0
"""What the first save after attach() costs beside the tenth, and how many page faults each meets.

Usage: python_first.py [--mib-per-rank 512] [--rounds 7] [--huge DIRECTORY] [--json FILE]

Two ranks on two agents of this machine, as python_compare.py has them, which runs this too. In each
round both attach anew and save ten times, each save waited for; the slower rank counts. CPU is the
saving thread's, which copies: load disturbs it less than the clock. Exits 1 when the first save
takes more than its bar of the tenth. Needs build/venv and a release build.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time

BAR = 1.15
SAVES = 10
KINDS = ("stall", "cpu", "faults")


def save_measured(checkpoint, step):
    """Of the slower rank: stall, CPU and page faults of this thread."""
    import torch
    import torch.distributed as distributed

    distributed.barrier()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    cpu, began = time.thread_time(), time.perf_counter()
    handle = checkpoint.save(step)
    stall, cpu = time.perf_counter() - began, time.thread_time() - cpu
    faults = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
    handle.consistent(120)
    found = torch.tensor([stall, cpu, float(faults)], dtype=torch.float64)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return dict(zip(KINDS, found.tolist()))


def first_main(rank, world, say, *, mib, rounds, socket):
    """Rounds of {"attach": seconds, "first": of save_measured(), "tenth": likewise}."""
    import python_compare
    import ckptd

    if share := sorted(os.sched_getaffinity(0))[rank::world]:
        os.sched_setaffinity(0, share)
    model, step, found = python_compare.make_model(world, mib), 0, []
    for _ in range(rounds):
        began = time.perf_counter()
        with ckptd.attach(model, run="first", resume=False, socket=socket, rank=rank, world=world,
                          timeout=60) as checkpoint:
            attached = time.perf_counter() - began
            saves = []
            for _ in range(SAVES):
                step += 1
                saves.append(save_measured(checkpoint, step))
        found.append({"attach": attached, "first": saves[0], "tenth": saves[-1]})
        if rank == 0:
            print(f"attach {attached * 1e3:.0f} ms, first save {saves[0]['stall'] * 1e3:.1f} ms, "
                  f"tenth {saves[-1]['stall'] * 1e3:.1f} ms", file=sys.stderr, flush=True)
    return found


def ratio(found, kind):
    """Of the medians."""
    first, tenth = (statistics.median(one[which][kind] for one in found)
                    for which in ("first", "tenth"))
    return first / tenth if tenth > 0 else float("inf")


def print_first(found):
    print(f"\nfirst save after attach, and tenth; medians of {len(found)} rounds, slower rank")
    for which in ("first", "tenth"):
        stall, cpu, faults = (statistics.median(one[which][kind] for one in found)
                              for kind in KINDS)
        print(f"{which:36} {stall * 1e3:9.1f} ms  CPU {cpu * 1e3:.1f} ms  {faults:.0f} page faults")
    attach = statistics.median(one["attach"] for one in found)
    print(f"{'attach':36} {attach * 1e3:9.1f} ms")
    print(f"first of tenth: stall {ratio(found, 'stall'):.2f} (bar {BAR}), "
          f"CPU {ratio(found, 'cpu'):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib-per-rank", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--huge", help="a tmpfs or hugetlbfs for the arenas, not /dev/shm")
    parser.add_argument("--json")
    options = parser.parse_args()
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import python_compare
    import cluster as clusters
    import ranks

    case = python_compare.Case()
    # Three lists a rank, for its own and for the other's shard, and some.
    agent = {"arena-bytes": f"{options.mib_per_rank * 7}MiB", "digest-threads": "2",
             "arena-segment-bytes": "64MiB", "arena-prefault-threads": "2"}
    places = {}
    if options.huge:
        folder = tempfile.mkdtemp(dir=options.huge)
        case.addCleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        places = {index: {"arena-directory": os.path.join(folder, str(index))}
                  for index in range(2)}
    try:
        cluster = clusters.Cluster(case, agents=2, agent=agent, per_agent=places,
                                   coordinator={"keep": "1"}).start()
        job = ranks.Job(2, first_main, lambda rank: {"socket": cluster.agents[rank].socket},
                        mib=options.mib_per_rank, rounds=options.rounds)
        found = job.wait(1200)[0]
    finally:
        for function in reversed(case.cleanups):
            function()
    print_first(found)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
    sys.exit(1 if ratio(found, "stall") > BAR else 0)


if __name__ == "__main__":
    main()
