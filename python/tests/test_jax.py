# SPDX-License-Identifier: Apache-2.0
"""ckptd.jax and ckptd.orbax on real processes of JAX: meshes, types, other worlds, refusals."""

import collections
import os

import pytest

pytest.importorskip("jax", reason="scripts/layered_env.sh jax makes the environment that has it")

import jax_ranks  # noqa: E402
import numpy  # noqa: E402

import ckptd  # noqa: E402

SHAPE = (16, 8)
Pair = collections.namedtuple("Pair", ["first", "second"])
TYPES = ("float32", "bfloat16", "float16", "int8", "uint32", "bool", "float8_e4m3fn",
         "float8_e5m2", "complex64")


def whole(name):
    """The values of a leaf, the same in every process."""
    import jax.numpy as jnp

    dtype = jnp.dtype(name.split("-")[0])
    numbers = numpy.random.default_rng(sum(name.encode())).integers(0, 100, SHAPE)
    return numbers.astype(numpy.float32).astype(dtype)


def placed(values, mesh, *axes):
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    return jax.make_array_from_callback(values.shape, NamedSharding(mesh, PartitionSpec(*axes)),
                                        lambda index: values[index])


def mesh_of(shape):
    import jax

    return jax.sharding.Mesh(numpy.array(jax.devices()).reshape(shape), ("x", "y"))


def tree_of(shape, empty=False):
    """Every type, every way to be cut, and leaves that are no sharded array."""
    import jax

    mesh = mesh_of(shape)
    cut = {"rows": ("x",), "columns": (None, "y"), "both": ("x", "y"), "one": (("x", "y"),),
           "copied": ()}
    values = {f"{name}-{way}": whole(f"{name}-{way}") for name in TYPES[:3] for way in cut}
    values.update({f"{name}-both": whole(f"{name}-both") for name in TYPES[3:]})
    scalar = numpy.float32(0 if empty else 7)
    key = jax.random.split(jax.random.key(0 if empty else 42))[0]
    return {
        "model": {name: placed(numpy.zeros_like(value) if empty else value, mesh,
                               *cut[name.split("-")[1]]) for name, value in values.items()},
        "odd/name %": [placed(scalar.reshape(()), mesh), placed(numpy.zeros((0, 4)), mesh)],
        "pair": Pair(placed(numpy.zeros(8) if empty else numpy.arange(8.0), mesh, "x"), None),
        "key": key,
        "old_key": jax.random.PRNGKey(1 if empty else 2),
        "mine": numpy.full(3, -1 if empty else jax.process_index()),
        "epoch": 0 if empty else 3, "words": "" if empty else "text", "rate": 0.5,
    }


def same(found, wanted, my_own=True):
    """Bit by bit, leaf by leaf, as far as this process has it; and the shardings."""
    import jax

    pairs = zip(jax.tree_util.tree_flatten_with_path(found)[0], jax.tree.leaves(wanted))
    for (path, leaf), want in pairs:
        name = jax.tree_util.keystr(path)
        if isinstance(want, jax.Array):
            assert leaf.sharding.is_equivalent_to(want.sharding, want.ndim), name
            if jax.dtypes.issubdtype(want.dtype, jax.dtypes.prng_key):
                leaf, want = jax.random.key_data(leaf), jax.random.key_data(want)
            for one, other in zip(leaf.addressable_shards, want.addressable_shards):
                assert one.index == other.index and one.data.dtype == other.data.dtype, name
                assert (numpy.asarray(one.data).tobytes() ==
                        numpy.asarray(other.data).tobytes()), name
        elif isinstance(want, numpy.ndarray):
            assert leaf.dtype == want.dtype, name
            assert not my_own or numpy.array_equal(leaf, want), name
        else:
            assert leaf == want and type(leaf) is type(want), name
    assert jax.tree.structure(found) == jax.tree.structure(wanted)


def save_job(run, socket, shape, step=1):
    import ckptd.jax

    with ckptd.jax.Checkpointer(run, socket=socket) as checkpoint:
        tree = tree_of(shape)
        assert checkpoint.restore(tree) is tree and checkpoint.next_step == 0
        checkpoint.save(step, tree).consistent(60)
        return checkpoint.context.info().bytes


def restore_job(run, socket, shape, my_own, step=1):
    import ckptd.jax

    with ckptd.jax.Checkpointer(run, socket=socket) as checkpoint:
        found = checkpoint.restore(tree_of(shape, empty=True))
        assert checkpoint.next_step == step
        same(found, tree_of(shape), my_own)
        checkpoint.save(step + 1, found).consistent(60)


