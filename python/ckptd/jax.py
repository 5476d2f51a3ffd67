# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of JAX training: a pytree of arrays, saved shard by shard, restored onto any mesh.

    import ckptd.jax

    checkpoint = ckptd.jax.Checkpointer("mine")        one in each process
    state = checkpoint.restore(state)                  as it is while there is no checkpoint
    for step in range(checkpoint.next_step, steps):
        state = train(state)
        checkpoint.save(step + 1, state)               one copy; no collective, no pickle

A process is a rank. It saves, of each array, the parts of which its devices hold replica 0: every
element is saved once. A restore gives each device the part that its array's sharding says, from
whichever processes saved it, by ranges: the mesh, the number of devices and of processes may be
others than those that saved. Leaves that are no array (numbers, text) go as JSON; arrays of NumPy
are each process's own, and those of rank 0 where the number of processes has changed. Random keys
of jax.random come back as such. PyTorch's ckptd.dcp.Reader reads the same shards.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from typing import Any, Iterator

import jax
import numpy

from . import plain
from .boxes import Box, parts, sharding_metadata
from .context import LATEST, Context, Shard, Table, Tensor
from .errors import NoCheckpoint, StateError, UsageError, WorldChanged
from .jax_state import (
    KEYS,
    LAYOUT,
    Chunk,
    Leaf,
    box_of,
    chunks_of,
    describe,
    index_of,
    layout_of,
    leaves_of,
    memory_of,
    needed_of,
    sources,
    type_of,
)

_VALUES = "ckptd/values.json"  # leaves that are no array, of this process
_INDEX = "ckptd/index.json"  # in rank 0's shard: where every piece of every rank is


@dataclass(frozen=True)
class Handle:
    """A save that was staged."""

    step: int
    context: Context

    def consistent(self, timeout: float = 60.0) -> None:
        """Waits until two nodes hold it, proven equal. ckptd.Timeout when they do not yet; another
        ckptd.Error, by which it never will be."""
        self.context.wait(self.step, timeout)

    def done(self) -> bool:
        """Whether it is consistent, without waiting. Raises when it never will be."""
        return self.context.is_consistent(self.step)


@dataclass
class _Wanted:
    """A leaf that is to be filled: the parts of it that this process needs, as they come."""

    leaf: Leaf
    parts: dict[Box, numpy.ndarray]


