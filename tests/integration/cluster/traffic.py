# SPDX-License-Identifier: Apache-2.0
"""Traffic that passes every place of a checkpoint's life, over and over, until somebody dies of it.

A round is one attempt of a run: all ranks, a node further than in the last round, restore and then
save
two steps. What was told CONSISTENT, to a rank or by the coordinator's table, is remembered.
"""

import time

import wire
from job import Job
from process import SCALE, Failure


class Traffic:
    def __init__(self, test, cluster, victim=None, world=3, copies=2):
        self.test, self.cluster, self.victim = test, cluster, victim
        self.world, self.copies = world, copies
        self.attempt = self.step = self.told = 0

    def is_over(self):
        return self.victim is not None and not self.victim.is_alive()

    def note_told(self):
        """The coordinator's table, when there is a coordinator."""
        try:
            table = self.cluster.coordinator.ask("list", "run", timeout=2)
        except (OSError, wire.AdminError, wire.Closed):
            return
        for entry in table["checkpoints"]:
            if entry["state"] == "consistent":
                self.told = max(self.told, entry["step"])

    def all_do(self, job, *words, timeout_ms=5000):
        """Every rank does the same; their replies, None where there was none before the victim
        died."""
        for process in job.ranks:
            process.send(*words)
        return self.replies(job, timeout_ms)

    def replies(self, job, timeout_ms):
        replies = []
        deadline = time.monotonic() + (timeout_ms / 1000 + 10) * SCALE
        for process in job.ranks:
            reply = None
            while reply is None:
                try:
                    reply = process.reply(0.05)
                    break
                except Failure:
                    if self.is_over():
                        break
                    if time.monotonic() > deadline:
                        raise
            replies.append(reply)
        return replies

    def open(self):
        self.attempt += 1
        shift = self.attempt * (self.attempt + 1) // 2  # each attempt moves by another distance
        on = [
            self.cluster.agents[(shift + i) % len(self.cluster.agents)] for i in range(self.world)
        ]
        job = Job.__new__(Job)
        job.cluster, job.run, job.attempt, job.copies = (
            self.cluster,
            "run",
            self.attempt,
            self.copies,
        )
        job.on, job.timeout_ms, job.uid = on, 3000, None
        job.ranks = [self.cluster.rank() for _ in on]
        opened = []
        for rank, process in enumerate(job.ranks):
            process.name = f"attempt {self.attempt} rank {rank} on {on[rank].node}"
            process.send(*job.open_words(rank))
        opened = self.replies(job, 3000)
        return job if all(reply is not None and reply.ok for reply in opened) else self.close(job)

    @staticmethod
    def close(job):
        if job is not None:
            job.close()

    def save(self, job):
        self.step += 1
        for rank in range(self.world):
            job.send_save(self.step, rank)
        replies = self.replies(job, 4000)
        return all(reply is not None and reply.ok for reply in replies)

    def round(self):
        job = self.open()
        if job is None:
            return
        if self.told > 0:
            self.all_do(job, "load", 0, "latest", 4000)
        for _ in range(2):
            if not self.is_over() and self.save(job):
                for reply in self.all_do(job, "wait", self.step, 4000):
                    if reply is not None and reply.ok:
                        self.told = max(self.told, self.step)
                if not self.is_over():
                    self.note_told()
        self.note_told()
        self.close(job)

    def run_until_death(self, rounds=200):
        for _ in range(rounds):
            self.round()
            if self.is_over():
                self.note_told()
                return
        raise Failure(f"{self.victim.name} did not reach the point in {rounds} rounds")

    def check(self):
        """All told is restorable, bit for bit, on nodes of another order; and a new save
        commits."""
        self.attempt += 1
        agents = self.cluster.agents
        on = [agents[(self.attempt + i) % len(agents)] for i in range(self.world)]
        job = Job(self.cluster, "run", self.attempt, on, self.copies)
        if self.told > 0:
            restored = job.restore()
            if restored < self.told:
                raise Failure(f"step {self.told} was told consistent, step {restored} came back")
        self.step += 1
        job.commit(self.step)
        job.restore(expect=self.step)
        job.close()
        self.cluster.wait_whole("run", self.step)
        self.told = self.step
