# SPDX-License-Identifier: Apache-2.0
"""One rank of one attempt of a run, connected to this node's agent: libckpt as an object.

Knows nothing of PyTorch: a tensor here is a name, a type, a shape and an address. Methods may be
called from any thread; a wait never holds up a save.
"""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from .errors import Error, Timeout, of_status
from .library import C, dtype_number, ffi, has_ranges, has_tier_waits, library, text
from .shard import DIGEST_KINDS, Range, Shard, open_shard

LATEST = 2**64 - 1
_POLL_SECONDS = (0.0005, 0.02)  # between two looks of a wait: the first, and at most
_TIER_POLL_SECONDS = (0.005, 0.1)  # the same, of one for the tier


@dataclass(frozen=True)
class Tensor:
    """What is said of a tensor once. `address` may be 0 for one without elements."""

    name: str
    dtype: str  # as safetensors has it: "F32"
    shape: tuple[int, ...]
    address: int
    bytes: int


class Table:
    """Tensors as libckpt takes them, made once and used for every save.

    Holds no reference to the memory that the addresses point to: the caller does.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.array = ffi.new(C["struct ckpt_tensor[]"], max(1, len(tensors)))
        self.count = len(tensors)
        self.bytes = 0
        self._names: list[Any] = [ffi.NULL] * len(tensors)
        for index, tensor in enumerate(tensors):
            self.put(index, tensor)
        self.bytes = sum(tensor.bytes for tensor in tensors)

    def names(self) -> list[str]:
        """Of its tensors."""
        return [text(name) for name in self._names[: self.count]]

    def put(self, index: int, tensor: Tensor) -> None:
        """Says another tensor at a place of the table."""
        entry = self.array[index]
        self._names[index] = ffi.new(C["char[]"], tensor.name.encode())
        entry.name = self._names[index]
        entry.dtype = dtype_number(tensor.dtype)
        entry.dimensions = len(tensor.shape)
        if len(tensor.shape) > 8:
            raise of_status("CKPT_ERR_SIZE", f"{tensor.name} has {len(tensor.shape)} dimensions, "
                                             "and 8 is the most")
        for dimension, length in enumerate(tensor.shape):
            entry.shape[dimension] = length
        entry.data = ffi.cast(C["void *"], tensor.address)
        entry.bytes = tensor.bytes


def replica_value(pieces: Sequence[tuple[int, int]], seed: int = 0) -> int:
    """XXH3 of memory, given as (address, bytes), one piece after the other."""
    array = ffi.new(C["struct ckpt_piece[]"], max(1, len(pieces)))
    for entry, (address, size) in zip(array, pieces):
        entry.data, entry.bytes = ffi.cast(C["void *"], address), size
    return int(library().ckpt_replica_value(array, len(pieces), seed))


def _leave(library: Any, handle: Any) -> None:
    """Leaves the run of a context that nobody can reach any more."""
    library.ckpt_close(handle)


@dataclass(frozen=True)
class DeviceReport:
    """What became of copies from or to a GPU: see struct ckpt_device_report."""

    is_proven: bool
    bytes: int
    packed: int
    nans: int
    infinities: int
    reason: str


@dataclass(frozen=True)
class Info:
    """What is known of a consistent checkpoint."""

    step: int
    attempt: int
    world: int
    copies: int
    bytes: int


class Context:
    """A rank (or, with reader=True, an onlooker) of a run.

    Raises the exceptions of ckptd.errors; what each method may raise is in include/ckpt/ckpt.h,
    under the function of the same name. timeout, in seconds, bounds every call that talks to the
    agent; waits and loads have their own.
    """

    def __init__(self, run: str, *, attempt: int = 0, rank: int = 0, world: int = 1,
                 socket: str | None = None, copies: int = 0, timeout: float = 5.0,
                 copy_threads: int = 1, reader: bool = False) -> None:
        self.run, self.rank, self.world = run, rank, world
        self._lock = threading.RLock()
        self._shards: weakref.WeakSet[Shard] = weakref.WeakSet()
        self._handle = ffi.new(C["struct ckpt **"])
        self._watch: Any = None
        self._library = library()
        options = ffi.new(C["struct ckpt_options *"])
        keep = [ffi.new(C["char[]"], run.encode())]
        options.size = ffi.sizeof(C["struct ckpt_options"])
        options.run = keep[0]
        if socket is not None:
            keep.append(ffi.new(C["char[]"], socket.encode()))
            options.socket = keep[1]
        options.attempt, options.rank, options.world = attempt, rank, world
        options.copies, options.copy_threads = copies, copy_threads
        options.timeout_ms = max(1, int(timeout * 1000))
        options.reader = reader
        reason = ffi.new(C["char[256]"])
        status = self._library.ckpt_open_reason(options, self._handle, reason, 256)
        if status != 0:
            raise self._error(status, text(reason))
        # At the interpreter's end the process ends, and with it the connection.
        self._finalizer = weakref.finalize(self, _leave, self._library, self._handle)
        self._finalizer.atexit = False

    @property
    def attempt(self) -> int:
        """The number of this start of the run; 0 as long as the coordinator has given it none, for
        which all ranks of the world have to have opened."""
        with self._lock:
            return int(self._library.ckpt_attempt(self._open))

    def _error(self, status: int, reason: str) -> Error:
        name = text(self._library.ckpt_status_name(status))
        return of_status(name, reason or text(self._library.ckpt_status_text(status)))

    @property
    def _open(self) -> Any:
        """The context for a call; UsageError after close()."""
        if self._handle[0] == ffi.NULL:
            raise of_status("CKPT_ERR_INVALID", f"the context of run {self.run} is closed")
        return self._handle[0]

    def _check(self, status: int) -> None:
        if status != 0:
            raise self._error(status, text(self._library.ckpt_reason(self._handle[0])))

    @staticmethod
    def _pairs(metadata: Mapping[str, str] | None) -> tuple[Any, int, list[Any]]:
        pairs = metadata or {}
        array = ffi.new(C["struct ckpt_metadata[]"], max(1, len(pairs)))
        keep = []
        for entry, (key, value) in zip(array, pairs.items()):
            keep += [ffi.new(C["char[]"], key.encode()), ffi.new(C["char[]"], value.encode())]
            entry.key, entry.value = keep[-2], keep[-1]
        return array, len(pairs), keep

    def save(self, step: int, table: Table, metadata: Mapping[str, str] | None = None) -> None:
        """Stages a step: the tensors are copied, and may be changed, when this returns."""
        array, count, keep = self._pairs(metadata)
        with self._lock:
            self._check(self._library.ckpt_save(
                self._open, step, table.array, table.count, array, count))
        del keep

    def prepare(self, size: int) -> None:
        """Has the memory of the next saves, of shards of `size` bytes, granted, mapped and faulted
        in, in this thread. Full and Timeout are no failure of a save; see Preparer for a thread."""
        with self._lock:
            self._check(self._library.ckpt_prepare(self._open, size))

    def stop_preparing(self) -> None:
        """Ends a prepare() that another thread is in, soon."""
        if self._handle[0] != ffi.NULL:
            self._library.ckpt_prepare_stop(self._handle[0])

    def save_begin(self, step: int, table: Table,
                   metadata: Mapping[str, str] | None = None) -> list[int]:
        """Takes a slot, copies what has an address, and returns where each tensor's bytes go.

        Those without an address are the caller's to write; then save_end() or save_cancel().
        """
        array, count, keep = self._pairs(metadata)
        addresses = ffi.new(C["void *[]"], max(1, table.count))
        with self._lock:
            self._check(self._library.ckpt_save_begin(
                self._open, step, table.array, table.count, array, count, addresses))
        del keep
        return [int(ffi.cast(C["uintptr_t"], address)) for address in addresses[0 : table.count]]

    def watch_mappings(self, watch: Callable[[int, int, int, bool], None]) -> None:
        """Calls watch(address, bytes, generation, mapped) when a slot's memory has been mapped, and
        before it is unmapped, in the thread that saves or closes; for what is there, at once. What
        it raises is lost."""
        @ffi.callback("void(void *, const struct ckpt_mapping *, bool)")
        def told(_: Any, mapping: Any, mapped: bool) -> None:
            watch(int(ffi.cast(C["uintptr_t"], mapping.address)), int(mapping.bytes),
                  int(mapping.generation), bool(mapped))

        with self._lock:
            self._check(self._library.ckpt_watch_mappings(self._open, told, ffi.NULL))
            self._watch = told  # lives as long as it may be called

    def save_gather(self, step: int, descriptor: int,
                    places: Sequence[tuple[int, int]]) -> None:
        """Has the agent read tensors of save_begin() out of a dma-buf: (place in the table, offset
        in the dma-buf) for each. After Timeout and NoAgent the save is over; after another error
        they are still the caller's to write."""
        array = ffi.new(C["struct ckpt_device_tensor[]"], max(1, len(places)))
        for entry, (tensor, offset) in zip(array, places):
            entry.tensor, entry.offset = tensor, offset
        with self._lock:
            self._check(self._library.ckpt_save_gather(
                self._open, step, descriptor, array, len(places)))

    def save_device(self, step: int, places: Sequence[tuple[int, int]], stream: int) -> None:
        """Has tensors of save_begin() copied out of a GPU's memory, and proven from there on:
        (place in the table, address) for each. Returns at once; what `stream` is given from now on
        waits for the copies, as save_end() does."""
        array = ffi.new(C["struct ckpt_device_source[]"], max(1, len(places)))
        for entry, (tensor, address) in zip(array, places):
            entry.tensor, entry.address = tensor, ffi.cast(C["void *"], address)
        with self._lock:
            self._check(self._library.ckpt_save_device(
                self._open, step, array, len(places), ffi.cast(C["void *"], stream)))

    def load_device(self, shard: Shard, targets: Mapping[str, tuple[int, int]],
                    stream: int) -> None:
        """Copies tensors of a shard of this context into a GPU's memory, {name: (address, bytes)},
        and proves them there. What it raises leaves the targets of no use."""
        array = ffi.new(C["struct ckpt_device_target[]"], max(1, len(targets)))
        keep = []
        for entry, (name, (address, size)) in zip(array, targets.items()):
            keep.append(ffi.new(C["char[]"], name.encode()))
            entry.name, entry.bytes = keep[-1], size
            entry.address = ffi.cast(C["void *"], address)
        with self._lock:
            self._check(self._library.ckpt_load_device(
                self._open, shard._raw, array, len(targets), ffi.cast(C["void *"], stream)))
        del keep

    def device_report(self) -> DeviceReport:
        """Of the last save_end() with tensors of save_device(), or load_device()."""
        raw = ffi.new(C["struct ckpt_device_report *"])
        raw.size = ffi.sizeof(raw[0])
        with self._lock:
            self._check(self._library.ckpt_device_report(self._open, raw))
        return DeviceReport(bool(raw.is_proven), int(raw.bytes), int(raw.packed), int(raw.nans),
                            int(raw.infinities), text(raw.reason))

    def save_end(self, step: int) -> None:
        """Seals what save_begin() has begun."""
        with self._lock:
            self._check(self._library.ckpt_save_end(self._open, step))

    def save_cancel(self, step: int) -> None:
        """Gives the slot of save_begin() back."""
        with self._lock:
            self._check(self._library.ckpt_save_cancel(self._open, step))

    def save_replica(self, step: int, leader: int, part: int, value: int) -> None:
        """Says with the save of the step that follows what other ranks hold alike: `leader` is the
        lowest of them, `value` replica_value() of the part. Whoever differs makes it Diverged."""
        word = ffi.new(C["struct ckpt_replica *"], {"leader": leader, "part": part, "value": value})
        with self._lock:
            self._check(self._library.ckpt_save_replica(self._open, step, word))

    def is_consistent(self, step: int) -> bool:
        """Looks, without waiting. Raises when the step never will be."""
        return self._look(self._library.ckpt_wait, step)

    def wait(self, step: int, timeout: float) -> None:
        """Waits until a saved step is consistent; Timeout when it is not yet, of which
        NoCoordinator is the kind that names the cause.

        Looks again and again, so that a save of another thread is never held up.
        """
        self._wait(self._library.ckpt_wait, step, timeout, _POLL_SECONDS)

    def is_persisted(self, step: int) -> bool:
        """Looks, without waiting, at what has come, and asks where it is time to. Raises when the
        step will never be in the tier, or there is none."""
        return self._look(self._tier_wait(), step)

    def wait_persisted(self, step: int, timeout: float) -> None:
        """Waits until a saved step is whole in the tier: every rank's shard, and their manifest, on
        record. Timeout when it is not yet; UsageError when it was passed over; an Error with the
        status CKPT_ERR_UNSUPPORTED where no agent has a tier; Lost, Aborted when it ended before.
        """
        self._wait(self._tier_wait(), step, timeout, _TIER_POLL_SECONDS)

    @staticmethod
    def _tier_wait() -> Any:
        if not has_tier_waits():
            raise Error("CKPT_ERR_UNSUPPORTED", "this libckpt is of before ckpt_wait_persisted: "
                                                "install a newer one")
        return library().ckpt_wait_persisted

    def _look(self, wait: Any, step: int) -> bool:
        with self._lock:
            try:
                self._check(wait(self._open, step, 0))
            except Timeout:
                return False
        return True

    def _wait(self, wait: Any, step: int, timeout: float, poll: tuple[float, float]) -> None:
        deadline = time.monotonic() + timeout
        pause, most = poll
        while not self._look(wait, step):
            left = deadline - time.monotonic()
            if left <= 0:
                with self._lock:
                    self._check(wait(self._open, step, 1))
                return
            time.sleep(min(pause, left))
            pause = min(most, pause * 1.3)

    def info(self, step: int = LATEST) -> Info:
        """Which checkpoint is there: the newest consistent one, or the step asked for."""
        out = ffi.new(C["struct ckpt_info *"])
        with self._lock:
            self._check(self._library.ckpt_info(self._open, step, out))
        return Info(int(out.step), int(out.attempt), int(out.world), int(out.copies),
                    int(out.bytes))

    def load(self, step: int = LATEST, timeout: float = 60.0) -> Shard:
        """This rank's shard of the step that all ranks of the attempt restore: all, or none."""
        raw = ffi.new(C["struct ckpt_shard *"])
        with self._lock:
            self._check(self._library.ckpt_load(
                self._open, step, int(timeout * 1000), raw))
        return Shard(self, raw)

    def fetch(self, rank: int, step: int = LATEST, timeout: float = 60.0) -> Shard:
        """Any rank's shard; waits for no other rank."""
        raw = ffi.new(C["struct ckpt_shard *"])
        with self._lock:
            self._check(self._library.ckpt_fetch(
                self._open, step, rank, int(timeout * 1000), raw))
        return Shard(self, raw)

    def read_range(self, rank: int, tensor: str | None, offset: int, size: int,
                   step: int = LATEST, timeout: float = 60.0, into: Any = None) -> Range:
        """Bytes of a tensor of any rank's shard (None: of its file), of which no more than the
        chunks that they touch is proven and moved.

        `into` is memory of `size` bytes that they are copied to, in place of new memory. See open()
        for more than one range.
        """
        return self.read_range_or_shard(rank, tensor, offset, size, step, timeout, into, False)[0]

    def read_range_or_shard(
            self, rank: int, tensor: str | None, offset: int, size: int, step: int = LATEST,
            timeout: float = 60.0, into: Any = None,
            wants_shard: bool = True) -> tuple[Range, Shard | None]:
        """As read_range(); and the shard, where all of it was proven and moved for the range."""
        if not has_ranges():
            raise of_status("CKPT_ERR_UNSUPPORTED", "libckpt is of before ckpt_read_range: fetch "
                                                    "the shard")
        memory = memoryview(bytearray(size) if into is None else into).cast("B")
        if len(memory) != size:
            raise of_status("CKPT_ERR_SIZE", f"{size} bytes are to be read into {len(memory)}")
        out = ffi.new(C["struct ckpt_range *"])
        whole = ffi.new(C["struct ckpt_shard *"]) if wants_shard else ffi.NULL
        name = ffi.NULL if tensor is None else ffi.new(C["char[]"], tensor.encode())
        with self._lock, ffi.from_buffer(memory, require_writable=True) as address:
            self._check(self._library.ckpt_read_range(
                self._open, step, rank, name, offset, size, address, int(timeout * 1000), out,
                whole))
        found = Range(
            int(out.step), int(out.attempt), int(out.world), bytes(ffi.buffer(out.digest)),
            DIGEST_KINDS.get(int(out.digest_kind), "blake3"), bool(out.is_whole),
            int(out.shard_bytes), memory)
        return found, Shard(self, whole) if wants_shard and found.is_whole else None

    def open(self, rank: int, step: int = LATEST, timeout: float = 60.0) -> Shard:
        """Any rank's shard to look into: as fetch(), but only what is looked at is proven, moved
        and copied, by chunks of 1 MiB. `timeout` is each read's.

        Most of a shard is better fetched; want() of what it gives decides that by itself. A shard
        is fetched, too, when it is small, or cannot be proven by parts (a run of BLAKE3).
        """
        return open_shard(self, rank, step, timeout)

    def unload(self, raw: Any) -> None:
        """What Shard.close() calls."""
        with self._lock:
            if self._handle[0] != ffi.NULL:
                self._library.ckpt_unload(self._handle[0], raw)

    def close(self) -> None:
        """Leaves the run. What was sealed goes on to become consistent. Twice is once.

        Shards are given back too: what data() gave of them must not be touched any more.
        """
        for shard in list(self._shards):
            shard.close()
        with self._lock:
            self._finalizer()

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
