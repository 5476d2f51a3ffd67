# SPDX-License-Identifier: Apache-2.0
"""lm-resiliency: a save of two ranks until each has the other's copy, by Gloo. Both move, at once:
the caller counts both ranks' bytes. The source is rank 0."""

import os
import socket
import tempfile

import torch
import torch.distributed
from lm_resiliency import InMemoryCkptConfig
from lm_resiliency.checkpointing.manager import InMemoryCheckpointManager

from moving.pair import fill


def _join(rank, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)


class _End:
    def __init__(self, count, rank, port):
        self.count, self.rank, self.port, self.step = count, rank, port, 0
        self.folder = tempfile.TemporaryDirectory()
        self.tensors = [torch.from_numpy(fill(count))]
        self.manager = None

    def read(self):
        if self.manager is None:  # the other rank is asked only now
            _join(self.rank, self.port)
            self.manager = InMemoryCheckpointManager(InMemoryCkptConfig(
                replication_jump=1, disk_flush_interval=0, pin_memory=False, run_id="peers",
                disk_folder=self.folder.name))
        self.step += 1
        self.manager.save_tensors(self.tensors, self.step)
        if not self.manager.finalize_replication():
            raise RuntimeError("its replica did not arrive")


class Source(_End):
    def __init__(self, count):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        super().__init__(count, 0, port)
        self.card = port


class Reader(_End):
    def __init__(self, count, card):
        super().__init__(count, 1, card)
