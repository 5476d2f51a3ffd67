# SPDX-License-Identifier: Apache-2.0
"""The promise itself: what was saved comes back, bit for bit, from here or from elsewhere."""

import struct

from cluster import MIB, b3sum, payload, safetensors
from harness import IntegrationTest


class SaveRestore(IntegrationTest):
    def commit_and_restore(self, cluster, world, copies):
        job = self.job(
            cluster,
            on=[cluster.agents[i % len(cluster.agents)] for i in range(world)],
            copies=copies,
        )
        for step in (1, 2, 3):
            job.commit(step)
        state = cluster.state("run", 3)
        self.assertFalse(state["degraded"], state)
        for shard in state["shards"]:
            nodes = {copy["node"] for copy in shard["copies"] if copy["state"] == "verified"}
            self.assertGreaterEqual(len(nodes), copies, shard)
        self.assertEqual(job.restore(), 3)
        job.close()
        again = self.job(cluster, attempt=2, on=job.on, copies=copies)
        self.assertEqual(again.restore(), 3)

    def test_two_copies_on_the_same_nodes(self):
        self.commit_and_restore(self.cluster(3), world=3, copies=2)

    def test_three_copies(self):
        self.commit_and_restore(self.cluster(3), world=3, copies=3)

    def test_several_ranks_a_node(self):
        self.commit_and_restore(self.cluster(2), world=5, copies=2)

    def test_one_copy_needs_one_node(self):
        self.commit_and_restore(self.cluster(1), world=2, copies=1)

    def test_restore_on_other_nodes(self):
        cluster = self.cluster(4)
        job = self.job(cluster, on=cluster.agents[:2])
        job.commit(10)
        job.close()
        moved = self.job(cluster, attempt=2, on=cluster.agents[2:])
        self.assertEqual(moved.restore(), 10)
        moved.commit(11)
        self.assertEqual(moved.restore(), 11)

    def test_other_nodes_with_each_attempt(self):
        cluster = self.cluster(3)
        for attempt in range(1, 6):
            on = [cluster.agents[(attempt + i) % 3] for i in range(3)]
            job = self.job(cluster, attempt=attempt, on=on)
            if attempt > 1:
                self.assertEqual(job.restore(), attempt - 1)
            job.commit(attempt)
            job.close()

    def test_opaque_bytes_of_many_sizes(self):
        cluster = self.cluster(2)
        job = self.job(cluster)
        sizes = [
            0,
            1,
            63,
            1024,
            4095,
            4096,
            4097,
            MIB - 1,
            2 * MIB - 4096,
            2 * MIB - 4095,
            2 * MIB,
            7 * MIB + 3,
        ]
        for step, size in enumerate(sizes, 1):
            job.commit(step, size=size)
            self.assertEqual(job.restore(expect=step), step)

    def test_equal_state_has_equal_digests_in_the_memory_of_every_holder(self):
        cluster = self.cluster(3)
        job = self.job(cluster)
        for rank in range(3):
            cluster.truth[(None, "run", 1, 1, rank)] = payload("equal", size=123_457)
        job.commit(1)
        shards = cluster.state("run", 1)["shards"]
        digests = {shard["digest"] for shard in shards}
        self.assertEqual(len(digests), 1)
        is_b3sum = shards[0]["digest_kind"] == "blake3"
        holders = cluster.holders("run", 1)
        self.assertEqual(set(holders), {0, 1, 2})
        for rank, agents in holders.items():
            self.assertGreaterEqual(len(agents), 2)
            for agent in agents:
                record = agent.arena.find("run", 1, rank)
                path = cluster.file(agent.arena.shard(record))
                named = b3sum(path) if is_b3sum else None
                self.assertIn(named or record.digest, digests, "the memory of a holder")
                self.assertIn(record.digest, digests)

    def test_a_load_maps_the_agents_memory_read_only(self):
        cluster = self.cluster(2)
        job = self.job(cluster)
        job.commit(1, size=100_000)
        reply = job.load()[0]
        protection, path = job.ranks[0].must("protection", 0).words
        self.assertEqual(protection, "r--s")
        self.assertTrue(path.startswith(cluster.agents[0].arena_directory), path)
        self.assertEqual(job.ranks[0].must("poke", 0).words, ["11"], "a store must end in SIGSEGV")
        job.check(0, reply)

    def save_tensors(self, cluster, job):
        expected = {"scalar": ("F64", "-", struct.pack("<d", 2.5)), "empty": ("F32", "0x7", b"")}
        for i in range(300):
            rows = i % 9 + 1
            expected[f"layer.{i}/weight-{i}_x"] = (
                "BF16",
                f"{rows}x{i % 5 + 1}",
                payload("tensor", i, size=2 * rows * (i % 5 + 1)),
            )
        expected["big"] = ("U8", str(3 * MIB), payload("big", size=3 * MIB))
        words = [
            f"{name}:{dtype}:{shape}:{cluster.file(data)}"
            for name, (dtype, shape, data) in expected.items()
        ]
        for process in job.ranks:
            process.send("save", 1, *words)
        for process in job.ranks:
            self.assert_status(process.reply(), "CKPT_OK")
        for reply in job.wait(1):
            self.assert_status(reply, "CKPT_OK")
        return expected

    def test_many_tensors_shapes_and_ranged_reads(self):
        cluster = self.cluster(2)
        job = self.job(cluster)
        expected = self.save_tensors(cluster, job)
        job.close()
        again = self.job(cluster, attempt=2, on=cluster.agents[::-1])
        self.assert_status(again.load()[0], "CKPT_OK")
        process, path = again.ranks[0], cluster.file()
        self.assertEqual(set(process.must("list", 0).words), set(expected))
        for name, (dtype, shape, data) in list(expected.items())[::37] + [("big", expected["big"])]:
            reply = process.must("tensor", 0, name, path)
            self.assertEqual(reply.words[:2], [dtype, str(len(data))])
            self.assertEqual(reply.words[2:], [] if shape == "-" else [shape])
            self.assert_file(path, data)
        process.must("read", 0, "big", MIB - 7, MIB + 9, path)
        self.assert_file(path, expected["big"][2][MIB - 7 : 2 * MIB + 2])
        self.assertEqual(
            process.call("read", 0, "big", 3 * MIB - 4, 5, path).status, "CKPT_ERR_SIZE"
        )
        self.assertEqual(
            process.call("read", 0, "nothing", 0, 1, path).status, "CKPT_ERR_NOT_FOUND"
        )
        process.must("dump", 0, path)
        with open(path, "rb") as file:
            whole = safetensors(file.read())
        self.assertEqual(
            {name: data for name, (_, _, data) in whole.items()},
            {name: data for name, (_, _, data) in expected.items()},
        )

    def assert_file(self, path, data):
        with open(path, "rb") as file:
            self.assertEqual(file.read(), data)

    def test_a_shard_saved_as_a_file_keeps_its_digest(self):
        cluster = self.cluster(2)
        job = self.job(cluster)
        header = b'{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"__metadata__":{"k":"v"}}'
        data = len(header).to_bytes(8, "little") + header + b"hello"
        path = cluster.file(data)
        for process in job.ranks:
            process.must("save_shard", 1, path)
        for reply in job.wait(1):
            self.assert_status(reply, "CKPT_OK")
        reply = job.load()[1]
        self.assertEqual(int(reply.words[4]), len(data))
        self.assertEqual(reply.words[6], b3sum(path) or reply.words[6])
        back = cluster.file()
        job.ranks[1].must("dump", 0, back)
        self.assert_file(back, data)

    def test_readers_of_another_world_fetch_any_rank(self):
        cluster = self.cluster(4)
        job = self.job(cluster, on=cluster.agents[:3])
        job.commit(5)
        reader = cluster.rank()
        reader.must("open", cluster.agents[3].socket, "run", 1, 0, 1, 0, 5000, "reader")
        step, attempt, world, copies, size = (
            int(word) for word in reader.must("info", "latest").words
        )
        self.assertEqual((step, attempt, world, copies), (5, 1, 3, 2))
        self.assertEqual(size, sum(shard["bytes"] for shard in cluster.state("run", 5)["shards"]))
        for handle, rank in enumerate((2, 0, 1)):
            job.check(rank, reader.must("fetch", handle, "latest", rank, 10000), reader, handle)
        self.assert_status(reader.call("fetch", 3, "latest", 3, 5000), "CKPT_ERR_RANK")
        self.assert_status(reader.call("fetch", 3, 4, 0, 5000), "CKPT_ERR_NOT_FOUND")
        self.assert_status(reader.call("save_bytes", 6, cluster.file(b"x")), "CKPT_ERR_INVALID")
        for handle in range(3):
            reader.must("unload", handle)
        new_world = self.job(cluster, attempt=2, on=cluster.agents[:2])
        for reply in new_world.load():
            self.assert_status(reply, "CKPT_ERR_WORLD")

    def test_training_goes_on_while_a_restored_shard_stays_mapped(self):
        cluster = self.cluster(2)
        job = self.job(cluster)
        job.commit(1)
        replies = job.load()
        for step in range(2, 9):
            job.commit(step)
        for rank, reply in enumerate(replies):
            job.check(rank, reply)

    def test_what_a_closed_rank_sealed_becomes_consistent(self):
        cluster = self.cluster(3)
        job = self.job(cluster)
        job.save(1)
        job.close()
        cluster.wait_state("run", 1)
        self.assertEqual(self.job(cluster, attempt=2).restore(), 1)


class Transports(IntegrationTest):
    def test_shared_memory(self):
        self.move(self.cluster(3, agent={"transport": "ucx:shm", "transport-devices": None}))

    def test_whatever_ucx_finds(self):
        self.move(self.cluster(3, agent={"transport": "ucx", "transport-devices": None}))

    def move(self, cluster):
        job = self.job(cluster)
        job.commit(1, size=5 * MIB)
        job.commit(2)
        job.close()
        moved = self.job(cluster, attempt=2, on=cluster.agents[1:] + cluster.agents[:1])
        self.assertEqual(moved.restore(), 2)
