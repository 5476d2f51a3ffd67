# SPDX-License-Identifier: Apache-2.0
"""The three lines: attach, save in the loop, and go on from where attach() says.

    checkpoint = ckptd.attach(model, optimizer, extra={"loader": loader, "epoch": 0})
    for step in range(checkpoint.next_step, steps):
        train(step)
        if step % 100 == 99:
            checkpoint.save(step + 1)
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from typing import Any, Callable, Iterator, Sequence

import torch

from . import extra as extra_state
from . import sharing
from .best import Best, Choice
from .context import LATEST, Context
from .device import DeviceCopy, copy_from_devices
from .errors import Error, NoAgent, StateError, UsageError
from .gpu_direct import GpuDirect
from .metrics import Observer, Saved
from .persist import Persister
from .preparing import Preparer, after_first_step, shard_bytes
from .reading import read
from .registered import Registered
from .restored import Restorer
from .shares import Shares
from .staging import Layout, Rest

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
        """Waits until every rank's shard is a file in the directory that attach() was given; given
        none, until the step is whole in the tier of the agents.

        Raises Timeout; UsageError when the step is not one of those that go there, or was passed
        over; an Error of status CKPT_ERR_UNSUPPORTED where there is neither.
        """
        deadline = time.monotonic() + timeout
        self.staged(timeout)
        left = max(0.0, deadline - time.monotonic())
        persister = self._owner.persister
        if persister is not None:
            persister.wait(self.step, left)
        else:
            self._owner.context_or_raise().wait_persisted(self.step, left)
        return True

    def __repr__(self) -> str:
        return f"<ckptd.Handle step={self.step} error={self.error}>"


class Checkpointer:
    """A model, its optimizers and what else is needed to go on, attached to this node's agent.

    `resumed` is the step that was restored, or None; `next_step` is the first to train. `left` is
    what strict=False has passed over at the last restore. No method is a collective, save() least
    of all.
    """

    def __init__(self, registered: Registered, extra: Any, settings: dict[str, Any], *,
                 required: bool = True, direct: GpuDirect | None = None, strict: bool = True,
                 rng: bool = False, observer: Observer | None = None,
                 share: bool = True, replicas: Any = None,
                 choice: Choice | None = None) -> None:
        self.resumed: int | None = None
        self.left: list[str] = []
        self.reason = ""  # of the last save that failed
        self._registered, self._extra, self._settings = registered, extra, settings
        self._strict, self._rng, self._replicas = strict, rng, replicas
        self._choice = Choice() if choice is None else choice
        self._context: Context | None = None
        self._persister: Persister | None = None
        self._observer = observer
        self._layout: Layout | None = None
        self._shares = Shares(settings["run"]) if share else None
        self._copy: DeviceCopy | None = None
        self._direct = direct
        self._lock = threading.RLock()
        self._is_saving = False
        self._preparer = Preparer()
        self._hooks: list[Any] = []
        extra_state.dry_run(registered, extra)
        try:
            self._context = Context(**settings)
        except NoAgent as error:
            if required:
                raise
            self._failed(0, error)

    @property
    def next_step(self) -> int:
        return 0 if self.resumed is None else self.resumed

    @property
    def best(self) -> Best | None:
        """The step with the best metric that save() was given, also before a restore."""
        return self._choice.best

    def context_or_raise(self) -> Context:
        if self._context is None:
            raise NoAgent("CKPT_ERR_NO_AGENT", self.reason or "the checkpointer was closed")
        return self._context

    @property
    def persister(self) -> Persister | None:
        """What writes into the directory that attach() was given; None: it was given none."""
        return self._persister

    # ---- memory of the saves to come ----

    def prepare(self, background: bool = False) -> None:
        """Has the memory of the next saves, of the state as it is now, mapped and faulted in, so
        that the first save is as fast as the tenth. attach() does it, and in the background after
        an optimizer's first step; who makes the state grow otherwise may call it himself.

        background: in a thread, which a save that comes meanwhile ends.
        """
        try:
            size = self._size_of_save()
        except Exception as error:  # of a state_dict() or PyTorch: a save will say so
            _log.debug("preparing for saves: %s", error, exc_info=True)
            return
        if size == 0 or self._context is None:
            return
        if background:
            self._preparer.start(self._context, size)
        else:
            self._preparer.stop(self._context)
            self._preparer.run(self._context, size)

    def _size_of_save(self) -> int:
        """Bytes of a shard of what is there now, or somewhat more; 0: a save is under way."""
        with self._lock:
            if self._is_saving:
                return 0
            with extra_state.random_state_kept(), self._outside_of_a_save() as (registered, layout):
                if registered.has_changed():
                    layout = None
                    try:
                        registered.register()
                    except StateError:  # of what has no shape yet: not before the first step
                        registered.register(lazy=True)
                # The extra state is not asked: it may do something, and is to do it at saves.
                return shard_bytes(self._layout_of(registered, layout, 0).table)

    def _prepare_after_first_step(self) -> None:
        mine = weakref.ref(self)  # an optimizer keeps no checkpointer alive

        def stepped() -> None:
            checkpoint = mine()
            if checkpoint is not None:
                checkpoint.prepare(background=True)

        self._hooks = after_first_step(
            [one.optimizer for one in self._registered.optimizers], stepped)

    # ---- save ----

    def save(self, step: int, metric: float | None = None) -> Handle:
        """Stages this rank's state as `step`, and returns when what lies in the CPU's memory may be
        changed; what lies in a GPU's is copied on a stream of its own, which the current stream
        waits for, not this process.

        Every rank of the world saves the same steps, in rising order, and waits for no other.
        Whatever is wrong with agents, nodes or their room, it does not raise: training goes on, and
        the handle has the reason. It raises StateError, with the path, for a part of the state that
        is of a kind that cannot be saved: no later save would have it either (strict=False leaves
        that to the handle too). Blocks for the copy and at most the time-out that attach() was
        given. A signal's handler may call it, also while a save is under way.

        metric is the step's, the same on every rank: see attach(every=, best=). The handle of a
        step that is not to be saved has that as its error.
        """
        with self._lock:
            began = time.monotonic()
            if self._context is not None:
                self._preparer.stop(self._context)
            refusal = self._choice.refusal(step, metric)
            if refusal is not None:
                return Handle(self, step, UsageError("CKPT_ERR_STEP", refusal))
            better, before = self._choice.is_better(metric), self._choice.best
            if better and metric is not None:
                self._choice.best = Best(step, float(metric))
            try:
                with self._outside_of_a_save() as (registered, layout):
                    handle = Handle(self, step, None, self._save(step, registered, layout, better))
            except Error as error:
                self._choice.best = before
                handle = self._failed(step, error)
                if isinstance(error, StateError) and self._strict:
                    raise
            except Exception as error:  # of a state_dict() or PyTorch: training decides, not we
                _log.debug("save of step %d", step, exc_info=True)
                self._choice.best = before
                handle = self._failed(step, Error("CKPT_ERR_INTERNAL",
                                                  f"{type(error).__name__}: {error}"))
            if self._observer is not None:
                self._observer.add(handle, began, time.monotonic() - began)
            return handle

    @contextlib.contextmanager
    def _outside_of_a_save(self) -> Iterator[tuple[Registered, Layout | None]]:
        """What a save works with. A signal's handler that interrupts a save gets a description of
        its own, so that neither meets the other's half-made one."""
        if self._is_saving:
            mine = self._registered
            yield Registered(mine.model.model, [one.optimizer for one in mine.optimizers]), None
            return
        self._is_saving = True
        try:
            yield self._registered, self._layout
        finally:
            self._is_saving = False

    def _failed(self, step: int, error: Error) -> Handle:
        if error.reason != self.reason:
            _log.warning("run %s: step %d was not saved: %s", self._settings["run"], step, error)
        self.reason = error.reason
        return Handle(self, step, error)

    def _save(self, step: int, registered: Registered, layout: Layout | None,
              is_best: bool) -> DeviceCopy | None:
        if self._shares is not None and registered is self._registered:
            self._shares.count += 1
        if self._copy is not None and not self._copy.is_done():
            raise UsageError("CKPT_ERR_BUSY", "the last save is still being copied from the GPU: "
                                              "save less often, or wait with staged()")
        if self._context is None:
            self._context = Context(**self._settings)
        context = self._context
        if registered.has_changed():
            registered.register()
            layout = None
        rest = Rest(registered, self._rest())
        if self._shares is not None and self._shares.have_diverged(context):
            layout = self._shares = None
        layout = self._layout_of(registered, layout, len(rest.tensors))
        metadata = layout.put(rest)
        copy, word = None, None
        if self._shares is not None:
            word = self._shares.word(context, step, layout.share)
        if layout.on_device:
            copy = copy_from_devices(context, step, layout.table, metadata, layout.sources(),
                                     self._direct, word)
        else:
            if word is not None:
                word.say()
            context.save(step, layout.table, metadata)
        self._copy = copy
        if self._persister is not None:
            self._persister.add(step, chosen=is_best)
        return copy

    def _layout_of(self, registered: Registered, layout: Layout | None, spare: int) -> Layout:
        """The one there is, where it has so many spare places."""
        if layout is not None and spare <= layout.spare:
            return layout
        share = None
        if self._shares is not None and registered is self._registered:
            context = self.context_or_raise()
            share = sharing.find(registered, registered.given, context.rank, context.world)
        layout = Layout(registered.entries, spare, share)
        if registered is self._registered:
            self._layout = layout
        return layout

    def _rest(self) -> dict[str, Any]:
        """What else is saved, by its space."""
        rest = {"extra": extra_state.states(self._extra)}
        if self._choice.best is not None:
            rest["best"] = list(self._choice.best)
        if self._rng:
            rest["rng"] = extra_state.random_state()
        return rest

    # ---- restore ----

    def restore(self, step: int = LATEST, timeout: float = 60.0) -> int | None:
        """Puts a checkpoint's state into the model, the optimizers and the extra state.

        The run's newest consistent one, or `step`. Every rank of the attempt calls it, and all get
        the same step or all an error. Saved by another number of ranks, it is put together from
        their shards. None: the run has no checkpoint yet. After any other failure do not train on:
        there is a checkpoint, and it was not read. What does not fit, is missing or has no place is
        found before anything is overwritten; the reason of an error that comes later says that the
        model was touched.
        """
        began = time.monotonic()
        context = self.context_or_raise()
        self._registered.register(lazy=True)
        self._layout = None
        restorer = Restorer(self._registered, self._strict)
        found = read(context, restorer, step, timeout, self._check_rest, self._finish,
                     self._replicas)
        run, rank = self._settings["run"], self._settings["rank"]
        if found is None:
            _log.info("run %s, attempt %s, rank %d of %d: begins at 0, as the run has no "
                      "consistent checkpoint", run, context.attempt, rank,
                      self._settings["world"])
            return None
        self.resumed, self.left = found.step, restorer.left
        for one in restorer.left:
            _log.warning("run %s, step %d: %s", run, found.step, one)
        _log.info("run %s, attempt %s, rank %d of %d: goes on from step %d, which attempt %d saved "
                  "with %d ranks: read from %d shards%s in %.2f s", run, context.attempt,
                  rank, self._settings["world"], found.step, found.attempt, found.world,
                  found.shards, ", and the rest from the group"
                  if found.is_exchanged else "", time.monotonic() - began)
        return found.step

    def _check_rest(self, restorer: Restorer) -> None:
        saved = restorer.rest.get("extra")
        lacks = [f"it lacks {path}" for path in extra_state.missing(self._extra, saved)]
        if saved and not isinstance(self._extra, dict):
            lacks.append("it has extra state, and attach() was given none to put it into")
        if self._rng and "rng" not in restorer.rest:
            lacks.append("it lacks the random numbers' state")
        if lacks and self._strict:
            raise StateError("CKPT_ERR_NOT_FOUND", lacks[0] + (
                f" (and {len(lacks) - 1} more)" if len(lacks) > 1 else "")
                + " (strict=False leaves it as it is)")
        restorer.left += lacks

    def _finish(self, restorer: Restorer) -> None:
        restorer.finish()
        if isinstance(restorer.rest.get("extra"), dict):
            extra_state.put(self._extra, restorer.rest["extra"])
        if "best" in restorer.rest:
            self._choice.best = Best(*restorer.rest["best"])
        if self._rng and "rng" in restorer.rest:
            extra_state.put_random_state(restorer.rest["rng"])

    def persist_to(self, directory: str, every: int = 1) -> None:
        """From now on every `every`-th step also becomes files there, once it is consistent."""
        self._persister = Persister(self._settings, directory, every)

    def close(self) -> None:
        """Waits for a copy that is under way, and leaves the run."""
        with self._lock:
            for hook in self._hooks:
                hook.remove()
            if self._context is not None:
                self._preparer.stop(self._context)
            if self._copy is not None:
                self._copy.wait(None)
            if self._persister is not None:
                self._persister.close()
            if self._observer is not None:
                self._observer.close()
            if self._context is not None:
                self._context.close()
                self._context = None

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _number(*names: str, default: int, add: int = 0) -> int:
    for name in names:
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name]) + add
    return default


