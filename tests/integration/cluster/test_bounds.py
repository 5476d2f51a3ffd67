# SPDX-License-Identifier: Apache-2.0
"""Every call of libckpt ends within its bound, whatever is dead; training goes on; daemons end in
time."""

import os
import signal

from cluster import MIB
from harness import IntegrationTest, wait_until
from process import is_stopped

TIMEOUT_MS = 2000
CEILING_MS = 9000  # far above the bound, far below for ever
BUILT_WITH_SANITIZER = os.environ.get("CKPT_TIME_SCALE", "1") != "1"


class Bounds(IntegrationTest):
    def assert_bounded(self, reply, *statuses):
        self.assert_status(reply, *statuses)
        self.assertLess(reply.ms, CEILING_MS, reply)

    def test_no_agent_at_all(self):
        cluster = self.cluster(1)
        process = cluster.rank()
        socket = os.path.join(cluster.directory, "nobody.sock")
        reply = process.call("open", socket, "run", 1, 0, 1, 2, TIMEOUT_MS, "rank")
        self.assert_bounded(reply, "CKPT_ERR_NO_AGENT")
        self.assertIn("nobody.sock", reply.reason)

    def every_call(self, cluster, job, *statuses):
        process, path = job.ranks[0], cluster.file(b"x" * 1000)
        for words in (
            ("save_bytes", 100, path),
            ("wait", 1, TIMEOUT_MS),
            ("info", "latest"),
            ("load", 1, "latest", TIMEOUT_MS),
            ("fetch", 1, "latest", 0, TIMEOUT_MS),
        ):
            with self.subTest(call=words[0]):
                reply = process.call(*words)
                if words[0] == "wait" and reply.ok:
                    continue  # it had been told before
                self.assert_bounded(reply, *statuses)

    def test_a_stopped_agent(self):
        cluster = self.cluster(2)
        job = self.job(cluster, timeout_ms=TIMEOUT_MS)
        job.commit(1)
        cluster.agents[0].pause()
        self.every_call(cluster, job, "CKPT_ERR_TIMEOUT", "CKPT_ERR_NO_AGENT")
        opening = cluster.rank()
        reply = opening.call("open", *job.open_words(0)[1:])
        self.assert_bounded(reply, "CKPT_ERR_TIMEOUT", "CKPT_ERR_NO_AGENT")
        cluster.agents[0].resume()
        cluster.wait_joined()
        job.commit(101)
        job.close()  # its ranks have not asked for the same number of loads
        self.assertEqual(self.job(cluster, attempt=2).restore(), 101)

    def test_a_dead_agent(self):
        cluster = self.cluster(2)
        job = self.job(cluster, timeout_ms=TIMEOUT_MS)
        job.commit(1)
        cluster.agents[0].kill()
        self.every_call(cluster, job, "CKPT_ERR_TIMEOUT", "CKPT_ERR_NO_AGENT")
        cluster.agents[0].start()
        cluster.wait_joined()
        job.commit(2)
        job.close()
        self.assertEqual(self.job(cluster, attempt=2).restore(), 2)

    def test_an_agent_that_dies_while_a_rank_copies(self):
        cluster = self.cluster(2)
        job = self.job(cluster, timeout_ms=TIMEOUT_MS)
        job.commit(1)
        process = job.ranks[0]
        process.must("fault", "client_save_mid_copy=stop@1")
        job.send_save(2, 0)
        wait_until("it is copying", lambda: is_stopped(process.popen))
        cluster.agents[0].kill()
        process.popen.send_signal(signal.SIGCONT)
        self.assert_bounded(
            process.reply(), "CKPT_ERR_NO_AGENT", "CKPT_ERR_TIMEOUT", "CKPT_ERR_STALE"
        )
        cluster.agents[0].start()
        cluster.wait_joined()
        job.close()
        again = self.job(cluster, attempt=2)
        self.assertEqual(again.restore(), 1)
        again.commit(3)

    def test_no_coordinator(self):
        cluster = self.cluster(2)
        job = self.job(cluster, timeout_ms=TIMEOUT_MS)
        job.commit(1)
        cluster.coordinator.kill()
        for step in (2, 3):
            for rank in range(2):
                self.assert_bounded(job.save_one(step, rank), "CKPT_OK")
        process = job.ranks[0]
        self.assert_bounded(process.call("wait", 3, TIMEOUT_MS), "CKPT_ERR_NO_COORDINATOR")
        absent = ("CKPT_ERR_NO_COORDINATOR",)
        self.assert_bounded(process.call("info", "latest"), *absent)
        self.assert_bounded(process.call("load", 1, "latest", TIMEOUT_MS), *absent)
        self.assert_bounded(process.call("fetch", 1, "latest", 0, TIMEOUT_MS), *absent)
        for rank in range(2):  # and so it no longer waits for what it asked to load
            self.assert_bounded(job.save_one(4, rank), "CKPT_OK")
        cluster.coordinator.start()
        for reply in job.wait(4):
            self.assert_status(reply, "CKPT_OK")

    def test_a_rank_that_never_loads(self):
        cluster = self.cluster(2, coordinator={"restore-timeout": "1s"})
        job = self.job(cluster)
        job.commit(1)
        reply = job.ranks[0].call("load", 0, "latest", 10000)
        self.assert_bounded(reply, "CKPT_ERR_TIMEOUT")


class Daemons(IntegrationTest):
    def test_memory_beyond_the_arena(self):
        if BUILT_WITH_SANITIZER:
            self.skipTest("a sanitizer's shadow is not the agent's memory")
        cluster = self.cluster(3, agent={"arena-bytes": "128MiB"})
        job = self.job(cluster, on=cluster.agents * 4)
        for step in range(1, 13):
            job.commit(step, size=(step % 3) * MIB + 100)
        job.restore()
        for agent in cluster.agents:
            beyond = agent.memory("VmRSS") - agent.memory("RssShmem")
            print(f"     {agent.node}: {beyond / MIB:.1f} MiB beyond the arena", flush=True)
            self.assertLess(beyond, 64 * MIB)

    def test_sigterm_in_the_middle_of_traffic(self):
        cluster = self.cluster(3)
        job = self.job(cluster, timeout_ms=TIMEOUT_MS)
        job.commit(1)
        for rank in range(3):
            job.send_save(2, rank, size=8 * MIB)
        for daemon in cluster.daemons():
            daemon.signal(15)
        for daemon in cluster.daemons():
            self.assertEqual(daemon.wait_dead(3), 0, daemon.name)
        for process in job.ranks:
            self.assert_status(process.reply(), "CKPT_OK", "CKPT_ERR_NO_AGENT", "CKPT_ERR_TIMEOUT")
        job.close()
        cluster.start()
        again = self.job(cluster, attempt=2)
        self.assertIn(again.restore(), (1, 2))
