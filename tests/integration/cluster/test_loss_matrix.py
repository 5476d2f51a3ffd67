# SPDX-License-Identifier: Apache-2.0
"""Every subset of lost nodes: restored bit for bit when a copy of each shard is left, refused when
not.

Which copies there are is read from the arenas' files before the loss, not asked of anybody. After
each
loss the nodes come back empty; where the checkpoint lives, it is repaired before the next subset,
and
where it is lost, training goes on with a new one.
"""

import itertools
import signal

from harness import IntegrationTest

FAST = {"restore-settle": "250ms", "disconnect-grace": "100ms", "resend": "100ms"}
LOST_MS = 3500  # of a load: what nobody can bring back is waited for as long as it has time


class LossMatrix(IntegrationTest):
    def matrix(self, nodes, copies, only=None):
        cluster = self.cluster(nodes, coordinator=FAST)
        self.attempt, self.step = 1, 0
        self.save_new(cluster, copies)
        counts = {"restored": 0, "refused": 0}
        for k in range(nodes + 1):
            for lost in itertools.combinations(range(nodes), k):
                if only is not None and not only(lost):
                    continue
                with self.subTest(nodes=nodes, copies=copies, lost=lost):
                    counts[self.lose(cluster, copies, [cluster.agents[i] for i in lost])] += 1
                if self.has_failed():
                    return
        print(f"     {nodes} nodes, {copies} copies: {counts}", flush=True)
        self.assertGreater(counts["restored"], 0)
        self.assertGreater(counts["refused"], 0)

    def save_new(self, cluster, copies):
        self.step += 1
        job = self.job(cluster, attempt=self.attempt, copies=copies)
        job.commit(self.step)
        cluster.wait_whole("run", self.step)
        job.close()

    def lose(self, cluster, copies, lost):
        cluster.wait_quiet("run", self.step)
        holders = cluster.holders("run", self.step)
        for rank in range(len(cluster.agents)):
            self.assertGreaterEqual(
                len(holders.get(rank, [])), copies, f"rank {rank} before the loss"
            )
        survives = all(set(agents) - set(lost) for agents in holders.values())
        left = [agent for agent in cluster.agents if agent not in lost]
        for agent in lost:  # all at once: no time to repair between one and the next
            agent.signal(signal.SIGKILL)
        for agent in lost:
            agent.kill()
            agent.wipe()
        self.attempt += 1
        try:
            if left:
                self.restore(cluster, copies, left, survives)
            for agent in lost:
                agent.start(wait=False)
            for agent in lost:
                agent.wait_ready()
            cluster.wait_joined()
            if survives:
                cluster.wait_whole("run", self.step)
            elif not left:
                self.restore(cluster, copies, cluster.agents, survives)
            if not survives:
                self.attempt += 1
                self.save_new(cluster, copies)
        except BaseException:
            self._failed = True
            raise
        return "restored" if survives else "refused"

    def restore(self, cluster, copies, left, survives):
        """All ranks, spread over the nodes that are left."""
        on = [
            agent if agent in left else left[i % len(left)]
            for i, agent in enumerate(cluster.agents)
        ]
        job = self.job(cluster, attempt=self.attempt, on=on, copies=copies)
        if survives:
            job.restore(expect=self.step)
            job.close()
            return
        replies = job.load(timeout_ms=LOST_MS)
        refusals = ("CKPT_ERR_LOST", "CKPT_ERR_NO_CHECKPOINT", "CKPT_ERR_TIMEOUT")
        for reply in replies:
            # An older checkpoint may be left; but then it must be whole, and the same for all. The
            # word that it is lost is on its way when the time is nearly over.
            self.assert_status(reply, "CKPT_OK", *refusals)
        self.assertEqual(len({reply.ok for reply in replies}), 1, replies)
        if replies[0].ok:
            self.assertEqual(len({reply.words[0] for reply in replies}), 1, replies)
            self.assertLess(int(replies[0].words[0]), self.step)
            for rank, reply in enumerate(replies):
                job.check(rank, reply)
        job.close()

    def test_four_nodes_two_copies(self):
        self.matrix(4, 2)

    def test_four_nodes_three_copies(self):
        self.matrix(4, 3)

    def test_five_nodes_two_copies(self):
        self.matrix(5, 2)

    def test_five_nodes_three_copies(self):
        self.matrix(5, 3)

    def test_six_nodes_two_copies(self):
        self.matrix(6, 2)

    def test_six_nodes_three_copies(self):
        self.matrix(6, 3)
