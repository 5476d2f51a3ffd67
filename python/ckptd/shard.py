# SPDX-License-Identifier: Apache-2.0
"""A rank's shard of a consistent checkpoint: mapped whole, or only the parts that are looked at."""

from __future__ import annotations

import json
import mmap
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterable

from .boxes import Box, runs
from .errors import Error, UsageError, of_status
from .library import ffi, has_ranges

if TYPE_CHECKING:
    from .context import Context

DIGEST_KINDS = {1: "blake3", 2: "fingerprint"}  # enum ckpt_digest_kind

CHUNK = 1 << 20  # what is proven, and moved, of a shard at least
_FEW = 8  # chunks; less than that are fetched at once
_WHOLE = 0.75  # of a shard's chunks: whoever wants as much of it has it fetched
_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)


@dataclass(frozen=True)
class Range:
    """Bytes of a shard, and of which shard they are."""

    step: int
    attempt: int
    world: int
    digest: bytes  # of the whole shard
    digest_kind: str  # "blake3" or "fingerprint"
    is_whole: bool  # all of the shard was proven for it, and moved
    shard_bytes: int
    data: memoryview


class Shard:
    """A rank's shard of a consistent checkpoint, mapped read-only from the agent's memory.

    Its digest was committed, and found equal by the agent over this very memory. digest_kind is
    "blake3", which b3sum of the file prints too, or "fingerprint": under a key of the run that
    its daemons alone have, equal for equal shards of one run. Valid until close(), or the
    context's; use it in a with statement.
    """

    def __init__(self, context: Context, raw: Any) -> None:
        self._context, self._raw = context, raw
        self.step, self.attempt = int(raw.step), int(raw.attempt)
        self.rank, self.world = int(raw.rank), int(raw.world)
        self.bytes = int(raw.bytes)
        self.digest = bytes(ffi.buffer(raw.digest))
        self.digest_kind = DIGEST_KINDS.get(int(raw.digest_kind), "blake3")
        memory = ffi.buffer(raw.data, self.bytes)
        self._memory = memoryview(memory)
        # Whoever forgets close(): it goes back when neither this nor a view of it can be reached.
        self._finalizer = weakref.finalize(memory, _forget, context, raw)
        self._finalizer.atexit = False
        length = int.from_bytes(self._memory[:8], "little")
        self._take_header(bytes(self._memory[8 : 8 + length]))
        context._shards.add(self)

    def _take_header(self, text: bytes) -> None:
        header = json.loads(text)
        self.metadata: dict[str, str] = header.pop("__metadata__", {})
        self.entries: dict[str, dict[str, Any]] = header
        self._begin = 8 + len(text)

    def data(self, name: str) -> memoryview:
        """A tensor's bytes, without a copy. They go with the shard."""
        return self.window(*self.entries[name]["data_offsets"]).toreadonly()

    def window(self, begin: int, end: int) -> memoryview:
        """Bytes of the tensors' data, not marked read-only as they are: a write ends the process.

        For libraries that take no read-only memory although they only read.
        """
        return self._memory[self._begin + begin : self._begin + end]

    def part(self, name: str, box: Box | None = None) -> memoryview:
        """As window() of a tensor; of which no more than `box` is looked at, unless that is None.
        """
        return self.window(*self.entries[name]["data_offsets"])

    def want(self, parts: Iterable[tuple[str, Box | None]]) -> None:
        """Says of which tensors, and which part of each (None: all), part() will be asked for."""

    def file(self) -> memoryview:
        """The whole safetensors file, without a copy."""
        return self._memory.toreadonly()

    def close(self) -> None:
        """Gives the shard back. Twice is once."""
        if self._raw is not None:
            self._raw = None
            self._memory = memoryview(b"")
            self._finalizer()

    def __enter__(self) -> Shard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _forget(context: Context, raw: Any) -> None:
    """Gives a shard back that nobody can reach any more."""
    context.unload(raw)


