# SPDX-License-Identifier: Apache-2.0
"""Ranks that say that they hold the same state: what differs never becomes consistent."""

from cluster import payload
from harness import IntegrationTest


class Replica(IntegrationTest):
    def save(self, cluster, ranks, step, values):
        """Every rank saves the step and says its value of part 3 (None: nothing); its outcome."""
        for number, (rank, value) in enumerate(zip(ranks, values)):
            if value is not None:
                rank.must("replica", step, 0, 3, value)
            data = payload("share", step, number, size=1 << 20)
            rank.must("save_bytes", step, cluster.file(data))
        return [rank.call("wait", step, 20000) for rank in ranks]

    def test_ranks_that_diverge_are_told_and_whole_states_go_on(self):
        cluster = self.cluster(3)
        ranks = []
        for number, agent in enumerate(cluster.agents):
            ranks.append(cluster.rank())
            ranks[-1].must("open", agent.socket, "run", 1, number, 3, 2, 5000, "rank")
        for reply in self.save(cluster, ranks, 1, [7, 7, 7]):
            self.assert_status(reply, "CKPT_OK")
        for reply in self.save(cluster, ranks, 2, [7, 8, 7]):
            self.assert_status(reply, "CKPT_ERR_DIVERGED")
            self.assertIn("ranks 0 and 1 have diverged: part 3", reply.reason)
        for reply in self.save(cluster, ranks, 3, [9, 9, 9]):
            self.assert_status(reply, "CKPT_ERR_DIVERGED")
            self.assertIn("step 2", reply.reason)
        for reply in self.save(cluster, ranks, 4, [None] * 3):
            self.assert_status(reply, "CKPT_OK")
        self.assertEqual(cluster.state("run", 1)["state"], "consistent")
        self.assertTrue(cluster.coordinator.events("ranks_diverged", step=2))
