#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bandwidth.py BENCHMARK - reads over one Soft-RoCE device, by ours and by perftest's ib_read_bw.

Same size (1 MiB), same depth (16), two queue pairs each, in turn, in one machine of vm.py. Prints
both and their ratio; fails only when ours does not run. Skipped where perftest does not."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import time

ROUNDS = 7
BUDGET_S = 120  # no round is begun after it
MIB = 64


def ours(benchmark):
    words = [benchmark, "verbs:rxe0", "1024", "16", str(MIB), "16"]
    text = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    return float(re.search(r": +([0-9.]+) GB/s", text).group(1)) * 1e3


def perftest():
    """MB/s; 0 when it measured nothing. Its two queue pairs share the depth, as ours do."""
    words = "ib_read_bw -d rxe0 -R -q 2 -s 1048576 -t 8 -o 8 -F".split() + ["-n", str(MIB // 2)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        time.sleep(2)
        try:
            text = subprocess.run(
                words + ["10.77.0.1"], check=True, capture_output=True, text=True, timeout=20
            ).stdout
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"ib_read_bw: {error}", flush=True)
            return 0.0
        finally:
            server.kill()
    line = next(line for line in text.splitlines() if line.split()[:1] == ["1048576"])
    return float(line.split()[3]) * (1 << 20) / 1e6


def turn(benchmark, number):
    """One after the other, and every second time the other one first."""
    if number % 2 == 0:
        theirs = perftest()
        return theirs, ours(benchmark)
    own = ours(benchmark)
    return perftest(), own


def main():
    if os.environ.get("CKPT_VM_GUESTS") != "1":
        print("skipped: this runs in one machine of tests/vm/vm.py")
        return 77
    if shutil.which("ib_read_bw") is None:
        print("skipped: no ib_read_bw (perftest)")
        return 77
    pairs = []
    end = time.monotonic() + BUDGET_S
    for number in range(ROUNDS):
        theirs, own = turn(sys.argv[1], number)
        if theirs > 0:  # it hangs now and then
            pairs.append((theirs, own))
            print(
                f"ib_read_bw {theirs:6.1f} MB/s, verbs {own:6.1f} MB/s, ratio {own / theirs:.2f}",
                flush=True,
            )
        if time.monotonic() > end:
            break
    if not pairs:
        print("skipped: ib_read_bw measured nothing")
        return 77
    theirs, own = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(own / theirs for theirs, own in pairs)
    best = max(own for _, own in pairs) / max(theirs for theirs, _ in pairs)
    print(
        f"medians of {len(pairs)} rounds: ib_read_bw {theirs:.1f}, verbs {own:.1f} MB/s, "
        f"ratio {ratio:.2f}; of the best {best:.2f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
