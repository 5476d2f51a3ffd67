# SPDX-License-Identifier: Apache-2.0
"""How a restore reads: this rank's own shard, or, after a change of the world, those of others."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import torch

from . import gathering
from .context import Context, Shard
from .errors import Error, NoCheckpoint, StateError, WorldChanged
from .restored import Restorer, order
from .sharing import listed, replicas_of

_HELD = 8  # shards that are kept mapped between looking and copying
_log = logging.getLogger("ckptd")


@dataclass(frozen=True)
class Found:
    """Which checkpoint was restored."""

    step: int
    attempt: int
    world: int
    shards: int  # that were read
    is_exchanged: bool = False  # whether the others' shares came by torch.distributed


class _Shards:
    """Shards of one step, opened as they are wanted, a few of them kept."""

    def __init__(self, context: Context, step: int, timeout: float) -> None:
        self._context, self._step, self._timeout = context, step, timeout
        self._held: dict[int, Shard] = {}

    def get(self, rank: int) -> Shard:
        if rank not in self._held:
            if len(self._held) >= _HELD:
                self._held.pop(next(iter(self._held))).close()
            self._held[rank] = self._context.open(rank, self._step, self._timeout)
        return self._held[rank]

    def hold(self, shard: Shard) -> None:
        self._held[shard.rank] = shard

    def close(self) -> None:
        while self._held:
            self._held.popitem()[1].close()


class _Group:
    """The others' shares by torch.distributed: whatever is wrong with that, the shards have them
    too, and a restore goes on with these."""

    def __init__(self, context: Context, exchange: gathering.Exchange | None) -> None:
        self._context, self._exchange = context, exchange
        self.has_given = False

    def look(self, restorer: Restorer, first: int) -> None:
        """At what the group shows, after what is no tensor of the shard of one rank."""
        if self._exchange is None:
            return
        with self._or_shards():
            for heads in self._exchange.heads():
                for head in heads:
                    if head.rank == first:
                        restorer.begin(head)
                for head in heads:
                    restorer.look(head)
                self._exchange.has_looked(restorer.is_planned())

    def fill(self, restorer: Restorer) -> int:
        """Returns how many shards this rank has fetched for it."""
        if self._exchange is None:
            return 0
        count = 0
        with self._or_shards():
            self._exchange.say(restorer.wanted())
            restorer.take(self._exchange.pieces())
            count, self.has_given = self._exchange.fetched, True
        self.close()
        return count

    @contextlib.contextmanager
    def _or_shards(self) -> Iterator[None]:
        try:
            yield
        except Error:
            raise
        except Exception as error:
            _log.info("run %s, rank %d: reads the others' shards, as their group does not give "
                      "them: %s", self._context.run, self._context.rank, error)
            self.close()

    def close(self) -> None:
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    def __enter__(self) -> _Group:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(context: Context, restorer: Restorer, step: int, timeout: float,
         check: Callable[[Restorer], None], finish: Callable[[Restorer], None],
         replicas: Any = None) -> Found | None:
    """Restores the newest step, or the one asked for; None when the run has none.

    check() is the caller's own look at what is there, before anything is overwritten; finish() puts
    in place what is no tensor. `replicas` is attach()'s. Raises ckptd.Error; the reason names run
    and step, and says so when the model was touched.
    """
    exchange, is_own = None, True
    try:
        shard = context.load(step, timeout)
    except NoCheckpoint:
        return None
    except WorldChanged:
        is_own = False
        info = context.info(step)
        at = _same_everywhere(info.step)
        info = info if at == info.step else context.info(at)
        shards = _Shards(context, at, timeout)
        found = Found(at, info.attempt, info.world, 0)
        ranks = order(context.rank, context.world, info.world)
        exchange = gathering.begin_elsewhere(
            context, at, info.world, replicas,
            replicas_of(restorer.registered, context.rank, context.world), timeout,
            _Shards(context, at, timeout / 2), shards)
    else:
        shards = _Shards(context, shard.step, timeout)
        shards.hold(shard)
        found = Found(shard.step, shard.attempt, shard.world, 0)
        ranks = [shard.rank, *_others(shard)]
        exchange = gathering.begin(context, shard, replicas, timeout)
    group = _Group(context, exchange)
    with contextlib.closing(shards), group, _named(context.run, found.step):
        if not is_own:
            group.look(restorer, ranks[0])
        for rank in ranks:
            if restorer.is_planned():
                break
            restorer.look(shards.get(rank))
            if is_own and rank == context.rank:
                group.look(restorer, rank)
        restorer.check(found.world == context.world)
        check(restorer)
        with _touched():
            count = 0
            if is_own and exchange is not None:
                restorer.fill(shards.get(context.rank))
                count = 1
            count += group.fill(restorer)
            for rank in restorer.ranks():
                restorer.fill(shards.get(rank))
                count += 1
            finish(restorer)
    return Found(found.step, found.attempt, found.world, max(1, count), group.has_given)


def _others(shard: Shard) -> list[int]:
    """Who has the rest of what this rank's group holds alike: from the next rank on, so that not
    all ranks read the same shard at once."""
    group, _ = listed(shard)
    place = group.index(shard.rank) if shard.rank in group else 0
    return [rank for rank in group[place + 1:] + group[:place] if rank != shard.rank]


@contextlib.contextmanager
def _named(run: str, step: int) -> Any:
    """Errors about the state name run and step."""
    try:
        yield
    except StateError as error:
        raise type(error)(error.status, f"run {run}, step {step}: {error.reason}") from error


@contextlib.contextmanager
def _touched() -> Any:
    """From here on an error leaves a model that is neither what it was nor what was saved."""
    said = "; a part of the checkpoint is in the model already: do not train on with it"
    try:
        yield
    except Error as error:
        raise type(error)(error.status, error.reason + said) from error
    except Exception as error:  # of a load_state_dict()
        raise StateError("CKPT_ERR_INVALID",
                         f"{type(error).__name__}: {error}{said}") from error


def _same_everywhere(step: int) -> int:
    """Rank 0's answer, where the ranks can talk: between two asks a newer step may come."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return step
    box = [step]
    distributed.broadcast_object_list(box, src=0)
    return int(box[0])
