# SPDX-License-Identifier: Apache-2.0
"""Storage for torch.distributed.checkpoint: dcp.save, dcp.async_save and dcp.load as they are.

    context = ckptd.Context("run", attempt=..., rank=..., world=...)
    writer, reader = ckptd.dcp.Writer(context), ckptd.dcp.Reader(context)

    dcp.save(state, checkpoint_id=step, storage_writer=writer)       returns when consistent
    dcp.async_save(state, checkpoint_id=step, storage_writer=writer.at(step))
    dcp.load(state, checkpoint_id=step, storage_reader=reader)       any world; without id: newest

at(step) lets the writer, which is the stager too, copy into the agent's memory at once: one copy is
all that training waits for. Without it the state is copied twice, first within this process.

What is no tensor goes as JSON, never as pickle. A shard is a safetensors file with PyTorch's own
sharding information: exported, PyTorch's HuggingFaceStorageReader opens it without this package.
"""

from __future__ import annotations

import io
import json
import os
import re
import threading
from typing import Any

import torch
from torch.distributed.checkpoint import StorageReader, StorageWriter
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import (
    LoadItemType,
    LoadPlan,
    LoadPlanner,
    ReadItem,
    SavePlan,
    SavePlanner,
    WriteItem,
    WriteItemType,
)
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

from . import plain
from .checkpointer import _same_everywhere
from .context import LATEST, Context, Shard, Table, Tensor
from .errors import NoCheckpoint, StateError, UsageError
from .library import ffi
from .tensors import TYPES, Box, any_of, describe, parts, sharding_metadata, view

VALUES = "ckptd/values.json"  # what is no tensor: {fqn: value}
INDEX = "ckptd/index.json"  # in rank 0's shard: where every chunk of every rank is


def step_of(checkpoint_id: Any) -> int:
    """A step from what DCP calls a checkpoint_id: 100, "100", "run/step-100", a path."""
    found = re.search(r"(\d+)\D*\Z", os.fspath(checkpoint_id) if isinstance(
        checkpoint_id, os.PathLike) else str(checkpoint_id))
    if found is None:
        raise UsageError("CKPT_ERR_STEP", f"checkpoint_id {checkpoint_id!r} has no step: give a "
                                          'number, or a name that ends with one, as "step-100"')
    return int(found[1])


def _done(value: Any) -> Future:
    future: Future = Future()
    future.set_result(value)
    return future


class _Layout:
    """The tensors of one plan, told to libckpt once for as long as nothing moves."""

    def __init__(self) -> None:
        self._key: Any = None
        self.table = Table([])
        self.metadata: dict[str, str] = {}
        self.names: dict[MetadataIndex, str] = {}

    def take(self, items: list[tuple[WriteItem, torch.Tensor]], rest: list[Tensor]) -> None:
        key = [(item.index, item.tensor_data.chunk.offsets, tensor.data_ptr(), tensor.shape,
                tensor.dtype) for item, tensor in items] + [tensor.name for tensor in rest]
        if key != self._key:
            self._key, count = key, {}
            tensors, boxes = [], []
            for item, tensor in items:
                fqn = item.index.fqn
                number = count[fqn] = count.get(fqn, -1) + 1
                name = fqn if number == 0 else f"{fqn}/chunk.{number}"
                tensors.append(describe(name, tensor))
                boxes.append((name, Box(tuple(item.tensor_data.chunk.offsets),
                                        tuple(tensor.shape))))
                self.names[item.index] = name
            self.table = Table(tensors + rest)
            self.metadata = sharding_metadata(
                boxes + [(tensor.name, Box((0,), tensor.shape)) for tensor in rest])
        for place, tensor in enumerate(rest, len(items)):
            self.table.put(place, tensor)


