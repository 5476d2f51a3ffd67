# SPDX-License-Identifier: Apache-2.0
"""What is wrong is refused at once, with what, where and what to do; nothing consistent is
touched."""

import os
import subprocess

from cluster import MIB
from harness import IntegrationTest
from process import program


class BadInput(IntegrationTest):
    def setUp(self):
        self.tested = self.cluster(2)
        self.good = self.job(self.tested)
        self.good.commit(5)

    def tearDown(self):
        if not self.has_failed():
            self.assertEqual(self.good.restore(), 5)
            self.good.commit(1000)

    def refused(self, reply, status, *words):
        self.assert_status(reply, status)
        self.assertLess(reply.ms, 3000)
        for word in words:
            self.assertIn(word, reply.reason)

    def open(self, run="other", attempt=1, rank=0, world=2, copies=2, agent=0):
        process = self.tested.rank()
        socket = self.tested.agents[agent].socket
        reply = process.call("open", socket, run, attempt, rank, world, copies, 2000, "rank")
        return process, reply

    def test_names_of_runs(self):
        for name in ("-", "a*b", "a" * 128, "ä", "a:b"):
            with self.subTest(name=name):
                self.refused(self.open(run=name)[1], "CKPT_ERR_NAME")

    def test_ranks_worlds_and_copies(self):
        self.refused(self.open(rank=2, world=2)[1], "CKPT_ERR_RANK", "2")
        self.refused(self.open(world=0)[1], "CKPT_ERR_INVALID")
        self.refused(self.open(copies=5)[1], "CKPT_ERR_INVALID")
        self.refused(self.open(world=65537)[1], "CKPT_ERR_INVALID")

    def test_another_world_in_one_attempt(self):
        self.refused(self.open(run="run", rank=1, world=3)[1], "CKPT_ERR_WORLD", "2", "3")
        process, reply = self.open(run="run", attempt=2, rank=0, world=3)
        self.assertTrue(reply.ok)
        process.kill()
        self.good.close()
        self.good = self.job(self.tested, attempt=3)

    def test_another_world_on_another_node(self):
        one, first = self.open(rank=0, world=1, agent=0)
        two, second = self.open(rank=1, world=2, agent=1)
        self.assertTrue(first.ok and second.ok)
        path = self.tested.file(b"data")
        replies = []
        for process in (one, two):  # the first of them founds the start
            saved = process.call("save_bytes", 1, path)
            replies.append(process.call("wait", 1, 2000) if saved.ok else saved)
        self.assertEqual([reply.status for reply in replies].count("CKPT_ERR_WORLD"), 1, replies)

    def test_two_processes_with_one_rank_on_one_node(self):
        self.refused(self.open(run="run", rank=0, world=2)[1], "CKPT_ERR_RANK", "0")

    def test_two_processes_with_one_rank_on_two_nodes(self):
        one, first = self.open(rank=0, agent=0)
        two, second = self.open(rank=0, agent=1)
        self.assertTrue(first.ok and second.ok)
        one.send("save_bytes", 1, self.tested.file(b"one"))
        two.send("save_bytes", 1, self.tested.file(b"two"))
        replies = [process.reply() for process in (one, two)]
        # Who is later by much is refused when it saves: its node may hold the other's copy already.
        for process, reply in zip((one, two), list(replies)):
            if reply.ok:
                replies.append(process.call("wait", 1, 3000))
        refused = [reply for reply in replies if reply.status in ("CKPT_ERR_RANK", "CKPT_ERR_STEP")]
        self.assertTrue(refused, replies)
        self.assertNotEqual(self.tested.state("other", 1)["state"], "consistent")

    def test_an_attempt_that_goes_back(self):
        self.assertTrue(self.open(attempt=7)[1].ok)
        self.refused(self.open(attempt=6, rank=1)[1], "CKPT_ERR_ATTEMPT", "7")

    def test_steps_that_go_back(self):
        process, path = self.good.ranks[0], self.tested.file(b"x")
        for step in (5, 4, 0, "latest"):
            with self.subTest(step=step):
                self.refused(process.call("save_bytes", step, path), "CKPT_ERR_STEP")
        self.good.close()
        self.good = self.job(self.tested, attempt=2)
        for process in self.good.ranks:  # a new attempt that has not looked where it stands
            reply = process.call("save_bytes", 3, path)
            if reply.ok:
                reply = process.call("wait", 3, 5000)
            self.refused(reply, "CKPT_ERR_STEP")

    def test_tensors(self):
        process = self.good.ranks[0]
        cases = (
            ("CKPT_ERR_NAME", "__metadata__", "F32", "2", 8),
            ("CKPT_ERR_NAME", "n" * 4096, "F32", "2", 8),
            ("CKPT_ERR_DTYPE", "weight", "F33", "2", 8),
            ("CKPT_ERR_SIZE", "weight", "F32", "2x3", 8),
            ("CKPT_ERR_SIZE", "weight", "F32", "2", 9),
            ("CKPT_ERR_TOO_LARGE", "weight", "F64", f"{2**40}x{2**40}", 8),
        )
        for status, name, dtype, shape, size in cases:
            with self.subTest(status=status, name=name[:8], shape=shape):
                reply = process.call("save_sizes", 6, name, dtype, shape, size)
                self.refused(reply, status, *(["weight"] if name == "weight" else []))
        path = self.tested.file(b"12345678")
        reply = process.call("save", 6, f"twice:F32:2:{path}", f"twice:F32:2:{path}")
        self.refused(reply, "CKPT_ERR_NAME", "twice")

    def test_a_shard_that_is_no_safetensors_file(self):
        process = self.good.ranks[0]
        for data in (
            b"x",
            b"\xff" * 64,
            (100).to_bytes(8, "little") + b"{}",
            b"\2" + b"\0" * 7 + b"[]",
        ):
            reply = process.call("save_shard", 6, self.tested.file(data))
            self.refused(reply, "CKPT_ERR_CORRUPT")

    def test_a_shard_larger_than_the_arena(self):
        reply = self.good.save_one(6, 0, size=65 * MIB)
        self.refused(reply, "CKPT_ERR_TOO_LARGE")

    def test_steps_that_are_not_there(self):
        process = self.good.ranks[0]
        self.refused(process.call("info", 77), "CKPT_ERR_NOT_FOUND")
        self.refused(process.call("wait", 77, 1000), "CKPT_ERR_NOT_FOUND")
        self.refused(process.call("fetch", 1, 77, 0, 2000), "CKPT_ERR_NOT_FOUND")
        for reply in self.good.load(step=77):
            self.refused(reply, "CKPT_ERR_NOT_FOUND", "77")

    def test_a_run_without_checkpoints(self):
        process, reply = self.open(run="fresh", world=1)
        self.assertTrue(reply.ok)
        self.refused(process.call("info", "latest"), "CKPT_ERR_NO_CHECKPOINT")
        self.refused(process.call("load", 0, "latest", 5000), "CKPT_ERR_NO_CHECKPOINT")


