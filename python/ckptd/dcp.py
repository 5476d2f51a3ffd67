# SPDX-License-Identifier: Apache-2.0
"""Storage for torch.distributed.checkpoint: dcp.save, dcp.async_save and dcp.load as they are.

    context = ckptd.Context("run", attempt=..., rank=..., world=...)
    writer, reader = ckptd.dcp.Writer(context), ckptd.dcp.Reader(context)

    if reader.exists():                                              the same answer for all ranks
        dcp.load(state, storage_reader=reader)                       any world; the newest
    dcp.save(state, checkpoint_id=step, storage_writer=writer)       returns when consistent
    dcp.async_save(state, checkpoint_id=step, storage_writer=writer.at(step))

at(step) lets the writer, which is the stager too, copy into the agent's memory at once: one copy is
all that training waits for. Without it the state is copied twice, first within this process.

What is no tensor goes as JSON, never as pickle. A shard is a safetensors file with PyTorch's own
sharding information: exported, PyTorch's HuggingFaceStorageReader opens it without this package.
"""

from __future__ import annotations

import io
import json
import threading
from contextlib import ExitStack
from typing import Any

import torch
from torch.distributed.checkpoint import StorageReader, StorageWriter
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex, StorageMeta
from torch.distributed.checkpoint.planner import (
    LoadItemType,
    LoadPlan,
    LoadPlanner,
    ReadItem,
    SavePlan,
    SavePlanner,
    WriteItem,
)
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future
from torch.utils import _pytree as pytree

from . import forms, names, plain
from .context import LATEST, Context, Shard, Table, Tensor
from .dcp_index import (
    INDEX,
    VALUE_TENSOR,
    VALUES,
    WHOLE,
    Found,
    Place,
    chunk_names,
    index_of,
    is_value,
    metadata_of,
    step_of,
)
from .errors import Error, NoCheckpoint, StateError, UsageError
from .library import C, ffi
from .names import shard_name
from .boxes import Box, parts, sharding_metadata
from .tensors import any_of, dense, describe, is_sharded, type_name, view

_HELD = 8  # shards that a load has open at once


def newest(context: Context, process_group: Any = None, agree: bool = True) -> int | None:
    """The newest consistent step of the context's run, or None while it has none.

    Where ranks share the run and torch.distributed is up this is a collective over process_group
    (None: all): its first rank asks, and each rank gets that answer, or raises that error.
    agree=False asks for this process alone, as for dcp.load(no_dist=True).
    """
    distributed = torch.distributed
    if not (agree and context.world > 1 and distributed.is_available()
            and distributed.is_initialized()):
        answer = _look(context)
    else:
        box = [_look(context) if distributed.get_rank(process_group) == 0 else None]
        first = 0 if process_group is None else distributed.get_global_rank(process_group, 0)
        distributed.broadcast_object_list(box, src=first, group=process_group)
        answer = box[0]
    if isinstance(answer, Error):
        raise answer
    return answer


def _look(context: Context) -> int | Error | None:
    try:
        return context.info(LATEST).step
    except NoCheckpoint:
        return None
    except Error as error:
        return error


