#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a scrub costs: how many cores it takes, and what it does to the stall of a save.

Usage: scrub.py [--bin build/release/bin] [--bytes 1GiB] [--stall-bytes 256MiB] [--turns 3]
                [--check] [--json FILE]

core    one shard of so many bytes is imported at one of two agents that scrub each 4 s and do
        nothing else; the CPU time of each agent's digest threads over the wall time, in windows of
        200 ms, and what they prove a CPU second. Target: no window above 1 core (and one tick)
stall   `ckptbench cycle` with agents whose scrubs are overdue all the time (a period of 1 s), which
        is the worst that they can be, and with such that never scrub, turn about; the ratio of the
        medians of save_gbps. Target: at most 1.05
Exits 1 where, with --check, a target is missed.
"""

import argparse
import json
import os
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
WINDOW_S = 0.2
PERIOD_S = 4


def size(text):
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return int(float(text[:-3]) * factor)
    return int(text)


def write_shard(path, count):
    header = json.dumps({"weights": {"dtype": "U8", "shape": [count],
                                     "data_offsets": [0, count]}}).encode()
    header += b" " * (-len(header) % 8)
    block = os.urandom(1 << 20)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for left in range(count, 0, -len(block)):
            file.write(block[:left])


def digest_ticks(pid):
    """CPU ticks of the threads that digest, so far."""
    ticks = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="utf-8") as file:
            name, _, rest = file.read().partition(") ")
        if name.endswith("(digest"):
            fields = rest.split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks


class Site:
    """A coordinator and two agents that scrub each few seconds, in a folder of shared memory."""

    def __init__(self, programs, count):
        self.programs = programs
        self.folder = tempfile.TemporaryDirectory(prefix="ckptd-scrub-", dir="/dev/shm")
        self.coordinator = self.start(
            "ckptctld", "--listen=127.0.0.1:0", f"--socket={self.path('c.sock')}",
            f"--state-directory={self.path('state')}")
        address = self.ready("ckptctld")["address"]
        arena = count + (512 << 20)
        self.agents = [
            self.start("ckptd", f"--node=n{i}", f"--coordinator={address}", "--listen=127.0.0.1:0",
                       f"--socket={self.path(f'n{i}.sock')}", "--transport=ucx:tcp",
                       f"--arena-directory={self.path(f'arena{i}')}", f"--arena-bytes={arena}",
                       f"--scrub-period={PERIOD_S}s", name=f"n{i}")
            for i in range(2)]
        for i in range(2):
            self.ready(f"n{i}")

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def start(self, program, *arguments, name=None):
        with open(self.path(f"{name or program}.log"), "wb") as log:
            return subprocess.Popen([os.path.join(self.programs, program), "--config=/dev/null",
                                     *arguments], stdout=log, stderr=log)

    def ready(self, name):
        ends = time.monotonic() + 120
        while time.monotonic() < ends:
            with open(self.path(f"{name}.log"), encoding="utf-8", errors="replace") as log:
                for line in log:
                    if "event=ready " in line:
                        return dict(word.split("=", 1) for word in line.split() if "=" in word)
            time.sleep(0.1)
        raise RuntimeError(f"{name} does not get ready")

    def ctl(self, *arguments):
        return subprocess.run(
            [os.path.join(self.programs, "ckptctl"), *arguments,
             f"--coordinator={self.path('c.sock')}", f"--socket={self.path('n0.sock')}"],
            check=True, capture_output=True, text=True).stdout

    def end(self):
        for process in [*self.agents, self.coordinator]:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        self.folder.cleanup()


def measure_core(programs, count):
    site = Site(programs, count)
    try:
        write_shard(site.path("shard"), count)
        site.ctl("import", "scrubbed", "1", site.path("shard"), "--wait")
        os.unlink(site.path("shard"))
        time.sleep(1)
        before = [digest_ticks(agent.pid) for agent in site.agents]
        last, began, most = list(before), time.monotonic(), 0.0
        rounds = 5
        while time.monotonic() < began + rounds * PERIOD_S:
            at = time.monotonic()
            time.sleep(WINDOW_S)
            now = [digest_ticks(agent.pid) for agent in site.agents]
            wall = time.monotonic() - at
            most = max(most, *((n - l) * TICK_S / wall for n, l in zip(now, last)))
            last = now
        spent = [(n - b) * TICK_S for n, b in zip(last, before)]
        # Each copy is due when three quarters of the period have passed.
        proven = (time.monotonic() - began) / (0.75 * PERIOD_S) * count
        return {"bytes": count, "cores_most": most, "cpu_s": spent,
                "gb_a_cpu_s": [proven / 1e9 / s if s else None for s in spent]}
    finally:
        site.end()


def save_gbps(programs, count, flags):
    done = subprocess.run(
        [os.path.join(programs, "ckptbench"), "cycle", f"--bytes={count}", "--repeat=5",
         "--small-repeat=1", f"--agent-flags={flags}", "--json=-"],
        check=True, capture_output=True, text=True)
    return find(json.loads(done.stdout), "save_gbps")


def find(document, name):
    """The median of a result, wherever it stands in the report."""
    if isinstance(document, dict):
        if name in document:
            value = document[name]
            return value["median"] if isinstance(value, dict) else value
        document = list(document.values())
    if isinstance(document, list):
        for entry in document:
            value = find(entry, name)
            if value is not None:
                return value
    return None


def measure_stall(programs, count, turns):
    speeds = {"never": [], "always": []}
    for _ in range(turns):
        speeds["never"].append(save_gbps(programs, count, "--scrub-period=0"))
        speeds["always"].append(save_gbps(programs, count, "--scrub-period=1s"))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    ratio = medians["never"] / medians["always"]
    return {"bytes": count, "save_gbps": speeds, "stall_ratio": ratio}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--bytes", type=size, default="1GiB")
    parser.add_argument("--stall-bytes", type=size, default="256MiB")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    result = {"core": measure_core(options.bin, options.bytes),
              "stall": measure_stall(options.bin, options.stall_bytes, options.turns)}
    print(json.dumps(result, indent=2))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
    most, ratio = result["core"]["cores_most"], result["stall"]["stall_ratio"]
    is_met = most <= 1 + TICK_S / WINDOW_S + 0.02 and ratio <= 1.05
    sys.exit(1 if options.check and not is_met else 0)


main()
