# SPDX-License-Identifier: Apache-2.0
"""PyTorch tensors as pieces of a shard: types, names, and which part of the whole a rank holds."""

from __future__ import annotations

from typing import Any

import torch

from .boxes import TYPE_CODES, Box
from .context import Shard, Tensor
from .errors import StateError
from .names import shard_name

TYPE_NAMES = {getattr(torch, name): code for name, code in TYPE_CODES.items()
              if hasattr(torch, name)}
TYPES = {code: dtype for dtype, code in TYPE_NAMES.items()}
DIMENSIONS_MAX = 8


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


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """The values of a tensor in contiguous memory of the CPU: its own where that is so already."""
    local = tensor.detach()
    if local.is_conj():
        local = local.resolve_conj()
    if local.is_neg():
        local = local.resolve_neg()
    return local.cpu().contiguous()


def view(shard: Shard, name: str, box: Box | None = None) -> torch.Tensor:
    """A shard's tensor, without a copy: of which only `box` is good, unless that is None. It must
    not be written, and goes with the shard."""
    entry = shard.entries[name]
    dtype = TYPES.get(entry["dtype"])
    if dtype is None:
        raise StateError("CKPT_ERR_DTYPE",
                         f"{name} is {entry['dtype']}, which this PyTorch does not have")
    begin, end = entry["data_offsets"]
    if begin == end:
        return torch.empty(entry["shape"], dtype=dtype)
    return torch.frombuffer(shard.part(name, box), dtype=dtype).reshape(entry["shape"])


def any_of(value: Any) -> bool:
    """Whether a leaf of a state is a tensor."""
    return isinstance(value, torch.Tensor)
