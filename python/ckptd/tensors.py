# SPDX-License-Identifier: Apache-2.0
"""PyTorch tensors as pieces of a shard: types, names, and which part of the whole a rank holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

import torch

from .context import Shard, Tensor
from .errors import StateError
from .names import shard_name

# As safetensors names them. complex128 has no name there.
_TYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16",
    "uint32": "U32", "int32": "I32", "uint64": "U64", "int64": "I64", "float16": "F16",
    "bfloat16": "BF16", "float32": "F32", "float64": "F64", "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
}
TYPE_NAMES = {getattr(torch, name): code for name, code in _TYPES.items() if hasattr(torch, name)}
TYPES = {code: dtype for dtype, code in TYPE_NAMES.items()}
DIMENSIONS_MAX = 8

SHARDING = "DCP_SHARDING_INFO"  # PyTorch's own key: {name: {"saved_offsets": [...]}}
NAMES = "ckptd.names"  # {name in the shard: its own name}, for those that had to change
SHAPES = "ckptd.shapes"  # {a tensor's own name: the shape of the whole that it is a part of}


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

    @property
    def count(self) -> int:
        product = 1
        for size in self.sizes:
            product *= size
        return product


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


def is_sharded(tensor: torch.Tensor) -> bool:
    """Whether it is a part of one that lies over several ranks: a DTensor."""
    return hasattr(tensor, "__create_chunk_list__") and hasattr(tensor, "to_local")


def local_part(tensor: torch.Tensor, name: str) -> tuple[torch.Tensor, Box]:
    """The memory that this rank holds of a tensor, and which part of the whole it is.

    Plain tensors are whole; of a DTensor it is the local one. StateError for one that lies in
    several pieces.
    """
    if not is_sharded(tensor):
        return tensor.detach(), Box((0,) * tensor.dim(), tuple(tensor.shape))
    local = tensor.detach().to_local()
    found = tensor.__create_chunk_list__()
    if len(found) > 1:
        raise StateError("CKPT_ERR_INVALID", f"{name} lies in {len(found)} pieces on this rank: "
                                             "save it with torch.distributed.checkpoint")
    if not found:
        return local, Box((0,) * tensor.dim(), tuple(local.shape))
    return local, Box(tuple(found[0].offsets), tuple(found[0].sizes))


def type_name(name: str, dtype: torch.dtype) -> str:
    """What safetensors calls a type; StateError for one that it does not have."""
    code = TYPE_NAMES.get(dtype)
    if code is None:
        raise StateError("CKPT_ERR_DTYPE",
                         f"{name} is {dtype}, which the safetensors format does not have: "
                         "view it as another type, such as torch.view_as_real()")
    return code


def describe(name: str, tensor: torch.Tensor, on_device: bool = False) -> Tensor:
    """What libckpt is told of a contiguous tensor; a device's has no address for it."""
    code = type_name(name, tensor.dtype)
    if tensor.is_conj() or tensor.is_neg():
        # Its memory is not what it says: never written as it lies.
        raise StateError("CKPT_ERR_INTERNAL", f"{name} is a lazy view: resolve it first")
    size = tensor.numel() * tensor.element_size()
    return Tensor(shard_name(name), code, tuple(tensor.shape),
                  0 if on_device or size == 0 else tensor.data_ptr(), size)


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


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """The values of a tensor in contiguous memory of the CPU: its own where that is so already."""
    local = tensor.detach()
    if local.is_conj():
        local = local.resolve_conj()
    if local.is_neg():
        local = local.resolve_neg()
    return local.cpu().contiguous()


def view(shard: Shard, name: str) -> torch.Tensor:
    """A shard's tensor, without a copy. It must not be written, and goes with the shard."""
    entry = shard.entries[name]
    dtype = TYPES.get(entry["dtype"])
    if dtype is None:
        raise StateError("CKPT_ERR_DTYPE",
                         f"{name} is {entry['dtype']}, which this PyTorch does not have")
    begin, end = entry["data_offsets"]
    if begin == end:
        return torch.empty(entry["shape"], dtype=dtype)
    return torch.frombuffer(shard.window(begin, end), dtype=dtype).reshape(entry["shape"])


def any_of(value: Any) -> bool:
    """Whether a leaf of a state is a tensor."""
    return isinstance(value, torch.Tensor)
