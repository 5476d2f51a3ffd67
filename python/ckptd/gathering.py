# SPDX-License-Identifier: Apache-2.0
"""Ranks of a group give each other their shares at a restore, so that each byte leaves the agents
once for the whole group.

Each rank has its own shard by then. Who takes part is agreed on in the store of torch.distributed,
by one word that is written once (compare_set): all of the group go on, or none. The exchange has a
process group of its own, made for it alone, so that one that is given up is not the training's, and
it lies in a thread: nothing here, a store that is gone included, holds a restore up for longer than
the time-outs below. Whoever cannot use what came goes on giving what is its own.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Iterator

import torch

from .context import Context, Shard, replica_value
from .library import ffi
from .restored import STATE
from .sharing import SHARES, listed
from .boxes import parts
from .tensors import TYPES

BATCH = 16 << 20  # bytes that are sent at once; a larger tensor has memory of its size
_ALIGNED = 64  # bytes
_VALUE = 8  # bytes at the end of what is sent at once: replica_value() of what is before them
AGREE_SECONDS = 10.0  # until all of a group have come: they leave a collective load together
STALL_SECONDS = 10.0  # in which what is sent at once must have come
_starts: dict[str, int] = {}  # exchanges that this process has begun, by what they are called


class Lost(Exception):
    """The group does not give it, and why: what is missing is read from peers' shards."""


class Head:
    """What another rank's shard has, and what of it is no tensor: a shard to look at."""

    def __init__(self, rank: int, raw: bytes, shares: memoryview) -> None:
        length = int.from_bytes(raw[:8], "little")
        said = json.loads(raw[8:8 + length])
        self.rank = rank
        self.entries: dict[str, dict[str, Any]] = said["entries"]
        self.metadata: dict[str, str] = said["metadata"]
        self._data = {STATE: memoryview(raw)[8 + length:], SHARES: shares}

    @staticmethod
    def pack(shard: Shard) -> bytes:
        said = json.dumps({"entries": shard.entries, "metadata": shard.metadata}).encode()
        return len(said).to_bytes(8, "little") + said + bytes(shard.data(STATE))

    def data(self, name: str) -> memoryview:
        if name not in self._data:
            raise Lost(f"{name} of rank {self.rank} is needed, which is no share")
        return self._data[name]

    def window(self, begin: int, end: int) -> memoryview:
        raise Lost(f"a tensor of rank {self.rank} is needed, which is no share")


@dataclass(frozen=True)
class _Place:
    """Where an entry of a shard lies in what is sent at once."""

    name: str
    begin: int
    end: int
    at: int


