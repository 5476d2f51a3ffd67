# SPDX-License-Identifier: Apache-2.0
"""Tensors with a place of their own, as libckpt is told of them for as long as nothing changes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .errors import StateError
from .forms import as_plain, is_plain, refusal
from .boxes import Box
from .tensors import is_sharded, local_part


@dataclass
class Entry:
    """A tensor of a model or an optimizer, and the memory that is copied at each save."""

    name: str  # its path: see names.py
    tensor: torch.Tensor
    local: torch.Tensor  # this rank's part, of a type that safetensors has
    box: Box
    shape: tuple[int, ...]  # of the whole
    form: dict | None = None  # how `tensor` is made of `local`, where they differ
    scratch: torch.Tensor | None = None  # contiguous memory of one that is not

    @property
    def source(self) -> torch.Tensor:
        return self.local if self.scratch is None else self.scratch

    @property
    def is_part(self) -> bool:
        """Whether other ranks may hold other parts of it."""
        return is_sharded(self.tensor)


def check(name: str, tensor: torch.Tensor) -> None:
    """StateError for a tensor that is never saved."""
    why = refusal(tensor)
    if why is not None:
        raise StateError("CKPT_ERR_INVALID", f"{name} is a {type(tensor).__qualname__} of "
                                             f"{tensor.dtype}: {why}")


def make_entry(name: str, tensor: torch.Tensor) -> Entry | None:
    """Registers a tensor. None for one whose memory is not simply its values, which is taken apart
    at each save: see forms.split(). StateError for one that is never saved."""
    check(name, tensor)
    local, box = local_part(tensor, name)
    form = None
    if not is_plain(local):
        if local.is_quantized or not hasattr(local, "data_ptr") or _wraps(local):
            return _refuse_part(name, tensor)
        found = as_plain(local)
        assert found is not None
        if found[0].data_ptr() != local.data_ptr() or is_sharded(tensor):
            return _refuse_part(name, tensor)
        local, form = found
        box = Box((0,) * local.dim(), tuple(local.shape))
    shape = tuple(tensor.shape) if is_sharded(tensor) else tuple(local.shape)
    lazy = local.is_conj() or local.is_neg()
    scratch = None
    if lazy or not local.is_contiguous():
        scratch = torch.empty(local.shape, dtype=local.dtype, device=local.device)
    return Entry(name, tensor, local, box, shape, form, scratch)


def _wraps(tensor: torch.Tensor) -> bool:
    return hasattr(type(tensor), "__tensor_flatten__")


def _refuse_part(name: str, tensor: torch.Tensor) -> None:
    if is_sharded(tensor):
        raise StateError("CKPT_ERR_INVALID", f"{name} is sharded over ranks, and its part here is "
                         f"a {type(tensor.to_local()).__qualname__} of {tensor.dtype}, which is "
                         "only saved of tensors that lie in one rank: save it with "
                         "torch.distributed.checkpoint")