def sockets_of(cluster):
    return [agent.socket for agent in cluster.agents]


def test_one_process_and_any_mesh(start_cluster, run):
    """Saved over 4 x 2 devices, restored over as many and otherwise cut, over 1, and over 4."""
    cluster = start_cluster(agents=2)
    sockets = sockets_of(cluster)
    jax_ranks.run_job(save_job, devices=8, sockets=sockets, run=run, shape=(4, 2))
    for step, (devices, shape) in enumerate(
            [(8, (4, 2)), (8, (2, 4)), (1, (1, 1)), (4, (1, 4))], 1):
        jax_ranks.run_job(restore_job, devices=devices, sockets=sockets, run=run, shape=shape,
                          my_own=True, step=step)


def test_processes_and_other_numbers_of_them(start_cluster, run):
    """Two processes save each element once; two, one and four restore it."""
    cluster = start_cluster(agents=2)
    sockets = sockets_of(cluster)
    total, _ = jax_ranks.run_job(save_job, world=2, devices=4, sockets=sockets, run=run,
                                 shape=(4, 2))
    each = sum(whole(f"{name}-both").nbytes * (5 if name in TYPES[:3] else 1) for name in TYPES)
    assert each <= total < each + 40000, "headers and the index, and nothing twice"
    for step, (world, devices, shape) in enumerate(
            [(2, 4, (4, 2)), (2, 2, (2, 2)), (1, 8, (2, 4)), (4, 2, (8, 1))], 1):
        jax_ranks.run_job(restore_job, world=world, devices=devices, sockets=sockets, run=run,
                          shape=shape, my_own=False, step=step)


def test_a_lost_node(start_cluster, run):
    """What two processes saved comes back when the node of one of them is gone."""
    cluster = start_cluster(agents=3)
    sockets = sockets_of(cluster)
    jax_ranks.run_job(save_job, world=2, devices=2, sockets=sockets[:2], run=run, shape=(2, 2))
    cluster.agents[1].kill()
    jax_ranks.run_job(restore_job, world=2, devices=2, sockets=[sockets[0], sockets[2]], run=run,
                      shape=(2, 2), my_own=True)


def refusals_job(run, socket):
    import jax
    import jax.numpy as jnp

    import ckptd.jax

    said = {}

    def hear(name, call, *arguments):
        try:
            call(*arguments)
        except ckptd.Error as error:
            said[name] = f"{type(error).__name__} {error}"

    with ckptd.jax.Checkpointer(run, socket=socket) as checkpoint:
        gone = jnp.ones(3) + 1
        gone.delete()
        hear("deleted", checkpoint.save, 1, {"a": gone})
        hear("type", checkpoint.save, 1, {"b": numpy.ones(3, numpy.complex128)})
        hear("object", checkpoint.save, 1, {"c": object()})
        hear("described", checkpoint.save, 1, {"d": jax.ShapeDtypeStruct((2,), jnp.float32)})
        hear("no step", checkpoint.restore, {"a": jnp.ones(3)}, 9)
        checkpoint.save(1, {"a": jnp.ones(3), "b": 7, "k": jax.random.key(1)}).consistent(60)
        for name, tree in {
                "missing": {"a": jnp.ones(3), "b": 0, "k": jax.random.key(1), "new": jnp.ones(1)},
                "extra": {"a": jnp.ones(3), "k": jax.random.key(1)},
                "shape": {"a": jnp.ones(4), "b": 0, "k": jax.random.key(1)},
                "other type": {"a": jnp.ones(3, jnp.int32), "b": 0, "k": jax.random.key(1)},
                "key": {"a": jnp.ones(3), "b": 0, "k": jax.random.key(1, impl="rbg")},
        }.items():
            hear(name, checkpoint.restore, tree)
        described = {"a": jax.ShapeDtypeStruct((3,), jnp.float32), "b": 0, "k": jax.random.key(0)}
        found = checkpoint.restore(described)
        assert found["a"].tolist() == [1, 1, 1] and found["b"] == 7
    return said


def test_what_is_refused_is_named(start_cluster, run):
    said, = jax_ranks.run_job(refusals_job, devices=1, run=run,
                              sockets=sockets_of(start_cluster(agents=2)))
    wanted = {"deleted": "a was deleted", "type": "b is complex128", "object": "state/c is a",
              "described": "d is only described", "no step": "step 9",
              "missing": "new was not saved", "extra": "b has no place here",
              "shape": "a is (3,) in the checkpoint and (4,) here",
              "other type": "a is float32 in the checkpoint and int32 here", "key": "k is"}
    assert said.keys() == wanted.keys()
    for name, text in wanted.items():
        assert text in said[name], (name, said[name])
        assert name == "no step" or said[name].startswith("StateError"), said[name]


