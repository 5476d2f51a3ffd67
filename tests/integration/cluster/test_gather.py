# SPDX-License-Identifier: Apache-2.0
"""State in a device's memory: the agent reads it where its transport can, else the rank copies it.

A memfd stands in for the dma-buf. Over UCX an agent refuses it, and the rank copies. In a virtual
machine, over verbs and with tests/vm/shim, it is registered and read by RDMA.
"""

import os
import time

from cluster import MIB
from harness import IntegrationTest, wait_until

GATHERS = "reg_dmabuf" in os.environ.get("LD_PRELOAD", "")
HOW = "gathered" if GATHERS else "copied"
SIZES = (1, 70_000, 2 * MIB + 5, 5 * MIB + 4096)  # of one segment, and of several


class Gather(IntegrationTest):
    def save(self, job, step, size, offset):
        """All ranks; returns how their bytes came into the slot."""
        hows = set()
        for rank, process in enumerate(job.ranks):
            path = job.cluster.file(job.truth(step, rank, size))
            hows.add(process.must("save_gather", step, path, offset).words[0])
            os.unlink(path)
        return hows

    def test_every_size_comes_back_from_another_node(self):
        cluster = self.cluster(3)
        job = self.job(cluster, on=cluster.agents[:2])
        for step, size in enumerate(SIZES, start=1):
            self.assertEqual(self.save(job, step, size, offset=64 * step), {HOW})
            for reply in job.wait(step):
                self.assertTrue(reply.ok, reply)
        job.close()
        moved = self.job(cluster, attempt=2, on=cluster.agents[1:])
        self.assertEqual(moved.restore(), len(SIZES))

    def test_a_descriptor_that_is_none(self):
        cluster = self.cluster(2)
        job = self.job(cluster, on=cluster.agents[:1])
        path = cluster.file(job.truth(1, 0, 5000))
        reply = job.ranks[0].call("save_gather", 1, path, "/dev/null")
        self.assertEqual((reply.ok, reply.words[0]), (True, "copied"))
        self.assertTrue(job.wait(1)[0].ok)
        self.assertEqual(job.restore(), 1)

    def test_a_rank_that_dies_meanwhile(self):
        cluster = self.cluster(2)
        job = self.job(cluster, on=cluster.agents[:1])
        free = cluster.coordinator.ask("nodes")["nodes"][0]["segments_free"]
        path = cluster.file(job.truth(1, 0, 12 * MIB))
        if not GATHERS:
            job.ranks[0].must("fault", "client_save_before_seal=crash")
        job.ranks[0].send("save_gather", 1, path, 0)
        if GATHERS:
            time.sleep(0.15)  # it takes ten times as long
        else:
            self.assertIsNone(job.ranks[0].reply())
        job.ranks[0].kill()

        def is_free():
            nodes = {node["node"]: node for node in cluster.coordinator.ask("nodes")["nodes"]}
            return nodes["n0"]["segments_free"] == free

        wait_until("the memory of the save that was not sealed is free", is_free)
        again = self.job(cluster, attempt=2, on=cluster.agents[:1])
        self.assertEqual(self.save(again, 2, 3 * MIB, offset=0), {HOW})
        self.assertTrue(again.wait(2)[0].ok)
        self.assertEqual(again.restore(), 2)
