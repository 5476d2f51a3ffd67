# SPDX-License-Identifier: Apache-2.0
"""Where every chunk of every rank is: made of DCP's plans, kept as JSON, and checked when read.

An index is believed only when its chunks cover each of its tensors: a hole would leave in the
target what was there before, and nobody would be told.
"""

from __future__ import annotations

import json
import operator
import os
import re
from typing import Any, Iterable, Sequence

import torch
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import SavePlan, WriteItem, WriteItemType

from . import plain
from .context import Shard
from .errors import Lost, UsageError
from .boxes import Box, covers, parts
from .tensors import TYPES

VALUES = "ckptd/values.json"  # what is no tensor: {fqn: value}
VALUE_TENSOR = "ckptd/values/"  # before the path of a tensor or array inside such a value
INDEX = "ckptd/index.json"  # in rank 0's shard: where every chunk of every rank is
WHOLE = "ckptd.dcp"  # metadata of a shard: {a part's name: [its fqn, the size of the whole]}

Place = tuple[int, str]  # a rank, and a name in its shard

_STEP_MAX = 2**64 - 2
# "step-100", "global_step100", "iter_0000100", "epoch=1-step=100": the last one counts.
_LABELLED = re.compile(r"(?<![A-Za-z])(?:global[-_]?)?(step|iter|iteration|checkpoint|ckpt|epoch)"
                       r"[-_=. ]*(\d+)(?![A-Za-z\d]|\.\d)", re.IGNORECASE)
_BARE = re.compile(r"(\d+)(?:\.[A-Za-z]\w*)?\Z")


def step_of(checkpoint_id: Any) -> int:
    """A step from what DCP calls a checkpoint_id: 100, "100", "run/step-100/model", "7.pt".

    A name says it by a number after step, iter, checkpoint, ckpt or epoch, or is one; the last part
    of a path that does either counts. UsageError for one that says none.
    """
    if hasattr(checkpoint_id, "__index__") and not isinstance(checkpoint_id, bool):
        return _in_range(operator.index(checkpoint_id), checkpoint_id)
    text = os.fspath(checkpoint_id) if isinstance(checkpoint_id, os.PathLike) else checkpoint_id
    if isinstance(text, str):
        for part in reversed(text.split("/")):
            labelled = _LABELLED.findall(part)
            if labelled:
                steps = [number for label, number in labelled if label.lower() != "epoch"]
                return _in_range(int((steps or [number for _, number in labelled])[-1]), text)
            if _BARE.match(part):
                return _in_range(int(_BARE.match(part)[1]), text)
    raise UsageError("CKPT_ERR_STEP", f"checkpoint_id {checkpoint_id!r} has no step: give a "
                                      'number, or a name in which one follows "step": "step-100"')


def _in_range(step: int, said: Any) -> int:
    if not 0 <= step <= _STEP_MAX:
        raise UsageError("CKPT_ERR_STEP", f"checkpoint_id {said!r}: a step is from 0 to 2^64 - 2")
    return step


def chunk_names(items: Iterable[WriteItem]) -> list[str]:
    """The name of each item in its rank's shard: its fqn, or one with a number for a second."""
    items = list(items)
    taken = {item.index.fqn for item in items}
    seen: set[str] = set()
    names = []
    for item in items:
        name, number = item.index.fqn, 0
        while name in seen or (number > 0 and name in taken):
            number += 1
            name = f"{item.index.fqn}/chunk.{number}"
        seen.add(name)
        names.append(name)
    return names


def is_value(item: WriteItem) -> bool:
    """Whether an item is no tensor."""
    return item.type == WriteItemType.BYTE_IO


def index_of(plans: Sequence[SavePlan]) -> dict[str, Any]:
    """Of the plans of all ranks, in rank order: where every chunk is, for plain.dumps()."""
    chunks: dict[str, Any] = {}
    values: dict[str, int] = {}
    paths: dict[str, Any] = {}
    for rank, plan in enumerate(plans):
        if isinstance(plan.planner_data, dict):
            paths.update(plan.planner_data)
        values.update((item.index.fqn, rank) for item in plan.items if is_value(item))
        items = [item for item in plan.items if not is_value(item)]
        for item, name in zip(items, chunk_names(items)):
            data = item.tensor_data
            whole = chunks.setdefault(item.index.fqn, {
                "dtype": str(data.properties.dtype)[6:], "size": list(data.size), "chunks": []})
            whole["chunks"].append([rank, name, list(data.chunk.offsets), list(data.chunk.sizes)])
    return {"tensors": chunks, "values": values,
            "paths": plain.split(paths, "paths", lambda path, leaf: False)}


