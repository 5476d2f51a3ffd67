# SPDX-License-Identifier: Apache-2.0
"""One build of ckptbench over several versions of UCX, in turns.

Usage: ucx_versions.py [--bin build/release/bin] [--mib 256] [--rounds 5] [--check]
                       [--case raw|cycle] [--transport ucx:tcp] [VERSION...]

The first column is the UCX of the distribution; VERSIONs are of scripts/ucx_wheels (default: 1.18.1
and the newest). Each round runs every version once, beginning with another each time, and a
version's ratio is the median of its ratios to the distribution's in the same round: on a machine
with other work that holds better than a speed. What is compared is a transport's reads (raw), or
what is left of a save after its stall, to CONSISTENT (cycle). Exits 1 with --check when a ratio is
below the bar: 0.85 over TCP, 0.95 over shared memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BARS = {"ucx:tcp": 0.85, "ucx:shm": 0.95}
OWN = "distribution"
FIGURES = {"raw": ("raw_read", 3), "cycle": ("replicate", 3)}  # and the turns of one run


def library(version):
    """The folder of a version's libraries; None for the distribution's."""
    if version == OWN:
        return None
    run = subprocess.run([os.path.join(TOP, "scripts/ucx_env.sh"), version], text=True,
                         stdout=subprocess.PIPE, check=False)
    if run.returncode != 0:
        sys.exit(run.stdout.strip())
    return run.stdout.strip()


def measure(options, folder, transport):
    """The library that ran, GB/s and CPU seconds a GB of one run."""
    figure, turns = FIGURES[options.case]
    environment = dict(os.environ)
    if folder:
        environment["LD_LIBRARY_PATH"] = folder
    run = subprocess.run([os.path.join(options.bin, "ckptbench"), options.case,
                          f"--transport={transport}", f"--bytes={options.mib}MiB",
                          f"--repeat={turns}", "--json=-"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
                         check=True)
    result = json.loads(run.stdout)
    return (result["environment"]["ucx"], result[figure + "_gbps"],
            result[figure + "_cpu_s_per_gb"])


def compare(options, transport, folders):
    """Prints a line a version; returns whether all ratios are above the bar."""
    names, speeds, costs = {}, {v: [] for v in folders}, {v: [] for v in folders}
    versions = list(folders)
    for turn in range(options.rounds):
        first = turn % len(versions)
        for version in versions[first:] + versions[:first]:
            names[version], speed, cost = measure(options, folders[version], transport)
            speeds[version].append(speed)
            costs[version].append(cost)
    good = True
    for version in versions:
        ratio = statistics.median(a / b for a, b in zip(speeds[version], speeds[OWN]))
        cost = statistics.median(a / b for a, b in zip(costs[version], costs[OWN]))
        good = good and ratio >= BARS.get(transport, 0)
        print(f"{options.case:5} {transport:8} UCX {names[version]:8} "
              f"{statistics.median(speeds[version]):6.2f} GB/s "
              f"{statistics.median(costs[version]):5.2f} CPU s/GB   speed {ratio:4.2f}, "
              f"CPU {cost:4.2f} of the distribution's", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bin", default=os.path.join(TOP, "build/release/bin"))
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", choices=FIGURES, default="raw")
    parser.add_argument("--transport", action="append")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("versions", nargs="*", default=["1.18.1", "newest"])
    options = parser.parse_args()
    folders = {version: library(version) for version in [OWN] + options.versions}
    results = [compare(options, transport, folders)
               for transport in options.transport or list(BARS)]
    return 1 if options.check and not all(results) else 0


if __name__ == "__main__":
    sys.exit(main())
