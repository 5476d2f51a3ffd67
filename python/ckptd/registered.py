# SPDX-License-Identifier: Apache-2.0
"""A model's and its optimizers' tensors, registered once.

A look before each save finds out whether anything has moved: that costs a comparison a tensor and
no allocation. Only when it has is the table made anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterator, MutableMapping

import torch

from . import plain
from .errors import StateError
from .tensors import Box, any_of, describe, local_part

_WRAPPERS = ("module", "_orig_mod")  # DistributedDataParallel, torch.compile


@dataclass
class Entry:
    """A tensor, where it is found, and the memory it had when it was registered."""

    name: str
    holder: MutableMapping[str, Any]
    key: Any
    tensor: torch.Tensor
    local: torch.Tensor
    box: Box
    address: int
    scratch: torch.Tensor | None = None  # contiguous memory of one that is not

    @property
    def source(self) -> torch.Tensor:
        return self.local if self.scratch is None else self.scratch

    def has_moved(self) -> bool:
        now = self.holder.get(self.key)
        if now is not self.tensor:
            return True
        local = now._local_tensor if hasattr(now, "_local_tensor") else now
        return local.data_ptr() != self.address


def make_entry(name: str, holder: MutableMapping[str, Any], key: Any) -> Entry:
    """Registers holder[key]."""
    tensor = holder[key]
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        raise StateError("CKPT_ERR_INVALID", f"{name} is {tensor.layout} on {tensor.device}: only "
                                             "dense tensors with memory of their own are saved")
    local, box = local_part(tensor, name)
    scratch = None if local.is_contiguous() else torch.empty(
        local.shape, dtype=local.dtype, device=local.device)
    return Entry(name, holder, key, tensor, local, box, local.data_ptr(), scratch)


def bare(model: torch.nn.Module) -> torch.nn.Module:
    """The model without DistributedDataParallel and torch.compile: names do not depend on them."""
    while True:
        inner = next((getattr(model, name) for name in _WRAPPERS
                      if isinstance(getattr(model, name, None), torch.nn.Module)
                      and (name == "_orig_mod" or isinstance(
                          model, torch.nn.parallel.DistributedDataParallel))), None)
        if inner is None:
            return model
        model = inner


def _model_places(model: torch.nn.Module) -> Iterator[tuple[str, MutableMapping[str, Any], str]]:
    """Each parameter and persistent buffer once, by the first name it has."""
    seen = set()
    for prefix, module in model.named_modules():
        buffers = {key: value for key, value in module._buffers.items()
                   if key not in module._non_persistent_buffers_set}
        for holder, keys in ((module._parameters, module._parameters), (module._buffers, buffers)):
            for key in keys:
                tensor = holder[key]
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    name = f"{prefix}.{key}" if prefix else key
                    yield name.replace("_orig_mod.", ""), holder, key


def inner_optimizer(optimizer: Any) -> Any:
    """Where the state of this rank's parameters is: a ZeroRedundancyOptimizer keeps one inside."""
    return getattr(optimizer, "optim", optimizer)


@dataclass
class Registered:
    """Everything of a model and its optimizers that has a place of its own."""

    model: torch.nn.Module
    optimizers: list[Any]
    entries: list[Entry] = field(default_factory=list)
    _sizes: list[tuple[Any, int]] = field(default_factory=list)
    _names: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model = bare(self.model)
        for module in self.model.modules():
            if type(module).__name__ == "FullyShardedDataParallel":
                raise StateError("CKPT_ERR_INVALID", "FullyShardedDataParallel hides which part of "
                                 "a parameter a rank has: shard with fully_shard(), or save with "
                                 "torch.distributed.checkpoint and ckptd.dcp")
        self.register()

    def has_changed(self) -> bool:
        """Whether something came, went or moved since register()."""
        return any(len(holder) != size for holder, size in self._sizes) or any(
            entry.has_moved() for entry in self.entries)

    def register(self) -> None:
        """Takes stock anew."""
        self.entries = [make_entry(*place) for place in _model_places(self.model)]
        self._names = {id(entry.tensor): entry.name for entry in self.entries}
        self._sizes = [(holder, len(holder)) for module in self.model.modules()
                       for holder in (module._parameters, module._buffers, module._modules)]
        for prefix, optimizer in self.named_optimizers():
            state = inner_optimizer(optimizer).state
            self._sizes.append((state, len(state)))
            for parameter, values in state.items():
                self._sizes.append((values, len(values)))
                for key, value in values.items():
                    if any_of(value):
                        name = f"{prefix}/{self.name_of(parameter)}/{key}"
                        self.entries.append(make_entry(name, values, key))

    def named_optimizers(self) -> Iterator[tuple[str, Any]]:
        for index, optimizer in enumerate(self.optimizers):
            yield ("optim" if len(self.optimizers) == 1 else f"optim.{index}"), optimizer

    def name_of(self, parameter: torch.Tensor) -> str:
        """A parameter's name; StateError for one that is not the model's."""
        name = self._names.get(id(parameter))
        if name is None:
            raise StateError("CKPT_ERR_INVALID", "an optimizer has a parameter of shape "
                             f"{tuple(parameter.shape)} that is not the attached model's")
        return name

    def plain(self) -> Any:
        """What of the optimizers is no tensor: hyperparameters, and state that is a number."""
        found = []
        for prefix, optimizer in self.named_optimizers():
            groups = [{key: value for key, value in group.items() if key != "params"}
                      for group in optimizer.param_groups]
            state = {}
            for parameter, values in inner_optimizer(optimizer).state.items():
                numbers = {key: value for key, value in values.items() if not any_of(value)}
                if numbers:
                    state[self.name_of(parameter)] = numbers
            found.append(plain.split({"groups": _numbers(groups), "state": state}, prefix,
                                     lambda path, value: False))
        return found


def _numbers(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A tensor among the hyperparameters, such as a learning rate, is saved as its number."""
    return [{key: value.item() if any_of(value) else value for key, value in group.items()}
            for group in groups]