class PartialShard(Shard):
    """A shard of which only what is looked at is read: chunks of 1 MiB, each proven against the
    commit, into memory of this process. What Context.open() gives.

    Used as a Shard. data(), window() and part() read what is not there yet, and want() reads at
    once what several of them will need: the whole shard, where it is most of it. `read_bytes` says
    how much was read so far. Nothing is held at the agent meanwhile: a step that is retired before
    all was read is Lost.
    """

    def __init__(self, context: Context, rank: int, timeout: float, first: Range) -> None:
        self._context, self._timeout = context, timeout
        self.rank = rank
        self.step, self.attempt, self.world = first.step, first.attempt, first.world
        self.bytes, self.digest, self.digest_kind = (
            first.shard_bytes, first.digest, first.digest_kind)
        self.read_bytes = 0
        self._whole: Shard | None = None
        # Pages of it that nothing is read into take no memory.
        self._memory = memoryview(mmap.mmap(
            -1, self.bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE))
        self._there = bytearray(-(-self.bytes // CHUNK))  # of each chunk, whether it was read
        length = int.from_bytes(first.data, "little")
        self._read(self._missing([(0, 8 + length)]))
        self._take_header(bytes(self._memory[8 : 8 + length]))
        context._shards.add(self)

    def window(self, begin: int, end: int) -> memoryview:
        self._need([(self._begin + begin, self._begin + end)])
        return super().window(begin, end)

    def part(self, name: str, box: Box | None = None) -> memoryview:
        self._need(self._ranges(name, box))
        return super().window(*self.entries[name]["data_offsets"])

    def want(self, parts: Iterable[tuple[str, Box | None]]) -> None:
        self._need([one for name, box in parts for one in self._ranges(name, box)])

    def file(self) -> memoryview:
        self._need([(0, self.bytes)])
        return super().file()

    def close(self) -> None:
        self._memory = memoryview(b"")
        if self._whole is not None:
            self._whole.close()

    def _ranges(self, name: str, box: Box | None) -> list[tuple[int, int]]:
        """Where in the file a part of a tensor lies."""
        entry = self.entries[name]
        begin, end = (self._begin + offset for offset in entry["data_offsets"])
        if box is None:
            return [(begin, end)]
        return [(begin + a, begin + b) for a, b in runs(entry["shape"], box, end - begin, CHUNK)]

    def _missing(self, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """(first, behind the last) of the runs of chunks that the ranges touch and that are not
        there; two that lie a chunk apart are one."""
        found: list[tuple[int, int]] = []
        wanted = sorted({chunk for begin, end in ranges if begin < end
                         for chunk in range(begin // CHUNK, (end - 1) // CHUNK + 1)
                         if not self._there[chunk]})
        for chunk in wanted:
            if found and chunk <= found[-1][1] + 1:
                found[-1] = (found[-1][0], chunk + 1)
            else:
                found.append((chunk, chunk + 1))
        return found

    def _need(self, ranges: Iterable[tuple[int, int]]) -> None:
        if not len(self._memory):
            raise UsageError("CKPT_ERR_INVALID", f"the shard of rank {self.rank} is closed")
        missing = self._missing(ranges)
        cost = sum(end - begin + 1 for begin, end in missing)  # an ask costs what a chunk does
        if cost >= _WHOLE * len(self._there):
            self._become(self._context.fetch(self.rank, self.step, self._timeout))
        else:
            self._read(missing)

    def _read(self, missing: Iterable[tuple[int, int]]) -> None:
        for first, last in missing:
            begin, end = first * CHUNK, min(last * CHUNK, self.bytes)
            found, shard = self._context.read_range_or_shard(
                self.rank, None, begin, end - begin, self.step, self._timeout,
                into=self._memory[begin:end])
            if shard is not None:
                self._become(shard)
                return
            self._check(found)
            self._there[first:last] = bytes([1]) * (last - first)
            self.read_bytes += end - begin

    def _become(self, shard: Shard) -> None:
        self._whole = self._check(shard)
        self._memory = shard._memory
        self._there = bytearray([1]) * len(self._there)
        self.read_bytes += self.bytes

    def _check(self, found: Any) -> Any:
        if found.attempt != self.attempt or found.digest != self.digest:
            raise of_status("CKPT_ERR_NOT_FOUND", f"another start has saved step {self.step} while "
                                                  f"rank {self.rank}'s shard of it was read")
        return found


def open_shard(context: Context, rank: int, step: int, timeout: float) -> Shard:
    """A shard to look into: whole where it is small, or where its parts cannot be proven alone."""
    if not has_ranges():
        return context.fetch(rank, step, timeout)
    try:
        first, shard = context.read_range_or_shard(rank, None, 0, 8, step, timeout)
    except UsageError as error:
        if error.status != "CKPT_ERR_SIZE":
            raise
        return context.fetch(rank, step, timeout)  # which says what is wrong with it
    if shard is not None:
        return shard
    if first.shard_bytes <= _FEW * CHUNK:
        return context.fetch(rank, first.step, timeout)
    try:
        return PartialShard(context, rank, timeout, first)
    except Error:
        raise
    except (OSError, ValueError, OverflowError):  # no address space to be had, or no header
        return context.fetch(rank, first.step, timeout)