def has_checkpoint(context: Context, process_group: Any = None) -> bool:
    """Whether there is something to load: the question of a first start. As newest()."""
    return newest(context, process_group) is not None


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

    def take(self, items: list[tuple[WriteItem, torch.Tensor]], rest: list[Tensor]) -> None:
        key = [(item.index, item.tensor_data.chunk.offsets, item.tensor_data.size,
                tensor.data_ptr(), tensor.shape, tensor.dtype)
               for item, tensor in items] + [(tensor.name, len(tensor.shape)) for tensor in rest]
        if key != self._key:
            self._key = key
            tensors, boxes, wholes = [], [], {}
            for (item, tensor), name in zip(items, chunk_names(item for item, _ in items)):
                data, shape = item.tensor_data, tuple(tensor.shape)
                tensors.append(describe(name, tensor))
                boxes.append((name, Box(tuple(data.chunk.offsets), shape)))
                if name != item.index.fqn or tuple(data.size) != shape:
                    wholes[name] = [item.index.fqn, list(data.size)]
            self.table = Table(tensors + rest)
            self.metadata = sharding_metadata(
                boxes + [(tensor.name, Box((0,) * len(tensor.shape), tensor.shape))
                         for tensor in rest])
            self.metadata[WHOLE] = json.dumps(wholes, separators=(",", ":"))
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
        self._plans: list[SavePlan] | None = None  # what the coordinator gave to every rank
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
        """Refuses by name what PyTorch would stumble over later."""
        for item in plan.items:
            if item.tensor_data is not None:
                type_name(item.index.fqn, item.tensor_data.properties.dtype)
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """The coordinator's. A planner that caches gives empty plans for ranks whose plan is the
        one of last time, so what it has merged is looked at in write_data()."""
        self._plans = plans
        return plans

    def _index(self, planner: SavePlanner) -> dict[str, Any] | None:
        """Where everything is, on the coordinator when it is known of all ranks; else None, and a
        loading rank looks at each shard's header."""
        given, self._plans = self._plans, None
        if given is None or self.context.rank != 0:
            return None
        plans = getattr(planner, "global_plan", None)
        if not isinstance(plans, list) or len(plans) != len(given):
            plans = given
        # Every rank for itself (use_collectives=False, no_dist): the others' plans are not known.
        if len(plans) != self.context.world or not all(plan.usable for plan in plans):
            return None
        return index_of(plans)

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        assert self._step is not None
        try:
            if self._step in self._staged:
                self._staged.remove(self._step)
            else:
                self._copy(self._step, plan, planner, self._index(planner))
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
        return _is_step(checkpoint_id)

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
            _refuse_by_name(planner)
            self._copy(step, planner.create_local_plan(), planner)
            self._staged.append(step)
            return state_dict  # of which only shapes are looked at from here on
        if not self._free.wait(self.timeout):
            raise UsageError("CKPT_ERR_BUSY", "the last asynchronous save is still being copied: "
                                              "wait for its future, or use writer.at(step)")
        if any(any_of(leaf) and _why_not(leaf) for leaf in pytree.tree_leaves(state_dict)):
            planner = DefaultSavePlanner()
            planner.set_up_planner(state_dict, None, True)
            _refuse_by_name(planner)
        if self._stager is None:
            self._stager = DefaultStager(StagingOptions(False, False, False, False))
        self._free.clear()
        try:
            return self._stager.stage(_without_lazy_views(state_dict))
        except BaseException:
            self._free.set()
            _refuse_values_by_name(state_dict)
            raise

    def synchronize_staging(self) -> None:
        return None

    def close(self) -> None:
        """Frees the stager's buffers; the context stays the caller's."""
        if self._stager is not None:
            self._stager.close()
            self._stager = None

    # ---- the copy ----

    def _copy(self, step: int, plan: SavePlan, planner: SavePlanner,
              index: dict[str, Any] | None = None) -> None:
        tensors, values, inside = [], {}, []

        def take(path: str, value: torch.Tensor) -> bool:
            inside.append((VALUE_TENSOR + path, dense(value)))
            return True

        for item in plan.items:
            if is_value(item):
                values[item.index.fqn] = _plain_value(planner, item, take)
            else:
                tensor = planner.resolve_data(item)
                assert any_of(tensor)
                tensors.append((item, _dense(item.index.fqn, tensor)))
        texts = [(VALUES, plain.dumps(values))]
        if index is not None:
            texts.append((INDEX, plain.dumps(index)))
        memory = [ffi.from_buffer(text) for _, text in texts]
        rest = [Tensor(name, "U8", (len(text),), int(ffi.cast(C["uintptr_t"], at)), len(text))
                for (name, text), at in zip(texts, memory)]
        rest += [describe(name, tensor) for name, tensor in inside]
        self._layout.take(tensors, rest)
        self.context.save(step, self._layout.table, self._layout.metadata)
        del memory


def _why_not(tensor: torch.Tensor) -> str | None:
    """Why a tensor of a state is not saved by PyTorch's planner and this writer."""
    if forms.is_subclass(tensor) and not is_sharded(tensor):
        return "PyTorch's planner does not give its parts: save it by ckptd.attach()"
    return forms.refusal(tensor)


