# SPDX-License-Identifier: Apache-2.0
"""What ranks hold alike is saved once: shares, any world, ranks that differ, what is not alike."""

import json
import time

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import ckptd
import ranks
from ckptd import device, persist, shares, sharing
from ckptd.entries import make_entry

RAGGED = [(), (1,), (7,), (1, 300), (33, 5), (257, 129), (3, 1, 40), (2, 2), (1, 1)]


class Odd(nn.Module):
    """Parameters of every shape, a buffer of each rank's own, one that is shared, one unused."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.many = nn.ParameterList([torch.randn(shape) for shape in RAGGED])
        self.low = nn.Parameter(torch.randn(500, 11).to(torch.bfloat16))
        self.strided = nn.Parameter(torch.randn(90, 70).t())
        self.tied = self.many[5]
        self.register_buffer("mine", torch.zeros(3))
        self.norm = nn.BatchNorm1d(5)

    def forward(self, x):
        total = sum((parameter.float() ** 2).sum() for parameter in self.parameters())
        return total * x.mean() + self.norm(x).sum() * 0


def trained(rank, steps=3, model=None, seed=0):
    model = Odd() if model is None else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    inner = model.module if hasattr(model, "module") else model
    for step in range(steps):
        model(torch.randn(8, 5, generator=torch.Generator().manual_seed(seed + step))).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        inner.mine.fill_(rank)
    return model, optimizer


def digest(model, optimizer):
    """All of it but the buffers, as numbers that can be compared between processes."""
    inner = model.module if hasattr(model, "module") else model
    found = {name: _whole(value).float().double().sum().item()
             for name, value in inner.named_parameters()}
    for name, value in inner.named_parameters():
        for key, part in optimizer.state[value].items():
            found[f"{name}/{key}"] = _whole(part).float().double().sum().item()
    return found


def _whole(value):
    return value.full_tensor() if hasattr(value, "full_tensor") else value.detach()


def save_shares(rank, world, say, run, sockets, attempt=1, steps=(1,), share=True):
    model, optimizer = trained(rank, model=DistributedDataParallel(Odd()))
    with ckptd.attach(model, optimizer, run=run, attempt=attempt, share=share, resume=False,
                      socket=sockets[rank % len(sockets)], extra={"rank": rank}) as checkpoint:
        for step in steps:
            checkpoint.save(step).consistent(30)
        shared = checkpoint._layout.share
        say((checkpoint._layout.table.count, 0 if shared is None else shared.bytes))
        with checkpoint.context_or_raise().fetch(rank, steps[-1]) as shard:
            say(shard.bytes)
    return digest(model, optimizer)


def restore(rank, world, say, run, sockets, attempt, wrap=True, save=None):
    torch.manual_seed(99)
    model = Odd()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(5)
    model = DistributedDataParallel(model) if wrap else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)
    extra = {"rank": -1}
    with ckptd.attach(model, optimizer, run=run, attempt=attempt, extra=extra,
                      socket=sockets[rank % len(sockets)]) as checkpoint:
        assert checkpoint.resumed == 1 and checkpoint.left == []
        inner = model.module if wrap else model
        say((extra["rank"], inner.mine.tolist()))
        found = digest(model, optimizer)
        if save is not None:
            checkpoint.save(save).consistent(30)
    return found


def sockets_of(cluster):
    return [agent.socket for agent in cluster.agents]


def test_each_rank_stages_its_share(shared_cluster, run):
    sockets = sockets_of(shared_cluster)
    job = ranks.Job(4, save_shares, run=run, sockets=sockets)
    truth = job.wait()
    assert truth[0] == truth[1] == truth[2] == truth[3]
    whole = ranks.Job(4, save_shares, run=run + "/whole", sockets=sockets, share=False)
    assert whole.wait() == truth
    assert all(notes[0][1] > 300_000 for notes in job.notes)
    assert all(notes[0][1] == 0 for notes in whole.notes)
    for mine, all_of in zip(job.notes, whole.notes):
        # The header, and the list of what others have, are of each shard.
        assert mine[1] < 0.25 * all_of[1] + 12_000
    # Same world, each on another node; buffers and extra state are each rank's own.
    again = ranks.Job(4, restore, run=run, sockets=sockets[1:] + sockets[:1], attempt=2)
    assert again.wait() == truth
    assert [notes[0] for notes in again.notes] == [(rank, [rank] * 3) for rank in range(4)]


@pytest.mark.parametrize("old, new", [(4, 2), (4, 3), (4, 1), (1, 4), (2, 4), (3, 2)])
def test_any_world(shared_cluster, run, old, new):
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(old, save_shares, run=run, sockets=sockets)
    found = ranks.run(new, restore, run=run, sockets=sockets, attempt=2, wrap=new > 1, save=2)
    assert all(one == truth[0] for one in found)


def test_a_process_without_torch_distributed(shared_cluster, run):
    """No group to talk in: the shards are enough."""
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(4, save_shares, run=run, sockets=sockets)
    said = []
    assert restore(0, 1, said.append, run, sockets, 2, wrap=False) == truth[0]


def wrapped_and_not(rank, world, say, run, sockets):
    for first in (True, False):
        def make(is_wrapped):
            return DistributedDataParallel(Odd()) if is_wrapped else Odd()

        model, optimizer = trained(rank, model=make(first))
        settings = {"run": f"{run}/{first}", "socket": sockets[rank], "extra": {}}
        with ckptd.attach(model, optimizer, resume=False, **settings) as checkpoint:
            checkpoint.save(1).consistent(30)
            assert (checkpoint._layout.share is not None) == first
        torch.distributed.barrier()
        other = make(not first)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.fill_(5)
        its = torch.optim.AdamW(other.parameters(), lr=0.5)
        with ckptd.attach(other, its, **settings) as checkpoint:
            assert checkpoint.resumed == 1 and checkpoint.left == []
        assert digest(other, its) == digest(model, optimizer)
        inner = model.module if first else other.module
        assert inner.mine.tolist() == [rank] * 3 and its.param_groups[0]["lr"] == 0.01


def test_from_under_the_wrapper_and_back(shared_cluster, run):
    """In the same world: names are those without DistributedDataParallel."""
    ranks.run(2, wrapped_and_not, run=run, sockets=sockets_of(shared_cluster))


def test_a_look_from_outside(shared_cluster, run):
    """ckptd.load() puts shares together too."""
    sockets = sockets_of(shared_cluster)
    truth = ranks.run(3, save_shares, run=run, sockets=sockets)[0]
    state = ckptd.load(run, socket=sockets[0])
    for name, value in state.model.items():
        if name in truth:
            assert value.float().double().sum().item() == truth[name], name
    values = state.optimizers[0]["state"]["tied"]
    assert values["exp_avg"].float().double().sum().item() == truth["tied/exp_avg"]


def test_a_lost_node_blocks_nothing(start_cluster, run):
    cluster = start_cluster(agents=4)
    sockets = sockets_of(cluster)
    truth = ranks.run(4, save_shares, run=run, sockets=sockets)
    cluster.agents[2].kill()
    cluster.agents[2].wipe()
    sockets[2] = sockets[0]
    found = ranks.run(4, restore, run=run, sockets=sockets, attempt=2)
    assert all(one == truth[0] for one in found)


def differ(rank, world, say, run, sockets):
    model, optimizer = trained(rank, model=DistributedDataParallel(Odd()))
    with ckptd.attach(model, optimizer, run=run, attempt=1, socket=sockets[rank],
                      resume=False) as checkpoint:
        checkpoint.save(1).consistent(30)
        if rank == 1:
            with torch.no_grad():
                model.module.many[5][0, 0] += 1  # somebody wrote to one rank's weights
        torch.distributed.barrier()
        outcomes = []
        for step in range(2, 20):
            handle = checkpoint.save(step)
            try:
                handle.consistent(30)
                outcomes.append("consistent")
            except ckptd.Diverged as error:
                outcomes.append("diverged")
                assert "diverged" in error.reason
            torch.distributed.barrier()
        say(checkpoint._layout.share is None)
        return outcomes, model.module.many[5][0, 0].item()


def test_ranks_that_differ_are_found_within_sixteen_saves(start_cluster, run):
    cluster = start_cluster(agents=2)
    job = ranks.Job(2, differ, run=run, sockets=sockets_of(cluster))
    (first, mine), (second, other) = job.wait(180)
    assert first == second and mine != other
    assert 1 <= first.count("diverged") <= 2 and first.index("diverged") < 16
    # From then on each has its own, and a restore gives it back.
    assert set(first[first.index("diverged") + first.count("diverged"):]) == {"consistent"}
    assert job.notes == [[True], [True]]
    with ckptd.Context(run, socket=cluster.agents[0].socket, reader=True) as context:
        for rank, value in enumerate((mine, other)):
            with context.fetch(rank, 19) as shard:
                assert sharing.SHARES not in shard.entries
                begin, _ = shard.entries["tied"]["data_offsets"]
                found = torch.frombuffer(shard.window(begin, begin + 4), dtype=torch.float32)
                assert found.item() == value


def another_list(rank, world, say, run, sockets):
    """The same parameters, and one rank's optimizer has state that the other's has not."""
    model = DistributedDataParallel(Odd())
    kind = torch.optim.AdamW if rank == 0 else torch.optim.SGD
    _, optimizer = model, kind(model.parameters(), lr=0.0)
    model(torch.ones(8, 5)).backward()
    optimizer.step()
    with ckptd.attach(model, optimizer, run=run, attempt=1, socket=sockets[rank],
                      resume=False) as checkpoint:
        with pytest.raises(ckptd.Diverged):
            checkpoint.save(1).consistent(30)
        torch.distributed.barrier()
        step = 2
        while True:
            try:
                return checkpoint.save(step).consistent(30)
            except ckptd.Diverged:
                step += 1
                assert step < 4


def test_ranks_with_other_lists_are_found_at_once(shared_cluster, run):
    assert ranks.run(2, another_list, run=run, sockets=sockets_of(shared_cluster)) == [True] * 2


def what_is_shared(rank, world, say, case):
    model = Odd()
    if case == "ignored":
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, ["tied"])
    if case == "zero":
        model.low.data = model.low.data.float()  # it takes one type
    wrapped = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(wrapped.parameters())
    if case == "zero":
        from torch.distributed.optim import ZeroRedundancyOptimizer

        optimizer = ZeroRedundancyOptimizer(wrapped.parameters(), torch.optim.AdamW, lr=0.01)
    wrapped(torch.ones(8, 5)).backward()
    optimizer.step()
    if case == "inside":  # one of several parts
        wrapped = nn.ModuleDict({"a": wrapped, "b": nn.Linear(200, 200)})
    from ckptd.registered import Registered

    registered = Registered(wrapped, [optimizer])
    registered.register()
    share = sharing.find(registered, wrapped, rank, world)
    assert sharing.find(registered, wrapped, rank, world + 1) is None  # ranks of something else
    return sorted(entry.name for entry in share.entries)


def test_what_is_alike_by_construction():
    plain = ranks.run(2, what_is_shared, case="plain")
    assert plain[0] == plain[1]
    assert {"tied", "low", "strided", "optim/low/exp_avg", "norm.weight"} <= set(plain[0])
    assert not {"mine", "norm.running_mean", "norm.num_batches_tracked"} & set(plain[0])
    ignored = ranks.run(2, what_is_shared, case="ignored")[0]
    assert set(plain[0]) - set(ignored) == {"tied", "optim/tied/exp_avg", "optim/tied/exp_avg_sq",
                                            "optim/tied/step"}
    zero = ranks.run(2, what_is_shared, case="zero")[0]
    assert not any(name.startswith("optim") for name in zero) and "tied" in zero
    inside = ranks.run(2, what_is_shared, case="inside")[0]
    assert not any("b." in name for name in inside)


def hybrid(rank, world, say, run, sockets, attempt):
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard"))
    torch.manual_seed(0 if attempt == 1 else 7)
    model = nn.Sequential(nn.Linear(96, 120), nn.Linear(120, 96))
    for part in (*model, model):
        fully_shard(part, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    if attempt == 1:
        model(torch.ones(4, 96)).sum().backward()
        optimizer.step()
    with ckptd.attach(model, optimizer, run=run, attempt=attempt,
                      socket=sockets[rank % len(sockets)]) as checkpoint:
        if attempt == 1:
            checkpoint.save(1).consistent(30)
            say(checkpoint._layout.share.group)
            with checkpoint.context_or_raise().fetch(rank, 1) as shard:
                say(shard.bytes)
        return digest(model, optimizer)


def test_the_replicas_of_hybrid_sharding(shared_cluster, run):
    sockets = sockets_of(shared_cluster)
    job = ranks.Job(4, hybrid, run=run, sockets=sockets, attempt=1)
    truth = job.wait()
    assert [notes[0] for notes in job.notes] == [(0, 2), (1, 3), (0, 2), (1, 3)]
    state = 3 * 4 * (96 * 120 * 2 + 120 + 96)
    assert all(notes[1] < state / 4 + 8_000 for notes in job.notes)
    assert ranks.run(4, hybrid, run=run, sockets=sockets, attempt=2) == truth


def test_exported_shares_are_read_by_pytorch(shared_cluster, run, tmp_path):
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint import HuggingFaceStorageReader

    sockets = sockets_of(shared_cluster)
    truth = ranks.run(3, save_shares, run=run, sockets=sockets)[0]
    with ckptd.Context(run, socket=sockets[0], reader=True) as context:
        for rank in range(3):
            persist.export(context, str(tmp_path), 1, rank)
    state = {"tied" if i == 5 else f"many.{i}": torch.zeros(shape)
             for i, shape in enumerate(RAGGED) if shape}
    state["low"] = torch.zeros(500, 11, dtype=torch.bfloat16)
    dcp.load(state, storage_reader=HuggingFaceStorageReader(str(tmp_path / "step-1")), no_dist=True)
    for name, value in state.items():
        assert value.float().double().sum().item() == truth[name], name


@pytest.mark.parametrize("world", [2, 3, 4, 7, 64])
def test_shares_are_a_partition(world):
    entries = [make_entry(f"{i}", torch.randn(shape)) for i, shape in enumerate(RAGGED * 2)]
    group = tuple(range(5, 5 + world))
    shares = [sharing.Share(group, rank, entries) for rank in group]
    assert len({share.text for share in shares}) == 1
    entries.sort(key=lambda entry: entry.name)
    for entry in entries:
        seen = torch.zeros(entry.local.shape, dtype=torch.int)
        for share in shares:
            piece = share.pieces.get(entry.name)
            if piece is not None:
                seen[piece.box.within(entry.box)] += 1
                assert torch.equal(piece.source, entry.local[piece.box.within(entry.box)])
                assert piece.source.is_contiguous() and piece.source.numel() > 0
        assert seen.min() == seen.max() == 1, entry.shape
    if world <= 4:
        for share in shares:
            mine = sum(piece.source.numel() * 4 for piece in share.pieces.values())
            assert abs(mine - share.bytes / world) < 2 * 129 * 4
    whole = b"".join(entry.local.numpy().tobytes() for entry in entries)
    parts = b"".join(tensor.reshape(-1).view(torch.uint8)[begin:end].numpy().tobytes()
                     for part in range(sharing.PARTS) for tensor, begin, end in
                     shares[0].part(part))
    assert parts == whole


def test_a_list_says_what_there_is():
    entries = [make_entry("a", torch.randn(300, 100))]
    said = json.loads(sharing.Share((0, 3), 3, entries).text)
    assert said == {"group": [0, 3], "entries": [["a", "F32", [300, 100], False]]}


def test_a_word_costs_a_sixteenth(monkeypatch):
    """Of memory of the CPU nothing is copied for it."""
    entries = [make_entry("a", torch.randn(1 << 20))]
    share = sharing.Share((0, 1), 1, entries)
    read = [sum(end - begin for _, begin, end in share.part(part)) for part in range(16)]
    assert sum(read) == 4 << 20 and max(read) == (4 << 20) // 16
    began = time.monotonic()
    for part in range(16):
        share.value_of([(tensor.data_ptr() + begin, end - begin)
                        for tensor, begin, end in share.part(part)])
    assert time.monotonic() - began < 5


class OnDevice:
    """A tensor of the CPU that says it is a device's."""

    def __init__(self, tensor):
        self.tensor, self.device = tensor, torch.device("cuda:0")

    def __getattr__(self, name):
        return getattr(self.tensor, name)


