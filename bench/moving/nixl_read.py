# SPDX-License-Identifier: Apache-2.0
"""NIXL: READ by its UCX backend. The environment's UCX_TLS decides by which of UCX's transports."""

import numpy
from nixl_cu12._api import nixl_agent, nixl_agent_config

from moving.pair import fill


class _End:
    def __init__(self, name, memory):
        self.memory = memory
        self.agent = nixl_agent(name, nixl_agent_config(backends=["UCX"]))
        whole = [(memory.ctypes.data, memory.nbytes, 0)]
        self.agent.register_memory([(*whole[0], "")], "DRAM")
        self.descriptors = self.agent.get_xfer_descs(whole, "DRAM")


class Source(_End):
    def __init__(self, count):
        super().__init__("source", fill(count))
        self.card = (self.agent.get_agent_metadata(),
                     self.agent.get_serialized_descs(self.descriptors))


class Reader(_End):
    def __init__(self, count, card):
        super().__init__("reader", numpy.zeros(count, numpy.uint8))
        metadata, there = card
        peer = self.agent.add_remote_agent(metadata)
        self.transfer = self.agent.initialize_xfer(
            "READ", self.descriptors, self.agent.deserialize_descs(there), peer, b"")

    def read(self):
        state = self.agent.transfer(self.transfer)
        while state == "PROC":
            state = self.agent.check_xfer_state(self.transfer)
        if state != "DONE":
            raise RuntimeError(f"a transfer ended as {state}")

    def view(self):
        return self.memory
