# SPDX-License-Identifier: Apache-2.0
"""`ckptd --compat orbax-replicator`: Orbax's own multi-tier checkpointing, and orders by hand."""

import os
import subprocess
import time

import pytest

pytest.importorskip("jax", reason="scripts/layered_env.sh jax makes the environment that has it")

import jax_ranks  # noqa: E402
import numpy  # noqa: E402
from conftest import BIN  # noqa: E402

import ckptd  # noqa: E402

SHAPE = (8, 4)
ORDER = """job-name: {job}
framework: orbax
assume-data-parallelism: 1
node-rank: {rank}
nodes: {nodes}
peer-ranks: {peers}
backup-interval-minutes: 30
"""


def values(step):
    return numpy.arange(32, dtype=numpy.float32).reshape(SHAPE) + step


def orbax_job(run, socket, folders, steps):
    """What a training script of Orbax's multi-tier checkpointing does; knows nothing of ckptd."""
    import jax
    import orbax.checkpoint as ocp
    from absl import flags
    from etils import epath
    from orbax.checkpoint.experimental.emergency.multi_tier_checkpointing import (
        initialization,
        replicator_checkpoint_manager,
    )

    flags.FLAGS(["job"])
    jax.distributed.initialize = lambda **_: None  # it is
    folder = epath.Path(folders[jax.process_index()])
    initialization.initialize_multi_tier_checkpointing(
        folder, run_name=run, num_slices=2, use_mtc_process_ids=False)
    mesh = jax.sharding.Mesh(numpy.array(jax.devices()).reshape(2, 2), ("replica", "x"))
    manager = replicator_checkpoint_manager.ReplicatorCheckpointManager(
        folder, global_mesh=mesh,
        options=replicator_checkpoint_manager.ReplicatorCheckpointManagerOptions())
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))

    def tree(step):
        return {"w": jax.make_array_from_callback(SHAPE, sharding, lambda i: values(step)[i])}

    latest = manager.latest_step()
    if latest is not None:
        wanted = jax.tree.map(lambda array: ocp.ArrayRestoreArgs(
            sharding=array.sharding, global_shape=array.shape), tree(0))
        found = manager.restore(latest, args=ocp.args.Composite(
            state=ocp.args.PyTreeRestore(item=tree(0), restore_args=wanted)))
        for shard in found["state"]["w"].addressable_shards:
            assert numpy.array_equal(numpy.asarray(shard.data), values(latest)[shard.index])
    for step in range((latest or 0) + 1, (latest or 0) + 1 + steps):
        manager.save(step, args=ocp.args.Composite(state=ocp.args.PyTreeSave(tree(step))))
        manager.wait_until_finished()
    manager.close()
    return latest


