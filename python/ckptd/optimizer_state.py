# SPDX-License-Identifier: Apache-2.0
"""An optimizer's state as PyTorch defines it: state_dict() and load_state_dict(), by the names of
the parameters in place of their numbers.

Nothing here makes an optimizer initialise its state: PyTorch's own helper takes a step for that.
Where state_dict() is PyTorch's and nobody has hooked it, the tensors of the state are registered
once and looked at before a save; else it is asked for at each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import is_
from typing import Any, Callable, Iterator

import torch

from . import names, plain
from .entries import Entry, make_entry
from .errors import StateError
from .forms import is_plain
from .sameness import Containers, Tensors

_Optimizer = torch.optim.Optimizer
_OWN = ("state_dict", "load_state_dict")
Name = Callable[[torch.Tensor], str]


def inner_optimizer(optimizer: Any) -> Any:
    """Where the state of this rank's parameters is: a ZeroRedundancyOptimizer keeps one inside,
    and its own state_dict() is a collective."""
    return optimizer.optim if type(optimizer).__name__ == "ZeroRedundancyOptimizer" else optimizer


def parameters_of(optimizer: Any) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def is_plain_optimizer(optimizer: Any) -> bool:
    """Whether its state is its attribute `state`, by nobody's hook or override."""
    kind = type(optimizer)
    return (isinstance(optimizer, _Optimizer) and type(optimizer.state).__name__ == "defaultdict"
            and all(getattr(kind, name) is getattr(_Optimizer, name) for name in _OWN)
            and not any(name in optimizer.__dict__ for name in _OWN)
            and not any(len(getattr(optimizer, f"_optimizer_{when}_hooks", ())) for when in (
                "state_dict_pre", "state_dict_post", "load_state_dict_pre",
                "load_state_dict_post")))


@dataclass
class Description:
    """What an optimizer has now."""

    entries: list[Entry] = field(default_factory=list)
    loose: list[tuple[str, Any, dict]] = field(default_factory=list)  # (parameter, key, holder)
    stateless: list[str] = field(default_factory=list)
    is_static: bool = True


