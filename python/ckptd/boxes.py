# SPDX-License-Identifier: Apache-2.0
"""Parts of tensors in a shard: types, where a part lies in its whole, and how metadata says so.

Knows neither PyTorch nor JAX: a part is a name, a type and a box.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterable, Mapping, Sequence

from .names import shard_name

if TYPE_CHECKING:
    from .shard import Shard

# As safetensors names them. complex128 has no name there.
TYPE_CODES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16",
    "uint32": "U32", "int32": "I32", "uint64": "U64", "int64": "I64", "float16": "F16",
    "bfloat16": "BF16", "float32": "F32", "float64": "F64", "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
}
SHARDING = "DCP_SHARDING_INFO"  # PyTorch's own key: {name: {"saved_offsets": [...]}}
NAMES = "ckptd.names"  # {name in the shard: its own name}, for those that had to change
SHAPES = "ckptd.shapes"  # {a tensor's own name: the shape of the whole that it is a part of}


_RUNS_MAX = 4096  # of a tensor that are told apart


@dataclass(frozen=True)
class Box:
    """A part of a whole tensor: where it begins in each dimension, and how far it goes."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]

    def __and__(self, other: Box) -> Box | None:
        """What both have, or None."""
        begin = tuple(map(max, self.offsets, other.offsets))
        end = tuple(min(a + n, b + m) for a, n, b, m in
                    zip(self.offsets, self.sizes, other.offsets, other.sizes))
        sizes = tuple(b - a for a, b in zip(begin, end))
        return None if any(size <= 0 for size in sizes) else Box(begin, sizes)

    def within(self, outer: Box) -> tuple[slice, ...]:
        """This box as slices of a tensor that holds `outer`."""
        return tuple(slice(a - b, a - b + n) for a, b, n in
                     zip(self.offsets, outer.offsets, self.sizes))

    def __or__(self, other: Box) -> Box:
        """The smallest box that has both."""
        begin = tuple(map(min, self.offsets, other.offsets))
        end = (max(a + n, b + m) for a, n, b, m in
               zip(self.offsets, self.sizes, other.offsets, other.sizes))
        return Box(begin, tuple(b - a for a, b in zip(begin, end)))

    def without(self, other: Box) -> list[Box]:
        """What of this box the other has not, in boxes that do not overlap."""
        inner = self & other
        if inner is None:
            return [self]
        found = []
        offsets, sizes = list(self.offsets), list(self.sizes)
        for at, (begin, length) in enumerate(zip(inner.offsets, inner.sizes)):
            before, after = begin - offsets[at], offsets[at] + sizes[at] - begin - length
            for first, rows in ((offsets[at], before), (begin + length, after)):
                if rows > 0:
                    found.append(Box((*offsets[:at], first, *offsets[at + 1:]),
                                     (*sizes[:at], rows, *sizes[at + 1:])))
            offsets[at], sizes[at] = begin, length
        return found

    def inside(self, outer: Box) -> Box:
        """This box as a part of `outer` alone."""
        return Box(tuple(a - b for a, b in zip(self.offsets, outer.offsets)), self.sizes)

    @property
    def count(self) -> int:
        product = 1
        for size in self.sizes:
            product *= size
        return product


def runs(shape: Sequence[int], box: Box, size: int, near: int) -> list[tuple[int, int]]:
    """(begin, end) of the bytes of a tensor of `size` bytes that have a part of it, in rising order
    and apart. Two that are not more than `near` bytes apart are one, as they are where they would
    be too many."""
    count = Box((), tuple(shape)).count
    if box.count == 0:
        return []
    if size % count != 0:
        return [(0, size)]  # elements of less than a byte
    starts, run, stride, first = [0], size // count, size // count, 0
    for length, offset, many in zip(reversed(shape), reversed(box.offsets), reversed(box.sizes)):
        first += offset * stride
        is_apart = len(starts) > 1 or stride - run > near
        if many > 1 and is_apart and len(starts) * many <= _RUNS_MAX:
            starts = [i * stride + start for i in range(many) for start in starts]
        elif many > 1:
            run, starts = starts[-1] + run + (many - 1) * stride, [0]
        stride *= length
    return [(first + start, first + start + run) for start in starts]


def covers(size: Sequence[int], boxes: Sequence[Box], dimension: int = 0) -> bool:
    """Whether every element of a tensor of this size lies in one of the boxes, none of which is
    empty. Sweeps one dimension after another: n log n for a tensor that is cut in one."""
    if dimension == len(size):
        return len(boxes) > 0
    begins = sorted(boxes, key=lambda box: box.offsets[dimension])
    cuts = sorted({cut for box in boxes
                   for cut in (box.offsets[dimension],
                               box.offsets[dimension] + box.sizes[dimension])})
    if not cuts or cuts[0] != 0 or cuts[-1] != size[dimension]:
        return False
    active: list[Box] = []
    proven: tuple[Box, ...] = ()  # those that covered the slice before this one
    place = 0
    for cut in cuts[:-1]:
        active = [box for box in active if box.offsets[dimension] + box.sizes[dimension] > cut]
        while place < len(begins) and begins[place].offsets[dimension] == cut:
            active.append(begins[place])
            place += 1
        if tuple(active) != proven and not covers(size, active, dimension + 1):
            return False
        proven = tuple(active)
    return True


def sharding_metadata(boxes: Iterable[tuple[str, Box]],
                      whole: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, str]:
    """Metadata by which PyTorch's HuggingFaceStorageReader knows which part a tensor is; `whole`
    has the shape of the whole of each that is a part."""
    boxes = list(boxes)
    renamed = {shard_name(name): name for name, _ in boxes if shard_name(name) != name}
    metadata = {
        SHARDING: json.dumps({shard_name(name): {"saved_offsets": list(box.offsets)}
                              for name, box in boxes}, separators=(",", ":")),
        "DCP_VERSION": "1.0",
        "format": "pt",
    }
    if renamed:
        metadata[NAMES] = json.dumps(renamed, separators=(",", ":"))
    if whole:
        metadata[SHAPES] = json.dumps(whole, separators=(",", ":"))
    return metadata


def shapes(shard: Shard) -> dict[str, tuple[int, ...]]:
    """{a tensor's own name: the shape of the whole} of those that are parts."""
    found = json.loads(shard.metadata.get(SHAPES, "{}"))
    return {name: tuple(shape) for name, shape in found.items()}


def parts(shard: Shard) -> dict[str, tuple[str, Box]]:
    """{a tensor's own name: (its name in the shard, which part it is)}."""
    offsets = json.loads(shard.metadata.get(SHARDING, "{}"))
    renamed = json.loads(shard.metadata.get(NAMES, "{}"))
    found = {}
    for name, entry in shard.entries.items():
        shape = tuple(entry["shape"])
        begin = tuple(offsets.get(name, {}).get("saved_offsets", (0,) * len(shape)))
        found[renamed.get(name, name)] = (name, Box(begin, shape))
    return found
