# SPDX-License-Identifier: Apache-2.0
"""Daemons that come back: with their memory, without it, and in the middle of everything."""

import shutil
import time

from cluster import MIB
from harness import SOAK, IntegrationTest, wait_until


class Restart(IntegrationTest):
    def test_an_agent_adopts_what_it_held(self):
        """The adopted copies are all that is left: the other nodes come back empty."""
        cluster = self.cluster(2)
        job = self.job(cluster)
        job.commit(1, size=3 * MIB)
        job.close()
        kept, lost = cluster.agents
        kept.kill()
        lost.kill()
        lost.wipe()
        kept.start()
        lost.start()
        cluster.wait_joined()
        cluster.wait_whole("run", 1)
        again = self.job(cluster, attempt=2, on=[lost, kept])
        self.assertEqual(again.restore(), 1)

    def test_an_adopted_copy_does_not_count_before_its_digest(self):
        cluster = self.cluster(2)
        job = self.job(cluster)
        job.commit(1, size=3 * MIB)
        agent = cluster.agents[1]
        agent.kill()
        agent.start(fault="agent_before_digest_report=stop@1", wait=False)
        wait_until("it has stopped before its first word", agent.is_stopped)

        def verified():
            return [
                copy
                for shard in cluster.state("run", 1)["shards"]
                for copy in shard["copies"]
                if copy["node"] == "n1" and copy["state"] == "verified"
            ]

        wait_until("what it said before it died is void", lambda: not verified())
        time.sleep(0.3)
        self.assertEqual(verified(), [])
        agent.resume()
        cluster.wait_joined()
        cluster.wait_whole("run", 1)

    def test_sigterm_keeps_the_memory_as_well(self):
        cluster = self.cluster(2)
        job = self.job(cluster)
        job.commit(1)
        job.close()
        for agent in cluster.agents:
            self.assertEqual(agent.terminate(), 0)
        for agent in cluster.agents:
            agent.start()
        cluster.wait_joined()
        self.assertEqual(self.job(cluster, attempt=2).restore(), 1)

    def test_a_wiped_node_of_the_same_name_is_empty_and_is_filled_again(self):
        cluster = self.cluster(3)
        job = self.job(cluster)
        job.commit(1)
        agent = cluster.agents[2]
        agent.kill()
        agent.wipe()
        agent.start()
        cluster.wait_joined()
        cluster.wait_whole("run", 1)
        job.close()
        again = self.job(cluster, attempt=2, on=[agent] * 3)
        self.assertEqual(again.restore(), 1)

    def test_everything_is_killed_at_once(self):
        cluster = self.cluster(3)
        job = self.job(cluster)
        job.commit(1)
        job.commit(2)
        job.save(3)
        for daemon in cluster.daemons():
            daemon.signal(9)
        for daemon in cluster.daemons():
            daemon.kill()
        job.close()
        cluster.start()
        again = self.job(cluster, attempt=2)
        step = again.restore()
        self.assertIn(step, (2, 3))
        again.commit(step + 1)

    def test_training_goes_on_while_the_coordinator_is_away(self):
        cluster = self.cluster(3)
        job = self.job(cluster)
        job.commit(1)
        cluster.coordinator.kill()
        for step in (2, 3, 4):
            job.save(step)
        cluster.coordinator.start()
        for reply in job.wait(4):
            self.assert_status(reply, "CKPT_OK")
        self.assertEqual(job.restore(), 4)

    def test_the_coordinator_dies_again_and_again(self):
        cluster = self.cluster(3)
        job = self.job(cluster)
        step = 0
        for _ in range(30 if SOAK else 6):
            step += 1
            job.save(step)
            cluster.coordinator.kill()
            step += 1
            job.save(step)
            cluster.coordinator.start()
            for reply in job.wait(step):
                self.assert_status(reply, "CKPT_OK")
            self.assertEqual(job.restore(), step)

    def test_the_epoch_outlives_the_agent(self):
        """A coordinator whose records were lost hears of their epoch from an agent that obeyed it
        in an earlier life, and ends; what that agent holds is not given up at its word. Before it
        is given the cluster's id it is another cluster's, and hears of nothing."""
        cluster = self.cluster(1)
        job = self.job(cluster, copies=1)
        coordinator, agent = cluster.coordinator, cluster.agents[0]
        made = coordinator.events("cluster_made")
        coordinator.kill()
        coordinator.start()  # of epoch 2 from here on
        cluster.wait_joined()
        job.commit(1)
        job.close()
        self.assertEqual(agent.terminate(), 0)
        coordinator.kill()
        shutil.rmtree(coordinator.state_directory)
        coordinator.start()
        self.assertEqual(coordinator.events("ready", this_life=True)[0]["epoch"], "1")
        agent.start()
        wait_until("it is turned away", lambda: agent.events("another_cluster", this_life=True))
        self.assertEqual(agent.events("joined", this_life=True), [])
        self.assertTrue(coordinator.is_alive())
        coordinator.kill()
        shutil.rmtree(coordinator.state_directory)
        coordinator.options["cluster"] = made[0]["id"]
        coordinator.start(wait=False)  # it may have ended before anybody sees that it was ready
        self.assertEqual(coordinator.wait_dead(), 4)
        self.assertTrue(coordinator.events("stale_coordinator", this_life=True))
        self.assertEqual(agent.events("joined", this_life=True), [])
        self.assertIsNotNone(agent.arena.find("run", 1, 0))
        coordinator.options["epoch-above"] = "2"
        coordinator.start()
        self.assertEqual(coordinator.events("ready", this_life=True)[0]["epoch"], "3")
        cluster.wait_joined()

    def test_an_agent_dies_again_and_again(self):
        cluster = self.cluster(3)
        step = 0
        for round_ in range(20 if SOAK else 4):
            job = self.job(cluster, attempt=round_ + 1)
            if step > 0:
                self.assertEqual(job.restore(), step)
            step += 1
            job.commit(step)
            victim = cluster.agents[round_ % 3]
            victim.kill()
            if round_ % 2:
                victim.wipe()
            victim.start()
            cluster.wait_joined()
            job.close()
            cluster.wait_whole("run", step)

    def test_an_agent_of_another_name_with_the_memory_of_a_node(self):
        """Two agents cannot have one arena."""
        cluster = self.cluster(2)
        job = self.job(cluster)
        job.commit(1)
        other = cluster.agents[1]
        other.kill()
        directory, other.arena_directory = other.arena_directory, cluster.agents[0].arena_directory
        other.start(wait=False)
        self.assertEqual(other.wait_dead(), 1)
        self.assertIn("another", other.tail())
        other.arena_directory = directory
        other.start()
        cluster.wait_joined()
        job.commit(2)
        wait_until("it is whole", lambda: not cluster.state("run", 2)["degraded"])