class Engine:
    """Stands in for CUDA: copies when it is waited for."""

    def register(self, context, begin, end):
        pass

    def by_library(self, context, step, places, sources):
        return None

    def start(self, pairs):
        def wait():
            for target, source in pairs:
                target.copy_(getattr(source, "tensor", source))

        return wait


def test_a_devices_word_is_said_when_its_bytes_have_come(monkeypatch):
    """The sixteenth is copied along with the share, and the value said before the seal."""
    entries = [make_entry("a", torch.randn(3000)), make_entry("b", torch.randn(70, 50))]
    share, said = sharing.Share((0, 1), 1, entries), []
    truth = share.value_of([(tensor.data_ptr() + begin, end - begin)
                            for tensor, begin, end in share.part(5)])
    part = share.part
    monkeypatch.setattr(share, "part", lambda number: [
        (OnDevice(tensor), begin, end) for tensor, begin, end in part(number)])
    monkeypatch.setattr(shares, "_host_memory",
                        lambda size, kind: torch.zeros(size, dtype=torch.uint8))
    monkeypatch.setitem(device._engines, "cuda", Engine())
    monkeypatch.setattr(device, "_memory", lambda address, like: torch.zeros(like.shape))

    class Context:
        def save_begin(self, step, table, metadata):
            return [4096]

        def save_replica(self, *word):
            said.append(word)

        def save_end(self, step):
            said.append("end")

    context = Context()
    word = shares.Word(context, 7, share, 16 + 5)
    copy = device.copy_from_devices(context, 7, None, {}, [OnDevice(torch.ones(3))], None, word)
    assert copy.wait(10) is None
    assert said == [(7, 0, 5, truth), "end"]