class OptimizerState:
    """Describes an optimizer, knows whether that still holds, and gives what changes."""

    def __init__(self, optimizer: Any, space: str) -> None:
        self.optimizer, self.space = optimizer, space
        self.inner = inner_optimizer(optimizer)
        self.now = Description()

    def kind(self) -> str:
        return f"{type(self.inner).__module__}.{type(self.inner).__qualname__}"

    # ---- looking ----

    def describe(self, name_of: Name) -> None:
        """Takes stock anew, without a step, a hook or any other effect. StateError."""
        self.name_of = name_of
        now = self.now = Description(is_static=is_plain_optimizer(self.inner))
        self._parameters = parameters_of(self.inner)
        self._names = [name_of(parameter) for parameter in self._parameters]
        self._held: list[dict] = [self.inner.state] if now.is_static else []
        self._tensors: list[torch.Tensor] = []
        if now.is_static:
            known = set(map(id, self._parameters))
            for name, parameter in zip(self._names, self._parameters):
                if self.inner.state.get(parameter):
                    self._describe_state(name, self.inner.state[parameter])
                else:
                    now.stateless.append(name)
            self._others = [key for key in self.inner.state if id(key) not in known]
        groups = self.optimizer.param_groups
        self._groups = [(group, [*group["params"]]) for group in groups]
        self._containers = Containers(self._held)
        self._watched = Tensors(self._tensors)

    def _describe_state(self, name: str, values: Any) -> None:
        if not isinstance(values, dict):
            raise StateError("CKPT_ERR_INVALID", f"{self.space}/{name} is a "
                             f"{type(values).__qualname__}: an optimizer's state of a parameter "
                             "must be a dictionary")
        self._held.append(values)
        for key, value in values.items():
            entry = None
            if isinstance(value, torch.Tensor) and _is_simple(key):
                entry = make_entry(names.child(f"{self.space}/{names.part(name)}", key), value)
            if entry is None or entry.form is not None:
                self.now.loose.append((name, key, values))
            else:
                self._tensors.append(value)
                self.now.entries.append(entry)

    def is_same(self) -> bool:
        """Whether the description holds."""
        if self.now.is_static != is_plain_optimizer(self.inner):
            return False
        groups = self.optimizer.param_groups
        if len(groups) != len(self._groups):
            return False
        for group, (before, parameters) in zip(groups, self._groups):
            params = group["params"]
            if group is not before or len(params) != len(parameters) or not all(
                    map(is_, params, parameters)):
                return False
        return self._containers.is_same() and self._watched.is_same()

    # ---- what changes with every save ----

    def plain(self, take: plain.Take) -> dict[str, Any]:
        """Everything but the registered tensors, as JSON; other tensors are handed to take()."""
        found: dict[str, Any] = {"kind": self.kind()}
        if not self.now.is_static:
            state = self.inner.state_dict()
            if not _is_standard(state, len(self._parameters)):
                return {**found, "opaque": plain.split(state, self.space, take)}
            return {**found, **self._split_standard(state, take)}
        state = {}
        for name, key, holder in self.now.loose:
            value = holder[key]
            path = f"{self.space}/{names.part(name)}"
            saved = state.setdefault(name, {})
            if _is_simple(key):
                saved[key] = plain.split(value, names.child(path, key), take)
            else:
                pairs = saved.setdefault("$keys", [])
                pairs.append([plain.split(key, path, _nothing),
                              plain.split(value, names.child(path, key, len(pairs)), take)])
        others = [(key, self.inner.state[key]) for key in self._others]
        return {**found, "state": state, "stateless": self.now.stateless,
                "others": plain.split(others, f"{self.space}/%others", take),
                "groups": self._split_groups(self.optimizer.param_groups, take)}

    def _split_groups(self, groups: list[dict], take: plain.Take) -> list[Any]:
        path = f"{self.space}/%groups"
        return [{**{"values": plain.split({key: value for key, value in group.items()
                                           if key != "params"}, f"{path}/{i}", take)},
                 "count": len(group["params"])} for i, group in enumerate(groups)]

    def _split_standard(self, state: dict[str, Any], take: plain.Take) -> dict[str, Any]:
        """A state_dict() of PyTorch's shape that is not simply the attribute."""
        saved, stateless = {}, []
        for number, name in enumerate(self._names):
            if number in state["state"]:
                path = f"{self.space}/{names.part(name)}"
                saved[name] = {"$whole": plain.split(state["state"][number], path, take)}
            else:
                stateless.append(name)
        others = [pair for pair in state["state"].items() if type(pair[0]) is not int]
        return {"state": saved, "stateless": stateless,
                "others": plain.split(others, f"{self.space}/%others", take),
                "groups": self._split_groups(state["param_groups"], take)}


def _is_simple(key: Any) -> bool:
    """Whether a key of a parameter's state is saved as it is: "$" begins what is ours."""
    return type(key) is str and not key.startswith("$")


def _nothing(path: str, value: Any) -> bool:
    return False


def _is_standard(state: Any, count: int) -> bool:
    """Whether it is {"state": {number: ...}, "param_groups": [...]} of all parameters."""
    if not isinstance(state, dict) or set(state) != {"state", "param_groups"}:
        return False
    try:
        numbers = [number for group in state["param_groups"] for number in group["params"]]
        return numbers == list(range(count)) and isinstance(state["state"], dict)
    except (TypeError, KeyError):
        return False


def join_state(saved: dict[str, Any], give: Callable[[str], Any]) -> Any:
    """What plain() has saved of one parameter's state."""
    if "$whole" in saved:
        return plain.join(saved["$whole"], give)
    found = {key: plain.join(value, give) for key, value in saved.items() if key != "$keys"}
    for key, value in saved.get("$keys", ()):
        found[plain.join(key, give)] = plain.join(value, give)
    return found