class Checkpointer:
    """A process of a JAX job, attached to this node's agent.

    run         the run's name, stable over restarts; by default $CKPT_RUN
    rank, world jax.process_index() and jax.process_count()
    attempt     as ckptd.Context has it: 0, by default, lets the coordinator count the starts
    socket, copies, timeout, copy_threads   as ckptd.Context has them

    Call jax.distributed.initialize() before it, where there are several processes. Threads: one at
    a time. Raises a ckptd.Error when there is no agent, or it refuses.
    """

    def __init__(self, run: str | None = None, *, rank: int | None = None,
                 world: int | None = None, attempt: int = 0, socket: str | None = None,
                 copies: int = 0, timeout: float = 5.0, copy_threads: int = 1) -> None:
        run = run or os.environ.get("CKPT_RUN")
        if not run:
            raise UsageError("CKPT_ERR_NAME", "which run is this? Give run=, a name that is the "
                                              "same after a restart, or set CKPT_RUN")
        self.context = Context(
            run, attempt=attempt, rank=jax.process_index() if rank is None else rank,
            world=jax.process_count() if world is None else world, socket=socket, copies=copies,
            timeout=timeout, copy_threads=copy_threads)
        self.next_step = 0  # the step that was restored

    # ---- save ----

    def save(self, step: int, tree: Any) -> Handle:
        """Stages the tree as this step: it is copied, and may be donated, when this returns.

        Blocks for that copy; arrays of a device come to the host's memory first. No collective.
        StateError, which names the leaf, for what cannot be saved: a type that safetensors does not
        have, a deleted array, an object that is no data. Other ckptd.Errors as ckpt_save() has
        them: training can go on after each.
        """
        leaves, _ = leaves_of(tree)
        arrays = [leaf for leaf in leaves if leaf.is_array]
        for leaf in arrays:
            type_of(leaf)
            if isinstance(leaf.value, jax.ShapeDtypeStruct):
                raise StateError("CKPT_ERR_INVALID", f"{leaf.path} is only described, and has no "
                                                     "values to save")
        for leaf in arrays:
            if leaf.is_global and not leaf.value.is_deleted():
                leaf.value.copy_to_host_async()
        tensors, boxes, keep = self._pieces(arrays)
        values = plain.split({leaf.path: leaf.value for leaf in leaves if not leaf.is_array},
                             "state", lambda path, value: False)
        tensors.append(_bytes(_VALUES, plain.dumps(values), keep))
        index = self._index(arrays)
        if self.context.rank == 0:
            tensors.append(_bytes(_INDEX, plain.dumps(index), keep))
        metadata = sharding_metadata(boxes)
        metadata["format"] = "jax"
        metadata[LAYOUT] = layout_of(index)
        metadata[KEYS] = json.dumps({leaf.path: leaf.key for leaf in arrays if leaf.key})
        self.context.save(step, Table(tensors), metadata)
        return Handle(step, self.context)

    def _pieces(self, arrays: list[Leaf]) -> tuple[list[Tensor], list[tuple[str, Box]], list[Any]]:
        """What this process saves of the arrays; the last has the memory that must stay."""
        tensors, boxes, keep = [], [], []
        for leaf in arrays:
            memory = memory_of(leaf, self.context.rank)
            for chunk in chunks_of(leaf, self.context.rank):
                if chunk.rank == self.context.rank:
                    keep.append(memory[chunk.box])
                    tensors.append(describe(chunk.name, type_of(leaf), keep[-1]))
                    boxes.append((chunk.name, chunk.box))
        return tensors, boxes, keep

    def _index(self, arrays: list[Leaf]) -> dict[str, Any]:
        return index_of((leaf, chunks_of(leaf, 0)) for leaf in arrays)

    # ---- restore ----

    def restore(self, tree: Any, step: int = LATEST, timeout: float = 60.0) -> Any:
        """The tree of the newest consistent step, or of the one asked for, placed as `tree` is.

        Each leaf of `tree` says what is wanted: an array's (or jax.ShapeDtypeStruct's) shape, type
        and sharding. Returns `tree` itself, and leaves next_step at 0, when the run has no
        checkpoint and none was asked for. All processes have to call it: they get one step, or an
        error. StateError when a leaf is missing, of another shape or type, or something saved has
        no leaf here: each by name, before anything is read.
        """
        leaves, structure = leaves_of(tree)
        try:
            own = self.context.load(step, timeout)
        except NoCheckpoint:
            if step != LATEST:
                raise
            return tree
        except WorldChanged:
            own = self.context.open(0, _same_everywhere(self.context.info(step).step), timeout)
        with contextlib.closing(_Shards(self.context, own, timeout)) as shards, _named(
                self.context.run, own.step):
            filled = self._fill(leaves, shards)
            self.next_step = own.step
        return jax.tree_util.tree_unflatten(structure, filled)

    def _fill(self, leaves: list[Leaf], shards: _Shards) -> list[Any]:
        arrays = [leaf for leaf in leaves if leaf.is_array]
        saved = self._saved(arrays, shards)
        values = plain.join(plain.loads(bytes(shards.own.data(_VALUES))), lambda path: None)
        _check(leaves, saved, values, json.loads(shards.own.metadata.get(KEYS, "{}")))
        wanted, plan = self._plan(arrays, saved, shards.own.rank)
        for rank in sorted(plan, key=lambda rank: (rank != shards.own.rank, rank)):
            _copy(shards.get(rank), plan[rank])
        by_path = {one.leaf.path: one for one in wanted}
        return [_placed(by_path[leaf.path]) if leaf.is_array else values[leaf.path]
                for leaf in leaves]

    def _saved(self, arrays: list[Leaf], shards: _Shards) -> dict[str, Any]:
        """The index: what this process would say itself, where that is what was said; else rank
        0's."""
        mine = self._index([leaf for leaf in arrays if getattr(leaf.value, "sharding", None)
                            is not None or not leaf.is_global])
        if shards.own.metadata.get(LAYOUT) == layout_of(mine):
            return mine["tensors"]
        return plain.loads(bytes(shards.get(0).data(_INDEX)))["tensors"]

    @staticmethod
    def _plan(arrays: list[Leaf], saved: dict[str, Any],
              own: int) -> tuple[list[_Wanted], dict[int, list[Any]]]:
        """Where every part goes, and what of it comes from which rank."""
        wanted, plan = [], {}
        for leaf in arrays:
            chunks = [Chunk(own if not leaf.is_global else rank, name,
                            Box(tuple(offsets), tuple(sizes)))
                      for rank, name, offsets, sizes in saved[leaf.path]["chunks"]]
            one = _Wanted(leaf, {})
            for box in needed_of(leaf):
                one.parts[box] = numpy.empty(box.sizes, leaf.value.dtype)
                for chunk, common in sources(leaf.path, box, chunks, own):
                    plan.setdefault(chunk.rank, []).append((one.parts[box], box, chunk, common))
            wanted.append(one)
        return wanted, plan

    def close(self) -> None:
        """Leaves the run; what was staged goes on to become consistent. Twice is once."""
        self.context.close()

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Shards:
    """Shards of one step: this process's own, and one other at a time."""

    def __init__(self, context: Context, own: Shard, timeout: float) -> None:
        self.own = own
        self._context, self._timeout = context, timeout
        self._other: Shard | None = None

    def get(self, rank: int) -> Shard:
        if rank == self.own.rank:
            return self.own
        if self._other is None or self._other.rank != rank:
            if self._other is not None:
                self._other.close()
            self._other = self._context.open(rank, self.own.step, self._timeout)
        return self._other

    def close(self) -> None:
        if self._other is not None:
            self._other.close()
        self.own.close()


