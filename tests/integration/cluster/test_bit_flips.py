# SPDX-License-Identifier: Apache-2.0
"""A byte flipped in each place that holds state: detected, loud, never restored, repaired where it
can be."""

import os
import sqlite3
import time

import arena
from harness import IntegrationTest, wait_until
from cluster import MIB

LOUD = ("mismatch", "copy_bad", "digest", "corrupt")


class BitFlips(IntegrationTest):
    def loud(self, cluster, *words):
        """Lines above info in any log that have one of the words."""
        return [
            line
            for daemon in cluster.daemons()
            for line in daemon.lines()
            if ("level=warn" in line or "level=error" in line)
            and any(word in line for word in words)
        ]

    def committed(self, agents=3, size=3 * MIB):
        cluster = self.cluster(agents)
        self.first = job = self.job(cluster, on=cluster.agents[:2])
        job.commit(1, size=size)
        cluster.wait_whole("run", 1)
        return cluster, job

    def copy_of(self, cluster, rank, owner):
        for agent in cluster.agents:
            record = agent.arena.find("run", 1, rank)
            if record is not None and record.owner == owner:
                return agent, record
        self.fail(f"no copy of rank {rank} with owner={owner}")

    def assert_detected_and_repaired(self, cluster, agent, attempt=2):
        wait_until("it is loud", lambda: self.loud(cluster, "igest", "DIGEST"))
        self.first.close()
        # Every copy in every arena is right again, by the bytes themselves.
        wait_until("it is repaired", lambda: self.all_copies_are_right(cluster))
        cluster.wait_whole("run", 1)
        for attempt, on in ((attempt, [agent, agent]), (attempt + 1, cluster.agents[1:])):
            again = self.job(cluster, attempt=attempt, on=on)
            self.assertEqual(again.restore(), 1)
            again.close()

    def all_copies_are_right(self, cluster):
        count = 0
        for agent in cluster.agents:
            for record in agent.arena.records():
                if record.step == 1 and record.state in (arena.SEALED, arena.HELD):
                    if not agent.arena.shard(record).endswith(self.first.truth(1, record.rank)):
                        return False
                    count += 1
        return count >= 4

    def test_a_holders_copy_found_by_verify(self):
        cluster, job = self.committed()
        agent, record = self.copy_of(cluster, 0, owner=False)
        agent.arena.flip(record, 4096 + 2 * MIB + 77)
        cluster.coordinator.ask("verify", "run", step=1)
        self.assert_detected_and_repaired(cluster, agent)

    def test_the_owners_copy_found_by_verify(self):
        cluster, job = self.committed()
        agent, record = self.copy_of(cluster, 0, owner=True)
        agent.arena.flip(record, 4096 + 5)
        cluster.coordinator.ask("verify", "run", step=1)
        self.assert_detected_and_repaired(cluster, agent)

    def scrubbed(self, owner):
        """Nobody asks for the copy, and it is found and mended all the same."""
        cluster = self.cluster(3, agent={"scrub-period": "2s"})
        self.first = job = self.job(cluster, on=cluster.agents[:2])
        job.commit(1, size=3 * MIB)
        cluster.wait_whole("run", 1)
        agent, record = self.copy_of(cluster, 0, owner=owner)
        agent.arena.flip(record, 4096 + 2 * MIB + 3)
        self.assert_detected_and_repaired(cluster, agent)
        mismatches = [node["mismatches"] for node in cluster.coordinator.ask("nodes")["nodes"]
                      if node["node"] == agent.node]
        self.assertEqual(mismatches, [1])

    def test_a_holders_copy_found_by_a_scrub(self):
        self.scrubbed(owner=False)

    def test_the_owners_copy_found_by_a_scrub(self):
        self.scrubbed(owner=True)

    def test_a_scrub_goes_on_while_ranks_save_all_the_time(self):
        cluster = self.cluster(3, agent={"scrub-period": "2s"})
        self.first = job = self.job(cluster, on=cluster.agents[:2])
        job.commit(1, size=3 * MIB)
        cluster.wait_whole("run", 1)
        agent, record = self.copy_of(cluster, 0, owner=False)
        agent.arena.flip(record, 4096 + 2 * MIB + 3)
        other = self.job(cluster, run="other", on=cluster.agents)
        ends = time.monotonic() + 30
        step = 0
        while not self.loud(cluster, "igest", "DIGEST") and time.monotonic() < ends:
            step += 1
            other.save(step, size=MIB)
        self.assertTrue(self.loud(cluster, "igest", "DIGEST"), f"{step} saves")

    def test_a_holders_copy_found_by_restore(self):
        """The one who restores has the bad copy itself: it must fall to the good one."""
        cluster, job = self.committed()
        agent, record = self.copy_of(cluster, 0, owner=False)
        agent.arena.flip(record, 4096 + 100)
        job.close()
        again = self.job(cluster, attempt=2, on=[agent, agent])
        self.assertEqual(again.restore(), 1)
        self.assertTrue(self.loud(cluster, "igest", "DIGEST"))
        again.close()
        self.assert_detected_and_repaired(cluster, agent, attempt=3)

    def test_a_source_that_lies_in_a_restore(self):
        """The source of a restore on another node has rotted: the reader's digest differs."""
        cluster, job = self.committed(agents=3)
        job.close()
        holders = {agent.node for agent in cluster.holders("run", 1)[0]}
        free = next(agent for agent in cluster.agents if agent.node not in holders)
        agent, record = self.copy_of(cluster, 0, owner=True)
        agent.arena.flip(record, 4096 + 1)
        moved = self.job(cluster, attempt=2, on=[free, free])
        self.assertEqual(moved.restore(), 1)

    def test_all_copies_are_bad(self):
        """Refused to all ranks, never wrong bytes; the older checkpoint is given instead."""
        cluster = self.cluster(3)
        job = self.job(cluster, on=cluster.agents[:2])
        job.commit(1, size=MIB)
        job.commit(2, size=MIB)
        for agent in cluster.agents:
            record = agent.arena.find("run", 2, 1)
            if record is not None:
                agent.arena.flip(record, 4096 + 9)
        job.close()
        again = self.job(cluster, attempt=2, on=cluster.agents[1:])
        for reply in again.load(step=2):
            self.assert_status(reply, "CKPT_ERR_LOST", "CKPT_ERR_QUARANTINED")
        self.assertEqual(again.restore(), 1)
        self.assertTrue(self.loud(cluster, "igest", "DIGEST"))

    def test_the_source_after_its_digest_and_before_the_pull(self):
        """The holder has its offer and waits while the owner's memory changes: its digest
        differs."""
        cluster = self.cluster(2, start=False)
        cluster.coordinator.start()
        owner, holder = cluster.agents
        owner.start()
        holder.start(fault="agent_pull_before_read=sleep:1000@2")
        cluster.wait_joined()
        job = self.job(cluster, on=[owner])
        job.commit(1)
        job.save(2, size=5 * MIB)
        record = wait_until(
            "the owner has its digest",
            lambda: (lambda r: r if r and r.has_digest else None)(owner.arena.find("run", 2, 0)),
        )
        owner.arena.flip(record, 4096 + 3 * MIB)
        reply = job.wait(2)[0]
        self.assert_status(reply, "CKPT_ERR_ABORTED", "CKPT_ERR_DIGEST")
        self.assertTrue(self.loud(cluster, "igest", "DIGEST"))
        self.assertNotEqual(cluster.state("run", 2)["state"], "consistent")
        self.assertEqual(job.restore(), 1)
        job.commit(3)
        self.assertEqual(job.restore(), 3)

    def restart_with_damaged_record(self, both):
        cluster, job = self.committed()
        job.close()
        agent, record = self.copy_of(cluster, 0, owner=False)
        agent.kill()
        agent.arena.flip_record(record, both=both)
        agent.start()
        cluster.wait_joined()
        self.assertTrue(
            agent.events("slot_record_refused", this_life=True, slot=record.slot), agent.tail()
        )
        cluster.wait_whole("run", 1)
        again = self.job(cluster, attempt=2, on=[agent, agent])
        self.assertEqual(again.restore(), 1)
        again.commit(2)
        again.close()

    def test_the_newest_copy_of_a_slot_record(self):
        self.restart_with_damaged_record(both=False)

    def test_both_copies_of_a_slot_record(self):
        self.restart_with_damaged_record(both=True)

    def test_the_segment_of_an_agent_that_is_down(self):
        """What was adopted is digested before it counts."""
        cluster, job = self.committed()
        job.close()
        agent, record = self.copy_of(cluster, 1, owner=False)
        agent.kill()
        agent.arena.flip(record, 4096 + 2 * MIB)
        agent.start()
        cluster.wait_joined()
        wait_until("it is loud", lambda: self.loud(cluster, "igest", "DIGEST"))
        cluster.wait_whole("run", 1)
        again = self.job(cluster, attempt=2, on=[agent, agent])
        self.assertEqual(again.restore(), 1)
        again.close()

    def database(self, cluster):
        names = [
            name for name in os.listdir(cluster.coordinator.state_directory) if name.endswith(".db")
        ]
        self.assertEqual(len(names), 1, names)
        return os.path.join(cluster.coordinator.state_directory, names[0])

    def test_the_database(self):
        """A digest in the records changes: refused at start, with the file's name and what to
        do."""
        cluster, job = self.committed()
        job.close()
        digest = cluster.state("run", 1)["shards"][0]["digest"]
        self.assertEqual(cluster.coordinator.terminate(), 0)
        path = self.database(cluster)
        with sqlite3.connect(path) as connection:  # all of it into the main file
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        with open(path, "rb") as file:
            at = file.read().find(bytes.fromhex(digest))
        self.assertGreater(at, 0, "the digest is not in the file as bytes")
        arena.flip(path, at + 3)
        cluster.coordinator.start(wait=False)
        self.assertEqual(cluster.coordinator.wait_dead(), 3)
        refusals = self.loud(cluster, "store_refused", "replay_failed", "store_failed")
        self.assertTrue(any(path in line for line in refusals), cluster.coordinator.tail())
        arena.flip(path, at + 3)
        cluster.coordinator.start()
        cluster.wait_joined()
        self.assertEqual(self.job(cluster, attempt=2, on=cluster.agents[1:]).restore(), 1)

    def test_every_page_of_the_database(self):
        """Wherever it is flipped: refused at start, or what was committed is still restored
        rightly."""
        cluster, job = self.committed()
        job.close()
        cluster.coordinator.terminate()
        path = self.database(cluster)
        with open(path, "rb") as file:
            whole = file.read()
        refused = 0
        for offset in range(20, len(whole), max(1, len(whole) // 12)):
            arena.flip(path, offset)
            cluster.coordinator.start(wait=False)
            wait_until(
                "it is ready or has ended",
                lambda: not cluster.coordinator.is_alive()
                or cluster.coordinator.events("ready", this_life=True),
            )
            if cluster.coordinator.is_alive():
                cluster.coordinator.kill()
            else:
                refused += cluster.coordinator.wait_dead() != 0
            with open(path, "wb") as file:
                file.write(whole)
            for name in os.listdir(cluster.coordinator.state_directory):
                if name.endswith(("-wal", "-shm")):
                    os.unlink(os.path.join(cluster.coordinator.state_directory, name))
        self.assertGreater(refused, 0)
