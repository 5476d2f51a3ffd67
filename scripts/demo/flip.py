# SPDX-License-Identifier: Apache-2.0
"""Flips one bit of a shard's copy in an agent's memory, as a bad memory module would.

Usage: flip.py ARENA SHARD    finds the segment of ARENA that holds the beginning of SHARD's bytes,
                              or the part of one, where a small shard is
"""
import glob
import os
import sys

BLOCK = 4096


def main():
    arena, shard = sys.argv[1:]
    segments = sorted(path for kind in ("segment", "part")
                      for path in glob.glob(os.path.join(arena, kind + "-[0-9]*")))
    middle = min(os.path.getsize(shard), os.path.getsize(segments[0])) // 2
    with open(shard, "rb") as file:
        file.seek(middle)
        block = file.read(BLOCK)
    found = 0
    for path in segments:
        with open(path, "r+b") as file:
            file.seek(middle)
            if file.read(BLOCK)[:len(block)] != block:
                continue
            file.seek(middle)
            file.write(bytes([block[0] ^ 1]))
            found += 1
            print(f"{os.path.basename(path)}, byte {middle}: "
                  f"0x{block[0]:02x} is now 0x{block[0] ^ 1:02x}")
    if not found:
        sys.exit(f"no segment of {arena} holds the bytes of {shard}")


if __name__ == "__main__":
    main()