class Writer(StorageWriter):
    """Saves what DCP has planned, and is the stager of dcp.async_save.

    timeout bounds, in seconds, how long finish() waits for the step to be consistent.
    """

    _synchronize_after_execute = False

    def __init__(self, context: Context, timeout: float = 60.0) -> None:
        self.context, self.timeout = context, timeout
        self._given: int | None = None  # by a checkpoint_id
        self._step: int | None = None
        self._next: int | None = None  # what at() said
        self._staged: list[int] = []  # copied by stage() already, and not finished yet
        self._layout = _Layout()
        self._stager: DefaultStager | None = None
        self._free = threading.Event()  # the stager's buffers have been read
        self._free.set()

    # ---- StorageWriter ----

    def reset(self, checkpoint_id: Any = None) -> None:
        self._given = None if checkpoint_id is None else step_of(checkpoint_id)

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """DCP does not call reset() when it was given no checkpoint_id."""
        given, self._given = self._given, None
        self._step = next((step for step in (given, *self._staged[-1:], self._next)
                           if step is not None), None)
        self._next = None
        if self._step is None:
            raise UsageError("CKPT_ERR_STEP", "no step was given: checkpoint_id=step")
        if self._staged and self._step not in self._staged:
            raise UsageError("CKPT_ERR_STEP", f"step {self._staged[-1]} was staged by at(), and "
                                              f"{self._step} is to be saved")

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """The coordinator's: rank 0 also gets the index of all chunks."""
        if len(plans) != self.context.world:
            # Every rank for itself (use_collectives=False, no_dist): no index.
            return plans
        first = SavePlan(items=plans[0].items, planner_data=plans[0].planner_data,
                         usable=plans[0].usable, storage_data=_index_of(plans))
        return [first, *plans[1:]]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        assert self._step is not None
        try:
            if self._step in self._staged:
                self._staged.remove(self._step)
            else:
                self._copy(self._step, plan, planner)
        finally:
            self._free.set()
        return _done([WriteResult(index=item.index, size_in_bytes=0, storage_data=None)
                      for item in plan.items])

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """The coordinator's: returns when every rank's shard has its copies, equal by digest."""
        assert self._step is not None
        self.context.wait(self._step, self.timeout)

    def storage_meta(self) -> StorageMeta | None:
        return StorageMeta()

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        return re.search(r"\d", str(checkpoint_id)) is not None

    # ---- AsyncStager ----

    def at(self, step: int) -> Writer:
        """The next dcp.async_save is this step's: it is staged in the agent's memory at once."""
        self._next = step
        return self

    @property
    def should_synchronize_after_execute(self) -> bool:
        return False

    def stage(self, state_dict: Any) -> Any:
        """A state that may change when this returns: the copy is in the agent's memory, or here."""
        if self._next is not None:
            step, self._next = self._next, None
            planner = DefaultSavePlanner()
            planner.set_up_planner(state_dict, None, True)
            self._copy(step, planner.create_local_plan(), planner)
            self._staged.append(step)
            return state_dict  # of which only shapes are looked at from here on
        if not self._free.wait(self.timeout):
            raise UsageError("CKPT_ERR_BUSY", "the last asynchronous save is still being copied: "
                                              "wait for its future, or use writer.at(step)")
        if self._stager is None:
            self._stager = DefaultStager(StagingOptions(False, False, False, False))
        self._free.clear()
        try:
            return self._stager.stage(state_dict)
        except BaseException:
            self._free.set()
            raise

    def synchronize_staging(self) -> None:
        return None

    def close(self) -> None:
        """Frees the stager's buffers; the context stays the caller's."""
        if self._stager is not None:
            self._stager.close()
            self._stager = None

    # ---- the copy ----

    def _copy(self, step: int, plan: SavePlan, planner: SavePlanner) -> None:
        tensors, values = [], {}
        for item in plan.items:
            if item.type == WriteItemType.BYTE_IO:
                values[item.index.fqn] = _plain_value(planner, item)
            else:
                tensor = planner.resolve_data(item)
                assert any_of(tensor)
                tensors.append((item, tensor.detach().cpu().contiguous()))
        texts = [(VALUES, plain.dumps(values))]
        if isinstance(plan.storage_data, dict) and INDEX in plan.storage_data:
            texts.append((INDEX, plain.dumps(plan.storage_data[INDEX])))
        memory = [ffi.from_buffer(text) for _, text in texts]
        rest = [Tensor(name, "U8", (len(text),), int(ffi.cast("uintptr_t", at)), len(text))
                for (name, text), at in zip(texts, memory)]
        self._layout.take(tensors, rest)
        self.context.save(step, self._layout.table, self._layout.metadata)
        del memory