def load(state: OptimizerState, values: dict[str, Any], others: list[tuple[Any, Any]],
         groups: list[dict[str, Any]]) -> None:
    """Hands an optimizer its state, {parameter's name: state}, by its own load_state_dict()."""
    inner, optimizer = state.inner, state.optimizer
    simple = is_plain_optimizer(inner)
    known = parameters_of(inner)
    numbered: dict[Any, Any] = {}
    for number, parameter in enumerate(known):
        name = state.name_of(parameter)
        if name in values:
            numbered[number] = values[name]
    numbered.update(others)
    at, loaded = 0, []
    for group, now in zip(groups, inner.param_groups):
        count = len(now["params"])
        # PyTorch looks each number up for each tensor: in a list that takes the square of them.
        params: Any = range(at, at + count) if simple else list(range(at, at + count))
        loaded.append({**group, "params": params})
        at += count
    tensors = _tensors_of(inner.param_groups)
    given = numbered if not simple else {
        number: _for_pytorch(value) if type(number) is int else value
        for number, value in numbered.items()}
    inner.load_state_dict({"state": given, "param_groups": loaded})
    if simple:
        for number, parameter in enumerate(known):
            if number in numbered:
                inner.state[parameter] = _as_saved(numbered[number], inner.state[parameter],
                                                   parameter.device)
    _keep_tensors(inner.param_groups, tensors)
    if inner is not optimizer:
        for group, now in zip(groups, optimizer.param_groups):
            for key, value in group.items():
                now[key] = value


def _for_pytorch(value: Any) -> Any:
    """What load_state_dict() may look at: it takes everything else for a list of tensors, and casts
    tensors that cannot be cast."""
    if isinstance(value, torch.Tensor):
        return value if is_plain(value) else None
    if type(value) is dict:
        return {key: _for_pytorch(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_for_pytorch, value))
    return value if type(value) in (int, float, bool) else None


def _as_saved(saved: Any, loaded: Any, device: torch.device, key: Any = None) -> Any:
    """What load_state_dict() has made of a value, where that is the value: it chooses the device,
    and the type of `step`; but a state in another precision than its parameter's stays what it is,
    as does what it was not given."""
    if isinstance(saved, torch.Tensor):
        if not isinstance(loaded, torch.Tensor):
            return saved.to(device=device) if saved.device != device else saved
        if loaded.dtype == saved.dtype or key == "step":
            return loaded
        return saved.to(device=loaded.device)
    if type(saved) is dict and type(loaded) is dict:
        return {one: _as_saved(value, loaded[one], device, one) for one, value in saved.items()}
    if type(saved) in (list, tuple) and type(loaded) is type(saved):
        return type(saved)(_as_saved(*pair, device) for pair in zip(saved, loaded))
    return saved


def _tensors_of(groups: list[dict[str, Any]]) -> list[dict[str, torch.Tensor]]:
    return [{key: value for key, value in group.items() if isinstance(value, torch.Tensor)}
            for group in groups]


def _keep_tensors(groups: list[dict[str, Any]], before: list[dict[str, torch.Tensor]]) -> None:
    """A learning rate that is a tensor stays the same one: a scheduler or a CUDA graph has it."""
    for group, tensors in zip(groups, before):
        for key, tensor in tensors.items():
            value = group.get(key)
            if isinstance(value, torch.Tensor) and value.shape == tensor.shape and (
                    value.dtype == tensor.dtype):
                with torch.no_grad():
                    tensor.copy_(value)
                group[key] = tensor


def spaces(optimizers: list[Any]) -> Iterator[tuple[str, Any]]:
    """(the space of its names, optimizer) of each."""
    for index, optimizer in enumerate(optimizers):
        yield ("optim" if len(optimizers) == 1 else f"optim.{index}"), optimizer
