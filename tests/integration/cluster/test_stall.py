# SPDX-License-Identifier: Apache-2.0
"""A coordinator that stands still, or whose records do, with the times that ship: it costs time
and nothing else."""

import os
import resource
import socket
import sqlite3
import time

from harness import SOAK, IntegrationTest, wait_until

SHIPPED = {
    "heartbeat": "500ms",
    "lease": "3s",
    "disconnect-grace": "1s",
    "resend": "500ms",
    "restore-settle": "10s",
    "save-timeout": "120s",
}


LONG_S = 30 if SOAK else 7  # more than two leases


class Stall(IntegrationTest):
    def stalled(self, **options):
        """Three agents with a job of two ranks that has saved step 1."""
        cluster = self.cluster(3, coordinator={**SHIPPED, **options})
        job = self.job(cluster, on=cluster.agents[:2])
        job.commit(1)
        return cluster, job

    def expect_all_well(self, cluster, job, step):
        """The next save becomes consistent; nobody was lost, and no copy made anew."""
        job.commit(step)
        self.assertEqual(cluster.coordinator.events("agent_lost"), [])
        self.assertEqual(cluster.joined(), {"n0", "n1", "n2"})
        cluster.wait_whole("run", step)
        for shard in cluster.state("run", step)["shards"]:
            copies = [c for c in shard["copies"] if c["state"] == "verified"]
            self.assertEqual(len(copies), 2, shard)
        job.close()
        again = self.job(cluster, attempt=2, on=cluster.agents[1:])
        self.assertEqual(again.restore(), step)


class StalledCoordinator(Stall):
    def test_four_seconds(self):
        cluster, job = self.stalled()
        cluster.coordinator.pause()
        job.save(2)
        time.sleep(4)
        cluster.coordinator.resume()
        for reply in job.wait(2, timeout_ms=20000):
            self.assert_status(reply, "CKPT_OK")
        self.expect_all_well(cluster, job, 3)

    def test_more_than_two_leases(self):
        """Thirty seconds in a long run."""
        cluster, job = self.stalled()
        cluster.coordinator.pause()
        job.save(2)
        time.sleep(LONG_S)
        cluster.coordinator.resume()
        for reply in job.wait(2, timeout_ms=20000):
            self.assert_status(reply, "CKPT_OK")
        self.assertGreater(len(cluster.coordinator.events("stalled", source="machine")), 0)
        self.expect_all_well(cluster, job, 3)


class StalledRecords(Stall):
    def database(self, cluster):
        return os.path.join(cluster.coordinator.state_directory, "records.db")

    def test_a_disk_that_takes_longer_than_a_lease(self):
        """Each transaction of a save and of a restore."""
        cluster = self.cluster(3, start=False, coordinator=SHIPPED)
        cluster.coordinator.start(fault="coordinator_in_transaction=sleep:3500")
        for agent in cluster.agents:
            agent.start()
        cluster.wait_joined()
        job = self.job(cluster, on=cluster.agents[:2])
        job.save(1)
        for reply in job.wait(1, timeout_ms=60000):
            self.assert_status(reply, "CKPT_OK")
        job.close()
        again = self.job(cluster, attempt=2, on=cluster.agents[1:])
        self.assertEqual(again.restore(timeout_ms=60000), 1)
        again.close()
        self.assertEqual(cluster.coordinator.events("agent_lost"), [])
        self.assertGreater(len(cluster.coordinator.events("store_goes_on")), 0)
        for agent in cluster.agents:
            self.assertEqual(agent.events("coordinator_silent"), [], "it was told that it waits")

    def test_a_disk_that_stalls_once(self):
        """In the middle of a job's saves; for thirty seconds in a long run."""
        cluster = self.cluster(3, start=False, coordinator=SHIPPED)
        cluster.coordinator.start(fault=f"coordinator_in_transaction=sleep:{LONG_S * 1000}@3")
        for agent in cluster.agents:
            agent.start()
        cluster.wait_joined()
        job = self.job(cluster, on=cluster.agents[:2])
        for step in (1, 2, 3):
            job.save(step)
            for reply in job.wait(step, timeout_ms=60000):
                self.assert_status(reply, "CKPT_OK")
        waits = [int(e["waited_ms"]) for e in cluster.coordinator.events("store_goes_on")]
        self.assertGreater(max(waits), LONG_S * 1000 - 1000)
        for agent in cluster.agents:
            self.assertEqual(agent.events("coordinator_silent"), [], "it was told that it waits")
        self.expect_all_well(cluster, job, 4)

    def test_a_transaction_that_somebody_has_open(self):
        """A person with sqlite3: saves wait, ckptctl says why, and nothing ends."""
        cluster, job = self.stalled()
        person = sqlite3.connect(self.database(cluster), isolation_level=None)
        person.execute("BEGIN IMMEDIATE")
        job.save(2)
        wait_until(
            "it complains", lambda: cluster.coordinator.events("store_waits", this_life=True)
        )
        line = cluster.coordinator.events("store_waits")[0]["text"]
        self.assertIn("another program holds a lock", line)
        with self.assertRaisesRegex(Exception, "end its transaction"):
            cluster.coordinator.ask("status")
        time.sleep(10 if SOAK else 4)
        self.assertTrue(cluster.coordinator.is_alive())
        for reply in job.wait(2, timeout_ms=100):
            self.assert_status(reply, "CKPT_ERR_TIMEOUT")
        person.execute("ROLLBACK")
        person.close()
        for reply in job.wait(2, timeout_ms=20000):
            self.assert_status(reply, "CKPT_OK")
        wait_until("it says so", lambda: cluster.coordinator.events("store_goes_on"))
        self.expect_all_well(cluster, job, 3)

    def test_a_start_while_somebody_has_a_transaction_open(self):
        cluster, job = self.stalled()
        cluster.coordinator.terminate()
        person = sqlite3.connect(self.database(cluster), isolation_level=None)
        person.execute("BEGIN IMMEDIATE")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(os.path.join(cluster.directory, "notify"))
            manager.settimeout(30)
            os.environ["NOTIFY_SOCKET"] = manager.getsockname()
            self.addCleanup(os.environ.pop, "NOTIFY_SOCKET", None)
            cluster.coordinator.start(wait=False)
            self.assertIn(b"EXTEND_TIMEOUT_USEC=30000000", manager.recv(4096))
            wait_until(
                "it complains",
                lambda: cluster.coordinator.events("store_waits", this_life=True),
            )
            self.assertTrue(cluster.coordinator.is_alive())
            self.assertEqual(cluster.coordinator.events("ready", this_life=True), [])
            person.execute("ROLLBACK")
            person.close()
            while b"READY=1" not in manager.recv(4096):
                pass
        cluster.coordinator.wait_ready()
        cluster.wait_joined()
        self.expect_all_well(cluster, job, 2)

    def test_a_full_disk(self):
        """No room for records, and then there is some again."""
        cluster, job = self.stalled()
        pid = cluster.coordinator.popen.pid
        log = self.database(cluster) + "-wal"
        soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        self.assertGreater(os.path.getsize(log), os.path.getsize(cluster.coordinator.log) + 4096)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (os.path.getsize(log), hard))
        job.save(2)
        wait_until("it complains", lambda: cluster.coordinator.events("store_waits"))
        self.assertIn("no room", cluster.coordinator.events("store_waits")[0]["text"])
        time.sleep(4)
        self.assertTrue(cluster.coordinator.is_alive())
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
        for reply in job.wait(2, timeout_ms=20000):
            self.assert_status(reply, "CKPT_OK")
        self.expect_all_well(cluster, job, 3)
