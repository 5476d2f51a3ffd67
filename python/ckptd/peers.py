# SPDX-License-Identifier: Apache-2.0
"""Ranks of a group that agree and send: what is common to all exchanges at a restore.

They agree in the store of torch.distributed, by one word that is written once (compare_set): all of
the group go on, or none. What is sent goes by a process group that is made for one exchange alone,
so that one that is given up is not the training's.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import torch

from .context import replica_value
from .library import ffi

PIECE = 16 << 20  # bytes that are sent at once; a row of a tensor that is larger is sent whole
WINDOW = 4  # pieces on their way while one is proven
AGREE_SECONDS = 10.0  # until all of a group have come: they leave a collective load together
STALL_SECONDS = 10.0  # in which what is sent at once must have come
_VALUE = 8  # bytes at the end of a piece: replica_value() of what is before them


class Lost(Exception):
    """The group does not give it, and why: what is missing is read from the agent."""


def value_of(data: bytes | memoryview) -> int:
    memory = ffi.from_buffer(data)
    return replica_value([(int(ffi.cast("uintptr_t", memory)), len(data))])


def _value(memory: torch.Tensor, size: int) -> torch.Tensor:
    value = replica_value([(memory.data_ptr(), size)])
    return torch.frombuffer(bytearray(value.to_bytes(_VALUE, "little")), dtype=torch.uint8)


def store() -> Any:
    """The job's own, by a connection of its own where it has one: whoever waits at it holds up
    nobody else's question."""
    mine = torch.distributed.distributed_c10d._get_default_store()
    try:
        return mine.clone()
    except (AttributeError, RuntimeError, NotImplementedError):
        return mine


class Council:
    """How the ranks of a group come to one word: see ask()."""

    def __init__(self, its_store: Any, prefix: str, group: list[int], rank: int) -> None:
        self.store, self.prefix = its_store, prefix
        self._group, self._rank = group, rank

    def ask(self, phase: str, refusal: str | None, said: Any, own: Any,
            seconds: float | None = None) -> list[Any]:
        """Returns what each rank has said of its own, when all of the group go on, having said the
        same; else raises Lost, in all of them: the first to write the verdict decides for all."""
        seconds = AGREE_SECONDS if seconds is None else seconds
        key = f"{self.prefix}/{phase}"
        keys = [f"{key}/{rank}" for rank in self._group]
        said = json.loads(json.dumps(said))
        self.store.set(f"{key}/{self._rank}", json.dumps({"no": refusal, "said": said, "own": own}))
        verdict = refusal
        if refusal is None:
            verdict = self._verdict(keys, said, seconds)
        decided = self.store.compare_set(key, "", "go" if verdict is None else f"no: {verdict}")
        decided = decided.decode() if isinstance(decided, bytes) else decided
        if decided != "go" or refusal is not None:
            raise Lost(decided)
        return [json.loads(self.store.get(one))["own"] for one in keys]

    def _verdict(self, keys: list[str], said: Any, seconds: float) -> str | None:
        """Why not to go on, as far as this rank sees."""
        try:
            self.store.wait(keys, timedelta(seconds=seconds))
            found = [json.loads(self.store.get(one)) for one in keys]
        except Exception as error:
            return f"not all of {self._group} came in {seconds:.0f} s: {error}"
        for rank, word in zip(self._group, found):
            if word["no"] is not None:
                return f"rank {rank}: {word['no']}"
            if word["said"] != said:
                return f"rank {rank} has {word['said']}, this one {said}"
        return None


def device_of(replicas: Any, group: list[int]) -> tuple[torch.device, str | None]:
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


class Flight:
    """A piece on its way."""

    def __init__(self, memory: torch.Tensor, size: int, works: list[Any]) -> None:
        self._memory, self._size, self._works = memory, size, works

    def land(self) -> torch.Tensor:
        """Waits until it has come. What it says of itself is not looked at: see proven()."""
        for work in self._works:
            work.wait(timedelta(seconds=STALL_SECONDS))
        return self._memory[:self._size]

    def proven(self) -> bool:
        """Whether what has come is what was sent: its value is taken anew, of what lies here."""
        memory = self._memory.cpu()
        return torch.equal(memory[self._size:], _value(memory, self._size))


class Peers:
    """A process group of one exchange, that torch.distributed's lists do not have."""

    def __init__(self, its_store: Any, prefix: str, device: torch.device, place: int,
                 count: int) -> None:
        distributed = torch.distributed
        self.device, self._place = device, place
        own = distributed.PrefixStore(prefix, its_store)
        own.set_timeout(timedelta(seconds=STALL_SECONDS))
        self._group: Any
        if device.type == "cpu":
            self._group = distributed.ProcessGroupGloo(own, place, count,
                                                       timedelta(seconds=STALL_SECONDS))
        else:
            options = distributed.ProcessGroupNCCL.Options()
            options._timeout = timedelta(seconds=6 * STALL_SECONDS)  # its watchdog's; ours are less
            self._group = distributed.ProcessGroupNCCL(own, place, count, options)

    def start(self, owner: int, size: int, mine: torch.Tensor | None) -> Flight:
        """Sends a piece from the rank at a place of the group, which has it, to the others."""
        memory = torch.empty(size + _VALUE, dtype=torch.uint8)
        if mine is not None:
            memory[:size] = mine
            memory[size:] = _value(memory, size)
        memory = memory.to(self.device)
        options = torch.distributed.BroadcastOptions()
        options.rootRank, options.rootTensor = owner, 0
        options.timeout = timedelta(seconds=STALL_SECONDS)
        most = max(PIECE + _VALUE, 1)
        return Flight(memory, size, [
            self._group.broadcast([memory[begin:begin + most]], options)
            for begin in range(0, memory.numel(), most)])

    def close(self) -> None:
        self._group.abort()


def patience(deadline: float, seconds: float) -> float:
    """At most so many seconds, and never past the deadline."""
    return max(0.0, min(seconds, deadline - time.monotonic()))
