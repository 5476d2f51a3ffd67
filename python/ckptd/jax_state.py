# SPDX-License-Identifier: Apache-2.0
"""A pytree of JAX as pieces of shards: which process saves what, and who needs which piece back.

Every element is saved once, by the process that has its replica 0. Where that is follows from an
array's sharding, so that each process can say where every piece of every process is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Iterable, Sequence

import jax
import numpy

from . import names, plain
from .boxes import TYPE_CODES, Box, covers
from .context import Tensor
from .errors import StateError
from .names import shard_name

KEYS = "ckptd.jax.keys"  # metadata: {a leaf's path: the implementation of its random key}
LAYOUT = "ckptd.jax.layout"  # metadata: layout_of() the index


@dataclass(frozen=True)
class Leaf:
    """One leaf of a tree: its path, and the array that stands for it."""

    path: str
    value: Any  # jax.Array, jax.ShapeDtypeStruct, numpy.ndarray, or plain data
    key: str | None = None  # the implementation, where the leaf is a random key

    @property
    def is_array(self) -> bool:
        return isinstance(self.value, (jax.Array, jax.ShapeDtypeStruct, numpy.ndarray))

    @property
    def is_global(self) -> bool:
        """Whether it lies over processes, rather than being each process's own."""
        return not isinstance(self.value, numpy.ndarray)


@dataclass(frozen=True)
class Chunk:
    """A piece of a leaf: who has it, under which name, and which part of the whole it is."""

    rank: int
    name: str
    box: Box


def leaves_of(tree: Any) -> tuple[list[Leaf], Any]:
    """The leaves in the tree's order, and its structure. StateError for two of one path."""
    found, structure = jax.tree_util.tree_flatten_with_path(tree)
    leaves = [_leaf("/".join(map(_part, path)), value) for path, value in found]
    if len({leaf.path for leaf in leaves}) != len(leaves):
        seen: set[str] = set()
        twice = next(leaf.path for leaf in leaves if leaf.path in seen or seen.add(leaf.path))
        raise StateError("CKPT_ERR_NAME", f"two leaves have the path {twice}")
    return leaves, structure


def _part(entry: Any) -> str:
    """A key of a path as text."""
    for attribute in ("key", "idx", "name"):
        if hasattr(entry, attribute):
            return names.part(str(getattr(entry, attribute)))
    return names.part(str(entry))


def _leaf(path: str, value: Any) -> Leaf:
    path = names.of_model(path)
    if isinstance(value, (numpy.generic, numpy.ndarray)):
        return Leaf(path, numpy.asarray(value))
    if not isinstance(value, (jax.Array, jax.ShapeDtypeStruct)):
        return Leaf(path, value)
    if not jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        return Leaf(path, value)
    if isinstance(value, jax.ShapeDtypeStruct):
        raise StateError("CKPT_ERR_DTYPE", f"{path} is a random key that is only described: give "
                                           "one that is there, such as jax.random.key(0)")
    if value.is_deleted():
        raise StateError("CKPT_ERR_INVALID", f"{path} is a random key that was deleted: it was "
                                             "donated to a computation")
    return Leaf(path, jax.random.key_data(value), str(jax.random.key_impl(value)))


def type_of(leaf: Leaf) -> str:
    """What safetensors calls its type; StateError for one that it does not have."""
    code = TYPE_CODES.get(leaf.value.dtype.name)
    if code is None:
        raise StateError("CKPT_ERR_DTYPE", f"{leaf.path} is {leaf.value.dtype.name}, which the "
                                           "safetensors format does not have: view it as another")
    return code


def box_of(index: Sequence[slice], shape: Sequence[int]) -> Box:
    """The part that a device holds, from the slices that JAX gives."""
    bounds = [part.indices(size)[:2] for part, size in zip(index, shape)]
    return Box(tuple(begin for begin, _ in bounds), tuple(end - begin for begin, end in bounds))


