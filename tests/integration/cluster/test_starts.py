# SPDX-License-Identifier: Apache-2.0
"""Starts of a run through ckpt_open: numbers that are given out, and what an earlier start may
do."""

import time

from cluster import payload
from harness import IntegrationTest, wait_until

SHORT = {"heartbeat": "100ms", "lease": "600ms", "save-timeout": "2s"}


class Starts(IntegrationTest):
    def ranks(self, cluster, world=2, attempt=0, shift=0):
        """A process for each rank, as one start opens them."""
        processes = [cluster.rank() for _ in range(world)]
        for rank, process in enumerate(processes):
            agent = cluster.agents[(rank + shift) % len(cluster.agents)]
            process.must("open", agent.socket, "run", attempt, rank, world, 2, 5000, "rank")
        return processes

    def attempts(self, processes):
        return {process.must("attempt").words[0] for process in processes}

    def wait_seated(self, processes):
        wait_until("the start has its number", lambda: "0" not in self.attempts(processes))
        seen = self.attempts(processes)
        self.assertEqual(len(seen), 1, seen)
        return int(seen.pop())

    def load(self, processes, timeout_ms=20000):
        for process in processes:
            process.send("load", 0, "latest", timeout_ms)
        return [process.reply(timeout_ms / 1000 + 10) for process in processes]

    def save(self, cluster, processes, step):
        path = cluster.file(payload(step, size=50_000))
        for process in processes:
            process.must("save_bytes", step, path)

    def commit(self, cluster, processes, step):
        self.save(cluster, processes, step)
        for process in processes:
            process.must("wait", step, 20000)

    def steps(self, replies):
        return [reply.words[0] if reply.ok else reply.status for reply in replies]

    def test_the_coordinator_counts(self):
        """In place, one after the other, and beside a start that still lives: as torchrun restarts
        its workers, is called again, and is called again too early."""
        cluster = self.cluster(3)
        first = self.ranks(cluster)
        self.assertEqual(self.steps(self.load(first)), ["CKPT_ERR_NO_CHECKPOINT"] * 2)
        self.assertEqual(self.wait_seated(first), 1)
        self.commit(cluster, first, 10)
        for process in first:
            process.kill()
        second = self.ranks(cluster)
        self.assertEqual(self.steps(self.load(second)), ["10"] * 2)
        self.assertEqual(self.wait_seated(second), 2)
        self.commit(cluster, second, 20)
        third = self.ranks(cluster, shift=1)
        self.assertEqual(self.steps(self.load(third)), ["20"] * 2)
        self.assertEqual(self.wait_seated(third), 3)
        path = cluster.file(payload(1, size=50_000))
        for process in second:
            saved = process.call("save_bytes", 30, path)
            ended = process.call("wait", 30, 10000) if saved.ok else saved
            self.assert_status(ended, "CKPT_ERR_ATTEMPT")
        self.commit(cluster, third, 40)

    def test_opening_needs_no_coordinator(self):
        """What was staged before the start had a number becomes consistent, agents restarted or
        not."""
        cluster = self.cluster(2)
        cluster.coordinator.kill()
        ranks = self.ranks(cluster)
        self.save(cluster, ranks, 1)
        self.assertEqual(self.attempts(ranks), {"0"})
        self.assert_status(ranks[0].call("wait", 1, 100), "CKPT_ERR_NO_COORDINATOR")
        cluster.agents[1].kill()
        cluster.agents[1].start()
        cluster.coordinator.start()
        for process in ranks:
            process.must("wait", 1, 20000)
        self.assertEqual(self.wait_seated(ranks), 1)
        cluster.coordinator.kill()
        cluster.coordinator.start()
        self.commit(cluster, ranks, 2)
        self.assertEqual(self.wait_seated(ranks), 1)

    def test_a_rank_that_opens_late(self):
        cluster = self.cluster(2)
        first = cluster.rank()
        first.must("open", cluster.agents[0].socket, "run", 0, 0, 2, 2, 5000, "rank")
        first.send("load", 0, "latest", 20000)
        time.sleep(1)
        late = cluster.rank()
        late.must("open", cluster.agents[1].socket, "run", 0, 1, 2, 2, 5000, "rank")
        reply = late.call("load", 0, "latest", 20000)
        self.assert_status(reply, "CKPT_ERR_NO_CHECKPOINT")
        self.assert_status(first.reply(30), "CKPT_ERR_NO_CHECKPOINT")
        self.assertEqual(self.wait_seated([first, late]), 1)

    def test_a_start_that_is_never_complete(self):
        """Its saves end, rather than be "not yet" for ever."""
        cluster = self.cluster(2, coordinator=SHORT)
        rank = cluster.rank()
        rank.must("open", cluster.agents[0].socket, "run", 0, 0, 2, 2, 5000, "rank")
        rank.must("save_bytes", 1, cluster.file(payload(1, size=50_000)))
        ended = rank.call("wait", 1, 20000)
        self.assert_status(ended, "CKPT_ERR_ABORTED")
        self.assertIn("1 of 2", ended.line)

    def test_a_number_that_was_used(self):
        cluster = self.cluster(2)
        first = self.ranks(cluster, attempt=4)
        self.assertEqual(self.steps(self.load(first)), ["CKPT_ERR_NO_CHECKPOINT"] * 2)
        self.commit(cluster, first, 10)
        for process in first:
            process.kill()
        again = self.ranks(cluster, attempt=4)
        self.assertEqual(self.steps(self.load(again)), ["CKPT_ERR_ATTEMPT"] * 2)
        for process in again:
            process.kill()
        given = self.ranks(cluster)
        self.assertEqual(self.steps(self.load(given)), ["10"] * 2)
        self.assertEqual(self.wait_seated(given), 5)