def batches(shard: Shard | Head) -> Iterator[tuple[list[_Place], int]]:
    """(places, bytes) of what is sent at once of a shard's share: of all ranks' reckoning the
    same."""
    _, shared = listed(shard)  # type: ignore[arg-type]
    found = [(*shard.entries[inside]["data_offsets"], inside) for path, (inside, _) in
             parts(shard).items() if path in shared]  # type: ignore[arg-type]
    places: list[_Place] = []
    size = 0
    for begin, end, inside in sorted(found):
        if places and size + end - begin > BATCH:
            yield places, size
            places, size = [], 0
        places.append(_Place(inside, begin, end, size))
        size += -(-(end - begin) // _ALIGNED) * _ALIGNED
    if places:
        yield places, size


def _value(memory: torch.Tensor, size: int) -> torch.Tensor:
    value = replica_value([(memory.data_ptr(), size)])
    return torch.frombuffer(bytearray(value.to_bytes(_VALUE, "little")), dtype=torch.uint8)


@dataclass(frozen=True)
class Given:
    """A tensor of another rank's share, in memory that is soon used again."""

    rank: int
    name: str  # in the shard
    source: torch.Tensor


class Exchange:
    """One restore's exchange. heads() first, then say(), then pieces(); close() in any case."""

    def __init__(self, context: Context, shard: Shard, replicas: Any, timeout: float) -> None:
        self._group, _ = listed(shard)
        self._rank, self._shard = context.rank, shard
        self._deadline = time.monotonic() + timeout
        self._channel: queue.Queue[Any] = queue.Queue(maxsize=2)
        self._verdict: queue.Queue[bool] = queue.Queue()
        self._lock = threading.Lock()  # the shard is read under it
        self._is_left = self._is_closed = False
        called = f"ckptd/{context.run}/{context.attempt}/{shard.step}/{self._group[0]}"
        _starts[called] = _starts.get(called, 0) + 1
        self._prefix = f"{called}/{_starts[called]}"
        self._device, self._refusal = _device_of(replicas, self._group)
        self._list = _value_of(shard.data(SHARES))
        self._thread = threading.Thread(target=self._run, name="ckptd-exchange", daemon=True)
        self._thread.start()

    # ---- the restore's side ----

    def heads(self) -> list[Head]:
        """What the others' shards have. Raises Lost."""
        return list(self._take(AGREE_SECONDS + STALL_SECONDS))

    def say(self, is_wanted: bool) -> None:
        """Whether this rank's sums close with what the heads have said."""
        self._verdict.put(is_wanted)

    def pieces(self) -> Iterator[Given]:
        """The others' shares, tensor by tensor. Raises Lost; what came before that is right."""
        patience = AGREE_SECONDS + STALL_SECONDS
        while (batch := self._take(patience)) is not None:
            yield from batch
            if self._device.type == "cuda":  # the memory is used again on another stream
                torch.cuda.current_stream(self._device).synchronize()
            patience = STALL_SECONDS

    def close(self) -> None:
        """Waits until the others have this rank's share, or have gone; then the shard may go."""
        self._is_left = True
        self._verdict.put(False)
        self._thread.join(max(0.0, min(STALL_SECONDS, self._deadline - time.monotonic())))
        with self._lock:
            self._is_closed = True

    def _take(self, seconds: float) -> Any:
        try:
            found = self._channel.get(timeout=max(0.0, min(
                seconds, self._deadline - time.monotonic())))
        except queue.Empty:
            raise Lost(f"nothing came of the group in {seconds:.0f} s") from None
        if isinstance(found, BaseException):
            raise found if isinstance(found, Lost) else Lost(f"{type(found).__name__}: {found}")
        return found

    # ---- the thread's ----

    def _run(self) -> None:
        try:
            self._exchange()
        except BaseException as error:
            self._put(error)

    def _put(self, item: Any) -> None:
        """Hands on what has come; not to a restore that goes on without it."""
        while not self._is_left:
            try:
                self._channel.put(item, timeout=0.05)
                return
            except queue.Full:
                continue

    def _exchange(self) -> None:
        store = _store()
        mine = Head.pack(self._shard)
        words = self._agree(store, "begin", self._refusal, {
            "list": self._list, "attempt": self._shard.attempt, "device": str(self._device.type),
            "batch": BATCH}, [len(mine), _value_of(mine)])
        peers = _connect(store, f"{self._prefix}/peers", self._device.type,
                         self._group.index(self._rank), len(self._group))
        try:
            shares = self._shard.data(SHARES)
            raws = {rank: self._raw(peers, rank, mine, size)
                    for rank, (size, _) in zip(self._group, words)}
            damaged = [rank for rank, (_, value) in zip(self._group, words)
                       if _value_of(raws[rank]) != value]
            if damaged:
                self._agree(store, "share", f"what came of ranks {damaged} is damaged", {}, None)
            heads = {rank: Head(rank, raw, shares) for rank, raw in raws.items()}
            self._put([heads[rank] for rank in self._others()])
            try:
                is_wanted = self._verdict.get(timeout=AGREE_SECONDS)
            except queue.Empty:
                is_wanted = False
            self._agree(store, "share", None if is_wanted else "its sums do not close", {}, None)
            for owner in self._group:
                for places, size in batches(self._shard if owner == self._rank else heads[owner]):
                    self._batch(peers, owner, heads[owner], places, size)
            self._put(None)
            # A connection is closed when nobody waits for what was sent by it.
            self._agree(store, "end", None, {}, None)
        finally:
            peers.abort()

    def _others(self) -> list[int]:
        place = self._group.index(self._rank)
        return self._group[place + 1:] + self._group[:place]

    def _agree(self, store: Any, phase: str, refusal: str | None, said: dict[str, Any],
               own: Any) -> list[Any]:
        """Returns what each rank has said of its own, when all of the group go on; else raises
        Lost, in all of them: the first to write the verdict decides for all."""
        key = f"{self._prefix}/{phase}"
        keys = [f"{key}/{rank}" for rank in self._group]
        store.set(f"{key}/{self._rank}", json.dumps({"no": refusal, "said": said, "own": own}))
        verdict, found = refusal, []
        if refusal is None:
            try:
                store.wait(keys, timedelta(seconds=AGREE_SECONDS))
                found = [json.loads(store.get(one)) for one in keys]
            except Exception as error:
                verdict = f"not all of {self._group} came in {AGREE_SECONDS:.0f} s: {error}"
            for rank, word in zip(self._group, found):
                if word["no"] is not None:
                    verdict = verdict or f"rank {rank}: {word['no']}"
                elif word["said"] != said:
                    verdict = verdict or f"rank {rank} has {word['said']}, this one {said}"
        decided = store.compare_set(key, "", "go" if verdict is None else f"no: {verdict}")
        decided = decided.decode() if isinstance(decided, bytes) else decided
        if decided != "go" or refusal is not None:
            raise Lost(decided)
        return [json.loads(store.get(one))["own"] for one in keys]

    def _raw(self, peers: Any, owner: int, mine: bytes, size: int) -> bytes:
        buffer = torch.empty(size, dtype=torch.uint8)
        if owner == self._rank:
            buffer.copy_(torch.frombuffer(bytearray(mine), dtype=torch.uint8))
        buffer = self._send(peers, owner, buffer.to(self._device))
        return bytes(buffer.cpu().numpy())

    def _send(self, peers: Any, owner: int, buffer: torch.Tensor) -> torch.Tensor:
        options = torch.distributed.BroadcastOptions()
        options.rootRank, options.rootTensor = self._group.index(owner), 0
        for begin in range(0, buffer.numel(), BATCH):
            options.timeout = timedelta(seconds=STALL_SECONDS)
            piece = buffer[begin:begin + BATCH]
            peers.broadcast([piece], options).wait(timedelta(seconds=STALL_SECONDS))
        return buffer

    def _batch(self, peers: Any, owner: int, head: Head, places: list[_Place], size: int) -> None:
        memory = torch.empty(size + _VALUE, dtype=torch.uint8)
        if owner == self._rank:
            with self._lock:
                if self._is_closed:
                    raise Lost("the shard was given back")
                for place in places:
                    if place.begin < place.end:
                        memory[place.at:place.at + place.end - place.begin] = torch.frombuffer(
                            self._shard.window(place.begin, place.end), dtype=torch.uint8)
            memory[size:] = _value(memory, size)
        buffer = self._send(peers, owner, memory.to(self._device))
        if owner == self._rank:
            return
        memory = buffer.cpu()
        if not torch.equal(memory[size:], _value(memory, size)):
            self._put(Lost(f"what came of rank {owner} is not what it sent"))
            self._is_left = True  # and go on: the others' may be right
        self._put([Given(owner, place.name, _tensor(buffer, head.entries[place.name], place))
                   for place in places])


def _tensor(buffer: torch.Tensor, entry: dict[str, Any], place: _Place) -> torch.Tensor:
    raw = buffer[place.at:place.at + place.end - place.begin]
    return raw.view(TYPES[entry["dtype"]]).reshape(entry["shape"])


def _value_of(data: bytes | memoryview) -> int:
    memory = ffi.from_buffer(data)
    return replica_value([(int(ffi.cast("uintptr_t", memory)), len(data))])


def _store() -> Any:
    """The job's own, by a connection of its own where it has one: whoever waits at it holds up
    nobody else's question."""
    store = torch.distributed.distributed_c10d._get_default_store()
    try:
        return store.clone()
    except (AttributeError, RuntimeError, NotImplementedError):
        return store


def _device_of(replicas: Any, group: list[int]) -> tuple[torch.device, str | None]:
    """(where what is sent lies, why this rank does not take part)."""
    cpu = torch.device("cpu")
    if replicas is False:
        return cpu, "replicas=False"
    try:
        if replicas is not None:
            ranks = sorted(torch.distributed.get_process_group_ranks(replicas))
            if ranks != sorted(group):
                return cpu, f"the group that was given is of ranks {ranks}, and {group} saved"
        said = str(torch.distributed.get_backend_config(replicas))
    except Exception as error:  # a group that this rank is not of
        return cpu, f"{type(error).__name__}: {error}"
    kinds = dict(pair.split(":", 1) for pair in said.split(",") if ":" in pair)
    if kinds.get("cuda") == "nccl" and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device()), None
    if kinds.get("cpu") == "gloo":
        return cpu, None
    return cpu, f"no exchange by {kinds}"


