# SPDX-License-Identifier: Apache-2.0
"""Copies are proven under their run's key, which outlives every process that has it."""

import itertools
import os
import sqlite3
import struct

from cluster import MIB
from harness import IntegrationTest, wait_until

BLAKE3 = 0  # the id of no key
SIZE = 3 * MIB


class Keys(IntegrationTest):
    def proofs(self, cluster, step=1, run="run"):
        """{rank: (digest, kind)} as the coordinator has committed them."""
        return {
            shard["rank"]: (shard["digest"], shard["digest_kind"])
            for shard in cluster.state(run, step)["shards"]
        }

    def ids(self, cluster, step=1, run="run"):
        """Ids of the keys that the step's copies are on record under, in all arenas."""
        return {
            record.digest_key
            for agent in cluster.agents
            for record in agent.arena.records()
            if (record.run, record.step) == (run, step) and record.has_digest
        }

    def check_values(self, cluster, step=1, run="run"):
        """Beside each record of a fingerprint there are its values, of its generation and key."""
        for agent in cluster.agents:
            for record in agent.arena.records():
                if (record.run, record.step) == (run, step) and record.has_digest:
                    self.assertEqual(
                        agent.arena.values(record.slot),
                        (record.generation, record.digest_key, record.bytes),
                    )

    def test_restarts_in_every_order_keep_keys_and_verdicts(self):
        cluster = self.cluster(2)
        self.job(cluster).commit(1, size=SIZE)
        proofs, ids = self.proofs(cluster), self.ids(cluster)
        self.assertEqual({kind for _, kind in proofs.values()}, {"fingerprint"})
        self.assertEqual(len(ids), 1)
        self.assertNotIn(BLAKE3, ids)
        self.check_values(cluster)
        attempt = 1
        daemons = [cluster.coordinator, *cluster.agents]
        for order in itertools.permutations(daemons):
            for together in (False, True):
                with self.subTest(order=[d.name for d in order], together=together):
                    for daemon in order:
                        daemon.kill()
                        if not together:
                            daemon.start()
                    if together:
                        for daemon in order:
                            daemon.start(wait=False)
                        for daemon in order:
                            daemon.wait_ready()
                    cluster.wait_joined()
                    cluster.wait_whole("run", 1)
                    self.assertEqual(self.proofs(cluster), proofs)
                    wait_until("all are proven anew", lambda: self.ids(cluster) == ids)
                    attempt += 1
                    job = self.job(cluster, attempt=attempt)
                    self.assertEqual(job.restore(), 1)
                    job.close()
                    self.check_values(cluster)

    def test_a_key_is_its_runs(self):
        cluster = self.cluster(2)
        self.job(cluster, run="one").commit(1, size=SIZE)
        self.job(cluster, run="other").commit(1, size=SIZE)
        one, other = self.ids(cluster, run="one"), self.ids(cluster, run="other")
        self.assertEqual((len(one), len(other), len(one | other)), (1, 1, 2))

    def test_a_run_goes_on_with_what_it_began_with(self):
        cluster = self.cluster(2, coordinator={"digest": "blake3"})
        self.job(cluster, run="old").commit(1, size=SIZE)
        self.assertEqual(self.ids(cluster, run="old"), {BLAKE3})
        cluster.coordinator.kill()
        cluster.coordinator.options["digest"] = "fingerprint"
        cluster.coordinator.start()
        cluster.wait_joined()
        old = self.job(cluster, run="old", attempt=2)
        self.assertEqual(old.restore(), 1)
        old.commit(2, size=SIZE)
        self.job(cluster, run="new").commit(1, size=SIZE)
        self.assertEqual(self.ids(cluster, 2, "old"), {BLAKE3})
        self.assertNotIn(BLAKE3, self.ids(cluster, run="new"))
        self.assertEqual({kind for _, kind in self.proofs(cluster, 2, "old").values()}, {"blake3"})

    def test_the_key_is_nowhere_but_with_the_coordinator(self):
        """Not in an arena's files, but for its id, and not in a log."""
        cluster = self.cluster(2)
        self.job(cluster).commit(1, size=SIZE)
        for agent in cluster.agents:
            agent.terminate()
        cluster.coordinator.terminate()
        secrets = self.secrets(cluster)
        self.assertEqual(len(secrets), 1)
        for folder in [agent.arena_directory for agent in cluster.agents] + [cluster.directory]:
            for base, _, names in os.walk(folder):
                if base.startswith(cluster.coordinator.state_directory):
                    continue
                for name in names:
                    path = os.path.join(base, name)
                    if os.path.isfile(path):
                        with open(path, "rb") as file:
                            held = file.read()
                        for secret in secrets:
                            self.assertNotIn(secret, held, path)
                            self.assertNotIn(secret.hex().encode(), held, path)

    def secrets(self, cluster):
        path = os.path.join(cluster.coordinator.state_directory, "records.db")
        with sqlite3.connect(path) as records:
            rows = records.execute("select digest_key from record where length(digest_key) >= 32")
            return {row[0][-32:] for row in rows}

    def test_values_that_are_damaged_are_made_anew(self):
        cluster = self.cluster(2)
        self.job(cluster).commit(1, size=SIZE)
        agent = cluster.agents[0]
        agent.kill()
        with open(os.path.join(agent.arena_directory, "values"), "r+b") as file:
            file.write(struct.pack("<8sI", b"CKPTVALS", 99))
        agent.start()
        cluster.wait_joined()
        cluster.wait_whole("run", 1)
        wait_until("they are there again", lambda: self.has_values(cluster))

    def has_values(self, cluster):
        try:
            self.check_values(cluster)
            return True
        except AssertionError:
            return False