def chunks_of(leaf: Leaf, rank: int) -> list[Chunk]:
    """Every piece of the leaf, of all processes, in one order everywhere. An array of NumPy is
    each process's own: then of this one only."""
    shape = tuple(leaf.value.shape)
    if not leaf.is_global:
        return [Chunk(rank, leaf.path, Box((0,) * len(shape), shape))]
    first: dict[Box, int] = {}  # the first device of each part is the one of its replica 0
    for device, index in leaf.value.sharding.devices_indices_map(shape).items():
        first.setdefault(box_of(index, shape), device.process_index)
    count: dict[int, int] = {}
    chunks = []
    for box, owner in first.items():
        number = count[owner] = count.get(owner, -1) + 1
        chunks.append(Chunk(owner, leaf.path if number == 0 else f"{leaf.path}/chunk.{number}",
                            box))
    return chunks


def index_of(chunks: Iterable[tuple[Leaf, list[Chunk]]]) -> dict[str, Any]:
    """Where every piece is, as the index of ckptd.dcp has it: its Reader can read this state."""
    return {"tensors": {leaf.path: {
        "dtype": leaf.value.dtype.name, "size": list(leaf.value.shape),
        "chunks": [[chunk.rank, chunk.name, list(chunk.box.offsets), list(chunk.box.sizes)]
                   for chunk in found]} for leaf, found in chunks},
            "values": {}, "paths": plain.split({}, "paths", lambda path, leaf: False)}


def layout_of(index: dict[str, Any]) -> str:
    """A name for an index: who would make the same one need not read it."""
    return hashlib.sha256(json.dumps(index["tensors"]).encode()).hexdigest()


def memory_of(leaf: Leaf, rank: int) -> dict[Box, numpy.ndarray]:
    """The pieces that this process saves, in its host memory: for an array on the CPU, its own."""
    if not leaf.is_global:
        return {Box((0,) * leaf.value.ndim, leaf.value.shape): contiguous(leaf.value)}
    if leaf.value.is_deleted():
        raise StateError("CKPT_ERR_INVALID", f"{leaf.path} was deleted: it was donated to a "
                                             "computation; save what that gave back")
    return {box_of(shard.index, leaf.value.shape): contiguous(numpy.asarray(shard.data))
            for shard in leaf.value.addressable_shards if shard.replica_id == 0}


def contiguous(array: numpy.ndarray) -> numpy.ndarray:
    """Itself where it lies so already; unlike ascontiguousarray(), of any number of dimensions."""
    return array if array.flags.c_contiguous else array.copy(order="C")


def describe(name: str, code: str, array: numpy.ndarray) -> Tensor:
    return Tensor(shard_name(name), code, array.shape,
                  array.ctypes.data if array.nbytes else 0, array.nbytes)


def needed_of(leaf: Leaf) -> list[Box]:
    """The parts that this process wants of a leaf, each once."""
    shape = tuple(leaf.value.shape)
    sharding = getattr(leaf.value, "sharding", None)
    if sharding is None:
        return [Box((0,) * len(shape), shape)]
    found = sharding.addressable_devices_indices_map(shape).values()
    return list(dict.fromkeys(box_of(index, shape) for index in found))


def sources(path: str, box: Box, chunks: Sequence[Chunk], own: int) -> list[tuple[Chunk, Box]]:
    """Which pieces have a part, and what of it each has; this process's own where two do.
    StateError when they do not have all of it."""
    if box.count == 0:
        return []
    met = [(chunk, box & chunk.box) for chunk in
           sorted(chunks, key=lambda chunk: chunk.rank != own)]
    chosen = {common: chunk for chunk, common in reversed(met) if common is not None}
    moved = [Box(tuple(a - b for a, b in zip(common.offsets, box.offsets)), common.sizes)
             for common in chosen]
    if not covers(box.sizes, moved):
        raise StateError("CKPT_ERR_CORRUPT", f"the checkpoint does not have the whole of {path}")
    return [(chunk, common) for common, chunk in chosen.items()]
