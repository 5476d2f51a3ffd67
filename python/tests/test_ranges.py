# SPDX-License-Identifier: Apache-2.0
"""Parts of shards: the bytes are those of a whole load, and no more is moved than what is wanted.

How much that is, is counted where this process asks its agent for it: for each range and each whole
shard that comes."""

import contextlib
import ctypes
import hashlib
import os
import random
import subprocess
import sys
from unittest import mock

import numpy
import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import ckptd
import ckptd.dcp
import cluster as clusters
import conftest
import jax_ranks
import ranks
import test_jax
from ckptd import boxes, shard as shards
from ckptd.boxes import Box

MIB = 1 << 20
SHAPE = (24, 512, 512)  # of float32: 24 MiB


@pytest.fixture(scope="module")
def shared_cluster():
    """As that of the other files, for larger shards."""
    case = conftest._Case()
    yield clusters.Cluster(case, agents=3, agent={"arena-bytes": "448MiB"}).start()
    for function in reversed(case.cleanups):
        function()


@pytest.fixture
def run(request, shared_cluster):
    """A run's name that no other test has; the run goes with the test, to make room."""
    name = f"ranges/{request.node.name}"
    yield name
    # Fails where the test had a cluster of its own.
    subprocess.run([os.path.join(os.environ["CKPT_BIN"], "ckptctl"), "forget", name, "--yes",
                    f"--coordinator={shared_cluster.coordinator.socket}"], check=False)


@contextlib.contextmanager
def counted():
    """[bytes of ranges], [bytes of whole shards] that this process asks for within."""
    parts, wholes = [], []
    read, fetch = ckptd.Context.read_range_or_shard, ckptd.Context.fetch

    def counting_read(context, *arguments, **more):
        found, shard = read(context, *arguments, **more)
        (wholes if found.is_whole else parts).append(
            found.shard_bytes if found.is_whole else len(found.data))
        return found, shard

    def counting_fetch(context, *arguments, **more):
        found = fetch(context, *arguments, **more)
        wholes.append(found.bytes)
        return found

    with mock.patch.object(ckptd.Context, "read_range_or_shard", counting_read), \
            mock.patch.object(ckptd.Context, "fetch", counting_fetch):
        yield parts, wholes


def save(context, step, arrays):
    table = ckptd.Table([ckptd.Tensor(name, "F32", array.shape, array.ctypes.data, array.nbytes)
                         for name, array in arrays.items()])
    context.save(step, table, {"note": "one"})
    context.wait(step, 60)


def arrays_of(seed):
    generator = numpy.random.default_rng(seed)
    return {name: generator.standard_normal(shape, numpy.float32) for name, shape in (
        ("first", (300, 7)), ("big", SHAPE), ("middle", (3, 5)), ("other", (8, 512, 512)))}


@pytest.fixture
def saved(shared_cluster, run):
    """(a reader on the node that saved, what it saved): one shard of 32 MiB."""
    arrays = arrays_of(1)
    socket = shared_cluster.agents[0].socket
    with ckptd.Context(run, socket=socket) as context:
        save(context, 1, arrays)
    with ckptd.Context(run, socket=socket, reader=True) as reader:
        yield reader, arrays


def test_a_range_is_what_was_saved(saved):
    reader, arrays = saved
    with reader.fetch(0) as whole:
        digest, size = whole.digest, whole.bytes
        beginning = bytes(whole.file()[:1000])
    generator = random.Random(1)
    for name, array in arrays.items():
        data = array.tobytes()
        for _ in range(5):
            begin = generator.randrange(len(data))
            length = generator.randrange(len(data) - begin + 1)
            found = reader.read_range(0, name, begin, length)
            assert found.data == data[begin:begin + length]
            assert (found.step, found.attempt, found.world) == (1, 1, 1)
            assert found.digest == digest and found.shard_bytes == size
            assert found.digest_kind == "fingerprint" and not found.is_whole
    assert reader.read_range(0, None, 0, 1000, 1).data == beginning
    memory = numpy.zeros(15, numpy.float32)
    reader.read_range(0, "middle", 0, 60, 1, into=memory)
    assert numpy.array_equal(memory, arrays["middle"].reshape(-1))


