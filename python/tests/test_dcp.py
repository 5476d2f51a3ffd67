# SPDX-License-Identifier: Apache-2.0
"""torch.distributed.checkpoint over ckptd: its own calls, other worlds, and its own reader."""

import io
import json
import os

import pytest
import torch
import torch.distributed as distributed
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

import ckptd
import ranks
from ckptd import persist
from ckptd.dcp import Reader, Writer

ROWS = 13  # does not divide evenly


def whole(seed, *shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def sharded(world, seed, dimension=0, shape=(ROWS, 6), dtype=torch.float32, empty=False):
    mesh = init_device_mesh("cpu", (world,))
    data = whole(seed, *shape, dtype=dtype)
    return distribute_tensor(torch.zeros_like(data) if empty else data, mesh, [Shard(dimension)])


def state_of(world, empty=False):
    """Sharded along both dimensions, replicated, plain, nested, and what is no tensor."""
    mesh = init_device_mesh("cpu", (world,))
    plain = whole(3, 5, dtype=torch.bfloat16)
    copied = distribute_tensor(whole(4, 4, 4) * (not empty), mesh, [Replicate()])
    return {
        "model": {"rows": sharded(world, 1, empty=empty),
                  "columns": sharded(world, 2, 1, empty=empty),
                  "plain": torch.zeros_like(plain) if empty else plain, "copied": copied,
                  "odd name: [1]": torch.zeros(2) if empty else torch.ones(2)},
        "step": 0 if empty else 7,
        "words": [] if empty else ["a", (1, 2.5), None, b"\x00"],
        "mask": torch.zeros(3, dtype=torch.bool) if empty else torch.tensor([True, False, True]),
    }


def full(value):
    return value.full_tensor() if isinstance(value, DTensor) else value


def check(state, world):
    wanted = state_of(world)
    for name, value in wanted["model"].items():
        assert torch.equal(full(value), full(state["model"][name])), name
    assert state["step"] == 7 and state["words"] == wanted["words"]
    assert torch.equal(state["mask"], wanted["mask"])


def context_of(rank, world, run, sockets, attempt):
    return ckptd.Context(run, attempt=attempt, rank=rank, world=world,
                         socket=sockets[rank % len(sockets)])


def save_all_ways(rank, world, say, run, sockets):
    with context_of(rank, world, run, sockets, 1) as context:
        writer, reader = Writer(context), Reader(context)
        state = state_of(world)
        dcp.save(state, checkpoint_id="step-1", storage_writer=writer)
        loaded = state_of(world, empty=True)
        dcp.load(loaded, checkpoint_id=1, storage_reader=reader)
        check(loaded, world)

        # Staged in this process first, as DCP's own stager would.
        future = dcp.async_save(state, checkpoint_id=2, storage_writer=writer)
        spoil(state)
        future.result()
        loaded = state_of(world, empty=True)
        dcp.load(loaded, storage_reader=reader)
        assert reader.step == 2
        check(loaded, world)

        # Staged in the agent's memory.
        state = state_of(world)
        future = dcp.async_save(state, checkpoint_id=3, storage_writer=writer.at(3))
        spoil(state)
        future.result()
        loaded = state_of(world, empty=True)
        dcp.load(loaded, storage_reader=reader)
        assert reader.step == 3
        check(loaded, world)

        # Every rank for itself.
        dcp.save(state_of(world), checkpoint_id=4, storage_writer=writer, use_collectives=False)
        loaded = state_of(world, empty=True)
        dcp.load(loaded, checkpoint_id=4, storage_reader=reader)
        check(loaded, world)
        # The first kind again: its index is what other worlds read.
        dcp.save(state_of(world), checkpoint_id=5, storage_writer=writer)
        writer.close()


def spoil(state):
    for value in state["model"].values():
        (value.to_local() if isinstance(value, DTensor) else value).fill_(99)
    state["step"] = 99


def load_elsewhere(rank, world, say, run, sockets, attempt, step):
    with context_of(rank, world, run, sockets, attempt) as context:
        loaded = state_of(world, empty=True)
        dcp.load(loaded, checkpoint_id=step, storage_reader=Reader(context))
        check(loaded, world)
        # Another sharding too: by columns what was by rows.
        other = {"model": {"rows": sharded(world, 1, 1, empty=True)}}
        dcp.load(other, checkpoint_id=step, storage_reader=Reader(context))
        assert torch.equal(other["model"]["rows"].full_tensor(), whole(1, ROWS, 6))
        return sorted(loaded)


@pytest.fixture(scope="module")
def saved(shared_cluster):
    run = "test/dcp-saved"
    sockets = [agent.socket for agent in shared_cluster.agents]
    ranks.run(2, save_all_ways, run=run, sockets=sockets)
    return run, sockets


def test_save_and_async_save_and_load(saved):
    """save_all_ways() has the checks; they ran in its ranks."""


@pytest.mark.parametrize("world, attempt, step", [(3, 2, 5), (1, 3, 4)])
def test_another_world(saved, world, attempt, step):
    """With rank 0's index (5), and from the headers alone (4)."""
    run, sockets = saved
    ranks.run(world, load_elsewhere, run=run, sockets=sockets, attempt=attempt, step=step)


def test_pytorch_opens_an_exported_directory_without_ckptd(saved, tmp_path, shared_cluster):
    """HuggingFaceStorageReader, in a process in which importing ckptd fails."""
    run, sockets = saved
    with ckptd.Context(run, socket=sockets[0], reader=True) as context:
        for rank in range(2):
            persist.export(context, str(tmp_path), 5, rank)
    torch.save({name: whole(seed, ROWS, 6) for name, seed in (("rows", 1), ("columns", 2))},
               tmp_path / "wanted")
    code = f"""
import sys
sys.modules["ckptd"] = None
import torch, torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import HuggingFaceStorageReader
wanted = torch.load({str(tmp_path / "wanted")!r})
state = {{f"model.{{name}}": torch.zeros({ROWS}, 6) for name in wanted}}
state["model.plain"] = torch.zeros(5, dtype=torch.bfloat16)
dcp.load(state, storage_reader=HuggingFaceStorageReader({str(tmp_path / "step-5")!r}))
for name, value in wanted.items():
    assert torch.equal(value, state[f"model.{{name}}"]), name
assert state["model.plain"].abs().sum() > 0
print("same")
"""
    import subprocess
    import sys

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=False)
    assert said.stdout.strip().endswith("same"), said.stderr[-3000:]