def metadata_of(index: dict[str, Any], said_by: str) -> Metadata:
    """What DCP wants to know, from an index; its storage_data has {MetadataIndex: Place}.

    Lost, which names the tensor, when the chunks are not a whole.
    """
    metadata: dict[str, Any] = {}
    places: dict[MetadataIndex, Place] = {}
    for fqn, whole in index["tensors"].items():
        boxes: dict[Box, Place] = {}
        for rank, name, offsets, sizes in whole["chunks"]:
            boxes.setdefault(Box(tuple(offsets), tuple(sizes)), (rank, name))
        metadata[fqn] = _tensor(fqn, getattr(torch, whole["dtype"]), whole["size"], boxes, said_by)
        _put_places(places, fqn, boxes)
    for fqn, rank in index["values"].items():
        metadata[fqn] = BytesStorageMetadata()
        places[MetadataIndex(fqn)] = (rank, fqn)
    return Metadata(metadata, storage_data=places,
                    planner_data=plain.join(index["paths"], lambda path: None))


def _put_places(places: dict[MetadataIndex, Place], fqn: str, boxes: dict[Box, Place]) -> None:
    for offsets, box in chosen(boxes).items():
        places[MetadataIndex(fqn, torch.Size(offsets))] = boxes[box]


def _tensor(fqn: str, dtype: torch.dtype, size: Sequence[int], boxes: Iterable[Box],
            said_by: str) -> TensorStorageMetadata:
    """One tensor's metadata, once its chunks are known to be a whole."""
    distinct = list(chosen(boxes).values())
    problem = _problem(tuple(size), distinct)
    if problem:
        raise Lost("CKPT_ERR_CORRUPT", f"{said_by} does not have the whole of {fqn}, which is "
                                       f"{tuple(size)}: {problem}; nothing was loaded")
    return TensorStorageMetadata(TensorProperties(dtype=dtype), torch.Size(size), [
        ChunkStorageMetadata(torch.Size(box.offsets), torch.Size(box.sizes)) for box in distinct])


def chosen(boxes: Iterable[Box]) -> dict[tuple[int, ...], Box]:
    """One box for each place that some begin at: the largest, as DCP names a chunk by its place."""
    found: dict[tuple[int, ...], Box] = {}
    for box in boxes:
        if box.offsets not in found or box.count > found[box.offsets].count:
            found[box.offsets] = box
    return found


def _problem(size: tuple[int, ...], boxes: list[Box]) -> str | None:
    """Why the boxes are no whole of this size; None when they are one."""
    for box in boxes:
        if len(box.offsets) != len(size) or len(box.sizes) != len(size) or any(
                begin < 0 or length < 0 or begin + length > most
                for begin, length, most in zip(box.offsets, box.sizes, size)):
            return f"a chunk at {box.offsets} of {box.sizes} is not inside"
    if 0 in size:
        return None
    if not covers(size, [box for box in boxes if box.count > 0]):
        return (f"{sum(box.count for box in boxes)} of {Box((0,) * len(size), size).count} "
                f"elements are in its {len(boxes)} chunks")
    return None


class Found:
    """Metadata put together from the shards' headers, where no index was saved."""

    def __init__(self) -> None:
        self._values: dict[str, Place] = {}
        self._wholes: dict[str, tuple[torch.dtype, list[int], dict[Box, Place]]] = {}

    def take(self, rank: int, shard: Shard) -> None:
        """Adds what one shard has."""
        if VALUES in shard.entries:
            for fqn in json.loads(bytes(shard.data(VALUES))):
                self._values.setdefault(fqn, (rank, fqn))
        wholes = json.loads(shard.metadata.get(WHOLE, "null"))
        for name, (inside, box) in parts(shard).items():
            if inside in (VALUES, INDEX) or name.startswith(VALUE_TENSOR):
                continue
            if wholes is None:  # saved before parts said whose they are
                fqn, size = re.sub(r"/chunk\.\d+\Z", "", name), None
            else:
                fqn, size = wholes.get(name, (name, None))
            end = [a + n for a, n in zip(box.offsets, box.sizes)]
            whole = self._wholes.setdefault(
                fqn, (TYPES[shard.entries[inside]["dtype"]], list(size or end), {}))
            if len(whole[1]) == len(end):
                whole[1][:] = map(max, whole[1], end)
            whole[2].setdefault(box, (rank, name))  # not a replica of what another rank has

    def metadata(self, said_by: str) -> Metadata:
        """As metadata_of()."""
        metadata: dict[str, Any] = {fqn: BytesStorageMetadata() for fqn in self._values}
        places = {MetadataIndex(fqn): place for fqn, place in self._values.items()}
        for fqn, (dtype, size, boxes) in self._wholes.items():
            metadata[fqn] = _tensor(fqn, dtype, size, boxes, said_by)
            _put_places(places, fqn, boxes)
        return Metadata(metadata, storage_data=places, planner_data={})
