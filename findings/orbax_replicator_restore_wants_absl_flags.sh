#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# orbax-checkpoint 0.12.8 with jax 0.10.2 on the CPU.
#
# ReplicatorCheckpointManager (multi-tier checkpointing) saves in any process, but its restore
# raises absl's UnparsedFlagAccessError unless the process has parsed absl's command line flags: the
# mesh that a step was saved under is compared by the absl flag
# --experimental_use_distributed_id_for_mesh_consistency, which is read only then. A script that is
# not started by absl.app.run() finds out at its first restart, after a node was lost. The remedy is
# one line, absl.flags.FLAGS(["name"]), before the restore.
#
# Source: orbax/checkpoint/experimental/emergency/multihost.py, consistent_restore_mesh().
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    jax==0.10.2 jaxlib==0.10.2 orbax-checkpoint==0.12.8 numpy==2.4.6 absl-py==2.5.1
cat >"$folder/job.py" <<'PYTHON'
import os
import socket
import sys

os.environ.update(JAX_PLATFORMS="cpu", XLA_FLAGS="--xla_force_host_platform_device_count=2")
import jax
import numpy
import orbax.checkpoint as ocp
from absl import flags
from etils import epath
from orbax.checkpoint._src.multihost import multihost
from orbax.checkpoint.experimental.emergency.multi_tier_checkpointing import (
    replicator_checkpoint_manager as replicator,
)

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
jax.distributed.initialize(f"127.0.0.1:{port}", 1, 0)
multihost.initialize_runtime_to_distributed_ids()  # as initialize_multi_tier_checkpointing() does
multihost.initialize_distributed_to_device_ids()
mesh = jax.sharding.Mesh(numpy.array(jax.devices()).reshape(1, 2), ("replica", "x"))
sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
array = jax.device_put(numpy.arange(8, dtype=numpy.float32), sharding)
manager = replicator.ReplicatorCheckpointManager(
    epath.Path(sys.argv[1]), options=replicator.ReplicatorCheckpointManagerOptions(),
    global_mesh=mesh)
manager.save(1, args=ocp.args.Composite(state=ocp.args.PyTreeSave({"x": array})))
manager.wait_until_finished()
print("saved:", manager.all_steps())
wanted = ocp.args.Composite(state=ocp.args.PyTreeRestore(item={"x": array}, restore_args={
    "x": ocp.ArrayRestoreArgs(sharding=sharding, global_shape=array.shape)}))


def restore():
    try:
        return str(manager.restore(1, args=wanted)["state"]["x"])
    except Exception as error:
        return type(error).__name__


print("restore:", restore())
flags.FLAGS(["job"])
print("restore, once flags were parsed:", restore())
PYTHON
mkdir "$folder/steps"
"$folder/venv/bin/python" "$folder/job.py" "$folder/steps" 2>"$folder/errors" >"$folder/seen" || {
    cat "$folder/errors"
    exit 1
}
grep -v Gloo "$folder/seen"
grep -qx 'saved: \[1\]' "$folder/seen"
grep -qx 'restore: UnparsedFlagAccessError' "$folder/seen"
grep -qx 'restore, once flags were parsed: \[0. 1. 2. 3. 4. 5. 6. 7.\]' "$folder/seen"
