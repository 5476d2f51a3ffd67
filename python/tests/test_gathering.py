# SPDX-License-Identifier: Apache-2.0
"""Shares put together by torch.distributed; whatever goes wrong with that, by the shards."""

import contextlib
import os
import signal
import time
from unittest import mock

import torch
import torch.distributed as distributed
from torch.nn.parallel import DistributedDataParallel

import ckptd
import ranks
from ckptd import gathering, peers, reading, restored
from test_sharing import Odd, digest, hybrid, save_shares, sockets_of

WORLD = 4


@contextlib.contextmanager
def counted():
    """[peers' shards fetched], [whether the group gave them] of what is restored within."""
    fetched, given = [], []
    open_, read = ckptd.Context.open, reading.read

    def counting_open(context, rank, *arguments):
        fetched.append(rank)
        return open_(context, rank, *arguments)

    def noting_read(*arguments):
        found = read(*arguments)
        given.append(found.is_exchanged)
        return found

    with mock.patch.object(ckptd.Context, "open", counting_open), \
            mock.patch("ckptd.checkpointer.read", noting_read):
        yield fetched, given


def fresh(seed=99):
    torch.manual_seed(seed)
    model = DistributedDataParallel(Odd())
    return model, torch.optim.AdamW(model.parameters(), lr=0.5)


