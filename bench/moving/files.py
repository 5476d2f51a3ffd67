# SPDX-License-Identifier: Apache-2.0
"""torch.distributed.checkpoint: saved to a folder in memory by one process, loaded by the other."""

import os
import tempfile

import torch
import torch.distributed.checkpoint as dcp

from moving.pair import fill


class Source:
    def __init__(self, count):
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm")
        self.state = {"bytes": torch.from_numpy(fill(count))}
        self.card = os.path.join(self.folder.name, "step")

    def read(self):
        """Its half: the save."""
        dcp.save(self.state, checkpoint_id=self.card, no_dist=True)

    def close(self):
        self.folder.cleanup()


class Reader:
    def __init__(self, count, card):
        self.card = card
        self.state = {"bytes": torch.zeros(count, dtype=torch.uint8)}

    def read(self):
        dcp.load(self.state, checkpoint_id=self.card, no_dist=True)

    def view(self):
        return self.state["bytes"].numpy()
