# SPDX-License-Identifier: Apache-2.0
"""Jobs that come back: by scontrol requeue, by preemption, after the loss of a node, as a task of
an array, as a heterogeneous job. Their second start takes longer before it trains than a run
lingers, so that an Epilog that is taken for the end of the wrong start costs the checkpoint."""

import re
import signal
import time
import unittest

from slurm import USER, wait_until
from slurm_case import SlurmCase

LINGER_S = 20
STEP = 20


def pause(seconds):
    """The beginning of a batch script whose second start takes its time."""
    return f'[ "${{SLURM_RESTART_COUNT:-0}}" -gt 0 ] && sleep {seconds}\n'


class Requeue(SlurmCase):
    """All jobs run beside each other in prepare(); the tests look at what was seen of each."""

    cluster = {"nodes": 6, "hooks": f"linger = {LINGER_S}s"}

    @classmethod
    def prepare(cls):
        case = cls("test_requeue")
        cls.jobs, cls.ranks, cls.kept, cls.wrong = {}, {}, {}, {}

        def start(name, ranks, *options, nodes=1):
            cls.jobs[name] = case.train("--requeue", *options, nodes=nodes, name=name,
                                        steps=100000, body=pause(LINGER_S + 4))
            cls.ranks[name] = ranks

        start("requeued", 2, "--nodelist=n1,n2", nodes=2)
        start("preempted", 1, "--nodelist=n3")
        start("array", 1, "--nodelist=n4", "--array=0-1")
        start("lost", 2, "--exclude=n1,n2,n3", nodes=2)
        # srun labels each component's tasks from 0 on. SIGTERM goes to all of a step: sed would die
        # of it, and what the trainer says of its last save would be lost.
        task = f"trap \"\" TERM; {case.trainer(100000)} | sed -u \"s/^/$SLURM_PROCID: /\""
        cls.jobs["het"] = cls.slurm.submit(
            f"{pause(LINGER_S + 4)}srun --het-group=0,1 --kill-on-bad-exit=1 sh -c '{task}'\n",
            "--requeue", "--nodelist=n1", ":", "--nodes=2", "--ntasks=2", "--nodelist=n2,n4",
            nodes=1, name="het")
        cls.ranks["het"] = 3
        cls.array = cls.jobs["array"]
        cls.jobs["array"] = cls.number(f"{cls.array}_0")
        for job in cls.jobs.values():
            case.wait_saved(job, STEP, timeout=60)
        cls.kept = {name: cls.slurm.latest(job) for name, job in cls.jobs.items()}
        cls.end_first_starts()
        wait_until("all jobs have come back and loaded", cls.look, timeout=150, every=0.3)

    @classmethod
    def number(cls, name):
        """The job number of a task of an array: Slurm makes it when the task starts."""
        def find():
            lines = cls.slurm.must("squeue", "-h", "-r", "-o", "%i %A").splitlines()
            return dict(line.split() for line in lines).get(name)
        cls.slurm.wait_state(cls.array, "RUNNING")
        return int(wait_until(f"{name} has a number", find))

    @classmethod
    def end_first_starts(cls):
        for name in ("requeued", "het"):
            cls.slurm.must("scontrol", "requeue", str(cls.jobs[name]))
        cls.slurm.must("scontrol", "requeue", f"{cls.array}_0")
        cls.urgent = cls.slurm.submit("sleep 1\n", "--partition=urgent", "--exclusive",
                                      "--nodelist=n3", nodes=1, name="urgent")
        cls.lost_node = cls.slurm.job_nodes(cls.jobs["lost"])[-1]  # never n4: others are there
        cls.slurm.hosts[cls.lost_node].lose()

    @classmethod
    def look(cls):
        """Whether all second starts have loaded. Until then no run of them may linger."""
        done = True
        for name, job in cls.jobs.items():
            shown = cls.slurm.job(job)
            if cls.came_back(name):
                continue
            done = False
            if shown["JobState"] != "RUNNING" or shown["Restarts"] != "1":
                continue
            run = cls.slurm.run_of(job)
            left = run["linger_left_ms"]
            since = cls.running_since.setdefault(name, time.monotonic())
            # slurmctld says RUNNING before the Prolog has run.
            if run["latest"] is None or (left is not None and time.monotonic() - since > 3):
                cls.wrong[name] = f"latest {run['latest']}, {left} ms of its linger left"
        return done

    running_since = {}

    @classmethod
    def came_back(cls, name):
        text = cls.slurm.output(cls.jobs[name], name)
        return len(re.findall(r"(?m)^\d+: loaded step=", text)) >= cls.ranks[name]

    def check(self, name, called=None):
        """It went on from what it had, did not linger while it ran, and does when it has ended."""
        job = self.jobs[name]
        self.assertIsNone(self.wrong.get(name))
        step, _ = self.check_restored(job, self.ranks[name], name=name)
        self.assertGreaterEqual(step, self.kept[name])
        self.assertEqual(self.slurm.run_of(job)["attempt"], 2)
        self.slurm.must("scancel", called or str(job), user=USER)
        wait_until("the run lingers", lambda: self.slurm.run_of(job)["linger_left_ms"] is not None)
        self.say(f"{name}: went on from step {step}")

    def test_requeue(self):
        self.check("requeued")

    def test_preemption(self):
        self.assertEqual(self.slurm.state(self.urgent), "COMPLETED")
        self.check("preempted")

    def test_node_loss(self):
        self.assertNotIn(self.lost_node, self.slurm.job_nodes(self.jobs["lost"]))
        self.check("lost")

    def test_array_tasks_keep_their_numbers(self):
        other = self.number(f"{self.array}_1")
        self.assertNotEqual(other, self.jobs["array"])
        self.assertEqual(self.slurm.job(f"{self.array}_1")["Restarts"], "0")
        self.assertGreaterEqual(self.slurm.latest(other), STEP)
        # By its number alone scancel of 22.05 does nothing to a task that was requeued.
        self.check("array", f"{self.array}_0")
        self.assertIsNone(self.slurm.run_of(other)["linger_left_ms"], "its neighbour's end was its")
        self.slurm.must("scancel", f"{self.array}_1", user=USER)

    def test_a_heterogeneous_job_is_one_run(self):
        job = self.jobs["het"]
        self.assertIsNone(self.slurm.run_of(job + 1))
        for node in ("n1", "n2", "n4"):
            told = self.slurm.ckptctl("job", "show", f"sandbox/{job}", host=node)
            self.assertIn("state=running", told.stdout, told.stderr)
            self.assertIn(f"run=slurm/sandbox/{job} ", told.stdout)
        output = self.slurm.output(job, "het")
        self.assertNotIn("without checkpoints", output)
        self.assertEqual(len(re.findall(r"(?m)^\d+: asked to end at step=", output)), 3, output)
        self.check("het")

    def test_z_hooks_that_an_agent_finds_late(self):
        """Epilog and Prolog have both given up when the agent that hung reads what they said."""
        job = self.train("--requeue", "--nodelist=n1", nodes=1, steps=100000, name="late",
                         body=pause(8))
        self.jobs["late"], self.ranks["late"] = job, 1
        self.wait_saved(job, STEP)
        kept = self.slurm.latest(job)
        self.slurm.signal_agent("n1", signal.SIGSTOP)
        try:
            self.slurm.must("scontrol", "requeue", str(job))
            wait_until("it runs again", lambda: (
                shown := self.slurm.job(job))["Restarts"] == "1" and
                shown["JobState"] == "RUNNING", timeout=60)
            time.sleep(4)  # and its Prolog has given up
        finally:
            self.slurm.signal_agent("n1", signal.SIGCONT)
        wait_until("the agent is back", lambda: self.slurm.joined("n1"))
        told = self.slurm.ckptctl("job", "show", f"sandbox/{job}", host="n1")
        self.assertIn("state=running", told.stdout, told.stderr)
        wait_until("it has loaded", lambda: self.came_back("late"), timeout=40)
        step, _ = self.check_restored(job, 1, name="late")
        self.assertGreaterEqual(step, kept)
        self.slurm.must("scancel", str(job), user=USER)


if __name__ == "__main__":
    unittest.main()