def _bytes(name: str, data: bytes, keep: list[Any]) -> Tensor:
    array = numpy.frombuffer(data, numpy.uint8)
    keep.append(array)
    return describe(name, "U8", array)


def _check(leaves: list[Leaf], saved: dict[str, Any], values: dict[str, Any],
           keys: dict[str, str]) -> None:
    """StateError for whatever does not fit, all of it by name."""
    wrong = []
    for leaf in leaves:
        if not leaf.is_array:
            wrong += [] if leaf.path in values else [f"{leaf.path} was not saved"]
            continue
        found = saved.get(leaf.path)
        if found is None:
            wrong.append(f"{leaf.path} was not saved")
        elif tuple(found["size"]) != tuple(leaf.value.shape):
            wrong.append(f"{leaf.path} is {tuple(found['size'])} in the checkpoint and "
                         f"{tuple(leaf.value.shape)} here")
        elif found["dtype"] != leaf.value.dtype.name:
            wrong.append(f"{leaf.path} is {found['dtype']} in the checkpoint and "
                         f"{leaf.value.dtype.name} here")
        elif keys.get(leaf.path) != leaf.key:
            wrong.append(f"{leaf.path} is {keys.get(leaf.path) or 'no random key'} in the "
                         f"checkpoint and {leaf.key or 'no random key'} here")
    here = {leaf.path for leaf in leaves}
    wrong += [f"{path} has no place here" for path in (*saved, *values) if path not in here]
    if wrong:
        more = f", and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise StateError("CKPT_ERR_INVALID", "; ".join(wrong[:5]) + more + ": nothing was loaded")


def _copy(shard: Shard, plan: list[Any]) -> None:
    """Copies what one shard has of the parts that are wanted."""
    inside = parts(shard)
    for _, _, chunk, _ in plan:
        if chunk.name not in inside:
            raise StateError("CKPT_ERR_CORRUPT", f"rank {shard.rank}'s shard has no {chunk.name}")
    shard.want((name, common.inside(there)) for _, _, chunk, common in plan
               for name, there in [inside[chunk.name]])
    for array, box, chunk, common in plan:
        name, there = inside[chunk.name]
        memory = shard.part(name, common.inside(there))
        source = numpy.frombuffer(memory, array.dtype).reshape(there.sizes)
        array[common.within(box)] = source[common.within(there)]


def _placed(one: _Wanted) -> Any:
    """The leaf, with its values, where it belongs."""
    shape = tuple(one.leaf.value.shape)
    if not one.leaf.is_global:
        return next(iter(one.parts.values()))
    sharding = getattr(one.leaf.value, "sharding", None)
    if sharding is None:
        made = jax.numpy.asarray(next(iter(one.parts.values())))
    else:
        made = jax.make_array_from_callback(
            shape, sharding, lambda index: one.parts[box_of(index, shape)],
            dtype=one.leaf.value.dtype)
    if one.leaf.key:
        made = jax.random.wrap_key_data(made, impl=one.leaf.key)
    return made


def _same_everywhere(step: int) -> int:
    """Process 0's answer, where there are several: between two asks a newer step may come."""
    if jax.process_count() == 1:
        return step
    from jax.experimental import multihost_utils

    halves = numpy.array([step >> 32, step & 0xffffffff], numpy.uint32)
    high, low = (int(half) for half in multihost_utils.broadcast_one_to_all(halves))
    return high << 32 | low


@contextlib.contextmanager
def _named(run: str, step: int) -> Iterator[None]:
    """Errors about the state name run and step."""
    try:
        yield
    except StateError as error:
        raise type(error)(error.status, f"run {run}, step {step}: {error.reason}") from error