def test_what_is_wrong_is_said(saved):
    reader, arrays = saved
    with pytest.raises(ckptd.Lost, match="no tensor none"):
        reader.read_range(0, "none", 0, 1)
    with pytest.raises(ckptd.UsageError, match="CKPT_ERR_SIZE"):
        reader.read_range(0, "big", arrays["big"].nbytes - 1, 2)
    with pytest.raises(ckptd.UsageError, match="CKPT_ERR_SIZE"):
        reader.read_range(0, None, 1 << 40, 1)
    with pytest.raises(ckptd.UsageError, match="CKPT_ERR_SIZE"):
        reader.read_range(0, "big", 0, 8, into=bytearray(9))
    with pytest.raises(ckptd.Lost):
        reader.read_range(0, "big", 0, 8, step=7)
    with pytest.raises(ckptd.Error):
        reader.read_range(1, "big", 0, 8)


def test_only_what_is_looked_at_is_read(saved):
    reader, arrays = saved
    with counted() as (parts, wholes), reader.open(0) as shard:
        assert shard.metadata["note"] == "one" and set(shard.entries) == set(arrays)
        assert shard.data("middle") == arrays["middle"].tobytes()
        assert sum(parts) <= 3 * MIB
        box = Box((4, 0, 0), (2, 512, 512))
        found = numpy.frombuffer(shard.part("big", box), numpy.float32).reshape(SHAPE)
        assert numpy.array_equal(found[4:6], arrays["big"][4:6])
        assert sum(parts) <= 6 * MIB and not wholes
        asked = len(parts)
        assert numpy.array_equal(found[4:6], numpy.frombuffer(
            shard.part("big", box), numpy.float32).reshape(SHAPE)[4:6])
        assert len(parts) == asked, "what is there is not read again"
        assert sum(parts) == shard.read_bytes + 8
        # Most of it: the whole, and by one ask.
        shard.want([("big", None), ("other", Box((0, 0, 0), (4, 512, 512)))])
        assert len(parts) == asked and wholes == [shard.bytes]
        for name, array in arrays.items():
            assert shard.data(name) == array.tobytes()
    with pytest.raises(ckptd.UsageError, match="closed"):
        shard.data("middle")


def test_what_lies_together_is_asked_for_together(saved):
    reader, arrays = saved
    with counted() as (parts, wholes), reader.open(0) as shard:
        before = len(parts)
        shard.want([("big", Box((place, 0, 0), (1, 512, 512))) for place in (1, 2, 3, 5, 12, 13)])
        assert len(parts) == before + 2 and not wholes
        columns = Box((0, 7, 3), (24, 1, 4))  # 16 bytes of each MiB: all of big's chunks
        found = numpy.frombuffer(shard.part("big", columns), numpy.float32).reshape(SHAPE)
        assert numpy.array_equal(found[:, 7:8, 3:7], arrays["big"][:, 7:8, 3:7])


def test_from_another_node(shared_cluster, saved):
    _, arrays = saved
    for agent in shared_cluster.agents[1:]:
        with ckptd.Context(saved[0].run, socket=agent.socket, reader=True) as reader:
            found = reader.read_range(0, "other", 1000, 3 * MIB)
            assert found.data == arrays["other"].tobytes()[1000:1000 + 3 * MIB]
            assert not found.is_whole
            with counted() as (parts, wholes), reader.open(0) as shard:
                assert shard.data("first") == arrays["first"].tobytes()
            assert not wholes and sum(parts) <= 3 * MIB


def test_another_start_s_shard_is_not_mixed_with_the_last(shared_cluster, run):
    socket = shared_cluster.agents[0].socket
    one, two = arrays_of(1), arrays_of(2)
    with ckptd.Context(run, socket=socket) as context:
        save(context, 1, one)
        with ckptd.Context(run, socket=socket, reader=True) as reader:
            assert reader.read_range(0, "big", 5, 9).data == one["big"].tobytes()[5:14]
            save(context, 2, two)
            newest = reader.read_range(0, "big", 5, 9)
            assert newest.step == 2 and newest.data == two["big"].tobytes()[5:14]


def test_blake3_is_whole(start_cluster, run):
    cluster = start_cluster(agents=2, coordinator={"digest": "blake3"})
    arrays = arrays_of(3)
    with ckptd.Context(run, socket=cluster.agents[0].socket) as context:
        save(context, 1, arrays)
    for agent in cluster.agents:
        with ckptd.Context(run, socket=agent.socket, reader=True) as reader:
            found = reader.read_range(0, "big", 77, 1000)
            assert found.data == arrays["big"].tobytes()[77:1077]
            assert found.is_whole and found.digest_kind == "blake3"
            with counted() as (parts, wholes), reader.open(0) as shard:
                assert shard.data("big") == arrays["big"].tobytes()
                assert shard.part("middle") == arrays["middle"].tobytes()
            assert not parts and wholes == [found.shard_bytes], "it is moved once"