def test_pytorch_reads_it(start_cluster, run):
    """ckptd.dcp.Reader, which never heard of JAX, finds the same tensors."""
    torch = pytest.importorskip("torch")
    import torch.distributed.checkpoint as dcp

    cluster = start_cluster(agents=2)
    sockets = sockets_of(cluster)
    jax_ranks.run_job(save_job, devices=4, sockets=sockets, run=run, shape=(2, 2))
    wanted = numpy.asarray(whole("float32-both"))
    state = {"model/float32-both": torch.zeros(SHAPE)}
    with ckptd.Context(run, socket=sockets[0], reader=True) as context:
        dcp.load(state, storage_reader=ckptd.dcp.Reader(context), no_dist=True)
    assert numpy.array_equal(state["model/float32-both"].numpy(), wanted)


def orbax_job(run, socket, folder, begin):
    import orbax.checkpoint as ocp

    import ckptd.jax
    import ckptd.orbax

    with ckptd.jax.Checkpointer(run, socket=socket) as checkpoint:
        manager = ocp.CheckpointManager(
            folder, item_handlers=ckptd.orbax.Handler(checkpoint),
            options=ocp.CheckpointManagerOptions(max_to_keep=2))
        assert manager.latest_step() == begin
        if begin is not None:
            found = manager.restore(begin, args=ckptd.orbax.Restore(tree_of((2, 2), empty=True)))
            same(found, tree_of((2, 2)), my_own=True)
        for step in range((begin or 0) + 1, (begin or 0) + 4):
            manager.save(step, args=ckptd.orbax.Save(tree_of((2, 2))))
        manager.wait_until_finished()
        newest = checkpoint.context.info().step
        manager.close()
    return newest


def other_run_job(run, socket, folder):
    import orbax.checkpoint as ocp

    import ckptd.jax
    import ckptd.orbax

    with ckptd.jax.Checkpointer(run, socket=socket) as checkpoint:
        manager = ocp.CheckpointManager(folder, item_handlers=ckptd.orbax.Handler(checkpoint))
        try:
            manager.restore(6, args=ckptd.orbax.Restore({}))
        except ckptd.StateError as error:
            return str(error)
        finally:
            manager.close()


def late_folder_job(run, socket, folder):
    import asyncio

    import ckptd.jax
    import ckptd.orbax
    from etils import epath

    with ckptd.jax.Checkpointer(run, socket=socket) as checkpoint:
        handler = ckptd.orbax.Handler(checkpoint)
        place = epath.Path(folder) / "7"
        save = ckptd.orbax.Save(tree_of((2, 2)))
        committed = asyncio.run(handler.async_save(place, save))
        place.mkdir()
        for future in committed:
            future.result()
        same(handler.restore(place, ckptd.orbax.Restore(tree_of((2, 2), empty=True))),
             tree_of((2, 2)), my_own=True)


def test_orbax_makes_its_folder_while_the_tree_is_staged(start_cluster, run, tmp_path):
    """create_directories_asynchronously is its default: what is written at once may fail."""
    cluster = start_cluster(agents=2)
    jax_ranks.run_job(late_folder_job, devices=4, sockets=sockets_of(cluster), run=run,
                      folder=str(tmp_path))


def test_orbax(start_cluster, run, tmp_path):
    """Its CheckpointManager keeps its folder, and the bytes are ckptd's, over a restart."""
    cluster = start_cluster(agents=2)
    sockets = sockets_of(cluster)
    folder = str(tmp_path / "orbax")
    os.mkdir(folder)
    for world, begin, last in ((2, None, 3), (2, 3, 6)):
        newest = jax_ranks.run_job(orbax_job, world=world, devices=2, sockets=sockets, run=run,
                                   folder=folder, begin=begin)
        assert newest == [last] * world
    steps = sorted(int(name) for name in os.listdir(folder) if name.isdigit())
    assert steps == [5, 6], os.listdir(folder)
    size = sum(os.path.getsize(os.path.join(at, name)) for at, _, files in os.walk(folder)
               for name in files)
    assert size < 20000, "notes, not arrays"
    said, = jax_ranks.run_job(other_run_job, devices=1, sockets=sockets, run=run + "-other",
                              folder=folder)
    assert f"is of run {run}" in said
