# SPDX-License-Identifier: Apache-2.0
"""Agents as services: jobs that save, end, are killed, lose nodes and come back."""

import re
import signal
import statistics
import time
import unittest

from slurm import BIN, OTHER, USER, wait_until
from slurm_case import STEPS, TRAINER, SlurmCase

HOOK_RUNS = 100


class Service(SlurmCase):
    """In the order of their names: what kills nodes comes last."""

    cluster = {"nodes": 5, "hooks": "hook_timeout = 2s"}

    @classmethod
    def prepare(cls):
        # A time limit has whole minutes: this job runs beside the others until the last test.
        case = cls("test_a_saves_and_lingers")
        cls.limited = case.train("--time=1", "--nodelist=n3,n4,n5", steps=100000, name="limited")
        cls.reference = case.train("--nodelist=n1,n2,n5")
        # Slurm looks every half minute whom it has to signal.
        cls.signalled = case.train("--time=1", "--signal=TERM@55", "--nodelist=n1,n2,n5",
                                   steps=100000, name="signalled")

    def name_of(self, job):
        return f"slurm/sandbox/{job}"

    def test_a_saves_and_lingers(self):
        job = self.reference
        self.wait_done(job)
        run = wait_until("the run lingers", lambda: (
            r := self.slurm.run_of(job)) and r["linger_left_ms"] is not None and r)
        self.assertEqual((run["attempt"], run["latest"]), (1, STEPS))
        self.assertTrue(run["requeueable"])
        self.assertGreater(run["linger_left_ms"], 1700000)
        self.assertEqual(self.slurm.domains(), {"n1": "rack1", "n2": "rack1", "n3": "rack2",
                                                "n4": "rack2", "n5": "rack3"})
        shown = self.slurm.ask(f"--user={USER}", "show", run["run"])
        for shard in shown["shards"]:
            racks = {copy["domain"] for copy in shard["copies"]}
            self.assertGreaterEqual(len(racks), 2, shard)
        for node in ("n1", "n2", "n5"):
            told = self.slurm.ckptctl("job", "show", f"sandbox/{job}", host=node)
            self.assertIn("state=ended", told.stdout, told.stderr)

    def test_b_tasks_know_their_run(self):
        job = self.slurm.submit("srun env | grep ^CKPT_ | sort -u\n", "--nodelist=n3", nodes=1)
        self.wait_done(job)
        for line in ("CKPT_SOCKET=/run/ckptd/ckptd.sock", f"CKPT_RUN={self.name_of(job)}",
                     "CKPT_NODE=n3", "CKPT_DOMAIN=rack2"):
            self.assertIn(line, self.slurm.output(job))

    def test_c_two_users_see_nothing_of_each_other(self):
        mark = "--comment=ckpt:run=shared"
        jobs = {user: self.train(mark, "--nodelist=n1,n2,n5", user=user, steps=20)
                for user in (USER, OTHER)}
        for job in jobs.values():
            self.wait_done(job)
        for user, other in ((USER, OTHER), (OTHER, USER)):
            seen = self.slurm.ask("runs", user=user)["runs"]
            self.assertEqual({run["uid"] for run in seen}, {user})
            self.assertIn("shared", [run["run"] for run in seen])
            mine = self.slurm.ckptctl("job", "show", f"sandbox/{jobs[user]}", user=user, host="n1")
            self.assertIn("run=shared", mine.stdout, mine.stderr)
            theirs = self.slurm.ckptctl("job", "show", f"sandbox/{jobs[other]}", user=user,
                                        host="n1")
            self.assertEqual((theirs.returncode, theirs.stdout), (1, ""))
            ends = self.slurm.ckptctl("job", "end", f"sandbox/{jobs[other]}", "--final", user=user,
                                      host="n1")
            self.assertEqual(ends.returncode, 1)
            self.assertIn("another user's", ends.stderr)
        for user in (USER, OTHER):
            self.assertEqual([run["latest"] for run in self.slurm.ask("runs", user=user)["runs"]
                              if run["run"] == "shared"], [20])

    def test_d_a_later_job_names_its_predecessor(self):
        job = self.train(f"--comment=site ckpt:after={self.reference}", "--nodelist=n3,n4,n5",
                         steps=STEPS + 20)
        self.wait_done(job)
        step, _ = self.check_restored(job, 3, from_job=self.reference)
        self.assertEqual(step, STEPS)
        run = self.slurm.run_of(self.reference)
        self.assertEqual((run["latest"], run["attempt"]), (STEPS + 20, 2))

    def test_dd_two_steps_of_one_job_are_two_starts(self):
        line = (f"srun --label {TRAINER} --steps %d --save-every 10 --wait-ms 5000 "
                f"{self.slurm.s}/text\n")
        job = self.slurm.submit(line % 20 + line % 40, "--nodelist=n1,n2,n5")
        self.wait_done(job)
        loaded = self.loaded(job)
        self.assertEqual({(step, attempt) for _, step, attempt, _, _ in loaded}, {(20, 1)}, loaded)
        self.assertEqual(len(loaded), 3)
        run = self.slurm.run_of(job)
        self.assertEqual((run["latest"], run["attempt"]), (40, 2))

    def test_e_final_releases(self):
        job = self.train("--nodelist=n1,n2,n5", steps=20,
                         body="trap '%s job end --final' EXIT\n" % f"{BIN}/ckptctl")
        self.wait_done(job)
        wait_until("nothing of the run is kept", lambda: self.slurm.checkpoints(
            self.name_of(job)) == [], timeout=10)

    def test_e_the_linger_outlives_the_coordinator(self):
        before = self.slurm.run_of(self.reference)
        self.assertIsNotNone(before["linger_left_ms"])
        pid = self.slurm.ctl.must("pgrep", "-x", "ckptctld").split()[0]
        self.slurm.ctl.must("kill", "-KILL", pid)
        self.slurm.coordinator.wait()
        self.slurm.start_coordinator()
        after = wait_until("agents have told it again", lambda: (
            r := self.slurm.run_of(self.reference)) and r["linger_left_ms"] is not None and r)
        self.assertLessEqual(after["linger_left_ms"], before["linger_left_ms"])
        self.assertEqual(after["latest"], before["latest"])
        wait_until("all agents are back",
                   lambda: all(self.slurm.joined(node) for node in self.slurm.nodes()))

    def test_f_scancel(self):
        job = self.train("--nodelist=n1,n2,n5", steps=100000)
        self.wait_saved(job, 10)
        began = time.monotonic()
        self.slurm.must("scancel", str(job), user=USER)
        self.slurm.wait_state(job, "CANCELLED")
        self.check_settled(self.name_of(job))
        last = [int(step) for step in
                re.findall(r"asked to end at step=(\d+)", self.slurm.output(job))]
        self.assertGreater(len(last), 0, self.slurm.output(job))
        self.say(f"scancel: settled after {time.monotonic() - began:.1f} s, newest step "
                 f"{self.slurm.latest(job)}, ranks ended at {sorted(last)}")

    def test_g_hooks_are_fast(self):
        took = {"prolog.d/50-ckptd": [], "epilog.d/50-ckptd": []}
        for i in range(HOOK_RUNS):
            for hook, times in took.items():
                environment = self.slurm.environment(
                    SLURM_JOB_ID=str(900000 + i), SLURM_JOB_UID="1",
                    SLURM_CLUSTER_NAME="sandbox", SLURM_JOB_RESTART_COUNT="0")
                began = time.monotonic()
                done = self.slurm.hosts["n5"].run(self.slurm.path("hooks", hook), env=environment)
                times.append((time.monotonic() - began) * 1000)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
        for hook, times in took.items():
            times.sort()
            self.say(f"{hook}: median {statistics.median(times):.1f} ms, 99th "
                     f"{times[int(len(times) * 0.99)]:.1f} ms of {len(times)}, nsenter included")

    def short_job(self, node):
        job = self.slurm.submit("srun echo ran\n", f"--nodelist={node}", nodes=1)
        began = time.monotonic()
        self.wait_done(job)
        self.assertIn("ran", self.slurm.output(job))
        return job, time.monotonic() - began

    def test_h_a_dead_or_hung_agent_fails_no_job(self):
        _, well = self.short_job("n4")
        self.slurm.signal_agent("n4", signal.SIGSTOP)
        job, hung = self.short_job("n4")
        self.assertIn("without checkpoints", self.slurm.output(job))
        self.slurm.signal_agent("n4", signal.SIGCONT)
        self.slurm.signal_agent("n4", signal.SIGKILL)
        self.slurm.agents["n4"].wait()
        job, dead = self.short_job("n4")
        self.assertIn("no agent answers", self.slurm.output(job))
        self.slurm.start_agent("n4")
        wait_until("the agent is back", lambda: self.slurm.joined("n4"))
        adopted = re.findall(r"event=adopted slots=(\d+)", self.slurm.log_of("ckptd-n4"))
        self.assertEqual(len(adopted), 2)
        self.assertGreater(int(adopted[1]), 0, "what it held was not there any more")
        self.assertNotIn("drain", self.slurm.node_states()["n4"])
        # Prolog, task_prolog and Epilog: three times hook_timeout, and what Slurm itself takes.
        self.assertLess(hung, well + 3 * 2 + 5)
        self.say(f"a job's whole life: agent well {well:.1f} s, hung {hung:.1f} s, "
                 f"dead {dead:.1f} s")

    def test_i_a_hung_coordinator_delays_no_job(self):
        pid = self.slurm.ctl.must("pgrep", "-x", "ckptctld").split()[0]
        self.slurm.ctl.must("kill", "-STOP", pid)
        try:
            job, took = self.short_job("n3")
        finally:
            self.slurm.ctl.must("kill", "-CONT", pid)
        self.assertIn("n3", self.slurm.job(job)["NodeList"])
        self.say(f"a job's whole life with the coordinator hung: {took:.1f} s")
        wait_until("all agents are back",
                   lambda: all(self.slurm.joined(node) for node in self.slurm.nodes()))

    def test_j_slow_prolog(self):
        self.slurm.control("slow-n5", "3")
        job = self.train("--nodelist=n1,n2,n5", steps=10)
        self.wait_done(job)
        self.slurm.control("slow-n5", None)
        self.assertEqual(self.slurm.latest(job), 10)

    def test_jj_signal_before_the_limit(self):
        """sbatch --signal: the trainer is asked to end long before the limit would end it."""
        job = self.signalled
        self.slurm.wait_state(job, "COMPLETED", "FAILED", "TIMEOUT", timeout=100)
        output = self.slurm.output(job, "signalled")
        self.assertEqual(self.slurm.state(job), "COMPLETED", output[-2000:])
        self.check_settled(self.name_of(job))
        self.assertEqual(len(re.findall(r"asked to end at step=(\d+)", output)), 3, output[-2000:])

    def test_k_failing_prolog(self):
        self.slurm.control("fail-n2")
        job = self.train("--requeue", "--nodelist=n1,n2,n5", steps=20)
        wait_until("n2 is drained", lambda: "drain" in self.slurm.node_states()["n2"])
        self.slurm.control("fail-n2", None)
        wait_until("the job waits", lambda: self.slurm.state(job) == "PENDING")
        self.slurm.must("scontrol", "update", "NodeName=n2", "State=RESUME")
        self.slurm.must("scontrol", "release", str(job))
        self.wait_done(job)
        run = self.slurm.run_of(job)
        self.assertEqual((run["latest"], run["attempt"]), (20, 1))

    def test_l_spank(self):
        if not self.slurm.has_spank:
            self.skipTest("the SPANK plugin was not built: libslurm-dev is missing")
        self.assertIn("--ckpt", self.slurm.must("srun", "--help"))
        job = self.slurm.submit("srun env | grep ^CKPT_ | sort -u\n", "--nodelist=n3", "--ckpt=3",
                                "--ckpt-run=team/llama", nodes=1)
        self.wait_done(job)
        for line in ("CKPT_COPIES=3", "CKPT_RUN=team/llama"):
            self.assertIn(line, self.slurm.output(job))
        refused = self.slurm.slurm("srun", "--ckpt=9", "true", user=USER)
        self.assertNotEqual(refused.returncode, 0)

    def test_m_preemption(self):
        job = self.train("--requeue", "--nodelist=n1,n2", nodes=2)
        self.assertIsNotNone(job)
        self.wait_saved(job, 10)
        urgent = self.slurm.submit("sleep 1\n", "--partition=urgent", "--exclusive",
                                   "--nodelist=n1,n2", nodes=2, name="urgent")
        self.slurm.wait_state(urgent, "COMPLETED")
        self.check_settled(self.name_of(job))
        self.wait_done(job, timeout=90)
        step, ms = self.check_restored(job, 2)
        self.assertEqual(self.slurm.run_of(job)["attempt"], 2)
        self.say(f"preempted: went on from step {step}, restored in {ms:.0f} ms")

    def test_n_link_down(self):
        job = self.train("--no-kill", "--nodelist=n1,n2,n5", steps=100000)
        self.wait_saved(job, 10)
        began = time.monotonic()
        self.slurm.net.cut(self.slurm.hosts["n2"])
        wait_until("n2 is lost", lambda: not self.slurm.joined("n2"))
        lost = time.monotonic() - began
        self.assertNotIn("down", self.slurm.node_states()["n2"])
        run = self.name_of(job)
        wait_until("the newest checkpoint has all its copies again", lambda: (
            c := [c for c in self.slurm.checkpoints(run) if c["state"].lower() == "consistent"])
            and not c[0]["degraded"])
        repaired = time.monotonic() - began
        self.slurm.net.cut(self.slurm.hosts["n2"], up=True)
        wait_until("n2 is back", lambda: self.slurm.joined("n2"))
        self.slurm.must("scancel", str(job))
        self.slurm.wait_state(job, "CANCELLED", "COMPLETED", "FAILED", "NODE_FAIL")
        self.slurm.wait_idle(["n1", "n2"], timeout=40)
        self.say(f"link down: noticed after {lost:.1f} s, copied anew after {repaired:.1f} s, "
                 "before Slurm noticed")

    def test_o_node_loss(self):
        job = self.train("--requeue", "--nodelist=n1,n2,n5", "--exclude=n3", steps=100000)
        self.slurm.must("scontrol", "update", f"JobId={job}", "ReqNodeList=")
        self.wait_saved(job, 20)
        step = self.slurm.latest(job)
        before = len(self.slurm.hooks_log())
        began = time.monotonic()
        self.slurm.hosts["n2"].lose()
        wait_until("the coordinator has noticed", lambda: not self.slurm.joined("n2"))
        ours = time.monotonic() - began
        wait_until("Slurm has noticed",
                   lambda: "down" in self.slurm.node_states()["n2"], timeout=60)
        theirs = time.monotonic() - began
        self.assertLess(ours, theirs)
        wait_until("epilogs on the survivors", lambda: [
            line for line in self.slurm.hooks_log()[before:] if f"epilog {job} n1" in line])
        self.assertGreaterEqual(self.slurm.latest(job), step, "the epilog took it away")
        self.check_settled(self.name_of(job))
        self.slurm.wait_state(job, "RUNNING", timeout=60)
        again = time.monotonic() - began
        self.assertNotIn("n2", self.slurm.job_nodes(job))
        wait_until("all ranks have loaded", lambda: len(self.loaded(job)) >= 3)
        step, ms = self.check_restored(job, 3)
        run = self.slurm.run_of(job)
        self.assertEqual(run["attempt"], 2)
        self.wait_saved(job, step + 10)
        self.slurm.must("scancel", str(job))
        self.slurm.wait_state(job, "CANCELLED")
        # The same bytes as a run that nothing happened to, as far as both go.
        reference, sums = self.saved(self.reference), self.saved(job)
        both = set(reference) & set(sums)
        self.assertGreater(len(both), 3)
        for key in both:
            self.assertEqual(sums[key], reference[key], key)
        self.say(f"node loss: noticed by ckptctld after {ours:.1f} s, by Slurm after {theirs:.1f} "
                 f"s; job started again after {again:.1f} s on {self.slurm.job(job)['NodeList']}; "
                 f"restored step {step} in {ms:.0f} ms")

    def test_p_a_lost_node_comes_back_empty(self):
        self.slurm.bring_back("n2")
        self.slurm.wait_idle(["n2"])
        job = self.train("--nodelist=n1,n2,n5", steps=20)
        self.wait_done(job)
        self.assertEqual(self.slurm.latest(job), 20)

    def test_q_time_limit(self):
        job = self.limited
        self.slurm.wait_state(job, "TIMEOUT", timeout=150)
        self.check_settled(self.name_of(job))
        output = self.slurm.output(job, "limited")
        # Ranks that do not wait for each other may end at different steps; then the last save of
        # each comes to nothing, and what was consistent before is kept.
        ended = re.findall(r"asked to end at step=(\d+)", output)
        self.assertGreater(len(ended), 0, output[-2000:])
        agreed = re.findall(r"saved step=(\d+) stall_ms=\S+ consistent after_ms=", output)
        self.assertGreaterEqual(self.slurm.latest(job), max(int(step) for step in agreed))
        self.say(f"time limit: ranks ended at {sorted(ended)}, newest consistent step "
                 f"{self.slurm.latest(job)}")


if __name__ == "__main__":
    unittest.main()
