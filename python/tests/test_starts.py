# SPDX-License-Identifier: Apache-2.0
"""torchrun starts workers under the environment that they had: the coordinator counts starts."""

import os
import re
import subprocess
import sys

import ckptd

WORKER = """
import os, sys
sys.path.insert(0, os.environ["CKPT_PACKAGE"])
import ckptd
from ckptd import context, errors
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
sockets = os.environ["SOCKETS"].split(",")
fails = os.environ.get("FAIL_IN") == os.environ["TORCHELASTIC_RESTART_COUNT"]
with ckptd.Context("run", rank=rank, world=world, socket=sockets[rank]) as run:
    try:
        with run.load(timeout=60) as shard:
            found = shard.step
    except errors.NoCheckpoint:
        found = 0
    print(f"RANK {rank} attempt={run.attempt} found={found}", flush=True)
    table = context.Table([])
    run.save(found + 10, table)
    run.wait(found + 10, 60)
    if fails and rank == 1:
        os._exit(3)
    if fails:
        import time
        time.sleep(60)  # torchrun ends it
"""


def torchrun(tmp_path, sockets, restarts, fail_in=None):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    environment = {**os.environ, "SOCKETS": ",".join(sockets), "OMP_NUM_THREADS": "1",
                   "CKPT_PACKAGE": os.path.dirname(os.path.dirname(ckptd.__file__))}
    if fail_in is not None:
        environment["FAIL_IN"] = str(fail_in)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nnodes=1", "--nproc-per-node=2",
         f"--max-restarts={restarts}", "--monitor-interval=0.1", "--rdzv-backend=c10d",
         "--rdzv-endpoint=127.0.0.1:0", "--rdzv-id=same", str(script)],
        env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return sorted(re.findall(r"RANK (\d) attempt=(\d+) found=(\d+)", done.stdout))


def test_torchrun(start_cluster, tmp_path):
    """In place, then called again: each start goes on where the one before it had come."""
    cluster = start_cluster(2)
    sockets = [agent.socket for agent in cluster.agents]
    assert torchrun(tmp_path, sockets, restarts=1, fail_in=0) == [
        ("0", "1", "0"), ("0", "2", "10"), ("1", "1", "0"), ("1", "2", "10")]
    assert torchrun(tmp_path, sockets, restarts=0) == [("0", "3", "20"), ("1", "3", "20")]
