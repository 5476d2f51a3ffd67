# SPDX-License-Identifier: Apache-2.0
"""ckptd's transport and its peers', moving the same bytes between two processes, in turns.

Usage: peers.py [--mib 256] [--rounds 5] [--only TEXT] [--check] [--json FILE] [--markdown FILE]
                [--svg FILE] [--device NAME]

In every round every contender is started anew, reads once that does not count, and then three
times; a round's number is the median. The table has the median over the rounds, its least and most,
the CPU seconds of both processes a GB, and whether the bytes were proven. Each contender is set as
its own documentation says is best here; the column `set to` names it. Needs a release build and
what `scripts/layered_env.sh beside` makes: run it with that folder's bin/python. Exits 1 when a
contender's bytes were wrong, or with --check when a target is missed or cannot be formed.
"""

import argparse
import json
import os
import platform
import statistics
import sys

from moving import contenders, picture

MIB = 1 << 20
READS = 3
TARGETS = (  # ours, theirs, at least so many times
    (("ckptbench raw", contenders.TCP), ("NIXL 1.5.1 READ", contenders.TCP), 4.0),
    (("ckptbench raw", contenders.TCP), ("Mooncake 0.3.13 read", contenders.TCP), 1.8),
    (("ckptbench raw", contenders.MEMORY), ("NIXL 1.5.1 READ", contenders.MEMORY), 1.6),
)


def turn(contender, count):
    """One round of one contender: GB/s and CPU s/GB. RuntimeError: it cannot."""
    pair = contender.make(count)
    try:
        pair.read()
        reads = [pair.read() for _ in range(READS)]
        if contender.moved == 1 and not pair.is_right():
            raise AssertionError(f"{contender.name}, {contender.medium}: other bytes arrived")
    finally:
        pair.close()
    moved_gb = count * contender.moved / 1e9
    return (moved_gb / statistics.median(seconds for seconds, _ in reads),
            statistics.median(cpu for _, cpu in reads) / moved_gb)


def measure(wanted, count, rounds):
    """Rows in the order of the contenders; one that failed has the reason in `failed`."""
    seen = {contender: [] for contender in wanted}
    failed = {}
    for number in range(rounds):
        for contender in wanted:
            print(f"\rround {number + 1} of {rounds}: {contender.name}, {contender.medium:40}",
                  end="", file=sys.stderr, flush=True)
            try:
                seen[contender].append(turn(contender, count))
            except (RuntimeError, OSError, EOFError) as error:
                failed[contender] = str(error).splitlines()[0][:160]
    print(file=sys.stderr)
    return [row_of(contender, seen[contender], failed.get(contender)) for contender in wanted]


def row_of(contender, turns, failed):
    row = {"name": contender.name, "medium": contender.medium, "setting": contender.setting,
           "proof": contender.proof, "note": contender.note, "failed": failed or ""}
    if turns and not failed:
        speeds = [speed for speed, _ in turns]
        row.update(gbps=statistics.median(speeds), least=min(speeds), most=max(speeds),
                   cpu_s_per_gb=statistics.median(cpu for _, cpu in turns), samples=speeds)
    return row


def judge(rows):
    """Lines, and whether every target was met by each of our rows of that name."""
    lines, met = [], True
    for ours, theirs, times in TARGETS:
        mine = [row for row in rows if (row["name"], row["medium"]) == ours]
        other = [row for row in rows if (row["name"], row["medium"]) == theirs]
        if not mine and not other:
            continue
        if not mine or not other or any(row["failed"] for row in mine + other):
            lines.append(f"{ours[0]} of {theirs[0]}, {ours[1]}: not formed")
            met = False
            continue
        for row in mine:
            ratio = row["gbps"] / other[0]["gbps"]
            met = met and ratio >= times
            lines.append(f"{ours[0]} ({row['setting']}) of {theirs[0]}, {ours[1]}: {ratio:.2f}, "
                         f"target {times:.1f}: {'met' if ratio >= times else 'MISSED'}")
    return lines, met


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="contenders whose name or way has this text")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--device", help="an RDMA device: only those that read by it")
    for name in ("json", "markdown", "svg"):
        parser.add_argument(f"--{name}", metavar="FILE")
    options = parser.parse_args()
    everybody = (contenders.over_fabric(options.device) if options.device
                 else contenders.all_of_them())
    wanted = [c for c in everybody
              if options.only.lower() in f"{c.name} {c.medium} {c.setting}".lower()]
    title = (f"{options.mib} MiB from process to process, {cpu_name()}, {os.cpu_count()} cores, "
             f"load {os.getloadavg()[0]:.1f} at the start")
    rows = measure(wanted, options.mib * MIB, options.rounds)
    lines, met = judge(rows)
    print("\n".join([title, "", picture.text(rows), "", *lines]))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"title": title, "rounds": options.rounds, "rows": rows}, file, indent=1)
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as file:
            file.write("\n".join([title, "", picture.markdown(rows), ""]))
    if options.svg:
        picture.svg(rows, title, options.svg)
    return 0 if met or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