class Programs(IntegrationTest):
    def try_config(self, name, text):
        cluster = self.cluster(1, start=False)
        path = cluster.file(text.encode())
        result = subprocess.run(
            [program(name), f"--config={path}", "--check-config"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return path, result

    def test_a_typo_in_a_config(self):
        for name, text, line, words in (
            ("ckptd", "[agent]\nnode = a\n[arena]\nbites = 1GiB\n", 4, ("bites", "bytes")),
            ("ckptd", "[aerna]\nbytes = 1GiB\n", 2, ("aerna", "arena")),
            ("ckptd", "[arena]\nbytes = 1GX\n", 2, ("1GX",)),
            ("ckptctld", "[coordinator]\nkep = 3\n", 2, ("kep", "keep")),
            ("ckptctld", "[coordinator]\nlease = soon\n", 2, ("soon",)),
        ):
            with self.subTest(program=name, text=text):
                path, result = self.try_config(name, text)
                self.assertEqual(result.returncode, 2, result.stderr)
                for word in (f"{path}:{line}",) + words:
                    self.assertIn(word, result.stderr)

    def test_flags_that_are_wrong(self):
        for words in (
            ["ckptd", "--nodes=x"],
            ["ckptctld", "--lease=100ms"],
            ["ckptd", "--node=a b"],
        ):
            with self.subTest(words=words):
                cluster = self.cluster(1, start=False)
                state = os.path.join(cluster.directory, "s")
                extra = [f"--state-directory={state}"] if words[0] == "ckptctld" else []
                result = subprocess.run(
                    [program(words[0]), "--config=/dev/null", "--check-config"] + words[1:] + extra,
                    capture_output=True,
                    text=True,
                    timeout=20,
                    check=False,
                )
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertGreater(len(result.stderr), 20)
