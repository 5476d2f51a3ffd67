# SPDX-License-Identifier: Apache-2.0
"""A reader asks for a part of a shard on a node that has none of it: the chunks that the part
touches are fetched from who has them, and proven; no more."""

import mmap
import os

import wire
from arena import PULLING
from cluster import MIB
from harness import IntegrationTest, wait_until
from wire import Client, body, parse

SHARD = 64 * MIB
STEP = 1
AGENT = {"arena-bytes": "256MiB", "log-level": "debug"}


class Reader:
    """A process that speaks to its agent by itself, so that what the agent says is seen."""

    def __init__(self, test, agent):
        self.test, self.agent, self.load = test, agent, 0
        self.client = Client(agent.socket)
        test.addCleanup(self.client.close)
        opened = self.client.ask(
            wire.RANK_OPEN,
            body(f1=b"run", f2=1, f3=0, f4=1, f6=1, f16=1),
            wire.RANK_OPENED,
        )
        test.assertEqual(opened.get(1, 0), 0, opened)

    def ask(self, offset, size, rank=0):
        self.load += 1
        self.client.send(
            wire.LOAD_ASK,
            body(f5=STEP, f6=rank, f8=self.load, f12=offset, f13=size),
        )

    def loaded(self, timeout=30):
        """The answer; its memory is in self.client.descriptors."""
        while True:
            kind, data = self.client.receive(timeout)
            if kind == wire.LOADED and parse(data).get(3, 0) == self.load:
                answer = parse(data)
                self.test.assertEqual(answer.get(1, 0), 0, answer)
                return answer

    def read(self, offset, size, answer):
        """What lies at that offset of the shard, in the memory that was attached."""
        base, data = answer.get(15, 0), b""
        at, end = offset - base, offset - base + size
        for descriptor in self.client.descriptors:
            length = os.fstat(descriptor).st_size
            with mmap.mmap(descriptor, length, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
                data += memory[max(0, at) : max(0, min(length, end))]
            at, end = at - length, end - length
        return data

    def release(self, answer):
        self.client.send(wire.RELEASE, body(f1=answer.get(8, 0), f2=answer[9]))
        for descriptor in self.client.descriptors:
            os.close(descriptor)
        self.client.descriptors = []


class Ranges(IntegrationTest):
    def saved(self, agents, copies):
        """Rank 0's shard is at the first agents; the last agent has nothing. And its bytes."""
        cluster = self.cluster(agents, agent=AGENT)
        job = self.job(cluster, on=cluster.agents[:1], copies=copies)
        job.commit(STEP, size=SHARD)
        cluster.wait_quiet("run", STEP)
        holders = cluster.holders("run", STEP)[0]
        others = [agent for agent in cluster.agents if agent not in holders]
        self.assertEqual(len(holders), copies)
        truth = job.ranks[0]
        path = cluster.file()
        truth.must("load", 0, "latest", 10000)
        truth.must("dump", 0, path)
        truth.must("unload", 0)
        with open(path, "rb") as file:
            data = file.read()
        os.unlink(path)
        self.assertGreater(len(data), SHARD)
        return cluster, holders, others[0], data

    def parts(self, agent):
        return [record for record in agent.arena.records() if record.state == PULLING]

    def check_free(self, agent):
        wait_until("the part is free again", lambda: not self.parts(agent))

    def test_only_the_touched_chunks_come(self):
        cluster, (owner, _), other, data = self.saved(3, 2)
        reader = Reader(self, other)
        for number, (offset, size) in enumerate(
            (
                (0, 1),
                (10 * MIB, MIB),
                (20 * MIB - 1, 2),
                (31 * MIB, 3 * MIB),
                (len(data) - 5, 5),
            ),
            1,
        ):
            with self.subTest(offset=offset, size=size):
                first, last = offset // MIB, (offset + size - 1) // MIB
                expected = min((last + 1) * MIB, len(data)) - first * MIB
                reader.ask(offset, size)
                answer = reader.loaded()
                self.assertEqual(answer.get(15, 0), first * MIB)
                self.assertEqual(answer[16], len(data))
                self.assertEqual(answer[10], expected)
                self.assertEqual(reader.read(offset, size, answer), data[offset : offset + size])
                self.assertEqual([part.bytes for part in self.parts(other)], [expected])
                fetched = other.events("range_fetched")
                self.assertEqual(len(fetched), number)
                self.assertIn(f"{expected} bytes of {len(data)} were read", fetched[-1]["text"])
                reader.release(answer)
                self.check_free(other)
        self.assertEqual(other.events("range_failed"), [])
        state = cluster.state("run", STEP)["shards"][0]
        self.assertNotIn(other.node, [copy["node"] for copy in state["copies"]])
        self.assertTrue(owner.is_alive())

    def test_a_reader_that_ends_leaves_nothing(self):
        _, _, other, _ = self.saved(2, 1)
        reader = Reader(self, other)
        reader.ask(0, MIB)
        reader.loaded()
        self.assertEqual(len(self.parts(other)), 1)
        reader.client.close()
        self.check_free(other)

    def test_a_part_is_not_adopted(self):
        cluster, _, other, data = self.saved(2, 1)
        reader = Reader(self, other)
        reader.ask(5 * MIB, MIB)
        answer = reader.loaded()
        other.kill()
        other.start()
        cluster.wait_joined()
        self.check_free(other)
        # The mapping outlives the agent, as any other does.
        self.assertEqual(reader.read(5 * MIB, MIB, answer), data[5 * MIB : 6 * MIB])
        again = Reader(self, other)
        again.ask(5 * MIB, MIB)
        self.assertEqual(again.read(5 * MIB, MIB, again.loaded()), data[5 * MIB : 6 * MIB])

    def test_the_source_dies_in_the_middle(self):
        """Whichever is asked first; the part then comes from the other, or with the whole."""
        cluster, holders, other, data = self.saved(3, 2)
        other.kill()
        other.start(fault="agent_pull_chunk=sleep:100")
        cluster.wait_joined()
        reader = Reader(self, other)
        reader.ask(2 * MIB, 24 * MIB)
        part = wait_until("the part is read", lambda: self.parts(other))[0]
        self.assertEqual(part.bytes, 24 * MIB)
        source = wait_until("one is asked", lambda: self.source(other, holders))
        source.kill()
        answer = reader.loaded()
        self.assertEqual(reader.read(2 * MIB, 24 * MIB, answer), data[2 * MIB : 26 * MIB])
        self.assertEqual(len(other.events("range_failed")), 1)
        fetched = other.events("range_fetched")
        self.assertEqual(len(fetched), 1)
        self.assertNotIn(f"from node {source.node}", fetched[0]["text"])

    def source(self, reader, holders):
        """The holder to whose control port the reader's agent has a connection."""
        folder = f"/proc/{reader.popen.pid}"
        links = [os.readlink(entry.path) for entry in os.scandir(f"{folder}/fd")]
        ports = set()
        with open(f"{folder}/net/tcp", encoding="ascii") as table:
            for line in table.readlines()[1:]:
                fields = line.split()
                if f"socket:[{fields[9]}]" in links:
                    ports.add(int(fields[2].split(":")[1], 16))
        for agent in holders:
            address = agent.events("ready")[-1]["address"]
            if int(address.rsplit(":", 1)[1]) in ports:
                return agent
        return None


__all__ = ["Ranges"]
