# SPDX-License-Identifier: Apache-2.0
"""Mooncake's transfer engine: a synchronous read by its TCP transport, or by RDMA where the
environment's PEERS_DEVICE names one."""

import os

import numpy
from mooncake.engine import TransferEngine

from moving.pair import fill


class _End:
    def __init__(self, memory):
        self.memory = memory
        self.engine = TransferEngine()
        device = os.environ.get("PEERS_DEVICE", "")
        if self.engine.initialize("127.0.0.1", "P2PHANDSHAKE", "rdma" if device else "tcp",
                                  device) != 0:
            raise RuntimeError("its engine did not start")
        if self.engine.register_memory(memory.ctypes.data, memory.nbytes) != 0:
            raise RuntimeError("its engine did not take the memory")


class Source(_End):
    def __init__(self, count):
        super().__init__(fill(count))
        self.card = (f"127.0.0.1:{self.engine.get_rpc_port()}", self.memory.ctypes.data)


class Reader(_End):
    def __init__(self, count, card):
        super().__init__(numpy.zeros(count, numpy.uint8))
        self.peer, self.there = card

    def read(self):
        if self.engine.transfer_sync_read(self.peer, self.memory.ctypes.data, self.there,
                                          self.memory.nbytes) != 0:
            raise RuntimeError("a read failed")

    def view(self):
        return self.memory
