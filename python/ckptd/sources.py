# SPDX-License-Identifier: Apache-2.0
"""What is sent at a restore: of which shards, which rows of their tensors, and who has them."""

from __future__ import annotations

import itertools
import json
import queue
import threading
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Protocol, Sequence

import torch

from . import names, peers
from .boxes import Box, parts
from .context import Context
from .restored import STATE, order
from .shard import PartialShard, Shard
from .sharing import SHARES, listed

_ALIGNED = 64  # bytes
_SMALL = 1 << 20  # bytes; a tensor of the extra state that a head brings along
_AHEAD = 2  # pieces that are read before their turn


class Shards(Protocol):
    """Shards of one step, opened as they are wanted."""

    def get(self, rank: int) -> Shard: ...

    def close(self) -> None: ...


class Head:
    """What another rank's shard has, and what of it is no tensor: a shard to look at. What it has
    not is asked of `whole`."""

    def __init__(self, rank: int, raw: bytes, shares: memoryview | None,
                 whole: Callable[[int], Shard]) -> None:
        length = int.from_bytes(raw[:8], "little")
        said = json.loads(raw[8:8 + length])
        self.rank = rank
        self.entries: dict[str, dict[str, Any]] = said["entries"]
        self.metadata: dict[str, str] = said["metadata"]
        self.is_in_parts: bool = said["parts"]  # any rank can read any part of it, and no more
        self._whole = whole
        self._data = {} if shares is None else {SHARES: shares}
        at = 8 + length
        for name in said["names"]:
            begin, end = self.entries[name]["data_offsets"]
            self._data[name] = memoryview(raw)[at:at + end - begin]
            at += end - begin

    @staticmethod
    def pack(shard: Shard, brought: list[str]) -> bytes:
        said = json.dumps({"entries": shard.entries, "metadata": shard.metadata,
                           "parts": isinstance(shard, PartialShard), "names": brought}).encode()
        return b"".join([len(said).to_bytes(8, "little"), said,
                         *(bytes(shard.data(name)) for name in brought)])

    def data(self, name: str) -> memoryview:
        if name in self._data:
            return self._data[name]
        return self._whole(self.rank).data(name)

    def part(self, name: str, box: Box | None = None) -> memoryview:
        if name in self._data:
            return memoryview(bytearray(self._data[name]))
        return self._whole(self.rank).part(name, box)


@dataclass(frozen=True)
class Sources:
    """Of which shards an exchange is, and how this rank has those that are its to give."""

    rounds: list[list[int]]  # ranks that saved: those of one round are looked at together
    group: list[int]
    givers: dict[int, int]  # {rank that saved: the rank that has its shard, and gives of it}
    get: Callable[[int], Shard]
    whole: Callable[[int], Shard]  # any of them, for the thread of the restore
    close: Callable[[], None]
    seconds: float  # in which a round's shards must be there
    shares: memoryview | None = None  # the list that all of them have; None: each its own

    @staticmethod
    def own(shard: Shard) -> Sources:
        """Each rank's own, and each gives its share."""
        group, _ = listed(shard)

        def none(rank: int) -> Shard:
            raise peers.Lost(f"something of rank {rank} is needed, which is no share")

        return Sources([group], group, {rank: rank for rank in group}, lambda _: shard, none,
                       lambda: None, 0.0, shard.data(SHARES))

    @staticmethod
    def others(context: Context, old_world: int, group: list[int], seconds: float, mine: Shards,
               whole: Shards) -> Sources:
        """Those of another world, in one order for the whole group: first the ones whose extra
        state its ranks go on with."""
        first = {order(rank, context.world, old_world)[0] for rank in group}
        row = order(group[0], context.world, old_world)
        rest = [rank for rank in row if rank not in first]
        rounds = [[rank for rank in row if rank in first]]
        rounds += [rest[at:at + len(group)] for at in range(0, len(rest), len(group))]
        givers = {rank: group[place % len(group)] for ranks in rounds
                  for place, rank in enumerate(ranks)}
        return Sources(rounds, group, givers, mine.get, whole.get, mine.close, seconds)

    def brought(self, shard: Shard) -> list[str]:
        """What a head brings along: what is asked for by name, and no target of its own."""
        if self.shares is not None:
            return [STATE]
        small = [inside for path, (inside, _) in parts(shard).items()
                 if names.model_name(path) is None and not path.startswith("optim")
                 and inside not in (STATE, SHARES) and _size(shard, inside) <= _SMALL]
        return [name for name in (STATE, SHARES) if name in shard.entries] + small

    def wanted(self, heads: dict[int, Head],
               wanted: dict[int, dict[str, Box]]) -> dict[int, dict[str, Box]]:
        """What is sent: all shares, or what all want of the shards."""
        if self.shares is None:
            return wanted
        _, shared = listed(next(iter(heads.values())))  # type: ignore[arg-type]
        return {rank: {inside: box for path, (inside, box) in
                       parts(head).items() if path in shared}  # type: ignore[arg-type]
                for rank, head in heads.items()}


    def row(self, heads: dict[int, Head], wanted: dict[int, dict[str, Box]]) -> Iterator[Piece]:
        """What is sent, piece by piece: of all ranks' reckoning the same. Those of several givers
        come in turn, so that all of them send at once."""
        rows: dict[int, list[Piece]] = {rank: [] for rank in self.group}
        turns = itertools.cycle(self.group)
        for rank, head in heads.items():
            for places, size in pieces(head, wanted.get(rank, {})):
                giver = next(turns) if head.is_in_parts else self.givers[rank]
                rows[giver].append(Piece(giver, rank, places, size))
        turned = itertools.chain.from_iterable(itertools.zip_longest(*rows.values()))
        return (piece for piece in turned if piece is not None)