def test_no_pickle_in_the_bytes(saved):
    """torch.save's archives begin with PK, pickles with 0x80 and a small protocol number."""
    run, sockets = saved
    with ckptd.Context(run, socket=sockets[0], reader=True) as context:
        for rank in range(2):
            with context.fetch(rank, 5) as shard:
                data = bytes(shard.file())
                assert b"PK\x03\x04" not in data and b"archive/data.pkl" not in data
                values = json.loads(bytes(shard.data("ckptd/values.json")))
    assert set(values) <= {"step", "words"}


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_malicious_object_is_neither_saved_nor_loaded(shared_cluster, run, tmp_path):
    path = str(tmp_path / "was-here")
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        with pytest.raises(CheckpointException, match="Evil"):
            dcp.save({"evil": Evil(path)}, checkpoint_id=1, storage_writer=Writer(context),
                     no_dist=True)
        # Pickled bytes that say they are a value stay bytes.
        buffer = io.BytesIO()
        torch.save(Evil(path), buffer)
        dcp.save({"evil": buffer.getvalue()}, checkpoint_id=2, storage_writer=Writer(context),
                 no_dist=True)
        loaded = {"evil": b""}
        dcp.load(loaded, checkpoint_id=2, storage_reader=Reader(context), no_dist=True)
        assert loaded["evil"] == buffer.getvalue()
    assert not os.path.exists(path)


def test_a_state_that_cannot_be_loaded_says_why(shared_cluster, run):
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        dcp.save({"a": torch.ones(3)}, checkpoint_id=1, storage_writer=Writer(context),
                 no_dist=True)
        with pytest.raises(CheckpointException, match="b"):
            dcp.load({"b": torch.ones(3)}, storage_reader=Reader(context), no_dist=True)
        with pytest.raises(CheckpointException, match="ize"):
            dcp.load({"a": torch.ones(4)}, storage_reader=Reader(context), no_dist=True)
        with pytest.raises(CheckpointException, match="complex128"):
            dcp.save({"a": torch.ones(3, dtype=torch.complex128)}, checkpoint_id=2,
                     storage_writer=Writer(context), no_dist=True)
        with pytest.raises(CheckpointException, match="STEP"):
            dcp.save({"a": torch.ones(3)}, checkpoint_id=1, storage_writer=Writer(context),
                     no_dist=True)
        with pytest.raises(ckptd.UsageError, match="has no step"):
            dcp.save({"a": torch.ones(3)}, checkpoint_id="last", storage_writer=Writer(context),
                     no_dist=True)


def test_async_saves_in_a_row_keep_their_values(shared_cluster, run):
    """Each save has the values of its own step, however late its bytes are read."""
    assert not distributed.is_initialized()
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        writer = Writer(context)
        state = {"w": torch.zeros(300_000), "n": 0}
        for step in range(1, 9):
            state["w"].fill_(step)
            state["n"] = step
            chosen = writer.at(step) if step % 2 else writer
            future = dcp.async_save(state, checkpoint_id=step, storage_writer=chosen,
                                    no_dist=True)
            state["w"].fill_(-1)
            future.result()
            loaded = {"w": torch.zeros(300_000), "n": 0}
            dcp.load(loaded, storage_reader=Reader(context), no_dist=True)
            assert loaded["n"] == step and loaded["w"].min() == loaded["w"].max() == step
        writer.close()
