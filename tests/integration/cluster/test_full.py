# SPDX-License-Identifier: Apache-2.0
"""An arena that is full: what is older goes before its time, and the newest of a run never does."""

from cluster import MIB
from harness import IntegrationTest, wait_until

SMALL = {"arena-bytes": "16MiB"}  # 8 segments


class Full(IntegrationTest):
    def test_a_full_arena_gives_up_what_is_older(self):
        """keep=3: three checkpoints of two segments a copy fill both arenas to 12 of 14 MiB."""
        cluster = self.cluster(2, agent={"arena-bytes": "14MiB"}, coordinator={"keep": "3"})
        job = self.job(cluster, on=[cluster.agents[0]])
        for step in (1, 2, 3):
            job.commit(step, size=3 * MIB)
        self.assertEqual(cluster.coordinator.events("retired_early"), [])
        job.commit(4, size=3 * MIB)
        early = cluster.coordinator.events("retired_early")
        # Both nodes were full. What one frees is heard of a moment later: the other's need may have
        # taken one more by then, the next older, and no newer one.
        self.assertIn([note["step"] for note in early], (["1"], ["1", "2"]))
        self.assertEqual(early[0]["level"], "warn")
        for step in (2, 3, 4)[len(early) - 1 :]:
            self.assertFalse(cluster.state("run", step)["degraded"])
        self.assertEqual(job.restore(), 4)

    def test_the_newest_is_never_given_up(self):
        cluster = self.cluster(2, agent={"arena-bytes": "6MiB"}, coordinator={"keep": "3"})
        job = self.job(cluster, on=[cluster.agents[0]])
        job.commit(1, size=3 * MIB)
        reply = job.save_one(2, 0, size=3 * MIB)
        self.assert_status(reply, "CKPT_ERR_FULL")
        self.assertIn("retired", reply.reason)
        self.assertFalse(cluster.state("run", 1)["degraded"])
        self.assertEqual(job.restore(), 1)

    def save(self, job, step):
        return job.save_one(step, 0, size=3 * MIB).ok

    def test_another_run_does_not_crowd_out_the_first(self):
        cluster = self.cluster(2, agent=SMALL)
        first = self.job(cluster, "first", on=[cluster.agents[0]])
        for step in (1, 2):
            first.commit(step, size=2 * MIB)
        second = self.job(cluster, "second", on=[cluster.agents[0]])
        for step in range(1, 8):
            reply = second.save_one(step, 0, size=4 * MIB)
            if reply.ok:
                self.assert_status(
                    second.wait(step, 5000)[0],
                    "CKPT_OK",
                    "CKPT_ERR_TIMEOUT",
                    "CKPT_ERR_FULL",
                    "CKPT_ERR_ABORTED",
                )
            else:
                self.assert_status(reply, "CKPT_ERR_FULL")
        self.assertGreater(len(cluster.coordinator.events("retired_early")), 0)
        self.assertEqual(first.restore(), 2)
        self.assertFalse(cluster.state("first", 2)["degraded"])

    def test_a_full_holder_is_passed_over(self):
        """One of three nodes has no room for a copy: it goes to the one that has."""
        cluster = self.cluster(3, per_agent={1: {"arena-bytes": "4MiB"}})
        job = self.job(cluster, on=[cluster.agents[0]])
        for step in range(1, 6):
            job.commit(step, size=5 * MIB)
        self.assertEqual(job.restore(), 5)

    def test_no_holder_has_room(self):
        cluster = self.cluster(
            2, per_agent={1: {"arena-bytes": "4MiB"}}, coordinator={"save-timeout": "1s"}
        )
        job = self.job(cluster, on=[cluster.agents[0]])
        job.commit(1, size=MIB)
        self.assertTrue(job.save_one(2, 0, size=8 * MIB).ok)
        reply = job.wait(2)[0]
        self.assert_status(reply, "CKPT_ERR_FULL", "CKPT_ERR_NO_DOMAIN")
        self.assertEqual(job.restore(), 1)
        job.commit(3, size=MIB)

    def test_a_shard_larger_than_the_arena(self):
        cluster = self.cluster(2, agent=SMALL)
        job = self.job(cluster, on=[cluster.agents[0]])
        job.commit(1)
        reply = job.save_one(2, 0, size=17 * MIB)
        self.assert_status(reply, "CKPT_ERR_TOO_LARGE")
        self.assertIn("needs 9 segments", reply.reason)
        self.assertEqual(job.restore(), 1)
        job.commit(3)

    def test_freed_room_is_used_again_for_hours(self):
        cluster = self.cluster(2, agent=SMALL, coordinator={"keep": "1"})
        job = self.job(cluster, on=[cluster.agents[0]])
        done = 0
        for step in range(1, 61):
            if wait_until(f"step {step} is taken", lambda: self.save(job, step)):
                self.assert_status(job.wait(step)[0], "CKPT_OK")
                done += 1
        self.assertEqual(done, 60)
        self.assertEqual(job.restore(), 60)
