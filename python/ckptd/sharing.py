# SPDX-License-Identifier: Apache-2.0
"""What several ranks hold alike is saved once: each stages a share of it.

Alike by construction are the parameters under DistributedDataParallel and the state that an
optimizer has of them, and what a DTensor replicates over a dimension of its mesh (HSDP). Buffers
are not, nor what DistributedDataParallel was told to ignore, nor a ZeroRedundancyOptimizer's state.

The tensors of such a group of ranks lie in a row, in the order of their names, and are cut into as
many shares as there are ranks, equal in bytes but for a row of a tensor. Each shard lists what
there is besides its own share, so that a restore in any world knows what to look for.

With each save every rank says a value of a sixteenth of all of it, another one each time, under a
seed that is of the list: ranks that differ, or do not have the same list, are found out, and no
checkpoint is ever put together from shares of two states. See ckpt_save_replica().
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Iterator

import torch
from torch.nn.parallel import DistributedDataParallel

from . import names
from .context import Shard, replica_value
from .entries import Entry
from .library import ffi
from .registered import Registered
from .boxes import Box
from .tensors import TYPE_NAMES, is_sharded

SHARES = "ckptd/shares.json"
PARTS = 16  # of which each save looks at one
LEAST = 64 << 10  # bytes; a smaller state is not worth the reads of a restore

Group = tuple[int, ...]  # ranks, in rising order


@dataclass
class Piece:
    """The part of an entry that this rank stages; of an entry, all of it."""

    entry: Entry
    dimension: int = 0
    begin: int = 0
    end: int = -1  # -1: all of it

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def is_cut(self) -> bool:
        return self.end >= 0

    @property
    def source(self) -> torch.Tensor:
        return self._of(self.entry.source)

    @property
    def box(self) -> Box:
        box = self.entry.box
        if not self.is_cut:
            return box
        offsets, sizes = list(box.offsets), list(box.sizes)
        offsets[self.dimension] += self.begin
        sizes[self.dimension] = self.end - self.begin
        return Box(tuple(offsets), tuple(sizes))

    @property
    def whole(self) -> tuple[int, ...] | None:
        """The shape that this is a part of; None where it is no part."""
        return self.entry.shape if self.is_cut or self.entry.is_part else None

    def refresh(self) -> None:
        """Values that do not lie in a row are put into one."""
        if self.entry.scratch is not None:
            self._of(self.entry.scratch).copy_(self._of(self.entry.local))

    def _of(self, tensor: torch.Tensor) -> torch.Tensor:
        if not self.is_cut:
            return tensor
        return tensor.narrow(self.dimension, self.begin, self.end - self.begin)


def _bytes(entry: Entry) -> int:
    return entry.source.numel() * entry.source.element_size()


class Share:
    """One rank's share of what a group holds alike, and the value that it says with a save."""

    def __init__(self, group: Group, rank: int, entries: list[Entry]) -> None:
        # Not in the order of registration: what a restore has put into an optimizer's state came in
        # the order of its reads.
        entries = sorted(entries, key=lambda entry: entry.name)
        self.group, self.leader, self.entries = group, group[0], entries
        self._begins = [0]
        for entry in entries:
            self._begins.append(self._begins[-1] + _bytes(entry))
        self.bytes = self._begins[-1]
        self._parts: dict[int, list[tuple[Entry, int, int]]] = {}
        place, count = group.index(rank), len(group)
        low, high = self.bytes * place // count, self.bytes * (place + 1) // count
        self.pieces = {piece.name: piece for piece in self._cut(low, high)}
        self.text = json.dumps({"group": group, "entries": [
            [entry.name, TYPE_NAMES[entry.local.dtype], entry.shape, entry.is_part]
            for entry in entries]}, separators=(",", ":")).encode()
        self.memory = ffi.from_buffer(self.text)
        self._seed = replica_value([(int(ffi.cast("uintptr_t", self.memory)), len(self.text))])

    def _cut(self, low: int, high: int) -> Iterator[Piece]:
        for entry, begin in zip(self.entries, self._begins):
            dimension, length = _longest_first(entry.source.shape)
            rows = [self._row(entry, begin, length, at) for at in (low, high)]
            if rows == [0, length]:
                yield Piece(entry)
            elif rows[0] < rows[1]:
                yield Piece(entry, dimension, *rows)

    @staticmethod
    def _row(entry: Entry, begin: int, length: int, at: int) -> int:
        """The row of an entry before which a share ends: of all ranks' arithmetic the same."""
        size = _bytes(entry)
        return max(0, min(length, ((at - begin) * length * 2 + size) // (2 * size)))

    def value_of(self, pieces: list[tuple[int, int]]) -> int:
        """The value of a part, given as (address, bytes) of the CPU's memory."""
        return replica_value(pieces, self._seed)

    def part(self, part: int) -> list[tuple[torch.Tensor, int, int]]:
        """(contiguous tensor, first byte, last byte) of one of the sixteenths, as it is now."""
        if part not in self._parts:
            self._parts[part] = list(self._range(self.bytes * part // PARTS,
                                                 self.bytes * (part + 1) // PARTS))
        for entry, _, _ in self._parts[part]:
            if entry.scratch is not None:
                entry.scratch.copy_(entry.local)
        return [(entry.source, begin, end) for entry, begin, end in self._parts[part]]

    def _range(self, low: int, high: int) -> Iterator[tuple[Entry, int, int]]:
        place = max(0, bisect_right(self._begins, low) - 1)
        while place < len(self.entries) and self._begins[place] < high:
            entry, begin = self.entries[place], self._begins[place]
            yield entry, max(0, low - begin), min(_bytes(entry), high - begin)
            place += 1


def _longest_first(shape: torch.Size) -> tuple[int, int]:
    """(dimension, its length) of the first that can be cut so that the parts lie in a row each."""
    for dimension, length in enumerate(shape):
        if length > 1:
            return dimension, length
    return 0, 1


def find(registered: Registered, model: torch.nn.Module, rank: int, world: int) -> Share | None:
    """This rank's share of what it holds alike with others; None where that is nothing, too little,
    or the ranks are not those of torch.distributed. Talks to nobody."""
    shares = [Share(group, rank, entries) for group, entries in
              _alike(registered, model, rank, world).items() if sum(map(_bytes, entries)) >= LEAST]
    return max(shares, key=lambda share: share.bytes, default=None)


def replicas_of(registered: Registered, rank: int, world: int) -> Group | None:
    """The ranks that hold most alike with this one, itself among them, as find() has it."""
    groups = {group: sum(map(_bytes, entries)) for group, entries in
              _alike(registered, registered.given, rank, world).items()}
    return max(groups, key=lambda group: groups[group], default=None)


def is_of_job(rank: int, world: int) -> bool:
    """Whether the ranks are those of torch.distributed."""
    distributed = torch.distributed
    return (distributed.is_available() and distributed.is_initialized()
            and distributed.get_rank() == rank and distributed.get_world_size() == world)


def _alike(registered: Registered, model: torch.nn.Module, rank: int,
           world: int) -> dict[Group, list[Entry]]:
    """{ranks: what they hold alike} of the groups that this rank is of."""
    groups: dict[Group, list[Entry]] = {}
    if world < 2 or not is_of_job(rank, world):
        return groups
    replicated = _replicated(registered, model)
    known: dict[Any, Group | None] = {}  # by mesh and placements
    for entry in registered.entries:
        if entry.local.numel() == 0:
            continue
        if is_sharded(entry.tensor):
            key = (id(entry.tensor.device_mesh), entry.tensor.placements)
            if key not in known:
                known[key] = _group_of(entry.tensor)
            group = known[key]
        else:
            group = replicated.get(entry.name)
        if group is not None and rank in group and len(group) > 1:
            groups.setdefault(group, []).append(entry)
    return groups


def _replicated(registered: Registered, model: torch.nn.Module) -> dict[str, Group]:
    """{path of an entry: the ranks that hold it alike} under DistributedDataParallel."""
    parameters: dict[int, Group] = {}
    for module in model.modules():
        if isinstance(module, DistributedDataParallel):
            group = tuple(sorted(torch.distributed.get_process_group_ranks(module.process_group)))
            ignored = set(getattr(module, "parameters_to_ignore", ()))
            for name, parameter in module.module.named_parameters():
                if name not in ignored:
                    parameters[id(parameter)] = group
    found = {entry.name: parameters[id(entry.tensor)] for entry in registered.model.now.entries
             if id(entry.tensor) in parameters}
    known = registered.model.parameter_names()
    for optimizer in registered.optimizers:
        if optimizer.inner is not optimizer.optimizer:
            continue  # a ZeroRedundancyOptimizer: each rank has its own part
        prefixes = {f"{optimizer.space}/{names.part(known[one])}": group
                    for one, group in parameters.items() if one in known}
        for entry in optimizer.now.entries:
            group = prefixes.get(entry.name.rpartition("/")[0])
            if group is not None:
                found[entry.name] = group
    return found


def _group_of(tensor: Any) -> Group | None:
    """The ranks that have the same part of a DTensor; None where that cannot be told."""
    mesh, coordinate = tensor.device_mesh, tensor.device_mesh.get_coordinate()
    if coordinate is None or any(placement.is_partial() for placement in tensor.placements):
        return None
    place = tuple(slice(None) if placement.is_replicate() else at
                  for placement, at in zip(tensor.placements, coordinate))
    return tuple(sorted(mesh.mesh[place].flatten().tolist()))


@dataclass(frozen=True)
class Listed:
    """What a shard says of one tensor that its group holds alike."""

    dtype: str
    shape: tuple[int, ...]
    is_part: bool  # of a DTensor


def listed(shard: Shard) -> tuple[list[int], dict[str, Listed]]:
    """(the ranks of the group, {path: what there is of it}) of a shard that is a share; else
    nothing."""
    if SHARES not in shard.entries:
        return [], {}
    said = json.loads(bytes(shard.data(SHARES)))
    return list(said["group"]), {name: Listed(dtype, tuple(shape), is_part)
                                 for name, dtype, shape, is_part in said["entries"]}