def _refuse_by_name(planner: DefaultSavePlanner) -> None:
    """What PyTorch's planner and stager stumble over, or save as something else."""
    for path, value in planner.state_dict.items():
        why = _why_not(value) if any_of(value) else None
        if why is not None:
            raise plain._refuse(str(path), value, why)


def _refuse_values_by_name(state_dict: Any) -> None:
    """What PyTorch's stager could not copy may be what is not saved either."""
    planner = DefaultSavePlanner()
    planner.set_up_planner(state_dict, None, True)
    for path, value in planner.state_dict.items():
        if not any_of(value):
            plain.split(value, names.part(str(path)), lambda *_: True)


def _dense(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The values of what the planner gives, in memory of the CPU."""
    why = forms.refusal(tensor)
    found = None if why is not None else dense(tensor)
    if found is not None and forms.is_subclass(found):
        why = _why_not(found)
    if found is None or why is not None:
        raise plain._refuse(name, tensor, str(why))
    return found


def _is_step(checkpoint_id: Any) -> bool:
    try:
        step_of(checkpoint_id)
    except UsageError:
        return False
    return True


def _without_lazy_views(state_dict: Any) -> Any:
    """PyTorch's stager copies the memory behind a lazy conjugate or negative, and forgets that it
    is one."""
    def worked_out(leaf: Any) -> Any:
        return leaf.resolve_conj().resolve_neg() if any_of(leaf) else leaf

    lazy = any(any_of(leaf) and (leaf.is_conj() or leaf.is_neg())
               for leaf in pytree.tree_leaves(state_dict))
    return pytree.tree_map(worked_out, state_dict) if lazy else state_dict


def _plain_value(planner: SavePlanner, item: WriteItem, take: plain.Take) -> Any:
    """The object itself, as JSON: the planner would pickle it."""
    lookup = getattr(planner, "lookup_object", None)
    if lookup is None:
        raise StateError("CKPT_ERR_INVALID", f"{type(planner).__name__} gives {item.index.fqn} as "
                         "pickled bytes only, which are not saved: derive it from "
                         "DefaultSavePlanner")
    return plain.split(lookup(item.index), names.part(item.index.fqn), take)


class Reader(StorageReader):
    """Loads into whatever sharding DCP has planned, from whatever world has saved.

    step None: the newest consistent one, on which the ranks of process_group (None: all) agree;
    agree=False for dcp.load(no_dist=True), where no other rank loads at the same time.
    """

    def __init__(self, context: Context, step: int | None = None, timeout: float = 60.0,
                 process_group: Any = None, agree: bool = True) -> None:
        self.context, self.timeout = context, timeout
        self._asked, self._group, self._agree = step, process_group, agree
        self._given: int | None = None
        self._step: int | None = None
        self._places: dict[MetadataIndex, Place] = {}

    @property
    def step(self) -> int | None:
        """Which step the last load has read."""
        return self._step

    def newest(self) -> int | None:
        """Which step a load without checkpoint_id would read, or None; see ckptd.dcp.newest()."""
        if self._asked is not None:
            return self._asked
        return newest(self.context, self._group, self._agree)

    def exists(self) -> bool:
        """Whether the run has a checkpoint. All ranks ask, and all get the same answer; with none
        dcp.load raises on every rank."""
        return self.newest() is not None

    def reset(self, checkpoint_id: Any = None) -> None:
        self._given = None if checkpoint_id is None else step_of(checkpoint_id)

    # DCP asks a reader that takes **kwargs again after a failure, rank by rank: this one does not,
    # as the ranks agree, and another round of that would wait for those whose first one was good.
    def read_metadata(self) -> Metadata:  # type: ignore[override]
        """What is there, by rank 0's index or, without one, by every shard's header.

        Lost when that does not have the whole of each tensor, before anything is filled.
        """
        given, self._given = self._given, None
        self._places = {}
        self._step = self.newest() if given is None else given
        if self._step is None:
            raise NoCheckpoint("CKPT_ERR_NO_CHECKPOINT", f"run {self.context.run} has no "
                               "consistent checkpoint yet: start from the beginning, as "
                               "reader.exists() says")
        world = self.context.info(self._step).world
        metadata = self._metadata(world, f"step {self._step} of {self.context.run}")
        self._places = metadata.storage_data
        strange = {rank for rank, _ in self._places.values() if not 0 <= rank < world}
        if strange:
            raise StateError("CKPT_ERR_CORRUPT", f"the index of step {self._step} names rank "
                                                 f"{min(strange)} in a world of {world}")
        return metadata

    def _metadata(self, world: int, said_by: str) -> Metadata:
        with self._shard(0) as shard:
            if INDEX in shard.entries:
                return metadata_of(json.loads(bytes(shard.data(INDEX))), said_by)
            found = Found()
            found.take(0, shard)
        for rank in range(1, world):
            with self._shard(rank) as shard:
                found.take(rank, shard)
        return found.metadata(said_by)

    def _shard(self, rank: int) -> Shard:
        assert self._step is not None
        return self.context.open(rank, self._step, self.timeout)

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any,
                              **kwargs: Any) -> None:
        return None

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Each shard that something is wanted of is opened, looked through, and then copied from.

        Of the first _HELD shards nothing is copied before all of them have what the index says.
        """
        wanted: dict[int, list[tuple[str, ReadItem]]] = {}
        for item in plan.items:
            rank, name = self._places[item.storage_index]
            wanted.setdefault(rank, []).append((name, item))
        ranks = sorted(wanted)
        with ExitStack() as held:
            sources = [_Source(held.enter_context(self._shard(rank)), wanted[rank])
                       for rank in ranks[:_HELD]]
            for source in sources:
                source.read(planner)
            del sources
        for rank in ranks[_HELD:]:
            with self._shard(rank) as shard:
                _Source(shard, wanted[rank]).read(planner)
        return _done(None)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        return _is_step(checkpoint_id)


class _Source:
    """A shard and what is wanted of it: StateError where it is not there."""

    def __init__(self, shard: Shard, wanted: list[tuple[str, ReadItem]]) -> None:
        self._shard = shard
        self._values: dict[str, Any] = {}
        self._items: list[tuple[Any, ReadItem]] = []  # a value, or a tensor's name in the shard
        if VALUES in shard.entries:
            self._values = json.loads(bytes(shard.data(VALUES)))
        inside = {own: place for own, (place, _) in parts(shard).items()}
        for name, item in wanted:
            if item.type == LoadItemType.BYTE_IO:
                there = name in self._values
                found = there and plain.join(self._values[name], lambda path: view(
                    shard, shard_name(VALUE_TENSOR + path)).clone())
            else:
                found = inside.get(name)
                shape = shard.entries[found]["shape"] if found is not None else ()
                there = found is not None and len(shape) == len(item.lengths) and all(
                    begin + length <= size for begin, length, size in
                    zip(item.storage_offsets, item.lengths, shape))
            if not there:
                raise StateError("CKPT_ERR_CORRUPT", f"the shard of rank {shard.rank} at step "
                                 f"{shard.step} does not have {name} as its index says")
            self._items.append((found, item))

    def read(self, planner: LoadPlanner) -> None:
        self._shard.want((found, _box_of(item)) for found, item in self._items
                         if item.type != LoadItemType.BYTE_IO)
        for found, item in self._items:
            if item.type == LoadItemType.BYTE_IO:
                planner.load_bytes(item, _as_torch_bytes(found))
            else:
                _read_tensor(view(self._shard, found, _box_of(item)), item, planner)


def _box_of(item: ReadItem) -> Box:
    """The part of a shard's tensor that is wanted."""
    return Box(tuple(item.storage_offsets), tuple(item.lengths))


def _read_tensor(source: torch.Tensor, item: ReadItem, planner: LoadPlanner) -> None:
    for dimension, (begin, length) in enumerate(zip(item.storage_offsets, item.lengths)):
        source = source.narrow(dimension, begin, length)
    target = planner.resolve_tensor(item).detach()
    if target.size() != source.size():
        raise StateError("CKPT_ERR_SIZE", f"{item.storage_index.fqn} has {tuple(source.size())} in "
                                          f"the checkpoint and {tuple(target.size())} here")
    target.copy_(source)
    planner.commit_tensor(item, target)


def _as_torch_bytes(value: Any) -> io.BytesIO:
    """PyTorch's planner wants what torch.save makes; it is made here, of what was read as data."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return buffer