def test_a_library_of_before_ranges(shared_cluster, saved, tmp_path):
    """Its functions under their names, but for this one."""
    reader, arrays = saved
    socket = shared_cluster.agents[0].socket
    with open(os.environ["CKPT_LIBRARY"], "rb") as file:
        library = file.read()
    old = tmp_path / "libckpt.so.0"
    old.write_bytes(library.replace(b"\0ckpt_read_range\0", b"\0ckpt_read_rangX\0"))
    assert not hasattr(ctypes.CDLL(str(old)), "ckpt_read_range")
    code = f"""
import ckptd, hashlib
with ckptd.Context({reader.run!r}, socket={socket!r}, reader=True) as reader:
    try:
        reader.read_range(0, "big", 0, 8)
    except ckptd.Error as error:
        assert error.status == "CKPT_ERR_UNSUPPORTED", error
    else:
        raise AssertionError("there is no such function")
    with reader.open(0) as shard:
        print(hashlib.sha256(shard.data("big")).hexdigest())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env={**os.environ, "CKPT_LIBRARY": str(old)})
    assert said.stdout.strip() == hashlib.sha256(arrays["big"].tobytes()).hexdigest(), said.stderr


def test_runs_of_bytes():
    """Every byte of the part, in ranges that lie apart."""
    generator = random.Random(7)
    for _ in range(2000):
        shape = tuple(generator.randrange(1, 6) for _ in range(generator.randrange(5)))
        offsets = tuple(generator.randrange(length) for length in shape)
        box = Box(offsets, tuple(generator.randrange(1, length - offset + 1)
                                 for length, offset in zip(shape, offsets)))
        item, near = generator.choice((1, 2, 4, 8)), generator.choice((0, 1, 4, 16, 1000))
        array = numpy.zeros((*shape, item), numpy.uint8)
        array[box.within(Box((0,) * len(shape), shape))] = 1
        flat = array.reshape(-1)
        found = boxes.runs(shape, box, flat.size, near)
        assert all(a[1] + near < b[0] or near == 0 and a[1] <= b[0]
                   for a, b in zip(found, found[1:]))
        inside = numpy.zeros_like(flat)
        for begin, end in found:
            assert flat[begin] and flat[end - 1], "no more at the ends than is needed"
            inside[begin:end] = 1
        assert (inside >= flat).all()
        if near == 0:
            assert (inside == flat).all()
    assert boxes.runs((3, 0), Box((0, 0), (3, 0)), 0, 1) == []
    assert boxes.runs((3, 3), Box((0, 0), (3, 1)), 5, 1) == [(0, 5)]  # half bytes
    many = boxes.runs((10000, 2), Box((0, 0), (10000, 1)), 20000, 0)
    assert many == [(0, 19999)]


# ---- resharding ----

def sharded(rank, world, say, run, sockets, attempt):
    """A layer and its momentum, 48 MiB in all, over a mesh; whole values as numbers."""
    torch.manual_seed(0 if attempt == 1 else 7)
    model = nn.Linear(1024, 6144)
    fully_shard(model, mesh=init_device_mesh("cpu", (world,)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    if attempt == 1:
        model(torch.ones(4, 1024)).sum().backward()
        optimizer.step()
    with counted() as (parts, wholes), ckptd.attach(
            model, optimizer, run=run, socket=sockets[rank % len(sockets)]) as checkpoint:
        if attempt == 1:
            checkpoint.save(1).consistent(60)
        say((parts, wholes))
    state = {name: value.full_tensor() for name, value in get_model_state_dict(model).items()}
    moments = {name: optimizer.state[parameter]["momentum_buffer"].full_tensor()
               for name, parameter in model.named_parameters()}
    return [(name, float(value.double().sum()), float((value.double() ** 2).sum()))
            for found in (state, moments) for name, value in sorted(found.items())]


def test_a_new_world_reads_what_it_wants(shared_cluster, run):
    sockets = [agent.socket for agent in shared_cluster.agents[:2]]
    truth = ranks.run(2, sharded, run=run, sockets=sockets, attempt=1)[0]
    job = ranks.Job(5, sharded, run=run, sockets=sockets, attempt=2)
    assert all(found == truth for found in job.wait())
    total = 2 * 4 * 1024 * 6144
    for parts, wholes in (notes[0] for notes in job.notes):
        # Its fifth; the edges of it, and of two shards the headers and what is no tensor.
        assert not wholes and total / 5 <= sum(parts) <= total / 5 + 9 * MIB, (parts, wholes)
    assert ranks.run(1, sharded, run=run, sockets=sockets, attempt=3)[0] == truth


def test_a_world_of_one_fetches_whole_shards(shared_cluster, run):
    sockets = [agent.socket for agent in shared_cluster.agents[:2]]
    truth = ranks.run(2, sharded, run=run, sockets=sockets, attempt=1)[0]
    job = ranks.Job(1, sharded, run=run, sockets=sockets, attempt=2)
    assert job.wait()[0] == truth
    parts, wholes = job.notes[0][0]
    assert len(wholes) == 2 and sum(parts) <= 8 * MIB


def test_dcp_of_one_tensor(shared_cluster, run):
    torch.manual_seed(3)
    state = {f"layer.{place}": torch.randn(1024, 1024) for place in range(12)}
    with ckptd.Context(run, socket=shared_cluster.agents[0].socket) as context:
        dcp.save(dict(state), checkpoint_id=1, storage_writer=ckptd.dcp.Writer(context),
                 no_dist=True)
        for name in ("layer.0", "layer.7"):
            wanted = {name: torch.zeros(1024, 1024)}
            with counted() as (parts, wholes):
                dcp.load(wanted, storage_reader=ckptd.dcp.Reader(context), no_dist=True)
            assert torch.equal(wanted[name], state[name])
            # Its 4 MiB, and of two openings (index, data) the header and what is no tensor.
            assert not wholes and sum(parts) <= 14 * MIB, (parts, wholes)
        everything = {name: torch.zeros(1024, 1024) for name in state}
        with counted() as (parts, wholes):
            dcp.load(everything, storage_reader=ckptd.dcp.Reader(context), no_dist=True)
        assert all(torch.equal(everything[name], state[name]) for name in state)
        assert len(wholes) == 1


def jax_save(run, socket):
    import jax

    import ckptd.jax

    mesh = test_jax.mesh_of((4, 1))
    with ckptd.jax.Checkpointer(run, socket=socket) as checkpoint:
        tree = {"w": test_jax.placed(numpy.arange(8 * MIB, dtype=numpy.float32).reshape(4096, 2048),
                                     mesh, "x"), "n": 3}
        checkpoint.save(1, jax.block_until_ready(tree)).consistent(60)


def jax_restore(run, socket, count):
    import jax

    import ckptd.jax

    shards._FEW = 0
    mesh = test_jax.mesh_of((count, 1))
    whole = numpy.arange(8 * MIB, dtype=numpy.float32).reshape(4096, 2048)
    with counted() as (parts, wholes), ckptd.jax.Checkpointer(run, socket=socket) as checkpoint:
        like = {"w": jax.ShapeDtypeStruct(whole.shape, whole.dtype, sharding=(
            jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x")))), "n": 0}
        found = checkpoint.restore(like)
    for part in found["w"].addressable_shards:
        assert numpy.array_equal(numpy.asarray(part.data), whole[part.index])
    assert found["n"] == 3
    return parts, wholes


def test_jax_of_another_world(shared_cluster, run):
    """One process saves 32 MiB; each of two reads its half."""
    pytest.importorskip("jax")
    sockets = [agent.socket for agent in shared_cluster.agents[:2]]
    jax_ranks.run_job(jax_save, devices=4, sockets=sockets, run=run)
    for parts, wholes in jax_ranks.run_job(jax_restore, world=2, devices=1, sockets=sockets,
                                           run=run, count=2):
        assert not wholes and 16 * MIB <= sum(parts) <= 19 * MIB


def by_parts(function, arguments):
    shards._FEW = 0
    return function(**arguments)


def jax_restore_by_parts(**arguments):
    by_parts(test_jax.restore_job, arguments)


def test_jax_s_own_tests_by_parts(start_cluster, run):
    """All types and shapes, with no shard so small that it would be fetched."""
    pytest.importorskip("jax")
    cluster = start_cluster(agents=2)
    sockets = test_jax.sockets_of(cluster)
    jax_ranks.run_job(test_jax.save_job, world=2, devices=4, sockets=sockets, run=run, shape=(4, 2))
    for step, (world, devices, shape) in enumerate([(1, 8, (2, 4)), (4, 2, (8, 1))], 1):
        jax_ranks.run_job(jax_restore_by_parts, world=world, devices=devices, sockets=sockets,
                          run=run, shape=shape, my_own=False, step=step)
