# SPDX-License-Identifier: Apache-2.0
"""The three lines: attach, save in the loop, and go on from where attach() says.

    checkpoint = ckptd.attach(model, optimizer, extra={"loader": loader, "epoch": 0})
    for step in range(checkpoint.next_step, steps):
        train(step)
        if step % 100 == 99:
            checkpoint.save(step + 1)
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, Sequence

import torch

from . import plain
from .context import LATEST, Context, Table, Tensor
from .device import DeviceCopy, copy_from_devices
from .errors import Error, NoAgent, NoCheckpoint, StateError, UsageError, WorldChanged
from .gpu_direct import GpuDirect
from .library import ffi
from .persist import Persister
from .registered import Entry, Registered, make_entry
from .restored import EXTRA, STATE, Restorer, restore_from_other_world
from .tensors import Box, any_of, describe, sharding_metadata

_log = logging.getLogger("ckptd")


class Handle:
    """What became of one save. Every method may be called from any thread, and again.

    A save that failed has `error`; each method then raises it. Training need not look.
    """

    def __init__(self, owner: Checkpointer, step: int, error: Error | None,
                 copy: DeviceCopy | None = None) -> None:
        self.step, self.error = step, error
        self._owner, self._copy = owner, copy

    def staged(self, timeout: float | None = None) -> bool:
        """Waits until what was saved may change. At once for tensors in the CPU's memory.

        Raises Timeout, or what made the save fail. None waits as long as it takes.
        """
        if self._copy is not None and self.error is None:
            self.error = self._copy.wait(timeout)
        if self.error is not None:
            raise self.error
        return True

    def consistent(self, timeout: float = 60.0) -> bool:
        """Waits until every rank's shard has its copies, equal by digest, and that is durable.

        Raises Timeout when it is not yet, and another ckptd.Error when it never will be.
        """
        deadline = time.monotonic() + timeout
        self.staged(timeout)
        self._owner.context_or_raise().wait(self.step, max(0.0, deadline - time.monotonic()))
        return True

    def persisted(self, timeout: float = 600.0) -> bool:
        """Waits until every rank's shard is a file in the directory that attach() was given.

        Raises Timeout; UsageError when attach() was given none, or the step is not one of those
        that go there.
        """
        deadline = time.monotonic() + timeout
        self.staged(timeout)
        self._owner.persister_or_raise().wait(self.step, max(0.0, deadline - time.monotonic()))
        return True

    def __repr__(self) -> str:
        return f"<ckptd.Handle step={self.step} error={self.error}>"


class Checkpointer:
    """A model, its optimizers and what else is needed to go on, attached to this node's agent.

    `resumed` is the step that was restored, or None; `next_step` is the first to train.
    No method is a collective, save() least of all.
    """

    def __init__(self, registered: Registered, extra: Any, settings: dict[str, Any],
                 required: bool, direct: GpuDirect | None = None) -> None:
        self.resumed: int | None = None
        self.reason = ""  # of the last save that failed
        self._registered, self._extra, self._settings = registered, extra, settings
        self._context: Context | None = None
        self._persister: Persister | None = None
        self._table: Table | None = None
        self._metadata: dict[str, str] = {}
        self._described: Any = None  # what else _metadata tells of
        self._entries: list[Entry] = []
        self._spare = 0  # places of the table after the registered ones
        self._copy: DeviceCopy | None = None
        self._direct = direct
        self._lock = threading.Lock()
        try:
            self._context = Context(**settings)
        except NoAgent as error:
            if required:
                raise
            self._failed(0, error)

    @property
    def next_step(self) -> int:
        return 0 if self.resumed is None else self.resumed

    def context_or_raise(self) -> Context:
        if self._context is None:
            raise NoAgent("CKPT_ERR_NO_AGENT", self.reason or "the checkpointer was closed")
        return self._context

    def persister_or_raise(self) -> Persister:
        if self._persister is None:
            raise UsageError("CKPT_ERR_INVALID", "attach() was given no directory to persist to")
        return self._persister

    # ---- save ----

    def save(self, step: int) -> Handle:
        """Stages this rank's state as `step`, and returns when what lies in the CPU's memory may be
        changed; what lies in a GPU's is copied on a stream of its own, which the current stream
        waits for, not this process.

        Every rank of the world saves the same steps, in rising order, and waits for no other.
        Never raises: training goes on, and the handle has the reason. Blocks for the copy and at
        most the time-out that attach() was given.
        """
        with self._lock:
            try:
                return Handle(self, step, None, self._save(step))
            except Error as error:
                return self._failed(step, error)
            except Exception as error:  # of a state_dict() or PyTorch: training decides, not we
                _log.debug("save of step %d", step, exc_info=True)
                return self._failed(step, Error("CKPT_ERR_INTERNAL",
                                                f"{type(error).__name__}: {error}"))

    def _failed(self, step: int, error: Error) -> Handle:
        if error.reason != self.reason:
            _log.warning("step %d was not saved: %s", step, error)
        self.reason = error.reason
        return Handle(self, step, error)

    def _save(self, step: int) -> DeviceCopy | None:
        if self._copy is not None and not self._copy.is_done():
            raise UsageError("CKPT_ERR_BUSY", "the last save is still being copied from the GPU: "
                                              "save less often, or wait with staged()")
        if self._context is None:
            self._context = Context(**self._settings)
        if self._table is None or self._registered.has_changed():
            self._registered.register()
            self._make_table(0)
        rest, keep = self._rest()
        if len(rest) > self._spare:
            self._make_table(len(rest))
        table = self._table
        assert table is not None
        for index, tensor in enumerate(rest, len(self._entries)):
            table.put(index, tensor)
        table.count = len(self._entries) + len(rest)
        for entry in self._entries:
            if entry.scratch is not None:
                entry.scratch.copy_(entry.local)
        self._copy = None
        if any(entry.source.device.type != "cpu" for entry in self._entries):
            self._copy = copy_from_devices(self._context, step, table, self._metadata_with(rest),
                                           [entry.source for entry in self._entries],
                                           self._direct)
        else:
            self._context.save(step, table, self._metadata_with(rest))
        del keep
        if self._persister is not None:
            self._persister.add(step)
        return self._copy

    def _make_table(self, spare: int) -> None:
        self._entries = [entry for entry in self._registered.entries
                         if entry.local.numel() > 0 or entry.box.count == 0]
        tensors = [describe(entry.name, entry.source, entry.source.device.type != "cpu")
                   for entry in self._entries]
        self._spare = max(4, spare)
        empty = Tensor(STATE, "U8", (0,), 0, 0)
        self._table = Table(tensors + [empty] * self._spare)
        self._described = None

    def _metadata_with(self, rest: list[Tensor]) -> dict[str, str]:
        """Which part of a whole each tensor is; made anew when the names change."""
        names = [(tensor.name, len(tensor.shape)) for tensor in rest]
        if names != self._described:
            self._described = names
            self._metadata = sharding_metadata(
                [(entry.name, entry.box) for entry in self._entries]
                + [(tensor.name, Box((0,) * len(tensor.shape), tensor.shape)) for tensor in rest])
        return self._metadata

    def _rest(self) -> tuple[list[Tensor], list[Any]]:
        """What changes with every save: numbers, and tensors among the extra state."""
        taken: list[tuple[str, torch.Tensor]] = []

        def take(path: str, value: Any) -> bool:
            if not any_of(value):
                return False
            taken.append((path, make_entry("t", {"t": value.detach().cpu().contiguous()},
                                           "t").local))
            return True

        state = {"optimizers": self._registered.plain(),
                 "extra": plain.split(_states(self._extra), EXTRA, take)}
        line = plain.dumps(state)
        memory = ffi.from_buffer(line)
        rest = [Tensor(STATE, "U8", (len(line),), int(ffi.cast("uintptr_t", memory)), len(line))]
        rest += [describe(path, tensor) for path, tensor in taken]
        return rest, [line, memory, taken]

    # ---- restore ----

    def restore(self, step: int = LATEST, timeout: float = 60.0) -> int | None:
        """Puts a checkpoint's state into the model, the optimizers and the extra state.

        The run's newest consistent one, or `step`. Every rank of the attempt calls it, and all get
        the same step or all an error. Saved by another number of ranks, it is put together from
        their shards. None: the run has no checkpoint yet. After any other failure do not train on:
        there is a checkpoint, and it was not read.
        """
        context = self.context_or_raise()
        restorer = Restorer(self._registered)
        try:
            with context.load(step, timeout) as shard:
                found, world = shard.step, shard.world
                restorer.take(shard)
        except NoCheckpoint:
            return None
        except WorldChanged:
            info = context.info(step)
            found = _same_everywhere(info.step)
            world = info.world if found == info.step else context.info(found).world
        if not restorer.is_full():
            restore_from_other_world(context, restorer, found, world, timeout)
        _put_states(self._extra, restorer.finish())
        self._registered.register()
        self._table = None
        self.resumed = found
        return found

    def persist_to(self, directory: str, every: int = 1) -> None:
        """From now on every `every`-th step also becomes files there, once it is consistent."""
        self._persister = Persister(self._settings, directory, every)

    def close(self) -> None:
        """Waits for a copy that is under way, and leaves the run."""
        with self._lock:
            if self._copy is not None:
                self._copy.wait(None)
            if self._persister is not None:
                self._persister.close()
            if self._context is not None:
                self._context.close()
                self._context = None

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _states(extra: Any) -> Any:
    """Objects with a state_dict() are their state."""
    if isinstance(extra, dict):
        return {key: _states(value) for key, value in extra.items()}
    return extra.state_dict() if hasattr(extra, "state_dict") else extra


def _put_states(extra: Any, saved: Any) -> None:
    """The inverse, in place: dictionaries keep their identity, and what is new comes in."""
    if hasattr(extra, "load_state_dict"):
        extra.load_state_dict(saved)
    elif isinstance(extra, dict):
        for key, value in saved.items():
            now = extra.get(key)
            if isinstance(now, dict) or hasattr(now, "load_state_dict"):
                _put_states(now, value)
            elif isinstance(now, torch.Tensor) and now.shape == value.shape:
                with torch.no_grad():
                    now.copy_(value)
            else:
                extra[key] = value
    elif saved is not None:
        raise StateError("CKPT_ERR_INVALID", "the checkpoint has extra state, and attach() was "
                                             "given none to put it into")


def _same_everywhere(step: int) -> int:
    """Rank 0's answer, where the ranks can talk: between two asks a newer step may come."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return step
    box = [step]
    distributed.broadcast_object_list(box, src=0)
    return int(box[0])


