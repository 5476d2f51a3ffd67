# SPDX-License-Identifier: Apache-2.0
"""SIGSTOP for longer than the lease, then SIGCONT: nothing wrong is committed, and it comes
back."""

import time

from harness import IntegrationTest, wait_until

SHORT = {"heartbeat": "100ms", "lease": "600ms"}


class Pause(IntegrationTest):
    def wait_lost(self, cluster, agent):
        wait_until(f"{agent.node} is lost", lambda: agent.node not in cluster.joined())

    def test_a_paused_agent_with_sealed_shards(self):
        """An owner stops right after its rank sealed; others must not commit without its digest."""
        cluster = self.cluster(3, coordinator=SHORT)
        job = self.job(cluster)
        job.commit(1)
        job.save(2)
        cluster.agents[0].pause()
        self.wait_lost(cluster, cluster.agents[0])
        state = cluster.state("run", 2)
        if state["state"] == "consistent":  # it was faster than the signal: then it must be true
            self.assertEqual(
                state["shards_ready"], 3 if not state["degraded"] else state["shards_ready"]
            )
        cluster.agents[0].resume()
        cluster.wait_joined()
        for step in (3, 4):
            job.commit(step)
        job.close()
        self.assertEqual(self.job(cluster, attempt=2, on=cluster.agents[::-1]).restore(), 4)

    def test_saves_commit_through_others_meanwhile(self):
        """Ranks on two nodes, four agents: a holder that stops is replaced."""
        cluster = self.cluster(4, coordinator=SHORT)
        job = self.job(cluster, on=cluster.agents[:2] * 2)
        job.commit(1)
        paused = cluster.agents[3]
        paused.pause()
        for step in (2, 3, 4):
            job.commit(step)
            for shard in cluster.state("run", step)["shards"]:
                nodes = [copy["node"] for copy in shard["copies"] if copy["state"] == "verified"]
                self.assertGreaterEqual(len(set(nodes) - ({"n3"} if step > 2 else set())), 2, shard)
        self.wait_lost(cluster, paused)
        paused.resume()
        cluster.wait_joined()
        job.commit(5)
        job.close()
        cluster.wait_whole("run", 5)
        self.assertEqual(self.job(cluster, attempt=2, on=cluster.agents[::-1]).restore(), 5)

    def test_a_holder_that_stops_in_the_middle_of_a_pull(self):
        cluster = self.cluster(3, start=False, coordinator=SHORT)
        cluster.coordinator.start()
        stopping = cluster.agents[1]
        for agent in cluster.agents:
            agent.start(fault="agent_pull_chunk=stop@3" if agent is stopping else None)
        cluster.wait_joined()
        job = self.job(cluster, on=[cluster.agents[0]] * 4)
        job.save(1, size=4 << 20)
        self.wait_lost(cluster, stopping)
        for reply in job.wait(1):
            self.assert_status(reply, "CKPT_OK")
        for shard in cluster.state("run", 1)["shards"]:
            self.assertNotIn(
                "n1", {copy["node"] for copy in shard["copies"] if copy["state"] == "verified"}
            )
        stopping.resume()
        cluster.wait_joined()
        job.commit(2)
        job.close()
        self.assertEqual(self.job(cluster, attempt=2, on=[cluster.agents[2]] * 4).restore(), 2)

    def test_a_source_that_stops_in_the_middle_of_a_pull(self):
        """The only source of a restore stops: the load waits or fails within its bound, then
        works."""
        cluster = self.cluster(3, coordinator={**SHORT, "restore-settle": "300ms"})
        job = self.job(cluster, on=[cluster.agents[0]], copies=1)
        job.commit(1, size=4 << 20)
        job.close()
        cluster.agents[0].pause()
        moved = self.job(cluster, attempt=2, on=[cluster.agents[1]], copies=1)
        started = time.monotonic()
        reply = moved.load(timeout_ms=3000)[0]
        self.assert_status(reply, "CKPT_ERR_LOST", "CKPT_ERR_NO_CHECKPOINT", "CKPT_ERR_TIMEOUT")
        self.assertLess(time.monotonic() - started, 15)
        cluster.agents[0].resume()
        cluster.wait_joined()
        moved.close()
        again = self.job(cluster, attempt=3, on=[cluster.agents[1]], copies=1)
        self.assertEqual(again.restore(), 1)

    def test_a_paused_coordinator(self):
        cluster = self.cluster(3, coordinator=SHORT)
        job = self.job(cluster)
        job.commit(1)
        cluster.coordinator.pause()
        job.save(2)
        for reply in job.wait(2, timeout_ms=4000):
            self.assert_status(reply, "CKPT_ERR_NO_COORDINATOR")
        cluster.coordinator.resume()
        for reply in job.wait(2):
            self.assert_status(reply, "CKPT_OK")
        job.commit(3)
        cluster.wait_joined()
        job.close()
        self.assertEqual(self.job(cluster, attempt=2, on=cluster.agents[::-1]).restore(), 3)

    def test_a_paused_trainer(self):
        """A rank that stops for ever while it saves stops its checkpoint only."""
        cluster = self.cluster(2, coordinator={"save-timeout": "1500ms"})
        job = self.job(cluster)
        job.commit(1)
        job.ranks[0].must("fault", "client_save_mid_copy=stop")
        job.send_save(2, 0)
        self.assertTrue(job.save_one(2, 1).ok)
        wait_until("the checkpoint is given up", lambda: cluster.state("run", 2)["state"] != "open")
        self.assert_status(job.ranks[1].call("wait", 2, 5000), "CKPT_ERR_ABORTED")
        job.close()
        again = self.job(cluster, attempt=2)
        self.assertEqual(again.restore(), 1)
        again.commit(2)
