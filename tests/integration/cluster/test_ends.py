# SPDX-License-Identifier: Apache-2.0
"""What ends, with the timings that ship: an agent says goodbye, a node is drained and taken away
while its ranks save, a node that is gone is forgotten, and so is a run."""

import json
import os
import subprocess
import threading

from cluster import MIB, Cluster
from harness import IntegrationTest, Job, wait_until
from process import Failure, program

SHIPPED = {
    "heartbeat": None,
    "lease": None,
    "disconnect-grace": None,
    "resend": None,
    "restore-settle": None,
    "restore-timeout": None,
    "save-timeout": None,
    "keep": None,
}
AGENT = {"agent-resend": None, "agent-pull-timeout": None, "arena-bytes": "96MiB"}


class Savers:
    """Every rank saves, and waits until it is consistent, again and again."""

    def __init__(self, job):
        self.job, self.step, self.failed = job, 0, None
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.loop)
        self.thread.start()

    def loop(self):
        try:
            while not self.ends.is_set():
                self.job.commit(self.step + 1)
                self.step += 1
        except Failure as failure:
            self.failed = failure

    def end(self):
        self.ends.set()
        self.thread.join()
        if self.failed is not None:
            raise self.failed


class Ends(IntegrationTest):
    def shipped(self, agents):
        cluster = Cluster(self, agents, coordinator=SHIPPED, agent=AGENT)
        self.addCleanup(lambda: None if self._failed else cluster.check_no_sanitizer_report())
        return cluster.start()

    def ctl(self, cluster, *words, code=0, timeout=120):
        done = subprocess.run(
            [program("ckptctl"), f"--coordinator={cluster.coordinator.socket}", *words],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False,
        )
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def node(self, cluster, name):
        nodes = json.loads(self.ctl(cluster, "nodes", "--json"))["nodes"]
        return next((node for node in nodes if node["node"] == name), None)

    def test_an_agent_that_ends_in_order_is_stopped_and_not_lost(self):
        cluster = self.shipped(3)
        job = self.job(cluster)
        job.commit(1)
        n1 = cluster.agents[1]
        n1.terminate()
        wait_until("n1 has stopped", lambda: self.node(cluster, "n1")["state"] == "stopped", 1.5)
        self.assertIn("stopped", self.ctl(cluster, "nodes"))
        event = cluster.coordinator.events("agent_stopped", node="n1")
        self.assertEqual([line["level"] for line in event], ["info"])
        self.assertEqual(cluster.coordinator.events("agent_lost"), [])
        self.assertEqual(cluster.coordinator.ask("status")["nodes"]["stopped"], 1)
        n1.start()
        cluster.wait_joined()
        self.assertEqual(self.node(cluster, "n1")["state"], "joined")
        cluster.wait_quiet("run", 1)
        self.assertTrue(job.ranks[0].call("info", 1) is not None)

    def test_a_node_is_drained_while_ranks_save_and_taken_away(self):
        cluster = self.shipped(4)
        job = self.job(cluster)
        savers = Savers(job)
        n2 = cluster.agents[2]
        try:
            wait_until("some saves", lambda: savers.step >= 3)
            shown = json.loads(self.ctl(cluster, "node", "drain", "n2", "--json"))
            self.assertTrue(shown["safe"] and shown["draining"], shown)
            self.assertIn("may go: nothing is kept there alone",
                          self.ctl(cluster, "node", "drain", "n2"))
            at = savers.step
            wait_until("saves go on", lambda: savers.step >= at + 3 or savers.failed)
        finally:
            savers.end()
        wait_until("n2 is drained", lambda: self.node(cluster, "n2")["drained"])
        self.assertIn("drained", self.ctl(cluster, "nodes"))
        self.ctl(cluster, "node", "drain", "n2")
        n2.kill()
        n2.wipe()
        job.close()
        others = [cluster.agents[i] for i in (0, 1, 3, 0)]
        again = Job(cluster, attempt=2, on=others)
        again.restore(expect=savers.step)
        again.commit(savers.step + 1)
        for agents in cluster.holders("run", savers.step).values():
            self.assertNotIn(n2, agents)

    def test_a_drain_outlives_coordinator_and_node_and_ends_by_undrain(self):
        cluster = self.shipped(3)
        job = self.job(cluster, on=cluster.agents[:2])
        job.commit(1)
        self.ctl(cluster, "node", "drain", "n2")
        cluster.coordinator.kill()
        cluster.coordinator.start()
        self.assertTrue(self.node(cluster, "n2")["draining"], "known before it has joined again")
        cluster.wait_joined()
        n2 = cluster.agents[2]
        n2.terminate()
        wait_until("n2 has stopped", lambda: self.node(cluster, "n2")["state"] == "stopped")
        n2.start()
        cluster.wait_joined()
        self.assertTrue(self.node(cluster, "n2")["draining"])
        job.commit(2)
        self.assertNotIn(n2, sum(cluster.holders("run", 2).values(), []))
        self.assertIn("takes copies again", self.ctl(cluster, "node", "undrain", "n2"))
        self.assertIn("is not to be drained", self.ctl(cluster, "node", "drain", "n2", "--cancel"))
        self.assertFalse(self.node(cluster, "n2")["draining"])
        self.ctl(cluster, "node", "drain", "n1")
        job.commit(3)
        self.assertIn(n2, sum(cluster.holders("run", 3).values(), []))

    def test_where_too_few_nodes_are_left_a_drain_says_so_and_saves_go_on(self):
        cluster = self.shipped(2)
        job = self.job(cluster)
        job.commit(1)
        said = self.ctl(cluster, "node", "drain", "n1", code=1)
        self.assertIn("n1 cannot go", said)
        self.assertIn("run run step 1 rank 0 wants copies in more failure domains", said)
        job.commit(2)
        said = self.ctl(cluster, "node", "drain", "n1", "--no-wait", code=1)
        self.assertIn("step 2", said)
        self.assertIn("draining", self.ctl(cluster, "nodes"))

    def test_a_lost_node_is_forgotten_unless_it_is_the_last_that_has_something(self):
        cluster = self.shipped(3)
        job = self.job(cluster, on=[cluster.agents[0]], copies=1)
        job.commit(1)
        self.assertIn("is joined", self.ctl(cluster, "node", "forget", "n0", code=1))
        self.assertIn("no node n9", self.ctl(cluster, "node", "forget", "n9", code=1))
        job.close()
        for number in (0, 2):
            cluster.agents[number].kill()
        wait_until("both are lost", lambda: cluster.joined() == {"n1"})
        self.assertIn("n2 is forgotten", self.ctl(cluster, "node", "forget", "n2"))
        self.assertIsNone(self.node(cluster, "n2"))
        said = self.ctl(cluster, "node", "forget", "n0", code=1)
        self.assertIn("n0 is the last that is known to hold run run step 1 rank 0", said)
        said = self.ctl(cluster, "node", "forget", "n0", "--force")
        self.assertIn("belong there alone", said)
        self.assertIsNone(self.node(cluster, "n0"))
        rank = cluster.rank()
        rank.must("open", cluster.agents[1].socket, "run", 2, 0, 1, 1, 5000, "rank")
        reply = rank.call("load", 0, "latest", 2000)
        self.assert_status(reply, "CKPT_ERR_LOST")
        self.assertIn("n0", reply.reason)
        cluster.agents[0].start()
        cluster.wait_joined([cluster.agents[0]])
        self.assertTrue(rank.must("load", 0, "latest", 20000))

    def test_a_run_is_forgotten_on_all_nodes_when_its_ranks_have_gone(self):
        cluster = self.shipped(3)
        job = self.job(cluster)
        for step in (1, 2):
            job.commit(step, size=MIB)
        said = self.ctl(cluster, "forget", "run", "--yes", code=1)
        self.assertIn("3 ranks of it are connected", said)
        job.close()

        def forgotten():
            done = subprocess.run(
                [program("ckptctl"), f"--coordinator={cluster.coordinator.socket}", "--json",
                 "forget", "run", "--yes"], capture_output=True, text=True, check=False)
            return json.loads(done.stdout) if done.returncode == 0 else None

        self.assertIn("give --yes", self.ctl(cluster, "forget", "run", code=2))
        answer = wait_until("its ranks are gone", forgotten)
        self.assertEqual([(e["step"], e["attempt"]) for e in answer["retired"]], [(2, 1), (1, 1)])
        self.assertTrue(all(entry["bytes"] >= 3 * MIB for entry in answer["retired"]))
        wait_until("its memory is free", lambda: all(
            node["segments_free"] == node["segments"]
            for node in cluster.coordinator.ask("nodes")["nodes"]))
        self.assertEqual(cluster.coordinator.ask("list", "run")["checkpoints"], [])
        cluster.coordinator.kill()
        cluster.coordinator.start()
        cluster.wait_joined()
        self.assertEqual(cluster.coordinator.ask("list", "run")["checkpoints"], [])
        again = Job(cluster, attempt=2)
        again.commit(3)
        again.restore(expect=3)

    def test_retire_says_what_it_retired(self):
        cluster = self.cluster(3)
        job = self.job(cluster)
        for step in (1, 2):
            job.commit(step)
        answer = json.loads(self.ctl(cluster, "retire", "run", "1", "--newer", "--json"))
        self.assertEqual([(e["step"], e["attempt"]) for e in answer["retired"]], [(2, 1)])
        self.assertGreater(answer["retired"][0]["bytes"], 0)
        job.commit(4)
        said = self.ctl(cluster, "retire", "run", "1")
        self.assertIn("step 1 is retired: step 1 (attempt 1", said)

    def test_nodes_are_for_those_who_run_the_cluster(self):
        self.need_root()
        cluster = self.cluster(2)
        os.chmod(cluster.directory, 0o755)
        done = subprocess.run(
            [program("ckptctl"), f"--coordinator={cluster.coordinator.socket}", "node", "drain",
             "n1"], capture_output=True, text=True, user=12345, check=False)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("nodes are for root", done.stderr)
        said = self.ctl(cluster, f"--coordinator={cluster.coordinator.address}", "node", "forget",
                        "n1", code=1)
        self.assertIn("not over TCP", said)
