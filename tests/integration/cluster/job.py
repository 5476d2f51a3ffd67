# SPDX-License-Identifier: Apache-2.0
"""One attempt of a run: a rank process for each rank, somewhere in the cluster."""

import os

from cluster import b3sum, payload, safetensors
from process import Failure

SIZES = (70_000, 0, 2 * 1024 * 1024 + 5, 1, 4096, 300_001)


def size_of(step, rank):
    return SIZES[(step * 7 + rank) % len(SIZES)]


class Job:
    def __init__(self, cluster, run="run", attempt=1, on=None, copies=2, timeout_ms=5000, uid=None):
        """on: the agent of each rank; its length is the world."""
        self.cluster, self.run, self.attempt, self.copies = cluster, run, attempt, copies
        self.on = list(cluster.agents if on is None else on)
        self.timeout_ms, self.uid = timeout_ms, uid
        self.ranks = [cluster.rank() for _ in self.on]
        for rank, process in enumerate(self.ranks):
            process.name = f"{run}.{attempt} rank {rank} on {self.on[rank].node}"
            if uid is not None:
                process.must("become", uid)
        for rank in range(len(self.on)):
            self.open(rank)

    @property
    def world(self):
        return len(self.on)

    def open_words(self, rank):
        return (
            "open",
            self.on[rank].socket,
            self.run,
            self.attempt,
            rank,
            self.world,
            self.copies,
            self.timeout_ms,
            "rank",
        )

    def open(self, rank):
        self.ranks[rank].must(*self.open_words(rank))

    def restart(self, rank):
        """The process of one rank is gone; a new one takes its place in the same attempt."""
        self.ranks[rank].kill()
        self.ranks[rank] = self.cluster.rank()
        self.ranks[rank].name = f"{self.run}.{self.attempt} rank {rank} again"
        self.open(rank)

    def truth(self, step, rank, size=None):
        key = (self.uid, self.run, self.attempt, step, rank)
        if key not in self.cluster.truth:
            self.cluster.truth[key] = payload(
                *key, size=size_of(step, rank) if size is None else size
            )
        return self.cluster.truth[key]

    def send_save(self, step, rank, size=None):
        path = self.cluster.file(self.truth(step, rank, size))
        self.ranks[rank].send("save_bytes", step, path)
        return path

    def save_one(self, step, rank, size=None):
        path = self.send_save(step, rank, size)
        reply = self.ranks[rank].reply()
        os.unlink(path)
        return reply

    def save(self, step, size=None):
        """All ranks save; every one must succeed."""
        paths = [self.send_save(step, rank, size) for rank in range(self.world)]
        for rank, process in enumerate(self.ranks):
            reply = process.reply()
            if reply is None or not reply.ok:
                raise Failure(f"{process.name}: save of step {step}: {reply}")
        for path in paths:
            os.unlink(path)

    def wait(self, step, timeout_ms=20000):
        """All ranks' replies to a wait for CONSISTENT."""
        for process in self.ranks:
            process.send("wait", step, timeout_ms)
        return [process.reply(timeout_ms / 1000 + 10) for process in self.ranks]

    def commit(self, step, size=None, timeout_ms=20000):
        """Saves, and it must become consistent, as every rank is told."""
        self.save(step, size)
        for process, reply in zip(self.ranks, self.wait(step, timeout_ms)):
            if reply is None or not reply.ok:
                raise Failure(f"{process.name}: step {step} is not consistent: {reply}")

    def load(self, step="latest", timeout_ms=20000):
        """All ranks' replies, side by side."""
        for process in self.ranks:
            process.send("load", 0, step, timeout_ms)
        return [process.reply(timeout_ms / 1000 + 10) for process in self.ranks]

    def restore(self, step="latest", timeout_ms=20000, expect=None):
        """All ranks load; all must get the same step, bit for bit as it was saved. Returns the
        step."""
        replies = self.load(step, timeout_ms)
        for process, reply in zip(self.ranks, replies):
            if reply is None or not reply.ok:
                raise Failure(f"{process.name}: load of {step}: {reply}")
        steps = {int(reply.words[0]) for reply in replies}
        if len(steps) != 1 or (expect is not None and steps != {expect}):
            raise Failure(
                f"ranks restored steps {sorted(steps)}, not {expect if expect else 'one'}"
            )
        for rank, reply in enumerate(replies):
            self.check(rank, reply)
        for process in self.ranks:
            process.must("unload", 0)
        return steps.pop()

    def check(self, rank, reply, process=None, handle=0):
        """The shard behind the handle is what was saved, and its digest is its BLAKE3."""
        process = process or self.ranks[rank]
        step, attempt, shard_rank = (int(word) for word in reply.words[:3])
        path = self.cluster.file()
        process.must("dump", handle, path)
        with open(path, "rb") as file:
            data = file.read()
        digest = b3sum(path)
        os.unlink(path)
        expected = self.cluster.truth[(self.uid, self.run, attempt, step, shard_rank)]
        if shard_rank != rank or safetensors(data)["bytes"][2] != expected:
            raise Failure(
                f"WRONG BYTES: {process.name}: step {step} of attempt {attempt}, rank {shard_rank}"
            )
        if digest is not None and digest != reply.words[6]:
            raise Failure(f"{process.name}: digest {reply.words[6]}, but b3sum says {digest}")

    def close(self):
        for process in self.ranks:
            process.kill()
