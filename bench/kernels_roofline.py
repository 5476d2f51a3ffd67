#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kernels_roofline.py FOLDER [GPU] - what the kernels' compiled instructions allow at best.

FOLDER has the cubins of a build (build/dev/kernels); GPU is a compute capability, 90 by default.
Needs nvdisasm (of CUDA's toolkit, or NVDISASM=path). Prints each kernel's loops with their
instructions by the unit that executes them, and for the loops that move the data how many bytes a
second a chip can do by each unit. Nothing is run: latencies, conflicts and caches are not in it.
Exit status: 0, 1 where a loop that is known by its bytes is not found, 77 without nvdisasm.
"""

import glob
import os
import re
import shutil
import subprocess
import sys

# Multiprocessors, GHz, TB/s of memory: H200, A100, B200 as published.
CHIPS = {"90": ("H200", 132, 1.98, 4.8), "80": ("A100", 108, 1.41, 2.0),
         "100": ("B200", 148, 1.9, 8.0)}
# Results a clock and multiprocessor; all: instructions times 32 lanes.
RATES = {"ALU": 64, "FMA": 64, "shared": 32, "shuffle": 32, "all": 128}
UNITS = (
    ("FMA", r"IMAD|FFMA|FMUL|FADD"),
    ("shuffle", r"SHFL"),
    ("shared", r"LDS|STS|LDSM"),
    ("global", r"LDG|STG|LD|ST|ATOMG|RED|REDG|LDGSTS"),
    ("other", r"BRA|BSSY|BSYNC|BAR|NOP|EXIT|WARPSYNC|DEPBAR|LDGDEPBAR|CALL|RET|ULDC|LDC|LDCU|S2R|"
              r"S2UR|CS2R|R2UR|U\w+"),
)
# How the loops that move the data are found, and how often a byte crosses memory's wires.
DATA = {"blake3_chunks<true>": ("blake3", 1), "fingerprint_chunks<true,false>": ("vectors", 1),
        "fingerprint_chunks<true,true>": ("vectors", 1), "count_not_finite": ("vectors", 1),
        "copy_tensors<true>": ("vectors", 2), "copy_tensors<false>": ("vectors", 2)}

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../tests/unit/kernels"))
from budget import plain  # noqa: E402


class Loop:
    """Instructions from begin to end; `own` are those of no loop within."""

    def __init__(self, begin, end):
        self.begin, self.end, self.inner, self.own = begin, end, [], []

    def count(self, unit):
        return sum(unit in ("all", unit_of(text)) for text in self.own)

    def wide(self, pattern):
        return sum(bool(re.search(pattern + r"[\w.]*\.128", text)) for text in self.own)


def unit_of(text):
    name = re.sub(r"^@!?U?P\w+ +", "", text).split()[0].split(".")[0]
    for unit, pattern in UNITS:
        if re.fullmatch(pattern, name):
            return unit
    return "ALU"


def functions(listing):
    """Of each kernel: its instructions, and where each label stands."""
    code, labels, name = [], {}, None
    for line in listing.splitlines():
        head = re.match(r"\.text\.(\w+):", line)
        if head:
            if name:
                yield name, code, labels
            code, labels, name = [], {}, head.group(1)
        label = re.match(r"\.(L_x_\d+):", line)
        if label:
            labels[label.group(1)] = len(code)
        found = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+([^.].*?) ;", line)
        if found and name:
            code.append(found.group(1).strip())
    if name:
        yield name, code, labels


def loops(code, labels):
    """The outermost ones of the function's, with those within; the function itself is the first."""
    whole = Loop(0, len(code) - 1)
    found = {}
    for at, text in enumerate(code):
        target = re.search(r"BRA.*`\(\.(L_x_\d+)\)", text)
        if target and labels[target.group(1)] <= at:
            begin = labels[target.group(1)]
            if begin < at:
                found[begin] = max(at, found.get(begin, 0))
    every = [whole] + [Loop(begin, found[begin]) for begin in sorted(found)]
    for at, text in enumerate(code):
        if text.startswith("NOP"):
            continue
        within = [loop for loop in every if loop.begin <= at <= loop.end]
        min(within, key=lambda loop: loop.end - loop.begin).own.append(text)
    for loop in every[1:]:
        around = [other for other in every if other is not loop and
                  other.begin <= loop.begin and loop.end <= other.end]
        min(around, key=lambda other: other.end - other.begin).inner.append(loop)
    return whole


def show(loop, depth):
    counts = "".join(f"{loop.count(unit):6}" for unit in
                     ("all", "ALU", "FMA", "shared", "global", "shuffle"))
    print(f"  {'  ' * depth + f'{loop.begin}-{loop.end}':16}{counts}")
    for inner in loop.inner:
        show(inner, depth + 1)


def total(parts, unit):
    return sum(times * loop.count(unit) for times, loop in parts)


def blake3(whole):
    """A leaf of 1024 bytes by a thread: sixteen blocks, eight pieces, 7/8 of a parent."""
    leaf = next(loop for loop in whole.inner if any(inner.inner for inner in loop.inner))
    piece = next(loop for loop in leaf.inner if loop.inner)
    join = next(loop for loop in leaf.inner if not loop.inner)
    block = piece.inner[0]
    if block.wide("LDS") != 4 or piece.wide("LDGSTS|LDG") != 8:
        return None
    return 1024, [(16, block), (8, piece), (1, leaf), (7 / 8, join)]


def vectors(whole):
    """Four loads of 16 bytes by a lane, whatever is done with them. Loops within are of what is
    rare, and so are some of its own instructions where NaNs and infinities are counted."""
    for loop in whole.inner:
        found = vectors(loop)
        if found:
            return found
        if loop.wide("LDG") == 4 and loop.wide("STG") in (0, 4):
            return 64, [(1, loop)]
    return None


def bounds(name, whole, chip):
    _, processors, ghz, memory = chip
    how, crossings = DATA[name]
    found = {"blake3": blake3, "vectors": vectors}[how](whole)
    if found is None:
        print("  its loops are not the ones that are known")
        return False
    data, parts = found
    text = []
    for unit, rate in RATES.items():
        clocks = total(parts, unit) / rate
        if clocks > 0:
            text.append(f"{unit} {data / clocks * processors * ghz / 1000:.2f}")
    counts = ", ".join(f"{total(parts, unit) * 64 / data:.0f} {unit}" for unit in RATES)
    print(f"  for 64 bytes: {counts}")
    print(f"  {chip[0]} at most, TB/s: {', '.join(text)}, memory {memory / crossings}")
    return True


def main():
    tool = os.environ.get("NVDISASM") or shutil.which("nvdisasm")
    gpu = sys.argv[2] if len(sys.argv) > 2 else "90"
    if not tool:
        print("no nvdisasm: it is in CUDA's toolkit")
        return 77
    right, met = True, set()
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.kept", f"*_{gpu}.cubin"))):
        listing = subprocess.run([tool, path], check=True, capture_output=True, text=True).stdout
        for name, code, labels in functions(listing):
            whole = loops(code, labels)
            print(f"{plain(name)}, sm_{gpu}: loops, all ALU FMA shared global shuffle")
            show(whole, 0)
            met.add(plain(name))
            if plain(name) in DATA and gpu in CHIPS:
                right &= bounds(plain(name), whole, CHIPS[gpu])
    return 0 if right and met >= DATA.keys() else 1


if __name__ == "__main__":
    sys.exit(main())