def _plain_value(planner: SavePlanner, item: WriteItem) -> Any:
    """The object itself: the planner would pickle it."""
    lookup = getattr(planner, "lookup_object", None)
    if lookup is None:
        raise StateError("CKPT_ERR_INVALID", f"{type(planner).__name__} gives {item.index.fqn} as "
                         "pickled bytes only, which are not saved: derive it from "
                         "DefaultSavePlanner")
    value = lookup(item.index)
    if isinstance(value, io.BytesIO):
        value = value.getvalue()
    return plain.split(value, item.index.fqn, lambda path, leaf: False)


def _index_of(plans: list[SavePlan]) -> dict[str, Any]:
    """Where every chunk of every rank is, as JSON."""
    chunks: dict[str, Any] = {}
    values: dict[str, int] = {}
    paths: dict[str, Any] = {}
    for rank, plan in enumerate(plans):
        count: dict[str, int] = {}
        if isinstance(plan.planner_data, dict):
            paths.update(plan.planner_data)
        for item in plan.items:
            fqn = item.index.fqn
            if item.type == WriteItemType.BYTE_IO:
                values[fqn] = rank
                continue
            number = count[fqn] = count.get(fqn, -1) + 1
            data = item.tensor_data
            whole = chunks.setdefault(fqn, {"dtype": str(data.properties.dtype)[6:],
                                            "size": list(data.size), "chunks": []})
            whole["chunks"].append([rank, fqn if number == 0 else f"{fqn}/chunk.{number}",
                                    list(data.chunk.offsets), list(data.chunk.sizes)])
    return {INDEX: {"tensors": chunks, "values": values,
                    "paths": plain.split(paths, "paths", lambda path, leaf: False)}}