def _size(shard: Shard | Head, inside: str) -> int:
    begin, end = shard.entries[inside]["data_offsets"]
    return int(end - begin)


@dataclass(frozen=True)
class Place:
    """Where rows of a tensor of a shard lie in what is sent at once."""

    name: str
    box: Box
    inside: Box  # the same as a part of what the shard has of the tensor
    begin: int
    end: int
    at: int


@dataclass(frozen=True)
class Piece:
    """What is sent at once: parts of tensors of one shard, by the rank that gives it."""

    giver: int
    rank: int  # that saved it
    places: list[Place]
    size: int


def pieces(head: Shard | Head, wanted: dict[str, Box]) -> Iterator[tuple[list[Place], int]]:
    """(places, bytes) of what is sent at once of a shard: of all ranks' reckoning the same."""
    places: list[Place] = []
    size = 0
    boxes = dict(parts(head).values())  # type: ignore[arg-type]
    for inside in sorted(wanted, key=lambda name: head.entries[name]["data_offsets"]):
        for box, begin, end in _rows(head, inside, boxes[inside], wanted[inside]):
            if places and size + end - begin > peers.PIECE:
                yield places, size
                places, size = [], 0
            places.append(Place(inside, box, box.inside(boxes[inside]), begin, end, size))
            size += -(-(end - begin) // _ALIGNED) * _ALIGNED
    if places:
        yield places, size


def _rows(head: Shard | Head, inside: str, box: Box,
          wanted: Box) -> Iterator[tuple[Box, int, int]]:
    """The part that is wanted of a tensor, and what lies in the same rows, in parts that lie in a
    row each: (part, its first byte, its end)."""
    begin, end = head.entries[inside]["data_offsets"]
    at = next((at for at, length in enumerate(box.sizes) if length > 1), None)
    if at is None or begin == end:
        yield box, begin, end
        return
    row = (end - begin) // box.sizes[at]
    first, last = wanted.offsets[at], wanted.offsets[at] + wanted.sizes[at]
    most = max(1, peers.PIECE // row)
    for low in range(first, last, most):
        high = min(last, low + most)
        yield (Box((*box.offsets[:at], low, *box.offsets[at + 1:]),
                   (*box.sizes[:at], high - low, *box.sizes[at + 1:])),
               begin + (low - box.offsets[at]) * row, begin + (high - box.offsets[at]) * row)


class Ahead:
    """Reads what this rank gives before its turn, in a thread, while others' pieces come."""

    def __init__(self, read: Callable[[Piece], torch.Tensor], row: Sequence[Piece]) -> None:
        self._read, self._row, self._is_over = read, row, False
        self._found: queue.Queue[Any] = queue.Queue(maxsize=_AHEAD)
        self._thread = threading.Thread(target=self._run, name="ckptd-ahead", daemon=True)
        self._thread.start()

    def take(self) -> torch.Tensor:
        """The next piece's memory. Raises what reading it raised, or Lost."""
        try:
            found = self._found.get(timeout=peers.STALL_SECONDS)
        except queue.Empty:
            raise peers.Lost(f"its agent gave nothing in {peers.STALL_SECONDS:.0f} s") from None
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        self._is_over = True

    def _run(self) -> None:
        for piece in self._row:
            try:
                found: Any = self._read(piece)
            except BaseException as error:
                found = error
            while not self._is_over:
                try:
                    self._found.put(found, timeout=0.05)
                    break
                except queue.Full:
                    continue
            if self._is_over or isinstance(found, BaseException):
                return
