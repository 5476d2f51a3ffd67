# SPDX-License-Identifier: Apache-2.0
"""A restore in another world: what a group's ranks all need leaves the agents once; whatever goes
wrong with the group, each reads it from its own agent."""

import contextlib
import os
import random
import signal
import time
from unittest import mock

import pytest
import torch
import torch.distributed as distributed
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import ckptd
import ranks
from ckptd import gathering, peers, sources
from ckptd.boxes import Box
from test_gathering import counted, fresh, patch, quick, raises, spoil
from test_sharing import Odd, digest, save_shares, sockets_of

WORLD = 4
Exchange = gathering.Exchange


def attached(model, optimizer, run, socket, **settings):
    return ckptd.attach(model, optimizer, run=run, socket=socket, extra={"rank": -1}, **settings)


def go_on(rank, world, say, run, sockets):
    quick()
    model, optimizer = fresh()
    spoil(model.module)
    with counted() as (fetched, given), \
            attached(model, optimizer, run, sockets[rank % len(sockets)]) as checkpoint:
        assert checkpoint.resumed == 1 and checkpoint.left == []
        return given[0], fetched, digest(model, optimizer), checkpoint._extra["rank"]


@pytest.mark.parametrize("old, new", [(1, 4), (1, 2), (4, 2), (2, 4), (4, 3), (3, 4), (4, 1)])
@pytest.mark.parametrize("share", [True, False])
def test_each_byte_leaves_the_agents_once(shared_cluster, run, old, new, share):
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(old, save_shares, run=run, sockets=sockets, share=share)[0]
    found = ranks.run(new, go_on, run=run, sockets=sockets)
    is_group = new > 1
    assert [(given, one) for given, _, one, _ in found] == [(is_group, truth)] * new
    # The extra state is that of the rank that saved next to where this one is.
    assert [extra for *_, extra in found] == [rank * old // new for rank in range(new)]
    fetched = [rank for _, of_one, _, _ in found for rank in of_one]
    if is_group:
        assert len(fetched) == len(set(fetched))
    if share:
        assert set(fetched) == set(range(old))


class Large(nn.Module):
    """Of several pieces, and of more than a chunk each: a shard of it is read in parts."""

    def __init__(self, fill=None):
        super().__init__()
        torch.manual_seed(3)
        self.parts = nn.ParameterList([torch.randn(rows, 4096) for rows in (900, 31, 300, 7)])
        if fill is not None:
            spoil(self)

    def forward(self, x):
        return x * sum(parameter.sum() for parameter in self.parameters())


def go_on_from_large(rank, world, say, run, sockets, replicas=None):
    peers.PIECE = 1 << 20
    model = DistributedDataParallel(Large(fill=5))
    read = [0]

    def counting(context, *arguments, reads=ckptd.Context.read_range_or_shard, **more):
        found, shard = reads(context, *arguments, **more)
        read[0] += found.shard_bytes if found.is_whole else len(found.data)
        return found, shard

    def counting_whole(context, *arguments, fetch=ckptd.Context.fetch):
        shard = fetch(context, *arguments)
        read[0] += shard.bytes
        return shard

    with mock.patch.multiple(ckptd.Context, read_range_or_shard=counting, fetch=counting_whole), \
            counted() as (opened, given), ckptd.attach(
                model, run=run, socket=sockets[rank % len(sockets)], replicas=replicas):
        same = all(torch.equal(mine, saved) for mine, saved in
                   zip(model.parameters(), Large().parameters()))
        return same, given[0], opened, read[0]


def test_each_rank_reads_its_part_of_one_shard(shared_cluster, run):
    sockets = sockets_of(shared_cluster)
    with ckptd.attach(Large(), run=run, socket=sockets[0], rank=0, world=1,
                      copies=1) as checkpoint:
        checkpoint.save(1).consistent(30)
        with checkpoint.context_or_raise().fetch(0) as shard:
            whole = shard.bytes
    found = ranks.run(WORLD, go_on_from_large, run=run, sockets=sockets)
    assert [one[:3] for one in found] == [(True, True, [0])] * WORLD
    # Pieces and chunks do not end in the same places, and each rank looks at the header.
    read = [one[-1] for one in found]
    assert all(0 < one < 0.75 * whole for one in read), (whole, read)
    alone = ranks.run(WORLD, go_on_from_large, run=run, sockets=sockets, replicas=False)
    assert all(one[:2] == (True, False) for one in alone)
    assert sum(read) < 0.6 * sum(one for *_, one in alone)


def shard_plainly(rank, world, say, run, sockets, attempt, shape=None):
    quick()
    torch.manual_seed(attempt)
    model = nn.Sequential(nn.Linear(96, 120), nn.Linear(120, 96))
    names = ("replicate", "shard")
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=names[-len(shape):])
    for part in (*model, model):
        fully_shard(part, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    if attempt == 1:
        model(torch.ones(4, 96)).sum().backward()
        optimizer.step()
    with counted() as (fetched, given), ckptd.attach(
            model, optimizer, run=run, attempt=attempt, resume=attempt > 1,
            socket=sockets[rank % len(sockets)]) as checkpoint:
        if attempt == 1:
            checkpoint.save(1).consistent(30)
        return digest(model, optimizer), given[0] if attempt > 1 else None


@pytest.mark.parametrize("old, new, does", [((2,), (2, 2), True), ((3,), (2, 2), True),
                                            ((2, 2), (2, 1), True), ((4,), (2,), False)])
def test_the_replicas_of_hybrid_sharding(shared_cluster, run, old, new, does):
    sockets = sockets_of(shared_cluster)
    worlds = [torch.Size(shape).numel() for shape in (old, new)]
    truth = ranks.run(worlds[0], shard_plainly, run=run, sockets=sockets, attempt=1, shape=old)
    found = ranks.run(worlds[1], shard_plainly, run=run, sockets=sockets, attempt=2, shape=new)
    assert found == [(truth[0][0], does)] * worlds[1]


def with_a_group(rank, world, say, run, sockets, given):
    quick()
    whole = distributed.new_group(list(range(world)), backend="gloo")
    pairs = [distributed.new_group([0, 1]), distributed.new_group([2, 3])]
    replicas = {"whole": whole, "pairs": pairs[rank // 2], "none": None, "off": False,
                "not mine": pairs[1 - rank // 2]}[given]
    torch.manual_seed(9)
    model = Odd()  # nothing says that it is the same in all ranks
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)
    with counted() as (fetched, exchanged):
        attached(model, optimizer, run, sockets[rank % len(sockets)], replicas=replicas).close()
    return exchanged[0], len(fetched), digest(model, optimizer)


def test_a_group_that_is_given(shared_cluster, run):
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(1, save_shares, run=run, sockets=sockets)[0]
    for given, does, count in (("whole", True, 1), ("pairs", True, 2), ("none", False, 4),
                               ("off", False, 4), ("not mine", False, 4)):
        found = ranks.run(WORLD, with_a_group, run=run, sockets=sockets, given=given)
        assert [one[::2] for one in found] == [(does, truth)] * WORLD, given
        assert sum(one[1] for one in found) == count, given


def flips(rank, which):
    """What this rank gets of rank 0: heads first."""
    count = [0]

    def land(flight, wait=peers.Flight.land):
        memory = wait(flight)
        count[0] += 1
        if count[0] == which:
            memory[memory.numel() // 2] ^= 1
        return memory

    return patch(peers.Flight, "land", land)


def never(*_):
    time.sleep(60)


def hangs_in_the_middle(exchange, *arguments, land=Exchange._land, count=[0]):
    count[0] += 1
    if count[0] > 5:
        time.sleep(60)
    land(exchange, *arguments)


def wants_less(restorer, wanted=ckptd.restored.Restorer.wanted):
    found = wanted(restorer)
    found[0].pop(next(iter(found[0])))
    return found


CASES = [  # what is done to a rank, who that is, and to which ranks the group then gives
    ("well", 0, None, [True] * WORLD),
    ("a wrong piece", 2, flips(2, 4), [True] * WORLD),
    ("a wrong head", 2, flips(2, 1), [False] * WORLD),
    ("others want more", 1, patch(ckptd.restored.Restorer, "wanted", wants_less), [False] * WORLD),
    ("does not come", 3, patch(Exchange, "_run", lambda exchange: None), [False] * WORLD),
    ("who gives cannot fetch", 0, patch(Exchange, "_packed", raises), [False] * WORLD),
    ("hangs in the middle", 1, patch(Exchange, "_land", hangs_in_the_middle), None),
    ("who gives hangs", 0, patch(Exchange, "_read", never), [False] * WORLD),
    ("a store that hangs", 2, patch(peers, "store", never), [False] * WORLD),
    ("no backend", 1, patch(peers, "device_of", lambda *_: (torch.device("cpu"), "no")),
     [False] * WORLD),
    ("well at last", 0, None, [True] * WORLD),
]


def in_every_case(rank, world, say, run, sockets):
    quick()
    model, optimizer = fresh()
    with counted() as (fetched, given), attached(
            model, optimizer, run, sockets[rank % len(sockets)], resume=False) as checkpoint:
        for name, who, patched, _ in CASES:
            spoil(model.module)
            fetched.clear(), given.clear()
            distributed.barrier()
            began = time.monotonic()
            with patched() if patched and rank == who else contextlib.nullcontext():
                assert checkpoint.restore(timeout=12) == 1
            seconds = time.monotonic() - began
            say((name, given[0], len(fetched), digest(model, optimizer), seconds))


def test_whatever_goes_wrong(shared_cluster, run):
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(1, save_shares, run=run, sockets=sockets)[0]
    job = ranks.Job(WORLD, in_every_case, run=run, sockets=sockets)
    job.wait(240)
    for place, (name, who, _, expected) in enumerate(CASES):
        said = [notes[place] for notes in job.notes]
        assert [one[0] for one in said] == [name] * WORLD
        assert all(one[3] == truth and one[4] < 25 for one in said), (name, said)
        given, count = [one[1] for one in said], [one[2] for one in said]
        assert expected is None or given == expected, name
        if name == "a wrong piece":
            assert count == [1, 0, 1, 0]  # of its own agent
        elif name.startswith("well"):
            assert count == [1, 0, 0, 0]
        elif expected is not None:
            assert all(count), name


def is_lost(rank, world, say, run, sockets, who, number):
    quick()
    count = [0]

    def fatal(exchange, *arguments, land=Exchange._land):
        count[0] += 1
        if rank == who and count[0] == 5:
            os.kill(os.getpid(), number)
        land(exchange, *arguments)

    model, optimizer = fresh()
    spoil(model.module)
    began = time.monotonic()
    with mock.patch.object(Exchange, "_land", fatal), counted() as (_, given):
        attached(model, optimizer, run, sockets[rank % len(sockets)]).close()
    say((given[0], digest(model, optimizer), time.monotonic() - began))
    time.sleep(60)  # ended by the test


@pytest.mark.parametrize("who", [0, 2])  # who has fetched it, and another
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_rank_that_is_lost_in_the_middle(shared_cluster, run, who, number):
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(1, save_shares, run=run, sockets=sockets)[0]
    job = ranks.Job(WORLD, is_lost, run=run, sockets=sockets, who=who, number=number)
    others = [rank for rank in range(WORLD) if rank != who]
    try:
        job.wait_note(lambda notes: all(notes[rank] for rank in others))
    finally:
        job.kill()
    assert job.notes[who] == []
    for rank in others:
        [(_, found, seconds)] = job.notes[rank]
        assert found == truth and seconds < 25
    assert not any(notes[0][0] for notes in job.notes if notes)


# ---- what is sent ----


def test_what_a_box_has_besides_another():
    random.seed(4)
    for _ in range(300):
        count = random.randint(0, 4)
        box, other = (Box(tuple(random.randint(0, 4) for _ in range(count)),
                          tuple(random.randint(1, 4) for _ in range(count))) for _ in range(2))
        seen = torch.zeros((9,) * count, dtype=torch.int)
        whole = Box((0,) * count, (9,) * count)
        inner = box & other
        for one in [*box.without(other), *([inner] if inner else [])]:
            seen[one.within(whole)] += 1
        want = torch.zeros_like(seen)
        want[box.within(whole)] = 1
        assert torch.equal(seen, want)
        both = box | other
        assert both & box == box and both & other == other


class OneTensor:
    """A head of one tensor, which lies at `offsets` of its whole."""

    def __init__(self, shape, offsets):
        size = 4 * torch.Size(shape).numel()
        self.entries = {"t": {"dtype": "F32", "shape": list(shape),
                              "data_offsets": [64, 64 + size]}}
        self.metadata = {"DCP_SHARDING_INFO": f'{{"t": {{"saved_offsets": {list(offsets)}}}}}'}


@pytest.mark.parametrize("shape, wanted, most", [
    ((), None, 4), ((7,), None, 8), ((1, 300, 5), None, 100), ((33, 5), (10, 4), 40),
    ((257, 129), (0, 257), 1000), ((6, 1000), (2, 3), 100), ((1, 1), None, 4)])
def test_what_is_sent_is_cut_in_rows(monkeypatch, shape, wanted, most):
    monkeypatch.setattr(peers, "PIECE", most)
    offsets = tuple(range(len(shape)))
    box = Box(offsets, shape)
    if wanted is not None:
        box = Box((offsets[0] + wanted[0], *offsets[1:]), (wanted[1], *shape[1:]))
    data = torch.arange(torch.Size(shape).numel(), dtype=torch.float32)
    made = torch.full(shape, -1.0)
    for places, size in sources.pieces(OneTensor(shape, offsets), {"t": box}):
        row = 4 * (torch.Size(shape[1:]).numel() if len(shape) else 1)
        assert size <= max(most, row) + 64
        for place in places:
            values = data[(place.begin - 64) // 4:(place.end - 64) // 4]
            made[place.box.within(Box(offsets, shape))] = values.reshape(place.box.sizes)
    want = torch.full(shape, -1.0)
    inside = box.within(Box(offsets, shape))
    want[inside] = data.reshape(shape)[inside]
    assert torch.equal(made, want)
