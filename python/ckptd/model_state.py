# SPDX-License-Identifier: Apache-2.0
"""A model's state as PyTorch defines it: what state_dict() says, with its hooks and overrides.

Names are those without wrappers (DistributedDataParallel, torch.compile, activation checkpointing),
so that a checkpoint moves between a model that has them and one that has not. Where state_dict()
gives no more than the parameters and buffers, by nobody's hook, they are registered once and only
looked at before a save; anything else is asked for at each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Iterator

import torch
from torch.nn.parallel import DistributedDataParallel

from . import forms, names
from .entries import Entry, check, make_entry
from .errors import StateError
from .sameness import Containers, Tensors, facts

_CHECKPOINTED = "_checkpoint_wrapped_module"
_OWN = ("state_dict", "_save_to_state_dict", "get_extra_state")
_LOADS = ("load_state_dict", "_load_from_state_dict", "set_extra_state")
_Module = torch.nn.Module


def _is_compiled(module: _Module) -> bool:
    return type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod")


def _inner_key(module: _Module) -> str | None:
    """The one child that a wrapper is about."""
    if isinstance(module, DistributedDataParallel):
        return "module"
    if _is_compiled(module):
        return "_orig_mod"
    return _CHECKPOINTED if hasattr(module, _CHECKPOINTED) else None


def bare(model: _Module) -> _Module:
    """The model without DistributedDataParallel and torch.compile: names do not depend on them."""
    while isinstance(model, DistributedDataParallel) or _is_compiled(model):
        model = getattr(model, str(_inner_key(model)))
    return model


def _walk(module: _Module, name: str = "", key: str = "", above: tuple[int, ...] = ()
          ) -> Iterator[tuple[str, str, _Module]]:
    """Each module with its name, and with what its state_dict keys begin with. A module that is
    there twice comes twice, as in state_dict()."""
    yield name, key, module
    inner = _inner_key(module)
    for child, inside in module._modules.items():
        if inside is None or id(inside) in above:
            continue
        more = "" if child == inner else f"{child}."
        # The hook of activation checkpointing takes its own name out of the keys.
        yield from _walk(inside, name + more, key + ("" if child == _CHECKPOINTED else f"{child}."),
                         (*above, id(module)))


def _is_pure(hook: Any) -> bool:
    """A hook of PyTorch's that changes nothing but names, which _walk() knows of."""
    return "CheckpointWrapper" in getattr(hook, "__qualname__", "") or (
        "ActivationWrapper" in getattr(hook, "__qualname__", ""))


def _is_static(module: _Module) -> bool:
    """Whether it gives its parameters, buffers and children, and nobody changes that. Hooks that
    run before are called all the same; they are given no state to change."""
    own = [name for name in _OWN if name != "state_dict" or not _is_compiled(module)]
    return (all(getattr(type(module), name) is getattr(_Module, name) for name in own)
            and not any(name in module.__dict__ for name in _OWN)
            and all(_is_pure(hook) for hook in module._state_dict_hooks.values()))


def _same_memory(given: Any, mine: torch.Tensor) -> bool:
    """Whether what state_dict() gives is this very tensor, detached."""
    if type(given) is not type(mine) and not isinstance(mine, torch.nn.Parameter):
        return False
    if hasattr(mine, "_local_tensor"):
        if not hasattr(given, "_local_tensor") or given.placements != mine.placements:
            return False
        given, mine = given._local_tensor, mine._local_tensor
    elif hasattr(given, "_local_tensor"):
        return False
    if hasattr(type(given), "__tensor_flatten__") or hasattr(type(mine), "__tensor_flatten__"):
        return False
    return given.data_ptr() == mine.data_ptr() and facts(given) == facts(mine)


@dataclass
class Description:
    """What a model has now."""

    entries: list[Entry] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)  # {name: the name of the same memory}
    loose: list[str] = field(default_factory=list)  # what is asked for at each save, in order
    keys: dict[str, str] = field(default_factory=dict)  # {name: its key in state_dict()}
    fixed: dict[str, str] = field(default_factory=dict)  # {key: the name of its entry}
    vacant: set[str] = field(default_factory=set)  # buffers that are None
    places: dict[str, tuple[_Module, str]] = field(default_factory=dict)  # where buffers are
    is_static: bool = True


