# SPDX-License-Identifier: Apache-2.0
"""Whatever keeps a save from becoming consistent is seen: in `ckptctl status` within seconds, and
once in the log at both ends. docs/operating.md lists the reasons; each of its rows is made here."""

import json
import socket
import subprocess
import time

from cluster import MIB, Agent
from harness import IntegrationTest, wait_until
from process import SCALE, program


class Silence(IntegrationTest):
    def ckptctl(self, cluster, *words, user=None):
        done = subprocess.run(
            [
                program("ckptctl"),
                f"--coordinator={cluster.coordinator.socket}",
                "--config=/dev/null",
                *words,
            ],
            capture_output=True,
            text=True,
            timeout=20 * SCALE,
            check=False,
            user=user,
        )
        self.assertEqual(done.stderr, "")
        return done.stdout

    def status_line(self, cluster, *words, within=4):
        """The line of `ckptctl status` that has all the words."""

        def line():
            lines = self.ckptctl(cluster, "status").splitlines()
            return [text for text in lines if all(word in text for word in words)]

        found = wait_until(f"status says {words}", line, within)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def once(self, daemon, event, *words, level="warn"):
        """The event's only line, which has all the words."""
        found = wait_until(f"{daemon.name} logs {event}", lambda: daemon.events(event), 5)
        self.assertEqual(len(found), 1, found)
        self.assertEqual(found[0]["level"], level)
        text = found[0].get("text", "") + found[0].get("reason", "")
        for word in words:
            self.assertIn(word, text)
        return found[0]

    # ---- no coordinator ----

    def test_no_coordinator(self):
        """It was never there: said at once, with where it was looked for; and once."""
        cluster = self.cluster(1, start=False)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            cluster.coordinator.address = "127.0.0.1:%d" % free.getsockname()[1]
        agent = cluster.agents[0].start()
        wait_until("it says so", lambda: agent.events("coordinator_not_connected"), 2)
        time.sleep(3 * SCALE)
        line = self.once(agent, "coordinator_not_connected", "Connection refused")
        self.assertEqual(line["address"], cluster.coordinator.address)
        self.assertEqual(line["tries"], "1")
        self.assertLessEqual(int(line["for_s"]), 1)

    def test_something_else_listens(self):
        """It takes every connection and closes it: few tries, and one line."""
        cluster = self.cluster(1, start=False)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            other.settimeout(0.1)
            cluster.coordinator.address = "127.0.0.1:%d" % other.getsockname()[1]
            agent = cluster.agents[0].start()
            taken = 0
            ends = time.monotonic() + 8
            while time.monotonic() < ends:
                try:
                    other.accept()[0].close()
                    taken += 1
                except socket.timeout:
                    pass
        self.assertLess(taken, 12)
        lines = agent.events("coordinator_not_connected")
        self.assertLessEqual(len(lines), 2, lines)  # closed, and perhaps reset
        self.assertIn("took the connection", lines[0]["reason"])
        self.assertLessEqual(len(agent.events("coordinator_connected")), 1)
        self.assertEqual(agent.events("coordinator_disconnected"), [])

    # ---- a coordinator that refuses ----

    def accepted(self, cluster):
        return cluster.coordinator.ask("status")["sessions"]["accepted"]

    def refused(self, cluster, agent, event, level, word):
        agent.start(wait=False)
        line = self.status_line(cluster, agent.node, "may not join", word)
        before = self.accepted(cluster)
        time.sleep(5)
        self.assertLess(self.accepted(cluster) - before, 8)
        self.assertIn("times in", self.status_line(cluster, agent.node, "may not join"))
        self.once(agent, event, word, level=level)
        self.once(cluster.coordinator, "join_denied", word)
        self.assertEqual(agent.events("coordinator_disconnected"), [])
        return line

    def test_two_agents_of_one_name(self):
        cluster = self.cluster(1)
        twin = Agent(cluster, "twin", {})
        twin.node = "n0"
        cluster.agents.append(twin)
        self.refused(cluster, twin, "join_waits", "warn", "already joined by another agent")
        cluster.agents[0].kill()
        wait_until("it joins then", lambda: twin.events("joined"), 10)
        wait_until("and all is well", lambda: "may not join" not in
                   self.ckptctl(cluster, "status"), 5)

    def test_a_full_table_of_agents(self):
        cluster = self.cluster(1, coordinator={"agents-max": "1"})
        cluster.agents.append(Agent(cluster, "n1", {}))
        self.refused(cluster, cluster.agents[1], "join_refused", "error", "agents_max")

    # ---- an agent that refuses ----

    def test_a_full_node(self):
        cluster = self.cluster(2, agent={"arena-bytes": "6MiB"}, coordinator={"keep": "3"})
        job = self.job(cluster, on=[cluster.agents[0]])
        job.commit(1, size=3 * MIB)
        for _ in range(3):
            self.assert_status(job.save_one(2, 0, size=3 * MIB), "CKPT_ERR_FULL")
        self.status_line(cluster, "node n0 refuses: CKPT_ERR_FULL", "segments free")
        wait_until("all are counted", lambda: self.node(cluster, "n0")["refusals"] == 3, 3)
        self.assertEqual(self.node(cluster, "n0")["refused"], "CKPT_ERR_FULL")
        self.assertEqual(self.node(cluster, "n1")["refusals"], 0)
        self.assertIsNone(self.node(cluster, "n1")["refused"])
        row = self.ckptctl(cluster, "nodes").splitlines()
        self.assertTrue(row[0].rstrip().endswith("REFUSALS"), row[0])
        self.once(cluster.agents[0], "save_refused", "segments free")
        self.once(cluster.coordinator, "agent_refuses", "segments free")
        # The next coordinator hears of it too, and does not cry again.
        cluster.coordinator.kill()
        cluster.coordinator.start()
        wait_until("it is told", lambda: self.told(cluster, "n0") == 3, 10)

    def told(self, cluster, node):
        found = [n for n in cluster.coordinator.ask("nodes")["nodes"] if n["node"] == node]
        return found[0]["refusals"] if found else None

    def node(self, cluster, name):
        nodes = json.loads(self.ckptctl(cluster, "nodes", "--json"))["nodes"]
        return next(node for node in nodes if node["node"] == name)

    def test_a_process_that_says_another_world(self):
        cluster = self.cluster(1)
        self.job(cluster, on=cluster.agents * 2)
        other = cluster.rank()
        words = ("open", cluster.agents[0].socket, "run", 1, 1, 3, 2, 5000, "rank")
        self.assert_status(other.call(*words), "CKPT_ERR_WORLD")
        self.status_line(cluster, "node n0 refuses: CKPT_ERR_WORLD")
        self.once(cluster.agents[0], "open_refused", "all ranks must say the same")
        self.once(cluster.coordinator, "agent_refuses", "all ranks must say the same")

    def test_what_others_runs_are_is_not_told(self):
        """That a node refuses is for all to see; whose run, and in which words, is not."""
        self.need_root()
        cluster = self.cluster(1, agent={"arena-bytes": "2MiB"})
        job = self.job(cluster, "secret", on=cluster.agents, copies=1, uid=12345)
        self.assert_status(job.save_one(1, 0, size=3 * MIB), "CKPT_ERR_TOO_LARGE")
        self.assertIn("give its ckptd more", self.status_line(cluster, "node n0 refuses"))
        self.assertIn("give its ckptd more", self.ckptctl(cluster, "status", user=12345))
        strange = self.ckptctl(cluster, "status", user=54321)
        self.assertIn("node n0 refuses", strange)
        self.assertNotIn("give its ckptd more", strange)
        self.assertNotIn("secret", self.ckptctl(cluster, "status", "--json", user=54321))

    # ---- a coordinator that does not take a save ----

    def test_full_tables(self):
        cluster = self.cluster(2, coordinator={"checkpoints-max": "4", "keep": "1"})
        jobs = [self.job(cluster, f"run{i}", on=[cluster.agents[0]]) for i in range(5)]
        for job in jobs[:4]:
            job.commit(1)
        jobs[4].save(1)
        self.status_line(cluster, "run run4 is not taken at node n0", "checkpoints_max")
        self.once(cluster.coordinator, "report_refused", "checkpoints_max")
        self.once(cluster.agents[0], "copy_refused", "checkpoints_max", level="info")

    def test_not_all_ranks_are_there(self):
        cluster = self.cluster(1)
        first = self.job(cluster, attempt=0, on=cluster.agents)
        first.close()
        lone = cluster.rank()
        lone.must("open", cluster.agents[0].socket, "run", 0, 0, 2, 1, 5000, "rank")
        self.status_line(cluster, "run run waits for its ranks", "1 of 2 ranks", within=20)
        self.once(cluster.coordinator, "start_waits", "1 of 2 ranks")

    # ---- copies that are not made ----

    def waits(self, cluster, job, word, step=1, within=6):
        job.save(step)
        self.status_line(
            cluster, f"run {job.run} step {step} is not consistent yet", word, within=within
        )
        self.once(cluster.coordinator, "save_waits", word)
        self.once(job.on[0], "save_waits", word)

    def test_too_few_domains(self):
        cluster = self.cluster(2, agent={"domain": "rack"})
        self.waits(cluster, self.job(cluster, on=[cluster.agents[0]]), "failure domains")

    def test_no_room_for_copies(self):
        cluster = self.cluster(2, per_agent={1: {"arena-bytes": "2MiB"}})
        job = self.job(cluster, on=[cluster.agents[0]])
        job.save(1, size=5 * MIB)
        self.status_line(cluster, "run run step 1 is not consistent yet", "has room", within=6)
        self.once(cluster.coordinator, "save_waits", "has room")
        self.once(cluster.agents[0], "save_waits", "has room")

    def test_a_peer_that_is_not_reached(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            nowhere = "127.0.0.1:%d" % free.getsockname()[1]
        cluster = self.cluster(2, per_agent={0: {"advertise": nowhere}})
        job = self.job(cluster, on=[cluster.agents[0]])
        job.save(1)
        self.status_line(cluster, "node n1 cannot copy", "n0", within=8)
        wait_until("n1 says so", lambda: cluster.agents[1].events("pull_failed"), 5)
        self.once(cluster.coordinator, "pull_failed", "n0")

    def test_another_transport(self):
        cluster = self.cluster(2, per_agent={1: {"transport": "loop", "transport-devices": None}})
        job = self.job(cluster, on=[cluster.agents[0]])
        job.save(1)
        self.status_line(cluster, "node n1 cannot copy", within=8)
        self.assertTrue(cluster.agents[1].events("peer_transport_refused"))
        self.once(cluster.coordinator, "pull_failed")

    def test_a_rank_that_does_not_save(self):
        """Nothing is wrong that the cluster could know: said after half a minute."""
        cluster = self.cluster(2, coordinator={"save-timeout": "60s"})
        job = self.job(cluster)
        job.save_one(1, 0)
        self.status_line(cluster, "run run step 1", "1 of 2 ranks sealed", within=40)
        self.once(cluster.coordinator, "save_waits", "1 of 2 ranks sealed")
        self.once(cluster.agents[0], "save_waits", "1 of 2 ranks sealed")

    # ---- levels ----

    def loud(self, cluster):
        return [
            line
            for daemon in cluster.daemons()
            for line in daemon.lines()
            if "level=error" in line or "level=warn" in line
        ]

    def test_a_first_start_a_resize_and_a_restart_are_no_news(self):
        cluster = self.cluster(3)
        job = self.job(cluster, attempt=0, on=cluster.agents[:2])
        for reply in job.load(timeout_ms=5000):
            self.assert_status(reply, "CKPT_ERR_NO_CHECKPOINT")
        job.commit(1)
        job.save_one(2, 0)  # and it ends while rank 1 has not saved
        job.close()
        larger = self.job(cluster, attempt=0, on=cluster.agents)
        larger.ranks[0].must("attempt")
        for reply in larger.load(timeout_ms=5000):
            self.assert_status(reply, "CKPT_ERR_WORLD", "CKPT_OK")
        larger.commit(5)
        wait_until("the cut save is over", lambda: cluster.state("run", 2)["state"] != "open", 5)
        self.assertEqual(self.loud(cluster), [])
