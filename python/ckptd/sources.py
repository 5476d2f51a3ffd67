# SPDX-License-Identifier: Apache-2.0
"""What is sent at a restore: of which shards, which rows of their tensors, and who has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Protocol

from . import names, peers
from .boxes import Box, parts
from .context import Context, Shard
from .restored import STATE, order
from .sharing import SHARES, listed

_ALIGNED = 64  # bytes
_SMALL = 1 << 20  # bytes; a tensor of the extra state that a head brings along


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
                           "names": brought}).encode()
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
    givers: dict[int, int]  # {rank that saved: the rank that has its shard and gives of it}
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

        return Sources([group], {rank: rank for rank in group}, lambda _: shard, none,
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
        return Sources(rounds, givers, mine.get, whole.get, mine.close, seconds)

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


def _size(shard: Shard | Head, inside: str) -> int:
    begin, end = shard.entries[inside]["data_offsets"]
    return int(end - begin)


@dataclass(frozen=True)
class Place:
    """Where rows of a tensor of a shard lie in what is sent at once."""

    name: str
    box: Box
    begin: int
    end: int
    at: int


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
            places.append(Place(inside, box, begin, end, size))
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