class ModelState:
    """Describes a model, knows whether that still holds, and gives what changes with every save."""

    def __init__(self, model: _Module) -> None:
        self.model = bare(model)
        self.now = Description()
        for module in self.model.modules():
            if type(module).__name__ == "FullyShardedDataParallel":
                raise StateError("CKPT_ERR_INVALID", "FullyShardedDataParallel hides which part of "
                                 "a parameter a rank has: shard with fully_shard(), or save with "
                                 "torch.distributed.checkpoint and ckptd.dcp")

    # ---- looking ----

    def describe(self, lazy: bool = False) -> None:
        """Takes stock anew. lazy: tensors without a shape yet are passed over. StateError."""
        walked = self._walked = list(_walk(self.model))
        self._modules = list({id(module): module for _, _, module in walked}.values())
        self._names = {key: name for name, key, _ in walked}
        self._kinds = list(map(type, self._modules))
        now = self.now = Description(is_static=all(map(_is_static, self._modules)))
        objects = {}
        for name, key, module in walked:
            for own, tensor in (*module._parameters.items(), *module._buffers.items()):
                if own in module._non_persistent_buffers_set:
                    continue
                if tensor is not None:
                    objects[key + own] = (name + own, tensor)
                if own in module._buffers:
                    now.places[name + own] = (module, own)
                    if tensor is None:
                        now.vacant.add(name + own)
        self._state = self.model.state_dict()
        self._objects: dict[int, torch.Tensor] = {}
        seen: dict[Any, str] = {}
        for key, value in self._state.items():
            name, mine = objects.get(key) or (self._name_of(key), None)
            if name in now.keys:
                raise StateError("CKPT_ERR_INVALID", f"{key} and {now.keys[name]} are both {name} "
                                                     "in a checkpoint: rename one of them")
            now.keys[name] = key
            if lazy and forms.is_unshaped(value):
                now.is_static = False
                continue
            if isinstance(value, torch.Tensor) and mine is not None:
                self._take(name, key, value, mine, seen)
            else:
                now.loose.append(name)
        if now.loose or set(objects) - set(self._state):
            now.is_static = False
        self._watch()

    def _take(self, name: str, key: str, value: torch.Tensor, mine: torch.Tensor,
              seen: dict[Any, str]) -> None:
        now = self.now
        check(name, value)
        entry = make_entry(names.of_model(name), mine) if _same_memory(value, mine) else None
        if entry is None:
            now.loose.append(name)
            return
        _check_overlap(name, mine)
        self._objects[id(mine)] = mine
        memory = (entry.local.data_ptr(), facts(entry.local), entry.box)
        if entry.local.numel() > 0 and memory in seen:
            now.aliases[name] = seen[memory]
        else:
            seen[memory] = name
            now.entries.append(entry)
        now.fixed[key] = name

    def _name_of(self, key: str) -> str:
        """The name of what no module has under that key: extra state, or what a hook has made."""
        begin = key
        while begin:
            begin = begin.rpartition(".")[0]
            prefix = f"{begin}." if begin else ""
            if prefix in self._names:
                return self._names[prefix] + key[len(prefix):]
        return key

    def _watch(self) -> None:
        held = [holder for module in self._modules for holder in (
            module._parameters, module._buffers, module._modules, module._state_dict_hooks,
            module._state_dict_pre_hooks)]
        self._containers = Containers(held)
        self._hidden = [module._non_persistent_buffers_set for module in self._modules]
        self._hidden_count = sum(map(len, self._hidden))
        self._dictionaries = [module.__dict__ for module in self._modules]
        self._tensors = Tensors(list(self._objects.values()))
        self._before = [(module, hook, key) for _, key, module in self._walked
                        for hook in module._state_dict_pre_hooks.values()]
        self._own = self._patches()

    def is_same(self) -> bool:
        """Whether the description holds. Asks the model for its state where that may differ."""
        now = self.now
        if now.is_static:
            for module, hook, key in self._before:
                hook(module, key, False)
        else:
            self._state = self.model.state_dict()
        if not (self._containers.is_same() and list(map(type, self._modules)) == self._kinds
                and sum(map(len, self._hidden)) == self._hidden_count
                and self._patches() == self._own and self._tensors.is_same()):
            return False
        return now.is_static or self._gives_the_same()

    def _patches(self) -> list[int]:
        return [sum([name in held for held in self._dictionaries]) for name in _OWN]

    def _gives_the_same(self) -> bool:
        if list(self._state) != list(self.now.keys.values()):
            return False
        entries = {entry.name: entry for entry in self.now.entries}
        for key, name in self.now.fixed.items():
            entry = entries.get(names.of_model(self.now.aliases.get(name, name)))
            if entry is None or not _same_memory(self._state[key], entry.tensor):
                return False
        return True

    # ---- what changes with every save ----

    def loose(self) -> dict[str, Any]:
        """{name: value} of what is not registered, as is_same() or describe() has found it."""
        return {name: self._state[self.now.keys[name]] for name in self.now.loose}

    def forget(self) -> None:
        """Lets go of the values that loose() gave."""
        if not self.now.is_static:
            self._state = {}

    # ---- parameters by name, and loading ----

    def parameter_names(self) -> dict[int, str]:
        """{id of a parameter: its name}, the first where there are several."""
        found: dict[int, str] = {}
        for name, _, module in _walk(self.model):
            for own, parameter in module._parameters.items():
                if parameter is not None:
                    found.setdefault(id(parameter), name + own)
        return found

    def loads_by_itself(self) -> bool:
        """Whether load_state_dict() does no more than copy into parameters and buffers."""
        def plain(module: _Module) -> bool:
            kind = type(module)
            return (not module._load_state_dict_pre_hooks and not module._load_state_dict_post_hooks
                    and not any(name in module.__dict__ for name in _LOADS)
                    and all(getattr(kind, name) is getattr(_Module, name) for name in _LOADS))

        return self.now.is_static and all(map(plain, self._modules))

    def load(self, values: dict[str, Any], strict: bool) -> None:
        """Hands the model its state: {name: value}; those that are registered are there already."""
        state = self.model.state_dict()
        for name, value in values.items():
            state[self.now.keys.get(name, name)] = value
        self.model.load_state_dict(state, strict=strict)


    def must_occupy(self, name: str, value: Any) -> bool:
        """Whether a buffer is None, or of a kind that nothing can be copied into: quantized."""
        return name in self.now.vacant or (name in self.now.places and isinstance(
            value, torch.Tensor) and value.is_quantized)

    def occupy(self, name: str, value: torch.Tensor) -> None:
        """Makes a value a buffer, on the device of what is around it."""
        module, own = self.now.places[name]
        near = next(chain(module.parameters(), module.buffers(), self.model.parameters()), value)
        module._buffers[own] = value.to(near.device)


def _check_overlap(name: str, tensor: torch.Tensor) -> None:
    local = tensor._local_tensor if hasattr(tensor, "_local_tensor") else tensor
    if any(step == 0 and length > 1 for step, length in zip(local.stride(), local.shape)):
        raise StateError("CKPT_ERR_INVALID", f"{name} is expanded: several of its elements are one "
                         "in memory, which load_state_dict() cannot fill: make it contiguous(), or "
                         "a buffer with persistent=False")