def _connect(store: Any, prefix: str, kind: str, rank: int, size: int) -> Any:
    """A process group of this exchange alone, that torch.distributed's lists do not have."""
    distributed = torch.distributed
    own = distributed.PrefixStore(prefix, store)
    own.set_timeout(timedelta(seconds=STALL_SECONDS))
    if kind == "cpu":
        return distributed.ProcessGroupGloo(own, rank, size, timedelta(seconds=STALL_SECONDS))
    options = distributed.ProcessGroupNCCL.Options()
    options._timeout = timedelta(seconds=6 * STALL_SECONDS)  # its watchdog's; ours come first
    return distributed.ProcessGroupNCCL(own, rank, size, options)


def begin(context: Context, shard: Shard, replicas: Any, timeout: float) -> Exchange | None:
    """An exchange of the shares of the checkpoint that this rank has its own shard of, in the same
    world; None where it is not shared, or the ranks are not those of torch.distributed."""
    distributed = torch.distributed
    if SHARES not in shard.entries or not (distributed.is_available()
                                           and distributed.is_initialized()):
        return None
    if (distributed.get_rank(), distributed.get_world_size()) != (context.rank, context.world):
        return None
    group, _ = listed(shard)
    return Exchange(context, shard, replicas, timeout) if context.rank in group else None
