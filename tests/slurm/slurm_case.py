# SPDX-License-Identifier: Apache-2.0
"""What the tests on a real Slurm share: one cluster a class, its logs when a test fails, and what
the trainers of a job print."""

import re
import sys
import unittest

from slurm import BIN, Slurm, missing, wait_until

TRAINER = f"{BIN}/ckpt-example-trainer"
STEPS = 60


class SlurmCase(unittest.TestCase):
    cluster = {}
    slurm = None

    @classmethod
    def setUpClass(cls):
        why = missing()
        if why:
            raise unittest.SkipTest(why)
        cls.slurm = Slurm(**cls.cluster)
        cls.addClassCleanup(cls.slurm.end)
        try:
            cls.prepare()
        except BaseException:
            print(cls.slurm.tails(40), file=sys.stderr, flush=True)
            raise

    @classmethod
    def prepare(cls):
        pass

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before and self.slurm is not None:
            print(self.slurm.tails(40), file=sys.stderr, flush=True)

    def say(self, text):
        print(f"     {text}", flush=True)

    def trainer(self, steps=STEPS, every=10, pause=50, wait=5000):
        return (f"{TRAINER} --steps {steps} --save-every {every} --wait-ms {wait} "
                f"--pause-ms {pause} --load-ms 30000 {self.slurm.s}/text")

    def train(self, *options, body="", steps=STEPS, every=10, pause=50, wait=5000, **more):
        """A job whose ranks train; each line of its output begins with the rank."""
        line = self.trainer(steps, every, pause, wait)
        return self.slurm.submit(f"{body}srun --label --no-kill --kill-on-bad-exit=1 {line}\n",
                                 *options, **more)

    def wait_saved(self, job, step, timeout=30, **more):
        wait_until(f"step {step} of job {job} is consistent",
                   lambda: self.slurm.latest(job, **more) >= step, timeout)

    def wait_done(self, job, timeout=60):
        done = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")
        self.slurm.wait_state(job, *done, timeout=timeout)
        self.assertEqual(self.slurm.state(job), "COMPLETED", self.slurm.output(job))

    def saved(self, job, name="job"):
        """(rank, step) -> the set of sums that were saved as that, or were about to be."""
        sums = {}
        pattern = r"(?m)^(\d+): (?:last )?step=(\d+)(?: loss=\S+)? sum=([0-9a-f]+)"
        for rank, step, value in re.findall(pattern, self.slurm.output(job, name)):
            sums.setdefault((int(rank), int(step)), set()).add(value)
        return sums

    def loaded(self, job, name="job"):
        """[(rank, step, attempt, sum, milliseconds)] in the order of the output."""
        pattern = r"(?m)^(\d+): loaded step=(\d+) of attempt=(\d+) sum=([0-9a-f]+) load_ms=([\d.]+)"
        return [(int(rank), int(step), int(attempt), value, float(ms)) for
                rank, step, attempt, value, ms in re.findall(pattern, self.slurm.output(job, name))]

    def check_restored(self, job, ranks, from_job=None, name="job"):
        """All ranks went on from one step, with just the bytes that were saved as it."""
        saved = self.saved(from_job or job, name)
        loaded = self.loaded(job, name)[-ranks:]
        self.assertEqual(sorted(entry[0] for entry in loaded), list(range(ranks)),
                         self.slurm.output(job, name))
        self.assertEqual(len({(step, attempt) for _, step, attempt, _, _ in loaded}), 1, loaded)
        for rank, step, _, value, _ in loaded:
            self.assertEqual(saved.get((rank, step)), {value}, f"rank {rank} step {step}")
        return loaded[0][1], max(entry[4] for entry in loaded)

    def check_settled(self, run, timeout=20, **more):
        """Nothing staged is left undecided."""
        def settled():
            states = {c["state"].lower() for c in self.slurm.checkpoints(run, **more)}
            return not states & {"open", "verifying"}
        wait_until(f"all of {run} is consistent or aborted", settled, timeout)
