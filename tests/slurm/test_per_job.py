# SPDX-License-Identifier: Apache-2.0
"""Agents that Prologs start, where there is no service."""

import os
import re
import time
import unittest

from slurm import USER, wait_until
from slurm_case import BIN, SlurmCase

HOOKS = """
mode = per-job
hook_timeout = 2s
start_timeout = 5s
linger = 1h
idle_exit = 1s
agent = {bin}/ckptd
agent_config = {{s}}/ckptd.conf
agent_user = games
agent_log = /run/ckptd.log
""".format(bin=BIN)


class PerJob(SlurmCase):
    """In the order of their names."""

    cluster = {"nodes": 4, "hooks": HOOKS, "service": False}

    def agents(self, node):
        done = self.slurm.hosts[node].run("pgrep", "-x", "ckptd")
        return [int(pid) for pid in done.stdout.split()]

    def write_hooks(self, **changed):
        text = HOOKS
        for key, value in changed.items():
            text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
            if f"\n{key} = " not in text:
                text += f"{key} = {value}\n"
        self.slurm._file("ckptctl.conf", "[slurm]" + text.replace("{{s}}", "{s}"))

    def test_a_prolog_starts_agents_that_outlive_the_job(self):
        for node in self.slurm.nodes():
            self.assertEqual(self.agents(node), [])
        job = self.train("--nodelist=n1,n2,n3", steps=20, name="first")
        self.slurm.wait_state(job, "COMPLETED", "FAILED", timeout=40)
        self.assertEqual(self.slurm.state(job), "COMPLETED", self.slurm.output(job, "first"))
        type(self).first, type(self).pids = job, {}
        for node in ("n1", "n2", "n3"):
            self.pids[node] = self.agents(node)
            self.assertEqual(len(self.pids[node]), 1, node)
            with_slurmd = self.slurm.hosts[node].must("ps", "-o", "ppid=,pid=,sid=", "-p",
                                                      str(self.pids[node][0])).split()
            owner = self.slurm.hosts[node].must("stat", "-c", "%U %a", "/run/ckptd.log",
                                                f"/proc/{self.pids[node][0]}")
            self.assertEqual(owner.split(), ["games", "640", "games", "555"])
            self.assertEqual(with_slurmd[0], "1", "the agent is somebody's child")
            self.assertNotEqual(with_slurmd[1], with_slurmd[2], "the agent can take a terminal")
        self.assertEqual(self.slurm.latest(job), 20)

    def test_b_the_next_job_finds_them(self):
        job = self.train(f"--comment=ckpt:after={self.first},linger=3", "--nodelist=n1,n2,n3",
                         steps=30)
        self.wait_done(job)
        self.assertEqual([entry[1] for entry in self.loaded(job)], [20, 20, 20])
        for node, pids in self.pids.items():
            self.assertEqual(self.agents(node), pids)

    def test_c_they_end_when_nobody_needs_them(self):
        wait_until("the agents have ended",
                   lambda: not any(self.agents(node) for node in self.slurm.nodes()), timeout=30)
        for node in ("n1", "n2", "n3"):
            log = self.slurm.hosts[node].must("cat", "/run/ckptd.log")
            self.assertIn("nothing is held and no job runs", log)

    def test_d_what_it_costs(self):
        environment = self.slurm.environment(
            SLURM_JOB_ID="900001", SLURM_JOB_UID="1", SLURM_CLUSTER_NAME="sandbox")
        prolog = self.slurm.path("hooks/prolog.d/50-ckptd")
        took = []
        for _ in range(2):
            began = time.monotonic()
            done = self.slurm.hosts["n4"].run(prolog, env=environment)
            took.append((time.monotonic() - began) * 1000)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(self.agents("n4")), 1)
        self.say(f"prolog that starts an agent {took[0]:.0f} ms, that finds one {took[1]:.0f} ms")
        self.slurm.hosts["n4"].must(self.slurm.path("hooks/epilog.d/50-ckptd"), env=environment)

    def test_e_an_agent_that_cannot_start_fails_nothing(self):
        self.write_hooks(agent_config="/nowhere/ckptd.conf")
        try:
            for node in self.slurm.nodes():
                wait_until("no agent", lambda n=node: not self.agents(n))
            job = self.slurm.submit("srun echo ran\n", "--nodelist=n2", nodes=1)
            self.wait_done(job)
            self.assertIn("ran", self.slurm.output(job))
            self.write_hooks(agent_config="/nowhere/ckptd.conf", on_failure="fail")
            job = self.slurm.submit("srun echo ran\n", "--nodelist=n2", nodes=1)
            wait_until("n2 is drained", lambda: "drain" in self.slurm.node_states()["n2"])
            log = self.slurm.log_of("slurmd-n2")
            self.assertRegex(log, r"ckptd: prolog: job sandbox/\d+: ckptd did not start")
        finally:
            self.write_hooks()
        self.slurm.must("scancel", str(job), user=USER)
        self.slurm.must("scontrol", "update", "NodeName=n2", "State=RESUME")

    def test_e_a_full_disk_fails_nothing(self):
        self.write_hooks(agent_log="/dev/full")
        try:
            job = self.train("--nodelist=n1,n2,n3", "--comment=ckpt:linger=2", steps=10)
            self.wait_done(job)
            self.assertEqual(len(re.findall(" consistent after_ms", self.slurm.output(job))), 3)
        finally:
            self.write_hooks()
        wait_until("the agents have ended",
                   lambda: not any(self.agents(node) for node in self.slurm.nodes()), timeout=30)

    def test_f_not_inside_the_job(self):
        """PrologFlags=RunInJob puts a Prolog into the job's cgroup, where nothing outlives it."""
        group = f"/sys/fs/cgroup/freezer/ckptd-test-{os.getpid()}"
        inner = group + "/job_1"
        try:
            os.makedirs(inner)
        except OSError as error:
            self.skipTest(f"no cgroup to be had: {error}")
        try:
            environment = self.slurm.environment(
                SLURM_JOB_ID="900002", SLURM_JOB_UID="1", SLURM_CLUSTER_NAME="sandbox")
            done = self.slurm.hosts["n3"].run(
                "sh", "-c", f"mount -t cgroup -o freezer freezer /mnt && "
                f"echo $$ >/mnt/{os.path.basename(group)}/job_1/tasks && "
                f"{self.slurm.path('hooks/prolog.d/50-ckptd')}", env=environment)
            self.assertEqual(done.returncode, 0)
            self.assertIn("RunInJob", done.stderr)
            self.assertEqual(self.agents("n3"), [])
        finally:
            os.rmdir(inner)
            os.rmdir(group)


if __name__ == "__main__":
    unittest.main()
