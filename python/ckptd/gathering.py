# SPDX-License-Identifier: Apache-2.0
"""Ranks of a group give each other what all of them need at a restore, so that each byte leaves the
agents once for the whole group.

In the world that saved each rank has its own shard by then, and gives the others its share of what
they hold alike. In another world the group's ranks fetch the shards that are needed, each some of
them, and give each other what all want of those.

All of it lies in a thread: nothing here, a store that is gone included, holds a restore up for
longer than the time-outs of peers.py and half of its own. Whoever cannot use what came goes on
giving what is its own.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Iterator

import torch

from . import peers
from .boxes import Box
from .context import Context, Shard
from .peers import Council, Flight, Lost, Peers, patience, value_of
from .sharing import SHARES, Group, is_of_job, listed
from .sources import Ahead, Head, Piece, Place, Shards, Sources
from .tensors import TYPES

_log = logging.getLogger("ckptd")
_starts: dict[str, int] = {}  # exchanges that this process has begun, by what they are called


@dataclass(frozen=True)
class Given:
    """A part of a tensor of another rank's shard, in memory that is soon used again."""

    rank: int
    name: str  # in the shard
    box: Box
    source: torch.Tensor


class Exchange:
    """One restore's exchange. For each of heads() has_looked(), then say(), then pieces(); close()
    in any case."""

    def __init__(self, context: Context, step: int, group: list[int], sources: Sources,
                 said: dict[str, Any], replicas: Any, timeout: float) -> None:
        self._group, self._rank, self._sources, self._said = group, context.rank, sources, said
        self._run_name, self.fetched = context.run, 0
        self._deadline = time.monotonic() + timeout
        self._channel: queue.Queue[Any] = queue.Queue(maxsize=2)
        self._answers: queue.Queue[Any] = queue.Queue()
        self._lock = threading.Lock()  # a shard is read under it
        self._is_left = self._is_closed = False
        called = f"ckptd/{context.run}/{context.attempt}/{step}/{group[0]}"
        _starts[called] = _starts.get(called, 0) + 1
        self._prefix = f"{called}/{_starts[called]}"
        self._device, self._refusal = peers.device_of(replicas, group)
        self._thread = threading.Thread(target=self._run, name="ckptd-exchange", daemon=True)
        self._thread.start()

    # ---- the restore's side ----

    def heads(self) -> Iterator[list[Head]]:
        """What the shards have, a round after another. Raises Lost."""
        seconds = peers.AGREE_SECONDS + peers.STALL_SECONDS + self._sources.seconds
        while (found := self._take(seconds)) is not None:
            yield found

    def has_looked(self, is_planned: bool) -> None:
        """Whether this rank needs to look at no more."""
        self._answers.put(is_planned)

    def say(self, wanted: dict[int, dict[str, Box]]) -> None:
        """That this rank's sums close with what the heads have said, and what it wants."""
        self._answers.put(wanted)

    def pieces(self) -> Iterator[Given]:
        """What others give, part by part. Raises Lost; what came before that is right."""
        seconds = peers.AGREE_SECONDS + peers.STALL_SECONDS
        while (found := self._take(seconds)) is not None:
            yield from found
            if self._device.type == "cuda":  # the memory is used again on another stream
                torch.cuda.current_stream(self._device).synchronize()
            seconds = peers.STALL_SECONDS

    def close(self) -> None:
        """Waits until the others have what this rank gives, or have gone; then the shard may go."""
        self._is_left = True
        self._answers.put(None)
        self._thread.join(patience(self._deadline, peers.STALL_SECONDS))
        with self._lock:
            self._is_closed = True

    def _take(self, seconds: float) -> Any:
        try:
            found = self._channel.get(timeout=patience(self._deadline, seconds))
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
        finally:
            with self._lock:  # what is read ahead reads no more
                self._is_closed = True
                self._sources.close()

    def _put(self, item: Any) -> None:
        """Hands on what has come; not to a restore that goes on without it."""
        while not self._is_left:
            try:
                self._channel.put(item, timeout=0.05)
                return
            except queue.Full:
                continue

    def _answer(self) -> Any:
        """What the restore says to what it was handed; None: it goes on without the group."""
        try:
            return self._answers.get(timeout=peers.AGREE_SECONDS)
        except queue.Empty:
            return None

    def _exchange(self) -> None:
        council = Council(peers.store(), self._prefix, self._group, self._rank)
        council.ask("begin", self._refusal, {
            **self._said, "group": self._group, "device": str(self._device.type),
            "piece": peers.PIECE}, None)
        link = Peers(council.store, f"{self._prefix}/peers", self._device,
                     self._group.index(self._rank), len(self._group))
        try:
            heads = self._look(council, link)
            self._put(None)
            answer = self._answer()
            wanted = None if answer is None else self._sources.wanted(heads, answer)
            council.ask("share", "its sums do not close" if wanted is None else None,
                        {"wanted": value_of(_text(wanted or {}))}, None)
            self._send(link, heads, wanted or {})
            self._put(None)
            # A connection is closed when nobody waits for what was sent by it.
            council.ask("end", None, None, None)
        finally:
            link.close()

    def _look(self, council: Council, link: Peers) -> dict[int, Head]:
        """What the shards have, until all of the group have seen enough."""
        heads: dict[int, Head] = {}
        for number, ranks in enumerate(self._sources.rounds):
            packed, refusal = self._packed(ranks)
            words = council.ask(f"look{number}", refusal, None, {
                rank: [len(raw), value_of(raw)] for rank, raw in packed.items()},
                peers.AGREE_SECONDS + self._sources.seconds)
            sizes = {int(rank): word for one in words for rank, word in one.items()}
            raws = {rank: self._raw(link, rank, packed.get(rank), sizes[rank][0])
                    for rank in ranks}
            damaged = [rank for rank in ranks if value_of(raws[rank]) != sizes[rank][1]]
            if damaged:
                council.ask(f"looked{number}", f"what came of {damaged} is damaged", None, None)
            heads.update((rank, Head(rank, raw, self._sources.shares, self._sources.whole))
                         for rank, raw in raws.items())
            self._put([heads[rank] for rank in ranks])
            answer = self._answer()
            if all(council.ask(f"looked{number}", "it goes on alone" if answer is None else None,
                               None, answer)):
                break
        return heads

    def _packed(self, ranks: list[int]) -> tuple[dict[int, bytes], str | None]:
        """({rank: head} of what this rank gives, why it cannot)."""
        packed: dict[int, bytes] = {}
        try:
            for rank in ranks:
                if self._sources.givers[rank] == self._rank:
                    shard = self._sources.get(rank)
                    packed[rank] = Head.pack(shard, self._sources.brought(shard))
                    self.fetched += self._sources.shares is None
        except Exception as error:  # the others go on as this one does: alone
            return {}, f"{type(error).__name__}: {error}"
        return packed, None

    def _raw(self, link: Peers, rank: int, mine: bytes | None, size: int) -> bytes:
        memory = None if mine is None else torch.frombuffer(bytearray(mine), dtype=torch.uint8)
        giver = self._group.index(self._sources.givers[rank])
        return bytes(link.start(giver, size, memory).land().cpu().numpy())

    def _send(self, link: Peers, heads: dict[int, Head],
              wanted: dict[int, dict[str, Box]]) -> None:
        """All pieces: some are read and on their way while one is proven."""
        row = list(self._sources.row(heads, wanted))
        ahead = Ahead(self._read, [piece for piece in row if piece.giver == self._rank])
        flights: deque[tuple[Flight, Piece]] = deque()
        try:
            for piece in row:
                if len(flights) == peers.WINDOW:
                    self._land(heads, *flights.popleft())
                mine = ahead.take() if piece.giver == self._rank else None
                flights.append((link.start(self._group.index(piece.giver), piece.size, mine),
                                piece))
            while flights:
                self._land(heads, *flights.popleft())
        finally:
            ahead.close()

    def _read(self, piece: Piece) -> torch.Tensor:
        """What this rank gives, of its agent's memory."""
        memory = torch.empty(piece.size, dtype=torch.uint8)
        shard = self._sources.get(piece.rank)
        shard.want((place.name, place.inside) for place in piece.places)
        with self._lock:
            if self._is_closed:
                raise Lost("the shard was given back")
            for place in piece.places:
                if place.begin < place.end:
                    memory[place.at:place.at + place.end - place.begin] = torch.frombuffer(
                        shard.window(place.begin, place.end), dtype=torch.uint8)
        return memory

    def _land(self, heads: dict[int, Head], flight: Flight, piece: Piece) -> None:
        memory = flight.land()
        is_mine = piece.giver == self._rank
        if is_mine and self._sources.shares is not None:
            return  # filled of the shard itself
        if not is_mine and not flight.proven():
            _log.warning("run %s, rank %d: %d bytes that rank %d has sent are not what came: they "
                         "are read from the agent", self._run_name, self._rank, piece.size,
                         piece.giver)
            return
        self._put([Given(piece.rank, place.name, place.box,
                         _tensor(memory, heads[piece.rank].entries[place.name], place))
                   for place in piece.places])