def _run_of_job() -> str:
    """The name that ckptd's Slurm hooks give the job's run, where these or Slurm say one."""
    run = os.environ.get("CKPT_RUN")
    cluster, job = os.environ.get("SLURM_CLUSTER_NAME"), os.environ.get("SLURM_JOB_ID")
    if not run and cluster and job:
        run = f"slurm/{cluster}/{job}"
    if not run:
        raise UsageError("CKPT_ERR_NAME", "which run is this? Give run=, a name that is the same "
                                          "after a restart and no other job's, or set CKPT_RUN")
    return run


def settings_of_job(run: str | None, attempt: int | None, rank: int | None,
                    world: int | None) -> dict[str, Any]:
    """What attach() was not told: from torch.distributed, torchrun's or Slurm's environment."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        rank = distributed.get_rank() if rank is None else rank
        world = distributed.get_world_size() if world is None else world
    return {
        "run": run or _run_of_job(),
        # What launchers count is not the run's starts (torchrun's restarts are those of a node):
        # the coordinator gives out the number.
        "attempt": _number("CKPT_ATTEMPT", default=0) if attempt is None else attempt,
        "rank": _number("RANK", "SLURM_PROCID", default=0) if rank is None else rank,
        "world": _number("WORLD_SIZE", "SLURM_NTASKS", default=1) if world is None else world,
    }


def attach(model: torch.nn.Module, optimizer: Any | Sequence[Any] | None = None,
           extra: dict[str, Any] | None = None, *, run: str | None = None,
           attempt: int | None = None, rank: int | None = None, world: int | None = None,
           socket: str | None = None, copies: int = 0, timeout: float = 5.0,
           copy_threads: int = 1, resume: bool = True, restore_timeout: float = 60.0,
           persist: str | None = None, persist_every: int = 1,
           required: bool = True, gpu_direct: bool = False, strict: bool = True,
           rng: bool = False, share: bool = True, replicas: Any = None,
           metrics: Callable[[Saved], Any] | None = None, every: int = 1,
           best: str | None = None) -> Checkpointer:
    """Attaches a training state to this node's agent, and restores it when there is a checkpoint.

    model       any module, also under DistributedDataParallel, fully_shard() or torch.compile. Its
                state is what state_dict() says, with hooks and extra state. What is sharded is a
                DTensor; anything else counts as the same in all ranks when another number of them
                restores it
    optimizer   one, several, or none; a ZeroRedundancyOptimizer too
    extra       a dictionary of what else is needed to go on: numbers, text, tensors, containers of
                them, and objects with state_dict() and load_state_dict(). It is read at each save,
                and written to at a restore. Nothing is pickled
    run         the run's name, stable over restarts. $CKPT_RUN, or in a Slurm job the job's; else
                it must be given
    attempt     the number of this start of the run, which must rise with each; by default
                ($CKPT_ATTEMPT, else 0) the coordinator counts them and gives it out
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
    strict      True: a restore that has no place for something saved, or nothing for something that
                is there, is refused by name before anything is overwritten, and save() raises
                StateError for what cannot be saved. False: such things are listed in `left` and in
                the log
    rng         whether the random numbers of Python, NumPy and PyTorch are a part of the state
    share       what ranks hold alike by construction (under DistributedDataParallel, or replicated
                by a DTensor's mesh) is saved once, a share by each. False: each saves all that it
                holds
    replicas    ranks that need the same bytes at a restore pull them once and give them to each
                other by torch.distributed, where it is up; where that fails each reads them from
                its own agent. None: those that saved shares of them, or in another world those
                that hold most alike now. A process group of just these ranks: by its backend
                (gloo, NCCL) in place of the default group's. False: each reads
    every       save() of a step that is no multiple of it does nothing
    best        "min" or "max": save(step, metric=) of a step that is better than all before is a
                save whatever its number, and a file in `persist`, which keeps it when memory does
                not; `checkpoint.best` names it, also after a restart
    metrics     is called, in a thread of its own, with a ckptd.Saved about each save once that is
                consistent or will never be

    Raises a ckptd.Error when it cannot attach, or there is a checkpoint that cannot be read;
    StateError at once for a part of the state of a kind that is not saved, by name.
    """
    optimizers = ([] if optimizer is None else list(optimizer)
                  if isinstance(optimizer, (list, tuple)) else [optimizer])
    settings = settings_of_job(run, attempt, rank, world)
    settings.update(socket=socket, copies=copies or _number("CKPT_COPIES", default=0),
                    timeout=timeout, copy_threads=copy_threads)
    checkpoint = Checkpointer(Registered(model, optimizers), {} if extra is None else extra,
                              settings, required=required, strict=strict, rng=rng,
                              direct=GpuDirect() if gpu_direct else None,
                              choice=Choice(every, best),
                              observer=None if metrics is None else Observer(metrics),
                              share=share, replicas=replicas)
    try:
        if persist is not None:
            checkpoint.persist_to(persist, persist_every)
        if resume and checkpoint._context is not None:
            checkpoint.restore(timeout=restore_timeout)
        checkpoint.prepare()
        checkpoint._prepare_after_first_step()
    except BaseException:
        checkpoint.close()
        raise
    return checkpoint