def _number(*names: str, default: int, add: int = 0) -> int:
    for name in names:
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name]) + add
    return default


def settings_of_job(run: str | None, attempt: int | None, rank: int | None,
                    world: int | None) -> dict[str, Any]:
    """What attach() was not told: from torch.distributed, torchrun's or Slurm's environment."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        rank = distributed.get_rank() if rank is None else rank
        world = distributed.get_world_size() if world is None else world
    if attempt is None:
        attempt = _number("CKPT_ATTEMPT", default=0) or 1 + _number(
            "SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT", default=0)
    return {
        "run": run or os.environ.get("CKPT_RUN") or os.environ.get("SLURM_JOB_NAME") or "run",
        "attempt": attempt,
        "rank": _number("RANK", "SLURM_PROCID", default=0) if rank is None else rank,
        "world": _number("WORLD_SIZE", "SLURM_NTASKS", default=1) if world is None else world,
    }


def attach(model: torch.nn.Module, optimizer: Any | Sequence[Any] | None = None,
           extra: dict[str, Any] | None = None, *, run: str | None = None,
           attempt: int | None = None, rank: int | None = None, world: int | None = None,
           socket: str | None = None, copies: int = 0, timeout: float = 5.0,
           copy_threads: int = 1, resume: bool = True, restore_timeout: float = 60.0,
           persist: str | None = None, persist_every: int = 1,
           required: bool = True, gpu_direct: bool = False) -> Checkpointer:
    """Attaches a training state to this node's agent, and restores it when there is a checkpoint.

    model       any module, also under DistributedDataParallel, fully_shard() or torch.compile. What
                is sharded is a DTensor; anything else counts as the same in all ranks when another
                number of them restores it
    optimizer   one, several, or none; a ZeroRedundancyOptimizer too
    extra       a dictionary of what else is needed to go on: numbers, text, tensors, and objects
                with state_dict() and load_state_dict(). It is read at each save, and written to at
                a restore. Nothing is pickled
    run         the run's name, stable over restarts ($CKPT_RUN, $SLURM_JOB_NAME)
    attempt     counts the run's starts, and must rise with each ($CKPT_ATTEMPT, or one more than
                $SLURM_RESTART_COUNT or $TORCHELASTIC_RESTART_COUNT)
    rank, world from torch.distributed when it is initialised, else $RANK and $WORLD_SIZE, else from
                Slurm
    socket      the agent's ($CKPT_SOCKET, /run/ckptd/ckptd.sock)
    copies      of each shard, this node's included; 0: $CKPT_COPIES, else the agent's default
    timeout     seconds that a save may wait for the agent
    resume      whether to restore
    persist     a directory on a shared file system for each persist_every-th step
    required    False: without an agent training begins, from the beginning, and saves are tried
                until there is one
    gpu_direct  the agent reads CUDA tensors by its NIC (dma-bufs over verbs) in place of a copy by
                the GPU; save() blocks until it has. Where it cannot, they are copied, and a warning
                says so

    Raises a ckptd.Error when it cannot attach, or there is a checkpoint that cannot be read.
    """
    optimizers = ([] if optimizer is None else list(optimizer)
                  if isinstance(optimizer, (list, tuple)) else [optimizer])
    settings = settings_of_job(run, attempt, rank, world)
    settings.update(socket=socket, copies=copies or _number("CKPT_COPIES", default=0),
                    timeout=timeout, copy_threads=copy_threads)
    checkpoint = Checkpointer(Registered(model, optimizers), {} if extra is None else extra,
                              settings, required, GpuDirect() if gpu_direct else None)
    try:
        if persist is not None:
            checkpoint.persist_to(persist, persist_every)
        if resume and checkpoint._context is not None:
            checkpoint.restore(timeout=restore_timeout)
    except BaseException:
        checkpoint.close()
        raise
    return checkpoint
