# SPDX-License-Identifier: Apache-2.0
"""A training state filled from shards, whatever the world was that saved them.

First the shards are looked at: what is there, what is wanted, and what fits. Only when the sums
close is the first byte overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Protocol

import torch

from . import forms, names, optimizer_state, plain
from .context import Shard
from .entries import Entry
from .errors import StateError
from .optimizer_state import OptimizerState
from .registered import Registered
from .sharing import Listed, listed
from .boxes import Box, covers, parts, shapes
from .tensors import TYPES, local_part, view

STATE = "ckptd/state.json"  # what is no tensor
VERSION = 2


@dataclass
class _Piece:
    """What one shard has of a target."""

    inside: str  # its name in the shard
    box: Box
    overlap: Box


class Given(Protocol):
    """A part of a tensor of a rank's shard, as it came by another way than the shard."""

    @property
    def rank(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def box(self) -> Box: ...

    @property
    def source(self) -> torch.Tensor: ...


@dataclass
class Target:
    """A tensor of this rank that is to be filled."""

    name: str
    local: torch.Tensor
    box: Box
    pieces: dict[int, list[_Piece]] = field(default_factory=dict)
    have: set[Box] = field(default_factory=set)  # within `local`
    is_full: bool = False

    def __post_init__(self) -> None:
        self.is_full = self.box.count == 0

    def plan(self, rank: int, inside: str, box: Box) -> None:
        """Notes what a shard has of this, once."""
        overlap = box & self.box
        if overlap is None or self.is_full:
            return
        mine = overlap.inside(self.box)
        if mine in self.have:
            return
        self.have.add(mine)
        self.is_full = overlap == self.box or covers(self.box.sizes, list(self.have))
        self.pieces.setdefault(rank, []).append(_Piece(inside, box, overlap))

    def parts_of(self, rank: int) -> Iterator[tuple[str, Box]]:
        """(its name, the part of it) of each tensor of a shard that this is filled from."""
        for piece in self.pieces.get(rank, ()):
            yield piece.inside, piece.overlap.inside(piece.box)

    def fill(self, shard: Shard) -> None:
        for piece in self.pieces.pop(shard.rank, ()):
            self.put(piece, view(shard, piece.inside, piece.overlap.inside(piece.box)))

    def take(self, piece: _Piece, one: Given) -> list[_Piece]:
        """Copies what has come of a piece, and returns what is still missing of it."""
        overlap = piece.overlap & one.box
        if overlap is None:
            return [piece]
        self.put(_Piece(piece.inside, one.box, overlap), one.source)
        left = [_Piece(piece.inside, piece.box, box) for box in piece.overlap.without(overlap)]
        mine = self.pieces[one.rank]
        mine.remove(piece)
        mine += left
        return left

    def put(self, piece: _Piece, source: torch.Tensor) -> None:
        with torch.no_grad():
            self.local[piece.overlap.within(self.box)].copy_(
                source[piece.overlap.within(piece.box)])


@dataclass
class _Saved:
    """What a shard says of an optimizer: how its parameters' state is put together again."""

    state: dict[str, dict[Any, Any]] = field(default_factory=dict)  # {parameter: {key: value}}
    known: set[str] = field(default_factory=set)  # parameters with state, or known to have none
    joined: set[str] = field(default_factory=set)  # those whose state that is no tensor was read
    own: set[str] | None = None  # those that the first shard knows: in the same world, this rank's


def saved_state(shard: Shard) -> dict[str, Any]:
    """What of a shard is no tensor. StateError when attach() has not saved it, or another
    version's."""
    if STATE not in shard.entries:
        raise StateError("CKPT_ERR_NOT_FOUND", f"the checkpoint has no {STATE}: it was not saved "
                                               "by ckptd.attach()")
    state = plain.loads(bytes(shard.data(STATE)))
    version = state.get("version") if isinstance(state, dict) else None
    if version != VERSION:
        raise StateError("CKPT_ERR_VERSION", f"the checkpoint's state is of version {version}, and "
                                             f"this ckptd reads version {VERSION}")
    return state


class Giver:
    """Tensors of a shard that trees refer to: copies, by their paths."""

    def __init__(self, shard: Shard, found: dict[str, tuple[str, Box]]) -> None:
        self._shard, self._found = shard, found

    def __call__(self, path: str) -> torch.Tensor:
        if path not in self._found:
            raise StateError("CKPT_ERR_CORRUPT", f"the checkpoint's state names {path}, which it "
                                                 "does not have")
        return view(self._shard, self._found[path][0]).clone()


class Restorer:
    """Plans, checks, and then fills a model and its optimizers."""

    def __init__(self, registered: Registered, strict: bool = True) -> None:
        self.registered, self.strict = registered, strict
        self.left: list[str] = []  # what was saved and has no place, or the reverse
        self.state: dict[str, Any] | None = None
        self.rest: dict[str, Any] = {}  # extra state and what else the first shard has, joined
        model = registered.model.now
        self._targets = {names.model_name(entry.name): (entry, Target(
            entry.name, entry.local, entry.box)) for entry in model.entries}
        self._wanted = dict.fromkeys(model.keys)  # every name of the model
        self._values: dict[str, Any] = {}  # {name of the model: what it is}
        self._aliases: dict[str, str] = {}
        self._seen: set[str] = set()  # names of the model that some shard has
        self._optimizers = [_Saved() for _ in registered.optimizers]
        self._optimizer_targets: dict[str, Target] = {}
        self._assembled: dict[str, Target] = {}  # of the model, and handed over when it is whole
        self._problems: list[str] = []
        self._parameters = {optimizer.space: {
            registered.name_of(parameter): parameter
            for parameter in optimizer_state.parameters_of(optimizer.inner)}
            for optimizer in registered.optimizers}

    # ---- looking ----

    def begin(self, shard: Shard) -> None:
        """Takes what is no tensor, and no rank's but one's, of a shard: look() has it otherwise of
        the first that it is shown."""
        if self.state is None:
            self._look_first(saved_state(shard), Giver(shard, parts(shard)))

    def look(self, shard: Shard) -> None:
        """Notes what a shard has. Nothing is overwritten."""
        state, found, whole = saved_state(shard), parts(shard), shapes(shard)
        give = Giver(shard, found)
        _, shared = listed(shard)
        if self.state is None:
            self._look_first(state, give)
        model = state["model"]
        self._aliases.update(model["aliases"])
        sharded = {path for path in whole if path not in shared} | {
            path for path, one in shared.items() if one.is_part}
        for path, (inside, box) in found.items():
            size = whole.get(path, box.sizes)
            name = names.model_name(path)
            if name is not None and name not in model["values"]:
                self._look_at_model(shard, name, inside, box, size, model["forms"].get(name), give)
            elif path.startswith("optim"):
                one = Listed(shard.entries[inside]["dtype"], size, path in sharded)
                target = self._target_of_optimizer(state, path, one, sharded)
                if target is not None:
                    target.plan(shard.rank, inside, box)
        for path in shared.keys() - found.keys():  # in the shards of the others that hold it alike
            name = names.model_name(path)
            if name is not None:
                self._seen.add(name)
            else:
                self._target_of_optimizer(state, path, shared[path], sharded)
        for name, tree in model["values"].items():
            self._seen.add(name)
            known = name in self._wanted or name in self.registered.model.now.vacant
            if known and name not in self._values:
                self._values[name] = plain.join(tree, give)
        for saved, optimizer, mine in zip(state["optimizers"], self.registered.optimizers,
                                          self._optimizers):
            self._look_at_values(saved, optimizer, mine, give)
            if mine.own is None:
                mine.own = set(mine.known)

    def _look_first(self, state: dict[str, Any], give: Giver) -> None:
        self.state = state
        self.rest = {key: plain.join(tree, give) for key, tree in state["rest"].items()}
        mine, saved = len(self.registered.optimizers), len(state["optimizers"])
        if mine != saved:
            raise StateError("CKPT_ERR_INVALID", f"it was saved with {saved} optimizers, and "
                                                 f"{mine} are attached now")
        self.groups: list[Any] = []
        self._others: list[Any] = []
        for one, optimizer in zip(state["optimizers"], self.registered.optimizers):
            if "opaque" in one:
                self.groups.append(None)
                self._others.append(plain.join(one["opaque"], give))
                continue
            self.groups.append([{"values": plain.join(group["values"], give),
                                 "count": group["count"]} for group in one["groups"]])
            self._others.append(plain.join(one["others"], give))
            self._check_groups(one["kind"], self.groups[-1], optimizer)

    def _check_groups(self, kind: str, groups: list[Any], optimizer: OptimizerState) -> None:
        now = optimizer.optimizer.param_groups
        counts = [group["count"] for group in groups]
        if counts != [len(group["params"]) for group in now]:
            self._problems.append(
                f"{optimizer.space} was saved with groups of {counts} parameters and has groups of "
                f"{[len(group['params']) for group in now]} now")
        saved = {key for group in groups for key in group["values"]}
        mine = {key for group in now for key in group if key != "params"}
        if kind != optimizer.kind() and saved != mine:
            self._problems.append(f"{optimizer.space} was saved as {kind} and is "
                                  f"{optimizer.kind()} now")

    def _look_at_model(self, shard: Shard, name: str, inside: str, box: Box,
                       size: tuple[int, ...], form: dict[str, Any] | None, give: Giver) -> None:
        self._seen.add(name)
        entry, target = self._targets.get(name, (None, None))
        if entry is None or target is None:
            now = self.registered.model.now
            if name not in self._values and (name in now.vacant or (
                    name in self._wanted and now.aliases.get(name) is None)):
                self._take_whole(shard, name, inside, box, size, form, give)
            return
        dtype = TYPES.get(shard.entries[inside]["dtype"])
        if size != entry.shape or form != entry.form or dtype != entry.local.dtype:
            self._differs(name, entry, size, form, dtype)
        else:
            target.plan(shard.rank, inside, box)

    def _differs(self, name: str, entry: Entry, size: tuple[int, ...],
                 form: dict[str, Any] | None, dtype: Any) -> None:
        saved = dtype if form is None else form.get("dtype", form["kind"])
        now = entry.local.dtype if entry.form is None else entry.form.get("dtype",
                                                                          entry.form["kind"])
        problem = f"{name} was saved as {saved} {tuple(size)} and is {now} {entry.shape} now"
        if problem not in self._problems:
            self._problems.append(problem)

    def _take_whole(self, shard: Shard, name: str, inside: str, box: Box, size: tuple[int, ...],
                    form: dict[str, Any] | None, give: Giver) -> None:
        """A tensor for which the model has no memory of its own: load_state_dict() takes it."""
        path = names.of_model(name)
        if box.sizes != size and form is not None:
            self._problems.append(f"{name} was saved in parts, and has no memory of its own now")
        elif box.sizes != size:
            target = self._assembled.get(name)
            if target is None:
                memory = torch.empty(size, dtype=TYPES[shard.entries[inside]["dtype"]])
                target = self._assembled[name] = Target(name, memory, Box((0,) * len(size), size))
            target.plan(shard.rank, inside, box)
        elif form is None:
            self._values[name] = give(path)
        else:
            self._values[name] = forms.join({**form, "inner": path}, give)

    def _target_of_optimizer(self, state: dict[str, Any], path: str, one: Listed,
                             sharded: set[str]) -> Target | None:
        """Where a tensor of an optimizer's state goes; made when it is first heard of."""
        space, *keys = path.split("/")
        if len(keys) != 2 or any(map(names.is_key, keys)):
            return None  # inside of something that the state's JSON refers to
        name, key = map(names.unpart, keys)
        for saved, optimizer, mine in zip(state["optimizers"], self.registered.optimizers,
                                          self._optimizers):
            own = saved.get("state", {}).get(name, {})
            if optimizer.space != space or "opaque" in saved or key in own or "$whole" in own:
                continue
            mine.known.add(name)
            parameter = self._parameter(optimizer, name)
            if parameter is None:
                return None
            if path not in self._optimizer_targets:
                tensor = _empty(parameter, one.shape, TYPES[one.dtype],
                                one.is_part or names.of_model(name) not in sharded)
                self._optimizer_targets[path] = Target(path, *local_part(tensor, path))
                mine.state.setdefault(name, {})[key] = tensor
            return self._optimizer_targets[path]
        return None

    def _parameter(self, optimizer: OptimizerState, name: str) -> torch.Tensor | None:
        return self._parameters[optimizer.space].get(name)

    def _look_at_values(self, saved: dict[str, Any], optimizer: OptimizerState, mine: _Saved,
                        give: Giver) -> None:
        if "opaque" in saved:
            return
        for name, tree in saved["state"].items():
            if self._parameter(optimizer, name) is not None and name not in mine.joined:
                mine.joined.add(name)
                found = optimizer_state.join_state(tree, give)
                if isinstance(found, dict):
                    mine.state.setdefault(name, {}).update(found)
                else:
                    mine.state[name] = found
        mine.known.update(saved["stateless"], saved["state"])

    # ---- the sums ----

    def is_planned(self) -> bool:
        """Whether nothing that this rank wants is missing."""
        if self.state is None or self._missing_names():
            return False
        if not all(target.is_full for name, (_, target) in self._targets.items()
                   if name not in self._values and name not in self._aliases):
            return False
        if not all(target.is_full for target in (*self._optimizer_targets.values(),
                                                 *self._assembled.values())):
            return False
        return not any(self._unknown(optimizer, mine) for optimizer, mine in
                       zip(self.registered.optimizers, self._optimizers))

    def _missing_names(self) -> list[str]:
        have = self._seen | set(self._aliases)
        return [name for name in self._wanted if name not in have
                and self.registered.model.now.aliases.get(name) not in have]

    def _unknown(self, optimizer: OptimizerState, mine: _Saved) -> list[str]:
        if self.groups[self.registered.optimizers.index(optimizer)] is None:
            return []
        return [name for name in self._parameters[optimizer.space] if name not in mine.known]

    def check(self, same_world: bool) -> None:
        """Raises StateError unless all sums close; strict=False notes what does not in `left`.

        Shapes, types and groups must fit in any case.
        """
        if self._problems:
            raise StateError("CKPT_ERR_SIZE", _listed(self._problems))
        lacks = [f"it lacks {name}" for name in self._missing_names()]
        lacks += [f"it lacks a part of {name}" for name, (_, target) in self._targets.items()
                  if not target.is_full and str(name) in self._seen and name not in self._values]
        lacks += [f"it lacks a part of {name}" for name, target in (
            *self._optimizer_targets.items(), *self._assembled.items()) if not target.is_full]
        self._values.update((name, target.local) for name, target in self._assembled.items()
                            if target.is_full)
        for optimizer, mine in zip(self.registered.optimizers, self._optimizers):
            lacks += [f"it lacks {optimizer.space}/{name}" for name in
                      self._unknown(optimizer, mine)]
        if same_world:
            lacks += [f"it has {name}, which the model has not"
                      for name in (*self._seen, *self._aliases)
                      if name not in self._wanted and name not in self.registered.model.now.vacant]
            for optimizer, mine in zip(self.registered.optimizers, self._optimizers):
                known = self._parameters[optimizer.space]
                lacks += [f"it has {optimizer.space}/{name}, which the optimizer has not"
                          for name in mine.own or () if name not in known]
        if lacks and self.strict:
            raise StateError("CKPT_ERR_NOT_FOUND", _listed(lacks) + ": has the model changed? "
                             "(strict=False restores what fits, and lists what does not)")
        self.left += lacks
        self._check_values()

    def _check_values(self) -> None:
        for name, value in self._values.items():
            entry = self._targets.get(name, (None, None))[0]
            if entry is not None and not (isinstance(value, torch.Tensor)
                                          and value.shape == entry.tensor.shape
                                          and value.dtype == entry.tensor.dtype):
                raise StateError("CKPT_ERR_SIZE", f"{name} was saved as {_said(value)} and is "
                                                  f"{_said(entry.tensor)} now")

    # ---- filling ----

    def take(self, given: Iterable[Given]) -> None:
        """Copies what others have given of their shards as it comes: ranks() then needs it no more.
        From here on the model is touched."""
        wanted: dict[tuple[int, str], list[tuple[Target, _Piece]]] = {}
        for target in self._all_targets():
            for rank, pieces in target.pieces.items():
                for piece in pieces:
                    wanted.setdefault((rank, piece.inside), []).append((target, piece))
        for one in given:
            key = (one.rank, one.name)
            wanted[key] = [(target, left) for target, piece in wanted.get(key, ())
                           for left in target.take(piece, one)]

    def wanted(self) -> dict[int, dict[str, Box]]:
        """{rank: {a tensor of its shard: the part of it, at most, that is needed}}."""
        found: dict[int, dict[str, Box]] = {}
        for target in self._all_targets():
            for rank, pieces in target.pieces.items():
                for piece in pieces:
                    mine = found.setdefault(rank, {})
                    mine[piece.inside] = piece.overlap | mine.get(piece.inside, piece.overlap)
        return found

    def ranks(self) -> list[int]:
        """Whose shards are needed, or still are."""
        found: set[int] = set()
        for target in self._all_targets():
            found.update(rank for rank, pieces in target.pieces.items() if pieces)
        return sorted(found)

    def _all_targets(self) -> Iterable[Target]:
        yield from (target for _, target in self._targets.values())
        yield from self._optimizer_targets.values()
        yield from self._assembled.values()

    def fill(self, shard: Shard) -> None:
        """Copies what was planned of a shard. From here on the model is touched."""
        shard.want(one for target in self._all_targets() for one in target.parts_of(shard.rank))
        for target in self._all_targets():
            target.fill(shard)

    def finish(self) -> None:
        """Hands model and optimizers the rest, by their own load_state_dict()."""
        model = self.registered.model
        values = self._values
        for name, source in self._aliases.items():
            entry, target = self._targets.get(name, (None, None))
            if entry is not None and target is not None and not target.is_full:
                self._copy_alias(entry, source)
        for name in list(values):
            if model.must_occupy(name, values[name]):
                model.occupy(name, values.pop(name))
                continue
            entry = self._targets.get(name, (None, None))[0]
            if entry is not None:
                with torch.no_grad():
                    entry.tensor.copy_(values.pop(name))
        if values or not model.loads_by_itself():
            model.load(values, self.strict)
        for index, (optimizer, mine) in enumerate(zip(self.registered.optimizers,
                                                      self._optimizers)):
            if self.groups[index] is None:
                optimizer.optimizer.load_state_dict(self._others[index])
            else:
                optimizer_state.load(optimizer, mine.state, self._others[index],
                                     [group["values"] for group in self.groups[index]])

    def _copy_alias(self, entry: Entry, source: str) -> None:
        """What was one tensor under two names when it was saved, and is two now."""
        other = self._targets.get(source, (None, None))[0]
        with torch.no_grad():
            if other is not None:
                entry.tensor.copy_(other.tensor)
            elif source in self._values:
                entry.tensor.copy_(self._values[source])


def _said(value: Any) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, torch.Tensor) else (
        type(value).__name__)


def _listed(problems: list[str]) -> str:
    return problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")


def _empty(parameter: torch.Tensor, size: tuple[int, ...], dtype: torch.dtype,
           may_be_sharded: bool) -> torch.Tensor:
    """Memory for a tensor of a parameter's state: sharded as the parameter is where the state was,
    or where the parameter was not sharded then; a lone number is on the CPU."""
    like_parameter = size == tuple(parameter.shape) and len(size) > 0
    if may_be_sharded and like_parameter and hasattr(parameter, "to_local"):
        return torch.empty_like(parameter, dtype=dtype, requires_grad=False)
    device = parameter.device if size else torch.device("cpu")
    return torch.empty(size, dtype=dtype, device=device)


def order(rank: int, world: int, old_world: int) -> list[int]:
    """Old ranks, from those whose part lay where this rank's lies."""
    first = rank * old_world // world
    return sorted(range(old_world), key=lambda old: (abs(old - first), old < first))

