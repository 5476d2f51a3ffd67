# SPDX-License-Identifier: Apache-2.0
"""Splits a model over ranks, as a tensor-parallel job would hold it.

Usage: split.py MODEL.safetensors RANKS FOLDER    writes FOLDER/rank-0.safetensors and so on
"""
import json
import os
import struct
import sys

HEADER_ALIGNMENT = 4096  # the data of a shard starts at a page


def read(path):
    """Header entries of a safetensors file, and where its data begins."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def deal(header, ranks):
    """Pieces (name, shape, begin, end) for each rank. A tensor larger than a rank's fair share is
    cut by rows; of the others the largest that is left goes to the rank that has least."""
    hands = [[] for _ in range(ranks)]
    loads = [0] * ranks
    total = max(entry["data_offsets"][1] for entry in header.values())

    def size(name):
        begin, end = header[name]["data_offsets"]
        return end - begin

    for name in sorted(header, key=lambda name: (-size(name), name)):
        shape, (begin, end) = header[name]["shape"], header[name]["data_offsets"]
        if size(name) * ranks > total and len(shape) > 0 and shape[0] >= ranks:
            row = size(name) // shape[0]
            cuts = [rank * shape[0] // ranks for rank in range(ranks + 1)]
            parts = [(rank, cuts[rank], cuts[rank + 1]) for rank in range(ranks)]
            pieces = [(rank, [last - first] + shape[1:], begin + first * row, begin + last * row)
                      for rank, first, last in parts]
        else:
            pieces = [(loads.index(min(loads)), shape, begin, end)]
        for rank, piece_shape, piece_begin, piece_end in pieces:
            hands[rank].append((name, piece_shape, piece_begin, piece_end))
            loads[rank] += piece_end - piece_begin
    return [sorted(hand, key=lambda piece: piece[2]) for hand in hands]


def write(path, pieces, header, source, data_start):
    entries, at = {}, 0
    for name, shape, begin, end in pieces:
        entries[name] = {"dtype": header[name]["dtype"], "shape": shape,
                         "data_offsets": [at, at + end - begin]}
        at += end - begin
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % HEADER_ALIGNMENT)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, begin, end in pieces:
            source.seek(data_start + begin)
            file.write(source.read(end - begin))
    return 8 + len(text) + at


def main():
    model, ranks, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    header, data_start = read(model)
    os.makedirs(folder, exist_ok=True)
    with open(model, "rb") as source:
        for rank, pieces in enumerate(deal(header, ranks)):
            path = os.path.join(folder, f"rank-{rank}.safetensors")
            size = write(path, pieces, header, source, data_start)
            print(f"rank {rank}: {len(pieces)} tensors, {size} bytes")


if __name__ == "__main__":
    main()