def spoil(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(5)


def raises(*_, **__):
    raise RuntimeError("out of memory")


def takes_one(restorer, given, take=restored.Restorer.take):
    take(restorer, [next(given)])
    raises()


def flips(of_heads):
    """What a rank gets of rank 3: heads first, one of each rank, then the shares."""
    count, wait = [0], peers.Flight.land

    def start(link, owner, size, mine, start=peers.Peers.start):
        flight = start(link, owner, size, mine)
        count[0] += 1
        flight.is_spoilt = owner == 3 and of_heads == (count[0] <= WORLD)
        return flight

    def land(flight):
        memory = wait(flight)
        if flight.is_spoilt:
            memory[memory.numel() // 2] ^= 1
        return memory

    @contextlib.contextmanager
    def patched():
        with mock.patch.object(peers.Peers, "start", start), \
                mock.patch.object(peers.Flight, "land", land):
            yield

    return patched


def refuses(*_):
    raise ckptd.StateError("CKPT_ERR_NOT_FOUND", "it lacks extra/something")


def never(*_):
    time.sleep(60)


def patch(owner, name, by):
    return lambda: mock.patch.object(owner, name, by)


Exchange = gathering.Exchange
CASES = [  # what is done to rank 1, and to which ranks the group then gives the rest
    ("well", None, [True] * WORLD),
    ("again", None, [True] * WORLD),
    ("no memory", patch(restored.Restorer, "take", takes_one), [True, False, True, True]),
    ("damaged", flips(False), [True] * WORLD),
    ("damaged head", flips(True), [False] * WORLD),
    ("absent", patch(Exchange, "_run", lambda exchange: None), [False] * WORLD),
    ("raises", patch(Exchange, "_land", raises), [False] * WORLD),
    ("refuses", patch(ckptd.Checkpointer, "_check_rest", refuses), [False, None, False, False]),
    ("hangs", patch(peers, "store", never), [False] * WORLD),
    ("cannot", patch(peers, "device_of", lambda *_: (torch.device("cpu"), "no")),
     [False] * WORLD),
    ("at last", None, [True] * WORLD),
]


def quick():
    peers.PIECE, peers.AGREE_SECONDS, peers.STALL_SECONDS = 20_000, 2.0, 2.0


def restore_in_every_case(rank, world, say, run, sockets):
    quick()
    model, optimizer = fresh()
    with counted() as (fetched, given), ckptd.attach(
            model, optimizer, run=run, socket=sockets[rank % len(sockets)], resume=False,
            extra={"rank": -1}) as checkpoint:
        for name, patched, _ in CASES:
            spoil(model.module)
            fetched.clear(), given.clear()
            distributed.barrier()
            began = time.monotonic()
            with patched() if patched and rank == 1 else contextlib.nullcontext():
                try:
                    assert checkpoint.restore() == 1
                except ckptd.StateError as error:
                    say((name, None, 0, None, error.reason))
                    continue
            assert model.module.mine.tolist() == [rank] * 3
            say((name, given[0], len(fetched), digest(model, optimizer),
                 time.monotonic() - began))


def test_whatever_goes_wrong(shared_cluster, run):
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(WORLD, save_shares, run=run, sockets=sockets)[0]
    job = ranks.Job(WORLD, restore_in_every_case, run=run, sockets=sockets)
    job.wait(180)
    for place, (name, _, expected) in enumerate(CASES):
        said = [notes[place] for notes in job.notes]
        assert [one[:2] for one in said] == [(name, given) for given in expected]
        for rank, (_, given, fetched, found, seconds) in enumerate(said):
            if given is not None:
                assert found == truth and seconds < 25, name
                # What came before it went wrong is not read again.
                if name == "damaged":
                    assert fetched == (1 if rank == 1 else 0)
                else:
                    assert fetched == 0 if given else 0 < fetched < WORLD, name


def restore_with(rank, world, say, run, sockets, given):
    quick()
    pairs = [distributed.new_group([0, 1]), distributed.new_group([2, 3])]
    whole = distributed.new_group(list(range(world)), backend="gloo")
    replicas = {"pairs": pairs[rank // 2], "whole": whole, "off": False}.get(given)
    if given == "odd":
        replicas = pairs[0] if rank == 0 else whole
    model, optimizer = fresh()
    spoil(model.module)
    with counted() as (fetched, exchanged):
        ckptd.attach(model, optimizer, run=run, socket=sockets[rank % len(sockets)],
                     extra={"rank": -1}, replicas=replicas).close()
    return exchanged[0], len(fetched), digest(model, optimizer)


def test_a_group_that_is_given(shared_cluster, run):
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(WORLD, save_shares, run=run, sockets=sockets)[0]
    for given, does in (("whole", True), ("pairs", False), ("odd", False), ("off", False)):
        found = ranks.run(WORLD, restore_with, run=run, sockets=sockets, given=given)
        assert found == [(does, 0 if does else WORLD - 1, truth)] * WORLD, given


def dies_in_the_middle(rank, world, say, run, sockets):
    quick()
    count, land = [0], gathering.Exchange._land

    def fatal(*arguments):
        count[0] += 1
        if count[0] == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        land(*arguments)

    model, optimizer = fresh()
    spoil(model.module)
    with mock.patch.object(gathering.Exchange, "_land", fatal if rank == 2 else land), \
            counted() as (_, given):
        ckptd.attach(model, optimizer, run=run, socket=sockets[rank % len(sockets)],
                     extra={"rank": -1}).close()
    say((given[0], digest(model, optimizer)))
    time.sleep(60)  # ended by the test


def test_a_rank_that_dies_in_the_middle(shared_cluster, run):
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(WORLD, save_shares, run=run, sockets=sockets)[0]
    job = ranks.Job(WORLD, dies_in_the_middle, run=run, sockets=sockets)
    try:
        job.wait_note(lambda notes: all(notes[rank] for rank in (0, 1, 3)))
    finally:
        job.kill()
    assert [notes for notes in job.notes] == [[(False, truth)], [(False, truth)], [],
                                              [(False, truth)]]


def hybrid_counted(rank, world, say, **arguments):
    with counted() as (fetched, given):
        return hybrid(rank, world, say, **arguments), len(fetched), given[0]


def test_each_group_of_replicas_by_itself(shared_cluster, run):
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(4, hybrid, run=run, sockets=sockets, attempt=1)
    found = ranks.run(4, hybrid_counted, run=run, sockets=sockets, attempt=2)
    assert found == [(one, 0, True) for one in truth]


def elsewhere(rank, world, say, run, sockets):
    quick()
    model, optimizer = fresh()
    with counted() as (fetched, given):
        ckptd.attach(model, optimizer, run=run, socket=sockets[rank % len(sockets)],
                     extra={"rank": -1}).close()
    return given[0], len(fetched) > 0, digest(model, optimizer)


def test_another_world_gives_each_other_what_each_has_fetched(shared_cluster, run):
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(3, save_shares, run=run, sockets=sockets)[0]
    assert ranks.run(2, elsewhere, run=run, sockets=sockets) == [(True, True, truth)] * 2