class Reader(StorageReader):
    """Loads into whatever sharding DCP has planned, from whatever world has saved.

    step None: the newest consistent one, agreed on with the other ranks where there are some.
    """

    def __init__(self, context: Context, step: int | None = None, timeout: float = 60.0) -> None:
        self.context, self.timeout = context, timeout
        self._asked = step
        self._given: int | None = None
        self._step: int | None = None
        self._places: dict[MetadataIndex, tuple[int, str]] = {}

    @property
    def step(self) -> int | None:
        """Which step the last load has read."""
        return self._step

    def reset(self, checkpoint_id: Any = None) -> None:
        self._given = None if checkpoint_id is None else step_of(checkpoint_id)

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """What is there, by rank 0's index or, without one, by every shard's header."""
        given, self._given = self._given, None
        self._places = {}
        self._step = self._asked if given is None else given
        if self._step is None:
            self._step = _same_everywhere(self._newest())
        world = self.context.info(self._step).world
        with self._shard(0) as shard:
            if INDEX in shard.entries:
                return self._from_index(json.loads(bytes(shard.data(INDEX))))
            found = _Found()
            found.take(0, shard)
        for rank in range(1, world):
            with self._shard(rank) as shard:
                found.take(rank, shard)
        self._places = found.places
        return Metadata(found.metadata, storage_data=found.places, planner_data={})

    def _newest(self) -> int:
        """A number, so that the ranks can compare: rank 0's failure is found by each itself."""
        try:
            return self.context.info(LATEST).step
        except NoCheckpoint:
            if self.context.rank == 0:
                raise
            return 0

    def _shard(self, rank: int) -> Shard:
        assert self._step is not None
        return self.context.fetch(rank, self._step, self.timeout)

    def _from_index(self, index: dict[str, Any]) -> Metadata:
        metadata: dict[str, Any] = {}
        for fqn, whole in index["tensors"].items():
            chunks = []
            for rank, name, offsets, sizes in whole["chunks"]:
                chunks.append(ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes)))
                self._places[MetadataIndex(fqn, offsets)] = (rank, name)
            metadata[fqn] = TensorStorageMetadata(
                TensorProperties(dtype=getattr(torch, whole["dtype"])),
                torch.Size(whole["size"]), chunks)
        for fqn, rank in index["values"].items():
            metadata[fqn] = BytesStorageMetadata()
            self._places[MetadataIndex(fqn)] = (rank, fqn)
        paths = plain.join(index["paths"], lambda path: None)
        return Metadata(metadata, storage_data=self._places, planner_data=paths)

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any,
                              **kwargs: Any) -> None:
        return None

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Each shard that something is wanted of is mapped once, and the ranges are copied."""
        wanted: dict[int, list[tuple[str, ReadItem]]] = {}
        for item in plan.items:
            rank, name = self._places[item.storage_index]
            wanted.setdefault(rank, []).append((name, item))
        for rank, items in sorted(wanted.items()):
            with self._shard(rank) as shard:
                inside = {own: place for own, (place, _) in parts(shard).items()}
                values = json.loads(bytes(shard.data(VALUES))) if VALUES in shard.entries else {}
                for name, item in items:
                    if item.type == LoadItemType.BYTE_IO:
                        planner.load_bytes(item, _as_torch_bytes(values[name]))
                    else:
                        _read_tensor(shard, inside[name], item, planner)
        return _done(None)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        return re.search(r"\d", str(checkpoint_id)) is not None


class _Found:
    """Metadata put together from the shards' headers, where no index was saved."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}
        self.places: dict[MetadataIndex, tuple[int, str]] = {}

    def take(self, rank: int, shard: Shard) -> None:
        if VALUES in shard.entries:
            for fqn in json.loads(bytes(shard.data(VALUES))):
                self.metadata[fqn] = BytesStorageMetadata()
                self.places.setdefault(MetadataIndex(fqn), (rank, fqn))
        for name, (inside, box) in parts(shard).items():
            if inside in (VALUES, INDEX):
                continue
            fqn = re.sub(r"/chunk\.\d+\Z", "", name)
            index = MetadataIndex(fqn, box.offsets)
            if index in self.places:
                continue  # a replica of what another rank has
            self.places[index] = (rank, name)
            chunk = ChunkStorageMetadata(torch.Size(box.offsets), torch.Size(box.sizes))
            end = [a + n for a, n in zip(box.offsets, box.sizes)]
            whole = self.metadata.get(fqn)
            if whole is None:
                dtype = TYPES[shard.entries[inside]["dtype"]]
                self.metadata[fqn] = TensorStorageMetadata(TensorProperties(dtype=dtype),
                                                           torch.Size(end), [chunk])
            else:
                whole.chunks.append(chunk)
                whole.size = torch.Size(map(max, whole.size, end))


def _read_tensor(shard: Shard, name: str, item: ReadItem, planner: LoadPlanner) -> None:
    source = view(shard, name)
    for dimension, (begin, length) in enumerate(zip(item.storage_offsets, item.lengths)):
        source = source.narrow(dimension, begin, length)
    target = planner.resolve_tensor(item).detach()
    if target.size() != source.size():
        raise StateError("CKPT_ERR_SIZE", f"{item.storage_index.fqn} has {tuple(source.size())} in "
                                          f"the checkpoint and {tuple(target.size())} here")
    target.copy_(source)
    planner.commit_tensor(item, target)


def _as_torch_bytes(value: Any) -> io.BytesIO:
    """PyTorch's planner wants what torch.save makes; it is made here, of data read as JSON."""
    buffer = io.BytesIO()
    torch.save(plain.join(value, lambda path: None), buffer)
    buffer.seek(0)
    return buffer
