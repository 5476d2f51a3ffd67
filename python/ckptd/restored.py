# SPDX-License-Identifier: Apache-2.0
"""Tensors filled from shards, whatever the world was that saved them.

A target asks for a box of a whole tensor; each shard that comes by gives what it has of it.
"""

from __future__ import annotations

import json
from typing import Any, Iterable

import torch

from . import plain
from .context import Context, Shard
from .errors import StateError
from .registered import Registered, inner_optimizer
from .tensors import Box, local_part, parts, view

STATE = "ckptd/state.json"  # what is no tensor
EXTRA = "extra"  # the prefix of tensors among the extra state


class Target:
    """A tensor of this rank that is to be filled."""

    def __init__(self, name: str, tensor: torch.Tensor) -> None:
        self.name, self.tensor = name, tensor
        self.local, self.box = local_part(tensor, name)
        self._have: set[Box] = set()
        self._missing = self.box.count

    @property
    def is_full(self) -> bool:
        return self._missing == 0

    def take(self, shard: Shard, name: str, box: Box) -> None:
        """Copies what the shard has of this, once."""
        if len(box.sizes) != len(self.box.sizes):
            raise StateError("CKPT_ERR_SIZE", f"{self.name} was saved with {len(box.sizes)} "
                                              f"dimensions and has {len(self.box.sizes)} now")
        overlap = box & self.box
        if overlap is None or overlap in self._have:
            return
        source = view(shard, name)
        if source.dtype != self.local.dtype:
            raise StateError("CKPT_ERR_DTYPE", f"{self.name} was saved as {source.dtype} and is "
                                               f"{self.local.dtype} now")
        with torch.no_grad():
            self.local[overlap.within(self.box)].copy_(source[overlap.within(box)])
        self._have.add(overlap)
        self._missing -= overlap.count


def _whole(name: str, tensor: torch.Tensor, box: Box) -> None:
    """Refuses a shape that has changed, which no part of a smaller whole can show by itself."""
    for begin, size, length in zip(box.offsets, box.sizes, tensor.shape):
        if begin + size > length:
            raise StateError("CKPT_ERR_SIZE", f"{name} was saved larger than its shape of now, "
                                              f"{tuple(tensor.shape)}")


class Restorer:
    """Fills a model and its optimizers; the state that is no tensor comes back as it was."""

    def __init__(self, registered: Registered) -> None:
        self.registered = registered
        self.targets = {entry.name: Target(entry.name, entry.tensor)
                        for entry in registered.entries if not entry.name.startswith("optim")}
        self.state: Any = None
        self.extra: dict[str, torch.Tensor] = {}
        self._parameters: dict[str, tuple[Any, torch.Tensor]] = {}
        self._keys: dict[str, set[str]] = {}
        for prefix, optimizer in registered.named_optimizers():
            inner = inner_optimizer(optimizer)
            for group in inner.param_groups:
                for parameter in group["params"]:
                    name = registered.name_of(parameter)
                    self._parameters[f"{prefix}/{name}/"] = (inner.state, parameter)

    def _optimizer_target(self, name: str, box: Box, dtype: torch.dtype) -> Target | None:
        """The state of a parameter is made when a shard shows that there is some."""
        prefix, _, key = name.rpartition("/")
        place = self._parameters.get(prefix + "/")
        if place is None:
            return None
        state, parameter = place
        if key not in state[parameter]:
            # Sharded as its parameter is; else as it was saved, and a lone number on the CPU.
            sharded = hasattr(parameter, "to_local") and len(box.sizes) == parameter.dim() > 0
            device = parameter.device if box.sizes else torch.device("cpu")
            state[parameter][key] = (
                torch.zeros_like(parameter, dtype=dtype) if sharded else
                torch.zeros(box.sizes, dtype=dtype, device=device))
        self._keys.setdefault(prefix.split("/")[0], set()).add(key)
        target = self.targets[name] = Target(name, state[parameter][key])
        return target

    def take(self, shard: Shard) -> None:
        """Takes what this rank needs of a shard."""
        for name, (inside, box) in parts(shard).items():
            target = self.targets.get(name)
            if target is None and name.startswith("optim"):
                dtype = view(shard, inside).dtype
                target = self._optimizer_target(name, box, dtype)
            if target is not None:
                _whole(name, target.tensor, box)
                target.take(shard, inside, box)
            elif name.startswith(EXTRA + "/") and self.state is None:
                self.extra[name] = view(shard, inside).clone()
        if self.state is None and STATE in shard.entries:
            self.state = json.loads(bytes(shard.data(STATE)))

    def is_full(self) -> bool:
        """Whether nothing is missing: each parameter, and its state where others have some."""
        if not all(target.is_full for target in self.targets.values()):
            return False
        return self.state is not None and all(
            f"{prefix}{key}" in self.targets
            for prefix in self._parameters for key in self._keys.get(prefix.split("/")[0], ()))

    def finish(self) -> Any:
        """Puts the rest in place; the extra state is returned."""
        missing = sorted(name for name, target in self.targets.items() if not target.is_full)
        if missing:
            raise StateError("CKPT_ERR_NOT_FOUND", f"the checkpoint lacks {missing[0]}"
                             + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
                             + ": has the model changed?")
        if self.state is None:
            raise StateError("CKPT_ERR_NOT_FOUND", f"the checkpoint has no {STATE}: it was not "
                                                   "saved by ckptd.attach()")
        saved = plain.join(self.state["optimizers"], lambda path: None)
        for (_, optimizer), values in zip(self.registered.named_optimizers(), saved):
            _put_groups(optimizer, values["groups"])
            inner = inner_optimizer(optimizer)
            for parameter in (p for group in inner.param_groups for p in group["params"]):
                name = self.registered.name_of(parameter)
                if name in values["state"]:
                    inner.state[parameter].update(values["state"][name])
        return plain.join(self.state["extra"], lambda path: self.extra[path])


def _put_groups(optimizer: Any, groups: list[dict[str, Any]]) -> None:
    if len(groups) != len(optimizer.param_groups):
        raise StateError("CKPT_ERR_INVALID", f"the optimizer had {len(groups)} groups of "
                         f"parameters and has {len(optimizer.param_groups)} now")
    for now, saved in zip(optimizer.param_groups, groups):
        for key, value in saved.items():
            if isinstance(now.get(key), torch.Tensor):
                now[key].fill_(value)
            else:
                now[key] = value


def restore_from_other_world(context: Context, restorer: Restorer, step: int, world: int,
                             timeout: float) -> None:
    """Reads the shards of an old world, nearest first, until nothing is missing.

    Each is mapped, read where it is needed, and given back before the next.
    """
    for rank in _order(context.rank, context.world, world):
        with context.fetch(rank, step, timeout) as shard:
            restorer.take(shard)
        if restorer.is_full():
            return


def _order(rank: int, world: int, old_world: int) -> Iterable[int]:
    """Old ranks, from those whose part lay where this rank's lies."""
    first = rank * old_world // world
    return sorted(range(old_world), key=lambda old: (abs(old - first), old < first))