def _tensor(memory: torch.Tensor, entry: dict[str, Any], place: Place) -> torch.Tensor:
    raw = memory[place.at:place.at + place.end - place.begin]
    return raw.view(TYPES[entry["dtype"]]).reshape(place.box.sizes)


def _text(wanted: dict[int, dict[str, Box]]) -> bytes:
    return json.dumps([[rank, [[name, box.offsets, box.sizes] for name, box in sorted(one.items())]]
                       for rank, one in sorted(wanted.items())]).encode()


def begin(context: Context, shard: Shard, replicas: Any, timeout: float) -> Exchange | None:
    """An exchange of the shares of the checkpoint that this rank has its own shard of, in the same
    world; None where it is not shared, or the ranks are not those of torch.distributed."""
    if SHARES not in shard.entries or not is_of_job(context.rank, context.world):
        return None
    group, _ = listed(shard)
    if context.rank not in group:
        return None
    said = {"list": value_of(shard.data(SHARES)), "attempt": shard.attempt}
    return Exchange(context, shard.step, group, Sources.own(shard), said, replicas, timeout)


def begin_elsewhere(context: Context, step: int, old_world: int, replicas: Any,
                    alike: Group | None, timeout: float, mine: Shards,
                    whole: Shards) -> Exchange | None:
    """An exchange of what the ranks of a group want of another world's shards: of the group that
    was given, or else of those that hold most `alike`. None where there is none. `mine` are the
    shards of the exchange's thread, for half of the time, and `whole` the restore's own."""
    if replicas is False or not is_of_job(context.rank, context.world):
        return None
    try:
        group = sorted(alike or () if replicas is None else
                       torch.distributed.get_process_group_ranks(replicas))
    except Exception:  # a group that this rank is not of
        return None
    if len(group) < 2 or context.rank not in group:
        return None
    sources = Sources.others(context, old_world, group, timeout / 2, mine, whole)
    return Exchange(context, step, group, sources, {"world": old_world}, replicas, timeout)
