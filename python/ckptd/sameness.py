# SPDX-License-Identifier: Apache-2.0
"""Whether anything has changed since it was last described: what makes a save cheap.

Ten thousand tensors are looked at before every save, so the loops here are C's: identities of what
containers hold, addresses, and one call of PyTorch's own guards (those of torch.compile) for
shapes, strides, types, devices and the conjugate and negative bits. Where this PyTorch has no such
guards, or they see a change that is none (requires_grad, a mode), the same facts are compared one
by one.
"""

from __future__ import annotations

from itertools import chain
from operator import attrgetter, is_
from typing import Any, Callable, Iterable, Sequence

import torch

_SCALARS = (int, float, bool, str, type(None), complex)
_local = attrgetter("_local_tensor")


class Containers:
    """Dictionaries whose keys and values are to stay what they are, but for numbers and text."""

    def __init__(self, dictionaries: Iterable[dict[Any, Any]]) -> None:
        self._dictionaries = list(dictionaries)
        self._keys, self._values = self._look()

    def _look(self) -> tuple[list[Any], list[Any]]:
        return (list(chain.from_iterable(self._dictionaries)),
                list(chain.from_iterable(map(dict.values, self._dictionaries))))

    def is_same(self) -> bool:
        keys, values = self._look()
        if len(keys) != len(self._keys) or not all(map(is_, keys, self._keys)):
            return False
        if all(map(is_, values, self._values)):
            return True
        for now, before in zip(values, self._values):
            if now is not before and not (type(now) is type(before) and type(now) in _SCALARS):
                return False
        self._values = values
        return True


def facts(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What a tensor is, besides its values and its place."""
    return (tensor.shape, tensor.stride(), tensor.dtype, tensor.device, tensor.is_conj(),
            tensor.is_neg())


def _make_check(tensors: Sequence[torch.Tensor]) -> Callable[..., bool] | None:
    try:
        guards = torch._C._dynamo.guards.TensorGuards(
            *tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None)
        return guards.check if guards.check(*tensors) else None
    except Exception:  # private to PyTorch: it may change or go
        return None


class Tensors:
    """Tensors that are to stay where and what they are. Of a DTensor it is the local one."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self._sharded = [tensor for tensor in tensors if hasattr(tensor, "_local_tensor")]
        self._locals = list(map(_local, self._sharded))
        self._tensors = [tensor for tensor in tensors if not hasattr(tensor, "_local_tensor")]
        self._tensors += self._locals
        self._addresses = list(map(torch.Tensor.data_ptr, self._tensors))
        self._facts = list(map(facts, self._tensors))
        self._check = _make_check(self._tensors)

    def is_same(self) -> bool:
        if self._sharded and not all(map(is_, map(_local, self._sharded), self._locals)):
            return False
        if list(map(torch.Tensor.data_ptr, self._tensors)) != self._addresses:
            return False
        if self._check is not None and self._check(*self._tensors):
            return True
        if list(map(facts, self._tensors)) != self._facts:
            return False
        self._check = _make_check(self._tensors)
        return True