class Replicators:
    """One for each agent, with a folder and a log."""

    def __init__(self, root, agents):
        self.folders, self.logs, self.processes = [], [], []
        for number, agent in enumerate(agents):
            folder = root / f"node{number}"
            folder.mkdir()
            self.folders.append(str(folder))
            self.logs.append(root / f"node{number}.log")
            with open(self.logs[-1], "wb") as log:
                self.processes.append(subprocess.Popen(
                    [os.path.join(BIN, "ckptd"), "--compat", "orbax-replicator", str(folder),
                     f"--socket={agent.socket}"], stderr=log))

    def wait(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, what + "\n" + "\n".join(
                log.read_text() for log in self.logs)
            time.sleep(0.1)

    def wait_kept(self, number, step):
        self.wait(lambda: f"event=step_kept run=jax step={step}\n" in self.logs[number].read_text(),
                  f"node {number}: step {step} is not kept")

    def order(self, number, rank, nodes, job="jax"):
        path = os.path.join(self.folders[number], "replicator.yaml")
        peers = [peer for peer in range(nodes) if peer != rank]
        with open(path + ".tmp", "w", encoding="utf-8") as file:
            file.write(ORDER.format(job=job, rank=rank, nodes=nodes, peers=peers))
        os.rename(path + ".tmp", path)

    def wait_order_gone(self, number):
        path = os.path.join(self.folders[number], "replicator.yaml")
        self.wait(lambda: not os.path.exists(path), "the order is not carried out")

    def read(self, number, name):
        with open(os.path.join(self.folders[number], name), encoding="utf-8") as file:
            return file.read()

    def write_step(self, number, step, files):
        """As Orbax does: beside its place, and renamed when complete."""
        place = os.path.join(self.folders[number], str(step))
        for name, data in files.items():
            path = os.path.join(place + ".tmp", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        os.rename(place + ".tmp", place)

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
        for log in self.logs:  # pytest shows it when the test has failed
            print(f"---- {log}\n{log.read_text()}")


@pytest.fixture
def start_replicators(start_cluster, tmp_path):
    started = []

    def start(agents=2):
        cluster = start_cluster(agents=agents, agent={"arena-bytes": "96MiB"})
        replicators = Replicators(tmp_path, cluster.agents)
        started.append(replicators)
        return cluster, replicators

    yield start
    for replicators in started:
        replicators.end()


def test_orbax_goes_on_after_a_lost_node(start_replicators):
    """Its own script, unchanged: three steps, a node lost with its folder, and on from the third,
    though the first node has a fourth that nobody else has."""
    cluster, replicators = start_replicators(agents=3)
    sockets = [agent.socket for agent in cluster.agents]
    assert jax_ranks.run_job(orbax_job, world=2, devices=2, sockets=sockets, run="jax", steps=3,
                             folders=replicators.folders[:2]) == [None, None]
    for number in (0, 1):
        replicators.wait_kept(number, 3)
    cluster.agents[1].kill()
    replicators.write_step(0, 4, {"alone": b"bytes"})
    found = jax_ranks.run_job(orbax_job, world=2, devices=2, sockets=sockets, run="jax", steps=2,
                              folders=[replicators.folders[0], replicators.folders[2]])
    assert found == [3, 3]
    for number in (0, 2):
        replicators.wait_kept(number, 5)
        left = [name for name in os.listdir(replicators.folders[number])
                if name.startswith(("replicator", ".ckptd")) or name.endswith(".restore")]
        assert left == [], left


def test_files_come_back_as_they_were(start_replicators):
    _, replicators = start_replicators(agents=2)
    files = {"a/b/c": os.urandom(100000), "empty": b"", "a/nothing/.keep": b"x", "d": b"1"}
    replicators.order(0, 0, 1)
    replicators.wait_order_gone(0)
    assert [n for n in os.listdir(replicators.folders[0])] == ["jax-s0-n0-w0.restore"]
    replicators.write_step(0, 7, files)
    replicators.wait_kept(0, 7)
    # The job starts again, on the other node.
    replicators.order(1, 0, 1)
    replicators.wait_order_gone(1)
    marker = os.path.join(replicators.folders[1], "jax-s7-n0-w0.restore")
    for name, data in files.items():
        with open(os.path.join(marker, name), "rb") as file:
            assert file.read() == data, name


@pytest.mark.parametrize("order, said", [
    ("nothing", "there are no keys"),
    (ORDER.format(job="j", rank=2, nodes=2, peers=[]), "node-rank 2 of 2"),
    (ORDER.format(job="a b", rank=0, nodes=1, peers=[]), "job-name"),
    (ORDER.format(job="j", rank=0, nodes=2, peers=[0]), "peer-ranks"),
    (ORDER.format(job="j", rank=0, nodes=1, peers=[]) + "backup-interval-steps: 3\n",
     "exactly one"),
    (ORDER.format(job="j", rank=0, nodes=1, peers=[]).replace("orbax", "other"), "orbax is served"),
    ("job-name: [", "line"),
])
def test_a_wrong_order_is_refused_in_words(start_replicators, order, said):
    _, replicators = start_replicators(agents=1)
    path = os.path.join(replicators.folders[0], "replicator.yaml")
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.write(order)
    os.rename(path + ".tmp", path)
    replicators.wait_order_gone(0)
    assert said in replicators.read(0, "replicator.failed")
    assert "level=error event=order_failed" in replicators.logs[0].read_text()


def test_an_agent_that_is_away_is_waited_for(start_replicators):
    cluster, replicators = start_replicators(agents=2)
    replicators.order(0, 0, 1)
    replicators.wait_order_gone(0)
    cluster.agents[0].kill()
    replicators.write_step(0, 1, {"file": b"bytes"})
    replicators.wait(lambda: os.path.exists(os.path.join(replicators.folders[0],
                                                         "replicator.errors")), "nothing is said")
    assert "CKPT_ERR_NO_AGENT" in replicators.read(0, "replicator.errors")
    cluster.agents[0].start()
    replicators.wait_kept(0, 1)
    log = replicators.logs[0].read_text()
    assert log.count("event=step_not_kept") == 1, log


def test_names_that_lead_out_are_refused(start_replicators):
    """A shard that something else saved for the run: nothing is written beside the folder."""
    cluster, replicators = start_replicators(agents=2)
    data = numpy.zeros(3, numpy.uint8)
    for step, name in enumerate(("../outside", "/outside", "a//b", "a/../b", "a/.."), 1):
        with ckptd.Context("jax", socket=cluster.agents[0].socket) as context:
            context.save(step, ckptd.Table([ckptd.Tensor(name, "U8", (3,), data.ctypes.data, 3)]))
            context.wait(step, 60)
        replicators.order(0, 0, 1)
        replicators.wait_order_gone(0)
        assert "CKPT_ERR_SYSTEM" in replicators.read(0, "replicator.failed"), name
        assert not [n for n in os.listdir(replicators.folders[0]) if n.endswith(".restore")]
        os.unlink(os.path.join(replicators.folders[0], "replicator.failed"))
    beside = os.path.dirname(replicators.folders[0])
    assert "outside" not in os.listdir(beside) and not os.path.exists("/outside")


def test_what_is_no_file_is_said(start_replicators):
    _, replicators = start_replicators(agents=2)
    replicators.order(0, 0, 1)
    replicators.wait_order_gone(0)
    step = os.path.join(replicators.folders[0], "1")
    os.mkdir(step + ".tmp")
    os.symlink("/etc/passwd", os.path.join(step + ".tmp", "link"))
    os.rename(step + ".tmp", step)
    replicators.wait(lambda: os.path.exists(os.path.join(replicators.folders[0],
                                                         "replicator.errors")), "nothing is said")
    assert "link: neither a file nor a folder" in replicators.read(0, "replicator.errors")
    replicators.write_step(0, 2, {"file": b"bytes"})
    replicators.wait_kept(0, 2)
